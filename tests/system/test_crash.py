"""File systems after a crash: of the guest, of the emulator, of the host's power.

SPDX-License-Identifier: GPL-2.0-or-later

A guest works on files at random and calls fsync for some of them, saying so on the
console. Afterwards the journal is replayed: the file system must be sound, and what was
said to be safe must be there. CRASH_SECONDS (default 6) is how long it works; longer if it
has not got as far as LEAST files.
"""
import contextlib
import hashlib
import os
import random
import re
import shutil
import struct
import subprocess
import tempfile
import time

from disks import replay, tool
from harness import HERE, Qemu, case, check, initrd, kernel, machine_args
from test_block import Qmp

SECONDS = int(os.environ.get("CRASH_SECONDS") or 6)
CUTS = 12  # places where the power is cut
LEAST = 8  # files that are safe before it crashes, however slow the machine is

# The init of a guest that ends by the death of its init: the kernel panics.
INIT = """#!/bin/sh
export PATH=/bin:/sbin
mount -t proc proc /proc
mount -t devtmpfs devtmpfs /dev 2>/dev/null
mount -t tmpfs tmpfs /tmp
exec </dev/console >/dev/console 2>&1
mount -t ext4 /dev/vda /mnt || exit 1
mkdir -p /mnt/safe /mnt/work
worker() {
    n=0
    while :; do
        r=$((RANDOM % 60))
        f=/mnt/work/$1-$r
        case $((n % 6)) in
        0|1) dd if=/dev/urandom of=$f bs=3001 count=$((r / 2 + 1)) 2>/dev/null;;
        2) mv $f /mnt/work/$1-$((60 + r)) 2>/dev/null;;
        3) rm -f $f /mnt/work/link-$1-$r;;
        4) [ -f $f ] && truncate -s $((r * 500)) $f;;
        5) mkdir -p /mnt/work/dir-$1-$r/sub; ln -sf $f /mnt/work/link-$1-$r
           rmdir /mnt/work/dir-$1-$((60 - r))/sub /mnt/work/dir-$1-$((60 - r)) 2>/dev/null;;
        esac
        n=$((n + 1))
    done
}
safe() {
    i=0
    read boot </proc/sys/kernel/random/boot_id
    while :; do
        head -c $((RANDOM + 1)) /dev/urandom >/tmp/x
        dd if=/tmp/x of=/mnt/safe/$boot-$i bs=64k conv=fsync 2>/dev/null
        echo "safe $boot-$i $(md5sum </tmp/x)"
        i=$((i + 1))
        [ $i != LEAST ] || : >/tmp/enough
    done
}
worker a & worker b & worker c & safe &
echo "@@working@@"
sleep SECONDS
until [ -e /tmp/enough ]; do sleep 0.1; done
exit 1
"""


@contextlib.contextmanager
def scratch():
    """A folder with an empty file system."""
    with tempfile.TemporaryDirectory(prefix="crash-") as folder:
        tool("mke2fs", "-q", "-F", "-t", "ext4", os.path.join(folder, "empty"), "64M")
        yield folder


@contextlib.contextmanager
def working(folder, drive="", device="", more=("-no-reboot",), seconds=SECONDS, **kwargs):
    """A guest at work on folder/disk."""
    disk = os.path.join(folder, "disk")
    shutil.copyfile(os.path.join(folder, "empty"), disk)
    init = os.path.join(folder, "init")
    with open(init, "w", encoding="ascii") as file:
        file.write(INIT.replace("SECONDS", str(seconds)).replace("LEAST", str(LEAST)))
    os.chmod(init, 0o755)
    args = machine_args(smp=2, kernel_path=kernel("lean"), append="quiet rdinit=/crash-init",
                        initrd_path=initrd(files=[(init, "crash-init")]))
    args += ["-serial", "stdio", *more,
             "-drive", f"file={disk},format=raw,if=none,id=d{drive}",
             "-device", f"virtio-blk-device,drive=d{device}"]
    if "env" in kwargs:
        kwargs["env"]["IO_INODE"] = str(os.stat(disk).st_ino)
    with Qemu(args, **kwargs) as qemu:
        qemu.expect(rb"@@working@@")
        yield qemu, disk


def promises(text):
    """What the guest said to be safe: {name: MD5 sum}. The last line may be cut."""
    return dict(re.findall(r"safe ([0-9a-f]+-\S+-\d+) ([0-9a-f]{32}) ", text.decode(errors="replace")))


def verify(disk, promised):
    """The file system is sound, and has all that was promised."""
    replay(disk)
    with tempfile.TemporaryDirectory(prefix="crash-") as folder:
        tool("debugfs", "-R", f"rdump /safe {folder}", disk)
        for name, digest in promised.items():
            with open(os.path.join(folder, "safe", name), "rb") as file:
                check(hashlib.md5(file.read()).hexdigest() == digest,
                      f"file {name} of {len(promised)} is not what was written")


def guest_crash(drive="", device="", more=("-no-reboot",)):
    """The guest's kernel panics at work."""
    with scratch() as folder:
        with working(folder, drive, device, more) as (qemu, disk):
            status = qemu.wait(SECONDS + 180)
            check(status == 0, f"exit status {status}\n{qemu.tail()}")
            check(b"Attempted to kill init" in qemu.log, f"no panic\n{qemu.tail()}")
            promised = promises(qemu.log)
        check(promised, f"only {len(promised)} files were written\n{qemu.tail()}")
        verify(disk, promised)


case("a guest's crash leaves a sound file system, writes are cached")(guest_crash)
case("a guest's crash leaves a sound file system, two queues in an iothread, version 1")(
    lambda: guest_crash(",discard=unmap,detect-zeroes=unmap", ",num-queues=2,iothread=io0",
                        ["-no-reboot", "-object", "iothread,id=io0",
                         "-global", "virtio-mmio.force-legacy=on"]))


def read_for(qemu, seconds):
    """Let it work and take what it prints."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        qemu.read_some(0.1)


@case("a killed emulator leaves a sound file system with all that was flushed")
def killed():
    """SIGKILL at a random moment."""
    with scratch() as folder:
        with working(folder, seconds=10000) as (qemu, disk):
            qemu.expect(rb"safe \S+-1 ")
            read_for(qemu, random.uniform(0.5, SECONDS))
            qemu.process.kill()
            qemu.wait()
        verify(disk, promises(qemu.log))


@case("resets at random moments under load: the file system stays sound, flushed data stays")
def resets():
    """What is in flight ends before the next boot reads; each boot replays the journal."""
    with scratch() as folder:
        name = os.path.join(folder, "qmp")
        more = ["-qmp", f"unix:{name},server=on,wait=off"]
        with working(folder, ",cache=writeback", ",num-queues=2", more, 10000) as (qemu, disk):
            qmp = Qmp(name)
            qemu.expect(rb"safe \S+-1 ")
            for _ in range(2):
                read_for(qemu, random.uniform(0.2, SECONDS / 2))
                qmp.command("system_reset")
                qemu.expect(rb"@@working@@")
            qemu.expect(rb"safe \S+-1 ")
            qemu.process.kill()
            qemu.wait()
        promised = promises(qemu.log)
        check(len({key.rsplit("-", 1)[0] for key in promised}) > 1, "only one boot wrote files")
        verify(disk, promised)


def shim(folder):
    """The library that stands between the emulator and the host's files."""
    path = os.path.join(folder, "shim.so")
    subprocess.run(["gcc", "-O1", "-shared", "-fPIC", "-o", path,
                    os.path.join(HERE, "io-shim.c"), "-ldl"], check=True)
    # A sanitizer's build would complain that it is not first.
    return {**os.environ, "LD_PRELOAD": path, "ASAN_OPTIONS": "verify_asan_link_order=0"}


def read_log(path):
    """The records that io-shim.c wrote: [(kind, position, data)]."""
    with open(path, "rb") as file:
        data = file.read()
    records, at = [], 0
    while at + 24 <= len(data):
        kind, position, length = struct.unpack_from("<QQQ", data, at)
        records.append((chr(kind), position, data[at + 24:at + 24 + length]))
        at += 24 + length
    return records


def cut(records, count, rng, path):
    """The disk when the power went after `count` records; what was promised until then.

    What was flushed is there. What was not may be there or not, or half of it."""
    durable = max((position for kind, position, _ in records[:count] if kind == "F"), default=0)
    said = b""
    with open(path, "r+b") as disk:
        for number, (kind, position, data) in enumerate(records[:count]):
            if kind == "C":
                said += data
            if kind not in "WS":
                continue
            if kind == "W" and number >= durable and rng.random() < 0.5:
                data = data[:rng.randrange(0, len(data) + 1) // 512 * 512]
            disk.seek(position)
            disk.write(data)
    return promises(said)


def power_cut(drive):
    """Twelve cuts through one run."""
    rng = random.Random(8)
    with scratch() as folder:
        log = os.path.join(folder, "log")
        env = {**shim(folder), "IO_LOG": log}
        with working(folder, ",aio=threads" + drive, env=env) as (qemu, _):
            check(qemu.wait(SECONDS + 180) == 0, f"exit status\n{qemu.tail()}")
        records = read_log(log)
        flushes = [number for number, record in enumerate(records) if record[0] == "F"]
        stable = [number for number, record in enumerate(records) if record[0] == "S"]
        check(len(flushes) + len(stable) > CUTS, f"{len(flushes)} flushes, {len(stable)} writes")
        disk = os.path.join(folder, "cut")
        most = 0
        for number in range(CUTS):
            shutil.copyfile(os.path.join(folder, "empty"), disk)
            # Half of them right behind a flush: nothing else has come then.
            place = rng.choice(flushes or stable) + 1 if number % 2 else rng.randrange(
                len(records) // 4, len(records))
            promised = cut(records, place, rng, disk)
            most = max(most, len(promised))
            verify(disk, promised)
        check(most > 2, "hardly a file was promised: nothing is proved")


# On the software CPU, which is quicker where KVM is emulated: KVM has no part in it.
case("a power cut at any moment leaves a sound file system, flushes count", "tcg")(
    lambda: power_cut(""))
case("a power cut at any moment leaves a sound file system, each write is stable", "tcg")(
    lambda: power_cut(",cache=writethrough"))
