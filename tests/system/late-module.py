#!/usr/bin/python3
# late-module.py - a reload names a module that a role without files has not loaded: another process takes its place
# SPDX-License-Identifier: Apache-2.0
# needs: root
import json

from ekiden import MAIL, Server, wait_for
from tap import Tap

CONFIG = MAIL + """
MODULES
listener "smtp" {
  address  = "127.0.0.1:${port_smtp}"
  protocol = smtp
  SETTINGS
}
listener "imaps" {
  address  = "127.0.0.1:${port_imaps}"
  protocol = imap
  tls      = implicit
}
"""
t = Tap()


def config(modules="", settings=""):
    return CONFIG.replace("MODULES", modules).replace("SETTINGS", settings)


def workers(server):
    """{name: pid} of those that are ready."""
    found = json.loads(server.ekiden("status", "--json")[1])["master"]["workers"]
    return {w["name"]: w["pid"] for w in found if w["state"] == "ready"}


def mail(server):
    with server.smtp() as c:
        c.ehlo()
        return c.cmd("MAIL FROM:<fail@example.org>").code


with Server(config(), users=["anna"]) as server:
    before = workers(server)
    t.equal(mail(server), 250, "without the filter")
    with server.imap("imaps", "anna") as idle:
        idle.cmd("SELECT INBOX")
        server.write(config('test "says" { }', "filters = [says]"))
        status, text = server.reload()
        t.ok(status == 0, "a reload that names a filter's module for the first time", text)
        t.ok(wait_for(lambda: mail(server) == 554, 30), "the filter is asked", server.tail(20))
        t.ok(wait_for(lambda: set(workers(server)) == set(before), 30), "all processes are there again", workers(server))
        after = workers(server)
        changed = {name.split(".")[0] for name in before if before[name] != after[name]}
        t.equal(changed, {"edge"}, "edges alone are others")
        t.equal(idle.cmd("NOOP").status, "OK", "who is logged in stays")
        server.write(config('test "says" { }', "filters = [says]\n  hops_max = 30"))
        t.equal(server.reload()[0], 0, "one more reload")
        t.equal(workers(server), after, "changes no process")
        server.write(config('test "says" { }\ntest_evented "nonsense" { no = such }', "filters = [says]"))
        status, text = server.reload()
        t.ok(status != 0 and "no setting" in text, "one that is wrong is refused", text)
        t.equal((workers(server), mail(server)), (after, 554), "and changes nothing")
t.ok(not server.problems(), "no process died, no report", server.problems())
t.done()
