/* addresslist.c - RFC 5322 address lists, with the obsolete forms and with what people really write
 * SPDX-License-Identifier: Apache-2.0
 *
 * Nothing is refused.  What stands behind an entry before its comma is skipped, so one broken entry
 * costs no other.  Where an answer is a matter of taste, it is Dovecot's.
 */
#include "config.h"
#include "mail/address.h"
#include <string.h>

#define LIST_MAX     10000
#define COMMENTS_MAX 50              /* nested */
#define LITERAL_MAX  256

typedef struct {
  const char   *p, *end;
  EkPool       *pool;
  EkBuf         comment;             /* the last one of the entry */
  EkBuf         text;                /* the phrase as a name: one space between words */
  EkBuf         local;               /* the same as a local part: no spaces */
  guint         n, max;
  EkListAddr  **tail;
} List;

static bool
is_word (char c)
{
  return (guchar) c > ' ' && c != 127 && strchr ("()<>[]:;@\\,.\"", c) == NULL;
}

static bool
at (const List *l, char c)
{
  return l->p < l->end && *l->p == c;
}

/* ---- tokens -------------------------------------------------------------------------------- */

/* Takes a comment; keeps its text, inner parentheses too.  One without end takes all. */
static void
read_comment (List *l)
{
  guint depth = 1;

  ek_buf_clear (&l->comment);
  for (l->p++; l->p < l->end; l->p++) {
    if (*l->p == '\\' && l->p + 1 < l->end)
      l->p++;
    else if (*l->p == '(' && depth < COMMENTS_MAX)
      depth++;
    else if (*l->p == ')' && --depth == 0)
      break;
    if (*l->p != '\r' && *l->p != '\n')
      ek_buf_appendc (&l->comment, *l->p);
  }
  if (l->p < l->end)
    l->p++;
}

/* White space and comments; tells whether there was any. */
static bool
skip (List *l)
{
  const char *from = l->p;

  while (l->p < l->end) {
    if (*l->p == '(')
      read_comment (l);
    else if (*l->p == ' ' || *l->p == '\t' || *l->p == '\r' || *l->p == '\n')
      l->p++;
    else
      break;
  }
  return l->p > from;
}

/* A quoted string without its quotes, escapes and line breaks; false when it has no end. */
static bool
read_quoted (List *l, EkBuf *out)
{
  for (l->p++; l->p < l->end && *l->p != '"'; l->p++) {
    l->p += *l->p == '\\' && l->p + 1 < l->end;
    if (*l->p != '\r' && *l->p != '\n')
      ek_buf_appendc (out, *l->p);
  }
  if (l->p >= l->end)
    return false;
  l->p++;
  return true;
}

static void
read_atom (List *l, EkBuf *out)
{
  const char *from = l->p;

  while (l->p < l->end && is_word (*l->p))
    l->p++;
  ek_buf_append (out, from, (gsize) (l->p - from));
}

typedef struct {
  bool empty;                        /* there was nothing */
  bool local;                        /* words with dots between: may be a local part */
  bool quoted;                       /* a quoted string is in it */
  bool endless;                      /* ... that had no end */
} Phrase;

/* Words, quoted strings and dots, into l->text and l->local. */
static Phrase
read_phrase (List *l)
{
  Phrase ph = { .empty = true, .local = true };
  bool after_word = false, space = false;

  ek_buf_clear (&l->text);
  ek_buf_clear (&l->local);
  while (l->p < l->end && (*l->p == '"' || *l->p == '.' || is_word (*l->p))) {
    bool dot = *l->p == '.';
    if (!ph.empty && (space || (after_word && !dot)))
      ek_buf_appendc (&l->text, ' ');
    if (after_word && !dot)
      ph.local = false;
    gsize from = ek_buf_len (&l->text);
    if (*l->p == '"') {
      ph.quoted = true;
      ph.endless = !read_quoted (l, &l->text);
    }
    else if (dot)
      ek_buf_appendc (&l->text, *l->p++);
    else
      read_atom (l, &l->text);
    if (ek_buf_len (&l->text) > from)
      ek_buf_append (&l->local, ek_buf_at (&l->text) + from, ek_buf_len (&l->text) - from);
    ph.empty = false;
    after_word = !dot;
    space = skip (l);
  }
  return ph;
}

static EkStr
taken (List *l, const EkBuf *buf)
{
  return ek_pool_str (l->pool, ek_buf_len (buf) > 0 ? ek_buf_str (buf) : EK_STR (""));
}

/* A dot-atom with white space anywhere, or a literal; p is NULL when it is neither. */
static EkStr
read_domain (List *l)
{
  EkBuf out = { 0 };
  bool good = false;

  skip (l);
  if (at (l, '[')) {
    const char *close = memchr (l->p, ']', MIN ((gsize) (l->end - l->p), LITERAL_MAX));
    if (close) {
      ek_buf_append (&out, l->p, (gsize) (close + 1 - l->p));
      l->p = close + 1;
      good = true;
    }
  }
  while (l->p < l->end && !good && is_word (*l->p)) {
    read_atom (l, &out);
    skip (l);
    if (!at (l, '.')) {
      good = true;
      break;
    }
    ek_buf_appendc (&out, *l->p++);
    skip (l);
  }
  skip (l);
  EkStr domain = good ? taken (l, &out) : (EkStr) { NULL, 0 };
  ek_buf_release (&out);
  return domain;
}

/* ---- entries ------------------------------------------------------------------------------- */

static EkListAddr *
add (List *l)
{
  EkListAddr *a = ek_pool_new0 (l->pool, EkListAddr);

  *l->tail = a;
  l->tail = &a->next;
  l->n++;
  return a;
}

static void
set_host (EkListAddr *a, EkStr host)
{
  a->host = host.p ? host : EK_STR ("MISSING_DOMAIN");
  a->invalid |= host.p == NULL;
}

/* "@a,@b:" of an angle address. */
static void
read_route (List *l, EkListAddr *a)
{
  EkBuf out = { 0 };
  bool good = true;

  while (good && at (l, '@')) {
    l->p++;
    EkStr domain = read_domain (l);
    ek_buf_appends (&out, ek_buf_len (&out) > 0 ? ",@" : "@");
    ek_buf_append (&out, domain.p, domain.n);
    good = domain.p != NULL;
    while (at (l, ',')) {
      l->p++;
      skip (l);
    }
  }
  good = good && at (l, ':');
  if (good)
    l->p++;
  a->adl = good ? taken (l, &out) : EK_STR ("INVALID_ROUTE");
  a->invalid |= !good;
  ek_buf_release (&out);
}

/* "<...>"; the scan stands at the bracket. */
static void
read_angle (List *l, EkListAddr *a)
{
  l->p++;
  skip (l);
  if (at (l, '@'))
    read_route (l, a);
  skip (l);
  Phrase ph = read_phrase (l);
  a->mailbox = ph.empty ? EK_STR ("MISSING_MAILBOX") : taken (l, &l->local);
  if (at (l, '@')) {
    l->p++;
    set_host (a, read_domain (l));
  }
  else
    set_host (a, (EkStr) { NULL, 0 });
  a->invalid |= ph.empty || !ph.local || ph.endless;
  if (at (l, '>') && ph.local)
    l->p++;
  else {
    a->host = EK_STR ("SYNTAX_ERROR");
    a->invalid = true;
  }
}

/* One entry; false when it is the name of a group, whose colon was taken. */
static bool
read_entry (List *l, bool in_group)
{
  ek_buf_clear (&l->comment);
  Phrase ph = read_phrase (l);
  EkStr name = taken (l, &l->text);
  EkListAddr *a = add (l);

  if (at (l, ':') && !in_group && !ph.endless) {
    a->mailbox = name;
    l->p++;
    return false;
  }
  if (at (l, '<') && !ph.endless) {
    if (name.n > 0)
      a->name = name;
    read_angle (l, a);
    return true;
  }
  bool spec = at (l, '@') && ph.local && !ph.endless;
  if (!spec && (ph.empty || ph.quoted || !ph.local)) {
    if (!ph.empty && !ph.endless)
      a->name = name;
    a->mailbox = EK_STR ("MISSING_MAILBOX");
    set_host (a, (EkStr) { NULL, 0 });
    return true;
  }
  a->mailbox = ph.empty ? EK_STR ("MISSING_MAILBOX") : taken (l, &l->local);
  a->invalid = ph.empty;
  if (spec)
    l->p++;
  set_host (a, spec ? read_domain (l) : (EkStr) { NULL, 0 });
  EkStr comment = ek_str_trim (ek_buf_str (&l->comment));
  if (comment.n > 0)
    a->name = ek_pool_str (l->pool, comment);
  return true;
}

/* To the comma that ends the entry, or the semicolon that ends the group. */
static void
skip_junk (List *l, bool in_group)
{
  while (l->p < l->end && *l->p != ',' && !(in_group && *l->p == ';')) {
    ek_buf_clear (&l->text);
    if (*l->p == '(')
      read_comment (l);
    else if (*l->p == '"')
      read_quoted (l, &l->text);
    else
      l->p++;
  }
}

EkListAddr *
ek_address_list (EkPool *pool, EkStr value, guint max)
{
  EkListAddr *first = NULL;
  List l = { .p = value.p, .end = EK_STR_END (value), .pool = pool, .max = max ? max : LIST_MAX,
             .tail = &first };
  bool in_group = false, again;

  skip (&l);
  while (l.p < l.end && l.n < l.max) {
    if (in_group && *l.p == ';') {
      add (&l);
      in_group = false;
      l.p++;
    }
    else if (!read_entry (&l, in_group)) {
      in_group = true;
      skip (&l);
      continue;
    }
    skip_junk (&l, in_group);
    again = at (&l, ',');
    l.p += again;
    if (again)
      skip (&l);
  }
  if (in_group)
    add (&l);
  ek_buf_release (&l.comment);
  ek_buf_release (&l.text);
  ek_buf_release (&l.local);
  return first;
}
