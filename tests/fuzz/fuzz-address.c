/* fuzz-address.c - paths, keys and address lists of any bytes
 * SPDX-License-Identifier: Apache-2.0 */
/* covers: core/mail/address.c core/mail/addresskey.c core/mail/addresslist.c */
/* options: -max_len=4096 */
#include "fuzz.h"
#include "mail/address.h"
#include <string.h>
#include <unistr.h>

/* What was taken is within the limits, and its written form is taken again and means the same. */
static void
check_path (EkPool *pool, EkStr text, guint flags)
{
  EkAddress a, again;
  gsize used;
  const char *why = ek_address_path (pool, text, flags, &a, &used);

  g_assert (used <= text.n);
  if (why) {
    g_assert (why[0] != 0);
    return;
  }
  g_assert (a.address.n <= EK_ADDRESS_MAX && a.local.n <= EK_LOCAL_MAX && a.domain.n <= EK_DOMAIN_MAX);
  g_assert (a.address.p[a.address.n] == 0 && strlen (a.address.p) == a.address.n);
  g_assert (u8_check ((const uint8_t *) a.address.p, a.address.n) == NULL);
  for (gsize i = 0; i < a.address.n; i++)
    g_assert ((guchar) a.address.p[i] >= ' ' && a.address.p[i] != 127);
  if (a.address.n > 0) {
    g_assert (ek_address_parse (pool, a.address, flags, &again) == NULL);
    g_assert (ek_str_eq (again.local, a.local) && ek_str_eq (again.domain, a.domain));
    g_assert (again.literal == a.literal && again.utf8 == a.utf8);
  }
}

/* A key is clean, and the key of a key is itself. */
static void
check_key (EkPool *pool, EkStr text, guint flags)
{
  EkAddressKey key, again;

  if (ek_address_key (pool, text, flags, "+", &key) != NULL)
    return;
  g_assert (strlen (key.key.p) == key.key.n && u8_check ((const uint8_t *) key.key.p, key.key.n) == NULL);
  g_assert (memchr (key.domain.p, '@', key.domain.n) == NULL && memchr (key.domain.p, '/', key.domain.n) == NULL);
  for (gsize i = 0; i < key.domain.n; i++)
    g_assert ((guchar) key.domain.p[i] > ' ' && (guchar) key.domain.p[i] < 127);
  g_assert (!key.path_safe || (key.local.p[0] != '.' && memchr (key.local.p, '/', key.local.n) == NULL));
  if (key.local.p[0] == '"' || (key.domain.n == 0 && memchr (key.local.p, '@', key.local.n)))
    return;                          /* such a name has to be written in quotes */
  const char *why = ek_address_key (pool, key.key, flags, NULL, &again);
  g_assert (why == NULL);
  g_assert (ek_str_eq (again.key, key.key));
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  guint flags = size > 0 ? data[0] : 0, n = 0;
  EkStr text = { (const char *) data + 1, size > 0 ? size - 1 : 0 };

  if (size == 0)
    return 0;
  check_path (pool, text, flags & 63);
  check_key (pool, text, flags & 1);
  for (EkListAddr *a = ek_address_list (pool, text, 0); a; a = a->next, n++)
    g_assert (a->mailbox.p || a->host.p == NULL);
  g_assert (n <= size + 1);
  return 0;
}
