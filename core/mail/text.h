/* text.h - bodies as text: transfer encodings, charsets, searching without regard to case
 * SPDX-License-Identifier: Apache-2.0
 *
 * Everything streams, takes chunks of any size, and never fails: what is not base64 is skipped, what is no
 * character becomes U+FFFD.
 */
#pragma once
#include "base/base.h"

/* ---- content transfer encodings --------------------------------------------------------------- */

typedef enum { EK_CTE_IDENTITY, EK_CTE_BASE64, EK_CTE_QP } EkCte;

/* "7bit", "8bit", "binary", and any unknown word: IDENTITY. */
EkCte ek_cte (EkStr name);

typedef struct {                     /* zero-initialise, set kind */
  EkCte   kind;
  guint32 bits;
  guint8  n_bits, n_held;
  bool    ended;
  char    held[128];                 /* quoted-printable: white space that may be trailing, "=" */
} EkDecoder;

void ek_decode_feed (EkDecoder *decoder, const char *bytes, gsize n, EkBuf *out);
void ek_decode_end (EkDecoder *decoder, EkBuf *out);

/* base64 with lines of 76 and CRLF; and quoted-printable for text (CRLF or LF in, CRLF out). */
void ek_base64_lines (EkBuf *out, EkStr bytes);
void ek_qp_encode (EkBuf *out, EkStr text);

/* ---- charsets ----------------------------------------------------------------------------------- */

typedef struct EkCharset EkCharset;

/* A converter to UTF-8.  Labels mean what browsers and Japanese mailers mean by them (Shift_JIS is CP932,
 * ISO-8859-1 is windows-1252 ...).  Unknown or empty charset: taken as UTF-8, bad bytes replaced. */
EkCharset *ek_charset_new (EkStr label);
bool  ek_charset_known (EkStr label);
/* Loads every converter and keeps it: for a role that will not see the files of iconv() any more.  A
 * converter that cannot be loaded later counts as unknown. */
void  ek_charset_preload (void);
void  ek_charset_feed (EkCharset *self, const char *bytes, gsize n, EkBuf *out);
void  ek_charset_end (EkCharset *self, EkBuf *out);
void  ek_charset_free (EkCharset *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (EkCharset, ek_charset_free)

/* All at once. */
void  ek_charset_convert (EkStr label, EkStr bytes, EkBuf *out);
/* Appends `bytes` with everything that is not UTF-8 replaced by U+FFFD. */
void  ek_utf8_append (EkBuf *out, EkStr bytes);

/* ---- search --------------------------------------------------------------------------------------- */

/* Finds a UTF-8 needle in a text as i;unicode-casemap (RFC 5051) would: case folded, compatibility
 * decomposition, so "e" is in "É" and half-width kana are kana.  One EkSearch serves many texts, one
 * at a time. */
typedef struct EkSearch EkSearch;

/* NULL when `needle` is not valid UTF-8 or longer than 1 KB.  An empty needle is found everywhere. */
EkSearch *ek_search_new (EkStr needle);
void  ek_search_reset (EkSearch *self);                       /* a new text begins; not found yet */
bool  ek_search_feed (EkSearch *self, const char *utf8, gsize n);     /* true: found (stays true) */
bool  ek_search_end (EkSearch *self);                         /* the text is over */
void  ek_search_free (EkSearch *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (EkSearch, ek_search_free)

/* All at once; `text` is UTF-8 with anything in it. */
bool  ek_search_find (EkSearch *self, EkStr text);

/* A part's body through decoder, charset and search: begin, feed raw bytes, end. */
typedef struct {
  EkDecoder  decoder;
  EkCharset *charset;
  EkSearch  *search;
  EkBuf      decoded, utf8;
} EkBodySearch;

void ek_body_search_begin (EkBodySearch *self, EkSearch *search, EkStr cte, EkStr charset);
bool ek_body_search_feed (EkBodySearch *self, const char *bytes, gsize n);      /* true: found */
bool ek_body_search_end (EkBodySearch *self);                 /* true: found; frees what begin made */
