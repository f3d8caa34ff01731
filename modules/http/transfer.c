/* transfer.c - one request by libcurl, within a deadline and a bound
 * SPDX-License-Identifier: Apache-2.0 */
#include "http.h"
#include "base/base.h"
#include <curl/curl.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define SLICE_MS    250              /* between two looks whether the question was given up */
#define URL_MAX     8192             /* no server takes longer ones */
#define HEADERS_MAX 65536            /* bytes of an answer's header lines */
#define PROBE_US    G_USEC_PER_SEC   /* who has not let us in by then is away */

typedef struct {
  const Http        *self;
  CURLM             *multi;
  CURL              *easy;
  struct curl_slist *headers;
  EkBuf              body;
  gsize              headers_seen;
  bool               too_large;
  char               why[CURL_ERROR_SIZE];
} Conn;

/* ---- what comes back ---- */

static size_t
take_body (char *bytes, size_t size, size_t n, void *data)
{
  Conn *conn = data;

  n *= size;
  if (n > conn->self->answer_max.bytes - ek_buf_len (&conn->body)) {
    conn->too_large = true;
    return CURL_WRITEFUNC_ERROR;
  }
  ek_buf_append (&conn->body, bytes, n);
  return n;
}

static size_t
take_header (char *bytes, size_t size, size_t n, void *data)
{
  Conn *conn = data;

  conn->headers_seen += n * size;
  conn->too_large |= conn->headers_seen > HEADERS_MAX;
  return conn->too_large ? CURL_WRITEFUNC_ERROR : n * size;
}

/* ---- connections ---- */

void
http_disconnect (EkInstance *base, gpointer data)
{
  Conn *conn = data;

  curl_easy_cleanup (conn->easy);
  curl_multi_cleanup (conn->multi);
  for (struct curl_slist *h = conn->headers; h; h = h->next)
    ek_wipe (h->data, strlen (h->data));             /* the token */
  curl_slist_free_all (conn->headers);
  ek_buf_wipe (&conn->body);
  g_free (conn);
}

static void
set_tls (const Http *self, CURL *easy)
{
  curl_easy_setopt (easy, CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
  curl_easy_setopt (easy, CURLOPT_SSL_VERIFYPEER, self->tls_verify ? 1L : 0L);
  curl_easy_setopt (easy, CURLOPT_SSL_VERIFYHOST, self->tls_verify ? 2L : 0L);
  if (self->tls_ca_file)
    curl_easy_setopt (easy, CURLOPT_CAINFO, self->tls_ca_file);
  if (self->tls_certificate) {
    curl_easy_setopt (easy, CURLOPT_SSLCERT, self->tls_certificate);
    curl_easy_setopt (easy, CURLOPT_SSLKEY, self->tls_key);
    curl_easy_setopt (easy, CURLOPT_KEYPASSWD, "");          /* else the terminal would be asked, and waited for */
  }
}

static void
set_headers (const Http *self, Conn *conn)
{
  conn->headers = curl_slist_append (NULL, "Accept: application/json");
  conn->headers = curl_slist_append (conn->headers, "Expect:");
  if (self->post[0])
    conn->headers = curl_slist_append (conn->headers, "Content-Type: application/json");
  if (self->token.len) {
    char *line = g_strdup_printf ("Authorization: Bearer %.*s", (int) self->token.len, self->token.text);
    conn->headers = curl_slist_append (conn->headers, line);
    ek_wipe_free (line);
  }
  curl_easy_setopt (conn->easy, CURLOPT_HTTPHEADER, conn->headers);
}

/* Nothing of the environment counts (proxies, .netrc), nobody sends us elsewhere, and nothing is compressed. */
static Conn *
conn_new (const Http *self)
{
  Conn *conn = g_new0 (Conn, 1);

  conn->self = self;
  conn->multi = curl_multi_init ();
  CURL *easy = conn->easy = curl_easy_init ();
  if (conn->multi == NULL || easy == NULL)
    g_error ("libcurl has no memory");
  curl_easy_setopt (easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt (easy, CURLOPT_QUICK_EXIT, 1L);         /* a resolver that hangs is left behind */
  curl_easy_setopt (easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt (easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt (easy, CURLOPT_PROXY, "");
  curl_easy_setopt (easy, CURLOPT_NETRC, (long) CURL_NETRC_IGNORED);
  curl_easy_setopt (easy, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt (easy, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
  curl_easy_setopt (easy, CURLOPT_USERAGENT, "ekiden");
  curl_easy_setopt (easy, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt (easy, CURLOPT_CONNECTTIMEOUT_MS, (long) (self->connect_timeout.us / 1000));
  curl_easy_setopt (easy, CURLOPT_ERRORBUFFER, conn->why);
  curl_easy_setopt (easy, CURLOPT_WRITEFUNCTION, take_body);
  curl_easy_setopt (easy, CURLOPT_WRITEDATA, conn);
  curl_easy_setopt (easy, CURLOPT_HEADERFUNCTION, take_header);
  curl_easy_setopt (easy, CURLOPT_HEADERDATA, conn);
  if (self->unix_socket)
    curl_easy_setopt (easy, CURLOPT_UNIX_SOCKET_PATH, self->unix_socket);
  set_tls (self, easy);
  set_headers (self, conn);
  return conn;
}

/* ---- one transfer ---- */

/* CURLE_OK, or what went wrong; CURLE_OPERATION_TIMEDOUT at the deadline too. */
static CURLcode
wait_for (Conn *conn, const EkCall *call, gint64 deadline)
{
  int running = 1, left;
  CURLMsg *message;

  for (;;) {
    gint64 now = ek_now ();
    if (curl_multi_perform (conn->multi, &running) != CURLM_OK)
      return CURLE_FAILED_INIT;
    while ((message = curl_multi_info_read (conn->multi, &left)))
      if (message->msg == CURLMSG_DONE)
        return message->data.result;
    if (now >= deadline || (call && call->cancelled))
      return CURLE_OPERATION_TIMEDOUT;
    if (curl_multi_poll (conn->multi, NULL, 0, (int) CLAMP ((deadline - now) / 1000, 1, SLICE_MS), NULL) != CURLM_OK)
      return CURLE_FAILED_INIT;
  }
}

static CURLcode
perform (Conn *conn, const EkCall *call, gint64 deadline)
{
  conn->why[0] = '\0';
  conn->headers_seen = 0;
  conn->too_large = false;
  ek_buf_wipe (&conn->body);
  curl_easy_setopt (conn->easy, CURLOPT_TIMEOUT_MS, (long) CLAMP ((deadline - ek_now ()) / 1000, 1, G_MAXINT));
  if (curl_multi_add_handle (conn->multi, conn->easy) != CURLM_OK)
    return CURLE_FAILED_INIT;
  CURLcode rc = wait_for (conn, call, deadline);
  curl_multi_remove_handle (conn->multi, conn->easy);      /* an unfinished transfer ends with its connection */
  return rc;
}

static EkStatus
broke (const Conn *conn, const char *where, CURLcode rc, GError **error)
{
  if (conn->too_large)
    return ek_fail (error, EK_DEFER, E2BIG, "%s: the answer is longer than answer_max (%" G_GUINT64_FORMAT " bytes) allows", where,
                    conn->self->answer_max.bytes);
  return ek_fail (error, EK_DEFER, rc == CURLE_OPERATION_TIMEDOUT ? ETIMEDOUT : EIO, "%s: %s", where,
                  conn->why[0] ? conn->why : curl_easy_strerror (rc));
}

/* What each of several servers said, as one error. */
static void
tell_all (GString *said, const char *why)
{
  g_string_append_printf (said, "%s%s", said->len ? "; " : "", why);
}

/* Of the time that is left, for the first of `servers`: one that says nothing leaves some to the others. */
static gint64
share_of (gint64 deadline, guint servers)
{
  return MAX (deadline - ek_now (), 0) / servers;
}

/* Whether this says something of the server: who was silent for less than he may be is perhaps just slow.  `share` may lack a little, which went
 * by on the way. */
static bool
is_telling (CURLcode rc, gint64 share, gint64 fair)
{
  return rc != CURLE_OPERATION_TIMEDOUT || share >= fair - fair / 8;
}

static CURLcode
probe (const Http *self, const char *where, gint64 share, GString *said)
{
  g_autoptr (GError) why = NULL;
  Conn *conn = conn_new (self);

  curl_easy_setopt (conn->easy, CURLOPT_URL, where);
  curl_easy_setopt (conn->easy, CURLOPT_CONNECT_ONLY, 1L);
  CURLcode rc = perform (conn, NULL, ek_now () + share);
  if (rc != CURLE_OK) {
    broke (conn, where, rc, &why);
    tell_all (said, why->message);
  }
  http_disconnect ((EkInstance *) &self->base, conn);
  return rc;
}

/* All of the servers together have connect_timeout: whoever asks waits for it, and how long he may is not known here. */
gpointer
http_connect (EkInstance *base, GError **error)
{
  const Http *self = (Http *) base;
  const HttpUrls *urls = self->map_urls.n ? &self->map_urls : self->pass_urls.n ? &self->pass_urls : &self->user_urls;
  gint64 deadline = ek_now () + self->connect_timeout.us;
  g_autoptr (GString) said = g_string_new (NULL);
  guint order[EK_HOSTS_MAX];

  ek_hosts_order (urls->hosts, order);
  for (guint i = 0; i < urls->n; i++) {
    gint64 share = share_of (deadline, urls->n - i);
    CURLcode rc = probe (self, urls->urls[order[i]].base, share, said);
    if (is_telling (rc, share, MIN (self->connect_timeout.us, PROBE_US)))
      ek_hosts_mark (urls->hosts, order[i], rc == CURLE_OK);
    if (rc == CURLE_OK)
      return conn_new (self);
  }
  ek_fail (error, EK_DEFER, 0, "%s", said->str);
  return NULL;
}

/* ---- questions ---- */

/* What is no letter, digit or one of -._~ stands as %XX (RFC 3986 2.3). */
static void
escape (EkBuf *out, EkStr value)
{
  for (gsize i = 0; i < value.n; i++)
    if (g_ascii_isalnum (value.p[i]) || strchr ("-._~", value.p[i]))
      ek_buf_appendc (out, value.p[i]);
    else
      ek_buf_printf (out, "%%%02X", (guchar) value.p[i]);
}

/* A value that is empty or ".." would ask for another resource: the list of all, or what lies above. */
static bool
stays_in_path (const EkParamText *text, const EkQuery *query)
{
  for (guint i = 0; i < text->n_parts; i++) {
    const EkTextPart *part = &text->parts[i];
    if (part->literal.n && memchr (part->literal.p, '?', part->literal.n))
      return true;
    EkStr value = part->param ? ek_query_value (query, part->param) : EK_STR ("x");
    if (value.n == 0 || ek_str_eq (value, EK_STR (".")) || ek_str_eq (value, EK_STR ("..")))
      return false;
  }
  return true;
}

/* {"user": "...", ...}; malloc'ed by jansson; NULL: a value is no UTF-8 or has a NUL. */
static char *
make_body (const Http *self, const EkQuery *query)
{
  json_t *object = json_object ();
  bool good = true;

  for (guint i = 0; self->post[i] && good; i++) {
    EkStr value = ek_query_value (query, self->post[i]);
    good = value.n == 0 || (memchr (value.p, '\0', value.n) == NULL && g_utf8_validate (value.p, (gssize) value.n, NULL));
    if (good)
      json_object_set_new (object, self->post[i], json_stringn (value.n ? value.p : "", value.n));
  }
  char *text = good ? json_dumps (object, JSON_COMPACT) : NULL;
  json_decref (object);
  return text;
}

/* A page for people: a web server's own, where the application that knows has not been asked. */
static bool
is_page (Conn *conn)
{
  const char *type = NULL;

  return curl_easy_getinfo (conn->easy, CURLINFO_CONTENT_TYPE, &type) == CURLE_OK && type
         && g_ascii_strncasecmp (type, "text/html", 9) == 0;
}

static EkStatus
answered (Conn *conn, const char *where, EkStr *body, GError **error)
{
  char *elsewhere = NULL;
  long code = 0;

  curl_easy_getinfo (conn->easy, CURLINFO_RESPONSE_CODE, &code);
  *body = ek_buf_len (&conn->body) ? ek_buf_str (&conn->body) : EK_STR ("");
  if (code == 200)
    return EK_OK;
  if (code == 404 && is_page (conn))
    return ek_fail (error, EK_DEFER, EREMOTEIO, "%s: answers 404 with a page (text/html), so the application may be missing there: \"not found\" "
                    "is 204, or 404 with JSON or with nothing", where);
  if (code == 404 || code == 204)
    return EK_NOTFOUND;
  if (code / 100 == 3 && curl_easy_getinfo (conn->easy, CURLINFO_REDIRECT_URL, &elsewhere) == CURLE_OK && elsewhere)
    return ek_fail (error, EK_DEFER, EREMOTEIO, "%s: it sends us to %.200s (%ld): redirects are not followed, write the new URL", where,
                    elsewhere, code);
  return ek_fail (error, EK_DEFER, EREMOTEIO, "%s: answers %ld%s", where, code,
                  code == 401 || code == 403 ? ": is token right?" : code / 100 == 4 ? ": the question is not what it expects" : "");
}

/* The whole URL, with a NUL; ek_buf_release() it.  False: it is longer than any server takes. */
static bool
make_url (const HttpUrl *url, const EkQuery *query, EkBuf *text)
{
  ek_buf_appends (text, url->base);
  ek_param_text_append (url->rest, query, escape, text);
  bool fits = ek_buf_len (text) <= URL_MAX;
  ek_buf_appendc (text, '\0');
  return fits;
}

static bool
is_url (const HttpUrl *url, const EkQuery *query)
{
  EkBuf text = { 0 };

  if (!ek_param_text_fits (url->rest, query, true) || !stays_in_path (url->rest, query))
    return false;
  bool fits = make_url (url, query, &text);
  ek_buf_release (&text);
  return fits;
}

/* OK; NOTFOUND: such a key can be nowhere, whichever server is asked; DEFER and *error: the question lacks a parameter. */
static EkStatus
can_ask (const Http *self, EkCall *call, const HttpUrls *urls, const EkQuery *query)
{
  for (guint i = 0; i < urls->n; i++)
    if (ek_param_text_needs (urls->urls[i].rest, query, urls->option, &call->error) != EK_OK)
      return EK_DEFER;
  for (guint i = 0; self->post[i]; i++)
    if (ek_query_needs (query, "post", self->post[i], &call->error) != EK_OK)
      return EK_DEFER;
  for (guint i = 0; i < urls->n; i++)
    if (!is_url (&urls->urls[i], query))
      return EK_NOTFOUND;
  return EK_OK;
}

/* One server.  *away: it cannot be reached, or is at fault (5xx), so that another one may know more; *told: and that may be remembered. */
static EkStatus
ask_one (Conn *conn, EkCall *call, const HttpUrl *url, const EkQuery *query, gint64 share, gint64 fair, bool *away, bool *told, EkStr *body)
{
  EkBuf text = { 0 };
  long code = 0;

  make_url (url, query, &text);                                        /* it fits: can_ask() */
  curl_easy_setopt (conn->easy, CURLOPT_URL, ek_buf_at (&text));       /* copied */
  ek_buf_release (&text);
  CURLcode rc = perform (conn, call, ek_now () + share);
  call->conn_works = rc == CURLE_OK;
  *away = rc != CURLE_OK && !conn->too_large;
  *told = !call->cancelled && is_telling (rc, share, fair);
  if (rc != CURLE_OK)
    return broke (conn, url->base, rc, &call->error);
  *away = curl_easy_getinfo (conn->easy, CURLINFO_RESPONSE_CODE, &code) == CURLE_OK && code / 100 == 5;
  return answered (conn, url->base, body, &call->error);
}

/* Nobody is asked when the time is over, and who had less of it than the settings give, since the caller is in a hurry, is not down for that. */
static EkStatus
ask_in_turn (Conn *conn, EkCall *call, const HttpUrls *urls, const EkQuery *query, gint64 deadline, EkStr *body)
{
  const Http *self = conn->self;
  gint64 fair = MIN (self->connect_timeout.us, self->timeout.us / urls->n);
  g_autoptr (GString) said = g_string_new (NULL);
  EkStatus status = EK_DEFER;
  guint order[EK_HOSTS_MAX], i;
  bool away = true, told;

  call->conn_works = true;                         /* for all we know, until somebody is asked */
  ek_hosts_order (urls->hosts, order);
  for (i = 0; i < urls->n && away && !call->cancelled && ek_now () < deadline; i++) {
    g_clear_error (&call->error);
    status = ask_one (conn, call, &urls->urls[order[i]], query, share_of (deadline, urls->n - i), fair, &away, &told, body);
    if (told)
      ek_hosts_mark (urls->hosts, order[i], !away);
    if (away)
      tell_all (said, call->error->message);
  }
  if (!away || (urls->n == 1 && i == 1))
    return status;
  if (i < urls->n)
    tell_all (said, i ? "no time was left to ask the others" : "no time was left to ask");
  g_clear_error (&call->error);
  return ek_fail (&call->error, EK_DEFER, i ? EIO : ETIMEDOUT, "%s", said->str);
}

EkStatus
http_ask (const Http *self, EkCall *call, const HttpUrls *urls, const EkQuery *query, EkStr *body)
{
  Conn *conn = call->conn;
  gint64 deadline = ek_now () + self->timeout.us;
  EkStatus status = can_ask (self, call, urls, query);

  if (status != EK_OK)
    return status;
  char *post = self->post[0] ? make_body (self, query) : NULL;
  if (self->post[0] && post == NULL)
    return EK_NOTFOUND;
  if (post) {
    curl_easy_setopt (conn->easy, CURLOPT_POSTFIELDSIZE, (long) strlen (post));
    curl_easy_setopt (conn->easy, CURLOPT_POSTFIELDS, post);
  }
  if (call->deadline)
    deadline = MIN (deadline, call->deadline);
  status = ask_in_turn (conn, call, urls, query, deadline, body);
  free (post);
  return status;
}
