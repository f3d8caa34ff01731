#!/usr/bin/python3
# upgrade.py - program and modules are replaced under a loaded server: the new build takes over, nobody is refused
# limit: 600
# ports
# SPDX-License-Identifier: Apache-2.0
import glob
import os
import re
import shutil
import signal
import threading
import time
from collections import Counter

from ekiden import BUILD, MAIL, Server, listener, wait_for
from tap import Tap
from wire import Closed, Imap, Smtp

CONFIG = MAIL + listener("smtp") + listener("imaps") + listener("imap", plaintext_auth="yes")
SENDERS, READERS, USERS = 6, 4, 3
t = Tap()
users = [f"user{i}" for i in range(USERS)]


class Site(Server):
    """Runs a copy of the build, of which other builds can be made: the same code under another stamp."""

    def program(self, name):
        return f"{self.dir}/prog/bin/{name}"

    def stamp(self, text):
        """Makes every file of the build anew with this stamp, each by a rename as an installation does."""
        return [path for path in self.built() if self.install(path, text)]

    @staticmethod
    def built():
        return [f"{BUILD}/.libs/{name}" for name in ("ekiden", "ekidend", "libekiden.so")] + glob.glob(f"{BUILD}/modules/*/.libs/*.so")

    def install(self, source, text):
        kind = "modules" if "/modules/" in source else "lib" if source.endswith(".so") else "bin"
        target = f"{self.dir}/prog/{kind}/{os.path.basename(source)}"
        with open(source, "rb") as f:
            data = f.read()
        with open(target + ".new", "wb") as f:
            f.write(data.replace(BUILT.encode(), text.encode()))
        os.chmod(target + ".new", 0o755)
        os.replace(target + ".new", target)
        return BUILT.encode() in data

    def slow_check(self):
        """From now on `ekidend --check` says that it has begun, and goes on when the file `hold` is gone."""
        place = f"{self.dir}/prog/bin/ekidend"
        with open(f"{self.dir}/hold", "w", encoding="utf-8"):
            pass
        os.link(place, place + ".real")
        with open(place + ".new", "w", encoding="utf-8") as f:
            f.write(f'#!/bin/sh\nif [ "$1" = --check ]; then\n  echo $$ > "{self.dir}/begun"\n'
                    f'  while [ -e "{self.dir}/hold" ]; do sleep 0.05; done\nfi\nexec "{place}.real" "$@"\n')
        os.chmod(place + ".new", 0o755)
        os.replace(place + ".new", place)


with open(f"{BUILD}/core/build.h", encoding="utf-8") as f:
    BUILT = re.search(r'EK_BUILD "(.*)"', f.read()).group(1)
lock, stop = threading.Lock(), threading.Event()
accepted, doubtful, refused, reads, closed = {}, set(), [], Counter(), Counter()
number = 0


def connect(kind, make):
    """A connection, or None; a refusal is what must not be."""
    try:
        return make()
    except (ConnectionRefusedError, TimeoutError) as error:
        with lock:
            refused.append((kind, repr(error)))
    except (OSError, Closed) as error:           # taken, and the session ended before it began
        with lock:
            closed[f"{kind}: {type(error).__name__}"] += 1
    return None


def send_one(c):
    global number
    with lock:
        number += 1
        n = number
    user = users[n % USERS]
    if c.cmd("MAIL FROM:<a@example.org>").code != 250 or c.cmd(f"RCPT TO:<{user}@{server.domain}>").code != 250:
        return False
    with lock:
        doubtful.add(n)
    reply = c.data(f"Subject: number {n}\r\nX-Number: {n}\r\n\r\n".encode() + b"x" * (90_000 if n % 20 == 0 else 500) + b"\r\n")
    with lock:
        if reply.code == 250:
            accepted[n] = user
        if reply.code == 250 or reply.code >= 500:
            doubtful.discard(n)
    return reply.code == 250


def sender():
    c = None
    while not stop.is_set():
        if c is None:
            c = connect("smtp", lambda: Smtp(server.port("smtp"), timeout=90))
        try:
            if c is None or (not getattr(c, "features", None) and c.ehlo().code != 250) or not send_one(c):
                raise Closed("421, or not now")
        except (OSError, Closed, AssertionError, ValueError):
            if c:
                c.close()
            c = None
            time.sleep(0.01)
        time.sleep(0.01)


def reader(tls):
    while not stop.is_set():
        c = connect("imaps" if tls else "imap",
                    lambda: Imap(server.port("imaps" if tls else "imap"), tls=server.tls_client() if tls else None, name=server.hostname, timeout=90))
        try:
            if c and c.login(server.address(users[0]), server.password).status == "OK" and c.cmd("SELECT INBOX").status == "OK":
                c.cmd("FETCH 1:5 (FLAGS RFC822.SIZE)")
                reads["tls" if tls else "plain"] += c.cmd("LOGOUT").status == "OK"
        except (OSError, Closed, AssertionError):
            pass
        if c:
            c.close()
        time.sleep(0.02)


def runs(build):
    status = server.status()
    return status.get("state") == "running" and status["build"].startswith(build) and all(w["state"] == "ready" for w in status["workers"])


def progress():
    """Mail is accepted and read, beyond what was."""
    with lock:
        mails, seen = len(accepted), dict(reads)
    return wait_for(lambda: len(accepted) > mails + 20 and all(reads[k] > seen.get(k, 0) + 2 for k in ("tls", "plain")), 60)


def builds():
    first = BUILT
    return [first] + [first[:-len(f"-{i}")] + f"-{i}" for i in (2, 3, 4)]


one, two, three, four = builds()
with Site(CONFIG, users=users, start=False, roles="  restart_delay = 50ms\n  restart_delay_max = 1s") as server:
    server.deaths_expected = True
    for folder in ("bin", "lib", "modules"):
        os.makedirs(f"{server.dir}/prog/{folder}")
    server.extra_env = {"EKIDEN_MODULE_PATH": f"{server.dir}/prog/modules", "LD_LIBRARY_PATH": f"{server.dir}/prog/lib"}
    stamped = server.stamp(one)
    t.ok(any(path.endswith("libekiden.so") for path in stamped) and any(path.endswith("smtp.so") for path in stamped), "library and modules carry the stamp")
    server.start()
    t.ok(runs(one), "the first build runs", server.status())
    threads = [threading.Thread(target=sender, daemon=True) for _ in range(SENDERS)]
    threads += [threading.Thread(target=reader, args=(i % 2 == 0,), daemon=True) for i in range(READERS)]
    for thread in threads:
        thread.start()
    t.ok(progress(), "under load")
    master = server.process.pid

    server.stamp(two)
    t.ok(progress() and runs(one), "files are replaced: the first goes on")
    os.kill(server.pid_of("edge.0"), signal.SIGKILL)
    t.ok(wait_for(lambda: runs(two), 90, 0.2), "a process that is started anew is of the second build: it takes over", server.status() or server.tail())
    t.ok(server.process.poll() is None and server.status()["pid"] == master, "under the same process id")
    t.ok(progress(), "mail goes in and is read")

    server.stamp(three)
    t.equal(server.ekiden("upgrade"), (0, ""), "ekiden upgrade")
    t.ok(wait_for(lambda: runs(three), 60, 0.2), "the third runs when the command returns", server.status())
    t.ok(progress(), "and works")

    for path in server.built():
        if not path.endswith("smtp.so"):
            server.install(path, four)
    status, text = server.ekiden("upgrade")
    t.ok(status == 1 and "smtp" in text and three in text and four in text, "half of an installation is refused, with the module and both builds", text)
    t.ok(progress() and runs(three), "and the third goes on")
    os.kill(server.pid_of("edge.1"), signal.SIGKILL)
    t.ok(server.logged(r"the program on disk was replaced by one that cannot take over", 60), "a process that cannot start for it is told in the log")
    server.install(f"{BUILD}/modules/smtp/.libs/smtp.so", four)
    t.ok(wait_for(lambda: runs(four), 90, 0.2), "when the rest is there, the fourth takes over by itself", server.status() or server.tail())
    t.ok(progress(), "and works")

    server.slow_check()
    answers, edge = [], server.pid_of("edge.0")
    asker = threading.Thread(target=lambda: answers.append(server.ekiden("upgrade")), daemon=True)
    asker.start()
    t.ok(wait_for(lambda: os.path.exists(f"{server.dir}/begun"), 30), "the new program is asked, and takes its time")
    os.kill(edge, signal.SIGKILL)
    t.ok(wait_for(lambda: server.pid_of("edge.0") not in (None, edge) and runs(four), 30), "meanwhile a killed process is started again", server.status())
    generation = server.generation()
    t.equal((server.reload(), server.generation()), ((0, ""), generation + 1), "a reload passes")
    t.ok(progress(), "mail goes in and is read")
    t.contains(server.ekiden("upgrade")[1], "an upgrade is under way", "who asks too is told")
    t.equal((answers, asker.is_alive()), ([], True), "the first one still waits")
    os.unlink(f"{server.dir}/hold")
    asker.join(120)
    t.equal(answers, [(0, "")], "and has his upgrade when the new program has said yes")
    t.ok(wait_for(lambda: runs(four) and server.generation() == 1, 60, 0.2), "which begins anew", server.status())
    t.ok(progress(), "and works")

    stop.set()
    for thread in threads:
        thread.join(100)
    t.note(f"{len(accepted)} accepted, {len(doubtful)} without an answer, {dict(reads)} read, ended before they began: {dict(closed)}")
    t.equal(refused, [], "no connection was refused")

    def numbers():
        return Counter(int(n) for user in users for m in server.messages(user) for n in re.findall(rb"^X-Number: (\d+)", m, re.M))
    wait_for(lambda: not accepted.keys() - numbers().keys(), 60, 0.5)
    found = numbers()
    t.equal(sorted(accepted.keys() - found.keys()), [], "all accepted mail is there")
    t.equal([n for n, times in found.items() if times > 1], [], "once")
    t.equal(sorted(found.keys() - accepted.keys() - doubtful), [], "and none that was not accepted")
    t.ok(server.stop(), "the server stops")
t.equal(server.problems(), [], "no report")
shutil.rmtree(f"{server.dir}/prog")
t.done()
