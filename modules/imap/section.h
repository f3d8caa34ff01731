/* section.h - bytes of one message for FETCH and SEARCH: where a BODY[...] lies, its header fields
 * SPDX-License-Identifier: Apache-2.0
 *
 * Job thread.  A source is one message that a command looks at.  It is opened and read no sooner and
 * no more than asked for: a header that is cached costs no file.
 */
#pragma once
#include "imap.h"

#define IMAP_FIELDS_MAX (1024 * 1024)     /* bytes of chosen header fields; more are left out */

typedef struct {
  EkView       *view;
  guint32       uid;
  EkPool       *pool;                /* lives as long as the row */
  EkStr         structure;           /* EkRow's; p NULL: not known */
  EkStr         headers;             /* EkRow's; p NULL: not known */
  EkMessage    *message;             /* NULL: not open yet */
  const EkMime *mime;
  EkBuf         chosen;              /* header fields of the section that was begun last */
} ImapSource;

typedef struct {                     /* a section on its way to the client; one at a time of a source */
  EkStr   memory;                    /* its bytes, or p is NULL and they are in the message at `at` */
  guint64 at, left;
} ImapBody;

/* What EkFetch must fill (EK_ROW_...) so that the section needs as little reading as possible. */
guint    imap_section_items (const ImapSection *section);
/* NOTFOUND: the message is gone. */
EkStatus imap_section_begin (ImapSource *source, const ImapSection *section, ImapBody *body, GError **error);
/* Appends up to `max` bytes; NUL, which no literal may hold, becomes 0x80 as with Dovecot.  body->left counts
 * down to 0. */
EkStatus imap_section_read (ImapSource *source, ImapBody *body, gsize max, EkBuf *out, GError **error);
/* Opens the message if it is not. */
EkStatus imap_source_open (ImapSource *source, GError **error);
/* The tree, from the cache or the message. */
EkStatus imap_source_mime (ImapSource *source, GError **error);
/* Are all of the n fields among ek_cached_fields()? */
bool     imap_fields_cached (const EkStr *fields, guint n);
/* The next message: keeps the pool, emptied, and the buffer. */
void     imap_source_next (ImapSource *source, EkView *view, guint32 uid);
/* Closes the message and frees all but the pool. */
void     imap_source_clear (ImapSource *source);
