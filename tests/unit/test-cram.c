/* test-cram.c - CRAM-MD5 and EXTERNAL: mechanisms that the account decides; and the runner's part in that
 * SPDX-License-Identifier: Apache-2.0 */
#include "config.h"
#include "auth/sasl.h"
#include "flow/tlsproof.h"
#include "base/base.h"
#include "proc/messages.h"
#include "sasl_cram_md5/cram.h"
#include <stdio.h>
#include <string.h>

extern const EkModule ek_module_sasl_cram_md5, ek_module_sasl_external;

static const EkStr none = { NULL, 0 };

static EkSasl *
begin (const char *mechanism, const EkClient *client)
{
  const EkMechanismOps *ops = ek_sasl_find (ek_str (mechanism));

  g_assert_nonnull (ops);
  return ek_sasl_new (ops, client);
}

static void
hex (const guint8 *bytes, gsize n, char *out)
{
  for (gsize i = 0; i < n; i++)
    sprintf (out + 2 * i, "%02x", bytes[i]);
}

/* What a client answers, by OpenSSL-free arithmetic of its own: GLib's HMAC. */
static char *
answer (const char *name, const char *password, EkStr challenge)
{
  g_autofree char *digest = g_compute_hmac_for_data (G_CHECKSUM_MD5, (const guchar *) password, strlen (password),
                                                     (const guchar *) challenge.p, challenge.n);

  return g_strdup_printf ("%s %s", name, digest);
}

static void
test_vectors (void)
{
  static const struct { const char *key, *text, *digest; } rows[] = {
    /* RFC 2195 section 2 */
    { "tanstaaftanstaaf", "<1896.697170952@postoffice.reston.mci.net>", "b913a602c7eda7a495b4e6e7334d3890" },
    /* RFC 2202 section 2 */
    { "Jefe", "what do ya want for nothing?", "750c783e6ab0b503eaa86e310a5db738" },
  };
  guint8 state[CRAM_STATE_LEN], digest[CRAM_DIGEST_LEN];
  char text[2 * CRAM_DIGEST_LEN + 1];

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    cram_state (ek_str (rows[i].key), state);
    cram_digest (state, ek_str (rows[i].text), digest);
    hex (digest, sizeof digest, text);
    g_assert_cmpstr (text, ==, rows[i].digest);
  }
  for (gsize key = 0; key < 200; key += 7)         /* every length around a block, keys and texts */
    for (gsize n = 0; n < 200; n += 3) {
      g_autofree char *k = g_strnfill (key, 'k'), *t = g_strnfill (n, 't');
      g_autofree char *expected = g_compute_hmac_for_data (G_CHECKSUM_MD5, (guchar *) k, key, (guchar *) t, n);
      cram_state (ek_str (k), state);
      cram_digest (state, (EkStr) { t, n }, digest);
      hex (digest, sizeof digest, text);
      g_assert_cmpstr (text, ==, expected);
    }
}

static EkSaslStep
cram (const char *stored, const char *name, const char *password)
{
  g_autoptr (EkSasl) sasl = begin ("CRAM-MD5", NULL);
  EkAccount account = { .stored = stored ? ek_str (stored) : none };

  g_assert_cmpint (ek_sasl_step (sasl, none), ==, EK_SASL_MORE);
  EkStr challenge = ek_sasl_text (sasl);
  g_assert_true (challenge.n > 20 && challenge.p[0] == '<' && challenge.p[challenge.n - 1] == '>');
  g_autofree char *said = answer (name, password, challenge);
  EkSaslStep step = ek_sasl_step (sasl, ek_str (said));
  if (step != EK_SASL_LOOKUP)
    return step;
  g_assert_cmpstr (ek_sasl_facts (sasl)->authcid.p, ==, name);
  g_assert_cmpuint (ek_sasl_facts (sasl)->secret.n, ==, 0);
  return ek_sasl_answer (sasl, stored ? &account : NULL, EK_STR ("{PLAIN}other"), name);
}

static void
test_cram (void)
{
  g_autofree char *kept = ek_password_make ("CRAM-MD5", EK_STR ("tanstaaf"), 0, NULL);

  g_assert_true (g_str_has_prefix (kept, "{CRAM-MD5}"));
  g_assert_cmpint (ek_password_verify (EK_STR ("tanstaaf"), ek_str (kept), "PLAIN", NULL), ==, EK_OK);
  g_assert_cmpint (ek_password_verify (EK_STR ("tanstaa"), ek_str (kept), "PLAIN", NULL), ==, EK_FAIL);
  g_assert_cmpint (ek_password_verify (EK_STR ("ekiden \xe9\xa7\x85\xe4\xbc\x9d"),      /* doveadm pw */
                   EK_STR ("{CRAM-MD5}a9cd4a23e29b69737e402ef2dfccdaf865978bd34432cb9588c901e241bc82ee"), "PLAIN", NULL), ==, EK_OK);
  g_assert_cmpint (ek_password_verify (EK_STR ("x"), EK_STR ("{CRAM-MD5}12"), "PLAIN", NULL), ==, EK_DEFER);
  g_assert_cmpint (cram (kept, "tim", "tanstaaf"), ==, EK_SASL_OK);
  g_assert_cmpint (cram (kept, "tim", "tanstaag"), ==, EK_SASL_REFUSE);
  g_assert_cmpint (cram ("{PLAIN}tanstaaf", "a b c", "tanstaaf"), ==, EK_SASL_OK);
  g_assert_cmpint (cram ("{PLAIN.b64}dGFuc3RhYWY=", "tim", "tanstaaf"), ==, EK_SASL_OK);
  g_assert_cmpint (cram ("{CLEAR}tanstaaf", "tim", "tanstaaf"), ==, EK_SASL_OK);
  g_assert_cmpint (cram ("tanstaaf", "tim", "tanstaaf"), ==, EK_SASL_OK);
  g_assert_cmpint (cram ("{SHA256}5sSs2JuBjHV9o+JT97xWAU1h1elULWDS7If5e+VKzdM=", "tim", "tanstaaf"), ==, EK_SASL_REFUSE);
  g_autofree char *alias = g_strconcat ("{HMAC-MD5}", kept + strlen ("{CRAM-MD5}"), NULL);
  g_assert_cmpint (cram (alias, "tim", "tanstaaf"), ==, EK_SASL_OK);
  g_assert_cmpint (ek_password_verify (EK_STR ("tanstaaf"), ek_str (alias), "PLAIN", NULL), ==, EK_OK);
  g_assert_cmpint (cram ("{PLAIN}", "tim", ""), ==, EK_SASL_REFUSE);
  g_assert_cmpint (cram ("{CRAM-MD5}12", "tim", "tanstaaf"), ==, EK_SASL_REFUSE);
  g_assert_cmpint (cram (NULL, "nobody", "other"), ==, EK_SASL_REFUSE);            /* not even with what another has */
}

static void
test_malformed (void)
{
  static const char *const bad[] = {
    "", "tim", "tim ", " b913a602c7eda7a495b4e6e7334d3890", "tim b913a602c7eda7a495b4e6e7334d389", "tim b913a602c7eda7a495b4e6e7334d38900",
    "tim g913a602c7eda7a495b4e6e7334d3890", "t\xff b913a602c7eda7a495b4e6e7334d3890",
  };

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autoptr (EkSasl) sasl = begin ("CRAM-MD5", NULL);
    g_assert_cmpint (ek_sasl_step (sasl, none), ==, EK_SASL_MORE);
    g_assert_cmpint (ek_sasl_step (sasl, ek_str (bad[i])), ==, EK_SASL_FAIL);
    g_assert_null (ek_sasl_facts (sasl));
  }
  g_autoptr (EkSasl) early = begin ("CRAM-MD5", NULL);
  g_assert_cmpint (ek_sasl_step (early, EK_STR ("tim b913a602c7eda7a495b4e6e7334d3890")), ==, EK_SASL_FAIL);
  g_autoptr (EkSasl) one = begin ("CRAM-MD5", NULL);
  g_autoptr (EkSasl) two = begin ("CRAM-MD5", NULL);
  ek_sasl_step (one, none);
  ek_sasl_step (two, none);
  g_assert_false (ek_str_eq (ek_sasl_text (one), ek_sasl_text (two)));
}

/* A step of the client's while the account is looked for is out of order; so is an answer that nobody asked for. */
static void
test_order (void)
{
  g_autoptr (EkSasl) sasl = begin ("CRAM-MD5", NULL);

  ek_sasl_step (sasl, none);
  g_autofree char *said = answer ("tim", "x", ek_sasl_text (sasl));
  g_assert_cmpint (ek_sasl_step (sasl, ek_str (said)), ==, EK_SASL_LOOKUP);
  g_assert_cmpint (ek_sasl_step (sasl, ek_str (said)), ==, EK_SASL_FAIL);
  EkAccount account = { .stored = EK_STR ("{PLAIN}x") };
  g_assert_cmpint (ek_sasl_answer (sasl, &account, none, "tim"), ==, EK_SASL_FAIL);
  g_autoptr (EkSasl) fresh = begin ("CRAM-MD5", NULL);
  g_assert_cmpint (ek_sasl_answer (fresh, &account, none, "tim"), ==, EK_SASL_FAIL);
}

/* A mechanism that says OK for a name that nobody has is not believed. */
static EkSaslStep
gullible_step (EkSasl *sasl, gpointer state, EkStr response)
{
  if (response.p == NULL)
    return EK_SASL_OK;
  ek_sasl_name (sasl, EK_STR (""), response);
  return EK_SASL_LOOKUP;
}

static void
test_gullible (void)
{
  static const EkMechanismOps gullible = { .name = "GULLIBLE", .step = gullible_step };
  EkAccount account = { 0 };

  g_autoptr (EkSasl) sasl = ek_sasl_new (&gullible, NULL);
  g_assert_cmpint (ek_sasl_step (sasl, EK_STR ("tim")), ==, EK_SASL_LOOKUP);
  g_assert_cmpint (ek_sasl_answer (sasl, NULL, none, "tim"), ==, EK_SASL_REFUSE);
  g_autoptr (EkSasl) known = ek_sasl_new (&gullible, NULL);
  g_assert_cmpint (ek_sasl_step (known, EK_STR ("tim")), ==, EK_SASL_LOOKUP);
  g_assert_cmpint (ek_sasl_answer (known, &account, none, "tim"), ==, EK_SASL_OK);
  g_autoptr (EkSasl) hasty = ek_sasl_new (&gullible, NULL);
  g_assert_cmpint (ek_sasl_step (hasty, none), ==, EK_SASL_FAIL);                  /* OK before anybody was looked for */
}

static void
test_external (void)
{
  EkClient client = { .address = "192.0.2.1", .tls = true, .tls_peer = "tim@example.com" };
  EkAccount account = { 0 };

  g_autoptr (EkSasl) sasl = begin ("EXTERNAL", &client);
  g_assert_true (ek_sasl_mechanism (sasl)->certificate);
  g_assert_cmpint (ek_sasl_step (sasl, none), ==, EK_SASL_MORE);
  g_assert_cmpint (ek_sasl_step (sasl, EK_STR ("")), ==, EK_SASL_LOOKUP);
  g_assert_cmpstr (ek_sasl_facts (sasl)->authcid.p, ==, "tim@example.com");
  g_assert_cmpint (ek_sasl_answer (sasl, &account, none, "tim@example.com"), ==, EK_SASL_OK);
  g_autoptr (EkSasl) same = begin ("EXTERNAL", &client);
  g_assert_cmpint (ek_sasl_step (same, EK_STR ("Tim@example.com")), ==, EK_SASL_LOOKUP);
  g_assert_cmpint (ek_sasl_answer (same, NULL, none, "tim@example.com"), ==, EK_SASL_REFUSE);
  g_autoptr (EkSasl) other = begin ("EXTERNAL", &client);
  g_assert_cmpint (ek_sasl_step (other, EK_STR ("ben@example.com")), ==, EK_SASL_FAIL);
  client.tls_peer = NULL;
  g_autoptr (EkSasl) nobody = begin ("EXTERNAL", &client);
  g_assert_cmpint (ek_sasl_step (nobody, EK_STR ("tim@example.com")), ==, EK_SASL_FAIL);
}

static void
test_noise (void)
{
  g_autoptr (EkSasl) one = begin ("CRAM-MD5", NULL);
  g_autoptr (EkSasl) two = begin ("CRAM-MD5", NULL);
  guint8 a[80], b[80], c[80];

  ek_sasl_use_noise ((EkStr) { "0123456789abcdef0123456789abcdef", 32 });
  ek_sasl_noise (one, "x", a, sizeof a);
  ek_sasl_noise (two, "x", b, sizeof b);
  g_assert_cmpmem (a, sizeof a, b, sizeof b);
  ek_sasl_noise (two, "y", b, sizeof b);
  g_assert_cmpint (memcmp (a, b, sizeof a), !=, 0);
  g_assert_cmpint (memcmp (a, a + 32, 32), !=, 0);
  ek_sasl_use_noise ((EkStr) { "1123456789abcdef0123456789abcdef", 32 });
  ek_sasl_noise (one, "x", c, sizeof c);
  g_assert_cmpint (memcmp (a, c, sizeof a), !=, 0);
}

/* A name of a certificate counts where tls has said it: for that listener, by that edge, soon. */
static void
test_proof (void)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  const gint64 second = G_USEC_PER_SEC, now = 5000 * second, hour = 3600 * second;
  guint8 key[EK_PROOF_KEY_LEN] = { 1 };

  g_assert_cmpuint (ek_tls_proof_make (pool, "tim@example.com", "imaps", 1, now).n, ==, 0);        /* no key */
  g_assert_false (ek_tls_proof_good (EK_STR (""), "tim@example.com", "imaps", 1, now));
  ek_tls_proof_use_key ((EkStr) { (char *) key, sizeof key });
  EkStr proof = ek_tls_proof_make (pool, "tim@example.com", "imaps", 1, now);
  g_assert_true (ek_tls_proof_good (proof, "tim@example.com", "imaps", 1, now));
  g_assert_true (ek_tls_proof_good (proof, "tim@example.com", "imaps", 1, now + hour - 1));
  g_assert_false (ek_tls_proof_good (proof, "tim@example.com", "imaps", 1, now + hour));
  g_assert_false (ek_tls_proof_good (proof, "tim@example.com", "imaps", 1, now - 1));
  g_assert_false (ek_tls_proof_good (proof, "tom@example.com", "imaps", 1, now));
  g_assert_false (ek_tls_proof_good (proof, "tim@example.com", "imap", 1, now));
  g_assert_false (ek_tls_proof_good (proof, "tim@example.com", "imaps", 2, now));
  g_assert_false (ek_tls_proof_good (proof, NULL, "imaps", 1, now));
  g_assert_false (ek_tls_proof_good (proof, "tim@example.com", NULL, 1, now));
  for (gsize i = 0; i < proof.n; i++) {
    g_autofree char *other = g_memdup2 (proof.p, proof.n);
    other[i] ^= 1;
    g_assert_false (ek_tls_proof_good ((EkStr) { other, proof.n }, "tim@example.com", "imaps", 1, now + 1));
    g_assert_false (ek_tls_proof_good ((EkStr) { proof.p, i }, "tim@example.com", "imaps", 1, now));
  }
  ek_tls_proof_use_key (EK_STR ("short"));
  g_assert_true (ek_tls_proof_good (proof, "tim@example.com", "imaps", 1, now));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ek_sasl_register (ek_module_sasl_cram_md5.mechanisms);
  ek_scheme_register (ek_module_sasl_cram_md5.scheme);
  ek_sasl_register (ek_module_sasl_external.mechanisms);
  g_test_add_func ("/cram/vectors", test_vectors);
  g_test_add_func ("/cram/exchange", test_cram);
  g_test_add_func ("/cram/malformed", test_malformed);
  g_test_add_func ("/cram/order", test_order);
  g_test_add_func ("/cram/gullible", test_gullible);
  g_test_add_func ("/cram/external", test_external);
  g_test_add_func ("/cram/noise", test_noise);
  g_test_add_func ("/external/proof", test_proof);
  return g_test_run ();
}
