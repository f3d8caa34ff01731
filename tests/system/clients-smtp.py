#!/usr/bin/python3
# clients-smtp.py - Debian's programs send mail: swaks, curl, msmtp, Python's smtplib; what arrives is what they sent
# needs: swaks curl msmtp
# limit: 600
# SPDX-License-Identifier: Apache-2.0
import base64
import email
import email.message
import email.policy
import hashlib
import os
import re
import smtplib

from clients import CONFIG, Run, message, secret_file
from ekiden import Server, wait_for
from tap import Tap

t = Tap()


def arrived(s, user, mark, seconds=60):
    """The user's message with that subject, parsed, as soon as it is there; None when it does not come."""
    found = []

    def look():
        found[:] = [m for m in s.messages(user) if b"Subject: " + mark.encode() in m]
        return found
    wait_for(look, seconds)
    return email.message_from_bytes(found[0], policy=email.policy.default) if found else None


def body(m):
    return m.get_content().replace("\r\n", "\n").rstrip("\n") if m is not None else None


# ---- swaks ----------------------------------------------------------------------------------------


def swaks(s, run, *words, port="submission", to="ben@example.test"):
    return run("swaks", "--server", f"127.0.0.1:{s.port(port)}", "--ehlo", "client.example.test", "--timeout", "60",
               "--from", "anna@example.test", "--to", to, *words)


def login(mechanism="PLAIN", password="secret"):
    return ("--auth", mechanism, "--auth-user", "anna@example.test", "--auth-password", password)


def swaks_logins(s, run):
    done = swaks(s, run, "--tls", "--tls-verify", "--tls-ca-path", s.authority.cafile, *login(),
                 "--header", "Subject: swaks plain", "--body", "hello from swaks\n.\n..dots\n")
    t.equal(done.returncode, 0, "swaks: STARTTLS with verification, AUTH PLAIN, a message") or t.note(done.stdout)
    t.equal(body(arrived(s, "ben", "swaks plain")), "hello from swaks\n.\n..dots", "swaks: its lines with dots arrived as they were")
    done = swaks(s, run, "--tls", *login("LOGIN"), "--header", "Subject: swaks login", "--body", "by LOGIN")
    t.equal(done.returncode, 0, "swaks: AUTH LOGIN") or t.note(done.stdout)
    t.equal(body(arrived(s, "ben", "swaks login")), "by LOGIN", "swaks: and its message arrived")
    done = swaks(s, run, "--tls", *login(password="wrong"), "--header", "Subject: swaks wrong")
    t.equal(done.returncode, 28, "swaks: a wrong password fails")
    t.contains(done.stdout, "535 5.7.8", "swaks: it was told so")
    done = swaks(s, run, *login(), "--header", "Subject: swaks clear")
    t.ok(done.returncode != 0, "swaks: no AUTH without TLS")
    t.ok("250-AUTH" not in done.stdout, "swaks: since none was offered", done.stdout)
    done = swaks(s, run, "--tls-on-connect", *login(), "--header", "Subject: swaks implicit", "--body", "implicit", port="submissions")
    t.equal(done.returncode, 0, "swaks: implicit TLS") or t.note(done.stdout)
    t.equal(body(arrived(s, "ben", "swaks implicit")), "implicit", "swaks: and its message arrived")


def swaks_messages(s, run):
    picture = os.urandom(300_000)
    path = f"{s.dir}/picture.png"
    with open(path, "wb") as f:
        f.write(picture)
    done = swaks(s, run, "--tls", "--pipeline", *login(), "--header", "Subject: swaks attachment", "--body", "see below",
                 "--attach-type", "image/png", "--attach", f"@{path}", to="ben@example.test,anna@example.test")
    t.equal(done.returncode, 0, "swaks: an attachment for two, with pipelining") or t.note(done.stdout[-3000:])
    for user in ("ben", "anna"):
        m = arrived(s, user, "swaks attachment")
        got = next((p.get_content() for p in m.walk() if p.get_content_type() == "image/png"), None) if m else None
        t.ok(got == picture, f"swaks: {user}'s attachment has every byte")
    done = swaks(s, run, "--pipeline", "--header", "Subject: swaks relay", port="smtp", to="x@elsewhere.example")
    t.equal(done.returncode, 24, "swaks: a stranger's mail to elsewhere is refused")
    t.contains(done.stdout, "554 5.7.1 <x@elsewhere.example>: Relay access denied", "swaks: in Postfix's words")
    done = swaks(s, run, "--header", "Subject: swaks some", "--body", "some", port="smtp", to="nobody@example.test,ben@example.test")
    t.equal(body(arrived(s, "ben", "swaks some")), "some", "swaks: of two recipients the one that exists gets it")
    done = swaks(s, run, "--quit-after", "EHLO", port="smtp")
    t.equal(done.returncode, 0, "swaks: leaves after EHLO")


# ---- curl -----------------------------------------------------------------------------------------


def curl(s, run, url, *words, user="anna@example.test:secret"):
    return run("curl", "-sv", "--max-time", "100", "--cacert", s.authority.cafile, *words, *(("-u", user) if user else ()), url)


def curl_url(s, scheme, port, path=""):
    return f"{scheme}://localhost:{s.port(port)}{path}"


def upload(s, run, mark, text, *words, scheme="smtp", port="submission", rcpts=("ben@example.test",), **more):
    path = f"{s.dir}/{mark.replace(' ', '-')}.eml"
    with open(path, "wb") as f:
        f.write(message(mark, text))
    to = [w for rcpt in rcpts for w in ("--mail-rcpt", rcpt)]
    return curl(s, run, curl_url(s, scheme, port, "/client.example.test"), "--mail-from", "anna@example.test", *to, "-T", path, *words, **more)


def curls(s, run):
    done = upload(s, run, "curl starttls", "hello from curl\n.one\n..two\n.", "--ssl-reqd")
    t.equal(done.returncode, 0, "curl: smtp with STARTTLS and login") or t.note(done.stdout)
    t.equal(body(arrived(s, "ben", "curl starttls")), "hello from curl\n.one\n..two\n.", "curl: its lines with dots arrived as they were")
    long = "\n".join(f"{i:06} " + hashlib.sha256(str(i).encode()).hexdigest() for i in range(40_000))
    done = upload(s, run, "curl long", long, scheme="smtps", port="submissions", rcpts=("ben@example.test", "anna@example.test"))
    t.equal(done.returncode, 0, "curl: smtps, 3 MB for two") or t.note(done.stdout[-3000:])
    for user in ("ben", "anna"):
        t.ok(body(arrived(s, user, "curl long")) == long, f"curl: {user} has every line of it")
    done = upload(s, run, "curl wrong", "x", "--ssl-reqd", user="anna@example.test:wrong")
    t.equal(done.returncode, 67, "curl: a wrong password is CURLE_LOGIN_DENIED")
    done = upload(s, run, "curl oauth", "x", "--ssl-reqd", "--login-options", "AUTH=LOGIN")
    t.equal(done.returncode, 0, "curl: AUTH LOGIN when told to") or t.note(done.stdout)
    done = upload(s, run, "curl too big", "y" * 76 + "\n", "--ssl-reqd", "--max-time", "100", port="small")
    t.equal(done.returncode, 0, "curl: a small message on the listener with a small limit") or t.note(done.stdout)
    done = upload(s, run, "curl bigger", ("y" * 76 + "\n") * 2000, "--ssl-reqd", port="small")
    t.ok(done.returncode != 0 and "552 5.3.4" in done.stdout, "curl: one that says its SIZE is refused with 552", done.stdout[-2000:])
    t.ok("> DATA" not in done.stdout, "curl: before DATA")
    done = curl(s, run, curl_url(s, "smtp", "smtp"), "--mail-rcpt", "ben@example.test", user=None)
    t.contains(done.stdout, "252 2.0.0 ben@example.test", "curl: VRFY of a user")
    done = curl(s, run, curl_url(s, "smtp", "smtp"), "-X", "NOOP", user=None)
    t.equal(done.returncode, 0, "curl: a custom request")


# ---- msmtp ----------------------------------------------------------------------------------------


def msmtp(s, run, data, *words, port="submission", tls="starttls", password="secret", ca=None, host="localhost"):
    rc = secret_file(s, "msmtprc", f"""
account default
host {host}
port {s.port(port)}
tls on
tls_starttls {'on' if tls == 'starttls' else 'off'}
tls_trust_file {ca or s.authority.cafile}
auth plain
user anna@example.test
password {password}
from anna@example.test
timeout 60
""")
    return run("msmtp", "-C", rc, *words, stdin=data)


def msmtps(s, run):
    done = msmtp(s, run, message("msmtp starttls", "hello from msmtp\n.\nend"), "ben@example.test")
    t.equal(done.returncode, 0, "msmtp: submission, verified against the CA") or t.note(done.stdout)
    t.equal(body(arrived(s, "ben", "msmtp starttls")), "hello from msmtp\n.\nend", "msmtp: its message arrived")
    done = msmtp(s, run, message("msmtp implicit", "two"), "-t", port="submissions", tls="implicit")
    t.equal(done.returncode, 0, "msmtp: implicit TLS, recipients from the header") or t.note(done.stdout)
    t.equal(body(arrived(s, "ben", "msmtp implicit")), "two", "msmtp: its message arrived")
    done = msmtp(s, run, message("msmtp wrong", "x"), "ben@example.test", password="wrong")
    t.equal(done.returncode, 77, "msmtp: a wrong password is EX_NOPERM")
    t.contains(done.stdout, "535 5.7.8", "msmtp: and shows the answer")
    done = msmtp(s, run, message("msmtp unknown", "x"), "nobody@example.test")
    t.equal(done.returncode, 65, "msmtp: an unknown recipient is EX_DATAERR")
    done = msmtp(s, run, message("msmtp ca", "x"), "ben@example.test", ca="/etc/ssl/certs/ca-certificates.crt")
    t.ok(done.returncode != 0 and "certificate" in done.stdout, "msmtp: another CA's trust is none", done.stdout)
    done = msmtp(s, run, None, "--serverinfo")
    t.ok(re.search(r"SIZE 52428800.*\n.*PIPELINING|PIPELINING", done.stdout), "msmtp: --serverinfo reads the features", done.stdout)


# ---- smtplib --------------------------------------------------------------------------------------


def smtplib_verbs(s):
    with smtplib.SMTP("127.0.0.1", s.port("smtp"), timeout=60) as c:
        t.equal(c.helo("client.example.test")[0], 250, "smtplib: helo")
        t.equal(c.ehlo("client.example.test")[0], 250, "smtplib: ehlo")
        t.ok(all(map(c.has_extn, ("size", "8bitmime", "smtputf8", "pipelining", "dsn", "chunking", "starttls"))),
             "smtplib: the extensions", c.esmtp_features)
        t.equal([c.noop()[0], c.rset()[0], b"RFC 5321" in c.help()], [250, 250, True], "smtplib: noop, rset, help")
        t.equal([c.verify("ben@example.test")[0], c.verify("nobody@example.test")[0], c.expn("list")[0]], [252, 550, 502],
                "smtplib: verify, expn")
        t.equal([c.mail("a@b.example", ["SIZE=1000", "BODY=8BITMIME"])[0], c.rcpt("ben@example.test", ["NOTIFY=NEVER"])[0],
                 c.data(b"Subject: smtplib verbs\r\n\r\nb\xc3\xb6dy\r\n.\r\nend\r\n")[0]], [250, 250, 250], "smtplib: mail, rcpt, data")
        t.equal(c.docmd("BOGUS")[0], 502, "smtplib: an unknown command")
    m = arrived(s, "ben", "smtplib verbs")
    t.ok(m and m.get_payload(decode=True).replace(b"\r\n", b"\n") == b"b\xc3\xb6dy\n.\nend\n", "smtplib: its bytes arrived", m)


def smtplib_mail(s):
    m = email.message.EmailMessage()
    m["Subject"], m["From"], m["To"] = "smtplib send", "anna@example.test", "ben@example.test, j\u00fcrgen@example.test"
    m.set_content("Gr\u00fc\u00dfe\n.\n")
    m.add_attachment(bytes(range(256)) * 500, maintype="application", subtype="octet-stream", filename="\u00fcbung.bin")
    with smtplib.SMTP("localhost", s.port("submission"), timeout=60) as c:
        c.starttls(context=s.tls_client())
        t.equal(c.login("anna@example.test", "secret")[0], 235, "smtplib: starttls, login")
        t.equal(c.send_message(m), {}, "smtplib: send_message with SMTPUTF8 addresses")
        refused = c.sendmail("anna@example.test", ["ben@example.test", "nobody@example.test"], b"Subject: smtplib some\r\n\r\nx\r\n")
        t.equal(list(refused), ["nobody@example.test"], "smtplib: sendmail tells whom it refused")
        try:
            c.sendmail("anna@example.test", ["nobody@example.test"], b"x")
            t.ok(False, "smtplib: all refused raises")
        except smtplib.SMTPRecipientsRefused as e:
            t.equal(e.recipients["nobody@example.test"][0], 550, "smtplib: all refused raises")
    for user in ("ben", "j\u00fcrgen"):
        got = arrived(s, user, "smtplib send")
        t.ok(got is not None and [p.get_content() for p in got.iter_attachments()] == [bytes(range(256)) * 500],
             f"smtplib: {user} has the attachment")
    with smtplib.SMTP_SSL("localhost", s.port("submissions"), context=s.tls_client(), timeout=60) as c:
        c.ehlo()
        c.user, c.password = "anna@example.test", "secret"
        t.equal(c.auth("LOGIN", c.auth_login)[0], 235, "smtplib: SMTP_SSL with AUTH LOGIN")
        t.equal(c.docmd("AUTH", "PLAIN " + base64.b64encode(b"\0a\0b").decode())[0], 503, "smtplib: a second AUTH is out of order")
    with smtplib.SMTP_SSL("localhost", s.port("submissions"), context=s.tls_client(), timeout=60) as c:
        try:
            c.login("anna@example.test", "wrong")
            t.ok(False, "smtplib: a wrong password raises")
        except smtplib.SMTPAuthenticationError as e:
            t.equal(e.smtp_code, 535, "smtplib: a wrong password raises")


with Server(CONFIG, users=["anna", "ben", "j\u00fcrgen"]) as server:
    runner = Run(server)
    swaks_logins(server, runner)
    swaks_messages(server, runner)
    curls(server, runner)
    msmtps(server, runner)
    smtplib_verbs(server)
    smtplib_mail(server)
t.ok(not server.problems(), "no reports from any role", server.problems())
t.done()
