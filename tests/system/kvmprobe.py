"""Whether /dev/kvm runs an unmodified guest: it is tried with two instructions.

SPDX-License-Identifier: GPL-2.0-or-later

There are hosts whose /dev/kvm opens and answers, but runs paravirtualized guests
only (PVM), or loses itself in emulation. The probe is a virtual machine whose
kernel, in 64-bit mode, executes CMPXCHG16B, which KVM's emulator does not know,
and halts. Structures and numbers: Linux, Documentation/virt/kvm/api.rst.
"""
import contextlib
import ctypes
import fcntl
import mmap
import os
import signal
import struct

GET_API_VERSION, CREATE_VM, GET_VCPU_MMAP_SIZE = 0xAE00, 0xAE01, 0xAE04
CREATE_VCPU, RUN = 0xAE41, 0xAE80
SET_USER_MEMORY_REGION, SET_REGS = 0x4020AE46, 0x4090AE82
GET_SREGS, SET_SREGS, SREGS_SIZE = 0x8138AE83, 0x4138AE84, 312
EXIT_HLT = 5
TIME_LIMIT = 5  # seconds

PML4, PDPT, DIRECTORY, DATA, CODE, RAM = 0x1000, 0x2000, 0x3000, 0x4000, 0x5000, 0x10000
PRESENT_WRITABLE, LARGE = 3, 0x80


def segment(selector, kind, is_code):
    """A flat ring 0 segment as in struct kvm_segment."""
    return struct.pack("<QIHBBBBBBBBBB", 0, 0xffffffff, selector, kind, 1, 0, not is_code, 1,
                       is_code, 1, 0, 0, 0)


def long_mode(sregs):
    """The system registers of a 64-bit kernel on the page tables of guest_ram()."""
    sregs[:24] = segment(8, 11, 1)
    for number in (1, 2, 3, 4, 5):  # DS, ES, FS, GS, SS
        sregs[number * 24:number * 24 + 24] = segment(16, 3, 0)
    struct.pack_into("<4Q", sregs, 224, 0x80050033, 0, PML4, 0x20)  # CR0, CR2, CR3, CR4
    struct.pack_into("<Q", sregs, 264, 0xd00)  # EFER: NXE, LMA, LME, but not SCE


def guest_ram():
    """Page tables that map the first 2 MiB, and the program."""
    ram = mmap.mmap(-1, RAM)
    for table, entry in ((PML4, PDPT), (PDPT, DIRECTORY), (DIRECTORY, LARGE)):
        struct.pack_into("<Q", ram, table, entry | PRESENT_WRITABLE)
    ram[CODE:CODE + 6] = bytes.fromhex("f0480fc70e" "f4")  # lock cmpxchg16b (%rsi); hlt
    return ram


def run(kvm):
    """The exit reason of the guest."""
    with contextlib.ExitStack() as stack:
        def opened(fd):
            stack.callback(os.close, fd)
            return fd
        vm = opened(fcntl.ioctl(kvm, CREATE_VM, 0))
        ram = guest_ram()
        fcntl.ioctl(vm, SET_USER_MEMORY_REGION, struct.pack(
            "<IIQQQ", 0, 0, 0, RAM, ctypes.addressof(ctypes.c_char.from_buffer(ram))))
        vcpu = opened(fcntl.ioctl(vm, CREATE_VCPU, 0))
        sregs = bytearray(SREGS_SIZE)
        fcntl.ioctl(vcpu, GET_SREGS, sregs)
        long_mode(sregs)
        fcntl.ioctl(vcpu, SET_SREGS, bytes(sregs))
        registers = [0] * 18
        registers[4], registers[16], registers[17] = DATA, CODE, 2  # RSI, RIP, RFLAGS
        fcntl.ioctl(vcpu, SET_REGS, struct.pack("<18Q", *registers))
        state = mmap.mmap(vcpu, fcntl.ioctl(kvm, GET_VCPU_MMAP_SIZE, 0))
        fcntl.ioctl(vcpu, RUN, 0)
        return struct.unpack_from("<I", state, 8)[0]


def kvm_usable():
    """Whether /dev/kvm is there, may be opened and runs a 64-bit kernel."""
    def expire(*_):
        raise TimeoutError
    before = signal.signal(signal.SIGALRM, expire)
    signal.alarm(TIME_LIMIT)
    try:
        with open("/dev/kvm", "r+b", buffering=0) as kvm:
            return fcntl.ioctl(kvm, GET_API_VERSION, 0) == 12 and run(kvm) == EXIT_HLT
    except OSError:
        return False
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
