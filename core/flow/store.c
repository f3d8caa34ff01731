/* store.c - the store role: takes over logged-in clients, on directory's word alone
 * SPDX-License-Identifier: Apache-2.0
 *
 * directory vouches {token, user} on its channel, an edge hands over {token, stream} on its own; whichever comes
 * first waits ten seconds for the other.  An edge can name no user.
 */
#include "config.h"
#include "flow/store.h"
#include "flow/facts.h"
#include "flow/session.h"
#include "flow/storeconf.h"
#include "index/deliver.h"
#include "proc/blocks.h"
#include "proc/confine.h"
#include "proc/priv.h"
#include <fcntl.h>
#include <malloc.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE  (10 * G_USEC_PER_SEC)
#define REST      (10 * G_USEC_PER_SEC)          /* an index that was not used for so long is closed */
#define TOKEN_LEN 16
#define WAITING_MAX 10000
#define EDGE_WAITING 2000            /* of one edge: a broken one fills no more */
#define EDGE_BYTES   (16u << 20)
#define HANDOFF_MAX  (160 * 1024)
#define SPARE        16              /* descriptors kept for the work of sessions that are there, and for deliveries */
#define LOOK         G_USEC_PER_SEC  /* how often a worker of one uid looks whether it is idle, */
#define CROWDED      (60 * G_USEC_PER_SEC)
#define AGAIN        (5 * G_USEC_PER_SEC)        /* and at the least */
#define LAST_WORDS   (G_USEC_PER_SEC / 10)

typedef struct {                     /* a listener whose clients come here after login */
  const EkProtocolOps *ops;
  gconstpointer        options;
} Service;

typedef struct {                     /* waits for its other half */
  gint64   since;
  bool     vouched;
  guint    edge;                     /* who asked directory; who handed over */
  gsize    bytes;                    /* counted in `edges` */
  EkPool  *pool;
  EkUser   user;                     /* vouched */
  const char *format;
  const char *listener, *hostname, *mechanism;     /* handed over */
  EkEventId   event;
  EkClient    client;
  EkStr       tag, unread;
  int         fd;
} Half;

static struct {
  EkIndexes  *set;
  EkWatch     indexes;
  GHashTable *services;              /* listener -> Service */
  EkGeneration *generation;
  const EkStoreConf *conf;
  GHashTable *halves;                /* token (GBytes) -> Half */
  GHashTable *counts;                /* "user\naddress" -> sessions */
  EkTimer     sweep;
  EkJob       rest;                  /* resting: it is under way, and `stirred` is its own */
  bool        resting, stirred;
  guint64     moves, seen;           /* sessions that came or went: in all, and by the last sweep */
  EkTimer     idle;                  /* of a worker of one uid (proc/userstores.h) */
  gint64      used, crowded;         /* when it last had something to do; was told that others need its place */
  bool        useless;               /* atomic: it cannot reach its user's folder, a new one may */
  struct { guint n; gsize bytes; } edges[EK_INDEX_MAX + 1];     /* what each edge has waiting */
} st;

/* ---- configuration ---- */

static void
add_service (const EkBlockValues *v, gpointer data)
{
  if (v->protocol == NULL || ek_instance_is_remote (v->protocol) || v->protocol->module->after_login == NULL)
    return;
  Service *s = g_new0 (Service, 1);
  s->ops = v->protocol->module->after_login;
  s->options = v->after_login_options ? v->after_login_options : v->protocol_options;
  g_hash_table_replace (st.services, g_strdup (v->block->name ? v->block->name : ""), s);
}

static void
configure (void)
{
  EkGeneration *gen = ek_role_generation ();

  if (st.services)
    g_hash_table_unref (st.services);
  st.services = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  ek_generation_each (gen, &ek_listener_block, add_service, NULL);
  st.conf = ek_generation_values (gen, &ek_store_block, NULL);
  ek_generation_unref (st.generation);
  st.generation = ek_generation_ref (gen);
}

static void
renew (EkSession *s)
{
  Service *service = g_hash_table_lookup (st.services, ek_session_listener (s));

  if (service && service->ops == ek_session_protocol (s))
    ek_session_use (s, st.generation, service->options);
}

static void
move_on (EkSession *s, gpointer data)
{
  ek_session_renew (s);
}

static void
reload (void)
{
  configure ();
  ek_sessions_each (move_on, NULL);
}

EkInstance *
ek_store_format (const char *name, EkGeneration **gen)
{
  EkInstance *format = name ? ek_generation_instance (st.generation, name, 1u << EK_TABLE_MAILBOX) : NULL;

  if (gen)
    *gen = format ? ek_generation_ref (st.generation) : NULL;
  return format;
}

static void
add_special (const EkBlockValues *v, gpointer data)
{
  const EkSpecialConf *c = v->values;
  EkSpecial row = { .name = v->block->name, .use = c->use, .create = c->create, .subscribe = c->subscribe };

  if (v->block->name)
    g_array_append_val ((GArray *) data, row);
}

static void
changed (EkWatch *watch, guint32 events)
{
  ek_indexes_dispatch (st.set);
}

static void sweep (EkTimer *timer);
static void half_free (gpointer data);
static bool is_own (void);
static void idle (EkTimer *timer);

static bool
start (GError **error)
{
  g_autoptr (GArray) specials = g_array_new (FALSE, FALSE, sizeof (EkSpecial));

  configure ();
  ek_generation_each (st.generation, &ek_special_block, add_special, specials);
  EkIndexConfig config = {
    .open_max = (guint) st.conf->index_open_max, .separator = st.conf->separator[0], .folder = st.conf->index_folder,
    .mailboxes_max = (guint) st.conf->mailboxes_max,
    .linger = true,                  /* a user always comes to the same worker */
    .specials = (const EkSpecial *) (void *) specials->data, .n_specials = specials->len,
  };
  st.set = ek_indexes_new (&config, error);
  if (st.set == NULL)
    return false;
  st.indexes = (EkWatch) { .fd = ek_indexes_fd (st.set), .func = changed };
  ek_watch_set (ek_role_loop (), &st.indexes, EPOLLIN);
  st.halves = g_hash_table_new_full (g_bytes_hash, g_bytes_equal, (GDestroyNotify) g_bytes_unref, half_free);
  st.counts = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  st.sweep.func = sweep;
  ek_timer_set (ek_role_loop (), &st.sweep, PATIENCE);
  ek_store_deliver_start (st.set);
  st.idle.func = idle;
  st.used = ek_now ();
  if (is_own ())
    ek_timer_set (ek_role_loop (), &st.idle, G_USEC_PER_SEC);
  return true;
}

/* ---- the two halves of a login ---- */

static void
half_free (gpointer data)
{
  Half *h = data;

  if (h->bytes > 0) {
    st.edges[h->edge].n--;
    st.edges[h->edge].bytes -= h->bytes;
  }
  if (h->fd >= 0)
    close (h->fd);
  ek_pool_free (h->pool);
  g_free (h);
}

static gboolean
is_old (gpointer key, gpointer value, gpointer data)
{
  const Half *h = value;

  if (ek_now () - h->since <= PATIENCE)
    return FALSE;
  if (!h->vouched)
    ek_log (EK_WARN, "store", "edge.%u handed over a client (%s) whom directory did not vouch for: refused", h->edge, h->client.address);
  return TRUE;
}

/* What sessions came and went with is given back to the system: threads leave much of it free and in pieces. */
static void
rest_run (EkJob *job, EkJobThread *thread)
{
  if (ek_indexes_rest (st.set, ek_now () - REST) > 0 || st.stirred)
    malloc_trim (0);
}

static void
rest_done (EkJob *job)
{
  st.resting = false;
}

static void
sweep (EkTimer *timer)
{
  g_hash_table_foreach_remove (st.halves, is_old, NULL);
  if (!st.resting) {
    st.resting = true;
    st.stirred = st.moves != st.seen;
    st.seen = st.moves;
    st.rest = (EkJob) { .run = rest_run, .done = rest_done };
    ek_job_submit (ek_role_jobs (), &st.rest);
  }
  ek_timer_set (ek_role_loop (), timer, PATIENCE / 2);
}

static void
session_gone (EkSession *s)
{
  char *key = ek_session_host_data (s);

  st.moves++;
  guint n = GPOINTER_TO_UINT (g_hash_table_lookup (st.counts, key));
  if (n > 1)
    g_hash_table_replace (st.counts, g_strdup (key), GUINT_TO_POINTER (n - 1));
  else
    g_hash_table_remove (st.counts, key);
  ek_store_maybe_done ();
}

void
ek_store_maybe_done (void)
{
  st.used = ek_now ();
  if (ek_role_stopping () && ek_sessions_count () == 0 && ek_store_delivering () == 0)
    ek_role_done (EK_ROLE_STORE);
}

static void
unref_index (gpointer data)
{
  ek_index_unref (data);
}

/* ---- a worker of one uid ---- */

static bool
is_own (void)
{
  return ek_role_index () >= ek_role_workers (EK_ROLE_STORE);
}

static bool
busy (void)
{
  return ek_sessions_count () > 0 || ek_store_delivering () > 0 || g_hash_table_size (st.halves) > 0;
}

static void
idle (EkTimer *timer)
{
  const EkRolesConf *roles = ek_generation_values (st.generation, &ek_roles_block, NULL);
  bool useless = __atomic_load_n (&st.useless, __ATOMIC_RELAXED);
  bool crowded = st.crowded > 0 && ek_now () - st.crowded < CROWDED;
  gint64 left = useless ? 0 : st.used + MIN (roles->user_store_idle.us, crowded ? AGAIN : G_MAXINT64) - ek_now ();

  if (left <= 0 && !busy ()) {
    ek_pack_u64 (ek_channel_send (ek_role_master (), EK_M_IDLE), useless);
    ek_channel_end (ek_role_master ());
  }
  ek_timer_set (ek_role_loop (), timer, CLAMP (left, LOOK, AGAIN));
}

/* What neighbours sent before they forgot us has been read by now. */
static void
leave (EkTimer *timer)
{
  if (busy ()) {
    ek_channel_send (ek_role_master (), EK_M_STAY);
    ek_channel_end (ek_role_master ());
    timer->func = idle;
    ek_timer_set (ek_role_loop (), timer, LOOK);
  }
  else
    ek_loop_quit (ek_role_loop ());
}

static void
from_master (EkMsg *msg)
{
  if (!is_own () || st.halves == NULL || ek_role_stopping ())
    return;
  if (msg->type == EK_M_CROWDED)
    st.crowded = ek_now ();
  else if (msg->type == EK_M_LEAVE) {
    st.idle.func = leave;
    ek_timer_set (ek_role_loop (), &st.idle, LAST_WORDS);
  }
}

bool
ek_store_reaches (const EkUser *user, GError **error)
{
  const char *const paths[] = { user->home, user->mail && user->mail[0] == '/' ? user->mail : NULL };

  if (is_own () && user->uid != (gint64) geteuid ()) {
    ek_fail (error, EK_DEFER, EAGAIN, "this store process is uid %u's and not %s's: it is asked for again", (guint) geteuid (), user->name);
    return false;
  }
  for (guint i = 0; i < G_N_ELEMENTS (paths); i++)
    if (paths[i] && !ek_confine_reaches (paths[i]) && is_own ()) {
      __atomic_store_n (&st.useless, true, __ATOMIC_RELAXED);
      ek_fail (error, EK_DEFER, EACCES, "%s was not there, or not for uid %u to enter, when this store process started; once it is, a new one is",
               paths[i], (guint) geteuid ());
      return false;
    }
    else if (paths[i] && !ek_confine_reaches (paths[i])) {
      ek_fail (error, EK_DEFER, EACCES, "%s is not among the folders that store may reach: add \"store:%s\" to roles.paths and reload",
               paths[i], paths[i]);
      return false;
    }
  return true;
}

/* The client hears it if his stream takes a line at once; it is closed when `hand` is freed. */
static void
refuse (const Service *service, const Half *hand, EkRefusal why)
{
  EkBuf out = { 0 };

  if (service->ops->refused)
    service->ops->refused (hand->tag, why, &out);
  if (ek_buf_len (&out) > 0 && send (hand->fd, ek_buf_at (&out), ek_buf_len (&out), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
    shutdown (hand->fd, SHUT_WR);
  ek_buf_release (&out);
}

static bool
too_many (const char *user, const Half *hand, guint of_user, EkRefusal *why)
{
  const char *from = hand->client.address;

  *why = EK_REFUSED_LIMIT;
  if (of_user >= (guint) st.conf->connections_per_user)
    ek_log (EK_WARN, "store", "%s: more than %d sessions from %s (store.connections_per_user)", user, (int) st.conf->connections_per_user,
            from);
  else if (ek_sessions_count () >= (guint) st.conf->connections)
    ek_log (EK_WARN, "store", "%s from %s: more than %d sessions (store.connections)", user, from, (int) st.conf->connections);
  else if (ek_priv_few_left (hand->fd, SPARE)) {       /* it could not open its mailbox, and would take others' last ones */
    ek_log (EK_ERR, "store", "%s from %s: hardly any descriptors left: raise LimitNOFILE, or lower store.connections", user, from);
    *why = EK_REFUSED_UNAVAILABLE;
  }
  else
    return false;
  return true;
}

static void
begin (const Half *vouch, Half *hand)
{
  static const EkSessionHost host = { .closed = session_gone, .renew = renew };
  g_autoptr (GError) error = NULL;
  Service *service = hand->listener ? g_hash_table_lookup (st.services, hand->listener) : NULL;
  EkInstance *format = ek_store_format (vouch->format, NULL);
  EkIndex *ix = NULL;
  EkRefusal why = EK_REFUSED_UNAVAILABLE;

  if (hand->fd < 0)
    return;                          /* the client went away at the edge */
  if (service == NULL || format == NULL)
    ek_log (EK_ERR, "store", "%s: no %s here: is the configuration being changed?", vouch->user.name,
            service == NULL ? "protocol of that listener" : "mailbox instance of that name");
  else if (!ek_store_reaches (&vouch->user, &error) || ek_index_new (st.set, format, &vouch->user, &ix, &error) != EK_OK)
    ek_log (EK_ERR, "store", "%s: %s", vouch->user.name, error->message);
  g_autofree char *key = g_strconcat (vouch->user.name, "\n", hand->client.address, NULL);
  guint n = GPOINTER_TO_UINT (g_hash_table_lookup (st.counts, key));
  if (ix && too_many (vouch->user.name, hand, n, &why))
    ek_index_unref (g_steal_pointer (&ix));
  if (ix == NULL && service)
    refuse (service, hand, why);
  if (ix == NULL)
    return;
  fcntl (hand->fd, F_SETFL, O_NONBLOCK);
  EkSessionStart start = {
    .ops = service->ops, .options = service->options, .generation = st.generation, .listener = hand->listener,
    .hostname = hand->hostname, .client = &hand->client, .event = hand->event, .fd = hand->fd,
  };
  hand->fd = -1;
  EkSession *s = ek_session_new (&start, &host);
  EkPool *pool = ek_session_pool (s);
  EkSessionLogin *login = ek_pool_new0 (pool, EkSessionLogin);
  login->tag = ek_pool_str (pool, hand->tag);
  ek_user_copy (pool, &login->user, &vouch->user);
  login->index = ix;
  login->id = hand->event;
  login->job_key = ek_hash64 (login->user.name, strlen (login->user.name)) | 1;
  ek_pool_cleanup (pool, unref_index, ix);
  ek_session_set_login (s, login);
  ek_session_set_user (s, login->user.name, hand->mechanism, NULL);
  g_hash_table_replace (st.counts, g_strdup (key), GUINT_TO_POINTER (n + 1));
  ek_session_set_host_data (s, ek_pool_strdup (pool, key));
  st.moves++;
  ek_session_begin (s, hand->unread);
}

/* Joins with the other half when it is here, else waits for it.  Takes `half`. */
static void
meet (EkStr token, Half *half)
{
  GBytes *key = g_bytes_new (token.p, token.n);
  Half *other = g_hash_table_lookup (st.halves, key);

  half->since = st.used = ek_now ();
  if (other && other->vouched != half->vouched && other->edge == half->edge) {
    begin (half->vouched ? half : other, half->vouched ? other : half);
    g_hash_table_remove (st.halves, key);
    g_bytes_unref (key);
    half_free (half);
  }
  else if (other || g_hash_table_size (st.halves) >= WAITING_MAX) {
    g_bytes_unref (key);             /* a token is good for one login */
    half_free (half);
  }
  else
    g_hash_table_insert (st.halves, key, half);
}

static Half *
half_new (bool vouched)
{
  Half *h = g_new0 (Half, 1);

  h->fd = -1;
  h->vouched = vouched;
  h->pool = ek_pool_new ();
  return h;
}

static void
on_vouch (EkMsg *msg)
{
  Half *h = half_new (true);
  EkStr token = ek_unpack_str (&msg->in);

  h->edge = (guint) ek_unpack_max (&msg->in, EK_INDEX_MAX);
  ek_unpack_user (&msg->in, h->pool, &h->user);
  h->format = ek_unpack_text (&msg->in, h->pool);
  if (!ek_unpack_ok (&msg->in) || token.n != TOKEN_LEN || h->user.name == NULL) {
    ek_channel_break (msg->channel, "a damaged vouch");
    half_free (h);
    return;
  }
  meet (token, h);
}

static void
on_handoff (EkMsg *msg, guint edge)
{
  Half *h = half_new (false);

  h->edge = edge;
  h->bytes = msg->in.n + 1;
  st.edges[edge].n++;
  st.edges[edge].bytes += h->bytes;
  if (st.edges[edge].n > EDGE_WAITING || st.edges[edge].bytes > EDGE_BYTES || h->bytes > HANDOFF_MAX) {
    ek_channel_break (msg->channel, "more clients handed over than directory has vouched for");
    half_free (h);
    return;
  }
  EkStr token = ek_unpack_str (&msg->in);

  h->tag = ek_unpack_copy (&msg->in, h->pool);
  ek_unpack_text (&msg->in, h->pool);            /* the protocol: the listener says it */
  h->listener = ek_unpack_text (&msg->in, h->pool);
  h->hostname = ek_unpack_text (&msg->in, h->pool);
  h->event = ek_unpack_u64 (&msg->in);
  h->mechanism = ek_unpack_text (&msg->in, h->pool);
  ek_unpack_client (&msg->in, h->pool, &h->client);
  h->unread = ek_unpack_copy (&msg->in, h->pool);
  h->fd = ek_msg_take_stream (msg, 0);
  if (!ek_unpack_ok (&msg->in) || token.n != TOKEN_LEN || h->tag.n > 255 || h->client.address == NULL) {
    ek_channel_break (msg->channel, "a damaged hand-over");
    half_free (h);
    return;
  }
  meet (token, h);
}

static void
message (EkRole peer, guint index, EkMsg *msg)
{
  if (peer == EK_ROLE_DIRECTORY && msg->type == EK_S_VOUCH)
    on_vouch (msg);
  else if (peer == EK_ROLE_EDGE && msg->type == EK_S_HANDOFF)
    on_handoff (msg, index);
  else if (peer == EK_ROLE_QUEUE && msg->type == EK_S_DELIVER && msg->id)
    ek_store_deliver (msg);
  else if (peer == EK_ROLE_QUEUE && (msg->type == EK_S_RETIRED || msg->type == EK_S_UNSURE))
    ek_store_told (msg);
  else
    ek_channel_break (msg->channel, "a message that store does not take");
}

/* ---- the end ---- */

static void
say_goodbye (EkSession *s, gpointer data)
{
  ek_session_shutdown (s);
}

static void
stop (gint64 deadline)
{
  ek_sessions_each (say_goodbye, NULL);
  ek_store_maybe_done ();
}

static void
end_session (EkSession *s, gpointer data)
{
  ek_session_end (s, EK_CLOSED_SHUTDOWN);
}

static void
end (void)
{
  ek_timer_cancel (ek_role_loop (), &st.sweep);
  ek_timer_cancel (ek_role_loop (), &st.idle);
  ek_sessions_each (end_session, NULL);
  ek_store_deliver_end ();
  while (ek_job_waiting (ek_role_jobs ()) > 0 || st.resting)
    ek_loop_turn (ek_role_loop (), true);
  ek_loop_turn (ek_role_loop (), false);
  ek_watch_set (ek_role_loop (), &st.indexes, 0);
  g_hash_table_unref (st.halves);
  g_hash_table_unref (st.counts);
  g_hash_table_unref (st.services);
  ek_indexes_free (st.set);
  ek_generation_unref (st.generation);
  memset (&st, 0, sizeof st);
}

const EkRoleOps ek_store_role = {
  .role = EK_ROLE_STORE, .start = start, .reload = reload, .message = message, .master = from_master, .stop = stop, .end = end,
};
