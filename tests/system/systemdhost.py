"""A host of namespaces that systemd runs, for what a document says of services.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import contextlib
import os
import subprocess
import tempfile

from harness import HERE, check, wait_for

SYSTEMD = "/lib/systemd/systemd"
SPACES = ["--mount", "--pid", "--ipc", "--uts", "--net", "--cgroup"]


def lacks():
    """Why there can be no such host here, or None."""
    if not os.path.exists(SYSTEMD):
        return "no systemd is installed"
    probe = ["unshare", *SPACES, "--fork", "mount", "-t", "tmpfs", "none", "/mnt"]
    if subprocess.run(probe, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                      check=False).returncode:
        return "namespaces take root"
    # In a container it may be there to be looked at only.
    return None if own_cgroup() and os.access(own_cgroup(), os.W_OK) else \
        "there is no version 2 of cgroups to write to"


def own_cgroup():
    """The folder of this process's cgroup (version 2), or None."""
    with open("/proc/self/cgroup", encoding="ascii") as file:
        path = [line[3:].strip() for line in file if line.startswith("0::")]
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        mounts = [line.split()[4] for line in file if " - cgroup2 " in line]
    return mounts[0] + path[0] if path and mounts else None


def remove_cgroup(top):
    """A cgroup and those below, once their processes have ended."""
    def gone():
        for folder, _, _ in os.walk(top, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(folder)
        return not os.path.exists(top)
    wait_for(gone, f"{top} stays")


class SystemdHost:
    """The host, for as long as it is entered; it shares a folder with this machine."""

    def __init__(self, folder):
        self.folder = folder
        self.scratch = tempfile.mkdtemp(prefix="systemd-host-")
        self.cgroup = os.path.join(own_cgroup(), os.path.basename(self.scratch))
        os.mkdir(self.cgroup)
        self.process = subprocess.Popen(
            ["sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec unshare "$@"', self.cgroup, *SPACES,
             "--propagation", "private", "--fork", "--kill-child",
             os.path.join(HERE, "systemd-host"), self.scratch, folder], stdin=subprocess.DEVNULL)

    def __enter__(self):
        try:
            wait_for(self.started, "systemd does not start")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc):
        self.process.kill()
        self.process.wait()
        remove_cgroup(self.cgroup)
        os.rmdir(self.scratch)

    def started(self):
        """Whether all that systemd starts by itself is there."""
        check(self.process.poll() is None, "systemd has ended")
        return self.run("exec systemctl is-active basic.target").returncode == 0

    def init(self):
        """The number of its first process, as seen here."""
        path = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        with open(path, encoding="ascii") as file:
            return file.read().split()[0]

    def run(self, command, env=None):
        """A command of a shell in it, as of subprocess.run; output and errors are one."""
        try:
            enter = ["nsenter", "--target", self.init(), *SPACES, "--root"]
        except (OSError, IndexError):
            enter = ["false"]
        return subprocess.run([*enter, "/bin/bash", "-c", f"cd '{self.folder}' && {command}"],
                              env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=1000, check=False)
