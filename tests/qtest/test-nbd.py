#!/usr/bin/env python3
"""The NBD server, with Debian's clients and hostile ones. test-nbd.py QEMU prints TAP.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import contextlib
import json
import os
import random
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

import qemutest
from qemutest import VM, Skip, is_locked, no_leaks, test

MIB = 1 << 20
OPTION = 0x49484156454F5054
GO, LIST, INFO, STRUCTURED, LIST_META, SET_META = 7, 3, 6, 8, 9, 10


def tool(*args):
    """What one of Debian's programs prints, if it is here."""
    if not shutil.which(args[0]):
        raise Skip(f"there is no {args[0]}")
    return subprocess.run(args, check=True, stdout=subprocess.PIPE, timeout=60, text=True).stdout


class Server:
    """A machine with two images, of which one is a disk, and its NBD server."""

    def __enter__(self):
        self.tmp = tempfile.TemporaryDirectory()
        self.dir = self.tmp.name
        tool("qemu-img", "create", "-q", "-f", "qcow2", self.path("disk"), "8M")
        tool("qemu-img", "create", "-q", "-f", "raw", self.path("free"), "8M")
        tool("qemu-io", "-f", "qcow2", "-c", "write -P 7 1M 2M", self.path("disk"))
        self.vm = VM("-blockdev", "driver=qcow2,node-name=disk,file.driver=file,"
                     f"file.filename={self.path('disk')}",
                     "-device", "virtio-blk-device,drive=disk",
                     "-blockdev", "driver=raw,node-name=free,file.driver=file,"
                     f"file.filename={self.path('free')}", machine="microvm").__enter__()
        self.qmp = self.vm.qmp()
        self.qmp.cmd("block-dirty-bitmap-add", node="disk", name="x", granularity=4096)
        self.start()
        return self

    def __exit__(self, *args):
        self.vm.__exit__(*args)
        self.tmp.cleanup()

    def path(self, name):
        return os.path.join(self.dir, name)

    def start(self):
        self.qmp.cmd("nbd-server-start", addr={"type": "unix",
                                               "data": {"path": self.path("sock")}})
        self.qmp.cmd("block-export-add", type="nbd", id="r", node_name="disk", bitmaps=["x"])
        self.qmp.cmd("block-export-add", type="nbd", id="w", node_name="free", name="wr",
                     writable=True)

    def uri(self, name):
        return f"nbd+unix:///{name}?socket={self.path('sock')}"

    def connect(self):
        """A connection whose greeting was read."""
        s = socket.socket(socket.AF_UNIX)
        s.connect(self.path("sock"))
        s.settimeout(30)
        assert recv(s, 18) == struct.pack(">QQH", 0x4e42444d41474943, OPTION, 3)
        return s


def recv(s, n):
    """n bytes; fewer if the other side hangs up."""
    data = b""
    while len(data) < n:
        with contextlib.suppress(ConnectionResetError):
            piece = s.recv(n - len(data))
            if piece:
                data += piece
                continue
        break
    return data


def option(s, number, data=b""):
    """Send an option; its replies as (type, data), up to the last."""
    s.sendall(struct.pack(">QII", OPTION, number, len(data)) + data)
    replies = []
    while not replies or replies[-1][0] in (2, 3, 4):
        magic, _, kind, size = struct.unpack(">QIII", recv(s, 20))
        assert magic == 0x3e889045565a9, hex(magic)
        replies.append((kind, recv(s, size)))
    return replies


def go(s, name):
    """Transmission begins."""
    data = name.encode()
    replies = option(s, GO, struct.pack(">I", len(data)) + data + struct.pack(">H", 0))
    assert replies[-1][0] == 1, replies


def request(s, kind, offset, size, data=b"", flags=0):
    """A request; the error of its simple reply."""
    s.sendall(struct.pack(">IHHQQI", 0x25609513, flags, kind, 99, offset, size) + data)
    magic, error, cookie = struct.unpack(">IIQ", recv(s, 16))
    assert magic == 0x67446698 and cookie == 99
    return error


@test
def clients():
    """qemu-img and qemu-io read and write; map shows allocation and bitmaps"""
    with Server() as v:
        tool("qemu-img", "compare", "-U", v.uri("disk"), v.path("disk"))
        extents = json.loads(tool("qemu-img", "map", "--output=json", v.uri("disk")))
        assert [(e["start"], e["zero"]) for e in extents] == \
            [(0, True), (MIB, False), (3 * MIB, True)], extents
        tool("qemu-img", "map", "--output=json", "--image-opts", "driver=nbd,export=disk,"
             f"server.type=unix,server.path={v.path('sock')},x-dirty-bitmap=qemu:dirty-bitmap:x")
        tool("qemu-io", "-f", "raw", "-c", "write -P 3 64k 3M", "-c", "write -z 1M 64k",
             "-c", "discard 2M 64k", "-c", "write -f -P 5 512 512", "-c", "flush",
             "-c", "read -P 3 64k 960k", "-c", "read -P 0 1M 64k", "-c", "read -P 5 512 512",
             v.uri("wr"))
        assert v.qmp.cmd("query-block-exports")[1] == {
            "id": "w", "type": "nbd", "node-name": "free", "shutting-down": False}
        v.qmp.error("blockdev-del", node_name="free")
        v.qmp.error("block-dirty-bitmap-remove", node="disk", name="x")
        v.qmp.error("block-export-add", type="nbd", id="v", node_name="disk", name="v",
                    writable=True)
        tool("qemu-img", "create", "-q", "-f", "raw", v.path("more"), "8M")
        v.qmp.cmd("blockdev-add", driver="file", node_name="more", filename=v.path("more"))
        v.qmp.cmd("block-dirty-bitmap-add", node="more", name="z")
        v.qmp.cmd("block-export-add", type="nbd", id="z", node_name="disk", name="z",
                  bitmaps=[{"node": "more", "name": "z"}])
        v.qmp.error("blockdev-del", node_name="more")
        v.qmp.cmd("block-export-del", id="z")
        v.qmp.event("BLOCK_EXPORT_DELETED")
        v.qmp.cmd("blockdev-del", node_name="more")
        v.qmp.cmd("nbd-server-stop")
        assert sorted(v.qmp.event("BLOCK_EXPORT_DELETED")["data"]["id"] for _ in "rw") == ["r", "w"]
        tool("qemu-io", "-f", "raw", "-c", "read -P 5 512 512", v.path("free"))
        v.qmp.error("block-export-add", type="nbd", id="r", node_name="disk")
        v.qmp.cmd("blockdev-del", node_name="free")


@test
def libnbd():
    """nbdinfo and nbdcopy of libnbd"""
    with Server() as v:
        text = tool("nbdinfo", "--list", v.uri(""))
        assert 'export="disk"' in text and 'export="wr"' in text, text
        assert "qemu:dirty-bitmap:x" in text, text
        tool("nbdcopy", v.uri("disk"), v.path("copy"))
        tool("qemu-img", "compare", "-U", "-f", "raw", "-F", "qcow2", v.path("copy"),
             v.path("disk"))
        tool("nbdcopy", v.path("copy"), v.uri("wr"))
        tool("qemu-img", "compare", "-U", v.uri("wr"), v.path("copy"))


@test
def our_client():
    """-drive, -blockdev and blockdev-mirror to exports of another machine, which then dies"""
    with no_leaks(), Server() as v:
        tool("qemu-img", "create", "-q", "-f", "qcow2", v.path("own"), "8M")
        tool("qemu-io", "-f", "qcow2", "-c", "write -P 9 3M 1M", v.path("own"))
        nbd = {"driver": "nbd", "server": {"type": "unix", "path": v.path("sock")}}
        with VM("-drive", f"file=nbd:unix:{v.path('sock')}:exportname=disk,format=raw,if=none,"
                "id=d,read-only=on", "-object", "iothread,id=io",
                "-device", "virtio-blk-device,drive=d,iothread=io",
                "-blockdev", f"driver=qcow2,node-name=own,file.driver=file,"
                f"file.filename={v.path('own')}", "-device", "virtio-blk-device,drive=own",
                machine="microvm") as vm:
            qmp = vm.qmp()
            disk = qmp.cmd("query-block")[0]["inserted"]
            assert disk["image"]["virtual-size"] == 8 * MIB, disk
            assert disk["file"] == v.uri("disk"), disk
            for wrong, text in (({"export": "none"}, "not available"),
                                ({"tls-creds": "t"}, "'tls-creds' is not supported"),
                                ({"export": "disk"}, "denied without write permission"),
                                ({"server": {"type": "unix", "path": v.path("no")}},
                                 "Failed to connect")):
                error = qmp.error("blockdev-add", node_name="n", **{**nbd, **wrong})[1]
                assert text in error, error
            qmp.cmd("blockdev-add", node_name="n", export="wr", **nbd)
            qmp.cmd("blockdev-mirror", job_id="m", device="own", target="n", sync="full")
            qmp.event("BLOCK_JOB_READY")
            tool("qemu-img", "compare", "-U", "-f", "raw", "-F", "qcow2", v.uri("wr"),
                 v.path("own"))
            qmp.cmd("job-complete", id="m")
            qmp.event("BLOCK_JOB_COMPLETED")
            assert qmp.cmd("query-block")[1]["inserted"]["drv"] == "nbd"
            # Whom we connect to is not for an image to say.
            for name in (v.uri("disk"), "json:" + json.dumps({"driver": "raw", "file": nbd})):
                tool("qemu-img", "create", "-q", "-u", "-f", "qcow2", "-F", "raw", "-b", name,
                     v.path("top"), "8M")
                error = qmp.error("blockdev-add", driver="qcow2", node_name="top",
                                  file={"driver": "file", "filename": v.path("top")})[1]
                assert "names an image by 'nbd'" in error, error
            v.vm.kill()
            qmp.cmd("blockdev-mirror", job_id="m", device="d", target="own", sync="full",
                    on_source_error="report")
            done = qmp.event("BLOCK_JOB_COMPLETED")["data"]
            assert "error" in done, done
            qmp.cmd("quit")
            vm.wait()


@test
def other_server():
    """a mirror to Debian's qemu-nbd, which dies and comes back meanwhile: reconnect-delay"""
    with tempfile.TemporaryDirectory() as folder:
        copy, own, sock = (os.path.join(folder, name) for name in ("copy", "own", "sock"))
        tool("qemu-img", "create", "-q", "-f", "raw", copy, "16M")
        tool("qemu-img", "create", "-q", "-f", "raw", own, "16M")
        tool("qemu-io", "-f", "raw", "-c", "write -P 9 3M 10M", own)

        def serve():
            tool("qemu-nbd", "--fork", "-t", "-e", "9", "-f", "raw", "-k", sock, "-x", "e",
                 "--pid-file", sock + ".pid", copy)

        def kill():
            with open(sock + ".pid", encoding="ascii") as file:
                pid = int(file.read())
            os.kill(pid, signal.SIGKILL)
            os.unlink(sock)
            # Its last thread lets go of the files, whatever has become of the first.
            while is_locked(copy) or is_locked(sock + ".pid"):
                time.sleep(0.01)

        serve()
        with VM("-blockdev", f"driver=file,node-name=own,filename={own}",
                "-device", "virtio-blk-device,drive=own",
                "-blockdev", f"driver=nbd,node-name=n,server.type=unix,server.path={sock},export=e,"
                "reconnect-delay=1000", machine="microvm") as vm:
            qmp = vm.qmp()
            qmp.cmd("blockdev-mirror", job_id="m", device="own", target="n", sync="full",
                    speed=4 * MIB)
            while not qmp.cmd("query-jobs")[0]["current-progress"]:
                pass
            kill()
            serve()
            qmp.cmd("block-job-set-speed", device="m", speed=0)
            qmp.event("BLOCK_JOB_READY")
            qmp.cmd("block-job-cancel", device="m")
            assert "error" not in qmp.event("BLOCK_JOB_COMPLETED")["data"]
            qmp.cmd("quit")
            vm.wait()
        kill()
        tool("qemu-img", "compare", "-f", "raw", "-F", "raw", copy, own)


@test
def removal():
    """an export that clients use goes only by force; stalled clients hold nobody"""
    with Server() as v:
        stalled = [v.connect() for _ in range(3)]
        stalled[1].sendall(struct.pack(">I", 3) + b"IHAVE")
        used = v.connect()
        used.sendall(struct.pack(">I", 3))
        go(used, "disk")
        v.qmp.error("block-export-del", id="r")
        v.qmp.cmd("block-export-del", id="r", mode="hard")
        assert v.qmp.event("BLOCK_EXPORT_DELETED")["data"]["id"] == "r"
        assert recv(used, 1) == b""
        assert v.qmp.cmd("query-status")["status"]
        v.qmp.cmd("nbd-server-remove", name="w")
        v.qmp.event("BLOCK_EXPORT_DELETED")
        v.qmp.cmd("nbd-server-stop")
        for s in stalled:
            assert recv(s, 1) == b""
        v.start()
        used = v.connect()
        used.sendall(struct.pack(">I", 3))
        go(used, "wr")
        used.sendall(struct.pack(">IHHQQI", 0x25609513, 0, 1, 99, 0, 32 * MIB) + b"half of it")
        v.qmp.cmd("quit")
        v.vm.wait()


@test
def requests():
    """what is outside, too long, not aligned or not allowed gets the protocol's errors"""
    with Server() as v:
        s = v.connect()
        s.sendall(struct.pack(">I", 3))
        assert option(s, 5)[-1][0] == 0x80000002        # TLS
        assert option(s, 77)[-1][0] == 0x80000001
        assert option(s, LIST, b"x")[-1][0] == 0x80000003
        assert option(s, INFO, b"\xff\xff\xff\xff")[-1][0] == 0x80000003
        assert option(s, SET_META, b"\0" * 8)[-1][0] == 0x80000003
        assert option(s, LIST, b"y" * 70000)[-1][0] == 0x80000009
        go(s, "disk")
        for kind, offset, size, data, error in (
                (0, 8 * MIB, 512, b"", 22), (0, 2 ** 64 - 512, 512, b"", 22), (0, 1, 512, b"", 22),
                (0, 0, 0, b"", 22), (0, 0, 33 * MIB, b"", 22), (1, 0, 512, bytes(512), 1),
                (4, 0, 512, b"", 1), (6, 0, 512, b"", 1), (7, 0, 512, b"", 22),
                (55, 0, 512, b"", 22), (3, 1, 1, b"", 0)):
            assert request(s, kind, offset, size, data) == error, (kind, offset, size)
        assert request(s, 0, MIB, 512) == 0 and recv(s, 512) == b"\x07" * 512
        s = v.connect()
        s.sendall(struct.pack(">I", 3))
        go(s, "wr")
        assert request(s, 1, 8 * MIB, 512, bytes(512)) == 28
        assert request(s, 6, 0, 8 * MIB) == 0
        s.sendall(struct.pack(">IHHQQI", 0x25609513, 0, 1, 99, 0, 2 ** 32 - 512))
        assert recv(s, 1) == b""


@test
def garbage():
    """random bytes at every state; many connections; the monitor answers all the while"""
    with Server() as v:
        rng = random.Random(14)
        for n in range(300):
            s = v.connect()
            data = bytearray(struct.pack(">I", 3))
            for number in rng.sample([GO, LIST, INFO, STRUCTURED, LIST_META, SET_META], 3):
                name = b"disk" if rng.random() < 0.8 else rng.randbytes(rng.randrange(9))
                body = struct.pack(">I", len(name)) + name
                body += struct.pack(">I", 1) + struct.pack(">I", 5) + b"base:" \
                    if number in (LIST_META, SET_META) else struct.pack(">H", 0)
                body = b"" if number in (LIST, STRUCTURED) else body
                data += struct.pack(">QII", OPTION, number, len(body)) + body
            data += b"".join(struct.pack(">IHHQQI", 0x25609513, rng.randrange(16),
                                         rng.randrange(9), 1, rng.randrange(9 * MIB),
                                         rng.randrange(MIB)) for _ in range(4))
            for _ in range(n % 4):
                data[rng.randrange(len(data))] = rng.randrange(256)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                s.sendall(data)
            s.close()
        many = []
        for _ in range(150):
            s = socket.socket(socket.AF_UNIX)
            s.connect(v.path("sock"))
            many.append(s)
        assert v.qmp.cmd("query-status")["status"]
        for s in many:
            s.close()
        # A place is free when the main loop has seen that. (A socket that has a limit of time does
        # not wait for room in the queue of connections.)
        while True:
            s = socket.socket(socket.AF_UNIX)
            s.connect(v.path("sock"))
            s.settimeout(30)
            if recv(s, 18):
                break
        s.sendall(struct.pack(">I", 3))
        go(s, "disk")
        assert request(s, 0, MIB, 512) == 0


def begin(qmp, node):
    """blockdev-add, whose answer is another matter."""
    qmp.send(json.dumps({"execute": "blockdev-add", "arguments": node}))


@test
def silent():
    """a node on a server that never answers: the guest and other monitors go on meanwhile"""
    with tempfile.TemporaryDirectory() as tmp, contextlib.ExitStack() as stack:
        path = os.path.join(tmp, "s")
        server = stack.enter_context(socket.socket(socket.AF_UNIX))
        server.bind(path)
        server.listen(9)
        vm = stack.enter_context(VM(machine="microvm", qmp=4))
        first, second, third, fourth = [vm.qmp(n) for n in range(4)]
        node = {"driver": "raw", "node-name": "n", "file": {
            "driver": "nbd", "server": {"type": "unix", "path": path}, "x-reply-timeout": 1000}}

        # A server has 10 s, which are not over when both have connected and another is answered.
        begin(first, node)
        first.send('{"execute": "query-version"}')
        begin(second, dict(node, **{"node-name": "other"}))
        peers = [server.accept()[0] for _ in range(2)]
        assert third.cmd("query-named-block-nodes") == []
        assert not select.select(peers, [], [], 0)[0]
        # The client goes: so does its connection.
        second.close()
        gone = select.select(peers, [], [], 60)[0]
        assert gone[0].recv(1) == b""
        peers.remove(gone[0])
        # It hangs up: that is the answer.
        peers[0].close()
        assert "does not answer" in first.receive()["error"]["desc"]
        assert "qemu" in first.receive()["return"]
        # Others may open the same at the same time, and one of them is late.
        image = os.path.join(tmp, "i")
        with open(image, "wb") as f:
            f.truncate(1 << 20)
        export = {"driver": "nbd", "node-name": "x", "read-only": True,
                  "server": {"type": "unix", "path": os.path.join(tmp, "real")},
                  "open-timeout": 60}
        begin(first, export)
        begin(third, dict(export, **{"node-name": "y"}))
        assert fourth.cmd("query-named-block-nodes") == []
        serve = subprocess.Popen(["qemu-nbd", "-r", "-t", "-f", "raw", "-e", "9", "-k",
                                  export["server"]["path"], image])
        stack.callback(serve.wait)
        stack.callback(serve.kill)
        assert first.receive() == {"return": {}}
        assert third.receive() == {"return": {}}
        assert {n["node-name"] for n in fourth.cmd("query-named-block-nodes")} == {"x", "y"}
        # A second reader shares the connection, which need not be answered then.
        os.kill(serve.pid, signal.SIGSTOP)
        fourth.cmd("blockdev-add", **{"driver": "raw", "node-name": "r1", "read-only": True,
                                      "file": "x"})
        fourth.cmd("blockdev-add", **{"driver": "raw", "node-name": "r2", "read-only": True,
                                      "file": "x"})
        os.kill(serve.pid, signal.SIGCONT)
        for name in ("r2", "r1", "x", "y"):
            fourth.cmd("blockdev-del", **{"node-name": name})


if __name__ == "__main__":
    sys.exit(qemutest.run())
