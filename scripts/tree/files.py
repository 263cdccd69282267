"""The tree that is checked: its files, their text without comments, its build.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import functools
import os
import re
import subprocess
import sys

ROOT = os.environ.get("CHECK_TREE_ROOT") or os.path.dirname(
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# The build folder: the argument, $BUILD, or build/.
BUILD = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else
                        os.environ.get("BUILD") or os.path.join(ROOT, "build"))


class Skip(Exception):
    """A rule that cannot be checked here, and why."""


@functools.lru_cache(None)
def tree_files():
    out = subprocess.run(["git", "-C", ROOT, "ls-files", "--cached", "--others",
                          "--exclude-standard"], check=True, capture_output=True, text=True)
    return [f for f in out.stdout.split("\n") if f and os.path.exists(os.path.join(ROOT, f))]


@functools.lru_cache(None)
def sources():
    return [f for f in tree_files() if f.endswith((".c", ".h"))]


@functools.lru_cache(None)
def product():
    """The sources of the program itself."""
    return [f for f in sources() if not f.startswith(("tests/", "scripts/"))]


@functools.lru_cache(None)
def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


@functools.lru_cache(None)
def code(path):
    """The text without comments, strings and preprocessor lines, line for line."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group(0))

    text = re.sub(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])+'",
                  blank, read(path), flags=re.S)
    return re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", blank, text, flags=re.M)
