/* client.h - SMTP and LMTP as transport: instance, trips, connections, and what their files share
 * SPDX-License-Identifier: Apache-2.0
 *
 * The story of a delivery.  client.c makes a Trip of it.  An idle connection to the same next hop carries it at
 * once; else route.c finds hosts (MX, addresses) one after the other and conn.c connects.  hello.c
 * holds the first half of the dialogue: greeting, EHLO, STARTTLS (clienttls.c), AUTH; talk.c the second: envelope,
 * content (content.c) and the answers.
 * report.c tells queue what came of each recipient, in Postfix's words.  A host that fails before the content
 * is through gives way to the next one; what only it refused for now is tried there too.
 *
 * Everything runs on the loop thread and waits for nothing.
 */
#pragma once
#include "base/base.h"
#include "loop/loop.h"
#include "mail/reply.h"
#include "net/resolver.h"
#include "queue/transport.h"
#include <netinet/in.h>
#include <openssl/ssl.h>

#define CLIENT_WINDOW (64 * 1024)    /* content that waits to be sent */

typedef struct {
  EkInstance  base;
  const char *protocol, *tls_level, *ca_file, *user, *helo_name, *address_family, *source_address;
  EkSecret    password;
  gint64      port, deliveries_max, hosts_max, addresses_max, idle_max, line_length_limit;
  bool        pipelining;
  EkTime      connection_idle, connection_age;
  EkTime      connect_timeout, greeting_timeout, mail_timeout, rcpt_timeout, data_timeout, content_timeout, end_timeout;
  /* its own */
  SSL_CTX    *tls;                   /* made when first needed */
  GHashTable *idle;                  /* next hop -> GQueue of ClientConn */
  guint       n_idle;
} Client;

extern const EkOption smtp_client_options[];

typedef struct { char *name; guint16 preference; guint32 chance; } ClientHost;

typedef enum { CLIENT_TODO, CLIENT_ACCEPTED, CLIENT_LATER, CLIENT_DONE } ClientRcpt;

typedef struct ClientConn ClientConn;

typedef struct ClientTrip {          /* one delivery */
  Client      *client;
  EkCall      *call;
  const EkHop *hop;
  EkPool      *pool;                 /* the call's */
  /* route.c */
  char        *domain;               /* of the next hop, without brackets and port */
  guint16      port;
  bool         literal, mx_wanted, cut;      /* cut: hosts behind ourselves were left out */
  GArray      *hosts;                /* of ClientHost */
  guint        host;                 /* the one in hand + 1 */
  GArray      *addresses;            /* of struct sockaddr_storage: the host's */
  guint        address;              /* the next one */
  guint        tried, sessions;      /* addresses, hosts that greeted */
  EkDnsQuery  *query[2];
  guint        asked;                /* of them that are not answered */
  bool         defer;                /* one of the answers was "later" */
  bool         without_tls;          /* the handshake failed where TLS is optional */
  bool         again;                /* the same address once more */
  /* talk.c */
  ClientConn  *conn;
  ClientRcpt  *rcpts;                /* hop->n_rcpts */
  const char **why, **why_dsn;       /* of each that is tried elsewhere */
  char        *trouble;              /* why the last host failed */
  char         trouble_dsn[12];
  const char  *trouble_relay;
  EkTask       task;
  bool         finished;
} ClientTrip;

typedef enum {                       /* what the next reply answers */
  TALK_CONNECT, TALK_GREETING, TALK_EHLO, TALK_HELO, TALK_STARTTLS, TALK_HANDSHAKE, TALK_AUTH, TALK_AUTH_USER,
  TALK_AUTH_PASSWORD, TALK_RSET, TALK_MAIL, TALK_RCPT, TALK_DATA, TALK_END, TALK_IDLE,
} ClientTalk;

enum {                               /* what EHLO offered */
  OFFERS_PIPELINING = 1, OFFERS_SIZE = 2, OFFERS_8BITMIME = 4, OFFERS_SMTPUTF8 = 8, OFFERS_DSN = 16, OFFERS_STARTTLS = 32,
  OFFERS_PLAIN = 64, OFFERS_LOGIN = 128,
};

struct ClientConn {
  EkWatch     watch;
  EkTimer     timer;
  EkLoop     *loop;
  Client     *client;
  ClientTrip *trip;                  /* NULL: idle */
  GList       link;                  /* in the queue of idle ones */
  char       *next_hop;              /* its key there */
  char       *host, *peer, *relay;   /* "mx.test", "mx.test[192.0.2.1]", "mx.test[192.0.2.1]:25" */
  const char *ip;
  guint16     port;
  SSL        *ssl;
  bool        tls_blocked_on_write;
  ClientTalk  talk;
  guint       offers;
  guint64     size_limit;
  guint       uses;
  gint64      born, ready;           /* monotonic us: begun; able to take mail */
  EkBuf       out;
  EkSmtpReply reply;
  guint       sent, answered;        /* MAIL is 0, recipient i is i + 1, DATA is the last: what comes next */
  guint       accepted;              /* recipients */
  bool        mail_refused, fresh, dirty, dot_sent, authed, greeted, closing, in_callback;
  const char *mail_text;             /* why MAIL was refused, in the trip's pool */
  char        mail_dsn[12];
  int         mail_code;
  guint       end_rcpt;              /* LMTP: whose answer comes next */
  /* content.c */
  guint       part;
  guint64     part_at;
  gsize       column;                /* bytes of the line in hand */
  bool        at_line, cr;           /* the last byte sent ended a line; was a CR */
  bool        broken;                /* a line of this message was too long */
  bool        content_over;
};

/* ---- client.c ---- */

void client_trip_next (ClientTrip *trip);                  /* another host, or the end */
void client_trip_done (ClientTrip *trip);                  /* all recipients are reported, or will be as deferred */
void client_keep (ClientConn *conn);                       /* for the next delivery, or says goodbye */
bool client_is_lmtp (const Client *self);

/* ---- route.c ---- */

bool client_route_parse (ClientTrip *trip);                /* the next hop's form; false: nonsense */
void client_route_begin (ClientTrip *trip);                /* asks for MX or the address, then client_trip_next() */
void client_route_next_host (ClientTrip *trip);            /* asks for addresses, then client_trip_next() */
bool client_route_more (const ClientTrip *trip);           /* is there another address or host to try? */
void client_route_cancel (ClientTrip *trip);

/* ---- report.c ---- */

void client_report (ClientTrip *trip, guint rcpt, EkStatus status, const char *dsn, const char *text);
/* Every recipient that is not done. */
void client_report_rest (ClientTrip *trip, EkStatus status, const char *dsn, const char *text);
/* "host mx[ip] said: 550 ... (in reply to RCPT TO command)"; in the trip's pool. */
const char *client_said (ClientConn *conn, const char *command);
const char *client_reply_text (ClientConn *conn);          /* "250 2.0.0 Ok" */
/* The host is no good for now: its reason, for whom no other helps. */
void client_trouble (ClientTrip *trip, const char *dsn, const char *fmt, ...) G_GNUC_PRINTF (3, 4);

/* ---- conn.c ---- */

/* Begins to connect; false: at once impossible (the trip knows the trouble). */
bool client_connect (ClientTrip *trip, const struct sockaddr_storage *address, const char *host);
void client_send (ClientConn *conn, const char *fmt, ...) G_GNUC_PRINTF (2, 3);
void client_expect (ClientConn *conn, ClientTalk talk);    /* and restarts the timer */
void client_flush (ClientConn *conn);
void client_conn_free (ClientConn *conn);
/* The connection is of no use any more; the trip goes on without it. */
void client_conn_lost (ClientConn *conn, const char *fmt, ...) G_GNUC_PRINTF (2, 3);

/* ---- talk.c ---- */

void client_talk_begin (ClientConn *conn);                 /* an established connection carries its trip */
void client_talk_reply (ClientConn *conn);                 /* conn->reply is complete */
const char *client_stage (const ClientConn *conn);         /* "sending MAIL FROM" */
EkTime client_stage_timeout (const ClientConn *conn);
void client_ready (ClientConn *conn);                      /* hello is over: it can carry its trip */

/* ---- hello.c ---- */

void client_hello (ClientConn *conn);
void client_hello_answered (ClientConn *conn);
void client_after_tls (ClientConn *conn);

/* ---- content.c ---- */

void client_content_begin (ClientConn *conn);
/* Fills conn->out up to the window; false: the content cannot be read. */
bool client_content_fill (ClientConn *conn);
bool client_content_is_8bit (const EkHop *hop, bool header_only);

/* ---- clienttls.c ---- */

bool client_tls_load (Client *self, GError **error);       /* CA file, in init() */
void client_tls_free (Client *self);
bool client_tls_begin (ClientConn *conn);                  /* false: impossible, trouble told */
int  client_tls_handshake (ClientConn *conn);              /* 1: done, 0: goes on, -1: failed, trouble told */
