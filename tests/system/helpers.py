#!/usr/bin/python3
# helpers.py - the helpers that other tests lean on do what they say, so that a failure there means the server
# SPDX-License-Identifier: Apache-2.0
import os
import smtplib
import socket
import subprocess

import certs
import dns
from sink import Sink
from tap import Tap
from wire import Closed, Smtp

t = Tap()
authority = certs.Authority(os.environ["EKIDEN_RUN"] + "/ca")
client = authority.client()

with Sink(tls=authority.server("localhost", "127.0.0.1")) as sink:
    with Smtp(sink.port) as c:
        t.equal(c.greeting.code, 220, "the sink greets")
        c.ehlo()
        t.ok("STARTTLS" in c.features, "it offers STARTTLS", c.features)
        t.equal(c.starttls(client).code, 220, "TLS begins, the certificate is trusted")
        c.ehlo()
        t.ok("STARTTLS" not in c.features, "and is not offered again", c.features)
        t.equal(c.mail("a@example.test", ["b@example.test", "c@example.test"], b"Subject: x\r\n\r\n.dot\r\n").code, 250,
                "a message is taken")
    t.ok(sink.wait(1, 5), "it is kept")
    m = sink.messages[0]
    t.equal((m.sender, m.rcpts, m.data, m.tls),
            ("a@example.test", ["b@example.test", "c@example.test"], b"Subject: x\r\n\r\n.dot\r\n", True), "as it was sent")
    with smtplib.SMTP("127.0.0.1", sink.port) as other:
        other.sendmail("a@example.test", "b@example.test", "Subject: y\r\n\r\nz")
    t.ok(sink.wait(2, 5), "Python's smtplib speaks to it too")

with Sink({"rcpt": lambda _c, arg: "550 5.1.1 no such user" if "bad" in arg else None,
           "message": ["452 4.3.1 full", None], "quit": ("close",)}) as sink, Smtp(sink.port) as c:
    c.ehlo()
    t.equal(c.mail("", "bad@example.test", b"x").dsn, "5.1.1", "a scripted refusal")
    t.equal([c.mail("", "good@example.test", b"x").code for _ in range(2)], [452, 250], "a scripted list")
    try:
        c.cmd("QUIT")
        t.ok(False, "a scripted close")
    except Closed:
        t.ok(True, "a scripted close")

with Sink({"helo": [("delay", 0.5, "250 late")]}) as sink, Smtp(sink.port) as c:
    c.line_out("EHLO x")
    t.ok(c.quiet(0.2), "a scripted delay")
    t.equal(c.reply().code, 250, "and then the answer")

reason = dns.missing()
if reason:
    t.skip("a DNS server with the test's zones", reason)
else:
    def ask(server, name, kind):
        done = subprocess.run(["drill", "-p", str(server.port), "-D", name, kind, "@127.0.0.1"], stdout=subprocess.PIPE, check=False)
        return done.stdout.decode()
    with dns.Dns({"example.test": "@ MX 10 mx\nmx A 127.0.0.5\nnull MX 0 .\n", "plain.test": "@ A 127.0.0.6\n"},
                 signed=["example.test"]) as server:
        t.contains(ask(server, "example.test", "MX"), "10 mx.example.test", "a zone of the test is served")
        t.contains(ask(server, "mx.example.test", "A"), "RRSIG", "a signed one with its signatures")
        t.ok("RRSIG" not in ask(server, "plain.test", "A"), "a plain one without")
        t.contains(ask(server, "nowhere.example", "A"), "NXDOMAIN", "what no zone holds does not exist")
        server.set("plain.test", "@ A 127.0.0.7\n")
        t.contains(ask(server, "plain.test", "A"), "127.0.0.7", "records can change")
        with open(server.anchors, encoding="ascii") as f:
            t.contains(f.read(), "DS", "the trust anchors are there")

with socket.create_server(("127.0.0.1", 0)) as quiet:
    t.ok(quiet.getsockname()[1] > 1023, "ports are chosen by the system")
t.done()
