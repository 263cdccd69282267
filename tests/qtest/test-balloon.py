#!/usr/bin/env python3
"""The memory balloon as monitors see it: test-balloon.py QEMU prints TAP.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import json
import socket
import sys

import qemutest
from qemutest import QTest, VM, test

RAM = 64 << 20
CONFIG = 0xd0000100
NONE = ("DeviceNotActive", "No balloon device has been activated")
PATH = "/machine/peripheral/balloon0"


def machine(options="", **more):
    return VM("-m", "64M", "-device", "virtio-balloon-device,id=balloon0" + options,
              machine="microvm", qtest=True, **more)


def reg(q, offset, value=None):
    if value is not None:
        q.cmd(f"writel {CONFIG + offset:#x} {value:#x}")
    return int(q.cmd(f"readl {CONFIG + offset:#x}")[0], 16)


@test
def commands():
    """balloon, query-balloon and BALLOON_CHANGE; the driver's registers with them"""
    with machine(",free-page-reporting=on,free-page-hint=on,deflate-on-oom=on") as vm:
        c, q = vm.qmp(), QTest(vm)
        assert c.cmd("query-balloon") == {"actual": RAM}
        assert c.cmd("balloon", value=48 << 20) == {}
        assert reg(q, 0) == 4096 and reg(q, 4) == 0
        reg(q, 4, 1000)
        assert c.event("BALLOON_CHANGE")["data"] == {"actual": RAM - 1000 * 4096}
        assert c.cmd("query-balloon") == {"actual": RAM - 1000 * 4096}
        c.cmd("balloon", value=1 << 62)
        assert reg(q, 0) == 0
        for value in (0, -1):
            assert c.error("balloon", value=value) == \
                ("GenericError", "Parameter 'target' expects a size")
        c.cmd("system_reset")
        c.event("RESET")
        assert c.cmd("query-balloon") == {"actual": RAM}


@test
def shell_client():
    """A client that sends its commands at once and reads the last line: it is the event"""
    with machine() as vm:
        q = QTest(vm)
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(vm.path("qmp0"))
            s.sendall(b'{"execute":"qmp_capabilities"}'
                      b'{"execute":"balloon","arguments":{"value":33554432}}\n')
            f = s.makefile("rb")
            assert b"QMP" in f.readline()
            assert json.loads(f.readline()) == json.loads(f.readline()) == {"return": {}}
            reg(q, 4, 8192)
            assert json.loads(f.readline())["data"] == {"actual": 32 << 20}


@test
def people():
    """HMP: balloon takes MiB; where there is none"""
    with machine(hmp=1) as vm:
        h, q = vm.hmp(), QTest(vm)
        h.until("(qemu) ")
        h.send(b"balloon 40\ninfo balloon\n")
        assert "balloon: actual=64\r\n" in h.until("actual=64\r\n(qemu) ")
        assert reg(q, 0) == 24 << 8
    with VM("-m", "16M", machine="microvm", hmp=1) as vm:
        h, c = vm.hmp(), vm.qmp()
        h.until("(qemu) ")
        h.send(b"info balloon\n")
        h.until("Error: No balloon device has been activated\r\n(qemu) ")
        h.send(b"balloon 1\n")
        h.until("Error: No balloon device has been activated\r\n(qemu) ")
        assert c.error("query-balloon") == c.error("balloon", value=1) == NONE


@test
def statistics():
    """guest-stats, and its interval, which alone can be set while the machine runs"""
    with machine() as vm:
        c = vm.qmp()
        names = {p["name"] for p in c.cmd("qom-list", path=PATH)}
        assert {"guest-stats", "guest-stats-polling-interval"} <= names, names
        stats = c.cmd("qom-get", path=PATH, property="guest-stats")
        assert stats["last-update"] == 0 and len(stats["stats"]) == 10, stats
        assert set(stats["stats"].values()) == {-1}
        interval = {"path": PATH, "property": "guest-stats-polling-interval"}
        assert c.cmd("qom-get", **interval) == 0
        c.cmd("qom-set", value=10, **interval)
        assert c.cmd("qom-get", **interval) == 10
        assert c.error("qom-set", value=-1, **interval)[1] == \
            "timer value must be greater than zero"
        assert c.error("qom-set", value=1 << 40, **interval)[1] == "timer value is too big"
        assert c.error("qom-set", value="a", **interval)[1] == \
            "Invalid parameter type for 'guest-stats-polling-interval', expected: integer"
        assert c.cmd("qom-get", **interval) == 10
        assert "after it was realized" in c.error("qom-set", path=PATH, value=True,
                                                  property="deflate-on-oom")[1]
        assert "guest-stats" in c.error("qom-set", path=PATH, value=1,
                                        property="guest-stats")[1]


@test
def one_only():
    """A second balloon is refused"""
    with VM("-m", "16M", "-device", "virtio-balloon-device", "-device", "virtio-balloon-device",
            machine="microvm", qmp=0) as vm:
        assert vm.proc.wait(60) == 1
        assert "-device virtio-balloon-device: Only one balloon device is supported" in vm.stderr()


sys.exit(qemutest.run())
