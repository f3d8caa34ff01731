#!/usr/bin/python3
# never-read.py - 200 clients ask for 1 GB each and read nothing: what that costs, and others go on
# limit: 420
# alone
# needs: root
# SPDX-License-Identifier: Apache-2.0
import os
import re
import select

from ekiden import MAIL, Server, listener, wait_for
from procs import memory, sanitized, steady
from tap import Tap

CLIENTS, MESSAGES, SIZE, LIMIT = 200, 21, 50 << 20, 50 * 1024
CONFIG = MAIL + listener("imap", plaintext_auth="yes") + listener("imaps") + """
store { connections_per_user = 1000 }
"""
t = Tap()


def fill(server):
    """A mailbox of one small message and 21 large ones, which are one file on the disk."""
    server.put_message("big", b"Subject: small\r\n\r\nhello\r\n", flags="S")
    name = server.put_message("big", b"Subject: large\r\n\r\n" + (b"x" * 74 + b"\r\n") * (SIZE // 76), flags="S")
    folder = f"{server.maildir('big')}/cur"
    for i in range(1, MESSAGES):
        os.link(f"{folder}/{name}:2,S", f"{folder}/{name}-{i}:2,S")
    server.put_message("anna", b"Subject: anna\r\n\r\nhello\r\n")


def plain_login(server, user):
    c = server.imap("imap")
    t_answer = c.login(server.address(user), server.password)
    if t_answer.status != "OK":
        raise AssertionError(t_answer)
    return c


def works(server, user, number, text):
    with server.imap("imaps", user) as c:
        c.cmd("SELECT INBOX")
        answer = c.cmd(f"FETCH {number} BODY.PEEK[TEXT]")
        t.ok(answer.status == "OK" and b"hello" in b"".join(answer.untagged), text, repr(answer)[:300])


# freed memory is kept back by the sanitizer: that is not the server's
options = ":".join(filter(None, (os.environ.get("ASAN_OPTIONS"), "quarantine_size_mb=1", "thread_local_quarantine_size_kb=16")))
with Server(CONFIG, users=["anna", "big"], env={"ASAN_OPTIONS": options}) as server:
    fill(server)
    with server.imap("imaps", "big") as c:
        c.cmd("SELECT INBOX")
        sizes = [int(re.search(rb"RFC822.SIZE (\d+)", line).group(1)) for line in c.cmd("FETCH 1:* RFC822.SIZE").untagged]
        t.ok(sum(sizes) >= 1 << 30, f"the mailbox holds 1 GB ({sum(sizes):,} octets)")
        small = sizes.index(min(sizes)) + 1
        c.cmd("FETCH 2 BODY.PEEK[]<0.1000000>")
    with plain_login(server, "big") as c:
        c.cmd("SELECT INBOX")
        c.cmd("FETCH 2 BODY.PEEK[]<0.1000000>")
    works(server, "anna", 1, "a login and a FETCH, before")
    checked = sanitized(server)
    if os.environ.get("EKIDEN_PLAIN"):
        t.ok(not checked, "this is a plain build")
    limit = LIMIT * 2 if checked else LIMIT                # shadow and red zones count twice
    before = steady(lambda: memory(server))
    was = memory(server)
    clients = []
    for i in range(CLIENTS):
        c = server.imap("imaps", "big") if i % 2 else plain_login(server, "big")
        if c.cmd("SELECT INBOX").status != "OK":
            raise AssertionError("SELECT")
        clients.append(c)
    for c in clients:
        c.send(b"x FETCH 1:* BODY.PEEK[]\r\n")
    ready = wait_for(lambda: len(select.select([c.sock for c in clients], [], [], 0)[0]) == CLIENTS, 120, 0.2)
    t.ok(ready, f"{CLIENTS} clients, half of them with TLS, have the beginning of their answer")
    after = steady(lambda: memory(server))
    now = memory(server)
    t.note(f"{'sanitized: ' if checked else ''}before {before} KB, after {after} KB: "
           + ", ".join(f"{k} +{now[k] - was.get(k, 0)}" for k in sorted(now) if now[k] - was.get(k, 0) > 100))
    t.ok(after - before < limit, f"they cost under {limit // 1024} MB in all", f"{after - before} KB")
    works(server, "anna", 1, "a new login and a FETCH work beside them")
    works(server, "big", small, "for their own user too")
    more = steady(lambda: memory(server))
    t.ok(more - before < limit, "and it does not grow", f"{more - before} KB")
    with clients[1] as c:            # TLS
        seen = 0
        while seen < 3 * SIZE:
            seen += len(c.sock.recv(1 << 20))
    t.ok(seen >= 3 * SIZE, "who reads after all gets on, over several messages")
    for c in clients:
        c.close()
    t.ok(wait_for(lambda: sum(n == "imap" for n in re.findall(r"\bimap\b(?=\(big@example\.test\).*(?:Disconnected|Logged out|Connection closed))", server.log()))
                  >= CLIENTS, 60, 0.5), "their sessions end when they are gone")
    t.ok(server.stop(), "the server stops")
t.equal(server.problems(), [], "no report")
t.done()
