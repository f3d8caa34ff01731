#!/usr/bin/python3
# auth-rules.py - logins bound by listener, protocol and domain; denied names; what wrong passwords and outages lead to by rule
# limit: 120
# SPDX-License-Identifier: Apache-2.0
import os

from ekiden import Server, listener, wait_for
from tap import Tap
from wire import Imap, Smtp

t = Tap()
CONFIG = listener("smtp", plaintext_auth="yes") + listener("other", "smtp", plaintext_auth="yes") + listener("imap", plaintext_auth="yes") + """
sasl_plain { }
file "people" { path = $users
  home = "${mail}/%d/%n" }
file "shared" { path = "${dir}/shared" }
file "blocked" { path = "${dir}/blocked" }
test "away" { control = "${dir}/control"
  password = pw }
maildir "mail" { path = "%h/Maildir" }
domain $domain { auth = people
  mailboxes = mail }
domain "old.test" { auth = people
  mailboxes = mail }
auth_rule "submission" { listeners = smtp
  auth = shared
  users = people }
auth_rule "moving" { domains = OLD.test
  auth = shared, away, people
  after_wrong = shared
  after_outage = away }
domain "club.test" { auth = people
  users = people, homes
  user_results = "people success continue-ok"
  mailboxes = mail }
static "homes" { home = "${mail}/club/%n" }
file "members" { path = "${dir}/members" }
auth_rule "club" { domains = club.test
  auth = people, members
  results = "people success continue" }
auth_rule "rest" { protocols = imap
  deny = blocked }
auth { failure_delay = 10ms
  failure_delay_max = 20ms }
"""


def smtp(s, user, password, port="smtp"):
    with Smtp(s.port(port), name=s.hostname) as c:
        c.ehlo()
        return c.auth_plain(user, password).code


def imap(s, user, password):
    with Imap(s.port("imap"), name=s.hostname) as c:
        return str(c.login(user, password)).split("]")[0]


for layout in ("apart", "merged"):
    site = Server(CONFIG, layout=layout, start=False)
    d = site.domain
    site.set_users([("anna", "{PLAIN}own"), ("ben", "{PLAIN}own"), ("olga@old.test", "{PLAIN}old"),
                    ("anna@club.test", "{PLAIN}own"), ("ben@club.test", "{PLAIN}own")])
    for name, text in (("shared", f"anna@{d}:{{PLAIN}}all\nolga@old.test:{{PLAIN}}new\n"), ("blocked", f"ben@{d}:\n"), ("control", "notfound\n"),
                       ("members", "anna@club.test:\n")):
        with open(f"{site.dir}/{name}", "w", encoding="ascii") as f:
            f.write(text)
        os.chmod(f"{site.dir}/{name}", 0o644)
    with site as s:
        s.start()
        t.equal((smtp(s, f"anna@{d}", "all"), smtp(s, f"anna@{d}", "own")), (235, 535), f"{layout}: one listener asks the shared passwords")
        t.equal((smtp(s, f"anna@{d}", "all", "other"), smtp(s, f"anna@{d}", "own", "other")), (535, 235), f"{layout}: another the domain's")
        t.equal((smtp(s, f"ben@{d}", "own"), smtp(s, f"ben@{d}", "own", "other")), (535, 235), f"{layout}: whom the shared ones do not know has no login there")
        t.contains(imap(s, f"anna@{d}", "own"), "OK", f"{layout}: IMAP asks the domain's")
        t.contains(imap(s, f"ben@{d}", "own"), "AUTHENTICATIONFAILED", f"{layout}: and denies a name")
        t.ok(s.logged(r"denied \(blocked\)", 5), f"{layout}: which the log says")
        for password, word in (("new", "OK"), ("old", "OK"), ("no", "AUTHENTICATIONFAILED")):
            t.contains(imap(s, "olga@old.test", password), word, f"{layout}: either password while a domain moves: {password}")
        t.equal([smtp(s, f"{n}@club.test", p, "other") for n, p in (("anna", "own"), ("anna", "no"), ("ben", "own"))], [235, 535, 535],
                f"{layout}: who has shown his password has to be a member, too")
        t.contains(imap(s, "anna@club.test", "own"), "OK", f"{layout}: she reads her mail")
        with s.smtp() as c:
            c.ehlo()
            t.equal(c.mail("x@elsewhere.test", "anna@club.test", "Subject: x\r\n\r\nx\r\n").code, 250, f"{layout}: mail for her")
        t.ok(wait_for(lambda: os.path.isdir(f"{s.mail}/club/anna/Maildir/new") and os.listdir(f"{s.mail}/club/anna/Maildir/new")),
             f"{layout}: lies where the second of two userdbs says")
        with open(f"{s.dir}/control", "w", encoding="ascii") as f:
            f.write("defer\n")
        for password, word in (("new", "OK"), ("old", "OK"), ("no", "UNAVAILABLE")):
            t.contains(imap(s, "olga@old.test", password), word, f"{layout}: with one backend away: {password}")
        t.equal(s.ekiden("config", "check")[0], 0, f"{layout}: the configuration is right")
        good = open(s.conf, encoding="utf-8").read()
        s.replace_conf(good.replace("after_wrong = shared", "after_wrong = blocked"))
        t.contains(s.ekiden("config", "check")[1], "it is none of auth", f"{layout}: a word that can mean nothing is told")
        for old, new, told in (("listeners = smtp\n", "listeners = smtpd\n", 'no listener is called "smtpd"'),
                               ("protocols = imap", "protocols = IMAP", "protocols: expected one of smtp, imap"),
                               ("people success continue\"", "people failure return-ok\"", "it would let in whoever comes"),
                               ("people success continue\"", "homes success continue\"", "homes is none of those that are asked"),
                               ('results = "people success continue"', 'results = ["people failure continue", "people wrong return-fail"]',
                                'says nothing: "people failure continue" before it counts'),
                               ('  auth = people, members\n  results = "people', '  results = "members', "members is none of those that are asked"),
                               ("people success continue-ok", "people success go", "the third word is one of return"),
                               ("domains = OLD.test", 'domains = "old..test"', 'domains = old..test: ')):
            s.replace_conf(good.replace(old, new))
            t.contains(s.ekiden("config", "check")[1], told, f"{layout}: a rule that fits nobody is told: {new.strip()}")
        s.replace_conf(good)
    t.ok(not site.problems(), f"{layout}: no reports", site.problems())
t.done()
