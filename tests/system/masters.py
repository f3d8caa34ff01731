#!/usr/bin/python3
# masters.py - logins as somebody else: by a name of two, by PLAIN's authorization identity; who may, as whom, where; the log, a cache
# SPDX-License-Identifier: Apache-2.0
# part: backends
# limit: 120
import base64
import os
import re

from ekiden import Server, listener, wait_for
from tap import Tap
from wire import Imap, Smtp

t = Tap()
ALL = "PLAIN, LOGIN, SCRAM-SHA-256"
CONFIG = listener("smtp", plaintext_auth="yes", mechanisms=ALL) + listener("other", "imap", plaintext_auth="yes", mechanisms=ALL) \
    + listener("imap", plaintext_auth="yes", mechanisms=ALL) + """
sasl_plain { }
sasl_scram { }
file "people" { path = $users
  home = "${mail}/%d/%n" }
file "admins" { path = "${dir}/admins" }
file "helpers" { path = "${dir}/helpers" }
file "blocked" { path = "${dir}/blocked" }
test "away" { control = "${dir}/control"
  password = pw }
maildir "mail" { path = "%h/Maildir" }
domain $domain { auth = people
  mailboxes = mail }
domain "one.test" { auth = people
  mailboxes = mail }
domain "away.test" { auth = away
  mailboxes = mail }
auth_rule "closed" { listeners = other
  deny = blocked
  masters = admins }
auth_rule "one" { domains = one.test
  masters = helpers }
auth { failure_delay = 10ms
  failure_delay_max = 20ms
  masters = admins
  cache = 1h }
"""


def imap(s, user, password, port="imap"):
    with Imap(s.port(port), name=s.hostname) as c:
        return str(c.login(user, password)).split("]")[0].strip()


def plain(s, authzid, user, password, port="imap"):
    with Imap(s.port(port), name=s.hostname) as c:
        return str(c.cmd("AUTHENTICATE PLAIN " + base64.b64encode(f"{authzid}\0{user}\0{password}".encode()).decode())).split("]")[0]


def smtp(s, response, mechanism="PLAIN"):
    with Smtp(s.port("smtp"), name=s.hostname) as c:
        c.ehlo()
        if mechanism == "PLAIN":
            return c.cmd("AUTH PLAIN " + base64.b64encode(response).decode()).code
        c.cmd("AUTH LOGIN")
        c.cmd(base64.b64encode(response[0]).decode())
        return c.cmd(base64.b64encode(response[1]).decode()).code


def ways(s, layout, d):
    anna = f"anna@{d}"
    t.contains(imap(s, f"{anna}*admin", "root"), "OK", f"{layout}: USER*MASTER with LOGIN")
    t.contains(plain(s, anna, "admin", "root"), "OK", f"{layout}: the authorization identity")
    t.contains(plain(s, "", f"{anna}*admin", "root"), "OK", f"{layout}: USER*MASTER with PLAIN")
    t.contains(plain(s, anna, anna.upper(), "secret"), "OK", f"{layout}: an authorization identity that is one's own")
    t.equal(smtp(s, (f"{anna}*admin".encode(), b"root"), "LOGIN"), 235, f"{layout}: SMTP by LOGIN")
    t.equal(smtp(s, f"{anna}\0admin\0root".encode()), 235, f"{layout}: SMTP by PLAIN")
    for what, said in (("a wrong password", imap(s, f"{anna}*admin", "secret")), ("no master", imap(s, f"{anna}*ben@{d}", "secret")),
                       ("nobody", imap(s, f"nobody@{d}*admin", "root")), ("a master's own mailbox", imap(s, "admin", "root")),
                       ("his name turned round", imap(s, f"admin*{anna}", "secret")), ("two masters", imap(s, f"{anna}*admin*admin", "root")),
                       ("no user", imap(s, "*admin", "root")), ("no master's name", imap(s, f"{anna}*", "root")),
                       ("another's domain", imap(s, "x@far.test*admin", "root")), ("a user as another", plain(s, anna, f"ben@{d}", "secret"))):
        t.contains(said, "AUTHENTICATIONFAILED", f"{layout}: refused: {what}")
    t.equal(smtp(s, f"{anna}\0ben@{d}\0secret".encode()), 535, f"{layout}: the same in SMTP")
    t.contains(imap(s, f"off@{d}*admin", "root"), "OK", f"{layout}: one who may not log in himself (nologin)")
    t.contains(imap(s, f"off@{d}", "secret"), "AUTHENTICATIONFAILED", f"{layout}: still may not")
    with Imap(s.port("imap"), name=s.hostname) as c:
        said = str(c.login(f"{anna}*admin", "root"))
        c.cmd(f'CREATE by-{layout}')
    t.ok(wait_for(lambda: os.path.isdir(f"{s.mail}/{d}/anna/Maildir/.by-{layout}")), f"{layout}: it is her mailbox", said)


def places(s, layout, d):
    t.contains(imap(s, "olga@one.test*helper", "help"), "OK", f"{layout}: a domain with masters of its own")
    t.contains(imap(s, "olga@one.test*admin", "root"), "AUTHENTICATIONFAILED", f"{layout}: where those of all are none")
    t.contains(imap(s, f"anna@{d}*helper", "help"), "AUTHENTICATIONFAILED", f"{layout}: and its own are none elsewhere")
    t.contains(imap(s, f"anna@{d}*admin", "root", "other"), "OK", f"{layout}: a listener that denies some")
    t.contains(imap(s, f"ben@{d}*admin", "root", "other"), "AUTHENTICATIONFAILED", f"{layout}: denies a user to masters, too")
    t.contains(imap(s, f"anna@{d}*late", "root", "other"), "AUTHENTICATIONFAILED", f"{layout}: and a master")
    t.contains(imap(s, f"anna@{d}*late", "root"), "OK", f"{layout}: who is one elsewhere")
    t.contains(imap(s, "x@away.test*admin", "root"), "UNAVAILABLE", f"{layout}: the user's backend is away: later, never no")


def names(s, layout, d):
    t.ok(s.logged(rf"Login: user=<anna@{d}>, master=<admin>, method=", 5), f"{layout}: the log says both names", s.tail(5))
    t.ok(s.logged(rf"refused from \S+, anna@{d} \(by the master admin\): wrong password \(admins\)", 5), f"{layout}: of who is refused, too")
    t.ok(s.logged(r"right password of a master, but nobody@", 5), f"{layout}: and why")


for layout in ("apart", "merged"):
    server = Server(CONFIG, layout=layout, start=False)
    d = server.domain
    server.set_users([("anna", "{PLAIN}secret"), ("ben", "{PLAIN}secret"), ("st*r", "{PLAIN}secret"), ("off", "{PLAIN}secret::::::nologin"), ("olga@one.test", "{PLAIN}secret")])
    for name, text in (("admins", "admin:{PLAIN}root\nlate:{PLAIN}root\n"), ("helpers", "helper:{PLAIN}help\n"),
                       ("blocked", f"ben@{d}:\nlate:\n"), ("control", "defer\n")):
        with open(f"{server.dir}/{name}", "w", encoding="ascii") as f:
            f.write(text)
        os.chmod(f"{server.dir}/{name}", 0o644)
    with server as s:
        s.start()
        ways(s, layout, d)
        places(s, layout, d)
        names(s, layout, d)
        s.replace_conf(re.sub(r"masters = \w+", "", open(s.conf, encoding="utf-8").read()))
        status, out = s.reload()
        t.ok(status == 0, f"{layout}: a reload without masters", out)
        t.contains(imap(s, f"anna@{d}*admin", "root"), "AUTHENTICATIONFAILED", f"{layout}: nobody is one: remembered or not")
        t.contains(plain(s, f"anna@{d}", "admin", "root"), "AUTHENTICATIONFAILED", f"{layout}: by no way")
        t.contains(imap(s, f"st*r@{d}", "secret"), "OK", f"{layout}: and a name with a star is a name")
        s.replace_conf(open(s.conf, encoding="utf-8").read().replace("cache = 1h", "master_separator = ab"))
        t.contains(s.ekiden("config", "check")[1], "expected one character", f"{layout}: a separator of two is told")
    t.ok(not server.problems(), f"{layout}: no reports", server.problems())
t.done()
