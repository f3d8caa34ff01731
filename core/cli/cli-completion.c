/* cli-completion.c - ekiden completion: what a shell needs to complete the words of ekiden(1)
 * SPDX-License-Identifier: Apache-2.0
 *
 * The shells' scripts ask `ekiden completion words -- WORD...`, which asks the command itself: its own help names commands and
 * options, its lists name messages, users, modules and settings.  So nothing is written down twice.
 */
#include "cli/cli.h"
#include "cli/mapbuild.h"
#include <string.h>
#include <unistd.h>

/* The same as etc/completion/ekiden.bash and _ekiden: a test compares them. */
static const char bash[] =
  "# ekiden.bash - completion of ekiden(1) for bash; the command itself knows the words\n"
  "# SPDX-License-Identifier: Apache-2.0\n"
  "_ekiden () {\n"
  "  local line cur=${COMP_WORDS[COMP_CWORD]}\n"
  "  COMPREPLY=()\n"
  "  while IFS= read -r line; do\n"
  "    line=${line%%$'\\t'*}\n"
  "    if [[ $line == \"$cur\"* ]]; then COMPREPLY+=(\"$line\"); fi\n"
  "  done < <(\"${COMP_WORDS[0]}\" completion words -- \"${COMP_WORDS[@]:1:COMP_CWORD-1}\" 2>/dev/null)\n"
  "}\n"
  "complete -o default -F _ekiden ekiden\n";
static const char zsh[] =
  "#compdef ekiden\n"
  "# _ekiden - completion of ekiden(1) for zsh; the command itself knows the words\n"
  "# SPDX-License-Identifier: Apache-2.0\n"
  "_ekiden () {\n"
  "  local line\n"
  "  local -a found\n"
  "  while IFS= read -r line; do\n"
  "    found+=(\"${${${line%%$'\\t'*}//\\\\/\\\\\\\\}//:/\\\\:}:${line#*$'\\t'}\")\n"
  "  done < <(\"${words[1]}\" completion words -- \"${(@)words[2,CURRENT-1]}\" 2>/dev/null)\n"
  "  if (( $#found )); then _describe -t words word found; else _files; fi\n"
  "}\n"
  "if [[ $funcstack[1] == _ekiden ]]; then _ekiden \"$@\"; else compdef _ekiden ekiden; fi\n";

/* ---- asking ourselves ---- */

/* What `ekiden WORDS...` says on standard output, in lines; none when it fails. */
static char **
ask (const char *const *words)
{
  g_autoptr (GPtrArray) argv = g_ptr_array_new ();
  g_autofree char *text = NULL;

  g_ptr_array_add (argv, (gpointer) "/proc/self/exe");
  for (; *words; words++)
    g_ptr_array_add (argv, (gpointer) *words);
  g_ptr_array_add (argv, NULL);
  if (!g_spawn_sync (NULL, (char **) argv->pdata, NULL, G_SPAWN_STDERR_TO_DEV_NULL, NULL, NULL, &text, NULL, NULL, NULL) || text == NULL)
    return g_new0 (char *, 1);
  return g_strsplit (text, "\n", -1);
}

static void
put (EkBuf *out, const char *word, gsize n, const char *summary)
{
  ek_buf_append (out, word, n);
  ek_buf_printf (out, "\t%s\n", summary);
}

/* A line of a help: "  word   summary" of a list of commands, or "  -x, --option=VALUE   summary". */
static void
take_help (const char *line, bool commands, EkBuf *out)
{
  const char *word = line + 2;

  if (!g_str_has_prefix (line, "  ") || *word == ' ')
    return;
  if (*word == '-' && (word = strstr (word, "--")) == NULL)
    return;
  if (commands == (*word == '-'))
    return;
  const char *end = word + strcspn (word, " =");
  const char *summary = strstr (end, "  ");
  put (out, word, (gsize) (end - word), summary ? summary + strspn (summary, " ") : "");
}

/* The commands below `verbs`, or when there are none, its options. */
static void
put_help (const char *const *verbs, guint n, EkBuf *out)
{
  const char *words[4] = { n > 0 ? verbs[0] : "--help", n > 0 ? "--help" : NULL };
  g_auto (GStrv) lines = ask (words);
  bool commands = lines[0] && strstr (lines[0], " COMMAND ") != NULL;

  if (commands && n > 1) {
    g_auto (GStrv) below = ask ((const char *const[]) { verbs[0], verbs[1], "--help", NULL });
    for (char **line = below; *line; line++)
      take_help (*line, false, out);
    return;
  }
  for (char **line = lines; *line; line++)
    take_help (*line, commands, out);
}

/* ---- what a command works on ---- */

/* The first words of a list's lines; `id`: only those that are queue ids. */
static void
put_list (const char *const *words, bool id, EkBuf *out)
{
  g_auto (GStrv) lines = ask (words);

  for (char **line = lines; *line; line++) {
    gsize n = strcspn (*line, " \t"), hex = strspn (*line, "0123456789ABCDEF");
    if (n > 0 && (!id || hex == 16))
      put (out, *line, id ? hex : n, "");
  }
}

static bool
is (const char *const *verbs, const char *first, const char *second)
{
  return strcmp (verbs[0], first) == 0 && strcmp (verbs[1], second) == 0;
}

static void
put_objects (const char *const *verbs, guint n, EkBuf *out)
{
  static const char *const changes[] = { "list", "show", "flush", "hold", "release", "delete", "requeue", NULL };
  static const char *const of_users[] = { "show", "set", "passwd", "delete", NULL };

  if (n >= 2 && strcmp (verbs[0], "queue") == 0 && g_strv_contains (changes, verbs[1])) {
    static const char *const targets[] = { "ALL", "deferred", "hold", "active" };
    for (guint i = 0; i < G_N_ELEMENTS (targets); i++)
      put (out, targets[i], strlen (targets[i]), "");
    put_list ((const char *const[]) { "mailq", NULL }, true, out);
  }
  else if (n == 2 && (is (verbs, "module", "show") || is (verbs, "module", "doc")))
    put_list ((const char *const[]) { "module", "list", NULL }, false, out);
  else if (n == 2 && (is (verbs, "config", "show") || is (verbs, "config", "set")))
    put_list ((const char *const[]) { "config", "show", "--all", "--no-files", NULL }, false, out);
  else if (n == 2 && strcmp (verbs[0], "user") == 0 && g_strv_contains (of_users, verbs[1]))
    put_list ((const char *const[]) { "user", "list", NULL }, false, out);
  else if (n == 2 && (strcmp (verbs[0], "domain") == 0 || strcmp (verbs[0], "alias") == 0) && g_strv_contains (of_users, verbs[1]))
    put_list ((const char *const[]) { verbs[0], "list", NULL }, false, out);
  else if (n == 2 && strcmp (verbs[0], "sql") == 0)
    put_list ((const char *const[]) { "map", "list", NULL }, false, out);
  else if (n == 2 && (is (verbs, "map", "get") || is (verbs, "map", "dump")))
    put_list ((const char *const[]) { "map", "list", NULL }, false, out);
  else if (n == 2 && is (verbs, "map", "build")) {
    g_autoptr (GPtrArray) types = ek_map_build_types (NULL);
    for (guint i = 0; i < types->len; i++)
      put (out, types->pdata[i], strlen (types->pdata[i]), "");
  }
  else if (n == 1 && strcmp (verbs[0], "completion") == 0) {
    put (out, "bash", 4, "for bash");
    put (out, "zsh", 3, "for zsh");
  }
}

static int
words (const char *const *given)
{
  g_autoptr (GPtrArray) verbs = g_ptr_array_new ();
  EkBuf out = { 0 };
  bool value = false;                              /* the next word belongs to -c */

  for (; *given; given++) {
    if (!value && **given != '-')
      g_ptr_array_add (verbs, (gpointer) *given);
    value = !value && (strcmp (*given, "-c") == 0 || strcmp (*given, "--config") == 0);
  }
  if (value)                                       /* the name of a file: the shell knows better */
    return EK_EXIT_OK;
  g_ptr_array_add (verbs, NULL);
  put_objects ((const char *const *) verbs->pdata, verbs->len - 1, &out);
  put_help ((const char *const *) verbs->pdata, verbs->len - 1, &out);
  ek_cli_write (STDOUT_FILENO, &out);
  return EK_EXIT_OK;
}

int
ek_cli_completion (int argc, char **argv)
{
  static const GOptionEntry entries[] = { { NULL, 0, 0, 0, NULL, NULL, NULL } };
  EkBuf out = { 0 };
  int status;

  if (argc > 2 && strcmp (argv[1], "words") == 0 && strcmp (argv[2], "--") == 0)
    return words ((const char *const *) argv + 3);
  if (!ek_cli_options (&argc, &argv, entries, "bash|zsh - write the completion for a shell", "`make install` puts both where the shells look.\n\n"
                       "Examples:\n  ekiden completion bash > /etc/bash_completion.d/ekiden\n  ekiden completion zsh > "
                       "/usr/local/share/zsh/site-functions/_ekiden\n  source <(ekiden completion bash)", &status))
    return status;
  if (argc != 2 || (strcmp (argv[1], "bash") != 0 && strcmp (argv[1], "zsh") != 0))
    return ek_cli_usage ("completion takes the name of a shell: bash or zsh");
  ek_buf_appends (&out, strcmp (argv[1], "bash") == 0 ? bash : zsh);
  ek_cli_write (STDOUT_FILENO, &out);
  return EK_EXIT_OK;
}
