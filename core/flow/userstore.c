/* userstore.c - which store worker has a user's mailboxes: a slot by his name, or the worker of his own uid
 * SPDX-License-Identifier: Apache-2.0
 *
 * Master starts the workers of single uids (proc/userstores.h) and answers their index; it is remembered as long as there is a
 * channel to that worker and master does not ask for it back.
 */
#include "config.h"
#include "auth/sasl.h"
#include "flow/directory.h"
#include "flow/facts.h"
#include "flow/tlsproof.h"
#include "proc/userstores.h"
#include <string.h>

#define SLOTS      1024
#define KNOWN_MAX  20000             /* users of own uids that are remembered */
#define LONG_AGO   (60 * G_USEC_PER_SEC)
#define JUST_NOW   (10 * G_USEC_PER_SEC)     /* queue keeps an answer for five seconds, store a vouch for ten */

typedef struct {                     /* one uid with one place */
  char  *key;
  guint  index;
  bool   known;
  gint64 used;
  GQueue asks;                       /* of EkStoreAsk: while master is asked */
} Place;

struct EkStoreAsk {
  EkPool     *pool;
  const char *name;                  /* for the log */
  EkStoreFunc func;                  /* NULL: cancelled */
  gpointer    data;
};

static GHashTable *places;           /* key -> Place */
static gint64      owner = -1;

static void
place_free (gpointer data)
{
  Place *p = data;

  g_free (p->key);
  g_free (p);
}

bool
ek_directory_own_store (const EkUser *user)
{
  return owner >= 0 && user->uid >= 0 && user->uid != owner;
}

char *
ek_directory_store_wrong (EkGeneration *gen, const EkUser *user)
{
  const EkRolesConf *roles = ek_generation_values (gen, &ek_roles_block, NULL);

  return roles && ek_directory_own_store (user) ? ek_user_store_wrong (roles, user->uid, user->gid) : NULL;
}

/* ---- asking master ---- */

static void
ask_end (EkStoreAsk *a, EkStatus status, guint index, const char *why)
{
  if (status != EK_OK && a->func)
    ek_log (EK_WARN, "directory", "%s has to wait: %s", a->name, why);
  if (a->func)
    a->func (status, index, why, a->data);
  ek_pool_free (a->pool);            /* a with it */
}

static void
answered (EkMsg *msg, gpointer data)
{
  Place *p = data;
  g_autoptr (EkPool) pool = ek_pool_new ();
  EkStatus status = EK_DEFER;
  const char *why = "the server is stopping";
  EkStoreAsk *a;

  if (msg) {
    status = ek_unpack_max (&msg->in, EK_FAIL) == EK_OK ? EK_OK : EK_DEFER;
    p->index = (guint) ek_unpack_max (&msg->in, EK_INDEX_MAX);
    why = ek_unpack_text (&msg->in, pool);
  }
  p->known = status == EK_OK;
  p->used = ek_now ();
  guint index = p->index;
  GQueue asks = p->asks;
  g_queue_init (&p->asks);
  if (!p->known)
    g_hash_table_remove (places, p->key);
  while ((a = g_queue_pop_head (&asks)))
    ask_end (a, status, index, why ? why : "master gave no reason");
}

static gboolean
is_old (gpointer key, gpointer value, gpointer data)
{
  const Place *p = value;

  return p->asks.length == 0 && ek_now () - p->used > LONG_AGO;
}

static Place *
place_of (const EkUser *user)
{
  g_autofree char *key = g_strdup_printf ("%" G_GINT64_FORMAT ":%" G_GINT64_FORMAT ":%s\n%s", user->uid, user->gid,
                                          user->home ? user->home : "", user->mail ? user->mail : "");
  Place *p = g_hash_table_lookup (places, key);

  if (p)
    return p;
  if (g_hash_table_size (places) >= KNOWN_MAX)
    g_hash_table_foreach_remove (places, is_old, NULL);
  if (g_hash_table_size (places) >= 2 * KNOWN_MAX)
    return NULL;
  p = g_new0 (Place, 1);
  p->key = g_steal_pointer (&key);
  g_hash_table_insert (places, p->key, p);
  return p;
}

static EkStoreAsk *
ask (Place *p, const EkUser *user, EkStoreFunc func, gpointer data)
{
  EkPool *pool = ek_pool_new ();
  EkStoreAsk *a = ek_pool_new0 (pool, EkStoreAsk);

  *a = (EkStoreAsk) { .pool = pool, .func = func, .data = data };
  a->name = ek_pool_strdup (pool, user->name);
  g_queue_push_tail (&p->asks, a);
  if (p->asks.length > 1)
    return a;
  EkBuf *out = ek_channel_call (ek_role_master (), EK_M_USER_STORE, answered, p);
  ek_pack_i64 (out, user->uid);
  ek_pack_i64 (out, user->gid);
  ek_pack_text (out, user->home);
  ek_pack_text (out, user->mail);
  ek_channel_end (ek_role_master ());
  return a;
}

EkStoreAsk *
ek_directory_store (const EkUser *user, EkStoreFunc func, gpointer data)
{
  if (!ek_directory_own_store (user)) {
    func (EK_OK, (guint) (ek_hash64 (user->name, strlen (user->name)) % SLOTS) % MAX (ek_role_workers (EK_ROLE_STORE), 1), NULL, data);
    return NULL;
  }
  Place *p = place_of (user);
  if (p == NULL) {
    func (EK_DEFER, 0, "too many users ask for a store process", data);
    return NULL;
  }
  if (p->known && ek_role_peer (EK_ROLE_DIRECTORY, EK_ROLE_STORE, p->index)) {
    p->used = ek_now ();
    func (EK_OK, p->index, NULL, data);
    return NULL;
  }
  return ask (p, user, func, data);
}

void
ek_directory_store_cancel (EkStoreAsk *a)
{
  if (a)
    a->func = NULL;                  /* master's answer frees it */
}

/* ---- what master says ---- */

static void
forget (EkMsg *msg)
{
  guint index = (guint) ek_unpack_max (&msg->in, EK_INDEX_MAX);
  GHashTableIter iter;
  gpointer value;
  bool busy = false;

  g_hash_table_iter_init (&iter, places);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    const Place *p = value;
    busy |= p->index == index && (p->asks.length > 0 || (p->known && ek_now () - p->used < JUST_NOW));
  }
  g_hash_table_iter_init (&iter, places);
  while (!busy && g_hash_table_iter_next (&iter, NULL, &value))
    if (((Place *) value)->index == index && ((Place *) value)->asks.length == 0)
      g_hash_table_iter_remove (&iter);
  ek_pack_u64 (ek_channel_answer (msg->channel, msg->id), !busy);
  ek_channel_end (msg->channel);
}

void
ek_directory_master (EkMsg *msg)
{
  if (msg->type == EK_M_STORE_OWNER)
    owner = ek_unpack_i64 (&msg->in);
  else if (msg->type == EK_M_FORGET_STORE && msg->id && places)
    forget (msg);
  else if (msg->type == EK_M_NOISE)
    ek_sasl_use_noise (ek_unpack_str (&msg->in));
  else if (msg->type == EK_M_PROOF_KEY)
    ek_tls_proof_use_key (ek_unpack_str (&msg->in));
}

void
ek_directory_stores_start (void)
{
  places = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, place_free);
}

/* Who still waits is put off; master's answer, which may come until its channel is freed, finds nobody then. */
void
ek_directory_stores_end (void)
{
  GHashTableIter iter;
  gpointer value;
  EkStoreAsk *a;

  g_hash_table_iter_init (&iter, places);
  bool waits = false;
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    Place *p = value;
    waits |= p->asks.length > 0;
    while ((a = g_queue_pop_head (&p->asks)))
      ask_end (a, EK_DEFER, 0, "the server is stopping");
  }
  if (!waits)
    g_clear_pointer (&places, g_hash_table_unref);
}
