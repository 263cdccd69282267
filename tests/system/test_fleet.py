"""Many machines on one host: started at once, stopped, killed, short of memory.

SPDX-License-Identifier: GPL-2.0-or-later

Each guest writes to its disk and reads it back, looks whether its clock goes forward, and says
so. Whatever happens to the host or to the others, those that live go on from where they were.
On the emulated host its clock is set and memory runs out, too: no other machine's is touched.
FLEET (64) is how many there are, FLEET_PAUSE (60) for how many seconds the host sleeps.
"""
import contextlib
import os
import random
import re
import signal
import tempfile
import time

from harness import ACCEL, Qemu, case, check, initrd, kernel, machine_args, soft_host, wait_for

COUNT = int(os.environ.get("FLEET") or 64)
PAUSE = int(os.environ.get("FLEET_PAUSE") or 60)
PATIENCE = 900      # seconds: they share the host's processors
CGROUP = "/sys/fs/cgroup"

WORK = """n=0 last=0
while :; do
    dd if=/dev/urandom of=/tmp/a bs=64k count=2 2>/dev/null
    dd if=/tmp/a of=/dev/vda oflag=direct bs=64k 2>/dev/null
    dd if=/dev/vda of=/tmp/b iflag=direct bs=64k count=2 2>/dev/null
    cmp /tmp/a /tmp/b >/dev/null || echo @@differs@@
    read up idle </proc/uptime
    now=${up%.*}${up#*.}
    [ "$now" -ge $last ] || echo @@backwards@@
    last=$now n=$((n + 1))
    echo pass $n
    sleep 5
done
"""


class Fleet:
    """The machines that run, and those that were killed."""

    def __init__(self, stack, folder, before):
        self.rng = random.Random(64)
        args = [*machine_args(mem="48M", kernel_path=kernel("lean"), append="quiet",
                              initrd_path=initrd(WORK)), "-no-reboot", "-serial", "stdio"]
        self.living = [stack.enter_context(self.start(args, os.path.join(folder, str(n)), before))
                       for n in range(COUNT)]

    @staticmethod
    def start(args, disk, before):
        with open(disk, "wb") as file:
            file.truncate(1 << 20)
        return Qemu([*args, "-drive", f"file={disk},format=raw,if=none,id=d",
                     "-device", "virtio-blk-device,drive=d"], before=before)

    def passes(self, qemu):
        """How often a guest has done its work."""
        while qemu.process.poll() is None:
            before = len(qemu.log)
            qemu.read_some(0)
            if len(qemu.log) == before:
                break
        found = re.findall(rb"pass (\d+)\r?\n", qemu.log)
        return int(found[-1]) if found else 0

    def go_on(self, why):
        """Each that lives does its work twice more, and has never found a fault."""
        goals = [(qemu, self.passes(qemu) + 2) for qemu in self.living]
        for qemu, goal in goals:
            qemu.expect(rb"pass %d\r?\n" % goal, PATIENCE)
            check(b"@@" not in qemu.log.split(b":begin@@")[-1],
                  f"{why}: a guest found a fault\n{qemu.tail()}")

    def signal(self, number):
        for qemu in self.living:
            qemu.process.send_signal(number)

    def bury(self):
        """Forget those that are dead; how many."""
        dead = [qemu for qemu in self.living if qemu.process.poll() is not None]
        for qemu in dead:
            check(qemu.process.returncode == -signal.SIGKILL,
                  f"status {qemu.process.returncode}, not killed\n{qemu.tail()}")
        self.living = [qemu for qemu in self.living if qemu not in dead]
        return len(dead)


class MemoryGroup:
    """A control group for all of them, on a host that is ours."""

    def __init__(self, path="/sys/fs/cgroup/fleet"):
        self.path = path
        with open("/sys/fs/cgroup/cgroup.subtree_control", "w", encoding="ascii") as file:
            file.write("+memory")
        os.mkdir(path)

    def before(self):
        """Words in front of a program that is to run in it: what it touches counts from there."""
        return ["/bin/sh", "-c", f"echo $$ >{self.path}/cgroup.procs; exec \"$@\"", "sh"]

    def limit(self, value):
        with open(os.path.join(self.path, "memory.max"), "w", encoding="ascii") as file:
            file.write(str(value))

    def used(self):
        with open(os.path.join(self.path, "memory.current"), encoding="ascii") as file:
            return int(file.read())


def starve(fleet, group):
    """Less memory than they have touched: the kernel kills some, the others go on."""
    group.limit(group.used() * 7 // 8)
    wait_for(lambda: any(qemu.process.poll() is not None for qemu in fleet.living),
             "no machine was killed for its memory")
    time.sleep(5)
    group.limit("max")
    check(0 < fleet.bury() < COUNT // 2, "too many were killed for their memory")
    fleet.go_on("some were killed for their memory")


def step_clock(fleet):
    """The host's time of day goes an hour forward, then two back."""
    for step in (3600, -7200, 3600):
        time.clock_settime(time.CLOCK_REALTIME, time.clock_gettime(time.CLOCK_REALTIME) + step)
        fleet.go_on(f"the host's clock went {step} seconds")


@case(f"{COUNT} machines: started at once, asleep with the host, killed, short of memory",
      accel=ACCEL, long=True)
def many():
    with tempfile.TemporaryDirectory(prefix="fleet-") as folder, contextlib.ExitStack() as stack:
        group = MemoryGroup() if soft_host() else None
        fleet = Fleet(stack, folder, group.before() if group else [])
        fleet.go_on("all started at once")
        fleet.signal(signal.SIGSTOP)
        time.sleep(PAUSE)
        fleet.signal(signal.SIGCONT)
        fleet.go_on("the host slept")
        for qemu in fleet.rng.sample(fleet.living, COUNT // 8):
            qemu.process.kill()
            qemu.process.wait()
        check(fleet.bury() == COUNT // 8, "others were killed, too")
        fleet.go_on("some were killed")
        if group:
            step_clock(fleet)
            starve(fleet, group)
        for qemu in fleet.living:
            status, _ = qemu.stop(signal.SIGTERM)
            check(status == 0, f"exit status {status} after SIGTERM\n{qemu.tail()}")
