#!/usr/bin/python3
# lua-directory.py - scripts in Lua as passdb, userdb and map: logins, mail, aliases, outages, runaways, hostile names, both layouts
# SPDX-License-Identifier: Apache-2.0
# part: backends
# limit: 150
import os

from ekiden import TOP, Server, listener, wait_for
from tap import Tap
from wire import Imap, Smtp

t = Tap()
SITE = """-- site: everything by one script
return {
  options = { { "outage", "map", nil, "A map that may be away." } },
  lookup = function (self, key, params)
    if key == "away@site.test" then
      local status = self.maps.outage:lookup(params.user)
      return status == ek.OK and "anna@site.test" or status
    end
    if key == "all@site.test" then return { "anna@site.test", "ben@site.test" } end
    if key == "@site.test" and params.domain == "site.test" then return nil end
    return nil
  end,
  passdb_verify = function (self, login)
    if login.name:match("^spin") then while true do end end
    if login.name:match("^away") then
      if self.maps.outage:lookup("x") ~= ek.OK then return ek.DEFER, "the script's own words" end
    end
    if not login.name:match("^%a+@site%.test$") then return nil end
    return login.password == login.service .. ":" .. login.name
  end,
  userdb_lookup = function (self, name)
    if name:match("^spin") then while true do end end
    local user = name:match("^(%a+)@site%.test$")
    if user ~= "anna" and user ~= "ben" and user ~= "away" then return nil end
    return { home = "MAIL/site.test/" .. user }
  end,
  users = function (self) return { "anna@site.test", "ben@site.test" } end,
}
"""
CONFIG = listener("smtp", plaintext_auth="yes") + listener("imap", plaintext_auth="yes") + """
sasl_plain { }
maildir "mail" { path = "%h/Maildir" }
test "outage" { control = "${dir}/control" }
text "accounts" { path = "${dir}/accounts" }
lua "people" { script = read("TOP/plugins-lua/people.lua")
  accounts = accounts }
lua "site" { script = read("site.lua")
  outage = outage
  instructions = 100000 }
domain $domain { auth = people
  mailboxes = mail }
domain "site.test" { auth = site
  aliases = site
  mailboxes = mail }
auth { failure_delay = 10ms
  failure_delay_max = 20ms }
routing { cache = 0 }
""".replace("TOP/", TOP + "/")


def put(server, name, text):
    with open(f"{server.dir}/{name}", "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(f"{server.dir}/{name}", 0o644)


def imap(server, user, password):
    with Imap(server.port("imap"), name=server.hostname) as c:
        return str(c.login(user, password)).split("]")[0]


def rcpt(server, *to):
    with Smtp(server.port("smtp"), name=server.hostname) as c:
        c.ehlo()
        c.cmd("MAIL FROM:<x@elsewhere.test>")
        return [c.cmd(f"RCPT TO:<{a}>").code for a in to]


def send(server, to):
    with Smtp(server.port("smtp"), name=server.hostname) as c:
        c.ehlo()
        c.cmd("MAIL FROM:<x@elsewhere.test>")
        c.cmd(f"RCPT TO:<{to}>")
        return c.data(b"Subject: x\r\n\r\nx\r\n").code


def mails(server, domain, user):
    folder = f"{server.mail}/{domain}/{user}/Maildir/new"
    return len(os.listdir(folder)) if os.path.isdir(folder) else 0


def accounts(s, layout, d):
    t.contains(imap(s, f"anna@{d}", "secret"), "OK", f"{layout}: people.lua: a login")
    t.contains(imap(s, f"anna@{d}", "other"), "AUTHENTICATIONFAILED", f"{layout}: a wrong password")
    t.contains(imap(s, f"nobody@{d}", "secret"), "AUTHENTICATIONFAILED", f"{layout}: somebody who is not there")
    t.contains(imap(s, f"closed@{d}", "secret"), "AUTHENTICATIONFAILED", f"{layout}: one who may not log in")
    t.contains(imap(s, f"far@{d}", "secret"), "AUTHENTICATIONFAILED", f"{layout}: one who may not from here")
    t.contains(imap(s, f"broken@{d}", "secret"), "UNAVAILABLE", f"{layout}: an entry that says nonsense is no wrong password")
    t.ok(s.logged(r"people\.lua:\d+: account broken@\S+ has the unknown word nonsense", 5), f"{layout}: and is told with file and line")
    t.equal(rcpt(s, f"closed@{d}", f"nobody@{d}", f"broken@{d}"), [250, 550, 451], f"{layout}: mail for them")
    t.equal(send(s, f"closed@{d}"), 250, f"{layout}: a message")
    t.ok(wait_for(lambda: mails(s, d, "closed") == 1), f"{layout}: lies in the home that the script gave")


def site(s, layout):
    t.contains(imap(s, "anna@site.test", "imap:anna@site.test"), "OK", f"{layout}: a script that verifies")
    t.contains(imap(s, "anna@site.test", "smtp:anna@site.test"), "AUTHENTICATIONFAILED", f"{layout}: and knows the service")
    t.equal(send(s, "all@site.test"), 250, f"{layout}: an alias by a script")
    t.ok(wait_for(lambda: mails(s, "site.test", "anna") == 1 and mails(s, "site.test", "ben") == 1), f"{layout}: brings two mails")
    put(s, "control", "defer")
    t.equal(rcpt(s, "away@site.test", "anna@site.test"), [451, 250], f"{layout}: a map in the script is away: later, for who needs it")
    t.contains(imap(s, "away@site.test", "imap:away@site.test"), "UNAVAILABLE", f"{layout}: and so are logins")
    t.ok(s.logged(r"passdb_verify: the script's own words", 5), f"{layout}: with the script's words")
    put(s, "control", "ok")
    t.contains(imap(s, "away@site.test", "imap:away@site.test"), "OK", f"{layout}: and it is back")
    t.contains(imap(s, "spin@site.test", "x"), "UNAVAILABLE", f"{layout}: a script that runs away is stopped")
    t.ok(s.logged(r"site\.lua:\d+: it ran over 100000 instructions", 5), f"{layout}: and told with its line")
    t.equal(rcpt(s, "spin@site.test", "ben@site.test"), [451, 250], f"{layout}: for mail too, and others are served")


def hostile(s, layout, d):
    for name in ("'; os.exit() --", "]]..error()--", "%s%n%d", "a" * 200, "annä", "аnna", "../../etc/passwd", "anna|x", "]]..x", "*"):
        for domain in (d, "site.test"):
            said = imap(s, f"{name}@{domain}", "secret")
            if "AUTHENTICATIONFAILED" not in said:
                t.ok(False, f"{layout}: {name!r} at {domain}", said)
    t.contains(imap(s, f"anna@{d}", "x" * 1000), "AUTHENTICATIONFAILED", f"{layout}: names that mean harm are names of nobody")
    t.contains(imap(s, f"anna@{d}", "secret"), "OK", f"{layout}: and it goes on")


def commands(s, layout, d):
    status, out = s.ekiden("user", "list")
    t.equal((status, sorted(w for w in out.split() if w.endswith("@site.test"))), (0, ["anna@site.test", "ben@site.test"]),
            f"{layout}: ekiden user list asks the script")
    t.equal(s.ekiden("map", "get", "lua:site", "all@site.test")[1].split(), ["anna@site.test", "ben@site.test"], f"{layout}: ekiden map get")
    t.contains(s.ekiden("alias", "show", "all@site.test")[1], "anna@site.test", f"{layout}: ekiden alias show")
    text = open(s.conf, encoding="utf-8").read()
    s.replace_conf(text.replace("aliases = site", "aliases = people"))
    status, out = s.ekiden("config", "check")
    t.ok(status != 0 and "aliases: expected a map, and lua \"people\" (" in out and "people.lua declares no lookup: add lookup = function" in out,
         f"{layout}: a script without the hook is told, with what to add", out)
    s.replace_conf(text)


for layout in ("apart", "merged"):
    server = Server(CONFIG, layout=layout, start=False)
    d = server.domain
    put(server, "site.lua", SITE.replace("MAIL", server.mail))
    put(server, "control", "ok")
    home = f"{server.mail}/{d}"
    put(server, "accounts", "".join(f"{user}@{d} {{PLAIN}}secret|{home}/{user}|1G|{words}\n" for user, words in (
        ("anna", "from=127.0.0.0/8"), ("closed", "closed"), ("far", "from=192.0.2.0/24"), ("broken", "nonsense"))))
    with server as s:
        s.start()
        accounts(s, layout, d)
        site(s, layout)
        hostile(s, layout, d)
        commands(s, layout, d)
    t.ok(not server.problems(), f"{layout}: no reports", server.problems())
t.done()
