#!/usr/bin/python3
# respawn.py - a role that dies comes back after a pause that doubles up to its bound, and is served on meanwhile
# SPDX-License-Identifier: Apache-2.0
import json
import os
import signal
import time

from ekiden import MAIL, Server, wait_for
from tap import Tap

CONFIG = MAIL + """
listener "smtp" {
  address  = "127.0.0.1:${port_smtp}"
  protocol = smtp
}
"""
t = Tap()


def edge(server):
    """(pid, state, restarts) of the SMTP edge, as status tells."""
    for w in json.loads(server.ekiden("status", "--json")[1])["master"]["workers"]:
        if w["name"].startswith("edge"):
            return w["pid"], w["state"], w["restarts"]
    return None


def kill(server, pid):
    """Seconds until another process has its place."""
    start = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    found = wait_for(lambda: next((p for p, name in server.workers().items() if name.startswith("edge") and p != pid and p not in known), None), 60, 0.005)
    known.add(found)
    return time.monotonic() - start, found


known = set()
with Server(CONFIG, users=["anna"], roles="  restart_delay = 300ms\n  restart_delay_max = 600ms\n  login_edges = 1\n  smtp_edges = 1") as server:
    server.deaths_expected = True
    pid, state, before = edge(server)
    known |= {p for p, name in server.workers().items() if name.startswith("edge")}
    pauses = []
    for n in range(8):
        pause, pid = kill(server, pid)
        pauses.append(pause)
    # a timer is never early, so the lower bounds hold on any machine; without its bound the pauses would be 76 s together
    t.ok(pauses[0] >= 0.3, "the first pause is restart_delay", pauses)
    t.ok(all(p >= 0.6 for p in pauses[1:]), "then it is twice that", pauses)
    t.ok(sum(pauses) < 60, "and never more than restart_delay_max", pauses)
    with server.smtp("smtp") as c:
        t.equal(c.ehlo().code, 250, "the ninth process serves: nobody who connected meanwhile was refused")
    t.ok(wait_for(lambda: (edge(server) or ("", "", 0))[1:] == ("ready", before + 8)), "status counts the restarts", edge(server))
    t.equal(server.problems(), [], "no reports")
t.done()
