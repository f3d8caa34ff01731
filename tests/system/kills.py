#!/usr/bin/python3
# kills.py - roles are killed at random instants under load: what was accepted is in its mailbox, exactly once
# SPDX-License-Identifier: Apache-2.0
# limit: 1800
# ports
# alone
import json
import os
import random
import re
import signal
import sys
import threading
import time
from collections import Counter

sys.path.insert(0, os.path.join(os.environ["EKIDEN_TOP"], "tests/lib"))
from ekiden import MAIL, Server, wait_for
from tap import Tap
from wire import Closed, Smtp

t = Tap()
seed = int(os.environ.get("EKIDEN_SEED") or random.randrange(1 << 30))
rng = random.Random(seed)
t.note(f"seed {seed} (EKIDEN_SEED={seed} runs it again)")
KILLS = 500 if os.environ.get("EKIDEN_FULL") else 40
SENDERS, FLIGHT, USERS = 16, 10, 5
ROLES = ("edge.0", "directory.0", "queue.0", "store.0", "relay.0", "tls.0", "log.0", "control.0")
CONFIG = MAIL + """
listener "smtp" {
  address  = "127.0.0.1:${port_smtp}"
  protocol = smtp
}
queue {
  backoff_min = 1s
  backoff_max = 2s
}
"""
users = [f"user{i}" for i in range(USERS)]
accepted, doubtful, lock = {}, set(), threading.Lock()    # number -> user; sent, but no 250 or 5xx came
under_way, stop, number = 0, threading.Event(), 0
server = Server(CONFIG, users=users, roles="  restart_delay = 20ms\n  restart_delay_max = 200ms")
port = server.port("smtp")


def body(n):
    """A few are larger than what travels in one piece."""
    size = 90_000 if n % 25 == 0 else 300 + n % 3000
    return f"From: a@example.org\r\nSubject: number {n}\r\nX-Number: {n}\r\n\r\n" + ("x" * 70 + "\r\n") * (size // 72) + f"end {n}\r\n"


def send_one(wire, n):
    """One transaction; the answer to its final dot decides."""
    global under_way
    user = users[n % USERS]
    for command in ("MAIL FROM:<a@example.org>", f"RCPT TO:<{user}@{server.domain}>"):
        reply = wire.cmd(command)
        if reply.code >= 400:
            return False
    with lock:
        under_way += 1
        doubtful.add(n)
    try:
        reply = wire.data(body(n).encode())
        with lock:                       # 4xx: queue died over it, and may have made it durable just before
            if reply.code == 250 or reply.code >= 500:
                doubtful.discard(n)
            if reply.code == 250:
                accepted[n] = user
        return reply.code == 250
    finally:
        with lock:
            under_way -= 1


def sender():
    global number
    wire = None
    while not stop.is_set():
        try:
            if wire is None:
                wire = Smtp(port, timeout=10)
                wire.ehlo()
            with lock:
                number += 1
                n = number
            if not send_one(wire, n):
                raise Closed("refused for now")
        except (OSError, Closed, ValueError, IndexError):
            if wire:
                wire.close()
            wire = None
            time.sleep(0.02)


def kill(names):
    workers = {name: pid for pid, name in server.workers().items()}
    hit = 0
    for name in names:
        if name in workers:
            try:
                os.kill(workers[name], signal.SIGKILL)
                hit += 1
            except ProcessLookupError:
                pass
    return hit


threads = [threading.Thread(target=sender, daemon=True) for _ in range(SENDERS)]
for thread in threads:
    thread.start()
killed, flights, turn = Counter(), [], 0
end = time.monotonic() + (1500 if os.environ.get("EKIDEN_FULL") else 240)
while sum(killed.values()) < KILLS and time.monotonic() < end and server.alive():
    if not wait_for(lambda: under_way >= FLIGHT, 3, 0.0005):
        continue
    time.sleep(rng.uniform(0, 0.01))
    flight = under_way
    if flight < FLIGHT:                  # it became quieter: another instant
        continue
    names = ROLES if turn % 10 == 9 else (ROLES[turn % len(ROLES)],)
    turn += 1
    flights.append(flight)
    if kill(names):
        killed["all at once" if len(names) > 1 else names[0]] += 1
    wait_for(lambda: len(server.workers()) >= len(ROLES), 5, 0.01)
    time.sleep(rng.uniform(0, 0.15))
stop.set()
for thread in threads:
    thread.join(30)
t.note(f"{dict(killed)}, {len(accepted)} accepted, {len(doubtful)} without an answer, in flight (median) {sorted(flights)[len(flights) // 2]}")
t.ok(server.alive(), "master lives through it")
t.ok(sum(killed.values()) >= KILLS, f"{KILLS} kills", dict(killed))
t.ok(min(flights) >= FLIGHT, f"each with {FLIGHT} transactions in flight or more", sorted(flights)[:10])
t.ok(len(accepted) > KILLS, "mail was accepted all the while", len(accepted))


def delivered():
    """{number: how often} over all mailboxes, and bodies that are damaged."""
    found, damaged = Counter(), []
    for user in users:
        for message in server.messages(user):
            match = re.search(rb"X-Number: (\d+)", message)
            n = int(match.group(1)) if match else -1
            found[n] += 1
            if f"end {n}".encode() not in message[-24:]:
                damaged.append(n)
    return found, damaged


def all_there():
    found, _ = delivered()
    return all(n in found for n in accepted)


def waiting():
    """Messages in the queue."""
    return json.loads(server.ekiden("queue", "status", "--json")[1])["messages"]


# what was accepted faster than it was delivered, between so many deaths, takes as long as it takes
while (left := waiting()) > 0 and wait_for(lambda left=left: waiting() < left, 60, 0.5):
    pass
wait_for(all_there, 90, 0.5)
time.sleep(2)
found, damaged = delivered()
missing = sorted(n for n in accepted if n not in found)
twice = sorted(n for n, times in found.items() if times > 1)
unknown = sorted(n for n in found if n not in accepted and n not in doubtful)
t.equal(missing, [], "every accepted message is in its mailbox")
t.equal(twice, [], "none is there twice")
t.equal(damaged, [], "each is whole")
t.equal(unknown, [], "none is there that was refused")
t.ok(server.stop(), "the server stops in order")
server.collect()
t.done()
