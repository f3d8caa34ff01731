/* fuzz-textmap.c - text maps and cidr tables: logical lines, keys, patterns
 * SPDX-License-Identifier: Apache-2.0 */
/* covers: core/lookup/texttable.c modules/cidr/table.c core/lookup/rules.c core/lookup/tableparts.c core/lookup/network.c */
/* options: -max_len=4096 */
#include "fuzz.h"
#include "base/log.h"
#include "../../modules/cidr/cidr.h"
#include "lookup/texttable.h"
#include <string.h>

static void
count_row (EkStr key, EkStr value, gpointer data)
{
  g_assert (key.n > 0 && value.n > 0);
  ++*(guint64 *) data;
}

static void
as_text (const uint8_t *data, size_t size, bool fold)
{
  char *copy = g_strndup ((const char *) data, size), *again = g_memdup2 (copy, size + 1);
  EkTableText text = { .path = "map", .text = copy, .len = size };
  g_autoptr (GError) error = NULL;
  EkTextTable *table = ek_text_kind.parse (&text, &(EkTextRules) { .fold_case = fold }, &error);
  EkStr value;

  g_assert ((table == NULL) == (error != NULL));
  if (table) {                         /* the first words of lines, as keys */
    guint hits = 0;
    for (char *line = again; line; line = strchr (line, '\n') ? strchr (line, '\n') + 1 : NULL)
      hits += ek_text_table_find (table, (EkStr) { line, strcspn (line, " \t\n\r") }, &value);
    guint64 rows = 0;
    ek_text_table_each (table, count_row, &rows);
    g_assert (rows == ek_text_table_n (table) && (rows > 0 || hits == 0));
    ek_text_kind.free (table);
  }
  g_free (copy);
  g_free (again);
}

static void
as_cidr (const uint8_t *data, size_t size)
{
  static const char *const addresses[] = { "192.0.2.1", "2001:db8::1", "0.0.0.0", "::ffff:1.2.3.4" };
  char *copy = g_strndup ((const char *) data, size);
  EkTableText text = { .path = "cidr", .text = copy, .len = size };
  g_autoptr (GError) error = NULL;
  CidrTable *table = cidr_table_kind.parse (&text, NULL, &error);
  EkNetwork address;
  EkStr value;

  g_assert ((table == NULL) == (error != NULL));
  for (guint i = 0; table && i < G_N_ELEMENTS (addresses); i++)
    if (ek_network_parse_address (ek_str (addresses[i]), &address) && cidr_table_find (table, &address, &value))
      g_assert (value.n > 0 && value.p >= copy && value.p + value.n <= copy + size);
  if (table)
    cidr_table_kind.free (table);
  g_free (copy);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GError) error = NULL;

  ek_log_set_level (EK_ERR);           /* no line for each double key */
  as_text (data, size, true);
  as_text (data, size, false);
  as_cidr (data, size);
  (void) ek_network_list_has ((EkStr) { (const char *) data, size }, "192.0.2.1", &error);
  return 0;
}
