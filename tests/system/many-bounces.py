#!/usr/bin/python3
# many-bounces.py - a message whose many recipients are all refused: the sender hears of each of them, once
# SPDX-License-Identifier: Apache-2.0
import email
import re

from ekiden import MAIL, Server, wait_for
from sink import Sink
from tap import Tap

RCPTS = 900
CONFIG = MAIL + """
smtp "out" { }
routing {
  transport = out
  relayhost = "[127.0.0.1]:PORT"
}
listener "smtp" {
  address  = "127.0.0.1:${port_smtp}"
  protocol = smtp
}
"""
t = Tap()
reason = "no such person " + "here, as has been said before " * 12


def reported(server):
    """{recipient: how often} over all reports in anna's mailbox, and how many reports there are."""
    counts, reports = {}, server.messages("anna")
    for text in reports:
        status = next((p for p in email.message_from_bytes(text).walk() if p.get_content_type() == "message/delivery-status"), None)
        for group in status.get_payload() if status else []:
            final = re.sub(r"\s", "", group.get("Final-Recipient", ""))
            if final:
                counts[final] = counts.get(final, 0) + 1
                if group["Action"] != "failed" or group["Status"] != "5.1.1":
                    counts["bad"] = str(group)
    return counts, len(reports)


def all_told(server, wanted):
    return wait_for(lambda: len(reported(server)[0]) >= wanted, 60)


with Sink({"rcpt": lambda ctx, arg: "550 5.1.1 " + reason if "no" in arg else None}) as sink:
    with Server(CONFIG.replace("PORT", str(sink.port)), users=["anna"]) as server:
        names = [f"no{i}.{'x' * 40}@far.example" for i in range(RCPTS)]
        with server.smtp() as c:
            c.ehlo()
            answer = c.mail("anna@example.test", names, b"Subject: to all\r\nX-Long: " + b"y" * 900 + b"\r\n\r\nhello\r\n")
        t.equal(answer.code, 250, "the message is accepted")
        t.ok(all_told(server, RCPTS), "the sender hears of all recipients", len(reported(server)[0]))
        counts, reports = reported(server)
        t.equal(set(counts), {"rfc822;" + n for n in names}, "of these")
        t.equal(set(counts.values()), {1}, "of each once")
        t.ok(1 < reports < 100, "in a few reports", reports)
        t.ok(all(len(m) < 80 * 1024 and b"Subject: to all" in m for m in server.messages("anna")),
             "none too large, each with the header of the message")
        t.ok(wait_for(lambda: "Mail queue is empty" in server.ekiden("queue", "list")[1]), "and nothing is left in the queue",
             server.ekiden("queue", "list")[1][-300:])
        # some arrive, some do not; a null sender has nobody to tell
        with server.smtp() as c:
            c.ehlo()
            mixed = c.mail("anna@example.test", ["yes@far.example", *names[:3]], b"Subject: mixed\r\n\r\nhello\r\n")
            null = c.mail("", names, b"Subject: from nobody\r\n\r\nhello\r\n")
        t.equal((mixed.code, null.code), (250, 250), "two more are accepted")
        t.ok(wait_for(lambda: len(server.messages("anna")) == reports + 1, 30), "one report comes")
        t.ok(wait_for(lambda: "Mail queue is empty" in server.ekiden("queue", "list")[1]), "and nothing is left in the queue",
             server.ekiden("queue", "list")[1][-300:])
t.ok(not server.problems(), "no process died, no report", server.problems())
t.done()
