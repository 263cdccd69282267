"""vhost-user with Debian's back ends: a folder by virtiofsd, a disk by qemu-storage-daemon, DPDK.

SPDX-License-Identifier: GPL-2.0-or-later

On the software CPU, which is quicker where KVM is emulated: KVM has no part in it.
"""
import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile

from harness import Qemu, case, check, initrd, kernel, machine_args, run_job, wait_for
from test_9p import compiled, same

VIRTIOFSD = "/usr/lib/qemu/virtiofsd"
MODULES = ("virtio_ring", "virtio", "virtio_mmio", "virtio_blk", "fuse", "virtiofs")
BLOCKS, BLOCK = 120, 16384
FILES = 600             # of fs-torture
JOB = "".join(f"insmod /root/{name}.ko\n" for name in MODULES) + f"""
mount -t virtiofs tree /mnt && mkdir /mnt/torture || exit 1
echo ==; fs-torture /mnt/torture {FILES}; echo ==
md5sum </mnt/big && cp /mnt/big /mnt/copy && mkdir /mnt/d || exit 1
mv /mnt/copy /mnt/d/moved && ln /mnt/d/moved /mnt/link && umount /mnt
i=0; while [ $i -lt {BLOCKS} ]; do
    [ $i -ne 20 ] || echo "@@writing@@" >/dev/console
    (yes "block $i" | head -c {BLOCK}) |
        dd of=/dev/vda bs={BLOCK} seek=$i conv=notrunc oflag=direct 2>/dev/null || exit 1
    i=$((i+1))
done
sync
head -c {BLOCKS * BLOCK} /dev/vda | md5sum
echo "@@written@@" >/dev/console
read word </dev/console
cd /sys/bus/virtio/drivers/virtio_blk
for name in virtio*; do echo $name >unbind; done
"""


def disk_daemon(folder):
    """qemu-storage-daemon that listens at blk.sock."""
    name = f"{folder}/blk.sock"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name)
    daemon = subprocess.Popen([
        "qemu-storage-daemon", "--blockdev", f"driver=file,node-name=d,filename={folder}/disk",
        "--export", f"type=vhost-user-blk,id=e,node-name=d,addr.type=unix,addr.path={name},"
        "writable=on"])
    wait_for(lambda: os.path.exists(name), f"no {name}")
    return daemon


def folder_daemon(folder):
    """virtiofsd of folder/tree that listens at fs.sock."""
    daemon = subprocess.Popen([VIRTIOFSD, f"--socket-path={folder}/fs.sock", "-o",
                               f"source={folder}/tree", "-o", "sandbox=chroot,xattr"],
                              stderr=subprocess.DEVNULL)
    wait_for(lambda: os.path.exists(f"{folder}/fs.sock"), "no fs.sock")
    return daemon


@case("vhost-user: a folder, and a disk whose server dies", "tcg")
def back_ends():
    """what the guest reads and writes is what the host has, also when the back end is killed"""
    data = os.urandom(2 << 20)
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="vhost-user-"))
        program = compiled()
        for name in ("tree", "host"):
            os.mkdir(f"{folder}/{name}")
        want = subprocess.run([program, f"{folder}/host", str(FILES)], check=True,
                              capture_output=True, text=True).stdout
        with open(f"{folder}/tree/big", "wb") as file:
            file.write(data)
        with open(f"{folder}/disk", "wb") as file:
            file.truncate(BLOCKS * BLOCK)
        stack.callback(folder_daemon(folder).kill)
        disk = disk_daemon(folder)
        files = [(kernel("debian", f"modules/{name}.ko"), f"root/{name}.ko") for name in MODULES]
        files.append((program, "bin/fs-torture"))
        args = machine_args(kernel_path=kernel("debian"), append="quiet",
                            initrd_path=initrd(JOB, "vu", files))
        qemu = stack.enter_context(Qemu([
            *args, "-no-reboot", "-serial", "stdio", "-object",
            "memory-backend-memfd,id=mem,size=256M,share=on", "-numa", "node,memdev=mem",
            "-chardev", f"socket,id=fs,path={folder}/fs.sock,reconnect=1", "-device",
            "vhost-user-fs-device,chardev=fs,tag=tree", "-chardev",
            f"socket,id=b,path={folder}/blk.sock,reconnect=1", "-device",
            "vhost-user-blk-device,chardev=b,reply-timeout=9000"]))
        qemu.expect(hashlib.md5(data).hexdigest().encode())
        qemu.expect(b"@@writing@@")
        disk.kill()
        disk.wait()
        qemu.expect(b"it has hung up")
        disk = disk_daemon(folder)
        stack.callback(disk.kill)
        # It falls silent, and the guest's processor resets the device.
        qemu.expect(b"@@written@@")
        disk.send_signal(signal.SIGSTOP)
        qemu.send("go\n")
        qemu.expect(b"no answer to request 11 within 9000 ms")
        check(qemu.wait() == 0, f"exit status\n{qemu.tail()}")
        parts = qemu.log.decode().replace("\r", "").split("==\n")
        check(len(parts) == 3, f"what the torture said\n{qemu.tail()}")
        same(parts[1], want)
        want = b"".join((b"block %d\n" % i * BLOCK)[:BLOCK] for i in range(BLOCKS))
        check(hashlib.md5(want).hexdigest().encode() in qemu.log, f"the disk\n{qemu.tail()}")
        check(b"@@vu:end:0@@" in qemu.log, f"the job\n{qemu.tail()}")
        with open(f"{folder}/disk", "rb") as file:
            check(file.read() == want, "the disk's file")
        with open(f"{folder}/tree/link", "rb") as file:
            check(file.read() == data, "what the guest wrote into the folder")


@case("vhost-user: a network by DPDK's testpmd", "tcg", long=True)
def network():
    """it answers echo requests; its threads poll the queues without a pause"""
    if not shutil.which("dpdk-testpmd"):
        print("# left out: no dpdk-testpmd (package dpdk-dev)")
        return
    with tempfile.TemporaryDirectory(prefix="vhost-user-") as folder:
        name = f"{folder}/net.sock"
        daemon = subprocess.Popen([
            "dpdk-testpmd", "--no-huge", "-m", "256", "--no-pci", "--no-telemetry", "--no-shconf",
            "--file-prefix", f"vhost-user-{os.getpid()}", "-l", "0,1", "--vdev",
            f"net_vhost0,iface={name},queues=1", "--", "--forward-mode=icmpecho", "--auto-start",
            "--nb-cores=1", "--total-num-mbufs=2048", "--no-mlockall", "--stats-period=60"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for(lambda: os.path.exists(name), f"no {name}")
            text = run_job("""
                ip link set eth0 up; ip addr add 10.9.0.2/24 dev eth0
                ping -c 20 -i 0.05 -W 20 -s 1400 10.9.0.1
            """, extra=["-object", "memory-backend-memfd,id=mem,size=256M,share=on", "-numa",
                        "node,memdev=mem", "-chardev", f"socket,id=c,path={name}", "-netdev",
                        "vhost-user,id=n0,chardev=c", "-device", "virtio-net-device,netdev=n0"])
            check(" 0% packet loss" in text, text)
        finally:
            daemon.kill()
            daemon.wait()
