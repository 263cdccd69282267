#!/usr/bin/env python3
"""The monitor for people: test-hmp.py QEMU prints TAP.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import pty
import subprocess
import sys
import time

import qemutest
from qemutest import QEMU, VM, test

BANNER = "QEMU 7.2.0 monitor - type 'help' for more information\r\n(qemu) "


def ask(c, line):
    """Send a line; the answer without echo and prompt."""
    c.send(line + "\n")
    text = c.until("\r\n(qemu) ")[:-len("(qemu) ")]
    echo, answer = text.split("\r\n", 1)
    return answer


@test
def session():
    """banner, prompt, answers, unknown commands, quit"""
    with VM(qmp=0, hmp=1) as vm:
        c = vm.hmp()
        assert c.until("(qemu) ") == BANNER
        assert ask(c, "info status") == "VM status: running\r\n"
        assert ask(c, "stop") == ""
        assert ask(c, "info status") == "VM status: paused\r\n"
        assert ask(c, "cont") == ""
        assert ask(c, "foo") == "unknown command: 'foo'\r\n"
        assert ask(c, "info foo") == "unknown command: 'info foo'\r\n"
        assert ask(c, "  ") == ""
        assert ask(c, "info status x") == \
            "status: extraneous characters at the end of line\r\n" \
            'Try "help info status" for more information\r\n'
        assert ask(c, "help quit") == "quit|q  -- quit the emulator\r\n"
        assert ask(c, "info uuid") == "00000000-0000-0000-0000-000000000000\r\n"
        assert ask(c, "set_link nope on") == "Error: Device 'nope' not found\r\n"
        assert ask(c, "device_del nope") == "Error: Device 'nope' not found\r\n"
        assert ask(c, "netdev_add") .startswith("netdev_add: string expected\r\n")
        c.send("quit\n")
        assert vm.wait() == 0


@test
def every_command():
    """each command that help lists answers and leaves the machine alive"""
    with VM("-m", "16M", "-smp", "2", machine="microvm", qmp=1, hmp=1) as vm:
        c, q = vm.hmp(), vm.qmp()
        c.until("(qemu) ")
        infos = ask(c, "info").splitlines()
        assert len(infos) > 10
        for line in infos:
            assert line.startswith("info ") and line.count(" ") >= 2, line
            ask(c, " ".join(line.split()[:2]))
        names = [line.split()[0].split("|")[0] for line in ask(c, "help").splitlines()]
        assert len(names) > 30
        for name in names:
            assert ask(c, "help " + name).startswith(name), name
            if name != "quit":
                ask(c, name)
        out = vm.path("out")
        for line in ["announce_self", "cpu 1", "cpu 9", "x /8ux 0", "xp /4gx 0x1000",
                     "x /16xb 0xffffffff", "xp /2c 0", "xp /s 0", "p $rip + 8", "p/d 10",
                     "p 5/0", "p $nope", "p (1", "p", "gva2gpa 0", "gpa2hva 0x1000",
                     "gpa2hva 0xd0000000", "i /b 0x3f8", "o /b 0x80 1", "sum 0 512",
                     f'pmemsave 0 4096 "{out}"', f'memsave 0 4096 "{out}"', "pmemsave 0 16 /x",
                     "log guest_errors", "log none", "log nope", "qom-list /machine",
                     "qom-get /machine pit", "qom-set /machine pit on", "screendump x",
                     "sendkey a", "commit all", "nmi", "object_add memory-backend-ram,id=m,size=1M",
                     "object_del m", "chardev-add null,id=n", "chardev-remove n",
                     "cont", "device_add ?", "system_reset", "system_powerdown", "info registers -a",
                     "info mtree -f", 'help "', '"unterminated', "x /99999999999999999999xb 0"]:
            ask(c, line)
        assert q.cmd("query-status")["running"] is True


@test
def expressions():
    """p: operators and their order, formats, overflow, errors"""
    with VM() as vm:
        q = vm.qmp()
        for text, want in [("1+2*3", "0x7"), ("(1+2)*3", "0x9"), ("-1", "0xffffffffffffffff"),
                           ("~0 & 0xff", "0xff"), ("7 % 4", "0x3"), ("1|6^2", "0x5"),
                           ("0x8000000000000000 / -1", "0x8000000000000000"),
                           ("'a'", "0x61"), ("010", "0x8")]:
            assert q.hmp("p " + text) == want + "\r\n", (text, q.hmp("p " + text))
        assert q.hmp("p/d -5") == "-5\r\n"
        assert q.hmp("p/c 65") == "'A'\r\n"
        assert q.hmp("p/o 8") == "010\r\n"
        assert q.hmp("p 5/0").startswith("division by zero\r\n")
        assert q.hmp("p 1 2").startswith("print|p: extraneous characters")
        assert q.hmp("p").startswith("unexpected end of expression\r\n")


@test
def editing():
    """keys: erase, move, kill, history, completion"""
    with VM(qmp=0, hmp=1) as vm:
        c = vm.hmp()
        c.until("(qemu) ")
        for keys in ["info statux\x7fs\r", "status\x01info \r", "xinfo status\x01\x04\r",
                     "garbage\x15info status\r", "info status junk\x17\r",
                     "info st\tx\x7f\r", "ino status\x1b[D\x1b[D\x1b[D\x1b[D\x1b[D\x1b[D\x1b[D\x1b[Df\r",
                     "\x1b[A\r", "\x10\r", "info status nope\x1b[D\x0b\x08\x08\x08\x08\r",
                     "info\xc3\xa9\x7f status\r"]:
            c.send(keys.encode("latin1"))
            text = c.until("\r\n(qemu) ")
            assert "VM status: running\r\n" in text, (keys, text)
        # A list of what fits.
        c.send("info r\t")
        assert "registers" in c.until("roms")
        c.send("\x15" + "x" * 10000 + "\x15info status\r")
        assert "VM status: running" in c.until("VM status: running")


@test
def stdio_and_terminal():
    """a terminal: Ctrl-C is a character, EOF does not end the machine"""
    master, slave = pty.openpty()
    proc = subprocess.Popen([QEMU, "-M", "none", "-accel", "qtest", "-display", "none",
                             "-nodefaults", "-monitor", "stdio"],
                            stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)

    def until(text):
        data = b""
        while text not in data:
            data += os.read(master, 4096)
        return data

    try:
        until(b"(qemu) ")
        os.write(master, b"info status\r")
        assert b"VM status: running" in until(b"\r\n(qemu) ")
        os.write(master, b"quit\r")
        assert proc.wait(20) == 0
    finally:
        proc.kill()
        os.close(master)
    proc = subprocess.Popen([QEMU, "-M", "none", "-accel", "qtest", "-display", "none",
                             "-nodefaults", "-monitor", "stdio"],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    proc.stdin.write(b"info status\n")
    proc.stdin.close()
    time.sleep(0.5)
    assert proc.poll() is None
    proc.terminate()
    assert proc.wait(20) == 0
    assert b"VM status: running" in proc.stdout.read()


if __name__ == "__main__":
    sys.exit(qemutest.run())
