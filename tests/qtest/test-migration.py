#!/usr/bin/env python3
"""Saving and loading machines: commands, channels, what devices hold. By qtest and QMP.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import lzma
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

import qemutest
from qemutest import PATIENCE, QTest, VM, is_locked, no_leaks, test

GED_SELECTOR = 0xfea00000
PROGRAMS = ["-sandbox", "on,spawn=allow"]
HERE = os.path.dirname(os.path.realpath(__file__))
SNAPSHOT_INFO = os.path.join(HERE, "../../scripts/snapshot-info")
DEVICES = ["-device", "i8042", "-device", "ib700", "-device", "pvpanic", "-serial", "null",
           "-device", "virtio-rng-device", "-device", "virtio-balloon-device",
           "-device", "virtio-net-device,mac=52:54:00:12:34:56",
           "-device", "virtio-serial-device", "-device", "virtconsole",
           "-machine", "acpi=on,rtc=on,pit=on,pic=on"]

# Those that the files of golden() do not have.
NEWER = ["-device", "virtio-tablet-device", "-device", "virtio-scsi-device", "-device", "scsi-cd"]


def machine(*args, devices=DEVICES, **more):
    return VM(*devices, *args, machine="microvm", qtest=True, **more)


UNDER_WAY = ("setup", "active", "pre-switchover", "device", "cancelling")


def finished(qmp):
    """What became of it."""
    end = time.monotonic() + PATIENCE
    while True:
        info = qmp.cmd("query-migrate")
        if info.get("status") not in UNDER_WAY:
            return info
        assert time.monotonic() < end, info
        time.sleep(0.005)


def save(qmp, uri):
    qmp.cmd("migrate", uri=uri)
    info = finished(qmp)
    assert info["status"] == "completed", info
    assert qmp.cmd("query-status")["status"] == "postmigrate"
    return info


def loaded(qmp):
    """The machine that came in runs."""
    info = finished(qmp)
    assert info["status"] == "completed", info
    assert qmp.cmd("query-status")["status"] == "running"


def set_up(q):
    """State in every device that ports reach."""
    for port, value in [
            (0x3fb, 0x83), (0x3f8, 3), (0x3f9, 0), (0x3fb, 3), (0x3f9, 5), (0x3fc, 0x1b),
            (0x3fa, 0x81), (0x3f8, 0x41), (0x3f8, 0x42), (0x3ff, 0x77),         # serial
            (0x20, 0x11), (0x21, 0x30), (0x21, 4), (0x21, 1), (0x21, 0xb8),     # PICs
            (0xa0, 0x11), (0xa1, 0x38), (0xa1, 2), (0xa1, 1), (0xa1, 0x8e), (0x4d0, 0x20),
            (0x43, 0x34), (0x40, 0x9c), (0x40, 0x2e), (0x43, 0xb0), (0x42, 0x12),   # PIT
            (0x70, 0x0b), (0x71, 0x06), (0x70, 0x40), (0x71, 0x5a),             # RTC
            (0x64, 0x60), (0x60, 0x25), (0x60, 0xf2), (0x443, 3)]:              # keyboard, dog
        q.outb(port, value)
    for pin in range(24):
        q.ioapic(0x10 + 2 * pin, 0x10030 + pin | (0xa000 if pin % 3 else 0))
        q.ioapic(0x11 + 2 * pin, pin << 24)
    q.write(0x5000, bytes(range(256)) * 16)
    base = 0xd0000000                      # transport 0 holds the last device
    for n in range(24):
        if int(q.cmd("readl", base + n * 512 + 8)[0], 16):
            at = base + n * 512
            for reg, value in [(0x70, 1), (0x70, 3), (0x24, 1), (0x20, 1), (0x24, 0), (0x20, 0),
                               (0x70, 11), (0x30, 0), (0x38, 64), (0x80, 0x10000), (0x84, 0),
                               (0x90, 0x11000), (0x94, 0), (0xa0, 0x12000), (0xa4, 0), (0x44, 1),
                               (0x70, 15)]:
                q.cmd("writel", at + reg, value)


def seen(vm, qmp, q):
    """All that can be told of the machine; reads that change something come last."""
    text = [qmp.hmp(f"info {what}") for what in ("pic", "irq", "registers", "lapic")]
    for item in qmp.cmd("x-query-virtio"):
        status = qmp.cmd("x-query-virtio-status", path=item["path"])
        text += [f"{key}: {status[key]}" for key in sorted(status)]
        for queue in range(status["num-vqs"]):
            text.append(repr(qmp.cmd("x-query-virtio-queue-status", path=item["path"],
                                     queue=queue)))
    text.append(q.read(0x5000, 4096).hex())
    ports = {port: q.inb(port) for port in (
        0x3fd, 0x3fe, 0x3fa, 0x3f9, 0x3fb, 0x3fc, 0x3ff, 0x3f8, 0x3f8, 0x21, 0xa1, 0x4d0, 0x4d1,
        0x61, 0x40, 0x40, 0x42, 0x64, 0x60, 0x60, 0x60)}
    text.append(repr(ports))
    for index in (0x0a, 0x0b, 0x40):
        q.outb(0x70, index)
        text.append(hex(q.inb(0x71)))
    text += [hex(q.ioapic(reg)) for reg in range(0x10, 0x40)]
    return text


@test
def devices():
    """Every device: what a guest and a monitor see of it is the same afterwards"""
    with machine(devices=DEVICES + NEWER) as vm:
        qmp, q = vm.qmp(), QTest(vm)
        set_up(q)
        q.cmd("clock_step", 1234567)
        path = vm.path("saved")
        info = save(qmp, f"file:{path}")
        assert info["ram"]["total"] == 128 << 20 and info["ram"]["remaining"] == 0, info
        assert os.stat(path).st_mode & 0o777 == 0o600
        before = seen(vm, qmp, q)
        with machine("-incoming", f"file:{path}", "-S", devices=DEVICES + NEWER) as other:
            oq = other.qmp()
            finished(oq)
            after = seen(other, oq, QTest(other))
            for a, b in zip(before, after):
                for one, two in zip(a.splitlines(), b.splitlines()):
                    assert one == two, (one, two)
    assert len(before) == len(after)


GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden")
# The machine that is in the files: DEVICES as it was when they were written.
GOLDEN_DEVICES = ["-device", "i8042", "-device", "ib700", "-device", "pvpanic",
                  "-serial", "null", "-device", "virtio-rng-device",
                  "-device", "virtio-balloon-device",
                  "-device", "virtio-net-device,mac=52:54:00:12:34:56",
                  "-device", "virtio-serial-device", "-device", "virtconsole",
                  "-machine", "acpi=on,rtc=on,pit=on,pic=on"]


def write_golden(vm, qmp):
    """With GOLDEN=write: files of this format's version, for this version and the next."""
    for layout in ("stream", "mapped"):
        qmp.cmd("migrate-set-capabilities", capabilities=[
            {"capability": "mapped-ram", "state": layout == "mapped"}])
        save(qmp, f"file:{vm.path(layout)}")
        qmp.cmd("cont")
        with open(vm.path(layout), "rb") as file, \
                lzma.open(os.path.join(GOLDEN, f"1-{layout}.xz"), "wb", preset=9) as golden:
            golden.write(file.read())


@test
def golden():
    """Files that an earlier build of this version has written"""
    with machine("-m", "8", devices=GOLDEN_DEVICES) as vm:
        qmp, q = vm.qmp(), QTest(vm)
        set_up(q)
        q.cmd("clock_step", 1234567)
        if os.environ.get("GOLDEN") == "write":
            write_golden(vm, qmp)
        qmp.cmd("stop")
        now = seen(vm, qmp, q)
        for layout in ("stream", "mapped"):
            path = vm.path(layout)
            with lzma.open(os.path.join(GOLDEN, f"1-{layout}.xz")) as packed, \
                    open(path, "wb") as file:
                file.write(packed.read())
            with machine("-m", "8", "-incoming", f"file:{path}", "-S",
                         devices=GOLDEN_DEVICES) as other:
                oq = other.qmp()
                assert finished(oq)["status"] == "completed"
                then = seen(other, oq, QTest(other))
            assert now == then, [pair for pair in zip(now, then) if pair[0] != pair[1]]


@test
def damaged():
    """A real file, cut off and changed: one line, status 1, no crash"""
    with machine(devices=["-device", "virtio-rng-device"]) as vm:
        path = vm.path("saved")
        save(vm.qmp(), f"file:{path}")
        with open(path, "rb") as file:
            data = file.read()
        for at in range(40, len(data), len(data) // 6):
            for bad in (data[:at], data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1:]):
                with open(path, "wb") as file:
                    file.write(bad)
                assert "load of migration failed: " in refused(
                    "-incoming", f"file:{path}", devices=["-device", "virtio-rng-device"])


@test
def copies():
    """vmgenid and vmclock tell the guest that it is a copy"""
    args = ["-device", "vmgenid", "-device", "vmclock"]
    with machine(*args) as vm:
        qmp, q = vm.qmp(), QTest(vm)
        old, ids = qmp.cmd("query-vm-generation-id")["guid"], []
        q.cmd("readl", GED_SELECTOR)
        save(qmp, f"file:{vm.path('saved')}")
        for _ in range(2):
            with machine(*args, "-incoming", f"file:{vm.path('saved')}") as other:
                oq = other.qmp()
                loaded(oq)
                ids.append(oq.cmd("query-vm-generation-id")["guid"])
                assert int(QTest(other).cmd("readl", GED_SELECTOR)[0], 16) == 0x30
        assert len({old, *ids}) == 3, (old, ids)


def config_of(q, device_id):
    """Where the configuration space of the virtio device of this kind is."""
    for n in range(24):
        if int(q.cmd("readl", 0xd0000000 + n * 512 + 8)[0], 16) == device_id:
            return 0xd0000000 + n * 512 + 0x100
    raise AssertionError(f"no virtio device {device_id}")


@test
def identities():
    """What the new command line says of a copy wins: UUID, CID, MAC, sockets, disks, clock"""
    with tempfile.TemporaryDirectory(prefix="qt-") as folder:
        for name in "ab":
            with open(os.path.join(folder, name), "wb") as disk:
                disk.truncate(1 << 20)

        def of(name, cid, uuid, *args):
            return machine(
                "-uuid", uuid, "-drive", f"if=none,id=d,format=raw,file={folder}/{name}",
                "-device", "virtio-blk-device,drive=d", "-chardev",
                f"socket,id=c,path={folder}/{name}.c,server=on,wait=off", "-serial", "chardev:c",
                "-device", f"virtio-vsock-device,guest-cid={cid},uds-path={folder}/{name}.v",
                "-netdev", "hubport,id=n,hubid=0",
                "-device", f"virtio-net-device,netdev=n,mac=52:54:00:00:00:{cid:02x}",
                "-machine", "acpi=on,rtc=on", *args, devices=[])

        first, second = ("%08d-1111-2222-3333-444444444444" % n for n in (1, 2))
        with of("a", 3, first) as vm:
            save(vm.qmp(), f"file:{vm.path('saved')}")
            with of("b", 7, second, "-incoming", f"file:{vm.path('saved')}") as copy:
                qmp, q = copy.qmp(), QTest(copy)
                loaded(qmp)
                assert qmp.cmd("query-uuid")["UUID"] == second
                assert int(q.cmd("readl", config_of(q, 19))[0], 16) == 7
                at = config_of(q, 1) + 5
                assert int(q.cmd("readb", at)[0], 16) == 3      # as the guest has seen it
                q.cmd("writel", config_of(q, 1) - 0x100 + 0x70, 0)
                assert int(q.cmd("readb", at)[0], 16) == 7      # after its reset of the card
                assert qmp.cmd("query-block")[0]["inserted"]["file"] == f"{folder}/b"
                assert os.path.exists(f"{folder}/b.c") and os.path.exists(f"{folder}/b.v")
                q.outb(0x70, 9)
                year = q.inb(0x71)
                assert year == int(time.strftime("%y", time.gmtime()), 16), year


def loopback():
    """An address of this machine, of IPv6 if it has that, and a port that is free there."""
    for family, host, text in ((socket.AF_INET6, "::1", "[::1]"),
                               (socket.AF_INET, "127.0.0.1", "127.0.0.1")):
        try:
            with socket.socket(family) as probe:
                probe.bind((host, 0))
                return text, probe.getsockname()[1]
        except OSError:
            pass
    raise qemutest.Skip("there is no loopback")


@test
def channels():
    """exec:, unix:, tcp: and fd:, both ways; what -S and the saved run state say"""
    with machine(*PROGRAMS) as vm:
        qmp = vm.qmp()
        path = vm.path("saved")
        save(qmp, f"exec:cat > {path}")
        assert qmp.error("migrate", uri="file:/x")[1].startswith("Can't migrate the vm that was")
        with machine("-incoming", f"exec:cat {path}", "-S") as other:
            oq = other.qmp()
            finished(oq)
            assert oq.cmd("query-status")["status"] == "paused"
            assert "Guest is waiting" not in repr(oq.cmd("query-migrate"))
        qmp.cmd("cont")
        # As libvirt restores: a descriptor that no option names.
        with open(path, "rb") as file, \
                machine("-incoming", "defer", pass_fds=[file.fileno()]) as other:
            other.qmp().cmd("migrate-incoming", uri=f"fd:{file.fileno()}")
            loaded(other.qmp())
        with machine("-incoming", "defer") as other:
            oq = other.qmp()
            assert oq.cmd("query-status")["status"] == "inmigrate"
            assert oq.error("migrate", uri="file:/x")[1] == \
                "Guest is waiting for an incoming migration"
            oq.cmd("migrate-incoming", uri=f"unix:{other.path('in')}")
            assert oq.error("migrate-incoming", uri="unix:/x")[1] == \
                "The incoming migration has already been started"
            save(qmp, f"unix:{other.path('in')}")
            loaded(oq)
            # On to a third one, by a descriptor.
            left, right = socket.socketpair()
            with machine("-incoming", f"fd:{right.fileno()}", pass_fds=[right.fileno()]) as third:
                oq.send_fds('{"execute": "getfd", "arguments": {"fdname": "out"}}',
                            [left.fileno()])
                oq.receive()
                left.close()
                right.close()
                save(oq, "fd:out")
                loaded(third.qmp())
        host, port = loopback()
        qmp.cmd("cont")
        qmp.cmd("stop")
        with machine("-incoming", f"tcp:{host}:{port}") as other:
            oq = other.qmp()        # it answers, so it listens
            save(qmp, f"tcp:{host}:{port}")
            finished(oq)
            assert oq.cmd("query-status")["status"] == "paused"     # as it was saved


class RNG:
    """The driver of a virtio-rng device: one queue, its rings in two pages."""

    def __init__(self, q, base, rings):
        self.q, self.base, self.rings, self.used = q, base, rings, 0
        q.write(rings, bytes(8192))
        for reg, value in [(0x70, 1), (0x70, 3), (0x24, 1), (0x20, 1), (0x24, 0), (0x20, 0),
                           (0x70, 11), (0x30, 0), (0x38, 8), (0x80, rings), (0x84, 0),
                           (0x90, rings + 256), (0x94, 0), (0xa0, rings + 4096), (0xa4, 0),
                           (0x44, 1), (0x70, 15)]:
            q.cmd("writel", base + reg, value)

    def read(self, addr, size):
        """Have the device fill memory."""
        self.q.write(self.rings, struct.pack("<QIHH", addr, size, 2, 0))
        self.used += 1
        self.q.write(self.rings + 256, struct.pack("<HHH", 0, self.used, 0))
        self.q.cmd("writel", self.base + 0x50, 0)
        end = time.monotonic() + PATIENCE
        while struct.unpack("<H", self.q.read(self.rings + 4098, 2))[0] != self.used:
            assert time.monotonic() < end


def transferred(qmp, least):
    """So much is on the channel."""
    end = time.monotonic() + PATIENCE
    while qmp.cmd("query-migrate").get("ram", {}).get("transferred", 0) < least:
        assert time.monotonic() < end
        time.sleep(0.005)


def status(qmp, wanted):
    end = time.monotonic() + PATIENCE
    while qmp.cmd("query-migrate")["status"] != wanted:
        assert time.monotonic() < end, qmp.cmd("query-migrate")
        time.sleep(0.005)


CAPS = ("events", "pause-before-switchover")


@test
def live():
    """What is written while RAM is on its way arrives: by CPUs, by devices; then the switch-over"""
    args = ["-device", "virtio-rng-device"]
    with machine(devices=args) as vm, machine("-incoming", "defer", devices=args) as other:
        qmp, q, oq = vm.qmp(), QTest(vm), other.qmp()
        q.write(0x102000, b"\x55" * 0x200000)
        rng = RNG(q, 0xd0000000, 0x100000)
        oq.cmd("migrate-incoming", uri=f"unix:{other.path('in')}")
        qmp.cmd("migrate-set-capabilities",
                capabilities=[{"capability": cap, "state": True} for cap in CAPS])
        qmp.cmd("migrate-set-parameters", max_bandwidth=200000)
        qmp.cmd("migrate", uri=f"unix:{other.path('in')}")
        transferred(qmp, 1 << 20)       # the first MiB has been sent, the rest waits
        assert qmp.cmd("query-status")["status"] == "running"
        for n in range(3):
            q.write(0x110000 + n * 0x11000, b"later")
            rng.read(0x180000 + n * 0x4000, 0x1800)
        q.cmd("memset", 0x400000, 3 << 20, 7)       # a second round is worth while
        info = qmp.cmd("query-migrate")
        assert info["status"] == "active" and info["ram"]["remaining"] > 1 << 20, info
        assert info["expected-downtime"] >= 0 and info["ram"]["dirty-sync-count"] == 1, info
        assert qmp.error("migrate-continue", state="pre-switchover")[1] == \
            "Migration not in expected state: active"
        qmp.cmd("migrate-set-parameters", max_bandwidth=0)
        status(qmp, "pre-switchover")
        assert qmp.cmd("query-status")["status"] == "finish-migrate"
        assert oq.cmd("query-status")["status"] == "inmigrate"
        qmp.cmd("migrate-continue", state="pre-switchover")
        assert finished(qmp)["status"] == "completed"
        loaded(oq)
        assert QTest(other).read(0x100000, 0x100000) == q.read(0x100000, 0x100000)
        assert QTest(other).read(0x6ffff0, 32) == b"\7" * 16 + bytes(16)
        states = [e["data"]["status"] for e in qmp.events if e["event"] == "MIGRATION"]
        assert states == ["setup", "active", "pre-switchover", "device", "completed"], states
        assert [e["data"]["pass"] for e in qmp.events if e["event"] == "MIGRATION_PASS"] == [1, 2]


@test
def images():
    """Both sides have a disk's image open, one of them at a time may write to it"""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "disk")
        for kind in ("raw", "qcow2"):
            subprocess.run(["qemu-img", "create", "-q", "-f", kind, path, "1M"], check=True)
            disk = ["-blockdev", f"file,node-name=f,filename={path}",
                    "-blockdev", f"{kind},node-name=d,file=f",
                    "-device", "virtio-blk-device,drive=d"]
            with machine(devices=disk) as vm, \
                    machine("-incoming", f"unix:{vm.path('in')}", devices=disk) as other:
                qmp, oq = vm.qmp(), other.qmp()
                assert "is inactive" in oq.error("block_resize", node_name="d", size=1 << 21)[1]
                save(qmp, f"unix:{vm.path('in')}")
                loaded(oq)
                assert "Failed to get" in qmp.error("cont")[1]
                assert qmp.cmd("query-status")["status"] == "postmigrate"
                assert "is inactive" in qmp.error("block_resize", node_name="d", size=1 << 21)[1]
                oq.cmd("block_resize", node_name="d", size=1 << 21)
                # Back again, and then it is the first one's.
                oq.cmd("quit")
                other.wait()
                qmp.cmd("cont")
                assert qmp.cmd("query-status")["status"] == "running"
                qmp.cmd("block_resize", node_name="d", size=1 << 22)
                # Whoever fails keeps the image.
                answer = qmp.execute("migrate", {"uri": f"unix:{vm.path('none')}"})
                assert "error" in answer or finished(qmp)["status"] == "failed"
                assert qmp.cmd("query-status")["status"] == "running"
                qmp.cmd("block_resize", node_name="d", size=5 << 20)
            if kind == "qcow2":
                subprocess.run(["qemu-img", "check", "-q", path], check=True)


@test
def filled():
    """A disk is written by NBD before its guest comes, which ends that; no other side's disk is"""
    with tempfile.TemporaryDirectory(prefix="qt-") as folder:
        def disk(name):
            return ["-blockdev", f"file,node-name=f,filename={folder}/{name}",
                    "-blockdev", "qcow2,node-name=d,file=f", "-device",
                    "virtio-blk-device,drive=d"]

        for name in "ab":
            subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", f"{folder}/{name}", "1M"],
                           check=True)
        with open(f"{folder}/data", "wb") as data:
            data.write(b"filled".ljust(4096) * 256)
        with machine(devices=disk("a")) as vm, \
                machine("-incoming", f"unix:{folder}/in", devices=disk("b")) as other, \
                machine("-incoming", "defer", devices=disk("a")) as third:
            qmp, oq, tq = vm.qmp(), other.qmp(), third.qmp()
            for q, name in ((oq, "n"), (tq, "t")):
                q.cmd("nbd-server-start",
                      addr={"type": "unix", "data": {"path": f"{folder}/{name}"}})
            export = {"id": "x", "type": "nbd", "node_name": "d", "writable": True}
            assert "Failed to get" in tq.error("block-export-add", **export)[1]
            oq.cmd("block-export-add", **export)
            assert "use" in oq.error("block-export-add", **{**export, "id": "y", "name": "y"})[1]
            subprocess.run(["qemu-img", "convert", "-n", "-f", "raw", "-O", "raw",
                            f"{folder}/data", f"nbd:unix:{folder}/n:exportname=d"], check=True)
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(f"{folder}/n")       # one that stays
                save(qmp, f"unix:{folder}/in")
                loaded(oq)
            assert oq.cmd("query-block-exports") == []
            oq.cmd("nbd-server-stop")
            oq.cmd("block_resize", node_name="d", size=2 << 20)
        subprocess.run(["qemu-img", "compare", "-q", "-f", "qcow2", "-F", "raw", f"{folder}/b",
                        f"{folder}/data"], check=True)


@test
def given_up():
    """Cancelled or cut off at any time: the guest goes on here, and can be sent once more"""
    args = ["-device", "virtio-rng-device"]
    with machine(devices=args) as vm:
        qmp, q = vm.qmp(), QTest(vm)
        q.write(0x100000, b"\x55" * 0x400000)
        qmp.cmd("migrate-set-capabilities", capabilities=[
            {"capability": cap, "state": True} for cap in (*CAPS, "auto-converge")])
        for when in ("connecting", "sending", "pre-switchover"):
            for how in ("cancel", "cut"):
                path = vm.path(f"in-{when}-{how}")
                with socket.socket(socket.AF_UNIX) as peer:
                    peer.bind(path)
                    peer.listen(1)
                    qmp.cmd("migrate-set-parameters",
                            max_bandwidth=0 if when == "pre-switchover" else 200000)
                    qmp.cmd("migrate", uri=f"unix:{path}")
                    conn = peer.accept()[0]
                    drain = None
                    if when == "sending":
                        transferred(qmp, 1)
                    elif when == "pre-switchover":
                        drain = threading.Thread(target=read_all, args=[conn])
                        drain.start()
                        status(qmp, "pre-switchover")
                    if how == "cancel":
                        qmp.cmd("migrate_cancel")
                    else:
                        qmp.cmd("migrate-set-parameters", max_bandwidth=0)
                        conn.shutdown(socket.SHUT_RDWR)
                    info = finished(qmp)
                    assert info["status"] == ("cancelled" if how == "cancel" else "failed"), info
                    assert qmp.cmd("query-status")["status"] == "running", (when, how)
                    conn.close()
                    if drain:
                        drain.join()
        with machine("-incoming", f"unix:{vm.path('in')}", devices=args) as other:
            qmp.cmd("migrate-set-parameters", max_bandwidth=0)
            qmp.cmd("migrate-set-capabilities", capabilities=[
                {"capability": "pause-before-switchover", "state": False}])
            other.qmp()
            save(qmp, f"unix:{vm.path('in')}")
            loaded(other.qmp())
            assert QTest(other).read(0x100000, 0x1000) == b"\x55" * 0x1000


class Reader:
    """Somebody who takes a machine and never says that it is there; gone at the end."""

    def __init__(self, path):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(1)
        self.conn = self.thread = None

    def __enter__(self):
        return self

    def take(self):
        """Who sends has connected."""
        self.conn = self.listener.accept()[0]
        self.thread = threading.Thread(target=read_all, args=[self.conn])
        self.thread.start()

    def hang_up(self):
        self.conn.shutdown(socket.SHUT_RDWR)

    def __exit__(self, *_):
        if self.conn:
            self.hang_up()
            self.thread.join()
            self.conn.close()
        self.listener.close()


def still(qmp):
    """The guest stands still for the switch-over."""
    status(qmp, "pre-switchover")
    assert qmp.cmd("query-status")["status"] == "finish-migrate"


@test
def stopped_late():
    """"stop" while the guest stands still to be sent: it stays so, here and at the other side"""
    with machine() as vm:
        qmp = vm.qmp()
        qmp.cmd("migrate-set-capabilities", capabilities=[
            {"capability": cap, "state": True} for cap in CAPS])
        for n, (cmds, state) in enumerate([
                (["stop"], "paused"), ([], "running"),
                (["migrate-continue", "stop"], "paused"), (["migrate-continue"], "running")]):
            path = vm.path(f"reader-{n}")
            with Reader(path) as reader:
                qmp.cmd("migrate", uri=f"unix:{path}")
                reader.take()
                still(qmp)
                for cmd in cmds:
                    qmp.cmd(cmd, **({"state": "pre-switchover"} if "-" in cmd else {}))
                reader.hang_up()
                assert finished(qmp)["status"] == "failed"
            assert qmp.cmd("query-status")["status"] == state, cmds
            qmp.cmd("cont")
            assert qmp.cmd("query-status")["status"] == "running"
        with machine("-incoming", f"unix:{vm.path('in')}") as other:
            oq = other.qmp()        # it listens
            qmp.cmd("migrate", uri=f"unix:{vm.path('in')}")
            still(qmp)
            qmp.cmd("stop")
            qmp.cmd("migrate-continue", state="pre-switchover")
            assert finished(qmp)["status"] == "completed"
            assert finished(oq)["status"] == "completed"
            assert oq.cmd("query-status")["status"] == "paused"
            oq.cmd("cont")
            assert oq.cmd("query-status")["status"] == "running"


class Relay:
    """Between source and destination: passes on what is allowed, in both directions."""

    def __init__(self, path, target, down, up):
        """So many bytes of what the source says, and of what is answered."""
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(1)
        self.target, self.limits = target, {"down": down, "up": up}
        self.left, self.right, self.threads = None, socket.socket(socket.AF_UNIX), []
        self.full = threading.Event()       # more has come than is allowed
        self.over = threading.Event()       # then no side hears of the other's end before this
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        self.left = self.listener.accept()[0]
        self.right.connect(self.target)
        ways = (self.left, self.right, "down"), (self.right, self.left, "up")
        self.threads = [threading.Thread(target=self.pump, args=way) for way in ways]
        for thread in self.threads:
            thread.start()

    def pump(self, source, sink, way):
        try:
            while True:
                data = source.recv(1 << 16)
                if not data:
                    break
                passed = data[:self.limits[way]]
                sink.sendall(passed)
                self.limits[way] -= len(passed)
                if len(passed) < len(data):
                    self.full.set()
                    while source.recv(1 << 16):
                        pass
                    self.over.wait()
                    break
        except OSError:
            pass
        self.cut()

    def cut(self):
        """The connection is gone."""
        self.over.set()
        for end in (self.left, self.right):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.thread.join()
        self.cut()
        for thread in self.threads:
            thread.join()
        for end in (self.left, self.right, self.listener):
            end.close()


def is_written(path):
    """Somebody may write to the image: the byte that stands for this permission is locked."""
    return is_locked(path, 101, 1)


ALL = 1 << 40
HEADER = 24                     # of a section: an answer is no more
YOURS = "all but the last"      # what the source says at the end is missing


def send_and_break(folder, disk, moment, how):
    """A machine is sent, and something dies at this moment."""
    relayed = f"{folder}/relay"
    with machine(devices=disk) as vm, \
            machine("-incoming", f"unix:{folder}/in", devices=disk) as other:
        qmp = vm.qmp()
        other.qmp()
        down, up = moment
        if down == YOURS:
            # As much as a machine is, which is known from the one before.
            down = send_and_break.size - HEADER
        relay = Relay(relayed, f"{folder}/in", down, up)
        qmp.cmd("migrate-set-parameters", max_bandwidth=0)
        qmp.cmd("migrate", uri=f"unix:{relayed}")
        assert relay.full.wait(PATIENCE)
        if how == "destination":
            other.proc.kill()
        elif how == "connection":
            relay.cut()
        elif how == "source":
            vm.proc.kill()
        else:
            qmp.cmd("migrate_cancel")
        relay.over.set()
        assert other.proc.wait(PATIENCE) == (-9 if how == "destination" else 1), (moment, how)
        if how != "source":
            info = finished(qmp)
            if moment[0] == YOURS:
                # It has been given away: nobody runs it but whoever says so.
                assert info["status"] == "completed", info
                assert qmp.cmd("query-status")["status"] == "postmigrate"
                assert not is_written(f"{folder}/disk")
                qmp.cmd("cont")
            else:
                assert info["status"] == ("cancelled" if how == "cancel" else "failed"), info
            assert qmp.cmd("query-status")["status"] == "running", (moment, how)
            assert is_written(f"{folder}/disk")
            qmp.cmd("block_resize", node_name="d", size=2 << 20)
        else:
            vm.proc.wait()
            assert not is_written(f"{folder}/disk")
        relay.close()
        os.unlink(relayed)


@test
def one_side():
    """Whatever dies, whenever: the guest runs on one side, which alone has the image"""
    with tempfile.TemporaryDirectory(prefix="qt-") as folder:
        path = os.path.join(folder, "disk")
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "1M"], check=True)
        disk = ["-blockdev", f"file,node-name=f,filename={path}",
                "-blockdev", "qcow2,node-name=d,file=f", "-device", "virtio-blk-device,drive=d"]
        send_and_break.size = size_of_stream(folder, disk)
        # In the header, in a part; all is there and not yet confirmed, or not yet given.
        moments = [(16, ALL), (send_and_break.size - 2 * HEADER - 100, ALL),
                   (ALL, 0), (ALL, 10), (YOURS, ALL)]
        for moment in moments:
            for how in ("destination", "connection", "cancel", "source"):
                if moment[0] != YOURS or how != "cancel":
                    send_and_break(folder, disk, moment, how)


def size_of_stream(folder, disk):
    """Bytes that a source says when all goes well."""
    with machine(devices=disk) as vm, \
            machine("-incoming", f"unix:{folder}/in", devices=disk) as other:
        other.qmp()
        relay = Relay(f"{folder}/relay", f"{folder}/in", ALL, ALL)
        save(vm.qmp(), f"unix:{folder}/relay")
        loaded(other.qmp())
        relay.close()
        os.unlink(f"{folder}/relay")
        return ALL - relay.limits["down"]


@test
def refused_there():
    """What the destination has against a machine is what the source says; its guest goes on"""
    with tempfile.TemporaryDirectory(prefix="qt-") as folder:
        for name in "ab":
            with open(os.path.join(folder, name), "wb") as file:
                file.truncate(1 << 20)

        def disk(name):
            return ["-drive", f"if=none,id=d,format=raw,file={folder}/{name}",
                    "-device", "virtio-blk-device,drive=d"]

        with machine(*disk("a")) as vm, machine(*disk("b")):
            qmp = vm.qmp()
            caps = [{"capability": "return-path", "state": True}]
            qmp.cmd("migrate-set-capabilities", capabilities=caps)
            for args, why in ((disk("b"), "Failed to get"),
                              (disk("a") + ["-smp", "2"], "the saved machine is another one")):
                with machine("-incoming", f"unix:{folder}/in", *args) as other:
                    other.qmp()
                    qmp.cmd("migrate", uri=f"unix:{folder}/in")
                    info = finished(qmp)
                    assert info["status"] == "failed", info
                    assert f"the other side: {why}" in info["error-desc"], info
                    assert qmp.cmd("query-status")["status"] == "running"
                    assert other.proc.wait(PATIENCE) == 1
            # Nobody can answer what goes one way.
            assert "needs a socket" in qmp.error("migrate", uri=f"file:{folder}/saved")[1]
            assert not os.path.exists(f"{folder}/saved")
        # A socket that is read into a file gets no machine.
        with machine(devices=disk("a")) as vm, socket.socket(socket.AF_UNIX) as peer:
            peer.bind(f"{folder}/sink")
            peer.listen(1)
            vm.qmp().cmd("migrate", uri=f"unix:{folder}/sink")
            conn = peer.accept()[0]
            conn.shutdown(socket.SHUT_WR)
            with open(f"{folder}/saved", "wb") as file:
                while data := conn.recv(1 << 16):
                    file.write(data)
            conn.close()
            assert finished(vm.qmp())["status"] == "failed"
            assert vm.qmp().cmd("query-status")["status"] == "running"
            text = refused("-incoming", f"file:{folder}/saved", devices=disk("b"))
            assert "waits for an answer" in text, text


def read_all(conn):
    while True:
        try:
            if not conn.recv(1 << 20):
                return
        except OSError:
            return


@test
def failures():
    """What fails costs nothing: the guest goes on, files are as they were"""
    with machine(*PROGRAMS) as vm:
        qmp = vm.qmp()
        path = vm.path("saved")
        with open(path, "w", encoding="ascii") as file:
            file.write("precious")
        qmp.cmd("migrate-set-capabilities", capabilities=[{"capability": "events",
                                                           "state": True}])
        qmp.cmd("migrate-set-parameters", max_bandwidth=1000)
        assert qmp.cmd("query-migrate-parameters")["max-bandwidth"] == 1000
        qmp.cmd("migrate", uri=f"file:{path}")
        assert qmp.error("migrate", uri="file:/x")[1] == "There's a migration process in progress"
        assert qmp.error("cont")[1] == "Migration is not finalized yet"
        assert qmp.error("system_reset")[1] == "Migration is not finalized yet"
        qmp.cmd("migrate_cancel")
        assert finished(qmp)["status"] == "cancelled"
        assert qmp.cmd("query-status")["status"] == "running"
        with open(path, encoding="ascii") as file:
            assert file.read() == "precious"
        assert not [name for name in os.listdir(vm.dir) if name.startswith("saved.")]
        qmp.cmd("migrate-set-parameters", max_bandwidth=0)
        for uri, why in [("exec:cat >/dev/null; exit 3", "(status 3)"),
                         ("file:/dev/full", "No space left on device"),
                         (f"unix:{path}.not", "No such file")]:
            answer = qmp.execute("migrate", {"uri": uri})
            info = finished(qmp)
            text = repr(answer) + info.get("error-desc", "")
            assert why in text, (uri, answer, info)
            assert qmp.cmd("query-status")["status"] == "running"
        assert qmp.error("migrate", uri="ftp:x")[1] == "unknown migration protocol: ftp:x"
        assert "not supported" in qmp.error("migrate-set-capabilities", capabilities=[
            {"capability": "multifd", "state": True}])[1]
        assert "does not accept" in qmp.error("migrate-set-capabilities", capabilities=[
            {"capability": "nonsense", "state": True}])[1]
        assert "not supported" in qmp.error("migrate-set-parameters", tls_creds="x")[1]
        qmp.cmd("migrate-set-parameters", block_bitmap_mapping=[])
        mapping = [{"node-name": "n", "alias": "n", "bitmaps": []}]
        assert "not supported" in qmp.error("migrate-set-parameters",
                                            block_bitmap_mapping=mapping)[1]
        states = [e["data"]["status"] for e in qmp.events if e["event"] == "MIGRATION"]
        assert states[:4] == ["setup", "active", "cancelling", "cancelled"], states


def refused(*args, devices=()):
    """What a process that cannot go on with a saved machine says."""
    vm = VM("-M", "microvm", "-accel", "qtest", *devices, *args, qmp=0)
    assert vm.proc.wait(PATIENCE) == 1
    text = vm.stderr()
    vm.kill()
    assert text.count("\n") == 1, text
    return text


@test
def other_machines():
    """A machine that is another one, a file that is no machine, a device that cannot be saved"""
    with VM("-device", "virtio-rng-device", machine="microvm") as vm:
        path = vm.path("saved")
        vm.qmp().cmd("migrate", uri=f"file:{path}")
        finished(vm.qmp())
        start = ["-incoming", f"file:{path}"]
        assert "134217728 bytes of RAM, this one 268435456" in refused("-m", "256", *start)
        text = refused(*start)
        assert "it has 'device " in text and "virtio-rng-device" in text, text
        text = refused(*start, devices=["-device", "virtio-rng-device,event_idx=off"])
        assert "does not have 'device 8 (virtio-rng-device).event_idx: off'" in text, text
        text = refused("-smp", "2", *start, devices=["-device", "virtio-rng-device"])
        assert "'cpus: 1 of 1" in text and "'cpus: 2 of 2" in text, text
        assert "No such file" in refused("-incoming", f"file:{path}.not")
        assert "no saved machine" in refused("-incoming", "file:/bin/sh")
        with open(path, "rb") as whole, open(path + ".cut", "wb") as cut:
            cut.write(whole.read()[:-100])
        assert "cut off" in refused("-incoming", f"file:{path}.cut",
                                    devices=["-device", "virtio-rng-device"])
    uds = ["-device", "virtio-vsock-device,guest-cid=3,uds-path=/tmp/qt-none-%d" % os.getpid()]
    with VM(*uds, "-only-migratable", machine="microvm") as vm:
        assert "blocked-reasons" not in vm.qmp().cmd("query-migrate")


def with_disk(vm_path, *args, **more):
    """A machine whose one disk has a place for snapshots."""
    return machine("-drive", f"if=none,id=d0,node-name=n0,format=qcow2,file={vm_path}",
                   "-device", "virtio-blk-device,drive=d0", *args, **more)


def job(qmp, command, name, **more):
    """What becomes of the job: its error, or None."""
    qmp.cmd(command, job_id=name, tag=name, devices=["n0"], **more)
    end = time.monotonic() + PATIENCE
    while True:
        found = [j for j in qmp.cmd("query-jobs") if j["id"] == name][0]
        if found["status"] == "concluded":
            qmp.cmd("job-dismiss", id=name)
            return found.get("error")
        assert time.monotonic() < end, found
        time.sleep(0.005)


@test
def snapshots():
    """savevm, loadvm, delvm, their jobs and -loadvm: the machine and its disk are as they were"""
    if not shutil.which("qemu-img"):
        raise qemutest.Skip("there is no qemu-img")
    with tempfile.TemporaryDirectory(prefix="qt-") as folder:
        image = os.path.join(folder, "disk.qcow2")
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", image, "8M"], check=True)
        with with_disk(image) as vm:
            qmp, q = vm.qmp(), QTest(vm)
            set_up(q)
            q.cmd("clock_step", 1234567)
            assert qmp.hmp("loadvm x") == \
                "Error: Snapshot 'x' does not exist in one or more devices\r\n"
            assert qmp.hmp("savevm first") == ""
            assert qmp.cmd("query-status")["status"] == "running"
            before = seen(vm, qmp, q)
            # Afterwards all is different; then it is as before.
            q.write(0x5000, bytes(4096))
            q.outb(0x3ff, 0x11)
            q.cmd("clock_step", 99)
            for _ in range(2):
                assert qmp.hmp("loadvm first") == ""
                assert seen(vm, qmp, q) == before
                set_up(q)
            assert job(qmp, "snapshot-save", "second", vmstate="n0") is None
            assert "already exists" in job(qmp, "snapshot-save", "second", vmstate="n0")
            assert "does not exist" in job(qmp, "snapshot-load", "third", vmstate="n0")
            assert "vmstate block device 'n1' does not exist" == \
                job(qmp, "snapshot-load", "second", vmstate="n1")
            assert job(qmp, "snapshot-load", "second", vmstate="n0") is None
            assert qmp.cmd("query-status")["status"] == "running"
            assert "second" in qmp.hmp("info snapshots")
            names = [(s["name"], s["vm-state-size"] > 4096) for s in
                     qmp.cmd("query-block")[0]["inserted"]["image"]["snapshots"]]
            assert names == [("first", True), ("second", True)], names
            qmp.cmd("stop")
            assert qmp.hmp("delvm second") == "" and qmp.hmp("savevm") == ""
            assert job(qmp, "snapshot-delete", "second") is None        # as QEMU: nothing to do
            assert qmp.cmd("query-status")["status"] == "paused"
        check = subprocess.run(["qemu-img", "check", image], capture_output=True, text=True,
                               check=True)
        assert "No errors were found" in check.stdout, check
        tool = os.path.join(os.path.dirname(GOLDEN), "../../scripts/snapshot-info")
        shown = subprocess.run([sys.executable, tool, image, "first"], capture_output=True,
                               text=True, check=True).stdout
        assert "part virtio-blk-device" in shown and "pages 8 KiB" in shown, shown
        with with_disk(image, "-loadvm", "first") as vm:
            qmp, q = vm.qmp(), QTest(vm)
            assert qmp.cmd("query-status")["status"] == "running"
            assert seen(vm, qmp, q) == before
        disk = ["-drive", f"if=none,id=d0,format=qcow2,file={image}", "-device",
                "virtio-blk-device,drive=d0"]
        assert "Snapshot 'x' does not exist in one or more devices" in refused(
            "-loadvm", "x", devices=disk)
        assert "the saved machine is another one" in refused("-loadvm", "first", devices=disk)
    with machine() as vm:
        assert vm.qmp().hmp("savevm x") == \
            "Error: no block device can store vmstate for snapshot\r\n"


def differences(vm, q, base, place):
    """A copy of base is saved beside it; what is wrong with that."""
    qmp, small = vm.qmp(), ["-device", "virtio-rng-device"]
    name, path = os.path.basename(base), place.path("difference")
    uri = f"file:{path},x-base={name}"
    assert "needs the capability mapped-ram" in qmp.error("migrate", uri=uri)[1]
    qmp.cmd("migrate-set-capabilities", capabilities=[{"capability": "mapped-ram", "state": True}])
    for wrong, why in ((f"file:{base},x-base={name}", "its own base"),
                       (f"file:{path},x-base=../{name}", "in the same folder"),
                       (f"file:{path},x-base=none", "No such file")):
        assert why in qmp.error("migrate", uri=wrong)[1], wrong
    q.write(0x200000, b"this has changed")
    save(qmp, uri)
    assert os.stat(path).st_blocks * 512 < 1 << 20
    text = subprocess.run([SNAPSHOT_INFO, path], check=True,
                          stdout=subprocess.PIPE, text=True).stdout
    assert f"base {name}, " in text and ": is there\nbeside its base: " in text, text
    with machine("-incoming", f"file:{path}", devices=small) as copy:
        loaded(copy.qmp())
        assert QTest(copy).read(0x200000, 16) == b"this has changed"
    with machine("-incoming", f"file:{path}", devices=[*small, "-mem-prealloc"]) as copy:
        loaded(copy.qmp())
        assert QTest(copy).read(0x200000, 16) == b"this has changed"
    with no_leaks():
        assert "can only come from a file" in refused(
            *PROGRAMS, "-incoming", f"exec:cat {path}", devices=small)
    os.rename(base, base + ".away")
    assert "No such file" in refused("-incoming", f"file:{path}", devices=small)
    with open(base + ".away", "rb") as old, open(base, "wb") as new:
        new.write(old.read(100))
    assert "base" in refused("-incoming", f"file:{path}", devices=small)
    os.rename(base + ".away", base)


@test
def mapped():
    """mapped-ram: a file that is mapped, by several machines at a time; not by a pipe"""
    small = ["-device", "virtio-rng-device"]
    with machine(*PROGRAMS, devices=small) as vm:
        qmp, q = vm.qmp(), QTest(vm)
        path = vm.path("saved")
        q.write(0x200000, b"once upon a time")
        qmp.cmd("migrate-set-capabilities", capabilities=[{"capability": "mapped-ram",
                                                           "state": True}])
        assert "cannot seek" in qmp.error("migrate", uri="exec:cat >/dev/null")[1]
        save(qmp, f"file:{path}")
        assert os.stat(path).st_size > 128 << 20 and os.stat(path).st_blocks * 512 < 16 << 20
        with machine("-incoming", f"file:{path}", devices=small) as one, \
                machine("-incoming", f"file:{path}", devices=small) as two:
            loaded(one.qmp())
            loaded(two.qmp())
            q1, q2 = QTest(one), QTest(two)
            q1.write(0x200000, b"something else  ")
            assert q1.read(0x200000, 16) == b"something else  "
            assert q2.read(0x200000, 16) == b"once upon a time"
            with open(f"/proc/{one.proc.pid}/maps", encoding="ascii") as maps:
                assert path in maps.read()
            differences(two, q2, path, vm)
        assert "can only come from a file" in refused(
            "-incoming", f"exec:cat {path}", devices=small)


@test
def dirty_rate():
    """How fast a guest writes: by samples and by the log, not while the log is needed"""
    small = ["-m", "8"]
    with machine(*small, devices=[]) as one, machine(*small, devices=[]) as two:
        q1, q2 = one.qmp(), two.qmp()
        assert q1.cmd("query-dirty-rate")["status"] == "unstarted"
        for args, why in (({"calc_time": 0}, "calc-time is out of range[1, 60]"),
                          ({"calc_time": 1, "sample_pages": 5}, "sample-pages is out of range"),
                          ({"calc_time": 1, "mode": "dirty-ring"}, "dirty ring is disabled"),
                          ({"calc_time": 1, "sample_pages": 512, "mode": "dirty-bitmap"},
                           "only in page-sampling mode")):
            assert why in q1.error("calc-dirty-rate", **args)[1], args
        q1.cmd("calc-dirty-rate", calc_time=1)
        q2.cmd("calc-dirty-rate", calc_time=1, mode="dirty-bitmap")
        assert "try again" in q1.error("calc-dirty-rate", calc_time=1)[1]
        assert "try again" in q2.error("migrate", uri=f"file:{two.path('saved')}")[1]
        writers, n = (QTest(one), QTest(two)), 0
        while "measuring" in (q1.cmd("query-dirty-rate")["status"],
                              q2.cmd("query-dirty-rate")["status"]):
            n += 1
            writers[0].cmd("memset", 0x100000, 6 << 20, n % 255 + 1)
            writers[1].cmd("memset", 0x100000, 4 << 20, n % 255 + 1)
            time.sleep(0.05)
        for qmp, most in ((q1, 6), (q2, 4)):
            info = qmp.cmd("query-dirty-rate")
            assert info["status"] == "measured" and info["calc-time"] == 1, info
            assert 0 < info["dirty-rate"] <= most, info
        assert "Dirty rate: " in q2.hmp("info dirty_rate")
        assert q2.hmp("calc_dirty_rate 60") == ""       # and ends in the middle of it
        save(q1, f"file:{one.path('saved')}")


@test
def hmp():
    """The same for people"""
    with VM(machine="microvm") as vm:
        assert "outside of what -sandbox allows" in vm.qmp().error("migrate", uri="exec:true")[1]
    with VM(*PROGRAMS, machine="microvm", hmp=1) as vm:
        qmp, hmp = vm.qmp(), vm.hmp()
        hmp.until("(qemu) ")
        assert qmp.hmp("info migrate") == ""
        assert qmp.hmp("migrate_set_capability mapped-ram on") == ""
        assert "mapped-ram: on\r\n" in qmp.hmp("info migrate_capabilities")
        assert qmp.hmp("migrate_set_capability mapped-ram off") == ""
        assert "not supported" in qmp.hmp("migrate_set_capability xbzrle on")
        assert qmp.hmp("migrate_set_parameter max-bandwidth 2") == ""
        assert "max-bandwidth: 2097152 bytes/second\r\n" in qmp.hmp("info migrate_parameters")
        assert qmp.hmp("migrate_set_parameter max-bandwidth 1G") == ""
        assert "Invalid size x" in qmp.hmp("migrate_set_parameter max-bandwidth x")
        hmp.send("migrate \"exec:cat >/dev/null; exit 1\"\n")
        assert "Error: the program has failed (status 1)" in hmp.until("\r\n(qemu) ")
        hmp.send(f"migrate file:{vm.path('saved')}\n")
        hmp.until("(qemu) ")
        assert "Migration status: completed" in qmp.hmp("info migrate")


def drain_dump(fd, qmp):
    """What a dump writes, until it is done."""
    os.set_blocking(fd, False)
    end = time.monotonic() + PATIENCE
    while qmp.cmd("query-dump")["status"] == "active":
        try:
            os.read(fd, 1 << 20)
        except BlockingIOError:
            time.sleep(0.001)
        assert time.monotonic() < end
    os.close(fd)


@test
def beside_a_dump():
    """A machine is dumped or sent, not both: it runs on one side; "stop" meanwhile is heeded"""
    with machine("-m", "16M", devices=[]) as vm:
        qmp = vm.qmp()
        for stop in (True, False):
            os.mkfifo(vm.path("fifo"))
            fd = os.open(vm.path("fifo"), os.O_RDWR)
            qmp.cmd("dump-guest-memory", paging=False, protocol=f"file:{vm.path('fifo')}",
                    detach=True)
            assert qmp.cmd("query-status")["status"] == "paused"
            assert qmp.error("migrate", uri=f"file:{vm.path('x')}")[1] == \
                "Live migration disabled: dump-guest-memory in progress"
            if stop:
                qmp.cmd("stop")
            drain_dump(fd, qmp)
            os.unlink(vm.path("fifo"))
            assert qmp.cmd("query-status")["status"] == ("paused" if stop else "running")
            qmp.cmd("cont")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(vm.path("sock"))
            listener.listen()
            qmp.cmd("migrate", uri=f"unix:{vm.path('sock')}")
            error = qmp.error("dump-guest-memory", paging=False, protocol="file:/dev/null")
            assert error[1] == "Dump not allowed during outgoing migration"
            qmp.cmd("migrate_cancel")
            assert finished(qmp)["status"] == "cancelled"
        qmp.cmd("dump-guest-memory", paging=False, protocol="file:/dev/null")
        with machine("-m", "16M", "-incoming", "defer", devices=[]) as other:
            assert other.qmp().error("dump-guest-memory", paging=False, protocol="file:/dev/null") \
                [1] == "Dump not allowed during incoming migration"


sys.exit(qemutest.run())
