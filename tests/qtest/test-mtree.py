#!/usr/bin/env python3
"""The memory map and the surface of microvm: test-mtree.py QEMU prints TAP.

The list is the one that microvm was announced with. Ours differs in three points: there is
no kvmvapic; the IOAPIC and port 0x61, which a guest can reach, are shown.
SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import subprocess
import sys

import qemutest
from qemutest import Client, Skip, VM, test

ANNOUNCED = """
00000000d0000000-00000000d00001ff (prio 0, i/o): virtio-mmio
00000000d0000200-00000000d00003ff (prio 0, i/o): virtio-mmio
00000000d0000400-00000000d00005ff (prio 0, i/o): virtio-mmio
00000000d0000600-00000000d00007ff (prio 0, i/o): virtio-mmio
00000000d0000800-00000000d00009ff (prio 0, i/o): virtio-mmio
00000000d0000a00-00000000d0000bff (prio 0, i/o): virtio-mmio
00000000d0000c00-00000000d0000dff (prio 0, i/o): virtio-mmio
00000000d0000e00-00000000d0000fff (prio 0, i/o): virtio-mmio
00000000fee00000-00000000feefffff (prio 4096, i/o): kvm-apic-msi
0000000000000020-0000000000000021 (prio 0, i/o): kvm-pic
0000000000000040-0000000000000043 (prio 0, i/o): kvm-pit
000000000000007e-000000000000007f (prio 0, i/o): kvmvapic
00000000000000a0-00000000000000a1 (prio 0, i/o): kvm-pic
00000000000004d0-00000000000004d0 (prio 0, i/o): kvm-elcr
00000000000004d1-00000000000004d1 (prio 0, i/o): kvm-elcr
""".split("\n")
# The gate of PIT channel 2, by which kernels measure clocks; KVM's PIT has it, too.
PORT_61 = "0000000000000061-0000000000000061"
ACCEL = os.environ.get("MTREE_ACCEL", "qtest")
# An accelerator that runs code wants a kernel.
ARGS = ["-S", *os.environ.get("MTREE_ARGS", "").split()]


def wanted():
    lines = [line for line in ANNOUNCED if line and "kvmvapic" not in line]
    lines.append("00000000fec00000-00000000fec00fff (prio 0, i/o): kvm-ioapic")
    return sorted(lines)


def leaves(text):
    """Lines of the two address spaces that are neither RAM nor a whole space."""
    text = text.split("memory-region:")[0].replace("\r", "")
    lines = [line.strip() for line in text.split("\n") if line.startswith("    ")]
    return sorted(line for line in lines if ", ram)" not in line)


@test
def format_of_tree():
    """info mtree: address spaces, indentation, aliases, as QEMU prints them"""
    with VM(*ARGS, "-m", "64M", machine="microvm", accel=ACCEL) as vm:
        text = vm.qmp().hmp("info mtree")
        assert text.startswith(
            "address-space: memory\r\n"
            "  0000000000000000-ffffffffffffffff (prio 0, i/o): system\r\n"
            "    0000000000000000-0000000003ffffff (prio 0, ram): alias ram-below-4g "
            "@microvm.ram 0000000000000000-0000000003ffffff\r\n"), text
        assert ("address-space: I/O\r\n"
                "  0000000000000000-000000000000ffff (prio 0, i/o): io\r\n") in text, text
        assert ("memory-region: microvm.ram\r\n"
                "  0000000000000000-0000000003ffffff (prio 0, ram): microvm.ram\r\n") in text


def covered(lines):
    """The addresses of all lines, as a set of ranges without names, joined."""
    ranges = sorted((int(line[:16], 16), int(line[17:33], 16)) for line in lines)
    joined = []
    for start, last in ranges:
        if joined and start == joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], last)
        else:
            joined.append((start, last))
    return joined


@test
def announced_list():
    """the map equals the announced list, but for the documented differences"""
    with VM(*ARGS, "-m", "64M", machine="microvm", accel=ACCEL) as vm:
        got = [line for line in leaves(vm.qmp().hmp("info mtree")) if PORT_61 not in line]
        if ACCEL == "kvm":
            assert got == wanted(), (got, wanted())
        else:
            # Controllers of our own have other names; the places must be the same.
            assert covered(got) == covered(wanted()), (got, wanted())


@test
def smallest():
    """pic=off,pit=off leaves the transports and the APICs, no port at all"""
    with VM(*ARGS, "-m", "64M", machine="microvm,pic=off,pit=off", accel=ACCEL) as vm:
        got = leaves(vm.qmp().hmp("info mtree"))
        assert len(got) == 10, got
        assert not [line for line in got if int(line[:16], 16) < 0x10000], got


@test
def only_used():
    """unused-transports=off leaves the transports that have a device; the rest do not answer"""
    machine = "microvm,pic=off,pit=off,unused-transports=off"
    args = [*ARGS, "-m", "64M", "-device", "virtio-rng-device", "-device",
            "virtio-rng-device,bus=virtio-mmio-bus.5"]
    with VM(*args, machine=machine, accel=ACCEL, qtest=True) as vm:
        lines = leaves(vm.qmp().hmp("info mtree"))
        mmio = [line[:16] for line in lines if line.endswith("virtio-mmio")]
        assert mmio == ["00000000d0000000", "00000000d0000a00"], lines
        assert len(lines) == 4, lines
        if ACCEL == "qtest":
            q = Client(vm.path("qtest"))
            for address, magic in ((0xd0000000, 0x74726976), (0xd0000200, 0),
                                   (0xd0000a00, 0x74726976), (0xd0000e00, 0)):
                q.send(f"readl {address:#x}\n")
                assert q.until("\n") == f"OK 0x{magic:016x}\n", hex(address)
    with VM(*ARGS, "-m", "64M", machine=machine, accel=ACCEL) as vm:
        total = vm.qmp().cmd("x-query-surface")
        assert total["ports"]["count"] == 0 and total["memory"]["count"] == 2, total


@test
def surface():
    """info surface and x-query-surface: the same ranges, with right totals"""
    with VM(*ARGS, "-m", "64M", machine="microvm", accel=ACCEL) as vm:
        c = vm.qmp()
        s = c.cmd("x-query-surface")
        text = c.hmp("info surface")
        for space in s.values():
            assert space["count"] == len(space["ranges"])
            assert space["bytes"] == sum(r["size"] for r in space["ranges"])
            assert space["bytes"] == space["kernel-bytes"] + space["vmm-bytes"]
            for r in space["ranges"]:
                assert r["name"] in text and f"{r['start']:x}-" in text, r
        flat = c.hmp("info mtree -f")
        for r in s["ports"]["ranges"] + s["memory"]["ranges"]:
            assert f"{r['start']:016x}-{r['start'] + r['size'] - 1:016x}" in flat, r
        mmio = [r for r in s["memory"]["ranges"] if r["name"] == "virtio-mmio"]
        assert len(mmio) == 8 and all(r["server"] == "vmm" and r["size"] == 512 for r in mmio)


@test
def documented():
    """the table of attack surfaces in the documentation is that of this binary"""
    if ACCEL != "qtest":
        raise Skip("it does not depend on the accelerator")
    done = subprocess.run(
        [os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..", "scripts", "surface"),
         "--check"], env=dict(os.environ, QEMU=qemutest.QEMU), stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=1000, check=False)
    assert done.returncode == 0, done.stdout


@test
def serial_port():
    """legacy mode adds the serial port and nothing else"""
    with VM(*ARGS, "-m", "64M", machine="microvm", accel=ACCEL) as vm:
        plain = leaves(vm.qmp().hmp("info mtree"))
    with VM(*ARGS, "-m", "64M", "-serial", "null", machine="microvm,legacy=on", accel=ACCEL) as vm:
        legacy = leaves(vm.qmp().hmp("info mtree"))
    assert sorted(set(legacy) - set(plain)) == \
        ["00000000000003f8-00000000000003ff (prio 0, i/o): serial"], legacy
    assert set(plain) <= set(legacy)


if __name__ == "__main__":
    sys.exit(qemutest.run())
