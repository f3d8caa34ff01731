#!/usr/bin/python3
# map-command.py - ekiden map: maps of the configuration asked and listed, database files made and taken by a running server
# SPDX-License-Identifier: Apache-2.0
# limit: 300
import json
import os
import pty
import subprocess

from ekiden import MAIL, Server, listener, wait_for
from tap import Tap

CONFIG = MAIL + listener("smtp") + """
text "names" { path = "${dir}/names" }
regexp "tests" { path = "${dir}/tests.regexp" }
pcre "perl" { path = "${dir}/tests.pcre" }
cidr "clients" { path = "${dir}/clients" }
inline "few" { pairs = [ "a = 1", "b = 2" ] }
sqlite "asked" { path = "${dir}/asked.db"
  query = "SELECT :key || :client AS one, NULL AS two UNION SELECT 'x', 'y'" }
chain "all" { maps = [ few, names ] }
test "away" { state = defer }
"""
t = Tap()


def put(server, name, text):
    path = f"{server.dir}/{name}"
    with open(path + ".tmp", "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(path + ".tmp", 0o644)
    os.replace(path + ".tmp", path)
    return path


def ekiden(server, *words):
    """(status, standard output, standard error)."""
    done = subprocess.run([server.program("ekiden"), *words], env={**server.environment(), "EKIDEN_CONFIG": server.conf}, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120, check=False)
    return done.returncode, done.stdout, done.stderr


def asked(server):
    """get, of maps of every kind."""
    for name, key, value in (("names", "Anna@Example.com", "anna"), ("names", "john smith", "js"), ("tests", "list-out@x", "use list"),
                             ("perl", "ABC", "any case"), ("perl", "café", "coffee"), ("clients", "192.0.2.7", "net"), ("few", "b", "2"),
                             ("all", "anna@example.com", "anna"), ("inline:few", "a", "1"), (f"text:{server.dir}/names", "john smith", "js"),
                             (f"regexp:{server.dir}/tests.regexp", "list-out@x", "use list")):
        status, out, err = ekiden(server, "map", "get", name, key)
        t.equal((status, out), (0, value + "\n"), f"map get {name} {key}: {err}")
    t.equal(ekiden(server, "map", "get", "names", "nobody"), (1, "", ""), "what is not there: nothing is said, and status 1")
    t.equal(ekiden(server, "map", "get", "asked", "k", "-p", "client=::1")[:2], (0, "k::1\t\nx\ty\n"), "rows and columns, with a parameter")
    answer = json.loads(ekiden(server, "map", "get", "asked", "k", "-p", "client=::1", "--json")[1])
    t.equal((answer["map"], answer["status"], answer["rows"]), ("sqlite:asked", "ok", [{"one": "k::1", "two": None}, {"one": "x", "two": "y"}]), "as JSON")
    status, out, err = ekiden(server, "map", "get", "away", "k")
    t.ok(status == 1 and out == "" and "test:away cannot answer: " in err, "an outage is told as one", err)
    t.contains(ekiden(server, "map", "get", "asked", "k")[2], "query: the question has no :client", "a parameter that the question lacks")
    answer = json.loads(ekiden(server, "map", "get", "away", "k", "--json")[1])
    t.ok(answer["status"] == "defer" and answer["error"] and answer["rows"] == [], "in JSON too", answer)
    answer = json.loads(ekiden(server, "map", "get", "names", "nobody", "--json")[1])
    t.equal((answer["status"], answer["rows"]), ("notfound", []), "and so is a key that is not there")
    for words, said in ((("get", "name", "x"), 'did you mean "names"'), (("get", "maildir:mail", "x"), 'is called "maildir:mail"'),
                        (("get", "names"), "takes two words"), (("get", "names", "x", "-p", "=y"), "is not NAME=VALUE"),
                        (("dump", "tests"), 'regexp "tests" cannot list its rows'), (("dump", "asked"), 'sqlite "asked" cannot list its rows'), (("get", "nosuch:/x", "y"), "nosuch"),
                        (("get", f"text:{server.dir}/gone", "y"), "No such file")):
        status, out, err = ekiden(server, "map", *words)
        t.ok(status != 0 and said in err and out == "", f"map {' '.join(words)}: {said}", (status, out, err))
    listed = {m["name"]: m["module"] for m in json.loads(ekiden(server, "map", "list", "--json")[1])}
    t.ok(listed.items() >= {"names": "text", "tests": "regexp", "people": "file", "all": "chain"}.items() and "mail" not in listed, "map list", listed)
    t.ok("names\ttext\n" in ekiden(server, "map", "list")[1], "in lines too")


def dumped(server):
    status, out, _ = ekiden(server, "map", "dump", "names")
    t.equal((status, out), (0, 'anna@example.com\tanna\n"john smith"\tjs\n"a\\"b\\\\c"\tquoted\n"#x"\tnumber\n'), "map dump writes a text map")
    again = put(server, "again", out)
    t.equal(ekiden(server, "map", "dump", f"text:{again}")[1], out, "which reads as it was written")
    rows = json.loads(ekiden(server, "map", "dump", "names", "--json")[1])
    t.equal(sorted(ekiden(server, "map", "dump", "few")[1].splitlines()), ["a\t1", "b\t2"], "the pairs of the configuration")
    t.equal(rows[2], {"key": 'a"b\\c', "value": "quoted"}, "and as JSON")


def built(server, kind):
    """A file of each type: made, asked, listed, replaced under a running server."""
    source = put(server, "source", "# c\nanna@example.com one\nBen@Example.com  two\n   words\n\"john smith\" js\nanna@example.com twice\n")
    os.chmod(source, 0o640)
    status, out, err = ekiden(server, "map", "build", kind, source)
    target = f"{source}.{kind}"
    t.ok(status == 0 and out.startswith(f"{target}: 3 rows, "), f"{kind}: map build tells what it made", (status, out, err))
    t.ok(f'{source}:6: the key "anna@example.com" was there before' in err, f"{kind}: a key that comes twice is told with its line", err)
    t.equal(os.stat(target).st_mode & 0o777, 0o640, f"{kind}: it has the mode of its source")
    t.ok(not os.path.exists(target + ".new"), f"{kind}: nothing is left beside it")
    for key, value in (("anna@example.com", "one"), ("BEN@example.com", "two   words"), ('"john smith"', "js"), ("john smith", "js")):
        t.equal(ekiden(server, "map", "get", f"{kind}:{target}", key)[:2], (0, value + "\n"), f"{kind}: {key}")
    t.equal(ekiden(server, "map", "get", f"{kind}:{target}", "carl")[:2], (1, ""), f"{kind}: who is not there")
    t.equal(sorted(ekiden(server, "map", "dump", f"{kind}:{target}")[1].splitlines()),
            sorted(['"john smith"\tjs', "anna@example.com\tone", "ben@example.com\ttwo   words"]), f"{kind}: map dump")
    os.chmod(target, 0o604)
    old = os.stat(target).st_ino
    answer = json.loads(ekiden(server, "map", "build", kind, source, "--json", "--keep-case")[1])
    t.equal((answer["target"], answer["rows"], answer["duplicates"], answer["bytes"]), (target, 3, 1, os.path.getsize(target)), f"{kind}: as JSON")
    t.ok(os.stat(target).st_ino != old and os.stat(target).st_mode & 0o777 == 0o604, f"{kind}: a new file, with the mode of the one before")
    t.equal(ekiden(server, "map", "get", f"{kind}:{target}", "ben@example.com")[0], 1, f"{kind}: --keep-case keeps it")
    # what is wrong changes nothing
    with open(target, "rb") as f:
        before = f.read()
    bad = put(server, "bad", "anna one\nnovalue\n")
    status, out, err = ekiden(server, "map", "build", kind, bad, target)
    t.ok(status == 1 and f"{bad}:2: expected key, blanks, value" in err and out == "", f"{kind}: a wrong line is told with file and line", err)
    for words, said in (((kind, f"{server.dir}/gone"), "No such file"), ((kind, source, source), "is the text file itself"), ((kind,), "takes a type"),
                        ((kind, source, "/nonexistent/x"), "No such file"), (("text", source), '"text" makes no map files: there'), (("nosuch", source), kind)):
        status, out, err = ekiden(server, "map", "build", *words)
        t.ok(status != 0 and said in err and out == "", f"{kind}: map build {' '.join(words)}", (status, out, err))
    with open(target + ".new", "w", encoding="ascii") as f:
        f.write("left by a build that was killed")
    with open(target, "rb") as f:
        t.equal(f.read(), before, f"{kind}: the file is as it was")
    t.equal(ekiden(server, "map", "build", kind, source)[0], 0, f"{kind}: what a killed build left is written over")
    os.symlink("/etc/hostname", target + ".new")
    status, out, err = ekiden(server, "map", "build", kind, source)
    t.ok(status == 1 and os.path.islink(target + ".new"), f"{kind}: a link in its place is not followed", err)
    os.unlink(target + ".new")


def long_work(server, kind):
    """Progress is told on a terminal, and nowhere else."""
    source = put(server, "many", "".join(f"user{i}@example.com value{i}\n" for i in range(300000)))
    main, side = pty.openpty()
    process = subprocess.Popen([server.program("ekiden"), "map", "build", kind, source], env=server.environment(), stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=side)
    os.close(side)
    said = b""
    while True:
        try:
            part = os.read(main, 4096)
        except OSError:
            break
        if not part:
            break
        said += part
    out = process.communicate(timeout=120)[0].decode()
    os.close(main)
    t.ok(process.returncode == 0 and "300000 rows" in out, f"{kind}: many rows", out)
    t.ok(b"reading" in said and b"syncing" in said and said.endswith(b"\r\x1b[K"), f"{kind}: progress on a terminal", said[:400])
    t.equal(ekiden(server, "map", "get", f"{kind}:{source}.{kind}", "user299999@example.com")[1], "value299999\n", f"{kind}: all are there")
    status, _, err = ekiden(server, "map", "build", kind, source)
    t.equal((status, err), (0, ""), f"{kind}: none elsewhere")


def running(kinds):
    """A server whose domains are in such maps: it takes a new file by itself."""
    blocks = "".join(f'{kind} "names-{kind}" {{ path = "${{dir}}/domains.{kind}" }}\n' f'domain "hosted-{kind}" {{ names = names-{kind}\n'
                     "  auth = people\n  mailboxes = mail }\n" for kind in kinds)
    server = Server(MAIL + listener("smtp") + "routing { cache = 0 }\n" + blocks, users=["anna", *[f"ben@{kind}.test" for kind in kinds]], start=False)
    source = put(server, "domains", "other.test x\n")
    for kind in kinds:
        t.equal(ekiden(server, "map", "build", kind, source, f"{server.dir}/domains.{kind}")[0], 0, f"{kind}: a map of domains")
    with server:
        server.start()
        for kind in kinds:
            t.ok(rcpt(server, f"ben@{kind}.test") in (550, 554), f"{kind}: a domain that the map does not have is not ours")
        source = put(server, "domains", "".join(f"{kind}.test x\n" for kind in kinds))
        for kind in kinds:
            ekiden(server, "map", "build", kind, source, f"{server.dir}/domains.{kind}")
            t.ok(wait_for(lambda kind=kind: rcpt(server, f"ben@{kind}.test") == 250, 30, 0.2), f"{kind}: the running server takes the new file")
    t.equal(server.problems(), [], "no report")


def rcpt(server, to):
    with server.smtp() as c:
        c.ehlo()
        c.cmd("MAIL FROM:<x@elsewhere.test>")
        return c.cmd(f"RCPT TO:<{to}>").code


site = Server(CONFIG, users=["anna"], start=False)
put(site, "names", 'anna@example.com anna\n"john smith" js\n"a\\"b\\\\c" quoted\n"#x" number\n')
put(site, "tests.regexp", "/^(.*)-out@/ use $1\n")
put(site, "tests.pcre", "/^abc$/ any case\n/^café$/ coffee\n")
put(site, "clients", "192.0.2.0/24 net\n")
open(f"{site.dir}/asked.db", "wb").close()
asked(site)
dumped(site)
kinds = [name for name in ("lmdb", "cdb") if os.path.isdir(f"{os.environ['EKIDEN_BUILD']}/modules/{name}/.libs")]
for kind in kinds:
    built(site, kind)
    long_work(site, kind)
if kinds:
    running(kinds)
else:
    t.skip("map build", "neither lmdb nor cdb was built")
t.equal(site.problems(), [], "no report")
t.done()
