/* dsn.h - delivery status notifications: bounces, delay warnings, success reports
 * SPDX-License-Identifier: Apache-2.0
 *
 * RFC 3462 multipart/report, RFC 3464 fields, RFC 6533 for SMTPUTF8 messages.  Written in three steps,
 * so that nothing large is held: ek_dsn_begin(), the original's bytes through ek_dsn_original(),
 * ek_dsn_end().  The caller sends the result with the empty reverse-path.
 */
#pragma once
#include "base/base.h"

typedef enum {                       /* RFC 3464 2.3.3 */
  EK_DSN_FAILED, EK_DSN_DELAYED, EK_DSN_DELIVERED, EK_DSN_RELAYED, EK_DSN_EXPANDED,
} EkDsnAction;

typedef struct {
  EkStr       address;               /* final recipient, local@domain */
  EkStr       orcpt;                 /* ORCPT= as it came ("rfc822;a+2Bb@c", still xtext); n is 0: none */
  EkDsnAction action;
  const char *status;                /* "5.1.1"; NULL or malformed: x.0.0 by the action */
  EkStr       diagnostic;            /* the reply or the reason; n is 0: none */
  const char *diagnostic_type;       /* "smtp", "x-unix"; NULL: "x-ekiden", our own words */
  const char *remote_mta;            /* who said so; NULL: we */
  gint64      last_attempt;          /* seconds; 0: left out */
  gint64      retry_until;           /* of delayed ones; 0: left out */
} EkDsnRcpt;

typedef struct {
  const char *hostname;              /* Reporting-MTA, and domain of MAILER-DAEMON */
  const char *mail_name;             /* NULL: "Ekiden" */
  EkStr       to;                    /* the original's reverse-path, whom the report goes to */
  const char *queue_id;              /* of the original */
  const char *report_id;             /* queue id of the report: makes Message-ID and boundary */
  EkStr       envid;                 /* ENVID= as it came, xtext; n is 0: none */
  gint64      arrival;               /* of the original, seconds; 0: left out */
  gint64      now;
  bool        full;                  /* RET=FULL; only failures return a whole message, RFC 3461 */
  bool        utf8;                  /* the original needed SMTPUTF8 */
  EkDsnRcpt  *rcpts;
  guint       n_rcpts;
  guint64     original_max;          /* RET=FULL falls back to headers beyond it; 0: no limit */
  guint64     original_size;         /* of the original */

  /* its own */
  char        boundary[80];          /* set before begin() only by tests */
  guint64     returned;
  guint8      state;
  bool        in_line, held_cr;
} EkDsn;

/* Header, text for people, status for programs, and the header of the third part. */
void ek_dsn_begin (EkDsn *dsn, EkBuf *out);
/* The original's bytes from its start.  Returns false when no more of it is wanted. */
bool ek_dsn_original (EkDsn *dsn, const char *bytes, gsize n, EkBuf *out);
void ek_dsn_end (EkDsn *dsn, EkBuf *out);

/* xtext (RFC 3461 4).  decode: false when it is not xtext or holds a control character. */
bool ek_xtext_decode (EkStr xtext, EkBuf *out);
void ek_xtext_encode (EkBuf *out, EkStr bytes);
