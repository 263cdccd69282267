#!/usr/bin/env python3
"""Machines that are saved or sent without their RAM, which another process maps, too.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import sys
import tempfile
import time

import qemutest
from qemutest import PATIENCE, QTest, VM, test

SIZE = 64 << 20
CAP = "x-ignore-shared"
DATA = bytes(range(256)) * 16


def machine(folder, *args, share="on", path="/ram", backend="file", **more):
    """RAM is a file; share=None: the machine's own."""
    path = f",mem-path={folder}{path}" if backend == "file" else ""
    ram = [] if share is None else [
        "-object", f"memory-backend-{backend},id=ram,size={SIZE},share={share}{path}",
        "-machine", "memory-backend=ram"]
    return VM("-m", "64M", *ram, "-device", "virtio-rng-device", *args, machine="microvm",
              qtest=True, **more)


def set_caps(qmp, **caps):
    qmp.cmd("migrate-set-capabilities", capabilities=[
        {"capability": name.replace("_", "-"), "state": on} for name, on in caps.items()])


def ignore(*monitors):
    for qmp in monitors:
        set_caps(qmp, **{CAP: True})


def ended(qmp):
    """What became of it."""
    end = time.monotonic() + PATIENCE
    while True:
        info = qmp.cmd("query-migrate")
        if info.get("status") in ("completed", "failed", "cancelled"):
            return info
        assert time.monotonic() < end, info
        time.sleep(0.005)


def save(qmp, uri):
    qmp.cmd("migrate", uri=uri)
    info = ended(qmp)
    assert info["status"] == "completed", info
    return info


def contents(folder):
    with open(f"{folder}/ram", "rb") as file:
        return file.read()


@test
def in_place():
    """A machine goes on in another process, which maps the same RAM: nothing of it is sent"""
    with tempfile.TemporaryDirectory() as folder, machine(folder) as old:
        qmp, q = old.qmp(), QTest(old)
        q.write(0x5000, DATA)
        q.cmd("clock_step", 1234567)
        before = contents(folder)
        with machine(folder, "-incoming", f"unix:{folder}/sock") as new:
            other = new.qmp()
            ignore(qmp, other)
            info = save(qmp, f"unix:{folder}/sock")
            assert info["ram"]["transferred"] < 128 << 10, info
            assert info["ram"]["normal"] == info["ram"]["remaining"] == 0, info
            assert ended(other)["status"] == "completed"
            assert contents(folder) == before
            assert other.cmd("query-status")["status"] == "running"
            there = QTest(new)
            assert there.read(0x5000, 4096) == DATA
            there.write(0x5000, b"new")
            assert contents(folder)[0x5000:0x5004] == b"new\x03"
            qmp.cmd("quit")
            old.wait()


@test
def template():
    """Copies of a machine that was saved without its RAM map that file privately"""
    with tempfile.TemporaryDirectory() as folder:
        with machine(folder) as vm:
            qmp = vm.qmp()
            ignore(qmp)
            QTest(vm).write(0x5000, DATA)
            save(qmp, f"file:{folder}/state")
            qmp.cmd("quit")
            vm.wait()
        assert os.path.getsize(f"{folder}/state") < 128 << 10
        for text in (b"one", b"two"):
            with machine(folder, "-incoming", "defer", share="off") as vm:
                qmp, q = vm.qmp(), QTest(vm)
                ignore(qmp)
                qmp.cmd("migrate-incoming", uri=f"file:{folder}/state")
                assert ended(qmp)["status"] == "completed"
                assert q.read(0x5000, 4096) == DATA
                q.write(0x5000, text)
                assert q.read(0x5000, 4) == text + b"\x03"
        assert contents(folder)[0x5000:0x6000] == DATA


@test
def private():
    """RAM that nobody else can map is sent, capability or not"""
    for kind in ({"share": None}, {"share": "off"}, {"path": "/"}, {"backend": "memfd"}):
        with tempfile.TemporaryDirectory() as folder, machine(folder, **kind) as old:
            qmp = old.qmp()
            QTest(old).write(0x5000, DATA)
            if "share" in kind and kind["share"]:
                os.unlink(f"{folder}/ram")
            with machine(folder, "-incoming", f"unix:{folder}/sock", **kind) as new:
                other = new.qmp()
                ignore(qmp, other)
                assert save(qmp, f"unix:{folder}/sock")["ram"]["normal"] > 0, kind
                assert ended(other)["status"] == "completed"
                assert QTest(new).read(0x5000, 4096) == DATA


@test
def one_side():
    """Only one side leaves RAM where it is: refused there, and the guest goes on here"""
    has, has_not = (f"it {verb} 'RAM's contents: where they are'"
                    for verb in ("has", "does not have"))
    for here, more, text in ((True, {}, has), (False, {}, has_not), (True, {"share": None}, has),
                             (True, {"backend": "memfd"}, has), (True, {"path": "/new"}, has)):
        with tempfile.TemporaryDirectory() as folder, machine(folder) as old:
            qmp = old.qmp()
            QTest(old).write(0x5000, DATA)
            with machine(folder, "-incoming", f"unix:{folder}/sock", **more) as new:
                set_caps(qmp, **{CAP: here})
                set_caps(new.qmp(), **{CAP: not here or bool(more)})
                qmp.cmd("migrate", uri=f"unix:{folder}/sock")
                info = ended(qmp)
                assert info["status"] == "failed" and text in info["error-desc"], info
                assert new.proc.wait(PATIENCE) == 1
                assert text in new.stderr(), new.stderr()
            assert qmp.cmd("query-status")["status"] == "running"
            assert contents(folder)[0x5000:0x6000] == DATA


@test
def others():
    """What wants RAM to be sent or mapped does not go with it"""
    with tempfile.TemporaryDirectory() as folder, machine(folder) as vm:
        qmp = vm.qmp()
        for cap in ("mapped-ram", "postcopy-ram", "background-snapshot"):
            for first, second in ((CAP, cap), (cap, CAP)):
                error = qmp.error("migrate-set-capabilities", capabilities=[
                    {"capability": first, "state": True}, {"capability": second, "state": True}])
                assert "not compatible with" in error[1], error
        ignore(qmp)
        assert "not compatible with mapped-ram" in qmp.error(
            "migrate-set-capabilities",
            capabilities=[{"capability": "mapped-ram", "state": True}])[1]


sys.exit(qemutest.run())
