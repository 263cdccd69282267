"""Saved machines: guests with disks, timers and several processors go on where they were.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import json
import os
import re
import socket
import time

import harness
from harness import Patience, Qemu, case, check

# Counts, sums up what it writes to the disk, looks for clocks that step back.
JOB = """
n=0
last=0
while [ $n -lt 100000 ]; do
    n=$((n + 1))
    head -c 65536 /dev/urandom > /tmp/data
    dd if=/tmp/data of=/dev/vda bs=64k seek=$((n % 16)) conv=fsync 2>/dev/null
    echo 3 > /proc/sys/vm/drop_caches
    dd if=/dev/vda of=/tmp/back bs=64k skip=$((n % 16)) count=1 2>/dev/null
    cmp /tmp/data /tmp/back || echo DISK-DIFFERS
    read up rest < /proc/uptime
    now=${up%.*}${up#*.}
    [ $now -ge $last ] || echo CLOCK-STEPPED
    last=$now
    echo count=$n.
done
"""


class Monitor:
    """QMP on a socket."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        patience = Patience(60)
        while self.sock.connect_ex(path):
            check(not patience.over(), "no monitor")
            time.sleep(0.01)
        self.file = self.sock.makefile("rw")
        self.file.readline()
        self.cmd("qmp_capabilities")

    def cmd(self, name, **arguments):
        self.file.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
        self.file.flush()
        while True:
            answer = json.loads(self.file.readline())
            if "event" not in answer:
                check("return" in answer, f"{name}: {answer}")
                return answer["return"]


def start(args, tag, *more):
    path = os.path.join(harness.SCRATCH.name, f"qmp-{tag}")
    if os.path.exists(path):
        os.unlink(path)
    qemu = Qemu([*args, "-serial", "stdio", "-qmp", f"unix:{path},server=on,wait=off", *more])
    return qemu, Monitor(path)


def save(monitor, uri):
    monitor.cmd("migrate", uri=uri)
    patience = Patience(120)
    while True:
        info = monitor.cmd("query-migrate")
        if info["status"] not in ("setup", "active"):
            break
        check(not patience.over(), f"{info}")
        time.sleep(0.02)
    check(info["status"] == "completed", f"{info}")


def go_on(args, rounds):
    """A guest that is saved and goes on in another process, again and again."""
    saved = os.path.join(harness.SCRATCH.name, "saved-machine")
    disk = os.path.join(harness.SCRATCH.name, "migration-disk")
    with open(disk, "wb") as file:
        file.truncate(1 << 20)
    args = [*args, "-drive", f"if=none,id=d,format=raw,file={disk}",
            "-device", "virtio-blk-device,drive=d", "-device", "virtio-rng-device"]
    log = b""
    qemu, monitor = start(args, "0")
    for n in range(1, rounds + 2):
        with qemu:
            for _ in range(3):
                qemu.expect(rb"count=\d+\.")
            if n <= rounds:
                save(monitor, f"file:{saved}")
            monitor.cmd("quit")
            qemu.wait()
            log += qemu.log
        if n <= rounds:
            qemu, monitor = start(args, str(n), "-incoming", f"file:{saved}")
    # The console of all of them is that of one guest, to the byte.
    counts = [int(c) for c in re.findall(rb"count=(\d+)\.", log)]
    check(counts == list(range(1, len(counts) + 1)), f"{counts}\n{log[-2000:]}")
    check(b"DIFFERS" not in log and b"STEPPED" not in log, f"{log[-2000:]}")


def lean(smp):
    return harness.machine_args(mem="128M", smp=smp, kernel_path=harness.kernel("lean"),
                                initrd_path=harness.initrd(JOB, "count"), append="quiet")


@case("saved and loaded: a guest with a disk goes on, three times", twice=True)
def saved():
    go_on(lean(2), 3)


@case("saved and loaded: kernel-irqchip=split and off", accel="kvm")
def saved_other_irqchips():
    for mode in ("split", "off"):
        go_on([*lean(1), "-machine", f"kernel-irqchip={mode}"], 1)
