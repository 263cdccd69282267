"""Kernels that are no Linux. Those that Debian packages start, and say who they are; one of our own
asks for what others rely on (Nanos, Unikraft, FreeBSD and NetBSD are not packaged).

SPDX-License-Identifier: GPL-2.0-or-later
"""
import glob
import gzip
import os
import re
import subprocess
import tempfile

import guestlib
from harness import ACCEL, HERE, SCRATCH, Qemu, case, check, machine_args, soft_host

# Package, file in it, arguments, what it says. Xen is a 32-bit ELF with a Multiboot header, GNU
# Mach a 64-bit one, memtest86+ a bzImage.
KERNELS = [
    ("xen-hypervisor-4*-amd64", "boot/xen-*-amd64.gz", "console=com1 com1=115200 no-real-mode",
     rb"Bootloader: qemu-system-x86_64.*dom0 kernel not specified"),
    ("gnumach-image-1.8-486", "boot/gnumach-*.gz", "console=com0",
     rb"GNU Mach"),
    ("memtest86[+]", "boot/memtest86+x64.bin", "console=ttyS0,115200", rb"Memtest86"),
]


def package(pattern):
    """The name of the newest package that the pattern finds."""
    names = guestlib.run(["apt-cache", "pkgnames"], "apt-cache").decode().split()
    found = [name for name in names if re.fullmatch(pattern.replace("*", r"[.0-9]+"), name)]
    check(found, f"apt knows no package {pattern}")
    return max(found)


def fetch(name, pattern, folder):
    """The file of a package that is a kernel, unpacked; nothing is installed."""
    deb = guestlib.download_package(package(name), folder)
    subprocess.run(["dpkg-deb", "-x", deb, folder], check=True)
    found = glob.glob(os.path.join(folder, pattern))
    check(len(found) == 1, f"{name} has {len(found)} files {pattern}")
    if found[0].endswith(".gz"):
        with gzip.open(found[0]) as file:
            guestlib.write(found[0][:-3], file.read())
    return found[0].removesuffix(".gz")


def speaks(name, pattern, append, words):
    """The test case of a kernel."""
    with tempfile.TemporaryDirectory(prefix="kernels-") as folder:
        args = machine_args(kernel_path=fetch(name, pattern, folder))
        args[args.index("-append") + 1] = append
        with Qemu([*args, "-no-reboot", "-serial", "stdio"]) as qemu:
            qemu.expect(b"(?s)" + words, 200)


for kernel_row in KERNELS:
    case(f"a kernel of another kind: {kernel_row[0]}", "tcg", long=True)(
        lambda row=kernel_row: speaks(*row))


FREESTANDING = """-m64 -O2 -Wall -Wextra -Werror -ffreestanding -fno-pic -mno-red-zone -no-pie -static
-mgeneral-regs-only -fno-stack-protector -fcf-protection=none -fno-asynchronous-unwind-tables
-fno-strict-aliasing -nostdlib -Wl,-Ttext-segment=0x200000 -Wl,--build-id=none
-Wl,-z,max-page-size=4096 -Wl,-z,noexecstack""".split()
MODES = ["acpi=on", "acpi=on,ioapic2=off", "acpi=off", "acpi=auto,pic=off,pit=off,rtc=on"]
PROTOCOLS = {"linux64": MODES, "pvh": MODES, "multiboot": MODES}
if ACCEL == "kvm":          # each starts for a second or more in an emulated host
    PROTOCOLS = {"linux64": ["acpi=on", "acpi=off,kernel-irqchip=split"],
                 "pvh": ["acpi=on,ioapic2=off,kernel-irqchip=off", "acpi=off"],
                 "multiboot": ["acpi=on,kernel-irqchip=split", "acpi=auto,pic=off,pit=off"]}
REQUESTS = 100 if ACCEL == "kvm" and soft_host() else 500


def entry_guest(entry):
    """entry-guest.c with this as its ELF entry; Multiboot's in an ELF file of 32 bits."""
    path = os.path.join(SCRATCH.name, entry)
    subprocess.run(["cc", *FREESTANDING, f"-DREQUESTS={REQUESTS}", f"-Wl,-e,{entry}", "-o", path,
                    *(os.path.join(HERE, name) for name in ("entry-start.S", "entry-guest.c"))],
                   check=True)
    if entry == "multiboot_entry":
        subprocess.run(["objcopy", "-O", "elf32-i386", path], check=True)
    return path


@case("a kernel that is no Linux: its entry, a device by ACPI or by name, its end", twice=True)
def entries():
    """By each protocol, with and without ACPI, to the interrupts of a device."""
    volume = os.path.join(SCRATCH.name, "volume")
    with open(volume, "w", encoding="ascii") as file:
        file.write("an initial volume")
    for protocol, modes in PROTOCOLS.items():
        guest = entry_guest("multiboot_entry" if protocol == "multiboot" else "linux_entry")
        for mode in modes:
            args = machine_args(mem="64M", kernel_path=guest)
            args[1] += f",kernel-protocol={protocol},{mode}"
            args += ["-initrd", volume + (" one word" if protocol == "multiboot" else ""),
                     "-no-reboot", "-serial", "stdio", "-device", "virtio-rng-device",
                     "-global", "virtio-mmio.force-legacy=false"]
            with Qemu(args) as qemu:
                status = qemu.wait()
                check(qemu.log == b"done\n" and status == 0, f"exit status {status}\n{qemu.tail()}")


@case("288 processors: each reached by its id, the last by the I/O APIC, too", twice=True)
def crowd():
    """By a kernel that does nothing else: Linux takes long for it in an emulated host."""
    guest = os.path.join(SCRATCH.name, "crowd")
    subprocess.run(["cc", *FREESTANDING, "-DCPUS=288", "-Wl,-e,linux_entry", "-o", guest,
                    *(os.path.join(HERE, name) for name in ("entry-start.S", "crowd-start.S",
                                                            "crowd-guest.c"))], check=True)
    args = machine_args(smp=288, mem="64M", kernel_path=guest)
    args[1] += ",kernel-protocol=linux64,acpi=on"
    with Qemu([*args, "-no-reboot", "-serial", "stdio"]) as qemu:
        status = qemu.wait(100)
        check(qemu.log == b"done\n" and status == 0, f"exit status {status}\n{qemu.tail()}")
