"""Time limits of tests that follow the machine's load.

SPDX-License-Identifier: GPL-2.0-or-later

A limit is there to end what hangs, not to measure. So it counts the seconds that a
process would have had on a machine of its own: while four want to run on each processor,
four seconds count as one. In the emulated KVM host, which sees its own processes only,
with-kvm tells what the machine around it shares (HOST_SHARE).
"""
import contextlib
import os
import subprocess
import time

HOST_SHARE = "/run/with-kvm/share"
LOOK = 1.0  # seconds between two looks at the load, at most


def share():
    """Which part of a processor's time one of the threads that want to run has, 0 to 1."""
    try:
        with open("/proc/loadavg", encoding="ascii") as file:
            runnable = int(file.read().split()[3].split("/")[0])
    except OSError:
        return 1.0
    part = min(1.0, (os.cpu_count() or 1) / max(1, runnable))
    try:
        with open(HOST_SHARE, encoding="ascii") as file:
            part *= min(1.0, float(file.read()))
    except (OSError, ValueError):
        pass
    return part


class Patience:
    """A time limit: seconds of a machine that does nothing else."""

    def __init__(self, seconds):
        self.seconds = seconds
        self.used = 0.0
        self.last = time.monotonic()

    def over(self):
        """Whether the limit is reached; to be asked every LOOK seconds or more often."""
        now = time.monotonic()
        self.used += (now - self.last) * share()
        self.last = now
        return self.used >= self.seconds

    def wait(self, seconds=LOOK):
        """How long to sleep at most before over() is asked again."""
        return max(0.0, min(seconds, LOOK, self.seconds - self.used))


def wait_process(process, seconds):
    """Wait for a Popen; whether it ended within the limit."""
    limit = Patience(seconds)
    while process.poll() is None:
        if limit.over():
            return False
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(0.05, limit.wait()))
    return True
