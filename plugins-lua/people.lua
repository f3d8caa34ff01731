-- people: passwords, homes and quotas of users out of any map, one text for each user
-- SPDX-License-Identifier: Apache-2.0
--
--   text "accounts" { path = /etc/ekiden/accounts }    # anna@example.com  {BLF-CRYPT}$2y$...|/srv/mail/anna|2G
--   lua "people" {                                      # ben@example.com   {BLF-CRYPT}$2y$...|/srv/mail/ben||closed
--     script   = read("/usr/share/ekiden/plugins-lua/people.lua")
--     accounts = accounts
--   }
--   domain "example.com" { auth = people ... }
--
-- The text: PASSWORD|HOME|QUOTA|WORDS.  A word: "closed" (mail comes, nobody logs in), or "from=NETWORKS" for logins.

local function account_of (self, name)
  local status, value = self.maps.accounts:lookup(name)
  if status == ek.NOTFOUND then return nil end
  if status ~= ek.OK then error("the map of accounts cannot tell") end
  local password, home, quota, words = (value .. "|||"):match("^([^|]*)|([^|]*)|([^|]*)|([^|]*)")
  local account = { password = password, home = home ~= "" and home or nil, quota = quota ~= "" and quota or nil }
  for word in words:gmatch("%S+") do
    local networks = word:match("^from=(.+)$")
    if word == "closed" then account.closed = true
    elseif networks then account.networks = networks
    else error("account " .. name .. " has the unknown word " .. word) end
  end
  return account
end

return {
  name = "people",
  summary = "Users out of a map",
  options = {
    { "accounts", "map", nil, "Asked for a user's name: PASSWORD|HOME|QUOTA|WORDS." },
  },
  passdb_lookup = function (self, name)
    local account = account_of(self, name)
    if not account then return nil end
    return { password = account.password, nologin = account.closed, allow_nets = account.networks }
  end,
  userdb_lookup = function (self, name)
    local account = account_of(self, name)
    if not account then return nil end
    return { home = account.home, quota_rule = account.quota }
  end,
}
