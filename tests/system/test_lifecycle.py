"""Resets, signals, terminals: how a guest goes on and how the process ends.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import contextlib
import os
import pty
import select
import signal
import subprocess
import tempfile
import termios
import time

from harness import (BOOT_TIME, Failed, Patience, QEMU, Qemu, case, check, initrd, kernel, machine_args,
                     tiny_initrd)

PROMPT = rb"microvm:[^\n]*# "
RESETS = 100


def shell_args():
    """A lean guest with a shell on its console."""
    return machine_args(kernel_path=kernel("lean"), initrd_path=initrd(), append="quiet")


@case(f"{RESETS} guest-triggered resets in a row")
def resets():
    """The guest's init prints a line and reboots, again and again."""
    args = machine_args(mem="128M", kernel_path=kernel("lean"), initrd_path=tiny_initrd(),
                        append="quiet -- say")
    with Qemu([*args, "-serial", "stdio"]) as qemu:
        for _ in range(RESETS + 1):
            qemu.expect(rb"@@booted@@")
        status, seconds = qemu.stop()
        check(status == 0, f"exit status {status} after SIGTERM\n{qemu.tail()}")
        check(seconds < 10, f"SIGTERM took {seconds:.1f} s")


@case("-no-reboot ends the process with status 0")
def no_reboot():
    """A reset with -no-reboot is the end, after exactly one boot."""
    args = machine_args(mem="128M", kernel_path=kernel("lean"), initrd_path=tiny_initrd(),
                        append="quiet -- say")
    with Qemu([*args, "-no-reboot", "-serial", "stdio"]) as qemu:
        status = qemu.wait()
        check(status == 0, f"exit status {status}\n{qemu.tail()}")
        check(qemu.log.count(b"@@booted@@") == 1, f"not one boot\n{qemu.tail()}")


@case("a shell on the console answers")
def console_shell():
    """What is typed reaches the guest, what it prints comes back; exit powers off."""
    with Qemu([*shell_args(), "-no-reboot", "-serial", "stdio"]) as qemu:
        qemu.expect(PROMPT)
        qemu.send("echo answer=$((6 * 7))\n")
        qemu.expect(rb"answer=42\r\n")
        qemu.expect(PROMPT)
        qemu.send("seq 1 2000 | md5sum\n")
        qemu.expect(rb"ee18cc55c1f48e8fd1b8cd1b71d55e3b|[0-9a-f]{32}")
        qemu.expect(PROMPT)
        qemu.send("exit\n")
        check(qemu.wait() == 0, f"exit status {qemu.process.returncode}\n{qemu.tail()}")


def ends_on(number):
    """A signal ends an idle guest: status 0, quickly, the pidfile removed."""
    with tempfile.TemporaryDirectory() as folder:
        pidfile = os.path.join(folder, "pid")
        with Qemu([*shell_args(), "-serial", "stdio", "-pidfile", pidfile]) as qemu:
            qemu.expect(PROMPT)
            with open(pidfile, encoding="ascii") as file:
                pid = int(file.read())
            check(pid == qemu.process.pid, f"the pidfile says {pid}")
            status, seconds = qemu.stop(number)
            check(status == 0, f"exit status {status}\n{qemu.tail()}")
            check(seconds < 5, f"it took {seconds:.1f} s")
            check(not os.path.exists(pidfile), "the pidfile is still there")


for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    case(f"{signum.name} ends it cleanly")(lambda signum=signum: ends_on(signum))


def read_until(fd, word, timeout):
    """Read a terminal until a word (bytes) has come; what was read."""
    data, limit = b"", Patience(timeout)
    while word not in data:
        if limit.over():
            raise Failed(f"no {word!r} within {timeout} s:\n{data.decode(errors='replace')}")
        if not select.select([fd], [], [], limit.wait())[0]:
            continue
        more = os.read(fd, 4096)
        if not more:
            raise Failed(f"the terminal closed before {word!r}:\n{data.decode(errors='replace')}")
        data += more
    return data


def drain(fd, process, timeout):
    """Read a terminal until the process ends, so that it can; its exit status."""
    limit = Patience(timeout)
    while process.poll() is None:
        if limit.over():
            raise Failed(f"still running after {timeout} s")
        with contextlib.suppress(OSError):
            if not select.select([fd], [], [], 0.1)[0] or not os.read(fd, 4096):
                time.sleep(0.1)  # nothing, or closed on the other side
    return process.returncode


def terminal_restored(end_it):
    """While it runs the terminal is raw; afterwards it is what it was."""
    master, slave = pty.openpty()
    process = None
    try:
        before = termios.tcgetattr(slave)
        process = subprocess.Popen([QEMU, *shell_args(), "-no-reboot", "-serial", "stdio"],
                                   stdin=slave, stdout=slave, stderr=slave)
        read_until(master, b"# ", BOOT_TIME)
        during = termios.tcgetattr(slave)
        check(not during[3] & (termios.ICANON | termios.ECHO), "the terminal is not raw")
        end_it(master, process)
        status = drain(master, process, BOOT_TIME)
        check(status == 0, f"exit status {status}")
        check(termios.tcgetattr(slave) == before, "the terminal's settings are not restored")
    finally:
        if process and process.poll() is None:
            process.kill()
            process.wait()
        os.close(master)
        os.close(slave)


@case("the terminal is restored after SIGTERM")
def terminal_sigterm():
    """Ended from outside."""
    terminal_restored(lambda master, process: process.terminate())


@case("the terminal is restored after the guest's reboot")
def terminal_exit():
    """Ended by the guest."""
    terminal_restored(lambda master, process: os.write(master, b"exit\r"))


@case("-serial pty")
def serial_pty():
    """The console is at the terminal that the emulator names."""
    with Qemu([*shell_args(), "-no-reboot", "-serial", "pty"]) as qemu:
        found = qemu.expect(rb"char device redirected to (/dev/\S+) \(label serial0\)", 30)
        fd = os.open(found[1].decode(), os.O_RDWR | os.O_NOCTTY)
        try:
            settings = termios.tcgetattr(fd)
            settings[3] &= ~termios.ECHO
            termios.tcsetattr(fd, termios.TCSANOW, settings)
            os.write(fd, b"\r")
            read_until(fd, b"microvm:", BOOT_TIME)
            os.write(fd, b"echo answer=$((6 * 7))\r")
            read_until(fd, b"answer=42", 60)
            os.write(fd, b"exit\r")
            check(drain(fd, qemu.process, BOOT_TIME) == 0, f"exit status\n{qemu.tail()}")
        finally:
            os.close(fd)
