/* load.c - finds a module's file, mistrusts it, loads it once
 * SPDX-License-Identifier: Apache-2.0 */
#include "config.h"
#include "module/load.h"
#include "module/registry.h"
#include "conf/option.h"
#include "auth/scheme.h"
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define EK_BUILTIN(name_) extern const EkModule ek_module_##name_;
EK_BUILTINS
#undef EK_BUILTIN
#define EK_BUILTIN(name_) &ek_module_##name_,
static const EkModule *const builtins[] = { EK_BUILTINS NULL };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static GHashTable *loaded;           /* name -> const EkModule */
static bool        sealed;
static guint       refused;          /* asked for since then */

char *
ek_module_path (const char *setting)
{
  const char *path = secure_getenv ("EKIDEN_MODULE_PATH");

  return g_strdup (path && *path ? path : setting && *setting ? setting : EK_MODULEDIR);
}

static bool
is_name (const char *name)
{
  gsize n = strspn (name, "abcdefghijklmnopqrstuvwxyz0123456789_");

  return n > 0 && n <= 64 && name[n] == '\0' && g_ascii_islower (*name);
}

/* ---- who may write what we are about to run ---- */

static uid_t
program_owner (void)
{
  struct stat st;

  return stat ("/proc/self/exe", &st) == 0 ? st.st_uid : 0;
}

static bool
is_trusted (const char *path, const char *what, GError **error)
{
  struct stat st;

  if (stat (path, &st) < 0) {
    ek_fail (error, EK_FAIL, errno, "cannot look at %s %s: %s", what, path, g_strerror (errno));
    return false;
  }
  if (st.st_mode & (S_IWGRP | S_IWOTH)) {
    ek_fail (error, EK_FAIL, EPERM, "%s %s may be written by others (mode %04o), so it is not loaded: chmod go-w %s", what,
             path, (guint) st.st_mode & 07777, path);
    return false;
  }
  if (st.st_uid != 0 && st.st_uid != geteuid () && st.st_uid != program_owner ()) {
    ek_fail (error, EK_FAIL, EPERM, "%s %s belongs to uid %u, neither to root nor to us (uid %u), so it is not loaded: "
             "chown root %s", what, path, (guint) st.st_uid, (guint) geteuid (), path);
    return false;
  }
  return true;
}

/* ---- where it is ---- */

static char *
file_in (const char *folder, const char *name)
{
  g_autofree char *so = g_strdup_printf ("%s.so", name);
  g_autofree char *installed = g_build_filename (folder, so, NULL);
  g_autofree char *built = g_build_filename (folder, name, ".libs", so, NULL);

  if (access (installed, F_OK) == 0)
    return g_steal_pointer (&installed);
  return access (built, F_OK) == 0 ? g_steal_pointer (&built) : NULL;
}

static char *
find_file (const char *name, const char *path)
{
  g_auto (GStrv) folders = g_strsplit (path, ":", -1);
  char *file = NULL;

  for (char **f = folders; *f && file == NULL; f++)
    if (**f)
      file = file_in (*f, name);
  return file;
}

static void
not_installed (const char *name, const char *path, GError **error)
{
  g_autoptr (GPtrArray) files = ek_module_list (path);
  g_autoptr (GPtrArray) names = g_ptr_array_new ();
  g_autofree char *package = g_strdelimit (g_strdup (name), "_", '-');
  const char *near;

  for (guint i = 0; i < files->len; i++)
    g_ptr_array_add (names, ((EkModuleFile *) files->pdata[i])->name);
  near = ek_nearest (name, (const char *const *) names->pdata, names->len);
  if (near)
    ek_fail (error, EK_FAIL, ENOENT, "there is no module \"%s\" in %s; did you mean \"%s\"?", name, path, near);
  else
    ek_fail (error, EK_FAIL, ENOENT, "the module \"%s\" is not installed: %s.so is not in %s; the package ekiden-%s ships it",
             name, name, path, package);
}

/* ---- what it is ---- */

static bool
is_ours (const EkModule *module, const char *name, const char *file, GError **error)
{
  if (module->abi != EK_ABI)
    ek_fail (error, EK_FAIL, 0, "%s was built for module interface %u, and this Ekiden (%s) has %u: install the module "
             "of this version", file, module->abi, EK_BUILD, EK_ABI);
  else if (g_strcmp0 (module->build, EK_BUILD) != 0)
    ek_fail (error, EK_FAIL, 0, "%s was built with Ekiden %s, and this is %s: install the module of this version", file,
             module->build ? module->build : "(no stamp)", EK_BUILD);
  else if (g_strcmp0 (module->name, name) != 0)
    ek_fail (error, EK_FAIL, 0, "%s holds the module \"%s\", not \"%s\": was the file renamed?", file,
             module->name ? module->name : "", name);
  else
    return true;
  return false;
}

/* A module whose own rows are wrong would be a riddle for the admin, so it is refused as a whole. */
static bool
is_sound (const EkModule *module, GError **error)
{
  g_autoptr (EkProblems) problems = ek_problems_new ();
  gsize size = MAX (module->instance_size, sizeof (EkInstance));

  ek_options_selftest (module->options, size, module->name, problems);
  for (const EkOption *row = ek_module_common (module); row && row->name; row++)
    if (module->options && ek_options_row (module->options, row->name))
      ek_problems_add (problems, NULL, "its option %s is one that the core gives to every module of its kind", row->name);
  if (module->protocol)
    ek_options_selftest (module->protocol->options, module->protocol->options_size, module->name, problems);
  if (module->after_login)
    ek_options_selftest (module->after_login->options, module->after_login->options_size, module->name, problems);
  if (ek_problems_count (problems) == 0)
    return true;
  g_autoptr (GString) what = g_string_new (NULL);
  const EkProblem *problem;
  for (guint i = 0; (problem = ek_problems_get (problems, i)); i++)
    g_string_append_printf (what, "%s%s", i ? "; " : "", problem->text);
  ek_fail (error, EK_FAIL, 0, "the module \"%s\" is faulty, please tell its authors: %s", module->name, what->str);
  return false;
}

static const EkModule *
open_file (const char *name, const char *file, GError **error)
{
  g_autofree char *real = realpath (file, NULL);
  g_autofree char *folder = real ? g_path_get_dirname (real) : NULL;
  gpointer symbol;

  if (real == NULL) {
    ek_fail (error, EK_FAIL, errno, "cannot look at the module %s: %s", file, g_strerror (errno));
    return NULL;
  }
  if (!is_trusted (folder, "the folder of modules", error) || !is_trusted (real, "the module", error))
    return NULL;
  GModule *handle = g_module_open (real, G_MODULE_BIND_LOCAL);
  if (handle == NULL) {
    ek_fail (error, EK_FAIL, 0, "cannot load the module \"%s\": %s", name, g_module_error ());
    return NULL;
  }
  g_module_make_resident (handle);                 /* its code may be on a stack or in a timer: never unloaded */
  if (!g_module_symbol (handle, "ek_module", &symbol) || symbol == NULL) {
    ek_fail (error, EK_FAIL, 0, "%s is no module of Ekiden: it has no symbol ek_module", real);
    return NULL;
  }
  return is_ours (symbol, name, real, error) ? symbol : NULL;
}

static const EkModule *
find_builtin (const char *name)
{
  for (guint i = 0; builtins[i]; i++)
    if (strcmp (builtins[i]->name, name) == 0)
      return builtins[i];
  return NULL;
}

static void
remember (const EkModule *module)
{
  if (loaded == NULL)
    loaded = g_hash_table_new (g_str_hash, g_str_equal);
  g_hash_table_insert (loaded, (gpointer) module->name, (gpointer) module);
  if (module->scheme)
    ek_scheme_register (module->scheme);
}

static const EkModule *
load_locked (const char *name, const char *path, GError **error)
{
  const EkModule *module = loaded ? g_hash_table_lookup (loaded, name) : NULL;

  if (module)
    return module;
  if ((module = find_builtin (name)) == NULL && sealed) {
    refused++;
    ek_fail (error, EK_FAIL, EPERM, "the module \"%s\" comes too late for this process, which has no files any more", name);
  }
  else if (module == NULL) {
    g_autofree char *file = find_file (name, path);
    if (file)
      module = open_file (name, file, error);
    else
      not_installed (name, path, error);
  }
  if (module == NULL || !is_sound (module, error))
    return NULL;
  remember (module);
  return module;
}

const EkModule *
ek_module_load (const char *name, const char *path, const EkConfPos *asked, GError **error)
{
  g_autofree char *folders = ek_module_path (path);
  g_autoptr (GError) why = NULL;
  const EkModule *module = NULL;

  if (is_name (name)) {
    pthread_mutex_lock (&lock);
    module = load_locked (name, folders, &why);
    pthread_mutex_unlock (&lock);
  } else
    ek_fail (&why, EK_FAIL, EINVAL, "\"%s\" cannot be the name of a module: expected small letters, digits and `_`", name);
  if (module == NULL && asked && asked->file)
    ek_fail (error, EK_FAIL, why->code, "%s:%u: %s", asked->file, asked->line, why->message);
  else if (module == NULL)
    g_propagate_error (error, g_steal_pointer (&why));
  return module;
}

void
ek_modules_seal (void)
{
  pthread_mutex_lock (&lock);
  sealed = true;
  pthread_mutex_unlock (&lock);
}

guint
ek_modules_refused (void)
{
  pthread_mutex_lock (&lock);
  guint n = refused;
  pthread_mutex_unlock (&lock);
  return n;
}

const EkModule *
ek_module_find (const char *name)
{
  pthread_mutex_lock (&lock);
  const EkModule *module = loaded ? g_hash_table_lookup (loaded, name) : NULL;
  pthread_mutex_unlock (&lock);
  return module ? module : find_builtin (name);
}

void
ek_module_add (const EkModule *module)
{
  pthread_mutex_lock (&lock);
  remember (module);
  pthread_mutex_unlock (&lock);
}

/* ---- listing ---- */

static void
file_free (gpointer data)
{
  EkModuleFile *file = data;

  g_free (file->name);
  g_free (file->file);
  g_free (file);
}

static void
list_add (GPtrArray *list, const char *name, char *file)
{
  for (guint i = 0; i < list->len; i++)
    if (strcmp (((EkModuleFile *) list->pdata[i])->name, name) == 0) {
      g_free (file);                               /* the first one found is the one that is loaded */
      return;
    }
  EkModuleFile *entry = g_new0 (EkModuleFile, 1);
  entry->name = g_strdup (name);
  entry->file = file;
  g_ptr_array_add (list, entry);
}

static gint
by_name (gconstpointer a, gconstpointer b)
{
  return strcmp ((*(EkModuleFile *const *) a)->name, (*(EkModuleFile *const *) b)->name);
}

GPtrArray *
ek_module_list (const char *path)
{
  g_autofree char *full = ek_module_path (path);
  g_auto (GStrv) folders = g_strsplit (full, ":", -1);
  GPtrArray *list = g_ptr_array_new_with_free_func (file_free);

  for (guint i = 0; builtins[i]; i++)
    list_add (list, builtins[i]->name, NULL);
  for (char **f = folders; *f; f++) {
    g_autoptr (GDir) dir = **f ? g_dir_open (*f, 0, NULL) : NULL;
    const char *entry;
    while (dir && (entry = g_dir_read_name (dir))) {
      g_autofree char *name = g_strdup (entry);
      if (g_str_has_suffix (name, ".so"))
        name[strlen (name) - 3] = '\0';
      char *file = is_name (name) ? file_in (*f, name) : NULL;
      if (file)
        list_add (list, name, file);
    }
  }
  g_ptr_array_sort (list, by_name);
  return list;
}
