/* mapbuild.c - ekiden map build: a database file of a text map, made beside the old one and put into its place
 * SPDX-License-Identifier: Apache-2.0
 *
 * The new file is TARGET.new, locked while it is written, so that two builds cannot mix; what a build that was killed left there is
 * written over by the next.  Its rows come sorted, which fills the pages of a tree and needs each page once.
 */
#include "config.h"
#include "cli/mapbuild.h"
#include "base/json.h"
#include "cli/cli.h"
#include "lookup/texttable.h"
#include "module/load.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOK_EACH 10000              /* rows between two looks at the clock */

static char *file;
static gboolean json, keep_case;

typedef struct {
  const EkMapBuildOps *ops;
  const char *source, *target;
  char       *temp;                  /* TARGET.new */
  int         fd;                    /* of it; -1: not yet */
  struct stat like;                  /* whose owner and mode it gets: the old target's, else the source's */
  GPtrArray  *rows;                  /* key NUL value NUL each, sorted */
  guint64     bytes, doubles;
  gint64      told;
} Work;

/* ---- which modules ---- */

GPtrArray *
ek_map_build_types (const char *setting)
{
  GPtrArray *types = g_ptr_array_new_with_free_func (g_free);
  g_autofree char *path = ek_module_path (setting);
  g_autoptr (GPtrArray) files = ek_module_list (path);

  for (guint i = 0; i < files->len; i++) {
    const EkModule *module = ek_module_load (((EkModuleFile *) files->pdata[i])->name, path, NULL, NULL);
    if (module && module->map && module->map->build)
      g_ptr_array_add (types, g_strdup (module->name));
  }
  return types;
}

static char *
types_text (const GPtrArray *types)
{
  GString *text = g_string_new (NULL);

  for (guint i = 0; i < types->len; i++)
    g_string_append_printf (text, "%s%s", i ? ", " : "", (const char *) types->pdata[i]);
  return g_string_free (text, FALSE);
}

static const EkMapBuildOps *
find_type (const char *name, GError **error)
{
  g_autoptr (EkProblems) problems = ek_problems_new ();
  g_autoptr (EkConf) conf = ek_conf_load (file ? file : ek_conf_default_path (), EK_CONF_NO_FILES, problems);
  const EkModule *module = ek_module_load (name, conf->module_path, NULL, error);

  if (module && module->map && module->map->build)
    return module->map->build;
  g_autoptr (GPtrArray) types = ek_map_build_types (conf->module_path);
  g_autofree char *known = types_text (types);
  g_autofree char *why = error && *error ? g_strdup ((*error)->message) : NULL;
  g_clear_error (error);
  ek_fail (error, EK_FAIL, EINVAL, "\"%s\" makes no map files%s%s: there %s %s", name, why ? ": " : "", why ? why : "",
           types->len == 1 ? "is" : "are", types->len ? known : "no installed modules that do");
  return NULL;
}

/* ---- progress, on a terminal ---- */

static void
progress (Work *w, const char *what, guint64 n, bool always)
{
  EkBuf out = { 0 };

  if (json || !isatty (STDERR_FILENO) || (!always && ek_now () - w->told < G_USEC_PER_SEC / 4))
    return;
  w->told = ek_now ();
  if (what == NULL)
    ek_buf_appends (&out, "\r\033[K");
  else if (n > 0)
    ek_buf_printf (&out, "\r%s: %s, %" G_GUINT64_FORMAT " of %u rows\033[K", w->target, what, n, w->rows->len);
  else
    ek_buf_printf (&out, "\r%s: %s\033[K", w->target, what);
  ek_cli_write (STDERR_FILENO, &out);
}

/* ---- the text ---- */

static void
take_row (EkStr key, EkStr value, gpointer data)
{
  Work *w = data;

  g_ptr_array_add (w->rows, (gpointer) key.p);
  w->bytes += key.n + value.n;
}

/* By the bytes of the keys, which stand first and end with a NUL. */
static int
by_key (const void *a, const void *b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

/* All rows, sorted; they lie in *text. */
static EkTextTable *
read_source (Work *w, char **text, GError **error)
{
  EkTableText source = { .path = w->source };
  EkTextRules rules = { .fold_case = !keep_case, .key_max = w->ops->key_max };

  progress (w, "reading", 0, true);
  if (stat (w->source, &w->like) < 0) {
    ek_fail (error, EK_FAIL, errno, "%s: %s", w->source, g_strerror (errno));
    return NULL;
  }
  if (!g_file_get_contents (w->source, text, &source.len, error))
    return NULL;
  source.text = *text;
  EkTextTable *table = ek_text_kind.parse (&source, &rules, error);
  if (table == NULL)
    return NULL;
  w->doubles = ek_text_table_doubles (table);
  ek_text_table_each (table, take_row, w);
  progress (w, "sorting", 0, true);
  if (w->rows->len > 0)
    qsort (w->rows->pdata, w->rows->len, sizeof (gpointer), by_key);
  return table;
}

/* ---- the new file ---- */

static bool
os_failed (const char *path, const char *what, GError **error)
{
  ek_fail (error, EK_FAIL, errno, "%s: %s: %s", path, what, g_strerror (errno));
  return false;
}

static bool
open_new (Work *w, GError **error)
{
  struct stat mine, named;

  w->fd = open (w->temp, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
  if (w->fd < 0)
    return os_failed (w->temp, "cannot make it", error);
  if (flock (w->fd, LOCK_EX | LOCK_NB) < 0 || fstat (w->fd, &mine) < 0 || lstat (w->temp, &named) < 0 || mine.st_ino != named.st_ino
      || mine.st_dev != named.st_dev) {
    ek_fail (error, EK_FAIL, EBUSY, "%s: another `ekiden map build` is at it: try again when it has ended", w->temp);
    close (w->fd);                   /* and leave the file to it */
    w->fd = -1;
    return false;
  }
  if (!S_ISREG (mine.st_mode) || mine.st_nlink != 1) {
    ek_fail (error, EK_FAIL, EINVAL, "%s is no plain file: take it away", w->temp);
    close (w->fd);
    w->fd = -1;
    return false;
  }
  return ftruncate (w->fd, 0) == 0 || os_failed (w->temp, "cannot empty it", error);
}

static bool
write_rows (Work *w, GError **error)
{
  gpointer build = w->ops->begin (w->temp, w->rows->len, w->bytes, error);
  bool good = build != NULL;

  for (guint i = 0; good && i < w->rows->len; i++) {
    EkStr key = ek_str (w->rows->pdata[i]), value = ek_str (key.p + key.n + 1);
    good = w->ops->add (build, key, value, error);
    if (i % LOOK_EACH == 0)
      progress (w, "writing", i, false);
  }
  if (build && !w->ops->end (build, good, good ? error : NULL))
    good = false;
  if (!good)
    g_prefix_error (error, "%s: ", w->temp);
  return good;
}

/* Owner and mode before anybody can open it by its name; all of it on the disk before it has that name. */
static bool
settle (Work *w, GError **error)
{
  g_autofree char *folder = g_path_get_dirname (w->target);

  progress (w, "syncing", 0, true);
  if (fchown (w->fd, w->like.st_uid, w->like.st_gid) < 0 && geteuid () == 0)
    return os_failed (w->temp, "cannot give it its owner", error);
  if (fchmod (w->fd, w->like.st_mode & 0666) < 0)
    return os_failed (w->temp, "cannot set its mode", error);
  if (fsync (w->fd) < 0)
    return os_failed (w->temp, "cannot bring it to the disk", error);
  if (rename (w->temp, w->target) < 0)
    return os_failed (w->target, "cannot be replaced", error);
  int dir = open (folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  bool synced = dir >= 0 && fsync (dir) == 0;
  if (!synced)
    os_failed (folder, "it is replaced, but may be the old one again after a power loss", error);
  if (dir >= 0)
    close (dir);
  return synced;
}

static bool
make (Work *w, GError **error)
{
  g_autofree char *text = NULL;
  struct stat old;
  EkTextTable *table = read_source (w, &text, error);

  if (table == NULL)
    return false;
  if (stat (w->target, &old) == 0)
    w->like = old;
  bool good = open_new (w, error) && write_rows (w, error) && settle (w, error);
  if (!good && w->fd >= 0)
    unlink (w->temp);
  ek_text_kind.free (table);
  return good;
}

/* ---- the command ---- */

static void
say (const Work *w)
{
  EkBuf out = { 0 };
  EkJson j = { .out = &out };
  struct stat st = { 0 };

  fstat (w->fd, &st);
  if (json) {
    ek_json_object (&j, NULL);
    ek_json_text (&j, "target", w->target);
    ek_json_int (&j, "rows", w->rows->len);
    ek_json_int (&j, "duplicates", (gint64) w->doubles);
    ek_json_int (&j, "bytes", st.st_size);
    ek_json_end_object (&j);
    ek_buf_appendc (&out, '\n');
  } else {
    g_autofree char *size = g_format_size_full ((guint64) st.st_size, G_FORMAT_SIZE_IEC_UNITS);
    ek_buf_printf (&out, "%s: %u rows, %s\n", w->target, w->rows->len, size);
  }
  ek_cli_write (STDOUT_FILENO, &out);
}

static int
run (Work *w)
{
  g_autoptr (GError) error = NULL;

  w->rows = g_ptr_array_new ();
  w->temp = g_strconcat (w->target, ".new", NULL);
  w->fd = -1;
  bool good = make (w, &error);
  progress (w, NULL, 0, true);
  if (good)
    say (w);
  if (w->fd >= 0)
    close (w->fd);
  g_free (w->temp);
  g_ptr_array_unref (w->rows);
  return good ? EK_EXIT_OK : ek_cli_failed (error);
}

static char *
help_text (void)
{
  g_autoptr (GPtrArray) types = ek_map_build_types (NULL);
  g_autofree char *known = types_text (types);
  const char *type = types->len ? types->pdata[0] : "TYPE", *other = types->len > 1 ? types->pdata[1] : type;

  return g_strdup_printf ("SOURCE has a key, blanks and a value on each line, as postmap(1) describes; of two lines with one key the first "
                          "counts.\nTYPE is one of: %s.  TARGET is SOURCE with the type's suffix unless it is given; the new file replaces it\n"
                          "at once when it is whole, and a running server takes it within a second.\n\nExamples:\n"
                          "  ekiden map build %s /etc/ekiden/aliases\n  ekiden map build %s /etc/ekiden/relays /var/lib/ekiden/relays.db",
                          types->len ? known : "none is installed", type, other);
}

int
ek_cli_map_build (int argc, char **argv)
{
  static const GOptionEntry entries[] = {
    { "config", 'c', 0, G_OPTION_ARG_FILENAME, &file, "The configuration, for its module_path", "FILE" },
    { "keep-case", 'f', 0, G_OPTION_ARG_NONE, &keep_case, "Leave the case of keys as it is, for maps with fold_case = no", NULL },
    { "json", 0, 0, G_OPTION_ARG_NONE, &json, "Write JSON", NULL },
    { NULL, 0, 0, 0, NULL, NULL, NULL }
  };
  g_autofree char *help = help_text (), *target = NULL;
  g_autoptr (GError) error = NULL;
  Work w = { 0 };
  int status;

  g_clear_pointer (&file, g_free);
  json = keep_case = FALSE;
  if (!ek_cli_options (&argc, &argv, entries, "TYPE SOURCE [TARGET] - make a database file of a text map", help, &status))
    return status;
  if (argc < 3 || argc > 4)
    return ek_cli_usage ("map build takes a type, a text file and maybe the file to make");
  w.ops = find_type (argv[1], &error);
  if (w.ops == NULL)
    return ek_cli_failed (error);
  target = argc == 4 ? g_strdup (argv[3]) : g_strconcat (argv[2], w.ops->suffix, NULL);
  if (strcmp (target, argv[2]) == 0)
    return ek_cli_usage ("the file to make is the text file itself: name another one");
  w.source = argv[2];
  w.target = target;
  return run (&w);
}
