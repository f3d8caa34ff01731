#!/usr/bin/python3
# backend-maps.py - aliases behind socketmap and tcp servers: TLS that is verified, certificates of strangers and for others, hostile names
# SPDX-License-Identifier: Apache-2.0
# part: backends
# limit: 180
import badnames
import certs
from ekiden import Server, listener
from server_maps import MapServer
from tap import Tap

CONFIG = listener("smtp") + """
file "staff" { path = $users
  home = "${mail}/%d/%n" }
maildir "mail" { path = "%h/Maildir" }
routing { cache = 0
  cache_stale = 0 }
"""
COMMON = "\n  ".join(("cache = 0", "cache_negative = 0", "cache_stale = 0", "timeout = 5s", "connect_timeout = 5s"))
PROTOCOLS = ("socketmap", "tcp")
# block: which server, the host that it is called, TLS settings; is it trusted?
WAYS = {
    "plain": ("plain", "127.0.0.1", "", True),
    "good": ("tls", "localhost", 'tls = yes\n  tls_ca_file = "CA"', True),
    "named": ("tls", "127.0.0.1", 'tls = yes\n  tls_ca_file = "CA"\n  tls_name = localhost', True),
    "any": ("tls", "127.0.0.1", "tls = yes\n  tls_verify = no", True),
    "system": ("tls", "localhost", "tls = yes", False),
    "stranger": ("tls", "localhost", 'tls = yes\n  tls_ca_file = "OTHER"', False),
    "address": ("tls", "127.0.0.1", 'tls = yes\n  tls_ca_file = "CA"', False),
    "othername": ("tls", "localhost", 'tls = yes\n  tls_ca_file = "CA"\n  tls_name = elsewhere.test', False),
    "notls": ("plain", "localhost", 'tls = yes\n  tls_ca_file = "CA"', False),
    "wanted": ("tls", "localhost", "", False),
}
WHY = {"system": "certificate is not good", "stranger": "certificate is not good", "address": "IP address mismatch", "othername": "ostname mismatch",
       "notls": "a server without it wants tls = no", "wanted": "closed|reset by peer"}
t = Tap()


def domain_of(protocol, way):
    return f"{way}.{protocol}.test"


def configuration(servers, site, other):
    text = CONFIG
    for protocol in PROTOCOLS:
        for way, (server, host, tls, _) in WAYS.items():
            at = f"{host}:{servers[protocol, server].port}"
            at = f"inet:{at}:map" if protocol == "socketmap" else at
            tls = tls.replace("CA", site.authority.cafile).replace("OTHER", other.cafile)
            text += f'{protocol} "{protocol}-{way}" {{ server = "{at}"\n  {tls}\n  {COMMON} }}\n'
            text += f'domain "{domain_of(protocol, way)}" {{ auth = staff\n  aliases = {protocol}-{way}\n  mailboxes = mail }}\n'
    return text


def send(server, to, subject):
    with server.smtp() as c:
        c.ehlo()
        c.cmd("MAIL FROM:<sender@elsewhere.test>")
        said = c.cmd(f"RCPT TO:<{to}>")
        return c.data(f"Subject: {subject}\r\n\r\nx\r\n".encode()) if said.code == 250 else said


def ways(s, servers):
    for protocol in PROTOCOLS:
        for way, (at, _, _, trusted) in WAYS.items():
            domain, asked = domain_of(protocol, way), servers[protocol, at].asked
            if trusted:
                t.equal(send(s, f"all@{domain}", domain).code, 250, f"{protocol}, {way}: an alias is served")
                t.ok(s.wait_messages(f"anna@{domain}", 1), f"{protocol}, {way}: and its mail is there")
                t.equal(send(s, f"nobody@{domain}", "x").code, 550, f"{protocol}, {way}: nobody is nobody")
                continue
            t.equal([send(s, f"{name}@{domain}", "x").code for name in ("all", "anna", "nobody")], [451] * 3, f"{protocol}, {way}: put off")
            t.ok(s.logged(rf'{protocol} \\?"{protocol}-{way}\\?".*({WHY[way]})'), f"{protocol}, {way}: the log says why", s.tail(5))
            t.equal([key for key in asked if key.endswith(domain.encode())], [], f"{protocol}, {way}: and nothing was asked there")


def hostile(s, servers):
    for protocol in PROTOCOLS:
        server, domain = servers[protocol, "plain"], domain_of(protocol, "plain")
        server.wrong.clear()                     # what spoke TLS to it
        t.equal(badnames.recipients(s, domain), [], f"{protocol}: no name that means harm is anybody's, and none is put off")
        t.equal(server.wrong, [], f"{protocol}: and none broke the protocol")
        t.equal(send(s, f"all@{domain}", "again").code, 250, f"{protocol}: the alias is served as before")


def main():
    site = Server("", users=[], start=False)
    other = certs.Authority(f"{site.dir}/otherca")
    names = [domain_of(protocol, way) for protocol in PROTOCOLS for way in WAYS]
    site.set_users([(f"anna@{name}", "{PLAIN}pa") for name in names])
    answers = {f"all@{name}".encode(): f"anna@{name}".encode() for name in names}
    context = site.authority.server("localhost")
    servers = {(protocol, kind): MapServer(protocol, answers, context if kind == "tls" else None) for protocol in PROTOCOLS for kind in ("plain", "tls")}
    site.write(configuration(servers, site, other))
    with site as s:
        s.start()
        ways(s, servers)
        hostile(s, servers)
        t.ok(s.stop(), "the server stops")
    t.equal(site.problems(), [], "no report")
    t.done()


main()
