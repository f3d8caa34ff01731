#!/usr/bin/python3
# transports.py - the keys that maps of aliases and transports are asked for, in their order, and what transports may say
# SPDX-License-Identifier: Apache-2.0
# limit: 200
import json
import re
import socket
import threading

from ekiden import Server, listener, wait_for
from sink import Sink
from tap import Tap

t = Tap()


class Socketmap:
    """A server of maps (Sendmail's socketmap protocol) that keeps a record of what it is asked: tables are {map: {key: value}}."""

    def __init__(self, tables):
        self.tables, self.asked = tables, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            sock, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(sock.makefile("rwb"),), daemon=True).start()

    def serve(self, stream):
        while length := self.number(stream):
            name, _, key = stream.read(length).decode().partition(" ")
            stream.read(1)
            self.asked.append((name, key))
            value = self.tables[name].get(key)
            answer = (f"OK {value}" if value is not None else "NOTFOUND ").encode()
            stream.write(b"%d:%s," % (len(answer), answer))
            stream.flush()

    @staticmethod
    def number(stream):
        digits = b""
        while (byte := stream.read(1)) not in (b":", b""):
            digits += byte
        return int(digits or 0)

    def keys(self, name):
        """What a map was asked since the last time."""
        keys = [k for n, k in self.asked if n == name]
        self.asked = [(n, k) for n, k in self.asked if n != name]
        return keys


D = Server.domain
ALIASES = {
    f"exact@{D}": f"anna@{D}", f"exact+list@{D}": f"ben@{D}",
    "local": f"anna@{D}", "local+list": f"ben@{D}", f"local+most@{D}": f"carl@{D}",
    f"both@{D}": f"anna@{D}", "both": f"ben@{D}", "both+list": f"ben@{D}",
    f"@{D}": f"carl@{D}",
    "exact@other.test": f"anna@{D}", "bare": f"ben@{D}", "@other.test": f"carl@{D}",
    f"quoted@{D}": f'"john smith"@far.test, "a, b"@far.test,anna@{D}',
}
TRANSPORTS = {
    "dora+vip@far.test": "error:5.7.1 the whole address", "dora@far.test": "error:5.7.2 without its tag",
    "far.test": "smtp:[127.0.0.1]:SINK", ".far.test": "error:5.7.3 its parent", "deep.far.test": "relay:[127.0.0.1]:SINK",
    ".test": "error:5.7.4 the last parent", "*": "error:5.7.5 anything else",
    "gone@words.test": "discard:thrown away by a map", "silent@words.test": "discard:", "coded@words.test": "discard:2.1.5 known, and gone",
    "later@words.test": "retry:4.2.1 come back", "someday@words.test": "retry:", "misfit@words.test": "error:4.7.1 for good all the same",
    "plain@words.test": "error:only words", "here@words.test": "virtual:", "nobody@words.test": "nosuch:[127.0.0.1]:SINK",
    D: "local:", f"ben@{D}": ":", f"carl@{D}": "virtual:[127.0.0.1]:SINK", "other.test": ":",
}
CONFIG = listener("smtp", plaintext_auth="yes") + """
sasl_plain { }
file "people" { path = $users
  home = "${mail}/%d/%n" }
maildir "mail" { path = "%h/Maildir" }
socketmap "names" { server = "inet:127.0.0.1:MAPS:names"
  cache = 0
  cache_negative = 0 }
socketmap "ways" { server = "inet:127.0.0.1:MAPS:ways"
  cache = 0
  cache_negative = 0 }
regexp "stars" { path = "${dir}/stars" }
domain $domain { auth = people
  aliases = names
  mailboxes = mail }
domain "other.test" { auth = people
  aliases = names
  mailboxes = mail }
routing { transport = smtp
  transports = [stars, ways] }
smtp { tls_level = none }
queue { backoff_min = 1h
  backoff_max = 1h }
"""


def send(server, *to, subject="x", more=""):
    with server.smtp() as c:
        c.ehlo()
        c.auth_plain(f"anna@{D}", server.password)
        answers = [c.cmd(f"MAIL FROM:<anna@{D}>").code, *(c.cmd(f"RCPT TO:<{a}>{more}").code for a in to)]
        return [*answers, c.data(f"Subject: {subject}\r\n\r\nx\r\n".encode()).code]


def fate(server, address):
    """What the log says of a recipient: the component, the code, the status and its words."""
    m = server.logged(r"ekiden/(\S+)\[.* to=<%s>,.*dsn=([0-9.]+), status=(\w+) \((.*)\)$" % re.escape(address), 20)
    return m.groups() if m else (None,) * 4


def idle(server):
    return wait_for(lambda: json.loads(server.ekiden("queue", "list", "--json")[1]) == [], 30, 0.1)


def boxes(server, subject):
    """Who has a message, and how often."""
    return {user: n for user in ("anna", "ben", "carl") if (n := sum(f"Subject: {subject}\n".encode() in m.replace(b"\r\n", b"\n")
                                                                      for m in server.messages(user)))}


# ---- aliases ----

def keys_of_aliases(server, maps):
    """virtual(5): the address, without its tag, in the default domain the local part with its tag and without, and @domain."""
    for address, keys in ((f"Carl+Tag@{D}", [f"carl+tag@{D}", f"carl@{D}", "carl+tag", "carl"]),
                          (f"carl@{D}", [f"carl@{D}", "carl"]),
                          (f"nobody+tag@{D}", [f"nobody+tag@{D}", f"nobody@{D}", "nobody+tag", "nobody", f"@{D}", f"carl@{D}", "carl"]),
                          ("nobody+tag@other.test", ["nobody+tag@other.test", "nobody@other.test", "@other.test", f"carl@{D}", "carl"])):
        maps.keys("names")
        t.equal(send(server, address)[1], 250, f"{address} is taken")
        t.equal(maps.keys("names"), keys, f"{address}: the keys in their order, those of its target behind them")


def winners_of_aliases(server):
    for address, who in ((f"exact+list@{D}", "ben"), (f"exact@{D}", "anna"), (f"exact+x@{D}", "anna"), (f"local+list@{D}", "ben"),
                         (f"local@{D}", "anna"), (f"local+x@{D}", "anna"), (f"local+most@{D}", "carl"), (f"both+list@{D}", "anna"),
                         (f"both@{D}", "anna"), (f"bare@{D}", "ben"), (f"any@{D}", "carl"), (f"ben@{D}", "ben"),
                         ("exact@other.test", "anna"), ("bare@other.test", "carl")):
        subject = f"to {address}"
        t.equal(send(server, address, subject=subject)[-1], 250, f"{address} is taken")
        t.ok(idle(server), "and leaves the queue")
        t.equal(boxes(server, subject), {who: 1}, f"{address}: {who}'s")


def quoted(server, sink):
    t.equal(send(server, f"quoted@{D}", subject="quoted")[-1], 250, "an alias with quoted names in it")
    t.ok(idle(server), "leaves the queue")
    t.equal(boxes(server, "quoted"), {"anna": 1}, "its mailbox has it")
    t.equal(sorted(r for m in sink.messages if b"Subject: quoted" in m.data for r in m.rcpts), ['"a, b"@far.test', '"john smith"@far.test'],
            "and each quoted name is one address, in its quotes")


# ---- transports ----

def keys_of_transports(server, maps):
    """transport(5): the address, without its tag, its domain, each parent, and what stands for all."""
    for address, keys in (("x+tag@a.far.example", ["x+tag@a.far.example", "x@a.far.example", "a.far.example", ".far.example", ".example", "*"]),
                          ("x@a.example", ["x@a.example", "a.example", ".example", "*"]),
                          ("Dora+VIP@Far.Test", ["dora+vip@far.test"]),
                          ("dora+other@far.test", ["dora+other@far.test", "dora@far.test"]),
                          ("x+y@far.test", ["x+y@far.test", "x@far.test", "far.test"]),
                          ('"x y+z"@above.far.test', ["x y+z@above.far.test", "x y@above.far.test", "above.far.test", ".far.test"])):
        maps.keys("ways")
        t.equal(send(server, address), [250, 250, 250], f"{address} is taken")
        t.ok(wait_for(lambda n=len(keys): len(maps.asked) >= n) and idle(server), f"{address} leaves the queue")
        t.equal(maps.keys("ways")[:len(keys)], keys, f"{address}: the keys in their order")


def winners_of_transports(server, sink):
    for address, want in (("dora+first@far.test", "without its tag"), ("dora+vip@far.test", "the whole address"), ("dora@far.test", "without its tag"),
                          ("y@below.far.test", "its parent"), ("y@x.y.far.test", "its parent"), ("y@any.test", "the last parent"),
                          ("y@any.example", "anything else")):
        send(server, address)
        t.equal(fate(server, address)[2:], ("bounced", want), f"{address}: {want}")
    for address in ("z@far.test", "z+tag@far.test", "z@deep.far.test"):
        send(server, address)
        t.equal(fate(server, address)[::2], ("smtp", "sent"), f"{address} is sent")
        t.ok(wait_for(lambda a=address: any(a in m.rcpts for m in sink.messages)), f"{address}: as it is, with its tag")
    for address, who in ((f"ben@{D}", "ben"), (f"carl@{D}", "carl"), (f"anna+tag@{D}", "anna")):
        send(server, address, subject=f"here {address}")
        t.ok(idle(server) and boxes(server, f"here {address}") == {who: 1}, f"{address}: its mailbox, whatever * says", fate(server, address))


WORDS = [("gone", ("discard", "2.0.0", "sent", "thrown away by a map")), ("silent", ("discard", "2.0.0", "sent", "silently discarded")),
         ("coded", ("discard", "2.1.5", "sent", "known, and gone")), ("misfit", ("error", "5.0.0", "bounced", "for good all the same")),
         ("plain", ("error", "5.0.0", "bounced", "only words")), ("later", ("error", "4.2.1", "deferred", "come back")),
         ("someday", ("error", "4.0.0", "deferred", "delivery temporarily suspended")),
         ("here", ("qmgr", "4.3.5", "deferred", "the domain has no mailboxes here, where its mail is to go")),
         ("nobody", ("smtp", "4.4.1", "deferred", 'no transport is called "nosuch"'))]


def words(server, sink):
    """discard(8), error(8), retry(8) and local(8) stand for what becomes of mail, and a name that nobody has for nothing."""
    for name, want in WORDS:
        address = f"{name}@words.test"
        t.equal(send(server, address), [250, 250, 250], f"{address} is taken")
        t.equal(fate(server, address), want, f"{address}: {want[0]}, {want[2]}")
    waiting = ["here@words.test", "later@words.test", "nobody@words.test", "someday@words.test"]
    t.ok(wait_for(lambda: sorted(to["address"] for m in json.loads(server.ekiden("queue", "list", "--json")[1]) for to in m["recipients"]) == waiting),
         "those wait, and no other", server.ekiden("queue", "list", "--json"))
    t.ok(server.logged(r'no transport is called "nosuch".*one of smtp, relay, error, retry, discard, local, virtual'), "the log says which names there are")
    t.ok("is the configuration being changed" not in server.log(), "and does not take it for a reload")
    t.ok(server.logged(r'"virtual:" for here@words\.test, and words\.test has no mailboxes here'), "and what is wrong with a mailbox elsewhere")
    t.ok(not any("@words.test" in r for m in sink.messages for r in m.rcpts), "nothing of it has left")
    t.equal([b"gone@words" in m or b"silent@words" in m for m in server.messages("anna")].count(True), 0, "what was thrown away is not told")
    send(server, "gone@words.test", "silent@words.test", more=" NOTIFY=SUCCESS")
    t.ok(wait_for(lambda: any(b"gone@words.test" in m and b"Action: delivered" in m for m in server.messages("anna"))),
         "but to who wants to hear of success: it counts as delivered")


# ---- checks ----

def checked(server):
    """A name that nobody has is told before mail waits for it, where the map can be read."""
    with open(server.conf, encoding="utf-8") as f:
        text = f.read()
    rows = f"{server.dir}/rows"

    def check(block, transport="smtp"):
        path = f"{server.dir}/other.conf"
        with open(path, "w", encoding="utf-8") as f:
            f.write(text.replace("[stars, ways]", "more").replace("{ transport = smtp", f"{{ transport = {transport}") + block)
        return server.ekiden("config", "check", "-c", path)

    status, said = check('inline "more" { pairs = ["a.test = smtp:[x.test]", "b.test = smpt:[x.test]", "c.test = local:", "* = error:no", "d.test = :[x]"] }\n')
    t.ok(status == 1 and 'for b.test it says "smpt:[x.test]", and no transport is called "smpt"' in said and "smtp, relay, error" in said
         and len(said.splitlines()) == 1, "config check finds a name that nobody has in the configuration", said)
    status, said = check('inline "more" { pairs = ["a.test = out:[x.test]", "b.test = smtp:[x.test]"] }\nsmtp "out" { }\n', "out")
    t.ok(status == 1 and "one of out, error" in said and len(said.splitlines()) == 1, "a block that is a listener's protocol alone is none", said)
    for value, block, good in (("relay:[x.test]", "", True), ("lmtp:[x.test]", "", False), ("x.test", 'result = "smtp:[%s]"', True),
                               ("x.test", 'result = "out:[%s]"', False)):
        with open(rows, "w", encoding="utf-8") as f:
            f.write(f"a.test {value}\nb.test {value}\n")
        status, said = check(f'text "more" {{ path = "{rows}"\n  {block} }}\n')
        t.equal((status, len(said.splitlines())), (0, 0) if good else (1, 1), f"and in a file: {value} {block} is {'right' if good else 'wrong'}")
    t.equal(server.ekiden("map", "build", "cdb", rows)[0], 0, "the same rows in a database file")
    for scheme, good in (("smtp", True), ("out", False)):
        status, said = check(f'cdb "more" {{ path = "{rows}.cdb"\n  result = "{scheme}:[%s]" }}\n')
        t.equal((status, len(said.splitlines())), (0, 0) if good else (1, 1), f"with {scheme}: it is {'right' if good else 'wrong'}")
    status, said = check('text "more" { path = "/nonexistent/rows" }\n')
    t.equal((status, said), (0, ""), "one that cannot be read is no finding")
    server.replace_conf(text.replace("[stars, ways]", "more") + 'inline "more" { pairs = "b.test = smpt:" }\n')
    status, said = server.reload()
    t.ok(status != 0 and "smpt" in said, "a reload refuses what stands in the configuration itself", said)


def other_rows(server, sink):
    """A transport of one's own that is called relay, and other characters before tags."""
    with open(server.conf, encoding="utf-8") as f:
        text = f.read()
    text = text[:text.rindex('inline "more"')].replace("routing {", 'routing { tag_delimiters = "-_"\n ')
    server.replace_conf(text + 'smtp "relay" { tls_level = none\n  helo_name = own.relay.test }\n'
                        + f'inline "more" {{ pairs = ["r@own.test = relay:[127.0.0.1]:{sink.port}", "* = error:5.7.5 anything else"] }}\n')
    t.equal(server.reload()[0], 0, "a reload with a transport that is called relay")
    for address, went in (("r-tag@own.test", True), ("r_tag@own.test", True), ("r+tag@own.test", False)):
        send(server, address)
        t.equal(fate(server, address)[2], "sent" if went else "bounced", f"{address}: {'sent' if went else 'no tag here'}")
        t.equal([m.helo for m in sink.messages if address in m.rcpts], ["own.relay.test"] * went, f"{address}: by that transport" if went else "by none")


maps_ = Socketmap({"names": ALIASES, "ways": TRANSPORTS})
with Sink() as sink_:
    TRANSPORTS.update({key: value.replace("SINK", str(sink_.port)) for key, value in TRANSPORTS.items()})
    with Server(CONFIG.replace("MAPS", str(maps_.port)), users=["anna", "ben", "carl"], start=False) as server_:
        with open(f"{server_.dir}/stars", "w", encoding="utf-8") as patterns:
            patterns.write("/^\\*$/ error:5.7.9 a pattern saw the star\n/^[^@]*$/ error:5.7.9 a pattern saw a part\n")
        server_.start()
        keys_of_aliases(server_, maps_)
        winners_of_aliases(server_)
        quoted(server_, sink_)
        keys_of_transports(server_, maps_)
        winners_of_transports(server_, sink_)
        words(server_, sink_)
        t.ok("a pattern saw" not in server_.log(), "patterns are asked for whole addresses alone")
        checked(server_)
        other_rows(server_, sink_)
        server_.stop()
        t.equal(server_.problems(), [], "no reports")
t.done()
