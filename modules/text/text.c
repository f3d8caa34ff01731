/* text.c - maps in Postfix's text format: key, blanks, value
 * SPDX-License-Identifier: Apache-2.0 */
#include "lookup/texttable.h"

typedef struct {
  EkInstance   base;
  const char  *path;
  bool         fold_case;
  EkSize       size_advice;
  EkTableFile *file;
} Text;

static const EkOption options[] = {
  EK_OPTION (Text, path, NULL, "The file: a key, blanks and its value on each line, as postmap(1) describes.  It is "
             "read again when it has changed."),
  EK_OPTION (Text, fold_case, "yes", "Whether A and a are the same in keys (ASCII letters)."),
  EK_OPTION (Text, size_advice, "100M", "From this much memory on the log recommends a database file, which `ekiden map build` "
             "makes of the text: it takes none, and is opened at once.  0: never."),
  EK_OPTIONS_END
};

static gpointer
parse (const EkTableText *text, gpointer user, GError **error)
{
  const Text *self = user;
  EkTextTable *table = ek_text_kind.parse (text, &(EkTextRules) { .fold_case = self->fold_case }, error);

  if (table && self->size_advice.bytes && ek_text_table_size (table) > self->size_advice.bytes)
    ek_log (EK_INFO, "", "text \"%s\": the %" G_GUINT64_FORMAT " rows of %s take %" G_GSIZE_FORMAT " MB of memory: a database file, "
            "made of it by `ekiden map build`, takes none (size_advice)", self->base.name, ek_text_table_n (table), text->path,
            ek_text_table_size (table) >> 20);
  return table;
}

static void
free_table (gpointer table)
{
  ek_text_kind.free (table);
}

static const EkTableKind kind = { .parse = parse, .free = free_table };

static gboolean
text_init (EkInstance *base, GError **error)
{
  Text *self = (Text *) base;

  return ek_path_check ("path", self->path, error);
}

static gboolean
text_start (EkInstance *base, GError **error)
{
  Text *self = (Text *) base;

  self->file = ek_table_file_open (base, self->path, &kind, self);
  return TRUE;
}

static void
text_stop (EkInstance *base)
{
  ek_table_file_free (((Text *) base)->file);
  ((Text *) base)->file = NULL;
}

static EkStatus
text_lookup (EkInstance *base, EkCall *call, const EkQuery *query, EkAnswer *answer)
{
  Text *self = (Text *) base;
  const EkTextTable *table = ek_table_file_hold (self->file, &call->error);
  EkStr value;

  if (table == NULL)
    return EK_DEFER;
  bool found = ek_text_table_find (table, query->key, &value);
  if (found)
    ek_answer_value (answer, call->pool, value);
  ek_table_file_release (self->file, table);
  return found ? EK_OK : EK_NOTFOUND;
}

static EkStatus
text_each (EkInstance *base, EkCall *call, void (*func) (EkStr, EkStr, gpointer), gpointer data)
{
  Text *self = (Text *) base;
  const EkTextTable *table = ek_table_file_hold (self->file, &call->error);

  if (table == NULL)
    return EK_DEFER;
  ek_text_table_each (table, func, data);
  ek_table_file_release (self->file, table);
  return EK_OK;
}

static bool
text_at_hand (const EkInstance *base)
{
  return ek_table_file_at_hand (((const Text *) base)->file);
}

static const EkMapOps map = { .lookup = text_lookup, .each = text_each };

EK_MODULE (text, .summary = "Maps in text files (Postfix's format)", .options = options,
           .instance_size = sizeof (Text), .init = text_init, .start = text_start, .stop = text_stop, .at_hand = text_at_hand,
           .map = &map);
