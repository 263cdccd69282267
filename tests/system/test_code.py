"""A kernel that changes its code all the time: modules, jump labels, ftrace, kprobes, eBPF.

SPDX-License-Identifier: GPL-2.0-or-later

CODE_MINUTES=10 for longer: a guest for each.
"""
import os
import subprocess

import harness
from harness import case, check, run_job

JOB = """
set -e
mount -t tracefs none /sys/kernel/tracing
cd /sys/kernel/tracing
echo 1 > /proc/sys/net/core/bpf_jit_enable
while :; do cat /proc/uptime /proc/stat > /dev/null; done &
busy=$!
end=$(($(date +%s) + 60)) rounds=0
while [ $(date +%s) -lt $end ]; do
    # A module: its own code, and jump labels and call sites in it.
    insmod /dummy.ko numdummies=1
    rmmod dummy
    # Jump labels of the scheduler.
    for i in 1 2 3 4 5; do
        echo 1 > /proc/sys/kernel/sched_schedstats
        echo 0 > /proc/sys/kernel/sched_schedstats
    done
    # The NOPs at the beginning of these become calls of the tracer, and NOPs again.
    echo 'vfs_read vfs_write vfs_open vfs_statx' > set_ftrace_filter
    echo function > current_tracer
    cat /proc/version > /dev/null
    grep -q vfs_read trace
    echo nop > current_tracer
    # A breakpoint, or a jump, in the middle of the kernel.
    echo 'p:here vfs_read' > kprobe_events
    echo 1 > events/kprobes/here/enable
    cat /proc/version > /dev/null
    grep -q 'here: (vfs_read' trace
    echo 0 > events/kprobes/here/enable
    echo > kprobe_events
    echo > trace
    # Code that the kernel makes.
    /code-bpf $rounds
    rounds=$((rounds + 1))
done
kill $busy
echo "$rounds rounds"
"""


def code_changes(accel):
    """All this for a minute, beside a busy process; as often as CODE_MINUTES says."""
    program = os.path.join(harness.SCRATCH.name, "code-bpf")
    subprocess.run(["gcc", "-O1", "-static", "-o", program,
                    os.path.join(harness.ROOT, "tests/system/code-bpf.c")], check=True)
    module = os.path.join(os.path.dirname(harness.kernel("debian", "config")), "modules/dummy.ko")
    for _ in range(int(os.environ.get("CODE_MINUTES", "1"))):
        out = run_job(JOB, flavour="debian", smp=2, mem="256M", accel=accel,
                      files=[(program, "code-bpf"), (module, "dummy.ko")])
        print(f"# {out.strip()}")
        check(out.endswith(" rounds\n") and not out.startswith("0 "), out)


@case("Debian's kernel changes its code all the time", "tcg", long=True)
def code_plain():
    """Translated and interpreted, on two processors."""
    code_changes("tcg")


@case("the same while translated code is compared with the interpreter", "tcg", long=True)
def code_verified():
    """One processor at a time then."""
    code_changes("tcg,x-verify=on")
