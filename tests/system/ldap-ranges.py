#!/usr/bin/python3
# ldap-ranges.py - attributes whose values a directory gives in ranges, as Active Directory does: all of them, or a question put off
# SPDX-License-Identifier: Apache-2.0
# limit: 180
# leaks
import time

import ldapfake
from ekiden import Server, listener
from tap import Tap
from wire import Imap

STEP, CROWD = 1500, 4000
BLOCK = listener("imap", plaintext_auth="yes") + """
sasl_plain { }
maildir "mail" { path = "%h/Maildir" }
ldap "groups" { uris = "@URI@"
  base = "dc=example"
  filter = "(cn=:key)"
  attributes = "member"
  exact = no
  timeout = 2s }
ldap "options" { uris = "@URI@"
  base = "dc=example"
  filter = "(cn=:key)"
  attributes = "member;lang-en=value"
  exact = no }
ldap "owners" { uris = "@URI@"
  base = "dc=example"
  filter = "(member=:address)"
  attributes = "mail" }
ldap "people" { uris = "@URI@"
  base = "dc=example"
  user_filter = "(cn=:user)"
  user_attributes = "member=groups"
  exact = no
  home = "/nonexistent/%n" }
ldap "logins" { uris = "@URI@"
  base = "dc=example"
  user_filter = "(cn=:local)"
  password_attributes = "userPassword=password", "member=groups"
  exact = no
  home = "${mail}/%n" }
domain "login.test" { auth = logins
  mailboxes = mail }
auth { timeout = 3s }
domain "many.test" { auth = people
  mailboxes = mail }
"""
t = Tap()


def member(number):
    return f"user{number}@many.test"


def ranged(first, last, count=None, name="member;range="):
    """One attribute with a range; last: None is the end."""
    end = CROWD if last is None else last + 1
    return (f"{name}{first}-{'*' if last is None else last}", [member(i) for i in range(first, end if count is None else first + count)])


def part(first, step=STEP, total=CROWD, **more):
    return [ranged(first, first + step - 1 if first + step < total else None, **more)]


def slowly(first):
    time.sleep(0.9)
    return part(first)


def dripping(first):
    time.sleep(0.5)
    return part(first, step=50)


def gone(_):
    raise ldapfake.Gone


def silent(_):
    raise ldapfake.Silent


# what an entry shows when it is found, and when its values from `first` on are asked for; None: it is there no more
GOOD = {
    "plain": part,
    "beside": lambda first: [("member", []), *part(first)],
    "foreign": lambda first: [("cn", ["x"]), ("memberOf;range=0-0", ["y"]), *part(first), ("member;lang-en", ["z"])],
    "loud": lambda first: part(first, name="MEMBER;Range="),
    "slow": slowly,
    "uneven": lambda first: part(first, step=1000 if first else 700),
    "atonce": lambda first: [ranged(0, None)],
    "emptyend": lambda first: part(first, total=CROWD + STEP, step=CROWD) if first == 0 else [("member;range=4000-*", [])],
}
# the same, and what the error says
BAD = {
    "again": (lambda first: part(0), '"member;range=0-1499" with 1500 values makes no sense behind the first 1500 of member'),
    "back": (lambda first: part(first and first - 1), '"member;range=1499-2998"'),
    "gap": (lambda first: part(first and first + 1), '"member;range=1501-3000"'),
    "late": (lambda first: [ranged(5, 1499)], '"member;range=5-1499" with 1495 values makes no sense behind the first 0'),
    "fewer": (lambda first: [ranged(first, first + STEP - 1, count=100)], "with 100 values makes no sense"),
    "more": (lambda first: [ranged(first, first + STEP - 1, count=2000)], "with 2000 values makes no sense"),
    "nothing": (lambda first: [ranged(first, first + STEP - 1, count=0)], "with 0 values makes no sense"),
    "turned": (lambda first: [("member;range=1499-0", [member(1)])], '"member;range=1499-0"'),
    "overflow": (lambda first: [("member;range=0-18446744073709551615", [member(1)])], "makes no sense"),
    "wraps": (lambda first: [("member;range=0-4294967296", [member(1)])], "makes no sense"),
    "words": (lambda first: [("member;range=all", [member(1)])], '"member;range=all"'),
    "two": (lambda first: [("member;range=0-0;range=1-*", [member(1)])], "makes no sense"),
    "twice": (lambda first: part(first) + part(first), '"member;range=0-1499" with 1500 values makes no sense behind the first 1500'),
    "both": (lambda first: part(first) + [("member", [member(1)])], '"member" with 1 values makes no sense'),
    "whole": (lambda first: [("member", [member(1)])] if first else part(0), '"member" with 1 values makes no sense behind the first 1500'),
    "lost": (lambda first: [("cn", ["x"])] if first else part(0), "the values of member behind the first 1500 are not given"),
    "empty": (lambda first: [("member", [])] if first else part(0), "the values of member behind the first 1500 are not given"),
    "deleted": (lambda first: None if first else part(0), "No such object"),
    "endless": (lambda first: part(first, total=10 ** 9), "member has more than 10000 values"),
    "crumbs": (lambda first: part(first, step=1, total=10 ** 9), "or 100 parts"),
    "huge": (lambda first: [(f"member;range={first}-{first}", ["x" * 3000000])], "4194304 bytes"),
    "dies": (lambda first: gone(first) if first else part(0), "no answer: Can't contact LDAP server"),
    "diesthen": (lambda first: gone(first) if first > STEP else part(first), "no answer: Can't contact LDAP server"),
    "hangs": (lambda first: silent(first) if first else part(0), "no answer in time"),
}


def show(dn, name, first):
    how = dripping if name == "drips" else GOOD.get(name) or BAD[name][0]
    shown = how(first)
    return None if shown is None else [(dn, [*shown, ("userPassword", ["pw"])] if first == 0 else shown)]


def answer(base, value, attributes):
    """(cn=NAME) finds the entry that acts so; (member=ADDRESS) finds "owner", as a directory that compares loosely does."""
    if value is not None:
        name = "plain" if "mail" in attributes else value.split("@")[0]
        more = [("mail", ["owner@many.test"])] if "mail" in attributes else []
        if "again@" in value:
            name = "again"
        if "member;lang-en" in attributes:
            return [("cn=options,dc=example", part(0, name="member;lang-en;range="))]
        return [(dn, shown + more) for dn, shown in show(f"cn={name},dc=example", name, 0)]
    asked, first = attributes[0].split(";range=")
    first = int(first[:-len("-*")])
    if asked == "member;lang-en":
        attribute, values = part(first, name="member;lang-en;range=")[0]
        _, option, span = attribute.split(";")
        return [(base, [(f"member;{span};{option}", values)])]       # the order of options means nothing
    return show(base, base[len("cn="):].split(",")[0], first)


def good(s, directory):
    everybody = [member(i) for i in range(CROWD)]
    for name in GOOD:
        status, said = s.ekiden("map", "get", "groups", name)
        t.ok(status == 0 and said.split() == everybody, f"{name}: all {CROWD} are found, in order", said[-200:])
    del directory.asked[:]
    s.ekiden("map", "get", "groups", "plain")
    t.equal(directory.asked, [("dc=example", "plain", ["member", "cn"])] + [("cn=plain,dc=example", None, [f"member;range={n}-*"]) for n in (1500, 3000)],
            "the entry itself is asked, for what comes behind")
    status, said = s.ekiden("map", "get", "options", "x")
    t.ok(status == 0 and said.split() == everybody, "another option is the attribute's, and asked for again", said[-200:])
    t.equal(directory.asked[-1][2], ["member;lang-en;range=3000-*"], "with the range behind it")


def compared(s):
    """Whether an entry has the name that was asked for is seen among all values."""
    for number in (0, 1499, 1500, CROWD - 1):
        t.equal(s.ekiden("map", "get", "owners", member(number)), (0, "owner@many.test\n"), f"value {number} is among those of a filter")
    t.equal(s.ekiden("map", "get", "owners", "ｕser1@many.test"), (1, ""), "what the directory alone takes for one of them is none")
    status, said = s.ekiden("map", "get", "owners", "again@many.test")
    t.ok(status == 1 and "makes no sense" in said, "ranges that do not fit are no \"nobody\"", said)


def users(s):
    status, said = s.ekiden("user", "show", "plain@many.test")
    t.ok(status == 0 and ",".join(member(i) for i in range(CROWD)) in said, "an attribute of a user: all values", said[-200:])
    for name in ("gap", "dies"):
        status, said = s.ekiden("user", "show", f"{name}@many.test")
        t.ok(status != 0 and BAD[name][1] in said and "no user" not in said, f"{name}: what is not all is nothing", said)


def bad(s):
    for name, (_, why) in BAD.items():
        start = time.monotonic()
        status, said = s.ekiden("map", "get", "groups", name)
        t.ok(status == 1 and "cannot answer: " in said and why in said and "@many.test\n" not in said, f"{name}: put off, and the error says why", said[-300:])
        if name == "hangs":
            t.ok(time.monotonic() - start < 20, "in time")


def login(s, name):
    with Imap(s.port("imap"), name=s.hostname, timeout=60) as c:
        answer = c.login(f"{name}@login.test", "pw")
        return f"{answer.status} {answer.text}"


def logins(s, directory):
    """Parts that come in time each, all together too late for a login."""
    t.contains(login(s, "plain"), "OK", "a login with an attribute in ranges")
    t.contains(login(s, "gap"), "UNAVAILABLE", "with ranges that do not fit it is put off")
    start = time.monotonic()
    t.contains(login(s, "drips"), "UNAVAILABLE", "so it is where they do not all come in time")
    t.ok(time.monotonic() - start < 10, "as soon as that is over", time.monotonic() - start)
    asked = len(directory.asked)
    time.sleep(2)
    t.ok(len(directory.asked) <= asked + 1, "and nobody asks for more of them", directory.asked[asked:])


def main():
    with ldapfake.Directory(answer) as directory:
        site = Server(BLOCK.replace("@URI@", directory.uri), start=False)
        good(site, directory)
        compared(site)
        users(site)
        bad(site)
        with site as s:
            s.start()
            logins(s, directory)
            t.ok(s.stop(), "the server stops")
    t.equal(site.problems(), [], "no report")
    t.done()


main()
