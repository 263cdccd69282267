#!/usr/bin/env python3
"""libvirt drives the shipped binary: define, start, operate, destroy.

SPDX-License-Identifier: GPL-2.0-or-later

Usage: test-libvirt.py QEMU

An unmodified libvirt (Debian's, its driver embedded into virsh: no daemon)
probes the binary, starts a domain of type qemu and operates it. Prints TAP.
"""
import os
import pwd
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.realpath(__file__))
GUEST = os.path.join(os.path.dirname(HERE), "guest")
PATIENCE = 120  # seconds for any answer, on a busy machine

ACCOUNT = "libvirt-qemu"
CONFIG = """security_driver = "none"
user = "root"
group = "root"
remember_owner = 0
namespaces = []
cgroup_controllers = []
stdio_handler = "file"
"""

DOMAIN = """<domain type='qemu'>
  <name>guest</name>
  <memory unit='MiB'>128</memory>
  <vcpu>2</vcpu>
  <cpu mode='host-model'/>
  <os>
    <type arch='x86_64' machine='microvm'>hvm</type>
    <kernel>{kernel}</kernel>
    <initrd>{initrd}</initrd>
    <cmdline>console=ttyS0 reboot=t panic=-1</cmdline>
  </os>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>restart</on_reboot>
  <devices>
    <emulator>{qemu}</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw' cache='none' io='io_uring'/>
      <source file='{disk}'/>
      <target dev='vda' bus='virtio'/>
      <serial>disk-1</serial>
      <address type='virtio-mmio'/>
    </disk>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/>
      <source file='{image}'/>
      <target dev='vdb' bus='virtio'/>
      <serial>disk-2</serial>
      <address type='virtio-mmio'/>
    </disk>
    <controller type='usb' model='none'/>
    <controller type='virtio-serial' index='0'><address type='virtio-mmio'/></controller>
    <serial type='pty'><target type='isa-serial' port='0'/></serial>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <interface type='user'>
      <mac address='52:54:00:11:22:33'/>
      <model type='virtio'/>
      <address type='virtio-mmio'/>
    </interface>
    <rng model='virtio'>
      <backend model='random'>/dev/urandom</backend>
      <address type='virtio-mmio'/>
    </rng>
    <memballoon model='none'/>
  </devices>
</domain>
"""

CHANNEL = """<channel type='unix'>
  <source mode='bind' path='{folder}/socket'/>
  <target type='virtio' name='org.example.0'/>
</channel>
"""

# What the guest does: it answers lines on its console.
JOB = """while read -r word; do
    case $word in
    cpus) echo "cpus $(nproc)." ;;
    disk) echo "disk $(cat /sys/block/vda/serial) $(cat /sys/block/vda/size)." ;;
    port) echo "port $(cat /sys/class/virtio-ports/*/name | grep example)." ;;
    fill) dd if=/dev/urandom of=/dev/vdb bs=1M count=16 conv=fsync 2>/dev/null
        echo "fill $(md5sum </dev/vdb | cut -c1-32)." ;;
    some) for i in 1 2 3 4; do
            dd if=/dev/zero of=/dev/vdb bs=64k count=1 conv=fsync oflag=direct 2>/dev/null
        done; echo "some ." ;;
    sum) echo 3 >/proc/sys/vm/drop_caches; echo "sum $(md5sum </dev/vdb | cut -c1-32)." ;;
    link) ip link set eth0 up; sleep 1; echo "link $(cat /sys/class/net/eth0/carrier)." ;;
    esac
done
"""


def with_account(folder, command):
    """The command where the account exists that Debian's libvirt looks up at its start.

    The package that would make it brings daemons along; so only the command sees it."""
    try:
        pwd.getpwnam(ACCOUNT)
        return command
    except KeyError:
        pass
    script = ""
    for name, line in (("passwd", f"{ACCOUNT}:x:64055:64055::/nonexistent:/bin/false\n"),
                       ("group", f"{ACCOUNT}:x:64055:\n")):
        copy = os.path.join(folder, name)
        shutil.copy(f"/etc/{name}", copy)
        with open(copy, "a", encoding="utf-8") as file:
            file.write(line)
        script += f"mount --bind '{copy}' /etc/{name} && "
    return ["unshare", "--mount", "sh", "-c", script + 'exec "$@"', "sh", *command]


class Virsh:
    """One virsh, fed with commands."""

    def __init__(self, folder):
        uri = f"qemu:///embed?root={folder}"
        self.process = subprocess.Popen(with_account(folder, ["virsh", "-c", uri]),
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT)
        self.count = 0

    def __call__(self, command):
        """What the command prints."""
        self.count += 1
        mark = f"end-of-command-{self.count}."
        self.process.stdin.write(f"{command}\necho {mark}\n".encode())
        self.process.stdin.flush()
        text = ""
        # virsh repeats what it reads.
        while text.count(mark) < 2:
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                raise AssertionError(f"virsh died of {command!r}: {text}")
            text += data.decode(errors="replace")
        return text


class Console:
    """The guest's serial console, a pty."""

    def __init__(self, path):
        self.fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
        self.text = ""

    def expect(self, pattern):
        """Read until the pattern appears; the match."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            match = re.search(pattern, self.text)
            if match:
                self.text = self.text[match.end():]
                return match
            if select.select([self.fd], [], [], 0.5)[0]:
                self.text += os.read(self.fd, 4096).decode(errors="replace")
        raise AssertionError(f"the console never said {pattern!r}: {self.text[-500:]!r}")

    def ask(self, word, pattern):
        """Ask the guest until it answers with the pattern (it may be starting)."""
        for _ in range(20):
            os.write(self.fd, word.encode() + b"\n")
            try:
                return self.expect(rf"{word} ({pattern})\.")
            except AssertionError:
                if not select.select([self.fd], [], [], 0)[0]:
                    raise
        raise AssertionError(f"no answer to {word}")


def check(condition, text):
    """Fail the case with the text unless the condition holds."""
    if not condition:
        raise AssertionError(text)


def start(virsh, state):
    """A domain is defined, and started after libvirt has probed the binary."""
    text = virsh(f"define {state['xml']}")
    check("defined" in text, text)
    text = virsh("start guest")
    check("started" in text, text + open(state["log"], errors="replace").read()[-2000:])
    check("running" in virsh("domstate guest"), "the domain does not run")
    state["console"] = Console(re.search(r"/dev/\S+", virsh("ttyconsole guest"))[0])
    state["console"].expect("begin@@")
    state["console"].ask("cpus", "2")
    state["console"].ask("disk", "disk-1 131072")


def pause(virsh, _state):
    """suspend and resume are seen in the state."""
    virsh("suspend guest")
    check("paused" in virsh("domstate guest"), "not paused")
    virsh("resume guest")
    check("running" in virsh("domstate guest"), "not running")


def statistics(virsh, _state):
    """Two vCPUs, a disk and a network interface are counted."""
    text = virsh("domstats guest")
    for line in ("vcpu.current=2", "vcpu.1.state=1", "block.0.capacity=67108864", "net.count=1"):
        check(line in text, f"{line} is missing: {text}")
    check(re.search(r"vda rd_req [1-9]", virsh("domblkstat guest vda")), "no reads of the disk")
    text = virsh("domblkinfo guest vda")
    check(re.search(r"Capacity: *67108864\n", text), text)


def resize(virsh, state):
    """The guest sees the disk's new size."""
    text = virsh("blockresize guest vda 96MiB")
    check("resized" in text, text)
    state["console"].ask("disk", "disk-1 196608")


def throttle(virsh, state):
    """Limits of a disk are set, seen and kept by it, and taken away."""
    text = virsh("blkdeviotune guest vdb --write-iops-sec 20 --total-bytes-sec 1000000 "
                 "--total-bytes-sec-max 2000000 --total-bytes-sec-max-length 3 "
                 "--size-iops-sec 4096 --group-name slow")
    check("error:" not in text, text)
    text = virsh("blkdeviotune guest vdb")
    for name, value in (("write_iops_sec", 20), ("total_bytes_sec", 1000000), ("read_iops_sec", 0),
                        ("total_bytes_sec_max", 2000000), ("total_bytes_sec_max_length", 3),
                        ("size_iops_sec", 4096), ("group_name", "slow")):
        check(re.search(rf"{name} *: {value}\n", text), text)
    start = time.monotonic()
    state["console"].ask("some", "")
    # Each of four writes counts as 16; three wait until but two of those before are paid for.
    check(time.monotonic() - start > 2, "nothing has waited")
    text = virsh("blkdeviotune guest vdb --write-iops-sec 0 --total-bytes-sec 0 "
                 "--total-bytes-sec-max 0 --total-bytes-sec-max-length 0 --size-iops-sec 0")
    check("error:" not in text, text)
    check(re.search(r"total_bytes_sec *: 0\n", virsh("blkdeviotune guest vdb")), "still limits")


def link(virsh, state):
    """The guest sees the cable pulled and plugged."""
    for word, carrier in (("down", "0"), ("up", "1")):
        text = virsh(f"domif-setlink guest 52:54:00:11:22:33 {word}")
        check("updated" in text, text)
        state["console"].ask("link", carrier)


def hotplug(virsh, state):
    """A channel is plugged in, which the guest sees, and out again."""
    path = os.path.join(state["folder"], "channel")
    with open(path, "w", encoding="ascii") as file:
        file.write(CHANNEL.format(**state))
    text = virsh(f"attach-device guest {path}")
    check("attached" in text, text)
    state["console"].ask("port", "org.example.0")
    text = virsh(f"detach-device guest {path}")
    check("detached" in text, text)
    state["console"].ask("port", "")


def snapshot(virsh, name, state):
    """An external snapshot of the second disk; what is written from then on is in name."""
    path = os.path.join(state["folder"], name)
    text = virsh(f"snapshot-create-as guest {name} --disk-only --no-metadata --diskspec "
                 f"vda,snapshot=no --diskspec vdb,snapshot=external,file={path}")
    check("created" in text, text)
    check(path in virsh("domblklist guest"), "the disk is where it was")
    return state["console"].ask("fill", "[0-9a-f]{32}")[1]


def commit(virsh, state):
    """snapshot-create-as --disk-only, blockcommit of the active image with pivot."""
    digest = snapshot(virsh, "s1", state)
    text = virsh("blockcommit guest vdb --active --pivot --verbose")
    check("Successfully pivoted" in text, text)
    check(state["image"] in virsh("domblklist guest"), "the disk is not the base")
    check(state["console"].ask("sum", "[0-9a-f]{32}")[1] == digest, "other data after it")


def middle(virsh, state):
    """blockcommit of an image in the middle, blockpull of all that is left."""
    snapshot(virsh, "s2", state)
    digest = snapshot(virsh, "s3", state)
    path = os.path.join(state["folder"], "s2")
    text = virsh(f"blockcommit guest vdb --top {path} --wait --verbose")
    check("Commit complete" in text, text)
    text = virsh("blockpull guest vdb --wait --verbose")
    check("Pull complete" in text, text)
    check(state["console"].ask("sum", "[0-9a-f]{32}")[1] == digest, "other data after it")


def copy(virsh, state):
    """blockcopy with pivot; the copy is sound, and has all."""
    path = os.path.join(state["folder"], "copy")
    digest = state["console"].ask("fill", "[0-9a-f]{32}")[1]
    text = virsh(f"blockcopy guest vdb --dest {path} --format qcow2 --transient-job --pivot "
                 "--wait --verbose")
    check("Successfully pivoted" in text, text)
    check(path in virsh("domblklist guest"), "the disk is where it was")
    check(state["console"].ask("sum", "[0-9a-f]{32}")[1] == digest, "other data after it")


def dump(virsh, state):
    """A core of the guest's memory is an ELF file."""
    path = os.path.join(state["folder"], "core")
    text = virsh(f"dump guest {path} --memory-only")
    check("dumped" in text, text)
    with open(path, "rb") as file:
        check(file.read(4) == b"\x7fELF", "the dump is not an ELF file")


def reset(virsh, state):
    """The guest starts again."""
    text = virsh("reset guest")
    check("was reset" in text, text)
    state["console"].expect("begin@@")
    state["console"].ask("cpus", "2")


def refuse(virsh, _state):
    """What the machine has not is refused, and it goes on."""
    for command in ("send-key guest KEY_A", "setvcpus guest 1 --live"):
        text = virsh(command)
        check("error:" in text, f"{command}: {text}")
    check("running" in virsh("domstate guest"), "the domain does not run")


def save(virsh, state):
    """save, managedsave: the guest goes on where it was, with its disk's data."""
    path = os.path.join(state["folder"], "saved")
    digest = state["console"].ask("fill", "[0-9a-f]{32}")[1]
    for command, word, back in ((f"save guest {path}", "saved", f"restore {path}"),
                                ("managedsave guest", "state saved", "start guest")):
        text = virsh(command)
        check(word in text and "error:" not in text, text)
        check("shut off" in virsh("domstate guest"), "not shut off")
        text = virsh(back)
        check("error:" not in text, text + open(state["log"], errors="replace").read()[-2000:])
        check("running" in virsh("domstate guest"), "the domain does not run")
        state["console"] = Console(re.search(r"/dev/\S+", virsh("ttyconsole guest"))[0])
        state["console"].ask("cpus", "2")
        check(state["console"].ask("sum", "[0-9a-f]{32}")[1] == digest, "other data after it")


def destroy(virsh, _state):
    """The end, and a domain that can be started again."""
    check("destroyed" in virsh("destroy guest"), "not destroyed")
    check("shut off" in virsh("domstate guest"), "not shut off")
    check("started" in virsh("start guest"), "no second start")
    check("destroyed" in virsh("destroy guest"), "not destroyed")


CASES = [start, pause, statistics, resize, throttle, commit, middle, copy, link,
         hotplug, dump, reset, refuse, save, destroy]


def prepare(folder, qemu):
    """The files of the domain and libvirt's configuration; what the cases need."""
    os.makedirs(os.path.join(folder, "etc"))
    with open(os.path.join(folder, "etc", "qemu.conf"), "w", encoding="ascii") as file:
        file.write(CONFIG)
    kernel = os.environ.get("LEAN_KERNEL") or subprocess.run(
        [os.path.join(GUEST, "build-kernel")], stdout=subprocess.PIPE, check=True,
        stdin=subprocess.DEVNULL).stdout.decode().strip()
    names = {name: os.path.join(folder, name) for name in ("job", "initrd", "disk", "image", "xml")}
    with open(names["job"], "w", encoding="ascii") as file:
        file.write(JOB)
    subprocess.run([os.path.join(GUEST, "mkinitramfs"), "-o", names["initrd"],
                    "--job", names["job"]], check=True)
    with open(names["disk"], "wb") as file:
        file.truncate(64 << 20)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", names["image"], "64M"], check=True)
    with open(names["xml"], "w", encoding="ascii") as file:
        file.write(DOMAIN.format(kernel=os.path.join(kernel, "vmlinux"), qemu=qemu, **names))
    return {"folder": folder, "xml": names["xml"], "image": names["image"],
            "log": os.path.join(folder, "log", "qemu", "guest.log")}


def main():
    """Run the cases in order; each builds on the one before."""
    qemu = os.path.realpath(sys.argv[1])
    failed = 0
    print(f"1..{len(CASES)}", flush=True)
    # libvirt's socket paths must stay short.
    with tempfile.TemporaryDirectory(prefix="lv-", dir="/tmp") as folder:
        state = prepare(folder, qemu)
        virsh = Virsh(folder)
        for number, function in enumerate(CASES, 1):
            try:
                function(virsh, state)
                print(f"ok {number} {function.__name__}", flush=True)
            except (AssertionError, OSError, TypeError) as error:
                failed += 1
                print(f"not ok {number} {function.__name__}", flush=True)
                for line in str(error).splitlines():
                    print(f"# {line}", flush=True)
        virsh("destroy guest")
        virsh.process.stdin.close()
        virsh.process.wait()
    sys.exit(failed != 0)


main()
