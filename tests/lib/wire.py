# wire.py - raw SMTP and IMAP clients: what they send is what the test wrote, and nothing is repaired
# SPDX-License-Identifier: Apache-2.0
import base64
import socket
import ssl
import time


class Closed(Exception):
    """The other side closed while an answer was expected."""


class Wire:
    """Lines and bytes over one connection.  A silent peer raises TimeoutError after `timeout` seconds."""

    def __init__(self, port, host="127.0.0.1", tls=None, name="localhost", timeout=20, source=None):
        self.host, self.port, self.name = host, port, name
        self.buffer, self.log = b"", []
        if isinstance(port, str):
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(timeout)
            self.sock.connect(port)
        else:
            self.sock = socket.create_connection((host, port), timeout, (source, 0) if source else None)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.wrap(tls)

    def wrap(self, context, name=None):
        """TLS from here on.  Bytes that the server sent before the handshake are an error of the server."""
        if self.buffer:
            raise AssertionError(f"plain bytes before the handshake: {self.buffer!r}")
        self.sock = context.wrap_socket(self.sock, server_hostname=name or self.name)

    def send(self, data):
        if isinstance(data, str):
            data = data.encode("utf-8", "surrogateescape")
        self.log.append(b"C: " + data)
        self.sock.sendall(data)

    def line_out(self, text):
        self.send((text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text) + b"\r\n")

    def _fill(self):
        try:
            data = self.sock.recv(65536)
        except (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError, ssl.SSLZeroReturnError):
            data = b""
        if not data:
            raise Closed(f"connection closed; unread: {self.buffer!r}")
        self.buffer += data

    def line(self):
        """The next line without its CRLF."""
        while b"\n" not in self.buffer:
            self._fill()
        line, self.buffer = self.buffer.split(b"\n", 1)
        self.log.append(b"S: " + line.rstrip(b"\r"))
        if not line.endswith(b"\r"):
            raise AssertionError(f"a line without CR: {line!r}")
        return line[:-1].decode("utf-8", "surrogateescape")

    def exactly(self, count):
        while len(self.buffer) < count:
            self._fill()
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def quiet(self, seconds):
        """True when nothing arrives for that long."""
        if self.buffer:
            return False
        before = self.sock.gettimeout()
        self.sock.settimeout(seconds)
        try:
            self._fill()
            return False
        except (TimeoutError, ssl.SSLWantReadError):
            return True
        except Closed:
            return False
        finally:
            self.sock.settimeout(before)

    def closed(self, seconds=20):
        """True when the peer closes within that time without sending more."""
        self.sock.settimeout(seconds)
        try:
            self._fill()
            return False
        except Closed:
            return not self.buffer
        except TimeoutError:
            return False

    def trickle(self, data, pause):
        """A slow client: one byte, a pause, one byte ... until all went out or the peer closed."""
        for i in range(len(data)):
            try:
                self.sock.sendall(data[i:i + 1])
            except OSError:
                return i
            time.sleep(pause)
        return len(data)

    def close(self):
        try:
            self.sock.close()
        except OSError:
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Reply:
    """An SMTP reply: code, the lines' texts, and the enhanced code of the last line (or '')."""

    def __init__(self, code, lines):
        self.code, self.lines, self.text = code, lines, lines[-1]
        first = self.text.split(" ", 1)[0]
        self.dsn = first if first.count(".") == 2 and first.replace(".", "").isdigit() else ""

    def __repr__(self):
        return f"{self.code} {' | '.join(self.lines)}"


class Smtp(Wire):
    """greeting is read at once, unless greet=False."""

    def __init__(self, port, greet=True, **more):
        super().__init__(port, **more)
        self.greeting = self.reply() if greet else None
        self.features = {}

    def reply(self):
        lines = []
        while True:
            line = self.line()
            if len(line) < 3 or not line[:3].isdigit() or line[3:4] not in ("", " ", "-"):
                raise AssertionError(f"not an SMTP reply: {line!r}")
            lines.append(line[4:])
            if line[3:4] != "-":
                return Reply(int(line[:3]), lines)

    def cmd(self, text):
        self.line_out(text)
        return self.reply()

    def ehlo(self, name="client.example.test"):
        answer = self.cmd(f"EHLO {name}")
        self.features = {line.split(" ")[0].upper(): line.partition(" ")[2] for line in answer.lines[1:]}
        return answer

    def starttls(self, context, name=None):
        answer = self.cmd("STARTTLS")
        if answer.code == 220:
            self.wrap(context, name)
        return answer

    def auth_plain(self, user, password):
        token = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        return self.cmd(f"AUTH PLAIN {token}")

    def data(self, message):
        """DATA and the message (bytes; dots are doubled here); the reply to the message, or to DATA when refused."""
        answer = self.cmd("DATA")
        if answer.code != 354:
            return answer
        body = message if isinstance(message, bytes) else message.encode()
        body = body.replace(b"\r\n.", b"\r\n..")
        if body.startswith(b"."):
            body = b"." + body
        self.send(body + (b"" if body.endswith(b"\r\n") else b"\r\n") + b".\r\n")
        return self.reply()

    def mail(self, sender, rcpts, message):
        """One transaction; the reply that decided it."""
        answer = self.cmd(f"MAIL FROM:<{sender}>")
        if answer.code != 250:
            return answer
        accepted = 0
        for rcpt in [rcpts] if isinstance(rcpts, str) else rcpts:
            answer = self.cmd(f"RCPT TO:<{rcpt}>")
            accepted += answer.code // 10 == 25
        return self.data(message) if accepted else answer


class ImapAnswer:
    """status (OK NO BAD), text of the tagged line, untagged lines (bytes, literals inside as sent)."""

    def __init__(self, status, text, untagged):
        self.status, self.text, self.untagged = status, text, untagged

    def find(self, word):
        """Untagged lines that hold `word`."""
        return [line for line in self.untagged if word.encode() in line]

    def __repr__(self):
        return f"{self.status} {self.text} {self.untagged!r}"


class Imap(Wire):
    def __init__(self, port, greet=True, **more):
        super().__init__(port, **more)
        self.greeting = self.line() if greet else None
        self.number = 0

    def response(self):
        """One whole response, literals and all, as bytes without the last CRLF."""
        whole = b""
        while True:
            line = self.line().encode("utf-8", "surrogateescape")
            whole += line
            if not (line.endswith(b"}") and b"{" in line and line[line.rindex(b"{") + 1:-1].isdigit()):
                return whole
            whole += b"\r\n" + self.exactly(int(line[line.rindex(b"{") + 1:-1]))

    def finish(self, tag):
        untagged = []
        while True:
            line = self.response()
            if line.startswith(tag.encode() + b" "):
                rest = line.decode("utf-8", "surrogateescape")[len(tag) + 1:]
                status, _, text = rest.partition(" ")
                return ImapAnswer(status, text, untagged)
            untagged.append(line)

    def cmd(self, text, *literals):
        """`text` may hold {} for each literal, which is then sent with its size after the server's go."""
        self.number += 1
        tag = f"t{self.number}"
        parts = text.split("{}") if literals else [text]
        self.send(f"{tag} {parts[0]}")
        for literal, part in zip(literals, parts[1:]):
            data = literal if isinstance(literal, bytes) else literal.encode()
            self.line_out(f"{{{len(data)}}}")
            answer = self.line()
            if not answer.startswith("+"):
                status, _, rest = answer.removeprefix(tag + " ").partition(" ")
                return ImapAnswer(status, rest, [])
            self.send(data)
            self.send(part)
        self.send(b"\r\n")
        return self.finish(tag)

    def login(self, user, password):
        return self.cmd(f'LOGIN "{user}" "{password}"')

    def starttls(self, context, name=None):
        answer = self.cmd("STARTTLS")
        if answer.status == "OK":
            self.wrap(context, name)
        return answer

    def append(self, box, message, flags=""):
        return self.cmd(f"APPEND {box} {flags + ' ' if flags else ''}" + "{}", message)

    def idle(self):
        """Starts IDLE; read what comes with response(), end with done()."""
        self.number += 1
        self.line_out(f"t{self.number} IDLE")
        while not (answer := self.line()).startswith("+"):
            if answer.startswith(f"t{self.number} "):
                raise AssertionError(f"IDLE refused: {answer}")

    def done(self):
        self.line_out("DONE")
        return self.finish(f"t{self.number}")
