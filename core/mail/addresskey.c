/* addresskey.c - the one function that makes the lookup key of an address or login
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "mail/address.h"
#include <idn2.h>
#include <string.h>
#include <unicase.h>
#include <uninorm.h>
#include <unistr.h>

#define LOGIN_MAX 255                /* octets of a local part or login name, before and after */

static bool
is_ascii (EkStr s)
{
  for (gsize i = 0; i < s.n; i++)
    if ((guchar) s.p[i] >= 0x80)
      return false;
  return true;
}

static char *
lower (EkPool *pool, EkStr s)
{
  char *copy = ek_pool_strndup (pool, s.p, s.n);

  for (gsize i = 0; i < s.n; i++)
    copy[i] = g_ascii_tolower (copy[i]);
  return copy;
}

/* What a name and a domain must not hold; the name may hold separators, the domain none. */
static bool
has_forbidden (EkStr s, bool domain)
{
  for (gsize i = 0; i < s.n; i++) {
    guchar c = (guchar) s.p[i];
    if (c < ' ' || c == 127 || (c == 0xc2 && i + 1 < s.n && (guchar) s.p[i + 1] < 0xa0))      /* C1 */
      return true;
    if (domain && strchr (" @/\\\"<>(),;", c) != NULL)
      return true;
  }
  return false;
}

/* The key of an ASCII domain: lower case, without the root's dot. */
static const char *
ascii_domain (EkPool *pool, EkStr domain, EkStr *key)
{
  if (domain.n > 1 && domain.p[domain.n - 1] == '.')
    domain.n--;
  if (domain.n == 0)
    return "the domain is missing";
  if (domain.n > EK_DOMAIN_MAX)
    return "the domain is longer than 255 octets";
  if (has_forbidden (domain, true))
    return "a character that may not stand in a domain";
  if (domain.p[0] == '.' || domain.p[domain.n - 1] == '.' || memmem (domain.p, domain.n, "..", 2))
    return "a label is missing in the domain";
  *key = (EkStr) { lower (pool, domain), domain.n };
  return NULL;
}

const char *
ek_domain_key (EkPool *pool, EkStr domain, EkStr *key)
{
  char text[EK_DOMAIN_MAX + 1], *ace = NULL;

  if (is_ascii (domain))
    return ascii_domain (pool, domain, key);
  if (domain.n > EK_DOMAIN_MAX)
    return "the domain is longer than 255 octets";
  if (has_forbidden (domain, true))
    return "a character that may not stand in a domain";
  memcpy (text, domain.p, domain.n);
  text[domain.n] = 0;
  int rc = idn2_to_ascii_8z (text, &ace, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
  /* checked again: compatibility mapping makes "a/c" of U+2100, '@' of U+FF20, '.' of U+3002 */
  const char *why = rc == IDN2_OK ? ascii_domain (pool, ek_str (ace), key)
                                  : "the domain is not a valid internationalised name";
  idn2_free (ace);
  return why;
}

/* NFC, and case folding when asked for.  NFC comes last: folding can undo it. */
static const char *
local_key (EkPool *pool, EkStr local, bool fold, EkStr *key)
{
  if (is_ascii (local)) {
    *key = fold ? (EkStr) { lower (pool, local), local.n } : ek_pool_str (pool, local);
    return NULL;
  }
  const uint8_t *from = (const uint8_t *) local.p;
  if (u8_check (from, local.n) != NULL)
    return "the name is not valid UTF-8";
  size_t n = 0;
  uint8_t *made = fold ? u8_casefold (from, local.n, NULL, UNINORM_NFC, NULL, &n)
                       : u8_normalize (UNINORM_NFC, from, local.n, NULL, &n);
  if (made == NULL || n > LOGIN_MAX) {
    free (made);
    return "the name is too long";
  }
  *key = ek_pool_str (pool, (EkStr) { (const char *) made, n });
  free (made);
  return NULL;
}

/* Cuts `address` at its @: the one behind a closing quote, else the last one. */
static const char *
cut (EkPool *pool, EkStr address, EkStr *local, EkStr *domain, bool *has_domain)
{
  char *copy = ek_pool_alloc (pool, address.n + 1);
  gsize n = 0, i;

  *has_domain = false;
  if (address.n == 0 || address.p[0] != '"') {
    const char *sign = address.n > 0 ? memrchr (address.p, '@', address.n) : NULL;
    n = sign ? (gsize) (sign - address.p) : address.n;
    *local = (EkStr) { address.p, n };
    *has_domain = sign != NULL;
    if (sign)
      *domain = (EkStr) { sign + 1, address.n - n - 1 };
    return NULL;
  }
  for (i = 1; i < address.n && address.p[i] != '"'; i++) {
    if (address.p[i] == '\\' && i + 1 < address.n)
      i++;
    copy[n++] = address.p[i];
  }
  if (i >= address.n)
    return "the quoted local part has no end";
  *local = (EkStr) { copy, n };
  if (++i < address.n && address.p[i] != '@')
    return "something stands behind the quoted local part";
  *has_domain = i < address.n;
  if (*has_domain)
    *domain = (EkStr) { address.p + i + 1, address.n - i - 1 };
  return NULL;
}

static bool
file_name (EkStr s)
{
  return s.n > 0 && s.p[0] != '.' && memchr (s.p, '/', s.n) == NULL;
}

static const char *
check_local (EkStr local)
{
  if (local.n == 0)
    return "the name is empty";
  if (local.n > LOGIN_MAX)
    return "the name is too long";
  return has_forbidden (local, false) ? "a control character in the name" : NULL;
}

static EkStr
join (EkPool *pool, EkStr local, EkStr domain)
{
  if (domain.n == 0)
    return ek_pool_str (pool, local);
  char *s = ek_pool_alloc (pool, local.n + domain.n + 2);
  memcpy (s, local.p, local.n);
  s[local.n] = '@';
  memcpy (s + local.n + 1, domain.p, domain.n);
  return (EkStr) { s, local.n + domain.n + 1 };
}

const char *
ek_address_key (EkPool *pool, EkStr address, guint flags, const char *delimiters, EkAddressKey *key)
{
  EkStr local, domain = EK_STR ("");
  bool has_domain;
  const char *why;

  *key = (EkAddressKey) { .domain = EK_STR (""), .tag = { NULL, 0 } };
  if (address.n > 2 * LOGIN_MAX + EK_DOMAIN_MAX)     /* a quoted name may be escaped throughout */
    return "the address is too long";
  if ((why = cut (pool, address, &local, &domain, &has_domain)) || (why = check_local (local)))
    return why;
  if (has_domain && (why = ek_domain_key (pool, domain, &key->domain)))
    return why;
  if ((why = local_key (pool, local, flags & EK_KEY_FOLD, &local)))
    return why;
  key->local = local;
  key->full = join (pool, local, key->domain);
  for (gsize i = 1; delimiters && i < local.n; i++)
    if (strchr (delimiters, local.p[i]) != NULL) {
      key->local = ek_pool_str (pool, (EkStr) { local.p, i });
      key->tag = (EkStr) { local.p + i + 1, local.n - i - 1 };
      break;
    }
  key->key = join (pool, key->local, key->domain);
  key->path_safe = file_name (key->local) && (key->domain.n == 0 || file_name (key->domain));
  return NULL;
}
