/* test.c - answers ok, notfound, defer, fail, slow, never, crash on request: outages to rehearse
 * SPDX-License-Identifier: Apache-2.0
 *
 * Compiled twice: as module test, whose operations block as a database client's do, and with
 * EK_TEST_EVENTED as test_evented, whose slow answers come from a timer of the loop.
 */
#include <ekiden/ekiden.h>
#include "lookup/template.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
  EkInstance  base;
  const char *state, *control, *value, *password, *home;
  bool        verify;
  gint64      uid, gid;
} Test;

static const EkOption options[] = {
  EK_OPTION (Test, state, "ok", "What is answered to keys and names that do not say it themselves: ok, notfound, "
             "defer, fail, crash, hang (no answer ever), slow (2 s, then ok) or slow:MILLISECONDS."),
  EK_OPTION (Test, control, "", "A file that holds such a word, read for every question: while it is there and not "
             "empty, its word is the answer to all, whatever keys and names say."),
  EK_OPTION (Test, value, "ok", "As a map: the value of every key."),
  EK_OPTION (Test, password, "secret", "As a passdb: everybody's password."),
  EK_OPTION (Test, verify, "no", "As a passdb: it says whether a password is right, as a server does that is bound to; else it tells what is "
             "stored, and the core compares."),
  EK_OPTION (Test, home, "/nonexistent/%u", "As a userdb: the home folder."),
  EK_OPTION (Test, uid, "-1", "As a userdb: the system user.", .allow = "-1..4294967294"),
  EK_OPTION (Test, gid, "-1", "As a userdb: the system group.", .allow = "-1..4294967294"),
  EK_OPTIONS_END
};

#define SLOW_MS 2000
#define MAX_MS  3600000

typedef struct {
  enum { DO_OK, DO_NOTFOUND, DO_DEFER, DO_FAIL, DO_SLOW, DO_CRASH, DO_HANG } what;
  guint ms;
} Deed;

/* "defer", "slow:500", "slow-500".  False: no word of ours. */
static bool
read_word (EkStr text, Deed *deed)
{
  static const char *const words[] = { "ok", "notfound", "defer", "fail", "slow", "crash", "hang" };
  gsize n = 0;
  guint64 ms = SLOW_MS;

  while (n < text.n && text.p[n] != ':' && text.p[n] != '-')
    n++;
  if (n < text.n && (!ek_str_u64 ((EkStr) { text.p + n + 1, text.n - n - 1 }, MAX_MS, &ms)))
    return false;
  for (guint i = 0; i < G_N_ELEMENTS (words); i++)
    if (ek_str_eq ((EkStr) { text.p, n }, ek_str (words[i])) && (n == text.n || i == DO_SLOW)) {
      *deed = (Deed) { i, i == DO_SLOW ? (guint) ms : 0 };
      return true;
    }
  return false;
}

/* The word of the control file, which a test changes while we run. */
static bool
read_control (const Test *self, Deed *deed)
{
  char text[64];
  int fd = self->control ? open (self->control, O_RDONLY | O_CLOEXEC) : -1;
  ssize_t n = fd >= 0 ? read (fd, text, sizeof text) : 0;

  if (fd >= 0)
    close (fd);
  return n > 0 && read_word (ek_str_trim ((EkStr) { text, (gsize) n }), deed);
}

static Deed
decide (const Test *self, EkStr key)
{
  const char *at = key.n > 0 ? memchr (key.p, '@', key.n) : NULL;
  Deed deed = { DO_OK, 0 };

  if (at)
    key.n = (gsize) (at - key.p);
  if (!read_control (self, &deed) && !read_word (key, &deed))
    (void) read_word (ek_str (self->state), &deed);      /* init checked it */
  if (deed.what == DO_CRASH)
    abort ();
  return deed;
}

#ifdef EK_TEST_EVENTED
static gboolean
answer_late (gpointer data)
{
  ek_call_done (data, EK_OK);
  return G_SOURCE_REMOVE;
}

static void
call_later (guint ms, GSourceFunc func, gpointer data)
{
  g_autoptr (GMainContext) context = g_main_context_ref_thread_default ();
  GSource *source = g_timeout_source_new (ms);

  g_source_set_callback (source, func, data, NULL);
  g_source_attach (source, context);
  g_source_unref (source);
}

static gboolean
give_up (gpointer data)
{
  ek_call_done (data, EK_DEFER);
  return G_SOURCE_REMOVE;
}

/* Nobody waits any more: the call ends in a later turn. */
static void
cancel_hang (EkCall *call, gpointer data)
{
  call_later (0, give_up, call);
}
#endif

/* As a server that has stopped, asked by a library that keeps to the deadline. */
static EkStatus
hang (const Test *self, EkCall *call)
{
#ifdef EK_TEST_EVENTED
  call->cancel = cancel_hang;
  return EK_PENDING;
#else
  gint64 until = call->deadline ? call->deadline : g_get_monotonic_time () + MAX_MS * (gint64) 1000;

  while (!call->cancelled && g_get_monotonic_time () < until)
    g_usleep (10000);
  return ek_fail (&call->error, EK_DEFER, ETIMEDOUT, "test %s: hung on request", self->base.name);
#endif
}

/* The answer is filled in before: it counts only if this gives, or later becomes, OK. */
static EkStatus
act (const Test *self, EkCall *call, EkStr key)
{
  Deed deed = decide (self, key);

  switch (deed.what) {
  case DO_NOTFOUND:
    return EK_NOTFOUND;
  case DO_DEFER:
    return ek_fail (&call->error, EK_DEFER, ECONNREFUSED, "test %s: deferred on request", self->base.name);
  case DO_FAIL:
    return ek_fail (&call->error, EK_FAIL, EINVAL, "test %s: failed on request", self->base.name);
  case DO_SLOW:
#ifdef EK_TEST_EVENTED
    call_later (deed.ms, answer_late, call);
    return EK_PENDING;
#else
    g_usleep (deed.ms * 1000ul);
    return EK_OK;
#endif
  case DO_HANG:
    return hang (self, call);
  default:
    return EK_OK;
  }
}

static gboolean
test_init (EkInstance *base, GError **error)
{
  Test *self = (Test *) base;
  Deed deed;

  if (!read_word (ek_str (self->state), &deed)) {
    ek_fail (error, EK_FAIL, EINVAL, "state: \"%s\" is none of ok, notfound, defer, fail, crash, hang, slow and slow:2000",
             self->state);
    return FALSE;
  }
  return ek_template_check ("home", self->home, error);
}

static EkStatus
map_lookup (EkInstance *base, EkCall *call, const EkQuery *query, EkAnswer *answer)
{
  Test *self = (Test *) base;

  ek_answer_value (answer, call->pool, ek_str (self->value));
  return act (self, call, query->key);
}

static EkStatus
pass_lookup (EkInstance *base, EkCall *call, const char *name, EkAccount *account)
{
  Test *self = (Test *) base;

  *account = (EkAccount) { .stored = ek_str (ek_pool_printf (call->pool, "{PLAIN}%s", self->password)) };
  return act (self, call, ek_str (name));
}

static bool
pass_verifies (const EkInstance *base)
{
  return ((const Test *) base)->verify;
}

/* A wrong password is known at once, so an answer that comes later can only be ok. */
static EkStatus
pass_verify (EkInstance *base, EkCall *call, const EkLogin *login, EkAccount *account)
{
  Test *self = (Test *) base;
  Deed deed = decide (self, ek_str (login->name));
  bool right = ek_str_eq (login->secret, ek_str (self->password));

  if (!right && (deed.what == DO_OK || deed.what == DO_SLOW))
    return EK_FAIL;
  return act (self, call, ek_str (login->name));
}

static EkStatus
user_lookup (EkInstance *base, EkCall *call, const char *name, EkUser *user)
{
  Test *self = (Test *) base;

  *user = (EkUser) { .name = ek_pool_strdup (call->pool, name), .uid = self->uid, .gid = self->gid };
  if (self->home && !(user->home = ek_template_expand (call->pool, self->home, name, true, &call->error)))
    return EK_DEFER;
  return act (self, call, ek_str (name));
}

/* ---- filter: the recipient's word at rcpt, the sender's at mail, the state's else ---- */

#ifdef EK_TEST_EVENTED
static gboolean
continue_late (gpointer data)
{
  ek_filter_done (data, EK_CONTINUE);
  return G_SOURCE_REMOVE;
}

static void
cancel_filter (EkCall *call, gpointer data)
{
  call_later (0, continue_late, call);
}
#endif

static EkVerdict
filter (const Test *self, EkCall *call, EkStr key, EkReply *reply)
{
  Deed deed = decide (self, key);

  switch (deed.what) {
  case DO_NOTFOUND:
    return ek_reply (reply, EK_REJECT, 550, "5.1.1", "Not found on request");
  case DO_DEFER:
    return ek_reply (reply, EK_TEMPFAIL, 451, "4.7.1", "Deferred on request");
  case DO_FAIL:
    return ek_reply (reply, EK_REJECT, 554, "5.7.1", "Failed on request");
#ifdef EK_TEST_EVENTED
  case DO_SLOW:
    call_later (deed.ms, continue_late, call);
    return EK_VERDICT_PENDING;
  case DO_HANG:
    call->cancel = cancel_filter;
    return EK_VERDICT_PENDING;
#endif
  default:                             /* a filter that is not evented must not wait */
    return EK_CONTINUE;
  }
}

static EkVerdict
at_rcpt (EkInstance *base, EkCall *call, const EkMail *mail, EkReply *reply)
{
  return filter ((Test *) base, call, mail->rcpt, reply);
}

static EkVerdict
at_mail (EkInstance *base, EkCall *call, const EkMail *mail, EkReply *reply)
{
  return filter ((Test *) base, call, mail->sender, reply);
}

static EkVerdict
at_other (EkInstance *base, EkCall *call, const EkMail *mail, EkReply *reply)
{
  return filter ((Test *) base, call, EK_STR (""), reply);
}

static const EkMapOps map = { .lookup = map_lookup };
static const EkPassdbOps passdb = { .lookup = pass_lookup, .verify = pass_verify, .verifies = pass_verifies };
static const EkUserdbOps userdb = { .lookup = user_lookup };
static const EkFilterOps filters = { .at = {
  [EK_AT_CONNECT] = at_other, [EK_AT_HELO] = at_other, [EK_AT_MAIL] = at_mail, [EK_AT_RCPT] = at_rcpt,
  [EK_AT_DATA] = at_other, [EK_AT_MESSAGE] = at_other, [EK_AT_DELIVER] = at_other,
} };

#define TABLES .options = options, .instance_size = sizeof (Test), .init = test_init, .map = &map, \
               .passdb = &passdb, .userdb = &userdb, .filter = &filters

#ifdef EK_TEST_EVENTED
EK_MODULE (test_evented, .summary = "Outages on request, answered on the loop", .flags = EK_EVENTED, TABLES);
#else
EK_MODULE (test, .summary = "Outages on request, for rehearsals", .flags = EK_WAITS, TABLES);
#endif
