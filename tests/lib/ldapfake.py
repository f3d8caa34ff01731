# ldapfake.py - an LDAP server that answers searches as a test says, also wrongly: attributes in ranges, silence, a connection that ends
# SPDX-License-Identifier: Apache-2.0
"""
    def answer(base, value, attributes):              value: what the filter (attribute=value) compares with; None: (attribute=*)
        return [("cn=all,dc=example", [("member;range=0-1", ["a", "b"])])]        or raises Gone, Silent
    with Directory(answer) as directory:
        directory.uri
        directory.asked                               (base, value, attributes) of each search so far

Whoever binds is let in.  Messages are those of RFC 4511; each connection has a thread.
"""
import socket
import threading

BIND, UNBIND, SEARCH = 0x60, 0x42, 0x63
BOUND, ENTRY, DONE = 0x61, 0x64, 0x65
EQUALITY, PRESENT = 0xa3, 0x87
SUCCESS, NO_SUCH_OBJECT = 0, 32


class Gone(Exception):
    """Ends the connection without an answer."""


class Silent(Exception):
    """Gives no answer."""


# ---- BER (X.690), as far as RFC 4511 section 5.1 wants it ----

def tlv(tag, body):
    size = bytes([len(body)]) if len(body) < 128 else b"\x84" + len(body).to_bytes(4, "big")
    return bytes([tag]) + size + body


def text(words):
    return tlv(4, words.encode() if isinstance(words, str) else words)


def split(data):
    """The elements that stand in it: (tag, body) each."""
    found = []
    while data:
        size, at = data[1], 2
        if size & 0x80:
            at += size & 0x7f
            size = int.from_bytes(data[2:at], "big")
        found.append((data[0], data[at:at + size]))
        data = data[at + size:]
    return found


def result(tag, code):
    return tlv(tag, tlv(10, bytes([code])) + text("") + text(""))


def entry(dn, attributes):
    return tlv(ENTRY, text(dn) + tlv(0x30, b"".join(
        tlv(0x30, text(name) + tlv(0x31, b"".join(text(value) for value in values))) for name, values in attributes)))


class Directory:
    def __init__(self, answer):
        self.answer, self.asked = answer, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.uri = f"ldap://127.0.0.1:{self.listener.getsockname()[1]}"
        self.open, self.threads = [], []
        self.start(self.accept)

    def start(self, work, *words):
        thread = threading.Thread(target=work, args=words)
        self.threads.append(thread)
        thread.start()

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.open.append(sock)
            self.start(self.serve, sock)

    def serve(self, sock):
        with sock, sock.makefile("rb") as stream:
            try:
                while message := self.read(stream):
                    (_, number), (tag, body) = split(message)[:2]
                    if tag == UNBIND:
                        return
                    for reply in self.replies(tag, body):
                        sock.sendall(tlv(0x30, tlv(2, number) + reply))
            except (Gone, OSError):
                return

    @staticmethod
    def read(stream):
        """The body of the next message; empty: there is none."""
        head = stream.read(2)
        if len(head) < 2:
            return b""
        size = head[1] if head[1] < 128 else int.from_bytes(stream.read(head[1] & 0x7f), "big")
        return stream.read(size)

    def replies(self, tag, body):
        if tag == BIND:
            return [result(BOUND, SUCCESS)]
        if tag != SEARCH:
            return []
        parts = split(body)
        (kind, condition), names = parts[6], parts[7][1]
        value = split(condition)[1][1].decode() if kind == EQUALITY else None
        question = parts[0][1].decode(), value, [name.decode() for _, name in split(names)]
        self.asked.append(question)
        try:
            found = self.answer(*question)
        except Silent:
            return []
        if found is None:
            return [result(DONE, NO_SUCH_OBJECT)]
        return [entry(dn, attributes) for dn, attributes in found] + [result(DONE, SUCCESS)]

    def stop(self):
        for sock in (self.listener, *self.open):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.listener.close()
        for thread in self.threads:
            thread.join()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
