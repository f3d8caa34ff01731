#!/usr/bin/python3
# backend-sql.py - users in SQLite, PostgreSQL and MariaDB: the same dialogue with each, names that mean harm, outages under load
# SPDX-License-Identifier: Apache-2.0
# part: backends
# limit: 600
import os

import badnames
from ekiden import Server, listener, unit, wait_for
from outage import Load, login, send
from sqlsite import KINDS, QUERIES, Site, missing
from tap import Tap
from wire import Closed, Imap

CONFIG = listener("smtp") + listener("imap", plaintext_auth="yes") + """
sasl_plain { }
file "people" { path = $users
  home = "${mail}/%d/%n" }
KIND "db" {
SETTINGSQUERIES  home = "${mail}/%d/%n"
}
maildir "mail" { path = "%h/Maildir" }
domain $domain { auth = people
  mailboxes = mail }
domain "sql.test" { auth = db
  mailboxes = mail }
routing { cache = 0
  cache_stale = 0 }
auth { failure_delay = 100ms
  failure_delay_max = 200ms }
queue { backoff_min = 1s
  backoff_max = 2s }
"""
PATIENCE = "  connect_timeout = 1s\n  timeout = 1s\n"
USERS = "INSERT INTO mailbox (name, password) VALUES ('anna@sql.test', '{PLAIN}pa'), ('o''neil@sql.test', '{PLAIN}po');"
RESET = """DELETE FROM mailbox; DELETE FROM alias;
INSERT INTO mailbox VALUES ('anna@a.test', '{PLAIN}x', '/home/anna'), ('o''neil@a.test', '{PLAIN}y', NULL);
INSERT INTO alias VALUES ('all@a.test', 'anna@a.test'), ('all@a.test', 'o''neil@a.test');"""
t = Tap()


# ---- the same with each ----


def tables(kind, site):
    """The module alone: bytes go to the server as they are (tests/unit/test-sql.c)."""
    for case in ("lookups", "writing", "echo", "bounds", "mistakes"):
        site.sql(RESET)
        done = unit("test-sql", "-p", f"/sql/{case}", EKIDEN_SQL_MODULE=kind, EKIDEN_SQL_SETTINGS=site.settings())
        t.ok(done.returncode == 0 and f"/sql/{case}" in done.stdout, f"{kind}: {case}", done.stdout)
    cost(kind, site)
    site.sql("DELETE FROM mailbox;" + USERS)


def cost(kind, site):
    """An unknown user costs the hash of a wrong password (tests/unit/test-cost.c)."""
    site.sql("INSERT INTO mailbox (name, password) VALUES ('anna@cost.test', '{COUNTED}right');")
    query = 'password_query = "SELECT password FROM mailbox WHERE name = :user"'
    done = unit("test-cost", EKIDEN_COST_BLOCK=f'{kind} "db" {{\n{site.settings()}  {query}\n}}\n')
    t.ok(done.returncode == 0, f"{kind}: an unknown user costs one hash, as a wrong password does", done.stdout)


def rehash(kind, site, server):
    """A login makes a weak hash a stronger one, and never two of them."""
    stored = "SELECT password FROM mailbox WHERE name = 'anna@sql.test'"
    text = open(server.conf, encoding="utf-8").read()
    server.replace_conf(text.replace("auth {", "auth { rehash = SHA512-CRYPT\n"))
    t.equal(server.reload()[0], 0, f"{kind}: auth.rehash")
    t.ok(wait_for(lambda: "AUTHENTICATIONFAILED" in login(server, "anna@sql.test", "wrong")), f"{kind}: a wrong password")
    t.equal(site.value(stored), "{PLAIN}pa", f"{kind}: changes nothing")
    t.contains(login(server, "anna@sql.test", "pa"), "OK", f"{kind}: a right one")
    t.ok(wait_for(lambda: site.value(stored).startswith("{SHA512-CRYPT}$6$")), f"{kind}: is kept by the stronger scheme", server.tail(5))
    t.contains(login(server, "anna@sql.test", "pa"), "OK", f"{kind}: and is right again")
    server.replace_conf(text)
    t.equal(server.reload()[0], 0, f"{kind}: off")
    t.ok(wait_for(lambda: " OK " in " " + login(server, "anna@sql.test", "pa")), f"{kind}: and she still logs in")


def dialogue(kind, server):
    t.equal(send(server, "anna@sql.test", "hello").code, 250, f"{kind}: mail is taken")
    t.ok(any(b"Subject: hello" in m for m in server.wait_messages("anna@sql.test", 1)), f"{kind}: and delivered")
    with Imap(server.port("imap"), name=server.hostname) as c:
        t.equal(c.login("anna@sql.test", "pa").status, "OK", f"{kind}: she logs in")
        t.contains(str(c.cmd("STATUS INBOX (MESSAGES)")), "MESSAGES 1", f"{kind}: and finds it")
    t.equal(send(server, "o'neil@sql.test").code, 250, f"{kind}: a name with a quote gets mail")
    t.contains(login(server, "o'neil@sql.test", "po"), "OK", f"{kind}: and logs in")
    t.contains(login(server, "anna@sql.test", "no"), "AUTHENTICATIONFAILED", f"{kind}: a wrong password")
    t.contains(login(server, "anna@sql.test", "' OR '1'='1"), "AUTHENTICATIONFAILED", f"{kind}: a wrong password that means harm")
    t.contains(login(server, "nobody@sql.test", "pa"), "AUTHENTICATIONFAILED", f"{kind}: an unknown user")
    t.equal(send(server, "nobody@sql.test").code, 550, f"{kind}: gets no mail")


def harm(kind, server, site):
    wrong = []
    for local in badnames.SQL:
        said = send(server, f"{badnames.quoted(local)}@sql.test")
        if said.code not in (501, 550, 553):
            wrong.append((local, said))
        said = login(server, f"{local}@sql.test", "pa")
        if not said.startswith(("NO [AUTHENTICATIONFAILED]", "BAD")):
            wrong.append((local, said))
    t.equal(wrong, [], f"{kind}: names with SQL in them are nobody")
    wrong = []
    for local in badnames.LOOK_ALIKE:
        said = send(server, f"{local}@sql.test", utf8=True)
        if said.code not in (501, 550, 553):
            wrong.append((local, said))
        said = login(server, f"{local}@sql.test", "pa")
        if not said.startswith("NO [AUTHENTICATIONFAILED]"):
            wrong.append((local, said))
    t.equal(wrong, [], f"{kind}: who only looks like her is nobody")
    wrong = []
    for user in [*(local + b"@sql.test" for local in badnames.BYTES), b"anna@sql.test\0", b"\0", b"anna@sql.test" + b" " * 65536]:
        try:
            said = login(server, user, b"pa")
        except Closed:
            said = "closed"
        if not said.startswith(("NO [AUTHENTICATIONFAILED]", "BAD", "NO [TOOBIG]", "closed")):
            wrong.append((user[:20], len(user), said))
    for text in ("\udcff\udcfe@sql.test", "x" * 65536 + "@sql.test"):
        try:
            said = send(server, text)
        except (Closed, OSError):
            continue
        if said.code not in (500, 501, 550, 552, 553):
            wrong.append((text[:20], len(text), said))
    t.equal(wrong, [], f"{kind}: NUL, no UTF-8, 64 KB: refused")
    t.equal(site.value("SELECT COUNT(*) FROM mailbox"), "2", f"{kind}: and nothing happened to the table")
    t.contains(login(server, "anna@sql.test", "pa"), "OK", f"{kind}: she still logs in")


def command(kind, server, site):
    t.equal(server.ekiden("user", "add", "ben@sql.test", stdin=b"first\n")[0], 0, f"{kind}: ekiden user add")
    t.contains(login(server, "ben@sql.test", "first"), "OK", f"{kind}: he logs in")
    t.equal(send(server, "ben@sql.test").code, 250, f"{kind}: and gets mail")
    t.equal(server.ekiden("user", "passwd", "ben@sql.test", stdin=b"second\n")[0], 0, f"{kind}: ekiden user passwd")
    t.contains(login(server, "ben@sql.test", "first"), "AUTHENTICATIONFAILED", f"{kind}: the old password is over")
    t.contains(login(server, "ben@sql.test", "second"), "OK", f"{kind}: the new one counts")
    t.ok(server.ekiden("user", "add", "ben@sql.test", stdin=b"third\n")[0] != 0, f"{kind}: nobody is added twice")
    status, said = server.ekiden("user", "list", "*@sql.test")
    t.equal((status, said.split()), (0, ["anna@sql.test", "ben@sql.test", "o'neil@sql.test"]), f"{kind}: ekiden user list")
    for _ in range(2):                           # the same stored password once more: a row is changed all the same
        status, said = server.ekiden("user", "passwd", "--hash", "{PLAIN}same", "ben@sql.test")
        t.ok(status == 0, f"{kind}: a password that stays the same", said)
    t.equal(site.value("SELECT COUNT(*) FROM mailbox"), "3", f"{kind}: three users are there")
    t.equal(server.ekiden("user", "delete", "ben@sql.test")[0], 0, f"{kind}: ekiden user delete")
    t.equal(send(server, "ben@sql.test").code, 550, f"{kind}: he is gone")


# ---- outages ----


def outage(kind, server, load, down, up, how):
    t.ok(load.grows(load.served, load.domains, 10), f"{kind}: under load all is served before {how}", load.wrong[:5])
    load.away.add("sql.test")
    down()
    t.ok(load.grows(load.later, ["sql.test"], 10) and load.grows(load.served, [server.domain], 10),
         f"{kind}: {how}: its users hear \"later\" and nothing else, the others notice nothing", (load.later, load.served, load.wrong[:5]))
    up()
    t.ok(load.reaches(lambda: login(server, "anna@sql.test", "pa").startswith("OK") and send(server, "anna@sql.test").code == 250),
         f"{kind}: {how}: it is back, and all are served", load.wrong[:5])


def outages(kind, server, site):
    with Load(server, ["sql.test", server.domain], {"anna": "pa"}, keeps=False, together=False) as load:
        if site.server:
            outage(kind, server, load, site.server.pause, site.server.resume, "SIGSTOP")
            outage(kind, server, load, site.server.kill, site.server.start, "SIGKILL")
        else:
            outage(kind, server, load, lambda: os.rename(site.path, site.path + ".away"), lambda: os.rename(site.path + ".away", site.path),
                   "a file that is away")
        load.grows(load.served, load.domains, 20)
    t.equal(load.wrong[:10], [], f"{kind}: no wrong answer in all that time")
    t.equal(load.lost(server.messages)[:10], [], f"{kind}: all that was taken is there, each once")


for kind_ in KINDS:
    reason = missing(kind_)
    if reason:
        t.skip(kind_, reason)
        continue
    with Site(kind_) as site_:
        tables(kind_, site_)
        config = CONFIG.replace("KIND", kind_).replace("SETTINGS", site_.settings() + (PATIENCE if site_.server else "")).replace(
            "QUERIES", QUERIES)
        with Server(config, users=[("anna", "{PLAIN}pa")]) as server_:
            dialogue(kind_, server_)
            harm(kind_, server_, site_)
            command(kind_, server_, site_)
            rehash(kind_, site_, server_)
            outages(kind_, server_, site_)
            t.ok(server_.stop(), f"{kind_}: the server stops")
        t.equal(server_.problems(), [], f"{kind_}: no report")
t.done()
