/* index.h - what the files of core/index share
 * SPDX-License-Identifier: Apache-2.0
 *
 * In reading order: names.c, set.c (who is open), open.c (one user's numbers and transactions), db.c
 * (SQLite), boxes.c (the table of mailboxes), folders.c (LIST, CREATE, RENAME), subs.c, keywords.c,
 * rows.c, scan.c and settle.c (files against rows), unsure.c, view.c (a session's picture), fetch.c and fill.c (what FETCH
 * shows), message.c (bytes), store.c, copy.c, append.c, writer.c (bytes to disk), deliver.c, syncer.c,
 * watch.c (wake-ups). */
#pragma once
#include "base/base.h"
#include "index/box.h"
#include "index/deliver.h"
#include <pthread.h>
#include <sqlite3.h>

#define LEVEL '\n'                   /* between the levels of a name inside core/index */
#define RESERVE 128                  /* UIDs and mod-sequences made durable ahead */
#define KEYWORDS_MAX 64
#define UID_MAX (G_MAXUINT32 - 1)

typedef struct Box Box;
typedef struct Db Db;
typedef struct Watch Watch;          /* one watched folder, shared by its views */

/* ---- db.c ----------------------------------------------------------------------------------- */

#define STATEMENTS(X)                                                                               \
  X (META_GET, "SELECT v FROM meta WHERE k=?1")                                                     \
  X (META_SET, "REPLACE INTO meta(k,v) VALUES(?1,?2)")                                              \
  X (BOX_ALL, "SELECT id,name,disk,guid,special,import,uidvalidity,uidnext,recent,modseq,messages," \
              "unseen,deleted,size,unsized,stamp,gone_floor,gone_modseq FROM box")                  \
  X (BOX_ADD, "INSERT INTO box(name,disk,guid,special,import,uidvalidity,uidnext,recent,modseq,"    \
              "messages,unseen,deleted,size,unsized,gone_floor,gone_modseq)"                        \
              " VALUES(?1,?2,?3,?4,?5,?6,1,1,?7,0,0,0,0,0,0,0)")                                    \
  X (BOX_SAVE, "UPDATE box SET uidnext=?2,recent=?3,modseq=?4,messages=?5,unseen=?6,deleted=?7,"    \
               "size=?8,unsized=?9,stamp=?10,gone_floor=?11,gone_modseq=?12,import=?13,"            \
               "uidvalidity=?14 WHERE id=?1")                                                       \
  X (BOX_NAME, "UPDATE box SET name=?2,disk=?3 WHERE id=?1")                                        \
  X (BOX_DROP, "DELETE FROM box WHERE id=?1")                                                       \
  X (KEYWORD_ALL, "SELECT n,name FROM keyword WHERE box=?1")                                        \
  X (KEYWORD_SET, "REPLACE INTO keyword(box,n,name) VALUES(?1,?2,?3)")                              \
  X (KEYWORD_DROP, "DELETE FROM keyword WHERE box=?1")                                              \
  X (MSG_ADD, "INSERT INTO msg(id,modseq,flags,keywords,fresh,psize,vsize,date,key,place,hash)"     \
              " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11)")                                        \
  X (MSG_ALL, "SELECT id,flags,keywords,key,place FROM msg WHERE id BETWEEN ?1 AND ?2")             \
  X (MSG_FRESH, "SELECT id,flags,keywords,key,place FROM msg WHERE fresh AND id BETWEEN ?1 AND ?2") \
  X (MSG_BY_KEY, "SELECT id,flags,keywords,key,place FROM msg WHERE hash=?3"                        \
                 " AND id BETWEEN ?1 AND ?2")                                                       \
  X (MSG_GET, "SELECT id,flags,keywords,key,place,modseq,psize,vsize,date FROM msg WHERE id=?1")    \
  X (MSG_UIDS, "SELECT id FROM msg WHERE id BETWEEN ?1 AND ?2 ORDER BY id")                         \
  X (MSG_ENDS, "SELECT (SELECT min(id) FROM msg WHERE id BETWEEN ?1 AND ?2),"                       \
               "(SELECT max(id) FROM msg WHERE id BETWEEN ?1 AND ?2)")                              \
  X (MSG_FLAGS, "UPDATE msg SET modseq=?2,flags=?3,keywords=?4,fresh=?5,place=?6 WHERE id=?1")      \
  X (MSG_PLACE, "UPDATE msg SET fresh=?2,place=?3 WHERE id=?1")                                     \
  X (MSG_VSIZE, "UPDATE msg SET vsize=?2 WHERE id=?1")                                              \
  X (MSG_DROP, "DELETE FROM msg WHERE id=?1")                                                       \
  X (MSG_CHANGED, "SELECT id,flags,keywords,modseq FROM msg INDEXED BY msg_modseq"                  \
                  " WHERE modseq>?3 AND id BETWEEN ?1 AND ?2 ORDER BY id")                          \
  X (MSG_UNSEEN, "SELECT id FROM msg WHERE id BETWEEN ?1 AND ?2 AND flags&1=0 ORDER BY id LIMIT 1") \
  X (MSG_UNSIZED, "SELECT id FROM msg WHERE id BETWEEN ?1 AND ?2 AND vsize IS NULL LIMIT ?3")       \
  X (MSG_CLEAR, "DELETE FROM msg WHERE id BETWEEN ?1 AND ?2")                                       \
  X (ENVELOPE_SET, "REPLACE INTO envelope(id,data) VALUES(?1,?2)")                                  \
  X (ENVELOPE_COPY, "REPLACE INTO envelope(id,data) SELECT ?2,data FROM envelope WHERE id=?1")      \
  X (ENVELOPE_DROP, "DELETE FROM envelope WHERE id BETWEEN ?1 AND ?2")                              \
  X (STRUCTURE_SET, "REPLACE INTO structure(id,data) VALUES(?1,?2)")                                \
  X (STRUCTURE_COPY, "REPLACE INTO structure(id,data) SELECT ?2,data FROM structure WHERE id=?1")   \
  X (STRUCTURE_DROP, "DELETE FROM structure WHERE id BETWEEN ?1 AND ?2")                            \
  X (HEADERS_SET, "REPLACE INTO headers(id,data) VALUES(?1,?2)")                                    \
  X (HEADERS_COPY, "REPLACE INTO headers(id,data) SELECT ?2,data FROM headers WHERE id=?1")         \
  X (HEADERS_DROP, "DELETE FROM headers WHERE id BETWEEN ?1 AND ?2")                                \
  X (GONE_ADD, "REPLACE INTO gone(id,last,modseq) VALUES(?1,?2,?3)")                                \
  X (GONE_SINCE, "SELECT id,last FROM gone WHERE id BETWEEN ?1 AND ?2 AND modseq>?3 ORDER BY id")   \
  X (GONE_COUNT, "SELECT count(*) FROM gone WHERE id BETWEEN ?1 AND ?2")                            \
  X (GONE_CUT, "SELECT modseq FROM gone WHERE id BETWEEN ?1 AND ?2 ORDER BY modseq DESC"            \
               " LIMIT 1 OFFSET ?3")                                                                \
  X (GONE_PRUNE, "DELETE FROM gone WHERE id BETWEEN ?1 AND ?2 AND modseq<=?3")                      \
  X (GONE_CLEAR, "DELETE FROM gone WHERE id BETWEEN ?1 AND ?2")

typedef enum {
#define X(id_, sql_) ST_##id_,
  STATEMENTS (X)
#undef X
  N_STATEMENTS
} StatementId;

enum { WITH_ENVELOPE = 1, WITH_STRUCTURE = 2, WITH_HEADERS = 4, WITH_SINCE = 8, N_FETCHES = 16 };

struct Db {
  sqlite3      *h;
  char         *path;
  int           lock_fd;
  int           ahead_fd;            /* for reading ahead; closed behind SQLite's, whose locks would go with it.  -1: none */
  bool          in_tx, full, corrupt, read_ahead;
  bool          empty;               /* no table in it yet */
  guint64       commits, commits_told;   /* durable ones: in the index; as the lock file says */
  sqlite3_stmt *st[N_STATEMENTS];
  sqlite3_stmt *fetch[N_FETCHES];
};

/* Opens or makes `path`, under the lock file beside it.  What is no index is moved aside first. */
EkStatus db_open (const char *path, Db **db, GError **error);
void     db_close (Db *db);
/* Has the kernel read the file, once: rows are asked for soon.  Waits for nothing. */
void     db_read_ahead (Db *db);
/* Resets the statement and binds: 'i' gint64, 'b' EkStr as blob (NULL p: SQL NULL), 't' EkStr as text. */
sqlite3_stmt *db_bind (Db *db, StatementId id, const char *types, ...);
/* The next row: OK, NOTFOUND (no more; the statement is reset) or DEFER. */
EkStatus db_row (Db *db, sqlite3_stmt *st, GError **error);
/* Binds, steps to the end, resets. */
EkStatus db_run (Db *db, GError **error, StatementId id, const char *types, ...);
EkStatus db_begin (Db *db, bool durable, GError **error);
EkStatus db_commit (Db *db, GError **error);
void     db_rollback (Db *db);
sqlite3_stmt *db_fetch (Db *db, guint with);              /* the statement of a set of caches, reset */
EkStatus db_error (Db *db, GError **error);               /* DEFER with SQLite's words */
/* DEFER: rows say what cannot be.  Damage that SQLite does not see: the next opening begins anew. */
EkStatus db_damaged (Db *db, const char *what, GError **error);
EkStr    db_blob (sqlite3_stmt *st, int column);          /* borrowed until the next step */

/* rowids: the mailbox in the upper, the UID in the lower half */
static inline gint64 row_id (guint32 box, guint32 uid) { return (gint64) ((guint64) box << 32 | uid); }
static inline guint32 row_uid (gint64 id) { return (guint32) id; }

/* ---- set.c ---------------------------------------------------------------------------------- */

struct EkIndexes {
  EkIndexConfig   config;
  EkPool         *pool;              /* what config points to */
  pthread_mutex_t lock;              /* all below, refs, and the watch fields of views */
  GHashTable     *users;             /* key → EkIndex */
  GQueue          lru;               /* open ones, last used first */
  GHashTable     *guarded;           /* delivery key → mail root, of those that are not retired */
  pthread_cond_t  retired, called;
  EkAskFunc       ask;               /* NULL: nobody is to be asked (unsure.c) */
  gpointer        ask_data;
  guint64         unsure_first, unsure_last;     /* queue ids of deliveries that the queue may not have recorded */
  GHashTable     *missed;            /* guard name → whether the queue has answered: files of such that are not there */
  int             epoll_fd, inotify_fd, timer_fd, event_fd;
  GHashTable     *watches;           /* path → Watch */
  GHashTable     *by_wd;             /* inotify watch → Watch */
  GQueue          due;               /* Watches with views to call */
  gint64          timer_at;
  EkView         *calling;           /* whose callback runs now, on which thread */
  pthread_t       caller;
};

struct EkIndex {
  EkIndexes      *set;
  guint           refs;              /* set->lock */
  guint           touched;           /* set->lock: deliveries of this process that no stamp may show */
  char           *key;               /* in set->users */
  char           *user;
  char           *root;
  EkInstance     *format;
  const EkMailboxOps *ops;
  pthread_mutex_t table_lock;        /* the keyword tables in the files: inside lock, or without it */
  pthread_mutex_t lock;              /* held from enter to leave: all below */
  GList           link;              /* in set->lru, when open (set->lock) */
  gint64          used;              /* when it was last entered (set->lock) */
  bool            linked;
  Db             *db;
  GHashTable     *boxes;             /* id → Box */
  guint64         modseq, modseq_ceiling;
  guint64         modseq_floor;      /* no mailbox's is below: what was shown before an unclean end; 0: it was clean */
  guint32         uidvalidity;       /* the largest that was given */
  guint32         uidvalidity_stamp; /* the stamp file allows up to here */
  EkFetch        *active;            /* holds a statement */
  EkView         *acting;            /* whose change this is: it is not woken by it */
};

/* An operation of the format: fills in the EkCall, hands its error over. */
typedef struct { EkCall call; EkIndex *ix; } OpCall;
OpCall   op_call (EkIndex *ix, EkPool *pool);
EkStatus op_done (OpCall *op, EkStatus status, GError **error);
#define OP(ix_, pool_, error_, name_, ...) \
  ({ OpCall op_ = op_call ((ix_), (pool_)); \
     op_done (&op_, (ix_)->ops->name_ ((ix_)->format, &op_.call, __VA_ARGS__), (error_)); })

/* ---- open.c --------------------------------------------------------------------------------- */

EkStatus index_open (EkIndex *ix, GError **error);        /* with ix->lock; makes what is missing */
void     index_close (EkIndex *ix);                       /* with ix->lock, or when nobody has it */
/* Begins a transaction that may give n UIDs of `box` and one mod-sequence; durable when it must be. */
EkStatus index_begin (EkIndex *ix, Box *box, guint32 n_uids, GError **error);
EkStatus index_begin_cache (EkIndex *ix, GError **error); /* one that gives no number and may get lost */
EkStatus index_commit (EkIndex *ix, GError **error);      /* on failure as index_abort() */
void     index_abort (EkIndex *ix);                       /* rolls back and reads the mailboxes again */
guint64  index_modseq (EkIndex *ix);                      /* the next one; inside index_begin() */
/* A UIDVALIDITY larger than any this user had. */
EkStatus index_uidvalidity (EkIndex *ix, guint32 *value, GError **error);
EkStatus index_uidvalidity_taken (EkIndex *ix, guint32 value, GError **error);   /* ... imported this one */

/* ---- boxes.c -------------------------------------------------------------------------------- */

struct Box {
  EkIndex    *ix;
  guint32     id;
  char       *name, *disk;           /* name with LEVEL */
  char        guid[33];
  char       *special;
  bool        import;                /* UIDs of another server may be taken over at the first scan */
  guint32     uidvalidity;           /* 0: not scanned yet */
  guint32     uidnext, uid_ceiling;  /* the table's `uidnext` is the ceiling */
  guint32     recent;                /* from here on no session has seen it */
  guint64     modseq;
  guint32     messages, unseen, deleted, unsized;
  guint64     size;                  /* of those whose size is known */
  guint64     gone_floor, gone_modseq;   /* the expunge log reaches back to; its newest entry */
  EkStamp     stamp;
  guint       touched;               /* ix->touched at the last scan */
  bool        doubtful;              /* a row was kept whose file is not there: the queue may deliver it once more */
  GPtrArray  *keywords;              /* NULL: not loaded */
};

#define BOX_FIRST(box_) row_id ((box_)->id, 0)
#define BOX_LAST(box_)  row_id ((box_)->id, G_MAXUINT32)
#define BOX_FOLDER(box_) ((EkFolder) { (box_)->ix->root, (box_)->disk })

void     box_free (gpointer box);
EkStatus boxes_load (EkIndex *ix, GError **error);        /* all rows; refreshes those in memory */
/* Folders on disk against rows: new ones are added, lost ones dropped (after a second look). */
EkStatus boxes_refresh (EkIndex *ix, GError **error);
Box     *box_find (EkIndex *ix, const char *name);        /* in memory, by internal name */
/* The same for many names at once: name → Box, both borrowed, until boxes come or go. */
GHashTable *boxes_by_name (EkIndex *ix);
/* By internal name, looking on disk when it is not known; NOTFOUND. */
EkStatus box_lookup (EkIndex *ix, const char *name, Box **box, GError **error);
EkStatus box_by_id (EkIndex *ix, guint32 id, const char *guid, Box **box);
EkStatus box_add (EkIndex *ix, const char *name, const char *disk, const char *special, bool import,
                  Box **box, GError **error);             /* in a transaction of its own */
EkStatus box_save (Box *box, GError **error);             /* inside a transaction */
EkStatus box_drop (Box *box, GError **error);             /* all rows, then the Box is freed */
void     box_count (Box *box, guint32 flags, gint64 vsize, int by);    /* a message comes (1) or goes (-1) */
void     box_recount (Box *box, guint32 old_flags, guint32 flags);
EkStatus box_expunged (Box *box, GArray *uids, guint64 modseq, GError **error);   /* writes the log; sorted */

/* ---- names.c -------------------------------------------------------------------------------- */

/* The internal form of a name from outside; NULL with error (FAIL) when it can be none. */
char    *name_internal (char separator, const char *name, GError **error);
bool     name_possible (const char *internal, GError **error);         /* name_internal() could have made it */
char    *name_external (char separator, const char *internal);
gint     name_compare (gconstpointer a, gconstpointer b); /* INBOX first, parents before children */
bool     name_below (const char *name, const char *parent);

/* ---- keywords.c ----------------------------------------------------------------------------- */

EkStatus keywords_load (Box *box, GError **error);
/* The bits of `names`; new ones are registered (inside a transaction) when `add`. */
EkStatus keywords_bits (Box *box, const char *const *names, bool add, guint64 *bits, GError **error);
guint64  keywords_letters (Box *box, guint64 bits);       /* the part that file names hold */
EkStatus keywords_translate (Box *from, Box *to, guint64 bits, guint64 *out, GError **error);

/* ---- scan.c, rows.c ------------------------------------------------------------------------- */

EkStatus box_scan (Box *box, GError **error);             /* files against rows; NOTFOUND: the folder is gone */
EkStatus box_settle_fresh (Box *box, GError **error);     /* moves what is new out of new/ */
void     box_stamp (Box *box);                            /* after our own changes of files */
gint64   key_hash (EkStr key);                            /* 32 bits */
char    *place_pack (EkPool *pool, EkStr key, EkStr place, EkStr *packed);
EkStr    place_unpack (EkPool *pool, EkStr key, EkStr packed);
bool     place_fresh (EkIndex *ix, EkStr place);          /* lies in the first watched directory */
typedef struct {                     /* one row of msg, strings in the caller's pool */
  guint32 uid, flags;
  guint64 keywords, modseq;
  gint64  psize, vsize, date;
  EkStr   key, place;
} Msg;
EkStatus msg_get (Box *box, guint32 uid, EkPool *pool, Msg *msg, GError **error);
EkStatus msg_add (Box *box, const Msg *msg, GError **error);

/* ---- message.c ------------------------------------------------------------------------------ */

/* Counts a message's size when it is not known, and keeps it. */
EkStatus box_size_message (Box *box, guint32 uid, guint64 *size, GError **error);

/* ---- fill.c --------------------------------------------------------------------------------- */

typedef struct { EkStr envelope, structure, headers; gint64 vsize; } Filled;
/* Reads a message and makes what `items` asks for (EK_ROW_*), in `pool`. */
EkStatus fill_read (int fd, gint64 offset, gint64 length, guint items, EkPool *pool, Filled *filled, GError **error);

/* ---- writer.c ------------------------------------------------------------------------------- */

typedef struct {                     /* bytes on their way into a staged file */
  int     fd;
  bool    lf;
  guint64 psize, vsize;
  guint32 crc;                       /* of what is on disk */
  char    last;                      /* the byte before; CR may be held back */
  bool    held;
  EkBuf   out;
} Writer;
void writer_begin (Writer *w, const EkStaged *staged);
bool writer_put (Writer *w, const char *bytes, gsize n);  /* false: errno */
bool writer_end (Writer *w);                              /* frees the buffer */

/* ---- watch.c -------------------------------------------------------------------------------- */

bool watch_init (EkIndexes *set, GError **error);
void watch_finish (EkIndexes *set);
/* Something changed in the folder: wakes its views but `except`.  Any thread. */
void watch_touch (EkIndex *ix, const char *disk, EkView *except);
void watch_recheck (EkView *view);                        /* look again in two seconds */

/* ---- view.c --------------------------------------------------------------------------------- */

struct EkView {
  EkIndex  *ix;
  guint32   box;
  guint32   uidvalidity, uidnext;
  guint32   n, cap;
  guint32  *uids;
  guint64   modseq, gone_seen;       /* flags and expunges reported up to here */
  GArray   *recent;                  /* EkRange of UIDs, or NULL */
  guint64   own_modseq;              /* our last STORE: its rows were reported then */
  char      guid[33];
  bool      readonly;
  guint8    n_keywords;
  char     *name;
  Watch    *watch;                   /* set->lock: from here on */
  EkWatchFunc func;
  gpointer  data;
  bool      pending, called;         /* something changed since the last sync; and that was told */
};

/* uids.c: all of them, when it is opened; those from a UID on; one more. */
EkStatus view_load_uids (EkView *view, Box *box, GError **error);
EkStatus view_read_uids (EkView *view, Box *box, guint32 from, GError **error);
void     view_add_uid (EkView *view, guint32 uid);
EkStatus view_box (EkView *view, Box **box, GError **error);   /* NOTFOUND: it is gone */
void     fetch_pause (EkFetch *fetch);

/* ---- deliver.c ------------------------------------------------------------------------------ */

/* Waits until the delivery that made `key` is retired (at most five seconds, then DEFER). */
EkStatus delivery_wait (EkIndexes *set, EkStr key, GError **error);
EkStatus delivery_wait_name (EkIndexes *set, const char *guard, GError **error);     /* ... by the guard's name */
EkStatus delivery_wait_all (EkIndex *ix, GError **error); /* ... every one of this user */
bool     delivery_guard_of (EkStr key, char *into, gsize n);   /* the guard's name within a file's base name */
/* Logs that a message of the queue has its UID; false: `key` is no delivery's. */
bool     delivery_log_indexed (const Box *box, EkStr key, guint32 uid);

/* ---- unsure.c ------------------------------------------------------------------------------- */

/* Asks the queue about those that an earlier process delivered, all at once, and waits as delivery_wait(). */
EkStatus deliveries_wait (Box *box, const guint32 *uids, guint n, GError **error);
EkStatus deliveries_wait_all (EkIndex *ix, GError **error);    /* all mailboxes; and delivery_wait_all() */
/* No file is there for a row's key.  True: the queue may be about to deliver it once more, under the same name (the power went before
 * its file was synced), so the message is not gone; asks it, without waiting.  False: it is gone, or the queue has answered since. */
bool     delivery_may_come (EkIndex *ix, EkStr key, bool *asked);      /* *asked becomes true when the queue was asked just now */
/* Gives the queue a second to answer: mostly it knows at once. */
void     deliveries_await_answers (EkIndexes *set);

/* ---- folders.c ------------------------------------------------------------------------------ */

/* ek_index_create() with a limit of its own. */
EkStatus folder_create (EkIndex *ix, const char *name, const char *special, guint max, GError **error);

/* ---- subs.c --------------------------------------------------------------------------------- */

/* Internal names, sorted; g_ptr_array with g_free. */
EkStatus subs_read (EkIndex *ix, GPtrArray **names, GError **error);
EkStatus subs_set (EkIndex *ix, const char *name, bool on, GError **error);

/* What a new folder's survival depends on: itself, the root and the two above it; NULL-terminated. */
#define FOLDERS_TO_SYNC 4
void folder_parents (const EkFolder *folder, EkPool *pool, const char *into[FOLDERS_TO_SYNC + 1]);
EkStatus folder_sync (const EkFolder *folder, GError **error);         /* all of them, now */
bool file_replace (const char *path, EkStr bytes, GError **error);     /* atomically, synced */
