"""make bench, part qcow2: fio on images in one guest, beside a raw file in the same guest.

As guestio.py, on the KVM test host whose clock counts instructions. Each program gets images of
its own: a raw file, one that is full from the start, one that grows by what is written, and one
that has nothing over two backing files.
SPDX-License-Identifier: GPL-2.0-or-later
"""
import os

import guestio
from guestio import MIB

IMAGE = 48 * MIB
GROWS = 1024  # MiB of the image that grows: hardly two requests meet in a cluster
# What fio does: (disk, requests, depth).
POINTS = [("raw", "randread", 32), ("full", "randread", 32), ("chain", "randread", 32),
          ("raw", "randwrite", 32), ("full", "randwrite", 32), ("grows", "randwrite", 32),
          ("raw", "randread", 1), ("full", "randread", 1), ("chain", "randread", 1),
          ("raw", "randwrite", 1), ("full", "randwrite", 1), ("grows", "randwrite", 1)]
WHAT = {"raw": "raw file", "full": "preallocated", "grows": "allocating",
        "chain": "by two backing files"}
DISKS = list(WHAT)


def fio_jobs():
    """The job file: all points, one after another."""
    text = ["[global]", "ioengine=libaio", "direct=1", "bs=4k", "thread=1", "norandommap=1",
            "randrepeat=1", "clocksource=clock_gettime", "disk_util=0"]
    for n, (disk, rw, depth) in enumerate(POINTS):
        name = f"{disk}-{rw}-{depth}"
        requests = guestio.REQUESTS[depth]
        # Both depths meet clusters that are not there yet.
        where = f"offset={0 if depth == 32 else GROWS // 2}m" if disk == "grows" else "offset=0"
        size = GROWS // 2 if disk == "grows" else IMAGE // MIB
        text += [f"[{name}]", "stonewall", f"filename=${{{disk}}}", where, f"size={size}m",
                 f"rw={rw}", f"iodepth={depth}", f"number_ios={requests}", f"randseed={n + 1}",
                 f"exec_prerun=sh /mark begin-{name}", f"exec_postrun=sh /mark end-{name}"]
    return "\n".join(text) + "\n"


JOB = guestio.DISK_JOB.replace("export data", "export " + " ".join(DISKS))


def make_images(folder):
    """The disks in a folder that takes O_DIRECT: {name: (file, format)}."""
    def path(name):
        return os.path.join(folder, name)

    def qcow2(name, size, *args):
        guestio.run(["qemu-img", "create", "-q", "-f", "qcow2", *args, path(name), str(size)])
        return path(name), "qcow2"

    fill = ["qemu-io", "-t", "none", "-f"]
    guestio.run(["dd", "if=/dev/zero", f"of={path('raw')}", "bs=1M", f"count={IMAGE // MIB}",
                 "oflag=direct", "status=none"])
    full = qcow2("full", IMAGE, "-o", "preallocation=metadata")
    base = qcow2("base", IMAGE)
    for name in ("full", "base"):
        guestio.run([*fill, "qcow2", "-c", f"write -P 1 0 {IMAGE}", path(name)])
    qcow2("middle", IMAGE, "-b", base[0], "-F", "qcow2")
    return {"raw": (path("raw"), "raw"), "full": full, "grows": qcow2("grows", GROWS * MIB),
            "chain": qcow2("chain", IMAGE, "-b", path("middle"), "-F", "qcow2")}


def host_qcow2(job):
    """fio at all points with each program; flat rows, as guestio.host_disk()."""
    folder, exits, rows = guestio.make_memory_disk(640 * MIB), guestio.ExitCounter(), {}
    for name, (command, aio) in job["commands"].items():
        disks = []
        for disk, (path, form) in make_images(folder).items():
            disks += guestio.drive(disk, path, f"cache=none,aio={aio}", form)
        reports, costs = guestio.run_guest(
            [*command, *disks, *guestio.drive("tools", job["tools"],
                                              "readonly=on,file.locking=off")], exits)
        rows[name] = guestio.flat_rows(reports, costs)
        for disk, rw, depth in POINTS:
            raw = rows[name][f"raw-{rw}-{depth} iops"]
            rows[name][f"{disk}-{rw}-{depth} share"] = rows[name][f"{disk}-{rw}-{depth} iops"] / raw
        guestio.progress(name, rows[name])
        for disk in os.listdir(folder):
            if disk != "lost+found":
                os.unlink(os.path.join(folder, disk))
    return rows


def columns():
    """Rows of the table, as guestio.disk_columns()."""
    for key, words, unit, form, more in (
            ("iops", "thousand requests/s", 1e3, "%.2f", True),
            ("share", "by the raw file's", 1, "%.2f", True),
            ("cpu", "VMM's CPU per request", 1e-6, "%.1f us", False)):
        for disk, rw, depth in POINTS:
            if disk != "raw" or key != "share":
                yield (f"{WHAT[disk]}, {rw} x{depth}, {words}", "qcow2",
                       f"{disk}-{rw}-{depth} {key}", unit, form, more)
