/* sasl.c - runs mechanisms: bounds, order, what is kept and wiped
 * SPDX-License-Identifier: Apache-2.0 */
#include "auth/sasl.h"
#include "auth/private.h"
#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistr.h>

#define ROUNDS_MAX     8
#define MECHANISMS_MAX 32

struct EkSasl {
  const EkMechanismOps *mechanism;
  gpointer    state;
  guint       rounds;
  bool        over;
  bool        looking;               /* LOOKUP, and its answer has not come */
  bool        refused;               /* but for the client's answer to the last word */
  bool        named;                 /* ek_sasl_login() or _name() was called and its words were good */
  const char *why;
  EkPool     *pool;                  /* of what follows */
  EkClient    client;
  EkAccount   account;
  bool        known;                 /* account is set */
  EkStr       like;
  const char *name;                  /* canonical */
  EkBuf       challenge;
  EkSaslFacts facts;
  char       *kept;                  /* holds the facts */
  gsize       kept_len;
};

static _Atomic (const EkMechanismOps *) known[MECHANISMS_MAX];

void
ek_sasl_register (const EkMechanismOps *const *mechanisms)
{
  for (; *mechanisms; mechanisms++)
    for (guint i = 0; ; i++) {
      const EkMechanismOps *there = NULL;
      if (i == MECHANISMS_MAX)
        g_error ("more than %d SASL mechanisms", MECHANISMS_MAX);
      if (atomic_compare_exchange_strong (&known[i], &there, *mechanisms)
          || strcmp (there->name, (*mechanisms)->name) == 0)
        break;
    }
}

const EkMechanismOps *
ek_sasl_find (EkStr name)
{
  for (guint i = 0; i < MECHANISMS_MAX && atomic_load (&known[i]); i++)
    if (ek_str_ieq (name, ek_str (atomic_load (&known[i])->name)))
      return atomic_load (&known[i]);
  return NULL;
}

EkSasl *
ek_sasl_new (const EkMechanismOps *mechanism, const EkClient *client)
{
  EkSasl *sasl = g_new0 (EkSasl, 1);

  sasl->mechanism = mechanism;
  sasl->pool = ek_pool_new ();
  if (client)
    sasl->client = (EkClient) {
      .address = ek_pool_strdup (sasl->pool, client->address), .tls = client->tls,
      .tls_exporter = client->tls_exporter.n ? ek_pool_str (sasl->pool, client->tls_exporter) : (EkStr) { NULL, 0 },
      .tls_endpoint = client->tls_endpoint.n ? ek_pool_str (sasl->pool, client->tls_endpoint) : (EkStr) { NULL, 0 },
      .tls_peer = ek_pool_strdup (sasl->pool, client->tls_peer),
    };
  sasl->state = g_malloc0 (MAX (mechanism->state_size, 1));
  return sasl;
}

static void
forget (EkSasl *sasl)
{
  ek_wipe (sasl->kept, sasl->kept_len);
  g_clear_pointer (&sasl->kept, g_free);
  sasl->facts = (EkSaslFacts) { 0 };
  sasl->named = false;
}

void
ek_sasl_free (EkSasl *sasl)
{
  if (sasl == NULL)
    return;
  forget (sasl);
  ek_pool_free (sasl->pool);
  ek_buf_wipe (&sasl->challenge);
  ek_wipe (sasl->state, sasl->mechanism->state_size);
  g_free (sasl->state);
  g_free (sasl);
}

static EkSaslStep
fail (EkSasl *sasl, const char *why)
{
  forget (sasl);
  sasl->over = true;
  if (sasl->why == NULL)
    sasl->why = why;
  return EK_SASL_FAIL;
}

static EkSaslStep
run_step (EkSasl *sasl, EkStr response)
{
  bool answered = sasl->looking;

  ek_buf_clear (&sasl->challenge);
  sasl->looking = false;
  EkSaslStep step = sasl->mechanism->step (sasl, sasl->state, response);
  if (step == EK_SASL_FAIL || sasl->why)
    return fail (sasl, "the response is malformed");
  if ((step == EK_SASL_VERIFY || step == EK_SASL_LOOKUP) && !sasl->named)
    return fail (sasl, "the mechanism named nobody");
  if ((step == EK_SASL_LOOKUP && (answered || sasl->name)) || ((step == EK_SASL_OK || step == EK_SASL_REFUSE) && !sasl->name))
    return fail (sasl, "the mechanism is out of step");
  if (step == EK_SASL_OK && !sasl->known)
    step = EK_SASL_REFUSE;
  sasl->looking = step == EK_SASL_LOOKUP;
  sasl->over = step != EK_SASL_MORE && step != EK_SASL_LOOKUP;
  return step;
}

EkSaslStep
ek_sasl_step (EkSasl *sasl, EkStr response)
{
  if (sasl->refused) {
    sasl->refused = false;
    return EK_SASL_REFUSE;
  }
  if (sasl->over || sasl->looking)
    return fail (sasl, "the exchange is over");
  if (response.n > EK_SASL_RESPONSE_MAX)
    return fail (sasl, "the response is too long");
  if (++sasl->rounds > ROUNDS_MAX)
    return fail (sasl, "too many rounds");
  return run_step (sasl, response);
}

static void
keep_account (EkSasl *sasl, const EkAccount *account)
{
  sasl->known = account != NULL;
  if (account)
    sasl->account = ek_auth_copy_account (sasl->pool, account);
}

EkSaslStep
ek_sasl_answer (EkSasl *sasl, const EkAccount *account, EkStr like, const char *name)
{
  if (!sasl->looking)
    return fail (sasl, "the exchange is over");
  keep_account (sasl, account);
  sasl->like = ek_auth_copy_secret (sasl->pool, like.p ? like : EK_STR (""));
  sasl->name = ek_pool_strdup (sasl->pool, name);
  return run_step (sasl, (EkStr) { NULL, 0 });
}

EkSaslStep
ek_sasl_refused (EkSasl *sasl, const EkAccount *account)
{
  if (sasl->mechanism->refused == NULL || !sasl->over || sasl->why)
    return EK_SASL_REFUSE;
  keep_account (sasl, account);
  ek_buf_clear (&sasl->challenge);
  sasl->mechanism->refused (sasl, sasl->state);
  sasl->refused = true;
  return EK_SASL_MORE;
}

/* ---- what mechanisms ask ---- */

const EkAccount *
ek_sasl_account (const EkSasl *sasl)
{
  return sasl->known ? &sasl->account : NULL;
}

const EkClient *
ek_sasl_client (const EkSasl *sasl)
{
  return &sasl->client;
}

static EkStr
open_stored (EkSasl *sasl, EkStr stored, const char *scheme)
{
  EkBuf out = { 0 };
  EkStr found = { NULL, 0 };

  ek_buf_room (&out, stored.n + 1);    /* no copies left behind */
  if (stored.p && ek_password_open (stored, scheme, &out))
    found = ek_auth_copy_secret (sasl->pool, ek_buf_str (&out));
  ek_buf_wipe (&out);
  return found;
}

EkStr
ek_sasl_stored (EkSasl *sasl, const char *scheme)
{
  return open_stored (sasl, sasl->known ? sasl->account.stored : (EkStr) { NULL, 0 }, scheme);
}

EkStr
ek_sasl_like (EkSasl *sasl, const char *scheme)
{
  return open_stored (sasl, sasl->like, scheme);
}

static guint8 noise_key[EK_SASL_NOISE_LEN];
static atomic_bool have_noise;

static void
make_noise (void)
{
  if (!atomic_load (&have_noise))
    ek_random (noise_key, sizeof noise_key);
}

void
ek_sasl_use_noise (EkStr key)
{
  if (key.n != sizeof noise_key)
    return;
  memcpy (noise_key, key.p, key.n);
  atomic_store (&have_noise, true);
}

void
ek_sasl_noise (const EkSasl *sasl, const char *label, void *bytes, gsize n)
{
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  guint8 block[EVP_MAX_MD_SIZE];
  guint8 *out = bytes;
  size_t len = 0;

  pthread_once (&once, make_noise);
  for (guint i = 0; n > 0; i++) {
    g_autofree char *text = g_strdup_printf ("%u %s %s", i, label, sasl->name ? sasl->name : "");
    if (EVP_Q_mac (NULL, "HMAC", NULL, "SHA256", NULL, noise_key, sizeof noise_key, (const guchar *) text, strlen (text), block,
                   sizeof block, &len) == NULL)
      g_error ("OpenSSL offers no HMAC-SHA256");
    gsize take = MIN (n, len);
    memcpy (out, block, take);
    out += take;
    n -= take;
  }
}

void
ek_sasl_challenge (EkSasl *sasl, EkStr bytes)
{
  ek_buf_clear (&sasl->challenge);
  ek_buf_append (&sasl->challenge, bytes.p, bytes.n);
}

static bool
is_name (EkStr name)
{
  return name.n > 0 && name.n <= EK_SASL_NAME_MAX && !memchr (name.p, '\0', name.n)
         && u8_check ((const uint8_t *) name.p, name.n) == NULL;
}

static void
keep_facts (EkSasl *sasl, EkStr authzid, EkStr authcid, EkStr secret)
{
  if (!is_name (authcid))
    sasl->why = "the name is empty, longer than 255 bytes or not UTF-8";
  else if (authzid.n > 0 && !is_name (authzid))
    sasl->why = "the authorization identity is longer than 255 bytes or not UTF-8";
  if (sasl->why)
    return;
  if (ek_str_ieq (authzid, authcid))
    authzid.n = 0;
  sasl->kept_len = authcid.n + secret.n + authzid.n + 3;
  sasl->kept = g_malloc0 (sasl->kept_len);
  char *secret_at = sasl->kept + authcid.n + 1, *authzid_at = secret_at + secret.n + 1;
  memcpy (sasl->kept, authcid.p, authcid.n);
  if (secret.n > 0)
    memcpy (secret_at, secret.p, secret.n);
  if (authzid.n > 0)
    memcpy (authzid_at, authzid.p, authzid.n);
  sasl->facts = (EkSaslFacts) {
    .authcid = { sasl->kept, authcid.n }, .secret = { secret_at, secret.n }, .authzid = { authzid.n > 0 ? authzid_at : NULL, authzid.n },
  };
  sasl->named = true;
}

void
ek_sasl_login (EkSasl *sasl, EkStr authzid, EkStr authcid, EkStr secret)
{
  gsize max = sasl->mechanism->token ? EK_SASL_RESPONSE_MAX : EK_PASSWORD_MAX;

  forget (sasl);
  if (secret.n == 0 || secret.n > max || memchr (secret.p, '\0', secret.n))
    sasl->why = "the password is empty, too long or has a NUL";
  else
    keep_facts (sasl, authzid, authcid, secret);
}

void
ek_sasl_name (EkSasl *sasl, EkStr authzid, EkStr authcid)
{
  forget (sasl);
  if (authzid.n > 0 && !ek_str_ieq (authzid, authcid))
    sasl->why = "by this mechanism nobody may act as another (authorization identity)";
  else
    keep_facts (sasl, authzid, authcid, EK_STR (""));
}

EkStr
ek_sasl_text (const EkSasl *sasl)
{
  return ek_buf_str (&sasl->challenge);
}

const EkSaslFacts *
ek_sasl_facts (const EkSasl *sasl)
{
  return sasl->named && (sasl->over || sasl->looking) && !sasl->why ? &sasl->facts : NULL;
}

const char *
ek_sasl_why (const EkSasl *sasl)
{
  return sasl->why;
}

const EkMechanismOps *
ek_sasl_mechanism (const EkSasl *sasl)
{
  return sasl->mechanism;
}

EkSaslLine
ek_sasl_line (EkStr line, bool initial, EkBuf *out)
{
  if (ek_str_eq (line, EK_STR ("*")))
    return EK_SASL_LINE_ABORT;
  if (line.n > EK_SASL_LINE_MAX)
    return EK_SASL_LINE_BAD;
  if (initial && ek_str_eq (line, EK_STR ("=")))
    return EK_SASL_LINE_OK;
  return ek_base64_decode (line, out) ? EK_SASL_LINE_OK : EK_SASL_LINE_BAD;
}
