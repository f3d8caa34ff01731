#!/usr/bin/python3
# imap-compare.py - the same IMAP commands to Debian's Dovecot and to Ekiden, on copies of one Maildir: the same answers
# limit: 600
# needs: dovecot
# SPDX-License-Identifier: Apache-2.0
"""Run by hand: EKIDEN_BUILD=build EKIDEN_TOP=. EKIDEN_RUN=$(mktemp -d) PYTHONPATH=tests/lib tests/system/imap-compare.py [PATTERN]

With a pattern, commands that match it are shown with both answers.  What may differ stands in DIFFERENCES, with the
line of a standard that justifies it; a difference that is not there fails, and so does one there that no longer exists.
"""
import fnmatch
import os
import pprint
import shutil
import subprocess
import sys

import maildirs
from imapwire import Imap, Literal, Normal, Wrong
from tap import Tap

from imapscript import DIFFERENCES, script

BUILD, RUN = os.environ["EKIDEN_BUILD"], os.environ["EKIDEN_RUN"]
SHOW = sys.argv[1] if len(sys.argv) > 1 else None

CONF = """\
base_dir = {run}/dovecot
state_dir = {run}/dovecot
log_path = {run}/dovecot.log
mail_location = maildir:~
ssl = no
first_valid_uid = 0
mail_uid = {uid}
mail_gid = {uid}
stats_writer_socket_path =
namespace inbox {{
  inbox = yes
  mailbox Drafts {{
    special_use = \\Drafts
  }}
  mailbox Sent {{
    special_use = \\Sent
  }}
}}
"""


def build(root):
    box = maildirs.Maildir(root)
    messages = list(maildirs.conformance()) + list(maildirs.generated())
    flags = ["", "S", "FS", "RS", "S", "T", "D", ""]
    for i, data in enumerate(messages):
        box.add(data, flags=flags[i % len(flags)])
    for i in range(3):
        box.add(maildirs.head(200 + i, f"new {i}") + b"\nfresh\n", new=True)
    for name in ("Sent", "Drafts", "Archive", "Archive.2020", "Archive.2020.spring", "Entw&APw-rfe", "Deep.er.est"):
        box.folder(name)
    for i in range(5):
        box.add(maildirs.head(300 + i, f"archived {i}") + b"\narchive text\n", folder="Archive", flags="S")
    return len(messages) + 3


def servers():
    """The commands that serve a Maildir on stdin and stdout."""
    uid = os.getuid() or 65534
    os.makedirs(f"{RUN}/dovecot", exist_ok=True)
    with open(f"{RUN}/dovecot.conf", "w", encoding="utf-8") as f:
        f.write(CONF.format(run=RUN, uid=uid))
    env = {"PATH": os.environ["PATH"], "USER": "user", "HOME": f"{RUN}/a", "TZ": "UTC"}
    drop = []
    if os.getuid() == 0:
        drop = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
        subprocess.run(["chown", "-R", f"{uid}:{uid}", f"{RUN}/a", f"{RUN}/dovecot"], check=True)
        open(f"{RUN}/dovecot.log", "w").close()
        os.chown(f"{RUN}/dovecot.log", uid, uid)
        os.chmod(RUN, 0o755)
    imap = next(p for p in ("/usr/lib/dovecot/imap", "/usr/libexec/dovecot/imap") if os.path.exists(p))
    theirs = Imap([*drop, imap, "-c", f"{RUN}/dovecot.conf"], env=env, stderr=subprocess.DEVNULL)
    ours = Imap([f"{BUILD}/tests/lib/imap-stdio", f"{RUN}/b", "user"])
    return theirs, ours


def text_of(command):
    return "".join(repr(p.value) if isinstance(p, Literal) else p if isinstance(p, str) else p.decode("latin-1") for p in command)


def excuse(text):
    for pattern, why in DIFFERENCES.items():
        if fnmatch.fnmatchcase(text, pattern):
            return pattern
    return None


def run(who, server, parts, text):
    try:
        return server.run(*parts)
    except Wrong as e:
        raise Wrong(f"{who}: {text[:200]}: {e}") from None


def main():
    t = Tap()
    if not list(maildirs.conformance()):
        t.skip_all("conformance data is not there (EKIDEN_CONFORMANCE, ../shared/conformance)")
    count = build(f"{RUN}/a")
    shutil.copytree(f"{RUN}/a", f"{RUN}/b", copy_function=shutil.copy2)
    theirs, ours = servers()
    normal, used, done = Normal(), set(), 0
    with theirs, ours:
        for command in script(count):
            parts = (command,) if isinstance(command, (str, bytes)) else command
            text = text_of(parts)
            raw = [run(who, server, parts, text) for who, server in (("dovecot", theirs), ("ekiden", ours))]
            a, b = normal.whole(raw[0]), normal.whole(raw[1])
            done += 1
            if SHOW and fnmatch.fnmatchcase(text, SHOW):
                for who, said in zip(("dovecot", "ekiden"), raw):
                    t.note(f"{who}: {text}")
                    t.note("\n".join(line.decode("latin-1") for line in said[2]) + f"\n{said[0]} {said[1].decode('latin-1')}")
            if a == b:
                continue
            pattern = excuse(text)
            if pattern:
                used.add(pattern)
                continue
            t.ok(False, f"{text[:150]}", f"dovecot: {pprint.pformat(a, width=160)}\nekiden:  {pprint.pformat(b, width=160)}")
    t.ok(done >= 400, f"{done} commands were compared")
    if not SHOW:
        for pattern in set(DIFFERENCES) - used:
            t.ok(False, f"the difference is still there: {pattern}")
    t.done()


main()
