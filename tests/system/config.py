#!/usr/bin/python3
# config.py - what an admin does with his configuration: check it, look at it, change it; and with modules
# SPDX-License-Identifier: Apache-2.0
import json
import os
import subprocess

from tap import Tap

BUILD, RUN = os.environ["EKIDEN_BUILD"], os.environ["EKIDEN_RUN"]
CONF = f"{RUN}/ekiden.conf"
t = Tap()


def ekiden(*words):
    env = {**os.environ, "EKIDEN_MODULE_PATH": f"{BUILD}/modules", "EKIDEN_CONFIG": CONF}
    return subprocess.run([f"{BUILD}/ekiden", *words], env=env, capture_output=True, text=True, timeout=60)


def write(name, text, mode=0o640):
    with open(f"{RUN}/{name}", "w") as f:
        f.write(text)
    os.chmod(f"{RUN}/{name}", mode)


def read(name):
    with open(f"{RUN}/{name}") as f:
        return f.read()


GOOD = """# our users
file "staff" {
  path = %s/users      # as Dovecot has it
  scheme = PLAIN
}
include "conf.d/*.conf"
""" % RUN
os.mkdir(f"{RUN}/conf.d")
write("users", "a:{PLAIN}x\n")
write("ekiden.conf", GOOD)
write("conf.d/guests.conf", "file \"guests\" {\n  path = %s/users\n  path = /other\n}\n" % RUN)

# ---- check ----
r = ekiden("config", "check")
t.equal(r.returncode, 1, "a setting that is given twice is found")
t.equal(r.stderr, f"{RUN}/conf.d/guests.conf:3:3: the setting \"path\" is given twice: it stands in {RUN}/conf.d/guests.conf:2 "
                  "already; remove one\n", "with the file, the line and where it stands first")
write("conf.d/guests.conf", "file \"guests\" {\n  path = %s/users\n}\n" % RUN)
r = ekiden("config", "check")
t.equal((r.returncode, r.stdout, r.stderr), (0, "", ""), "check is silent when all is well")
write("wrong.conf", "file \"a\" { pth = /x\n}\nflie \"b\" { path = /y\n}\nfile \"c\" { path = $z\n}\nlisten to me\nmilter \"d\" {}\n")
r = ekiden("config", "check", "-c", f"{RUN}/wrong.conf")
lines = r.stderr.splitlines()
t.equal((r.returncode, len(lines)), (1, 6), "all errors at once, each once")
for place, says in (("1:1", "needs a setting \"path\""), ("1:12", "did you mean \"path\"?"), ("3:1", "did you mean \"file\"?"),
                    ("5:19", "the variable $z is not set"), ("7:11", "expected `{`"), ("8:1", "the package ekiden-milter ships it")):
    t.ok(any(f"wrong.conf:{place}: " in line and says in line for line in lines), f"{place} {says}", r.stderr)
found = json.loads(ekiden("config", "check", "--json", "-c", f"{RUN}/wrong.conf").stdout)
t.equal((found["ok"], found["count"], [p["line"] for p in found["problems"]]), (False, len(lines), sorted(p["line"] for p in
        found["problems"])), "the same as JSON, in order")
t.equal(json.loads(ekiden("config", "check", "--json").stdout), {"ok": True, "count": 0, "problems": []}, "JSON when all is well")
r = ekiden("config", "check", "-c", f"{RUN}/nothing.conf")
t.contains(r.stderr, "nothing.conf: No such file", "a file that is missing is named")

# ---- what is named must be there ----
LISTENER = "listener \"in\" {\n  address = 127.0.0.1:25\n  protocol = %s\n%s}\n"
for protocol, setting, more, says in (
        ("smtp", "  mechanisms = PLAIN, LOGIN\n", "", ("4:16: listener \"in\" offers the mechanism PLAIN, and nothing", "4:23: ")),
        ("smtp", "  mechanisms = PLAIN, SCRAM-X\n", "sasl_plain { }\n", ("4:23: listener \"in\" offers the mechanism SCRAM-X",)),
        ("smtp", "  mechanisms = PLAIN, LOGIN\n", "sasl_plain { }\n", ()),
        ("smtp", "  mechanisms = []\n", "", ()),
        ("smtp", "", "", ()),
        ("imap", "", "", ("1:1: nobody can log in at listener \"in\": it offers PLAIN, and nothing in this configuration answers it: "
                          "add a block of a module that does, as sasl_plain { } does for PLAIN and LOGIN",)),
        ("imap", "  mechanisms = LOGIN\n", "", ("4:16: listener \"in\" offers the mechanism LOGIN",)),
        ("imap", "", "sasl_plain { }\n", ()),
        ("imaap", "", "sasl_plain { }\n", ("3:14: ",)),
        ("smtp", "  certificates = none\n", "", ("1:1: listener \"in\": there is no block certificate \"none\"",)),
        ("smtp", "", "domain \"d.example\" {\n  auth = nobody\n  mailboxes = nowhere\n}\n", ("6:10: ", "7:15: ")),
        ("smtp", "", "sqlite \"s\" {\n  path = /x\n  query = \"SELECT :key\"\n}\nmaildir { }\ndomain \"d.example\" {\n  auth = s\n  mailboxes = maildir\n}\n",
         (f"11:10: auth: expected a passdb, and sqlite \"s\" ({RUN}/asked.conf:5) is none: password_query is not set",)),
        ("smtp", "", "ldap \"l\" {\n  uris = ldap://x\n  filter = \"(a=:key)\"\n  attributes = b\n}\nmaildir { }\ndomain \"d.example\" {\n  auth = l\n"
         "  mailboxes = maildir\n}\n", (f"12:10: auth: expected a passdb, and ldap \"l\" ({RUN}/asked.conf:5) is none: neither ",)),
        ("smtp", "", "domain \"d.example\" {\n  transport = nothing\n}\nrouting {\n  transport = never\n}\n", ("6:15: ", "9:15: "))):
    write("asked.conf", LISTENER % (protocol, setting) + more)
    r = ekiden("config", "check", "-c", f"{RUN}/asked.conf")
    lines = r.stderr.splitlines()
    t.ok(r.returncode == (1 if says else 0) and len(lines) == len(says)
         and all(line.startswith(f"{RUN}/asked.conf:{say}") for line, say in zip(lines, says)),
         f"{protocol}, {setting.strip()!r}, {more!r}: {len(says)} told", r.stderr)

# ---- show ----
r = ekiden("config", "show")
t.equal([line.split("#")[0].split() for line in r.stdout.splitlines()],
        [["file.staff.path", "=", f"{RUN}/users"], ["file.staff.scheme", "=", "PLAIN"], ["file.guests.path", "=", f"{RUN}/users"]],
        "show tells what is set")
t.contains(r.stdout, f"# {RUN}/conf.d/guests.conf:2\n", "and where")
every = ekiden("config", "show", "--all", "guests").stdout
t.ok("file.guests.scheme = CRYPT" in every and "# default" in every and "staff" not in every, "--all NAME", every)
rows = json.loads(ekiden("config", "show", "--json", "file.staff.scheme").stdout)
t.equal([(r["path"], r["value"], r["line"]) for r in rows], [("file.staff.scheme", "PLAIN", 4)], "one setting as JSON")
t.equal(ekiden("config", "show", "nothing.here").returncode, 1, "a name that is nothing's fails")

# ---- set ----
r = ekiden("config", "set", "file.staff.scheme", "SHA512-CRYPT")
t.equal((r.returncode, r.stdout, r.stderr), (0, "", ""), "set is silent")
t.equal(read("ekiden.conf"), GOOD.replace("scheme = PLAIN", "scheme = SHA512-CRYPT"), "one value changed, the rest as it was")
t.equal(os.stat(CONF).st_mode & 0o777, 0o640, "the mode is kept")
if os.geteuid() == 0:
    os.chown(CONF, 65534, 65534)
    ekiden("config", "set", "file.staff.scheme", "SHA256-CRYPT")
    ekiden("config", "set", "file.staff.scheme", "SHA512-CRYPT")
    st = os.stat(CONF)
    t.equal((st.st_uid, st.st_gid, st.st_mode & 0o777), (65534, 65534, 0o640), "and the owner")
    os.chown(CONF, 0, 0)
r = ekiden("config", "set", "file.guests.home", "/home/with blank/%n")
t.equal(read("conf.d/guests.conf"), "file \"guests\" {\n  path = %s/users\n  home = \"/home/with blank/%%n\"\n}\n" % RUN,
        "the file that holds the block is changed, quotes are added")
before = read("ekiden.conf")
r = ekiden("config", "set", "file.staff.shceme", "PLAIN")
t.ok(r.returncode == 1 and "did you mean \"scheme\"?" in r.stderr and "nothing is changed" in r.stderr, "a wrong key is refused", r.stderr)
t.equal(read("ekiden.conf"), before, "and nothing was written")
t.equal(ekiden("config", "set", "--dry-run", "file.staff.scheme", "PLAIN").returncode, 0, "a dry run")
t.equal(read("ekiden.conf"), before, "writes nothing")
t.equal(sorted(os.listdir(RUN + "/conf.d")), ["guests.conf"], "no temporary file is left")

# ---- modules ----
r = ekiden("module", "list")
t.ok(any(line.split()[:2] == ["file", "map,"] for line in r.stdout.splitlines()), "module list", r.stdout)
names = {m["name"]: m for m in json.loads(ekiden("module", "list", "--json").stdout)}
t.equal(names["file"]["roles"], ["directory"], "its roles, as JSON")
t.contains(ekiden("module", "show", "text").stdout, "offers    map\n", "module show")
t.contains(ekiden("module", "doc", "file").stdout, "  path = required    (string)\n", "module doc")
r = ekiden("module", "show", "fiel")
t.ok(r.returncode == 1 and "did you mean \"file\"?" in r.stderr, "a module that is not there", r.stderr)

# ---- words ----
t.equal(ekiden("config", "chekc").returncode, 2, "a wrong command is status 2")
t.contains(ekiden("config", "chekc").stderr, "did you mean \"check\"?", "and names the right one")
for words in (["--help"], ["config", "--help"], ["config", "set", "--help"], ["module", "list", "--help"]):
    r = ekiden(*words)
    t.ok(r.returncode == 0 and r.stdout.startswith("Usage:"), " ".join(words), r.stdout + r.stderr)
t.contains(ekiden("config", "reference").stdout, "#file \"NAME\" {\n#  # The file: ", "config reference")
t.done()
