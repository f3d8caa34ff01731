/* smtp.h - the SMTP server's own: settings, a session, a transaction, and what its files share
 * SPDX-License-Identifier: Apache-2.0
 *
 * The story of a session.  session.c cuts the input into lines and gives each to the command of its
 * name (one file a command, table in command.c).  MAIL makes a transaction; RCPT asks directory, several at
 * once, and answers in order; DATA and BDAT let body.c carry the content to queue while header.c looks at
 * its header; message.c commits it and answers.  Whatever waits (a check, a filter, a commit, a login)
 * makes the session wait, so input comes strictly in turn.
 *
 * Everything runs on the loop thread.  Work under way holds a reference to the session; closed() marks
 * the state as gone, and whatever comes back later sees that and only cleans up.
 */
#pragma once
#include "base/base.h"
#include "flow/edge.h"
#include "flow/filter.h"
#include "flow/login.h"
#include "flow/submit.h"
#include "loop/loop.h"
#include "mail/address.h"
#include "mail/header.h"

#define SMTP_AUTH_LINE_MAX  12288    /* RFC 4954 section 4 */
#define SMTP_CHECKS_MAX     64       /* recipients that directory is asked about at once */
#define SMTP_SWALLOW_MAX    (64 << 20)  /* of refused content that is read only to be polite */
#define SMTP_OVERSHOOT      1000     /* recipients over the limit that are refused without counting as errors */

typedef struct {                     /* settings of a listener */
  const char *banner;
  const char *tls;                   /* the listener's own setting: we refuse what comes before STARTTLS */
  bool        submission, broken_auth_clients, sender_login_match, vrfy, etrn, helo_required;
  bool        show_login;
  const char *add_missing_headers, *bare_newlines, *pipelining;
  EkTime      greeting_delay, idle_timeout, error_delay;
  EkSize      message_size_limit, header_size_limit;
  gint64      headers_max, command_length_max, recipients_max, hops_max;
  gint64      soft_error_limit, hard_error_limit, junk_command_limit, data_rate_min;
  EkInstance **filters;
} SmtpOptions;

extern const EkOption smtp_server_options[];

typedef enum {
  SMTP_WAIT_GREETING,                /* whoever speaks now did not wait */
  SMTP_COMMAND,
  SMTP_AUTH,                         /* a line answers a challenge */
  SMTP_DATA,
  SMTP_BDAT,
  SMTP_LEAVING,                      /* goodbye was said */
} SmtpPhase;

typedef enum {                       /* in the order in which `disconnect` counts them */
  SMTP_HELO, SMTP_EHLO, SMTP_STARTTLS, SMTP_AUTHENTICATE, SMTP_MAIL, SMTP_RCPT, SMTP_DATA_CMD, SMTP_BDAT_CMD,
  SMTP_RSET, SMTP_NOOP, SMTP_VRFY, SMTP_EXPN, SMTP_ETRN, SMTP_HELP, SMTP_QUIT, SMTP_UNKNOWN, SMTP_N_COMMANDS
} SmtpCommandId;

typedef struct Smtp Smtp;

typedef struct {                     /* one recipient that is being checked */
  Smtp   *smtp;
  EkRcpt  rcpt;
  bool    answered, good;
  bool    quiet;                     /* a matter of form, not of policy: the log need not know */
  int     code;                      /* the reply, when answered */
  char    dsn[12];
  char   *text;                      /* in the transaction's pool */
  guint   n_targets;                 /* who gets it in its place; 0: itself */
  const char **targets;
} SmtpCheck;

typedef struct {                     /* where body.c is in the content */
  guint8  line;                      /* SMTP_AT_... */
  bool    dots;                      /* DATA: dots are stuffed, and one ends it */
  bool    cr_held;                   /* BDAT: a chunk ended between CR and LF */
} SmtpBody;

typedef struct {                     /* one mail transaction, in the session's transaction pool */
  EkStr     sender, envid;
  guint32   flags;                   /* EK_MSG_... */
  guint64   declared;                /* SIZE= */
  GArray   *rcpts;                   /* of EkRcpt */
  GHashTable *named;                 /* their addresses */
  EkSubmit *submit;
  SmtpBody  body;
  guint64   size;
  EkHeaderSplit split;
  guint     received, fields;
  bool      has_date, has_from, has_message_id;
  EkStr     message_id;
  guint     taken;                   /* recipients accepted, also those named twice */
  bool      bdat, bdat_failed, bdat_last, refused, discard, hold;
  guint64   chunk, chunk_left;
  EkReply   refusal;                 /* the answer at the end, when refused */
} SmtpTx;

struct Smtp {
  EkSession *session;
  const SmtpOptions *options;        /* of this turn: a reload may change them between commands */
  guint8     phase;                  /* SmtpPhase */
  guint8     command;                /* SmtpCommandId under way */
  bool       greeted, esmtp, gone, overlong, leaving, finished, stalled, delayed, authing;
  char      *helo, *mechanism;
  EkBuf      out;                    /* replies that wait for an older one */
  EkPool    *pool;                   /* the transaction's */
  SmtpTx    *tx;                     /* NULL between transactions */
  GQueue     checks;                 /* of SmtpCheck, oldest first */
  guint      errors, junk, overshoot;
  guint32    good[SMTP_N_COMMANDS], bad[SMTP_N_COMMANDS];
  guint      busy;                   /* callbacks that will still come */
  gint64     since;                  /* when the line or message under way began */
  guint64    bytes;                  /* of it, so far */
  EkTimer    timer;                  /* the pause after errors */
  EkFilters  filters;
  EkMail     mail;                   /* what filters see */
  void     (*after_filter) (Smtp *self, EkVerdict verdict, const EkReply *reply);
  SmtpCheck *filtered;               /* RCPT: the one the filter looks at */
};

typedef struct {
  const char *name;
  void      (*run) (Smtp *self, EkStr arg);
  guint       flags;
} SmtpCommand;

enum {
  SMTP_LAST  = 1,                    /* RFC 2920: nothing may be sent behind it before its answer */
  SMTP_PLAIN = 2,                    /* works before TLS where TLS is required, and before AUTH */
  SMTP_JUNK  = 4,                    /* counts as junk */
  SMTP_MANY  = 8,                    /* RCPT: may run while others of it are under way */
};

extern const SmtpCommand smtp_commands[SMTP_N_COMMANDS];

/* ---- session.c ---- */

/* One line "code dsn text"; counts it for the command under way and for the error limits. */
void smtp_reply (Smtp *self, int code, const char *dsn, const char *fmt, ...) G_GNUC_PRINTF (4, 5);
void smtp_reply_as (Smtp *self, SmtpCommandId command, int code, const char *dsn, const char *text);
void smtp_raw (Smtp *self, const char *fmt, ...) G_GNUC_PRINTF (2, 3);      /* uncounted, CRLF included */
/* The same, and the log hears of a refusal.  `to` p NULL: none. */
void smtp_reject (Smtp *self, EkStr to, int code, const char *dsn, const char *fmt, ...) G_GNUC_PRINTF (5, 6);
void smtp_log_reject (Smtp *self, const char *word, const char *stage, EkStr to, const EkReply *reply);
void smtp_push (Smtp *self);                       /* hands replies to the session unless they must wait */
void smtp_leave (Smtp *self);                      /* close after what was said */
void smtp_begin (Smtp *self);                      /* a callback will come: holds the session */
void smtp_done (Smtp *self);                       /* it came; input goes on when it was the last, self may be gone */
void smtp_resume (Smtp *self);                     /* input goes on, unless something is still under way */
void smtp_release (Smtp *self);                    /* the session is over and nothing is under way */
void smtp_goodbye (Smtp *self);                    /* the server stops: says so and closes */
bool smtp_too_many_errors (Smtp *self);            /* disconnects then */
void smtp_timed_out (Smtp *self);
const char *smtp_stage (const Smtp *self);         /* "RCPT", for the log */
const char *smtp_proto (const Smtp *self);         /* "ESMTP" or "SMTP" */
bool smtp_is_stranger (const Smtp *self);          /* neither trusted nor logged in */
gsize smtp_input (EkSession *s, gpointer state, const char *bytes, gsize len);
void smtp_log_end (Smtp *self, EkCloseReason why);

/* ---- command.c: words of a line ---- */

SmtpCommandId smtp_command_find (EkStr verb);
/* The next word; false at the end. */
bool smtp_word (EkStr *rest, EkStr *word);
/* Text of `s` fit for a reply: controls become '?', cut at 200 bytes.  In the transaction's pool. */
const char *smtp_show (Smtp *self, EkStr s);
EkPool *smtp_pool (Smtp *self);

/* ---- transaction: cmd-mail.c, cmd-rcpt.c ---- */

void smtp_tx_end (Smtp *self);                     /* forgets the transaction; NULL is fine */

/* xtext (RFC 3461 4): well-formed? */
bool smtp_is_xtext (EkStr s);

void smtp_checks_flush (Smtp *self);

/* ---- filters, in filters.c ---- */

/* Asks; `after` runs at once when no filter is interested. */
void smtp_filter (Smtp *self, EkStage stage, EkStr rcpt, void (*after) (Smtp *self, EkVerdict verdict, const EkReply *reply));
/* Answers what a filter refused (code and text by default); true when the verdict is a refusal. */
bool smtp_filter_refused (Smtp *self, EkVerdict verdict, const EkReply *reply, EkStr to, EkReply *said);

/* ---- content: body.c, header.c, message.c ---- */

enum { SMTP_AT_LINE, SMTP_AT_LF, SMTP_IN_LINE };   /* SmtpBody.line: behind CRLF, behind a bare LF, within */

bool  smtp_content_begin (Smtp *self, bool dots);
/* Eats content; *end: the final dot was among it (dots only).  At the end of a BDAT chunk `chunk_end`. */
gsize smtp_body_feed (Smtp *self, const char *bytes, gsize n, bool chunk_end, bool *end);
void  smtp_body_close (Smtp *self);                /* BDAT LAST: a line that was not ended is */
void  smtp_header_begin (SmtpTx *tx);
void  smtp_header_feed (Smtp *self, const char *bytes, gsize n);
/* From now on the content is swallowed, and this is the answer at its end. */
void  smtp_refuse_content (Smtp *self, int code, const char *dsn, const char *text);
void  smtp_message_end (Smtp *self);               /* all of the content is there */

/* ---- commands ---- */

void smtp_cmd_helo (Smtp *self, EkStr arg);
void smtp_cmd_ehlo (Smtp *self, EkStr arg);
void smtp_cmd_starttls (Smtp *self, EkStr arg);
void smtp_cmd_auth (Smtp *self, EkStr arg);
void smtp_auth_line (Smtp *self, EkStr line);
void smtp_cmd_mail (Smtp *self, EkStr arg);
void smtp_cmd_rcpt (Smtp *self, EkStr arg);
void smtp_cmd_data (Smtp *self, EkStr arg);
void smtp_cmd_bdat (Smtp *self, EkStr arg);
void smtp_bdat_chunk_end (Smtp *self);
void smtp_cmd_rset (Smtp *self, EkStr arg);
void smtp_cmd_noop (Smtp *self, EkStr arg);
void smtp_cmd_vrfy (Smtp *self, EkStr arg);
void smtp_cmd_expn (Smtp *self, EkStr arg);
void smtp_cmd_etrn (Smtp *self, EkStr arg);
void smtp_cmd_help (Smtp *self, EkStr arg);
void smtp_cmd_quit (Smtp *self, EkStr arg);
