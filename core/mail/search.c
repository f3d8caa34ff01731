/* search.c - finds text in text regardless of case, in chunks
 * SPDX-License-Identifier: Apache-2.0
 *
 * Both sides are case-folded and decomposed for compatibility, piece by piece.  Every piece ends where no
 * folding can reach across: before an ASCII character, which combines with nothing in front of it.
 */
#include "config.h"
#include "mail/text.h"
#include <string.h>
#include <unicase.h>
#include <uninorm.h>
#include <unistr.h>

#define NEEDLE_MAX 1024
#define HELD_MAX   1024              /* text without any ASCII is cut at a character when it gets that long */

struct EkSearch {
  char  *needle;                     /* folded */
  gsize  n;
  EkBuf  held;                       /* raw text behind the last cut */
  EkBuf  folded;                     /* its last n - 1 bytes may begin a match */
  bool   found;
};

/* Appends `s` folded; everything that is not UTF-8 becomes U+FFFD first. */
static void
fold (EkBuf *out, EkStr s)
{
  gsize ascii = 0;

  while (ascii < s.n && (guchar) s.p[ascii] < 0x80)
    ascii++;
  if (ascii == s.n) {
    char *to = ek_buf_room (out, s.n + 1);
    for (gsize i = 0; i < s.n; i++)
      to[i] = g_ascii_tolower (s.p[i]);
    ek_buf_added (out, s.n);
    return;
  }
  EkBuf clean = { 0 };
  size_t n = 0;
  ek_utf8_append (&clean, s);
  uint8_t *folded = u8_casefold ((const uint8_t *) ek_buf_at (&clean), ek_buf_len (&clean), NULL,
                                 UNINORM_NFKD, NULL, &n);
  if (folded)
    ek_buf_append (out, folded, n);
  free (folded);
  ek_buf_release (&clean);
}

EkSearch *
ek_search_new (EkStr needle)
{
  if (needle.n > NEEDLE_MAX || (needle.n > 0 && u8_check ((const uint8_t *) needle.p, needle.n) != NULL))
    return NULL;
  EkSearch *self = g_new0 (EkSearch, 1);
  EkBuf out = { 0 };
  fold (&out, needle);
  self->n = ek_buf_len (&out);
  self->needle = g_memdup2 (ek_buf_at (&out), self->n);
  self->found = self->n == 0;
  ek_buf_release (&out);
  return self;
}

void
ek_search_reset (EkSearch *self)
{
  self->found = self->n == 0;
  ek_buf_clear (&self->held);
  ek_buf_clear (&self->folded);
}

/* Folds one piece and looks for the needle in it and in the end of what came before. */
static void
look (EkSearch *self, EkStr piece)
{
  fold (&self->folded, piece);
  gsize have = ek_buf_len (&self->folded);
  self->found = have >= self->n && memmem (ek_buf_at (&self->folded), have, self->needle, self->n) != NULL;
  if (have >= self->n)
    ek_buf_consume (&self->folded, have - (self->n - 1));
}

/* Where the text may be cut: before its last ASCII character, or before a character when there is none. */
static gsize
cut (EkStr s)
{
  gsize i = s.n;

  while (i > 0 && (guchar) s.p[i - 1] >= 0x80)
    i--;
  if (i > 0 && s.n - i < HELD_MAX)
    return i - 1;
  if (s.n - i < HELD_MAX)
    return 0;
  for (i = s.n - 1; i > s.n - 4 && ((guchar) s.p[i] & 0xc0) == 0x80; i--)
    continue;
  return i;
}

bool
ek_search_feed (EkSearch *self, const char *utf8, gsize n)
{
  while (n > 0 && !self->found) {
    gsize take = MIN (n, 16384);
    ek_buf_append (&self->held, utf8, take);
    utf8 += take;
    n -= take;
    EkStr text = ek_buf_str (&self->held);
    gsize at = cut (text);
    if (at > 0) {
      look (self, (EkStr) { text.p, at });
      ek_buf_consume (&self->held, at);
    }
  }
  return self->found;
}

bool
ek_search_end (EkSearch *self)
{
  if (!self->found && ek_buf_len (&self->held) > 0)
    look (self, ek_buf_str (&self->held));
  ek_buf_clear (&self->held);
  return self->found;
}

void
ek_search_free (EkSearch *self)
{
  if (self == NULL)
    return;
  ek_buf_release (&self->held);
  ek_buf_release (&self->folded);
  g_free (self->needle);
  g_free (self);
}

bool
ek_search_find (EkSearch *self, EkStr text)
{
  ek_search_reset (self);
  ek_search_feed (self, text.p, text.n);
  return ek_search_end (self);
}

/* ---- bodies -------------------------------------------------------------------------------- */

void
ek_body_search_begin (EkBodySearch *self, EkSearch *search, EkStr cte, EkStr charset)
{
  *self = (EkBodySearch) { .decoder = { .kind = ek_cte (cte) }, .charset = ek_charset_new (charset),
                           .search = search };
  ek_search_reset (search);
}

/* What was decoded goes on through charset and search. */
static bool
pass_on (EkBodySearch *self)
{
  ek_charset_feed (self->charset, ek_buf_at (&self->decoded), ek_buf_len (&self->decoded), &self->utf8);
  bool found = ek_search_feed (self->search, ek_buf_at (&self->utf8), ek_buf_len (&self->utf8));
  ek_buf_clear (&self->decoded);
  ek_buf_clear (&self->utf8);
  return found;
}

bool
ek_body_search_feed (EkBodySearch *self, const char *bytes, gsize n)
{
  bool found = self->search->found;

  while (n > 0 && !found) {
    gsize take = MIN (n, 65536);
    ek_decode_feed (&self->decoder, bytes, take, &self->decoded);
    found = pass_on (self);
    bytes += take;
    n -= take;
  }
  return found;
}

bool
ek_body_search_end (EkBodySearch *self)
{
  ek_decode_end (&self->decoder, &self->decoded);
  pass_on (self);
  ek_charset_end (self->charset, &self->utf8);
  ek_search_feed (self->search, ek_buf_at (&self->utf8), ek_buf_len (&self->utf8));
  bool found = ek_search_end (self->search);
  ek_charset_free (self->charset);
  ek_buf_release (&self->decoded);
  ek_buf_release (&self->utf8);
  *self = (EkBodySearch) { 0 };
  return found;
}
