"""What the guest-building scripts share: the cache folder, cpio archives, kernel images.

SPDX-License-Identifier: GPL-2.0-or-later

The cache lies outside every build directory, so that a second checkout finds
what the first one built.  An entry is a folder named KIND-VERSION-HASH.  It is
filled under a temporary name and renamed into place when complete: what
exists under its final name is whole, whatever was interrupted.
"""
import bz2
import contextlib
import fcntl
import glob
import hashlib
import lzma
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib


def progress(text):
    """One line about a long step, on stderr: stdout carries the result."""
    print(f"  {text}", file=sys.stderr, flush=True)


def die(text):
    """End the script with one clear line."""
    sys.exit(f"{os.path.basename(sys.argv[0])}: {text}")


def run(argv, what, quiet=True, **kwargs):
    """Run a command and return its output.

    Quietly: its errors are shown only if it fails. Else they pass through, as
    fits a script of ours that reports its own progress on stderr."""
    done = subprocess.run(argv, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, check=False,
                          stderr=subprocess.STDOUT if quiet else None, **kwargs)
    if done.returncode != 0:
        tail = done.stdout.decode(errors="replace").splitlines()[-25:]
        die(f"{what} failed (status {done.returncode}):\n" + "\n".join(tail))
    return done.stdout


def read(path):
    """The bytes of a file."""
    with open(path, "rb") as file:
        return file.read()


def write(path, data):
    """Write a file."""
    with open(path, "wb") as file:
        file.write(data)


# -- the cache ---------------------------------------------------------------

def cache_root():
    """The cache folder, created if need be."""
    root = os.environ.get("MICROVM_CACHE")
    if not root:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        root = os.path.join(base, "microvm-qemu")
    os.makedirs(root, exist_ok=True)
    return os.path.realpath(root)


def digest(*parts):
    """A short hash over texts, for cache keys."""
    sha = hashlib.sha256()
    for part in parts:
        sha.update(part.encode() + b"\0")
    return sha.hexdigest()[:12]


def cached(kind, key):
    """The newest complete entry of that kind and key, of any version, or None."""
    entries = glob.glob(os.path.join(cache_root(), f"{kind}-*-{key}"))
    return max(entries, key=os.path.getmtime, default=None)


@contextlib.contextmanager
def cache_lock(kind):
    """Only one process at a time builds entries of a kind; the others wait."""
    with open(os.path.join(cache_root(), f".{kind}.lock"), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress(f"waiting for another run that builds the same ({kind})")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def scratch_dir(kind):
    """A temporary folder in the cache; remains of killed runs go with it.

    Call it with the lock of `kind` held."""
    for stale in glob.glob(os.path.join(cache_root(), f".tmp-{kind}-*")):
        shutil.rmtree(stale, ignore_errors=True)
    path = tempfile.mkdtemp(prefix=f".tmp-{kind}-", dir=cache_root())
    os.chmod(path, 0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def publish(kind, key, filled, version):
    """Give a complete folder its final name and return that."""
    final = os.path.join(cache_root(), f"{kind}-{version}-{key}")
    shutil.rmtree(final, ignore_errors=True)
    os.rename(filled, final)
    return final


# -- Debian packages ---------------------------------------------------------

def download_package(package, into):
    """Fetch one .deb without installing anything; its path."""
    argv = ["apt-get", "download", "-q", package]
    done = subprocess.run(argv, cwd=into, stdin=subprocess.DEVNULL, check=False,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if done.returncode != 0:
        # The package lists may be missing or name a version that is gone.
        if os.getuid() == 0:
            run(["apt-get", "update", "-q"], "apt-get update")
        run(argv, f"apt-get download {package}", cwd=into)
    found = glob.glob(os.path.join(into, "*.deb"))
    if len(found) != 1:
        die(f"apt-get download {package} left {len(found)} packages")
    return found[0]


def package_version(deb):
    """The version field of a .deb, fit for a file name."""
    text = run(["dpkg-deb", "-f", deb, "Version"], "dpkg-deb").decode().strip()
    return text.replace(":", "_").replace("/", "_")


# -- kernel images -----------------------------------------------------------

MAGICS = (
    (b"\xfd7zXZ\0", lambda data: lzma.LZMADecompressor().decompress(data)),
    (b"\x1f\x8b", lambda data: zlib.decompressobj(31).decompress(data)),
    (b"BZh", lambda data: bz2.BZ2Decompressor().decompress(data)),
    (b"\x28\xb5\x2f\xfd", lambda data: pipe_through(["zstd", "-dcq"], data)),
    (b"\x02\x21\x4c\x18", lambda data: pipe_through(["lz4", "-dcq"], data)),
    (b"\x5d\0\0", lambda data: lzma.LZMADecompressor().decompress(data)),
    (b"\x7fELF", lambda data: data),
)


def pipe_through(argv, data):
    """Decompress with a tool, for formats that Python does not know.

    The tool may complain about the length word that follows the stream."""
    return subprocess.run(argv, input=data, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, check=False).stdout


def bzimage_payload(image):
    """The compressed kernel inside a bzImage.

    Linux x86 boot protocol 2.08 and later: setup_sects at 0x1f1, magic "HdrS"
    at 0x202, version at 0x206, payload_offset and payload_length at 0x248,
    counted from the start of the protected-mode code."""
    if len(image) < 0x260 or image[0x202:0x206] != b"HdrS":
        die("not a bzImage: no HdrS at 0x202")
    if struct.unpack_from("<H", image, 0x206)[0] < 0x208:
        die("boot protocol older than 2.08: the payload's place is unknown")
    sectors = image[0x1f1] or 4
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = (sectors + 1) * 512 + offset
    if length == 0 or start + length > len(image):
        die("payload outside of the image")
    return image[start:start + length]


def extract_vmlinux(image):
    """The ELF kernel out of the bytes of a bzImage."""
    payload = bzimage_payload(image)
    for magic, unpack in MAGICS:
        if payload.startswith(magic):
            elf = unpack(payload)
            if not elf.startswith(b"\x7fELF"):
                die("the payload does not hold an ELF kernel")
            return elf
    die(f"unknown compression, magic {payload[:6].hex()}")


# -- cpio archives (the "newc" format that the kernel unpacks) ---------------

class Cpio:
    """Builds an initramfs in memory: no root, no device nodes on disk."""

    def __init__(self):
        self.data = bytearray()
        self.inode = 0

    def _entry(self, name, mode, data=b"", rdev=(0, 0), mtime=0):
        self.inode += 1
        raw = name.encode() + b"\0"
        fields = (self.inode, mode, 0, 0, 1, mtime, len(data), 0, 0, *rdev, len(raw), 0)
        self.data += b"070701" + b"".join(b"%08X" % field for field in fields) + raw
        self._pad()
        self.data += data
        self._pad()

    def _pad(self):
        self.data += bytes(-len(self.data) % 4)

    def dirs(self, *names):
        """Add folders."""
        for name in names:
            self._entry(name, 0o040755)

    def file(self, name, data, mode=0o644, mtime=0):
        """Add a regular file with these bytes."""
        self._entry(name, 0o100000 | mode, data, mtime=mtime)

    def link(self, name, target):
        """Add a symbolic link."""
        self._entry(name, 0o120777, target.encode())

    def char(self, name, major, minor):
        """Add a character device node."""
        self._entry(name, 0o020600, b"", (major, minor))

    def finish(self):
        """The archive's bytes, closed; padded so that more can be appended."""
        self._entry("TRAILER!!!", 0)
        self.data += bytes(-len(self.data) % 512)
        return bytes(self.data)
