"""A Debian system on a disk: systemd up to the login, DHCP, packages from a server on the host;
and Debian's own kernels, unmodified, with the initramfs that the packages make.

SPDX-License-Identifier: GPL-2.0-or-later

On the software CPU, which runs here at full speed; an emulated KVM host takes minutes.
"""
import contextlib
import functools
import hashlib
import http.server
import os
import re
import subprocess
import tempfile
import threading

from harness import ACCEL, GUEST, MACHINE, Qemu, case, check, kernel

PROMPT = rb"root@visitor:~# "
APPEND = "console=hvc0 root=/dev/vda rw reboot=t panic=-1 systemd.show_status=0 quiet"
BLOB = bytes(range(251)) * 16000  # 4 MB
# What dmesg must not say of tables and of registers that are not there.
COMPLAINTS = r"(?i)^.*(ACPI (Error|Warning|Exception|BIOS)|Firmware (Bug|Warn)|MSR access).*$"
STEP = 240  # seconds for one step on a busy machine
CONTROL = """Package: microvm-hello
Version: {version}
Architecture: all
Maintainer: tests <tests@localhost>
Description: a file
"""


def system(*args):
    """The folder of a cached Debian system."""
    done = subprocess.run([os.path.join(GUEST, "debian-rootfs"), *args], stdout=subprocess.PIPE,
                          stdin=subprocess.DEVNULL, check=False)
    check(done.returncode == 0, "tests/guest/debian-rootfs made no Debian system")
    return done.stdout.decode().strip()


def overlay_on(folder, into):
    """An overlay on the disk of a cached system, to write to; its path."""
    path = os.path.join(into, "root.qcow2")
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b",
                    os.path.join(folder, "root.ext4"), path], check=True)
    return path


def flatten(image):
    """What a sound overlay and the image below have together, as a raw image; its path."""
    path = image + ".raw"
    subprocess.run(["qemu-img", "check", "-q", image], check=True)
    subprocess.run(["qemu-img", "convert", "-O", "raw", image, path], check=True)
    subprocess.run(["qemu-img", "compare", "-q", image, path], check=True)
    return path


def repository(folder, version):
    """A package of 400 files, its index, and a file; what apt and apt-helper ask for."""
    control = CONTROL.format(version=version)
    tree = os.path.join(folder, f"tree-{version}")
    os.makedirs(os.path.join(tree, "DEBIAN"))
    os.mkdir(os.path.join(tree, "hello"))
    with open(os.path.join(tree, "DEBIAN", "control"), "w", encoding="ascii") as file:
        file.write(control)
    for number in range(400):
        with open(os.path.join(tree, "hello", str(number)), "wb") as file:
            file.write(packaged(number, version))
    deb = os.path.join(folder, f"hello-{version}.deb")
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "-b", tree, deb],
                   check=True, stdout=subprocess.DEVNULL)
    with open(deb, "rb") as file:
        data = file.read()
    with open(os.path.join(folder, "Packages"), "w", encoding="ascii") as file:
        file.write(f"{control}Filename: ./hello-{version}.deb\nSize: {len(data)}\n"
                   f"SHA256: {hashlib.sha256(data).hexdigest()}\n")
    with open(os.path.join(folder, "blob"), "wb") as file:
        file.write(BLOB)


def packaged(number, version):
    """What one of the package's files has."""
    return f"file {number} of version {version}\n".encode() * 37 * (1 + number % 40)


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, *_):
        """To nobody."""


@contextlib.contextmanager
def web_server(folder):
    """Serves a folder on the loopback interface; yields the port."""
    handler = functools.partial(Handler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


class Shell:
    """A root shell behind the login of a guest's console."""

    def __init__(self, qemu):
        self.qemu = qemu
        qemu.expect(rb"visitor login: ", STEP)
        qemu.send("root\n")
        qemu.expect(PROMPT, STEP)

    def run(self, command):
        """What it prints; it must succeed."""
        start = self.qemu.seen
        self.qemu.send(f"{command} && echo st''atus=0 || echo st''atus=bad\n")
        status = self.qemu.expect(rb"status=(0|bad)\r\n", STEP)
        # The first line is the echo of the command.
        text = self.qemu.log[start:self.qemu.seen].decode(errors="replace").split("\n", 1)[1]
        check(status[1] == b"0", f"{command} failed:\n{text}")
        self.qemu.expect(PROMPT, STEP)
        return text


def use(shell, port, web):
    """Units, address, packages and their upgrade, a download."""
    url = f"http://10.0.2.2:{port}"
    text = shell.run("(systemctl is-system-running --wait; systemctl --no-pager --failed; true)")
    check("running" in text, f"not all units have started:\n{text}")
    shell.run("/lib/systemd/systemd-networkd-wait-online --timeout=100")
    text = shell.run("ip -4 addr show scope global")
    check("inet 10.0.2.15/24" in text and "dynamic" in text, f"no lease:\n{text}")
    shell.run(f"echo deb [trusted=yes] {url} ./ >/etc/apt/sources.list")
    for version, how in (("1.0", "install microvm-hello"), ("2.0", "upgrade")):
        repository(web, version)
        shell.run(f"apt-get -q update && apt-get -q -y {how}")
        digest = hashlib.sha256(b"".join(packaged(i, version) for i in range(400))).hexdigest()
        text = shell.run("for i in $(seq 0 399); do cat /hello/$i; done | sha256sum")
        check(digest in text, f"the files of version {version} are others: {text}")
    digest = hashlib.sha256(BLOB).hexdigest()
    shell.run(f"/usr/lib/apt/apt-helper download-file {url}/blob /var/blob SHA256:{digest}")


def check_disk(overlay):
    """What the guest left: the image is sound, the file system clean, and all is there."""
    disk = flatten(overlay)
    done = subprocess.run(["e2fsck", "-fn", disk], stdout=subprocess.PIPE, check=False,
                          stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    check(done.returncode == 0, f"the file system is not clean:\n{done.stdout.decode()}")
    for name, data in (("/var/blob", BLOB), ("/hello/399", packaged(399, "2.0"))):
        dump = subprocess.run(["debugfs", "-R", f"cat {name}", disk], stdout=subprocess.PIPE,
                              check=True, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        check(dump.stdout == data, f"{name} is not on the disk as it should be")


def boot_stock(flavour):
    """To a login, as `use` has it, and off by the guest's own command."""
    folder = system("--kernel", flavour)
    with tempfile.TemporaryDirectory(prefix="debian-") as scratch:
        disk = overlay_on(folder, scratch)
        run_stock(folder, disk, scratch)
        check_disk(disk)


def run_stock(folder, disk, web):
    """The system on this disk, with its own kernel; packages come from the folder `web`."""
    args = ["-M", MACHINE, "-accel", ACCEL, "-cpu", "host" if ACCEL == "kvm" else "max",
            "-m", "1G", "-smp", "4", "-nodefaults", "-display", "none",
            "-kernel", f"{folder}/bzImage", "-initrd", f"{folder}/initrd",
            "-append", "console=ttyS0 root=/dev/vda ro systemd.show_status=0 quiet",
            "-chardev", "stdio,id=c,signal=off", "-serial", "chardev:c",
            "-drive", f"file={disk},if=none,id=root,discard=unmap",
            "-device", "virtio-blk-device,drive=root", "-netdev", "user,id=n0",
            "-device", "virtio-net-device,netdev=n0", "-device", "virtio-rng-device"]
    with web_server(web) as port, Qemu(args) as qemu:
        shell = Shell(qemu)
        check("4\r\n" in shell.run("nproc"), "not 4 processors")
        text = shell.run("uname -r; dmesg")
        complaint = re.search(COMPLAINTS, text, re.MULTILINE)
        check(not complaint, complaint and complaint[0])
        use(shell, port, web)
        qemu.send("poweroff\n")
        check(qemu.wait(STEP) == 0, f"exit status\n{qemu.tail()}")


for stock in ("cloud", "generic", "rt", "cloud-backports", "generic-backports"):
    for accel in ("tcg", "kvm"):
        # One in every run; the others where long ones are asked for.
        case(f"Debian's {stock} kernel as packaged, on an overlay: login, DHCP, an upgrade, "
             "power off", accel, long=(stock, accel) != ("cloud", "tcg"),
             needs=("debian-rootfs", "--kernel", stock))(functools.partial(boot_stock, stock))


@case("a Debian root file system: systemd, DHCP, an upgrade from a server on the host", "tcg")
def debian():
    """From a disk to a login; the file system is clean after its reboot."""
    with tempfile.TemporaryDirectory(prefix="debian-") as folder:
        disk = overlay_on(system(), folder)
        web = os.path.join(folder, "web")
        os.mkdir(web)
        args = ["-M", "microvm", "-accel", ACCEL, "-cpu", "max", "-m", "512M", "-nodefaults",
                "-kernel", kernel("lean"), "-append", APPEND, "-display", "none",
                "-no-reboot", "-chardev", "stdio,id=c,signal=off", "-device",
                 "virtio-serial-device", "-device", "virtconsole,chardev=c",
                 "-drive", f"file={disk},if=none,id=root,discard=unmap",
                 "-device", "virtio-blk-device,drive=root", "-netdev", "user,id=n0",
                 "-device", "virtio-net-device,netdev=n0", "-device", "virtio-rng-device"]
        with web_server(web) as port, Qemu(args) as qemu:
            shell = Shell(qemu)
            use(shell, port, web)
            qemu.send("systemctl reboot\n")
            check(qemu.wait(STEP) == 0, f"exit status\n{qemu.tail()}")
        check_disk(disk)
