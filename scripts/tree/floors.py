"""Floors: what a file may include, and whose symbols it may use.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import re

from tree.files import product, read, sources, tree_files
from tree.symbols import definitions, users

# Which floor a folder (or a file, named first) stands on: docs/devel/architecture.rst.
# Order matters: the first pattern that matches the path counts.
FLOORS = [
    ("system/memory.c", 1), ("system/physmem.c", 1), ("system/dirty-log.c", 1),
    ("system/hostmem.c", 1), ("system/hostmem-join.c", 1),
    ("system/vm-control.c", 4), ("system/reset.c", 1), ("system/cpus.c", 4),
    ("system/", 6), ("gdbstub/", 6), ("monitor/", 6), ("include/monitor/", 6),
    ("migration/", 6), ("include/migration/", 6),
    ("util/", 0), ("include/qemu/", 0),
    ("hw/core/", 1), ("include/exec/", 1), ("include/hw/core/", 1),
    ("include/hw/irq.h", 1), ("include/hw/qdev.h", 1), ("include/hw/boards.h", 1),
    ("include/hw/loader.h", 1), ("include/sysemu/", 1),
    ("backends/", 2), ("block/", 2), ("chardev/", 2), ("fsdev/", 2), ("net/", 2),
    ("include/backends/", 2), ("include/block/", 2), ("include/chardev/", 2),
    ("include/fsdev/", 2), ("include/net/", 2),
    ("accel/", 4), ("target/", 4),
    ("hw/i386/", 5), ("include/hw/i386/", 5), ("include/standard-headers/", 0),
    ("hw/", 3), ("include/hw/", 3),
]
# A floor may use itself and these.
ALLOWED = {0: {0}, 1: {0, 1}, 2: {0, 2}, 3: {0, 1, 2, 3}, 4: {0, 1, 4},
           5: {0, 1, 2, 3, 4, 5}, 6: {0, 1, 2, 3, 4, 5, 6}}


def floor_of(path):
    for prefix, floor in FLOORS:
        if path == prefix or (prefix.endswith("/") and path.startswith(prefix)):
            return floor
    return None


def resolve(path, name):
    """The file of the tree that #include "name" in path means, or None."""
    for candidate in ("include/" + name, name,
                      os.path.normpath(os.path.join(os.path.dirname(path), name))):
        if candidate in tree_files():
            return candidate
    return None


def check_includes():
    for path in product():
        floor = floor_of(path)
        if floor is None:
            yield f"{path} stands on no floor"
            continue
        for name in re.findall(r'^\s*#\s*include\s+"([^"]+)"', read(path), re.M):
            target = resolve(path, name)
            other = floor_of(target) if target else None
            if other is not None and other not in ALLOWED[floor]:
                yield f"{path} (floor {floor}) includes {name} (floor {other})"


def check_calls():
    """Headers may promise what a higher floor defines; the linker tells who uses it."""
    for symbol, path in definitions():
        floor = floor_of(path)
        for user in users(symbol):
            own = floor_of(user)
            if own is not None and floor is not None and floor not in ALLOWED[own]:
                yield f"{user} (floor {own}) uses {symbol} of {path} (floor {floor})"


def check_kvm_header():
    for path in sources():
        if "<linux/kvm" in read(path) and not path.startswith(
                ("accel/kvm/", "target/i386/kvm", "scripts/thread-filter.c", "tests/")):
            yield f"{path} includes <linux/kvm.h>"
