#!/usr/bin/env python3
"""Threads that somebody has taken over: what they can still do to the host, one call each.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import contextlib
import ctypes
import errno
import mmap
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

from qemutest import PATIENCE, QEMU, QMP, pvh_kernel, run, test

SHIM = sys.argv[2]
SIGNAL = signal.SIGRTMIN + 7
LIBC = ctypes.CDLL(None, use_errno=True)
ESANDBOX = 129      # EKEYREJECTED
ORDER = struct.Struct("<Qq6QqQ")
DEATH = "death"
LATE = ("block-job", "9p", "pool", "migration", "dump", "nbd-client")      # threads that a running machine starts
ACCEL = os.environ.get("INTRUDER_ACCEL", "tcg")

OPEN, SOCKET, CONNECT, CLONE, EXECVE, KILL, PTRACE, UNLINK, TGKILL, OPENAT, READV, PIDFD_OPEN = \
    2, 41, 42, 56, 59, 62, 101, 87, 234, 257, 310, 434
SYS_TGKILL, URING, OPENAT2, MMAP = 234, 425, 437, 9
X32 = 0x40000000

# Name, number, arguments; a text stands for its address, "me" for this process.
CALLS = {
    "open": (OPENAT, -100, "/etc/passwd", os.O_RDONLY),
    "open at once": (OPENAT2, -100, "/etc/passwd", "\0" * 24, 24),
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

if ACCEL != "tcg":      # in an emulated host: each may cost a machine
    CALLS = {name: CALLS[name] for name in ("open", "exec", "signal a thread")}

BASE, DESC, AVAIL, USED, MESSAGE, ANSWER = 0xd0000000, 0x200000, 0x201000, 0x202000, 0x203000, \
    0x204000
VERSION = struct.pack("<IBHIH", 21, 100, 0xffff, 8192, 8) + b"9P2000.L"     # 9P: Tversion
READ = struct.pack("<IIQ", 0, 0, 0)                                         # a disk: sector 0
SLEEP = "fb f4 eb fd"
# Wait for the answer, ask again.
REPEAT = (b"\xf3\x90\x66\xa1%b\x66\x3b\x05%b\x75\xef\x66\xff\x05%b\xc7\x05%b\0\0\0\0\xeb\xdc" % tuple(
    struct.pack("<I", addr) for addr in (AVAIL + 2, USED + 2, AVAIL + 2, BASE + 0x50))).hex()


def driver(message, room):
    """
    Code (32 bits) that starts the first transport's device with one queue, if there is one, and
    makes a message available there, with room for the answer (bytes).
    """
    rings = struct.pack("<QIHHQIHH", MESSAGE, len(message), 1, 1, ANSWER, room, 2, 0)
    memory = [(MESSAGE, message.ljust(-len(message) % 4 + len(message), b"\0")), (DESC, rings),
              (AVAIL, struct.pack("<HHHH", 0, 1, 0, 0))]
    registers = ((0x70, 1), (0x70, 3), (0x24, 1), (0x20, 1), (0x70, 11), (0x38, 2), (0x80, DESC),
                 (0x90, AVAIL), (0xa0, USED), (0x44, 1), (0x70, 15), (0x50, 0))
    words = [(addr + i, *struct.unpack_from("<I", data, i)) for addr, data in memory
             for i in range(0, len(data), 4)]
    words += [(BASE + register, value) for register, value in registers]
    return "".join(struct.pack("<HII", 0x05c7, addr, value).hex() for addr, value in words)


DISK = ("-blockdev", "file,node-name=d,filename=%s/order,read-only=on,aio=threads", "-device",
        "virtio-blk-device,drive=d")


class Victim:
    """
    The program with a guest that sleeps or, if it has a disk, reads; an iothread and the shim;
    "%s" is its folder.
    """

    def __init__(self, *args):
        self.folder = tempfile.TemporaryDirectory()
        args = [arg.replace("%s", self.folder.name) for arg in args]
        self.order = os.path.join(self.folder.name, "order")
        with open(self.order, "wb") as file:
            file.truncate(4096)
        with open(self.order, "r+b") as file:
            self.page = mmap.mmap(file.fileno(), 4096)
        code = driver(READ, 513) + REPEAT if DISK[-1] in args else driver(VERSION, 4096) + SLEEP
        kernel = pvh_kernel(self.folder.name, code)
        self.proc = subprocess.Popen(
            [QEMU, "-M", "microvm", "-accel", ACCEL, "-m", "32M", "-display", "none", "-nodefaults",
             "-serial", "none", "-no-user-config", "-kernel", kernel, "-object", "iothread,id=io0",
             "-name", "guest=v,debug-threads=on", *args], stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True,
            env={**os.environ, "LD_PRELOAD": SHIM, "INTRUDER": self.order})

    def threads(self):
        """Name and number of each thread, and how many filters it has."""
        tasks = f"/proc/{self.proc.pid}/task"
        for tid in os.listdir(tasks):
            try:
                with open(f"{tasks}/{tid}/status", encoding="utf-8") as file:
                    fields = dict(line.rstrip("\n").split(":\t", 1) for line in file
                                  if ":\t" in line)
            except (FileNotFoundError, ProcessLookupError):
                continue        # it has just ended
            name = "main" if int(tid) == self.proc.pid else fields["Name"]
            yield name, int(tid), int(fields["Seccomp_filters"])

    def network(self):
        """The process of user networks once it is confined, or None."""
        with open(f"/proc/{self.proc.pid}/task/{self.proc.pid}/children",
                  encoding="ascii") as file:
            children = file.read().split()
        for pid in children:
            # It may end at any moment.
            with contextlib.suppress(FileNotFoundError, ProcessLookupError), \
                    open(f"/proc/{pid}/status", encoding="ascii") as status:
                text = status.read()
                if text.startswith("Name:\tusernet\n") and "Seccomp:\t2" in text:
                    return int(pid)
        return None

    def thread(self, name):
        """
        The thread whose name begins so, once all are confined: vCPUs are when the main thread is,
        and what that starts later gets a list of its own on top of the main thread's. What it has
        started before has its own alone.
        """
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            assert self.proc.poll() is None, self.proc.stderr.read()
            threads = list(self.threads())
            main = next(filters for other, _, filters in threads if other == "main")
            running = any(other.startswith("CPU") and filters for other, _, filters in threads)
            network = self.network() if name == "usernet" and running and main else None
            if network:
                return network
            for other, tid, filters in threads:
                own = filters and (name not in LATE or filters != main)
                if other.startswith(name) and running and main and own:
                    return tid
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
        process = tid if thread == "usernet" else self.proc.pid
        assert LIBC.syscall(SYS_TGKILL, process, tid, SIGNAL) == 0
        while not ORDER.unpack_from(self.page)[9] and self.proc.poll() is None and \
                (thread != "usernet" or self.network()):
            time.sleep(0.001)
        if ORDER.unpack_from(self.page)[9]:
            return min(ORDER.unpack_from(self.page)[8], 0)
        if thread == "usernet":
            return self.network_ended()
        text = self.proc.stderr.read()
        assert self.proc.returncode in (128 + signal.SIGSYS, -signal.SIGSYS), self.proc.returncode
        if self.proc.returncode > 0:
            assert "was stopped at system call" in text and text.count("\n") == 1, text
        return DEATH

    def network_ended(self):
        """Both processes have said so, and the machine goes on."""
        text = self.proc.stderr.readline()
        if "user networking" not in text:
            assert "thread 'usernet' was stopped at system call" in text, text
            text = self.proc.stderr.readline()
        assert "user networking: its process has ended" in text, text
        assert self.proc.poll() is None
        return DEATH

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.proc.kill()
        self.proc.wait()
        self.proc.stderr.close()
        self.folder.cleanup()


def attempts(thread, *args, prepare=None, calls=None, **expected):
    """Each call, or those named; without an errno in expected it must be the end."""
    victim = None
    try:
        for name in calls or CALLS:
            number, *arguments = CALLS[name]
            want = expected.get(name.replace(" ", "_"), DEATH)
            if not victim:
                victim = Victim(*args)
                if prepare:
                    prepare(victim)
            got = victim.call(thread, number, *arguments)
            assert got == (want if want == DEATH else -want), (thread, name, got, want)
            if got == DEATH:
                victim.__exit__()
                victim = None
    finally:
        if victim:
            victim.__exit__()


@test
def vcpu():
    """A vCPU's thread cannot open, connect, exec, signal, or reach another process"""
    attempts("CPU", open=errno.EACCES)


def tcg_test(fn):
    """What is the same with each accelerator is tried with one."""
    return test(fn) if ACCEL == "tcg" else fn


@tcg_test
def iothread():
    """Nor can an iothread"""
    attempts("iothread", open=errno.EACCES, ring=errno.EPERM)


@tcg_test
def main_thread():
    """Nor can the main thread without a monitor"""
    attempts("main", open=errno.EACCES, open_at_once=errno.EACCES, socket=ESANDBOX,
             connect=ESANDBOX, exec=ESANDBOX, fork=ESANDBOX, ring=errno.EPERM, remove=errno.EACCES,
             map_code=errno.EACCES)


NODES = ("-blockdev", "null-co,node-name=from,size=64M,read-zeroes=on", "-device",
         "virtio-blk-device,drive=from", "-blockdev",
         "null-co,node-name=to,size=64M", "-qmp", "unix:%s/qmp,server=on,wait=off")


def slow_backup(victim, source="from"):
    """A job that takes minutes."""
    qmp = QMP(os.path.join(victim.folder.name, "qmp"))
    qmp.cmd("blockdev-backup", **{"job-id": "j", "device": source, "target": "to", "sync": "full",
                                  "speed": 65536})


@tcg_test
def job():
    """Nor can the thread of a block job"""
    attempts("block-job", *NODES, prepare=slow_backup, open=errno.EACCES, ring=errno.EPERM)


SOME = ("open", "open at once", "socket", "exec", "signal a thread")
MONITOR = ("-qmp", "unix:%s/qmp,server=on,wait=off")


def nobody_reads(victim, name):
    """A FIFO or, where a peer has to be there, a socket: who writes there waits."""
    path = os.path.join(victim.folder.name, name)
    if name == "fifo":
        os.mkfifo(path)
        victim.peer = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    else:
        victim.peer = socket.socket(socket.AF_UNIX)
        victim.peer.bind(path)
        victim.peer.listen()
    victim.thread("CPU")        # a vCPU that is stopped before it has run is not confined yet
    return path, QMP(os.path.join(victim.folder.name, "qmp"))


def slow_migration(victim):
    path, qmp = nobody_reads(victim, "socket")
    qmp.cmd("migrate", uri=f"unix:{path}")


def nbd_client(victim):
    path = os.path.join(victim.folder.name, "nbd")
    QMP(os.path.join(victim.folder.name, "qmp")).cmd(
        "nbd-server-start", addr={"type": "unix", "data": {"path": path}})
    victim.peer = socket.socket(socket.AF_UNIX)
    victim.peer.connect(path)


def slow_dump(victim):
    path, qmp = nobody_reads(victim, "fifo")
    qmp.cmd("dump-guest-memory", protocol=f"file:{path}", paging=False, detach=True)


@tcg_test
def migration():
    """Nor can the thread that saves the machine"""
    attempts("migration", *MONITOR, prepare=slow_migration, calls=SOME, open=errno.EACCES)


@tcg_test
def nbd():
    """Nor can the thread that serves an NBD client"""
    attempts("nbd-client", *MONITOR, prepare=nbd_client, calls=SOME, open=errno.EACCES)


@tcg_test
def dump():
    """Nor can the thread that dumps memory"""
    attempts("dump", *MONITOR, prepare=slow_dump, calls=SOME, open=errno.EACCES)


@tcg_test
def pool():
    """Nor can the threads that read and write images"""
    attempts("pool", *DISK, open=errno.EACCES)


@tcg_test
def shared_folder():
    """Nor can a shared folder's, but for what is in the folder"""
    attempts("9p", "-fsdev", "local,id=f,path=%s,security_model=none", "-device",
             "virtio-9p-device,fsdev=f,mount_tag=m", open=errno.EACCES, open_at_once=errno.EACCES)


@tcg_test
def user_network():
    """Nor can the process of user networks, which has none of the guest's memory"""
    attempts("usernet", "-netdev", "user,id=n", "-device", "virtio-net-device,netdev=n",
             open=errno.EACCES, open_at_once=errno.EACCES, connect=errno.ENOTSOCK, exec=ESANDBOX,
             fork=ESANDBOX)
    with Victim("-netdev", "user,id=n") as victim:
        pid = victim.thread("usernet")
        with open(f"/proc/{pid}/maps", encoding="utf-8") as maps:
            sizes = [int(end, 16) - int(start, 16) for start, end in
                     (line.split()[0].split("-") for line in maps
                      if "[heap]" in line or len(line.split()) == 5 or "memfd" in line)]
        assert max(sizes) < 16 << 20, sizes
        assert not [name for fd in os.listdir(f"/proc/{pid}/fd")
                    for name in [os.readlink(f"/proc/{pid}/fd/{fd}")]
                    if not name.startswith(("socket:", "pipe:", "/dev/null", "anon_inode:[eventfd]",
                                            "anon_inode:[timerfd]"))]


@tcg_test
def off():
    """With -sandbox off all of them can"""
    with Victim("-sandbox", "off") as victim:
        victim.thread = lambda name: victim.proc.pid
        while not ORDER.unpack_from(victim.page)[0]:
            time.sleep(0.002)
        assert victim.call("main", *CALLS["open"]) == 0
        assert victim.call("main", *CALLS["kill"]) == 0


sys.exit(run())
