#!/usr/bin/python3
# reload-transaction.py - a transaction ends under the configuration that it began with; the next one has the new one
# SPDX-License-Identifier: Apache-2.0
from ekiden import MAIL, Server
from tap import Tap

CONFIG = MAIL + """
listener "smtp" {
  address        = "127.0.0.1:${port_smtp}"
  protocol       = smtp
  recipients_max = MAX
}
"""
t = Tap()


def rcpts(c):
    """The codes of three recipients."""
    return [c.cmd(f"RCPT TO:<{user}@example.test>").code for user in ("anna", "ben", "carl")]


with Server(CONFIG.replace("MAX", "1000"), users=["anna", "ben", "carl"]) as server:
    with server.smtp() as c, server.smtp() as between:
        c.ehlo()
        between.ehlo()
        c.cmd("MAIL FROM:<anna@example.test>")
        server.write(CONFIG.replace("MAX", "1"))
        t.equal(server.reload()[0], 0, "a reload in the middle of a transaction")
        between.cmd("MAIL FROM:<anna@example.test>")
        t.equal(rcpts(between), [250, 452, 452], "a session between two has the new limit")
        t.equal(rcpts(c), [250, 250, 250], "the transaction goes on as it began")
        t.equal(c.data(b"Subject: x\r\n\r\nx\r\n").code, 250, "to its end")
        c.cmd("MAIL FROM:<anna@example.test>")
        t.equal(rcpts(c), [250, 452, 452], "the next one has the new limit")
    for user in ("anna", "ben", "carl"):
        t.ok(server.wait_messages(user, 1), f"the message reaches {user}")
t.ok(not server.problems(), "no report", server.problems())
t.done()
