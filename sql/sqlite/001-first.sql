-- 001-first.sql - domains, users and aliases (SQLite)
-- SPDX-License-Identifier: Apache-2.0
BEGIN IMMEDIATE;

CREATE TABLE ekiden_schema (version INTEGER NOT NULL);

CREATE TABLE domain (
  name          TEXT PRIMARY KEY CHECK (name = lower (name)),
  active        INTEGER NOT NULL DEFAULT 1,
  transport     TEXT,                -- an instance of the configuration; NULL: mailboxes are here
  next_hop      TEXT,
  mailboxes_max INTEGER,             -- limits; NULL: none
  aliases_max   INTEGER,
  quota_default INTEGER,             -- bytes, of users who have none of their own
  note          TEXT
);

CREATE TABLE mailbox (
  name          TEXT PRIMARY KEY,    -- local@domain, as `ekiden user` writes it
  domain        TEXT NOT NULL REFERENCES domain (name) ON UPDATE CASCADE ON DELETE CASCADE,
  password      TEXT,                -- {SCHEME}hash; NULL: no login
  active        INTEGER NOT NULL DEFAULT 1,
  home          TEXT,
  uid           INTEGER,
  gid           INTEGER,
  quota_bytes   INTEGER,
  note          TEXT
);
CREATE INDEX mailbox_domain ON mailbox (domain);

CREATE TABLE alias (
  address       TEXT NOT NULL,       -- local@domain, or @domain for what nobody else gets
  target        TEXT NOT NULL,
  domain        TEXT NOT NULL REFERENCES domain (name) ON UPDATE CASCADE ON DELETE CASCADE,
  active        INTEGER NOT NULL DEFAULT 1,
  note          TEXT,
  PRIMARY KEY (address, target)
);
CREATE INDEX alias_domain ON alias (domain);

INSERT INTO ekiden_schema VALUES (1);
COMMIT;
