/* unsure.c - deliveries of an earlier process: the queue is asked before one of them is expunged or moved, or believed gone
 * SPDX-License-Identifier: Apache-2.0
 *
 * A message that was written and not yet recorded when queue or store ended is sent once more, and must be found
 * then.  Deliveries of this process are guarded (deliver.c); of others only their file names tell.  The queue says
 * among which ids it still has messages, so that for nearly all mail nothing is asked.  Whoever wants to expunge or
 * move guards what is in doubt and asks; the queue's answer takes the guard away, at once or when the delivery was
 * repeated and its record is durable.
 *
 * The other way round a row may have lost its file with the power: what the queue is going to deliver once more is not gone, and
 * stays in its mailbox under its UID.  A client that reads it meanwhile hears "later". */
#include "index/deliver.h"
#include "index/index.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

#define ASK_AT_ONCE    1000
#define ANSWER_SECONDS 1
#define MISSED_MAX     100000        /* names are made by users too, where stores run under their uids */

void
ek_indexes_ask (EkIndexes *set, EkAskFunc ask, gpointer data)
{
  set->ask = ask;
  set->ask_data = data;
  set->unsure_last = G_MAXUINT64;                  /* all of them, until the queue has said more */
}

void
ek_deliveries_unsure (EkIndexes *set, guint64 first, guint64 last)
{
  GHashTableIter iter;
  gpointer key;
  guint64 id;
  guint rcpt;

  pthread_mutex_lock (&set->lock);
  set->unsure_first = first;
  set->unsure_last = last;
  g_hash_table_remove_all (set->missed);           /* the next scan asks again */
  g_hash_table_iter_init (&iter, set->guarded);    /* whom one asked that is gone: it may have forgotten */
  while (g_hash_table_iter_next (&iter, &key, NULL))
    if (sscanf (key, "Q%16" G_GINT64_MODIFIER "XR%uA", &id, &rcpt) == 2)
      set->ask (id, rcpt, set->ask_data);
  pthread_mutex_unlock (&set->lock);
}

typedef struct {                     /* what a file's name says of its delivery */
  guint64 id;
  guint32 rcpt;
  char    guard[64];
} Made;

/* False: no delivery of ours. */
static bool
made_of (EkStr key, Made *made)
{
  const char *sizes = memchr (key.p, ',', key.n);
  EkStr base = { key.p, sizes ? (gsize) (sizes - key.p) : key.n };

  return ek_delivery_base_parse (base, &made->id, &made->rcpt) && delivery_guard_of (base, made->guard, sizeof made->guard);
}

static bool
in_range (const EkIndexes *set, guint64 id)
{
  return id >= set->unsure_first && id <= set->unsure_last;
}

bool
delivery_may_come (EkIndex *ix, EkStr key, bool *asked)
{
  EkIndexes *set = ix->set;
  gpointer answered;
  Made made;
  bool may;

  if (set->ask == NULL || !made_of (key, &made))
    return false;
  pthread_mutex_lock (&set->lock);
  if (!in_range (set, made.id))
    may = false;
  else if (g_hash_table_lookup_extended (set->missed, made.guard, NULL, &answered))
    may = !GPOINTER_TO_INT (answered);
  else if (g_hash_table_size (set->missed) >= MISSED_MAX)
    may = true;                                    /* it stays; asked when the queue's next word empties the table */
  else {
    may = *asked = true;
    g_hash_table_insert (set->missed, g_strdup (made.guard), GINT_TO_POINTER (false));
    set->ask (made.id, made.rcpt, set->ask_data);
  }
  pthread_mutex_unlock (&set->lock);
  return may;
}

static bool
all_answered (EkIndexes *set)
{
  GHashTableIter iter;
  gpointer answered;

  g_hash_table_iter_init (&iter, set->missed);
  while (g_hash_table_iter_next (&iter, NULL, &answered))
    if (!GPOINTER_TO_INT (answered))
      return false;
  return true;
}

void
deliveries_await_answers (EkIndexes *set)
{
  struct timespec until;
  int code = 0;

  clock_gettime (CLOCK_MONOTONIC, &until);
  until.tv_sec += ANSWER_SECONDS;
  pthread_mutex_lock (&set->lock);
  while (code == 0 && !all_answered (set))
    code = pthread_cond_timedwait (&set->retired, &set->lock, &until);
  pthread_mutex_unlock (&set->lock);
}

/* Guards and asks, unless that was done; `names` gets the guard. */
static void
doubt (EkIndex *ix, EkStr key, GPtrArray *names)
{
  EkIndexes *set = ix->set;
  Made made;

  if (!made_of (key, &made))
    return;
  pthread_mutex_lock (&set->lock);
  bool in_doubt = in_range (set, made.id);
  if (in_doubt)
    g_ptr_array_add (names, g_strdup (made.guard));
  if (in_doubt && !g_hash_table_contains (set->guarded, made.guard)) {
    g_hash_table_insert (set->guarded, g_strdup (made.guard), g_strdup (ix->root));
    set->ask (made.id, made.rcpt, set->ask_data);
  }
  pthread_mutex_unlock (&set->lock);
}

static EkStatus
wait_all (EkIndexes *set, GPtrArray *names, GError **error)
{
  EkStatus status = EK_OK;

  for (guint i = 0; i < names->len && status == EK_OK; i++)
    status = delivery_wait_name (set, names->pdata[i], error);
  g_ptr_array_set_size (names, 0);
  return status;
}

static bool
deliveries_in_doubt (EkIndexes *set)
{
  if (set->ask == NULL)
    return false;
  pthread_mutex_lock (&set->lock);
  bool any = set->unsure_first <= set->unsure_last;
  pthread_mutex_unlock (&set->lock);
  return any;
}

EkStatus
deliveries_wait (Box *box, const guint32 *uids, guint n, GError **error)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  EkStatus status = EK_OK;

  if (!deliveries_in_doubt (box->ix->set))
    return EK_OK;
  for (guint i = 0; i < n && status == EK_OK; i++) {
    g_autoptr (EkPool) pool = ek_pool_new ();
    Msg msg;
    status = msg_get (box, uids[i], pool, &msg, error);
    if (status == EK_OK)
      doubt (box->ix, msg.key, names);
    else if (status == EK_NOTFOUND)
      status = EK_OK;
    if (names->len == ASK_AT_ONCE && status == EK_OK)
      status = wait_all (box->ix->set, names, error);
  }
  return status == EK_OK ? wait_all (box->ix->set, names, error) : status;
}

EkStatus
deliveries_wait_all (EkIndex *ix, GError **error)
{
  GHashTableIter iter;
  gpointer p;
  EkStatus status = EK_OK;

  g_hash_table_iter_init (&iter, ix->boxes);
  while (status == EK_OK && deliveries_in_doubt (ix->set) && g_hash_table_iter_next (&iter, NULL, &p)) {
    g_autoptr (GArray) uids = g_array_new (FALSE, FALSE, sizeof (guint32));
    Box *box = p;
    sqlite3_stmt *st = db_bind (ix->db, ST_MSG_UIDS, "ii", BOX_FIRST (box), BOX_LAST (box));
    while ((status = db_row (ix->db, st, error)) == EK_OK) {
      guint32 uid = row_uid (sqlite3_column_int64 (st, 0));
      g_array_append_val (uids, uid);
    }
    if (status == EK_NOTFOUND)
      status = deliveries_wait (box, (const guint32 *) (gpointer) uids->data, uids->len, error);
  }
  return status == EK_OK ? delivery_wait_all (ix, error) : status;
}
