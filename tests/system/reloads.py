#!/usr/bin/python3
# reloads.py - 50 reloads under 1,000 sessions in IDLE and running DATA: nobody is dropped, nothing leaks
# limit: 600
# alone
# SPDX-License-Identifier: Apache-2.0
import os
import re
import select
import shutil
import threading
import time

from ekiden import MAIL, Server, listener, wait_for
from procs import descriptors, memory, sanitized, steady
from tap import Tap
from wire import Imap, Smtp

SESSIONS, USERS, RELOADS, SENDERS = 1000, 10, 50, 8
CONFIG = (MAIL + listener("smtp", banner='"ESMTP number 0"') + listener("imap", plaintext_auth="yes")
          + listener("imaps") + """
certificate "changing" {
  chain = "${dir}/changing.pem"
  key   = "${dir}/changing.key"
}
store { connections_per_user = 10000 }
""")
t = Tap()
users = [f"user{i}" for i in range(USERS)]
options = ":".join(filter(None, (os.environ.get("ASAN_OPTIONS"), "quarantine_size_mb=1", "thread_local_quarantine_size_kb=16")))


def install(server):
    pair = server.authority.issue("changing.example.test")
    for source, kind in zip(pair, ("pem", "key")):
        shutil.copy(source, f"{server.dir}/changing.{kind}.new")
        os.replace(f"{server.dir}/changing.{kind}.new", f"{server.dir}/changing.{kind}")


def serial(server):
    with Imap(server.port("imaps"), tls=server.tls_client(), name="changing.example.test") as c:
        return c.sock.getpeercert()["serialNumber"]


def idle_session(server, i):
    """Three of four in IDLE over plain text, one over TLS: handshakes are slow in a sanitized server."""
    tls = server.tls_client() if i % 4 == 0 else None
    c = Imap(server.port("imaps" if tls else "imap"), tls=tls, name=server.hostname)
    c.login(f"{users[i % USERS]}@{server.domain}", server.password)
    c.cmd("SELECT INBOX")
    c.idle()
    return c


class Sender(threading.Thread):
    """A message that takes as long as the test wants; every fourth is too large for one piece."""

    def __init__(self, server, number):
        super().__init__(daemon=True)
        self.number, self.user, self.stop, self.reply, self.lines = number, users[number % USERS], threading.Event(), None, 0
        self.wire = Smtp(server.port("smtp"))
        self.wire.ehlo()
        for command in ("MAIL FROM:<a@example.org>", f"RCPT TO:<{self.user}@{server.domain}>", "DATA"):
            reply = self.wire.cmd(command)
            if reply.code >= 400:
                raise AssertionError(f"{command}: {reply}")
        self.wire.send(f"Subject: slow {number}\r\n\r\n")
        if number % 4 == 0:
            self.wire.send((b"y" * 70 + b"\r\n") * 2000)

    def run(self):
        try:
            while not self.stop.wait(0.1):
                self.lines += 1
                self.wire.send(f"line {self.lines}\r\n")
            self.wire.send(f"last {self.lines}\r\n.\r\n")
            self.reply = self.wire.reply()
        except Exception as error:
            self.reply = error


def one_reload(server, conf, n, seen):
    """A good one, one with three errors, one with another option, one with another certificate."""
    kind = n % 5
    before = server.generation()
    if kind == 1:
        with open(f"{server.dir}/changing.key", "rb") as f:
            key = f.read()
        with open(f"{server.dir}/changing.key", "wb") as f:
            f.write(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
        server.replace_conf(conf + f"queue {{\n  bogus_{n} = 1\n  backoff_min = soon\n}}\n")
        status, text = server.reload()
        with open(f"{server.dir}/changing.key", "wb") as f:
            f.write(key)
        server.replace_conf(conf)
        told = [word for word in (f"bogus_{n}", "backoff_min", "changing.key") if word not in text]
        seen["broken"] += status == 1 and not told and server.generation() == before
        if status != 1 or told:
            t.note(f"reload {n}: status {status}, not told: {told}\n{text}")
        return
    if kind in (2, 4):
        conf = re.sub(r"number \d+", f"number {n}", conf)
        server.replace_conf(conf)
    if kind == 3:
        install(server)
    was = serial(server) if kind == 3 else None
    status, text = server.reload()
    if status != 0:
        t.note(f"reload {n}: {text}")
        return
    seen["taken"] += server.generation() == before + 1
    if kind in (2, 4):
        with server.smtp("smtp") as c:
            seen["changed"] += c.greeting.lines[0].endswith(f"number {n}")
    if kind == 3:
        seen["certificate"] += serial(server) != was


def no_more_than(server, before):
    """Indexes that rest are closed meanwhile, so fewer is as good."""
    now = descriptors(server)
    return now.keys() == before.keys() and all(now[name] <= count for name, count in before.items())


def one_generation(server, transactions=False):
    """In each process; where transactions run, the one that they began with may be there too."""
    workers = server.status().get("workers", [{"name": "", "generations": 0}])
    return all(w["generations"] == 1 or (transactions and w["name"].startswith("edge") and w["generations"] == 2) for w in workers)


with Server(CONFIG, users=users, start=False, env={"ASAN_OPTIONS": options}) as server:
    install(server)
    server.start()
    sessions = [idle_session(server, i) for i in range(SESSIONS)]
    t.ok(True, f"{SESSIONS} sessions are in IDLE")
    senders = [Sender(server, i) for i in range(SENDERS)]
    for s in senders:
        s.start()
    with open(server.conf, encoding="utf-8") as f:
        conf = f.read()
    warm = {"broken": 0, "taken": 0, "changed": 0, "certificate": 0}
    for n in range(5):
        one_reload(server, conf, n, warm)
    memory_before, fds_before = steady(lambda: memory(server), 60), descriptors(server)
    seen, first = dict.fromkeys(warm, 0), server.generation()
    workers = server.workers()
    for n in range(5, 5 + RELOADS):
        one_reload(server, conf, n, seen)
    t.equal(seen, {"broken": RELOADS // 5, "taken": RELOADS - RELOADS // 5, "changed": RELOADS * 2 // 5, "certificate": RELOADS // 5},
            f"{RELOADS} reloads: broken ones are told with every error and not taken, the others are, and are seen")
    t.equal(server.generation(), first + RELOADS - RELOADS // 5, "as many generations as were good")
    t.equal(server.workers(), workers, "no process was lost")
    t.equal([i for i, c in enumerate(sessions) if select.select([c.sock], [], [], 0)[0] and c.sock.recv(1) == b""], [],
            "nobody in IDLE was dropped")
    t.ok(wait_for(lambda: no_more_than(server, fds_before), 30, 0.3), "no process has more descriptors than before",
         f"{fds_before}\n{descriptors(server)}")
    t.ok(wait_for(lambda: one_generation(server, transactions=True), 30, 0.3),
         "only one generation lives in each, and where DATA is under way the one that it began with", server.status())
    after = steady(lambda: memory(server), 60)
    limit = 40960 if sanitized(server) else 4096     # sanitizers keep what is freed for a while
    t.note(f"{memory_before} KB before, {after} KB after")
    t.ok(after - memory_before < limit, f"memory grew by less than {limit} KB", f"{memory_before} -> {after}")
    t.ok(all(s.reply is None and s.is_alive() for s in senders), "all DATA still runs", [s.reply for s in senders])
    for s in senders:
        s.stop.set()
    for s in senders:
        s.join(60)
    t.equal([getattr(s.reply, "code", s.reply) for s in senders], [250] * SENDERS, "and ends with 250")
    t.ok(wait_for(lambda: one_generation(server), 30, 0.3), "then only one generation lives anywhere", server.status())
    with server.smtp("smtp") as c:
        c.ehlo()
        t.equal(c.mail("a@example.org", [f"{u}@{server.domain}" for u in users], b"Subject: news\r\n\r\nx\r\n").code, 250, "mail for everybody")
    for user in users:
        mails = server.wait_messages(user, 1 + sum(s.user == user for s in senders), 60)
        slow = [m for m in mails if b"Subject: slow" in m]
        good = all(any(f"Subject: slow {s.number}\r\n".encode() in m.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
                       and f"last {s.lines}".encode() in m for m in slow) for s in senders if s.user == user)
        if not good or len(slow) != sum(s.user == user for s in senders):
            t.ok(False, f"{user}: the slow messages are there, once and whole", mails)
    silent = []
    for i, c in enumerate(sessions):
        c.sock.settimeout(60)
        try:
            while b" EXISTS" not in (line := c.response()):
                pass
        except Exception as error:
            silent.append((i, repr(error)))
    t.equal(silent, [], f"each of the {SESSIONS} hears EXISTS of the new mail")
    t.equal([i for i, c in enumerate(sessions) if c.done().status != "OK"], [], "and ends IDLE in order")
    for c in sessions:
        c.close()
    t.ok(server.stop(60), "the server stops")
t.equal(server.problems(), [], "no report")
t.done()
