#!/usr/bin/env python3
"""QMP's peers at their worst: half-open, waiting, racing, silent. test-qmp-peers.py QEMU
prints TAP.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import json
import random
import socket
import struct
import subprocess
import sys
import threading
import time

import qemutest
from qemutest import QEMU, VM, test


class TCP:
    """A QMP client by TCP."""

    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port), 20)
        self.file = self.sock.makefile("rb")

    def line(self):
        """The next line as JSON; None at the end."""
        line = self.file.readline()
        return json.loads(line) if line else None

    def execute(self, command):
        self.sock.sendall(json.dumps({"execute": command}).encode())
        answer = self.line()
        while answer and "event" in answer:
            answer = self.line()
        return answer

    def close(self):
        self.file.close()
        self.sock.close()

    def reset(self):
        """Go without a word: the other side gets RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@test
def half_open():
    """half-open TCP peers: each way of going away leaves the place to the next client"""
    port = free_port()
    with VM("-qmp", f"tcp:127.0.0.1:{port},server=on,wait=off") as vm:
        watch = vm.qmp()
        TCP(port).close()
        watch.cmd("query-status")
        fds = vm.fds()
        for i in range(200):
            c = TCP(port)
            if i % 5 == 0:                      # it has said all that it will say
                c.sock.shutdown(socket.SHUT_WR)
                assert "QMP" in c.line() and c.line() is None
                c.close()
            elif i % 5 == 1:                    # it will not hear anything any more
                assert "QMP" in c.line()
                c.sock.shutdown(socket.SHUT_RD)
                c.sock.sendall(b'{"execute": "qmp_capabilities"}' * 50)
                c.close()
            elif i % 5 == 2:
                c.line()
                c.reset()
            elif i % 5 == 3:                    # in the middle of a message
                c.line()
                c.sock.sendall(b'{"execute": "qmp_capabilities", "id": "')
                c.reset()
            else:
                c.line()
                assert c.execute("qmp_capabilities") == {"return": {}}
                assert c.execute("query-status")["return"]["running"] is True
                c.close()
        c = TCP(port)
        assert "QMP" in c.line() and c.execute("stop")["error"]["class"] == "CommandNotFound"
        c.close()
        assert watch.cmd("query-status")["running"] is True
        assert vm.fds() <= fds + 1, (fds, vm.fds())


@test
def one_at_a_time():
    """a second client of a socket waits until the first has gone, also one that is silent"""
    with VM() as vm:
        first = vm.qmp()
        second = qemutest.Client(vm.path("qmp0"))
        second.sock.settimeout(0.3)
        try:
            assert not second.sock.recv(1), "two clients on one monitor"
        except TimeoutError:
            pass
        assert first.cmd("query-name") == {}
        first.close()
        second.sock.settimeout(300)
        assert json.loads(second.line())["QMP"]


def every_command(c, names):
    """Run all commands; none may end the program or change its state."""
    for name, arguments in names:
        answer = c.execute(name, arguments)
        assert "return" in answer or answer["error"]["desc"], (name, answer)


@test
def run_states():
    """every command in every run state: an answer, and the state stays"""
    known = {"object-add": {"qom-type": "memory-backend-ram", "id": "m", "size": 4096},
             "object-del": {"id": "m"}, "qom-list": {"path": "/machine"},
             "qom-get": {"path": "/machine", "property": "type"},
             "human-monitor-command": {"command-line": "info registers -a"},
             "chardev-add": {"id": "c", "backend": {"type": "null"}},
             "chardev-remove": {"id": "c"}, "set_link": {"name": "x", "up": True},
             "dump-guest-memory": {"paging": False, "protocol": "file:/dev/null"},
             "block_resize": {"device": "x", "size": 4096}, "device_del": {"id": "x"},
             "pmemsave": {"val": 0, "size": 1, "filename": "/dev/null"},
             "memsave": {"val": 0, "size": 1, "filename": "/dev/null"},
             "trace-event-set-state": {"name": "no*", "enable": False},
             "migrate": {"uri": "x"}, "balloon": {"value": 1 << 20}}
    changing = {"quit", "stop", "cont", "system_reset", "set-action"}
    with VM("-S", "-m", "16M", "-smp", "2", machine="microvm") as vm:
        c = vm.qmp()
        names = [(e["name"], known.get(e["name"])) for e in c.cmd("query-commands")
                 if e["name"] not in changing]
        c.cmd("set-action", reboot="shutdown", shutdown="pause")
        for command, state in ((None, "prelaunch"), ("cont", "running"), ("stop", "paused"),
                               ("cont", "running"), ("system_reset", "shutdown")):
            if command:
                c.cmd(command)
            assert c.cmd("query-status")["status"] == state
            every_command(c, names)
            assert c.cmd("query-status")["status"] == state, state
        assert c.error("cont")[1] == "Resetting the Virtual Machine is required"
        c.cmd("set-action", reboot="reset")
        c.cmd("system_reset")
        c.cmd("cont")
        assert c.cmd("query-status")["status"] == "running"


def race(path, seed, stop_at):
    """stop, cont, system_reset and queries in a random order, until the program ends."""
    dice = random.Random(seed)
    c = qemutest.QMP(path)
    try:
        while time.monotonic() < stop_at:
            name = dice.choice(["stop", "cont", "system_reset", "query-status", "query-block"])
            c.events.clear()
            assert "return" in c.execute(name), name
        c.execute("quit")
    except (EOFError, ConnectionError):
        # Another one was quicker to quit: nobody does before it is time.
        assert time.monotonic() >= stop_at


@test
def races():
    """stop, cont, system_reset and quit from three clients at once: status 0 in the end"""
    with VM("-m", "16M", machine="microvm", qmp=3) as vm:
        failures = []
        end = time.monotonic() + 1.5

        def work(n):
            try:
                race(vm.path(f"qmp{n}"), n, end)
            except Exception as error:  # pylint: disable=broad-except
                failures.append(repr(error))

        threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
        for t in threads:
            t.start()
        for t in threads:
            t.join(60)
        assert not failures and vm.wait() == 0, failures


@test
def end_of_stdin():
    """QMP on stdio: what was asked is answered after the end of input, the machine goes on"""
    command = [QEMU, "-M", "none", "-accel", "qtest", "-display", "none", "-nodefaults",
               "-qmp", "stdio"]
    for last, left_alone in (('{"execute": "query-name"}', True), ('{"execute": "quit"}', False)):
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL) as proc:
            proc.stdin.write(b'{"execute": "qmp_capabilities"}' + last.encode())
            proc.stdin.close()
            assert json.loads(proc.stdout.readline())["QMP"]
            assert proc.stdout.readline() == b'{"return": {}}\r\n'
            lines = [json.loads(proc.stdout.readline())]
            if "event" in lines[0]:
                lines.append(json.loads(proc.stdout.readline()))
            assert lines[-1] == {"return": {}}, lines
            if left_alone:
                time.sleep(0.2)
                assert proc.poll() is None
                proc.terminate()
            assert proc.wait(20) == 0


if __name__ == "__main__":
    sys.exit(qemutest.run())
