/* text.c - maps in Postfix's text format: key, blanks, value
 * SPDX-License-Identifier: Apache-2.0 */
#include "text.h"
#include <errno.h>

typedef struct {
  EkInstance   base;
  const char  *path;
  bool         fold_case;
  EkTableFile *file;
} Text;

static const EkOption options[] = {
  EK_OPTION (Text, path, NULL, "The file: a key, blanks and its value on each line, as postmap(1) describes.  It is "
             "read again when it has changed."),
  EK_OPTION (Text, fold_case, "yes", "Whether A and a are the same in keys (ASCII letters)."),
  EK_OPTIONS_END
};

static gboolean
text_init (EkInstance *base, GError **error)
{
  Text *self = (Text *) base;

  if (self->path && self->path[0] == '/')
    return TRUE;
  ek_fail (error, EK_FAIL, EINVAL, "path: \"%s\" is not absolute: write it from / on", self->path ? self->path : "");
  return FALSE;
}

static gboolean
text_start (EkInstance *base, GError **error)
{
  Text *self = (Text *) base;
  g_autofree char *label = g_strdup_printf ("text %s", base->name);

  self->file = ek_table_file_new (label, self->path, &text_table_kind, &self->fold_case);
  ek_table_file_reload (self->file);   /* what is wrong is in the log; lookups defer */
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
  const TextTable *table = ek_table_file_hold (self->file, &call->error);
  EkStr value;

  if (table == NULL)
    return EK_DEFER;
  bool found = text_table_find (table, query->key, &value);
  if (found)
    ek_answer_value (answer, call->pool, value);
  ek_table_file_release (self->file, table);
  return found ? EK_OK : EK_NOTFOUND;
}

static const EkMapOps map = { .lookup = text_lookup };

EK_MODULE (text, .summary = "Maps in text files (Postfix's format)", .options = options,
           .instance_size = sizeof (Text), .init = text_init, .start = text_start, .stop = text_stop, .map = &map);
