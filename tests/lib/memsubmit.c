/* memsubmit.c - directory and queue in memory: recipients are answered, messages collected
 * SPDX-License-Identifier: Apache-2.0
 */
#include "memsubmit.h"
#include "memsession.h"
#include "flow/edge.h"
#include <string.h>

MemMail mem_mail;

typedef struct {                     /* an answer on its way */
  void     (*rcpt) (const EkRcptAnswer *answer, gpointer data);
  EkRcptAnswer answer;
  EkSubmitFunc submitted;
  EkSubmit    *ready;
  gpointer     data;
} Later;

struct EkSubmit {
  EkBuf    bytes;
  EkSession *session;
  guint64  size;
  gsize    waiting;
  void   (*ready) (gpointer data);
  gpointer ready_data;
};

static GQueue later;
static guint under_way;

bool
ek_session_trusted (EkSession *s)
{
  return mem_mail.trusted;
}

static void
push (Later what)
{
  g_queue_push_tail (&later, g_memdup2 (&what, sizeof what));
}

static bool
is_word (EkStr address, const char *word)
{
  return address.n > strlen (word) && memcmp (address.p, word, strlen (word)) == 0;
}

static bool
ends (EkStr address, const char *domain)
{
  gsize n = strlen (domain);

  return address.n >= n && g_ascii_strncasecmp (address.p + address.n - n, domain, n) == 0;
}

void
ek_rcpt_check (EkSession *s, EkStr address, void (*func) (const EkRcptAnswer *, gpointer), gpointer data)
{
  EkRcptAnswer a = { .status = EK_OK, .class = EK_RCPT_REMOTE };

  if (ends (address, "@example.test") || ek_str_ieq (address, EK_STR ("postmaster")))
    a.class = EK_RCPT_LOCAL;
  else if (ends (address, "@relay.test"))
    a.class = EK_RCPT_RELAY;
  if (is_word (address, "nobody"))
    a.status = EK_NOTFOUND;
  else if (is_word (address, "later"))
    a = (EkRcptAnswer) { EK_DEFER, a.class, "4.3.5", "Server configuration error" };
  else if (is_word (address, "never"))
    a = (EkRcptAnswer) { EK_FAIL, a.class, "5.2.1", "Mailbox disabled" };
  under_way++;
  mem_mail.checks_most = MAX (mem_mail.checks_most, under_way);
  push ((Later) { .rcpt = func, .answer = a, .data = data });
}

bool
ek_submit_await (void (*func) (gpointer data), gpointer data)
{
  return false;
}

bool
ek_submit_accepting (const char **why)
{
  *why = mem_mail.full ? "no space" : NULL;
  return !mem_mail.full;
}

EkSubmit *
ek_submit_new (EkSession *s)
{
  EkSubmit *sub = g_new0 (EkSubmit, 1);

  sub->session = s;
  return sub;
}

bool
ek_submit_write (EkSubmit *sub, const void *bytes, gsize n)
{
  g_assert (n > 0);
  ek_buf_append (&sub->bytes, bytes, n);
  sub->size += n;
  if (mem_mail.window == 0)
    return true;
  bool was = sub->waiting >= mem_mail.window;
  sub->waiting += n;
  if (!was && sub->waiting >= mem_mail.window)
    push ((Later) { .ready = sub });
  return sub->waiting < mem_mail.window;
}

void
ek_submit_on_ready (EkSubmit *sub, void (*ready) (gpointer data), gpointer data)
{
  sub->ready = ready;
  sub->ready_data = data;
}

guint64
ek_submit_size (const EkSubmit *sub)
{
  return sub->size;
}

void
ek_submit_free (EkSubmit *sub)
{
  if (sub == NULL)
    return;
  for (GList *l = later.head, *next; l; l = next) {
    next = l->next;
    if (((Later *) l->data)->ready == sub) {
      g_free (l->data);
      g_queue_delete_link (&later, l);
    }
  }
  ek_buf_release (&sub->bytes);
  g_free (sub);
}

static char *
rcpts_text (const EkEnvelope *e)
{
  GString *out = g_string_new (NULL);

  for (guint i = 0; i < e->n_rcpts; i++) {
    const EkRcpt *r = &e->rcpts[i];
    g_string_append_printf (out, "%s%.*s", i ? " " : "", EK_STR_ARG (r->address));
    if (r->notify || r->orcpt)
      g_string_append_printf (out, "[%s,%s]", r->notify ? r->notify : "", r->orcpt ? r->orcpt : "");
  }
  return g_string_free (out, FALSE);
}

void
ek_submit_commit (EkSubmit *sub, const EkEnvelope *e, EkSubmitFunc func, gpointer data)
{
  MemMessage *m = g_new0 (MemMessage, 1);

  m->session = sub->session;
  ek_buf_append (&m->bytes, e->received_head.p, e->received_head.n);
  ek_buf_appends (&m->bytes, "0000000000000001");
  ek_buf_append (&m->bytes, e->received_tail.p, e->received_tail.n);
  ek_buf_append (&m->bytes, e->prepend.p, e->prepend.n);
  m->content = ek_buf_len (&m->bytes);
  ek_buf_append (&m->bytes, ek_buf_at (&sub->bytes), ek_buf_len (&sub->bytes));
  m->sender = g_strndup (e->sender.p, e->sender.n);
  m->envid = g_strndup (e->envid.p, e->envid.n);
  m->rcpts = rcpts_text (e);
  m->message_id = g_strndup (e->message_id.p, e->message_id.n);
  m->protocol = g_strdup (e->protocol);
  m->flags = e->flags;
  m->hold = e->hold;
  g_ptr_array_add (mem_mail.messages, m);
  push ((Later) { .submitted = func, .data = data });
  ek_submit_free (sub);
}

static void
deliver (Later l)
{
  if (l.rcpt) {
    under_way--;
    l.rcpt (&l.answer, l.data);
  }
  else if (l.submitted) {
    EkSubmitAnswer a = { .status = mem_mail.commit, .queue_id = "0000000000000001" };
    if (a.status != EK_OK)
      a = (EkSubmitAnswer) { .status = a.status, .dsn = a.status == EK_FAIL ? "5.3.4" : "4.3.0", .text = "queue file write error" };
    l.submitted (&a, l.data);
  }
  else if (l.ready) {
    l.ready->waiting = 0;
    l.ready->ready (l.ready->ready_data);
  }
}

void
mem_mail_run (EkSession *s)
{
  for (;;) {
    mem_run (s);
    Later *l = g_queue_pop_head (&later);
    if (l == NULL)
      return;
    Later now = *l;
    g_free (l);
    deliver (now);
  }
}

static void
message_free (gpointer data)
{
  MemMessage *m = data;

  ek_buf_release (&m->bytes);
  g_free (m->sender);
  g_free (m->envid);
  g_free (m->rcpts);
  g_free (m->message_id);
  g_free (m->protocol);
  g_free (m);
}

void
mem_mail_reset (void)
{
  g_assert (later.length == 0);
  if (mem_mail.messages)
    g_ptr_array_unref (mem_mail.messages);
  mem_mail = (MemMail) { .messages = g_ptr_array_new_with_free_func (message_free) };
}

EkStr
mem_message_content (const MemMessage *m)
{
  EkStr all = ek_buf_str (&m->bytes);

  return (EkStr) { all.p + m->content, all.n - m->content };
}
