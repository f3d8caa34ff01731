/* control.c - master's side of the control socket
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proc/control.h"
#include "proc/master.h"
#include "proc/messages.h"
#include "proc/workers.h"
#include <signal.h>
#include <string.h>
#include <unistd.h>

static EkChannel *asker;             /* who waits for the end of a reload */
static guint32 asked;

static void
answer (EkChannel *channel, guint32 id, EkStatus status, EkStr text)
{
  EkBuf *out = ek_channel_answer (channel, id);

  ek_pack_u64 (out, status);
  ek_pack_str (out, text);
  ek_channel_end (channel);
}

void
ek_control_answer (EkMsg *msg, EkStatus status, EkStr text)
{
  if (msg->id)
    answer (msg->channel, msg->id, status, text);
}

void
ek_control_reloaded (const char *why)
{
  EkWorker *control = ek_workers_find (EK_ROLE_CONTROL, 0);

  if (asker && control && control->channel == asker)       /* it may have died meanwhile */
    answer (asker, asked, why ? EK_FAIL : EK_OK, ek_str (why));
  asker = NULL;
}

void
ek_control_master (EkMsg *msg)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  const char *verb = ek_unpack_text (&msg->in, pool);
  EkBuf text = { 0 };

  if (verb == NULL || msg->id == 0)
    return;
  if (strcmp (verb, "status") == 0) {
    ek_master_describe (&text);
    ek_control_answer (msg, EK_OK, ek_buf_str (&text));
    ek_buf_release (&text);
  }
  else if (strcmp (verb, "reload") == 0) {
    g_autofree char *why = ek_master_reload ();
    if (why)
      ek_control_answer (msg, EK_FAIL, ek_str (why));
    else {
      asker = msg->channel;
      asked = msg->id;
    }
  }
  else if (strcmp (verb, "stop") == 0) {
    ek_control_answer (msg, EK_OK, EK_STR (""));
    ek_channel_flush (msg->channel);
    ek_master_stop (false);
  }
  else if (strcmp (verb, "upgrade") == 0) {
    g_autofree char *why = ek_master_upgrade ();
    ek_control_answer (msg, why ? EK_FAIL : EK_OK, ek_str (why));
    ek_channel_flush (msg->channel);
  }
  else if (strcmp (verb, "reopen") == 0) {
    kill (getpid (), SIGUSR1);
    ek_control_answer (msg, EK_OK, EK_STR (""));
  }
  else if (strcmp (verb, "rekey") == 0) {
    ek_master_rekey ();
    ek_control_answer (msg, EK_OK, EK_STR (""));
  }
  else
    ek_control_answer (msg, EK_FAIL, EK_STR ("master knows no such verb"));
}
