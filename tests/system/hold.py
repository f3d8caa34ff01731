#!/usr/bin/python3
# hold.py - what policy holds stays held, whatever dies after the 250, until somebody releases it
# SPDX-License-Identifier: Apache-2.0
import os
import signal

from ekiden import MAIL, Server, program, wait_for
from tap import Tap

SCRIPT = """return {
  name = "hold", summary = "Holds all mail",
  at = { rcpt = function (self, mail, reply) return ek.HOLD end },
}
"""
CONFIG = MAIL + """
lua "hold" { script = read("hold.lua") }
listener "smtp" {
  address  = "127.0.0.1:${port_smtp}"
  protocol = smtp
  filters  = hold
}
"""
t = Tap()
if not os.path.exists(program("ekidend").rsplit("/", 1)[0] + "/modules/lua/.libs/lua.so"):
    t.skip_all("the lua module is not built")
server = Server(CONFIG, users=["anna"], start=False)
server.deaths_expected = True
with open(f"{server.dir}/hold.lua", "w", encoding="utf-8") as f:
    f.write(SCRIPT)
os.chmod(f"{server.dir}/hold.lua", 0o644)
server.start()
with server:
    ids = []
    killed = None
    for turn in range(5):
        wait_for(lambda k=killed: server.pid_of("queue.0") not in (None, k) and server.ready("queue.0"), 30)
        with server.smtp() as c:
            c.ehlo()
            answer = c.mail("ben@example.test", "anna@example.test", b"Subject: %d\r\n\r\nx\r\n" % turn)
            killed = server.pid_of("queue.0")
            os.kill(killed, signal.SIGKILL)        # at once after the 250
        t.equal(answer.code, 250, "a message is taken")
        ids.append(answer.text.rsplit(" ", 1)[-1])
    def held():
        lines = server.ekiden("queue", "list")[1].splitlines()
        return sorted(line.split("!")[0] for line in lines if line[16:17] == "!")
    t.ok(wait_for(lambda: held() == sorted(ids), 30), "all are in the queue, held", server.ekiden("queue", "list")[1])
    t.equal(server.messages("anna"), [], "nothing was delivered")
    status, text = server.ekiden("queue", "release", "ALL")
    t.ok(status == 0 and server.wait_messages("anna", 5), "released they arrive", text)
t.ok(not server.problems(), "no report", server.problems())
t.done()
