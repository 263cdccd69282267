"""Boots the shipped binary with a guest and talks to its console; reports as TAP.

SPDX-License-Identifier: GPL-2.0-or-later

A system test is a function marked with @case in a file test_*.py of this
folder; it returns when all is right and raises when something is not.  What it
needs comes by environment variables that run-tests sets: QEMU (the binary),
LEAN_KERNEL and DEBIAN_KERNEL (folders with vmlinux and bzImage), and, to try
the tests on another QEMU, QEMU_MACHINE and QEMU_ACCEL.
"""
import importlib
import importlib.machinery
import importlib.util
import os
import re
import secrets
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.realpath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
GUEST = os.path.join(ROOT, "tests", "guest")
sys.path[:0] = [GUEST, os.path.dirname(HERE)]
from patience import Patience, wait_process  # noqa: E402

QEMU = os.environ.get("QEMU") or os.path.join(ROOT, "build", "qemu-system-x86_64")
MACHINE = os.environ.get("QEMU_MACHINE") or "microvm,legacy"
ACCEL = os.environ.get("QEMU_ACCEL") or "kvm"
OWN_CASES = bool(os.environ.get("OWN_CASES"))  # only those for this accelerator
LONG_CASES = bool(os.environ.get("LONG_CASES"))  # the long ones, and only those
HEARTBEAT = 10  # seconds between the lines that show that we run
BOOT_TIME = 180  # seconds of a machine of its own after which a guest hangs

CASES = []
NEEDS = {}          # guest tools by case


class Failed(Exception):
    """What a test case found wrong."""


def case(name, accel=None, twice=False, long=False, needs=None):
    """Mark a function as a test case with this name, for one accelerator only if named.

    twice: worth a run with each accelerator, also where the rest has run with another.
    long: too long for every run; LONG_CASES=1 in the environment asks for it.
    needs: a guest tool and its arguments, to be run before the host starts, which may have no
    network."""
    def register(function):
        if long != LONG_CASES:
            return function
        if accel == ACCEL or (accel is None and (twice or not OWN_CASES)):
            CASES.append((name, function))
            NEEDS[name] = needs
        return function
    return register


def check(condition, text):
    """Fail the test case with this text unless the condition holds."""
    if not condition:
        raise Failed(text)


def wait_for(condition, text):
    """Until condition() holds; fail with this text when that takes more than a minute."""
    limit = Patience(60)
    while not condition():
        check(not limit.over(), text)
        time.sleep(0.05)


def soft_host():
    """Whether the host's processor is itself emulated by QEMU, as with-kvm has it."""
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        return "EPYC-Rome" in file.read(20000)


# -- guests ------------------------------------------------------------------

def guest_tools():
    """The module behind tests/guest/mkinitramfs (a script without a suffix)."""
    path = os.path.join(GUEST, "mkinitramfs")
    loader = importlib.machinery.SourceFileLoader("mkinitramfs", path)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("mkinitramfs", loader))
    loader.exec_module(module)
    return module


def kernel(flavour, image="vmlinux"):
    """The path of a guest kernel: flavour lean or debian, image vmlinux or bzImage."""
    folder = os.environ.get(f"{flavour.upper()}_KERNEL")
    check(folder, f"{flavour.upper()}_KERNEL is not set: start the tests by run-tests")
    return os.path.join(folder, image)


SCRATCH = tempfile.TemporaryDirectory(prefix="system-test-")


def initrd(job=None, nonce="microvm", files=()):
    """Write a busybox initramfs (with a job: a shell script) and return its path."""
    data = guest_tools().busybox_archive(job.encode() if job else None, nonce, files)
    path = os.path.join(SCRATCH.name, f"initrd-{secrets.token_hex(4)}")
    with open(path, "wb") as file:
        file.write(data)
    return path


def tiny_initrd():
    """The initramfs whose init reboots at once; built by run-tests."""
    path = os.environ.get("TINY_INITRD")
    check(path, "TINY_INITRD is not set: start the tests by run-tests")
    return path


def machine_args(mem="256M", smp=1, kernel_path=None, initrd_path=None, append="", accel=ACCEL):
    """The arguments of a guest with nothing but memory, processors and a kernel."""
    args = ["-M", MACHINE, "-accel", accel, "-cpu", "host" if ACCEL == "kvm" else "max",
            "-m", str(mem), "-smp", str(smp), "-nodefaults", "-no-user-config",
            "-display", "none"]
    if kernel_path:
        # QEMU's SVM loses the shadow of STI when the host's own interrupt comes right after
        # it: the interrupt for which Linux is about to sleep by STI, HLT is then taken before
        # the HLT. A tick that never stops ends that sleep.
        tick = "nohz=off " if ACCEL == "kvm" and soft_host() else ""
        args += ["-kernel", kernel_path,
                 "-append", f"console=ttyS0 reboot=t panic=-1 {tick}{append}".strip()]
    if initrd_path:
        args += ["-initrd", initrd_path]
    return args


class Qemu:
    """A running emulator; its standard output and error are one stream to expect in.

    Use it as a context manager: whatever happens, no process stays behind."""

    def __init__(self, args, stdin=subprocess.PIPE, before=(), **kwargs):
        """before: words in front of the program; kwargs: for Popen."""
        self.args = [*before, QEMU, *args]
        self.log = b""     # all that came
        self.seen = 0      # how far expect() has gone
        self.process = subprocess.Popen(self.args, **{
            "stdin": stdin, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, **kwargs})
        self.fd = self.process.stdout.fileno() if self.process.stdout else -1

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream:
                stream.close()

    def read_some(self, wait):
        """Take what comes within `wait` seconds; False at the end of the stream."""
        ready, _, _ = select.select([self.fd], [], [], max(0, wait))
        if not ready:
            return True
        data = os.read(self.fd, 65536)
        self.log += data
        return bool(data)

    def expect(self, pattern, timeout=BOOT_TIME):
        """Wait for a regular expression (bytes) after what was found before; its match."""
        limit = Patience(timeout)
        compiled = re.compile(pattern)
        while True:
            found = compiled.search(self.log, self.seen)
            if found:
                self.seen = found.end()
                return found
            if limit.over():
                raise Failed(f"no {pattern!r} within {timeout} s\n{self.tail()}")
            if not self.read_some(limit.wait()):
                raise Failed(f"ended before {pattern!r}\n{self.tail()}")

    def send(self, text):
        """Type on the console."""
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def wait(self, timeout=BOOT_TIME):
        """Wait for the process to end while reading its output; its exit status."""
        limit = Patience(timeout)
        while self.read_some(limit.wait()):
            if limit.over():
                raise Failed(f"still running after {timeout} s\n{self.tail()}")
        check(wait_process(self.process, max(1, limit.seconds - limit.used)),
              f"output closed, but still running\n{self.tail()}")
        return self.process.returncode

    def stop(self, number=signal.SIGTERM, timeout=30):
        """Send a signal and wait; (exit status, seconds it took)."""
        start = time.monotonic()
        self.process.send_signal(number)
        status = self.wait(timeout)
        return status, time.monotonic() - start

    def tail(self):
        """The command line and the last lines of output, for a failure's text."""
        lines = self.log.decode(errors="replace").splitlines()[-20:]
        return " ".join(self.args) + "\n" + "\n".join(lines)


def run_job(job, flavour="lean", image="vmlinux", append="quiet", extra=(), env=None, files=(),
            **machine):
    """Boot a guest that runs a shell script and powers off; the script's output.

    extra: more arguments for the emulator; env: its environment; files: as of initrd().
    Fails if the script or the emulator ends with a status other than 0."""
    nonce = secrets.token_hex(6)
    args = machine_args(kernel_path=kernel(flavour, image), append=append,
                        initrd_path=initrd(job, nonce, files), **machine)
    with Qemu([*args, "-no-reboot", "-serial", "stdio", *extra], env=env) as qemu:
        status = qemu.wait()
        word = nonce.encode()
        found = re.search(b"@@%s:begin@@\r?\n(.*)@@%s:end:(\\d+)@@" % (word, word), qemu.log,
                          re.DOTALL)
        check(found, f"the guest did not run its job (exit status {status})\n{qemu.tail()}")
        check(int(found[2]) == 0, f"the guest's job failed: {int(found[2])}\n{qemu.tail()}")
        check(status == 0, f"exit status {status} after the guest's reboot\n{qemu.tail()}")
        return found[1].decode(errors="replace")


# -- running the cases -------------------------------------------------------

def heartbeat():
    """Say now and then that this machine still runs: the emulated host may not."""
    while True:
        time.sleep(HEARTBEAT)
        print("# alive", flush=True)


def chosen_cases(pattern):
    """The cases whose names the pattern finds."""
    return [(name, function) for name, function in CASES if re.search(pattern, name)]


def run_cases(pattern, first):
    """Run what matches, from number `first` on, print TAP; the number of failures."""
    chosen = chosen_cases(pattern)
    print(f"1..{len(chosen)}", flush=True)
    failures = 0
    for number, (name, function) in list(enumerate(chosen, 1))[first - 1:]:
        start = time.monotonic()
        try:
            function()
            verdict, text = "ok", ""
        except Exception as error:  # a test that cannot run has failed
            verdict, text = "not ok", f"{type(error).__name__}: {error}"
            failures += 1
        seconds = time.monotonic() - start
        print(f"{verdict} {number} - {name} # {seconds:.1f} s", flush=True)
        for line in text.splitlines():
            print(f"#   {line}", flush=True)
    return failures


def main():
    """Load every test_*.py here and run the cases that the arguments name, or print their needs."""
    sys.modules.setdefault("harness", sys.modules[__name__])
    for name in sorted(os.listdir(HERE)):
        if name.startswith("test_") and name.endswith(".py"):
            importlib.import_module(name[:-3])
    pattern, first = (sys.argv[1:] + ["", "1"][len(sys.argv) - 1:])[:2]
    if first == "needs":
        for needs in sorted({NEEDS[name] for name, _ in chosen_cases(pattern) if NEEDS[name]}):
            print(*needs)
        return
    threading.Thread(target=heartbeat, daemon=True).start()
    sys.exit(1 if run_cases(pattern, int(first)) else 0)


if __name__ == "__main__":
    main()
