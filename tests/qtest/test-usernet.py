#!/usr/bin/env python3
"""The process of user networks beside the machine's: test-usernet.py QEMU prints TAP.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time

from qemutest import PATIENCE, QEMU, SANITIZED, VM, no_leaks, run, test

NET = ("-netdev", "user,id=n0", "-device", "virtio-net-device,netdev=n0,id=card")


def children(pid):
    """The processes that pid has started."""
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(child) for child in file.read().split()]


def status(pid):
    """Fields of /proc/PID/status; none when it has ended."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    return {"State": "X"}


def gone(pid):
    return status(pid)["State"][0] in "XZ"


def wait_until(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "in vain"
        time.sleep(0.005)


def confined(vm):
    """A monitor, and the machine's network process, once the machine runs."""
    c = vm.qmp()
    c.cmd("query-status")
    child, = children(vm.proc.pid)
    return c, child


@test
def confinement():
    """It has no capabilities, limits, few descriptors and calls; without a network it is not there"""
    with VM(machine="microvm") as vm:
        vm.qmp().cmd("query-status")
        assert children(vm.proc.pid) == []
    with VM(*NET, "-netdev", "user,id=n1,max-connections=100", machine="microvm") as vm:
        _, child = confined(vm)
        fields = status(child)
        assert fields["Name"] == "usernet" and fields["Threads"] == "1", fields
        assert int(fields["CapEff"], 16) == int(fields["CapPrm"], 16) == 0, fields
        assert fields["NoNewPrivs"] == "1", fields
        with open(f"/proc/{child}/limits", encoding="ascii") as file:
            limits = {line[:26].strip(): line[26:].split()[:2] for line in file}
        files, memory = limits["Max open files"], limits["Max address space"]
        assert int(files[0]) <= 2 * (512 + 100 + 640) and files[0] == files[1], limits
        assert SANITIZED or int(memory[1]) < 2 << 30, limits
        assert limits["Max core file size"] == ["0", "0"], limits
        assert len(os.listdir(f"/proc/{child}/fd")) < 16
        if not SANITIZED:
            assert fields["Seccomp"] == "2", fields
            with open(f"/proc/{child}/maps", encoding="utf-8") as maps:
                assert "libslirp" in maps.read()


@test
def killed():
    """When it is killed its links go down, once and for good, and the machine goes on"""
    with VM(*NET, machine="microvm") as vm:
        c, child = confined(vm)
        os.kill(child, signal.SIGKILL)
        wait_until(lambda: "link=down" in c.hmp("info network"))
        assert gone(child)
        assert c.hmp("info usernet") == ""
        assert "has ended" in c.hmp("hostfwd_add n0 tcp:127.0.0.1:0-:22")
        text = c.error("netdev_add", type="user", id="n1")[1]
        assert "process of their own" in text and "spawn=allow" in text, text
        c.cmd("system_reset")
        c.event("RESET")
        c.cmd("netdev_del", id="n0")
        c.cmd("quit")
        assert vm.proc.wait(PATIENCE) == 0
        said = vm.stderr()
        assert said.count("user networking: its process has ended by signal 9") == 1, said


@test
def again():
    """Where programs may be started another one is, which is confined, too"""
    with VM(*NET, "-sandbox", "spawn=allow", machine="microvm") as vm:
        c, first = confined(vm)
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: "link=down" in c.hmp("info network"))
        c.cmd("netdev_add", type="user", id="n1", hostfwd=[{"str": "tcp:127.0.0.1:0-:22"}])
        second, = children(vm.proc.pid)
        assert second != first and int(status(second)["CapEff"], 16) == 0
        assert "HOST_FORWARD" in c.hmp("info usernet")


@test
def ends_with_the_machine():
    """It ends when the machine does, however that comes"""
    for end in ("quit", signal.SIGTERM, signal.SIGKILL):
        with VM(*NET, machine="microvm") as vm:
            c, child = confined(vm)
            if end == "quit":
                c.cmd("quit")
            else:
                vm.proc.send_signal(end)
            vm.proc.wait(PATIENCE)
            wait_until(lambda: gone(child))
            assert "user networking" not in vm.stderr()


@test
def signals():
    """What a terminal or a service's manager sends to all processes ends the machine first"""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        with VM(*NET, machine="microvm") as vm:
            c, child = confined(vm)
            os.kill(child, number)
            os.kill(child, signal.SIGPIPE)
            c.cmd("system_reset")
            c.event("RESET")
            assert "Protocol" in c.hmp("info usernet")


@test
def cannot_bind():
    """A port that is taken, or a rule that is none: one line, exit status 1"""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for rule, text in ((f"hostfwd=tcp:127.0.0.1:{port}-:22",
                            f"Could not set up host forwarding rule 'tcp:127.0.0.1:{port}-:22': "
                            "Address already in use"),
                           ("host=1.2.3.4", "Host doesn't belong to network"),
                           ("guestfwd=x", "Invalid guest forwarding rule 'x'")):
            done = subprocess.run([QEMU, "-M", "none", "-accel", "qtest", "-netdev",
                                   f"user,id=n,{rule}"],
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                  timeout=PATIENCE, check=False)
            want = f"qemu-system-x86_64: -netdev user,id=n,{rule}: {text}\n"
            assert (done.returncode, done.stderr) == (1, want), done


@test
def port_is_free_again():
    """Whoever starts the machine again finds its ports free"""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    for _ in range(5):
        with VM("-netdev", f"user,id=n0,hostfwd=tcp:127.0.0.1:{port}-:22") as vm:
            vm.qmp().cmd("quit")
            assert vm.wait() == 0


@test
def tftp_folders():
    """A network that comes late serves what -sandbox path= names, or a first one did"""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("given", "named", "other"):
            os.mkdir(os.path.join(folder, name))
        with VM("-netdev", f"user,id=n0,tftp={folder}/named", "-sandbox", f"path={folder}/given",
                machine="microvm") as vm:
            c = vm.qmp()
            for name in ("given", "named"):
                c.cmd("netdev_add", type="user", id=name, tftp=os.path.join(folder, name))
            if not SANITIZED:
                text = c.error("netdev_add", type="user", id="o", tftp=folder + "/other")[1]
                assert text == f"tftp={folder}/other: outside of what -sandbox allows (path=…)", text


@test
def daemon():
    """The process of a daemon's networks holds nobody up who reads what the start says"""
    with no_leaks(), tempfile.TemporaryDirectory() as folder:
        pidfile = os.path.join(folder, "pid")
        done = subprocess.run([QEMU, "-M", "none", "-daemonize", "-display", "none", "-pidfile",
                               pidfile, "-netdev", "user,id=n"], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert done.returncode == 0, done
        with open(pidfile, encoding="ascii") as file:
            pid = int(file.read())
        child, = children(pid)
        assert os.readlink(f"/proc/{child}/fd/2") == "/dev/null"
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: gone(child) and not os.path.exists(pidfile))


@test
def user():
    """-run-with user= and chroot= are for it, too"""
    if os.getuid() != 0:
        return
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        with VM(*NET, "-run-with", f"user=65534:65534,chroot={folder}", machine="microvm") as vm:
            _, child = confined(vm)
            fields = status(child)
            assert set(fields["Uid"].split()) == set(fields["Gid"].split()) == {"65534"}, fields
            assert os.readlink(f"/proc/{child}/root") == folder


@test
def guest_forward():
    """guestfwd= to a chardev of the machine"""
    with VM("-chardev", "ringbuf,id=r", "-netdev", "user,id=n0,guestfwd=tcp:10.0.2.9:7-chardev:r",
            machine="microvm") as vm:
        c = vm.qmp()
        assert "Protocol" in c.hmp("info usernet")
        c.cmd("netdev_del", id="n0")
        for _ in range(2):      # one that was made for the rule goes with it
            c.cmd("netdev_add", type="user", id="n1", guestfwd=[{"str": "tcp:10.0.2.9:7-null"}])
            c.cmd("netdev_del", id="n1")
        assert "guestfwd" not in str(c.cmd("query-chardev"))


sys.exit(run())
