# server_postgres.py - a PostgreSQL server of a test
# SPDX-License-Identifier: Apache-2.0
import glob
import os
import subprocess

from dbserver import DbServer


def folder_of_programs():
    """Debian keeps them out of the path; the newest."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"), key=lambda p: int(p.split("/")[4].split(".")[0]))
    return os.path.dirname(found[-1]) if found else None


def missing():
    """A reason to skip, or None."""
    return None if folder_of_programs() else "needs postgresql"


class Postgres(DbServer):
    name = "postgres"
    settings = {"fsync": "off", "shared_buffers": "16MB", "max_connections": "60", "jit": "off", "listen_addresses": "127.0.0.1",
                "max_wal_size": "64MB", "min_wal_size": "32MB"}

    @property
    def socket(self):
        return self.folder                               # libpq wants the folder that it lies in

    def make(self):
        bin_ = folder_of_programs()
        self.run(self.as_nobody([f"{bin_}/initdb", "--no-sync", "-D", f"{self.folder}/data", "-U", "owner", "-E", "UTF8", "--locale=C",
                                 "--auth-local=trust", "--auth-host=scram-sha-256"]))
        with open(f"{self.folder}/data/pg_hba.conf", "w", encoding="ascii") as f:
            f.write("local all owner trust\nlocal all all scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\n")

    def command(self):
        words = [f"{folder_of_programs()}/postgres", "-D", f"{self.folder}/data", "-k", self.folder, "-p", str(self.port)]
        tls = dict(zip(("ssl_cert_file", "ssl_key_file"), self.certificate), ssl="on") if self.certificate else {}
        for name, value in {**self.settings, **tls}.items():
            words += ["-c", f"{name}={value}"]
        return words

    def client(self, database):
        return [f"{folder_of_programs()}/psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", self.folder, "-p", str(self.port),
                "-U", "owner", "-d", database, "-f", "-"]

    def answers(self):
        return subprocess.run(self.client("postgres"), input="SELECT 1", capture_output=True, text=True, env=self.environment(),
                              timeout=60, check=False).returncode == 0

    def fill(self):
        secret = self.password.replace("'", "''")
        self.sql(f"CREATE USER {self.user} PASSWORD '{secret}';", "postgres")
        self.sql(f"CREATE DATABASE {self.database} OWNER {self.user};", "postgres")

    def sql(self, text, database=None):
        if database is None:
            text = f"SET ROLE {self.user};\n{text}"      # what is made is his
        return self.run(self.client(database or self.database), text)
