# ekiden.py - a server of this build in a folder of its own: started, asked, stopped, looked through for reports
# SPDX-License-Identifier: Apache-2.0
"""
    config = MAIL + listener("smtp") + listener("imaps")
    with Server(config, users=["anna", "ben"]) as server:
        with server.smtp("smtp") as c: ...            Smtp of wire.py
        with server.imap("imaps", "anna") as c: ...   Imap, logged in
        server.ekiden("queue", "list")                the command: (status, output)
        server.messages("anna")                       what lies in the Maildir's INBOX, bytes each
    (at the end: stopped; t.ok(not server.problems(), ...) is the test's to say)

The helper writes what every configuration needs (hostname, folders, roles, log, certificate) and these
variables in front of the test's own text: $dir $domain $users (a passwd-file) $mail (its folder; user
x@domain has $mail/domain/x) and a free port for each $port_NAME that the text names.  As root the roles
run as their own users where those exist (etc/ekiden.sysusers), else as Debian's idle system users.
"""
import glob
import json
import os
import pwd
import random
import re
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import certs
from wire import Imap, Smtp

TOP, BUILD, RUN = (os.environ.get("EKIDEN_" + name, "") for name in ("TOP", "BUILD", "RUN"))
REPORT = re.compile(r"(?:Address|Leak|Thread|UndefinedBehavior)Sanitizer|runtime error: |Can't open file: .*report")
ROLES = {"tls": "ekiden-tls", "edge": "ekiden-edge", "directory": "ekiden-auth", "queue": "ekiden-queue",
         "relay": "ekiden-relay", "store": "vmail", "log": "ekiden-log", "control": "ekiden-control"}
IDLE_USERS = ("daemon", "bin", "games", "man", "lp", "news", "uucp", "proxy")
TLS_FROM_START = ("imaps", "submissions", "pop3s", "smtps")

# users in a file, mail in Maildirs: what most tests need beside their listeners
MAIL = """
sasl_plain { }
file "people" {
  path = $users
  home = "${mail}/%d/%n"
}
maildir "mail" {
  path = "%h/Maildir"
}
domain $domain {
  auth      = people
  mailboxes = mail
}
"""


def listener(name, protocol=None, **options):
    """A listener's block, at $port_NAME.  The protocol, and TLS from the start, go by the usual names of services."""
    protocol = protocol or {"imaps": "imap", "submission": "smtp", "submissions": "smtp"}.get(name, name)
    rows = {"address": f'"127.0.0.1:${{port_{name}}}"', "protocol": protocol}
    if name in TLS_FROM_START:
        rows["tls"] = "implicit"
    rows.update(options)
    return f'listener "{name}" {{\n' + "".join(f"  {key} = {value}\n" for key, value in rows.items()) + "}\n"


def program(name):
    """The path of a program of the build."""
    for path in (f"{BUILD}/{name}", f"{BUILD}/bin/{name}", f"{BUILD}/sbin/{name}"):
        if os.path.isfile(path):
            return path
    raise RuntimeError(f"{name} was not built in {BUILD}")


def unit(name, *words, **env):
    """Runs a unit test program; its end, with all that it said as stdout."""
    return subprocess.run([program(f"tests/unit/{name}"), *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=120,
                          env={**os.environ, **env})


def accounts():
    """{role: user}: the product's own users, or others that own nothing; None when we are not root."""
    if os.geteuid() != 0:
        return None
    try:
        for name in ROLES.values():
            pwd.getpwnam(name)
        return dict(ROLES)
    except KeyError:
        return dict(zip(ROLES, IDLE_USERS))


def free_ports(count):
    """Ports below the range that the system itself gives to clients, so that none is taken in between."""
    found = []
    while len(found) < count:
        port = random.randrange(10000, 32000)
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("127.0.0.1", port))
                if port not in found:
                    found.append(port)
            except OSError:
                continue
    return found


def wait_for(condition, seconds=20, step=0.02):
    """The condition's value as soon as it is true, or its last value."""
    end = time.monotonic() + seconds
    while not (value := condition()) and time.monotonic() < end:
        time.sleep(step)
    return value


class Server:
    hostname, domain, password = "mail.example.test", "example.test", "secret"
    deaths_expected = False                  # set it in a test that kills roles
    descriptors = None                       # the most that each process may have open

    def __init__(self, config, users=(), layout="apart", roles="", log="", spool="", env=None, start=True, bare=False):
        self.dir = tempfile.mkdtemp(dir=RUN or None, prefix="s")
        os.chmod(self.dir, 0o755)
        self.san = os.path.join(RUN or self.dir, "san")
        self.accounts, self.process, self.ports, self.extra_env = accounts(), None, {}, dict(env or {})
        if layout == "merged" and self.accounts:     # one process, which runs as store does
            self.accounts = dict.fromkeys(self.accounts, self.accounts["store"])
        self.users, self.mail, self.conf = f"{self.dir}/users", f"{self.dir}/mail", f"{self.dir}/ekiden.conf"
        for folder, role in (("mail", "store"), ("log", "log"), ("spool", "queue"), ("state", None), ("run", None)):
            os.makedirs(f"{self.dir}/{folder}", exist_ok=True)
            self.give(f"{self.dir}/{folder}", role)
            os.chmod(f"{self.dir}/{folder}", 0o755)
        self.authority = certs.Authority(f"{self.dir}/ca")
        self.certificate = self.authority.issue(self.hostname, "localhost", "127.0.0.1", self.domain)
        self.set_users(users)
        self.layout, self.roles, self.log_text, self.spool_text = layout, roles, log, spool
        self.write(config, bare)
        if start:
            self.start()

    # ---- configuration ----

    def give(self, path, role):
        if self.accounts and role:
            user = pwd.getpwnam(self.accounts[role])
            os.chown(path, user.pw_uid, user.pw_gid)

    def set_users(self, users):
        """Writes the passwd-file: names without a domain are of self.domain; or (name, stored password)."""
        with open(self.users + ".new", "w", encoding="utf-8") as f:
            for user in users:
                name, stored = user if isinstance(user, tuple) else (user, "{PLAIN}" + self.password)
                f.write(f"{name if '@' in name else name + '@' + self.domain}:{stored}\n")
        os.chmod(self.users + ".new", 0o640)
        self.give(self.users + ".new", "directory")
        os.replace(self.users + ".new", self.users)

    def write(self, config, bare=False):
        """Writes the configuration: `config` behind what every server needs."""
        wanted = [n for n in dict.fromkeys(re.findall(r"\$\{?port_(\w+)", config)) if n not in self.ports]
        self.ports.update(zip(wanted, free_ports(len(wanted))))
        head = [f'$dir = "{self.dir}"', f'$domain = "{self.domain}"', f'$users = "{self.users}"', f'$mail = "{self.mail}"']
        head += [f"$port_{name} = {port}" for name, port in self.ports.items()]
        if not bare:
            head.append(self.standard())
        with open(self.conf, "w", encoding="utf-8") as f:
            f.write("\n".join(head) + "\n" + config)

    def standard(self):
        roles = [f"  layout = {self.layout}", f'  chroot = "{self.dir}/state/empty"']
        roles += [f"  user_{role} = {user}" for role, user in (self.accounts or {}).items()]
        chain, key = self.certificate
        return "\n".join([
            f"hostname = {self.hostname}", f'state_dir = "{self.dir}/state"', f'run_dir = "{self.dir}/run"',
            "roles {", *roles, self.roles, "}",
            "log {", f'  file  = "{self.dir}/log/mail.log"', f'  json  = "{self.dir}/log/mail.json"',
            f'  trace = "{self.dir}/log/trace"', self.log_text, "}",
            'certificate "default" {', f'  chain = "{chain}"', f'  key   = "{key}"', "}",
            "spool {", f'  path = "{self.dir}/spool"', self.spool_text, "}", ""])

    # ---- life ----

    def program(self, name):
        return program(name)

    def environment(self):
        env = {k: v for k, v in os.environ.items() if k not in ("NOTIFY_SOCKET", "EKIDEN_CONFIG")}
        env["EKIDEN_MODULE_PATH"] = f"{BUILD}/modules"
        env["EKIDEN_HELPER_PATH"] = f"{BUILD}/modules/pam"
        env.update(self.extra_env)
        return env

    def start(self, seconds=30):
        """Returns when the server says that it is ready (sd_notify), or raises with what it said."""
        # roles in the chroot write their sanitizer reports there, under the same name
        for folder in (self.san, f"{self.dir}/state/empty{self.san}"):
            os.makedirs(folder, exist_ok=True)
            os.chmod(folder, 0o1777)
        path = f"{self.dir}/notify"
        if os.path.exists(path):
            os.unlink(path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(path)
            notify.settimeout(0.2)
            with open(f"{self.dir}/log/stderr", "ab") as err:
                self.process = subprocess.Popen([self.program("ekidend"), "--foreground", "--config", self.conf], stdin=subprocess.DEVNULL,
                                                stdout=err, stderr=err, env={**self.environment(), "NOTIFY_SOCKET": path}, cwd=self.dir,
                                                preexec_fn=self.limit)
            end = time.monotonic() + seconds
            while True:
                try:
                    if b"READY=1" in notify.recv(4096):
                        return
                except TimeoutError:
                    pass
                if self.process.poll() is not None or time.monotonic() > end:
                    self.kill()
                    raise RuntimeError(f"ekidend is not ready (status {self.process.returncode})\n{self.tail(80)}")

    def limit(self):
        if self.descriptors:
            resource.setrlimit(resource.RLIMIT_NOFILE, (self.descriptors, self.descriptors))

    def stop(self, seconds=40):
        """SIGTERM, and waits; true when it ended by itself in time with status 0."""
        if not self.process or self.process.poll() is not None:
            return self.process is None or self.process.returncode == 0
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds) == 0
        except subprocess.TimeoutExpired:
            self.kill()
            return False

    def kill(self):
        """SIGKILL to everything of this server."""
        for pid in [*self.workers(), self.process.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait(10)

    def restart(self):
        self.stop()
        self.start()

    def reload(self):
        return self.ekiden("reload")

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.alive():
            self.stop()
        self.collect()

    def workers(self):
        """{pid: role} of the processes that master has now, by their command line (ekidend --worker ROLE...)."""
        found = {}
        for entry in os.listdir("/proc"):
            try:
                with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as f:
                    parent = f.read().rsplit(")", 1)[1].split()[1]
                if int(parent) == self.process.pid:
                    with open(f"/proc/{entry}/cmdline", "rb") as f:
                        words = f.read().split(b"\0")
                    found[int(entry)] = words[2].decode() if len(words) > 2 else words[0].decode()
            except (OSError, ValueError, IndexError):
                continue
        return found

    def pid_of(self, role):
        return next((pid for pid, name in self.workers().items() if name.split("-")[0].split("/")[0] == role or name == role), None)

    def status(self):
        """What `ekiden status --json` says of master: state, generation, workers."""
        done = self.ekiden("status", "--json")
        try:
            return json.loads(done[1])["master"] or {}
        except (ValueError, KeyError):
            return {}

    def generation(self):
        return self.status().get("generation")

    def ready(self, *names):
        """Are these workers (all, without names) ready?"""
        found = {w["name"]: w["state"] for w in self.status().get("workers", [])}
        return bool(found) and all(found.get(name) == "ready" for name in names or found)

    def busy(self, role):
        """The pids of a role's processes."""
        return [pid for pid, name in self.workers().items() if name.split(".")[0] == role]

    def replace_conf(self, text):
        """Another configuration file, whole, at once."""
        with open(self.conf + ".new", "w", encoding="utf-8") as f:
            f.write(text)
        os.replace(self.conf + ".new", self.conf)

    # ---- what it said ----

    def tail(self, lines=40):
        out = []
        for path in sorted(glob.glob(f"{self.dir}/log/*")):
            if os.path.isfile(path) and not path.endswith(".json"):
                with open(path, encoding="utf-8", errors="replace") as f:
                    out += [f"-- {os.path.basename(path)}", *f.read().splitlines()[-lines:]]
        return "\n".join(out)

    def log(self):
        """The log's text so far."""
        try:
            with open(f"{self.dir}/log/mail.log", encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def logged(self, pattern, seconds=10):
        """The first match of the pattern in the log, as soon as it is there; None when it does not come."""
        return wait_for(lambda: re.search(pattern, self.log(), re.M), seconds)

    def collect(self):
        """Moves reports out of the chroot, where tests/run looks for them."""
        for path in glob.glob(f"{self.dir}/state/empty{self.san}/*"):
            shutil.move(path, f"{self.san}/chroot.{os.path.basename(path)}")

    def problems(self):
        """What is wrong with how the server ran, one text each: reports, processes that died."""
        self.collect()
        found = [f"sanitizer report {os.path.basename(path)}" for path in glob.glob(f"{self.san}/*")]
        try:
            with open(f"{self.dir}/log/stderr", encoding="utf-8", errors="replace") as f:
                found += [line.strip() for line in f if REPORT.search(line)]
        except FileNotFoundError:
            pass
        if not self.deaths_expected:
            found += re.findall(r"process \S+ ended: (?:signal|status) .*", self.log())
        if self.process and self.process.returncode not in (None, 0):
            found.append(f"ekidend ended with status {self.process.returncode}\n{self.tail()}")
        return found

    # ---- talking to it ----

    def port(self, name):
        return self.ports[name]

    def tls_client(self, **settings):
        return self.authority.client(**settings)

    def smtp(self, listener="smtp", login=None, password=None, **more):
        """A connection to that listener; with a login: STARTTLS where needed, EHLO and AUTH PLAIN are done."""
        tls = self.tls_client() if listener in TLS_FROM_START else None
        c = Smtp(self.port(listener), tls=tls, name=self.hostname, **more)
        if login:
            c.ehlo()
            if not tls:
                c.starttls(self.tls_client(), self.hostname)
                c.ehlo()
            answer = c.auth_plain(self.address(login), password or self.password)
            if answer.code != 235:
                raise AssertionError(f"login of {login}: {answer}")
        return c

    def imap(self, listener="imaps", login=None, password=None, **more):
        tls = self.tls_client() if listener in TLS_FROM_START else None
        c = Imap(self.port(listener), tls=tls, name=self.hostname, **more)
        if login:
            if not tls:
                c.starttls(self.tls_client(), self.hostname)
            answer = c.login(self.address(login), password or self.password)
            if answer.status != "OK":
                raise AssertionError(f"login of {login}: {answer}")
        return c

    def ekiden(self, *words, program_name="ekiden", stdin=b""):
        """Runs a command of the build with this server's configuration: (status, output of both kinds)."""
        done = subprocess.run([self.program(program_name), *words], env={**self.environment(), "EKIDEN_CONFIG": self.conf}, input=stdin,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False)
        return done.returncode, done.stdout.decode("utf-8", "replace")

    def address(self, user):
        return user if "@" in user else f"{user}@{self.domain}"

    # ---- mailboxes, as any other program sees them ----

    def maildir(self, user, folder=""):
        name, _, domain = self.address(user).partition("@")
        return f"{self.mail}/{domain}/{name}/Maildir" + (f"/.{folder}" if folder else "")

    def files(self, user, folder=""):
        """(path, bytes) of each."""
        for path in sorted(glob.glob(f"{self.maildir(user, folder)}/new/*") + glob.glob(f"{self.maildir(user, folder)}/cur/*")):
            with open(path, "rb") as f:
                yield path, f.read()

    def messages(self, user, folder=""):
        return [data for _, data in self.files(user, folder)]

    def wait_messages(self, user, count, seconds=30, folder=""):
        """The messages, as soon as there are that many; fewer when the time is over."""
        wait_for(lambda: len(self.messages(user, folder)) >= count, seconds)
        return self.messages(user, folder)

    def put_message(self, user, data, folder="", flags=""):
        """Puts a message into the Maildir as another program would; its base name."""
        base = self.maildir(user, folder)
        for sub in ("tmp", "new", "cur"):
            path = f"{base}/{sub}"
            if not os.path.isdir(path):
                os.makedirs(path, mode=0o700)
        owner = f"{self.mail}/{self.address(user).split('@')[1]}"
        for path, _, _ in os.walk(owner):
            self.give(path, "store")
        name = f"{time.time_ns() // 1000000000}.M{random.randrange(10**9)}P{os.getpid()}.other"
        with open(f"{base}/tmp/{name}", "wb") as f:
            f.write(data if isinstance(data, bytes) else data.encode())
        os.chmod(f"{base}/tmp/{name}", 0o600)
        self.give(f"{base}/tmp/{name}", "store")
        os.rename(f"{base}/tmp/{name}", f"{base}/cur/{name}:2,{flags}" if flags else f"{base}/new/{name}")
        return name
