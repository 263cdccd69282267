"""README and guide: every command that they show is run.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import glob
import os
import shutil
import subprocess
import tempfile

from guide import Session
from harness import QEMU, ROOT, case, check, initrd, kernel

USER = os.path.join(ROOT, "docs", "user")
# On a host with TAP interfaces, bridges and KVM.
HOST = ["network"]
# What wants a Debian that hears its power button.
DEBIAN = ["stop"]


def play(path, prepare):
    """Run a document in a folder that looks like the source tree."""
    with tempfile.TemporaryDirectory(prefix="guide-") as folder:
        for name in os.listdir(ROOT):
            if name not in ("guest", ".git") and not name.startswith("build"):
                os.symlink(os.path.join(ROOT, name), os.path.join(folder, name))
        build = os.path.dirname(os.path.abspath(QEMU))
        os.symlink(build, os.path.join(folder, "build"))
        prepare(os.path.join(folder, "guest"))
        with Session(folder, build) as session:
            run, left = session.play(path)
    print(f"# {os.path.relpath(path, ROOT)}: {run} commands run, {left} left out for a reason",
          flush=True)
    check(run, f"{path} shows no command")


def quick_guest(folder):
    """What stands for make guest where it does not matter: a lean kernel and a busybox."""
    os.mkdir(folder)
    shutil.copy(kernel("lean", "bzImage"), os.path.join(folder, "bzImage"))
    shutil.copy(kernel("lean", "vmlinux"), os.path.join(folder, "vmlinux"))
    shutil.copy(initrd(), os.path.join(folder, "initrd"))
    with open(os.path.join(folder, "disk.img"), "wb") as disk:
        disk.truncate(64 << 20)


def debian_guest(folder):
    """As make guest makes it."""
    done = subprocess.run([os.path.join(ROOT, "scripts", "guest"), folder], check=False,
                          stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    check(done.returncode == 0, f"make guest failed:\n{done.stderr.decode(errors='replace')}")


def pages():
    """The names of the guide's pages."""
    return sorted(os.path.basename(path)[:-4] for path in glob.glob(os.path.join(USER, "*.rst")))


@case("README: from nothing to a guest, and out of it", "tcg")
def readme():
    """As it stands there, make guest included."""
    play(os.path.join(ROOT, "README.md"), lambda folder: None)


def guide_page(name):
    """The test case of a page."""
    def run():
        play(os.path.join(USER, name + ".rst"), debian_guest if name in DEBIAN else quick_guest)
    return run


for page in pages():
    if page != "index":
        case(f"guide: {page}", "kvm" if page in HOST else "tcg")(guide_page(page))
