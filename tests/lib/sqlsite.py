# sqlsite.py - the databases that SQL tests ask: one of SQLite, PostgreSQL and MariaDB, filled alike
# SPDX-License-Identifier: Apache-2.0
"""
    with Site("pgsql") as site:
        site.settings()              the lines of an ekiden block that reach it
        site.sql("...")              as the owner
        site.server                  the server (dbserver.py); None for sqlite
"""
import os
import shutil
import sqlite3
import tempfile

import server_mariadb
import server_postgres
from ekiden import BUILD, accounts

KINDS = ("sqlite", "pgsql", "mysql")
SERVERS = {"pgsql": server_postgres, "mysql": server_mariadb}
SCHEMA = """
CREATE TABLE mailbox (name VARCHAR(255) PRIMARY KEY, password VARCHAR(255), home VARCHAR(255));
CREATE TABLE alias (address VARCHAR(255), goto VARCHAR(255));
"""
QUERIES = """  password_query = "SELECT password FROM mailbox WHERE name = :user"
  user_query = "SELECT home FROM mailbox WHERE name = :user"
  users_query = "SELECT name AS user FROM mailbox ORDER BY name"
  password_update = "UPDATE mailbox SET password = :stored WHERE name = :user AND (:old = '' OR password = :old)"
  user_insert = "INSERT INTO mailbox (name, password) VALUES (:user, :stored)"
  user_delete = "DELETE FROM mailbox WHERE name = :user"
"""


def missing(kind):
    """A reason to skip, or None."""
    if not os.path.exists(f"{BUILD}/modules/{kind}/.libs/{kind}.so"):
        return f"module {kind} was not built"
    return SERVERS[kind].missing() if kind in SERVERS else None


def quoted(text):
    """As a value in ekiden.conf."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$") + '"'


class Site:
    def __init__(self, kind, certificate=None):
        self.kind, self.server, self.folder = kind, None, None
        if kind == "sqlite":
            self.folder = tempfile.mkdtemp(prefix="sqlite", dir=os.environ.get("EKIDEN_RUN"))
            self.path = f"{self.folder}/site.db"
        else:
            self.server = (server_postgres.Postgres if kind == "pgsql" else server_mariadb.MariaDb)(certificate)
        self.sql(SCHEMA)
        if kind == "sqlite":
            owner = (accounts() or {}).get("directory")
            for path in (self.folder, self.path):
                os.chmod(path, 0o755 if path == self.folder else 0o644)
                if owner:
                    shutil.chown(path, owner)

    def sql(self, text):
        if self.server:
            return self.server.sql(text)
        with sqlite3.connect(self.path) as db:
            db.executescript(text)
        db.close()
        return None

    def value(self, query):
        """The one value that a query gives, as text."""
        if self.server:
            return self.server.sql(query).strip()
        with sqlite3.connect(self.path) as db:
            found = db.execute(query).fetchone()
        db.close()
        return str(found[0]) if found else ""

    def settings(self, where="socket"):
        """Over its unix socket, or by TCP."""
        if self.server is None:
            return f"  path = {quoted(self.path)}\n"
        hosts = self.server.socket if where == "socket" else "127.0.0.1"
        return (f"  hosts = {quoted(hosts)}\n  port = {self.server.port}\n  database = {self.server.database}\n"
                f"  user = {self.server.user}\n  password = {quoted(self.server.password)}\n")

    def close(self):
        if self.server:
            self.server.stop()
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
