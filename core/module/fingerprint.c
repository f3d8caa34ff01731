/* fingerprint.c - whether a block of the configuration is still what it was before a reload
 * SPDX-License-Identifier: Apache-2.0 */
#include "module/fingerprint.h"
#include "lookup/cache.h"
#include "module/private.h"
#include <string.h>

/* With its length, so that no two lists of texts are the same bytes. */
static void
add_bytes (GChecksum *sum, gconstpointer p, gsize n)
{
  guint64 size = n;

  g_checksum_update (sum, (const guchar *) &size, sizeof size);
  g_checksum_update (sum, p, (gssize) n);
}

static void
add_text (GChecksum *sum, const char *text)
{
  add_bytes (sum, text ? text : "", text ? strlen (text) + 1 : 0);
}

static void
add_count (GChecksum *sum, guint n)
{
  add_bytes (sum, &n, sizeof n);
}

/* Settings that change no answer, but how it is come by and how long it counts. */
static bool
is_beside (const char *key)
{
  static const char *const keys[] = { "connections", "cache", "cache_negative", "cache_stale", "cache_max", "timeout", "connect_timeout" };

  for (guint i = 0; i < G_N_ELEMENTS (keys); i++)
    if (strcmp (key, keys[i]) == 0)
      return true;
  return false;
}

static void
add_block (GChecksum *sum, const EkConfBlock *block)
{
  guint n = 0;

  add_text (sum, block->kind);
  add_text (sum, block->name);
  for (const EkConfSetting *s = block->settings; s; s = s->next) {
    if (is_beside (s->key))
      continue;
    n++;
    add_text (sum, s->key);
    add_count (sum, s->n_items);
    for (guint i = 0; i < s->n_items; i++) {
      const EkConfItem *item = &s->items[i];
      add_bytes (sum, item->text.p ? item->text.p : "", item->text.n);
      add_text (sum, item->quoted ? "quoted" : NULL);
    }
  }
  add_count (sum, n);
  for (const EkConfBlock *b = block->blocks; b; b = b->next)
    add_block (sum, b);
  add_text (sum, NULL);
}

static void
add_instance (GChecksum *sum, const EkInstance *self)
{
  EkFingerprint print = ek_instance_fingerprint (self);

  add_bytes (sum, &print, sizeof print);
}

static EkFingerprint
finish (GChecksum *sum)
{
  guchar all[32];
  gsize n = sizeof all;
  EkFingerprint print;

  g_checksum_get_digest (sum, all, &n);
  g_checksum_free (sum);
  memcpy (&print, all, sizeof print);
  return print;
}

EkFingerprint
ek_instance_fingerprint (const EkInstance *self)
{
  EkInstanceCore *core = ek_instance_core (self);

  if (!core->printed) {
    GChecksum *sum = g_checksum_new (G_CHECKSUM_SHA256);
    add_text (sum, self->module ? self->module->name : NULL);
    add_text (sum, self->name);
    add_block (sum, core->block);
    for (guint i = 0; i < core->uses->len; i++)
      add_instance (sum, core->uses->pdata[i]);
    core->print = finish (sum);
    core->printed = true;
  }
  return core->print;
}

static void
add_list (GChecksum *sum, EkInstance *const *list)
{
  for (guint i = 0; list && list[i]; i++)
    add_instance (sum, list[i]);
  add_text (sum, NULL);
}

EkFingerprint
ek_block_fingerprint (const EkBlockValues *values)
{
  EkBlockValues *v = (EkBlockValues *) values;

  if (v->printed)
    return v->print;
  GChecksum *sum = g_checksum_new (G_CHECKSUM_SHA256);

  add_block (sum, v->block);
  for (const EkOption *row = v->type->options; row && row->name; row++) {
    gconstpointer field = (const char *) v->values + row->offset;
    if (row->type == EK_REFS)
      add_list (sum, *(EkInstance *const *const *) field);
    else if (row->type == EK_REF)
      add_list (sum, (EkInstance *const[]) { *(EkInstance *const *) field, NULL });
  }
  v->print = finish (sum);
  v->printed = true;
  return v->print;
}

void
ek_fingerprints_append (EkBuf *out, EkInstance *const *list)
{
  guint n = list ? g_strv_length ((char **) list) : 0;

  ek_buf_append (out, &n, sizeof n);
  for (guint i = 0; i < n; i++) {
    EkFingerprint print = ek_instance_fingerprint (list[i]);
    ek_buf_append (out, &print, sizeof print);
  }
}

/* ---- answers ---- */

static guint
print_hash (gconstpointer print)
{
  guint h;

  memcpy (&h, print, sizeof h);
  return h;
}

static gboolean
print_equal (gconstpointer a, gconstpointer b)
{
  return memcmp (a, b, sizeof (EkFingerprint)) == 0;
}

void
ek_answers_inherit (EkGeneration *gen, EkGeneration *old)
{
  g_autoptr (GHashTable) heirs = g_hash_table_new (print_hash, print_equal);

  for (guint i = 0; i < gen->order->len; i++) {
    EkInstanceCore *core = ek_instance_core (gen->order->pdata[i]);
    if (core->common.cache_max > 0) {
      ek_instance_fingerprint (gen->order->pdata[i]);
      g_hash_table_insert (heirs, &core->print, core);
    }
  }
  for (guint i = 0; i < old->order->len; i++) {
    EkInstanceCore *from = ek_instance_core (old->order->pdata[i]);
    if (from->answers == NULL)
      continue;
    EkFingerprint print = ek_instance_fingerprint (old->order->pdata[i]);
    EkInstanceCore *to = g_hash_table_lookup (heirs, &print);
    if (to && to->answers == NULL) {
      EkCacheConf conf = ek_answers_conf (to);
      to->answers = ek_cache_renew (g_steal_pointer (&from->answers), &conf);
    }
  }
}
