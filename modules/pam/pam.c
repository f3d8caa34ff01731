/* pam.c - the system's users: passwords judged by PAM, in a helper process
 * SPDX-License-Identifier: Apache-2.0
 *
 * Each job thread has a helper of its own.  One that does not answer in time is given up: its socket closes, and it ends, with the
 * PAM module that holds it up.
 */
#include <ekiden/ekiden.h>
#include "lookup/template.h"
#include "pam.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_MS 30000              /* where the caller has no deadline */
#define SLICE_MS    100                /* between two looks at whether he still wants to know */

typedef struct {
  EkInstance  base;
  const char *service, *username_format, *config_dir;
} Pam;

static const EkOption options[] = {
  EK_OPTION (Pam, service, NULL, "The PAM service: the name of a file in /etc/pam.d."),
  EK_OPTION (Pam, username_format, "%n", "The name that PAM gets: %n is what is before the @, %u the whole name."),
  EK_OPTION (Pam, config_dir, "", "The folder of PAM services in place of /etc/pam.d."),
  EK_OPTIONS_END
};

/* ---- connections: a socket, plus one, so that none is NULL ---- */

static gpointer
connect_helper (EkInstance *self, GError **error)
{
  int fd = ek_helper_open (self, error);

  if (fd < 0)
    return NULL;
  fcntl (fd, F_SETFL, O_NONBLOCK);
  return GINT_TO_POINTER (fd + 1);
}

static void
disconnect_helper (EkInstance *self, gpointer conn)
{
  close (GPOINTER_TO_INT (conn) - 1);
}

/* ---- one question ---- */

static gint64
left_ms (const EkCall *call)
{
  return call->deadline ? (call->deadline - g_get_monotonic_time ()) / 1000 : PATIENCE_MS;
}

/* Waits until the helper can be spoken to or heard; false: no time or no interest is left. */
static bool
ready (const EkCall *call, int fd, short events)
{
  for (;;) {
    gint64 left = left_ms (call);
    struct pollfd p = { .fd = fd, .events = events };
    if (left <= 0 || call->cancelled)
      return false;
    int n = poll (&p, 1, (int) MIN (left, SLICE_MS));
    if (n > 0)
      return true;
    if (n < 0 && errno != EINTR)
      return false;
  }
}

static bool
say (const EkCall *call, int fd, const void *bytes, gsize n)
{
  const char *p = bytes;

  while (n > 0) {
    ssize_t k = send (fd, p, n, MSG_NOSIGNAL);
    if (k < 0 && errno == EAGAIN && ready (call, fd, POLLOUT))
      continue;
    if (k < 0 && errno != EINTR)
      return false;
    if (k > 0)
      p += k, n -= (gsize) k;
  }
  return true;
}

static bool
hear (const EkCall *call, int fd, void *bytes, gsize n)
{
  char *p = bytes;

  while (n > 0) {
    if (!ready (call, fd, POLLIN))
      return false;
    ssize_t k = recv (fd, p, n, 0);
    if (k == 0 || (k < 0 && errno != EINTR && errno != EAGAIN))
      return false;
    if (k > 0)
      p += k, n -= (gsize) k;
  }
  return true;
}

static bool
ask (const EkCall *call, int fd, const EkStr text[PAM_N_TEXTS])
{
  /* the helper gives up a little earlier than we do, so that its reason is heard */
  PamQuestion q = { .ms = (guint32) CLAMP (left_ms (call) * 9 / 10, 1, 600000) };
  bool ok = true;

  for (guint i = 0; i < PAM_N_TEXTS; i++)
    q.n[i] = (guint32) text[i].n;
  ok = say (call, fd, &q, sizeof q);
  for (guint i = 0; i < PAM_N_TEXTS; i++)
    ok = ok && say (call, fd, text[i].p, text[i].n);
  return ok;
}

/* PAM's modules make file names, lines and arguments of a name, as root: what no system calls a user is not shown to them. */
static bool
is_user (EkStr name)
{
  for (gsize i = 0; i < name.n; i++)
    if (name.p[i] == '/' || g_ascii_iscntrl (name.p[i]))
      return false;
  return name.n > 0 && name.p[0] != '-' && !ek_str_eq (name, EK_STR (".")) && !ek_str_eq (name, EK_STR (".."));
}

static EkStatus
verify (EkInstance *base, EkCall *call, const EkLogin *login, EkAccount *account)
{
  const Pam *self = (const Pam *) base;
  const char *name = ek_template_expand (call->pool, self->username_format, login->name, false, NULL);
  EkStr text[PAM_N_TEXTS] = { ek_str (name), login->secret, ek_str (login->client) };
  int fd = GPOINTER_TO_INT (call->conn) - 1;
  PamAnswer answer;
  char reason[PAM_REASON_MAX + 1] = "";

  for (guint i = 0; i < PAM_N_TEXTS; i++)
    if (text[i].n > PAM_TEXT_MAX || (text[i].n > 0 && memchr (text[i].p, '\0', text[i].n)))
      return EK_NOTFOUND;              /* PAM's strings cannot hold it, so nobody has it */
  if (!is_user (text[PAM_USER_TEXT]))
    return EK_NOTFOUND;
  call->by_client = true;            /* its modules see it, as PAM_RHOST */
  if (!ask (call, fd, text) || !hear (call, fd, &answer, sizeof answer) || answer.n > PAM_REASON_MAX || !hear (call, fd, reason, answer.n))
    return ek_fail (&call->error, EK_DEFER, 0, "service %s: its helper gives no answer", self->service);
  switch (answer.says) {
  case PAM_SAYS_YES:
    return EK_OK;
  case PAM_SAYS_NO:                    /* wrong, expired, locked: only the log may tell */
    ek_log (EK_INFO, "auth", "%s: user \"%s\": %s", base->name, login->name, reason);
    return EK_FAIL;
  case PAM_SAYS_UNKNOWN:
    return EK_NOTFOUND;
  default:
    call->conn_works = true;           /* the helper does, PAM does not */
    return ek_fail (&call->error, EK_DEFER, 0, "service %s: %s", self->service, reason);
  }
}

static gboolean
init (EkInstance *base, GError **error)
{
  const Pam *self = (const Pam *) base;

  if (self->service == NULL || strchr (self->service, '/')) {
    ek_fail (error, EK_FAIL, EINVAL, "service: \"%s\" is no name of a file in /etc/pam.d", self->service ? self->service : "");
    return FALSE;
  }
  return ek_template_check ("username_format", self->username_format, error);
}

static const EkPassdbOps passdb = { .verify = verify };

EK_MODULE (pam, .summary = "Passwords of the system's users, by PAM", .options = options, .instance_size = sizeof (Pam), .flags = EK_HELPER,
           .init = init, .connect = connect_helper, .disconnect = disconnect_helper, .passdb = &passdb);
