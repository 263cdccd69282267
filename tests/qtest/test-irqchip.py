#!/usr/bin/env python3
"""The board's interrupt controllers and timer by qtest, and what monitors say of them.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import re
import sys

import qemutest
from qemutest import QTest, VM, test


@test
def pic_registers():
    """Masks are kept, ICW1 clears them, ELCR keeps only what can be a level"""
    with VM(machine="microvm", qtest=True) as vm:
        q = QTest(vm)
        q.outb(0x21, 0xfb)
        assert q.inb(0x21) == 0xfb
        q.outb(0x20, 0x11)
        for value in (0x20, 0x04, 0x01):
            q.outb(0x21, value)
        assert q.inb(0x21) == 0
        q.outb(0x4d0, 0xff)
        q.outb(0x4d1, 0xff)
        assert (q.inb(0x4d0), q.inb(0x4d1)) == (0xf8, 0xde)


@test
def pic_and_pit_off():
    """pic=off,pit=off: nobody answers at the ports, the I/O APIC is there"""
    with VM(machine="microvm,pic=off,pit=off", qtest=True) as vm:
        q = QTest(vm)
        for port in (0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1, 0x40, 0x42, 0x61):
            q.outb(port, 0x11)
            assert q.inb(port) == 0xff, hex(port)
        assert q.ioapic(1) == 0x00170020
        tree = vm.qmp().hmp("info mtree")
        assert "ioapic" in tree and "pic-slave" not in tree and "pit" not in tree


@test
def pit_counts():
    """Channel 2 and port 0x61 on the virtual clock"""
    with VM(machine="microvm", qtest=True) as vm:
        q = QTest(vm)
        q.outb(0x61, 1)
        q.outb(0x43, 0xb0)
        q.outb(0x42, 0xa9)      # 1193 ticks: a millisecond
        q.outb(0x42, 0x04)
        assert q.inb(0x61) & 0x20 == 0
        q.cmd("clock_step", 500000)
        q.outb(0x43, 0x80)
        count = q.inb(0x42) | q.inb(0x42) << 8
        assert 595 <= count <= 598, count
        q.cmd("clock_step", 600000)
        assert q.inb(0x61) & 0x20


@test
def pit_interrupt():
    """Channel 0 raises input 0 of the I/O APIC"""
    with VM(machine="microvm", qtest=True) as vm:
        q = QTest(vm)
        q.cmd("irq_intercept_in", "ioapic")
        q.outb(0x43, 0x30)
        q.outb(0x40, 0xa9)
        q.outb(0x40, 0x04)
        irqs = q.cmd("clock_step", 2000000)[1]
        assert ("raise", 0) in irqs, irqs


def rtc_get(q, reg):
    q.outb(0x70, reg)
    return q.inb(0x71)


@test
def rtc_time():
    """rtc=on,-rtc: the clock at 0x70 has the time it was given, and counts"""
    with VM("-rtc", "base=2024-02-28T23:59:58,clock=vm", machine="microvm,rtc=on",
            qtest=True) as vm:
        q = QTest(vm)
        now = [rtc_get(q, reg) for reg in (0x32, 9, 8, 7, 4, 2, 0, 6)]
        assert now == [0x20, 0x24, 2, 0x28, 0x23, 0x59, 0x58, 4], now
        q.cmd("clock_step", 2000000000)
        now = [rtc_get(q, reg) for reg in (8, 7, 4, 2, 0)]
        assert now == [2, 0x29, 0, 0, 0], now
        assert q.inb(0x70) == 0xff and rtc_get(q, 0xd) == 0x80
        c = vm.qmp()
        assert "0000000000000070-0000000000000071 (prio 0, i/o): rtc" in c.hmp("info mtree")
        assert re.search(r"0070-0071.*rtc", c.hmp("info surface")), c.hmp("info surface")
        assert "mc146818rtc" in str(c.cmd("qom-list-types"))


@test
def rtc_interrupt():
    """The update's interrupt is an edge at input 8, until register C is read"""
    with VM("-rtc", "clock=vm", machine="microvm,rtc=on", qtest=True) as vm:
        q = QTest(vm)
        q.cmd("irq_intercept_in", "ioapic")
        q.outb(0x70, 0xb)
        q.outb(0x71, 0x12)
        irqs = q.cmd("clock_step", 1000000000)[1]
        assert irqs == [("raise", 8)], irqs
        assert not q.cmd("clock_step", 5000000000)[1]
        q.outb(0x70, 0xc)
        value, irqs = q.cmd("inb", 0x71)
        assert int(value, 16) == 0xd0 and irqs == [("lower", 8)], (value, irqs)


@test
def rtc_event():
    """A guest that sets its clock: RTC_CHANGE with the seconds between the two"""
    with VM("-rtc", "base=2024-02-28T12:00:00,clock=vm", machine="microvm,rtc=on",
            qtest=True) as vm:
        c = vm.qmp()
        q = QTest(vm)
        q.outb(0x70, 4)
        q.outb(0x71, 0x13)
        assert c.event("RTC_CHANGE")["data"] == {"offset": 3600}


@test
def rtc_off():
    """Without -accel tcg there is no clock unless it is asked for"""
    for options in ("", ",rtc=off", ",rtc=auto"):
        with VM(machine="microvm" + options, qtest=True) as vm:
            q = QTest(vm)
            assert rtc_get(q, 0xd) == 0xff


@test
def monitor():
    """info pic and info lapic"""
    with VM("-smp", "2", machine="microvm", qtest=True) as vm:
        c = vm.qmp()
        text = c.hmp("info pic")
        assert "pic1: irr=00 imr=ff" in text and "pin 23" in text, text
        assert "only available with accel=tcg" in c.hmp("info jit")
        assert "CPU 0 (xAPIC" in c.hmp("info lapic")
        assert "CPU 1 (xAPIC" in c.hmp("info lapic 1")
        assert c.hmp("info lapic 7") == "No local APIC\r\n"
    with VM(machine="none") as vm:
        assert "No interrupt controllers" in vm.qmp().hmp("info pic")
        assert "No local APIC" in vm.qmp().hmp("info lapic")


@test
def accelerator_option():
    """-M kernel-irqchip= is for accelerators that know it, and no error for others"""
    with VM(machine="microvm,kernel-irqchip=split") as vm:
        assert vm.qmp().cmd("query-status")


if __name__ == "__main__":
    sys.exit(qemutest.run())
