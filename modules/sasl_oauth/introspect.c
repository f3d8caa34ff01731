/* introspect.c - a server asked what a token is worth (RFC 7662), by libcurl
 * SPDX-License-Identifier: Apache-2.0 */
#include "oauth.h"
#include "lookup/network.h"
#include <curl/curl.h>
#include <pthread.h>
#include <string.h>

#define ANSWER_MAX (64 * 1024)
#define TIMEOUT_MS 10000               /* where the caller has no deadline */

typedef struct {                     /* a connection, and the answer that comes over it */
  CURL         *curl;
  EkBuf         answer;
  const EkCall *call;
  char          error[CURL_ERROR_SIZE];
} Conn;

static void
set_up (void)
{
  curl_global_init (CURL_GLOBAL_DEFAULT);
}

static size_t
take (char *bytes, size_t size, size_t n, void *data)
{
  Conn *conn = data;

  if (ek_buf_len (&conn->answer) + n > ANSWER_MAX)
    return 0;
  ek_buf_append (&conn->answer, bytes, n);
  return n;
}

static int
is_over (void *data, curl_off_t dltotal, curl_off_t dlnow, curl_off_t ultotal, curl_off_t ulnow)
{
  return ((Conn *) data)->call->cancelled;
}

gpointer
oauth_connect (EkInstance *base, GError **error)
{
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  const OAuth *self = (const OAuth *) base;

  pthread_once (&once, set_up);
  Conn *conn = g_new0 (Conn, 1);
  conn->curl = curl_easy_init ();
  if (conn->curl == NULL) {
    ek_fail (error, EK_DEFER, 0, "libcurl cannot be set up");
    g_free (conn);
    return NULL;
  }
  curl_easy_setopt (conn->curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt (conn->curl, CURLOPT_ERRORBUFFER, conn->error);
  curl_easy_setopt (conn->curl, CURLOPT_WRITEFUNCTION, take);
  curl_easy_setopt (conn->curl, CURLOPT_WRITEDATA, conn);
  curl_easy_setopt (conn->curl, CURLOPT_XFERINFOFUNCTION, is_over);
  curl_easy_setopt (conn->curl, CURLOPT_XFERINFODATA, conn);
  curl_easy_setopt (conn->curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt (conn->curl, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt (conn->curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt (conn->curl, CURLOPT_PROXY, "");
  curl_easy_setopt (conn->curl, CURLOPT_URL, self->introspection_url ? self->introspection_url : "");
  if (self->ca_file)
    curl_easy_setopt (conn->curl, CURLOPT_CAINFO, self->ca_file);
  if (self->client_id) {
    curl_easy_setopt (conn->curl, CURLOPT_HTTPAUTH, (long) CURLAUTH_BASIC);
    curl_easy_setopt (conn->curl, CURLOPT_USERNAME, self->client_id);
    curl_easy_setopt (conn->curl, CURLOPT_PASSWORD, self->client_secret.text ? self->client_secret.text : "");
  }
  return conn;
}

void
oauth_disconnect (EkInstance *self, gpointer data)
{
  Conn *conn = data;

  curl_easy_cleanup (conn->curl);
  ek_buf_release (&conn->answer);
  g_free (conn);
}

bool
oauth_check_url (const char *url, GError **error)
{
  CURLU *parsed = curl_url ();
  char *scheme = NULL, *host = NULL;
  bool ok = curl_url_set (parsed, CURLUPART_URL, url, 0) == CURLUE_OK && curl_url_get (parsed, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK
            && curl_url_get (parsed, CURLUPART_HOST, &host, 0) == CURLUE_OK;

  if (!ok)
    ek_fail (error, EK_FAIL, 0, "introspection_url: \"%s\" is no URL: write https://idp.example.com/introspect", url);
  else if (strcmp (scheme, "https") != 0 && !(strcmp (scheme, "http") == 0 && ek_network_is_loopback (ek_str (host)))) {
    ek_fail (error, EK_FAIL, 0, "introspection_url: \"%s\" would send tokens in the clear: write https://", url);
    ok = false;
  }
  curl_free (scheme);
  curl_free (host);
  curl_url_cleanup (parsed);
  return ok;
}

static long
patience (const EkCall *call)
{
  gint64 left = call->deadline ? (call->deadline - g_get_monotonic_time ()) / 1000 : TIMEOUT_MS;

  return (long) CLAMP (left, 1, 600000);
}

static OAuthResult
read_answer (Conn *conn, json_t **claims, const char *url, GError **error)
{
  long code = 0;

  curl_easy_getinfo (conn->curl, CURLINFO_RESPONSE_CODE, &code);
  if (code != 200) {
    ek_fail (error, EK_DEFER, 0, "%s answers with status %ld%s", url, code,
             code == 401 || code == 403 ? ": look at client_id and client_secret" : "");
    return OAUTH_UNKNOWN;
  }
  json_t *answer = json_loadb (ek_buf_at (&conn->answer), ek_buf_len (&conn->answer), JSON_REJECT_DUPLICATES, NULL);
  const json_t *active = json_object_get (answer, "active");
  if (!json_is_boolean (active)) {
    json_decref (answer);
    ek_fail (error, EK_DEFER, 0, "%s answers with something that is not RFC 7662: no \"active\" that is true or false", url);
    return OAUTH_UNKNOWN;
  }
  if (json_is_true (active)) {
    *claims = answer;
    return OAUTH_GOOD;
  }
  json_decref (answer);
  return OAUTH_BAD;
}

OAuthResult
oauth_introspect (const OAuth *self, EkCall *call, EkStr token, json_t **claims, GError **error)
{
  Conn *conn = call->conn;
  char *escaped = curl_easy_escape (conn->curl, token.p, (int) token.n);
  g_autofree char *body = g_strconcat ("token=", escaped ? escaped : "", "&token_type_hint=access_token", NULL);
  OAuthResult result = OAUTH_UNKNOWN;

  conn->call = call;
  conn->error[0] = '\0';
  ek_buf_clear (&conn->answer);
  curl_easy_setopt (conn->curl, CURLOPT_TIMEOUT_MS, patience (call));
  curl_easy_setopt (conn->curl, CURLOPT_COPYPOSTFIELDS, body);
  CURLcode rc = curl_easy_perform (conn->curl);
  if (rc == CURLE_OK)
    result = read_answer (conn, claims, self->introspection_url, error);
  else
    ek_fail (error, EK_DEFER, 0, "%s: %s", self->introspection_url, conn->error[0] ? conn->error : curl_easy_strerror (rc));
  curl_easy_setopt (conn->curl, CURLOPT_COPYPOSTFIELDS, "");
  ek_buf_clear (&conn->answer);
  ek_wipe (body, strlen (body));
  if (escaped)
    ek_wipe (escaped, strlen (escaped));
  curl_free (escaped);
  return result;
}
