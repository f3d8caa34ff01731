/* parse-fetch.c - the items and modifiers of FETCH (RFC 3501 section 6.4.5, RFC 7162)
 * SPDX-License-Identifier: Apache-2.0
 */
#include "parse.h"
#include <string.h>

enum { ENVELOPE_ITEMS = IMAP_ITEM_FLAGS | IMAP_ITEM_INTERNALDATE | IMAP_ITEM_SIZE };

static const struct { const char *name; guint items; bool macro; } plain_items[] = {
  { "UID", IMAP_ITEM_UID, false },
  { "FLAGS", IMAP_ITEM_FLAGS, false },
  { "INTERNALDATE", IMAP_ITEM_INTERNALDATE, false },
  { "RFC822.SIZE", IMAP_ITEM_SIZE, false },
  { "MODSEQ", IMAP_ITEM_MODSEQ, false },
  { "ENVELOPE", IMAP_ITEM_ENVELOPE, false },
  { "BODY", IMAP_ITEM_BODY, false },
  { "BODYSTRUCTURE", IMAP_ITEM_BODYSTRUCTURE, false },
  { "FAST", ENVELOPE_ITEMS, true },
  { "ALL", ENVELOPE_ITEMS | IMAP_ITEM_ENVELOPE, true },
  { "FULL", ENVELOPE_ITEMS | IMAP_ITEM_ENVELOPE | IMAP_ITEM_BODY, true },
};

static const struct { const char *name; ImapPart part; bool peek; } old_sections[] = {
  { "RFC822", IMAP_PART_ALL, false },
  { "RFC822.HEADER", IMAP_PART_HEADER, true },
  { "RFC822.TEXT", IMAP_PART_TEXT, false },
};

static ImapSection *
new_section (ImapScan *scan, ImapFetch *fetch)
{
  if (fetch->n_sections == IMAP_SECTIONS_MAX) {
    imap_scan_fail (scan, "Too many BODY[..] sections");
    return NULL;
  }
  if (fetch->n_sections == 0)
    fetch->sections = ek_pool_newv (scan->pool, ImapSection, IMAP_SECTIONS_MAX);
  return &fetch->sections[fetch->n_sections++];
}

/* A word of letters, digits and dots: what items and section names are made of. */
static EkStr
take_word (ImapScan *scan)
{
  const char *p = scan->p;

  while (p < scan->end && (g_ascii_isalnum (*p) || *p == '.'))
    p++;
  EkStr word = { scan->p, (gsize) (p - scan->p) };
  scan->p = p;
  return word;
}

/* The part numbers at the beginning of a section, "1.2." or "1.2", off `word`. */
static bool
take_numbers (ImapScan *scan, EkStr *word, EkStr *numbers)
{
  const char *start = word->p;
  guint count = 0;

  while (word->n > 0 && g_ascii_isdigit (*word->p)) {
    gsize n = 0;
    guint64 number;
    while (n < word->n && g_ascii_isdigit (word->p[n]))
      n++;
    if (!ek_str_u64 ((EkStr) { word->p, n }, G_MAXUINT32, &number) || number == 0 || ++count > IMAP_PATH_MAX)
      return imap_scan_fail (scan, "Invalid BODY[..] section");
    word->p += n;
    word->n -= n;
    *numbers = (EkStr) { start, (gsize) (word->p - start) };
    if (word->n == 0)
      return true;
    if (*word->p != '.' || word->n == 1)
      return imap_scan_fail (scan, "Invalid BODY[..] section");
    word->p++;
    word->n--;
  }
  return true;
}

static void
label_field (EkBuf *label, EkStr raw, EkStr name)
{
  if (*raw.p == '{')                 /* a literal: the answer quotes it */
    raw = name;
  bool quote = raw.p == name.p && !g_ascii_isalnum (*name.p);
  if (quote)
    ek_buf_appendc (label, '"');
  for (gsize i = 0; i < raw.n; i++) {
    if (quote && (raw.p[i] == '"' || raw.p[i] == '\\'))
      ek_buf_appendc (label, '\\');
    ek_buf_appendc (label, g_ascii_toupper (raw.p[i]));
  }
  if (quote)
    ek_buf_appendc (label, '"');
}

static bool
is_field_name (EkStr name)
{
  for (gsize i = 0; i < name.n; i++)
    if (name.p[i] == '\r' || name.p[i] == '\n')
      return false;
  return name.n > 0;
}

/* " (FROM TO)" behind HEADER.FIELDS. */
static bool
take_fields (ImapScan *scan, ImapSection *section, EkBuf *label)
{
  guint room = 1;

  if (!imap_scan_space (scan) || !imap_scan_char (scan, '('))
    return imap_scan_fail (scan, "Invalid BODY[..] section");
  for (const char *p = scan->p; p < scan->end && *p != ']'; p++)
    room += *p == ' ';
  section->fields = ek_pool_newv (scan->pool, EkStr, room + 1);
  ek_buf_appends (label, " (");
  while (imap_scan_more (scan)) {
    EkStr name;
    const char *start = scan->p;
    if (!imap_scan_astring (scan, &name))
      return false;
    if (!is_field_name (name) || section->n_fields == room)
      return imap_scan_fail (scan, "Invalid BODY[..] section");
    if (section->n_fields > 0)
      ek_buf_appendc (label, ' ');
    label_field (label, (EkStr) { start, (gsize) (scan->p - start) }, name);
    section->fields[section->n_fields++] = name;
  }
  if (scan->error)
    return false;
  if (section->n_fields == 0)
    return imap_scan_fail (scan, "Invalid BODY[..] section");
  ek_buf_appendc (label, ')');
  return true;
}

static bool
take_section (ImapScan *scan, ImapSection *section, EkBuf *label)
{
  static const struct { const char *name; ImapPart part; bool alone; } parts[] = {
    { "HEADER", IMAP_PART_HEADER, true }, { "HEADER.FIELDS", IMAP_PART_FIELDS, true },
    { "HEADER.FIELDS.NOT", IMAP_PART_FIELDS_NOT, true }, { "TEXT", IMAP_PART_TEXT, true },
    { "MIME", IMAP_PART_MIME, false },
  };
  EkStr word = take_word (scan);

  for (gsize i = 0; i < word.n; i++)
    ek_buf_appendc (label, g_ascii_toupper (word.p[i]));
  if (!take_numbers (scan, &word, &section->numbers))
    return false;
  if (word.n == 0)
    return true;
  for (guint i = 0; i < G_N_ELEMENTS (parts); i++)
    if (ek_str_ieq (word, ek_str (parts[i].name)) && (parts[i].alone || section->numbers.n > 0)) {
      section->part = parts[i].part;
      if (section->part == IMAP_PART_FIELDS || section->part == IMAP_PART_FIELDS_NOT)
        return take_fields (scan, section, label);
      return true;
    }
  return imap_scan_fail (scan, "Invalid BODY[..] section");
}

/* "<0.100>"; a client that leaves out the count gets the rest. */
static bool
take_partial (ImapScan *scan, ImapSection *section)
{
  guint64 offset, count = G_MAXUINT32;

  if (!imap_scan_peek (scan, '<'))
    return true;
  scan->p++;
  if (!imap_scan_number (scan, G_MAXUINT32, &offset))
    return imap_scan_fail (scan, "Invalid BODY[..] partial");
  if (imap_scan_peek (scan, '.')) {
    scan->p++;
    if (!imap_scan_number (scan, G_MAXUINT32, &count))
      return imap_scan_fail (scan, "Invalid BODY[..] partial");
  }
  if (!imap_scan_char (scan, '>'))
    return imap_scan_fail (scan, "Invalid BODY[..] partial");
  section->partial = true;
  section->offset = (guint32) offset;
  section->count = (guint32) count;
  return true;
}

static bool
scan_body (ImapScan *scan, ImapFetch *fetch, bool peek)
{
  ImapSection *section = new_section (scan, fetch);
  EkBuf label = { 0 };

  if (section == NULL)
    return false;
  scan->p++;                         /* the '[' */
  section->peek = peek;
  ek_buf_appends (&label, "BODY[");
  bool good = take_section (scan, section, &label);
  if (good) {
    while (imap_scan_peek (scan, ' ') && section->n_fields > 0)
      scan->p++;
    good = imap_scan_char (scan, ']') || imap_scan_fail (scan, "Invalid BODY[..] section");
  }
  if (good) {
    ek_buf_appendc (&label, ']');
    section->label = ek_pool_strndup (scan->pool, ek_buf_at (&label), ek_buf_len (&label));
  }
  ek_buf_release (&label);
  return good && take_partial (scan, section);
}

static bool
scan_item (ImapScan *scan, ImapFetch *fetch, bool in_list)
{
  EkStr word = take_word (scan);
  bool peek = ek_str_ieq (word, EK_STR ("BODY.PEEK"));

  if (imap_scan_peek (scan, '[') && (peek || ek_str_ieq (word, EK_STR ("BODY"))))
    return scan_body (scan, fetch, peek);
  if (scan->p < scan->end && *scan->p != ' ' && *scan->p != ')')
    return imap_scan_fail (scan, "Unknown parameter");
  for (guint i = 0; i < G_N_ELEMENTS (plain_items); i++)
    if (ek_str_ieq (word, ek_str (plain_items[i].name)) && !(in_list && plain_items[i].macro)) {
      fetch->items |= plain_items[i].items;
      return true;
    }
  for (guint i = 0; i < G_N_ELEMENTS (old_sections); i++)
    if (ek_str_ieq (word, ek_str (old_sections[i].name))) {
      ImapSection *section = new_section (scan, fetch);
      if (section == NULL)
        return false;
      *section = (ImapSection) { .label = old_sections[i].name, .part = old_sections[i].part,
                                 .peek = old_sections[i].peek };
      return true;
    }
  return imap_scan_fail (scan, word.n == 0 ? "Invalid arguments" : "Unknown parameter");
}

static bool
scan_modifiers (ImapScan *scan, ImapFetch *fetch)
{
  EkStr name;

  if (!imap_scan_space (scan) || !imap_scan_char (scan, '('))
    return false;
  while (imap_scan_more (scan)) {
    if (!imap_scan_atom (scan, &name))
      return false;
    if (!ek_str_ieq (name, EK_STR ("CHANGEDSINCE")))
      return imap_scan_fail (scan, "Unknown FETCH modifier");
    if (!imap_scan_space (scan) || !imap_scan_number (scan, G_MAXINT64, &fetch->changed_since))
      return imap_scan_fail (scan, "Invalid CHANGEDSINCE modseq");
    fetch->items |= IMAP_ITEM_MODSEQ;
  }
  return scan->error == NULL;
}

bool
imap_scan_fetch (ImapScan *scan, ImapFetch *fetch)
{
  *fetch = (ImapFetch) { 0 };
  if (imap_scan_peek (scan, '(')) {
    scan->p++;
    while (imap_scan_more (scan))
      if (!scan_item (scan, fetch, true))
        return false;
    if (scan->error)
      return false;
    if (fetch->items == 0 && fetch->n_sections == 0)
      return imap_scan_fail (scan, "FETCH list is empty");
  }
  else if (!scan_item (scan, fetch, false))
    return false;
  while (scan->p + 1 < scan->end && scan->p[0] == ' ' && scan->p[1] == ' ')
    scan->p++;
  return scan->p + 1 >= scan->end || scan_modifiers (scan, fetch);
}
