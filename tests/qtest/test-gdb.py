#!/usr/bin/env python3
"""The gdb server, by the protocol and by gdb itself: test-gdb.py QEMU prints TAP.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

import qemutest
from qemutest import Client, Skip, VM, test


class Gdb(Client):
    """A debugger that knows only packets."""

    def packet(self, data):
        """Send a packet and return the answer's data."""
        self.put(data)
        assert self.byte() == b"+"
        return self.get()

    def put(self, data):
        data = data.encode()
        self.send(b"$" + data + b"#%02x" % (sum(data) & 255))

    def byte(self):
        while not self.buf:
            self.fill()
        first, self.buf = self.buf[:1], self.buf[1:]
        return first

    def get(self):
        assert self.byte() == b"$"
        data = self.until("#")[:-1]
        digits = self.byte() + self.byte()
        assert int(digits, 16) == sum(data.encode()) & 255
        self.send("+")
        return data


class Target:
    """with Target() as (vm, gdb, qmp)"""

    def __init__(self, *args):
        self.path = tempfile.mktemp(prefix="gdb-")
        self.vm = VM("-S", "-m", "16M", "-smp", "2", "-gdb",
                     f"unix:{self.path},server=on,wait=off", *args, machine="microvm",
                     qtest=True)

    def __enter__(self):
        return self.vm, Gdb(self.path), self.vm.qmp()

    def __exit__(self, *_):
        self.vm.kill()


@test
def registers():
    """registers: the description, all at once, one by one, written and read back"""
    with Target() as (vm, g, _):
        xml_text, offset = "", 0
        while True:
            part = g.packet(f"qXfer:features:read:target.xml:{offset:x},200")
            xml_text += part[1:]
            offset += len(part) - 1
            if part[0] == "l":
                break
        root = xml.etree.ElementTree.fromstring(
            re.sub(r"<!DOCTYPE[^>]*>", "", xml_text))
        regs = [(r.get("name"), int(r.get("bitsize"))) for r in root.iter("reg")]
        names = [name for name, _ in regs]
        assert names[:4] == ["rax", "rbx", "rcx", "rdx"] and "xmm15" in names, names
        everything = g.packet("g")
        system = names.index("cr0")
        assert names[system:] == ["cr0", "cr2", "cr3", "cr4", "cr8", "efer", "k_gs_base"]
        assert len(everything) == sum(bits for _, bits in regs[:system]) // 4
        assert g.packet(f"p{system:x}") == "1000006000000000"
        assert g.packet(f"P{system:x}=1100006000000000").startswith("E")
        assert g.packet(f"p{system:x}") == "1000006000000000"
        rip = names.index("rip")
        assert g.packet(f"p{rip:x}") == "f0ff000000000000"
        assert g.packet("P0=8877665544332211") == "OK"
        assert g.packet("p0") == "8877665544332211"
        assert g.packet("g")[:16] == "8877665544332211"
        assert g.packet("G" + "1122334455667788" + everything[16:]) == "OK"
        assert g.packet("p0") == "1122334455667788"
        for bad in ["pfff", "P0=12", "P0", "Pffffffff=00"]:
            assert g.packet(bad).startswith("E"), bad
        assert "RAX" not in vm.stderr()


@test
def memory():
    """memory: read, written, refused outside RAM and beyond a packet"""
    with Target() as (vm, g, _):
        assert g.packet("M100000,4:11223344") == "OK"
        assert g.packet("m100000,4") == "11223344"
        q = Client(vm.path("qtest"))
        q.send("readl 0x100000\n")
        assert q.until("\n") == "OK 0x0000000044332211\n"
        for bad in ["m1000000,4", "mfffffffffffffffc,8", "m0,ffffffffffffffff", "m", "m0",
                    "M0,4:11", "M0", "mxyz,1"]:
            assert g.packet(bad)[:1] in ("E", ""), bad


@test
def threads():
    """one thread per CPU"""
    with Target() as (_, g, qmp):
        assert g.packet("qfThreadInfo") == "m01,02"
        assert g.packet("qsThreadInfo") == "l"
        assert g.packet("Hg2") == "OK"
        assert g.packet("qC") == "QC02"
        assert g.packet("T2") == "OK"
        assert bytes.fromhex(g.packet("qThreadExtraInfo,2")) == b"CPU#1"
        for tid in ("0", "3", "", "x", "ffffffffffffffff", "100000002"):
            assert g.packet("qThreadExtraInfo," + tid) == "E22", tid
        assert g.packet("T3").startswith("E") and g.packet("Hg3").startswith("E")
        answer = bytes.fromhex(g.packet("qRcmd," + b"info cpus".hex())).decode()
        assert "* CPU #1" in answer, answer


@test
def long_commands():
    """a command of the monitor about all of RAM lets the loop run; packets wait for its end"""
    with Target() as (_, g, qmp), tempfile.TemporaryDirectory() as folder:
        fifo = os.path.join(folder, "fifo")
        os.mkfifo(fifo)
        with open(os.open(fifo, os.O_RDWR), "rb", buffering=0) as file:
            g.put("qRcmd," + f'pmemsave 0 0x100000 "{fifo}"'.encode().hex())
            g.put("qC")
            assert g.byte() == b"+"
            for _ in range(3):
                assert not qmp.cmd("query-status")["running"]
            left = 1 << 20
            while left:
                left -= len(file.read(left))
            assert g.get() == "OK" and g.byte() == b"+" and g.get() == "QC01"
            assert re.fullmatch(rb"\d{5}\n", bytes.fromhex(
                g.packet("qRcmd," + b"sum 0 0x100000".hex())))
            # Who goes in the middle ends it.
            g.put("qRcmd," + f'pmemsave 0 0x100000 "{fifo}"'.encode().hex())
            assert g.byte() == b"+"
            path = g.sock.getpeername()
            g.sock.close()
            again = Gdb(path)
            assert again.packet("qC") == "QC01"
            core = os.path.join(folder, "core")
            again.packet("qRcmd," + f"dump-guest-memory -d {core}".encode().hex())
            while qmp.cmd("query-dump")["status"] == "active":
                pass
            assert qmp.cmd("query-dump")["status"] == "completed"


@test
def running():
    """continue, Ctrl-C, stops by others, detach; a new debugger stops the guest"""
    with Target() as (vm, g, qmp):
        assert g.packet("?") == "T02thread:01;"
        g.put("vCont;c")
        assert g.byte() == b"+"
        assert qmp.event("RESUME")
        g.send(b"\x03")
        assert g.get() == "T02thread:01;"
        assert qmp.cmd("query-status")["status"] == "paused"
        g.put("c")
        assert g.byte() == b"+"
        qmp.cmd("stop")
        assert g.get() == "T02thread:01;"
        assert g.packet("D") == "OK"
        assert qmp.cmd("query-status")["running"] is True
        path = g.sock.getpeername()
        g.close()
        g = Gdb(path)
        assert g.packet("?") == "T02thread:01;"
        assert qmp.cmd("query-status")["status"] == "paused"
        g.close()
        while not qmp.cmd("query-status")["running"]:
            pass
        g = Gdb(path)
        g.packet("?")
        g.put("c")
        assert g.byte() == b"+"
        qmp.send('{"execute": "quit"}')
        assert "$W00#" in g.until("#")


def endless_guest(path):
    """An ELF kernel whose only instruction jumps to itself."""
    code, base = b"\xeb\xfe", 0x100000
    note = struct.pack("<III4sI", 4, 4, 18, b"Xen\0", base)
    size = 64 + 2 * 56
    headers = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 2, 62, 1, base, 64, 0, 0, 64,
                          56, 2, 0, 0, 0)
    headers += struct.pack("<IIQQQQQQ", 1, 5, size, base, base, len(code), len(code), 4096)
    headers += struct.pack("<IIQQQQQQ", 4, 4, size + 4, 0, 0, len(note), len(note), 4)
    with open(path, "wb") as f:
        f.write(headers + code.ljust(4, b"\0") + note)


@test
def while_it_runs():
    """packets while the guest runs stop it first; nothing waits for a running CPU"""
    helped = subprocess.run([qemutest.QEMU, "-accel", "help"], stdout=subprocess.PIPE, check=True)
    if b"tcg" not in helped.stdout:
        raise Skip("no software CPU in this program")
    with tempfile.TemporaryDirectory() as folder:
        endless_guest(f"{folder}/kernel")
        with VM("-m", "16M", "-smp", "2", "-kernel", f"{folder}/kernel", "-gdb",
                f"unix:{folder}/gdb,server=on,wait=off", machine="microvm", accel="tcg") as vm:
            qmp, g = vm.qmp(), Gdb(f"{folder}/gdb")
            assert g.packet("?").startswith("T02")
            # The breakpoints are where the guest never comes.
            for packet in ["c", "s", "vCont;c", "vCont;s:1;c", "Z1,100010,1", "z1,100010,1",
                           "Z0,100010,1", "z0,100010,1", "g", "m100000,2", "qRcmd,6370752030"]:
                g.put("c")
                assert g.byte() == b"+"
                assert qmp.event("RESUME")
                g.put(packet)
                assert g.byte() == b"+"
                answer = g.get()
                assert answer == "T02thread:01;", (packet, answer)  # of the first c
                assert qmp.event("STOP")
                if packet[0] in "csv":
                    assert qmp.event("RESUME")
                    g.send(b"\x03")
                assert g.get()
                g.send("+")
                assert qmp.cmd("query-status")["running"] is False
                qmp.events.clear()
            # Somebody else lets it run; then the debugger asks, and goes.
            qmp.cmd("cont")
            assert g.packet("m100000,2") == "ebfe"
            assert qmp.cmd("query-status")["running"] is False
            qmp.cmd("cont")
            assert g.packet("D") == "OK"
            assert qmp.cmd("query-status")["running"] is True
            g.send("$c#63")
            g.close()
            vm.proc.terminate()
            assert vm.wait() == 0


@test
def nonsense():
    """noise, wrong sums, unknown and endless packets: refused, and it goes on"""
    with Target() as (_, g, qmp):
        for bad in ["garbage$g#00", "$#zz", "$#0z", "$g#\xff\xff"]:
            g.send(bad)
            assert g.byte() == b"-", bad
        for unknown in ["", "qNoSuch", "vNoSuch", "Xabc", "Z9,0,0", "!", "vCont?x" * 100]:
            g.packet(unknown)
        g.send("$" + "m" * 100000)
        g.send("#00")
        assert g.packet("qC") == "QC01"
        for noise in ["z0", "Z0", "H", "T", "qRcmd,", "qRcmd,zz", "qXfer:features:read:target.xml:",
                      "qXfer:features:read:target.xml:ffffffff,ffffffff", "vCont;s:7"]:
            g.packet(noise)
        assert qmp.cmd("query-name") == {}


@test
def gdb_itself():
    """gdb attaches, reads registers, memory and threads"""
    if not shutil.which("gdb"):
        raise Skip("no gdb here")
    with Target() as (vm, g, _):
        g.packet("M100000,8:8877665544332211")
        path = g.sock.getpeername()
        g.close()
        out = subprocess.run(
            ["gdb", "-nx", "-batch", "-ex", f"target remote {path}", "-ex", "p/x $rip",
             "-ex", "p/x $cs", "-ex", "p/x $cr0", "-ex", "x/1gx 0x100000", "-ex", "info threads",
             "-ex", "set $rax = 0x1234", "-ex", "p/x $rax", "-ex", "p $st0",
             "-ex", "monitor info status", "-ex", "detach"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=1000,
            stdin=subprocess.DEVNULL).stdout
        for text in ["= 0xfff0", "= 0xf000", "= 0x60000010", "0x1122334455667788", "Thread 2 (CPU#1)", "= 0x1234",
                     "VM status: paused", "detached"]:
            assert text in out, (text, out)


def guest_tool(name, *args):
    """Run one of tests/guest; what it printed."""
    folder = os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "guest")
    return subprocess.run([os.path.join(folder, name), *args], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


# One step after the other through the start of Linux, and what gdb says of each.
SESSION = [
    # Before there are page tables: no INT3 can be written.
    ("break start_kernel", "Breakpoint 1 at 0xffffffff8"),
    ("continue", "hit Breakpoint 1, 0x[0-9a-f]+ in start_kernel"),
    ("stepi", r"0x[0-9a-f]+ in start_kernel \(\)"),
    ("p/x $cr3", "= 0x[0-9a-f]+000"),
    ("p/x $efer", "= 0x[0-9a-f]*d01"),
    ("break rest_init", "Breakpoint 2 at 0xffffffff8"),
    ("continue", "hit Breakpoint 2, 0x[0-9a-f]+ in rest_init"),
    ("backtrace 3", r"#2 +0x[0-9a-f]+ in start_kernel"),
    ("delete", ""),
    ("watch *(unsigned long *)&jiffies_64", "Hardware watchpoint 3"),
    ("continue", "Old value = [0-9]+\nNew value = [0-9]+\n0x[0-9a-f]+ in do_timer"),
    ("delete", ""),
    ("rwatch *(int *)&system_state", "Hardware read watchpoint 4"),
    ("continue", "hit Hardware read watchpoint 4"),
    ("delete", ""),
    ("hbreak do_one_initcall", "Hardware assisted breakpoint 5"),
    ("continue", "hit Breakpoint 5, 0x[0-9a-f]+ in do_one_initcall"),
    ("delete", ""),
    ("info threads", "Thread 1"),
    ("detach", "detached"),
]


@test
def upper_halves():
    """the upper halves of YMM registers pass through the software CPU and a saved machine"""
    helped = subprocess.run([qemutest.QEMU, "-accel", "help"], stdout=subprocess.PIPE, check=True)
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
        if b"tcg" not in helped.stdout or " avx " not in f.read():
            raise Skip("no software CPU in this program, or no AVX in this host's processor")
    kernel = os.path.join(os.environ.get("LEAN_KERNEL") or guest_tool("build-kernel"), "vmlinux")
    with tempfile.TemporaryDirectory() as folder:
        args = ("-S", "-cpu", "max", "-m", "128M", "-kernel", kernel, "-gdb",
                f"unix:{folder}/gdb,server=on,wait=off")
        with VM(*args, machine="microvm", accel="tcg") as vm:
            g = Gdb(f"{folder}/gdb")
            xml_text = g.packet("qXfer:features:read:target.xml:0,10000")[1:]
            n = re.findall('<reg name="([^"]*)"', xml_text).index("ymm3h")
            assert g.packet("s").startswith("T05")
            assert g.packet(f"P{n:x}=" + "1122334455667788" * 2) == "OK"
            assert g.packet("s").startswith("T05")      # so the CPU has taken all registers
            assert g.packet(f"p{n:x}") == "1122334455667788" * 2
            qmp = vm.qmp()
            qmp.cmd("migrate", uri=f"file:{folder}/saved")
            while qmp.cmd("query-migrate")["status"] not in ("completed", "failed"):
                pass
        with VM(*args[:-1], f"unix:{folder}/other,server=on,wait=off", "-incoming",
                f"file:{folder}/saved", machine="microvm", accel="tcg") as vm:
            qmp = vm.qmp()
            while qmp.cmd("query-status")["status"] == "inmigrate":
                pass
            g = Gdb(f"{folder}/other")
            assert g.packet("s").startswith("T05")
            assert g.packet(f"p{n:x}") == "1122334455667788" * 2


@test
def linux():
    """gdb stops Linux in start_kernel on the software CPU: break- and watchpoints, steps"""
    if not shutil.which("gdb"):
        raise Skip("no gdb here")
    helped = subprocess.run([qemutest.QEMU, "-accel", "help"], stdout=subprocess.PIPE, check=True)
    if b"tcg" not in helped.stdout:
        raise Skip("no software CPU in this program")
    kernel = os.path.join(os.environ.get("LEAN_KERNEL") or guest_tool("build-kernel"), "vmlinux")
    with tempfile.TemporaryDirectory() as folder:
        guest_tool("mkinitramfs", "--tiny", "-o", f"{folder}/initrd")
        with VM("-S", "-m", "128M", "-smp", "2", "-no-reboot", "-kernel", kernel, "-initrd",
                f"{folder}/initrd", "-serial", f"file:{folder}/serial", "-append",
                "console=ttyS0 quiet nokaslr panic=-1 reboot=t", "-gdb",
                f"unix:{folder}/gdb,server=on,wait=off", machine="microvm", accel="tcg") as vm:
            commands = [c for command, _ in SESSION for c in (f"echo >{command}>\\n", command)]
            args = [a for c in [f"target remote {folder}/gdb", *commands] for a in ("-ex", c)]
            out = subprocess.run(
                ["gdb", "-nx", "-batch", "-ex", "set pagination off", *args, kernel], text=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                timeout=1000, check=False).stdout
            for command, pattern in SESSION:
                answer = out.split(f">{command}>\n", 1)[1]
                assert re.search(pattern, answer.split("\n>", 1)[0]), (command, pattern, out)
                out = answer
            # Left alone it goes on to its end.
            assert vm.wait(60) == 0
            with open(f"{folder}/serial", encoding="utf-8", errors="replace") as f:
                assert "Restarting system" in f.read()


if __name__ == "__main__":
    sys.exit(qemutest.run())
