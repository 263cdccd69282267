#!/usr/bin/env python3
"""Virtio devices as monitors show them: test-virtio-info.py QEMU prints TAP.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import struct
import sys
import tempfile

import qemutest
from qemutest import QTest, VM, test

SOCKETS = tempfile.TemporaryDirectory(prefix="virtio-info-")
DEVICES = ["-device", "virtio-rng-device,id=r,rng=o", "-object",
           "rng-random,id=o,filename=/dev/zero",
           "-blockdev", "null-co,node-name=d", "-device", "virtio-blk-device,drive=d,num-queues=2",
           "-netdev", "user,id=n", "-device", "virtio-net-device,netdev=n,id=net0",
           "-device", "virtio-serial-device", "-device", "virtio-balloon-device",
          "-device", "virtio-vsock-device,guest-cid=3,uds-path=" + os.path.join(SOCKETS.name, "vsock"),
          "-object", "memory-backend-ram,id=m,size=2M", "-device", "virtio-pmem-device,memdev=m"]
BASE = 0xd0000000
DESC, AVAIL, USED = 0x10000, 0x11000, 0x12000


class Driver:
    """Of the entropy device, in the first slot."""

    def __init__(self, q):
        self.q = q

    def wr(self, reg, value):
        self.q.cmd(f"writel {BASE + reg:#x} {value:#x}")

    def memory(self, addr, data):
        self.q.cmd(f"write {addr:#x} {len(data)} 0x{data.hex()}")

    def start(self):
        self.wr(0x70, 1)
        self.wr(0x70, 3)
        self.wr(0x24, 1)
        self.wr(0x20, 1)            # VERSION_1
        self.wr(0x70, 0xb)
        self.wr(0x30, 0)
        self.wr(0x38, 4)
        for reg, addr in ((0x80, DESC), (0x90, AVAIL), (0xa0, USED)):
            self.wr(reg, addr)
        self.wr(0x44, 1)
        self.wr(0x70, 0xf)

    def offer(self, heads, descs):
        """Make a ring with these heads available, of descriptors (addr, len, flags, next)."""
        self.memory(DESC, b"".join(struct.pack("<QIHH", *d) for d in descs))
        self.memory(AVAIL, struct.pack(f"<HH{len(heads)}H", 0, len(heads), *heads))

    def kick(self):
        self.wr(0x50, 0)


def machine():
    return VM("-m", "16M", *DEVICES, machine="microvm", qtest=True, hmp=1)


def status(q, path="r"):
    return q.cmd("x-query-virtio-status", path=path)


@test
def before_a_driver():
    """Every device is there, every feature that it offers has a name"""
    with machine() as vm:
        q = vm.qmp()
        found = q.cmd("x-query-virtio")
        assert [d["name"] for d in found] == ["virtio-rng", "virtio-blk", "virtio-net",
                                              "virtio-serial", "virtio-balloon", "virtio-vsock",
                                              "virtio-pmem"], found
        assert found[0]["path"] == "/machine/peripheral/r"
        for device in found:
            st = status(q, device["path"])
            assert st["status"] == {"statuses": []} and not st["started"] and not st["broken"]
            assert "unknown-dev-features" not in st["host-features"], st
            assert "VIRTIO_F_VERSION_1" in st["host-features"]["transports"]
            assert st["guest-features"] == {"transports": [], "dev-features": []}
        assert status(q, found[1]["path"])["num-vqs"] == 2
        text = q.hmp("info virtio")
        assert "slot 0 (virtio-mmio-bus.0), registers at 0xd0000000, interrupt 5" in text, text
        assert "the guest has not looked at it" in text and "queues 4 to 63: not set up" in text


@test
def with_a_driver():
    """What the driver has said and set up, and how far its queue is"""
    with machine() as vm:
        q, d = vm.qmp(), Driver(QTest(vm))
        d.start()
        d.offer([0], [(0x20000, 16, 2, 0)])
        d.kick()
        while q.cmd("x-query-virtio-queue-status", path="r", queue=0)["used-idx"] != 1:
            pass
        st = status(q)
        assert st["status"]["statuses"] == ["VIRTIO_CONFIG_S_ACKNOWLEDGE",
            "VIRTIO_CONFIG_S_DRIVER", "VIRTIO_CONFIG_S_DRIVER_OK", "VIRTIO_CONFIG_S_FEATURES_OK"]
        assert st["started"] and st["guest-features"]["transports"] == ["VIRTIO_F_VERSION_1"]
        assert st["isr"] == 1
        vq = q.cmd("x-query-virtio-queue-status", path="/machine/peripheral/r", queue=0)
        assert (vq["vring-num"], vq["vring-num-default"], vq["inuse"]) == (4, 8, 0)
        assert (vq["vring-desc"], vq["vring-avail"], vq["vring-used"]) == (DESC, AVAIL, USED)
        assert vq["last-avail-idx"] == vq["shadow-avail-idx"] == 1
        element = q.cmd("x-query-virtio-queue-element", path="r", queue=0, index=0)
        assert element == {"name": "virtio-rng", "index": 0,
                           "descs": [{"addr": 0x20000, "len": 16, "flags": ["write"]}],
                           "avail": {"flags": 0, "idx": 1, "ring": 0},
                           "used": {"flags": 0, "idx": 1}}
        text = q.hmp("info virtio")
        assert "ACKNOWLEDGE DRIVER DRIVER_OK FEATURES_OK (in use)" in text
        assert "available index 1, taken up to 1, returned up to 1, 0 in flight" in text
        for line in ["virtio-status r", "virtio-queue-status r 0", "virtio-queue-element r 0 0"]:
            assert "name: virtio-rng" in q.hmp("info " + line), line
        # As it was while the machine stands still.
        q.cmd("stop")
        assert not status(q)["vm-running"]
        assert q.cmd("x-query-virtio-queue-status", path="r", queue=0)["used-idx"] == 1


@test
def hostile():
    """Circles, tables in tables and addresses that are none end; the device is broken"""
    with machine() as vm:
        q, d = vm.qmp(), Driver(QTest(vm))
        d.start()
        d.offer([0], [(0x20000, 16, 1, 1), (0x20000, 16, 1, 0)])

        def element():
            return q.cmd("x-query-virtio-queue-element", path="r", queue=0, index=0)

        assert len(element()["descs"]) == 4
        d.offer([0], [(DESC, 64, 4, 0)])                    # a table that is itself
        assert len(element()["descs"]) == 1
        d.offer([0xffff], [(0, 0, 0, 0)])
        assert element()["descs"] == [] and element()["index"] == 0xffff
        d.offer([0], [(0xfffffffffffffff0, 0xffffffff, 4, 0)])
        assert "is not in RAM" in q.error("x-query-virtio-queue-element", path="r", queue=0,
                                          index=0)[1]
        d.offer([0], [(0x20000, 16, 1, 1), (0x20000, 16, 1, 0)])
        d.kick()
        while not status(q)["broken"]:
            pass
        assert "the driver broke the rules" in q.hmp("info virtio")
        d.wr(0x70, 0)
        assert "not set up" in q.error("x-query-virtio-queue-element", path="r", queue=0)[1]


@test
def errors():
    """Devices, queues and workers that are not there"""
    with machine() as vm:
        q = vm.qmp()
        for path in ["", "/machine", "n", "/machine/peripheral/nope"]:
            assert q.error("x-query-virtio-status", path=path)[1] == \
                f"Path {path} is not a VirtIODevice"
        assert q.error("x-query-virtio-queue-status", path="r", queue=1)[1] == \
            "Invalid virtqueue number 1"
        assert "queue" in q.error("x-query-virtio-queue-status", path="r", queue=1 << 40)[1]
        assert "vhost" in q.error("x-query-virtio-vhost-queue-status", path="r", queue=0)[1]
        assert q.hmp("info virtio-status nope").startswith("Error: Path nope is not")
    with VM(machine="microvm") as vm:
        q = vm.qmp()
        assert q.cmd("x-query-virtio") == []
        assert q.hmp("info virtio").startswith("No virtio device")
    with VM() as vm:                # no machine at all
        assert vm.qmp().cmd("x-query-virtio") == []


sys.exit(qemutest.run())
