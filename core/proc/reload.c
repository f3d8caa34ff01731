/* reload.c - a new configuration: every worker looks at it, then it is in force for all, or for none
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "proc/reload.h"
#include "base/log.h"
#include "proc/control.h"

static struct {
  EkLoop  *loop;
  const EkReloadHooks *hooks;
  EkPlan  *next;                     /* in the first half */
  guint64  generation;               /* its number */
  guint    number;                   /* of the reload: late answers to others are not counted */
  guint    answers;                  /* first half: workers that have not answered */
  guint    settling;                 /* second half: workers that have not said that they go by it, and one */
  char    *kept;                     /* what it does not change, for who asked */
  gint64   timeout;                  /* us */
  bool     once_more;
  EkTimer  deadline;
} r;

bool
ek_reload_under_way (void)
{
  return r.next || r.settling;
}

void
ek_reload_once_more (void)
{
  r.once_more = true;
}

/* ---- its end ---- */

static void
over (void)
{
  ek_timer_cancel (r.loop, &r.deadline);
  r.number++;
  r.settling = 0;
  g_clear_pointer (&r.next, ek_plan_free);
  for (guint i = 0; i < ek_workers ()->len; i++)
    ((EkWorker *) ek_workers ()->pdata[i])->owes = false;
}

static void
maybe_again (void)
{
  if (!r.once_more)
    return;
  r.once_more = false;
  r.hooks->again ();
}

void
ek_reload_fail (const char *who, const char *why)
{
  if (r.next == NULL)
    return;
  ek_event ("master", 0, "reload-failed", EK_FTEXT ("role", who), EK_FTEXT ("reason", why));
  ek_control_reloaded (why, NULL);
  over ();
  ek_workers_forget (r.generation);
  maybe_again ();
}

void
ek_reload_end (void)
{
  r.once_more = false;
  ek_reload_fail ("master", "the server stops");
  over ();
  g_clear_pointer (&r.kept, g_free);
}

/* ---- the second half ---- */

static void
settled (void)
{
  ek_event ("master", 0, "reload-ok", EK_FINT ("generation", r.generation));
  ek_control_reloaded (NULL, r.kept);            /* before control itself may be replaced */
  over ();
  r.hooks->settled ();
  maybe_again ();
}

static void
answered (const EkMsg *msg)
{
  if (msg)
    ((EkWorker *) ek_channel_data (msg->channel))->owes = false;
}

static void
in_force (EkMsg *msg, gpointer data)
{
  if (GPOINTER_TO_UINT (data) != r.number)
    return;
  answered (msg);
  if (--r.settling == 0)
    settled ();
}

static void
use (void)
{
  r.hooks->use (g_steal_pointer (&r.next));
  ek_timer_set (r.loop, &r.deadline, r.timeout);
  r.settling = 1;                    /* so that it does not end while they are asked */
  r.settling += ek_workers_in_force (in_force, GUINT_TO_POINTER (r.number));
  in_force (NULL, GUINT_TO_POINTER (r.number));
}

/* ---- the first half ---- */

static void
reload_answer (EkMsg *msg, gpointer data)
{
  g_autoptr (EkPool) pool = ek_pool_new ();

  if (GPOINTER_TO_UINT (data) != r.number)
    return;                          /* of a reload that has failed already */
  EkGenerationAnswer answer = msg ? (EkGenerationAnswer) ek_unpack_max (&msg->in, EK_GENERATION_ELSEWHERE) : EK_GENERATION_BAD;
  const char *text = msg ? ek_unpack_text (&msg->in, pool) : NULL;
  answered (msg);
  if (answer == EK_GENERATION_ELSEWHERE)
    ((EkWorker *) ek_channel_data (msg->channel))->outdated = true;
  if (answer == EK_GENERATION_BAD)
    ek_reload_fail ("worker", text ? text : "a worker ended meanwhile");
  else if (--r.answers == 0)
    use ();
}

static bool
takes_part (const EkWorker *w)
{
  return w->state == EK_WORKER_READY && w->place == NULL;
}

void
ek_reload_begin (EkPlan *plan, const EkPlan *now, guint64 generation)
{
  GPtrArray *all = ek_workers ();

  g_free (r.kept);
  r.kept = ek_plan_keep (plan, now);
  r.next = plan;
  r.generation = generation + 1;
  r.timeout = now->roles.reload_timeout.us;
  r.once_more = false;
  r.answers = 0;
  for (guint i = 0; i < all->len; i++)
    r.answers += takes_part (all->pdata[i]);
  ek_timer_set (r.loop, &r.deadline, r.timeout);
  for (guint i = 0; i < all->len; i++) {
    EkWorker *w = all->pdata[i];
    w->outdated = false;
    w->owes = takes_part (w);
    if (w->owes)
      ek_worker_configure (w, plan, r.generation, reload_answer, GUINT_TO_POINTER (r.number));
  }
  if (r.answers == 0)
    use ();                          /* all of them are starting, and are sent it when they are ready */
}

/* ---- who answers nothing ---- */

static void
too_late (EkTimer *timer)
{
  g_autoptr (GString) text = g_string_new (NULL);
  gint64 seconds = r.timeout / G_USEC_PER_SEC;

  for (guint i = 0; i < ek_workers ()->len; i++) {
    const EkWorker *w = ek_workers ()->pdata[i];
    if (w->owes && w->pid > 0)
      g_string_append_printf (text, "%s%s (process %d)", text->len ? ", " : "", w->name, (int) w->pid);
  }
  g_string_append_printf (text, " has not answered within %" G_GINT64_FORMAT " s (roles.reload_timeout): it hangs. See what it does, or end it "
                          "(kill -9), and master starts a new one", seconds);
  if (r.next) {
    ek_reload_fail ("worker", text->str);
    return;
  }
  ek_log (EK_ERR, "master", "the new configuration is in force, but %s", text->str);
  g_autofree char *kept = g_steal_pointer (&r.kept);
  r.kept = g_strdup_printf ("%s%s%s", kept ? kept : "", kept && kept[0] ? "\n" : "", text->str);
  settled ();
}

void
ek_reload_init (EkLoop *loop, const EkReloadHooks *hooks)
{
  r.loop = loop;
  r.hooks = hooks;
  r.deadline.func = too_late;
}
