"""Hosts that fail under a device: I/O errors, short transfers, peers that stall or leave.

SPDX-License-Identifier: GPL-2.0-or-later

On the software CPU, which is quicker where KVM is emulated: KVM has no part in it.
"""
import contextlib
import errno
import hashlib
import os
import re
import socket
import tempfile
import time

from harness import SCRATCH, Qemu, case, check, initrd, kernel, machine_args, run_job
from test_block import COPY, MIB, Qmp, digest, disk, image
from test_console import open_pty
from test_crash import shim
from test_net import cpu_seconds


@contextlib.contextmanager
def failing(fault, job, drive=""):
    """A guest at a job while the image's operations fail (IO_FAIL of io-shim.c).

    Yields the emulator and its monitor; the guest must end well."""
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        path = image("faults")
        env = {**shim(folder), "IO_INODE": str(os.stat(path).st_ino), "IO_FAIL": fault}
        name = os.path.join(folder, "qmp")
        args = machine_args(kernel_path=kernel("lean"), append="quiet",
                            initrd_path=initrd(job, "faults"))
        args += ["-S", "-no-reboot", "-serial", "stdio", "-qmp", f"unix:{name},server=on,wait=off",
                 *disk(path, "aio=threads" + drive)]
        with Qemu(args, env=env) as qemu:
            # The kernel reads the disk early: an event before we listen would be lost.
            qmp = Qmp(name)
            qmp.command("cont")
            yield qemu, qmp
            status = qemu.wait()
            check(status == 0 and b"@@faults:end:0@@" in qemu.log, f"no good end\n{qemu.tail()}")


WRITE = """
dd if=/dev/zero of=/dev/vda bs=64k count=16 conv=fsync 2>/tmp/said && echo nothing said
cat /tmp/said
dd if=/dev/vda of=/dev/null bs=64k count=16 skip=32 2>/dev/null && echo reads
dd if=/dev/zero of=/dev/vda bs=64k count=16 conv=fsync 2>/dev/null && echo writes again
"""


@case("an I/O error on a write is the guest's, and reported once a failure", "tcg")
def write_error():
    """The default policy: the machine runs on."""
    with failing(f"w {errno.EIO} 1 1", WRITE) as (qemu, qmp):
        data = qmp.event("BLOCK_IO_ERROR")
        check(data["action"] == "report" and data["operation"] == "write" and
              not data["nospace"] and data["device"] == "d0", str(data))
        qemu.expect(rb"Input/output error")
        qemu.expect(rb"reads\r?\n")
        qemu.expect(rb"writes again\r?\n")
    check(b"nothing said" not in qemu.log, f"the error was kept from the guest\n{qemu.tail()}")


@case("an I/O error on a read is the guest's; later reads work", "tcg")
def read_error():
    """rerror=report is the default."""
    job = "dd if=/dev/vda of=/dev/null bs=64k count=1 skip=9 || true\n" \
          "dd if=/dev/vda of=/tmp/x bs=64k count=1 skip=9 && sha256sum </tmp/x"
    # One error: the kernel's partition scan reads first.
    with failing(f"r {errno.EIO} 1 1", "blockdev --flushbufs /dev/vda\n" + job) as (qemu, qmp):
        data = qmp.event("BLOCK_IO_ERROR")
        check(data["action"] == "report" and data["operation"] == "read", str(data))
    path = os.path.join(SCRATCH.name, "faults")
    check(digest(path, 9 * 65536, 65536).encode() in qemu.log, f"other bytes\n{qemu.tail()}")


STOP = """
head -c 3000000 /dev/zero | tr '\\0' 'z' >/tmp/z
dd if=/tmp/z of=/dev/vda bs=1M conv=fsync 2>/dev/null && echo nothing noticed
"""


@case("werror=stop: the machine stops at each error, cont tries again, nothing is lost", "tcg")
def write_stop():
    """Three errors, so at most three stops."""
    with failing(f"w {errno.EIO} 2 3", STOP, ",werror=stop") as (qemu, qmp):
        stops = 0
        data = qmp.event("BLOCK_IO_ERROR")
        check(data["action"] == "stop" and data["operation"] == "write", str(data))
        qmp.event("STOP")
        check(qmp.command("query-status")["status"] == "io-error", "not io-error")
        check(qmp.command("query-block")[0]["io-status"] == "failed", "not failed")
        while b"nothing noticed" not in qemu.log and stops < 4:
            if qmp.command("query-status")["status"] == "io-error":
                stops += 1
                qmp.command("cont")
            qemu.read_some(0.2)
        check(1 <= stops <= 3, f"{stops} stops for three errors")
    with open(os.path.join(SCRATCH.name, "faults"), "rb") as file:
        check(file.read(3000000) == b"z" * 3000000, "bytes are lost")


FLUSH = """
dd if=/dev/zero of=/dev/vda bs=64k count=1 conv=fsync 2>/dev/null || echo first told
dd if=/dev/zero of=/dev/vda bs=64k count=1 conv=fsync 2>/dev/null || echo second told
"""


@case("a flush that failed stays failed: the host has dropped the data", "tcg")
def flush_error():
    """The host's second fdatasync would succeed, and mean nothing."""
    with failing(f"f {errno.EIO} 1 1", FLUSH) as (qemu, _):
        qemu.expect(rb"first told\r?\n")
        qemu.expect(rb"second told\r?\n")


@case("short and interrupted transfers: every byte arrives", "tcg")
def short_transfers():
    """What signals and network file systems do to preadv2 and pwritev2."""
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        path = image("short")
        before = digest(path)
        text = run_job(COPY, extra=disk(path, "aio=threads"),
                       env={**shim(folder), "IO_SHORT": "1"})
        check(before in text, f"the guest read something else than {before}:\n{text}")
        check(digest(path) in text, f"the image is not what the guest wrote:\n{text}")
        with open(path, "rb") as file:
            file.seek(2 * MIB)
            check(file.read(MIB) == b"x" * MIB, "the guest's bytes are not in the image")


# More than the driver leaves in its queue: 128 buffers of at most 64 KiB.
SENT = 200 * 65536
PORT = """
dd if=/dev/urandom of=/tmp/out bs=64k count=200 2>/dev/null
sha256sum /tmp/out
{ cat /tmp/out >/dev/vport0p1; echo all s''ent; } &
i=0
while [ $i -lt 8 ]; do echo "beat $i"; sleep 1; i=$((i + 1)); done
wait
# What is on its way when the guest resets is lost: wait until all has come.
head -c 1 </dev/vport0p1 >/dev/null
"""


def port_args(job, chardev, nonce="port"):
    """A guest with one port; its console is the serial line."""
    return [*machine_args(kernel_path=kernel("lean"), append="quiet",
                          initrd_path=initrd(job, nonce)),
            "-serial", "stdio", "-no-reboot", "-chardev", chardev + ",id=p",
            "-device", "virtio-serial-device",
            "-device", "virtserialport,chardev=p,name=org.test.port,id=port0"]


@case("a full pty: the writer in the guest waits, others do not, nothing is lost", "tcg")
def full_pty():
    """Its terminal is open, but nobody reads for some seconds."""
    with Qemu(port_args(PORT, "pty")) as qemu:
        path = qemu.expect(rb"redirected to (/dev/pts/\d+) \(label p\)")[1]
        with open_pty(path) as peer:
            qemu.expect(rb"beat 2\r?\n")
            before = cpu_seconds(qemu.process.pid)
            qemu.expect(rb"beat 5\r?\n")
            used = cpu_seconds(qemu.process.pid) - before
            check(used < 1.5, f"{used:.1f} s of CPU time in 3 s of waiting")
            check(b"all sent" not in qemu.log, "a full terminal took it all")
            came = b""
            while len(came) < SENT:
                came += os.read(peer.fd, 65536)
            qemu.expect(rb"all sent")
            peer.send("!")
            check(qemu.wait() == 0, qemu.tail())
    check(hashlib.sha256(came).hexdigest().encode() in qemu.log, f"other bytes\n{qemu.tail()}")


CLOSED = """
{ read line; touch /tmp/stop; } </dev/console &
n=0
while [ ! -f /tmp/stop ]; do
    echo "line $n" 2>/dev/null
    n=$((n + 1))
done >/dev/vport0p1
echo last >/dev/vport0p1
# Input that comes while the port is open is dropped by the driver when it is closed.
echo closed
head -c 1 </dev/vport0p1 >/dev/null
"""


def read_lines(peer, enough):
    """Bytes from a socket until there are enough or the last ones."""
    data = b""
    while len(data) < enough and b"last\n" not in data:
        chunk = peer.recv(65536)
        check(chunk, "the emulator closed the connection")
        data += chunk
    return data


def open_files(qemu):
    """How many descriptors it has when all that has ended is closed."""
    time.sleep(1)
    return len(os.listdir(f"/proc/{qemu.process.pid}/fd"))


@case("a closed socket: output is for nobody until the next client comes", "tcg")
def closed_socket():
    """Five clients leave in the middle; each sees whole, ascending lines."""
    path = os.path.join(SCRATCH.name, "closed")
    args = port_args(CLOSED, f"socket,path={path},server=on,wait=off")
    with Qemu(args) as qemu:
        last = -1
        while not os.path.exists(path):
            time.sleep(0.05)
        for number in range(5):
            with socket.socket(socket.AF_UNIX) as peer:
                peer.connect(path)
                peer.settimeout(180)
                data = read_lines(peer, 5000)
            found = [int(n) for n in re.findall(rb"(?<=\n)line (\d+)(?=\n)", data)]
            check(len(found) > 100, f"client {number} got {data[:200]!r}")
            check(found[0] > last and found == list(range(found[0], found[-1] + 1)),
                  f"lines are lost or come twice: client {number} from {found[0]}, after {last}")
            last = found[-1]
        settled = open_files(qemu)
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(path)
            peer.settimeout(180)
            qemu.send("\n")
            check(read_lines(peer, 1 << 30).endswith(b"last\n"), "the last line is missing")
            now = open_files(qemu)
            check(now <= settled + 1, f"{settled} descriptors became {now}")
            qemu.expect(rb"closed\r?\n")
            peer.sendall(b"!")
            check(qemu.wait() == 0, qemu.tail())
