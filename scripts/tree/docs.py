"""What the documents say of the tree: maintainers, locks, devices and options.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import re
import subprocess

from tree.files import BUILD, Skip, product, read, tree_files


def check_maintainers():
    text = read("MAINTAINERS")
    patterns = re.findall(r"^F:\s*(\S+)", text, re.M)

    def covered(path):
        return any(pat.endswith("/") and path.startswith(pat) or path == pat or
                   "*" in pat and re.fullmatch(re.escape(pat).replace(r"\*", "[^/]*"), path)
                   for pat in patterns)

    for path in tree_files():
        if not covered(path) and not path.startswith("."):
            yield f"{path} is covered by no line of MAINTAINERS"
    for pat in patterns:
        if "*" not in pat and not any(f == pat or pat.endswith("/") and f.startswith(pat)
                                      for f in tree_files()):
            yield f"MAINTAINERS: {pat} does not exist"
    for section in re.split(r"\n\n+", text):
        if re.search(r"^F:", section, re.M):
            for key in "MS":
                if not re.search(rf"^{key}:\s*\S", section, re.M):
                    yield f"MAINTAINERS: '{section.splitlines()[0]}' has no {key}: line"


def check_locks():
    """Each mutex has a row in locks.rst that names its file and itself."""
    rows = set(re.findall(r"^\W*``(\S+\.[ch])``\s+``(\w+)``",
                          read("docs/devel/locks.rst"), re.M))
    found = set()
    for path in product():
        for match in re.finditer(r"^[^/*\n]*\b(?:GMutex|GRecMutex|GRWLock|pthread_mutex_t|"
                                 r"pthread_rwlock_t|pthread_spinlock_t)\s+(\w+)[;\[ ](.*)$",
                                 read(path), re.M):
            found.add((path, match.group(1)))
            if "/*" not in match.group(2):
                yield f"{path}: {match.group(1)} has no line that says what it protects"
    for path, name in sorted(found - rows):
        yield f"{path}: mutex {name} has no row in docs/devel/locks.rst"
    for path, name in sorted(rows - found):
        yield f"docs/devel/locks.rst: {path} has no mutex {name}"


def check_walks():
    """A function that a walk names is in a file that the walk names, too; so are the files."""
    text = read("docs/devel/reading.rst")
    for walk in re.split(r"\n(?=[^\n]+\n~~~)", text)[1:]:
        body = ""
        for name in re.findall(r"``([\w/.-]+\.[ch])``", walk):
            paths = [p for p in product() if p == name or p.endswith("/" + name)]
            body += "".join(map(read, paths))
            if not paths:
                yield f"docs/devel/reading.rst: there is no {name}"
        for name in re.findall(r"``(\w+)\(\)``", walk):
            if not re.search(rf"\b{name}\(|->{name}\b", body):
                yield f"docs/devel/reading.rst: no file of the walk has {name}()"


def offered():
    """(kind, name) of all that the built program offers to its users."""
    qemu = os.path.join(BUILD, "qemu-system-x86_64")
    if not os.path.exists(qemu):
        raise Skip(f"no program in {BUILD}")
    asked = [("device", ["-device", "help"], r'^name "([^"]+)"'),
             ("object", ["-object", "help"], r"^  (\S+)$"),
             ("netdev", ["-netdev", "help"], r"^([a-z]\S*)$"),
             ("chardev", ["-chardev", "help"], r"^  (\S+)$"),
             ("machine option", ["-machine", "microvm,help"], r"^  ([^\s=]+)=")]
    for kind, args, pattern in asked:
        out = subprocess.run([qemu] + args, check=True, capture_output=True, text=True).stdout
        for name in re.findall(pattern, out, re.M):
            yield kind, name


def check_offered():
    text = " ".join(read(f) for f in tree_files() if f.startswith("docs/system/"))
    for kind, name in offered():
        if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text):
            yield f"{kind} {name} is in no document of docs/system/"
