#!/usr/bin/env python3
"""QMP as clients use it, and as nobody should: test-qmp.py QEMU prints TAP.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import json
import os
import re
import signal
import socket
import struct
import sys
import tempfile
import time

import qemutest
from qemutest import QMP, Client, VM, test

GENERIC = "GenericError"


@test
def negotiation():
    """greeting, negotiation, and its refusals"""
    with VM() as vm:
        c = vm.qmp(negotiate=False)
        version = c.greeting["QMP"]["version"]["qemu"]
        assert (version["major"], version["minor"]) == (7, 2), version
        assert isinstance(c.greeting["QMP"]["capabilities"], list)
        answer = c.execute("query-status", id="early")
        assert answer == {"id": "early", "error": {
            "class": "CommandNotFound",
            "desc": "Expecting capabilities negotiation with 'qmp_capabilities'"}}, answer
        c.send('{"execute": "qmp_capabilities"}')
        # Clients compare the second line as text.
        assert c.line() == '{"return": {}}'
        assert c.error("qmp_capabilities") == (
            "CommandNotFound",
            "Capabilities negotiation is already complete, command ignored")
        c.close()
        # The next client starts afresh.
        c = vm.qmp(negotiate=False)
        assert c.error("stop")[0] == "CommandNotFound"
        assert c.error("qmp_capabilities", enable=["oob"])[0] == GENERIC
        assert c.cmd("qmp_capabilities", enable=[]) == {}


@test
def error_texts():
    """errors have QEMU's classes and words"""
    wrong = [
        ('{"execute": "nosuch"}', "CommandNotFound", "The command nosuch has not been found"),
        ('{"exec": "stop"}', GENERIC, "QMP input member 'exec' is unexpected"),
        ("{}", GENERIC, "QMP input lacks member 'execute'"),
        ('{"execute": true}', GENERIC, "QMP input member 'execute' must be a string"),
        ('{"execute": "stop", "arguments": []}', GENERIC,
         "QMP input member 'arguments' must be an object"),
        ('{"execute": "stop", "arguments": {"foo": 1}}', GENERIC,
         "Parameter 'foo' is unexpected"),
        ('{"execute": "qom-get", "arguments": {"path": "/machine"}}', GENERIC,
         "Parameter 'property' is missing"),
        ('{"execute": "qom-list", "arguments": {"path": 5}}', GENERIC,
         "Invalid parameter type for 'path', expected: string"),
        ('{"execute": "set-action", "arguments": {"reboot": "maybe"}}', GENERIC,
         "Parameter 'reboot' does not accept value 'maybe'"),
        ('{"execute": "human-monitor-command"}', GENERIC,
         "Parameter 'command-line' is missing"),
        ("null ", GENERIC, "QMP input must be a JSON object"),
        ("[]", GENERIC, "QMP input must be a JSON object"),
        ('{"execute": "qom-list", "arguments": {"path": "/nope"}}', "DeviceNotFound",
         "Device '/nope' not found"),
        ('{"execute": "qom-get", "arguments": {"path": "/machine", "property": "nope"}}',
         GENERIC, "Property 'none-machine.nope' not found"),
        ('{"execute": "device_add", "arguments": {"driver": "nope"}}', GENERIC,
         "'nope' is not a valid device model name"),
        ('{"execute": "device_del", "arguments": {"id": "nope"}}', "DeviceNotFound",
         "Device 'nope' not found"),
        ('{"execute": "object-add", "arguments": {"qom-type": "nope", "id": "a"}}', GENERIC,
         "Parameter 'qom-type' does not accept value 'nope'"),
        ('{"execute": "object-del", "arguments": {"id": "a"}}', GENERIC,
         "object 'a' not found"),
        ('{"execute": "chardev-remove", "arguments": {"id": "a"}}', GENERIC,
         "Chardev 'a' not found"),
        ('{"execute": "chardev-remove", "arguments": {"id": "qmp0"}}', GENERIC, None),
        ('{"execute": "getfd", "arguments": {"fdname": "a"}}', GENERIC,
         "No file descriptor supplied via SCM_RIGHTS"),
        ('{"execute": "closefd", "arguments": {"fdname": "a"}}', GENERIC,
         "File descriptor named 'a' not found"),
        ('{"execute": "balloon", "arguments": {"value": 1}}', "DeviceNotActive",
         "No balloon device has been activated"),
        ('{"execute": "system_wakeup"}', GENERIC,
         "wake-up from suspend is not supported by this guest"),
        ('{"execute": "query-hotpluggable-cpus"}', GENERIC,
         "The feature 'query-hotpluggable-cpus' is not enabled"),
    ]
    with VM() as vm:
        c = vm.qmp()
        for message, cls, desc in wrong:
            answer = c.raw(message)
            assert answer["error"]["class"] == cls, (message, answer)
            assert desc is None or answer["error"]["desc"] == desc, (message, answer)


@test
def malformed():
    """malformed JSON of every kind: one clear error, then it goes on"""
    bad = [b"{]\n", b"{\xff", b"{\x01", b"{'bad \xff", b"{'execute': 'x', 'id':'\n", b"%p",
           b"bad\n", b'{"a" 1}', b'{"a":1 "b"}', b"{1:2}", b'{"a":}', b"[1,]", b"[1 2]",
           b'{"a":1,"a":2}', b'{"a":"\\q"}', b'{"a":"\\ud800"}', b'{"a":"\xc0\x80"}',
           b'{"a":1e999}', b"[" * 1025 + b"\n", b"}", b"]", b"{'a':\\\n"]
    with VM() as vm:
        c = vm.qmp()
        for message in bad:
            answer = c.raw(message)
            assert answer["error"]["class"] == GENERIC, (message, answer)
            assert answer["error"]["desc"].startswith("JSON "), (message, answer)
            # Noise behind the first wrong byte may be answered too; the mark must come.
            c.send("\n{'execute': 'query-name', 'id': 'mark'}")
            for _ in range(6):
                answer = c.receive()
                if answer.get("id") == "mark":
                    break
            assert answer == {"return": {}, "id": "mark"}, (message, answer)


@test
def ids():
    """id of any JSON type is echoed as it came"""
    with VM() as vm:
        c = vm.qmp()
        for text in ["0", "-1", "1.5", '"x"', "null", "true", "[]", '[1, {"a": "b"}]',
                     '{"id": 1}', "18446744073709551615", "123456789012345678901234567890.5",
                     '"\\u00e9"']:
            c.send('{"execute": "query-name", "id": ' + text + "}")
            assert c.line() == '{"return": {}, "id": ' + text + "}", text
            c.send('{"execute": "nosuch", "id": ' + text + "}")
            assert c.line().startswith('{"id": ' + text + ', "error": '), text


@test
def stream():
    """input is a stream: single bytes, several objects in one write, single quotes"""
    with VM() as vm:
        c = vm.qmp()
        for byte in b"{'execute':\n'query-name'\n}":
            c.send(bytes([byte]))
        assert c.receive() == {"return": {}}
        c.send("{'execute':'query-name','id':1}{'execute':'query-name','id':2}\n"
               "{'execute':'query-name','id':3}")
        assert [c.receive()["id"] for _ in range(3)] == [1, 2, 3]
        c.send("{'execute':'query-name','id':%d}" * 1 % 7 + "{'execute':'query-name'}" * 999)
        assert c.receive()["id"] == 7
        for _ in range(999):
            assert c.receive() == {"return": {}}


def check_type(types, name, value):
    """Whether value is what the schema says of type name."""
    entry = types[name]
    kind = entry["meta-type"]
    if kind == "builtin":
        python = {"str": str, "int": int, "bool": bool, "number": (int, float),
                  "any": object}[name]
        assert isinstance(value, python), (name, value)
    elif kind == "array":
        for item in value:
            check_type(types, entry["element-type"], item)
    elif kind == "enum":
        assert value in entry["values"], (entry, value)
    else:
        members = {m["name"]: m for m in entry["members"]}
        for member, m in members.items():
            assert member in value or "default" in m, (entry, value)
        for member, v in value.items():
            if member in members:
                check_type(types, members[member]["type"], v)


@test
def schema():
    """the schema is closed, and every query answers as it says"""
    with VM(machine="microvm") as vm:
        c = vm.qmp()
        entries = c.cmd("query-qmp-schema")
        assert len(json.dumps(entries)) < 120000, "QEMU 7.2's line has 207 KB, clients take that"
        types = {e["name"]: e for e in entries}
        assert len(types) == len(entries), "names are unique"
        commands = {e["name"] for e in entries if e["meta-type"] == "command"}
        assert commands == {e["name"] for e in c.cmd("query-commands")}
        assert {e["name"] for e in entries if e["meta-type"] == "event"} == \
            {e["name"] for e in c.cmd("query-events")}
        for e in entries:
            for key in ("arg-type", "ret-type", "element-type"):
                assert key not in e or e[key] in types, e
            for m in e.get("members", []):
                assert e["meta-type"] == "enum" or m["type"] in types, e
            for v in e.get("variants", []):
                assert types[v["type"]]["meta-type"] == "object", e
        refused = {"query-hotpluggable-cpus", "query-balloon", "query-vm-generation-id"}
        asked = 0
        for name in sorted(commands):
            args = types[types[name]["arg-type"]]["members"]
            if name.startswith("query-") and all("default" in m for m in args) and \
               name not in refused:
                check_type(types, types[name]["ret-type"], c.cmd(name))
                asked += 1
        assert asked > 20, asked


@test
def block_schema():
    """the schema of blockdev-add has every option of every driver"""
    with VM(machine="microvm") as vm:
        types = {e["name"]: e for e in vm.qmp().cmd("query-qmp-schema")}

    def members(entry):
        return {m["name"]: types[m["type"]] for m in entry["members"]}

    node = types[types["blockdev-add"]["arg-type"]]
    cases = {v["case"]: members(types[v["type"]]) for v in node["variants"]}
    common = members(node)
    assert node["tag"] == "driver" and set(common["driver"]["values"]) == set(cases)
    assert {"file", "host_device", "raw", "null-co", "null-aio"} <= set(cases), cases
    assert cases["file"]["aio"]["values"] == ["threads", "native", "io_uring"], cases["file"]
    assert cases["host_device"]["locking"]["values"] == ["auto", "on", "off"]
    assert cases["file"]["filename"]["name"] == "str" and "drop-cache" in cases["file"]
    assert cases["raw"]["offset"]["name"] == cases["null-co"]["size"]["name"] == "int"
    file = cases["raw"]["file"]
    assert file["meta-type"] == "alternate"
    assert {m["type"] for m in file["members"]} == {"str", node["name"]}
    assert set(members(common["cache"])) == {"direct", "no-flush"}
    assert "unmap" in common["discard"]["values"] and "unmap" in common["detect-zeroes"]["values"]
    assert common["read-only"]["name"] == common["force-share"]["name"] == "bool"


@test
def documentation():
    """the reference in docs/ has every command and event of this program, and no other"""
    path = os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..", "docs", "system",
                        "monitor-commands.rst")
    with open(path, encoding="utf-8") as f:
        parts = re.split(r"^(.*)\n-+\n", f.read(), flags=re.MULTILINE)[1:]
    titles = {title: re.findall(r"^``([^`]*)``", text, re.MULTILINE)
              for title, text in zip(parts[::2], parts[1::2])}
    with VM() as vm:
        c = vm.qmp()
        for title, query in (("QMP: commands", "query-commands"), ("QMP: events", "query-events")):
            assert sorted(titles[title]) == sorted(e["name"] for e in c.cmd(query)), title
        for title, line in (("HMP: commands", "help"), ("HMP: info", "info")):
            shown = [h.split(" -- ")[0].strip() for h in c.hmp(line).split("\r\n") if h]
            assert titles[title] == shown, (titles[title], shown)


@test
def states_and_events():
    """stop, cont, reset, powerdown: events come before their command's answer"""
    with VM("-S", machine="microvm,acpi=on") as vm:
        c = vm.qmp()
        assert c.cmd("query-status") == {"running": False, "singlestep": False,
                                         "status": "prelaunch"}
        expect = [("cont", "RESUME", "running"), ("stop", "STOP", "paused"),
                  ("system_reset", "RESET", "prelaunch"),
                  ("system_powerdown", "POWERDOWN", "prelaunch"), ("cont", "RESUME", "running"),
                  ("system_reset", "RESET", "running")]
        for command, event, status in expect:
            c.events = []
            assert c.cmd(command) == {}
            assert [e["event"] for e in c.events] == [event], (command, c.events)
            stamp = c.events[0]["timestamp"]
            assert stamp["seconds"] > 10**9 and 0 <= stamp["microseconds"] < 10**6
            if event == "RESET":
                assert c.events[0]["data"] == {"guest": False,
                                               "reason": "host-qmp-system-reset"}
            assert c.cmd("query-status")["status"] == status, command
        # What is so already is no event.
        c.events = []
        c.cmd("cont")
        assert c.events == []
        c.cmd("set-action", reboot="shutdown", shutdown="pause", panic="pause",
              watchdog="poweroff")
        c.cmd("system_reset")
        assert c.event("SHUTDOWN")["data"]["reason"] == "host-qmp-system-reset"
        assert c.cmd("query-status")["status"] == "shutdown"
        assert c.error("cont") == (GENERIC, "Resetting the Virtual Machine is required")


@test
def endings():
    """quit and SIGTERM: the event, then EOF, status 0"""
    with VM() as vm:
        c, other = vm.qmp(), None
        c.send('{"execute": "quit", "id": 9}')
        assert c.event("SHUTDOWN")["data"] == {"guest": False, "reason": "host-qmp-quit"}
        assert c.receive() == {"return": {}, "id": 9}
        assert c.eof()
        assert vm.wait() == 0
    with VM(qmp=2) as vm:
        c, other = vm.qmp(0), vm.qmp(1)
        os.kill(vm.proc.pid, signal.SIGTERM)
        for client in (c, other):
            assert client.event("SHUTDOWN")["data"] == {"guest": False,
                                                        "reason": "host-signal"}
            assert client.eof()
        assert vm.wait() == 0


@test
def several_clients():
    """four monitors at once: each client gets each event once, answers are its own"""
    with VM("-S", qmp=4) as vm:
        clients = [vm.qmp(n) for n in range(4)]
        for i, c in enumerate(clients):
            c.send('{"execute": "query-name", "id": %d}' % i)
        for i, c in enumerate(clients):
            assert c.receive() == {"return": {}, "id": i}
        clients[0].cmd("cont")
        clients[3].cmd("stop")
        for i, c in enumerate(clients):
            assert c.cmd("query-name") == {}
            assert [e["event"] for e in c.events] == ["RESUME", "STOP"], (i, c.events)


@test
def big_message():
    """100 MiB in one message: one error, memory flat, and it goes on"""
    with VM() as vm:
        c = vm.qmp()
        c.cmd("query-status")
        before = vm.status("VmRSS")
        c.send('{"execute": "query-status", "id": "')
        block = b"x" * (1 << 20)
        for _ in range(100):
            c.send(block)
        c.send('"}\n')
        assert c.receive()["error"]["desc"] == "JSON token size limit exceeded"
        assert c.cmd("query-name") == {}
        assert vm.status("VmHWM") - before < 40000, (before, vm.status("VmHWM"))
        assert vm.status("VmRSS") - before < 2000, (before, vm.status("VmRSS"))
        for text, desc in [("[1" + ",1" * 3000000, "JSON token count limit exceeded"),
                           ("[" * 100000, "JSON nesting depth limit exceeded")]:
            c.send(text + "\n")
            assert c.receive()["error"]["desc"] == desc
            assert c.cmd("query-name") == {}
        assert vm.status("VmRSS") - before < 4000, (before, vm.status("VmRSS"))


@test
def deaf_reader():
    """a client that never reads: it is held up, nothing grows, others live"""
    with VM(qmp=2) as vm:
        deaf, c = vm.qmp(0), vm.qmp(1)
        before = vm.status("VmRSS")
        deaf.sock.setblocking(False)
        message = b'{"execute": "query-commands"}' * 50
        sent = 0
        for _ in range(2000):
            try:
                sent += deaf.sock.send(message)
            except BlockingIOError:
                if c.cmd("query-status")["running"] is None:
                    break
        assert sent < 2000 * len(message), "all was read although no answer was"
        # Events are not piled up for it without end.
        for _ in range(3000):
            c.cmd("stop")
            c.cmd("cont")
        assert vm.status("VmRSS") - before < 6000, (before, vm.status("VmRSS"))
        # And it gets all its answers once it reads.
        deaf.sock.settimeout(300)
        for _ in range(50):
            assert "return" in deaf.receive()


@test
def reconnects():
    """10,000 connections, orderly or not: no descriptor and no memory is lost"""
    with VM() as vm:
        path = vm.path("qmp0")
        vm.qmp().close()
        fds, rss = vm.fds(), None
        for i in range(10000):
            s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            s.connect(path)
            if i % 4 == 1:
                s.recv(4096)
            elif i % 4 == 2:
                s.send(b'{"execute": "qmp_cap')
            elif i % 4 == 3:
                s.send(b'{"execute": "qmp_capabilities"}{"execute": "query-commands"}' * 3)
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            s.close()
            if i == 1000:
                rss = vm.status("VmRSS")
        c = vm.qmp()
        assert c.cmd("query-name") == {}
        c.close()
        c = vm.qmp()
        assert vm.fds() <= fds + 1, (fds, vm.fds())
        assert vm.status("VmRSS") - rss < 500, (rss, vm.status("VmRSS"))


@test
def descriptors():
    """file descriptors: kept, replaced, closed, and gone with their client"""
    with VM() as vm:
        c = vm.qmp()
        fds = vm.fds()
        for i in range(20):
            with open("/dev/null", "rb") as f:
                c.send_fds(json.dumps({"execute": "getfd", "arguments":
                                       {"fdname": f"fd{i % 4}"}}), [f.fileno()])
            assert c.receive() == {"return": {}}
        assert vm.fds() == fds + 4, (fds, vm.fds())
        assert c.cmd("closefd", fdname="fd0") == {}
        assert c.error("closefd", fdname="fd0")[0] == GENERIC
        with open("/dev/null", "rb") as f:
            c.send_fds('{"execute": "getfd", "arguments": {"fdname": "3"}}', [f.fileno()])
        assert "not starting with a digit" in c.receive()["error"]["desc"]
        assert vm.fds() == fds + 3
        c.close()
        c = vm.qmp()
        assert vm.fds() == fds, (fds, vm.fds())


@test
def pretty():
    """-qmp-pretty: indented, still one value after the other"""
    path = f"/tmp/qmp-pretty-{os.getpid()}"
    with VM("-qmp-pretty", f"unix:{path},server=on,wait=off", "-name", "n") as vm:
        c = qemutest.Client(path)
        decoder = json.JSONDecoder()

        def value():
            while True:
                try:
                    obj, end = decoder.raw_decode(c.buf.decode().lstrip())
                    c.buf = c.buf.decode().lstrip()[end:].encode()
                    return obj
                except ValueError:
                    c.fill()

        assert "QMP" in value()
        c.send('{"execute": "qmp_capabilities", "id": [1]}')
        assert value() == {"return": {}, "id": [1]}
        c.send('{"execute": "nosuch", "id": "a"}')
        assert value()["error"]["class"] == "CommandNotFound"
        c.buf = b""
        c.send('{"execute": "query-status"}')
        text = c.until("\n}")
        assert text.startswith('\r\n{\r\n    "return": {\r\n        "status":') or \
            text.startswith('{\r\n    "return": {\r\n        "status":'), text


@test
def chardevs_and_objects():
    """chardev-add/remove and object-add/del at run time"""
    with VM("-object", "rng-builtin,id=busy", "-device", "virtio-rng-device,id=r,rng=busy",
            machine="microvm") as vm:
        c = vm.qmp()
        assert {d["label"] for d in c.cmd("query-chardev")} == {"qmp0"}
        pty = c.cmd("chardev-add", id="p", backend={"type": "pty", "data": {}})["pty"]
        assert pty.startswith("/dev/pts/")
        c.cmd("chardev-add", id="n", backend={"type": "null", "data": {}})
        c.cmd("chardev-add", id="s", backend={"type": "socket", "data": {
            "addr": {"type": "unix", "data": {"path": vm.path("extra")}}}})
        assert os.path.exists(vm.path("extra"))
        c.cmd("chardev-add", id="f", backend={"type": "file", "data": {
            "out": vm.path("file"), "append": True, "in": "/dev/null"}})
        c.cmd("chardev-remove", id="f")
        listed = {d["label"]: d["filename"] for d in c.cmd("query-chardev")}
        assert listed["p"] == "pty:" + pty, listed
        assert c.error("chardev-add", id="n", backend={"type": "null", "data": {}})[0] == GENERIC
        assert c.error("chardev-add", id="z", backend={"type": "nope", "data": {}})[0] == GENERIC
        for name in ("p", "n", "s"):
            c.cmd("chardev-remove", id=name)
        assert {d["label"] for d in c.cmd("query-chardev")} == {"qmp0"}
        assert not os.path.exists(vm.path("extra"))
        answer = c.execute("object-add", {"qom-type": "memory-backend-ram", "id": "m",
                                          "size": 1 << 20})
        assert answer == {"return": {}}, answer
        assert {m["id"] for m in c.cmd("query-memdev")} == {"m", "microvm.ram"}
        c.cmd("object-del", id="m")
        assert {m["id"] for m in c.cmd("query-memdev")} == {"microvm.ram"}
        assert c.error("object-del", id="microvm.ram")[0] == GENERIC
        assert c.error("object-del", id="busy")[1] == "object 'busy' is in use, can not be deleted"
        link = c.cmd("qom-get", path="/machine/peripheral/r", property="rng")
        assert link == "/objects/busy", link
        answer = c.execute("object-add", {"qom-type": "rng-builtin", "id": "a/b"})
        assert answer["error"]["desc"] == "Parameter 'id' expects an identifier", answer


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
    except OSError:
        return False
    return True


@test
def any_address():
    """a port without a host listens on every address of both families"""
    with VM("-chardev", "socket,id=s,port=0,server=on,wait=off", "-mon", "s") as vm:
        c = vm.qmp()
        listed = {d["label"]: d["filename"] for d in c.cmd("query-chardev")}
        port = int(re.fullmatch(r"disconnected:tcp:0\.0\.0\.0:(\d+),server=on", listed["s"])[1])
        for host in ("127.0.0.1", "::1") if has_ipv6() else ("127.0.0.1",):
            with socket.create_connection((host, port), 10):
                shown = f"[{host}]" if ":" in host else host
                wanted = f"tcp:{shown}:{port},server=on <-> {shown}:"
                end = time.monotonic() + 20
                while not any(d["filename"].startswith(wanted) for d in c.cmd("query-chardev")):
                    assert time.monotonic() < end, (wanted, c.cmd("query-chardev"))


@test
def ring_buffer():
    """ringbuf-read takes the oldest output; what is no text by base64"""
    with VM("-chardev", "ringbuf,id=rb,size=8", "-device", "isa-debugcon,chardev=rb",
            machine="microvm", qtest=True) as vm:
        c, t = vm.qmp(), Client(vm.path("qtest"))

        def output(data):
            for byte in data:
                t.send(f"outb 0xe9 {byte}\n")
                assert t.until("\n") == "OK\n"

        assert c.cmd("ringbuf-read", device="rb", size=9) == ""
        output(b"0123456789")
        assert c.cmd("ringbuf-read", device="rb", size=3) == "234"
        assert c.cmd("ringbuf-read", device="rb", size=(1 << 63) - 1) == "56789"
        output(b"a\xff\0b")
        assert c.cmd("ringbuf-read", device="rb", size=4) == "a\ufffd\ufffdb"
        output(b"\xff\0")
        assert c.cmd("ringbuf-read", device="rb", size=4, format="base64") == "/wA="
        output(b"a\n\\\33\r\xc2\x9bc")
        assert c.hmp("ringbuf_read rb 7") == "a\r\n\\\\\\u001B\\u000D\\u009B\r\n"
        for device, size, text in (("nope", 1, "Device 'nope' not found"),
                                   ("qmp0", 1, "qmp0 is not a ringbuf device"),
                                   ("rb", 0, "size must be greater than zero")):
            assert c.error("ringbuf-read", device=device, size=size) == (GENERIC, text)


@test
def netdevs():
    """netdev_add, set_link and netdev_del; names that nobody has"""
    with VM(machine="microvm") as vm:
        c = vm.qmp()
        fds = vm.fds()
        assert c.error("netdev_add", type="bogus", id="x") == \
            (GENERIC, "Parameter 'type' does not accept value 'bogus'")
        c.cmd("netdev_add", type="socket", id="n0", udp="127.0.0.1:9",
              localaddr="127.0.0.1:0")
        assert c.error("netdev_add", type="socket", id="n0", udp="127.0.0.1:9",
                       localaddr="127.0.0.1:0")[0] == GENERIC
        c.cmd("set_link", name="n0", up=False)
        c.cmd("set_link", name="n0", up=True)
        c.cmd("netdev_del", id="n0")
        assert vm.fds() == fds, (fds, vm.fds())
        for answer in (c.error("netdev_del", id="n0"), c.error("set_link", name="n0", up=True)):
            assert answer == ("DeviceNotFound", "Device 'n0' not found"), answer


@test
def cpu_models():
    """query-cpu-definitions, query-cpu-model-expansion: features as -cpu knows them"""
    def expand(c, kind, name, **props):
        return c.cmd("query-cpu-model-expansion", type=kind, model={"name": name, "props": props})

    # As libvirt asks: no machine, only an accelerator.
    with VM(accel="tcg") as vm:
        c = vm.qmp()
        everything = expand(c, "static", "max")["model"]
        assert everything["name"] == "base" and len(everything["props"]) > 100, everything
        props = everything["props"]
        assert all(isinstance(on, bool) for on in props.values())
        assert props["sse2"] and props["lm"] and not props["ia64"], props
        assert expand(c, "full", "max")["model"] == {"name": "max", "props": props}
        v1 = expand(c, "full", "x86-64-v1")["model"]["props"]
        v2 = expand(c, "full", "x86-64-v2")["model"]["props"]
        assert v1["sse2"] and not v1["sse4.2"] and v2["sse4.2"] and v2["popcnt"]
        assert set(v1) == set(v2) == set(props)
        changed = expand(c, "static", "x86-64-v1", popcnt=True, sse2=False)["model"]["props"]
        assert {name for name in v1 if v1[name] != changed[name]} == {"popcnt", "sse2"}, changed
        for model in c.cmd("query-cpu-definitions"):
            missing = model["unavailable-features"]
            assert not any(props[name] for name in missing), model
            assert not missing or model["name"] not in ("max", "host"), model
        for name, props, error in [("nope", {}, "unable to find CPU model 'nope'"),
                                   ("max", {"nope": True}, "Property 'max-x86_64-cpu.nope' not found"),
                                   ("max,nope", {}, "unable to find CPU model 'max,nope'"),
                                   ("max", {"a,sse2": True}, "Property 'a,sse2' not found"),
                                   ("", {}, "-cpu option cannot be empty")]:
            answer = c.error("query-cpu-model-expansion", type="full",
                             model={"name": name, "props": props})
            assert answer == (GENERIC, error), (name, props, answer)
        assert c.error("query-cpu-model-expansion", type="full",
                       model={"name": "max", "props": 1})[0] == GENERIC
        assert "expand" not in vm.stderr() and "warning" not in vm.stderr(), vm.stderr()
    with VM() as vm:
        assert "'qtest' has no CPU models" in vm.qmp().error(
            "query-cpu-model-expansion", type="full", model={"name": "max"})[1]


@test
def block_nodes():
    """blockdev-add, blockdev-del, query-named-block-nodes, the schema of query-blockstats"""
    with VM("-drive", "if=none,id=d0,file=null-co://,format=raw", "-device",
            "virtio-blk-device,drive=d0,id=disk", machine="microvm") as vm:
        c = vm.qmp()
        with open(vm.path("image"), "wb") as f:
            f.truncate(1 << 20)
        before, fds = c.cmd("query-named-block-nodes"), vm.fds()
        for _ in range(3):
            c.cmd("blockdev-add", driver="file", node_name="f", filename=vm.path("image"))
            c.cmd("blockdev-add", driver="raw", node_name="r", file="f")
            nodes = {n["node-name"]: n for n in c.cmd("query-named-block-nodes", flat=True)}
            assert nodes["r"]["drv"] == "raw" and nodes["f"]["drv"] == "file", nodes
            assert nodes["r"]["image"]["virtual-size"] == 1 << 20, nodes
            assert [b["device"] for b in c.cmd("query-block")] == ["d0"]
            assert c.error("blockdev-del", node_name="f") == (GENERIC, "Block device f is in use")
            c.cmd("blockdev-del", node_name="r")
            c.cmd("blockdev-add", driver="raw", node_name="r2", file="f")
            c.cmd("blockdev-del", node_name="r2")
            c.cmd("blockdev-del", node_name="f")
            # One whose lower half has no name of its own takes it along.
            c.cmd("blockdev-add", driver="raw", node_name="r3",
                  file={"driver": "file", "filename": vm.path("image")})
            c.cmd("blockdev-del", node_name="r3")
            assert c.cmd("query-named-block-nodes") == before and vm.fds() == fds
        assert c.error("blockdev-del", node_name="f") == \
            (GENERIC, "Failed to find node with node-name='f'")
        used = c.cmd("query-block")[0]["inserted"]["node-name"]
        assert c.error("blockdev-del", node_name=used) == (GENERIC, f"Node {used} is in use")
        (stats,) = c.cmd("query-blockstats")
        assert stats["device"] == "d0" and stats["qdev"] == "disk", stats
        kinds = ("rd", "wr", "unmap", "flush")
        names = {f"{k}_{what}" for k in kinds for what in ("operations", "total_time_ns")} | \
            {f"{k}_{what}" for k in kinds[:3] for what in ("bytes", "merged")} | \
            {f"{how}_{k}_operations" for k in kinds for how in ("failed", "invalid")}
        assert all(stats["stats"].pop(name) == 0 for name in names), stats
        assert stats["stats"] == {"wr_highest_offset": 0, "account_invalid": True,
                                  "account_failed": True, "timed_stats": []}, stats


@test
def refusals():
    """what clients ask for and this machine has not, in QEMU's words"""
    with VM() as vm:
        c = vm.qmp()
        keys = [{"type": "key", "data": {"down": True, "key": {"type": "qcode", "data": "ctrl"}}}]
        assert c.error("input-send-event", events=keys) == \
            (GENERIC, "Input handler not found for event type key")
        c.cmd("stop")
        assert c.error("input-send-event", events=keys) == (GENERIC, "VM not running")
        assert c.error("input-send-event", events=[{}])[0] == GENERIC
        assert c.error("send-key", keys=[{"type": "number", "data": 1}])[0] == GENERIC
        c.cmd("cont")
    with VM("-device", "virtio-mouse-device", machine="microvm") as vm:
        c = vm.qmp()
        moves = [{"type": "rel", "data": {"axis": "x", "value": 1 << 40}},
                 {"type": "btn", "data": {"button": "wheel-left", "down": True}}]
        c.cmd("input-send-event", events=moves * 500)
        for wrong, kind in ((keys, "key"),
                            ([{"type": "abs", "data": {"axis": "y", "value": 0}}], "abs")):
            assert c.error("input-send-event", events=moves + wrong) == \
                (GENERIC, "Input handler not found for event type " + kind)
        for answer in (c.error("query-balloon"), c.error("balloon", value=1)):
            assert answer == ("DeviceNotActive", "No balloon device has been activated")


@test
def property_tree():
    """/machine and below: paths, properties, types; what libvirt's probe asks"""
    with VM("-S", "-object", "memory-backend-ram,id=m,size=1M", machine="microvm") as vm:
        c = vm.qmp()
        names = {p["name"]: p["type"] for p in c.cmd("qom-list", path="/")}
        assert names["machine"] == "child<microvm-machine>", names
        names = {p["name"]: p["type"] for p in c.cmd("qom-list", path="/machine")}
        assert names["peripheral"] == "child<container>" and "pit" in names, names
        assert c.cmd("qom-get", path="/machine", property="type") == "microvm-machine"
        assert c.cmd("qom-get", path="/machine", property="mem-merge") is True
        assert c.cmd("qom-get", path="/objects/m", property="size") == 1 << 20
        assert c.cmd("qom-get", path="m", property="type") == "memory-backend-ram"
        cpu = c.cmd("query-cpus-fast")[0]["qom-path"]
        assert c.cmd("qom-get", path=cpu, property="type").endswith("-x86_64-cpu")
        # A machine that is built takes nothing more, also before it runs.
        assert "does not support hotplugging" in c.error("device_add", driver="virtio-rng-device")[1]
        models = {d["typename"] for d in c.cmd("query-cpu-definitions")}
        assert models == {t["name"] for t in c.cmd("qom-list-types", implements="x86_64-cpu")}
        assert "after it was realized" in c.error("qom-set", path="/machine", property="pit",
                                                  value="off")[1]
        types = {t["name"] for t in c.cmd("qom-list-types")}
        assert {"none-machine", "microvm-machine", "memory-backend-file"} <= types, types
        # No type that is listed may be unknown: libvirt 9.0 crashes.
        for name in types:
            assert isinstance(c.cmd("qom-list-properties", typename=name), list)
        devices = {t["name"] for t in c.cmd("qom-list-types", implements="device")}
        assert devices < types
        for name in devices:
            c.cmd("device-list-properties", typename=name)
        assert c.error("device-list-properties", typename="usb-host")[0] == "DeviceNotFound"
        assert c.error("device-list-properties", typename="microvm-machine")[0] == GENERIC
        assert c.error("qom-list-properties", typename="nope")[0] == "DeviceNotFound"


@test
def device_states():
    """realized, hotplugged, hotpluggable and parent_bus of devices, one of them hot-plugged"""
    with VM("-device", "virtio-serial-device,id=ser", "-device", "virtserialport,id=p0",
            machine="microvm") as vm:
        c = vm.qmp()
        c.cmd("device_add", driver="virtserialport", id="p1")
        for name, want in [("ser", (True, False, False, "virtio-mmio-bus.0")),
                           ("p0", (True, False, True, "ser.0")),
                           ("p1", (True, True, True, "ser.0"))]:
            path = "/machine/peripheral/" + name
            listed = {p["name"]: p["type"] for p in c.cmd("qom-list", path=path)}
            assert listed["realized"] == listed["hotplugged"] == "bool", listed
            assert listed["parent_bus"] == "link<bus>", listed
            got = tuple(c.cmd("qom-get", path=path, property=p)
                        for p in ("realized", "hotplugged", "hotpluggable", "parent_bus"))
            assert got == want, (name, got)
        assert "not found" in c.error("qom-get", path="/machine", property="realized")[1]


@test
def memory_files():
    """pmemsave writes what the guest has; bad ranges and files are refused"""
    with VM("-m", "16M", machine="microvm", qtest=True) as vm:
        c = vm.qmp()
        q = qemutest.Client(vm.path("qtest"))
        q.send("write 0x100000 0x4 0x11223344\n")
        assert q.until("\n") == "OK\n"
        out = vm.path("out")
        c.cmd("pmemsave", val=0x100000, size=4, filename=out)
        with open(out, "rb") as f:
            assert f.read() == b"\x11\x22\x33\x44"
        c.cmd("pmemsave", val=0, size=16 << 20, filename=out)
        assert os.path.getsize(out) == 16 << 20
        assert "Invalid addr 0x0000000001000000/size 16" in \
            c.error("pmemsave", val=16 << 20, size=16, filename=out)[1]
        # More than there is ends before anything is written; checksums end, too.
        os.unlink(out)
        for size in [(16 << 20) + 1, 1 << 31, -1, (1 << 63) - 1, 1 << 63]:
            for command in ["memsave", "pmemsave"]:
                assert "Invalid addr" in c.error(command, val=0, size=size, filename=out)[1]
        assert not os.path.exists(out)
        total = 0
        for byte in b"\0" * 5 + b"\x11\x22\x33\x44" + b"\0" * 20:
            total = ((total >> 1 | total << 15) + byte) & 0xffff
        assert c.hmp("sum 0xffffb 29") == f"{total:05d}\r\n"
        assert c.hmp("sum 0 100*~0") == c.hmp("sum 0 0xffffff9c")
        assert "Invalid addr" in c.error("pmemsave", val=0xffffffffffffff00, size=512,
                                         filename=out)[1]
        assert "Could not open" in c.error("pmemsave", val=0, size=1, filename="/nope/x")[1]
        assert c.error("memsave", val=0, size=1, filename=out, cpu_index=7)[0] == GENERIC


# Wrong members, and what QEMU 7.2 says.
UNEXPECTED, MISSING = "Parameter '%s' is unexpected", "Parameter '%s' is missing"
WRONG = "Invalid parameter type for '%s', expected: %s"
OBJECT = [
    ({"nope": 1}, UNEXPECTED % "nope"), ({"size": {"a": 1}}, "Parameter 'size' expects uint64"),
    ({"share": {"a": 1}}, WRONG % ("share", "boolean")),
    ({"prealloc-threads": 1 << 32}, "Parameter 'prealloc-threads' expects uint32_t"),
    ({"prealloc-threads": -1}, "Parameter 'prealloc-threads' expects uint32_t"),
    ({"host-nodes": 1}, WRONG % ("host-nodes", "array")),
    ({"qom_type": "memory-backend-file"}, MISSING % "mem-path"),
    ({"host-nodes": ["5"]}, "Parameter 'host-nodes[0]' expects uint64"),
    ({"host-nodes": [1, 70000]}, "Parameter 'host-nodes[1]' expects uint16_t"),
    ({"policy": 5}, WRONG % ("policy", "string")),
    ({"policy": "bogus"}, "Parameter 'policy' does not accept value 'bogus'"),
    ({"x-use-canonical-path-for-ramblock-id": "on"},
     WRONG % ("x-use-canonical-path-for-ramblock-id", "boolean")),
    ({"qom_type": "nope"}, "Parameter 'qom-type' does not accept value 'nope'"),
    ({"qom_type": 5}, WRONG % ("qom-type", "string")),
]
THREAD = [({"qom-type": "iothread", "id": "t", name: value}, WRONG % (name, "integer"))
          for name in ("poll-max-ns", "poll-grow", "aio-max-batch", "thread-pool-min")
          for value in ("5", None, True, 1.5)]
NETWORK = [
    ({"type": "user", "nope": 1}, UNEXPECTED % "nope"),
    ({"type": "user", "hostfwd": "tcp::1-:2"}, WRONG % ("hostfwd", "array")),
    ({"type": "user", "hostfwd": [{"str": 5}]}, WRONG % ("hostfwd[0].str", "string")),
    ({"type": "user", "hostfwd": [{"str": "a"}, {}]}, MISSING % "hostfwd[1].str"),
    ({"type": "user", "hostfwd": [{"str": "a", "x": 1}]}, UNEXPECTED % "hostfwd[0].x"),
    ({"type": "tap", "queues": 1 << 32}, "Parameter 'queues' expects uint32_t"),
    ({"type": "stream"}, MISSING % "addr"),
    ({"type": "stream", "addr": 5}, WRONG % ("addr", "object")),
    ({"type": "stream", "addr": {}}, MISSING % "addr.type"),
    ({"type": "stream", "addr": {"type": "x"}}, "Parameter 'type' does not accept value 'x'"),
    ({"type": "stream", "addr": {"type": "inet"}}, MISSING % "addr.host"),
    ({"type": "stream", "addr": {"type": "inet", "host": "a"}}, MISSING % "addr.port"),
    ({"type": "stream", "addr": {"type": "unix", "path": "/", "x": 5}}, UNEXPECTED % "addr.x"),
    ({"type": "dgram", "local": {"type": "fd"}}, MISSING % "local.str"),
    ({"type": "dgram", "local": {"type": 5}}, WRONG % ("local.type", "string")),
    ({"type": "user", "ipv6-prefixlen": "5"}, WRONG % ("ipv6-prefixlen", "integer")),
    ({"type": "user", "dnssearch": ["x"]}, WRONG % ("dnssearch[0]", "object")),
    ({"type": "user", "hostfwd": [5]}, WRONG % ("hostfwd[0]", "object")),
    ({"type": "tap", "vhost": "on"}, WRONG % ("vhost", "boolean")),
    ({"type": "tap", "poll-us": "5"}, "Parameter 'poll-us' expects uint64"),
    ({"type": "vhost-user"}, MISSING % "chardev"),
    ({"type": "vhost-user", "chardev": "x", "queues": "5"}, WRONG % ("queues", "integer")),
    ({"type": "vhost-user", "chardev": "x", "vhostforce": None}, WRONG % ("vhostforce", "boolean")),
    ({"type": "nope"}, "Parameter 'type' does not accept value 'nope'"),
]
NODE = [
    ({"driver": "null-co", "nope": 1}, UNEXPECTED % "nope"),
    ({"driver": "null-co", "size": "1"}, WRONG % ("size", "integer")),
    ({"driver": "null-co", "cache": 5}, WRONG % ("cache", "object")),
    ({"driver": "null-co", "cache": {"nope": True}}, UNEXPECTED % "cache.nope"),
    ({"driver": "file"}, MISSING % "filename"), ({"driver": "raw"}, MISSING % "file"),
    ({"driver": "raw", "file": 5}, WRONG % ("file", "BlockdevRef")),
    ({"driver": "raw", "file": {}}, MISSING % "file.driver"),
    ({"driver": "raw", "file": {"driver": "x"}}, "Parameter 'driver' does not accept value 'x'"),
    ({"driver": "raw", "file": {"driver": "file"}}, MISSING % "file.filename"),
    ({"driver": "raw", "file": {"driver": "file", "filename": 5}},
     WRONG % ("file.filename", "string")),
    ({"driver": "raw", "file": {"driver": "null-co", "x": 5}}, UNEXPECTED % "file.x"),
    ({"driver": "raw", "file": {"driver": "null-co", "size": "x"}},
     WRONG % ("file.size", "integer")),
    ({"driver": "qcow2", "file": {"driver": "null-co"}, "backing": 5},
     WRONG % ("backing", "BlockdevRefOrNull")),
    ({"driver": "qcow2", "file": {"driver": "raw", "file": 5}}, WRONG % ("file", "BlockdevRef")),
    ({"driver": "qcow2", "file": {"driver": "null-co"}, "overlap-check": 5},
     WRONG % ("overlap-check", "Qcow2OverlapChecks")),
    ({"driver": "qcow2", "file": {"driver": "null-co"}, "lazy-refcounts": "on"},
     WRONG % ("lazy-refcounts", "boolean")),
    ({"driver": "nope"}, "Parameter 'driver' does not accept value 'nope'"),
    ({"driver": "null-co", "latency-ns": "5"}, "Parameter 'latency-ns' expects uint64"),
    ({"driver": "null-co", "discard": 5}, WRONG % ("discard", "string")),
    *(({"driver": "file", "filename": "x", name: value}, WRONG % (name, kind))
      for name, value, kind in [("locking", True, "string"), ("drop-cache", "on", "boolean"),
                                ("aio", 5, "string"), ("aio-max-batch", "5", "integer"),
                                ("pr-manager", None, "string"), ("drop-cache", None, "boolean")]),
    ({"driver": "file", "filename": "x", "locking": "bogus"},
     "Parameter 'locking' does not accept value 'bogus'"),
]
CHARDEV = [
    ("file", {}, MISSING % "backend.data.out"), ("socket", {}, MISSING % "backend.data.addr"),
    ("null", {"x": 1}, UNEXPECTED % "backend.data.x"),
    ("socket", {"addr": {}}, MISSING % "backend.data.addr.type"),
    ("socket", {"addr": {"type": "x"}}, "Parameter 'type' does not accept value 'x'"),
    ("socket", {"addr": {"type": "inet", "data": {}}}, MISSING % "backend.data.addr.data.host"),
    ("socket", {"addr": {"type": "unix", "data": {"path": "x", "y": 1}}},
     UNEXPECTED % "backend.data.addr.data.y"),
    ("socket", {"addr": {"type": "inet", "data": {"host": "a", "port": "1", "to": "1"}}},
     "Parameter 'backend.data.addr.data.to' expects uint64"),
    ("socket", {"addr": {"type": "inet", "data": {"host": "a", "port": "1", "to": 70000}}},
     "Parameter 'to' expects uint16_t"),
    ("nope", {"out": "x"}, "Parameter 'type' does not accept value 'nope'"),
    ("null", 5, WRONG % ("backend.data", "object")),
    ("socket", {"addr": 5}, WRONG % ("backend.data.addr", "object")),
    ("socket", {"addr": {"type": 5}}, WRONG % ("backend.data.addr.type", "string")),
    ("socket", {"addr": {"type": "unix", "data": 5}}, WRONG % ("backend.data.addr.data", "object")),
    ("socket", {"addr": {"type": "inet", "data": {"host": "a", "port": "1", "ipv4": "on"}}},
     WRONG % ("backend.data.addr.data.ipv4", "boolean")),
    ("socket", {"addr": {"type": "unix", "data": {"path": "x"}, "x": 1}},
     UNEXPECTED % "backend.data.addr.x"),
    ("socket", {"addr": {"type": "unix", "data": {"path": "x"}}, "wait": "on"},
     WRONG % ("backend.data.wait", "boolean")),
    ("file", {"out": "x", "append": None}, WRONG % ("backend.data.append", "boolean")),
]


def action(kind, **data):
    return {"actions": [{"type": kind, "data": data}]}


def key(kind, value, **more):
    return {"type": "key", "data": {"key": {"type": kind, "data": value}, **more}}


# Of commands whose arguments have members of members.
OTHER = [
    ("send-key", {"keys": [{"type": "number", "data": "5"}]}, WRONG % ("keys[0].data", "integer")),
    ("send-key", {"keys": [{"type": "qcode", "data": 5}]}, WRONG % ("keys[0].data", "string")),
    ("send-key", {"keys": [{"type": "x", "data": 5}]}, "Parameter 'type' does not accept value 'x'"),
    *(("input-send-event", {"events": [event]}, text) for event, text in [
        ({"type": "x", "data": {}}, "Parameter 'type' does not accept value 'x'"),
        ({"type": "key", "data": 5}, WRONG % ("events[0].data", "object")),
        (key("number", "5", down=True), WRONG % ("events[0].data.key.data", "integer")),
        (key("qcode", 5, down=True), WRONG % ("events[0].data.key.data", "string")),
        (key("qcode", "a"), MISSING % "events[0].data.down"),
        (key("qcode", "a", down="on"), WRONG % ("events[0].data.down", "boolean")),
        (key("qcode", "a", down=True, x=1), UNEXPECTED % "events[0].data.x"),
        ({"type": "abs", "data": {"axis": "z", "value": 1}},
         "Parameter 'axis' does not accept value 'z'"),
        ({"type": "rel", "data": {"axis": "x", "value": "1"}},
         WRONG % ("events[0].data.value", "integer"))]),
    ("transaction", action("x"), "Parameter 'type' does not accept value 'x'"),
    ("transaction", action("blockdev-snapshot", node=5, overlay="x"),
     WRONG % ("actions[0].data.node", "string")),
    ("transaction", action("blockdev-snapshot", node="x"), MISSING % "actions[0].data.overlay"),
    ("transaction", action("blockdev-snapshot-sync", **{"snapshot-file": "x"}, mode="bogus"),
     "Parameter 'mode' does not accept value 'bogus'"),
    *(("blockdev-create", {"job-id": "j", "options": options}, text) for options, text in [
        ({"driver": "x"}, "Parameter 'driver' does not accept value 'x'"),
        ({"driver": "file", "filename": 5, "size": 1}, WRONG % ("options.filename", "string")),
        ({"driver": "file", "filename": "x", "size": "5"},
         "Parameter 'options.size' expects uint64"),
        ({"driver": "file", "filename": "x"}, MISSING % "options.size"),
        ({"driver": "qcow2", "file": [], "size": 1}, WRONG % ("file", "BlockdevRef")),
        ({"driver": "qcow2", "file": "x", "size": 1, "version": "v4"},
         "Parameter 'version' does not accept value 'v4'"),
        ({"driver": "qcow2", "file": "x", "size": 1, "refcount-bits": "16"},
         WRONG % ("options.refcount-bits", "integer"))]),
    ("blockdev-mirror", {"device": "x", "target": "x", "sync": "top", "granularity": "5"},
     "Parameter 'granularity' expects uint64"),
    ("x-query-virtio-queue-status", {"path": "x", "queue": "5"},
     "Parameter 'queue' expects uint64"),
    ("device_add", {"driver": 5}, "'5' is not a valid device model name"),
    ("device_add", {"driver": "virtio-rng-device", "bus": 5}, "Bus '5' not found"),
]


@test
def member_types():
    """members of every level have their types, with QEMU's messages; HMP has text"""
    def sock(**data):
        return {"type": "socket", "data": {"addr": {"type": "unix", "data": data}}}

    def ringbuf(size):
        return {"type": "ringbuf", "data": {"size": size}}

    wrong = "Invalid parameter type for '%s', expected: %s"
    with VM("-m", "16M", "-netdev", "user,id=n0", machine="microvm") as vm:
        c = vm.qmp()
        ram = {"qom_type": "memory-backend-ram", "id": "m"}
        for command, more, text in [
                ("object-add", {**ram, "size": "1048576"}, "Parameter 'size' expects uint64"),
                ("object-add", {**ram, "size": True}, "Parameter 'size' expects uint64"),
                ("object-add", {**ram, "props": {"size": "1"}}, "Parameter 'size' expects uint64"),
                ("object-add", {**ram, "size": 4096, "share": "on"}, wrong % ("share", "boolean")),
                ("object-add", {"qom_type": "memory-backend-file", "id": "m", "size": 4096,
                                "mem-path": 5}, wrong % ("mem-path", "string")),
                ("netdev_add", {"type": "user", "id": "n", "restrict": "on"},
                 wrong % ("restrict", "boolean")),
                ("netdev_add", {"type": "user", "id": "n", "hostname": 1},
                 wrong % ("hostname", "string")),
                ("chardev-add", {"id": "c", "backend": ringbuf("4096")},
                 wrong % ("backend.data.size", "integer")),
                ("chardev-add", {"id": "c", "backend": sock(path=5)},
                 wrong % ("backend.data.addr.data.path", "string")),
                ("blockdev-add", {"driver": "null-co", "node_name": "b", "read-only": "on"},
                 wrong % ("read-only", "boolean")),
                ("blockdev-add", {"driver": "file", "node_name": "b", "filename": vm.path("x"),
                                  "cache": {"direct": "on"}},
                 wrong % ("cache.direct", "boolean")),
                ("blockdev-add", {"driver": "file", "node_name": "b", "filename": 5},
                 wrong % ("filename", "string")),
                *(("object-add", {**ram, "size": 4096, **more}, text) for more, text in OBJECT),
                *(("netdev_add", {"id": "n", **more}, text) for more, text in NETWORK),
                *(("blockdev-add", {"node_name": "b", **more}, text) for more, text in NODE),
                *(("chardev-add", {"id": "c", "backend": {"type": kind, "data": data}}, text)
                  for kind, data, text in CHARDEV),
                *(("object-add", *case) for case in THREAD), *OTHER]:
            assert c.error(command, **more) == (GENERIC, text), (command, more)
        schema = {e["name"]: e for e in c.cmd("query-qmp-schema")}
        flat = schema[schema["object-add"]["arg-type"]]
        assert flat["tag"] == "qom-type"
        assert "secret" in schema[flat["members"][0]["type"]]["values"]
        members = {m["name"] for v in flat["variants"] if v["case"] == "memory-backend-file"
                   for m in schema[v["type"]]["members"]}
        assert {"mem-path", "size", "share"} <= members, members
        c.cmd("object-add", **ram, size=4096, share=True)
        c.cmd("object-add", qom_type="memory-backend-ram", id="m2", props={"size": 8192})
        c.cmd("chardev-add", id="c", backend=ringbuf(4096))
        c.cmd("netdev_add", type="user", id="n", restrict=True, ipv6=False, hostname="x")
        c.cmd("blockdev-add", driver="null-co", node_name="b", size=4096, read_only=True)
        assert c.hmp("object_add memory-backend-ram,id=m3,size=4K,share=on") == ""
        assert c.hmp("netdev_add user,id=n2,restrict=on") == ""
        sizes = {m["id"]: m["size"] for m in c.cmd("query-memdev")}
        assert [sizes[m] for m in ["m", "m2", "m3"]] == [4096, 8192, 4096], sizes


@test
def disks_by_path():
    """disks without ids, and those that libvirt asks for; nodes without a device are resized"""
    with VM("-m", "16M", "-drive", "if=none,id=d0,driver=null-co,size=1M", "-device",
            "virtio-blk-device,drive=d0", "-blockdev", "null-co,node-name=n,size=4096",
            "-device", "virtio-blk-device,id=k,drive=n", machine="microvm") as vm:
        c = vm.qmp()
        backend = "/machine/peripheral/k/virtio-backend"
        for command in ["query-block", "query-blockstats"]:
            assert [d["qdev"] for d in c.cmd(command)] == \
                ["/machine/peripheral-anon/device[0]", backend]
        assert c.cmd("qom-get", path="/machine/peripheral/k", property="virtio-backend") == backend
        assert c.cmd("qom-get", path=backend, property="type") == "virtio-blk-device"
        image = vm.path("image")
        with open(image, "wb") as f:
            f.truncate(4096)
        c.cmd("blockdev-add", driver="raw", node_name="r",
              file={"driver": "file", "filename": image, "node-name": "f"})
        for node, size in [("r", 8192), ("f", 12288)]:
            c.cmd("block_resize", node_name=node, size=size)
            assert os.path.getsize(image) == size
            sizes = {n["node-name"]: n["image"]["virtual-size"]
                     for n in c.cmd("query-named-block-nodes")}
            assert sizes["r"] == sizes["f"] == size, sizes
        assert c.error("block_resize", node_name="x", size=1)[1] == \
            "Cannot find device='' nor node-name='x'"


@test
def abstract_types():
    """qom-list-types with abstract=true lists every parent, and only then"""
    with VM() as vm:
        c = vm.qmp()
        for more in [{}, {"implements": "device"}]:
            types = c.cmd("qom-list-types", abstract=True, **more)
            names = [t["name"] for t in types]
            assert len(names) == len(set(names))
            if not more:
                assert {t["parent"] for t in types if "parent" in t} <= set(names)
            assert {"name": "device", "abstract": True, "parent": "object"} in types
            assert [t for t in types if "abstract" not in t] == c.cmd("qom-list-types", **more)
            assert not [t for t in c.cmd("qom-list-types", abstract=False) if "abstract" in t]


def hand_over(client, name, descriptor):
    """getfd"""
    client.send_fds(json.dumps({"execute": "getfd", "arguments": {"fdname": name}}), [descriptor])
    assert client.receive() == {"return": {}}


@test
def named_descriptors():
    """chardev-add and netdev_add use a name of getfd's up if they succeed, and only then"""
    with VM("-m", "16M", machine="microvm") as vm:
        c = vm.qmp()
        before = vm.fds()
        ours, theirs = socket.socketpair()
        hand_over(c, "chan", theirs.fileno())
        theirs.close()
        data = {"addr": {"type": "fd", "data": {"str": "chan"}}, "server": False}
        with tempfile.TemporaryFile() as file:
            hand_over(c, "file", file.fileno())
        # Whatever fails, and wherever, leaves the names and nothing else.
        for more, text in [({"reconnect": 1}, "'reconnect' option is incompatible with 'fd'"),
                           ({"server": True}, "Failed to listen on fd socket: Invalid argument"),
                           ({"addr": {"type": "fd", "data": {"str": "file"}}},
                            "File descriptor 'file' is not a socket"),
                           ({"addr": {"type": "fd", "data": {"str": "nix"}}},
                            "File descriptor named 'nix' has not been found")]:
            assert c.error("chardev-add", id="c", backend={"type": "socket", "data": {
                **data, **more}})[1] == f"Failed to add chardev 'c': {text}"
        for text, args in [("fd=file is not a socket: Socket operation on non-socket",
                            {"type": "stream", "addr": {"type": "fd", "str": "file"}}),
                           ("Unable to query TUNGETIFF on FD [0-9]+: .*",
                            {"type": "tap", "fds": "chan:file"}),
                           ("File descriptor named 'nix' has not been found",
                            {"type": "tap", "fds": "chan:nix"}),
                           ("File descriptor named 'chan' has not been found",
                            {"type": "tap", "fds": "chan:chan"})]:
            assert re.fullmatch(text, c.error("netdev_add", id="n", **args)[1]), text
        for command in ("netdev_add socket,id=n,fd=chan,listen=:0",
                        "chardev-add socket,id=c,fd=file"):
            assert "Error: " in c.cmd("human-monitor-command", command_line=command)
        assert vm.fds() == before + 2
        c.cmd("chardev-add", id="c", backend={"type": "socket", "data": data})
        assert vm.fds() == before + 2
        ours.settimeout(20)
        assert [d for d in c.cmd("query-chardev") if d["label"] == "c"]
        assert c.error("chardev-add", id="d", backend={"type": "socket", "data": data})[1] == \
            "Failed to add chardev 'd': File descriptor named 'chan' has not been found"
        c.cmd("chardev-remove", id="c")
        assert ours.recv(1) == b""
        again, theirs = socket.socketpair()
        hand_over(c, "chan", theirs.fileno())
        theirs.close()
        c.cmd("netdev_add", id="n", type="stream", addr={"type": "fd", "str": "chan"})
        c.cmd("netdev_del", id="n")
        assert again.recv(1) == b""
        c.cmd("closefd", fdname="file")
        assert vm.fds() == before


def silent(client):
    """Whether nothing more comes from a client's monitor now."""
    client.sock.settimeout(0.01)
    try:
        return client.sock.recv(1, socket.MSG_PEEK) is None
    except (TimeoutError, BlockingIOError):
        return True
    finally:
        client.sock.settimeout(qemutest.PATIENCE)


@test
def long_commands():
    """commands about all of RAM let the loop run, and are answered when they are done"""
    whole = "sum 0 0xffffffff"
    with VM("-m", "3G", machine="microvm", qmp=3, hmp=1) as vm:
        a, b, c, h = vm.qmp(0), vm.qmp(1), vm.qmp(2), vm.hmp()
        a.send(json.dumps({"execute": "human-monitor-command", "id": 7,
                          "arguments": {"command-line": whole}}) + '{"execute": "query-name"}')
        c.send(json.dumps({"execute": "pmemsave", "arguments": {
            "val": 0, "size": 3 << 30, "filename": "/dev/null"}}) + '{"execute": "query-name"}')
        h.until("(qemu) ")
        h.send(whole + "\ninfo name\n")
        h.until(whole + "\r\n")
        for _ in range(3):
            assert b.cmd("query-status")["running"]
        assert silent(a) and silent(c) and silent(h)
        b.cmd("quit")
        assert vm.wait() == 0
    with VM("-m", "16M", machine="microvm", qmp=2, hmp=1) as vm:
        a, b, h = vm.qmp(0), vm.qmp(1), vm.hmp()
        h.until("(qemu) ")
        h.send("sum 0 0x1000000\ninfo status\n")
        assert re.search(r"\n\d{5}\r\n\(qemu\) info status", h.until("VM status: running"))
        a.send(json.dumps({"execute": "pmemsave", "id": "x", "arguments": {
            "val": 0, "size": 16 << 20, "filename": "/dev/full"}}) + '{"execute": "query-name"}')
        first = a.receive()
        assert first.get("id") == "x" and "error" in first, first
        assert a.receive() == {"return": {}}
        r, w = os.pipe()
        a.send_fds('{"execute": "getfd", "arguments": {"fdname": "core"}}', [w])
        os.close(w)
        assert a.receive() == {"return": {}}
        a.send(json.dumps({"execute": "dump-guest-memory", "id": 9,
                          "arguments": {"paging": False, "protocol": "fd:core"}}))
        while b.cmd("query-dump")["status"] != "active":
            pass
        assert b.cmd("query-status")["status"] == "paused"
        with os.fdopen(r, "rb") as core:
            assert len(core.read()) > 16 << 20
        a.event("DUMP_COMPLETED")
        assert a.receive() == {"return": {}, "id": 9}
        assert b.cmd("query-status")["status"] == "running"


@test
def slow_files():
    """a FIFO that nobody reads holds neither the loop nor the end of the process"""
    with tempfile.TemporaryDirectory() as folder, \
            VM("-m", "16M", machine="microvm", qmp=2, hmp=1) as vm:
        a, b, h = vm.qmp(0), vm.qmp(1), vm.hmp()
        h.until("(qemu) ")
        fifo = os.path.join(folder, "fifo")
        os.mkfifo(fifo)
        save = {"val": 0, "size": 1 << 20, "filename": fifo}
        gone = f"Could not open '{fifo}': No such device or address"
        assert a.error("pmemsave", **save) == (GENERIC, gone)
        assert a.error("dump-guest-memory", paging=False, protocol=f"file:{fifo}")[1] == gone
        for data in ({"out": fifo}, {"out": "/dev/null", "logfile": fifo}):
            assert a.error("chardev-add", id="c", backend={"type": "file", "data": data})[0] == \
                GENERIC
        fd = os.open(fifo, os.O_RDWR)
        # What a log does not take is lost, and nobody waits for it.
        a.cmd("chardev-add", id="r", backend={"type": "ringbuf", "data": {"logfile": fifo}})
        a.cmd("chardev-remove", id="r")
        a.send(json.dumps({"execute": "pmemsave", "arguments": save}))
        h.send(f'pmemsave 0 0x100000 "{fifo}"\n')
        for _ in range(3):
            assert b.cmd("query-status")["running"]
        assert silent(a)
        left = 2 << 20
        while left:
            left -= len(os.read(fd, left))
        assert a.receive() == {"return": {}}
        h.until("(qemu) ")
        a.send(json.dumps({"execute": "dump-guest-memory", "arguments": {
            "paging": False, "protocol": f"file:{fifo}"}}))
        assert os.read(fd, 4) == b"\x7fELF"
        assert b.cmd("query-dump")["status"] == "active"
        b.cmd("quit")
        assert vm.wait() == 0
        os.close(fd)


@test
def options():
    """query-command-line-options: the rows of machine, chardevs and networks, and usage texts"""
    with VM() as vm:
        c = vm.qmp()
        listed = {o["option"]: {p["name"]: p["type"] for p in o["parameters"]}
                  for o in c.cmd("query-command-line-options")}
        assert listed["machine"]["mem-merge"] == "boolean", listed
        assert listed["chardev"]["reconnect"] == "number" and "path" in listed["chardev"], listed
        assert {"hostfwd", "vhost"} <= set(listed["netdev"]), listed
        assert set(listed["smp-opts"]) == {"cpus", "maxcpus", "sockets", "dies", "cores", "threads"}
        assert set(listed["add-fd"]) == {"fd", "set", "opaque"}
        # With these libvirt passes "-sandbox on,…".
        assert set(listed["sandbox"]) == {"path", "monitor", "obsolete", "elevateprivileges",
                                          "spawn", "resourcecontrol"}, listed
        assert listed["device"] == {}, listed
        assert [o["option"] for o in c.cmd("query-command-line-options", option="mon")] == ["mon"]
        assert c.error("query-command-line-options", option="zz") == \
            (GENERIC, "invalid option name: zz")


def program_headers(core):
    """(type, offset, vaddr, paddr, filesz) of each program header of an ELF core."""
    assert core[:7] == b"\x7fELF\x02\x01\x01" and core[16:20] == b"\x04\x00\x3e\x00"
    phoff, = struct.unpack_from("<Q", core, 32)
    phentsize, phnum = struct.unpack_from("<HH", core, 54)
    for i in range(phnum):
        kind, _, offset, vaddr, paddr, filesz = struct.unpack_from("<IIQQQQ", core,
                                                                   phoff + i * phentsize)
        yield kind, offset, vaddr, paddr, filesz


@test
def dump():
    """dump-guest-memory: an ELF core with RAM and registers; detached; refused"""
    with VM("-m", "16M", "-smp", "2", machine="microvm", qtest=True) as vm:
        c = vm.qmp()
        q = qemutest.Client(vm.path("qtest"))
        q.send("write 0x123000 0x4 0x11223344\n")
        assert q.until("\n") == "OK\n"
        out = vm.path("core")
        assert c.cmd("query-dump")["status"] == "none"
        c.cmd("dump-guest-memory", paging=False, protocol="file:" + out)
        assert [e["event"] for e in c.events] == ["STOP", "DUMP_COMPLETED", "RESUME"]
        assert c.events[1]["data"]["result"] == {"total": 16 << 20, "completed": 16 << 20,
                                                 "status": "completed"}
        with open(out, "rb") as f:
            core = f.read()
        (note, load) = program_headers(core)
        assert note[0] == 4 and load[0] == 1 and load[3:] == (0, 16 << 20)
        assert core[load[1] + 0x123000:][:4] == b"\x11\x22\x33\x44"
        assert len(core) == load[1] + load[4]
        # Two NT_PRSTATUS notes with the registers at reset.
        assert note[4] == 2 * (12 + 8 + 336)
        rip, = struct.unpack_from("<Q", core, note[1] + 20 + 112 + 16 * 8)
        assert rip == 0xfff0, hex(rip)
        with open(out, "wb") as f:
            c.send_fds('{"execute": "getfd", "arguments": {"fdname": "d"}}', [f.fileno()])
        assert c.receive() == {"return": {}}
        c.events = []
        c.cmd("dump-guest-memory", paging=True, protocol="fd:d", detach=True, begin=0x123000,
              length=4096)
        c.event("DUMP_COMPLETED")
        with open(out, "rb") as f:
            core = f.read()
        *_, load = program_headers(core)
        assert load[3:] == (0x123000, 4096) and core[load[1]:][:4] == b"\x11\x22\x33\x44"
        assert c.cmd("query-dump")["status"] == "completed"
        for bad in [{"protocol": "file:/nope/x"}, {"protocol": "tcp:x"}, {"protocol": "fd:zz"},
                    {"protocol": "file:" + out, "begin": 1},
                    {"protocol": "file:" + out, "begin": 1 << 40, "length": 1},
                    {"protocol": "file:/dev/full"}]:
            assert c.error("dump-guest-memory", paging=False, **bad)[0] == GENERIC, bad
        assert c.cmd("query-status")["running"] is True


@test
def hmp_by_qmp():
    """human-monitor-command: answers, unknown commands, a line of 1 MiB"""
    with VM() as vm:
        c = vm.qmp()
        assert c.hmp("info status") == "VM status: running\r\n"
        assert c.hmp("foo") == "unknown command: 'foo'\r\n"
        assert c.hmp("") == ""
        for line in ["x" * (1 << 20), "p " + "(" * (1 << 20), "p " + "1+" * (1 << 19),
                     "p " + "-" * (1 << 20), 'info "' + "a" * (1 << 20)]:
            assert len(c.hmp(line)) < 4096
        assert c.hmp("p 1+2*3") == "0x7\r\n"


if __name__ == "__main__":
    sys.exit(qemutest.run())
