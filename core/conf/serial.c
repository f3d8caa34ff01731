/* serial.c - a configuration tree as bytes and back
 * SPDX-License-Identifier: Apache-2.0 */
#include "conf/serial.h"
#include "conf/parser.h"
#include <string.h>

#define MAGIC "EkConf1\n"

/* ---- writing ---- */

static void
put_u32 (EkBuf *out, guint32 v)
{
  v = GUINT32_TO_LE (v);
  ek_buf_append (out, &v, sizeof v);
}

/* Length + 1, so that NULL is another thing than "". */
static void
put_text (EkBuf *out, const char *text, gsize n)
{
  put_u32 (out, text ? (guint32) n + 1 : 0);
  if (text)
    ek_buf_append (out, text, n);
}

static void
put_string (EkBuf *out, const char *text)
{
  put_text (out, text, text ? strlen (text) : 0);
}

static void
put_pos (EkBuf *out, GHashTable *files, const EkConfPos *at)
{
  put_u32 (out, at->file ? GPOINTER_TO_UINT (g_hash_table_lookup (files, at->file)) : 0);
  put_u32 (out, at->line);
  put_u32 (out, at->column);
}

static void
put_setting (EkBuf *out, GHashTable *files, const EkConfSetting *s)
{
  put_string (out, s->key);
  put_pos (out, files, &s->at);
  put_u32 (out, s->list);
  put_u32 (out, s->n_items);
  for (guint i = 0; i < s->n_items; i++) {
    const EkConfItem *item = &s->items[i];
    put_text (out, item->text.p, item->text.n);
    put_pos (out, files, &item->at);
    put_u32 (out, (guint32) item->quoted | (guint32) item->secret << 1 | (guint32) item->unread << 2
                  | (guint32) (item->file != NULL) << 3);
    if (item->file)
      put_string (out, item->file);
  }
}

static void
put_block (EkBuf *out, GHashTable *files, const EkConfBlock *block, guint32 roles)
{
  guint32 n = 0;

  put_string (out, block->kind);
  put_string (out, block->name);
  put_pos (out, files, &block->at);
  put_u32 (out, block->roles);
  for (const EkConfSetting *s = block->settings; s; s = s->next)
    n++;
  put_u32 (out, n);
  for (const EkConfSetting *s = block->settings; s; s = s->next)
    put_setting (out, files, s);
  n = 0;
  for (const EkConfBlock *b = block->blocks; b; b = b->next)
    n += (b->roles & roles) != 0 || roles == G_MAXUINT32;
  put_u32 (out, n);
  for (const EkConfBlock *b = block->blocks; b; b = b->next)
    if ((b->roles & roles) != 0 || roles == G_MAXUINT32)
      put_block (out, files, b, G_MAXUINT32);      /* what stands in it comes with it */
}

/* Numbers the files from 1, in the order in which they are met. */
static void
collect_files (const EkConfBlock *block, GHashTable *files, GPtrArray *names)
{
  const EkConfPos *at = &block->at;

  for (const EkConfSetting *s = block->settings;; s = s->next) {
    if (at->file && !g_hash_table_contains (files, at->file)) {
      g_ptr_array_add (names, (gpointer) at->file);
      g_hash_table_insert (files, (gpointer) at->file, GUINT_TO_POINTER (names->len));
    }
    if (s == NULL)
      break;
    at = &s->at;
  }
  for (const EkConfBlock *b = block->blocks; b; b = b->next)
    collect_files (b, files, names);
}

void
ek_conf_serialise (const EkConf *conf, guint32 roles, EkBuf *out)
{
  g_autoptr (GHashTable) files = g_hash_table_new (g_str_hash, g_str_equal);
  g_autoptr (GPtrArray) names = g_ptr_array_new ();

  collect_files (conf->root, files, names);
  ek_buf_append (out, MAGIC, strlen (MAGIC));
  put_string (out, conf->module_path);
  put_u32 (out, names->len);
  for (guint i = 0; i < names->len; i++)
    put_string (out, names->pdata[i]);
  put_block (out, files, conf->root, roles);
}

/* ---- reading ---- */

typedef struct {
  const char  *p, *end;
  EkConf      *conf;
  const char **files;
  guint32      n_files;
  bool         bad;
} Reader;

static guint32
get_u32 (Reader *r)
{
  guint32 v;

  if (r->bad || r->end - r->p < 4) {
    r->bad = true;
    return 0;
  }
  memcpy (&v, r->p, 4);
  r->p += 4;
  return GUINT32_FROM_LE (v);
}

/* How many things follow, each of at least `size` bytes: so a number is no order for memory. */
static guint32
get_count (Reader *r, gsize size)
{
  guint32 n = get_u32 (r);

  if (n > (gsize) (r->end - r->p) / size)
    r->bad = true;
  return r->bad ? 0 : n;
}

static EkStr
get_text (Reader *r)
{
  guint32 n = get_u32 (r);

  if (n == 0 || r->bad)
    return (EkStr) { NULL, 0 };
  n--;
  if (n > (gsize) (r->end - r->p) || memchr (r->p, '\0', n)) {
    r->bad = true;
    return (EkStr) { NULL, 0 };
  }
  r->p += n;
  return (EkStr) { r->p - n, n };
}

static const char *
get_string (Reader *r)
{
  EkStr text = get_text (r);

  return text.p ? ek_pool_strndup (r->conf->pool, text.p, text.n) : NULL;
}

static EkConfPos
get_pos (Reader *r)
{
  guint32 file = get_u32 (r), line = get_u32 (r), column = get_u32 (r);

  if (file > r->n_files)
    r->bad = true;
  return (EkConfPos) { r->bad || file == 0 ? NULL : r->files[file - 1], line, column };
}

#define POS_SIZE  12
#define ITEM_SIZE (4 + POS_SIZE + 4)

static EkConfSetting *
get_setting (Reader *r)
{
  EkConfSetting *s = ek_pool_new0 (r->conf->pool, EkConfSetting);

  s->key = get_string (r);
  s->at = get_pos (r);
  s->list = get_u32 (r) != 0;
  s->n_items = get_count (r, ITEM_SIZE);
  s->items = ek_pool_newv (r->conf->pool, EkConfItem, s->n_items);
  for (guint32 i = 0; i < s->n_items && !r->bad; i++) {
    EkConfItem *item = &s->items[i];
    EkStr text = get_text (r);
    item->text = ek_conf_text (r->conf, text);
    item->at = get_pos (r);
    guint32 bits = get_u32 (r);
    item->quoted = bits & 1;
    item->secret = bits >> 1 & 1;
    item->unread = bits >> 2 & 1;
    if (bits >> 3 & 1)
      item->file = get_string (r);
    r->bad |= text.p == NULL;
  }
  r->bad |= s->key == NULL;
  return s;
}

static void
get_block (Reader *r, EkConfBlock *block, guint depth)
{
  block->kind = get_string (r);
  block->name = get_string (r);
  block->at = get_pos (r);
  block->roles = get_u32 (r);
  r->bad |= block->kind == NULL || depth > EK_CONF_NESTING_MAX;
  guint32 n = get_count (r, 4 + POS_SIZE + 8);
  for (guint32 i = 0; i < n && !r->bad; i++) {
    EkConfSetting *s = get_setting (r);
    EkConfSetting **link = block->settings ? &block->last_setting->next : &block->settings;
    *link = block->last_setting = s;
  }
  n = get_count (r, 8 + POS_SIZE + 12);
  for (guint32 i = 0; i < n && !r->bad; i++) {
    EkConfBlock *child = ek_pool_new0 (r->conf->pool, EkConfBlock);
    child->parent = block;
    child->index = depth == 0 ? r->conf->n_blocks++ : 0;
    EkConfBlock **link = block->blocks ? &block->last_block->next : &block->blocks;
    *link = block->last_block = child;
    get_block (r, child, depth + 1);
  }
}

EkConf *
ek_conf_unserialise (const void *bytes, gsize n, GError **error)
{
  g_autoptr (EkConf) conf = ek_conf_new ();
  Reader r = { .p = bytes, .end = (const char *) bytes + n, .conf = conf };

  if (n < strlen (MAGIC) || memcmp (bytes, MAGIC, strlen (MAGIC)) != 0) {
    ek_fail (error, EK_FAIL, 0, "these bytes are no configuration");
    return NULL;
  }
  r.p += strlen (MAGIC);
  conf->module_path = (char *) get_string (&r);
  r.n_files = get_count (&r, 4);
  r.files = ek_pool_newv (conf->pool, const char *, r.n_files);
  for (guint32 i = 0; i < r.n_files; i++)
    r.files[i] = get_string (&r);
  get_block (&r, conf->root, 0);
  if (r.bad || r.p != r.end || *conf->root->kind) {
    ek_fail (error, EK_FAIL, 0, "the bytes of the configuration are damaged");
    return NULL;
  }
  return g_steal_pointer (&conf);
}
