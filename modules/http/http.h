/* http.h - questions to an HTTP server that answers in JSON: instance, and what its files share
 * SPDX-License-Identifier: Apache-2.0
 *
 * http.c has the settings and the three tables, transfer.c asks by libcurl, answer.c makes rows of the JSON.
 */
#pragma once
#include "lookup/hosts.h"
#include "lookup/params.h"
#include "lookup/record.h"

typedef struct {
  const char  *base;                 /* "https://host:port": nothing of a question gets in there */
  EkParamText *rest;                 /* path and query */
} HttpUrl;

typedef struct {                     /* one of the settings with URLs: all of them know the same */
  const char  *option;
  guint        n;                    /* 0: not set */
  HttpUrl     *urls;
  EkHosts     *hosts;                /* theirs, in the same order; NULL: not set */
  const char  *in_path;              /* what of a path only a login has; NULL: nothing */
} HttpUrls;

typedef struct {
  EkInstance  base;
  char      **url, **password_url, **user_url, **post;
  EkSecret    token;
  const char *unix_socket, *tls_ca_file, *tls_certificate, *tls_key;
  bool        tls_verify, allow_plain;
  EkTime      timeout, connect_timeout;
  EkSize      answer_max;
  const char *scheme, *home, *mail, *uid, *gid;
  /* init()'s */
  EkPool     *pool;
  HttpUrls    map_urls, pass_urls, user_urls;
  EkRecordDefaults defaults;
} Http;

/* ---- transfer.c ---- */

/* A connection, for EkModule; tries whether a server can be reached at all, so that the core knows of an outage. */
gpointer http_connect (EkInstance *base, GError **error);
void     http_disconnect (EkInstance *base, gpointer conn);
/* Asks one server after the other, until one has an answer.  OK: *body, borrowed until the next question; NOTFOUND: it knows none (404, 204),
 * or such a key can be nowhere; DEFER and *error: all else. */
EkStatus http_ask (const Http *self, EkCall *call, const HttpUrls *urls, const EkQuery *query, EkStr *body);

/* ---- answer.c ---- */

/* JSON as rows, in the pool.
 *   "text", 5, true                one value; false and null: NOTFOUND
 *   [...]                          a row for each text or number; a row with columns for each object; empty: NOTFOUND
 *   {...}                          one row, a column for each member; empty: NOTFOUND
 * In an object null and false are columns that are not there, and a list of texts is one text with commas. */
EkStatus http_answer (EkStr json, EkPool *pool, EkAnswer *answer, GError **error);
