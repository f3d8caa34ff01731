/* fuzz-passwdfile.c - lines of a passwd-file, taken apart and checked
 * SPDX-License-Identifier: Apache-2.0 */
/* covers: modules/file/line.c modules/file/table.c */
/* options: -max_len=4096 */
#include "fuzz.h"
#include "base/log.h"
#include "../../modules/file/file.h"

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  char *copy = g_strndup ((const char *) data, size);
  EkTableText text = { .path = "users", .text = copy, .len = size };
  g_autoptr (GError) error = NULL;
  ek_log_set_level (EK_ERR);           /* no line for each double user */
  gpointer table = file_table_kind.parse (&text, NULL, &error);
  gsize at = 0;
  guint n = 0;
  FileLine line, found;

  g_assert ((table == NULL) == (error != NULL));
  while (table && file_table_next (table, &at, &line)) {
    EkStr extra = line.extra, key, value;
    n++;
    while (file_extra_next (&extra, &key, &value))
      (void) ek_record_quota (value);
    g_assert (file_table_find (table, line.user, &found) && ek_str_eq (found.user, line.user));
  }
  if (table) {
    g_assert (n >= file_table_n (table));
    file_table_kind.free (table);
  }
  g_free (copy);
  return 0;
}
