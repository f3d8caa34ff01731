/* mailbox.h - what a mailbox format (Maildir, mbox) answers: files in, files out, nothing else
 * SPDX-License-Identifier: Apache-2.0
 *
 * A format knows how folders and messages lie on disk.  It knows no UID, no mod-sequence, no
 * session and no cache: core/index has those once for all formats (index/box.h is what IMAP, POP3,
 * delivery and the command line call).
 *
 * Every operation is blocking, runs on a job thread, and may run on several threads at once, also
 * for one folder: a delivery does not wait for the owner's session.  So a format keeps no state in
 * memory.  But for locate(), `self` is a bytewise copy that may outlive the configuration: read
 * values from it (bool, numbers, what init() derived), no strings, lists or references.
 *
 * Other programs may change the files at any instant: what is not where it was is looked for once,
 * and then is EK_NOTFOUND, which is no error.  EK_DEFER: the disk failed, try again; EK_FAIL: it can
 * never work (a name that cannot be written, permission).  Beside DEFER and FAIL call->error is set.
 * Strings that an operation returns live in call->pool. */
#pragma once
#include <ekiden/ekiden.h>

G_BEGIN_DECLS

/* IMAP's system flags.  The low five are stored by formats; RECENT belongs to a session's view. */
enum {
  EK_FLAG_SEEN     = 1 << 0,
  EK_FLAG_ANSWERED = 1 << 1,
  EK_FLAG_FLAGGED  = 1 << 2,
  EK_FLAG_DELETED  = 1 << 3,
  EK_FLAG_DRAFT    = 1 << 4,
  EK_FLAGS_STORED  = 0x1f,
  EK_FLAG_RECENT   = 1 << 5,
};

/* One folder.  `disk` is its path below the root as list() or disk_name() gave it: otherwise opaque to
 * the core, unique in a root, "" for INBOX. */
typedef struct {
  const char *root;                  /* absolute path of the user's mail */
  const char *disk;
} EkFolder;

/* One message as the files show it, and what is known without opening it. */
typedef struct {
  EkStr   key;                       /* stable and unique in the folder: Maildir's base name */
  EkStr   place;                     /* where it lies now, opaque: "cur/BASE:2,S" */
  guint32 flags;                     /* EK_FLAGS_STORED */
  guint64 letters;                   /* keywords, bit n is row n of the folder's keyword table */
  gint64  psize;                     /* bytes on disk; -1: the name does not tell */
  gint64  vsize;                     /* bytes with CRLF line ends; -1: not known */
  gint64  arrived;                   /* wall clock us, orders what arrived; 0: the name does not tell */
} EkFound;

/* What a scan remembers so that the next one can be skipped.  Stored by the index, opaque bytes. */
typedef struct {
  gint64  word[6];
  guint32 scanned;                   /* bit n: all messages whose place lies in watch[n] were seen */
  bool    dirty;                     /* too young to be trusted: scan again in two seconds */
} EkStamp;

/* A message being written.  The core writes to fd and counts; then commit() or discard. */
typedef struct {
  int   fd;                          /* -1: none */
  char *tmp;                         /* a named temporary file, or NULL for an anonymous one; g_free */
  bool  lf;                          /* CRLF is to be stored as LF */
} EkStaged;

typedef struct {                     /* how a staged message becomes a message */
  EkStr   key;                       /* the wanted base name, without size hints; p NULL: make one */
  guint32 flags;
  guint64 letters;
  gint64  psize, vsize;              /* as written */
  gint64  date;                      /* INTERNALDATE in us; 0: now */
  EkStr   replace;                   /* the place of a damaged file of the same key, to be put out of
                                        the way in one step; p NULL: none */
  bool    recent;                    /* a delivery: lands where other programs look for new mail */
} EkCommit;

typedef bool (*EkFoundFunc) (const EkFound *found, gpointer data);        /* false stops */
typedef void (*EkFolderFunc) (const char *disk, EkStr name, bool selectable, gpointer data);
typedef void (*EkUidFunc) (EkStr key, guint32 uid, gpointer data);

struct EkMailboxOps {
  const char *const *watch;          /* paths below a folder whose change means new or other mail;
                                        NULL-terminated: { "new", "cur", NULL } */
  guint keywords_max;                /* rows that a folder's keyword table can hold in the files */

  /* The absolute path of a user's mail, from the user record and the instance's options.  FAIL for a
   * name that would leave its folder. */
  EkStatus (*locate) (EkInstance *self, EkCall *call, const EkUser *user, char **root);
  /* Calls func for each folder; `name` is UTF-8 with levels separated by '\n' ("INBOX" for the inbox). */
  EkStatus (*list) (EkInstance *self, EkCall *call, const char *root, EkFolderFunc func, gpointer data);
  /* What a folder of that name (form as above) is called on disk; touches no disk.  FAIL: impossible. */
  EkStatus (*disk_name) (EkInstance *self, EkCall *call, EkStr name, char **disk);
  /* OK: the folder is there; NOTFOUND.  Looks at it alone, however many there are. */
  EkStatus (*exists) (EkInstance *self, EkCall *call, const EkFolder *folder);
  /* OK also when it was there already (NOTFOUND from the others when it is not).  With everything above
   * it.  Does not sync. */
  EkStatus (*create) (EkInstance *self, EkCall *call, const EkFolder *folder);
  EkStatus (*remove) (EkInstance *self, EkCall *call, const EkFolder *folder);
  /* This folder alone, not its children.  FAIL with EEXIST when the target is there. */
  EkStatus (*rename) (EkInstance *self, EkCall *call, const EkFolder *folder, const char *to_disk);

  /* What the folder holds now.  *stamp is that of the last scan (zeroed: none) and is brought up to
   * date; stamp->scanned is 0 when nothing can have changed.  func sees every message of what was
   * scanned (perhaps twice; one that is renamed meanwhile perhaps not at all: the caller scans
   * again before it believes in a loss).  func NULL: the changes were our own, only renew the stamp.
   * NOTFOUND: the folder is gone. */
  EkStatus (*scan) (EkInstance *self, EkCall *call, const EkFolder *folder, EkStamp *stamp,
                    EkFoundFunc func, gpointer data);
  /* Opens for reading: *fd (NULL: only look), and *offset and *length of the message in it.  *place is tried first
   * (p NULL: not known), then the key is looked for (size hints that it lacks do not count), and *place is
   * where it was found.  *mtime (us;
   * NULL allowed) is the message's date. */
  EkStatus (*open) (EkInstance *self, EkCall *call, const EkFolder *folder, EkStr key, EkStr *place,
                    int *fd, gint64 *offset, gint64 *length, gint64 *mtime);

  EkStatus (*stage) (EkInstance *self, EkCall *call, const EkFolder *folder, EkStaged *staged);
  /* Does not sync: the caller syncs staged->fd before or after, then the folder (settle).
   * staged->fd stays open for that.  FAIL with EEXIST when the key is there.  how NULL: discards.
   * Either way the caller closes staged->fd and the name of a temporary file is gone. */
  EkStatus (*commit) (EkInstance *self, EkCall *call, const EkFolder *folder, EkStaged *staged,
                      const EkCommit *how, EkFound *made);
  /* New flags; *place is updated. */
  EkStatus (*flags) (EkInstance *self, EkCall *call, const EkFolder *folder, EkStr key, EkStr *place,
                     guint32 flags, guint64 letters);
  /* The same bytes under a new key in `to` (of the same root); `move`: and no longer in `folder`.  made
   * comes in with the sizes, for the name. */
  EkStatus (*copy) (EkInstance *self, EkCall *call, const EkFolder *folder, EkStr key, EkStr place,
                    const EkFolder *to, guint32 flags, guint64 letters, bool move, EkFound *made);
  EkStatus (*expunge) (EkInstance *self, EkCall *call, const EkFolder *folder, EkStr key, EkStr place);
  /* The path whose fsync makes what was done at `place` survive power loss. */
  EkStatus (*settle) (EkInstance *self, EkCall *call, const EkFolder *folder, EkStr place, char **path);

  /* The keyword table of a folder: names[n] belongs to bit n, NULL for a hole.  write: replaces it. */
  EkStatus (*keywords) (EkInstance *self, EkCall *call, const EkFolder *folder, GPtrArray *names, bool write);
  /* UIDs that another server gave (Dovecot's or Courier's files); NOTFOUND when there are none.
   * NULL: the format knows none. */
  EkStatus (*import) (EkInstance *self, EkCall *call, const EkFolder *folder, guint32 *uidvalidity,
                      guint32 *uidnext, EkUidFunc func, gpointer data);
};

G_END_DECLS
