/* source.c - the files behind a configuration: opened, bounded, included, looped back; secrets too
 * SPDX-License-Identifier: Apache-2.0 */
#include "conf/parser.h"
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Opens a regular file for reading; tells why not. */
static int
open_file (EkParser *parser, const char *path, const EkConfPos *asked, const char *what, struct stat *st)
{
  int fd = open (path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);     /* a FIFO must not hang us */

  if (fd < 0 || fstat (fd, st) < 0) {
    int err = errno;
    ek_problems_add (parser->problems, asked, "cannot read %s%s: %s%s", what, path, g_strerror (err),
                     err == EACCES ? " (see `ls -l` of the file and of each folder above it)" : "");
    if (fd >= 0)
      close (fd);
    return -1;
  }
  if (!S_ISREG (st->st_mode)) {
    ek_problems_add (parser->problems, asked, "cannot read %s%s: it is %s, expected a file", what, path,
                     S_ISDIR (st->st_mode) ? "a folder (include its files with \"FOLDER/*.conf\")"
                                           : "no regular file");
    close (fd);
    return -1;
  }
  return fd;
}

/* At most `max` bytes and a NUL; NULL after telling. */
static char *
read_all (EkParser *parser, int fd, const char *path, const EkConfPos *asked, gsize max, gsize *len)
{
  char *bytes = NULL;
  gsize n = 0, room = 0;

  for (;;) {
    if (n == room) {                               /* copied by hand, so that no half is left behind */
      char *more = g_malloc (room * 2 + 4096 + 1);
      if (bytes)
        memcpy (more, bytes, n), ek_wipe (bytes, n);
      g_free (bytes);
      bytes = more;
      room = room * 2 + 4096;
    }
    ssize_t got = read (fd, bytes + n, room - n);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0 || n + (gsize) got > max) {
      if (got < 0)
        ek_problems_add (parser->problems, asked, "cannot read %s: %s", path, g_strerror (errno));
      else
        ek_problems_add (parser->problems, asked, "%s is larger than %" G_GSIZE_FORMAT " KB: is it the right file?",
                         path, max >> 10);
      ek_wipe (bytes, n);
      g_free (bytes);
      return NULL;
    }
    if (got == 0)
      break;
    n += (gsize) got;
  }
  bytes[n] = '\0';
  *len = n;
  return bytes;
}

static EkConfPos
place_of (const char *file, EkStr text, gsize at)
{
  EkConfPos pos = { file, 1, 1 };

  for (gsize i = 0; i < at && i < text.n; i++) {
    if (text.p[i] == '\n')
      pos.line++, pos.column = 1;
    else if (((guchar) text.p[i] & 0xc0) != 0x80)
      pos.column++;
  }
  return pos;
}

static bool
is_text (EkSource *source)
{
  EkStr text = source->text;
  const char *bad = text.p + text.n;

  if (memchr (text.p, '\0', text.n))
    bad = memchr (text.p, '\0', text.n);
  else if (text.n == 0 || g_utf8_validate (text.p, (gssize) text.n, &bad))
    return true;
  EkConfPos at = place_of (source->file, text, (gsize) (bad - text.p));
  ek_problems_add (source->parser->problems, &at, *bad ? "this byte (\\x%02x) is not UTF-8: save the file as UTF-8"
                   : "a NUL byte (\\x%02x) stands here: this is no text file", (guchar) *bad);
  return false;
}

static void
parse_source (EkSource *source, EkConfBlock *block)
{
  EkParser *parser = source->parser;

  parser->read += source->text.n;
  parser->files++;
  if (parser->read > EK_CONF_TOTAL_MAX || parser->files > EK_CONF_FILES_MAX) {
    ek_problems_add (parser->problems, source->parent ? &source->asked : NULL,
                     "the configuration has more than %u files or %u MB; %s is not read", EK_CONF_FILES_MAX,
                     EK_CONF_TOTAL_MAX >> 20, source->file);
    return;
  }
  if (!is_text (source))
    return;
  if (block->parent == NULL && source->parent == NULL) {
    block->at = (EkConfPos) { source->file, 1, 1 };
    block->close = source->text.n;
  }
  ek_lexer_init (&source->lexer, source->text);
  ek_parser_next (source);
  ek_parser_statements (source, block);
}

/* a.conf:3 -> b.conf:1 -> a.conf */
static bool
is_loop (EkSource *source)
{
  for (EkSource *above = source->parent; above; above = above->parent) {
    if (above->dev != source->dev || above->ino != source->ino)
      continue;
    g_autoptr (GString) chain = g_string_new (source->file);
    for (EkSource *s = source; s != above; s = s->parent) {
      g_autofree char *step = g_strdup_printf ("%s:%u -> ", s->asked.file, s->asked.line);
      g_string_prepend (chain, step);
    }
    ek_problems_add (source->parser->problems, &source->asked, "files include each other in a loop: %s", chain->str);
    return true;
  }
  return false;
}

/* Swaps in what the file is about to become (ek_conf_load_edited). */
static bool
is_edited (EkSource *source)
{
  EkParser *parser = source->parser;
  g_autofree char *real = parser->edited ? realpath (source->file, NULL) : NULL;

  if (real == NULL || strcmp (real, parser->edited) != 0)
    return false;
  source->text = parser->edited_text;
  return true;
}

void
ek_source_parse (EkParser *parser, EkSource *parent, const char *path, const EkConfPos *asked, EkConfBlock *block)
{
  EkSource source = { .parser = parser, .parent = parent, .file = ek_pool_strdup (parser->conf->pool, path) };
  struct stat st;
  gsize len;

  if (parent) {
    source.asked = *asked;
    source.depth = parent->depth + 1;
    source.nesting_above = parent->nesting + parent->nesting_above;
  }
  if (source.depth > EK_CONF_INCLUDE_MAX) {
    ek_problems_add (parser->problems, asked, "files include files more than %u deep", EK_CONF_INCLUDE_MAX);
    return;
  }
  int fd = open_file (parser, path, asked, parent ? "" : "the configuration ", &st);
  if (fd < 0)
    return;
  source.dev = st.st_dev;
  source.ino = st.st_ino;
  if (st.st_mode & S_IWOTH)
    ek_problems_add (parser->problems, asked, "%s may be written by everybody (mode %04o): chmod o-w %s", path,
                     (guint) st.st_mode & 07777, path);
  else if (!is_loop (&source)) {
    source.bytes = read_all (parser, fd, path, asked, EK_CONF_FILE_MAX, &len);
    if (source.bytes) {
      source.text = (EkStr) { source.bytes, len };
      is_edited (&source);
      parse_source (&source, block);
      ek_wipe (source.bytes, len);
      g_free (source.bytes);
    }
  }
  close (fd);
}

void
ek_source_parse_text (EkParser *parser, const char *name, EkStr text, EkConfBlock *block)
{
  EkSource source = { .parser = parser, .file = ek_pool_strdup (parser->conf->pool, name), .text = text };

  if (text.n > EK_CONF_FILE_MAX)
    ek_problems_add (parser->problems, NULL, "%s is larger than %u KB", name, EK_CONF_FILE_MAX >> 10);
  else
    parse_source (&source, block);
}

/* Relative to the folder of the file that says so. */
static char *
resolve (EkSource *source, const char *path)
{
  if (g_path_is_absolute (path))
    return g_strdup (path);
  g_autofree char *folder = g_path_get_dirname (source->file);
  return strcmp (folder, ".") == 0 ? g_strdup (path) : g_build_filename (folder, path, NULL);
}

static int
by_bytes (gconstpointer a, gconstpointer b)
{
  return strcmp (*(char *const *) a, *(char *const *) b);
}

static int
glob_failed (const char *path, int err)
{
  return err != ENOENT && err != ENOTDIR;          /* a folder that cannot be read is no empty folder */
}

void
ek_source_include (EkSource *source, const char *pattern, const EkConfPos *at, EkConfBlock *block)
{
  EkParser *parser = source->parser;
  g_autofree char *full = resolve (source, pattern);
  glob_t found = { 0 };

  if (parser->flags & EK_CONF_NO_INCLUDE) {
    ek_problems_add (parser->problems, at, "include is not possible here");
    return;
  }
  if (strpbrk (full, "*?[") == NULL) {
    ek_source_parse (parser, source, full, at, block);
    return;
  }
  int failed = glob (full, GLOB_NOSORT | GLOB_ERR, glob_failed, &found);
  if (failed && failed != GLOB_NOMATCH)
    ek_problems_add (parser->problems, at, "cannot look for %s: %s", full,
                     failed == GLOB_NOSPACE ? "out of memory" : g_strerror (errno));
  else if (failed == 0) {
    qsort (found.gl_pathv, found.gl_pathc, sizeof *found.gl_pathv, by_bytes);     /* no locale's order */
    for (gsize i = 0; i < found.gl_pathc && parser->files <= EK_CONF_FILES_MAX; i++)
      ek_source_parse (parser, source, found.gl_pathv[i], at, block);
  }
  globfree (&found);
}

bool
ek_source_secret (EkSource *source, const char *path, const EkConfPos *at, EkStr *text)
{
  EkParser *parser = source->parser;
  g_autofree char *full = resolve (source, path);
  struct stat st;
  gsize len;

  int fd = open_file (parser, full, at, "the secret in ", &st);
  if (fd < 0)
    return false;
  if (st.st_mode & S_IRWXO) {
    ek_problems_add (parser->problems, at, "the secret in %s is open to everybody (mode %04o): chmod o= %s", full,
                     (guint) st.st_mode & 07777, full);
    close (fd);
    return false;
  }
  char *bytes = read_all (parser, fd, full, at, EK_CONF_SECRET_MAX, &len);
  close (fd);
  if (bytes == NULL)
    return false;
  gsize n = len;
  if (n > 0 && bytes[n - 1] == '\n')
    n -= n > 1 && bytes[n - 2] == '\r' ? 2 : 1;
  bool ok = n > 0 && memchr (bytes, '\0', n) == NULL;
  if (ok)
    *text = ek_conf_text (parser->conf, (EkStr) { bytes, n });
  else
    ek_problems_add (parser->problems, at, "the secret in %s %s", full, n ? "holds a NUL byte" : "is empty");
  ek_wipe (bytes, len);
  g_free (bytes);
  return ok;
}

bool
ek_source_text (EkSource *source, const char *path, EkConfItem *item)
{
  EkParser *parser = source->parser;
  g_autofree char *full = resolve (source, path);
  struct stat st;
  gsize len = 0;
  char *bytes = NULL;

  int fd = open_file (parser, full, &item->at, "", &st);
  if (fd < 0)
    return false;
  if (st.st_mode & S_IWOTH)
    ek_problems_add (parser->problems, &item->at, "%s may be written by everybody (mode %04o): chmod o-w %s", full,
                     (guint) st.st_mode & 07777, full);
  else
    bytes = read_all (parser, fd, full, &item->at, EK_CONF_TEXT_MAX, &len);
  close (fd);
  parser->read += len;
  bool ok = bytes && memchr (bytes, '\0', len) == NULL && parser->read <= EK_CONF_TOTAL_MAX;
  if (bytes && !ok)
    ek_problems_add (parser->problems, &item->at, parser->read > EK_CONF_TOTAL_MAX ? "%s is too much: the configuration becomes "
                     "larger than %u MB" : "%s holds a NUL byte: it is no text", full, EK_CONF_TOTAL_MAX >> 20);
  if (ok) {
    item->text = ek_conf_text (parser->conf, (EkStr) { bytes, len });
    item->file = ek_pool_strdup (parser->conf->pool, full);
  }
  g_free (bytes);
  return ok;
}
