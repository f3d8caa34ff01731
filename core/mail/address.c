/* address.c - SMTP paths (RFC 5321 4.1.2, RFC 6531 3.3)
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "mail/address.h"
#include <arpa/inet.h>
#include <string.h>
#include <unistr.h>

const char ek_address_needs_utf8[] = "the address is not ASCII and SMTPUTF8 was not asked for";

typedef struct {
  const char *p, *end;
  guint       flags;
  EkPool     *pool;
} Scan;

static bool
is_atext (char c)
{
  return g_ascii_isalnum (c) || (c != 0 && strchr ("!#$%&'*+-/=?^_`{|}~", c) != NULL) || (guchar) c >= 0x80;
}

static bool
at (const Scan *s, char c)
{
  return s->p < s->end && *s->p == c;
}

/* ---- local part ---------------------------------------------------------------------------- */

static bool
is_dot_string (EkStr local, bool lax)
{
  if (local.n == 0)
    return false;
  for (gsize i = 0; i < local.n; i++) {
    bool dot = local.p[i] == '.';
    bool ok_dot = dot && (lax || (i > 0 && i + 1 < local.n && local.p[i - 1] != '.'));
    if (!ok_dot && (dot || !is_atext (local.p[i])))
      return false;
  }
  return true;
}

void
ek_address_quote_local (EkBuf *out, EkStr local)
{
  if (is_dot_string (local, false)) {
    ek_buf_append (out, local.p, local.n);
    return;
  }
  ek_buf_appendc (out, '"');
  for (gsize i = 0; i < local.n; i++) {
    if (local.p[i] == '"' || local.p[i] == '\\')
      ek_buf_appendc (out, '\\');
    ek_buf_appendc (out, local.p[i]);
  }
  ek_buf_appendc (out, '"');
}

static const char *
read_quoted (Scan *s, EkStr *local)
{
  const char *from = s->p++;
  char *copy = ek_pool_alloc (s->pool, EK_LOCAL_MAX + 1);
  gsize n = 0;

  for (; !at (s, '"'); s->p++) {
    bool escaped = at (s, '\\');
    s->p += escaped;
    if (s->p >= s->end)
      return "the quoted local part has no end";
    if ((guchar) *s->p < ' ' || *s->p == 127 || (escaped && (guchar) *s->p >= 0x80))
      return "a control character in the local part";
    if (s->p - from >= EK_LOCAL_MAX)
      return "the local part is longer than 64 octets";
    copy[n++] = *s->p;
  }
  s->p++;
  if (s->p - from > EK_LOCAL_MAX)
    return "the local part is longer than 64 octets";
  *local = (EkStr) { copy, n };
  return NULL;
}

static const char *
read_local (Scan *s, EkStr *local)
{
  if (at (s, '"'))
    return read_quoted (s, local);
  const char *from = s->p;
  while (s->p < s->end && (is_atext (*s->p) || *s->p == '.'))
    s->p++;
  EkStr text = { from, (gsize) (s->p - from) };
  if (text.n == 0)
    return "the local part is missing";
  if (text.n > EK_LOCAL_MAX)
    return "the local part is longer than 64 octets";
  if (!is_dot_string (text, s->flags & EK_PATH_LAX))
    return "a dot at the edge of the local part, or two together";
  *local = ek_pool_str (s->pool, text);
  return NULL;
}

/* ---- domain -------------------------------------------------------------------------------- */

static bool
is_label (EkStr label, guint flags)
{
  if (label.n == 0 || label.n > 63 || label.p[0] == '-' || label.p[label.n - 1] == '-')
    return false;
  for (gsize i = 0; i < label.n; i++) {
    char c = label.p[i];
    if (!g_ascii_isalnum (c) && c != '-' && !((flags & EK_PATH_LAX) && c == '_'))
      return false;
  }
  return true;
}

bool
ek_address_is_domain (EkStr domain, guint flags)
{
  bool ascii = true;

  if (domain.n == 0 || domain.n > EK_DOMAIN_MAX)
    return false;
  for (gsize i = 0; i < domain.n; i++)
    ascii &= (guchar) domain.p[i] < 0x80;
  if (!ascii) {                                      /* U-labels: whatever IDNA can turn into A-labels */
    g_autoptr (EkPool) pool = ek_pool_new ();
    EkStr key;
    return (flags & EK_PATH_UTF8) && ek_domain_key (pool, domain, &key) == NULL
           && ek_address_is_domain (key, flags & ~(guint) EK_PATH_UTF8);
  }
  if ((flags & EK_PATH_LAX) && domain.n > 1 && domain.p[domain.n - 1] == '.')
    domain.n--;
  while (domain.n > 0) {
    const char *dot = memchr (domain.p, '.', domain.n);
    gsize n = dot ? (gsize) (dot - domain.p) : domain.n;
    if (!is_label ((EkStr) { domain.p, n }, flags))
      return false;
    if (dot && n + 1 == domain.n)
      return false;
    domain.p += n + (dot != NULL);
    domain.n -= n + (dot != NULL);
  }
  return true;
}

bool
ek_address_is_literal (EkStr domain)
{
  char text[INET6_ADDRSTRLEN + 8];
  guchar bytes[16];
  int family = AF_INET;

  if (domain.n < 3 || domain.p[0] != '[' || domain.p[domain.n - 1] != ']' || domain.n - 2 >= sizeof text)
    return false;
  EkStr inner = { domain.p + 1, domain.n - 2 };
  if (ek_str_istarts (inner, EK_STR ("IPv6:"))) {
    inner.p += 5;
    inner.n -= 5;
    family = AF_INET6;
  }
  if (inner.n == 0 || memchr (inner.p, 0, inner.n))
    return false;
  memcpy (text, inner.p, inner.n);
  text[inner.n] = 0;
  return inet_pton (family, text, bytes) == 1;
}

static const char *
read_domain (Scan *s, EkStr *domain, bool *literal)
{
  const char *from = s->p;

  *literal = at (s, '[');
  while (s->p < s->end && (*literal ? *s->p != ']' : (g_ascii_isalnum (*s->p) || strchr ("-._", *s->p)
                                                       || (guchar) *s->p >= 0x80)) && *s->p != 0)
    s->p++;
  if (*literal && at (s, ']'))
    s->p++;
  EkStr text = { from, (gsize) (s->p - from) };
  if (text.n == 0)
    return "the domain is missing";
  if (text.n > EK_DOMAIN_MAX)
    return "the domain is longer than 255 octets";
  if (*literal && !ek_address_is_literal (text))
    return "not a valid address literal";
  if (!*literal && !ek_address_is_domain (text, s->flags | EK_PATH_UTF8))
    return "not a valid domain name";
  if (!*literal && text.p[text.n - 1] == '.')
    text.n--;
  *domain = ek_pool_str (s->pool, text);
  return NULL;
}

/* ---- path ---------------------------------------------------------------------------------- */

/* "@a,@b:", read and dropped (RFC 5321 3.6.1). */
static const char *
skip_route (Scan *s)
{
  while (at (s, '@')) {
    EkStr domain;
    bool literal;
    s->p++;
    const char *why = read_domain (s, &domain, &literal);
    if (why)
      return why;
    if (at (s, ':')) {
      s->p++;
      return NULL;
    }
    if (!at (s, ','))
      return "a source route that does not end with a colon";
    s->p++;
  }
  return "a source route that does not end with a colon";
}

static void
put_together (EkPool *pool, EkAddress *a)
{
  EkBuf out = { 0 };

  ek_address_quote_local (&out, a->local);
  if (a->domain.n > 0) {
    ek_buf_appendc (&out, '@');
    ek_buf_append (&out, a->domain.p, a->domain.n);
  }
  a->address = ek_pool_str (pool, ek_buf_str (&out));
  ek_buf_release (&out);
  for (gsize i = 0; i < a->address.n; i++)
    a->utf8 |= (guchar) a->address.p[i] >= 0x80;
}

/* local@domain, and nothing behind it is looked at. */
static const char *
read_mailbox (Scan *s, EkAddress *a)
{
  const char *why = read_local (s, &a->local);

  if (why)
    return why;
  if (at (s, '@')) {
    s->p++;
    if ((why = read_domain (s, &a->domain, &a->literal)))
      return why;
  }
  else if (!(s->flags & EK_PATH_NODOMAIN)
           && !((s->flags & EK_PATH_POSTMASTER) && ek_str_ieq (a->local, EK_STR ("postmaster"))))
    return "the domain is missing";
  put_together (s->pool, a);
  if (a->address.n - (a->domain.n > 0 ? a->domain.n + 1 : 0) > EK_LOCAL_MAX)       /* quotes made it longer */
    return "the local part is longer than 64 octets";
  if (a->address.n > EK_ADDRESS_MAX)
    return "the address is longer than 254 octets";
  if (a->utf8 && u8_check ((const uint8_t *) a->address.p, a->address.n) != NULL)
    return "the address is not valid UTF-8";
  return a->utf8 && !(s->flags & EK_PATH_UTF8) ? ek_address_needs_utf8 : NULL;
}

static const char *
read_path (Scan *s, EkAddress *a)
{
  if (!at (s, '<')) {
    if (!(s->flags & EK_PATH_BARE))
      return "the address must stand between < and >";
    const char *why = read_mailbox (s, a);
    return why && why != ek_address_needs_utf8 ? why
           : s->p < s->end && *s->p != ' ' ? "something stands behind the address" : why;
  }
  s->p++;
  if (at (s, '>') && (s->flags & EK_PATH_EMPTY)) {
    s->p++;
    return NULL;
  }
  if (at (s, '>'))
    return "the address is empty";
  const char *why = at (s, '@') ? skip_route (s) : NULL;
  if (why == NULL)
    why = read_mailbox (s, a);
  if (why && why != ek_address_needs_utf8)
    return why;
  if (!at (s, '>'))
    return s->p < s->end ? "a character that may not stand in an address" : "the closing > is missing";
  s->p++;
  return why;
}

const char *
ek_address_path (EkPool *pool, EkStr text, guint flags, EkAddress *address, gsize *used)
{
  Scan s = { text.p, EK_STR_END (text), flags, pool };

  *address = (EkAddress) { .address = EK_STR (""), .local = EK_STR (""), .domain = EK_STR ("") };
  const char *why = read_path (&s, address);
  if (used)
    *used = (gsize) (s.p - text.p);
  else if (why == NULL && s.p < s.end)
    return "something stands behind the address";
  return why;
}

const char *
ek_address_parse (EkPool *pool, EkStr text, guint flags, EkAddress *address)
{
  Scan s = { text.p, EK_STR_END (text), flags, pool };

  *address = (EkAddress) { .address = EK_STR (""), .local = EK_STR (""), .domain = EK_STR ("") };
  if (text.n == 0)
    return flags & EK_PATH_EMPTY ? NULL : "the address is empty";
  const char *why = read_mailbox (&s, address);
  if (why && why != ek_address_needs_utf8)
    return why;
  return s.p < s.end ? "a character that may not stand in an address" : why;
}
