#!/usr/bin/env python3
"""Builds and runs the program without each line of a default configuration, and without all.

SPDX-License-Identifier: GPL-2.0-or-later

Usage: test-configs.py [LINE]…

LINE is a name as ACPI, for CONFIG_ACPI, or ALL for the least that there can be; without any it
is each in turn. What is built must list its devices and boot the lean kernel until its init
restarts the machine, if the software CPU is in it. TAP on standard output.
"""
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
GUEST = os.path.join(ROOT, "tests", "guest")
FILE = os.path.join(ROOT, "default-configs", "x86_64-softmmu.mak")
# Without these there is no machine, or none that has a device.
NEEDED = {"MICROVM", "VIRTIO_MMIO"}
LIMIT = 600  # seconds for one command


def run(argv, **kwargs):
    """(Whether a command succeeds, what it says.)"""
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False,
                              stderr=subprocess.STDOUT, text=True, errors="replace",
                              timeout=LIMIT, **kwargs)
    except subprocess.TimeoutExpired:
        return False, f"no end after {LIMIT} s: {' '.join(argv)}"
    return done.returncode == 0, done.stdout


def tool(name, *args):
    """One of the guest scripts; what it printed."""
    return subprocess.run([os.path.join(GUEST, name), *args], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, check=True, text=True).stdout.strip()


def without(text, name):
    """The configuration without a line, or with nothing but what is needed."""
    keep = NEEDED | {"TCG"}
    return re.sub(r"^CONFIG_(\w+)=y$",
                  lambda m: m[0] if (m[1] in keep if name == "ALL" else m[1] != name)
                  else f"CONFIG_{m[1]}=n", text, flags=re.MULTILINE)


def build(folder, text, name, guest):
    """What goes wrong when that is compiled, linked and started; None: nothing."""
    config = os.path.join(folder, name)
    text = without(text, name)
    with open(f"{config}.mak", "w", encoding="ascii") as file:
        file.write(text)
    out = os.path.join(folder, f"build-{name}")
    program = os.path.join(out, "qemu-system-x86_64")
    commands = [["meson", "setup", "-Dwerror=true", "-Dbuildtype=debug", "-Doptimization=0",
                 f"-Dtarget_config={config}", out, ROOT],
                ["ninja", "-C", out, "qemu-system-x86_64"],
                [program, "-M", "microvm,help"], [program, "-device", "help"]]
    if "CONFIG_TCG=y" in text:
        commands.append([program, "-M", "microvm", "-accel", "tcg", "-m", "128", "-nodefaults",
                         "-no-user-config", "-display", "none", "-no-reboot", *guest])
    for argv in commands:
        ok, said = run(argv)
        if not ok:
            return "\n".join([" ".join(argv), *said.splitlines()[-30:]])
    return None


def main():
    """Every line, or those that the arguments name."""
    with open(FILE, encoding="ascii") as file:
        text = file.read()
    lines = [*re.findall(r"^CONFIG_(\w+)=y$", text, flags=re.MULTILINE), "ALL"]
    chosen = sys.argv[1:] or [name for name in lines if name not in NEEDED]
    print(f"1..{len(chosen)}", flush=True)
    failed = 0
    with tempfile.TemporaryDirectory(prefix="configs-") as folder:
        tiny = os.path.join(folder, "tiny")
        tool("mkinitramfs", "--tiny", "-o", tiny)
        guest = ["-kernel", os.path.join(tool("build-kernel"), "vmlinux"), "-initrd", tiny,
                 "-append", "reboot=t panic=-1 quiet"]
        for number, name in enumerate(chosen, 1):
            wrong = build(folder, text, name, guest) if name in lines else \
                f"{FILE} has no such line"
            failed += wrong is not None
            print(f"{'ok' if wrong is None else 'not ok'} {number} - without CONFIG_{name}",
                  flush=True)
            for line in (wrong or "").splitlines():
                print(f"# {line}", flush=True)
    return 1 if failed else 0


sys.exit(main())
