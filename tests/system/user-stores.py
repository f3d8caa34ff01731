#!/usr/bin/python3
# user-stores.py - users with a uid of their own: a store worker of that uid, started on demand, ended when idle, refused out of range
# limit: 600
# ports
# waits
# SPDX-License-Identifier: Apache-2.0
import glob
import os
import signal
import stat

from ekiden import Server, wait_for
from tap import Tap

t = Tap()
ROOT = os.geteuid() == 0
CONFIG = """
sasl_plain { }
file "people" { path = $users
  home = "${mail}/%d/%n" }
maildir "mail" { path = "%h/Maildir" }
domain $domain { auth = people
  mailboxes = mail }
queue { backoff_min = 1s
  backoff_max = 2s }
listener "smtp" { address = "127.0.0.1:${port_smtp}"
  protocol = smtp
  plaintext_auth = yes }
listener "imap" { address = "127.0.0.1:${port_imap}"
  protocol = imap
  plaintext_auth = yes }
"""
OWN = {"carl": (70001, 80001), "dora": (70002, 80002), "emil": (70003, 80003), "gina": (70010, 80010), "hugo": (70010, 80010)}
GRIEF = {"lowly": (500, 80009), "rooty": (0, 0), "groupless": (70009, "")}


class Site(Server):
    def __init__(self, roles="", **more):
        super().__init__(CONFIG, start=False, roles=roles, **more)
        self.homes = f"{self.dir}/homes"
        os.mkdir(self.homes, 0o755)
        lines = [f"ben@{self.domain}:{{PLAIN}}secret\n"]
        for name, (uid, gid) in {**OWN, **GRIEF}.items():
            home = f"{self.homes}/{name}"
            os.mkdir(home, 0o700)
            if ROOT:
                os.chown(home, uid, gid or 80009)
            lines.append(f"{name}@{self.domain}:{{PLAIN}}secret:{uid}:{gid}::{home}::\n")
        with open(self.users, "w", encoding="utf-8") as f:
            f.writelines(lines)
        self.give(self.users, "directory")
        self.start()

    def files_of(self, name):
        return sorted(glob.glob(f"{self.homes}/{name}/Maildir/new/*") + glob.glob(f"{self.homes}/{name}/Maildir/cur/*"))

    def send(self, *names, text="hello", count=1):
        with self.smtp() as c:
            c.ehlo()
            for i in range(count):
                c.cmd("MAIL FROM:<x@elsewhere.test>")
                codes = [c.cmd(f"RCPT TO:<{self.address(n)}>").code for n in names]
                if 250 in codes:
                    c.cmd("DATA")
                    c.cmd(f"Subject: {text} {i}\r\n\r\n{text} {i}\r\n.")
                else:
                    c.cmd("RSET")
        return codes

    def arrived(self, name, count, seconds=60):
        return len(wait_for(lambda: len(f := self.files_of(name)) >= count and f, seconds) or self.files_of(name))

    def worker(self, name):
        """What status says of the worker of this user's uid; {} when there is none."""
        return next((w for w in self.status().get("workers", []) if w.get("uid") == OWN[name][0]), {})

    def try_login(self, name):
        with self.imap("imap") as c:
            return str(c.login(self.address(name), "secret"))


def uid_of(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as f:
        facts = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
    return facts["Uid"].split(), facts["Gid"].split(), facts["Groups"].split()


def mail_and_login(s):
    t.equal(s.send("carl", "dora", "ben"), [250, 250, 250], "two users of own uids and a virtual one: accepted")
    t.equal([s.arrived("carl", 1), s.arrived("dora", 1), len(s.wait_messages("ben", 1))], [1, 1, 1], "all three have it")
    for name in ("carl", "dora"):
        bad = []
        for path, folders, files in os.walk(f"{s.homes}/{name}"):
            for entry in [path] + [f"{path}/{f}" for f in folders + files]:
                st = os.lstat(entry)
                if (st.st_uid, st.st_gid) != OWN[name] or stat.S_IMODE(st.st_mode) & 0o077:
                    bad.append((entry, st.st_uid, st.st_gid, oct(st.st_mode)))
        t.equal(bad, [], f"{name}: every file is his, and for nobody else")
        with s.imap("imap", name) as c:
            t.contains(str(c.cmd("SELECT INBOX")), "1 EXISTS", f"{name} reads it by IMAP")
            w = s.worker(name)
            uids, gids, groups = uid_of(w["pid"])
            t.equal([set(uids), set(gids), groups], [{str(OWN[name][0])}, {str(OWN[name][1])}, []],
                    f"{name}'s session is with {w['name']}, of his uid and gid, without other groups")
            t.contains(str(c.cmd("FETCH 1 BODY[TEXT]")), "hello 0", "the message is whole")
    with s.imap("imap", "ben") as c:
        t.contains(str(c.cmd("SELECT INBOX")), "1 EXISTS", "the virtual user is with the common store process")
    t.ok(all(os.stat(p).st_uid == os.stat(s.mail).st_uid for p, _ in s.files("ben")), "whose mail lies under the mailbox owner's uid")
    with s.smtp() as c:
        c.ehlo()
        t.equal(c.auth_plain(s.address("emil"), "secret").code, 235, "who submits mail logs in")
        t.equal(s.worker("emil"), {}, "and no store process is started for that")


def shared(s):
    """Two homes under one uid: one process, which gets the other's files too."""
    s.send("gina")
    t.equal(s.arrived("gina", 1), 1, "the first of two users who share a uid has his mail")
    first = s.worker("gina").get("pid")
    s.send("hugo")
    t.equal(s.arrived("hugo", 1), 1, "the second one too")
    t.ok(s.logged("several homes share uid 70010"), "a new process has both homes")
    second = s.worker("hugo").get("pid")
    s.send("gina", "hugo")
    t.equal([s.arrived("gina", 2), s.arrived("hugo", 2)], [2, 2], "and both go on")
    t.equal(s.worker("gina").get("pid"), second, f"in that one ({first}, {second})")
    t.contains(s.try_login("gina"), "OK", "the first logs in")
    t.contains(s.try_login("hugo"), "OK", "and the second")


def refused(s):
    for name, why in (("lowly", r"below roles\.first_valid_uid"), ("rooty", r"uid 0 is root's.*roles\.first_valid_uid"),
                      ("groupless", r"no gid")):
        t.equal(s.send(name), [451], f"{name}: mail is put off")
        t.contains(s.try_login(name), "UNAVAILABLE", f"{name}: a login is unavailable, not wrong")
        t.ok(s.logged(rf"{name}@.*{why}"), f"{name}: the log names the option")
        t.equal(os.listdir(f"{s.homes}/{name}"), [], "nothing was written")
    t.equal(s.send("lowly", "carl"), [451, 250], "others in the same transaction are not disturbed")
    t.equal(s.arrived("carl", 2), 2, "and have it")


def killed(s):
    """Killed again and again while mail comes."""
    before, kills = len(s.files_of("carl")), 0
    for i in range(6):
        s.send("carl", text=f"round{i}", count=10)
        pid = wait_for(lambda: s.worker("carl").get("pid"), 30)
        if pid:
            os.kill(pid, signal.SIGKILL)
            kills += 1
    t.equal(kills, 6, "the worker was killed six times while mail came")
    s.arrived("carl", before + 60, 120)
    wait_for(lambda: "0 messages" in s.ekiden("queue", "list")[1] or "empty" in s.ekiden("queue", "list")[1], 60)
    subjects = []
    for path in s.files_of("carl"):
        with open(path, encoding="utf-8") as f:
            subjects += [line for line in f.read().splitlines() if line.startswith("Subject: round")]
    t.equal(sorted(subjects), sorted(f"Subject: round{i} {k}" for i in range(6) for k in range(10)), "nothing is lost, nothing is doubled")
    t.equal(len(s.wait_messages("ben", 1)), 1, "the virtual user was not disturbed")


def reloaded(s):
    with s.imap("imap", "carl") as c:
        w = s.worker("carl")
        s.replace_conf(open(s.conf, encoding="utf-8").read().replace("plaintext_auth = yes }\nlistener", "plaintext_auth = yes\n}\nlistener"))
        t.equal(s.reload()[0], 0, "a reload")
        t.contains(str(c.cmd("NOOP")), "OK", "a session in the worker lives on")
        t.equal(wait_for(lambda: s.worker("carl").get("generations") == 1 and s.worker("carl").get("pid"), 30), w["pid"],
                "it is the same process, with the new configuration alone")
    os.kill(w["pid"], signal.SIGSTOP)
    t.equal(s.reload()[0], 0, "a user who stops his worker keeps nobody from reloading")
    os.kill(w["pid"], signal.SIGCONT)
    t.contains(s.try_login("carl"), "OK", "and it goes on later")


def main():
    with Site() as s:
        s.deaths_expected = True
        mail_and_login(s)
        shared(s)
        refused(s)
        reloaded(s)
        killed(s)
        t.ok(s.stop(), "it stops in order")
        t.equal(s.problems(), [], "no reports")


def idle():
    with Site(roles="  user_store_idle = 1s\n  user_stores = 1") as s:
        with s.imap("imap", "carl") as c:
            first = s.worker("carl")["pid"]
            t.contains(s.try_login("dora"), "UNAVAILABLE", "one process may run (user_stores): the next user's login is unavailable")
            s.send("dora")
            t.ok(s.logged(r"dora@.*roles\.user_stores"), "his mail waits, and the log names the option")
            t.equal(s.files_of("dora"), [], "it is not here yet")
            t.contains(str(c.cmd("NOOP")), "OK", "the first one's session goes on")
        t.ok(wait_for(lambda: s.worker("carl").get("pid") != first, 60), "an idle process ends")
        t.equal(s.arrived("dora", 1, 90), 1, "and the other's mail arrives: later, not no")
        t.ok(wait_for(lambda: not s.worker("dora"), 60), "that one ends too")
        t.contains(s.try_login("carl"), "OK", "the first one is back at the next login")
        s.send("carl")
        t.equal(s.arrived("carl", 1), 1, "and gets mail")
        t.ok(wait_for(lambda: not s.worker("carl"), 60), "it ends once more,")
        s.send("carl")
        t.equal(s.arrived("carl", 2), 2, "and mail starts it again")
        os.rename(f"{s.homes}/dora", f"{s.homes}/away")
        t.ok(wait_for(lambda: not s.worker("carl"), 60), "idle again")
        s.send("dora", text="homeless")
        t.ok(s.logged(r"dora was not there", 60), "a home that is not there: mail waits, the log says why")
        os.rename(f"{s.homes}/away", f"{s.homes}/dora")
        t.equal(s.arrived("dora", 2, 120), 2, "it arrives when the home is back")
        t.ok("ended: " not in s.log(), "an idle one's end is no accident")
        t.ok(s.stop(), "it stops in order")
        t.equal(s.problems(), [], "no reports")


def crowded():
    with Site(roles="  user_store_idle = 1h\n  user_stores = 1") as s:
        s.send("carl")
        t.equal(s.arrived("carl", 1), 1, "one process may run, and would stay for an hour")
        t.contains(s.try_login("dora"), "UNAVAILABLE", "who comes then is put off")
        t.ok(wait_for(lambda: "OK" in s.try_login("dora"), 60, 0.5), "but the idle one makes room")
        t.ok(s.worker("dora") and not s.worker("carl"), "and is gone")
        t.equal(s.problems(), [], "no reports")


def one_uid(layout, roles=""):
    """Where there are none: all mail under one uid, as the log says."""
    with Site(layout=layout, roles=roles) as s:
        for name in OWN:
            if ROOT:
                s.give(f"{s.homes}/{name}", "store")
        s.send("carl", "ben")
        t.equal([s.arrived("carl", 1), len(s.wait_messages("ben", 1))], [1, 1], f"{layout} {roles.strip()}: both have it, under one uid")
        t.equal({os.stat(p).st_uid for p in s.files_of("carl")}, {os.stat(s.mail).st_uid}, "which is the mailbox owner's")
        t.contains(s.try_login("carl"), "OK", "and log in")
        t.equal(s.worker("carl"), {}, "there is no process of his own")
        if not roles:
            t.equal(len(s.log().split("handled under one uid")) - 1, 1, "the log says so once")
        else:
            with open(s.conf, encoding="utf-8") as f:
                conf = f.read()
            line = conf[:conf.index("user_stores = 0")].count("\n") + 1
            s.replace_conf(conf.replace("user_stores = 0", "user_stores = 5").replace(f"user_store = {s.accounts['store']}", "user_store = nobody"))
            status, text = s.reload()
            want = f"{s.conf}:{line}: roles.user_stores takes effect at the next start"
            t.ok(status == 0 and want in text and "roles.user_store takes effect" in text, "what a reload does not change is told, with its line", text)
            t.ok(s.logged(f"{s.conf}:{line}: roles.user_stores takes"), "in the log too")
            os.kill(s.pid_of("store.0"), signal.SIGKILL)
            s.deaths_expected = True
            s.send("carl")
            t.equal((s.arrived("carl", 2), {os.stat(p).st_uid for p in s.files_of("carl")}), (2, {os.stat(s.mail).st_uid}),
                    "a process that starts after that runs as it did before")
            t.equal(s.worker("carl"), {}, "and there is none of his own")
            s.replace_conf(conf)
            t.equal(s.reload(), (0, ""), "as it was: nothing to tell")
        t.ok(s.stop(), "it stops in order")
        t.equal(s.problems(), [], "no reports")


if ROOT:
    main()
    idle()
    crowded()
    one_uid("apart", "  user_stores = 0")
else:
    one_uid("apart")
one_uid("merged")
t.done()
