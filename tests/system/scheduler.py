#!/usr/bin/python3
# scheduler.py - back-off, limits for each destination, a dead host among living ones, what administrators do to a long queue
# waits
# SPDX-License-Identifier: Apache-2.0
# needs: unbound
# limit: 400
import json
import os
import pty
import re
import socket
import subprocess
import threading

import dns
from ekiden import MAIL, Server, program, wait_for
from sink import Sink
from tap import Tap

CONFIG = MAIL + """
dns_unbound {
  servers = "127.0.0.1@DNS"
}
listener "smtp" {
  address       = "127.0.0.1:${port_smtp}"
  protocol      = smtp
  reverse_names = no
}
smtp "out" {
  port             = PORT
  connect_timeout  = 5s
  greeting_timeout = GREETING
}
routing {
  transport = out
}
queue {
  destination_concurrency = 5
  delay_warning           = 0
  MORE
}
"""
ZONE = "dead MX 10 mx9\nslow MX 10 mx3\nlive MX 10 mx1\nmx1 A 127.0.0.1\nmx3 A 127.0.0.3\nmx9 A 127.0.0.9\n" + "".join(
    f"d{n} MX 10 mx9\n" for n in range(20))
MANY = 1000
ESTABLISHED = 1              # TCP_INFO: CLOSE_WAIT follows when the client has closed
t = Tap()


def established(sock):
    try:
        return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == ESTABLISHED
    except OSError:
        return False             # closed here


class Counting(Sink):
    """Knows how many connections were open at once: what the client has closed no longer counts, whether or not it was read so far."""

    def __init__(self, *args, **more):
        self.socks, self.peak, self.guard = set(), 0, threading.Lock()
        super().__init__(*args, **more)

    @property
    def open(self):
        with self.guard:
            return sum(map(established, self.socks))

    def _serve(self, sock, number):
        with self.guard:
            self.socks.add(sock)
        self.peak = max(self.peak, self.open)
        try:
            super()._serve(sock, number)
        finally:
            with self.guard:
                self.socks.discard(sock)


def config(zones, port, more, greeting="300s"):
    return CONFIG.replace("DNS", str(zones.port)).replace("PORT", str(port)).replace("GREETING", greeting).replace("MORE", more)


def send(server, rcpts, count=1):
    """The queue ids."""
    found = []
    with server.smtp("smtp", timeout=60) as c:
        c.ehlo()
        for n in range(count):
            answer = c.mail("dan@example.test", [r.replace("#", str(n)) for r in rcpts], b"Subject: %d\r\n\r\nx\r\n" % n)
            if answer.code != 250:
                t.ok(False, "a message is taken", answer)
            found.append(answer.text.rsplit(" ", 1)[-1])
    return found


def queue(server, *only):
    return json.loads(server.ekiden("queue", "list", *only, "--json")[1])


def settled(server, count, state="deferred", seconds=60):
    """The queue, when that many messages are in that state."""
    def look():
        found = [m for m in queue(server) if m["state"] == state]
        return found if len(found) == count else None
    return wait_for(look, seconds, 0.2) or []


def events(server):
    with open(f"{server.dir}/log/mail.json", encoding="utf-8") as f:
        return [json.loads(line) for line in f]


def seconds(event):
    h, m, s = event["time"].split("T")[1].rstrip("Z").split(":")
    return int(h) * 3600 + int(m) * 60 + float(s)


def dead_host(zones):
    """One host never greets and has 1,000 messages; others' mail flows; when it comes back it gets each once."""
    with Counting({"connect": ("hang",)}, host="127.0.0.9") as dead, Counting(host="127.0.0.1", port=dead.port) as live:
        with Server(config(zones, dead.port, "backoff_min = 1s\n  backoff_max = 3s"), users=["anna"], roles="  stop_timeout = 4s") as server:
            send(server, ["u#@dead.far.example"], MANY)
            t.ok(wait_for(lambda: dead.open == 5), "it takes as many connections as destination_concurrency says", dead.open)
            send(server, ["anna@example.test", "v#@live.far.example"], 50)
            t.equal(len(server.wait_messages("anna", 50, 60)), 50, "local mail flows")
            t.ok(live.wait(50, 60), "mail for another host flows", len(live.messages))
            t.equal((dead.open, dead.peak), (5, 5), "while all that the dead host holds are five")
            wait_for(lambda: len(queue(server, "active")) == MANY, 30)       # the others' last answers are on their way
            t.equal(len(queue(server, "active")), MANY, "and its mail waits")
            status, text = server.ekiden("queue", "hold", "*@dead.far.example")
            t.ok(status == 0 and f"{MANY} messages held" in text, "they are held with one command", text)
            server.restart()
            t.equal(len(settled(server, MANY, "hold")), MANY, "and still are after a restart")
            t.equal(dead.open, 0, "nobody asks the dead host")
            dead.script["connect"] = None
            progress, text = on_terminal(server, "queue", "release", "ALL")
            t.ok(re.search(r"\r\d+ messages released \.\.\.", progress), "release tells its progress on a terminal", progress)
            t.contains(text, f"{MANY} messages released", "and then how many there were")
            t.ok(dead.wait(MANY, 180), "it comes back and gets its mail", len(dead.messages))
            t.ok(settled(server, 0, "active") == [] and wait_for(lambda: not queue(server), 30, 0.2), "the queue is empty")
            t.equal(sorted(m.rcpts[0] for m in dead.messages), sorted(f"u{n}@dead.far.example" for n in range(MANY)), "each once")
            t.ok(dead.peak <= 5, f"over at most {dead.peak} connections")
            server.stop()
            t.equal(server.problems(), [], "no reports")


def on_terminal(server, *words):
    """(what stood on standard error, a terminal; standard output)"""
    ours, theirs = pty.openpty()
    done = subprocess.Popen([program("ekiden"), *words], env={**server.environment(), "EKIDEN_CONFIG": server.conf}, stdout=subprocess.PIPE,
                            stderr=theirs, stdin=subprocess.DEVNULL)
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 4096):
            shown += chunk
    except OSError:                      # a terminal whose other end is closed
        pass
    os.close(ours)
    return shown.decode(), done.communicate()[0].decode()


def back_off(zones):
    """Pauses grow with age within their limits, and differ."""
    asked = []
    with Counting({"rcpt": lambda _conn, arg: asked.append(arg) or "451 4.2.1 later"}) as sink:
        with Server(config(zones, sink.port, "backoff_min = 1s\n  backoff_max = 4s\n  lifetime = 1h")) as server:
            qid = send(server, ["u@live.far.example"])[0]
            t.ok(wait_for(lambda: server.log().count(f"{qid}: to=<u@live.far.example>") >= 5, 60, 0.1), "five attempts")
            tries = [seconds(e) for e in events(server) if e["event"] == "deferred" and e["qid"] == qid]
            born = next(seconds(e) for e in events(server) if e["event"] == "queued" and e["qid"] == qid)
            for before, after in zip(tries, tries[1:]):
                age = before - born
                t.ok(after - before >= 0.88 * min(max(age, 1), 4), f"at {age:.1f} s the pause is {after - before:.1f} s, not shorter than it may be")
            server.ekiden("queue", "hold", qid)
            t.ok(wait_for(lambda: queue(server, "hold"), 10, 0.1), "it is held")
            counted(server, qid, asked, lambda: len([e for e in events(server) if e["event"] == "deferred" and e["qid"] == qid]))
            server.stop()
            t.equal(server.problems(), [], "no reports")
        with Server(config(zones, sink.port, "backoff_min = 1000s\n  backoff_max = 2000s")) as server:
            send(server, ["u#@live.far.example"], 40)
            found = settled(server, 40)
            pauses = [m["recipients"][0]["next_try"] - m["arrival"] for m in found]
            t.ok(len(pauses) == 40 and min(pauses) >= 899, f"the first pause is {min(pauses)} s or more", pauses)
            t.ok(len(set(pauses)) >= 10, f"{len(set(pauses))} different ones of 40: not all come back at once", pauses)
            tell(server, sink)
            server.stop()
            t.equal(server.problems(), [], "no reports")


def attempts(server):
    """Id -> how often its one recipient was tried, as the queue says."""
    return {m["id"]: m["recipients"][0]["attempts"] for m in queue(server)}


def counted(server, qid, asked, deferrals):
    """The queue counts what the log tells, and still after a kill and after a stop in order."""
    t.ok(wait_for(lambda: attempts(server).get(qid) == deferrals() == len(asked), 20, 0.2), "as many attempts are counted as the host saw",
         (attempts(server), deferrals(), len(asked)))
    count = attempts(server).get(qid)
    t.ok(count and count >= 5, f"{count} attempts")
    server.deaths_expected = True
    for kill in (True, False):
        if kill:
            server.kill()
            server.start()
        else:
            server.restart()
        t.equal(attempts(server), {qid: count}, f"the same after {'a kill' if kill else 'a restart'}")


def tell(server, sink):
    """flush, hold, release, requeue, delete by id, pattern, state and ALL, on 40 deferred messages."""
    sink.script["rcpt"] = None
    t.equal(server.ekiden("queue", "flush", "u1?@live*")[0], 0, "flush by a pattern")
    t.ok(sink.wait(10, 40), "ten go", len(sink.messages))
    t.equal(sorted(m.rcpts[0] for m in sink.messages), [f"u{n}@live.far.example" for n in range(10, 20)], "those")
    left = settled(server, 30)
    one = left[0]["id"]
    t.equal(server.ekiden("queue", "hold", "ALL")[1], "30 messages held\n", "hold ALL")
    t.equal(server.ekiden("queue", "flush", "ALL")[0], 0, "flush does not touch what is held")
    t.equal((len(queue(server, "hold")), len(sink.messages)), (30, 10), "nothing goes")
    t.equal(server.ekiden("queue", "release", one)[1], "1 message released\n", "release one")
    t.ok(sink.wait(11, 40), "it goes")
    t.equal(server.ekiden("queue", "delete", "u2?@*")[1], "10 messages deleted\n", "delete by a pattern, held or not")
    t.equal(server.ekiden("queue", "requeue", "hold")[1], "19 messages requeued\n", "requeue by state")
    t.ok(sink.wait(30, 40), "the rest goes", len(sink.messages))
    t.ok(wait_for(lambda: not queue(server), 30, 0.2), "the queue is empty")
    t.equal(server.ekiden("queue", "delete", one)[0], 1, "what is gone is not found")


def refusing(zones):
    """A next hop that cannot be reached: one attempt for all that waits, and flush asks again at once."""
    with Sink(host="127.0.0.1") as taken:                    # nobody listens on that port at 127.0.0.9
        with Server(config(zones, taken.port, "backoff_min = 100s\n  backoff_max = 200s")) as server:
            send(server, ["u#@dead.far.example"], 200)
            found = settled(server, 200)
            t.equal(len(found), 200, "all are put off")
            asked = len(re.findall(r"connect to mx9\.far\.example\S+: Connection refused$", server.log(), re.M))
            t.ok(asked < 150, f"after {asked} attempts for 200 messages")
            reasons = {m["recipients"][0]["reason"] for m in found}
            tries = [m["recipients"][0]["attempts"] for m in found]
            t.ok(0 < sum(tries) <= asked and set(tries) == {0, 1}, f"{sum(tries)} count as tried, the others do not", tries)
            t.ok(any("delivery temporarily suspended: connect to mx9.far.example" in r for r in reasons), "the others' reason says so", reasons)
            with Counting(host="127.0.0.9", port=taken.port) as back:
                t.equal(server.ekiden("queue", "flush")[0], 0, "flush")
                t.ok(back.wait(200, 60), "what was dead a moment ago is asked at once", len(back.messages))
                t.ok(back.peak <= 5, f"over at most {back.peak} connections")
            server.stop()
            t.equal(server.problems(), [], "no reports")


with dns.Dns({"far.example": ZONE}) as zones_:
    dead_host(zones_)
    back_off(zones_)
    refusing(zones_)
t.done()
