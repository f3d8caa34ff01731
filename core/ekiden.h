/* ekiden.h - all that a module sees
 * SPDX-License-Identifier: Apache-2.0
 *
 * A module is one exported const struct, EkModule.  Whatever tables in it are not NULL say what the
 * module is: a map, a passdb, a protocol, a mailbox format ...  docs/module-guide.md builds one in
 * ten minutes.
 *
 * Three rules hold for the whole file:
 *   1. Where code runs.  Protocol callbacks, filters and every function of a module flagged
 *      EK_EVENTED run on the role's loop thread and must not block.  Every other operation runs on
 *      a job thread and may: it is written call, wait, return a status.
 *   2. What fails how.  EkStatus tells the core what to do, GError tells the log why.  An outage
 *      is EK_DEFER, never EK_NOTFOUND and never EK_FAIL.
 *   3. Who frees.  A `const` pointer or an EkStr is borrowed; an EkPool argument owns what is made
 *      from it; anything else that is returned belongs to the caller.
 */
#pragma once
#include <gmodule.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdarg.h>

#ifndef EK_BUILD
# include "build.h"
#endif

G_BEGIN_DECLS

#define EK_ABI 9                     /* bumped on any change to a struct below */

/* ---- status ------------------------------------------------------------------------------- */

typedef enum {
  EK_OK,
  EK_NOTFOUND,                       /* a clean "no": unknown user, wrong password, no such key */
  EK_DEFER,                          /* try again later: 4xx, keep in the queue */
  EK_FAIL,                           /* never will: 5xx, bounce */
  EK_PENDING,                        /* evented operations only: ek_call_done() will follow */
} EkStatus;

const char *ek_status_name (EkStatus status);      /* "ok", "notfound", "defer", ... */

/* The domain of every GError made by Ekiden; codes are errno values or 0. */
GQuark ek_error_quark (void);
#define EK_ERROR ek_error_quark ()

/* Sets *error (when error is not NULL) and returns `status`: `return ek_fail (error, EK_DEFER, errno, "...")`. */
EkStatus ek_fail (GError **error, EkStatus status, int code, const char *fmt, ...) G_GNUC_PRINTF (4, 5);

/* ---- strings with a length ---------------------------------------------------------------- */

/* Bytes from outside carry a length and no NUL is promised.  Borrowed. */
typedef struct {
  const char *p;
  gsize       n;
} EkStr;

#define EK_STR(literal_) ((EkStr) { "" literal_ "", sizeof (literal_) - 1 })
#define EK_STR_ARG(s_)   (int) (s_).n, (s_).p      /* for "%.*s" */

EkStr ek_str (const char *nul_terminated);          /* NULL gives the empty string */
bool  ek_str_eq (EkStr a, EkStr b);                 /* byte for byte */
bool  ek_str_ieq (EkStr a, EkStr b);                /* ASCII letters fold */
bool  ek_str_starts (EkStr s, EkStr prefix);
bool  ek_str_istarts (EkStr s, EkStr prefix);
EkStr ek_str_trim (EkStr s);                        /* without spaces, tabs, CR and LF around */
bool  ek_str_u64 (EkStr s, guint64 max, guint64 *value);   /* digits only, all of s, <= max */
bool  ek_str_same_secret (EkStr a, EkStr b);        /* constant time in the content */
void  ek_wipe (gpointer p, gsize n);                /* zeros that the compiler keeps */
void  ek_wipe_free (char *text);                     /* of g_malloc(); NULL is fine */

/* ---- pools -------------------------------------------------------------------------------- */

/* An arena.  Memory from it is freed all at once; it never fails (out of memory ends the process,
 * as with GLib).  Not thread-safe: one thread at a time. */
typedef struct EkPool EkPool;

EkPool  *ek_pool_new (void);
void     ek_pool_clear (EkPool *pool);              /* runs the clean-ups, keeps the first block */
void     ek_pool_free (EkPool *pool);               /* NULL is fine */
gpointer ek_pool_alloc (EkPool *pool, gsize size);  /* zeroed, aligned for any type */
char    *ek_pool_strdup (EkPool *pool, const char *s);              /* NULL gives NULL */
char    *ek_pool_strndup (EkPool *pool, const char *s, gsize n);    /* adds a NUL */
EkStr    ek_pool_str (EkPool *pool, EkStr s);                       /* a copy, NUL behind it */
char    *ek_pool_printf (EkPool *pool, const char *fmt, ...) G_GNUC_PRINTF (2, 3);
void     ek_pool_cleanup (EkPool *pool, GDestroyNotify func, gpointer data);  /* last in, first run */
gsize    ek_pool_size (const EkPool *pool);         /* bytes held from the system */
#define  ek_pool_new0(pool_, type_)       ((type_ *) ek_pool_alloc ((pool_), sizeof (type_)))
#define  ek_pool_newv(pool_, type_, n_)   ((type_ *) ek_pool_alloc ((pool_), sizeof (type_) * (gsize) (n_)))
G_DEFINE_AUTOPTR_CLEANUP_FUNC (EkPool, ek_pool_free)

/* ---- byte queues -------------------------------------------------------------------------- */

/* Bytes are appended at the end and consumed at the front.  An empty one holds no memory after
 * ek_buf_release().  Zero-initialise before first use. */
typedef struct {
  char *data;                        /* NULL or malloc'ed */
  gsize start, end, cap;             /* live bytes are data[start..end) */
} EkBuf;

static inline gsize ek_buf_len (const EkBuf *buf) { return buf->end - buf->start; }
static inline char *ek_buf_at (const EkBuf *buf) { return buf->data ? buf->data + buf->start : NULL; }
static inline EkStr ek_buf_str (const EkBuf *buf) { return (EkStr) { ek_buf_at (buf), ek_buf_len (buf) }; }
char *ek_buf_room (EkBuf *buf, gsize n);            /* at least n writable bytes behind the end */
void  ek_buf_added (EkBuf *buf, gsize n);           /* n of them were filled */
void  ek_buf_append (EkBuf *buf, const void *bytes, gsize n);
void  ek_buf_appends (EkBuf *buf, const char *s);
void  ek_buf_appendc (EkBuf *buf, char c);
void  ek_buf_printf (EkBuf *buf, const char *fmt, ...) G_GNUC_PRINTF (2, 3);
void  ek_buf_vprintf (EkBuf *buf, const char *fmt, va_list args) G_GNUC_PRINTF (2, 0);
void  ek_buf_consume (EkBuf *buf, gsize n);
void  ek_buf_clear (EkBuf *buf);                    /* empty, memory kept */
void  ek_buf_release (EkBuf *buf);                  /* empty, memory freed */

/* ---- options: one row gives the parser, the default, the manual and the reference file ---- */

typedef struct EkInstance EkInstance;     /* one configured use of a module */
typedef struct EkModule   EkModule;

typedef struct { gint64 us; } EkTime;                /* microseconds: units live in the type */
typedef struct { guint64 bytes; } EkSize;
typedef struct { const char *text; gsize len; } EkSecret;   /* never printed, wiped on free */
typedef struct { const char *text; gsize len; const char *file; } EkText;   /* read("FILE"); file NULL: typed in place */

typedef enum {
  EK_BOOL, EK_INT, EK_TIME, EK_SIZE, EK_STRING, EK_SECRET, EK_LIST, EK_REF, EK_REFS, EK_TEXT,
} EkType;

typedef struct {
  const char *name;                  /* snake_case, noun first */
  EkType      type;
  gsize       offset;
  const char *dflt;                  /* as it would be typed in the file; NULL: required;
                                        "" for a reference or string: none (NULL) */
  const char *doc;                   /* one paragraph, required (checked by `make check`) */
  const char *allow;                 /* "1..65535", "a|b|c" or, for references, the table: "map" */
} EkOption;

/* The C type of the field decides the option type: a mismatch does not compile.
 * const char * is a string, char ** a NULL-terminated list, EkInstance * a reference to another
 * instance, EkInstance ** a NULL-terminated list of them. */
#define EK_OPTION(S_, field_, dflt_, doc_, ...)                                            \
  { .name = #field_, .offset = G_STRUCT_OFFSET (S_, field_), .dflt = dflt_, .doc = doc_,   \
    .type = _Generic (((S_ *) 0)->field_, bool: EK_BOOL, gint64: EK_INT, EkTime: EK_TIME,  \
                      EkSize: EK_SIZE, const char *: EK_STRING, EkSecret: EK_SECRET,       \
                      char **: EK_LIST, EkInstance *: EK_REF, EkInstance **: EK_REFS,      \
                      EkText: EK_TEXT),                                                    \
    __VA_ARGS__ }
#define EK_OPTIONS_END { .name = NULL }

/* ---- one operation under way -------------------------------------------------------------- */

/* What every map, auth, mailbox, transport and filter operation gets.  A blocking operation reads
 * conn and error and returns its status.  An operation of an EK_EVENTED module may return
 * EK_PENDING and must then call ek_call_done() exactly once, on the loop thread; when the caller
 * has lost interest `cancelled` becomes true and the answer is dropped.  Who wants to hear of that at
 * once, on the loop, sets `cancel` before he returns EK_PENDING; ek_call_done() is called later, never in it. */
typedef struct EkCall EkCall;
typedef struct EkLogin EkLogin;
struct EkCall {
  gpointer conn;                     /* what connect() made for this job thread; NULL when evented */
  EkPool  *pool;                     /* owns the answer; lives until the caller has read it */
  GError  *error;                    /* set it (once) beside DEFER or FAIL; the core logs and frees it */
  gint64   deadline;                 /* monotonic microseconds; 0: none */
  bool     cancelled;
  void   (*done) (EkCall *, EkStatus, gpointer user);     /* the core's; modules call ek_call_done() */
  gpointer user;
  void   (*cancel) (EkCall *, gpointer module_data);      /* the module's; NULL: it looks at `cancelled` */
  gpointer module_data;
  const EkLogin *login;              /* a lookup of a passdb or userdb: the login that it is for (a userdb's without the secret); NULL: it
                                      * is for none (mail, a command) */
  bool     by_client;                /* set by a passdb: what it says holds for a login from this client's address alone */
  bool     conn_works;               /* set beside DEFER: it is not `conn` that failed but what is behind it: conn is kept, and the
                                      * question is not asked again over a new one, as it is where an old one may have been closed */
};

void ek_call_done (EkCall *call, EkStatus status);

/* ---- maps --------------------------------------------------------------------------------- */

typedef struct {
  const char *name;                  /* "key", "user", "domain", "local", "address", "client", ... */
  EkStr       value;
} EkParam;

typedef struct {                     /* the question */
  EkStr          key;                /* what simple maps look up */
  const EkParam *params;             /* further named values, for queries that bind them */
  guint          n_params;
  bool           part;               /* the key is a part of the address that is looked for: EK_WHOLE_KEYS */
  bool          *by_client;          /* set when the parameter "client" is asked for; NULL: nobody wants to know */
} EkQuery;

typedef struct {                     /* the answer: rows of columns, all in the call's pool */
  guint        n_rows, n_columns;
  const char **names;                /* n_columns; NULL when a map has the one column "value" */
  EkStr       *cells;                /* n_rows * n_columns, row by row */
} EkAnswer;

/* The value of the parameter or field `name`; a NULL p when there is none. */
EkStr ek_param (const EkParam *params, guint n_params, const char *name);

/* Makes `answer` the single value `value` (copied into the pool). */
void  ek_answer_value (EkAnswer *answer, EkPool *pool, EkStr value);
/* The first row's column `name` (NULL: the first column); a NULL p when there is none. */
EkStr ek_answer_column (const EkAnswer *answer, const char *name);

/* How `ekiden map build` makes the file of such a map, without an instance.  The caller syncs it and puts it into its place. */
typedef struct {
  const char *suffix;                /* of the file's name: ".db" */
  gsize       key_max;               /* bytes of the longest key; 0: any */
  /* `path` is an empty file.  `rows` will come, with `bytes` in their keys and values.  NULL and *error. */
  gpointer (*begin) (const char *path, guint64 rows, guint64 bytes, GError **error);
  /* In the order of the keys' bytes, none twice and none empty. */
  gboolean (*add) (gpointer build, EkStr key, EkStr value, GError **error);
  gboolean (*end) (gpointer build, bool good, GError **error);     /* always; false `good`: the file is thrown away */
} EkMapBuildOps;

typedef struct {
  EkStatus (*lookup) (EkInstance *self, EkCall *call, const EkQuery *query, EkAnswer *answer);
  /* The rest is for administrators' commands; NULL: the map cannot.  A key may have several values. */
  EkStatus (*add) (EkInstance *self, EkCall *call, EkStr key, EkStr value);      /* OK, DEFER; FAIL: it is refused */
  EkStatus (*remove) (EkInstance *self, EkCall *call, EkStr key, EkStr value);   /* OK, NOTFOUND, DEFER; an empty value: all of the key's */
  EkStatus (*each) (EkInstance *self, EkCall *call, void (*func) (EkStr key, EkStr value, gpointer data), gpointer data);   /* OK, DEFER;
                                        NOTFOUND: this instance cannot list */
  const EkMapBuildOps *build;        /* its file is a database, which is made by this */
  /* Changes one field of a key that is there; an empty value takes it away.  OK; NOTFOUND: no such key; FAIL and the error: no such field
   * (which ones there are), or a value that it cannot have; DEFER. */
  EkStatus (*set) (EkInstance *self, EkCall *call, EkStr key, const char *field, EkStr value);
  /* All that is kept of a key, as one row, also of one that does not count at present.  As lookup; NULL: what lookup gives is all. */
  EkStatus (*show) (EkInstance *self, EkCall *call, EkStr key, EkAnswer *answer);
} EkMapOps;

/* How a module at the edge (a filter) asks a map that an option of its block refers to.  Maps work in directory, so
 * this is a message there and back, in the merged layout too; directory answers only for maps that the blocks of
 * that role's modules refer to.  Loop thread.  `query` is copied; `func` gets OK, NOTFOUND, DEFER or FAIL, never
 * before ek_map_ask() has returned, at the latest when `timeout` (0: a minute) is over; `answer` lives until it returns.
 * ek_map_ask_cancel(): func will not run; not after it has.  Bounds: EK_MAP_KEY_MAX, EK_MAP_ANSWER_MAX bytes,
 * EK_MAP_PARAMS_MAX parameters: FAIL, or DEFER for an answer that is too long. */
#define EK_MAP_KEY_MAX    4096
#define EK_MAP_PARAMS_MAX 16
#define EK_MAP_ANSWER_MAX 65536
typedef struct EkMapAsk EkMapAsk;
EkMapAsk *ek_map_ask (EkInstance *map, const EkQuery *query, EkTime timeout,
                      void (*func) (EkStatus status, const EkAnswer *answer, gpointer user), gpointer user);
void      ek_map_ask_cancel (EkMapAsk *ask);

/* ---- users, passwords, mechanisms --------------------------------------------------------- */

/* Who logs in or gets mail.  Filled by a userdb; strings live in the call's pool. */
typedef struct {
  const char *name;                  /* the canonical key: local@domain, or local without a domain */
  const char *home;                  /* absolute, or NULL: the userdb knows none */
  const char *mail;                  /* mailbox location, when it is not the domain's default; or NULL */
  gint64      uid, gid;              /* -1: the mailbox owner of the configuration */
  guint64     quota_bytes;           /* 0: none */
  bool        assumed;               /* made up from the name alone: he exists if a passdb knows him */
  const EkParam *fields;             /* whatever else the userdb knows of him */
  guint       n_fields;
} EkUser;

struct EkLogin {                     /* one login under way */
  const char *service;               /* "smtp", "imap", ... */
  const char *name;                  /* as ek_address_key() made it */
  const char *given;                 /* as the client typed it */
  EkStr       secret;                /* wiped by the core */
  const char *client;                /* address text */
  bool        tls;
  bool        token;                 /* `secret` is a bearer token (RFC 6750), no password */
};

typedef struct {                     /* what a passdb knows of a login; strings in the call's pool */
  EkStr          stored;             /* "{SCHEME}..."; a NULL p: it keeps none that can be read */
  const EkParam *fields;             /* the core obeys these: nologin, allow_nets (a list of networks),
                                        user (the name to go on with).  userdb_* are for the userdb */
  guint          n_fields;
} EkAccount;

/* One of lookup and verify is there, or both (verifies).  A passdb that can read its secrets gives only lookup: the
 * core compares, by the scheme, and lets an unknown user cost what a wrong password costs. */
typedef struct {
  /* OK, NOTFOUND, DEFER. */
  EkStatus (*lookup) (EkInstance *self, EkCall *call, const char *name, EkAccount *account);
  /* Asks somebody else (an LDAP bind, PAM).  OK, NOTFOUND (no such user here), FAIL (user known,
   * secret wrong: set no error), DEFER. */
  EkStatus (*verify) (EkInstance *self, EkCall *call, const EkLogin *login, EkAccount *account);
  /* Which of the two a login takes, when a module has both and the options of an instance decide; NULL: verify when it is there.
   * lookup then still tells whether a user exists, and may give a NULL `stored`. */
  bool     (*verifies) (const EkInstance *self);
  /* Sets the stored secret ("{SCHEME}...", never plain unless the scheme is), adding the user when
   * there is none.  NULL: read-only. */
  EkStatus (*set) (EkInstance *self, EkCall *call, const char *name, EkStr stored);
  /* Sets it to `to` if it still is `from`, as lookup gave it: a login makes a weak hash a stronger one.  OK; NOTFOUND: it is another one
   * by now, or he is gone; DEFER, FAIL.  NULL: no login may write there. */
  EkStatus (*replace) (EkInstance *self, EkCall *call, const char *name, EkStr from, EkStr to);
  EkStatus (*remove) (EkInstance *self, EkCall *call, const char *name);     /* OK, NOTFOUND, DEFER */
  bool tokens;                       /* verify() judges bearer tokens and is asked about nothing else; all others never see one */
} EkPassdbOps;

typedef struct {
  EkStatus (*lookup) (EkInstance *self, EkCall *call, const char *name, EkUser *user);
  /* Calls func for each user, in no particular order; *user lives until func returns.  NOTFOUND: this instance cannot list. */
  EkStatus (*each) (EkInstance *self, EkCall *call, void (*func) (const EkUser *user, gpointer data),
                    gpointer data);
  /* For administrators' commands: as those of EkMapOps.  Passwords are EkPassdbOps.set()'s, and in no row that show gives. */
  EkStatus (*set) (EkInstance *self, EkCall *call, const char *name, const char *field, EkStr value);
  EkStatus (*show) (EkInstance *self, EkCall *call, const char *name, EkAnswer *answer);
} EkUserdbOps;

typedef struct {                     /* password schemes: a module may offer several */
  const char *names;                 /* "SHA512-CRYPT|SHA256-CRYPT" */
  /* `stored` is without its {SCHEME}.  OK; FAIL: another secret; DEFER and *error: the library
   * failed, or `stored` is no such hash. */
  EkStatus (*verify) (const char *scheme, EkStr secret, EkStr stored, GError **error);
  /* The stored form without {SCHEME}; `cost` 0: the scheme's default.  NULL and *error. */
  char    *(*make) (const char *scheme, EkStr secret, guint cost, GError **error);
} EkSchemeOps;

/* A SASL mechanism (RFC 4422), a state machine without I/O, in the directory role.
 *
 * One to whom the client tells his secret (PLAIN) hands it on: ek_sasl_login(), VERIFY.  One that lets him prove that he
 * knows it (SCRAM) names him first: ek_sasl_name(), LOOKUP.  When the passdbs have been asked, step() comes again with a NULL
 * response, on a job thread (all else is on the loop), and finds what is kept of him.  For a name that nobody knows it finds
 * nothing, and has to go on as if it had, with ek_sasl_noise() in place of what is kept, so that the client cannot tell. */
typedef struct EkSasl EkSasl;
typedef struct EkClient EkClient;
typedef enum {
  EK_SASL_MORE,                      /* ek_sasl_challenge() was called */
  EK_SASL_LOOKUP,                    /* ek_sasl_name() was called */
  EK_SASL_VERIFY,                    /* ek_sasl_login() was called */
  EK_SASL_OK,                        /* after LOOKUP: he has proved it */
  EK_SASL_REFUSE,                    /* after LOOKUP: he has not: told, delayed and counted as a wrong password is */
  EK_SASL_FAIL,                      /* malformed */
} EkSaslStep;
typedef struct {
  const char *name;                  /* "PLAIN"; what ends in -PLUS is offered only where there is a channel to bind to */
  bool        plaintext;             /* the secret itself crosses the wire: not without TLS */
  bool        token;                 /* the secret is a bearer token: EkPassdbOps.tokens */
  bool        certificate;           /* offered only to a client whose certificate was verified */
  gsize       state_size;
  /* `response` is decoded from base64; p is NULL when the client sent no initial response, and after LOOKUP. */
  EkSaslStep (*step) (EkSasl *sasl, gpointer state, EkStr response);
  /* VERIFY came to nothing: ek_sasl_challenge() a last word, which the client answers before he is refused.  NULL: none. */
  void       (*refused) (EkSasl *sasl, gpointer state);
} EkMechanismOps;

void ek_sasl_challenge (EkSasl *sasl, EkStr bytes);
void ek_sasl_login (EkSasl *sasl, EkStr authzid, EkStr authcid, EkStr secret);
void ek_sasl_name (EkSasl *sasl, EkStr authzid, EkStr authcid);
/* After LOOKUP, and in refused(): what the passdb keeps; NULL: nobody knows him. */
const EkAccount *ek_sasl_account (const EkSasl *sasl);
/* His secret as `scheme` ("PLAIN": as it was typed) keeps it, without {SCHEME}; a NULL p: it is kept otherwise, or he is not known. */
EkStr ek_sasl_stored (EkSasl *sasl, const char *scheme);
/* The same of somebody who is known there; a NULL p: nothing is known of the kind.  For what unknown users shall look like. */
EkStr ek_sasl_like (EkSasl *sasl, const char *scheme);
/* Bytes that nobody outside can guess, the same each time for a name and a label. */
void  ek_sasl_noise (const EkSasl *sasl, const char *label, void *bytes, gsize n);
/* address, tls, tls_exporter, tls_endpoint, tls_peer; nothing else is set. */
const EkClient *ek_sasl_client (const EkSasl *sasl);

/* ---- events: what is logged, traced and counted -------------------------------------------- */

/* Words and keys are registered in core/base/events.def, with the line that each becomes. */
typedef struct {
  const char *key;                   /* static */
  enum { EK_F_END, EK_F_STR, EK_F_INT, EK_F_TIME } type;   /* TIME: microseconds, shown as seconds */
  EkStr       str;
  gint64      num;
} EkField;
#define EK_FSTR(key_, str_)  { .key = key_, .type = EK_F_STR, .str = (str_) }
#define EK_FTEXT(key_, s_)   { .key = key_, .type = EK_F_STR, .str = ek_str (s_) }
#define EK_FINT(key_, n_)    { .key = key_, .type = EK_F_INT, .num = (gint64) (n_) }
#define EK_FTIME(key_, us_)  { .key = key_, .type = EK_F_TIME, .num = (gint64) (us_) }

/* The id that joins all that happens from connect to mailbox UID; 0 is none. */
typedef guint64 EkEventId;

/* Any thread.  Never blocks: a full pipe drops the record and counts it. */
void ek_event_emit (const char *component, EkEventId id, const char *word, const EkField *fields);
#define ek_event(component_, id_, word_, ...) \
  ek_event_emit ((component_), (id_), (word_), (const EkField[]) { __VA_ARGS__ __VA_OPT__ (,) { .type = EK_F_END } })

/* Words of no fixed form: start-up notes, an instance's error. */
typedef enum { EK_ERR, EK_WARN, EK_INFO, EK_DEBUG } EkLevel;
void ek_log (EkLevel level, const char *component, const char *fmt, ...) G_GNUC_PRINTF (3, 4);
#define EK_WARNING EK_WARN

/* ---- protocols: bytes in, replies out, no I/O ---------------------------------------------- */

typedef struct EkSession EkSession;

typedef enum {
  EK_CLOSED_BY_CLIENT, EK_CLOSED_BY_US, EK_CLOSED_TIMEOUT, EK_CLOSED_ERROR, EK_CLOSED_SHUTDOWN,
} EkCloseReason;

typedef enum {                       /* why a client whose login was right is not served */
  EK_REFUSED_LIMIT,                  /* too many sessions: his, or all */
  EK_REFUSED_UNAVAILABLE,            /* his mailboxes cannot be opened now */
} EkRefusal;

typedef struct {
  const char *name;                  /* as in `protocol = smtp` */
  const char *alpn;                  /* RFC 7301 name or NULL */
  gsize       state_size;            /* the protocol's own part of a session, zeroed */
  gsize       input_max;             /* most unconsumed bytes it may leave: more closes the session */
  const EkOption *options;           /* listener settings of this protocol; NULL: none */
  gsize       options_size;
  bool        wants_name;            /* the client's name is worth asking for before open(): reverse_names = auto */

  void  (*open) (EkSession *s, gpointer state);           /* connected: greet */
  /* Returns how many bytes it consumed; the rest comes again with what follows.  Not called while
   * the session waits (ek_session_wait). */
  gsize (*input) (EkSession *s, gpointer state, const char *bytes, gsize len);
  void  (*drained) (EkSession *s, gpointer state);        /* output fell below the low-water mark */
  void  (*timeout) (EkSession *s, gpointer state);        /* ek_session_timeout() ran out; NULL: closes */
  void  (*shutdown) (EkSession *s, gpointer state);       /* the server stops: say goodbye, close */
  void  (*closed) (EkSession *s, gpointer state, EkCloseReason why);   /* last call: free what you hold */
  /* after_login only, and there is no session: appends what the client is told before his stream is closed.  `tag` is the one
   * of his login.  NULL: it is closed without a word. */
  void  (*refused) (EkStr tag, EkRefusal why, EkBuf *out);
} EkProtocolOps;

struct EkClient {                    /* facts about the client's connection; strings live with the session */
  const char *address;               /* "192.0.2.1", "2001:db8::1", "unix" */
  guint16     port;
  const char *local_address;
  guint16     local_port;
  const char *host;                  /* verified reverse name, or "unknown" */
  bool        tls;
  const char *tls_version, *tls_cipher, *tls_sni, *tls_alpn;   /* NULL without TLS */
  int         tls_bits;
  EkStr       tls_exporter;          /* channel binding, RFC 9266; p NULL: none, or the listener offers no mechanism that binds */
  EkStr       tls_endpoint;          /* the same by the server's certificate, RFC 5929 section 4 */
  const char *tls_peer;              /* the name in the client's certificate, which was verified (listener.client_ca); or NULL */
  EkStr       tls_peer_proof;        /* that tls has said so: the core's */
};

const EkClient *ek_session_client (const EkSession *s);
EkEventId       ek_session_event (const EkSession *s);
EkPool         *ek_session_pool (EkSession *s);           /* lives as long as the session */
gpointer        ek_session_state (EkSession *s);
gconstpointer   ek_session_options (const EkSession *s);  /* the listener's values of EkProtocolOps.options */
const char     *ek_session_hostname (const EkSession *s); /* what the server calls itself here */
const char     *ek_session_listener (const EkSession *s);
void  ek_session_send (EkSession *s, const void *bytes, gsize len);
void  ek_session_sends (EkSession *s, const char *text);
void  ek_session_sendf (EkSession *s, const char *fmt, ...) G_GNUC_PRINTF (2, 3);
gsize ek_session_unsent (const EkSession *s);             /* bytes the client has not taken yet */
void  ek_session_wait (EkSession *s);                     /* no input() until ek_session_resume() */
void  ek_session_resume (EkSession *s);
void  ek_session_in_transaction (EkSession *s, bool yes);  /* a new configuration counts from its end on */
void  ek_session_timeout (EkSession *s, EkTime idle);     /* from now, restarted by input; 0: none */
void  ek_session_close (EkSession *s);                    /* after what was sent has drained */
bool  ek_session_tls_offered (const EkSession *s);        /* a certificate is there and no TLS yet */
void  ek_session_starttls (EkSession *s);                 /* what was sent goes first; then open() is
                                                             called again, with tls facts set, and
                                                             buffered plain text is dropped */
void  ek_session_ref (EkSession *s);                      /* for work under way; `closed` still comes once */
void  ek_session_unref (EkSession *s);
bool  ek_session_is_closed (const EkSession *s);

/* ---- filters ------------------------------------------------------------------------------ */

typedef enum {
  EK_AT_CONNECT, EK_AT_HELO, EK_AT_AUTH, EK_AT_MAIL, EK_AT_RCPT,
  EK_AT_DATA, EK_AT_MESSAGE, EK_AT_DELIVER, EK_AT_CLOSE, EK_N_STAGES
} EkStage;

typedef enum {
  EK_CONTINUE, EK_ACCEPT, EK_REJECT, EK_TEMPFAIL, EK_DISCARD, EK_HOLD, EK_VERDICT_PENDING
} EkVerdict;

typedef struct {                     /* an SMTP reply: code, enhanced code (RFC 3463), text */
  int  code;
  char dsn[12];
  char text[480];                    /* one line, no CR or LF */
} EkReply;

/* Fills `reply` and returns `verdict`. */
EkVerdict ek_reply (EkReply *reply, EkVerdict verdict, int code, const char *dsn, const char *fmt, ...)
  G_GNUC_PRINTF (5, 6);

typedef struct {
  EkStr  address;                    /* local@domain as given, without <> */
  char  *notify;                     /* RFC 3461; NULL: not given */
  char  *orcpt;
} EkRcpt;

typedef struct {                     /* one transaction, as filters see it.  Read-only for them. */
  EkSession     *session;            /* NULL when the message did not come over a connection */
  const EkClient *client;
  EkEventId      event;
  const char    *helo;               /* NULL before HELO */
  const char    *login;              /* authenticated user or NULL */
  EkStr          sender;             /* reverse-path; empty for <> */
  const EkRcpt  *rcpts;              /* accepted so far */
  guint          n_rcpts;
  EkStr          rcpt;               /* the one in question, at EK_AT_RCPT */
  const char    *queue_id;           /* NULL before DATA */
} EkMail;

typedef struct {
  /* NULL: not interested.  An EK_EVENTED filter may return EK_VERDICT_PENDING and later call
   * ek_filter_done(). */
  EkVerdict (*at[EK_N_STAGES]) (EkInstance *self, EkCall *call, const EkMail *mail, EkReply *reply);
} EkFilterOps;

void ek_filter_done (EkCall *call, EkVerdict verdict);

/* ---- tables that have a header of their own, installed beside this one ---------------------- */

typedef struct EkMailboxOps   EkMailboxOps;      /* index/mailbox.h: Maildir, mbox */
typedef struct EkSpoolOps     EkSpoolOps;        /* queue/spool.h: the write-ahead log */
typedef struct EkTransportOps EkTransportOps;    /* queue/transport.h: SMTP client ... */
typedef struct EkResolverOps  EkResolverOps;     /* net/resolver.h: DNS */
typedef struct EkCommandOps   EkCommandOps;      /* cli/command.h: `ekiden NAME` */

/* ---- the module itself -------------------------------------------------------------------- */

enum {
  EK_EVENTED   = 1,                  /* operations run on the loop and may return EK_PENDING */
  EK_ROOT_INIT = 2,                  /* init() is also called in master, as root */
  EK_WAITS     = 4,                  /* its operations wait for somebody else though there is no connect(): each instance has
                                        job threads of its own, as those with a connect() have, and holds up nobody else */
  EK_WHOLE_KEYS = 16,                /* a map of patterns, or one that is used as such: the core never asks it for a part of an address */
  EK_AT_HAND   = 32,                 /* lookups of its tables are answered from memory, at once: they need no job and run on the loop */
  EK_HELPER    = 8,                  /* has a program of its own, libexecdir/ekiden/ekiden-NAME, for what needs rights: ek_helper_open() */
};

/* On a job thread: has master start that program, with master's rights and the settings that this block has in the configuration as
 * words ("key=value", none that is secret, none that is not written).  Returns one end of a stream socket whose other end is its
 * descriptor 0; it has to end when that closes.  -1 and *error. */
int ek_helper_open (EkInstance *self, GError **error);

struct EkModule {
  guint32          abi;              /* first for ever */
  const char      *build;            /* the header it was compiled with */
  const char      *name, *summary;
  guint            flags;
  gsize            instance_size;    /* 0: sizeof (EkInstance) */
  const EkOption  *options;          /* NULL: none */

  /* Rows that only this block can tell: those that its script declares.  Called when `options` are set, before
   * init().  Gives rows that end as `options` do and in *target the zeroed struct that they fill, all in the pool,
   * which lives as long as the instance.  NULL and *error: cannot; that is told as an error of the configuration. */
  const EkOption *(*own_options) (EkInstance *self, EkPool *pool, gpointer *target, GError **error);

  /* Why this block is no such table ("map", "passdb", ...) although its module offers it, or cannot be changed by commands ("change"), and
   * what to do about that; in the pool of the instance, or static.  NULL: it is one.  After own_options(), before init(). */
  const char *(*lacks) (const EkInstance *self, const char *table);

  /* Life of an instance.  All optional.  The instance is read-only after start(). */
  gboolean (*init) (EkInstance *self, GError **error);    /* without rights: options are set, check them */
  gboolean (*start) (EkInstance *self, GError **error);   /* in its role, privileges are gone */
  void     (*stop) (EkInstance *self);                    /* frees what init and start made */
  gpointer (*connect) (EkInstance *self, GError **error); /* for each of its job threads, of which there are as many as the
                                                             block's `connections` says; kept and retried by the core */
  void     (*disconnect) (EkInstance *self, gpointer conn);
  bool     (*at_hand) (const EkInstance *self);           /* EK_AT_HAND, for as long as this is true; asked on the loop */

  const EkMapOps       *map;
  const EkPassdbOps    *passdb;
  const EkUserdbOps    *userdb;
  const EkSchemeOps    *scheme;
  const EkMechanismOps *const *mechanisms;   /* NULL-terminated */
  const EkProtocolOps  *protocol;            /* at the edge, until login (or all of it: SMTP) */
  const EkProtocolOps  *after_login;         /* in store */
  const EkFilterOps    *filter;
  const EkMailboxOps   *mailbox;
  const EkSpoolOps     *spool;
  const EkTransportOps *transport;
  const EkResolverOps  *resolver;
  const EkCommandOps   *command;
};

struct EkInstance {                  /* put it first in the module's own struct */
  const char     *name;              /* from the configuration: file "staff" { ... } */
  const EkModule *module;
  gpointer        core;              /* the core's own */
};

#ifdef EK_STATIC                     /* linked in: small systems, fuzzers */
# define EK_SYMBOL(name_) ek_module_##name_
#else
# define EK_SYMBOL(name_) ek_module
#endif
#define EK_MODULE(name_, ...)                                             \
  G_MODULE_EXPORT extern const EkModule EK_SYMBOL (name_);                \
  const EkModule EK_SYMBOL (name_) =                                      \
    { .abi = EK_ABI, .build = EK_BUILD, .name = #name_, __VA_ARGS__ }

G_END_DECLS
