/* pickup.c - messages that sendmail(1) left in the drop folder
 * SPDX-License-Identifier: Apache-2.0
 *
 * Files are opened and read by jobs, a piece at a time; what a piece holds goes on from the loop.  The folder takes files from anybody in the group of sendmail(1), also while the daemon is down.  Nothing in a file
 * is believed but what it asks for: who wrote it is the file's owner.  A file goes when its message is durable; after a
 * crash just then it is taken once more, so this way in is at-least-once.
 */
#include "config.h"
#include "mail/date.h"
#include "proc/blocks.h"
#include "queue/drop.h"
#include "queue/queue.h"
#include <errno.h>
#include <fcntl.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define RESCAN  (60 * G_USEC_PER_SEC)
#define SOON    (5 * G_USEC_PER_SEC)       /* when directory could not tell */
#define AT_ONCE 20
#define CHUNK   65536
#define BEHIND  (1u << 20)           /* bytes of a spool file that wait for the disk before reading goes on */
#define NOT_READ (-2)                /* the job has not run */
#define STALE   86400                /* seconds: nobody still writes a file that old */

typedef struct {                     /* one file on its way into the spool */
  EkJob      job;                    /* opens it, or reads the next piece */
  EkCall     call;
  EkTimer    pause;
  EkPool    *pool;
  char      *name;
  EkDrop     drop;
  EkSpoolNew new;
  EkSpoolExtent extents[2];
  EkBuf      front, body;            /* header lines that were missing; the message, CRLF */
  guint64    size, read, max;        /* bytes in the spool's file, when it is large; of the drop file */
  uid_t      uid;
  int        dir, fd;
  /* what the job found */
  int        error;                  /* errno of open() */
  const char *wrong;
  ssize_t    got;
  char       chunk[CHUNK];
} Drop;

static struct {
  char       *path;
  int         dir;
  EkWatch     notify;
  EkTimer     rescan;
  GHashTable *busy;                  /* names */
  bool        more;                  /* the folder holds files that were not begun */
} p;

static void
drop_free (Drop *d)
{
  if (p.busy)
    g_hash_table_remove (p.busy, d->name);
  ek_timer_cancel (ek_role_loop (), &d->pause);
  if (d->fd >= 0)
    close (d->fd);
  if (d->new.file)
    ek_queue_ops->file_free (g_steal_pointer (&d->new.file));
  ek_drop_clear (&d->drop);
  ek_buf_release (&d->front);
  ek_buf_release (&d->body);
  g_clear_error (&d->call.error);
  ek_pool_free (d->pool);
  g_free (d);
  if (p.busy && p.more)
    ek_timer_set (ek_role_loop (), &p.rescan, 0);
}

/* Out of the way, for the administrator to look at. */
static void
set_aside (Drop *d, const char *why)
{
  g_autofree char *to = g_strconcat (".bad-", d->name, NULL);

  ek_log (EK_ERR, "pickup", "%s/%s of uid %u is not taken: %s (kept as %s)", p.path, d->name, (guint) d->uid, why, to);
  if (renameat (p.dir, d->name, p.dir, to) < 0)
    unlinkat (p.dir, d->name, 0);
  drop_free (d);
}

/* ---- the header ---- */

/* A name that is not plain ASCII goes as an encoded word (RFC 2047): in pieces of at most 45 bytes of whole characters. */
static void
write_name (EkBuf *out, EkStr name)
{
  bool plain = true;

  for (gsize i = 0; i < name.n; i++)
    plain = plain && (guchar) name.p[i] >= 0x20 && (guchar) name.p[i] < 0x7f;
  if (plain) {
    ek_buf_appendc (out, '"');
    for (gsize i = 0; i < name.n; i++) {
      if (name.p[i] == '"' || name.p[i] == '\\')
        ek_buf_appendc (out, '\\');
      ek_buf_appendc (out, name.p[i]);
    }
    ek_buf_appends (out, "\" ");
    return;
  }
  while (name.n > 0) {
    gsize n = MIN (name.n, 45);
    while (n > 1 && n < name.n && ((guchar) name.p[n] & 0xc0) == 0x80)
      n--;
    ek_buf_appends (out, "=?utf-8?b?");
    ek_base64_encode ((EkStr) { name.p, n }, out);
    ek_buf_appends (out, n < name.n ? "?=\r\n\t" : "?= ");
    name.p += n;
    name.n -= n;
  }
}

static void
write_from (Drop *d)
{
  ek_buf_appends (&d->front, "From: ");
  if (d->drop.full_name.n > 0 && d->drop.full_name.n <= 200 && g_utf8_validate (d->drop.full_name.p, (gssize) d->drop.full_name.n, NULL))
    write_name (&d->front, d->drop.full_name);
  ek_buf_printf (&d->front, "<%.*s>\r\n", EK_STR_ARG (d->drop.sender));
}

static void
write_front (Drop *d)
{
  char id[EK_QUEUE_ID_LEN + 1], date[64];
  gint64 now = ek_wall () / G_USEC_PER_SEC;

  ek_queue_id_text (d->new.id, id);
  ek_date_format (date, now, ek_date_zone (now));
  ek_buf_printf (&d->front, "Received: by %s (Ekiden, from userid %u)\r\n\tid %s; %s\r\n", ek_role_hostname (), (guint) d->uid, id, date);
  if (!d->drop.had_date)
    ek_buf_printf (&d->front, "Date: %s\r\n", date);
  if (!d->drop.had_from && d->drop.sender.n > 0)
    write_from (d);
  if (!d->drop.had_id) {
    d->drop.message_id = ek_str (ek_pool_printf (d->pool, "<%s.%" G_GINT64_FORMAT "@%s>", id, now, ek_role_hostname ()));
    ek_buf_printf (&d->front, "Message-ID: %.*s\r\n", EK_STR_ARG (d->drop.message_id));
  }
}

/* What is too large for the log goes on to a file of the spool. */
static void
spill (Drop *d)
{
  if (d->new.file == NULL && ek_buf_len (&d->body) > EK_SPOOL_INLINE_MAX - 8192)
    d->new.file = ek_queue_ops->file_new (ek_queue_spool, d->new.id, NULL, NULL);
  if (d->new.file == NULL)
    return;
  d->size += ek_buf_len (&d->body);
  ek_queue_ops->file_append (d->new.file, ek_buf_at (&d->body), ek_buf_len (&d->body));
  ek_buf_clear (&d->body);
}

/* ---- into the spool ---- */

static void
durable (EkCall *call, EkStatus status, gpointer user)
{
  Drop *d = user;
  char id[EK_QUEUE_ID_LEN + 1];

  if (status == EK_FAIL) {
    set_aside (d, call->error ? call->error->message : "the spool refuses it");
    return;
  }
  if (status == EK_OK) {
    EkSpoolMessage *m = ek_queue_spool ? ek_queue_ops->find (ek_queue_spool, d->new.id) : NULL;   /* NULL: it closes */
    ek_queue_id_text (d->new.id, id);
    ek_event ("pickup", d->new.event, "pickup", EK_FTEXT ("qid", id), EK_FINT ("uid", d->uid), EK_FSTR ("from", d->drop.sender));
    ek_event ("cleanup", d->new.event, "message-id", EK_FTEXT ("qid", id), EK_FSTR ("message_id", d->drop.message_id));
    if (unlinkat (p.dir, d->name, 0) < 0)
      ek_log (EK_ERR, "pickup", "cannot remove %s/%s: %s (it will be sent again)", p.path, d->name, g_strerror (errno));
    if (m)
      ek_sched_message (m);
  }
  drop_free (d);                     /* DEFER: the next look tries it again */
}

/* Its recipients' aliases are known, or nobody can tell them now: then the file stays for the next look. */
static void
submit (bool known, gpointer data)
{
  Drop *d = data;
  EkBuf attrs = { 0 };

  if (!known || p.busy == NULL) {
    if (p.busy)
      ek_timer_set (ek_role_loop (), &p.rescan, SOON);
    drop_free (d);
    return;
  }

  write_front (d);
  ek_spool_attr_add (&attrs, EK_ATTR_MESSAGE_ID, d->drop.message_id);
  d->new.sender = d->drop.sender;
  d->new.envid = d->drop.envid;
  d->new.flags = d->drop.flags | EK_MSG_LOCAL;
  d->new.to = (const EkSpoolTo *) (void *) d->drop.to->data;
  d->new.n_to = d->drop.to->len;
  d->new.attrs = ek_buf_str (&attrs);
  d->extents[0].bytes = ek_buf_str (&d->front);
  if (d->new.file)
    d->extents[1] = (EkSpoolExtent) { .len = d->size };
  else
    d->extents[1].bytes = ek_buf_str (&d->body);
  d->new.extents = d->extents;
  d->new.n_extents = 2;
  d->call = (EkCall) { .pool = d->pool, .done = durable, .user = d };
  EkStatus status = ek_queue_ops->submit (ek_queue_spool, &d->call, &d->new);
  d->new.file = NULL;                /* taken */
  ek_buf_release (&attrs);
  if (status != EK_PENDING)
    durable (&d->call, status, d);
}

/* ---- reading, by jobs ---- */

/* What of a file can be told before it is read; *fd is open unless it could not be. */
static const char *
open_drop (int dir, const char *name, struct stat *st, int *fd)
{
  *fd = openat (dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
  *st = (struct stat) { 0 };
  if (*fd < 0 && errno == ELOOP)
    return "it is a symbolic link";
  if (*fd < 0)
    return "it cannot be opened";
  if (fstat (*fd, st) < 0 || !S_ISREG (st->st_mode))
    return "it is no regular file";
  if (st->st_nlink != 1)
    return "it has another name too: its owner may not be who put it here";
  return st->st_size == 0 ? "it is empty" : NULL;
}

/* On a job thread. */
static void
job_run (EkJob *job, EkJobThread *thread)
{
  Drop *d = (Drop *) job;
  struct stat st;

  if (d->fd < 0) {
    d->wrong = open_drop (d->dir, d->name, &st, &d->fd);
    d->error = d->fd < 0 ? errno : 0;
    d->uid = st.st_uid;
    if (d->wrong == NULL && (guint64) st.st_size > d->max)
      d->wrong = "it is larger than queue.message_size_limit";
  }
  if (d->wrong)
    return;
  do
    d->got = read (d->fd, d->chunk, CHUNK);
  while (d->got < 0 && errno == EINTR);
}

static void
resume (EkTimer *timer)
{
  Drop *d = (Drop *) ((char *) timer - G_STRUCT_OFFSET (Drop, pause));

  d->got = NOT_READ;
  if (d->new.file && ek_queue_ops->file_append (d->new.file, NULL, 0) > BEHIND)
    ek_timer_set (ek_role_loop (), timer, 5000);
  else
    ek_job_submit (ek_role_jobs (), &d->job);
}

static const char *
take_piece (Drop *d)
{
  const char *wrong = d->got < 0 ? "it cannot be read to its end"
                      : d->got == 0 ? ek_drop_finish (&d->drop, &d->body)
                      : ek_drop_feed (&d->drop, d->chunk, (gsize) d->got, &d->body);

  d->read += (guint64) MAX (d->got, 0);
  if (wrong == NULL && d->read > d->max)
    wrong = "it grows beyond queue.message_size_limit";
  if (wrong == NULL)
    spill (d);
  return wrong;
}

static void
job_done (EkJob *job)
{
  Drop *d = (Drop *) job;
  bool passing = d->fd < 0 && (d->error == ENOENT || d->error == EMFILE || d->error == ENFILE || d->error == ENOMEM);

  if (p.busy == NULL || passing || (d->wrong == NULL && d->got == NOT_READ)) {     /* it stays where it is */
    drop_free (d);
    return;
  }
  if (d->wrong == NULL)
    d->wrong = take_piece (d);
  if (d->wrong)
    set_aside (d, d->wrong);
  else if (d->got == 0)
    ek_expand (d->pool, d->drop.to, submit, d);
  else
    resume (&d->pause);
}

static void
take (const char *name)
{
  EkPool *pool = ek_pool_new ();
  Drop *d = g_new0 (Drop, 1);

  d->job = (EkJob) { .run = job_run, .done = job_done };
  d->pause.func = resume;
  d->pool = pool;
  d->dir = p.dir;
  d->fd = -1;
  d->max = ek_queue_conf->message_size_limit.bytes + EK_DROP_ENVELOPE_MAX;
  d->got = NOT_READ;
  d->name = ek_pool_strdup (pool, name);
  d->new.id = ek_queue_ops->new_id (ek_queue_spool);
  d->new.event = d->new.id;
  ek_drop_start (&d->drop, pool, ek_role_hostname ());
  g_hash_table_add (p.busy, g_strdup (name));
  ek_job_submit (ek_role_jobs (), &d->job);
}

/* ---- the folder ---- */

/* What a sendmail(1) that was killed has left. */
static void
remove_stale (const char *name)
{
  struct stat st;

  if (fstatat (p.dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_ctime < ek_wall () / G_USEC_PER_SEC - STALE)
    unlinkat (p.dir, name, 0);
}

static void
scan (void)
{
  const char *why;
  int fd = openat (p.dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *dir = fd >= 0 ? fdopendir (fd) : NULL;
  struct dirent *e;

  if (dir == NULL) {
    if (fd >= 0)
      close (fd);
    return;
  }
  p.more = false;
  while (!ek_role_stopping () && ek_queue_ops->accepting (ek_queue_spool, &why) && (e = readdir (dir)))
    if (g_str_has_prefix (e->d_name, ".tmp-"))
      remove_stale (e->d_name);
    else if (e->d_name[0] != '.' && !g_hash_table_contains (p.busy, e->d_name)) {
      if (g_hash_table_size (p.busy) >= AT_ONCE) {       /* drop_free() comes back here */
        p.more = true;
        break;
      }
      take (e->d_name);
    }
  closedir (dir);
  ek_timer_set (ek_role_loop (), &p.rescan, RESCAN);
}

static void
due (EkTimer *timer)
{
  scan ();
}

static void
changed (EkWatch *watch, guint32 events)
{
  char events_text[4096];

  while (read (watch->fd, events_text, sizeof events_text) > 0)
    ;
  scan ();
}

void
ek_pickup_start (void)
{
  const EkTopConf *top = ek_generation_values (ek_role_generation (), &ek_top_block, NULL);

  p.path = ek_queue_conf->drop_folder ? g_strdup (ek_queue_conf->drop_folder) : g_build_filename (top->state_dir, "maildrop", NULL);
  p.dir = open (p.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  p.notify.fd = -1;
  if (p.dir < 0) {
    ek_log (EK_WARN, "pickup", "no drop folder %s: %s; sendmail(1) will not work", p.path, g_strerror (errno));
    return;
  }
  p.busy = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  p.notify = (EkWatch) { .fd = inotify_init1 (IN_CLOEXEC | IN_NONBLOCK), .func = changed };
  if (p.notify.fd >= 0 && inotify_add_watch (p.notify.fd, p.path, IN_MOVED_TO) >= 0)
    ek_watch_set (ek_role_loop (), &p.notify, EPOLLIN);
  p.rescan.func = due;
  ek_timer_set (ek_role_loop (), &p.rescan, 0);
}

bool
ek_pickup_busy (void)
{
  return p.busy && g_hash_table_size (p.busy) > 0;
}

void
ek_pickup_end (void)
{
  ek_timer_cancel (ek_role_loop (), &p.rescan);
  if (p.notify.fd >= 0) {
    ek_watch_set (ek_role_loop (), &p.notify, 0);
    close (p.notify.fd);
  }
  if (p.dir >= 0)
    close (p.dir);
  p.dir = -1;
  g_clear_pointer (&p.busy, g_hash_table_unref);
  g_free (p.path);
  p.path = NULL;
}
