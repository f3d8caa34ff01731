/* spoolrig.c - a spool with a small loop around it, for tests and benchmarks
 * SPDX-License-Identifier: Apache-2.0
 */
#include "spoolrig.h"
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void
wake (gpointer user)
{
  Rig *rig = user;
  guint64 one = 1;

  if (write (rig->event, &one, sizeof one) < 0)
    g_assert_cmpint (errno, ==, EAGAIN);
}

static void
report (gpointer user, EkLevel level, const char *text)
{
  Rig *rig = user;

  g_string_append_printf (rig->reports, "%d %s\n", level, text);
  rig->alarms += level == EK_ERR;
  if (rig->echo)
    fprintf (stderr, "# %s\n", text);
}

static void
live (gpointer user, EkSpoolMessage *message)
{
  g_ptr_array_add (((Rig *) user)->live, message);
}

SpoolOptions
rig_options (const char *dir)
{
  return (SpoolOptions) { .path = (char *) dir, .segment_size = RIG_SEGMENT, .retain = 8 * 1024 * 1024,
                          .lazy_sync = 50 * 1000, .cold_age = 600 * G_USEC_PER_SEC, .probe = 200 * 1000,
                          .workers = 2 };
}

bool
rig_open (Rig *rig, const SpoolOptions *options, guint64 size_limit, GError **error)
{
  EkSpoolHost host = { .user = rig, .wake = wake, .report = report, .live = live,
                       .message_size_limit = size_limit, .node = 7 };
  bool echo = rig->echo;

  *rig = (Rig) { .echo = echo };
  rig->event = eventfd (0, EFD_NONBLOCK | EFD_CLOEXEC);
  rig->live = g_ptr_array_new ();
  rig->reports = g_string_new (NULL);
  rig->spool = spool_open (options, &host, error);
  if (rig->spool == NULL)
    rig_close (rig);
  return rig->spool != NULL;
}

void
rig_close (Rig *rig)
{
  spool_close (rig->spool);
  close (rig->event);
  g_ptr_array_unref (rig->live);
  g_string_free (rig->reports, TRUE);
  *rig = (Rig) { .echo = rig->echo };
}

void
rig_turn (Rig *rig, int ms)
{
  struct pollfd fd = { .fd = rig->event, .events = POLLIN };
  guint64 n;

  if (poll (&fd, 1, ms) > 0 && read (rig->event, &n, sizeof n) < 0)
    g_assert_cmpint (errno, ==, EAGAIN);
  spool_dispatch (rig->spool);
}

bool
rig_until (Rig *rig, bool (*test) (Rig *, gpointer), gpointer data, int ms)
{
  for (gint64 end = ek_now () + ms * 1000; !test (rig, data);) {
    if (ek_now () > end)
      return false;
    rig_turn (rig, 20);
  }
  return true;
}

static void
done (EkCall *call, EkStatus status, gpointer user)
{
  RigCall *mine = user;

  g_assert_false (mine->done);
  mine->done = true;
  mine->status = status;
}

void
rig_call (RigCall *call)
{
  *call = (RigCall) { .call = { .done = done, .user = call } };
}

EkStatus
rig_wait (Rig *rig, RigCall *call, EkStatus first)
{
  EkStatus status = first;

  if (first == EK_PENDING) {
    for (gint64 end = ek_now () + 20 * G_USEC_PER_SEC; !call->done && ek_now () < end;)
      rig_turn (rig, 50);
    g_assert_true (call->done);
    status = call->status;
  }
  g_assert_true (status == EK_OK || call->call.error != NULL);
  if (call->call.error && rig->echo)
    fprintf (stderr, "# %s: %s\n", ek_status_name (status), call->call.error->message);
  g_clear_error (&call->call.error);
  return status;
}

EkStatus
rig_submit_new (Rig *rig, EkSpoolNew *message)
{
  RigCall call;

  rig_call (&call);
  if (message->id == 0)
    message->id = spool_new_id (rig->spool);
  return rig_wait (rig, &call, spool_submit (rig->spool, &call.call, message));
}

EkQueueId
rig_submit (Rig *rig, const char *sender, const char *rcpt, EkStr body)
{
  EkSpoolTo to = { .address = ek_str (rcpt) };
  EkSpoolExtent extent = { .bytes = body };
  EkSpoolNew message = { .sender = ek_str (sender), .to = &to, .n_to = 1, .extents = &extent, .n_extents = 1 };

  return rig_submit_new (rig, &message) == EK_OK ? message.id : 0;
}

EkStatus
rig_act (Rig *rig, EkSpoolMessage *message, const EkSpoolAct *act, bool sync)
{
  RigCall call;

  if (!sync)
    return spool_record (rig->spool, NULL, message, act, 1, NULL, 0);
  rig_call (&call);
  return rig_wait (rig, &call, spool_record (rig->spool, &call.call, message, act, 1, NULL, 0));
}

char *
rig_content (Rig *rig, EkSpoolMessage *message, gsize *n)
{
  EkSpoolContent content = { 0 };
  g_autoptr (GString) all = g_string_new (NULL);
  RigCall call;

  rig_call (&call);
  if (rig_wait (rig, &call, spool_content (rig->spool, &call.call, message, &content)) != EK_OK)
    return NULL;
  for (guint i = 0; i < content.n_parts; i++) {
    const EkSpoolPart *part = &content.parts[i];
    if (part->bytes.p) {
      g_string_append_len (all, part->bytes.p, (gssize) part->bytes.n);
      continue;
    }
    gsize at = all->len;
    g_string_set_size (all, at + part->len);
    g_assert_cmpint (pread (content.fd, all->str + at, part->len, (off_t) part->from), ==, (gssize) part->len);
  }
  spool_content_release (rig->spool, &content);
  if (n)
    *n = all->len;
  return g_string_free (g_steal_pointer (&all), FALSE);
}

static int
remove_one (const char *path, const struct stat *st, int flag, struct FTW *where)
{
  return remove (path);
}

void
rig_rmtree (const char *dir)
{
  nftw (dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
