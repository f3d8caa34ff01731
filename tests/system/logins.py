#!/usr/bin/python3
# logins.py - three domains, three backends: one goes away and the others do not notice; users come and go
# limit: 240
# SPDX-License-Identifier: Apache-2.0
import os
import time

from ekiden import MAIL, Server, listener
from tap import Tap
from wire import Imap

CONFIG = listener("smtp") + listener("imap", plaintext_auth="yes") + """
sasl_plain { }
file "one" { path = "${dir}/one"
  home = "${mail}/%d/%n" }
file "two" { path = "${dir}/two"
  home = "${mail}/%d/%n" }
test "away" { control = "${dir}/control"
  password = pw
  home = "${mail}/%d/%n" }
static "virtual" { home = "${mail}/%d/%n" }
maildir "mail" { path = "%h/Maildir" }
domain "one.test" { auth = one
  mailboxes = mail }
domain "two.test" { auth = two
  users = virtual
  mailboxes = mail }
domain "away.test" { auth = away
  mailboxes = mail }
auth { failure_delay = 200ms
  failure_delay_max = 800ms }
"""
t = Tap()


class Site(Server):
    domain = "one.test"

    def put(self, name, text):
        with open(f"{self.dir}/{name}.new", "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(f"{self.dir}/{name}.new", 0o640)
        self.give(f"{self.dir}/{name}.new", "directory")
        os.replace(f"{self.dir}/{name}.new", f"{self.dir}/{name}")

    def login(self, user, password):
        """The answer's status and code, and how long it took."""
        start = time.monotonic()
        with Imap(self.port("imap"), name=self.hostname) as c:
            answer = c.login(user, password)
        return str(answer), time.monotonic() - start

    def says(self, user, password, word, text):
        t.contains(self.login(user, password)[0], word, f"{self.layout}: {text}")

    def rcpt(self, *addresses):
        with self.smtp() as c:
            c.ehlo()
            c.cmd("MAIL FROM:<x@elsewhere.test>")
            return [c.cmd(f"RCPT TO:<{a}>").code for a in addresses]


def outage(s):
    for user, password in (("anna@one.test", "pa"), ("Anna", "pa"), ("ben@two.test", "pb"), ("any@away.test", "pw")):
        s.says(user, password, "OK", f"{user} logs in")
    s.says("anna@one.test", "pb", "AUTHENTICATIONFAILED", "a wrong password is refused")
    s.says("nobody@one.test", "pa", "AUTHENTICATIONFAILED", "so is an unknown name")
    s.put("control", "defer\n")
    for _ in range(3):
        s.says("gone@away.test", "pw", "UNAVAILABLE", "a backend that is away: unavailable, with the right password")
        s.says("gone@away.test", "no", "UNAVAILABLE", "and with a wrong one, never refused")
        s.says("anna@one.test", "pa", "OK", "the first domain does not notice")
        s.says("ben@two.test", "pb", "OK", "nor does the second")
    t.equal(s.rcpt("anna@one.test", "nobody@one.test", "ben@two.test", "nobody@two.test", "gone@away.test"),
            [250, 550, 250, 550, 451], f"{s.layout}: recipients: known, unknown, assumed and known, assumed and unknown, deferred")
    os.unlink(f"{s.dir}/control")
    s.says("gone@away.test", "pw", "OK", "and it is back")
    t.equal(s.rcpt("gone@away.test"), [250], f"{s.layout}: for mail too")


def delays(s):
    time.sleep(0.1)
    took = [s.login("anna@one.test", "no")[1] for _ in range(3)]
    t.ok(all(x >= 0.75 for x in took), f"{s.layout}: after some failures each answer takes the longest delay", took)
    t.ok(s.login("anna@one.test", "pa")[1] < 0.7, f"{s.layout}: a right password is not held back")


def changes(s):
    status, out = s.ekiden("user", "add", "-s", "SSHA256", "carla@one.test", stdin=b"pc\n")
    t.equal(status, 0, f"{s.layout}: a user is added beside the running server")
    t.note(out)
    time.sleep(1.2)
    s.says("carla@one.test", "pc", "OK", "and logs in within a second")
    t.equal(s.ekiden("user", "passwd", "-s", "SSHA256", "carla@one.test", stdin=b"neu\n")[0], 0, f"{s.layout}: her password is changed")
    time.sleep(1.2)
    s.says("carla@one.test", "neu", "OK", "the new one counts")
    t.equal(s.ekiden("user", "list")[1].split(), ["anna@one.test", "carla@one.test", "ben@two.test"], f"{s.layout}: she is listed")
    s.put("one", "anna@one.test:{PLAIN}pa\n:broken\n")
    time.sleep(1.2)
    s.says("carla@one.test", "neu", "OK", "a broken file leaves the old users")
    t.ok(s.logged(r"/one:2: the user name is missing", 5), f"{s.layout}: and the log names its line")
    s.put("one", "anna@one.test:{PLAIN}pa\ncarla@one.test:{PLAIN}x::::::nologin\n")
    time.sleep(1.2)
    s.says("carla@one.test", "x", "AUTHENTICATIONFAILED", "nologin")
    t.equal(s.ekiden("user", "delete", "carla@one.test")[0], 0, f"{s.layout}: she is deleted")
    time.sleep(1.2)
    t.equal(s.rcpt("carla@one.test", "anna@one.test"), [550, 250], f"{s.layout}: and gets no mail any more")


for layout in ("apart", "merged"):
    site = Site(CONFIG, layout=layout, start=False)
    site.put("one", "anna@one.test:{PLAIN}pa\n")
    site.put("two", "ben@two.test:{PLAIN}pb\n")
    with site as s:
        s.start()
        outage(s)
        delays(s)
        changes(s)
        t.ok(s.stop(), f"{layout}: the server stops")
    t.ok(not site.problems(), f"{layout}: no reports", site.problems())
    plain = listener("mx", "smtp", plaintext_auth="yes")
    for text, offered in ((MAIL, True), (MAIL.replace("sasl_plain { }\n", ""), False)):
        with Server(text + plain, users=["anna"], layout=layout) as server, server.smtp("mx") as c:
            c.ehlo()
            t.equal(("AUTH" in c.features, c.auth_plain("anna@example.test", server.password).code == 235), (offered, offered),
                    f"{layout}: AUTH is offered {'with' if offered else 'only with'} a module that answers it")
t.done()
