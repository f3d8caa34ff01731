-- 001-first.sql - domains, users and aliases (PostgreSQL)
-- SPDX-License-Identifier: Apache-2.0
BEGIN;

CREATE TABLE ekiden_schema (version integer NOT NULL);

CREATE TABLE domain (
  name          text PRIMARY KEY CHECK (name = lower (name)),
  active        integer NOT NULL DEFAULT 1,
  transport     text,                -- an instance of the configuration; NULL: mailboxes are here
  next_hop      text,
  mailboxes_max integer,             -- limits; NULL: none
  aliases_max   integer,
  quota_default bigint,              -- bytes, of users who have none of their own
  note          text
);

CREATE TABLE mailbox (
  name          text PRIMARY KEY,    -- local@domain, as `ekiden user` writes it
  domain        text NOT NULL REFERENCES domain (name) ON UPDATE CASCADE ON DELETE CASCADE,
  password      text,                -- {SCHEME}hash; NULL: no login
  active        integer NOT NULL DEFAULT 1,
  home          text,
  uid           bigint,
  gid           bigint,
  quota_bytes   bigint,
  note          text
);
CREATE INDEX mailbox_domain ON mailbox (domain);

CREATE TABLE alias (
  address       text NOT NULL,       -- local@domain, or @domain for what nobody else gets
  target        text NOT NULL,
  domain        text NOT NULL REFERENCES domain (name) ON UPDATE CASCADE ON DELETE CASCADE,
  active        integer NOT NULL DEFAULT 1,
  note          text,
  PRIMARY KEY (address, target)
);
CREATE INDEX alias_domain ON alias (domain);

INSERT INTO ekiden_schema VALUES (1);
COMMIT;
