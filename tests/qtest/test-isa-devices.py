#!/usr/bin/env python3
"""Small devices at I/O ports: keyboard, panic, watchdog. By qtest and QMP.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import sys

import qemutest
from qemutest import QTest, VM, test

FULL = 1  # i8042's status: a byte waits


def machine(*devices, **more):
    """A machine with these devices."""
    args = [word for device in devices for word in ("-device", device)]
    return VM(*args, *more.pop("args", []), machine="microvm", qtest=True, **more)


class Keyboard:
    """The guest's side of an i8042."""

    def __init__(self, q):
        self.q = q

    def bytes(self):
        """All that waits."""
        out = []
        while self.q.inb(0x64) & FULL:
            out.append(self.q.inb(0x60))
        return out

    def command(self, *values):
        """A command of the controller's with its parameters; what it answers."""
        self.q.outb(0x64, values[0])
        for value in values[1:]:
            self.q.outb(0x60, value)
        return self.bytes()

    def send(self, value):
        """A byte to the keyboard; what it answers."""
        self.q.outb(0x60, value)
        return self.bytes()


def key(name, down):
    """One event of input-send-event."""
    return {"type": "key", "data": {"down": down, "key": {"type": "qcode", "data": name}}}


@test
def controller():
    """i8042: self-test, command byte, keyboard's answers, no auxiliary device"""
    with machine("i8042") as vm:
        k = Keyboard(QTest(vm))
        assert k.command(0xaa) == [0x55]
        assert k.command(0xab) == [0]
        assert k.command(0xa9) == [1]
        assert k.command(0x60, 0x24) == []
        assert k.command(0x20) == [0x24]
        assert k.command(0xd3, 0x5a) == [0x5a] and not k.q.inb(0x64) & 0x20
        assert k.send(0xff) == [0xfa, 0xaa]
        assert k.send(0xf2) == [0xfa, 0xab, 0x83]
        assert k.send(0xed) == [0xfa] and k.send(7) == [0xfa]
        assert k.send(0xf0) == [0xfa] and k.send(0) == [0xfa, 2]
        assert k.send(0xf0) == [0xfa] and k.send(3) == [0xfe]
        assert k.send(0x12) == [0xfe]
        assert k.command(0x60, 0x64) == []          # with translation
        assert k.send(0xf2) == [0xfa, 0xab, 0x41]
        # An aborted command's parameter goes to the keyboard.
        assert k.command(0x60) == [] and k.command(0x20) == [0x64] and k.send(0xee) == [0xee]


@test
def keys():
    """Keys by QMP and HMP come as scan codes, with an interrupt for each byte"""
    with machine("i8042") as vm:
        qmp = vm.qmp()
        q = QTest(vm)
        q.cmd("irq_intercept_in", "ioapic")
        k = Keyboard(q)
        qmp.cmd("input-send-event", events=[key("ctrl", True), key("delete", True),
                                            key("delete", False), key("ctrl", False)])
        _, irqs = q.cmd("inb", 0x64)
        assert ("raise", 1) in irqs, irqs
        assert q.inb(0x60) == 0x1d
        _, irqs = q.cmd("inb", 0x64)
        assert k.bytes() == [0xe0, 0x53, 0xe0, 0xd3, 0x9d]
        k.command(0x60, 0x05)                       # no translation: set 2
        qmp.cmd("send-key", keys=[{"type": "qcode", "data": "a"}, {"type": "number", "data": 0xc8}],
                hold_time=1)
        got = []
        while len(got) < 8:
            got += k.bytes()
        assert got == [0x1c, 0xe0, 0x75, 0xe0, 0xf0, 0x75, 0xf0, 0x1c], got
        assert qmp.hmp("sendkey x-0x1c 1") == ""
        got = []
        while len(got) < 6:
            got += k.bytes()
        assert got == [0x22, 0x5a, 0xf0, 0x5a, 0xf0, 0x22], got
        k.send(0xf5)                                # disabled: keys are lost
        qmp.cmd("input-send-event", events=[key("a", True)])
        assert k.bytes() == []


@test
def key_errors():
    """Keys that do not exist, and machines without a keyboard"""
    with machine("i8042") as vm:
        qmp = vm.qmp()
        assert qmp.error("send-key", keys=[{"type": "qcode", "data": "nokey"}])[1] == \
            "Parameter 'data' does not accept value 'nokey'"
        assert "event type rel" in qmp.error("input-send-event", events=[
            {"type": "rel", "data": {"axis": "x", "value": 1}}])[1]
        assert "down" in qmp.error("input-send-event", events=[
            {"type": "key", "data": {"key": {"type": "qcode", "data": "a"}}}])[1]
        assert "at most" in qmp.error("send-key",
                                      keys=[{"type": "qcode", "data": "a"}] * 100)[1]
        assert qmp.hmp("sendkey ctrl-what").strip() == "unknown key: 'what'"
    with machine() as vm:
        qmp = vm.qmp()
        assert qmp.error("send-key", keys=[{"type": "qcode", "data": "a"}])[1] == \
            "There is no keyboard"
        assert qmp.error("input-send-event", events=[key("a", True)])[1] == \
            "Input handler not found for event type key"
        assert "no keyboard" in qmp.hmp("sendkey a")


@test
def full_queue():
    """More keys than fit: whole codes are lost, never parts; the guest goes on"""
    with machine("i8042") as vm:
        qmp = vm.qmp()
        k = Keyboard(QTest(vm))
        for _ in range(50):
            qmp.cmd("input-send-event", events=[key("up", True), key("up", False)])
        got = k.bytes()
        assert got and len(got) <= 64
        while got:
            assert got[:2] in ([0xe0, 0x48], [0xe0, 0xc8]), got
            got = got[2:]
        assert k.send(0xee) == [0xee]


@test
def every_access():
    """i8042: each width at each port, each command with bytes of all kinds: none hangs it"""
    with machine("i8042") as vm:
        k = Keyboard(QTest(vm))
        k.command(0x60, 0x24)
        # A register has one byte: of a wider access it gets that one, a reset of the keyboard
        # and a pulse of no line.
        for port in range(0x5d, 0x68):
            for width, value in (("b", 0xff), ("w", 0xffff), ("l", 0xffffffff)):
                k.q.cmd("out" + width, port, value)
                k.q.cmd("in" + width, port)
        k.bytes()
        assert k.command(0x20) == [0x24]
        for command in range(256):
            for parameter in (0x01, 0x60, 0xed, 0xf3, 0xff):
                if command >= 0xf0 and not command & 1 or \
                        command == 0xd1 and not parameter & 1:
                    continue                        # the reset line
                k.q.outb(0x64, command)
                k.q.outb(0x60, parameter)
                k.q.outb(0x60, parameter)           # of a command that takes no parameter
                k.q.inb(0x60)
            k.command(0x60, 0x24)
            k.send(0xff)
            assert k.command(0xaa) == [0x55] and k.send(0xee) == [0xee], hex(command)
        k.q.outb(0x64, 0x60)                        # its parameter is lost with a reset
        qmp = vm.qmp()
        qmp.cmd("system_reset")
        qmp.event("RESET")
        assert k.send(0xee) == [0xee]


@test
def reset_line():
    """The controller's reset line resets the machine"""
    for values in ((0xfe,), (0xd1, 0x02)):
        with machine("i8042") as vm:
            qmp = vm.qmp()
            k = Keyboard(QTest(vm))
            k.command(0xff)                         # pulses no line
            k.command(*values)
            assert qmp.event("RESET")["data"] == {"guest": True, "reason": "guest-reset"}


@test
def panic():
    """pvpanic: what is supported, a crash under each -action panic="""
    with machine("pvpanic") as vm:
        qmp = vm.qmp()
        q = QTest(vm)
        assert q.inb(0x505) == 3
        q.outb(0x505, 2)
        assert qmp.event("GUEST_CRASHLOADED")["data"] == {"action": "run"}
        qmp.cmd("set-action", panic="pause")
        q.outb(0x505, 1)
        assert qmp.event("GUEST_PANICKED")["data"] == {"action": "pause"}
        qmp.event("STOP")
        assert qmp.cmd("query-status")["status"] == "guest-panicked"
    with machine("pvpanic,events=2,ioport=0x600") as vm:
        q = QTest(vm)
        assert q.inb(0x600) == 2
        q.outb(0x600, 1)                            # not offered
        assert q.inb(0x600) == 2
    for action, status in (("exit-failure", 1), ("shutdown", 0)):
        with machine("pvpanic", args=["-action", f"panic={action}"]) as vm:
            q = QTest(vm)
            q.file.write("outb 0x505 1\n")
            q.file.flush()
            assert vm.wait() == status


@test
def watchdog():
    """ib700: armed, fed, stopped; what becomes of a guest that does not feed it"""
    with machine("ib700", args=["-watchdog-action", "none"]) as vm:
        qmp = vm.qmp()
        q = QTest(vm)
        q.outb(0x443, 0xf)                          # at once
        q.cmd("clock_step", 1)
        assert qmp.event("WATCHDOG")["data"] == {"action": "none"}
        q.outb(0x443, 0)
        q.cmd("clock_step", 29 * 10**9)
        q.outb(0x443, 5)                            # fed: 20 seconds more
        q.cmd("clock_step", 19 * 10**9)
        q.outb(0x441, 0)
        q.cmd("clock_step", 100 * 10**9)
        qmp.cmd("query-status")
        assert not [e for e in qmp.events if e["event"] == "WATCHDOG"]
        qmp.cmd("set-action", watchdog="pause")
        q.outb(0x443, 0xe)
        q.cmd("clock_step", 2 * 10**9)
        qmp.event("STOP")
        assert qmp.cmd("query-status")["status"] == "watchdog"
    with machine("ib700") as vm:
        qmp = vm.qmp()
        q = QTest(vm)
        q.outb(0x443, 0xf)
        q.cmd("clock_step", 1)
        assert qmp.event("WATCHDOG")["data"] == {"action": "reset"}
        assert qmp.event("RESET")["data"]["reason"] == "guest-reset"
        q.cmd("clock_step", 100 * 10**9)            # a reset stops it
        qmp.cmd("query-status")
        assert not [e for e in qmp.events if e["event"] == "WATCHDOG"]


sys.exit(qemutest.run())
