/* sasl_oauth.c - bearer tokens: mechanisms OAUTHBEARER and XOAUTH2, and the passdb that judges what they bring
 * SPDX-License-Identifier: Apache-2.0
 *
 * A token that its issuer has signed is judged here, by the issuer's keys; any other is shown to the issuer.
 */
#include "oauth.h"
#include <string.h>

static const EkOption options[] = {
  EK_OPTION (OAuth, keys, "", "The issuer's keys, a JWKS (RFC 7517): read(\"/etc/ekiden/jwks.json\"). Tokens signed by one of them (JWT: RS256, "
             "ES256, HS256) are judged without asking anybody. Reload after they have changed."),
  EK_OPTION (OAuth, introspection_url, "", "Where the issuer tells what a token is worth (RFC 7662): https://idp.example.com/introspect. Asked "
             "about tokens that keys cannot judge. Empty: they are refused."),
  EK_OPTION (OAuth, client_id, "", "Who asks there. Empty: nobody is named."),
  EK_OPTION (OAuth, client_secret, "", "The password of client_id: file(\"/etc/ekiden/oauth.secret\")."),
  EK_OPTION (OAuth, ca_file, "", "PEM file of the authorities that may vouch for that server. Empty: the system's."),
  EK_OPTION (OAuth, issuer, "", "The claim `iss` that a token must have; one of another issuer is left to the next passdb. Empty: any."),
  EK_OPTION (OAuth, audience, "[]", "A token must be for one of these (claim `aud`). Empty: for anybody, which makes every token that the issuer "
             "gives to any service a login here."),
  EK_OPTION (OAuth, scope, "[]", "Scopes that a token must have, all of them."),
  EK_OPTION (OAuth, name_claim, "email", "The claim that has to be the name that logs in: email, username, preferred_username, sub."),
  EK_OPTION (OAuth, leeway, "30s", "How far the clocks may differ when exp and nbf are looked at.", .allow = "0..10m"),
  EK_OPTION (OAuth, openid_configuration, "", "URL of the issuer's configuration, told to clients that were refused (RFC 7628)."),
  EK_OPTIONS_END
};

/* ---- judging ---- */

static OAuthResult
judge (const OAuth *self, EkCall *call, const EkLogin *login, const char **why)
{
  json_t *claims = NULL;
  OAuthResult result = OAUTH_BAD;
  bool by_keys = self->parsed && oauth_is_jwt (login->secret);

  *why = NULL;
  if (by_keys ? self->issuer && !oauth_jwt_says_from (login->secret, self->issuer) : self->introspection_url == NULL)
    return OAUTH_OTHER;                /* nothing that can be judged here: the next passdb may know it */
  if (by_keys && (claims = oauth_jwt_claims (self->parsed, login->secret, why)))
    result = OAUTH_GOOD;
  else if (!by_keys) {
    *why = "the issuer says that the token is not active";
    result = oauth_introspect (self, call, login->secret, &claims, &call->error);
  }
  if (result == OAUTH_GOOD && by_keys && json_object_get (claims, "exp") == NULL) {
    *why = "the token never expires";
    result = OAUTH_BAD;
  }
  if (result == OAUTH_GOOD)
    result = oauth_check_claims (self, claims, login->name, g_get_real_time () / G_USEC_PER_SEC, why);
  json_decref (claims);
  return result;
}

/* What a client that was refused is told. */
static void
explain (const OAuth *self, EkPool *pool, EkAccount *account)
{
  EkParam *fields = ek_pool_newv (pool, EkParam, 2);

  if (self->scope[0]) {
    g_autofree char *all = g_strjoinv (" ", self->scope);
    fields[account->n_fields++] = (EkParam) { "oauth_scope", ek_pool_str (pool, ek_str (all)) };
  }
  if (self->openid_configuration)
    fields[account->n_fields++] = (EkParam) { "oauth_configuration", ek_str (self->openid_configuration) };
  account->fields = fields;
}

static EkStatus
verify (EkInstance *base, EkCall *call, const EkLogin *login, EkAccount *account)
{
  const OAuth *self = (const OAuth *) base;
  const char *why;

  switch (judge (self, call, login, &why)) {
  case OAUTH_GOOD:
    return EK_OK;
  case OAUTH_OTHER:
    return EK_NOTFOUND;
  case OAUTH_UNKNOWN:
    return EK_DEFER;
  default:
    ek_log (EK_INFO, "auth", "%s: user \"%s\": %s", base->name, login->name, why);
    explain (self, call->pool, account);
    return EK_FAIL;
  }
}

/* ---- life ---- */

static gboolean
init (EkInstance *base, GError **error)
{
  OAuth *self = (OAuth *) base;

  if (self->keys.text == NULL && self->introspection_url == NULL) {
    ek_fail (error, EK_FAIL, 0, "neither keys nor introspection_url is set: one of them has to tell good tokens from bad ones");
    return FALSE;
  }
  if (self->introspection_url && !oauth_check_url (self->introspection_url, error))
    return FALSE;
  if (self->keys.text && (self->parsed = oauth_keys_new (self->keys, error)) == NULL)
    return FALSE;
  return TRUE;
}

static void
stop (EkInstance *base)
{
  g_clear_pointer (&((OAuth *) base)->parsed, g_ptr_array_unref);
}

static const EkPassdbOps passdb = { .verify = verify, .tokens = true };

EK_MODULE (sasl_oauth, .summary = "SASL mechanisms OAUTHBEARER and XOAUTH2, and the passdb of their tokens", .options = options,
           .instance_size = sizeof (OAuth), .init = init, .stop = stop, .connect = oauth_connect, .disconnect = oauth_disconnect,
           .mechanisms = oauth_mechanisms, .passdb = &passdb);
