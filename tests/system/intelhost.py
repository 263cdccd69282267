"""An emulated computer with Intel's virtualization (VMX): Debian's bochs, for with-kvm.

SPDX-License-Identifier: GPL-2.0-or-later

Bochs boots a CD with GRUB, Debian's kernel and an initramfs that holds all files the
command sees: itself, those that `files` names (folders with all that is in them), and the
libraries of both. It has one processor, its clock counts instructions, so that nothing
there depends on how busy this machine is, and it takes nothing from standard input.
"""
import contextlib
import os
import pty
import re
import secrets
import select
import shutil
import subprocess
import sys
import tempfile
import tty

import kvmhost
from kvmhost import Failure, Stuck, guestlib
from patience import Patience

BOCHS = "/usr/bin/bochs-bin"
FIRMWARE = "/usr/share/bochs"
# Newer models of Bochs 2.7 do not get through Linux's start.
MODEL = "broadwell_ult"
IPS = 50_000_000  # instructions in a second of the host's time
MODULES = "kvm_intel"
KERNEL_ARGS = ("console=ttyS0 quiet panic=-1 nokaslr mitigations=off audit=0 apparmor=0 "
               "no_timer_check tsc=reliable lpj=1000000 random.trust_cpu=on cryptomgr.notests")
BOOT_LIMIT = 400  # seconds until the command must have started: it takes 60 to 100
GRUB_MODULES = "linux biosdisk iso9660 part_msdos normal"
LOOK = 0.5  # seconds between two looks at the output

CONFIG = """\
config_interface: textconfig
display_library: term
plugin_ctrl: unmapped=1, biosdev=1, serial=1
memory: guest={mem}, host={mem}
romimage: file={firmware}/BIOS-bochs-latest
vgaromimage: file={firmware}/VGABIOS-lgpl-latest
cpu: model={model}, count=1, ips={ips}, reset_on_triple_fault=1
clock: sync=none, time0=utc
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path={scratch}/cd.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev={scratch}/console
com2: enabled=1, mode=file, dev={scratch}/output
log: {scratch}/log
panic: action=fatal
error: action=ignore
info: action=ignore
debug: action=ignore
"""


# -- what it boots -----------------------------------------------------------

def is_elf(path):
    """Whether a file is a program or library."""
    with open(path, "rb") as file:
        return file.read(4) == b"\x7fELF"


def libraries(paths):
    """The libraries that programs and libraries need, with the dynamic loader."""
    if not paths:
        return set()
    done = subprocess.run(["ldd", *paths], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          check=False, text=True)
    return set(re.findall(r"(?:=> |^\t)(/\S+) \(", done.stdout, re.MULTILINE))


def all_files(names):
    """The paths below folders and of files, as they are, with the libraries they need."""
    found = set()
    for name in map(os.path.abspath, names):
        if not os.path.isdir(name):
            found.add(name)
        for folder, _, files in os.walk(name):
            found.update(os.path.join(folder, file) for file in files)
    programs = [path for path in found if os.path.isfile(path) and is_elf(path)]
    return found | libraries(programs)


class Tree:
    """Puts files of this machine at the same place of an initramfs."""

    def __init__(self, cpio):
        self.cpio = cpio
        self.known = {"", "bin", "dev", "proc", "sys", "modules", "bin/sh", "bin/busybox"}

    def add(self, path):
        """Add a file, its folders, and where symbolic links on its way lead."""
        name = path.lstrip("/")
        if name in self.known:
            return
        self.known.add(name)
        self.add(os.path.dirname(path))
        if os.path.islink(path):
            target = os.readlink(path)
            self.cpio.link(name, target)
            self.add(os.path.normpath(os.path.join(os.path.dirname(path), target)))
        elif os.path.isdir(path):
            self.cpio.dirs(name)
        else:
            info = os.stat(path)
            self.cpio.file(name, guestlib.read(path), info.st_mode & 0o777, int(info.st_mtime))


def initramfs(args, kernel, nonce):
    """The bytes of the host's initramfs, compressed."""
    cpio = guestlib.Cpio()
    kvmhost.add_system(cpio, kernel, f"{MODULES} {args.modules}", "intel-host-init", args.command)
    cpio.file("nonce", nonce.encode())
    tree = Tree(cpio)
    program = shutil.which(args.command[0])
    if not program:
        raise Failure(f"{args.command[0]}: not found")
    tree.add(os.getcwd())
    for path in sorted(all_files([program, *args.files])):
        tree.add(path)
    return guestlib.pipe_through(["lz4", "-lc"], cpio.finish())


def make_cd(args, kernel, nonce, scratch):
    """Write the CD: GRUB, kernel, initramfs."""
    root = os.path.join(scratch, "cd")
    os.makedirs(os.path.join(root, "boot", "grub"))
    shutil.copyfile(os.path.join(kernel, "bzImage"), os.path.join(root, "vmlinuz"))
    with open(os.path.join(root, "initrd"), "wb") as file:
        file.write(initramfs(args, kernel, nonce))
    with open(os.path.join(root, "boot", "grub", "grub.cfg"), "w", encoding="ascii") as file:
        file.write(f"linux /vmlinuz {KERNEL_ARGS}\ninitrd /initrd\nboot\n")
    guestlib.run(["grub-mkrescue", f"--install-modules={GRUB_MODULES}", "--fonts=", "--themes=",
                  "--locales=", "-o", os.path.join(scratch, "cd.iso"), root], "grub-mkrescue")
    shutil.rmtree(root)


# -- its life ----------------------------------------------------------------

class Host:
    """A running Bochs; what it has printed and when it must be through."""

    def __init__(self, scratch, nonce, timeout):
        self.output = os.path.join(scratch, "output")
        self.word = b"\0" + nonce.encode()
        self.timeout = timeout
        self.limit = Patience(BOOT_LIMIT)
        self.running = False
        self.pending = b""
        self.words = b""  # what it has said of itself
        self.screens = []  # where it draws for nobody: whoever does not read stops it
        talk, screen = pty.openpty()
        self.screens.append(talk)
        self.process = subprocess.Popen(
            [BOCHS, "-q", "-f", os.path.join(scratch, "bochsrc")], stdin=subprocess.PIPE,
            stdout=screen, stderr=screen, env={**os.environ, "TERM": "linux"},
            preexec_fn=kvmhost.die_with_parent, start_new_session=True)
        os.close(screen)
        self.process.stdin.write(b"c\n")  # its debugger starts it
        self.process.stdin.flush()

    def close(self):
        """End it."""
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        for screen in self.screens:
            os.close(screen)

    def find_screen(self):
        """It draws on a terminal of its own, which it names."""
        found = re.search(rb'connected to screen "(/dev/pts/\d+)"', self.words)
        if found and len(self.screens) == 1:
            self.screens.append(os.open(found[1], os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK))
            tty.setraw(self.screens[1])  # no echo: that would be keys

    def drain(self):
        """Wait a little, while it talks and draws; whether it still runs."""
        for screen in select.select(self.screens, [], [], LOOK)[0]:
            with contextlib.suppress(OSError):
                text = os.read(screen, 65536)
                self.words += text if screen == self.screens[0] else b""
        self.find_screen()
        return self.process.poll() is None

    def started(self):
        """The job begins after the first word."""
        found = self.pending.find(self.word + b"\0")
        if found >= 0:
            self.pending = self.pending[found + len(self.word) + 1:]
            self.running = True
            self.limit = Patience(self.timeout) if self.timeout else None

    def take(self):
        """Pass on what the job printed; its exit status once it has ended, else None."""
        end = re.search(re.escape(self.word) + rb" (\w+)\0", self.pending)
        if end and not end[1].isdigit():
            raise Failure("it has no /dev/kvm")
        text = self.pending[:end.start()] if end else self.pending
        if not end and b"\0" in text:
            text = text[:text.rindex(b"\0")]
        self.pending = self.pending[len(text):]
        while text:
            text = text[os.write(1, text):]
        return int(end[1]) if end else None

    def run(self):
        """Until the job has ended; its exit status."""
        with open(self.output, "rb", buffering=0) as file:
            while True:
                alive = self.drain()
                self.pending += file.read(1 << 20)
                if not self.running:
                    self.started()
                status = self.take() if self.running else None
                if status is not None:
                    return status
                if not alive:
                    raise Failure("it ended before the command did")
                if self.limit and self.limit.over():
                    return self.late()

    def late(self):
        """The time of the boot or of the command is over."""
        if not self.running:
            raise Stuck(f"it did not come up in {BOOT_LIMIT} s")
        print(f"with-kvm: no end after {self.timeout:g} s", file=sys.stderr)
        return 124


def emulate(args):
    """Boot the host and run args.command there; its exit status."""
    scratch = tempfile.mkdtemp(prefix="intel-host-")
    host = None
    try:
        nonce = secrets.token_hex(8)
        make_cd(args, kvmhost.debian_kernel(), nonce, scratch)
        guestlib.write(os.path.join(scratch, "output"), b"")
        config = CONFIG.format(mem=args.mem, firmware=FIRMWARE, model=MODEL, ips=IPS,
                               scratch=scratch)
        guestlib.write(os.path.join(scratch, "bochsrc"), config.encode())
        host = Host(scratch, nonce, args.timeout)
        return host.run()
    except Failure as failure:
        tail = "".join(kvmhost.tail(os.path.join(scratch, name)) for name in ("log", "console"))
        print(f"with-kvm: the emulated host failed: {failure}\n{tail}", end="", file=sys.stderr)
        return 125
    finally:
        if host:
            host.close()
        if args.log:
            with contextlib.suppress(OSError):
                shutil.copyfile(os.path.join(scratch, "console"), args.log)
        shutil.rmtree(scratch, ignore_errors=True)
