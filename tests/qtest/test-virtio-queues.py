#!/usr/bin/env python3
"""Every virtio device, by split and packed queues: buffers come back in their order where that is
offered, and each queue can be reset alone: test-virtio-queues.py QEMU prints TAP.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import struct
import sys
import tempfile
import time

import qemutest
from qemutest import VM, QTest, test

SLOTS, SLOT_SIZE = 0xd0000000, 0x200
IN_ORDER, RING_RESET, PACKED = 1 << 35, 1 << 40, 1 << 34
OFFERED_BY = {"virtio-net", "virtio-serial", "virtio-rng", "virtio-balloon", "virtio-keyboard",
              "virtio-vsock-device"}
NUM = 8
VERSION_9P = struct.pack("<IBHIH", 21, 100, 0xffff, 8192, 8) + b"9P2000.L"
FRAME = bytes(12) + bytes(60)
# By queue: what a request has, and how much room; whether it is answered without more. A request
# that is not is popped or waits: either way it must be gone after the reset.
DEVICES = {
    "virtio-blk,drive=d0": (2, {0: (bytes(16), 513, True)}),
    "virtio-net,netdev=n": (1, {0: (b"", 1600, False), 1: (FRAME, 0, True),
                                2: (b"\0\0\1", 1, True)}),
    "virtio-serial": (3, {0: (b"", 64, False), 1: (b"hello", 0, True), 2: (b"", 64, False),
                          3: (struct.pack("<IHH", 0, 0, 1), 0, True)}),
    "virtio-rng": (4, {0: (b"", 64, True)}),
    "virtio-balloon,free-page-reporting=on": (5, {
        0: (struct.pack("<I", 0x1000), 0, True), 1: (struct.pack("<I", 0x1000), 0, True),
        2: (bytes(10), 0, False), 3: (b"", 4096, True)}),
    "virtio-keyboard": (18, {0: (b"", 8, False), 1: (bytes(8), 0, True)}),
    "virtio-scsi": (8, {0: (struct.pack("<II8sQ", 0, 0, b"\1\0\0\0", 0), 1, True),
                        1: (b"", 16, False), 2: (b"\1" + bytes(50), 108, True)}),
    "virtio-9p,fsdev=f,mount_tag=t": (9, {0: (VERSION_9P, 8192, True)}),
    "virtio-pmem-device,memdev=p": (27, {0: (bytes(4), 4, True)}),
    "virtio-vsock-device,guest-cid=3,uds-path=vsock": (19, {
        0: (b"", 4096, False), 1: (struct.pack("<QQIIIHHIII", 3, 2, 1, 1, 0, 1, 3, 0, 0, 0), 0,
                                   True), 2: (b"", 8, False)}),
}


class Split:
    """The driver's side of a split queue at an address."""

    def __init__(self, q, base):
        self.q, self.base, self.avail, self.seen = q, base, 0, 0
        q.write(base, bytes(0x1000))

    def places(self):
        return self.base, self.base + 0x400, self.base + 0x800

    def add(self, ident, buffers):
        """One after the other in the table; the head is two places for each id."""
        head = 2 * ident
        for i, (addr, size, write) in enumerate(buffers):
            last = i == len(buffers) - 1
            self.q.write(self.base + 16 * (head + i), struct.pack(
                "<QIHH", addr, size, (0 if last else 1) | (2 if write else 0), head + i + 1))
        self.q.write(self.base + 0x404 + 2 * (self.avail % NUM), struct.pack("<H", head))
        self.avail += 1
        self.q.write(self.base + 0x402, struct.pack("<H", self.avail & 0xffff))

    def used(self):
        """The next id that came back, or None."""
        if struct.unpack("<H", self.q.read(self.base + 0x802, 2))[0] == self.seen & 0xffff:
            return None
        at = self.base + 0x804 + 8 * (self.seen % NUM)
        self.seen += 1
        return struct.unpack("<I", self.q.read(at, 4))[0] // 2


class Packed:
    """The same, packed."""

    def __init__(self, q, base):
        self.q, self.base, self.avail, self.seen, self.length = q, base, 0, 0, {}
        q.write(base, bytes(0x1000))

    def places(self):
        return self.base, self.base + 0x400, self.base + 0x800

    def add(self, ident, buffers):
        self.length[ident] = len(buffers)
        for i in reversed(range(len(buffers))):
            addr, size, write = buffers[i]
            pos = self.avail + i
            wrap = not pos // NUM % 2
            flags = (0 if i == len(buffers) - 1 else 1) | (2 if write else 0) | \
                (1 << 7 if wrap else 1 << 15)
            self.q.write(self.base + 16 * (pos % NUM),
                         struct.pack("<QIHH", addr, size, ident, flags))
        self.avail += len(buffers)

    def used(self):
        _, _, ident, flags = struct.unpack("<QIHH", self.q.read(
            self.base + 16 * (self.seen % NUM), 16))
        wrap = not self.seen // NUM % 2
        if bool(flags & 1 << 7) != wrap or bool(flags & 1 << 15) != wrap:
            return None
        self.seen += self.length[ident]
        return ident


class Driver:
    """Of the device with this id."""

    def __init__(self, q, device):
        self.q = q
        self.base = next(base for base in range(SLOTS, SLOTS + 24 * SLOT_SIZE, SLOT_SIZE)
                         if self.rd(8, base) == device)
        self.next = 0x100000
        self.queues = {}

    def rd(self, reg, base=None):
        return int(self.q.cmd("readl", (base or self.base) + reg)[0], 16)

    def wr(self, reg, value):
        self.q.cmd("writel", self.base + reg, value)

    def start(self, leave_out, kind):
        """Agree on all that is offered but that."""
        self.wr(0x70, 0)
        for status in (1, 3):
            self.wr(0x70, status)
        offered = 0
        for half in (0, 1):
            self.wr(0x14, half)
            offered |= self.rd(0x10) << 32 * half
        for half in (0, 1):
            self.wr(0x24, half)
            self.wr(0x20, (offered & ~leave_out) >> 32 * half & 0xffffffff)
        self.wr(0x70, 11)
        assert self.rd(0x70) == 11
        self.kind = kind
        return offered

    def ready(self, n):
        """Lay queue n out in fresh memory."""
        self.queues[n] = self.kind(self.q, self.next)
        self.wr(0x30, n)
        self.wr(0x38, NUM)
        for reg, addr in zip((0x80, 0x90, 0xa0), self.queues[n].places()):
            self.wr(reg, addr)
            self.wr(reg + 4, 0)
        self.wr(0x44, 1)
        self.next += 0x1000

    def add(self, n, ident, request, room):
        at = 0x400000 + 0x10000 * n + 0x4000 * ident
        buffers = []
        if request:
            self.q.write(at, request)
            buffers.append((at, len(request), False))
        if room:
            buffers.append((at + 0x1000, room, True))
        self.queues[n].add(ident, buffers)

    def answers(self, n, count):
        """Wait for so many ids."""
        ids, end = [], time.monotonic() + qemutest.PATIENCE
        while len(ids) < count:
            ident = self.queues[n].used()
            if ident is None:
                assert time.monotonic() < end and not self.rd(0x70) & 0x40, (n, ids)
                time.sleep(0.001)
            else:
                ids.append(ident)
        return ids

    def reset_queue(self, n):
        """Its rings are ours from then on."""
        self.wr(0x30, n)
        self.wr(0xc0, 1)
        assert self.rd(0xc0) == 0 and self.rd(0x44) == 0
        self.q.write(self.queues[n].base, b"\x5a" * 0x1000)
        return self.queues.pop(n).base


def machine(folder, *options):
    """All devices, with these options of theirs."""
    args = ["-drive", "if=none,id=d0,format=raw,file.driver=null-co,file.size=1M,file.read-zeroes=on",
            "-netdev", "user,id=n", "-object", "memory-backend-file,id=p,size=2M,share=on,"
            f"mem-path={folder}/pmem", "-fsdev", f"local,id=f,path={folder},security_model=none"]
    for device in DEVICES:
        args += ["-device", ",".join([device.replace("vsock,", "vsock,").replace(
            "uds-path=", f"uds-path={folder}/"), *(o for o in options if "in_order" not in o or
                                                 device.split(",")[0] in OFFERED_BY)])]
    return VM("-m", "64M", *args, "-device", "virtconsole,chardev=c", "-chardev", "null,id=c",
              "-global", "virtio-mmio.force-legacy=off", machine="microvm,acpi=on", qtest=True)


def drive(q, device, packed):
    """One device, one format: requests, then a reset of each queue with requests in it."""
    number, queues = DEVICES[device]
    d = Driver(q, number)
    offered = d.start(0 if packed else PACKED, Packed if packed else Split)
    name = device.split(",")[0]
    assert offered & RING_RESET and bool(offered & IN_ORDER) == (name in OFFERED_BY), hex(offered)
    for n in queues:
        d.ready(n)
    d.wr(0x70, 15)
    for n, (request, room, answered) in queues.items():
        # Two at once, several rounds of the ring.
        for _ in range(9 if answered else 1):
            for ident in (1, 0):
                d.add(n, ident, request, room)
            d.wr(0x50, n)
            if answered:
                ids = d.answers(n, 2)
                assert sorted(ids) == [0, 1], (device, n, ids)
                assert not offered & IN_ORDER or ids == [1, 0], (device, n, ids)
    for n, (request, room, answered) in queues.items():
        d.add(n, 2, request, room)
        d.wr(0x50, n)
        old = d.reset_queue(n)
        d.wr(0x50, n)                   # a kick of a queue that is not there
        for other, (more, space, answers) in queues.items():
            if other != n and answers and other in d.queues:
                d.add(other, 3, more, space)
                d.wr(0x50, other)
                while d.answers(other, 1) != [3]:
                    pass
        d.ready(n)
        d.add(n, 3, request, room)
        d.wr(0x50, n)
        if answered:
            assert d.answers(n, 1) == [3], (device, n)
        assert q.read(old, 0x1000) == b"\x5a" * 0x1000, (device, n)
    assert d.rd(0x70) == 15, device
    d.wr(0x70, 0)


@test
def queues():
    """Buffers in order, and queues that are reset one by one, by both formats"""
    with tempfile.TemporaryDirectory(prefix="queues-") as folder:
        with machine(folder, "packed=on", "in_order=on") as vm:
            q = QTest(vm)
            for device in DEVICES:
                for packed in (False, True):
                    drive(q, device, packed)


@test
def not_in_order():
    """Devices that are done with buffers in another order do not say otherwise"""
    with VM("-device", "virtio-scsi,in_order=on", machine="microvm", qmp=0) as vm:
        assert vm.proc.wait(qemutest.PATIENCE) == 1
        assert "in_order=on: the device returns buffers as it is done with them" in vm.stderr()


if __name__ == "__main__":
    sys.exit(qemutest.run())
