"""Debian's stock kernel finds its disk, its network and its processors by ACPI, and powers off.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import json
import os
import re
import socket
import subprocess
import tempfile

from harness import (ACCEL, MACHINE, Qemu, case, check, initrd, kernel, machine_args, run_job,
                     soft_host)
from test_debian import COMPLAINTS

MODULES = ["virtio_ring", "virtio", "virtio_mmio", "virtio_blk", "failover", "net_failover",
           "virtio_net", "button", "evdev", "virtio_input"]
LOAD = "\n".join(f"insmod /{name}.ko" for name in MODULES)
SCSI = ["crc64", "crc64_rocksoft", "crct10dif_common", "crc_t10dif", "t10_pi", "scsi_common",
        "scsi_mod", "cdrom", "sd_mod", "sr_mod", "virtio_scsi"]
LOAD_SCSI = "\n".join(f"insmod /{name}.ko" for name in SCSI)
LOOK = f"""{LOAD}
{LOAD_SCSI}
echo "nproc $(nproc)"
(cd /sys/devices/system/node; cat node?/cpulist node?/distance; grep -h MemTotal node?/meminfo) |
    tr "\n" " "
echo
i=0
while [ $i -lt 100 ] && ! [ -b /dev/vda -a -d /sys/class/net/eth0 ]; do
    usleep 100000
    i=$((i+1))
done
echo "disk $(head -c 12 /dev/vda)"
ip link set eth0 up
udhcpc -n -q -t 20 -i eth0 -s /bin/true 2>&1
# Interrupts: none lost, none too many, with many requests at a time.
for n in 1 2 3 4; do
    dd if=/dev/vda of=/dev/null bs=4k count=2000 skip=$n iflag=direct 2>/dev/null &
done
wait
cat /proc/interrupts
while ! [ -b /dev/sda -a -b /dev/sr0 ]; do usleep 100000; done
cat /sys/block/sda/queue/rotational /sys/block/sda/device/vpd_pg80 | tr -d "\\0"
dd if=/dev/vda of=/dev/sda bs=64k count=64 seek=1 conv=fsync 2>/dev/null
blkdiscard -o 65536 -l 4096 /dev/sda && echo " discarded"
dd if=/dev/sda bs=64k skip=2 2>/dev/null | cmp -n 4000000 - /dev/zero &&
    echo "scsi $(head -c 12 /dev/sr0)"
dmesg
node() {{ sed -n "/QEMU Virtio $1/,/^$/s,^H:.*\\(event[0-9]*\\).*,/dev/input/\\1,p" /proc/bus/input/devices; }}
exec 3</dev/input/event0 4<$(node Keyboard) 5<$(node Tablet)
echo ready >/dev/console
events() {{ head -c $((24 * $1)) | od -An -v -w24 -tx2 | cut -d " " -f 10-; }}
events 2 <&4
events 4 <&5
head -c 24 <&3 >/dev/null
echo pressed; poweroff -f; sleep 1000
"""
# Type, code, value of each, as their guest prints them.
EVENTS = """\
0001 001e 0001 0000
0000 0000 0000 0000
0003 0000 4000 0000
0003 0001 7fff 0000
0001 0110 0001 0000
0000 0000 0000 0000
"""


def use_input(run):
    """A key for the keyboard, one report for the tablet."""
    key = {"key": {"type": "qcode", "data": "a"}, "down": True}
    check("return" in run("input-send-event", events=[{"type": "key", "data": key}]), "no key")
    moves = [{"type": "abs", "data": {"axis": "x", "value": 0x4000}},
             {"type": "abs", "data": {"axis": "y", "value": 0x7fff}},
             {"type": "btn", "data": {"button": "left", "down": True}}]
    check("return" in run("input-send-event", events=moves), "no movement")


def files(names=MODULES):
    """The modules, for the guest's initramfs."""
    folder = os.path.dirname(kernel("debian"))
    return [(os.path.join(folder, "modules", f"{name}.ko"), f"{name}.ko") for name in names]


def disk(folder, name="disk"):
    """An image that says who it is."""
    path = os.path.join(folder, f"{name}.raw")
    with open(path, "wb") as file:
        file.write(b"hello, disk!")
        file.truncate(16 << 20)
    return path


def qmp(path):
    """A connection to a QMP monitor; a function that runs a command."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(300)
    sock.connect(path)
    stream = sock.makefile("rw", encoding="utf-8")
    stream.readline()

    def run(command, **arguments):
        """The answer, or the event of that name."""
        if command.isupper():
            while True:
                answer = json.loads(stream.readline())
                if answer.get("event") == command:
                    return answer
        stream.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        stream.flush()
        while True:
            answer = json.loads(stream.readline())
            if "event" not in answer:
                return answer
    run("qmp_capabilities")
    return run


def look(machine, first):
    """One guest: what it finds, that it takes requests, and that the power button ends it."""
    with tempfile.TemporaryDirectory(prefix="acpi-") as folder:
        args = machine_args(smp=4, kernel_path=kernel("debian", "bzImage"), append="quiet",
                            initrd_path=initrd(LOOK, files=files(MODULES + SCSI)))
        args += ["-object", "memory-backend-memfd,id=m0,size=64M", "-object",
                 "memory-backend-ram,id=m1,size=192M", "-numa", "node,memdev=m0,cpus=0,cpus=2-3",
                 "-numa", "node,memdev=m1,cpus=1", "-numa", "dist,src=0,dst=1,val=17"]
        args += ["-M", machine, "-serial", "stdio", "-drive",
                 f"file={disk(folder)},format=raw,if=none,id=d", "-device",
                 "virtio-blk-device,drive=d", "-netdev", "user,id=n", "-device",
                 "virtio-net-device,netdev=n,packed=on", "-device", "virtio-keyboard-device",
                 "-device", "virtio-tablet-device", "-device", "virtio-scsi-device,packed=on",
                 "-drive", f"file={disk(folder, 'hd')},format=raw,if=none,id=hd,discard=unmap",
                 "-device", "scsi-hd,drive=hd,serial=S123,rotation_rate=1",
                 "-drive", f"file={disk(folder, 'cd')},format=raw,if=none,id=cd,media=cdrom",
                 "-device", "scsi-cd,drive=cd",
                 "-qmp", f"unix:{folder}/qmp,server=on,wait=off"]
        with Qemu(args) as qemu:
            # A line of its own: the kernel's log has "link becomes ready".
            qemu.expect(rb"\nready\r?\n", 300)
            text = qemu.log.decode(errors="replace").replace("\r", "")
            run = qmp(f"{folder}/qmp")
            use_input(run)
            qemu.expect(EVENTS.encode().replace(b"\n", rb"\r?\n"), 100)
            run("system_powerdown")
            qemu.expect(rb"pressed\r?\n", 100)
            event = run("SHUTDOWN")
            check(event["data"]["guest"] and event["data"]["reason"] == "guest-shutdown", event)
            check(qemu.wait(60) == 0, f"exit status\n{qemu.tail()}")
    check("nproc 4\n" in text, f"not 4 processors:\n{text}")
    nodes = re.search(r"^0,2-3 1 10 17 17 10 Node 0 MemTotal: +(\d+) kB Node 1 MemTotal: +(\d+) ",
                      text, re.MULTILINE)
    check(nodes and int(nodes[1]) <= 64 << 10 and 128 << 10 < int(nodes[2]) <= 192 << 10,
          f"no NUMA nodes:\n{text}")
    check("disk hello, disk!" in text, f"no disk:\n{text}")
    check(re.search(r"^0\n.*S123 discarded\nscsi hello, disk!$", text, re.MULTILINE),
          f"SCSI:\n{text}")
    check(re.search(r"lease of 10\.0\.2\.15 obtained", text), f"no lease:\n{text}")
    complaint = re.search(COMPLAINTS, text, re.MULTILINE)
    check(not complaint, complaint and complaint[0])
    for number, name in enumerate(("virtio0", "virtio1")):
        row = re.search(rf"^ *\d+:((?: +\d+)+) +IO-APIC +(\d+)-edge +{name}$", text, re.MULTILINE)
        pin = first + number - (24 if first >= 24 else 0)
        check(row and int(row[2]) == pin, f"{name} is not on input {pin}:\n{text}")
        count = sum(int(n) for n in row[1].split())
        check(count < 30000 if number else 100 < count <= 9000,
              f"{name} interrupted {count} times:\n{text}")


@case("a stock kernel by ACPI: disk, network, four processors, power button", twice=True)
def two_ioapics():
    """On the second I/O APIC."""
    look(MACHINE, 24)


@case("a stock kernel by ACPI: one I/O APIC")
def one_ioapic():
    """On inputs 16 and up of the first."""
    look(f"{MACHINE},ioapic2=off", 16)


for mode in ("split", "off"):
    if ACCEL == "kvm":
        case(f"a stock kernel by ACPI: kernel-irqchip={mode}")(
            lambda mode=mode: look(f"{MACHINE},kernel-irqchip={mode}", 24))


# Of each of four readers; fewer where an emulated host emulates each interrupt.
TORTURE_READS = 2000 if ACCEL == "kvm" and soft_host() else 10000
TORTURE = f"""{LOAD}
while ! [ -b /dev/vda -a -d /sys/class/net/eth0 ]; do usleep 100000; done
ip link set eth0 up
for n in 1 2 3 4; do
    ( i=0
      while [ $i -lt {TORTURE_READS // 1000} ]; do
          dd if=/dev/vda of=/dev/null bs=4k count=1000 skip=$n iflag=direct 2>/dev/null || exit 1
          i=$((i+1))
      done
      echo "reader $n has ended" ) &
    readers="$readers $!"
done
(while udhcpc -n -q -t 20 -i eth0 -s /bin/true >/dev/null 2>&1; do echo lease >>/leases; done) &
leases=$!
irqs=$(sed -n 's/^ *\\([0-9]*\\):.* virtio[01]$/\\1/p' /proc/interrupts)
( while :; do
      for cpu in 2 0 3 1; do
          for irq in $irqs; do echo $cpu >/proc/irq/$irq/smp_affinity_list; done
          echo move >>/moves
      done
  done ) &
mover=$!
for pid in $readers; do wait $pid; done
kill $mover $leases
echo "moves $(wc -l </moves) leases $(wc -l </leases)"
cat /proc/interrupts
dmesg
"""


def torture(machine):
    """Every read waits for its interrupt: one that is lost is a guest that hangs."""
    with tempfile.TemporaryDirectory(prefix="acpi-") as folder:
        text = run_job(TORTURE, "debian", smp=4, append="quiet", files=files(), extra=[
            "-M", machine, "-drive", f"file={disk(folder)},format=raw,if=none,id=d",
            "-device", "virtio-blk-device,drive=d", "-netdev", "user,id=n",
            "-device", "virtio-net-device,netdev=n"]).replace("\r", "")
    check(text.count("has ended") == 4, f"not all readers ended:\n{text}")
    found = re.search(r"^moves (\d+) leases (\d+)$", text, re.MULTILINE)
    check(found and int(found[1]) > 100 and int(found[2]) > 3, f"little happened:\n{text}")
    row = re.search(r"^ *\d+:((?: +\d+)+) +IO-APIC +\d+-edge +virtio0$", text, re.MULTILINE)
    counts = [int(n) for n in row[1].split()]
    # A move between processors may repeat an edge that was on its way.
    check(all(counts) and sum(counts) < 4.2 * TORTURE_READS, f"interrupts: {counts}")
    complaint = re.search(COMPLAINTS + r"|^.*nobody cared.*$", text, re.MULTILINE)
    check(not complaint, complaint and complaint[0])


for options in ("", ",ioapic2=off", *([",kernel-irqchip=split", ",kernel-irqchip=off"]
                                      if ACCEL == "kvm" else [])):
    case(f"interrupts that move between processors: none is lost or repeated{options}", long=True)(
        lambda options=options: torture(MACHINE + options))


CROWD = """echo "nproc $(nproc)"
sleep 1
for irq in /proc/irq/[0-9]*; do echo 287 >$irq/smp_affinity_list; done 2>/dev/null
sleep 1
# Each line is an interrupt of the serial port's.
for i in 1 2 3 4 5 6 7 8; do echo "line $i" >/dev/console; done
sed -n 's/  */ /gp' /proc/interrupts | grep ttyS0
dmesg
"""


@case("a stock kernel by ACPI: 288 processors, interrupts to the last", long=True)
def crowd():
    """APIC ids above 255 in IPIs and in the I/O APIC."""
    text = run_job(CROWD, "debian", smp=288, mem="2G").replace("\r", "")
    check("nproc 288\n" in text, f"not 288 processors:\n{text}")
    row = re.search(r"^ \d+:((?: \d+)+) IO-APIC 4-edge ttyS0$", text, re.MULTILINE)
    check(row and int(row[1].split()[287]) > 0, f"no interrupt on the last:\n{text}")
    complaint = re.search(COMPLAINTS, text, re.MULTILINE)
    check(not complaint, complaint and complaint[0])


# What microvm.nix starts by default, word for word but for the names of files.
MICROVM_NIX = """-name host -M microvm,accel=kvm:tcg,acpi=on,mem-merge=on,pcie=off,pic=off,pit=off,rtc=on,usb=off
-m 512M -smp 2 -nodefaults -no-user-config -no-reboot -kernel {kernel} -initrd {initrd}
-chardev stdio,id=stdio,signal=off -device virtio-rng-device
-smbios type=1,uuid=9c5a3c1e-0000-4000-8000-0123456789ab -serial chardev:stdio
-enable-kvm -cpu host,+x2apic,-sgx -device i8042
-drive id=store,format=raw,read-only=on,file={disk},if=none,aio=io_uring
-device virtio-blk-device,drive=store -nographic -sandbox on -qmp unix:{folder}/qmp,server,nowait
-device virtio-balloon-device,free-page-reporting=on,id=balloon0
-drive id=vda,format=raw,file={volume},if=none,aio=io_uring,discard=unmap,read-only=off
-device virtio-blk-device,drive=vda -netdev tap,id=vm0,ifname=vm0,script=no,downscript=no
-device virtio-net-device,netdev=vm0,mac=02:00:00:00:00:01"""
NIX_APPEND = "earlyprintk=ttyS0 console=ttyS0 reboot=t panic=-1 nohz=off quiet"
NIX_JOB = f"""{LOAD}
while ! [ -b /dev/vdb -a -d /sys/class/net/eth0 ]; do usleep 100000; done
echo "nproc $(nproc) disks $(head -c 12 /dev/vda) $(cat /sys/block/vda/ro /sys/block/vdb/ro)"
cat /sys/class/dmi/id/product_uuid
ip addr add 192.168.78.2/24 dev eth0
ip link set eth0 up
ping -c 1 -w 60 192.168.78.1
dmesg
echo "ready" >/dev/console
sleep 1000
"""


def nix_shutdown(run):
    """What microvm.nix does: ctrl-alt-delete, then wait for the end."""
    keys = [{"type": "key", "data": {"down": True, "key": {"type": "qcode", "data": key}}}
            for key in ("ctrl", "alt", "delete")]
    check("return" in run("input-send-event", events=keys), "input-send-event failed")


@case("microvm.nix's default command line: disks, network, its shutdown", "kvm", long=True)
def microvm_nix():
    """As microvm.nix has it, with the tap that it expects to be there."""
    subprocess.run("ip tuntap add dev vm0 mode tap && ip addr add 192.168.78.1/24 dev vm0 && "
                   "ip link set vm0 up", shell=True, check=True)
    with tempfile.TemporaryDirectory(prefix="nix-") as folder:
        volume = os.path.join(folder, "volume")
        with open(volume, "wb") as file:
            file.truncate(16 << 20)
        args = MICROVM_NIX.format(kernel=kernel("debian", "bzImage"), folder=folder, volume=volume,
                                  initrd=initrd(NIX_JOB, files=files()), disk=disk(folder)).split()
        with Qemu([*args, "-append", NIX_APPEND]) as qemu:
            # A line of its own: the kernel's log has "link becomes ready".
            qemu.expect(rb"\nready\r?\n", 300)
            text = qemu.log.decode(errors="replace").replace("\r", "")
            run = qmp(f"{folder}/qmp")
            nix_shutdown(run)
            check(qemu.wait(60) == 0, f"exit status\n{qemu.tail()}")
    for want in ("nproc 2 disks hello, disk! 1 0", "9c5a3c1e-0000-4000-8000-0123456789ab",
                 "1 packets received"):
        check(want in " ".join(text.split()), f"not there: {want}\n{text}")
    complaint = re.search(COMPLAINTS, text, re.MULTILINE)
    check(not complaint, complaint and complaint[0])


@case("the end of the shell of a busybox guest is the machine's, with ACPI", "tcg", long=True)
def shell_ends():
    """As its greeting says, and without -no-reboot."""
    args = machine_args(kernel_path=kernel("debian", "bzImage"), initrd_path=initrd())
    with Qemu([*args, "-serial", "stdio"]) as qemu:
        qemu.expect(rb"Leave with 'exit'[\s\S]*# ", 300)
        qemu.send("exit\n")
        check(qemu.wait(100) == 0, f"exit status\n{qemu.tail()}")
