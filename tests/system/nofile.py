#!/usr/bin/python3
# nofile.py - more clients than descriptors: some are turned away at once, others notice nothing, and all goes on
# SPDX-License-Identifier: Apache-2.0
# ports
import re
import threading
from collections import Counter

from ekiden import MAIL, Server, listener, wait_for
from tap import Tap
from wire import Closed, Imap, Smtp

t = Tap()
CONFIG = MAIL + listener("smtp") + listener("imap", plaintext_auth="yes") + """
queue {
  backoff_min = 1s
  backoff_max = 2s
}
"""
LIMIT, CLIENTS = 80, 150
server = Server(CONFIG, users=["anna"], start=False)
server.descriptors = LIMIT
server.start()
accepted, number, lock = set(), iter(range(1, 10000)), threading.Lock()


def send(c, size=300):
    with lock:
        n = next(number)
    reply = c.mail("", server.address("anna"), f"X-Number: {n}\r\n\r\n" + ("x" * 70 + "\r\n") * (size // 72))
    if reply.code == 250:
        with lock:
            accepted.add(n)
    return reply.code


def connect():
    """A greeted client; None when it is turned away."""
    try:
        c = Smtp(server.port("smtp"), timeout=60, greet=False)
        return c if c.reply().code == 220 else None
    except (Closed, OSError):
        return None


def all_once(words):
    wait_for(lambda: server.ekiden("queue", "list", "--json")[1].strip() == "[]", 60, 0.3)
    found = Counter(int(re.search(rb"X-Number: (\d+)", m).group(1)) for m in server.messages("anna"))
    t.equal(found, Counter(accepted), words)


old = Smtp(server.port("smtp"), timeout=60)
old.ehlo()
reader = Imap(server.port("imap"), timeout=60)
reader.login(server.address("anna"), server.password)
t.equal(reader.cmd("SELECT INBOX").status, "OK", "a session is there before")

clients = [connect() for _ in range(CLIENTS)]
good = [c for c in clients if c]
t.ok(0 < len(good) < CLIENTS, f"{len(good)} of {CLIENTS} clients are served, the others turned away at once")
t.ok(server.logged(r"no descriptors left: .*LimitNOFILE", 10), "the log says what to do", server.tail())
t.equal(send(old), 250, "who was there sends mail")
t.equal(reader.cmd("NOOP").status, "OK", "and reads mail")
for c in good:
    c.close()
back = wait_for(connect, 60, 0.2)
t.ok(back, "when some leave others are served")
back.ehlo()
t.equal(send(back, 200_000), 250, "whole, a large message too")
all_once("all is there once")

# large messages need descriptors of edge, queue and store: more at once than there are
codes = Counter()


def large():
    try:
        with Smtp(server.port("smtp"), timeout=60) as client:
            client.ehlo()
            code = send(client, 200_000)
    except (Closed, OSError):
        code = 0
    with lock:
        codes[code] += 1


threads = [threading.Thread(target=large) for _ in range(60)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join(120)
t.ok(codes[250] > 0 and set(codes) <= {0, 250, 421, 451, 452}, "60 large messages at once: taken, or put off", codes)
t.equal(send(back), 250, "afterwards mail is taken as before")
all_once("what was taken is there once")
t.equal(reader.cmd("NOOP").status, "OK", "the session that was there before is there still")
for c in (old, back, reader):
    c.close()
t.ok(server.stop(), "the server stops in order")
t.equal(server.problems(), [], "nobody died, no reports")
t.done()
