#!/usr/bin/env python3
"""The monitor for people: test-hmp.py QEMU prints TAP.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import errno
import os
import pty
import re
import socket
import subprocess
import sys
import tempfile
import time

import qemutest
from qemutest import QEMU, Client, VM, test

BANNER = "QEMU 7.2.0 monitor - type 'help' for more information\r\n(qemu) "


def ask(c, line):
    """Send a line; the answer without echo and prompt."""
    c.send(line + "\n")
    text = c.until("\r\n(qemu) ")[:-len("(qemu) ")]
    echo, answer = text.split("\r\n", 1)
    return answer


@test
def session():
    """banner, prompt, answers, unknown commands, quit"""
    with VM(qmp=0, hmp=1) as vm:
        c = vm.hmp()
        assert c.until("(qemu) ") == BANNER
        assert ask(c, "info status") == "VM status: running\r\n"
        assert ask(c, "stop") == ""
        assert ask(c, "info status") == "VM status: paused\r\n"
        assert ask(c, "cont") == ""
        assert ask(c, "foo") == "unknown command: 'foo'\r\n"
        assert ask(c, "info foo") == "unknown command: 'info foo'\r\n"
        assert ask(c, "  ") == ""
        assert ask(c, "info status x") == \
            "status: extraneous characters at the end of line\r\n" \
            'Try "help info status" for more information\r\n'
        assert ask(c, "help quit") == "quit|q  -- end the emulator\r\n"
        assert ask(c, "info uuid") == "00000000-0000-0000-0000-000000000000\r\n"
        assert ask(c, "set_link nope on") == "Error: Device 'nope' not found\r\n"
        assert ask(c, "device_del nope") == "Error: Device 'nope' not found\r\n"
        assert ask(c, "netdev_add") .startswith("netdev_add: string expected\r\n")
        c.send("quit\n")
        assert vm.wait() == 0
        assert c.until("quit\r\n") == "quit\r\n" and c.eof()    # and no prompt


@test
def option_lists():
    """device_add help and its like print what the command line prints"""
    with VM(qmp=0, hmp=1) as vm:
        c = vm.hmp()
        c.until("(qemu) ")
        for command, known in [("device_add", "virtio-blk-device"), ("object_add", "rng-random"),
                               ("netdev_add", "stream"), ("chardev-add", "socket")]:
            option = "-" + command.split("_")[0].split("-")[0]
            for arg in ["help", known + ",help", known + ",?", "?"]:
                want = subprocess.run([QEMU, option, arg], stdout=subprocess.PIPE, text=True,
                                      check=True, timeout=60).stdout
                assert ask(c, f"{command} {arg}").replace("\r", "") == want, (command, arg)
                assert known in want, (option, arg)
        assert ask(c, "info memdev") == "\r\n"


@test
def every_command():
    """each command that help lists answers and leaves the machine alive"""
    with VM("-m", "16M", "-smp", "2", machine="microvm", qmp=1, hmp=1) as vm:
        c, q = vm.hmp(), vm.qmp()
        c.until("(qemu) ")
        infos = ask(c, "info").splitlines()
        assert len(infos) > 10
        for line in infos:
            assert line.startswith("info ") and line.count(" ") >= 2, line
            ask(c, " ".join(line.split()[:2]))
        names = [line.split()[0].split("|")[0] for line in ask(c, "help").splitlines()]
        assert len(names) > 30
        for name in names:
            assert ask(c, "help " + name).startswith(name), name
            if name != "quit":
                ask(c, name)
        out = vm.path("out")
        for line in ["announce_self", "cpu 1", "cpu 9", "x /8ux 0", "xp /4gx 0x1000",
                     "x /16xb 0xffffffff", "ringbuf_read n 1", "info block -v -n", "xp /2c 0", "xp /s 0", "p $rip + 8", "p/d 10",
                     "p 5/0", "p $nope", "p (1", "p", "gva2gpa 0", "gpa2hva 0x1000",
                     "gpa2hva 0xd0000000", "i /b 0x3f8", "o /b 0x80 1", "sum 0 512",
                     f'pmemsave 0 4096 "{out}"', f'memsave 0 4096 "{out}"', "pmemsave 0 16 /x",
                     "log guest_errors", "log none", "log nope", "qom-list /machine",
                     "qom-get /machine pit", "qom-set /machine pit on", "screendump x",
                     "sendkey a", "commit all", "nmi", "object_add memory-backend-ram,id=m,size=1M",
                     "object_del m", "chardev-add null,id=n", "chardev-remove n",
                     "cont", "device_add ?", "system_reset", "system_powerdown", "info registers -a",
                     "info mtree -f", 'help "', '"unterminated', "x /99999999999999999999xb 0"]:
            ask(c, line)
        assert q.cmd("query-status")["running"] is True


@test
def counters():
    """info irq, info blockstats: what has happened is counted"""
    with VM("-m", "16M", "-drive", "if=none,id=d0,file=null-co://,format=raw", "-device",
            "virtio-blk-device,drive=d0", machine="microvm", qtest=True) as vm:
        q, t = vm.qmp(), Client(vm.path("qtest"))

        def tell(line):
            t.send(line + "\n")
            assert t.until("\n").startswith("OK")

        assert q.hmp("info irq") == "IRQ statistics for i8259:\r\nIRQ statistics for ioapic:\r\n"
        # Input 4 of the I/O APIC: vector 0x34, fixed, to APIC 0, not masked.
        for register, value in ((0x19, 0), (0x18, 0x34)):
            tell(f"writel 0xfec00000 {register:#x}")
            tell(f"writel 0xfec00010 {value:#x}")
        for level in (1, 0, 1, 0):
            tell(f"set_irq_in ioapic unnamed-gpio-in 4 {level}")
        assert q.hmp("info irq").endswith("IRQ statistics for ioapic:\r\n 4: 2\r\n")
        stats = q.hmp("info blockstats")
        assert stats.startswith("d0: rd_bytes=0 wr_bytes=0 rd_operations=0 "), stats
        assert " flush_total_time_ns=0 " in stats and stats.endswith("\r\n"), stats


@test
def blocks():
    """info block by name, node and in full; block_resize in MiB or with a suffix"""
    with VM("-m", "16M", "-drive", "if=none,id=d0,file=null-co://,format=raw,cache=none", "-drive",
            "if=none,id=d1,file=null-co://,format=raw,read-only=on", "-device",
            "virtio-blk-device,drive=d0,id=disk0", machine="microvm") as vm:
        q = vm.qmp()
        both = q.hmp("info block").split("\r\n\r\n")
        assert len(both) == 2, both
        first = q.hmp("info block d0")
        assert re.fullmatch(r"d0 \(#block\d+\): null-co:// \(raw\)\r\n"
                            r"    Attached to:      disk0\r\n"
                            r"    Cache mode:       writeback, direct\r\n", first), first
        assert first == both[0] + "\r\n" and ", read-only)" in both[1], both
        assert q.hmp("info block nope") == ""
        node = first.split("(")[1].split(")")[0]
        assert q.hmp(f"info block -n {node}").startswith(f"{node}: null-co:// (raw)\r\n")
        assert q.hmp("info block -n").count("Cache mode: ") == 4
        assert q.hmp("info block -v d0").startswith(
            first + "\r\nImages:\r\nimage: null-co://\r\nfile format: raw\r\n"
            "virtual size: 1 GiB (1073741824 bytes)\r\ndisk size: ")
        assert q.hmp("block_resize d0 x").startswith("invalid size\r\n")
    with tempfile.NamedTemporaryFile() as image, \
            VM("-m", "16M", "-drive", f"if=none,id=d0,file={image.name},format=raw",
               machine="microvm") as vm:
        q = vm.qmp()
        for size, length in (("3", 3 << 20), ("5120K", 5 << 20), ("0.5G", 1 << 29)):
            assert q.hmp(f"block_resize d0 {size}") == ""
            assert os.path.getsize(image.name) == length, size


# Devices of QEMU 7.2, with their aliases, and one for its CPUs.
OTHERS = """
    cxl-downstream cxl-rp cxl-upstream i82801b11-bridge ioh3420 pci-bridge pci-bridge-seat
    pcie-pci-bridge pcie-root-port pxb pxb-cxl pxb-pcie usb-host usb-hub
    vfio-pci-igd-lpc-bridge vmbus-bridge x3130-upstream xio3130-downstream ich9-usb-ehci1
    ich9-usb-ehci2 ich9-usb-uhci1 ich9-usb-uhci2 ich9-usb-uhci3 ich9-usb-uhci4 ich9-usb-uhci5
    ich9-usb-uhci6 nec-usb-xhci pci-ohci piix3-usb-uhci piix4-usb-uhci qemu-xhci usb-ehci
    am53c974 cxl-type3 dc390 floppy ich9-ahci ahci ide-cd ide-hd isa-fdc isa-ide lsi53c810
    lsi53c895a lsi megasas megasas-gen2 mptsas1068 nvdimm nvme nvme-ns nvme-subsys piix3-ide
    piix4-ide pvscsi scsi-block scsi-cd scsi-generic scsi-hd sd-card sdhci-pci usb-bot usb-mtp
    usb-storage usb-uas vhost-scsi vhost-scsi-pci vhost-scsi-pci-non-transitional
    vhost-scsi-pci-transitional vhost-user-blk vhost-user-blk-pci
    vhost-user-blk-pci-non-transitional vhost-user-blk-pci-transitional vhost-user-fs-device
    vhost-user-fs-pci vhost-user-scsi vhost-user-scsi-pci vhost-user-scsi-pci-non-transitional
    vhost-user-scsi-pci-transitional virtio-9p-device virtio-9p-pci virtio-9p
    virtio-9p-pci-non-transitional virtio-9p-pci-transitional virtio-blk-device virtio-blk-pci
    virtio-blk virtio-blk-pci-non-transitional virtio-blk-pci-transitional virtio-pmem
    virtio-scsi-device virtio-scsi-pci virtio-scsi virtio-scsi-pci-non-transitional
    virtio-scsi-pci-transitional e1000 e1000-82540em e1000-82544gc e1000-82545em e1000e i82550
    i82551 i82557a i82557b i82557c i82558a i82558b i82559a i82559b i82559c i82559er i82562
    i82801 ne2k_isa ne2k_pci pcnet pvrdma rocker rtl8139 tulip usb-net virtio-net-device
    virtio-net-pci virtio-net virtio-net-pci-non-transitional virtio-net-pci-transitional
    vmxnet3 ccid-card-emulated ccid-card-passthru i8042 ipoctal232 isa-parallel isa-serial
    pci-serial pci-serial-2x pci-serial-4x tpci200 usb-braille usb-ccid usb-kbd usb-mouse
    usb-serial usb-tablet usb-wacom-tablet vhost-user-gpio-device vhost-user-gpio-pci
    vhost-user-i2c-device vhost-user-i2c-pci vhost-user-input vhost-user-input-pci
    vhost-user-rng vhost-user-rng-pci virtconsole virtio-input-host-device
    virtio-input-host-pci virtio-input-host virtio-keyboard-device virtio-keyboard-pci
    virtio-keyboard virtio-mouse-device virtio-mouse-pci virtio-mouse virtio-serial-device
    virtio-serial-pci virtio-serial virtio-serial-pci-non-transitional
    virtio-serial-pci-transitional virtio-tablet-device virtio-tablet-pci virtio-tablet
    virtserialport vmmouse ati-vga bochs-display cirrus-vga isa-cirrus-vga isa-vga qxl qxl-vga
    ramfb secondary-vga sga VGA vhost-user-gpu vhost-user-gpu-pci vhost-user-vga
    virtio-gpu-device virtio-gpu-gl-pci virtio-gpu-gl virtio-gpu-pci virtio-gpu virtio-vga
    virtio-vga-gl vmware-svga AC97 ac97 adlib cs4231a ES1370 es1370 gus hda-duplex hda-micro
    hda-output ich9-intel-hda intel-hda sb16 usb-audio acpi-erst amd-iommu AMDVI-PCI
    ctucan_pci edu guest-loader hv-syndbg hyperv-testdev i2c-ddc intel-iommu isa-applesmc
    isa-debug-exit isa-debugcon ivshmem-doorbell ivshmem-plain kvaser_pci loader mc146818rtc
    mioe3680_pci pc-testdev pci-testdev pcm3680_pci pvpanic pvpanic-pci smbus-ipmi tpm-crb
    tpm-tis u2f-passthru usb-redir vfio-pci vfio-pci-nohotplug vhost-user-vsock-device
    vhost-user-vsock-pci vhost-user-vsock-pci-non-transitional vhost-vsock-device
    vhost-vsock-pci vhost-vsock-pci-non-transitional virtio-balloon-device virtio-balloon-pci
    virtio-balloon virtio-balloon-pci-non-transitional virtio-balloon-pci-transitional
    virtio-crypto-device virtio-crypto-pci virtio-iommu-device virtio-iommu-pci virtio-iommu
    virtio-mem virtio-mem-pci virtio-pmem-pci virtio-rng-device virtio-rng-pci virtio-rng
    virtio-rng-pci-non-transitional virtio-rng-pci-transitional vmcoreinfo vmgenid i6300esb
    ib700 ipmi-bmc-extern ipmi-bmc-sim isa-ipmi-bt isa-ipmi-kcs pc-dimm pci-ipmi-bt
    pci-ipmi-kcs x-pci-proxy-dev host-x86_64-cpu
"""


@test
def other_devices():
    """Devices that QEMU has and this machine has not: each with a reason, or with what to use"""
    with VM("-m", "16M", machine="microvm") as vm:
        q = vm.qmp()
        for name in OTHERS.split():
            said = q.hmp(f"device_add {name}")
            assert "valid device model" not in said or "name: " in said, said
        for name, text in (("virtio-blk-pci", "there is no PCI, use virtio-blk-device"),
                           ("virtio-net-ccw", "there is no PCI, use virtio-net-device"),
                           ("virtio-rng-pci-non-transitional", "use virtio-rng-device"),
                           ("virtio-scsi-pci", "use virtio-scsi-device"),
                           ("e1000e", "use virtio-net-device"), ("usb-kbd", "use virtio-keyboard-device"),
                           ("virtoi-blk-device", "did you mean virtio-blk-device?")):
            assert text in q.hmp(f"device_add {name}"), name
        assert q.hmp("device_add nope").endswith("'nope' is not a valid device model name\r\n")


@test
def shrinking():
    """block_resize cuts off what a device may use only by force, by device and by node"""
    with tempfile.NamedTemporaryFile() as image:
        image.truncate(4 << 20)
        with VM("-m", "16M", "-drive", f"if=virtio,id=d0,node-name=n0,file={image.name},format=raw",
                machine="microvm") as vm:
            q = vm.qmp()
            assert "would lose its last 1048576 bytes: force" in q.hmp("block_resize d0 3")
            for name in ({"device": "d0"}, {"node_name": "n0"}):
                assert "in use" in q.error("block_resize", size=1 << 20, **name)[1], name
                assert "in use" in q.error("block_resize", size=1 << 20, force=False, **name)[1]
            assert os.path.getsize(image.name) == 4 << 20
            assert q.hmp("block_resize d0 5") == "" == q.hmp("block_resize -f d0 3")
            assert os.path.getsize(image.name) == 3 << 20
            q.cmd("block_resize", node_name="n0", size=1 << 20, force=True)
            assert os.path.getsize(image.name) == 1 << 20


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@test
def host_forwards():
    """hostfwd_add, hostfwd_remove, info usernet: ports open and close"""
    with VM("-netdev", "user,id=n0", "-netdev", "socket,id=n1,udp=127.0.0.1:9,localaddr=127.0.0.1:0",
            machine="microvm") as vm:
        q, port = vm.qmp(), free_port()
        rule = f"tcp:127.0.0.1:{port}"
        assert q.hmp(f"hostfwd_add {rule}-:22") == ""
        socket.create_connection(("127.0.0.1", port), 20).close()
        text = q.hmp("info usernet")
        assert text.startswith("Hub -1 (n0):\r\n  Protocol[State]"), text
        assert re.search(rf"TCP.HOST_FORWARD.\s+\d+\s+127.0.0.1\s+{port}\s+10.0.2.15\s+22 ", text)
        assert "Could not set up" in q.hmp(f"hostfwd_add n0 {rule}-:23")
        assert q.hmp(f"hostfwd_remove n0 {rule}") == f"host forwarding rule for {rule} removed\r\n"
        with socket.socket() as s:
            assert s.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED
        for line, answer in [
                (f"hostfwd_remove {rule}", f"Error: host forwarding rule for {rule} not found"),
                ("hostfwd_add nope tcp::1-:1", "unrecognized netdev id 'nope'"),
                ("hostfwd_add n1 tcp::1-:1", "'n1' is not a user mode network"),
                ("hostfwd_add tcp", "Error: Invalid host forwarding rule 'tcp' (No : separators)"),
                ("hostfwd_add tcp::1", "Error: Invalid host forwarding rule 'tcp::1'"
                 " (Bad host port)"),
                ("hostfwd_remove tcp::99999", "Error: Invalid host forwarding rule 'tcp::99999'"
                 " (Bad host port)")]:
            assert q.hmp(line) == answer + "\r\n", (line, q.hmp(line))
    with VM() as vm:
        q = vm.qmp()
        assert q.hmp("hostfwd_add tcp::1-:1") == "user mode network stack not in use\r\n"
        assert q.hmp("info usernet") == ""


@test
def trace_events():
    """-trace, -d trace:, trace-event: only what is on is logged, from each kind of option"""
    with tempfile.TemporaryDirectory() as folder:
        log = f"{folder}/log"
        with open(f"{folder}/events", "w", encoding="ascii") as f:
            f.write("# a comment\n\nmonitor_qmp_*\n-monitor_qmp_respond\nhandle_qmp_command\n")
        with VM("-m", "16M", "-device", "virtio-rng-device", "-trace", f"events={folder}/events",
                "-trace", "enable=virtio_set_status", "-trace", "no_such_event", "-D", log,
                "-d", "trace:runstate_*", machine="microvm", qtest=True) as vm:
            q, t = vm.qmp(), Client(vm.path("qtest"))

            def logged():
                with open(log, encoding="utf-8") as f:
                    return f.read()

            assert "warning: trace event 'no_such_event' does not exist" in vm.stderr()
            assert "runstate_set prelaunch -> running\n" in logged()
            assert "handle_qmp_command qmp_capabilities\n" in logged()
            assert "monitor_qmp_respond" not in logged()
            t.send("writel 0xd0000070 0x1\n")
            t.until("OK\n")
            assert re.search("^virtio_set_status .* 0x0 -> 0x1$", logged(), re.MULTILINE), logged()
            assert q.hmp("info trace-events runstate_set") == "runstate_set : state 1\r\n"
            assert q.hmp("trace-event runstate_set off") == ""
            assert q.hmp("info trace-events runstate_set") == "runstate_set : state 0\r\n"
            before = logged().count("runstate_set")
            q.cmd("stop")
            assert logged().count("runstate_set") == before
            q.cmd("trace-event-set-state", name="*", enable=True)
            q.cmd("cont")
            assert logged().count("runstate_set") == before + 1
            t.send("readl 0xd0000000\n")
            t.until("\n")
            assert "memory_region_ops_read virtio-mmio addr 0xd0000000 size 4 value 0x74726976\n" \
                in logged()
            events = q.cmd("trace-event-get-state", name="*")
            assert len(events) > 20 and all(e["state"] == "enabled" for e in events), events
            helped = subprocess.run([QEMU, "-trace", "help"], stdout=subprocess.PIPE, text=True,
                                    check=True).stdout
            assert helped.split() == [e["name"] for e in events]
            assert q.hmp("trace-event nope on") == 'Error: unknown event "nope"\r\n'
            assert q.error("trace-event-get-state", name="nope")[0] == "GenericError"


@test
def expressions():
    """p: operators and their order, formats, overflow, errors"""
    with VM() as vm:
        q = vm.qmp()
        for text, want in [("1+2*3", "0x7"), ("(1+2)*3", "0x9"), ("-1", "0xffffffffffffffff"),
                           ("~0 & 0xff", "0xff"), ("7 % 4", "0x3"), ("1|6^2", "0x5"),
                           ("0x8000000000000000 / -1", "0x8000000000000000"),
                           ("'a'", "0x61"), ("010", "0x8")]:
            assert q.hmp("p " + text) == want + "\r\n", (text, q.hmp("p " + text))
        assert q.hmp("p/d -5") == "-5\r\n"
        assert q.hmp("p/c 65") == "'A'\r\n"
        assert q.hmp("p/o 8") == "010\r\n"
        assert q.hmp("p 5/0").startswith("division by zero\r\n")
        assert q.hmp("p 1 2").startswith("print|p: extraneous characters")
        assert q.hmp("p").startswith("unexpected end of expression\r\n")


@test
def editing():
    """keys: erase, move, kill, history, completion"""
    with VM(qmp=0, hmp=1) as vm:
        c = vm.hmp()
        c.until("(qemu) ")
        for keys in ["info statux\x7fs\r", "status\x01info \r", "xinfo status\x01\x04\r",
                     "garbage\x15info status\r", "info status junk\x17\r",
                     "info st\tx\x7f\r", "ino status\x1b[D\x1b[D\x1b[D\x1b[D\x1b[D\x1b[D\x1b[D\x1b[Df\r",
                     "\x1b[A\r", "\x10\r", "info status nope\x1b[D\x0b\x08\x08\x08\x08\r",
                     "info\xc3\xa9\x7f status\r"]:
            c.send(keys.encode("latin1"))
            text = c.until("\r\n(qemu) ")
            assert "VM status: running\r\n" in text, (keys, text)
        # A list of what fits.
        c.send("info r\t")
        assert "registers" in c.until("roms")
        c.send("\x15" + "x" * 10000 + "\x15info status\r")
        assert "VM status: running" in c.until("VM status: running")


@test
def failed_start():
    """a machine that does not start says why, and no prompt"""
    for args in (["-drive", "file=/nonexistent,if=none"], ["-kernel", "/nonexistent"],
                 ["-device", "nonexistent"]):
        done = subprocess.run([QEMU, "-M", "microvm", "-accel", "qtest", "-display", "none",
                               "-nodefaults", "-monitor", "stdio", *args], text=True, check=False,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)
        assert (done.returncode, done.stdout) == (1, ""), done
        assert done.stderr.startswith("qemu-system-x86_64: ") and done.stderr.count("\n") == 1, done


@test
def stdio_and_terminal():
    """a terminal: Ctrl-C is a character, EOF does not end the machine"""
    master, slave = pty.openpty()
    proc = subprocess.Popen([QEMU, "-M", "none", "-accel", "qtest", "-display", "none",
                             "-nodefaults", "-monitor", "stdio"],
                            stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)

    def until(text):
        data = b""
        while text not in data:
            data += os.read(master, 4096)
        return data

    try:
        until(b"(qemu) ")
        os.write(master, b"info status\r")
        assert b"VM status: running" in until(b"\r\n(qemu) ")
        os.write(master, b"quit\r")
        assert proc.wait(20) == 0
    finally:
        proc.kill()
        os.close(master)
    proc = subprocess.Popen([QEMU, "-M", "none", "-accel", "qtest", "-display", "none",
                             "-nodefaults", "-monitor", "stdio"],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    proc.stdin.write(b"info status\n")
    proc.stdin.close()
    time.sleep(0.5)
    assert proc.poll() is None
    proc.terminate()
    assert proc.wait(20) == 0
    assert b"VM status: running" in proc.stdout.read()


if __name__ == "__main__":
    sys.exit(qemutest.run())
