#!/usr/bin/env python3
"""-device loader and -readconfig: test-loader.py QEMU prints TAP.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import struct
import subprocess
import sys
import tempfile

import qemutest
from qemutest import QEMU, QTest, VM, test

CONFIG = """# all that can be said
[machine]
  type = "microvm"

[memory]
  size = "48"
[name]
guest="a, b"
[chardev "c"]
  backend = "null"
[device "v"]
\tdriver = "virtio-serial-device"
[device]
  driver = "virtconsole"
  chardev = "c"
"""


def elf(segments):
    """A 64-bit ELF file of (address, data, size in memory)."""
    head = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, 62, 1, 0, 64, 0, 0, 64, 56,
                       len(segments), 0, 0, 0)
    table, body, offset = b"", b"", 64 + 56 * len(segments)
    for addr, data, size in segments:
        table += struct.pack("<IIQQQQQQ", 1, 7, offset + len(body), 0, addr, len(data), size, 0)
        body += data
    return head + table + body


@test
def loader():
    """Numbers, files and ELF segments are there from the start, and after a reset again"""
    with tempfile.TemporaryDirectory() as folder:
        raw, exe = os.path.join(folder, "raw"), os.path.join(folder, "elf")
        image = elf([(0x300000, b"first", 16), (0x310000, b"second", 6)])
        for path, data in ((raw, b"any,file"), (exe, image)):
            with open(path, "wb") as file:
                file.write(data)
        with VM("-m", "16M", "-device", f"loader,file={raw},addr=0x200000", "-device",
                f"loader,file={exe}", "-device", f"loader,file={exe},force-raw=on,addr=0x400000",
                "-device", "loader,addr=0x500000,data=0x0102030405,data-len=4", "-device",
                "loader,addr=0x500010,data=0x0102030405,data-len=8,data-be=on",
                machine="microvm", qtest=True) as vm:
            qmp, q = vm.qmp(), QTest(vm)
            for _ in range(2):
                assert q.read(0x200000, 9) == b"any,file\0"
                assert q.read(0x300000, 16) == b"first" + bytes(11)
                assert q.read(0x310000, 6) == b"second"
                assert q.read(0x400000, len(image)) == image
                assert q.read(0x500000, 5).hex() == "0504030200"
                assert q.read(0x500010, 8).hex() == "0000000102030405"
                q.write(0x200000, b"x" * 16)
                q.write(0x300000, b"x" * 16)
                q.write(0x500000, b"x" * 4)
                q.write(0x200008, b"\0")
                qmp.cmd("system_reset")
                qmp.event("RESET")
            assert "hotplugging" in qmp.error("device_add", driver="loader", file=raw)[1]


@test
def readconfig():
    """Groups of a file are options; commas in values, ids, comments"""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "config")
        with open(path, "w", encoding="utf-8") as file:
            file.write(CONFIG)
        with VM("-readconfig", path, machine="microvm") as vm:
            qmp = vm.qmp()
            assert qmp.cmd("query-name") == {"name": "a, b"}
            assert qmp.cmd("query-memory-size-summary")["base-memory"] == 48 << 20
            assert 'dev: virtio-serial-device, id "v"' in qmp.hmp("info qtree")
            assert "c" in [c["label"] for c in qmp.cmd("query-chardev")]


@test
def bad_configs():
    """One line and status 1 for each way to write it wrong"""
    rows = [("[device", "line 1: parse error"), ("x", "line 1: parse error"),
            ("a = \"b\"", "line 1: no group defined"),
            ("[nope]", "There is no option group 'nope'"),
            ("[kernel]", "There is no option group 'kernel'"),
            ("[device \"x]", "line 1: parse error"),
            ("[device]\n\n x = y", "line 3: parse error"),
            ("[device]\n x = \"y\"z\"", "line 2: parse error"),
            ("[device]\n driver = \"nope\"", "line 1: device: 'nope' is not a valid device"),
            ("[name]\n x = \"1\"", "x"),
            ("\0[device]", None)]
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "config")
        for text, message in rows:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            done = subprocess.run([QEMU, "-M", "none", "-accel", "qtest", "-readconfig", path,
                                   *([] if message else ["-version"])],
                                  capture_output=True, timeout=qemutest.PATIENCE, check=False)
            said = done.stderr.decode()
            assert done.returncode == (1 if message else 0), (text, said)
            assert not message or message in said and said.count("\n") == 1, (text, said)


sys.exit(qemutest.run())
