# channel.py - a role's channels taken over: what somebody could say who runs code of his own in it
# SPDX-License-Identifier: Apache-2.0
"""
    with Hostile(server, "edge.1") as edge:      the process is halted, its channels are ours (as root, by pidfd_getfd)
        edge.send("queue.0", 80, body)           a message; call() asks and gives the answer's body
    (at the end: the process is killed, master starts a new one; Hostile(server, name, spare=True): it goes on)

Packing is core/proc/pack.h's, frames are core/proc/channel.c's.
"""
import array
import ctypes
import os
import re
import select
import signal
import socket
import struct
import time

from ekiden import wait_for

ANSWER = 1
FRAME = struct.Struct("=IIHBB")
libc = ctypes.CDLL(None, use_errno=True)


def u(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7f | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


def s(value):
    return u(len(value)) + value


def t(value):
    return u(0) if value is None else u(len(value) + 1) + (value if isinstance(value, bytes) else value.encode())


def client(address="192.0.2.9", tls=True, peer=None, proof=b""):
    """The facts of flow/facts.c."""
    return (t(address) + u(4711) + t("192.0.2.1") + u(993) + t("unknown") + u(int(tls)) + t("TLSv1.3") + t("x") + t(None) + t(None)
            + u(256) + s(b"") + s(b"") + t(peer) + s(proof))


class Reader:
    def __init__(self, body):
        self.body, self.at = body, 0

    def u(self):
        value = shift = 0
        while True:
            byte = self.body[self.at]
            self.at += 1
            value |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return value

    def s(self):
        n = self.u()
        self.at += n
        return self.body[self.at - n:self.at]

    def t(self):
        n = self.u()
        if n == 0:
            return None
        self.at += n - 1
        return self.body[self.at - n + 1:self.at]


def peers_of_sockets():
    """{inode: the peer's inode} of all unix sockets, asked of the kernel (sock_diag(7))."""
    found = {}
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4) as sock:
        sock.send(struct.pack("=IHHII", 40, 20, 0x301, 1, 0) + struct.pack("=BBHIIIII", socket.AF_UNIX, 0, 0, 0xffffffff, 0, 4, 0, 0))
        while True:
            data = sock.recv(1 << 20)
            while len(data) >= 16:
                length, kind = struct.unpack_from("=IH", data)
                if kind != 20:
                    return found
                inode = struct.unpack_from("=I", data, 20)[0]
                at = 32
                while at + 4 <= length:
                    size, attr = struct.unpack_from("=HH", data, at)
                    if attr == 2:
                        found[inode] = struct.unpack_from("=I", data, at + 4)[0]
                    at += (size + 3) & ~3 or 4
                data = data[(length + 3) & ~3:]


def sockets_of(pid):
    """{inode: descriptor} of a process."""
    found = {}
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except OSError:                          # it ended meanwhile
        return found
    for fd in names:
        try:
            if (m := re.fullmatch(r"socket:\[(\d+)\]", os.readlink(f"/proc/{pid}/fd/{fd}"))):
                found[int(m.group(1))] = int(fd)
        except OSError:
            continue
    return found


class Hostile:
    def __init__(self, server, name, spare=False):
        self.server, self.name, self.spare = server, name, spare
        self.seen = bytearray()              # all that was ever said to us
        self.last = 0

    def __enter__(self):
        wait_for(lambda: self.name in self.server.workers().values(), 60)    # the last attack may have cost the process
        workers = self.server.workers()
        self.pid = next(pid for pid, name in workers.items() if name == self.name)
        os.kill(self.pid, signal.SIGSTOP)
        owners = {inode: name for pid, name in workers.items() for inode in sockets_of(pid)}
        owners.update({inode: "master" for inode in sockets_of(self.server.process.pid)})
        peers, pidfd = peers_of_sockets(), os.pidfd_open(self.pid)
        self.channels, self.buffers = {}, {}
        for inode, number in sockets_of(self.pid).items():
            other = owners.get(peers.get(inode))
            if other is None or other == self.name:
                continue
            fd = libc.syscall(438, pidfd, number, 0)
            if fd < 0:
                raise OSError(ctypes.get_errno(), "pidfd_getfd")
            sock = socket.socket(fileno=fd)
            sock.setblocking(False)
            self.channels[other], self.buffers[other] = sock, bytearray()
        os.close(pidfd)
        return self

    def __exit__(self, *_):
        for sock in self.channels.values():
            sock.close()
        if self.server.workers().get(self.pid) == self.name:
            os.kill(self.pid, signal.SIGCONT if self.spare else signal.SIGKILL)
            if not self.spare:               # the next one of this name is another process
                wait_for(lambda: self.server.workers().get(self.pid) != self.name, 20)

    # ---- saying ----

    def raw(self, to, data, fds=(), seconds=20):
        """Sends bytes as they are; false when the other end has closed.  Reads meanwhile, as any peer would."""
        sock, end = self.channels[to], time.monotonic() + seconds
        control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        while data:
            try:
                data = data[sock.sendmsg([data], control, socket.MSG_NOSIGNAL):]
                control = []
            except BlockingIOError:
                select.select([sock], [sock], [], 0.5)
                if not self.listen(to) or time.monotonic() > end:
                    return False
            except OSError as error:
                if error.errno != 109 or time.monotonic() > end:     # ETOOMANYREFS: they are on their way
                    return False
                time.sleep(0.01)
        return True

    def send(self, to, kind, body=b"", fds=(), ident=0, flags=0):
        return self.raw(to, FRAME.pack(len(body), ident, kind, flags, len(fds)) + body, fds)

    def ask(self, to, kind, body=b"", fds=()):
        self.last += 1
        return self.last if self.send(to, kind, body, fds, self.last) else None

    # ---- hearing ----

    def listen(self, to):
        """Takes what is there; false at the end."""
        while True:
            try:
                data, ancillary, _, _ = self.channels[to].recvmsg(1 << 16, 1024)
            except BlockingIOError:
                return True
            except OSError:
                return False
            for _, _, fds in ancillary:
                for fd in array.array("i", fds[:len(fds) // 4 * 4]):
                    os.close(fd)
            if not data:
                return False
            self.seen += data
            self.buffers[to] += data

    def frames(self, to):
        buffer, out = self.buffers[to], []
        while len(buffer) >= FRAME.size and len(buffer) >= FRAME.size + (n := FRAME.unpack_from(buffer)[0]):
            _, ident, kind, flags, _ = FRAME.unpack_from(buffer)
            out.append((ident, kind, flags, bytes(buffer[FRAME.size:FRAME.size + n])))
            del buffer[:FRAME.size + n]
        return out

    def answers(self, to, count, seconds=60):
        """{ident: body}, when there are `count` of them; fewer at the end of the channel or of the time."""
        found, end = {}, time.monotonic() + seconds
        while len(found) < count and time.monotonic() < end:
            select.select([self.channels[to]], [], [], 0.5)
            alive = self.listen(to)
            found.update({ident: body for ident, _, flags, body in self.frames(to) if flags & ANSWER})
            if not alive:
                break
        return found

    def call(self, to, kind, body=b"", fds=(), seconds=30):
        """The answer as a Reader, or None."""
        ident = self.ask(to, kind, body, fds)
        body = self.answers(to, 1, seconds).get(ident) if ident else None
        return Reader(body) if body is not None else None

    def closed(self, to, seconds=30):
        """Whether the other end closes the channel."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            select.select([self.channels[to]], [], [], 0.5)
            if not self.listen(to):
                return True
        return False
