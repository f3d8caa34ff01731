/* pickup.c - messages that sendmail(1) left in the drop folder
 * SPDX-License-Identifier: Apache-2.0
 *
 * The folder takes files from anybody in the group of sendmail(1), also while the daemon is down.  Nothing in a file
 * is believed but what it asks for: who wrote it is the file's owner.  A file goes when its message is durable; after a
 * crash just then it is taken once more, so this way in is at-least-once.
 */
#include "config.h"
#include "mail/address.h"
#include "mail/date.h"
#include "mail/header.h"
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
#define AT_ONCE 20
#define CHUNK   65536
#define BYTES_AT_ONCE (4 * 1024 * 1024)          /* then the loop has its turn */
#define STALE   86400                /* seconds: nobody still writes a file that old */

typedef struct {                     /* one file on its way into the spool */
  EkCall     call;
  EkPool    *pool;
  char      *name;
  EkSpoolNew new;
  EkSpoolExtent extents[2];
  GArray    *to;                     /* of EkSpoolTo */
  EkBuf      front, body;            /* header lines that were missing; the message, CRLF */
  EkStr      message_id;
  guint64    size;                   /* bytes in the spool's file, when it is large */
  bool       had_from, had_date, had_id;
  uid_t      uid;
  EkStr      full_name;
  guint8     notify;                 /* for every recipient */
} Drop;

static struct {
  char       *path;
  int         dir;
  EkWatch     notify;
  EkTimer     rescan;
  GHashTable *busy;                  /* names */
} p;


static void
drop_free (Drop *d)
{
  if (p.busy)
    g_hash_table_remove (p.busy, d->name);
  g_array_unref (d->to);
  ek_buf_release (&d->front);
  ek_buf_release (&d->body);
  g_clear_error (&d->call.error);
  ek_pool_free (d->pool);
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

/* ---- the envelope ---- */

static const char *
notify_words (Drop *d, EkStr value)
{
  static const struct { const char *word; guint8 bit; } words[] = {
    { "never", EK_NOTIFY_NEVER }, { "success", EK_NOTIFY_SUCCESS }, { "failure", EK_NOTIFY_FAILURE }, { "delay", EK_NOTIFY_DELAY },
  };
  g_auto (GStrv) given = g_strsplit (value.p, ",", 8);

  for (guint i = 0; given[i]; i++)
    for (guint k = 0; k < G_N_ELEMENTS (words); k++)
      if (g_ascii_strcasecmp (given[i], words[k].word) == 0)
        d->notify |= words[k].bit;
  return d->notify == 0 || (d->notify & EK_NOTIFY_NEVER && d->notify != EK_NOTIFY_NEVER) ? "its notify words make no sense" : NULL;
}

static const char *
envelope_line (Drop *d, EkStr line)
{
  EkStr value = line.n > 2 ? ek_pool_str (d->pool, (EkStr) { line.p + 2, line.n - 2 }) : EK_STR ("");
  EkAddress a;
  const char *wrong;

  if (line.n < 2 || line.p[1] != ' ')
    return "a line of the envelope is malformed";
  else if (line.p[0] == 'S') {
    wrong = value.n ? ek_address_parse (d->pool, value, EK_PATH_NODOMAIN | EK_PATH_UTF8 | EK_PATH_LAX, &a) : NULL;
    if (wrong)
      return wrong;
    d->new.sender = value.n ? a.address : value;
  }
  else if (line.p[0] == 'R') {
    wrong = ek_address_parse (d->pool, value, EK_PATH_NODOMAIN | EK_PATH_UTF8 | EK_PATH_LAX, &a);
    if (wrong)
      return wrong;
    EkSpoolTo to = { .address = a.address };
    if (a.domain.n == 0)
      to.address = ek_str (ek_pool_printf (d->pool, "%.*s@%s", EK_STR_ARG (a.address), ek_role_hostname ()));
    g_array_append_val (d->to, to);
  }
  else if (line.p[0] == 'V' && value.n <= 100)
    d->new.envid = value;
  else if (line.p[0] == 'F')
    d->full_name = value;
  else if (line.p[0] == 'N')
    return notify_words (d, value);
  else if (line.p[0] == 'T')
    d->new.flags |= ek_str_ieq (value, EK_STR ("full")) ? EK_MSG_RET_FULL : EK_MSG_RET_HDRS;
  else
    return "a line of the envelope is of no known kind";
  return NULL;
}

/* Returns what is wrong; *body is where the message starts. */
static const char *
envelope (Drop *d, EkStr text, gsize *body)
{
  const char *at = text.p, *end = text.p + text.n;
  bool first = true;

  for (;;) {
    const char *nl = memchr (at, '\n', (gsize) (end - at));
    if (nl == NULL)
      return "the envelope does not end";
    EkStr line = { at, (gsize) (nl - at) };
    at = nl + 1;
    if (first && !ek_str_eq (line, EK_STR (EK_DROP_MAGIC)))
      return "it does not begin with " EK_DROP_MAGIC;
    if (line.n == 0)
      break;
    const char *wrong = first ? NULL : envelope_line (d, line);
    if (wrong)
      return wrong;
    first = false;
  }
  *body = (gsize) (at - text.p);
  for (guint i = 0; i < d->to->len; i++)
    g_array_index (d->to, EkSpoolTo, i).notify = d->notify;
  if (d->to->len == 0)
    return "it has no recipient";
  if (d->new.sender.n > 0 && memchr (d->new.sender.p, '@', d->new.sender.n) == NULL)
    d->new.sender = ek_str (ek_pool_printf (d->pool, "%.*s@%s", EK_STR_ARG (d->new.sender), ek_role_hostname ()));
  return NULL;
}

/* ---- the message ---- */

/* Appends with CRLF line ends. */
static void
append_crlf (EkBuf *out, const char *bytes, gsize n, char *last)
{
  while (n > 0) {
    const char *nl = memchr (bytes, '\n', n);
    gsize len = nl ? (gsize) (nl - bytes) : n;
    ek_buf_append (out, bytes, len);
    if (len > 0)
      *last = bytes[len - 1];
    if (nl == NULL)
      return;
    ek_buf_append (out, *last == '\r' ? "\n" : "\r\n", *last == '\r' ? 1 : 2);
    *last = '\n';
    bytes = nl + 1;
    n -= len + 1;
  }
}

static void
look_at_header (Drop *d, EkStr head)
{
  const char *at = head.p, *end = head.p + head.n;

  while (at < end) {
    const char *nl = memchr (at, '\n', (gsize) (end - at));
    EkStr line = { at, (gsize) ((nl ? nl : end) - at) };
    at = nl ? nl + 1 : end;
    if (line.n <= 1)
      return;
    d->had_from = d->had_from || ek_str_istarts (line, EK_STR ("from:"));
    d->had_date = d->had_date || ek_str_istarts (line, EK_STR ("date:"));
    if (ek_str_istarts (line, EK_STR ("message-id:"))) {
      d->had_id = true;
      d->message_id = ek_pool_str (d->pool, ek_str_trim ((EkStr) { line.p + 11, line.n - 11 }));
    }
  }
}

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
  if (d->full_name.n > 0 && d->full_name.n <= 200 && g_utf8_validate (d->full_name.p, (gssize) d->full_name.n, NULL))
    write_name (&d->front, d->full_name);
  ek_buf_printf (&d->front, "<%.*s>\r\n", EK_STR_ARG (d->new.sender));
}

static void
write_front (Drop *d)
{
  char id[EK_QUEUE_ID_LEN + 1], date[64];
  gint64 now = ek_wall () / G_USEC_PER_SEC;

  ek_queue_id_text (d->new.id, id);
  ek_date_format (date, now, ek_date_zone (now));
  ek_buf_printf (&d->front, "Received: by %s (Ekiden, from userid %u)\r\n\tid %s; %s\r\n", ek_role_hostname (), (guint) d->uid, id, date);
  if (!d->had_date)
    ek_buf_printf (&d->front, "Date: %s\r\n", date);
  if (!d->had_from && d->new.sender.n > 0)
    write_from (d);
  if (!d->had_id) {
    d->message_id = ek_str (ek_pool_printf (d->pool, "<%s.%" G_GINT64_FORMAT "@%s>", id, now, ek_role_hostname ()));
    ek_buf_printf (&d->front, "Message-ID: %.*s\r\n", EK_STR_ARG (d->message_id));
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

static bool
has_8bit (const char *bytes, gsize n)
{
  for (gsize i = 0; i < n; i++)
    if (bytes[i] & 0x80)
      return true;
  return false;
}

/* Reads the rest of the file; large messages go into a file of the spool. */
static bool
read_body (Drop *d, int fd, EkStr rest)
{
  char last = '\n', chunk[CHUNK];
  ssize_t n;

  append_crlf (&d->body, rest.p, rest.n, &last);
  look_at_header (d, ek_buf_str (&d->body));
  bool high = has_8bit (rest.p, rest.n);
  spill (d);
  while ((n = read (fd, chunk, sizeof chunk)) > 0) {
    high = high || has_8bit (chunk, (gsize) n);
    append_crlf (&d->body, chunk, (gsize) n, &last);
    spill (d);
  }
  if (last != '\n' && d->new.file)
    d->size += 2, ek_queue_ops->file_append (d->new.file, "\r\n", 2);
  else if (last != '\n')
    ek_buf_appends (&d->body, "\r\n");
  if (high)
    d->new.flags |= EK_MSG_8BIT;
  return n == 0;
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
    ek_event ("pickup", d->new.event, "pickup", EK_FTEXT ("qid", id), EK_FINT ("uid", d->uid), EK_FSTR ("from", d->new.sender));
    ek_event ("cleanup", d->new.event, "message-id", EK_FTEXT ("qid", id), EK_FSTR ("message_id", d->message_id));
    if (unlinkat (p.dir, d->name, 0) < 0)
      ek_log (EK_ERR, "pickup", "cannot remove %s/%s: %s (it will be sent again)", p.path, d->name, g_strerror (errno));
    if (m)
      ek_sched_message (m);
  }
  drop_free (d);                     /* DEFER: the next look tries it again */
}

static void
submit (Drop *d)
{
  EkBuf attrs = { 0 };

  write_front (d);
  ek_spool_attr_add (&attrs, EK_ATTR_MESSAGE_ID, d->message_id);
  d->new.flags |= EK_MSG_LOCAL;
  d->new.to = (const EkSpoolTo *) (void *) d->to->data;
  d->new.n_to = d->to->len;
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
  ek_buf_release (&attrs);
  if (status != EK_PENDING)
    durable (&d->call, status, d);
}

/* What of a file can be told before it is read; *fd is open unless it could not be. */
static const char *
open_drop (const char *name, struct stat *st, int *fd)
{
  *fd = openat (p.dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
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

/* Takes one file; how many bytes that was. */
static guint64
take (const char *name)
{
  struct stat st;
  int fd;
  const char *wrong = open_drop (name, &st, &fd);

  if (fd < 0 && (errno == ENOENT || errno == EMFILE || errno == ENFILE || errno == ENOMEM))
    return 0;
  EkPool *pool = ek_pool_new ();
  Drop *d = ek_pool_new0 (pool, Drop);
  d->pool = pool;
  d->name = ek_pool_strdup (pool, name);
  d->uid = st.st_uid;
  d->to = g_array_new (FALSE, FALSE, sizeof (EkSpoolTo));
  d->new.id = ek_queue_ops->new_id (ek_queue_spool);
  d->new.event = d->new.id;
  g_hash_table_add (p.busy, g_strdup (name));
  g_autofree char *head = g_malloc (EK_DROP_ENVELOPE_MAX);
  ssize_t n = wrong ? 0 : read (fd, head, EK_DROP_ENVELOPE_MAX);
  gsize body = 0;
  if (wrong == NULL)
    wrong = n <= 0 ? "it cannot be read"
            : (guint64) st.st_size > ek_queue_conf->message_size_limit.bytes + EK_DROP_ENVELOPE_MAX ? "it is larger than queue.message_size_limit"
            : envelope (d, (EkStr) { head, (gsize) n }, &body);
  if (wrong == NULL && !read_body (d, fd, (EkStr) { head + body, (gsize) n - body }))
    wrong = "it cannot be read to its end";
  if (fd >= 0)
    close (fd);
  if (wrong == NULL)
    submit (d);
  else {
    if (d->new.file)
      ek_queue_ops->file_free (g_steal_pointer (&d->new.file));
    set_aside (d, wrong);
  }
  return (guint64) st.st_size;
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
  guint64 bytes = 0;
  guint n = 0;

  if (dir == NULL) {
    if (fd >= 0)
      close (fd);
    return;
  }
  while (n < AT_ONCE && bytes < BYTES_AT_ONCE && !ek_role_stopping () && ek_queue_ops->accepting (ek_queue_spool, &why) && (e = readdir (dir)))
    if (g_str_has_prefix (e->d_name, ".tmp-"))
      remove_stale (e->d_name);
    else if (e->d_name[0] != '.' && !g_hash_table_contains (p.busy, e->d_name)) {
      bytes += take (e->d_name);
      n++;
    }
  closedir (dir);
  ek_timer_set (ek_role_loop (), &p.rescan, n == AT_ONCE || bytes >= BYTES_AT_ONCE ? 10000 : RESCAN);
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
