#!/usr/bin/python3
# mailboxmap.py - mailboxes that stand in a text map, as in Postfix: mail in, logins, a catch-all, values that lead elsewhere, an outage
# SPDX-License-Identifier: Apache-2.0
# limit: 120
import os

from ekiden import Server, listener, wait_for
from tap import Tap
from wire import Imap

t = Tap()
CONFIG = listener("smtp", plaintext_auth="yes") + listener("imap", plaintext_auth="yes") + """
sasl_plain { }
file "people" { path = $users }
maildir "mail" { path = "${mail}/unused/%d/%n" }
text "mailboxes" { path = "${dir}/vmailbox" }
mailboxmap "vmail" { map = mailboxes
  base = $mail }
domain $domain { auth = people
  users     = vmail
  mailboxes = mail }
domain "catch.test" { auth = people
  users     = vmail
  mailboxes = mail }
test "gone" { state = defer }
mailboxmap "away" { map = gone
  base = $mail }
domain "away.test" { auth = people
  users     = away
  mailboxes = mail }
mailboxmap "known" { map = mailboxes
  value = any }
domain "any.test" { auth = people
  users     = known
  mailboxes = mail }
auth { failure_delay = 10ms
  failure_delay_max = 20ms }
"""
MAP = """# as virtual(5) has it
anna@example.test   boxes/anna/
ben@example.test    ../../ben/
carl@example.test   boxes/carl
dora@any.test       OK
@catch.test         boxes/all/
"""
USERS = ["anna", "ben", "carl", "nobox", "x@catch.test", "x@away.test", "dora@any.test"]


def send(server, *to):
    with server.smtp() as c:
        c.ehlo()
        c.cmd("MAIL FROM:<sender@elsewhere.test>")
        answers = [c.cmd(f"RCPT TO:<{a}>").code for a in to]
        if 250 in answers:
            answers.append(c.data(f"Subject: to {to[0]}\r\n\r\nx\r\n".encode()).code)
        return answers


def count(server, folder):
    """Messages of a Maildir's INBOX."""
    return sum(len(os.listdir(f"{server.mail}/{folder}/{sub}")) for sub in ("new", "cur") if os.path.isdir(f"{server.mail}/{folder}/{sub}"))


def login(server, user):
    """The answer to LOGIN, and how many messages INBOX has then."""
    with Imap(server.port("imap"), name=server.hostname) as c:
        answer = str(c.login(user, server.password)).split(" ")[0]
        return (answer, count_of(str(c.cmd("STATUS INBOX (MESSAGES)")))) if answer == "OK" else (answer, None)


def count_of(said):
    return int(said.split("MESSAGES ")[1].split(")")[0])


for layout in ("apart", "merged"):
    server = Server(CONFIG, users=USERS, layout=layout, start=False)
    with open(f"{server.dir}/vmailbox", "w", encoding="ascii") as f:
        f.write(MAP)
    os.chmod(f"{server.dir}/vmailbox", 0o644)
    with server as s:
        s.start()
        d = s.domain
        t.equal(send(s, f"anna@{d}"), [250, 250], f"{layout}: who is in the map gets mail")
        t.ok(wait_for(lambda: count(s, "boxes/anna") == 1), f"{layout}: where its value says", s.tail(10))
        t.equal(send(s, f"Anna+List@{d}"), [250, 250], f"{layout}: with a tag, too")
        t.ok(wait_for(lambda: count(s, "boxes/anna") == 2), f"{layout}: in the same mailbox")
        t.equal(login(s, f"anna@{d}"), ("OK", 2), f"{layout}: and finds it after a login")
        t.equal(send(s, f"nobox@{d}"), [550], f"{layout}: who is not in it has no mailbox")
        t.equal(login(s, f"nobox@{d}")[0], "NO", f"{layout}: whatever passwords there are")
        t.equal(send(s, f"ben@{d}", f"carl@{d}"), [451, 451], f"{layout}: a value that leads elsewhere puts it off, and so does an mbox file")
        t.ok(s.logged(r'map mailboxes: the value of ben@example.test, "../../ben/", has \. or \.\. in it'), f"{layout}: the log names map and key")
        t.ok(s.logged(r'the value of carl@example.test, "boxes/carl", is an mbox file'), f"{layout}: of the other, too")
        t.equal(login(s, f"ben@{d}")[0], "NO", f"{layout}: nor can he log in")
        t.ok(not os.path.exists(f"{s.dir}/ben") and not os.path.exists(f"{os.path.dirname(s.dir)}/ben"), f"{layout}: and nothing was made there")
        t.equal(send(s, "x@catch.test", "y@catch.test"), [250, 250, 250], f"{layout}: a catch-all")
        t.ok(wait_for(lambda: count(s, "boxes/all") == 2), f"{layout}: is one mailbox", s.tail(10))
        t.equal(login(s, "x@catch.test")[0], "NO", f"{layout}: that none of them logs in to, since all have their mail there")
        t.equal(send(s, "x@away.test"), [451], f"{layout}: a map that is away is no answer")
        t.equal(login(s, "x@away.test")[0], "NO", f"{layout}: nor does it refuse a password")
        t.ok(s.logged(r"map gone: no answer"), f"{layout}: the log tells it")
        t.equal(send(s, "dora@any.test"), [250, 250], f"{layout}: where the value does not count")
        t.ok(wait_for(lambda: count(s, "unused/any.test/dora") == 1), f"{layout}: the domain's mailboxes say where", s.tail(10))
        t.contains(s.ekiden("user", "show", f"anna@{d}")[1], "boxes/anna", f"{layout}: user show asks the map")
        with open(f"{s.dir}/vmailbox", "a", encoding="ascii") as f:
            f.write(f"late@{d}  boxes/late/\n")
        t.ok(wait_for(lambda: send(s, f"late@{d}")[0] == 250), f"{layout}: who is added gets mail, without a reload")
        t.ok(wait_for(lambda: count(s, "boxes/late") == 1), f"{layout}: in his mailbox", s.tail(10))
    t.ok(not server.problems(), f"{layout}: no reports", server.problems())
t.done()
