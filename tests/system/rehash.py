#!/usr/bin/python3
# rehash.py - a file of mixed hashes: logins keep what is weak by a stronger scheme, and an error hurts nobody
# SPDX-License-Identifier: Apache-2.0
# part: backends
# limit: 120
import base64
import hashlib
import os
import threading

from ekiden import Server, listener, wait_for
from tap import Tap
from wire import Imap

t = Tap()
CONFIG = listener("imap", plaintext_auth="yes") + """
sasl_plain { }
sasl_cram_md5 { }
file "people" { path = "${dir}/auth/users"
  scheme = PLAIN-MD5
  home = "${mail}/%d/%n" }
file "fixed" { path = "${dir}/fixed/users"
  home = "${mail}/%d/%n" }
test "remote" { password = pw
  home = "${mail}/%d/%n" }
maildir "mail" { path = "%h/Maildir" }
domain $domain { auth = people
  mailboxes = mail }
domain "fixed.test" { auth = fixed
  mailboxes = mail }
domain "remote.test" { auth = remote
  mailboxes = mail }
auth { rehash = SHA512-CRYPT
  rehash_cost = 6000
  failure_delay = 10ms
  failure_delay_max = 20ms }
"""
MD5 = hashlib.md5(b"secret").hexdigest()
SHA = "{SHA}" + base64.b64encode(hashlib.sha1(b"secret").digest()).decode()


def login(s, user, password="secret"):
    with Imap(s.port("imap"), name=s.hostname) as c:
        return str(c.login(user, password)).split(" ")[0] if password else None


def lines(s, folder="auth"):
    with open(f"{s.dir}/{folder}/users", encoding="ascii") as f:
        return dict(line.rstrip("\n").split(":", 1) for line in f if ":" in line and not line.startswith("#"))


def strong(s, user):
    return lines(s)[user].startswith("{SHA512-CRYPT}$6$rounds=6000$")


def make(layout):
    s = Server(CONFIG, layout=layout, start=False)
    d = s.domain
    for folder, owner in (("auth", "directory"), ("fixed", None)):
        os.mkdir(f"{s.dir}/{folder}")
        with open(f"{s.dir}/{folder}/users", "w", encoding="ascii") as f:
            f.write("# what ten years left\n" + f"sha@{d}:{SHA}::::::x=y\nbare@{d}:{MD5}\nplain@{d}:{{PLAIN}}secret\n"
                    + f"once@{d}:{SHA}\ncram@{d}:{{SCRAM-SHA-1}}4096,QSXCR+Q6sek8bf92,6dlGYMOdZcOPutkcNY8U2g7vK9Y=,D+CSWLOshSulAsxiupA+qs2/fTE=\n"
                    if folder == "auth" else f"x@fixed.test:{SHA}\n")
        for path in (f"{s.dir}/{folder}/users", f"{s.dir}/{folder}"):
            os.chmod(path, 0o755)
            s.give(path, owner)
    return s


for layout in ("apart", "merged"):
    server = make(layout)
    d = server.domain
    with server as s:
        s.start()
        before = lines(s)
        t.equal(login(s, f"sha@{d}", "wrong"), "NO", f"{layout}: a wrong password")
        t.equal(login(s, f"nobody@{d}"), "NO", f"{layout}: nobody")
        t.equal(lines(s), before, f"{layout}: change nothing")
        for user in ("sha", "bare", "plain"):
            t.equal(login(s, f"{user}@{d}"), "OK", f"{layout}: {user}: a right one")
            t.ok(wait_for(lambda user=user: strong(s, f"{user}@{d}")), f"{layout}: {user}: is kept by the stronger scheme", s.tail(5))
            t.equal(login(s, f"{user}@{d}"), "OK", f"{layout}: {user}: and is still right")
        t.ok(lines(s)[f"sha@{d}"].endswith("::::::x=y"), f"{layout}: the rest of the line is as it was", lines(s))
        t.ok(s.logged(rf"sha@{d}: the password is kept by SHA512-CRYPT now, no longer by SHA \(people\)", 5), f"{layout}: the log tells it")
        again = lines(s)
        crowd = [threading.Thread(target=login, args=(s, f"sha@{d}")) for _ in range(8)]
        for one in crowd:
            one.start()
        for one in crowd:
            one.join()
        t.equal(lines(s), again, f"{layout}: what is strong enough stays")
        crowd = [threading.Thread(target=login, args=(s, f"once@{d}")) for _ in range(8)]
        for one in crowd:
            one.start()
        for one in crowd:
            one.join()
        t.ok(wait_for(lambda: strong(s, f"once@{d}")), f"{layout}: eight logins at once")
        t.ok(wait_for(lambda: f"once@{d}: the password is kept by" in s.log(), 10), f"{layout}: change it")
        t.equal(s.log().count(f"once@{d}: the password is kept by"), 1, f"{layout}: once")
        if os.geteuid() == 0 and layout == "apart":
            t.equal(login(s, "x@fixed.test"), "OK", f"{layout}: a file that cannot be written")
            t.ok(s.logged(r'file "fixed": .*fixed/users', 10), f"{layout}: is told", s.tail(5))
            t.equal(login(s, "x@fixed.test"), "OK", f"{layout}: and hurts nobody")
        t.equal(login(s, "x@remote.test", "pw"), "OK", f"{layout}: a backend that cannot be written")
        t.ok(s.logged(r'test "remote" cannot be written by a login: its passwords stay as they are', 5), f"{layout}: is told")
        text = open(s.conf, encoding="utf-8").read()
        s.replace_conf(text.replace("rehash = SHA512-CRYPT", "rehash = SHA"))
        t.contains(s.ekiden("config", "check")[1], "auth.rehash = SHA: expected a scheme made for passwords", f"{layout}: a weak scheme is no word")
        s.replace_conf(text.replace('protocol = imap', 'protocol = imap\n  mechanisms = PLAIN, CRAM-MD5'))
        t.equal(s.reload()[0], 0, f"{layout}: a mechanism that needs the secret")
        with open(f"{s.dir}/auth/users", "a", encoding="ascii") as f:
            f.write(f"kept@{d}:{{PLAIN}}secret\nlast@{d}:{SHA}\n")
        t.ok(wait_for(lambda: login(s, f"kept@{d}") == "OK"), f"{layout}: a password in plain")
        t.equal(login(s, f"last@{d}"), "OK", f"{layout}: and a weak hash behind it")
        t.ok(wait_for(lambda: strong(s, f"last@{d}")), f"{layout}: the hash is made anew")
        t.equal(lines(s)[f"kept@{d}"], "{PLAIN}secret", f"{layout}: the plain one stays for the mechanism")
    t.ok(not server.problems(), f"{layout}: no reports", server.problems())
t.done()
