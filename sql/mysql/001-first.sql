-- 001-first.sql - domains, users and aliases (MariaDB, MySQL)
-- SPDX-License-Identifier: Apache-2.0
-- Names are compared byte for byte (utf8mb4_bin): Ekiden makes keys of them, and a collation that takes look-alike letters for the same
-- would let one user log in as another.

CREATE TABLE IF NOT EXISTS ekiden_schema (version integer NOT NULL) ENGINE=InnoDB;

CREATE TABLE IF NOT EXISTS domain (
  name          varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PRIMARY KEY,
  active        integer NOT NULL DEFAULT 1,
  transport     varchar(255),        -- an instance of the configuration; NULL: mailboxes are here
  next_hop      varchar(255),
  mailboxes_max integer,             -- limits; NULL: none
  aliases_max   integer,
  quota_default bigint,              -- bytes, of users who have none of their own
  note          text
) ENGINE=InnoDB;

CREATE TABLE IF NOT EXISTS mailbox (
  name          varchar(320) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PRIMARY KEY,   -- local@domain
  domain        varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  password      varchar(512),        -- {SCHEME}hash; NULL: no login
  active        integer NOT NULL DEFAULT 1,
  home          varchar(1024),
  uid           bigint,
  gid           bigint,
  quota_bytes   bigint,
  note          text,
  FOREIGN KEY (domain) REFERENCES domain (name) ON UPDATE CASCADE ON DELETE CASCADE
) ENGINE=InnoDB;

CREATE TABLE IF NOT EXISTS alias (
  address       varchar(320) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,      -- local@domain, or @domain
  target        varchar(320) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  domain        varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  active        integer NOT NULL DEFAULT 1,
  note          text,
  PRIMARY KEY (address, target),
  FOREIGN KEY (domain) REFERENCES domain (name) ON UPDATE CASCADE ON DELETE CASCADE
) ENGINE=InnoDB;

INSERT INTO ekiden_schema SELECT 1 FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM ekiden_schema);
