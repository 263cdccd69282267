#!/usr/bin/env python3
"""Saving and loading machines: commands, channels, what devices hold. By qtest and QMP.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import socket
import sys
import time

import qemutest
from qemutest import PATIENCE, QTest, VM, test

GED_SELECTOR = 0xfea00000
PROGRAMS = ["-sandbox", "on,spawn=allow"]
DEVICES = ["-device", "i8042", "-device", "ib700", "-device", "pvpanic", "-serial", "null",
           "-device", "virtio-rng-device", "-device", "virtio-balloon-device",
           "-device", "virtio-net-device,mac=52:54:00:12:34:56",
           "-device", "virtio-serial-device", "-device", "virtconsole",
           "-machine", "acpi=on,rtc=on,pit=on,pic=on"]


def machine(*args, devices=DEVICES, **more):
    return VM(*devices, *args, machine="microvm", qtest=True, **more)


def finished(qmp):
    """What became of it."""
    end = time.monotonic() + PATIENCE
    while True:
        info = qmp.cmd("query-migrate")
        if info.get("status") not in ("setup", "active", "cancelling"):
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
    with machine() as vm:
        qmp, q = vm.qmp(), QTest(vm)
        set_up(q)
        q.cmd("clock_step", 1234567)
        path = vm.path("saved")
        info = save(qmp, f"file:{path}")
        assert info["ram"]["total"] == 128 << 20 and info["ram"]["remaining"] == 0, info
        assert os.stat(path).st_mode & 0o777 == 0o600
        before = seen(vm, qmp, q)
        with machine("-incoming", f"file:{path}", "-S") as other:
            oq = other.qmp()
            finished(oq)
            after = seen(other, oq, QTest(other))
            for a, b in zip(before, after):
                for one, two in zip(a.splitlines(), b.splitlines()):
                    assert one == two, (one, two)
    assert len(before) == len(after)


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
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        qmp.cmd("cont")
        qmp.cmd("stop")
        with machine("-incoming", f"tcp:127.0.0.1:{port}") as other:
            oq = other.qmp()        # it answers, so it listens
            save(qmp, f"tcp:127.0.0.1:{port}")
            finished(oq)
            assert oq.cmd("query-status")["status"] == "paused"     # as it was saved


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
        assert qmp.cmd("query-migrate-parameters") == {"max-bandwidth": 1000}
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
        assert "can only come from a file" in refused(
            "-incoming", f"exec:cat {path}", devices=small)


@test
def hmp():
    """The same for people"""
    with VM(machine="microvm") as vm:
        assert "outside of what -sandbox allows" in vm.qmp().error("migrate", uri="exec:true")[1]
    with VM(*PROGRAMS, machine="microvm", hmp=1) as vm:
        qmp, hmp = vm.qmp(), vm.hmp()
        hmp.until("(qemu) ")
        assert qmp.hmp("info migrate") == ""
        hmp.send("migrate \"exec:cat >/dev/null; exit 1\"\n")
        assert "Error: the program has failed (status 1)" in hmp.until("\r\n(qemu) ")
        hmp.send(f"migrate file:{vm.path('saved')}\n")
        hmp.until("(qemu) ")
        assert "Migration status: completed" in qmp.hmp("info migrate")


sys.exit(qemutest.run())
