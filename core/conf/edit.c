/* edit.c - one value changed in the text of a configuration file, all else left as it is
 * SPDX-License-Identifier: Apache-2.0 */
#include "conf/edit.h"
#include "conf/editpath.h"
#include "conf/lexer.h"
#include "conf/parser.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- what is to be written ---- */

static bool
is_sign (const EkToken *token, EkTokenType type)
{
  return token->type == type;
}

/* A word, a string or file("..."); the token behind it is next. */
static bool
skip_item (EkLexer *lexer, EkToken *token)
{
  bool word = token->type == EK_TOKEN_WORD;

  if (!word && token->type != EK_TOKEN_STRING)
    return false;
  bool file = word && ek_str_eq (ek_token_text (lexer, token), EK_STR ("file"));
  ek_lexer_next (lexer, token);
  if (!file || !is_sign (token, EK_TOKEN_LPAREN))
    return true;
  ek_lexer_next (lexer, token);
  if (!is_sign (token, EK_TOKEN_STRING))
    return false;
  ek_lexer_next (lexer, token);
  bool closed = is_sign (token, EK_TOKEN_RPAREN);
  ek_lexer_next (lexer, token);
  return closed;
}

/* Can it stand behind `=` as it is? */
static bool
is_value (const char *value)
{
  EkLexer lexer;
  EkToken token;

  if (!g_utf8_validate (value, -1, NULL) || strpbrk (value, "\r\n"))
    return false;
  ek_lexer_init (&lexer, ek_str (value));
  ek_lexer_next (&lexer, &token);
  bool brackets = is_sign (&token, EK_TOKEN_LBRACKET);
  if (brackets)
    ek_lexer_next (&lexer, &token);
  if (brackets && is_sign (&token, EK_TOKEN_RBRACKET)) {
    ek_lexer_next (&lexer, &token);
    return is_sign (&token, EK_TOKEN_END);
  }
  while (skip_item (&lexer, &token)) {
    if (brackets && is_sign (&token, EK_TOKEN_RBRACKET)) {
      ek_lexer_next (&lexer, &token);
      return is_sign (&token, EK_TOKEN_END);
    }
    if (!is_sign (&token, EK_TOKEN_COMMA))
      return !brackets && is_sign (&token, EK_TOKEN_END);
    ek_lexer_next (&lexer, &token);
  }
  return false;
}

static char *
typed_value (const char *value)
{
  EkBuf out = { 0 };

  if (is_value (value))
    return g_strstrip (g_strdup (value));
  ek_conf_text_write (ek_str (value), &out);
  char *text = g_strndup (ek_buf_at (&out), ek_buf_len (&out));
  ek_buf_release (&out);
  return text;
}

/* ---- where it is written ---- */

typedef struct {
  EkStr text;                        /* the file now */
  gsize from, to;                    /* what goes */
  char *put;                         /* what comes */
  gsize skip;                        /* bytes of it before the setting's line */
} Change;

static gsize
line_start (EkStr text, gsize at)
{
  while (at > 0 && text.p[at - 1] != '\n')
    at--;
  return at;
}

/* Behind the line's end, or the end of the text. */
static gsize
line_end (EkStr text, gsize at)
{
  const char *nl = at < text.n ? memchr (text.p + at, '\n', text.n - at) : NULL;

  return nl ? (gsize) (nl - text.p) + 1 : text.n;
}

/* The blanks that begin the line of `at`. */
static char *
indent_at (EkStr text, gsize at)
{
  gsize start = line_start (text, at), end = start;

  while (end < at && (text.p[end] == ' ' || text.p[end] == '\t'))
    end++;
  return g_strndup (text.p + start, end - start);
}

static bool
has_newline (EkStr text, gsize from, gsize to)
{
  return from < to && memchr (text.p + from, '\n', to - from) != NULL;
}

static void
replace_value (Change *change, const EkConfSetting *s, const char *value)
{
  bool tight = s->start > 0 && s->start == s->end && change->text.p[s->start - 1] == '=';

  change->from = s->start;
  change->to = s->end;
  change->put = g_strdup_printf ("%s%s", tight ? " " : "", value);
}

static const EkConfSetting *
last_setting_here (const EkConfBlock *block)
{
  const EkConfSetting *last = NULL;

  for (const EkConfSetting *s = block->settings; s; s = s->next)
    if (g_strcmp0 (s->at.file, block->at.file) == 0)
      last = s;
  return last;
}

/* Behind the last setting of the block, on a line of its own, when each has one. */
static bool
insert_behind (Change *change, const EkConfBlock *block, const char *key, const char *value)
{
  const EkConfSetting *last = last_setting_here (block);

  if (last == NULL)
    return false;
  gsize end = line_end (change->text, last->end);
  bool open_line = end == change->text.n && (end == 0 || change->text.p[end - 1] != '\n');
  if (block->parent && end > block->close)
    return false;                                  /* b { a = 1 } */
  g_autofree char *indent = indent_at (change->text, last->start);
  change->from = change->to = end;
  change->put = g_strdup_printf ("%s%s%s = %s\n", open_line ? "\n" : "", indent, key, value);
  return true;
}

/* Before the block's `}`. */
static void
insert_before_close (Change *change, const EkConfBlock *block, const char *key, const char *value)
{
  EkStr text = change->text;
  gsize start = line_start (text, block->close);
  g_autofree char *indent = indent_at (text, block->body);
  EkStr before = ek_str_trim ((EkStr) { text.p + start, block->close - start });

  if (has_newline (text, block->body, block->close) && before.n == 0) {
    change->from = change->to = start;
    change->put = g_strdup_printf ("%s  %s = %s\n", indent, key, value);
    return;
  }
  change->to = change->from = block->close;
  while (change->from > block->body && strchr (" \t", text.p[change->from - 1]))
    change->from--;
  change->put = g_strdup_printf ("\n%s  %s = %s\n%s", indent, key, value, indent);
}

/* The top level has no setting yet: before its first block, or at the end. */
static void
insert_on_top (Change *change, const EkConfBlock *root, const char *key, const char *value)
{
  EkStr text = change->text;

  change->from = text.n;
  for (const EkConfBlock *b = root->blocks; b; b = b->next)
    if (g_strcmp0 (b->at.file, root->at.file) == 0) {
      change->from = line_start (text, b->body);
      break;
    }
  change->to = change->from;
  bool open_line = change->from > 0 && text.p[change->from - 1] != '\n';
  change->put = g_strdup_printf ("%s%s = %s\n", open_line ? "\n" : "", key, value);
}

static void
append_block (Change *change, const EkConfTarget *target, const char *value)
{
  EkStr text = change->text;
  EkBuf out = { 0 };

  if (text.n > 0)
    ek_buf_appends (&out, text.p[text.n - 1] == '\n' ? "\n" : "\n\n");
  ek_buf_appends (&out, target->kind);
  if (target->name)
    ek_buf_printf (&out, " \"%s\"", target->name);       /* has no quotes in it */
  ek_buf_appends (&out, " {\n");
  change->skip = ek_buf_len (&out);
  ek_buf_printf (&out, "  %s = %s\n}\n", target->key, value);
  change->from = change->to = text.n;
  change->put = g_strndup (ek_buf_at (&out), ek_buf_len (&out));
  ek_buf_release (&out);
}

static void
plan (Change *change, const EkConf *conf, const EkConfTarget *target, const char *value)
{
  if (target->setting)
    replace_value (change, target->setting, value);
  else if (target->block == NULL)
    append_block (change, target, value);
  else if (insert_behind (change, target->block, target->key, value))
    return;
  else if (target->block->parent)
    insert_before_close (change, target->block, target->key, value);
  else
    insert_on_top (change, conf->root, target->key, value);
}

static void
apply (EkConfEdit *edit, const Change *change)
{
  EkStr text = change->text;

  ek_buf_append (&edit->text, text.p, change->from);
  ek_buf_appends (&edit->text, change->put);
  ek_buf_append (&edit->text, text.p + change->to, text.n - change->to);
  edit->line = 1;
  gsize until = change->from + MAX (change->skip, strspn (change->put, "\n"));
  for (gsize i = 0; i < until && i < ek_buf_len (&edit->text); i++)
    edit->line += ek_buf_at (&edit->text)[i] == '\n';
  edit->same = ek_buf_len (&edit->text) == text.n && memcmp (ek_buf_at (&edit->text), text.p, text.n) == 0;
}

/* The file could have been changed since it was parsed: the value's place must still be one. */
static bool
fits (const Change *change, gsize n)
{
  return change->from <= change->to && change->to <= n;
}

static bool
edit_file (EkConfEdit *edit, const EkConf *conf, const EkConfTarget *target, const char *value, GError **error)
{
  const char *file = target->setting ? target->setting->at.file
                     : target->block ? target->block->at.file : conf->root->at.file;
  g_autofree char *bytes = NULL, *typed = typed_value (value);
  Change change = { 0 };
  struct stat st;
  gsize n;

  char *real = realpath (file, NULL);
  edit->file = g_strdup (real ? real : file);
  free (real);
  if (stat (edit->file, &st) < 0 || !g_file_get_contents (edit->file, &bytes, &n, NULL) || n > EK_CONF_FILE_MAX) {
    ek_fail (error, EK_FAIL, errno, "cannot read %s: %s", edit->file, g_strerror (errno));
    return false;
  }
  edit->ino = (guint64) st.st_ino;
  edit->mtime_ns = (gint64) st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
  change.text = (EkStr) { bytes, n };
  const EkConfBlock *b = target->block;
  bool in_bounds = (target->setting == NULL || target->setting->end <= n) && (b == NULL || b->close <= n);
  if (in_bounds)
    plan (&change, conf, target, typed);
  if (!in_bounds || !fits (&change, n)) {
    g_free (change.put);
    ek_fail (error, EK_FAIL, EAGAIN, "%s was changed meanwhile: try again", edit->file);
    return false;
  }
  apply (edit, &change);
  g_free (change.put);
  return true;
}

bool
ek_conf_edit (const char *main_file, const char *path, const char *value, EkConfEdit *edit, GError **error)
{
  g_autoptr (EkProblems) problems = ek_problems_new ();
  g_autoptr (EkConf) conf = ek_conf_load (main_file, EK_CONF_NO_FILES, problems);
  g_autoptr (EkPool) pool = ek_pool_new ();
  EkConfTarget target;

  *edit = (EkConfEdit) { 0 };
  if (conf->root->at.file == NULL) {               /* could not be read at all */
    GError *why = ek_problems_error (problems);
    g_propagate_error (error, why);
    return false;
  }
  if (!ek_conf_target (conf, path, pool, &target, error))
    return false;
  if (!edit_file (edit, conf, &target, value, error)) {
    ek_conf_edit_clear (edit);
    return false;
  }
  return true;
}

/* ---- writing ---- */

static bool
write_all (int fd, EkStr text)
{
  while (text.n > 0) {
    ssize_t n = write (fd, text.p, text.n);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return false;
    text.p += n;
    text.n -= (gsize) n;
  }
  return true;
}

static bool
is_unchanged (const EkConfEdit *edit, struct stat *st)
{
  return stat (edit->file, st) == 0 && (guint64) st->st_ino == edit->ino
         && (gint64) st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec == edit->mtime_ns;
}

/* The new file, complete and synced, under its temporary name; errno says why not. */
static bool
write_beside (const EkConfEdit *edit, const struct stat *st, char *temp)
{
  int fd = mkostemp (temp, O_CLOEXEC);

  if (fd < 0)
    return false;
  /* as root the file stays its owner's; another user who may not give files away must own it already */
  bool owned = fchown (fd, st->st_uid, st->st_gid) == 0 || (st->st_uid == geteuid () && fchown (fd, (uid_t) -1, st->st_gid) == 0);
  bool ok = owned && fchmod (fd, st->st_mode & 07777) == 0 && write_all (fd, ek_buf_str (&edit->text)) && fsync (fd) == 0;
  int err = errno;
  if (close (fd) < 0 && ok) {
    ok = false;
    err = errno;
  }
  if (!ok)
    unlink (temp);
  errno = err;
  return ok;
}

static bool
sync_folder (const char *folder)
{
  int fd = open (folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  bool ok = fd >= 0 && fsync (fd) == 0;

  if (fd >= 0)
    close (fd);
  return ok;
}

bool
ek_conf_edit_write (EkConfEdit *edit, GError **error)
{
  g_autofree char *folder = g_path_get_dirname (edit->file);
  g_autofree char *base = g_path_get_basename (edit->file);
  g_autofree char *temp = g_strdup_printf ("%s/.%s.XXXXXX", folder, base);       /* no include takes a dot file */
  struct stat st;

  if (!is_unchanged (edit, &st)) {
    ek_fail (error, EK_FAIL, EAGAIN, "%s was changed meanwhile: try again", edit->file);
    return false;
  }
  if (!write_beside (edit, &st, temp)) {
    ek_fail (error, EK_FAIL, errno, "cannot write %s: %s", temp, g_strerror (errno));
    return false;
  }
  if (rename (temp, edit->file) < 0) {
    int err = errno;
    unlink (temp);
    ek_fail (error, EK_FAIL, err, "cannot replace %s: %s", edit->file, g_strerror (err));
    return false;
  }
  if (!sync_folder (folder)) {
    ek_fail (error, EK_FAIL, errno, "%s is changed, but its folder could not be synced: %s", edit->file, g_strerror (errno));
    return false;
  }
  return true;
}

void
ek_conf_edit_clear (EkConfEdit *edit)
{
  g_free (edit->file);
  ek_wipe (edit->text.data, edit->text.cap);
  ek_buf_release (&edit->text);
  *edit = (EkConfEdit) { 0 };
}
