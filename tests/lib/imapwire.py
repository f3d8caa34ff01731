# imapwire.py - speaks IMAP with a program on its stdin and stdout, or with a server, and reads answers into values
# SPDX-License-Identifier: Apache-2.0
"""
    with Imap(["imap-stdio", "/path"]) as c:
        status, code, untagged = c.run("SELECT INBOX")
        c.run("LOGIN", Literal(b"fred"), ...)

An untagged answer becomes a list of values: atoms are str, strings are bytes, lists are lists, NIL is None.
A `[...]` of a text is a list whose first element is "[".
"""
import datetime
import re
import select
import socket
import subprocess
import time

TOKEN = re.compile(rb'[^\s()\[\]"{]+(?:\[[^\]]*\](?:<\d+>)?)?')


class Wrong(Exception):
    """The server said what is no IMAP, or nothing."""


class Literal:
    def __init__(self, value, sync=True):
        self.value, self.sync = value, sync

    def head(self):
        return b"{%d%s}\r\n" % (len(self.value), b"" if self.sync else b"+")


def parse_values(data, at, end=None):
    """The values in `data` from `at` on, up to the closing byte `end`; and where that was."""
    out = []
    while at < len(data):
        c = data[at:at + 1]
        if end and c == end:
            return out, at + 1
        if c in b" \r\n":
            at += 1
        elif c == b"(":
            inner, at = parse_values(data, at + 1, b")")
            out.append(inner)
        elif c == b'"':
            found = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.S).match(data, at)
            if not found:
                raise Wrong(f"a string that does not end: {data[at:at + 60]!r}")
            out.append(re.sub(rb"\\(.)", rb"\1", found.group(1)))
            at = found.end()
        elif c == b"{":
            found = re.compile(rb"\{(\d+)\}\r\n").match(data, at)
            if not found:
                raise Wrong(f"a literal that is none: {data[at:at + 60]!r}")
            size = int(found.group(1))
            out.append(data[found.end():found.end() + size])
            at = found.end() + size
        else:
            found = TOKEN.match(data, at)
            if not found:
                out.append(c.decode("latin-1"))
                at += 1
                continue
            word = found.group(0).decode("latin-1")
            out.append(None if word.upper() == "NIL" else word)
            at = found.end()
    if end:
        raise Wrong(f"{end!r} is missing: {data[:100]!r}")
    return out, at


class Imap:
    def __init__(self, command, **more):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **more)
        self.buffer, self.count = b"", 0
        self.greeting = self.response()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _fill(self, limit):
        ready, _, _ = select.select([self.process.stdout], [], [], max(0, limit - time.monotonic()))
        more = self.process.stdout.read1(65536) if ready else None
        if not more:
            raise Wrong(f"{'the server is gone' if ready else 'no answer'}; so far: {self.buffer[:200]!r}")
        self.buffer += more

    def response(self, seconds=20):
        """One whole answer: a line with its literals, as bytes without the last CRLF."""
        limit, at = time.monotonic() + seconds, 0
        while True:
            end = self.buffer.find(b"\r\n", at)
            if end < 0:
                self._fill(limit)
                continue
            found = re.search(rb"\{(\d+)\}$", self.buffer[at:end])
            if not found or self.buffer[:1] == b"+":
                out, self.buffer = self.buffer[:end], self.buffer[end + 2:]
                return out
            at = end + 2 + int(found.group(1))
            while len(self.buffer) < at:
                self._fill(limit)

    def send(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def run(self, *parts):
        """Runs one command; parts are str, bytes or Literal.  Gives (status, text, untagged, asked)."""
        self.count += 1
        tag = b"t%d" % self.count
        untagged, asked = [], 0
        self.send(tag + b" ")
        for i, part in enumerate(parts):
            if isinstance(part, Literal):
                self.send(part.head())
                if part.sync:
                    answer = self.response()
                    while answer[:2] == b"* ":
                        untagged.append(answer)
                        answer = self.response()
                    if answer[:1] != b"+":
                        return self._tagged(tag, answer, untagged, asked)
                    asked += 1
                self.send(part.value)
            else:
                self.send(part if isinstance(part, bytes) else part.encode())
        self.send(b"\r\n")
        return self.finish(tag, untagged, asked)

    def finish(self, tag, untagged, asked):
        while True:
            answer = self.response()
            if answer[:1] == b"+":
                asked += 1
            elif answer[:2] == b"* ":
                untagged.append(answer)
                if answer.startswith(b"* BAD"):       # an answer to what had no tag
                    return "BAD", b"", untagged[:-1], asked
            else:
                return self._tagged(tag, answer, untagged, asked)

    @staticmethod
    def _tagged(tag, answer, untagged, asked):
        words = answer.split(b" ", 2)
        if words[0] != tag:
            raise Wrong(f"an answer to something else: {answer[:100]!r}")
        return words[1].decode(), words[2] if len(words) > 2 else b"", untagged, asked


class Connected(Imap):
    """The same over a connection to a port of this machine."""

    def __init__(self, port):                    # pylint: disable=super-init-not-called
        self.sock = socket.create_connection(("127.0.0.1", port), 30)
        self.process = self
        self.stdin, self.stdout = self.sock.makefile("wb"), self.sock.makefile("rb")
        self.buffer, self.count = b"", 0
        self.greeting = self.response()

    def __exit__(self, *_):
        for part in (self.stdin, self.stdout, self.sock):
            part.close()


# ---- normal forms ---------------------------------------------------------------------------------

def upper(value):
    return value.upper() if isinstance(value, str) else value


# Untagged answers that are left out of the comparison, and why.
IGNORED = (
    ("OK", ("HIGHESTMODSEQ",)),      # Dovecot tells it from the first use of CONDSTORE on; RFC 7162 3.1.2.1: at every SELECT
)


class Normal:
    """Answers in a form in which two servers that say the same are equal."""

    def code(self, text):
        """The response code at the beginning of a text: a tuple, or None."""
        if text[:1] != b"[":
            return None
        inner = text[1:text.index(b"]")] if not text.startswith(b"[PERMANENTFLAGS") else text[1:text.rindex(b")]") + 1]
        words = inner.split(b" ")
        name = words[0].decode().upper()
        if name in ("UIDVALIDITY", "HIGHESTMODSEQ"):
            return (name,)
        if name in ("APPENDUID", "COPYUID"):
            return (name, *words[2:])
        if name == "PERMANENTFLAGS":
            return (name, tuple(sorted(inner.split(b"(", 1)[1].rstrip(b")").split())))
        if name == "CAPABILITY":
            return (name,)
        return (name, *words[1:])

    @staticmethod
    def is_now(value):
        try:
            when = datetime.datetime.strptime(bytes(value).decode().strip(), "%d-%b-%Y %H:%M:%S %z")
        except (ValueError, TypeError):
            return False
        return abs((datetime.datetime.now(datetime.timezone.utc) - when).total_seconds()) < 60

    def fetch(self, items):
        out = {}
        for name, value in zip(items[::2], items[1::2]):
            name = upper(name)
            if name.startswith("BODY["):
                name = name.replace('"', "")          # a field's name may be quoted as it was
            if name == "FLAGS":
                value = sorted(value)
            elif name == "MODSEQ":
                value = "#"
            elif name == "INTERNALDATE" and self.is_now(value):
                value = "now"                             # the two servers' seconds tick apart
            out.setdefault(name, []).append(value)
        return out

    def untagged(self, answer):
        body = answer[2:]
        word = body.split(b" ", 1)[0].upper()
        if word in (b"OK", b"NO", b"BYE", b"BAD", b"PREAUTH"):
            text = body.split(b" ", 1)[1] if b" " in body else b""
            return (word.decode(), self.code(text))
        values, _ = parse_values(body, 0)
        if len(values) > 1 and upper(values[1]) == "FETCH":
            return ("FETCH", values[0], self.fetch(values[2]))
        if word in (b"LIST", b"LSUB"):
            # Dovecot says \\Marked or \\UnMarked when its index is a second older than the folder, or not: a hint (RFC 3501 7.2.2)
            flags = sorted(v for v in values[1] if v.lower() not in ("\\marked", "\\unmarked"))
            return (word.decode(), flags, values[2], self.name(values[3]), values[4:])
        if word == b"STATUS":
            counts = dict(zip(values[2][::2], values[2][1::2]))
            counts = {k: "#" if k in ("UIDVALIDITY", "HIGHESTMODSEQ") else v for k, v in counts.items()}
            return ("STATUS", self.name(values[1]), counts)
        if word == b"FLAGS":
            return ("FLAGS", sorted(values[1]))
        if word == b"ESEARCH":
            return ("ESEARCH", "UID" in values, sorted(self.pairs([v for v in values[2:] if v != "UID"])))
        if word == b"SEARCH" and values[-1:] and isinstance(values[-1], list):
            return ("SEARCH", values[1:-1], "MODSEQ")
        if word in (b"CAPABILITY", b"ID"):
            return (word.decode(),)
        return tuple(upper(v) if isinstance(v, str) else v for v in values)

    @staticmethod
    def pairs(values):
        return [(k, "#" if k == "MODSEQ" else v) for k, v in zip(values[::2], values[1::2])]

    @staticmethod
    def name(value):
        return value.decode("latin-1") if isinstance(value, bytes) else value

    def whole(self, result):
        """(status, code, asked, untagged in a stable order)."""
        status, text, untagged, asked = result
        said = [value for value in map(self.untagged, untagged) if value not in IGNORED]
        said.sort(key=lambda v: (str(v[0]) if not str(v[0]).isdigit() else "",       # kinds in any order,
                                 repr(v) if v[0] in ("LIST", "LSUB", "STATUS", "OK") else ""))   # sequences kept
        return status, self.code(text), asked, said
