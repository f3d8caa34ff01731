#!/usr/bin/python3
# virtual.py - a site whose domains, aliases and users are in SQL: mail in, aliases of every kind, logins, an outage
# SPDX-License-Identifier: Apache-2.0
# limit: 200
import json
import os
import sqlite3

from ekiden import Server, listener, wait_for
from sink import Sink
from tap import Tap
from wire import Imap

SCHEMA = """
CREATE TABLE domain (name TEXT PRIMARY KEY, active INTEGER DEFAULT 1);
CREATE TABLE mailbox (name TEXT PRIMARY KEY, password TEXT, home TEXT, active INTEGER DEFAULT 1);
CREATE TABLE alias (address TEXT, goto TEXT, active INTEGER DEFAULT 1);
INSERT INTO domain (name) VALUES ('one.test'), ('two.test'), ('xn--bcher-kva.test');
INSERT INTO domain VALUES ('gone.test', 0);
INSERT INTO mailbox (name, password) VALUES ('anna@one.test', '{PLAIN}pa'), ('ben@one.test', '{PLAIN}pb'),
  ('carl@two.test', '{PLAIN}pc'), ('o''neil@two.test', '{PLAIN}po');
INSERT INTO mailbox VALUES ('former@one.test', '{PLAIN}pf', NULL, 0);
INSERT INTO alias (address, goto) VALUES
  ('anna@one.test', 'anna@one.test'),
  ('all@one.test', 'anna@one.test, ben@one.test'), ('all@one.test', 'carl@two.test'),
  ('copy@two.test', 'carl@two.test,friend@far.test'),
  ('ben@one.test', 'ben@one.test, anna@one.test'),
  ('nested@one.test', 'all@one.test'),
  ('round@one.test', 'trip@one.test'), ('trip@one.test', 'round@one.test'),
  ('bare@one.test', 'ben'),
  ('exact+list@one.test', 'carl@two.test'),
  ('lost@one.test', 'nobody@one.test'),
  ('@two.test', 'carl@two.test');
"""
CONFIG = listener("smtp") + listener("imap", plaintext_auth="yes") + """
sasl_plain { }
sqlite "domains" { path = "${dir}/site/site.db"
  cache = 0
  cache_negative = 0
  cache_stale = 0
  query = "SELECT name FROM domain WHERE name = :key AND active" }
sqlite "aliases" { path = "${dir}/site/site.db"
  cache = 0
  cache_negative = 0
  cache_stale = 0
  query = "SELECT goto FROM alias WHERE address = :address AND active" }
sqlite "people" { path = "${dir}/site/site.db"
  password_query = "SELECT password FROM mailbox WHERE name = :user AND active"
  user_query = "SELECT home FROM mailbox WHERE name = :user AND active"
  home = "${mail}/%d/%n" }
file "staff" { path = $users
  home = "${mail}/%d/%n" }
maildir "mail" { path = "%h/Maildir" }
domain $domain { auth = staff
  mailboxes = mail }
domain "hosted" { names = domains
  aliases = aliases
  auth = people
  mailboxes = mail }
routing { cache = 0
  cache_stale = 0
  transport = smtp
  relayhost = "[127.0.0.1]:SINK" }
smtp { tls_level = none }
auth { failure_delay = 100ms
  failure_delay_max = 200ms }
queue { backoff_min = 1s
  backoff_max = 2s }
"""
t = Tap()


def send(server, *to, sender="sender@elsewhere.test", subject="x"):
    """The answers to RCPT, and the last one to the message."""
    with server.smtp() as c:
        c.ehlo()
        c.cmd(f"MAIL FROM:<{sender}>")
        answers = [c.cmd(f"RCPT TO:<{a}>") for a in to]
        if any(a.code == 250 for a in answers):
            answers.append(c.data(f"Subject: {subject}\r\n\r\nx\r\n".encode()))
        return answers


def box(server, user, domain):
    folder = f"{server.mail}/{domain}/{user}/Maildir"
    for sub in ("new", "cur"):
        for name in os.listdir(f"{folder}/{sub}") if os.path.isdir(f"{folder}/{sub}") else ():
            with open(f"{folder}/{sub}/{name}", "rb") as f:
                yield f.read().replace(b"\r\n", b"\n")


def there(server, user, domain, subject):
    """How often a mailbox has it."""
    return sum(f"Subject: {subject}\n".encode() in message for message in box(server, user, domain))


def idle(server):
    return wait_for(lambda: json.loads(server.ekiden("queue", "list", "--json")[1]) == [], 30, 0.1)


BOXES = [("anna", "one.test"), ("ben", "one.test"), ("carl", "two.test"), ("o'neil", "two.test")]


def gets(server, address, boxes, far=(), sink=None):
    subject = f"to {address}"
    answers = send(server, address, subject=subject)
    t.ok(answers[-1].code == 250 and idle(server), f"{address} is taken and delivered", answers)
    got = [user for user, domain in BOXES if there(server, user, domain, subject) == 1]
    more = [user for user, domain in BOXES if there(server, user, domain, subject) > 1]
    t.equal((got, more), (list(boxes), []), f"{address}: once for each of {' '.join(boxes) or 'nobody here'}")
    if far or sink:
        want = sorted(far)
        seen = sorted(r for m in sink.messages if f"Subject: {subject}".encode() in m.data for r in m.rcpts)
        t.equal(seen, want, f"{address}: and elsewhere")


def aliases(server, sink):
    gets(server, "anna@one.test", ["anna"])
    gets(server, "ANNA@One.Test", ["anna"])
    gets(server, "all@one.test", ["anna", "ben", "carl"])
    gets(server, "nested@one.test", ["anna", "ben", "carl"])
    gets(server, "ben@one.test", ["anna", "ben"])
    gets(server, "bare@one.test", ["anna", "ben"])
    gets(server, "copy@two.test", ["carl"], ["friend@far.test"], sink)
    gets(server, "anna+tag@one.test", ["anna"])
    gets(server, "exact+list@one.test", ["carl"])
    gets(server, "whoever@two.test", ["carl"])
    gets(server, "o'neil@two.test", ["o'neil"])            # a mailbox comes before the catch-all
    answers = send(server, "all@one.test", "anna@one.test", "carl@two.test", subject="many")
    t.ok(all(a.code == 250 for a in answers) and idle(server), "several recipients that overlap")
    t.equal([there(server, *box, "many") for box in BOXES], [1, 1, 1, 0], "each gets it once")


def dropped(server):
    """What sendmail(1) leaves goes the same way."""
    status, text = server.ekiden("-f", "anna@one.test", "all@one.test", program_name="sendmail", stdin=b"Subject: dropped\n\nx\n")
    t.equal(status, 0, "sendmail takes a message", text)
    t.ok(wait_for(lambda: [there(server, *box, "dropped") for box in BOXES] == [1, 1, 1, 0], 20), "and it goes to who the alias names",
         [there(server, *box, "dropped") for box in BOXES])


def refused(server):
    for address in ("nobody@one.test", "former@one.test", "round", "x@gone.test", "x' OR '1'='1@one.test", "%@one.test"):
        code = send(server, address)[0].code
        t.ok(code in (501, 550, 554), f"{address} is refused", code)
    t.equal(send(server, "x@far.test")[0].code, 554, "no relaying to strange domains")
    t.equal(send(server, "round@one.test")[0].code, 250, "aliases that go round are taken ...")
    t.ok(idle(server), "... and do not stay in the queue")
    answers = send(server, "lost@one.test", sender="anna@one.test", subject="lost")
    t.ok(answers[-1].code == 250 and idle(server), "an alias that leads nowhere is taken")
    t.ok(wait_for(lambda: any(b"rfc822;lost@one.test" in m for m in box(server, "anna", "one.test")), 20),
         "and its sender hears of it by the name that he wrote")


def logins(server):
    for user, password, want in (("anna@one.test", "pa", "OK"), ("anna@one.test", "no", "NO"), ("o'neil@two.test", "po", "OK"),
                                 ("former@one.test", "pf", "NO"), ("x@gone.test", "p", "NO"), ("' OR 1=1 --@one.test", "p", "NO")):
        with Imap(server.port("imap"), name=server.hostname) as c:
            answer = c.login(user, password)
            t.ok(answer.status == want, f"{user} with {password}: {want}", answer)


def outage(server, path):
    os.rename(path, path + ".away")
    for address in ("anna@one.test", "nobody@one.test", "x@never-seen.test"):
        t.equal(send(server, address)[0].code, 451, f"the database is away: {address} is put off")
    with Imap(server.port("imap"), name=server.hostname) as c:
        t.contains(str(c.login("anna@one.test", "pa")), "UNAVAILABLE", "and so is a login")
    with Imap(server.port("imap"), name=server.hostname) as c:
        t.equal(c.login(server.address("dora"), server.password).status, "OK", "who has a file is not disturbed")
    t.equal(send(server, server.address("dora"), subject="meanwhile")[-1].code, 250, "nor is his mail")
    os.rename(path + ".away", path)
    t.ok(wait_for(lambda: send(server, "anna@one.test", subject="after")[-1].code == 250, 20, 0.5), "it is back: mail is taken")
    with Imap(server.port("imap"), name=server.hostname) as c:
        t.equal(c.login("anna@one.test", "pa").status, "OK", "and logins succeed")


with Sink() as sink_:
    with Server(CONFIG.replace("SINK", str(sink_.port)), users=["dora"], start=False) as server_:
        os.makedirs(f"{server_.dir}/site")
        database = f"{server_.dir}/site/site.db"
        db = sqlite3.connect(database)
        db.executescript(SCHEMA)
        db.close()
        server_.give(f"{server_.dir}/site", "directory")
        server_.give(database, "directory")
        server_.start()
        aliases(server_, sink_)
        dropped(server_)
        refused(server_)
        logins(server_)
        outage(server_, database)
        t.ok(idle(server_), "the queue is empty")
        server_.stop()
        t.equal(server_.problems(), [], "no reports")
t.done()
