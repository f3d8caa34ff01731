/* ldap.h - what the files of the module share: the block, servers, connections, searches
 * SPDX-License-Identifier: Apache-2.0
 *
 * The LDAP library puts together and takes apart messages.  The socket, TLS (by OpenSSL, as everywhere here) and every wait are ours
 * (wire.c), so that each of them ends at its deadline, or when nobody waits for the answer any more.
 */
#pragma once
#include <ekiden/ekiden.h>
#include "lookup/record.h"
#include "template.h"
#include <lber.h>
#include <ldap.h>
#include <openldap.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>

/* ---- a server ---- */

typedef enum { LDAPC_PLAIN, LDAPC_STARTTLS, LDAPC_TLS } LdapTls;

typedef struct {
  const char *uri;                   /* ldap://HOST:PORT and nothing behind it, as messages show it */
  const char *host;                  /* of ldapi: the socket's path */
  guint       port;                  /* 0: a path */
  LdapTls     tls;
} LdapServer;

/* ---- a socket (wire.c) ---- */

typedef struct {
  int           fd;                  /* -1: none */
  SSL          *ssl;                 /* NULL: plain */
  gint64        deadline;            /* monotonic us: of whatever is under way; past: nothing waits */
  const EkCall *call;                /* its caller, or NULL */
} LdapWire;

bool ldapc_wire_connect (LdapWire *w, const LdapServer *server, GError **error);
bool ldapc_wire_tls (LdapWire *w, SSL_CTX *context, const char *host, GError **error);
/* Puts the library's messages on it. */
bool ldapc_wire_attach (LdapWire *w, LDAP *ld);
bool ldapc_wire_is_late (const LdapWire *w);       /* the deadline is over, or the caller has gone */
void ldapc_wire_close (LdapWire *w);
/* For clients: checks the server's certificate against the authorities in `ca_file`; NULL: against nothing. */
SSL_CTX *ldapc_wire_context (const char *ca_file, GError **error);

/* ---- a question that the block asks ---- */

typedef struct {
  const LdapTemplate *filter;        /* NULL: not set */
  const LdapColumns  *columns;
  char              **attributes;    /* to be asked for */
} LdapQuestion;

/* ---- the block ---- */

typedef struct {
  EkInstance  instance;
  char      **uris;
  const char *tls, *ca_file, *bind_dn, *base, *scope;
  bool        tls_verify, auth_bind, exact, referrals, writable;
  EkSecret    bind_password;
  EkTime      connect_timeout, timeout;
  gint64      size_limit;
  const char *filter, *password_filter, *user_filter, *users_filter, *user_dn;
  char      **attributes, **password_attributes, **user_attributes, **users_attributes;
  const char *scheme, *home, *mail, *uid, *gid;

  /* made by init() */
  EkPool          *pool;
  LdapServer      *servers;
  guint            n_servers;
  int              scope_number;
  LdapTemplate    *base_template, *dn_template;
  LdapQuestion     map, password, user, users;
  LdapQuestion     no_login;         /* as password, where nobody logs in; no filter: there is none for that */
  EkRecordDefaults defaults;

  pthread_mutex_t  lock;
  SSL_CTX         *context;          /* under the lock; made by whoever needs it first */
  atomic_uint      first;            /* the server that is tried first: the last one that answered */
} Ldap;

/* ---- connections (conn.c) ---- */

typedef struct {
  Ldap             *self;
  const LdapServer *server;
  LDAP             *ld;
  LdapWire          wire;
  bool              sick;            /* it is connected, and gives no answers */
} LdapConn;

/* Connected, with TLS as the server's record says; with `bind` as bind_dn (empty: not at all).  NULL and *error. */
LdapConn *ldapc_open (Ldap *self, const LdapServer *server, gint64 deadline, const EkCall *call, bool bind, GError **error);
void      ldapc_close (LdapConn *conn);            /* NULL is fine */
/* What is done next is done for this call, and ends at its deadline or after `timeout`, whichever comes first.  NULL: for nobody. */
void      ldapc_begin (LdapConn *conn, const EkCall *call);
void      ldapc_end (LdapConn *conn);
/* The next message of an answer, to be freed with ldap_msgfree(); NULL and *error: it does not come. */
LDAPMessage *ldapc_await (LdapConn *conn, int msgid, GError **error);
/* A simple bind (RFC 4513 section 5.1), never with an empty password.  Gives the result code, or -1 and *error: there is none.  With
 * *error (which may be set beside a code too) the server's words. */
int       ldapc_bind (LdapConn *conn, const char *dn, EkStr password, GError **error);
/* DEFER with what the library and the server say about `code`. */
EkStatus  ldapc_failed (LdapConn *conn, const char *what, int code, GError **error);

/* A server as a referral names it (RFC 4516): one of uris, or another one, in the pool.  NULL and *error: it would be less safe than
 * the block's own servers. */
const LdapServer *ldapc_server_of (const Ldap *self, EkPool *pool, const LDAPURLDesc *url, GError **error);
bool      ldapc_is_own (const Ldap *self, const LdapServer *server);       /* is it one of uris? */
/* Makes of the block's rows what init() makes (check.c).  False and *error. */
bool      ldapc_check (Ldap *self, GError **error);
/* Does the text of a filter ask for what only a login has? */
bool      ldapc_is_for_logins (const char *filter);
/* Reads uris into servers. */
bool      ldapc_servers_parse (Ldap *self, GError **error);

/* ---- searches (search.c) ---- */

typedef struct LdapSearch LdapSearch;
struct LdapSearch {
  EkCall     *call;
  const char *base, *filter;
  int         scope;
  char      **attributes;
  guint       limit;                 /* entries; 0: as many as there are, asked for in pages */
  bool        base_varies;           /* with the name: one that is not there means that nobody is called so */
  /* For each entry.  OK: it counts; NOTFOUND: it does not; else this ends the search. */
  EkStatus  (*entry) (LdapConn *at, LDAPMessage *entry, gpointer data);
  gpointer    data;
  guint       n;                     /* entries so far */
};

/* OK also when nothing was found.  NOTFOUND: see base_varies.  DEFER and call->error. */
EkStatus ldapc_search (LdapConn *conn, LdapSearch *search);
/* The same for the entry() of a search that is under way on this connection. */
EkStatus ldapc_search_within (LdapConn *conn, LdapSearch *search);

/* ---- changes (write.c) ---- */

typedef struct {
  EkCall     *call;
  const char *dn, *attribute;
  EkStr       from;                  /* the value that goes; a NULL p: whatever is there */
  EkStr       to;                    /* the one that comes; empty: none */
} LdapChange;

/* At the server that holds the entry.  OK; NOTFOUND: the entry has not `from`, or is gone; FAIL and call->error: the server refuses it (the code
 * is EACCES or EROFS when it always will); DEFER and call->error. */
EkStatus ldapc_change (LdapConn *conn, const LdapServer *at, const LdapChange *change);
/* A stored password as other programs that use the directory know it: {CRYPT} and {ARGON2}, which their hashes begin to tell apart. */
EkStr    ldapc_stored (EkPool *pool, EkStr stored);
/* What a command sets a column to, as an attribute holds it; empty: the attribute is taken away. */
EkStr    ldapc_field (EkPool *pool, const char *column, EkStr value);

/* ---- values (values.c) ---- */

#define LDAPC_ROWS_MAX  10000        /* of an answer, and of one attribute's values */
#define LDAPC_BYTES_MAX (4 * 1024 * 1024)

typedef struct {
  EkStr *values;
  guint  n, room;
  gsize  bytes;
} LdapValues;

/* A copy in the pool. */
void     ldapc_values_add (LdapValues *values, EkPool *pool, EkStr value);
/* Adds all values that the entry, just found by `call` at this server, has of the attribute; those that the server gives only in parts are asked
 * for.  DEFER and call->error: never a part of them. */
EkStatus ldapc_values_of (LdapValues *values, EkPool *pool, LdapConn *at, EkCall *call, LDAPMessage *entry, const char *attribute);

/* ---- entries as rows (rows.c) ---- */

typedef struct {
  EkCall            *call;
  EkPool            *pool;
  const LdapColumns *columns;
  const char        *user;           /* for fixed values */
  bool               record;         /* one row an entry; else one for each value of the attribute that has most */
  EkBuf              cells;          /* of EkStr */
  guint              n_rows;
  gsize              bytes;
} LdapRows;

/* OK, NOTFOUND: the entry has none of the attributes; DEFER and call->error. */
EkStatus ldapc_rows_add (LdapRows *rows, LdapConn *at, LDAPMessage *entry);
/* In the pool; releases what it collected. */
void     ldapc_rows_end (LdapRows *rows, EkAnswer *answer);
/* Is the entry called as it was asked for?  A directory's comparison takes more for equal than we do: widths of letters, blanks.  NOTFOUND: no. */
EkStatus ldapc_is_same (LdapConn *at, EkCall *call, LDAPMessage *entry, const LdapTemplate *filter, const EkQuery *query);
