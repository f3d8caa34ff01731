/* plan.c - what master reads off a checked configuration: processes, sockets, certificates
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "proc/plan.h"
#include "base/log.h"
#include "net/listen.h"
#include "proc/check.h"
#include "proc/logrole.h"
#include "proc/confine.h"
#include "proc/tlsconf.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define PEM_MAX (1u << 20)

static void
socket_free (gpointer data)
{
  EkPlanSocket *s = data;

  if (s->fd >= 0)
    close (s->fd);
  g_free (s->listener);
  g_free (s->address);
  g_free (s);
}

static void
certificate_free (gpointer data)
{
  EkPlanCertificate *c = data;

  ek_wipe_free (c->key);
  g_free (c->chain);
  g_free (c->name);
  g_free (c);
}

void
ek_plan_free (EkPlan *plan)
{
  if (plan == NULL)
    return;
  g_ptr_array_unref (plan->sockets);
  g_ptr_array_unref (plan->certificates);
  for (guint i = 0; i < EK_N_ROLES; i++)
    g_free ((char *) plan->who[i].chroot);
  g_free (plan->hostname);
  ek_conf_free (plan->conf);
  ek_pool_free (plan->pool);
  g_free (plan);
}

GPtrArray *
ek_plan_reach (const EkPlan *plan, guint32 roles, bool look)
{
  return ek_reach_new (plan->conf, roles, plan->top.state_dir, plan->top.run_dir, plan->roles.paths, look);
}

/* Master has no modules, so references stay NULL; the child has checked them. */
static void
apply (EkPlan *plan, const EkBlockType *type, const EkConfBlock *block, gpointer values, EkProblems *problems)
{
  EkLayer layer = { block };
  EkOptionContext context = { .pool = plan->pool };

  ek_options_apply (type->options, values, &layer, 1, type->kind, &context, problems);
}

/* A listener needs a certificate where TLS must be, and names only those that there are. */
static void
check_names (const EkPlan *plan, const EkConfBlock *block, const EkListenerConf *c, EkProblems *problems)
{
  const char *listener = block->name ? block->name : "";

  for (guint i = 0; c->certificates && c->certificates[i]; i++) {
    bool there = false;
    for (guint k = 0; k < plan->certificates->len; k++)
      there |= strcmp (((EkPlanCertificate *) plan->certificates->pdata[k])->name, c->certificates[i]) == 0;
    if (!there)
      ek_problems_add (problems, &block->at, "listener \"%s\": there is no block certificate \"%s\"", listener, c->certificates[i]);
  }
  if (plan->certificates->len == 0 && (strcmp (c->tls, "implicit") == 0 || strcmp (c->tls, "required") == 0))
    ek_problems_add (problems, &block->at, "listener \"%s\" has tls = %s and there is no certificate: write "
                     "certificate \"default\" { chain = FILE  key = FILE }", listener, c->tls);
}

static void
add_sockets (EkPlan *plan, const EkConfBlock *block, bool login, EkProblems *problems)
{
  EkListenerConf c = { 0 };

  apply (plan, &ek_listener_block, block, &c, problems);
  check_names (plan, block, &c, problems);
  for (guint i = 0; c.address && c.address[i]; i++) {
    struct sockaddr_storage found[2];
    g_autoptr (GError) error = NULL;
    guint n = ek_listen_parse (c.address[i], found, &error);
    if (error)
      ek_problems_add (problems, &block->at, "%s", error->message);
    for (guint k = 0; k < n; k++) {
      EkPlanSocket *s = g_new0 (EkPlanSocket, 1);
      char text[64];
      guint16 port;
      ek_address_text (&found[k], text, sizeof text, &port);
      *s = (EkPlanSocket) { .listener = g_strdup (block->name ? block->name : ""), .at = found[k], .fd = -1,
                            .backlog = (int) c.backlog, .login = login };
      s->address = g_strdup_printf (found[k].ss_family == AF_INET6 ? "[%s]:%u" : "%s:%u", text, port);
      s->role = strcmp (c.tls, "implicit") == 0 ? EK_ROLE_TLS : EK_ROLE_EDGE;
      g_ptr_array_add (plan->sockets, s);
    }
  }
}

static char *
read_pem (const EkPlan *plan, const char *path, const EkConfBlock *block, const char *what, EkProblems *problems)
{
  g_autoptr (GError) error = NULL;
  char *text = NULL;
  gsize n = 0;

  if (plan->only_check && access (path, R_OK) < 0 && errno == EACCES)
    return NULL;
  if (!g_file_get_contents (path, &text, &n, &error))
    ek_problems_add (problems, &block->at, "certificate \"%s\": cannot read the %s: %s", block->name ? block->name : "",
                     what, error->message);
  else if (n > PEM_MAX || strlen (text) != n || strstr (text, "-----BEGIN") == NULL) {
    ek_problems_add (problems, &block->at, "certificate \"%s\": %s is no PEM file", block->name ? block->name : "", path);
    g_clear_pointer (&text, g_free);
  }
  return text;
}

/* Errors of the block itself are the check's to tell; those of the files are told here. */
static void
add_certificate (EkPlan *plan, const EkConfBlock *block, EkProblems *problems)
{
  g_autoptr (EkProblems) ignored = ek_problems_new ();
  EkCertificateConf c = { 0 };
  EkPlanCertificate *made = g_new0 (EkPlanCertificate, 1);

  apply (plan, &ek_certificate_block, block, &c, ignored);
  *made = (EkPlanCertificate) { .block = block, .name = g_strdup (block->name ? block->name : ""), .names = c.names,
                                .chain_path = c.chain, .key_path = c.key };
  made->chain = c.chain ? read_pem (plan, c.chain, block, "certificate", problems) : NULL;
  made->key = c.key ? read_pem (plan, c.key, block, "key", problems) : NULL;
  g_ptr_array_add (plan->certificates, made);
}

/* In the child: PEM is parsed without rights, for others may write these files. */
static void
check_tls (gpointer data, EkProblems *problems)
{
  const EkPlan *plan = data;
  const EkConfBlock *block = ek_conf_find_block (plan->conf->root, "tls", NULL);
  g_autoptr (GError) general = NULL;

  SSL_CTX_free (ek_tls_context_new (&plan->tls, &(EkPem) { 0 }, &(EkPem) { 0 }, &general));
  if (general)
    ek_problems_add (problems, block ? &block->at : NULL, "%s", general->message);
  for (guint i = 0; general == NULL && i < plan->certificates->len; i++) {
    const EkPlanCertificate *c = plan->certificates->pdata[i];
    g_autoptr (GError) error = NULL;
    if (c->chain && c->key)
      SSL_CTX_free (ek_tls_context_new (&plan->tls, &(EkPem) { c->chain_path, ek_str (c->chain) },
                                        &(EkPem) { c->key_path, ek_str (c->key) }, &error));
    if (error)
      ek_problems_add (problems, &c->block->at, "certificate \"%s\": %s", c->name, error->message);
  }
}

/* Before the check, which looks into them. */
static void
read_certificates (EkPlan *plan, EkProblems *problems)
{
  g_autoptr (EkProblems) ignored = ek_problems_new ();

  apply (plan, &ek_tls_block, ek_conf_find_block (plan->conf->root, "tls", NULL), &plan->tls, ignored);
  for (const EkConfBlock *b = plan->conf->root->blocks; b; b = b->next)
    if (strcmp (b->kind, "certificate") == 0)
      add_certificate (plan, b, problems);
}

void
ek_plan_check_certificates (EkConf *conf, EkProblems *problems)
{
  EkPlan plan = { .pool = ek_pool_new (), .conf = conf, .only_check = true };

  plan.certificates = g_ptr_array_new_with_free_func (certificate_free);
  read_certificates (&plan, problems);
  check_tls (&plan, problems);
  for (const EkConfBlock *b = conf->root->blocks; b; b = b->next) {
    g_autoptr (EkProblems) ignored = ek_problems_new ();
    EkListenerConf c = { .tls = "none" };
    if (strcmp (b->kind, "listener") == 0) {
      apply (&plan, &ek_listener_block, b, &c, ignored);
      check_names (&plan, b, &c, problems);
    }
  }
  g_ptr_array_unref (plan.certificates);
  ek_pool_free (plan.pool);
}

static void
resolve_users (EkPlan *plan, EkProblems *problems)
{
  const EkConfBlock *block = ek_conf_find_block (plan->conf->root, "roles", NULL);
  const EkRolesConf *r = &plan->roles;
  const char *const users[EK_N_ROLES] = {
    [EK_ROLE_TLS] = r->user_tls, [EK_ROLE_EDGE] = r->user_edge, [EK_ROLE_DIRECTORY] = r->user_directory,
    [EK_ROLE_QUEUE] = r->user_queue, [EK_ROLE_RELAY] = r->user_relay, [EK_ROLE_STORE] = r->user_store,
    [EK_ROLE_LOG] = r->user_log, [EK_ROLE_CONTROL] = r->user_control,
  };

  for (EkRole i = 0; i < EK_N_ROLES; i++) {
    g_autoptr (GError) error = NULL;
    if (users[i] && !ek_priv_lookup (users[i], &plan->who[i], &error))
      ek_problems_add (problems, block ? &block->at : NULL, "%s", error->message);
    if (i == EK_ROLE_TLS || i == EK_ROLE_EDGE)
      plan->who[i].chroot = g_strdup (r->chroot);
  }
}

static void
count_workers (EkPlan *plan)
{
  const EkRolesConf *r = &plan->roles;
  bool merged = strcmp (r->layout, "merged") == 0;

  for (EkRole i = 0; i < EK_N_ROLES; i++)
    plan->workers[i] = 1;
  plan->workers[EK_ROLE_MASTER] = 0;
  if (merged)
    return;
  plan->workers[EK_ROLE_TLS] = (guint) r->tls;
  plan->workers[EK_ROLE_EDGE] = (guint) (r->smtp_edges + r->login_edges);
  plan->workers[EK_ROLE_DIRECTORY] = (guint) r->directories;
  plan->workers[EK_ROLE_RELAY] = (guint) r->relays;
  plan->workers[EK_ROLE_STORE] = (guint) r->stores;
}

EkPlan *
ek_plan_new (const char *conf_path, EkProblems *problems)
{
  EkPlan *plan = g_new0 (EkPlan, 1);
  g_autoptr (GHashTable) login = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  plan->pool = ek_pool_new ();
  plan->sockets = g_ptr_array_new_with_free_func (socket_free);
  plan->certificates = g_ptr_array_new_with_free_func (certificate_free);
  plan->conf = ek_conf_load (conf_path, 0, problems);
  read_certificates (plan, problems);
  ek_check_conf (plan->conf, login, check_tls, plan, problems);
  if (ek_problems_count (problems) > 0) {
    ek_plan_free (plan);
    return NULL;
  }
  const EkConfBlock *root = plan->conf->root;
  EkLogOptions log = { 0 };
  apply (plan, &ek_top_block, root, &plan->top, problems);
  apply (plan, &ek_roles_block, ek_conf_find_block (root, "roles", NULL), &plan->roles, problems);
  apply (plan, &ek_log_block, ek_conf_find_block (root, "log", NULL), &log, problems);
  plan->log_level = EK_INFO;
  ek_log_level_parse (log.level, &plan->log_level);
  for (const EkConfBlock *b = root->blocks; b; b = b->next)
    if (strcmp (b->kind, "listener") == 0)
      add_sockets (plan, b, b->name && g_hash_table_contains (login, b->name), problems);
  if (ek_problems_count (problems) == 0) {
    plan->hostname = g_strdup (ek_blocks_hostname (&plan->top));
    count_workers (plan);
    resolve_users (plan, problems);
  }
  if (ek_problems_count (problems) > 0)
    g_clear_pointer (&plan, ek_plan_free);
  return plan;
}

/* ---- a reload ---- */

/* true: they differ, and next's value is now old's. */
static bool
keep_option (EkPlan *next, const EkPlan *old, const EkOption *row)
{
  gpointer mine = (char *) &next->roles + row->offset;
  gconstpointer was = (const char *) &old->roles + row->offset;

  if (row->type == EK_STRING) {
    const char **a = mine, *b = *(const char *const *) was;
    if (g_strcmp0 (*a, b) == 0)
      return false;
    *a = b ? ek_pool_strdup (next->pool, b) : NULL;
    return true;
  }
  gint64 *a = mine, b = *(const gint64 *) was;
  if (*a == b || (a == &next->roles.user_stores && *a > 0 && b > 0))             /* how many may change, whether there are any may not */
    return false;
  *a = b;
  return true;
}

char *
ek_plan_keep (EkPlan *next, const EkPlan *old)
{
  static const char *const fixed[] = {
    "layout", "tls", "smtp_edges", "login_edges", "directories", "relays", "stores", "user_tls", "user_edge", "user_directory",
    "user_queue", "user_relay", "user_store", "user_log", "user_control", "user_stores", "chroot",
  };
  const EkConfBlock *block = ek_conf_find_block (next->conf->root, "roles", NULL);
  g_autoptr (GString) said = g_string_new (NULL);

  for (guint i = 0; i < G_N_ELEMENTS (fixed); i++) {
    const EkConfSetting *setting = block ? ek_conf_find_setting (block, fixed[i]) : NULL;
    const EkConfPos *at = setting ? &setting->at : block ? &block->at : NULL;
    if (!keep_option (next, old, ek_options_row (ek_roles_block.options, fixed[i])))
      continue;
    g_autofree char *place = at && at->file ? g_strdup_printf ("%s:%u: ", at->file, at->line) : g_strdup ("");
    ek_log (EK_WARN, "master", "%sroles.%s takes effect at the next start", place, fixed[i]);
    g_string_append_printf (said, "%sroles.%s takes effect at the next start\n", place, fixed[i]);
  }
  memcpy (next->workers, old->workers, sizeof old->workers);
  for (EkRole i = 0; i < EK_N_ROLES; i++) {
    g_free ((char *) next->who[i].chroot);
    next->who[i] = old->who[i];
    next->who[i].chroot = g_strdup (old->who[i].chroot);
  }
  return said->len > 0 ? g_strdup (said->str) : NULL;
}
