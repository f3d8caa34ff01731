/* stream.h - a connection to a server that a blocking module asks: deadlines, several addresses, TLS, bounds on what is read
 * SPDX-License-Identifier: Apache-2.0
 *
 * For modules that speak a protocol of their own on a job thread (modules/tcp is the smallest):
 *
 *   connect():     ek_stream_connect
 *   lookup():      if (!ek_stream_begin (conn, call, self->timeout, 4096, &call->error)
 *                      || !ek_stream_write (conn, request, &call->error)
 *                      || !ek_stream_line (conn, 4096, &line, &call->error))
 *                    return EK_DEFER;
 *   disconnect():  ek_stream_disconnect
 *
 * Nothing waits longer than the question's deadline; nothing reads more than the question allows; false always comes with an error that
 * names the server.  After an error the connection is out of step, so the operation answers DEFER and the core closes it.  A name is
 * resolved on a thread of its own, since the system's resolver knows no deadline.
 *
 * One thread at a time.  With TLS SIGPIPE has to be ignored, as it is in all roles.
 */
#pragma once
#include <ekiden/ekiden.h>

typedef struct EkStream EkStream;

typedef struct {
  const char *text;                  /* as it was typed, for messages */
  char       *path;                  /* a unix socket; NULL: TCP */
  char       *host;                  /* a name or an address, without brackets */
  guint16     port;
  char       *name;                  /* "inet:host:port:name": where servers have one; else NULL */
  bool        local;                 /* a unix socket or loopback: what is said does not leave the machine */
} EkStreamServer;

typedef struct {                     /* a module's struct begins with it, and its rows are EK_STREAM_ROWS and its own */
  EkInstance      base;
  char          **server;
  EkTime          timeout, connect_timeout;
  const char     *tls, *tls_name, *tls_ca_file, *tls_certificate, *tls_key;
  bool            tls_verify;
  /* ek_stream_init()'s */
  EkStreamServer *servers;
  guint           n_servers;
} EkStreamInstance;

#define EK_STREAM_ROWS(tls_)                                                                                                      \
  EK_OPTION (EkStreamInstance, timeout, "10s", "How long a question may take, if whoever asks does not give up earlier: then it "  \
             "is put off.", .allow = "10ms..5m"),                                                                                \
  EK_OPTION (EkStreamInstance, connect_timeout, "3s", "How long connecting may take, with all servers and addresses.",            \
             .allow = "10ms..1m"),                                                                                               \
  EK_OPTION (EkStreamInstance, tls, tls_, "Whether the connection is TLS from its first byte. auto: yes, unless the server is a " \
             "unix socket or on this machine (loopback).", .allow = "auto|yes|no"),                                              \
  EK_OPTION (EkStreamInstance, tls_verify, "yes", "Whether the server's certificate must be good and for the name that was asked " \
             "for. Without it whoever is in between reads and answers."),                                                        \
  EK_OPTION (EkStreamInstance, tls_name, "", "The name in the server's certificate. Empty: that of server."),                    \
  EK_OPTION (EkStreamInstance, tls_ca_file, "", "PEM file of the authorities that may have signed it. Empty: the system's."),    \
  EK_OPTION (EkStreamInstance, tls_certificate, "", "PEM file of our own certificate, for servers that want one."),              \
  EK_OPTION (EkStreamInstance, tls_key, "", "PEM file of its private key, to be read by the directory role alone.")

/* Reads `server`: /path or unix:/path, host:port or inet:host:port with IPv6 addresses in brackets, host alone when there is a
 * default port (not 0).  With `named` each ends with ":name". */
gboolean ek_stream_init (EkStreamInstance *self, guint16 default_port, bool named, GError **error);
/* For EkModule, of those that need no more. */
void     ek_stream_stop (EkInstance *self);
gpointer ek_stream_connect (EkInstance *self, GError **error);
void     ek_stream_disconnect (EkInstance *self, gpointer conn);

/* Connects to the first server, in their order, that answers, by the first of its addresses that does.  NULL and *error, which
 * tells of each.  ek_stream_begin() comes before the first byte. */
EkStream *ek_stream_open (const EkStreamInstance *self, GError **error);
void      ek_stream_close (EkStream *stream);      /* NULL is fine */
const EkStreamServer *ek_stream_server (const EkStream *stream);

/* A stream that reads these bytes (copied) and then is closed, and whose writes go nowhere: parsers can be tested and fuzzed. */
EkStream *ek_stream_of_bytes (EkStr bytes);

/* A question begins: from now the stream obeys the call (NULL: none) and `timeout`, and reads `bytes_max` at most.  False when the
 * server has closed the connection or said something unasked, which might pass for an answer. */
bool ek_stream_begin (EkStream *stream, const EkCall *call, EkTime timeout, gsize bytes_max, GError **error);
bool ek_stream_write (EkStream *stream, EkStr bytes, GError **error);
/* What is given is borrowed until the next read.  A line without its end ("\n" or "\r\n"), of at most `max` bytes; exactly n bytes. */
bool ek_stream_line (EkStream *stream, gsize max, EkStr *line, GError **error);
bool ek_stream_bytes (EkStream *stream, gsize n, EkStr *bytes, GError **error);

/* Sets *error, with the server in front, and returns false: for what the module itself finds wrong in an answer. */
bool ek_stream_wrong (const EkStream *stream, GError **error, int code, const char *fmt, ...) G_GNUC_PRINTF (4, 5);
