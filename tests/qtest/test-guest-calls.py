#!/usr/bin/env python3
"""What a guest makes its vCPU's thread do for each back end and each log item, with its list of calls.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading

from qemutest import PATIENCE, QEMU, pvh_kernel, run, test

COUNT = 5000
# 5000 bytes to COM1, each when there is room and at last until they have left, one from it, a
# timer of the PIT, then HLT without interrupts: the end.
CODE = ("b9 88 13 00 00 66 ba fd 03 ec a8 20 74 fb 66 ba f8 03 b0 41 ee e2 ee"
        "66 ba fd 03 ec a8 40 74 fb 66 ba f8 03 ec"
        "66 ba 43 00 b0 34 ee b0 00 66 ba 40 00 ee ee fa f4")


def guest(folder, *args, **kwargs):
    # Without a monitor Landlock keeps /proc from a sanitizer that looks for leaks.
    env = {**os.environ, "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}
    return subprocess.Popen(
        [QEMU, "-M", "microvm,isa-serial=on", "-accel", "tcg", "-m", "32M", "-display", "none",
         "-nodefaults", "-no-user-config", "-no-reboot", "-kernel", pvh_kernel(folder, CODE), *args],
        env=env, stderr=subprocess.PIPE,
        **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, **kwargs})


def ends_well(proc):
    out, err = proc.communicate(timeout=PATIENCE)
    assert (proc.returncode, err) == (0, b""), (proc.args, proc.returncode, err)
    return out


def read_all(path, data):
    with open(path, "rb", buffering=0) as file:
        while chunk := file.read(4096):
            data.append(chunk)


@test
def chardevs():
    """The guest writes to a serial port behind each kind of chardev"""
    with tempfile.TemporaryDirectory() as folder:
        def path(name):
            return os.path.join(folder, name)

        for spec in ("null", f"file,path={path('file')}", "ringbuf,size=1024", "pty",
                     f"socket,path={path('nobody')},server=on,wait=off",
                     f"null,logfile={path('log')}"):
            ends_well(guest(folder, "-chardev", spec.replace(",", ",id=c,", 1) if "," in spec else
                            spec + ",id=c", "-serial", "chardev:c"))
        for name in ("file", "log"):
            assert os.stat(path(name)).st_size == COUNT, name
        for spec in ("stdio", "stdio,mux=on"):
            out = ends_well(guest(folder, "-chardev", spec.replace("stdio", "stdio,id=c"),
                                  "-serial", "chardev:c"))
            assert out == b"A" * COUNT, (spec, len(out))


@test
def peers():
    """The same with somebody at the other end, who is slow"""
    with tempfile.TemporaryDirectory() as folder:
        fifo = os.path.join(folder, "fifo")
        os.mkfifo(fifo + ".in")
        os.mkfifo(fifo + ".out")
        data = []
        reader = threading.Thread(target=read_all, args=(fifo + ".out", data))
        reader.start()
        ends_well(guest(folder, "-chardev", f"pipe,id=c,path={fifo}", "-serial", "chardev:c"))
        reader.join()
        assert b"".join(data) == b"A" * COUNT
        with socket.socket(socket.AF_UNIX) as listener:
            path = os.path.join(folder, "s")
            listener.bind(path)
            listener.listen()
            with guest(folder, "-chardev", f"socket,id=c,path={path}", "-serial",
                       "chardev:c") as proc:
                peer = listener.accept()[0]
                got = b""
                while chunk := peer.recv(100):
                    got += chunk
                assert len(got) == COUNT
                ends_well(proc)
                peer.close()


@test
def log_items():
    """Each -d item, to a file and to standard error; it is lines that the thread writes"""
    items = subprocess.run([QEMU, "-d", "help"], capture_output=True, text=True, check=True).stdout
    names = [line.split()[0] for line in items.splitlines()[1:]]
    names = ["trace:*" if name.startswith("trace:") else name for name in names]
    assert len(names) > 5, names
    with tempfile.TemporaryDirectory() as folder:
        log = os.path.join(folder, "log")
        for name in names:
            proc = guest(folder, "-serial", "null", "-d", name, "-D", log)
            ends_well(proc)
            if name == "exec":
                assert os.stat(log).st_size > 100, name
        proc = guest(folder, "-serial", "null", "-d", ",".join(names))
        err = proc.communicate(timeout=PATIENCE)[1]
        assert proc.returncode == 0 and not re.search(rb"was stopped", err), err[-300:]
        assert proc.returncode != 128 + signal.SIGSYS


sys.exit(run())
