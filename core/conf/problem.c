/* problem.c - collects the errors of one pass, and guesses what a misspelt word was meant to be
 * SPDX-License-Identifier: Apache-2.0 */
#include "conf/problem.h"
#include "base/json.h"
#include <string.h>

struct EkProblems {
  GPtrArray *kept;                   /* EkProblem */
  guint      count;
  bool       sorted;
};

static void
problem_free (gpointer data)
{
  EkProblem *problem = data;

  g_free (problem->file);
  g_free (problem->text);
  g_free (problem);
}

EkProblems *
ek_problems_new (void)
{
  EkProblems *self = g_new0 (EkProblems, 1);

  self->kept = g_ptr_array_new_with_free_func (problem_free);
  return self;
}

void
ek_problems_free (EkProblems *self)
{
  if (self == NULL)
    return;
  g_ptr_array_unref (self->kept);
  g_free (self);
}

/* What a file says, or is called, must not forge a line of output. */
static char *
on_one_line (char *text)
{
  for (char *p = text; *p; p++)
    if ((guchar) *p < ' ' || *p == 127)
      *p = ' ';
  return text;
}

static bool
is_known (const EkProblems *self, const EkConfPos *at, const char *text)
{
  for (guint i = 0; i < self->kept->len; i++) {
    const EkProblem *p = self->kept->pdata[i];
    if (p->line == (at ? at->line : 0) && p->column == (at ? at->column : 0)
        && g_strcmp0 (p->file, at ? at->file : NULL) == 0 && strcmp (p->text, text) == 0)
      return true;
  }
  return false;
}

void
ek_problems_add (EkProblems *self, const EkConfPos *at, const char *fmt, ...)
{
  g_autofree char *text = NULL;

  va_list args;
  va_start (args, fmt);
  text = on_one_line (g_strdup_vprintf (fmt, args));
  va_end (args);
  if (is_known (self, at, text))
    return;
  self->count++;
  if (self->kept->len >= EK_PROBLEMS_MAX)
    return;
  EkProblem *problem = g_new0 (EkProblem, 1);
  if (at && at->file) {
    problem->file = on_one_line (g_strdup (at->file));
    problem->line = at->line;
    problem->column = at->column;
  }
  problem->text = g_steal_pointer (&text);
  g_ptr_array_add (self->kept, problem);
  self->sorted = false;
}

guint
ek_problems_count (const EkProblems *self)
{
  return self->count;
}

const EkProblem *
ek_problems_get (const EkProblems *self, guint i)
{
  return i < self->kept->len ? self->kept->pdata[i] : NULL;
}

static gint
by_place (gconstpointer a_, gconstpointer b_)
{
  const EkProblem *a = *(EkProblem *const *) a_, *b = *(EkProblem *const *) b_;
  int order = g_strcmp0 (a->file, b->file);

  if (order == 0)
    order = a->line < b->line ? -1 : a->line > b->line;
  if (order == 0)
    order = a->column < b->column ? -1 : a->column > b->column;
  return order;
}

static void
sort (EkProblems *self)
{
  if (!self->sorted)
    g_ptr_array_sort (self->kept, by_place);       /* stable: GLib sorts by merging */
  self->sorted = true;
}

void
ek_problems_print (EkProblems *self, EkBuf *out)
{
  sort (self);
  for (guint i = 0; i < self->kept->len; i++) {
    const EkProblem *p = self->kept->pdata[i];
    if (p->file)
      ek_buf_printf (out, "%s:%u:%u: ", p->file, p->line, p->column);
    ek_buf_printf (out, "%s\n", p->text);
  }
  if (self->count > self->kept->len)
    ek_buf_printf (out, "... and %u more\n", self->count - self->kept->len);
}

void
ek_problems_json (EkProblems *self, EkBuf *out)
{
  EkJson json = { .out = out };

  sort (self);
  ek_json_array (&json, NULL);
  for (guint i = 0; i < self->kept->len; i++) {
    const EkProblem *p = self->kept->pdata[i];
    ek_json_object (&json, NULL);
    if (p->file) {
      ek_json_text (&json, "file", p->file);
      ek_json_int (&json, "line", p->line);
      ek_json_int (&json, "column", p->column);
    }
    ek_json_text (&json, "text", p->text);
    ek_json_end_object (&json);
  }
  ek_json_end_array (&json);
}

GError *
ek_problems_error (EkProblems *self)
{
  if (self->count == 0)
    return NULL;
  EkBuf out = { 0 };
  ek_problems_print (self, &out);
  GError *error = g_error_new (EK_ERROR, 0, "%.*s", (int) ek_buf_len (&out) - 1, ek_buf_at (&out));
  ek_buf_release (&out);
  return error;
}

/* Optimal string alignment: insert, delete, replace, swap neighbours.  Words are short. */
#define WORD_MAX 64

static guint
distance (const char *a, gsize na, const char *b, gsize nb)
{
  guint rows[3][WORD_MAX + 1];
  guint *before = rows[0], *above = rows[1], *row = rows[2];

  for (gsize j = 0; j <= nb; j++)
    above[j] = (guint) j;
  for (gsize i = 1; i <= na; i++) {
    row[0] = (guint) i;
    for (gsize j = 1; j <= nb; j++) {
      bool same = g_ascii_tolower (a[i - 1]) == g_ascii_tolower (b[j - 1]);
      row[j] = MIN (above[j - 1] + !same, MIN (above[j], row[j - 1]) + 1);
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = MIN (row[j], before[j - 2] + 1);
    }
    guint *spare = before;
    before = above;
    above = row;
    row = spare;
  }
  return above[nb];
}

const char *
ek_nearest (const char *word, const char *const *words, gsize n)
{
  const char *best = NULL;
  gsize len = strlen (word);
  guint limit = MAX (((guint) len + 1) / 3, 1), best_distance = limit + 1;

  if (len == 0 || len > WORD_MAX)
    return NULL;
  for (gsize i = 0; i < n; i++) {
    gsize other = words[i] ? strlen (words[i]) : 0;
    if (other == 0 || other > WORD_MAX)
      continue;
    guint d = distance (word, len, words[i], other);
    if (d < best_distance && d < MAX (len, other)) {       /* not a wholly different word */
      best = words[i];
      best_distance = d;
    }
  }
  return best;
}
