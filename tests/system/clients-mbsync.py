#!/usr/bin/python3
# clients-mbsync.py - mbsync keeps a Maildir and a mailbox alike, whatever changes on which side, by whichever program
# needs: mbsync
# limit: 600
# SPDX-License-Identifier: Apache-2.0
import glob
import hashlib
import os
import random
import re
import socket
import time

from clients import CONFIG, Run, message, secret_file
from ekiden import Server
from tap import Tap

t = Tap()
USER = "anna@example.test"
FLAGS = {"\\Draft": "D", "\\Flagged": "F", "\\Answered": "R", "\\Seen": "S"}
SEED = int(os.environ.get("EKIDEN_SEED") or random.randrange(2**31))
ROUNDS = 30 if os.environ.get("EKIDEN_FULL") else 8


def entry(data, letters):
    """What is compared of a message: its subject, flags and a digest of it, without the line that mbsync puts in."""
    data = re.sub(rb"^X-TUID: .*\n", b"", data.replace(b"\r\n", b"\n"), count=1, flags=re.M)
    subject = re.search(rb"^Subject: *(.*)$", data, re.M).group(1).decode()
    return subject, "".join(sorted(set(letters) & set("DFRS"))), hashlib.sha256(data).hexdigest()[:8]


class Near:
    """The Maildirs that mbsync keeps for its user."""

    def __init__(self, path, random_):
        self.path, self.random, self.count = path, random_, 0

    def files(self, folder):
        return glob.glob(f"{self.path}/{folder}/new/*") + glob.glob(f"{self.path}/{folder}/cur/*")

    def folders(self):
        found = []
        for path, names, _ in os.walk(self.path):
            if "cur" in names:
                found.append(os.path.relpath(path, self.path))
        return sorted(found)

    def state(self):
        out = {}
        for folder in self.folders():
            out[folder] = box = []
            for path in self.files(folder):
                with open(path, "rb") as f:
                    data = f.read()
                flags = path.rsplit(":2,", 1)[1] if ":2," in path else ""
                box.append(entry(data, flags))
            box.sort()
        return out

    def add(self, folder, mark):
        for sub in ("tmp", "new", "cur"):
            os.makedirs(f"{self.path}/{folder}/{sub}", exist_ok=True)
        self.count += 1
        with open(f"{self.path}/{folder}/new/{int(time.time())}.{self.count}_{os.getpid()}.{socket.gethostname()}", "wb") as f:
            f.write(message(mark, f"text of {mark}\n" * 5).replace(b"\r\n", b"\n"))

    def change(self, folder):
        """Other flags for one message, or the mark of a deletion."""
        files = self.files(folder)
        if not files:
            return
        path = self.random.choice(files)
        name, _, flags = os.path.basename(path).partition(":2,")
        flags = set(flags) ^ {self.random.choice("FRS")} if self.random.random() < 0.7 else set(flags) | {"T"}
        os.rename(path, f"{self.path}/{folder}/cur/{name}:2,{''.join(sorted(flags))}")


class Far:
    """The mailbox: changed over IMAP, and by other programs in its Maildir."""

    def __init__(self, server, random_):
        self.server, self.random = server, random_

    def state(self):
        out = {}
        with self.server.imap("imaps", USER) as c:
            names = [re.search(rb'"\." "?(.*?)"?$', line).group(1).decode() for line in c.cmd('LIST "" "*"').untagged if b"\\Noselect" not in line]
            for folder in sorted(names):
                c.cmd(f'EXAMINE "{folder}"')
                out[folder.replace(".", "/")] = box = []
                for line in c.cmd("FETCH 1:* (FLAGS BODY.PEEK[])").untagged:
                    flags = re.search(rb"FLAGS \(([^)]*)\)", line)
                    if flags and b"BODY[]" in line:
                        data = line[line.index(b"}\r\n") + 3:].rsplit(b")", 1)[0]
                        box.append(entry(data, [FLAGS[f] for f in flags.group(1).decode().split() if f in FLAGS]))
                box.sort()
        return out

    def over_imap(self, folder, mark):
        folder = folder.replace("/", ".")
        with self.server.imap("imaps", USER) as c:
            c.cmd(f'CREATE "{folder}"')
            answer = c.append(f'"{folder}"', message(mark, f"text of {mark}\n" * 5), self.random.choice(("", "(\\Seen)", "(\\Flagged \\Answered)")))
            assert answer.status == "OK", answer
            c.cmd(f'SELECT "{folder}"')
            n = int(c.cmd(f'STATUS "{folder}" (MESSAGES)').untagged[0].split(b"MESSAGES ")[1].rstrip(b")"))
            which = self.random.randrange(1, n + 1)
            what = self.random.choice(("+FLAGS (\\Flagged)", "-FLAGS (\\Seen \\Flagged)", "FLAGS (\\Draft)", "+FLAGS (\\Deleted)"))
            assert c.cmd(f"STORE {which} {what}").status == "OK"
            if self.random.random() < 0.5:
                assert c.cmd("EXPUNGE").status == "OK"

    def by_shell(self, folder, mark):
        disk = "" if folder == "INBOX" else folder.replace("/", ".")
        self.server.put_message(USER, message(mark, f"text of {mark}\n" * 5), disk, self.random.choice(("", "S", "FS")))
        base = self.server.maildir(USER, disk)
        files = glob.glob(f"{base}/cur/*")
        if not files:
            return
        path = self.random.choice(files)
        if self.random.random() < 0.3:
            os.unlink(path)
            return
        name, _, flags = os.path.basename(path).partition(":2,")
        keep = set(flags) - set("DFRST")
        os.rename(path, f"{base}/cur/{name}:2,{''.join(sorted(keep | set(self.random.choice(('', 'F', 'RS', 'DS')))))}")


def sync(s, run):
    rc = secret_file(s, "mbsyncrc", f"""
IMAPAccount test
Host localhost
Port {s.port("imaps")}
User {USER}
Pass secret
SSLType IMAPS
CertificateFile {s.authority.cafile}
Timeout 100

IMAPStore far
Account test

MaildirStore near
Path {run.home}/mail/
Inbox {run.home}/mail/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
Remove None
SyncState *
CopyArrivalDate yes
Sync All
""")
    os.makedirs(f"{run.home}/mail", exist_ok=True)
    return run("mbsync", "-c", rc, "-a", "-V")


def alike(s, run, near, far, text):
    """Syncs until both sides are the same: what another program deleted may be believed at the second look only."""
    for _ in range(4):
        done = sync(s, run)
        if done.returncode != 0:
            return t.ok(False, text, done.stdout)
        a, b = near.state(), far.state()
        if a == b:
            return t.ok(True, text)
    return t.ok(False, text, f"near {a}\nfar  {b}\n{done.stdout}")


def rounds(s, run):
    rnd = random.Random(SEED)
    near, far = Near(f"{run.home}/mail", rnd), Far(s, rnd)
    for i in range(5):
        s.put_message(USER, message(f"first {i}", f"text {i}\n.\n"), flags="" if i % 2 else "S")
    if not alike(s, run, near, far, "pull: five messages"):
        return
    t.equal([len(v) for v in near.state().values()], [5], "they are in the Maildir")
    near.add("INBOX", "from near")
    near.add("New", "in a new folder")
    alike(s, run, near, far, "push: a message, and a folder with one")
    t.equal(sorted(far.state()), ["INBOX", "New"], "the folder is on the server")
    with s.imap("imaps", USER) as c:
        c.cmd('CREATE "Server.Deep"')
        c.append('"Server.Deep"', message("deep", "x"))
    alike(s, run, near, far, "pull: a new folder below another")
    t.ok("Server/Deep" in near.state(), "it is in the Maildir", near.state())
    folders = ["INBOX", "New", "Server/Deep"]
    for i in range(ROUNDS):
        for j in range(rnd.randrange(1, 4)):
            near.add(rnd.choice(folders), f"round {i} near {j}")
            near.change(rnd.choice(folders))
            far.over_imap(rnd.choice(folders), f"round {i} imap {j}")
            far.by_shell(rnd.choice(folders), f"round {i} shell {j}")
        if not alike(s, run, near, far, f"round {i + 1} of changes on both sides (seed {SEED})"):
            return
    for folder in folders:
        for path in near.files(folder):
            os.unlink(path)
    done = sync(s, run)
    t.equal(done.returncode, 0, "all gone in the Maildir: mbsync is content") or t.note(done.stdout)
    t.equal([len(v) for v in far.state().values()], [0] * len(far.state()), "and the mailbox is empty")
    again = sync(s, run)
    t.equal(again.returncode, 0, "and once more") or t.note(again.stdout)


with Server(CONFIG, users=["anna"]) as server:
    rounds(server, Run(server))
t.ok(not server.problems(), "no reports from any role", server.problems())
t.done()
