#!/usr/bin/python3
# queue-awaited.py - MAIL waits a moment for a queue that is being started, and is put off when it does not come
# SPDX-License-Identifier: Apache-2.0
import json
import os
import signal

from ekiden import MAIL, Server, wait_for
from tap import Tap

CONFIG = MAIL + """
listener "smtp" {
  address  = "127.0.0.1:${port_smtp}"
  protocol = smtp
}
"""
t = Tap()


def mail(server):
    """The reply to MAIL in a session of its own."""
    with server.smtp() as c:
        c.ehlo()
        return c.cmd("MAIL FROM:<anna@example.test>")


def kill_queue(server):
    """Ends it; returns when master knows."""
    pid = server.pid_of("queue.0")
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: all(w["pid"] != pid for w in json.loads(server.ekiden("status", "--json")[1])["master"]["workers"]))


with Server(CONFIG, users=["anna"], roles="  restart_delay = 2s\n  restart_delay_max = 2s") as server:
    server.deaths_expected = True
    first = [mail(server).code]
    for _ in range(3):
        server.restart()
        first.append(mail(server).code)
    t.equal(first, [250] * 4, "the first client after a start is served")

    with server.smtp() as c, server.smtp() as gone:
        c.ehlo()
        gone.ehlo()
        kill_queue(server)
        gone.send("MAIL FROM:<ben@example.test>\r\n")
        gone.sock.close()
        answers = [c.cmd("MAIL FROM:<anna@example.test>"), c.cmd("RCPT TO:<anna@example.test>"), c.data(b"Subject: after\r\n\r\nx\r\n")]
    t.equal([a.code for a in answers], [250, 250, 250], "a client that comes while queue is restarted is served")
    t.ok(server.wait_messages("anna", 1), "and his mail arrives")

    spool = f"{server.dir}/spool"
    os.rename(spool, spool + ".away")
    with open(spool, "w", encoding="utf-8"):     # no folder: queue cannot start
        pass
    kill_queue(server)
    t.equal(mail(server).code, 452, "without a queue MAIL is put off, after a while")
    os.unlink(spool)
    os.rename(spool + ".away", spool)
    t.ok(wait_for(lambda: mail(server).code == 250, 60), "and taken as soon as it is back", server.tail(10))
t.ok(not server.problems(), "no report", server.problems())
t.done()
