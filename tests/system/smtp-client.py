#!/usr/bin/python3
# smtp-client.py - mail for elsewhere: MX, fallback, refusals, TLS, reuse, as scripted servers and the log tell it
# SPDX-License-Identifier: Apache-2.0
# needs: unbound
import os
import time

import certs
import dns
from ekiden import MAIL, Server
from sink import Sink
from tap import Tap

CONFIG = MAIL + """
dns_unbound {
  servers = "127.0.0.1@DNS"
}
smtp "out" {
  port            = PORT
  connect_timeout = 3s
  SETTINGS
}
routing {
  transport = out
}
listener "smtp" {
  address  = "127.0.0.1:${port_smtp}"
  protocol = smtp
}
"""
ZONE = """
good   MX 10 mx1
multi  MX 20 mx2
multi  MX 10 mx1
other  MX 20 mx2
other  MX 10 mx1
third  MX 20 mx2
third  MX 10 mx1
dead   MX 10 mx9
dead   MX 20 mx1
null   MX 0 .
self   MX 10 mail.example.test.
self   MX 20 mx1
bare   A 127.0.0.1
alias  CNAME good
none   TXT "no mail here"
empty  MX 10 nowhere
mx1    A 127.0.0.1
mx2    A 127.0.0.2
mx9    A 127.0.0.9
"""
t = Tap()
# one port on several addresses, as real hosts have
first = Sink()
second = Sink(host="127.0.0.2", port=first.port)
zones = dns.Dns({"far.example": ZONE}, folder=os.environ["EKIDEN_RUN"] + "/dns")


def config(port, settings=""):
    return CONFIG.replace("DNS", str(zones.port)).replace("PORT", str(port)).replace("SETTINGS", settings)


def send(server, rcpts, body=b"Subject: x\r\n\r\nhello\r\n.dot\r\n", sender="anna@example.test"):
    """Hands it in; the queue id."""
    rcpts = rcpts if isinstance(rcpts, list) else [rcpts]
    with server.smtp() as c:
        c.ehlo()
        answer = c.mail(sender, rcpts, body)
    t.ok(answer.code == 250, f"mail for {' '.join(rcpts)} is taken", answer)
    return answer.text.rsplit(" ", 1)[-1]


def outcome(server, qid, status, *parts, to=""):
    line = server.logged(rf"^.*{qid}: to=<{to}.*status={status}.*$", 15)
    t.ok(line is not None, f"{to} status={status}", server.tail(12))
    for part in parts:
        t.contains(line[0] if line else "", part, part)


def routes(server):
    qid = send(server, "u@good.far.example")
    t.ok(first.wait(1, 10), "it arrives at the MX")
    m = first.messages[-1]
    t.equal((m.sender, m.rcpts, m.helo), ("anna@example.test", ["u@good.far.example"], "mail.example.test"), "with its envelope")
    t.ok(m.data.endswith(b"\r\n\r\nhello\r\n.dot\r\n") and m.data.startswith(b"Received: "), "and its content", m.data)
    outcome(server, qid, "sent", "ekiden/smtp[", f"relay=mx1.far.example[127.0.0.1]:{first.port}", "dsn=2.0.0", "(250 2.0.0 taken)")
    t.ok(server.logged(rf"{qid}: removed"), "and is removed from the queue")

    for name, parts in {"null": ["dsn=5.1.10", "does not accept mail (nullMX)"], "nothing": ["dsn=5.4.4", "Host not found"],
                        "self": ["dsn=5.4.6", "mail for self.far.example loops back to myself"]}.items():
        outcome(server, send(server, f"u@{name}.far.example"), "bounced", *parts, to=f"u@{name}")
    outcome(server, send(server, "u@bare.far.example"), "sent", "relay=bare.far.example[127.0.0.1]")
    outcome(server, send(server, "u@alias.far.example"), "sent", "relay=mx1.far.example[127.0.0.1]")
    outcome(server, send(server, "u@empty.far.example"), "bounced", "Host not found")


def fallback(server):
    qid = send(server, "u@dead.far.example")
    outcome(server, qid, "sent", "relay=mx1.far.example[127.0.0.1]")
    t.ok(server.logged(rf"connect to mx9.far.example\[127.0.0.9\]:{first.port}: Connection refused"), "the dead host is named")

    before = len(second.messages)
    first.script["connect"] = "421 4.3.2 busy"
    outcome(server, send(server, "u@multi.far.example"), "sent", "relay=mx2.far.example[127.0.0.2]")
    first.script["connect"] = None
    first.script["rcpt"] = lambda _c, arg: "450 4.2.0 not yet" if "later@other" in arg else "550 5.1.1 no" if "bad@" in arg else None
    qid = send(server, ["later@other.far.example", "now@other.far.example", "bad@other.far.example"])
    outcome(server, qid, "sent", "relay=mx1.far.example[127.0.0.1]", to="now@")
    outcome(server, qid, "sent", "relay=mx2.far.example[127.0.0.2]", to="later@")
    outcome(server, qid, "bounced", "said: 550 5.1.1 no (in reply to RCPT TO command)", "dsn=5.1.1", to="bad@")
    t.equal(len(second.messages) - before, 2, "the second host got what the first had not taken")
    qid = send(server, "later@multi.good.far.example")
    outcome(server, qid, "bounced", "Host not found")
    first.script["rcpt"] = lambda _c, arg: "450 4.2.0 not yet"
    outcome(server, send(server, "u@good.far.example"), "deferred", "dsn=4.2.0",
            "host mx1.far.example[127.0.0.1] said: 450 4.2.0 not yet (in reply to RCPT TO command)")
    first.script["rcpt"] = None
    before = len(second.messages)
    first.script["message"] = ("close",)
    outcome(server, send(server, "u@third.far.example"), "deferred", "dsn=4.4.2",
            "lost connection with mx1.far.example[127.0.0.1] while sending end of data -- message may be sent more than once")
    first.script["message"] = None
    t.equal(len(second.messages), before, "it is not sent again to the next host at once")


def outage(server):
    zones.stop()
    outcome(server, send(server, "u@unknown.other.example"), "deferred", "dsn=4.4.3", to="u@unknown")
    zones.start()


def reuse(server):
    before, messages = first.connections, len(first.messages)
    with server.smtp() as c:
        c.ehlo()
        for i in range(20):
            c.mail("anna@example.test", ["u@good.far.example"], b"Subject: many\r\n\r\n.\r\n")
            first.wait(messages + i + 1)
            time.sleep(0.02)
    t.equal(len(first.messages), messages + 20, "twenty messages arrive")
    t.ok(first.connections - before < 4, f"over {first.connections - before} connections")
    body = b"Subject: large\r\n\r\n" + b"0123456789" * 7 * 40000 + b"\r\n"
    lines = body.replace(b"9012", b"9\r\n012")
    send(server, "u@good.far.example", lines)
    t.ok(first.wait(messages + 21, 20), "a large one too")
    t.ok(first.messages[-1].data.endswith(lines), "as it was", len(first.messages[-1].data))


def got(server, body):
    """What arrives of it, from its Subject on, and the log's line."""
    count = len(first.messages)
    qid = send(server, "u@good.far.example", body)
    outcome(server, qid, "sent")
    t.ok(first.wait(count + 1, 10), "it arrives")
    data = first.messages[-1].data
    return data[data.index(b"Subject: "):], f"{qid}: breaking line > 998 bytes with <CR><LF>SPACE" in server.log()


def long_lines(server):
    """Lines that are too long are broken as Postfix does, and put together again nothing is missing."""
    head = b"Subject: long\r\n\r\n"
    data, said = got(server, head + b"x" * 998 + b"\r\n." + b"y" * 997 + b"\r\nend\r\n")
    t.equal((data, said), (head + b"x" * 998 + b"\r\n." + b"y" * 997 + b"\r\nend\r\n", False), "998 octets stay, without the stuffed dot")
    data, said = got(server, head + b"x" * 999 + b"\r\nend\r\n")
    t.equal((data, said), (head + b"x" * 998 + b"\r\n x\r\nend\r\n", True), "the 999th goes to a line of its own, and the log tells")
    data, _ = got(server, head + b"." * 2500 + b"\r\n.\r\nend\r\n")
    t.equal(data, head + b"." * 998 + b"\r\n " + b"." * 997 + b"\r\n " + b"." * 505 + b"\r\n.\r\nend\r\n", "dots inside are none at a line's start")
    data, _ = got(server, b"Subject: " + b"word " * 300 + b"\r\nX-Next: y\r\n\r\nend\r\n")
    t.equal(data.replace(b"\r\n ", b""), b"Subject: " + b"word " * 300 + b"\r\nX-Next: y\r\n\r\nend\r\n", "a header line is folded")
    t.ok(max(len(line) for line in data.split(b"\r\n")) == 998, "to 998 octets")
    text = "é€𝄞" * 2000                                     # characters of 2, 3 and 4 bytes
    data, _ = got(server, head + text.encode() + b"\r\nend\r\n")
    lines = data[len(head):].split(b"\r\n")
    t.ok(len(lines) > 18 and all(line.decode("utf-8", "replace").count("\ufffd") == 0 for line in lines), "no character is broken")
    t.ok(max(map(len, lines)) <= 998 and "".join(line.decode()[i > 0:] for i, line in enumerate(lines[:-2])) == text, "and none is missing")
    body = os.urandom(300000).replace(b"\n", b"n").replace(b"\r", b"r").replace(b"\0", b"0")
    data, _ = got(server, head + body + b"\r\n")
    lines = data[len(head):].split(b"\r\n")
    t.ok(max(map(len, lines)) <= 998 and lines[0] + b"".join(line[1:] for line in lines[1:]) == body, "any bytes, in a large message", len(lines))


with Server(config(first.port), users=["anna"]) as server:
    routes(server)
    long_lines(server)
    fallback(server)
    reuse(server)
    outage(server)
    server.stop()
    t.equal(server.problems(), [], "the server ran cleanly")

with Server(config(first.port, "line_length_limit = 0"), users=["anna"]) as server:
    body = b"Subject: long\r\n\r\n" + b"x" * 5000 + b"\r\n"
    t.equal(got(server, body), (body, False), "line_length_limit = 0: as it is")
    server.replace_conf(config(first.port, "line_length_limit = 20"))
    status, text = server.ekiden("config", "check")
    t.ok(status != 0 and "line_length_limit is 0 or at least 78" in text, "a limit that no mail could live with is refused", text)
    server.stop()
    t.equal(server.problems(), [], "the server ran cleanly")

# TLS: taken where it is offered, demanded, verified
authority = certs.Authority(os.environ["EKIDEN_RUN"] + "/sinkca")
with Sink(tls=authority.server("mx1.far.example")) as secure:
    for level, settings in {"may": "", "verify": f'tls_level = verify\n  ca_file = "{authority.cafile}"',
                            "unverified": "tls_level = verify"}.items():
        with Server(config(secure.port, settings), users=["anna"]) as server:
            count = len(secure.messages)
            qid = send(server, "u@good.far.example")
            if level == "unverified":
                outcome(server, qid, "deferred", "dsn=4.7.5", "Server certificate not verified")
                t.equal(len(secure.messages), count, "nothing is sent")
            else:
                outcome(server, qid, "sent")
                t.ok(secure.messages[-1].tls, f"over TLS ({level})")
            server.stop()
            t.equal(server.problems(), [], "the server ran cleanly")
zones.stop()
time.sleep(0.1)
t.done()
