/* editpath.c - finds what a path like listener.mx.address means in a tree
 * SPDX-License-Identifier: Apache-2.0 */
#include "conf/editpath.h"
#include <string.h>

static bool
is_key (const char *word)
{
  if ((!g_ascii_isalpha (*word) && *word != '_') || strlen (word) > 64 || strcmp (word, "include") == 0)      /* as the parser has it */
    return false;
  for (; *word; word++)
    if (!g_ascii_isalnum (*word) && *word != '_')
      return false;
  return true;
}

/* What is behind `name.` or `"name".` at the start of the path; NULL: it does not begin so. */
static const char *
behind_name (const char *path, const char *name)
{
  gsize n = strlen (name);
  bool quoted = *path == '"';

  if (strncmp (path + quoted, name, n) != 0)
    return NULL;
  path += quoted + n;
  if (quoted && *path++ != '"')
    return NULL;
  return *path == '.' ? path + 1 : NULL;
}

/* The block of that kind whose name takes most of the path; one without a name takes nothing. */
static const EkConfBlock *
step (const EkConfBlock *parent, EkStr kind, const char *rest, const char **behind)
{
  const EkConfBlock *best = NULL;
  gsize best_n = 0;

  for (const EkConfBlock *b = parent->blocks; b; b = b->next) {
    if (!ek_str_eq (ek_str (b->kind), kind))
      continue;
    const char *after = b->name ? behind_name (rest, b->name) : rest;
    gsize n = b->name ? strlen (b->name) : 0;
    if (after == NULL || *after == '\0' || (best && n <= best_n))
      continue;
    best = b;
    best_n = n;
    *behind = after;
  }
  return best;
}

/* Can it stand between quotes as it is? */
static bool
is_plain_name (const char *name)
{
  for (const char *p = name; *p; p++)
    if ((guchar) *p < ' ' || *p == 127 || strchr ("\"\\$", *p))
      return false;
  return *name && g_utf8_validate (name, -1, NULL);
}

/* A block that is not there: KIND.KEY or KIND.NAME.KEY. */
static bool
split_missing (const char *path, EkPool *pool, EkConfTarget *target)
{
  const char *dot = strchr (path, '.'), *last = strrchr (path, '.');

  target->kind = ek_pool_strndup (pool, path, (gsize) (dot - path));
  target->key = ek_pool_strdup (pool, last + 1);
  if (dot == last)
    return is_key (target->kind) && is_key (target->key);
  gsize n = (gsize) (last - dot) - 1;
  const char *name = dot + 1;
  if (n >= 2 && name[0] == '"' && name[n - 1] == '"')
    name++, n -= 2;
  target->name = ek_pool_strndup (pool, name, n);
  return is_plain_name (target->name) && is_key (target->kind) && is_key (target->key);
}

bool
ek_conf_target (const EkConf *conf, const char *path, EkPool *pool, EkConfTarget *target, GError **error)
{
  const EkConfBlock *block = conf->root;
  const char *rest = path, *dot;

  *target = (EkConfTarget) { 0 };
  while ((dot = strchr (rest, '.'))) {
    const char *behind = NULL;
    const EkConfBlock *next = step (block, (EkStr) { rest, (gsize) (dot - rest) }, dot + 1, &behind);
    if (next == NULL)
      break;
    block = next;
    rest = behind;
  }
  bool known = dot == NULL && is_key (rest);
  if (known) {
    target->block = block;
    target->key = ek_pool_strdup (pool, rest);
    target->setting = ek_conf_find_setting (block, rest);
  } else if (dot == NULL || block->parent || !split_missing (rest, pool, target)) {
    ek_fail (error, EK_FAIL, 0, "\"%s\" is no way to a setting: expected KEY, KIND.KEY or KIND.NAME.KEY, as in hostname, "
             "queue.lifetime or listener.mx.address%s%s", path, block->parent ? "; there is no such block in " : "",
             block->parent ? ek_conf_block_label (block, pool) : "");
    return false;
  }
  return true;
}
