#!/usr/bin/python3
# backend-net.py - domains, aliases, passwords and users in Redis and behind HTTP: served, hostile names, put off while one is away, served again
# SPDX-License-Identifier: Apache-2.0
# part: backends
# needs: redis-server
# limit: 300
import json
import os
import re

from urllib.parse import quote

import badnames
from ekiden import BUILD, Server, listener, wait_for
from server_json import JsonServer
from server_redis import Redis
from tap import Tap
from wire import Imap

NOTHING_KEPT = "\n".join(("cache = 0", "cache_negative = 0", "cache_stale = 0", "timeout = 1s", "connect_timeout = 1s"))
CONFIG = listener("smtp") + listener("imap", plaintext_auth="yes") + f"""
sasl_plain {{ }}
redis "domains" {{
  server   = "${{dir}}/redis/socket"
  password = pw
  command  = SISMEMBER, domains, ":key"
  {NOTHING_KEPT} }}
redis "aliases" {{
  server   = "127.0.0.1:REDIS_PORT"
  password = pw
  command  = SMEMBERS, "alias::address"
  {NOTHING_KEPT} }}
redis "tls-aliases" {{
  server   = "localhost:REDIS_TLS"
  password = pw
  command  = HGET, ":domain", ":local"
  tls      = yes
  tls_ca_file = "${{dir}}/ca/ca.pem"
  {NOTHING_KEPT} }}
redis "untrusted" {{
  server   = "127.0.0.1:REDIS_TLS"
  password = pw
  command  = GET, "alias::address"
  tls      = yes
  {NOTHING_KEPT} }}
http "api" {{
  url          = "https://127.0.0.1:API_PORT/aliases/:address"
  password_url = "https://127.0.0.1:API_PORT/users/:user/login"
  user_url     = "https://127.0.0.1:API_PORT/users/:user"
  token        = sesame
  tls_ca_file  = "${{dir}}/ca/ca.pem"
  home         = "${{mail}}/%d/%n"
  {NOTHING_KEPT} }}
http "strangers" {{
  url = "https://127.0.0.1:API_PORT/aliases/:address"
  {NOTHING_KEPT} }}
file "staff" {{ path = $users
  home = "${{mail}}/%d/%n" }}
maildir "mail" {{ path = "%h/Maildir" }}
domain $domain {{ auth = staff
  mailboxes = mail }}
domain "hosted" {{ names = domains
  aliases = aliases, api
  auth = api
  mailboxes = mail }}
domain "tls.test" {{ aliases = tls-aliases
  auth = api
  mailboxes = mail }}
domain "untrusted.test" {{ aliases = untrusted
  auth = staff
  mailboxes = mail }}
domain "strange.test" {{ aliases = strangers
  auth = staff
  mailboxes = mail }}
routing {{ cache = 0
  cache_stale = 0 }}
auth {{ cache_stale = 0
  failure_delay = 50ms
  failure_delay_max = 100ms
  timeout = 5s }}
"""
PEOPLE = {"anna@one.test": "pa", "ben@one.test": "pb", "carl@tls.test": "pc", "o'neil&co@one.test": "po"}
t = Tap()


def send(server, to, subject="x"):
    with server.smtp() as c:
        c.ehlo()
        c.cmd("MAIL FROM:<sender@elsewhere.test>")
        said = c.cmd(f"RCPT TO:<{to}>")
        return c.data(f"Subject: {subject}\r\n\r\nx\r\n".encode()) if said.code == 250 else said


def gets(server, to, boxes, more=""):
    subject = f"to {to}{more}"
    said = send(server, to, subject)
    t.ok(said.code == 250, f"{to} is taken", said)
    for box in boxes:
        t.ok(wait_for(lambda b=box: any(f"Subject: {subject}".encode() in m for m in server.messages(b)), 30, 0.1), f"{to}: {box} has it")


def login(server, user, password):
    with Imap(server.port("imap"), name=server.hostname) as c:
        return str(c.login(user, password))


def others_served(server, name):
    """Who has a file is not disturbed."""
    t.equal(send(server, server.address("dora")).code, 250, f"{name}: mail for another domain")
    t.contains(login(server, server.address("dora"), server.password), "Logged in", f"{name}: and a login there")


def put_off(server, name, *addresses):
    for address in addresses:
        said = send(server, address)
        t.equal(said.code, 451, f"{name}: {address} is put off")


def fill(redis, api):
    redis.cmd("SADD", "domains", "one.test")
    redis.cmd("SADD", "alias:all@one.test", "anna@one.test", "ben@one.test")
    redis.cmd("HSET", "tls.test", "sales", "carl@tls.test, anna@one.test")
    for user, password in PEOPLE.items():
        path = "/users/" + quote(user, safe="")
        api.set(path + "/login", {"password": "{PLAIN}" + password, "nologin": False})
        api.set(path, {"quota_rule": None})
    api.set("/aliases/web%40one.test", ["ben@one.test"])
    api.set("/aliases/broken%40one.test", {"goto": {"what": 1}})
    api.set("/users/odd%40one.test", None, 500)
    api.set("/users/odd%40one.test/login", None, 403)
    for path in ("/users/page%40one.test", "/users/page%40one.test/login", "/aliases/page%40one.test"):
        api.set(path, "<h1>404 Not Found</h1>", 404)


def serve(server, api):
    gets(server, "anna@one.test", ["anna@one.test"])
    gets(server, "all@one.test", ["anna@one.test", "ben@one.test"])
    gets(server, "web@one.test", ["ben@one.test"])
    gets(server, "sales@tls.test", ["carl@tls.test", "anna@one.test"])
    for address in ("nobody@one.test", "x' OR '1'='1@one.test", "../users@one.test", "a%00b@one.test", "x@gone.test"):
        said = send(server, address)
        t.ok(said.code in (501, 550, 554), f"{address} is refused", said)
    for user, password in PEOPLE.items():
        t.contains(login(server, user, password), "Logged in", f"{user} logs in")
    t.contains(login(server, "anna@one.test", "no"), "AUTHENTICATIONFAILED", "a wrong password is wrong")
    t.contains(login(server, "nobody@one.test", "no"), "AUTHENTICATIONFAILED", "and so is nobody's")
    put_off(server, "an answer that cannot be used", "broken@one.test", "odd@one.test")
    t.contains(login(server, "odd@one.test", "x"), "UNAVAILABLE", "and a login whose server answers 403")
    t.equal(api.asked().count("GET /users/odd%40one.test/login"), 1, "which it is asked once for: it is there")
    put_off(server, "a 404 that is a web server's own page", "page@one.test")
    t.contains(login(server, "page@one.test", "x"), "UNAVAILABLE", "and a login that is answered with it")
    t.ok(server.logged("answers 404 with a page"), "the log says why", server.tail(5))
    put_off(server, "a certificate that nobody vouches for", "anna@untrusted.test", "anna@strange.test")
    t.ok(server.logged("certificate is not good"), "the log says so of redis")
    t.ok(server.logged(r"http \"strangers\".*[Cc]ertificate|http \"strangers\".*SSL"), "and of http", server.tail(5))
    others_served(server, "all are there")


def hostile(server, redis, api):
    """Of one.test, whose domain and aliases are in redis, and whose users behind HTTP."""
    before, had = len(api.asked()), redis.cmd("SMEMBERS", "alias:all@one.test")
    t.equal(badnames.recipients(server, "one.test"), [], "no recipient that means harm is anybody, and none is put off")
    t.equal(badnames.logins(server, "one.test", "pa", "*"), [], "nor does such a name log in")
    asked = api.asked()[before:]
    t.ok(len(asked) > 50, "the HTTP server was asked for them", len(asked))
    t.equal([line for line in asked if not re.fullmatch(r"GET /(aliases/[\w.~%-]+|users/[\w.~%-]+(/login)?)", line)], [], "and for nothing else than names")
    t.equal([line for line in asked if re.search(r"/(users|aliases)/anna%40", line)], [], "nor for anna in their place")
    t.equal(redis.cmd("SMEMBERS", "alias:all@one.test"), had, "redis holds what it held")
    t.contains(login(server, "anna@one.test", "pa"), "Logged in", "she still logs in")
    gets(server, "all@one.test", ["anna@one.test", "ben@one.test"], " again")


def redis_away(server, redis):
    for word, leave, come in (("stopped", redis.pause, redis.resume), ("killed", redis.kill, redis.start)):
        leave()
        put_off(server, f"redis is {word}", "all@one.test", "anna@one.test", "nobody@one.test", "sales@tls.test", "x@never-seen.test")
        others_served(server, f"redis is {word}")
        come()
        t.ok(wait_for(lambda: send(server, "all@one.test").code == 250, 60, 0.5), f"redis was {word} and is back: mail is taken")
        t.ok(wait_for(lambda: send(server, "sales@tls.test").code == 250, 60, 0.5), "with TLS too")
        t.ok(wait_for(lambda: send(server, "nobody@one.test").code == 550, 60, 0.5), "and who is not there is refused")


def api_away(server, api):
    for word, leave, come in (("stopped", api.pause, api.resume), ("killed", api.kill, api.start)):
        leave()
        put_off(server, f"the HTTP server is {word}", "anna@one.test", "nobody@one.test")
        for password in ("pa", "no"):
            t.contains(login(server, "anna@one.test", password), "UNAVAILABLE", f"the HTTP server is {word}: a login hears \"later\"")
        others_served(server, f"the HTTP server is {word}")
        come()
        t.ok(wait_for(lambda: "Logged in" in login(server, "anna@one.test", "pa"), 60, 0.5), f"the HTTP server was {word} and is back: logins")
        t.ok(wait_for(lambda: send(server, "anna@one.test").code == 250, 60, 0.5), "and mail")
        t.ok(wait_for(lambda: "AUTHENTICATIONFAILED" in login(server, "anna@one.test", "no"), 60, 0.5), "a wrong password is wrong again")


def play(server, redis, api):
    fill(redis, api)
    server.start()
    serve(server, api)
    hostile(server, redis, api)
    redis_away(server, redis)
    api_away(server, api)
    t.ok(wait_for(lambda: json.loads(server.ekiden("queue", "list", "--json")[1]) == [], 30, 0.1), "the queue is empty")
    t.equal(re.findall(r"NOQUEUE: reject: .*: 5\d\d .*(?:anna|all)@one\.test.*", server.log()), [], "nobody who is there was ever refused for good")


if not os.path.isdir(f"{BUILD}/modules/http/.libs"):
    Tap.skip_all("module http was not built")
site = Server("", users=["dora"], start=False)
chain, key = site.authority.issue("127.0.0.1", "localhost")
store = Redis(f"{site.dir}/redis", password="pw", certificate=(chain, key, site.authority.cafile))
web = JsonServer(f"{site.dir}/api", certificate=(chain, key), token="sesame")
try:
    site.write(CONFIG.replace("REDIS_PORT", str(store.port)).replace("REDIS_TLS", str(store.tls_port)).replace("API_PORT", str(web.port)))
    with site as running:
        play(running, store, web)
        t.ok(running.stop(), "the server stops")
    t.equal(site.problems(), [], "no reports")
finally:
    store.stop()
    web.stop()
t.done()
