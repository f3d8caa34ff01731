/* http.c - maps, passwords and users from an HTTP server that answers in JSON
 * SPDX-License-Identifier: Apache-2.0 */
#include "http.h"
#include "lookup/network.h"
#include <curl/curl.h>
#include <errno.h>
#include <string.h>

static const EkOption options[] = {
  EK_OPTION (Http, url, "[]", "As a map: what is asked, and the JSON that comes back is the answer: "
             "\"https://api.example.com/aliases/:address\". Parameters are escaped: :key (also :user or :address), :local and "
             ":domain (what is before and behind its @), and others that a question brings, as :client. 204, and 404 without "
             "an HTML page, are \"not found\"; everything else but 200 puts the question off. Of several URLs, which all have to know the "
             "same, each is asked in turn, and where one cannot be reached or answers 5xx the next one, within the same timeout."),
  EK_OPTION (Http, password_url, "[]", "As a passdb: gives an object with the member password, and others that the login obeys (nologin, "
             "allow_nets, user, userdb_...): \"https://api.example.com/users/:user/login?from=:client\". Of a login there are "
             ":service (smtp, imap) and :client (its address), too; both are empty when a user is only looked for."),
  EK_OPTION (Http, user_url, "[]", "As a userdb: gives an object with home, mail, uid, gid, quota_rule and whatever else is known of a "
             "user."),
  EK_OPTION (Http, post, "[]", "Parameters that are sent as a JSON object by POST: user, domain. Empty: the question is a GET."),
  EK_OPTION (Http, token, "", "Sent as `Authorization: Bearer`: file(\"/etc/ekiden/api.token\")."),
  EK_OPTION (Http, unix_socket, "", "The unix socket of the server; the URL's host then is only what it is called."),
  EK_OPTION (Http, allow_plain, "no", "Whether http:// may leave this machine: whoever is in between then reads and answers."),
  EK_OPTION (Http, tls_verify, "yes", "Whether the server's certificate must be good and for the URL's host."),
  EK_OPTION (Http, tls_ca_file, "", "PEM file of the authorities that may have signed it. Empty: the system's."),
  EK_OPTION (Http, tls_certificate, "", "PEM file of our own certificate, for servers that want one."),
  EK_OPTION (Http, tls_key, "", "PEM file of its private key, to be read by the directory role alone."),
  EK_OPTION (Http, timeout, "10s", "How long a question may take, if whoever asks does not give up earlier: then it is put off.",
             .allow = "10ms..5m"),
  EK_OPTION (Http, connect_timeout, "3s", "How long connecting may take.", .allow = "10ms..1m"),
  EK_OPTION (Http, answer_max, "1M", "The longest answer that is read.", .allow = "1K..16M"),
  EK_OPTION (Http, scheme, "CRYPT", "The scheme of passwords that have no {SCHEME} in front."),
  EK_OPTION (Http, home, "", "The home folder of those for whom none is given: /var/mail/%d/%n."),
  EK_OPTION (Http, mail, "", "The mailbox location of those for whom none is given: maildir:~/Maildir."),
  EK_OPTION (Http, uid, "", "The system user of those for whom none is given, as a number or a name."),
  EK_OPTION (Http, gid, "", "The system group of those for whom none is given, as a number or a name."),
  EK_OPTIONS_END
};

/* ---- settings ---- */

/* NULL, or what is wrong; *where is "host:port", in the pool. */
static const char *
parse_url (Http *self, const char *text, HttpUrl *url, char **where)
{
  bool tls = g_ascii_strncasecmp (text, "https://", 8) == 0;

  if (!tls && g_ascii_strncasecmp (text, "http://", 7) != 0)
    return "it begins with https:// or http://";
  const char *host = text + (tls ? 8 : 7), *end = host + strcspn (host, "/?#");
  EkStr name = { host, host[0] == '[' ? strcspn (host, "]") + 1 : strcspn (host, ":/?#") };
  if (name.n == 0 || host + name.n > end)
    return "it has no host";
  if (memchr (host, '@', (gsize) (end - host)))
    return "names and passwords have no place in it: see token";
  if (strchr (end, '#') || strpbrk (text, " \t\r\n"))
    return "it has a # or a blank";
  for (const char *port = host + name.n; port < end; port++)
    if (port == host + name.n ? *port != ':' : !g_ascii_isdigit (*port))
      return "behind its host there is more than a port; parameters may stand in the path and behind ? alone";
  if (!tls && !self->allow_plain && self->unix_socket == NULL && !ek_network_is_loopback (name))
    return "what is said would leave this machine in the clear: write https://, or allow_plain = yes";
  *where = ek_pool_strndup (self->pool, host, (gsize) (end - host));
  url->base = ek_pool_strndup (self->pool, text, (gsize) (end - text));
  url->rest = ek_param_text_new (self->pool, end);
  if (url->rest->n_params == 0 && self->post[0] == NULL)
    return "it has no parameter, so every question is the same: write .../:address, or set post";
  return NULL;
}

static bool
set_urls (Http *self, const char *option, char **texts, HttpUrls *urls, GError **error)
{
  guint n = g_strv_length (texts);
  char **hosts = ek_pool_newv (self->pool, char *, n + 1);

  urls->option = option;
  urls->urls = ek_pool_newv (self->pool, HttpUrl, n + 1);
  for (guint i = 0; i < n; i++) {
    const char *wrong = parse_url (self, texts[i], &urls->urls[i], &hosts[i]);
    if (wrong) {
      ek_fail (error, EK_FAIL, EINVAL, "%s: %s: %s", option, texts[i], wrong);
      return false;
    }
  }
  urls->n = n;
  urls->hosts = n ? ek_hosts_new (hosts, 443, error) : NULL;
  if (n && urls->hosts == NULL)
    g_prefix_error (error, "%s: ", option);
  return n == 0 || urls->hosts;
}

static bool
check_params (const EkParamText *text, const char *option, const char *more, GError **error)
{
  for (guint i = 0; i < text->n_parts; i++)
    if (text->parts[i].param && !ek_param_is_known (option, text->parts[i].param, more, error))
      return false;
  return true;
}

/* The question has a user's name and `more` (or NULL), and nothing else. */
static bool
set_user_urls (Http *self, const char *option, char **texts, const char *more, HttpUrls *urls, GError **error)
{
  if (!set_urls (self, option, texts, urls, error))
    return false;
  for (guint i = 0; i < urls->n; i++)
    if (!check_params (urls->urls[i].rest, option, more, error))
      return false;
  for (guint i = 0; urls->n && self->post[i]; i++)
    if (!ek_param_is_known ("post", self->post[i], more, error))
      return false;
  return true;
}

static const char *
login_part (const EkParamText *text)
{
  for (guint i = 0; i < text->n_parts; i++) {
    const EkTextPart *part = &text->parts[i];
    if (part->literal.n && memchr (part->literal.p, '?', part->literal.n))
      return NULL;
    if (part->param && !ek_param_is_known ("", part->param, NULL, NULL))
      return part->param;
  }
  return NULL;
}

static bool
set_all_urls (Http *self, GError **error)
{
  if (!set_urls (self, "url", self->url, &self->map_urls, error)
      || !set_user_urls (self, "password_url", self->password_url, EK_LOGIN_HAS, &self->pass_urls, error)
      || !set_user_urls (self, "user_url", self->user_url, NULL, &self->user_urls, error))
    return false;
  for (guint i = 0; i < self->pass_urls.n && self->pass_urls.in_path == NULL; i++)
    self->pass_urls.in_path = login_part (self->pass_urls.urls[i].rest);
  if (self->map_urls.n + self->pass_urls.n + self->user_urls.n > 0)
    return true;
  ek_fail (error, EK_FAIL, EINVAL, "set url (map), password_url (passdb) or user_url (userdb)");
  return false;
}

static bool
check_secrets (const Http *self, GError **error)
{
  if ((self->tls_certificate == NULL) != (self->tls_key == NULL)) {
    ek_fail (error, EK_FAIL, EINVAL, "tls_certificate and tls_key: set both or none");
    return false;
  }
  for (gsize i = 0; i < self->token.len; i++)
    if (!g_ascii_isgraph (self->token.text[i])) {
      ek_fail (error, EK_FAIL, EINVAL, "token: it has a character that no token has (a blank, an end of line)");
      return false;
    }
  return true;
}

static const char *
lacks (const EkInstance *base, const char *table)
{
  const Http *self = (const Http *) base;

  if (strcmp (table, "map") == 0)
    return self->url[0] ? NULL : "url is not set";
  if (strcmp (table, "passdb") == 0)
    return self->password_url[0] ? NULL : "password_url is not set";
  return self->user_url[0] || strcmp (table, "userdb") != 0 ? NULL : "user_url is not set";
}

static void
stop (EkInstance *base)
{
  Http *self = (Http *) base;

  ek_hosts_free (self->map_urls.hosts);
  ek_hosts_free (self->pass_urls.hosts);
  ek_hosts_free (self->user_urls.hosts);
  ek_pool_free (self->pool);
  self->pool = NULL;
  curl_global_cleanup ();
}

static gboolean
init (EkInstance *base, GError **error)
{
  Http *self = (Http *) base;

  curl_global_init (CURL_GLOBAL_DEFAULT);          /* counted by libcurl */
  self->pool = ek_pool_new ();
  if (set_all_urls (self, error) && check_secrets (self, error)
      && ek_record_defaults (&self->defaults, self->scheme, self->home, self->mail, self->uid, self->gid, error))
    return TRUE;
  stop (base);
  return FALSE;
}

/* ---- questions ---- */

static EkStatus
ask (EkInstance *base, EkCall *call, const HttpUrls *urls, const EkQuery *query, EkAnswer *answer)
{
  EkStr body;

  if (urls->n == 0)
    return ek_fail (&call->error, EK_DEFER, EINVAL, "%s is not set", urls->option);
  EkStatus status = http_ask ((Http *) base, call, urls, query, &body);
  return status == EK_OK ? http_answer (body, call->pool, answer, &call->error) : status;
}

static EkStatus
map_lookup (EkInstance *base, EkCall *call, const EkQuery *query, EkAnswer *answer)
{
  return ask (base, call, &((Http *) base)->map_urls, query, answer);
}

static EkStatus
pass_lookup (EkInstance *base, EkCall *call, const char *name, EkAccount *account)
{
  const Http *self = (Http *) base;
  EkParam params[EK_LOGIN_PARAMS];
  EkQuery query = { .key = ek_str (name), .params = params, .n_params = ek_login_params (call->login, params),
                    .by_client = &call->by_client };
  EkAnswer answer;

  if (call->login == NULL && self->pass_urls.in_path)     /* an empty one would ask for another resource, and nobody shall be unknown by that */
    return ek_fail (&call->error, EK_DEFER, EINVAL, "password_url: nobody logs in, so there is no :%s for its path: write it behind a ?, where it "
                    "may be empty", self->pass_urls.in_path);
  EkStatus status = ask (base, call, &self->pass_urls, &query, &answer);

  return status == EK_OK ? ek_record_account (call->pool, &answer, &self->defaults, account, &call->error) : status;
}

static EkStatus
user_lookup (EkInstance *base, EkCall *call, const char *name, EkUser *user)
{
  const Http *self = (Http *) base;
  EkAnswer answer;
  EkStatus status = ask (base, call, &self->user_urls, &(EkQuery) { .key = ek_str (name) }, &answer);

  return status == EK_OK ? ek_record_user (call->pool, &answer, &self->defaults, name, user, &call->error) : status;
}

static const EkMapOps map = { .lookup = map_lookup };
static const EkPassdbOps passdb = { .lookup = pass_lookup };
static const EkUserdbOps userdb = { .lookup = user_lookup };

EK_MODULE (http, .summary = "Maps, passwords and users from an HTTP server that answers in JSON", .options = options,
           .instance_size = sizeof (Http), .lacks = lacks, .init = init, .stop = stop, .connect = http_connect, .disconnect = http_disconnect,
           .map = &map, .passdb = &passdb, .userdb = &userdb);
