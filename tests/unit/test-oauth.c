/* test-oauth.c - bearer tokens: signatures against the RFC's examples, claims, and the two mechanisms
 * SPDX-License-Identifier: Apache-2.0 */
#include "config.h"
#include "auth/sasl.h"
#include "base/base.h"
#include "sasl_oauth/oauth.h"
#include <string.h>

extern const EkModule ek_module_sasl_oauth;

static const EkStr none = { NULL, 0 };

/* RFC 7515 appendix A.1 to A.3: the keys' public halves, and the tokens */
#define CLAIMS "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
#define HS_KEY "{\"kty\":\"oct\",\"kid\":\"h\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow\"}"
#define HS_TOKEN "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." CLAIMS ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
#define RS_KEY "{\"kty\":\"RSA\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SF" \
  "d2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZ" \
  "lxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ\",\"e\":\"AQAB\"}"
#define RS_TOKEN "eyJhbGciOiJSUzI1NiJ9." CLAIMS ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5" \
  "jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwus" \
  "C-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
#define ES_KEY "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\",\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}"
#define ES_TOKEN "eyJhbGciOiJFUzI1NiJ9." CLAIMS ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"

static GPtrArray *
keys_of (const char *list)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *text = g_strdup_printf ("{\"keys\":[%s]}", list);
  GPtrArray *keys = oauth_keys_new ((EkText) { text, strlen (text), NULL }, &error);

  g_assert_no_error (error);
  return keys;
}

static bool
is_good (const GPtrArray *keys, const char *token)
{
  const char *why;
  json_t *claims = oauth_jwt_claims (keys, ek_str (token), &why);

  if (claims)
    g_assert_cmpstr (json_string_value (json_object_get (claims, "iss")), ==, "joe");
  bool good = claims != NULL;
  json_decref (claims);
  return good;
}

static void
test_vectors (void)
{
  static const struct { const char *key, *token; } rows[] = { { HS_KEY, HS_TOKEN }, { RS_KEY, RS_TOKEN }, { ES_KEY, ES_TOKEN } };
  g_autoptr (GPtrArray) all = keys_of (HS_KEY "," RS_KEY "," ES_KEY);

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autoptr (GPtrArray) own = keys_of (rows[i].key), other = keys_of (rows[(i + 1) % 3].key);
    g_test_message ("%s", rows[i].token);
    g_assert_true (is_good (own, rows[i].token));
    g_assert_true (is_good (all, rows[i].token));
    g_assert_false (is_good (other, rows[i].token));
    for (gsize at = 0; at < strlen (rows[i].token); at += 5) {         /* one character changed anywhere: not signed any more */
      g_autofree char *forged = g_strdup (rows[i].token);
      if (forged[at] == '.' || forged[at + 1] == '.' || forged[at + 1] == '\0')
        continue;                                            /* the last one of a part has bits that say nothing */
      forged[at] = forged[at] == 'A' ? 'B' : 'A';
      g_assert_false (is_good (all, forged));
    }
  }
}

static char *
url64 (const char *bytes, gsize n)
{
  char *text = g_base64_encode ((const guchar *) bytes, n);

  g_strdelimit (text, "+", '-');
  g_strdelimit (text, "/", '_');
  text[strcspn (text, "=")] = '\0';
  return text;
}

/* A token signed with HS256 and the example's key, whatever its header says. */
static char *
token_of (const char *header, const char *claims)
{
  g_autofree char *h = url64 (header, strlen (header)), *c = url64 (claims, strlen (claims)), *text = g_strdup_printf ("%s.%s", h, c);
  g_autoptr (GPtrArray) keys = keys_of (HS_KEY);
  const OAuthKey *key = keys->pdata[0];
  guint8 mac[64];
  size_t n;

  g_assert_nonnull (EVP_Q_mac (NULL, "HMAC", NULL, "SHA256", NULL, key->secret, key->secret_len, (guchar *) text, strlen (text), mac, sizeof mac, &n));
  g_autofree char *signature = url64 ((char *) mac, n);
  return g_strdup_printf ("%s.%s", text, signature);
}

static void
test_headers (void)
{
  static const struct { const char *header; bool good; } rows[] = {
    { "{\"alg\":\"HS256\"}", true }, { "{\"alg\":\"HS256\",\"kid\":\"h\"}", true }, { "{\"alg\":\"HS256\",\"kid\":\"x\"}", false },
    { "{\"alg\":\"none\"}", false }, { "{\"alg\":\"RS256\"}", false }, { "{\"alg\":\"ES256\"}", false }, { "{\"alg\":\"hs256\"}", false },
    { "{}", false }, { "[]", false }, { "{\"alg\":\"HS256\",\"alg\":\"HS256\"}", false }, { "{\"alg\":1}", false },
    { "{\"alg\":\"HS256\",\"crit\":[\"exp\"]}", false },
  };
  g_autoptr (GPtrArray) keys = keys_of (HS_KEY);

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autofree char *token = token_of (rows[i].header, "{\"iss\":\"joe\"}");
    g_test_message ("%s", rows[i].header);
    g_assert_cmpint (is_good (keys, token), ==, rows[i].good);
  }
  static const char *const bad[] = { "", ".", "..", "a.b", "a.b.c.d", "a..c", HS_TOKEN ".", HS_TOKEN "=" };
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    g_assert_false (is_good (keys, bad[i]));
  g_autofree char *unsigned_token = g_strndup (HS_TOKEN, strlen (HS_TOKEN) - 43);
  g_assert_false (is_good (keys, unsigned_token));
}

static void
refuses (const char *keys, const char *part)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (oauth_keys_new ((EkText) { keys, strlen (keys), "jwks.json" }, &error));
  if (!strstr (error->message, part))
    g_error ("\"%s\" lacks \"%s\"", error->message, part);
}

static void
test_keys (void)
{
  refuses ("{", "jwks.json:1");
  refuses ("[]", "no list \"keys\"");
  refuses ("{\"keys\":[]}", "no list \"keys\"");
  refuses ("{\"keys\":[1]}", "key 1: its kty");
  refuses ("{\"keys\":[{\"kty\":\"OKP\"}]}", "none of RSA, EC, oct");
  refuses ("{\"keys\":[" HS_KEY ",{\"kty\":\"oct\",\"k\":\"c2hvcnQ\"}]}", "key 2: a key of HS256 needs 32 bytes");
  refuses ("{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}", "2048 bits");
  refuses ("{\"keys\":[{\"kty\":\"RSA\",\"e\":\"AQAB\"}]}", "n and e");
  refuses ("{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-384\"}]}", "P-256");
  refuses ("{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\",\"y\":"
           "\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\"}]}", "no point");
}

/* ---- claims ---- */

static OAuthResult
check (const OAuth *conf, const char *text)
{
  const char *why;
  json_t *claims = json_loads (text, 0, NULL);
  OAuthResult result = oauth_check_claims (conf, claims, "anna@example.com", 1000, &why);

  g_assert_nonnull (claims);
  g_assert_true ((result == OAUTH_BAD) == (why != NULL));
  json_decref (claims);
  return result;
}

static void
test_claims (void)
{
  char *audience[] = { (char *) "mail", (char *) "imap.example.com", NULL }, *scope[] = { (char *) "imap", (char *) "smtp", NULL };
  char *nothing[] = { NULL };
  OAuth plain = { .name_claim = "email", .audience = nothing, .scope = nothing, .leeway = { 10 * G_USEC_PER_SEC } };
  OAuth strict = plain;

  strict.issuer = "https://idp";
  strict.audience = audience;
  strict.scope = scope;
  static const struct { const char *claims; OAuthResult result; } rows[] = {
    { "{\"email\":\"anna@example.com\"}", OAUTH_GOOD }, { "{\"email\":\"Anna@Example.com\"}", OAUTH_GOOD },
    { "{\"email\":\"ben@example.com\"}", OAUTH_BAD }, { "{\"email\":1}", OAUTH_BAD }, { "{}", OAUTH_BAD },
    { "{\"email\":\"anna@example.com\\u0000\"}", OAUTH_BAD },
    { "{\"email\":\"anna@example.com\",\"exp\":1001}", OAUTH_GOOD }, { "{\"email\":\"anna@example.com\",\"exp\":991}", OAUTH_GOOD },
    { "{\"email\":\"anna@example.com\",\"exp\":990}", OAUTH_BAD }, { "{\"email\":\"anna@example.com\",\"exp\":1000.5}", OAUTH_GOOD },
    { "{\"email\":\"anna@example.com\",\"exp\":\"2000\"}", OAUTH_BAD }, { "{\"email\":\"anna@example.com\",\"exp\":-1}", OAUTH_BAD },
    { "{\"email\":\"anna@example.com\",\"exp\":1e300}", OAUTH_BAD }, { "{\"email\":\"anna@example.com\",\"nbf\":1010}", OAUTH_GOOD },
    { "{\"email\":\"anna@example.com\",\"nbf\":1011}", OAUTH_BAD },
    { "{\"email\":\"anna@example.com\",\"email_verified\":true}", OAUTH_GOOD }, { "{\"email\":\"anna@example.com\",\"email_verified\":\"true\"}", OAUTH_GOOD },
    { "{\"email\":\"anna@example.com\",\"email_verified\":false}", OAUTH_BAD }, { "{\"email\":\"anna@example.com\",\"email_verified\":\"false\"}", OAUTH_BAD },
    { "{\"email\":\"anna@example.com\",\"email_verified\":null}", OAUTH_BAD },
  };
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    json_t *probe = json_loads (rows[i].claims, 0, NULL);      /* jansson refuses \u0000 by itself */
    g_test_message ("%s", rows[i].claims);
    if (probe)
      g_assert_cmpint (check (&plain, rows[i].claims), ==, rows[i].result);
    json_decref (probe);
  }
#define ANNA "{\"email\":\"anna@example.com\",\"iss\":\"https://idp\","
  static const struct { const char *claims; OAuthResult result; } more[] = {
    { ANNA "\"aud\":\"mail\",\"scope\":\"imap smtp\"}", OAUTH_GOOD }, { ANNA "\"aud\":[\"x\",\"imap.example.com\"],\"scope\":\"smtp x imap\"}", OAUTH_GOOD },
    { ANNA "\"aud\":\"mail\",\"scp\":[\"imap\",\"smtp\"]}", OAUTH_GOOD }, { ANNA "\"aud\":\"mail2\",\"scope\":\"imap smtp\"}", OAUTH_BAD },
    { ANNA "\"scope\":\"imap smtp\"}", OAUTH_BAD }, { ANNA "\"aud\":\"mail\",\"scope\":\"imap\"}", OAUTH_BAD }, { ANNA "\"aud\":\"mail\"}", OAUTH_BAD },
    { ANNA "\"aud\":\"mail imap.example.com\",\"scope\":\"imap smtp\"}", OAUTH_BAD },
    { "{\"email\":\"anna@example.com\",\"iss\":\"https://other\",\"aud\":\"mail\",\"scope\":\"imap smtp\"}", OAUTH_OTHER },
    { "{\"email\":\"anna@example.com\",\"aud\":\"mail\",\"scope\":\"imap smtp\"}", OAUTH_OTHER },
  };
  for (guint i = 0; i < G_N_ELEMENTS (more); i++) {
    g_test_message ("%s", more[i].claims);
    g_assert_cmpint (check (&strict, more[i].claims), ==, more[i].result);
  }
}

/* ---- mechanisms ---- */

static void
test_mechanisms (void)
{
  static const struct { const char *mechanism, *response, *name, *token; } rows[] = {
    { "OAUTHBEARER", "n,a=user@example.com,\1host=server.example.com\1port=143\1auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\1\1",
      "user@example.com", "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==" },          /* RFC 7628 section 4.1 */
    { "OAUTHBEARER", "y,a=a=2Cb=3D@x,\1AUTH=bearer t\1\1", "a,b=@x", "t" },
    { "XOAUTH2", "user=someuser@example.com\1auth=Bearer ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg\1\1", "someuser@example.com",
      "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg" },
    { "OAUTHBEARER", "n,,\1auth=Bearer t\1\1", NULL, NULL }, { "OAUTHBEARER", "n,a=u,\1auth=Bearer t\1", NULL, NULL },
    { "OAUTHBEARER", "n,a=u,\1auth=Basic t\1\1", NULL, NULL }, { "OAUTHBEARER", "n,a=u,\1auth=Bearer \1\1", NULL, NULL },
    { "OAUTHBEARER", "n,a=u,\1host=x\1\1", NULL, NULL }, { "OAUTHBEARER", "n,a=u,\1auth=Bearer t\1auth=Bearer t\1\1", NULL, NULL },
    { "OAUTHBEARER", "n,a=u,auth=Bearer t\1\1", NULL, NULL }, { "OAUTHBEARER", "p=x,a=u,\1auth=Bearer t\1\1", NULL, NULL },
    { "OAUTHBEARER", "n,a=u=,\1auth=Bearer t\1\1", NULL, NULL }, { "OAUTHBEARER", "n,a=u,\1auth=Bearer t\1\1x", NULL, NULL },
    { "OAUTHBEARER", "", NULL, NULL }, { "OAUTHBEARER", "n,a=u,", NULL, NULL }, { "OAUTHBEARER", "\1", NULL, NULL },
    { "XOAUTH2", "user=u\1auth=Bearer t\1", NULL, NULL }, { "XOAUTH2", "user=\1auth=Bearer t\1\1", NULL, NULL },
    { "XOAUTH2", "auth=Bearer t\1\1", NULL, NULL }, { "XOAUTH2", "user=u", NULL, NULL }, { "XOAUTH2", "", NULL, NULL },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autoptr (EkSasl) sasl = ek_sasl_new (ek_sasl_find (ek_str (rows[i].mechanism)), NULL);
    g_test_message ("%s %s", rows[i].mechanism, rows[i].response);
    g_assert_true (ek_sasl_mechanism (sasl)->token && ek_sasl_mechanism (sasl)->plaintext);
    if (i % 2 == 0) {
      g_assert_cmpint (ek_sasl_step (sasl, none), ==, EK_SASL_MORE);
      g_assert_cmpuint (ek_sasl_text (sasl).n, ==, 0);
    }
    EkSaslStep step = ek_sasl_step (sasl, ek_str (rows[i].response));
    g_assert_cmpint (step, ==, rows[i].name ? EK_SASL_VERIFY : EK_SASL_FAIL);
    if (rows[i].name) {
      g_assert_cmpstr (ek_sasl_facts (sasl)->authcid.p, ==, rows[i].name);
      g_assert_cmpstr (ek_sasl_facts (sasl)->secret.p, ==, rows[i].token);
    }
  }
  /* a token may be longer than any password */
  g_autofree char *filler = g_strnfill (6000, 'x'), *message = g_strdup_printf ("user=u\1auth=Bearer %s\1\1", filler);
  g_autoptr (EkSasl) sasl = ek_sasl_new (ek_sasl_find (EK_STR ("XOAUTH2")), NULL);
  g_assert_cmpint (ek_sasl_step (sasl, ek_str (message)), ==, EK_SASL_VERIFY);
}

static void
refused (const char *mechanism, const char *response, const EkAccount *account, const char *expected)
{
  g_autoptr (EkSasl) sasl = ek_sasl_new (ek_sasl_find (ek_str (mechanism)), NULL);

  g_assert_cmpint (ek_sasl_step (sasl, ek_str (response)), ==, EK_SASL_VERIFY);
  g_assert_cmpint (ek_sasl_refused (sasl, account), ==, EK_SASL_MORE);
  g_autofree char *said = g_strndup (ek_sasl_text (sasl).p, ek_sasl_text (sasl).n);
  g_assert_cmpstr (said, ==, expected);
  g_assert_cmpint (ek_sasl_step (sasl, EK_STR ("\1")), ==, EK_SASL_REFUSE);
  g_assert_cmpint (ek_sasl_step (sasl, EK_STR ("\1")), ==, EK_SASL_FAIL);
}

static void
test_refused (void)
{
  static const EkParam fields[] = {
    { "oauth_scope", { "imap \"x\"", 8 } }, { "oauth_configuration", { "https://idp/c", 13 } },
  };
  EkAccount account = { .fields = fields, .n_fields = 2 };

  refused ("OAUTHBEARER", "n,a=u,\1auth=Bearer t\1\1", NULL, "{\"status\":\"invalid_token\"}");
  refused ("OAUTHBEARER", "n,a=u,\1auth=Bearer t\1\1", &account,
           "{\"status\":\"invalid_token\",\"scope\":\"imap \\\"x\\\"\",\"openid-configuration\":\"https://idp/c\"}");
  refused ("XOAUTH2", "user=u\1auth=Bearer t\1\1", NULL, "{\"status\":\"401\",\"schemes\":\"bearer\"}");
}

static void
test_url (void)
{
  static const struct { const char *url; bool good; } rows[] = {
    { "https://idp.example.com/introspect", true }, { "http://127.0.0.1:8080/i", true }, { "http://localhost/i", true },
    { "http://[::1]:80/", true }, { "http://idp.example.com/", false }, { "ftp://127.0.0.1/", false }, { "nonsense", false }, { "", false },
    { "http://localhost.example.com/", false },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autoptr (GError) error = NULL;
    g_test_message ("%s", rows[i].url);
    g_assert_cmpint (oauth_check_url (rows[i].url, &error), ==, rows[i].good);
    g_assert_cmpint (error == NULL, ==, rows[i].good);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ek_sasl_register (ek_module_sasl_oauth.mechanisms);
  g_test_add_func ("/oauth/vectors", test_vectors);
  g_test_add_func ("/oauth/headers", test_headers);
  g_test_add_func ("/oauth/keys", test_keys);
  g_test_add_func ("/oauth/claims", test_claims);
  g_test_add_func ("/oauth/mechanisms", test_mechanisms);
  g_test_add_func ("/oauth/refused", test_refused);
  g_test_add_func ("/oauth/url", test_url);
  return g_test_run ();
}
