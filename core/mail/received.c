/* received.c - writes the Received: field and counts those that are there
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "mail/received.h"
#include "mail/address.h"
#include "mail/date.h"
#include <string.h>

#define TEXT_MAX 255                 /* of any one piece that the client chose */

const char *
ek_received_with (const EkReceived *r)
{
  static const char *const names[2][2][2] = {        /* SMTPUTF8, TLS, AUTH: RFC 3848, RFC 6531 4.3 */
    { { "ESMTP", "ESMTPA" }, { "ESMTPS", "ESMTPSA" } },
    { { "UTF8SMTP", "UTF8SMTPA" }, { "UTF8SMTPS", "UTF8SMTPSA" } },
  };
  static const char *const lmtp[2][2][2] = {
    { { "LMTP", "LMTPA" }, { "LMTPS", "LMTPSA" } },
    { { "UTF8LMTP", "UTF8LMTPA" }, { "UTF8LMTPS", "UTF8LMTPSA" } },
  };
  bool tls = r->client && r->client->tls;

  if (r->lmtp)
    return lmtp[r->utf8][tls][r->auth];
  return r->esmtp || r->utf8 || r->auth ? names[r->utf8][tls][r->auth] : "SMTP";
}

/* A piece that came from outside: nothing in it may end the line, a comment or the field. */
static void
append_safe (EkBuf *out, EkStr s, bool utf8)
{
  for (gsize i = 0; i < s.n && i < TEXT_MAX; i++) {
    guchar c = (guchar) s.p[i];
    bool good = c > ' ' && c != 127 && (c < 0x80 || utf8) && strchr ("()<>;,\"\\", c) == NULL;
    ek_buf_appendc (out, good ? (char) c : '?');
  }
}

static void
append_address (EkBuf *out, const char *address)
{
  bool v6 = strchr (address, ':') != NULL && !g_str_has_prefix (address, "IPv6:");

  ek_buf_printf (out, "[%s", v6 ? "IPv6:" : "");
  append_safe (out, ek_str (address), false);
  ek_buf_appends (out, "]");
}

static void
append_client (EkBuf *out, const EkReceived *r)
{
  const EkClient *c = r->client;

  ek_buf_appends (out, "Received: from ");
  append_safe (out, r->helo.n > 0 ? r->helo : ek_str (c->address), r->utf8);
  ek_buf_appends (out, " (");
  append_safe (out, ek_str (c->host ? c->host : "unknown"), false);
  ek_buf_appends (out, " ");
  append_address (out, c->address ? c->address : "unknown");
  ek_buf_appends (out, ")\r\n");
  if (c->tls && r->show_tls) {
    ek_buf_appends (out, "\t(using ");
    append_safe (out, ek_str (c->tls_version ? c->tls_version : "TLS"), false);
    ek_buf_appends (out, " with cipher ");
    append_safe (out, ek_str (c->tls_cipher ? c->tls_cipher : "unknown"), false);
    ek_buf_printf (out, " (%d/%d bits))\r\n", c->tls_bits, c->tls_bits);
  }
  if (r->login) {
    ek_buf_appends (out, "\t(Authenticated sender: ");
    append_safe (out, ek_str (r->login), r->utf8);
    ek_buf_appends (out, ")\r\n");
  }
}

void
ek_received_write (EkBuf *out, const EkReceived *r)
{
  char date[EK_DATE_SIZE];
  const char *mail_name = r->mail_name ? r->mail_name : "Ekiden";
  const char *rcpt = r->rcpt.n > 0 ? "\r\n\tfor <" : "";

  if (r->client) {
    append_client (out, r);
    ek_buf_printf (out, "\tby %s (%s) with %s id %s%s", r->hostname, mail_name, ek_received_with (r),
                   r->queue_id, rcpt);
  }
  else
    ek_buf_printf (out, "Received: by %s (%s, from userid %" G_GINT64_FORMAT ")\r\n\tid %s%s", r->hostname,
                   mail_name, r->uid, r->queue_id, rcpt);
  if (r->rcpt.n > 0) {
    for (gsize i = 0; i < r->rcpt.n && i < EK_ADDRESS_MAX + 1; i++) {
      guchar c = (guchar) r->rcpt.p[i];
      ek_buf_appendc (out, c < ' ' || c == 127 || (c >= 0x80 && !r->utf8) ? '?' : (char) c);
    }
    ek_buf_appends (out, ">");
  }
  ek_date_format (date, r->seconds, ek_date_zone (r->seconds));
  ek_buf_printf (out, "; %s (%s)\r\n", date, ek_date_zone_name (r->seconds));
}

/* ---- loops --------------------------------------------------------------------------------- */

static bool
count_hop (const EkHeader *h, gpointer data)
{
  EkHops *hops = data;

  if (!h->colon)
    return true;
  if (ek_str_ieq (h->name, EK_STR ("Received")))
    hops->received++;
  else if (ek_str_ieq (h->name, EK_STR ("Delivered-To"))) {
    EkStr value = ek_str_trim (h->value);
    if (hops->delivered_to < EK_HOPS_KEPT && value.n <= 2 * EK_DOMAIN_MAX)
      hops->seen[hops->delivered_to] = ek_pool_str (hops->pool, value);
    hops->delivered_to++;
  }
  return true;
}

void
ek_hops_feed (EkHops *hops, const char *bytes, gsize n)
{
  if (hops->done)
    return;
  if (hops->split.func == NULL)
    hops->split = (EkHeaderSplit) { .field_max = 1024, .func = count_hop };
  hops->split.data = hops;
  ek_header_split_feed (&hops->split, bytes, n);
  if (hops->split.done)
    ek_hops_end (hops);
}

void
ek_hops_end (EkHops *hops)
{
  if (hops->split.func && !hops->split.done) {
    hops->split.data = hops;
    ek_header_split_end (&hops->split);
  }
  hops->done = true;
  ek_header_split_clear (&hops->split);
}

bool
ek_hops_delivered_to (const EkHops *hops, EkStr address)
{
  for (guint i = 0; i < MIN (hops->delivered_to, EK_HOPS_KEPT); i++)
    if (ek_str_ieq (hops->seen[i], address))
      return true;
  return false;
}
