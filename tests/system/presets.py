#!/usr/bin/python3
# presets.py - the presets of etc/presets on small databases of PostfixAdmin's and ViMbAdmin's layout: mail, logins, quota, what is inactive
# SPDX-License-Identifier: Apache-2.0
# part: backends
# limit: 300
import json
import os
import re

import server_mariadb
import server_postgres
from ekiden import TOP, Server, listener, wait_for
from sink import Sink
from sqlsite import missing, quoted
from tap import Tap
from wire import Imap

CONFIG = "trusted = 192.0.2.0/24\n" + listener("smtp", plaintext_auth="yes") + listener("imap", plaintext_auth="yes") + """
sasl_plain { }
$site_server = "${dir}/server.conf"
$site_mail = "${mail}"
include "PRESET"
maildir "mail" { path = "%h/Maildir" }
domain "hosted" { names = site_domains
  aliases = site_aliases
  auth = site_users
  mailboxes = mail }
domain "backup" { names = site_relays
  transport = smtp
  next_hop = "[127.0.0.1]:SINK" }
routing { transport = smtp
  transports = site_transports
  relayhost = "[127.0.0.1]:SINK"
  cache = 0
  cache_stale = 0 }
smtp { tls_level = none }
auth { failure_delay = 100ms
  failure_delay_max = 200ms }
queue { backoff_min = 1s
  backoff_max = 2s }
"""
# "geheim", as the schemes of these systems keep it
HASHES = {
    "anna": "$1$ab12cd34$mlU2U7ZQJi.d7/h7UWvfB.",
    "ben": "$2y$04$abcdefghijklmnopqrstuuPWRtT5yx7FBi4dcf6ROhboeNunUrLQ.",
    "carl": "$5$rounds=1000$saltsalt$TWdBOWiYhmVJkQgbrDSNb2rxBkKSiutz24Rm5ti0vID",
    "dora": "{SHA512-CRYPT}$6$rounds=1000$saltsalt$vqVEzhF1x7x2p0VCWCzOM1GGIpJ62KqdREyqdHXfkzvqLwi.vIVwX0AcTW9cDubiR4wA.zOlJTle4lioqe99c1",
    "emil": "{SHA512-CRYPT.B64}JDYkcm91bmRzPTEwMDAkc2FsdHNhbHQkdnFWRXpoRjF4N3gycDBWQ1dDek9NMUdHSXBKNjJLcWRSRXlxZEhYZmt6dnFMd2kudklWd1gwQWNU"
            "VzljRHViaVI0d0Euek9sSlRsZTRsaW9xZTk5YzE=",
    "frida": "{SSHA256}S4E7vqCGrUoFEOzvIMgB4JR8pBFGZUI/VeoxaUUDgM5zYWx0",
    "georg": "e8636ea013e682faf61f56ce1cb1ab5c",
    "o'neil": "abOkmxXhjDb.Y",
}
SHA1 = "906072001efddf3e11e6d2b5782f4777fe038739"          # ViMbAdmin alone
QUOTAS = {"anna": 52428800, "ben": 0}
DOMAINS = [("one.test", "virtual", 0, 1), ("two.test", "virtual", 0, 1), ("other.test", "virtual", 0, 1), ("gone.test", "virtual", 0, 0), ("backup.test", "relay", 1, 1),
           ("away.test", "smtp:[127.0.0.1]:SINK", 0, 1), ("stale.test", "virtual", 0, 1), ("ALL", "", 0, 1)]
ALIASES = [("all@one.test", "anna@one.test,ben@one.test,friend@far.test", 1), ("old@one.test", "anna@one.test", 0), ("@two.test", "carl@one.test", 1),
           ("ben@one.test", "ben@one.test,anna@one.test", 1), ("former@one.test", "former@one.test", 0), ("x@gone.test", "x@gone.test", 1),
           ("carla@two.test", "carla@two.test", 1), ("x@away.test", "x@away.test", 1)]
MAILBOXES = [("former@one.test", 0), ("x@gone.test", 1), ("carla@two.test", 1), ("x@away.test", 1)]
t = Tap()


def text(value):
    return "'" + str(value).replace("'", "''") + "'"


# ---- PostfixAdmin ----

POSTFIXADMIN = """
CREATE TABLE domain (domain varchar(255) NOT NULL, description varchar(255) UTF NOT NULL DEFAULT '', aliases INT10 NOT NULL DEFAULT 0, mailboxes INT10 NOT NULL DEFAULT 0,
  maxquota bigint NOT NULL DEFAULT 0, quota bigint NOT NULL DEFAULT 0, transport varchar(255) DEFAULT NULL, backupmx BOOL NOT NULL DEFAULT FALSE_,
  created DATETIME, modified DATETIME, active BOOL NOT NULL DEFAULT TRUE_, password_expiry int DEFAULT 0, PRIMARY KEY (domain)) LATIN1;
CREATE TABLE mailbox (username varchar(255) NOT NULL, password varchar(255) NOT NULL, name varchar(255) UTF NOT NULL DEFAULT '', maildir varchar(255) NOT NULL,
  quota bigint NOT NULL DEFAULT 0, local_part varchar(255) NOT NULL, domain varchar(255) NOT NULL, created DATETIME, modified DATETIME,
  active BOOL NOT NULL DEFAULT TRUE_, phone varchar(30) NOT NULL DEFAULT '', email_other varchar(255) NOT NULL DEFAULT '',
  token varchar(255) NOT NULL DEFAULT '', token_validity DATETIME, password_expiry DATETIME, PRIMARY KEY (username)) LATIN1;
CREATE TABLE alias (address varchar(255) NOT NULL, goto text NOT NULL, domain varchar(255) NOT NULL, created DATETIME, modified DATETIME,
  active BOOL NOT NULL DEFAULT TRUE_, PRIMARY KEY (address)) LATIN1;
CREATE TABLE alias_domain (alias_domain varchar(255) NOT NULL, target_domain varchar(255) NOT NULL, created DATETIME, modified DATETIME,
  active BOOL NOT NULL DEFAULT TRUE_, PRIMARY KEY (alias_domain)) LATIN1;
CREATE TABLE quota (username varchar(255) NOT NULL, path varchar(100) NOT NULL, current bigint NOT NULL DEFAULT 0, PRIMARY KEY (username, path)) LATIN1;
CREATE TABLE quota2 (username varchar(100) NOT NULL, bytes bigint NOT NULL DEFAULT 0, messages int NOT NULL DEFAULT 0, PRIMARY KEY (username)) LATIN1;
"""
WORDS = {"pgsql": {"UTF": "", "INT10": "int", "BOOL": "boolean", "FALSE_": "false", "TRUE_": "true", "DATETIME": "timestamp with time zone DEFAULT now()", "LATIN1": ""},
         "mysql": {"UTF": "CHARACTER SET utf8mb4", "INT10": "int(10)", "BOOL": "tinyint(1)", "FALSE_": "0", "TRUE_": "1",
                   "DATETIME": "datetime NOT NULL DEFAULT '2000-01-01 00:00:00'", "LATIN1": "ENGINE=InnoDB CHARACTER SET latin1 COLLATE latin1_general_ci"}}


def postfixadmin(kind, sink):
    schema = POSTFIXADMIN
    for word, meaning in WORDS[kind].items():
        schema = re.sub(rf"\b{word}\b", lambda _, m=meaning: m, schema)
    if kind == "mysql":                                    # NULL is no default there
        schema = schema.replace("varchar(255) DEFAULT NULL", "varchar(255) NOT NULL DEFAULT ''")
    yes, no = ("true", "false") if kind == "pgsql" else ("1", "0")

    def flag(value):
        return yes if value else no
    rows = [schema]
    for domain, transport, backup, active in DOMAINS:
        rows.append(f"INSERT INTO domain (domain, transport, backupmx, active) VALUES ({text(domain)}, {text(transport.replace('SINK', str(sink.port)))}, {flag(backup)}, {flag(active)});")
    boxes = [(f"{user}@one.test", 1, hashed) for user, hashed in HASHES.items()] + [(name, active, HASHES["anna"]) for name, active in MAILBOXES]
    for name, active, hashed in boxes:
        local, domain = name.split("@")
        rows.append("INSERT INTO mailbox (username, password, name, maildir, quota, local_part, domain, active) VALUES "
                    f"({text(name)}, {text(hashed)}, 'Überall', {text(f'{domain}/{local}/')}, {QUOTAS.get(local, 0)}, {text(local)}, {text(domain)}, {flag(active)});")
    own = {address for address, *_ in ALIASES}
    aliases = ALIASES + [(name, name, 1) for name, *_ in boxes if name not in own and not name.startswith("frida@")]
    for address, goto, active in aliases:
        rows.append(f"INSERT INTO alias (address, goto, domain, active) VALUES ({text(address)}, {text(goto)}, {text(address.split('@')[1])}, {flag(active)});")
    rows.append(f"INSERT INTO alias_domain (alias_domain, target_domain, active) VALUES ('other.test', 'one.test', {yes}), ('stale.test', 'one.test', {no});")
    return "\n".join(rows)


# ---- ViMbAdmin ----

UTF8 = "ENGINE=InnoDB DEFAULT CHARSET=utf8 COLLATE=utf8_unicode_ci"
VIMBADMIN = f"""
CREATE TABLE domain (id bigint NOT NULL AUTO_INCREMENT, domain varchar(255) NOT NULL, description varchar(255), max_aliases int NOT NULL DEFAULT 0,
  alias_count bigint NOT NULL DEFAULT 0, max_mailboxes int NOT NULL DEFAULT 0, mailbox_count bigint NOT NULL DEFAULT 0, max_quota bigint NOT NULL DEFAULT 0,
  quota bigint NOT NULL DEFAULT 0, transport varchar(255) NOT NULL DEFAULT 'virtual', backupmx tinyint(1) NOT NULL DEFAULT 0, active tinyint(1) NOT NULL DEFAULT 1,
  homedir varchar(255), maildir varchar(255), uid int, gid int, created datetime NOT NULL DEFAULT NOW(), modified datetime, PRIMARY KEY (id), UNIQUE KEY (domain)) {UTF8};
CREATE TABLE mailbox (id bigint NOT NULL AUTO_INCREMENT, username varchar(255) NOT NULL, password varchar(255) NOT NULL, name varchar(255), alt_email varchar(255),
  quota bigint NOT NULL DEFAULT 0, local_part varchar(255) NOT NULL, active tinyint(1) NOT NULL DEFAULT 1, access_restriction varchar(100) NOT NULL DEFAULT 'ALL',
  homedir varchar(255), maildir varchar(255), uid bigint, gid bigint, homedir_size bigint, maildir_size bigint, size_at datetime, delete_pending tinyint(1),
  created datetime NOT NULL DEFAULT NOW(), modified datetime, Domain_id bigint, PRIMARY KEY (id), UNIQUE KEY (username), FOREIGN KEY (Domain_id) REFERENCES domain (id)) {UTF8};
CREATE TABLE alias (id bigint NOT NULL AUTO_INCREMENT, address varchar(255) NOT NULL, goto longtext NOT NULL, active tinyint(1) NOT NULL DEFAULT 1,
  created datetime NOT NULL DEFAULT NOW(), modified datetime, Domain_id bigint, PRIMARY KEY (id), UNIQUE KEY (address), FOREIGN KEY (Domain_id) REFERENCES domain (id)) {UTF8};
"""


def vimbadmin(server, sink):
    rows = [VIMBADMIN]
    for domain, transport, backup, active in DOMAINS:
        rows.append(f"INSERT INTO domain (domain, transport, backupmx, active) VALUES ({text(domain)}, {text(transport.replace('SINK', str(sink.port)))}, {backup}, {active});")
    boxes = [(f"{user}@one.test", 1, hashed) for user, hashed in {**HASHES, "hugo": SHA1}.items()] + [(name, active, HASHES["anna"]) for name, active in MAILBOXES]
    owner = os.stat(server.mail)
    for name, active, hashed in boxes:
        local, domain = name.split("@")
        home = f"{server.mail}/{domain}/{local}"
        rows.append("INSERT INTO mailbox (username, password, name, quota, local_part, active, homedir, maildir, uid, gid, Domain_id) "
                    f"SELECT {text(name)}, {text(hashed)}, 'Überall', {QUOTAS.get(local, 0)}, {text(local)}, {active}, {text(home)}, "
                    f"{text(f'maildir:{home}/mail:LAYOUT=fs')}, {owner.st_uid}, {owner.st_gid}, id FROM domain WHERE domain = {text(domain)};")
    rows.append("UPDATE mailbox SET access_restriction = 'IMAP,POP3' WHERE username = 'carl@one.test';"
                "UPDATE mailbox SET access_restriction = 'SMTP' WHERE username = 'emil@one.test';"
                "UPDATE mailbox SET delete_pending = 1 WHERE username = 'frida@one.test';")
    own = {address for address, *_ in ALIASES}
    aliases = ALIASES + [("@other.test", "@one.test", 1)] + [(name, name, 1) for name, *_ in boxes if name not in own and not name.startswith("frida@")]
    for address, goto, active in aliases:
        rows.append(f"INSERT INTO alias (address, goto, active, Domain_id) SELECT {text(address)}, {text(goto)}, {active}, id FROM domain WHERE domain = {text(address.split('@')[1])};")
    return "\n".join(rows)


# ---- what is tried on each ----


def box(server, user, below):
    folder = f"{server.mail}/one.test/{user}{below}"
    for sub in ("new", "cur"):
        for name in os.listdir(f"{folder}/{sub}") if os.path.isdir(f"{folder}/{sub}") else ():
            with open(f"{folder}/{sub}/{name}", "rb") as f:
                yield f.read()


def send(server, to, subject, utf8=False):
    with server.smtp() as c:
        c.ehlo()
        c.cmd("MAIL FROM:<sender@elsewhere.test>" + (" SMTPUTF8" if utf8 else ""))
        said = c.cmd(f"RCPT TO:<{to}>")
        return c.data(f"Subject: {subject}\r\n\r\nx\r\n".encode()) if said.code == 250 else said


def delivered(what, server, sink, below):
    """Who gets what; the maildir of the row is where it lies."""
    for to, here, far in (("anna@one.test", ["anna"], []), ("ANNA+tag@one.test", ["anna"], []), ("all@one.test", ["anna", "ben"], ["friend@far.test"]),
                          ("o'neil@one.test", ["o'neil"], []), ("whoever@two.test", ["carl"], []), ("anna@other.test", ["anna"], []),
                          ("all@other.test", ["anna", "ben"], ["friend@far.test"]), ("y@backup.test", [], ["y@backup.test"]), ("x@away.test", [], ["x@away.test"])):
        mark = f"for {to}"
        said = send(server, to, mark)
        t.ok(said.code == 250 and wait_for(lambda: json.loads(server.ekiden("queue", "list", "--json")[1]) == [], 40, 0.1), f"{what}: {to} is taken", said)
        got = [user for user in ("anna", "ben", "carl", "o'neil") if any(f"Subject: {mark}".encode() in m for m in box(server, user, below))]
        went = sorted(r for m in sink.messages if f"Subject: {mark}".encode() in m.data for r in m.rcpts)
        t.equal((got, went), (here, far), f"{what}: and goes to {' '.join(here + far)}")


def refused(what, server, *more):
    for to in ("nobody@one.test", "former@one.test", "old@one.test", "x@gone.test", "x@all", "anna@stale.test", "x' OR '1'='1@one.test", *more):
        code = send(server, to, "no").code
        t.ok(code in (501, 550, 554), f"{what}: {to} is refused", code)
    for to in ("änna@one.test", "аnna@one.test", "日本@one.test"):
        t.equal(send(server, to, "no", utf8=True).code, 550, f"{what}: {to} only looks like somebody, or like nobody")


def login(server, user, password="geheim"):
    with Imap(server.port("imap"), name=server.hostname) as c:
        return str(c.cmd("LOGIN {} {}", user.encode(), password.encode()))


def logins(what, server, but=()):
    for user in HASHES:
        if user not in but:
            t.contains(login(server, f"{user}@one.test"), "OK", f"{what}: {user} logs in")
            t.contains(login(server, f"{user}@one.test", "Geheim"), "AUTHENTICATIONFAILED", f"{what}: {user} not with a wrong password")
    for user in ("former@one.test", "x@gone.test", "nobody@one.test", "änna@one.test", "日本@one.test", "' OR 1=1 -- @one.test", *but):
        t.contains(login(server, user), "AUTHENTICATIONFAILED", f"{what}: {user} is nobody here")


def shown(what, server):
    """The commands read them, and say that they cannot write."""
    anna = json.loads(server.ekiden("user", "show", "anna@one.test", "--json")[1])
    t.equal((anna["mail"]["quota_bytes"], anna["mail"]["name"], anna["login"]["password"]), (52428800, "Überall", "CRYPT"), f"{what}: user show: quota, name, scheme")
    ben = json.loads(server.ekiden("user", "show", "ben@one.test", "--json")[1])
    t.ok("quota_bytes" not in ben["mail"], f"{what}: 0 is no quota", ben)
    t.ok(not any(HASHES["anna"] in text_ for text_ in (server.ekiden("user", "show", "anna@one.test")[1],)), f"{what}: and no password")
    t.equal(json.loads(server.ekiden("user", "show", "former@one.test", "--json")[1])["kept"]["username"], "former@one.test", f"{what}: user show of one who is not active")
    t.contains(server.ekiden("user", "list", "*@one.test")[1], "dora@one.test\n", f"{what}: user list")
    t.contains(server.ekiden("alias", "list", "all@*")[1], "all@one.test  anna@one.test,ben@one.test,friend@far.test", f"{what}: alias list")
    t.equal(server.ekiden("domain", "list")[1].split("\n")[:-1], ["away.test", "gone.test  off", "one.test", "other.test", "stale.test", "two.test"]
            if "postfixadmin" in what else ["ALL", "away.test", "gone.test  off", "one.test", "other.test", "stale.test", "two.test"], f"{what}: domain list")
    t.equal(json.loads(server.ekiden("domain", "show", "gone.test", "--json")[1])["kept"]["transport"], "virtual", f"{what}: domain show")
    for words, lacks in ((("user", "set", "anna@one.test", "quota=1G"), "updates is not set"), (("domain", "set", "one.test", "active=no"), "updates is not set"),
                         (("domain", "add", "new.test"), "insert is not set"), (("alias", "add", "new@one.test", "anna@one.test"), "insert is not set")):
        status, said = server.ekiden(*words)
        t.ok(status == 1 and lacks in said, f"{what}: {' '.join(words[:2])}: it cannot be changed here, and what to do is said", said)


def run(what, preset, db, fill, below, more=None):
    with Sink() as sink:
        config = CONFIG.replace("SINK", str(sink.port)).replace("PRESET", f"{TOP}/etc/presets/{preset}")
        with Server(config, start=False) as server:
            with open(f"{server.dir}/server.conf", "w", encoding="utf-8") as f:
                f.write(f"hosts = {quoted(db.socket)}\nport = {db.port}\ndatabase = {db.database}\nuser = {db.user}\npassword = {quoted(db.password)}\n")
            os.chmod(f"{server.dir}/server.conf", 0o600)
            db.sql(fill(server, sink))
            server.start()
            delivered(what, server, sink, below)
            refused(what, server, *(() if more else ("nobody@other.test",)))
            logins(what, server, ("emil", "frida") if more else ())
            shown(what, server)
            if more:
                more(what, server)
            server.stop()
            t.equal(server.problems(), [], f"{what}: no reports")


def restricted(what, server):
    """access_restriction, and the plain sha1 of ViMbAdmin."""
    t.contains(login(server, "hugo@one.test"), "OK", f"{what}: a sha1")
    t.contains(login(server, "carl@one.test"), "OK", f"{what}: one who may use IMAP and POP3")
    with server.smtp() as c:
        c.ehlo()
        t.equal(c.auth_plain("carl@one.test", "geheim").code, 535, f"{what}: may not send")
        t.equal(c.auth_plain("emil@one.test", "geheim").code, 235, f"{what}: one who may send, and not read")
    t.equal(send(server, "emil@one.test", "x").code, 250, f"{what}: gets mail all the same")


reason = missing("pgsql")
if reason:
    t.skip("pgsql", reason)
else:
    with server_postgres.Postgres() as db_:
        run("postfixadmin pgsql", "postfixadmin-pgsql.conf", db_, lambda server, sink: postfixadmin("pgsql", sink), "")
reason = missing("mysql")
if reason:
    t.skip("mysql", reason)
else:
    with server_mariadb.MariaDb() as db_:
        run("postfixadmin mysql", "postfixadmin-mysql.conf", db_, lambda server, sink: postfixadmin("mysql", sink), "")
        db_.sql("DROP TABLE domain, mailbox, alias, alias_domain, quota, quota2;")
        run("vimbadmin", "vimbadmin.conf", db_, vimbadmin, "/mail", restricted)
t.done()
