#!/usr/bin/env python3
"""Jobs and snapshots by QMP, as libvirt does them. test-block-jobs.py QEMU prints TAP.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import shutil
import subprocess
import sys
import tempfile

import qemutest
from qemutest import VM, Skip, test

MIB = 1 << 20


def img(*args):
    """Run qemu-img, if it is here."""
    if not shutil.which("qemu-img"):
        raise Skip("there is no qemu-img")
    subprocess.run(["qemu-img", *args], check=True, stdout=subprocess.DEVNULL)


class Disks:
    """A folder, a machine with two disks there (one with an iothread), and its monitor."""

    def __enter__(self):
        self.tmp = tempfile.TemporaryDirectory()
        self.dir = self.tmp.name
        args = ["-object", "iothread,id=io"]
        for name, more in (("a", ",iothread=io"), ("b", "")):
            img("create", "-q", "-f", "qcow2", self.path(name), "8M")
            args += ["-blockdev", f"driver=qcow2,node-name={name},file.driver=file,"
                     f"file.filename={self.path(name)}",
                     "-device", f"virtio-blk-device,id=dev-{name},drive={name}{more}"]
        self.vm = VM(*args, machine="microvm").__enter__()
        self.qmp = self.vm.qmp()
        return self

    def __exit__(self, *args):
        self.vm.__exit__(*args)
        self.tmp.cleanup()

    def path(self, name):
        return os.path.join(self.dir, name + ".qcow2")

    def states(self, job, last):
        """The states that a job goes through up to this one."""
        seen = []
        while not seen or seen[-1] != last:
            event = self.qmp.event("JOB_STATUS_CHANGE")["data"]
            if event["id"] == job:
                seen.append(event["status"])
        return seen

    def create(self, options):
        """blockdev-create to its end; the error, or None."""
        self.qmp.cmd("blockdev-create", job_id="create", options=options)
        self.states("create", "concluded")
        jobs = self.qmp.cmd("query-jobs")
        self.qmp.cmd("job-dismiss", id="create")
        return jobs[0].get("error")

    def overlay(self, name, backing):
        """A new image in a new file, opened as the node called name."""
        file = f"{name}-file"
        assert self.create({"driver": "file", "filename": self.path(name), "size": 0}) is None
        self.qmp.cmd("blockdev-add", driver="file", node_name=file, filename=self.path(name))
        assert self.create({"driver": "qcow2", "file": file, "size": 8 * MIB,
                            "backing-file": self.path(backing), "backing-fmt": "qcow2"}) is None
        self.qmp.cmd("blockdev-add", driver="qcow2", node_name=name, file=file, backing=None)

    def tops(self):
        """The uppermost nodes of both disks."""
        return [b["inserted"]["node-name"] for b in self.qmp.cmd("query-block")]


@test
def snapshots():
    """transaction: overlays on both disks or on none; snapshot-sync"""
    with Disks() as d:
        d.overlay("a1", "a")
        d.overlay("b1", "b")
        action = [{"type": "blockdev-snapshot", "data": {"node": n, "overlay": n + "1"}}
                  for n in "ab"]
        broken = {"type": "blockdev-snapshot", "data": {"node": "a1", "overlay": "none"}}
        d.qmp.error("transaction", actions=action + [broken])
        assert d.tops() == ["a", "b"], d.tops()
        d.qmp.error("transaction", actions=[action[0], action[0]])
        d.qmp.error("transaction", actions=[{"type": "blockdev-backup", "data": {}}])
        d.qmp.cmd("transaction", actions=action)
        assert d.tops() == ["a1", "b1"], d.tops()
        d.qmp.error("blockdev-del", node_name="a")
        chain = d.qmp.cmd("query-block")[0]["inserted"]
        assert chain["backing_file_depth"] == 1 and chain["image"]["backing-image"], chain
        d.qmp.cmd("blockdev-snapshot-sync", node_name="a1", snapshot_file=d.path("a2"),
                  snapshot_node_name="a2", format="qcow2")
        assert d.tops()[0] == "a2", d.tops()
        d.qmp.error("blockdev-snapshot-sync", node_name="a2", snapshot_file="/nowhere/x")


@test
def commit():
    """block-commit of the active image: READY, job-complete, pivot; the disk resized before"""
    with Disks() as d:
        d.overlay("a1", "a")
        d.qmp.cmd("blockdev-snapshot", node="a", overlay="a1")
        d.qmp.cmd("block_resize", node_name="a1", size=9 * MIB)
        d.qmp.cmd("block-commit", job_id="c", device="a1", base_node="a", auto_dismiss=False)
        d.qmp.error("block_resize", node_name="a1", size=10 * MIB)
        d.qmp.error("block-stream", job_id="s", device="a1")
        d.qmp.event("BLOCK_JOB_READY")
        job, = d.qmp.cmd("query-block-jobs")
        assert job["ready"] and job["type"] == "commit" and job["status"] == "ready", job
        d.qmp.error("job-dismiss", id="c")
        d.qmp.cmd("job-complete", id="c")
        done = d.qmp.event("BLOCK_JOB_COMPLETED")["data"]
        assert "error" not in done and done["device"] == "c", done
        d.qmp.cmd("job-dismiss", id="c")
        assert d.tops()[0] == "a", d.tops()
        assert d.qmp.cmd("query-block")[0]["inserted"]["image"]["virtual-size"] == 9 * MIB
        d.qmp.cmd("blockdev-del", node_name="a1")
        d.qmp.cmd("blockdev-del", node_name="a1-file")
        assert d.qmp.cmd("query-jobs") == []


@test
def stream_and_mirror():
    """block-stream, blockdev-mirror with pivot and without; jobs end with their disk"""
    with Disks() as d:
        d.overlay("b1", "b")
        d.qmp.cmd("blockdev-snapshot", node="b", overlay="b1")
        d.qmp.cmd("block-stream", job_id="s", device="b1", auto_dismiss=False)
        assert d.states("s", "concluded") == \
            ["created", "running", "waiting", "pending", "concluded"]
        d.qmp.cmd("job-dismiss", id="s")
        d.qmp.cmd("blockdev-del", node_name="b")
        for name, end in (("c", "block-job-cancel"), ("d", "block-job-complete")):
            d.overlay(name, "b1")
            d.qmp.cmd("blockdev-mirror", job_id="m", device="b1", target=name, sync="full")
            d.qmp.error("blockdev-del", node_name=name)
            d.qmp.event("BLOCK_JOB_READY")
            d.qmp.cmd(end, device="m")
            d.qmp.event("BLOCK_JOB_COMPLETED")
            d.states("m", "null")
            assert d.tops()[1] == ("b1" if name == "c" else "d"), d.tops()
        d.qmp.error("job-cancel", id="m")
        d.qmp.cmd("blockdev-del", node_name="c")
        d.overlay("e", "a")
        d.qmp.cmd("blockdev-mirror", job_id="m", device="a", target="e", sync="full", speed=1)
        d.qmp.cmd("system_reset")
        d.qmp.cmd("quit")
        d.vm.wait()


@test
def backup():
    """transaction: backups of both disks or of none; drive-backup, drive-mirror to files"""
    with Disks() as d:
        d.overlay("a1", "a")
        d.overlay("b1", "b")
        actions = [{"type": "blockdev-backup", "data": {
            "job-id": n, "device": n, "target": n + "1", "sync": "full", "auto-dismiss": False}}
            for n in "ab"]
        d.qmp.error("transaction", actions=actions + [{"type": "abort", "data": {}}])
        d.qmp.error("transaction", actions=actions, properties={"completion-mode": "grouped"})
        d.qmp.error("transaction", actions=[{"type": "blockdev-backup", "data": {"device": 1}}])
        assert d.qmp.cmd("query-jobs") == []
        d.qmp.cmd("transaction", actions=actions)
        for _ in range(2):
            done = d.qmp.event("BLOCK_JOB_COMPLETED")["data"]
            assert "error" not in done and done["type"] == "backup", done
            assert done["offset"] == done["len"] == 8 * MIB, done
            d.states(done["device"], "concluded")
            d.qmp.cmd("job-dismiss", id=done["device"])
        d.qmp.cmd("blockdev-del", node_name="a1")
        d.qmp.error("blockdev-backup", device="a", target="b1", sync="incremental")
        d.qmp.cmd("drive-backup", job_id="f", device="a", target=d.path("f"), sync="full")
        assert "error" not in d.qmp.event("BLOCK_JOB_COMPLETED")["data"]
        d.states("f", "null")
        d.qmp.cmd("drive-mirror", job_id="m", device="a", target=d.path("m"), sync="full",
                  node_name="m", format="raw", copy_mode="write-blocking")
        d.qmp.event("BLOCK_JOB_READY")
        d.qmp.cmd("job-complete", id="m")
        d.states("m", "null")
        assert d.tops() == ["m", "b"], d.tops()
        d.qmp.cmd("system_reset")


def bitmaps(d, n):
    """The dirty bitmaps of a disk, by name."""
    inserted = d.qmp.cmd("query-block")[n]["inserted"]
    return {b["name"]: b for b in inserted.get("dirty-bitmaps", [])}


@test
def dirty_bitmaps():
    """block-dirty-bitmap-*, alone and in transactions; an incremental backup"""
    with Disks() as d:
        d.qmp.cmd("block-dirty-bitmap-add", node="a", name="x", persistent=True)
        d.qmp.error("block-dirty-bitmap-add", node="a", name="x")
        d.qmp.error("block-dirty-bitmap-add", node="a", name="y", granularity=1000)
        d.qmp.error("block-dirty-bitmap-add", node="a", name="y", granularity=-1)
        assert bitmaps(d, 0) == {"x": {
            "name": "x", "count": 0, "granularity": 65536, "recording": True, "busy": False,
            "persistent": True}}, bitmaps(d, 0)
        add = {"type": "block-dirty-bitmap-add", "data": {"node": "dev-b", "name": "y",
                                                          "granularity": 4096}}
        off = {"type": "block-dirty-bitmap-disable", "data": {"node": "a", "name": "x"}}
        d.qmp.error("transaction", actions=[off, add, {"type": "abort", "data": {}}])
        assert bitmaps(d, 0)["x"]["recording"] and not bitmaps(d, 1)
        d.qmp.cmd("transaction", actions=[off, add])
        assert not bitmaps(d, 0)["x"]["recording"] and bitmaps(d, 1)["y"]["granularity"] == 4096
        d.qmp.cmd("block-dirty-bitmap-merge", node="b", target="y",
                  bitmaps=["y", {"node": "a", "name": "x"}])
        d.qmp.error("block-dirty-bitmap-merge", node="b", target="y", bitmaps=["y", {"node": "a"}])
        d.qmp.error("block-dirty-bitmap-merge", node="b", target="y", bitmaps=[7])
        d.qmp.cmd("block-dirty-bitmap-clear", node="b", name="y")
        d.qmp.cmd("block-dirty-bitmap-enable", node="a", name="x")
        d.overlay("a1", "a")
        d.qmp.error("blockdev-backup", device="a", target="a1", sync="incremental")
        d.qmp.error("blockdev-backup", device="a", target="a1", sync="bitmap", bitmap="x")
        d.qmp.error("blockdev-backup", device="a", target="a1", sync="full", bitmap="x")
        d.qmp.cmd("blockdev-backup", job_id="i", device="a", target="a1", sync="incremental",
                  bitmap="x")
        assert "error" not in d.qmp.event("BLOCK_JOB_COMPLETED")["data"]
        d.qmp.cmd("block-dirty-bitmap-remove", node="b", name="y")
        d.qmp.cmd("quit")
        d.vm.wait()
        info = subprocess.run(["qemu-img", "info", "--output=json", d.path("a")], check=True,
                              stdout=subprocess.PIPE, text=True).stdout
        assert '"name": "x"' in info and "in-use" not in info, info


if __name__ == "__main__":
    sys.exit(qemutest.run())
