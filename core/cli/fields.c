/* fields.c - "quota=2G": what commands change of users and domains, and how they show it
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/fields.h"
#include "conf/option.h"
#include <errno.h>
#include <string.h>

static bool
is_yes_or_no (const char *field)
{
  return strcmp (field, "active") == 0 || strcmp (field, "nologin") == 0;
}

/* The value as a backend gets it; NULL and *why. */
static const char *
normal (EkPool *pool, const char *field, const char *typed, const char **why)
{
  EkSize size;
  bool yes;

  if (is_yes_or_no (field))
    return !ek_parse_bool (ek_str (typed), &yes, why) ? NULL : yes ? "1" : "0";
  if (*typed == '\0' || strcmp (typed, "none") == 0)
    return "";
  if (g_str_has_prefix (field, "quota"))
    return ek_parse_size (ek_str (typed), &size, why) ? ek_pool_printf (pool, "%" G_GUINT64_FORMAT, size.bytes) : NULL;
  *why = "it is a folder, and begins with /";
  return strcmp (field, "home") == 0 && *typed != '/' ? NULL : ek_pool_strdup (pool, typed);
}

bool
ek_cli_field (EkPool *pool, const char *word, const char **field, EkStr *value, GError **error)
{
  const char *equals = strchr (word, '='), *why = NULL;

  if (equals == NULL || equals == word) {
    ek_fail (error, EK_FAIL, EINVAL, "\"%s\" is no field: write FIELD=VALUE, as quota=2G", word);
    return false;
  }
  *field = ek_pool_strndup (pool, word, (gsize) (equals - word));
  if (strcmp (*field, "password") == 0) {
    ek_fail (error, EK_FAIL, EINVAL, "others could read a password in the list of processes: --password asks for it, and so does `ekiden user "
             "passwd`");
    return false;
  }
  const char *text = normal (pool, *field, equals + 1, &why);
  if (text == NULL)
    ek_fail (error, EK_FAIL, EINVAL, "%s: \"%s\" %s", *field, equals + 1, why);
  else
    *value = ek_str (text);
  return text != NULL;
}

bool
ek_cli_fields_check (char **words, GError **error)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  const char *field;
  EkStr value;

  for (; *words; words++)
    if (!ek_cli_field (pool, *words, &field, &value, error))
      return false;
  return true;
}

void
ek_cli_put (EkBuf *out, EkJson *json, const char *name, EkStr value)
{
  if (json)
    ek_json_str (json, name, value);
  else
    ek_buf_printf (out, "  %-14s %.*s\n", name, EK_STR_ARG (value));
}

void
ek_cli_put_row (EkBuf *out, EkJson *json, const EkAnswer *answer)
{
  for (guint i = 0; answer->n_rows && i < answer->n_columns; i++) {
    const char *name = answer->names ? answer->names[i] : "value";
    if (answer->cells[i].p && g_ascii_strcasecmp (name, "password") != 0)
      ek_cli_put (out, json, name, answer->cells[i]);
  }
}
