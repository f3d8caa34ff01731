#!/usr/bin/python3
# reload-start.py - a process that comes up while a reload passes goes by the new configuration, as all others do
# limit: 300
# ports
# needs: root
# SPDX-License-Identifier: Apache-2.0
import os
import signal
import socket
import ssl
import time

from ekiden import MAIL, Server, wait_for
from tap import Tap

ONE = MAIL + """
listener "smtp" {
  address  = "127.0.0.1:${port_smtp}"
  protocol = smtp
}
listener "gone" {
  address  = "127.0.0.1:${port_gone}"
  protocol = smtp
}
listener "imaps" {
  address  = "127.0.0.1:${port_imaps}"
  protocol = imap
  tls      = implicit
}
"""
TWO = ONE.replace('listener "gone"', 'listener "new"').replace("port_gone", "port_new") + """
maildir "other" {
  path = "%h/Other"
}
domain "two.test" {
  auth      = people
  mailboxes = other
}
listener "newtls" {
  address  = "127.0.0.1:${port_newtls}"
  protocol = smtp
  tls      = implicit
}
"""
t = Tap()


def rights_dropped(pid):
    """Has it become its own user?  So it has answered HELLO, and master sends it the configuration."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as f:
        return "\nUid:\t0\t" not in f.read()


def stopped_in_start(server, name):
    """Kills the worker and stops the next one of its name between HELLO and READY; its pid."""
    old = server.pid_of(name)
    os.kill(old, signal.SIGKILL)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        new = server.pid_of(name)
        if new in (None, old):
            continue
        try:
            while not rights_dropped(new) and time.monotonic() < end:
                pass
            os.kill(new, signal.SIGSTOP)
            if not server.ready(name):
                return new
            old = new                        # a busy machine: it had come up before we saw it
            os.kill(new, signal.SIGKILL)
        except OSError:
            continue
    raise RuntimeError(f"{name} did not come again\n{server.tail()}")


def knock(server, name):
    try:
        with socket.create_connection(("127.0.0.1", server.port(name)), 5) as s:
            s.settimeout(20)
            return s.recv(100)[:3].decode()
    except OSError:
        return "refused"


def certificate(server, name):
    """The serial number of the certificate that is shown there."""
    try:
        with socket.create_connection(("127.0.0.1", server.port(name)), 20) as s:
            with server.tls_client().wrap_socket(s, server_hostname=server.hostname) as c:
                return c.getpeercert()["serialNumber"]
    except (OSError, ssl.SSLError):
        return None


def accepts(server, address):
    with server.smtp("smtp", timeout=60) as c:
        c.ehlo()
        c.cmd("MAIL FROM:<a@example.org>")
        return c.cmd(f"RCPT TO:<{address}>").code


def edge(server):
    t.ok(wait_for(lambda: knock(server, "new") == "220", 30), "edge answers on the new listener", server.tail())
    t.equal([knock(server, "gone"), knock(server, "smtp")], ["refused", "220"], "the old one is closed, the other is served")
    t.ok(wait_for(lambda: knock(server, "new") == "220" and server.ready("edge.0"), 30), "it stays so")


def tls(server):
    t.ok(wait_for(lambda: certificate(server, "imaps") == server.second, 30), "tls shows the new certificate", certificate(server, "imaps"))
    t.ok(wait_for(lambda: certificate(server, "newtls") == server.second, 30), "and serves the new listener", server.tail())


def directory(server):
    t.ok(wait_for(lambda: accepts(server, "zoe@two.test") == 250, 30), "directory knows the new domain", server.tail())


def store(server):
    with server.smtp("smtp") as c:
        c.ehlo()
        c.cmd("MAIL FROM:<a@example.org>")
        t.equal(c.cmd("RCPT TO:<zoe@two.test>").code, 250, "mail for the new domain")
        c.cmd("DATA")
        c.cmd("Subject: new\r\n\r\nhello\r\n.")
    new = f"{server.mail}/two.test/zoe/Other/new"
    t.ok(wait_for(lambda: os.path.isdir(new) and os.listdir(new), 60), "store delivers it to the new instance", server.tail())


with Server(ONE, users=["anna", "zoe@two.test"], start=False,
            roles="  restart_delay = 20ms\n  restart_delay_max = 200ms\n  smtp_edges = 1\n  login_edges = 1\n  tls = 1\n  stores = 1\n  directories = 1") as server:
    server.deaths_expected = True
    first, other = server.certificate, server.authority.issue(server.hostname, "localhost", "127.0.0.1", server.domain)
    server.write(ONE)
    server.start()
    serial = certificate(server, "imaps")
    server.certificate = other
    server.write(TWO)
    t.equal(server.reload()[0], 0, "a reload while all are there")
    server.second = certificate(server, "imaps")
    t.ok(server.second and server.second != serial, "changes the certificate")
    for check in (edge, tls, directory, store):
        name = f"{check.__name__}.0"
        server.certificate = first
        server.write(ONE)
        t.equal(server.reload(), (0, ""), f"{name}: the first configuration again")
        t.ok(wait_for(server.ready, 30), "all are ready")
        before = server.generation()
        pid = stopped_in_start(server, name)
        server.certificate = other
        server.write(TWO)
        status, text = server.reload()
        t.equal((status, text, server.generation()), (0, "", before + 1), f"a reload does not wait for {name}, which is stopped in its start")
        t.ok(not server.ready(name), "it is not ready yet", server.status())
        os.kill(pid, signal.SIGCONT)
        t.ok(wait_for(lambda n=name: server.ready(n), 60), "then it is")
        check(server)
        t.ok(wait_for(lambda n=name: [w["generations"] for w in server.status()["workers"] if w["name"] == n] == [1], 30),
             "no old configuration lives on in it", server.status())
t.equal(server.problems(), [], "no report")
t.done()
