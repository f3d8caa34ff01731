/* db.c - the SQLite file of one user: opening, statements, transactions, damage
 * SPDX-License-Identifier: Apache-2.0
 *
 * WAL with locking_mode=EXCLUSIVE: one process, no shared memory file.  Commits are not synced
 * (synchronous=NORMAL) but for those that hand out UIDs or reserve mod-sequences; those sync the
 * log.  So what a client was shown survives power loss, and flag changes cost no sync. A file that
 * is no index, or a corrupt one, is moved aside and a new one begun: the mail is in the files, and
 * a larger UIDVALIDITY tells clients. */
#include "index/index.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define APPLICATION_ID 0x456b4978   /* "EkIx" */
#define VERSION 1

static const char *const sql[] = {
#define X(id_, sql_) sql_,
  STATEMENTS (X)
#undef X
};

static const char schema[]
    = "CREATE TABLE meta(k TEXT PRIMARY KEY, v INTEGER) WITHOUT ROWID;"
      "CREATE TABLE box(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, disk BLOB "
      "NOT NULL UNIQUE,"
      " guid TEXT NOT NULL, special TEXT, import INTEGER NOT NULL, uidvalidity INTEGER NOT NULL,"
      " uidnext INTEGER NOT NULL, recent INTEGER NOT NULL, modseq INTEGER NOT NULL, messages "
      "INTEGER NOT NULL,"
      " unseen INTEGER NOT NULL, deleted INTEGER NOT NULL, size INTEGER NOT NULL, unsized INTEGER "
      "NOT NULL,"
      " stamp BLOB, gone_floor INTEGER NOT NULL, gone_modseq INTEGER NOT NULL);"
      "CREATE TABLE keyword(box INTEGER NOT NULL, n INTEGER NOT NULL, name TEXT NOT NULL, PRIMARY "
      "KEY(box,n)) WITHOUT ROWID;"
      "CREATE TABLE msg(id INTEGER PRIMARY KEY, modseq INTEGER NOT NULL, flags INTEGER NOT NULL,"
      " keywords INTEGER NOT NULL, fresh INTEGER NOT NULL, psize INTEGER NOT NULL, vsize INTEGER,"
      " date INTEGER NOT NULL, key BLOB NOT NULL, place BLOB NOT NULL, hash INTEGER NOT NULL);"
    "CREATE INDEX msg_hash ON msg(hash);"
      "CREATE INDEX msg_modseq ON msg(modseq);"
      "CREATE INDEX msg_fresh ON msg(id) WHERE fresh;"
      "CREATE TABLE envelope(id INTEGER PRIMARY KEY, data BLOB NOT NULL);"
      "CREATE TABLE structure(id INTEGER PRIMARY KEY, data BLOB NOT NULL);"
      "CREATE TABLE headers(id INTEGER PRIMARY KEY, data BLOB NOT NULL);"
      "CREATE TABLE gone(id INTEGER PRIMARY KEY, last INTEGER NOT NULL, modseq INTEGER NOT NULL);";

EkStatus
db_error (Db *db, GError **error)
{
  int code = sqlite3_extended_errcode (db->h);

  /* a row that may not be there twice is not in its place: whoever came to write it has looked */
  if ((code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB || (code & 0xff) == SQLITE_CONSTRAINT)
    db->corrupt = true;
  return ek_fail (error, EK_DEFER, (code & 0xff) == SQLITE_FULL ? ENOSPC : 0, "%s: %s (SQLite %d)",
                  db->path, sqlite3_errmsg (db->h), code);
}

EkStatus
db_damaged (Db *db, const char *what, GError **error)
{
  db->corrupt = true;
  return ek_fail (error, EK_DEFER, 0, "%s is damaged: %s", db->path, what);
}

/* ---- statements ---- */

/* Strings are not copied: each statement is stepped before the caller's strings go, and bound again
 * before it is stepped again. */
static void
bind_all (sqlite3_stmt *st, const char *types, va_list args)
{
  for (int i = 1; *types; i++, types++) {
    if (*types == 'i') {
      sqlite3_bind_int64 (st, i, va_arg (args, gint64));
      continue;
    }
    EkStr s = va_arg (args, EkStr);
    if (s.p == NULL)
      sqlite3_bind_null (st, i);
    else if (*types == 't')
      sqlite3_bind_text (st, i, s.p, (int) s.n, SQLITE_STATIC);
    else
      sqlite3_bind_blob64 (st, i, s.p, s.n, SQLITE_STATIC);
  }
}

static sqlite3_stmt *
prepared (Db *db, StatementId id)
{
  if (db->st[id] == NULL)
    sqlite3_prepare_v3 (db->h, sql[id], -1, SQLITE_PREPARE_PERSISTENT, &db->st[id], NULL);
  else
    sqlite3_reset (db->st[id]);
  return db->st[id];
}

sqlite3_stmt *
db_bind (Db *db, StatementId id, const char *types, ...)
{
  sqlite3_stmt *st = prepared (db, id);
  va_list args;

  if (st) {
    va_start (args, types);
    bind_all (st, types, args);
    va_end (args);
  }
  return st;
}

EkStatus
db_row (Db *db, sqlite3_stmt *st, GError **error)
{
  int code = st ? sqlite3_step (st) : SQLITE_ERROR;

  if (code == SQLITE_ROW)
    return EK_OK;
  EkStatus status = code == SQLITE_DONE ? EK_NOTFOUND : db_error (db, error);
  sqlite3_reset (st);
  return status;
}

EkStatus
db_run (Db *db, GError **error, StatementId id, const char *types, ...)
{
  sqlite3_stmt *st = prepared (db, id);
  EkStatus status;
  va_list args;

  if (st) {
    va_start (args, types);
    bind_all (st, types, args);
    va_end (args);
  }
  while ((status = db_row (db, st, error)) == EK_OK)
    ;
  return status == EK_NOTFOUND ? EK_OK : status;
}

EkStr
db_blob (sqlite3_stmt *st, int column)
{
  const char *p = sqlite3_column_blob (st, column);

  return (EkStr) { p ? p : "", (gsize) sqlite3_column_bytes (st, column) };
}

static char *
fetch_sql (guint with)
{
  static const char *const names[] = { "envelope", "structure", "headers" };
  GString *s = g_string_new ("SELECT m.id,m.flags,m.keywords,m.modseq,m.date,m.vsize,m.key");

  for (guint i = 0; i < 3; i++)
    if (with >> i & 1)
      g_string_append_printf (s, ",%s.data", names[i]);
    else
      g_string_append (s, ",NULL");
  g_string_append (s, " FROM msg m");
  if (with & WITH_SINCE)
    g_string_append (s, " INDEXED BY msg_modseq");
  for (guint i = 0; i < 3; i++)
    if (with >> i & 1)
      g_string_append_printf (s, " LEFT JOIN %s ON %s.id=m.id", names[i], names[i]);
  g_string_append (s, " WHERE m.id BETWEEN ?1 AND ?2");
  if (with & WITH_SINCE)
    g_string_append (s, " AND m.modseq>?3");
  g_string_append (s, " ORDER BY m.id");
  return g_string_free (s, FALSE);
}

sqlite3_stmt *
db_fetch (Db *db, guint with)
{
  if (db->fetch[with] == NULL) {
    g_autofree char *text = fetch_sql (with);
    sqlite3_prepare_v3 (db->h, text, -1, SQLITE_PREPARE_PERSISTENT, &db->fetch[with], NULL);
  } else
    sqlite3_reset (db->fetch[with]);
  return db->fetch[with];
}

/* ---- transactions ---- */

/* The lock file also says how many durable commits the index has had.  It is not synced, so it
 * never tells of one that power loss took; when it tells of more than the index knows, somebody put
 * back an old file or removed the log beside it, and its numbers must not be believed. */
static void
db_mark (Db *db)
{
  char text[48];

  g_snprintf (text, sizeof text, "%10d %20" G_GUINT64_FORMAT "\n", (int) getpid (), db->commits);
  if (pwrite (db->lock_fd, text, strlen (text), 0) < 0)
    ek_log (EK_WARN, "index", "%s.lock: cannot write: %s", db->path, g_strerror (errno));
}

static EkStatus
exec (Db *db, const char *text, GError **error)
{
  return sqlite3_exec (db->h, text, NULL, NULL, NULL) == SQLITE_OK ? EK_OK : db_error (db, error);
}

EkStatus
db_begin (Db *db, bool durable, GError **error)
{
  if (db->in_tx)
    return ek_fail (error, EK_DEFER, 0, "%s: a transaction within a transaction", db->path);
  if (durable != db->full) {
    EkStatus status
        = exec (db, durable ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL", error);
    if (status != EK_OK)
      return status;
    db->full = durable;
  }
  EkStatus status = exec (db, "BEGIN IMMEDIATE", error);
  db->in_tx = status == EK_OK;
  return status;
}

EkStatus
db_commit (Db *db, GError **error)
{
  EkStatus status = EK_OK;

  if (db->full)
    status = db_run (db, error, ST_META_SET, "ti", EK_STR ("commits"), (gint64) db->commits + 1);
  if (status == EK_OK)
    status = exec (db, "COMMIT", error);
  if (status != EK_OK) {
    db_rollback (db);
    return status;
  }
  db->in_tx = false;
  if (db->full) {
    db->commits++;
    db_mark (db);
  }
  return EK_OK;
}

void
db_rollback (Db *db)
{
  if (db->in_tx && !sqlite3_get_autocommit (db->h))
    sqlite3_exec (db->h, "ROLLBACK", NULL, NULL, NULL);
  db->in_tx = false;
}

/* ---- opening ---- */

static int
user_version (sqlite3 *h, const char *pragma, int *value)
{
  sqlite3_stmt *st = NULL;
  int code = sqlite3_prepare_v2 (h, pragma, -1, &st, NULL);

  if (code == SQLITE_OK && (code = sqlite3_step (st)) == SQLITE_ROW) {
    *value = sqlite3_column_int (st, 0);
    code = SQLITE_OK;
  }
  sqlite3_finalize (st);
  return code;
}

/* The file may belong to the user whose mail it is: nothing in its schema may run code. */
static void
harden (sqlite3 *h)
{
  sqlite3_db_config (h, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
  sqlite3_db_config (h, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
  sqlite3_db_config (h, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
  sqlite3_db_config (h, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
  sqlite3_db_config (h, SQLITE_DBCONFIG_LOOKASIDE, NULL, 256, 100);
  /* closing costs no sync: the next opening reads a log of at most some 250 pages */
  sqlite3_db_config (h, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
  sqlite3_wal_autocheckpoint (h, 250);
}

typedef enum { OPEN_GOOD, OPEN_BROKEN, OPEN_NEWER, OPEN_FAILED } Opened;

/* Versions, and the schema as far as preparing a statement on every table shows it. */
static Opened
check (Db *db)
{
  int version = 0, application = 0;
  int code = user_version (db->h, "PRAGMA user_version", &version);

  if (code == SQLITE_OK)
    code = user_version (db->h, "PRAGMA application_id", &application);
  if (code == SQLITE_NOTADB || code == SQLITE_CORRUPT)
    return OPEN_BROKEN;
  if (code != SQLITE_OK)
    return OPEN_FAILED;
  if (version == 0 && application == 0) {          /* empty: ours to fill */
    int tables = 0;
    if (user_version (db->h, "SELECT count(*) FROM sqlite_schema", &tables) != SQLITE_OK
        || tables > 0)
      return OPEN_BROKEN;
    db->empty = true;
    return OPEN_GOOD;
  }
  if (application != APPLICATION_ID)
    return OPEN_BROKEN;
  if (version > VERSION)
    return OPEN_NEWER;
  sqlite3_stmt *st = db_bind (db, ST_META_GET, "t", EK_STR ("commits"));
  EkStatus status = db_row (db, st, NULL);
  db->commits = status == EK_OK ? (guint64) sqlite3_column_int64 (st, 0) : 0;
  sqlite3_reset (st);
  if (status == EK_DEFER && st && !db->corrupt)    /* the disk's fault, not the file's */
    return OPEN_FAILED;
  if (db->corrupt || db->commits < db->commits_told)
    return OPEN_BROKEN;
  if (prepared (db, ST_BOX_ALL) == NULL || prepared (db, ST_MSG_GET) == NULL
      || prepared (db, ST_META_GET) == NULL)
    return OPEN_BROKEN;
  return OPEN_GOOD;
}

/* Not what is read in one go anyway, and not what would fill memory. */
#define AHEAD_MIN (128 * 1024)
#define AHEAD_MAX (16 * 1024 * 1024)

void
db_read_ahead (Db *db)
{
  struct stat st;

  if (db->read_ahead)
    return;
  db->read_ahead = true;
  if (stat (db->path, &st) < 0 || !S_ISREG (st.st_mode) || st.st_size < AHEAD_MIN)
    return;
  db->ahead_fd = open (db->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (db->ahead_fd >= 0)
    (void) posix_fadvise (db->ahead_fd, 0, AHEAD_MAX, POSIX_FADV_WILLNEED);
}

static Opened
try_open (Db *db)
{
  if (access (db->path, F_OK) < 0) {               /* whatever the umask is */
    int fd = open (db->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0)
      close (fd);
  }
  int code = sqlite3_open_v2 (db->path, &db->h,
                              SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX
                                  | SQLITE_OPEN_PRIVATECACHE,
                              NULL);
  if (code != SQLITE_OK)
    return OPEN_FAILED;
  sqlite3_extended_result_codes (db->h, 0);
  harden (db->h);
  code = sqlite3_exec (
      db->h,
      "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
      " PRAGMA cache_size=-512; PRAGMA temp_store=MEMORY",
      NULL, NULL, NULL);
  if (code == SQLITE_NOTADB || code == SQLITE_CORRUPT)
    return OPEN_BROKEN;
  if (code != SQLITE_OK)
    return OPEN_FAILED;
  Opened how = check (db);
  if (how == OPEN_GOOD && db->empty) {
    g_autofree char *begin
        = g_strdup_printf ("BEGIN; %s PRAGMA application_id=%d; PRAGMA user_version=%d; COMMIT",
                           schema, APPLICATION_ID, VERSION);
    if (sqlite3_exec (db->h, begin, NULL, NULL, NULL) != SQLITE_OK)
      return OPEN_FAILED;
  }
  return how;
}

static void
close_handle (Db *db)
{
  for (guint i = 0; i < N_STATEMENTS; i++) {
    sqlite3_finalize (db->st[i]);
    db->st[i] = NULL;
  }
  for (guint i = 0; i < N_FETCHES; i++) {
    sqlite3_finalize (db->fetch[i]);
    db->fetch[i] = NULL;
  }
  sqlite3_close_v2 (db->h);
  db->h = NULL;
  if (db->ahead_fd >= 0)
    close (db->ahead_fd);
  db->ahead_fd = -1;
}

static void
move_aside (const char *path)
{
  static const char *const tails[] = { "", "-wal", "-journal" };

  for (guint i = 0; i < G_N_ELEMENTS (tails); i++) {
    g_autofree char *from = g_strconcat (path, tails[i], NULL);
    g_autofree char *to = g_strdup_printf ("%s.broken-%" G_GINT64_FORMAT "%s", path,
                                           ek_wall () / G_USEC_PER_SEC, tails[i]);
    if (rename (from, to) == 0 && i == 0)
      ek_log (EK_ERR, "index",
              "%s is damaged or older than it should be: moved to %s and begun anew; no mail is "
              "lost, clients will fetch "
              "the mailboxes again (larger UIDVALIDITY)",
              path, to);
  }
}

/* Whoever holds the lock is the only one that writes this user's index. */
static EkStatus
take_lock (Db *db, GError **error)
{
  g_autofree char *path = g_strconcat (db->path, ".lock", NULL);
  char text[64] = "";
  int pid = 0;

  db->lock_fd = open (path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (db->lock_fd < 0)
    return ek_fail (error, EK_DEFER, errno, "%s: cannot open: %s", path, g_strerror (errno));
  bool busy = flock (db->lock_fd, LOCK_EX | LOCK_NB) < 0;
  gssize n = pread (db->lock_fd, text, sizeof text - 1, 0);
  text[n > 0 ? n : 0] = 0;
  if (sscanf (text, "%d %" G_GUINT64_FORMAT, &pid, &db->commits_told) != 2)
    pid = 0, db->commits_told = 0;
  return busy ? ek_fail (error, EK_DEFER, EBUSY, "%s: the index is in use by process %d", db->path,
                         pid)
              : EK_OK;
}

EkStatus
db_open (const char *path, Db **out, GError **error)
{
  Db *db = g_new0 (Db, 1);

  db->path = g_strdup (path);
  db->ahead_fd = -1;
  EkStatus status = take_lock (db, error);
  for (guint tries = 0; status == EK_OK && tries < 2; tries++) {
    Opened how = try_open (db);
    if (how == OPEN_GOOD)
      break;
    if (how == OPEN_NEWER)
      status = ek_fail (error, EK_FAIL, 0,
                        "%s was written by a newer Ekiden: start that one, or move the file away "
                        "(clients then fetch the mailboxes again)",
                        path);
    else if (how == OPEN_FAILED || tries == 1)
      status = db_error (db, error);
    else {
      close_handle (db);
      move_aside (path);
      db->corrupt = false;
      db->commits_told = db->commits = 0;
    }
  }
  if (status != EK_OK) {
    db_close (db);
    return status;
  }
  db_mark (db);
  *out = db;
  return EK_OK;
}

void
db_close (Db *db)
{
  if (db == NULL)
    return;
  close_handle (db);
  if (db->corrupt)
    move_aside (db->path);
  if (db->lock_fd >= 0)
    close (db->lock_fd);
  g_free (db->path);
  g_free (db);
}
