#!/usr/bin/python3
# pam.py - passwords by PAM: right, wrong, unknown, hostile names (and accounts by passwd); modules that hang, crash, end their process; helpers that are killed
# limit: 240
# SPDX-License-Identifier: Apache-2.0
# part: backends
import glob
import os
import signal
import time

import badnames
from ekiden import BUILD, Server, listener, wait_for
from tap import Tap
from wire import Imap

t = Tap()
MODULE = next(iter(glob.glob(f"{BUILD}/tests/lib/.libs/pam_rehearse.so")), None)
CONFIG = listener("smtp") + listener("imap", plaintext_auth="yes") + """
sasl_plain { }
passwd "accounts" { min_uid = 1
  home = "${mail}/%d/%n" }
pam "staff" { service = rehearse
  config_dir = "${dir}/pam.d"
  connections = 4 }
pam "nowhere" { service = missing
  config_dir = "${dir}/pam.d" }
file "people" { path = $users
  home = "${mail}/%d/%n" }
static "virtual" { home = "${mail}/%d/%n" }
maildir "mail" { path = "%h/Maildir" }
domain $domain { auth = staff, people
  users = virtual
  mailboxes = mail }
domain "file.test" { auth = people
  mailboxes = mail }
domain "system.test" { auth = staff
  users = accounts
  mailboxes = mail }
domain "nowhere.test" { auth = nowhere
  users = virtual
  mailboxes = mail }
auth { timeout = 2s
  failure_delay = 10ms
  failure_delay_max = 20ms }
"""


def says(s, user, password, word, text):
    start = time.monotonic()
    with Imap(s.port("imap"), name=s.hostname) as c:
        t.contains(str(c.login(user, password)), word, f"{s.layout}: {text}")
    return time.monotonic() - start


def helpers(s):
    """The pids of helpers, and of their conversations."""
    found = {}
    for entry in os.listdir("/proc"):
        try:
            with open(f"/proc/{entry}/cmdline", "rb") as f:
                words = f.read().split(b"\0")
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as f:
                parent = int(f.read().rsplit(")", 1)[1].split()[1])
        except (OSError, IndexError, ValueError):
            continue
        if words[0] == b"ekiden-pam" and f"config_dir={s.dir}/pam.d".encode() in words:
            found[int(entry)] = parent
    return found


def owner(pid):
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as f:
        return next(line.split()[1] for line in f if line.startswith("Uid:"))


def asked(s):
    """Who PAM was asked for."""
    with open(f"{s.dir}/pam.d/asked", encoding="utf-8", errors="replace") as f:
        return f.read().splitlines()


def hostile(s):
    """PAM knows none of them, and none comes there as another one's name."""
    before = len(asked(s))
    t.equal(badnames.logins(s, s.domain, "geheim", "*"), [], f"{s.layout}: no name that means harm is anybody's, and none is put off")
    seen = set(asked(s)[before:])
    names = {name.decode(errors="replace").split("+")[0].casefold() for name in badnames.ALL}        # without a tag, as everywhere
    t.equal([name for name in seen if name.casefold() not in names], [], f"{s.layout}: PAM saw them as they are")
    t.ok("anna" not in seen and len(seen) > 20, f"{s.layout}: and none as anna", seen)
    says(s, f"anna@{s.domain}", "geheim", "OK", "who logs in as before")


def accounts(s):
    """Recipients who are the system's users."""
    said = [badnames.rcpt(s, name + b"@system.test", False)[:3] for name in (b"daemon", b"anna", b"root")]
    t.ok(said[0] in ("250", "451") and said[1:] == ["550", "550"], f"{s.layout}: passwd: an account of the system (who gets mail only where "
         "roles.first_valid_uid lets it), nobody, and one below min_uid", said)
    t.equal(badnames.recipients(s, "system.test"), [], f"{s.layout}: passwd: no name that means harm is an account, and none is put off")


def run(s):
    d = s.domain
    says(s, f"anna@{d}", "geheim", "OK", "the right password")
    says(s, f"anna@{d}", "falsch", "AUTHENTICATIONFAILED", "a wrong one")
    says(s, f"expired@{d}", "geheim", "AUTHENTICATIONFAILED", "an account that has expired")
    t.ok(s.logged(r"staff: user .*expired@.*: .*expired", 5), f"{s.layout}: and the log tells it from a wrong password")
    says(s, f"inactive@{d}", "geheim", "AUTHENTICATIONFAILED", "one whose password expired too long ago")
    for odd in ("../../etc/x", "a/b", "-r", ".", ".."):
        says(s, f"{odd}@{d}", "geheim", "AUTHENTICATIONFAILED", f"a name that no system has: {odd}")
    says(s, f"unknown@{d}", "geheim", "OK", "whom PAM does not know the next passdb does")
    says(s, f"down@{d}", "geheim", "UNAVAILABLE", "a PAM module whose server is down")
    t.equal(asked(s).count("down"), 1, f"{s.layout}: which is asked once: the helper works")
    hostile(s)
    accounts(s)
    says(s, "anna@nowhere.test", "geheim", "UNAVAILABLE", "a service that does not exist")
    t.ok(s.logged("service missing: ", 5), f"{s.layout}: and the log names it")
    says(s, f"crash@{d}", "geheim", "UNAVAILABLE", "a module that crashes")
    t.ok(s.logged("ended by signal 6", 5), f"{s.layout}: and the log says so")
    says(s, f"exit@{d}", "geheim", "UNAVAILABLE", "one that ends its process")
    says(s, f"anna@{d}", "geheim", "OK", "and the next login works")
    waiting = []
    for _ in range(4):
        c = Imap(s.port("imap"), name=s.hostname)
        c.line_out(f"x LOGIN hang@{d} geheim")
        waiting.append(c)
    says(s, "ben@file.test", "pb", "OK", "while all helpers hang, other domains do not notice")
    for c in waiting:
        t.contains(c.line(), "UNAVAILABLE", f"{s.layout}: a module that hangs: later")
        c.close()
    says(s, f"anna@{d}", "geheim", "OK", "and the domain is back")
    t.ok(wait_for(lambda: not [p for p in helpers(s).values() if p in helpers(s)], 20), f"{s.layout}: no conversation is left over", helpers(s))
    t.ok(0 < len(helpers(s)) <= 8, f"{s.layout}: no more helpers than connections", helpers(s))
    t.equal({owner(pid) for pid in helpers(s)}, {str(os.geteuid())}, f"{s.layout}: they have master's rights")
    for pid in helpers(s):
        os.kill(pid, signal.SIGKILL)
    says(s, f"anna@{d}", "geheim", "OK", "killed helpers are replaced")
    says(s, f"anna@{d}", "x" * 1000, "AUTHENTICATIONFAILED", "a long password")
    t.equal(s.ekiden("config", "check")[0], 0, f"{s.layout}: the configuration is right")


if MODULE is None:
    t.skip("logins by PAM", "the module pam was not built")
else:
    for layout in ("apart", "merged"):
        site = Server(CONFIG, layout=layout, start=False)
        os.mkdir(f"{site.dir}/pam.d")
        with open(f"{site.dir}/pam.d/rehearse", "w", encoding="ascii") as f:
            f.write(f"auth required {MODULE} {site.dir}/pam.d/asked\naccount required {MODULE}\n")
        site.set_users([("unknown", "{PLAIN}geheim"), ("ben@file.test", "{PLAIN}pb")])
        with site as server:
            server.start()
            run(server)
            t.ok(server.stop(), f"{layout}: the server stops")
            t.ok(wait_for(lambda: not helpers(server), 20), f"{layout}: and its helpers with it", helpers(server))
        t.ok(not server.problems(), f"{layout}: no reports", server.problems())
t.done()
