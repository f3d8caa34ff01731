#!/usr/bin/python3
# virtual.py - a site whose domains, aliases and users are in SQL: mail in, aliases of every kind, logins, an outage
# SPDX-License-Identifier: Apache-2.0
# limit: 200
import json
import os
import sqlite3

from ekiden import TOP, Server, listener, wait_for
from sink import Sink
from tap import Tap
from wire import Imap

DATA = """
INSERT INTO domain (name) VALUES ('one.test'), ('two.test'), ('xn--bcher-kva.test');
INSERT INTO domain (name, active) VALUES ('gone.test', 0);
INSERT INTO mailbox (name, domain, password) VALUES ('anna@one.test', 'one.test', '{PLAIN}pa'), ('ben@one.test', 'one.test', '{PLAIN}pb'),
  ('carl@two.test', 'two.test', '{PLAIN}pc'), ('o''neil@two.test', 'two.test', '{PLAIN}po');
INSERT INTO mailbox (name, domain, password, active) VALUES ('former@one.test', 'one.test', '{PLAIN}pf', 0);
INSERT INTO alias (address, target, domain) VALUES
  ('anna@one.test', 'anna@one.test', 'one.test'),
  ('all@one.test', 'anna@one.test, ben@one.test', 'one.test'), ('all@one.test', 'carl@two.test', 'one.test'),
  ('copy@two.test', 'carl@two.test,friend@far.test', 'two.test'),
  ('ben@one.test', 'ben@one.test, anna@one.test', 'one.test'),
  ('nested@one.test', 'all@one.test', 'one.test'),
  ('round@one.test', 'trip@one.test', 'one.test'), ('trip@one.test', 'round@one.test', 'one.test'),
  ('bare@one.test', 'ben', 'one.test'),
  ('exact+list@one.test', 'carl@two.test', 'one.test'),
  ('blank@one.test', ' ', 'one.test'), ('carl@two.test', '', 'two.test'), ('broken@one.test', '@', 'one.test'),
  ('lost@one.test', 'nobody@one.test', 'one.test'),
  ('@two.test', 'carl@two.test', 'two.test');
"""
CONFIG = "trusted = 192.0.2.0/24\n" + listener("smtp", plaintext_auth="yes") + listener("imap", plaintext_auth="yes") + """
sasl_plain { }
$site_db = "${dir}/site/site.db"
$site_mail = "${mail}"
include "TOP/etc/presets/sqlite.conf"
file "staff" { path = $users
  home = "${mail}/%d/%n" }
maildir "mail" { path = "%h/Maildir" }
domain $domain { auth = staff
  mailboxes = mail }
sqlite "fetch" { path = $site_db
  password_query = "SELECT '{PLAIN}pe' AS password, '${mail}/fetch.test/eva' AS userdb_home WHERE :user = 'eva@fetch.test'" }
domain "fetch.test" { auth = fetch
  mailboxes = mail }
domain "hosted" { names = site_domains
  aliases = site_aliases
  auth = site_users
  mailboxes = mail }
inline "ways" { pairs = ["far.test = smtp:[127.0.0.1]:SINK", ".below.test = smtp:[127.0.0.1]:SINK", "shut.test = error:5.7.1 not from here",
  "kept.below.test = :", "dora@far.test = error:nobody writes to her"] }
routing { transport = smtp
  transports = ways
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
    gets(server, "carl@two.test", ["carl"])                # whose alias is empty, so that it is none
    gets(server, "o'neil@two.test", ["o'neil"])            # a mailbox comes before the catch-all
    answers = send(server, "all@one.test", "anna@one.test", "carl@two.test", subject="many")
    t.ok(all(a.code == 250 for a in answers) and idle(server), "several recipients that overlap")
    t.equal([there(server, *box, "many") for box in BOXES], [1, 1, 1, 0], "each gets it once")


def dropped(server):
    """What sendmail(1) leaves goes the same way."""
    status, text = server.ekiden("-f", "anna@one.test", "all@one.test", program_name="sendmail", stdin=b"Subject: dropped\n\nx\n")
    t.ok(status == 0, "sendmail takes a message", text)
    t.ok(wait_for(lambda: [there(server, *box, "dropped") for box in BOXES] == [1, 1, 1, 0], 20), "and it goes to who the alias names",
         [there(server, *box, "dropped") for box in BOXES])


def change(statement):
    db = sqlite3.connect(database, timeout=20)
    db.execute(statement)
    db.commit()
    db.close()


def refused(server):
    t.equal(send(server, "broken@one.test")[0].code, 451, "an alias without an address in it is somebody's mistake: later")
    t.equal(send(server, "bare@one.test")[0].code, 250, "one that was good a moment ago ...")
    change("UPDATE alias SET target = '@' WHERE address = 'bare@one.test'")
    t.ok(wait_for(lambda: send(server, "bare@one.test")[0].code == 451, 20), "... is not remembered where it is a mistake now: that is no outage")
    change("UPDATE alias SET target = 'ben' WHERE address = 'bare@one.test'")
    t.ok(wait_for(lambda: send(server, "bare@one.test")[0].code == 250, 20) and idle(server), "and good again when it is mended")
    for address in ("nobody@one.test", "blank@one.test", "former@one.test", "round", "x@gone.test", "x' OR '1'='1@one.test", "%@one.test"):
        code = send(server, address)[0].code
        t.ok(code in (501, 550, 554), f"{address} is refused", code)
    t.equal(send(server, "x@far.test")[0].code, 554, "no relaying to strange domains")
    t.equal(send(server, "round@one.test")[0].code, 250, "aliases that go round are taken ...")
    t.ok(idle(server), "... and do not stay in the queue")
    answers = send(server, "lost@one.test", sender="anna@one.test", subject="lost")
    t.ok(answers[-1].code == 250 and idle(server), "an alias that leads nowhere is taken")
    t.ok(wait_for(lambda: any(b"Original-Recipient: rfc822; lost@one.test" in m for m in box(server, "anna", "one.test")), 20),
         "and its sender hears of it by the name that he wrote")
    for sender, boxes in (("all@one.test", [1, 1, 1, 0]), ("whoever@two.test", [0, 0, 1, 0])):
        subject = f"lost by {sender}"
        t.equal(send(server, "lost@one.test", sender=sender, subject=subject)[-1].code, 250, f"the same from {sender}, which is an alias")
        t.ok(wait_for(lambda: [there(server, *box, subject) for box in BOXES] == boxes, 20) and idle(server),
             "its report goes to whom the alias names, once", [there(server, *box, subject) for box in BOXES])


def logins(server):
    for user, password, want in (("anna@one.test", "pa", "OK"), ("anna@one.test", "no", "NO"), ("o'neil@two.test", "po", "OK"),
                                 ("former@one.test", "pf", "NO"), ("x@gone.test", "p", "NO"), ("' OR 1=1 --@one.test", "p", "NO")):
        t.contains(login(server, user, password), want, f"{user} with {password}: {want}")


def fetched(server):
    """A block without user_query is no userdb: the user is what password_query gives beside his password."""
    t.contains(login(server, "eva@fetch.test", "pe"), "OK", "a user made of userdb_ columns logs in")
    t.contains(login(server, "eva@fetch.test", "no"), "AUTHENTICATIONFAILED", "with his password alone")
    t.ok(send(server, "eva@fetch.test", subject="fetched")[-1].code == 250 and idle(server) and there(server, "eva", "fetch.test", "fetched"),
         "and gets mail")
    t.equal(send(server, "adam@fetch.test")[0].code, 550, "who is not there does not")


def transports(server, sink):
    """Where mail goes that a map says something of."""
    for address, went in (("x@far.test", True), ("x@deep.below.test", True), ("x@kept.below.test", True), ("x@shut.test", False),
                          ("dora@far.test", False), ("dora+tag@far.test", False)):
        subject = f"way of {address}"
        with server.smtp() as c:
            c.ehlo()
            c.auth_plain("anna@one.test", "pa")
            t.equal(c.mail("anna@one.test", [address], f"Subject: {subject}\r\n\r\nx\r\n".encode()).code, 250, f"{address} is taken from a user")
        t.ok(idle(server), "and leaves the queue")
        t.equal(any(f"Subject: {subject}".encode() in m.data for m in sink.messages), went, f"{address}: {'sent' if went else 'sent back'}")
    t.ok(any(b"not from here" in m for m in box(server, "anna", "one.test")), "with the map's own words")


def commands(server):
    """Domains, users and aliases come and go by command, and the running server takes them at once."""
    def run(*words, stdin=b""):
        return server.ekiden(*words, stdin=stdin)

    t.equal(json.loads(run("domain", "add", "New.Test", "--json")[1]), {"key": "new.test", "done": "added", "instance": "site_domains"}, "domain add")
    t.ok(run("domain", "add", "new.test")[0] != 0, "not twice")
    t.contains(run("domain", "list")[1], "new.test\n", "domain list")
    t.equal(run("user", "add", "zoe@new.test", "--scheme", "PLAIN", stdin=b"pz\n")[0], 0, "user add, in a domain that a map knows")
    t.ok(run("user", "add", "zoe@none.test", "--scheme", "PLAIN", stdin=b"pz\n")[0] != 0, "and in no other")
    t.contains(run("user", "list", "*@new.test")[1], "zoe@new.test\n", "user list")
    t.equal(run("alias", "add", "info@new.test", "zoe@new.test", "anna@one.test", "--json")[1].count('"done":"added"'), 2, "alias add")
    t.equal(json.loads(run("alias", "show", "info@new.test", "--json")[1]),
            [{"key": "info@new.test", "value": v} for v in ("anna@one.test", "zoe@new.test")], "alias show")
    t.contains(run("alias", "list", "*@new.test")[1], "info@new.test  anna@one.test\n", "alias list")
    t.ok(run("alias", "add", "info@elsewhere.test", "zoe@new.test")[0] != 0, "no alias in a domain that is not ours")
    t.ok(wait_for(lambda: send(server, "info@new.test", subject="by command")[-1].code == 250, 10, 0.2) and idle(server), "mail is taken")
    t.ok(there(server, "zoe", "new.test", "by command") >= 1 and there(server, "anna", "one.test", "by command") >= 1, "and delivered to both")
    t.contains(login(server, "zoe@new.test", "pz"), "OK", "she logs in")
    t.equal(run("user", "passwd", "zoe@new.test", "--scheme", "PLAIN", stdin=b"pz2\n")[0], 0, "user passwd")
    t.contains(login(server, "zoe@new.test", "pz2"), "OK", "with her new password")
    t.contains(login(server, "zoe@new.test", "pz"), "AUTHENTICATIONFAILED", "not with the old one")
    t.equal(run("alias", "delete", "info@new.test", "anna@one.test")[0], 0, "alias delete, one target")
    t.equal(json.loads(run("alias", "list", "*@new.test", "--json")[1]), [{"key": "info@new.test", "value": "zoe@new.test"}], "the other stays")
    t.equal(json.loads(run("alias", "delete", "info@new.test", "--json")[1]), {"key": "info@new.test", "done": "deleted", "instance": "site_aliases"},
            "alias delete, all")
    t.ok(run("alias", "delete", "info@new.test")[0] != 0, "what is not there cannot go")
    t.equal(run("user", "delete", "zoe@new.test")[0], 0, "user delete")
    t.equal(json.loads(run("domain", "delete", "new.test", "--json")[1])["done"], "deleted", "domain delete")
    t.ok(wait_for(lambda: send(server, "zoe@new.test")[0].code in (550, 554), 20, 0.5), "and it is no domain of ours any more")


def login(server, user, password):
    with Imap(server.port("imap"), name=server.hostname) as c:
        return str(c.login(user, password))


def reloaded(server):
    """In the middle of the outage somebody changes the configuration: what is remembered counts where the same backend would be asked."""
    with open(server.conf, encoding="utf-8") as f:
        text = f.read()
    remembered = ("anna@one.test", "o'neil@two.test", "all@one.test")

    def told(more, old="", new=""):
        server.replace_conf(text.replace(old, new) + more)
        t.equal(server.reload()[0], 0, "a reload")
        with server.smtp() as c:
            c.ehlo()
            c.cmd("MAIL FROM:<x@elsewhere.test>")
            return [c.cmd(f"RCPT TO:<{a}>").code for a in remembered], login(server, "anna@one.test", "pa")

    codes, answer = told('domain "new.test" { auth = staff\n  mailboxes = mail }\n')
    t.equal(codes, [250] * 3, "with one domain more all who were remembered are")
    t.contains(answer, "OK", "and who logged in can")
    t.equal([send(server, "dora@new.test")[0].code, send(server, "carla@one.test")[0].code], [550, 451], "the new domain is served, and who is not "
            "remembered put off")
    codes, answer = told("", '$site_mail = "${mail}"', '$site_mail = "${mail}/other"')
    t.equal(codes, [250, 451, 451], "of another query for users nobody knows what it would say; the aliases, which name her, are what they were")
    t.contains(answer, "UNAVAILABLE", "nor of a login")
    codes, answer = told('domain "two.test" { auth = staff\n  mailboxes = mail }\n')
    t.equal(codes, [250, 550, 250], "where a domain gets a block of its own, and somebody else to ask, what was remembered of it is not told")
    t.contains(answer, "OK", "nor is another domain's login disturbed")
    codes, answer = told("")
    t.equal(codes, [250] * 3, "and all of them again where all is as it was")
    t.contains(answer, "OK", "logins too")


def outage(server, path):
    """Who was asked for a moment ago is served from what is remembered; of all others nobody can tell, and nobody says no."""
    login(server, "anna@one.test", "pa")
    for address in ("anna@one.test", "o'neil@two.test", "all@one.test"):
        send(server, address)
    os.rename(path, path + ".away")
    for address in ("carla@one.test", "x@never-seen.test"):
        t.equal(send(server, address)[0].code, 451, f"the database is away: {address} is put off")
    t.equal(send(server, "anna@one.test", subject="away")[-1].code, 250, "mail for who is remembered is taken")
    t.ok(idle(server) and there(server, "anna", "one.test", "away") == 1, "and delivered")
    t.equal(send(server, "o'neil@two.test", subject="away too")[-1].code, 250, "who has no alias is remembered as well")
    t.equal(send(server, "all@one.test", subject="away to all")[-1].code, 250, "and so are those whom an alias leads to")
    t.ok(idle(server), "all of it is delivered")
    t.equal([there(server, *box, "away too") for box in BOXES], [0, 0, 0, 1], "to him")
    t.equal([there(server, *box, "away to all") for box in BOXES], [1, 1, 1, 0], "and to them")
    t.contains(login(server, "anna@one.test", "pa"), "OK", "the last login with the same password counts")
    for user, password in (("anna@one.test", "other"), ("ben@one.test", "pb"), ("x@never-seen.test", "p")):
        t.contains(login(server, user, password), "UNAVAILABLE", f"of {user} with {password} nobody can tell")
    t.contains(login(server, server.address("dora"), server.password), "OK", "who stands in a file is not disturbed")
    t.equal(send(server, server.address("dora"), subject="meanwhile")[-1].code, 250, "nor is his mail")
    reloaded(server)
    os.rename(path + ".away", path)
    t.ok(wait_for(lambda: send(server, "ben@one.test", subject="after")[-1].code == 250, 20, 0.5), "it is back: mail is taken")
    t.ok(wait_for(lambda: "OK" in login(server, "ben@one.test", "pb"), 20, 0.5), "logins succeed")
    t.contains(login(server, "anna@one.test", "other"), "AUTHENTICATIONFAILED", "and a wrong password is one")


with Sink() as sink_:
    with Server(CONFIG.replace("SINK", str(sink_.port)).replace("TOP", TOP), users=["dora"], start=False) as server_:
        os.makedirs(f"{server_.dir}/site")
        database = f"{server_.dir}/site/site.db"
        db = sqlite3.connect(database)
        with open(f"{TOP}/sql/sqlite/001-first.sql", encoding="utf-8") as schema:
            db.executescript(schema.read() + DATA)
        db.close()
        server_.give(f"{server_.dir}/site", "directory")
        server_.give(database, "directory")
        server_.start()
        aliases(server_, sink_)
        dropped(server_)
        refused(server_)
        logins(server_)
        fetched(server_)
        transports(server_, sink_)
        commands(server_)
        outage(server_, database)
        t.ok(idle(server_), "the queue is empty")
        server_.stop()
        t.equal(server_.problems(), [], "no reports")
t.done()
