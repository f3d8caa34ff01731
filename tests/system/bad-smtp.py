#!/usr/bin/python3
# bad-smtp.py - what no honest SMTP client sends: a clear refusal, bounded memory, and the next client is served
# limit: 600
# SPDX-License-Identifier: Apache-2.0
import re
import threading

from badinput import Memory, gentle, nested, parts_of
from ekiden import MAIL, Server, listener, wait_for
from sink import Sink
from tap import Tap
from wire import Closed

CONFIG = (MAIL + listener("smtp") + listener("small", "smtp", message_size_limit="200K")
          + listener("slow", "smtp", idle_timeout="3s") + listener("many", "smtp", recipients_max="100000")
          + listener("submissions", submission="yes") + listener("imaps") + """
trusted = 192.0.2.0/24
static "anybody" {
  home      = "${mail}/%d/%n"
  all_users = yes
}
domain "any.test" {
  users     = anybody
  mailboxes = mail
}
smtp "out" {
}
routing {
  transport = out
  relayhost = "[127.0.0.1]:SINK"
}
""")
t = Tap()


def served(s, what):
    """The next client gets his message through."""
    with s.smtp("smtp") as c:
        c.ehlo()
        answer = c.mail("a@b.example", "anna@example.test", b"Subject: next\r\n\r\nafter " + what.encode())
    t.ok(answer.code == 250 and wait_for(lambda: any(b"after " + what.encode() in m for m in s.messages("anna")), 60),
         f"{what}: the next client is served", answer)


def begun(s, listener="smtp", rcpt="anna@example.test"):
    """A session in which DATA may follow."""
    c = s.smtp(listener, timeout=100)
    c.ehlo()
    assert c.cmd("MAIL FROM:<a@b.example>").code == 250
    assert c.cmd(f"RCPT TO:<{rcpt}>").code == 250
    return c


def flood(c, data, times):
    """Sends until all went out or the server closed; true when it closed."""
    try:
        for _ in range(times):
            c.sock.sendall(data)
        return False
    except OSError:
        return True


def last_reply(c):
    """The last reply before the server closed; None when there was none."""
    last = None
    try:
        while True:
            last = c.reply()
    except (Closed, TimeoutError):
        return last


# ---- commands -------------------------------------------------------------------------------------


def commands(s):
    with s.smtp("smtp", timeout=100) as c:
        c.ehlo()
        flood(c, b"X" * 65536, 800)
        c.send(b"\r\n")
        t.equal(c.reply().code, 500, "a line of 50 MB: 500")
        t.equal(c.cmd("NOOP").code, 250, "and the session goes on")
        for line, code, text in ((b"NOOP \0\0", 501, "NUL"), (b"MAIL FROM:<a\0b@c.example>", 501, "NUL in an address"),
                                 (b"MAIL FROM:<a\x07@c.example>", 501, "a control character"), (b"\xff\xfe\xfd", 502, "no command at all"),
                                 (b"MAIL FROM:<\xff\xfe@c.example> SMTPUTF8", 501, "broken UTF-8 in an address"),
                                 (b"MAIL FROM:<a@c.example> SMTPUTF8 ENVID=\xff", 501, "8-bit in a parameter"),
                                 (b"MAIL FROM:<j\xc3\xbcrgen@c.example>", 553, "UTF-8 without SMTPUTF8"),
                                 (b"MAIL FROM:<" + b"a" * 300 + b"@c.example>", 501, "a local part of 300 bytes"),
                                 (b"MAIL FROM:<a@c.example> SIZE=18446744073709551616", 552, "a SIZE of more than 64 bits")):
            c.line_out(line)
            t.equal(c.reply().code, code, f"{text}: {code}")
    served(s, "bad commands")
    with s.smtp("smtp") as c:
        codes = []
        try:
            for _ in range(40):
                codes.append(c.cmd("BOGUS").code)
        except (Closed, OSError):
            pass
        t.ok(codes[-1] in (421, 502) and len(codes) <= 21, "who errs on is disconnected", codes)
    with s.smtp("smtp") as c:
        c.ehlo(b"\xff\xfe(\\\")".decode("utf-8", "surrogateescape"))
        answer = c.mail("a@b.example", "anna@example.test", b"Subject: odd\r\n\r\nodd greeting")
    odd = wait_for(lambda: [m for m in s.messages("anna") if b"odd greeting" in m], 60)
    t.ok(answer.code == 250 and odd and b"\xff" not in odd[0], "a greeting of rubbish leaves none in Received", odd)


def recipients(s, memory):
    n = 100_000
    with s.smtp("smtp", timeout=200) as c:
        c.ehlo()
        c.cmd("MAIL FROM:<a@b.example>")
        writer = threading.Thread(target=lambda: flood(c, b"".join(b"RCPT TO:<u%d@any.test>\r\n" % i for i in range(n)), 1))
        writer.start()
        codes = []
        try:
            while len(codes) < n:
                codes.append(c.reply().code)
        except Closed:
            pass
        writer.join()
    t.equal(codes[:1000], [250] * 1000, "100,000 recipients: the first 1,000 are taken")
    t.ok(set(codes[1000:-1]) == {452} and codes[-1] in (421, 452), "the others are told 452", (codes[1000:1005], codes[-3:]))
    t.ok(len(codes) < 5000, "and who goes on and on is disconnected", len(codes))
    served(s, "too many recipients")
    with s.smtp("many", timeout=200) as c:
        c.ehlo()
        c.cmd("MAIL FROM:<a@b.example>")
        writer = threading.Thread(target=lambda: flood(c, b"".join(b"RCPT TO:<user%d@any.test>\r\n" % i for i in range(n)), 1))
        writer.start()
        codes = [c.reply().code for _ in range(n)]
        writer.join()
        t.equal(set(codes), {250}, "with recipients_max = 100000 all are taken")
        t.equal(c.cmd("RCPT TO:<user@any.test>").code, 452, "one more is told 452")
        t.equal(c.cmd("RSET").code, 250, "and RSET forgets them")
    memory.check("100,000 recipients")
    served(s, "100,000 recipients")


def slow(s):
    clients = [s.smtp("slow", timeout=100) for _ in range(3)]
    clients[1].ehlo()
    clients[2].ehlo()
    clients[2].cmd("MAIL FROM:<a@b.example>")
    clients[2].cmd("RCPT TO:<anna@example.test>")
    clients[2].cmd("DATA")
    texts = (b"EHLO " + b"x" * 200, b"MAIL FROM:<" + b"x" * 200, b"Subject: slow\r\n\r\n" + b"x" * 200)
    sent = [0, 0, 0]

    def trickle(i):
        sent[i] = clients[i].trickle(texts[i], 1)
    threads = [threading.Thread(target=trickle, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    served(s, "slow clients")
    for i, (c, where) in enumerate(zip(clients, ("EHLO", "MAIL", "DATA"))):
        answer = last_reply(c)
        t.ok(answer is not None and answer.code == 421 and answer.dsn == "4.4.2", f"one byte a second in {where}: 421 4.4.2", answer)
        c.close()
        threads[i].join()
        t.ok(sent[i] < 100, "and he is disconnected", sent[i])


# ---- content --------------------------------------------------------------------------------------


def content(s):
    with begun(s) as c:
        answer = c.data(b"Subject: many fields\r\n" + b"X-Field: y\r\n" * 20_000 + b"\r\nbody\r\n")
        t.equal(answer.code, 552, "20,000 header fields: 552")
        t.equal(c.mail("a@b.example", "anna@example.test", b"Subject: long field\r\nX: " + b"y" * 2_000_000 + b"\r\n\r\nbody").code, 552,
                "a header line of 2 MB: 552")
        t.equal(c.mail("a@b.example", "anna@example.test", b"Subject: z\r\nX: " + b"y " * 100_000 + b"\r\n\r\nlong but allowed").code, 250,
                "one of 200 KB is taken")
        t.equal(c.mail("a@b.example", "anna@example.test", b"Subject: nul\r\n\r\nwith\0a NUL\r\n" + b"x" * 1_000_000).code, 250,
                "a NUL, and a line of 1 MB: taken")
        t.equal(c.mail("a@b.example", "anna@example.test", b"Subject: \xff\xfe\xfa\r\nFrom: \xc3\x28\r\n\r\n\xf0\x28\x8c\xbc broken").code, 250,
                "broken UTF-8 in header and body: taken")
        t.equal(c.mail("a@b.example", "anna@example.test", nested(1000)).code, 250, "1,000 levels of MIME: taken")
        t.equal(c.mail("a@b.example", "anna@example.test", parts_of(20_000)).code, 250, "20,000 parts: taken")
        t.equal(c.mail("a@b.example", "anna@example.test", b"").code, 250, "nothing at all: taken")
    served(s, "odd messages")
    with begun(s) as c:
        t.equal(c.cmd("DATA").code, 354, "an endless header begins")
        flood(c, b"X-Endless: header\r\n" * 4000, 2000)
        t.equal(c.reply().code, 552, "and is answered with 552 while it goes on")
        t.ok(c.closed(60), "and with the end of the connection")
    served(s, "an endless header")


def sizes(s):
    with s.smtp("small", timeout=100) as c:
        t.contains(c.ehlo().lines, "SIZE 204800", "SIZE is told")
        answer = c.cmd("MAIL FROM:<a@b.example> SIZE=204801")
        t.equal((answer.code, answer.dsn), (552, "5.3.4"), "a SIZE above it: 552 before the body")
        answer = c.mail("a@b.example", "anna@example.test", b"Subject: liar\r\n\r\n" + b"y" * 300_000)
        t.equal((answer.code, answer.dsn), (552, "5.3.4"), "a body above it that was not told: 552 at its end")
        c.cmd("MAIL FROM:<a@b.example>")
        c.cmd("RCPT TO:<anna@example.test>")
        c.send(b"BDAT 300000\r\n" + b"z" * 300_000)
        t.equal(c.reply().code, 552, "a chunk above it: 552")
        c.send(b"BDAT 6 LAST\r\nz\r\nz\r\n")
        t.equal(c.reply().code, 552, "the last chunk too")
        t.equal(c.mail("a@b.example", "anna@example.test", b"Subject: small\r\n\r\nsmall").code, 250, "a small one behind it is taken")
        c.cmd("MAIL FROM:<a@b.example>")
        c.cmd("RCPT TO:<anna@example.test>")
        answer = c.cmd("BDAT 4000000000000000000 LAST")
        t.ok(answer.code == 552 and c.closed(), "a chunk of 4 EB: 552, and no attempt to read it", answer)
    with begun(s, "small") as c:
        c.cmd("DATA")
        closed = flood(c, b"y" * 70 + b"\r\n", 2_000_000)
        t.ok(closed, "an endless body ends with the connection")
    served(s, "oversize messages")


def readable(s):
    """All that was accepted can be read over IMAP."""
    with s.imap("imaps", "anna") as c:
        c.sock.settimeout(200)
        n = len(s.messages("anna"))
        t.ok(c.cmd("SELECT INBOX").find(f"{n} EXISTS"), "all that was taken is there")
        answer = c.cmd("FETCH 1:* (UID ENVELOPE BODYSTRUCTURE RFC822.SIZE)")
        t.ok(answer.status == "OK" and len(answer.untagged) == n, "and can be listed", answer.text)
        answer = c.cmd("FETCH 1:* BODY.PEEK[]")
        t.ok(answer.status == "OK" and len(answer.untagged) == n and not any(b"\0" in line for line in answer.untagged), "and read, no NUL among it")
        t.equal(c.cmd('SEARCH TEXT "a NUL"').status, "OK", "and searched")


# ---- smuggling ------------------------------------------------------------------------------------

ENDS = [b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\n", b"\r\n.\r", b"\r.\r\n", b"\n.\r", b"\r\n\n.\r\n", b"\r\n.\r\r\n", b"\r\n\r.\r\n",
        b"\r\n.\0\r\n", b"\r\n\0.\r\n", b"\r\n.\n\r\n", b"\r\r\n.\r\r\n", b"\n\n.\n\n", b"\r\n..\n", b"\n..\r\n"]
EVIL = b"MAIL FROM:<evil@b.example>\r\nRCPT TO:<anna@example.test>\r\nDATA\r\nSubject: smuggled\r\n\r\nsmuggled\r\n.\r\n"


def in_pieces(c, data, pieces):
    """All at once, or byte by byte in packets of their own."""
    try:
        if not pieces:
            c.sock.sendall(data)
        else:
            for i in range(len(data)):
                c.sock.sendall(data[i:i + 1])
    except OSError:
        pass


def smuggling_in(s):
    odd = []
    for pieces in (False, True):
        for end in ENDS:
            with begun(s) as c:
                c.cmd("DATA")
                in_pieces(c, b"Subject: carrier\r\n\r\ncarrier" + end + EVIL, pieces)
                codes = []
                try:
                    codes.append(c.reply().code)
                    codes.append(c.cmd("QUIT").code)       # the answer to something else, if there was a second message
                except (Closed, OSError):
                    pass
                clean = b"\0" in end                        # odd bytes, good line ends
                if codes != ([250, 221] if clean else [521]):
                    odd.append((end, pieces, codes))
    t.equal(odd, [], f"smuggling: {2 * len(ENDS)} variants by DATA, whole and byte by byte: 521, or one message")
    for end in ENDS:
        with begun(s) as c:
            body = b"Subject: carrier\r\n\r\ncarrier" + end + EVIL
            cut = body.index(end) + 1
            in_pieces(c, b"BDAT %d\r\n" % cut + body[:cut] + b"BDAT %d LAST\r\n" % (len(body) - cut) + body[cut:], False)
            last_reply_codes = []
            try:
                while True:
                    last_reply_codes.append(c.reply().code)
                    if len(last_reply_codes) == 2:
                        break
            except (Closed, TimeoutError):
                pass
            if last_reply_codes not in ([521], [250, 521], [250, 250]):
                odd.append((end, last_reply_codes))
    t.equal(odd, [], "smuggling: the same by BDAT, cut in the middle of the line end")
    served(s, "smuggling")
    t.ok(not any(b"\nSubject: smuggled" in m.split(b"\r\n\r\n" if b"\r\n\r\n" in m else b"\n\n", 1)[0] for m in s.messages("anna")),
         "smuggling: no message of its own came of it")


def smuggling_out(s, sink):
    """What a user sends is normalised, and what goes out cannot be read in two ways."""
    sent = 0
    for pieces in (False, True):
        for end in ENDS:
            with s.smtp("submissions", login="anna", timeout=100) as c:
                c.cmd("MAIL FROM:<anna@example.test>")
                c.cmd("RCPT TO:<x@elsewhere.example>")
                c.cmd("DATA")
                in_pieces(c, b"Subject: out\r\n\r\nout" + end + b"MAIL FROM:<evil@b.example>\r\n.\r\n", pieces)
                sent += c.reply().code == 250
    bodies = (b".\r\n..\r\n...\r\n.x\r\n\r\n.\r\n", b"." * 70_000 + b"\r\n.end", b"\r\n".join([b"."] * 40_000), b"a\n.\nb\r.\rc", b"\r", b".")
    for body in bodies:
        with s.smtp("submissions", login="anna", timeout=100) as c:
            c.cmd("MAIL FROM:<anna@example.test>")
            c.cmd("RCPT TO:<x@elsewhere.example>")
            whole = b"Subject: dots\r\n\r\n" + body
            c.send(b"BDAT %d LAST\r\n" % len(whole) + whole)
            sent += c.reply().code == 250
    t.equal(sent, 2 * len(ENDS) + len(bodies), "smuggling out: a user's messages are taken, by DATA and BDAT")
    t.ok(sink.wait(sent, 200), "smuggling out: and all arrive at the next hop", f"{len(sink.messages)} of {sent}\n{s.tail(20)}")
    t.equal(len(sink.messages), sent, "smuggling out: each once")
    t.equal(sink.bare, [], "smuggling out: no CR or LF alone among what was sent")
    t.equal({m.sender for m in sink.messages}, {"anna@example.test"}, "smuggling out: nobody else's among them")
    t.ok(not [line for _, line in sink.commands if "evil" in line], "smuggling out: no command came of content")
    got = sorted(m.data.split(b"\r\n\r\n", 1)[1] for m in sink.messages if b"Subject: dots" in m.data)
    want = sorted(b.replace(b"a\n.\nb\r.\rc", b"a\r\n.\r\nb . c").replace(b"\r\n", b"\0").replace(b"\r", b" ").replace(b"\0", b"\r\n") for b in bodies)
    t.equal([g.rstrip(b"\r\n ")[:100] for g in got], [w.rstrip(b"\r\n ")[:100] for w in want], "smuggling out: lines of dots arrive as they were")
    got = [re.sub(rb"(?<=[^\n]{997})\r\n ", b"", g) for g in got]         # lines over 998 octets are broken
    t.equal([len(g.rstrip(b"\r\n ")) for g in got], [len(w.rstrip(b"\r\n ")) for w in want], "smuggling out: every one of them")


with Sink() as target:
    with Server(CONFIG.replace("SINK", str(target.port)), users=["anna"], env=gentle()) as server:
        served(server, "start")
        pss = Memory(server, t)
        commands(server)
        pss.check("bad commands")
        recipients(server, pss)
        slow(server)
        sizes(server)
        pss.check("oversize messages")
        content(server)
        readable(server)
        pss.check("odd messages, written and read")
        smuggling_in(server)
        smuggling_out(server, target)
        pss.check("smuggling")
        t.ok(server.stop(), "the server stops")
t.ok(not server.problems(), "no reports from any role", server.problems())
t.done()
