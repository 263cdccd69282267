"""make demo: commands in a Debian, and a person who logs in and leaves.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import subprocess

from guide import PROMPT, Terminal
from harness import BOOT_TIME, QEMU, ROOT, case, check

DEMO = os.path.join(ROOT, "scripts", "demo")
# The program is there; a Debian boots slowly beside other tests.
ENV = {**os.environ, "QEMU": QEMU}
PATIENT = 3 * BOOT_TIME


@case("demo: commands, their output, their status", "tcg")
def commands():
    """Their output and only that goes to stdout; the status is theirs."""
    done = subprocess.run([DEMO], env={**ENV, "DEMO_CMD": "uname -s; echo $((6 * 7)); exit 3"},
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=20 * BOOT_TIME, check=False)
    check((done.returncode, done.stdout) == (3, b"Linux\n42\n"), f"{done}")


@case("demo: a login, and out of it", "tcg")
def person():
    """It says how to leave; what a guest ends itself with does, and so do the keys."""
    for leave in "poweroff\n", "\x01x":
        demo = Terminal(DEMO, ROOT, {k: v for k, v in ENV.items() if k != "DEMO_CMD"})
        try:
            demo.expect(rb"To leave: \w+, or Ctrl-A x", PATIENT)
            found = demo.expect(rb"login: $|" + PROMPT, PATIENT)
            if b"login" in found[0] and leave[-1] == "\n":
                demo.send("root\n")
                demo.expect(PROMPT, PATIENT)
            demo.send(leave)
            status = demo.wait(PATIENT)
            check(status == 0, f"{leave!r}: exit status {status}\n{demo.tail()}")
        finally:
            demo.close()
