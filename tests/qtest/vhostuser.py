"""A vhost-user back end for tests, which does as the specification says but where told to lie.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import array
import contextlib
import mmap
import os
import select
import socket
import struct
import threading

GET_FEATURES, SET_FEATURES, SET_OWNER, SET_MEM_TABLE = 1, 2, 3, 5
SET_VRING_NUM, SET_VRING_ADDR, SET_VRING_BASE, GET_VRING_BASE = 8, 9, 10, 11
SET_VRING_KICK, SET_VRING_CALL, SET_VRING_ERR = 12, 13, 14
GET_PROTOCOL_FEATURES, SET_PROTOCOL_FEATURES, GET_QUEUE_NUM, SET_VRING_ENABLE = 15, 16, 17, 18
SET_BACKEND_REQ_FD, GET_CONFIG, SET_CONFIG = 21, 24, 25
GET_INFLIGHT_FD, SET_INFLIGHT_FD, RESET_DEVICE = 31, 32, 34
GET_MAX_MEM_SLOTS, ADD_MEM_REG, SET_STATUS = 36, 37, 39
CONFIG_CHANGE = 2

VERSION, REPLY, NEED_REPLY = 1, 4, 8
F_VERSION_1, F_EVENT_IDX, F_INDIRECT, F_PROTOCOL = 1 << 32, 1 << 29, 1 << 28, 1 << 30
P_MQ, P_REPLY_ACK, P_BACKEND_REQ, P_CONFIG = 1 << 0, 1 << 3, 1 << 5, 1 << 9
P_INFLIGHT, P_RESET, P_SLOTS, P_STATUS = 1 << 12, 1 << 13, 1 << 15, 1 << 16
P_ALL = P_MQ | P_REPLY_ACK | P_BACKEND_REQ | P_CONFIG | P_INFLIGHT | P_RESET | P_SLOTS | P_STATUS

DIE = object()      # as an answer: hang up
SILENCE = object()  # say nothing


class Ring:
    """What the back end was told of one queue."""

    def __init__(self):
        self.num = self.base = 0
        self.addr = None
        self.kick = self.call = self.err = None
        self.enabled = False


class Backend:
    """One back end and its connection. The lock is held while messages and kicks are served."""

    # pylint: disable=too-many-instance-attributes
    def __init__(self, sock, features=F_VERSION_1 | F_EVENT_IDX | F_INDIRECT, protocol=P_ALL,
                 config=b"", queues=64, answers=None, hold=False):
        self.sock = sock
        self.features, self.protocol = features | (F_PROTOCOL if protocol else 0), protocol
        self.config = bytearray(config)
        self.queues = queues
        self.answers = answers or {}    # request: the payload, DIE, SILENCE, or a function
        self.hold = hold                # requests are not returned
        self.rings = {}
        self.regions = []               # (guest, size, user, map)
        self.seen = []                  # (request, payload, how many descriptors)
        self.taken = []                 # (queue, head) of requests
        self.agreed = self.status = None
        self.inflight = self.channel = None
        self.lock = threading.Condition()
        self.stopper, self.stop_fd = os.pipe2(os.O_CLOEXEC)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    # The connection ---------------------------------------------------------

    def run(self):
        with contextlib.suppress(OSError, EOFError):
            while self.turn():
                pass
        with self.lock:
            self.sock.close()
            for region in self.regions:
                region[3].close()
            for ring in self.rings.values():
                for fd in (ring.kick, ring.call, ring.err):
                    if fd is not None:
                        os.close(fd)
            self.regions, self.rings = [], {}
            self.lock.notify_all()

    def turn(self):
        with self.lock:
            kicks = {r.kick: i for i, r in self.rings.items() if r.kick is not None}
        ready = select.select([self.sock, self.stopper, *kicks], [], [])[0]
        with self.lock:
            if self.stopper in ready:
                return False
            for fd in ready:
                if fd in kicks and self.rings[kicks[fd]].kick == fd:
                    with contextlib.suppress(BlockingIOError):
                        os.read(fd, 8)
                    self.serve(kicks[fd])
            go_on = self.sock not in ready or self.message()
            self.lock.notify_all()
            return go_on

    def close(self):
        """Hang up, and be sure that nothing is written any more."""
        with contextlib.suppress(OSError):
            os.write(self.stop_fd, b"x")
        self.thread.join()

    def wait(self, condition):
        """Until condition() holds."""
        with self.lock:
            assert self.lock.wait_for(condition, 300), self.seen

    def gone(self):
        """The other side has hung up."""
        self.thread.join(300)
        return not self.thread.is_alive()

    def requests(self):
        return [request for request, _, _ in self.seen]

    def exactly(self, size):
        data = b""
        while len(data) < size:
            part = self.sock.recv(size - len(data))
            if not part:
                raise EOFError
            data += part
        return data

    def message(self):
        data, ancillary, _, _ = self.sock.recvmsg(12, socket.CMSG_SPACE(64))
        if not data:
            return False
        fds = array.array("i")
        for _, _, part in ancillary:
            fds.frombytes(part)
        data += self.exactly(12 - len(data))
        request, flags, size = struct.unpack("<III", data)
        payload = self.exactly(size)
        assert flags & 3 == VERSION, flags
        self.seen.append((request, payload, len(fds)))
        lie = self.answers.get(request)
        if lie is not None:
            answer = lie(self, payload) if callable(lie) else lie
            for fd in fds:
                os.close(fd)
        else:
            answer = self.obey(request, payload, list(fds))
            if answer is None and flags & NEED_REPLY:
                answer = struct.pack("<Q", 0)
        if answer is DIE:
            return False
        if answer is not None and answer is not SILENCE:
            self.reply(request, answer)
        return True

    def reply(self, request, payload, flags=VERSION | REPLY, size=None, fds=()):
        data = struct.pack("<III", request, flags, len(payload) if size is None else size)
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.sock.sendmsg([data + payload], rights)

    # Requests ---------------------------------------------------------------

    def ring(self, index):
        return self.rings.setdefault(index, Ring())

    def add_region(self, guest, size, user, offset, fd):
        self.regions.append((guest, size, user, mmap.mmap(fd, size, offset=offset)))
        os.close(fd)

    def obey(self, request, payload, fds):
        """The answer that is due, or None."""
        # pylint: disable=too-many-branches,too-many-return-statements
        words = struct.unpack_from(f"<{len(payload) // 4}I", payload)
        if request == GET_FEATURES:
            return struct.pack("<Q", self.features)
        if request == GET_PROTOCOL_FEATURES:
            return struct.pack("<Q", self.protocol)
        if request == SET_PROTOCOL_FEATURES:
            self.agreed = struct.unpack("<Q", payload)[0]
        elif request == GET_QUEUE_NUM:
            return struct.pack("<Q", self.queues)
        elif request == GET_MAX_MEM_SLOTS:
            return struct.pack("<Q", 32)
        elif request == SET_MEM_TABLE:
            for i, fd in enumerate(fds):
                self.add_region(*struct.unpack_from("<4Q", payload, 8 + 32 * i), fd)
        elif request == ADD_MEM_REG:
            self.add_region(*struct.unpack_from("<4Q", payload, 8), fds[0])
        elif request == SET_VRING_NUM:
            self.ring(words[0]).num = words[1]
        elif request == SET_VRING_BASE:
            self.ring(words[0]).base = words[1]
        elif request == SET_VRING_ADDR:
            self.ring(words[0]).addr = struct.unpack_from("<3Q", payload, 8)
        elif request in (SET_VRING_KICK, SET_VRING_CALL, SET_VRING_ERR):
            ring, name = self.ring(words[0] & 0xff), ("kick", "call", "err")[request - 12]
            if getattr(ring, name) is not None:
                os.close(getattr(ring, name))
            setattr(ring, name, fds[0])
        elif request == SET_VRING_ENABLE:
            self.ring(words[0]).enabled = words[1]
        elif request == GET_VRING_BASE:
            ring = self.ring(words[0])
            if ring.kick is not None:
                os.close(ring.kick)
                ring.kick = None
            return struct.pack("<II", words[0], ring.base)
        elif request == SET_BACKEND_REQ_FD:
            self.channel = socket.socket(fileno=fds[0])
        elif request == GET_CONFIG:
            offset, size = words[:2]
            return payload[:12] + bytes(self.config[offset:offset + size])
        elif request == SET_CONFIG:
            offset, size = words[:2]
            self.config[offset:offset + size] = payload[12:]
        elif request == SET_STATUS:
            self.status = words[0]
        elif request == GET_INFLIGHT_FD:
            self.inflight = os.memfd_create("inflight")
            os.truncate(self.inflight, 4096)
            self.reply(request, struct.pack("<QQHHI", 4096, 0, 0, 0, 0), fds=[self.inflight])
        elif request == SET_INFLIGHT_FD:
            self.inflight = fds[0]
        return None

    # Rings ------------------------------------------------------------------

    def at(self, user, size):
        """(map, offset) of a ring's address."""
        for _, length, start, area in self.regions:
            if start <= user and user + size <= start + length:
                return area, user - start
        raise AssertionError(f"no memory at {user:#x}")

    def serve(self, index):
        """Take what is available, and return it, with a length of 0."""
        ring = self.rings[index]
        if not ring.enabled or not ring.addr:
            return
        _, used, avail = ring.addr
        amap, aoff = self.at(avail, 4 + 2 * ring.num)
        umap, uoff = self.at(used, 4 + 8 * ring.num)
        count = (struct.unpack_from("<H", amap, aoff + 2)[0] - ring.base) & 0xffff
        for _ in range(count):
            head = struct.unpack_from("<H", amap, aoff + 4 + 2 * (ring.base % ring.num))[0]
            self.taken.append((index, head))
            ring.base = (ring.base + 1) & 0xffff
            if not self.hold:
                position = struct.unpack_from("<H", umap, uoff + 2)[0]
                struct.pack_into("<II", umap, uoff + 4 + 8 * (position % ring.num), head, 0)
                struct.pack_into("<H", umap, uoff + 2, (position + 1) & 0xffff)
        if count and not self.hold:
            os.write(ring.call, struct.pack("<Q", 1))

    def ask(self, request, payload=b"", flags=VERSION | NEED_REPLY):
        """Send a request over the channel; the answer."""
        self.channel.sendall(struct.pack("<III", request, flags, len(payload)) + payload)
        return struct.unpack("<IIIQ", self.channel.recv(20, socket.MSG_WAITALL))


def connect(path, **how):
    """A back end that connects to a listening front end."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.connect(path)
    return Backend(sock, **how)


def listen(path, **how):
    """The same, that waits for the front end: a function that gives the next connection's."""
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(path)
    server.listen(1)
    return server, lambda: Backend(server.accept()[0], **how)
