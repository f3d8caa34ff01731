#!/usr/bin/python3
# bad-imap.py - what no honest IMAP client sends: a clear refusal, bounded memory, and the next client is served
# limit: 600
# SPDX-License-Identifier: Apache-2.0
import os
import re

from badinput import Memory, gentle, nested, parts_of
from ekiden import MAIL, Server, listener
from tap import Tap
from wire import Closed, Imap

CONFIG = (MAIL + listener("imaps") + listener("slow", "imap", login_timeout="3s")
          + listener("patient", "imap", tls="implicit", bad_commands_max="255") + """
auth {
  failure_delay = 50ms
}
store {
  mailboxes_max = 300
}
""")
t = Tap()


def served(s, what):
    """The next client reads his mail, and so does the next command of a session that was there before."""
    with s.imap("imaps", "ben") as c:
        answer = c.cmd("SELECT INBOX")
        t.ok(answer.status == "OK" and c.cmd("FETCH 1 BODY.PEEK[]").find("for ben"), f"{what}: the next client is served", answer)


def patient(s, login="anna"):
    """A session that may err as often as the test likes; TLS from the start."""
    c = Imap(s.port("patient"), tls=s.tls_client(), name=s.hostname, timeout=200)
    if login:
        assert c.login(s.address(login), s.password).status == "OK"
    return c


def says(c, command, status, text, *literals):
    answer = c.cmd(command, *literals)
    return t.ok(answer.status == status, f"{text}: {status}", answer)


def flood(c, data, times):
    try:
        for _ in range(times):
            c.sock.sendall(data)
        return False
    except OSError:
        return True


# ---- before login ---------------------------------------------------------------------------------


def before_login(s):
    with patient(s, None) as c:
        flood(c, b"X" * 65536, 300)
        c.send(b"\r\n")
        t.contains(c.line(), " BAD ", "before login: a line of 20 MB is BAD")
        says(c, "LOGIN {}", "BAD", "before login: a literal of 5 MB is refused as it is announced", b"x" * 5_000_000)
        c.send(b"t LOGIN {4294967295}\r\n")
        t.contains(c.line(), "t BAD", "before login: so is one of 4 GB")
        c.send(b"t LOGIN {99999999999999999999999999}\r\n")
        t.contains(c.line(), "t BAD", "before login: and one of any size")
        c.send(b"t LOGIN {3000000+}\r\n" + b"y" * 3_000_000 + b" {1000000+}\r\n" + b"z" * 1_000_000 + b"\r\n")
        t.contains(c.line(), "t BAD", "before login: a LITERAL+ flood is skipped")
        says(c, "LOGIN {} x", "BAD", "before login: a NUL in a literal", b"an\0na")
        says(c, 'LOGIN "an\0na" x', "BAD", "before login: a NUL in a string")
        says(c, "LOGIN {} {}", "BAD", "before login: 8-bit rubbish for a name", b"\xff\xfe\xfd", b"\xff")
        says(c, "SELECT INBOX", "BAD", "before login: no SELECT")
        says(c, "AUTHENTICATE PLAIN " + "A" * 4000, "BAD", "before login: a long token")
        c.send(b"t AUTHENTICATE PLAIN\r\n")
        t.ok(c.line().startswith("+"), "before login: a challenge")
        c.send(b"A" * 100_000 + b"\r\n")
        t.contains(c.line(), "t BAD", "before login: an answer that is too long ends it")
        says(c, "NOOP", "OK", "before login: and the session goes on")
        c.send(b"\0\0\0\r\n")
        t.contains(c.line(), "BAD", "before login: NULs are BAD")
        says(c, f"LOGIN {s.address('anna')} {s.password}", "OK", "after all that: the login works")
    with s.imap("imaps") as c:
        n = 0
        try:
            while n < 100:
                c.line_out("nonsense")
                c.line()
                n += 1
        except (Closed, OSError):
            pass
        t.ok(n <= 21, "before login: who errs on is disconnected", n)
    with s.imap("slow", timeout=60) as c:
        sent = c.trickle(b"a LOGIN " + b"x" * 300, 1)
        t.ok(sent < 100, "before login: one byte a second: disconnected in time", sent)
    served(s, "before login")


# ---- commands -------------------------------------------------------------------------------------


def commands(s):
    with patient(s) as c:
        says(c, "SELECT INBOX", "OK", "SELECT")
        flood(c, b"b FETCH " + b"9" * 65536, 300)
        c.send(b"\r\n")
        t.contains(c.line(), "b BAD", "a line of 20 MB")
        says(c, "SEARCH " + "(" * 5000 + "ALL" + ")" * 5000, "BAD", "5,000 parentheses in SEARCH")
        says(c, "SEARCH " + "NOT " * 5000 + "ALL", "BAD", "5,000 NOTs")
        says(c, "SEARCH " + "OR ALL " * 5000 + "ALL", "BAD", "5,000 ORs")
        says(c, "SEARCH " + "BODY x " * 3000, "BAD", "3,000 BODY keys")
        says(c, "SEARCH " + "ALL " * 5000, "BAD", "5,000 keys")
        says(c, "FETCH 1 " + "(" * 5000 + "FLAGS" + ")" * 5000, "BAD", "5,000 parentheses in FETCH")
        says(c, "FETCH 1 (" + "BODY.PEEK[] " * 3000 + ")", "BAD", "3,000 sections")
        says(c, "FETCH 1 BODY[" + "1." * 5000 + "1]", "BAD", "a part of 5,000 levels")
        says(c, "FETCH 1 BODY.PEEK[" + ".".join(["1"] * 50) + "]", "OK", "a part of 50 levels that is not there")
        says(c, "FETCH 1 BODY.PEEK[4294967295]", "OK", "part 4294967295")
        says(c, "FETCH 1 BODY.PEEK[4294967296]", "BAD", "part 4294967296")
        says(c, "FETCH 1 BODY.PEEK[]<4294967295.4294967295>", "OK", "a part of bytes far behind the end")
        says(c, "FETCH 1 BODY.PEEK[]<4294967296.1>", "BAD", "an offset of more than 32 bits")
        says(c, "FETCH 0 FLAGS", "BAD", "message 0")
        says(c, "FETCH 4294967295 FLAGS", "BAD", "message 4294967295")
        says(c, "FETCH 18446744073709551617 FLAGS", "BAD", "message 2^64 + 1")
        says(c, "UID FETCH 4294967295 FLAGS", "OK", "UID 4294967295")
        says(c, "UID FETCH " + "1," * 30000 + "1 FLAGS", "OK", "a set of 30,000 ranges")
        says(c, "UID FETCH " + "1:*," * 10000 + "* FLAGS", "OK", "a set of 10,000 ranges of everything")
        says(c, "FETCH 1 (BODY.PEEK[HEADER.FIELDS (" + "X " * 20000 + ")])", "OK", "20,000 field names")
        says(c, "FETCH 1 (BODY.PEEK[HEADER.FIELDS ({})])", "BAD", "a field name with a line end", b"X\r\nY")
        says(c, "STORE 1 +FLAGS (" + " ".join(f"k{i}" for i in range(5000)) + ")", "BAD", "5,000 keywords")
        says(c, "STORE 1 +FLAGS (k\xe4\xf6\xfc\0)", "BAD", "a NUL in a keyword")
        says(c, "SEARCH CHARSET X-KLINGON TEXT x", "NO", "a charset that nobody knows")
        says(c, "SEARCH CHARSET " + "x" * 5000 + " TEXT x", "NO", "one of 5,000 letters")
        says(c, "SEARCH CHARSET UTF-8 SUBJECT {}", "OK", "broken UTF-8 in SEARCH", b"\xff\xfe\xc3\x28")
        says(c, "SEARCH TEXT {}", "BAD", "a NUL in SEARCH", b"a\0b")
        says(c, "SEARCH TEXT " + "x" * 5000, "BAD", "a text of 5,000 letters")
        says(c, "SEARCH LARGER 99999999999999999999", "BAD", "a size of more than 64 bits")
        says(c, "SEARCH MODSEQ 99999999999999999999", "BAD", "a mod-sequence of more than 63 bits")
        says(c, "SEARCH ON 32-Jan-2026", "BAD", "the 32nd of January")
        says(c, "IDLE now", "BAD", "IDLE with an argument")
        c.send(b"c LIST \"\" {200000+}\r\n" + b"%" * 200_000 + b"\r\n")
        t.contains(c.line(), "c BAD", "a LITERAL+ that is too large is skipped")
        for i in range(50):
            c.send(b"d NOOP {1000+}\r\n" + b"%d" % (i % 10) * 1000 + b"\r\n")
        t.equal([c.line()[:5] for _ in range(50)], ["d BAD"] * 50, "literals where none belong")
        says(c, "NOOP", "OK", "and the session goes on")
        c.send(b"e1 NOOP\r\ne2 IDLE\r\nDONE\r\ne3 IDLE\r\nDONE\r\ne4 NOOP\r\n")
        said = [c.line() for _ in range(6)]
        t.equal([x.split(" ")[0] for x in said], ["e1", "+", "e2", "+", "e3", "e4"], "IDLE and DONE in one packet, twice")
    served(s, "bad commands")


# ---- mailboxes ------------------------------------------------------------------------------------


def names(s):
    with patient(s) as c:
        for name, text in ((b"..", "two dots"), (b"../ben", "the way to another"), (b"a/../../ben", "a longer way"), (b"/etc/passwd", "an absolute path"),
                           (b"~ben", None), (b"a\nb", "a line end"), (b"a\rb", "a CR"), (b"\x01\x02", "controls"), (b"", "nothing"), (b".", "a dot"),
                           (b".a", "a dot before"), (b"a..b", "an empty level"), (b"&", "a bare &"), (b"&AAA-", "a NUL in mUTF-7"), (b"&-&", "a bare & behind"),
                           (b"&ABC", "mUTF-7 that does not end"), (b"&AGE-", "mUTF-7 for a letter"), (b"&2AA-", "half a surrogate"), (b"\xff\xfe", "broken UTF-8"),
                           (b"\xc3\xbc", None), (b"x" * 300, "300 letters"), (b"cur", None), (b"a" * 5000, "5,000 letters"), (b"&AC8-", "a slash in mUTF-7")):
            answer = c.cmd("CREATE {}", name)
            if text:
                t.ok(answer.status in ("NO", "BAD"), f"CREATE of {text} is refused", answer)
            for verb in ("SELECT {}", "STATUS {} (MESSAGES)", "SUBSCRIBE {}" if text else "NOOP {}", "DELETE {}"):
                answer = c.cmd(verb, name)
                if text and answer.status not in ("NO", "BAD"):
                    t.ok(name == b"" or "SUBSCRIBE" in verb, f"{verb} of {text} is refused", answer)
        says(c, "CREATE {}", "BAD", "CREATE of a NUL", b"a\0b")
        says(c, "RENAME INBOX {}", "NO", "RENAME to the way out", b"../out")
        says(c, 'LIST "../../" "*"', "OK", "LIST with the way out")
        says(c, 'LIST "" "' + "%*" * 2000 + '"', "BAD", "a pattern of 4,000 wildcards")
        says(c, 'LIST "" "' + "*%" * 200 + 'x"', "OK", "one of 400")
        answer = c.cmd('LIST "" "*"')
        t.ok(all(b"\r\n" not in line and not re.search(rb"[\x00-\x1f\x80-\xff]", line) for line in answer.untagged), "LIST shows nothing odd", answer)
        says(c, "NOOP", "OK", "and the session goes on")
    t.equal(len(s.messages("ben")), 1, "ben's mail is untouched")


def folders(s, count):
    """Some are made by the client, most by another program."""
    base = s.maildir("many")
    with patient(s, "many") as c:
        deep = ".".join(["d"] * 60)
        says(c, f"CREATE {deep}", "OK", "60 levels of folders")
        t.equal(c.cmd("CREATE " + ".".join(["e"] * 3000)).status, "NO", "3,000 levels are refused")
        made = 200
        c.send(b"".join(b"m%d CREATE Many.f%d\r\n" % (i, i) for i in range(made)))
        t.equal([x for x in (c.line() for _ in range(made)) if " OK " not in x], [], f"{made} folders are made")
        owner = os.stat(base)
        for i in range(made, count):
            for sub in ("", "/tmp", "/new", "/cur"):
                os.mkdir(f"{base}/.Many.f{i}{sub}", 0o700)
                os.chown(f"{base}/.Many.f{i}{sub}", owner.st_uid, owner.st_gid)
        t.equal(len(c.cmd('LIST "" "Many.%"').untagged), count, f"{count} folders are listed")
        answer = c.cmd('LIST "" "*" RETURN (SUBSCRIBED CHILDREN STATUS (MESSAGES))')
        t.ok(answer.status == "OK" and len(answer.find("* STATUS")) >= count, "all with children, subscriptions and counts", answer.text)
        says(c, f"SELECT Many.f{count - 1}", "OK", "the last one can be selected")
        says(c, "RENAME Many Lots", "OK", "their parent is renamed")
        t.equal(len(c.cmd('LIST "" "Lots.%"').untagged), count, "and all have gone with it")
        for command in ("CREATE One", "RENAME INBOX One", "CREATE Lots.one.more"):
            answer = c.cmd(command)
            t.ok(answer.status == "NO" and answer.text.startswith("[LIMIT] there are"), f"{command}: more than mailboxes_max are not made", answer)
    served(s, f"{count} folders")


# ---- messages -------------------------------------------------------------------------------------


def messages(s):
    odd = {
        "1,000 levels of MIME": nested(1000), "20,000 parts": parts_of(20_000),
        "100,000 header fields": b"Subject: fields\r\n" + b"".join(b"X-Field-%d: y\r\n" % i for i in range(100_000)) + b"\r\nbody\r\n",
        "a header line of 1 MB": b"Subject: long\r\nX: " + b"y" * 1_000_000 + b"\r\n\r\nbody\r\n",
        "a subject of 1 MB": b"Subject: " + b"y " * 500_000 + b"\r\n\r\nbody\r\n",
        "100,000 addresses": b"Subject: addresses\r\nTo: " + b",\r\n ".join(b"u%d@any.test" % i for i in range(100_000)) + b"\r\n\r\nbody\r\n",
        "NULs": b"Subject: n\0ul\r\nFrom: a\0b <c@d.example>\r\nContent-Type: text/plain; x=\"\0\"\r\n\r\nbody \0\0\r\n",
        "broken UTF-8": b"Subject: \xff\xfe\xc3\x28\r\nFrom: \xff <\xfe@d.example>\r\nContent-Type: text/plain; charset=\"\xff\"\r\n\r\n\xff\xfe\r\n",
        "parentheses": b"Subject: p\r\nFrom: " + b"(" * 100_000 + b"\r\nTo: " + b"<" * 100_000 + b"\r\nCc: " + b'"' * 100_001 + b"\r\n\r\nbody\r\n",
        "encoded words": b"Subject: " + b"=?utf-8?B?//////8=?= " * 20_000 + b"\r\n\r\nbody\r\n",
        "message in message": b"Content-Type: message/rfc822\r\n\r\n" * 1000 + b"Subject: bottom\r\n\r\nbody\r\n",
        "parameters": b"Content-Type: text/plain" + b"; a=b" * 50_000 + b"\r\n\r\nbody\r\n",
        "continued parameters": b"Content-Type: text/plain" + b"".join(b"; a*%d=b" % i for i in range(20_000)) + b"\r\n\r\nbody\r\n",
        "a boundary of 100 KB": b"Content-Type: multipart/mixed; boundary=" + b"b" * 100_000 + b"\r\n\r\n--" + b"b" * 100_000 + b"\r\n\r\nx\r\n",
        "LF alone": b"Subject: lf\n\nbody\n.\nend\n", "nothing but a line end": b"\r\n", "no header": b"\r\nbody only\r\n", "one byte": b"x",
        "a body without lines": b"Subject: line\r\n\r\n" + b"z" * 3_000_000,
    }
    with patient(s, "odd") as c:
        for i, (text, data) in enumerate(odd.items(), 1):
            answer = c.append("INBOX", data)
            t.equal(answer.status, "OK", f"{text}: APPEND") or t.note(answer)
        says(c, "SELECT INBOX", "OK", "they are selected")
        for i, (text, data) in enumerate(odd.items(), 1):
            for item in ("ENVELOPE", "BODYSTRUCTURE", "BODY", "RFC822.SIZE", "BODY.PEEK[HEADER]", "BODY.PEEK[TEXT]", "BODY.PEEK[1]", "BODY.PEEK[1.1.1.1]",
                         "BODY.PEEK[HEADER.FIELDS (SUBJECT TO X)]", "BODY.PEEK[1.MIME]"):
                answer = c.cmd(f"FETCH {i} {item}")
                if answer.status != "OK" or len(answer.untagged) != 1 or b"\0" in answer.untagged[0]:
                    t.ok(False, f"{text}: FETCH {item}", f"{answer.status} {answer.text} {[u[:200] for u in answer.untagged]}")
            answer = c.cmd(f"FETCH {i} BODY.PEEK[]")
            got = answer.untagged[0][answer.untagged[0].index(b"}\r\n") + 3:-1] if answer.untagged and b"}\r\n" in answer.untagged[0] else b""
            t.ok(got.replace(b"\r\n", b"\n") == data.replace(b"\0", b"\x80").replace(b"\r\n", b"\n"), f"{text}: read as it was written", got[:100])
        for key in ('TEXT "nowhere"', 'SUBJECT "bottom"', 'HEADER X-Field-99999 "y"', 'TO "u99999@"', 'BODY "end"', "SENTON 1-Jan-2026"):
            says(c, f"SEARCH {key}", "OK", f"SEARCH {key} over them")
        says(c, "COPY 1:* Copies", "NO", "COPY to what is not there")
        says(c, "STORE 1:* +FLAGS (\\Deleted)", "OK", "STORE")
        says(c, "EXPUNGE", "OK", "EXPUNGE")
    with patient(s) as c:
        says(c, "APPEND INBOX {}", "NO", "an APPEND that is too large is refused as it is announced", b"x" * (51 << 20))
        c.send(b"f APPEND INBOX {999999999999999999999}\r\n")
        t.contains(c.line(), "f NO", "so is one of any size")
        c.send(b"g APPEND Nowhere {2000000+}\r\n" + b"x" * 2_000_000 + b"\r\n")
        t.contains(c.line(), "g NO [TRYCREATE]", "one for a mailbox that is not there is skipped")
        c.send(b"h APPEND INBOX {5+}\r\nhello {5+}\r\nworld\r\n")
        t.contains(c.line(), "h BAD", "two messages in one APPEND are BAD")
        c.send(b"i APPEND INBOX (\\Seen {5+}\r\nhello\r\n")
        t.contains(c.line(), "i BAD", "a list that does not end is BAD, and its message is skipped")
        says(c, "NOOP", "OK", "and the session goes on")
    served(s, "odd messages")


with Server(CONFIG, users=["anna", "ben", "many", "odd"], env=gentle()) as server:
    server.put_message("ben", b"Subject: x\r\n\r\nfor ben\r\n")
    server.put_message("anna", b"Subject: x\r\n\r\nfor anna\r\n")
    served(server, "start")
    pss = Memory(server, t)
    before_login(server)
    commands(server)
    names(server)
    pss.check("bad commands and names")
    messages(server)
    pss.check("odd messages")
    folders(server, 10_000 if os.environ.get("EKIDEN_FULL") else 2_000)
    pss.check("thousands of folders")
    t.ok(server.stop(), "the server stops")
t.ok(not server.problems(), "no reports from any role", server.problems())
t.done()
