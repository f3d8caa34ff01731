#!/usr/bin/python3
# dns-unbound.py - what DNS answers become: records, nothing, later; with DNSSEC and with servers that misbehave
# SPDX-License-Identifier: Apache-2.0
# needs: unbound ldns-signzone
# limit: 150
import os
import re
import socket
import struct
import subprocess
import threading
import time

import dns
from tap import Tap

BUILD, RUN = os.environ["EKIDEN_BUILD"], os.environ["EKIDEN_RUN"]
t = Tap()


def ask(options, *questions):
    """{question: answer}, what stood behind it on its line."""
    done = subprocess.run([f"{BUILD}/tests/lib/dns-ask", options, *questions], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=100, check=False)
    lines = done.stdout.decode(errors="replace").splitlines()
    t.ok(done.returncode == 0, f"asked for {' '.join(questions)[:60]}", lines)
    return dict(line.partition(" ")[::2] for line in lines)


ZONE = """
@       MX 20 mx2
@       MX 10 mx1
mx1     A 192.0.2.1
mx1     AAAA 2001:db8::1
mx2     A 192.0.2.2
mx2     A 192.0.2.3
null    MX 0 .
text    TXT "one " "two"
c1      CNAME c2
c2      CNAME c3
c3      CNAME mx1
away    CNAME nowhere
loop1   CNAME loop2
loop2   CNAME loop1
_25._tcp.mx1 TLSA 3 1 1 0000000000000000000000000000000000000000000000000000000000000001
"""
with dns.Dns({"signed.example": ZONE, "plain.example": ZONE, "broken.example": ZONE, "100.100.9.in-addr.arpa": "1 PTR mx1.plain.example.\n"},
             signed=["signed.example", "broken.example"]) as server:
    # a record is changed behind its signature's back
    path = f"{server.folder}/broken.example.zone"
    with open(path, encoding="ascii") as f:
        text = f.read()
    changed = re.sub(r"192\.0\.2\.1\b", "192.0.2.99", text)
    t.ok(changed != text, "a signed record was changed")
    with open(path, "w", encoding="ascii") as f:
        f.write(changed)
    server.stop()
    server.start()
    options = f'servers = "127.0.0.1@{server.port}"\ntrust_anchors = "{server.anchors}"'
    got = ask(options, "MX:plain.example", "A:mx1.plain.example", "AAAA:mx1.plain.example", "A:mx2.plain.example", "MX:null.plain.example",
              "TXT:text.plain.example", "A:c1.plain.example", "A:away.plain.example", "A:loop1.plain.example", "A:nothing.plain.example",
              "AAAA:mx2.plain.example", "TLSA:_25._tcp.mx1.plain.example", "PTR:1.100.100.9.in-addr.arpa", "A:a..b", f"A:{'x' * 70}.example",
              "MX:signed.example", "A:mx1.signed.example", "A:nothing.signed.example", "A:mx1.broken.example", "A:mx2.broken.example")
    for part in ("ok ", "[10 mx1.plain.example]", "[20 mx2.plain.example]"):
        t.contains(got["MX:plain.example"], part, f"MX with preferences: {part}")
    t.equal(got["A:mx1.plain.example"], "ok [192.0.2.1]", "an address")
    t.equal(got["AAAA:mx1.plain.example"], "ok [2001:db8::1]", "one of IPv6")
    t.equal(sorted(got["A:mx2.plain.example"].split()[1:]), ["[192.0.2.2]", "[192.0.2.3]"], "two addresses")
    t.equal(got["MX:null.plain.example"], "ok [0 ]", "null MX is the root")
    t.equal(got["TXT:text.plain.example"], "ok [one two]", "strings of TXT are joined")
    t.equal(got["A:c1.plain.example"], "ok [192.0.2.1]", "a chain of CNAME is followed")
    t.equal(got["A:away.plain.example"], "notfound nxdomain", "a CNAME to nowhere")
    t.ok(got["A:loop1.plain.example"].startswith("defer"), "CNAME in a circle", got["A:loop1.plain.example"])
    t.equal(got["A:nothing.plain.example"], "notfound nxdomain", "no such name")
    t.equal(got["AAAA:mx2.plain.example"], "notfound", "no such type")
    t.equal(got["TLSA:_25._tcp.mx1.plain.example"], "ok [030101" + "0" * 62 + "01]", "TLSA as it is")
    t.equal(got["PTR:1.100.100.9.in-addr.arpa"], "ok [mx1.plain.example]", "PTR")
    t.equal(got["A:a..b"], "notfound nxdomain", "what is no name is no name")
    t.equal(got[f"A:{'x' * 70}.example"], "notfound nxdomain", "nor what is too long")
    t.contains(got["MX:signed.example"], "ok secure", "a signed answer is secure")
    t.equal(got["A:mx1.signed.example"], "ok secure [192.0.2.1]", "so is this")
    t.equal(got["A:nothing.signed.example"], "notfound secure nxdomain", "and that there is none")
    t.contains(got["A:mx1.broken.example"], "defer (DNS: mx1.broken.example: DNSSEC validation failed", "a forged one is not believed: later")
    t.contains(got["A:mx2.broken.example"], "ok secure", "its neighbour is")
    got = ask(f'servers = "127.0.0.1@{server.port}"', "A:mx1.broken.example", "A:mx1.signed.example")
    t.equal(got["A:mx1.signed.example"], "ok [192.0.2.1]", "without anchors nothing is secure")
    t.equal(got["A:mx1.broken.example"], "ok [192.0.2.99]", "nor forged")


class Odd(threading.Thread):
    """A server that answers A by the first label: servfail, refused, garbage, silent, slow, ttlN; counts questions."""

    def __init__(self):
        super().__init__(daemon=True)
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.port, self.count = self.sock.getsockname()[1], {}
        self.start()

    def run(self):
        while True:
            data, peer = self.sock.recvfrom(2000)
            length = data[12]
            label = data[13:13 + length].decode("latin-1").lower()
            at = 12
            while data[at]:
                at += data[at] + 1
            question = data[12:at + 5]
            self.count[label] = self.count.get(label, 0) + 1
            threading.Thread(target=self.answer, args=(data, peer, label, question), daemon=True).start()

    def answer(self, data, peer, label, question):
        kind = struct.unpack(">H", question[-4:-2])[0]
        rcode = {"servfail": 2, "refused": 5, "formerr": 1}.get(label, 0)
        if label == "silent" or (label == "garbage" and self.sock.sendto(data[:2] + b"\x81\x80\xff\xff\xff\xff" + b"\xc0" * 40, peer)):
            return
        if label == "slow":
            time.sleep(0.25)
        ttl = int(label[3:]) if label.startswith("ttl") else 60
        records = b"" if rcode or kind != 1 else b"\xc0\x0c\0\1\0\1" + struct.pack(">IH", ttl, 4) + b"\x7f\0\0\1"
        self.sock.sendto(data[:2] + struct.pack(">HHHHH", 0x8180 | rcode, 1, 1 if records else 0, 0, 0) + question + records, peer)


odd = Odd()
options = f'servers = "127.0.0.1@{odd.port}"\nattempts = 1'
got = ask(options, "A:servfail.example", "A:refused.example", "A:formerr.example", "A:ttl60.example", "A:ttl0.example")
for name in ("servfail", "refused", "formerr"):
    t.ok(got[f"A:{name}.example"].startswith("defer (DNS: "), f"{name} is: later", got[f"A:{name}.example"])
t.equal((got["A:ttl60.example"], got["remembered"]), ("ok [127.0.0.1]", "1"), "only what has time to live is remembered")
got = ask(options, *["A:slow.example"] * 5, "cancel:A:slow.example", "then", "A:SLOW.example", "cancel:A:slow.example")
t.equal((got["A:SLOW.example"], got["remembered"]), ("ok [127.0.0.1]", "1"), "an answer that takes its time, and once more from memory")
t.equal(odd.count.get("slow"), 1, "six questions were one")
begin = time.monotonic()
got = ask(options, "A:silent.example", "A:garbage.example", "A:ttl9.example")
t.ok(got["A:silent.example"].startswith("defer ("), "silence is: later", got["A:silent.example"])
t.ok(got["A:garbage.example"].startswith("defer ("), "nonsense is: later", got["A:garbage.example"])
t.equal(got["A:ttl9.example"], "ok [127.0.0.1]", "others do not suffer")
t.ok(time.monotonic() - begin < 40, "and it ends", time.monotonic() - begin)
got = ask("", "A:x.example")
t.contains(got["A:x.example"], "defer (there is no resolver: add `dns_unbound { }` to the configuration", "without a resolver: later, and why")
t.done()
