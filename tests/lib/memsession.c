/* memsession.c - a session in memory: a protocol's callbacks without sockets, roles or a loop
 * SPDX-License-Identifier: Apache-2.0
 */
#include "memsession.h"
#include "conf/option.h"
#include <stdio.h>
#include <string.h>

struct EkSession {
  MemConfig   config;
  EkPool     *pool;
  gpointer    state;
  EkBuf       input, unsent, output;
  EkJob      *first, **last;
  EkAuthFunc  answer;                /* an exchange waits for its outcome */
  EkAuthAnswer outcome;
  char       *login, *handed_off, *mechanism;
  gint64      timeout;
  gsize       most_unsent;
  bool        waits, closing, closed, starttls, over_low_water;
};

#define LOW_WATER 16384

/* ---- what protocols call -------------------------------------------------------------------- */

static const EkClient client = { .address = "192.0.2.1", .port = 4711, .local_address = "192.0.2.2", .local_port = 143,
                                 .host = "client.example" };

const EkClient *ek_session_client (const EkSession *s) { return &client; }
EkEventId ek_session_event (const EkSession *s) { return 1; }
EkPool *ek_session_pool (EkSession *s) { return s->pool; }
gpointer ek_session_state (EkSession *s) { return s->state; }
gconstpointer ek_session_options (const EkSession *s) { return s->config.options; }
const char *ek_session_hostname (const EkSession *s) { return "server.example"; }
const char *ek_session_listener (const EkSession *s) { return "test"; }
gsize ek_session_unsent (const EkSession *s) { return ek_buf_len (&s->unsent); }
void ek_session_wait (EkSession *s) { s->waits = true; }
void ek_session_in_transaction (EkSession *s, bool yes) { }
void ek_session_resume (EkSession *s) { s->waits = false; }
void ek_session_timeout (EkSession *s, EkTime idle) { s->timeout = idle.us; }
bool ek_session_tls_offered (const EkSession *s) { return s->config.tls_offered && !s->starttls; }
void ek_session_ref (EkSession *s) { }
void ek_session_unref (EkSession *s) { }
bool ek_session_is_closed (const EkSession *s) { return s->closed; }
const char *ek_session_login (const EkSession *s) { return s->login; }
const char *ek_session_login_mechanism (const EkSession *s) { return s->mechanism; }
const char *ek_session_login_master (const EkSession *s) { return NULL; }
EkStr ek_session_tag (const EkSession *s) { return ek_str (s->config.tag); }
EkIndex *ek_session_index (EkSession *s) { return s->config.index; }
const EkUser *ek_session_user (const EkSession *s) { return NULL; }
guint64 ek_session_login_id (const EkSession *s) { return 1; }

void
ek_session_send (EkSession *s, const void *bytes, gsize len)
{
  g_assert (!s->closed);
  if (s->closing)
    return;
  ek_buf_append (&s->unsent, bytes, len);
  s->over_low_water |= ek_buf_len (&s->unsent) > LOW_WATER;
}

void
ek_session_sends (EkSession *s, const char *text)
{
  ek_session_send (s, text, strlen (text));
}

void
ek_session_sendf (EkSession *s, const char *fmt, ...)
{
  va_list args;
  va_start (args, fmt);
  g_autofree char *text = g_strdup_vprintf (fmt, args);
  va_end (args);
  ek_session_sends (s, text);
}

void
ek_session_close (EkSession *s)
{
  s->closing = true;
}

void
ek_session_starttls (EkSession *s)
{
  s->starttls = true;
  ek_buf_clear (&s->input);
}

void
ek_session_job (EkSession *s, EkJob *job)
{
  job->next = NULL;
  *s->last = job;
  s->last = &job->next;
}

const char *const *
ek_session_mechanisms (EkSession *s)
{
  static const char *const plain[] = { "PLAIN", NULL };
  return s->config.mechanisms ? s->config.mechanisms : plain;
}

static void
ask (EkSession *s, EkStr response, EkAuthFunc func)
{
  g_assert (s->answer == NULL);
  s->answer = func;
  s->outcome = (EkAuthAnswer) { .outcome = EK_AUTH_REFUSED, .text = "Authentication failed." };
  if (s->config.auth)
    s->config.auth (s, s->mechanism, response, &s->outcome);
}

void
ek_session_auth (EkSession *s, const char *mechanism, EkStr initial, EkAuthFunc func)
{
  g_free (s->mechanism);
  s->mechanism = g_strdup (mechanism);
  ask (s, initial, func);
}

void
ek_session_auth_continue (EkSession *s, EkStr response, EkAuthFunc func)
{
  ask (s, response, func);
}

void
ek_session_auth_abort (EkSession *s)
{
  s->answer = NULL;
}

void
ek_session_handoff (EkSession *s, EkStr tag)
{
  g_assert (s->login);
  s->handed_off = g_strndup (tag.p, tag.n);
  s->closing = true;
}

/* ---- what programs call --------------------------------------------------------------------- */

gpointer
mem_options (const EkProtocolOps *ops)
{
  static EkPool *pool;               /* strings and lists of all such options */
  g_autoptr (EkProblems) problems = ek_problems_new ();
  gpointer options = g_malloc0 (MAX (ops->options_size, 1));

  if (pool == NULL)
    pool = ek_pool_new ();
  EkOptionContext context = { .pool = pool };
  if (ops->options && !ek_options_apply (ops->options, options, NULL, 0, ops->name, &context, problems))
    g_error ("the defaults of %s do not convert", ops->name);
  return options;
}

EkSession *
mem_session_new (const MemConfig *config)
{
  EkSession *s = g_new0 (EkSession, 1);

  s->config = *config;
  s->pool = ek_pool_new ();
  s->state = g_malloc0 (MAX (config->ops->state_size, 1));
  s->last = &s->first;
  config->ops->open (s, s->state);
  return s;
}

static void
close_now (EkSession *s, EkCloseReason why)
{
  if (s->closed)
    return;
  s->closed = true;
  s->answer = NULL;
  s->config.ops->closed (s, s->state, why);
}

static bool
run_job (EkSession *s)
{
  EkJob *job = s->first;

  if (job == NULL)
    return false;
  s->first = job->next;
  if (s->first == NULL)
    s->last = &s->first;
  job->run (job, NULL);
  job->done (job);
  return true;
}

static bool
run_answer (EkSession *s)
{
  EkAuthFunc func = s->answer;

  if (func == NULL)
    return false;
  s->answer = NULL;
  if (s->outcome.outcome == EK_AUTH_OK) {
    g_free (s->login);
    s->login = g_strdup (s->outcome.user);
  }
  func (s, s->state, &s->outcome);
  return true;
}

static bool
run_output (EkSession *s)
{
  gsize n = ek_buf_len (&s->unsent);

  if (n == 0)
    return false;
  if (s->config.takes > 0)
    n = MIN (n, s->config.takes);
  ek_buf_append (&s->output, ek_buf_at (&s->unsent), n);
  ek_buf_consume (&s->unsent, n);
  if (s->over_low_water && ek_buf_len (&s->unsent) <= LOW_WATER) {
    s->over_low_water = false;
    if (!s->closed && s->config.ops->drained)
      s->config.ops->drained (s, s->state);
  }
  return true;
}

static bool
run_input (EkSession *s)
{
  gsize len = ek_buf_len (&s->input);

  if (len == 0 || s->waits || s->answer || s->closing || s->closed)
    return false;
  g_autofree char *copy = g_memdup2 (ek_buf_at (&s->input), len);      /* exact, so a sanitizer sees overruns */
  gsize used = s->config.ops->input (s, s->state, copy, len);
  g_assert_cmpuint (used, <=, len);
  ek_buf_consume (&s->input, MIN (used, ek_buf_len (&s->input)));      /* STARTTLS has emptied it */
  if (used == 0)                     /* else it is called again */
    g_assert_cmpuint (len, <=, MAX (s->config.ops->input_max, s->waits || s->answer ? len : 0));
  return used > 0 || s->waits || s->answer;
}

bool
mem_step (EkSession *s)
{
  bool busy = run_job (s);

  s->most_unsent = MAX (s->most_unsent, ek_buf_len (&s->unsent));
  busy |= run_output (s);
  busy |= run_answer (s);
  busy |= run_input (s);
  if (s->closing && ek_buf_len (&s->unsent) == 0)
    close_now (s, EK_CLOSED_BY_US);
  return busy;
}

void
mem_run (EkSession *s)
{
  while (mem_step (s))
    ;
}

void
mem_feed (EkSession *s, const void *bytes, gsize len)
{
  if (s->closed || s->closing)
    return;
  ek_buf_append (&s->input, bytes, len);
}

void
mem_hang_up (EkSession *s)
{
  close_now (s, EK_CLOSED_BY_CLIENT);
}

void
mem_timeout (EkSession *s)
{
  if (!s->closed && !s->closing && s->config.ops->timeout)
    s->config.ops->timeout (s, s->state);
}

void
mem_session_free (EkSession *s)
{
  if (s == NULL)
    return;
  close_now (s, EK_CLOSED_BY_CLIENT);
  while (run_job (s))
    ;
  ek_buf_release (&s->input);
  ek_buf_release (&s->unsent);
  ek_buf_release (&s->output);
  ek_pool_free (s->pool);
  g_free (s->state);
  g_free (s->login);
  g_free (s->handed_off);
  g_free (s->mechanism);
  g_free (s);
}

gint64 mem_timeout_us (const EkSession *s) { return s->timeout; }
EkStr mem_output (EkSession *s) { return ek_buf_str (&s->output); }
void mem_output_clear (EkSession *s) { ek_buf_clear (&s->output); }
gsize mem_most_unsent (const EkSession *s) { return s->most_unsent; }
bool mem_closed (const EkSession *s) { return s->closed; }
bool mem_idle (const EkSession *s) { return s->first == NULL && s->answer == NULL; }
const char *mem_handed_off (const EkSession *s) { return s->handed_off; }
bool mem_starttls (const EkSession *s) { return s->starttls; }
