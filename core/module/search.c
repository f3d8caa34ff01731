/* search.c - an address looked for in maps, in Postfix's order
 * SPDX-License-Identifier: Apache-2.0 */
#include "module/search.h"
#include <string.h>

#define LABELS_MAX 32                /* of a domain whose parents are asked for */

struct EkSearch {
  EkInstance *const *maps;
  const char *const *keys;
  const char        *whole;
  guint              map, key;
  EkTime             timeout;
  EkMapLookup       *lookup;         /* NULL: there is nothing to ask, and `task` says so */
  EkTask             task;
  EkSearchDone       done;
  gpointer           user;
};

const char **
ek_search_keys (EkPool *pool, const char *full, const char *key, guint what)
{
  const char **keys = ek_pool_newv (pool, const char *, LABELS_MAX + 8);
  const char *at = strrchr (key, '@'), *full_at = strrchr (full, '@'), *domain = at ? at + 1 : "";
  bool tagged = strcmp (full, key) != 0;
  guint n = 0;

  if (at && memchr (key, '@', (gsize) (at - key)))
    what &= ~(guint) EK_SEARCH_LOCAL;  /* "all@corp.example"@here: alone it would be somebody else's address */

  if (what & EK_SEARCH_ADDRESS)
    keys[n++] = full;
  if ((what & EK_SEARCH_ADDRESS) && tagged)
    keys[n++] = key;
  if ((what & EK_SEARCH_LOCAL) && full_at && tagged)
    keys[n++] = ek_pool_strndup (pool, full, (gsize) (full_at - full));
  if ((what & EK_SEARCH_LOCAL) && at)
    keys[n++] = ek_pool_strndup (pool, key, (gsize) (at - key));
  if ((what & EK_SEARCH_CATCH_ALL) && *domain)
    keys[n++] = ek_pool_printf (pool, "@%s", domain);
  if ((what & EK_SEARCH_DOMAIN) && *domain) {
    keys[n++] = domain;
    for (const char *dot = strchr (domain, '.'); dot && n < LABELS_MAX; dot = strchr (dot + 1, '.'))
      keys[n++] = dot;
  }
  if ((what & EK_SEARCH_ANY) && *domain)
    keys[n++] = "*";
  keys[n] = NULL;
  return keys;
}

static void ask (EkSearch *s);

static void
end (EkSearch *s, EkStatus status, const EkAnswer *answer)
{
  s->done (status, answer, status == EK_OK ? s->keys[s->key] : NULL, s->user);
  g_free (s);
}

static void
answered (EkStatus status, const EkAnswer *answer, const GError *why, gpointer user)
{
  EkSearch *s = user;

  s->lookup = NULL;
  if (status != EK_NOTFOUND) {
    end (s, status == EK_OK ? EK_OK : EK_DEFER, answer);
    return;
  }
  if (s->maps[++s->map] == NULL) {
    s->map = 0;
    s->key++;
  }
  if (s->keys[s->key])
    ask (s);
  else
    end (s, EK_NOTFOUND, NULL);
}

static void
ask (EkSearch *s)
{
  const char *key = s->keys[s->key];

  s->lookup = ek_map_lookup (s->maps[s->map], &(EkQuery) { .key = ek_str (key), .part = strcmp (key, s->whole) != 0 }, s->timeout,
                             answered, s);
}

static void
nothing (EkTask *task)
{
  EkSearch *s = (EkSearch *) ((char *) task - G_STRUCT_OFFSET (EkSearch, task));

  if (s->done)
    end (s, EK_NOTFOUND, NULL);
  else
    g_free (s);
}

EkSearch *
ek_search (EkInstance *const *maps, const char *const *keys, const char *whole, EkTime timeout, EkSearchDone done, gpointer user)
{
  EkSearch *s = g_new0 (EkSearch, 1);

  *s = (EkSearch) { .maps = maps, .keys = keys, .whole = whole, .timeout = timeout, .done = done, .user = user, .task.func = nothing };
  if (maps[0] && keys[0])
    ask (s);
  else
    ek_loop_later (ek_loop_mine (), &s->task);
  return s;
}

void
ek_search_cancel (EkSearch *s)
{
  if (s == NULL)
    return;
  s->done = NULL;
  if (s->lookup == NULL)
    return;                          /* nothing() frees it */
  ek_map_lookup_cancel (s->lookup);
  g_free (s);
}
