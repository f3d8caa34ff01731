/* test-cost.c - what a login costs, counted: a wrong password, an unknown name and a right password are one hash each, of the same kind
 * SPDX-License-Identifier: Apache-2.0
 *
 * By itself with a file.  tests/system/backend-sql.py and backend-ldap.py run it with each of their backends: EKIDEN_COST_BLOCK is a block "db"
 * that knows anna@cost.test by the password {COUNTED}right. */
#include "config.h"
#include "unit/authrig.h"

static gint n_hashes;                /* atomic: each time that a secret was hashed */

static EkStatus
counted_verify (const char *scheme, EkStr secret, EkStr stored, GError **error)
{
  g_atomic_int_inc (&n_hashes);
  return ek_str_eq (secret, stored) ? EK_OK : EK_FAIL;
}

static char *
counted_make (const char *scheme, EkStr secret, guint cost, GError **error)
{
  return g_strndup (secret.p, secret.n);
}

static const EkSchemeOps counted = { .names = "COUNTED", .verify = counted_verify, .make = counted_make };

/* One login; how many hashes of our scheme it took. */
static gint
cost (const char *name, const char *password, EkLoginOutcome outcome)
{
  gint before = g_atomic_int_get (&n_hashes);
  Got got = login ("db", "", name, password);

  g_test_message ("%s: %s", name, got.why);
  g_assert_cmpint (got.outcome, ==, outcome);
  return g_atomic_int_get (&n_hashes) - before;
}

static void
test_cost (void)
{
  static const char *const nobody[] = { "nobody@cost.test", "ann@cost.test", "anna@cost.tes", "*@cost.test", "' OR '1'='1@cost.test", "anna)(mail=*@cost.test",
                                        "\xff\xfe@cost.test", "\xd0\xb0nna@cost.test" };
  guint64 dummies = ek_password_n_dummies ();

  /* nobody who is known has come yet, so nobody can be imitated: a hash of the default scheme */
  g_assert_cmpint (cost ("nobody@cost.test", "right", EK_LOGIN_REFUSED), ==, 0);
  g_assert_cmpuint (ek_password_n_dummies (), ==, dummies + 1);
  g_assert_cmpint (cost ("anna@cost.test", "right", EK_LOGIN_OK), ==, 1);
  g_assert_cmpint (cost ("anna@cost.test", "wrong", EK_LOGIN_REFUSED), ==, 1);
  g_assert_cmpuint (ek_password_n_dummies (), ==, dummies + 1);
  for (guint i = 0; i < G_N_ELEMENTS (nobody); i++)
    for (guint k = 0; k < 2; k++) {
      g_assert_cmpint (cost (nobody[i], k ? "right" : "wrong", EK_LOGIN_REFUSED), ==, 1);
      g_assert_cmpuint (ek_password_n_dummies (), ==, dummies + 2 + 2 * i + k);
    }
  g_assert_cmpint (cost ("anna@cost.test", "wrong", EK_LOGIN_REFUSED), ==, 1);
}

int
main (int argc, char **argv)
{
  rig_begin (&argc, &argv);
  g_autofree char *path = g_build_filename (folder, "cost", NULL), *block = g_strdup_printf ("file \"db\" { path = \"%s\" }\n", path);

  test_write (path, "anna@cost.test:{COUNTED}right\n", -1);
  ek_scheme_register (&counted);
  ek_generation_unref (gen);
  gen = ek_test_generation (g_getenv ("EKIDEN_COST_BLOCK") ? g_getenv ("EKIDEN_COST_BLOCK") : block, EK_ROLES_ALL, NULL);
  g_assert_true (ek_generation_start (gen, NULL));
  g_test_add_func ("/cost", test_cost);
  return rig_run ();
}
