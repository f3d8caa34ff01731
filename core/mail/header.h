/* header.h - header fields: splitting, decoding, parameters, encoding
 * SPDX-License-Identifier: Apache-2.0
 *
 * EkHeaderSplit cuts a stream into fields without keeping any; EkHeaders keeps them.  Both take chunks of
 * any size, CRLF or LF (mixed too), and stop exactly behind the empty line.  A line without a colon is
 * a field whose value is empty and whose name is the whole line: it does not end the header, and
 * nothing is ever lost or reordered.  Values are given raw, folds kept; ek_header_unfold() joins them.
 * No limit can be passed by hostile input: what is over it is counted, dropped and flagged.
 */
#pragma once
#include "base/base.h"

typedef struct {
  EkStr   name;                      /* without colon and the white space before it */
  EkStr   value;                     /* behind the colon, all bytes, without the last line break */
  EkStr   raw;                       /* the whole field with its line breaks */
  guint64 offset;                    /* of raw, from the first byte fed */
  guint64 size;                      /* of the field as it came; raw.n unless it is truncated */
  guint   lines;                     /* line breaks in it */
  guint   bare;                      /* those that are LF without CR */
  bool    colon;                     /* there was one */
  bool    truncated;                 /* longer than field_max: name, value and raw hold the start */
} EkHeader;

/* ---- the splitter ---------------------------------------------------------------------------- */

/* Called for each field; strings are good until it returns.  Returning false ends the splitting. */
typedef bool (*EkHeaderFunc) (const EkHeader *header, gpointer data);

/* Zero-initialise, set field_max, func and data; ek_header_split_clear() at the end. */
typedef struct {
  gsize        field_max;            /* longest field kept whole; 0: 64 KB */
  bool         dashes;               /* a line that begins with "--" is a field by itself, never folded
                                        (the MIME parser looks for boundaries in headers so) */
  EkHeaderFunc func;
  gpointer     data;

  /* read these */
  guint64      size;                 /* bytes consumed so far, empty line included */
  guint64      lines, bare;          /* all line breaks; those without CR */
  bool         done;                 /* the header has ended */
  bool         complete;             /* ... with an empty line */

  /* its own */
  EkBuf        held;                 /* a field's start, when chunks cut it */
  guint64      field_size, line_size;
  guint        field_lines, field_bare;
  char         last, head[2];        /* the byte before; the field's first two */
} EkHeaderSplit;

/* Consumes up to the end of the header; returns how many bytes (all of them unless it is done). */
gsize ek_header_split_feed (EkHeaderSplit *split, const char *bytes, gsize n);
/* There is no more input: the last field is given out. */
void  ek_header_split_end (EkHeaderSplit *split);
void  ek_header_split_clear (EkHeaderSplit *split);

/* ---- the kept header ------------------------------------------------------------------------- */

typedef struct EkHeaders EkHeaders;

typedef struct {
  gsize field_max;                   /* 0: 64 KB */
  gsize size_max;                    /* 0: 256 KB of fields kept */
  guint count_max;                   /* 0: 4,000 fields kept */
} EkHeaderLimits;

EkHeaders *ek_headers_new (const EkHeaderLimits *limits);          /* NULL: the defaults */
gsize    ek_headers_feed (EkHeaders *self, const char *bytes, gsize n);   /* as ek_header_split_feed */
void     ek_headers_end (EkHeaders *self);
bool     ek_headers_done (const EkHeaders *self);
bool     ek_headers_truncated (const EkHeaders *self);             /* some limit was passed */
guint64  ek_headers_size (const EkHeaders *self);                  /* bytes, the empty line included */
guint64  ek_headers_lines (const EkHeaders *self);                 /* lines, the empty one included */
guint    ek_headers_count (const EkHeaders *self);
/* Borrowed from `self`, good until the next feed.  at: false when there is no such field.
 * find: the first field called `name` (case does not count) at or behind *index; leaves *index behind
 * it, so that a loop sees all of them.  index may be NULL. */
bool     ek_headers_at (const EkHeaders *self, guint index, EkHeader *header);
bool     ek_headers_find (const EkHeaders *self, const char *name, guint *index, EkHeader *header);
void     ek_headers_free (EkHeaders *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (EkHeaders, ek_headers_free)

/* ---- values ---------------------------------------------------------------------------------- */

/* Without the line breaks of folding and the white space around it (RFC 5322 2.2.3).  Borrowed when there
 * is nothing to join, else from the pool. */
EkStr ek_header_unfold (EkPool *pool, EkStr value);

/* RFC 2047 to UTF-8.  The answer is always valid UTF-8: what cannot be decoded becomes U+FFFD, raw
 * 8-bit text is taken as UTF-8, control characters become spaces.  Unfolds.  A character that is split
 * over two words of one charset is joined. */
EkStr ek_header_decode (EkPool *pool, EkStr value);

/* Appends `utf8` as an unstructured value: as it is when it is printable ASCII, else RFC 2047 words; folded
 * with "\r\n " so that no line is longer than 76.  `column`: what stands before it on the line. */
void ek_header_encode (EkBuf *out, EkStr utf8, gsize column);

/* The next <id> in *rest, with its brackets and without white space; false when there is none.  Leaves in
 * *rest what follows.  For Message-ID, In-Reply-To, References. */
bool ek_header_msgid (EkPool *pool, EkStr *rest, EkStr *id);

/* ---- Content-Type and friends ----------------------------------------------------------------- */

typedef struct {
  EkStr name;                        /* as written */
  EkStr value;                       /* unquoted */
} EkMimeParam;

/* "type/subtype; a=b" or "attachment; a=b".  All zero: there is no such field.  A value that cannot be
 * read has an empty type and subtype (p is not NULL), as Dovecot shows it.
 * RFC 2231 continuations (a*0, a*1*) are joined to one parameter; one that is percent-encoded keeps
 * its encoding and is called "a*" with "charset'language'..." in front: ek_mime_param() decodes it.
 * Such parameters stand behind the ordinary ones. */
typedef struct {
  EkStr        type, subtype;        /* no subtype in a disposition */
  EkMimeParam *params;
  guint        n_params;
} EkMimeType;

#define EK_MIME_PARAMS_MAX 128

void ek_mime_type_parse (EkPool *pool, EkStr value, EkMimeType *type);          /* with a slash */
void ek_mime_disposition_parse (EkPool *pool, EkStr value, EkMimeType *type);   /* without */
/* The parameter `name` in UTF-8 (RFC 2231, and RFC 2047 where mailers wrongly use it); p is NULL when it
 * is missing. */
EkStr ek_mime_param (EkPool *pool, const EkMimeType *type, const char *name);
/* The same, raw and borrowed: for boundary and charset. */
EkStr ek_mime_param_raw (const EkMimeType *type, const char *name);
