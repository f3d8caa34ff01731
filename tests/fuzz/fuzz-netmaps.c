/* fuzz-netmaps.c - what servers of maps answer: Redis (RESP), socketmap (netstrings), tcp_table (lines)
 * SPDX-License-Identifier: Apache-2.0 */
/* covers: modules/redis/resp.c */
/* options: -max_len=4096 */
#include "fuzz.h"
#include "../../modules/redis/redis.h"
#include "../../modules/socketmap/socketmap.h"
#include "../../modules/tcp/tcp.h"

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
  ek_pool_free (pool);
  return 0;
}
