#!/usr/bin/env python3
"""libvirt drives the shipped binary: define, start, operate, destroy.

SPDX-License-Identifier: GPL-2.0-or-later

Usage: test-libvirt.py QEMU

An unmodified libvirt (Debian's, its driver embedded into virsh: no daemon)
probes the binary, starts a domain of type qemu and operates it. Prints TAP.
"""
import hashlib
import os
import re
import subprocess
import sys
import time

from libvirthost import (PATIENCE, Console, check, folder_for_libvirt, prepare, run,
                         with_account)

CHECKPOINT = """<domaincheckpoint>
  <name>{name}</name>
  <disks><disk name='vda' checkpoint='no'/><disk name='vdb' checkpoint='bitmap'/></disks>
</domaincheckpoint>
"""

BACKUP = """<domainbackup mode='{mode}'>
  {since}{server}
  <disks>
    <disk name='vda' backup='no'/>
    <disk name='vdb' backup='yes' type='file'><driver type='qcow2'/><{word} file='{file}'/></disk>
  </disks>
</domainbackup>
"""

CHANNEL = """<channel type='unix'>
  <source mode='bind' path='{folder}/socket'/>
  <target type='virtio' name='org.example.0'/>
</channel>
"""


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


def backup_begin(virsh, state, checkpoint, **words):
    """backup-begin with a checkpoint; words are those of BACKUP."""
    paths = [os.path.join(state["folder"], name) for name in ("backup.xml", "checkpoint.xml")]
    for path, text in zip(paths, (BACKUP.format(**{"since": "", "server": "", **words}),
                                  CHECKPOINT.format(name=checkpoint))):
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
    text = virsh(f"backup-begin guest {paths[0]} {paths[1]}")
    check("Backup started" in text, text)


def raw_digest(path):
    """Of what a disk's image has for the guest."""
    raw = path + ".raw"
    subprocess.run(["qemu-img", "convert", "-O", "raw", path, raw], check=True)
    with open(raw, "rb") as file:
        digest = hashlib.md5(file.read()).hexdigest()
    os.unlink(raw)
    return digest


def backup(virsh, state):
    """backup-begin: all by push, what came since by push and by pull; checkpoint-delete."""
    digest = state["console"].ask("fill", "[0-9a-f]{32}")[1]
    full, more, scratch = (os.path.join(state["folder"], name) for name in ("full", "more", "s"))
    backup_begin(virsh, state, "c1", mode="push", word="target", file=full)
    wait_for_job(virsh)
    check(raw_digest(full) == digest, "the full backup is another disk")
    state["console"].ask("some", "")
    digest = state["console"].ask("sum", "[0-9a-f]{32}")[1]
    backup_begin(virsh, state, "c2", mode="push", word="target", file=more,
                 since="<incremental>c1</incremental>")
    wait_for_job(virsh)
    check(os.path.getsize(more) < 4 << 20, "the incremental backup is as large as the disk")
    subprocess.run(["qemu-img", "rebase", "-u", "-f", "qcow2", "-b", full, "-F", "qcow2", more],
                   check=True)
    check(raw_digest(more) == digest, "both backups together are another disk")
    # What is fetched is what the disk was when it began.
    socket = os.path.join(state["folder"], "nbd")
    backup_begin(virsh, state, "c3", mode="pull", word="scratch", file=scratch,
                 server=f"<server transport='unix' socket='{socket}'/>")
    state["console"].ask("fill", "[0-9a-f]{32}")
    check(raw_digest_of_export(state, socket) == digest, "the export is another disk")
    check("error:" not in virsh("domjobabort guest"), "the backup does not end")
    check("c2" in virsh("checkpoint-list guest"), "no checkpoint")
    for name in ("c2", "c1", "c3"):
        text = virsh(f"checkpoint-delete guest {name}")
        check("deleted" in text, text)


def raw_digest_of_export(state, socket):
    """Of what an NBD server gives for the second disk."""
    raw = os.path.join(state["folder"], "fetched")
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "raw",
                    f"nbd:unix:{socket}:exportname=vdb", raw], check=True)
    with open(raw, "rb") as file:
        return hashlib.md5(file.read()).hexdigest()


def wait_for_job(virsh):
    """Until the domain has no job."""
    end = time.monotonic() + PATIENCE
    while not re.search(r"Job type:\s+None", virsh("domjobinfo guest")):
        check(time.monotonic() < end, "the job does not end")
        time.sleep(0.2)


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


def inside(virsh, state):
    """snapshot-create, -revert, -delete: the machine and its disks, inside of the images."""
    digest = state["console"].ask("fill", "[0-9a-f]{32}")[1]
    text = virsh("snapshot-create-as guest here")
    check("here created" in text and "error:" not in text, text)
    check("running" in virsh("domstate guest"), "the domain does not run")
    check(state["console"].ask("fill", "[0-9a-f]{32}")[1] != digest, "the same data")
    text = virsh("snapshot-revert guest here")
    check("error:" not in text, text + open(state["log"], errors="replace").read()[-2000:])
    check("running" in virsh("domstate guest"), "the domain does not run")
    state["console"] = Console(re.search(r"/dev/\S+", virsh("ttyconsole guest"))[0])
    state["console"].ask("cpus", "2")
    check(state["console"].ask("sum", "[0-9a-f]{32}")[1] == digest, "other data after it")
    text = virsh("snapshot-delete guest here")
    check("deleted" in text and "error:" not in text, text)


def destroy(virsh, _state):
    """The end, and a domain that can be started again."""
    check("destroyed" in virsh("destroy guest"), "not destroyed")
    check("shut off" in virsh("domstate guest"), "not shut off")
    check("started" in virsh("start guest"), "no second start")
    check("destroyed" in virsh("destroy guest"), "not destroyed")


CASES = [start, pause, statistics, resize, throttle, commit, middle, copy, backup,
         link, hotplug, dump, reset, refuse, save, inside, destroy]


def main():
    """One libvirt, one domain."""
    with folder_for_libvirt() as folder:
        state = prepare(folder, os.path.realpath(sys.argv[1]))
        virsh = Virsh(folder)
        failed = run(CASES, virsh, state)
        virsh("destroy guest")
        virsh.process.stdin.close()
        virsh.process.wait()
    sys.exit(failed != 0)


main()
