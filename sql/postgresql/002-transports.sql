-- 002-transports.sql - where mail goes that does not stay here (PostgreSQL)
-- SPDX-License-Identifier: Apache-2.0
BEGIN;

CREATE TABLE transport (
  pattern       text PRIMARY KEY,    -- an address, a domain, or ".domain" for what lies below it
  transport     text NOT NULL DEFAULT '',   -- an instance of the configuration, "error", or '' for the usual one
  next_hop      text NOT NULL DEFAULT '',   -- "[mx.internal]:25", a domain, or the text of an error
  active        integer NOT NULL DEFAULT 1,
  note          text
);

UPDATE ekiden_schema SET version = 2;
COMMIT;
