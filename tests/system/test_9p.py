"""Shared folders by 9P: what a guest sees in one is what the host sees in its own file system.

SPDX-License-Identifier: GPL-2.0-or-later

On the software CPU, which is quicker where KVM is emulated: KVM has no part in it.
"""
import contextlib
import difflib
import os
import subprocess
import tempfile

import harness
from harness import LONG_CASES, case, check, kernel, run_job

MODULES = ("virtio_ring", "virtio", "virtio_mmio", "netfs", "fscache", "9pnet", "9pnet_virtio",
           "9p")
MOUNT = "mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000"
FILES = 10000 if LONG_CASES else 600


def compiled():
    """fs-torture.c for host and guest."""
    path = os.path.join(harness.SCRATCH.name, "fs-torture")
    subprocess.run(["gcc", "-O1", "-static", "-o", path,
                    os.path.join(harness.HERE, "fs-torture.c")], check=True)
    return path


def compare():
    """by two kinds of folders, with the guest's caches and without"""
    with contextlib.ExitStack() as stack:
        folders = [stack.enter_context(tempfile.TemporaryDirectory(prefix="9p-"))
                   for _ in range(3)]
        program = compiled()
        want = subprocess.run([program, folders[0], str(FILES)], check=True,
                              capture_output=True, text=True).stdout
        shared = [os.path.join(folder, "shared") for folder in folders[1:]]
        for path in shared:
            os.mkdir(path)
        job = "".join(f"insmod /root/{name}.ko\n" for name in MODULES) + f"""
            mkdir /m && {MOUNT} own /mnt && {MOUNT},cache=mmap mapped /m || exit 1
            echo ==; fs-torture /mnt {FILES} nomap; echo ==; fs-torture /m {FILES}; echo ==
        """
        files = [(kernel("debian", f"modules/{name}.ko"), f"root/{name}.ko") for name in MODULES]
        out = run_job(job, "debian", files=[*files, (program, "bin/fs-torture")], extra=[
            "-virtfs", f"local,path={shared[0]},mount_tag=own,security_model=passthrough",
            "-fsdev", f"local,id=f,path={shared[1]},security_model=mapped-xattr",
            "-device", "virtio-9p-device,fsdev=f,mount_tag=mapped"])
        parts = out.replace("\r", "").split("==\n")
        check(len(parts) == 4, f"the guest's output\n{out}")
        same(parts[1], without(want, "mmap"))
        same(parts[2], want)
        check(os.path.islink(f"{shared[0]}/d/link") and os.path.isfile(f"{shared[1]}/d/link"),
              "how links are kept")


def without(text, _what):
    """The lines of what is left out with "nomap"."""
    lines = text.splitlines(keepends=True)
    begin = lines.index("mmap: OK\n") - 1
    end = next(i for i, line in enumerate(lines) if line.startswith("mapped: mode"))
    return "".join(lines[:begin] + lines[end + 1:])


def same(got, want):
    """Fail with the difference; the last line, a sum over all names, is of what was left out, too."""
    diff = list(difflib.unified_diff(want.splitlines()[:-1], got.splitlines()[:-1], "host",
                                     "guest", lineterm="", n=1))
    check(not diff, "\n".join(diff))


case("9p: a folder behaves as the host's own file system", "tcg")(compare)
case("9p: a folder with 10,000 files", "tcg", long=True)(compare)
