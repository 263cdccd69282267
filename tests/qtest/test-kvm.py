#!/usr/bin/env python3
"""KVM that refuses, fails and stops as a real one does not on demand: test-kvm.py QEMU SHIM.

SHIM is fake-kvm.c's library, which the program is started with. TAP on standard output.
SPDX-License-Identifier: GPL-2.0-or-later
"""
import contextlib
import errno
import os
import re
import struct
import subprocess
import sys
import tempfile
import time

import qemutest
from qemutest import QEMU, Client, QMP, test

SHIM = sys.argv[2]
GET_API_VERSION, CREATE_VM, CHECK_EXTENSION, GET_VCPU_MMAP_SIZE = 0xae00, 0xae01, 0xae03, 0xae04
CREATE_VCPU, CREATE_IRQCHIP, SET_TSS_ADDR, RUN = 0xae41, 0xae60, 0xae47, 0xae80
SET_CPUID2, ENABLE_CAP = 0x4008ae90, 0x4068aea3
CAP_IRQFD, CAP_SPLIT_IRQCHIP, CAP_X2APIC_API, CAP_IMMEDIATE_EXIT = 32, 121, 129, 136
# Exit reasons, linux/kvm.h.
DEBUG, SHUTDOWN, FAIL_ENTRY, INTERNAL_ERROR = 4, 8, 9, 17
# KVM_SET_GUEST_DEBUG's control.
ENABLE, SINGLESTEP, USE_SW_BP, USE_HW_BP, INJECT_DB, INJECT_BP = \
    1, 2, 0x10000, 0x20000, 0x40000, 0x80000


def kernel():
    """An ELF file of one HLT at 1 MiB, which nothing runs: its path."""
    f = tempfile.NamedTemporaryFile(prefix="kernel-")
    f.write(struct.pack("<4sBBBB8xHHIQQQIHHHHHH", b"\x7fELF", 2, 1, 1, 0, 2, 62, 1, 1 << 20, 64, 0,
                        0, 64, 56, 1, 0, 0, 0))
    f.write(struct.pack("<IIQQQQQQ", 1, 5, 120, 1 << 20, 1 << 20, 1, 1, 1) + b"\xf4")
    f.flush()
    return f


KERNEL = kernel()


def arguments(*more):
    accel = () if {"-accel", "-enable-kvm"} & set(more) else ("-accel", "kvm")
    # The stand-in is called on vCPU threads, and opens its files there.
    return [QEMU, "-M", "microvm", *accel, "-m", "16M", "-display", "none", "-nodefaults",
            "-sandbox", "off", "-kernel", KERNEL.name, *more]


def environment(folder, **more):
    return {**os.environ, **more, "FAKE_KVM": folder, "LD_PRELOAD": SHIM,
            "ASAN_OPTIONS": "verify_asan_link_order=0:" + os.environ.get("ASAN_OPTIONS", "")}


class Machine:
    """The program on that KVM, with QMP and gdb's server; with Machine() as m."""

    def __init__(self, *args, watched=True):
        # pylint: disable=consider-using-with
        self.folder = tempfile.TemporaryDirectory(prefix="kvm-")
        os.mkfifo(self.path("exits"))
        self.exits = os.open(self.path("exits"), os.O_RDWR | os.O_NONBLOCK)
        self.errors = open(self.path("stderr"), "wb")
        self.watched = watched
        watchers = ("-qmp", f"unix:{self.path('qmp')},server=on,wait=off",
                    "-gdb", f"unix:{self.path('gdb')},server=on,wait=off") if watched else ()
        self.process = subprocess.Popen(arguments(*watchers, *args),
            env=environment(self.folder.name), stdin=subprocess.DEVNULL, stderr=self.errors)

    def __enter__(self):
        end = time.monotonic() + 20
        while self.watched and not os.path.exists(self.path("gdb")):
            assert self.process.poll() is None and time.monotonic() < end, self.stderr()
            time.sleep(0.005)
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self.exits)
        self.errors.close()
        self.folder.cleanup()

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def stderr(self):
        with open(self.path("stderr"), encoding="utf-8", errors="replace") as f:
            return f.read()

    def exit(self, reason, *words):
        """The boot processor leaves the guest for that reason."""
        os.write(self.exits, (" ".join(map(str, (reason, *words))) + "\n").encode())

    def debug(self, cpu=0):
        """What KVM was told last for a CPU: control, DR0 to DR3, DR7."""
        with open(self.path("log"), "a+", encoding="ascii") as f:
            f.seek(0)
            rows = [[int(word, 0) for word in line.split()] for line in f]
        return ([[0] * 6] + [row[1:] for row in rows if row[0] == cpu])[-1]

    def wait_for_control(self, bits, cpu=0):
        """Until KVM has been told these bits of a CPU; none: until nothing is debugged."""
        end = time.monotonic() + 20
        while self.debug(cpu)[0] & (bits or -1) != bits:
            assert time.monotonic() < end, [hex(n) for n in self.debug(cpu)]
            time.sleep(0.005)


def refused(*lines, args=("-smp", "2"), **env):
    """What the program says and how it ends when KVM answers as in lines."""
    with tempfile.TemporaryDirectory(prefix="kvm-") as folder:
        with open(os.path.join(folder, "fail"), "w", encoding="ascii") as f:
            f.write("".join(f"{request} {arg} {result}\n" for request, arg, result in lines))
        done = subprocess.run(arguments(*args), env=environment(folder, **env), timeout=600,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
        return done.returncode, done.stdout


@test
def deadline_timer():
    """CPUID has the deadline timer where the APIC is the kernel's; x2APIC not where it is ours"""
    for mode, there in (("on", True), ("split", True), ("off", False)):
        with Machine("-accel", f"kvm,kernel-irqchip={mode}", "-cpu", "host,+x2apic") as m:
            with open(m.path("cpuid"), encoding="ascii") as f:
                rows = [[int(word, 0) for word in line.split()] for line in f]
            ecx = [row[4] for row in rows if row[1] == 1]
            assert len(ecx) == 1 and bool(ecx[0] >> 24 & 1) == there, (mode, rows)
            assert there or not ecx[0] >> 21 & 1, (mode, rows)


@test
def wide_ids():
    """APIC ids above 254 need the local APICs alone in KVM, ids of 32 bits, and CPUID tells"""
    for cpus, wide in (("2", False), ("2,maxcpus=288", True)):
        for mode in ("", ",kernel-irqchip=split"):
            args = ("-smp", cpus, "-M", "microvm,acpi=on", "-accel", "kvm" + mode)
            with Machine(*args) as m:
                with open(m.path("cpuid"), encoding="ascii") as f:
                    rows = [[int(word, 0) for word in line.split()] for line in f]
                eax = [row[2] for row in rows if row[1] == 0x40000001]
                assert [word >> 15 & 1 for word in eax] == [wide] * 2, rows
                caps = {}
                if wide or mode:
                    with open(m.path("caps"), encoding="ascii") as f:
                        caps = dict(map(int, line.split()) for line in f)
                assert caps.get(CAP_X2APIC_API) == (3 if wide else None), caps
                assert (CAP_SPLIT_IRQCHIP in caps) == bool(wide or mode), caps
    for mode, lines, text in (
            ("on", [], "KVM's I/O APIC has no place for APIC ids above 254"),
            ("off", [], "APIC ids above 254 need x2apic"),
            ("split", [(ENABLE_CAP, -1, -errno.EINVAL)], "KVM cannot split")):
        status, said = refused(*lines, args=("-smp", "2,maxcpus=288", "-M", "microvm,acpi=on",
                                             "-accel", f"kvm,kernel-irqchip={mode}"))
        assert status == 1 and text in said and said.count("\n") == 1, said


@test
def no_tick():
    """kernel-irqchip=off,pit=off leaves Linux without a tick: one line says so, else none"""
    for more, want in (("kernel-irqchip=off,pit=off", 1), ("kernel-irqchip=off", 0),
                       ("kernel-irqchip=split,pit=off", 0), ("pit=off", 0)):
        text = refused((CREATE_VCPU, -1, -errno.EIO), args=("-smp", "2", "-M",
                                                            f"microvm,{more}"))[1]
        assert text.count("no clock tick") == want, (more, text)


@test
def other_guests():
    """named alone, a KVM that runs no ordinary guests is tried, and a line says what it is"""
    for args in ((), ("-enable-kvm",)):
        status, text = refused((CREATE_VCPU, -1, -errno.EIO), args=("-smp", "2", *args),
                               FAKE_PVM="1")
        first, rest = text.split("\n", 1)
        assert status == 1 and "warning: this host's kvm runs no ordinary guests" in first, text
        assert "warning" not in rest, text
    assert "ordinary" not in refused((CREATE_VCPU, -1, -errno.EIO))[1]


@test
def refusals():
    """an old KVM, one without a part, one that cannot: one line, status 1"""
    for request, arg, result, text in [
            (GET_API_VERSION, -1, 11, "failed to initialize kvm: API version 11 is not 12"),
            (CHECK_EXTENSION, CAP_IRQFD, 0,
             "failed to initialize kvm: the host's KVM lacks KVM_CAP_IRQFD"),
            (CHECK_EXTENSION, CAP_IMMEDIATE_EXIT, 0,
             "failed to initialize kvm: the host's KVM lacks KVM_CAP_IMMEDIATE_EXIT"),
            (CREATE_VM, -1, -errno.EBUSY,
             "failed to initialize kvm: cannot create a VM: Device or resource busy"),
            (CREATE_VM, -1, -errno.ENOMEM,
             "failed to initialize kvm: cannot create a VM: Cannot allocate memory"),
            (GET_VCPU_MMAP_SIZE, -1, 0, "failed to initialize kvm: bad vCPU state size 0"),
            (SET_TSS_ADDR, -1, -errno.EINVAL,
             "failed to initialize kvm: cannot set up the VM: Invalid argument"),
            (CREATE_IRQCHIP, -1, -errno.EEXIST,
             "KVM cannot create the interrupt controllers: File exists"),
            (CREATE_VCPU, 1, -errno.ENOSPC,
             "KVM cannot create CPU 1: No space left on device"),
            (SET_CPUID2, -1, -errno.E2BIG,
             "KVM refuses the CPUID of CPU ")]:
        status, said = refused((request, arg, result))
        assert status == 1 and said.count("\n") == 1 and text in said, (text, status, said)


@test
def stuck_guests():
    """internal error, failed entry, unknown exit, KVM_RUN's error: registers, internal-error"""
    for reason, words, text in [
            (INTERNAL_ERROR, (1 | 1 << 32, 0x55), "KVM internal error. Suberror: 1\nextra "
             "data[0]: 0x0000000000000055\nemulation failure\n"),
            # As many words of data as there is room for, whatever KVM says.
            (INTERNAL_ERROR, (3 | 0xffffffff << 32,), "extra data[15]: "),
            (FAIL_ENTRY, (0x80000021, 0), "KVM: entry failed, hardware error 0x80000021\n"),
            (77, (5,), "KVM: unexpected exit reason 77, hardware reason 0x5\n"),
            (0, (6,), "KVM: unexpected exit reason 0, hardware reason 0x6\n")]:
        with Machine("-smp", "2") as m:
            q = QMP(m.path("qmp"))
            m.exit(reason, *words)
            q.event("STOP")
            assert q.cmd("query-status")["status"] == "internal-error"
            assert text in m.stderr() and "EAX=56789abc" in m.stderr(), m.stderr()
            assert "Resetting the Virtual Machine is required" in q.error("cont")[1]
            q.cmd("system_reset")
            q.cmd("cont")
            assert q.cmd("query-status")["status"] == "running"
            q.cmd("quit")
            assert m.process.wait(20) == 0
    with tempfile.NamedTemporaryFile("w") as fail, Machine() as m:
        q = QMP(m.path("qmp"))
        fail.write(f"{RUN} -1 {-errno.EFAULT}\n")
        fail.flush()
        q.cmd("stop")
        q.event("STOP")
        os.symlink(fail.name, m.path("fail"))
        q.cmd("cont")
        q.event("STOP")
        assert q.cmd("query-status")["status"] == "internal-error"
        assert "error: kvm run failed Bad address\n" in m.stderr(), m.stderr()


@test
def triple_fault():
    """a guest's triple fault: RESET by the guest, or the end with -no-reboot"""
    with Machine() as m:
        q = QMP(m.path("qmp"))
        for _ in range(3):
            m.exit(SHUTDOWN)
            assert q.event("RESET")["data"] == {"guest": True, "reason": "guest-reset"}
        assert q.cmd("query-status")["status"] == "running"
    with Machine("-no-reboot") as m:
        q = QMP(m.path("qmp"))
        m.exit(SHUTDOWN)
        assert q.event("SHUTDOWN")["data"] == {"guest": True, "reason": "guest-reset"}
        assert m.process.wait(20) == 0


class Gdb(Client):
    """A debugger that knows only packets."""

    def put(self, data):
        self.send(f"${data}#{sum(data.encode()) & 255:02x}")

    def get(self):
        """The next packet's data."""
        self.until("$")
        data = self.until("#")[:-1]
        while len(self.buf) < 2:
            self.fill()
        self.buf = self.buf[2:]
        self.send("+")
        return data

    def packet(self, data):
        self.put(data)
        return self.get()


@contextlib.contextmanager
def debugger():
    with Machine("-smp", "2") as m:
        g = Gdb(m.path("gdb"))
        assert g.packet("?").startswith("T"), "no answer"
        yield m, g


@test
def nobody_watches():
    """an internal error of a machine that nobody looks at gets a hint, others do not"""
    for watched in (False, True):
        with Machine("-msg", "hints=on", watched=watched) as m:
            m.exit(INTERNAL_ERROR, 1)
            wait = "the accelerator cannot go on" if not watched else "CR0="
            end = time.monotonic() + 60
            while wait not in m.stderr():
                assert time.monotonic() < end, m.stderr()
                time.sleep(0.005)
            if watched:
                assert QMP(m.path("qmp")).cmd("query-status")["status"] == "internal-error"
                assert "cannot go on" not in m.stderr()


@test
def debug_registers():
    """break- and watchpoints become DR0 to DR3 and DR7 of every CPU, and their hits are told"""
    with debugger() as (m, g):
        # Kind, address, length; DR7: R/W, LEN (SDM 3B, 17.2.4).
        points = [("1", 0xffffffff81000000, 1, 0b00, 0b00), ("2", 0x1000, 8, 0b01, 0b10),
                  ("4", 0x2004, 4, 0b11, 0b11), ("2", 0x3002, 2, 0b01, 0b01)]
        for kind, addr, length, _, _ in points:
            assert g.packet(f"Z{kind},{addr:x},{length:x}") == "OK"
        assert g.packet("Z1,5000,1")[:1] in ("E", ""), "a fifth"
        g.put("c")
        want = 1 << 10
        for n, (_, _, _, access, length) in enumerate(points):
            want |= 2 << 2 * n | (access | length << 2) << (16 + 4 * n)
        for cpu in (0, 1):
            m.wait_for_control(USE_HW_BP, cpu)
            control, *dr = m.debug(cpu)
            assert control == ENABLE | USE_SW_BP | USE_HW_BP, hex(control)
            assert dr[:4] == [p[1] for p in points] and dr[4] == want, [hex(x) for x in dr]
        # Exception 1; RIP; DR6; DR7.
        m.exit(DEBUG, 1, 0x4000, 0xffff0ff0 | 1 << 1, want)
        assert re.match(r"T05.*watch:0*1000;", g.get())
        g.put("c")
        m.exit(DEBUG, 1, 0x4000, 0xffff0ff0 | 1 << 2, want)
        assert re.match(r"T05.*awatch:0*2004;", g.get())
        g.put("c")
        m.exit(DEBUG, 1, 0x4000, 0xffff0ff0 | 1 << 0, want)
        answer = g.get()
        assert answer.startswith("T05") and "watch" not in answer, answer
        for kind, addr, length, _, _ in points[:3]:
            assert g.packet(f"z{kind},{addr:x},{length:x}") == "OK"
        g.put("c")
        m.exit(DEBUG, 1, 0x4000, 0xffff0ff0 | 1 << 0, want)
        assert re.match(r"T05.*watch:0*3002;", g.get())
        assert m.debug()[1:] == [0x3002, 0, 0, 0, 1 << 10 | 2 | 0b0101 << 16]


@test
def while_it_runs():
    """what the debugger and the monitor ask while CPUs are in KVM_RUN does not wait for ever"""
    with debugger() as (m, g):
        for packet in ["c", "s", "vCont;s:1;c", "g", "Z1,5000,1", "z1,5000,1", "qRcmd,6370752031"]:
            g.put("c")
            m.wait_for_control(ENABLE)
            g.put(packet)
            assert g.get() == "T02thread:01;", packet   # of the first c
            if packet[0] in "csv":
                g.send(b"\x03")
            assert g.get(), packet
        g.put("c")
        g.put("D")
        assert g.get().startswith("T02")
        assert g.get() == "OK"


@test
def steps_and_strangers():
    """a single step; exceptions that are the guest's own go back to it; detach"""
    with debugger() as (m, g):
        g.put("s")
        m.wait_for_control(SINGLESTEP)
        m.exit(DEBUG, 1, 0xfff0, 0xffff0ff0 | 1 << 14, 0x400)
        assert g.get().startswith("T05")
        g.put("c")
        q = QMP(m.path("qmp"))
        for exception, inject in ((1, INJECT_DB), (3, INJECT_BP)):
            m.exit(DEBUG, exception, 0x7777, 0xffff0ff0, 0x400)
            m.wait_for_control(inject)
            assert m.debug()[0] & ~inject == ENABLE | USE_SW_BP
            assert q.cmd("query-status")["status"] == "running"
        g.send(b"\x03")
        assert g.get().startswith("T02")
        assert g.packet("D") == "OK"
        for cpu in (0, 1):
            m.wait_for_control(0, cpu)


if __name__ == "__main__":
    sys.exit(qemutest.run())
