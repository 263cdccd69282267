#!/usr/bin/env python3
"""Post-copy: a guest goes on in another process before its memory is there. By qtest and QMP.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import signal
import struct
import sys
import time

import qemutest
from qemutest import PATIENCE, QTest, test
from uffdtest import machine, may, need, wait_for

CAPS = ("events", "postcopy-ram")
DENIED = "Postcopy is not supported: this process may not use userfaultfd: it needs sysctl " \
    "vm.unprivileged_userfaultfd=1, access to /dev/userfaultfd, or CAP_SYS_PTRACE"
MIB = 1 << 20


def set_caps(qmp, on=True, names=CAPS):
    qmp.cmd("migrate-set-capabilities",
            capabilities=[{"capability": cap, "state": on} for cap in names])


def send(qmp, q, other):
    """Begin, so slowly that the first round does not end, and then let memory come late."""
    oq = other.qmp()
    set_caps(oq)
    oq.cmd("migrate-incoming", uri=f"unix:{other.path('in')}")
    set_caps(qmp)
    q.write(0x100000, b"before")
    q.cmd("memset", 0x200000, MIB, 0x55)
    # After that MiB there is no more for a while; later pages come when they are asked for alone.
    qmp.cmd("migrate-set-parameters", max_bandwidth=20000, max_postcopy_bandwidth=1)
    qmp.cmd("migrate", uri=f"unix:{other.path('in')}")
    end = time.monotonic() + PATIENCE
    while qmp.cmd("query-migrate").get("ram", {}).get("transferred", 0) < MIB:
        assert time.monotonic() < end
        time.sleep(0.005)
    return oq


def switch(qmp, oq):
    qmp.cmd("migrate-start-postcopy")
    wait_for(qmp, "postcopy-active")
    wait_for(oq, "postcopy-active")
    assert oq.cmd("query-status")["status"] == "running"


def rings(q, base, at):
    """A virtio-rng device with its one queue."""
    for reg, value in [(0x70, 1), (0x70, 3), (0x24, 1), (0x20, 1), (0x24, 0), (0x20, 0),
                       (0x70, 11), (0x30, 0), (0x38, 8), (0x80, at), (0x84, 0),
                       (0x90, at + 256), (0x94, 0), (0xa0, at + 4096), (0xa4, 0),
                       (0x44, 1), (0x70, 15)]:
        q.cmd("writel", base + reg, value)


def fill(q, base, at, addr, used):
    """Have the device write there; it reads its rings itself."""
    q.write(at, struct.pack("<QIHH", addr, 0x1800, 2, 0))
    q.write(at + 256, struct.pack("<HHH", 0, used, 0))
    q.cmd("writel", base + 0x50, 0)
    end = time.monotonic() + PATIENCE
    while struct.unpack("<H", q.read(at + 4098, 2))[0] != used:
        assert time.monotonic() < end


MEMORY = {
    "anonymous": [],
    "memfd": ["-object", "memory-backend-memfd,id=m,size=128M", "-machine", "memory-backend=m"],
    "file": ["-object", "memory-backend-file,id=m,size=128M,share=on,mem-path=/dev/shm",
             "-machine", "memory-backend=m"],
    "parts": ["-object", "memory-backend-ram,id=a,size=64M", "-object",
              "memory-backend-memfd,id=b,size=64M", "-numa", "node,memdev=a", "-numa",
              "node,memdev=b"],
}


def arrive(kind):
    """All of it comes, what is asked for first."""
    args = MEMORY[kind]
    with machine(*args) as vm, machine(*args, "-incoming", "defer") as other:
        qmp, q, to = vm.qmp(), QTest(vm), QTest(other)
        q.cmd("memset", 0x6000000, MIB, 0x66)
        rings(q, 0xd0000000, 0x7000000)
        oq = send(qmp, q, other)
        q.write(0x100000, b"behind")            # once it had been sent
        q.cmd("memset", 0x6000000, 0x2000, 0)   # and some has become zeros
        switch(qmp, oq)
        assert qmp.cmd("query-status")["status"] == "finish-migrate"
        assert "cannot be cancelled" in qmp.error("migrate_cancel")[1]
        assert "in progress" in oq.error("migrate", uri="file:/dev/null")[1]
        assert to.read(0x100000, 6) == b"behind"
        assert to.read(0x6001ff0, 32) == bytes(16) + b"\x66" * 16
        to.write(0x60fffff, b"there")           # over the end of what was set
        assert to.read(0x60ffffe, 7) == b"\x66there\0"
        fill(to, 0xd0000000, 0x7000000, 0x200800, 1)
        assert to.read(0x200000, 0x800) == b"\x55" * 0x800
        assert to.read(0x200800, 0x1800) != b"\x55" * 0x1800
        assert to.read(0x202000, 0x1000) == b"\x55" * 0x1000
        info = qmp.cmd("query-migrate")
        assert info["status"] == "postcopy-active" and info["downtime"] >= 0, info
        ram = info["ram"]
        assert ram["postcopy-requests"] >= 5 and ram["remaining"] > 64 * MIB, ram
        assert ram["postcopy-bytes"] < ram["transferred"], ram
        qmp.cmd("migrate-set-parameters", max_postcopy_bandwidth=0)
        assert wait_for(qmp, "completed", "failed")["status"] == "completed"
        wait_for(oq, "completed")
        assert qmp.cmd("query-status")["status"] == "postmigrate"
        assert "gone on elsewhere" in qmp.error("cont")[1]
        assert qmp.cmd("query-migrate")["ram"]["remaining"] == 0
        assert to.read(0x6002000, 0x1000) == b"\x66" * 0x1000
        assert to.read(0x203000, 0xfd000) == b"\x55" * 0xfd000
        for monitor, first in ((qmp, ["setup", "active"]), (oq, ["setup", "active"])):
            states = [e["data"]["status"] for e in monitor.events if e["event"] == "MIGRATION"]
            assert states == [*first, "postcopy-active", "completed"], states


@test
def arrives():
    """Pages come when they are touched, by CPUs and by devices, and the rest when it may"""
    need()
    for kind in MEMORY:
        arrive(kind)


@test
def broken():
    """One side dies: the guest runs on neither, and both say why; before that it runs here"""
    need()
    for how in ("source", "destination", "early", "parts"):
        with machine() as vm, machine("-incoming", "defer", qmp=1) as other:
            qmp, q = vm.qmp(), QTest(vm)
            q.cmd("memset", 0x6000000, MIB, 0x66)
            oq = send(qmp, q, other)
            if how == "early":
                other.kill()
                qmp.cmd("migrate-set-parameters", max_bandwidth=0)
                wait_for(qmp, "failed")
                assert qmp.cmd("query-status")["status"] == "running"
                continue
            if how == "parts":
                # It stays here as long as the other side has not loaded all: it stands still.
                set_caps(qmp, names=["pause-before-switchover"])
                os.kill(other.proc.pid, signal.SIGSTOP)
                qmp.cmd("migrate-start-postcopy")
                wait_for(qmp, "pre-switchover")
                qmp.cmd("migrate-continue", state="pre-switchover")
                qmp.cmd("migrate_cancel")
                wait_for(qmp, "cancelled")
                assert qmp.cmd("query-status")["status"] == "running"
                os.kill(other.proc.pid, signal.SIGCONT)
                assert other.proc.wait(PATIENCE) == 1
                text = other.stderr()
                assert text.count("\n") == 1 and "load of migration failed: " in text, text
                continue
            switch(qmp, oq)
            QTest(other).read(0x6000000, 16)
            if how == "source":
                vm.kill()
                assert other.proc.wait(PATIENCE) == 1
                text = other.stderr()
                assert text.count("\n") == 1 and "the guest is lost: " in text, text
                continue
            other.kill()
            info = wait_for(qmp, "failed")
            assert "post-copy has broken" in info["error-desc"], info
            assert qmp.cmd("query-status")["status"] == "postmigrate"
            assert "gone on elsewhere" in qmp.error("cont")[1]


@test
def not_needed():
    """The capability is on, and all comes in time"""
    need()
    with machine() as vm, machine("-incoming", "defer") as other:
        qmp, q, oq = vm.qmp(), QTest(vm), other.qmp()
        q.cmd("memset", 0x200000, MIB, 0x55)
        set_caps(oq)
        oq.cmd("migrate-incoming", uri=f"unix:{other.path('in')}")
        set_caps(qmp)
        qmp.cmd("migrate", uri=f"unix:{other.path('in')}")
        assert wait_for(qmp, "completed", "failed")["status"] == "completed"
        wait_for(oq, "completed")
        assert QTest(other).read(0x2fffff, 2) == b"\x55\0"


def say_no(qmp):
    return qmp.error("migrate-set-capabilities",
                     capabilities=[{"capability": "postcopy-ram", "state": True}])[1]


@test
def refused():
    """Where it cannot be had, or was not asked for in time, a line says so"""
    private = ["-object", "memory-backend-memfd,id=m,size=128M,share=off", "-machine",
               "memory-backend=m"]
    with machine("-incoming", "defer", *private) as other:
        assert "private mapping of a file" in say_no(other.qmp())
    with machine("-incoming", "defer") as other, machine() as vm:
        qmp, oq = vm.qmp(), other.qmp()
        if not may():
            assert say_no(oq) == DENIED
        assert "must be started after" in qmp.error("migrate-start-postcopy")[1]
        set_caps(qmp)
        assert "needs a socket" in qmp.error("migrate", uri=f"file:{vm.path('f')}")[1]
        oq.cmd("migrate-incoming", uri=f"unix:{other.path('in')}")
        qmp.cmd("migrate", uri=f"unix:{other.path('in')}")
        info = wait_for(qmp, "failed")
        assert "postcopy-ram, which is off here" in info["error-desc"], info
        assert qmp.cmd("query-status")["status"] == "running"
        assert other.proc.wait(PATIENCE) == 1
    with machine("-incoming", "defer") as other, machine() as vm:
        qmp = vm.qmp()
        other.qmp().cmd("migrate-incoming", uri=f"unix:{other.path('in')}")
        qmp.cmd("migrate-set-parameters", max_bandwidth=1000)
        qmp.cmd("migrate", uri=f"unix:{other.path('in')}")
        assert "before the start" in qmp.error("migrate-start-postcopy")[1]
        assert "before the start" in qmp.hmp("migrate_start_postcopy")
        qmp.cmd("migrate_cancel")
        wait_for(qmp, "cancelled")


sys.exit(qemutest.run())
