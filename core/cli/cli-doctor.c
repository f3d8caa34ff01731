/* cli-doctor.c - ekiden doctor: looks at what the server leans on, and says what to do
 * SPDX-License-Identifier: Apache-2.0 */
#include "config.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/doctor.h"
#include "conf/option.h"
#include "flow/domain.h"
#include "flow/way.h"
#include "proc/confine.h"
#include <stdlib.h>
#include <string.h>
#include <sys/timex.h>
#include <unistd.h>

#define BUILT_AFTER 1750000000       /* seconds: no clock that is right shows less */
#define POSTMASTERS 100              /* domains whose postmaster is asked for */
#define STEP        5                /* seconds that a clock may be set by without a word */

static char *file, *probe;
static gboolean json, no_dns;

void
ek_doctor_say (EkDoctor *self, EkDoctorLevel level, const char *area, const char *fmt, ...)
{
  static const char *const words[] = { "ok", "warning", "problem" };
  va_list args;

  va_start (args, fmt);
  g_autofree char *text = g_strdup_vprintf (fmt, args);
  va_end (args);
  char *fix = strchr (text, '\n');
  if (fix)
    *fix++ = '\0';
  self->count[level]++;
  if (!self->json) {
    ek_buf_printf (&self->out, "%-8s %-13s %s\n", words[level], area, text);
    if (fix)
      ek_buf_printf (&self->out, "%22s -> %s\n", "", fix);
    return;
  }
  ek_json_object (&self->j, NULL);
  ek_json_text (&self->j, "level", words[level]);
  ek_json_text (&self->j, "area", area);
  ek_json_text (&self->j, "text", text);
  ek_json_text (&self->j, "fix", fix);
  ek_json_end_object (&self->j);
}

gconstpointer
ek_doctor_option (const EkInstance *self, const char *name, EkType type)
{
  const EkOption *row = self->module ? ek_options_row (self->module->options, name) : NULL;

  return row && row->type == type ? (const char *) self + row->offset : NULL;
}

/* ---- configuration ---- */

/* The values of one of the core's blocks, also when another part of the configuration has errors. */
static void
apply (EkDoctor *self, const EkBlockType *type, const char *kind, gpointer values)
{
  g_autoptr (EkProblems) problems = ek_problems_new ();      /* told by the whole check */
  EkLayer layer = { kind ? ek_conf_find_block (self->conf->root, kind, NULL) : self->conf->root };
  EkOptionContext context = { .pool = self->pool };

  ek_options_apply (type->options, values, &layer, 1, type->kind, &context, problems);
}

static void
check_configuration (EkDoctor *self, const char *path)
{
  g_autoptr (EkProblems) problems = ek_problems_new ();
  const EkProblem *p;

  self->gen = ek_generation_new (ek_conf_load (path, 0, problems), EK_ROLES_ALL, problems);
  if (self->gen)
    ek_ways_check (((const EkRoutingConf *) ek_generation_values (self->gen, &ek_routing_block, NULL))->transports, problems, true);
  for (guint i = 0; (p = ek_problems_get (problems, i)); i++)
    ek_doctor_say (self, EK_DR_PROBLEM, "configuration", "%s:%u: %s\ncorrect it; ekiden config check shows whether it is right", p->file ? p->file : path,
                   p->line, p->text);
  if (self->gen && ek_problems_count (problems) == 0)
    ek_doctor_say (self, EK_DR_OK, "configuration", "%s has no errors", path);
}

/* ---- the running server ---- */

static const EkAnswerValue *
ask (EkDoctor *self, const char *verb, const char *word, GError **error)
{
  EkBuf out = { 0 };
  const EkAnswerValue *answer = NULL;

  if (ek_control_ask (&self->places, (const char *const[]) { verb, word, NULL }, &out, error))
    answer = ek_answer_parse (self->pool, ek_pool_str (self->pool, ek_buf_str (&out)));
  ek_buf_release (&out);
  return answer;
}

static void
check_roles (EkDoctor *self)
{
  const EkAnswerValue *workers = ek_answer_get (self->status, "workers");
  guint bad = 0;

  for (const EkAnswerValue *w = workers ? workers->items : NULL; w; w = w->next)
    if (strcmp (ek_answer_text (w, "state"), "ready") != 0
        && !(ek_answer_get (w, "uid") && strcmp (ek_answer_text (w, "state"), "starting") == 0)) {
      bad++;
      ek_doctor_say (self, EK_DR_PROBLEM, "server", "%s is %s, and was started again %d times\nthe log says why it ended", ek_answer_text (w, "name"),
                     ek_answer_text (w, "state"), (int) ek_answer_int (w, "restarts"));
    }
  if (bad == 0)
    ek_doctor_say (self, EK_DR_OK, "server", "it runs (pid %d) and answers", (int) self->master);
}

static void
check_server (EkDoctor *self)
{
  g_autoptr (GError) error = NULL, why = NULL;
  int lock = ek_control_running (&self->places, &self->master);

  self->running = lock >= 0;
  if (lock >= 0)
    close (lock);
  if (!self->running) {
    ek_doctor_say (self, EK_DR_WARNING, "server", "it does not run\nsystemctl start ekiden, or ekidend");
    return;
  }
  self->status = ask (self, "status", NULL, &error);
  if (self->status == NULL) {
    ek_doctor_say (self, EK_DR_PROBLEM, "server", "%s\nsee the log; ekiden stop ends it", error ? error->message : "its answer cannot be understood");
    return;
  }
  check_roles (self);
  self->queue = ask (self, "queue-status", NULL, &why);
  if (self->queue == NULL)
    ek_doctor_say (self, EK_DR_PROBLEM, "server", "the queue: %s\nsee the log", why ? why->message : "its answer cannot be understood");
  else if (strcmp (ek_answer_text (self->queue, "health"), "ok") != 0)
    ek_doctor_say (self, EK_DR_PROBLEM, "server", "the spool is %s: %s\nmail is refused until that is mended", ek_answer_text (self->queue, "health"),
                   ek_answer_text (self->queue, "why"));
  else if (ek_answer_int (self->queue, "quarantined") > 0)
    ek_doctor_say (self, EK_DR_WARNING, "server", "the spool set aside %d damaged pieces\nsee the log; ekiden stop, ekiden fsck, then start it again",
                   (int) ek_answer_int (self->queue, "quarantined"));
}

/* ---- what the kernel refuses the roles ---- */

static void
check_confinement (EkDoctor *self)
{
  int abi = ek_confine_landlock ();

  if (!self->roles.confine)
    ek_doctor_say (self, EK_DR_WARNING, "confinement", "a role may reach all files that its user may\nset roles.confine = yes");
  else if (abi < 2)
    ek_doctor_say (self, EK_DR_WARNING, "confinement", "this kernel has no landlock that can be used, so a role may reach all files that its user may\n"
                   "Linux 5.19 or newer has it; boot with landlock in lsm=");
  else if (!ek_confine_seccomp ())
    ek_doctor_say (self, EK_DR_WARNING, "confinement", "landlock (ABI %d) but no seccomp\na kernel with CONFIG_SECCOMP_FILTER has it, on x86-64 and arm64", abi);
  else
    ek_doctor_say (self, EK_DR_OK, "confinement", "landlock (ABI %d) and seccomp keep each role to its own", abi);
}

/* ---- time ---- */

static void
check_clock (EkDoctor *self)
{
  struct timex t = { 0 };
  gint64 base = ek_answer_int (self->status, "clock_base"), step = base ? ek_clock_base () - base : 0;

  if (ek_wall () / G_USEC_PER_SEC < BUILT_AFTER)
    ek_doctor_say (self, EK_DR_PROBLEM, "clock", "it is years behind\nset it, and let chrony or systemd-timesyncd keep it");
  else if (adjtimex (&t) < 0 || t.status & STA_UNSYNC)
    ek_doctor_say (self, EK_DR_WARNING, "clock", "it is not synchronised: certificates and signatures need the right time\nlet chrony or systemd-timesyncd "
                   "keep it");
  else
    ek_doctor_say (self, EK_DR_OK, "clock", "synchronised");
  if (llabs (step) > STEP)
    ek_doctor_say (self, EK_DR_WARNING, "clock", "it was set %s by %" G_GINT64_FORMAT " s since the server started, so times in the log do not fit together\nlet "
                   "chrony or systemd-timesyncd slew it; make sure that nothing else sets it", step > 0 ? "forward" : "back", (gint64) llabs (step));
}

/* ---- postmaster ---- */

static void
add_postmaster (const EkBlockValues *v, gpointer data)
{
  const EkDomainConf *domain = v->values;
  GPtrArray *addresses = data;

  if (domain->transport == NULL && domain->names == NULL && v->block->name && addresses->len < POSTMASTERS)
    g_ptr_array_add (addresses, g_strconcat ("postmaster@", v->block->name, NULL));
}

/* RFC 5321 4.5.1: whoever has a question about a domain's mail writes to him, with the domain or without. */
static void
check_postmaster (EkDoctor *self)
{
  g_autoptr (GPtrArray) addresses = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GError) why = NULL;
  guint nobody = 0;
  const char *first = NULL;

  if (self->gen == NULL || self->status == NULL)
    return;
  ek_generation_each (self->gen, &ek_domain_block, add_postmaster, addresses);
  if (addresses->len == 0)
    return;                          /* no mailboxes here */
  g_ptr_array_insert (addresses, 0, g_strdup ("postmaster"));
  for (guint i = 0; i < addresses->len; i++) {
    const EkAnswerValue *answer = ask (self, "directory-address", addresses->pdata[i], &why);
    const char *found = answer ? ek_answer_text (answer, "found") : NULL;
    if (found == NULL || strcmp (found, "unknown") == 0) {
      ek_doctor_say (self, EK_DR_OK, "postmaster", "who gets mail for %s was not told: %s", (char *) addresses->pdata[i],
                     why ? why->message : "the domain's users cannot be asked now");
      return;
    }
    if (strcmp (found, "nobody") == 0) {
      first = first ? first : addresses->pdata[i];
      nobody++;
    }
  }
  if (nobody == 0)
    ek_doctor_say (self, EK_DR_OK, "postmaster", "somebody gets mail for postmaster");
  else
    ek_doctor_say (self, EK_DR_WARNING, "postmaster", "nobody gets mail for <%s>%s: it is refused, and RFC 5321 wants it taken\n"
                   "ekiden config set routing.postmaster USER@DOMAIN, or make that user", first, nobody > 1 ? " and others" : "");
}

/* ---- all of it ---- */

static void
examine (EkDoctor *self, const char *path)
{
  g_autoptr (GError) error = NULL;

  check_configuration (self, path);
  apply (self, &ek_top_block, NULL, &self->top);
  apply (self, &ek_roles_block, "roles", &self->roles);
  apply (self, &ek_log_block, "log", &self->log);
  if (!ek_control_places (path, &self->places, &error)) {
    ek_doctor_say (self, EK_DR_PROBLEM, "configuration", "%s\ncorrect it", error->message);
    return;
  }
  self->hostname = ek_blocks_hostname (&self->top);
  check_server (self);
  check_postmaster (self);
  check_confinement (self);
  ek_doctor_files (self);
  ek_doctor_certificates (self);
  ek_doctor_ports (self);
  check_clock (self);
  if (!no_dns)
    ek_doctor_dns (self);
}

static void
release (EkDoctor *self)
{
  ek_generation_unref (self->gen);                 /* a resolver that was started leaves the loop */
  ek_loop_free (self->loop);
  ek_control_places_clear (&self->places);
  ek_conf_free (self->conf);
  ek_pool_free (self->pool);
}

static int
report (EkDoctor *self)
{
  if (json) {
    ek_json_end_array (&self->j);
    ek_json_int (&self->j, "warnings", self->count[EK_DR_WARNING]);
    ek_json_int (&self->j, "problems", self->count[EK_DR_PROBLEM]);
    ek_json_end_object (&self->j);
    ek_buf_appendc (&self->out, '\n');
  }
  else
    ek_buf_printf (&self->out, "%u problem%s, %u warning%s\n", self->count[EK_DR_PROBLEM], self->count[EK_DR_PROBLEM] == 1 ? "" : "s",
                   self->count[EK_DR_WARNING], self->count[EK_DR_WARNING] == 1 ? "" : "s");
  ek_cli_write (STDOUT_FILENO, &self->out);
  return self->count[EK_DR_PROBLEM] > 0 ? EK_EXIT_FAILED : EK_EXIT_OK;
}

int
ek_cli_doctor (int argc, char **argv)
{
  static const GOptionEntry entries[] = {
    { "config", 'c', 0, G_OPTION_ARG_FILENAME, &file, "The configuration", "FILE" },
    { "probe", 'p', 0, G_OPTION_ARG_STRING, &probe, "Whose mail server is tried, to see whether mail gets out (gmail.com); [HOST]:PORT works too", "DOMAIN" },
    { "no-dns", 'n', 0, G_OPTION_ARG_NONE, &no_dns, "Ask neither the DNS nor another host", NULL },
    { "json", 0, 0, G_OPTION_ARG_NONE, &json, "Write JSON", NULL }, { NULL, 0, 0, 0, NULL, NULL, NULL }
  };
  g_autoptr (EkProblems) ignored = ek_problems_new ();
  g_autoptr (GError) error = NULL;
  int status;

  g_clear_pointer (&file, g_free);
  g_clear_pointer (&probe, g_free);
  json = no_dns = FALSE;
  if (!ek_cli_options (&argc, &argv, entries, "- look at what the server leans on", "Configuration, running server, users, permissions, disks, "
                       "certificates, ports, clock, DNS, and the way\nout to other mail servers.  Each line is ok, a warning or a problem, and what to do "
                       "stands below it.\nRun it as root: others see less.  Exit status: 1 when there is a problem, else 0.\n\nExamples:\n  ekiden doctor\n"
                       "  ekiden doctor --probe example.org\n  ekiden doctor --no-dns --json | jq '.checks[] | select(.level != \"ok\")'", &status))
    return status;
  if (argc > 1)
    return ek_cli_usage ("doctor takes no words: name the configuration with -c FILE");
  const char *path = file ? file : ek_conf_default_path ();
  EkDoctor dr = { .json = json, .pool = ek_pool_new (), .conf = ek_conf_load (path, EK_CONF_NO_FILES, ignored), .probe = probe ? probe : "gmail.com" };
  dr.j.out = &dr.out;
  if (g_getenv ("EKIDEN_LOG_LEVEL") == NULL)
    ek_log_set_level (EK_ERR);                   /* what a resolver warns of is a finding here */
  dr.loop = ek_loop_new (&error);
  if (dr.loop == NULL) {
    release (&dr);
    return ek_cli_failed (error);
  }
  if (json) {
    ek_json_object (&dr.j, NULL);
    ek_json_array (&dr.j, "checks");
  }
  examine (&dr, path);
  status = report (&dr);
  release (&dr);
  return status;
}
