/* test-scram.c - SCRAM against the RFCs' examples and a client of its own
 * SPDX-License-Identifier: Apache-2.0 */
#include "config.h"
#include "auth/sasl.h"
#include "base/base.h"
#include "sasl_scram/scram.h"
#include <openssl/evp.h>
#include <string.h>

extern const EkModule ek_module_sasl_scram;

static const EkStr none = { NULL, 0 };

/* ---- a client ---- */

typedef struct {
  const char *digest;
  gsize       len;
} Hash;

static const Hash sha1 = { "SHA1", 20 }, sha256 = { "SHA256", 32 };

static void
mac (const Hash *h, const guint8 *key, gsize n, const char *text, guint8 *out)
{
  size_t len;

  g_assert_nonnull (EVP_Q_mac (NULL, "HMAC", NULL, h->digest, NULL, key, n, (const guchar *) text, strlen (text), out, 64, &len));
}

static char *
base64 (const guint8 *bytes, gsize n)
{
  return g_base64_encode (bytes, n);
}

/* The proof for an exchange, and in *signature what the server has to say. */
static char *
prove (const Hash *h, const char *password, const char *bare, const char *server_first, const char *without_proof, char **signature)
{
  g_autofree char *text = g_strdup_printf ("%s,%s,%s", bare, server_first, without_proof);
  g_auto (GStrv) words = g_strsplit (server_first, ",", 3);
  guint8 salted[64], client[64], stored[64], server[64], out[64];
  gsize n;
  size_t len;

  g_assert_cmpuint (g_strv_length (words), ==, 3);
  g_autofree guchar *salt = g_base64_decode (words[1] + 2, &n);
  g_assert_cmpint (PKCS5_PBKDF2_HMAC (password, (int) strlen (password), salt, (int) n, atoi (words[2] + 2),
                                      h == &sha1 ? EVP_sha1 () : EVP_sha256 (), (int) h->len, salted), ==, 1);
  mac (h, salted, h->len, "Client Key", client);
  g_assert_cmpint (EVP_Q_digest (NULL, h->digest, NULL, client, h->len, stored, &len), ==, 1);
  mac (h, stored, h->len, text, out);
  for (gsize i = 0; i < h->len; i++)
    out[i] ^= client[i];
  mac (h, salted, h->len, "Server Key", server);
  mac (h, server, h->len, text, stored);
  *signature = base64 (stored, h->len);
  return base64 (out, h->len);
}

static void
test_client (void)
{
  g_autofree char *signature = NULL;
  g_autofree char *proof = prove (&sha1, "pencil", "n=user,r=fyko+d2lbbFgONRv9qkxdawL",          /* RFC 5802 section 5 */
                                  "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
                                  "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j", &signature);
  g_assert_cmpstr (proof, ==, "v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=");
  g_assert_cmpstr (signature, ==, "rmF9pqV8S7suAoZWja4dJRkFsKQ=");
  g_autofree char *signature256 = NULL;
  g_autofree char *proof256 = prove (&sha256, "pencil", "n=user,r=rOprNGfwEbeRWgbNEkqO",         /* RFC 7677 section 3 */
                                     "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
                                     "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", &signature256);
  g_assert_cmpstr (proof256, ==, "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
  g_assert_cmpstr (signature256, ==, "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
}

/* ---- a whole exchange ---- */

typedef struct {
  const char *mechanism, *header, *binding, *name, *password, *like;
  gsize       binding_len;
  const char *stored;                /* NULL: nobody has that name */
  const char *break_nonce;           /* in the last message in place of what the server said */
  const EkClient *client;
} Try;

/* What came of it; *first: the server's first message. */
static EkSaslStep
run (const Try *try, char **first)
{
  const EkMechanismOps *ops = ek_sasl_find (ek_str (try->mechanism));
  const Hash *h = strstr (try->mechanism, "256") ? &sha256 : &sha1;
  g_autoptr (EkSasl) sasl = ek_sasl_new (ops, try->client);
  EkAccount account = { .stored = try->stored ? ek_str (try->stored) : none };
  g_autofree char *bare = g_strdup_printf ("n=%s,r=clientnonce", try->name);
  g_autofree char *message = g_strconcat (try->header, bare, NULL);

  EkSaslStep step = ek_sasl_step (sasl, ek_str (message));
  if (step != EK_SASL_LOOKUP)
    return step;
  step = ek_sasl_answer (sasl, try->stored ? &account : NULL, try->like ? ek_str (try->like) : none, try->name);
  if (step != EK_SASL_MORE)
    return step;
  g_autofree char *server_first = g_strndup (ek_sasl_text (sasl).p, ek_sasl_text (sasl).n);
  if (first)
    *first = g_strdup (server_first);
  g_autofree char *nonce = g_strndup (server_first + 2, strcspn (server_first + 2, ","));
  g_assert_true (g_str_has_prefix (nonce, "clientnonce") && strlen (nonce) > 30);
  g_autoptr (GString) bound = g_string_new (try->header);
  g_string_append_len (bound, try->binding ? try->binding : "", (gssize) try->binding_len);
  g_autofree char *c = base64 ((guint8 *) bound->str, bound->len);
  g_autofree char *last = g_strdup_printf ("c=%s,r=%s", c, try->break_nonce ? try->break_nonce : nonce);
  g_autofree char *signature = NULL, *proof = prove (h, try->password, bare, server_first, last, &signature);
  g_autofree char *whole = g_strdup_printf ("%s,p=%s", last, proof);
  step = ek_sasl_step (sasl, ek_str (whole));
  if (step != EK_SASL_MORE)
    return step;
  g_autofree char *expected = g_strconcat ("v=", signature, NULL), *said = g_strndup (ek_sasl_text (sasl).p, ek_sasl_text (sasl).n);
  g_assert_cmpstr (said, ==, expected);
  return ek_sasl_step (sasl, EK_STR (""));
}

#define SHA1_KEPT   "{SCRAM-SHA-1}4096,QSXCR+Q6sek8bf92,6dlGYMOdZcOPutkcNY8U2g7vK9Y=,D+CSWLOshSulAsxiupA+qs2/fTE="
#define SHA256_KEPT "{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=," \
                    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

static void
test_exchange (void)
{
  static const struct { const char *mechanism, *stored; } rows[] = {
    { "SCRAM-SHA-1", SHA1_KEPT }, { "SCRAM-SHA-256", SHA256_KEPT }, { "SCRAM-SHA-1", "{PLAIN}pencil" },
    { "SCRAM-SHA-256", "{PLAIN}pencil" }, { "SCRAM-SHA-256", "pencil" }, { "scram-sha-256", "{CLEARTEXT}pencil" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    Try try = { .mechanism = rows[i].mechanism, .stored = rows[i].stored, .header = "n,,", .name = "user", .password = "pencil" };
    g_test_message ("%s %s", try.mechanism, try.stored);
    g_assert_cmpint (run (&try, NULL), ==, EK_SASL_OK);
    try.password = "pencils";
    g_assert_cmpint (run (&try, NULL), ==, EK_SASL_REFUSE);
    try.password = "pencil";
    try.header = "y,a=user,";
    g_assert_cmpint (run (&try, NULL), ==, EK_SASL_OK);
    try.break_nonce = "clientnonce";
    g_assert_cmpint (run (&try, NULL), ==, EK_SASL_FAIL);
  }
  /* what one hash has kept does not serve the other, and looks like a wrong password */
  Try other = { .mechanism = "SCRAM-SHA-1", .stored = SHA256_KEPT, .header = "n,,", .name = "user", .password = "pencil" };
  g_assert_cmpint (run (&other, NULL), ==, EK_SASL_REFUSE);
  other.stored = "{SHA512-CRYPT}$6$x$y";
  g_assert_cmpint (run (&other, NULL), ==, EK_SASL_REFUSE);
  /* an empty initial response is asked for */
  g_autoptr (EkSasl) sasl = ek_sasl_new (ek_sasl_find (EK_STR ("SCRAM-SHA-1")), NULL);
  g_assert_cmpint (ek_sasl_step (sasl, none), ==, EK_SASL_MORE);
  g_assert_cmpuint (ek_sasl_text (sasl).n, ==, 0);
  g_assert_cmpint (ek_sasl_step (sasl, EK_STR ("n,,n=user,r=abc")), ==, EK_SASL_LOOKUP);
}

/* RFC 4013: what one client types as U+2168 is IX to another; RFC 5802 wants it so. */
static void
test_prepared (void)
{
  Try try = { .mechanism = "SCRAM-SHA-256", .stored = "{PLAIN}I\xc2\xadX\xe2\x85\xa8", .header = "n,,", .name = "user", .password = "IXIX" };

  g_assert_cmpint (run (&try, NULL), ==, EK_SASL_OK);
  g_autofree char *kept = ek_password_make ("SCRAM-SHA-256", EK_STR ("\xe2\x85\xa8"), 0, NULL);
  try.stored = kept;
  try.password = "IX";
  g_assert_cmpint (run (&try, NULL), ==, EK_SASL_OK);
  g_assert_cmpint (ek_password_verify (EK_STR ("IX"), ek_str (kept), "PLAIN", NULL), ==, EK_OK);
  try.stored = "{PLAIN}\xff\xfe";                  /* no text: as it is */
  try.password = "\xff\xfe";
  g_assert_cmpint (run (&try, NULL), ==, EK_SASL_OK);
}

static void
split_first (const char *first, char **salt, int *iterations)
{
  g_auto (GStrv) words = g_strsplit (first, ",", 3);

  *salt = g_strdup (words[1]);
  *iterations = atoi (words[2] + 2);
}

/* A name that nobody has shows a salt like any other: the same each time, and iterations as users there have. */
static void
test_unknown (void)
{
  static const char *const likes[] = { NULL, "{PLAIN}pencil", SHA256_KEPT, "{SHA512-CRYPT}$6$x$y" };
  static const int expected[] = { SCRAM_ITERATIONS, SCRAM_ITERATIONS, 4096, SCRAM_ITERATIONS };

  for (guint i = 0; i < G_N_ELEMENTS (likes); i++) {
    Try try = { .mechanism = "SCRAM-SHA-256", .header = "n,,", .name = "nobody", .password = "pencil", .like = likes[i] };
    g_autofree char *one = NULL, *two = NULL, *other = NULL, *salt1 = NULL, *salt2 = NULL, *salt3 = NULL;
    int n1, n2, n3;
    g_assert_cmpint (run (&try, &one), ==, EK_SASL_REFUSE);
    g_assert_cmpint (run (&try, &two), ==, EK_SASL_REFUSE);
    try.name = "nobody2";
    g_assert_cmpint (run (&try, &other), ==, EK_SASL_REFUSE);
    split_first (one, &salt1, &n1);
    split_first (two, &salt2, &n2);
    split_first (other, &salt3, &n3);
    g_assert_cmpstr (salt1, ==, salt2);
    g_assert_cmpstr (salt1, !=, salt3);
    g_assert_cmpuint (strlen (salt1), ==, 2 + 24);
    g_assert_cmpint (n1, ==, expected[i]);
    g_assert_cmpint (n2, ==, n1);
    g_assert_cmpint (n3, ==, n1);
  }
  /* and so does one whose password is kept as it is */
  Try plain = { .mechanism = "SCRAM-SHA-256", .header = "n,,", .name = "user", .password = "pencil", .stored = "{PLAIN}pencil" };
  g_autofree char *one = NULL, *two = NULL, *salt1 = NULL, *salt2 = NULL;
  int n;
  g_assert_cmpint (run (&plain, &one), ==, EK_SASL_OK);
  g_assert_cmpint (run (&plain, &two), ==, EK_SASL_OK);
  split_first (one, &salt1, &n);
  split_first (two, &salt2, &n);
  g_assert_cmpstr (salt1, ==, salt2);
}

static void
test_binding (void)
{
  EkClient client = { .address = "192.0.2.1", .tls = true, .tls_exporter = { "0123456789abcdef\0\xff" "3456789abcdef", 32 },
                      .tls_endpoint = { "abcdefghijklmnopqrstuvwxyz012345", 32 } };
  Try try = { .mechanism = "SCRAM-SHA-256-PLUS", .stored = SHA256_KEPT, .header = "p=tls-exporter,,", .name = "user",
              .password = "pencil", .binding = client.tls_exporter.p, .binding_len = 32, .client = &client };

  g_assert_cmpint (run (&try, NULL), ==, EK_SASL_OK);
  try.binding = client.tls_endpoint.p;             /* another channel: somebody sits in between */
  g_assert_cmpint (run (&try, NULL), ==, EK_SASL_FAIL);
  try.header = "p=tls-server-end-point,a=user,";
  g_assert_cmpint (run (&try, NULL), ==, EK_SASL_OK);
  try.binding_len = 31;
  g_assert_cmpint (run (&try, NULL), ==, EK_SASL_FAIL);
  try.binding_len = 0;
  g_assert_cmpint (run (&try, NULL), ==, EK_SASL_FAIL);
  static const struct { const char *mechanism, *header; EkSaslStep step; } rows[] = {
    { "SCRAM-SHA-256-PLUS", "n,,", EK_SASL_FAIL }, { "SCRAM-SHA-256-PLUS", "y,,", EK_SASL_FAIL },
    { "SCRAM-SHA-256-PLUS", "p=tls-unique,,", EK_SASL_FAIL }, { "SCRAM-SHA-256", "p=tls-exporter,,", EK_SASL_FAIL },
    { "SCRAM-SHA-256", "y,,", EK_SASL_FAIL },      /* he was told that we cannot bind: a downgrade */
    { "SCRAM-SHA-256", "n,,", EK_SASL_OK },
  };
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    try.mechanism = rows[i].mechanism;
    try.header = rows[i].header;
    g_test_message ("%s %s", try.mechanism, try.header);
    g_assert_cmpint (run (&try, NULL), ==, rows[i].step);
  }
  client.tls_exporter = client.tls_endpoint = none;
  try.mechanism = "SCRAM-SHA-256-PLUS";
  try.header = "p=tls-exporter,,";
  g_assert_cmpint (run (&try, NULL), ==, EK_SASL_FAIL);
}

static void
test_malformed (void)
{
  static const char *const bad[] = {
    "", "n", "n,", "n,,", "n,,n=user", "n,,n=user,", "n,,r=abc,n=user", "n,,n=,r=abc", "n,,n=user,r=", "n,,m=x,n=user,r=abc",
    "x,,n=user,r=abc", "n,b=x,n=user,r=abc", "n,a=,n=user,r=abc", "n,,n=us=er,r=abc", "n,,n=us=2c,r=abc", "n,,n=us=,r=abc",
    "n,,n=user,r=a\x01", "n,,n=user,r=a b", "n,a=other,n=user,r=abc", "p=,,n=user,r=abc", "n,,n=us\xff,r=abc",
  };

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autoptr (EkSasl) sasl = ek_sasl_new (ek_sasl_find (EK_STR ("SCRAM-SHA-1")), NULL);
    g_test_message ("%s", bad[i]);
    g_assert_cmpint (ek_sasl_step (sasl, ek_str (bad[i])), ==, EK_SASL_FAIL);
    g_assert_null (ek_sasl_facts (sasl));
  }
  g_autoptr (EkSasl) commas = ek_sasl_new (ek_sasl_find (EK_STR ("SCRAM-SHA-1")), NULL);
  g_assert_cmpint (ek_sasl_step (commas, EK_STR ("n,,n=a=2Cb=3Dc,r=abc,x=y")), ==, EK_SASL_LOOKUP);
  g_assert_cmpstr (ek_sasl_facts (commas)->authcid.p, ==, "a,b=c");
  g_autofree char *filler = g_strnfill (4000, 'x');
  char *const longs[] = { g_strdup_printf ("n,,n=user,r=%s", filler), g_strdup_printf ("n,,n=%s,r=abc", filler),
                               g_strdup_printf ("n,,n=user,r=abc,x=%s", filler), g_strdup_printf ("n,a=%s,n=user,r=abc", filler) };
  for (guint i = 0; i < G_N_ELEMENTS (longs); i++) {
    g_autoptr (EkSasl) sasl = ek_sasl_new (ek_sasl_find (EK_STR ("SCRAM-SHA-1")), NULL);
    g_assert_cmpint (ek_sasl_step (sasl, ek_str (longs[i])), ==, EK_SASL_FAIL);
    g_free (longs[i]);
  }
}

static void
test_malformed_proof (void)
{
  static const char *const bad[] = {
    "", "c=biws", "c=biws,r=%s", "c=biws,r=%s,p=", "c=biws,r=%s,p=AAAA", "c=biws,r=%s,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts", "r=%s,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
    "c=eSws,r=%s,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=", "c=biws,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=", "c=biws,r=%s,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=,x=y",
    "c=,r=%s,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
  };
  EkAccount account = { .stored = EK_STR (SHA1_KEPT) };

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autoptr (EkSasl) sasl = ek_sasl_new (ek_sasl_find (EK_STR ("SCRAM-SHA-1")), NULL);
    g_assert_cmpint (ek_sasl_step (sasl, EK_STR ("n,,n=user,r=abc")), ==, EK_SASL_LOOKUP);
    g_assert_cmpint (ek_sasl_answer (sasl, &account, none, "user"), ==, EK_SASL_MORE);
    g_autofree char *first = g_strndup (ek_sasl_text (sasl).p, ek_sasl_text (sasl).n);
    g_autofree char *nonce = g_strndup (first + 2, strcspn (first + 2, ","));
    g_auto (GStrv) parts = g_strsplit (bad[i], "%s", 2);
    g_autofree char *message = g_strjoinv (nonce, parts);
    g_test_message ("%s", message);
    g_assert_cmpint (ek_sasl_step (sasl, ek_str (message)), ==, EK_SASL_FAIL);
  }
}

static void
test_schemes (void)
{
  static const char *const broken[] = {
    "{SCRAM-SHA-1}", "{SCRAM-SHA-1}4096", "{SCRAM-SHA-1}0,QSXCR+Q6sek8bf92,6dlGYMOdZcOPutkcNY8U2g7vK9Y=,D+CSWLOshSulAsxiupA+qs2/fTE=",
    "{SCRAM-SHA-1}99999999,QSXCR+Q6sek8bf92,6dlGYMOdZcOPutkcNY8U2g7vK9Y=,D+CSWLOshSulAsxiupA+qs2/fTE=",
    "{SCRAM-SHA-1}4096,,6dlGYMOdZcOPutkcNY8U2g7vK9Y=,D+CSWLOshSulAsxiupA+qs2/fTE=",
    "{SCRAM-SHA-1}4096,QSXCR+Q6sek8bf92,6dlGYMOdZcOPutkcNY8U2g7vK9Y=,D+CSWLOshSulAsxiupA=",
    "{SCRAM-SHA-256}4096,QSXCR+Q6sek8bf92,6dlGYMOdZcOPutkcNY8U2g7vK9Y=,D+CSWLOshSulAsxiupA+qs2/fTE=",
    "{SCRAM-SHA-1}4096,QSXCR+Q6sek8bf92,6dlGYMOdZcOPutkcNY8U2g7vK9Y=,D+CSWLOshSulAsxiupA+qs2/fTE=,x",
  };

  g_assert_cmpint (ek_password_verify (EK_STR ("pencil"), EK_STR (SHA1_KEPT), "PLAIN", NULL), ==, EK_OK);
  g_assert_cmpint (ek_password_verify (EK_STR ("pencil"), EK_STR (SHA256_KEPT), "PLAIN", NULL), ==, EK_OK);
  g_assert_cmpint (ek_password_verify (EK_STR ("Pencil"), EK_STR (SHA256_KEPT), "PLAIN", NULL), ==, EK_FAIL);
  /* doveadm pw */
  g_assert_cmpint (ek_password_verify (EK_STR ("ekiden \xe9\xa7\x85\xe4\xbc\x9d"), EK_STR ("{SCRAM-SHA-1}4096,Vn0FrrqvzU1v/7UxFroytg=="
                   ",CbNMKPcqI0U1wavhJvXNqatPMO0=,H1OP0QmOoPFc+XPVGfA+D5RqHMc="), "PLAIN", NULL), ==, EK_OK);
  g_assert_cmpint (ek_password_verify (EK_STR ("ekiden \xe9\xa7\x85\xe4\xbc\x9d"), EK_STR ("{SCRAM-SHA-256}4096,YuONM2kjcMxegep0ITDpwQ=="
                   ",lt5cNcs6lpcWa4KGV+QLWnhM3t+PbYwNfs7zMHDd+HQ=,XbID5ExOKXCJLBwQlUzrMOKuPvSH6rdq07r2ETygC+4="), "PLAIN", NULL), ==, EK_OK);
  for (guint i = 1; i < G_N_ELEMENTS (broken); i++)
    g_assert_cmpint (ek_password_verify (EK_STR ("pencil"), ek_str (broken[i]), "PLAIN", NULL), ==, EK_DEFER);
  g_assert_cmpint (ek_password_verify (EK_STR (""), ek_str (broken[0]), "PLAIN", NULL), ==, EK_FAIL);
  g_autoptr (GError) error = NULL;
  g_assert_null (ek_password_make ("SCRAM-SHA-1", EK_STR ("x"), 100, &error));
  g_assert_nonnull (strstr (error->message, "from 4096"));
  g_autofree char *made = ek_password_make ("SCRAM-SHA-1", EK_STR ("x"), 5000, NULL), *again = ek_password_make ("SCRAM-SHA-1", EK_STR ("x"), 5000, NULL);
  g_assert_true (g_str_has_prefix (made, "{SCRAM-SHA-1}5000,"));
  g_assert_cmpstr (made, !=, again);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ek_sasl_register (ek_module_sasl_scram.mechanisms);
  ek_scheme_register (ek_module_sasl_scram.scheme);
  g_test_add_func ("/scram/client", test_client);
  g_test_add_func ("/scram/exchange", test_exchange);
  g_test_add_func ("/scram/prepared", test_prepared);
  g_test_add_func ("/scram/unknown", test_unknown);
  g_test_add_func ("/scram/binding", test_binding);
  g_test_add_func ("/scram/malformed", test_malformed);
  g_test_add_func ("/scram/malformed-proof", test_malformed_proof);
  g_test_add_func ("/scram/schemes", test_schemes);
  return g_test_run ();
}
