"""The processor's own tests: a tiny guest that tries what an operating system relies on.

SPDX-License-Identifier: GPL-2.0-or-later

The software CPU runs it in tests/tcg/run-guest; here KVM proves what it expects.
"""
import os
import re
import subprocess
import sys

import harness
from harness import case, check, soft_host

# What QEMU's emulated processor, on which with-kvm runs KVM, does otherwise than real ones:
# no segment limits and types in 32-bit code, no #XM, vector * 16 in error codes of 64-bit IDTs,
# #GP for #SS, wide CR0 and CR4, and DR7.GD, port breakpoints and XSAVE under KVM. Nor does
# it put a breakpoint off after MOV SS, or refuse a TSS at no address: with soft-host the
# guest leaves those tests out.
EMULATED = {
    "addresses and control registers out of range", "vectors and error codes of exceptions",
    "privileged instructions, UMIP", "double faults", "#MF and #XM", "segments of 32-bit code",
    "port breakpoints", "debug registers", "XSAVE and XRSTOR", "alignment checks",
    "far targets that are no addresses", "near targets that are no addresses",
    "null selectors on the way to an outer ring", "deliveries without a stack",
    "a GDT that cannot be written", "a handler in ring 3",
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
        with harness.Qemu([*guest_args(irqchip), "-serial", "stdio", "-device",
                           "isa-debug-exit,iobase=0xf4", "-kernel", guest,
                           "-append", "lives"]) as qemu:
            check(qemu.wait() == 1, f"restarts with irqchip {irqchip}\n{qemu.tail()}")


def guest_args(irqchip):
    """The arguments of a machine for it."""
    args = harness.machine_args(mem="64M", smp=2)
    args[1] += f",kernel-irqchip={irqchip}"
    return args


def run_cpu_guest(guest, irqchip):
    """One run of it."""
    args = guest_args(irqchip)
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


def clocks_program():
    """tests/tcg/linux-clocks.c, compiled, as a file for an initramfs."""
    program = os.path.join(harness.SCRATCH.name, "linux-clocks")
    subprocess.run(["cc", "-O1", "-static", "-pthread", "-o", program,
                    os.path.join(harness.ROOT, "tests", "tcg", "linux-clocks.c")], check=True)
    return program, "bin/linux-clocks"


@case("no clock steps back, at the first boot and after restarts", accel="tcg")
def clocks():
    """linux-clocks.c on 2 and 4 processors beside busy loops; CLOCK_REBOOTS restarts (1)."""
    restarts = int(os.environ.get("CLOCK_REBOOTS", "1"))
    ramdisk = harness.initrd("/bin/linux-clocks 0.5\n", "clocks", [clocks_program()])
    burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"])
               for _ in range(2 * (os.cpu_count() or 1))]
    try:
        for smp in (2, 4):
            args = harness.machine_args(kernel_path=harness.kernel("lean"), smp=smp,
                                        initrd_path=ramdisk, append="quiet")
            with harness.Qemu([*args, "-serial", "stdio"]) as qemu:
                for life in range(restarts + 1):
                    found = qemu.expect(rb"@@clocks:begin@@\r?\n([^@]*)@@clocks:end:(\d+)@@")
                    check(found[2] == b"0" and f"{smp} processors".encode() in found[1],
                          f"-smp {smp}, restart {life}: {found[1].decode()}")
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()


@case("what a Linux process sees of the processor: signals, single steps, breakpoints")
def linux_process():
    """tests/tcg/linux-cpu.c as a process of the lean guest."""
    program = os.path.join(harness.SCRATCH.name, "linux-cpu")
    subprocess.run(["cc", "-O1", "-static", "-no-pie", "-o", program,
                    os.path.join(harness.ROOT, "tests", "tcg", "linux-cpu.c")], check=True)
    nonce = "linuxcpu"
    soft = harness.ACCEL == "kvm" and soft_host()
    job = "/bin/linux-cpu soft-host" if soft else "/bin/linux-cpu"
    ramdisk = harness.initrd(f"{job} && /bin/linux-clocks 1\n", nonce,
                             [(program, "bin/linux-cpu"), clocks_program()])
    args = harness.machine_args(kernel_path=harness.kernel("lean"), initrd_path=ramdisk, smp=2,
                                append="quiet")
    with harness.Qemu([*args, "-no-reboot", "-serial", "stdio"]) as qemu:
        qemu.wait()
        text = qemu.log.decode(errors="replace")
    check(re.search(rf"@@{nonce}:end:0@@", text) and f"1..{7 if soft else 8}" in text, text)
