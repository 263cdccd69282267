#!/usr/bin/env python3
"""A shared folder in the confined program: every request of 9P2000.L, by a driver over qtest.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import contextlib
import os
import struct
import sys
import tempfile
import time

import qemutest
from qemutest import QEMU, VM, QTest, Skip, run, test

SLOTS, SLOT_SIZE = 0xd0000000, 0x200
RING, REQUEST, ANSWER, HALF = 0x100000, 0x200000, 0x300000, 0x800
(STATFS, LOPEN, LCREATE, SYMLINK, MKNOD, RENAME, READLINK, GETATTR, SETATTR, XATTRWALK, XATTRCREATE,
 READDIR, FSYNC, LOCK, GETLOCK, LINK, MKDIR, RENAMEAT, UNLINKAT, VERSION, ATTACH, WALK, READ, WRITE,
 CLUNK, REMOVE) = (8, 12, 14, 16, 18, 20, 22, 24, 26, 30, 32, 40, 50, 52, 54, 70, 72, 74, 76, 100,
                   104, 110, 116, 118, 120, 122)
NONE = 0xffffffff
MODE, UID, GID, SIZE, ATIME, MTIME = (1 << i for i in range(6))


class Folder:
    """A client of the device's only queue, one request after the other."""

    def __init__(self, q):
        self.q = q
        self.base = next(base for base in range(SLOTS, SLOTS + 24 * SLOT_SIZE, SLOT_SIZE)
                         if int(q.cmd("readl", base + 8)[0], 16) == 9)
        self.sent = 0
        for reg, value in ((0x70, 0), (0x70, 1), (0x70, 3), (0x24, 1), (0x20, 1), (0x70, 11),
                           (0x30, 0), (0x38, 4), (0x80, RING), (0x90, RING + 0x400),
                           (0xa0, RING + 0x800), (0x44, 1), (0x70, 15)):
            q.cmd("writel", self.base + reg, value)
        # Two buffers each way, so that data is in pieces.
        q.write(RING, struct.pack("<" + "QIHH" * 4, REQUEST, 0, 1, 1, REQUEST + HALF, HALF, 1, 2, ANSWER,
                                  HALF, 3, 3, ANSWER + HALF, HALF, 2, 0))
        self.ask(VERSION, "ds", 8192, "9P2000.L")
        self.ask(ATTACH, "ddssd", 0, NONE, "", "", 0)

    def ask(self, kind, fields, *values, error=0):
        """The answer's bytes behind its header; or that it is this error."""
        body = b""
        for field, value in zip(fields, values):
            value = value.encode() if isinstance(value, str) else value
            body += struct.pack("<H", len(value)) + value if field == "s" else value \
                if field == "b" else struct.pack("<" + {"w": "H", "d": "I", "q": "Q", "o": "B"}
                                                 [field], value)
        message = struct.pack("<IBH", 7 + len(body), kind, 1) + body
        # What is data begins in the second buffer.
        head = len(message) - len(values[-1]) if fields.endswith("b") else len(message) - 1
        self.q.write(REQUEST, message[:head])
        self.q.write(REQUEST + HALF, message[head:])
        for i, size in enumerate((head, len(message) - head)):
            self.q.write(RING + 16 * i + 8, struct.pack("<I", size))
        self.q.write(RING + 0x400, struct.pack("<HH4H", 0, self.sent + 1, 0, 0, 0, 0))
        self.sent += 1
        self.q.cmd("writel", self.base + 0x50, 0)
        end = time.monotonic() + qemutest.PATIENCE
        while struct.unpack("<H", self.q.read(RING + 0x802, 2))[0] != self.sent:
            assert time.monotonic() < end, kind
            time.sleep(0.0005)
        size, got, _ = struct.unpack("<IBH", self.q.read(ANSWER, 7))
        text = self.q.read(ANSWER, size)[7:]
        if got == 7:
            assert struct.unpack("<I", text)[0] == error != 0, (kind, os.strerror(text[0]))
        else:
            assert got == kind + 1 and not error, (kind, got)
        return text

    def walk(self, fid, new, *names):
        self.ask(WALK, "ddw" + "s" * len(names), fid, new, len(names), *names)

    def create(self, fid, name, flags=os.O_RDWR, mode=0o644):
        self.walk(0, fid)
        self.ask(LCREATE, "dsddd", fid, name, flags, mode, 0)


def files(f, folder):
    """One that is open: data in pieces, flushes, locks."""
    f.create(1, "file")
    assert f.ask(WRITE, "dqdb", 1, 0, 3000, b"x" * 1000 + b"y" * 2000) == struct.pack("<I", 3000)
    f.ask(WRITE, "dqdb", 1, 3000, 1, b"z")
    for datasync in (0, 1):
        f.ask(FSYNC, "dd", 1, datasync)
    assert f.ask(READ, "dqd", 1, 0, 3000)[4:] == b"x" * 1000 + b"y" * 2000
    assert f.ask(READ, "dqd", 1, 3000, 10)[4:] == b"z"
    assert f.ask(LOCK, "dodqqds", 1, 1, 0, 0, 1, 7, "client") == b"\0"
    f.ask(GETLOCK, "doqqds", 1, 1, 0, 1, 8, "other")
    for fid in (0, 1):
        f.ask(GETATTR, "dq", fid, 0x3fff)
    f.ask(SETATTR, "dddddqqqqq", 1, SIZE, 0, 0, 0, 10, 0, 0, 0, 0)
    f.walk(0, 2, "file")
    f.ask(SETATTR, "dddddqqqqq", 2, MODE | ATIME | MTIME, 0o4755, 0, 0, 0, 0, 0, 0, 0)
    f.ask(SETATTR, "dddddqqqqq", 2, UID | GID, 0, os.getuid(), os.getgid(), 0, 0, 0, 0, 0)
    f.ask(SETATTR, "dddddqqqqq", 2, SIZE, 0, 0, 0, 5, 0, 0, 0, 0)
    f.ask(WRITE, "dqdb", 1, 0, 1, b"!")     # and its set-id bit goes
    f.ask(CLUNK, "d", 1)
    with open(f"{folder}/file", "rb") as file:
        assert file.read() == b"!xxxx"


def attributes(f):
    """Extended ones."""
    f.walk(2, 3)
    f.ask(XATTRCREATE, "dsqd", 3, "user.name", 5, 0)
    f.ask(WRITE, "dqdb", 3, 0, 5, b"value")
    f.ask(CLUNK, "d", 3)
    assert f.ask(XATTRWALK, "dds", 2, 4, "user.name") == struct.pack("<Q", 5)
    assert f.ask(READ, "dqd", 4, 0, 100)[4:] == b"value"
    f.ask(CLUNK, "d", 4)
    f.ask(XATTRWALK, "dds", 2, 4, "")
    f.ask(CLUNK, "d", 4)
    f.walk(2, 3)
    f.ask(XATTRCREATE, "dsqd", 3, "user.name", 0, os.XATTR_REPLACE)
    f.ask(CLUNK, "d", 3)
    f.ask(STATFS, "d", 0)


def names(f, folder):
    """Made, listed, renamed, removed; and none outside of the folder."""
    f.ask(MKDIR, "dsdd", 0, "dir", 0o755, 0)
    f.ask(MKNOD, "dsdddd", 0, "fifo", 0o10644, 0, 0, 0)
    f.ask(SYMLINK, "dssd", 0, "link", "/etc/passwd", 0)
    f.walk(0, 5, "link")
    assert f.ask(READLINK, "d", 5) == b"\x0b\0/etc/passwd"
    f.ask(CLUNK, "d", 5)
    f.ask(WALK, "ddwss", 0, 5, 2, "link", "x")
    f.ask(LINK, "dds", 0, 2, "again")
    f.walk(0, 6, "dir")
    f.walk(0, 7)
    f.ask(LOPEN, "dd", 7, os.O_RDONLY | os.O_DIRECTORY)
    listed = f.ask(READDIR, "dqd", 7, 0, 3000)
    assert all(name in listed for name in (b"dir", b"fifo", b"link", b"again", b"file"))
    f.ask(RENAMEAT, "dsds", 0, "again", 6, "inside")
    f.ask(RENAME, "dds", 2, 6, "file")
    f.ask(UNLINKAT, "dsd", 6, "inside", 0)
    f.ask(REMOVE, "d", 2)
    f.ask(UNLINKAT, "dsd", 0, "dir", 0x200)
    assert sorted(os.listdir(folder)) == ["fifo", "link"]


def place():
    """Where files have extended attributes: a tmpfs may have none."""
    for folder in (tempfile.gettempdir(), os.path.dirname(os.path.abspath(QEMU)), os.getcwd()):
        with contextlib.suppress(OSError), tempfile.NamedTemporaryFile(dir=folder) as file:
            os.setxattr(file.name, "user.test", b"value")
            return folder
    raise Skip("no file system with extended attributes here")


@test
def requests():
    """Each security model serves all requests, confined"""
    models = ("passthrough", "none", "mapped-xattr")
    for model in models if os.getuid() == 0 else models[1:]:
        with tempfile.TemporaryDirectory(dir=place()) as folder:
            with VM("-m", "8M", "-fsdev", f"local,id=f,path={folder},security_model={model}"
                    ",writeout=immediate", "-device", "virtio-9p-device,fsdev=f,mount_tag=t",
                    "-global", "virtio-mmio.force-legacy=off", machine="microvm", qtest=True) as vm:
                f = Folder(QTest(vm))
                files(f, folder)
                attributes(f)
                names(f, folder)


sys.exit(run())
