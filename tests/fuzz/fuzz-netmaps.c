/* fuzz-netmaps.c - what servers and helpers answer: Redis (RESP), socketmap (netstrings), tcp_table (lines), HTTP (JSON), ekiden-pam
 * SPDX-License-Identifier: Apache-2.0 */
/* covers: modules/redis/resp.c modules/socketmap/socketmap.c modules/tcp/tcp.c modules/http/answer.c */
/* options: -max_len=4096 */
#include "fuzz.h"
#include "../../modules/redis/redis.h"
#include "../../modules/socketmap/socketmap.h"
#include "../../modules/tcp/tcp.h"
#ifdef WITH_HTTP
#include "../../modules/http/http.h"
#endif
#ifdef WITH_PAM
#define main ekiden_pam_main
int ekiden_pam_main (int argc, char **argv);
#include "../../modules/pam/helper.c"              /* a program of one file: its reader of questions is what is called here */
#undef main
#include "base/log.h"

extern const EkModule ek_module_pam;
#endif

/* Every answer has a status, each cell lies in memory that is ours, and a "later" has its reason. */
static void
check (EkStatus status, const EkAnswer *answer, GError *error)
{
  volatile char sum = 0;

  g_assert (status == EK_OK || status == EK_NOTFOUND || status == EK_DEFER);
  g_assert ((status == EK_DEFER) == (error != NULL));
  for (gsize i = 0; status == EK_OK && i < (gsize) answer->n_rows * answer->n_columns; i++)
    for (gsize k = 0; k < answer->cells[i].n; k++)
      sum ^= answer->cells[i].p[k];
  (void) sum;
}

static void
as_redis (EkPool *pool, EkStr bytes, const char *const *words)
{
  EkStream *stream = ek_stream_of_bytes (bytes);

  for (guint i = 0; i < 4; i++) {
    g_autoptr (GError) error = NULL;
    EkAnswer answer = { 0 };
    Resp value;
    EkStatus status = EK_DEFER;
    if (resp_read (stream, pool, &value, &error))
      status = resp_answer (&value, (char *const *) words, pool, &answer, &error);
    check (status, &answer, error);
    if (status == EK_DEFER)
      break;
  }
  ek_stream_close (stream);
}

static void
as_socketmap (EkPool *pool, EkStr bytes)
{
  EkStream *stream = ek_stream_of_bytes (bytes);
  EkStatus status;

  do {
    g_autoptr (GError) error = NULL;
    EkAnswer answer = { 0 };
    EkStr value;
    status = socketmap_read (stream, &value, &error);
    if (status == EK_OK)
      ek_answer_value (&answer, pool, value);
    check (status, &answer, error);
  } while (status != EK_DEFER);
  ek_stream_close (stream);
}

static void
as_tcp (EkPool *pool, EkStr bytes)
{
  EkStream *stream = ek_stream_of_bytes (bytes);
  EkBuf out = { 0 };
  EkStatus status;

  do {
    g_autoptr (GError) error = NULL;
    EkAnswer answer = { 0 };
    EkStr value, text;
    status = tcp_read (stream, pool, &value, &text, &error);
    if (status == EK_OK)
      ek_answer_value (&answer, pool, value);
    check (status, &answer, error);
  } while (status != EK_DEFER);
  ek_stream_close (stream);

  /* what we write comes back as it was */
  ek_buf_appends (&out, "200 ");
  tcp_encode (&out, (EkStr) { bytes.p, MIN (bytes.n, 1000) });
  ek_buf_appendc (&out, '\n');
  stream = ek_stream_of_bytes (ek_buf_str (&out));
  EkStr value, text;
  g_assert (tcp_read (stream, pool, &value, &text, NULL) == EK_OK);
  g_assert (ek_str_eq (value, (EkStr) { bytes.p, MIN (bytes.n, 1000) }));
  ek_stream_close (stream);
  ek_buf_release (&out);
}

#ifdef WITH_HTTP
static void
as_json (EkPool *pool, EkStr bytes)
{
  g_autoptr (GError) error = NULL;
  EkAnswer answer = { 0 };

  check (http_answer (bytes, pool, &answer, &error), &answer, error);
  for (guint i = 0; answer.names && i < answer.n_columns; i++)
    g_assert (g_utf8_validate (answer.names[i], -1, NULL));
}
#endif

#ifdef WITH_PAM
static void
swallow (const char *bytes, gsize len, gpointer data)
{
}

/* What directory hears from its helper: "yes" alone is OK, and anything that is no whole answer is "later". */
static void
as_pam (EkPool *pool, EkStr bytes)
{
  static EkInstance *self;
  int fds[2];
  EkCall call = { .pool = pool, .deadline = g_get_monotonic_time () + G_USEC_PER_SEC };
  EkLogin login = { .service = "imap", .name = "anna@example.com", .given = "anna", .secret = EK_STR ("x"), .client = "192.0.2.1" };
  EkAccount account = { 0 };
  PamAnswer head = { .says = PAM_SAYS_NOTHING };

  if (self == NULL) {
    self = g_malloc0 (ek_module_pam.instance_size);
    *self = (EkInstance) { .name = "fuzz", .module = &ek_module_pam };
    for (const EkOption *row = ek_module_pam.options; row->name; row++)
      if (row->type == EK_STRING)
        *(const char **) (gpointer) ((char *) self + row->offset) = row->dflt && *row->dflt ? row->dflt : "fuzz";
  }
  if (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
    g_error ("no sockets");
  g_assert (write (fds[1], bytes.p, MIN (bytes.n, 1024)) == (gssize) MIN (bytes.n, 1024) && shutdown (fds[1], SHUT_WR) == 0);
  call.conn = GINT_TO_POINTER (fds[0] + 1);
  ek_log_set_sink (swallow, NULL);
  EkStatus status = ek_module_pam.passdb->verify (self, &call, &login, &account);
  memcpy (&head, bytes.p, MIN (bytes.n, sizeof head));
  bool whole = bytes.n >= sizeof head && head.n <= PAM_REASON_MAX && bytes.n - sizeof head >= head.n;
  g_assert ((status == EK_OK) == (whole && head.says == PAM_SAYS_YES));
  g_assert (whole || status == EK_DEFER);
  g_clear_error (&call.error);
  close (fds[0]);
  close (fds[1]);
}

/* What a helper hears from directory, which may have been broken into: nothing but three bounded texts. */
static void
as_pam_question (EkStr bytes)
{
  int fds[2];
  PamQuestion q;
  Login login;

  if (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
    g_error ("no sockets");
  g_assert (write (fds[1], bytes.p, bytes.n) == (gssize) bytes.n && shutdown (fds[1], SHUT_WR) == 0 && dup2 (fds[0], 0) == 0);
  while (read_question (&q, &login))
    for (guint i = 0; i < PAM_N_TEXTS; i++)
      g_assert (strlen (login.text[i]) == q.n[i] && q.n[i] <= PAM_TEXT_MAX);
  close (fds[0]);
  close (fds[1]);
}
#endif

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static const char *get[] = { "GET", "k", NULL }, *all[] = { "HGETALL", "k", NULL }, *some[] = { "HMGET", "k", "a", "b", NULL };
  EkPool *pool = ek_pool_new ();
  EkStr bytes = { size ? (const char *) data : "", size };

  as_redis (pool, bytes, get);
  as_redis (pool, bytes, all);
  as_redis (pool, bytes, some);
  as_socketmap (pool, bytes);
  as_tcp (pool, bytes);
#ifdef WITH_HTTP
  as_json (pool, bytes);
#endif
#ifdef WITH_PAM
  as_pam (pool, bytes);
  as_pam_question (bytes);
#endif
  ek_pool_free (pool);
  return 0;
}
