-- 002-transports.sql - where mail goes that does not stay here (SQLite)
-- SPDX-License-Identifier: Apache-2.0
BEGIN IMMEDIATE;

CREATE TABLE transport (
  pattern       TEXT PRIMARY KEY,    -- an address, a domain, or ".domain" for what lies below it
  transport     TEXT NOT NULL DEFAULT '',   -- an instance of the configuration, "error", or '' for the usual one
  next_hop      TEXT NOT NULL DEFAULT '',   -- "[mx.internal]:25", a domain, or the text of an error
  active        INTEGER NOT NULL DEFAULT 1,
  note          TEXT
);

UPDATE ekiden_schema SET version = 2;
COMMIT;
