/* json.h - writes JSON (RFC 8259) to a byte queue; commas and quotes are its business
 * SPDX-License-Identifier: Apache-2.0
 *
 * Zero-initialise, set `out`, then open, add and close.  A key is given for members of an object and
 * is NULL for items of an array.  Bytes that are not UTF-8 become U+FFFD, so the result always parses.
 */
#pragma once
#include "base/base.h"

typedef struct {
  EkBuf  *out;
  guint   depth;
  guint64 comma;                     /* a bit a level: something stands there already; 64 levels */
} EkJson;

void ek_json_object (EkJson *json, const char *key);
void ek_json_array (EkJson *json, const char *key);
void ek_json_end_object (EkJson *json);
void ek_json_end_array (EkJson *json);
void ek_json_str (EkJson *json, const char *key, EkStr value);
void ek_json_text (EkJson *json, const char *key, const char *value);      /* NULL gives null */
void ek_json_int (EkJson *json, const char *key, gint64 value);
void ek_json_bool (EkJson *json, const char *key, bool value);
/* The quoted, escaped string alone. */
void ek_json_quote (EkBuf *out, EkStr value);
