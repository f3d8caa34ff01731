/* reach.c - which files a role needs, read off the configuration: what landlock then leaves it
 * SPDX-License-Identifier: Apache-2.0
 *
 * Options say their paths as plain text, so every value that begins with "/" is one, without a list of names that would have to
 * follow the modules: a plain one is a file or a folder of the role whose block it stands in; one with a variable ("/srv/%d/%n") is
 * where mailboxes are, whoever reads the option.
 *
 * store works in homes that a userdb names, and these may lie anywhere.  It gets all folders of the system but the system's own and
 * those that are another role's: nothing has to be configured for a new home, and the spool, the logs and the password files are out
 * of reach all the same.
 */
#include "config.h"
#include "proc/confine.h"
#include "proc/spawn.h"
#include <dirent.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDERS_MAX 4000             /* looked at for store */
#define DEPTH_MAX   12

static void
reach_free (gpointer data)
{
  EkReach *r = data;

  g_free (r->path);
  g_free (r);
}

static void
grant (GPtrArray *out, const char *path, guint how)
{
  EkReach *r = g_new (EkReach, 1);

  *r = (EkReach) { g_strdup (path), how };
  g_ptr_array_add (out, r);
}

/* The path, or the nearest folder above it that is there: it has to be made. */
static char *
there (const char *path)
{
  char *at = g_strdup (path), *slash;

  while (access (at, F_OK) < 0 && (slash = strrchr (at, '/')) && slash > at)
    *slash = '\0';
  return at;
}

/* A file is replaced by renaming another one over it, so its folder is what counts. */
static void
grant_place (GPtrArray *out, const char *path, guint how)
{
  struct stat st;
  g_autofree char *place = (how & EK_REACH_WRITE) && (stat (path, &st) < 0 || !S_ISDIR (st.st_mode)) ? g_path_get_dirname (path)
                                                                                                    : g_strdup (path);
  g_autofree char *found = there (place);

  if (strcmp (found, "/") != 0)      /* a mistake must not open everything */
    grant (out, found, how);
}

/* ---- values that are paths ---- */

typedef void (*PathFunc) (const EkConfBlock *top, const char *path, bool template, gpointer data);

static void
each_path (const EkConfBlock *top, const EkConfBlock *block, PathFunc func, gpointer data)
{
  for (const EkConfSetting *s = block->settings; s; s = s->next)
    for (guint i = 0; i < s->n_items; i++) {
      const char *text = s->items[i].text.p;
      if (!s->items[i].secret && text && text[0] == '/' && text[1] != '\0')
        func (top, text, strchr (text, '%') != NULL, data);
    }
  for (const EkConfBlock *b = block->blocks; b; b = b->next)
    each_path (top, b, func, data);
}

static void
each_top (const EkConf *conf, PathFunc func, gpointer data)
{
  for (const EkConfBlock *b = conf->root->blocks; b; b = b->next)
    each_path (b, b, func, data);
}

/* "/srv/mail/%d/%n" -> "/srv/mail" */
static char *
root_of (const char *template)
{
  g_autofree char *fixed = g_strndup (template, (gsize) (strchr (template, '%') - template));
  char *slash = strrchr (fixed, '/');

  *slash = '\0';
  return g_steal_pointer (&fixed);
}

typedef struct {
  GPtrArray *out;
  guint32    role;                   /* its bit */
  guint      how;                    /* 0: none */
  GPtrArray *others;                 /* store: paths of other roles; else NULL */
  bool       rehash;                 /* logins write password files */
} Walk;

/* Does a domain or a rule have its passwords there? */
static bool
is_passdb (const EkConfBlock *top)
{
  const char *own = top->name ? top->name : top->kind;

  for (const EkConfBlock *b = top->parent ? top->parent->blocks : NULL; b; b = b->next) {
    const EkConfSetting *auth = ek_conf_find_setting (b, "auth");
    for (guint i = 0; auth && i < auth->n_items; i++) {
      const char *text = auth->items[i].text.p, *colon = text ? strchr (text, ':') : NULL;
      if (text && strcmp (colon ? colon + 1 : text, own) == 0)
        return true;
    }
  }
  return false;
}

static void
own_path (const EkConfBlock *top, const char *path, bool template, gpointer data)
{
  Walk *w = data;
  bool log = strcmp (top->kind, "log") == 0;       /* all read that block, one writes there */
  struct stat st;

  if (template && w->others) {
    g_autofree char *root = root_of (path);
    if (root[0])
      grant_place (w->out, root, EK_REACH_READ | EK_REACH_WRITE);
  }
  else if (template || strcmp (top->kind, "certificate") == 0 || strcmp (top->kind, "roles") == 0)
    return;
  else if (log ? w->role == EK_ROLE_BIT (EK_ROLE_LOG) : (top->roles & w->role) != 0) {
    if (w->rehash && is_passdb (top))
      grant_place (w->out, path, w->how);
    else if (w->how && w->role == EK_ROLE_BIT (EK_ROLE_DIRECTORY))
      grant (w->out, path, w->how);  /* that one alone: others' files may lie beside it */
    else if (w->how)
      grant_place (w->out, path, w->how);
  }
  else if (w->others && (log || !(top->roles & EK_ROLE_BIT (EK_ROLE_DIRECTORY)) || (stat (path, &st) == 0 && S_ISREG (st.st_mode))))
    g_ptr_array_add (w->others, g_strdup (path));
}

/* ---- store ---- */

static bool
at_or_below (const char *path, const char *folder)
{
  gsize n = strlen (folder);

  return strncmp (path, folder, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

static bool
is_system (const char *name)
{
  static const char *const names[] = { "bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "root", "run", "sbin", "sys",
                                       "usr", "lost+found" };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    if (strcmp (names[i], name) == 0)
      return true;
  return false;
}

/* Grants all folders below `folder` that hold nothing of `others`. */
static void
grant_rest (GPtrArray *out, const char *folder, const GPtrArray *others, guint depth, guint *budget)
{
  DIR *dir = depth < DEPTH_MAX ? opendir (folder[0] ? folder : "/") : NULL;
  struct dirent *e;

  while (dir && (e = readdir (dir)) && *budget > 0) {
    g_autofree char *path = g_strconcat (folder, "/", e->d_name, NULL);
    bool hidden = false, holds = false;
    struct stat st;
    if (strcmp (e->d_name, ".") == 0 || strcmp (e->d_name, "..") == 0 || (folder[0] == '\0' && is_system (e->d_name))
        || lstat (path, &st) < 0 || !S_ISDIR (st.st_mode))
      continue;
    --*budget;
    for (guint i = 0; i < others->len; i++) {
      hidden |= at_or_below (path, others->pdata[i]);
      holds |= at_or_below (others->pdata[i], path);
    }
    if (holds && !hidden)
      grant_rest (out, path, others, depth + 1, budget);
    else if (!hidden)
      grant (out, path, EK_REACH_READ | EK_REACH_WRITE | EK_REACH_FOUND);
  }
  if (dir)
    closedir (dir);
}

static void
store_reach (GPtrArray *out, const EkConf *conf, const char *state_dir, const char *run_dir, bool look)
{
  Walk w = { .out = out, .role = EK_ROLE_BIT (EK_ROLE_STORE), .how = EK_REACH_READ | EK_REACH_WRITE };
  guint budget = FOLDERS_MAX;

  w.others = g_ptr_array_new_with_free_func (g_free);
  g_ptr_array_add (w.others, g_strdup (state_dir));
  g_ptr_array_add (w.others, g_strdup (run_dir));
  if (conf->root->at.file)
    g_ptr_array_add (w.others, g_strdup (conf->root->at.file));
  each_top (conf, own_path, &w);
  if (look)
    grant_rest (out, "", w.others, 0, &budget);
  g_ptr_array_unref (w.others);
}

/* ---- all roles ---- */

/* auth { rehash }: a passdb's file is replaced, and a database makes files beside it. */
static bool
has_rehash (const EkConf *conf)
{
  for (const EkConfBlock *b = conf->root->blocks; b; b = b->next)
    if (strcmp (b->kind, "auth") == 0 && ek_conf_find_setting (b, "rehash"))
      return true;
  return false;
}

static void
everybodys (GPtrArray *out, const EkConf *conf)
{
  static const char *const folders[] = { "/usr", "/lib", "/lib32", "/lib64", "/etc", "/proc", "/sys/devices/system", "/run/systemd/resolve",
                                         "/run/resolvconf", "/dev/urandom", "/dev/random", "/dev/zero" };
  g_auto (GStrv) modules = g_strsplit (conf->module_path ? conf->module_path : "", ":", 64);
  g_autofree char *home = ek_spawn_program () ? g_path_get_dirname (ek_spawn_program ()) : NULL;

#ifdef EK_SANITIZED                  /* a report's symbols come from another program */
  const guint how = EK_REACH_READ | EK_REACH_RUN;
#else
  const guint how = EK_REACH_READ;
#endif
  for (guint i = 0; i < G_N_ELEMENTS (folders); i++)
    grant (out, folders[i], how);
  grant (out, "/dev/null", EK_REACH_READ | EK_REACH_WRITE);
  for (guint i = 0; modules[i]; i++)
    if (modules[i][0] == '/')
      grant (out, modules[i], EK_REACH_READ);
  if (home && strcmp (home, "/") != 0)
    grant (out, home, EK_REACH_READ);
}

/* What whoever started the server told programs in it to use: reports of sanitizers, files of preloaded test libraries. */
static void
of_environment (GPtrArray *out)
{
  extern char **environ;

  for (char **e = environ; *e; e++) {
    const char *value = strchr (*e, '=');
    if (value && g_str_has_prefix (*e, "EK_") && value[1] == '/')
      grant_place (out, value + 1, EK_REACH_READ | EK_REACH_WRITE);
#ifdef EK_SANITIZED
    const char *log = strstr (*e, "SAN_OPTIONS=") ? strstr (*e, "log_path=") : NULL;
    if (log) {
      g_autofree char *path = g_strndup (log + strlen ("log_path="), strcspn (log + strlen ("log_path="), ":"));
      if (path[0] == '/')
        grant_place (out, path, EK_REACH_READ | EK_REACH_WRITE);
    }
#endif
  }
}

bool
ek_reach_parse (const char *extra, EkRole *role, const char **path)
{
  const char *colon = strchr (extra, ':');
  g_autofree char *name = colon ? g_strndup (extra, (gsize) (colon - extra)) : NULL;
  int found = name ? ek_role_by_name (name) : -1;

  if (found <= EK_ROLE_MASTER || colon[1] != '/')
    return false;
  *role = (EkRole) found;
  *path = colon + 1;
  return true;
}

static void
one_role (GPtrArray *out, const EkConf *conf, EkRole role, const char *state_dir, const char *run_dir, bool look)
{
  Walk w = { .out = out, .role = EK_ROLE_BIT (role) };
  g_autofree char *drop = g_build_filename (state_dir, "maildrop", NULL), *spool = g_build_filename (state_dir, "spool", NULL);
  g_autofree char *events = g_build_filename (state_dir, "events", NULL), *control = g_build_filename (run_dir, "control", NULL);
  const guint change = EK_REACH_READ | EK_REACH_WRITE;

  switch (role) {
  case EK_ROLE_DIRECTORY:            /* its backends' files and helpers may be anywhere; the uid says which */
    grant (out, "/", EK_REACH_READ | EK_REACH_RUN);
    w.how = change;
    w.rehash = has_rehash (conf);
    break;
  case EK_ROLE_QUEUE:
    grant (out, drop, change);
    grant (out, spool, change);
    w.how = change;
    break;
  case EK_ROLE_LOG:
    grant (out, events, change);
    w.how = change;
    break;
  case EK_ROLE_EDGE:
  case EK_ROLE_RELAY:
    w.how = EK_REACH_READ;
    break;
  case EK_ROLE_CONTROL:
    grant (out, control, change);
    break;
  case EK_ROLE_STORE:
    store_reach (out, conf, state_dir, run_dir, look);
    return;
  default:
    break;
  }
  each_top (conf, own_path, &w);
}

GPtrArray *
ek_reach_new (const EkConf *conf, guint32 roles, const char *state_dir, const char *run_dir, char **extra, bool look)
{
  GPtrArray *out = g_ptr_array_new_with_free_func (reach_free);
  const char *path;
  EkRole role;

  everybodys (out, conf);
  of_environment (out);
  for (EkRole r = 0; r < EK_N_ROLES; r++)
    if (roles & EK_ROLE_BIT (r))
      one_role (out, conf, r, state_dir, run_dir, look);
  for (guint i = 0; extra && extra[i]; i++)
    if (ek_reach_parse (extra[i], &role, &path) && (roles & EK_ROLE_BIT (role)))
      grant (out, path, EK_REACH_READ | EK_REACH_WRITE);
  return out;
}

/* ---- one system user ---- */

static void
user_path (const EkConfBlock *top, const char *path, bool template, gpointer data)
{
  g_autofree char *root = template ? root_of (path) : NULL;

  if (!(top->roles & EK_ROLE_BIT (EK_ROLE_STORE)) || strcmp (top->kind, "log") == 0 || strcmp (top->kind, "certificate") == 0
      || strcmp (top->kind, "roles") == 0)
    return;
  if (root == NULL || root[0])
    grant_place (data, root ? root : path, EK_REACH_READ | EK_REACH_WRITE);
}

GPtrArray *
ek_reach_user (const EkConf *conf, const char *home, const char *mail)
{
  GPtrArray *out = g_ptr_array_new_with_free_func (reach_free);
  const char *const own[] = { home, mail };

  everybodys (out, conf);
  of_environment (out);
  each_top (conf, user_path, out);
  for (guint i = 0; i < G_N_ELEMENTS (own); i++)       /* as the record says: master looks at nothing that is a user's */
    if (own[i] && own[i][0] == '/' && own[i][1] != '\0')
      grant (out, own[i], EK_REACH_READ | EK_REACH_WRITE);
  return out;
}
