/* mime.h - the structure of a message: a tree of parts with offsets, sizes and facts
 * SPDX-License-Identifier: Apache-2.0
 *
 * Bytes go in as chunks of any size; out comes a tree.  A file on disk may end its lines with CRLF, LF or
 * both in turn, and IMAP serves CRLF, so every extent is told twice: `bytes` as stored, `octets` as
 * served, where a bare LF counts as two.  Nothing is decoded, no line is kept, memory grows with the
 * number of parts and the length of the few header fields that IMAP asks about, both limited.
 *
 * Beyond the limits a part is simply not looked into: it is a leaf with all its bytes.
 */
#pragma once
#include "mail/header.h"

typedef struct {
  guint64 bytes;                     /* as stored */
  guint64 octets;                    /* with CRLF everywhere */
  guint64 lines;                     /* line breaks */
} EkExtent;

/* The fields of ENVELOPE: unfolded, otherwise as they stand in the message; p is NULL when missing.  Of
 * several fields with one name the last counts; address fields are joined with a comma. */
typedef struct {
  EkStr date, subject, from, sender, reply_to, to, cc, bcc, in_reply_to, message_id;
} EkMimeEnvelope;

typedef enum { EK_PART_LEAF, EK_PART_MULTIPART, EK_PART_MESSAGE } EkPartKind;

typedef struct EkPart EkPart;
struct EkPart {
  EkPart     *parent, *children, *next;
  guint       n_children;
  EkPartKind  kind;                  /* MESSAGE has one child: the message in it, whose header is an
                                        RFC 5322 one and whose `envelope` is set */
  guint64     offset;                /* of its header, bytes as stored from the message's start */
  guint64     octet_offset;          /* the same, as served */
  EkExtent    header;                /* with its empty line */
  EkExtent    body;                  /* without the line break that belongs to the next boundary */
  EkMimeType  type;                  /* type.type.p is NULL: no Content-Type */
  EkMimeType  disposition;
  EkStr       id, description, encoding, md5, location;      /* p is NULL when missing */
  EkStr      *languages;
  guint       n_languages;
  bool        digest;                /* its parent is multipart/digest: the default type is message/rfc822 */
  EkMimeEnvelope *envelope;          /* of the message itself and of messages in it; else NULL */
};

typedef struct {
  EkPart  *root;                     /* the message: its header and body */
  guint    n_parts;
  EkExtent total;
  bool     limited;                  /* some limit was met */
  bool     has_nul;                  /* a NUL byte is in it: no IMAP literal can carry that */
} EkMime;

/* ---- parsing ------------------------------------------------------------------------------------- */

typedef struct {                     /* 0: the value in brackets */
  guint depth;                       /* nesting (100) */
  guint parts;                       /* (10,000) */
  gsize field_max;                   /* longest header field kept (256 KB) */
  gsize kept_max;                    /* header text kept in all (2 MB) */
} EkMimeLimits;

#define EK_MIME_DEPTH_MAX 200        /* no limit allows more */
#define EK_BOUNDARY_MAX   200        /* longer boundaries are compared by that many bytes */

typedef struct EkMimeParser EkMimeParser;

/* Everything, the tree too, lives in `pool`. */
EkMimeParser *ek_mime_parser_new (EkPool *pool, const EkMimeLimits *limits);    /* NULL: defaults */
void    ek_mime_parser_feed (EkMimeParser *self, const char *bytes, gsize n);
EkMime *ek_mime_parser_finish (EkMimeParser *self);            /* the input is over */
EkMime *ek_mime_parse (EkPool *pool, EkStr message);           /* all at once */

/* ---- finding ------------------------------------------------------------------------------------- */

typedef struct {
  const EkPart *part;
  guint64       offset;              /* bytes as stored, from the message's start */
  EkExtent      extent;              /* {0} when the section is empty */
} EkSection;

/* An IMAP section-spec without its brackets: "", "HEADER", "TEXT", "1", "1.2.MIME", "2.HEADER", "2.TEXT".
 * NOTFOUND: well formed, but this message has no such part.  FAIL: not a section.  HEADER.FIELDS is the
 * caller's business: find HEADER, then choose lines with EkHeaderSplit. */
EkStatus ek_mime_section (const EkMime *mime, EkStr spec, EkSection *section);
/* The part that a number path "1.2.3" names ("" is the root); NULL when there is none. */
const EkPart *ek_mime_part (const EkMime *mime, EkStr numbers);

/* ---- keeping ------------------------------------------------------------------------------------- */

/* A compact form for the index cache: version byte, varints, strings.  load() checks every bound; it
 * returns NULL when the bytes are not exactly such a form (then parse the message again).  The strings
 * of the tree borrow from `blob`. */
void    ek_mime_save (const EkMime *mime, EkBuf *out);
EkMime *ek_mime_load (EkPool *pool, EkStr blob);
