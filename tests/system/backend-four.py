#!/usr/bin/python3
# backend-four.py - one table of SMTP and IMAP cases for four domains in PostgreSQL, MariaDB, OpenLDAP and a file: the same answers in each
# SPDX-License-Identifier: Apache-2.0
# part: backends
# needs: slapd
# limit: 600
"""What is expected stands in the table for all four; that their answers are the same, texts and literals too, is compared by itself.
What must differ (the domain, times, ids, the password) is replaced before."""
import base64
import collections
import json
import os
import re
import threading

import badnames
import imapscript
from ekiden import wait_for
from fourdomains import DOMAINS, OWN_GID, OWN_UID, FourDomains, missing
from imapwire import Connected, Literal, Normal, Wrong
from tap import Tap
from wire import Closed, Imap

t = Tap()
PEOPLE = {"anna": "pa", "ben": "secret word", "carl": "pc", "o'neil": "po", "st*r": "ps", "per%cent": "pp", "under_score": "pu", "am&p": "pm", "dora.x": "pd",
          "quote": 'a"b\\c', "gruss": "pässwört", "long": "p" * 200, "w" * 64: "pw",
          "gone": ("pg", {"nologin": "y"}), "inside": ("pi", {"allow_nets": "127.0.0.0/8"}), "outside": ("px", {"allow_nets": "192.0.2.0/24"})}
ALIASES = {"all": ["anna", "ben"], "post": ["anna"], "chain": ["all", "carl"], "dora": ["dora.x"], "carl": ["carl", "ben"], "lost": ["nobody"], "st?r": ["st*r"],
           "round": ["trip"], "trip": ["round"]}
SETTINGS = """
auth { failure_delay = 0
  failure_delay_max = 0 }
routing { default_domain = "none.test" }
"""
OK, REFUSED, UNKNOWN = r"OK ", r"NO \[AUTHENTICATIONFAILED\]", r"550 5\.1\.1 "
Case = collections.namedtuple("Case", "kind what want")          # `want`: a pattern of the answer


# ---- the table ----


def recipients():
    yes, no, wrong = "250 2.1.5 ", UNKNOWN, r"5(01|53) 5\."
    for local in ("anna", "ANNA", "Anna", "ben", "o'neil", "O'Neil", '"o\'neil"', "st*r", "per%cent", "under_score", "am&p", "dora.x", "w" * 64, "gone",
                  "outside", "anna+tag", "anna+", "anna+a+b", "anna+*", "o'neil+x'y", "am&p+&", '"anna"', '"an\\na"', "all", "ALL", "all+tag", "post", "chain",
                  "dora", "carl", "lost", "st?r", "round"):
        yield Case("rcpt", local, yes)
    for local in ("nobody", "nobody+anna", "ann", "annaa", "anna.x", "anna-tag", "an.na", "dorax", "dora-x", "underXscore", "star", "st**r", "perXcent", "o''neil",
                  "oneil", "w" * 63, "+anna", "+", '"anna "', '" anna"', "all.x", "1", "anna'--", "anna'", "anna`", "anna$", "{anna}", "anna|", "~anna", "a=b", "anna..b", ".anna", "anna."):
        yield Case("rcpt", local, no)
    for local in ("", "an na", '"anna', "anna(x)", "anna,ben", "anna;", "<anna", "w" * 65, "anna\\"):
        yield Case("rcpt", local, wrong)
    for local in [*badnames.SQL, *badnames.LDAP]:
        yield Case("rcpt", badnames.quoted(local), rf"{no}|{wrong}")
    for local in badnames.LOOK_ALIKE:
        yield Case("rcpt utf8", local, rf"{no}|{wrong}")
        yield Case("rcpt", local, rf"{no}|{wrong}|550 5\.6\.7|555 ")
    for local in badnames.BYTES:
        yield Case("rcpt bytes", local, r"500 |501 |550 |552 |553 |closed")
    yield Case("rcpt", "anna%x", no)


def deliveries():
    """Who has the mail, and how often."""
    for to, boxes in (("anna", "anna"), ("ANNA+Tag", "anna"), ("all", "anna ben"), ("post", "anna"), ("chain", "anna ben carl"), ("dora", "dora.x"),
                      ("carl", "carl ben"), ("anna ben", "anna ben"), ("anna anna", "anna"), ("all anna", "anna ben"), ("nobody ben", "ben"), ("gone", "gone"),
                      ("o'neil", "o'neil"), ("st*r", "st*r"), ("st?r", "st*r"), ("am&p", "am&p"), ("per%cent under_score", "per%cent under_score")):
        yield Case("mail", to, "250 2.0.0 .* " + re.escape(" ".join(f"{box}:1" for box in sorted(boxes.split()))) + "$")
    yield Case("mail", "nobody", r"550 5\.1\.1 ")


def logins():
    for name, value in PEOPLE.items():
        password = value[0] if isinstance(value, tuple) else value
        allowed = OK if name not in ("gone", "outside") else REFUSED
        yield Case("login", (name, password), allowed)
        yield Case("login", (name, "no"), REFUSED)
        yield Case("smtp plain", ("", name, password), "235 2.7.0 " if allowed == OK else "535 5.7.8 ")
    for user, password, want in (
            ("ANNA", "pa", OK), ("Anna", "pa", OK), ("anna+tag", "pa", OK), ("anna", "PA", REFUSED), ("anna", "pa ", REFUSED), ("anna", " pa", REFUSED),
            ("anna", "p", REFUSED), ("anna", "pa\\", REFUSED), ("anna", "' OR '1'='1", REFUSED), ("anna", "*", REFUSED), ("anna", "{PLAIN}pa", REFUSED),
            ("anna", "x" * 1000, REFUSED), ("nobody", "pa", REFUSED), ("ann", "pa", REFUSED), ("all", "pa", REFUSED), ("post", "pa", REFUSED),
            ("star", "ps", REFUSED), ("underXscore", "pu", REFUSED), ("perXcent", "pp", REFUSED), ("st?r", "ps", REFUSED),
            ("", "pa", REFUSED), ("@", "pa", REFUSED), ("anna@x", "pa", REFUSED), ("anna", "", "BAD "), ("nobody", "", "BAD "), ("gruss", "passwort", REFUSED),
            ("gruss", "pässwort", REFUSED), ("long", "p" * 199, REFUSED), ("quote", "a\"b\\c\\", REFUSED)):
        yield Case("login", (user, password), want)
    for local in [*badnames.SQL, *badnames.LDAP, *badnames.LOOK_ALIKE]:
        yield Case("login", (local, "pa"), rf"{REFUSED}|BAD|NO \[TOOBIG\]|NO \[LIMIT\]")
    for local in badnames.BYTES:
        yield Case("login", (local, "pa"), rf"{REFUSED}|BAD|NO \[TOOBIG\]|NO \[LIMIT\]|closed")
        yield Case("imap plain", (b"", local, b"pa"), rf"{REFUSED}|BAD|NO |closed")
    for password in (b"pa\xff", b"x" * 65536):
        yield Case("login", (b"anna", password), rf"{REFUSED}|BAD|NO \[TOOBIG\]|NO \[LIMIT\]|closed")
    for authzid, user, password, want in (
            ("", "anna", "pa", "OK "), ("", "anna", "no", REFUSED), ("", "nobody", "pa", REFUSED), ("anna@D", "anna", "pa", "OK "), ("ben@D", "anna", "pa", "NO |BAD "),
            ("ben@D", "anna", "no", "NO |BAD "), ("", "", "pa", "NO |BAD"), ("", "anna", "", "NO |BAD"), ("", "*", "pa", REFUSED), ("", "anna)(mail=*", "pa", REFUSED)):
        yield Case("imap plain", (authzid, user, password), want)
        yield Case("smtp plain", (authzid, user, password), "235 " if want == "OK " else "535 5.7.8 |501 |5")


def mailbox():
    """A session of anna's: what Dovecot is compared by, as far as it needs no mail of others."""
    yield from ("SELECT INBOX", "CREATE Sent", "CREATE Archive", "CREATE Drafts")
    for i in range(6):
        yield ("APPEND INBOX ", Literal(b"From: a@example.test\r\nSubject: number %d\r\nDate: Mon, 2 Mar 2020 10:00:00 +0000\r\n\r\nplain %d\r\n" % (i, i)))
    for part in (imapscript.mailboxes, imapscript.storing, imapscript.copying, imapscript.appending, imapscript.expunging):
        yield "SELECT INBOX"
        yield from part()
    yield from ("SELECT INBOX", "FETCH 1:* (FLAGS RFC822.SIZE ENVELOPE BODY.PEEK[TEXT])", "SEARCH SUBJECT number", "SEARCH BODY plain", "LOGOUT")


def commands():
    for command in mailbox():
        yield Case("imap", command if isinstance(command, tuple) else (command,), r"\('(OK|NO|BAD)'")


CASES = [*recipients(), *logins(), *commands(), *deliveries()]


# ---- playing it ----


def data(value):
    return value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")


class Play:
    """All cases in one domain."""

    def __init__(self, site, domain):
        self.site, self.server, self.domain = site, site.server, domain
        self.answers, self.marks, self.normal, self.session = [], {}, Normal(), None

    def run(self):
        for case in CASES:
            try:
                said = getattr(self, {"smtp plain": "smtp_plain", "imap plain": "imap_plain"}.get(case.kind, case.kind.split()[0]))(case)
            except (Closed, ConnectionError):
                said = "closed"
            except (OSError, AssertionError, Wrong) as error:
                said = f"error {error!r}"
            self.answers.append(re.sub(r"queued as \w+", "queued as Q", said.replace(self.domain, "D")))

    def address(self, local):
        return f"{local}@{self.domain}"

    def rcpt(self, case):
        local = case.what.decode("utf-8", "surrogateescape") if isinstance(case.what, bytes) else case.what
        with self.server.smtp(timeout=60) as c:
            c.ehlo()
            c.cmd("MAIL FROM:<sender@elsewhere.test>" + (" SMTPUTF8" if case.kind == "rcpt utf8" else ""))
            said = c.cmd(f"RCPT TO:<{self.address(local)}>")
            return f"{said.code} {said.text}"

    def mail(self, case):
        mark = f"case {len(self.marks)} of {self.domain}"
        with self.server.smtp(timeout=60) as c:
            c.ehlo()
            said = c.mail("sender@elsewhere.test", [self.address(local) for local in case.what.split()], f"Subject: {mark}\r\n\r\nx\r\n".encode())
        self.marks[len(self.answers)] = mark
        return f"{said.code} {said.text}"

    def delivered(self):
        """When the queue is empty: adds to the answers who has it."""
        for i, mark in self.marks.items():
            line = f"Subject: {mark}\n".encode()
            counts = {name: sum(line in m for m in self.site.messages(self.address(name))) for name in PEOPLE}
            self.answers[i] += "".join(f" {name}:{n}" for name, n in sorted(counts.items()) if n)

    def login(self, case):
        user, password = (data(value) for value in case.what)
        if b"@" not in user:
            user += b"@" + self.domain.encode()
        with Imap(self.server.port("imap"), name=self.server.hostname, timeout=60) as c:
            return str(c.cmd("LOGIN {} {}", user, password))

    def token(self, case):
        authzid, user, password = (data(value).replace(b"@D", b"@" + self.domain.encode()) for value in case.what)
        return base64.b64encode(authzid + b"\0" + (user + b"@" + self.domain.encode() if user else b"") + b"\0" + password).decode()

    def imap_plain(self, case):
        with Imap(self.server.port("imap"), name=self.server.hostname, timeout=60) as c:
            return str(c.cmd(f"AUTHENTICATE PLAIN {self.token(case)}"))

    def smtp_plain(self, case):
        with self.server.smtp(timeout=60) as c:
            c.ehlo()
            said = c.cmd(f"AUTH PLAIN {self.token(case)}")
            return f"{said.code} {said.text}"

    def imap(self, case):
        if self.session is None:
            self.session = Connected(self.server.port("imap"))
            status, text, *_ = self.session.run("LOGIN ", Literal(self.address("carl").encode()), " pc")
            if status != "OK":
                return f"{status} {text}"
        return str(self.normal.whole(self.session.run(*case.what)))


def compare(plays):
    """All four against the table, and against each other."""
    wrong, different = [], []
    for i, case in enumerate(CASES):
        said = {play.domain: play.answers[i] for play in plays}
        what = f"{case.kind} {str(case.what)[:100]}"
        wrong += [f"{what}: {domain}: {answer[:200]} (expected {case.want[:100]})" for domain, answer in said.items() if not re.match(case.want, answer, re.S)]
        if len(set(said.values())) != 1:
            different.append(f"{what}:\n" + "\n".join(f"  {domain}: {answer[:300]}" for domain, answer in said.items()))
    t.ok(not wrong, f"{len(CASES)} cases in each of {len(plays)} domains are answered as they should be", "\n".join(wrong[:40]))
    t.ok(not different, "and alike", "\n".join(different[:40]))


def settings(site):
    """Each domain's mail lies as its own mailboxes and users say."""
    folder = site.maildir("anna@post.test") + "/new"
    with open(f"{folder}/{os.listdir(folder)[0]}", "rb") as f:
        t.ok(b"\r\n" in f.read(), "post.test: lines end as its mailboxes' settings say")
    if os.geteuid() == 0:
        owner = os.stat(site.maildir("anna@ldap.test"))
        t.equal((owner.st_uid, owner.st_gid), (OWN_UID, OWN_GID), "ldap.test: mail belongs to the system user of the entry")


def main():
    reason = missing()
    if reason:
        t.skip_all(reason)
    with FourDomains(PEOPLE, ALIASES, SETTINGS) as site:
        plays = [Play(site, domain) for domain in DOMAINS]
        work = [threading.Thread(target=play.run) for play in plays]
        for thread in work:
            thread.start()
        for thread in work:
            thread.join()
        t.ok(wait_for(lambda: json.loads(site.server.ekiden("queue", "list", "--json")[1]) == [], 60, 0.1), "the queue is empty")
        for play in plays:
            play.delivered()
        t.ok(len(CASES) >= 300, f"{len(CASES)} cases")
        compare(plays)
        settings(site)
        for domain, backend in site.backends.items():
            if DOMAINS[domain] != "ldap":
                rows = backend.sql("SELECT COUNT(*) FROM mailbox;").strip()
                t.equal(rows, str(len(PEOPLE)), f"{domain}: nothing happened to the table")
        t.ok(site.server.stop(), "the server stops")
        t.equal(site.server.problems(), [], "no report")
    t.done()


main()
