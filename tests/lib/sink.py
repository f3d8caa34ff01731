# sink.py - an SMTP server for tests that answers as its script says and keeps what it got
# SPDX-License-Identifier: Apache-2.0
"""
    with Sink() as sink:                              accepts everything; sink.port, sink.messages
    Sink({"rcpt": lambda ctx, arg: "550 5.1.1 no" if "bad" in arg else None})
    Sink({"connect": "421 4.3.2 busy"})
    Sink({"message": [("delay", 3, "250 late"), "452 4.3.1 full", None]})    one after the other, the last stays
    Sink({"data": ("close",)})                        closes instead of answering; ("hang",) never answers
    Sink(tls=context)                                 offers STARTTLS; implicit=True: TLS from the start

Stages: connect helo starttls mail rcpt data message quit other.  None: the usual answer.
"""
import collections
import select
import socket
import ssl
import threading
import time

Message = collections.namedtuple("Message", "helo sender rcpts data tls mail_line rcpt_lines connection")

USUAL = {"connect": "220 sink.example.test ESMTP", "mail": "250 2.1.0 Ok", "rcpt": "250 2.1.5 Ok",
         "data": "354 go", "message": "250 2.0.0 taken", "quit": "221 2.0.0 bye", "other": "250 2.0.0 Ok",
         "starttls": "220 2.0.0 go"}


class Gone(Exception):
    pass


class Sink:
    def __init__(self, script=None, tls=None, implicit=False, features=("PIPELINING", "8BITMIME", "SIZE 50000000"),
                 host="127.0.0.1", port=0):
        self.script, self.tls, self.implicit, self.features = dict(script or {}), tls, implicit, features
        self.messages, self.commands, self.connections = [], [], 0
        self.bare = []                       # lines that held a CR or LF alone
        self.changed = threading.Condition()
        self.listener = socket.create_server((host, port), backlog=512, reuse_port=False)
        self.host, self.port = host, self.listener.getsockname()[1]
        self.stopping = False
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.stopping = True
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()

    def wait(self, count, seconds=30):
        """True as soon as that many messages are there."""
        with self.changed:
            return self.changed.wait_for(lambda: len(self.messages) >= count, seconds)

    def _accept(self):
        while not self.stopping:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            with self.changed:
                self.connections += 1
                number = self.connections
            threading.Thread(target=self._serve, args=(sock, number), daemon=True).start()

    def _serve(self, sock, number):
        try:
            if self.implicit:
                sock = self.tls.wrap_socket(sock, server_side=True)
            _Dialogue(self, sock, number).run()
        except (Gone, OSError, ssl.SSLError):
            pass
        finally:
            sock.close()

    def answer_for(self, stage, context, argument):
        action = self.script.get(stage)
        if isinstance(action, list):
            with self.changed:
                action = action.pop(0) if len(action) > 1 else action[0]
        return action(context, argument) if callable(action) else action


class _Dialogue:
    def __init__(self, sink, sock, number):
        self.sink, self.sock, self.number, self.buffer = sink, sock, number, b""
        self.helo, self.secure = "", sink.implicit
        self.reset()

    def reset(self):
        self.sender, self.rcpts, self.mail_line, self.rcpt_lines = None, [], "", []

    def act(self, stage, argument="", usual=None):
        """Answers one stage as the script says; the code that was sent."""
        action = self.sink.answer_for(stage, self, argument) or usual or USUAL[stage]
        if isinstance(action, tuple):
            if action[0] == "close":
                raise Gone
            if action[0] == "hang":
                self.hang()
            time.sleep(action[1])
            action = action[2]
        self.sock.sendall(action.replace("\n", "\r\n").encode() + b"\r\n")
        if action.startswith("421"):
            raise Gone
        return int(action[:3])

    def hang(self):
        """Says nothing until the client has gone."""
        while not self.sink.stopping:
            if select.select([self.sock], [], [], 0.2)[0] and not self.sock.recv(65536):
                break
        raise Gone

    def line(self):
        while b"\n" not in self.buffer:
            data = self.sock.recv(65536)
            if not data:
                raise Gone
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        if not line.endswith(b"\r") or b"\r" in line[:-1]:
            self.sink.bare.append(line)
        return line.rstrip(b"\r")

    def body(self):
        lines = []
        while (line := self.line()) != b".":
            lines.append(line[1:] if line.startswith(b".") else line)
        return b"".join(line + b"\r\n" for line in lines)

    def run(self):
        self.act("connect")
        while True:
            line = self.line().decode("utf-8", "surrogateescape")
            self.sink.commands.append((self.number, line))
            verb, _, argument = line.partition(" ")
            method = getattr(self, "do_" + verb.lower(), None)
            if method:
                method(argument)
            else:
                self.act("other", line)

    def do_ehlo(self, argument):
        self.helo = argument
        self.reset()
        features = list(self.sink.features)
        if self.sink.tls and not self.secure:
            features.append("STARTTLS")
        lines = ["sink.example.test", *features]
        self.act("helo", argument, "\n".join(f"250{'-' if i < len(lines) - 1 else ' '}{x}" for i, x in enumerate(lines)))

    def do_helo(self, argument):
        self.helo = argument
        self.act("helo", argument, "250 sink.example.test")

    def do_starttls(self, _argument):
        if self.act("starttls") == 220:
            self.sock = self.sink.tls.wrap_socket(self.sock, server_side=True)
            self.secure, self.buffer = True, b""

    def do_mail(self, argument):
        if self.act("mail", argument) == 250:
            self.reset()
            self.sender, self.mail_line = argument[argument.index("<") + 1:argument.index(">")], argument

    def do_rcpt(self, argument):
        if self.act("rcpt", argument) // 10 == 25:
            self.rcpts.append(argument[argument.index("<") + 1:argument.rindex(">")])
            self.rcpt_lines.append(argument)

    def do_data(self, _argument):
        if not self.rcpts:               # pipelined behind recipients that were refused
            self.sock.sendall(b"554 5.5.1 no valid recipients\r\n")
            return
        if self.act("data") != 354:
            return
        data = self.body()
        message = Message(self.helo, self.sender, list(self.rcpts), data, self.secure, self.mail_line,
                          list(self.rcpt_lines), self.number)
        if self.act("message", data) == 250:
            with self.sink.changed:
                self.sink.messages.append(message)
                self.sink.changed.notify_all()
        self.reset()

    def do_quit(self, _argument):
        self.act("quit")
        raise Gone
