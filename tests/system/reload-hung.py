#!/usr/bin/python3
# reload-hung.py - a process that hangs ends a reload's wait, not the server's work; SIGHUP during a reload counts
# limit: 200
# ports
# SPDX-License-Identifier: Apache-2.0
import os
import signal
import subprocess

from ekiden import MAIL, Server, listener, program, wait_for
from tap import Tap

CONFIG = MAIL + listener("smtp", recipients_max="MAX")
TIMEOUT = 4
t = Tap()


def config(limit):
    return CONFIG.replace("MAX", str(limit))


def limit(server):
    """How many of three recipients a new session may name."""
    with server.smtp("smtp") as c:
        c.ehlo()
        c.cmd(f"MAIL FROM:<{server.address('anna')}>")
        return [c.cmd(f"RCPT TO:<{server.address(user)}>").code for user in ("anna", "ben", "carl")].count(250)


def worker(server, name):
    return next(w for w in server.status()["workers"] if w["name"] == name)


def stop(pids):
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)


def go_on(pids):
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


def begin(server):
    """A reload that goes on while we do other things."""
    return subprocess.Popen([program("ekiden"), "reload"], env={**server.environment(), "EKIDEN_CONFIG": server.conf}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def hangs_in_the_first_half(server):
    pid = worker(server, "relay.0")["pid"]
    generation = server.generation()
    stop([pid])
    server.write(config(1))
    code, said = server.reload()
    t.ok(code != 0, "a reload that a process does not answer fails", said)
    t.contains(said, f"relay.0 (process {pid}) has not answered within {TIMEOUT} s (roles.reload_timeout)", "its asker hears of whom")
    t.ok(server.logged(rf"relay\.0 \(process {pid}\) has not answered"), "so does the log", server.tail())
    t.equal([limit(server), server.generation()], [3, generation], "all others go on by the old configuration")
    code, said = server.reload()
    t.ok(code != 0 and f"relay.0 (process {pid})" in said, "the next one fails as the first", said)
    go_on([pid])
    code, said = server.reload()
    t.ok(code == 0, "when it works again, a reload does", said)
    t.equal([limit(server), server.generation(), worker(server, "relay.0")["pid"]], [1, generation + 1, pid], "and is in force, with the same process")


def hangs_in_the_second_half(server):
    first, second = (worker(server, f"relay.{i}")["pid"] for i in range(2))
    stop([first])
    server.write(config(2))
    reload = begin(server)
    t.ok(wait_for(lambda: worker(server, "relay.1")["generations"] == 2, TIMEOUT), "one process has the new configuration, and waits for another")
    stop([second])
    go_on([first])
    said = reload.communicate(timeout=60)[0]
    t.ok(reload.returncode == 0, "one that hangs when all have agreed does not make a reload fail", said)
    t.contains(said, f"relay.1 (process {second}) has not answered", "its asker hears of it")
    t.ok(server.logged(rf"the new configuration is in force, but relay\.1 \(process {second}\)"), "so does the log", server.tail())
    t.equal(limit(server), 2, "the configuration is in force")
    go_on([second])
    t.ok(wait_for(lambda: worker(server, "relay.1")["generations"] == 1, 20), "the process goes by it when it works again", server.status())
    t.equal(server.reload()[0], 0, "and takes the next")


def sighup_meanwhile(server):
    pid = worker(server, "relay.0")["pid"]
    master = server.status()["pid"]
    generation = server.generation()
    stop([pid])
    server.write(config(1))
    reload = begin(server)
    t.ok(wait_for(lambda: worker(server, "relay.1")["generations"] == 2, TIMEOUT), "a reload is under way")
    server.write(config(3))
    os.kill(master, signal.SIGHUP)
    go_on([pid])
    said = reload.communicate(timeout=60)[0]
    t.ok(reload.returncode == 0, "it ends", said)
    t.ok(wait_for(lambda: server.generation() == generation + 2, 20), "SIGHUP in the middle of it makes another follow", server.status())
    t.ok(wait_for(lambda: limit(server) == 3, 20), "which has read the files anew")


with Server(config(3), users=["anna", "ben", "carl"], roles=f"  relays = 2\n  reload_timeout = {TIMEOUT}s") as server:
    t.equal(limit(server), 3, "three recipients are allowed")
    hangs_in_the_first_half(server)
    hangs_in_the_second_half(server)
    sighup_meanwhile(server)
t.ok(not server.problems(), "no report", server.problems())
t.done()
