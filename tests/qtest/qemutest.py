"""Start the program under test and talk to its monitors; a TAP runner for such tests.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import array
import contextlib
import errno
import fcntl
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback
import unittest.mock

QEMU = sys.argv[1] if len(sys.argv) > 1 else "qemu-system-x86_64"
TESTS = []
# Seconds that nothing takes: limits end what hangs, also on a machine ten times slower.
PATIENCE = 300
with open(shutil.which(QEMU) or QEMU, "rb") as binary:
    # Freed memory is kept on purpose there: sizes say nothing.
    SANITIZED = b"__asan_init" in binary.read()


def test(fn):
    """Register a test: its name is the function's, its title the doc string's."""
    TESTS.append(fn)
    return fn


class Skip(Exception):
    """The machine under us cannot do this."""


def run(timeout=10 * PATIENCE):
    """Run all registered tests, one after the other; TAP on stdout."""
    def too_long(*_):
        raise TimeoutError("no end in sight")

    signal.signal(signal.SIGALRM, too_long)
    # In the background of a shell they are ignored, and so they would be in the program.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    failed = 0
    print(f"1..{len(TESTS)}", flush=True)
    for number, fn in enumerate(TESTS, 1):
        title = f"{number} - {fn.__doc__.splitlines()[0]}"
        signal.alarm(timeout)
        try:
            fn()
            VM.kill_all()
            print(f"ok {title}", flush=True)
        except Skip as why:
            print(f"ok {title} # SKIP {why}", flush=True)
        except Exception:  # pylint: disable=broad-except
            failed += 1
            print(f"not ok {title}")
            print("".join("# " + line + "\n" for line in traceback.format_exc().splitlines()),
                  flush=True)
        finally:
            signal.alarm(0)
            with contextlib.suppress(AssertionError):   # in a test that has failed
                VM.kill_all()
    return 1 if failed else 0


class Client:
    """A connection to a monitor's socket; bytes in both directions."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # Without a time limit first: a full queue of connections is waited for.
        end = time.monotonic() + PATIENCE
        while self.sock.connect_ex(path) in (errno.ECONNREFUSED, errno.ENOENT):
            assert time.monotonic() < end, f"nobody listens at {path}"
            time.sleep(0.002)   # not there, or bound but not listening yet
        self.sock.settimeout(PATIENCE)
        self.buf = b""

    def close(self):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data.encode() if isinstance(data, str) else data)

    def fill(self):
        data = self.sock.recv(65536)
        if not data:
            raise EOFError("the monitor closed")
        self.buf += data

    def line(self):
        """The next line, which must end with CR LF."""
        while b"\n" not in self.buf:
            self.fill()
        line, self.buf = self.buf.split(b"\n", 1)
        assert line.endswith(b"\r"), line
        return line[:-1].decode()

    def until(self, text):
        """All bytes up to and including text."""
        text = text.encode()
        while text not in self.buf:
            self.fill()
        end = self.buf.index(text) + len(text)
        data, self.buf = self.buf[:end], self.buf[end:]
        return data.decode()

    def eof(self):
        """True when the peer has closed and nothing is left."""
        try:
            self.fill()
        except (EOFError, ConnectionResetError):
            return not self.buf
        return False


class QMP(Client):
    """A QMP client. Events that come in between are kept in self.events."""

    def __init__(self, path, negotiate=True):
        super().__init__(path)
        self.events = []
        self.greeting = json.loads(self.line())
        if negotiate:
            assert self.cmd("qmp_capabilities") == {}

    def receive(self):
        """The next answer (not an event)."""
        while True:
            obj = json.loads(self.line())
            if "event" not in obj:
                return obj
            self.events.append(obj)

    def raw(self, data):
        self.send(data)
        return self.receive()

    def execute(self, command, arguments=None, **more):
        msg = {"execute": command, **more}
        if arguments is not None:
            msg["arguments"] = arguments
        return self.raw(json.dumps(msg))

    def cmd(self, command, **arguments):
        """The returned value; an error answer is an assertion failure."""
        answer = self.execute(command, {k.replace("_", "-"): v for k, v in arguments.items()})
        assert "return" in answer, (command, answer)
        return answer["return"]

    def error(self, command, **arguments):
        """(class, desc) of the error that must come."""
        answer = self.execute(command, {k.replace("_", "-"): v for k, v in arguments.items()})
        assert "error" in answer, (command, answer)
        return answer["error"]["class"], answer["error"]["desc"]

    def hmp(self, line):
        return self.cmd("human-monitor-command", command_line=line)

    def event(self, name):
        """Wait for an event; those before it are dropped."""
        while True:
            while self.events:
                event = self.events.pop(0)
                if event["event"] == name:
                    return event
            obj = json.loads(self.line())
            assert "event" in obj, obj
            self.events.append(obj)

    def send_fds(self, data, fds):
        self.sock.sendmsg([data.encode()],
                          [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])


def no_leaks():
    """A sanitizer build's search for leaks is a process that traces the first: where it may not,
    it waits without end, and busily; or it does not see what a thread has that is older than
    Landlock's rules."""
    options = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
    return unittest.mock.patch.dict(os.environ, ASAN_OPTIONS=options)


class VM:
    """The program, with any number of monitors on sockets in its own directory."""

    alive = set()

    def __init__(self, *args, machine="none", accel="qtest", qmp=1, hmp=0, qtest=False,
                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=(), program=QEMU):
        self.dir = tempfile.mkdtemp(prefix="qt-")
        command = [program, "-M", machine, "-accel", accel, "-display", "none", "-nodefaults"]
        for n in range(qmp):
            command += ["-chardev", f"socket,id=qmp{n},path={self.path(f'qmp{n}')},server=on,wait=off",
                        "-mon", f"chardev=qmp{n},mode=control"]
        for n in range(hmp):
            command += ["-monitor", f"unix:{self.path(f'hmp{n}')},server=on,wait=off"]
        if qtest:
            command += ["-qtest", f"unix:{self.path('qtest')},server=on,wait=off",
                        "-qtest-log", "none"]
        self.log = open(self.path("stderr"), "wb")
        self.proc = subprocess.Popen(command + list(args), stdin=stdin, stdout=stdout,
                                     stderr=self.log, pass_fds=pass_fds)
        VM.alive.add(self)
        self.wait_for_sockets([f"qmp{n}" for n in range(qmp)] + [f"hmp{n}" for n in range(hmp)])

    def path(self, name):
        return os.path.join(self.dir, name)

    def wait_for_sockets(self, names):
        for name in names:
            while not os.path.exists(self.path(name)):
                assert self.proc.poll() is None, self.stderr()
                time.sleep(0.002)

    def qmp(self, n=0, negotiate=True):
        return QMP(self.path(f"qmp{n}"), negotiate)

    def hmp(self, n=0):
        return Client(self.path(f"hmp{n}"))

    def stderr(self):
        with open(self.path("stderr"), encoding="utf-8", errors="replace") as f:
            return f.read()

    def status(self, field):
        """A figure of /proc/PID/status, in KiB or as it is; sizes are 0 under a sanitizer."""
        if SANITIZED and field.startswith("Vm"):
            return 0
        with open(f"/proc/{self.proc.pid}/status", encoding="ascii") as f:
            for line in f:
                if line.startswith(field + ":"):
                    return int(line.split()[1])
        raise KeyError(field)

    def fds(self):
        return len(os.listdir(f"/proc/{self.proc.pid}/fd"))

    def wait(self, timeout=PATIENCE):
        """Exit status, once it has ended by itself."""
        status = self.proc.wait(timeout)
        self.kill()
        return status

    def kill(self):
        if self.proc.poll() is None:
            self.proc.kill()
            self.proc.wait()
        VM.alive.discard(self)
        if self.log.closed:
            return
        self.log.close()
        text = self.stderr() if SANITIZED else ""
        shutil.rmtree(self.dir, ignore_errors=True)
        assert not re.search("runtime error: |Sanitizer: ", text), text

    @staticmethod
    def kill_all():
        """Those that the test has left; a sanitizer's report is a failure."""
        for vm in list(VM.alive):
            vm.kill()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()


IOAPIC = 0xfec00000


class QTest:
    """One qtest connection: commands and their answers."""

    def __init__(self, vm):
        vm.wait_for_sockets(["qtest"])
        self.sock = Client(vm.path("qtest")).sock
        self.sock.settimeout(None)
        self.file = self.sock.makefile("rw", encoding="ascii")

    def cmd(self, *words):
        """Send one command; the last word of its answer, and the interrupts before it."""
        self.file.write(" ".join(str(w) for w in words) + "\n")
        self.file.flush()
        irqs = []
        while True:
            answer = self.file.readline().split()
            assert answer, words
            if answer[0] == "IRQ":
                irqs.append((answer[1], int(answer[2])))
                continue
            assert answer[0] == "OK", (words, answer)
            return (answer[1] if len(answer) > 1 else None), irqs

    def inb(self, port):
        return int(self.cmd("inb", port)[0], 16)

    def outb(self, port, value):
        self.cmd("outb", port, value)

    def ioapic(self, reg, value=None):
        """Read or write a register behind IOREGSEL."""
        self.cmd("writel", IOAPIC, reg)
        if value is None:
            return int(self.cmd("readl", IOAPIC + 0x10)[0], 16)
        return self.cmd("writel", IOAPIC + 0x10, value)

    def outw(self, port, value):
        self.cmd("outw", port, value)

    def inl(self, port):
        return int(self.cmd("inl", port)[0], 16)

    def outl(self, port, value):
        self.cmd("outl", port, value)

    def write(self, addr, data):
        self.cmd("write", addr, len(data), "0x" + data.hex())

    def read(self, addr, size):
        return bytes.fromhex(self.cmd("read", addr, size)[0][2:])


PVH_ENTRY = 0x100000


def is_locked(path, start=0, length=0):
    """Somebody else has a lock on one of these bytes of the file, or on any of it."""
    with open(path, "r+b") as file:
        lock = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, start, length, 0)
        answer = fcntl.fcntl(file, fcntl.F_OFD_GETLK, lock)
        return struct.unpack_from("h", answer)[0] != fcntl.F_UNLCK


def pvh_kernel(folder, code):
    """A kernel of these bytes (in hex), which starts in 32-bit mode: its file's name."""
    text = bytes.fromhex(code)
    note = struct.pack("<III4sI", 4, 4, 18, b"Xen\0", PVH_ENTRY)
    header = struct.pack("<4s12xHHIIIIIHHHHHH", b"\x7fELF", 2, 3, 1, PVH_ENTRY, 52, 0, 0, 52, 32, 2,
                         0, 0, 0)
    header = header[:4] + b"\1\1\1" + header[7:]
    offset = 52 + 2 * 32
    load = struct.pack("<8I", 1, offset, PVH_ENTRY, PVH_ENTRY, len(text), len(text), 7, 4)
    notes = struct.pack("<8I", 4, offset + len(text), 0, 0, len(note), len(note), 4, 4)
    path = os.path.join(folder, f"kernel-{abs(hash(code)):x}")
    with open(path, "wb") as file:
        file.write(header + load + notes + text + note)
    return path
