# server_mariadb.py - a MariaDB server of a test
# SPDX-License-Identifier: Apache-2.0
import shutil
import subprocess

from dbserver import DbServer

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
PROGRAMS = ("mariadbd", "mariadb-install-db", "mariadb")


def missing():
    """A reason to skip, or None."""
    lacking = [name for name in PROGRAMS if not shutil.which(name, path=PATH)]
    return f"needs {' '.join(lacking)}" if lacking else None


class MariaDb(DbServer):
    name = "mariadb"
    settings = {"innodb-buffer-pool-size": "16M", "innodb-log-file-size": "8M", "innodb-flush-log-at-trx-commit": "0",
                "performance-schema": "OFF", "max-connections": "60", "max-allowed-packet": "16M",
                "character-set-server": "utf8mb4", "bind-address": "127.0.0.1"}

    @property
    def socket(self):
        return f"{self.folder}/sock"

    def make(self):
        self.run(self.as_nobody([shutil.which("mariadb-install-db", path=PATH), "--no-defaults", f"--datadir={self.folder}/data",
                                 "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"]))

    def command(self):
        return [shutil.which("mariadbd", path=PATH), "--no-defaults", f"--datadir={self.folder}/data", f"--socket={self.socket}",
                *(f"--{name}={path}" for name, path in zip(("ssl-cert", "ssl-key"), self.certificate)), f"--port={self.port}", f"--pid-file={self.folder}/pid", f"--tmpdir={self.folder}", "--skip-name-resolve",
                *(f"--{name}={value}" for name, value in self.settings.items())]

    def client(self, database=""):
        return [shutil.which("mariadb", path=PATH), "--no-defaults", "-S", self.socket, "-u", "root", "-N", "-B",
                "--default-character-set=utf8mb4", *([database] if database else [])]

    def answers(self):
        return subprocess.run(self.client(), input="SELECT 1", capture_output=True, text=True, env=self.environment(), timeout=60,
                              check=False).returncode == 0

    def fill(self):
        secret = self.password.replace("\\", "\\\\").replace("'", "''")
        text = f"CREATE DATABASE {self.database} CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;\n"
        for host in ("localhost", "127.0.0.1"):
            text += f"CREATE USER '{self.user}'@'{host}' IDENTIFIED BY '{secret}';\nGRANT ALL ON {self.database}.* TO '{self.user}'@'{host}';\n"
        self.run(self.client(), text)

    def sql(self, text, database=None):
        return self.run(self.client(database or self.database), text)
