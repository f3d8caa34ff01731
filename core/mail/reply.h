/* reply.h - what a server answers an SMTP or LMTP client: replies of one or more lines
 * SPDX-License-Identifier: Apache-2.0
 *
 * RFC 5321 4.2 and RFC 2034, read leniently in form (LF alone, no text, no space) and strictly in
 * meaning: three digits, one code for all lines, bounded in length.  No memory is allocated.
 */
#pragma once
#include "base/base.h"

#define EK_SMTP_REPLY_TEXT  4096     /* text kept, all lines together; the rest is dropped */
#define EK_SMTP_REPLY_LINES 256      /* more lines make a reply BAD */
#define EK_SMTP_REPLY_BYTES 65536    /* and so do more bytes */

typedef enum { EK_SMTP_MORE, EK_SMTP_DONE, EK_SMTP_BAD } EkSmtpState;

typedef struct {                     /* zero-initialise, or ek_smtp_reply_clear(), before each reply */
  int         code;                  /* 200..599 */
  char        dsn[12];               /* enhanced code that agrees with `code`, of the last line that has
                                        one; "" when there is none */
  guint       n_lines;
  char        text[EK_SMTP_REPLY_TEXT];      /* lines without codes, '\n' between them, NUL at the end;
                                                controls are replaced by '?' */
  gsize       text_len;
  bool        truncated;

  /* its own */
  gsize       bytes, column;
  guint8      state;
  int         line_code;
  bool        more, cr;
} EkSmtpReply;

/* Consumes bytes up to the end of one reply; *used tells how many (always set).  BAD: this is no SMTP
 * server; `text` says in English what was wrong. */
EkSmtpState ek_smtp_reply_feed (EkSmtpReply *reply, const char *bytes, gsize n, gsize *used);
void ek_smtp_reply_clear (EkSmtpReply *reply);
/* The line `index` without its code; false when there is none. */
bool ek_smtp_reply_line (const EkSmtpReply *reply, guint index, EkStr *line);
/* "5.1.1" at the start of `text`: its length, 0 when there is none (RFC 3463: class 2, 4, 5). */
gsize ek_smtp_dsn_len (EkStr text);
/* The status to record: the reply's enhanced code, else x.0.0. */
void ek_smtp_reply_status (const EkSmtpReply *reply, char status[12]);
