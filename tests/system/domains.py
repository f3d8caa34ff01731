#!/usr/bin/python3
# domains.py - three domains on two file instances and one that defers: SMTP, delivery and IMAP while one is away
# SPDX-License-Identifier: Apache-2.0
# limit: 300
import json
import os
import threading

from ekiden import Server, listener, wait_for
from tap import Tap
from wire import Imap

CONFIG = listener("smtp") + listener("imap", plaintext_auth="yes") + """
sasl_plain { }
file "one" { path = "${dir}/one"
  home = "${mail}/%d/%n" }
file "two" { path = "${dir}/two"
  home = "${mail}/%d/%n" }
test "away" { control = "${dir}/control"
  password = pw
  home = "${mail}/%d/%n" }
maildir "mail" { path = "%h/Maildir" }
domain "one.test" { auth = one
  mailboxes = mail }
domain "two.test" { auth = two
  mailboxes = mail }
domain "away.test" { auth = away
  mailboxes = mail }
routing { cache = 0
  cache_stale = 0
  postmaster = "ben@two.test" }
auth { cache_stale = 0
  failure_delay = 100ms
  failure_delay_max = 200ms }
queue { backoff_min = 1s
  backoff_max = 2s }
"""
USERS = [("anna@one.test", "pa"), ("ben@two.test", "pb")]
GONE = ("carl@away.test", "pw")
WAITS = ("dora@away.test", "pw")             # nobody has asked for her yet, so no answer about her is remembered
ROUNDS, THREADS = 10, 3
t = Tap()


def put(server, name, text):
    path = f"{server.dir}/{name}"
    with open(path + ".new", "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(path + ".new", 0o640)
    server.give(path + ".new", "directory")
    os.replace(path + ".new", path)


def send(server, to, subject):
    with server.smtp() as c:
        c.ehlo()
        c.cmd("MAIL FROM:<sender@elsewhere.test>")
        said = c.cmd(f"RCPT TO:<{to}>")
        return c.data(f"Subject: {subject}\r\n\r\nx\r\n".encode()) if said.code == 250 else said


def login(server, user, password):
    with Imap(server.port("imap"), name=server.hostname) as c:
        answer = c.login(user, password)
        return str(answer), str(c.cmd("STATUS INBOX (MESSAGES)")) if answer.status == "OK" else ""


def subjects(server, user):
    found = []
    for message in server.messages(user):
        found += [line[9:].decode() for line in message.split(b"\n") if line.startswith(b"Subject: ")]
    return sorted(s.strip() for s in found)


def served(server, user, password, number, wrong):
    """Sends, logs in, looks: all as if there were no other domain."""
    try:
        for i in range(ROUNDS):
            said = send(server, user, f"{number}-{i}")
            if said.code != 250 or "queued as" not in str(said):
                wrong.append(f"{user}: {said}")
            answer, box = login(server, user, password)
            if " OK" not in f" {answer}" or "MESSAGES" not in box:
                wrong.append(f"{user}: {answer} {box}")
            answer, _ = login(server, user, "no")
            if "AUTHENTICATIONFAILED" not in answer:
                wrong.append(f"{user} with a wrong password: {answer}")
            said = send(server, "nobody@" + user.split("@")[1], "x")
            if said.code != 550:
                wrong.append(f"nobody: {said}")
    except (OSError, AssertionError) as error:
        wrong.append(f"{user}: {error!r}")


def deferred(server, wrong):
    """The third domain: always "later", never "no"."""
    try:
        for _ in range(ROUNDS):
            said = send(server, GONE[0], "never taken")
            if said.code != 451 or said.dsn != "4.3.0":
                wrong.append(f"{GONE[0]}: {said}")
            for password in (GONE[1], "no"):
                answer, _ = login(server, GONE[0], password)
                if "NO [UNAVAILABLE]" not in answer:
                    wrong.append(f"{GONE[0]}: {answer}")
    except (OSError, AssertionError) as error:
        wrong.append(f"{GONE[0]}: {error!r}")


def queue(server):
    return json.loads(server.ekiden("queue", "list", "--json")[1])


def together(server, name):
    wrong = []
    work = [threading.Thread(target=served, args=(server, *user, number, wrong)) for user in USERS for number in range(THREADS)]
    work += [threading.Thread(target=deferred, args=(server, wrong)) for _ in range(THREADS)]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    t.ok(not wrong, f"{name}: at the same time two domains are served, and the third hears \"later\"", wrong[:10])
    want = sorted(f"{number}-{i}" for number in range(THREADS) for i in range(ROUNDS))
    for user, _ in USERS:
        wait_for(lambda: subjects(server, user) == want, 30, 0.1)
        t.equal(subjects(server, user), want, f"{name}: {user} has all of his mail, each once")


def play(server, name):
    for user, password in (*USERS, GONE):
        t.equal(send(server, user, "before").code, 250, f"{name}: mail for {user}")
        t.ok(server.wait_messages(user, 1), f"{name}: is delivered")
        t.ok("OK" in login(server, user, password)[0], f"{name}: and he logs in")
        os.unlink(next(e.path for sub in ("new", "cur") for e in os.scandir(f"{server.maildir(user)}/{sub}")))
    put(server, "control", "defer\n")
    # taken in without a question to the backend, so it waits in the queue
    status, said = server.ekiden("-f", USERS[0][0], WAITS[0], USERS[1][0], program_name="sendmail", stdin=b"Subject: waiting\n\nx\n")
    t.equal((status, said), (0, ""), f"{name}: sendmail takes a message for the second and the third domain")
    t.ok(server.wait_messages(USERS[1][0], 1), f"{name}: the second has it")
    os.unlink(next(e.path for sub in ("new", "cur") for e in os.scandir(f"{server.maildir(USERS[1][0])}/{sub}")))
    found = wait_for(lambda: (q := queue(server)) and q[0]["state"] == "deferred" and q, 30, 0.1)
    t.ok(found, f"{name}: for the third it waits", queue(server))
    t.equal(send(server, "postmaster@away.test", "x").code, 451, f"{name}: whether the third has a postmaster is not known")
    together(server, name)
    t.equal(len(queue(server)), 1, f"{name}: it still waits, and nothing else does")
    t.equal(subjects(server, WAITS[0]), [], f"{name}: nothing was delivered there")
    os.unlink(f"{server.dir}/control")
    t.ok(server.wait_messages(WAITS[0], 1), f"{name}: the backend is back, and the message is delivered by itself")
    t.ok(wait_for(lambda: not queue(server), 20, 0.1), f"{name}: the queue is empty", queue(server))
    answer, box = login(server, *WAITS)
    t.ok("OK" in answer and "MESSAGES 1" in box, f"{name}: he logs in and finds it", (answer, box))
    t.equal(subjects(server, WAITS[0]), ["waiting"], f"{name}: it is the one that waited")
    t.equal(send(server, WAITS[0], "after").code, 250, f"{name}: and gets mail again")
    t.ok(server.wait_messages(WAITS[0], 2), f"{name}: which is delivered")


def postmaster(server, name):
    """His mail goes to whom the configuration names, until a domain has a user of that name."""
    for to in ("postmaster", "Postmaster@one.test", "postmaster@two.test"):
        t.equal(send(server, to, f"for {to}").code, 250, f"{name}: mail for <{to}> is taken")
        t.ok(wait_for(lambda to=to: f"for {to}" in subjects(server, USERS[1][0]), 20, 0.1), f"{name}: and goes to the one that is configured")
    put(server, "one", "anna@one.test:{PLAIN}pa\npostmaster@one.test:{PLAIN}pp\n")
    t.ok(wait_for(lambda: send(server, "postmaster@one.test", "his own").code == 250 and server.wait_messages("postmaster@one.test", 1, 1), 20, 0.1),
         f"{name}: a user of that name gets it himself")
    for wrong, why in (("ben", "it has no domain"), ("ben@far.test", "no domain with mailboxes here")):
        server.replace_conf(text := open(server.conf, encoding="utf-8").read().replace("ben@two.test", wrong))
        status, said = server.ekiden("config", "check")
        t.ok(status != 0 and f'routing.postmaster = "{wrong}": {why}' in said, f"{name}: {wrong} is refused", said)
        server.replace_conf(text.replace(f'postmaster = "{wrong}"', 'postmaster = "ben@two.test"'))


for layout in ("apart", "merged"):
    site = Server(CONFIG, layout=layout, start=False)
    put(site, "one", "anna@one.test:{PLAIN}pa\n")
    put(site, "two", "ben@two.test:{PLAIN}pb\n")
    with site as s:
        s.start()
        play(s, layout)
        postmaster(s, layout)
        t.ok(s.stop(), f"{layout}: the server stops")
    t.equal(site.problems(), [], f"{layout}: no report")
t.done()
