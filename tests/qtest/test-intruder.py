#!/usr/bin/env python3
"""Threads that somebody has taken over: what they can still do to the host, one call each.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import ctypes
import errno
import mmap
import os
import signal
import struct
import subprocess
import sys
import tempfile
import time

from qemutest import PATIENCE, QEMU, pvh_kernel, run, test

SHIM = sys.argv[2]
SIGNAL = signal.SIGRTMIN + 7
LIBC = ctypes.CDLL(None, use_errno=True)
ESANDBOX = 129      # EKEYREJECTED
ORDER = struct.Struct("<Qq6QqQ")
DEATH = "death"

OPEN, SOCKET, CONNECT, CLONE, EXECVE, KILL, PTRACE, UNLINK, TGKILL, OPENAT, READV, PIDFD_OPEN = \
    2, 41, 42, 56, 59, 62, 101, 87, 234, 257, 310, 434
SYS_TGKILL, URING, OPENAT2, MMAP = 234, 425, 437, 9
X32 = 0x40000000

# Name, number, arguments; a text stands for its address, "me" for this process.
CALLS = {
    "open": (OPENAT, -100, "/etc/passwd", os.O_RDONLY),
    "open at once": (OPENAT2, -100, "/etc/passwd", 0, 24),
    "open by old number": (OPEN, "/etc/passwd", os.O_RDONLY),
    "open as x32": (X32 | OPEN, "/etc/passwd", os.O_RDONLY),
    "socket": (SOCKET, 1, 1, 0),
    "connect": (CONNECT, 0, "\1\0/run/x", 9),
    "exec": (EXECVE, "/bin/true", 0, 0),
    "fork": (CLONE, signal.SIGCHLD, 0, 0, 0, 0),
    "kill": (KILL, "me", 0),
    "signal a thread": (TGKILL, "me", "me", 0),
    "trace": (PTRACE, 16, "me", 0, 0),
    "read memory": (READV, "me", 0, 0, 0, 0, 0),
    "find a process": (PIDFD_OPEN, "me", 0),
    "ring": (URING, 1, "x" * 128),
    "have signalled": (72, 0, 8, "me"),     # fcntl(F_SETOWN)
    "remove": (UNLINK, "/nonexistent"),
    "map code": (MMAP, 0, 4096, 5, 0x22, 2 ** 64 - 1, 0),
}


class Victim:
    """The program with a guest that sleeps, an iothread and the shim."""

    def __init__(self, *args):
        self.folder = tempfile.TemporaryDirectory()
        self.order = os.path.join(self.folder.name, "order")
        with open(self.order, "wb") as file:
            file.truncate(4096)
        with open(self.order, "r+b") as file:
            self.page = mmap.mmap(file.fileno(), 4096)
        kernel = pvh_kernel(self.folder.name, "fb f4 eb fd")
        self.proc = subprocess.Popen(
            [QEMU, "-M", "microvm", "-accel", "tcg", "-m", "32M", "-display", "none", "-nodefaults",
             "-serial", "none", "-no-user-config", "-kernel", kernel, "-object", "iothread,id=io0",
             "-name", "guest=v,debug-threads=on", *args], stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True,
            env={**os.environ, "LD_PRELOAD": SHIM, "INTRUDER": self.order})

    def thread(self, name):
        """The thread whose name begins so, once all are confined."""
        tasks = f"/proc/{self.proc.pid}/task"
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            assert self.proc.poll() is None, self.proc.stderr.read()
            for tid in os.listdir(tasks):
                with open(f"{tasks}/{tid}/status", encoding="utf-8") as file:
                    status = file.read()
                if "\nSeccomp:\t2" in status and (int(tid) == self.proc.pid if name == "main" else
                                                    status.startswith(f"Name:\t{name}")):
                    return int(tid)
            time.sleep(0.002)
        raise AssertionError(f"no confined thread {name}")

    def call(self, thread, number, *args):
        """The call's negative errno or 0, or DEATH and what was said."""
        tid = self.thread(thread)
        values, at = [], 1024
        base = ORDER.unpack_from(self.page)[0]
        assert base
        for arg in args:
            if arg == "me":
                arg = os.getpid()
            elif isinstance(arg, str):
                data = arg.encode("latin-1") + b"\0"
                self.page[at:at + len(data)] = data
                arg, at = base + at, at + 512
            values.append(arg & (2 ** 64 - 1))
        values += [0] * (6 - len(values))
        self.page[:ORDER.size] = ORDER.pack(base, number, *values, 0, 0)
        assert LIBC.syscall(SYS_TGKILL, self.proc.pid, tid, SIGNAL) == 0
        while not ORDER.unpack_from(self.page)[9] and self.proc.poll() is None:
            time.sleep(0.001)
        if ORDER.unpack_from(self.page)[9]:
            return min(ORDER.unpack_from(self.page)[8], 0)
        text = self.proc.stderr.read()
        assert self.proc.returncode in (128 + signal.SIGSYS, -signal.SIGSYS), self.proc.returncode
        if self.proc.returncode > 0:
            assert "was stopped at system call" in text and text.count("\n") == 1, text
        return DEATH

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.proc.kill()
        self.proc.wait()
        self.proc.stderr.close()
        self.folder.cleanup()


def attempts(thread, *args, **expected):
    """Each call; without an errno in expected it must be the end."""
    victim = None
    for name, (number, *arguments) in CALLS.items():
        want = expected.get(name.replace(" ", "_"), DEATH)
        victim = victim or Victim(*args)
        got = victim.call(thread, number, *arguments)
        assert got == (want if want == DEATH else -want), (thread, name, got, want)
        if got == DEATH:
            victim.__exit__()
            victim = None
    if victim:
        victim.__exit__()


@test
def vcpu():
    """A vCPU's thread cannot open, connect, exec, signal, or reach another process"""
    attempts("CPU", open=errno.EACCES)


@test
def iothread():
    """Nor can an iothread"""
    attempts("iothread", open=errno.EACCES, ring=errno.EPERM)


@test
def main_thread():
    """Nor can the main thread without a monitor"""
    attempts("main", open=errno.EACCES, open_at_once=errno.EACCES, socket=ESANDBOX,
             connect=ESANDBOX, exec=ESANDBOX, fork=ESANDBOX, ring=errno.EPERM, remove=errno.EACCES,
             map_code=errno.EACCES)


@test
def off():
    """With -sandbox off all of them can"""
    with Victim("-sandbox", "off") as victim:
        victim.thread = lambda name: victim.proc.pid
        while not ORDER.unpack_from(victim.page)[0]:
            time.sleep(0.002)
        assert victim.call("main", *CALLS["open"]) == 0
        assert victim.call("main", *CALLS["kill"]) == 0


sys.exit(run())
