"""What sandboxes plug in, with a Linux guest: sockets between guest and host, the balloon.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import hashlib
import os
import socket
import subprocess
import threading

import harness
from harness import Qemu, case, check, wait_for
from test_block import Qmp

MIB = 1 << 20
CHUNKS = 64             # of 64 KiB, from the guest
ECHO = 3 * MIB          # from the host and back
JOB = """
V=/bin/vsock-guest
$V send 5000 %d
$V send 5001 1 2>&1 | grep -q 'connect: Connection reset' && echo refused
$V echo 6000
head -c 100M /dev/zero > /tmp/file; rm /tmp/file
echo freed; read line
echo done
""" % CHUNKS


def program():
    """vsock-guest.c for the guest."""
    path = os.path.join(harness.SCRATCH.name, "vsock-guest")
    subprocess.run(["cc", "-O1", "-static", "-o", path,
                    os.path.join(harness.HERE, "vsock-guest.c")], check=True)
    return path, "bin/vsock-guest"


def lcg(length):
    """The bytes that the guest sends."""
    state, data = 1, bytearray()
    for _ in range(length):
        state = (state * 1664525 + 1013904223) & 0xffffffff
        data.append(state >> 24)
    return bytes(data)


def serve_digest(path):
    """A program of the host's: takes one connection, answers with the digest of all of it."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen()

    def run():
        peer, _ = server.accept()
        with peer, server:
            digest = hashlib.sha256()
            while data := peer.recv(100000):
                digest.update(data)
            peer.sendall(digest.hexdigest().encode())
    threading.Thread(target=run, daemon=True).start()


def echo_through_guest(path):
    """Connect to port 6000, send a lot while its echo is read; whether all came back."""
    data = os.urandom(ECHO)
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(harness.BOOT_TIME)
        s.connect(path)
        s.sendall(b"CONNECT 6000\n")
        stream = s.makefile("rb")
        line = stream.readline()
        check(line.startswith(b"OK ") and int(line[3:]) > 0, f"no OK: {line!r}")

        def send():
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        check(stream.read() == data, "the echo is something else")
        sender.join()


def rss(qemu):
    """Bytes of memory that the emulator has from the host."""
    with open(f"/proc/{qemu.process.pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096


def balloon(qmp, qemu):
    """Memory goes and comes: by free page reporting, by the balloon; the guest's account."""
    wait_for(lambda: rss(qemu) < 140 * MIB, "freed pages stay")
    qmp.command("balloon", value=100 * MIB)
    wait_for(lambda: qmp.command("query-balloon")["actual"] == 100 * MIB,
             "the balloon stays small")
    check(qmp.event("BALLOON_CHANGE")["actual"] < 256 * MIB, "the event's figure")
    path = {"path": "/machine/peripheral/b"}
    qmp.command("qom-set", property="guest-stats-polling-interval", value=1, **path)
    stats = {}

    def told():
        stats.update(qmp.command("qom-get", property="guest-stats", **path))
        return stats["last-update"] and stats["stats"]["stat-total-memory"] > 0
    wait_for(told, "no statistics")
    check(stats["stats"]["stat-free-memory"] < stats["stats"]["stat-total-memory"] < 256 * MIB,
          str(stats))
    qmp.command("balloon", value=256 * MIB)
    wait_for(lambda: qmp.command("query-balloon")["actual"] == 256 * MIB,
             "the balloon stays big")


@case("sandbox: vsock both ways, the balloon, free page reporting", "tcg")
def sandbox():
    """One guest with all of it."""
    path, qmp_path = (os.path.join(harness.SCRATCH.name, name) for name in ("vs", "vsqmp"))
    args = harness.machine_args(
        kernel_path=harness.kernel("lean"), append="quiet",
        initrd_path=harness.initrd(JOB, "sandbox", [program()]))
    serve_digest(f"{path}_5000")
    with Qemu([*args, "-no-reboot", "-serial", "stdio", "-qmp",
               f"unix:{qmp_path},server=on,wait=off",
               "-device", f"virtio-vsock-device,guest-cid=42,uds-path={path}",
               "-device", "virtio-balloon-device,id=b,free-page-reporting=on"]) as qemu:
        digest = hashlib.sha256(lcg(CHUNKS << 16)).hexdigest().encode()
        qemu.expect(digest)
        qemu.expect(b"refused")
        qemu.expect(b"listening 6000")
        echo_through_guest(path)
        qemu.expect(b"freed")
        balloon(Qmp(qmp_path), qemu)
        qemu.send("\n")
        qemu.expect(b"done")
        check(qemu.wait() == 0, qemu.tail())
