#!/usr/bin/env python3
"""Limits of disks by QMP, HMP and options. test-throttle.py QEMU prints TAP.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import sys

import qemutest
from qemutest import VM, test

NONE = {kind: 0 for kind in ("bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr")}


def limit(client, **arguments):
    """block_set_io_throttle: its error's text, or None."""
    answer = client.execute("block_set_io_throttle", arguments)
    return answer["error"]["desc"] if "error" in answer else None


def disk(client, name):
    """The members about limits that query-block has of a disk, by its id or its device's."""
    inserted = next(d for d in client.cmd("query-block")
                    if name in (d["device"], d.get("qdev", "").split("/")[-2:][0]))["inserted"]
    return {k: v for k, v in inserted.items() if k.startswith(("bps", "iops", "group"))}


@test
def by_qmp():
    """block_set_io_throttle by all the names of a disk, as libvirt asks for it, and query-block"""
    with VM("-m", "16M", "-object", "iothread,id=io", "-drive",
            "id=d0,driver=null-co,size=1M,throttling.iops-total=100,iops_max=200,iops_size=4096",
            "-device", "virtio-blk-device,drive=d0",
            "-blockdev", "null-co,node-name=n,size=1M", "-device",
            "virtio-blk-device,id=k,drive=n,iothread=io", machine="microvm") as vm:
        c = vm.qmp()
        assert disk(c, "d0") == {**NONE, "iops": 100, "iops_max": 200, "iops_max_length": 1,
                                 "iops_size": 4096, "group": "d0"}
        assert disk(c, "k") == NONE
        path = "/machine/peripheral/k/virtio-backend"
        limits = {**NONE, "bps_wr": 10 << 20, "bps_wr_max": 20 << 20, "bps_wr_max_length": 3,
                  "group": "g"}
        assert limit(c, id=path, **limits) is None
        assert disk(c, "k") == limits
        # The other one joins, and what it says holds for both.
        assert limit(c, device="d0", **NONE | {"iops_rd": 7}, group="g") is None
        assert disk(c, "d0") == disk(c, "k") == {**NONE, "iops_rd": 7, "group": "g"}
        assert limit(c, id="k", **NONE) is None
        assert disk(c, "k") == NONE and disk(c, "d0")["iops_rd"] == 7
        for bad, text in (({"bps": 1, "bps_rd": 2}, "total values and read/write values"),
                          ({"bps": -1}, "must be within"), ({"bps_max": 5}, "require")):
            assert text in limit(c, id="k", **{**NONE, **bad})
        assert disk(c, "k") == NONE
        assert limit(c, id="no", **NONE) == "Device 'no' not found"
        assert "is missing" in c.error("block_set_io_throttle", id="k")[1]
        assert c.hmp("block_set_io_throttle d0 1000 0 0 0 0 0") == ""
        assert "I/O throttling:   bps=1000 " in c.hmp("info block d0")
        assert "group=g" in c.hmp("info block d0") and "throttling" not in c.hmp("info block n")


@test
def group_object():
    """-object throttle-group: limits by options and qom-set, all or none; the filter node"""
    with VM("-m", "16M", "-object", "throttle-group,id=tg,x-iops-total=50,x-bps-read=4096",
            "-object", '{"qom-type":"throttle-group","id":"t2","limits":{"bps-total":5}}',
            "-blockdev", "throttle,node-name=t,throttle-group=tg,file.driver=null-co",
            "-device", "virtio-blk-device,drive=t",
            "-drive", "id=d,driver=null-co,throttling.group=tg,throttling.iops-total=60",
            "-device", "virtio-blk-device,drive=d", machine="microvm") as vm:
        c = vm.qmp()
        def get():
            return {k: v for k, v in c.cmd("qom-get", path="tg", property="limits").items()
                    if v > 1}
        # What the disk of the group says is the last word.
        assert get() == {"iops-total": 60}
        assert c.cmd("qom-get", path="t2", property="limits")["bps-total"] == 5
        c.cmd("qom-set", path="/objects/tg", property="limits",
              value={"bps-write-max": 300, "bps-write": 100, "bps-write-max-length": 2})
        assert disk(c, "d")["bps_wr_max"] == 300
        before = get()
        assert before["bps-write-max-length"] == 2
        for value, text in (({"bps-write": 50, "bps-total": 3}, "at the same time"),
                            ({"bps-write": 50, "bps": 3}, "not found"),
                            ({"bps-write": "x"}, "expects"), (5, "expected: object")):
            assert text in c.error("qom-set", path="tg", property="limits", value=value)[1]
            assert get() == before
        assert "after it was realized" in c.error("qom-set", path="tg", property="x-bps-read",
                                                  value=3)[1]
        names = {p["name"]: p["type"] for p in c.cmd("qom-list", path="/objects/tg")}
        assert names["limits"] == "struct" and "limits.bps-read" not in names, names
        assert "in use" in c.error("object-del", id="tg")[1]
        c.cmd("object-del", id="t2")


if __name__ == "__main__":
    sys.exit(qemutest.run())
