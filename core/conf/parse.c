/* parse.c - the words of one value: yes and no, numbers, times, sizes
 * SPDX-License-Identifier: Apache-2.0 */
#include "conf/option.h"

bool
ek_parse_bool (EkStr text, bool *value, const char **why)
{
  static const char *const yes[] = { "yes", "true", "on" }, *const no[] = { "no", "false", "off" };

  for (guint i = 0; i < G_N_ELEMENTS (yes); i++) {
    if (ek_str_ieq (text, ek_str (yes[i])))
      return *value = true, true;
    if (ek_str_ieq (text, ek_str (no[i])))
      return *value = false, true;
  }
  *why = "yes or no";
  return false;
}

bool
ek_parse_int (EkStr text, gint64 *value, const char **why)
{
  bool minus = text.n > 0 && text.p[0] == '-';
  guint64 v;

  *why = "a whole number, as in 42";
  if (minus)
    text.p++, text.n--;
  if (!ek_str_u64 (text, (guint64) G_MAXINT64, &v))
    return false;
  *value = minus ? -(gint64) v : (gint64) v;
  return true;
}

typedef struct {
  const char *name;
  guint64     factor;
} Unit;

/* Digits and a unit, off the front of the text. */
static bool
take (EkStr *text, const Unit *units, guint n_units, guint64 *value, const Unit **unit)
{
  gsize digits = 0, letters;

  while (digits < text->n && g_ascii_isdigit (text->p[digits]))
    digits++;
  for (letters = digits; letters < text->n && g_ascii_isalpha (text->p[letters]);)
    letters++;
  if (!ek_str_u64 ((EkStr) { text->p, digits }, G_MAXINT64, value))
    return false;
  EkStr word = { text->p + digits, letters - digits };
  *text = (EkStr) { text->p + letters, text->n - letters };
  for (guint i = 0; i < n_units; i++)
    if (ek_str_ieq (word, ek_str (units[i].name))) {
      *unit = &units[i];
      return *value <= (guint64) G_MAXINT64 / units[i].factor;
    }
  return false;
}

bool
ek_parse_time (EkStr text, EkTime *value, const char **why)
{
  static const Unit units[] = {                    /* largest first: 1h30m, not 30m1h */
    { "w", 604800 * G_GUINT64_CONSTANT (1000000) }, { "d", 86400 * G_GUINT64_CONSTANT (1000000) },
    { "h", 3600 * G_GUINT64_CONSTANT (1000000) }, { "m", 60000000 }, { "s", 1000000 }, { "ms", 1000 }, { "us", 1 },
  };
  const Unit *unit, *last = NULL;
  guint64 sum = 0, v;

  *why = "a time: a number with a unit (w d h m s ms us), as in 30s, 1h30m or 500ms";
  if (ek_str_eq (text, EK_STR ("0"))) {
    value->us = 0;
    return true;
  }
  if (text.n == 0)
    return false;
  for (; text.n > 0; last = unit) {
    if (!take (&text, units, G_N_ELEMENTS (units), &v, &unit) || (last && unit <= last))
      return false;
    v *= unit->factor;
    if (v > (guint64) G_MAXINT64 - sum)
      return false;
    sum += v;
  }
  value->us = (gint64) sum;
  return true;
}

bool
ek_parse_size (EkStr text, EkSize *value, const char **why)
{
  static const Unit units[] = {
    { "", 1 }, { "B", 1 }, { "K", 1024 }, { "KB", 1024 }, { "KiB", 1024 }, { "M", 1 << 20 }, { "MB", 1 << 20 },
    { "MiB", 1 << 20 }, { "G", 1 << 30 }, { "GB", 1 << 30 }, { "GiB", 1 << 30 },
    { "T", G_GUINT64_CONSTANT (1) << 40 }, { "TB", G_GUINT64_CONSTANT (1) << 40 }, { "TiB", G_GUINT64_CONSTANT (1) << 40 },
  };
  const Unit *unit;
  guint64 v;

  *why = "a size: bytes, or a number with K, M, G or T, as in 50M";
  if (!take (&text, units, G_N_ELEMENTS (units), &v, &unit) || text.n > 0)
    return false;
  value->bytes = v * unit->factor;
  return true;
}
