"""Interrupt controllers in the host kernel, split, and absent: what a guest makes of them.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import re

import harness
from harness import case, check, run_job

LOOK = """
cat /proc/interrupts
dmesg | grep -E 'IOAPIC|legacy PIC'
sleep 1
echo again
cat /proc/interrupts
"""


def look(options, append="quiet", **machine):
    """What a guest of this machine says of its interrupts."""
    before = harness.MACHINE
    harness.MACHINE = f"{before},{options}"
    try:
        return run_job(LOOK, append=append, **machine)
    finally:
        harness.MACHINE = before


def counts(text, pattern):
    """The counts of all processors in the line that ends so: before and after."""
    rows = re.findall(rf"^ *\S+: +((?:\d+ +)+) *{pattern}$", text, re.MULTILINE)
    return [sum(int(n) for n in row.split()) for row in rows]


@case("kernel-irqchip=split boots with our I/O APIC")
def split():
    """Version 0x20 is ours, the kernel's is 0x11; serial and timer interrupts arrive."""
    text = look("kernel-irqchip=split", smp=2)
    check("version 32," in text, f"not our I/O APIC:\n{text}")
    serial = counts(text, "IO-APIC +4-edge +ttyS0")
    check(len(serial) == 2 and serial[1] > serial[0] > 0, f"no serial interrupts:\n{text}")


@case("pic=off takes the PICs away under KVM")
def pic_off():
    """The guest's probe finds none."""
    text = look("pic=off,pit=off", smp=2)
    check("Using NULL legacy PIC" in text, f"the guest found a PIC:\n{text}")
    check("XT-PIC" not in text, f"the guest uses a PIC:\n{text}")
    check(counts(text, "IO-APIC +4-edge +ttyS0")[1] > 0, f"no serial interrupts:\n{text}")


@case("kernel-irqchip=split: PIC and PIT interrupt through LINT0")
def virtual_wire():
    """No I/O APIC, no APIC timer, no kvmclock: all time comes from the PIT."""
    text = look("kernel-irqchip=split",
                "quiet noapic nolapic_timer no-kvmclock tsc=unstable")
    timer = counts(text, "XT-PIC +timer")
    check(len(timer) == 2 and timer[1] > timer[0] + 50, f"no timer interrupts:\n{text}")
    check(counts(text, "XT-PIC +ttyS0")[1] > 0, f"no serial interrupts:\n{text}")
