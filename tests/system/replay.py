#!/usr/bin/python3
# replay.py - queue and store are killed again and again while clients expunge and move all they see: each message comes once
# SPDX-License-Identifier: Apache-2.0
# limit: 1200
# ports
"""A message that was written and not yet recorded is delivered once more after a crash.  A session that comes first must not
have expunged or moved it by then: each message appears under one UID of INBOX, ever."""
import os
import random
import re
import signal
import threading
import time
from collections import defaultdict

from ekiden import MAIL, Server, wait_for
from tap import Tap
from wire import Closed, Imap, Smtp

t = Tap()
seed = int(os.environ.get("EKIDEN_SEED") or random.randrange(1 << 30))
rng = random.Random(seed)
AHEAD = 300                          # messages in an INBOX that wait to be taken away
KILLS = 60 if os.environ.get("EKIDEN_FULL") else 9
CONFIG = MAIL + """
listener "smtp" {
  address  = "127.0.0.1:${port_smtp}"
  protocol = smtp
}
listener "imap" {
  address  = "127.0.0.1:${port_imap}"
  protocol = imap
  plaintext_auth = yes
}
"""
users = ["anna", "ben"]
# `done` is written late, so that a kill finds many messages that are files and not yet recorded
server = Server(CONFIG, users=users, roles="  restart_delay = 20ms\n  restart_delay_max = 200ms", spool="  sync_delay = 1s")
server.deaths_expected = True
stop, lock = threading.Event(), threading.Lock()
numbers, accepted, unsure = iter(range(1, 1 << 30)), set(), set()
seen = defaultdict(set)              # number -> (user, UIDVALIDITY, UID) under which INBOX had it
taken = {"expunged": 0, "moved": 0}
there = dict.fromkeys(users, 0)


def sender():
    while not stop.is_set():
        try:
            with Smtp(server.port("smtp"), timeout=60) as c:
                c.ehlo()
                while not stop.is_set():
                    if max(there.values()) > AHEAD:          # else a round of the takers takes ever longer
                        time.sleep(0.01)
                        continue
                    with lock:
                        n = next(numbers)
                        unsure.add(n)
                    text = f"From: a@example.org\r\nX-Number: {n}\r\nSubject: {n}\r\n\r\nend\r\n"
                    if c.mail("a@example.org", server.address(users[n % len(users)]), text).code != 250:
                        raise Closed("refused")
                    with lock:
                        accepted.add(n)
        except (OSError, Closed):
            time.sleep(0.02)


def look(c, user):
    """Notes what INBOX has: its UIDs."""
    answer = c.cmd("SELECT INBOX")
    validity = re.search(rb"UIDVALIDITY (\d+)", b"\n".join(answer.untagged))
    if answer.status != "OK" or not validity:
        raise Closed(str(answer))
    answer = c.cmd("UID FETCH 1:* (UID BODY.PEEK[HEADER.FIELDS (X-Number)])")
    uids = []
    for line in answer.untagged:
        uid, n = re.search(rb"UID (\d+)", line), re.search(rb"X-Number: (\d+)", line)
        if uid and n:
            uids.append(uid.group(1).decode())
            with lock:
                seen[int(n.group(1))].add((user, int(validity.group(1)), int(uid.group(1))))
    return uids


def taker(user, how):
    while not stop.is_set():
        try:
            with Imap(server.port("imap"), timeout=60) as c:
                c.login(server.address(user), server.password)
                c.cmd("CREATE Kept")
                while not stop.is_set():
                    found = look(c, user)
                    there[user] = len(found)
                    uids = ",".join(found)
                    if not uids:
                        continue
                    if how == "moved":
                        done = c.cmd(f"UID MOVE {uids} Kept")
                    else:
                        c.cmd(f"UID STORE {uids} +FLAGS.SILENT (\\Deleted)")
                        done = c.cmd(f"UID EXPUNGE {uids}")
                    if done.status == "OK":
                        taken[how] += len(uids.split(","))
        except (OSError, Closed):
            time.sleep(0.01)


t.note(f"seed {seed} (EKIDEN_SEED={seed} runs it again)")
threads = [threading.Thread(target=sender, daemon=True) for _ in range(6)]
threads += [threading.Thread(target=taker, args=pair, daemon=True) for pair in zip(users, ("expunged", "moved"))]
for thread in threads:
    thread.start()
for kill in range(KILLS):
    before = len(accepted), dict(taken)
    wait_for(lambda: len(accepted) > before[0] + 20 and all(taken[how] > before[1][how] for how in taken), 60, 0.01)
    time.sleep(rng.uniform(0, 0.3))
    for pid, name in server.workers().items():
        if name.split(".")[0] in (("queue", "store"), ("store",), ("queue",))[kill % 3]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
wait_for(lambda: taken["moved"] > 0, 30)
stop.set()
for thread in threads:
    thread.join(90)
t.ok(wait_for(lambda: server.ekiden("queue", "list", "--json")[1].strip() == "[]", 90, 0.2), "the queue empties", server.tail())
for name in users:
    with Imap(server.port("imap"), timeout=60) as client:
        client.login(server.address(name), server.password)
        look(client, name)
        answer = client.cmd("UID STORE 1:* +FLAGS.SILENT (\\Deleted)")
        t.ok(wait_for(lambda client=client: client.cmd("EXPUNGE").status == "OK", 30), "nothing stays guarded for good")
again = {n: sorted(seen[n]) for n in accepted | unsure if len(seen[n]) > 1}
t.equal(again, {}, "no message came again after it was expunged or moved")
t.equal([n for n in accepted if not seen[n]], [], f"each of {len(accepted)} was there, with {KILLS} kills")
t.ok(min(taken.values()) > 20, "clients were taking them away all the while", taken)
t.note(f"{taken}")
t.ok(server.stop(), "the server stops in order")
t.equal(server.problems(), [], "no reports")
t.done()
