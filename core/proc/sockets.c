/* sockets.c - master's listening sockets: bound, taken over from the plan before, or from the program before
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "proc/sockets.h"
#include "net/listen.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A socket that an earlier self or the old plan has already. */
static int
inherited (const char *address)
{
  g_auto (GStrv) parts = g_strsplit (g_getenv ("EKIDEN_SOCKETS") ? g_getenv ("EKIDEN_SOCKETS") : "", ",", 1024);

  for (guint i = 0; parts[i]; i++) {
    char *eq = strchr (parts[i], '=');
    if (eq == NULL)
      continue;
    *eq = '\0';
    int fd = atoi (eq + 1);
    if (strcmp (parts[i], address) == 0 && fcntl (fd, F_SETFD, FD_CLOEXEC) == 0)
      return fd;
  }
  return -1;
}

/* Those that the configuration does not name any more are closed, and the list is forgotten: a descriptor's number
 * means something else later. */
void
ek_sockets_forget (void)
{
  g_auto (GStrv) parts = g_strsplit (g_getenv ("EKIDEN_SOCKETS") ? g_getenv ("EKIDEN_SOCKETS") : "", ",", 1024);

  for (guint i = 0; parts[i]; i++) {
    char *eq = strchr (parts[i], '=');
    int fd = eq ? atoi (eq + 1) : -1;
    int flags = fd > 2 ? fcntl (fd, F_GETFD) : -1;
    if (flags >= 0 && !(flags & FD_CLOEXEC))
      close (fd);
  }
  g_unsetenv ("EKIDEN_SOCKETS");
}

static EkPlanSocket *
same_socket (EkPlan *plan, const char *address)
{
  for (guint i = 0; plan && i < plan->sockets->len; i++) {
    EkPlanSocket *s = plan->sockets->pdata[i];
    if (s->fd >= 0 && strcmp (s->address, address) == 0)
      return s;
  }
  return NULL;
}

bool
ek_sockets_bind (EkPlan *plan, EkPlan *old, GString *errors)
{
  bool ok = true;

  for (guint i = 0; i < plan->sockets->len; i++) {
    g_autoptr (GError) error = NULL;
    EkPlanSocket *s = plan->sockets->pdata[i], *was = same_socket (old, s->address);
    s->fd = was ? fcntl (was->fd, F_DUPFD_CLOEXEC, 3) : inherited (s->address);
    if (s->fd < 0)
      s->fd = ek_listen (&s->at, s->backlog, &error);
    if (s->fd < 0) {
      g_string_append_printf (errors, "listener \"%s\": %s\n", s->listener, error->message);
      ok = false;
    }
  }
  return ok;
}

char *
ek_sockets_pass (const EkPlan *plan)
{
  GString *sockets = g_string_new ("EKIDEN_SOCKETS=");

  for (guint i = 0; i < plan->sockets->len; i++) {
    const EkPlanSocket *s = plan->sockets->pdata[i];
    if (fcntl (s->fd, F_SETFD, 0) == 0)
      g_string_append_printf (sockets, "%s=%d,", s->address, s->fd);
  }
  return g_string_free (sockets, FALSE);
}
