/* expand.c - asks directory for the aliases of recipients that came past the edges: those of sendmail(1)
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "mail/dsn.h"
#include "proc/blocks.h"
#include "queue/queue.h"
#include <string.h>

#define AT_ONCE     100              /* questions of one message under way */
#define TARGETS_MAX 1000             /* of one alias: directory's own bound */

typedef struct {                     /* all recipients of a message; in the caller's pool, as its results are */
  EkPool      *pool;
  GArray      *to;                   /* of EkSpoolTo: the caller's */
  guint        asked, left;          /* how many questions were put; answers that are still to come, of all */
  bool         away;
  const char ***targets;             /* of each recipient, NULL-terminated; NULL: itself */
  EkExpandFunc func;
  gpointer     data;
} Expand;

typedef struct { Expand *expand; guint at; } Question;

/* Each address once, with what reports need to name the one that was written. */
static void
put (Expand *x, GHashTable *there, GArray *out, EkSpoolTo to, const char *target)
{
  if (target && to.orcpt.n == 0) {
    EkBuf text = { 0 };
    ek_buf_appends (&text, "rfc822;");
    ek_xtext_encode (&text, to.address);
    to.orcpt = ek_pool_str (x->pool, ek_buf_str (&text));
    ek_buf_release (&text);
  }
  if (target)
    to.address = ek_str (target);
  if (g_hash_table_add (there, ek_pool_strndup (x->pool, to.address.p, to.address.n)))
    g_array_append_val (out, to);
}

static void
end (Expand *x)
{
  g_autoptr (GHashTable) there = g_hash_table_new (g_str_hash, g_str_equal);
  g_autoptr (GArray) out = g_array_new (FALSE, FALSE, sizeof (EkSpoolTo));

  for (guint i = 0; i < x->to->len && !x->away; i++) {
    EkSpoolTo to = g_array_index (x->to, EkSpoolTo, i);
    if (x->targets[i] == NULL)
      put (x, there, out, to, NULL);
    for (const char **target = x->targets[i]; target && *target; target++)
      put (x, there, out, to, *target);
  }
  if (!x->away) {
    g_array_set_size (x->to, 0);
    g_array_append_vals (x->to, out->data, out->len);
  }
  x->func (!x->away, x->data);
}

static void ask_more (Expand *x);

static void
answered (EkMsg *msg, gpointer data)
{
  Question q = *(Question *) data;
  Expand *x = q.expand;
  EkStatus status = msg ? (EkStatus) ek_unpack_max (&msg->in, EK_FAIL) : EK_DEFER;
  guint n = 0;

  g_free (data);
  if (msg) {
    g_autoptr (EkPool) scrap = ek_pool_new ();
    ek_unpack_max (&msg->in, G_MAXUINT16);           /* class, code and text: the recipient's route will tell */
    ek_unpack_text (&msg->in, scrap);
    ek_unpack_text (&msg->in, scrap);
    n = (guint) ek_unpack_max (&msg->in, TARGETS_MAX);
  }
  if (n > 0) {
    const char **targets = ek_pool_newv (x->pool, const char *, n + 1);
    for (guint i = 0; i < n; i++)
      targets[i] = ek_unpack_text (&msg->in, x->pool);
    x->targets[q.at] = targets;
  }
  x->away |= status == EK_DEFER || (msg && !ek_unpack_ok (&msg->in));
  if (--x->left == 0)
    end (x);
  else
    ask_more (x);
}

/* Where directory has gone the rest is not asked. */
static void
give_up (Expand *x)
{
  x->left -= x->to->len - x->asked;
  x->asked = x->to->len;
  x->away = true;
  if (x->left == 0)
    end (x);
}

/* As many as may be under way. */
static void
ask_more (Expand *x)
{
  while (x->asked < x->to->len && x->asked < x->to->len - x->left + AT_ONCE) {
    EkChannel *directory = ek_role_any (EK_ROLE_QUEUE, EK_ROLE_DIRECTORY);
    if (directory == NULL) {
      give_up (x);                   /* x may be gone */
      return;
    }
    Question *q = g_new (Question, 1);
    *q = (Question) { x, x->asked++ };
    EkBuf *out = ek_channel_call (directory, EK_D_RCPT, answered, q);
    ek_pack_str (out, g_array_index (x->to, EkSpoolTo, q->at).address);
    ek_channel_end (directory);
  }
}

void
ek_expand (EkPool *pool, GArray *to, EkExpandFunc func, gpointer data)
{
  Expand *x = ek_pool_new0 (pool, Expand);

  *x = (Expand) { .pool = pool, .to = to, .left = to->len, .func = func, .data = data };
  x->targets = ek_pool_newv (pool, const char **, to->len + 1);
  if (to->len == 0)
    func (true, data);
  else
    ask_more (x);
}
