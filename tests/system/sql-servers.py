#!/usr/bin/python3
# sql-servers.py - ways to SQL servers: several hosts with fail-over, the primary among replicas, TLS with verification, a pooler
# waits
# SPDX-License-Identifier: Apache-2.0
# part: backends
# limit: 400
import os
import shutil
import signal
import subprocess

import certs
from dbserver import NOBODY, DbServer
from ekiden import RUN, Server, free_ports, wait_for
from sqlsite import QUERIES, SERVERS, Site, missing, quoted
from tap import Tap

USERS = "INSERT INTO mailbox (name, password) VALUES ('anna@sql.test', '{PLAIN}pa');"
CONFIG = """
KIND "db" {
  database = mail
  user = WHO
  password = PASSWORD
  connect_timeout = 2s
  timeout = 2s
  HOW
QUERIES  home = "${mail}/%d/%n"
}
maildir "mail" { path = "%h/Maildir" }
domain "sql.test" { auth = db
  mailboxes = mail }
"""
t = Tap()


class Way:
    """The command's own way to the database: no server of ours need run."""

    def __init__(self, kind):
        self.kind, self.server = kind, Server("", start=False)

    def list(self, how, who=DbServer.user, names="SELECT name"):
        """(status, what was said) of `ekiden user list`, by these settings."""
        self.server.write(CONFIG.replace("KIND", self.kind).replace("WHO", who).replace("PASSWORD", quoted(DbServer.password)).replace("HOW", how).replace(
            "QUERIES", QUERIES.replace("SELECT name", names)))
        return self.server.ekiden("user", "list")

    def works(self, how, text):
        status, said = self.list(how)
        return t.ok((status, said) == (0, "anna@sql.test\n"), f"{self.kind}: {text}", said)

    def fails(self, how, words, text, **more):
        status, said = self.list(how, **more)
        return t.ok(status != 0 and words.lower() in said.lower() and "anna" not in said, f"{self.kind}: {text}", (status, said))


# ---- several hosts ----


def at(*ports):
    return "hosts = [" + ", ".join(f'"127.0.0.1:{port}"' for port in ports) + "]"


def password(site):
    return site.value("SELECT password FROM mailbox WHERE name = 'anna@sql.test'")


def several(way, first, second):
    kind, hosts = way.kind, at(first.server.port, second.server.port)
    closed = free_ports(1)[0]
    way.works(f"hosts = {quoted(first.server.socket)}\n  port = {first.server.port}", "over the unix socket")
    way.works(f"hosts = localhost\n  port = {second.server.port}", "by name and TCP")
    way.works(at(closed, second.server.port), "the first host is not there: the second is asked")
    way.fails(at(closed), "refused" if kind == "pgsql" else "connect", "no host is there: it says so")
    way.fails("hosts = no-such-host.invalid", "no-such-host.invalid", "a name that does not exist")
    way.fails(at(first.server.port), "stranger", "an account that the server refuses", who="stranger")
    first.server.pause()
    for _ in range(3):
        way.works(hosts, "the first host hangs: the second is asked")
    way.fails(at(first.server.port), "in time", "alone it is \"later\"")
    first.server.resume()
    first.server.kill()
    for _ in range(2):
        way.works(hosts, "the first host was killed")
    first.server.start()
    way.works(at(first.server.port), "and is back")


def primary(way, first, second):
    """A replica refuses what is to be written; PostgreSQL's tells so when it is connected to."""
    kind, hosts = way.kind, at(first.server.port, second.server.port)
    set_ = lambda word: way.server.ekiden("user", "passwd", "--hash", "{PLAIN}" + word, "anna@sql.test")        # noqa: E731
    way.works(hosts, "two hosts")
    if kind == "pgsql":
        first.server.sql(f"ALTER DATABASE {first.server.database} SET default_transaction_read_only = on;", "postgres")
        status, said = set_("new")
        t.ok(status == 0 and (password(first), password(second)) == ("{PLAIN}pa", "{PLAIN}new"), "pgsql: what is written goes to the primary, "
             "which may be the second", said)
        second.server.kill()
        status, said = set_("newer")
        t.ok(status != 0 and "read-only" in said and "refused" in said, "pgsql: no primary is there: it is told of each host", said)
        t.equal(password(first), "{PLAIN}pa", "pgsql: and nothing was written")
        second.server.start()
    else:
        status, said = set_("new")
        t.ok(status == 0 and (password(first), password(second)) == ("{PLAIN}new", "{PLAIN}pa"), "mysql: what is written goes to the first", said)
        first.server.kill()
        way.works(hosts, "the first is away: the second answers questions")
        status, said = set_("newer")
        t.ok(status != 0 and password(second) == "{PLAIN}pa", "mysql: but gets nothing to write", said)
        first.server.start()


# ---- TLS ----


def tls(way, site, plain, authority):
    kind, port = way.kind, site.server.port
    other = certs.Authority(f"{RUN}/other-{kind}")
    ours, others = f"ca_file = {quoted(authority.cafile)}", f"ca_file = {quoted(other.cafile)}"
    local, by_address = f"hosts = localhost\n  port = {port}", at(port)
    if kind == "pgsql":                          # nobody gets in without
        with open(f"{site.server.folder}/data/pg_hba.conf", "w", encoding="ascii") as f:
            f.write("local all owner trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n")
        os.kill(site.server.process.pid, signal.SIGHUP)
        wait_for(lambda: way.list(f"{by_address}\n  tls = off")[0] != 0, 30, 0.2)
    else:
        for host in ("localhost", "127.0.0.1"):
            site.server.sql(f"ALTER USER '{site.server.user}'@'{host}' REQUIRE SSL;")
    way.works(f"{local}\n  tls = verify\n  {ours}", "TLS, verified")
    way.works(f"{by_address}\n  tls = on\n  {others}", "TLS, whoever answers")
    way.fails(f"{by_address}\n  tls = off", "", "without TLS this server lets nobody in")
    way.fails(f"{by_address}\n  tls = auto", "", "auto is without on this machine itself")
    way.fails(f"{local}\n  tls = verify\n  {others}", "certificate", "a certificate of an authority that is not ours")
    way.fails(f"{local}\n  tls = verify", "certificate", "nor is it the system's")
    way.fails(f"{by_address}\n  tls = verify\n  {ours}", "127.0.0.1" if kind == "pgsql" else "", "a certificate for another name")
    way.fails(f"{at(plain.server.port)}\n  tls = on", "ssl" if kind == "pgsql" else "tls", "a server that offers none")
    way.works(f"{at(plain.server.port)}\n  tls = auto", "which is good enough on this machine itself")
    way.fails(f"{local}\n  cert_file = /x.pem", "belong together", "a certificate of ours without its key")


def slow(way, site, how, text):
    """A query without end, and a server that hangs: neither is waited for."""
    forever = "SELECT pg_sleep(100)::text || name" if way.kind == "pgsql" else "SELECT CONCAT(SLEEP(100), name)"
    way.fails(how, "users_query: no answer in time", f"{text}: a query that does not end", names=forever)
    site.server.pause()
    way.fails(how, "did not answer in time", f"{text}: a server that hangs")
    site.server.resume()
    way.works(how, f"{text}: and goes on")


# ---- a pooler ----


def pooler(way, site):
    """pgbouncer hands each transaction whatever connection is free, and forgets what was prepared."""
    program = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin")
    if not program:
        t.skip("pgsql: behind a pooler", "needs pgbouncer")
        return
    port, folder = free_ports(1)[0], site.server.folder
    with open(f"{folder}/userlist", "w", encoding="utf-8") as f:
        f.write('"{}" "{}"\n'.format(DbServer.user, DbServer.password.replace('"', '""')))
    with open(f"{folder}/pgbouncer.ini", "w", encoding="ascii") as f:
        f.write(f"[databases]\nmail = host={folder} port={site.server.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n"
                f"unix_socket_dir =\nauth_type = plain\nauth_file = {folder}/userlist\npool_mode = transaction\ndefault_pool_size = 3\n"
                "server_round_robin = 1\nmin_pool_size = 3\n")
    for name in ("userlist", "pgbouncer.ini"):
        if os.geteuid() == 0:
            shutil.chown(f"{folder}/{name}", NOBODY)
    with open(f"{folder}/pgbouncer.log", "wb") as log:
        process = subprocess.Popen(site.server.as_nobody([program, f"{folder}/pgbouncer.ini"]), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        t.ok(wait_for(lambda: way.list(at(port))[0] == 0, 30, 0.2), "pgsql: a pooler of transactions runs", way.list(at(port)))
        for prepare in ("yes", "no"):
            good = all(way.list(f"{at(port)}\n  prepare = {prepare}")[0] == 0 for _ in range(8))
            t.ok(good, f"pgsql: behind it, prepare = {prepare}", way.list(f"{at(port)}\n  prepare = {prepare}"))
        site.sql("ALTER TABLE mailbox ALTER COLUMN name TYPE text;")
        good = all(way.list(at(port))[0] == 0 for _ in range(8))
        t.ok(good, "pgsql: and a table that was altered behind what the pooler keeps prepared", way.list(at(port)))
        clash = [way.server.ekiden("user", "passwd", "--hash", "{PLAIN}p%d" % i, "anna@sql.test") for i in range(6)]
        t.ok(all(status == 0 for status, _ in clash) and password(site) == "{PLAIN}p5", "pgsql: and what is written", clash)
    finally:
        process.terminate()
        process.wait(30)


for kind_ in SERVERS:
    reason = missing(kind_)
    if reason:
        t.skip(kind_, reason)
        continue
    ca = certs.Authority(f"{RUN}/ca-{kind_}")
    with Site(kind_, ca.issue("localhost", "db.example.test")) as one, Site(kind_) as two:
        for site_ in (one, two):
            site_.sql(USERS)
        way_ = Way(kind_)
        several(way_, one, two)
        if kind_ == "pgsql":
            pooler(way_, two)
            two.sql("UPDATE mailbox SET password = '{PLAIN}pa';")
        primary(way_, one, two)
        tls(way_, one, two, ca)
        slow(way_, one, f"hosts = localhost\n  port = {one.server.port}\n  tls = verify\n  ca_file = {quoted(ca.cafile)}", "over TLS")
        slow(way_, two, at(two.server.port), "without TLS")
        t.equal(way_.server.problems(), [], f"{kind_}: no report")
t.done()
