#!/usr/bin/python3
# backend-sql.py - users in SQLite, PostgreSQL and MariaDB: the same dialogue with each, names that mean harm, outages under load
# SPDX-License-Identifier: Apache-2.0
# limit: 600
import os
import subprocess
import threading

from ekiden import BUILD, Server, listener, wait_for
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
HARMFUL = ["' OR '1'='1", "' OR 1=1 -- ", "x'; DROP TABLE mailbox; --", "anna' UNION SELECT '{PLAIN}pa", "\\", "\\' OR 1=1 #", "$1", "?", ":user",
           "%", "_nna", "a%", "*", "anna\t", "${user}", "NULL", "0"]
LOOK_ALIKE = ["аnna", "änna", "annа", "ànnà", "аnnа", "anna\u200b"]      # most of them Cyrillic
t = Tap()


def send(server, to, subject="x", utf8=False):
    """The answer to RCPT, or to the message when that was taken."""
    with server.smtp() as c:
        c.ehlo()
        c.cmd("MAIL FROM:<sender@elsewhere.test>" + (" SMTPUTF8" if utf8 else ""))
        said = c.cmd(f"RCPT TO:<{to}>")
        return c.data(f"Subject: {subject}\r\n\r\nx\r\n".encode()) if said.code == 250 else said


def login(server, user, password):
    """The answer, of bytes that go as literals."""
    with Imap(server.port("imap"), name=server.hostname) as c:
        user, password = (x if isinstance(x, bytes) else x.encode() for x in (user, password))
        return str(c.cmd("LOGIN {} {}", user, password))


# ---- the same with each ----


def tables(kind, site):
    """The module alone: bytes go to the server as they are (tests/unit/test-sql.c)."""
    for case in ("lookups", "writing", "echo", "bounds", "mistakes"):
        site.sql(RESET)
        done = subprocess.run([f"{BUILD}/tests/unit/test-sql", "-p", f"/sql/{case}"], capture_output=True, text=True, check=False, timeout=120,
                              env={**os.environ, "EKIDEN_SQL_MODULE": kind, "EKIDEN_SQL_SETTINGS": site.settings()})
        t.ok(done.returncode == 0 and f"/sql/{case}" in done.stdout, f"{kind}: {case}", done.stdout + done.stderr)
    site.sql("DELETE FROM mailbox;" + USERS)


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
    for local in HARMFUL:
        escaped = local.replace("\\", "\\\\").replace('"', '\\"')
        said = send(server, f'"{escaped}"@sql.test')
        if said.code not in (501, 550, 553):
            wrong.append((local, said))
        said = login(server, f"{local}@sql.test", "pa")
        if not said.startswith(("NO [AUTHENTICATIONFAILED]", "BAD")):
            wrong.append((local, said))
    t.equal(wrong, [], f"{kind}: names with SQL in them are nobody")
    wrong = []
    for local in LOOK_ALIKE:
        said = send(server, f"{local}@sql.test", utf8=True)
        if said.code not in (501, 550, 553):
            wrong.append((local, said))
        said = login(server, f"{local}@sql.test", "pa")
        if not said.startswith("NO [AUTHENTICATIONFAILED]"):
            wrong.append((local, said))
    t.equal(wrong, [], f"{kind}: who only looks like her is nobody")
    wrong = []
    for user in (b"anna@sql.test\0", b"an\0na@sql.test", b"\0", b"\xff\xfe@sql.test", b"anna\xc3@sql.test", b"x" * 65536 + b"@sql.test",
                 b"anna@sql.test" + b" " * 65536):
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


class Load:
    """Threads that ask all the time; what they hear is right, or "later"."""

    def __init__(self, server):
        self.server, self.stop, self.wrong = server, threading.Event(), []
        self.later, self.served, self.file = 0, 0, 0
        self.sent, self.lock = {"anna@sql.test": [], server.address("dora"): []}, threading.Lock()
        self.threads = [threading.Thread(target=self.play, args=(work, number)) for number, work in
                        enumerate((self.mail, self.logins, self.mail, self.of_file))]
        for thread in self.threads:
            thread.start()

    def play(self, work, number):
        count = 0
        while not self.stop.is_set():
            try:
                work(f"{number}-{count}")
            except (OSError, AssertionError, Closed) as error:
                self.wrong.append(f"{work.__name__}: {error!r}")
                return
            count += 1

    def heard(self, what, said, good, later):
        with self.lock:
            if said.startswith(later):
                self.later += 1
            elif said.startswith(good):
                self.served += 1
            else:
                self.wrong.append(f"{what}: {said}")

    def mail(self, mark):
        said = send(self.server, "anna@sql.test", mark)
        if said.code == 250:
            self.sent["anna@sql.test"].append(mark)
        self.heard("mail for a user", str(said), "250", "451")
        self.heard("mail for nobody", str(send(self.server, "nobody@sql.test")), "550", "451")

    def logins(self, mark):
        self.heard("a right password", login(self.server, "anna@sql.test", "pa"), "OK", "NO [UNAVAILABLE]")
        self.heard("a wrong password", login(self.server, "anna@sql.test", "no"), "NO [AUTHENTICATIONFAILED]", "NO [UNAVAILABLE]")
        self.heard("an unknown user", login(self.server, "nobody@sql.test", "pa"), "NO [AUTHENTICATIONFAILED]", "NO [UNAVAILABLE]")

    def of_file(self, mark):
        """The other domain: never "later"."""
        user = self.server.address("dora")
        said = send(self.server, user, mark)
        self.sent[user].append(mark)
        found = [str(said), login(self.server, user, self.server.password), login(self.server, user, "no"), str(send(self.server, "nobody@" + self.server.domain))]
        for text, good in zip(found, ("250", "OK", "NO [AUTHENTICATIONFAILED]", "550")):
            if not text.startswith(good):
                self.wrong.append(f"the other domain: {text}")
        self.file += 1

    def reaches(self, what, seconds=60):
        """Until what() is true, or something is wrong."""
        return wait_for(lambda: what() or self.wrong, seconds, 0.05) and not self.wrong

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join()


def outage(kind, server, load, down, up, how):
    served = load.served
    t.ok(load.reaches(lambda: load.served > served + 10), f"{kind}: under load all is served before {how}", load.wrong[:5])
    down()
    later, file = load.later, load.file
    t.ok(load.reaches(lambda: load.later > later + 10 and load.file > file + 10),
         f"{kind}: {how}: its users hear \"later\" and nothing else, the others notice nothing", (load.later, load.file, load.wrong[:5]))
    up()
    t.ok(load.reaches(lambda: login(server, "anna@sql.test", "pa").startswith("OK") and send(server, "anna@sql.test").code == 250, 90),
         f"{kind}: {how}: it is back, and all are served", load.wrong[:5])


def outages(kind, server, site):
    load = Load(server)
    if site.server:
        outage(kind, server, load, site.server.pause, site.server.resume, "SIGSTOP")
        outage(kind, server, load, site.server.kill, site.server.start, "SIGKILL")
    else:
        outage(kind, server, load, lambda: os.rename(site.path, site.path + ".away"), lambda: os.rename(site.path + ".away", site.path),
               "a file that is away")
    served = load.served
    load.reaches(lambda: load.served > served + 20)
    load.end()
    t.equal(load.wrong[:10], [], f"{kind}: no wrong answer in all that time")
    for user, marks in load.sent.items():
        def counts():
            lines = b"".join(server.messages(user)).split(b"\n")
            return [sum(line.strip() == b"Subject: " + m.encode() for line in lines) for m in marks]
        t.ok(wait_for(lambda: all(counts()), 60, 0.5) and set(counts()) == {1}, f"{kind}: {user} has all that was taken, each once", len(marks))


for kind_ in KINDS:
    reason = missing(kind_)
    if reason:
        t.skip(kind_, reason)
        continue
    with Site(kind_) as site_:
        tables(kind_, site_)
        config = CONFIG.replace("KIND", kind_).replace("SETTINGS", site_.settings() + (PATIENCE if site_.server else "")).replace(
            "QUERIES", QUERIES)
        with Server(config, users=["dora"]) as server_:
            dialogue(kind_, server_)
            harm(kind_, server_, site_)
            command(kind_, server_, site_)
            outages(kind_, server_, site_)
            t.ok(server_.stop(), f"{kind_}: the server stops")
        t.equal(server_.problems(), [], f"{kind_}: no report")
t.done()
