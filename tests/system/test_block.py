"""Disks: what the guest reads is what the image holds, and the other way round.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import contextlib
import hashlib
import json
import os
import random
import re
import secrets
import socket
import subprocess
import time

from harness import (SCRATCH, Patience, Qemu, case, check, initrd, kernel, machine_args, run_job,
                     wait_for)

MIB = 1 << 20


def image(name, size=8 * MIB, seed=1):
    """A file of pseudo-random bytes in the scratch folder; its path."""
    path = os.path.join(SCRATCH.name, name)
    with open(path, "wb") as file:
        file.write(random.Random(seed).randbytes(size))
    return path


def digest(path, offset=0, size=-1):
    """The SHA-256 of a part of a file."""
    with open(path, "rb") as file:
        file.seek(offset)
        return hashlib.sha256(file.read(size)).hexdigest()


def disk(path, drive="", device="", number=0):
    """The arguments for one disk; the device stands first, as some clients have it."""
    drive = f"file={path},format=raw,if=none,id=d{number}" + ("," + drive if drive else "")
    device = f"virtio-blk-device,drive=d{number}" + ("," + device if device else "")
    return ["-device", device, "-drive", drive]


COPY = """
sha256sum /dev/vda
dd if=/dev/zero bs=1M count=1 2>/dev/null | tr '\\0' 'x' > /tmp/x
dd if=/tmp/x of=/dev/vda bs=64k seek=32 conv=fsync 2>/dev/null
dd if=/dev/vda of=/dev/vda bs=4k count=200 skip=1024 seek=100 conv=fsync,notrunc 2>/dev/null
sha256sum /dev/vda
"""


def copy(drive="", device="", more=(), **machine):
    """The guest sees the image's bytes, the image gets the guest's."""
    path = image("copy")
    before = digest(path)
    text = run_job(COPY, extra=[*disk(path, drive, device), *more], **machine)
    check(before in text, f"the guest read something else than {before}:\n{text}")
    with open(path, "rb") as file:
        file.seek(2 * MIB)
        check(file.read(MIB) == b"x" * MIB, "the guest's bytes are not in the image")
    check(digest(path) in text, f"the image is not what the guest wrote:\n{text}")


THREAD = ["-object", "iothread,id=io0"]
LEGACY = ["-global", "virtio-mmio.force-legacy=on"]
WAYS = [
    ("by io_uring", {}),
    ("by threads", {"drive": "aio=threads"}),
    ("writethrough", {"drive": "cache=writethrough"}),
    ("in an iothread", {"device": "iothread=io0", "more": THREAD}),
    ("with four queues, in an iothread",
     {"device": "iothread=io0,num-queues=4", "more": THREAD, "smp": 4}),
    ("legacy", {"more": LEGACY}),
    ("legacy with two queues", {"device": "num-queues=2", "more": LEGACY, "smp": 2}),
]
for words, options in WAYS:
    case(f"disk copies {words}")(lambda options=options: copy(**options))


def loop(*words):
    """losetup(8); what it printed."""
    done = subprocess.run(["losetup", *words], stdout=subprocess.PIPE, check=True,
                          stdin=subprocess.DEVNULL)
    return done.stdout.decode().strip()


TRIM = """
mke2fs -q /dev/vda
mount -t ext4 /dev/vda /mnt && fstrim /mnt && umount /mnt && echo t''rimmed
"""


# Loop devices belong to the host as a whole: only in the emulated one.
@case("disk is a block device of the host, O_DIRECT; one writer", "kvm")
def block_device():
    """Bytes both ways, discards, the lock."""
    path = image("device")
    before = digest(path)
    device = loop("-f", "--show", path)
    try:
        extra = disk(device, "cache=none,discard=unmap")
        text = run_job("cat /sys/block/vda/size\n" + COPY + TRIM, extra=extra)
        check(text.startswith("16384\n") and before in text, f"not the device's bytes:\n{text}")
        check("trimmed" in text, f"no discards:\n{text}")
        fsck = subprocess.run(["e2fsck", "-fn", device], stdout=subprocess.PIPE, check=False,
                              stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT)
        check(fsck.returncode == 0, f"not what the guest wrote:\n{fsck.stdout.decode()}")
        with Qemu([*machine_args(kernel_path=kernel("lean")), "-S", *extra]) as first:
            wait_for(lambda: device in open_files(first.process.pid), "the device is not open")
            with Qemu([*machine_args(), "-S", *extra]) as second:
                check(second.wait() == 1 and b'Failed to get "write" lock' in second.log,
                      f"a second writer was let in\n{second.tail()}")
    finally:
        loop("-d", device)


def open_files(pid):
    """The paths that a process has open."""
    paths = []
    for name in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            paths.append(os.readlink(f"/proc/{pid}/fd/{name}"))
    return paths


FILES = """
set -e
mke2fs -q /dev/vda 2>/dev/null || mke2fs /dev/vda >/dev/null
mkdir -p /tmp/m
mount -t ext4 /dev/vda /tmp/m
for i in $(seq 1 40); do dd if=/dev/urandom of=/tmp/m/f$i bs=10k count=$i 2>/dev/null; done
(cd /tmp/m; sha256sum f* > /tmp/sums)
umount /tmp/m
echo 3 > /proc/sys/vm/drop_caches
mount -t ext4 /dev/vda /tmp/m
cd /tmp/m && sha256sum -c /tmp/sums > /dev/null && echo all the same
rm f1? ; cd / ; fstrim /tmp/m || true ; umount /tmp/m
"""


@case("disk holds a file system")
def files():
    """Files are there after a new mount."""
    text = run_job(FILES, extra=disk(image("files", 32 * MIB), "discard=unmap,detect-zeroes=unmap"))
    check("all the same" in text, text)


@case("disk snapshot=on leaves the image alone")
def snapshot():
    """The guest sees its writes, the image does not."""
    path = image("snapshot")
    before = digest(path)
    text = run_job("dd if=/dev/zero of=/dev/vda bs=3k count=1000 conv=fsync 2>/dev/null\n"
                   "head -c 3072000 /dev/vda | tr -d '\\0' | wc -c\nsha256sum /dev/vda",
                   extra=disk(path, "snapshot=on"))
    check(text.startswith("0\n"), f"zeroes are not read back:\n{text}")
    check(before not in text and digest(path) == before, "the image has changed")


@case("disk readonly=on cannot be written")
def readonly():
    """The guest knows, and could not if it tried."""
    path = image("readonly")
    before = digest(path)
    text = run_job("cat /sys/block/vda/ro\nblockdev --setrw /dev/vda\n"
                   "dd if=/dev/zero of=/dev/vda count=1 conv=fsync 2>/dev/null || echo refused",
                   extra=disk(path, "readonly=on"))
    check(text.startswith("1\n") and "refused" in text, text)
    check(digest(path) == before, "the image has changed")


@case("disk eight of them, in order")
def eight():
    """vda to vdh, lowest transport first, with serial numbers and sizes."""
    extra = []
    for number in range(8):
        path = image(f"eight{number}", (number + 1) * MIB, number)
        extra += disk(path, "", f"serial=S{number}", number)
    text = run_job("cat /proc/cmdline\nfor d in /sys/block/vd?; do "
                   "echo $(basename $d) $(cat $d/serial) $(cat $d/size); done", extra=extra)
    for number in range(8):
        name = f"vd{'abcdefgh'[number]}"
        check(f"{name} S{number} {(number + 1) * 2048}\n" in text, f"{name} is wrong:\n{text}")
        place = f"virtio_mmio.device=512@{0xd0000000 + number * 0x200:#x}:{5 + number}"
        check(place in text, f"{place} is not on the command line:\n{text}")


@case("disk properties reach the guest")
def properties():
    """Block sizes, queues, write cache."""
    text = run_job("cd /sys/block/vda\ncat queue/logical_block_size queue/physical_block_size "
                   "queue/write_cache; ls mq | wc -l; echo write through > cache_type; "
                   "cat queue/write_cache",
                   smp=2, extra=disk(image("properties"), "",
                                     "logical_block_size=4096,physical_block_size=8192,num-queues=2"))
    check(text.split("\n")[:5] == ["4096", "8192", "write back", "2", "write through"], text)


class Qmp:
    """A QMP client on a unix socket."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        limit = Patience(20)
        while True:
            try:
                self.socket.connect(path)
                break
            except OSError:
                check(not limit.over(), "no QMP socket")
                time.sleep(0.1)
        self.socket.settimeout(180)
        self.stream = self.socket.makefile("rw")
        self.events = []
        self.read()
        self.command("qmp_capabilities")

    def read(self):
        """One object."""
        line = self.stream.readline()
        check(line, "the QMP socket was closed")
        return json.loads(line)

    def command(self, name, /, **args):
        """Its return value; events that come meanwhile are kept."""
        self.stream.write(json.dumps({"execute": name, "arguments": args}) + "\n")
        self.stream.flush()
        while True:
            answer = self.read()
            if "event" in answer:
                self.events.append(answer)
                continue
            check("return" in answer, f"{name}: {answer}")
            return answer["return"]

    def event(self, name):
        """Wait for an event; its data."""
        while True:
            for number, event in enumerate(self.events):
                if event["event"] == name:
                    del self.events[:number + 1]
                    return event.get("data")
            answer = self.read()
            if "event" in answer:
                self.events.append(answer)


def start(job, extra):
    """A guest with a job and a QMP socket; the emulator, the client and the nonce."""
    path = os.path.join(SCRATCH.name, "qmp")
    nonce = secrets.token_hex(6)
    args = machine_args(kernel_path=kernel("lean"), initrd_path=initrd(job, nonce), append="quiet")
    qemu = Qemu([*args, "-no-reboot", "-serial", "stdio", "-qmp", f"unix:{path},server=on,wait=off",
                 *extra])
    return qemu, path, nonce.encode()


FILL = """
dd if=/dev/zero bs=1M count=6 2>/dev/null | tr '\\0' 'y' > /tmp/y
sha256sum < /tmp/y
dd if=/tmp/y of=/dev/vda bs=1M oflag=direct 2>/dev/null || dd if=/tmp/y of=/dev/vda bs=1M conv=fsync
echo 3 > /proc/sys/vm/drop_caches
head -c 6291456 /dev/vda | sha256sum
"""


@case("disk out of space stops the machine, cont goes on")
def enospc():
    """BLOCK_IO_ERROR, io-error, room made, cont: the guest notices nothing."""
    place = os.path.join(SCRATCH.name, "small")
    os.mkdir(place)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", place], check=True)
    path = os.path.join(place, "image")
    with open(path, "wb") as file:
        file.truncate(8 * MIB)
    try:
        qemu, name, nonce = start(FILL, disk(path))
        with qemu:
            qmp = Qmp(name)
            data = qmp.event("BLOCK_IO_ERROR")
            check(data["action"] == "stop" and data["nospace"] and data["operation"] == "write",
                  str(data))
            qmp.event("STOP")
            check(qmp.command("query-status")["status"] == "io-error", "not io-error")
            check(qmp.command("query-block")[0]["io-status"] == "nospace", "not nospace")
            subprocess.run(["mount", "-o", "remount,size=20m", place], check=True)
            qmp.command("cont")
            check(qemu.wait() == 0, qemu.tail())
            found = re.search(b"@@%s:begin@@\r?\n(.*)@@%s:end:0@@" % (nonce, nonce), qemu.log,
                              re.DOTALL)
            check(found, qemu.tail())
            sums = found[1].decode().split()
            check(sums[0] == sums[2], f"the guest reads something else: {sums}")
    finally:
        subprocess.run(["umount", place], check=False)


@case("disk has one writer")
def lock():
    """A second emulator is refused; one that only reads a shared image is not."""
    path = image("lock")
    qemu, name, _ = start("sleep 1000", disk(path))
    with qemu:
        Qmp(name)
        with Qemu([*machine_args(), "-S", *disk(path)]) as second:
            check(second.wait() == 1, "a second writer was let in")
            check(b'Failed to get "write" lock' in second.log, second.tail())
            check(b"Is another process using the image" in second.log, second.tail())


RESIZE = """
echo ready > /dev/console
i=0
while [ $(cat /sys/block/vda/size) != 32768 -a $i -lt 300 ]; do i=$((i+1)); sleep 0.1; done
cat /sys/block/vda/size
"""


@case("disk is free as soon as the emulator has ended")
def released():
    """One guest after the other uses the image; no lock of the last one is left."""
    path = image("released")
    for aio in ("threads", "io_uring") * 2:
        run_job("dd if=/dev/vda of=/dev/null bs=64k count=8 2>/dev/null",
                extra=disk(path, f"aio={aio}"))


@case("disk grows while it is used")
def resize():
    """block_resize reaches the guest."""
    qemu, name, _ = start(RESIZE, disk(image("resize")))
    with qemu:
        qmp = Qmp(name)
        qemu.expect(b"ready")
        qmp.command("block_resize", device="d0", size=16 * MIB)
        qemu.expect(b"32768")
        check(qemu.wait() == 0, qemu.tail())


STREAM = """
i=0
while :; do
    printf '%08d' $i | dd of=/dev/vda bs=4k count=1 conv=sync,fsync seek=$((i % 1000)) 2>/dev/null
    echo "done $i" > /dev/console
    i=$((i+1))
done
"""


@case("disk has what was flushed when the emulator is killed")
def kill():
    """Every write that the guest saw completed is in the image after kill -9."""
    path = image("kill")
    qemu, name, _ = start(STREAM, disk(path))
    with qemu:
        Qmp(name)
        qemu.expect(b"done 120\r?\n")
        qemu.process.kill()
        qemu.wait()
        last = max(int(n) for n in re.findall(rb"done (\d+)\r?\n", qemu.log))
    with open(path, "rb") as file:
        for number in range(max(0, last - 900), last + 1):
            file.seek(number % 1000 * 4096)
            check(file.read(8) == b"%08d" % number, f"write {number} of {last} is lost")
