#!/usr/bin/python3
# reload-deliver.py - the configuration is replaced again and again under a stream of deliveries: each message is there, once
# limit: 240
# SPDX-License-Identifier: Apache-2.0
import re
import threading
import time
from collections import Counter

from ekiden import MAIL, Server, listener
from tap import Tap

t = Tap()
RELOADS, SENDERS = 60, 4
USERS = [f"user{i}" for i in range(SENDERS)]
taken, odd = Counter(), []
stop = threading.Event()


def sender(user):
    """One message after the other to one user, each with its number."""
    with server.smtp("smtp") as c:
        c.ehlo()
        while not stop.is_set():
            n = taken[user]
            reply = c.mail("a@example.org", server.address(user), f"Subject: {n}\r\nX-Number: {n}\r\n\r\nx\r\n".encode())
            if reply.code != 250:
                odd.append((user, n, reply))
                return
            taken[user] += 1


with Server(MAIL + listener("smtp"), users=USERS) as server:
    threads = [threading.Thread(target=sender, args=(user,), daemon=True) for user in USERS]
    for thread in threads:
        thread.start()
    outcomes = Counter()
    for i in range(RELOADS):
        outcomes[server.reload()] += 1
        time.sleep(0.01 * (i % 5))
    stop.set()
    for thread in threads:
        thread.join(60)
    t.equal(dict(outcomes), {(0, ""): RELOADS}, "each reload passes")
    t.equal(odd, [], "each message is taken, over one connection")
    t.ok(min(taken.values()) >= 10, "by each sender, all the time", taken)
    for user in USERS:
        server.wait_messages(user, taken[user], 60)
        numbers = sorted(int(n) for m in server.messages(user) for n in re.findall(rb"^X-Number: (\d+)", m, re.M))
        t.equal(numbers, list(range(taken[user])), f"{user} has each of them once")
    t.note(f"{sum(taken.values())} messages")
    t.ok(server.stop(), "the server stops")
t.equal(server.problems(), [], "no report")
t.done()
