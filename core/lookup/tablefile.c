/* tablefile.c - reads a table's file when it has changed, and swaps the tables
 * SPDX-License-Identifier: Apache-2.0 */
#include "lookup/tablefile.h"
#include "base/base.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_BYTES   ((gsize) 1 << 38)       /* of positions in an EkKeyIndex, with room to spare */

gint64 ek_table_file_patience = G_USEC_PER_SEC;

typedef struct {                     /* what a file is recognised by */
  dev_t  dev;
  ino_t  ino;
  off_t  size;
  gint64 mtime, ctime;               /* nanoseconds */
} FileId;

typedef struct Snapshot Snapshot;
struct Snapshot {
  Snapshot     *next;                /* in EkTableFile.held */
  gpointer      table;
  char         *text;
  gsize         len;
  guint         refs;                /* under the lock; the current one has one for being so */
};

struct EkTableFile {
  char              *label, *path;
  const EkTableKind *kind;
  gpointer           user;

  pthread_mutex_t    lock;           /* for what follows */
  Snapshot          *current;
  Snapshot          *held;           /* all that live, current first */
  Snapshot          *left;           /* old ones that nobody holds: the next look frees them, since letting go may not take its time */
  gint64             looked;         /* monotonic; 0: never */
  bool               looking;        /* a thread is at it */
  char              *why;            /* there is no table: the reason, and its errno value */
  int                why_code;

  /* For the thread that looks. */
  FileId             loaded, broken, moving;
  int                fd;             /* of `loaded`: kept open so that no new file gets its inode number */
  char              *complained;     /* what was logged last, not to be said again */
};

bool
ek_path_check (const char *option, const char *path, GError **error)
{
  if (path && path[0] == '/')
    return true;
  ek_fail (error, EK_FAIL, EINVAL, "%s: \"%s\" is not absolute: write it from / on", option, path ? path : "");
  return false;
}

EkTableFile *
ek_table_file_open (const EkInstance *of, const char *path, const EkTableKind *kind, gpointer user)
{
  g_autofree char *label = g_strdup_printf ("%s %s", of->module->name, of->name);
  EkTableFile *file = ek_table_file_new (label, path, kind, user);

  ek_table_file_reload (file);
  return file;
}

EkTableFile *
ek_table_file_new (const char *label, const char *path, const EkTableKind *kind, gpointer user)
{
  EkTableFile *file = g_new0 (EkTableFile, 1);

  file->label = g_strdup (label);
  file->path = g_strdup (path);
  file->kind = kind;
  file->user = user;
  file->fd = -1;
  pthread_mutex_init (&file->lock, NULL);
  return file;
}

static void
snapshot_free (const EkTableFile *file, Snapshot *snap)
{
  file->kind->free (snap->table);
  if (file->kind->secret && snap->text)
    ek_wipe (snap->text, snap->len);
  g_free (snap->text);
  g_free (snap);
}

static void
free_list (const EkTableFile *file, Snapshot *list)
{
  while (list) {
    Snapshot *snap = list;
    list = snap->next;
    snapshot_free (file, snap);
  }
}

void
ek_table_file_free (EkTableFile *file)
{
  if (file == NULL)
    return;
  free_list (file, file->held);
  free_list (file, file->left);
  if (file->fd >= 0)
    close (file->fd);
  pthread_mutex_destroy (&file->lock);
  g_free (file->label);
  g_free (file->path);
  g_free (file->why);
  g_free (file->complained);
  g_free (file);
}

/* With the lock held: drops a reference and returns the snapshot if it was the last. */
static Snapshot *
drop (EkTableFile *file, Snapshot *snap)
{
  if (snap == NULL || --snap->refs > 0)
    return NULL;
  for (Snapshot **at = &file->held; *at; at = &(*at)->next)
    if (*at == snap) {
      *at = snap->next;
      return snap;
    }
  g_assert_not_reached ();
}

/* ---- looking at the file ---- */

static FileId
file_id (const struct stat *st)
{
  return (FileId) {
    .dev = st->st_dev, .ino = st->st_ino, .size = st->st_size,
    .mtime = (gint64) st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec,
    .ctime = (gint64) st->st_ctim.tv_sec * 1000000000 + st->st_ctim.tv_nsec,
  };
}

static bool
same_id (const FileId *a, const FileId *b)
{
  return a->dev == b->dev && a->ino == b->ino && a->size == b->size && a->mtime == b->mtime
         && a->ctime == b->ctime;
}

static bool
read_all (int fd, char *text, gsize len, GError **error)
{
  for (gsize at = 0; at < len; ) {
    ssize_t got = read (fd, text + at, MIN (len - at, (gsize) 1 << 30));
    if (got < 0 && errno == EINTR)
      continue;
    if (got <= 0) {
      ek_fail (error, EK_DEFER, got < 0 ? errno : EBUSY, "%s", got < 0 ? g_strerror (errno) : "it became "
               "shorter while it was read");
      return false;
    }
    at += (gsize) got;
  }
  return true;
}

/* The whole file; *id is what it was before and after.  NULL and *error. */
static char *
slurp (int fd, const FileId *id, GError **error)
{
  gsize len = (gsize) id->size;
  struct stat st;

  if (id->size < 0 || len > MAX_BYTES) {
    ek_fail (error, EK_DEFER, EFBIG, "it is too large for a table in memory");
    return NULL;
  }
  char *text = g_try_malloc (len + 1);
  if (text == NULL) {
    ek_fail (error, EK_DEFER, ENOMEM, "no memory for its %" G_GSIZE_FORMAT " bytes", len);
    return NULL;
  }
  text[len] = '\0';
  if (read_all (fd, text, len, error) && fstat (fd, &st) == 0) {
    FileId after = file_id (&st);
    if (same_id (&after, id))
      return text;
    ek_fail (error, EK_DEFER, EBUSY, "it changed while it was read");
  }
  ek_wipe (text, len);
  g_free (text);
  return NULL;
}

static Snapshot *
snapshot_new (gpointer table, char *text, gsize len)
{
  Snapshot *snap = g_new0 (Snapshot, 1);

  *snap = (Snapshot) { .table = table, .text = text, .len = len, .refs = 1 };
  return snap;
}

static Snapshot *
parse (EkTableFile *file, char *text, gsize len, GError **error)
{
  EkTableText source = { .path = file->path, .text = text, .len = len };
  gpointer table = file->kind->parse (&source, file->user, error);

  if (table == NULL) {
    if (file->kind->secret)
      ek_wipe (text, len);
    g_free (text);
    return NULL;
  }
  return snapshot_new (table, text, len);
}

/* The table of a file.  *again: it may be another time, though the file stays as it is. */
static Snapshot *
load (EkTableFile *file, int fd, const FileId *id, bool *again, GError **error)
{
  if (file->kind->open) {
    gpointer table = file->kind->open (fd, file->path, file->user, error);
    *again = table == NULL;
    return table ? snapshot_new (table, NULL, 0) : NULL;
  }
  char *text = slurp (fd, id, error);
  *again = text == NULL;
  return text ? parse (file, text, (gsize) id->size, error) : NULL;
}

static void
swap_in (EkTableFile *file, Snapshot *snap)
{
  pthread_mutex_lock (&file->lock);
  Snapshot *old = file->current;
  file->current = snap;
  snap->next = file->held;
  file->held = snap;
  old = drop (file, old);
  g_clear_pointer (&file->why, g_free);
  pthread_mutex_unlock (&file->lock);
  if (old)
    snapshot_free (file, old);
}

/* Says why there is no new table, unless that was the last thing said. */
static void
complain (EkTableFile *file, bool have, const GError *error)
{
  bool line = g_str_has_prefix (error->message, file->path);      /* a parser's: names the file itself */
  g_autofree char *why = line ? g_strdup (error->message) : g_strdup_printf ("%s: %s", file->path, error->message);

  if (g_strcmp0 (why, file->complained) != 0) {
    ek_log (EK_ERR, "", "%s: %s; %s", file->label, why, have ? "the table read before stays in use"
            : "until that is mended its lookups are deferred");
    g_free (file->complained);
    file->complained = g_strdup (why);
  }
  if (!have) {
    pthread_mutex_lock (&file->lock);
    g_free (file->why);
    file->why = g_steal_pointer (&why);
    file->why_code = error->code;
    pthread_mutex_unlock (&file->lock);
  }
}

/* Opens and reads the file if it is a new one.  NULL: nothing new, or *error. */
static Snapshot *
look (EkTableFile *file, bool have, bool now, GError **error)
{
  struct stat st;
  int fd = open (file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

  if (fd < 0 || fstat (fd, &st) != 0) {
    int err = errno;
    if (fd >= 0)
      close (fd);
    ek_fail (error, EK_DEFER, err, "%s", g_strerror (err));
    return NULL;
  }
  Snapshot *snap = NULL;
  FileId id = file_id (&st);
  bool in_place = have && id.dev == file->loaded.dev && id.ino == file->loaded.ino;
  if (!S_ISREG (st.st_mode))
    ek_fail (error, EK_DEFER, EINVAL, "it is not a regular file");
  else if (have && same_id (&id, &file->loaded))
    g_clear_pointer (&file->complained, g_free);       /* back to what is in use */
  else if (same_id (&id, &file->broken))
    ;                                                  /* still the one that was complained about */
  else if (in_place && !now && !same_id (&id, &file->moving))
    file->moving = id;                                 /* wait until it has stood still for one look */
  else {
    bool again;
    snap = load (file, fd, &id, &again, error);
    if (snap) {
      int old = file->fd;
      file->loaded = id;
      file->fd = fd;
      fd = old;
    }
    else if (!again)
      file->broken = id;
  }
  if (fd >= 0)
    close (fd);
  return snap;
}

/* One thread at a time: `looking` is ours. */
static void
look_and_swap (EkTableFile *file, bool have, bool now)
{
  g_autoptr (GError) error = NULL;
  Snapshot *snap = look (file, have, now, &error);

  if (snap) {
    swap_in (file, snap);
    if (file->complained)
      ek_log (EK_INFO, "", "%s: %s is read again", file->label, file->path);
    g_clear_pointer (&file->complained, g_free);
  }
  else if (error)
    complain (file, have, error);
}

/* `now`: even when it was looked at within the last second; waits for one who is looking. */
static void
look_if_due (EkTableFile *file, bool now)
{
  for (;;) {
    pthread_mutex_lock (&file->lock);
    bool due = now || file->looked == 0 || ek_now () - file->looked >= ek_table_file_patience;
    bool mine = due && !file->looking, have = file->current != NULL;
    if (mine) {
      file->looking = true;
      file->looked = ek_now ();
    }
    pthread_mutex_unlock (&file->lock);
    if (mine) {
      look_and_swap (file, have, now);
      pthread_mutex_lock (&file->lock);
      file->looking = false;
      Snapshot *left = g_steal_pointer (&file->left);
      pthread_mutex_unlock (&file->lock);
      free_list (file, left);
    }
    if (mine || !now)
      return;
    g_usleep (1000);
  }
}

void
ek_table_file_reload (EkTableFile *file)
{
  look_if_due (file, true);
}

gconstpointer
ek_table_file_hold (EkTableFile *file, GError **error)
{
  look_if_due (file, false);
  pthread_mutex_lock (&file->lock);
  Snapshot *snap = file->current;
  if (snap)
    snap->refs++;
  else
    ek_fail (error, EK_DEFER, file->why ? file->why_code : EAGAIN, "%s", file->why ? file->why : "the file is being read");
  pthread_mutex_unlock (&file->lock);
  return snap ? snap->table : NULL;
}

bool
ek_table_file_at_hand (EkTableFile *file)
{
  pthread_mutex_lock (&file->lock);
  bool yes = file->current && ek_now () - file->looked < ek_table_file_patience * 9 / 10;        /* there is time left to ask */
  pthread_mutex_unlock (&file->lock);
  return yes;
}

void
ek_table_file_release (EkTableFile *file, gconstpointer table)
{
  pthread_mutex_lock (&file->lock);
  Snapshot *snap = file->held;         /* one or two are in the list */
  while (snap && snap->table != table)
    snap = snap->next;
  g_assert (snap != NULL);
  snap = drop (file, snap);
  if (snap) {
    snap->next = file->left;
    file->left = snap;
  }
  pthread_mutex_unlock (&file->lock);
}
