# server_maps.py - servers of socketmap and of Postfix's tcp_table(5), with TLS inside where wanted, in threads of the test
# SPDX-License-Identifier: Apache-2.0
"""
    with MapServer("socketmap", {b"all@a.test": b"anna@a.test"}, context) as server:       context: an SSL context, or None
        server.port; server.asked                              the keys so far (bytes), as they were meant
        server.wrong                                           what broke the protocol
"""
import re
import socket
import ssl
import threading


class MapServer:
    def __init__(self, protocol, answers, context=None):
        self.answers, self.context = answers, context
        self.asked, self.wrong = [], []
        self.serve = {"socketmap": self.socketmap, "tcp": self.tcp}[protocol]
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.client, args=(sock,), daemon=True).start()

    def client(self, sock):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if self.context:
                sock = self.context.wrap_socket(sock, server_side=True)
            with sock, sock.makefile("rb") as lines:
                while self.serve(sock, lines):
                    pass
        except (OSError, ssl.SSLError):
            sock.close()

    def answer(self, key):
        self.asked.append(key)
        return self.answers.get(key)

    def broken(self, what):
        self.wrong.append(what)
        return False

    def socketmap(self, sock, lines):
        """NETSTRING of "map key"."""
        digits = b""
        while not digits.endswith(b":") and len(digits) < 8:
            byte = lines.read(1)
            if not byte:
                return not digits or self.broken(digits)
            digits += byte
        if not re.fullmatch(rb"[0-9]{1,6}:", digits):
            return self.broken(digits)
        request = lines.read(int(digits[:-1]))
        if lines.read(1) != b"," or not request.startswith(b"map ") or b"\0" in request:
            return self.broken(request)
        value = self.answer(request[4:])
        said = b"NOTFOUND " if value is None else b"OK " + value
        sock.sendall(b"%d:%s," % (len(said), said))
        return True

    def tcp(self, sock, lines):
        line = lines.readline()
        if not line:
            return False
        if not re.fullmatch(rb"get (?:[!-$&-~]|%[0-9A-Fa-f]{2})+\n", line) or len(line) > 4096:
            return self.broken(line)
        value = self.answer(re.sub(rb"%(..)", lambda m: bytes([int(m[1], 16)]), line[4:-1]))
        sock.sendall(b"500 none\n" if value is None else b"200 " + value + b"\n")
        return True
