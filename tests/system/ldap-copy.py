#!/usr/bin/python3
# ldap-copy.py - a directory's copy that is only read, and refers whoever would write to another server: changes, and that server away
# waits
# SPDX-License-Identifier: Apache-2.0
# part: backends
# needs: slapd
# limit: 180
import os

from ekiden import Server, listener, wait_for
from server_slapd import Slapd, entry
from tap import Tap
from wire import Imap

BLOCK = """
ldap "{name}" {{ uris = {uris}
  base = "ou=people,dc=example"
  bind_dn = "{reader}"
  bind_password = "{password}"
  user_filter = "(&(objectClass=inetOrgPerson)(mail=:user))"
  user_attributes = "description=quota_rule", "l=town"
  writable = yes
  home = "${{mail}}/%d/%n"
  timeout = 5s
  connect_timeout = 5s
  cache = 0
  cache_stale = 0 }}
domain "{name}.test" {{ auth = {name}
  mailboxes = mail }}
"""
# both: the copy first, and who writes; alone: the copy, which refers to a stranger
CONFIG = listener("imap", plaintext_auth="yes") + """
sasl_plain { }
maildir "mail" { path = "%h/Maildir" }
auth { rehash = SHA512-CRYPT
  cache_stale = 0
  failure_delay = 100ms
  failure_delay_max = 200ms }
"""
HASHED = "{CRYPT}$6$"
t = Tap()


def person(name, domain):
    return entry(f"uid={name}-{domain},ou=people,dc=example", "inetOrgPerson extensibleObject", uid=f"{name}-{domain}", cn=name, sn=name,
                 mail=f"{name}@{domain}", userPassword=f"{name}-pw")


def directory():
    return entry("dc=example", "domain", dc="example") + entry("ou=people,dc=example", "organizationalUnit", ou="people") + "".join(
        person(name, domain) for domain in ("both.test", "alone.test") for name in ("anna", "ben", "cora"))


class Site(Server):
    def __init__(self, writer, copy):
        self.writer, self.copy = writer, copy
        uris = {"both": f'"{copy.uri}", "{writer.uri}"', "alone": f'"{copy.uri}"'}
        super().__init__(CONFIG + "".join(BLOCK.format(name=name, uris=u, reader=copy.reader, password=copy.password) for name, u in uris.items()),
                         start=False)

    def login(self, user, password):
        with Imap(self.port("imap"), name=self.hostname, timeout=60) as c:
            answer = c.login(user, password)
            return f"{answer.status} {answer.text}"

    def at(self, user, attribute, *servers):
        """What these servers (both) have as the user's attribute, one list each."""
        return [server.values(f"(mail={user})", attribute) for server in servers or (self.writer, self.copy)]

    def both_have(self, user, attribute, good):
        """Has who writes one value that is so, and the copy the same?"""
        def same():
            writer, copy = self.at(user, attribute)
            return writer == copy and len(writer) == 1 and good(writer[0])
        return wait_for(same, 30, 0.1)

    def log_since(self, mark, pattern):
        return wait_for(lambda: pattern in self.log()[mark:], 30)


def writes(s):
    """The copy is asked first and refers, first to a stranger and then to who writes."""
    t.contains(s.login("anna@both.test", "anna-pw"), "OK", "a login, by what the copy has")
    t.ok(s.both_have("anna@both.test", "userPassword", lambda v: v.startswith(HASHED)), "makes the password a hash where it is written, and in the copy",
         s.at("anna@both.test", "userPassword"))
    t.contains(s.login("anna@both.test", "anna-pw"), "OK", "and it is right as before")
    was = s.at("anna@both.test", "userPassword", s.copy)[0]
    status, said = s.ekiden("user", "passwd", "anna@both.test", stdin=b"another one\n")
    t.ok(status == 0, "ekiden user passwd", said)
    t.ok(s.both_have("anna@both.test", "userPassword", lambda v: [v] != was), "changes it there, and the copy follows")
    t.contains(s.login("anna@both.test", "another one"), "OK", "the new password is right")
    t.contains(s.login("anna@both.test", "anna-pw"), "AUTHENTICATIONFAILED", "and the old one wrong")
    for word, attribute, want in (("town=Bath", "l", "Bath"), ("quota=2G", "description", "*:bytes=2147483648")):
        status, said = s.ekiden("user", "set", "anna@both.test", word)
        t.equal((status, s.at("anna@both.test", attribute, s.writer)), (0, [[want]]), f"ekiden user set {word}: {said}")
        t.ok(s.both_have("anna@both.test", attribute, lambda v, want=want: v == want), "and the copy follows")


def refused(s):
    """Who writes is none of uris, and hears no bind_dn."""
    before = s.at("anna@alone.test", "userPassword")
    t.equal(before, [["anna-pw"]] * 2, "both have the password in plain")
    t.contains(s.login("anna@alone.test", "anna-pw"), "OK", "alone: a login succeeds")
    t.ok(s.logged(f"alone.*is to be changed at {s.writer.uri}, which is none of uris"), "the log says why its password is not hashed", s.tail(20))
    for words in (("passwd", "anna@alone.test"), ("set", "anna@alone.test", "town=Bath")):
        status, said = s.ekiden("user", *words, stdin=b"another one\n")
        t.ok(status != 0 and f"is to be changed at {s.writer.uri}, which is none of uris" in said, f"ekiden user {words[0]}: refused, with the reason", said)
    t.equal(s.at("anna@alone.test", "userPassword") + s.at("anna@alone.test", "l"), before + [[], []], "nothing has changed")
    t.contains(s.login("anna@alone.test", "anna-pw"), "OK", "she logs in as before")
    t.contains(s.login("anna@alone.test", "another one"), "AUTHENTICATIONFAILED", "and not by the other password")


def away(s):
    """Who writes is away: changes are put off, which is no "no"."""
    s.writer.kill()
    mark = len(s.log())
    t.contains(s.login("ben@both.test", "ben-pw"), "OK", "who writes is away: a login succeeds")
    t.ok(s.log_since(mark, "Connection refused"), "the log says why its password is not hashed", s.tail(20))
    t.contains(s.login("ben@both.test", "no"), "AUTHENTICATIONFAILED", "a wrong password is wrong")
    for words in (("passwd", "anna@both.test"), ("set", "anna@both.test", "town=Wells")):
        status, said = s.ekiden("user", *words, stdin=b"a third one\n")
        t.ok(status != 0 and f"{s.writer.uri}: Connection refused" in said and "none of uris" not in said and "no user" not in said,
             f"ekiden user {words[0]}: who is away is named, and nothing called refused", said)
    t.contains(s.login("anna@both.test", "another one"), "OK", "the password that was right is so still")
    s.writer.start()
    t.contains(s.login("ben@both.test", "ben-pw"), "OK", "who writes is back: a login")
    t.ok(s.both_have("ben@both.test", "userPassword", lambda v: v.startswith(HASHED)), "makes the password a hash now",
         s.at("ben@both.test", "userPassword"))
    status, said = s.ekiden("user", "passwd", "anna@both.test", stdin=b"a third one\n")
    t.ok(status == 0, "ekiden user passwd", said)
    t.ok(wait_for(lambda: "OK" in s.login("anna@both.test", "a third one"), 30, 0.2), "and she logs in by it")


def copy_away(s):
    s.copy.kill()
    t.contains(s.login("cora@both.test", "cora-pw"), "OK", "the copy is away: who writes is asked")
    t.ok(wait_for(lambda: s.at("cora@both.test", "userPassword", s.writer)[0][0].startswith(HASHED), 30, 0.1), "and writes")
    s.copy.start()
    t.ok(s.both_have("cora@both.test", "userPassword", lambda v: v.startswith(HASHED)), "the copy is back, and follows")


def main():
    base = os.environ["EKIDEN_RUN"]
    for name in ("writer", "copy"):
        os.makedirs(f"{base}/{name}")
    writer = Slapd(f"{base}/writer", "dc=example", copied=True)
    copy = Slapd(f"{base}/copy", "dc=example", copy_of=writer, refers=["ldap://127.0.0.1:1", writer.uri])
    writer.load(directory())
    site = Site(writer, copy)
    with writer, copy, site as s:
        writer.start()
        copy.start()
        t.ok(wait_for(lambda: copy.values("(mail=*)", "mail") == writer.values("(mail=*)", "mail"), 30, 0.1), "the copy has what is written")
        s.start()
        writes(s)
        refused(s)
        away(s)
        copy_away(s)
        t.ok(s.stop(), "the server stops")
    t.equal(site.problems(), [], "no report")
    t.done()


main()
