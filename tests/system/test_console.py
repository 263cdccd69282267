"""The virtio console, its ports and the entropy device with real drivers.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import contextlib
import fcntl
import hashlib
import os
import re
import select
import signal
import socket
import struct
import termios
import time
import tty

from harness import (BOOT_TIME, SCRATCH, Failed, Patience, Qemu, case, check, initrd, kernel, machine_args,
                     run_job)

PROMPT = rb"microvm:[^\n]*# "
LEGACY = ["-global", "virtio-mmio.force-legacy=on"]


class Peer:
    """The other end of a chardev: a descriptor to expect text from."""

    def __init__(self, fd):
        self.fd = fd
        self.log = b""

    def expect(self, pattern, timeout=BOOT_TIME):
        """Wait for a regular expression; all that came up to its end."""
        limit = Patience(timeout)
        while True:
            found = re.search(pattern, self.log)
            if found:
                text, self.log = self.log[:found.end()], self.log[found.end():]
                return text
            check(not limit.over(), f"no {pattern!r} in {timeout} s after {self.log[-2000:]!r}")
            if not select.select([self.fd], [], [], limit.wait())[0]:
                continue
            data = os.read(self.fd, 65536)
            if not data:
                raise Failed(f"ended before {pattern!r} after {self.log[-2000:]!r}")
            self.log += data

    def send(self, text):
        """Write all of it."""
        data = text.encode()
        while data:
            data = data[os.write(self.fd, data):]


@contextlib.contextmanager
def open_pty(path):
    """Our end of a pty chardev, as a terminal program has it: raw."""
    fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
    try:
        tty.setraw(fd, termios.TCSANOW)
        yield Peer(fd)
    finally:
        os.close(fd)


def hvc_args(*more):
    """A guest whose console is hvc0, with a shell on it."""
    return machine_args(kernel_path=kernel("lean"), initrd_path=initrd(),
                        append="quiet console=hvc0") + list(more)


def shell(peer):
    """A few commands; hvc sends 16 bytes at a time and spins until they are gone: be short."""
    peer.expect(PROMPT)
    peer.send("echo answer=$((6 * 7))\n")
    peer.expect(rb"answer=42\r\n")
    peer.expect(PROMPT)
    peer.send("seq 1 400; echo end=$((1 + 1))\n")
    lines = re.findall(rb"(?m)^(\d+)\r$", peer.expect(rb"end=2\r\n"))
    check(lines == [b"%d" % i for i in range(1, 401)],
          f"{len(lines)} good lines of 400, the last is {lines[-1:]}")


def size(peer, cols, rows):
    """The terminal has this size; the guest's sees it once something was typed."""
    fcntl.ioctl(peer.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))
    peer.send("\n")
    peer.expect(PROMPT)
    peer.send("sleep 1; stty size\n")
    peer.expect(b"%d %d\r\n" % (rows, cols))
    peer.expect(PROMPT)


def pty_console(*more):
    """The console is found by the line on standard output, and can be left and taken again."""
    args = hvc_args("-chardev", "pty,id=virtiocon0,server", "-device", "virtio-serial-device",
                    "-device", "virtconsole,chardev=virtiocon0", "-no-reboot", *more)
    with Qemu(args) as qemu:
        path = qemu.expect(rb"char device redirected to (/dev/pts/\d+) \(label virtiocon0\)")[1]
        with open_pty(path) as peer:
            shell(peer)
            size(peer, 101, 37)
        with open_pty(path) as peer:
            peer.send("\n")
            peer.expect(PROMPT)
            size(peer, 80, 24)
            peer.send("exit\n")
            status = qemu.wait()
        check(status == 0, f"exit status {status}\n{qemu.tail()}")


case("a shell on a virtio console on a pty")(pty_console)
case("a shell on a virtio console on a pty, legacy")(lambda: pty_console(*LEGACY))


@case("a shell on a virtio console on stdio, one port only")
def stdio_console():
    """Without multiport the driver uses the first port and no control queue."""
    args = hvc_args("-device", "virtconsole,chardev=c", "-chardev", "stdio,id=c,signal=off",
                    "-device", "virtio-serial-device,max_ports=1", "-no-reboot")
    with Qemu(args) as qemu:
        qemu.expect(PROMPT)
        qemu.send("echo ports=$(ls /dev/hvc0 | wc -l)\n")
        qemu.expect(rb"ports=1\r\n")
        qemu.send("exit\n")
        check(qemu.wait() == 0, f"no end\n{qemu.tail()}")


@case("a virtio console on the terminal: SIGWINCH reaches the guest")
def terminal_console():
    """One port: the size is in the configuration space."""
    args = hvc_args("-device", "virtio-serial-device,max_ports=1", "-device",
                    "virtconsole,chardev=c", "-chardev", "stdio,id=c,signal=off", "-no-reboot")
    ours, theirs = os.openpty()
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 120, 0, 0))
    with Qemu(args, stdin=theirs, stdout=theirs) as qemu:
        peer = Peer(ours)
        peer.expect(PROMPT)
        peer.send("stty size\n")
        peer.expect(rb"50 120\r+\n")
        peer.expect(PROMPT)
        # Nothing is typed after the change, which would be noticed by that.
        peer.send("echo st''art; sleep 3; stty size\n")
        peer.expect(rb"start\r+\n")
        fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 51, 121, 0, 0))
        # Nobody's process group is the terminal's here: tell the emulator ourselves.
        qemu.process.send_signal(signal.SIGWINCH)
        peer.expect(rb"51 121\r+\n")
        peer.send("exit\n")
        check(qemu.process.wait(BOOT_TIME) == 0, f"exit status\n{qemu.tail()}")
    os.close(ours)
    os.close(theirs)


PORTS = """
set -e
for dir in /sys/class/virtio-ports/*; do echo "port ${dir##*/} $(cat $dir/name)"; done
port() { basename $(dirname $(grep -lx "$1" /sys/class/virtio-ports/*/name)); }
head -c 3000000 < /dev/$(port org.test.in) > /tmp/in
sha256sum /tmp/in
cat /tmp/in > /dev/$(port org.test.out)
seq 1 1000 > /dev/$(port org.test.file)
# What is on its way when the guest resets is lost: wait until all has come.
head -c 1 < /dev/$(port org.test.in) > /dev/null
"""


def listener(name):
    """A listening socket and its path."""
    path = os.path.join(SCRATCH.name, name)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(path)
    sock.listen()
    return sock, path


@case("data through three ports of two devices, both ways")
def ports():
    """3 MB in and out, unharmed, with a reader that starts late."""
    data = hashlib.shake_256(b"ports").digest(3000000)
    file_path = os.path.join(SCRATCH.name, "port-file")
    in_sock, in_path = listener("port-in")
    out_sock, out_path = listener("port-out")
    nonce = "ports"
    args = machine_args(kernel_path=kernel("lean"), initrd_path=initrd(PORTS, nonce),
                        append="quiet")
    args += ["-serial", "stdio", "-no-reboot",
             "-device", "virtserialport,chardev=o,name=org.test.out,bus=second.0",
             "-device", "virtio-serial-device,id=first",
             "-device", "virtserialport,chardev=i,name=org.test.in,nr=5",
             "-device", "virtio-serial-device,id=second,max_ports=4",
             "-device", "virtserialport,chardev=f,name=org.test.file,bus=second.0",
             "-chardev", f"socket,id=i,path={in_path}", "-chardev", f"socket,id=o,path={out_path}",
             "-chardev", f"file,id=f,path={file_path}"]
    with in_sock, out_sock, Qemu(args) as qemu:
        with in_sock.accept()[0] as peer_in, out_sock.accept()[0] as peer_out:
            peer_in.sendall(data)
            time.sleep(1)
            came = b""
            while len(came) < len(data):
                chunk = peer_out.recv(10000)
                if not chunk:
                    break
                came += chunk
            peer_in.sendall(b"!")
            status = qemu.wait()
    check(came == data, f"{len(came)} bytes of {len(data)} came back, or other ones\n{qemu.tail()}")
    text = qemu.log.decode(errors="replace")
    check("@@ports:end:0@@" in text and status == 0, f"the job failed\n{qemu.tail()}")
    check(hashlib.sha256(data).hexdigest() in text, f"the guest read other bytes\n{qemu.tail()}")
    check("port vport0p5 org.test.in" in text, f"the port's name is missing\n{qemu.tail()}")
    with open(file_path, "rb") as file:
        check(file.read() == b"".join(b"%d\n" % i for i in range(1, 1001)),
              "the file is not what the guest wrote")


HWRNG = """
set -e
cat /sys/class/misc/hw_random/rng_current
dd if=/dev/hwrng of=/tmp/a bs=4096 count=16 2>/dev/null
dd if=/dev/hwrng of=/tmp/b bs=4096 count=16 2>/dev/null
echo sizes $(stat -c %s /tmp/a /tmp/b)
cmp -s /tmp/a /tmp/b || echo differ
echo left $(gzip -9 < /tmp/a | wc -c)
"""


def hwrng(*more):
    """/dev/hwrng gives bytes that do not repeat and do not compress."""
    text = run_job(HWRNG, extra=list(more))
    check("virtio_rng.0\n" in text, f"the driver is not there:\n{text}")
    check("sizes 65536 65536\n" in text and "differ\n" in text, f"bad bytes:\n{text}")
    check(int(re.search(r"left (\d+)", text)[1]) > 65500, f"they compress:\n{text}")


case("entropy by default")(lambda: hwrng("-device", "virtio-rng-device"))
case("entropy from a file, legacy")(
    lambda: hwrng("-device", "virtio-rng-device,rng=r,max-bytes=100000,period=100",
                  "-object", "rng-random,id=r,filename=/dev/urandom", *LEGACY))
