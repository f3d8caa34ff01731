#!/usr/bin/python3
# lua.py - plugins in Lua: verdicts, maps, waiting on the loop, budgets, errors with their line, reload, clients who leave
# SPDX-License-Identifier: Apache-2.0
# limit: 420
import json
import os
import re
import socket
import struct
import time

from ekiden import MAIL, TOP, Server, wait_for
from tap import Tap

t = Tap()

POLICY = """-- policy: the recipient says what is to happen
local seen = 0
return {
  summary = "Answers by the recipient's first word",
  options = {
    { "limit", "int", "3", "How many are let through.", "1..100" },
    { "wait", "time", "1m30s", "Some duration." },
    { "part", "time", "500ms", "A part of a second." },
    { "room", "size", "2K", "Some size here." },
    { "strict", "bool", true, "Some truth here." },
    { "words", "list", "a, b", "Some list here." },
    { "greeting", "string", "", "Some text here." },
    { "token", "secret", "", "Some secret here." },
    { "outage", "map", nil, "A map that is away." },
    { "people", "map", "", "Another map." },
    { "unset", "map", "", "A map that is not set." },
  },
  at = {
    helo = function (self, mail, reply)
      if mail.helo == "bad.example" then return reply(ek.REJECT, 550, "5.7.1", "We know " .. mail.helo) end
      return ek.CONTINUE
    end,
    mail = function (self, mail, reply)
      if mail.sender:find("^spam@") then return reply(ek.TEMPFAIL, 451, "4.7.1", "Not now") end
      return ek.CONTINUE
    end,
    rcpt = function (self, mail, reply)
      local word = mail.recipient:match("^[^@]+")
      local key = word:match("^ask%-(.+)$")
      if key then
        local status, value, rows = self.maps.outage:lookup(key)
        return reply(ek.REJECT, 550, "5.0.0", status .. " " .. tostring(value) .. " " .. (rows and rows[1].value or "none"))
      end
      if word == "person" then
        local status, value, rows = self.maps.people:lookup("anna@example.test", { user = "anna", domain = "x" })
        local all = {}
        for name, cell in pairs(rows[1]) do all[#all + 1] = name .. "=" .. cell end
        table.sort(all)
        return reply(ek.REJECT, 550, "5.0.0", status .. " " .. table.concat(all, ","))
      end
      if word == "options" then
        return reply(ek.REJECT, 550, "5.0.0", table.concat({ self.name, self.limit, self.wait, self.part, self.room,
          tostring(self.strict), table.concat(self.words, "+"), tostring(self.greeting), self.token,
          tostring(self.maps.unset) }, " "))
      end
      if word == "mail" then
        return reply(ek.REJECT, 550, "5.0.0", table.concat({ mail.stage, mail.client, mail.client_net, mail.listener, mail.helo,
          tostring(mail.login), tostring(mail.tls), mail.sender, mail.recipient, mail.recipient_count }, " "))
      end
      if word == "wake" then
        self.maps.outage:lookup("slow-700")
        ek.log("woke up")
        return ek.CONTINUE
      end
      if word == "discard" then return ek.DISCARD end
      if word == "hold" then return ek.HOLD end
      if word == "error" then local x = nil; return x.y end
      if word == "thrown" then error({ code = 1 }) end
      if word == "nothing" then return end
      if word == "number" then return 1 end
      if word == "status" then return ek.OK end
      if word == "typo" then return ek.REJEKT end
      if word == "nomap" then return self.maps.persons:lookup("x") end
      if word == "badcode" then return reply(ek.TEMPFAIL, 550, "5.1.1", "x") end
      if word == "baddsn" then return reply(ek.REJECT, 550, "4.1.1", "x") end
      if word == "loop" then while true do end end
      if word == "hidden" then while true do pcall(function () while true do end end) end end
      if word == "memory" then local s = "x"; while true do s = s .. s end end
      if word == "sorted" then
        table.sort({ 1, 2, 3 }, function (a, b) self.maps.outage:lookup("ok") return a < b end)
        return ek.CONTINUE
      end
      if word == "sandbox" then
        local there = {}
        for _, name in ipairs({ "io", "require", "load", "loadstring", "dofile", "loadfile", "package", "debug", "print",
                                "collectgarbage", "coroutine", "newproxy" }) do
          if _G[name] ~= nil then there[#there + 1] = name end
        end
        for _, name in ipairs({ "execute", "exit", "getenv", "remove", "rename", "tmpname", "setlocale" }) do
          if os[name] ~= nil then there[#there + 1] = "os." .. name end
        end
        if string.dump then there[#there + 1] = "string.dump" end
        if getmetatable("") then there[#there + 1] = "the metatable of strings" end
        if pcall(setmetatable, {}, { __gc = function () end }) then there[#there + 1] = "__gc" end
        if pcall(string.rep, "", 1 << 40) then there[#there + 1] = "endless string.rep" end
        if pcall(function () ek.OK = 1 end) then there[#there + 1] = "writable ek" end
        return reply(ek.REJECT, 550, "5.0.0", "[" .. table.concat(there, " ") .. "]")
      end
      if word == "count" then
        seen = seen + 1
        return reply(ek.REJECT, 550, "5.0.0", "seen " .. seen .. " limit " .. self.limit)
      end
      return ek.CONTINUE
    end,
    data = function (self, mail, reply)
      if #mail.recipients == 2 then return reply(ek.REJECT, 554, "5.7.1", table.concat(mail.recipients, "+")) end
      return ek.CONTINUE
    end,
  },
}
"""

CONFIG = MAIL + """
test "anybody" { home = "${mail}/%d/%n" }
domain "any.test" {
  auth      = anybody
  mailboxes = mail
}
test "outage" { control = "${dir}/control" }
test "private" { }
text "blocked" { path = "${dir}/blocked" }
lua "policy" {
  script = read("policy.lua")
  limit  = 7
  words  = [x, "y z"]
  token  = s3cret
  outage = outage
  people = file:people
  time_limit = 20s
}
lua "lenient" {
  script = read("policy.lua")
  outage = outage
  on_error = continue
  time_limit = 300ms
}
lua "access" {
  script  = read("TOP/plugins-lua/access.lua")
  senders = blocked
  recipients = outage
}
listener "smtp" {
  address  = "127.0.0.1:${port_smtp}"
  protocol = smtp
  filters  = policy
  hard_error_limit = 10000
  error_delay = 0
}
listener "lenient" {
  address  = "127.0.0.1:${port_lenient}"
  protocol = smtp
  filters  = lenient
}
listener "access" {
  address  = "127.0.0.1:${port_access}"
  protocol = smtp
  filters  = access
}
""".replace("TOP/", TOP + "/")


def put(server, name, text):
    with open(f"{server.dir}/{name}", "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(f"{server.dir}/{name}", 0o644)


def make(layout):
    server = Server(CONFIG, users=["anna", "ben"], layout=layout, start=False)
    put(server, "policy.lua", POLICY)
    put(server, "blocked", "spam.example REJECT not from there\nold@example.org 550 5.1.6 He has moved away\nlate@example.org DEFER\n"
                           "broken@example.org NONSENSE\n")
    server.deaths_expected = layout == "apart"
    server.start()
    return server


def session(server, listener="smtp", sender="a@example.org"):
    c = server.smtp(listener)
    c.ehlo()
    assert c.cmd(f"MAIL FROM:<{sender}>").code == 250
    return c


def rcpt(c, word):
    return c.cmd(f"RCPT TO:<{word if '@' in word else word + '@any.test'}>")


def verdicts(server):
    with server.smtp("smtp") as c:
        t.equal(str(c.cmd("EHLO bad.example")), "550 5.7.1 We know bad.example", "helo: refused with the hook's words")
        c.ehlo()
        t.equal(str(c.cmd("MAIL FROM:<spam@example.org>")), "451 4.7.1 Not now", "mail: deferred")
        c.cmd("MAIL FROM:<a@example.org>")
        t.equal(rcpt(c, "anna").code, 250, "rcpt: continue")
        t.equal(rcpt(c, "ben").code, 250, "and again")
        t.equal(str(c.cmd("DATA")), "554 5.7.1 anna@any.test+ben@any.test", "data: sees all recipients")


def values(server):
    with session(server) as c:
        for word, want in (
                ("options", "550 5.0.0 policy 7 90 0.5 2048 true x+y z nil s3cret nil"),
                ("mail", f"550 5.0.0 rcpt 127.0.0.1 127.0.0.0/24 smtp client.example.test nil false a@example.org mail@any.test 0"),
                ("ask-ok", "550 5.0.0 ok ok ok"), ("ask-notfound", "550 5.0.0 notfound nil none"),
                ("ask-defer", "550 5.0.0 defer nil none"), ("ask-fail", "550 5.0.0 fail nil none"),
                ("sandbox", "550 5.0.0 []")):
            t.equal(str(rcpt(c, word)), want, f"rcpt: {word}")
        answer = str(rcpt(c, "person"))
        t.ok(answer.startswith("550 5.0.0 ok 1=anna@example.test,") and "user=anna@example.test" in answer,
             "a file's users as a map, with named columns", answer)
        t.ok("secret" not in answer and "PLAIN" not in answer, "without their passwords", answer)


def errors(server):
    with session(server) as c:
        for word, line, says in (
                ("error", r"policy\.lua:\d+", "attempt to index a nil value"), ("thrown", r"policy\.lua", "an error that is a table"),
                ("nothing", r"policy\.lua", "the hook returned nothing"), ("number", r"policy\.lua", "the hook returned number"),
                ("status", r"policy\.lua", "the hook returned status ok"), ("typo", r"policy\.lua:\d+", 'ek has no "REJEKT"'),
                ("nomap", r"policy\.lua:\d+", 'no option of type map is called "persons"'),
                ("badcode", r"policy\.lua:\d+", "reply: ek.TEMPFAIL has a code from 400 to 499, found 550"),
                ("baddsn", r"policy\.lua:\d+", "reply: expected an enhanced code such as"),
                ("loop", r"policy\.lua:\d+", "it ran over 1000000 instructions"),
                ("hidden", r"policy\.lua:\d+", "it ran over 1000000 instructions"),
                ("memory", r"policy\.lua", "it needs more than 16384 KB"),
                ("sorted", r"policy\.lua:\d+", "a hook cannot wait here")):
            def logged():
                return len(re.findall(rf"filter policy: rcpt: .*{line}: .*{re.escape(says)}", server.log()))
            before = logged()
            t.equal(str(rcpt(c, word)), "451 4.3.0 Temporary policy failure", f"rcpt: {word} is told as a temporary failure")
            wait_for(lambda: logged() > before, 10)
            t.equal(logged() - before, 1, f"and logged once: {says}")
        t.ok(server.logged(r"attempt to index a nil value.* \(in .*policy\.lua:\d+: in function"), "with its traceback", server.tail(5))
        t.equal(rcpt(c, "anna").code, 250, "and hooks go on afterwards")
    with session(server, "lenient") as c:
        t.equal(str(rcpt(c, "error")), "250 2.1.5 Ok", "on_error = continue: the recipient is judged as without the plugin")


def waiting(server):
    """One hook waits 2 s on the map; meanwhile the same edge, on the same loop, answers 1,000 commands."""
    with session(server) as slow, session(server) as fast:
        slow.line_out("RCPT TO:<ask-slow@any.test>")
        begun = time.monotonic()
        for _ in range(1000):
            assert fast.cmd("NOOP").code == 250
        t.ok(slow.quiet(0.001) or time.monotonic() - begun > 2, "1,000 commands were answered while a hook waits", time.monotonic() - begun)
        t.note(f"1,000 commands in {time.monotonic() - begun:.2f} s")
        t.equal(str(slow.reply()), "550 5.0.0 ok ok ok", "then the hook has its answer")
        t.ok(time.monotonic() - begun >= 1.9, "which took the map 2 s")
    with session(server, "lenient") as c:
        t.equal(rcpt(c, "ask-slow").code, 250, "a hook that waits longer than time_limit is given up (on_error = continue)")
        t.ok(server.logged(r"it took over 300 ms \(time_limit\) \(in .*lookup"), "and logged with where it waited", server.tail(4))


def leaving(server):
    """Clients leave while their hooks wait: those never go on."""
    crowd = [session(server) for _ in range(20)]
    with session(server) as last:
        for c in crowd:
            c.line_out("RCPT TO:<wake@any.test>")
            c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))     # not half closed: gone
            c.close()
        crowd = [session(server) for _ in range(20)]
        for c in crowd:                              # half closed first: that alone ends nothing
            c.line_out("RCPT TO:<wake@any.test>")
            c.sock.shutdown(socket.SHUT_WR)
        last.cmd("NOOP")
        for c in crowd:
            c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            c.close()
        t.equal(rcpt(last, "wake").code, 250, "clients left while their hooks waited: who stayed is answered")
        t.ok(wait_for(lambda: len(re.findall(r"lost connection after RCPT", server.log())) >= 40, 20), "they are gone", server.tail(5))
        t.equal(rcpt(last, "wake").code, 250, "and a later one too, when the map has answered all")
        t.ok(wait_for(lambda: server.log().count("policy: woke up") >= 2, 10) and server.log().count("policy: woke up") == 2,
             "and only the hooks of who stayed went on")
    with session(server) as half:
        half.send(b"RCPT TO:<wake@any.test>\r\nNOOP\r\nQUIT\r\n")
        half.sock.shutdown(socket.SHUT_WR)
        t.equal([half.reply().code for _ in range(3)], [250, 250, 221], "a client that only sends no more has its hook's answer, and those behind it")
        t.ok(half.closed(), "and the end")
    t.ok(wait_for(lambda: server.log().count("policy: woke up") == 3, 10), "that hook went on")


def outage(server):
    """directory dies while a hook waits for it."""
    with session(server) as c:
        c.line_out("RCPT TO:<ask-slow@any.test>")
        t.ok(c.quiet(0.2), "a hook waits for a map")
        os.kill(server.pid_of("directory.0"), 9)
        t.equal(str(c.reply()), "550 5.0.0 defer nil none", "directory is killed: the map answers DEFER")
        t.ok(wait_for(lambda: str(rcpt(c, "ask-ok")) == "550 5.0.0 ok ok ok", 20, 0.2), "and OK when it is back")


def plugin(server):
    for sender, want in (("x@spam.example", "554 5.7.1 not from there"), ("old@example.org", "550 5.1.6 He has moved away"),
                         ("late@example.org", "450 4.7.1 <late@example.org>: Try again later"),
                         ("broken@example.org", "451 4.3.0 Temporary policy failure"), ("good@example.org", "250 2.1.5 Ok")):
        put(server, "control", "notfound")
        with session(server, "access", sender) as c:
            t.equal(str(rcpt(c, "anna")), want, f"access.lua: {sender}")
    put(server, "control", "defer")
    with session(server, "access") as c:
        t.equal(str(rcpt(c, "anna")), "451 4.3.0 <anna@any.test>: Temporary lookup failure", "access.lua: a map that is away")
    os.unlink(f"{server.dir}/control")


def reloading(server):
    with session(server) as c:
        t.equal(str(rcpt(c, "count")), "550 5.0.0 seen 1 limit 7", "a script keeps what it counts")
        t.equal(str(rcpt(c, "count")), "550 5.0.0 seen 2 limit 7", "from call to call")
        server.write(CONFIG.replace("limit  = 7", "limit  = 8"))
        status, out = server.reload()
        t.ok(status == 0, "reload", out)
        t.equal(c.cmd("NOOP").code, 250, "the session lives on")
        t.equal(str(rcpt(c, "count")), "550 5.0.0 seen 3 limit 7", "and its transaction goes on as it began")
        c.cmd("RSET")
        c.cmd("MAIL FROM:<x@example.org>")
        t.equal(str(rcpt(c, "count")), "550 5.0.0 seen 1 limit 8", "the next one has a new state and the new option")
    put(server, "policy.lua", POLICY.replace("if word ==", "iff word =="))
    status, out = server.reload()
    t.ok(status != 0 and re.search(r"policy\.lua:\d+: .*near 'word'", out), "a script that does not parse is refused with its line", out)
    with session(server) as c:
        t.equal(str(rcpt(c, "count")).split(" limit")[1], " 8", "and the old one goes on")
    put(server, "policy.lua", POLICY)


BAD = (
    ("return {", "a script that ends too early", r":1: .*expected"),
    ("local a = 1\nerror('no')", "one that fails", r"bad\.lua:2: no"),
    ("while true do end", "one that never ends", r"bad\.lua:1: it ran over 1000000 instructions"),
    ("local s = 'x'\nwhile true do s = s .. s end", "one that takes all memory", r"needs more than 16384 KB"),
    ("return 1", "no table", r"bad\.lua:1: the script returns a number"),
    ("\x1bLua", "bytecode", r"attempt to load a binary chunk"),
    ("local x = io.open('/etc/passwd')", "io", r"bad\.lua:1: .*'io'"),
    ("return {\n  att = {} }", "a misspelt field", r'bad\.lua:2: a plugin has no field "att"; did you mean "at"'),
    ("return { at = {\n  rctp = function () end } }", "a misspelt stage", r"bad\.lua:2: at\.rctp: there is no such stage; did you mean rcpt"),
    ("return { at = {\n  rcpt = 1 } }", "a hook that is none", r"bad\.lua:2: at\.rcpt is a number"),
    ("return {\n options = 1, at = {} }", "options that are none", r"bad\.lua:2: options is a number"),
    ("return { options = {\n { 'delay', 'tiem', '5m', 'A delay here.' } }, at = {} }", "an unknown type",
     r'bad\.lua:2: option "delay": there is no type "tiem"; did you mean "time"'),
    ("return { options = {\n\n { 'delay', 'time', '5', 'A delay here.' } }, at = {} }", "a default that does not convert", r"bad\.lua:3: .*unit"),
    ("return { options = {\n { 'delay', 'time', '5m' } }, at = {} }", "no sentence", r"bad\.lua:2: .*fourth field"),
    ("return { options = {\n { 'memory', 'size', '5M', 'Some memory.' } }, at = {} }", "a name that is taken", r"bad\.lua:2: .*already"),
    ("return { options = {\n { 'x', 'int', '5', 'Some number.' },\n { 'x', 'int', '5', 'Some number.' } }, at = {} }", "a name twice",
     r"bad\.lua:2: .*twice"),
)


def checking(server):
    """`config check` says all that is wrong, with the line of the script or of the configuration."""
    frame = 'lua "bad" {\n  script = read("bad.lua")\n%s}\n'
    conf = f"{server.dir}/bad.conf"
    for script, what, says in BAD:
        put(server, "bad.lua", script)
        put(server, "bad.conf", frame % "")
        status, out = server.ekiden("config", "check", "-c", conf)
        t.ok(status == 1 and "bad.conf:1:1: " in out and re.search(says, out) and len(out.splitlines()) == 1, f"config check: {what}", out)
    good = "return { options = { { 'delay', 'time', nil, 'How long it waits.', '1s..1h' }, { 'who', 'map', '', 'Whom it asks.' } }, at = {} }"
    put(server, "bad.lua", good)
    for settings, says in (("", r'bad\.conf:1:1: lua "bad" needs a setting "delay"'),
                           ("  delay = 5\n", r"bad\.conf:3:11: delay: expected"),
                           ("  delay = 2h\n", r"bad\.conf:3:11: delay: expected a time in the range 1s\.\.1h"),
                           ("  delay = 1m\n  deley = 1m\n", r'bad\.conf:4:3: lua "bad" has no setting "deley"; did you mean "delay"'),
                           ("  delay = 1m\n  who = nobody\n", r'bad\.conf:4:9: who: no map is called "nobody"'),
                           ("  delay = 1m\n  who = test\n", r'bad\.conf:1:1: lua "bad" asks the map test, .* `test "test"')):
        put(server, "bad.conf", frame % settings)
        status, out = server.ekiden("config", "check", "-c", conf)
        t.ok(status == 1 and re.search(says, out) and len(out.splitlines()) == 1, f"config check: {says}", out)
    put(server, "bad.conf", frame % "  delay = 1m\n")
    t.equal(server.ekiden("config", "check", "-c", conf), (0, ""), "config check is silent when all is well")
    out = server.ekiden("config", "show", "-c", conf, "--all", "bad")[1]
    t.ok(re.search(r"lua\.bad\.delay = 1m +# .*bad\.conf:3", out) and 'script = read("' in out, "config show knows the plugin's options", out)
    shown = {e["path"]: e for e in json.loads(server.ekiden("config", "show", "-c", conf, "--all", "--json", "bad")[1])}
    t.ok(shown["lua.bad.script"].get("read", "").endswith("bad.lua") and shown["lua.bad.delay"]["value"] == "1m", "also as JSON", shown)
    os.chmod(f"{server.dir}/bad.lua", 0o666)
    out = server.ekiden("config", "check", "-c", conf)[1]
    t.ok("may be written by everybody" in out, "a script that everybody may write is refused", out)


for layout in ("apart", "merged"):
    with make(layout) as server:
        t.note(layout)
        verdicts(server)
        values(server)
        waiting(server)
        if layout == "apart":
            errors(server)
            checking(server)
        leaving(server)
        plugin(server)
        reloading(server)
        if layout == "apart":
            outage(server)
        t.ok(server.stop(), "the server stops by itself")
        t.equal(server.problems(), [], "and leaves no report")
t.done()
