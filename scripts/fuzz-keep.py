#!/usr/bin/env python3
"""Which inputs of a corpus are worth keeping: fuzz-keep.py CONTROL-FILE prints them, base64.

CONTROL-FILE is libFuzzer's of a merge whose inputs have all been run: it says which edges of the
program each has reached. The smallest come first, and each that reaches one more is kept.
SPDX-License-Identifier: GPL-2.0-or-later
"""
import base64
import os
import sys

LARGEST = 1024

with open(sys.argv[1], encoding="utf-8") as control:
    lines = control.read().splitlines()
names = lines[2:2 + int(lines[0])]
edges = {}
for line in lines[2 + len(names):]:
    kind, number, *numbers = line.split()
    if kind == "COV":
        edges[names[int(number)]] = set(numbers)
reached, kept = set(), []
for name in sorted(edges, key=lambda name: (os.path.getsize(name), name)):
    if os.path.getsize(name) <= LARGEST and edges[name] - reached:
        reached |= edges[name]
        with open(name, "rb") as file:
            kept.append(base64.b64encode(file.read()).decode())
print("\n".join(sorted(kept)))
