/* pcre.c - maps of Perl's regular expressions, in the format of Postfix's pcre_table(5), with bounds on a search
 * SPDX-License-Identifier: Apache-2.0 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "lookup/pattern.h"
#include <errno.h>
#include <pcre2.h>
#include <string.h>

#define HEAP_KIB (32 * 1024)         /* of one search */

typedef struct {
  EkPatternInstance pattern;
  gint64            match_limit;
} Pcre;

typedef struct {                     /* of one lookup */
  pcre2_match_data    *data;
  pcre2_match_context *bounds;
  guint                limit;
} Search;

static const EkOption options[] = {
  EK_PATTERN_ROWS,
  EK_OPTION (Pcre, match_limit, "1000000", "How many steps one pattern may take with one key, so that one whose repetitions can match "
             "in very many ways (as (a+)+) holds up nobody: beyond, the lookup is deferred.", .allow = "1000..1000000000"),
  EK_OPTIONS_END
};

/* In the order of engine.flags.  X (stray escapes are errors) is how PCRE2 is anyway. */
static const guint32 meanings[] = {
  PCRE2_CASELESS, PCRE2_MULTILINE, PCRE2_DOTALL, PCRE2_EXTENDED, PCRE2_ANCHORED, PCRE2_DOLLAR_ENDONLY, PCRE2_UNGREEDY, 0,
};

/* Keys are bytes.  A pattern with other letters than ASCII is about characters: in a key that is no UTF-8 these match nothing. */
static guint32
character_options (EkStr pattern)
{
  for (gsize i = 0; i < pattern.n; i++)
    if ((guchar) pattern.p[i] >= 0x80)
      return g_utf8_validate_len (pattern.p, pattern.n, NULL) ? PCRE2_UTF | PCRE2_MATCH_INVALID_UTF : 0;
  return 0;
}

static gpointer
compile (const EkPatternInstance *self, EkStr pattern, guint32 flags, guint *groups, GError **error)
{
  guint32 wanted = character_options (pattern), n = 0;
  PCRE2_SIZE at;
  int err;

  for (guint i = 0; i < G_N_ELEMENTS (meanings); i++)
    if (flags & 1u << i)
      wanted |= meanings[i];
  pcre2_code *code = pcre2_compile ((PCRE2_SPTR) pattern.p, pattern.n, wanted, &err, &at, NULL);
  if (code) {
    pcre2_pattern_info (code, PCRE2_INFO_CAPTURECOUNT, &n);
    *groups = n;
    return code;
  }
  char why[200] = "";
  pcre2_get_error_message (err, (PCRE2_UCHAR *) why, sizeof why);
  ek_fail (error, EK_DEFER, EINVAL, "%s (behind its first %u bytes)", why, (guint) at);
  return NULL;
}

static void
free_code (gpointer code)
{
  pcre2_code_free (code);
}

static gpointer
open_search (const EkPatternInstance *self, guint n)
{
  Search *s = g_new0 (Search, 1);

  s->limit = (guint) ((const Pcre *) self)->match_limit;
  s->data = pcre2_match_data_create (n, NULL);
  s->bounds = pcre2_match_context_create (NULL);
  if (s->data == NULL || s->bounds == NULL)
    g_error ("no memory for a search");
  pcre2_set_match_limit (s->bounds, s->limit);
  pcre2_set_heap_limit (s->bounds, HEAP_KIB);
  return s;
}

static void
close_search (gpointer search)
{
  Search *s = search;

  pcre2_match_data_free (s->data);
  pcre2_match_context_free (s->bounds);
  g_free (s);
}

static EkStatus
failed (const Search *s, int err, GError **error)
{
  char why[200] = "";

  if (err == PCRE2_ERROR_MATCHLIMIT || err == PCRE2_ERROR_DEPTHLIMIT || err == PCRE2_ERROR_HEAPLIMIT)
    return ek_fail (error, EK_DEFER, ELOOP, "the pattern takes more than %u steps (match_limit) or %u MB with this key: its "
                    "repetitions can match the same text in too many ways, as those of (a+)+ can; write it so that there is one way",
                    s->limit, HEAP_KIB / 1024);
  pcre2_get_error_message (err, (PCRE2_UCHAR *) why, sizeof why);
  return ek_fail (error, EK_DEFER, EINVAL, "%s", why);
}

static EkStatus
match (gpointer search, gconstpointer code, EkStr key, EkSpan *spans, guint n, GError **error)
{
  const Search *s = search;
  int rc = pcre2_match (code, (PCRE2_SPTR) key.p, key.n, 0, 0, s->data, s->bounds);

  if (rc == PCRE2_ERROR_NOMATCH || (rc <= PCRE2_ERROR_UTF8_ERR1 && rc >= PCRE2_ERROR_UTF8_ERR21))     /* (*UTF), and the key is not */
    return EK_NOTFOUND;
  if (rc < 0)
    return failed (s, rc, error);
  const PCRE2_SIZE *at = pcre2_get_ovector_pointer (s->data);
  guint set = rc == 0 ? n : MIN ((guint) rc, n);   /* 0: there are more groups than were asked for */
  for (guint i = 1; i < n; i++) {
    bool took_part = i < set && at[2 * i] != PCRE2_UNSET && at[2 * i] <= at[2 * i + 1];     /* \K can turn them round */
    spans[i] = took_part ? (EkSpan) { at[2 * i], at[2 * i + 1] } : (EkSpan) { G_MAXSIZE, G_MAXSIZE };
  }
  return EK_OK;
}

static const EkPatternEngine engine = {
  .flags = "imsxAEUX", .flags_on = 1 << 0 | 1 << 2,      /* i and s */
  .compile = compile, .free = free_code, .open = open_search, .close = close_search, .match = match,
};

static gboolean
init (EkInstance *base, GError **error)
{
  EkPatternInstance *self = (EkPatternInstance *) base;

  self->engine = &engine;
  return ek_pattern_init (self, error);
}

EK_MODULE (pcre, .summary = "Perl's regular expressions and their values, in a text file", .flags = EK_WHOLE_KEYS, .options = options,
           .instance_size = sizeof (Pcre), .init = init, .start = ek_pattern_start, .stop = ek_pattern_stop, .map = &ek_pattern_map);
