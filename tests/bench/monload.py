"""make bench, part monitor: what a busy monitor takes from a guest's disk.

fio does the same work again and again in the guest, while in every other turn a client
asks the monitor query-status, RATE times a second or as often as it is answered. As
guestio.py, on the KVM test host whose clock counts instructions; that has one processor,
which guest, program and client share. BENCH_MONITOR_SCALE=N makes the turns N times
longer: 50 for some ten thousand queries, and an hour or two.
SPDX-License-Identifier: GPL-2.0-or-later
"""
import json
import os
import re
import subprocess
import tempfile
import threading

import guestio

RATE = 1000
PAIRS = 2  # of a quiet turn and a busy one, and a quiet one at the end
REQUESTS = {1: 2000, 32: 8000}  # of a turn, by depth
SCALE = int(os.environ.get("BENCH_MONITOR_SCALE", "1"))
TURNS = [(depth, turn) for depth in REQUESTS for turn in range(2 * PAIRS + 1)]


def is_busy(turn):
    """Whether the client asks in this turn."""
    return turn % 2 == 1


def fio_jobs():
    """The job file of the guest."""
    text = ["[global]", "filename=${data}", "ioengine=libaio", "direct=1", "bs=4k", "thread=1",
            "size=48m", "norandommap=1", "randrepeat=1", "clocksource=clock_gettime",
            "disk_util=0", "rw=randread"]
    for depth, turn in TURNS:
        name = f"{depth}-{turn}"
        text += [f"[{name}]", "stonewall", f"iodepth={depth}",
                 f"io_size={REQUESTS[depth] * SCALE * 4}k", f"exec_prerun=sh /mark begin-{name}",
                 f"exec_postrun=sh /mark end-{name}"]
    return "\n".join(text) + "\n"


class Load:
    """The client, for the length of one turn."""

    def __init__(self, program, path, busy):
        self.process = subprocess.Popen([program, path, str(RATE)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True) if busy else None

    def stop(self):
        """(answers, the client's CPU seconds)"""
        if not self.process:
            return 0, 0.0
        count, cpu = self.process.communicate()[0].split()
        return int(count), float(cpu)


def follow(command, path, program):
    """Run the guest, with the client at its turns; (fio's report, costs of each turn).

    None if it came to no end, which guests on that host do at times."""
    costs, lines, load, done = {}, [], None, False
    with subprocess.Popen([*command, "-qmp", f"unix:{path},server=on,wait=off"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as vmm:
        watchdog = threading.Timer(guestio.GUEST_LIMIT * SCALE, vmm.kill)
        watchdog.start()
        for raw in vmm.stdout:
            line = raw.decode(errors="replace").strip()
            mark = re.search(r"@@(result|end|mark) ?(begin|end)?-?([\w-]*)@@", line)
            if not mark:
                lines += [] if done else [line]
                continue
            kind, edge, turn = mark.groups()
            if kind == "result":
                lines = []
            elif kind == "end":
                done = True
            elif edge == "begin":
                load = Load(program, path, is_busy(int(turn.split("-")[1])))
                start = guestio.thread_times(vmm.pid)
            else:
                times = guestio.thread_times(vmm.pid)
                queries, cpu = load.stop()
                costs[turn] = {"queries": queries, "client": cpu, "vmm": sum(
                    t - start.get(task, 0) for task, t in times.items()) / 1e9}
            if kind == "mark":
                vmm.stdin.write(b"\n")
                vmm.stdin.flush()
        watchdog.cancel()
    return None if vmm.returncode else (json.loads("\n".join(lines)), costs)


def summary(turns):
    """What the busy turns of one depth differ in from the quiet ones."""
    def total(key, busy):
        return sum(t[key] for n, t in enumerate(turns) if is_busy(n) == busy)

    queries, quiet_turns = max(1, total("queries", True)), PAIRS + 1
    quiet, busy = total("seconds", False) / quiet_turns, total("seconds", True) / PAIRS
    return {"fall": 1 - quiet / busy, "rate": queries / (busy * PAIRS), "queries": queries,
            "lost": (busy - quiet) * PAIRS / queries,
            "client": total("client", True) / queries,
            "cpu": (total("vmm", True) / PAIRS - total("vmm", False) / quiet_turns)
                   * PAIRS / queries}


def host_monitor(job):
    """Each program's figures: "x32 fall" and so on."""
    path, rows = guestio.make_disk(64 * guestio.MIB), {}
    with tempfile.TemporaryDirectory() as folder:
        for name, (command, aio) in job["commands"].items():
            full = [*command, *guestio.drive("data", path, f"cache=none,aio={aio}"),
                    *guestio.drive("tools", job["tools"], "readonly=on,file.locking=off")]
            socket = os.path.join(folder, name)
            report, turns = follow(full, socket, job["load"]) or follow(full, socket, job["load"])
            for one in report["jobs"]:
                turns[one["jobname"]]["seconds"] = one["read"]["runtime"] / 1e3
            rows[name] = {f"x{depth} {key}": value for depth in REQUESTS for key, value in summary(
                [turns[f"{depth}-{turn}"] for d, turn in TURNS if d == depth]).items()}
            guestio.progress(name, turns)
    return rows


def columns():
    """Rows of the table: (label, part, key, unit, format, whether more is better)."""
    for depth in REQUESTS:
        for key, words, unit, form, more in (
                ("fall", "throughput lost to queries", 0.01, "%.2f %%", False),
                ("rate", "queries answered/s", 1, "%.0f", True),
                ("lost", "a query's time from it", 1e-6, "%.1f us", False),
                ("cpu", "a query's CPU time, VMM", 1e-6, "%.1f us", False),
                ("client", "and client", 1e-6, "%.1f us", False)):
            yield f"x{depth}, {words}", "monitor", f"x{depth} {key}", unit, form, more
