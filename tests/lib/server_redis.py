# server_redis.py - Debian's redis-server in a folder of the test's own: a unix socket, a port, TLS
# SPDX-License-Identifier: Apache-2.0
"""
    redis = Redis(folder, password="pw", certificate=(chain, key, cafile))     TLS at redis.tls_port
    redis.cmd("SADD", "alias:all@a.test", "anna@a.test")
    redis.pause(); redis.resume(); redis.kill(); redis.start(); redis.stop()
"""
import os
import signal
import socket
import subprocess

from ekiden import free_ports, wait_for

PROGRAM = "/usr/bin/redis-server"


class Redis:
    def __init__(self, folder, password=None, certificate=None):
        os.makedirs(folder, exist_ok=True)
        os.chmod(folder, 0o755)
        self.folder, self.password, self.process = folder, password, None
        self.socket = f"{folder}/socket"
        self.port, self.tls_port = free_ports(2)
        lines = [f"dir {folder}", f"unixsocket {self.socket}", "unixsocketperm 777", "bind 127.0.0.1", f"port {self.port}", "daemonize no",
                 f"logfile {folder}/log", 'save ""', "appendonly yes", "appendfsync always"]
        if password:
            lines.append(f"requirepass {password}")
        if certificate:
            chain, key, cafile = certificate
            lines += [f"tls-port {self.tls_port}", f"tls-cert-file {chain}", f"tls-key-file {key}", f"tls-ca-cert-file {cafile}",
                      "tls-auth-clients no"]
        with open(f"{folder}/redis.conf", "w", encoding="utf-8") as f:
            f.write("\n".join(lines) + "\n")
        self.start()

    def start(self):
        with open(f"{self.folder}/output", "ab") as out:
            self.process = subprocess.Popen([PROGRAM, f"{self.folder}/redis.conf"], stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        if not wait_for(self.answers, 30):
            with open(f"{self.folder}/log", encoding="utf-8", errors="replace") as f:
                raise RuntimeError("redis-server does not answer\n" + f.read())

    def answers(self):
        try:
            return self.cmd("PING") == "PONG"
        except OSError:
            return False

    def stop(self):
        """Its end by SIGTERM, also when it is paused."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            self.process.wait(30)

    def kill(self):
        self.process.kill()
        self.process.wait(30)

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def cmd(self, *words):
        """A command's answer: a text, a number, None or a list; an error is raised."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(10)
            sock.connect(self.socket)
            with sock.makefile("rb") as answers:
                if self.password:
                    sock.sendall(self.packed("AUTH", self.password))
                    self.read(answers)
                sock.sendall(self.packed(*words))
                return self.read(answers)

    @staticmethod
    def packed(*words):
        parts = [w if isinstance(w, bytes) else str(w).encode() for w in words]
        return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts)

    def read(self, answers):
        line = answers.readline().rstrip(b"\r\n").decode()
        kind, rest = line[:1], line[1:]
        if kind == "+":
            return rest
        if kind == ":":
            return int(rest)
        if kind == "$":
            return None if rest == "-1" else answers.read(int(rest) + 2)[:-2].decode()
        if kind == "*":
            return [self.read(answers) for _ in range(int(rest))]
        raise OSError(f"redis: {line}")
