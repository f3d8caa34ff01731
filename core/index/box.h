/* box.h - users' mailboxes: what IMAP, POP3, delivery and the command line call
 * SPDX-License-Identifier: Apache-2.0
 *
 * The story of one session.  At login the protocol makes an EkIndex for the user (no disk is
 * touched).  Each command is a job:
 *
 *     ek_index_enter (ix, &error)                 opens the user's index if the LRU had closed it
 *     ek_view_open (ix, "INBOX", EK_VIEW_RW, &view, &error)            SELECT
 *     ek_view_sync (view, func, data, &error)     what other sessions and programs did
 *     ek_fetch_new / next / pause / free          rows, streamed in windows
 *     ek_index_leave (ix)                         the LRU may close it again
 *
 * Between jobs a session keeps only its EkView: 4 bytes a message and some 200 more.
 *
 * Threads.  Everything that takes an EkIndex, EkView, EkFetch, EkAppend or EkMessage is called by one
 * job at a time for each user (the store's jobs of one user queue up) on any thread.  Exceptions are
 * marked "any thread".  ek_indexes_dispatch() runs on the loop thread and calls the watch callbacks.
 *
 * Failure.  EK_NOTFOUND: no such mailbox or message (it may be gone since).  EK_DEFER: the disk or
 * another program is in the way.  EK_FAIL: never (a bad name, a limit, it exists already); the code of
 * the GError then says which: EEXIST, EINVAL, ENOSPC (limit), EPERM, ENOTEMPTY.
 *
 * Names of mailboxes are UTF-8, levels separated by the set's separator; "INBOX" in any case is the
 * inbox.  ek_mutf7_* translate for IMAP4rev1's wire. */
#pragma once
#include "index/mailbox.h"

G_BEGIN_DECLS

typedef struct EkIndexes EkIndexes;  /* one worker's open indexes */
typedef struct EkIndex   EkIndex;    /* one user's mailboxes */
typedef struct EkView    EkView;     /* one session's picture of one mailbox */

/* ---- the set ------------------------------------------------------------------------------- */

typedef struct {                     /* `special "Sent" { use = ... }` */
  const char *name;
  const char *use;                   /* "\\Sent" */
  bool        create, subscribe;     /* make it when the user's index is first made */
} EkSpecial;

typedef struct {
  guint       open_max;              /* LRU of open index files; 0: 64 */
  char        separator;             /* hierarchy separator of names; 0: '.' */
  bool        linger;                /* files stay open (within the LRU) after the last unref: only where
                                        no other worker can get the user meanwhile */
  const char *folder;                /* of the index files, with one folder a user below; NULL: in the
                                        user's mail root */
  guint       mailboxes_max;         /* of a user: more are not created (those that are there stay); 0: any number */
  const EkSpecial *specials;         /* n_specials rows; made even beyond mailboxes_max */
  guint       n_specials;
} EkIndexConfig;

/* `config` and what it points to is copied.  Any thread. */
EkIndexes *ek_indexes_new (const EkIndexConfig *config, GError **error);
void       ek_indexes_free (EkIndexes *set);              /* every EkIndex must be gone; closes cleanly */
char       ek_indexes_separator (const EkIndexes *set);
/* Closes the files that nobody has used since `before` (monotonic); sessions go on, and open them again when
 * they need them.  An open index costs some 200 KB, an idle session two.  Blocks; returns how many. */
guint      ek_indexes_rest (EkIndexes *set, gint64 before);
/* One descriptor for the loop: when it is readable call ek_indexes_dispatch(). */
int        ek_indexes_fd (const EkIndexes *set);
void       ek_indexes_dispatch (EkIndexes *set);

/* ---- one user ------------------------------------------------------------------------------ */

/* No disk is touched; `user` and all its strings are copied.  Two calls for one user give the same
 * object, with a reference each.  FAIL for a user name that cannot be a path.  Any thread. */
EkStatus ek_index_new (EkIndexes *set, EkInstance *format, const EkUser *user, EkIndex **ix, GError **error);
EkIndex *ek_index_ref (EkIndex *ix);
void     ek_index_unref (EkIndex *ix);                    /* any thread; the last one closes (no sync) */
/* Makes the index usable by the calling job.  DEFER when another process holds it. */
EkStatus ek_index_enter (EkIndex *ix, GError **error);
void     ek_index_leave (EkIndex *ix);
const char *ek_index_root (const EkIndex *ix);            /* the user's mail root */
char        ek_index_separator (const EkIndex *ix);       /* its set's */

/* ---- mailboxes ----------------------------------------------------------------------------- */

enum {                               /* what is in EkMailbox.flags */
  EK_BOX_SELECTABLE   = 1 << 0,
  EK_BOX_SUBSCRIBED   = 1 << 1,
  EK_BOX_CHILDREN     = 1 << 2,      /* has children that exist */
  EK_BOX_SUB_BELOW    = 1 << 3,      /* a subscribed name lies below */
  EK_BOX_EXISTS       = 1 << 4,      /* not set: a subscription to something gone, or only a parent */
};

typedef struct {
  const char *name;                  /* UTF-8 */
  const char *special;               /* "\\Sent" or NULL */
  guint       flags;
} EkMailbox;

/* Every mailbox, every subscription, every parent of either, in an order that puts parents before
 * children and INBOX first.  The core's LIST patterns and selection options are IMAP's matter. */
typedef void (*EkMailboxFunc) (const EkMailbox *mailbox, gpointer data);
EkStatus ek_index_list (EkIndex *ix, EkMailboxFunc func, gpointer data, GError **error);

typedef struct {
  guint32 messages, recent, unseen, deleted;
  guint32 uidnext, uidvalidity;
  guint64 highestmodseq;             /* at least 1 */
  guint64 size;                      /* sum of RFC822.SIZE; only when asked for with EK_STATUS_SIZE */
  char    id[40];                    /* stable mailbox id (RFC 8474): survives RENAME */
} EkStatusCounts;

enum { EK_STATUS_SIZE = 1 };
/* Looks for changes by others first.  NOTFOUND: no such mailbox. */
EkStatus ek_index_status (EkIndex *ix, const char *name, guint what, EkStatusCounts *counts, GError **error);

/* Parents need not exist.  FAIL: EEXIST; ENOSPC beyond mailboxes_max. */
EkStatus ek_index_create (EkIndex *ix, const char *name, const char *special, GError **error);
EkStatus ek_index_delete (EkIndex *ix, const char *name, GError **error);   /* not the children; INBOX: FAIL EPERM */
/* With children.  INBOX: its messages move to the new name, its children stay (RFC 3501 6.3.5). */
EkStatus ek_index_rename (EkIndex *ix, const char *from, const char *to, GError **error);
EkStatus ek_index_subscribe (EkIndex *ix, const char *name, bool on, GError **error);   /* need not exist */

/* ---- views ---------------------------------------------------------------------------------- */

typedef struct { guint32 first, last; } EkRange;          /* UIDs or sequence numbers, both ends included */

typedef enum { EK_VIEW_RO, EK_VIEW_RW } EkViewMode;       /* EXAMINE, SELECT (takes \Recent) */

/* Scans for changes, then takes the picture. */
EkStatus ek_view_open (EkIndex *ix, const char *name, EkViewMode mode, EkView **view, GError **error);
void     ek_view_free (EkView *view);                     /* no disk; NULL is fine; any thread */

guint32        ek_view_count (const EkView *view);
guint32        ek_view_uid (const EkView *view, guint32 seq);        /* 1-based; 0: no such */
guint32        ek_view_seq (const EkView *view, guint32 uid);        /* 0: not in the view */
guint32        ek_view_seq_from (const EkView *view, guint32 uid);   /* first seq with a UID >= uid; count+1: none */
guint32        ek_view_uidvalidity (const EkView *view);
guint32        ek_view_uidnext (const EkView *view);
guint64        ek_view_modseq (const EkView *view);       /* HIGHESTMODSEQ as of the last sync */
guint32        ek_view_recent (const EkView *view);       /* how many are \Recent here */
bool           ek_view_is_recent (const EkView *view, guint32 uid);
bool           ek_view_readonly (const EkView *view);
const char    *ek_view_name (const EkView *view);         /* as selected */
const char    *ek_view_id (const EkView *view);           /* stable mailbox id */
/* Sequence number of the first unseen message, 0 for none (SELECT's OK [UNSEEN n]). */
EkStatus       ek_view_first_unseen (EkView *view, guint32 *seq, GError **error);

/* Keywords have numbers 0..63 in each mailbox, as bits of EkRow.keywords; numbers are never reused.
 * The names are borrowed until the next sync, or ek_index_leave(). */
guint          ek_view_keywords (EkView *view, const char *const **names);   /* NULL for a hole */

typedef enum { EK_CHANGE_EXPUNGE, EK_CHANGE_FLAGS, EK_CHANGE_EXISTS, EK_CHANGE_KEYWORDS } EkChangeKind;
typedef struct {
  EkChangeKind kind;
  guint32 seq, uid;                  /* EXPUNGE: seq at that moment (expunges come first, highest first);
                                        EXISTS: seq is the new count, comes once, last */
  guint32 flags;                     /* FLAGS: with RECENT */
  guint64 keywords, modseq;
  bool    same;                      /* from ek_view_store(): the flags were so before */
} EkChange;
typedef void (*EkChangeFunc) (const EkChange *change, gpointer data);

enum {
  EK_SYNC_NO_EXPUNGE = 1,            /* during FETCH, STORE, SEARCH: keep what is gone in the view */
  EK_SYNC_CACHED     = 2,            /* do not look at the files */
};
/* Brings the view up to date and says what changed.  NOTFOUND: the mailbox itself is gone. */
EkStatus ek_view_sync (EkView *view, guint how, EkChangeFunc func, gpointer data, GError **error);

/* Calls func (on the loop thread, from ek_indexes_dispatch) after something may have changed; once,
 * until the next ek_view_sync().  func NULL: no more.  A call may turn out to be about nothing. */
typedef void (*EkWatchFunc) (EkView *view, gpointer data);
EkStatus ek_view_watch (EkView *view, EkWatchFunc func, gpointer data, GError **error);

/* What is gone since a mod-sequence, as UID ranges, for QRESYNC; *all false: the log does not reach
 * back so far, and the answer is every UID below uidnext that is not there. */
EkStatus ek_view_vanished (EkView *view, guint64 since, GArray *ranges, bool *all, GError **error);

/* ---- rows ----------------------------------------------------------------------------------- */

enum {                               /* what a fetch shall fill */
  EK_ROW_FLAGS     = 1 << 0,         /* flags, keywords, modseq: always filled */
  EK_ROW_DATE      = 1 << 1,
  EK_ROW_SIZE      = 1 << 2,
  EK_ROW_ENVELOPE  = 1 << 3,
  EK_ROW_STRUCTURE = 1 << 4,
  EK_ROW_HEADERS   = 1 << 5,
  EK_ROW_KEY       = 1 << 6,
};

typedef struct {
  guint32 seq, uid;
  guint32 flags;                     /* with RECENT */
  guint64 keywords, modseq;
  gint64  date;                      /* INTERNALDATE, seconds since 1970, UTC */
  guint64 size;                      /* RFC822.SIZE */
  EkStr   envelope;                  /* IMAP wire text of ENVELOPE, "(...)" */
  EkStr   structure;                 /* what ek_mime_save() made: ek_mime_load() gives the tree for
                                        BODY, BODYSTRUCTURE and the offsets of sections */
  EkStr   headers;                   /* raw lines of the fields of ek_cached_fields(), CRLF, in order */
  EkStr   key;                       /* stable text for POP3's UIDL */
} EkRow;

typedef struct EkFetch EkFetch;

/* `ranges` are UIDs, ascending and disjoint (copied); rows come in UID order, only those in the view.
 * What is not cached is read from the messages and kept.  since: only rows with a larger mod-sequence. */
/* The view must outlive it. */
EkFetch *ek_fetch_new (EkView *view, const EkRange *ranges, guint n_ranges, guint items, guint64 since);
/* The strings of `row` are borrowed until the next call.  NOTFOUND: no more. */
EkStatus ek_fetch_next (EkFetch *fetch, EkRow *row, GError **error);
/* The window is full: gives up every hold on the index.  ek_fetch_next() goes on later. */
void     ek_fetch_pause (EkFetch *fetch);
guint32  ek_fetch_missing (const EkFetch *fetch);         /* messages of the view that are gone, or ... */
bool     ek_view_doubtful (EkView *view);                 /* ... some of it cannot be read yet: they are about to be delivered once more */
void     ek_fetch_free (EkFetch *fetch);

/* Names of the header fields kept in EkRow.headers, lower case, NULL-terminated. */
const char *const *ek_cached_fields (void);

/* ---- bytes ---------------------------------------------------------------------------------- */

typedef struct EkMessage EkMessage;

/* NOTFOUND: gone since.  The message stays readable when it is expunged. */
EkStatus ek_message_open (EkView *view, guint32 uid, EkMessage **message, GError **error);
void     ek_message_close (EkMessage *message);           /* any thread; NULL is fine */
guint64  ek_message_size (EkMessage *message);            /* with CRLF; counts once when it is not known */
/* Up to n bytes from a virtual position (CRLF line ends); reading on from where the last call ended
 * is cheap.  Gives ek_message_size() bytes in all, whatever happens to the file meanwhile (blanks, and a
 * warning in the log).  0 at the end, -1 with error.  May run in a job without ek_index_enter(). */
gssize   ek_message_read (EkMessage *message, guint64 offset, char *into, gsize n, GError **error);
/* The file as it lies on disk when it needs no translation, for sendfile(): false otherwise. */
bool     ek_message_raw (EkMessage *message, int *fd, guint64 *offset, guint64 *length);

/* ---- changes -------------------------------------------------------------------------------- */

typedef enum { EK_STORE_ADD, EK_STORE_REMOVE, EK_STORE_REPLACE } EkStoreOp;

typedef struct {
  EkStoreOp   op;
  guint32     flags;                 /* EK_FLAGS_STORED */
  const char *const *keywords;       /* NULL-terminated; NULL: none.  New ones are registered (not for REMOVE) */
  guint64     unchanged_since;       /* G_MAXUINT64: unconditional */
} EkStore;

/* One mod-sequence for all.  Every row is reported to func (NULL allowed) as EK_CHANGE_FLAGS, after one
 * EK_CHANGE_KEYWORDS when there are new ones; this
 * view's next sync does not report them again.  `modified` (EkRange of UIDs, NULL allowed) gets
 * those that UNCHANGEDSINCE refused.  FAIL with ENOSPC: more than 64 keywords. */
EkStatus ek_view_store (EkView *view, const EkRange *uids, guint n, const EkStore *store,
                        EkChangeFunc func, gpointer data, GArray *modified, GError **error);

/* Removes those that are \Deleted (all: whether or not) among `uids` (NULL: all of the view).  The next
 * sync reports them. */
EkStatus ek_view_expunge (EkView *view, const EkRange *uids, guint n, bool all, GError **error);

/* Into mailbox `to` of the same user.  *from and *made get UIDs pairwise, as COPYUID wants them (guint32
 * each).  Synced before it returns.  NOTFOUND: `to` does not exist (TRYCREATE).  A copy is all or nothing;
 * when a move fails, *from tells what was moved before.  Messages that are gone are left out. */
EkStatus ek_view_copy (EkView *view, const EkRange *uids, guint n, const char *to, bool move,
                       guint32 *uidvalidity, GArray *from, GArray *made, GError **error);

typedef struct EkAppend EkAppend;
/* NOTFOUND: no such mailbox (TRYCREATE).  date in seconds, 0: now.  Between the calls the index need
 * not be entered. */
EkStatus ek_append_new (EkIndex *ix, const char *name, gint64 date, guint32 flags,
                        const char *const *keywords, EkAppend **append, GError **error);
EkStatus ek_append_write (EkAppend *append, const void *bytes, gsize n, GError **error);
/* Syncs file and folder, gives the UID.  Frees `append` whatever happens. */
EkStatus ek_append_finish (EkAppend *append, guint32 *uidvalidity, guint32 *uid, GError **error);
void     ek_append_free (EkAppend *append);               /* gives up; NULL is fine; any thread */

/* ---- names ---------------------------------------------------------------------------------- */

/* IMAP's modified UTF-7 (RFC 3501 5.1.3).  NULL: not well-formed (or not UTF-8).  Any thread. */
char *ek_mutf7_encode (EkStr utf8);
char *ek_mutf7_decode (EkStr mutf7);

G_END_DECLS
