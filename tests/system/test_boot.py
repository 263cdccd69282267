"""Linux reaches init, and sees the processors, the memory and the interrupts it was given.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import re

from harness import MACHINE, Qemu, case, check, initrd, kernel, machine_args, run_job

LOOK = """
echo "nproc $(nproc)"
echo "online $(cat /sys/devices/system/cpu/online)"
cat /proc/interrupts
"""

# Debian's kernel takes long to boot under an emulated KVM: a part of the table.
BOOTS = [("lean", "vmlinux", smp) for smp in (1, 2, 4, 8)]
BOOTS += [("lean", "bzImage", smp) for smp in (1, 2, 4, 8)]
BOOTS += [("debian", "vmlinux", 1), ("debian", "vmlinux", 4),
          ("debian", "bzImage", 2), ("debian", "bzImage", 8)]


def boot(flavour, image, smp):
    """One row of the table."""
    text = run_job(LOOK, flavour, image, smp=smp)
    check(f"nproc {smp}\n" in text, f"nproc disagrees:\n{text}")
    online = "0" if smp == 1 else f"0-{smp - 1}"
    check(f"online {online}\n" in text, f"processors online disagree:\n{text}")
    # With ACPI (Debian's kernel) Linux gives out numbers of its own.
    number = "4" if flavour == "lean" else r"\d+"
    check(re.search(rf"^ *{number}:.* IO-APIC +4-edge +ttyS0$", text, re.MULTILINE),
          f"ttyS0 is not on IO-APIC pin 4:\n{text}")


for row in BOOTS:
    case("boot %s %s -smp %d" % row,
         twice=row[:2] == ("lean", "vmlinux") or row == ("debian", "bzImage", 2))(
             lambda row=row: boot(*row))


@case("a guest that restarts by way of the BIOS ends", twice=True)
def bios_restart():
    """There is none: code of ours stands at its entry, again after a reset."""
    args = machine_args(kernel_path=kernel("lean"), initrd_path=initrd(),
                        append="quiet reboot=b")
    with Qemu([*args, "-serial", "stdio"]) as qemu:
        for _ in range(2):
            qemu.expect(rb"[#$] ")
            qemu.send("reboot -f\n")
        qemu.expect(rb"[#$] ")
        check(qemu.stop()[0] == 0, qemu.tail())


@case("interrupts are wired as the MP table says", twice=True)
def interrupts():
    """What the kernel made of the table: the timer on pin 2 (or 0), the others one to one."""
    text = run_job("dmesg", append="quiet apic=debug")
    pins = dict(re.findall(r"IRQ(\d+) -> 0:(\d+)$", text, re.MULTILINE))
    check(pins.get("0") in ("0", "2"), f"the timer goes to pin {pins.get('0')}:\n{text}")
    for irq in [1, *range(3, 13)]:
        check(pins.get(str(irq)) == str(irq), f"IRQ {irq} goes to pin {pins.get(str(irq))}:\n{text}")


@case("the guest finds its devices where unused transports are not there")
def used_transports():
    """unused-transports=off: the first transport and the one that was asked for."""
    text = run_job("grep virtio-mmio /proc/iomem; cat /sys/bus/virtio/devices/*/device", extra=[
        "-M", f"{MACHINE},pic=off,pit=off,unused-transports=off", "-device", "virtio-rng-device",
        "-device", "virtio-serial-device,bus=virtio-mmio-bus.5"])
    places = re.findall(r"^([0-9a-f]{8})-[0-9a-f]{8} : virtio-mmio", text, re.MULTILINE)
    check(places == ["d0000000", "d0000a00"], f"wrong places:\n{text}")
    check(re.findall(r"^0x000\d", text, re.MULTILINE) == ["0x0004", "0x0003"],
          f"wrong devices:\n{text}")


MIB = 1 << 20
GIB = 1 << 30
MEMORY = """
grep MemTotal /proc/meminfo
dmesg | grep -i 'e820: \\[mem'
"""
LOW_LIMIT = 0xC0000000  # where RAM below 4 GiB ends


def usable_ranges(text):
    """The usable ranges of the memory map that the kernel was given: [(start, end)]."""
    rows = re.findall(r"BIOS-e820: \[mem 0x([0-9a-f]+)-0x([0-9a-f]+)\] usable", text)
    return [(int(start, 16), int(end, 16) + 1) for start, end in rows]


def memory(option, size):
    """The guest's memory map and MemTotal fit -m."""
    text = run_job(MEMORY, mem=option)
    ranges = usable_ranges(text)
    given = sum(end - start for start, end in ranges)
    # Left out of the map: from the EBDA to 1 MiB.
    check(size - MIB <= given <= size, f"{given} bytes usable of {size}:\n{text}")
    total = int(re.search(r"MemTotal:\s+(\d+) kB", text)[1]) * 1024
    # The kernel keeps its own image and a descriptor for every page for itself.
    least = size - size // 24 - 36 * MIB
    check(least <= total < size, f"MemTotal {total} of {size}:\n{text}")
    high = sum(end - max(start, 4 * GIB) for start, end in ranges if end > 4 * GIB)
    check(high == max(0, size - LOW_LIMIT), f"{high} bytes above 4 GiB:\n{text}")
    low_end = max(end for start, end in ranges if start < 4 * GIB)
    check(low_end <= LOW_LIMIT, f"RAM reaches {low_end:#x}:\n{text}")


for words in (("64M", 64 * MIB), ("512m", 512 * MIB), ("3G", 3 * GIB), ("5G", 5 * GIB)):
    case(f"memory -m {words[0]}", twice=words[0] in ("64M", "5G"))(lambda words=words: memory(*words))
