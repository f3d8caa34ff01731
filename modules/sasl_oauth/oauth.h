/* oauth.h - what the files of sasl_oauth share
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <ekiden/ekiden.h>
#include <jansson.h>
#include <openssl/evp.h>

typedef struct {                     /* of a JWKS (RFC 7517) */
  char     *kid;                     /* NULL: it has no name */
  EVP_PKEY *pkey;                    /* RSA or EC P-256; NULL: `secret` counts */
  guint8   *secret;                  /* HS256 */
  gsize     secret_len;
  bool      ec;
} OAuthKey;

typedef struct {
  EkInstance  base;
  EkText      keys;
  const char *introspection_url, *client_id, *ca_file, *issuer, *name_claim, *openid_configuration;
  EkSecret    client_secret;
  char      **audience, **scope;
  EkTime      leeway;
  GPtrArray  *parsed;                /* of OAuthKey */
} OAuth;

typedef enum {
  OAUTH_GOOD,
  OAUTH_BAD,                         /* not a token, forged, of another time, audience or scope */
  OAUTH_OTHER,                       /* another issuer's: another passdb may know it */
  OAUTH_UNKNOWN,                     /* nobody can tell now: *error */
} OAuthResult;

/* keys.c: NULL and *error when the text is no set of keys that can be used here. */
GPtrArray *oauth_keys_new (EkText text, GError **error);

/* jwt.c: the claims of a signed token (RFC 7519) whose signature is good.  NULL: it is not, and *why says so.  Any thread. */
json_t *oauth_jwt_claims (const GPtrArray *keys, EkStr token, const char **why);
/* Has it the form of one?  Does it say that it comes from that issuer (which nothing proves)? */
bool    oauth_is_jwt (EkStr token);
bool    oauth_jwt_says_from (EkStr token, const char *issuer);
/* base64url (RFC 7515 section 2), appended; false: it is not. */
bool    oauth_base64url (EkStr text, EkBuf *out);

/* claims.c: what both ways of checking have in common.  `name`: who the client says he is.  `now`: seconds since 1970. */
OAuthResult oauth_check_claims (const OAuth *self, const json_t *claims, const char *name, gint64 now, const char **why);

/* introspect.c: RFC 7662.  GOOD with *claims (json_decref), BAD or UNKNOWN. */
gpointer    oauth_connect (EkInstance *self, GError **error);
void        oauth_disconnect (EkInstance *self, gpointer conn);
bool        oauth_check_url (const char *url, GError **error);
OAuthResult oauth_introspect (const OAuth *self, EkCall *call, EkStr token, json_t **claims, GError **error);

/* mechanism.c */
extern const EkMechanismOps *const oauth_mechanisms[];
