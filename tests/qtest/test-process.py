#!/usr/bin/env python3
"""The process: signals, pid files, background, scarce resources, run states. No guest code.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import fcntl
import glob
import os
import random
import re
import resource
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

from qemutest import PATIENCE, QEMU, SANITIZED, VM, Skip, no_leaks, run, test

CAP_IPC_LOCK = 14

QTEST = ["-accel", "qtest", "-display", "none", "-nodefaults"]


def start(*args, **kwargs):
    """The program with qtest's accelerator and its messages in a pipe."""
    return subprocess.Popen([QEMU, *QTEST, *args], stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **kwargs)


def fails(*args, text, lines=1, **kwargs):
    """It must end with status 1 and say text in so many lines."""
    with start(*args, **kwargs) as proc:
        err = proc.communicate(timeout=300)[1].decode()
    assert proc.returncode == 1, (args, proc.returncode, err)
    assert text in err and err.count("\n") == lines, (args, err)


def ended_well(proc, number, seconds):
    """How a process may end after a signal: by itself, or before it could listen."""
    begin = time.monotonic()
    proc.wait(20)
    assert time.monotonic() - begin < seconds, f"signal {number}: too slow"
    assert proc.returncode in (0, -number), (number, proc.returncode, proc.stderr.read())


def zstd_image(path):
    """A qcow2 image of no size whose clusters zstd has packed: the head, and empty tables."""
    cluster = 0x10000
    head = struct.pack(">4sI QIIQ IIQQI IQ QQQIIB7x", b"QFI\xfb", 3, 0, 0, 16, 0, 0, 1, cluster,
                       2 * cluster, 1, 0, 0, 1 << 3, 0, 0, 4, 112, 1)
    with open(path, "wb") as f:
        f.write(head)
        f.truncate(4 * cluster)


@test
def libraries():
    """What few machines need is loaded by those alone; where it is not there, the user hears so"""
    loaded = "libslirp", "libzstd", "libseccomp", "liblz", "libz."
    with VM() as vm, open(f"/proc/{vm.proc.pid}/maps", encoding="utf-8") as maps:
        text = maps.read()
        assert not [name for name in loaded if name in text], text
    with tempfile.TemporaryDirectory() as folder:
        image = os.path.join(folder, "image")
        zstd_image(image)
        with VM("-drive", f"if=none,id=d,file={image},format=qcow2") as vm:
            vm.qmp().cmd("query-status")    # from then on it is started
            with open(f"/proc/{vm.proc.pid}/maps", encoding="utf-8") as maps:
                assert "libzstd" in maps.read()
        for name, *args in (("libslirp.so.0", "-netdev", "user,id=n"),
                            ("libseccomp.so.2", "-sandbox", "on"),
                            ("libzstd.so.1", "-drive", f"if=none,file={image},format=qcow2")):
            with open(os.path.join(folder, name), "wb") as f:
                f.write(b"not a library" * 100)
            fails(*args, text=f" needs {name.split('.')[0]}: ",
                  env={**os.environ, "LD_LIBRARY_PATH": folder})


@test
def signals_at_any_time():
    """SIGTERM, SIGINT, SIGHUP at random moments from exec on leave nothing behind"""
    rng = random.Random(76)
    with tempfile.TemporaryDirectory() as folder:
        pidfile, sock = os.path.join(folder, "pid"), os.path.join(folder, "qmp")
        for n in range(90):
            number = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)[n % 3]
            # -M none is ready after 20 ms; some arrive in the main loop.
            with start("-M", rng.choice(["none", "microvm"]), "-pidfile", pidfile,
                       "-qmp", f"unix:{sock},server=on,wait=off") as proc:
                time.sleep(rng.random() * 0.1)
                proc.send_signal(number)
                ended_well(proc, number, 5)
                proc.stderr.close()
            assert os.listdir(folder) == [], (n, proc.returncode, os.listdir(folder))


@test
def stray_signals():
    """SIGUSR1, SIGALRM and SIGIO, which nobody has a reason to send, do nothing"""
    with VM() as vm:
        q = vm.qmp()
        for n in range(300):
            vm.proc.send_signal((signal.SIGUSR1, signal.SIGALRM, signal.SIGIO)[n % 3])
            if n % 10 == 0:
                assert q.cmd("query-status")["running"] is True
        q.cmd("quit")
        assert vm.wait() == 0


def blocked_signals(pid):
    """The threads' names and the signals that each blocks."""
    blocked = {}
    for task in glob.glob(f"/proc/{pid}/task/*/status"):
        with open(task, encoding="ascii") as f:
            rows = dict(line.rstrip("\n").split(":\t", 1) for line in f)
        blocked[rows["Name"]] = int(rows["SigBlk"], 16)
    return blocked


@test
def signals_are_the_main_threads():
    """No signal for the process interrupts another thread than the main one"""
    with VM("-object", "iothread,id=i", "-netdev", "hubport,id=n,hubid=0", "-object",
            "filter-dump,id=f,netdev=n,file=/dev/null") as vm:
        vm.qmp()
        names = "iothread", "filter-dump"
        deadline = time.monotonic() + PATIENCE
        blocked = {}
        # A thread gives itself its name, some time after it has been started.
        while not set(names) <= set(blocked) and time.monotonic() < deadline:
            blocked = blocked_signals(vm.proc.pid)
        for name in names:
            for sig in (signal.SIGCHLD, signal.SIGWINCH, signal.SIGTERM, signal.SIGUSR1):
                assert blocked[name] >> (sig - 1) & 1, (name, sig, blocked)
            assert not blocked[name] >> (signal.SIGSEGV - 1) & 1, (name, blocked)


@test
def signal_while_waiting():
    """A signal ends the wait for a client of server=on,wait=on"""
    with tempfile.TemporaryDirectory() as folder:
        sock = os.path.join(folder, "s")
        with start("-M", "none", "-chardev", f"socket,id=c,path={sock},server=on,wait=on",
                   "-pidfile", os.path.join(folder, "pid")) as proc:
            while not os.path.exists(sock):
                time.sleep(0.01)
            time.sleep(0.1)
            proc.terminate()
            assert proc.wait(5) == 0, proc.stderr.read()
            proc.stderr.close()
        assert os.listdir(folder) == [], os.listdir(folder)


def daemon(folder, *args):
    """Run with -daemonize: the parent's result."""
    return subprocess.run([QEMU, *QTEST, "-M", "none", "-daemonize",
                           "-pidfile", os.path.join(folder, "pid"), *args],
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=300, text=True,
                          check=False)


@test
def daemonize():
    """-daemonize: the parent ends with 0 when the monitor listens and the pid file is there"""
    with tempfile.TemporaryDirectory() as folder:
        sock = os.path.join(folder, "qmp")
        done = daemon(folder, "-qmp", f"unix:{sock},server=on,wait=off")
        assert (done.returncode, done.stderr) == (0, ""), done
        with open(os.path.join(folder, "pid"), encoding="ascii") as file:
            text = file.read()
        pid = int(text)
        try:
            assert text == f"{pid}\n", text
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(sock)
                assert b"QMP" in client.recv(4096)
            assert os.getsid(pid) != os.getsid(0)
            assert os.readlink(f"/proc/{pid}/cwd") == "/"
            for fd in range(3):
                assert os.readlink(f"/proc/{pid}/fd/{fd}") == "/dev/null"
        finally:
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + PATIENCE
        while os.listdir(folder) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert os.listdir(folder) == [], os.listdir(folder)


@test
def daemonize_failure():
    """-daemonize: what fails in the child is said by it, and the parent ends with 1"""
    with tempfile.TemporaryDirectory() as folder:
        for args, text in ((["-device", "nope"], "'nope' is not a valid device model name"),
                           (["-serial", "stdio"], "cannot use stdio with -daemonize"),
                           (["-qmp", "unix:/nonexistent/s,server=on,wait=off"], "Failed to bind")):
            done = daemon(folder, *args)
            assert done.returncode == 1 and text in done.stderr, done
            assert done.stderr.count("\n") == 1, done
            assert os.listdir(folder) == [], os.listdir(folder)


@test
def kvm_of_others():
    """Who may not open /dev/kvm is told whose it is, by -accel kvm and by the default"""
    if os.getuid() or not os.path.exists("/dev/kvm") or os.stat("/dev/kvm").st_mode & 6 or \
            os.system(f"setpriv --reuid 65534 --clear-groups {QEMU} -version >/dev/null 2>&1"):
        raise Skip("needs root and a /dev/kvm that is not everybody's")
    for args in (["-accel", "kvm"], []):
        done = subprocess.run(["setpriv", "--reuid", "65534", "--clear-groups", QEMU, *args,
                               "-display", "none", "-kernel", "/nonexistent"], check=False,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=300, text=True)
        assert re.search("Permission denied: (/dev/kvm is for members of group '|not even a group)",
                         done.stderr), done


def status(pid):
    """The fields of /proc/PID/status, of every thread."""
    result = []
    for tid in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{tid}/status", encoding="utf-8") as file:
            result.append({key: value.split() for key, _, value in
                           (line.partition(":") for line in file)})
    return result


@test
def sandbox():
    """-sandbox on: a filter on every thread, old and new, and the machine still works"""
    everything = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
    with no_leaks(), tempfile.NamedTemporaryFile() as disk:
        disk.truncate(1 << 20)
        with VM("-sandbox", everything, "-object", "iothread,id=io0") as vm:
            c = vm.qmp()
            c.cmd("object-add", **{"qom-type": "iothread", "id": "io1"})
            threads = status(vm.proc.pid)
            assert len(threads) >= 3, threads
            for thread in threads:
                assert (thread["Seccomp"], thread["NoNewPrivs"]) == (["2"], ["1"]), thread
            c.cmd("blockdev-add", driver="file", filename=disk.name, **{"node-name": "d"})
            c.cmd("quit")
            assert vm.wait() == 0
    with VM("-sandbox", "off") as vm:
        vm.qmp()
        assert status(vm.proc.pid)[0]["Seccomp"] == ["0"]


@test
def inherited():
    """Descriptors that were left open for us are closed unless a number on the command line is theirs"""
    with tempfile.TemporaryFile() as file, tempfile.TemporaryFile() as file2:
        # Numbers that no file's name has by chance.
        one, two = (os.fdopen(fcntl.fcntl(f.fileno(), fcntl.F_DUPFD, 1000)) for f in (file, file2))
        kept = ["-add-fd", f"set=7,fd={two.fileno()}"]
        for args, want in (([], (False, False)), (kept, (False, True)),
                           (["-sandbox", "off"], (True, True))):
            with VM(*args, pass_fds=(one.fileno(), two.fileno())) as vm:
                client = vm.qmp()   # which stays, and its descriptor
                client.cmd("query-status")
                names = [os.stat(f"/proc/{vm.proc.pid}/fd/{fd}") for fd in
                         os.listdir(f"/proc/{vm.proc.pid}/fd")]
                found = tuple(any((st.st_dev, st.st_ino) == (mine.st_dev, mine.st_ino)
                                  for st in names)
                              for mine in (os.fstat(one.fileno()), os.fstat(two.fileno())))
                assert found == want, (args, found)


@test
def privileges():
    """Once set up no thread has a capability or can gain one, and nobody reads its memory"""
    if os.getuid() != 0:
        return
    for args, confined in (([], True), (["-sandbox", "off"], False)):
        with VM("-object", "iothread,id=io0", *args) as vm:
            c = vm.qmp()
            c.cmd("object-add", **{"qom-type": "iothread", "id": "io1"})
            for thread in status(vm.proc.pid):
                gone = int(thread["CapPrm"][0], 16) == 0 and thread["NoNewPrivs"] == ["1"]
                assert gone == confined, thread
    for option, owner in (("", 0), (",dump-guest-core=on", 65534)):
        with tempfile.TemporaryDirectory() as folder:
            os.chown(folder, 65534, 65534)
            log = os.path.join(folder, "pid")
            done = subprocess.run(["setpriv", "--reuid", "65534", "--clear-groups", QEMU,
                                   "-M", "microvm" + option, "-accel", "qtest", "-daemonize",
                                   "-display", "none", "-pidfile", log], check=False,
                                  timeout=300, capture_output=True, text=True)
            assert done.returncode == 0, done
            with open(log, encoding="ascii") as file:
                pid = int(file.read())
            try:
                assert os.stat(f"/proc/{pid}/mem").st_uid == owner, option
            finally:
                os.kill(pid, signal.SIGKILL)


@test
def locked_memory():
    """-overcommit mem-lock=on: every thread may lock what it maps, beyond RLIMIT_MEMLOCK"""
    if not int(status(os.getpid())[0]["CapEff"][0], 16) >> CAP_IPC_LOCK & 1:
        raise Skip("needs CAP_IPC_LOCK")
    limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (65536, limit[1]))
    try:
        with VM("-object", "iothread,id=io0", "-overcommit", "mem-lock=on") as vm:
            c = vm.qmp()
            c.cmd("object-add", **{"qom-type": "memory-backend-ram", "id": "m", "size": 16 << 20})
            for thread in status(vm.proc.pid):
                assert int(thread["CapPrm"][0], 16) == 1 << CAP_IPC_LOCK, thread
    finally:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, limit)


@test
def another_user():
    """-run-with, -user, -runas, -chroot: root no more, in every thread, and the folder is the root"""
    if os.getuid() != 0:
        return
    with no_leaks(), tempfile.TemporaryDirectory() as folder:
        for args, groups in ((["-run-with", f"user=nobody,chroot={folder}"], None),
                             (["-user", "65534:12345", "-chroot", folder], ["12345"]),
                             (["-runas", "65534:12345", "-run-with", f"chroot={folder}"],
                              ["12345"])):
            with VM(*args, "-object", "iothread,id=io0") as vm:
                vm.qmp().cmd("query-status")  # from then on it is started
                for thread in status(vm.proc.pid):
                    assert thread["Uid"] == ["65534"] * 4, thread
                    assert not groups or thread["Groups"] == groups, thread
                    assert not groups or thread["Gid"] == groups * 4, thread
                assert os.readlink(f"/proc/{vm.proc.pid}/root") == folder
        os.chmod(folder, 0o755)
        done = daemon(folder, "-run-with", f"user=nobody,chroot={folder}", "-sandbox", "on")
        assert (done.returncode, done.stderr) == (0, ""), done
        with open(os.path.join(folder, "pid"), encoding="ascii") as file:
            pid = int(file.read())
        for fd in range(3):
            assert os.readlink(f"/proc/{pid}/fd/{fd}") == "/dev/null"
        os.kill(pid, signal.SIGTERM)
        fails("-M", "none", "-chroot", f"{folder}/pid", text="cannot chroot to")


@test
def pidfile_locked():
    """-pidfile: a second instance is refused, and the first one's file stays"""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "pid")
        with VM("-pidfile", path) as vm:
            fails("-M", "none", "-pidfile", path, text="cannot create PID file: Cannot lock "
                  "pid file: Resource temporarily unavailable")
            with open(path, encoding="ascii") as file:
                assert int(file.read()) == vm.proc.pid
            vm.qmp().cmd("quit")
            vm.wait()
        assert os.listdir(folder) == []


@test
def pidfile_bad():
    """-pidfile on a FIFO, with a reader or without: one line, no wait, and it stays"""
    with tempfile.TemporaryDirectory() as folder:
        fifo = os.path.join(folder, "fifo")
        os.mkfifo(fifo)
        fails("-M", "none", "-pidfile", fifo, text="Could not create")
        reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        fails("-M", "none", "-pidfile", fifo, text="is not a regular file")
        os.close(reader)
        assert os.listdir(folder) == ["fifo"]


@test
def stale_pidfile():
    """-pidfile over a longer, stale one: its old text is gone"""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "pid")
        with open(path, "w", encoding="ascii") as file:
            file.write("123456789\nold text\n")
        with VM("-pidfile", path) as vm:
            with open(path, encoding="ascii") as file:
                assert file.read() == f"{vm.proc.pid}\n"


@test
def closed_standard_fds():
    """Started without 0, 1 and 2: messages do not go into files of ours"""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "log")
        pid = os.fork()
        if pid == 0:
            os.closerange(0, 64)
            os.execv(QEMU, [QEMU, *QTEST, "-M", "none", "-D", path, "-d", "guest_errors",
                            "-device", "nope"])
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
        if os.path.exists(path):
            with open(path, encoding="ascii") as file:
                assert file.read() == ""


def limit(what, value):
    """For preexec_fn: a resource limit."""
    return lambda: resource.setrlimit(what, (value, value))


@test
def address_space_limit():
    """RLIMIT_AS too small for the guest's memory: one line, status 1"""
    if SANITIZED:
        raise Skip("a sanitizer's shadow takes terabytes of addresses")
    fails("-M", "microvm", "-m", "2G", preexec_fn=limit(resource.RLIMIT_AS, 1 << 30),
          text="cannot set up guest memory 'microvm.ram': Cannot allocate memory")


@test
def lazy_memory():
    """-m far beyond the host's memory starts: nothing is touched before the guest does"""
    with VM("-m", "256G", "-object", "memory-backend-ram,id=m,size=256G,reserve=off",
            machine="microvm,memory-backend=m") as vm:
        assert vm.status("VmRSS") < 64 * 1024, vm.status("VmRSS")
        vm.qmp().cmd("quit")
        assert vm.wait() == 0


@test
def memory_lock_limit():
    """-overcommit mem-lock=on with a low RLIMIT_MEMLOCK: one line, status 1"""
    if SANITIZED:
        raise Skip("a sanitizer's mlockall() does nothing")

    def unprivileged():
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (65536, 65536))
        if os.geteuid() == 0:
            os.setgid(65534)
            os.setuid(65534)

    with start("-M", "microvm", "-overcommit", "mem-lock=on", preexec_fn=unprivileged) as proc:
        err = proc.communicate(timeout=300)[1].decode()
    assert proc.returncode == 1, err
    assert "locking memory failed" in err or "mlockall" in err, err


@test
def memory_backends():
    """memory-backend-ram, -memfd and -file with share and prealloc become the guest's RAM"""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "ram")
        for n, spec in enumerate(("ram", "ram,share=on", "ram,prealloc=on", "memfd",
                                  "memfd,share=off", "memfd,seal=off,prealloc=on",
                                  f"file,mem-path={path},share=on", f"file,mem-path={folder}",
                                  f"file,mem-path={path},share=on,discard-data=on")):
            with VM("-m", "32M", "-object", f"memory-backend-{spec},id=m,size=32M",
                    machine="microvm,memory-backend=m", qtest=True) as vm:
                vm.qmp().cmd("human-monitor-command", command_line="info mtree")
                if "prealloc" in spec:
                    assert SANITIZED or vm.status("VmRSS") > 32 * 1024, spec
                if n == 6:
                    assert os.stat(path).st_size == 32 << 20
                vm.qmp().cmd("quit")
                assert vm.wait() == 0, spec
        assert os.listdir(folder) == ["ram"], os.listdir(folder)
        assert os.stat(path).st_blocks == 0, "discard-data=on left contents"


@test
def host_nodes():
    """host-nodes= and policy= bind memory to NUMA nodes of the host"""
    with open("/proc/self/status", encoding="ascii") as file:
        allowed = file.read().split("Mems_allowed_list:")[1].split()[0]
    node = int(re.match(r"\d+", allowed)[0])
    spec = f"memory-backend-ram,id=m,size=32M,prealloc=on,host-nodes={node}"
    probe = subprocess.run([QEMU, *QTEST, "-M", "none", "-object", f"{spec},policy=bind",
                            "-monitor", "stdio"], input="quit\n", capture_output=True,
                           timeout=300, text=True, check=False)
    for text in ("Function not implemented", "Operation not permitted"):
        if text in probe.stderr:    # the host's kernel, or a container's
            raise Skip(f"mbind: {text}")
    for policy in ("bind", "interleave", "preferred"):
        with VM("-m", "32M", "-object", f"{spec},policy={policy}",
                machine="microvm,memory-backend=m") as vm:
            with open(f"/proc/{vm.proc.pid}/numa_maps", encoding="ascii") as file:
                bound = [line for line in file if f" N{node}=8192 " in line]
            kind = "prefer" if policy == "preferred" else policy
            assert len(bound) == 1 and f" {kind}" in bound[0], bound
            (memdev,) = vm.qmp().cmd("query-memdev")
            assert (memdev["policy"], memdev["host-nodes"]) == (policy, [node]), memdev
            assert f"  policy: {policy}\r\n  host nodes: {node}\r\n" in \
                vm.qmp().hmp("info memdev")


@test
def bad_memory_backends():
    """Memory that cannot be had: one line, status 1"""
    machine = ["-M", "microvm,memory-backend=m", "-m", "32M"]
    for spec, text in (
            ("ram,size=0", "doesn't take value '0'"),
            ("ram,size=8E", "cannot set up guest memory 'm': Cannot allocate memory"),
            ("memfd,size=32M,hugetlb=on,hugetlbsize=3M", "must be a power of two"),
            ("ram,size=32M,policy=bind", "host-nodes must be set for policy bind"),
            ("ram,size=32M,host-nodes=0", "host-nodes must be empty for policy default"),
            ("ram,size=32M,policy=bind,host-nodes=3-2", "Parameter 'host-nodes' expects nodes"),
            ("ram,size=32M,policy=bind,host-nodes=128", "Parameter 'host-nodes' expects nodes"),
            ("file,size=32M", "mem-path property not set"),
            ("file,size=32M,mem-path=/nonexistent/ram", "can't open backing store"),
            ("file,size=32M,mem-path=/dev/null", "cannot set up guest memory 'm'"),
            ("file,size=32M,mem-path=/proc/version", "cannot set up guest memory 'm'")):
        fails(*machine, "-object", f"memory-backend-{spec},id=m", text=text)
    with tempfile.TemporaryDirectory() as folder:
        for name in ("new", "old"):
            path = os.path.join(folder, name)
            if name == "old":
                with open(path, "wb"):
                    pass
            fails("-M", "none", "-object", f"memory-backend-file,id=m,size=1000,mem-path={path}",
                  text="memory size 0x3e8 must be a multiple of page size")
        assert os.listdir(folder) == ["old"], os.listdir(folder)


@test
def merge_and_dump():
    """-machine mem-merge=off,dump-guest-core=off reach the guest's memory"""
    for options, want in (("", {"mg"}), (",mem-merge=off,dump-guest-core=off", {"dd"})):
        with VM("-m", "48M", machine="microvm" + options) as vm:
            vm.qmp().cmd("query-status")    # from then on it is started
            flags, size = set(), None
            with open(f"/proc/{vm.proc.pid}/smaps", encoding="ascii") as file:
                for line in file:
                    words = line.split()
                    size = int(words[1]) if words[0] == "Size:" else size
                    if words[0] == "VmFlags:" and size == 48 * 1024:
                        flags = {"mg", "dd"} & set(words)
            # A kernel without KSM knows no "mg".
            assert flags in (want, want - {"mg"}), (options, flags)


@test
def reset_states():
    """A reset of a machine that does not run leaves it in prelaunch; stop changes only running"""
    with VM("-S") as vm:
        qmp = vm.qmp()
        qmp.cmd("stop")
        assert qmp.cmd("query-status")["status"] == "prelaunch"
        qmp.cmd("cont")
        assert qmp.cmd("query-status")["status"] == "running"
        qmp.cmd("stop")
        assert qmp.cmd("query-status")["status"] == "paused"
        qmp.cmd("system_reset")
        qmp.event("RESET")
        assert qmp.cmd("query-status")["status"] == "prelaunch"
        qmp.cmd("cont")
        qmp.cmd("system_reset")
        qmp.event("RESET")
        assert qmp.cmd("query-status")["status"] == "running"


@test
def many_resets():
    """A thousand resets and stops: file descriptors, threads and memory stay flat"""
    with VM("-m", "32M", machine="microvm,legacy=on") as vm:
        qmp = vm.qmp()
        for n in range(1000):
            if n == 100:
                before = vm.fds(), vm.status("Threads"), vm.status("VmRSS")
            qmp.cmd("stop")
            qmp.cmd("system_reset")
            qmp.cmd("cont")
            qmp.events.clear()
        after = vm.fds(), vm.status("Threads"), vm.status("VmRSS")
        assert after[:2] == before[:2], (before, after)
        assert after[2] <= before[2] + 256, (before, after)


@test
def inherited_locks():
    """The pid file's lock is held as long as the process lives"""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "pid")
        with VM("-pidfile", path) as vm:
            with open(path, "r+", encoding="ascii") as file:
                try:
                    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    raise AssertionError("not locked")
                except BlockingIOError:
                    pass
            vm.proc.kill()
            vm.proc.wait()
        # After SIGKILL the file stays, but not the lock.
        with VM("-pidfile", path) as vm:
            with open(path, encoding="ascii") as file:
                assert int(file.read()) == vm.proc.pid


sys.exit(run())
