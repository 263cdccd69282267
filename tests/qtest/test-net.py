#!/usr/bin/env python3
"""Networks in the monitors: test-net.py QEMU prints TAP.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import contextlib
import json
import os
import re
import select
import socket
import sys
import tempfile
import time

import qemutest
from qemutest import SANITIZED, VM, Skip, test


def link_of(q, name):
    """What info network says of a backend, and of the card before it: (its line, the card's)."""
    rows = q.hmp("info network").splitlines()
    for i, row in enumerate(rows):
        if row.startswith(name + ":"):
            return row, None
        if row.startswith(f" \\ {name}:"):
            return row[3:], rows[i - 1]
    return None


@test
def links():
    """set_link by the name of the backend and of the card"""
    with VM("-netdev", "user,id=n0", "-device", "virtio-net-device,netdev=n0,id=card",
            machine="microvm") as vm:
        q = vm.qmp()
        assert "type=user,net=10.0.2.0/24" in link_of(q, "n0")[0]
        for name in ("n0", "card"):
            assert re.fullmatch("card: index=0,type=nic,model=virtio-net-device,macaddr="
                                "[0-9a-f:]{17},link=up", link_of(q, "n0")[1])
            q.cmd("set_link", name=name, up=False)
            assert link_of(q, "n0")[1].endswith(",link=down")
            q.cmd("set_link", name=name, up=True)
        assert q.error("set_link", name="nope", up=True)[0] == "DeviceNotFound"


@test
def add_and_remove():
    """netdev_add and netdev_del, with a card or without"""
    with VM("-device", "virtio-net-device,netdev=n0", "-netdev", "user,id=n0",
            machine="microvm") as vm:
        q = vm.qmp()
        q.cmd("netdev_add", type="user", id="n1", hostfwd=[{"str": "tcp:127.0.0.1:0-:22"}])
        assert link_of(q, "n1")
        assert q.error("netdev_add", type="user", id="n1")[1] == "Duplicate ID 'n1' for netdev"
        assert q.error("netdev_add", type="bogus", id="n2")[1] == \
            "Parameter 'type' does not accept value 'bogus'"
        for name in ("n1", "n0"):
            q.cmd("netdev_del", id=name)
            assert link_of(q, name) is None
        assert q.error("netdev_del", id="n0")[0] == "DeviceNotFound"


@test
def filters():
    """query-rx-filter: what a card receives that no driver has told anything"""
    with VM("-netdev", "socket,id=n0,udp=127.0.0.1:9,localaddr=127.0.0.1:0", "-device",
            "virtio-net-device,netdev=n0,id=net0,mac=52:54:00:00:00:07", machine="microvm") as vm:
        q = vm.qmp()
        assert q.cmd("query-rx-filter") == [{
            "name": "net0", "promiscuous": True, "multicast": "normal", "unicast": "normal",
            "vlan": "all", "broadcast-allowed": True, "multicast-overflow": False,
            "unicast-overflow": False, "main-mac": "52:54:00:00:00:07", "vlan-table": [],
            "unicast-table": [], "multicast-table": []}], q.cmd("query-rx-filter")
        assert q.cmd("query-rx-filter", name="net0") == q.cmd("query-rx-filter")
        assert q.error("query-rx-filter", name="zz") == \
            ("GenericError", "invalid net client name: zz")


@test
def announcements():
    """announce-self: RARP frames with the card's address, as often as asked, stopped by its id"""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        s.settimeout(300)
        with VM("-netdev", f"socket,id=n0,udp=127.0.0.1:{s.getsockname()[1]},localaddr=127.0.0.1:0",
                "-device", "virtio-net-device,netdev=n0,id=net0,mac=52:54:00:00:00:07",
                machine="microvm") as vm:
            q = vm.qmp()
            timing = {"initial": 10, "max": 20, "step": 5}
            q.cmd("announce-self", rounds=3, **timing)
            mac = bytes.fromhex("525400000007")
            frame = (b"\xff" * 6 + mac + bytes.fromhex("8035" "0001" "0800" "0604" "0003") + mac
                     + bytes(4) + mac).ljust(60, b"\0")
            assert [s.recv(2000) for _ in range(3)] == [frame] * 3
            q.cmd("announce-self", rounds=1000, id="bob", interfaces=["net0"], **timing)
            assert s.recv(2000) == frame
            q.cmd("announce-self", rounds=0, id="bob", **timing)
            q.cmd("announce-self", rounds=2, interfaces=["other"], **timing)
            s.settimeout(0.3)
            try:
                for _ in range(20):     # what was under way
                    s.recv(2000)
                raise AssertionError("it goes on")
            except TimeoutError:
                pass
            assert q.hmp("announce_self") == ""
            assert s.recv(2000) == frame
            assert q.error("announce-self", rounds=-1, **timing)[0] == "GenericError"


@test
def one_card():
    """-nic makes one backend and one card"""
    with VM("-nic", "user", machine="microvm") as vm:
        rows = vm.qmp().hmp("info network").splitlines()
        assert len(rows) == 2 and rows[1].startswith(" \\ #net000: index=0,type=user,"), rows
        assert rows[0].startswith("virtio-net-device.0: index=0,type=nic,"), rows


@test
def streams():
    """a stream server takes one peer after the other; its path goes at the end"""
    with tempfile.TemporaryDirectory(prefix="test-net-") as folder:
        path = os.path.join(folder, "socket")
        with VM("-nic", f"stream,id=n0,server=on,addr.type=unix,addr.path={path}",
                machine="microvm") as vm:
            q = vm.qmp()
            for _ in range(3):
                assert link_of(q, "n0")[1].endswith("link=down")
                with socket.socket(socket.AF_UNIX) as peer:
                    peer.connect(path)
                    wait_for(lambda: link_of(q, "n0")[1].endswith("link=up"))
                wait_for(lambda: link_of(q, "n0")[1].endswith("link=down"))
            q.cmd("quit")
            assert vm.wait() == 0
        assert not os.path.exists(path)


def event_of(q, name, netdev):
    """Wait for a NETDEV_STREAM event of a backend; those of others are kept."""
    def is_it(event):
        return event["event"] == f"NETDEV_STREAM_{name}" and event["data"]["netdev-id"] == netdev

    while not any(is_it(event) for event in q.events):
        q.events.append(json.loads(q.line()))
        assert "event" in q.events[-1], q.events[-1]
    event = next(event for event in q.events if is_it(event))
    q.events.remove(event)
    del event["data"]["netdev-id"]
    return event["data"]


@test
def stream_peers():
    """who a stream's peer is: NETDEV_STREAM_CONNECTED and info network; and that it went"""
    with tempfile.TemporaryDirectory(prefix="test-net-") as folder, VM(machine="microvm") as vm, \
            socket.create_server(("127.0.0.1", 0)) as server:
        q, path = vm.qmp(), os.path.join(folder, "socket")
        port = str(server.getsockname()[1])
        q.cmd("netdev_add", type="stream", id="c", addr={"type": "inet", "host": "localhost",
                                                         "port": port})
        want = {"type": "inet", "host": "127.0.0.1", "port": port, "ipv4": True}
        assert event_of(q, "CONNECTED", "c") == {"addr": want}
        assert link_of(q, "c")[0] == f"c: index=0,type=stream,tcp:127.0.0.1:{port}"
        server.accept()[0].close()
        assert event_of(q, "DISCONNECTED", "c") == {}
        assert link_of(q, "c")[0] == "c: index=0,type=stream,"

        q.cmd("netdev_add", type="stream", id="s", server=True, addr={"type": "unix",
                                                                      "path": path})
        for _ in range(2):
            assert link_of(q, "s")[0] == "s: index=0,type=stream,"
            with socket.socket(socket.AF_UNIX) as peer:
                peer.connect(path)
                assert event_of(q, "CONNECTED", "s") == {"addr": {"type": "unix", "path": path}}
                assert link_of(q, "s")[0] == f"s: index=0,type=stream,unix:{path}"
            assert event_of(q, "DISCONNECTED", "s") == {}
        vm_end, ours = socket.socketpair()
        q.send_fds('{"execute": "getfd", "arguments": {"fdname": "f"}}', [vm_end.fileno()])
        assert "return" in q.receive()
        q.cmd("netdev_add", type="stream", id="n", addr={"type": "fd", "str": "f"})
        assert event_of(q, "CONNECTED", "n")["addr"]["type"] == "unix"
        vm_end.close()
        ours.close()
        assert event_of(q, "DISCONNECTED", "n") == {}


@test
def stream_reconnects():
    """reconnect=: a stream whose peer is not there, or goes, looks for it again; one word of it"""
    with tempfile.TemporaryDirectory(prefix="test-net-") as folder:
        path = os.path.join(folder, "peer")
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        with VM("-netdev", f"stream,id=u,addr.type=unix,addr.path={path},reconnect-ms=5",
                "-device", "virtio-net-device,netdev=u", "-netdev", "stream,id=i,addr.type=inet,"
                f"addr.host=127.0.0.1,addr.port={port},addr.keep-alive=on,reconnect-ms=5",
                "-device", "virtio-net-device,netdev=i", machine="microvm") as vm:
            q = vm.qmp()
            assert not [e for e in q.events if "NETDEV" in e["event"]]
            assert link_of(q, "u")[1].endswith("link=down")
            for _ in range(3):
                with socket.socket(socket.AF_UNIX) as first, \
                        socket.create_server(("127.0.0.1", port)) as second:
                    first.bind(path)
                    first.listen()
                    ours = first.accept()[0]
                    assert event_of(q, "CONNECTED", "u")["addr"]["path"] == path
                    theirs = second.accept()[0]
                    assert event_of(q, "CONNECTED", "i")["addr"]["port"] == str(port)
                    assert link_of(q, "u")[1].endswith("link=up")
                    # Nobody is there before the peers go: no new connection in between.
                    os.unlink(path)
                    second.close()
                    ours.close()
                    assert event_of(q, "DISCONNECTED", "u") == {}
                    theirs.close()
                    assert event_of(q, "DISCONNECTED", "i") == {}
                assert link_of(q, "i")[1].endswith("link=down")
            assert vm.stderr().count("netdev u: ") <= 5 and vm.stderr().count("netdev i: ") <= 5
            q.cmd("netdev_del", id="u")
            assert q.cmd("query-status")["running"]


@test
def address_forms():
    """stream and dgram by abstract names, IPv6 alone, multicast; and what cannot be"""
    with VM(machine="microvm") as vm:
        q, name = vm.qmp(), f"test-net-{os.getpid()}"
        q.cmd("netdev_add", type="stream", id="a", server=True, addr={
            "type": "unix", "path": name, "abstract": True})
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect("\0" + name)
            assert event_of(q, "CONNECTED", "a")["addr"] == {
                "type": "unix", "path": name, "abstract": True}
            assert link_of(q, "a")[0] == f"a: index=0,type=stream,unix:@{name}"
        event_of(q, "DISCONNECTED", "a")
        with contextlib.suppress(OSError), socket.create_server(("::1", 0),
                                                                family=socket.AF_INET6) as v6:
            q.cmd("netdev_add", type="stream", id="v6", addr={
                "type": "inet", "host": "::1", "port": str(v6.getsockname()[1]),
                "ipv6": True})
            assert event_of(q, "CONNECTED", "v6")["addr"]["host"] == "::1"
        group = {"type": "inet", "host": "239.0.0.1", "port": str(20000 + os.getpid() % 10000)}
        q.cmd("netdev_add", type="dgram", id="m", remote=group,
              local={"type": "inet", "host": "127.0.0.1", "port": "0"})
        assert link_of(q, "m")[0] == f"m: index=0,type=dgram,mcast=239.0.0.1:{group['port']}"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
            q.send_fds('{"execute": "getfd", "arguments": {"fdname": "f"}}', [ours.fileno()])
            assert "return" in q.receive()
            q.cmd("netdev_add", type="dgram", id="f", remote=group,
                  local={"type": "fd", "str": "f"})
        for options, text in (
                ({"type": "dgram", "local": {"type": "unix", "path": "/x"}},
                 "type=inet or type=unix requires remote parameter"),
                ({"type": "dgram", "remote": {"type": "inet", "host": "127.0.0.1", "port": "1"}},
                 "dgram requires local= parameter"),
                ({"type": "dgram", "remote": group, "local": {"type": "unix", "path": "/x"}},
                 "multicast with local.type=unix: it has to be 'inet' or 'fd'"),
                ({"type": "stream", "addr": group, "server": True, "reconnect": 1},
                 "'reconnect' option is incompatible with socket in server mode"),
                ({"type": "stream", "addr": group, "reconnect": 1, "reconnect-ms": 1},
                 "'reconnect' and 'reconnect-ms' are mutually exclusive"),
                ({"type": "stream", "addr": {**group, "ipv4": False, "ipv6": False}},
                 "Cannot disable IPv4 and IPv6 at same time")):
            assert q.error("netdev_add", id="x", **options)[1] == text, text


def listening_ports(vm):
    """TCP ports of IPv4 on which the program listens."""
    folder = f"/proc/{vm.proc.pid}/fd"
    targets = [os.readlink(f"{folder}/{fd}") for fd in os.listdir(folder)]
    sockets = {target[8:-1] for target in targets if target.startswith("socket:[")}
    with open("/proc/net/tcp", encoding="ascii") as file:
        rows = [line.split() for line in file.readlines()[1:]]
    return {int(row[1].split(":")[1], 16) for row in rows if row[3] == "0A" and row[9] in sockets}


@test
def server_ports():
    """numeric=, to= and mptcp= of addresses: what they do, and where they are refused by name"""
    def addr(**more):
        return {"type": "inet", "host": "127.0.0.1", "port": "0", **more}

    with VM(machine="microvm") as vm, socket.create_server(("127.0.0.1", 0)) as taken:
        q, port = vm.qmp(), taken.getsockname()[1]
        last = min(port + 100, 65535)
        if port < 65000:
            q.cmd("netdev_add", type="stream", id="a", server=True,
                  addr=addr(port=str(port), numeric=True, to=last, mptcp=False))
            q.cmd("netdev_add", type="stream", id="b", server=True,
                  addr=addr(port=str(port), to=last))
            ports = listening_ports(vm)
            assert len(ports) == 2 and port < min(ports) and max(ports) <= last, ports
        for options, text in (
                ({"type": "stream", "server": True, "addr": addr(port=str(port))},
                 "can't bind socket: Address already in use"),
                ({"type": "stream", "server": True, "addr": addr(port=str(port), to=1)},
                 "can't bind socket: Address already in use"),
                ({"type": "stream", "addr": addr(host="localhost", numeric=True)},
                 "address resolution failed for localhost:0: Name or service not known"),
                ({"type": "stream", "server": True, "addr": addr(host="localhost", numeric=True)},
                 "address resolution failed for localhost:0: Name or service not known"),
                ({"type": "stream", "addr": addr(to=1)}, "'to' needs a stream with server=on"),
                ({"type": "dgram", "local": addr(to=1), "remote": addr(port="1")},
                 "'to' needs a stream with server=on"),
                ({"type": "stream", "server": True, "addr": addr(mptcp=True)},
                 "'mptcp': multipath TCP is not supported")):
            assert q.error("netdev_add", id="x", **options)[1] == text, text


def hub_member(q, number, netdev, **options):
    """A member of a group, on a hub with a socket that is ours."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    q.send_fds('{"execute": "getfd", "arguments": {"fdname": "f"}}', [theirs.fileno()])
    assert "return" in q.receive()
    q.cmd("netdev_add", type="dgram", id=f"u{number}", local={"type": "fd", "str": "f"})
    q.cmd("netdev_add", type=netdev, id=f"m{number}", **options)
    for name in ("u", "m"):
        q.cmd("netdev_add", type="hubport", id=f"{name}h{number}", hubid=number,
              netdev=f"{name}{number}")
    theirs.close()
    ours.settimeout(60)
    return ours


def receive_until(s, frame):
    """Until the frame comes; others may be in the group, too."""
    while s.recv(2000) != frame:
        pass


@test
def multicast():
    """frames by a multicast group: socket,mcast=, dgram, and a member from outside"""
    group, here = "239.192.0.1", socket.inet_aton("127.0.0.1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outside, VM(machine="microvm") as vm:
        outside.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        outside.bind((group, 0))
        outside.settimeout(60)
        port = outside.getsockname()[1]
        outside.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                           socket.inet_aton(group) + here)
        outside.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, here)
        with hub_member(vm.qmp(), 1, "socket", mcast=f"{group}:{port}",
                        localaddr="127.0.0.1") as one, \
                hub_member(vm.qmp(), 2, "dgram",
                           remote={"type": "inet", "host": group, "port": str(port)},
                           local={"type": "inet", "host": "127.0.0.1", "port": "0"}) as two:
            all_three = {"one": one, "two": two, "outside": outside}
            for name, s in all_three.items():
                frame = b"\xff" * 12 + f"{os.getpid()} from {name}".encode().ljust(48)
                last = b"\xff" * 12 + f"{os.getpid()} last of {name}".encode().ljust(48)
                for data in (frame, last):
                    if s is outside:
                        s.sendto(data, (group, port))
                    else:
                        s.send(data)
                for other in all_three.values():
                    if other is not s:
                        receive_until(other, frame)
                        receive_until(other, last)


def refuse_all(server):
    """Connect to the server until it answers nobody any more: the connections that fill it."""
    filling = []
    while len(filling) < 64:
        s = socket.socket()
        filling.append(s)
        s.setblocking(False)
        s.connect_ex(server.getsockname())
        if not select.select([], [s], [], 0.5)[1]:
            return filling
    raise Skip("a queue of connections without an end")


@test
def silent_peer():
    """netdev_add waits for no peer: who is silent holds nothing up, and may answer later"""
    with VM("-nic", "user,id=u", machine="microvm") as vm, socket.socket() as server:
        q = vm.qmp()
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        port = server.getsockname()[1]
        filling = refuse_all(server)
        for kind, options in (("stream", {"addr": {"type": "inet", "host": "127.0.0.1",
                                                   "port": str(port)}}),
                              ("socket", {"connect": f"127.0.0.1:{port}"})):
            start = time.monotonic()
            q.cmd("netdev_add", type=kind, id=kind, **options)
            assert time.monotonic() - start < 60, "Linux gives up after two minutes"
            assert q.cmd("query-status")["running"]
        q.cmd("netdev_del", id="socket")
        for s in filling:
            s.close()
        server.settimeout(300)
        with contextlib.ExitStack() as peers:
            while not any(e["event"] == "NETDEV_STREAM_CONNECTED" for e in q.events):
                if select.select([server], [], [], 0.01)[0]:
                    peers.enter_context(server.accept()[0])
                q.cmd("query-status")
            assert link_of(q, "stream")[0].startswith("stream: index=0,type=stream,tcp:127.")
        # Nobody there: the back end stays, without a peer.
        server.close()
        q.cmd("netdev_add", type="stream", id="none", addr={
            "type": "inet", "host": "127.0.0.1", "port": str(port)})
        assert link_of(q, "none")[0] == "none: index=0,type=stream,"


@test
def socket_peers():
    """info network of dgram and socket"""
    with VM(machine="microvm") as vm, socket.create_server(("127.0.0.1", 0)) as server:
        q, port = vm.qmp(), server.getsockname()[1]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as a, \
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as b:
            a.bind(("127.0.0.1", 0))
            b.bind(("127.0.0.1", 0))
            mine, there = a.getsockname()[1], b.getsockname()[1]
            a.close()
            q.cmd("netdev_add", type="dgram", id="d",
                  local={"type": "inet", "host": "127.0.0.1", "port": str(mine)},
                  remote={"type": "inet", "host": "127.0.0.1", "port": str(there)})
        assert link_of(q, "d")[0] == \
            f"d: index=0,type=dgram,udp=127.0.0.1:{mine}/127.0.0.1:{there}"
        q.cmd("netdev_add", type="socket", id="k", connect=f"127.0.0.1:{port}")
        wait_for(lambda: link_of(q, "k")[0] ==
                 f"k: index=0,type=socket,socket: connect to 127.0.0.1:{port}")
        q.cmd("netdev_add", type="socket", id="l", listen="127.0.0.1:0")
        assert link_of(q, "l")[0] == "l: index=0,type=socket,"


HELPER = """import fcntl, os, socket, struct, sys
mode, *rest = sys.argv[1:]
options = dict(o.split("=") for o in rest if "=" in o)
assert "--use-vnet" in rest and options["--br"] == "br7", rest
assert sorted(os.listdir("/proc/self/fd"))[:4] == ["0", "1", "2", "3"], os.listdir("/proc/self/fd")
if mode == "none":
    sys.exit(3)
s = socket.socket(fileno=int(options["--fd"]))
if mode == "silent":
    s.send(b"x")
else:
    fd = os.open("/dev/null" if mode == "other" else "/dev/net/tun", os.O_RDWR)
    if mode == "tap":
        fcntl.ioctl(fd, 0x400454ca, struct.pack("16sH22x", b"qhelp%d", 0x5002))
    socket.send_fds(s, [b"x"], [fd, 1, 2])
"""


@test
def helpers():
    """-netdev bridge and tap,helper=: a program that passes an interface, or fails to"""
    with VM(machine="microvm") as vm:
        error = vm.qmp().error("netdev_add", type="bridge", id="n", helper="/bin/true")[1]
        # Builds with sanitizers confine nothing.
        assert SANITIZED or \
            error == "bridge helper: -sandbox lets no program start while the guest runs", error
    with VM("-sandbox", "off", machine="microvm") as vm:
        q = vm.qmp()
        path = vm.path("helper.py")
        with open(path, "w", encoding="ascii") as f:
            f.write(HELPER)
        for kind in ("bridge", "tap"):
            add = {"type": kind, "id": "n", "br": "br7"}
            for mode, text in (("none", "(status 3)"), ("silent", "(status 0)"),
                               ("other", "Unable to query TUNGETIFF")):
                error = q.error("netdev_add", helper=f"{sys.executable} {path} {mode}", **add)[1]
                assert text in error, error
            if os.geteuid() == 0 and os.path.exists("/dev/net/tun"):
                q.cmd("netdev_add", helper=f"{sys.executable} {path} tap", **add)
                assert re.fullmatch(rf"n: index=0,type={kind},ifname=qhelp\d+",
                                    link_of(q, "n")[0]), link_of(q, "n")
                q.cmd("netdev_del", id="n")
        assert q.cmd("query-status")["status"]


@test
def hub_ports():
    """info network: a hub port is one, once, before a card's back end or behind the card"""
    with VM("-netdev", "user,id=u", "-netdev", "hubport,hubid=1,id=p,netdev=u", "-netdev",
            "hubport,hubid=1,id=c", "-device", "virtio-net-device,netdev=c,id=card",
            machine="microvm") as vm:
        q = vm.qmp()
        port, text = "index=0,type=hubport,hubid=1", q.hmp("info network")
        back_end, above = link_of(q, "u")
        assert back_end.startswith("u: index=0,type=user,") and above == f"p: {port}", text
        assert link_of(q, "c")[0] == f"c: {port}", text
        assert link_of(q, "c")[1].startswith("card: index=0,type=nic,"), text
        assert len(text.splitlines()) == 4, text
        q.cmd("netdev_del", id="u")
        text = q.hmp("info network")
        assert link_of(q, "p") == (f"p: {port}", None), text
        assert len(text.splitlines()) == 3, text


@test
def dumps():
    """filter-dump before or after its back end on the command line, and by object-add"""
    with VM("-object", "filter-dump,id=f,netdev=n,file=/dev/null", "-netdev",
            "hubport,hubid=1,id=n", "-netdev", "hubport,hubid=1,id=m", machine="microvm") as vm:
        q = vm.qmp()
        q.cmd("object-add", qom_type="filter-dump", id="g", netdev="m", file=vm.path("g"))
        assert q.error("object-add", qom_type="filter-dump", id="h", netdev="x", file="/x")[1] == \
            "Parameter 'netdev' expects a network backend id"
        q.cmd("netdev_del", id="m")
        q.cmd("object-del", id="g")
        with open(vm.path("g"), "rb") as f:
            assert len(f.read()) == 24
        q.cmd("object-del", id="f")


def wait_for(condition):
    """Ask until it is so."""
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen")


if __name__ == "__main__":
    sys.exit(qemutest.run())
