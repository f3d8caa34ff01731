#!/usr/bin/python3
# fulldisk.py - disks of spool, mail and log run full and are emptied again: nothing is lost, nobody needs to help
# SPDX-License-Identifier: Apache-2.0
# needs: root losetup mkfs.ext4
# limit: 400
# ports
import os
import re
import subprocess
import time
from collections import Counter

from ekiden import MAIL, Server, listener, wait_for
from images import Images, sh
from tap import Tap
from wire import Closed, Smtp

t = Tap()
CONFIG = MAIL + listener("smtp") + listener("imap") + """
queue {
  message_size_limit = 1M
  backoff_min = 1s
  backoff_max = 2s
}
"""
users = ["anna", "ben", "gone"]
accepted, number = {}, 0                         # number -> user


def fill(path):
    """Takes all the room there is."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for size in (65536, 4096):
        try:
            while True:
                os.write(fd, b"\0" * size)
        except OSError:
            pass
    os.close(fd)


class Disk:
    """A small file system."""

    def __init__(self, images, name, megabytes, at):
        images.make(f"{name}.img", megabytes, "-m", "0")
        self.folder = images.mount(f"{name}.img", at)
        self.ballast = f"{self.folder}/ballast"

    def fill(self):
        fill(self.ballast)
        sh("sync", "-f", self.folder)

    def empty(self):
        os.unlink(self.ballast)


def text(n, size):
    return f"From: ben@example.test\r\nSubject: number {n}\r\nX-Number: {n}\r\n\r\n" + ("x" * 70 + "\r\n") * (size // 72) + f"end {n}\r\n"


def send(server, user, size):
    """The reply that decided it; what is accepted is noted."""
    global number
    number += 1
    with Smtp(server.port("smtp"), timeout=60) as c:
        c.ehlo()
        reply = c.mail(server.address("ben"), server.address(user), text(number, size))
    if reply.code == 250:
        accepted[number] = user
    return reply


def mail_reply(server):
    with Smtp(server.port("smtp"), timeout=60) as c:
        c.ehlo()
        return c.cmd("MAIL FROM:<a@example.org>")


def accepts(server):
    return mail_reply(server).code == 250


def refuses(server):
    reply = mail_reply(server)
    return reply.code == 452 and reply.dsn == "4.3.1"


def queue_empty(server):
    return server.ekiden("queue", "list", "--json")[1].strip() == "[]"


def found(server):
    """{(number, user)} of what lies in the mailboxes, and of what a bounce tells: (number, "bounce")."""
    out = Counter()
    for user in users:
        for message in server.messages(user):
            n = int(re.search(rb"X-Number: (\d+)", message).group(1))
            out[n, "bounce" if b"multipart/report" in message else user] += 1
    return out


def all_once(server, words, bounced=()):
    there = found(server)
    want = Counter({(n, "bounce" if n in bounced else user): 1 for n, user in accepted.items()})
    t.ok(there == want, words, f"missing {list((want - there).items())[:10]}, too many {list((there - want).items())[:10]}")


def spool_runs_full(server, spool, mail):
    mail.fill()
    replies = []
    refused = 0
    while len(replies) < 2000 and refused < 8:   # in between the spool may find room by compacting
        replies.append(send(server, users[len(replies) % 3], (40_000, 300, 200_000)[len(replies) % 3]))
        refused = 0 if replies[-1].code == 250 else refused + 1
        time.sleep(0.5 if refused else 0)
    t.ok(replies[-1].code == 452 and replies[-1].dsn == "4.3.1", f"after {len(accepted)} messages: 452 4.3.1 at MAIL", replies[-1])
    t.ok(len(accepted) > 30, "many were taken before", len(accepted))
    t.ok(server.logged(r"deferred.*No space left", 20), "a full mail disk defers", server.tail())
    t.ok(server.logged(r"no mail is accepted: .*make room", 10), "the log says what to do", server.tail())
    t.ok(wait_for(lambda: "full" in server.ekiden("queue", "status")[1], 20, 0.3), "so does the queue's status")
    with server.imap("imap", "anna") as c:
        t.ok(c.cmd("NOOP").status in ("OK", "NO"), "clients are answered", c.log[-2:])
    server.set_users(["anna", "ben"])
    server.reload()
    mail.empty()
    server.ekiden("queue", "flush", "ALL")
    t.ok(wait_for(lambda: accepts(server), 90, 0.5), "when mail can be delivered again, mail is accepted again by itself", server.tail())
    t.ok(wait_for(lambda: queue_empty(server), 90, 0.5), "and the queue becomes empty", server.ekiden("queue", "list")[1])
    gone = {n for n, user in accepted.items() if user == "gone"}
    all_once(server, "every message is there once, and a bounce for each whose user is gone", gone)
    return gone


def used_up(server, text):
    """Sends until MAIL is refused for want of room, and still is a second later."""
    def refused():
        if not refuses(server):
            send(server, users[number % 2], 40_000)
            return False
        time.sleep(1)
        return refuses(server)
    t.ok(wait_for(refused, 60, 0.01), text, number)


def not_a_byte_left(server, spool, mail, gone):
    server.set_users(users)
    server.reload()
    mail.fill()
    for i in range(20):
        send(server, users[i % 2], 3000)
    stay = [n for n in accepted if n > number - 20]
    t.equal(len(stay), 20, "20 more wait for room")
    spool.fill()
    used_up(server, "what was made ready before is used up")
    t.ok(wait_for(lambda: refuses(server), 30, 0.2), "the spool's disk is full to the last byte: 452 4.3.1", mail_reply(server))
    server.restart()
    used_up(server, "what a restart gives back to the log is used up too")
    t.ok(wait_for(lambda: refuses(server), 30, 0.2), "and no more is taken", mail_reply(server))
    mail.empty()
    with server.imap("imap", "anna") as c:
        t.equal(c.cmd("NOOP").status, "OK", "sessions work")
    server.ekiden("queue", "flush", "ALL")
    t.ok(wait_for(lambda: queue_empty(server), 90, 0.5), "what waited is delivered and noted all the same", server.tail())
    server.restart()
    time.sleep(4)                                # with nothing to do the spool rests, and must see all the same when there is room
    all_once(server, "and is there once, after another restart", gone)
    spool.empty()
    t.ok(wait_for(lambda: accepts(server), 60, 0.2), "room comes back: mail is accepted again by itself",
         f"{mail_reply(server)}\n{server.ekiden('queue', 'status')[1]}\n{server.tail()}")
    send(server, "anna", 100_000)
    wait_for(lambda: queue_empty(server), 60, 0.2)
    all_once(server, "and delivered", gone)


def log_disk(server, images, gone):
    server.stop()
    at = f"{server.dir}/log"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "log", at], check=True)
    images.mounted.append(at)
    server.give(at, "log")
    os.chmod(at, 0o755)
    server.start()
    send(server, "anna", 300)
    fill(f"{at}/ballast")
    for i in range(30):
        send(server, users[i % 2], 300)
    t.ok(wait_for(lambda: queue_empty(server), 60, 0.2), "the log's disk is full: mail flows")
    all_once(server, "and is delivered", gone)
    os.unlink(f"{at}/ballast")

    def logs_again():
        send(server, "anna", 300)
        return f"SEEN{number}" in server.log() or re.search(r"qmgr\[\d+\]: [0-9A-F]{16}: removed", server.log()[before:])
    before = len(server.log())
    t.ok(wait_for(logs_again, 60, 1), "with room the log goes on by itself")
    wait_for(lambda: queue_empty(server), 60, 0.2)
    all_once(server, "nothing was lost", gone)
    server.stop()
    images.umount(at)


with Images() as all_images:
    reason = all_images.unusable()
    if reason:
        Tap.skip_all(reason)
    site = Server(CONFIG, users=users, spool="  segment_size = 1M", start=False)
    disks = Disk(all_images, "spool", 24, f"{site.dir}/spool"), Disk(all_images, "mail", 64, site.mail)
    site.give(f"{site.dir}/spool", "queue")
    site.give(site.mail, "store")
    site.start()
    try:
        lost = spool_runs_full(site, *disks)
        not_a_byte_left(site, *disks, lost)
        log_disk(site, all_images, lost)
    except (Closed, OSError) as error:
        t.ok(False, "it answered", f"{error}\n{site.tail()}")
    t.ok(site.stop(), "the server stops in order")
    t.equal(site.problems(), [], "no reports")
t.done()
