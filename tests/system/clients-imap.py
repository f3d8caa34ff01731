#!/usr/bin/python3
# clients-imap.py - Debian's programs read mail: curl, Python's imaplib, openssl s_client; what they show is what is there
# needs: curl openssl
# limit: 600
# SPDX-License-Identifier: Apache-2.0
import imaplib
import os
import re
import subprocess
import time

from clients import CONFIG, Run, message
from ekiden import Server
from tap import Tap

t = Tap()
USER, PASSWORD = "anna@example.test", "secret"


# ---- curl -----------------------------------------------------------------------------------------


def curl(s, run, path, *words, scheme="imaps", user=f"{USER}:{PASSWORD}"):
    return run("curl", "-sS", "--max-time", "100", "--cacert", s.authority.cafile, "-u", user, *words,
               f"{scheme}://localhost:{s.port(scheme)}{path}")


def curls(s, run):
    one, two = message("curl one", "first\n.\nend"), message("curl two", "second " * 3000)
    for mark, data in (("one", one), ("two", two)):
        path = f"{s.dir}/{mark}.eml"
        with open(path, "wb") as f:
            f.write(data)
        done = curl(s, run, "/INBOX", "-T", path)
        t.equal(done.returncode, 0, f"curl: APPEND of {mark}") or t.note(done.stdout)
    t.ok(sorted(s.messages("anna")) == sorted([one.replace(b"\r\n", b"\n"), two.replace(b"\r\n", b"\n")])
         or sorted(s.messages("anna")) == sorted([one, two]), "curl: both lie in the Maildir as they were sent")
    listed = curl(s, run, "/", "--ssl-reqd", scheme="imap")
    t.contains(listed.stdout, "INBOX", "curl: LIST behind STARTTLS")
    done = curl(s, run, "/INBOX;UID=1")
    t.equal(done.stdout.replace("\r\n", "\n"), one.decode().replace("\r\n", "\n"), "curl: a message by UID is what was sent")
    done = curl(s, run, "/INBOX;MAILINDEX=2")
    t.equal(done.stdout.replace("\r\n", "\n"), two.decode().replace("\r\n", "\n"), "curl: one by its number")
    done = curl(s, run, "/INBOX;UID=1;SECTION=HEADER.FIELDS%20(SUBJECT)")
    t.equal(done.stdout.strip(), "Subject: curl one", "curl: a section")
    done = curl(s, run, "/INBOX;UID=2;SECTION=TEXT;PARTIAL=7.6")
    t.equal(done.stdout, "second"[0:6], "curl: a part of a section") or t.note(done.stdout[:200])
    done = curl(s, run, "/INBOX?SUBJECT%20two")
    t.equal(done.stdout.split(), ["*", "SEARCH", "2"], "curl: SEARCH")
    done = curl(s, run, "/INBOX", "-X", "STORE 1 +Flags \\Flagged", "-i", "-v")
    t.contains(done.stdout, "\\Flagged", "curl: a custom STORE")
    done = curl(s, run, "/INBOX", "-X", "FETCH 1:* (UID FLAGS RFC822.SIZE)", "-v")
    t.ok(re.search(r"\* 1 FETCH \(.*\\Flagged.*\)", done.stdout) and f"RFC822.SIZE {len(two)}" in done.stdout, "curl: a custom FETCH", done.stdout)
    done = curl(s, run, "/INBOX", "-X", "EXAMINE INBOX", "-v")
    t.contains(done.stdout, "[UIDVALIDITY", "curl: EXAMINE")
    done = curl(s, run, "/", "-X", "CREATE Archive.2026")
    t.equal(done.returncode, 0, "curl: CREATE")
    done = curl(s, run, "/", "-X", "STATUS INBOX (MESSAGES UNSEEN)", "-v")
    t.contains(done.stdout, "* STATUS INBOX (MESSAGES 2", "curl: STATUS")
    t.equal(curl(s, run, "/INBOX;UID=99").returncode, 78, "curl: a UID that is not there is CURLE_REMOTE_FILE_NOT_FOUND")
    t.equal(curl(s, run, "/", user=f"{USER}:wrong").returncode, 67, "curl: a wrong password is CURLE_LOGIN_DENIED")
    t.equal(curl(s, run, "/", "--login-options", "AUTH=PLAIN").returncode, 0, "curl: AUTHENTICATE PLAIN")
    t.equal(curl(s, run, "/", "--login-options", "AUTH=LOGIN").returncode, 0, "curl: AUTHENTICATE LOGIN")
    t.ok(curl(s, run, "/", scheme="imap").returncode != 0, "curl: no login in the clear")


# ---- imaplib --------------------------------------------------------------------------------------


def ok(answer, text):
    """The data of an answer that must be OK."""
    t.equal(answer[0], "OK", f"imaplib: {text}") or t.note(answer)
    return answer[1]


def imaplib_folders(c):
    ok(c.create("Work"), "create")
    ok(c.create("Work.&ZeVnLIqe-"), "create with a Japanese name")
    ok(c.subscribe("Work"), "subscribe")
    t.equal(sorted(ok(c.list(), "list")), [b'(\\HasChildren) "." Work', b'(\\HasNoChildren) "." INBOX', b'(\\HasNoChildren) "." Work.&ZeVnLIqe-'],
            "imaplib: its lines")
    t.equal(ok(c.lsub(), "lsub"), [b'() "." Work'], "imaplib: its line")
    ok(c.rename("Work.&ZeVnLIqe-", "Work.Old"), "rename")
    t.equal(ok(c.list("Work.", "%"), "list below"), [b'(\\HasNoChildren) "." Work.Old'], "imaplib: its line")
    ok(c.unsubscribe("Work"), "unsubscribe")
    t.equal(ok(c.lsub(), "lsub again"), [None], "imaplib: nothing")
    ok(c.delete("Work.Old"), "delete")
    t.equal(c.delete("Work.Old")[0], "NO", "imaplib: a second delete is refused")
    ok(c.namespace(), "namespace")


def imaplib_messages(c):
    texts = [message(f"imaplib {i}", f"body number {i}\n" * (i + 1)) for i in range(5)]
    when = time.mktime((2026, 2, 3, 4, 5, 6, 0, 34, 0))
    for i, text in enumerate(texts):
        data = ok(c.append("Work", "(\\Seen)" if i % 2 else None, imaplib.Time2Internaldate(when), text), f"append {i}")
        t.ok(re.search(rb"\[APPENDUID \d+ %d\]" % (i + 1), data[0]), "imaplib: its UID", data)
    t.equal(ok(c.select("Work"), "select"), [b"5"], "imaplib: five messages")
    t.equal(c.response("UIDNEXT")[1], [b"6"], "imaplib: UIDNEXT")
    for i, text in enumerate(texts):
        t.equal(ok(c.fetch(str(i + 1), "(RFC822)"), f"fetch {i}")[0][1], text, "imaplib: the message as it was appended")
    t.equal(ok(c.fetch("2", "(INTERNALDATE)"), "fetch INTERNALDATE")[0].split(b'"')[1], b"03-Feb-2026 04:05:06 +0000", "imaplib: the date")
    t.equal(ok(c.fetch("3", "(BODY.PEEK[TEXT]<5.8>)"), "fetch a part")[0][1], b"number 2", "imaplib: the part")
    t.equal(ok(c.search(None, "SEEN"), "search"), [b"1 2 3 4 5"], "imaplib: RFC822 has set \\Seen")
    t.equal(ok(c.search("UTF-8", "SUBJECT", '"imaplib 3"'), "search with a charset"), [b"4"], "imaplib: the one")
    c.literal = "number 2".encode()
    t.equal(ok(c.search("UTF-8", "BODY"), "search with a literal"), [b"3"], "imaplib: the one")
    ok(c.store("2:3", "+FLAGS", "(\\Flagged $Label1)"), "store")
    t.equal(ok(c.search(None, "KEYWORD", "$Label1"), "search by keyword"), [b"2 3"], "imaplib: both")
    flags = imaplib.ParseFlags(ok(c.fetch("2", "(FLAGS)"), "fetch FLAGS")[0])
    t.ok({b"\\Seen", b"\\Flagged", b"$Label1"} <= set(flags), "imaplib: its flags", flags)
    ok(c.copy("2:3", "INBOX"), "copy")
    t.equal(ok(c.uid("SEARCH", "UID 2:3"), "uid search"), [b"2 3"], "imaplib: both")
    ok(c.uid("COPY", "5", "INBOX"), "uid copy")
    ok(c.uid("MOVE", "4", "INBOX"), "uid move")
    ok(c.store("1", "+FLAGS.SILENT", "\\Deleted"), "store \\Deleted")
    t.equal(ok(c.expunge(), "expunge"), [b"4", b"1"], "imaplib: the moved one and the first are gone")
    ok(c.check(), "check")
    ok(c.noop(), "noop")
    t.equal(ok(c.status("INBOX", "(MESSAGES UIDNEXT UNSEEN)"), "status"), [b"INBOX (MESSAGES 4 UIDNEXT 5 UNSEEN 0)"], "imaplib: its line")
    ok(c.unselect() if hasattr(c, "unselect") else c.close(), "unselect or close")
    for verb in (lambda: c.sort("DATE", "UTF-8", "ALL"), lambda: c.thread("REFERENCES", "UTF-8", "ALL"), lambda: c.getquota("x"),
                 lambda: c.getacl("INBOX")):
        try:
            answer = verb()[0]
        except imaplib.IMAP4.error as e:
            answer = "BAD" if "BAD" in str(e) else f"BAD ({e})"
        t.ok(answer.startswith(("NO", "BAD")), "imaplib: what is not offered is refused, and the session goes on", answer)
    ok(c.noop(), "noop after all that")


def imaplibs(s):
    user = "ben@example.test"
    with imaplib.IMAP4("localhost", s.port("imap"), timeout=60) as c:
        t.ok("STARTTLS" in c.capabilities and "LOGINDISABLED" in c.capabilities, "imaplib: no login before TLS", c.capabilities)
        ok(c.starttls(s.tls_client()), "starttls")
        t.ok("LOGINDISABLED" not in c.capabilities and "AUTH=PLAIN" in c.capabilities, "imaplib: login behind it", c.capabilities)
        try:
            c.login(user, "wrong")
            t.ok(False, "imaplib: a wrong password raises")
        except imaplib.IMAP4.error as e:
            t.contains(str(e), "AUTHENTICATIONFAILED", "imaplib: a wrong password raises")
        ok(c.login(user, PASSWORD), "login")
        imaplib_folders(c)
        imaplib_messages(c)
        t.equal(c.logout()[0], "BYE", "imaplib: logout")
    with imaplib.IMAP4_SSL("localhost", s.port("imaps"), ssl_context=s.tls_client(), timeout=60) as c:
        ok(c.authenticate("PLAIN", lambda _: f"\0{user}\0{PASSWORD}".encode()), "authenticate PLAIN over IMAP4_SSL")
        ok(c.enable("CONDSTORE"), "enable")
        t.equal(ok(c.select("INBOX", readonly=True), "select readonly"), [b"4"], "imaplib: four messages")
        t.equal(sorted(m.count(b"imaplib") for m in s.messages("ben")), [2, 2, 2, 2], "imaplib: in the Maildir too")
        t.ok(c.xatom("ID", '("name" "imaplib")')[0] == "OK", "imaplib: ID")


# ---- s_client -------------------------------------------------------------------------------------


def s_client(s, run, port, dialogue, *words):
    """Its output once `dialogue`, pairs of (wait for this, send that), has been held."""
    process = subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{s.port(port)}", "-servername", s.hostname, "-CAfile",
                                s.authority.cafile, "-verify_return_error", "-verify_hostname", s.hostname, "-crlf", "-ign_eof", *words],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=run.env)
    os.set_blocking(process.stdout.fileno(), False)
    said, at, end = b"", 0, time.monotonic() + 100
    try:
        for expect, send in dialogue:
            while expect not in said[at:] and time.monotonic() < end and process.poll() is None:
                said += process.stdout.read() or b""
                time.sleep(0.01)
            at = len(said)
            process.stdin.write(send + b"\n")
            process.stdin.flush()
        process.wait(100)
        said += process.stdout.read() or b""
    except (subprocess.TimeoutExpired, BrokenPipeError) as e:
        said += str(e).encode()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    return said.decode("utf-8", "replace")


def s_clients(s, run):
    for version in ("tls1_2", "tls1_3"):
        smtp = [(b"250 CHUNKING", b"EHLO client.example.test"), (b"250 CHUNKING", b"AUTH PLAIN AGFubmFAZXhhbXBsZS50ZXN0AHNlY3JldA=="),
                (b"235 ", b"quit")]
        shown = version.replace("tls", "TLSv").replace("_", ".")
        said = s_client(s, run, "submission", smtp, "-starttls", "smtp", f"-{version}")
        t.ok("235 2.7.0" in said and "221 2.0.0" in said and "Verification: OK" in said and shown in said,
             f"s_client: -starttls smtp, {shown}: a login inside", said)
        smtp[0] = (b"220 ", b"EHLO client.example.test")
        said = s_client(s, run, "submissions", smtp, f"-{version}")
        t.ok("235 2.7.0" in said and "221 2.0.0" in said and shown in said, f"s_client: submissions, {shown}: a login inside", said)
        imap = [(b". OK", b"a LOGIN anna@example.test secret"), (b"a OK", b"b SELECT INBOX"), (b"b OK", b"c LOGOUT")]
        said = s_client(s, run, "imap", imap, "-starttls", "imap", f"-{version}")
        t.ok("* 2 EXISTS" in said and "c OK" in said and shown in said, f"s_client: -starttls imap, {shown}: INBOX is there", said)
        imap[0] = (b"* OK", imap[0][1])
        said = s_client(s, run, "imaps", imap, f"-{version}", "-alpn", "imap")
        t.ok("* 2 EXISTS" in said and "c OK" in said and shown in said, f"s_client: imaps, {shown}: INBOX is there", said)
    for version in ("tls1", "tls1_1"):
        said = s_client(s, run, "imaps", [], f"-{version}", "-cipher", "ALL:@SECLEVEL=0")
        t.ok("* OK" not in said and ("alert" in said or "no protocols" in said), f"s_client: {version} is refused", said)


with Server(CONFIG, users=["anna", "ben"]) as server:
    runner = Run(server)
    curls(server, runner)
    imaplibs(server)
    s_clients(server, runner)
t.ok(not server.problems(), "no reports from any role", server.problems())
t.done()
