"""Debian's stock kernel finds its disk, its network and its processors by ACPI, and powers off.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import json
import os
import re
import socket
import tempfile

from harness import ACCEL, MACHINE, Qemu, case, check, initrd, kernel, machine_args

# What dmesg must not say of the tables.
COMPLAINTS = r"(?i)^.*(ACPI (Error|Warning|Exception|BIOS)|Firmware (Bug|Warn)).*$"
MODULES = ["virtio_ring", "virtio", "virtio_mmio", "virtio_blk", "failover", "net_failover",
           "virtio_net", "button", "evdev"]
LOAD = "\n".join(f"insmod /{name}.ko" for name in MODULES)
LOOK = f"""{LOAD}
echo "nproc $(nproc)"
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
dmesg
"""


def files():
    """The modules, for the guest's initramfs."""
    folder = os.path.dirname(kernel("debian"))
    return [(os.path.join(folder, "modules", f"{name}.ko"), f"{name}.ko") for name in MODULES]


def disk(folder):
    """An image that says who it is."""
    path = os.path.join(folder, "disk.raw")
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

    def run(command):
        """The answer, or the event of that name."""
        if command.isupper():
            while True:
                answer = json.loads(stream.readline())
                if answer.get("event") == command:
                    return answer
        stream.write(json.dumps({"execute": command}) + "\n")
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
        job = LOOK + "\nexec 3</dev/input/event0\necho ready >/dev/console\n" \
            "head -c 24 <&3 >/dev/null\necho pressed; poweroff -f; sleep 1000\n"
        args = machine_args(smp=4, kernel_path=kernel("debian", "bzImage"), append="quiet",
                            initrd_path=initrd(job, files=files()))
        args += ["-M", machine, "-serial", "stdio", "-drive",
                 f"file={disk(folder)},format=raw,if=none,id=d", "-device",
                 "virtio-blk-device,drive=d", "-netdev", "user,id=n", "-device",
                 "virtio-net-device,netdev=n",
                 "-qmp", f"unix:{folder}/qmp,server=on,wait=off"]
        with Qemu(args) as qemu:
            qemu.expect(rb"ready\r?\n", 300)
            text = qemu.log.decode(errors="replace").replace("\r", "")
            run = qmp(f"{folder}/qmp")
            run("system_powerdown")
            qemu.expect(rb"pressed\r?\n", 100)
            event = run("SHUTDOWN")
            check(event["data"]["guest"] and event["data"]["reason"] == "guest-shutdown", event)
            check(qemu.wait(60) == 0, f"exit status\n{qemu.tail()}")
    check("nproc 4\n" in text, f"not 4 processors:\n{text}")
    check("disk hello, disk!" in text, f"no disk:\n{text}")
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
