#!/usr/bin/env python3
"""background-snapshot: what a guest had is saved while it goes on. By qtest and QMP.

What qtest writes is written by the main thread, with all locks that it ever has.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import signal
import sys
import threading
import time

import qemutest
from qemutest import PATIENCE, QTest, test
from uffdtest import machine, may, need, wait_for

MIB = 1 << 20
SIZE = 128 * MIB
DENIED = "Background-snapshot is not supported: this process may not use userfaultfd: it needs " \
    "sysctl vm.unprivileged_userfaultfd=1, access to /dev/userfaultfd, or CAP_SYS_PTRACE"
MEMORY = {
    "anonymous": [],
    "memfd": ["-object", "memory-backend-memfd,id=m,size=128M", "-machine", "memory-backend=m"],
    "file": ["-object", "memory-backend-file,id=m,size=128M,share=on,mem-path=/dev/shm",
             "-machine", "memory-backend=m"],
    "parts": ["-object", "memory-backend-ram,id=a,size=64M", "-object",
              "memory-backend-memfd,id=b,size=64M", "-numa", "node,memdev=a", "-numa",
              "node,memdev=b"],
}


def set_caps(qmp, *names, on=True):
    qmp.cmd("migrate-set-capabilities",
            capabilities=[{"capability": name, "state": on} for name in names])


def say_no(qmp, *names):
    return qmp.error("migrate-set-capabilities",
                     capabilities=[{"capability": name, "state": True} for name in names])[1]


def start(qmp, uri):
    """Until the moment has passed: the guest has stopped for it, and goes on."""
    qmp.events.clear()
    qmp.cmd("migrate", uri=uri)
    end = time.monotonic() + PATIENCE
    while not any(e["event"] == "RESUME" for e in qmp.events):
        assert qmp.cmd("query-migrate")["status"] == "active"
        assert time.monotonic() < end
        time.sleep(0.002)


def running(qmp):
    return qmp.cmd("query-status")["status"] == "running"


def fill(q):
    """Three MiB of something and one page at the end of RAM; the rest was never touched."""
    q.cmd("memset", MIB, 3 * MIB, 0x55)
    q.write(SIZE - 4096, b"end")


def change(q):
    """Behind the writer, before it, where nothing was, from behind, and what was changed already."""
    q.write(MIB, b"changed")
    for at in range(4 * MIB - 4096, 2 * MIB, -4096):
        q.write(at + 100, b"changed")
    q.write(MIB, b"changed again")
    q.write(64 * MIB, b"changed")
    q.write(SIZE - 4096, b"changed")


def compare(q):
    """It is what fill() made of it."""
    assert q.read(MIB - 4096, 4096) == bytes(4096)
    assert q.read(MIB, 3 * MIB) == b"\x55" * (3 * MIB)
    assert q.read(4 * MIB, 4096) == bytes(4096)
    assert q.read(64 * MIB, 4096) == bytes(4096)
    assert q.read(SIZE - 4096, 4096) == b"end".ljust(4096, b"\0")


def moment(args, mapped):
    with machine(*args) as vm:
        qmp, q = vm.qmp(), QTest(vm)
        fill(q)
        set_caps(qmp, "events", "background-snapshot", *(["mapped-ram"] if mapped else []))
        # What is not waited for takes for ever, so that all of that is.
        qmp.cmd("migrate-set-parameters", max_bandwidth=1)
        start(qmp, f"file:{vm.path('saved')}")
        assert running(qmp)
        assert qmp.cmd("query-migrate")["status"] == "active"
        assert "in progress" in qmp.error("migrate", uri="file:/dev/null")[1]
        change(q)
        assert not os.path.exists(vm.path("saved"))
        qmp.cmd("migrate-set-parameters", max_bandwidth=0)
        info = wait_for(qmp, "completed", "failed")
        assert info["status"] == "completed", info
        assert running(qmp) and info["ram"]["remaining"] == 0, info
        assert info["ram"]["normal"] * 4096 <= 8 * MIB, info
        assert info["ram"]["normal"] + info["ram"]["duplicate"] == SIZE // 4096, info
        states = [e["data"]["status"] for e in qmp.events if e["event"] == "MIGRATION"]
        assert states == ["setup", "active", "completed"], states
        assert q.read(MIB, 13) == b"changed again"
        os.rename(vm.path("saved"), vm.path("first"))
        # Once more: what was changed is part of it, and nothing is left of before.
        q.cmd("memset", MIB, MIB, 0)
        qmp.cmd("migrate", uri=f"file:{vm.path('saved')}")
        assert wait_for(qmp, "completed", "failed")["status"] == "completed"
        with machine(*args, "-incoming", f"file:{vm.path('first')}") as other:
            oqmp = other.qmp()
            wait_for(oqmp, "completed")
            assert running(oqmp)
            compare(QTest(other))
            if mapped and args == []:
                assert "private mapping of a file" in say_no(oqmp, "background-snapshot")
        with machine(*args, "-incoming", f"file:{vm.path('saved')}") as other:
            oqmp, to = other.qmp(), QTest(other)
            wait_for(oqmp, "completed")
            assert to.read(MIB, MIB) == bytes(MIB)
            assert to.read(64 * MIB, 7) == b"changed"


@test
def as_of_the_moment():
    """Whatever is written afterwards: the file has what was there when the command came"""
    need()
    for kind, args in MEMORY.items():
        for mapped in (False, True):
            if kind in ("anonymous", "parts") or mapped:
                moment(args, mapped)


@test
def paused():
    """A guest that stands still does so afterwards; it may go on before all is saved"""
    need()
    with machine() as vm:
        qmp, q = vm.qmp(), QTest(vm)
        fill(q)
        set_caps(qmp, "background-snapshot")
        qmp.cmd("stop")
        qmp.cmd("migrate-set-parameters", max_bandwidth=1)
        qmp.cmd("migrate", uri=f"file:{vm.path('saved')}")
        assert qmp.cmd("query-status")["status"] == "paused"
        qmp.cmd("cont")
        change(q)
        assert running(qmp)
        qmp.cmd("migrate-set-parameters", max_bandwidth=0)
        assert wait_for(qmp, "completed", "failed")["status"] == "completed"
        assert running(qmp)
        with machine("-incoming", f"file:{vm.path('saved')}") as other:
            wait_for(other.qmp(), "completed")
            assert other.qmp().cmd("query-status")["status"] == "paused"
            compare(QTest(other))


class Reader(threading.Thread):
    """Reads a pipe into a file when it is told to."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.read_end, self.write_end = os.pipe()
        self.path = path

    def run(self):
        with open(self.read_end, "rb") as pipe, open(self.path, "wb") as file:
            while data := pipe.read(65536):
                file.write(data)


def send_to_pipe(vm, qmp):
    reader = Reader(vm.path("saved"))
    qmp.send_fds('{"execute": "getfd", "arguments": {"fdname": "pipe"}}', [reader.write_end])
    assert "return" in qmp.receive()
    os.close(reader.write_end)
    set_caps(qmp, "background-snapshot")
    start(qmp, "fd:pipe")
    return reader


@test
def pipe():
    """To a pipe that is read slowly, or not at all before much has been written"""
    need()
    with machine() as vm:
        qmp, q = vm.qmp(), QTest(vm)
        fill(q)
        qmp.cmd("migrate-set-parameters", max_bandwidth=0)
        reader = send_to_pipe(vm, qmp)
        change(q)
        assert qmp.cmd("query-migrate")["status"] == "active" and running(qmp)
        reader.start()
        assert wait_for(qmp, "completed", "failed")["status"] == "completed"
        reader.join(PATIENCE)
        with machine("-incoming", f"file:{vm.path('saved')}") as other:
            wait_for(other.qmp(), "completed")
            compare(QTest(other))


def fill_many(q, value):
    """More than is put aside."""
    for at in range(MIB, 33 * MIB, MIB):
        q.cmd("memset", at, MIB, value)


@test
def stuck():
    """Nobody reads, and more is written than can be put aside: the guest goes on after a while"""
    need()
    with machine() as vm:
        qmp, q = vm.qmp(), QTest(vm)
        fill_many(q, 0x55)
        reader = send_to_pipe(vm, qmp)
        fill_many(q, 0x66)      # nobody can give it up meanwhile
        info = wait_for(qmp, "failed", "completed")
        assert info["status"] == "failed", info
        assert "takes nothing while the guest waits" in info["error-desc"], info
        assert running(qmp)
        for at in range(MIB, 33 * MIB, MIB):
            assert q.read(at, MIB) == b"\x66" * MIB
        os.close(reader.read_end)


@test
def given_up():
    """Cancelled, the disk full, nobody there to read, the process ends: the guest has all it had"""
    need()
    with machine() as vm:
        qmp, q = vm.qmp(), QTest(vm)
        fill(q)
        fds = vm.fds()          # with both monitors' connections
        set_caps(qmp, "background-snapshot")
        qmp.cmd("migrate-set-parameters", max_bandwidth=1)
        for expected in ("cancelled", "failed", "failed"):
            if expected == "cancelled":
                start(qmp, f"file:{vm.path('saved')}")
                change(q)
                qmp.cmd("migrate_cancel")
            else:
                qmp.cmd("migrate-set-parameters", max_bandwidth=0)
                qmp.cmd("migrate", uri="file:/dev/full")
            info = wait_for(qmp, "cancelled", "failed", "completed")
            assert info["status"] == expected, info
            assert running(qmp)
            change(q)
            assert not os.path.exists(vm.path("saved"))
        reader = send_to_pipe(vm, qmp)
        os.close(reader.read_end)
        assert wait_for(qmp, "failed", "completed")["status"] == "failed"
        change(q)
        assert q.read(MIB, 13) == b"changed again" and q.read(MIB + 13, 1) == b"\x55"
        end = time.monotonic() + PATIENCE
        while vm.fds() != fds and time.monotonic() < end:
            time.sleep(0.01)
        assert vm.fds() == fds
        qmp.cmd("migrate-set-parameters", max_bandwidth=1)
        start(qmp, f"file:{vm.path('saved')}")
        q.write(3 * MIB, b"again")
        qmp.cmd("quit")
        assert vm.wait() == 0
    with machine() as vm:
        qmp, q = vm.qmp(), QTest(vm)
        fill(q)
        reader = send_to_pipe(vm, qmp)
        vm.proc.send_signal(signal.SIGTERM)
        assert vm.proc.wait(PATIENCE) == 0
        os.close(reader.read_end)


@test
def refused():
    """Where it cannot be had a line says so, and what it does not go with is named"""
    private = ["-object", "memory-backend-memfd,id=m,size=128M,share=off", "-machine",
               "memory-backend=m"]
    config = "Background-snapshot is not compatible with guest memory configuration: "
    with machine(*private) as vm:
        qmp = vm.qmp()
        assert say_no(qmp, "background-snapshot") == \
            config + "memory that is a private mapping of a file"
    with machine() as vm:
        qmp = vm.qmp()
        for name in ("auto-converge", "pause-before-switchover", "late-block-activate",
                     "return-path", "postcopy-ram"):
            assert say_no(qmp, "background-snapshot", name) == \
                f"Background-snapshot is not compatible with {name}"
        if not may():
            assert say_no(qmp, "background-snapshot") == DENIED
            return
        set_caps(qmp, "background-snapshot")
        assert say_no(qmp, "auto-converge") == \
            "Background-snapshot is not compatible with auto-converge"
        set_caps(qmp, "mapped-ram")
        qmp.cmd("migrate", uri=f"file:{vm.path('base')}")
        assert wait_for(qmp, "completed", "failed")["status"] == "completed"
        assert qmp.error("migrate", uri=f"file:{vm.path('more')},x-base=base")[1] == \
            "Background-snapshot is not compatible with x-base"
        assert running(qmp)
        caps = {c["capability"]: c["state"] for c in qmp.cmd("query-migrate-capabilities")}
        assert caps["background-snapshot"] and not caps["auto-converge"], caps
        set_caps(qmp, "background-snapshot", "mapped-ram", on=False)
        qmp.cmd("migrate", uri=f"file:{vm.path('all')}")
        assert wait_for(qmp, "completed", "failed")["status"] == "completed"
        assert qmp.cmd("query-status")["status"] == "postmigrate"


sys.exit(qemutest.run())
