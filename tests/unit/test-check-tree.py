#!/usr/bin/env python3
"""check-tree on a small tree of its own: it passes, and each broken rule is told. Prints TAP.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import json
import os
import shlex
import subprocess
import sys
import tempfile

CHECK = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../scripts/check-tree")
CC = shlex.split(os.environ.get("CC", "cc"))
HEAD = "/* One. */\n/* SPDX-License-Identifier: GPL-2.0-or-later */\n"
HELP = {"-device": 'name "echo-device", bus X', "-object": "  thing", "-netdev": "wire",
        "-chardev": "  hole", "-machine": "  speed=<bool>"}
TREE = {
    "include/qemu/low.h": "int low(int a);\nint high(void);\nint dev(void);\n",
    "util/low.c": '#include "qemu/low.h"\n\nint low(int a)\n{\n    return a + 1;\n}\n',
    "hw/misc/dev.c": '#include "qemu/low.h"\n\nint dev(void)\n{\n    return low(1);\n}\n',
    "system/main.c": '#include "qemu/low.h"\n\nint main(void)\n{\n    return dev();\n}\n',
    "docs/devel/architecture.rst": "",
    "docs/devel/locks.rst": "",
    "docs/devel/reading.rst": "\nTo add\n~~~~~~\n\n1. ``hw/misc/dev.c``: ``dev()``, ``low()``.\n",
    "docs/system/all.rst": "echo-device thing wire hole speed\n",
    "MAINTAINERS": "All\nM: Us\nS: Maintained\n" + "".join(
        f"F: {f}\n" for f in ("include/", "util/", "hw/", "system/", "docs/", "MAINTAINERS")),
}
# What is told, and the files that are different.
CASES = [
    ("", {}),
    ("calls go downward only", {
        "system/main.c": TREE["system/main.c"] + "\nint high(void)\n{\n    return 0;\n}\n",
        "hw/misc/dev.c": TREE["hw/misc/dev.c"].replace("low(1)", "low(1) + high()")}),
    ("no function is dead", {
        "util/low.c": TREE["util/low.c"] + "\nint high(void)\n{\n    return 0;\n}\n"}),
    ("no function is dead", {
        "include/qemu/low.h": TREE["include/qemu/low.h"] +
        "static inline int idle(void)\n{\n    return 0;\n}\n"}),
    ("state is where architecture.rst says", {
        "util/low.c": TREE["util/low.c"].replace("{\n", "{\n    static int n;\n\n    a += n++;\n")}),
    ("no field of a device's state is forgotten", {
        "hw/misc/dev.c": TREE["hw/misc/dev.c"] + "\ntypedef struct Dev {\n    int a;\n    int b;\n"
        "} Dev;\n\n#define STATE_INT(s, f) sizeof(((s *)0)->f)\n#define MACHINE_STATE(x) (x)\n"
        "static const unsigned long row = STATE_INT(Dev, a);\nstatic const struct {\n"
        "    unsigned long instance_size;\n    const void *state;\n} dev_class = {\n"
        "    .instance_size = sizeof(Dev),\n    .state = MACHINE_STATE(&row),\n};\n"}),
    ("no function has more than six parameters", {
        "util/low.c": TREE["util/low.c"] + "\nstatic inline int seven(int a, int b, int c, int d, "
        "int e,\n                        int f, int g)\n{\n    return a;\n}\n"}),
    ("nothing nests more than three deep", {
        "util/low.c": TREE["util/low.c"].replace("    return", "".join(
            " " * 4 * n + "if (a) {\n" for n in range(1, 5)) + " " * 20 + "a++;\n" + "".join(
            " " * 4 * n + "}\n" for n in range(4, 0, -1)) + "    return")}),
    ("locks.rst has a row for every mutex", {
        "util/low.c": TREE["util/low.c"].replace(
            "{\n", "{\n    typedef int GMutex;\n    GMutex lock;   /* a */\n\n    lock = 0;\n", 1)}),
    ("the walks of reading.rst", {
        "docs/devel/reading.rst": TREE["docs/devel/reading.rst"].replace("low()", "high()")}),
    ("what users are offered is documented", {
        "docs/system/all.rst": "echo thing wire hole speed\n"}),
    ("MAINTAINERS covers every file", {"net/new.c": ""}),
    ("one dialect", {"util/low.c": TREE["util/low.c"].replace("{\n", "{\n    g_atomic_int_get(a);\n")}),
    ("one dialect", {"util/low.c": TREE["util/low.c"] + "typedef unsigned u32;\n"}),
    ("one dialect", {"util/low.c": TREE["util/low.c"].replace("{\n", "{\n    g_thread_new(a);\n")}),
    ("one dialect", {
        "util/low.c": '#include "qemu/low.h"\n' + TREE["util/low.c"].replace(
            "\n\n", "\n#include <errno.h>\n\n", 1)}),
    ("what derives is found by downcast()", {
        "hw/misc/dev.c": TREE["hw/misc/dev.c"] + "\nstruct base {\n    int a;\n};\n"
        "struct more {\n    struct base base;\n};\n\nstatic inline void *more_of(struct base *b)\n"
        "{\n    typedef struct more more;\n\n    return (more *)b;\n}\n"}),
    ("text is clean", {"docs/devel/locks.rst": "x" * 101 + "\n"}),
]


def write(root, path, text):
    path = os.path.join(root, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write((HEAD if path.endswith((".c", ".h")) else "") + text)


def build(root, files):
    folder = os.path.join(root, "build")
    os.makedirs(folder)
    commands = []
    for path in [f for f in files if f.endswith(".c")]:
        out = path.replace("/", "_") + ".o"
        subprocess.run(CC + ["-O2", "-fdata-sections", "-I" + os.path.join(root, "include"), "-c",
                             os.path.join(root, path), "-o", os.path.join(folder, out)], check=True)
        commands.append({"directory": folder, "file": "../" + path, "output": out})
    write(folder, "compile_commands.json", json.dumps(commands))
    program = os.path.join(folder, "qemu-system-x86_64")
    write(folder, "qemu-system-x86_64", "#!/bin/sh\ncase $1 in\n" + "".join(
        f"{option}) echo '{text}';;\n" for option, text in HELP.items()) + "esac\n")
    os.chmod(program, 0o755)
    write(root, ".gitignore", "build/\n")


def told(changes):
    """The rules that are broken with these files."""
    with tempfile.TemporaryDirectory() as root:
        files = {**TREE, **changes}
        for path, text in files.items():
            write(root, path, text)
        build(root, files)
        subprocess.run(["git", "init", "-q", root], check=True)
        out = subprocess.run([sys.executable, CHECK, os.path.join(root, "build")], check=False,
                             env={**os.environ, "CHECK_TREE_ROOT": root}, text=True,
                             capture_output=True).stdout
        return [line for line in out.split("\n") if line.startswith("not ok")], out


def main():
    print(f"1..{len(CASES)}")
    status = 0
    for n, (rule, changes) in enumerate(CASES, 1):
        found, out = told(changes)
        good = len(found) == bool(rule) and all(rule in line for line in found) and "SKIP" not in out
        print(f"{'ok' if good else 'not ok'} {n} - {rule or 'a tree that keeps the rules'}")
        if not good:
            print("".join(f"# {line}\n" for line in out.split("\n")), end="")
            status = 1
    return status


sys.exit(main())
