#!/usr/bin/env python3
"""What monitors ask for works with the default confinement as with -sandbox off.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

from qemutest import PATIENCE, SANITIZED, VM, Skip, pvh_kernel, run, test

FEATURES = []
PASSED = []
MIB = 1 << 20
# "sti; hlt; jmp" back to the second: a guest that waits.
KERNEL = "fbf4ebfd"


def feature(fn):
    """To be tried in each kind of machine; it returns what must be the same in all of them."""
    FEATURES.append(fn)
    return fn


def passed(fn):
    """The same, with a monitor that opens nothing as well."""
    PASSED.append(fn)
    return feature(fn)


class Machine:
    """A machine to try features on."""

    def __init__(self, vm, folder):
        self.vm, self.folder = vm, folder
        self.c = vm.qmp()
        self.count = 0

    def path(self, name):
        return os.path.join(self.folder, name)

    def name(self):
        self.count += 1
        return f"x{self.count}"

    def file(self, name, data=bytes(MIB)):
        with open(self.path(name), "wb") as file:
            file.write(data)
        return self.path(name)

    def read(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def chardev(self, kind, **data):
        """A chardev that is made and removed; what was answered."""
        answer = self.c.cmd("chardev-add", id="c", backend={"type": kind, "data": data})
        self.c.cmd("chardev-remove", id="c")
        return sorted(answer)

    def getfd(self, name, file):
        self.c.send_fds('{"execute": "getfd", "arguments": {"fdname": "%s"}}' % name,
                        [file.fileno()])
        assert self.c.receive() == {"return": {}}

    def migrated(self):
        """How it has ended; the guest goes on."""
        status = {"status": "setup"}
        while status["status"] not in ("completed", "failed"):
            status = self.c.cmd("query-migrate")
            time.sleep(0.002)
        self.c.cmd("cont")
        return status["status"], status.get("error-desc")

    def disk(self, node):
        """The node is a disk of the guest's for a moment, and closed."""
        self.c.cmd("device_add", driver="scsi-hd", drive=node, id="sd", bus="scsi.0", share_rw=True)
        self.c.cmd("device_del", id="sd")
        self.c.event("DEVICE_DELETED")
        self.c.cmd("blockdev-del", node_name=node)

    def object(self, kind, **props):
        self.c.cmd("object-add", qom_type=kind, id="o", **props)
        self.c.cmd("object-del", id="o")

    def netdev(self, kind, **props):
        self.c.cmd("netdev_add", type=kind, id="n", **props)
        self.c.cmd("netdev_del", id="n")

    def job(self, command, **arguments):
        """A job until its end; its error or nothing."""
        name = self.name()
        self.c.cmd(command, job_id=name, **arguments)
        if "mirror" in command:
            self.c.event("BLOCK_JOB_READY")
            self.c.cmd("job-complete", id=name)
        while True:
            jobs = {job["id"]: job for job in self.c.cmd("query-jobs")}
            if jobs[name]["status"] == "concluded":
                self.c.cmd("job-dismiss", id=name)
                return jobs[name].get("error")
            time.sleep(0.002)


# Chardevs ---------------------------------------------------------------------

@feature
def chardev_files(m):
    os.mkfifo(m.path("fifo.in"))
    os.mkfifo(m.path("fifo.out"))
    return [m.chardev("null"), m.chardev("ringbuf", size=4096), m.chardev("pty"),
            m.chardev("file", out=m.path("out"), append=True, logfile=m.path("log")),
            m.chardev("file", out=m.path("out"), **{"in": m.file("in")}),
            m.chardev("pipe", device=m.path("fifo")),
            m.chardev("pipe", device=m.path("fifo.in"))]


@feature
def chardev_sockets(m):
    def addr(kind, **data):
        return {"addr": {"type": kind, "data": data}, "server": True, "wait": False}
    left, right = socket.socketpair()
    with left, right:
        m.getfd("s", right)
        return [m.chardev("socket", **addr("unix", path=m.path("s"))),
                m.chardev("socket", **addr("unix", path=m.path("a"), abstract=True, tight=False)),
                m.chardev("socket", telnet=True, **addr("inet", host="localhost", port="0")),
                m.chardev("socket", **addr("inet", host="127.0.0.1", port="40000",
                                        to=40500)),
                m.chardev("socket", addr={"type": "inet", "data": {
                    "host": "localhost", "port": "1"}}, server=False, reconnect=1),
                m.chardev("socket", addr={"type": "fd", "data": {"str": "s"}}, server=False)]


@feature
def monitor_sockets(m):
    """A chardev with a client, and what HMP says to the same."""
    answers = [m.c.hmp(f"chardev-add socket,id=h,path={m.path('h')},server=on,wait=off"),
               m.c.hmp("chardev-add file,id=f,path=" + m.path("hout")),
               m.c.hmp("chardev-add pty,id=p,logfile=" + m.path("plog"))]
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(m.path("h"))
    return [re.sub("/dev/pts/[0-9]+", "PTY", text) for text in answers] + \
        [m.c.hmp("chardev-remove " + name) for name in "hfp"]


# Objects ----------------------------------------------------------------------

@feature
def memory(m):
    m.object("memory-backend-file", size=MIB, mem_path=m.path("mem"), share=True, prealloc=True)
    m.object("memory-backend-file", size=MIB, mem_path=m.path("mem"), discard_data=True)
    m.object("memory-backend-file", size=MIB, mem_path=m.folder)
    # What the host has of huge pages differs, but not between these machines.
    return [m.c.execute("object-add", {"qom-type": "memory-backend-memfd", "id": "huge",
                                       "size": 2 * MIB, "hugetlb": True, "prealloc": True}),
            os.path.getsize(m.path("mem"))]


@feature
def objects(m):
    m.object("secret", file=m.file("secret", b"x"))
    m.object("rng-random", filename=m.file("noise"))
    m.c.cmd("netdev_add", type="hubport", id="hub", hubid=1)
    m.object("filter-dump", netdev="hub", file=m.path("pcap"))
    m.c.cmd("netdev_del", id="hub")
    return os.path.getsize(m.path("pcap"))


# Networks ---------------------------------------------------------------------

@feature
def netdevs(m):
    inet = {"type": "inet", "host": "localhost", "port": "0"}
    m.netdev("hubport", hubid=0)
    m.netdev("stream", server=True, addr=inet)
    m.netdev("stream", server=True, addr={"type": "unix", "path": m.path("stream")})
    m.netdev("stream", reconnect=1, addr={"type": "unix", "path": m.path("nobody")})
    m.netdev("dgram", local=inet, remote={"type": "inet", "host": "localhost", "port": "9"})
    m.netdev("dgram", local={"type": "unix", "path": m.path("dgram")},
             remote={"type": "unix", "path": m.path("peer")})
    m.netdev("dgram", remote={"type": "inet", "host": "239.1.2.3", "port": "12345"},
             local={"type": "inet", "host": "127.0.0.1", "port": "0"})
    m.netdev("socket", listen="localhost:0")
    m.netdev("socket", udp="localhost:9", localaddr="localhost:0")
    m.netdev("user")
    answers = [m.c.hmp("hostfwd_add u tcp:127.0.0.1:0-:22"), m.c.hmp("info network")]
    return [re.sub("[0-9]+", "N", text) for text in answers]


# Disks ------------------------------------------------------------------------

@passed
def snapshots(m):
    return [m.c.hmp(line) for line in ("savevm one", "loadvm one", "delvm one")]


@feature
def disks(m):
    answers = []
    for aio, direct in (("threads", False), ("io_uring", False), ("native", True)):
        # Not every file system takes O_DIRECT.
        answers.append(m.c.execute("blockdev-add", {"driver": "raw", "node-name": "d", "file": {
            "driver": "file", "filename": m.file("disk"), "aio": aio,
            "cache": {"direct": direct}}}))
        m.c.execute("blockdev-del", {"node-name": "d"})
    m.c.cmd("blockdev-add", driver="file", node_name="d", filename=m.file("disk"),
            read_only=True, auto_read_only=True, discard="unmap")
    m.disk("d")
    return answers


@feature
def images(m):
    """Files that are made while the machine runs, by a disk's device and jobs."""
    m.c.cmd("blockdev-add", driver="file", node_name="f", filename=m.file("new", b""))
    errors = [m.job("blockdev-create", options={"driver": "file", "filename": m.path("made"),
                                                "size": MIB, "preallocation": "full"}),
              m.job("blockdev-create", options={"driver": "qcow2", "file": "f", "size": MIB})]
    m.c.cmd("blockdev-add", driver="qcow2", node_name="q", file="f")
    m.c.cmd("device_add", driver="scsi-hd", drive="q", id="qd", bus="scsi.0")
    m.c.cmd("blockdev-snapshot-sync", node_name="q", snapshot_file=m.path("over"),
            snapshot_node_name="o", format="qcow2")
    errors += [m.job("drive-backup", device="o", target=m.path("backup"), sync="full",
                     format="qcow2", auto_dismiss=False),
               m.job("block-stream", device="o", auto_dismiss=False),
               m.job("drive-mirror", device="o", target=m.path("mirror"), sync="full",
                     format="raw", auto_dismiss=False)]
    m.c.cmd("device_del", id="qd")
    m.c.event("DEVICE_DELETED")
    for address in ({"type": "unix", "data": {"path": m.path("nbd")}},
                    {"type": "inet", "data": {"host": "localhost", "port": "0"}}):
        m.c.cmd("nbd-server-start", addr=address)
        m.c.cmd("block-export-add", type="nbd", id="e", node_name="q")
        if address["type"] == "unix":
            m.c.cmd("blockdev-add", driver="nbd", node_name="n", server={
                "type": "unix", "path": m.path("nbd")}, export="q", read_only=True)
            m.c.cmd("blockdev-del", node_name="n")
        m.c.cmd("nbd-server-stop")
        m.c.event("BLOCK_EXPORT_DELETED")   # its clients are gone
    return errors


# The machine ------------------------------------------------------------------

@feature
def memory_files(m):
    m.c.cmd("pmemsave", val=0, size=4096, filename=m.path("p"))
    m.c.cmd("memsave", val=0x100000, size=16, filename=m.path("v"))
    for detach in (False, True):
        m.c.cmd("dump-guest-memory", paging=detach, protocol="file:" + m.path(f"core{detach}"),
                detach=detach)
        m.c.event("DUMP_COMPLETED")
    return [m.read("v"), m.read("coreTrue")[:6], os.path.getsize(m.path("coreFalse"))]


@feature
def saved(m):
    """Into a file; sockets where nobody listens say so."""
    states = [m.c.execute("migrate", {"uri": uri})
              for uri in ("unix:" + m.path("none"), "tcp:localhost:1")]
    m.c.cmd("migrate", uri="file:" + m.path("state"))
    return states + [m.migrated(), os.path.getsize(m.path("state")) > 0]


@passed
def logs(m):
    return [m.c.hmp(line) for line in (
        "log in_asm,int,cpu_reset", "system_reset", "log none", "trace-event * on",
        "stop", "cont", "trace-event * off", "calc_dirty_rate 1")]


@passed
def devices(m):
    m.c.cmd("qom-set", path="/machine/peripheral/balloon", value=1,
            property="guest-stats-polling-interval")
    return [m.c.hmp("info " + name) for name in ("numa", "memdev", "iothreads")]


@passed
def descriptors(m):
    """What is opened by somebody else."""
    for name in "m", "d":
        with open(m.path(name), "wb") as file:
            m.getfd(name, file)
    m.c.cmd("migrate", uri="fd:m")
    states = [m.migrated()]
    m.c.cmd("dump-guest-memory", paging=False, protocol="fd:d")
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with left, right:
        m.getfd("n", right)
        m.netdev("dgram", local={"type": "fd", "str": "n"})
    left, right = socket.socketpair()
    with left, right:
        m.getfd("s", right)
        states.append(m.chardev("socket", addr={"type": "fd", "data": {"str": "s"}}, server=False))
    with open(m.file("fdisk"), "r+b") as writable, open(m.path("fdisk"), "rb") as readable:
        for file in writable, readable:
            m.c.send_fds('{"execute": "add-fd", "arguments": {"fdset-id": 3}}', [file.fileno()])
            assert m.c.receive()["return"]["fdset-id"] == 3
    for aio in ("threads", "io_uring"):
        m.c.cmd("blockdev-add", driver="file", node_name="d", filename="/dev/fdset/3", aio=aio)
        m.disk("d")
    return states + [os.path.getsize(m.path("d"))]


@passed
def opened_by_none(m):
    """Objects and back ends without a file."""
    m.object("memory-backend-ram", size=MIB, prealloc=True, prealloc_threads=2)
    bound = m.c.execute("object-add", {"qom-type": "memory-backend-ram", "id": "b", "size": MIB,
                                       "host-nodes": [0], "policy": "bind"})
    m.c.execute("object-del", {"id": "b"})      # where the host has nodes
    m.object("memory-backend-ram", size=MIB, reserve=False, merge=True, dump=False)
    m.object("memory-backend-memfd", size=MIB, share=True, seal=True)
    m.object("iothread", poll_max_ns=1000)
    m.object("rng-builtin")
    m.object("secret", data="x")
    m.object("throttle-group", x_bps_total=1000)
    m.chardev("ringbuf", size=4096)
    m.chardev("null")
    m.netdev("hubport", hubid=0)
    return bound


@feature
def hmp_files(m):
    return [m.c.hmp(line.replace("@", m.folder + "/")) for line in (
        "pmemsave 0 4096 \"@hp\"", "memsave 0x100000 16 \"@hv\"", "dump-guest-memory @hcore",
        "screendump @s", "migrate file:@hstate", "cont", "object_add secret,id=hs,data=x",
        "object_del hs", "netdev_add stream,id=hn,server=on,addr.type=unix,addr.path=@hsock",
        "netdev_del hn")]


# ------------------------------------------------------------------------------

def outcomes(features, *args):
    """What each feature comes to, one after the other in one machine, and which files are left."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", f"{folder}/vm", "16M"],
                       check=True)
        path = ["-sandbox", f"path={folder}"] if args == ("path",) else args
        with VM("-m", "16M", "-kernel", pvh_kernel(folder, KERNEL), "-pidfile", f"{folder}/pid",
                "-D", f"{folder}/D", "-netdev", "user,id=u", "-device",
                "virtio-scsi-device,id=scsi", "-device", "virtio-balloon-device,id=balloon",
                "-blockdev", f"qcow2,node-name=vm,file.driver=file,file.filename={folder}/vm",
                "-device", "virtio-blk-device,drive=vm", *path,
                machine="microvm,pic=off,pit=off", accel="tcg") as vm:
            m = Machine(vm, folder)
            results = {fn.__name__: fn(m) for fn in features}
            m.c.cmd("quit")
            results["status"] = vm.proc.wait(PATIENCE)
        results["files"] = sorted(name.split("-")[0] for name in os.listdir(folder))
        return {name: repr(result).replace(folder, "DIR") for name, result in results.items()}


def same(features, *args):
    """In the machine with these options as with all that is given up otherwise."""
    if SANITIZED:
        raise Skip("a sanitizer's run time makes calls of its own")
    if not shutil.which("qemu-img"):
        raise Skip("no qemu-img")
    expected, found = outcomes(features, "-sandbox", "off"), outcomes(features, *args)
    for name, result in expected.items():
        assert found[name] == result, f"{name}: {found[name]}, with -sandbox off: {result}"


@test
def default():
    """Without an option"""
    same(FEATURES)


@test
def folder():
    """With -sandbox path= of the folder that all of it is in"""
    same(FEATURES, "path")


@test
def closed():
    """With -sandbox monitor=closed, what opens nothing"""
    same(PASSED, "-sandbox", "monitor=closed")


sys.exit(run())
