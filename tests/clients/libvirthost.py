"""What tests of libvirt share: its configuration, a domain, the domain's console.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import pwd
import re
import select
import shutil
import subprocess
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
      <driver name='qemu' type='qcow2' cache='none' io='io_uring'/>
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
    for name in ("disk", "image"):
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", names[name], "64M"],
                       check=True)
    with open(names["xml"], "w", encoding="ascii") as file:
        file.write(DOMAIN.format(kernel=os.path.join(kernel, "vmlinux"), qemu=qemu, **names))
    return {"folder": folder, "xml": names["xml"], "image": names["image"],
            "log": os.path.join(folder, "log", "qemu", "guest.log")}


def run(cases, first, state):
    """Run the cases in order; each builds on the one before. How many have failed."""
    failed = 0
    print(f"1..{len(cases)}", flush=True)
    for number, function in enumerate(cases, 1):
        begin = time.monotonic()
        try:
            function(first, state)
            print(f"ok {number} {function.__name__} # {time.monotonic() - begin:.1f} s", flush=True)
        except (AssertionError, OSError, TypeError) as error:
            failed += 1
            print(f"not ok {number} {function.__name__}", flush=True)
            for line in str(error).splitlines():
                print(f"# {line}", flush=True)
    return failed


def folder_for_libvirt():
    """A new folder: libvirt's socket paths must stay short."""
    return tempfile.TemporaryDirectory(prefix="lv-", dir="/tmp")
