"""Monitors, dumps and gdb on a running guest.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

import harness
from harness import Qemu, case, check, initrd, kernel, machine_args

sys.path.insert(0, os.path.join(harness.ROOT, "tests", "qtest"))
saved, sys.argv = sys.argv, [sys.argv[0], harness.QEMU]
import qemutest  # noqa: E402  pylint: disable=wrong-import-position
sys.argv = saved

# A guest that writes and counts until it is ended.
BUSY = "i=0; while true; do i=$((i+1)); echo count $i; sleep 0.2; done"


def gdb(vmlinux, target, commands, timeout=1200):
    """What gdb prints when it runs these commands."""
    check(shutil.which("gdb"), "gdb is not installed")
    args = ["gdb", "-nx", "-batch", "-ex", "set confirm off", "-ex", "set pagination off",
            "-ex", f"target {target}"]
    for command in commands:
        args += ["-ex", command]
    done = subprocess.run([*args, vmlinux], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=timeout, check=False)
    return done.stdout.decode(errors="replace")


def start(folder, *more, append="quiet nokaslr", **machine):
    """A guest that counts on its serial port, with QMP and gdb sockets in folder."""
    args = machine_args(kernel_path=kernel("lean"), initrd_path=initrd(BUSY), append=append,
                        **machine)
    return Qemu([*args, "-serial", "stdio", "-qmp", f"unix:{folder}/qmp,server=on,wait=off",
                 "-gdb", f"unix:{folder}/gdb,server=on,wait=off", *more])


@case("gdb stops a running guest, steps, and lets go")
def gdb_session():
    """Symbols, memory, single steps, threads, detach.

    Break- and watchpoints are left out: an emulated test host's SVM neither intercepts a
    guest's INT3 nor arms its debug registers."""
    with tempfile.TemporaryDirectory() as folder, start(folder, smp=2) as guest:
        guest.expect(b"count 2\s")
        text = gdb(kernel("lean"), f"remote {folder}/gdb", [
            # Of a REP only the count changes.
            "x/s &linux_banner", "set $before = $rip", "set $count = $rcx", "stepi",
            "p $rip != $before || $rcx != $count", "stepi", "info threads", "monitor info status",
            "detach"])
        check("Linux version" in text, f"no kernel memory:\n{text}")
        check("$1 = 1" in text, f"no single step:\n{text}")
        check(re.search(r"^[* ] +2 +Thread", text, re.MULTILINE), f"not two threads:\n{text}")
        check("VM status: paused" in text, f"no monitor:\n{text}")
        guest.seen = len(guest.log)
        guest.expect(b"count ")


@case("a dump of a running guest opens in gdb with the kernel's symbols")
def dump():
    """By the guest's own addresses; the guest goes on."""
    with tempfile.TemporaryDirectory() as folder, start(folder, smp=2, mem="64M") as guest:
        guest.expect(b"count 3\\s")
        qmp = qemutest.QMP(f"{folder}/qmp")
        qmp.cmd("dump-guest-memory", paging=True, protocol=f"file:{folder}/core")
        check(qmp.cmd("query-dump")["status"] == "completed", "the dump failed")
        text = gdb(kernel("lean"), f"core {folder}/core",
                   ["x/s &linux_banner", "info threads", "p $rip"])
        check("Linux version" in text, f"no kernel memory in the dump:\n{text}")
        check(len(re.findall(r"^[* ] +\d+ +", text, re.MULTILINE)) >= 2,
              f"not two CPUs in the dump:\n{text}")
        guest.seen = len(guest.log)
        guest.expect(b"count ")


@case("registers, memory and events of a running guest")
def look():
    """stop, cont, x by virtual address, info registers, NMI, reset."""
    with tempfile.TemporaryDirectory() as folder, start(folder, smp=2) as guest:
        guest.expect(b"count 2\\s")
        qmp = qemutest.QMP(f"{folder}/qmp")
        tids = [cpu["thread-id"] for cpu in qmp.cmd("query-cpus-fast")]
        check(len(set(tids)) == 2 and all(
            os.path.exists(f"/proc/{guest.process.pid}/task/{tid}") for tid in tids),
            f"no threads {tids}")
        check(qmp.cmd("query-kvm") == {"enabled": True, "present": True}, "KVM is not told of")
        qmp.cmd("stop")
        qmp.event("STOP")
        regs = qmp.hmp("info registers")
        check("CR0=8" in regs or "CR0=00000000_8" in regs, f"no paging?\n{regs}")
        banner = int(subprocess.run(
            ["nm", kernel("lean")], stdout=subprocess.PIPE, check=True).stdout.decode()
            .split(" D linux_banner")[0].split(" R linux_banner")[0].split("\n")[-1], 16)
        check("'L' 'i' 'n' 'u' 'x'" in qmp.hmp(f"x /8c {banner:#x}"),
              qmp.hmp(f"x /8c {banner:#x}"))
        qmp.cmd("cont")
        qmp.event("RESUME")
        guest.seen = len(guest.log)
        guest.expect(b"count ")
        qmp.cmd("inject-nmi")
        qmp.cmd("system_reset")
        check(qmp.event("RESET")["data"]["reason"] == "host-qmp-system-reset", "no reset")
        guest.expect(b"count 1\\s")


@case("a guest's first output arrives on the serial port")
def boot_serial():
    """tests/qtest/boot-serial-test.c on this accelerator: every kind of kernel file."""
    program = os.environ.get("BOOT_SERIAL") or os.path.join(
        os.path.dirname(harness.QEMU), "tests", "qtest", "boot-serial-test")
    done = subprocess.run(
        [program, "--tap"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=2000,
        env=dict(os.environ, BOOT_SERIAL_ACCELS=harness.ACCEL, QTEST_QEMU_BINARY=harness.QEMU),
        stdin=subprocess.DEVNULL, check=False)
    text = done.stdout.decode(errors="replace")
    check(done.returncode == 0 and text.count("\nok ") == 12, text)


@case("the memory map under KVM is the announced one")
def mtree():
    """tests/qtest/test-mtree.py with the host kernel's controllers."""
    done = subprocess.run(
        [sys.executable, os.path.join(harness.ROOT, "tests", "qtest", "test-mtree.py"),
         harness.QEMU], stdout=subprocess.PIPE,
        env=dict(os.environ, MTREE_ACCEL="kvm", MTREE_ARGS=f"-kernel {kernel('lean')}"),
        stdin=subprocess.DEVNULL, timeout=2000, check=False)
    check(done.returncode == 0, done.stdout.decode())
