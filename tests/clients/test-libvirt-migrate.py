#!/usr/bin/env python3
"""libvirt moves a running guest between two libvirtd of this machine.

SPDX-License-Identifier: GPL-2.0-or-later

Usage: test-libvirt-migrate.py QEMU

Each of the two (Debian's, unmodified) has its own host name and its own folders, in a mount
namespace; sockets, logs and disks are in one folder that both see. Prints TAP.
"""
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid

from libvirthost import (ACCOUNT, PATIENCE, Console, check, folder_for_libvirt, prepare, run)

# The other's second disk is another file where this one is. A /dev/kvm that runs no guest is hidden:
# for its sake libvirt would probe the program again and again.
HOST = """set -e
hostname $NAME
for folder in /run /var/lib /var/log /var/cache /etc/libvirt; do
    mount -t tmpfs tmpfs $folder
done
mkdir /run/lock
cp $FOLDER/etc/qemu.conf /etc/libvirt/qemu.conf
mount --bind $FOLDER/passwd /etc/passwd
mount --bind $FOLDER/group /etc/group
[ $NAME = here ] || mount --bind $FOLDER/other $FOLDER/image
if [ -e /dev/kvm ]; then
    mount --bind $FOLDER/group /dev/kvm
    mount -o remount,bind,ro /dev/kvm
fi
exec libvirtd -f $FOLDER/$NAME.conf -p $FOLDER/$NAME.pid
"""

CONFIG = """unix_sock_dir = "{folder}/{name}"
auth_unix_rw = "none"
host_uuid = "{uuid}"
log_outputs = "3:file:{folder}/{name}.log"
"""


class Host:
    """One libvirtd, and virsh to talk to it."""

    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        with open(f"{folder}/{name}.conf", "w", encoding="ascii") as file:
            file.write(CONFIG.format(folder=folder, name=name, uuid=uuid.uuid4()))
        os.mkdir(f"{folder}/{name}")
        self.uri = f"qemu+unix:///system?socket={folder}/{name}/libvirt-sock"
        with open(f"{folder}/{name}.out", "wb") as out:
            self.process = subprocess.Popen(
                ["unshare", "--mount", "--uts", "sh", "-c", HOST], stdin=subprocess.DEVNULL,
                stdout=out, stderr=out, env={**os.environ, "FOLDER": folder, "NAME": name})
        end = time.monotonic() + PATIENCE
        while not os.path.exists(f"{folder}/{name}/libvirt-sock"):
            check(self.process.poll() is None and time.monotonic() < end, self.logs())
            time.sleep(0.05)

    def logs(self):
        """What it has to say for itself."""
        text = ""
        for suffix in ("out", "log"):
            path = f"{self.folder}/{self.name}.{suffix}"
            if os.path.exists(path):
                with open(path, errors="replace", encoding="utf-8") as file:
                    text += file.read()[-2000:]
        return text

    def __call__(self, command):
        """What the command prints."""
        return subprocess.run(["virsh", "-c", self.uri, *command.split()], check=False, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=PATIENCE).stdout

    def console(self):
        """The guest's console."""
        text = self("ttyconsole guest")
        check("/dev/" in text, f"{text} {self('domstate guest')} {self.logs()}")
        return Console(re.search(r"/dev/\S+", text)[0])

    def stop(self):
        """The end of it and of its guest."""
        self("destroy guest")
        self.process.terminate()
        self.process.wait()


STORAGE = "--copy-storage-all --migrate-disks vdb "


def migrate(source, other, words="--migrateuri tcp://127.0.0.1"):
    """What virsh says of a migration."""
    return source(f"migrate --live --unsafe {words} guest {other.uri}")


def on_one_side(state, digest):
    """The guest runs where state says and nowhere else; its disk has what it had (None: any)."""
    here, other = state["hosts"]
    text = here("domstate guest") + here.logs()
    check("running" in text, text)
    check("running" not in other("domstate guest"), "it runs on both sides")
    console = here.console()
    console.ask("cpus", "2")
    check(not digest or console.ask("sum", "[0-9a-f]{32}")[1] == digest, "other data on its disk")


def moved(state, digest, words):
    """It goes to the other side."""
    here, other = state["hosts"]
    text = migrate(here, other, words)
    check("error:" not in text, text + here.logs() + other.logs())
    state["hosts"] = [other, here]
    on_one_side(state, digest)


def fill(state):
    """The guest's disk gets new data: their digest."""
    return state["hosts"][0].console().ask("fill", "[0-9a-f]{32}")[1]


def start(here, state):
    """A guest runs."""
    text = here(f"define {state['xml']}") + here("start guest")
    check("started" in text, text + here.logs())
    console = here.console()
    console.expect("begin@@")
    state["digest"] = console.ask("fill", "[0-9a-f]{32}")[1]


def rate(here, _state):
    """domdirtyrate-calc and domstats --dirtyrate, by samples and by the log."""
    for mode in ("page-sampling", "dirty-bitmap"):
        text = here(f"domdirtyrate-calc guest --seconds 1 --mode {mode}")
        check("error:" not in text, text)
        end = time.monotonic() + PATIENCE
        while "calc_status=2" not in here("domstats guest --dirtyrate"):
            check(time.monotonic() < end, here("domstats guest --dirtyrate"))
            time.sleep(0.1)
        text = here("domstats guest --dirtyrate")
        check("megabytes_per_second=" in text and f"calc_mode={mode}" in text, text)


def storage(_first, state):
    """migrate --live --copy-storage-all: the other side's disk has what this one's has."""
    moved(state, fill(state), STORAGE + "--migrateuri tcp://127.0.0.1")


def back(_first, state):
    """migrate --live by a UNIX socket, with the disk, and the host's file is the first again."""
    folder = state["folder"]
    moved(state, fill(state), f"{STORAGE}--migrateuri unix://{folder}/m.sock "
          f"--disks-uri unix://{folder}/d.sock")


def abort(_first, state):
    """domjobabort while the disk is copied, and while RAM is sent: the guest stays."""
    here, other = state["hosts"]
    digest = fill(state)
    here("migrate-setspeed guest 1")
    for words, sign in ((STORAGE, "File processed"), ("", "Memory processed")):
        text = []
        thread = threading.Thread(target=lambda words=words, text=text: text.append(
            migrate(here, other, words + "--migrateuri tcp://127.0.0.1")))
        thread.start()
        under_way(here, sign)
        check("error:" not in here("domjobabort guest"), "cannot be aborted")
        thread.join()
        check("canceled" in text[0] or "aborted" in text[0], text[0])
        on_one_side(state, digest)
    here("migrate-setspeed guest 1000")


def under_way(host, sign):
    """Some of it has been sent."""
    end = time.monotonic() + PATIENCE
    while not re.search(rf"{sign}: +[1-9]", host("domjobinfo guest")):
        check(time.monotonic() < end, host("domjobinfo guest"))
        time.sleep(0.05)


def newest_process(state):
    """Of the domain's processes that came in the last one."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                line = file.read()
            with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
                began = int(file.read().rsplit(")", 1)[1].split()[19])
        except OSError:
            continue
        if b"-incoming" in line and state["folder"].encode() in line:
            found.append((began, int(pid)))
    return max(found)[1]


def killed(_first, state):
    """The process at the other side dies: the guest stays."""
    here, other = state["hosts"]
    digest = fill(state)
    here("migrate-setspeed guest 1")
    text = []
    thread = threading.Thread(target=lambda: text.append(migrate(here, other)))
    thread.start()
    under_way(here, "Memory processed")
    os.kill(newest_process(state), signal.SIGKILL)
    thread.join()
    check("error:" in text[0], text[0])
    on_one_side(state, digest)
    here("migrate-setspeed guest 1000")


def tunnelled(_first, state):
    """migrate --live --p2p --tunnelled: by a pipe on each side. The disk there is another."""
    moved(state, None, "--p2p --tunnelled")


def may_come_late():
    """Whether a process of root's without capabilities may use userfaultfd on this host."""
    with contextlib.suppress(FileNotFoundError), \
            open("/proc/sys/vm/unprivileged_userfaultfd", encoding="ascii") as file:
        return file.read() == "1\n" or os.path.exists("/dev/userfaultfd")
    return False


def postcopy(_first, state):
    """migrate --live --postcopy, and migrate-postcopy in the middle of it: it runs there at once."""
    here, other = state["hosts"]
    words = "--postcopy --migrateuri tcp://127.0.0.1"
    if not may_come_late():
        text = migrate(here, other, words)
        check("vm.unprivileged_userfaultfd" in text, text)
        on_one_side(state, None)
        return
    here("migrate-setspeed guest 1")
    text = []
    thread = threading.Thread(target=lambda: text.append(migrate(here, other, words)))
    thread.start()
    under_way(here, "Memory processed")
    said = here("migrate-postcopy guest")
    thread.join()
    check("error:" not in said + text[0], said + text[0] + here.logs() + other.logs())
    state["hosts"] = [other, here]
    on_one_side(state, None)


CASES = [start, rate, storage, back, abort, killed, tunnelled, postcopy]


def account(folder):
    """passwd and group with the account that Debian's libvirt looks up."""
    for name, line in (("passwd", f"{ACCOUNT}:x:64055:64055::/nonexistent:/bin/false\n"),
                       ("group", f"{ACCOUNT}:x:64055:\n")):
        copy = os.path.join(folder, name)
        shutil.copy(f"/etc/{name}", copy)
        with open(copy, "a", encoding="utf-8") as file:
            file.write(line)


def main():
    """Two libvirtd, one guest."""
    if not shutil.which("libvirtd") or os.geteuid():
        print("1..0 # SKIP needs libvirtd and root")
        return
    with folder_for_libvirt() as folder:
        state = prepare(folder, os.path.realpath(sys.argv[1]))
        account(folder)
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", f"{folder}/other", "64M"],
                       check=True)
        hosts = []
        try:
            for name in ("here", "there"):
                hosts.append(Host(folder, name))
            state["hosts"] = list(hosts)
            failed = run(CASES, hosts[0], state)
        finally:
            for host in hosts:
                host.stop()
    sys.exit(failed != 0)


main()
