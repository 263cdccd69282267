"""Interrupt controllers in the host kernel, split, and absent: what a guest makes of them.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import re

import harness
from harness import Qemu, case, check, initrd, kernel, machine_args, run_job

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


def check_our_ioapic(text):
    """Version 0x20 is ours, the kernel's is 0x11; the serial port interrupts through it."""
    check("version 32," in text, f"not our I/O APIC:\n{text}")
    serial = counts(text, "IO-APIC +4-edge +ttyS0")
    check(len(serial) == 2 and serial[1] > serial[0] > 0, f"no serial interrupts:\n{text}")


@case("kernel-irqchip=split boots with our I/O APIC")
def split():
    """Serial and timer interrupts arrive."""
    text = look("kernel-irqchip=split", smp=2)
    check_our_ioapic(text)


@case("pic=off takes the PICs away under KVM")
def pic_off():
    """The guest's probe finds none."""
    text = look("pic=off,pit=off", smp=2)
    check("Using NULL legacy PIC" in text, f"the guest found a PIC:\n{text}")
    check("XT-PIC" not in text, f"the guest uses a PIC:\n{text}")
    check(counts(text, "IO-APIC +4-edge +ttyS0")[1] > 0, f"no serial interrupts:\n{text}")


@case("kernel-irqchip=off: local APICs of our own under KVM")
def user():
    """Timer interrupts, IPIs and start-up IPIs are all ours."""
    text = look("kernel-irqchip=off", smp=3)
    check_our_ioapic(text)
    for name in ("Local timer interrupts", "Function call interrupts"):
        check(counts(text, name)[1] > 0, f"no {name}:\n{text}")


@case("kernel-irqchip=off: a reset finds the application processors as at power-on")
def user_reset():
    """The second life brings them up again by INIT and start-up IPI."""
    job = 'echo "@@cpus $(grep -c ^processor /proc/cpuinfo)@@" >/dev/console; reboot -f'
    args = machine_args(kernel_path=kernel("lean"), append="quiet", smp=4,
                        initrd_path=initrd(job, "reset"))
    args[1] += ",kernel-irqchip=off"
    with Qemu([*args, "-serial", "stdio"]) as qemu:
        for _ in range(3):
            qemu.expect(rb"@@cpus 4@@", 60)


@case("kernel-irqchip=split and off: PIC and PIT interrupt through LINT0")
def virtual_wire():
    """No I/O APIC, no APIC timer, no kvmclock: all time comes from the PIT."""
    for mode in ("split", "off"):
        text = look(f"kernel-irqchip={mode}",
                    "quiet noapic nolapic_timer no-kvmclock tsc=unstable")
        timer = counts(text, "XT-PIC +timer")
        check(len(timer) == 2 and timer[1] > timer[0] + 50, f"no timer interrupts:\n{text}")
        check(counts(text, "XT-PIC +ttyS0")[1] > 0, f"no serial interrupts:\n{text}")
