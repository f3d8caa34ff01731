#!/usr/bin/python3
# doctor.py - ekiden doctor on a healthy server, and on one fault of each kind: it is found, with what to do
# SPDX-License-Identifier: Apache-2.0
# needs: unbound
# limit: 600
import json
import os
import pwd
import socket
import subprocess
import threading

import dns
from ekiden import BUILD, MAIL, Server, wait_for
from tap import Tap

ADDRESS = "44.55.66.77"                        # never spoken to: only its names are looked up
CONFIG = MAIL + """
dns_unbound {
  servers  = "127.0.0.1@DNS"
  attempts = 1
}
smtp "out" {
  port = ${port_far}
}
routing {
  transport  = out
  postmaster = "anna@example.test"
}
queue {
  message_size_limit = 1M
}
listener "smtp" {
  address  = "127.0.0.1:${port_smtp}"
  protocol = smtp
}
listener "imaps" {
  address  = "127.0.0.1:${port_imaps}"
  protocol = imap
  tls      = implicit
}
"""
OURS, REVERSE = f"@ MX 10 mail\nmail A {ADDRESS}\n", "77 PTR mail.example.test.\n"
t = Tap()


class Far:
    """The mail server of another host: says `greeting` to whoever connects."""

    def __init__(self, port, greeting):
        self.sock = socket.create_server(("127.0.0.1", port))
        self.greeting = greeting
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                conn = self.sock.accept()[0]
            except OSError:
                return
            with conn:
                conn.sendall(self.greeting)
                conn.recv(100)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()


class Doctor:
    def __init__(self, server, zones):
        self.server, self.zones, self.before = server, zones, set()
        # the group ekiden-drop is made by the package, not by tests; the clock is what the test says
        self.clock, self.trusted = "0 yes", server.authority.cafile

    def findings(self, *words):
        self.server.extra_env.update(
            SSL_CERT_FILE=self.trusted, EK_FAKECLOCK=self.clock, LD_PRELOAD=f"{BUILD}/tests/lib/.libs/libfakeclock.so",
            ASAN_OPTIONS=os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0")
        try:
            status, text = self.server.ekiden("doctor", "--json", "--probe", "sink.test", *words)
        finally:
            for name in ("LD_PRELOAD", "EK_FAKECLOCK", "SSL_CERT_FILE", "ASAN_OPTIONS"):
                del self.server.extra_env[name]
        try:
            answer = json.loads(text)
        except ValueError:
            t.ok(False, "doctor --json writes JSON", f"exit status {status}: {text}")
            return []
        found = [c for c in answer["checks"] if c["level"] != "ok" and "ekiden-drop" not in c["text"]]
        if any(not c["fix"] for c in found) or (answer["problems"] > 0) != (status == 1) or status > 1:
            t.ok(False, "every finding says what to do, and the status tells whether there is a problem", text)
        self.areas = {c["area"] for c in answer["checks"]}
        return found

    def expect(self, what, level, area, *texts, only=True):
        """One finding more than a healthy server has, at that level and with those words."""
        found = self.findings()
        hit = [c for c in found if c["level"] == level and c["area"] == area and all(w in c["text"] + c["fix"] for w in texts)]
        t.ok(len(hit) == 1 and (not only or len(found) == 1), what, found)


def certificates(doctor, server):
    chain, key = server.certificate
    keep = [(path, open(path, "rb").read()) for path in (chain, key)]

    def put(pair, leaf_only=False):
        for source, path in zip(pair, (chain, key)):
            with open(source, "rb") as f:
                data = f.read()
            if leaf_only and path == chain:
                data = data[:data.index(b"-----END CERTIFICATE-----\n") + 26]
            with open(path, "wb") as f:
                f.write(data)
        os.chmod(key, 0o600)

    issue = server.authority.issue
    put(issue(server.hostname, days=5))
    doctor.expect("a certificate that expires soon", "warning", "certificate", "it expires in ", "ekiden reload")
    doctor.clock = "864000 yes"
    doctor.expect("one that has expired", "problem", "certificate", "expired 5 days ago", "renew", only=False)
    doctor.clock = "-864000 yes"
    doctor.expect("one that is not valid yet", "problem", "certificate", "default: it is not valid yet", only=False)
    doctor.clock = "0 yes"
    put(issue("other.example.test"))
    doctor.expect("one of another name", "warning", "certificate", f"no certificate names {server.hostname}")
    put(issue(server.hostname), leaf_only=True)
    doctor.trusted = "/dev/null"
    doctor.expect("a chain without its end", "warning", "certificate", "the chain ends at", "fullchain.pem")
    put(issue(server.hostname))
    doctor.expect("a private authority", "warning", "certificate", "its authority", "is not known")
    doctor.trusted = server.authority.cafile
    with open(chain, "rb") as f:
        leaf, end, rest = f.read().partition(b"-----END CERTIFICATE-----\n")
    with open(chain, "wb") as f:
        f.write(rest + leaf + end)
    doctor.expect("a chain in the wrong order", "problem", "certificate", "was not issued by the one behind it", "first", only=False)
    put((keep_pair := issue(server.hostname))[:1] + (issue(server.hostname)[1],))
    doctor.expect("the key of another certificate", "problem", "certificate", "is not the key of")
    put(keep_pair)
    os.chmod(key, 0o644)
    doctor.expect("a key for everybody", "problem", "certificate", "everybody may use the key", "chmod o=")
    os.unlink(key)
    doctor.expect("no key", "problem", "certificate", "cannot read the key", only=False)
    with open(key, "w", encoding="ascii") as f:
        f.write("not PEM\n")
    os.chmod(key, 0o600)
    doctor.expect("a key that is none", "problem", "certificate", "holds no key in PEM form", only=False)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:1024", "-nodes", "-days", "30", "-subj", f"/CN={server.hostname}", "-addext",
                    f"subjectAltName=DNS:{server.hostname}", "-keyout", key, "-out", chain], check=True, stderr=subprocess.DEVNULL)
    doctor.expect("a certificate signed by itself", "warning", "certificate", "signed by itself", only=False)
    doctor.expect("a short key", "warning", "certificate", "1024 bits is too short", only=False)
    for path, data in keep:
        with open(path, "wb") as f:
            f.write(data)
    with_text(server, 'certificate "extra" {\n  chain = "%s"\n  key = "%s"\n  names = mail.example.test, gone.example.test\n}\n' % (chain, key),
              lambda: doctor.expect("a name that the certificate has not", "problem", "certificate", "gone.example.test", "`names`"))


def with_text(server, text, check):
    """More configuration, for one check."""
    with open(server.conf, encoding="utf-8") as f:
        good = f.read()
    with open(server.conf, "a", encoding="utf-8") as f:
        f.write(text)
    check()
    with open(server.conf, "w", encoding="utf-8") as f:
        f.write(good)


def ports(doctor, server):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with_text(server, f'listener "more" {{\n  address = "127.0.0.1:{port}"\n  protocol = smtp\n}}\n',
                  lambda: doctor.expect("a port that another program has", "problem", "ports", f"port {port}", f"process {os.getpid()},", "listener.more.address"))
    with_text(server, f'listener "more" {{\n  address = "127.0.0.1:{port}"\n  protocol = smtp\n}}\n',
              lambda: doctor.expect("a port where nobody listens", "problem", "ports", "nobody listens", "ekiden reload"))
    with_text(server, 'listener "far" {\n  address = "203.0.113.9:2525"\n  protocol = smtp\n}\n',
              lambda: doctor.expect("an address that this machine has not", "problem", "ports", "no interface has this address"))


def names(doctor, zones):
    zones.set("66.55.44.in-addr.arpa", "77 PTR other.example.org.\n")
    doctor.expect("a PTR record that says another name", "warning", "dns", "says other.example.org, not mail.example.test")
    zones.set("66.55.44.in-addr.arpa", "1 PTR x.example.org.\n")
    doctor.expect("no PTR record", "warning", "dns", "has no PTR record")
    zones.set("66.55.44.in-addr.arpa", REVERSE)
    for records, what, words in ((f"@ MX 10 elsewhere\nelsewhere A 44.55.66.1\nmail A {ADDRESS}\n", "an MX elsewhere", "its MX is elsewhere.example.test"),
                                 (f"@ MX 0 .\nmail A {ADDRESS}\n", "a null MX", "null MX"), (f"mail A {ADDRESS}\n", "no MX", "has no MX record")):
        zones.set("example.test", records)
        doctor.expect(what, "warning", "dns", words)
    zones.set("example.test", f"@ MX 5 mx2\nmx2 A {ADDRESS}\nmail A {ADDRESS}\n")
    t.equal(doctor.findings(), [], "an MX of another name with our address is well")
    zones.set("example.test", "@ MX 10 mail\n")
    doctor.expect("a hostname without an address", "warning", "dns", "mail.example.test has no address")
    zones.set("example.test", OURS)
    zones.stop()
    doctor.expect("a resolver whose servers are dead", "problem", "dns", "gives no answer", "/etc/resolv.conf")
    zones.start()


def way_out(doctor, server):
    doctor.far.__exit__()
    doctor.expect("port 25 blocked", "problem", "outbound", "is blocked", "provider")
    with Far(server.port("far"), b"521 go away\r\n"):
        doctor.expect("something else answers there", "warning", "outbound", "521 go away")
    full = socket.socket()
    full.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    full.bind(("127.0.0.1", server.port("far")))
    full.listen(0)
    waiting = [socket.socket() for _ in range(3)]
    for sock in waiting:
        sock.setblocking(False)
        sock.connect_ex(("127.0.0.1", server.port("far")))
    doctor.expect("connections that time out", "problem", "outbound", "is blocked", "timed out")
    for sock in (*waiting, full):
        sock.close()
    with_text(server, "", lambda: relayhost(doctor, server))
    doctor.far = Far(server.port("far"), b"220 far ESMTP\r\n")


def relayhost(doctor, server):
    status, text = server.ekiden("config", "set", "routing.relayhost", "[127.0.0.1]")
    t.ok(status == 0, "routing.relayhost is set", text)
    doctor.expect("a relay host that does not answer", "problem", "outbound", "127.0.0.1, where all mail for others goes", "routing.relayhost")


def clock(doctor):
    doctor.clock = "0 no"
    doctor.expect("a clock that is not synchronised", "warning", "clock", "not synchronised", "chrony")
    doctor.clock = "3605 yes"
    doctor.expect("a clock that was set", "warning", "clock", "set forward by 36", "since the server started")
    doctor.clock = "-900 yes"
    doctor.expect("a clock that was set back", "warning", "clock", "set back by ", only=False)
    doctor.clock = "-700000000 yes"
    doctor.expect("a clock that is years behind", "problem", "clock", "years behind", only=False)
    doctor.clock = "0 yes"


def permissions(doctor, server):
    def mode(path, bits, what, level, *texts):
        old = os.stat(path).st_mode & 0o7777
        os.chmod(path, bits)
        doctor.expect(what, level, "permissions", path, *texts)
        os.chmod(path, old)

    mode(f"{server.dir}/spool", 0o777, "a spool that everybody may change", "problem", "chmod 0750")
    mode(f"{server.dir}/spool", 0o755, "a spool that everybody may read", "warning", "chmod 0750")
    mode(server.mail, 0o777, "a mail root that everybody may change", "problem", "chmod 0775")
    mode(server.users, 0o644, "passwords that everybody may read", "problem", "chmod o=")
    mode(f"{server.dir}/log/mail.log", 0o644, "a log that everybody may read", "warning", "chmod o=")
    mode(f"{server.dir}/log", 0o777, "a folder of logs that everybody may change", "problem", "chmod 0775")
    mode(f"{server.dir}/state/maildrop", 0o1777, "a drop folder for everybody", "problem", "chmod")
    secret = f"{server.dir}/secret"
    with open(secret, "w", encoding="ascii") as f:
        f.write("x\n")
    os.chmod(secret, 0o644)
    with_text(server, f'file "more" {{\n  path = "{server.users}"\n  scheme = file("{secret}")\n}}\n',
              lambda: doctor.expect("a secret that everybody may read", "problem", "permissions", secret, "chmod o=", only=False))
    if os.geteuid() != 0:
        t.skip("owners", "needs root")
        return
    user = pwd.getpwnam(server.accounts["queue"])
    os.chown(f"{server.dir}/spool", 0, 0)
    doctor.expect("a spool of another owner", "problem", "permissions", f"does not belong to {user.pw_name}", "chown")
    os.chown(f"{server.dir}/spool", user.pw_uid, user.pw_gid)
    owner = os.stat(server.users)
    os.chown(server.users, 0, 0)
    doctor.expect("a users file that its role cannot read", "problem", "permissions", "cannot be read by", "chown")
    os.chown(server.users, owner.st_uid, owner.st_gid)
    os.chmod(server.dir, 0o700)
    found = doctor.findings()
    t.ok(found and all("cannot be reached by" in c["text"] and "chmod o+x" in c["fix"] for c in found), "a folder above that is closed to the roles", found)
    os.chmod(server.dir, 0o755)
    with_text(server, 'queue_less = 1\n', lambda: doctor.expect("an error in the configuration", "problem", "configuration", "queue_less", "config check",
                                                              only=False))


def postmaster(doctor, server):
    """Somebody has to get his mail: the running server is asked who does."""
    t.contains(server.ekiden("doctor", "--no-dns")[1], "ok       postmaster    somebody gets mail for postmaster", "a healthy server has one")
    server.set_users(["anna", "postmaster"])
    with open(server.conf, encoding="utf-8") as f:
        text = f.read()
    server.replace_conf(text.replace('  postmaster = "anna@example.test"\n', ""))
    t.equal(server.reload()[0], 0, "without routing.postmaster")
    t.ok(wait_for(lambda: doctor.findings() == [], 20, 0.5), "a user of that name will do", doctor.findings())
    server.set_users(["anna"])
    wait_for(lambda: doctor.findings() != [], 20, 0.5)
    doctor.expect("nobody is postmaster", "warning", "postmaster", "nobody gets mail for <postmaster> and others", "routing.postmaster")
    server.replace_conf(text)
    t.equal(server.reload()[0], 0, "with it again")


def disk(doctor, server):
    if os.geteuid() != 0:
        t.skip("a full disk", "needs root")
        return
    user = pwd.getpwnam(server.accounts["queue"])
    for size, level, words in (("8m", "problem", "452"), ("24m", "warning", "has only")):
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700,uid={user.pw_uid},gid={user.pw_gid}", "none", f"{server.dir}/spool"], check=True)
        try:
            doctor.expect(f"a spool with {size}B of room", level, "disk", f"{server.dir}/spool", words, "make room")
        finally:
            subprocess.run(["umount", "-l", f"{server.dir}/spool"], check=True)


def words(server):
    """Its form for people, and the helps."""
    status, text = server.ekiden("doctor", "--no-dns")
    lines = text.splitlines()
    t.ok(lines[0].startswith("ok       configuration ") and "problem" in lines[-1], "for people: a line a finding, a sum at the end", text)
    warned = [i for i, line in enumerate(lines) if line.startswith(("warning", "problem"))]
    t.ok(warned and all(lines[i + 1].strip().startswith("-> ") for i in warned), "and below a finding what to do", text)
    t.ok("outbound" not in text and "\nok       dns" not in text, "--no-dns asks nobody", text)
    t.equal(server.ekiden("doctor", "x")[0], 2, "words make no sense")
    t.equal(status, 0, "warnings alone are no failure")


zones_wanted = {"example.test": OURS, "66.55.44.in-addr.arpa": REVERSE, "sink.test": "@ MX 10 mx\nmx A 127.0.0.1\n"}
with dns.Dns(zones_wanted) as zones, Server(CONFIG.replace("DNS", str(zones.port)), users=["anna"], start=False) as server:
    with open(server.conf, encoding="utf-8") as f:
        text = f.read()
    with open(server.conf, "w", encoding="utf-8") as f:
        f.write(text.replace(f'  path = "{server.dir}/spool"\n', f'  path = "{server.dir}/spool"\n  segment_size = 4M\n'))
    os.chmod(f"{server.dir}/spool", 0o700)
    server.start()
    doctor = Doctor(server, zones)
    doctor.far = Far(server.port("far"), b"220 far ESMTP\r\n")
    t.equal(doctor.findings(), [], "a healthy server has no findings")
    t.equal(doctor.areas - {"users"}, {"configuration", "server", "confinement", "permissions", "disk", "certificate", "ports", "clock", "postmaster", "dns", "outbound"},
            "and everything was looked at")
    certificates(doctor, server)
    ports(doctor, server)
    names(doctor, zones)
    way_out(doctor, server)
    clock(doctor)
    permissions(doctor, server)
    disk(doctor, server)
    postmaster(doctor, server)
    words(server)
    t.equal(doctor.findings(), [], "and it is healthy again")
    if os.geteuid() == 0:
        done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", f"{BUILD}/ekiden", "doctor", "--json", "--no-dns", "-c", server.conf],
                              env=server.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        t.ok(json.loads(done.stdout)["checks"], "without root it tells what it may see", done.stdout)
    server.stop()
    doctor.expect("a server that does not run", "warning", "server", "does not run")
    with socket.create_server(("127.0.0.1", server.port("smtp"))):
        doctor.expect("and its port taken by another program", "problem", "ports", f"process {os.getpid()},", only=False)
    doctor.far.__exit__()
    t.equal(server.problems(), [], "no reports")
t.done()
