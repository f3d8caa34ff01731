/* name.c - Maildir file names: time, sizes, flags
 * SPDX-License-Identifier: Apache-2.0
 *
 * BASE is SECONDS.UNIQUE.HOST[,S=bytes][,W=bytes with CRLF]; then ":2," and letters in ASCII order.
 * Upper-case letters that are not ours (P: passed) survive our renames. */
#include "maildir.h"
#include <string.h>
#include <stdio.h>
#include <sys/random.h>

static const struct { char letter; guint32 flag; } flag_letters[] = {
  { 'D', EK_FLAG_DRAFT }, { 'F', EK_FLAG_FLAGGED }, { 'R', EK_FLAG_ANSWERED },
  { 'S', EK_FLAG_SEEN }, { 'T', EK_FLAG_DELETED },
};

static guint32
letter_flag (char c)
{
  for (guint i = 0; i < G_N_ELEMENTS (flag_letters); i++)
    if (flag_letters[i].letter == c)
      return flag_letters[i].flag;
  return 0;
}

/* The number at p, at most 18 digits of it; *end behind it. */
static gint64
number (const char *p, const char *stop, const char **end)
{
  gint64 n = 0;
  const char *start = p;

  for (; p < stop && g_ascii_isdigit (*p) && p - start < 18; p++)
    n = n * 10 + (*p - '0');
  *end = p;
  return p > start ? n : -1;
}

/* ",S=123" and ",W=456" anywhere in the base name; the last one counts. */
static void
read_sizes (EkStr base, EkFound *found)
{
  const char *end = base.p + base.n, *after;

  for (const char *p = base.p; (p = memchr (p, ',', (gsize) (end - p))); p++) {
    if (end - p < 4 || p[2] != '=')
      continue;
    gint64 n = number (p + 3, end, &after);
    if (n < 0 || (after < end && *after != ','))
      continue;
    if (p[1] == 'S')
      found->psize = n;
    else if (p[1] == 'W')
      found->vsize = n;
  }
}

/* SECONDS, and microseconds from the M part of UNIQUE: orders what arrived within a second. */
static gint64
read_arrival (EkStr base)
{
  const char *end = base.p + base.n, *p;
  gint64 sec = number (base.p, end, &p), us = 0;

  if (sec < 0 || p == end || *p != '.' || sec > G_MAXINT64 / 2000000)
    return 0;
  for (p++; p < end && *p != '.'; p++)
    if (*p == 'M' && p + 1 < end && g_ascii_isdigit (p[1])) {
      us = number (p + 1, end, &p);
      break;
    }
  return sec * G_USEC_PER_SEC + CLAMP (us, 0, G_USEC_PER_SEC - 1);
}

void
maildir_name_read (EkStr name, EkFound *found)
{
  const char *colon = memchr (name.p, ':', name.n);

  found->key = (EkStr) { name.p, colon ? (gsize) (colon - name.p) : name.n };
  found->flags = 0;
  found->letters = 0;
  found->psize = found->vsize = -1;
  found->arrived = read_arrival (found->key);
  read_sizes (found->key, found);
  if (colon == NULL || (gsize) (name.p + name.n - colon) < 3 || memcmp (colon, ":2,", 3) != 0)
    return;
  for (const char *p = colon + 3, *end = name.p + name.n; p < end && *p != ','; p++)
    if (g_ascii_islower (*p))
      found->letters |= 1ull << (*p - 'a');
    else
      found->flags |= letter_flag (*p);
}

void
maildir_name_info (EkStr old_name, guint32 flags, guint64 letters, char *into, gsize n)
{
  const char *colon = old_name.n ? memchr (old_name.p, ':', old_name.n) : NULL;
  bool upper[26] = { false };
  gsize at = 3;

  g_strlcpy (into, ":2,", n);
  if (colon && old_name.p + old_name.n - colon >= 3 && memcmp (colon, ":2,", 3) == 0)
    for (const char *p = colon + 3; p < old_name.p + old_name.n && *p != ','; p++)
      if (g_ascii_isupper (*p) && !letter_flag (*p))
        upper[*p - 'A'] = true;
  for (guint i = 0; i < G_N_ELEMENTS (flag_letters); i++)
    if (flags & flag_letters[i].flag)
      upper[flag_letters[i].letter - 'A'] = true;
  for (guint i = 0; i < 26 && at + 1 < n; i++)
    if (upper[i])
      into[at++] = (char) ('A' + i);
  for (guint i = 0; i < 26 && at + 1 < n; i++)
    if (letters >> i & 1)
      into[at++] = (char) ('a' + i);
  into[at] = 0;
}

void
maildir_name_new (char *into, gsize n)
{
  guint64 r = 0;
  gint64 now = g_get_real_time ();

  while (getrandom (&r, sizeof r, 0) != (gssize) sizeof r)
    ;                                             /* interrupted by a signal: once more */
  g_snprintf (into, n,
              "%" G_GINT64_FORMAT ".M%06" G_GINT64_FORMAT "R%016" G_GINT64_MODIFIER "x.ekiden",
              now / G_USEC_PER_SEC, now % G_USEC_PER_SEC, r);
}

void
maildir_name_sizes (EkStr key, gint64 psize, gint64 vsize, char *into, gsize n)
{
  EkFound has;
  char s[32] = "", w[32] = "";

  maildir_name_read (key, &has);
  if (psize >= 0 && has.psize < 0)
    g_snprintf (s, sizeof s, ",S=%" G_GINT64_FORMAT, psize);
  if (vsize >= 0 && has.vsize < 0)
    g_snprintf (w, sizeof w, ",W=%" G_GINT64_FORMAT, vsize);
  g_snprintf (into, n, "%.*s%s%s", EK_STR_ARG (key), s, w);
}
