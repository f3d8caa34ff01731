/* deliver.c - a message from the queue becomes a file in a mailbox
 * SPDX-License-Identifier: Apache-2.0
 *
 * Replay.  A file under the delivery's own name, with whatever flags, counts only if its size and
 * the checksum of its bytes are those of the message: after power loss a file that was renamed but
 * not synced is there and empty.  Otherwise it is replaced in one step, and keeps its name and
 * flags. */
#include "index/index.h"
#include "index/deliver.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define GUARD_SECONDS 5
#define CHUNK (64 << 10)
#define REPLACE_TRIES 8

typedef struct {
  EkIndex          *ix;
  const EkDelivery *d;
  EkPool           *pool;
  EkFolder          folder;
  EkStaged          staged;
  Writer            writer;
  char              base[EK_DELIVERY_BASE_MAX];
  guint64           letters;
  bool              created;         /* the folder is as new as the message */
  GError          **error;
} Delivering;

void
ek_delivery_key (const EkDelivery *d, char *into, gsize n)
{
  g_snprintf (into, n, "M%06dQ%016" G_GINT64_MODIFIER "XR%uA%u", (int) (d->time % G_USEC_PER_SEC),
              d->queue_id, d->rcpt, d->action);
}

void
ek_delivery_base (const EkDelivery *d, char *into, gsize n)
{
  char key[64];

  ek_delivery_key (d, key, sizeof key);
  g_snprintf (into, n, "%" G_GINT64_FORMAT ".%s.ekiden", d->time / G_USEC_PER_SEC, key);
}

bool
ek_delivery_base_parse (EkStr base, guint64 *queue_id, guint32 *rcpt)
{
  char text[EK_DELIVERY_BASE_MAX], id[17];
  gint64 seconds;
  guint micros, action;
  int end = 0;

  if (base.n >= sizeof text)
    return false;
  memcpy (text, base.p, base.n);
  text[base.n] = 0;
  if (sscanf (text, "%15" G_GINT64_FORMAT ".M%6uQ%16[0-9A-F]R%9uA%9u.ekiden%n", &seconds, &micros, id, rcpt, &action, &end) != 5
      || (gsize) end != base.n || strlen (id) != 16)
    return false;
  *queue_id = g_ascii_strtoull (id, NULL, 16);
  return true;
}

bool
delivery_log_indexed (const Box *box, EkStr key, guint32 uid)
{
  const char *sizes = memchr (key.p, ',', key.n);
  EkStr base = { key.p, sizes ? (gsize) (sizes - key.p) : key.n };
  guint64 queue_id;
  guint32 rcpt;
  char qid[17];

  if (!ek_delivery_base_parse (base, &queue_id, &rcpt))
    return false;
  g_autofree char *name = name_external (box->ix->set->config.separator, box->name);
  g_snprintf (qid, sizeof qid, "%016" G_GINT64_MODIFIER "X", queue_id);
  ek_event ("store", 0, "indexed", EK_FTEXT ("qid", qid), EK_FINT ("rcpt_no", rcpt), EK_FTEXT ("user", box->ix->user),
            EK_FTEXT ("mailbox", name), EK_FINT ("uid", uid), EK_FINT ("uidvalidity", box->uidvalidity), EK_FSTR ("file", base));
  return true;
}

/* ---- messages that the queue may still send again ---- */

static void
guard_name (char *into, gsize n, guint64 queue_id, guint32 rcpt, guint32 action)
{
  g_snprintf (into, n, "Q%016" G_GINT64_MODIFIER "XR%uA%u", queue_id, rcpt, action);
}

static void
guard (EkIndex *ix, const EkDelivery *d)
{
  char name[64];

  guard_name (name, sizeof name, d->queue_id, d->rcpt, d->action);
  pthread_mutex_lock (&ix->set->lock);
  g_hash_table_replace (ix->set->guarded, g_strdup (name), g_strdup (ix->root));
  pthread_mutex_unlock (&ix->set->lock);
}

/* `answered`: the queue has said so, and it will not come again. */
static void
unguard (EkIndexes *set, guint64 queue_id, guint32 rcpt, guint32 action, bool answered)
{
  char name[64];

  guard_name (name, sizeof name, queue_id, rcpt, action);
  pthread_mutex_lock (&set->lock);
  if (g_hash_table_remove (set->guarded, name))
    pthread_cond_broadcast (&set->retired);
  if (answered && g_hash_table_contains (set->missed, name)) {
    g_hash_table_replace (set->missed, g_strdup (name), GINT_TO_POINTER (true));
    pthread_cond_broadcast (&set->retired);
  }
  pthread_mutex_unlock (&set->lock);
}

void
ek_delivery_retired (EkIndexes *set, guint64 queue_id, guint32 rcpt, guint32 action)
{
  unguard (set, queue_id, rcpt, action, true);
}

/* In "SECONDS.MmicrosQ...R..A...ekiden". */
bool
delivery_guard_of (EkStr key, char *into, gsize n)
{
  const char *q = memchr (key.p, 'Q', key.n);
  const char *dot = q ? memchr (q, '.', (gsize) (key.p + key.n - q)) : NULL;

  if (dot == NULL || (gsize) (dot - q) >= n)
    return false;
  memcpy (into, q, (gsize) (dot - q));
  into[dot - q] = 0;
  return true;
}

static bool
any_guarded (EkIndexes *set, const char *root)
{
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, set->guarded);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    if (strcmp (value, root) == 0)
      return true;
  return false;
}

/* name NULL: any of that root */
static EkStatus
wait_for (EkIndexes *set, const char *name, const char *root, GError **error)
{
  struct timespec until;
  bool held = true;
  int code = 0;

  clock_gettime (CLOCK_MONOTONIC, &until);
  until.tv_sec += GUARD_SECONDS;
  pthread_mutex_lock (&set->lock);
  while (code == 0
         && (held = name ? g_hash_table_contains (set->guarded, name) : any_guarded (set, root)))
    code = pthread_cond_timedwait (&set->retired, &set->lock, &until);
  pthread_mutex_unlock (&set->lock);
  return held ? ek_fail (error, EK_DEFER, EAGAIN,
                         "the queue has not yet let go of a message that was just delivered: "
                         "try again")
              : EK_OK;
}

EkStatus
delivery_wait (EkIndexes *set, EkStr key, GError **error)
{
  char name[64];

  return delivery_guard_of (key, name, sizeof name) ? wait_for (set, name, NULL, error) : EK_OK;
}

EkStatus
delivery_wait_name (EkIndexes *set, const char *guard, GError **error)
{
  return wait_for (set, guard, NULL, error);
}

EkStatus
delivery_wait_all (EkIndex *ix, GError **error)
{
  return wait_for (ix->set, NULL, ix->root, error);
}

/* ---- writing ---- */

static EkStatus
failed (Delivering *v, const char *what)
{
  int code = errno;

  return ek_fail (v->error, EK_DEFER, code, "%s/%s: cannot %s a message: %s", v->folder.root,
                  v->folder.disk, what, g_strerror (code));
}

static EkStatus
write_pieces (Delivering *v)
{
  char *chunk = NULL;

  writer_begin (&v->writer, &v->staged);
  for (guint i = 0; i < v->d->n_pieces; i++) {
    const EkPiece *piece = &v->d->pieces[i];
    if (piece->bytes.p) {
      if (!writer_put (&v->writer, piece->bytes.p, piece->bytes.n))
        return failed (v, "write");
      continue;
    }
    if (chunk == NULL)
      chunk = ek_pool_alloc (v->pool, CHUNK);
    for (guint64 at = 0; at < piece->length;) {
      gssize n = pread (piece->fd, chunk, (gsize) MIN (CHUNK, piece->length - at),
                        (off_t) (piece->offset + at));
      if (n < 0 && errno == EINTR)
        continue;
      if (n <= 0) {
        errno = n == 0 ? ENODATA : errno;
        return failed (v, "read");
      }
      if (!writer_put (&v->writer, chunk, (gsize) n))
        return failed (v, "write");
      at += (guint64) n;
    }
  }
  return writer_end (&v->writer) ? EK_OK : failed (v, "write");
}

/* Keyword names become letters of the folder's table, which a session may be changing too. */
static EkStatus
find_letters (Delivering *v)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  guint max = MIN (v->ix->ops->keywords_max, 64);
  bool grown = false;

  if (v->d->keywords == NULL || v->d->keywords[0] == NULL)
    return EK_OK;
  pthread_mutex_lock (&v->ix->table_lock);
  EkStatus status = OP (v->ix, v->pool, v->error, keywords, &v->folder, names, false);
  for (guint k = 0; status == EK_OK && v->d->keywords[k]; k++) {
    guint n = 0, hole = G_MAXUINT;
    for (; n < names->len; n++) {
      if (names->pdata[n] == NULL)
        hole = MIN (hole, n);
      else if (g_ascii_strcasecmp (names->pdata[n], v->d->keywords[k]) == 0)
        break;
    }
    if (n == names->len) {
      n = MIN (n, hole);
      if (n >= max) /* no letter left: the message is worth more than the word */
        continue;
      if (names->len <= n)
        g_ptr_array_set_size (names, (int) n + 1);
      names->pdata[n] = g_strdup (v->d->keywords[k]);
      grown = true;
    }
    v->letters |= 1ull << n;
  }
  if (status == EK_OK && grown)
    status = OP (v->ix, v->pool, v->error, keywords, &v->folder, names, true);
  pthread_mutex_unlock (&v->ix->table_lock);
  return status;
}

static EkStatus
create (Delivering *v)
{
  v->created = true;
  return OP (v->ix, v->pool, v->error, create, &v->folder);
}

static EkStatus
stage (Delivering *v)
{
  EkStatus status = OP (v->ix, v->pool, v->error, stage, &v->folder, &v->staged);

  if (status != EK_NOTFOUND || !(v->d->create || v->folder.disk[0] == 0))
    return status;
  status = create (v);
  return status == EK_OK ? OP (v->ix, v->pool, v->error, stage, &v->folder, &v->staged) : status;
}

/* ---- what a delivery before a crash left ---- */

static bool
same_bytes (Delivering *v, int fd, gint64 offset, gint64 length)
{
  char *chunk = ek_pool_alloc (v->pool, CHUNK);
  guint32 crc = 0;

  if ((guint64) length != v->writer.psize)
    return false;
  for (gint64 at = 0; at < length;) {
    gssize n = pread (fd, chunk, (gsize) MIN (CHUNK, length - at), offset + at);
    if (n <= 0)
      return false;
    crc = ek_crc32c (crc, chunk, (gsize) n);
    at += n;
  }
  return crc == v->writer.crc;
}

/* OK: *fd is the message, complete.  NOTFOUND: commit; how->replace says what is in the way. */
static EkStatus
look_before (Delivering *v, EkCommit *how, EkStr *place, int *fd)
{
  gint64 offset, length;
  EkStr at = { NULL, 0 };

  EkStatus status = OP (v->ix, v->pool, v->error, open, &v->folder, ek_str (v->base), &at, fd,
                        &offset, &length, NULL);
  if (status != EK_OK)
    return status;
  *place = at;
  if (!v->d->rewrite && same_bytes (v, *fd, offset, length))
    return EK_OK;
  close (*fd);
  *fd = -1;
  how->replace = at;
  return EK_NOTFOUND;
}

static EkStatus
commit (Delivering *v, EkCommit *how, EkStr *place)
{
  EkFound made;
  EkStatus status = OP (v->ix, v->pool, v->error, commit, &v->folder, &v->staged, how, &made);

  if (status == EK_OK)
    *place = made.place;
  return status;
}

static EkStatus
put (Delivering *v, EkStr *place)
{
  EkCommit how = { .key = ek_str (v->base),
                   .flags = v->d->flags & EK_FLAGS_STORED,
                   .letters = v->letters,
                   .psize = (gint64) v->writer.psize,
                   .vsize = (gint64) v->writer.vsize,
                   .date = v->d->time,
                   .recent = true };
  EkStatus status = EK_NOTFOUND;
  bool replay = v->d->replay;
  int fd = -1;

  if (!replay) {
    GError **error = v->error, *why = NULL;
    v->error = &why;
    status = commit (v, &how, place);
    v->error = error;
    replay = status == EK_FAIL && why && why->code == EEXIST;      /* so it is a replay after all */
    if (!replay) {
      if (why)
        g_propagate_error (error, why);
      return status;
    }
    g_clear_error (&why);
  }
  for (guint tries = 0; tries < REPLACE_TRIES; tries++) {
    how.replace = (EkStr) { NULL, 0 };
    status = look_before (v, &how, place, &fd);
    if (status == EK_NOTFOUND)
      status = commit (v, &how, place);
    if (status != EK_NOTFOUND || how.replace.p == NULL)
      break;                                       /* else a session moved it between look and commit */
    status = ek_fail (tries + 1 < REPLACE_TRIES ? NULL : v->error, EK_DEFER, EBUSY, "%s/%s: a message that is to be "
                      "replaced is being moved: try again", v->folder.root, v->folder.disk);
  }
  if (fd >= 0) {                           /* it is all there: sync that one */
    OP (v->ix, v->pool, NULL, commit, &v->folder, &v->staged, NULL, NULL);
    close (v->staged.fd);
    v->staged.fd = fd;
  }
  return status;
}

/* The file is there: whoever looks at the folder shall see it. */
static void
arrived (Delivering *v)
{
  EkIndexes *set = v->ix->set;

  if (v->letters || (v->d->flags & EK_FLAGS_STORED)) {
    pthread_mutex_lock (&set->lock);               /* it did not go where each scan looks */
    v->ix->touched++;
    pthread_mutex_unlock (&set->lock);
  }
  watch_touch (v->ix, v->folder.disk, NULL);
}

/* Once the syncer has it, its answer may come at any moment, and with it the end of ix and delivery. */
static EkStatus
deliver (Delivering *v, EkSyncer *syncer, EkSyncedFunc func, gpointer data)
{
  EkStr place;
  char *path = NULL;

  EkStatus status = stage (v);
  if (status != EK_OK)
    return status;
  status = write_pieces (v);
  if (status == EK_OK)
    status = find_letters (v);
  if (status == EK_OK)
    status = put (v, &place);
  if (status == EK_OK)
    status = OP (v->ix, v->pool, v->error, settle, &v->folder, place, &path);
  if (status == EK_OK) {
    const char *folders[FOLDERS_TO_SYNC + 2] = { path };
    if (v->created)
      folder_parents (&v->folder, v->pool, folders + 1);
    arrived (v);
    return ek_syncer_add (syncer, v->staged.fd, folders, func, data, v->error);
  }
  ek_buf_release (&v->writer.out);
  OP (v->ix, v->pool, NULL, commit, &v->folder, &v->staged, NULL, NULL);
  close (v->staged.fd);
  return status;
}

EkStatus
ek_deliver (EkIndex *ix, EkSyncer *syncer, const EkDelivery *d, EkSyncedFunc func, gpointer data,
            GError **error)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  Delivering v = { .ix = ix,
                   .d = d,
                   .pool = pool,
                   .error = error,
                   .folder = { ix->root, "" },
                   .staged = { .fd = -1 } };
  char *disk = NULL;
  EkStatus status = EK_OK;

  if (d->folder) {
    g_autofree char *name = name_internal (ix->set->config.separator, d->folder, error);
    if (name == NULL)
      return EK_FAIL;
    status = OP (ix, pool, error, disk_name, ek_str (name), &disk);
    if (status != EK_OK)
      return status;
    v.folder.disk = disk;
  }
  ek_delivery_base (d, v.base, sizeof v.base);
  if (d->guarded)
    guard (ix, d);
  status = deliver (&v, syncer, func, data);
  if (status == EK_NOTFOUND && !v.created && (d->create || v.folder.disk[0] == 0)) {
    status = create (&v);                          /* half a folder: the other half is made */
    if (status == EK_OK)
      status = deliver (&v, syncer, func, data);
  }
  if (status != EK_OK && d->guarded)
    unguard (ix->set, d->queue_id, d->rcpt, d->action, false);
  return status;
}
