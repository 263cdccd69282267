"""What the objects of a build define and use: dead functions, file-scope state.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import collections
import functools
import json
import os
import re
import subprocess

from tree.files import BUILD, ROOT, Skip, code, product, read, sources

# What only tests call: the ends of what a process keeps to its own end, where tests must not
# leak, and two views of what guests and the host's CPU see otherwise.
FOR_TESTS = {
    "blk_cleanup_all", "rom_free_all", "x86_cpus_cleanup", "x86_irqchip_free",
    "apic_timer_deadline", "virtqueue_in_flight", "tcg_fxrstor_image", "tcg_fxsave_image",
}
# Symbols that compilers, sanitizers and coverage add.
FOREIGN = re.compile(r"^(\.L|__|_GLOBAL_|asan\.|gcov)|\.(?!\d+$)")

Symbols = collections.namedtuple("Symbols", "defined used state")


@functools.lru_cache(None)
def objects():
    """Object file: source file, relative to the tree; what the build makes has its own name."""
    path = os.path.join(BUILD, "compile_commands.json")
    if not os.path.exists(path):
        raise Skip(f"no build in {BUILD}")
    with open(path, encoding="utf-8") as f:
        commands = json.load(f)
    pairs = {os.path.join(c["directory"], c["output"]):
             os.path.relpath(os.path.realpath(os.path.join(c["directory"], c["file"])),
                             os.path.realpath(ROOT)) for c in commands}
    pairs = {o: s for o, s in pairs.items() if os.path.exists(o)}
    missing = {p for p in product() if p.endswith(".c")} - set(pairs.values())
    if len(missing) > len(product()) // 4:
        raise Skip(f"{BUILD} has not been built")
    return pairs


@functools.lru_cache(None)
def symbols():
    out = subprocess.run(["nm", "-A", "-f", "sysv"] + sorted(objects()), check=True,
                         capture_output=True, text=True).stdout
    result = Symbols(collections.defaultdict(set), collections.defaultdict(set), set())
    for line in out.split("\n"):
        cells = [c.strip() for c in line.split("|")]
        if len(cells) != 7:
            continue
        obj, _, name = cells[0].rpartition(":")
        kind, section, path = cells[2], cells[6], objects()[obj]
        if kind == "U":
            result.used[name].add(path)
        elif not FOREIGN.search(name):
            if kind.isupper():
                result.defined[name].add(path)
            if re.match(r"\.(data|bss|tdata|tbss)(?!\.rel\.ro)", section) or kind == "C":
                result.state.add((path, re.sub(r"\.\d+$", "", name)))
    return result


def definitions():
    """(symbol, source) of all that the program defines for others."""
    known = set(product())
    for name, paths in sorted(symbols().defined.items()):
        for path in sorted(paths & known):
            yield name, path


def users(name):
    """The program's sources that use the symbol, but for its own."""
    return sorted(symbols().used[name] & set(product()))


@functools.lru_cache(None)
def words():
    """How often each word occurs in the program's code."""
    count = collections.Counter()
    for path in product():
        count.update(re.findall(r"\w+", re.sub(r"/\*.*?\*/", "", read(path), flags=re.S)))
    return count


@functools.lru_cache(None)
def test_words():
    return set(re.findall(r"\w+", " ".join(read(f) for f in sources()
                                           if f.startswith("tests/"))))


def check_dead():
    for name, path in definitions():
        # The table of classes and main() are used by what is no source of the tree.
        if name == "main" or name in FOR_TESTS or users(name):
            continue
        others = symbols().used[name]
        if any(not o.startswith("tests/") for o in others):
            continue
        own = len(re.findall(rf"\b{name}\b", code(path)))
        if own == 0:        # its name is put together by a macro
            continue
        if own == 1:
            yield f"{path}: {name} is dead" + (": only tests use it" if others else "")
        elif not others and name not in test_words():
            yield f"{path}: {name} is used here alone: static"
    for path in product():
        for name in re.findall(r"^static inline [\w \*]*?\b(\w+)\(", code(path), re.M):
            if path.endswith(".h") and words()[name] == 1:
                yield f"{path}: {name} is dead"


def check_state():
    rows = r"^\W*``(\S+\.[ch])``\s+``(\w+)``"
    listed = set(re.findall(rows, read("docs/devel/architecture.rst"), re.M))
    found = {(p, n) for p, n in symbols().state if p in set(product())}
    for path, name in sorted(found - listed):
        yield f"{path}: {name} is state that docs/devel/architecture.rst does not name"
    compiled = set(objects().values())
    for path, name in sorted(listed - found):
        if path in compiled:
            yield f"docs/devel/architecture.rst: {path} has no {name}"
