#!/usr/bin/python3
# roles.py - each role's user, rights, confinement and descriptors, compared with docs/architecture.md; restarts; merged
# SPDX-License-Identifier: Apache-2.0
# ports
import ctypes
import os
import re
import signal
import sys

sys.path.insert(0, os.path.join(os.environ["EKIDEN_TOP"], "tests/lib"))
from ekiden import MAIL, Server, listener, wait_for
from tap import Tap

t = Tap()
CONFIG = MAIL + listener("smtp") + listener("imaps")
ROOT = os.geteuid() == 0
LANDLOCK = ctypes.CDLL(None).syscall(444, None, 0, 1)
with open("/proc/self/status", encoding="utf-8") as f:
    SECCOMP = os.uname().machine in ("x86_64", "aarch64") and "\nSeccomp:" in f.read()
with open(os.path.join(os.environ["EKIDEN_TOP"], "docs/architecture.md"), encoding="utf-8") as f:
    table = {}
    for line in f:
        cells = [c.strip() for c in line.strip().strip("|").split("|")]
        if len(cells) == 5 and re.fullmatch(r"[a-z]+", cells[0]) and cells[0] != "role":
            table[cells[0]] = {"user": cells[1], "chroot": cells[3] == "yes", "talks": cells[4]}
t.equal(sorted(table), sorted(["master", "tls", "edge", "directory", "queue", "relay", "store", "log", "control"]),
        "the document's table has every role")


def status(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def descriptors(pid):
    found = []
    for fd in sorted(os.listdir(f"/proc/{pid}/fd"), key=int):
        try:
            found.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
        except OSError:
            pass
    return found


def sanitized(pid):
    with open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as file:
        return "libasan" in (text := file.read()) or "libtsan" in text


def folder_of(name, server):
    """Files that a role may hold open, as patterns."""
    return {"queue": [f"{server.dir}/spool", f"{server.dir}/state/maildrop"], "log": [f"{server.dir}/log"],
            "store": [f"{server.dir}/mail"], "directory": [server.users], "relay": ["/etc/"]}.get(name, [])


with Server(CONFIG, users=["anna"], log="  level = debug") as server:
    workers = {name: pid for pid, name in server.workers().items()}
    t.equal(sorted({name.split(".")[0] for name in workers}), sorted(set(table) - {"master"}), "every role has a process")
    uids = {}
    for name, pid in sorted(workers.items()):
        role = name.split(".")[0]
        facts, fds = status(pid), descriptors(pid)
        files = [f for f in fds if f.startswith("/") and not f.startswith("/dev/null")]
        t.note(f"{name}: uid {facts['Uid'].split()[0]}, CapEff {facts['CapEff']}, {len(fds)} descriptors, files {files}")
        uids.setdefault(role, facts["Uid"].split()[0])
        threads = [status(f"{pid}/task/{task}") for task in os.listdir(f"/proc/{pid}/task")]
        t.equal({f["NoNewPrivs"] for f in threads}, {"1"}, f"{name}: no new privileges, in any thread")
        t.equal({f["Seccomp"] for f in threads}, {"2"} if SECCOMP else {"0"}, f"{name}: system calls are filtered, in every thread")
        t.equal({int(f["CapEff"], 16) | int(f["CapPrm"], 16) for f in threads} if ROOT else {0}, {0}, f"{name}: no capability, in any thread")
        said = LANDLOCK < 2 or server.logged(rf"worker\[{pid}\]: .*landlock: may read")
        t.ok(said, f"{name}: says which files landlock leaves it")
        mine = {p for line in re.findall(rf"worker\[{pid}\]: .*landlock: may change (.*)", server.log()) for p in line.split(", ")}
        for path, owner in ((f"{server.dir}/spool", "queue"), (f"{server.dir}/log", "log"), (server.mail, "store"),
                            (f"{server.dir}/state/maildrop", "queue"), (f"{server.dir}/run/control", "control")):
            if LANDLOCK >= 2:
                t.equal(any(path == m or path.startswith(m + "/") for m in mine), role == owner, f"{name}: {path.rsplit('/', 1)[1]}")
        if ROOT:
            t.ok(len(set(facts["Uid"].split())) == 1 and facts["Uid"].split()[0] != "0", f"{name}: one uid, not root's", facts["Uid"])
            t.equal(facts["Groups"].strip(), "", f"{name}: no supplementary groups")
        if ROOT and not sanitized(pid):
            chrooted = os.readlink(f"/proc/{pid}/root") != "/"
            t.equal(chrooted, table[role]["chroot"], f"{name}: chroot as the table says")
        allowed = folder_of(role, server)
        stray = [f for f in files if not any(f.startswith(a) for a in allowed) and "/san" not in f and "/stderr" not in f]
        t.equal(stray, [], f"{name}: holds no file that is not its own")
        with open(f"/proc/{pid}/environ", "rb") as file:
            names = {e.split(b"=")[0].decode() for e in file.read().split(b"\0") if e}
        t.ok(not names & {"PATH", "HOME", "USER", "SHELL"}, f"{name}: an empty environment", names)
    if ROOT and server.accounts and server.accounts["store"] == "vmail":
        t.equal(len(set(uids.values())), len(uids), "each role has a uid of its own")

    before = dict(workers)
    for name in ("edge.0", "store.0", "queue.0", "log.0"):
        os.kill(before[name], signal.SIGKILL)
    back = wait_for(lambda: len([n for n in server.workers().values()]) == len(before) and server, 15)
    t.ok(back, "roles that were killed are started again")
    wait_for(lambda: len(server.workers()) == len(before), 5)
    with server.smtp("smtp") as c:
        c.ehlo()
        reply = wait_for(lambda: (r := c.mail("a@example.org", f"anna@{server.domain}", b"Subject: after\r\n\r\nx\r\n")).code == 250 and r, 10, 0.3)
    t.ok(reply, "mail is taken afterwards")
    t.ok(server.wait_messages("anna", 1), "and delivered")

with Server(CONFIG, users=["anna", ("eve", "{PLAIN}secret::::/usr/no/such/home")]) as server:
    code, text = server.ekiden("doctor", "--no-dns")
    word = "ok" if LANDLOCK >= 2 and SECCOMP else "warning"
    t.ok(re.search(rf"^{word} +confinement ", text, re.M), "doctor tells whether roles are confined", text)
    if LANDLOCK >= 2:
        with server.smtp("smtp") as c:
            c.ehlo()
            t.equal(c.mail("a@example.org", f"eve@{server.domain}", b"Subject: far\r\n\r\nx\r\n").code, 250, "mail to a home that store may not reach")
        t.ok(server.logged(r"status=deferred .*/usr/no/such/home is not among the folders that store may reach: add \"store:/usr/no/such/home\""),
             "waits, and the log says what to configure", server.tail())
        old = {name: pid for pid, name in server.workers().items()}
        server.roles = '  paths = "store:/usr/no/such/home"'
        server.write(CONFIG)
        t.equal(server.reload()[0], 0, "a reload that gives store another folder")
        t.ok(wait_for(lambda: server.pid_of("store.0") not in (None, old["store.0"]), 30), "replaces its process")
        now = {name: pid for pid, name in server.workers().items()}
        t.equal([n for n in old if old[n] != now.get(n)], ["store.0"], "and no other")
        with server.smtp("smtp") as c:
            c.ehlo()
            t.equal(c.mail("a@example.org", f"anna@{server.domain}", b"Subject: more\r\n\r\nx\r\n").code, 250, "mail is taken")
        t.ok(server.wait_messages("anna", 1), "and delivered")
    t.equal(server.problems(), [], "no report, and no process died")

with Server(CONFIG, users=["anna"], roles="  confine = no") as server:
    t.equal({status(pid)["Seccomp"] for pid in server.workers()}, {"0"}, "confine = no does without")

with Server(CONFIG, users=["anna"], layout="merged") as server:
    t.equal(len(server.workers()), 1, "merged: one process")
    with server.smtp("smtp") as c:
        c.ehlo()
        t.equal(c.mail("a@example.org", f"anna@{server.domain}", b"Subject: merged\r\n\r\nx\r\n").code, 250, "merged: mail is taken")
    t.ok(server.wait_messages("anna", 1), "merged: and delivered")
    with server.imap("imaps", "anna") as c:
        t.equal(c.cmd("SELECT INBOX").status, "OK", "merged: and read over TLS")
    t.equal(server.problems(), [], "merged: no report")
t.done()
