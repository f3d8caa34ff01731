/* dns-ask.c - asks DNS as the server does: dns-ask OPTIONS QUESTION... where QUESTION is TYPE:NAME, "then" or "cancel:TYPE:NAME"
 * SPDX-License-Identifier: Apache-2.0
 *
 * OPTIONS are settings of dns_unbound.  Questions up to a "then" are under way at once; a line is printed
 * for each, in their order, and at the end how many answers are remembered.
 */
#include "instance.h"
#include "loop/loop.h"
#include "net/resolve.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

typedef struct {
  const char *text;
  EkDnsType   type;
  EkBuf       said;
} Question;

static guint open_questions;

static EkDnsType
type_of (EkStr name)
{
  static const struct { const char *name; EkDnsType type; } types[] = {
    { "A", EK_DNS_A }, { "AAAA", EK_DNS_AAAA }, { "MX", EK_DNS_MX }, { "TXT", EK_DNS_TXT }, { "PTR", EK_DNS_PTR },
    { "CNAME", EK_DNS_CNAME }, { "TLSA", EK_DNS_TLSA } };

  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    if (ek_str_eq (name, ek_str (types[i].name)))
      return types[i].type;
  g_error ("no such type: %.*s", EK_STR_ARG (name));
}

static void
print_record (EkBuf *out, EkDnsType type, const EkDnsRecord *r)
{
  char address[INET6_ADDRSTRLEN];

  ek_buf_appends (out, " [");
  if (type == EK_DNS_A || type == EK_DNS_AAAA)
    ek_buf_appends (out, inet_ntop (type == EK_DNS_A ? AF_INET : AF_INET6, r->data.p, address, sizeof address));
  else if (type == EK_DNS_TLSA)
    ek_hex_encode (r->data, out);
  else if (type == EK_DNS_MX)
    ek_buf_printf (out, "%u %.*s", r->preference, EK_STR_ARG (r->data));
  else
    ek_buf_append (out, r->data.p, r->data.n);
  ek_buf_appends (out, "]");
}

static void
answered (EkStatus status, const EkDnsAnswer *a, const GError *error, gpointer data)
{
  Question *q = data;

  ek_buf_printf (&q->said, " %s%s%s", ek_status_name (status), a->secure ? " secure" : "", a->nxdomain ? " nxdomain" : "");
  for (guint i = 0; i < a->n; i++)
    print_record (&q->said, q->type, &a->records[i]);
  if (error)
    ek_buf_printf (&q->said, " (%s)", error->message);
  open_questions--;
}

static void
ask (Question *q)
{
  bool cancel = g_str_has_prefix (q->text, "cancel:");
  const char *text = q->text + (cancel ? 7 : 0), *colon = strchr (text, ':');

  q->type = type_of ((EkStr) { text, (gsize) (colon - text) });
  EkDnsQuery *query = ek_dns_query (colon + 1, q->type, answered, q);
  if (cancel)
    ek_dns_cancel (query);
  else
    open_questions++;
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  EkLoop *loop = ek_loop_new (&error);
  EkInstance *resolver = argc > 1 && *argv[1] ? ek_test_instance ("dns_unbound", argv[1]) : NULL;
  g_autofree Question *questions = g_new0 (Question, argc);

  ek_dns_use (resolver);
  for (int i = 2; i < argc; i++) {
    questions[i].text = argv[i];
    if (strcmp (argv[i], "then") != 0)
      ask (&questions[i]);
    while (open_questions > 0 && (i + 1 == argc || strcmp (argv[i], "then") == 0))
      ek_loop_turn (loop, true);
  }
  for (int i = 2; i < argc; i++) {
    if (strcmp (argv[i], "then") != 0)
      printf ("%s%.*s\n", argv[i], (int) ek_buf_len (&questions[i].said), ek_buf_len (&questions[i].said) ? ek_buf_at (&questions[i].said) : "");
    ek_buf_release (&questions[i].said);
  }
  printf ("remembered %u\n", ek_dns_cached ());
  ek_dns_use (NULL);
  ek_loop_turn (loop, false);
  if (resolver)
    ek_test_instance_free (resolver);
  ek_loop_free (loop);
  return 0;
}
