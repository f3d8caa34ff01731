/* status.c - statuses, errors, answers, replies: the small words of ekiden.h
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/base.h"
#include <errno.h>
#include <string.h>

G_DEFINE_QUARK (ekiden-error, ek_error)

const char *
ek_status_name (EkStatus status)
{
  static const char *const names[] = { "ok", "notfound", "defer", "fail", "pending" };

  return (guint) status < G_N_ELEMENTS (names) ? names[status] : "unknown";
}

EkStatus
ek_fail (GError **error, EkStatus status, int code, const char *fmt, ...)
{
  if (error && *error == NULL) {
    va_list args;
    va_start (args, fmt);
    *error = g_error_new_valist (EK_ERROR, code, fmt, args);
    va_end (args);
    if (code == EMFILE && strstr ((*error)->message, "LimitNOFILE") == NULL)      /* wherever it strikes, one thing helps */
      g_prefix_error (error, "no descriptors left (raise LimitNOFILE): ");
  }
  return status;
}

void
ek_call_done (EkCall *call, EkStatus status)
{
  g_assert (status != EK_PENDING);
  call->done (call, status, call->user);
}

void
ek_call_cancel (EkCall *call)
{
  bool before = call->cancelled;

  call->cancelled = true;
  if (!before && call->cancel)
    call->cancel (call, call->module_data);
}

/* Who called a filter reads the status back as the verdict it is. */
void
ek_filter_done (EkCall *call, EkVerdict verdict)
{
  g_assert (verdict != EK_VERDICT_PENDING);
  call->done (call, (EkStatus) verdict, call->user);
}

void
ek_answer_value (EkAnswer *answer, EkPool *pool, EkStr value)
{
  answer->n_rows = answer->n_columns = 1;
  answer->names = NULL;
  answer->cells = ek_pool_new0 (pool, EkStr);
  answer->cells[0] = ek_pool_str (pool, value);
}

EkStr
ek_answer_column (const EkAnswer *answer, const char *name)
{
  if (answer->n_rows == 0)
    return (EkStr) { NULL, 0 };
  for (guint i = 0; i < answer->n_columns; i++)
    if (name == NULL || (answer->names && strcmp (answer->names[i], name) == 0))
      return answer->cells[i];
  return (EkStr) { NULL, 0 };
}

EkStr
ek_param (const EkParam *params, guint n_params, const char *name)
{
  for (guint i = 0; i < n_params; i++)
    if (strcmp (params[i].name, name) == 0)
      return params[i].value;
  return (EkStr) { NULL, 0 };
}

EkVerdict
ek_reply (EkReply *reply, EkVerdict verdict, int code, const char *dsn, const char *fmt, ...)
{
  va_list args;
  va_start (args, fmt);
  reply->code = code;
  g_strlcpy (reply->dsn, dsn, sizeof reply->dsn);
  g_vsnprintf (reply->text, sizeof reply->text, fmt, args);
  va_end (args);
  for (char *p = reply->text; *p; p++)
    if ((guchar) *p < ' ' || *p == 127)            /* never a second line */
      *p = ' ';
  return verdict;
}
