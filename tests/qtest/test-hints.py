#!/usr/bin/env python3
"""Hints for people in front of a blank screen: test-hints.py QEMU prints TAP.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import pty
import re
import subprocess
import sys
import tempfile
import time

import qemutest
from qemutest import PATIENCE, QEMU, QTest, VM, pvh_kernel, test

FOLDER = tempfile.TemporaryDirectory(prefix="hints-")
KERNEL = pvh_kernel(FOLDER.name, "f4 eb fd")
# No handler for ud2: the IDT is at 0, which is empty. / With an IDT of no entries, as a reboot.
UD2 = "0f 0b"
REBOOT = "0f 01 1d 00 00 50 00 cc"


def machine(*args, hints="on", kernel=KERNEL, **more):
    return VM("-msg", f"hints={hints}", "-m", "16M", "-kernel", kernel, *args,
              machine="microvm", **more)


def hints(vm):
    return [line.split(": hint: ", 1)[1] for line in vm.stderr().splitlines() if ": hint:" in line]


def hints_at_start(append, *args, **more):
    with machine("-append", append, *args, **more) as vm:
        vm.qmp()
        return hints(vm)


@test
def consoles():
    """No console at all, console= that this machine does not have, and what is right"""
    lost = "no console is connected, what the guest prints is lost: use -nographic, or " \
        "-serial stdio, and console=ttyS0 in -append"
    serial = ["-serial", f"file:{FOLDER.name}/serial"]
    virtio = ["-chardev", f"file,id=c,path={FOLDER.name}/console", "-device",
              "virtio-serial-device", "-device", "virtconsole,chardev=c"]
    assert hints_at_start("") == [lost]
    assert hints_at_start("", "-serial", "null") == [lost]
    assert hints_at_start("console=ttyS0,115200 quiet", *serial) == []
    assert hints_at_start("console=hvc0 -- console=tty0", *virtio) == []
    assert hints_at_start("console=ttyS1", *serial, *serial) == []
    for wrong in ("ttyS1", "ttyS99", "ttyS0", "hvc1", "hvc0"):
        found = hints_at_start("console=" + wrong, *(virtio if wrong in ("ttyS0", "hvc1") else serial))
        assert len(found) == 1 and found[0].startswith(
            f"console={wrong} in -append: this machine has no such "), found
    found = hints_at_start("console=tty0 console=ttyAMA0 console=uart,io,0x3f8", *serial)
    assert [re.sub(": this machine has (no.*):.*", r" \1", line) for line in found] == \
        ["console=tty0 in -append no screen", "console=ttyAMA0 in -append no such port"], found


@test
def only_when_wanted():
    """Without a terminal there are none, on one there are, and hints=off is obeyed"""
    assert hints_at_start("", hints="off") == []
    for words, wanted in (([], True), (["-msg", "hints=off"], False),
                          (["-msg", "timestamp=off"], True)):
        leader, follower = pty.openpty()
        with subprocess.Popen([QEMU, "-M", "microvm", "-accel", "qtest", "-display", "none",
                               "-nodefaults", "-kernel", KERNEL, "-qmp", "stdio", *words],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=follower) as p:
            p.stdout.readline()
            out, _ = p.communicate(b'{"execute": "qmp_capabilities"} {"execute": "quit"}')
            assert p.returncode == 0, out
        os.write(follower, b"end")
        text = b""
        while not text.endswith(b"end"):
            text += os.read(leader, 4096)
        os.close(leader)
        os.close(follower)
        assert (b"hint: no console" in text) == wanted, text
    with VM(machine="microvm") as vm:           # nothing was said, and there is no terminal
        vm.qmp()
        assert hints(vm) == []


@test
def nothing_happens():
    """Up for 5 s: no word on the console, no look at virtio devices; each is said once"""
    devices = ["-device", "virtio-rng-device", "-device", "virtio-serial-device"]
    serial = ["-serial", f"file:{FOLDER.name}/serial"]
    for append, word in (("", "Linux wants console=ttyS0"), ("console=ttyS0", "earlyprintk=")):
        with machine("-append", append, *devices, *serial, qtest=True) as vm:
            t = QTest(vm)
            t.cmd("clock_step", 4900000000)
            assert hints(vm) == []
            t.cmd("clock_step", 60000000000)    # and what this host lets us wait
            found = hints(vm)
            assert len(found) == 2 and word in found[0] and "printed nothing" in found[0], found
            assert "has not looked at its virtio devices (2)" in found[1], found
            t.cmd("clock_step", 60000000000)
            assert len(hints(vm)) == 2
    with machine("-append", "", *devices, *serial, qtest=True) as vm:
        t = QTest(vm)
        t.outb(0x3f8, 0x41)
        t.cmd("writel", 0xd0000070, 1)          # a driver has seen the first
        t.cmd("clock_step", 6000000000)
        assert hints(vm) == []


def waited(vm):
    """What the program has waited for a processor, in seconds"""
    with open(f"/proc/{vm.proc.pid}/schedstat", encoding="ascii") as f:
        return int(f.read().split()[1]) / 1e9


@test
def busy_host():
    """A guest that does not get a processor is given its time"""
    serial = ["-serial", f"file:{FOLDER.name}/serial"]
    if not os.path.exists("/proc/self/schedstat"):
        return                          # a kernel that does not count it
    cpu = min(os.sched_getaffinity(0))
    with machine("-append", "console=ttyS0", *serial, qtest=True) as vm:
        t = QTest(vm)
        for pid in os.listdir(f"/proc/{vm.proc.pid}/task"):
            os.sched_setaffinity(int(pid), {cpu})
            os.sched_setscheduler(int(pid), os.SCHED_IDLE, os.sched_param(0))
        start = waited(vm)
        with subprocess.Popen(["taskset", "-c", str(cpu), "sh", "-c", "while :; do :; done"]) as busy:
            while waited(vm) - start < 0.3:
                t.inb(0x3f8)
            busy.kill()
        t.cmd("clock_step", 5100000000)
        assert hints(vm) == []
        t.cmd("clock_step", 60000000000)
        assert len(hints(vm)) == 1 and "printed nothing" in hints(vm)[0], hints(vm)


@test
def triple_faults():
    """Where, how often; a reboot by an empty IDT is none"""
    serial = ["-serial", f"file:{FOLDER.name}/serial"]
    with machine(*serial, accel="tcg", kernel=pvh_kernel(FOLDER.name, UD2)) as vm:
        end = time.monotonic() + PATIENCE
        while len(hints(vm)) < 2:
            assert time.monotonic() < end, vm.stderr()
            time.sleep(0.002)
        for found, n in zip(hints(vm), (1, 10)):
            assert found.startswith("triple fault of CPU 0 at RIP 0x100000, the guest's "
                                    f"{n}. so far:"), found
    for code, said in ((UD2, 1), (REBOOT, 0)):
        done = subprocess.run([QEMU, "-M", "microvm", "-accel", "tcg", "-display", "none",
                               "-no-reboot", "-msg", "hints=on", "-kernel",
                               pvh_kernel(FOLDER.name, code), *serial], timeout=PATIENCE,
                              stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                              check=True)
        assert done.stderr.count("hint: triple fault") == said, done.stderr


sys.exit(qemutest.run())
