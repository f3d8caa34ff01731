/* cli-doctor.c - ekiden doctor: looks at what the server leans on, and says what to do
 * SPDX-License-Identifier: Apache-2.0 */
#include "config.h"
#include "cli/cli.h"
#include "cli/control.h"
#include "cli/doctor.h"
#include "conf/option.h"
#include "module/generation.h"
#include "net/listen.h"
#include "proc/blocks.h"
#include <errno.h>
#include <grp.h>
#include <netdb.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#define LEAST_FREE (64u * 1024 * 1024)
#define BUILT_AFTER 1750000000       /* seconds: no clock that is right shows less */

static char *file;
static gboolean json, no_dns;

typedef struct {
  EkDoctor        dr;
  EkPool         *pool;
  EkConf         *conf;
  EkTopConf       top;
  EkRolesConf     roles;
  EkControlPlaces places;
  bool            running;
} Visit;

void
ek_doctor_say (EkDoctor *self, EkDoctorLevel level, const char *area, const char *fmt, ...)
{
  static const char *const words[] = { "ok", "warning", "problem" };
  va_list args;

  va_start (args, fmt);
  g_autofree char *text = g_strdup_vprintf (fmt, args);
  va_end (args);
  self->count[level]++;
  if (!self->json) {
    ek_buf_printf (&self->out, "%-8s %-13s %s\n", words[level], area, text);
    return;
  }
  ek_json_object (&self->j, NULL);
  ek_json_text (&self->j, "level", words[level]);
  ek_json_text (&self->j, "area", area);
  ek_json_text (&self->j, "text", text);
  ek_json_end_object (&self->j);
}

/* ---- configuration ---- */

static void
apply (Visit *v, const EkBlockType *type, const char *kind, gpointer values)
{
  g_autoptr (EkProblems) problems = ek_problems_new ();      /* told by the whole check */
  EkLayer layer = { kind ? ek_conf_find_block (v->conf->root, kind, NULL) : v->conf->root };
  EkOptionContext context = { .pool = v->pool };

  ek_options_apply (type->options, values, &layer, 1, type->kind, &context, problems);
}

static bool
is_secret_file (const EkConfItem *item, struct stat *st)
{
  return item->text.n > 0 && item->text.p[0] == '/' && stat (item->text.p, st) == 0 && S_ISREG (st->st_mode);
}

/* Files that keep passwords, whatever module reads them. */
static void
check_password_files (Visit *v, const EkInstance *self)
{
  const EkConfBlock *block = ek_instance_block (self);
  struct stat st;

  for (const EkConfSetting *s = block->settings; s; s = s->next)
    for (guint i = 0; i < s->n_items; i++)
      if (is_secret_file (&s->items[i], &st))
        ek_doctor_say (&v->dr, st.st_mode & 007 ? EK_DR_PROBLEM : EK_DR_OK, "permissions", st.st_mode & 007
                       ? "%s (%s) may be read by everybody: chmod o= %s" : "%s (%s) is private", s->items[i].text.p, self->name,
                       s->items[i].text.p);
}

static void
check_configuration (Visit *v, const char *path)
{
  g_autoptr (EkProblems) problems = ek_problems_new ();
  g_autoptr (EkGeneration) gen = ek_generation_new (ek_conf_load (path, 0, problems), EK_ROLES_ALL, problems);
  const EkProblem *p;

  for (guint i = 0; (p = ek_problems_get (problems, i)); i++)
    ek_doctor_say (&v->dr, EK_DR_PROBLEM, "configuration", "%s:%u: %s", p->file ? p->file : path, p->line, p->text);
  if (gen == NULL)
    return;
  ek_doctor_say (&v->dr, EK_DR_OK, "configuration", "%s has no errors", path);
  for (guint i = 0; i < ek_generation_n_instances (gen); i++) {
    const EkInstance *self = ek_generation_instance_at (gen, i);
    if (self->module && self->module->passdb)
      check_password_files (v, self);
  }
}

/* ---- users and folders ---- */

static void
check_users (Visit *v)
{
  const EkRolesConf *r = &v->roles;
  const char *const users[] = { r->user_tls, r->user_edge, r->user_directory, r->user_queue, r->user_relay, r->user_store, r->user_log,
                                r->user_control };
  guint good = 0;

  if (geteuid () != 0) {
    ek_doctor_say (&v->dr, EK_DR_OK, "users", "not root: all roles would run as this user");
    return;
  }
  for (guint i = 0; i < G_N_ELEMENTS (users); i++) {
    const struct passwd *pw = users[i] ? getpwnam (users[i]) : NULL;
    if (pw == NULL)
      ek_doctor_say (&v->dr, EK_DR_PROBLEM, "users", "user %s does not exist: run systemd-sysusers, or name another one in the block roles",
                     users[i] ? users[i] : "(none)");
    else if (pw->pw_uid == 0)
      ek_doctor_say (&v->dr, EK_DR_PROBLEM, "users", "user %s is root: a role never runs as root", users[i]);
    else
      good++;
  }
  if (good == G_N_ELEMENTS (users))
    ek_doctor_say (&v->dr, EK_DR_OK, "users", "the users of all roles exist");
  if (getgrnam ("ekiden-drop") == NULL)
    ek_doctor_say (&v->dr, EK_DR_WARNING, "users", "group ekiden-drop does not exist, so only root may use sendmail: run systemd-sysusers");
}

static void
check_folder (Visit *v, const char *path, const char *user, mode_t forbidden)
{
  const struct passwd *pw = user && geteuid () == 0 ? getpwnam (user) : NULL;
  struct stat st;

  if (stat (path, &st) < 0)
    ek_doctor_say (&v->dr, errno == ENOENT && !v->running ? EK_DR_OK : EK_DR_PROBLEM, "permissions", "%s: %s%s", path, g_strerror (errno),
                   errno == ENOENT ? " (the server makes it when it starts)" : "");
  else if (!S_ISDIR (st.st_mode))
    ek_doctor_say (&v->dr, EK_DR_PROBLEM, "permissions", "%s is no folder", path);
  else if (pw && st.st_uid != pw->pw_uid)
    ek_doctor_say (&v->dr, EK_DR_PROBLEM, "permissions", "%s does not belong to %s: chown %s %s", path, user, user, path);
  else if (st.st_mode & forbidden)
    ek_doctor_say (&v->dr, EK_DR_PROBLEM, "permissions", "%s has mode %04o: others may do too much there: chmod %04o %s", path,
                   (guint) st.st_mode & 07777, (guint) (st.st_mode & ~forbidden) & 07777, path);
  else
    ek_doctor_say (&v->dr, EK_DR_OK, "permissions", "%s", path);
}

static void
check_folders (Visit *v)
{
  g_autofree char *events = g_build_filename (v->places.state_dir, "events", NULL);
  g_autofree char *control = g_build_filename (v->places.run_dir, "control", NULL);

  check_folder (v, v->places.state_dir, NULL, 0002);
  check_folder (v, v->places.run_dir, NULL, 0002);
  check_folder (v, v->places.drop_folder, v->roles.user_queue, 0007);
  check_folder (v, events, v->roles.user_log, 0007);
  check_folder (v, control, v->roles.user_control, 0022);
}

static void
check_disk (Visit *v, const char *path)
{
  struct statvfs fs;
  guint64 least = LEAST_FREE + v->places.message_size_limit + v->places.message_size_limit / 2;

  if (statvfs (path, &fs) < 0)
    return;                                        /* told with the folders */
  guint64 left = (guint64) fs.f_bavail * fs.f_frsize;
  g_autofree char *size = g_format_size_full (left, G_FORMAT_SIZE_IEC_UNITS);
  bool few = fs.f_files > 0 && fs.f_favail < fs.f_files / 100;
  ek_doctor_say (&v->dr, left < least ? EK_DR_PROBLEM : few || left < 4 * least ? EK_DR_WARNING : EK_DR_OK, "disk", "%s: %s free%s%s", path, size,
                 few ? ", and hardly any inodes" : "", left < least ? ": mail is refused with 452 now or soon: make room" : "");
}

/* ---- ports ---- */

static void
check_port (Visit *v, const char *name, const struct sockaddr_storage *at)
{
  g_autoptr (GError) error = NULL;
  char text[64];
  guint16 port;
  int fd = ek_listen (at, 1, &error);

  ek_address_text (at, text, sizeof text, &port);
  if (fd >= 0)
    close (fd);
  if (fd >= 0 && v->running)
    ek_doctor_say (&v->dr, EK_DR_PROBLEM, "ports", "listener %s: nobody listens at %s port %u, though the server runs: ekiden reload", name, text, port);
  else if (fd >= 0)
    ek_doctor_say (&v->dr, EK_DR_OK, "ports", "listener %s: %s port %u is free", name, text, port);
  else if (error->code == EADDRINUSE && v->running)
    ek_doctor_say (&v->dr, EK_DR_OK, "ports", "listener %s: %s port %u is in use, as it should be", name, text, port);
  else
    ek_doctor_say (&v->dr, error->code == EACCES ? EK_DR_WARNING : EK_DR_PROBLEM, "ports", "listener %s: %s%s", name, error->message,
                   error->code == EADDRINUSE ? " (ss -ltnp shows who)" : "");
}

static void
check_ports (Visit *v)
{
  for (const EkConfBlock *b = v->conf->root->blocks; b; b = b->next) {
    const EkConfSetting *s = strcmp (b->kind, "listener") == 0 ? ek_conf_find_setting (b, "address") : NULL;
    for (guint i = 0; s && i < s->n_items; i++) {
      struct sockaddr_storage found[2];
      g_autoptr (GError) error = NULL;
      guint n = ek_listen_parse (s->items[i].text.p, found, &error);
      for (guint k = 0; k < n; k++)
        check_port (v, b->name ? b->name : "", &found[k]);
      if (error)
        ek_doctor_say (&v->dr, EK_DR_PROBLEM, "ports", "listener %s: %s", b->name ? b->name : "", error->message);
    }
  }
}

/* ---- names and time ---- */

static void
check_reverse (Visit *v, const struct addrinfo *a, const char *hostname)
{
  char text[NI_MAXHOST] = "", name[NI_MAXHOST];

  getnameinfo (a->ai_addr, a->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST);
  if (getnameinfo (a->ai_addr, a->ai_addrlen, name, sizeof name, NULL, 0, NI_NAMEREQD) != 0)
    ek_doctor_say (&v->dr, EK_DR_WARNING, "dns", "%s has no PTR record: others refuse mail from it; ask who gave you the address", text);
  else if (g_ascii_strcasecmp (name, hostname) != 0)
    ek_doctor_say (&v->dr, EK_DR_WARNING, "dns", "the PTR record of %s says %s, not %s: others may refuse mail from it", text, name, hostname);
  else
    ek_doctor_say (&v->dr, EK_DR_OK, "dns", "%s is %s, both ways", text, name);
}

static void
check_dns (Visit *v, const char *hostname)
{
  struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found = NULL;

  if (strchr (hostname, '.') == NULL)
    ek_doctor_say (&v->dr, EK_DR_WARNING, "dns", "the hostname \"%s\" has no domain: ekiden config set hostname mail.example.com", hostname);
  int err = getaddrinfo (hostname, NULL, &hints, &found);
  if (err != 0) {
    ek_doctor_say (&v->dr, EK_DR_WARNING, "dns", "%s does not resolve (%s): add an A or AAAA record, or correct `hostname`", hostname, gai_strerror (err));
    return;
  }
  for (const struct addrinfo *a = found; a; a = a->ai_next)
    check_reverse (v, a, hostname);
  freeaddrinfo (found);
}

static void
check_clock (Visit *v)
{
  struct timex t = { 0 };

  if (ek_wall () / G_USEC_PER_SEC < BUILT_AFTER)
    ek_doctor_say (&v->dr, EK_DR_PROBLEM, "clock", "it is years behind: set it, and let chrony or systemd-timesyncd keep it");
  else if (adjtimex (&t) < 0 || t.status & STA_UNSYNC)
    ek_doctor_say (&v->dr, EK_DR_WARNING, "clock", "it is not synchronised: certificates and signatures need the right time (chrony, systemd-timesyncd)");
  else
    ek_doctor_say (&v->dr, EK_DR_OK, "clock", "synchronised");
}

static void
check_server (Visit *v)
{
  g_autoptr (GError) error = NULL;
  EkBuf out = { 0 };
  pid_t pid;
  int lock = ek_control_running (&v->places, &pid);

  v->running = lock >= 0;
  if (lock >= 0)
    close (lock);
  if (!v->running)
    ek_doctor_say (&v->dr, EK_DR_WARNING, "server", "it does not run");
  else if (!ek_control_ask (&v->places, (const char *const[]) { "status", NULL }, &out, &error))
    ek_doctor_say (&v->dr, EK_DR_PROBLEM, "server", "%s", error->message);
  else
    ek_doctor_say (&v->dr, EK_DR_OK, "server", "it runs (pid %d) and answers", (int) pid);
  ek_buf_release (&out);
}

/* ---- all of it ---- */

static void
examine (Visit *v, const char *path)
{
  g_autoptr (GError) error = NULL;

  check_configuration (v, path);
  apply (v, &ek_top_block, NULL, &v->top);
  apply (v, &ek_roles_block, "roles", &v->roles);
  if (!ek_control_places (path, &v->places, &error)) {
    ek_doctor_say (&v->dr, EK_DR_PROBLEM, "configuration", "%s", error->message);
    return;
  }
  const char *hostname = ek_blocks_hostname (&v->top);
  check_server (v);
  check_users (v);
  check_folders (v);
  ek_doctor_certificates (&v->dr, v->conf, hostname);
  check_ports (v);
  if (!no_dns)
    check_dns (v, hostname);
  check_clock (v);
  check_disk (v, v->places.state_dir);
}

int
ek_cli_doctor (int argc, char **argv)
{
  static const GOptionEntry entries[] = {
    { "config", 'c', 0, G_OPTION_ARG_FILENAME, &file, "The configuration", "FILE" },
    { "no-dns", 0, 0, G_OPTION_ARG_NONE, &no_dns, "Do not ask the DNS", NULL },
    { "json", 0, 0, G_OPTION_ARG_NONE, &json, "Write JSON", NULL }, { NULL, 0, 0, 0, NULL, NULL, NULL }
  };
  g_autoptr (EkProblems) ignored = ek_problems_new ();
  int status;

  g_clear_pointer (&file, g_free);
  json = no_dns = FALSE;
  if (!ek_cli_options (&argc, &argv, entries, "- look at what the server leans on", "Each line is ok, a warning or a problem, with what to "
                       "do.  Exit status 1: there is a problem.\n\nExamples:\n  ekiden doctor\n  ekiden doctor --json --no-dns", &status))
    return status;
  if (argc > 1)
    return ek_cli_usage ("doctor takes no words: name the configuration with -c FILE");
  const char *path = file ? file : ek_conf_default_path ();
  Visit v = { .dr.json = json, .pool = ek_pool_new (), .conf = ek_conf_load (path, EK_CONF_NO_FILES, ignored) };
  v.dr.j.out = &v.dr.out;
  if (json) {
    ek_json_object (&v.dr.j, NULL);
    ek_json_array (&v.dr.j, "checks");
  }
  examine (&v, path);
  if (json) {
    ek_json_end_array (&v.dr.j);
    ek_json_int (&v.dr.j, "warnings", v.dr.count[EK_DR_WARNING]);
    ek_json_int (&v.dr.j, "problems", v.dr.count[EK_DR_PROBLEM]);
    ek_json_end_object (&v.dr.j);
    ek_buf_appendc (&v.dr.out, '\n');
  }
  ek_cli_write (STDOUT_FILENO, &v.dr.out);
  ek_control_places_clear (&v.places);
  ek_conf_free (v.conf);
  ek_pool_free (v.pool);
  return v.dr.count[EK_DR_PROBLEM] > 0 ? EK_EXIT_FAILED : EK_EXIT_OK;
}
