"""What must not break us: resets and stops without end, a KVM that fails, memory that is not there.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import json
import os
import random
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time

from harness import (QEMU, ROOT, Patience, Qemu, case, check, initrd, kernel, machine_args, soft_host,
                     tiny_initrd)

ROUNDS = 100
BUSY = "for i in 1 2 3; do (while :; do :; done) & done; echo @@busy@@; while :; do :; done\n"


class Monitor:
    """A QMP client of a guest's monitor."""

    def __init__(self, path):
        limit = Patience(60)
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        while self.sock.connect_ex(path):
            check(not limit.over(), "no monitor")
            time.sleep(0.05)
        self.file = self.sock.makefile("rw")
        json.loads(self.file.readline())
        self.command("qmp_capabilities")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.file.close()
        self.sock.close()

    def execute(self, name):
        """The whole answer; events are dropped."""
        self.file.write(json.dumps({"execute": name}) + "\n")
        self.file.flush()
        while True:
            answer = json.loads(self.file.readline())
            if "event" not in answer:
                return answer

    def command(self, name):
        """What it returns."""
        answer = self.execute(name)
        check("return" in answer, f"{name}: {answer}")
        return answer["return"]

    def status(self):
        """The run state's name."""
        return self.command("query-status")["status"]

    def wait_for(self, state, timeout=60):
        """Wait for a run state."""
        limit = Patience(timeout)
        while self.status() != state:
            check(not limit.over(), f"{self.status()}, not {state}")
            time.sleep(0.05)


def monitored(folder):
    """Arguments for a monitor, and where it is."""
    path = os.path.join(folder, "qmp")
    return ["-qmp", f"unix:{path},server=on,wait=off"], path


def usage(qemu):
    """Descriptors, threads, and KiB of memory but the guest's."""
    folder = f"/proc/{qemu.process.pid}"
    with open(f"{folder}/status", encoding="ascii") as file:
        fields = dict(line.split(":", 1) for line in file)
    return len(os.listdir(f"{folder}/fd")), int(fields["Threads"]), private_dirty(qemu, 128)


def private_dirty(qemu, ram_mib):
    """KiB of private dirty memory in mappings other than the guest's RAM."""
    total = size = 0
    with open(f"/proc/{qemu.process.pid}/smaps", encoding="ascii", errors="replace") as file:
        for line in file:
            words = line.split()
            if words[0] == "Size:":
                size = int(words[1])
            elif words[0] == "Private_Dirty:" and not \
                    ram_mib * 1024 <= size <= (ram_mib + 2) * 1024:
                total += int(words[1])
    return total


def busy_args():
    """Four processors in tight loops."""
    return machine_args(mem="128M", smp=4, kernel_path=kernel("lean"), append="quiet",
                        initrd_path=initrd(BUSY))


@case("a guest in tight loops: stop, reset, quit at once")
def busy():
    """No vCPU leaves guest code by itself, all have to be made to."""
    with tempfile.TemporaryDirectory() as folder:
        args, path = monitored(folder)
        with Qemu([*busy_args(), *args, "-serial", "stdio"]) as qemu, Monitor(path) as qmp:
            qemu.expect(rb"@@busy@@")
            for _ in range(ROUNDS):
                qmp.command("stop")
                check(qmp.status() == "paused", "not paused")
                qmp.command("cont")
            qmp.command("system_reset")
            qemu.expect(rb"@@busy@@")
            limit = Patience(10)
            qmp.command("quit")
            check(qemu.wait(30) == 0, f"exit status\n{qemu.tail()}")
            check(not limit.over(), "quit took too long")


# Writes a megabyte past the page cache and reads it back, again and again.
DISK_WORK = """dd if=/dev/urandom of=/tmp/a bs=64k count=16 2>/dev/null
n=0
while :; do
    dd if=/tmp/a of=/dev/vda oflag=direct bs=16k 2>/dev/null
    dd if=/dev/vda of=/tmp/b iflag=direct bs=16k count=64 2>/dev/null
    cmp /tmp/a /tmp/b && n=$((n+1)) && echo pass $n || echo @@differs@@
done
"""


@case(f"{ROUNDS} times stop and cont while the guest's disk is at work")
def stops_under_io():
    """Each stop drains what is in flight; nothing is lost or done twice."""
    rng = random.Random(75)
    with tempfile.TemporaryDirectory() as folder:
        args, path = monitored(folder)
        with open(os.path.join(folder, "disk"), "wb") as disk:
            disk.truncate(4 << 20)
        machine = machine_args(mem="128M", kernel_path=kernel("lean"), append="quiet",
                               initrd_path=initrd(DISK_WORK))
        with Qemu([*machine, *args, "-serial", "stdio", "-drive",
                   f"if=none,id=d,format=raw,file={folder}/disk", "-device",
                   "virtio-blk-device,drive=d"]) as qemu, Monitor(path) as qmp:
            qemu.expect(rb"pass 1\s")
            for _ in range(ROUNDS):
                qmp.command("stop")
                check(qmp.status() == "paused", "not paused")
                qmp.command("cont")
                time.sleep(rng.random() * 0.02)
            qemu.seen = len(qemu.log)
            qemu.expect(rb"pass \d+\s+pass \d+\s")
            check(b"differs" not in qemu.log, qemu.tail())
            check(qemu.stop()[0] == 0, "exit status")


@case(f"{ROUNDS} resets by the monitor with four processors leave nothing behind")
def monitor_resets():
    """At random moments of the boot: some CPUs wait for SIPI, run, sleep, or are paused."""
    rng = random.Random(73)
    with tempfile.TemporaryDirectory() as folder:
        args, path = monitored(folder)
        with Qemu([*busy_args(), *args, "-serial", "stdio"]) as qemu, Monitor(path) as qmp:
            qemu.expect(rb"@@busy@@")
            before = None
            for number in range(ROUNDS):
                paused = rng.random() < 0.3
                if paused:
                    qmp.command("stop")
                qmp.command("system_reset")
                if paused:
                    qmp.command("cont")
                time.sleep(rng.choice([0, 0, 0.005, 0.05]))
                if number == 20:
                    before = usage(qemu)
            after = usage(qemu)
            check(before[:2] == after[:2] and after[2] <= before[2] + 256,
                  f"descriptors, threads, KiB: {before} became {after}")
            qemu.seen = len(qemu.log)
            qmp.command("system_reset")
            qemu.expect(rb"@@busy@@")
            check(qemu.stop()[0] == 0, f"exit status\n{qemu.tail()}")


@case("-no-shutdown -no-reboot: a triple fault ends in the state shutdown")
def no_shutdown():
    """The monitor answers, and cont is refused."""
    with tempfile.TemporaryDirectory() as folder:
        args, path = monitored(folder)
        machine = machine_args(mem="128M", kernel_path=kernel("lean"), append="quiet -- say",
                               initrd_path=tiny_initrd())
        with Qemu([*machine, *args, "-serial", "stdio", "-S", "-no-reboot",
                   "-action", "shutdown=pause", "-msg", "hints=on"]) as qemu, \
                Monitor(path) as qmp:   # for hints the processor's own thread reads its state
            check(qmp.status() == "prelaunch", qmp.status())
            qmp.command("cont")
            qemu.expect(rb"@@booted@@")
            qmp.wait_for("shutdown")
            answer = qmp.execute("cont")
            check("Resetting the Virtual Machine is required" in str(answer), str(answer))
            qmp.command("quit")
            check(qemu.wait(30) == 0, f"exit status\n{qemu.tail()}")


@case("an idle guest costs little besides its memory")
def footprint():
    """At most 1 MiB of private dirty memory with four processors: small stacks."""
    args = machine_args(mem="128M", smp=4, kernel_path=kernel("lean"), append="quiet",
                        initrd_path=initrd("echo @@idle@@; sleep 1000\n"))
    with Qemu([*args, "-serial", "stdio"]) as qemu:
        qemu.expect(rb"@@idle@@")
        dirty = private_dirty(qemu, 128)
        check(dirty <= 1024, f"{dirty} KiB of private dirty memory")
        check(qemu.stop()[0] == 0, "exit status")


@case("signals while it starts and boots leave nothing behind")
def early_signals():
    """SIGTERM, SIGINT, SIGHUP at random moments from exec on."""
    rng = random.Random(76)
    machine = machine_args(mem="128M", smp=2, kernel_path=kernel("lean"),
                           initrd_path=tiny_initrd(), append="quiet")
    with tempfile.TemporaryDirectory() as folder:
        args, _ = monitored(folder)
        for number in range(30):
            signum = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)[number % 3]
            with Qemu([*machine, *args, "-pidfile", os.path.join(folder, "pid"),
                       "-serial", "stdio"]) as qemu:
                time.sleep(rng.random() * (3 if number % 5 == 0 else 0.5))
                status, seconds = qemu.stop(signum)
                check(status in (0, -signum), f"exit status {status}\n{qemu.tail()}")
                check(seconds < 5, f"{signum.name} took {seconds:.1f} s")
            check(os.listdir(folder) == [], f"{os.listdir(folder)} left after {signum.name}")


def run(args, before=(), **kwargs):
    """Run until it ends by itself; output and errors in one text."""
    return subprocess.run([*before, QEMU, *args], stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=1200,
                          errors="replace", check=False, **kwargs)


def injected(call, error, *more):
    """What the emulator says when system calls of that kind fail."""
    with tempfile.TemporaryDirectory() as folder:
        return run(machine_args(smp=2, kernel_path=kernel("lean")),
                   ["strace", "-f", "-qq", "-o", os.path.join(folder, "log"), *more,
                    "-e", f"trace={call}", "-e", f"inject={call}:error={error}"])


TICKS = "i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.1; done\n"


def ticking(folder, **machine):
    """A guest whose timer is seen on its console, and its monitor's socket."""
    args, path = monitored(folder)
    guest = machine_args(mem="128M", kernel_path=kernel("lean"), append="quiet",
                         initrd_path=initrd(TICKS), **machine)
    return Qemu([*guest, *args, "-serial", "stdio"]), path


def ticks_on(qemu, seconds=20):
    """Its timer still fires, and its kernel has not complained."""
    qemu.seen = len(qemu.log)
    qemu.expect(rb"tick \d+\s+tick \d+\s", seconds)
    check(b"stall" not in qemu.log and b"lockup" not in qemu.log, qemu.tail())


@case("storms of signals, SIGSTOP and SIGCONT: the guest goes on")
def stray_signals():
    """SIGUSR1, SIGALRM and SIGIO mean nothing to the process; a stop costs the guest time only."""
    with tempfile.TemporaryDirectory() as folder:
        guest, path = ticking(folder, smp=2)
        with guest as qemu, Monitor(path) as qmp:
            qemu.expect(rb"tick 2\s")
            for number in range(1000):
                qemu.process.send_signal(
                    (signal.SIGUSR1, signal.SIGALRM, signal.SIGIO)[number % 3])
            check(qmp.status() == "running", "not running")
            ticks_on(qemu)
            qemu.process.send_signal(signal.SIGSTOP)
            time.sleep(1)
            qemu.process.send_signal(signal.SIGCONT)
            ticks_on(qemu)
            check(qmp.status() == "running", "not running")
            check(qemu.stop()[0] == 0, "exit status")


@case("the host's clock is set an hour on and back: the guest's timers do not see it", accel="kvm")
def stepped_clock():
    """Only where the host is an emulated one: nobody else's clock is touched."""
    if not soft_host():
        return
    with tempfile.TemporaryDirectory() as folder:
        guest, path = ticking(folder)
        with guest as qemu, Monitor(path) as qmp:
            qemu.expect(rb"tick 2\s")
            for seconds in (3600, -7200, 3600):
                time.clock_settime(time.CLOCK_REALTIME, time.time() + seconds)
                ticks_on(qemu)
                check(qmp.status() == "running", "not running")
            check(qemu.stop()[0] == 0, "exit status")


@case("no more threads: one line, status 1")
def no_threads():
    """As with RLIMIT_NPROC, which root does not feel."""
    done = injected("clone3", "EAGAIN")
    check(done.returncode == 1 and "cannot start the thread of CPU" in done.stdout and
          done.stdout.count("\n") == 1, f"{done.returncode}: {done.stdout}")


@case("/dev/kvm without permission: QEMU's two lines, status 1")
def no_permission():
    """As users see it who are not in the group kvm."""
    done = injected("openat", "EACCES", "-P", "/dev/kvm")
    lines = done.stdout.splitlines()
    check(done.returncode == 1 and len(lines) == 2 and
          lines[0] == "Could not access KVM kernel module: Permission denied" and
          "failed to initialize kvm: Permission denied: /dev/kvm is for members of " in lines[1],
          f"{done.returncode}: {done.stdout}")


@case("-mem-prealloc in a file system that is too small: one line, status 1")
def prealloc_too_small():
    """The lack shows at start, not when the guest touches a page."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48M", "tmpfs", folder], check=True)
        try:
            done = run([*machine_args(kernel_path=kernel("lean")), "-mem-path", folder,
                        "-mem-prealloc"])
        finally:
            subprocess.run(["umount", folder], check=True)
    check(done.returncode == 1 and "cannot set up guest memory" in done.stdout and
          done.stdout.count("\n") == 1, f"{done.returncode}: {done.stdout}")


@case("-m 5G on a smaller host: nothing is touched before the guest does")
def large_memory():
    """Paused, with three times the host's memory and more."""
    with tempfile.TemporaryDirectory() as folder:
        args, path = monitored(folder)
        machine = machine_args(mem="5G", kernel_path=kernel("lean"), initrd_path=tiny_initrd())
        with Qemu([*machine, *args, "-S"]) as qemu, Monitor(path) as qmp:
            with open(f"/proc/{qemu.process.pid}/statm", encoding="ascii") as file:
                resident = int(file.read().split()[1]) * resource.getpagesize()
            check(resident < 100 << 20, f"{resident >> 20} MiB are resident")
            qmp.command("quit")
            check(qemu.wait(30) == 0, "exit status")


@case("a vCPU's thread under KVM that was taken over reaches nothing")
def intruder():
    """tests/qtest/test-intruder.py with KVM's list of system calls."""
    shim = os.path.join(os.path.dirname(QEMU), "tests", "qtest", "libintruder.so")
    if not os.path.exists(shim):        # another program's, or without filters
        return
    done = subprocess.run(
        [sys.executable, os.path.join(ROOT, "tests", "qtest", "test-intruder.py"), QEMU, shim],
        stdout=subprocess.PIPE, env=dict(os.environ, INTRUDER_ACCEL="kvm"),
        stdin=subprocess.DEVNULL, timeout=2000, check=False)
    check(done.returncode == 0, done.stdout.decode())
