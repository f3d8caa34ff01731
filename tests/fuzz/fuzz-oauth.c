/* fuzz-oauth.c - bearer tokens (JWT): forged ones, and signed ones with any claims; sets of keys (JWKS)
 * SPDX-License-Identifier: Apache-2.0 */
/* covers: modules/sasl_oauth/jwt.c modules/sasl_oauth/claims.c modules/sasl_oauth/keys.c */
/* options: -max_len=4096 */
#include "fuzz.h"
#include "../../modules/sasl_oauth/oauth.h"
#include "base/log.h"
#include <string.h>

extern const EkModule ek_module_sasl_oauth;

static const char secret[] = "0123456789abcdef0123456789abcdef";
#define SECRET64 "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"

/* A block as the core makes it. */
static OAuth *
instance (void)
{
  static OAuth *self;
  static char *audience[] = { (char *) "mail", NULL }, *scope[] = { (char *) "imap", NULL };
  static char keys[] = "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"k\",\"k\":\"" SECRET64 "\"}]}";

  if (self)
    return self;
  self = g_malloc0 (ek_module_sasl_oauth.instance_size);
  self->base = (EkInstance) { .name = "fuzz", .module = &ek_module_sasl_oauth };
  self->keys = (EkText) { .text = keys, .len = strlen (keys) };
  self->issuer = "https://idp";
  self->name_claim = "email";
  self->audience = audience;
  self->scope = scope;
  self->leeway.us = 60 * G_USEC_PER_SEC;
  g_assert (ek_module_sasl_oauth.init (&self->base, NULL));
  return self;
}

/* OK for nobody but him whom a token that we signed is about. */
static EkStatus
judge (EkStr token)
{
  EkCall call = { .pool = ek_pool_new () };
  EkLogin login = { .service = "imap", .name = "anna@example.com", .given = "anna@example.com", .secret = token, .client = "192.0.2.1", .token = true };
  EkAccount account = { 0 };
  EkStatus status = ek_module_sasl_oauth.passdb->verify (&instance ()->base, &call, &login, &account);

  g_assert (status == EK_OK || status == EK_NOTFOUND || status == EK_FAIL);
  g_assert (call.error == NULL && account.stored.p == NULL);
  ek_pool_free (call.pool);
  return status;
}

static void
append_base64url (GString *out, const void *bytes, gsize n)
{
  g_autofree char *text = g_base64_encode (bytes, n);

  for (const char *p = text; *p && *p != '='; p++)
    g_string_append_c (out, *p == '+' ? '-' : *p == '/' ? '_' : *p);
}

/* "{header}\n{claims}", signed by us: then all of it is read. */
static void
as_signed (EkStr header, EkStr claims)
{
  g_autoptr (GString) token = g_string_new (NULL);
  guint8 mac[EVP_MAX_MD_SIZE];
  size_t n = 0;
  EkBuf back = { 0 };

  append_base64url (token, header.p, header.n);
  g_string_append_c (token, '.');
  append_base64url (token, claims.p, claims.n);
  g_assert (EVP_Q_mac (NULL, "HMAC", NULL, "SHA256", NULL, secret, sizeof secret - 1, (guint8 *) token->str, token->len, mac, sizeof mac, &n));
  g_string_append_c (token, '.');
  gsize at = token->len;
  append_base64url (token, mac, n);
  g_assert (oauth_base64url ((EkStr) { token->str + at, token->len - at }, &back) && ek_buf_len (&back) == n);
  ek_buf_release (&back);
  (void) judge ((EkStr) { token->str, token->len });
  token->str[at] ^= token->str[at] == 'A' ? 'A' ^ 'B' : token->str[at] ^ 'A';
  g_assert (judge ((EkStr) { token->str, token->len }) != EK_OK);
}

static void
as_keys (const uint8_t *data, size_t size)
{
  char *copy = g_strndup ((const char *) data, size);
  g_autoptr (GError) error = NULL;
  const char *why;
  GPtrArray *keys = oauth_keys_new ((EkText) { .text = copy, .len = size }, &error);

  g_assert ((keys == NULL) == (error != NULL));
  if (keys) {
    json_t *claims = oauth_jwt_claims (keys, EK_STR ("eyJhbGciOiJSUzI1NiJ9.e30.c2ln"), &why);
    g_assert (claims == NULL && why);
    g_ptr_array_unref (keys);
  }
  g_free (copy);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  const char *eol = size ? memchr (data, '\n', size) : NULL;

  ek_log_set_level (EK_ERR);
  g_assert (judge ((EkStr) { size ? (const char *) data : "", size }) != EK_OK);
  if (eol)
    as_signed ((EkStr) { (const char *) data, (gsize) (eol - (const char *) data) }, (EkStr) { eol + 1, size - (gsize) (eol + 1 - (const char *) data) });
  else
    as_keys (data, size);
  return 0;
}
