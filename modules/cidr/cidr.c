/* cidr.c - maps from networks to values, in the format of Postfix's cidr_table(5)
 * SPDX-License-Identifier: Apache-2.0 */
#include "cidr.h"

typedef struct {
  EkInstance   base;
  const char  *path;
  EkTableFile *file;
} Cidr;

static const EkOption options[] = {
  EK_OPTION (Cidr, path, NULL, "The file: a network, blanks and its value on each line; the first that matches counts.  "
             "It is read again when it has changed."),
  EK_OPTIONS_END
};

static gboolean
cidr_init (EkInstance *base, GError **error)
{
  Cidr *self = (Cidr *) base;

  return ek_path_check ("path", self->path, error);
}

static gboolean
cidr_start (EkInstance *base, GError **error)
{
  Cidr *self = (Cidr *) base;

  self->file = ek_table_file_open (base, self->path, &cidr_table_kind, NULL);
  return TRUE;
}

static void
cidr_stop (EkInstance *base)
{
  ek_table_file_free (((Cidr *) base)->file);
  ((Cidr *) base)->file = NULL;
}

static EkStatus
cidr_lookup (EkInstance *base, EkCall *call, const EkQuery *query, EkAnswer *answer)
{
  Cidr *self = (Cidr *) base;
  const CidrTable *table = ek_table_file_hold (self->file, &call->error);
  EkNetwork address;
  EkStr value;

  if (table == NULL)
    return EK_DEFER;
  bool found = ek_network_parse_address (query->key, &address) && cidr_table_find (table, &address, &value);
  if (found)
    ek_answer_value (answer, call->pool, value);
  ek_table_file_release (self->file, table);
  return found ? EK_OK : EK_NOTFOUND;
}

static const EkMapOps map = { .lookup = cidr_lookup };

EK_MODULE (cidr, .summary = "Networks and their values, in a text file", .flags = EK_WHOLE_KEYS, .options = options,
           .instance_size = sizeof (Cidr), .init = cidr_init, .start = cidr_start, .stop = cidr_stop, .map = &map);
