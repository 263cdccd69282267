#!/usr/bin/env python3
"""Flow control of the streams that are answered on (docs/devel/streams.rst): answers of many
sizes, on every kind of connection, with requests behind them. test-streams.py QEMU prints TAP.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import json
import os
import re
import select
import socket
import subprocess
import sys
import tempfile
import time

import qemutest
from qemutest import QEMU, VM, test

KINDS = ("unix", "tcp", "stdio", "pty")
SIZES = (60, 65, 100, 200, 1000)    # KiB
MACHINE = ("-M", "microvm", "-accel", "qtest", "-m", "16", "-display", "none", "-nodefaults",
           "-serial", "none")
XP_LINE = 59                        # a line of "xp /Nb": eight bytes


def unread_bytes(kib):
    """How many bytes of memory xp must show to say so much."""
    return kib * 1024 // XP_LINE * 8


class Stream:
    """The program with one stream of the kind; args has {} in the place of a chardev's name."""

    def __init__(self, kind, *args):
        self.dir = tempfile.TemporaryDirectory(prefix="qs-")
        path = os.path.join(self.dir.name, "s")
        option = {"unix": f"socket,id=s,path={path},server=on,wait=off",
                  "tcp": "socket,id=s,host=127.0.0.1,port=0,server=on,wait=off",
                  "stdio": "stdio,id=s", "pty": "pty,id=s"}[kind]
        command = [QEMU, *MACHINE, "-chardev", option, *args]
        if kind == "tcp":
            command += ["-qmp", f"unix:{path}.q,server=on,wait=off"]
        self.proc = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.buf = b""
        self.sock = None
        self.reader = self.proc.stdout.fileno()
        self.writer = self.proc.stdin.fileno()
        if kind == "unix":
            self.connect(socket.AF_UNIX, path)
        elif kind == "tcp":
            qmp = self.qmp_of(path + ".q")
            name = [c for c in qmp.cmd("query-chardev") if c["label"] == "s"][0]["filename"]
            qmp.close()
            self.connect(socket.AF_INET, ("127.0.0.1", int(re.search(r":(\d+),", name)[1])))
        elif kind == "pty":
            name = re.search(r"redirected to (\S+) ", self.proc.stdout.readline().decode())[1]
            self.reader = self.writer = os.open(name, os.O_RDWR | os.O_NOCTTY)

    def qmp_of(self, path):
        while not os.path.exists(path):
            assert self.proc.poll() is None, "it ended"
            time.sleep(0.002)
        return qemutest.QMP(path)

    def connect(self, family, address):
        while family == socket.AF_UNIX and not os.path.exists(address):
            assert self.proc.poll() is None, "it ended"
            time.sleep(0.002)
        self.sock = socket.socket(family)
        while self.sock.connect_ex(address):
            time.sleep(0.002)
        self.reader = self.writer = self.sock.fileno()

    def fill(self):
        data = os.read(self.reader, 1 << 20)
        assert data, "the stream ended"
        self.buf += data

    def send(self, text):
        """Write all, and read where the answers are in the way."""
        data = text.encode()
        while data:
            ready, room, _ = select.select([self.reader], [self.writer], [])
            if room:
                data = data[os.write(self.writer, data[:1024]):]
            elif ready:
                self.fill()

    def until(self, mark):
        """What comes up to and including mark."""
        mark, start = mark.encode(), 0
        while self.buf.find(mark, start) < 0:
            start = max(0, len(self.buf) - len(mark))
            self.fill()
        end = self.buf.index(mark, start) + len(mark)
        data, self.buf = self.buf[:end], self.buf[end:]
        return data.decode()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.proc.kill()
        self.proc.communicate()
        if self.sock:
            self.sock.close()
        elif self.reader == self.writer:
            os.close(self.reader)
        self.dir.cleanup()


def qmp_request(command, ident, **arguments):
    return json.dumps({"execute": command, "arguments": arguments, "id": ident})


def qmp_answer(s):
    while True:
        answer = json.loads(s.until("\r\n"))
        if "event" not in answer:
            return answer


def qmp_table(kind):
    with Stream(kind, "-mon", "chardev=s,mode=control") as s:
        assert "QMP" in json.loads(s.until("\r\n"))
        s.send(qmp_request("qmp_capabilities", 0))
        assert qmp_answer(s)["return"] == {}
        for kib in SIZES:
            for trailer in ("", "\n", qmp_request("query-name", "behind")):
                n = unread_bytes(kib)
                s.send(qmp_request("human-monitor-command", kib,
                                   **{"command-line": f"xp /{n}b 0"}) + trailer)
                answer = qmp_answer(s)
                assert answer["id"] == kib and len(answer["return"]) >= n // 8 * XP_LINE, kib
                if trailer.strip():
                    assert qmp_answer(s) == {"return": {}, "id": "behind"}
                s.send(qmp_request("query-name", "next"))
                assert qmp_answer(s) == {"return": {}, "id": "next"}
        # Many requests at once, and their answers read late.
        s.send("\n".join(qmp_request("query-qmp-schema", i) for i in range(4)) + "\n")
        for i in range(4):
            assert qmp_answer(s)["id"] == i


def hmp_table(kind):
    with Stream(kind, "-mon", "chardev=s,mode=readline") as s:
        s.until("(qemu) ")
        for kib in SIZES:
            for trailer in ("", "\n", "print 12345\n"):
                n = unread_bytes(kib)
                s.send(f"xp /{n}b 0\n{trailer}print 54321\n")
                text = s.until("0xd431\r\n")
                rows = re.findall(r"[0-9a-f]{16}: ", text)
                assert len(rows) == (n + 7) // 8, (kib, len(rows))
                assert ("0x3039\r\n" in text) == ("12345" in trailer)


def gdb_packet(data):
    return f"${data}#{sum(data.encode()) & 0xff:02x}"


def gdb_table(kind):
    with Stream(kind, "-gdb", "chardev:s", "-S") as s:
        s.send(gdb_packet("QStartNoAckMode"))
        s.until("+$OK#9a")
        s.send("+")
        for kib in SIZES:
            count = kib * 1024 // 4004 + 1
            for _ in range(count):
                s.send(gdb_packet("m100000,7d0"))
            for _ in range(count):
                assert len(s.until("#00").strip("$")) >= 4000
            s.send(gdb_packet("qC"))
            assert "QC01" in s.until("#f5")


def qtest_table(kind):
    with Stream(kind, "-qtest", "chardev:s", "-qtest-log", "none") as s:
        for kib in SIZES:
            for trailer in ("", "endianness\n"):
                n = kib * 512
                s.send(f"read 0x100000 0x{n:x}\n{trailer}")
                assert s.until("\n") == "OK 0x" + "00" * n + "\n"
                if trailer:
                    assert s.until("\n") == "OK little\n"
        s.send("read 0x100000 0x10000\n" * 16)
        for _ in range(16):
            assert len(s.until("\n")) == 0x20000 + 6


@test
def qmp():
    """QMP answers, with nothing, a newline or a request behind the request"""
    for kind in KINDS:
        qmp_table(kind)


@test
def hmp():
    """answers of the monitor for people, the same"""
    for kind in KINDS:
        hmp_table(kind)


@test
def gdb():
    """answers to gdb"""
    for kind in KINDS:
        gdb_table(kind)


@test
def qtest():
    """answers to qtest's requests"""
    for kind in KINDS:
        qtest_table(kind)


if __name__ == "__main__":
    sys.exit(qemutest.run())
