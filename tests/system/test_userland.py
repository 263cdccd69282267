"""Debian's compiler, Python's own tests, openssl and stress-ng, on the software CPU.

SPDX-License-Identifier: GPL-2.0-or-later

ROUNDS=N in the environment does all of it N times.
"""
import functools
import os
import re
import subprocess

from harness import GUEST, Qemu, case, check, kernel

LIMIT = 900  # seconds on a busy machine
ROUNDS = int(os.environ.get("ROUNDS") or "1")


@functools.cache
def image():
    """The cached image; it is only ever opened with snapshot=on."""
    done = subprocess.run([os.path.join(GUEST, "debian-rootfs"), "--userland"],
                          stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, check=False)
    check(done.returncode == 0, "tests/guest/debian-rootfs made no Debian system")
    return os.path.join(done.stdout.decode().strip(), "root.ext4")


def userland(part, expected):
    """The guest's word for it, and what must stand in its output."""
    append = "console=ttyS0 root=/dev/vda rw reboot=t panic=-1 quiet " \
             "init=/usr/local/sbin/userland" + ROUNDS * f" {part}"
    args = ["-M", "microvm,legacy", "-accel", "tcg", "-cpu", "max", "-smp", "2", "-m", "512M",
            "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-serial", "stdio", "-kernel", kernel("lean"), "-append", append,
            "-drive", f"file={image()},format=raw,if=none,id=root,snapshot=on",
            "-device", "virtio-blk-device,drive=root", "-device", "virtio-rng-device"]
    with Qemu(args) as qemu:
        status = qemu.wait(LIMIT * ROUNDS)
        text = qemu.log.decode(errors="replace")
        found = re.findall(rf"@@{part}:(\d+)@@", text)
        check(found == ROUNDS * ["0"] and status == 0,
              f"{part}: {found}, exit status {status}\n{text[-3000:]}")
        check(re.search(expected, text), f"{part} printed no {expected!r}:\n{text[-3000:]}")


for name, what in (("gcc", r"9\.787606036044 1\.414213562373"), ("python", "Result: SUCCESS|OK"),
                   ("openssl", "Verified OK"), ("stress", "successful run completed")):
    case(f"userland: {name}", "tcg")(lambda name=name, what=what: userland(name, what))
