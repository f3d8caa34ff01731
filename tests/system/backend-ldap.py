#!/usr/bin/python3
# backend-ldap.py - users, passwords and aliases in a directory: looked up, by bind, by name; TLS; hostile names; outages
# waits
# SPDX-License-Identifier: Apache-2.0
# part: backends
# needs: slapd
# limit: 600
import os
import threading
import time

import badnames
import certs
from ekiden import Server, listener, unit, wait_for
from server_slapd import AD_SCHEMA, Slapd, entry
from tap import Tap
from wire import Closed, Imap

# look: the password is read; bind: the server checks it, over TLS; dn: without a search, over a socket; part: a part of the directory that
# another server holds; ad, posix: the presets; wrongca: a certificate of somebody else; file: what must not notice any of this
CONFIG = listener("smtp") + listener("imap", plaintext_auth="yes") + """
sasl_plain { }
maildir "mail" { path = "%h/Maildir" }
file "people" { path = $users
  home = "${mail}/%d/%n" }
ldap "look" { uris = "ldap://127.0.0.1:@DEAD@", "@URI@"
  base = "ou=people,dc=example"
  bind_dn = "@READER@"
  bind_password = "@PASSWORD@"
  user_filter = "(&(objectClass=inetOrgPerson)(|(mail=:user)(cn=:user)))"
  user_attributes = "homeDirectory=home", "=quota_rule=1G"
  password_attributes = "userPassword=password", "employeeType=nologin"
  filter = "(&(objectClass=nisMailAlias)(cn=:address))"
  attributes = "rfc822MailMember"
  timeout = 2s
  connect_timeout = 2s
  cache_stale = 0 }
ldap "bind" { uris = "@URI@"
  tls = starttls
  ca_file = "${dir}/ca/ca.pem"
  base = "ou=people,dc=example"
  user_filter = "(&(objectClass=inetOrgPerson)(mail=:user))"
  auth_bind = yes
  password_attributes = []
  home = "${mail}/%d/%n"
  timeout = 2s
  connect_timeout = 2s }
ldap "dn" { uris = "@LDAPI@"
  base = "ou=people,dc=example"
  user_filter = "(mail=:user)"
  auth_bind = yes
  user_dn = "uid=:local-:domain,ou=people,dc=example"
  home = "${mail}/%d/%n"
  timeout = 2s
  connect_timeout = 2s }
ldap "secure" { uris = "@LDAPS@"
  ca_file = "${dir}/ca/ca.pem"
  base = "ou=people,dc=example"
  bind_dn = "@READER@"
  bind_password = "@PASSWORD@"
  user_filter = "(mail=:user)"
  home = "${mail}/%d/%n"
  timeout = 2s
  connect_timeout = 2s }
ldap "part" { uris = "@URI@", "@OTHER@"
  base = "dc=example"
  referrals = yes
  user_filter = "(&(objectClass=inetOrgPerson)(mail=:user))"
  auth_bind = yes
  home = "${mail}/%d/%n" }
ldap "stranger" { uris = "@URI@"
  base = "dc=example"
  referrals = yes
  user_filter = "(&(objectClass=inetOrgPerson)(mail=:user))"
  auth_bind = yes
  home = "${mail}/%d/%n" }
ldap "wrongca" { uris = "@URI@"
  tls = starttls
  ca_file = "${dir}/otherca/ca.pem"
  base = "ou=people,dc=example"
  user_filter = "(mail=:user)" }
ldap "wrongname" { uris = "ldaps://localhost:@TLSPORT@"
  ca_file = "${dir}/ca/ca.pem"
  base = "ou=people,dc=example"
  user_filter = "(mail=:user)" }
ldap "nobase" { uris = "@URI@"
  base = "ou=moved,dc=example"
  user_filter = "(mail=:user)" }
ldap "twice" { uris = "@URI@"
  base = "ou=people,dc=example"
  user_filter = "(&(objectClass=inetOrgPerson)(ou=:domain))" }
ldap "posix" { uris = "@URI@"
  base = "ou=posix,dc=example"
  bind_dn = "@READER@"
  bind_password = "@PASSWORD@"
  include "@TOP@/etc/presets/ldap-posix.conf" }
ldap "ad" { uris = "@URI@"
  base = "ou=windows,dc=example"
  home = "${mail}/%d/%n"
  include "@TOP@/etc/presets/ldap-ad.conf" }
ldap "write" { uris = "@URI@", "@OTHER@"
  base = "dc=example"
  referrals = yes
  bind_dn = "@READER@"
  bind_password = "@PASSWORD@"
  user_filter = "(&(objectClass=inetOrgPerson)(mail=:user))"
  user_attributes = "description=quota_rule", "l=town", "=color=red"
  password_attributes = "userPassword=password", "employeeType=nologin"
  writable = yes
  home = "${mail}/%d/%n" }
ldap "again" { uris = "@URI@"
  base = "ou=people,dc=example"
  user_filter = "(&(objectClass=inetOrgPerson)(cn=:user))"
  auth_bind = yes
  home = "${mail}/%d/%n" }
ldap "weak" { uris = "@URI@"
  base = "ou=people,dc=example"
  bind_dn = "uid=ben-look.test,ou=people,dc=example"
  bind_password = "ben-pw"
  user_filter = "(&(objectClass=inetOrgPerson)(mail=:user))"
  user_attributes = "description=quota_rule"
  writable = yes
  home = "${mail}/%d/%n" }
domain "$domain" { auth = people
  mailboxes = mail }
domain "write.test" { auth = write
  mailboxes = mail }
domain "again.test" { auth = again
  mailboxes = mail }
domain "weak.test" { auth = weak
  mailboxes = mail }
domain "mixed.test" { auth = look, people
  mailboxes = mail }
domain "look.test" { auth = look
  aliases = look
  mailboxes = mail }
domain "bind.test" { auth = bind
  mailboxes = mail }
domain "dn.test" { auth = dn
  mailboxes = mail }
domain "secure.test" { auth = secure
  mailboxes = mail }
domain "part.test" { auth = part
  mailboxes = mail }
domain "stranger.test" { auth = stranger
  mailboxes = mail }
domain "wrongca.test" { auth = wrongca
  mailboxes = mail }
domain "wrongname.test" { auth = wrongname
  mailboxes = mail }
domain "nobase.test" { auth = nobase
  mailboxes = mail }
domain "twice.test" { auth = twice
  mailboxes = mail }
domain "posix.test" { auth = posix
  aliases = posix
  mailboxes = mail }
domain "ad.test" { auth = ad
  aliases = ad
  mailboxes = mail }
routing { cache = 0
  cache_stale = 0 }
auth { rehash = SHA512-CRYPT
  failure_delay = 100ms
  failure_delay_max = 200ms }
queue { backoff_min = 1s
  backoff_max = 2s }
"""
# whose users can be listed
LISTED = """
maildir "mail" { path = "%h/Maildir" }
ldap "look" { uris = "@URI@"
  base = "ou=people,dc=example"
  user_filter = "(mail=:user)"
  users_filter = "(&(objectClass=inetOrgPerson)(mail=*@look.test))" }
ldap "many" { uris = "@LDAPI@"
  base = "ou=many,dc=example"
  user_filter = "(mail=:user)"
  users_filter = "(objectClass=inetOrgPerson)" }
domain "look.test" { auth = look
  mailboxes = mail }
domain "many.test" { auth = many
  mailboxes = mail }
"""
MANY = 1100
DOMAINS = ("look.test", "bind.test", "dn.test", "secure.test")
t = Tap()


def person(name, domain, **more):
    return entry(f"uid={name}-{domain},ou=people,dc=example", "inetOrgPerson extensibleObject",
                 **{"uid": f"{name}-{domain}", "cn": f"{name}@{domain}", "sn": name, "mail": f"{name}@{domain}", "userPassword": f"{name}-pw", **more})


def directory(mail):
    text = entry("dc=example", "domain", dc="example")
    text += "".join(entry(f"ou={ou},dc=example", "organizationalUnit", ou=ou) for ou in ("people", "posix", "windows", "many"))
    text += "".join(entry(f"cn=user{i},ou=many,dc=example", "inetOrgPerson", cn=f"user{i}", sn="x", mail=f"user{i}@many.test") for i in range(MANY))
    for domain in DOMAINS:
        home = {"homeDirectory": f"{mail}/{domain}/anna"} if domain == "look.test" else {}
        text += person("anna", domain, **home)
        text += "".join(person(name, domain, **{k: f"{mail}/{domain}/{name}" for k in home}) for name in ("ben", "dora"))
    text += person("locked", "look.test", employeeType="y", homeDirectory=f"{mail}/look.test/locked")
    text += person("outside", "look.test", homeDirectory="relative", userPassword="{SSHA}broken")
    text += person("bare", "look.test", homeDirectory=f"{mail}/look.test/bare", userPassword=[])
    text += person("anna", "cost.test", userPassword="{COUNTED}right")
    text += person("anna", "write.test", cn="anna@again.test") + person("ben", "write.test") + person("anna", "weak.test")
    text += person("one", "twice.test", ou="twice.test") + person("two", "twice.test", ou="twice.test")
    text += entry("cn=all@look.test,ou=people,dc=example", "nisMailAlias", cn="all@look.test", rfc822MailMember=["anna@look.test", "ben@look.test"])
    text += entry("ou=far,dc=example", "referral extensibleObject", ou="far", ref="@FAR@/ou=far,dc=example")
    text += entry("uid=anna,ou=posix,dc=example", "inetOrgPerson posixAccount", uid="anna", cn="Anna", sn="A", mail="anna@posix.test", uidNumber="@UID@",
                  gidNumber="@GID@", homeDirectory=f"{mail}/posix.test/anna", userPassword="anna-pw")
    text += entry("cn=team@posix.test,ou=posix,dc=example", "nisMailAlias", cn="team@posix.test", rfc822MailMember="anna@posix.test")
    for name, control in (("anna", "512"), ("gone", "514")):
        text += entry(f"cn={name},ou=windows,dc=example", "user", cn=name, sn=name, displayName=name.title(), mail=f"{name}@ad.test",
                      userPrincipalName=f"{name}.upn@ad.test", sAMAccountName=name, userAccountControl=control, objectCategory="person",
                      proxyAddresses=[f"SMTP:{name}@ad.test", f"smtp:{name}.second@ad.test"], userPassword=f"{name}-pw")
    return text


class Site(Server):
    def rcpt(self, *addresses):
        with self.smtp() as c:
            c.ehlo()
            c.cmd("MAIL FROM:<x@elsewhere.test>")
            return [c.cmd(f"RCPT TO:<{a}>").code for a in addresses]

    def send(self, to, subject):
        with self.smtp() as c:
            c.ehlo()
            return c.mail("x@elsewhere.test", to, f"Subject: {subject}\r\n\r\nx\r\n")

    def login(self, user, password):
        with Imap(self.port("imap"), name=self.hostname, timeout=60) as c:
            answer = c.login(user, password)
            return f"{answer.status} {answer.text} " + (str(c.cmd("STATUS INBOX (MESSAGES)")) if answer.status == "OK" else "")


def everyday(s, domain):
    t.equal(s.send(f"anna@{domain}", "hello").code, 250, f"{domain}: mail is taken")
    t.ok(s.wait_messages(f"anna@{domain}", 1), f"{domain}: and delivered")
    t.contains(s.login(f"anna@{domain}", "anna-pw"), "MESSAGES 1", f"{domain}: she logs in and finds it")
    t.contains(s.login(f"ben@{domain}", "ben-pw"), "OK", f"{domain}: so does he, on the same connection")
    for password in ("ben-pw", "anna-p", "*", ")(x=y"):
        t.contains(s.login(f"anna@{domain}", password), "AUTHENTICATIONFAILED", f"{domain}: a wrong password is refused")
    t.ok(badnames.login(s, f"anna@{domain}".encode(), "").startswith(("NO", "BAD")), f"{domain}: an empty one too")
    t.contains(s.login(f"nobody@{domain}", "anna-pw"), "AUTHENTICATIONFAILED", f"{domain}: an unknown name looks the same")
    t.equal(s.rcpt(f"nobody@{domain}", f"ANNA@{domain}"), [550, 250], f"{domain}: recipients: unknown, and known in another case")


def hostile(s, domain):
    t.equal(badnames.logins(s, domain, "anna-pw", "*") + badnames.recipients(s, domain), [], f"{domain}: no name that is made of metacharacters, NULs, foreign letters or 64 KB is anybody's")


def variety(s, far):
    t.equal(s.send("all@look.test", "to all").code, 250, "an alias with two values")
    t.ok(s.wait_messages("anna@look.test", 2) and s.wait_messages("ben@look.test", 1), "reaches both")
    t.contains(s.login("locked@look.test", "locked-pw"), "AUTHENTICATIONFAILED", "nologin is obeyed")
    t.contains(s.login("outside@look.test", "x"), "UNAVAILABLE", "a hash that is none is nobody's wrong password")
    t.contains(s.login("bare@look.test", "x"), "UNAVAILABLE", "nor is a password that cannot be read")
    t.ok(s.logged("bare.* shows no password: let bind_dn read it"), "and the log says what to do")
    for domain, why in (("wrongca.test", "is not trusted"), ("wrongname.test", "is not trusted"), ("nobase.test", "No such object"),
                        ("twice.test", "more than 1 entry")):
        t.equal(s.rcpt(f"anna@{domain}"), [451], f"{domain}: put off")
        t.contains(s.login(f"anna@{domain}", "anna-pw"), "UNAVAILABLE", f"{domain}: unavailable")
        t.ok(s.logged(f"ldap.*{domain.split('.')[0]}.*{why}"), f"{domain}: the log says why", s.tail(20))
    t.contains(s.log(), "ca_file says whom to trust", "and what to do about a certificate")
    # what another server holds
    t.equal(s.rcpt("anna@part.test", "nobody@part.test"), [250, 550], "a referral is followed")
    t.contains(s.login("anna@part.test", "anna-pw"), "OK", "and its server, which is one of uris, hears the password")
    t.contains(s.login("anna@part.test", "no"), "AUTHENTICATIONFAILED", "a wrong one too")
    t.equal(s.rcpt("anna@stranger.test"), [250], "one that is none of uris is asked for names")
    t.contains(s.login("anna@stranger.test", "anna-pw"), "UNAVAILABLE", "but hears no password")
    t.ok(s.logged("no password is sent there"), "and the log says so")
    far.stop()
    t.equal(s.rcpt("anna@part.test", "nobody@part.test"), [451, 451], "while it is away nobody is unknown")


def cost(slapd):
    """An unknown user costs the hash of a wrong password (tests/unit/test-cost.c), where the core compares."""
    block = """ldap "db" { uris = "@URI@"
  base = "ou=people,dc=example"
  bind_dn = "@READER@"
  bind_password = "@PASSWORD@"
  user_filter = "(&(objectClass=inetOrgPerson)(mail=:user))" }
"""
    done = unit("test-cost", EKIDEN_COST_BLOCK=configuration(slapd, slapd, block))
    t.ok(done.returncode == 0, "an unknown user costs one hash, as a wrong password does", done.stdout)


def writing(s, slapd, far):
    """Passwords and attributes are changed; what changes them, and what other programs see."""
    anna, ben = "(mail=anna@write.test)", "(mail=ben@write.test)"
    t.contains(s.login("anna@write.test", "anna-pw"), "OK", "writable: a login by a password in plain")
    t.ok(wait_for(lambda: slapd.values(anna, "userPassword")[0].startswith("{CRYPT}$6$"), 30), "makes it a hash, which the server knows too")
    kept = slapd.values(anna, "userPassword")
    t.equal(len(kept), 1, "and which is its only password")
    for domain in ("write.test", "again.test"):
        t.contains(s.login(f"anna@{domain}", "anna-pw"), "OK", f"{domain}: the password is right as before")
        t.contains(s.login(f"anna@{domain}", "no"), "AUTHENTICATIONFAILED", f"{domain}: and another one wrong")
    t.equal(slapd.values(anna, "userPassword"), kept, "a hash that is strong enough stays")
    t.contains(s.login("cora@write.test", "cora-pw"), "OK", "an entry that another server of uris holds")
    t.ok(wait_for(lambda: far.values("(mail=cora@write.test)", "userPassword")[0].startswith("{CRYPT}$6$"), 30), "is changed there")
    t.equal(slapd.values("(mail=anna@look.test)", "userPassword"), ["anna-pw"], "a block without writable changes nothing")
    t.ok(s.logged("look.*it is read-only: set writable = yes"), "and the log says so")

    status, said = s.ekiden("user", "passwd", "anna@write.test", stdin=b"another one\n")
    t.ok(status == 0, "ekiden user passwd", said)
    t.contains(s.login("anna@again.test", "another one"), "OK", "the server takes the new password")
    t.contains(s.login("anna@write.test", "another one"), "OK", "so do we")
    t.contains(s.login("anna@write.test", "anna-pw"), "AUTHENTICATIONFAILED", "and the old one no more")
    for word, attribute, want in (("quota=2G", "description", ["*:bytes=2147483648"]), ("quota=none", "description", []), ("town=Bath", "l", ["Bath"]),
                                  ("nologin=yes", "employeeType", ["1"]), ("nologin=no", "employeeType", [])):
        status, said = s.ekiden("user", "set", "ben@write.test", word)
        t.equal((status, slapd.values(ben, attribute)), (0, want), f"ekiden user set {word}: {said}")
        if word == "nologin=yes":
            t.contains(s.login("ben@write.test", "ben-pw"), "AUTHENTICATIONFAILED", "who may not log in cannot")
    t.contains(s.login("ben@write.test", "ben-pw"), "OK", "and then can again")
    t.contains(s.ekiden("user", "show", "ben@write.test")[1], "Bath", "ekiden user show")
    for words, want in ((("set", "ben@write.test", "color=blue"), "it has no field \"color\""), (("set", "ben@write.test", "uid=5"), "it has no field"),
                        (("set", "anna@look.test", "quota=1G"), "it is read-only: set writable = yes"),
                        (("set", "anna@weak.test", "quota=1G"), "Insufficient access"), (("set", "nobody@write.test", "town=Bath"), "there is no user"),
                        (("delete", "ben@write.test"), "cannot delete users"), (("passwd", "nobody@write.test"), "there is no user")):
        status, said = s.ekiden("user", *words, stdin=b"x\n")
        t.ok(status != 0 and want in said, f"ekiden user {' '.join(words)}: refused with the reason", said)
    status, said = s.ekiden("user", "add", "new@mixed.test", stdin=b"new-pw\n")
    t.ok(status == 0, "where the directory cannot be changed and a file can, ekiden user add takes the file", said)
    t.contains(s.login("new@mixed.test", "new-pw"), "OK", "and he logs in")
    status, said = s.ekiden("user", "add", "new@write.test", stdin=b"x\n")
    t.ok(status != 0 and "make it with the directory's own tools" in said, "ekiden user add makes no entries", said)


def presets(s):
    t.equal(s.send("team@posix.test", "posix").code, 250, "posixAccount: an alias")
    t.ok(s.wait_messages("anna@posix.test", 1), "posixAccount: its mail is in the home folder of the entry")
    t.contains(s.login("anna@posix.test", "anna-pw"), "MESSAGES 1", "posixAccount: and she finds it")
    t.contains(s.login("anna@posix.test", "no"), "AUTHENTICATIONFAILED", "posixAccount: not with a wrong password")
    t.equal(s.send("anna.second@ad.test", "ad").code, 250, "Active Directory: a second address")
    t.ok(s.wait_messages("anna@ad.test", 1), "Active Directory: is the first one's")
    for name in ("anna", "anna.upn"):
        t.contains(s.login(f"{name}@ad.test", "anna-pw"), "MESSAGES 1", f"Active Directory: {name} is the same user")
    t.contains(s.login("anna@ad.test", "no"), "AUTHENTICATIONFAILED", "Active Directory: not with a wrong password")
    t.contains(s.login("gone@ad.test", "gone-pw"), "AUTHENTICATIONFAILED", "Active Directory: nor who is disabled")
    t.equal(s.rcpt("gone@ad.test", "nobody@ad.test"), [550, 550], "Active Directory: he gets no mail either")


def undisturbed(s, wrong, stop):
    """The domain in a file, for as long as the others are away."""
    while not stop.is_set():
        try:
            if s.rcpt("carl@example.test", "nobody@example.test") != [250, 550] or "OK" not in s.login("carl@example.test", "secret"):
                wrong.append("carl is not served")
        except (OSError, AssertionError, Closed) as error:
            wrong.append(repr(error))


def away(s, what):
    """Never "no" while the server is away."""
    wrong, stop = [], threading.Event()
    other = threading.Thread(target=undisturbed, args=(s, wrong, stop))
    other.start()

    def one(domain):
        try:
            for _ in range(2):
                for name in ("anna", "nobody"):
                    code = s.rcpt(f"{name}@{domain}")[0]
                    if code != 451:
                        wrong.append(f"{name}@{domain}: {code}")
                for name, password in (("anna", "no"), ("dora", "dora-pw"), ("dora", "no"), ("nobody", "x")):      # dora has never logged in yet
                    answer = s.login(f"{name}@{domain}", password)
                    if "UNAVAILABLE" not in answer:
                        wrong.append(f"{name}@{domain} with {password}: {answer}")
                answer = s.login(f"anna@{domain}", "anna-pw")
                if "UNAVAILABLE" not in answer and "OK" not in answer:      # what was right a while ago may be remembered
                    wrong.append(f"anna@{domain}: {answer}")
        except (OSError, AssertionError, Closed) as error:
            wrong.append(f"{domain}: {error!r}")

    work = [threading.Thread(target=one, args=(domain,)) for domain in DOMAINS]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    stop.set()
    other.join()
    t.equal(wrong, [], f"{what}: all is put off, nothing refused, and the domain in a file does not notice")


def back(s, what):
    start = time.monotonic()
    for domain in DOMAINS:
        t.ok(wait_for(lambda: "AUTHENTICATIONFAILED" in s.login(f"ben@{domain}", "no"), 120, 0.2), f"{what}: {domain} is served again")
        t.contains(s.login(f"anna@{domain}", "anna-pw"), "OK", f"{what}: the right password is right")
        t.equal(s.rcpt(f"anna@{domain}", f"nobody@{domain}"), [250, 550], f"{what}: with the right answers")
        t.contains(s.login(f"anna@{domain}", "no"), "AUTHENTICATIONFAILED", f"{what}: and the wrong password is wrong")
    t.note(f"served again {time.monotonic() - start:.1f} s after the server was")


def outages(s, slapd):
    slapd.pause()
    away(s, "stopped")
    slapd.resume()
    back(s, "stopped")
    slapd.kill()
    away(s, "killed")
    slapd.start()
    back(s, "killed")


def lists(slapd):
    with Server(configuration(slapd, slapd, LISTED), start=False) as s:
        status, said = s.ekiden("user", "list")
        want = sorted([f"{name}@look.test" for name in ("anna", "bare", "ben", "dora", "locked", "outside")] + [f"user{i}@many.test" for i in range(MANY)])
        t.equal(status, 0, "ekiden user list asks the directory")
        t.equal(sorted(said.split()), want, "and names all users, in pages where the server gives no more at once")


def configuration(slapd, other, text=CONFIG):
    for name, value in (("DEAD", "1"), ("URI", slapd.uri), ("LDAPI", slapd.ldapi), ("LDAPS", slapd.ldaps), ("TLSPORT", str(slapd.tls_port)),
                        ("OTHER", other.uri), ("READER", slapd.reader), ("PASSWORD", slapd.password), ("TOP", os.environ["EKIDEN_TOP"])):
        text = text.replace(f"@{name}@", value)
    return text


def main():
    base = os.environ["EKIDEN_RUN"]
    for name in ("near", "far"):
        os.makedirs(f"{base}/{name}")
    near, far = Slapd(f"{base}/near", "dc=example", AD_SCHEMA), Slapd(f"{base}/far", "dc=example")
    site = Site(configuration(near, far), users=["carl"], start=False)
    certs.Authority(f"{site.dir}/otherca")
    store = os.stat(site.mail)
    near.load(directory(site.mail).replace("@FAR@", far.uri).replace("@UID@", str(store.st_uid)).replace("@GID@", str(store.st_gid)))
    far.load(entry("dc=example", "domain", dc="example") + entry("ou=far,dc=example", "organizationalUnit", ou="far") + "".join(
        entry(f"uid={n}-{d},ou=far,dc=example", "inetOrgPerson", uid=f"{n}-{d}", cn=n, sn=n, mail=f"{n}@{d}.test", userPassword=f"{n}-pw")
        for n, d in (("anna", "part"), ("anna", "stranger"), ("cora", "write"))))
    with near, far, site as s:
        near.start(site.authority.issue("127.0.0.1"), site.authority.cafile)
        far.start()
        s.start()
        for domain in DOMAINS:
            everyday(s, domain)
        for domain in DOMAINS:
            hostile(s, domain)
        writing(s, near, far)
        variety(s, far)
        presets(s)
        lists(near)
        cost(near)
        outages(s, near)
        t.ok(s.stop(), "the server stops")
    t.equal(site.problems(), [], "no report")
    t.done()


main()
