#!/usr/bin/env python3
"""make install and what it installs: where files go, manual page, completions of two shells.

test-install.py BUILD
SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests"))
from patience import Patience  # noqa: E402

BUILD = os.path.abspath(sys.argv[1])
NAME = "qemu-system-x86_64"
MAN = f"share/man/man1/{NAME}.1"
BASH = f"share/bash-completion/completions/{NAME}.bash"
ZSH = "share/zsh/site-functions/_" + NAME
FILES = [f"bin/{NAME}", MAN, BASH, ZSH, "share/doc/microvm-qemu/README.md",
         "share/doc/microvm-qemu/docs/system/microvm.rst"]


def run(*argv, **env):
    """What a command prints; it must succeed and have nothing to complain about."""
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, cwd=ROOT,
                          stderr=subprocess.PIPE, check=False, env={**os.environ, **env})
    assert done.returncode == 0 and not done.stderr, (argv, done)
    return done.stdout.decode()


def installer(folder, *args):
    """scripts/install-files for a folder in the place of /."""
    return run(os.path.join(ROOT, "scripts/install-files"), *args, BUILD, DESTDIR=folder)


def files_below(folder):
    """Every file in it."""
    return {os.path.relpath(os.path.join(at, name), folder)
            for at, _, names in os.walk(folder) for name in names}


def check_install(folder):
    """The prefix is honoured, twice is once, and all of it goes again"""
    installer(folder, "--prefix", "/opt/x y")
    there = files_below(folder)
    for name in FILES:
        assert "opt/x y/" + name in there, (name, there)
    assert run(f"{folder}/opt/x y/bin/{NAME}", "-version").startswith("QEMU emulator version")
    installer(folder, "--prefix", "/opt/x y")
    assert files_below(folder) == there
    foreign = f"{folder}/opt/x y/bin/other"
    with open(foreign, "w", encoding="ascii"):
        pass
    installer(folder, "--remove", "--prefix", "/opt/x y")
    assert files_below(folder) == {"opt/x y/bin/other"}
    assert os.listdir(f"{folder}/opt/x y") == ["bin"]


def check_configured(folder):
    """Without a prefix it is the one that the build was configured for"""
    installer(folder)
    assert any(name.endswith(MAN) for name in files_below(folder))
    installer(folder, "--remove")
    assert not files_below(folder)


def check_help(folder):
    """configure --help says what there is, and does nothing else"""
    text = subprocess.run([os.path.join(ROOT, "configure"), "--help"], cwd=folder, check=True,
                          stdout=subprocess.PIPE, text=True, timeout=60).stdout
    assert '--enable-fuzzing          the programs of "make fuzz"' in text, text
    assert not files_below(folder)


def check_make(_folder):
    """make passes PREFIX, prefix and DESTDIR on and builds the program alone"""
    for given in ("PREFIX=/x", "prefix=/x"):
        for target, flag in (("install", ""), ("uninstall", "--remove ")):
            text = run("make", "-n", target, given, "DESTDIR=/d", f"BUILD={BUILD}", MAKEFLAGS="")
            assert f"DESTDIR='/d' scripts/install-files {flag}--prefix '/x' {BUILD}" in text, text
            assert " all" not in text, text
    targets = re.findall(r"^make (\S+)", run("make", "help", MAKEFLAGS=""), re.MULTILINE)
    with open(os.path.join(ROOT, "Makefile"), encoding="utf-8") as file:
        phony = re.search(r"^\.PHONY: (.*)", file.read(), re.MULTILINE)[1].split()
    assert set(phony) - set(targets) == {"all", "help"}, (phony, targets)


def check_man(_folder):
    """The manual page is clean and has every option of -h, under its heading"""
    page = run("man", "--warnings", "-E", "UTF-8", "-l", f"{BUILD}/{NAME}.1", MANWIDTH="200",
               MAN_KEEP_FORMATTING="", LC_ALL="C.UTF-8")
    listed = run(f"{BUILD}/{NAME}", "-h")
    options = re.findall(r"^-([a-zA-Z]\S*)", listed, re.MULTILINE)
    assert len(options) > 50
    for option in options:
        assert re.search(rf"^ +-{option}( |$)", page, re.MULTILINE), option
    for heading in re.findall(r"^(\w[\w, ]+):$", listed, re.MULTILINE):
        assert re.search(f"^ *{heading}$", page, re.MULTILINE | re.IGNORECASE), heading


class Shell:
    """An interactive shell on a terminal of its own."""

    def __init__(self, argv, env):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe(argv[0], argv, {**os.environ, **env})
        self.seen = ""

    def say(self, text):
        """Type something."""
        self.seen = ""
        os.write(self.fd, text.encode())

    def expect(self, pattern):
        """Wait until the terminal shows it."""
        limit = Patience(30)
        while not re.search(pattern, self.seen):
            assert not limit.over(), f"no {pattern!r} in {self.seen!r}"
            if select.select([self.fd], [], [], 1)[0]:
                # What the shell does to redraw the line is no text.
                self.seen += re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\x07|\x1b[=>]|.\x08", "",
                                    os.read(self.fd, 65536).decode(errors="replace"))

    def close(self):
        """End it."""
        os.close(self.fd)
        os.waitpid(self.pid, 0)


# What is typed before Tab, and what the line becomes, or the choice.
COMPLETED = [
    ("-devi", r"-device "), ("-kern", r"-kernel "),
    ("-device virtio-blk-device,dri", r"virtio-blk-device,drive="),
    ("-nic user,hostf", r"user,hostfwd="), ("-drive id=d,file=/etc/hostn", r"file=/etc/hostname"),
    ("-action panic=exit", r"panic=exit-failure"), ("-smp maxc", r"maxcpus="),
    ("-object memory-backend-m", r"memory-backend-memfd"), ("-M microvm,kernel-pro", r"protocol="),
    ("-cpu qem", r"qemu64"), ("-serial mon", r"mon:stdio"), ("-kernel /etc/hostn", r"/etc/hostname"),
    ("-sandbox on,spawn=de", r"spawn=deny"), ("--append", r"--append"),
]


def complete(shell):
    """Try each with a shell."""
    for typed, line in COMPLETED:
        shell.say(f"\x15{NAME} {typed}\t")
        shell.expect(f"{re.escape(NAME)} .*{line}")
    shell.say("\x15\x04")
    shell.close()


def check_bash(_folder):
    """bash completes options, kinds, properties, values and files"""
    shell = Shell(["bash", "--norc", "--noprofile", "-i"], {"TERM": "dumb", "PS1": "ready> "})
    shell.expect("ready> ")
    shell.say(f"bind 'set enable-bracketed-paste off'; stty cols 200; . '{BUILD}/{NAME}.bash'; "
              "PS1='going''> '\n")
    shell.expect("going> ")
    complete(shell)


def check_zsh(folder):
    """So does zsh"""
    shutil.copy(f"{BUILD}/_{NAME}", folder)
    shell = Shell(["zsh", "-f", "-i"], {"TERM": "dumb", "PS1": "ready> ", "HOME": folder})
    shell.expect("ready> ")
    shell.say(f"stty cols 200; fpath=('{folder}' $fpath); autoload -U compinit; "
              f"compinit -u -D; unsetopt zle_bracketed_paste; PS1='going''> '\n")
    shell.expect("going> ")
    complete(shell)


def check_deb(folder):
    """The Debian package has no file of Debian's QEMU, installs, runs, and goes again"""
    shown = run(os.path.join(ROOT, "scripts/deb"), BUILD).strip()
    listed = {line.split()[5].lstrip(".") for line in run("dpkg-deb", "-c", shown).splitlines()
              if not line.startswith("d")}
    others = run("sh", "-c", "dpkg -L $(dpkg-query -W -f '${Package}\\n' 'qemu*' | "
                 "xargs -n 1 sh -c 'dpkg -s $0 >/dev/null 2>&1 && echo $0')").splitlines()
    assert f"/usr/bin/microvm-{NAME}" in listed and "/usr/bin/" + NAME in others, (listed, others)
    assert not listed & set(others), listed & set(others)
    control = run("dpkg-deb", "-f", shown, "Depends", "Recommends")
    assert "libc6 (>= " in control and "libslirp0" in control and "libzstd1" in control, control
    for name in ("info", "updates", "status"):
        path = f"{folder}/dpkg/{name}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if name == "status":
            with open(path, "w", encoding="ascii"):
                pass
        else:
            os.mkdir(path)
    dpkg = ["fakeroot"] if os.getuid() else []
    dpkg += ["dpkg", f"--admindir={folder}/dpkg", f"--instdir={folder}/root", "--force-depends",
             "--force-script-chrootless", f"--log={folder}/log"]
    os.mkdir(f"{folder}/root")
    subprocess.run([*dpkg, "-i", shown], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    text = run(f"{folder}/root/usr/bin/microvm-{NAME}", "-device", "help")
    assert "virtio-blk-device" in text
    subprocess.run([*dpkg, "-P", "microvm-qemu"], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    assert not files_below(f"{folder}/root"), files_below(f"{folder}/root")
    os.unlink(shown)


CASES = [check_install, check_configured, check_help, check_make, check_deb, check_man, check_bash,
         check_zsh]


def main():
    """Run all, as TAP."""
    failed = 0
    print(f"1..{len(CASES)}")
    for number, case in enumerate(CASES, 1):
        with tempfile.TemporaryDirectory(prefix="install-") as folder:
            try:
                case(folder)
                result = "ok"
            except (AssertionError, OSError) as error:
                result, failed = "not ok", failed + 1
                print(f"# {error}".replace("\n", "\n# "))
        print(f"{result} {number} - {case.__doc__}", flush=True)
    sys.exit(bool(failed))


main()
