"""Pointers to a base that become pointers to what derives from it: by downcast(), which is checked.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import re

from tree.files import code, product


def bases():
    """The type of the first member of each struct that begins with another one."""
    found = {}
    for path in product():
        for tag, body, name in re.findall(r"\bstruct (\w+) \{(.*?)^\}([ \w]*);", code(path),
                                          re.M | re.S):
            first = re.match(r"\s*(?:struct )?(\w+) \w+[;,]", body)
            if first:
                found[name.strip() or tag] = first[1]
    return found


def derives(found, name, base):
    """Whether it begins with it, at whatever depth."""
    for _ in range(10):
        name = found.get(name)
        if name == base:
            return True
    return False


def check_casts():
    found = bases()
    cast = re.compile(r"\((?:const )?(\w+) \*\)(\w+)(?![\w(\[.]|->)")
    for path in product():
        text = code(path)
        for match in cast.finditer(text):
            # What it points to, by the declaration before it.
            kinds = re.findall(r"\b(\w+) \*(?:const )?" + match[2] + r"\b", text[:match.start()])
            kinds = [kind for kind in kinds if kind != "return"]
            if kinds and derives(found, match[1], kinds[-1]):
                line = text.count("\n", 0, match.start()) + 1
                yield f"{path}:{line}: {match[0]} without downcast()"
