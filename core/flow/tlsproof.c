/* tlsproof.c - the tls role's word for a client's certificate
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "flow/tlsproof.h"
#include "proc/messages.h"
#include <openssl/evp.h>
#include <string.h>

#define GOOD_US ((gint64) 3600 * G_USEC_PER_SEC)
#define MAC_LEN 32

typedef struct { guint8 mac[MAC_LEN], when[8]; } Proof;

static guint8 key[EK_PROOF_KEY_LEN];
static bool have_key;

void
ek_tls_proof_use_key (EkStr bytes)
{
  if (bytes.n != sizeof key)
    return;
  memcpy (key, bytes.p, sizeof key);
  have_key = true;
}

static bool
make_mac (guint8 mac[static MAC_LEN], const char *name, const char *listener, guint edge, gint64 when)
{
  EkBuf text = { 0 };
  size_t n = 0;

  /* the name last: whatever it holds, it is no other part */
  ek_buf_printf (&text, "%" G_GINT64_FORMAT " %u %" G_GSIZE_FORMAT " %s %s", when, edge, strlen (listener), listener, name);
  bool ok = EVP_Q_mac (NULL, "HMAC", NULL, "SHA256", NULL, key, sizeof key, (const guchar *) ek_buf_at (&text), ek_buf_len (&text), mac,
                       MAC_LEN, &n) && n == MAC_LEN;
  ek_buf_release (&text);
  return ok;
}

EkStr
ek_tls_proof_make (EkPool *pool, const char *name, const char *listener, guint edge, gint64 now)
{
  Proof proof;
  gint64 when = GINT64_TO_LE (now);

  if (!have_key || !make_mac (proof.mac, name, listener, edge, now))
    return (EkStr) { NULL, 0 };
  memcpy (proof.when, &when, sizeof proof.when);
  return ek_pool_str (pool, (EkStr) { (char *) &proof, sizeof proof });
}

bool
ek_tls_proof_good (EkStr bytes, const char *name, const char *listener, guint edge, gint64 now)
{
  guint8 mac[MAC_LEN];
  Proof proof;
  gint64 when;

  if (!have_key || bytes.n != sizeof proof || name == NULL || listener == NULL)
    return false;
  memcpy (&proof, bytes.p, sizeof proof);
  memcpy (&when, proof.when, sizeof when);
  when = GINT64_FROM_LE (when);
  return when <= now && now - GOOD_US < when && make_mac (mac, name, listener, edge, when)
         && ek_str_same_secret ((EkStr) { (char *) mac, MAC_LEN }, (EkStr) { (char *) proof.mac, MAC_LEN });
}
