#!/usr/bin/python3
# nofile-alone.py - one role alone has as many descriptors open as it may, while mail comes, goes and is read
# SPDX-License-Identifier: Apache-2.0
# needs: root prlimit
# ports
import os
import re
import subprocess
import threading
import time
from collections import Counter

from ekiden import MAIL, Server, listener, wait_for
from sink import Sink
from tap import Tap
from wire import Closed, Imap, Smtp

t = Tap()
CONFIG = MAIL + listener("smtp") + listener("imap", plaintext_auth="yes") + listener("imaps") + """
smtp "out" { }
routing {
  transport = out
  relayhost = "[127.0.0.1]:SINK"
}
queue {
  backoff_min = 1s
  backoff_max = 2s
}
"""
SPARE = {"store": 2, "queue": 0}             # what the role may open beside what it has
SIZES = (300, 300, 40_000, 300, 200_000)     # the last needs a stream to queue, a file there, and its descriptor in store
LATER = re.compile(r"NO \[(UNAVAILABLE|LIMIT)\]")


def text(n, size):
    return f"X-Number: {n}\r\n\r\n" + ("x" * 70 + "\r\n") * (size // 72)


class Load:
    """Clients that send and read until they are stopped, and what they were told."""

    def __init__(self, server):
        self.server, self.accepted, self.told, self.number = server, set(), Counter(), iter(range(1, 1 << 30))
        self.lock, self.over, self.threads = threading.Lock(), threading.Event(), []

    def start(self):
        for act in (self.send, self.send, self.send, self.read, self.read, self.read):
            self.threads.append(threading.Thread(target=self.repeat, args=(act,), daemon=True))
            self.threads[-1].start()

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join(120)

    def repeat(self, act):
        while not self.over.is_set():
            try:
                act()
            except (Closed, OSError) as error:
                self.note(f"{act.__name__}: closed ({error})")
            time.sleep(0.02)

    def note(self, what):
        with self.lock:
            self.told[what] += 1

    def new(self):
        with self.lock:
            n = next(self.number)
        return n, text(n, SIZES[n % len(SIZES)])

    def took(self, n):
        with self.lock:
            self.accepted.add(n)

    def send(self):
        with Smtp(self.server.port("smtp"), timeout=120) as c:
            c.ehlo()
            for _ in range(5):
                n, message = self.new()
                code = c.mail("", self.server.address("anna"), message).code
                if code == 250:
                    self.took(n)
                self.note(code)

    def read(self):
        with Imap(self.server.port("imap"), timeout=120) as c:
            for step in (self.login, self.select, self.fetch, self.append):
                answer = step(c)
                word = re.match(r"NO \[\w+\]|\w+", f"{answer.status} {answer.text}").group()
                self.note(f"{step.__name__}: {word}")
                if answer.status != "OK":
                    break

    def login(self, c):
        return c.login(self.server.address("anna"), self.server.password)

    def select(self, c):
        return c.cmd("SELECT INBOX")

    def fetch(self, c):
        return c.cmd("UID FETCH *:* (FLAGS BODY.PEEK[])")

    def append(self, c):
        n, message = self.new()
        answer = c.append("INBOX", message)
        if answer.status == "OK":
            self.took(n)
        return answer


def unclear(told):
    """What is neither a yes nor a "later"."""
    return {what: n for what, n in told.items()
            if what not in (250, 421, 451, 452) and not (isinstance(what, str) and (what.endswith(": OK") or LATER.search(what)))}


def allow(pid, limit):
    """The process may have so many open, None: all that it could have; said by its own user, who needs no right for that."""
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        ids = dict(re.findall(r"(Uid|Gid):\t(\d+)", f.read()))
    with open(f"/proc/{pid}/limits", encoding="ascii") as f:
        most = re.search(r"Max open files +\d+ +(\d+)", f.read()).group(1)
    subprocess.run(["prlimit", f"--pid={pid}", f"--nofile={limit or most}:"], user=int(ids["Uid"]), group=int(ids["Gid"]), extra_groups=[], check=True)


def squeeze(pid, spare):
    """The process may open that many more than it has."""
    have = sorted(int(fd) for fd in os.listdir(f"/proc/{pid}/fd"))
    limit = len(have) + spare
    while limit - sum(fd < limit for fd in have) > spare:
        limit -= 1
    allow(pid, limit)


def put_off(told, role):
    """Did clients feel it?"""
    return sum(n for what, n in told.items() if what in (451, 452)) if role == "queue" else sum(
        n for what, n in told.items() if isinstance(what, str) and LATER.search(what))


def alone(server, role):
    load, pids = Load(server), server.workers()
    reader = Imap(server.port("imap"), timeout=120)
    reader.login(server.address("anna"), server.password)
    t.equal(reader.cmd("SELECT INBOX").status, "OK", f"{role}: a session is there before")
    old = Smtp(server.port("smtp"), timeout=120)
    old.ehlo()
    load.start()
    wait_for(lambda: len(load.accepted) > 40, 60)
    at, pid = len(server.log()), server.busy(role)[0]
    squeeze(pid, SPARE[role])
    wait_for(lambda: put_off(load.told, role) >= 10, 90, 0.1)
    t.ok(put_off(load.told, role) >= 10, f"{role}: clients are put off", dict(load.told))
    t.ok(wait_for(lambda: "LimitNOFILE" in server.log()[at:], 20), f"{role}: the log says what to do", server.tail())
    t.equal(reader.cmd("NOOP").status, "OK", f"{role}: who was there goes on")
    n, message = load.new()
    t.equal(old.mail("", server.address("anna"), text(n, 300)).code, 250, f"{role}: a small message is taken all the same")
    load.took(n)
    allow(pid, None)
    known = Counter(load.told)
    fine = (250, "fetch: OK", "append: OK")
    t.ok(wait_for(lambda: all(load.told[what] >= known[what] + 10 for what in fine), 90, 0.1), f"{role}: it recovers by itself",
         f"{dict(known)} {dict(load.told)}")
    load.stop()
    t.note(f"{role}: {len(load.accepted)} accepted; {dict(load.told)}")
    # the limit sinks below what is in use: a descriptor that is on its way just then goes without a word, one for each client at most
    odd = unclear(load.told)
    lost = sum(n for what, n in odd.items() if "connection closed" in what)
    t.ok(lost <= 8 and sum(odd.values()) == lost, f"{role}: every answer is a yes or a clear \"later\"", odd)
    wait_for(lambda: server.ekiden("queue", "list", "--json")[1].strip() == "[]", 90, 0.3)
    found = Counter(int(re.search(rb"X-Number: (\d+)", m).group(1)) for m in server.messages("anna"))
    t.equal({n: found[n] for n in load.accepted if found[n] != 1}, {}, f"{role}: all that was taken is there once")
    t.equal([n for n, times in found.items() if times > 1], [], f"{role}: nothing twice")
    t.equal(reader.cmd("NOOP").status, "OK", f"{role}: the session that was there before is there still")
    reader.close()
    old.close()
    t.equal(server.workers(), pids, f"{role}: nobody was replaced")


def comes_in(server, listener_name):
    """A client with TLS from the start, or by STARTTLS, who logs in; false when he is turned away."""
    try:
        with server.imap(listener_name, timeout=120) as c:
            if listener_name == "imap" and c.starttls(server.tls_client(), server.hostname).status != "OK":
                return False
            return c.login(server.address("anna"), server.password).status == "OK"
    except (Closed, OSError):
        return False


def doors(server, role):
    """A tls, the edges: whose connection they cannot hold is turned away, who is there notices nothing."""
    pids, at = server.workers(), len(server.log())
    there = server.imap("imaps", "anna")
    for pid in server.busy(role):
        squeeze(pid, 0)
    outcomes = Counter(comes_in(server, name) for name in ("imaps", "imap") for _ in range(10))
    t.ok(outcomes[False] > 0, f"{role}: clients are turned away", outcomes)
    t.ok(wait_for(lambda: "LimitNOFILE" in server.log()[at:], 20), f"{role}: the log says what to do", server.tail())
    t.equal(there.cmd("NOOP").status, "OK", f"{role}: who was there goes on")
    for pid in server.busy(role):
        allow(pid, None)
    t.ok(wait_for(lambda: comes_in(server, "imaps") and comes_in(server, "imap"), 60, 0.1), f"{role}: it recovers by itself")
    t.equal(there.cmd("NOOP").status, "OK", f"{role}: who was there is there still")
    there.close()
    t.equal(server.workers(), pids, f"{role}: nobody was replaced")


def outgoing(server, sink):
    pids, pid = server.workers(), server.busy("relay")[0]
    squeeze(pid, 0)
    with server.smtp("smtp") as c:
        c.ehlo()
        t.equal(c.mail("a@example.org", "far@elsewhere.test", text(1, 200_000)).code, 250, "relay: a large message for elsewhere is taken")
    t.ok(server.logged(r"status=deferred.*LimitNOFILE", 30), "relay: it is put off, and the log says what to do", server.tail())
    allow(pid, None)
    t.ok(sink.wait(1, 60), "relay: and goes out when there is room again")
    t.equal(server.workers(), pids, "relay: nobody was replaced")


with Sink() as target:
    for squeezed in (("store",), ("queue",), ("tls", "edge", "relay")):
        with Server(CONFIG.replace("SINK", str(target.port)), users=["anna"], roles="  stores = 1", spool="  segment_size = 4M") as one:
            for this in squeezed:
                if this == "relay":
                    outgoing(one, target)
                elif this in ("tls", "edge"):
                    doors(one, this)
                else:
                    alone(one, this)
            t.ok(one.stop(), "the server stops in order")
            t.equal(one.problems(), [], "nobody died, no reports")
t.done()
