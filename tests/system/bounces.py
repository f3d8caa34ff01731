#!/usr/bin/python3
# bounces.py - what senders are told: bounces, delay warnings and success reports (RFC 3461, 3464), read by a parser
# SPDX-License-Identifier: Apache-2.0
# limit: 300
import email
import email.policy
import re

from ekiden import MAIL, Server, wait_for
from sink import Sink
from tap import Tap

CONFIG = MAIL + """
listener "smtp" {
  address  = "127.0.0.1:${port_smtp}"
  protocol = smtp
}
smtp "out" {
  connect_timeout = 5s
}
routing {
  transport = out
  relayhost = "[127.0.0.1]:SINK"
}
queue {
  backoff_min     = 1s
  backoff_max     = 2s
  lifetime        = 6s
  bounce_lifetime = 2s
  delay_warning   = 1s
}
"""
BODY = b"From: anna@example.test\r\nTo: x\r\nMessage-ID: <orig@example.test>\r\nSubject: original\r\n\r\nfirst line\r\nlast line\r\n"
t = Tap()


def send(server, rcpts, mail="MAIL FROM:<anna@example.test>", body=BODY):
    """rcpts: [(address, parameters)]; the queue id."""
    with server.smtp("smtp") as c:
        c.ehlo()
        t.equal(c.cmd(mail).code, 250, mail)
        for address, more in rcpts:
            t.equal(c.cmd(f"RCPT TO:<{address}>{more}").code, 250, f"RCPT {address}{more}")
        answer = c.data(body)
    t.equal(answer.code, 250, "taken")
    return answer.text.rsplit(" ", 1)[-1]


class Report:
    """A notification that came into a mailbox."""

    def __init__(self, data):
        self.data = data
        self.mail = email.message_from_bytes(data, policy=email.policy.default)
        parts = self.mail.get_payload() if self.mail.is_multipart() else []
        self.parts = parts
        self.types = [p.get_content_type() for p in parts]
        status = parts[1].get_payload() if len(parts) > 1 and isinstance(parts[1].get_payload(), list) else []
        self.message = status[0] if status else {}
        self.rcpts = {re.sub(r"^[^;]*; *", "", r["Final-Recipient"]): r for r in status[1:]}
        self.actions = {a: r["Action"] for a, r in self.rcpts.items()}


def reports(server, qid, count=1, user="anna", seconds=40):
    """Those on the message with that queue id, as soon as there are so many."""
    def look():
        found = [r for r in map(Report, server.messages(user)) if r.message and r.message["X-Ekiden-Queue-ID"] == qid]
        return found if len(found) >= count else None
    got = wait_for(look, seconds, 0.1)
    t.ok(got is not None, f"{count} notification(s) on {qid}", server.tail(15) if got is None else None)
    return got or []


def gone(server, qid):
    return t.ok(server.logged(rf"{qid}: removed", 40) is not None, f"{qid} leaves the queue")


def is_report(r, to="anna@example.test"):
    """What RFC 3462, 3464 and 3834 want of every one."""
    m = r.mail
    t.equal((m.get_content_type(), m.get_param("report-type")), ("multipart/report", "delivery-status"), "a multipart/report")
    t.equal(r.types[:2], ["text/plain", "message/delivery-status"], "for people, then for programs")
    t.equal((str(m["Return-Path"]), str(m["To"]).strip("<>")), ("<>", to), "from nobody, to the sender")
    t.ok(m["From"] and "MAILER-DAEMON@" in m["From"] and m["Message-ID"] and m["Date"] and m["MIME-Version"] == "1.0", "with its header", str(m))
    t.ok(str(m["Auto-Submitted"]).startswith("auto-"), "marked as automatic", m["Auto-Submitted"])
    t.equal((r.message["Reporting-MTA"], bool(r.message["Arrival-Date"])), ("dns; mail.example.test", True), "who reports, and since when")
    t.equal(m.defects + [d for p in m.walk() for d in p.defects], [], "no defects in its MIME")


def refused(server, sink):
    sink.script["rcpt"] = lambda _c, arg: "550 5.1.1 no such user" if "no@" in arg else None
    qid = send(server, [("no@far.example", " ORCPT=rfc822;No+2BTag@far.example"), ("yes@far.example", "")],
               "MAIL FROM:<anna@example.test> RET=HDRS ENVID=QQ+2B314159")
    got = reports(server, qid)
    for r in got[:1]:
        is_report(r)
        t.equal(r.actions, {"no@far.example": "failed"}, "on the one that was refused alone")
        f = r.rcpts["no@far.example"]
        t.equal(f["Status"], "5.1.1", "Status")
        t.equal(f["Original-Recipient"], "rfc822; No+Tag@far.example", "Original-Recipient, decoded")
        t.equal(r.message["Original-Envelope-Id"], "QQ+314159", "Original-Envelope-Id, decoded")
        t.ok(str(f["Diagnostic-Code"]).startswith("smtp;") and "550 5.1.1 no such user" in re.sub(r"\s+", " ", f["Diagnostic-Code"]), "Diagnostic-Code",
             f["Diagnostic-Code"])
        t.ok(str(f["Remote-MTA"]).startswith("dns; "), "Remote-MTA", f["Remote-MTA"])
        t.equal(r.types[2], "text/rfc822-headers", "RET=HDRS: the header comes back")
        t.ok("Subject: original" in r.parts[2].as_string() and "first line" not in r.parts[2].as_string(), "and nothing else")
        t.contains(r.parts[0].get_content(), "no@far.example", "the text names the address")
    gone(server, qid)
    qid = send(server, [("no@far.example", " NOTIFY=FAILURE")], "MAIL FROM:<anna@example.test> RET=FULL")
    for r in reports(server, qid)[:1]:
        t.equal(r.types[2], "message/rfc822", "RET=FULL: all of it comes back")
        t.contains(r.parts[2].as_string(), "last line", "to the last line")
    qid = send(server, [("no@far.example", " NOTIFY=FAILURE")], "MAIL FROM:<anna@example.test> RET=FULL",
               BODY + b"0123456789abcdef" * 4 * 1000 + b"\r\n" + b"y" * 900 + b"\r\n" * 2000)
    for r in reports(server, qid)[:1]:
        t.equal(r.types[2], "text/rfc822-headers", "but not a large one")
    silent = send(server, [("no@far.example", " NOTIFY=NEVER"), ("no@far.example", " NOTIFY=SUCCESS,DELAY")])
    gone(server, silent)
    null = send(server, [("no@far.example", "")], "MAIL FROM:<>")
    gone(server, null)
    double = send(server, [("no@far.example", "")], "MAIL FROM:<no@far.example>")
    gone(server, double)
    t.ok(server.logged(r"a bounce could not be delivered and is dropped", 20), "a bounce that bounces is dropped, and that is logged")
    for what, n in ((silent, "NOTIFY says no"), (null, "of the null sender's mail"), (double, "a bounce of a bounce")):
        t.equal([r for r in map(Report, server.messages("anna")) if r.message and r.message["X-Ekiden-Queue-ID"] == what], [], f"no notification: {n}")
    t.equal(len(re.findall(rf"(?:{silent}|{null}): sender non-delivery", server.log())), 0, "nor is one made")
    t.equal([m.rcpts for m in sink.messages if m.sender == ""], [], "no bounce was taken elsewhere")


def expires(server, sink):
    """Two attempts or more, one warning, and the end."""
    sink.script["rcpt"] = lambda _c, arg: "451 4.2.1 later" if "later" in arg else None
    before = len(server.messages("ben"))
    qid = send(server, [("later1@far.example", ""), ("later2@far.example", " NOTIFY=FAILURE"), ("later3@far.example", " NOTIFY=DELAY"),
                        ("later4@far.example", " NOTIFY=NEVER"), ("ben@example.test", "")])
    got = reports(server, qid, 2)
    gone(server, qid)
    got = reports(server, qid, 2)
    t.equal(len(got), 2, "one warning and one bounce, however many attempts there were")
    warning = next((r for r in got if "delayed" in r.actions.values()), None)
    bounce = next((r for r in got if "failed" in r.actions.values()), None)
    if t.ok(warning and bounce, "both are there", [r.actions for r in got]):
        is_report(warning)
        t.equal(warning.actions, {"later1@far.example": "delayed", "later3@far.example": "delayed"}, "the warning is for those who want it")
        f = warning.rcpts["later1@far.example"]
        t.ok(f["Status"] == "4.2.1" and f["Will-Retry-Until"], "its status, and until when it is tried", f.as_string())
        is_report(bounce)
        t.equal(bounce.actions, {"later1@far.example": "failed", "later2@far.example": "failed"}, "the bounce is for those who want it")
        t.equal(bounce.rcpts["later1@far.example"]["Status"], "4.2.1", "with the last status")
    tries = len(re.findall(rf"{qid}: to=<later1@far\.example>.*status=deferred", server.log()))
    t.ok(tries >= 2, f"{tries} attempts were put off")
    t.ok(server.logged(rf"{qid}: from=<anna@example\.test>, status=expired, returned to sender"), "the log says why it ended")
    t.equal(len(server.wait_messages("ben", before + 1)), before + 1, "the fifth has it, once")
    null = send(server, [("later5@far.example", "")], "MAIL FROM:<>")
    gone(server, null)
    t.equal(len(re.findall(rf"{null}: sender ", server.log())), 0, "a bounce's own lifetime ends in silence")


def succeeds(server, sink):
    qid = send(server, [("ben@example.test", " NOTIFY=SUCCESS ORCPT=rfc822;b@old.example")], "MAIL FROM:<anna@example.test> ENVID=e1")
    for r in reports(server, qid)[:1]:
        is_report(r)
        t.equal(r.actions, {"ben@example.test": "delivered"}, "NOTIFY=SUCCESS: delivered to a mailbox")
        t.equal((r.rcpts["ben@example.test"]["Status"][0], r.rcpts["ben@example.test"]["Original-Recipient"], r.message["Original-Envelope-Id"]),
                ("2", "rfc822; b@old.example", "e1"), "with its fields")
        t.equal(r.types[2], "text/rfc822-headers", "and the header")
    gone(server, qid)
    qid = send(server, [("u@far.example", " NOTIFY=SUCCESS,FAILURE"), ("ben@example.test", " NOTIFY=SUCCESS"), ("w@far.example", " NOTIFY=FAILURE"),
                        ("v@far.example", "")])
    got = reports(server, qid, 2)
    actions = {}
    for r in got:
        actions.update(r.actions)
    t.equal(actions, {"u@far.example": "relayed", "ben@example.test": "delivered"}, "relayed to a host that sends no reports, delivered here")
    gone(server, qid)
    t.ok("NOTIFY" not in "".join(sink.messages[-1].rcpt_lines), "which is not told of NOTIFY", sink.messages[-1].rcpt_lines)
    sink.features = (*sink.features, "DSN")
    sink.script["mail"] = [("close",), None]                 # a connection from before would not know
    qid = send(server, [("dsn@far.example", " NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Old+2BOne@x.example")], "MAIL FROM:<anna@example.test> RET=HDRS ENVID=abc+2B1")
    gone(server, qid)
    m = next((m for m in sink.messages if m.rcpts == ["dsn@far.example"]), None)
    if t.ok(m is not None, "a host that knows DSN gets it"):
        t.ok("NOTIFY=SUCCESS,DELAY" in m.rcpt_lines[0] and "ORCPT=rfc822;Old+2BOne@x.example" in m.rcpt_lines[0], "with NOTIFY and ORCPT", m.rcpt_lines)
        t.ok("RET=HDRS" in m.mail_line and "ENVID=abc+2B1" in m.mail_line, "RET and ENVID", m.mail_line)
    t.equal(len(re.findall(rf"{qid}: sender ", server.log())), 0, "and the report is its business")


def takes_mail(server):
    """Edges have heard from queue."""
    with server.smtp("smtp") as c:
        c.ehlo()
        return c.cmd("MAIL FROM:<anna@example.test>").code == 250


with Sink() as sink, Server(CONFIG.replace("SINK", str(sink.port)), users=["anna", "ben"]) as server:
    t.ok(wait_for(lambda: takes_mail(server)), "it takes mail")
    refused(server, sink)
    succeeds(server, sink)
    expires(server, sink)
    t.ok(wait_for(lambda: "Mail queue is empty" in server.ekiden("mailq")[1], 30, 0.5), "the queue is empty at the end")
    server.stop()
    t.equal(server.problems(), [], "no reports")
t.done()
