#!/usr/bin/python3
# poison.py - a message that crashes its worker is set aside; its user's other mail and everybody else's goes on
# SPDX-License-Identifier: Apache-2.0
# limit: 300
# ports
import json
import os
import signal
import threading
import time

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
"""
users = ["anna", "ben", "cleo", "dora"]
faults = Faults()
faults.match("Maildir")
faults.crash("X-Poison: yes")
server = Server(CONFIG, users=users, roles="  restart_delay = 20ms\n  restart_delay_max = 200ms", env=faults.env)
server.deaths_expected = True
stop, lock, sent = threading.Event(), threading.Lock(), {}


def send(user, subject, poison=False):
    """The queue id."""
    with Smtp(server.port("smtp"), timeout=60) as c:
        c.ehlo()
        head = "X-Poison: yes\r\n" if poison else ""
        reply = c.mail("a@example.org", server.address(user), f"From: a@example.org\r\n{head}Subject: {subject}\r\n\r\nend\r\n")
        if reply.code != 250:
            raise Closed(str(reply))
        return reply.text.rsplit(" ", 1)[1]


def sender(number):
    count = 0
    while not stop.is_set():
        count += 1
        user, subject = users[count % len(users)], f"load-{number}-{count}-"
        try:
            send(user, subject)
            with lock:
                sent[subject] = user
        except (OSError, Closed):
            time.sleep(0.05)


def held():
    status, out = server.ekiden("queue", "list", "hold", "--json")
    return {m["id"]: m for m in json.loads(out)} if status == 0 else {}


def is_held(queue_id, seconds=90):
    return wait_for(lambda: queue_id in held(), seconds, 0.3)


def subjects(user):
    return b"\n".join(server.messages(user)).decode()


# ---- under load ----

threads = [threading.Thread(target=sender, args=(i,), daemon=True) for i in range(4)]
for thread in threads:
    thread.start()
wait_for(lambda: len(sent) > 20, 60)
bad = send("anna", "poison one", poison=True)
t.ok(is_held(bad), "under load: it is held", server.tail())
before = len(sent)
t.ok(wait_for(lambda: len(sent) > before + 20, 60), "mail is accepted all the while")
stop.set()
for thread in threads:
    thread.join(60)
first = faults.crashes()
t.ok(3 <= first <= 4, "it took three workers, and perhaps one in company", first)
t.ok(server.logged(rf"{bad}: delivery crashed 2 workers", 5), "the log tells that it is isolated after two", server.tail())
t.ok(server.logged(rf"{bad}: placed on hold: it crashed its worker", 5), "and that it is held after three")
t.contains(held()[bad]["recipients"][0]["reason"], "crashed its worker", "the queue's list says why")
t.equal(held()[bad]["recipients"][0]["attempts"], first, "each death counts as an attempt")
t.contains(server.ekiden("queue", "list")[1], f"{bad}!", "and marks it as held")


def all_there():
    boxes = {user: subjects(user) for user in users}
    return all(subject in boxes[user] for subject, user in sent.items())


t.ok(wait_for(all_there, 60, 0.5), "all other messages are delivered, its user's too")
boxes = {user: subjects(user) for user in users}
t.equal([s for s, user in sent.items() if boxes[user].count(s) != 1], [], f"each of the {len(sent)} once")
t.ok("poison" not in boxes["anna"], "but not that one")

# ---- what is known of it survives ----

t.ok(server.stop(), "the server stops in order")
server.start()
t.ok(is_held(bad, 20), "after a restart it is still held")
good = send("anna", "after the restart")
t.ok(wait_for(lambda: "after the restart" in subjects("anna"), 30), "and its user gets other mail")
t.equal(faults.crashes(), first, "nobody died of it again")
server.ekiden("queue", "release", bad)
t.ok(wait_for(lambda: faults.crashes() == first + 1, 30) and is_held(bad, 30), "released too early, it is held after one more", faults.crashes())

# ---- alone, and with everything killed in between ----

two = send("ben", "poison two", poison=True)
t.ok(is_held(two), "without load: it is held", server.tail())
t.equal(faults.crashes(), first + 4, "after three workers")
three = send("ben", "poison three", poison=True)
wait_for(lambda: faults.crashes() >= first + 6, 60, 0.005)
for pid in list(server.workers()):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
t.ok(is_held(three), "all roles killed after two: it is held", server.tail())
t.ok(faults.crashes() <= first + 8, "what was counted before was not forgotten", faults.crashes() - first)

faults.crash("")
for queue_id in (bad, two, three):
    server.ekiden("queue", "release", queue_id)
wait_for(lambda: "poison one" in subjects("anna") and subjects("ben").count("poison") >= 2, 30)
t.equal([subjects("anna").count("poison one"), subjects("ben").count("poison two"), subjects("ben").count("poison three")],
        [1, 1, 1], "mended and released, each is delivered once")
t.ok(server.stop(), "the server stops in order")
t.equal(server.problems(), [], "no reports")
t.done()
