"""make bench, part tcg: the software CPU beside Debian's QEMU with -accel tcg, here.

Times are CPU seconds of the whole process (what the scheduler counted for all its threads),
taken when a line of the guest arrives: other load on the machine hardly changes them. With
one processor that is never idle they are the elapsed seconds of a quiet machine; boots are
measured in both. Guest instructions are counted by callgrind in the same program on the host.
SPDX-License-Identifier: GPL-2.0-or-later
"""
import glob
import os
import re
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "guest"))
import guestlib  # noqa: E402

RAM_MIB = 128  # as one mapping, and nothing else of that size
CMDLINE = "console=ttyS0 reboot=t panic=-1 quiet"
BOOTS = [("lean -smp 1", "lean", "vmlinux", 1, "off"), ("lean -smp 4", "lean", "vmlinux", 4, "off"),
         ("debian bzImage", "debian", "bzImage", 1, "off"),
         ("debian bzImage, ACPI", "debian", "bzImage", 1, "on")]
LOOPS = ["sha256", "qsort", "sieve", "lz", "interp", "fp"]
TIME_LIMIT = 300  # seconds for one guest
COPY_BYTES = 1 << 20  # of guest-loops.c, as the numbers of operations below
OPERATIONS = {"syscall": 100, "fault": 64, "pipe": 100, "fork": 1}
# The goals: a share of the peer's time, instructions a second, a multiple of the peer's
# bandwidth, a share of a core, bytes. Operations and floating point: no worse than the peer.
LIMITS = {"boot": 0.6, "boot, ACPI": 0.45, "loops": 200e6, "memcpy": 3, "idle": 0.01,
          "memory": 24 << 20}


def tsc_khz():
    """What the peer's guests have is the host's TSC."""
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
        return int(float(re.search(r"cpu MHz\s*: ([\d.]+)", f.read())[1]) * 1000)


def command(binary, kernel, initrd, smp, append, acpi="off"):
    """The same machine for both: its console is a serial port, for the lines to arrive.

    Both have a real-time clock: without one Debian's kernel waits for a second."""
    machine = "microvm,legacy"
    if binary.startswith("/usr/bin/"):
        machine = "microvm,x-option-roms=off"
        if acpi == "on":
            # Its CPUID does not say how fast the TSC counts: Linux without a PIT then hangs.
            append = f"tsc_early_khz={tsc_khz()} {append}"
    return [binary, "-M", f"{machine},acpi={acpi}", "-accel", "tcg", "-cpu", "max",
            "-smp", str(smp), "-m", str(RAM_MIB), "-nodefaults", "-no-user-config",
            "-display", "none",
            "-no-reboot", "-serial", "stdio", "-kernel", kernel, "-initrd", initrd,
            "-append", f"{CMDLINE} {append}"]


def cpu_seconds(pid):
    """What all threads of a process have used."""
    total = 0
    for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
        try:
            with open(path, encoding="ascii") as f:
                total += int(f.read().split()[0])
        except OSError:
            pass  # the thread has just ended
    return total / 1e9


def private_bytes(pid):
    """Private memory without guest RAM: what the process adds to it."""
    total, size = 0, 0
    with open(f"/proc/{pid}/smaps", encoding="ascii", errors="replace") as f:
        for line in f:
            words = line.split()
            if words[0] == "Size:":
                size = int(words[1])
            elif words[0] == "Private_Dirty:" and \
                    size not in range(RAM_MIB * 1024, RAM_MIB * 1024 + 2049):
                total += int(words[1])
    return total << 10


def watch(argv, pattern):
    """Run a guest; (for each line with the pattern: match, elapsed, CPU seconds, memory; and
    the CPU seconds of all of it)."""
    start, seen = time.monotonic(), []
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace") as process:
        watchdog = threading.Timer(TIME_LIMIT, process.kill)
        watchdog.start()
        for line in process.stdout:
            match = re.search(pattern, line)
            if match:
                seen.append((match, time.monotonic() - start, cpu_seconds(process.pid),
                             private_bytes(process.pid) if "begin idle" in line else 0))
        watchdog.cancel()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return seen, usage.ru_utime + usage.ru_stime


def boot(vmms, row, kernels, initrd):
    """{vmm: the best of three boots to init}, in turns."""
    _, flavour, image, smp, acpi = row
    runs = {vmm: [] for vmm, _ in vmms}
    for vmm, binary in vmms * 3:
        argv = command(binary, os.path.join(kernels[flavour], image), initrd, smp, "-- say", acpi)
        seen, cpu = watch(argv, "@@booted@@")
        if not seen:
            raise RuntimeError("no boot: " + " ".join(argv))
        runs[vmm].append((seen[0][1], cpu))
    return {vmm: {"elapsed": min(run[0] for run in of), "cpu": min(run[1] for run in of)}
            for vmm, of in runs.items()}


def loops(binary, kernel, initrd, only=""):
    """CPU and elapsed seconds of one round of each part of guest-loops, and its checksum."""
    rows, begun = {}, None
    argv = command(binary, kernel, initrd, 1, only and "-- " + only)
    lines_seen, _ = watch(argv, r"(begin|end) (\w+)(?: (\d+) (\d+))?")
    for match, elapsed, cpu, memory in lines_seen:
        if match[1] == "begin":
            begun = elapsed, cpu, memory
        else:
            rounds = int(match[3])
            rows[match[2]] = {"cpu": (cpu - begun[1]) / rounds, "checksum": int(match[4]),
                              "elapsed": (elapsed - begun[0]) / rounds, "memory": begun[2]}
    if "idle" not in rows:
        raise RuntimeError(f"{binary}: guest-loops did not run to its end")
    return rows


def instructions(program, part):
    """Instructions of one round: what two more rounds add."""
    counts = []
    for rounds in (1, 3):
        done = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
                               program, part, str(rounds)], check=True, capture_output=True,
                              text=True)
        counts.append(int(re.search(r"Collected : (\d+)", done.stderr)[1]))
    return (counts[1] - counts[0]) / 2


def build(scratch, tool):
    """The guests: (kernel folders, tiny initramfs, guest-loops, its initramfs)."""
    kernels = {"lean": tool("build-kernel"), "debian": tool("debian-kernel")}
    tiny = os.path.join(scratch, "tcg-tiny")
    tool("mkinitramfs", "--tiny", "-o", tiny)
    program = os.path.join(scratch, "guest-loops")
    subprocess.run(["gcc", "-O2", "-fno-math-errno", "-static", "-o", program,
                    os.path.join(HERE, "guest-loops.c")], check=True)
    cpio = guestlib.Cpio()
    cpio.dirs("dev")
    cpio.char("dev/console", 5, 1)
    cpio.file("init", guestlib.read(program), 0o755)
    archive = os.path.join(scratch, "loops")
    with open(archive, "wb") as f:
        f.write(cpio.finish())
    return kernels, tiny, program, archive


def measure(vmms, scratch, tool, say):
    """All rows of the part: {"boot": {row: {vmm: …}}, "loops": {…}, "instructions": {…}}."""
    kernels, tiny, program, archive = build(scratch, tool)
    results = {"boot": {}, "loops": {}, "instructions": {}}
    for row in BOOTS:
        say(f"boots of {row[0]}")
        results["boot"][row[0]] = boot(vmms, row, kernels, tiny)
    for vmm, binary in vmms:
        say(f"{vmm}: loops")
        results["loops"][vmm] = loops(binary, os.path.join(kernels["lean"], "vmlinux"), archive)
        stock = os.path.join(kernels["debian"], "bzImage")
        results["loops"][vmm] |= loops(binary, stock, archive, "idle")
    for part in LOOPS:
        results["instructions"][part] = instructions(program, part)
    return results


def pair(label, values, form, more, met=None):
    """A row of the table: label, ours and the peer's values, their texts, whether more is
    better, is the goal met (None: no goal)."""
    return label, values, [form(value) for value in values], more, met


def boot_rows(results, ours, peer):
    """The rows of the boots."""
    for name, row in results["boot"].items():
        limit = LIMITS["boot, ACPI" if "ACPI" in name else "boot"]
        for key in ("elapsed", "cpu"):
            a, b = row[ours][key], row[peer][key]
            met = a <= limit * b if key == "elapsed" else None
            yield pair(f"boot {name}, {key}", (a, b), "{:.3f} s".format, False, met)


def rows_of(results, ours, peer):
    """All rows, as of pair()."""
    yield from boot_rows(results, ours, peer)
    a, b = results["loops"][ours], results["loops"][peer]
    for part in LOOPS:
        n = results["instructions"][part]
        rate, other = n / a[part]["cpu"], n / b[part]["cpu"]
        met = rate >= (other if part == "fp" else LIMITS["loops"])
        met = met and a[part]["checksum"] == b[part]["checksum"]
        yield pair(f"loop {part}", (rate, other), lambda x: f"{x / 1e6:.0f} M/s", True, met)
    rate, other = COPY_BYTES / a["memcpy"]["cpu"], COPY_BYTES / b["memcpy"]["cpu"]
    yield pair("memcpy", (rate, other), lambda x: f"{x / 1e9:.2f} GB/s", True,
               rate >= LIMITS["memcpy"] * other)
    for part, n in OPERATIONS.items():
        x, y = a[part]["cpu"] / n * 1e9, b[part]["cpu"] / n * 1e9
        yield pair(part, (x, y), "{:.0f} ns".format, False, x <= y)
    x, y = (r["idle"]["cpu"] / r["idle"]["elapsed"] for r in (a, b))
    yield pair("idle Debian kernel, of a core", (x, y), "{:.2%}".format, False,
               x <= LIMITS["idle"])
    x, y = (r["idle"]["memory"] for r in (a, b))
    yield pair("its memory beyond RAM", (x, y), lambda x: f"{x >> 10} KiB", False,
               x <= LIMITS["memory"])


def figures(results, ours, peer):
    """The rows as of bench's figures()."""
    for label, (a, b), texts, more, _ in rows_of(results, ours, peer):
        yield (f"software CPU, {label}", {ours: a, peer: b}, dict(zip((ours, peer), texts)),
               f"{a / b:.2f}" if b else "", more)


def report(results, ours, peer):
    """The table, with the goals that are missed marked."""
    print(f"\n{'software CPU':32}{ours:>15}{peer:>15}{'ratio':>8}  goal")
    for label, (a, b), texts, _, met in rows_of(results, ours, peer):
        print(f"{label:32}{texts[0]:>15}{texts[1]:>15}{a / b if b else 0:>8.2f}  "
              f"{'' if met is None else 'met' if met else 'MISSED'}")


def main():
    """bench_tcg.py BINARY [BOOT]: this part alone, or only the boots of that name."""
    def tool(name, *args):
        return subprocess.run([os.path.join(os.path.dirname(HERE), "guest", name), *args],
                              check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        vmms = [("microvm", sys.argv[1]), ("qemu", "/usr/bin/qemu-system-x86_64")]
        if len(sys.argv) > 2:
            kernels, tiny, _, _ = build(scratch, tool)
            for row in BOOTS:
                if re.search(sys.argv[2], row[0]):
                    print(row[0], boot(vmms, row, kernels, tiny))
            return
        results = measure(vmms, scratch, tool,
                            lambda text: print(f"  {text}", file=sys.stderr, flush=True))
    report(results, "microvm", "qemu")


if __name__ == "__main__":
    main()
