#!/usr/bin/env python3
"""Every rule of the threads' lists of system calls is used, or says by whom: scripts/call-rules.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

from qemutest import QEMU, Skip, run, test

HERE = os.path.dirname(os.path.realpath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
TOOL = os.path.join(ROOT, "scripts", "call-rules")
# Few that use most.
TESTS = ("migration", "qmp", "vhost-user", "block-jobs", "nbd", "hmp", "virtio-info", "loader",
         "guest-calls", "gdb", "postcopy", "background", "9p")


def call(command):
    """A test; its output if it has failed."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    return done.stdout if done.returncode else ""


@test
def rules():
    """No rule is there that nothing uses"""
    if not shutil.which("strace") or \
       subprocess.run(["strace", "-D", "-f", "--seccomp-bpf", "-o", os.devnull, "true"],
                      stderr=subprocess.DEVNULL, check=False).returncode:
        raise Skip("strace cannot follow processes here")
    with tempfile.TemporaryDirectory() as folder:
        program = subprocess.run([TOOL, "record", QEMU, os.path.join(folder, "calls")], text=True,
                                 stdout=subprocess.PIPE, check=True).stdout.strip()
        commands = [[sys.executable, os.path.join(HERE, f"test-{name}.py"), program]
                    for name in TESTS]
        with ThreadPoolExecutor(2) as pool:
            failed = [text for text in pool.map(call, commands) if text]
        assert not failed, failed[0]
        report = subprocess.run([TOOL, "report", folder], stdout=subprocess.PIPE, text=True,
                                check=False)
        assert report.returncode == 0, report.stdout


sys.exit(run())
