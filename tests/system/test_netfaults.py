"""User networking when peers, the host and the cable misbehave.

SPDX-License-Identifier: GPL-2.0-or-later

On the software CPU, which is quicker where KVM is emulated: KVM has no part in it.
"""
import contextlib
import os
import resource
import socket
import struct
import tempfile
import time

from harness import Patience, Qemu, case, check, initrd, kernel, machine_args
from test_block import Qmp
from test_net import DHCP, NIC, server

# Servers of the guest: echo, a flood, a megabyte; nothing on port 84.
SERVICES = """
nc -ll -p 80 -e cat &
nc -ll -p 82 -e yes &
nc -ll -p 83 -e head -c 1000000 /dev/zero &
sleep 1
echo "@@up@@"
exec sh </dev/console
"""
PORTS = (80, 82, 83, 84)


def free_ports(count):
    """Ports of the loopback interface that nobody listens on."""
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(socket.create_server(("127.0.0.1", 0)))
                 for _ in range(count)]
        return [sock.getsockname()[1] for sock in socks]


@contextlib.contextmanager
def guest():
    """A guest with these servers; yields the emulator, {guest's port: host's port}, monitor."""
    ports = dict(zip(PORTS, free_ports(len(PORTS))))
    forwards = "".join(f",hostfwd=tcp:127.0.0.1:{ours}-:{port}" for port, ours in ports.items())
    args = machine_args(kernel_path=kernel("lean"), append="quiet",
                        initrd_path=initrd(DHCP + SERVICES, "faults"))
    with tempfile.TemporaryDirectory(prefix="netfaults-") as folder:
        name = os.path.join(folder, "qmp")
        with Qemu([*args, "-no-reboot", "-serial", "stdio", "-netdev", "user,id=n0" + forwards,
                   *NIC, "-qmp", f"unix:{name},server=on,wait=off"]) as qemu:
            qemu.expect(rb"@@up@@")
            yield qemu, ports, Qmp(name)
            qemu.send("exit\n")
            check(qemu.wait() == 0, f"exit status\n{qemu.tail()}")


def connect(port):
    """A connection to a forwarded port."""
    return socket.create_connection(("127.0.0.1", port), 60)


def echo(port, text=b"are you there?"):
    """The guest's echo server answers."""
    with connect(port) as peer:
        peer.sendall(text)
        got = b""
        while len(got) < len(text):
            chunk = peer.recv(65536)
            check(chunk, "the echo server closed")
            got += chunk
        check(got == text, f"{got!r} came back")


def network(qemu):
    """The process of user networks."""
    pid = qemu.process.pid
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return int(file.read())


def open_files(qemu):
    """Descriptors of both processes."""
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in (qemu.process.pid, network(qemu)))


def resident(qemu):
    """KiB of memory of both, the guest's included."""
    pages = 0
    for pid in (qemu.process.pid, network(qemu)):
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:
            pages += int(file.read().split()[1])
    return pages * resource.getpagesize() // 1024


@case("user network: 1000 connections to a closed port of the guest leave nothing behind", "tcg")
def closed_port():
    """Each is accepted here, refused there, and gone."""
    with guest() as (qemu, ports, _):
        echo(ports[80])
        time.sleep(1)
        before = open_files(qemu)
        for _ in range(1000):
            with connect(ports[84]) as peer, contextlib.suppress(ConnectionResetError):
                check(peer.recv(1) == b"", "a closed port has sent something")
        echo(ports[80])
        limit = Patience(20)
        while open_files(qemu) > before + 2 and not limit.over():
            time.sleep(0.2)
        check(open_files(qemu) <= before + 2, f"{before} became {open_files(qemu)} descriptors")


@case("user network: a peer that never reads, one that resets, one that is slow to the end", "tcg")
def bad_peers():
    """Memory stays bounded, other connections work, nothing is lost that was sent."""
    with guest() as (qemu, ports, _):
        echo(ports[80])
        before = resident(qemu)
        with connect(ports[82]) as deaf, connect(ports[83]) as slow:
            for _ in range(50):
                with connect(ports[80]) as peer:
                    peer.sendall(b"x" * 5000)
                    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            time.sleep(3)
            echo(ports[80], b"y" * 100000)
            check(resident(qemu) - before < 64 * 1024,
                  f"{before} KiB became {resident(qemu)} KiB")
            got = 0
            while chunk := slow.recv(4096):
                check(not chunk.strip(b"\0"), "other bytes than were sent")
                got += len(chunk)
            check(got == 1000000, f"{got} bytes of a million before the end")
            check(deaf.recv(4) == b"y\ny\n", "the flood has stopped")
        echo(ports[80])


@case("user network: no more descriptors: old connections live, new ones come later", "tcg")
def no_descriptors():
    """RLIMIT_NOFILE is lowered under the process of user networks and raised again."""
    with server(socket.AF_INET, "127.0.0.1", lambda peer: peer.sendall(b"welcome\n")) as port, \
            guest() as (qemu, ports, _):
        ask = f"nc -w 3 10.0.2.2 {port} </dev/null | grep welcome || echo n''ot\n"
        with connect(ports[80]) as old:
            old.sendall(b"first")
            check(old.recv(5) == b"first", "no echo")
            process = network(qemu)
            limit = resource.prlimit(process, resource.RLIMIT_NOFILE)
            numbers = [int(name) for name in os.listdir(f"/proc/{process}/fd")]
            lowest = next(n for n in range(len(numbers) + 1) if n not in numbers)
            resource.prlimit(process, resource.RLIMIT_NOFILE, (lowest, limit[1]))
            qemu.send(ask)
            qemu.expect(rb"not\r?\n")
            old.sendall(b"second")
            check(old.recv(6) == b"second", "the old connection is dead")
            resource.prlimit(process, resource.RLIMIT_NOFILE, limit)
            qemu.send(ask)
            qemu.expect(rb"welcome\r?\n")
        echo(ports[80])


@case("the cable is pulled and put back: the guest sees it, connections go on", "tcg")
def cable():
    """set_link by the netdev's name."""
    with guest() as (qemu, ports, qmp):
        with connect(ports[80]) as peer:
            peer.sendall(b"before")
            check(peer.recv(6) == b"before", "no echo")
            qmp.command("set_link", name="n0", up=False)
            qemu.send("echo carrier=$(cat /sys/class/net/eth0/carrier)\n")
            qemu.expect(rb"carrier=0\r?\n")
            peer.sendall(b"meanwhile")
            time.sleep(1)
            qmp.command("set_link", name="n0", up=True)
            qemu.send("echo carrier=$(cat /sys/class/net/eth0/carrier)\n")
            qemu.expect(rb"carrier=1\r?\n")
            check(peer.recv(9) == b"meanwhile", "what was sent while it was out is lost")
        echo(ports[80])
