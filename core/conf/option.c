/* option.c - fills structs from blocks by EkOption rows
 * SPDX-License-Identifier: Apache-2.0 */
#include "conf/option.h"
#include <string.h>

const char *
ek_type_name (EkType type)
{
  static const char *const names[] = { "yes or no", "number", "time", "size", "string", "secret", "list", "reference",
                                       "references", "text" };

  return (guint) type < G_N_ELEMENTS (names) ? names[type] : "unknown";
}

const EkOption *
ek_options_row (const EkOption *rows, const char *name)
{
  for (; rows && rows->name; rows++)
    if (strcmp (rows->name, name) == 0)
      return rows;
  return NULL;
}

static gsize
type_size (EkType type)
{
  switch (type) {
  case EK_BOOL: return sizeof (bool);
  case EK_INT: return sizeof (gint64);
  case EK_TIME: return sizeof (EkTime);
  case EK_SIZE: return sizeof (EkSize);
  case EK_SECRET: return sizeof (EkSecret);
  case EK_TEXT: return sizeof (EkText);
  default: return sizeof (gpointer);
  }
}

/* ---- constraints ---- */

/* Splits "1..65535"; an open end is the empty string. */
static bool
split_range (const char *allow, EkStr *low, EkStr *high)
{
  const char *dots = allow ? strstr (allow, "..") : NULL;

  if (dots == NULL)
    return false;
  *low = (EkStr) { allow, (gsize) (dots - allow) };
  *high = ek_str (dots + 2);
  return true;
}

/* A number of any of the three kinds as something that can be compared. */
static bool
parse_number (EkType type, EkStr text, gint64 *value, const char **why)
{
  EkTime time;
  EkSize size;

  switch (type) {
  case EK_TIME:
    if (!ek_parse_time (text, &time, why))
      return false;
    *value = time.us;
    return true;
  case EK_SIZE:
    if (!ek_parse_size (text, &size, why))
      return false;
    *value = (gint64) size.bytes;                  /* the parser keeps it below G_MAXINT64 */
    return true;
  default:
    return ek_parse_int (text, value, why);
  }
}

static bool
in_range (const EkOption *row, gint64 value)
{
  EkStr low, high;
  const char *why;
  gint64 limit;

  if (!split_range (row->allow, &low, &high))
    return true;
  return (low.n == 0 || !parse_number (row->type, low, &limit, &why) || value >= limit)
         && (high.n == 0 || !parse_number (row->type, high, &limit, &why) || value <= limit);
}

static bool
in_words (const char *allow, EkStr text)
{
  g_auto (GStrv) words = g_strsplit (allow, "|", -1);

  for (char **w = words; *w; w++)
    if (ek_str_eq (ek_str (*w), text))
      return true;
  return false;
}

/* ---- one value ---- */

typedef struct {
  const EkOption        *row;
  const EkConfSetting   *setting;
  const EkOptionContext *context;
  EkProblems            *problems;
} Value;

/* What an item says, as a message may show it. */
static const char *
item_shown (const EkConfItem *item, char out[static 64])
{
  if (item->secret)
    return "what file() gives";
  if (item->file)
    return "what read() gives";
  g_snprintf (out, 60, "\"%.40s%s\"", item->text.p, item->text.n > 40 ? "..." : "");
  if (!g_utf8_validate (out, -1, NULL))            /* cut inside a character */
    return "another text";
  return out;
}

static bool
wrong (const Value *v, const EkConfItem *item, const char *expected)
{
  char text[64];

  if (v->row->type == EK_SECRET)
    ek_problems_add (v->problems, &item->at, "%s: expected %s", v->row->name, expected);
  else
    ek_problems_add (v->problems, &item->at, "%s: expected %s, found %s", v->row->name, expected, item_shown (item, text));
  return false;
}

static bool
check_words (const Value *v, const EkConfItem *item)
{
  if (v->row->allow == NULL || item->unread || in_words (v->row->allow, item->text))
    return true;
  g_auto (GStrv) words = g_strsplit (v->row->allow, "|", -1);
  const char *near = item->secret ? NULL : ek_nearest (item->text.p, (const char *const *) words, g_strv_length (words));
  g_autofree char *list = g_strjoinv (", ", words);
  g_autofree char *expected = near ? g_strdup_printf ("one of %s (did you mean %s?)", list, near)
                                   : g_strdup_printf ("one of %s", list);
  return wrong (v, item, expected);
}

static bool
convert_number (const Value *v, const EkConfItem *item, gpointer field)
{
  const char *why;
  gint64 value;

  if (!parse_number (v->row->type, item->text, &value, &why))
    return wrong (v, item, why);
  if (!in_range (v->row, value)) {
    g_autofree char *expected = g_strdup_printf ("a %s in the range %s", ek_type_name (v->row->type), v->row->allow);
    return wrong (v, item, expected);
  }
  if (field)
    memcpy (field, &value, sizeof value);          /* EkTime and EkSize hold the one number */
  return true;
}

static void
wipe_secret (gpointer data)
{
  EkStr *text = data;

  ek_wipe ((gpointer) text->p, text->n);
}

static bool
convert_secret (const Value *v, const EkConfItem *item, gpointer field)
{
  EkPool *pool = v->context->pool;

  if (field == NULL || item->text.n == 0)
    return true;
  EkStr *copy = ek_pool_new0 (pool, EkStr);
  *copy = ek_pool_str (pool, item->text);
  ek_pool_cleanup (pool, wipe_secret, copy);
  *(EkSecret *) field = (EkSecret) { copy->p, copy->n };
  return true;
}

static bool
convert_text (const Value *v, const EkConfItem *item, EkText *field)
{
  EkPool *pool = v->context->pool;

  if (field && item->text.n > 0)
    *field = (EkText) { ek_pool_strndup (pool, item->text.p, item->text.n), item->text.n, ek_pool_strdup (pool, item->file) };
  return true;
}

static bool
convert_list (const Value *v, char ***field)
{
  const EkConfSetting *s = v->setting;
  char **list = field ? ek_pool_newv (v->context->pool, char *, s->n_items + 1) : NULL;
  bool ok = true;

  for (guint i = 0; i < s->n_items; i++) {
    ok &= check_words (v, &s->items[i]);
    if (list)
      list[i] = ek_pool_strndup (v->context->pool, s->items[i].text.p, s->items[i].text.n);
  }
  if (field)
    *field = list;
  return ok;
}

static EkInstance *
resolve (const Value *v, const EkConfItem *item)
{
  return v->context->resolve (v->context->data, v->row, item->text, &item->at, v->problems);
}

static bool
convert_refs (const Value *v, EkInstance ***field)
{
  const EkConfSetting *s = v->setting;
  bool ok = true;
  guint n = 0;

  if (field == NULL)
    return true;
  *field = ek_pool_newv (v->context->pool, EkInstance *, s->n_items + 1);
  for (guint i = 0; v->context->resolve && i < s->n_items; i++) {
    EkInstance *found = s->items[i].text.n ? resolve (v, &s->items[i]) : NULL;
    if (found)
      (*field)[n++] = found;
    else
      ok = s->items[i].text.n == 0 && ok;
  }
  return ok;
}

static bool
convert_ref (const Value *v, const EkConfItem *item, EkInstance **field)
{
  if (field == NULL || item->text.n == 0 || v->context->resolve == NULL)
    return true;
  *field = resolve (v, item);
  return *field != NULL;
}

static bool
convert_item (const Value *v, const EkConfItem *item, gpointer field)
{
  const char *why;
  bool yes;

  switch (v->row->type) {
  case EK_BOOL:
    if (!ek_parse_bool (item->text, &yes, &why))
      return wrong (v, item, why);
    if (field)
      *(bool *) field = yes;
    return true;
  case EK_STRING:
    if (item->text.n > 0 && !check_words (v, item))
      return false;
    if (field && item->text.n > 0)
      *(const char **) field = ek_pool_strndup (v->context->pool, item->text.p, item->text.n);
    return true;
  case EK_SECRET:
    return convert_secret (v, item, field);
  case EK_TEXT:
    return convert_text (v, item, field);
  case EK_REF:
    return convert_ref (v, item, field);
  default:
    return convert_number (v, item, field);
  }
}

bool
ek_option_convert (const EkOption *row, const EkConfSetting *setting, gpointer field, const EkOptionContext *context,
                   EkProblems *problems)
{
  Value v = { row, setting, context, problems };

  if (field)
    memset (field, 0, type_size (row->type));
  if (setting->broken)
    return false;
  if (row->type == EK_LIST)
    return convert_list (&v, field);
  if (row->type == EK_REFS)
    return convert_refs (&v, field);
  bool may_be_empty = row->type == EK_STRING || row->type == EK_SECRET || row->type == EK_REF || row->type == EK_TEXT;
  if (setting->n_items == 0 && may_be_empty)
    return true;
  if (setting->n_items != 1) {
    ek_problems_add (problems, &setting->at, "%s: expected one value (%s), found %u%s", row->name,
                     ek_type_name (row->type), setting->n_items,
                     setting->n_items > 1 ? ": a text with commas in it needs \"quotes\"" : "");
    return false;
  }
  if (setting->items[0].unread && row->type != EK_STRING && row->type != EK_SECRET && row->type != EK_TEXT)
    return true;                                   /* a text stands in for a text, so that it is not missing */
  return convert_item (&v, &setting->items[0], field);
}

/* ---- blocks ---- */

const EkConfSetting *
ek_options_find (const EkOption *row, const EkLayer *layers, guint n_layers, guint *layer)
{
  for (guint i = 0; i < n_layers; i++) {
    const EkConfSetting *found = layers[i].block ? ek_conf_find_setting (layers[i].block, row->name) : NULL;
    if (found) {
      if (layer)
        *layer = i;
      return found;
    }
  }
  return NULL;
}

/* A default is text as it would be typed, so it goes through the same parser. */
static bool
convert_default (const EkOption *row, gpointer field, const EkConfPos *at, const EkOptionContext *context,
                 EkProblems *problems)
{
  g_autofree char *line = g_strdup_printf ("%s = %s\n", row->name, row->dflt);
  g_autoptr (EkConf) conf = ek_conf_load_text ("default", ek_str (line), EK_CONF_NO_FILES | EK_CONF_NO_INCLUDE, problems);
  EkConfSetting *setting = ek_conf_find_setting (conf->root, row->name);

  if (setting == NULL)
    return false;
  setting->at = *at;                               /* an instance that a default names and that is not there */
  for (guint i = 0; i < setting->n_items; i++)
    setting->items[i].at = *at;
  return ek_option_convert (row, setting, field, context, problems);
}

static bool
missing (const EkOption *row, const char *owner, const EkConfPos *at, EkProblems *problems)
{
  const char *dot = strstr (row->doc, ". ");
  gsize n = dot ? (gsize) (dot - row->doc) + 1 : strlen (row->doc);

  ek_problems_add (problems, at, "%s needs a setting \"%s\" (%s): %.*s", owner, row->name, ek_type_name (row->type),
                   (int) MIN (n, 300), row->doc);
  return false;
}

bool
ek_options_apply (const EkOption *rows, gpointer target, const EkLayer *layers, guint n_layers, const char *owner,
                  const EkOptionContext *context, EkProblems *problems)
{
  EkConfPos at = { 0 };
  bool ok = true;

  for (guint i = n_layers; i-- > 0;)
    if (layers[i].block)
      at = layers[i].block->at;
  for (const EkOption *row = rows; row && row->name; row++) {
    gpointer field = (char *) target + row->offset;
    const EkConfSetting *setting = ek_options_find (row, layers, n_layers, NULL);
    if (setting && ek_option_convert (row, setting, field, context, problems))
      continue;
    if (setting == NULL && row->dflt == NULL)
      ok = missing (row, owner, &at, problems);
    else if (setting == NULL)
      ok &= convert_default (row, field, &at, context, problems);
    else {
      ok = false;
      EkOptionContext quiet = { context->pool, NULL, NULL };
      if (row->dflt)
        convert_default (row, field, &at, &quiet, problems);
    }
  }
  return ok;
}

void
ek_options_unknown (const EkConfBlock *block, const EkOption *const *sets, guint n_sets, EkProblems *problems)
{
  g_autoptr (GPtrArray) words = g_ptr_array_new ();

  for (guint i = 0; i < n_sets; i++)
    for (const EkOption *row = sets[i]; row && row->name; row++)
      g_ptr_array_add (words, (gpointer) row->name);
  for (const EkConfSetting *s = block->settings; s; s = s->next) {
    bool known = false;
    for (guint i = 0; i < n_sets && !known; i++)
      known = ek_options_row (sets[i], s->key) != NULL;
    if (known)
      continue;
    g_autoptr (EkPool) pool = ek_pool_new ();
    const char *near = ek_nearest (s->key, (const char *const *) words->pdata, words->len);
    const char *label = ek_conf_block_label (block, pool);
    if (near)
      ek_problems_add (problems, &s->at, "%s has no setting \"%s\"; did you mean \"%s\"?", label, s->key, near);
    else
      ek_problems_add (problems, &s->at, "%s has no setting \"%s\"%s", label, s->key,
                       words->len ? "" : ": it takes none");
  }
}

/* ---- the rows themselves ---- */

static bool
is_snake (const char *name)
{
  if (!g_ascii_islower (*name))
    return false;
  for (; *name; name++)
    if (!g_ascii_islower (*name) && !g_ascii_isdigit (*name) && *name != '_')
      return false;
  return true;
}

static const char *
allow_fault (const EkOption *row)
{
  EkStr low, high;
  const char *why;
  gint64 value;

  if (row->type == EK_REF || row->type == EK_REFS)
    return row->allow && *row->allow ? NULL : "a reference needs the table it refers to in .allow";
  if (row->allow == NULL)
    return NULL;
  if (row->type == EK_BOOL || row->type == EK_SECRET || row->type == EK_TEXT)
    return "this type takes no .allow";
  if (row->type == EK_STRING || row->type == EK_LIST)
    return strstr (row->allow, "||") || !*row->allow ? "an empty word in .allow" : NULL;
  if (!split_range (row->allow, &low, &high) || (low.n == 0 && high.n == 0))
    return "expected a range in .allow, as in 1..65535";
  if ((low.n && !parse_number (row->type, low, &value, &why)) || (high.n && !parse_number (row->type, high, &value, &why)))
    return "an end of the range in .allow does not parse";
  return NULL;
}

static const char *
row_fault (const EkOption *rows, const EkOption *row, gsize size)
{
  if (!is_snake (row->name))
    return "the name is not snake_case";
  if (ek_options_row (rows, row->name) != row)
    return "the name stands twice";
  if (row->doc == NULL || strlen (row->doc) < 10 || row->doc[strlen (row->doc) - 1] != '.')
    return "the doc is no sentence";
  if (row->offset + type_size (row->type) > size)
    return "the field lies outside of the struct";
  return allow_fault (row);
}

bool
ek_options_selftest (const EkOption *rows, gsize size, const char *owner, EkProblems *problems)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  guint before = ek_problems_count (problems);

  for (const EkOption *row = rows; row && row->name; row++) {
    const char *fault = row_fault (rows, row, size);
    EkConfPos at = { owner, 0, 0 };
    if (fault)
      ek_problems_add (problems, &at, "option row %s: %s", row->name, fault);
    else if (row->dflt) {
      EkOptionContext context = { pool, NULL, NULL };
      gint64 field[4];                             /* the largest: EkText */
      if (!convert_default (row, field, &at, &context, problems))
        ek_problems_add (problems, &at, "option row %s: its default does not convert: %s", row->name, row->dflt);
    }
  }
  return ek_problems_count (problems) == before;
}
