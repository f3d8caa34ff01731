/* received.h - the Received: field: written at the front door, counted against loops
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once
#include "mail/header.h"

typedef struct {
  const EkClient *client;            /* NULL: handed in by sendmail(1), then uid counts */
  gint64      uid;                   /* the local user who ran sendmail */
  EkStr       helo;                  /* as the client said it; anything that could mislead is replaced */
  const char *login;                 /* shown as "(Authenticated sender: x)"; NULL: not shown */
  const char *hostname;              /* by */
  const char *mail_name;             /* the software, "Ekiden" when NULL */
  bool        esmtp, auth, utf8, lmtp;     /* make "ESMTPSA", "UTF8SMTP", "LMTPS" (RFC 3848, 6531) ... */
  bool        show_tls;              /* the "(using TLSv1.3 with cipher ...)" line */
  const char *queue_id;
  EkStr       rcpt;                  /* `for <rcpt>` when there is exactly one; n is 0: left out */
  gint64      seconds;               /* arrival, wall clock */
} EkReceived;

/* Appends the whole field, folded, with CRLF. */
void ek_received_write (EkBuf *out, const EkReceived *received);

/* "ESMTPSA" and so on; static. */
const char *ek_received_with (const EkReceived *received);

/* ---- loops ------------------------------------------------------------------------------------- */

#define EK_HOPS_KEPT 64              /* Delivered-To values remembered */

typedef struct {                     /* zero-initialise, set pool */
  EkPool       *pool;                /* owns the remembered values */
  guint         received, delivered_to;
  bool          done;                /* the header is over */
  EkStr         seen[EK_HOPS_KEPT];
  EkHeaderSplit split;
} EkHops;

/* Give it the message's bytes as they come until it is done; cheap. */
void ek_hops_feed (EkHops *hops, const char *bytes, gsize n);
void ek_hops_end (EkHops *hops);                     /* frees its buffer; the counts stay */
/* Has this address been delivered to already?  ASCII case does not count. */
bool ek_hops_delivered_to (const EkHops *hops, EkStr address);
