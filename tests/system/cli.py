#!/usr/bin/python3
# cli.py - the commands that ask the running server, and sendmail(1) with its drop folder
# SPDX-License-Identifier: Apache-2.0
import json
import os
import re
import socket
import subprocess
import time

from ekiden import MAIL, Server, program, wait_for
from tap import Tap

CONFIG = MAIL + """
listener "smtp" {
  address  = "127.0.0.1:${port_smtp}"
  protocol = smtp
}
routing {
  transport = smtp
  relayhost = "[127.0.0.1]:${port_dead}"
}
queue {
  message_size_limit = 2M
}
"""
t = Tap()
ID = r"^[0-9A-F]{16}"


def shell(server, command):
    """A line of the guides, with our mailq in the PATH."""
    env = {**server.environment(), "EKIDEN_CONFIG": server.conf, "MAILQ": program("ekiden") + " mailq"}
    done = subprocess.run(["bash", "-c", 'mailq () { $MAILQ "$@"; }; ' + command], env=env, stdout=subprocess.PIPE, check=False)
    return done.stdout.decode().strip()


def sendmail(server, *words, data=b"Subject: x\n\nbody\n"):
    return server.ekiden(*words, program_name="sendmail", stdin=data)


def ids(server, only=()):
    return [m["id"] for m in json.loads(server.ekiden("queue", "list", *only, "--json")[1])]


def pages(server, state=None, count=0):
    """The queue, as soon as that many messages are in that state."""
    def look():
        found = json.loads(server.ekiden("queue", "list", "--json")[1])
        return found if len([m for m in found if state in (None, m["state"])]) == count else None
    return wait_for(look, 20, 0.1)


def commands(server):
    """status, reload."""
    status, text = server.ekiden("status")
    t.equal(status, 0, "status: all is well")
    t.ok(re.search(r"^queue\.0 +\d+ +ready +0m \d\ds +0$", text, re.M) and "queue: 0 messages" in text, "its table names the roles", text)
    answer = json.loads(server.ekiden("status", "--json")[1])
    t.equal((answer["running"], answer["queue"]["health"]), (True, "ok"), "and as JSON")
    with open(server.conf, encoding="utf-8") as f:
        good = f.read()
    with open(server.conf, "a", encoding="utf-8") as f:
        f.write('bogus = 1\nlistener "x" { protocl = smtp\n }\n')
    status, text = server.ekiden("reload")
    t.ok(status == 1 and 'no setting "bogus"' in text and '"protocl"' in text, "reload tells all errors and exits 1", text)
    with open(server.conf, "w", encoding="utf-8") as f:
        f.write(good)
    t.equal(server.ekiden("reload"), (0, ""), "a good reload is silent")
    t.equal(server.ekiden("reopen"), (0, ""), "reopen")


def queue(server):
    """Deferred mail: mailq's form and every operation."""
    t.equal(shell(server, "mailq | tail -1"), "Mail queue is empty", "an empty queue, in Postfix's words")
    with server.smtp("smtp") as c:
        c.ehlo()
        for n in range(3):
            answer = c.mail(f"anna{n}@example.test", ["ben@far.example", f"cleo{n}@other.example"], b"Subject: q\r\n\r\n" + b"x" * 2000 + b"\r\n")
            t.equal(answer.code, 250, "a message for a dead host is taken")
    found = pages(server, "deferred", 3) or []
    t.equal(len(found), 3, "three are deferred")
    text = server.ekiden("mailq")[1]
    lines = text.splitlines()
    t.equal(lines[0], "----Queue ID----- --Size-- ---Arrival Time---- --Sender/Recipient------", "mailq's first line")
    t.ok(re.match(r"[0-9A-F]{16}      \d{4} \w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d anna0@example\.test$", lines[1]), "a message's line", lines[1])
    t.ok(re.search(r"^ +\(4\.\d\.\d .*\)$", text, re.M), "the reason in parentheses", text)
    t.contains(text, "refused", "it is the dead host's: a module's bare name is a transport in relay too")
    t.ok(f"\n{' ' * 47}ben@far.example\n" in text and f"\n{' ' * 47}cleo2@other.example\n" in text, "its recipients", text)
    t.ok(re.match(r"-- \d+ Kbytes in 3 Requests\.$", shell(server, "mailq | tail -1")), "the last line")
    t.equal(shell(server, 'mailq | grep -c "^[A-F0-9]"'), "3", "the guides' count")
    t.contains(shell(server, "mailq | grep -oP '(?<=@)[a-zA-Z0-9.-]+' | sort | uniq -c | sort -rn | head -10"), "3 far.example", "by domain")

    first = found[0]["id"]
    t.equal(server.ekiden("queue", "hold", first), (0, "1 message held\n"), "hold one")
    t.ok(re.search(f"^{first}!", server.ekiden("mailq")[1], re.M), "it has its mark")
    t.equal(server.ekiden("queue", "hold", first)[0], 1, "not twice")
    t.equal(ids(server, ["hold"]), [first], "list hold")
    t.equal(server.ekiden("queue", "hold", "*@other.example")[1].splitlines()[0], "2 messages held", "hold by a pattern")
    t.equal(server.ekiden("queue", "release", "ALL"), (0, "3 messages released\n"), "release ALL")
    t.ok(pages(server, "deferred", 3), "deferred again")
    status, text = server.ekiden("queue", "show", first)
    t.ok(status == 0 and "anna0@example.test" in text and "Subject: q" in text and "x" * 2000 in text, "show", text)
    tries = server.log().count("status=deferred")
    t.equal(server.ekiden("queue", "flush")[0], 0, "flush")
    t.ok(wait_for(lambda: server.log().count("status=deferred") >= tries + 6), "they were tried again")
    pages(server, "deferred", 3)
    t.equal(server.ekiden("queue", "requeue", first)[1], "1 message requeued\n", "requeue")
    pages(server, "deferred", 3)
    status, text = server.ekiden("queue", "delete", "cleo1@*", "--json")
    t.equal((status, json.loads(text)["count"]), (0, 1), "delete by a pattern")
    t.equal(server.ekiden("queue", "delete", "0000000000000001")[0], 1, "delete what is not there")
    t.equal(server.ekiden("queue", "delete", "deferred", "-v")[1].splitlines()[-1], "2 messages deleted", "delete the deferred")
    t.equal(shell(server, "mailq"), "Mail queue is empty", "none is left")


def local(server):
    """sendmail(1) while the server runs."""
    for data in (b"From x\nTo: Anna <anna@example.test>\nBcc: ben@example.test,\n ben2@example.test\nCc: Cleo <cleo@example.test>\nSubject: bcc\n\n..dot\n.\nnot this\n",):
        status, text = sendmail(server, "-t", "-f", "dan@example.test", "-F", "Dän \"D\" Dot", data=data)
        t.equal((status, text), (0, ""), "sendmail -t")
    got = server.wait_messages("anna", 1)
    if not t.ok(len(got) == 1, "the message arrives", server.tail()):
        return
    head, _, body = got[0].replace(b"\r\n", b"\n").partition(b"\n\n")
    t.equal(body, b"..dot\n", "a lone dot ends it, other dots stay")
    t.ok(b"Bcc" not in head and b"ben2" not in head and b"\nFrom x" not in head, "without Bcc and mbox's line", head)
    t.contains(head, b"From: =?utf-8?b?", "with a From line of the full name")
    t.ok(b"Date: " in head and b"Message-ID: <" in head and re.search(rb"Received: by mail\.example\.test \(Ekiden, from userid \d+\)", head),
         "with the lines that were missing", head)
    for user in ("ben", "ben2", "cleo"):
        t.equal(len(server.wait_messages(user, 1)), 1, f"{user} has it too")
    status, _ = sendmail(server, "-i", "-N", "never", "ben@example.test", data=b"Subject: big\n\n" + b"y" * 70 * 10000 + b"\n.\n" + "ü\n".encode())
    t.equal(status, 0, "a large message")
    got = server.wait_messages("ben", 2)
    t.ok(any(m.replace(b"\r\n", b"\n").endswith(b"y\n.\n" + "ü\n".encode()) for m in got), "is whole, dot and all")
    for words, data, want in ((["-t"], b"Subject: none\n\nx\n", 64), ([], b"x\n", 64), (["-bs"], b"", 64), (["-Z"], b"", 64),
                              (["a b <"], b"x\n", 64), (["-f", "a\nR evil@example.test", "ben@example.test"], b"x", 64),
                              (["-N", "maybe", "ben@example.test"], b"x", 64), (["ben@example.test"], b"\n" + b"z" * 2200000, 69),
                              (["-bi"], b"", 0), (["-C", "/nonexistent", "x@example.test"], b"x", 78)):
        status, text = sendmail(server, *words, data=data)
        t.equal(status, want, f"sendmail {' '.join(words)[:30]!r} exits {want}")
    t.contains(sendmail(server, "-bp")[1], "Mail queue is empty", "sendmail -bp")


def hostile(server):
    """Files that no sendmail(1) wrote."""
    drop = f"{server.dir}/state/maildrop"
    os.symlink("/etc/passwd", f"{drop}/0-link")
    os.mkfifo(f"{drop}/0-fifo")
    os.mkdir(f"{drop}/0-folder")
    files = {"0-empty": b"", "0-magic": b"hello\n\nx\n", "0-huge": b"ekiden-drop-1\nS \n" + b"R ben@example.test\n" * 120000 + b"\nx\n",
             "0-noend": b"ekiden-drop-1\nS a@b\nR ben@example.test", "0-norcpt": b"ekiden-drop-1\nS a@b\n\nx\n", "0-nul": b"ekiden-drop-1\n\0\n\nx\n",
             "0-kind": b"ekiden-drop-1\nS a@b\nR ben@example.test\nX y\n\nx\n", "0-notify": b"ekiden-drop-1\nS a@b\nR ben@example.test\nN never,delay\n\nx\n",
             "0-rcpt": b"ekiden-drop-1\nS a@b\nR ben@exa\0mple.test\n\nx\n"}
    for name, data in files.items():
        with open(f"{drop}/.new", "wb") as f:
            f.write(data)
        os.chmod(f"{drop}/.new", 0o644)
        os.rename(f"{drop}/.new", f"{drop}/{name}")
    with open(f"{drop}/.linked", "wb") as f:
        f.write(b"ekiden-drop-1\nS \nR ben@example.test\n\nx\n")
    os.chmod(f"{drop}/.linked", 0o644)
    os.link(f"{drop}/.linked", f"{drop}/0-hard")
    with open(f"{drop}/.new", "wb") as f:
        f.write(b"ekiden-drop-1\nS \nR cleo@example.test\n\nSubject: good\n\nx\n")
    os.chmod(f"{drop}/.new", 0o644)
    os.rename(f"{drop}/.new", f"{drop}/1-good")
    t.equal(len(server.wait_messages("cleo", 2)), 2, "a good file behind hostile ones is taken")
    left = wait_for(lambda: not [n for n in os.listdir(drop) if not n.startswith(".")], 10)
    t.ok(left, "none of the hostile files is left in the way", os.listdir(drop))
    t.equal(len([n for n in os.listdir(drop) if n.startswith(".bad-0-")]), len(files) + 4, "all are set aside")
    t.equal(len(server.messages("ben")), 2, "none was delivered")
    t.ok(server.alive() and server.ekiden("status")[0] == 0, "and the server is well")


def down(server):
    """The server is stopped: what works then."""
    t.equal(server.ekiden("stop"), (0, ""), "stop")
    t.equal(server.process.wait(5), 0, "it is gone when stop returns")
    for words in (["status"], ["stop"], ["reload"], ["mailq"], ["queue", "list"]):
        status, text = server.ekiden(*words)
        t.ok(status == 1 and "does not run" in text, f"{' '.join(words)}: the server does not run", text)
    t.equal(json.loads(server.ekiden("status", "--json")[1])["running"], False, "in JSON too")
    t.equal(sendmail(server, "ben@example.test", data=b"Subject: while down\n\nx\n"), (0, ""), "sendmail works")
    server.start()
    t.equal(len(server.wait_messages("ben", 3)), 3, "its message is taken at the start")


def fsck(server):
    """The spool's check, offered by its module."""
    status, text = server.ekiden("fsck")
    t.ok(status == 0 and "result=clean" in text, "fsck finds a clean spool", text)
    hot = sorted(os.path.join(top, n) for top, _, names in os.walk(f"{server.dir}/spool") for n in names)
    path = next((p for p in hot if os.path.getsize(p) > 100000), None)
    t.ok(path, "there is a segment", hot)
    with open(path, "r+b") as f:
        f.seek(1024)
        f.write(b"damage" * 50)
    status, text = server.ekiden("fsck", "--json")
    t.ok(status in (4, 0) and '"result":' in text, "fsck looks at a damaged one", text)
    t.equal(server.ekiden("fsck", "--nonsense")[0], 2, "an option that it does not know")


with socket.socket() as dead, Server(CONFIG, users=["anna", "ben", "ben2", "cleo", "dan"]) as server:
    dead.bind(("127.0.0.1", server.port("dead")))                    # and nobody listens
    commands(server)
    queue(server)
    local(server)
    hostile(server)
    down(server)
    server.stop()
    fsck(server)
    t.equal(server.problems(), [], "no reports")
t.done()
