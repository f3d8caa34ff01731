#!/usr/bin/python3
# quickstart.py - ./quickstart in a folder: twice, its variables, its server, stop; as root and without
# SPDX-License-Identifier: Apache-2.0
# full
# alone
# limit: 2400
import os
import re
import shlex
import shutil
import socket
import ssl
import subprocess

from ekiden import wait_for
from tap import Tap
from treefiles import tree_files
from wire import Imap, Smtp

TOP, RUN = os.environ["EKIDEN_TOP"], os.environ["EKIDEN_RUN"]
NAMES = ("HOST SMTP_PORT SUBMISSION_PORT SUBMISSIONS_PORT IMAP_PORT IMAPS_PORT USER1 USER2 PASS ADDR1 ADDR2 CAFILE CONF MAIL_ROOT "
         "PIDFILE BIN").split()
t = Tap()


def clone(folder, user=None):
    """A copy of the tree as git would give it: nothing that was ever made, and owned by who uses it."""
    for name in tree_files():
        os.makedirs(os.path.dirname(f"{folder}/{name}"), exist_ok=True)
        shutil.copy2(f"{TOP}/{name}", f"{folder}/{name}", follow_symlinks=False)
    if user:
        subprocess.run(["chown", "-R", f"{user}:{user}", folder], check=True)


def quickstart(*words, user=None, tree=None, path=None):
    command = [f"{tree or TREE}/quickstart", *words]
    if user:
        command = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *command]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                          env={**os.environ, "EKIDEN_OFFLINE": "1", **({"HOME": f"{RUN}/b", "TMPDIR": f"{RUN}/b"} if user else {}),
                               **({"CCACHE_DIR": f"{RUN}/b/ccache"} if user else {}), **({"PATH": path} if path else {})})
    return done.returncode, done.stdout


def variables(prefix):
    with open(f"{prefix}/quickstart.env", encoding="utf-8") as f:
        return dict(word.split("=", 1) for line in f if not line.startswith("#") for word in shlex.split(line))


def alive(pidfile):
    try:
        with open(pidfile, encoding="ascii") as f:
            return os.path.exists(f"/proc/{int(f.read())}")
    except (OSError, ValueError):
        return False


def uids(pidfile):
    """The uids of the server's processes but master."""
    with open(pidfile, encoding="ascii") as f:
        master = f.read().strip()
    found = set()
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/status", encoding="ascii", errors="replace") as f:
                status = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
        except OSError:
            continue
        if status.get("PPid") == master:
            found.add(int(status["Uid"].split()[0]))
    return found


def session(who, prefix, user=None, tree=None, words=(), more=None):
    status, output = quickstart("--prefix", prefix, *words, user=user, tree=tree)
    if not t.ok(status == 0, f"{who}: ./quickstart --prefix DIR", output[-3000:]):
        return
    for text in ("STARTTLS", "AUTH PLAIN", "queued as", "LOGIN", "UID FETCH", "Ben!"):
        t.contains(output, text, f"{who}: it shows {text}")
    env = variables(prefix)
    t.equal([n for n in NAMES if not env.get(n)], [], f"{who}: quickstart.env has every variable")
    t.ok(alive(env["PIDFILE"]), f"{who}: the server is left running")
    ours = uids(env["PIDFILE"])
    if user or os.geteuid() != 0:
        t.equal(len(ours), 1, f"{who}: all roles under one uid")
    else:
        t.ok(0 not in ours and len(ours) >= 8, f"{who}: each role under an uid of its own, none root", ours)
    context = ssl.create_default_context(cafile=env["CAFILE"])
    with Smtp(int(env["SUBMISSIONS_PORT"]), tls=context, name="localhost") as c:
        c.ehlo()
        t.equal(c.auth_plain(env["USER2"], env["PASS"]).code, 235, f"{who}: a login without the domain")
        t.equal(c.mail(env["ADDR2"], env["ADDR1"], b"Subject: back\r\n\r\nx\r\n").code, 250, f"{who}: a message the other way")
    with Imap(int(env["IMAP_PORT"]), name="localhost") as c:
        c.starttls(context)
        t.equal(c.login(env["USER1"], env["PASS"]).status, "OK", f"{who}: IMAP with STARTTLS")
    for tool in ("ekiden", "ekidend"):
        t.ok(os.access(f"{env['BIN']}/{tool}", os.X_OK), f"{who}: BIN has {tool}")
    if more:
        more(who, env, context)
    status, output = quickstart("--prefix", prefix, user=user, tree=tree)
    t.ok(status == 0, f"{who}: again", output[-3000:])
    t.equal(variables(prefix), env, f"{who}: with the same ports and password")
    status, output = quickstart("--prefix", prefix, "stop", user=user, tree=tree)
    t.ok(status == 0 and not alive(env["PIDFILE"]), f"{who}: stop", output)
    status, output = quickstart("stop", "--prefix", prefix, user=user, tree=tree)
    t.ok(status == 0, f"{who}: stop again is no error", output)


def alias(who, env, context):
    """An alias in SQL: both users get it."""
    with Smtp(int(env["SMTP_PORT"]), name="localhost") as c:
        c.ehlo()
        t.equal(c.mail("x@elsewhere.test", f"info@{env['ADDR1'].split('@')[1]}", b"Subject: to the alias\r\n\r\nx\r\n").code, 250,
                f"{who}: mail for an alias")
    for user in (env["USER1"], env["USER2"]):
        with Imap(int(env["IMAPS_PORT"]), tls=context, name="localhost") as c:
            c.login(user, env["PASS"])
            t.ok(wait_for(lambda: c.cmd("SELECT INBOX").status == "OK" and re.search(
                rb"^\* SEARCH \d", b"\n".join(c.cmd('SEARCH SUBJECT "to the alias"').untagged), re.M), 20), f"{who}: {user} has it")


def refusals(prefix, user):
    """What cannot be is said at once, and says what to do."""
    env = variables(prefix)
    with socket.create_server(("127.0.0.1", int(env["SUBMISSION_PORT"]))):
        status, output = quickstart("--prefix", prefix)
        t.ok(status == 1 and f"another program has port {env['SUBMISSION_PORT']}" in output, "a port that is taken", output[-1000:])
    status, output = quickstart("--prefix", "relative dir")
    t.ok(status == 2 and "choose another --prefix" in output, "a folder with a blank", output)
    t.equal(quickstart("--frobnicate")[0], 2, "an option that there is not")
    if user:
        status, output = quickstart("--prefix", f"{RUN}/closed/x", user=user)
        t.ok(status == 1 and "cannot write to" in output and "choose another --prefix" in output, "a folder that may not be written", output)
        # a machine without a compiler, as its package manager tells it
        os.makedirs(f"{RUN}/fake")
        with open(f"{RUN}/fake/dpkg-query", "w", encoding="utf-8") as f:
            f.write("#!/bin/sh\n/usr/bin/dpkg-query \"$@\" | grep -vx 'ii *gcc'\n")
        os.chmod(f"{RUN}/fake/dpkg-query", 0o755)
        status, output = quickstart("--prefix", f"{RUN}/none", user=user, path=f"{RUN}/fake:{os.environ['PATH']}")
        t.ok(status == 1 and "needs root" in output and "missing: gcc" in output, "no compiler and no rights to install one", output)


TREE = f"{RUN}/tree"
clone(TREE)
os.makedirs(f"{RUN}/closed", mode=0o755)
session("root" if os.geteuid() == 0 else "user", f"{RUN}/a")
refusals(f"{RUN}/a", "65534" if os.geteuid() == 0 else None)
os.unlink(f"{RUN}/a/etc/ekiden.conf")                      # the same programs with users, domains and aliases in SQL
session("sqlite", f"{RUN}/a", words=("--with", "sqlite"), more=alias)
if os.geteuid() == 0:
    os.mkdir(f"{RUN}/b")
    clone(f"{RUN}/b/tree", "65534")
    os.chown(f"{RUN}/b", 65534, 65534)
    session("nobody", f"{RUN}/b/q", user="65534", tree=f"{RUN}/b/tree")
t.done()
