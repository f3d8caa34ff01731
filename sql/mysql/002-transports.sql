-- 002-transports.sql - where mail goes that does not stay here (MariaDB, MySQL)
-- SPDX-License-Identifier: Apache-2.0

CREATE TABLE IF NOT EXISTS transport (
  pattern       varchar(320) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PRIMARY KEY,   -- an address, a domain, or ".domain" for what lies below it
  transport     varchar(255) NOT NULL DEFAULT '',   -- an instance of the configuration, "error", or '' for the usual one
  next_hop      varchar(255) NOT NULL DEFAULT '',   -- "[mx.internal]:25", a domain, or the text of an error
  active        integer NOT NULL DEFAULT 1,
  note          text
) ENGINE=InnoDB;

UPDATE ekiden_schema SET version = 2;
