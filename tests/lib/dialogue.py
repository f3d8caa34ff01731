#!/usr/bin/python3
# dialogue.py - plays tests/proto/**/*.t, dialogues that read like an RFC's examples, against a live server
# SPDX-License-Identifier: Apache-2.0
"""dialogue.py [--layout=apart|merged] FILE.t...   (all of one configuration; the server is started once for them)

    # RCPT to a stranger is refused before the body travels
    config: basic                     tests/proto/configs/basic.conf; `default` when not said
    listener: smtp                    smtp submission submissions imap imaps: where sessions connect
    users: 2                          <user> <user2> ... with <password>: made for this file alone

    S: 220 <*> ESMTP<*>               <*> is any text, also none
    C: EHLO client.example.test
    S...                              lines are skipped until the next S: matches
    S: 250 <*>
    C: MAIL FROM:<a@example.test>     (sent with CRLF; an unknown <name> is sent as it stands)
    S: 250 2.1.0 <*>
    C: RCPT TO:<b@elsewhere.example>
    S: 554 5.7.1 <*>Relay access denied

What stands in the lines:
    S: * OK [UIDVALIDITY <v>]         <name>: text is captured; the same name later must be the same text,
    C: a UID FETCH <v>                and in a C: line it is put in
    S(re): \\d+ (OK|NO)                a regular expression for the whole line
    S(any): * FLAGS <*>               neighbouring S(any) lines come in any order
    C(raw): abc\\r\\n.\\r\\n             no CRLF is added; \\r \\n \\t \\0 \\\\ \\xHH are understood
    C(file): mail/plain.eml           a file below tests/proto, its lines ended by CRLF
    <base64 \\0user\\0pass>  <repeat 1000 x>  <size mail/plain.eml>  <sp>     in C: lines
    STARTTLS [NAME]                   TLS handshake now, with NAME as SNI
    WAIT 0.5     QUIET 0.3            sleep; nothing may arrive for that long
    CLOSED       CLOSE                the server has closed; we close
    C2: S2: S2... STARTTLS2 CLOSED2   a second session (C1: is C:), opened where it is first named;
    listener2: imaps                  its own listener
An empty line and a `# comment` mean nothing.  A session that is still open at the end is closed.
"""
import base64
import os
import re
import sys
import time

from tap import Tap
from wire import Closed, Wire

PROTO = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "proto")
LINE = re.compile(r"(?P<who>C|S|STARTTLS|CLOSED|CLOSE|QUIET|WAIT)(?P<session>\d?)"
                  r"(?:\((?P<how>raw|file|re|any)\))?(?P<dots>\.\.\.)?(?::(?: (?P<text>.*))?| (?P<arg>\S.*))?$")
ESCAPES = {"r": "\r", "n": "\n", "t": "\t", "0": "\0", "\\": "\\"}
TLS_FROM_START = ("imaps", "submissions", "pop3s")


class Wrong(Exception):
    """The dialogue did not go as written."""


def unescape(text):
    return re.sub(r"\\(x[0-9a-fA-F]{2}|[rnt0\\])",
                  lambda m: chr(int(m[1][1:], 16)) if m[1][0] == "x" else ESCAPES[m[1]], text)


def file_bytes(name):
    with open(os.path.join(PROTO, name), "rb") as f:
        return f.read().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


class Script:
    """One .t file: headers and steps."""

    def __init__(self, path):
        self.path, self.headers, self.steps, self.title = path, {}, [], ""
        with open(path, encoding="utf-8") as f:
            lines = f.read().split("\n")
        for number, line in enumerate(lines, 1):
            line = line.rstrip("\r") if line.startswith("C(raw)") else line.rstrip()
            if line.startswith("#"):
                self.title = self.title or line.lstrip("# ")
                continue
            found = re.match(r"([a-z]+\d?): *(.*)$", line)
            if found and not self.steps:
                self.headers[found[1]] = found[2]
                continue
            if not line:
                continue
            found = LINE.match(line)
            if not found:
                raise Wrong(f"{path}:{number}: not a line of a dialogue: {line!r}")
            self.steps.append((number, line, found))
        self.config = self.headers.get("config", "default")
        self.users = int(self.headers.get("users", "1"))

    def listener(self, session):
        return self.headers.get(f"listener{session}") or self.headers.get("listener", "smtp")


class Player:
    def __init__(self, script, server, users):
        self.script, self.server = script, server
        self.sessions, self.values = {}, {"password": server.password, "domain": server.domain}
        for i, user in enumerate(users):
            self.values["user" if i == 0 else f"user{i + 1}"] = user
        self.skip = {}                        # session: S... is in force
        self.any = {}                         # session: S(any) lines that still have to come

    def session(self, number):
        number = number or "1"
        if number not in self.sessions:
            listener = self.script.listener(number)
            tls = self.server.tls_client() if listener in TLS_FROM_START else None
            self.sessions[number] = Wire(self.server.port(listener), tls=tls, name=self.server.hostname,
                                         timeout=float(self.script.headers.get("timeout", "20")))
        return self.sessions[number]

    def put_in(self, text):
        def one(found):
            word, _, rest = found[1].partition(" ")
            if word == "base64":
                return base64.b64encode(unescape(self.put_in_names(rest)).encode("utf-8")).decode()
            if word == "repeat":
                count, _, what = rest.partition(" ")
                return unescape(what) * int(count)
            if word == "size":
                return str(len(file_bytes(rest)))
            if word == "sp":
                return " "
            return str(self.values.get(found[1], found[0]))
        return re.sub(r"<((?:base64|repeat|size) [^>]*|[a-z_][a-z0-9_]*)>", one, text)

    def put_in_names(self, text):
        return re.sub(r"\$([a-z_][a-z0-9_]*)", lambda m: str(self.values.get(m[1], m[0])), text)

    def pattern(self, text, how):
        """The line as a regular expression: <*>, captures, and what was captured before."""
        if how == "re":
            return re.compile(text, re.S)
        out, seen = "", set()
        for part in re.split(r"(<\*>|<[a-z_][a-z0-9_]*>)", text):
            name = part[1:-1]
            if part == "<*>":
                out += ".*"
            elif part.startswith("<") and part.endswith(">") and len(part) > 2:
                if name in self.values:
                    out += re.escape(str(self.values[name]))
                elif name in seen:
                    out += f"(?P={name})"
                else:
                    out += f"(?P<{name}>.*?)"
                    seen.add(name)
            else:
                out += re.escape(part)
        return re.compile(out, re.S)

    def matches(self, line, text, how):
        found = self.pattern(text, how).fullmatch(line)
        if found:
            self.values.update(found.groupdict())
        return bool(found)

    def expect(self, number, text, how):
        wire = self.session(number)
        number = number or "1"
        if how == "any":
            self.any.setdefault(number, []).append(text)
            return
        self.settle(number)
        skipping = self.skip.pop(number, False)
        for _ in range(100000):
            line = wire.line()
            if self.matches(line, text, how):
                return
            if not skipping:
                raise Wrong(f"got  S: {line}")
        raise Wrong("100,000 lines and none of them")

    def settle(self, number):
        """The S(any) lines before this step: all of them, in any order."""
        number = number or "1"
        waiting = self.any.pop(number, [])
        while waiting:
            line = self.session(number).line()
            hit = next((text for text in waiting if self.matches(line, text, None)), None)
            if hit is None:
                raise Wrong(f"got  S: {line}\nstill expected, in any order: {waiting}")
            waiting.remove(hit)

    def step(self, found):
        who, number = found["who"], found["session"]
        text = found["text"] if found["text"] is not None else found["arg"] or ""
        if who == "S":
            if found["dots"]:
                self.settle(number)
                self.skip[number or "1"] = True
                self.session(number)
            else:
                self.expect(number, text, found["how"])
            return
        if who == "WAIT":
            time.sleep(float(text or "1"))
            return
        wire = self.session(number)
        self.settle(number)
        if who == "C" and found["how"] == "raw":
            wire.send(unescape(self.put_in(text)).encode("latin-1"))
        elif who == "C" and found["how"] == "file":
            wire.send(file_bytes(text))
        elif who == "C":
            wire.line_out(self.put_in(text))
        elif who == "STARTTLS":
            wire.wrap(self.server.tls_client(), text or None)
        elif who == "QUIET" and not wire.quiet(float(text or "0.3")):
            raise Wrong(f"got {wire.buffer!r}")
        elif who == "CLOSED" and not wire.closed():
            raise Wrong(f"still open, or it said {wire.buffer!r}")
        elif who == "CLOSE":
            wire.close()
            self.sessions.pop(number or "1")

    def play(self):
        number, line = 0, ""
        try:
            for number, line, found in self.script.steps:
                self.step(found)
            for session in list(self.any):
                self.settle(session)
        except (Wrong, Closed, OSError, AssertionError) as error:
            raise Wrong(f"{os.path.relpath(self.script.path, PROTO)}:{number}\nwant {line}\n{error}\n"
                        + self.transcript()) from error
        finally:
            for wire in self.sessions.values():
                wire.close()

    def transcript(self):
        out = []
        for name, wire in sorted(self.sessions.items()):
            out.append(f"-- session {name}, the last lines:")
            out += ["   " + entry[:400].decode("utf-8", "replace").rstrip() for entry in wire.log[-12:]]
        return "\n".join(out)


def main():
    from ekiden import Server                # late: `--check` needs no build

    t = Tap()
    scripts, layout = [], "apart"
    for path in sys.argv[1:]:
        if path.startswith("--layout="):
            layout = path.partition("=")[2]
            continue
        try:
            scripts.append(Script(path))
        except Wrong as error:
            t.ok(False, os.path.relpath(path, PROTO), error)
    if not scripts:
        t.done()
    users = [[f"t{i}-{k}" for k in range(script.users)] for i, script in enumerate(scripts)]
    with open(f"{PROTO}/configs/{scripts[0].config}.conf", encoding="utf-8") as f:
        config = f.read()
    with Server(config, users=[name for some in users for name in some], layout=layout) as server:
        for script, names in zip(scripts, users):
            start = time.monotonic()
            name = os.path.relpath(script.path, PROTO)
            addresses = [f"{user}@{server.domain}" for user in names]
            try:
                Player(script, server, addresses).play()
                t.ok(True, f"{name}: {script.title} ({time.monotonic() - start:.2f} s)")
            except Wrong as error:
                t.ok(False, f"{name}: {script.title}", error)
            if not server.alive():
                t.ok(False, f"the server lives on after {name}", server.tail())
                break
        server.stop()
        for problem in server.problems():
            t.ok(False, "the server stopped cleanly", problem)
    t.done()


if __name__ == "__main__":
    main()
