/* test-sasl.c - the runner of SASL exchanges, and PLAIN and LOGIN
 * SPDX-License-Identifier: Apache-2.0 */
#include "config.h"
#include "auth/sasl.h"
#include <string.h>

extern const EkModule ek_module_sasl_plain;

static const EkStr none = { NULL, 0 };

static EkSasl *
begin (const char *mechanism)
{
  const EkMechanismOps *ops = ek_sasl_find (ek_str (mechanism));

  g_assert_nonnull (ops);
  return ek_sasl_new (ops, NULL);
}

static void
assert_facts (const EkSasl *sasl, const char *name, const char *secret)
{
  const EkSaslFacts *facts = ek_sasl_facts (sasl);

  g_assert_nonnull (facts);
  g_assert_cmpstr (facts->authcid.p, ==, name);
  g_assert_cmpuint (facts->authcid.n, ==, strlen (name));
  g_assert_cmpstr (facts->secret.p, ==, secret);
  g_assert_cmpuint (facts->secret.n, ==, strlen (secret));
  g_assert_null (ek_sasl_why (sasl));
}

static void
test_plain (void)
{
  g_autoptr (EkSasl) sasl = begin ("plain");       /* RFC 4616 section 4 */

  g_assert_true (ek_sasl_mechanism (sasl)->plaintext);
  g_assert_null (ek_sasl_facts (sasl));
  g_assert_cmpint (ek_sasl_step (sasl, none), ==, EK_SASL_MORE);
  g_assert_cmpuint (ek_sasl_text (sasl).n, ==, 0);
  g_assert_cmpint (ek_sasl_step (sasl, EK_STR ("\0tim\0tanstaaftanstaaf")), ==, EK_SASL_VERIFY);
  assert_facts (sasl, "tim", "tanstaaftanstaaf");
  g_assert_cmpint (ek_sasl_step (sasl, EK_STR ("\0tim\0x")), ==, EK_SASL_FAIL);      /* it is over */
  g_assert_null (ek_sasl_facts (sasl));

  g_autoptr (EkSasl) initial = begin ("PLAIN");
  g_assert_cmpint (ek_sasl_step (initial, EK_STR ("Tim@example.com\0tim@example.com\0p\xc3\xa4ss")), ==, EK_SASL_VERIFY);
  assert_facts (initial, "tim@example.com", "p\xc3\xa4ss");
  g_assert_null (ek_sasl_facts (initial)->authzid.p);      /* as himself */

  g_autoptr (EkSasl) other = begin ("PLAIN");
  g_assert_cmpint (ek_sasl_step (other, EK_STR ("ursel\0kurt\0xipj3plmq")), ==, EK_SASL_VERIFY);     /* the RFC's proxy example */
  assert_facts (other, "kurt", "xipj3plmq");
  g_assert_true (ek_str_eq (ek_sasl_facts (other)->authzid, EK_STR ("ursel")));
}

static void
test_plain_refused (void)
{
  char longer[EK_PASSWORD_MAX + 10];
  static const struct { EkStr response; const char *why; } bad[] = {
    { { "", 0 }, "malformed" }, { { "tim", 3 }, "malformed" }, { { "\0tim", 4 }, "malformed" },
    { { "\0tim\0", 5 }, "password is empty" }, { { "\0\0pass", 6 }, "name is empty" },
    { { "\0tim\0pa\0ss", 10 }, "has a NUL" }, { { "\0t\xffm\0pass", 9 }, "not UTF-8" },
    { { "urs\xff\0kurt\0x", 11 }, "authorization identity" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autoptr (EkSasl) sasl = begin ("PLAIN");
    g_assert_cmpint (ek_sasl_step (sasl, bad[i].response), ==, EK_SASL_FAIL);
    if (!strstr (ek_sasl_why (sasl), bad[i].why))
      g_error ("%u: \"%s\" lacks \"%s\"", i, ek_sasl_why (sasl), bad[i].why);
    g_assert_null (ek_sasl_facts (sasl));
  }
  memset (longer, 'x', sizeof longer);
  longer[0] = longer[2] = '\0';
  g_autoptr (EkSasl) fits = begin ("PLAIN");
  g_assert_cmpint (ek_sasl_step (fits, (EkStr) { longer, 3 + EK_PASSWORD_MAX }), ==, EK_SASL_VERIFY);
  g_autoptr (EkSasl) over = begin ("PLAIN");
  g_assert_cmpint (ek_sasl_step (over, (EkStr) { longer, 4 + EK_PASSWORD_MAX }), ==, EK_SASL_FAIL);
  longer[2] = 'x';
  longer[257] = '\0';
  g_autoptr (EkSasl) name = begin ("PLAIN");
  g_assert_cmpint (ek_sasl_step (name, (EkStr) { longer, 300 }), ==, EK_SASL_FAIL);
  g_autofree char *huge = g_malloc0 (EK_SASL_RESPONSE_MAX + 1);
  g_autoptr (EkSasl) flood = begin ("PLAIN");
  g_assert_cmpint (ek_sasl_step (flood, (EkStr) { huge, EK_SASL_RESPONSE_MAX + 1 }), ==, EK_SASL_FAIL);
  g_assert_cmpstr (ek_sasl_why (flood), ==, "the response is too long");
}

static void
test_login (void)
{
  g_autoptr (EkSasl) sasl = begin ("LOGIN");

  g_assert_cmpint (ek_sasl_step (sasl, none), ==, EK_SASL_MORE);
  g_assert_true (ek_str_eq (ek_sasl_text (sasl), EK_STR ("Username:")));
  g_assert_cmpint (ek_sasl_step (sasl, EK_STR ("tim")), ==, EK_SASL_MORE);
  g_assert_true (ek_str_eq (ek_sasl_text (sasl), EK_STR ("Password:")));
  g_assert_null (ek_sasl_facts (sasl));
  g_assert_cmpint (ek_sasl_step (sasl, EK_STR ("pass word")), ==, EK_SASL_VERIFY);
  assert_facts (sasl, "tim", "pass word");

  g_autoptr (EkSasl) initial = begin ("LOGIN");    /* AUTH LOGIN with the name */
  g_assert_cmpint (ek_sasl_step (initial, EK_STR ("tim")), ==, EK_SASL_MORE);
  g_assert_true (ek_str_eq (ek_sasl_text (initial), EK_STR ("Password:")));
  g_assert_cmpint (ek_sasl_step (initial, EK_STR ("x")), ==, EK_SASL_VERIFY);
  assert_facts (initial, "tim", "x");
}

static void
test_login_refused (void)
{
  static const EkStr names[] = { { "", 0 }, { "t\0m", 3 }, { "t\xc3", 2 } };
  char longer[257];

  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autoptr (EkSasl) sasl = begin ("LOGIN");
    ek_sasl_step (sasl, none);
    EkSaslStep step = ek_sasl_step (sasl, names[i]);
    if (step == EK_SASL_MORE)
      step = ek_sasl_step (sasl, EK_STR ("x"));
    g_assert_cmpint (step, ==, EK_SASL_FAIL);
  }
  memset (longer, 'x', sizeof longer);
  g_autoptr (EkSasl) sasl = begin ("LOGIN");
  g_assert_cmpint (ek_sasl_step (sasl, (EkStr) { longer, 256 }), ==, EK_SASL_FAIL);
  g_autoptr (EkSasl) empty = begin ("LOGIN");
  ek_sasl_step (empty, EK_STR ("tim"));
  g_assert_cmpint (ek_sasl_step (empty, EK_STR ("")), ==, EK_SASL_FAIL);
  g_autoptr (EkSasl) twice = begin ("LOGIN");      /* "no response" again after the question */
  g_assert_cmpint (ek_sasl_step (twice, none), ==, EK_SASL_MORE);
  g_assert_cmpint (ek_sasl_step (twice, none), ==, EK_SASL_FAIL);
}

/* ---- a mechanism that misbehaves ---- */

static EkSaslStep
endless_step (EkSasl *sasl, gpointer state, EkStr response)
{
  ek_sasl_challenge (sasl, EK_STR ("more"));
  return EK_SASL_MORE;
}

static EkSaslStep
nobody_step (EkSasl *sasl, gpointer state, EkStr response)
{
  return EK_SASL_VERIFY;
}

static void
test_runner (void)
{
  static const EkMechanismOps endless = { .name = "ENDLESS", .step = endless_step };
  static const EkMechanismOps nobody = { .name = "NOBODY", .step = nobody_step };
  static const EkMechanismOps false_plain = { .name = "PLAIN", .step = nobody_step };
  static const EkMechanismOps *const more[] = { &endless, &nobody, &false_plain, NULL };
  guint rounds = 0;

  ek_sasl_register (more);
  g_assert_true (ek_sasl_find (EK_STR ("plain")) == ek_module_sasl_plain.mechanisms[0]);
  g_assert_null (ek_sasl_find (EK_STR ("PLAI")));
  g_assert_null (ek_sasl_find (EK_STR ("")));
  g_autoptr (EkSasl) sasl = begin ("ENDLESS");
  while (ek_sasl_step (sasl, EK_STR ("x")) == EK_SASL_MORE)
    rounds++;
  g_assert_cmpuint (rounds, ==, 8);
  g_autoptr (EkSasl) none_named = begin ("NOBODY");
  g_assert_cmpint (ek_sasl_step (none_named, EK_STR ("x")), ==, EK_SASL_FAIL);
  ek_sasl_free (NULL);
}

static void
test_line (void)
{
  EkBuf out = { 0 };
  g_autofree char *longer = g_strnfill (EK_SASL_LINE_MAX + 4, 'A');

  g_assert_cmpint (ek_sasl_line (EK_STR ("AHRpbQB0YW5zdGFhZnRhbnN0YWFm"), true, &out), ==, EK_SASL_LINE_OK);
  g_assert_true (ek_str_eq (ek_buf_str (&out), EK_STR ("\0tim\0tanstaaftanstaaf")));
  ek_buf_clear (&out);
  g_assert_cmpint (ek_sasl_line (EK_STR ("*"), false, &out), ==, EK_SASL_LINE_ABORT);
  g_assert_cmpint (ek_sasl_line (EK_STR ("*"), true, &out), ==, EK_SASL_LINE_ABORT);
  g_assert_cmpint (ek_sasl_line (EK_STR ("="), true, &out), ==, EK_SASL_LINE_OK);
  g_assert_cmpint (ek_sasl_line (EK_STR ("="), false, &out), ==, EK_SASL_LINE_BAD);
  g_assert_cmpint (ek_sasl_line (EK_STR (""), false, &out), ==, EK_SASL_LINE_OK);
  g_assert_cmpint (ek_sasl_line (EK_STR ("AHRp bQB0"), false, &out), ==, EK_SASL_LINE_BAD);
  g_assert_cmpint (ek_sasl_line (EK_STR ("AHRpbQ"), false, &out), ==, EK_SASL_LINE_BAD);
  g_assert_cmpint (ek_sasl_line ((EkStr) { longer, EK_SASL_LINE_MAX + 4 }, false, &out), ==, EK_SASL_LINE_BAD);
  g_assert_cmpuint (ek_buf_len (&out), ==, 0);
  g_assert_cmpint (ek_sasl_line ((EkStr) { longer, EK_SASL_LINE_MAX }, false, &out), ==, EK_SASL_LINE_OK);
  g_assert_cmpuint (ek_buf_len (&out), ==, EK_SASL_RESPONSE_MAX);
  ek_buf_wipe (&out);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ek_sasl_register (ek_module_sasl_plain.mechanisms);
  g_test_add_func ("/sasl/plain", test_plain);
  g_test_add_func ("/sasl/plain-refused", test_plain_refused);
  g_test_add_func ("/sasl/login", test_login);
  g_test_add_func ("/sasl/login-refused", test_login_refused);
  g_test_add_func ("/sasl/runner", test_runner);
  g_test_add_func ("/sasl/line", test_line);
  return g_test_run ();
}
