#!/usr/bin/python3
# domain-names.py - several maps of domains: the first that knows counts, and one that hangs holds up no domain that another knows
# waits
# SPDX-License-Identifier: Apache-2.0
# limit: 200
import os
import threading

from ekiden import Server, listener
from tap import Tap
from wire import Imap

CONFIG = listener("smtp") + listener("imap", plaintext_auth="yes") + """
sasl_plain { }
test "far" { state = notfound
  control = "${dir}/far" }
inline "near" { pairs = ["near.test = yes", "both.test = yes"] }
file "staff" { path = $users
  home = "${mail}/%d/%n" }
file "first-people" { path = $users
  home = "${mail}/first/%n" }
file "second-people" { path = $users
  home = "${mail}/second/%n" }
maildir "mail" { path = "%h/Maildir" }
domain $domain { auth = staff
  mailboxes = mail }
domain "first" { names = far
  auth = first-people
  mailboxes = mail }
domain "second" { names = near
  auth = second-people
  mailboxes = mail }
routing { cache = 0
  cache_stale = 0 }
auth { cache = 0
  timeout = 40s
  failure_delay = 50ms
  failure_delay_max = 100ms }
"""
PATIENCE = 20                          # seconds of a client: half of what a map may take
t = Tap()


def says(server, word):
    """What the first map answers to everything, and no longer what its own state says."""
    path = f"{server.dir}/far"
    if word:
        with open(f"{path}.new", "w", encoding="ascii") as f:
            f.write(word + "\n")
        os.rename(f"{path}.new", path)
    elif os.path.exists(path):
        os.unlink(path)


def send(server, to, subject, timeout=PATIENCE):
    with server.smtp(timeout=timeout) as c:
        c.ehlo()
        c.cmd("MAIL FROM:<sender@elsewhere.test>")
        said = c.cmd(f"RCPT TO:<{to}>")
        return c.data(f"Subject: {subject}\r\n\r\nx\r\n".encode()).code if said.code == 250 else said.code


def login(server, user):
    with Imap(server.port("imap"), name=server.hostname, timeout=PATIENCE) as c:
        return c.login(user, server.password).status


def reaches(server, to, subject, home):
    t.equal(send(server, to, subject), 250, f"{subject}: {to} is taken")
    t.ok(server.wait_messages(f"anna@{home}", 1), f"{subject}: by the users of the block \"{home}\"")


def leave(server):
    """A client who goes while a map hangs on his recipient."""
    c = server.smtp(timeout=PATIENCE)
    c.ehlo()
    c.cmd("MAIL FROM:<sender@elsewhere.test>")
    c.send(b"RCPT TO:<anna@nowhere.test>\r\n")
    c.close()


def hangs(server):
    late = {}
    asks = threading.Thread(target=lambda: late.update(code=send(server, "anna@nowhere.test", "late", timeout=90)))
    says(server, "hang")
    asks.start()
    for _ in range(3):
        t.equal(send(server, "anna@near.test", "hangs"), 250, "the first map hangs: a domain of the second is served")
    t.equal(login(server, "anna@near.test"), "OK", "so are its logins")
    t.equal(send(server, "nobody@near.test", "hangs"), 550, "and who is not there is told so")
    t.equal(send(server, server.address("dora"), "hangs"), 250, "a domain with a block of its own does not even ask")
    for _ in range(5):
        leave(server)
    asks.join()
    t.equal(late.get("code"), 451, "a domain that no map knows is put off: the first may know it")
    says(server, "")


def main():
    with Server(CONFIG, users=["dora", "anna@near.test", "anna@both.test"]) as s:
        reaches(s, "anna@near.test", "second", "second")
        t.equal(send(s, "anna@elsewhere.test", "nobody's"), 550, "a domain that no map knows is not ours")
        says(s, "ok")
        reaches(s, "anna@both.test", "both", "first")
        says(s, "defer")
        t.equal(send(s, "anna@near.test", "away"), 250, "the first map is away: a domain of the second is served")
        t.equal(send(s, "anna@elsewhere.test", "away"), 451, "and one that only the first may know is put off")
        says(s, "")
        hangs(s)
        t.equal(send(s, "anna@elsewhere.test", "nobody's"), 550, "when it answers again, all is as before")
        t.ok(s.stop(), "the server stops")
    t.equal(s.problems(), [], "no report")
    t.done()


main()
