#!/usr/bin/python3
# limits.py - limits and time-outs for connections, addresses, commands and sessions; floods of clients that do nothing
# limit: 480
# alone
# SPDX-License-Identifier: Apache-2.0
import os
import re
import socket
import subprocess
import sys
import time

from ekiden import MAIL, Server, wait_for
from procs import descriptors, fds, memory
from tap import Tap
from wire import Closed, Imap, Smtp

LISTENERS = """
listener "smtp" {
  address  = "127.0.0.1:${port_smtp}"
  protocol = smtp
  connections = 40
  connections_per_client = 5
  idle_timeout = 2s
  error_delay = 0
  hard_error_limit = 4
  data_rate_min = 100
}
listener "imap" {
  address  = "127.0.0.1:${port_imap}"
  protocol = imap
  plaintext_auth = yes
  connections_per_client = 5
  login_timeout = 2s
  idle_timeout = 3s
  bad_commands_max = 3
  login_failures_max = 2
}
listener "imaps" {
  address  = "127.0.0.1:${port_imaps}"
  protocol = imap
  tls      = implicit
  connections_per_client = 5
}
listener "flood" {
  address  = "127.0.0.1:${port_flood}"
  protocol = smtp
  connections = 30000
  connections_per_client = 30000
}
listener "floods" {
  address  = "127.0.0.1:${port_floods}"
  protocol = imap
  tls      = implicit
  connections = 30000
  connections_per_client = 30000
}
"""
CONFIG = "trusted = []\n" + MAIL + LISTENERS + """
store { connections_per_user = 3
  connections = 5 }
tls { handshake_timeout = 8s }
auth { failure_delay = 10ms
  failure_delay_max = 20ms }
"""


def hold(port, count, source, speaks_first):
    """Connects that many times, says how many were served (a greeting came, or nothing but no end), and waits for stdin's end."""
    sockets, served = [], 0
    for _ in range(count):
        s = socket.socket()
        s.bind((source, 0))
        s.settimeout(60)
        s.connect(("127.0.0.1", port))
        sockets.append(s)
    for s in sockets:
        try:
            s.settimeout(120 if speaks_first else 0.001)
            served += s.recv(1) != b""
        except TimeoutError:
            served += not speaks_first
        except OSError:
            pass
    print(served, flush=True)
    sys.stdin.read()


class Holder:
    def __init__(self, port, count, source, speaks_first=True):
        self.process = subprocess.Popen([sys.executable, __file__, "hold", str(port), str(count), source, "1" if speaks_first else ""],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def served(self):
        return int(self.process.stdout.readline() or -1)

    def close(self):
        self.process.stdin.close()
        self.process.wait(60)


if sys.argv[1:2] == ["hold"]:
    hold(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], bool(sys.argv[5]))
    sys.exit(0)
t = Tap()


def greeted(make):
    """The connection if a greeting came, else None."""
    try:
        c = make()
        return c if c.greeting else None
    except (Closed, OSError):
        return None


def addresses(server):
    for kind, make in (("smtp", lambda source: Smtp(server.port("smtp"), source=source)),
                       ("imap", lambda source: Imap(server.port("imap"), source=source)),
                       ("imaps", lambda source: Imap(server.port("imaps"), source=source, tls=server.tls_client(), name=server.hostname))):
        there = [greeted(lambda: make("127.0.0.2")) for _ in range(5)]
        t.ok(all(there), f"{kind}: connections_per_client are let in")
        t.equal(greeted(lambda: make("127.0.0.2")), None, f"{kind}: one more from that address is not")
        other = greeted(lambda: make("127.0.0.3"))
        t.ok(other, f"{kind}: one from another address is")
        there[0].close()
        more = wait_for(lambda: greeted(lambda: make("127.0.0.2")), 20)
        t.ok(more, f"{kind}: and one when one of them has gone")
        for c in there[1:] + [other, more]:
            c.close()
    wait_for(lambda: greeted(lambda: Smtp(server.port("smtp"), source="127.0.0.2")), 20)
    there = [greeted(lambda: Smtp(server.port("smtp"), source=f"127.0.1.{i // 4 + 1}")) for i in range(60)]
    t.ok(30 <= sum(c is not None for c in there) <= 40, "connections bounds them in all", sum(c is not None for c in there))
    t.ok(server.logged(r"smtp: connection from 127\.0\.\d\.\d+ refused: too many connections"), "the log says so")
    for c in filter(None, there):
        c.close()


def sessions(server):
    said = []

    def login(user, source):
        c = Imap(server.port("floods"), source=source, tls=server.tls_client(), name=server.hostname)
        try:
            answer = c.login(server.address(user), server.password)
            said.append((answer.status, answer.text, answer.untagged))
            return c if answer.status == "OK" else None
        except (Closed, OSError):
            said.append(None)
            return None
    there = [login("anna", "127.0.0.4") for _ in range(3)]
    t.ok(all(there), "store.connections_per_user sessions of one user from one address")
    t.equal(login("anna", "127.0.0.4"), None, "not one more")
    t.ok(said[-1] and said[-1][:2] == ("NO", "[LIMIT] Too many connections, please try again later.") and said[-1][2][0].startswith(b"* BYE "),
         "and he is told why", said[-1])
    there += [login("anna", "127.0.0.5"), login("ben", "127.0.0.4")]
    t.ok(all(there), "another address has its own, and another user")
    t.equal(login("ben", "127.0.0.4"), None, "store.connections bounds them in all")
    t.ok(server.logged(r"more than 3 sessions from 127\.0\.0\.4 \(store\.connections_per_user\)") and server.logged(r"more than 5 sessions \(store\.connections\)"),
         "the log says which")
    there[0].close()
    back = wait_for(lambda: login("anna", "127.0.0.4"), 20)
    t.ok(back, "one that ends makes room")
    for c in there[1:] + [back]:
        c.close()


def silence(server):
    with Smtp(server.port("smtp")) as c:
        t.equal(c.reply().code, 421, "smtp: idle_timeout: 421")
        t.ok(c.closed(), "and the end")
    with Imap(server.port("imap")) as c:
        t.contains(c.line(), "* BYE", "imap: login_timeout: BYE")
        t.ok(c.closed(), "and the end")
    with Imap(server.port("imap")) as c:
        c.login(server.address("anna"), server.password)
        t.contains(c.line(), "* BYE", "imap: idle_timeout: BYE")
    with Smtp(server.port("smtp")) as c:
        codes = [c.cmd("NONSENSE").code for _ in range(3)]
        t.ok(c.cmd("NONSENSE").code in (421, 500, 502) and codes[0] in (500, 502), "smtp: hard_error_limit", codes)
        try:
            while True:
                c.reply()
        except (Closed, OSError):
            t.ok(True, "and the end")
    with Imap(server.port("imap")) as c:
        try:
            for _ in range(5):
                c.cmd("NONSENSE")
            t.ok(False, "imap: bad_commands_max")
        except (Closed, OSError):
            t.ok(True, "imap: bad_commands_max ends it")
    with Imap(server.port("imap")) as c:
        try:
            for _ in range(4):
                c.login(server.address("anna"), "wrong")
            t.ok(False, "imap: login_failures_max")
        except (Closed, OSError):
            t.ok(True, "imap: login_failures_max ends it")


def slow(server):
    """One byte at a time: each keeps the idle time-out from passing, not the rate."""
    clients = [greeted(lambda: Smtp(server.port("smtp"), source=f"127.0.2.{i + 1}")) for i in range(20)]
    for c in clients:
        c.ehlo()
    end, alive = time.monotonic() + 90, list(clients)
    while alive and time.monotonic() < end:
        for c in list(alive):
            try:
                c.sock.sendall(b"X")
                c.sock.settimeout(0.01)
                if c.sock.recv(100):
                    alive.remove(c)
            except TimeoutError:
                pass
            except OSError:
                alive.remove(c)
        time.sleep(0.5)
    t.equal(len(alive), 0, "20 clients of a byte every half second are ended")
    for c in clients:
        c.close()


def half_open(server):
    before = descriptors(server)
    holder = Holder(server.port("floods"), 400, "127.0.0.6", False)
    t.equal(holder.served(), 400, "400 connections that begin no handshake")
    with Imap(server.port("floods"), tls=server.tls_client(), name=server.hostname) as c:
        t.equal(c.login(server.address("anna"), server.password).status, "OK", "others log in beside them")
    t.ok(wait_for(lambda: fds(server.pid_of("tls.0")) <= before["tls.0"] + 2, 60, 0.2), "after handshake_timeout they are gone",
         (before, descriptors(server)))
    t.ok(server.logged(r"SSL_accept error from unknown\[127\.0\.0\.6\]: it took too long"), "and logged")
    holder.close()


def flood(server):
    before, memory_before = descriptors(server), sum(memory(server).values())
    holders = [Holder(server.port("imap"), 2500, "127.0.0.7") for _ in range(4)]
    served = sum(h.served() for h in holders)
    t.ok(served <= 5 + 60, "10,000 connections from one address, and a limit of 5: hardly one is served", served)
    with Imap(server.port("floods"), tls=server.tls_client(), name=server.hostname) as c:
        t.equal(c.login(server.address("anna"), server.password).status, "OK", "others are")
    for h in holders:
        h.close()
    holders = [Holder(server.port("flood"), 2500, "127.0.0.8") for _ in range(4)]
    t.equal(sum(h.served() for h in holders), 10000, "10,000 connections from one address where the limit allows them: each gets its greeting")
    t.ok(fds(server.pid_of("edge.0")) >= 10000, "at once")
    with server.smtp("flood") as c:
        c.ehlo()
        t.equal(c.mail("a@example.org", f"anna@{server.domain}", b"Subject: x\r\n\r\nx\r\n").code, 250, "mail is taken beside them")
    used = sum(memory(server).values()) - memory_before
    t.note(f"{used} KB, {used / 10000:.1f} KB each")
    for h in holders:
        h.close()
    t.ok(wait_for(lambda: descriptors(server) == before, 60, 0.3), "when they have gone all descriptors are free", f"{before}\n{descriptors(server)}")


class Poor(Server):
    """A server whose processes have few descriptors."""

    def program(self, name):
        path = f"{self.dir}/{name}"
        with open(path, "w", encoding="utf-8") as f:
            f.write(f'#!/bin/sh\nulimit -n 100\nexec "{super().program(name)}" "$@"\n')
        os.chmod(path, 0o755)
        return path


def exhausted(server):
    """Descriptors used up in edge, then in tls: clients are turned away, nothing spins, nothing is lost."""
    for role, port in (("edge.0", "flood"), ("tls.0", "floods")):
        pid = server.pid_of(role)
        holder = Holder(server.port(port), 200, "127.0.0.9", port == "flood")
        served = holder.served()
        t.ok(0 < served < 100, f"{role}: as many clients as there are descriptors, the others are turned away", served)
        t.ok(server.logged(rf"{role[:-2]}\[\d+\]: .*no descriptors left"), f"{role}: the log says so")
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            ticks = sum(map(int, f.read().rsplit(")", 1)[1].split()[11:13]))
        time.sleep(1)
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            ticks = sum(map(int, f.read().rsplit(")", 1)[1].split()[11:13])) - ticks
        t.ok(ticks < 50, f"{role}: and the loop does not spin", ticks)
        holder.close()
        make = (lambda: Smtp(server.port("flood"))) if port == "flood" else (
            lambda: Imap(server.port("floods"), tls=server.tls_client(), name=server.hostname))
        t.ok(wait_for(lambda: greeted(make), 30), f"{role}: then all is as before")


with Server(CONFIG, users=["anna", "ben"]) as server:
    addresses(server)
    sessions(server)
    silence(server)
    slow(server)
    half_open(server)
    flood(server)
    t.ok(server.stop(), "the server stops")
t.equal(server.problems(), [], "no report")
with Poor(CONFIG, users=["anna"]) as server:
    exhausted(server)
    t.ok(server.stop(), "the server with few descriptors stops")
t.equal(server.problems(), [], "no report")
t.done()
