/* list.h - patterns and the picture of all mailboxes, for LIST and LSUB
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once
#include "imap.h"

#define IMAP_PATTERN_MAX  1024       /* bytes of one pattern with its reference */
#define IMAP_PATTERNS_MAX 16

/* Does `name` match `pattern` (both UTF-8)?  % matches all but the separator, * everything; the letters of
 * INBOX at the beginning fold.  Time is the product of the two lengths, whatever the pattern. */
bool imap_list_match (const char *pattern, const char *name, char separator);

/* One pattern behind its reference.  Appends it, unless it is no modified UTF-7: then it matches nothing. */
bool imap_list_pattern (ImapScan *scan, EkStr reference, GPtrArray *patterns);
bool imap_list_match_any (const GPtrArray *patterns, const char *name, char separator);

/* All mailboxes, copied into the command's pool. */
typedef struct {
  EkMailbox *rows;
  guint      n, room;
  EkPool    *pool;
} ImapBoxes;
EkStatus imap_list_boxes (ImapCommand *command, ImapBoxes *boxes, GError **error);
