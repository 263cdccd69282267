"""Disk images with file systems, made and looked into without mounting them.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import subprocess
import tempfile

from harness import check
from guestlib import run as run_tool

BUSYBOX = "/bin/busybox"
INITTAB = """::sysinit:/etc/rc
{tty}::respawn:/sbin/getty -L 115200 {tty} vt100
"""
RC = """#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -o remount,rw /
hostname seed
"""


def tool(*argv):
    """Run a tool of e2fsprogs; what it printed. Fails if it does."""
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    text = done.stdout.decode(errors="replace")
    check(done.returncode == 0, f"{' '.join(argv)}: status {done.returncode}\n{text}")
    return text


def write(path, text, mode=0o644):
    """A text file with this mode, and the folders above it."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    os.chmod(path, mode)


def root_image(path, tty, setup="", size="48M"):
    """An ext4 file system with busybox: init, a login on tty, root without a password.

    setup: shell commands that init runs before the login."""
    with tempfile.TemporaryDirectory() as root:
        for name in ("bin", "sbin", "proc", "sys", "dev", "tmp", "root", "mnt"):
            os.mkdir(os.path.join(root, name))
        busybox = os.path.join(root, "bin", "busybox")
        with open(BUSYBOX, "rb") as source, open(busybox, "wb") as copy:
            copy.write(source.read())
        os.chmod(busybox, 0o755)
        for applet in run_tool([BUSYBOX, "--list"], "busybox").decode().split():
            if applet != "busybox":
                os.symlink("/bin/busybox", os.path.join(root, "bin", applet))
        for name in ("init", "getty", "reboot"):
            os.symlink("/bin/busybox", os.path.join(root, "sbin", name))
        write(os.path.join(root, "etc/inittab"), INITTAB.format(tty=tty))
        write(os.path.join(root, "etc/rc"), RC + setup, 0o755)
        write(os.path.join(root, "etc/passwd"), "root::0:0:root:/root:/bin/sh\n")
        write(os.path.join(root, "etc/group"), "root:x:0:\n")
        write(os.path.join(root, "etc/profile"), "export PATH=/bin:/sbin PS1='seed:\\w# '\n")
        tool("mke2fs", "-q", "-F", "-t", "ext4", "-d", root, path, size)
    with tempfile.NamedTemporaryFile("w", suffix=".debugfs") as script:
        # The kernel opens it for init before anything is mounted.
        script.write("cd /dev\nmknod console c 5 1\nmknod null c 1 3\n")
        script.flush()
        tool("debugfs", "-w", "-f", script.name, path)


def replay(path):
    """Replay the journal of a file system that was not unmounted; it must be sound then."""
    done = subprocess.run(["e2fsck", "-p", path], stdin=subprocess.DEVNULL, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    text = done.stdout.decode(errors="replace")
    check(done.returncode in (0, 1) and "recovering journal" in text,
          f"e2fsck -p: status {done.returncode}\n{text}")
    tool("e2fsck", "-fn", path)


def contents(path, name):
    """The bytes of a file in the file system, b"" if it is not there."""
    done = subprocess.run(["debugfs", "-R", f"cat {name}", path], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    return done.stdout
