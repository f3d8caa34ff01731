/* imap.h - the IMAP server's own parts: options, sessions, commands
 * SPDX-License-Identifier: Apache-2.0
 *
 * The story of one command after login.  session.c cuts it from the input (reader.c), finds its row
 * in command.c and has the row's parse() read the arguments, on the loop thread.  Then no more input
 * is taken, and a job calls step() until it says that nothing is left, the output window is full or
 * 10 ms have passed; between such turns the command holds neither thread nor index.  When step() is
 * done the view is brought up to date (sync.c), the tagged line is written, and the next command
 * begins: so pipelined commands are answered in order and no answer depends on another's timing.
 *
 * Threads.  Fields of ImapSession belong to the loop thread, but while a command runs those marked
 * "job" belong to the job thread.
 */
#pragma once
#include "parse.h"
#include "base/base.h"
#include "flow/login.h"
#include "loop/job.h"
#include "mail/imapfmt.h"

#define IMAP_WINDOW  65536           /* output bytes of one turn */
#define IMAP_TURN_US 10000           /* and its length */
#define IMAP_TAG_MAX 255             /* bytes of a client's tag */

typedef struct {                     /* listener options: rows in imap.c */
  EkTime  idle_timeout;
  EkTime  idle_keepalive;
  EkTime  login_timeout;
  EkSize  command_max;
  EkSize  append_max;
  gint64  login_failures_max;
  gint64  bad_commands_max;
} ImapOptions;

extern const EkOption imap_options[];

typedef struct ImapSession  ImapSession;
typedef struct ImapCommand  ImapCommand;

/* ---- commands ------------------------------------------------------------------------------- */

enum {                               /* ImapCommandOps.flags */
  IMAP_SELECTED   = 1,               /* BAD without a selected mailbox */
  IMAP_UID        = 2,               /* exists as "UID name" too */
  IMAP_UID_ONLY   = 4,               /* exists only as "UID name" */
  IMAP_NO_EXPUNGE = 8,               /* RFC 3501 7.4.1: without UID no EXPUNGE may be sent during it */
  IMAP_NO_SYNC    = 16,              /* the view is not brought up to date behind it */
  IMAP_LATER      = 64,              /* the tagged line comes with what ends it: IDLE */
  IMAP_ON_LOOP    = 32,              /* touches no mailbox: step() runs on the loop thread, once */
};

typedef struct {
  const char *name;
  guint       flags;
  gsize       args_size;             /* of ImapCommand.args, zeroed */
  /* Loop thread.  False: BAD with scan->error.  NULL: there are no arguments.  Strings of the scan live as long
   * as the command. */
  bool (*parse) (ImapCommand *command, ImapScan *scan);
  /* Job thread, the index is entered.  Appends to `out`; true: call again.  The last call sets the reply.
   * Returns early when imap_turn_over(). */
  bool (*step) (ImapCommand *command, EkBuf *out);
  void (*park) (ImapCommand *command);         /* job thread: a turn ends, let go of the index.  NULL: nothing to do */
  void (*clear) (ImapCommand *command);        /* either thread: frees what args hold.  NULL: nothing to do */
} ImapCommandOps;

struct ImapCommand {
  const ImapCommandOps *ops;
  ImapSession *session;
  EkPool      *pool;
  EkStr        tag;                  /* n is 0: none, and no tagged line */
  bool         uid;
  gpointer     args;
  /* what answers it: see imap_ok() */
  const char  *status;
  const char  *text;
  /* APPEND alone: step() returned true because it needs the client's bytes */
  bool         wants_input;          /* for the loop to read only while nothing runs */
  bool         ask;                  /* and the client waits for a continuation */
  /* the machinery's own */
  EkJob        job;
  EkBuf        out;
  gint64       started, turn_end;
  bool         stepped, synced, finished, running, ran;
  GArray      *changes;              /* of EkChange, on their way to the client */
  guint        n_told;
};

/* They set the command's answer and return false, so that step() can end with `return imap_ok (...)`.  `text` may begin
 * with a response code.  imap_fail turns what box.h returned into NO and eats the error; `what` is for
 * the log. */
bool imap_ok (ImapCommand *command, const char *fmt, ...) G_GNUC_PRINTF (2, 3);
bool imap_no (ImapCommand *command, const char *fmt, ...) G_GNUC_PRINTF (2, 3);
bool imap_bad (ImapCommand *command, const char *fmt, ...) G_GNUC_PRINTF (2, 3);
bool imap_fail (ImapCommand *command, EkStatus status, GError *error, const char *what);

/* The window is full or the time is up: step() should return true soon. */
bool imap_turn_over (const ImapCommand *command, const EkBuf *out);

/* One row of commands[]: NULL when there is no such command. */
const ImapCommandOps *imap_command_find (EkStr name, bool uid);
/* Runs one turn of it; true when it is finished, tagged line included.  Any thread. */
bool imap_command_turn (ImapCommand *command, EkBuf *out);
/* Takes the pool, in which the command and what its scan pointed to live. */
ImapCommand *imap_command_new (ImapSession *session, EkPool *pool, const ImapCommandOps *ops, EkStr tag, bool uid);
void imap_command_free (ImapCommand *command);

#define IMAP_COMMANDS(X_)                                                                              \
  X_ (append) X_ (capability) X_ (check) X_ (close) X_ (copy) X_ (create) X_ (delete) X_ (enable)       \
  X_ (examine) X_ (expunge) X_ (uid_expunge) X_ (fetch) X_ (id) X_ (idle) X_ (list) X_ (logout)         \
  X_ (lsub) X_ (move) X_ (namespace) X_ (noop) X_ (rename) X_ (search) X_ (select) X_ (status)          \
  X_ (store) X_ (subscribe) X_ (unselect) X_ (unsubscribe)
#define IMAP_DECLARE(name_) extern const ImapCommandOps imap_##name_;
IMAP_COMMANDS (IMAP_DECLARE)
#undef IMAP_DECLARE
extern const ImapCommandOps imap_idle_sync, imap_idle_done;      /* no client can name them */

/* ---- sessions after login ------------------------------------------------------------------- */

struct ImapSession {
  EkSession         *net;
  EkIndex           *ix;
  EkView            *view;           /* job; NULL: none is selected */
  guint64            keywords;       /* job: those of the view that the client was told */
  guint32            recent;         /* job: the count that it was told */
  ImapCommand       *command;        /* under way; NULL: idle */
  char              *idle_tag;       /* IDLE is under way */
  char               separator;
  guint8             bad_commands;
  bool               condstore;      /* job: RFC 7162, enabled */
  bool               mailbox_gone;   /* job: the selected mailbox was deleted under us: say goodbye */
  bool               logout;         /* close when what was written has gone */
  bool               changed;        /* the watch called while a command was running */
  bool               parked;         /* the command waits for the client to read */
  bool               gone;           /* the connection is closed */
  bool               broken;         /* job: a literal could not be kept: close without a word */
  guint64            bytes_in, bytes_out;
  ImapReader         reader;
};

/* What after_login's callbacks call (imap.c), and the harness.  Zeroed before open. */
void  imap_session_open (ImapSession *self, EkSession *net, EkIndex *ix);
gsize imap_session_input (ImapSession *self, const char *bytes, gsize len);
void  imap_session_drained (ImapSession *self);
void  imap_session_timeout (ImapSession *self);
void  imap_session_shutdown (ImapSession *self);
void  imap_session_closed (ImapSession *self, EkCloseReason why);
/* The EkWatchFunc of an idle session. */
void  imap_session_changed (EkView *view, gpointer self);

/* The client's bytes while APPEND wants input: takes some of them, and clears wants_input when a turn
 * shall come first.  line_end: what stood between the message and the end of the line. */
gsize imap_append_input (ImapCommand *command, const char *bytes, gsize len);
void  imap_append_line_end (ImapCommand *command, EkStr rest);

/* ---- text that several commands need ---------------------------------------------------------- */

#define IMAP_CAPABILITIES_LOGIN "IMAP4rev1 SASL-IR ID ENABLE IDLE LITERAL+"
#define IMAP_CAPABILITIES "IMAP4rev1 SASL-IR ID ENABLE IDLE LITERAL+ NAMESPACE UIDPLUS UNSELECT CHILDREN MOVE " \
                          "CONDSTORE SPECIAL-USE LIST-EXTENDED LIST-STATUS ESEARCH"
#define IMAP_BAD_LIMIT_TEXT "* BYE Too many invalid IMAP commands.\r\n"

void imap_print_id (EkBuf *out);
bool imap_scan_id (ImapScan *scan);                       /* the client's ID list; its content is not kept */

/* What ek_buf_printf() is too slow for when 10,000 rows are wanted. */
void imap_put (EkBuf *out, const char *text);
void imap_put_number (EkBuf *out, guint64 number);
void imap_put_date (EkBuf *out, gint64 seconds);          /* "02-Feb-2024 10:00:00 +0000", quoted */

/* "\Answered ... keyword" of a row, without parentheses. */
void imap_print_flags (EkBuf *out, guint32 flags, guint64 keywords, EkView *view);
/* The untagged FLAGS and OK [PERMANENTFLAGS] of the selected mailbox. */
void imap_print_mailbox_flags (EkBuf *out, ImapSession *session);
/* A mailbox name on the wire. */
void imap_print_mailbox (EkBuf *out, const char *name);

/* "(MESSAGES UNSEEN)" to bits, and the untagged STATUS with them. */
bool imap_scan_status_items (ImapScan *scan, guint *bits);
EkStatus imap_print_status (ImapSession *session, const char *mailbox, guint bits, EkBuf *out, GError **error);

/* ---- untagged changes (sync.c) ---------------------------------------------------------------- */

/* Appends what `changes` says from `*told` on, until the window is full; true when all is told. */
bool imap_tell_changes (ImapSession *session, const GArray *changes, guint *told, bool uid, EkBuf *out);
/* An EkChangeFunc; data is the GArray. */
void imap_collect_change (const EkChange *change, gpointer changes);
/* CONDSTORE is on from now (RFC 7162 section 3.1); tells so about the mailbox that is selected. */
void imap_condstore (ImapSession *session, EkBuf *out);

/* ---- sets of messages -------------------------------------------------------------------------- */

/* Turns a set as typed into ranges of UIDs of the view, in the pool; they may hold UIDs that are not
 * there.  False: a sequence number that the mailbox does not have, which is BAD. */
bool imap_set_uids (ImapCommand *command, ImapSet *set, EkRange **uids, guint *n);
/* How many messages of the view are in the ranges. */
guint imap_uids_count (EkView *view, const EkRange *uids, guint n);
