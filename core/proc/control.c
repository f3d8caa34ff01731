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

typedef struct {                     /* who waits for the end of something that takes a while */
  EkChannel *channel;                /* NULL: nobody */
  guint32    id;
} Asker;

static Asker reloads, upgrades;

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

static void
tell (Asker *asker, const char *why, const char *notes)
{
  EkWorker *control = ek_workers_find (EK_ROLE_CONTROL, 0);

  if (asker->channel && control && control->channel == asker->channel) {         /* it may have died meanwhile */
    answer (asker->channel, asker->id, why ? EK_FAIL : EK_OK, ek_str (why ? why : notes));
    ek_channel_flush (asker->channel);
  }
  asker->channel = NULL;
}

void
ek_control_reloaded (const char *why, const char *notes)
{
  tell (&reloads, why, notes);
}

void
ek_control_upgraded (const char *why)
{
  tell (&upgrades, why, NULL);
}

/* `why` is eaten. */
static void
wait_for (Asker *asker, EkMsg *msg, char *why)
{
  if (why)
    ek_control_answer (msg, EK_FAIL, ek_str (why));
  else
    *asker = (Asker) { msg->channel, msg->id };
  g_free (why);
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
  else if (strcmp (verb, "reload") == 0)
    wait_for (&reloads, msg, ek_master_reload ());
  else if (strcmp (verb, "stop") == 0) {
    ek_control_answer (msg, EK_OK, EK_STR (""));
    ek_channel_flush (msg->channel);
    ek_master_stop (false);
  }
  else if (strcmp (verb, "upgrade") == 0)
    wait_for (&upgrades, msg, upgrades.channel ? g_strdup ("an upgrade is under way") : ek_master_upgrade (NULL));
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
