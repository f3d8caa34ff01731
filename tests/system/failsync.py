#!/usr/bin/python3
# failsync.py - syncs and writes fail under the live queue and the live store: who was promised nothing hears 451, the rest stays
# SPDX-License-Identifier: Apache-2.0
# limit: 300
# ports
import json
import os
import re
import threading
from collections import Counter

from ekiden import MAIL, Server, wait_for
from faults import Faults
from tap import Tap
from wire import Closed, Smtp

t = Tap()
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
users = ["anna", "ben", "later"]
faults = Faults()
server = Server(CONFIG, users=users, spool="  probe_interval = 1s", env=faults.env)
box = f"{server.mail}/{server.domain}/later"
accepted, refused, lock, numbers = {}, {}, threading.Lock(), iter(range(1, 100000))


def send(user, size=300):
    """The code of the reply that decided it; 0: none came."""
    with lock:
        n = next(numbers)
    head = f"From: a@example.org\r\nX-Number: {n}\r\n\r\n"
    try:
        with Smtp(server.port("smtp"), timeout=60) as c:
            c.ehlo()
            reply = c.mail("a@example.org", server.address(user), head + ("x" * 70 + "\r\n") * (size // 72) + f"end {n}\r\n")
    except (OSError, Closed):
        return 0
    with lock:
        (accepted if reply.code == 250 else refused)[n] = user
    return reply.code


def burst(count, user="anna", size=300):
    """So many at once: how often each code came."""
    codes = []
    threads = [threading.Thread(target=lambda i=i: codes.append(send(user, size if i % 4 else 90_000))) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    return Counter(codes)


def listed():
    return json.loads(server.ekiden("queue", "list", "--json")[1])


def delivered():
    """How often each number is in its mailbox."""
    out = Counter()
    for user in users:
        for message in server.messages(user):
            out[int(re.search(rb"X-Number: (\d+)", message).group(1)), user] += 1
    return out


def settled(seconds=90):
    return wait_for(lambda: {m["state"] for m in listed()} <= {"deferred"} and len(listed()) == waiting(), seconds, 0.3)


def waiting():
    return sum(user == "later" for user in accepted.values()) if closed else 0


def all_once(words):
    there, want = delivered(), Counter({(n, user): 1 for n, user in accepted.items() if not (closed and user == "later")})
    t.ok(there == want, words, f"missing {list((want - there).items())[:10]}, too many {list((there - want).items())[:10]}")


# messages that live while all this happens: their mailbox is not to be opened yet
os.makedirs(box)
os.chmod(f"{server.mail}/{server.domain}", 0o755)
server.give(f"{server.mail}/{server.domain}", "store")
with open(f"{box}/Maildir", "w", encoding="utf-8"):
    pass
closed = True
t.equal(burst(12, "later"), {250: 12}, "twelve messages wait")
t.equal(burst(8), {250: 8}, "and eight pass")
t.ok(settled(), "so it is", server.ekiden("queue", "list")[1])

# ---- one failure: that group alone ----

for what, rule in (("sync", faults.sync), ("write", faults.write)):
    faults.match("/spool/seg/")
    for _ in range(5):                   # it may hit a batch that holds no message: outcomes of what was delivered before
        hits = faults.hits()
        rule(1)
        codes = burst(12)
        if codes[451]:
            break
    t.ok(faults.hits() == hits + 1 and codes[451] >= 1 and set(codes) <= {250, 451}, f"a failing {what}: 451 to its group", codes)
    t.equal(burst(12), {250: 12}, "the next ones are accepted")
    t.ok(server.logged(r"seg/\d+\.seg: write or sync failed \(Input/output error\): the segment is given up", 10), "the log tells it", server.tail())
    t.ok(settled(), "what is accepted is delivered", server.ekiden("queue", "list")[1])
    all_once("and once, nothing else")
server.kill()
server.start()
t.ok(settled(), "after a crash what waited still waits, and no other", server.ekiden("queue", "list")[1])
all_once("and no message came back")

# ---- it fails again: nothing is accepted until it works ----

faults.sync(-1)
codes = burst(6)
t.ok(set(codes) <= {451, 452}, "syncs fail for good: all are put off", codes)
t.ok(server.logged(r"no segment can be written \(Input/output error\): no mail is accepted until one can", 20), "the log says that it stops", server.tail())
t.contains(server.ekiden("queue", "status")[1], "sick", "so does the queue's status")
with Smtp(server.port("smtp"), timeout=60) as c:
    c.ehlo()
    reply = c.cmd("MAIL FROM:<a@example.org>")
    t.ok(reply.code in (451, 452), "MAIL is put off", reply)
faults.sync(0)
t.ok(wait_for(lambda: send("anna") == 250, 60, 0.3), "they work again: accepted again by itself", server.tail())
t.ok(server.logged(r"the log is written again; mail is accepted", 20), "the log says so", server.tail())
t.ok(settled(), "all is delivered", server.ekiden("queue", "list")[1])
all_once("once")

# ---- the mailbox's disk ----

faults.match("Maildir")
hits = faults.hits()
faults.sync(1)
t.equal(burst(8, "ben"), {250: 8}, "syncs of the mailbox fail: accepted all the same")
t.ok(wait_for(lambda: faults.hits() > hits, 20), "one failed")
t.ok(settled(), "all is delivered", server.ekiden("queue", "list")[1])
all_once("each is there once")
faults.sync(-1)
t.equal(burst(8, "ben"), {250: 8}, "they fail for good")
def put_off():
    return len(re.findall(r"deferred.*cannot sync", server.log()))


before = put_off()
t.ok(wait_for(lambda: put_off() >= before + 16, 60, 0.2), "deferred, with the reason, again and again", server.tail())
faults.sync(0)
t.ok(settled(), "they work: delivered", server.ekiden("queue", "list")[1])
all_once("each is there once, whatever was left by attempts that failed")

# ---- the end ----

os.unlink(f"{box}/Maildir")
server.give(box, "store")
closed = False
server.ekiden("queue", "flush", "ALL")
t.ok(settled(), "what waited all the time is delivered", server.ekiden("queue", "list")[1])
all_once("and is there once")
t.ok(server.stop(), "the server stops in order")
t.equal(server.ekiden("fsck")[0], 0, "fsck finds nothing wrong")
t.equal(server.problems(), [], "no reports")
t.done()
