#!/usr/bin/env python3
"""The page of make bench: a row for each figure, bars and plots that are well-formed. TAP.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "bench"))
sys.dont_write_bytecode = True

import benchpage  # noqa: E402

FIGURES = [("boot, <elapsed>", {"floor": 0.1, "microvm": 0.2, "qemu": 0.4},
            {"floor": "0.1 s", "microvm": "0.2 s", "qemu": "0.4 s & more"}, "0.50", False),
           ("nothing", {"microvm": 0}, {"microvm": "0"}, "", True)]
MANY = {"microvm": {"1": {"elapsed": 1.0, "pss_kib": 2048}, "2": {"elapsed": 1.5}},
        "qemu": {"1": {"elapsed": 3.0}, "2": {}}}

print("1..2")
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "bench.html")
    benchpage.write(path, FIGURES, MANY)
    with open(path, encoding="utf-8") as f:
        page = f.read()
    assert os.listdir(folder) == ["bench.html"]
drawings = [xml.etree.ElementTree.fromstring(svg)
            for svg in re.findall("<svg.*?</svg>", page, re.DOTALL)]
widths = [[float(r.get("width")) for r in d.iter("rect")] for d in drawings]
assert widths == [[benchpage.WIDTH / 4, benchpage.WIDTH / 2, benchpage.WIDTH], [1], [], []], widths
assert [len(list(d.iter("polyline"))) for d in drawings] == [0, 0, 2, 1]
assert page.count("<tr>") == 1 + len(FIGURES) and "boot, &lt;elapsed&gt;" in page
assert not re.search("https?:|src=|@import|<script", page)
assert [benchpage.nice(n) for n in (0, 0.7, 1.2, 21, 30)] == [1, 1, 2, 25, 50]
assert benchpage.apart({"a": 50, "b": 60, "c": 20}) == {"b": 60, "a": 46, "c": 20}
print("ok 1 - a row for each figure, bars by length, lines for what was measured")

for script in ("scripts/bench", "tests/bench/bench"):
    for words, status, said in ((["--help"], 0, "usage: bench"), (["--quick", "-h"], 0, "usage:"),
                                (["size", "sise"], 1, "bench: sise: no such part; there are: "),
                                (["--jsn"], 1, "bench: --jsn: "), (["--json"], 1, "wants a FILE")):
        done = subprocess.run([os.path.join(ROOT, script), *words], check=False, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert done.returncode == status and said in done.stdout, (script, words, done.stdout)
        assert status == 0 or done.stdout.count("\n") == 1, done.stdout
print("ok 2 - help, and a line for what is no part, before anything is built")
