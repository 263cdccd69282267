#!/usr/bin/env python3
"""How a machine ends: guests that halt for good, panics, the power button, SIGTERM.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import signal
import subprocess
import sys
import tempfile

import qemutest
from qemutest import PATIENCE, QEMU, QTest, VM, pvh_kernel, test

FOLDER = tempfile.TemporaryDirectory(prefix="halt-")

CLI_HLT = "fa f4 eb fc"                     # cli; 1: hlt; jmp 1b
# Writes 'x' to the serial port first, so that somebody can see that it runs.
SAY_X = "66 ba f8 03 b0 78 ee"
# An IDT without vectors would end in a triple fault: sti; hlt sleeps while nothing comes.
STI_HLT = "fb f4 eb fd"
# INIT and a start-up IPI for vector 8 to all others: mov $0xc4500,%eax; mov %eax,0xfee00300; …
START_OTHERS = "c7 05 00 03 e0 fe 00 45 0c 00 c7 05 00 03 e0 fe 08 46 0c 00"


def guest(code, *args, machine="microvm"):
    """A machine that runs it on the software CPU, paused at first."""
    return VM("-kernel", pvh_kernel(FOLDER.name, code), "-S", *args, machine=machine, accel="tcg")


@test
def ends():
    """Halted with interrupts off: SHUTDOWN by the guest, exit status 0"""
    for smp in ("1", "4"):
        with guest(CLI_HLT, "-smp", smp) as vm:
            qmp = vm.qmp()
            qmp.cmd("cont")
            assert qmp.event("SHUTDOWN")["data"] == {"guest": True, "reason": "guest-shutdown"}
            assert vm.wait() == 0


@test
def others_ended_before():
    """The others have run and halted, too"""
    # Their code is at 0x8000 in real mode: cli; hlt.
    code = "c7 05 00 80 00 00 fa f4 eb fc" + START_OTHERS + CLI_HLT
    with guest(code, "-smp", "3") as vm:
        qmp = vm.qmp()
        qmp.cmd("cont")
        qmp.event("SHUTDOWN")
        assert vm.wait() == 0


@test
def stays():
    """Asleep with interrupts on, another CPU that runs, or halt-poweroff=off: it goes on"""
    spin = "c7 05 00 80 00 00 eb fe 90 90" + START_OTHERS + CLI_HLT
    for code, args in ((STI_HLT, {}), (spin, {}), (CLI_HLT, {"machine": "microvm,halt-poweroff=off"})):
        with guest(SAY_X + code, "-smp", "2", "-serial", "file:" + FOLDER.name + "/serial",
                   **args) as vm:
            qmp = vm.qmp()
            qmp.cmd("cont")
            while not os.path.exists(FOLDER.name + "/serial") or \
                    os.path.getsize(FOLDER.name + "/serial") == 0:
                qmp.cmd("query-status")
            for _ in range(50):
                qmp.cmd("stop")
                qmp.cmd("cont")
            assert qmp.cmd("query-status")["status"] == "running"
            assert not [e for e in qmp.events if e["event"] == "SHUTDOWN"]
        os.unlink(FOLDER.name + "/serial")


@test
def pauses():
    """-no-shutdown: it stays, ended, and a reset starts it anew"""
    with guest(CLI_HLT, "-no-shutdown") as vm:
        qmp = vm.qmp()
        for _ in range(3):
            qmp.cmd("cont")
            qmp.event("SHUTDOWN")
            qmp.event("STOP")
            assert qmp.cmd("query-status")["status"] == "shutdown"
            qmp.cmd("system_reset")
            qmp.event("RESET")


@test
def button():
    """system_powerdown where there is no button says what to do instead"""
    with VM(machine="microvm") as vm:
        kind, text = vm.qmp().error("system_powerdown")
        assert kind == "GenericError" and "no power button" in text and "quit" in text
        assert "no power button" in vm.qmp().hmp("system_powerdown")
    with VM(machine="microvm,acpi=on") as vm:
        qmp = vm.qmp()
        qmp.cmd("system_powerdown")
        qmp.event("POWERDOWN")


@test
def sigterm():
    """SIGTERM ends the machine; or presses the button first, if told to and there is one"""
    for action, acpi, signals in (("poweroff", "on", 1), ("powerdown", "off", 1),
                                  ("powerdown", "on", 2)):
        with VM("-action", f"sigterm={action}", machine=f"microvm,acpi={acpi}") as vm:
            qmp = vm.qmp()
            vm.proc.send_signal(signal.SIGTERM)
            if signals == 2:
                qmp.event("POWERDOWN")
                assert qmp.cmd("query-status")["status"] == "running"
                assert "another one ends" in vm.stderr()
                vm.proc.send_signal(signal.SIGTERM)
            assert qmp.event("SHUTDOWN")["data"] == {"guest": False, "reason": "host-signal"}
            assert vm.wait() == 0


@test
def panic_status():
    """A panic is no success for who runs a guest once; elsewhere as -action panic= says"""
    for args, status in ((["-no-reboot"], 1), ([], 0), (["-action", "panic=exit-failure"], 1)):
        with VM("-device", "pvpanic", *args, machine="microvm", qtest=True) as vm:
            q = QTest(vm)
            q.file.write("outb 0x505 1\n")
            q.file.flush()
            assert vm.wait() == status, args
    # The guest's kernel restarts after its panic.
    for panics, status in ((True, 1), (False, 0)):
        with VM("-device", "pvpanic", "-device", "i8042", "-no-reboot", "-action", "panic=none",
                machine="microvm", qtest=True) as vm:
            q = QTest(vm)
            if panics:
                q.outb(0x505, 1)
            q.file.write("outb 0x64 0xfe\n")
            q.file.flush()
            assert vm.wait() == status, panics
    # What nothing would tell of is refused; what is so anyway is not.
    for action in ("pause", "exit-failure"):
        words = [QEMU, "-M", "microvm", "-accel", "qtest", "-display", "none", "-nodefaults",
                 "-action", f"panic={action}"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert done.returncode == 1 and done.stderr.endswith(
            ": -action panic=: nothing tells of a panic here: add -device pvpanic\n"), done.stderr
    for action in ("shutdown", "none"):
        with VM("-action", f"panic={action}", machine="microvm") as vm:
            vm.qmp()
            assert vm.stderr() == ""


sys.exit(qemutest.run())
