#!/usr/bin/python3
# login-params.py - :service and :client of a login in SQL, LDAP and HTTP alike: who may come by IMAP only, or from one address only
# SPDX-License-Identifier: Apache-2.0
# part: backends
# needs: slapd
# limit: 180
import json
import os
import sqlite3

from ekiden import BUILD, Server, listener
from server_json import JsonServer
from server_slapd import Slapd, entry
from sqlsite import Site as Database
from tap import Tap
from wire import Imap

HOME = '"${mail}/%d/%n"'
FILTER = "(&(objectClass=inetOrgPerson)(mail=:user)(|(!(employeeType=*))(employeeType=:service))(|(!(host=*))(host=:client)))"
# look: the password is read; bind: the server checks it; door: without a search, by service; place: by client; alone: for logins and nothing else
CONFIG = listener("smtp") + listener("submission") + listener("imap", plaintext_auth="yes") + """
sasl_plain { }
maildir "mail" { path = "%h/Maildir" }
static "virtual" { home = @HOME@ }
sqlite "db" { path = "@DATABASE@"
  password_query = "SELECT password FROM mailbox m WHERE name = :user AND (:service = '' OR COALESCE(service, :service) = :service) \\
    AND (:client = '' OR COALESCE(client, :client) = :client)"
  user_query = "SELECT home FROM mailbox WHERE name = :user"
  home = @HOME@ }
ldap "look" { @LDAP@
  writable = yes
  password_filter = "@FILTER@"
  user_filter = "(mail=:user)" }
ldap "bind" { @LDAP@
  auth_bind = yes
  password_filter = "@FILTER@"
  user_filter = "(mail=:user)" }
ldap "door" { @LDAP@
  auth_bind = yes
  user_dn = "uid=:local,ou=:service,ou=doors,dc=example"
  user_filter = "(mail=:user)" }
ldap "place" { @LDAP@
  auth_bind = yes
  user_dn = "uid=:local,cn=:client,ou=places,dc=example"
  user_filter = "(mail=:user)" }
ldap "alone" { @LDAP@
  writable = yes
  password_filter = "@FILTER@" }
http "api" {
  password_url = "http://127.0.0.1:@API@/login/:user?service=:service&client=:client"
  user_url = "http://127.0.0.1:@API@/users/:user"
  home = @HOME@ }
http "path" {
  password_url = "http://127.0.0.1:@API@/in/:service/:client/:user"
  user_url = "http://127.0.0.1:@API@/users/:user"
  home = @HOME@ }
http "post" {
  password_url = "http://127.0.0.1:@API@/login"
  post = user, service, client
  home = @HOME@ }
http "users" {
  user_url = "http://127.0.0.1:@API@/users/:user"
  home = @HOME@ }
routing { cache = 0
  cache_stale = 0 }
auth { cache = 0
  cache_stale = 0
  failure_delay = 10ms
  failure_delay_max = 20ms }
""".replace("@FILTER@", FILTER).replace("@HOME@", HOME)
USERS = {"post.test": "users", "alone.test": "virtual"}        # else those of auth
AUTH = {name + ".test": name for name in ("db", "look", "bind", "door", "place", "alone", "api", "path", "post")}
HERE, THERE = "127.0.0.1", "127.0.0.2"
# name: by which service, and from where
PEOPLE = {"anna": (None, None), "ines": ("imap", None), "home": (None, THERE)}
BOTH = ("db.test", "look.test", "bind.test", "api.test", "path.test", "post.test")
t = Tap()


def imap(s, user, source=HERE, password="right"):
    with Imap(s.port("imap"), name=s.hostname, source=source) as c:
        return str(c.login(user, password))


def smtp(s, user):
    with s.smtp("submission") as c:
        c.ehlo()
        c.starttls(s.tls_client(), s.hostname)
        c.ehlo()
        return c.auth_plain(user, "right").code


def rcpt(s, *addresses):
    with s.smtp() as c:
        c.ehlo()
        c.cmd("MAIL FROM:<x@elsewhere.test>")
        return [c.cmd(f"RCPT TO:<{a}>").code for a in addresses]


def by_service(s, domain):
    t.contains(imap(s, f"ines@{domain}"), "Logged in", f"{domain}: who may come by IMAP comes by IMAP")
    t.equal(smtp(s, f"ines@{domain}"), 535, f"{domain}: and not by SMTP")
    t.contains(imap(s, f"nobody@{domain}"), "AUTHENTICATIONFAILED", f"{domain}: nobody comes at all")


def by_client(s, domain):
    t.contains(imap(s, f"home@{domain}", THERE), "Logged in", f"{domain}: who is bound to an address comes from there")
    t.contains(imap(s, f"home@{domain}"), "AUTHENTICATIONFAILED", f"{domain}: and from nowhere else")


def play(s):
    for domain in BOTH:
        by_service(s, domain)
        by_client(s, domain)
        t.equal((imap(s, f"anna@{domain}")[:2], imap(s, f"anna@{domain}", THERE)[:2], smtp(s, f"anna@{domain}")), ("OK", "OK", 235), f"{domain}: others "
                "come as they like")
        t.equal(rcpt(s, f"ines@{domain}", f"home@{domain}", f"nobody@{domain}"), [250, 250, 550], f"{domain}: and all get mail, which is no login")
    by_service(s, "door.test")
    by_client(s, "place.test")
    by_service(s, "alone.test")
    t.equal(rcpt(s, "ines@alone.test", "nobody@alone.test"), [451, 451], "alone.test: its passwords cannot tell who is there: nobody is unknown by that")
    t.ok(s.logged("nobody logs in, so there is no :service and no :client: set user_filter"), "and the log says what to do", s.tail(5))
    status, said = s.ekiden("user", "passwd", "ines@look.test", stdin=b"new\n")
    t.equal((status, imap(s, "ines@look.test", password="new")[:2]), (0, "OK"), f"a command, which is no login either, finds her by user_filter: {said}")
    status, said = s.ekiden("user", "passwd", "ines@alone.test", stdin=b"new\n")
    t.ok(status != 0 and "set user_filter" in said, "or says that it cannot", said)


def directory():
    text = "".join(entry(f"ou={ou},dc=example" if up is None else f"ou={ou},ou={up},dc=example", "organizationalUnit", ou=ou)
                   for ou, up in (("people", None), ("doors", None), ("places", None), ("imap", "doors"), ("smtp", "doors")))
    text += entry(f"cn={THERE},ou=places,dc=example", "applicationProcess", cn=THERE)
    for domain in ("look.test", "bind.test", "alone.test"):
        for name, (service, client) in PEOPLE.items():
            text += person(f"{name}@{domain}", f"uid={name}-{domain},ou=people", employeeType=service or [], host=client or [])
    return entry("dc=example", "domain", dc="example") + text + person("ines@door.test", "uid=ines,ou=imap,ou=doors") \
        + person("home@place.test", f"uid=home,cn={THERE},ou=places")


def person(address, where, **more):
    uid = where[4:].split(",")[0]
    return entry(f"{where},dc=example", "inetOrgPerson extensibleObject", uid=uid, cn=uid, sn=uid, mail=address, userPassword="right", **more)


def fill_database(database):
    with sqlite3.connect(database.path) as db:
        db.execute("ALTER TABLE mailbox ADD COLUMN service VARCHAR(20)")
        db.execute("ALTER TABLE mailbox ADD COLUMN client VARCHAR(60)")
        for name, (service, client) in PEOPLE.items():
            db.execute("INSERT INTO mailbox (name, password, service, client) VALUES (?, '{PLAIN}right', ?, ?)", (f"{name}@db.test", service, client))


def fill_api(api):
    answer = {"password": "{PLAIN}right"}
    for domain in ("api.test", "path.test", "post.test"):
        for name, (only, place) in PEOPLE.items():
            user = f"{name}@{domain}"
            api.set(f"/users/{name}%40{domain}", {"quota_rule": None})
            for service in (only,) if only else ("imap", "smtp"):
                for client in (place,) if place else (HERE, THERE):
                    api.set(f"/login/{name}%40{domain}?service={service}&client={client}", answer)
                    api.set(f"/in/{service}/{client}/{name}%40{domain}", answer)
                    api.set("/login " + json.dumps({"user": user, "service": service, "client": client}, separators=(",", ":")), answer)


def configuration(slapd, api, database):
    ldap = f'uris = "{slapd.uri}"\n  base = "dc=example"\n  bind_dn = "{slapd.reader}"\n  bind_password = "{slapd.password}"\n  home = {HOME}'
    text = CONFIG.replace("@LDAP@", ldap).replace("@API@", str(api.port)).replace("@DATABASE@", database.path)
    return text + "".join(f'domain "{name}" {{ auth = {auth}\n  mailboxes = mail\n' + (f"  users = {USERS[name]}\n" if name in USERS else "") + "}\n"
                          for name, auth in AUTH.items())


def main():
    base = os.environ["EKIDEN_RUN"]
    os.makedirs(f"{base}/slapd")
    slapd, api = Slapd(f"{base}/slapd", "dc=example"), JsonServer(f"{base}/api")
    try:
        with Database("sqlite") as database:
            fill_database(database)
            fill_api(api)
            slapd.load(directory())
            with slapd, Server(configuration(slapd, api, database), start=False) as s:
                slapd.start()
                s.start()
                play(s)
                t.ok(s.stop(), "the server stops")
            t.equal(s.problems(), [], "no report")
    finally:
        api.stop()
    t.done()


for module in ("http", "ldap", "sqlite"):
    if not os.path.isdir(f"{BUILD}/modules/{module}/.libs"):
        Tap.skip_all(f"module {module} was not built")
main()
