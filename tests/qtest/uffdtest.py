"""What tests share of machines whose memory is held up by userfaultfd.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import ctypes
import os
import time

from qemutest import PATIENCE, Skip, VM


def machine(*args, **more):
    return VM("-device", "virtio-rng-device", *args, machine="microvm", qtest=True, **more)


def may():
    """Whether processes may use userfaultfd on this host."""
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.syscall(323, 0o2000000)
    if fd >= 0:
        os.close(fd)
    return fd >= 0 or os.access("/dev/userfaultfd", os.R_OK | os.W_OK)


def need():
    if not may():
        raise Skip("userfaultfd is not permitted here: see the last test")


def wait_for(qmp, *wanted):
    """Until its status is one of these; what query-migrate says."""
    end = time.monotonic() + PATIENCE
    while True:
        info = qmp.cmd("query-migrate")
        if info.get("status") in wanted:
            return info
        assert time.monotonic() < end, info
        time.sleep(0.005)
