"""The processor's own tests: a tiny guest that tries what an operating system relies on.

SPDX-License-Identifier: GPL-2.0-or-later

The software CPU runs it in tests/tcg/run-guest; here KVM proves what it expects.
"""
import os
import subprocess

import harness
from harness import case, check


def soft_host():
    """Whether the host's processor is itself emulated by QEMU, as with-kvm has it."""
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        return "EPYC-Rome" in file.read(20000)


@case("the test guest of tests/tcg finds a processor as it expects", accel="kvm")
def cpu_guest():
    """All its tests pass on a real (or better emulated) processor."""
    guest = os.path.join(harness.SCRATCH.name, "cpu-guest")
    subprocess.run([os.path.join(harness.ROOT, "tests", "tcg", "guest", "build"), guest],
                   check=True)
    args = harness.machine_args(mem="64M", smp=2)
    with harness.Qemu([*args, "-no-reboot", "-serial", "stdio", "-device",
                       "isa-debug-exit,iobase=0xf4", "-kernel", guest,
                       "-append", "soft-host" if soft_host() else ""]) as qemu:
        status = qemu.wait()
        text = qemu.log.decode(errors="replace")
        check(status == 1 and "not ok" not in text, f"exit status {status}\n{text}")
