/* remember.c - logins that succeeded, for the time that a backend is away
 * SPDX-License-Identifier: Apache-2.0
 *
 * What is kept of a secret is its HMAC under a key that this process made for itself.  Only a right secret is kept, and only a clean
 * answer of the backends changes or removes it: an outage empties nothing.  Another secret than the one that is remembered always asks
 * them, so that a new password counts at once; the old one goes with the first login that hears "wrong password" for it, or when its
 * time is over.  Of several backends those count that had said "right": when one of them says otherwise now, an outage of the rest
 * brings the old answer not back.  A login counts for the services that it was right for (a query may ask by :service), and where a passdb
 * was told the client's address, from that alone.  Tokens are not kept: each says itself how long it is good. */
#include "auth/private.h"
#include "module/fingerprint.h"
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

typedef struct {
  guchar    hmac[32];
  guint64   right_by;                /* whose word it was, as in the run */
  char      services[64];            /* "imap,smtp,": for which it was right */
  const char *client;                /* NULL: whence he comes does not matter */
  EkAccount account;                 /* fields alone */
  EkUser    user;
} Remembered;

static bool
serves (const Remembered *r, const char *service)
{
  gsize n = strlen (service);

  for (const char *p = r->services; *p; p = strchr (p, ',') + 1)
    if (strncmp (p, service, n) == 0 && p[n] == ',')
      return true;
  return false;
}

/* Those of `before`, of the same secret, and this one; what has no room is left out, and asked for. */
static void
add_services (Remembered *r, const char *before, const char *service)
{
  gsize n = g_strlcpy (r->services, before, sizeof r->services);

  if (!serves (r, service) && n + strlen (service) + 2 <= sizeof r->services)
    g_snprintf (r->services + n, sizeof r->services - n, "%s,", service);
}

void
ek_auth_configure (EkAuth *auth, const EkAuthConf *conf)
{
  ek_auth_rehash_forget ();
  auth->logins = ek_cache_renew (auth->logins, &(EkCacheConf) { .fresh = conf->cache, .stale = conf->cache_stale,
                                                                .entries_max = (guint) conf->cache_max });
}

static void
add_texts (EkBuf *out, char *const *list)
{
  for (guint i = 0; list && list[i]; i++)
    ek_buf_append (out, list[i], strlen (list[i]) + 1);
  ek_buf_appendc (out, '\0');
}

/* The key, of the name and of who is asked about it, and how (another listener may bind others, and a reload make others of them), and
 * the secret's HMAC: made once a login. */
static void
make_key (EkAuthRun *run)
{
  const EkAuthChain *c = &run->chain;
  EkBuf out = { 0 };
  guint n = sizeof run->memory_hmac;

  if (run->memory_key.p)
    return;
  ek_buf_append (&out, run->login.name, strlen (run->login.name) + 1);
  ek_fingerprints_append (&out, c->passdbs);
  ek_fingerprints_append (&out, c->userdbs);
  ek_fingerprints_append (&out, c->deny);
  ek_fingerprints_append (&out, c->after_right);
  ek_fingerprints_append (&out, c->after_wrong);
  ek_fingerprints_append (&out, c->after_outage);
  add_texts (&out, c->results);
  add_texts (&out, c->as ? c->as_user_results : c->user_results);
  ek_buf_appendc (&out, c->prefetch ? 'p' : '-');
  if (c->as) {                         /* a master's login is none of his own, nor of the user's */
    ek_buf_append (&out, c->as, strlen (c->as) + 1);
    ek_fingerprints_append (&out, c->as_passdbs);
    ek_fingerprints_append (&out, c->as_userdbs);
  }
  run->memory_key = ek_pool_str (run->pool, ek_buf_str (&out));
  ek_buf_release (&out);
  HMAC (EVP_sha256 (), run->auth->key, sizeof run->auth->key, (const guchar *) run->login.secret.p, run->login.secret.n, run->memory_hmac, &n);
}

/* Without a secret a mechanism has decided, and nothing is there that a later login could be compared with. */
static bool
may_keep (const EkAuthRun *run)
{
  return run->auth->logins && run->login.secret.n > 0 && !run->login.token;
}

/* The entry when it holds this secret. */
static const Remembered *
find (EkAuthRun *run, bool stale)
{
  if (!may_keep (run))
    return NULL;
  make_key (run);
  const EkCached *c = ek_cache_find (run->auth->logins, run->memory_key, ek_now ());
  const Remembered *r = c && (c->fresh || stale) ? c->data : NULL;
  return r && ek_str_same_secret ((EkStr) { (const char *) run->memory_hmac, sizeof run->memory_hmac },
                                  (EkStr) { (const char *) r->hmac, sizeof r->hmac }) ? r : NULL;
}

bool
ek_auth_recall (EkAuthRun *run, bool stale)
{
  const Remembered *r = find (run, stale);

  if (r == NULL || !serves (r, run->login.service) || (r->client && g_strcmp0 (r->client, run->login.client) != 0))
    return false;
  if (r->right_by & run->no_by) {
    ek_cache_remove (run->auth->logins, run->memory_key);
    return false;
  }
  run->account = ek_auth_copy_account (run->pool, &r->account);
  run->user = ek_auth_copy_user (run->pool, &r->user);
  run->recalled = true;
  return true;
}

void
ek_auth_remember (EkAuthRun *run)
{
  char before[sizeof ((Remembered *) NULL)->services] = "";

  if (run->recalled || run->user_outage || !may_keep (run))
    return;
  const Remembered *old = find (run, true);
  if (old && g_strcmp0 (old->client, run->by_client ? run->login.client : NULL) == 0)      /* those of another client are not his */
    g_strlcpy (before, old->services, sizeof before);
  EkCached *c = ek_cache_put (run->auth->logins, run->memory_key, EK_OK, ek_now ());
  if (c == NULL)
    return;
  Remembered *r = c->data = ek_pool_new0 (c->pool, Remembered);
  EkAccount fields = { .fields = run->account.fields, .n_fields = run->account.n_fields };
  memcpy (r->hmac, run->memory_hmac, sizeof r->hmac);
  r->right_by = run->right_by;
  r->client = run->by_client ? ek_pool_strdup (c->pool, run->login.client ? run->login.client : "") : NULL;
  add_services (r, before, run->login.service);
  r->account = ek_auth_copy_account (c->pool, &fields);
  r->user = ek_auth_copy_user (c->pool, &run->user);
}

void
ek_auth_forget (EkAuthRun *run, bool all)
{
  if (!run->auth->logins || !(all || find (run, true)))
    return;
  make_key (run);
  ek_cache_remove (run->auth->logins, run->memory_key);
}
