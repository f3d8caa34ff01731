/* claims.c - what a token says: until when, from whom, for whom, what for, about whom
 * SPDX-License-Identifier: Apache-2.0 */
#include "oauth.h"
#include <string.h>

/* A date (RFC 7519 section 2: a number, perhaps with a fraction).  False: there is none; *bad: it is no date. */
static bool
date (const json_t *claims, const char *name, gint64 *value, bool *bad)
{
  const json_t *date = json_object_get (claims, name);

  if (date == NULL)
    return false;
  double number = json_number_value (date);
  *bad |= !json_is_number (date) || !(number >= 0 && number < 1e12);
  *value = *bad ? 0 : (gint64) number;
  return true;
}

/* Is `word` the string, one of the array, or one of the string's words? */
static bool
has (const json_t *value, const char *word, bool words)
{
  const json_t *item;
  gsize i;

  if (json_is_array (value)) {
    json_array_foreach ((json_t *) value, i, item)
      if (json_is_string (item) && strcmp (json_string_value (item), word) == 0)
        return true;
    return false;
  }
  if (!json_is_string (value))
    return false;
  if (!words)
    return strcmp (json_string_value (value), word) == 0;
  g_auto (GStrv) all = g_strsplit (json_string_value (value), " ", -1);
  return g_strv_contains ((const char *const *) all, word);
}

static bool
is_for_us (const OAuth *self, const json_t *claims)
{
  const json_t *audience = json_object_get (claims, "aud");

  for (guint i = 0; self->audience[i]; i++)
    if (has (audience, self->audience[i], false))
      return true;
  return self->audience[0] == NULL;
}

static bool
has_scopes (const OAuth *self, const json_t *claims)
{
  const json_t *scope = json_object_get (claims, "scope");

  if (scope == NULL)
    scope = json_object_get (claims, "scp");       /* as Microsoft names it */
  for (guint i = 0; self->scope[i]; i++)
    if (!has (scope, self->scope[i], true))
      return false;
  return true;
}

static bool
is_about (const OAuth *self, const json_t *claims, const char *name)
{
  const json_t *claim = json_object_get (claims, self->name_claim);

  return json_is_string (claim)
         && ek_str_ieq ((EkStr) { json_string_value (claim), json_string_length (claim) }, ek_str (name));
}

/* OpenID Connect Core section 5.1: a user of the issuer may have written anybody's address there.  Many tokens do not say. */
static bool
is_unverified (const OAuth *self, const json_t *claims)
{
  const json_t *verified = json_object_get (claims, "email_verified");

  return verified && strcmp (self->name_claim, "email") == 0 && !json_is_true (verified) && !has (verified, "true", false);
}

OAuthResult
oauth_check_claims (const OAuth *self, const json_t *claims, const char *name, gint64 now, const char **why)
{
  const json_t *issuer = json_object_get (claims, "iss");
  gint64 leeway = self->leeway.us / G_USEC_PER_SEC, until = 0, from = 0;
  bool bad = false, ends = date (claims, "exp", &until, &bad), begins = date (claims, "nbf", &from, &bad);

  *why = NULL;
  if (self->issuer && (!json_is_string (issuer) || strcmp (json_string_value (issuer), self->issuer) != 0))
    return OAUTH_OTHER;
  if (bad)
    *why = "exp or nbf of the token is no date";
  else if (ends && now >= until + leeway)
    *why = "the token has expired";
  else if (begins && now < from - leeway)
    *why = "the token is not good yet";
  else if (!is_for_us (self, claims))
    *why = "the token is for another audience";
  else if (!has_scopes (self, claims))
    *why = "the token lacks a scope";
  else if (!is_about (self, claims, name))
    *why = "the token is another user's";
  else if (is_unverified (self, claims))
    *why = "the issuer has not verified the mail address in the token (email_verified)";
  return *why ? OAUTH_BAD : OAUTH_GOOD;
}
