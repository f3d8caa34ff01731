/* doctorports.c - ekiden doctor looks at the ports: free, ours, or taken by whom
 * SPDX-License-Identifier: Apache-2.0 */
#include "config.h"
#include "cli/doctor.h"
#include "net/listen.h"
#include <errno.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define AREA   "ports"
#define LISTEN 0x0a                  /* TCP_LISTEN, as /proc/net/tcp writes it */

typedef struct {
  guint64 inode;                     /* 0: nobody listens there */
  guint   uid;
  pid_t   pid;                       /* 0: not to be seen without root's rights */
  char    name[32];                  /* of its program */
} Owner;

/* ---- who listens ---- */

/* The address as /proc/net writes it: words of 32 bits in the machine's own order. */
static void
proc_text (const struct sockaddr_storage *at, char text[33])
{
  const guint8 *bytes = at->ss_family == AF_INET ? (const guint8 *) &((const struct sockaddr_in *) (const void *) at)->sin_addr
                                                 : (const guint8 *) &((const struct sockaddr_in6 *) (const void *) at)->sin6_addr;

  for (guint i = 0; i < (at->ss_family == AF_INET ? 1u : 4u); i++) {
    guint32 word;
    memcpy (&word, bytes + 4 * i, 4);
    g_snprintf (text + 8 * i, 9, "%08X", word);
  }
}

static bool
is_any (const char *address)
{
  return strspn (address, "0") == strlen (address);
}

static void
look_in (const char *path, const char *address, guint16 port, Owner *found)
{
  FILE *f = fopen (path, "re");
  char line[400], its[40];
  guint its_port, state;
  unsigned long long inode;

  while (f && found->inode == 0 && fgets (line, sizeof line, f))
    if (sscanf (line, " %*d: %32[0-9A-F]:%4X %*[0-9A-F]:%*4X %2X %*8X:%*8X %*2X:%*8X %*8X %u %*d %llu", its, &its_port, &state, &found->uid, &inode) == 5
        && state == LISTEN && its_port == port && (strcmp (its, address) == 0 || is_any (its) || is_any (address)))
      found->inode = inode;
  if (f)
    fclose (f);
}

static bool
holds (const char *pid, const char *socket_name)
{
  g_autofree char *folder = g_strdup_printf ("/proc/%s/fd", pid);
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  const char *entry;

  while (dir && (entry = g_dir_read_name (dir))) {
    char link[64];
    g_autofree char *path = g_build_filename (folder, entry, NULL);
    ssize_t n = readlink (path, link, sizeof link - 1);
    link[MAX (n, 0)] = '\0';
    if (strcmp (link, socket_name) == 0)
      return true;
  }
  return false;
}

static pid_t
parent_of (pid_t pid)
{
  g_autofree char *path = g_strdup_printf ("/proc/%d/stat", (int) pid), *text = NULL;
  int parent = 0;

  if (g_file_get_contents (path, &text, NULL, NULL) && strrchr (text, ')'))
    (void) sscanf (strrchr (text, ')'), ") %*c %d", &parent);
  return parent;
}

static void
find_process (Owner *found)
{
  g_autofree char *name = g_strdup_printf ("socket:[%" G_GUINT64_FORMAT "]", found->inode);
  g_autoptr (GDir) dir = g_dir_open ("/proc", 0, NULL);
  const char *entry;

  while (dir && found->pid == 0 && (entry = g_dir_read_name (dir)))
    if (g_ascii_isdigit (*entry) && holds (entry, name)) {
      g_autofree char *path = g_strdup_printf ("/proc/%s/comm", entry), *text = NULL;
      found->pid = atoi (entry);
      if (g_file_get_contents (path, &text, NULL, NULL))
        g_strlcpy (found->name, g_strchomp (text), sizeof found->name);
    }
}

static Owner
find_owner (const struct sockaddr_storage *at, guint16 port)
{
  Owner found = { 0 };
  char address[33];

  proc_text (at, address);
  look_in (at->ss_family == AF_INET ? "/proc/net/tcp" : "/proc/net/tcp6", address, port, &found);
  if (found.inode == 0)              /* [::] without IPV6_V6ONLY holds the IPv4 port too, and the other way round */
    look_in (at->ss_family == AF_INET ? "/proc/net/tcp6" : "/proc/net/tcp", "none", port, &found);
  if (found.inode != 0)
    find_process (&found);
  return found;
}

/* ---- each listener ---- */

static void
taken (EkDoctor *self, const char *name, const char *text, guint16 port, const struct sockaddr_storage *at)
{
  Owner who = find_owner (at, port);
  const struct passwd *pw = getpwuid (who.uid);
  bool ours = self->master > 0 && (who.pid == self->master || (who.pid > 0 && parent_of (who.pid) == self->master));

  if (self->running && (ours || who.pid == 0))
    ek_doctor_say (self, EK_DR_OK, AREA, "listener %s: %s port %u is in use, as it should be", name, text, port);
  else if (who.pid > 0)
    ek_doctor_say (self, EK_DR_PROBLEM, AREA, "listener %s: %s (process %d, user %s) listens at %s port %u\nstop it, or take another port in "
                   "listener.%s.address", name, who.name, (int) who.pid, pw ? pw->pw_name : "?", text, port, name);
  else
    ek_doctor_say (self, EK_DR_PROBLEM, AREA, "listener %s: a process of user %s listens at %s port %u\nas root `ekiden doctor` or `ss -ltnp` names "
                   "it; stop it, or take another port in listener.%s.address", name, who.inode && pw ? pw->pw_name : "?", text, port, name);
}

static void
check_port (EkDoctor *self, const char *name, const struct sockaddr_storage *at)
{
  g_autoptr (GError) error = NULL;
  char text[64];
  guint16 port;
  int fd = ek_listen (at, 1, &error);

  ek_address_text (at, text, sizeof text, &port);
  if (fd >= 0)
    close (fd);
  if (fd >= 0 && self->running)
    ek_doctor_say (self, EK_DR_PROBLEM, AREA, "listener %s: nobody listens at %s port %u, though the server runs\nekiden reload, and see the log",
                   name, text, port);
  else if (fd >= 0)
    ek_doctor_say (self, EK_DR_OK, AREA, "listener %s: %s port %u is free", name, text, port);
  else if (error->code == EADDRINUSE)
    taken (self, name, text, port, at);
  else if (error->code == EACCES)
    ek_doctor_say (self, EK_DR_WARNING, AREA, "listener %s: only root may look at %s port %u\nsudo ekiden doctor", name, text, port);
  else
    ek_doctor_say (self, EK_DR_PROBLEM, AREA, "listener %s: %s\ncorrect listener.%s.address", name, error->message, name);
}

void
ek_doctor_ports (EkDoctor *self)
{
  for (const EkConfBlock *b = self->conf->root->blocks; b; b = b->next) {
    const EkConfSetting *s = strcmp (b->kind, "listener") == 0 ? ek_conf_find_setting (b, "address") : NULL;
    for (guint i = 0; s && i < s->n_items; i++) {
      struct sockaddr_storage found[2];
      guint n = ek_listen_parse (s->items[i].text.p, found, NULL);   /* a bad one is told by the check of the configuration */
      for (guint k = 0; k < n; k++)
        check_port (self, b->name ? b->name : "", &found[k]);
    }
  }
}
