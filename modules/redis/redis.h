/* redis.h - answers of a Redis server (RESP2 and RESP3), and what a map makes of them
 * SPDX-License-Identifier: Apache-2.0
 *
 * https://redis.io/docs/latest/develop/reference/protocol-spec: the types of both versions are told apart by their first byte, so one
 * reader serves both.
 */
#pragma once
#include "lookup/stream.h"

#define RESP_ANSWER_MAX (4 * 1024 * 1024)          /* bytes of an answer */
#define RESP_ITEMS_MAX  20000                      /* values in it, with those inside others */
#define RESP_DEPTH_MAX  5

typedef enum { RESP_NIL, RESP_TEXT, RESP_NUMBER, RESP_ERROR, RESP_LIST, RESP_MAP } RespKind;

typedef struct Resp Resp;
struct Resp {
  RespKind kind;
  EkStr    text;                     /* TEXT, ERROR; NUMBER (a truth too): its digits */
  Resp    *items;                    /* LIST: n; MAP: n pairs, so 2 * n */
  guint    n;
};

/* One whole answer; what is no answer (pushes, attributes) is skipped.  In the pool.  False and *error: it is none, or too large. */
bool resp_read (EkStream *stream, EkPool *pool, Resp *answer, GError **error);

/* Appends a command of n words. */
void resp_command (EkBuf *out, const EkStr *words, guint n);

/* What a map answers.  `words`: the command as it is configured, for the answers that do not say what they are.
 *   a text or a number             one row, one column; the number 0 is NOTFOUND (EXISTS, SISMEMBER)
 *   a list or set                  a row for each text (nil is left out); empty: NOTFOUND
 *   a map (HGETALL)                one row, a column for each field; empty: NOTFOUND
 *   the list that HMGET gives      one row with the fields that were asked for; all nil: NOTFOUND
 *   nil                            NOTFOUND
 *   an error                       DEFER */
EkStatus resp_answer (const Resp *from, char *const *words, EkPool *pool, EkAnswer *answer, GError **error);
