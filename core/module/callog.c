/* callog.c - what went wrong in calls of modules, in the log; the same words not again and again
 * SPDX-License-Identifier: Apache-2.0 */
#include "module/private.h"
#include <pthread.h>

#define LOG_AGAIN ((gint64) 10000000)

/* False: that was logged within the last seconds.  *more: how often it came again before.  In an outage each question ends in the
 * same words, and a log that tells them a thousand times a second helps nobody. */
static bool
is_news (EkInstanceCore *core, const char *text, guint *more)
{
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  guint hash = g_str_hash (text), oldest = 0, i;
  gint64 now = ek_now ();

  pthread_mutex_lock (&lock);
  for (i = 0; i < G_N_ELEMENTS (core->said) && !(core->said[i].hash == hash && core->said[i].at); i++)
    if (core->said[i].at < core->said[oldest].at)
      oldest = i;
  bool known = i < G_N_ELEMENTS (core->said), news = !known || now - core->said[i].at >= LOG_AGAIN;
  *more = known && news ? core->said[i].more : 0;
  if (news) {
    guint at = known ? i : oldest;
    core->said[at].hash = hash;
    core->said[at].at = now;
    core->said[at].more = 0;
  }
  else
    core->said[i].more++;
  pthread_mutex_unlock (&lock);
  return news;
}

void
ek_call_log (EkInstance *self, EkStatus status, const GError *error)
{
  guint more;

  if (error == NULL || self->module == NULL || !is_news (ek_instance_core (self), error->message, &more))
    return;
  g_autofree char *again = more ? g_strdup_printf ("; %u times more before this", more) : NULL;
  ek_log (status == EK_DEFER ? EK_WARN : EK_INFO, self->module->name, "%s \"%s\": %s (%s)%s", self->module->name, self->name,
          error->message, ek_status_name (status), again ? again : "");
}
