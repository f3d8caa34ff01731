/* mechanism.c - OAUTHBEARER (RFC 7628) and XOAUTH2: a name and a token, taken out of the client's message
 * SPDX-License-Identifier: Apache-2.0 */
#include "oauth.h"
#include <string.h>

#define KVSEP '\001'

/* Takes what is before the next `end` off; a NULL p when there is no `end`. */
static EkStr
until (EkStr *rest, char end)
{
  const char *at = rest->n > 0 ? memchr (rest->p, end, rest->n) : NULL;

  if (at == NULL)
    return (EkStr) { NULL, 0 };
  EkStr word = { rest->p, (gsize) (at - rest->p) };
  *rest = (EkStr) { at + 1, rest->n - word.n - 1 };
  return word;
}

/* auth=Bearer TOKEN, among key=value pairs that each end in KVSEP; a KVSEP ends them all.  A NULL p: malformed. */
static EkStr
find_token (EkStr rest)
{
  static const EkStr auth = { "auth=", 5 }, bearer = { "Bearer ", 7 };
  EkStr token = { NULL, 0 };

  for (;;) {
    EkStr pair = until (&rest, KVSEP);
    if (pair.p == NULL)
      return (EkStr) { NULL, 0 };
    if (pair.n == 0)
      return rest.n == 0 ? token : (EkStr) { NULL, 0 };
    if (!ek_str_istarts (pair, auth))
      continue;
    EkStr value = { pair.p + auth.n, pair.n - auth.n };
    if (token.p || !ek_str_istarts (value, bearer))          /* RFC 7235: the scheme in any case */
      return (EkStr) { NULL, 0 };
    token = ek_str_trim ((EkStr) { value.p + bearer.n, value.n - bearer.n });
  }
}

static EkSaslStep
login (EkSasl *sasl, EkStr name, EkStr pairs)
{
  EkStr token = find_token (pairs);

  if (token.p == NULL)
    return EK_SASL_FAIL;
  ek_sasl_login (sasl, EK_STR (""), name, token);
  return EK_SASL_VERIFY;
}

/* saslname (RFC 5801): =2C is a comma, =3D an equal sign. */
static bool
decode_name (EkStr text, char name[static 256], gsize *n)
{
  *n = 0;
  for (gsize i = 0; i < text.n; i++) {
    EkStr code = { text.p + i, MIN ((gsize) 3, text.n - i) };
    char c = text.p[i];
    if (c == '=' && (ek_str_eq (code, EK_STR ("=2C")) || ek_str_eq (code, EK_STR ("=3D")))) {
      c = code.p[2] == 'C' ? ',' : '=';
      i += 2;
    }
    else if (c == '=')
      return false;
    if (*n == 255)
      return false;
    name[(*n)++] = c;
  }
  return *n > 0;
}

/* n,a=user@example.com,^Ahost=...^Aport=...^Aauth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==^A^A
 * RFC 7628 lets a client leave the name to the token; here it says which domain, and so which backends, are asked. */
static EkSaslStep
bearer_step (EkSasl *sasl, gpointer state, EkStr response)
{
  EkStr rest = response;
  char name[256];
  gsize n;

  if (response.p == NULL) {
    ek_sasl_challenge (sasl, EK_STR (""));
    return EK_SASL_MORE;
  }
  EkStr binding = until (&rest, ','), authzid = until (&rest, ',');
  if (!(ek_str_eq (binding, EK_STR ("n")) || ek_str_eq (binding, EK_STR ("y"))) || !ek_str_starts (authzid, EK_STR ("a="))
      || !decode_name ((EkStr) { authzid.p + 2, authzid.n - 2 }, name, &n) || rest.n == 0 || rest.p[0] != KVSEP)
    return EK_SASL_FAIL;
  return login (sasl, (EkStr) { name, n }, (EkStr) { rest.p + 1, rest.n - 1 });
}

/* user=someuser@example.com^Aauth=Bearer ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg^A^A */
static EkSaslStep
xoauth2_step (EkSasl *sasl, gpointer state, EkStr response)
{
  EkStr rest = response;

  if (response.p == NULL) {
    ek_sasl_challenge (sasl, EK_STR (""));
    return EK_SASL_MORE;
  }
  EkStr user = until (&rest, KVSEP);
  if (!ek_str_starts (user, EK_STR ("user=")))
    return EK_SASL_FAIL;
  return login (sasl, (EkStr) { user.p + 5, user.n - 5 }, rest);
}

/* ---- why not: RFC 7628 section 3.2.2 ---- */

static void
say_error (EkSasl *sasl, json_t *error)
{
  const EkAccount *account = ek_sasl_account (sasl);
  static const struct { const char *field, *key; } rows[] = { { "oauth_scope", "scope" }, { "oauth_configuration", "openid-configuration" } };

  for (guint i = 0; account && i < G_N_ELEMENTS (rows); i++) {
    EkStr value = ek_param (account->fields, account->n_fields, rows[i].field);
    if (value.n > 0)
      json_object_set_new (error, rows[i].key, json_stringn (value.p, value.n));
  }
  char *text = json_dumps (error, JSON_COMPACT | JSON_ENSURE_ASCII);
  ek_sasl_challenge (sasl, ek_str (text ? text : "{}"));
  free (text);
  json_decref (error);
}

static void
bearer_refused (EkSasl *sasl, gpointer state)
{
  say_error (sasl, json_pack ("{s:s}", "status", "invalid_token"));
}

static void
xoauth2_refused (EkSasl *sasl, gpointer state)
{
  say_error (sasl, json_pack ("{s:s, s:s}", "status", "401", "schemes", "bearer"));
}

static const EkMechanismOps bearer = {
  .name = "OAUTHBEARER", .plaintext = true, .token = true, .step = bearer_step, .refused = bearer_refused,
};
static const EkMechanismOps xoauth2 = {
  .name = "XOAUTH2", .plaintext = true, .token = true, .step = xoauth2_step, .refused = xoauth2_refused,
};
const EkMechanismOps *const oauth_mechanisms[] = { &bearer, &xoauth2, NULL };
