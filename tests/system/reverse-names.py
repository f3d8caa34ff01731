#!/usr/bin/python3
# reverse-names.py - a client's name counts when it leads back to him; DNS that fails or is silent costs a bounded time
# SPDX-License-Identifier: Apache-2.0
# needs: root unbound ip
# limit: 200
import ctypes
import os
import re
import socket
import subprocess

import dns
from ekiden import MAIL, Server
from tap import Tap

t = Tap()
if ctypes.CDLL(None, use_errno=True).unshare(0x40000000) != 0:           # CLONE_NEWNET: addresses of our own
    Tap.skip_all("no network namespaces: " + os.strerror(ctypes.get_errno()))
CONFIG = MAIL + """
dns_unbound {
  servers = "127.0.0.1@DNS"
}
listener "smtp" {
  address         = "127.0.0.1:${port_smtp}", "[::1]:${port_smtp}"
  protocol        = smtp
  reverse_timeout = LIMIT
}
listener "off" {
  address       = "127.0.0.1:${port_off}"
  protocol      = smtp
  reverse_names = no
}
listener "imap" {
  address        = "127.0.0.1:${port_imap}"
  protocol       = imap
  plaintext_auth = yes
}
"""
REVERSE = """
1 PTR good.client.example.
2 PTR good.client.example.
3 PTR wrong.client.example.
3 PTR Right.Client.example.
4 PTR nowhere.client.example.
6 PTR 9.100.100.6.
7 PTR a\\032b.client.example.
8 PTR good.later.example.
9 PTR quiet.client.example.
"""
FORWARD = """
good  A 9.100.100.1
good  AAAA 2a00:9::1
wrong A 9.100.100.33
right A 9.100.100.33
right A 9.100.100.3
a\\032b A 9.100.100.7
"""
REVERSE6 = "1" + ".0" * 23 + " PTR good.client.example.\n"


def run(*words):
    subprocess.run(words, check=True)


def seen(server, source, listener="smtp", host="127.0.0.1"):
    """One message from that address: (the name in the log's client= line, the Received line of the message)."""
    before = len(server.messages("anna"))
    with server.smtp(listener, source=source, host=host) as c:
        t.equal(c.greeting.code, 220, f"{source} is greeted")
        c.ehlo("helo.example")
        answer = c.mail("dan@far.example", ["anna@example.test"], b"Subject: x\r\n\r\nx\r\n")
    qid = answer.text.rsplit(" ", 1)[-1]
    line = server.logged(rf"{qid}: client=(\S+)\[([^]]+)\]")
    got = server.wait_messages("anna", before + 1)
    received = next((m for m in got if qid.encode() in m), b"").split(b"Received: ")[1].split(b"\r\n")[0].decode()
    return line[1] if line else None, received


run("ip", "link", "set", "lo", "up")
for last in range(1, 11):
    run("ip", "address", "add", f"9.100.100.{last}/32", "dev", "lo")
run("ip", "address", "add", "2a00:9::1/128", "dev", "lo", "nodad")

with dns.Dns({"100.100.9.in-addr.arpa": REVERSE, "client.example": FORWARD,
              "9.0.0.0.0.0.a.2.ip6.arpa": REVERSE6}) as zones:
    with Server(CONFIG.replace("DNS", str(zones.port)).replace("LIMIT", "20s"), users=["anna"]) as server:
        name, received = seen(server, "9.100.100.1")
        t.equal(name, "good.client.example", "a name that leads back is in the log")
        t.contains(received, "from helo.example (good.client.example [9.100.100.1])", "and in Received")
        t.ok(server.logged(r"connect from good\.client\.example\[9\.100\.100\.1\]$"), "and in the first line")
        t.ok(server.logged(r"disconnect from good\.client\.example\[9\.100\.100\.1\]"), "and in the last")
        t.equal(seen(server, "9.100.100.1")[0], "good.client.example", "the same again")
        for last, what in ((2, "a name that is another's"), (4, "a name without address"), (5, "no name"), (6, "an address as a name"),
                           (7, "a name with a space")):
            name, received = seen(server, f"9.100.100.{last}")
            t.equal(name, "unknown", f"{what}: unknown")
            t.contains(received, f"(unknown [9.100.100.{last}])", f"{what}: in Received too")
        t.equal(seen(server, "9.100.100.3")[0], "right.client.example", "of two names the one that leads back")
        t.equal(seen(server, "2a00:9::1", host="::1")[0], "good.client.example", "over IPv6")
        t.equal(seen(server, "9.100.100.1", "off")[0], "unknown", "a listener may do without")
        with server.imap("imap", source="9.100.100.9"):
            pass
        t.ok(server.logged(r"rip=9\.100\.100\.9"), "IMAP greets without a name")
        zones.stop()
        t.equal(seen(server, "9.100.100.8")[0], "unknown", "no answer from DNS: unknown, and mail is taken")
        server.stop()
        t.equal(server.problems(), [], "no reports")

# a server of names that never answers
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
    silent.bind(("127.0.0.1", 0))
    with Server(CONFIG.replace("DNS", str(silent.getsockname()[1])).replace("LIMIT", "1s"), users=["anna"]) as server:
        t.equal(seen(server, "9.100.100.1")[0], "unknown", "a silent DNS server: the greeting comes when the time is over")
        with server.smtp("off", source="9.100.100.2") as other:
            t.equal(other.greeting.code, 220, "others are served")
        waiting = [socket.create_connection(("127.0.0.1", server.port("smtp")), 10, (f"9.100.100.{n % 10 + 1}", 0)) for n in range(30)]
        waiting[0].close()
        server.write(CONFIG.replace("DNS", str(silent.getsockname()[1])).replace("LIMIT", "2s"))
        t.equal(server.reload()[0], 0, "a reload while names are asked for")
        t.ok(all(re.match(rb"220 ", s.recv(100)) for s in waiting[1:]), "all who wait are greeted")
        more = [socket.create_connection(("127.0.0.1", server.port("smtp")), 10, ("9.100.100.1", 0)) for _ in range(10)]
        t.ok(server.stop(), "it stops in order while clients wait for their greeting")
        for s in waiting + more:
            s.close()
        t.equal(server.problems(), [], "no reports")
t.done()
