#!/usr/bin/python3
# mechanisms.py - logins over SMTP and IMAP by each SASL mechanism: right, wrong, unknown, and with a backend that is away
# limit: 300
# waits
# SPDX-License-Identifier: Apache-2.0
import base64
import hashlib
import http.server
import json
import os
import threading
import time
import urllib.parse

import sasl
from ekiden import Server, listener
from tap import Tap
from wire import Imap, Smtp

t = Tap()
SECRET = b"0123456789abcdef0123456789abcdef"
ALL = "SCRAM-SHA-256-PLUS, SCRAM-SHA-256, SCRAM-SHA-1, CRAM-MD5, OAUTHBEARER, XOAUTH2, EXTERNAL, PLAIN"
CONFIG = listener("smtp", mechanisms=ALL, client_ca='read("${dir}/ca/ca.pem")') \
    + listener("imaps", mechanisms=ALL, client_ca='read("${dir}/ca/ca.pem")') \
    + listener("strict", "imap", tls="implicit", mechanisms="EXTERNAL", client_ca='read("${dir}/ca/ca.pem")',
               client_certificate_required="yes") + """
sasl_plain { }
sasl_cram_md5 { }
sasl_scram { }
sasl_external { }
sasl_oauth "signed" { keys = read("${dir}/jwks.json")
  issuer = "https://idp.example.test"
  audience = mail
  scope = imap }
sasl_oauth "asked" { introspection_url = "http://127.0.0.1:${port_idp}/introspect"
  client_id = ekiden
  client_secret = sesame
  name_claim = username }
file "people" { path = $users
  scheme = PLAIN
  home = "${mail}/%d/%n" }
test "away" { control = "${dir}/control"
  password = pw
  home = "${mail}/%d/%n" }
maildir "mail" { path = "%h/Maildir" }
domain $domain { auth = signed, asked, people
  users = people
  mailboxes = mail }
domain "away.test" { auth = away
  mailboxes = mail }
auth { failure_delay = 10ms
  failure_delay_max = 20ms }
"""


class Issuer(http.server.BaseHTTPRequestHandler):
    """RFC 7662, for the tokens "good" and "other"."""
    asked, down = [], False

    def do_POST(self):                       # pylint: disable=invalid-name
        form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.asked.append((form["token"][0], self.headers["Authorization"]))
        names = {"good": "anna@example.test", "other": "ben@example.test"}
        name = names.get(form["token"][0])
        answer = json.dumps({"active": True, "username": name} if name else {"active": False}).encode()
        self.send_response(503 if Issuer.down else 200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


def token(**changes):
    claims = {"iss": "https://idp.example.test", "aud": "mail", "scope": "imap smtp", "email": "anna@example.test",
              "exp": int(time.time()) + 300, **changes}
    return sasl.jwt(SECRET, {k: v for k, v in claims.items() if v is not None})


def over_smtp(s, mechanism, client, initial=True, tls=True, context=None):
    with Smtp(s.port("smtp"), name=s.hostname) as c:
        c.ehlo()
        if tls:
            c.starttls(context or s.tls_client(), s.hostname)
            c.ehlo()
        return sasl.smtp(c, mechanism, client(c) if callable(client) else client, initial).code


def over_imap(s, mechanism, client, initial=True, context=None):
    with Imap(s.port("imaps"), tls=context or s.tls_client(), name=s.hostname) as c:
        answer = sasl.imap(c, mechanism, client(c) if callable(client) else client, initial)
        if answer.startswith("OK"):
            t.equal(c.cmd("NOOP").status, "OK", f"{s.layout}: {mechanism}: the session goes on")
        return answer


def endpoint(c):
    return ("tls-server-end-point", hashlib.sha256(c.sock.getpeercert(True)).digest())


def secrets(s):
    """What keeps which secret, and by which mechanisms it serves."""
    kinds = {"SCRAM-SHA-256": lambda u, p: sasl.scram(u, p), "SCRAM-SHA-1": lambda u, p: sasl.scram(u, p, "sha1"),
             "CRAM-MD5": sasl.cram_md5, "PLAIN": sasl.plain,
             "SCRAM-SHA-256-PLUS": lambda u, p: (lambda c: sasl.scram(u, p, binding=endpoint(c)))}
    serves = {"plain": kinds.keys(), "scram256": ("SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "PLAIN"), "scram1": ("SCRAM-SHA-1", "PLAIN"),
              "cram": ("CRAM-MD5", "PLAIN"), "hash": ("PLAIN",), "nobody": ()}
    for user, good in serves.items():
        for mechanism, client in kinds.items():
            right = 235 if mechanism in good else 535
            name, initial = f"{user}@{s.domain}", mechanism != "CRAM-MD5"
            t.equal(over_smtp(s, mechanism, client(name, "geheim"), initial), right, f"{s.layout}: {mechanism} {user}: {right}")
            t.equal(over_smtp(s, mechanism, client(name, "falsch"), initial), 535, f"{s.layout}: {mechanism} {user}: a wrong password")
            t.contains(over_imap(s, mechanism, client(name, "geheim"), initial), "OK" if right == 235 else "NO [AUTHENTICATIONFAILED]",
                       f"{s.layout}: {mechanism} {user} over IMAP")
    t.equal(over_smtp(s, "SCRAM-SHA-256", sasl.scram(f"plain@{s.domain}", "geheim"), initial=False), 235, f"{s.layout}: the client may wait for a challenge")
    t.equal(over_smtp(s, "SCRAM-SHA-256", sasl.scram(f"plain@{s.domain}", "geheim", header="y,,")), 501, f"{s.layout}: a client that was told of no binding")
    t.equal(over_smtp(s, "SCRAM-SHA-256-PLUS", lambda c: sasl.scram(f"plain@{s.domain}", "geheim", binding=("tls-server-end-point", b"x" * 32))), 501,
            f"{s.layout}: another channel")


def unknown(s):
    """A name that nobody has shows the same salt each time, after a restart too."""
    shown = []
    for _ in range(2):
        for name in ("nobody", "ghost"):
            over_smtp(s, "SCRAM-SHA-256", sasl.scram(f"{name}@{s.domain}", "x", seen=shown))
            over_smtp(s, "SCRAM-SHA-256", sasl.scram(f"{name}@elsewhere.test", "x", seen=shown))
        s.restart()
    salts = [dict(part.split("=", 1) for part in first.split(","))["s"] for first in shown]
    t.equal(salts[:4], salts[4:], f"{s.layout}: made-up salts stay")
    t.equal(len(set(salts)), 4, f"{s.layout}: each name has its own")
    known, shown = ("scram256", "plain"), []
    for name in known * 3:                               # whose iterations differ
        over_smtp(s, "SCRAM-SHA-256", sasl.scram(f"{name}@{s.domain}", "geheim"))
        over_smtp(s, "SCRAM-SHA-256", sasl.scram(f"nobody@{s.domain}", "x", seen=shown))
    t.equal(len({first.split(",", 1)[1] for first in shown[1:]}), 1, f"{s.layout}: nor does it matter to them who logged in last")


def offers(s):
    with Smtp(s.port("smtp"), name=s.hostname) as c:
        c.ehlo()
        t.equal(c.features.get("AUTH"), "SCRAM-SHA-256 SCRAM-SHA-1 CRAM-MD5", f"{s.layout}: without TLS nothing that shows a secret")
        t.equal(sasl.smtp(c, "SCRAM-SHA-256", sasl.scram(f"plain@{s.domain}", "geheim")).code, 235, f"{s.layout}: and SCRAM works there")
    with Smtp(s.port("smtp"), name=s.hostname) as c:
        c.ehlo()
        c.starttls(s.tls_client(), s.hostname)
        c.ehlo()
        t.equal(c.features.get("AUTH"), ALL.replace("EXTERNAL, ", "").replace(",", ""), f"{s.layout}: with TLS all but EXTERNAL")


def certificates(s):
    good = s.tls_client()
    good.load_cert_chain(*s.authority.issue(f"plain@{s.domain}"))
    stranger = s.tls_client()
    stranger.load_cert_chain(*s.authority.issue(f"nobody@{s.domain}"))
    nameless = s.tls_client()
    nameless.load_cert_chain(*s.authority.issue("client.example.test"))
    t.equal(over_smtp(s, "EXTERNAL", sasl.external(), context=good), 235, f"{s.layout}: EXTERNAL")
    t.equal(over_smtp(s, "EXTERNAL", sasl.external(f"plain@{s.domain}"), context=good), 235, f"{s.layout}: EXTERNAL with the name")
    t.equal(over_smtp(s, "EXTERNAL", sasl.external(f"hash@{s.domain}"), context=good), 501, f"{s.layout}: but not as another")
    t.equal(over_smtp(s, "EXTERNAL", sasl.external(), context=stranger), 535, f"{s.layout}: nor as nobody")
    t.equal(over_smtp(s, "EXTERNAL", sasl.external(), context=nameless), 504, f"{s.layout}: a certificate without a mail address")
    t.equal(over_smtp(s, "EXTERNAL", sasl.external()), 504, f"{s.layout}: no certificate")
    t.contains(over_imap(s, "EXTERNAL", sasl.external(), context=good), "OK", f"{s.layout}: EXTERNAL over IMAP")
    with Imap(s.port("strict"), tls=good, name=s.hostname) as c:
        t.contains(sasl.imap(c, "EXTERNAL", sasl.external()), "OK", f"{s.layout}: where a certificate is required")
    try:
        with Imap(s.port("strict"), tls=s.tls_client(), name=s.hostname):
            t.ok(False, f"{s.layout}: a client without one is turned away")
    except Exception as e:                   # pylint: disable=broad-except
        t.ok("CERTIFICATE_REQUIRED" in str(e).upper().replace(" ", "_") or "closed" in str(e) or "alert" in str(e),
             f"{s.layout}: a client without one is turned away", str(e))


def tokens(s):
    anna = f"anna@{s.domain}"
    for mechanism, client in (("OAUTHBEARER", sasl.oauthbearer), ("XOAUTH2", sasl.xoauth2)):
        cases = [(token(), 235, "signed"), ("good", 235, "one that the issuer knows"), ("other", 535, "another user's"),
                 ("bad", 535, "one that nobody knows"), (token(exp=int(time.time()) - 300), 535, "expired"), (token(exp=None), 535, "for ever"),
                 (token(nbf=int(time.time()) + 300), 535, "not good yet"), (token(aud="web"), 535, "for another audience"),
                 (token(scope="smtp"), 535, "without the scope"), (token(email="ben@example.test"), 535, "signed for another user"),
                 (token()[:-2] + "xx", 535, "forged"), ("x" * 4000, 535, "of 4,000 bytes")]
        for word, code, text in cases:
            t.equal(over_smtp(s, mechanism, client(anna, word)), code, f"{s.layout}: {mechanism}, a token {text}: {code}")
        t.contains(over_imap(s, mechanism, client(anna, token())), "OK", f"{s.layout}: {mechanism} over IMAP")
        errors = []
        t.contains(over_imap(s, mechanism, client(anna, token(aud="web"), errors)), "AUTHENTICATIONFAILED", f"{s.layout}: {mechanism}: refused over IMAP")
        t.equal((errors[0]["status"], errors[0].get("scope")), ("401" if mechanism == "XOAUTH2" else "invalid_token", "imap"),
                f"{s.layout}: {mechanism}: and told why")
        Issuer.down = True
        t.equal(over_smtp(s, mechanism, client(anna, "good")), 454, f"{s.layout}: {mechanism}: the issuer is down: later")
        t.equal(over_smtp(s, mechanism, client(anna, token())), 235, f"{s.layout}: {mechanism}: which signed tokens do not notice")
        Issuer.down = False
    t.ok(all(word == "good" or not word.startswith("ey") for word, _ in Issuer.asked), f"{s.layout}: the issuer was asked about no signed token")
    t.equal({a for _, a in Issuer.asked}, {"Basic " + base64.b64encode(b"ekiden:sesame").decode()}, f"{s.layout}: and knows who asks")
    t.equal(over_smtp(s, "PLAIN", sasl.plain(anna, token())), 535, f"{s.layout}: a token is no password")
    before = len(Issuer.asked)
    t.equal(over_smtp(s, "PLAIN", sasl.plain(anna, "good")), 535, f"{s.layout}: nor one that the issuer knows")
    t.equal(len(Issuer.asked), before, f"{s.layout}: passwords are not shown to the issuer")


def reloading(s, client):
    """The client, and a reload before each of its answers."""
    challenge = None
    while True:
        try:
            said = client.send(challenge)
        except StopIteration:
            return
        if s.reload()[0] != 0:
            t.ok(False, f"{s.layout}: a reload between two messages of a login")
        challenge = yield said


def reloads(s):
    for mechanism, client, user, word in (("SCRAM-SHA-256", sasl.scram, "plain", "OK"), ("SCRAM-SHA-256", sasl.scram, "nobody", "AUTHENTICATIONFAILED"),
                                          ("CRAM-MD5", sasl.cram_md5, "plain", "OK")):
        answer = over_imap(s, mechanism, reloading(s, client(f"{user}@{s.domain}", "geheim")), initial=False)
        t.contains(answer, word, f"{s.layout}: {mechanism} {user}, with reloads on the way")


def outage(s):
    with open(f"{s.dir}/control", "w", encoding="ascii") as f:
        f.write("defer\n")
    os.chmod(f"{s.dir}/control", 0o644)
    for mechanism, client in (("SCRAM-SHA-256", sasl.scram), ("CRAM-MD5", sasl.cram_md5), ("PLAIN", sasl.plain)):
        t.equal(over_smtp(s, mechanism, client("any@away.test", "pw"), mechanism != "CRAM-MD5"), 454, f"{s.layout}: {mechanism}: a backend that is away")
    os.unlink(f"{s.dir}/control")
    for mechanism, client in (("SCRAM-SHA-256", sasl.scram), ("CRAM-MD5", sasl.cram_md5), ("PLAIN", sasl.plain)):
        t.equal(over_smtp(s, mechanism, client("any@away.test", "pw"), mechanism != "CRAM-MD5"), 235, f"{s.layout}: {mechanism}: and is back")


def stored(s, scheme):
    status, out = s.ekiden("pw", "-s", scheme, stdin=b"geheim\n")
    if status:
        t.note(out)
    return out.strip().splitlines()[-1]


for layout in ("apart", "merged"):
    site = Server(CONFIG, layout=layout, start=False)
    with open(f"{site.dir}/jwks.json", "w", encoding="ascii") as f:
        key = base64.urlsafe_b64encode(SECRET).rstrip(b"=").decode()
        json.dump({"keys": [{"kty": "oct", "kid": "1", "k": key}]}, f)
    with site as server, http.server.ThreadingHTTPServer(("127.0.0.1", site.port("idp")), Issuer) as idp:
        threading.Thread(target=idp.serve_forever, daemon=True).start()
        server.set_users([("plain", "{PLAIN}geheim"), ("scram256", stored(server, "SCRAM-SHA-256")), ("scram1", stored(server, "SCRAM-SHA-1")),
                          ("cram", stored(server, "CRAM-MD5")), ("hash", stored(server, "SSHA256")), ("anna", "{PLAIN}geheim")])
        server.start()
        offers(server)
        secrets(server)
        unknown(server)
        certificates(server)
        tokens(server)
        reloads(server)
        outage(server)
        t.ok(server.stop(), f"{layout}: the server stops")
        idp.shutdown()
    t.ok(not server.problems(), f"{layout}: no reports", server.problems())
t.done()
