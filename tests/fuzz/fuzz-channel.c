/* fuzz-channel.c - bytes from a broken-into role on its channel, through a real socketpair
 * SPDX-License-Identifier: Apache-2.0 */
/* covers: core/proc/pack.c */
/* options: -max_len=8192 */
#include "fuzz.h"
#include "proc/channel.h"
#include <sys/socket.h>
#include <unistd.h>

static bool is_gone;

static void
got_message (EkMsg *msg, gpointer data)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  EkBuf *answer = msg->id ? ek_channel_answer (msg->channel, msg->id) : NULL;
  EkBuf nowhere = { 0 }, *out = answer ? answer : &nowhere;

  /* read as handlers do, the kinds of value in an order that the type decides; said back the same way */
  for (guint kind = msg->type, i = 0; !msg->in.bad && msg->in.n && i < 64; kind = kind >> 2 | kind << 14, i++)
    switch (kind & 3) {
    case 0: ek_pack_u64 (out, ek_unpack_max (&msg->in, 1 << 20)); break;
    case 1: ek_pack_i64 (out, ek_unpack_i64 (&msg->in)); break;
    case 2: ek_pack_str (out, ek_unpack_str (&msg->in)); break;
    default: ek_pack_text (out, ek_unpack_text (&msg->in, pool)); break;
    }
  if (answer)
    ek_channel_end (msg->channel);
  ek_buf_release (&nowhere);
}

static void
got_gone (EkChannel *channel, gpointer data)
{
  is_gone = true;
}

static void
got_answer (EkMsg *msg, gpointer data)
{
  (*(guint *) data)++;
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static EkLoop *loop;
  if (!loop)
    loop = ek_loop_new (NULL);
  int pair[2];
  if (socketpair (AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0)
    return 0;
  is_gone = false;
  guint answers = 0;
  EkChannel *channel = ek_channel_new (loop, pair[0], "fuzz");
  ek_channel_handle (channel, got_message, got_gone, NULL);
  ek_pack_u64 (ek_channel_call (channel, 1, got_answer, &answers), size);
  ek_channel_end (channel);
  /* in two pieces: a frame may end anywhere */
  gsize first = size ? data[0] % (size + 1) : 0;
  if (write (pair[1], data, first) == (gssize) first)
    ek_loop_turn (loop, false);
  if (!is_gone && write (pair[1], data + first, size - first) >= 0)
    ek_loop_turn (loop, false);
  close (pair[1]);
  for (guint i = 0; i < 20 && !is_gone; i++)
    ek_loop_turn (loop, false);
  g_assert_true (is_gone);
  ek_channel_free (channel);
  ek_loop_turn (loop, false);
  g_assert_cmpuint (answers, ==, 1);
  return 0;
}
