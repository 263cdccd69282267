#!/usr/bin/env python3
"""Jobs and snapshots by QMP, as libvirt does them. test-block-jobs.py QEMU prints TAP.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import json
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


GROUPED = {"completion-mode": "grouped"}


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
def reopen():
    """blockdev-reopen: backing files, read-only, policies; what may not change; all or none"""
    with Disks() as d:
        def options(name, **kwargs):
            return {"driver": "qcow2", "node-name": name, "file": name + "-file", **kwargs}

        def refused(text, *nodes):
            _, error = d.qmp.error("blockdev-reopen", options=list(nodes))
            assert text in error, error

        def node(name):
            return next(n for n in d.qmp.cmd("query-named-block-nodes") if n["node-name"] == name)

        for name in ("a1", "a2", "c"):
            d.overlay(name, "a")
            if name != "c":
                d.qmp.cmd("blockdev-snapshot", node="a" if name == "a1" else "a1", overlay=name)
        d.qmp.cmd("block-dirty-bitmap-add", node="c", name="old", persistent=True)
        described = {"driver": "file", "filename": d.path("a")}
        low = {"driver": "qcow2", "node-name": "a", "file": described}
        # Below a disk that runs: written, then not.
        assert node("a1")["ro"] and node("a1-file")["ro"]
        d.qmp.cmd("blockdev-reopen", options=[options("a1", backing="a"), low])
        assert not node("a1")["ro"] and not node("a1-file")["ro"] and not node("a")["ro"]
        d.qmp.cmd("block-dirty-bitmap-add", node="a1", name="kept", persistent=True)
        d.qmp.cmd("blockdev-reopen", options=[
            options("a1", backing="a", **{"read-only": True}), {**low, "read-only": True}])
        assert node("a1")["ro"] and node("a")["ro"], (node("a1"), node("a"))
        # What its user writes stays so.
        refused("Block node is read-only", options("a2", backing="a1", **{"read-only": True}))
        refused("Block node is read-only", {"driver": "file", "node-name": "a2-file",
                                            "filename": d.path("a2"), "read-only": True})
        # What may not change is named; what is not given is as at first.
        for more, name in (({"l2-cache-size": 65536}, "l2-cache-size"), ({"file": "a-file"}, "file"),
                           ({"cache": {"direct": True}}, "cache.direct"),
                           ({"driver": "raw"}, "driver")):
            refused(f"Cannot change the option '{name}'",
                    {**options("a2", backing="a1"), **more} if name != "driver" else
                    {"driver": "raw", "node-name": "a2", "file": "a2-file"})
        refused("Cannot change the option 'filename'",
                {**low, "file": {**described, "filename": d.path("b")}})
        refused("backing is missing for 'a2'", options("a2"))
        refused("would create a cycle", options("a1", backing="a2"))
        refused("node-name not specified", {"driver": "qcow2", "file": "a2-file"})
        refused("Failed to find node", options("none", backing=None))
        refused("detect-zeroes to unmap is not allowed",
                options("a2", backing="a1", **{"detect-zeroes": "unmap"}))
        d.qmp.cmd("blockdev-reopen", options=[
            options("a2", backing="a1", discard="unmap", **{"detect-zeroes": "unmap"})])
        assert node("a2")["detect_zeroes"] == "unmap"
        # All or none.
        refused("backing is missing", options("a2", backing=None), options("a1"))
        assert node("a2")["backing_file_depth"] == 2 and node("a2")["detect_zeroes"] == "unmap"
        # Another backing file while the disk runs, and the first one again.
        d.qmp.cmd("blockdev-reopen", options=[options("c", backing=None, **{"read-only": True})])
        for backing, depth in (("c", 1), (None, 0), ("a1", 2)):
            d.qmp.cmd("blockdev-reopen", options=[options("a2", backing=backing)])
            assert node("a2")["backing_file_depth"] == depth, (backing, node("a2"))
        assert node("a2")["detect_zeroes"] == "off"
        d.qmp.cmd("blockdev-del", node_name="c")
        d.qmp.cmd("block-stream", job_id="s", device="a2", auto_finalize=False)
        refused("in use by block job", options("a2", backing="a1"))
        d.qmp.event("BLOCK_JOB_PENDING")
        d.qmp.cmd("job-finalize", id="s")
        d.qmp.event("BLOCK_JOB_COMPLETED")


@test
def preallocation():
    """blockdev-create with space from the start: images are sound, zero, and as large as said"""
    with Disks() as d:
        def blocks(name):
            return os.stat(d.path(name)).st_blocks * 512

        for mode in ("off", "falloc", "full"):
            assert d.create({"driver": "file", "filename": d.path(mode), "size": 3 * MIB,
                             "preallocation": mode}) is None
            assert (blocks(mode) >= 3 * MIB) == (mode != "off"), (mode, blocks(mode))
        for n, (mode, more) in enumerate([
                ("off", {}), ("metadata", {}), ("falloc", {}), ("full", {}),
                ("metadata", {"cluster-size": 512}), ("full", {"version": "v2"}),
                ("falloc", {"extended-l2": True, "cluster-size": 16384}),
                ("metadata", {"refcount-bits": 1, "cluster-size": 4096}),
                ("metadata", {"extended-l2": True, "backing-file": d.path("a"),
                              "backing-fmt": "qcow2"})]):
            name = f"p{n}"
            assert d.create({"driver": "file", "filename": d.path(name), "size": 0}) is None
            d.qmp.cmd("blockdev-add", driver="file", node_name=name, filename=d.path(name))
            assert d.create({"driver": "qcow2", "file": name, "size": 5 * MIB + 512,
                             "preallocation": mode, **more}) is None
            d.qmp.cmd("blockdev-del", node_name=name)
            img("check", "-q", "-U", "-f", "qcow2", d.path(name))
            if "backing-file" not in more:
                img("create", "-q", "-f", "qcow2", d.path("zero"), str(5 * MIB + 512))
                img("compare", "-q", d.path(name), d.path("zero"))
            assert (blocks(name) >= 5 * MIB) == (mode in ("falloc", "full")), (mode, blocks(name))
            if mode != "off":
                assert os.path.getsize(d.path(name)) >= 5 * MIB, mode
        d.qmp.cmd("blockdev-add", driver="file", node_name="last", filename=d.path("p0"))
        for more, text in (({"backing-file": "x"}, "only be used at the same time"),
                           ({"size": 1 << 52, "cluster-size": 65536}, "too large")):
            error = d.create({"driver": "qcow2", "file": "last", "size": MIB,
                              "preallocation": "metadata", **more})
            assert text in error, error


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
def grouped():
    """completion-mode=grouped: backups end together, well or not at all, and by one job-finalize"""
    with Disks() as d:
        for n in "ab":
            d.overlay(n + "1", n)
        for how in ("well", "cancelled", "by hand"):
            d.qmp.cmd("transaction", properties=GROUPED, actions=[
                {"type": "blockdev-backup", "data": {
                    "job-id": n, "device": n, "target": n + "1", "sync": "full",
                    "speed": int(n == "b"),
                    "auto-finalize": how != "by hand" or n == "a", "auto-dismiss": False}}
                for n in "ab"])
            assert d.states("a", "waiting")[-3:] == ["created", "running", "waiting"]
            assert [job["status"] for job in d.qmp.cmd("query-jobs")] == ["waiting", "running"]
            if how == "cancelled":
                d.qmp.cmd("job-cancel", id="b")
            else:
                d.qmp.cmd("block-job-set-speed", device="b", speed=0)
            if how == "by hand":
                assert d.qmp.event("BLOCK_JOB_PENDING")["data"]["id"] == "b"
                d.qmp.cmd("job-finalize", id="b")
            for _ in range(2):
                done = d.qmp.event("BLOCK_JOB_CANCELLED" if how == "cancelled" else
                                   "BLOCK_JOB_COMPLETED")["data"]
                assert "error" not in done, done
            while {job["status"] for job in d.qmp.cmd("query-jobs")} != {"concluded"}:
                pass
            for n in "ab":
                d.qmp.cmd("job-dismiss", id=n)


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
        d.qmp.error("transaction", properties=GROUPED, actions=actions + [
            {"type": "block-dirty-bitmap-clear", "data": {"node": "a", "name": "n"}}])
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
        # query-block tells of what the image has, in the words of its own tools.
        stored = json.loads(info)["format-specific"]["data"]["bitmaps"]
        args = f"driver=qcow2,node-name=a,file.driver=file,file.filename={d.path('a')}"
        for read_only, flags in (("on", ["auto"]), ("off", ["in-use", "auto"])):
            with VM("-blockdev", f"{args},read-only={read_only}",
                    "-device", "virtio-blk-device,drive=a", machine="microvm") as vm:
                image = vm.qmp().cmd("query-block")[0]["inserted"]["image"]
                said = image["format-specific"]["data"]["bitmaps"]
                assert said == [{**b, "flags": flags} for b in stored], said


if __name__ == "__main__":
    sys.exit(qemutest.run())
