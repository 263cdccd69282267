"""What the emulated KVM hosts share: how they fail, their modules, their job.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import contextlib
import ctypes
import os
import shlex
import signal
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
GUEST = os.path.join(os.path.dirname(HERE), "guest")
sys.path[:0] = [GUEST, os.path.dirname(HERE)]
import guestlib  # noqa: E402

PR_SET_PDEATHSIG = 1


class Failure(Exception):
    """The emulated host did not do its part."""


class Stuck(Failure):
    """It did not get as far as starting the command: worth another try."""


def debian_kernel():
    """The folder of the kernel that the hosts boot."""
    return guestlib.run([os.path.join(GUEST, "debian-kernel")], "debian-kernel",
                        quiet=False).decode().strip()


def load_order(folder, names):
    """The modules to load, each after what it needs."""
    needs = {}
    for line in guestlib.read(os.path.join(folder, "order")).decode().splitlines():
        name, _, rest = line.partition(":")
        needs[name] = rest.split()
    order = []

    def add(name):
        if name not in order and name in needs:
            for need in needs[name]:
                add(need)
            order.append(name)

    for name in names.replace(",", " ").replace("-", "_").split():
        if name not in needs:
            raise Failure(f"no module {name} in {folder}")
        add(name)
    return order


def add_system(cpio, kernel, modules, init, command):
    """Put busybox, the modules in their order, the init and the job into an initramfs."""
    cpio.dirs("bin", "dev", "proc", "sys", "modules")
    cpio.char("dev/console", 5, 1)
    cpio.file("bin/busybox", guestlib.read("/bin/busybox"), 0o755)
    for applet in guestlib.run(["/bin/busybox", "--list"], "busybox").decode().split():
        if applet != "busybox":
            cpio.link(f"bin/{applet}", "busybox")
    folder = os.path.join(kernel, "modules")
    order = load_order(folder, modules)
    for name in order:
        cpio.file(f"modules/{name}.ko", guestlib.read(os.path.join(folder, f"{name}.ko")))
    cpio.file("order", "".join(f"{name}\n" for name in order).encode())
    cpio.file("init", guestlib.read(os.path.join(HERE, init)), 0o755)
    cpio.file("job.sh", job_script(command))


def job_script(command):
    """The shell script that stands for the command, in this folder and environment."""
    settings = [f"{name}={value}" for name, value in os.environ.items()]
    words = ["env", "-i", *settings, *command]
    text = (f"cd {shlex.quote(os.getcwd())} || exit 125\n"
            f"exec {' '.join(shlex.quote(word) for word in words)}\n")
    return text.encode(errors="surrogateescape")


def die_with_parent():
    """In the child: end when with-kvm ends, even by SIGKILL."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def tail(path):
    """The end of a host's console or log, to explain a failure."""
    with contextlib.suppress(OSError):
        lines = guestlib.read(path).decode(errors="replace").splitlines()[-25:]
        return "".join(f"  {line.rstrip()}\n" for line in lines)
    return ""
