/* queuelist.c - reads the running server's queue page by page, and prints it as mailq(1) does
 * SPDX-License-Identifier: Apache-2.0 */
#include "config.h"
#include "cli/queuelist.h"
#include "base/event.h"
#include <string.h>
#include <time.h>

#define REASON_END 76                /* reasons end in this column, but for the parentheses */

bool
ek_queue_pages (const EkControlPlaces *places, const char *verb, const char *target, EkQueueEach func, gpointer data, GError **error)
{
  char from[40] = "";

  for (;;) {
    g_autoptr (EkPool) pool = ek_pool_new ();
    EkBuf text = { 0 };
    const char *words[] = { verb, target ? target : *from ? from : NULL, target && *from ? from : NULL, NULL };
    if (!ek_control_ask (places, words, &text, error)) {
      ek_buf_release (&text);
      return false;
    }
    const char *at = ek_buf_at (&text), *end = at + ek_buf_len (&text);
    *from = '\0';
    while (at < end) {
      const char *nl = memchr (at, '\n', (gsize) (end - at));
      EkStr line = { at, (gsize) ((nl ? nl : end) - at) };
      at = nl ? nl + 1 : end;
      const EkAnswerValue *m = ek_answer_parse (pool, line);
      if (m && ek_answer_get (m, "next"))
        g_strlcpy (from, ek_answer_text (m, "next"), sizeof from);
      else if (m)
        func (line, m, data);
    }
    ek_buf_release (&text);
    if (*from == '\0')
      return true;
  }
}

/* ---- mailq ---- */

bool
ek_mailq_wants (const EkMailq *self, const EkAnswerValue *m)
{
  const EkAnswerValue *rcpts = ek_answer_get (m, "recipients");

  if (self->only == NULL || strcmp (self->only, "ALL") == 0 || g_ascii_strcasecmp (self->only, ek_answer_text (m, "id")) == 0
      || strcmp (self->only, ek_answer_text (m, "state")) == 0 || g_pattern_match_simple (self->only, ek_answer_text (m, "sender")))
    return true;
  for (const EkAnswerValue *r = rcpts ? rcpts->items : NULL; r; r = r->next)
    if (g_pattern_match_simple (self->only, ek_answer_text (r, "address")))
      return true;
  return false;
}

/* Addresses and reasons come from strangers: no control characters reach the terminal. */
static void
clean (EkBuf *out, const char *text)
{
  ek_event_clean (out, ek_str (text));
}

static void
reason_line (const char *reason, EkBuf *out)
{
  glong width = g_utf8_strlen (reason, -1);

  ek_buf_printf (out, "%*s(", width < REASON_END ? (int) (REASON_END - width) : 0, "");
  clean (out, reason);
  ek_buf_appends (out, ")\n");
}

void
ek_mailq_message (EkMailq *self, const EkAnswerValue *m, EkBuf *out)
{
  const EkAnswerValue *rcpts = ek_answer_get (m, "recipients");
  const char *state = ek_answer_text (m, "state"), *sender = ek_answer_text (m, "sender"), *last = "";
  time_t arrival = (time_t) ek_answer_int (m, "arrival");
  char id[40], when[40] = "";
  struct tm tm;

  if (!ek_mailq_wants (self, m))
    return;
  if (self->messages++ == 0)
    ek_buf_printf (out, "%-17s %8s %-19s %s\n", "----Queue ID-----", "--Size--", "---Arrival Time----", "--Sender/Recipient------");
  self->bytes += (guint64) ek_answer_int (m, "size");
  g_snprintf (id, sizeof id, "%s%s", ek_answer_text (m, "id"), strcmp (state, "active") == 0 ? "*" : strcmp (state, "hold") == 0 ? "!" : "");
  if (localtime_r (&arrival, &tm))
    strftime (when, sizeof when, "%a %b %e %H:%M:%S", &tm);
  ek_buf_printf (out, "%-17s %8" G_GINT64_FORMAT " %19.19s ", id, ek_answer_int (m, "size"), when);
  clean (out, *sender ? sender : "MAILER-DAEMON");
  ek_buf_appendc (out, '\n');
  for (const EkAnswerValue *r = rcpts ? rcpts->items : NULL; r; r = r->next) {
    const char *reason = ek_answer_text (r, "reason");
    if (*reason && strcmp (reason, last) != 0)
      reason_line (reason, out);
    last = reason;
    ek_buf_printf (out, "%-17s %8s %-19s ", "", "", "");
    clean (out, ek_answer_text (r, "address"));
    ek_buf_appendc (out, '\n');
  }
  if (ek_answer_int (m, "omitted") > 0)
    ek_buf_printf (out, "%-17s %8s %-19s ... and %" G_GINT64_FORMAT " more recipients\n", "", "", "", ek_answer_int (m, "omitted"));
  ek_buf_appendc (out, '\n');
}

void
ek_mailq_end (const EkMailq *self, EkBuf *out)
{
  if (self->messages == 0)
    ek_buf_appends (out, "Mail queue is empty\n");
  else
    ek_buf_printf (out, "-- %" G_GUINT64_FORMAT " Kbytes in %" G_GUINT64_FORMAT " Request%s.\n", self->bytes / 1024, self->messages,
                   self->messages == 1 ? "" : "s");
}
