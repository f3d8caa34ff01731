/* way.c - what a map of transports says of an address, in the words of transport(5)
 * SPDX-License-Identifier: Apache-2.0
 */
#include "flow/way.h"
#include "base/log.h"
#include "module/lookup.h"
#include <string.h>

#define VALUE_MAX 1000               /* bytes of a value */

static const struct {
  const char *word;
  EkWayKind   kind;
  char        class;                 /* of its codes; NUL: it has none */
  const char *dsn, *text;            /* where the map gives none */
} words[] = {
  { "error", EK_WAY_BOUNCE, '5', "5.0.0", "mail is not accepted" },
  { "retry", EK_WAY_WAIT, '4', "4.0.0", "delivery temporarily suspended" },
  { "discard", EK_WAY_DISCARD, '2', "2.0.0", "silently discarded" },
  { "local", EK_WAY_MAILBOX },
  { "virtual", EK_WAY_MAILBOX },
};

/* ---- values ---- */

/* The length of "5.7.1" at the start of a text, with a blank or nothing behind it; 0: there is no code. */
static gsize
code_length (const char *text)
{
  gsize n = 0;

  for (guint part = 0; part < 3; part++) {
    gsize digits = strspn (text + n, "0123456789");
    if (digits == 0 || digits > (part ? 3 : 1) || (part == 0 && !strchr ("245", text[n])))
      return 0;
    n += digits;
    if (part < 2 && text[n++] != '.')
      return 0;
  }
  return text[n] == '\0' || text[n] == ' ' ? n : 0;
}

static void
read_words (EkPool *pool, guint i, EkWay *way)
{
  gsize n = code_length (way->hop);
  const char *text = way->hop + n + strspn (way->hop + n, " ");

  way->dsn = n > 0 && way->hop[0] == words[i].class ? ek_pool_strndup (pool, way->hop, n) : words[i].dsn;
  way->text = *text ? text : words[i].text;
}

void
ek_way_read (EkPool *pool, EkStr value, EkWay *way)
{
  EkStr trimmed = ek_str_trim (value);

  if (trimmed.n > VALUE_MAX) {       /* no spool keeps such a text, and no channel carries it */
    *way = (EkWay) { .kind = EK_WAY_WAIT, .transport = "", .hop = "", .dsn = "4.3.5", .text = "the map of transports has a value that is too long" };
    return;
  }
  const char *text = ek_pool_strndup (pool, trimmed.p, trimmed.n), *colon = strchr (text, ':');

  *way = (EkWay) { .kind = EK_WAY_SEND, .hop = colon ? colon + 1 : "" };
  way->transport = ek_pool_strndup (pool, text, colon ? (gsize) (colon - text) : strlen (text));
  if (*way->transport == '\0' && *way->hop == '\0')
    way->kind = EK_WAY_USUAL;
  for (guint i = 0; i < G_N_ELEMENTS (words); i++)
    if (strcmp (way->transport, words[i].word) == 0) {
      way->kind = words[i].kind;
      if (words[i].class)
        read_words (pool, i, way);
    }
}

/* ---- names ---- */

/* A block that only listeners refer to, as a protocol, is not there where mail is carried out. */
static EkInstance *
find (const EkGeneration *gen, const char *name)
{
  EkInstance *found = ek_generation_instance (gen, name, 1u << EK_TABLE_TRANSPORT);

  return found && (ek_instance_roles (found) & EK_ROLE_BIT (EK_ROLE_RELAY)) ? found : NULL;
}

EkInstance *
ek_way_transport (const EkGeneration *gen, const char *name)
{
  EkInstance *found = find (gen, name);

  return found == NULL && strcmp (name, "relay") == 0 ? find (gen, "smtp") : found;
}

char *
ek_way_names (const EkGeneration *gen)
{
  GString *names = g_string_new (NULL);

  for (guint i = 0; i < ek_generation_n_instances (gen); i++) {
    const EkInstance *self = ek_generation_instance_at (gen, i);
    if (strcmp (self->name, "relay") != 0 && find (gen, self->name))
      g_string_append_printf (names, "%s, ", self->name);
  }
  if (ek_way_transport (gen, "relay"))
    g_string_append (names, "relay, ");
  for (guint i = 0; i < G_N_ELEMENTS (words); i++)
    g_string_append_printf (names, "%s%s", i ? ", " : "", words[i].word);
  return g_string_free (names, FALSE);
}

/* ---- checks ---- */

typedef struct {
  EkInstance *map;
  EkProblems *problems;
  GHashTable *told;                  /* names that nobody has */
} Check;

/* A value as a lookup would give it. */
static void
check_row (EkStr key, EkStr value, gpointer data)
{
  Check *c = data;
  const EkGeneration *gen = ek_instance_generation (c->map);
  g_autoptr (EkPool) pool = ek_pool_new ();
  EkAnswer answer;
  EkWay way;

  ek_answer_value (&answer, pool, value);
  if (ek_map_result (c->map, pool, &(EkQuery) { .key = key }, &answer, NULL) != EK_OK)
    return;
  ek_way_read (pool, ek_answer_column (&answer, NULL), &way);
  if (way.kind != EK_WAY_SEND || *way.transport == '\0' || ek_way_transport (gen, way.transport)
      || !g_hash_table_add (c->told, g_strdup (way.transport)))
    return;
  g_autofree char *names = ek_way_names (gen);
  ek_problems_add (c->problems, &ek_instance_block (c->map)->at, "%s \"%s\": for %.*s it says \"%.*s\", and no transport is called \"%s\": "
                   "expected one of %s", c->map->module->name, c->map->name, EK_STR_ARG (key), EK_STR_ARG (value), way.transport, names);
}

static void
quiet (const char *bytes, gsize len, gpointer data)
{
}

/* Databases are not asked for all that is in them: they may be large, and away. */
static bool
can_read (EkInstance *map, bool files)
{
  const EkModule *module = map->module;
  g_autoptr (GError) error = NULL;

  if (module == NULL || module->map == NULL || module->map->each == NULL || module->connect || (module->flags & (EK_WAITS | EK_EVENTED)))
    return false;
  return module->start == NULL || (files && ek_instance_start (map, &error));
}

void
ek_ways_check (EkInstance *const *maps, EkProblems *problems, bool files)
{
  if (files)
    ek_log_set_sink (quiet, NULL);   /* a file that this user may not read is no finding */
  for (; *maps; maps++) {
    g_autoptr (EkPool) pool = ek_pool_new ();
    EkCall call = { .pool = pool };
    Check check = { *maps, problems, g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL) };
    if (can_read (*maps, files))
      (*maps)->module->map->each (*maps, &call, check_row, &check);
    g_clear_error (&call.error);
    g_hash_table_unref (check.told);
  }
  if (files)
    ek_log_set_sink (NULL, NULL);
}
