"""The processor's own tests: a tiny guest that tries what an operating system relies on.

SPDX-License-Identifier: GPL-2.0-or-later

The software CPU runs it in tests/tcg/run-guest; here KVM proves what it expects.
"""
import os
import re
import subprocess

import harness
from harness import case, check, soft_host

# What QEMU's emulated processor, on which with-kvm runs KVM, does otherwise than real ones:
# no segment limits and types in 32-bit code, no #XM, vector * 16 in error codes of 64-bit IDTs,
# #GP for #SS, wide CR0 and CR4, and DR7.GD, port breakpoints and XSAVE under KVM.
EMULATED = {
    "addresses and control registers out of range", "vectors and error codes of exceptions",
    "privileged instructions, UMIP", "double faults", "#MF and #XM", "segments of 32-bit code",
    "port breakpoints", "debug registers", "XSAVE and XRSTOR", "alignment checks",
    "far targets that are no addresses", "near targets that are no addresses",
    "deliveries without a stack", "a GDT that cannot be written", "a handler in ring 3",
}


@case("the test guest of tests/tcg finds a processor as it expects", accel="kvm")
def cpu_guest():
    """All its tests pass on a real processor; on an emulated one those it is known to pass.

    With the host kernel's local APICs, and with ours."""
    guest = os.path.join(harness.SCRATCH.name, "cpu-guest")
    subprocess.run([os.path.join(harness.ROOT, "tests", "tcg", "guest", "build"), guest],
                   check=True)
    for irqchip in ("on", "off"):
        run_cpu_guest(guest, irqchip)


def run_cpu_guest(guest, irqchip):
    """One run of it."""
    args = harness.machine_args(mem="64M", smp=2)
    args[1] += f",kernel-irqchip={irqchip}"
    soft = soft_host()
    with harness.Qemu([*args, "-no-reboot", "-serial", "stdio", "-device",
                       "isa-debug-exit,iobase=0xf4", "-kernel", guest,
                       "-append", "soft-host" if soft else ""]) as qemu:
        status = qemu.wait()
        text = qemu.log.decode(errors="replace")
    plan = re.search(r"^1\.\.(\d+)", text, re.MULTILINE)
    verdicts = re.findall(r"^(ok|not ok) \d+ - (.*?)\r?$", text, re.MULTILINE)
    bad = [name for word, name in verdicts if word != "ok" and not (soft and name in EMULATED)]
    check(status in (1, 3) and plan and len(verdicts) == int(plan[1]) and not bad,
          f"exit status {status}, {bad}\n{text}")


@case("what a Linux process sees of the processor: signals, single steps, breakpoints")
def linux_process():
    """tests/tcg/linux-cpu.c as a process of the lean guest."""
    program = os.path.join(harness.SCRATCH.name, "linux-cpu")
    subprocess.run(["cc", "-O1", "-static", "-no-pie", "-o", program,
                    os.path.join(harness.ROOT, "tests", "tcg", "linux-cpu.c")], check=True)
    nonce = "linuxcpu"
    soft = harness.ACCEL == "kvm" and soft_host()
    job = "/bin/linux-cpu soft-host\n" if soft else "/bin/linux-cpu\n"
    ramdisk = harness.initrd(job, nonce, [(program, "bin/linux-cpu")])
    args = harness.machine_args(kernel_path=harness.kernel("lean"), initrd_path=ramdisk, smp=2,
                                append="quiet")
    with harness.Qemu([*args, "-no-reboot", "-serial", "stdio"]) as qemu:
        qemu.wait()
        text = qemu.log.decode(errors="replace")
    check(re.search(rf"@@{nonce}:end:0@@", text) and f"1..{7 if soft else 8}" in text, text)
