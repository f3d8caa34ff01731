/* inline.c - a map whose pairs stand in the configuration
 * SPDX-License-Identifier: Apache-2.0 */
#include <ekiden/ekiden.h>
#include <errno.h>
#include <string.h>

typedef struct {
  EkInstance  base;
  char      **pairs;
  bool        fold_case;
  GHashTable *table;                 /* key -> value; read-only after init */
} Inline;

static const EkOption options[] = {
  EK_OPTION (Inline, pairs, NULL, "The pairs, each as \"key = value\"."),
  EK_OPTION (Inline, fold_case, "yes", "Whether A and a are the same in keys (ASCII letters)."),
  EK_OPTIONS_END
};

static char *
make_key (const Inline *self, EkStr key)
{
  return self->fold_case ? g_ascii_strdown (key.p, (gssize) key.n) : g_strndup (key.p, key.n);
}

static gboolean
add_pair (Inline *self, const char *pair, GError **error)
{
  const char *equals = strchr (pair, '=');
  EkStr key = ek_str_trim ((EkStr) { pair, equals ? (gsize) (equals - pair) : 0 });

  if (key.n == 0) {
    ek_fail (error, EK_FAIL, EINVAL, "pairs: \"%s\" is not \"key = value\"", pair);
    return FALSE;
  }
  EkStr value = ek_str_trim (ek_str (equals + 1));
  char *made = make_key (self, key);
  if (g_hash_table_contains (self->table, made)) {
    ek_fail (error, EK_FAIL, EINVAL, "pairs: the key \"%s\" is there twice", made);
    g_free (made);
    return FALSE;
  }
  g_hash_table_insert (self->table, made, g_strndup (value.p, value.n));
  return TRUE;
}

static gboolean
inline_init (EkInstance *base, GError **error)
{
  Inline *self = (Inline *) base;

  self->table = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  for (char **pair = self->pairs; *pair; pair++)
    if (!add_pair (self, *pair, error))
      return FALSE;
  return TRUE;
}

static void
inline_stop (EkInstance *base)
{
  g_clear_pointer (&((Inline *) base)->table, g_hash_table_unref);
}

static EkStatus
inline_lookup (EkInstance *base, EkCall *call, const EkQuery *query, EkAnswer *answer)
{
  Inline *self = (Inline *) base;
  g_autofree char *key = make_key (self, query->key);
  const char *value = query->key.n == strlen (key) ? g_hash_table_lookup (self->table, key) : NULL;

  if (value == NULL)
    return EK_NOTFOUND;
  ek_answer_value (answer, call->pool, ek_str (value));
  return EK_OK;
}

static EkStatus
inline_each (EkInstance *base, EkCall *call, void (*func) (EkStr, EkStr, gpointer), gpointer data)
{
  GHashTableIter iter;
  gpointer key, value;

  g_hash_table_iter_init (&iter, ((Inline *) base)->table);
  while (g_hash_table_iter_next (&iter, &key, &value))
    func (ek_str (key), ek_str (value), data);
  return EK_OK;
}

static const EkMapOps map = { .lookup = inline_lookup, .each = inline_each };

EK_MODULE (inline, .summary = "A map in the configuration itself", .flags = EK_AT_HAND, .options = options,
           .instance_size = sizeof (Inline), .init = inline_init, .stop = inline_stop, .map = &map);
