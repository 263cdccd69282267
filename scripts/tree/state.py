"""What a saved machine holds: no field of a device's state is forgotten.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import re

from tree.files import product, read

# Members that are no state by what they are: wiring, locks, what the core or the host has.
WIRING = {
    "DeviceState", "VirtIODevice", "Object", "MemoryRegion", "qemu_irq", "GMutex", "CharBackend",
    "NICState", "BusState",
}
# Structs that are a part of a device, or no device, and must be covered all the same.
ALSO = {
    "SerialState", "PS2Keyboard", "PICChip", "PICState", "IOAPICState", "PITChannel", "PITState",
    "APICState", "CPUX86State", "SegmentCache", "DescriptorTable", "FPReg", "VirtQueue",
    "VirtRing", "VirtQueueRegs", "VirtIODevice", "NetFilter", "VirtIOSerialSlot",
    "VirtIOSerialPort", "X86CPU",
}
# Parts whose rows name them by the struct that they are in.
INSIDE = {"VirtRing": ("VirtQueue", "ring."), "VirtQueueRegs": ("VirtQueue", "regs.")}


def strip(text):
    return re.sub(r"/\*.*?\*/", "", text, flags=re.S)


def struct_bodies(text):
    """(name, body) of the structs that a file defines."""
    for m in re.finditer(r"(?:typedef )?struct (\w+) \{\n(.*?)\n\}([^;]*);", text, re.S):
        yield m.group(1), m.group(2)


def members(body):
    """(name, type) of a struct's members; of an unnamed struct within, its own."""
    inner = re.search(r"struct \{([^{}]*)\} (\w+)(?:\[[^\]]*\])?\s*;", body)
    while inner:
        for name, kind in members(inner.group(1)):
            yield f"{inner.group(2)}.{name}", kind
        body = body[:inner.start()] + body[inner.end():]
        inner = re.search(r"struct \{([^{}]*)\} (\w+)(?:\[[^\]]*\])?\s*;", body)
    for decl in body.split(";"):
        decl = " ".join(decl.split())
        m = re.match(r"((?:const |unsigned |struct |_Atomic )*\w+)\b(?: \*?const)? ?(.*)", decl)
        if not m or "(" in m.group(2):
            continue
        for name in m.group(2).split(","):
            name = re.sub(r"\[.*", "", name).strip(" *")
            if re.fullmatch(r"\w+", name):
                yield name, m.group(1).split()[-1]


def mentions(text):
    """(struct, member) of rows, of properties and of STATE_NOT()."""
    short = {}          # macros that stand for rows
    for m in re.finditer(r"#define (\w+)\(([^)]*)\)\s+\\?\s*((?:STATE|DEFINE_PROP)_\w+\(.*)", text):
        args = [a.strip() for a in m.group(2).split(",")]
        called = [a.strip(" )") for a in m.group(3).split("(", 1)[1].split(",")]
        at = next((i for i, a in enumerate(called) if a[:1].isupper()), None)
        if at is not None and at + 1 < len(called) and called[at + 1] in args:
            short[m.group(1)] = (called[at], args.index(called[at + 1]))
    for m in re.finditer(r"STATE_\w+\((\w+),\s*([\w.]+)", text):
        yield m.group(1), m.group(2)
    for m in re.finditer(r'DEFINE_PROP_?\w*\("[^"]*",\s*(\w+),\s*([\w.]+)', text):
        yield m.group(1), m.group(2)
    for m in re.finditer(r"offsetof\((\w+), ([\w.]+)\)", text):
        yield m.group(1), m.group(2)
    for name, (struct, at) in short.items():
        for m in re.finditer(rf"^(?!#).*?\b{name}\(.*$", text, re.M):
            for call in re.findall(rf"\b{name}\(([^)]*)\)?", m.group(0)):
                args = [a.strip() for a in call.split(",")]
                if at < len(args):
                    yield struct, args[at]


def saved_structs(text):
    """The instances of the classes of a file that can be saved."""
    for m in re.finditer(r"\.instance_size = sizeof\((\w+)\)", text):
        if ".state = MACHINE_STATE(" in text:
            yield m.group(1)


def check_state_rows():
    known, wanted, bodies = set(), set(ALSO), {}
    for path in product():
        text = strip(read(path))
        if "STATE_" in text or "DEFINE_PROP" in text:
            known |= set(mentions(text))
        wanted |= set(saved_structs(text)) if path.startswith("hw/") else set()
        for name, body in struct_bodies(text):
            bodies[name] = (path, body)
    for struct in sorted(wanted & set(bodies)):
        path, body = bodies[struct]
        owner, prefix = INSIDE.get(struct, (struct, ""))
        for name, kind in members(body):
            named = {(owner, prefix + name), (struct, name), (struct, name.split(".")[0])}
            inside = any(s == struct and m.startswith(name + ".") for s, m in known)
            if kind not in WIRING and not named & known and not inside:
                yield f"{path}: {struct}.{name} is neither a property, nor saved, nor STATE_NOT()"
