"""Networks: a guest with virtio-net talks to the host by user networking and by TAP.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import contextlib
import glob
import hashlib
import os
import socket
import subprocess
import threading
import time

from harness import SCRATCH, Patience, Qemu, case, check, initrd, kernel, machine_args, run_job

NIC = ["-device", "virtio-net-device,netdev=n0,mac=52:54:00:aa:bb:cc"]
USER = ["-netdev", "user,id=n0,hostname=visitor", *NIC]
DATA = bytes(range(256)) * 16384  # 4 MiB; the guest makes the same
TAP = "nettest0"

# udhcpc calls it with the lease in the environment.
DHCP = """
cat >/tmp/lease <<'END'
#!/bin/sh
[ "$1" = bound ] || exit 0
ip addr add $ip/24 dev eth0
ip route add default via $router
echo "lease $ip $router $dns $hostname"
END
chmod +x /tmp/lease
ip link set eth0 up
udhcpc -i eth0 -f -q -n -t 10 -T 1 -s /tmp/lease >/tmp/udhcpc 2>&1 || { cat /tmp/udhcpc; exit 1; }
grep lease /tmp/udhcpc | grep -v obtained
"""


@contextlib.contextmanager
def server(family, address, handle):
    """A TCP server in a thread, one connection at a time; yields its port."""
    with socket.create_server((address, 0), family=family) as listener:
        def serve():
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                with peer:
                    handle(peer)
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)


def read_all(peer):
    """What comes until the other side ends."""
    data = b""
    while chunk := peer.recv(65536):
        data += chunk
    return data


def ip(*words):
    """Run ip(8) on the host."""
    done = subprocess.run(["ip", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          stdin=subprocess.DEVNULL, check=False)
    check(done.returncode == 0, f"ip {' '.join(words)}: {done.stdout.decode()}")


@contextlib.contextmanager
def tap(*flags):
    """A TAP interface with an address, 192.168.77.1."""
    ip("tuntap", "add", "dev", TAP, "mode", "tap", *flags)
    try:
        ip("addr", "add", "192.168.77.1/24", "dev", TAP)
        ip("link", "set", TAP, "up")
        yield
    finally:
        subprocess.run(["ip", "link", "del", TAP], stderr=subprocess.DEVNULL, check=False)


def transfer(peer_address, setup, extra, smp=1, address="127.0.0.1"):
    """4 MiB to the guest and back by TCP; the bytes must be the same. What the guest printed."""
    got = []

    def give(peer):
        peer.sendall(DATA)

    def take(peer):
        got.append(read_all(peer))

    with server(socket.AF_INET, address, give) as source, \
            server(socket.AF_INET, address, take) as sink:
        job = setup + f"""
nc -w 60 {peer_address} {source} >/tmp/data </dev/null || exit 2
md5sum </tmp/data
nc -w 60 {peer_address} {sink} </tmp/data || exit 3
cat /proc/interrupts | grep virtio
"""
        text = run_job(job, extra=extra, smp=smp)
        check(hashlib.md5(DATA).hexdigest() in text, f"what the guest read differs:\n{text}")
        limit = Patience(10)
        while not got and not limit.over():
            time.sleep(0.1)
        check(got == [DATA], f"{[len(one) for one in got]} bytes came back, or other ones")
    return text


@case("user network: DHCP, and TCP to a server on the host")
def user_network():
    """The whole way: lease, route, both directions of a connection."""
    ip("link", "set", "lo", "up")
    text = transfer("10.0.2.2", DHCP, USER)
    check("lease 10.0.2.15 10.0.2.2 10.0.2.3 visitor" in text, f"not this lease:\n{text}")


@case("user network with version 1 registers")
def user_network_legacy():
    """The short header of old drivers."""
    ip("link", "set", "lo", "up")
    transfer("10.0.2.2", DHCP, ["-global", "virtio-mmio.force-legacy=on", "-nic", "user"])


@case("user network: other addresses; hostfwd reaches the guest; guestfwd a program")
def forwards():
    """A port of the host leads into the guest, an address of the guest's net out of it."""
    ip("link", "set", "lo", "up")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    job = DHCP + """
nc -w 20 192.168.55.100 7 </dev/null
echo "@@listening@@" >/dev/console
nc -l -p 80 >/tmp/request
cat /tmp/request
"""
    netdev = ("user,id=n0,net=192.168.55.0/24,host=192.168.55.9,dhcpstart=192.168.55.33,"
              f"hostfwd=tcp:127.0.0.1:{port}-:80,guestfwd=tcp:192.168.55.100:7-cmd:echo program")
    args = machine_args(kernel_path=kernel("lean"), append="quiet",
                        initrd_path=initrd(job, "fwd"))
    with Qemu([*args, "-no-reboot", "-serial", "stdio", "-netdev", netdev, *NIC]) as qemu:
        qemu.expect(rb"lease 192.168.55.33 192.168.55.9 ")
        qemu.expect(rb"program")
        qemu.expect(rb"@@listening@@")
        time.sleep(1)
        with socket.create_connection(("127.0.0.1", port), 20) as peer:
            peer.sendall(b"hello from outside\n")
        qemu.expect(rb"hello from outside")
        check(qemu.wait() == 0, qemu.tail())


@case("user network: restrict=on leads nowhere")
def restricted():
    """DHCP works, the host's server is not reached."""
    ip("link", "set", "lo", "up")
    with server(socket.AF_INET, "127.0.0.1", lambda peer: peer.sendall(b"secret")) as port:
        text = run_job(DHCP + f"nc -w 3 10.0.2.2 {port} </dev/null; true\n",
                       extra=["-nic", "user,restrict=on"])
    check("lease 10.0.2.15" in text and "secret" not in text, text)


GUEST_TAP = """
ip link set eth0 up
ip addr add 192.168.77.2/24 dev eth0
for i in 1 2 3 4 5; do ping -c 1 -W 2 192.168.77.1 >/tmp/ping && break; done
grep 'bytes from' /tmp/ping || exit 1
"""


@case("TAP: ping and TCP both ways, -smp 2")
def tap_network():
    """With checksum and segmentation offloads, as the default is."""
    with tap():
        transfer("192.168.77.1", GUEST_TAP, ["-netdev", f"tap,id=n0,ifname={TAP},script=no,"
                                             "downscript=no", *NIC], 2, "192.168.77.1")


@case("TAP without offloads, without mergeable buffers, version 1 registers")
def tap_plain():
    """The other header lengths and receive paths."""
    netdev = f"tap,id=n0,ifname={TAP},script=no,downscript=no"
    legacy = ["-global", "virtio-mmio.force-legacy=on"]
    for more, device, extra in ((",vnet_hdr=off", "", []), ("", ",mrg_rxbuf=off", []),
                                ("", ",mrg_rxbuf=off,guest_tso4=off,guest_tso6=off", legacy),
                                ("", ",csum=off,guest_csum=off", legacy)):
        with tap():
            transfer("192.168.77.1", GUEST_TAP,
                     ["-netdev", netdev + more, "-device",
                      "virtio-net-device,netdev=n0" + device, *extra], 1, "192.168.77.1")


@case("TAP with two pairs of queues")
def tap_queues():
    """The guest takes both pairs into use; the interrupts of both transports' queues come."""
    with tap("multi_queue"):
        text = transfer("192.168.77.1", "cat /sys/class/net/eth0/queues/*/uevent\n"
                        "ls /sys/class/net/eth0/queues\n" + GUEST_TAP,
                        ["-netdev", f"tap,id=n0,ifname={TAP},script=no,downscript=no,queues=2",
                         "-device", "virtio-net-device,netdev=n0,mq=on"], 2, "192.168.77.1")
        check("rx-1" in text and "tx-1" in text, f"not two pairs:\n{text}")


@case("TAP with vhost: TCP both ways, two pairs of queues")
def tap_vhost():
    """The workers of the host's kernel serve both pairs, with and without the header's length."""
    vhost = f"tap,id=n0,ifname={TAP},script=no,downscript=no,vhost=on,vhostforce=on"
    device = "virtio-net-device,netdev=n0"
    for flags, netdev, more, smp in ((["multi_queue"], ",queues=2", ",mq=on", 2),
                                     ([], ",vnet_hdr=off", "", 1)):
        with tap(*flags):
            transfer("192.168.77.1", GUEST_TAP, ["-netdev", vhost + netdev, "-device",
                                                 device + more], smp, "192.168.77.1")


def vhost_workers():
    """How many there are on this host."""
    count = 0
    for path in glob.glob("/proc/[0-9]*/comm"):
        with contextlib.suppress(OSError):
            with open(path, encoding="ascii", errors="replace") as file:
                count += file.read().startswith("vhost-")
    return count


@case("TAP with vhost: the link goes and comes, the machine stops, goes on and is reset")
def tap_vhost_life():
    """The rings change hands between worker and process without losing their place.

    In the end the interface goes, which the worker would not tell."""
    job = GUEST_TAP + """
echo "@@talking@@" >/dev/console
while :; do
    ping -c 1 -W 1 192.168.77.1 | grep 'bytes from' >/dev/console
    usleep 100000
done
"""
    path = os.path.join(SCRATCH.name, "vhost-monitor")
    args = machine_args(kernel_path=kernel("lean"), append="quiet",
                        initrd_path=initrd(job, "life"))
    with tap(), Qemu([*args, "-serial", "stdio", "-monitor", f"unix:{path},server=on,wait=off",
                      "-netdev", f"tap,id=n0,ifname={TAP},script=no,downscript=no,vhost=on",
                      *NIC]) as qemu, socket.socket(socket.AF_UNIX) as monitor:
        def command(text):
            monitor.sendall(text.encode() + b"\n")

        def forget():
            """What comes within two seconds is of the time before."""
            time.sleep(2)
            qemu.read_some(0)
            qemu.seen = len(qemu.log)

        qemu.expect(rb"@@talking@@")
        qemu.expect(rb"bytes from")
        monitor.connect(path)
        check(vhost_workers() == 1, f"{vhost_workers()} workers")
        for down, up in (("set_link n0 off", "set_link n0 on"), ("stop", "cont")):
            command(down)
            forget()
            time.sleep(2)
            qemu.read_some(0)
            check(b"bytes from" not in qemu.log[qemu.seen:], f"still talking after {down}")
            command(up)
            qemu.expect(rb"bytes from", 20)
        command("system_reset")
        qemu.expect(rb"@@talking@@")
        qemu.expect(rb"bytes from")
        check(b"falling back" not in qemu.log, qemu.tail())
        ip("link", "del", TAP)
        qemu.expect(rb"has gone away", 20)


@case("TAP: scripts run with the interface's name; a failing one stops the start")
def tap_scripts():
    """script= at the start, downscript= at the end."""
    script = os.path.join(SCRATCH.name, "net-script")
    with open(script, "w", encoding="ascii") as file:
        file.write(f"#!/bin/sh\necho \"up or down: $1\" >>{script}.log\n[ $1 != bad0 ]\n")
    os.chmod(script, 0o755)
    netdev = f"script={script},downscript={script}"
    run_job("true", extra=["-nic", f"tap,ifname=good0,{netdev}"])
    with open(f"{script}.log", encoding="ascii") as file:
        check(file.read() == "up or down: good0\n" * 2, "the scripts did not run")
    with Qemu(["-M", "none", "-netdev", f"tap,id=n0,ifname=bad0,{netdev}"]) as qemu:
        check(qemu.wait(20) == 1, qemu.tail())
        check(f"network script {script} failed with status 256".encode() in qemu.log, qemu.tail())


def cpu_seconds(pid):
    """The processor time that a process has used."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@case("TAP: an interface that is deleted does not make the emulator spin")
def tap_vanishes():
    """The guest sees its link go down and goes on."""
    job = GUEST_TAP + """
echo "@@talking@@" >/dev/console
for i in $(seq 60); do
    [ "$(cat /sys/class/net/eth0/carrier)" = 0 ] && break
    ping -c 1 -W 1 192.168.77.1 >/dev/null
    sleep 1
done
echo "carrier $(cat /sys/class/net/eth0/carrier)"
sleep 12
"""
    args = machine_args(kernel_path=kernel("lean"), append="quiet",
                        initrd_path=initrd(job, "gone"))
    with tap():
        with Qemu([*args, "-no-reboot", "-serial", "stdio", "-netdev",
                   f"tap,id=n0,ifname={TAP},script=no,downscript=no", *NIC]) as qemu:
            qemu.expect(rb"@@talking@@")
            ip("link", "set", TAP, "down")
            time.sleep(2)
            ip("link", "del", TAP)
            qemu.expect(rb"has gone away")
            qemu.expect(rb"carrier 0")
            before = cpu_seconds(qemu.process.pid)
            time.sleep(8)
            used = cpu_seconds(qemu.process.pid) - before
            check(used < 2, f"{used:.1f} s of CPU time in 8 s of an idle guest")
            check(qemu.wait() == 0, qemu.tail())


@case("TAP with jumbo frames: 8900 bytes in one piece, both ways")
def tap_jumbo():
    """Without offloads: frames of that size cross the rings as they are."""
    with tap():
        ip("link", "set", TAP, "mtu", "9000")
        netdev = f"tap,id=n0,ifname={TAP},script=no,downscript=no"
        device = "virtio-net-device,netdev=n0,host_mtu=9000,guest_tso4=off,guest_tso6=off"
        text = transfer("192.168.77.1", "cat /sys/class/net/eth0/mtu\n" + GUEST_TAP +
                        "ping -c 2 -s 8900 -W 5 192.168.77.1 | grep '8908 bytes from' || exit 4\n",
                        ["-netdev", netdev, "-device", device], 1, "192.168.77.1")
        check(text.startswith("9000\n"), f"the MTU is not host_mtu:\n{text}")
