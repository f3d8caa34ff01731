#!/usr/bin/python3
# clients-mutt.py - mutt sends by submission, and reads, tags, copies and deletes over IMAPS as its keys say
# needs: mutt
# limit: 600
# SPDX-License-Identifier: Apache-2.0
import email
import email.policy
import os
import pty
import re
import select
import signal
import time

from clients import CONFIG, Run, message, secret_file
from ekiden import Server, wait_for
from tap import Tap

t = Tap()


def settings(s, more=""):
    return secret_file(s, "muttrc", f"""
set realname="Anna" from="anna@example.test" use_from=yes use_envelope_from=yes hostname=client.example.test
set smtp_url="smtp://anna%40example.test:secret@localhost:{s.port("submission")}/"
set imap_user="anna@example.test" imap_pass="secret"
set folder="imaps://localhost:{s.port("imaps")}/" spoolfile="+INBOX"
set ssl_force_tls=yes ssl_starttls=yes ssl_ca_certificates_file="{s.authority.cafile}" certificate_file="{s.authority.cafile}"
set record="+Sent" copy=yes postponed="+Drafts"
set quit=yes delete=yes confirmappend=no confirmcreate=no move=no wait_key=no beep=no mark_old=no imap_idle=no
set sendmail_wait=0 crypt_autosign=no header_cache="" sort=date pipe_decode=no mail_check=1 abort_unmodified=no
{more}
""")


def in_terminal(run, words, seconds=150):
    """Runs a program in a terminal of its own; (ended by itself, what it showed)."""
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir(run.home)
        os.execvpe(words[0], words, {**run.env, "COLUMNS": "120", "LINES": "40"})
    shown, end, status = b"", time.monotonic() + seconds, None
    while time.monotonic() < end:
        if select.select([fd], [], [], 0.2)[0]:
            try:
                shown += os.read(fd, 65536)
            except OSError:
                break
    else:
        os.kill(pid, signal.SIGKILL)
        status = "killed"
    _, code = os.waitpid(pid, 0)
    os.close(fd)
    return status is None and code == 0, re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]|\x1b[()][A-Z0-9]", b" ", shown).decode("utf-8", "replace")[-3000:]


def parsed(messages, mark):
    return next((m for m in (email.message_from_bytes(d, policy=email.policy.default) for d in messages) if m["Subject"] == mark), None)


def sends(s, run):
    picture = os.urandom(100_000)
    with open(f"{run.home}/picture.png", "wb") as f:
        f.write(picture)
    rc = settings(s)
    with s.imap("imaps", "anna") as c:
        c.cmd("CREATE Sent")
    done = run("mutt", "-F", rc, "-s", "mutt gr\u00fc\u00dft", "-a", f"{run.home}/picture.png", "--", "ben@example.test",
               stdin="Sch\u00f6ne Gr\u00fc\u00dfe\n.\nfrom the pipe\n".encode())
    t.equal(done.returncode, 0, "mutt: a message with an attachment goes out by submission") or t.note(done.stdout)
    m = parsed(s.wait_messages("ben", 1, 60), "mutt gr\u00fc\u00dft")
    t.ok(m is not None and m.get_body().get_content().replace("\r\n", "\n") == "Sch\u00f6ne Gr\u00fc\u00dfe\n.\nfrom the pipe\n", "mutt: its text arrived", m)
    t.ok(m is not None and [p.get_payload(decode=True) for p in m.iter_attachments()] == [picture], "mutt: and every byte of its attachment")
    t.ok(parsed(s.messages("anna", "Sent"), "mutt gr\u00fc\u00dft") is not None, "mutt: a copy is in Sent, over IMAPS")
    done = run("mutt", "-F", rc, "-s", "mutt unknown", "--", "nobody@example.test", stdin=b"x\n")
    t.ok(done.returncode != 0 and "550" in done.stdout, "mutt: an unknown recipient fails", done.stdout)
    rc = settings(s, f'set smtp_pass="wrong" smtp_url="smtp://anna%40example.test@localhost:{s.port("submission")}/"')
    done = run("mutt", "-F", rc, "-s", "mutt wrong", "--", "ben@example.test", stdin=b"x\n")
    t.ok(done.returncode != 0 and "uthentication failed" in done.stdout, "mutt: a wrong password fails", done.stdout)


def flags_of(s, user):
    with s.imap("imaps", user) as c:
        c.cmd("EXAMINE INBOX")
        return {re.search(rb"Subject: ([^\r]*)", line).group(1).decode(): set(re.search(rb"FLAGS \(([^)]*)\)", line).group(1).decode().split())
                for line in c.cmd("FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])").untagged if b"Subject: " in line}


def reads(s, run):
    for mark in ("read me", "tag one", "tag two", "gone", "left alone"):
        s.put_message("anna", message(mark, f"the text of {mark}\n.\nend"))
    keys = ('<limit>~s \\"read me\\"<enter><display-message><exit><pipe-message>cat > piped.eml<enter><limit>all<enter>'
            '<tag-pattern>~s tag<enter><tag-prefix><set-flag>!<tag-prefix><copy-message>=Copies<enter><untag-pattern>~A<enter>'
            '<delete-pattern>~s gone<enter><sync-mailbox><quit>')
    good, shown = in_terminal(run, ["mutt", "-F", settings(s), "-e", f'push "{keys}"'])
    t.ok(good, "mutt: a session over IMAPS by keys", shown)
    try:
        with open(f"{run.home}/piped.eml", "rb") as f:
            t.contains(f.read(), b"the text of read me\n.\nend", "mutt: the message it shows is what was delivered")
    except FileNotFoundError:
        t.ok(False, "mutt: the message it shows is what was delivered", shown)
    flags = flags_of(s, "anna")
    t.equal(sorted(flags), ["left alone", "read me", "tag one", "tag two"], "mutt: one is deleted")
    t.ok("\\Seen" in flags.get("read me", ()), "mutt: the one that was read is \\Seen", flags)
    t.ok(all("\\Flagged" in flags.get(m, ()) for m in ("tag one", "tag two")), "mutt: the tagged ones are \\Flagged", flags)
    t.ok(not flags.get("left alone", {"x"}) & {"\\Seen", "\\Flagged", "\\Deleted"}, "mutt: the other one is as it was", flags)
    copies = [m for m in s.wait_messages("anna", 2, 20, "Copies") if b"Subject: tag" in m]
    t.equal(len(copies), 2, "mutt: both tagged ones were copied into a folder that it made")
    keys = '<tag-pattern>~s tag<enter><tag-prefix><save-message>=Archive<enter><sync-mailbox><quit>'
    good, shown = in_terminal(run, ["mutt", "-F", settings(s), "-e", f'push "{keys}"'])
    t.ok(good, "mutt: a second session moves them", shown)
    t.equal(sorted(flags_of(s, "anna")), ["left alone", "read me"], "mutt: they have left INBOX")
    t.equal(len(s.messages("anna", "Archive")), 2, "mutt: and are in Archive")
    status = in_terminal(run, ["mutt", "-F", settings(s), "-f", "imaps://localhost:%d/Archive" % s.port("imaps"), "-R", "-e",
                               'push "<tag-pattern>~A<enter><tag-prefix><pipe-message>cat >> archive.txt<enter><quit>"'])
    t.ok(status[0], "mutt: a folder read-only", status[1])
    t.ok(wait_for(lambda: os.path.exists(f"{run.home}/archive.txt"), 5), "mutt: it could be read")


with Server(CONFIG, users=["anna", "ben"]) as server:
    runner = Run(server)
    sends(server, runner)
    reads(server, runner)
t.ok(not server.problems(), "no reports from any role", server.problems())
t.done()
