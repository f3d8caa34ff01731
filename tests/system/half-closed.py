#!/usr/bin/python3
# half-closed.py - clients that send no more but still read get every answer; those that are gone are let go of at once
# SPDX-License-Identifier: Apache-2.0
# limit: 300
import socket
import ssl
import struct

from ekiden import MAIL, Server, wait_for
from tap import Tap
from wire import Closed, Imap, Smtp

t = Tap()
CONFIG = MAIL + """
test_evented "anybody" { home = "${mail}/%d/%n" }
domain "slow.test" {
  auth      = anybody
  mailboxes = mail
}
listener "smtp" {
  address  = "127.0.0.1:${port_smtp}"
  protocol = smtp
}
listener "smtps" {
  address  = "127.0.0.1:${port_smtps}"
  protocol = smtp
  tls      = implicit
}
listener "imap" {
  address  = "127.0.0.1:${port_imap}"
  protocol = imap
  plaintext_auth = yes
}
"""
BODY = b"Subject: half\r\n\r\nclosed\r\n"
REST = (b"MAIL FROM:<a@example.org>\r\nRCPT TO:<slow-300@slow.test>\r\nRCPT TO:<anna@example.test>\r\nRCPT TO:<nobody@example.test>\r\n"
        b"BDAT %d LAST\r\n%sNOOP\r\nQUIT\r\n" % (len(BODY), BODY))
CODES = [250, 250, 250, 550, 250, 250, 221]


class Tls:
    """TLS whose sending half can be closed, as Python's own sockets cannot."""

    def __init__(self, sock, context, name):
        self.sock, self.incoming, self.outgoing = sock, ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=name)
        self._until(self.tls.do_handshake)

    def _until(self, step):
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                self._flush()
                data = self.sock.recv(65536)
                self.incoming.write(data) if data else self.incoming.write_eof()
            finally:
                self._flush()

    def _flush(self):
        if self.outgoing.pending:
            self.sock.sendall(self.outgoing.read())

    def sendall(self, data):
        self.tls.write(data)
        self._flush()

    def recv(self, n):
        return self._until(lambda: self.tls.read(n))

    def settimeout(self, seconds):
        self.sock.settimeout(seconds)

    def close_half(self):
        try:
            self.tls.unwrap()
        except ssl.SSLError:
            pass
        self._flush()
        self.sock.shutdown(socket.SHUT_WR)

    def close(self):
        self.sock.close()


def connect(server, tls):
    c = Smtp(server.port("smtps" if tls else "smtp"), greet=False, timeout=60)
    if tls:
        c.sock = Tls(c.sock, server.tls_client(check_hostname=False), server.hostname)
    c.reply()
    c.ehlo()
    return c


def answered(server, tls):
    """All commands, then the half is closed: each has its answer, the recipient that is slow to check too."""
    how = "TLS" if tls else "plain"
    before = len(server.messages("anna"))
    with connect(server, tls) as c:
        c.send(REST)
        c.sock.close_half() if tls else c.sock.shutdown(socket.SHUT_WR)
        t.equal([c.reply().code for _ in CODES], CODES, f"{how}: SMTP answers all that was sent before the half was closed")
        t.ok(c.closed(60), f"{how}: and closes then")
    t.ok(wait_for(lambda: len(server.messages("anna")) == before + 1, 60), f"{how}: the message arrives")


def at_once(server):
    """As printf 'EHLO ...' | nc -N does it: nothing is waited for.  (More than EHLO may not stand in one piece with it.)"""
    with Smtp(server.port("smtp"), greet=False, timeout=60) as c:
        c.send(b"EHLO client.example.test\r\n")
        c.sock.shutdown(socket.SHUT_WR)
        t.equal([c.reply().code for _ in range(2)], [220, 250], "greeting and answer come, however early the half was closed")
        t.ok(c.closed(60), "and closed then")


def cut(server):
    """A half that is closed within a command, and one without QUIT."""
    with connect(server, False) as c:
        c.send(b"NOOP\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<ann")
        c.sock.shutdown(socket.SHUT_WR)
        t.equal([c.reply().code for _ in range(2)], [250, 250], "what is complete is answered")
        t.ok(c.closed(60), "what is not ends the session")
    with connect(server, False) as c:
        c.send(b"MAIL FROM:<a@example.org>\r\nRCPT TO:<slow-300@slow.test>\r\nRCPT TO:<anna@example.test>\r\n")
        c.sock.shutdown(socket.SHUT_WR)
        t.equal([c.reply().code for _ in range(3)], [250, 250, 250], "recipients that are still being checked are answered, though nothing follows")
        t.ok(c.closed(60), "and then it ends")
    with connect(server, False) as c:
        c.send(b"MAIL FROM:<a@example.org>\r\nRCPT TO:<anna@example.test>\r\nBDAT 100\r\n" + b"x" * 50)
        c.sock.shutdown(socket.SHUT_WR)
        t.equal([c.reply().code for _ in range(2)], [250, 250], "half a message")
        t.ok(c.closed(60), "what is not ends the session")


def long_answer(server):
    """IMAP: an answer that no buffer holds, read only after the half was closed."""
    with Imap(server.port("imap"), timeout=60) as c:
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        c.login(server.address("ben"), server.password)
        text = b"Subject: long\r\n\r\n" + b"x" * 78 + b"\r\n"
        text += (b"y" * 78 + b"\r\n") * 20000
        c.send(b"a APPEND INBOX {%d+}\r\n%s\r\n" % (len(text), text))
        while not c.line().startswith("a OK"):
            pass
        c.send(b"b SELECT INBOX\r\n" + b"".join(b"f%d FETCH 1:* BODY.PEEK[TEXT]\r\n" % i for i in range(8)))
        c.sock.shutdown(socket.SHUT_WR)
        got = c.buffer
        while True:
            try:
                c.buffer = b""
                c._fill()
                got += c.buffer
            except Closed:
                break
        t.ok(got.count(b"y" * 78 + b"\r\n") == 160000 and all(b"f%d OK" % i in got for i in range(8)),
             "IMAP: long answers come whole, though no LOGOUT followed", (len(got), got[-200:]))


def across_login(server):
    """IMAP: the half is closed before edge and store have handed the client over."""
    with Imap(server.port("imap"), timeout=60) as c:
        user = server.address("anna")
        c.send(f"a LOGIN {user} {server.password}\r\nb STATUS INBOX (MESSAGES)\r\nc LOGOUT\r\n")
        c.sock.shutdown(socket.SHUT_WR)
        seen = []
        while not seen or not seen[-1].startswith("c "):
            seen.append(c.line())
        t.equal([line[:4] for line in seen if line[0] != "*"], ["a OK", "b OK", "c OK"], "IMAP: login, and what was sent behind it")
        t.ok(c.closed(60), "IMAP: then the end")


def gone(server, tls):
    """The half is closed, then all of it, while a recipient is being checked: the session ends before the answer comes."""
    how = "TLS" if tls else "plain"
    done = server.log().count("lost connection after RCPT")
    crowd = [connect(server, tls) for _ in range(5)]
    with connect(server, False) as other:
        other.cmd("MAIL FROM:<a@example.org>")
        other.send(b"RCPT TO:<slow-3000@slow.test>\r\n")
        for c in crowd:
            c.send(b"MAIL FROM:<a@example.org>\r\nRCPT TO:<slow-12000@slow.test>\r\n")
            c.reply()
            c.sock.close_half() if tls else c.sock.shutdown(socket.SHUT_WR)
        connect(server, False).close()               # so that the server has seen the halves go
        for c in crowd:
            sock = c.sock.sock if tls else c.sock
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            c.close()
        t.equal(other.reply().code, 250, f"{how}: who stayed has his answer")
        t.ok(wait_for(lambda: server.log().count("lost connection after RCPT") >= done + 5, 5),
             f"{how}: sessions of clients that are gone end while their recipients are still being checked", server.tail(8))


for layout in ("apart", "merged"):
    with Server(CONFIG, users=["anna", "ben"], layout=layout) as server:
        for tls in (False, True):
            answered(server, tls)
            gone(server, tls)
        at_once(server)
        cut(server)
        long_answer(server)
        across_login(server)
        t.ok(not server.problems(), f"{layout}: no report", server.problems())
t.done()
