"""Runs the commands that a document shows, as its reader would.

SPDX-License-Identifier: GPL-2.0-or-later

A document's blocks of the language `console` are a session, from the first to the last. Lines
begin with the prompt of who reads them: `$ ` and `# ` a shell of the host (the second is root's),
`guest# ` a root shell in the guest, `(qemu) ` the guest's monitor. Other lines are output, and all
of them must come: numbers may differ, `...` stands for anything. A command that begins with the
program's name and says -nographic is the guest's terminal until it ends. A block with a caption is
a file of this name. A comment "not run: WHY" in front of a block leaves it out; "host: systemd"
runs it on a host that systemd runs (systemdhost.py), which has the folder, too.
"""
import os
import pty
import re
import subprocess

from harness import Qemu, check
from systemdhost import SystemdHost, lacks

PROGRAM = "qemu-system-x86_64"
PROMPT = rb"(?:root@visitor|microvm):[^\n]*# "
STEP = 240


class Block:
    """A block of a document."""

    def __init__(self, kind, lines, caption=None, remark=None):
        self.kind, self.lines, self.caption = kind, lines, caption
        word, _, rest = (remark or "").partition(": ")
        self.skipped = rest if word == "not run" else None
        self.host = rest if word == "host" else None


def rst_blocks(text):
    """The code blocks of reStructuredText, with the comment before each."""
    lines, number, remark, found = text.split("\n"), 0, None, []
    while number < len(lines):
        line = lines[number]
        number += 1
        comment = re.match(r"\.\. ((?:not run|host): \S.*)", line)
        start = re.match(r"\.\. code-block:: (\w+)", line)
        remark = comment[1] if comment else remark if not line or start else None
        if not start:
            continue
        body, caption = [], None
        while number < len(lines) and (not lines[number] or lines[number].startswith("   ")):
            option = re.match(r"   :caption: (\S+)", lines[number])
            caption = option[1] if option else caption
            if not re.match(r"   :\w+:", lines[number]):
                body.append(lines[number][3:])
            number += 1
        found.append(Block(start[1], "\n".join(body).strip("\n").split("\n"), caption, remark))
        remark = None
    return found


def markdown_blocks(text):
    """The fenced blocks of Markdown, with the comment before each."""
    pattern = r"(?:<!-- (not run: .+?) -->\n+)?```(\w*)\n(.*?)\n```"
    return [Block(kind, body.split("\n"), None, remark)
            for remark, kind, body in re.findall(pattern, text, re.DOTALL)]


def blocks(path):
    """The blocks of a document."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    return markdown_blocks(text) if path.endswith(".md") else rst_blocks(text)


def entries(lines):
    """(prompt, command, lines of output) of a session; a backslash continues a command."""
    found, more = [], False
    for line in lines:
        prompt = re.match(r"(\$|#|guest#|\(qemu\)) (.*)", line)
        if more:
            found[-1][1] += "\n" + line
        elif prompt:
            found.append([prompt[1], prompt[2], []])
        else:
            check(found, f"a session begins with output: {line}")
            found[-1][2].append(line)
        more = (more or prompt) and line.endswith("\\")
    return found


def as_pattern(line):
    """What a line of output may look like."""
    escaped = re.escape(line.strip()).replace(r"\.\.\.", ".*")
    return re.sub(r"(?:\\ )+", r"\\s+", re.sub(r"\d+(?:\\\.\d+)*", r"[\\d.]+", escaped))


def compare(command, shown, came):
    """Each line that the document shows has come, in this order."""
    place = 0
    for line in shown:
        found = re.search(as_pattern(line), came[place:])
        check(found, f"{command}\nhas not said: {line}\nbut:\n{came}")
        place += found.end()


class Terminal(Qemu):
    """The program on a terminal, as a reader starts it."""

    def __init__(self, command, folder, env):
        ours, theirs = pty.openpty()
        self.ours = ours
        self.args = [command]
        self.log, self.seen = b"", 0
        self.process = subprocess.Popen("exec " + command, shell=True, executable="/bin/bash",
                                        cwd=folder, env=env, stdin=theirs, stdout=theirs,
                                        stderr=theirs, start_new_session=True)
        os.close(theirs)
        self.fd = ours

    def read_some(self, wait):
        """As of any Qemu; a terminal without its program is an error instead of an end."""
        try:
            return super().read_some(wait)
        except OSError:
            return False

    def send(self, text):
        """Type."""
        os.write(self.ours, text.encode())

    def ask(self, command, prompt):
        """What a command prints, without its echo."""
        start = self.seen
        self.send(command + "\n")
        self.expect(re.escape(command[-20:].encode()) + rb"\s*\n")
        self.expect(prompt, STEP)
        return self.log[start:self.seen].decode(errors="replace")

    def close(self):
        """The end, however it comes."""
        self.__exit__()
        os.close(self.ours)


class Session:
    """A reader with a folder, a shell and at most one guest on a terminal."""

    def __init__(self, folder, program_folder):
        self.folder = folder
        self.program_folder = program_folder
        self.guest = None
        self.host = None
        self.at_monitor = False
        self.env = {**os.environ, "PATH": f"{program_folder}:{os.environ['PATH']}",
                    "HOME": folder, "TERM": "vt100", "MAKEFLAGS": ""}

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.guest:
            self.guest.close()
        if self.host:
            self.host.__exit__()

    def shell(self, command):
        """A command of this machine; what it prints."""
        return self.result(command, subprocess.run(
            command, shell=True, executable="/bin/bash", cwd=self.folder, env=self.env,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=4 * STEP, check=False))

    def on_host(self, command):
        """A command of a host that systemd runs, with the program installed; what it prints."""
        if not self.host:
            self.host = SystemdHost(self.folder).__enter__()
            self.on_host(f"cp '{self.program_folder}/{PROGRAM}' /usr/local/bin")
        return self.result(command, self.host.run(command, self.env))

    @staticmethod
    def result(command, done):
        """What a command has printed; it must have succeeded."""
        text = done.stdout.decode(errors="replace")
        check(done.returncode == 0, f"{command}\nhas exit status {done.returncode}:\n{text}")
        return text

    def start(self, command):
        """The program on a terminal, up to its shell; what it has printed."""
        check(not self.guest, f"a guest still runs before: {command}")
        self.at_monitor = False
        self.guest = Terminal(command, self.folder, self.env)
        found = self.guest.expect(rb"login: $|" + PROMPT, STEP)
        if b"login" in found[0]:
            self.guest.send("root\n")
            self.guest.expect(PROMPT, STEP)
        return self.guest.log.decode(errors="replace")

    def end(self, command):
        """What ends the guest from within; its program ends with status 0."""
        self.guest.send(command)
        status = self.guest.wait(STEP)
        check(status == 0, f"{command}: exit status {status}\n{self.guest.tail()}")
        text = self.guest.log[self.guest.seen:].decode(errors="replace")
        self.guest.close()
        self.guest = None
        return text

    def switch(self, to_monitor):
        """Ctrl-A c, if the terminal is with the other one."""
        if self.at_monitor != to_monitor:
            self.guest.send("\x01c\n")
            self.guest.expect(rb"\(qemu\) " if to_monitor else PROMPT)
            self.at_monitor = to_monitor

    def in_guest(self, command):
        """A command of the guest's shell."""
        check(self.guest, f"no guest runs: {command}")
        self.switch(False)
        if command in ("poweroff", "reboot -f"):
            return self.end(command + "\n")
        return self.guest.ask(command, PROMPT)

    def monitor(self, command):
        """A command of the monitor behind the guest's console."""
        check(self.guest, f"no guest runs: {command}")
        self.switch(True)
        if command == "quit":
            return self.end(command + "\n")
        return self.guest.ask(command, rb"\(qemu\) ")

    def do(self, prompt, command, host):
        """One command of a document; what it prints."""
        if host:
            return self.on_host(command)
        if prompt == "guest#":
            return self.in_guest(command)
        if prompt == "(qemu)":
            return self.monitor(command)
        words = command.split()
        if os.path.basename(words[0]) == PROGRAM and "-nographic" in words:
            return self.start(command)
        return self.shell(command)

    def play(self, path):
        """All of a document; the number of its commands, and of those that were not run."""
        run = left = 0
        for block in blocks(path):
            if block.skipped or (block.host and lacks()):
                if block.host:
                    print(f"# left out: {lacks()}", flush=True)
                left += len(entries(block.lines)) if block.kind == "console" else 0
                continue
            if block.caption:
                with open(os.path.join(self.folder, os.path.basename(block.caption)), "w",
                          encoding="utf-8") as file:
                    file.write("\n".join(block.lines) + "\n")
            if block.kind != "console":
                continue
            for prompt, command, output in entries(block.lines):
                compare(command, [line for line in output if line], self.do(prompt, command, block.host))
                run += 1
        check(not self.guest, f"{path}: a guest still runs at its end")
        return run, left
