"""Saved and moved machines: guests with disks, timers and several processors go on where they were.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import json
import os
import re
import socket
import subprocess
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


def concluded(monitor, states=("setup", "active", "cancelling")):
    """What became of it."""
    patience = Patience(120)
    while True:
        info = monitor.cmd("query-migrate")
        if info["status"] not in states:
            return info
        check(not patience.over(), f"{info}")
        time.sleep(0.02)


def save(monitor, uri):
    monitor.cmd("migrate", uri=uri)
    info = concluded(monitor)
    check(info["status"] == "completed", f"{info}")


def step_back(qemu, monitor):
    """The guest goes back to a snapshot inside of its disk's image, twice."""
    def hmp(line):
        text = monitor.cmd("human-monitor-command", **{"command-line": line})
        check(not text, f"{line}: {text}")

    hmp("savevm here")
    for _ in range(2):
        for _ in range(4):
            last = int(qemu.expect(rb"count=(\d+)\.").group(1))
        hmp("loadvm here")
        while int(qemu.expect(rb"count=(\d+)\.").group(1)) >= last:
            pass
    qemu.expect(rb"count=\d+\.")
    check(b"DIFFERS" not in qemu.log and b"STEPPED" not in qemu.log, f"{qemu.log[-2000:]}")


def send(args, n, monitor):
    """The guest goes to another process while it runs; both have the disk."""
    uri = f"unix:{harness.SCRATCH.name}/migration-{n}"
    other = start(args, str(n), "-incoming", uri)
    monitor.cmd("migrate-set-parameters", **{"max-bandwidth": 0, "downtime-limit": 5})
    save(monitor, uri)
    return other


def send_late(args, n, monitor):
    """It goes there before most of its memory, which follows when it is touched, then all of it."""
    uri = f"unix:{harness.SCRATCH.name}/migration-{n}"
    other = start(args, str(n), "-incoming", uri)
    for side in (other[1], monitor):
        side.cmd("migrate-set-capabilities", capabilities=[
            {"capability": "postcopy-ram", "state": True}])
    monitor.cmd("migrate-set-parameters",
                **{"max-bandwidth": 1 << 20, "max-postcopy-bandwidth": 4 << 20})
    monitor.cmd("migrate", uri=uri)
    monitor.cmd("migrate-start-postcopy")
    info = concluded(monitor, ("setup", "active"))
    check(info["status"] == "postcopy-active", f"{info}")
    for _ in range(2):
        other[0].expect(rb"count=\d+\.")
    monitor.cmd("migrate-set-parameters", **{"max-postcopy-bandwidth": 0})
    info = concluded(monitor, ("postcopy-active",))
    check(info["status"] == "completed" and info["ram"]["postcopy-requests"], f"{info}")
    other[1].cmd("migrate-set-capabilities", capabilities=[
        {"capability": "postcopy-ram", "state": False}])
    return other


def leave(args, n, monitor):
    """Its memory stays where it is: both map it."""
    uri = f"unix:{harness.SCRATCH.name}/migration-{n}"
    other = start(args, str(n), "-incoming", uri)
    for side in (other[1], monitor):
        side.cmd("migrate-set-capabilities", capabilities=[
            {"capability": "x-ignore-shared", "state": True}])
    monitor.cmd("migrate", uri=uri)
    info = concluded(monitor)
    check(info["status"] == "completed" and info["ram"]["transferred"] < 1 << 20, f"{info}")
    print(f"# the guest stood still for {info['downtime']} ms")
    return other


SENDERS = {"send": send, "late": send_late, "leave": leave}


def go_on(args, ways, packed="off"):
    """A guest goes on in another process, again and again: by a file, mapped or not, or sent."""
    saved = os.path.join(harness.SCRATCH.name, "saved-machine")
    disk = os.path.join(harness.SCRATCH.name, "migration-disk")
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", disk, "1M"], check=True)
    args = [*args, "-drive", f"if=none,id=d,format=qcow2,file={disk}",
            "-device", f"virtio-blk-device,drive=d,packed={packed}", "-device", "virtio-rng-device"]
    log = b""
    qemu, monitor = start(args, "0")
    for n, way in enumerate([*ways, None], 1):
        with qemu:
            for _ in range(3):
                qemu.expect(rb"count=\d+\.")
            log += b"" if way else qemu.log
            if way in SENDERS:
                other = SENDERS[way](args, n, monitor)
            elif way:
                monitor.cmd("migrate-set-capabilities", capabilities=[
                    {"capability": "mapped-ram", "state": way == "mapped"}])
                save(monitor, f"file:{saved}")
            else:
                step_back(qemu, monitor)
            monitor.cmd("quit")
            qemu.wait()
            log += qemu.log if way else b""
        if way:
            qemu, monitor = other if way in SENDERS else \
                start(args, str(n), "-incoming", f"file:{saved}")
    # The console of all of them is that of one guest, to the byte.
    counts = [int(c) for c in re.findall(rb"count=(\d+)\.", log)]
    check(counts == list(range(1, len(counts) + 1)), f"{counts}\n{log[-2000:]}")
    check(b"DIFFERS" not in log and b"STEPPED" not in log, f"{log[-2000:]}")


def run_into_trouble(args, qemu, monitor):
    """The guest is sent and the other side dies, later each time, until it dies with the guest."""
    uri = f"unix:{harness.SCRATCH.name}/migration-killed"
    monitor.cmd("migrate-set-parameters", **{"max-bandwidth": 0, "downtime-limit": 5})
    for n in range(20):
        other, _ = start(args, "killed", "-incoming", uri)
        with other:
            monitor.cmd("migrate", uri=uri)
            time.sleep(0.01 * 1.6 ** n)
            other.process.kill()
            other.process.wait()
            # Who was told to run it has run it, if only for a moment: it is nobody else's.
            if concluded(monitor)["status"] == "completed":
                check(monitor.cmd("query-status")["status"] == "postmigrate", "it runs twice")
                return n
        check(monitor.cmd("query-status")["status"] == "running", "the guest does not go on")
        for _ in range(2):
            qemu.expect(rb"count=\d+\.")
    raise harness.Failed("it is never sent")


@case("killed while a guest is sent, at any time: the guest goes on where it was", "tcg")
def killed():
    disk = os.path.join(harness.SCRATCH.name, "migration-disk")
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", disk, "1M"], check=True)
    args = [*lean(2), "-drive", f"if=none,id=d,format=qcow2,file={disk}",
            "-device", "virtio-blk-device,drive=d"]
    qemu, monitor = start(args, "0")
    with qemu:
        qemu.expect(rb"count=3\.")
        run_into_trouble(args, qemu, monitor)
        monitor.cmd("quit")
        qemu.wait()
    counts = [int(c) for c in re.findall(rb"count=(\d+)\.", qemu.log)]
    check(counts == list(range(1, len(counts) + 1)), f"{counts}\n{qemu.log[-2000:]}")
    check(b"DIFFERS" not in qemu.log and b"STEPPED" not in qemu.log, f"{qemu.log[-2000:]}")


# Writes to memory and runs processes besides.
LOAD = """
while :; do
    head -c 2000000 /dev/urandom > /tmp/load
    [ $(md5sum < /tmp/load | cut -c1-32) = $(md5sum < /tmp/load | cut -c1-32) ] ||
        echo MEMORY-DIFFERS
done &
"""


def lean(smp, job=JOB, name="count"):
    return harness.machine_args(mem="128M", smp=smp, kernel_path=harness.kernel("lean"),
                                initrd_path=harness.initrd(job, name), append="quiet")


@case("saved once, sent three times while it runs, once its memory late: a guest with a disk goes on",
      twice=True)
def saved():
    go_on(lean(2), ["file", "send", "late", "send"], "on")


@case("updated in place, eight times: a guest under load goes on in another process, its memory stays",
      twice=True)
def updated():
    ram = f"memory-backend-file,id=ram,size=128M,share=on,mem-path={harness.SCRATCH.name}/ram"
    go_on([*lean(2, LOAD + JOB, "load"), "-object", ram, "-machine", "memory-backend=ram"],
          ["leave"] * 8)


# Counts, sums up what it has in memory and what it writes there, looks for clocks that step back.
IN_MEMORY = """
head -c 3000000 /dev/urandom > /tmp/kept
sum=$(md5sum < /tmp/kept)
n=0
last=0
while [ $n -lt 100000 ]; do
    n=$((n + 1))
    head -c 200000 /dev/urandom > /tmp/new$((n % 4))
    [ "$(md5sum < /tmp/new$((n % 4)))" = "$(md5sum < /tmp/new$((n % 4)))" ] || echo MEMORY-DIFFERS
    [ "$(md5sum < /tmp/kept)" = "$sum" ] || echo MEMORY-DIFFERS
    read up rest < /proc/uptime
    now=${up%.*}${up#*.}
    [ $now -ge $last ] || echo CLOCK-STEPPED
    last=$now
    echo count=$n.
done
"""


def look_at(log, first, last):
    """It counts from one of first to last on, and all is as it was."""
    counts = [int(c) for c in re.findall(rb"count=(\d+)\.", log)]
    check(first <= counts[0] <= last, f"{counts} begins before {first} or after {last}")
    check(counts == list(range(counts[0], counts[0] + len(counts))), f"{counts}\n{log[-2000:]}")
    check(b"DIFFERS" not in log and b"STEPPED" not in log, f"{log[-2000:]}")


def count(qemu, times):
    for _ in range(times):
        n = int(qemu.expect(rb"count=(\d+)\.").group(1))
    return n


def save_behind(qemu, monitor, path):
    """While it goes on; which counts it could be at."""
    first = count(qemu, 2) + 1
    # So slowly that nothing is saved but what the guest is about to change.
    monitor.cmd("migrate-set-parameters", **{"max-bandwidth": 1})
    monitor.cmd("migrate", uri=f"file:{path}")
    count(qemu, 3)
    check(monitor.cmd("query-migrate")["status"] == "active", "it is not saved meanwhile")
    monitor.cmd("migrate-set-parameters", **{"max-bandwidth": 0})
    info = concluded(monitor)
    check(info["status"] == "completed", f"{info}")
    check(monitor.cmd("query-status")["status"] == "running", "the guest stands still")
    return first, count(qemu, 1)


@case("saved behind the back of a guest that goes on, twice: what is loaded is of one moment",
      twice=True)
def saved_behind():
    args = lean(2, IN_MEMORY, "memory")
    saved = [os.path.join(harness.SCRATCH.name, f"saved-behind-{n}") for n in range(2)]
    counts = []
    qemu, monitor = start(args, "behind")
    with qemu:
        for n, path in enumerate(saved):
            monitor.cmd("migrate-set-capabilities", capabilities=[
                {"capability": "background-snapshot", "state": True},
                {"capability": "mapped-ram", "state": n == 1}])
            counts.append(save_behind(qemu, monitor, path))
        count(qemu, 3)
        monitor.cmd("quit")
        qemu.wait()
    look_at(qemu.log, 1, 1)
    for n, path in enumerate(saved):
        qemu, monitor = start(args, "behind", "-incoming", f"file:{path}")
        with qemu:
            count(qemu, 6)
            monitor.cmd("quit")
            qemu.wait()
        look_at(qemu.log, *counts[n])


@case("saved and loaded: kernel-irqchip=split and off", accel="kvm")
def saved_other_irqchips():
    for mode in ("split", "off"):
        go_on([*lean(1), "-machine", f"kernel-irqchip={mode}"], ["file"])


@case("saved, mapped, sent, a hundred times in a row (KVM: 20): a guest under load goes on", twice=True,
      long=True)
def hundred():
    go_on(lean(2, LOAD + JOB, "load"), ["file", "send", "mapped", "send"] *
          (5 if harness.ACCEL == "kvm" else 25))


# What both accelerators have on the emulated host, whose processor is AMD's.
COMMON_CPU = "Nehalem,vendor=AuthenticAMD,-mce,-mca,-mtrr,-pse36,-kvm-asyncpf,-cx16"

# Timers, the clocks of the kernel, floating point; CPUs take turns.
CLOCKS = """
n=0
last=0
begun=$(date +%s)
read up rest < /proc/uptime
offset=$((begun - ${up%.*}))
while [ $n -lt 100000 ]; do
    n=$((n + 1))
    [ $((n % 8)) -ne 0 ] || sleep 0.01
    read up rest < /proc/uptime
    now=${up%.*}${up#*.}
    [ $now -ge $last ] || echo CLOCK-STEPPED
    last=$now
    apart=$(($(date +%s) - ${up%.*} - offset))
    [ $apart -ge -5 ] && [ $apart -le 5 ] || echo CLOCKS-APART-$apart
    awk 'BEGIN { exit !(3.5 / 7 * 5.25 == 2.625) }' ||
        echo NO-FLOATS
    echo count=$n.
done
"""


def between(accels, smp=1):
    """A guest goes on under one accelerator after the other."""
    saved = os.path.join(harness.SCRATCH.name, "saved-between")
    args = harness.machine_args(mem="64M", smp=smp, kernel_path=harness.kernel("lean"),
                                initrd_path=harness.initrd(CLOCKS, "count"), append="quiet")
    args[args.index("-cpu") + 1] = COMMON_CPU
    args += ["-machine", "rtc=on"]
    log = b""
    for n, accel in enumerate(accels):
        args[args.index("-accel") + 1] = accel
        qemu, monitor = start(args, f"between-{n}",
                              *(["-incoming", f"file:{saved}"] if n else []))
        with qemu:
            for _ in range(4 if accel == "tcg" else 12):
                qemu.expect(rb"count=\d+\.")
            if n + 1 < len(accels):
                save(monitor, f"file:{saved}")
            monitor.cmd("quit")
            qemu.wait()
            log += qemu.log
    counts = [int(c) for c in re.findall(rb"count=(\d+)\.", log)]
    check(counts == list(range(1, len(counts) + 1)), f"{counts}\n{log[-2000:]}")
    for wrong in (b"STEPPED", b"APART", b"NO-FLOATS", b"BUG:", b"clocksource: timekeeping"):
        check(wrong not in log, f"{log[-2000:]}")


@case("saved under KVM, goes on with the software CPU, and back", accel="kvm")
def saved_between():
    between(["kvm", "tcg", "kvm"])
