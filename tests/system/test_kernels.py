"""Kernels that are no Linux, as Debian packages them: they start, and say who they are.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import glob
import gzip
import os
import re
import subprocess
import tempfile

import guestlib
from harness import Qemu, case, check, machine_args

# Package, file in it, arguments, what it says. Xen is a 32-bit ELF with a Multiboot header, GNU
# Mach a 64-bit one, memtest86+ a bzImage.
KERNELS = [
    ("xen-hypervisor-4*-amd64", "boot/xen-*-amd64.gz", "console=com1 com1=115200 no-real-mode",
     rb"Bootloader: qemu-system-x86_64.*dom0 kernel not specified"),
    ("gnumach-image-1.8-486", "boot/gnumach-*.gz", "console=com0",
     rb"GNU Mach"),
    ("memtest86[+]", "boot/memtest86+x64.bin", "console=ttyS0,115200", rb"Memtest86"),
]


def package(pattern):
    """The name of the newest package that the pattern finds."""
    names = guestlib.run(["apt-cache", "pkgnames"], "apt-cache").decode().split()
    found = [name for name in names if re.fullmatch(pattern.replace("*", r"[.0-9]+"), name)]
    check(found, f"apt knows no package {pattern}")
    return max(found)


def fetch(name, pattern, folder):
    """The file of a package that is a kernel, unpacked; nothing is installed."""
    deb = guestlib.download_package(package(name), folder)
    subprocess.run(["dpkg-deb", "-x", deb, folder], check=True)
    found = glob.glob(os.path.join(folder, pattern))
    check(len(found) == 1, f"{name} has {len(found)} files {pattern}")
    if found[0].endswith(".gz"):
        with gzip.open(found[0]) as file:
            guestlib.write(found[0][:-3], file.read())
    return found[0].removesuffix(".gz")


def speaks(name, pattern, append, words):
    """The test case of a kernel."""
    with tempfile.TemporaryDirectory(prefix="kernels-") as folder:
        args = machine_args(kernel_path=fetch(name, pattern, folder))
        args[args.index("-append") + 1] = append
        with Qemu([*args, "-no-reboot", "-serial", "stdio"]) as qemu:
            qemu.expect(b"(?s)" + words, 200)


for kernel_row in KERNELS:
    case(f"a kernel of another kind: {kernel_row[0]}", "tcg", long=True)(
        lambda row=kernel_row: speaks(*row))
