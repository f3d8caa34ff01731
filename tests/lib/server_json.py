#!/usr/bin/python3
# server_json.py - an HTTP server in a process of its own that answers with what a file says
# SPDX-License-Identifier: Apache-2.0
"""
    api = JsonServer(folder, certificate=(chain, key), token="t")
    api.set("/users/anna", {"password": "..."})        200 with this JSON;  api.set(path, None, 404) any other code
    api.set("/gone", "<p>Not found</p>", 404)          a text is a page for people, of type text/html
    api.pause(); api.resume(); api.kill(); api.start(); api.stop()
    api.asked()                                        the requests so far: "GET /path"

Run as a program it is that server: server_json.py FOLDER PORT TOKEN [CHAIN KEY].
"""
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from ekiden import free_ports, wait_for


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout, disable_nagle_algorithm = 300, True         # its head and its body are two writes

    def answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        path = self.path + (" " + self.rfile.read(length).decode() if length else "")
        with open(f"{self.server.folder}/asked", "a", encoding="utf-8") as f:
            f.write(f"{self.command} {path}\n")
        with open(f"{self.server.folder}/answers", encoding="utf-8") as f:
            code, value = json.load(f).get(path, (404, None))
        if self.server.token and self.headers.get("Authorization") != f"Bearer {self.server.token}":
            code, value = 401, None
        page = isinstance(value, str)
        body = b"" if value is None else value.encode() if page else json.dumps(value).encode()
        self.send_response(code)
        self.send_header("Content-Type", "text/html; charset=utf-8" if page else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = answer

    def log_message(self, *_):
        pass


class Listening(ThreadingHTTPServer):
    daemon_threads, allow_reuse_address, request_queue_size = True, True, 128

    def handle_error(self, *_):
        """Clients that go away, and handshakes that fail, are what the test makes."""

    def get_request(self):
        """The handshake is the connection's thread's business: who does not shake hands holds up nobody."""
        sock, address = super().get_request()
        if self.context:
            sock = self.context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        return sock, address


def main(folder, port, token, chain=None, key=None):
    server = Listening(("127.0.0.1", int(port)), Answers)
    server.folder, server.token, server.context = folder, token, None
    if chain:
        server.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.context.load_cert_chain(chain, key)
    server.serve_forever()


class JsonServer:
    def __init__(self, folder, certificate=None, token=""):
        os.makedirs(folder, exist_ok=True)
        self.folder, self.certificate, self.token = folder, certificate, token
        self.answers, self.process, self.port = {}, None, free_ports(1)[0]
        self.set("/", None, 404)
        self.start()

    def set(self, path, value, code=200):
        self.answers[path] = (code, value)
        with open(f"{self.folder}/answers.new", "w", encoding="utf-8") as f:
            json.dump(self.answers, f)
        os.replace(f"{self.folder}/answers.new", f"{self.folder}/answers")

    def asked(self):
        try:
            with open(f"{self.folder}/asked", encoding="utf-8") as f:
                return f.read().splitlines()
        except FileNotFoundError:
            return []

    def start(self):
        with open(f"{self.folder}/output", "ab") as out:
            self.process = subprocess.Popen(["/usr/bin/python3", os.path.abspath(__file__), self.folder, str(self.port), self.token,
                                             *(self.certificate or ())], stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        if not wait_for(self.listens, 30):
            raise RuntimeError("the JSON server does not listen")

    def listens(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 5).close()
            return True
        except OSError:
            return False

    def kill(self):
        self.process.kill()
        self.process.wait(30)

    stop = kill

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)


if __name__ == "__main__":
    main(*sys.argv[1:])
