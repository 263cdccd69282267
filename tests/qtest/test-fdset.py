#!/usr/bin/env python3
"""Descriptor sets: -add-fd, add-fd and /dev/fdset/N. test-fdset.py QEMU prints TAP.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import json
import os
import socket
import subprocess
import sys
import tempfile

import qemutest
from qemutest import QEMU, VM, test

GENERIC = "GenericError"


def inherited(fds, *args):
    """The exit status and messages of a start with these descriptors that must fail."""
    done = subprocess.run([QEMU, "-M", "none", "-accel", "qtest", "-display", "none", "-nodefaults",
                           *args], pass_fds=fds, stdin=subprocess.DEVNULL, timeout=300,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    return done.returncode, done.stderr.decode()


def add_fd(c, file, **arguments):
    """add-fd with a file's descriptor; the answer."""
    c.send_fds(json.dumps({"execute": "add-fd", "arguments":
                           {k.replace("_", "-"): v for k, v in arguments.items()}}),
               [file.fileno()])
    return c.receive()


@test
def file_chardev():
    """-add-fd: a file chardev writes into the inherited file (libvirt's serial log)"""
    with tempfile.NamedTemporaryFile() as log, open(log.name, "wb") as out:
        out.write(b"before\n")
        out.flush()
        fd = out.fileno()
        with VM("-add-fd", f"fd={fd},set=3,opaque=serial0-log", "-chardev",
                "file,id=f,path=/dev/fdset/3,append=on", "-mon", "chardev=f",
                pass_fds=[fd]) as vm:
            c = vm.qmp()
            assert c.cmd("query-fdsets") == \
                [{"fdset-id": 3, "fds": [{"fd": fd, "opaque": "serial0-log"}]}]
            c.cmd("remove-fd", fdset_id=3)      # what was opened from it stays open
            assert c.cmd("query-fdsets") == []
        assert log.read().startswith(b"before\nQEMU 7.2"), "not appended"


@test
def pipe_chardev():
    """-add-fd: a pipe chardev talks over an inherited socket"""
    ours, theirs = socket.socketpair()
    with VM("-add-fd", f"set=0,fd={theirs.fileno()}", "-chardev", "pipe,id=p,path=/dev/fdset/0",
            "-mon", "chardev=p", pass_fds=[theirs.fileno()]):
        theirs.close()
        ours.settimeout(300)
        ours.sendall(b"info status\n")
        text = b""
        while b"VM status: running\r\n" not in text:
            text += ours.recv(4096)
    ours.close()


@test
def drives():
    """disks from sets: read-only and writable members, auto-read-only, no access"""
    with tempfile.NamedTemporaryFile(dir="/var/tmp") as disk:
        disk.truncate(1 << 20)
        ro, rw = os.open(disk.name, os.O_RDONLY), os.open(disk.name, os.O_RDWR)
        with VM("-add-fd", f"set=1,fd={ro}", "-add-fd", f"set=2,fd={rw}",
                "-drive", "if=none,id=a,format=raw,file=/dev/fdset/1,read-only=on,file.locking=off",
                "-drive", "if=none,id=b,format=raw,file=/dev/fdset/2,file.locking=off",
                "-blockdev", json.dumps({"driver": "raw", "node-name": "c", "read-only": False,
                                         "auto-read-only": True, "file": {
                                             "driver": "file", "filename": "/dev/fdset/1",
                                             "auto-read-only": True, "locking": "off"}}),
                "-device", "virtio-blk-device,drive=a", "-device", "virtio-blk-device,drive=b",
                "-device", "virtio-blk-device,drive=c",
                machine="microvm", pass_fds=[ro, rw]) as vm:
            nodes = [b["inserted"] for b in vm.qmp().cmd("query-block")]
            assert [n["ro"] for n in nodes] == [True, False, True], nodes
            assert all(n["image"]["virtual-size"] == 1 << 20 for n in nodes), nodes
        status, text = inherited([ro], "-add-fd", f"set=1,fd={ro}", "-blockdev",
                                 "file,node-name=n,filename=/dev/fdset/1")
        assert status == 1 and "Could not open '/dev/fdset/1': Permission denied" in text, text
        os.close(ro)
        os.close(rw)


@test
def refused():
    """wrong -add-fd options and unknown sets: one line, exit status 1"""
    with tempfile.TemporaryFile() as f:
        fd = f.fileno()
        for text, args in [
                ("fd option is required and must be non-negative", ["-add-fd", "set=1"]),
                ("set option is required and must be non-negative", ["-add-fd", f"fd={fd}"]),
                ("fd option is required and must be non-negative", ["-add-fd", "set=1,fd=-1"]),
                ("fd cannot be a standard I/O stream", ["-add-fd", "set=1,fd=1"]),
                ("fd is not valid or already in use", ["-add-fd", "set=1,fd=999"]),
                ("fd is not valid or already in use",
                 ["-add-fd", f"set=1,fd={fd}", "-add-fd", f"set=2,fd={fd}"]),
                ("Could not open '/dev/fdset/7': No such file or directory",
                 ["-add-fd", f"set=1,fd={fd}", "-chardev", "file,id=c,path=/dev/fdset/7"]),
                ("Invalid parameter 'nope'", ["-add-fd", f"set=1,fd={fd},nope=1"])]:
            status, err = inherited([fd], *args)
            assert status == 1 and text in err and err.count("\n") == 1, (args, err)


@test
def by_qmp():
    """add-fd, query-fdsets, remove-fd: numbers, texts, errors, nothing leaks"""
    with VM() as vm, tempfile.TemporaryFile() as f:
        c = vm.qmp()
        fds = vm.fds()
        first = add_fd(c, f)["return"]
        assert first["fdset-id"] == 0, first
        second = add_fd(c, f, fdset_id=5, opaque="x")["return"]
        third = add_fd(c, f)["return"]
        assert (second["fdset-id"], third["fdset-id"]) == (5, 1)
        add_fd(c, f, fdset_id=0)
        sets = {s["fdset-id"]: s["fds"] for s in c.cmd("query-fdsets")}
        assert sorted(sets) == [0, 1, 5] and len(sets[0]) == 2, sets
        assert sets[5] == [{"fd": second["fd"], "opaque": "x"}], sets
        assert vm.fds() == fds + 4
        c.cmd("chardev-add", id="k", backend={"type": "file", "data": {"out": "/dev/fdset/5"}})
        c.cmd("remove-fd", fdset_id=5, fd=second["fd"])
        c.cmd("chardev-remove", id="k")
        assert c.error("remove-fd", fdset_id=5) == \
            (GENERIC, "File descriptor named 'fdset-id:5' not found")
        assert c.error("remove-fd", fdset_id=0, fd=first["fd"] + 4096) == \
            (GENERIC, f"File descriptor named 'fdset-id:0, fd:{first['fd'] + 4096}' not found")
        assert c.error("remove-fd", fdset_id=0, fd=-1)[0] == GENERIC
        assert c.error("add-fd") == (GENERIC, "No file descriptor supplied via SCM_RIGHTS")
        assert add_fd(c, f, fdset_id=-2)["error"]["desc"] == \
            "Parameter 'fdset-id' expects a non-negative value"
        c.cmd("remove-fd", fdset_id=0)
        c.cmd("remove-fd", fdset_id=1)
        assert c.cmd("query-fdsets") == [] and vm.fds() == fds, (vm.fds(), fds)


@test
def many_at_once():
    """one message with 253 descriptors: one is taken, none leaks; a limit of 64 is survived"""
    with VM() as vm, tempfile.TemporaryFile() as f:
        c = vm.qmp()
        fds = vm.fds()
        c.send_fds('{"execute": "getfd", "arguments": {"fdname": "many"}}', [f.fileno()] * 253)
        assert c.receive() == {"return": {}}
        c.cmd("closefd", fdname="many")
        c.cmd("query-status")
        assert vm.fds() <= fds + 16, (fds, vm.fds())
        c.close()
        c = vm.qmp()
        assert vm.fds() == fds, (fds, vm.fds())
        subprocess.run(["prlimit", f"--pid={vm.proc.pid}", "--nofile=64"], check=True)
        answers = [add_fd(c, f) for _ in range(100)]
        assert "return" in answers[0] and "error" in answers[-1], answers
        assert c.cmd("query-status")["running"] is True


if __name__ == "__main__":
    sys.exit(qemutest.run())
