#!/usr/bin/env python3
"""vhost-user with back ends that are honest, die, lie or fall silent: test-vhost-user.py QEMU
prints TAP.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import re
import struct
import sys
import threading
import time

import qemutest
import vhostuser as vu
from qemutest import VM, QTest, test

MEMORY = ("-m", "64M", "-object", "memory-backend-memfd,id=mem,size=64M,share=on",
          "-numa", "node,memdev=mem")
FIRST_SLOT, SLOT_SIZE, SLOTS = 0xd0000000, 0x200, 8
RINGS = 0x100000        # guest addresses: of queue n's rings, and of buffers
BUFFERS = 0x200000
NUM = 8


class Driver:
    """A guest's driver of the device with this ID."""

    def __init__(self, qtest, device):
        self.q = qtest
        self.base = next(base for base in range(FIRST_SLOT, FIRST_SLOT + SLOTS * SLOT_SIZE,
                                                SLOT_SIZE) if self.id_at(base) == device)

    def id_at(self, base):
        return int(self.q.cmd("readl", base + 8)[0], 16)

    def rd(self, reg):
        return int(self.q.cmd("readl", self.base + reg)[0], 16)

    def wr(self, reg, value):
        self.q.cmd("writel", self.base + reg, value)

    def config(self, offset, size):
        return bytes(int(self.q.cmd("readb", self.base + 0x100 + offset + i)[0], 16)
                     for i in range(size))

    def features(self):
        self.wr(0x14, 1)
        high = self.rd(0x10)
        self.wr(0x14, 0)
        return high << 32 | self.rd(0x10)

    def start(self, queues=2):
        """All features, these queues, DRIVER_OK."""
        for status in (0, 1, 3):
            self.wr(0x70, status)
        offered = self.features()
        for half in (0, 1):
            self.wr(0x24, half)
            self.wr(0x20, offered >> 32 * half & 0xffffffff)
        self.wr(0x70, 11)
        assert self.rd(0x70) == 11
        for n in range(queues):
            self.q.write(RINGS + 0x1000 * n, bytes(0x1000))
            self.wr(0x30, n)
            self.wr(0x38, NUM)
            for reg, offset in ((0x80, 0), (0x90, 0x400), (0xa0, 0x800)):
                self.wr(reg, RINGS + 0x1000 * n + offset)
                self.wr(reg + 4, 0)
            self.wr(0x44, 1)
        self.wr(0x70, 15)

    def word(self, addr):
        return struct.unpack("<H", self.q.read(addr, 2))[0]

    def add(self, n, head, flags=2):
        """Make a one-buffer request (2: to be written) available and kick."""
        ring = RINGS + 0x1000 * n
        self.q.write(ring + 16 * head, struct.pack("<QIHH", BUFFERS + 0x100 * head, 0x100,
                                              flags, 0))
        idx = self.word(ring + 0x402)
        self.q.write(ring + 0x404 + 2 * (idx % NUM), struct.pack("<H", head))
        self.q.write(ring + 0x402, struct.pack("<H", (idx + 1) & 0xffff))
        self.wr(0x50, n)

    def used(self, n):
        return self.word(RINGS + 0x1000 * n + 0x802)

    def wait_used(self, n, count):
        end = time.monotonic() + 300
        while self.used(n) != count:
            assert time.monotonic() < end, (self.used(n), count)
            time.sleep(0.002)


def machine(device, *args, qmp=1, timeout=60000, **how):
    """The program with a device whose chardev listens, and its first back end, an honest one."""
    path = f"/tmp/vu-{os.getpid()}-{time.monotonic_ns()}"
    first = []

    def come():
        while not os.path.exists(path):
            time.sleep(0.002)
        while True:
            try:
                first.append(vu.connect(path, **how))
                return
            except ConnectionRefusedError:
                time.sleep(0.002)

    thread = threading.Thread(target=come, daemon=True)
    thread.start()
    vm = VM("-chardev", f"socket,id=c,path={path},server=on,wait=off", *MEMORY, *args,
            "-device", f"{device},chardev=c,id=dut,reply-timeout={timeout}",
            machine="microvm", qmp=qmp, qtest=True)
    thread.join()
    vm.back_ends = path
    return vm, first[0]


FS = "vhost-user-fs-device,tag=T"


def served(driver, back, n=1):
    """A request goes through."""
    count = driver.used(n)
    driver.add(n, count % NUM)
    driver.wait_used(n, (count + 1) & 0xffff)
    assert back.taken, back.seen


@test
def honest():
    """what a back end is told, in order; its requests are served; pause, resume, reset"""
    vm, back = machine(FS)
    with vm:
        q, d = vm.qmp(), Driver(QTest(vm), 26)
        assert d.config(0, 2) == b"T\0" and d.config(36, 4) == b"\1\0\0\0"
        assert not any(r[0] == vu.GET_CONFIG for r in back.seen)
        d.start()
        back.wait(lambda: back.status == 15)
        told = back.requests()
        assert told[:4] == [vu.SET_OWNER, vu.GET_FEATURES, vu.GET_PROTOCOL_FEATURES,
                            vu.SET_PROTOCOL_FEATURES], told
        assert back.agreed == vu.P_ALL & ~vu.P_CONFIG & ~vu.P_BACKEND_REQ, hex(back.agreed)
        order = [vu.SET_FEATURES, vu.ADD_MEM_REG, vu.GET_INFLIGHT_FD, vu.SET_INFLIGHT_FD] + 2 * [
            vu.SET_VRING_NUM, vu.SET_VRING_BASE, vu.SET_VRING_ADDR, vu.SET_VRING_CALL,
            vu.SET_VRING_ERR, vu.SET_VRING_ENABLE, vu.SET_VRING_KICK]
        assert [r for r in told if r in order] == order, told
        guest, size, user, _ = back.regions[0]
        assert (guest, size) == (0, 64 << 20) and len(back.regions) == 1
        assert back.rings[1].addr == (user + RINGS + 0x1000, user + RINGS + 0x1800,
                                      user + RINGS + 0x1400)
        assert back.rings[1].num == NUM and back.rings[1].enabled
        served(d, back)
        served(d, back, n=0)
        assert d.rd(0x60) & 1
        q.cmd("stop")
        back.wait(lambda: back.status == 0)
        assert back.requests()[-3:] == [vu.GET_VRING_BASE] * 2 + [vu.SET_STATUS], back.seen
        d.add(1, 5)
        q.cmd("cont")
        d.wait_used(1, 2)
        assert back.rings[1].base == 2
        d.wr(0x70, 0)
        back.wait(lambda: back.requests()[-1] == vu.RESET_DEVICE)
        d.start()
        back.wait(lambda: back.requests()[-1] == vu.SET_STATUS and back.status == 15)
        served(d, back)


@test
def old():
    """a back end without any protocol features"""
    vm, back = machine(FS, protocol=0, features=vu.F_VERSION_1)
    with vm:
        d = Driver(QTest(vm), 26)
        assert not d.features() & (vu.F_EVENT_IDX | vu.F_INDIRECT)
        d.start()
        back.wait(lambda: 1 in back.rings and back.rings[1].kick is not None)
        with back.lock:
            assert vu.SET_MEM_TABLE in back.requests()
            assert vu.SET_VRING_ENABLE not in back.requests()
            for ring in back.rings.values():
                ring.enabled = True
        d.add(1, 0)
        d.wait_used(1, 1)


@test
def comes_back():
    """requests in flight go to the next back end, with the first one's account of them"""
    vm, back = machine(FS, hold=True)
    with vm:
        q, d = vm.qmp(), Driver(QTest(vm), 26)
        d.start()
        for head in (3, 1, 4):
            d.add(1, head)
        back.wait(lambda: len(back.taken) == 3)
        os.pwrite(back.inflight, b"mark", 0)
        back.close()
        d.add(1, 5)         # while nobody is there
        assert q.cmd("query-status")["running"]
        second = vu.connect(vm.back_ends)
        d.wait_used(1, 4)
        assert second.taken == [(1, 3), (1, 1), (1, 4), (1, 5)], second.taken
        assert os.pread(second.inflight, 4, 0) == b"mark"
        assert vu.GET_INFLIGHT_FD not in second.requests()
        second.close()
        d.wr(0x70, 0)       # with nobody there
        d.start()
        third = vu.connect(vm.back_ends)
        served(d, third)
        assert vu.GET_INFLIGHT_FD in third.requests(), third.seen


def lie(payload=None, **how):
    """An answer with a header of its own."""
    def answer(back, _):
        back.reply(how.pop("request", vu.GET_FEATURES), payload or bytes(8), **how)
        return vu.SILENCE
    return answer


# What is said wrongly, and how that is called; the connection ends and nothing else.
LIES = [
    ({vu.GET_FEATURES: bytes(4)}, "4 bytes in answer to request 1, not 8"),
    ({vu.GET_FEATURES: lie(size=0xffffffff)}, "4294967295 bytes in answer to request 1"),
    ({vu.GET_FEATURES: lie(flags=vu.VERSION)}, "flags 0x1 in the answer to request 1"),
    ({vu.GET_FEATURES: lie(flags=2 | vu.REPLY)}, "flags 0x6 in the answer to request 1"),
    ({vu.GET_FEATURES: lie(request=7)}, "message 7 where the answer to request 1 is due"),
    ({vu.GET_FEATURES: bytes(8)}, "it lacks features 0x"),
    ({vu.SET_OWNER: bytes(8)}, "message 3 where the answer to request 1 is due"),
    ({vu.GET_QUEUE_NUM: struct.pack("<Q", 1)}, "it has 1 queues, not the 2 of the device"),
    ({vu.GET_MAX_MEM_SLOTS: bytes(8)}, "it cannot know more than 0 pieces of memory"),
    ({vu.ADD_MEM_REG: struct.pack("<Q", 5)}, "request 37 refused (5)"),
    ({vu.SET_VRING_ADDR: b"\xff" * 8}, "request 9 refused"),
    ({vu.SET_VRING_KICK: bytes(8)}, "message 12"),
    ({vu.GET_INFLIGHT_FD: lie(request=vu.GET_INFLIGHT_FD, payload=bytes(24))},
     "no descriptor in answer to request 31"),
]
LIES += [({request: vu.DIE}, None) for request in (
    vu.SET_OWNER, vu.GET_FEATURES, vu.GET_PROTOCOL_FEATURES, vu.SET_PROTOCOL_FEATURES,
    vu.GET_QUEUE_NUM, vu.GET_MAX_MEM_SLOTS, vu.SET_FEATURES, vu.ADD_MEM_REG, vu.GET_INFLIGHT_FD,
    vu.SET_INFLIGHT_FD, vu.SET_VRING_NUM, vu.SET_VRING_BASE, vu.SET_VRING_ADDR,
    vu.SET_VRING_CALL, vu.SET_VRING_ERR, vu.SET_VRING_KICK, vu.SET_VRING_ENABLE, vu.SET_STATUS)]


def reports(vm):
    return re.findall("dut: vhost-user back end: (.*)", vm.stderr())


@test
def liars():
    """back ends that lie in an answer or die at a message, one after the other"""
    vm, back = machine(FS)
    with vm:
        q, d = vm.qmp(), Driver(QTest(vm), 26)
        d.start()
        served(d, back)
        fds = None
        for answers, what in LIES:
            back.close()
            d.wr(0x70, 0)       # an account of requests is asked for again
            d.start()
            before = len(reports(vm))
            liar = vu.connect(vm.back_ends, answers=answers)
            assert liar.gone(), (answers, liar.seen)
            back = vu.connect(vm.back_ends)
            served(d, back)
            told = reports(vm)[before:]
            assert not what or any(what in line for line in told), (what, told)
            assert q.cmd("query-status")["running"]
            now = vm.fds()
            fds = fds or now
            assert now <= fds, (answers, now, fds)
        back.close()


@test
def liars_at_the_start():
    """the first back end's lies are errors of the user"""
    for answers, what in (LIES[0], LIES[7], ({vu.GET_FEATURES: vu.DIE}, "it has hung up")):
        vm, back = machine(FS, qmp=0, answers=answers)
        with vm:
            assert vm.proc.wait(300) == 1, vm.stderr()
            assert what in vm.stderr().splitlines()[-1], vm.stderr()
            assert "-device vhost-user-fs-device,tag=T,chardev=c,id=dut" in vm.stderr()
        assert back.gone()


@test
def bases():
    """positions that are not of the queue or no positions, and the end, in answer to a stop"""
    vm, back = machine(FS)
    with vm:
        q, d = vm.qmp(), Driver(QTest(vm), 26)
        d.start()
        for answer in (struct.pack("<II", 1, 7), struct.pack("<II", 0, 0x10000), vu.DIE):
            back.wait(lambda: back.status == 15)
            served(d, back)
            back.answers = {vu.GET_VRING_BASE: answer}
            q.cmd("stop")
            assert back.gone()
            q.cmd("cont")
            back = vu.connect(vm.back_ends)
            served(d, back)


@test
def silence():
    """who does not answer is given up: at the start, while running, and when the machine stops"""
    vm, back = machine(FS, qmp=0, timeout=100, answers={vu.GET_FEATURES: vu.SILENCE})
    with vm:
        assert vm.proc.wait(300) == 1
        assert "no answer to request 1 within 100 ms" in vm.stderr(), vm.stderr()
    vm, back = machine(FS, timeout=2000)
    with vm:
        q, d = vm.qmp(), Driver(QTest(vm), 26)
        d.start()
        served(d, back)
        back.answers = {vu.GET_VRING_BASE: vu.SILENCE}
        q.cmd("stop")
        assert back.gone()
        assert reports(vm) == ["no answer to request 11 within 2000 ms"], vm.stderr()
        q.cmd("cont")
        silent = vu.connect(vm.back_ends, answers={vu.GET_PROTOCOL_FEATURES: vu.SILENCE})
        for _ in range(100):    # meanwhile the main loop has time for others
            q.cmd("query-status")
        assert silent.gone()
        back = vu.connect(vm.back_ends)
        served(d, back)


BLK, CONFIG_LEN = "vhost-user-blk-device", 60
F_RO, F_WCE = 1 << 5, 1 << 11


def blk_config(sectors, wce=1):
    return struct.pack("<Q", sectors).ljust(32, b"\0") + bytes([wce]) + bytes(27)


@test
def disk():
    """the configuration space is the back end's: read, written, changed; another one's differs"""
    vm, back = machine(BLK, config=blk_config(100), features=vu.F_VERSION_1 | F_RO | F_WCE)
    with vm:
        d = Driver(QTest(vm), 2)
        assert d.features() & 0xffffff == F_RO | F_WCE
        d.start(queues=1)
        assert d.config(0, 8) == struct.pack("<Q", 100) and d.config(34, 2) == b"\1\0"
        generation = d.rd(0xfc)
        d.q.cmd("writeb", d.base + 0x120, 0)
        back.wait(lambda: back.config[32] == 0)
        d.q.cmd("writeb", d.base + 0x100, 7)        # not writable
        assert d.config(0, 1) == b"d" and d.config(32, 1) == b"\0"
        with back.lock:
            back.config[:8] = struct.pack("<Q", 200)
        assert back.ask(vu.CONFIG_CHANGE) == (vu.CONFIG_CHANGE, vu.VERSION | vu.REPLY, 8, 0)
        while d.config(0, 8) != struct.pack("<Q", 200):
            time.sleep(0.002)
        assert d.rd(0xfc) != generation and d.rd(0x60) & 2
        assert back.ask(9, bytes(40))[3] == 1       # what we do not know
        for _ in range(1000):                       # nobody waits for answers
            back.channel.sendall(struct.pack("<III", vu.CONFIG_CHANGE, vu.VERSION, 0))
        assert back.ask(vu.CONFIG_CHANGE)[3] == 0
        back.channel.sendall(struct.pack("<III", vu.CONFIG_CHANGE, vu.VERSION, 1 << 31))
        assert back.channel.recv(1) == b""          # the channel is closed, no more
        served(d, back, n=0)
        back.close()
        back = vu.connect(vm.back_ends, config=blk_config(300), features=back.features)
        served(d, back, n=0)
        assert d.config(0, 8) == struct.pack("<Q", 300)
        back.close()
        for how, what in (({"config": b""}, "12 bytes in answer to request 24, not 72"),
                          ({"protocol": vu.P_ALL & ~vu.P_CONFIG}, "it has no configuration space"),
                          ({"features": vu.F_VERSION_1}, "it lacks features 0x820")):
            how = {"config": blk_config(9), "features": back.features} | how
            liar = vu.connect(vm.back_ends, **how)
            assert liar.gone()
            assert what in reports(vm)[-1], reports(vm)
        served(d, vu.connect(vm.back_ends, config=blk_config(300), features=back.features), n=0)


@test
def sockets():
    """vhost-user-vsock-device: the event queue is ours, and tells of another back end"""
    vm, back = machine("vhost-user-vsock-device", config=struct.pack("<Q", 42))
    with vm:
        d = Driver(QTest(vm), 19)
        d.start(queues=3)
        assert d.config(0, 8) == struct.pack("<Q", 42)
        served(d, back, n=0)
        served(d, back, n=1)
        back.wait(lambda: back.status == 15)
        assert sorted(back.rings) == [0, 1]
        d.add(2, 0)
        assert d.used(2) == 0
        back.close()
        back = vu.connect(vm.back_ends, config=struct.pack("<Q", 43))
        d.wait_used(2, 1)       # TRANSPORT_RESET
        assert d.q.read(RINGS + 0x2804, 8) == struct.pack("<II", 0, 4)
        assert d.q.read(BUFFERS, 4) == bytes(4) and d.config(0, 1) == b"+"
        served(d, back, n=1)


@test
def anything():
    """vhost-user-device: what the back end is, by number; its configuration space and features"""
    vm, back = machine("vhost-user-device,virtio-id=26,num_vqs=2,vq_size=64,config_size=12",
                       config=b"hello, guest", features=vu.F_VERSION_1 | 1 << 63 | 5)
    with vm:
        d = Driver(QTest(vm), 26)
        assert d.features() & (1 << 63 | 0xffffff) == 1 << 63 | 5
        d.start(queues=2)
        assert d.config(0, 12) == b"hello, guest"
        served(d, back, n=0)
        served(d, back, n=1)
        d.q.cmd("writeb", d.base + 0x100, 0x4a)
        back.wait(lambda: back.config[0] == 0x4a)
        status = vm.qmp().cmd("x-query-virtio-status", path="/machine/peripheral/dut")
        assert status["device-id"] == 26, status


NET_FEATURES = vu.F_VERSION_1 | vu.F_EVENT_IDX | 0xffffff
NIC = "virtio-net-device,netdev=n0"


def card(queues, **how):
    """A machine with a card, whose back end listens; and the first one."""
    path = f"/tmp/vu-{os.getpid()}-{time.monotonic_ns()}"
    server, accept = vu.listen(path, **{"features": NET_FEATURES, **how})
    args = (*MEMORY, "-chardev", f"socket,id=c,path={path},reconnect=1", "-netdev",
            f"vhost-user,id=n0,chardev=c,queues={queues},vhostforce=on", "-device",
            f"{NIC},id=dut,mq=on")
    first = []
    thread = threading.Thread(target=lambda: first.append(accept()), daemon=True)
    thread.start()
    vm = VM(*args, machine="microvm", qtest=True)
    thread.join()
    return vm, first[0], server, accept


@test
def network_features():
    """of what the back end has, the card offers nothing that needs a feature it has not"""
    tso = 1 << 7 | 1 << 8 | 1 << 11 | 1 << 12
    for lacks, gone in ((tso, tso | 1 << 9 | 1 << 13), (1 << 1, 1 << 1 | 1 << 7 | 1 << 8 | 1 << 9)):
        vm, back, server, _ = card(1, features=NET_FEATURES & ~lacks)
        with vm, server:
            d = Driver(QTest(vm), 1)
            offered = d.features() & 0xffffff
            assert not offered & gone and offered & ~gone & 0x3fff, hex(offered)
            d.start(queues=3)           # all that is offered is accepted
            served(d, back, n=1)


@test
def network():
    """a card's queues, the link with the back end, queue pairs, netdev_del"""
    vm, back, server, accept = card(2)
    with vm, server:
        q, d = vm.qmp(), Driver(QTest(vm), 1)
        assert "type=vhost-user,chardev=c" in q.hmp("info network")
        offered = d.features()
        assert offered >> 22 & 1 and offered >> 17 & 1 and not offered >> 2 & 1, hex(offered)
        d.start(queues=5)
        served(d, back, n=1)
        assert d.config(6, 1)[0] & 1
        back.wait(lambda: set(back.rings) >= set(range(4)))
        with back.lock:
            assert [back.rings[i].enabled for i in range(4)] == [1, 1, 0, 0]
            assert 4 not in back.rings
        # VQ_PAIRS_SET: the control queue is ours
        d.q.write(BUFFERS, b"\4\0\2\0")
        ring = RINGS + 0x4000
        d.q.write(ring, struct.pack("<QIHHQIHH", BUFFERS, 4, 1, 1, BUFFERS + 8, 1, 2, 0))
        d.q.write(ring + 0x402, b"\1\0")
        d.wr(0x50, 4)
        d.wait_used(4, 1)
        assert d.q.read(BUFFERS + 8, 1) == b"\0"
        back.wait(lambda: 3 in back.rings and back.rings[3].enabled and back.rings[3].kick)
        served(d, back, n=3)
        served(d, back, n=0)
        q.cmd("set_link", name="n0", up=False)
        assert not d.config(6, 1)[0] & 1
        back.wait(lambda: back.requests().count(vu.GET_VRING_BASE) == 8)
        count = d.used(1)
        d.add(1, count % NUM, flags=0)      # sent to nobody
        d.wait_used(1, count + 1)
        q.cmd("set_link", name="n0", up=True)
        served(d, back, n=1)
        back.close()
        while d.config(6, 1)[0] & 1:
            time.sleep(0.002)
        back = accept()
        while not d.config(6, 1)[0] & 1:
            time.sleep(0.002)
        served(d, back, n=0)
        served(d, back, n=3)
        q.cmd("netdev_del", id="n0")
        assert back.gone()
        d.wr(0x70, 0)
        d.start(queues=5)
        assert q.cmd("query-status")["running"]


@test
def several_nodes():
    """RAM of two backends: the back end gets each by its own descriptor"""
    nodes = ("-m", "128M", "-object", "memory-backend-memfd,id=m1,size=64M", "-numa",
             "node,memdev=m1")
    vm, back = machine(FS, *nodes)
    with vm:
        q = QTest(vm)
        d = Driver(q, 26)
        d.start()
        served(d, back)
        assert [region[:2] for region in back.regions] == [(0, 64 << 20), (64 << 20, 64 << 20)]
        q.write((64 << 20) + 5, b"second")
        assert back.regions[1][3][5:11] == b"second" and back.regions[0][3][5:11] != b"second"
        assert vm.qmp().error("object-del", id="m1")[1] == "object 'm1' is in use, can not be deleted"


@test
def refused():
    """devices and memory that cannot be"""
    private = ("-object", "memory-backend-memfd,id=m,size=64M,share=off", "-numa", "node,memdev=m")
    for args, what in (
            (("vhost-user-fs-device,tag=T",), "missing chardev"),
            (("vhost-user-fs-device,chardev=c",), "missing tag property"),
            (("vhost-user-blk-device,chardev=c,num-queues=0",), "invalid number of IO queues"),
            (("vhost-user-blk-device,chardev=c,queue-size=0",), "queue size must be non-zero"),
            (("vhost-user-vsock-device",), "missing chardev"),
            (("vhost-user-device,chardev=c",), "need to define device id: virtio-id="),
            (("vhost-user-device,chardev=c,virtio-id=1,num_vqs=257",),
             "num_vqs must be between 1 and 256"),
            (("vhost-user-device,chardev=c,virtio-id=1,vq_size=48",),
             "vq_size must be a power of 2 between 2 and 1024"),
            (("vhost-user-device,chardev=c,virtio-id=1,config_size=257",),
             "config_size must be at most 256"),
            (("vhost-user-fs-device,chardev=n,tag=T",),
             "chardev \"n\" does not support FD passing"),
            (("vhost-user-fs-device,chardev=c,tag=T", *private),
             "vhost-user needs guest memory that the back end can map"),
            (("vhost-user-fs-device,chardev=c,tag=T", "-m", "64M"),
             "vhost-user needs guest memory that the back end can map")):
        with VM("-m", "64M", "-chardev", "socket,id=c,path=/nowhere,reconnect=1", "-chardev",
                "null,id=n", "-device", *args, machine="microvm", qmp=0) as vm:
            assert vm.proc.wait(300) == 1
            assert f": {what}\n" in vm.stderr(), vm.stderr()


if __name__ == "__main__":
    sys.exit(qemutest.run())
