/* netmaps.h - tests: questions to maps of a server, and their answers as one text
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "../lib/instance.h"
#include "../lib/peer.h"
#include "module/call.h"
#include <signal.h>
#include <string.h>

static EkPool *pool;
static char *why;                    /* of the last answer */

/* Rows with "|" between them; columns as name=value with "," between them. */
static inline char *
flat (const EkAnswer *a)
{
  GString *out = g_string_new (NULL);

  for (guint r = 0; r < a->n_rows; r++)
    for (guint c = 0; c < a->n_columns; c++) {
      EkStr cell = a->cells[r * a->n_columns + c];
      g_string_append (out, c ? "," : r ? "|" : "");
      if (a->names)
        g_string_append_printf (out, "%s=", a->names[c]);
      g_string_append_printf (out, "%.*s", cell.p ? (int) cell.n : 4, cell.p ? cell.p : "NULL");
    }
  return g_string_free (out, FALSE);
}

/* The answer, or the status in brackets; in the pool. */
static inline const char *
ask_for (EkInstance *self, EkStr key, gint64 us)
{
  EkLookup lookup = { .query.key = key };
  g_autoptr (GError) error = NULL;
  EkStatus status = ek_op_call (self, pool, us ? g_get_monotonic_time () + us : 0, ek_run_lookup, &lookup, &error);

  g_free (why);
  why = g_strdup (error ? error->message : "");
  g_assert_cmpint (status == EK_DEFER, ==, error != NULL);
  if (status != EK_OK)
    return ek_pool_printf (pool, "[%s]", ek_status_name (status));
  g_autofree char *text = flat (&lookup.answer);
  return ek_pool_strdup (pool, text);
}

static inline const char *
ask (EkInstance *self, const char *key)
{
  return ask_for (self, ek_str (key), 0);
}

static inline void
assert_why (const char *part)
{
  if (!strstr (why, part))
    g_error ("\"%s\" lacks \"%s\"", why, part);
}

/* main()'s last line. */
static inline int
run_tests (void)
{
  pool = ek_pool_new ();
  int failed = g_test_run ();
  ek_pool_free (pool);
  g_free (why);
  return failed;
}
