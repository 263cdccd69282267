"""The real-time clock: what a stock kernel's driver makes of it.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import re
import subprocess

import harness
from harness import Qemu, case, check

JOB = """
cat /sys/class/rtc/rtc0/date /sys/class/rtc/rtc0/time
hwclock -u -r
grep rtc0 /proc/interrupts
rtc-wait || exit 1
grep rtc0 /proc/interrupts
cat /proc/driver/rtc
echo setting
date -u -s '2031-12-31 23:59:30' && hwclock -u -w && sleep 1 && hwclock -u -r
"""


@case("rtc=on: Linux reads, sets and waits for the clock", twice=True)
def clock():
    """The time of -rtc, interrupts at the seconds, a new time."""
    program = os.path.join(harness.SCRATCH.name, "rtc-wait")
    subprocess.run(["cc", "-O1", "-static", "-o", program,
                    os.path.join(harness.ROOT, "tests", "system", "rtc-wait.c")], check=True)
    args = harness.machine_args(
        kernel_path=harness.kernel("debian"), append="quiet",
        initrd_path=harness.initrd(JOB, "rtc", [(program, "bin/rtc-wait")]))
    with Qemu([*args, "-machine", "rtc=on", "-rtc", "base=2030-05-06T07:08:09", "-no-reboot",
               "-serial", "stdio"]) as qemu:
        status = qemu.wait()
        text = qemu.log.decode(errors="replace")
    check(status == 0 and "@@rtc:end:0@@" in text, f"exit status {status}\n{text}")
    check(re.search(r"^2030-05-06\s+07:0[89]:\d\d\s", text, re.MULTILINE),
          f"another time:\n{text}")
    # hwclock prints what it waited for: the update by which a second begins.
    check(re.search(r"Mon May  6 07:0[89]:\d\d 2030", text), f"hwclock has another:\n{text}")
    counts = [int(n) for n in re.findall(r"^ *\d+: +(\d+) .* 8-edge +rtc0", text, re.MULTILINE)]
    # An update that is over before the driver has asked for its interrupt comes without one.
    check(len(counts) == 2 and counts[1] > counts[0], f"no interrupts:\n{text}")
    check(re.search(r"waited [2-4]\b", text), f"not each second:\n{text}")
    check(re.search(r"24hr\s*: yes", text) and re.search(r"batt_status\s*: okay", text),
          f"the driver's view is another:\n{text}")
    check(re.search(r"Wed Dec 31 23:59:3\d 2031", text.split("setting")[1]),
          f"the clock was not set:\n{text}")
