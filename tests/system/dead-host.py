#!/usr/bin/python3
# dead-host.py - thousands of messages for one next hop that is dead: put off together, nobody else waits, nothing falls over
# SPDX-License-Identifier: Apache-2.0
import resource
import socket

from ekiden import MAIL, Server, wait_for
from tap import Tap

MESSAGES = 3000                      # with the small stack below as deep as 50,000 with the usual one
CONFIG = MAIL + """
smtp "out" { }
routing {
  transport = out
  relayhost = "[127.0.0.1]:PORT"
}
queue {
  spool       = spool
  backoff_min = 1h
  backoff_max = 1h
}
listener "smtp" {
  address  = "127.0.0.1:${port_smtp}"
  protocol = smtp
}
"""
t = Tap()
# a host that does not answer: its line of connections is full, so what waits for it grows; then it refuses
mute = socket.socket()
mute.bind(("127.0.0.1", 0))
mute.listen(0)
port = mute.getsockname()[1]
fillers = [socket.socket() for _ in range(4)]
for filler in fillers:
    filler.setblocking(False)
    filler.connect_ex(("127.0.0.1", port))

resource.setrlimit(resource.RLIMIT_STACK, (512 * 1024, resource.RLIM_INFINITY))
with Server(CONFIG.replace("PORT", str(port)), users=["anna"]) as server:
    with server.smtp() as c:
        c.ehlo()
        taken = sum(c.mail("anna@example.test", f"u{i}@far.example", b"Subject: x\r\n\r\nx\r\n").code == 250 for i in range(MESSAGES))
    t.equal(taken, MESSAGES, "all are accepted")
    for sock in [mute, *fillers]:
        sock.close()
    t.ok(wait_for(lambda: server.log().count("status=deferred") >= MESSAGES, 120), "and deferred",
         f"{server.log().count('status=deferred')} were")
    for turn in (2, 3):
        status, text = server.ekiden("queue", "flush")
        t.ok(status == 0, f"all at once are to be tried again, for the {turn}th time", text)
        with server.smtp() as c:
            c.ehlo()
            answer = c.mail("x@far.example", "anna@example.test", b"Subject: near\r\n\r\nx\r\n")
        t.ok(answer.code == 250 and server.wait_messages("anna", turn - 1, 60), "local mail arrives meanwhile", answer)
        t.ok(wait_for(lambda n=turn: server.log().count("status=deferred") >= n * MESSAGES, 120), "and they are put off again",
             f"{server.log().count('status=deferred')} were")
    server.restart()
    t.ok(wait_for(lambda: server.ekiden("queue", "list")[1].rstrip().endswith(f"in {MESSAGES} Requests."), 30),
         "all are there after a restart", server.ekiden("queue", "list")[1][-200:])
t.ok(not server.problems(), "no process died, no report", server.problems())
t.done()
