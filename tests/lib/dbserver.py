# dbserver.py - a database server of a test: in a folder of its own, as a user without rights, stopped and killed by its pids
# SPDX-License-Identifier: Apache-2.0
"""
server_postgres.Postgres and server_mariadb.MariaDb are such servers:

    with Postgres() as db:
        db.sql("CREATE TABLE t (a text)")       as its owner, in the database "mail"
        db.socket, db.port, db.user, db.password, db.database     for ekiden's own connection
        db.pause(); db.resume()                 SIGSTOP and SIGCONT to all of its processes
        db.kill(); db.start()                   SIGKILL to all of them, and back

With certificate=(chain, key) it speaks TLS.
"""
import os
import pwd
import shutil
import signal
import subprocess
import tempfile

from ekiden import free_ports, wait_for

NOBODY = "nobody"


class DbServer:
    name, user, password, database = "database", "ekiden", "it's \"secret\" \\ really", "mail"

    def __init__(self, certificate=None):
        self.folder = tempfile.mkdtemp(prefix="db", dir=os.environ.get("EKIDEN_RUN"))
        os.chmod(self.folder, 0o755)
        if os.geteuid() == 0:
            account = pwd.getpwnam(NOBODY)
            os.chown(self.folder, account.pw_uid, account.pw_gid)
        self.certificate = [self.own(path) for path in certificate or ()]        # its chain and key
        self.port, self.process = free_ports(1)[0], None
        self.make()
        self.start()
        self.fill()

    def own(self, path):
        """A copy that it can read."""
        copy = shutil.copy(path, self.folder)
        os.chmod(copy, 0o600)
        if os.geteuid() == 0:
            shutil.chown(copy, NOBODY)
        return copy

    # ---- a kind of server says these ----

    def make(self):
        """Makes an empty data folder."""

    def command(self):
        """The server's words, in the foreground."""
        raise NotImplementedError

    def answers(self):
        """Can be asked?"""
        raise NotImplementedError

    def fill(self):
        """Makes the user and the database."""

    # ---- all of them ----

    def as_nobody(self, words):
        return ["setpriv", f"--reuid={NOBODY}", f"--regid={pwd.getpwnam(NOBODY).pw_gid}", "--clear-groups", *words] \
            if os.geteuid() == 0 else list(words)

    def environment(self):
        # MariaDB removes what other servers have in a folder for temporary tables, so it gets one of its own, for its installation too
        return {"PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin", "LC_ALL": "C.UTF-8", "HOME": self.folder, "TMPDIR": self.folder, "TZ": "UTC"}

    def run(self, words, text=""):
        """A program of the server's, to its end; what it says."""
        done = subprocess.run(words, input=text, capture_output=True, text=True, env=self.environment(), cwd=self.folder, timeout=120,
                              check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{words[0]}: status {done.returncode}\n{done.stdout}{done.stderr}\n{self.log()}")
        return done.stdout

    def log(self):
        try:
            with open(f"{self.folder}/log", encoding="utf-8", errors="replace") as f:
                return f.read()[-3000:]
        except FileNotFoundError:
            return ""

    def start(self):
        with open(f"{self.folder}/log", "ab") as log:
            self.process = subprocess.Popen(self.as_nobody(self.command()), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=self.environment(), cwd=self.folder, start_new_session=True)
        if not wait_for(lambda: self.process.poll() is not None or self.answers(), 120, 0.1) or self.process.poll() is not None:
            self.kill()
            raise RuntimeError(f"{self.name} does not run\n{self.log()}")

    def pids(self):
        """The server and all that descend from it."""
        parents = {}
        for entry in os.listdir("/proc"):
            try:
                with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as f:
                    parents[int(entry)] = int(f.read().rsplit(")", 1)[1].split()[1])
            except (OSError, ValueError, IndexError):
                continue
        found = [self.process.pid]
        for pid in found:
            found += [child for child, parent in parents.items() if parent == pid]
        return found

    def signal(self, number):
        for pid in self.pids():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def pause(self):
        os.kill(self.process.pid, signal.SIGSTOP)        # first the one that makes others
        self.signal(signal.SIGSTOP)

    def resume(self):
        self.signal(signal.SIGCONT)

    def kill(self):
        if self.process.poll() is None:
            self.pause()                                 # none is born meanwhile
            self.signal(signal.SIGKILL)
            self.process.wait(30)

    def stop(self):
        if self.process.poll() is None:
            self.resume()
            self.process.send_signal(signal.SIGINT if self.name == "postgres" else signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
