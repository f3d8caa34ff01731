#!/usr/bin/python3
# tls.py - versions, ALPN, names and certificates, reload, tickets over several processes, facts handed along
# limit: 300
# SPDX-License-Identifier: Apache-2.0
import os
import re
import shutil
import socket
import ssl
import subprocess

from ekiden import MAIL, Server, wait_for
from tap import Tap
from wire import Imap, Smtp

CONFIG = MAIL + """
certificate "wild" {
  chain = "${dir}/wild.pem"
  key   = "${dir}/wild.key"
}
certificate "exact" {
  chain = "${dir}/exact.pem"
  key   = "${dir}/exact.key"
}
certificate "named" {
  names = "legacy.example.net", "*.legacy.example.net"
  chain = "${dir}/named.pem"
  key   = "${dir}/named.key"
}
listener "smtp" {
  address  = "127.0.0.1:${port_smtp}"
  protocol = smtp
}
listener "submissions" {
  address  = "127.0.0.1:${port_submissions}"
  protocol = smtp
  submission = yes
  tls      = implicit
}
listener "imaps" {
  address  = "127.0.0.1:${port_imaps}", "[::1]:${port_imaps}"
  protocol = imap
  tls      = implicit
}
listener "imap" {
  address  = "127.0.0.1:${port_imap}"
  protocol = imap
  certificates = exact
}
"""
t = Tap()


def install(server, name, pair):
    for source, kind in zip(pair, ("pem", "key")):
        shutil.copy(source, f"{server.dir}/{name}.{kind}.new")
        os.replace(f"{server.dir}/{name}.{kind}.new", f"{server.dir}/{name}.{kind}")


def handshake(server, port, name, alpn=None, host="127.0.0.1", **settings):
    """A fresh connection: the TLS socket."""
    context = server.tls_client(check_hostname=False, **settings)
    if alpn:
        context.set_alpn_protocols(alpn)
    return context.wrap_socket(socket.create_connection((host, server.port(port)), 20), server_hostname=name)


def shown(server, port, name):
    """The first name of the certificate that a client of `name` sees, and its serial number."""
    with handshake(server, port, name) as s:
        cert = s.getpeercert()
        return cert["subjectAltName"][0][1], cert["serialNumber"]


def s_client(server, *more, port="imaps", stdin=b""):
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{server.port(port)}", "-CAfile", server.authority.cafile, *more],
                          input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False)
    return done.stdout.decode("utf-8", "replace")


def versions(server):
    for flag in ("-tls1", "-tls1_1"):
        for port, more in (("imaps", ()), ("smtp", ("-starttls", "smtp")), ("imap", ("-starttls", "imap"))):
            text = s_client(server, flag, "-cipher", "ALL:@SECLEVEL=0", *more, port=port)
            t.ok("Cipher is (NONE)" in text and "alert protocol version" in text, f"{port}: {flag} is refused with the right alert", text)
    for flag, name in (("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")):
        t.contains(s_client(server, flag, "-brief", stdin=b""), f"Protocol version: {name}", f"{name} is spoken")
    t.ok("Cipher is (NONE)" in s_client(server, "-tls1_2", "-cipher", "AES128-SHA"), "no key exchange without forward secrecy")
    t.contains(s_client(server, "-tls1_2", stdin=b""), "Secure Renegotiation IS supported", "renegotiation is the secure one")


def alpn(server):
    for port, word in (("imaps", "imap"), ("submissions", "smtp")):
        with handshake(server, port, server.hostname, ["h2", word]) as s:
            t.equal(s.selected_alpn_protocol(), word, f"{port}: ALPN agrees on {word}")
        with handshake(server, port, server.hostname) as s:
            t.equal(s.selected_alpn_protocol(), None, f"{port}: a client that names none is served")
        try:
            handshake(server, port, server.hostname, ["http/1.1"]).close()
            t.ok(False, f"{port}: one that names only others is refused")
        except ssl.SSLError as error:
            t.contains(str(error).upper().replace(" ", "_"), "NO_APPLICATION_PROTOCOL", f"{port}: one that names only others is refused")


def names(server):
    for port in ("imaps", "submissions"):
        for asked, first in ((server.hostname, server.hostname), ("pop.hosted.example.net", "*.hosted.example.net"),
                             ("mail.hosted.example.net", "mail.hosted.example.net"), ("legacy.example.net", "elsewhere.example.net"),
                             ("a.legacy.example.net", "elsewhere.example.net"), ("nobody.example.com", server.hostname),
                             ("a.b.hosted.example.net", server.hostname), (None, server.hostname)):
            t.equal(shown(server, port, asked)[0], first, f"{port}: {asked} sees the certificate of {first}")
    with Imap(server.port("imap"), name="whatever.example.com") as c:
        c.starttls(server.tls_client(check_hostname=False), "whatever.example.com")
        t.equal(c.sock.getpeercert()["subjectAltName"][0][1], "mail.hosted.example.net", "a listener with a list of its own has its own default")


def reload(server):
    old = shown(server, "imaps", "mail.hosted.example.net")
    with server.imap("imaps", "anna") as session:
        install(server, "exact", server.authority.issue("mail.hosted.example.net", rsa=True))
        t.equal(server.reload(), (0, ""), "a certificate is replaced, and reload taken")
        new = shown(server, "imaps", "mail.hosted.example.net")
        t.ok(new[0] == old[0] and new[1] != old[1], "new connections see the new one", (old, new))
        t.equal(shown(server, "imaps", server.hostname)[0], server.hostname, "the others are as they were")
        t.equal(session.cmd("SELECT INBOX").status, "OK", "an old session goes on")
        generation = server.generation()
        pem, key = f"{server.dir}/exact.pem", f"{server.dir}/exact.key"
        with open(pem, "rb") as f:
            good = f.read()
        second = good.replace(b"-----END CERTIFICATE-----", b"@@@@", 1).rsplit(b"@@@@", 1)
        for path, content, reason in (
                (key, b"-----BEGIN PRIVATE KEY-----\nrubbish\n-----END PRIVATE KEY-----\n", "holds no private key"),
                (key, open(f"{server.dir}/wild.key", "rb").read(), "is not the key of"),
                (key, b"", "no PEM file"), (pem, b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "holds no certificate"),
                (pem, b"-----END CERTIFICATE-----".join(second[:1]) + b"-----END CERTIFICATE-----\n-----BEGIN CERTIFICATE-----\nAAAA\n"
                 b"-----END CERTIFICATE-----\n", "behind the first is damaged"),
                (pem, None, "No such file")):
            with open(path, "rb") as f:
                kept = f.read()
            if content is None:
                os.unlink(path)
            else:
                with open(path, "wb") as f:
                    f.write(content)
            status, text = server.reload()
            t.ok(status == 1 and path in text and reason in text and re.search(r"ekiden\.conf:\d+", text),
                 f"broken: refused with the place, the file and \"{reason}\"", text)
            status, text = server.ekiden("config", "check")
            t.ok(status == 1 and path in text and reason in text, "config check says the same", text)
            with open(path, "wb") as f:
                f.write(kept)
            t.equal(shown(server, "imaps", "mail.hosted.example.net"), new, "and the old one stays")
        with open(server.conf, encoding="utf-8") as f:
            conf = f.read()
        for more, reasons in (('tls { ciphers = "NOSUCH" }\nqueue { bogus = 1 }\n', ("tls.ciphers", "bogus")),
                              ("tls { groups = nosuch }\n", ("tls.groups",)),
                              ('listener "more" { address = "127.0.0.1:1"\n protocol = smtp\n certificates = other }\n',
                               ('no block certificate "other"',))):
            server.replace_conf(conf + more)
            status, text = server.reload()
            t.ok(status == 1 and all(r in text for r in reasons), f"refused, with every error: {', '.join(reasons)}", text)
        server.replace_conf(conf)
        t.equal(server.generation(), generation, "none of these counted")
        server.replace_conf(conf + "tls { min_version = 1.3 }\n")
        t.equal(server.reload(), (0, ""), "the oldest version is changed")
        t.contains(s_client(server, "-tls1_2"), "Cipher is (NONE)", "new connections obey")
        server.replace_conf(conf.replace('certificate "exact"', 'certificate "other"').replace("certificates = exact", "certificates = wild"))
        t.equal(server.reload(), (0, ""), "a certificate goes and another comes")
        t.equal(shown(server, "imaps", "mail.hosted.example.net")[0], "mail.hosted.example.net", "names are found in the new set")
        server.replace_conf(conf)
        t.equal(server.reload(), (0, ""), "back again")
        t.equal(session.cmd("NOOP").status, "OK", "the old session is still there")


def tickets(server):
    def resumed(path, flag):
        """Of eight connections, to whichever process takes them, how many came back without a full handshake."""
        return sum("Reused, " in s_client(server, flag, "-sess_in", path, "-servername", server.hostname) for _ in range(8))
    for flag in ("-tls1_2", "-tls1_3"):
        path = f"{server.dir}/session{flag}"
        # a TLS 1.3 ticket follows the handshake: the greeting is behind it
        text = s_client(server, flag, "-sess_out", path, "-servername", server.hostname, "-quiet", stdin=b"a LOGOUT\r\n")
        t.ok(os.path.exists(path), f"{flag}: a ticket is given", text)
        t.equal(resumed(path, flag), 8, f"{flag}: resumed by every one of {len(server.busy('tls'))} tls processes")
        t.equal(server.ekiden("rekey"), (0, ""), "the key changes")
        t.equal(resumed(path, flag), 8, f"{flag}: the key before counts too")
        pid = server.pid_of("tls.0")
        server.deaths_expected = True
        os.kill(pid, 9)
        wait_for(lambda: server.pid_of("tls.0") not in (None, pid) and server.ready("tls.0"), 30)
        t.equal(resumed(path, flag), 8, f"{flag}: a process that was started anew has the keys")
        t.equal(server.ekiden("rekey"), (0, ""), "the key changes again")
        t.equal(resumed(path, flag), 0, f"{flag}: after two changes it is a full handshake, and none fails")
    with open(server.conf, encoding="utf-8") as f:
        conf = f.read()
    server.replace_conf(conf + "tls { ticket_lifetime = 1s }\n")
    t.equal(server.reload(), (0, ""), "a shorter life")
    path = f"{server.dir}/session-short"
    s_client(server, "-tls1_2", "-sess_out", path, "-servername", server.hostname)
    t.ok(wait_for(lambda: resumed(path, "-tls1_2") == 0, 30, 0.5) is True, "keys change by themselves")
    server.replace_conf(conf + "tls { tickets = no }\n")
    t.equal(server.reload(), (0, ""), "no tickets")
    os.unlink(path)
    s_client(server, "-tls1_2", "-sess_out", path, "-servername", server.hostname)
    t.equal(resumed(path, "-tls1_2") if os.path.exists(path) else 0, 0, "then none is resumed")
    server.replace_conf(conf)
    server.reload()

    def back():
        s_client(server, "-tls1_2", "-sess_out", path, "-servername", server.hostname)
        return os.path.exists(path) and resumed(path, "-tls1_2") == 8
    t.ok(wait_for(back, 30, 0.2), "tickets are back, as soon as every process goes by the new configuration")


def facts(server):
    """What the edge is told: by a fresh handshake, by a resumed one, and over STARTTLS."""
    def send(c, subject):
        c.ehlo()
        t.equal(c.auth_plain("anna@example.test", server.password).code, 235, f"{subject}: logged in")
        t.equal(c.mail("anna@example.test", "anna@example.test", f"Subject: {subject}\r\n\r\nx\r\n".encode()).code, 250, f"{subject}: accepted")
        c.cmd("QUIT")
    context = server.tls_client(check_hostname=False, maximum_version=ssl.TLSVersion.TLSv1_2)
    sessions = []
    for subject in ("fresh", "resumed"):
        with Smtp(server.port("submissions"), greet=False, source="127.0.0.9") as c:
            c.sock = context.wrap_socket(c.sock, server_hostname=server.hostname, session=sessions[0] if sessions else None)
            c.greeting = c.reply()
            send(c, subject)
            sessions.append(c.sock.session)
            t.equal(c.sock.session_reused, subject == "resumed", f"{subject}: as it should be")
            cipher = c.sock.cipher()
    with Smtp(server.port("smtp"), source="127.0.0.9") as c:
        c.ehlo()
        c.starttls(server.tls_client(check_hostname=False, minimum_version=ssl.TLSVersion.TLSv1_3), server.hostname)
        send(c, "starttls")
    with Smtp(server.port("smtp"), source="127.0.0.9") as c:
        c.ehlo()
        t.equal(c.mail("x@example.org", "anna@example.test", b"Subject: plain\r\n\r\nx\r\n").code, 250, "plain: accepted")
    mails = {re.search(rb"Subject: (\w+)", m).group(1).decode(): m.decode() for m in server.wait_messages("anna", 4)}
    for subject in ("fresh", "resumed", "starttls"):
        received = mails[subject].split("Received: ", 1)[1].split("\r\n\tfor")[0] if "\r\n\tfor" in mails[subject] else mails[subject]
        t.contains(received, "[127.0.0.9]", f"{subject}: Received names the client's address")
        t.contains(received, "ESMTPSA", f"{subject}: and says TLS and AUTH")
        t.ok(re.search(rf"\(using TLSv1\.{3 if subject == 'starttls' else 2} with cipher \S+ \(\d+/\d+ bits\)\)", received),
             f"{subject}: with version and cipher", received)
    t.contains(mails["resumed"], cipher[0], "the cipher is the one that the client sees")
    t.ok("using TLS" not in mails["plain"], "plain: it says nothing of TLS", mails["plain"])
    t.ok(server.logged(r"smtpd\[\d+\]: connect from unknown\[127\.0\.0\.9\]"), "the log has the client's address")
    t.ok(server.logged(r"smtpd\[\d+\]: Anonymous TLS connection established from unknown\[127\.0\.0\.9\]: TLSv1\.2 with cipher " + cipher[0]),
         "and the TLS facts")
    with Imap(server.port("imaps"), host="::1", tls=server.tls_client(check_hostname=False), name=server.hostname) as c:
        c.login("anna@example.test", server.password)
    t.ok(server.logged(r"imap-login: Login: user=<anna@example.test>, method=\w+, rip=::1, lip=::1, mpid=\d+, TLS"), "IMAP over IPv6, too")
    t.ok(server.logged(r"imap-login: Anonymous TLS connection established from unknown\[::1\]"), "with its TLS facts")
    try:
        with handshake(server, "imaps", server.hostname, ["http/1.1"]):
            pass
    except ssl.SSLError:
        pass
    t.ok(server.logged(r"tlsproxy\[\d+\]: SSL_accept error from unknown\[127\.0\.0\.1\]: "), "a handshake that failed is logged with its reason")


with Server(CONFIG, users=["anna"], start=False, roles="  tls = 3\n  restart_delay = 20ms") as server:
    for name, hosts in (("wild", ("*.hosted.example.net",)), ("exact", ("mail.hosted.example.net",)), ("named", ("elsewhere.example.net",))):
        install(server, name, server.authority.issue(*hosts))
    server.start()
    versions(server)
    alpn(server)
    names(server)
    reload(server)
    tickets(server)
    facts(server)
    t.ok(server.stop(), "the server stops")
t.equal(server.problems(), [], "no report")
t.done()
