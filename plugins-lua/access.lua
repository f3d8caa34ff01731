-- access: what maps say of a client, a sender or a recipient is done, as with Postfix's check_*_access
-- SPDX-License-Identifier: Apache-2.0
--
--   text "blocked" { path = /etc/ekiden/blocked }          # spam.example   REJECT not from there
--   lua "access" {                                         # old@example.org  550 5.1.6 He has moved away
--     script  = read("/usr/share/ekiden/plugins-lua/access.lua")
--     senders = blocked
--   }
--   listener "mx" { filters = access ... }
--
-- Values: OK (nothing else is asked), DUNNO, REJECT [text], DEFER [text], HOLD, DISCARD, or a reply: 550 5.7.1 text.

local function reply_of (value, what, reply)
  local word, rest = value:match("^%s*(%S+)%s*(.-)%s*$")
  if not word then error("the value for " .. what .. " is empty") end
  local upper = word:upper()
  if upper == "DUNNO" then return nil end
  if upper == "OK" then return ek.CONTINUE end
  if upper == "HOLD" then return ek.HOLD end
  if upper == "DISCARD" then return ek.DISCARD end
  if upper == "REJECT" then return reply(ek.REJECT, 554, "5.7.1", rest ~= "" and rest or what .. ": Access denied") end
  if upper == "DEFER" then return reply(ek.TEMPFAIL, 450, "4.7.1", rest ~= "" and rest or what .. ": Try again later") end
  local dsn, text = rest:match("^(%d%.%d+%.%d+)%s+(.+)$")
  if word:match("^[45]%d%d$") and dsn then
    return reply(word:sub(1, 1) == "4" and ek.TEMPFAIL or ek.REJECT, tonumber(word), dsn, text)
  end
  error("the value for " .. what .. " is no access: " .. value)
end

-- The first of the keys that the map knows: the verdict or nil.
local function ask (self, map, keys, what, reply)
  for _, key in ipairs(keys) do
    local status, value = map:lookup(key)
    if status == ek.OK then return reply_of(value, what, reply) end
    if status ~= ek.NOTFOUND then
      if self.outage == "continue" then return nil end
      return reply(ek.TEMPFAIL, 451, "4.3.0", what .. ": Temporary lookup failure")
    end
  end
end

-- An address, then its domain.
local function keys_of (address)
  local domain = address:match("@([^@]+)$")
  local lower = address:lower()
  if domain then return { lower, domain:lower() } end
  return { lower }
end

return {
  name = "access",
  summary = "Access maps for clients, senders and recipients",
  options = {
    { "clients",    "map",    "", "Asked for the client's address: a cidr map, or one with whole addresses as keys." },
    { "senders",    "map",    "", "Asked for the sender's address, then its domain. The empty sender is <>." },
    { "recipients", "map",    "", "Asked for the recipient's address, then its domain." },
    { "exempt",     "bool",   "yes", "Whether clients who have logged in are not asked about." },
    { "outage",     "string", "tempfail", "What a map that does not answer means.", "tempfail|continue" },
  },
  at = {
    rcpt = function (self, mail, reply)
      if self.exempt and mail.login then return ek.CONTINUE end
      local maps, sender = self.maps, mail.sender ~= "" and mail.sender or "<>"
      return maps.clients and ask(self, maps.clients, { mail.client }, "<" .. mail.client .. ">", reply)
        or maps.senders and ask(self, maps.senders, keys_of(sender), "<" .. mail.sender .. ">", reply)
        or maps.recipients and ask(self, maps.recipients, keys_of(mail.recipient), "<" .. mail.recipient .. ">", reply)
        or ek.CONTINUE
    end,
  },
}
