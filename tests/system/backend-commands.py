#!/usr/bin/python3
# backend-commands.py - our own schema in SQLite, PostgreSQL and MariaDB: made and brought up to date by `ekiden sql`, its preset, and all
# commands that change domains, users and aliases; the same fields in a passwd-file
# SPDX-License-Identifier: Apache-2.0
# part: backends
# limit: 300
import glob
import json
import os
import shutil
import subprocess

from ekiden import TOP, Server, listener, wait_for
from sqlsite import KINDS, Site, missing
from tap import Tap
from wire import Imap

CONFIG = "trusted = 192.0.2.0/24\n" + listener("smtp", plaintext_auth="yes") + listener("imap", plaintext_auth="yes") + """
sasl_plain { }
$site_server = "${dir}/server.conf"
$site_db = "DATABASE"
$site_mail = "${mail}"
include "TOP/etc/presets/KIND.conf"
file "staff" { path = $users
  home = "${mail}/%d/%n" }
static "fixed" { value = x }
maildir "mail" { path = "%h/Maildir" }
domain $domain { auth = staff
  mailboxes = mail }
domain "hosted" { names = site_domains
  aliases = site_aliases
  auth = site_users
  mailboxes = mail }
domain "relayed" { names = site_relays
  transport = smtp }
routing { transports = site_transports
  transport = smtp
  cache = 0
  cache_stale = 0 }
auth { failure_delay = 100ms
  failure_delay_max = 200ms }
"""
FOLDERS = {"sqlite": "sqlite", "pgsql": "postgresql", "mysql": "mysql"}
BEGIN = {"sqlite": "BEGIN IMMEDIATE;\n", "pgsql": "BEGIN;\n", "mysql": ""}
COMMIT = {"sqlite": "COMMIT;\n", "pgsql": "COMMIT;\n", "mysql": ""}
t = Tap()


def asked(server, *words, stdin=b""):
    """What a command says in JSON."""
    status, said = server.ekiden(*words, "--json", stdin=stdin)
    return json.loads(said) if status == 0 else {"status": status, "said": said}


# ---- migrations ----


def migrations(kind, server, site):
    source, folder = f"{TOP}/sql/{FOLDERS[kind]}", f"{server.dir}/migrations"
    shutil.copytree(source, folder)
    names = sorted(os.path.basename(p) for p in glob.glob(f"{folder}/*.sql"))
    latest = len(names)
    os.mkdir(f"{server.dir}/first")
    shutil.copy(f"{source}/001-first.sql", f"{server.dir}/first")

    def sql(verb, where=folder):
        return asked(server, "sql", verb, "site_users", "--from", where)
    if kind != "sqlite":                         # there the file is not there yet
        t.equal(sql("status"), {"instance": "site_users", "version": 0, "latest": latest, "ran": [], "pending": names}, f"{kind}: an empty database is at 0")
    t.equal(sql("migrate", f"{server.dir}/first"), {"instance": "site_users", "version": 1, "latest": 1, "ran": ["001-first.sql"], "pending": []},
            f"{kind}: from nothing")
    site.sql("INSERT INTO domain (name, note) VALUES ('old.test', 'it''s here; \"still\"');"
             "INSERT INTO mailbox (name, domain, password) VALUES ('anna@old.test', 'old.test', '{PLAIN}pa');")
    t.equal(sql("status")["pending"], names[1:], f"{kind}: status names what is to be run")
    t.equal(sql("migrate"), {"instance": "site_users", "version": latest, "latest": latest, "ran": names[1:], "pending": []}, f"{kind}: from version 1, with data")
    t.equal((site.value("SELECT note FROM domain"), site.value("SELECT COUNT(*) FROM mailbox")), ("it's here; \"still\"", "1"), f"{kind}: which is still there")
    again = sql("migrate")
    t.equal((again.get("version"), again.get("ran")), (latest, []), f"{kind}: once more: nothing is to be done")
    broken(kind, server, site, folder, latest, sql)
    together(kind, server, site, folder, latest, sql)
    site.sql(f"UPDATE ekiden_schema SET version = {latest + 7};")
    t.contains(sql("migrate").get("said", ""), "belongs to a newer Ekiden", f"{kind}: a database of a newer one is left alone")
    site.sql(f"UPDATE ekiden_schema SET version = {latest};")


def broken(kind, server, site, folder, latest, sql):
    """Nothing is recorded, and where there are transactions nothing is done."""
    path = f"{folder}/{latest + 1:03}-broken.sql"

    def write(*lines):
        with open(path, "w", encoding="utf-8") as f:
            f.write("-- it's a comment; with a quote\n" + BEGIN[kind] + "\n".join(lines) + f"\nUPDATE ekiden_schema SET version = {latest + 1};\n" + COMMIT[kind])
    line = 4 if BEGIN[kind] else 3
    write("CREATE TABLE half (a integer);", "INSERT INTO half VALUES (1), ('a;b',", "  'unknown' FROM nowhere);")
    said = sql("migrate").get("said", "")
    t.ok(f"{latest + 1:03}-broken.sql:{line}:" in said and path in said, f"{kind}: a broken one: file and line are told", said)
    t.contains(said, "nothing of this file is done" if kind != "mysql" else "run it again", f"{kind}: and what has become of the rest")
    t.equal(sql("status")["version"], latest, f"{kind}: it does not count as run")
    tables = {"sqlite": "SELECT COUNT(*) FROM sqlite_master WHERE name = 'half'", "pgsql": "SELECT COUNT(*) FROM pg_tables WHERE tablename = 'half'",
              "mysql": "SELECT COUNT(*) FROM information_schema.tables WHERE table_name = 'half'"}[kind]
    t.equal(site.value(tables), "1" if kind == "mysql" else "0", f"{kind}: {'what stood before it stays' if kind == 'mysql' else 'nothing of it is done'}")
    if kind == "mysql":
        site.sql("DROP TABLE half;")
    for lines, words in ((("SELECT 'open;",), "is not closed"), (("SELECT 1;", f"UPDATE ekiden_schema SET version = {latest};", "--"), None)):
        write(*lines)
        if words:
            t.contains(sql("migrate").get("said", ""), words, f"{kind}: a quote that is not closed")
    with open(path, "w", encoding="utf-8") as f:
        f.write(BEGIN[kind] + "SELECT 1;\nSELECT 2;\n" + COMMIT[kind])
    t.contains(sql("migrate").get("said", ""), "did not write its number", f"{kind}: one that does not say that it ran")
    if kind != "mysql":
        with open(path, "w", encoding="utf-8") as f:
            f.write(f"CREATE TABLE half (a integer);\nUPDATE ekiden_schema SET version = {latest + 1};\n")
        t.contains(sql("migrate").get("said", ""), "has to begin with BEGIN", f"{kind}: one without a transaction")
    os.rename(path, f"{folder}/{latest + 2:03}-gap.sql")
    t.contains(sql("migrate").get("said", ""), f"number {latest + 1} was expected", f"{kind}: a gap in the numbers")
    os.unlink(f"{folder}/{latest + 2:03}-gap.sql")


def together(kind, server, site, folder, latest, sql):
    """Several at once: one does it, the others find it done."""
    with open(f"{folder}/{latest + 1:03}-rows.sql", "w", encoding="utf-8") as f:
        f.write(BEGIN[kind] + "CREATE TABLE once (a integer);\nINSERT INTO once VALUES (1);\n" + f"UPDATE ekiden_schema SET version = {latest + 1};\n" + COMMIT[kind])
    runs = [subprocess.Popen([server.program("ekiden"), "sql", "migrate", "site_users", "--from", folder, "--json"], env={**server.environment(), "EKIDEN_CONFIG": server.conf}, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT) for _ in range(4)]
    said = [run.communicate(timeout=120)[0].decode() for run in runs]
    t.ok([run.returncode for run in runs] == [0] * 4, f"{kind}: four at once all end well", said)
    t.equal(sum('"ran":["' in text for text in said), 1, f"{kind}: one of them has run it")
    t.equal(site.value("SELECT COUNT(*) FROM once"), "1", f"{kind}: once")
    site.sql(f"DROP TABLE once; UPDATE ekiden_schema SET version = {latest};")
    os.unlink(f"{folder}/{latest + 1:03}-rows.sql")


# ---- commands ----


def login(server, user, password):
    with Imap(server.port("imap"), name=server.hostname) as c:
        return str(c.login(user, password))


def rcpt(server, to, want):
    """What RCPT is answered; that a domain is ours, or not, is remembered for some seconds."""
    def ask():
        with server.smtp() as c:
            c.ehlo()
            c.cmd("MAIL FROM:<sender@elsewhere.test>")
            return c.cmd(f"RCPT TO:<{to}>").code
    wait_for(lambda: ask() == want, 30, 0.2)
    return ask()


def users(kind, server):
    def said(*words, stdin=b""):
        status, text = server.ekiden(*words, stdin=stdin)
        return f"{status} {text}"
    t.equal(asked(server, "user", "add", "zoe@new.test", "quota=2G", "--scheme", "PLAIN", stdin=b"pz\n").get("done"), "added", f"{kind}: user add with a field")
    zoe = asked(server, "user", "show", "zoe@new.test")
    t.equal((zoe["login"], zoe["mail"]["quota_bytes"], zoe["mail"]["home"]), ({"instance": "site_users", "password": "PLAIN"}, 2 << 30, f"{server.mail}/new.test/zoe"),
            f"{kind}: user show")
    t.ok("{PLAIN}pz" not in said("user", "show", "zoe@new.test"), f"{kind}: without the password")
    t.ok(wait_for(lambda: "OK" in login(server, "zoe@new.test", "pz"), 30, 0.5), f"{kind}: she logs in")
    t.equal(asked(server, "user", "set", "zoe@new.test", "active=no", "home=/srv/zoe", "note=it's; she"), {"user": "zoe@new.test", "done": "set"}, f"{kind}: user set")
    t.contains(login(server, "zoe@new.test", "pz"), "AUTHENTICATIONFAILED", f"{kind}: one who is not active does not log in")
    t.equal(rcpt(server, "zoe@new.test", 550), 550, f"{kind}: nor get mail")
    kept = asked(server, "user", "show", "zoe@new.test")["kept"]
    t.equal((kept["active"], kept["home"], kept["note"]), ("0", "/srv/zoe", "it's; she"), f"{kind}: but is shown")
    server.ekiden("user", "set", "zoe@new.test", "active=yes", "home=", "quota=none", "note=")
    kept = asked(server, "user", "show", "zoe@new.test")
    t.ok(kept["kept"]["active"] == "1" and not {"home", "note", "quota_bytes"} & set(kept["kept"]) and "quota_bytes" not in kept["mail"], f"{kind}: fields are taken away", kept)
    t.equal(asked(server, "user", "set", "zoe@new.test", "--password", "quota=1M", stdin=b"pz2\n").get("done"), "set", f"{kind}: a password and a field")
    t.contains(login(server, "zoe@new.test", "pz2"), "OK", f"{kind}: which counts")
    for words, text in (("zoe@new.test", "shoe=9"), "those that can be set are active, quota"), (("zoe@new.test", "quota=much"), "quota"), (("zoe@new.test", "home=here"), "begins with /"), \
            (("zoe@new.test", "active=perhaps"), "active"), (("zoe@new.test", "password=x"), "--password"), (("zoe@new.test", "quota"), "FIELD=VALUE"), \
            (("none@new.test", "quota=1G"), "there is no user"), (("zoe@nowhere.test", "quota=1G"), "in no domain of ours"):
        t.contains(said("user", "set", *words), text, f"{kind}: user set {' '.join(words)}: {text}")
    t.contains(said("user", "set", "none@new.test", "--password", stdin=b"x\n"), "there is no user", f"{kind}: a password makes no user")
    t.contains(said("user", "show", "none@new.test"), "there is no user", f"{kind}: user show of nobody")


def domains(kind, server):
    def said(*words, stdin=b""):
        status, text = server.ekiden(*words, stdin=stdin)
        return f"{status} {text}"
    t.equal(asked(server, "domain", "add", "new.test").get("done"), "added", f"{kind}: domain add: to the block whose mail stays here")
    t.equal(asked(server, "domain", "set", "new.test", "mailboxes_max=1", "aliases_max=1", "quota_default=5M", "note=x").get("done"), "set", f"{kind}: domain set")
    kept = asked(server, "domain", "show", "new.test")
    t.equal((kept["instance"], kept["kept"]["mailboxes_max"], kept["kept"]["quota_default"], kept["kept"]["active"]), ("site_domains", "1", str(5 << 20), "1"), f"{kind}: domain show")
    server.ekiden("user", "add", "one@new.test", "--hash", "{PLAIN}x")
    t.equal(asked(server, "user", "show", "one@new.test")["mail"]["quota_bytes"], 5 << 20, f"{kind}: the domain's quota is its users'")
    t.contains(said("user", "add", "two@new.test", "--hash", "{PLAIN}x"), "mailboxes_max", f"{kind}: one mailbox more than the domain may have")
    t.equal(asked(server, "alias", "add", "a@new.test", "one@new.test")["done"], "added", f"{kind}: an alias")
    t.equal(asked(server, "alias", "add", "a@new.test", "anna@old.test")["done"], "added", f"{kind}: its second target is no second alias")
    t.contains(said("alias", "add", "b@new.test", "one@new.test"), "aliases_max", f"{kind}: one alias more than the domain may have")
    t.equal(asked(server, "alias", "set", "a@new.test", "anna@old.test", "far@elsewhere.test").get("done"), "set", f"{kind}: alias set")
    t.equal([row["value"] for row in asked(server, "alias", "show", "a@new.test")], ["anna@old.test", "far@elsewhere.test"], f"{kind}: these and nobody else")
    t.contains(said("alias", "set", "b@new.test", "one@new.test"), "there is no alias", f"{kind}: alias set of none")
    server.ekiden("domain", "set", "new.test", "active=no")
    t.equal(rcpt(server, "one@new.test", 554), 554, f"{kind}: a domain that is not active is not ours")
    t.contains(server.ekiden("domain", "list")[1], "new.test  off\n", f"{kind}: which the list says")
    t.equal(asked(server, "domain", "show", "new.test")["kept"]["active"], "0", f"{kind}: and so does show")
    server.ekiden("domain", "set", "new.test", "active=yes", "transport=smtp", "next_hop=[192.0.2.1]")
    t.equal(rcpt(server, "whoever@new.test", 250), 250, f"{kind}: one with a transport is relayed")
    server.ekiden("domain", "set", "new.test", "transport=", "next_hop=", "mailboxes_max=", "aliases_max=", "quota_default=")
    t.equal((rcpt(server, "one@new.test", 250), rcpt(server, "whoever@new.test", 550)), (250, 550), f"{kind}: and is our own again")
    t.contains(said("domain", "set", "none.test", "active=no"), "knows none.test", f"{kind}: domain set of none")
    t.contains(said("domain", "set", "new.test", "colour=red"), "those that can be set are active, transport", f"{kind}: no such field")
    t.contains(said("domain", "show", server.domain), "block of its own at", f"{kind}: a domain of the configuration")
    server.ekiden("user", "delete", "one@new.test")
    users(kind, server)
    t.equal(asked(server, "domain", "delete", "new.test").get("done"), "deleted", f"{kind}: domain delete")
    t.contains(said("user", "show", "zoe@new.test"), "in no domain of ours", f"{kind}: its users went with it")


def passwd_file(server):
    """The same fields where they are in a file."""
    dora = server.address("dora")
    t.equal(asked(server, "user", "set", dora, "quota=3M", "home=/srv/do ra", "nologin=yes", "allow_nets=127.0.0.1").get("done"), "set", "file: user set")
    with open(server.users, encoding="utf-8") as f:
        t.equal(f.read(), f"{dora}:{{PLAIN}}{server.password}::::/srv/do ra::userdb_quota_rule=*:bytes=3145728 nologin allow_nets=127.0.0.1\n", "file: the line")
    shown = asked(server, "user", "show", dora)
    t.equal((shown["mail"]["quota_bytes"], shown["mail"]["home"], shown["login"]["nologin"]), (3145728, "/srv/do ra", ""), "file: user show")
    t.ok(wait_for(lambda: "OK" not in login(server, dora, server.password), 20, 0.5), "file: nologin counts")
    server.ekiden("user", "set", dora, "quota=", "home=", "nologin=no", "allow_nets=none", "uid=")
    with open(server.users, encoding="utf-8") as f:
        t.equal(f.read(), f"{dora}:{{PLAIN}}{server.password}::::::\n", "file: all of it taken away")
    t.ok(wait_for(lambda: "OK" in login(server, dora, server.password), 20, 0.5), "file: she logs in again")
    for words, text in (("active=no", "a passwd-file has no field"), ("home=/a:b", "a colon"), ("allow_nets=a b", "a blank"), ("uid=nobody-of-that-name", "neither a number")):
        status, said = server.ekiden("user", "set", dora, words)
        t.ok(status == 1 and text in said, f"file: {words}: {text}", said)


for kind_ in KINDS:
    reason = missing(kind_)
    if reason:
        t.skip(kind_, reason)
        continue
    with Site(kind_) as site_:
        site_.sql("DROP TABLE mailbox; DROP TABLE alias;")
        with Server(CONFIG.replace("TOP", TOP).replace("KIND", kind_).replace("DATABASE", getattr(site_, "path", "")), users=["dora"], start=False) as server_:
            if kind_ == "sqlite":
                os.unlink(site_.path)
                server_.give(site_.folder, "directory")
            else:
                with open(f"{server_.dir}/server.conf", "w", encoding="utf-8") as f_:
                    f_.write(site_.settings() + "  cache = 0\n  cache_negative = 0\n")
                os.chmod(f"{server_.dir}/server.conf", 0o600)
            migrations(kind_, server_, site_)
            server_.start()
            t.contains(login(server_, "anna@old.test", "pa"), "OK", f"{kind_}: a user of the first version logs in")
            domains(kind_, server_)
            if kind_ == "sqlite":
                passwd_file(server_)
            server_.stop()
            t.equal(server_.problems(), [], f"{kind_}: no reports")
t.done()
