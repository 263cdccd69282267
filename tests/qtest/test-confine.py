#!/usr/bin/env python3
"""What the main thread can still do: files, sockets and programs, by what the command line says.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import ctypes
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

from qemutest import PATIENCE, QEMU, SANITIZED, VM, Skip, run, test

OUTSIDE = "outside of what -sandbox allows"
SYS_SECCOMP, SYS_LANDLOCK_CREATE_RULESET = 317, 444


def confined():
    """Builds with sanitizers confine nothing."""
    if SANITIZED:
        raise Skip("a sanitizer's run time makes calls of its own")


def without(number):
    """For preexec_fn: a kernel that does not know that system call."""
    code = ((0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, 0x50000 | 38),
            (0x06, 0, 0, 0x7fff0000))
    insns = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *i) for i in code))
    prog = struct.pack("HxxxxxxQ", len(code), ctypes.addressof(insns))

    def forget():
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.prctl(38, 1, 0, 0, 0) == 0
        assert libc.prctl(22, 2, prog, 0, 0) == 0

    forget.insns = insns    # kept as long as the function
    return forget


def alone(*args, **kwargs):
    """The program without a monitor."""
    return subprocess.Popen([QEMU, "-M", "microvm", "-accel", "qtest", "-display", "none",
                             "-nodefaults", *args], stdin=subprocess.DEVNULL,
                            stderr=subprocess.PIPE, text=True, **kwargs)


def wait_until(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def filters(pid):
    """How many filters the process's first thread has; -1: it is gone."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        fields = dict(line.split(":", 1) for line in file)
    return int(fields["Seccomp_filters"])


def refused(answer):
    assert OUTSIDE in answer[1], answer


@test
def open_monitor():
    """With a monitor files and sockets can be named later; programs cannot be started"""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "d")
        with open(path, "wb") as file:
            file.truncate(1 << 20)
        with VM(machine="microvm") as vm:
            c = vm.qmp()
            c.cmd("blockdev-add", driver="file", filename=path, node_name="d")
            c.cmd("chardev-add", id="c", backend={"type": "socket", "data": {"addr": {
                "type": "unix", "data": {"path": path + ".s"}}, "server": True, "wait": False}})
            c.cmd("chardev-remove", id="c")
            c.cmd("pmemsave", val=0, size=4096, filename=path + ".mem")
            assert os.listdir(folder).count("d.mem") == 1
            c.cmd("object-add", qom_type="secret", id="s", file=path + ".mem")
            answer = c.hmp("netdev_add tap,id=t,script=/bin/true,downscript=no")
            if not SANITIZED and "/dev/net/tun" not in answer:
                # Who may make an interface sees why its script is not run.
                assert OUTSIDE in answer or "could not configure" in answer, answer
            c.cmd("quit")
            assert vm.wait() == 0


@test
def named_folders():
    """-sandbox path=: what is in the folders and what the command line named; the rest is refused"""
    confined()
    with tempfile.TemporaryDirectory() as inside, tempfile.TemporaryDirectory() as outside:
        for name in (f"{inside}/a", f"{outside}/b", f"{outside}/named"):
            with open(name, "wb") as file:
                file.truncate(1 << 20)
        with VM("-sandbox", f"path={inside}", "-sandbox", "path=/dev/null",
                "-blockdev", f"file,node-name=n,filename={outside}/named",
                machine="microvm") as vm:
            c = vm.qmp()
            c.cmd("blockdev-add", driver="file", filename=f"{inside}/a", node_name="a")
            c.cmd("blockdev-del", node_name="n")
            c.cmd("blockdev-add", driver="file", filename=f"{outside}/named", node_name="n")
            text = c.error("blockdev-add", driver="file", filename=f"{outside}/b", node_name="b")[1]
            assert text == f"Could not open '{outside}/b': {OUTSIDE} (path=…)", text
            refused(c.error("pmemsave", val=0, size=4096, filename=f"{outside}/new"))
            refused(c.error("object-add", qom_type="secret", id="s", file="/etc/passwd"))
            refused(c.error("object-add", qom_type="memory-backend-file", id="m", size=1 << 20,
                            mem_path=f"{outside}/new"))
            refused(c.error("chardev-add", id="c", backend={"type": "file", "data": {
                "out": f"{outside}/new"}}))
            refused(c.error("chardev-add", id="c", backend={"type": "socket", "data": {
                "addr": {"type": "unix", "data": {"path": f"{outside}/s"}}, "wait": False}}))
            assert sorted(os.listdir(outside)) == ["b", "named"], os.listdir(outside)
            c.cmd("pmemsave", val=0, size=4096, filename=f"{inside}/new")
            # Of a file that permissions deny, and of one that is not there, it is not said.
            assert "No such file" in c.error("blockdev-add", driver="file", node_name="x",
                                             filename=f"{inside}/none")[1]
            c.cmd("quit")
            assert vm.wait() == 0


@test
def closed_monitor():
    """-sandbox monitor=closed: a monitor opens nothing but descriptors that it is passed"""
    confined()
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as disk:
        disk.truncate(1 << 20)
        path = os.path.join(folder, "d")
        with open(path, "wb") as file:
            file.truncate(1 << 20)
        with VM("-sandbox", "monitor=closed", machine="microvm", qmp=2) as vm:
            c = vm.qmp()
            refused(c.error("blockdev-add", driver="file", filename=path, node_name="d"))
            for addr in ({"type": "unix", "data": {"path": path + ".s"}},
                         {"type": "inet", "data": {"host": "127.0.0.1", "port": "1"}}):
                refused(c.error("chardev-add", id="c", backend={"type": "socket", "data": {
                    "addr": addr, "server": True, "wait": False}}))
            refused(c.error("pmemsave", val=0, size=4096, filename=path + ".mem"))
            c.send_fds('{"execute": "add-fd", "arguments": {"fdset-id": 7}}', [disk.fileno()])
            assert c.receive()["return"]["fdset-id"] == 7
            c.cmd("blockdev-add", driver="file", filename="/dev/fdset/7", node_name="d")
            c.cmd("object-add", qom_type="iothread", id="io")
            c.cmd("system_reset")
            # Who knocks is let in.
            assert vm.qmp(1).cmd("query-status")["status"] == "running"
            socket_there = os.path.exists(vm.path("qmp0"))
            c.cmd("quit")
            vm.proc.wait(PATIENCE)
            assert socket_there and not os.path.exists(vm.path("qmp0"))
            vm.kill()
        assert os.listdir(folder) == ["d"]


@test
def user_network():
    """User networking begins anew at a reset, with random numbers of the host"""
    confined()
    with VM("-sandbox", "monitor=closed", "-netdev", "user,id=n", "-device",
            "virtio-net-device,netdev=n", machine="microvm") as vm:
        c = vm.qmp()
        for _ in range(3):
            c.cmd("system_reset")
            c.event("RESET")
        rules = c.hmp("info usernet")
        assert "Protocol" in rules, rules
        c.cmd("quit")
        assert vm.wait() == 0


@test
def no_monitor():
    """Without a monitor all is closed; a back end that connects again has sockets"""
    confined()
    with tempfile.TemporaryDirectory() as folder:
        pidfile, path = os.path.join(folder, "pid"), os.path.join(folder, "s")
        with alone("-serial", "none") as proc:
            # Files, sockets, the list.
            wait_until(lambda: filters(proc.pid) == filters(os.getpid()) + 3)
            proc.terminate()
            assert proc.wait(PATIENCE) == 0, proc.stderr.read()
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen()
            with alone("-pidfile", pidfile, "-chardev", f"socket,id=c,path={path},reconnect=1",
                       "-serial", "chardev:c") as proc:
                for _ in range(2):
                    listener.accept()[0].close()
                listener.accept()
                proc.send_signal(signal.SIGINT)
                assert proc.wait(PATIENCE) == 0, proc.stderr.read()
        assert os.listdir(folder) == ["s"], os.listdir(folder)


@test
def lacking():
    """A kernel without seccomp or Landlock: a warning where it is needed, an error with strict"""
    confined()
    for number, text in ((SYS_SECCOMP, "no seccomp: system calls are not confined"),
                         (SYS_LANDLOCK_CREATE_RULESET, "no Landlock: files are not confined")):
        args = ["-sandbox", "path=/tmp"]
        with alone(*args, preexec_fn=without(number)) as proc:
            assert text in proc.stderr.readline()
            proc.terminate()
            assert proc.wait(PATIENCE) == 0
            assert proc.stderr.read().count("\n") == 1      # the signal
        with alone("-sandbox", "strict", *args, preexec_fn=without(number)) as proc:
            err = proc.communicate(timeout=PATIENCE)[1]
            assert proc.returncode == 1 and f"-sandbox strict: this host's kernel has {text}" in err
    with alone("-serial", "none", preexec_fn=without(SYS_LANDLOCK_CREATE_RULESET)) as proc:
        # That one, and as many as ever.
        wait_until(lambda: filters(proc.pid) == filters(os.getpid()) + 4)
        proc.terminate()
        assert proc.communicate(timeout=PATIENCE)[1].count("\n") == 1


@test
def options():
    """-sandbox: off says what is kept; what contradicts itself or is not there is an error"""
    for args, text in ((["path=/nonexistent/x"], "-sandbox path=/nonexistent/x: No such file"),
                       (["monitor=ajar"], "'monitor' expects open or closed"),
                       (["path=/tmp,spawn=allow"], "their files are not known"),
                       (["maybe"], "Parameter 'enable' expects 'on' or 'off'")):
        with alone("-sandbox", *args) as proc:
            if SANITIZED and "path" in args[0]:
                proc.kill()
                continue
            err = proc.communicate(timeout=PATIENCE)[1]
            assert proc.returncode == 1 and text in err and err.count("\n") == 1, (args, err)
    with alone("-sandbox", "off") as proc:
        assert "-sandbox off: privileges, descriptors that were left open, files, sockets and " \
            "system calls are all kept" in proc.stderr.readline()
        assert filters(proc.pid) == filters(os.getpid())
        proc.kill()


sys.exit(run())
