"""make bench, part move: saved machines that go on, beside Debian's QEMU; the software CPU, here.

A guest waits for a line on its console and answers it. Figures: from exec to that answer for a
machine that is loaded, and for one that boots; many that are loaded from one file at once, and
what each keeps for itself when it is idle, with and without what its guest has written to; the
time that saving takes, to a disk in memory; the time that sending takes while the guest runs, by
TCP on this machine, and how long the guest stands still, as the programs tell it; and the
instructions that our program needs until the guest can go on, by callgrind.
SPDX-License-Identifier: GPL-2.0-or-later
"""
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "guest"))
import guestlib  # noqa: E402

TIME_LIMIT = 120
ROUNDS = 5
CLONES = 100
SIZES = [128, 3072]     # MiB
# Fills half of 1 GiB with what is not zeros, and answers; to "write" it writes to some for good.
INIT = r"""
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(void)
{
    char line[64], *mem;
    size_t size = %d;
    int fd = open("/dev/console", O_RDWR);

    dup2(fd, 0), dup2(fd, 1), dup2(fd, 2);
    mem = malloc(size + 1);
    for (size_t i = 0; i < size; i += 64) {
        memcpy(mem + i, &i, sizeof(i));
    }
    printf("@@up@@\n");
    for (;;) {
        fflush(stdout);
        printf("@@%%s@@\n", fgets(line, sizeof(line), stdin) ? "answer" : "end");
        if (line[0] == 'w' && !fork()) {
            for (unsigned n = 0;; n++) {
                memset(mem, n, size < 32 << 20 ? size : 32 << 20);
            }
        }
    }
}
"""


# What the processor has that callgrind makes, too: "max" takes some of the host's.
PLAIN_CPU = "Nehalem"


def machine(binary, mem, kernel, initrd, cpu="max"):
    """The same machine for both: a serial port, an entropy source."""
    options = ",x-option-roms=off" if binary.startswith("/usr/bin/") else ""
    return [binary, "-M", f"microvm{options}", "-accel", "tcg", "-cpu", cpu, "-m", str(mem),
            "-nodefaults", "-no-user-config", "-display", "none", "-kernel", kernel,
            "-initrd", initrd, "-append", "console=ttyS0 reboot=t panic=-1 quiet",
            "-serial", "stdio", "-device", "virtio-rng-device"]


class Guest:
    """A running one; ends with the block."""

    def __init__(self, argv, scratch=None):
        self.path = scratch and os.path.join(scratch, "qmp")
        more = ["-qmp", f"unix:{self.path},server=on,wait=off"] if scratch else []
        self.start = time.monotonic()
        self.process = subprocess.Popen([*argv, *more], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        if self.path:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)

    def ask(self, word="hello"):
        """A line on its console."""
        self.process.stdin.write(word.encode() + b"\n")
        self.process.stdin.flush()

    def expect(self, word):
        """Seconds since its start until it says so."""
        for line in self.process.stdout:
            if b"@@" + word + b"@@" in line:
                return time.monotonic() - self.start
        raise RuntimeError(f"no {word} from {self.process.args}")

    def qmp(self, *commands):
        """Answers of the last; each is (name, arguments)."""
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(self.path)
            f = s.makefile("rw")
            f.readline()
            for name, arguments in [("qmp_capabilities", {}), *commands]:
                f.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
                f.flush()
                answer = json.loads(f.readline())
                while "event" in answer:
                    answer = json.loads(f.readline())
                if "return" not in answer:
                    raise RuntimeError(f"{name}: {answer}")
        return answer["return"]

    def save(self, uri, mapped):
        """Seconds that it took; the machine stands still afterwards."""
        begin = time.monotonic()
        self.migrate(uri, mapped)
        return time.monotonic() - begin

    def migrate(self, uri, mapped=False):
        """What query-migrate says at the end."""
        caps = [{"capability": "mapped-ram", "state": True}]
        self.qmp(*[("migrate-set-capabilities", {"capabilities": caps})][:mapped],
                 ("migrate-set-parameters", {"max-bandwidth": 1 << 40}), ("migrate", {"uri": uri}))
        while True:
            info = self.qmp(("query-migrate", {}))
            if info.get("status") == "completed":
                return info
            if info.get("status") not in ("setup", "active", "device"):
                raise RuntimeError(info)
            time.sleep(0.002)


def build(scratch, size, name):
    """An initramfs whose init is the program above."""
    program = os.path.join(scratch, name)
    subprocess.run(["gcc", "-O2", "-static", "-x", "c", "-o", program, "-"], check=True,
                   input=INIT % size, text=True)
    cpio = guestlib.Cpio()
    cpio.dirs("dev")
    cpio.char("dev/console", 5, 1)
    cpio.file("init", guestlib.read(program), 0o755)
    with open(program + ".cpio", "wb") as f:
        f.write(cpio.finish())
    return program + ".cpio"


def private_dirty(pid, path):
    """Bytes that are this process's alone: all of them, and those of what is mapped from path."""
    total = mapped = 0
    inside = False
    with open(f"/proc/{pid}/smaps", encoding="utf-8") as f:
        for words in map(str.split, f):
            if words[0] == "Private_Dirty:":
                total += int(words[1]) << 10
                mapped += inside * int(words[1]) << 10
            elif not words[0].endswith(":"):
                inside = words[-1] == path
    return total, mapped


def saved(argv, scratch, ours):
    """(where it is to be loaded from, seconds that saving took, seconds that the boot took)."""
    path = os.path.join(scratch, "saved")
    with Guest(argv, scratch) as guest:
        boot = guest.expect(b"up")
        took = guest.save(f"file:{path}" if ours else f"exec:cat > {path}", ours)
    return f"file:{path}" if ours else f"exec:cat {path}", took, boot


def load(argv, uri):
    """Seconds from exec to the answer."""
    with Guest([*argv, "-incoming", uri]) as guest:
        guest.ask()
        return guest.expect(b"answer")


def sent(argv, scratch, busy):
    """(seconds that sending a running guest took, seconds that it stood still)."""
    there = os.path.join(scratch, "there")
    os.makedirs(there, exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        uri = f"tcp:127.0.0.1:{probe.getsockname()[1]}"
    with Guest(argv, scratch) as guest, Guest([*argv, "-incoming", uri], there) as other:
        guest.expect(b"up")
        if busy:
            guest.ask("write")
            guest.expect(b"answer")
        while not os.path.exists(other.path):
            time.sleep(0.01)
        other.qmp(("query-status", {}))
        info = guest.migrate(uri)
        other.ask()
        other.expect(b"answer")
        return info["total-time"] / 1000, info["downtime"] / 1000


def clones(argv, uri, count):
    """
    Seconds until all of them have answered; bytes that each keeps for itself, and how many of them
    its guest has written to.
    """
    begin = time.monotonic()
    with contextlib.ExitStack() as stack:
        guests = [stack.enter_context(Guest([*argv, "-incoming", uri])) for _ in range(count)]
        for guest in guests:
            guest.ask()
        for guest in guests:
            guest.expect(b"answer")
        took = time.monotonic() - begin
        kept = [private_dirty(g.process.pid, uri.partition(":")[2]) for g in guests]
        return took, *(sum(column) / count for column in zip(*kept))


def ask_status(stream):
    """The run state, from a monitor that has been greeted."""
    stream.write('{"execute": "query-status"}')
    stream.flush()
    answer = json.loads(stream.readline())
    while "event" in answer:
        answer = json.loads(stream.readline())
    return answer["return"]["status"]


def instructions(argv, uri, scratch):
    """Of the program until it could run the guest: -S, then the end by a signal."""
    log = os.path.join(scratch, "callgrind")
    path = os.path.join(scratch, "qmp")
    with open(log, "wb") as err, subprocess.Popen(
            ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *argv, "-S",
             "-incoming", uri, "-qmp", f"unix:{path},server=on,wait=off"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=err) as process:
        with socket.socket(socket.AF_UNIX) as s:
            while s.connect_ex(path):
                time.sleep(0.05)
            stream = s.makefile("rw", encoding="utf-8")
            stream.write('{"execute": "qmp_capabilities"}')
            stream.flush()
            for _ in range(2):
                stream.readline()
            status = ask_status(stream)
            while status == "inmigrate":
                time.sleep(0.5)     # each question costs instructions, too
                status = ask_status(stream)
            if status != "paused":
                raise RuntimeError(f"loading it ends in state '{status}'")
        process.send_signal(signal.SIGTERM)
        process.wait(TIME_LIMIT)
    with open(log, encoding="utf-8") as f:
        return int(re.search(r"Collected : (\d+)", f.read())[1])


def measure(vmms, scratch, tool, say):
    """{row: {vmm: value}}"""
    kernel = os.path.join(tool("build-kernel"), "vmlinux")
    small, large = build(scratch, 1 << 20, "small"), build(scratch, 1 << 29, "large")
    rows = {}

    def put(row, vmm, value):
        rows.setdefault(row, {})[vmm] = value

    for vmm, binary in vmms:
        ours = not binary.startswith("/usr/bin/")
        with tempfile.TemporaryDirectory(prefix="bench-", dir="/dev/shm") as shm:
            for mem in SIZES:
                say(f"{vmm}: {mem} MiB")
                argv = machine(binary, mem, kernel, small)
                uri, _, boot = saved(argv, shm, ours)
                put(f"boot to an answer, {mem} MiB", vmm, boot)
                put(f"load to an answer, {mem} MiB", vmm,
                    min(load(argv, uri) for _ in range(ROUNDS)))
                if ours:
                    plain = machine(binary, mem, kernel, small, PLAIN_CPU)
                    put(f"instructions to load, {mem} MiB", vmm,
                        instructions(plain, saved(plain, shm, ours)[0], shm))
                    uri = saved(argv, shm, ours)[0]
                if mem == SIZES[0]:
                    count = CLONES if ours else CLONES // 10
                    took, private, guests = clones(argv, uri, count)
                    put("one of many loaded at once", vmm, took / count)
                    put("an idle one's private memory", vmm, private)
                    if ours:
                        put("the program's part of that memory", vmm, private - guests)
            say(f"{vmm}: saving 1 GiB")
            put("save 1 GiB, half zeros", vmm, saved(machine(binary, 1024, kernel, large),
                                                     shm, ours)[1])
            for what, busy in (("", False), (" that writes", True)):
                say(f"{vmm}: sending 1 GiB{what}")
                best = [min(values) for values in zip(*(
                    sent(machine(binary, 1024, kernel, large), shm, busy) for _ in range(3)))]
                put(f"send 1 GiB, half zeros{what}", vmm, best[0])
                put(f"its downtime{what}", vmm, best[1])
    return rows


def text(row, value):
    if row.startswith("instructions"):
        return f"{value / 1e6:.2f} M"
    return f"{value / 1024:.0f} KiB" if "memory" in row else f"{value * 1000:.1f} ms"


def figures(results, ours, peer):
    """The rows as of bench's figures()."""
    for row, values in results.items():
        ratio = f"{values[ours] / values[peer]:.3f}" if peer in values and ours in values else ""
        yield (row, values, {vmm: text(row, value) for vmm, value in values.items()}, ratio,
               False)


def main():
    """bench_move.py BINARY: this part alone."""
    def tool(name, *args):
        return subprocess.run([os.path.join(os.path.dirname(HERE), "guest", name), *args],
                              check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

    vmms = [("microvm", sys.argv[1]), ("qemu", "/usr/bin/qemu-system-x86_64")]
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        rows = measure(vmms, scratch, tool, lambda line: print(" ", line, file=sys.stderr))
    for row, _, texts, ratio, _ in figures(rows, "microvm", "qemu"):
        print(f"{row:32}{texts.get('microvm', ''):>12}{texts.get('qemu', ''):>12}{ratio:>8}")


if __name__ == "__main__":
    main()
