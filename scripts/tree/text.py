"""What the text of a file shows: size, depth, parameters, heads, clean lines.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import re

from tree.files import code, product, read, sources, tree_files

MAX_FILE, MAX_HEADER, MAX_FUNCTION, MAX_SWITCH = 600, 200, 60, 100
MAX_NESTING, MAX_PARAMETERS, MAX_COLUMNS = 3, 6, 100


def check_ifdefs():
    for path in sources():
        for line in re.findall(r"^\s*#\s*if.*CONFIG_.*$", read(path), re.M):
            yield f"{path}: {line.strip()}"


def check_exit():
    for path in product():
        if path not in ("system/vl.c", "util/error.c", "system/os-posix.c") and \
                re.search(r"\b_?exit\(", code(path)):
            yield f"{path} calls exit()"


def check_dialects():
    """Words for which the tree has one of its own: style.rst."""
    for path in product():
        for word in re.findall(r"\b(assert|g_atomic_\w+)\(", code(path)):
            yield f"{path}: {word}()"
        for word in re.findall(r"\btypedef [\w ]+ ([us](?:8|16|32|64));", code(path)):
            yield f"{path}: {word}, which has a name in stdint.h"
        if path != "util/thread.c" and re.search(r"\b(g_thread_(try_)?new|pthread_create)\(",
                                                 code(path)):
            yield f"{path}: a thread that signals interrupt, not thread_try_new()'s"
        kinds = "".join(re.findall(r'^#include ([<"])', read(path), re.M))
        if not re.fullmatch(r'"?<*"*', kinds):
            yield f"{path}: #include <…> stands behind more than one \"…\""


def functions(path):
    """(name, first line, body's lines) of each function: '{' in column 0 to '}'."""
    lines = code(path).split("\n")
    start = None
    for i, line in enumerate(lines):
        if line.rstrip() == "{":
            start = i
        elif line.rstrip() == "}" and start is not None:
            head = start
            while head > 0 and lines[head - 1].strip() and \
                    not lines[head - 1].startswith((" ", "}", "#", "/")):
                head -= 1
            match = re.search(r"(\w+)\(", " ".join(lines[max(0, head - 1):start]))
            yield match.group(1) if match else "?", start + 1, lines[start:i]
            start = None


def file_limit(path):
    # Instruction tables and architectural state are long by nature.
    if path.startswith(("include/standard-headers/", "tests/")) or \
            path.endswith(("-table.c", "-table.h")) or path == "target/i386/cpu.h":
        return 1000
    return MAX_HEADER if path.endswith(".h") else MAX_FILE


def check_sizes():
    for path in sources():
        lines = read(path).count("\n")
        if lines > file_limit(path):
            yield f"{path}: {lines} lines (limit {file_limit(path)})"
    for path in product():
        for name, _, body in functions(path):
            limit = MAX_SWITCH if any("switch (" in line for line in body) else MAX_FUNCTION
            if len(body) > limit:
                yield f"{path}: {name}() has {len(body)} lines"


def check_nesting():
    deep = " " * 4 * (MAX_NESTING + 1)
    for path in product():
        for name, first, body in functions(path):
            for n, line in enumerate(body, first):
                if re.match(deep + r" *(} else )?(if|for|while|switch|do|else)\b.*[({]", line):
                    yield f"{path}:{n}: {name}() nests more than {MAX_NESTING} deep"
                    break


def parameters(text):
    """How many parameters the text between the parentheses names."""
    depth, count = 0, 1
    for c in text:
        depth += (c in "([{") - (c in ")]}")
        count += c == "," and depth == 0
    return count


def check_parameters():
    head = re.compile(r"^[a-zA-Z][\w \*]*?\**\b(\w+)\(((?:[^(){};]|\([^(){};]*\))*)\)"
                      r"(?=\s*(?:[;{]|G_GNUC|__attribute))", re.M)
    for path in product():
        for match in head.finditer(code(path)):
            count = parameters(match.group(2))
            if count > MAX_PARAMETERS:
                yield f"{path}: {match.group(1)}() has {count} parameters"


def check_heads():
    for path in tree_files():
        licence = "SPDX-License-Identifier"
        if path.endswith((".c", ".h")):
            licence += ": GPL-2.0-or-later"
        elif not (path.startswith("scripts/") or path.endswith((".py", ".sh"))):
            continue
        if licence not in read(path)[:2000]:
            yield f"{path} has no SPDX line at its head"


def check_lines():
    for path in tree_files():
        if path == "COPYING" or path.endswith((".png", ".bin", ".xz")):
            continue
        for n, line in enumerate(read(path).split("\n"), 1):
            if line != line.rstrip() and not path.endswith(".md"):
                yield f"{path}:{n}: trailing white space"
            if "\t" in line and path.endswith((".c", ".h", ".py")):
                yield f"{path}:{n}: tab"
            if len(line) > MAX_COLUMNS and path.endswith((".c", ".h", ".rst", ".md")):
                yield f"{path}:{n}: {len(line)} columns"
