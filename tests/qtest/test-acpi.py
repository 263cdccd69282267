#!/usr/bin/env python3
"""ACPI: the tables as the guest finds them, as iasl reads them, and the event device.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import re
import struct
import subprocess
import sys
import tempfile
import time

import qemutest
from qemutest import QEMU, QTest, VM, test

SELECTOR, SLEEP, STATUS, RESET = 0xfea00000, 0xfea00200, 0xfea00201, 0xfea00202
GED_GSI = 9
TABLES = 0xe0000


def devices(count):
    """Arguments for so many virtio devices."""
    return [word for _ in range(count) for word in ("-device", "virtio-rng-device")]


def tables(vm):
    """{signature: bytes} of all tables, found from the RSDP, checked and whole."""
    path = vm.path("tables")
    vm.qmp().cmd("pmemsave", val=TABLES, size=0x10000, filename=path)
    with open(path, "rb") as file:
        memory = file.read()

    def table(addr):
        offset = addr - TABLES
        length = struct.unpack_from("<I", memory, offset + 4)[0]
        data = memory[offset:offset + length]
        assert len(data) == length and sum(data) & 0xff == 0, (hex(addr), length)
        return data

    rsdp = memory[:36]
    assert rsdp[:8] == b"RSD PTR " and sum(rsdp) & 0xff == 0 and sum(rsdp[:20]) & 0xff == 0
    xsdt = table(struct.unpack_from("<Q", rsdp, 24)[0])
    found = {"XSDT": xsdt}
    for (addr,) in struct.iter_unpack("<Q", xsdt[36:]):
        data = table(addr)
        found[data[:4].decode()] = data
    found["DSDT"] = table(struct.unpack_from("<Q", found["FACP"], 140)[0])
    return found


def iasl(folder, *args):
    """Run it there; what it says, without warnings, remarks or errors."""
    done = subprocess.run(["iasl", *args], cwd=folder, stdout=subprocess.PIPE, check=False,
                          stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True)
    assert done.returncode == 0, done.stdout
    said = re.sub(r"\d Errors, 0 Warnings, 0 Remarks", "", done.stdout)
    # QEMU's name for vmgenid, which drivers know, is no ACPI id: iasl goes on if told to (-f).
    said = re.sub(r"Error +6035 -.*VGID|Ignoring all errors", "", said)
    assert not re.search(r"(?i)warning|error|remark", said), said


def decompile(found):
    """Every table through iasl and back, which must give the same; the texts by name."""
    texts = {}
    with tempfile.TemporaryDirectory(prefix="acpi-") as folder:
        for name, data in found.items():
            with open(os.path.join(folder, f"{name}.dat"), "wb") as file:
                file.write(data)
            iasl(folder, "-d", f"{name}.dat")
            iasl(folder, "-f", f"{name}.dsl")
            with open(os.path.join(folder, f"{name}.aml"), "rb") as file:
                again = file.read()
            # iasl writes itself in as the compiler.
            assert again[36:] == data[36:], (name, again.hex(), data.hex())
            with open(os.path.join(folder, f"{name}.dsl"), encoding="ascii") as file:
                texts[name] = file.read()
    return texts


def execute(found):
    """ACPICA's interpreter evaluates every object that a system asks for, without a complaint."""
    names = ["_HID", "_UID", "_CCA", "_STA", "_CRS"]
    script = "".join(f"all {name}; " for name in names) + \
        "evaluate \\_SB.GED._EVT 9; evaluate \\_S5; quit"
    with tempfile.TemporaryDirectory(prefix="acpi-") as folder:
        for name in ("DSDT", "FACP"):
            with open(os.path.join(folder, name), "wb") as file:
                file.write(found[name])
        done = subprocess.run(["acpiexec", "-b", script, "DSDT", "FACP"], cwd=folder, check=False,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
    said = done.stdout
    bad = re.search(r"(?i)ACPI (error|warning|exception|bios)|AE_(?!OK)|aborted", said)
    assert done.returncode == 0 and not bad, said
    for name in names:
        there = found["DSDT"].count(b"\x08" + name.encode())
        assert len(re.findall(rf"\.{name} +returned AE_OK", said)) == there > 0 or \
            not there, (name, said)
    assert "Package] Contains 4 Elements" in said, said


# Entries of a MADT by type: length, and where reserved fields and flags of one bit are.
ENTRIES = {0: (8, [], 4), 1: (12, [3], None), 4: (6, [], None), 9: (16, [2, 3], 8),
           10: (12, [9, 10, 11], None)}


def asked_by_fwts(found):
    """What the ACPI tests of fwts look at beyond what iasl does, by the specification."""
    for name, data in found.items():
        assert re.fullmatch(rb"[\x20-\x7e]{14}", data[10:24]), (name, data[:36])
    fadt, madt = found["FACP"], found["APIC"]
    # Without fixed hardware all fields that describe it are 0, but buttons that are devices.
    assert not any(fadt[36:109]) and not any(fadt[148:244]) and fadt[111] == 0, fadt.hex()
    flags, = struct.unpack_from("<I", fadt, 112)
    assert flags & 0x30 == 0x30 and not flags & 0xf718e, hex(flags)
    assert (fadt[8], fadt[131], madt[8]) == (5, 0, 3)       # FADT 5.0 goes with MADT 3
    assert madt[40] < 2 and not any(madt[41:44])
    at, ids = 44, []
    while at < len(madt):
        length, zeros, flag = ENTRIES[madt[at]]
        entry = madt[at:at + length]
        assert entry[1] == length == len(entry) and not any(entry[n] for n in zeros), entry
        assert flag is None or struct.unpack_from("<I", entry, flag)[0] == 1, entry
        ids += [entry[3] if madt[at] == 0 else struct.unpack_from("<I", entry, 4)[0]] \
            if madt[at] in (0, 9) else []
        at += length
    assert ids and len(ids) == len(set(ids)), ids
    for hid in re.findall(rb"_HID\r([^\0]*)\0", found["DSDT"]):
        assert re.fullmatch(rb"[A-Z0-9]{4}[0-9A-F]{4}|QEMUVGID", hid), hid


MACHINES = [
    ("microvm,acpi=on", 1, []),
    ("microvm,acpi=on,ioapic2=off,rtc=on,pic=off", 8, ["-serial", "null", "-serial", "null"]),
    ("microvm,acpi=on,rtc=on", 24, ["-smp", "288", "-serial", "null", "-serial", "null",
                                    "-serial", "null", "-serial", "null"]),
    ("microvm,acpi=on,virtio-mmio-base=0xfeb00000", 2, ["-smp", "2"]),
]
NODES = ["-smp", "288,sockets=2", "-m", "5G", "-numa", "node,mem=1G", "-numa", "node,mem=4G",
         "-numa", "dist,src=0,dst=1,val=33"]


@test
def numa():
    """SRAT and SLIT say which node has which RAM and processors; monitors say so, too"""
    with VM(*NODES, machine="microvm,acpi=on", qtest=True) as vm:
        text = decompile(tables(vm))
        srat, qmp = text["SRAT"], vm.qmp()
        cpus = re.findall(r"Proximity Domain Low\(8\) : (\w+)\s.*Apic ID : (\w+)", srat)
        assert [int(node, 16) for node, _ in cpus] == [0] * 144 + [1] * (len(cpus) - 144), cpus
        assert srat.count("[Processor Local APIC/SAPIC Affinity]") == len(cpus)
        assert srat.count("[Processor Local x2APIC Affinity]") == 288 - len(cpus) > 0
        ram = re.findall(r"Proximity Domain : (\w+)\n.*\n.* Base Address : (\w+)\n"
                         r".*Address Length : (\w+)", srat)
        assert [tuple(int(n, 16) for n in row) for row in ram] == [
            (0, 0, 1 << 30), (1, 1 << 30, 2 << 30), (1, 4 << 30, 2 << 30)], srat
        assert re.findall(r"Locality +\d+ : (.*)", text["SLIT"]) == ["0A 21", "21 0A"], text["SLIT"]
        nodes = [cpu["props"]["node-id"] for cpu in qmp.cmd("query-cpus-fast")]
        assert nodes == [0] * 144 + [1] * 144, nodes
        info = qmp.hmp("info numa")
        assert "2 nodes\r\nnode 0 cpus: 0 1 " in info and "node 1 size: 4096 MB" in info, info
    with VM("-smp", "2", machine="microvm,acpi=on", qtest=True) as vm:
        assert set(tables(vm)) == {"XSDT", "FACP", "APIC", "DSDT"}
        assert vm.qmp().hmp("info numa").strip() == "0 nodes"
        assert "node-id" not in vm.qmp().cmd("query-cpus-fast")[0]["props"]


@test
def shared_pages():
    """vmgenid and vmclock: where the tables say, with events of their own; mistakes"""
    guid = "00112233-4455-6677-8899-aabbccddeeff"
    with VM("-device", f"vmgenid,guid={guid}", "-device", "vmclock", machine="microvm,acpi=on",
            qtest=True) as vm:
        dsdt = decompile(tables(vm))["DSDT"]
        q, qmp = QTest(vm), vm.qmp()
        assert "VM_Gen_Counter" in dsdt and "AMZNC10C" in dsdt
        assert "Notify (VGEN, 0x80)" in dsdt and "Notify (VCLK, 0x80)" in dsdt
        place = int(re.search(r"Name \(ADDR, Package.*\s+\{\s+0x([0-9A-F]+)", dsdt)[1], 16)
        assert q.read(place, 16) == bytes.fromhex("33221100554477668899aabbccddeeff")
        clock = int(re.search(r"AMZNC10C.*?0x([0-9A-F]{8}), +// Address Base", dsdt, re.S)[1], 16)
        assert struct.unpack("<IIHBB", q.read(clock, 12)) == (0x4b4c4356, 4096, 1, 0xff, 1)
        assert struct.unpack("<Q", q.read(clock + 0x18, 8))[0] == 0x180
        assert qmp.cmd("query-vm-generation-id") == {"guid": guid}
        assert qmp.hmp("info vm-generation-id").strip() == guid
        # What the guest writes there is gone with a reset.
        q.write(place, b"x" * 16)
        qmp.cmd("system_reset")
        qmp.event("RESET")
        assert q.read(place, 16)[:4] == b"\x33\x22\x11\0"
    ids = set()
    for _ in range(2):
        with VM("-device", "vmgenid", machine="microvm,acpi=on") as vm:
            ids.add(vm.qmp().cmd("query-vm-generation-id")["guid"])
    assert len(ids) == 2, ids
    with VM(machine="microvm") as vm:
        assert vm.qmp().error("query-vm-generation-id")[1] == "VM Generation ID device not found"
    for args, text in (("vmgenid,guid=x", "neither a UUID nor 'auto'"),
                       ("vmgenid", "it needs ACPI, which is off"),
                       ("vmclock", "it needs ACPI, which is off")):
        done = subprocess.run([qemutest.QEMU, "-M", "microvm", "-accel", "qtest", "-display",
                               "none", "-device", args], stderr=subprocess.PIPE, text=True,
                              stdin=subprocess.DEVNULL, timeout=300, check=False)
        assert done.returncode == 1 and text in done.stderr, done.stderr


@test
def table_contents():
    """iasl takes every table apart and puts it together again; they say what there is"""
    for machine, count, extra in MACHINES:
        with VM(*extra, *devices(count), machine=machine, qtest=True) as vm:
            found = tables(vm)
            text = decompile(found)
            execute(found)
            asked_by_fwts(found)
            assert set(found) >= {"XSDT", "FACP", "APIC", "DSDT"}, found.keys()
            two = "ioapic2=off" not in machine
            base = 0xfeb00000 if "0xfeb" in machine else 0xd0000000
            first = 24 if two else 16
            dsdt = text["DSDT"]
            assert re.findall(r"Device \(VR(\d\d)\)", dsdt) == [f"{n:02}" for n in range(count)]
            places = re.findall(r"0x([0-9A-F]{8}), +// Address Base", dsdt)
            assert [int(p, 16) for p in places] == [base + n * 0x200 for n in range(count)], dsdt
            irqs = [int(n, 16) for n in re.findall(r"\{\s*0x([0-9A-F]{8}),\s*\}", dsdt)]
            assert sorted(irqs) == sorted([GED_GSI] + [first + n for n in range(count)]), irqs
            assert dsdt.count("Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive") == \
                count + 1
            assert dsdt.count('EisaId ("PNP0501")') == extra.count("-serial")
            assert ("PNP0B00" in dsdt) == ("rtc=on" in machine)
            no_rtc = re.search(r"CMOS RTC Not Present \(V\d\) : (\d)", text["FACP"])[1]
            assert no_rtc == ("0" if "rtc=on" in machine else "1"), text["FACP"]
            assert "ACPI0013" in dsdt and "PNP0C0C" in dsdt and "_S5" in dsdt
            madt = text["APIC"]
            cpus = int(extra[1]) if extra[:1] == ["-smp"] else 1
            assert madt.count("[Processor Local APIC]") == min(cpus, 255)
            assert madt.count("[Processor Local x2APIC]") == max(cpus - 255, 0)
            assert madt.count("[Local x2APIC NMI]") == (cpus > 255)
            assert madt.count("[I/O APIC]") == (2 if two else 1)
            assert ("PC-AT Compatibility : 0" in madt) == ("pic=off" in machine)
            mtree = vm.qmp().hmp("info mtree")
            assert len(re.findall(r": virtio-mmio\s", mtree)) == (24 if two else 8)


PEER = "/usr/bin/qemu-system-x86_64"
SAME = [
    ("microvm,acpi=on,rtc=on", ["-smp", "3", "-serial", "null", "-fw_cfg", "name=opt/a,string=b",
                                "-device", "virtio-rng-device,bus=virtio-mmio-bus.3",
                                "-device", "virtio-serial-device,bus=virtio-mmio-bus.23"]),
    ("microvm,acpi=on,rtc=off,ioapic2=off,pic=off", [
        "-fw_cfg", "name=opt/a,string=b", "-device", "virtio-rng-device,bus=virtio-mmio-bus.7"]),
]


def peer_tables(vm):
    """The tables of QEMU, once its firmware has written them; QEMU has all of them below 4 GiB."""
    path, at, end = vm.path("ram"), None, time.monotonic() + qemutest.PATIENCE
    while at is None and time.monotonic() < end:
        vm.qmp().cmd("pmemsave", val=0, size=32 << 20, filename=path)
        with open(path, "rb") as file:
            memory = file.read()
        at = next((at for at in range(0xe0000, 0x100000, 16) if memory[at:at + 8] == b"RSD PTR "
                   and sum(memory[at:at + 20]) & 0xff == 0), None)
        time.sleep(0.05)

    def table(addr):
        return memory[addr:addr + struct.unpack_from("<I", memory, addr + 4)[0]]

    rsdp = memory[at:at + 36]
    found = [table(addr) for (addr,) in
             struct.iter_unpack("<Q", table(struct.unpack_from("<Q", rsdp, 24)[0])[36:])]
    found = {data[:4].decode(): data for data in found}
    found["DSDT"] = table(struct.unpack_from("<I", found["FACP"], 40)[0])
    return found


def described(dsdt):
    """{name: (hardware ID, memory and ports, interrupts)} of a DSDT's devices, by iasl."""
    with tempfile.TemporaryDirectory(prefix="acpi-") as folder:
        with open(os.path.join(folder, "d.dat"), "wb") as file:
            file.write(dsdt)
        subprocess.run(["iasl", "-d", "d.dat"], cwd=folder, check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with open(os.path.join(folder, "d.dsl"), encoding="ascii") as file:
            text = file.read()
    devices_of = {}
    for name, body in re.findall(r"^        Device \((\w+)\)\n(.*?)^        }", text, re.M | re.S):
        hid = re.search(r'Name \(_HID, (?:EisaId \()?"(\w+)"', body)[1]
        ranges = re.findall(r"(0x\w+), +// (?:Address (?:Base|Length)|Range Minimum|Length)", body)
        irqs = re.findall(r"^ *(0x\w+),$", body.split("Interrupt (")[-1], re.M) \
            if "Interrupt (" in body else re.findall(r"IRQNoFlags \(\)\s*{(\d+)}", body)
        devices_of[name] = hid, [int(n, 16) for n in ranges], [int(n, 0) for n in irqs]
    return devices_of


def madt_entries(madt):
    """The entries of a MADT."""
    entries, at = [], 44
    while at < len(madt):
        entries.append(madt[at:at + madt[at + 1]].hex())
        at += madt[at + 1]
    return sorted(entries)


def fixed(fadt):
    """What a FADT says of reset, sleep, and that there is no hardware but this."""
    reset, control, status = (fadt[at:at + 12] for at in (116, 244, 256))
    flags = struct.unpack_from("<I", fadt, 112)[0]
    # The access size of a register, which QEMU 7.2 leaves open, is not part of where it is.
    return [register[:3] + register[4:] for register in (reset, control, status)], fadt[128], \
        flags & (1 << 10 | 1 << 20)


@test
def beside_qemu():
    """Names, addresses and interrupts are those of Debian's QEMU for the same command line"""
    if not os.path.exists(PEER) or qemutest.SANITIZED:
        raise qemutest.Skip(f"no {PEER} here, or another build has done this")
    for machine, args in SAME:
        theirs = VM("-m", "32M", *args, machine=machine, accel="tcg", program=PEER)
        ours = VM("-m", "32M", *args, machine=f"{machine},virtio-mmio-base=0xfeb00000",
                  accel="qtest")
        theirs, ours = peer_tables(theirs), tables(ours)
        assert theirs.keys() == ours.keys() - {"XSDT"}, (theirs.keys(), ours.keys())
        assert described(theirs["DSDT"]) == described(ours["DSDT"]), \
            (machine, described(theirs["DSDT"]), described(ours["DSDT"]))
        assert madt_entries(theirs["APIC"]) == madt_entries(ours["APIC"])
        assert fixed(theirs["FACP"]) == fixed(ours["FACP"])


def refused(*args):
    """What the program says before it ends with status 1."""
    done = subprocess.run([QEMU, "-accel", "qtest", "-nodefaults", "-display", "none", *args],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False,
                          stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 1 and done.stdout.count("\n") == 1, done
    return done.stdout


def kernel_file():
    """The least of a kernel, as a temporary file."""
    kernel = tempfile.NamedTemporaryFile(prefix="acpi-")
    # Multiboot 1, 3.1.2: loaded at 1 MiB by the addresses in its header.
    kernel.write(struct.pack("<8I", 0x1badb002, 0x10000, -0x1badb002 - 0x10000 & 0xffffffff,
                             0x100000, 0x100000, 0, 0, 0x100020) + bytes(4064))
    kernel.flush()
    return kernel


@test
def processors():
    """Processors that the MP tables have no room for need ACPI, and are not in half a table"""
    kernel = kernel_file()

    def mp_tables(machine, smp):
        with VM("-smp", smp, "-kernel", kernel.name, machine=machine, qtest=True) as vm:
            return QTest(vm).read(0x9fc00, 4) == b"_MP_"

    # With a gap between the ids of cores the last one is 2 << 7 | 84.
    for smp, fits in (("254", True), ("255", False), ("288", False), ("1,maxcpus=255", False),
                      ("255,sockets=3,cores=85", False)):
        assert mp_tables("microvm,acpi=on", smp) == fits, smp
        if not fits:
            said = refused("-M", "microvm", "-smp", smp)
            assert "need ACPI, which is off (there is no kernel)" in said, said
    assert "Invalid SMP CPUs 289" in refused("-M", "microvm,acpi=on", "-smp", "289")


@test
def all_at_once():
    """24 devices, 288 processors, other devices and SMBIOS to its limit: whole, or an error"""
    limit = 0xff00
    with kernel_file() as kernel, tempfile.NamedTemporaryFile(prefix="acpi-") as structures:
        def options(count):
            """With so many structures of a maker's own type, 6 bytes each."""
            with open(structures.name, "wb") as file:
                file.write(b"".join(struct.pack("<BBHH", 200, 4, n, 0) for n in range(count)))
            return ["-smp", "288", *devices(24), *["-serial", "null"] * 4, "-device", "i8042",
                    "-device", "pvpanic", "-device", "vmgenid", "-device", "vmclock", "-device",
                    "vmcoreinfo", "-device", "ib700", "-fw_cfg", "name=opt/a,string=b",
                    "-kernel", kernel.name, "-smbios", f"file={structures.name}"]

        # So much of it is about processors and memory.
        said = refused("-M", "microvm,acpi=on", *options(limit // 6))
        total = int(re.search(r"-smbios: tables of (\d+) bytes are too large", said)[1])
        count = (limit - (total - limit)) // 6
        assert "(at most 65280)" in refused("-M", "microvm,acpi=on", *options(count + 1))
        with VM(*options(count), machine="microvm,acpi=on,rtc=on", qtest=True) as vm:
            found = tables(vm)
            text = decompile(found)
            execute(found)
            asked_by_fwts(found)
            assert len(re.findall(r"Device \(VR\d\d\)", text["DSDT"])) == 24
            assert len(re.findall(r"Processor Local x?2?APIC\]", text["APIC"])) == 288
            q = QTest(vm)
            entry = q.read(0xf0000, 24)
            length, place = struct.unpack("<IQ", entry[12:24])
            assert entry[:5] == b"_SM3_" and limit - 6 < length <= limit, length
            # Type 127 ends the tables: none is missing.
            assert q.read(place + length - 6, 2) == b"\x7f\x04"


@test
def nothing_without():
    """acpi=off, -no-acpi, no kernel: not a byte of it, and the monitor says why"""
    for machine, extra, why in (("microvm", [], "no kernel"), ("microvm,acpi=off", [], "-machine"),
                                ("microvm,acpi=on", ["-no-acpi"], "-machine")):
        with VM(*extra, machine=machine, qtest=True) as vm:
            c = vm.qmp()
            said = c.hmp("info acpi")
            assert said.startswith("ACPI: off (") and why in said, said
            for command in ("info mtree", "info surface", "info roms"):
                assert "acpi" not in c.hmp(command).lower(), command
            q = QTest(vm)
            assert q.cmd("readl", TABLES)[0] == "0x0000000000000000"
            q.cmd("writeb", RESET, 0x42)
            q.cmd("writeb", SLEEP, 0x34)
            assert c.cmd("query-status")["status"] == "running"
    with VM(machine="microvm,acpi=on", qtest=True) as vm:
        assert vm.qmp().hmp("info acpi").startswith("ACPI: on (")
        assert re.search(r"fea00000-.*fea00003.*acpi-ged", vm.qmp().hmp("info mtree"))
        assert re.search(r"fea00200-.*fea00202.*acpi-regs", vm.qmp().hmp("info surface"))


def pending(q):
    return int(q.cmd("readl", SELECTOR)[0], 16)


@test
def power_button():
    """Each press is an edge of the line and a bit that a whole read takes, and only that"""
    with VM(machine="microvm,acpi=on", qtest=True) as vm:
        q, c = QTest(vm), vm.qmp()
        q.cmd("irq_intercept_in", "ioapic")
        assert pending(q) == 0

        def press():
            c.cmd("system_powerdown")
            c.event("POWERDOWN")
            return [word for word, n in q.cmd("readb", STATUS)[1] if n == GED_GSI]

        assert press()[-1] == "raise"
        # What is not a read of all four bytes takes nothing.
        for width, size in (("b", 1), ("w", 2), ("q", 8)):
            # What crosses the start of registers is accesses to both sides.
            for offset in [*range(-8, 1 - size), *range(8)]:
                q.cmd("read" + width, SELECTOR + offset)
                q.cmd("write" + width, SELECTOR + offset, (1 << 8 * size) - 1)
        for offset in (-4, 1, 2, 3, 4):
            q.cmd("readl", SELECTOR + offset)
        for offset in (-4, 0, 1, 2, 3, 4):
            q.cmd("writel", SELECTOR + offset, 0xffffffff)
        # A second press before the first was read: another edge, one bit.
        irqs = press()
        assert irqs == ["lower", "raise"], irqs
        value, irqs = q.cmd("readl", SELECTOR)
        assert int(value, 16) == 2 and irqs == [("lower", GED_GSI)], (value, irqs)
        assert pending(q) == 0
        # One that comes after the read and before the interrupt's end is an edge again.
        assert press()[-1] == "raise" and pending(q) == 2
        # A reset forgets it.
        assert press()[-1] == "raise"
        c.cmd("system_reset")
        c.event("RESET")
        assert pending(q) == 0


@test
def sleep_and_reset():
    """Only S5 by a byte ends the machine, only 0x42 resets it; all else is nothing"""
    for no_reboot in (False, True):
        with VM(*["-no-reboot"] * no_reboot, machine="microvm,acpi=on", qtest=True) as vm:
            q, c = QTest(vm), vm.qmp()
            for value in range(256):
                if value & 0x3c != 0x34:
                    q.cmd("writeb", SLEEP, value)
                if value != 0x42:
                    q.cmd("writeb", RESET, value)
                q.cmd("writeb", STATUS, value)
            for offset in range(-8, 12):
                for width, size, word in (("w", 2, 0x3434), ("l", 4, 0x34343434),
                                          ("q", 8, 0x4242424242424242)):
                    # What crosses the start of registers is accesses to both sides.
                    if offset >= 0 or offset + size <= 0:
                        q.cmd("write" + width, SLEEP + offset, word)
                    q.cmd("read" + width, SLEEP + offset)
                if not 0 <= offset < 3:
                    q.cmd("writeb", SLEEP + offset, 0x34 if offset & 1 else 0x42)
                    q.cmd("writeb", SLEEP + offset, 0x42 if offset & 1 else 0x34)
                assert int(q.cmd("readb", SLEEP + offset)[0], 16) == 0
            assert c.cmd("query-status")["status"] == "running"
            if no_reboot:
                q.cmd("writeb", RESET, 0x42)
                event = c.event("SHUTDOWN")
                assert event["data"] == {"guest": True, "reason": "guest-reset"}, event
            else:
                q.cmd("writeb", RESET, 0x42)
                event = c.event("RESET")
                assert event["data"] == {"guest": True, "reason": "guest-reset"}, event
                q.cmd("writeb", SLEEP, 0x34)
                event = c.event("SHUTDOWN")
                assert event["data"] == {"guest": True, "reason": "guest-shutdown"}, event
            assert vm.wait() == 0


if __name__ == "__main__":
    sys.exit(qemutest.run())
