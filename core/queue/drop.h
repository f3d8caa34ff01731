/* drop.h - the file that sendmail(1) leaves in the drop folder, and its parser
 * SPDX-License-Identifier: Apache-2.0
 *
 * Lines that end with LF: first the word EK_DROP_MAGIC; then "S sender" (once; empty for <>), "R recipient" (once
 * or more), and what is optional: "F full name" (for a From: line that is missing), "N notify", "T full|hdrs" and
 * "V envid" (RFC 3461); an empty line; the message, with LF or CRLF line ends.  Written under a name that begins with
 * ".tmp-", made durable, then renamed to one that does not begin with a dot: the sender's uid is the file's owner.
 *
 * The parser takes the file in pieces of any size and holds no more of it than one line; nothing in it is believed.
 */
#pragma once
#include "queue/spool.h"

#define EK_DROP_MAGIC "ekiden-drop-1"
#define EK_DROP_ENVELOPE_MAX (1024 * 1024)
#define EK_DROP_LINE_MAX 4096        /* of the envelope */

typedef struct {
  EkPool     *pool;                  /* the caller's: owns the strings */
  const char *hostname;              /* for addresses without a domain */
  /* what it found */
  EkStr       sender, envid, full_name, message_id;
  GArray     *to;                    /* of EkSpoolTo */
  guint32     flags;                 /* EK_MSG_* */
  bool        had_from, had_date, had_id;
  /* its own */
  guint8      notify;
  bool        begun, in_body, in_header, had_sender;
  gsize       envelope;              /* bytes of it so far */
  char        last;
  EkBuf       line;
} EkDrop;

void ek_drop_start (EkDrop *drop, EkPool *pool, const char *hostname);
/* Appends what of the message is in these bytes to `out`, with CRLF line ends.  NULL, or what is wrong. */
const char *ek_drop_feed (EkDrop *drop, const char *bytes, gsize n, EkBuf *out);
/* The file's end: it must be whole. */
const char *ek_drop_finish (EkDrop *drop, EkBuf *out);
void ek_drop_clear (EkDrop *drop);
