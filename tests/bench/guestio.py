"""make bench, parts disk and net: fio and iperf3 in a guest, on the KVM test host.

The first half builds an image with the tools; the second half runs on the test host,
whose clock counts instructions, and starts the guests of all programs one after another.
A guest says on its console where it is and waits for the answer: what is counted
between two such marks belongs to that point of the measurement.
SPDX-License-Identifier: GPL-2.0-or-later
"""
import contextlib
import ctypes
import glob
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import threading

KERNEL_ARGS = "console=hvc0 reboot=t panic=-1 quiet"
MIB = 1 << 20
GUEST_LIMIT = 60  # seconds of the test host's clock: a guest takes ten to thirty

# -- the image with the tools ------------------------------------------------


def run(command, **kwargs):
    """Run a command quietly; what it printed."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
                          text=True, **kwargs).stdout


def libraries(binary):
    """All shared objects that a program needs, its loader among them."""
    return re.findall(r"(/\S+) \(0x", run(["ldd", binary]))


def tools_image(path, binaries, files):
    """An ext4 image with programs, what they need, and text files (a dictionary)."""
    root = path + ".d"
    for name in ("dev", "proc", "sys", "tmp"):
        os.makedirs(os.path.join(root, name))
    for binary in binaries:
        static = os.path.basename(binary) == "busybox"
        for source in [binary] + ([] if static else libraries(binary)):
            target = os.path.join(root, source.lstrip("/"))
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copyfile(os.path.realpath(source), target)
            os.chmod(target, 0o755)
    os.symlink("busybox", os.path.join(root, "bin", "sh"))
    for name, text in files.items():
        with open(os.path.join(root, name), "w", encoding="ascii") as f:
            f.write(text)
    used = sum(os.path.getsize(f) for f in glob.glob(root + "/**", recursive=True)
               if os.path.isfile(f))
    # No journal, nothing to write: the guest mounts it read-only.
    run(["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-m", "0", "-d", root, path,
         f"{used * 5 // 4 // MIB + 8}M"])
    shutil.rmtree(root)
    return path


# The guest's part: find the disks by their serial numbers, enter the image.
ENTER = """
for disk in /sys/block/vd*; do
    eval "$(cat $disk/serial)=/dev/${disk##*/}"
done
mount -t ext4 -o ro $tools /mnt || exit 1
for dir in dev proc sys; do mount -o bind /$dir /mnt/$dir; done
mount -t tmpfs tmpfs /mnt/tmp
export data
"""
# Say where we are; go on when the host has read its counters.
MARK = """
echo "@@mark $1@@" >/dev/hvc0
read -r answer </dev/hvc0
"""

POINTS = [(rw, depth) for rw in ("read", "randread", "write", "randwrite") for depth in (1, 32)]
REQUESTS = {1: 1000, 32: 4000}


def fio_jobs():
    """The job file: all points, one after another."""
    text = ["[global]", "filename=${data}", "ioengine=libaio", "direct=1", "bs=4k", "thread=1",
            "size=48m", "norandommap=1", "randrepeat=1", "clocksource=clock_gettime",
            "disk_util=0"]
    for rw, depth in POINTS:
        name = f"{rw}-{depth}"
        text += [f"[{name}]", "stonewall", f"rw={rw}", f"iodepth={depth}",
                 f"number_ios={REQUESTS[depth]}", f"exec_prerun=sh /mark begin-{name}",
                 f"exec_postrun=sh /mark end-{name}"]
    return "\n".join(text) + "\n"


DISK_JOB = ENTER + """
chroot /mnt sh -c 'cd /tmp && exec /usr/bin/fio --output-format=json --output=out /jobs.fio'
echo "@@result fio@@"
sed -n '/^{/,$p' /mnt/tmp/out
echo "@@end@@"
"""
NET_JOB = ENTER + """
ip link set eth0 up
ip addr add $(sed 's/.*guest=\\([^ ]*\\).*/\\1/' /proc/cmdline)/24 dev eth0
server=$(sed 's/.*server=\\([^ ]*\\).*/\\1/' /proc/cmdline)
bytes=$(sed 's/.*bytes=\\([^ ]*\\).*/\\1/' /proc/cmdline)
chroot /mnt /usr/bin/iperf3 --version >/dev/null
for i in 1 2 3 4 5; do ping -c 1 -W 1 $server >/dev/null && break; done
for way in tx rx; do
    reverse=; [ $way = rx ] && reverse=-R
    sh /mnt/mark begin-$way
    chroot /mnt /usr/bin/iperf3 -c $server -n $bytes $reverse --json >/tmp/out
    sh /mnt/mark end-$way
    echo "@@result $way@@"
    cat /tmp/out
    echo "@@end@@"
done
"""

# -- on the test host --------------------------------------------------------


class ExitCounter:
    """Exits of all vCPUs to user space, by KVM's tracepoint."""

    PERF_EVENT_OPEN = 298

    def __init__(self):
        subprocess.run(["mount", "-t", "tracefs", "tracefs", "/sys/kernel/tracing"], check=False,
                       stderr=subprocess.DEVNULL)
        with open("/sys/kernel/tracing/events/kvm/kvm_userspace_exit/id", encoding="ascii") as f:
            event = int(f.read())
        # type TRACEPOINT, size, config; the rest is zero.
        attr = struct.pack("IIQ", 2, 112, event).ljust(112, b"\0")
        libc = ctypes.CDLL(None, use_errno=True)
        self.fds = [libc.syscall(self.PERF_EVENT_OPEN, attr, -1, cpu, -1, 0)
                    for cpu in range(os.cpu_count())]
        if min(self.fds) < 0:
            raise OSError(ctypes.get_errno(), "perf_event_open")

    def read(self):
        """How many so far."""
        return sum(struct.unpack("Q", os.read(fd, 8))[0] for fd in self.fds)


def processes_of(pid):
    """The program's process, and those that it has started: user networks have one."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{pid}/children",
                                            encoding="ascii") as f:
        return [pid, *(int(child) for child in f.read().split())]
    return [pid]


def thread_times(pid):
    """Nanoseconds that each thread but the vCPUs has run, by thread id."""
    times = {}
    for task in [task for process in processes_of(pid)
                 for task in glob.glob(f"/proc/{process}/task/*")]:
        # A thread may end while we look.
        with contextlib.suppress(OSError):
            with open(task + "/comm", encoding="ascii") as f:
                if re.match(r"CPU ", f.read()):
                    continue
            with open(task + "/schedstat", encoding="ascii") as f:
                times[task] = int(f.read().split()[0])
    return times


def run_guest(command, exits):
    """Start a guest and answer its marks; (each result, costs of each point). Twice if need be."""
    results, costs = follow_guest(command, exits)
    if not results:
        print("  a guest came to no end: once more", file=sys.stderr, flush=True)
        results, costs = follow_guest(command, exits)
    return {point: json.loads("\n".join(text)) for point, text in results.items()}, costs


def follow_guest(command, exits):
    """One try of it; the results are lines, and none if the guest did not end in time."""
    results, costs, lines = {}, {}, None
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as vmm:
        def counters():
            return thread_times(vmm.pid), exits.read()

        watchdog = threading.Timer(GUEST_LIMIT, vmm.kill)
        watchdog.start()
        for raw in vmm.stdout:
            line = raw.decode(errors="replace").strip()
            mark = re.search(r"@@(mark|result|end) ?(?:(begin|end)-)?([\w-]*)@@", line)
            if not mark:
                if lines is not None:
                    lines.append(line)
                elif os.environ.get("BENCH_DEBUG"):
                    print(line, file=sys.stderr, flush=True)
                continue
            kind, edge, point = mark.groups()
            if kind == "result":
                lines = results[point] = []
            elif kind == "end":
                lines = None
            elif edge == "begin":
                start = counters()
            else:
                times, count = counters()
                costs[point] = {
                    "exits": count - start[1],
                    "cpu": sum(t - start[0].get(task, 0) for task, t in times.items()) / 1e9}
            if kind == "mark":
                vmm.stdin.write(b"\n")
                vmm.stdin.flush()
        watchdog.cancel()
    return {} if vmm.returncode else results, costs


def progress(name, rows):
    """What is known so far, for the impatient."""
    if os.environ.get("BENCH_DEBUG"):
        print(name, json.dumps(rows), file=sys.stderr, flush=True)


def make_memory_disk(size):
    """A folder on ext4 on a disk in memory: it takes O_DIRECT and has no seek times."""
    # The kernel calls it by the folder's name, or by its number, which is 1.
    disk = "/sys/kernel/config/nullb/nullb1"
    subprocess.run(["mount", "-t", "configfs", "configfs", "/sys/kernel/config"], check=False,
                   stderr=subprocess.DEVNULL)
    os.mkdir(disk)
    for name, value in (("memory_backed", 1), ("size", size // MIB + 64), ("blocksize", 512),
                        ("power", 1)):
        with open(f"{disk}/{name}", "w", encoding="ascii") as f:
            f.write(f"{value}\n")
    run(["mke2fs", "-q", "-t", "ext4", "/dev/nullb1"])
    os.makedirs("/run/bench")
    run(["mount", "-t", "ext4", "/dev/nullb1", "/run/bench"])
    return "/run/bench"


def make_disk(size):
    """A file there."""
    path = os.path.join(make_memory_disk(size), "disk")
    run(["dd", "if=/dev/zero", f"of={path}", "bs=1M", f"count={size // MIB}", "oflag=direct",
         "status=none"])
    return path


def drive(name, path, more, form="raw"):
    """The arguments of a disk that the guest knows by its serial number."""
    return ["-drive", f"if=none,id={name},format={form},file={path},{more}",
            "-device", f"virtio-blk-device,drive={name},serial={name}"]


def flat_rows(reports, costs):
    """Figures of fio's points and what they cost, by request."""
    rows = {}
    for report in reports["fio"]["jobs"]:
        point = report["jobname"]
        way = report["read" if "read" in point else "write"]
        rows[f"{point} iops"] = way["iops"]
        for cost, value in costs[point].items():
            rows[f"{point} {cost}"] = value / way["total_ios"]
    return rows


def host_disk(job):
    """fio at all points with each program; flat rows: "randread-32 iops" and so on."""
    path, exits, rows = make_disk(64 * MIB), ExitCounter(), {}
    for name, (command, aio) in job["commands"].items():
        reports, costs = run_guest(
            [*command, *drive("data", path, f"cache=none,aio={aio}"),
             *drive("tools", job["tools"], "readonly=on,file.locking=off")], exits)
        rows[name] = flat_rows(reports, costs)
        progress(name, rows[name])
    return rows


def host_net(job):
    """iperf3 both ways with each program and network: "tap tx" and so on, in bit/s."""
    run(["ip", "tuntap", "add", "dev", "bench0", "mode", "tap", "vnet_hdr"])
    run(["ip", "addr", "add", "192.168.78.1/24", "dev", "bench0"])
    run(["ip", "link", "set", "bench0", "up"])
    run(["iperf3", "--server", "--daemon"])
    exits, rows = ExitCounter(), {}
    tap = "tap,id=net,ifname=bench0,script=no,downscript=no"
    nets = {"tap": (tap, "192.168.78", "96M"), "vhost": (tap + ",vhost=on", "192.168.78", "96M"),
            "user": ("user,id=net", "10.0.2", "8M")}
    for name, (command, networks) in job["commands"].items():
        rows[name] = {}
        for net in networks:
            netdev, prefix, amount = nets[net]
            server = prefix + (".2" if net == "user" else ".1")
            full = [*command, "-netdev", netdev, "-device", "virtio-net-device,netdev=net",
                    *drive("tools", job["tools"], "readonly=on,file.locking=off")]
            where = full.index("-append") + 1
            full[where] += f" guest={prefix}.15 server={server} bytes={amount}"
            reports, costs = run_guest(full, exits)
            for way, report in reports.items():
                received = report["end"]["sum_received"]
                rows[name][f"{net} {way}"] = received["bits_per_second"]
                mib = received["bytes"] / MIB
                for cost, value in costs[way].items():
                    rows[name][f"{net} {way} {cost}"] = value / mib
        progress(name, rows[name])
    return rows


# -- the table ---------------------------------------------------------------

def disk_columns():
    """Rows of the table: (label, part, key, unit, format, whether more is better)."""
    for key, words, unit, form, more in (
            ("iops", "thousand requests/s", 1e3, "%.2f", True),
            ("cpu", "VMM's CPU per request", 1e-6, "%.1f us", False),
            ("exits", "exits per request", 1, "%.3f", False)):
        for rw, depth in POINTS:
            yield f"{rw} x{depth}, {words}", "disk", f"{rw}-{depth} {key}", unit, form, more


def net_columns():
    """The same for networks."""
    for key, words, unit, form, more in (
            ("", "Gbit/s", 1e9, "%.2f", True),
            (" cpu", "VMM's CPU per MiB", 1e-6, "%.0f us", False),
            (" exits", "exits per MiB", 1, "%.1f", False)):
        for net in ("tap", "vhost", "user"):
            for way, name in (("tx", "to host"), ("rx", "to guest")):
                yield f"{net} {name}, {words}", "net", f"{net} {way}{key}", unit, form, more
