/* scan.c - the words of a command: atoms, strings, numbers, sets, flags, dates
 * SPDX-License-Identifier: Apache-2.0
 */
#include "parse.h"
#include "mail/date.h"
#include <string.h>

bool
imap_scan_fail (ImapScan *scan, const char *error)
{
  scan->error = error;
  return false;
}

bool
imap_scan_end (ImapScan *scan)
{
  while (imap_scan_peek (scan, ' '))
    scan->p++;
  return scan->p == scan->end || imap_scan_fail (scan, "Too many arguments");
}

bool
imap_scan_peek (const ImapScan *scan, char c)
{
  return scan->p < scan->end && *scan->p == c;
}

bool
imap_scan_char (ImapScan *scan, char c)
{
  if (!imap_scan_peek (scan, c))
    return imap_scan_fail (scan, "Invalid arguments");
  scan->p++;
  return true;
}

bool
imap_scan_space (ImapScan *scan)
{
  if (!imap_scan_peek (scan, ' '))
    return imap_scan_fail (scan, scan->p == scan->end ? "Missing arguments" : "Invalid arguments");
  while (imap_scan_peek (scan, ' '))
    scan->p++;
  return true;
}

bool
imap_scan_more (ImapScan *scan)
{
  const char *before = scan->p;

  while (imap_scan_peek (scan, ' '))
    scan->p++;
  scan->error = NULL;
  if (imap_scan_peek (scan, ')')) {
    scan->p++;
    return false;
  }
  if (scan->p == scan->end)
    return imap_scan_fail (scan, "Missing ')'");
  if (scan->p == before && scan->p[-1] != '(')
    return imap_scan_fail (scan, "Invalid arguments");
  return true;
}

/* ---- atoms and strings ---------------------------------------------------------------------- */

/* RFC 3501: ATOM-CHAR is any CHAR but atom-specials, which are ( ) { SP CTL % * " \ and ].  Bytes
 * above 127 are let through: names in UTF-8 without quotes are refused later, by who knows why. */
static bool
is_atom_char (char c)
{
  return (guchar) c > 32 && c != 127 && strchr ("(){%*\"\\]", c) == NULL;
}

static bool
take_atom (ImapScan *scan, const char *also, EkStr *atom)
{
  const char *p = scan->p;

  while (p < scan->end && (is_atom_char (*p) || (*p != '\0' && strchr (also, *p))))
    p++;
  *atom = (EkStr) { scan->p, (gsize) (p - scan->p) };
  scan->p = p;
  if (atom->n == 0)
    return imap_scan_fail (scan, p == scan->end ? "Missing arguments" : "Invalid arguments");
  return true;
}

bool
imap_scan_tag (ImapScan *scan, EkStr *tag)
{
  const char *p = scan->p;

  while (p < scan->end && *p != '+' && (is_atom_char (*p) || *p == ']'))
    p++;
  *tag = (EkStr) { scan->p, (gsize) (p - scan->p) };
  if (tag->n == 0 || (p < scan->end && *p != ' '))
    return imap_scan_fail (scan, "Invalid tag");
  scan->p = p;
  return true;
}

bool
imap_scan_atom (ImapScan *scan, EkStr *atom)
{
  return take_atom (scan, "", atom);
}

static bool
take_quoted (ImapScan *scan, EkStr *string)
{
  const char *p = ++scan->p;
  gsize escapes = 0;

  for (; p < scan->end && *p != '"'; p++) {
    if (*p == '\0' || *p == '\r' || *p == '\n')
      return imap_scan_fail (scan, "Invalid characters in string");
    if (*p != '\\')
      continue;
    if (++p == scan->end || (*p != '"' && *p != '\\'))
      return imap_scan_fail (scan, "Invalid escape in string");
    escapes++;
  }
  if (p >= scan->end)
    return imap_scan_fail (scan, "Missing '\"'");
  *string = (EkStr) { scan->p, (gsize) (p - scan->p) };
  if (escapes > 0) {
    char *copy = ek_pool_alloc (scan->pool, string->n), *to = copy;
    for (const char *from = scan->p; from < p; from++) {
      if (*from == '\\')
        from++;
      *to++ = *from;
    }
    *string = (EkStr) { copy, (gsize) (to - copy) };
  }
  scan->p = p + 1;
  return true;
}

static bool
take_literal (ImapScan *scan, EkStr *string)
{
  const char *p = scan->p + 1, *digits = p;
  guint64 size;

  while (p < scan->end && g_ascii_isdigit (*p))
    p++;
  if (!ek_str_u64 ((EkStr) { digits, (gsize) (p - digits) }, G_MAXINT32, &size))
    return imap_scan_fail (scan, "Invalid literal size");
  if (p < scan->end && *p == '+')
    p++;
  if (p >= scan->end || *p++ != '}')
    return imap_scan_fail (scan, "Invalid literal");
  if (p < scan->end && *p == '\r')
    p++;
  if (p >= scan->end || *p++ != '\n' || (gsize) (scan->end - p) < size)
    return imap_scan_fail (scan, "Invalid literal");
  if (memchr (p, '\0', size))
    return imap_scan_fail (scan, "NULs not allowed in strings");
  *string = (EkStr) { p, size };
  scan->p = p + size;
  return true;
}

bool
imap_scan_string (ImapScan *scan, EkStr *string)
{
  if (imap_scan_peek (scan, '"'))
    return take_quoted (scan, string);
  if (imap_scan_peek (scan, '{'))
    return take_literal (scan, string);
  return imap_scan_fail (scan, scan->p == scan->end ? "Missing arguments" : "Invalid arguments");
}

bool
imap_scan_astring (ImapScan *scan, EkStr *string)
{
  if (imap_scan_peek (scan, '"') || imap_scan_peek (scan, '{'))
    return imap_scan_string (scan, string);
  return take_atom (scan, "]", string);
}

bool
imap_scan_nstring (ImapScan *scan, EkStr *string)
{
  if (imap_scan_peek (scan, '"') || imap_scan_peek (scan, '{'))
    return imap_scan_string (scan, string);
  if (!take_atom (scan, "", string))
    return false;
  if (!ek_str_ieq (*string, EK_STR ("NIL")))
    return imap_scan_fail (scan, "Invalid arguments");
  *string = (EkStr) { NULL, 0 };
  return true;
}

bool
imap_scan_pattern (ImapScan *scan, EkStr *pattern)
{
  if (imap_scan_peek (scan, '"') || imap_scan_peek (scan, '{'))
    return imap_scan_string (scan, pattern);
  return take_atom (scan, "]%*", pattern);
}

bool
imap_scan_number (ImapScan *scan, guint64 max, guint64 *number)
{
  const char *p = scan->p;

  while (p < scan->end && g_ascii_isdigit (*p))
    p++;
  if (!ek_str_u64 ((EkStr) { scan->p, (gsize) (p - scan->p) }, max, number))
    return imap_scan_fail (scan, "Invalid number");
  scan->p = p;
  return true;
}

/* ---- sequence sets -------------------------------------------------------------------------- */

static bool
scan_set_number (ImapScan *scan, guint32 *number)
{
  guint64 n;

  if (imap_scan_peek (scan, '*')) {
    scan->p++;
    *number = IMAP_STAR;
    return true;
  }
  if (!imap_scan_number (scan, G_MAXUINT32, &n) || n == 0)
    return imap_scan_fail (scan, "Invalid messageset");
  *number = (guint32) MIN (n, IMAP_STAR - 1);      /* what stands for * must be typed as * */
  return true;
}

bool
imap_scan_set (ImapScan *scan, ImapSet *set)
{
  guint n = 1;

  for (const char *p = scan->p; p < scan->end && *p != ' '; p++)
    n += *p == ',';
  *set = (ImapSet) { .ranges = ek_pool_newv (scan->pool, EkRange, n) };
  for (;;) {
    EkRange *range = &set->ranges[set->n++];
    if (!scan_set_number (scan, &range->first))
      return false;
    range->last = range->first;
    if (imap_scan_peek (scan, ':') && (scan->p++, !scan_set_number (scan, &range->last)))
      return false;
    if (!imap_scan_peek (scan, ','))
      break;
    scan->p++;
  }
  if (scan->p < scan->end && *scan->p != ' ' && *scan->p != ')')
    return imap_scan_fail (scan, "Invalid messageset");
  return true;
}

static int
range_compare (const void *a, const void *b)
{
  const EkRange *x = a, *y = b;
  return x->first < y->first ? -1 : x->first > y->first;
}

void
imap_set_resolve (ImapSet *set, guint32 largest)
{
  guint n = 0;

  for (guint i = 0; i < set->n; i++) {
    EkRange r = set->ranges[i];
    if (largest == 0 && (r.first == IMAP_STAR || r.last == IMAP_STAR))
      continue;
    r.first = r.first == IMAP_STAR ? largest : r.first;
    r.last = r.last == IMAP_STAR ? largest : r.last;
    set->ranges[n++] = (EkRange) { MIN (r.first, r.last), MAX (r.first, r.last) };
  }
  set->n = n;
  if (n == 0)
    return;
  qsort (set->ranges, n, sizeof *set->ranges, range_compare);
  guint last = 0;
  for (guint i = 1; i < n; i++) {
    EkRange r = set->ranges[i];
    if (r.first - 1 <= set->ranges[last].last)
      set->ranges[last].last = MAX (set->ranges[last].last, r.last);
    else
      set->ranges[++last] = r;
  }
  set->n = last + 1;
}

bool
imap_set_has (const ImapSet *set, guint32 number)
{
  guint low = 0, high = set->n;

  while (low < high) {
    guint mid = low + (high - low) / 2;
    if (set->ranges[mid].last < number)
      low = mid + 1;
    else
      high = mid;
  }
  return low < set->n && set->ranges[low].first <= number;
}

void
imap_set_print (const ImapSet *set, EkBuf *out)
{
  for (guint i = 0; i < set->n; i++) {
    const EkRange *r = &set->ranges[i];
    ek_buf_printf (out, r->first == r->last ? "%s%u" : "%s%u:%u", i ? "," : "", r->first, r->last);
  }
}

/* ---- flags ---------------------------------------------------------------------------------- */

static bool
scan_system_flag (ImapScan *scan, ImapFlags *flags)
{
  static const struct { const char *name; guint32 bit; } known[] = {
    { "Answered", EK_FLAG_ANSWERED }, { "Flagged", EK_FLAG_FLAGGED }, { "Deleted", EK_FLAG_DELETED },
    { "Seen", EK_FLAG_SEEN }, { "Draft", EK_FLAG_DRAFT },
  };
  EkStr name;

  scan->p++;
  if (!imap_scan_atom (scan, &name))
    return false;
  for (guint i = 0; i < G_N_ELEMENTS (known); i++)
    if (ek_str_ieq (name, ek_str (known[i].name))) {
      flags->system |= known[i].bit;
      return true;
    }
  return imap_scan_fail (scan, "Invalid system flag");
}

static bool
scan_flag (ImapScan *scan, ImapFlags *flags)
{
  EkStr keyword;

  if (imap_scan_peek (scan, '\\'))
    return scan_system_flag (scan, flags);
  if (!take_atom (scan, "]", &keyword))
    return false;
  for (guint i = 0; i < flags->n_keywords; i++)
    if (ek_str_ieq (ek_str (flags->keywords[i]), keyword))
      return true;
  if (flags->n_keywords == IMAP_KEYWORDS_MAX)
    return imap_scan_fail (scan, "Too many keywords");
  if (flags->keywords == NULL)
    flags->keywords = ek_pool_newv (scan->pool, const char *, IMAP_KEYWORDS_MAX + 1);
  flags->keywords[flags->n_keywords++] = ek_pool_strndup (scan->pool, keyword.p, keyword.n);
  return true;
}

bool
imap_scan_flags (ImapScan *scan, ImapFlags *flags)
{
  *flags = (ImapFlags) { 0 };
  if (!imap_scan_char (scan, '('))
    return false;
  while (imap_scan_more (scan))
    if (!scan_flag (scan, flags))
      return false;
  return scan->error == NULL;
}

bool
imap_scan_store_flags (ImapScan *scan, ImapFlags *flags)
{
  if (imap_scan_peek (scan, '('))
    return imap_scan_flags (scan, flags);
  *flags = (ImapFlags) { 0 };
  do {
    if (!scan_flag (scan, flags))
      return false;
  } while (scan->p < scan->end && imap_scan_space (scan) && scan->p < scan->end);
  return true;
}

/* ---- dates and names ------------------------------------------------------------------------- */

bool
imap_scan_date (ImapScan *scan, gint64 *day)
{
  EkStr text;

  if (!imap_scan_astring (scan, &text))
    return false;
  return ek_date_imap_day (text, day) || imap_scan_fail (scan, "Invalid search date parameter");
}

bool
imap_scan_date_time (ImapScan *scan, gint64 *time)
{
  EkStr text;
  int zone;

  if (!imap_scan_string (scan, &text))
    return false;
  return ek_date_imap_parse (text, time, &zone) || imap_scan_fail (scan, "Invalid internal date");
}

bool
imap_scan_mailbox (ImapScan *scan, const char **name)
{
  EkStr wire;

  if (!imap_scan_astring (scan, &wire))
    return false;
  g_autofree char *utf8 = ek_mutf7_decode (wire);
  *name = utf8 ? ek_pool_strdup (scan->pool, utf8) : NULL;
  return true;
}
