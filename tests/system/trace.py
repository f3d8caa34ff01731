#!/usr/bin/python3
# trace.py - the whole story of a message to three, one of them deferred, over log rotation and a restart
# SPDX-License-Identifier: Apache-2.0
# limit: 300
import json
import os
import re
import shutil
import signal
import subprocess

from ekiden import MAIL, Server, listener, wait_for
from sink import Sink
from tap import Tap

CONFIG = MAIL + listener("smtp") + listener("imaps") + """
smtp "out" {
  connect_timeout = 5s
}
routing {
  transport = out
  relayhost = "[127.0.0.1]:SINK"
}
"""
LOG = '  trace_size = 1M\n  syslog_name = "postfix"'
BODY = (b"From: dan@far.example\r\nTo: anna@example.test\r\nMessage-ID: <three@far.example>\r\nSubject: three\r\n\r\nbody\r\n")
t = Tap()


def send(server, rcpts, data=BODY, sender="dan@far.example"):
    with server.smtp("smtp") as c:
        c.ehlo()
        answer = c.mail(sender, rcpts, data)
    t.ok(answer.code == 250, "a message is taken", answer)
    return answer.text.rsplit(" ", 1)[-1]


def trace(server, what):
    """The one story that there is, as the command's JSON."""
    status, text = server.ekiden("trace", "--json", what)
    stories = json.loads(text)["stories"] if status == 0 else []
    return stories[0] if len(stories) == 1 else {"events": [], "messages": [], "said": text}


def words(story):
    return [e["event"] + (":" + e["to"].partition("@")[0] if "to" in e else "") for e in story["events"]]


def told(server, what, word):
    """The story, as soon as it has that event."""
    wait_for(lambda: word in words(trace(server, what)), 20, 0.1)
    return trace(server, what)


def in_order(got, want, text):
    rest = iter(got)
    missing = [w for w in want if w not in rest]
    t.ok(not missing, text, f"{missing} not in order in {got}")


def rotate(server, number):
    """As logrotate does: rename, SIGHUP to master; the next lines are in a new file."""
    folder = f"{server.dir}/log"
    for name in ("mail.log", "mail.json"):
        os.rename(f"{folder}/{name}", f"{folder}/{name}.{number}")
    server.process.send_signal(signal.SIGHUP)
    t.ok(wait_for(lambda: os.path.exists(f"{folder}/mail.log") and os.path.exists(f"{folder}/mail.json")), "the log files are made anew")


def events_of(server):
    found = []
    for name in sorted(os.listdir(f"{server.dir}/log")):
        if name.startswith("mail.json"):
            with open(f"{server.dir}/log/{name}", encoding="utf-8") as f:
                found += [json.loads(line) for line in f]
    return sorted(found, key=lambda e: e["time"])


def story(server, sink):
    """Two recipients get it, the third only after rotations and a restart."""
    sink.script["rcpt"] = lambda _c, arg: "451 4.2.1 come back" if "carl@" in arg else None
    qid = send(server, ["anna@example.test", "bob@near.example", "carl@near.example"])
    first = told(server, qid, "deferred:carl")
    in_order(words(first), ["connect", "message-id", "queued", "client", "disconnect"], "it begins with the connection")
    in_order(words(first), ["queued", "stored", "sent:anna"], "anna's copy is stored before it is sent")
    t.ok("sent:bob" in words(first) and "indexed" not in words(first) and not first["messages"][0]["removed"],
         "bob has it, no UID is known, and the message is in the queue", words(first))
    rotate(server, 1)
    server.restart()
    t.equal(words(trace(server, qid))[:len(words(first))], words(first), "after rotation and restart the story is the same")
    with server.imap("imaps", "anna") as c:
        c.cmd("SELECT INBOX")
    second = told(server, qid, "indexed")
    indexed = [e for e in second["events"] if e["event"] == "indexed"]
    stored = [e for e in second["events"] if e["event"] == "stored"]
    t.equal([(e["user"], e["mailbox"], e["uid"]) for e in indexed], [("anna@example.test", "INBOX", 1)],
            "the UID is told when the mailbox is first opened")
    t.equal(indexed[0]["file"], stored[0]["file"], "of the file that was stored")
    names = os.listdir(server.maildir("anna") + "/cur") + os.listdir(server.maildir("anna") + "/new")
    t.ok(len(names) == 1 and re.split("[,:]", names[0])[0] == stored[0]["file"], "which is there under that name", names)
    rotate(server, 2)
    sink.script["rcpt"] = None
    t.equal(server.ekiden("queue", "flush", qid)[0], 0, "it is tried again")
    last = told(server, qid, "removed")
    in_order(words(last), ["connect", "message-id", "queued", "deferred:carl", "indexed", "sent:carl", "removed"], "the story goes on to its end")
    t.equal([(r["to"], r["status"]) for r in sorted(last["messages"][0]["recipients"], key=lambda r: r["to"])],
            [(f"{n}", "sent") for n in ("anna@example.test", "bob@near.example", "carl@near.example")], "all three have it")
    t.ok([r["attempts"] for r in last["messages"][0]["recipients"] if r["to"].startswith("carl")][0] >= 2, "carl after two attempts or more")
    times = [e["time"] for e in last["events"]]
    t.equal(times, sorted(times), "in order")
    for what in ("three@far.example", "<three@far.example>", "carl@near.example", "CARL@near.example", "anna@example.test", qid.lower()):
        t.equal(words(trace(server, what)), words(last), f"the same by {what}")
    ids = {e.get("event_id") for e in last["events"] if e["event"] != "indexed"}
    t.equal(len(ids), 1, "one id from the connection to the mailbox")
    status, text = server.ekiden("trace", qid)
    t.ok(status == 0 and re.search(r"<carl@near\.example>: delivered, \d attempts", text) and "UID 1 in anna@example.test's INBOX" in text,
         "for people too", text)
    t.equal(len(text.splitlines()), 1 + 3 + 1 + len(words(last)), "a line an event")


def open_mailbox(server):
    """With the index open the UID comes at once."""
    with server.imap("imaps", "anna") as c:
        c.cmd("SELECT INBOX")
        qid = send(server, ["anna@example.test"], BODY.replace(b"three", b"open"))
        server.wait_messages("anna", 2)
        wait_for(lambda: "indexed" in words(trace(server, qid)) or c.cmd("NOOP") is None, 20, 0.2)
    got = trace(server, qid)
    t.equal([e["uid"] for e in got["events"] if e["event"] == "indexed"], [2], "a session that looks on learns UID 2, and so does the story")


def bounded(server, sink):
    """2,000 messages push the first ones out, and the store keeps its size."""
    with server.smtp("smtp") as c:
        c.ehlo()
        for n in range(2000):
            c.mail("dan@far.example", [f"user{n}@near.example"], b"Message-ID: <%d@load>\r\nSubject: load\r\n\r\nx\r\n" % n)
    t.ok(sink.wait(2000, 120), "2,000 messages go through", len(sink.messages))
    t.ok(wait_for(lambda: "removed" in words(trace(server, "1999@load")), 60, 0.5), "the last one's story is told")
    folder = f"{server.dir}/log/trace"
    size = sum(os.path.getsize(f"{folder}/{n}") for n in os.listdir(folder))
    t.ok(size <= 1100000, f"the event store holds {size} bytes, trace_size is 1 MB")
    t.equal(server.ekiden("trace", "three@far.example")[0], 1, "what is oldest is gone from it")
    t.equal(server.ekiden("trace", "user1990@near.example")[0], 0, "what is new is found")


def summary(server, sink):
    """pflogsumm reads the lines of all this and comes to what the sink and the Maildir say."""
    path = os.environ["PATH"] + ":/usr/sbin"
    if not shutil.which("pflogsumm", path=path):
        t.skip("pflogsumm", "pflogsumm is not installed")
        return
    folder = f"{server.dir}/log"
    answer = subprocess.run([shutil.which("pflogsumm", path=path), *sorted(f"{folder}/{n}" for n in os.listdir(folder) if n.startswith("mail.log"))],
                            stdout=subprocess.PIPE, text=True, check=False).stdout
    got = {word: int(n) for n, word in re.findall(r"(\d+)\s+\(?([a-z ]+?)(?=\s*[(\n)])", answer.split("Per-Hour")[0])}
    want = {"received": 2002, "delivered": 2 + sum(len(m.rcpts) for m in sink.messages), "deferred": 1, "bounced": 0, "rejected": 0}
    t.equal({k: got.get(k) for k in want}, want, "pflogsumm's totals are right")


def dropped(server):
    return [e for e in events_of(server) if e["event"] == "log-dropped"]


with Sink() as sink, Server(CONFIG.replace("SINK", str(sink.port)), users=["anna"], log=LOG) as server:
    story(server, sink)
    open_mailbox(server)
    bounded(server, sink)
    server.stop()
    t.equal(dropped(server), [], "the log role lost nothing")
    summary(server, sink)
    t.equal(server.problems(), [], "no reports")
t.done()
