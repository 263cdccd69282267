#!/usr/bin/env python3
"""Lines typed at the monitor: keys, history, completion; test-hmp-line.py QEMU prints TAP.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
import time

import qemutest
from qemutest import QEMU, VM, test

PROMPT = "\r\n(qemu) "


def answer(c, keys):
    """What follows once keys, which end a line, were typed; with the echo."""
    c.send(keys)
    return c.until(PROMPT)


def libraries(vm):
    with open(f"/proc/{vm.proc.pid}/maps", encoding="ascii", errors="replace") as f:
        return {line.split()[-1] for line in f if ".so" in line}


class Terminal:
    """The program with its standard streams on a terminal of this size."""

    def __init__(self, args, cols, rows):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))
        self.proc = subprocess.Popen([QEMU, "-display", "none", "-nodefaults", "-accel", "qtest",
                                      *args], stdin=slave, stdout=slave, stderr=slave,
                                     start_new_session=True)
        os.close(slave)
        self.buf = b""

    def until(self, text):
        while text not in self.buf:
            self.buf += os.read(self.master, 4096)
        data, self.buf = self.buf.split(text, 1)
        return data + text

    def type(self, keys):
        os.write(self.master, keys)

    def close(self):
        self.proc.kill()
        self.proc.wait()
        os.close(self.master)


@test
def nothing_to_load():
    """typing takes no library and no descriptor"""
    with VM(qmp=1, hmp=1) as vm:
        c = vm.hmp()
        c.until("(qemu) ")
        fds, before = vm.fds(), libraries(vm)
        for _ in range(20):
            assert "VM status" in answer(c, "info status\n")
            c.close()
            c = vm.hmp()
            c.until("(qemu) ")
        assert vm.fds() == fds and libraries(vm) == before
        assert vm.stderr() == ""


@test
def keys_in_parts():
    """a key whose bytes come one by one; unknown keys; characters of several bytes"""
    with VM(qmp=0, hmp=1) as vm:
        c = vm.hmp()
        c.until("(qemu) ")
        for keys in [b"nfo status\x1b[Hi\r", b"nfo status\x1bOHi\r", b"nfo status\x1b[1~i\r",
                     b"\x1b[A\r", b"xinfo status\x01\x1b[3~\r", b"info \x1b[5~status\x1b[2~\r",
                     b"foo status\x1b[1;5D\x08\x08\x08\x08info \x1b[1;5C \r", b"\x1bOA\r",
                     b"info s\xc3\xa9\xe2\x82\xac\x7f\x7ftatus\r", b"info \xff\xc3status\r",
                     b"\x12\x13\x16\x11info status\r", b"in\x03\x1afo status\r",
                     b"info sattus\x02\x02\x02\x02\x14\r", b"info statsu\x14\r",
                     b"status\x01info \x05\x1b\x7f\x01\x1bf \x19\x1bb\x1bb\x04i\r",
                     b"status info \x15info status\x01\x0b\x19\r",
                     b"half\x10\x0e\x0e\x15info status\r", b"help\x10\x0e\x08\x08\x08\x08\x10\r",
                     b"\xe6\x97\xa5\xe6\x9c\xac\x02\x02\x04\x04info status\r",
                     b"info status\x1b\r", b"info \xc3\xe2\x82status\x1b[9;9;9;9;9;9;9;9Q\r",
                     b"\x80\xbf\xf8\x88\x80\x80\x80\xed\xa0\x80info status\r"]:
            for i in range(len(keys)):
                c.send(keys[i:i + 1])
                time.sleep(0.002)
            text = c.until(PROMPT)
            assert text.endswith("VM status: running" + PROMPT), (keys, text)
        assert "caf\u00e9" in answer(c, b"caf\xc3\xa9\r").split("\r\n")[0]
        assert "unknown command: '\u20ac'" in answer(c, "\u20ac\r")


@test
def several_at_once():
    """each monitor has its own line and history, and each session its own"""
    with VM(qmp=1, hmp=2) as vm:
        a, b = vm.hmp(0), vm.hmp(1)
        for c in (a, b):
            c.until("(qemu) ")
        a.send("info sta")
        b.send("info na")
        a.until("info sta")
        b.until("info na")
        assert "VM status" in answer(a, "tus\r")
        assert "VM status" not in answer(b, "me\r")
        assert "VM status" in answer(a, "\x10\r")
        for i in range(70):
            answer(a, f"p {i}\r")
        answer(a, "p 69\r")
        lines = answer(a, "info history\r").split("\r\n")
        assert lines[1] == "0: 'p 7'", lines
        assert lines[63:65] == ["62: 'p 69'", "63: 'info history'"], lines
        assert answer(b, "info history\r").split("\r\n")[1:3] == ["0: 'info name'",
                                                                  "1: 'info history'"]
        b.close()
        b = vm.hmp(1)
        b.until("(qemu) ")
        assert answer(b, "info history\r").split("\r\n")[1:] == ["0: 'info history'", "(qemu) "]


@test
def completion():
    """Tab: commands, their arguments, lists of what fits"""
    with VM("-object", "memory-backend-ram,id=mem0,size=1M", "-netdev", "socket,id=net7,udp="
            "127.0.0.1:9,localaddr=127.0.0.1:0", "-device", "virtio-rng-device,id=rng0",
            machine="microvm", qmp=1, hmp=1) as vm:
        c = vm.hmp()
        c.until("(qemu) ")
        for keys, line in [("info vers\t", "info version "), ("object_d\tme\t", "object_del mem0 "),
                           ("device_del r\t", "device_del rng0 "),
                           ("set_link n\t", "set_link net7 "), ("netdev_del \t", "netdev_del net7 "),
                           ("chardev-remove q\t", "chardev-remove qmp0 "),
                           ("device_add virtio-r\t", "device_add virtio-rng-device "),
                           ("qom-list /mach\t\x7f/peri\t", "qom-list /machine/peripheral"),
                           ("trace-event runstate_s\t", "trace-event runstate_set "),
                           ("help trace-\t", "help trace-event "),
                           ("nosuch x\t", "nosuch x"), ("info version \t", "info version ")]:
            # Whatever the command says; then the line is in the history.
            answer(c, keys + "\r")
            shown = answer(c, "info history\r").split("\r\n")
            assert f": '{line}'" in shown[-3], (keys, line, shown)
        c.send("device_add virtio-\t\t")
        text = c.until("(qemu) device_add virtio-")
        assert "virtio-blk-device" in text and "virtio-net-device" in text, text


@test
def terminal_sizes():
    """a line longer than the terminal is wide; the size changes while it is typed"""
    t = Terminal(["-M", "none", "-monitor", "stdio"], 40, 10)
    try:
        t.until(b"(qemu) ")
        t.type(b"nfo status" + b" " * 100 + b"\x01i\r")
        text = t.until(b"VM status: running\r\r\n(qemu) ")
        # Up by rows to the first one, not back by columns across the rows.
        assert b"\x1b[A" in text or b"\x1b[2A" in text, text
        t.type(b"nfo status" + b" " * 60)
        t.until(b" " * 20)
        fcntl.ioctl(t.master, termios.TIOCSWINSZ, struct.pack("HHHH", 10, 200, 0, 0))
        time.sleep(0.1)
        t.type(b"\x01i\r")
        t.until(b"VM status: running\r\r\n(qemu) ")
        t.type(b"quit\r")
        assert t.proc.wait(20) == 0
    finally:
        t.close()


@test
def mux():
    """Ctrl-A c while a line is half typed: it comes back; Ctrl-A x ends"""
    t = Terminal(["-M", "microvm,legacy=on", "-serial", "mon:stdio"], 80, 24)
    try:
        time.sleep(0.2)
        t.type(b"\x01c")
        t.until(b"(qemu) ")
        t.type(b"info sta")
        t.until(b"info sta")
        t.type(b"\x01c")
        t.until(b"\r\n")
        t.type(b"to the guest\x01c")
        t.until(b"(qemu) info sta")
        t.type(b"tus\r")
        t.until(b"VM status: running\r\r\n(qemu) ")
        t.type(b"\x01x")
        t.until(b"QEMU: Terminated")
        assert t.proc.wait(20) == 0
    finally:
        t.close()


@test
def programs():
    """what a program types comes back as it is; too long a line ends at its limit"""
    with VM(qmp=0, hmp=2) as vm:
        for n in (0, 1):
            c = vm.hmp(n)
            c.until("(qemu) ")
            assert answer(c, "info status\r\n") == "info status\r\nVM status: running" + PROMPT
            answer(c, "info stax\x7f\xc3\xa9\x7ftus\x15\x1b\n")
            assert "VM status: running" in answer(c, "info stax\x08tus\r")
            text = answer(c, "y" * 10000 + "\r")
            assert text.split("\r\n")[0] == "y" * 4095, len(text)
            assert answer(c, "info history\r").startswith("info history\r\n0: 'info status'")
        assert vm.stderr() == ""


if __name__ == "__main__":
    sys.exit(qemutest.run())
