/* event.c - the registry of events.def, and who may say what
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "base/event.h"
#include "base/base.h"
#include <pthread.h>
#include <string.h>

static const EkComponentInfo components[] = {
#define EK_COMPONENT(name_, roles_, grammar_, doc_) { name_, roles_, EK_GRAMMAR_##grammar_, doc_ },
#include "base/events.def"
};

static const EkKeyInfo keys[] = {
#define EK_KEY(name_, type_, missing_, doc_) { name_, EK_KEY_##type_, missing_, doc_ },
#include "base/events.def"
};

static const EkWordInfo words[] = {
#define EK_WORD(word_, components_, level_, line_, story_, doc_) \
  { word_, components_, EK_##level_, line_, story_, doc_ },
#include "base/events.def"
};

/* One open-addressed table a list: the row number plus one, found by the name's hash. */
enum { SLOTS = 512 };
static guint16 component_slots[SLOTS], key_slots[SLOTS], word_slots[SLOTS];
static pthread_once_t once = PTHREAD_ONCE_INIT;

G_STATIC_ASSERT (G_N_ELEMENTS (keys) < SLOTS / 2 && G_N_ELEMENTS (words) < SLOTS / 2);

static void
enter (guint16 *slots, const char *name, gsize row)
{
  gsize at = ek_hash64 (name, strlen (name)) % SLOTS;

  while (slots[at])
    at = (at + 1) % SLOTS;
  slots[at] = (guint16) (row + 1);
}

static void
fill (void)
{
  for (gsize i = 0; i < G_N_ELEMENTS (components); i++)
    enter (component_slots, components[i].name, i);
  for (gsize i = 0; i < G_N_ELEMENTS (keys); i++)
    enter (key_slots, keys[i].name, i);
  for (gsize i = 0; i < G_N_ELEMENTS (words); i++)
    enter (word_slots, words[i].word, i);
}

/* The name is the first member of all three kinds of row. */
static gconstpointer
find (const guint16 *slots, gconstpointer rows, gsize row_size, EkStr name)
{
  pthread_once (&once, fill);
  for (gsize at = ek_hash64 (name.p, name.n) % SLOTS; slots[at]; at = (at + 1) % SLOTS) {
    gconstpointer row = (const char *) rows + (slots[at] - 1u) * row_size;
    const char *candidate = *(const char *const *) row;
    if (strncmp (candidate, name.p, name.n) == 0 && candidate[name.n] == '\0')
      return row;
  }
  return NULL;
}

const EkComponentInfo *
ek_component_find (EkStr name)
{
  return find (component_slots, components, sizeof *components, name);
}

const EkKeyInfo *
ek_key_find (EkStr name)
{
  return find (key_slots, keys, sizeof *keys, name);
}

const EkWordInfo *
ek_word_find (EkStr word)
{
  return find (word_slots, words, sizeof *words, word);
}

const EkComponentInfo *
ek_components (guint *n)
{
  *n = G_N_ELEMENTS (components);
  return components;
}

const EkKeyInfo *
ek_keys (guint *n)
{
  *n = G_N_ELEMENTS (keys);
  return keys;
}

const EkWordInfo *
ek_words (guint *n)
{
  *n = G_N_ELEMENTS (words);
  return words;
}

/* Whether `list`, words apart from each other by one of `separators`, has `item`. */
static bool
list_has (const char *list, const char *separators, EkStr item)
{
  while (*list) {
    gsize n = strcspn (list, separators);
    if (ek_str_eq ((EkStr) { list, n }, item))
      return true;
    list += n;
    if (*list)
      list++;
  }
  return false;
}

static bool
roles_meet (const char *allowed, const char *held)
{
  while (*held) {
    gsize n = strcspn (held, "+,");
    EkStr role = { held, n };
    if (ek_str_eq (role, EK_STR ("master")) || ek_str_eq (role, EK_STR ("all"))
        || list_has (allowed, ",", role))
      return true;
    held += n;
    if (*held)
      held++;
  }
  return false;
}

bool
ek_role_may_claim (const char *role, EkStr component, EkStr word)
{
  const EkComponentInfo *who = ek_component_find (component);
  const EkWordInfo *what = ek_word_find (word);

  if (who && strcmp (who->roles, "*") != 0 && !roles_meet (who->roles, role))
    return false;
  return what == NULL || strcmp (what->components, "*") == 0
         || list_has (what->components, "|", component);
}
