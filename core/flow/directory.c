/* directory.c - the directory role: who is who and where mail goes
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "auth/auth.h"
#include "flow/directory.h"
#include "flow/facts.h"
#include "flow/submit.h"
#include "mail/address.h"
#include "module/call.h"
#include "proc/control.h"
#include <string.h>

#define ADDRESS_MAX 4096
#define ASKED_MAX 10000              /* questions of one edge under way: a broken one fills no more */

static struct {
  EkGeneration        *generation;
  const EkRoutingConf *routing;
  guint                asked[EK_INDEX_MAX + 1];      /* questions of each edge under way */
} dir;

/* ---- configuration ---- */

static void
configure (void)
{
  ek_generation_unref (dir.generation);
  dir.generation = ek_generation_ref (ek_role_generation ());
  dir.routing = ek_generation_values (dir.generation, &ek_routing_block, NULL);
  ek_directory_names_configure (dir.generation);
  ek_directory_users_configure (dir.generation);
  ek_directory_rcpts_configure (dir.generation);
  ek_directory_auth_configure (dir.generation);
}

static bool
start (GError **error)
{
  ek_op_use_jobs (ek_role_jobs ());
  ek_directory_auth_start ();
  ek_directory_users_start ();
  ek_directory_map_start ();
  ek_directory_stores_start ();
  configure ();
  return true;
}

/* ---- questions of edges and queue ---- */

typedef struct {
  EkChannel *channel;
  EkRole     role;
  guint      index;
  guint32    id;
  char       address[];
} Question;

static Question *
question_new (EkMsg *msg, EkRole role, guint index, EkStr address)
{
  Question *q = g_malloc0 (sizeof *q + address.n + 1);

  *q = (Question) { .channel = msg->channel, .role = role, .index = index, .id = msg->id };
  memcpy (q->address, address.p, address.n);
  return q;
}

/* The channel it came from, if that is still the same. */
static EkChannel *
asker (const Question *q)
{
  EkChannel *now = ek_role_peer (EK_ROLE_DIRECTORY, q->role, q->index);

  return now == q->channel ? now : NULL;
}

static void
rcpt_found (const EkRcptFound *f, gpointer data)
{
  Question *q = data;
  EkChannel *edge = asker (q);
  EkRcptClass class = f->domain == NULL ? EK_RCPT_REMOTE : f->domain->transport ? EK_RCPT_RELAY : EK_RCPT_LOCAL;
  EkStatus status = f->status;
  const char *dsn = NULL, *text = NULL;

  if (f->wrong) {                    /* before it is in the queue, where it would wait for days */
    ek_log (EK_WARN, "directory", "%s gets no mail now: %s", q->address, f->wrong);
    status = EK_DEFER;
  }
  if (status == EK_DEFER) {
    dsn = "4.3.0";
    text = "Temporary lookup failure";
  }
  else if (status == EK_OK && class == EK_RCPT_REMOTE && dir.routing->transport == NULL) {
    dsn = "5.7.1";
    text = "this server sends no mail to other domains (routing.transport)";
    status = EK_FAIL;
  }
  if (edge) {
    EkBuf *out = ek_channel_answer (edge, q->id);
    ek_pack_u64 (out, status);
    ek_pack_u64 (out, class);
    ek_pack_text (out, dsn);
    ek_pack_text (out, text);
    ek_pack_u64 (out, status == EK_OK ? f->n_targets : 0);
    for (guint i = 0; status == EK_OK && i < f->n_targets; i++)
      ek_pack_text (out, f->targets[i]);
    ek_channel_end (edge);
  }
  if (q->role == EK_ROLE_EDGE)
    dir.asked[q->index]--;
  g_free (q);
}

static void
tell_control (const EkUserFound *f, gpointer data)
{
  Question *q = data;
  EkChannel *control = asker (q);

  if (control) {
    EkBuf *out = ek_channel_answer (control, q->id);
    ek_pack_u64 (out, EK_OK);
    ek_pack_str (out, f->status == EK_OK      ? f->user ? EK_STR ("{\"found\":\"user\"}\n") : EK_STR ("{\"found\":\"elsewhere\"}\n")
                      : f->status == EK_DEFER ? EK_STR ("{\"found\":\"unknown\"}\n")
                                              : EK_STR ("{\"found\":\"nobody\"}\n"));
    ek_channel_end (control);
  }
  g_free (q);
}

/* directory-address ADDRESS: who gets its mail */
static void
control (EkMsg *msg, guint index)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  const char *verb = ek_unpack_text (&msg->in, pool);

  ek_unpack_u64 (&msg->in);          /* the caller's uid */
  guint n = (guint) ek_unpack_max (&msg->in, G_MAXUINT32);
  EkStr address = ek_str (n == 1 ? ek_unpack_text (&msg->in, pool) : NULL);
  if (!ek_unpack_ok (&msg->in) || verb == NULL || strcmp (verb, "directory-address") != 0 || address.n == 0 || address.n > ADDRESS_MAX)
    ek_control_answer (msg, EK_FAIL, EK_STR ("directory knows no such verb"));
  else
    ek_directory_user (address, tell_control, question_new (msg, EK_ROLE_CONTROL, index, address));
}

static void
message (EkRole peer, guint index, EkMsg *msg)
{
  if (peer == EK_ROLE_EDGE && msg->type == EK_D_RCPT && msg->id) {
    EkStr address = ek_unpack_str (&msg->in);
    Question *q = question_new (msg, peer, index, address);
    if (!ek_unpack_ok (&msg->in) || address.n > ADDRESS_MAX) {
      ek_channel_break (msg->channel, "a damaged question");
      g_free (q);
    }
    else if (++dir.asked[index] > ASKED_MAX)
      rcpt_found (&(EkRcptFound) { .status = EK_DEFER }, q);
    else
      ek_directory_rcpt (address, false, rcpt_found, q);
  }
  else if (peer == EK_ROLE_QUEUE && msg->type == EK_D_RCPT && msg->id) {
    EkStr address = ek_unpack_str (&msg->in);
    if (ek_unpack_ok (&msg->in) && address.n <= ADDRESS_MAX)
      ek_directory_rcpt (address, true, rcpt_found, question_new (msg, peer, index, address));
    else
      ek_channel_break (msg->channel, "a damaged question");
  }
  else if (peer == EK_ROLE_EDGE && msg->type == EK_D_MAP && msg->id)
    ek_directory_map (msg, index, dir.generation);
  else if (peer == EK_ROLE_QUEUE && msg->type == EK_D_ROUTE && msg->id)
    ek_directory_route (msg, index);
  else if (peer == EK_ROLE_EDGE)
    ek_directory_auth (msg, index);
  else if (peer == EK_ROLE_CONTROL && msg->type == EK_C_REQUEST)
    control (msg, index);
  else
    ek_channel_break (msg->channel, "a message that directory does not take");
}

static void
peer_gone (EkRole peer, guint index)
{
  if (peer == EK_ROLE_EDGE)
    ek_directory_auth_gone (index);
}

static void
stop (gint64 deadline)
{
  ek_role_done (EK_ROLE_DIRECTORY);
}

static void
end (void)
{
  ek_directory_users_end ();
  ek_directory_rcpts_end ();
  ek_directory_routes_end ();
  ek_directory_auth_end ();
  ek_directory_map_end ();
  ek_directory_stores_end ();
  ek_op_use_jobs (NULL);
  ek_directory_names_end ();
  ek_generation_unref (dir.generation);
  memset (&dir, 0, sizeof dir);
}

const EkRoleOps ek_directory_role = {
  .role = EK_ROLE_DIRECTORY, .start = start, .reload = configure, .message = message, .peer_gone = peer_gone,
  .master = ek_directory_master, .stop = stop, .end = end,
};
