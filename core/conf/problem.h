/* problem.h - the errors of one pass over a configuration, all of them
 * SPDX-License-Identifier: Apache-2.0
 *
 * Whoever reads or checks configuration adds what it finds and goes on; the caller prints the lot,
 * sorted by file and line.  At most EK_PROBLEMS_MAX texts are kept, the rest is counted.
 */
#pragma once
#include "base/base.h"

#define EK_PROBLEMS_MAX 100

/* Where something was written.  `file` lives as long as the EkConf it came from (EkProblems makes
 * copies); line and column count from 1, columns in characters; file NULL: nowhere (a default). */
typedef struct {
  const char *file;
  guint       line, column;
} EkConfPos;

typedef struct {
  char *file;                        /* NULL: no position */
  guint line, column;
  char *text;                        /* one sentence or two, no newline */
} EkProblem;

typedef struct EkProblems EkProblems;

EkProblems *ek_problems_new (void);
void        ek_problems_free (EkProblems *problems);       /* NULL is fine */
/* `at` may be NULL.  A text that is already there with the same position is not added again. */
void        ek_problems_add (EkProblems *problems, const EkConfPos *at, const char *fmt, ...)
  G_GNUC_PRINTF (3, 4);
guint       ek_problems_count (const EkProblems *problems);        /* with those that were not kept */
const EkProblem *ek_problems_get (const EkProblems *problems, guint i);   /* NULL behind the last */
/* "FILE:LINE:COLUMN: text\n" for each, then "... and N more". */
void        ek_problems_print (EkProblems *problems, EkBuf *out);
void        ek_problems_json (EkProblems *problems, EkBuf *out);   /* [{"file":...},...] */
/* One GError that holds them all, a line each; NULL when there are none. */
GError     *ek_problems_error (EkProblems *problems);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (EkProblems, ek_problems_free)

/* The word of `words` (n of them, NULLs are skipped) that `word` was most likely meant to be, by
 * edit distance; NULL when none is near. */
const char *ek_nearest (const char *word, const char *const *words, gsize n);
