#!/usr/bin/python3
# hostile.py - an edge, a tls and a relay driven by hand on their channels: no mailbox, no password, no other message, nobody disturbed
# SPDX-License-Identifier: Apache-2.0
# ports
# needs: root
# limit: 600
import os
import random
import re
import socket
import sys

sys.path.insert(0, os.path.join(os.environ["EKIDEN_TOP"], "tests/lib"))
from channel import ANSWER, FRAME, Hostile, client, peers_of_sockets, s, sockets_of, t, u
from ekiden import MAIL, Server, listener, wait_for
from tap import Tap

T = Tap()
NONSENSE, EDGE, QUEUE, STORE = 15, 2, 4, 6
AUTH, AUTH_MORE, RCPT, VOUCH, HANDOFF, START, STREAM_TLS = 32, 33, 35, 48, 56, 64, 65
SUBMIT, STREAM, ACCEPTING, ROUTE, DELIVER, RETIRED, HOP, REQUEST = 80, 81, 83, 96, 104, 105, 112, 128
CONFIG = MAIL + listener("smtp") + listener("imaps") + listener("certs", "imap", mechanisms="EXTERNAL", client_ca='read("${dir}/ca/ca.pem")') + """
sasl_external { }
"""
SECRET = "bens-word-that-no-edge-may-hear"
PRIVATE = b"the words between anna and ben"
seed = int(os.environ.get("EKIDEN_SEED") or random.randrange(1 << 30))
T.note(f"seed {seed}")
rng = random.Random(seed)
INNER = ("directory.0", "queue.0", "store.0", "store.1")
heard = bytearray()


def auth(edge, session, user, password, mechanism="PLAIN", listener="imaps"):
    word = f"\0{user}\0{password}".encode()
    body = u(session) + t(mechanism) + u(1) + s(word) + t("imap") + t(listener) + client()
    answer = edge.call("directory.0", AUTH, body)
    out = {"outcome": answer.u(), "challenge": answer.s(), "user": answer.t(), "master": answer.t(), "text": answer.t(), "token": answer.s(), "store": answer.u()}
    return out


def handoff(edge, store, token, unread=b"", ours=None, tag=b"a1", listener="imaps"):
    """Hands store one end of a socketpair; the other end."""
    here, there = socket.socketpair()
    edge.send(store, HANDOFF, s(token) + s(tag) + t("imap") + t(listener) + t("mail.example.test") + u(7) + t("PLAIN") + client() + s(unread),
              [ours.fileno() if ours else there.fileno()])
    there.close()
    here.settimeout(30)
    return here


def answered(sock, pattern):
    data = b""
    while not re.search(pattern, data):
        try:
            piece = sock.recv(4096)
        except OSError:
            return None
        if not piece:
            return None
        data += piece
    return data


with Server(CONFIG, users=["anna", ("ben", "{PLAIN}" + SECRET)], roles="  stores = 2\n  restart_delay_max = 200ms") as server:
    server.deaths_expected = True
    addr = {name: f"{name}@{server.domain}" for name in ("anna", "ben")}
    with server.smtp("smtp") as c:
        c.ehlo()
        c.mail("a@example.org", addr["ben"], b"Subject: private\r\n\r\n" + PRIVATE + b"\r\n")
    T.ok(server.wait_messages("ben", 1), "ben has a message")
    ben = server.imap("imaps", "ben", SECRET)
    before = {name: pid for pid, name in server.workers().items()}

    def undisturbed(what, logged_in=True):
        now = {name: pid for pid, name in server.workers().items()}
        T.equal({n: now.get(n) for n in INNER}, {n: before[n] for n in INNER}, f"{what}: directory, queue and stores live on")
        if logged_in:
            T.equal(ben.cmd("NOOP").status, "OK", f"{what}: who is logged in goes on")

    def attack(name, what, to, deed, log=None):
        """deed(edge) speaks; `to` must close its channel, say why, and master must replace the speaker."""
        wait_for(lambda: linked(name, to), 30)
        seen = len(server.log())
        with Hostile(server, name) as edge:
            deed(edge)
            T.ok(edge.closed(to), f"{what}: {to} closes the channel")
            T.ok(wait_for(lambda: edge.pid not in server.workers(), 30), f"{what}: master ends the sender")
            heard.extend(edge.seen)
        if log:
            T.ok(wait_for(lambda: re.search(log, server.log()[seen:]), 20), f"{what}: is logged", server.log()[seen:])
        undisturbed(what, not name.startswith(("relay", "tls")))

    def linked(name, other):
        """Whether the edge has a channel to that role by now."""
        workers = {n: pid for pid, n in server.workers().items()}
        if name not in workers or other not in workers:
            return False
        try:
            theirs, peers = sockets_of(workers[other]), peers_of_sockets()
            return any(peers.get(inode) in theirs for inode in sockets_of(workers[name]))
        except OSError:
            return False

    # ---- what a login edge may reach, and what it gets when it behaves ----
    with Hostile(server, "edge.1") as edge:
        T.equal(sorted(edge.channels), sorted([*INNER, "master", "tls.0"]), "an edge has channels as pairs.h says, no others")
        answer = auth(edge, 1, addr["anna"], "wrong")
        T.equal((answer["outcome"] != 1, answer["token"], answer["user"]), (True, b"", None), "a wrong password gives no token and no name")
        good = auth(edge, 2, addr["anna"], server.password)
        T.equal((good["outcome"], len(good["token"])), (1, 16), "a right one gives a token")
        right, other = f"store.{good['store']}", f"store.{1 - good['store']}"
        stranger = handoff(edge, other, good["token"])
        sock = handoff(edge, right, good["token"], b"a2 SELECT INBOX\r\n")
        T.ok(answered(sock, rb"a2 OK"), "the right token at its store opens its own user's mailbox")
        replay = handoff(edge, right, good["token"])
        forged = [handoff(edge, right, rng.randbytes(16)) for _ in range(50)]
        old = auth(edge, 3, addr["anna"], server.password)
        a_file = open(server.conf, "rb")
        fresh = auth(edge, 4, addr["anna"], server.password)
        handoff(edge, f"store.{fresh['store']}", fresh["token"], ours=a_file)
        answer = edge.call("directory.0", RCPT, s(addr["ben"].encode()))
        T.equal((answer.u(), answer.u(), answer.t(), answer.t(), answer.u(), answer.at), (0, 0, None, None, 0, len(answer.body)),
                "directory says of a recipient that he is there, and no more")
        for sock in (stranger, replay, *forged):
            if answered(sock, rb".") is not None:
                T.ok(False, "a made-up, replayed or misdirected token opens a mailbox")
                break
        else:
            T.ok(True, "made-up, replayed and misdirected tokens open nothing")
        T.ok(server.logged(r"edge\.1 handed over a client .* did not vouch", 30), "and are logged")
        late = handoff(edge, f"store.{old['store']}", old["token"])
        T.equal(answered(late, rb"."), None, "a token that nobody used in its time opens nothing later")
        edge.send("master", REQUEST, t("stop") + u(0) + u(0), ident=5)
        edge.send("master", NONSENSE, u(EDGE) + u(QUEUE) + u(1))       # there is no such queue
        T.ok(server.logged(r"edge\.1 said something that is not for master"), "master does not stop at an edge's word")
        edge.send("master", 18, u(2 * 70001) + u(2 * 80001) + t("/tmp") + t(None), ident=6)      # EK_M_USER_STORE
        T.ok(server.logged(r"edge\.1 said something that is not for master \(type 18\)"), "nor starts a store process of a uid for it")
        T.ok(not any("uid" in w for w in server.status()["workers"]), "there is none")
        undisturbed("tokens")
        heard.extend(edge.seen)
    a_file.close()
    wait_for(lambda: server.pid_of("edge.1") not in (None, before["edge.1"]), 20)

    # a token that another edge asked for
    wait_for(lambda: all(linked("edge.1", n) and linked("edge.0", n) for n in INNER), 30)
    with Hostile(server, "edge.1") as one, Hostile(server, "edge.0") as two:
        got = auth(one, 1, addr["anna"], server.password)
        T.equal(answered(handoff(two, f"store.{got['store']}", got["token"]), rb"."), None, "a token of another edge opens nothing")

    # a client's certificate that nobody has shown
    wait_for(lambda: all(linked("edge.1", n) for n in INNER), 30)
    with Hostile(server, "edge.1") as edge:
        for proof in (b"", rng.randbytes(40)):
            answer = edge.call("directory.0", AUTH, u(1) + t("EXTERNAL") + u(1) + s(b"") + t("imap") + t("certs") + client(peer=addr["anna"], proof=proof))
            T.equal((answer.u() != 1, answer.s(), answer.t(), answer.t(), answer.t() is not None, answer.s()), (True, b"", None, None, True, b""),
                    "the name in a certificate is tls's to say, not an edge's")
        T.ok(server.logged(r"counts for nothing", 20), "and the log says so")

    # ---- what is not an edge's to say ----
    record = t(addr["ben"]) + t(f"{server.mail}/{server.domain}/ben") + t(None) + u(1) + u(1) + u(0) + u(0)
    vouch = s(b"0123456789abcdef") + u(1) + record + t("mail")
    small = u(1) + u(0) + u(0) + u(0) + u(0) + u(0) + record + t("mail") + t(None) + s(b"X: y\r\n") + u(1) + u(0) + s(b"\r\nforged\r\n")
    for store in ("store.0", "store.1"):
        attack("edge.1", "a vouch", store, lambda e, to=store: e.send(to, VOUCH, vouch), r"store does not take")
        attack("edge.1", "a delivery", store, lambda e, to=store: e.ask(to, DELIVER, small), r"store does not take")
    attack("edge.0", "a retirement", "store.0", lambda e: e.send("store.0", RETIRED, u(1) + u(0) + u(0)), r"store does not take")
    attack("edge.0", "a verb", "store.0", lambda e: e.ask("store.0", REQUEST, t("queue-list") + u(0) + u(0)), r"store does not take")
    attack("edge.0", "queue-list", "queue.0", lambda e: e.ask("queue.0", REQUEST, t("queue-list") + u(0) + u(0)), r"queue does not take")
    attack("edge.0", "queue-show", "queue.0", lambda e: e.ask("queue.0", REQUEST, t("queue-show") + u(0) + u(1) + t("ALL")), r"queue does not take")
    attack("edge.0", "a route", "directory.0", lambda e: e.ask("directory.0", ROUTE, s(addr["ben"].encode()) + s(b"")), r"directory does not take")
    attack("edge.0", "directory's verbs", "directory.0", lambda e: e.ask("directory.0", REQUEST, t("status") + u(0) + u(0)),
           r"directory does not take")
    attack("edge.0", "an answer to no challenge", "directory.0", lambda e: e.ask("directory.0", AUTH_MORE, u(99) + s(b"x")), r"no challenge")
    attack("edge.0", "ACCEPTING", "queue.0", lambda e: e.send("queue.0", ACCEPTING, u(0) + t("no")), r"queue does not take")
    T.equal(len(server.messages("ben")), 1, "nothing was delivered to ben by an edge's word")

    # ---- damaged, huge, truncated ----
    with open("/etc/hostname", "rb") as plain:
        for to in ("directory.0", "queue.0", "store.0"):
            attack("edge.0", f"noise to {to}", to, lambda e, to=to: e.raw(to, b"\xff" * 12 + rng.randbytes(5000)), r"out of bounds")
            attack("edge.0", f"an answer nobody asked for, to {to}", to, lambda e, to=to: e.send(to, 0, b"x", ident=77, flags=ANSWER),
                   r"answer to no question")
            attack("edge.0", f"descriptors that are not there, to {to}", to, lambda e, to=to: e.raw(to, FRAME.pack(0, 0, 1, 0, 8)),
                   r"without its descriptors")

            def flood(e, to=to):
                e.raw(to, FRAME.pack(1 << 20, 0, 80, 0, 0))
                while e.raw(to, b"x", [plain.fileno()] * 8):
                    pass
            attack("edge.0", f"a flood of descriptors to {to}", to, flood, r"belong to no frame")
        attack("edge.0", "a file in place of a stream", "queue.0", lambda e: e.send("queue.0", STREAM, u(1), [plain.fileno()]), r"damaged stream")
    attack("edge.0", "a submission without recipients", "queue.0",
           lambda e: e.ask("queue.0", SUBMIT, u(0) * 3 + s(b"") * 2 + u(0) + u(0) + s(b"") + u(0) + s(b"") * 4), r"damaged submission")
    attack("edge.0", "100,000 recipients that are not there", "queue.0",
           lambda e: e.ask("queue.0", SUBMIT, u(0) * 3 + s(b"") * 2 + u(0) + u(100000) + b"\0" * 90000), r"damaged submission")
    attack("edge.0", "a huge message on the channel", "queue.0",
           lambda e: e.ask("queue.0", SUBMIT, u(0) * 3 + s(b"x@example.org") + s(b"") + u(0) + u(1) + s(addr["anna"].encode()) + u(0) + s(b"")
                           + s(b"") + u(0) + s(b"") * 3 + s(b"x" * 900000)), r"damaged submission")
    attack("edge.0", "a login with a huge name of a mechanism", "directory.0",
           lambda e: e.ask("directory.0", AUTH, u(1) + t("X" * 900000) + u(0) + s(b"") + t("imap") + t("imaps") + client()), r"damaged login")
    attack("edge.1", "a hand-over of 900 kB", "store.0", lambda e: handoff(e, "store.0", b"\1" * 16, b"x" * 900000), r"more clients handed over")

    # ---- thousands that are never finished ----
    def many(e):
        here, there = socket.socketpair()
        for i in range(3000):
            if not e.send("store.0", HANDOFF, s(i.to_bytes(16, "big")) + s(b"a") + t("imap") + t("imaps") + t("m") + u(7) + t("PLAIN")
                          + client() + s(b""), [there.fileno()]):
                break
    attack("edge.1", "3,000 hand-overs without a vouch", "store.0", many, r"more clients handed over")
    wait_for(lambda: all(linked("edge.0", n) and linked("edge.1", n) for n in INNER), 30)
    with Hostile(server, "edge.0") as edge:
        for i in range(21000):
            edge.ask("directory.0", AUTH, u(i + 1) + t("LOGIN") + u(0) + s(b"") + t("smtp") + t("imaps") + client())
        answers = edge.answers("directory.0", 21000)
        refused = [body for body in answers.values() if b"Too many logins" in body]
        T.ok(len(answers) == 21000 and len(refused) >= 1000, "the 20,001st login of one edge is put off", (len(answers), len(refused)))
        with server.imap("imaps", "anna") as c:
            T.equal(c.cmd("SELECT INBOX").status, "OK", "and another edge's clients log in meanwhile")
        # forged facts: flags, listener, login; the message is taken (an edge may), but as any client's
        body = (u(0) * 3 + s(b"ceo@example.org") + s(b"") + u(0x60) + u(1) + s(addr["anna"].encode()) + u(0) + s(b"") + s(rng.randbytes(40)) + u(0)
                + s(b"") * 3 + s(b"Subject: forged\r\n\r\n" + b"x" * 40000 + b"\r\n"))
        for _ in range(1500):
            edge.ask("queue.0", SUBMIT, body)
        answers = edge.answers("queue.0", 1500, 120)
        T.equal(len(answers), 1500, "60 MB of messages at once: each has an answer, queue reads no more than it can hold")
        undisturbed("thousands")
        heard.extend(edge.seen)

    T.equal(ben.cmd("NOOP").status, "OK", "ben is still logged in")
    ben.close()                              # his connection is tls's, which is next

    # ---- tls and relay: what they may say ----
    wait_for(lambda: linked("relay.0", "queue.0"), 30)
    with Hostile(server, "relay.0") as relay:
        T.equal(sorted(relay.channels), ["master", "queue.0"], "a relay has a channel to queue alone")
    attack("relay.0", "a relay's verb", "queue.0", lambda e: e.ask("queue.0", REQUEST, t("queue-list") + u(0) + u(0)), r"queue does not take")
    attack("relay.0", "a relay's submission", "queue.0", lambda e: e.ask("queue.0", SUBMIT, b""), r"queue does not take")
    attack("relay.0", "a relay's answer to no question", "queue.0", lambda e: e.send("queue.0", 0, u(0), ident=9, flags=ANSWER), r"no question")
    wait_for(lambda: linked("tls.0", "edge.0") and linked("tls.0", "edge.1"), 30)
    with Hostile(server, "tls.0") as tls:
        T.equal({n.split(".")[0] for n in tls.channels}, {"master", "edge"}, "tls has channels to edges alone")
        tls.ask("edge.0", RCPT, s(addr["ben"].encode()))
        T.ok(tls.closed("edge.0"), "an edge closes its channel to a tls that talks nonsense")

    # ---- complaints: who is believed about whom (the threat model in docs/architecture.md) ----
    def complaint(name, own, peer, index, words, dies):
        """`name` tells master of a neighbour; exactly one process is replaced for it."""
        ready(*INNER, "edge.0", "edge.1")
        was, seen = {n: pid for pid, n in server.workers().items()}, len(server.log())
        with Hostile(server, name, spare=True) as liar:
            liar.send("master", NONSENSE, u(own) + u(peer) + u(index))
        T.ok(wait_for(lambda: re.search(words, server.log()[seen:]), 30), f"{words}: is logged", server.log()[seen:])
        replaced(was, dies, words)

    def ready(*names):
        wait_for(lambda: server.ready(*names) and all(linked(e, n) for e in ("edge.0", "edge.1") for n in INNER), 60, 0.1)

    def replaced(was, name, words):
        T.ok(wait_for(lambda: server.workers().get(was[name]) is None and name in server.workers().values(), 60), f"{words}: {name} is a new one")
        T.equal({n: pid for pid, n in server.workers().items() if n != name}, {n: pid for n, pid in was.items() if n != name},
                f"{words}: all others live on")

    complaint("edge.1", EDGE, QUEUE, 0, r"edge\.1 has closed its channel to queue\.0: it is replaced", "edge.1")
    complaint("edge.0", EDGE, STORE, 1, r"edge\.0 has closed its channel to store\.1: it is replaced", "edge.0")
    complaint("store.1", STORE, QUEUE, 0, r"store\.1 has closed its channel to queue\.0: it is replaced", "store.1")
    complaint("store.0", STORE, EDGE, 1, r"edge\.1 sent store\.0 what no process of ours sends: killed", "edge.1")
    # not his to say: of another role's channel, of roles that have none; the third is heard, so the others were, too
    with Hostile(server, "edge.1", spare=True) as edge:
        edge.send("master", NONSENSE, u(QUEUE) + u(EDGE) + u(0))
        edge.send("master", NONSENSE, u(EDGE) + u(EDGE) + u(0))
    complaint("edge.1", EDGE, QUEUE, 0, r"edge\.1 has closed its channel to queue\.0: it is replaced", "edge.1")
    # a real one: queue says something odd, and an edge that will not hear more of it must not stay behind without a queue
    ready(*INNER, "edge.0", "edge.1")
    now, at = {n: pid for pid, n in server.workers().items()}, len(server.log())
    with Hostile(server, "queue.0", spare=True) as queue:
        queue.send("edge.0", AUTH)
    T.ok(wait_for(lambda: re.search(r"edge\.0 has closed its channel to queue\.0: it is replaced", server.log()[at:]), 30),
         "an edge that closed its channel to queue is replaced", server.log()[at:])
    replaced(now, "edge.0", "an edge without its queue")

    # one that has shut its channel to master, and lives on
    ready(*INNER, "edge.0", "edge.1")
    now = {n: pid for pid, n in server.workers().items()}
    with Hostile(server, "edge.0") as edge:
        edge.channels["master"].shutdown(socket.SHUT_RDWR)
        T.ok(wait_for(lambda: not server.ready("edge.0"), 30), "an edge that shuts its channel to master is not counted on")
        T.equal(server.reload()[0], 0, "a reload does without it")
        T.ok(server.alive() and now["edge.0"] in server.workers(), "and master lives, as the edge does")
    replaced(now, "edge.0", "an edge without its master")

    # ---- the end: all is as before ----
    for name in ("edge.0", "edge.1", "tls.0", "relay.0"):
        wait_for(lambda: name in server.workers().values(), 30)
    for word in (SECRET.encode(), PRIVATE, b"Maildir", f"{server.mail}".encode()):
        T.ok(word not in heard, f"no edge was ever told {word.decode()}")

    def mail_goes():
        try:
            with server.smtp("smtp") as c:
                c.ehlo()
                return c.mail("a@example.org", addr["ben"], b"Subject: after\r\n\r\nx\r\n").code == 250
        except OSError:
            return False
    T.ok(wait_for(mail_goes, 60, 0.3), "mail is taken")
    T.ok(server.wait_messages("ben", 2, 60), "and delivered")
T.equal(server.problems(), [], "no report")
T.done()
