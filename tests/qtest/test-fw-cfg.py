#!/usr/bin/env python3
"""fw_cfg: files by ports and by DMA, and what a hostile guest may try.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import struct
import sys

import qemutest
from qemutest import QTest, VM, test

SELECTOR, DATA, DMA_HIGH, DMA_LOW = 0x510, 0x511, 0x514, 0x518
SIGNATURE, FEATURES, FILE_DIR = 0, 1, 0x19
ERROR, READ, SKIP, SELECT, WRITE = 1, 2, 4, 8, 16
RAM = 128 << 20
REQUEST, BUFFER, TABLES = 0x1000, 0x2000, 0xe0000


class FwCfg(QTest):
    """The guest's driver."""

    def select(self, key):
        self.outw(SELECTOR, key)

    def bytes(self, count):
        return bytes(self.inb(DATA) for _ in range(count))

    def dma(self, control, length, address, request=REQUEST):
        """One request; the control field afterwards."""
        self.write(request, struct.pack(">IIQ", control, length, address))
        self.outl(DMA_HIGH, int.from_bytes((request >> 32).to_bytes(4, "big"), "little"))
        self.outl(DMA_LOW, int.from_bytes((request & 0xffffffff).to_bytes(4, "big"), "little"))
        return struct.unpack(">I", self.read(request, 4))[0]

    def files(self):
        """name -> (key, size)."""
        self.select(FILE_DIR)
        count, = struct.unpack(">I", self.bytes(4))
        entries = [struct.unpack(">IHH56s", self.bytes(64)) for _ in range(count)]
        return {name.rstrip(b"\0").decode(): (key, size) for size, key, _, name in entries}


def start(*args, machine="microvm"):
    """A machine with two files."""
    return VM("-fw_cfg", "name=opt/b,string=hello", "-fw_cfg", "opt/a,string=x,,y", *args,
              machine=machine, qtest=True)


@test
def by_ports():
    """Signature, features, the sorted directory, files, and zeros behind their ends"""
    with start() as vm:
        q = FwCfg(vm)
        assert q.bytes(5) == b"QEMU\0"
        q.select(FEATURES)
        assert q.bytes(5) == b"\3\0\0\0\0"
        assert q.files() == {"opt/a": (0x20, 3), "opt/b": (0x21, 5)}
        q.select(0x21)
        assert q.bytes(7) == b"hello\0\0"
        q.select(0x20)
        assert q.bytes(4) == b"x,y\0"
        for key in (0x22, 0x3fff, 0x8020, 2):
            q.select(key)
            assert q.bytes(2) == b"\0\0", key
        q.select(0x4021)                    # the old way to write: reads as it is
        assert q.bytes(5) == b"hello"


@test
def by_dma():
    """Read, skip, select, several in a row; a read beyond the end gives zeros"""
    with start() as vm:
        q = FwCfg(vm)
        assert struct.pack("<II", q.inl(DMA_HIGH), q.inl(DMA_LOW)) == b"QEMU CFG"
        assert q.dma(0x21 << 16 | SELECT | READ, 5, BUFFER) == 0
        assert q.read(BUFFER, 5) == b"hello"
        assert q.dma(0x21 << 16 | SELECT | SKIP, 2, 0) == 0
        assert q.dma(READ, 2, BUFFER + 0x10) == 0
        assert q.read(BUFFER + 0x10, 2) == b"ll"
        q.write(BUFFER, b"\xff" * 8)
        assert q.dma(READ, 4, BUFFER) == 0
        assert q.read(BUFFER, 8) == b"o\0\0\0" + b"\xff" * 4
        assert q.dma(READ, 0, 0) == 0
        assert q.dma(SELECT | 0x20 << 16, 0, 0) == 0 and q.bytes(3) == b"x,y"
        # The guest's RAM ends where RAM ends.
        assert q.dma(0x21 << 16 | SELECT | READ, 5, RAM - 5) == 0
        assert q.read(RAM - 5, 5) == b"hello"


@test
def hostile_dma():
    """Requests and buffers beyond RAM, in registers, over each other; long reads; writes"""
    with start(machine="microvm,acpi=on") as vm:
        q = FwCfg(vm)
        select = 0x21 << 16 | SELECT
        # Firmware's tables are RAM; a reset writes them anew.
        tables = q.read(TABLES, 16)
        assert tables[:8] == b"RSD PTR "
        assert q.dma(select | READ, 5, TABLES) == 0 and q.read(TABLES, 5) == b"hello"
        assert q.dma(select | READ, 5, TABLES + 16, TABLES) == 0    # a request there, too
        qmp = vm.qmp()
        qmp.cmd("system_reset")
        qmp.event("RESET")
        assert q.read(TABLES, 16) == tables
        for address in (RAM - 4, RAM, 0xd0000000, 0xfec00000, 0xfffffffffffffffe, 1 << 52):
            assert q.dma(select | READ, 5, address) == ERROR, hex(address)
        for length in (0xffffffff, RAM, (1 << 20) + 6):
            assert q.dma(select | READ, length, BUFFER) == ERROR, length
        assert q.dma(select | READ, (1 << 20) + 5, BUFFER) == 0
        assert q.dma(select | SKIP, 0xffffffff, 0) == 0 and q.bytes(1) == b"\0"
        assert q.dma(select | WRITE, 1, BUFFER) == ERROR        # read-only
        assert q.dma(select | READ, 5, REQUEST + 2) == 0        # over the request itself
        assert q.read(REQUEST, 8) == b"\0\0\0\0llo\x05"
        # A request that is no RAM is not looked at; nothing else happens.
        for request in (RAM - 8, 0xd0000000, 0xfffffffffffffff0):
            q.outl(DMA_HIGH, int.from_bytes((request >> 32).to_bytes(4, "big"), "little"))
            q.outl(DMA_LOW, int.from_bytes((request & 0xffffffff).to_bytes(4, "big"), "little"))
        assert q.dma(select | READ, 5, BUFFER) == 0
        # Addresses that wrap around, of buffers and of requests of every alignment.
        for length in (1, 5, 16, 0x10000):
            for back in (1, 4, length):
                for end in (1 << 64, 1 << 63, 1 << 52, 1 << 32):
                    assert q.dma(select | READ, length, end - back) == ERROR, (end, back)
        for offset in range(8):
            assert q.dma(select | READ, 5, BUFFER, REQUEST + offset) == 0, offset


@test
def every_access():
    """Each width at each port: nothing but what is specified has an effect"""
    with start() as vm:
        q = FwCfg(vm)
        for offset in range(12):
            for width, count in (("b", 1), ("w", 2), ("l", 4)):
                if (offset, count) not in ((0, 2), (4, 4), (8, 4)):
                    q.cmd("out" + width, SELECTOR + offset, 0x2121)
                q.cmd("in" + width, SELECTOR + offset)
        q.select(0x21)
        assert q.bytes(5) == b"hello"
        vm.qmp().cmd("system_reset")
        while q.bytes(1) == b"\0":          # a reset selects the signature
            pass


@test
def core_info():
    """vmcoreinfo: the guest names its note, and dumps have it; nonsense is left out"""
    with VM("-device", "vmcoreinfo", machine="microvm", qtest=True) as vm:
        q = FwCfg(vm)
        key, size = q.files()["etc/vmcoreinfo"]
        assert size == 16
        q.select(key)
        assert q.bytes(16) == struct.pack("<HHIQ", 1, 0, 0, 0)
        text = b"OSRELEASE=test\n"
        note = struct.pack("<III12s16s", 11, len(text), 0, b"VMCOREINFO", text)
        q.write(0x5000, note)
        qmp = vm.qmp()

        def dumped(form, length, address):
            q.write(BUFFER, struct.pack("<HHIQ", 1, form, length, address))
            assert q.dma(key << 16 | SELECT | WRITE, 16, BUFFER) == 0
            qmp.cmd("dump-guest-memory", paging=False, protocol=f"file:{vm.path('core')}",
                    begin=0, length=4096)
            with open(vm.path("core"), "rb") as file:
                return note in file.read(4096)

        assert dumped(1, len(note), 0x5000)
        assert not dumped(0, len(note), 0x5000)
        for length in (0, 12, len(note) - 4, len(note) + 4, 0xffffffff):
            assert not dumped(1, length, 0x5000), length
        for address in (RAM - 4, 0xd0000000, 0xffffffffffffffff):
            assert not dumped(1, len(note), address), address
        assert q.dma(key << 16 | SELECT | SKIP, 8, 0) == 0
        assert q.dma(WRITE, 9, BUFFER) == ERROR     # beyond its end


@test
def absent():
    """Without -fw_cfg there is no device"""
    with VM(machine="microvm", qtest=True) as vm:
        assert QTest(vm).inb(DATA) == 0xff
        assert "fwcfg" not in vm.qmp().hmp("info mtree")


sys.exit(qemutest.run())
