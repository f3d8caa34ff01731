/* parse-search.c - search programs (RFC 3501 section 6.4.4, RFC 4731, RFC 7162)
 * SPDX-License-Identifier: Apache-2.0
 */
#include "parse.h"
#include "mail/text.h"
#include <string.h>

typedef struct {
  ImapScan   *scan;
  ImapSearch *search;
  guint       depth, keys, bodies;
  EkStr       charset;               /* n is 0: US-ASCII, and UTF-8 is let through */
} Parse;

typedef enum { ARG_NONE, ARG_TEXT, ARG_FIELD, ARG_HEADER, ARG_DATE, ARG_NUMBER, ARG_SET, ARG_KEYWORD, ARG_MODSEQ,
               ARG_KEY, ARG_TWO_KEYS } Arg;

static const struct {
  const char *name;
  ImapKeyType type;
  Arg         arg;
  guint32     flag;
  bool        not;
} known[] = {
  { "ALL", IMAP_KEY_ALL, ARG_NONE },
  { "ANSWERED", IMAP_KEY_FLAG, ARG_NONE, EK_FLAG_ANSWERED },
  { "BCC", IMAP_KEY_HEADER, ARG_FIELD },
  { "BEFORE", IMAP_KEY_BEFORE, ARG_DATE },
  { "BODY", IMAP_KEY_BODY, ARG_TEXT },
  { "CC", IMAP_KEY_HEADER, ARG_FIELD },
  { "DELETED", IMAP_KEY_FLAG, ARG_NONE, EK_FLAG_DELETED },
  { "DRAFT", IMAP_KEY_FLAG, ARG_NONE, EK_FLAG_DRAFT },
  { "FLAGGED", IMAP_KEY_FLAG, ARG_NONE, EK_FLAG_FLAGGED },
  { "FROM", IMAP_KEY_HEADER, ARG_FIELD },
  { "HEADER", IMAP_KEY_HEADER, ARG_HEADER },
  { "KEYWORD", IMAP_KEY_KEYWORD, ARG_KEYWORD },
  { "LARGER", IMAP_KEY_LARGER, ARG_NUMBER },
  { "MODSEQ", IMAP_KEY_MODSEQ, ARG_MODSEQ },
  { "NEW", IMAP_KEY_NEW, ARG_NONE },
  { "NOT", IMAP_KEY_AND, ARG_KEY, 0, true },
  { "OLD", IMAP_KEY_FLAG, ARG_NONE, EK_FLAG_RECENT, true },
  { "ON", IMAP_KEY_ON, ARG_DATE },
  { "OR", IMAP_KEY_OR, ARG_TWO_KEYS },
  { "RECENT", IMAP_KEY_FLAG, ARG_NONE, EK_FLAG_RECENT },
  { "SEEN", IMAP_KEY_FLAG, ARG_NONE, EK_FLAG_SEEN },
  { "SENTBEFORE", IMAP_KEY_SENTBEFORE, ARG_DATE },
  { "SENTON", IMAP_KEY_SENTON, ARG_DATE },
  { "SENTSINCE", IMAP_KEY_SENTSINCE, ARG_DATE },
  { "SINCE", IMAP_KEY_SINCE, ARG_DATE },
  { "SMALLER", IMAP_KEY_SMALLER, ARG_NUMBER },
  { "SUBJECT", IMAP_KEY_HEADER, ARG_FIELD },
  { "TEXT", IMAP_KEY_TEXT, ARG_TEXT },
  { "TO", IMAP_KEY_HEADER, ARG_FIELD },
  { "UID", IMAP_KEY_UID, ARG_SET },
  { "UNANSWERED", IMAP_KEY_FLAG, ARG_NONE, EK_FLAG_ANSWERED, true },
  { "UNDELETED", IMAP_KEY_FLAG, ARG_NONE, EK_FLAG_DELETED, true },
  { "UNDRAFT", IMAP_KEY_FLAG, ARG_NONE, EK_FLAG_DRAFT, true },
  { "UNFLAGGED", IMAP_KEY_FLAG, ARG_NONE, EK_FLAG_FLAGGED, true },
  { "UNKEYWORD", IMAP_KEY_KEYWORD, ARG_KEYWORD, 0, true },
  { "UNSEEN", IMAP_KEY_FLAG, ARG_NONE, EK_FLAG_SEEN, true },
};

static bool scan_key (Parse *parse, ImapKey **key);

/* The text in UTF-8; one that is not what CHARSET says matches what it can. */
static bool
scan_text (Parse *parse, EkStr *text)
{
  EkStr raw;

  if (!imap_scan_astring (parse->scan, &raw))
    return false;
  if (raw.n > IMAP_SEARCH_TEXT_MAX)
    return imap_scan_fail (parse->scan, "Search text is too long");
  EkBuf utf8 = { 0 };
  if (parse->charset.n > 0)
    ek_charset_convert (parse->charset, raw, &utf8);
  else
    ek_utf8_append (&utf8, raw);
  *text = ek_pool_str (parse->scan->pool, ek_buf_str (&utf8));
  ek_buf_release (&utf8);
  return true;
}

/* RFC 7162: an entry name and type may stand before the number; only the whole message has one. */
static bool
scan_modseq (Parse *parse, ImapKey *key)
{
  ImapScan *scan = parse->scan;
  EkStr entry, type;

  parse->search->modseq = true;
  if (imap_scan_peek (scan, '"'))
    if (!imap_scan_string (scan, &entry) || !imap_scan_space (scan) || !imap_scan_atom (scan, &type)
        || !imap_scan_space (scan))
      return false;
  return imap_scan_number (scan, G_MAXINT64, &key->number);
}

static bool
scan_child (Parse *parse, ImapKey **child)
{
  return imap_scan_space (parse->scan) && scan_key (parse, child);
}

static bool
scan_argument (Parse *parse, Arg arg, EkStr name, ImapKey *key)
{
  ImapScan *scan = parse->scan;
  EkStr word;

  switch (arg) {
  case ARG_NONE:
    return true;
  case ARG_KEY:
    return scan_child (parse, &key->child);
  case ARG_TWO_KEYS:
    return scan_child (parse, &key->child) && scan_child (parse, &key->child->next);
  default:
    break;
  }
  if (!imap_scan_space (scan))
    return false;
  switch (arg) {
  case ARG_TEXT:
    if (++parse->bodies > IMAP_SEARCH_BODIES)
      return imap_scan_fail (scan, "Too many BODY and TEXT keys");
    return scan_text (parse, &key->text);
  case ARG_FIELD:
    key->name = name;
    return scan_text (parse, &key->text);
  case ARG_HEADER:
    return imap_scan_astring (scan, &key->name) && imap_scan_space (scan) && scan_text (parse, &key->text);
  case ARG_DATE:
    return imap_scan_date (scan, &key->day);
  case ARG_NUMBER:
    return imap_scan_number (scan, G_MAXINT64, &key->number);
  case ARG_SET:
    return imap_scan_set (scan, &key->set);
  case ARG_MODSEQ:
    return scan_modseq (parse, key);
  case ARG_KEYWORD:
    if (!imap_scan_atom (scan, &word))
      return false;
    key->name = ek_pool_str (scan->pool, word);
    return true;
  default:
    g_assert_not_reached ();
  }
}

/* Keys up to the ')' or the end of the text, joined by AND. */
static bool
scan_list (Parse *parse, bool in_list, ImapKey **first)
{
  ImapScan *scan = parse->scan;
  ImapKey **last = first;

  for (;;) {
    if (in_list && !imap_scan_more (scan))
      return scan->error == NULL && (*first || imap_scan_fail (scan, "No search parameters inside list"));
    if (!scan_key (parse, last))
      return false;
    last = &(*last)->next;
    if (!in_list && (imap_scan_end (scan) || scan->p[-1] != ' '))
      return imap_scan_end (scan);
  }
}

static bool
scan_named_key (Parse *parse, ImapKey *key)
{
  EkStr name;

  if (!imap_scan_atom (parse->scan, &name))
    return false;
  for (guint i = 0; i < G_N_ELEMENTS (known); i++)
    if (ek_str_ieq (name, ek_str (known[i].name))) {
      key->type = known[i].type;
      key->not = known[i].not;
      key->flag = known[i].flag;
      return scan_argument (parse, known[i].arg, name, key);
    }
  return imap_scan_fail (parse->scan, "Unknown argument");
}

static bool
scan_key (Parse *parse, ImapKey **key)
{
  ImapScan *scan = parse->scan;
  ImapKey *k = *key = ek_pool_new0 (scan->pool, ImapKey);
  bool good;

  if (++parse->depth > IMAP_SEARCH_DEPTH)
    return imap_scan_fail (scan, "Search is nested too deeply");
  if (++parse->keys > IMAP_SEARCH_KEYS)
    return imap_scan_fail (scan, "Too many search keys");
  if (imap_scan_peek (scan, '(')) {
    scan->p++;
    k->type = IMAP_KEY_AND;
    good = scan_list (parse, true, &k->child);
  }
  else if (scan->p < scan->end && (g_ascii_isdigit (*scan->p) || *scan->p == '*')) {
    k->type = IMAP_KEY_SET;
    good = imap_scan_set (scan, &k->set);
  }
  else
    good = scan_named_key (parse, k);
  parse->depth--;
  return good;
}

static bool
scan_return (ImapScan *scan, ImapSearch *search)
{
  static const struct { const char *name; guint bit; } options[] = {
    { "MIN", IMAP_RETURN_MIN }, { "MAX", IMAP_RETURN_MAX }, { "ALL", IMAP_RETURN_ALL },
    { "COUNT", IMAP_RETURN_COUNT },
  };
  EkStr name;

  if (!imap_scan_space (scan) || !imap_scan_char (scan, '('))
    return false;
  search->extended = true;
  while (imap_scan_more (scan)) {
    guint bit = 0;
    if (!imap_scan_atom (scan, &name))
      return false;
    for (guint i = 0; i < G_N_ELEMENTS (options); i++)
      if (ek_str_ieq (name, ek_str (options[i].name)))
        bit = options[i].bit;
    if (bit == 0)
      return imap_scan_fail (scan, "Unknown SEARCH return option");
    search->results |= bit;
  }
  if (search->results == 0)
    search->results = IMAP_RETURN_ALL;
  return scan->error == NULL && imap_scan_space (scan);
}

static bool
at_word (ImapScan *scan, EkStr word)
{
  EkStr rest = { scan->p, (gsize) (scan->end - scan->p) };

  if (!ek_str_istarts (rest, word) || rest.n == word.n || rest.p[word.n] != ' ')
    return false;
  scan->p += word.n;
  return true;
}

static bool
scan_charset (ImapScan *scan, Parse *parse)
{
  EkStr name;

  if (!imap_scan_space (scan) || !imap_scan_astring (scan, &name) || !imap_scan_space (scan))
    return false;
  if (!ek_charset_known (name))
    parse->search->bad_charset = ek_pool_strndup (scan->pool, name.p, name.n);
  if (!ek_str_ieq (name, EK_STR ("UTF-8")) && !ek_str_ieq (name, EK_STR ("US-ASCII")))
    parse->charset = name;
  return true;
}

bool
imap_scan_search (ImapScan *scan, ImapSearch *search)
{
  Parse parse = { .scan = scan, .search = search };

  *search = (ImapSearch) { 0 };
  if (at_word (scan, EK_STR ("RETURN")) && !scan_return (scan, search))
    return false;
  if (at_word (scan, EK_STR ("CHARSET")) && !scan_charset (scan, &parse))
    return false;
  search->root = ek_pool_new0 (scan->pool, ImapKey);
  search->root->type = IMAP_KEY_AND;
  return scan_list (&parse, false, &search->root->child);
}
