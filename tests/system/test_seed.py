"""The command lines that the machine was made for, word by word.

SPDX-License-Identifier: GPL-2.0-or-later

A folder holds vmlinux and test.img, a root file system with a login; everything else
is what the lines say. On another accelerator than KVM "-accel" is added.
"""
import contextlib
import os
import shlex
import socket
import subprocess
import tempfile
import threading

from disks import contents, root_image, tool
from harness import ACCEL, Qemu, case, check, kernel, wait_for
from test_console import open_pty

NORMAL = """qemu-system-x86_64 -M microvm -m 512m -smp 2 \
 -kernel vmlinux -append "console=hvc0 root=/dev/vda" \
 -nodefaults -no-user-config \
 -chardev pty,id=virtiocon0,server \
 -device virtio-serial-device \
 -device virtconsole,chardev=virtiocon0 \
 -drive id=test,file=test.img,format=raw,if=none \
 -device virtio-blk-device,drive=test \
 -netdev tap,id=tap0,script=no,downscript=no \
 -device virtio-net-device,netdev=tap0"""
LEGACY = """qemu-system-x86_64 -M microvm,legacy -m 512m -smp 2 \
 -kernel vmlinux -append "console=ttyS0 root=/dev/vda" \
 -nodefaults -no-user-config \
 -drive id=test,file=test.img,format=raw,if=none \
 -device virtio-blk-device,drive=test \
 -netdev tap,id=tap0,script=no,downscript=no \
 -device virtio-net-device,netdev=tap0 \
 -serial stdio"""

NETWORK = """
ip link set lo up
ip addr add 192.168.78.2/24 dev eth0
ip link set eth0 up
"""
HOST = "192.168.78.1"
PROMPT = rb"seed:[^\n]*# "
SIZE = 200000  # bytes that go out and come back


def ip(*words):
    """Run ip(8) on the host."""
    return subprocess.run(["ip", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          stdin=subprocess.DEVNULL, check=False, text=True)


def new_interface(before):
    """The TAP interface that the emulator made, with an address."""
    wait_for(lambda: set(os.listdir("/sys/class/net")) - before, "no interface appeared")
    name = (set(os.listdir("/sys/class/net")) - before).pop()
    check(name.startswith("tap"), f"the interface is called {name}")
    for words in (["addr", "add", f"{HOST}/24", "dev", name], ["link", "set", name, "up"]):
        done = ip(*words)
        check(done.returncode == 0, done.stdout)
    return name


@contextlib.contextmanager
def echo_server():
    """Sends back what comes until the other side has ended; yields its port."""
    with socket.create_server((HOST, 0)) as listener:
        def serve():
            with contextlib.suppress(OSError):
                while True:
                    peer, _ = listener.accept()
                    with peer:
                        data = b""
                        while len(data) < SIZE:
                            data += peer.recv(65536) or b"end" * SIZE
                        peer.sendall(data)
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]


def login(console):
    """From the login's prompt to the shell's."""
    console.expect(rb"seed login: ")
    console.send("root\n")
    console.expect(PROMPT)


def ask(console, command, answer):
    """The command's output must have a line like this."""
    console.send(command + "\n")
    console.expect(answer + rb"\r\n")
    console.expect(PROMPT)


def visit(console):
    """Processors, root, ping and TCP, a file."""
    login(console)
    ask(console, "echo n=$(nproc)", rb"n=2")
    ask(console, "grep -c '/dev/root / ext4 rw' /proc/mounts", rb"1")
    ask(console, "grep -c \"$(cat /sys/block/vda/dev) / / rw\" /proc/self/mountinfo", rb"1")
    new = f"ping -c 3 -W 10 {HOST} | grep -o '3 packets rec'"
    ask(console, new, rb"3 packets rec")
    with echo_server() as port:
        ask(console, f"head -c {SIZE} /dev/urandom >/root/a; md5sum </root/a >/tmp/a", b"")
        ask(console, f"nc -w 60 {HOST} {port} </root/a | head -c {SIZE} >/root/b", b"")
        ask(console, "md5sum </root/b | cmp - /tmp/a && echo s''ame", rb"same")
    ask(console, "echo kept >/root/kept; sync", b"")


def reboot(console):
    """The file is there afterwards."""
    # Without it the kernel first tries a keyboard controller, for minutes where exits are slow.
    ask(console, "echo triple >/sys/kernel/reboot/type", b"")
    console.send("reboot\n")
    login(console)
    ask(console, "cat /root/k*", rb"kept")


def leave(console):
    """Nothing is to be written any more."""
    console.send("mount -o remount,ro / && echo d''one\n")
    console.expect(rb"done\r\n")


@contextlib.contextmanager
def started(line, tty):
    """The line, in a folder with what it names; its interface gets an address."""
    words = shlex.split(line)[1:]
    if ACCEL != "kvm":
        words += ["-accel", ACCEL]
    before = set(os.listdir("/sys/class/net"))
    with tempfile.TemporaryDirectory(prefix="seed-") as folder:
        os.symlink(kernel("lean"), os.path.join(folder, "vmlinux"))
        disk = os.path.join(folder, "test.img")
        root_image(disk, tty, NETWORK)
        with Qemu(words, cwd=folder) as qemu:
            new_interface(before)
            yield qemu
            status, _ = qemu.stop()
            check(status == 0, f"exit status {status}\n{qemu.tail()}")
        check(set(os.listdir("/sys/class/net")) == before, "the interface is still there")
        tool("e2fsck", "-fn", disk)
        check(contents(disk, "/root/kept") == b"kept\n", "the guest's file is not in the image")


@case("the seed's command line, normal mode: login on a pty, /dev/vda, TAP, reboot, -smp 2")
def normal():
    """The console is where standard output says."""
    with started(NORMAL, "hvc0") as qemu:
        path = qemu.expect(rb"char device redirected to (/dev/pts/\d+) \(label virtiocon0\)")[1]
        with open_pty(path) as peer:
            visit(peer)
            reboot(peer)
            leave(peer)


@case("the seed's command line, legacy mode: the same on -serial stdio")
def legacy():
    """And the kernel's first messages are seen."""
    with started(LEGACY, "ttyS0") as qemu:
        qemu.expect(rb"Linux version ")
        visit(qemu)
        leave(qemu)
