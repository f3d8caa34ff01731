/* pattern.c - maps of regular expressions in Postfix's format
 * SPDX-License-Identifier: Apache-2.0 */
#include "lookup/pattern.h"
#include "lookup/rules.h"
#include <errno.h>
#include <string.h>

#define LINES_TOLD 5
#define CLOCK_EACH 64                /* patterns between two looks at the clock */

typedef struct {                     /* of a result */
  EkStr text;                        /* a NULL p: what the group matched */
  guint group;
} Piece;

typedef struct {
  EkRule                 rule;
  const EkPatternEngine *engine;
  gpointer               code;
  guint                  groups, used;       /* in the pattern; the highest one in the result */
  Piece                 *pieces;
  guint                  n_pieces;
} Rule;

struct EkPatternTable {
  const EkPatternInstance *self;
  GArray                  *rules;
  guint                    n_spans;          /* the most that a rule wants */
};

typedef struct {                     /* while a table is read */
  const EkPatternInstance *self;
  guint                    n_spans;
  guint                    n_case;           /* patterns that a flag i made distinguish case */
  guint                    case_lines[LINES_TOLD];
} Reading;

#define WRONG(p_, ...) ek_table_wrong (&(p_)->errors, (p_)->text, (p_)->line, __VA_ARGS__)

/* ---- patterns ---- */

/* What stands between two delimiters; a backslash and what it stands before stay together.  False: there is no second one. */
static bool
take_delimited (EkStr *rest, EkStr *inside)
{
  char delimiter = rest->p[0];
  gsize n = 1;

  while (n < rest->n && rest->p[n] != delimiter)
    n += rest->p[n] == '\\' ? 2 : 1;
  if (n >= rest->n)
    return false;
  *inside = (EkStr) { rest->p + 1, n - 1 };
  *rest = (EkStr) { rest->p + n + 1, rest->n - n - 1 };
  return true;
}

/* The flags right behind the pattern; the rest is trimmed. */
static bool
take_flags (EkRuleParser *p, const EkPatternEngine *engine, EkStr *rest, guint32 *flags)
{
  EkStr word = ek_table_word (rest);

  *flags = engine->flags_on;
  for (gsize i = 0; i < word.n; i++) {
    const char *known = strchr (engine->flags, word.p[i]);
    if (known == NULL) {
      if (word.p[i] == '!')
        WRONG (p, "a second pattern behind ! is no longer taken: write `if !/second/`, the rule, `endif`");
      else
        WRONG (p, "\"%.*s\" behind the pattern are no flags: there are %s, and a blank before the result", (int) MIN (word.n, 60),
               word.p, engine->flags);
      return false;
    }
    *flags ^= 1u << (known - engine->flags);
  }
  return true;
}

static void
note_case (Reading *r, guint line)
{
  if (r->n_case < LINES_TOLD)
    r->case_lines[r->n_case] = line;
  r->n_case++;
}

static bool
compile (EkRuleParser *p, Rule *rule, EkStr pattern, guint32 flags)
{
  Reading *r = p->user;
  g_autofree char *text = g_strndup (pattern.p, pattern.n);
  g_autoptr (GError) why = NULL;

  rule->engine = r->self->engine;
  rule->code = rule->engine->compile (r->self, (EkStr) { text, pattern.n }, flags, &rule->groups, &why);
  if (rule->code == NULL)
    WRONG (p, "the pattern \"%.*s\" is wrong: %s", (int) MIN (pattern.n, 80), text, why ? why->message : "no reason is given");
  return rule->code != NULL;
}

static bool
parse_pattern (EkRuleParser *p, EkRule *base, EkStr *rest)
{
  Reading *r = p->user;
  const EkPatternEngine *engine = r->self->engine;
  guchar delimiter = rest->n > 0 ? (guchar) rest->p[0] : 0;
  EkStr pattern;
  guint32 flags;

  if (delimiter == 0 || delimiter >= 0x80 || g_ascii_isalnum (delimiter) || delimiter == '\\') {
    WRONG (p, "expected /pattern/flags: \"%.*s\" does not begin with a / or a sign that stands for it", (int) MIN (rest->n, 60), rest->p);
    return false;
  }
  if (!take_delimited (rest, &pattern)) {
    WRONG (p, "the pattern is not closed: its %c does not come a second time (a \\%c within it does not count)", delimiter, delimiter);
    return false;
  }
  if (!take_flags (p, engine, rest, &flags) || !compile (p, (Rule *) base, pattern, flags))
    return false;
  r->n_spans = MAX (r->n_spans, 1);
  if ((engine->flags_on & 1) && !(flags & 1))
    note_case (r, p->line);
  return true;
}

/* ---- results ---- */

/* Takes `$1`, `${1}` or `$(1)`; NULL, or what is wrong with it (g_free). */
static char *
take_group (const Rule *rule, EkStr *text, guint *group)
{
  char close = text->n > 1 && text->p[1] == '{' ? '}' : text->n > 1 && text->p[1] == '(' ? ')' : 0;
  gsize start = close ? 2 : 1, n = 0;
  guint64 number;

  while (start + n < text->n && (close ? text->p[start + n] != close : g_ascii_isalnum (text->p[start + n]) || text->p[start + n] == '_'))
    n++;
  EkStr name = { text->p + start, n }, whole = { text->p, start + n };
  if (close && start + n == text->n)
    return g_strdup_printf ("\"%.*s\" is not closed", (int) MIN (whole.n, 40), whole.p);
  if (n == 0)
    return g_strdup ("a $ stands alone: write $$ for a dollar sign");
  if (!ek_str_u64 (name, 65535, &number) || number == 0)
    return g_strdup_printf ("$%.*s is no group: they are numbers from 1 on, and what follows one is kept apart as in ${1}st",
                            (int) MIN (n, 40), name.p);
  if (rule->rule.negated)
    return g_strdup_printf ("$%.*s: a pattern behind ! counts when it does not match, so that no group of it has a text",
                            (int) n, name.p);
  if (number > rule->groups)
    return g_strdup_printf ("$%.*s: the pattern has only %u group%s", (int) n, name.p, rule->groups, rule->groups == 1 ? "" : "s");
  *group = (guint) number;
  gsize taken = whole.n + (close ? 1 : 0);
  *text = (EkStr) { text->p + taken, text->n - taken };
  return NULL;
}

static void
add_text (GArray *pieces, const char *text, gsize n)
{
  Piece piece = { .text = { text, n } };

  if (n > 0)
    g_array_append_val (pieces, piece);
}

static void
parse_result (EkRuleParser *p, EkRule *base)
{
  Reading *r = p->user;
  Rule *rule = (Rule *) base;
  GArray *pieces = g_array_new (FALSE, FALSE, sizeof (Piece));
  EkStr text = base->value;
  char *why = NULL;

  while (text.n > 0 && why == NULL) {
    const char *dollar = memchr (text.p, '$', text.n);
    gsize n = dollar ? (gsize) (dollar - text.p) : text.n;
    Piece piece = { .group = 0 };
    bool twice = n + 1 < text.n && text.p[n + 1] == '$';
    add_text (pieces, text.p, n + (twice ? 1 : 0));
    text = (EkStr) { text.p + n + (twice ? 2 : 0), text.n - n - (twice ? 2 : 0) };
    if (dollar == NULL || twice || (why = take_group (rule, &text, &piece.group)))
      continue;
    rule->used = MAX (rule->used, piece.group);
    g_array_append_val (pieces, piece);
  }
  rule->n_pieces = pieces->len;
  rule->pieces = (Piece *) (gpointer) g_array_free (pieces, FALSE);
  r->n_spans = MAX (r->n_spans, rule->used + 1);
  if (why)
    WRONG (p, "%s", why);
  g_free (why);
}

static void
clear_rule (gpointer data)
{
  Rule *rule = data;

  if (rule->code)
    rule->engine->free (rule->code);
  g_free (rule->pieces);
}

/* ---- tables ---- */

/* The trap: who adds an i as he would elsewhere gets the contrary. */
static void
warn_case (const Reading *r, const char *path)
{
  g_autoptr (GString) more = g_string_new (NULL);

  if (r->n_case == 0 || !r->self->case_warning)
    return;
  for (guint i = 1; i < MIN (r->n_case, LINES_TOLD); i++)
    g_string_append_printf (more, "%s%u", i == 1 ? "; the same in line " : ", ", r->case_lines[i]);
  if (r->n_case > LINES_TOLD)
    g_string_append_printf (more, " and %u more", r->n_case - LINES_TOLD);
  ek_log (EK_WARN, "", "%s \"%s\": %s:%u: the flag i makes this pattern distinguish A and a: in these tables, as in Postfix, case does "
          "not matter by default, and i toggles that.  Take the i out if case shall not matter; if it shall, case_warning = no "
          "quiets this%s", r->self->base.module->name, r->self->base.name, path, r->case_lines[0], more->str);
}

static gpointer
table_parse (const EkTableText *text, gpointer user, GError **error)
{
  static const EkRuleKind kind = { .size = sizeof (Rule), .pattern = parse_pattern, .value = parse_result, .clear = clear_rule };
  Reading r = { .self = user };
  GArray *rules = ek_rules_parse (text, &kind, &r, error);

  if (rules == NULL)
    return NULL;
  warn_case (&r, text->path);
  EkPatternTable *table = g_new0 (EkPatternTable, 1);
  *table = (EkPatternTable) { .self = r.self, .rules = rules, .n_spans = MAX (r.n_spans, 1) };
  return table;
}

static void
table_free (gpointer data)
{
  g_array_unref (((EkPatternTable *) data)->rules);
  g_free (data);
}

const EkTableKind ek_pattern_kind = { .parse = table_parse, .free = table_free };

guint
ek_pattern_table_n (const EkPatternTable *table)
{
  return table->rules->len;
}

/* ---- asking ---- */

typedef struct {
  const EkPatternTable *table;
  EkCall               *call;
  gpointer              search;      /* the engine's */
  EkStr                 key;
  EkSpan               *spans;
  guint                 tried;
} Search;

static EkStatus
matches (const EkRule *base, gpointer data)
{
  const Rule *rule = (const Rule *) base;
  Search *s = data;
  g_autoptr (GError) why = NULL;

  if (++s->tried % CLOCK_EACH == 0
      && (s->call->cancelled || (s->call->deadline && g_get_monotonic_time () > s->call->deadline)))
    return ek_fail (&s->call->error, EK_DEFER, ETIMEDOUT, "no answer in time, after %u patterns", s->tried);
  EkStatus status = rule->engine->match (s->search, rule->code, s->key, s->spans, rule->used + 1, &why);
  if (status == EK_OK || status == EK_NOTFOUND)
    return (status == EK_OK) != base->negated ? EK_OK : EK_NOTFOUND;
  return ek_fail (&s->call->error, EK_DEFER, why ? why->code : 0, "%s:%u: %s", s->table->self->path, base->line,
                  why ? why->message : "the search failed");
}

static EkStr
piece_text (const Search *s, const Piece *piece)
{
  const EkSpan *span = &s->spans[piece->group];

  if (piece->group == 0)
    return piece->text;
  if (span->start == G_MAXSIZE)
    return EK_STR ("");
  return (EkStr) { s->key.p + span->start, span->end - span->start };
}

static EkStatus
make_result (const Search *s, const Rule *rule, EkStr *value)
{
  gsize n = 0;

  for (guint i = 0; i < rule->n_pieces; i++)
    n += piece_text (s, &rule->pieces[i]).n;
  if (n > EK_MAP_ANSWER_MAX)
    return ek_fail (&s->call->error, EK_DEFER, E2BIG, "%s:%u: the result would have %" G_GSIZE_FORMAT " bytes, and %d are the most",
                    s->table->self->path, rule->rule.line, n, EK_MAP_ANSWER_MAX);
  char *made = ek_pool_alloc (s->call->pool, n + 1);
  *value = (EkStr) { made, n };
  for (guint i = 0; i < rule->n_pieces; i++) {
    EkStr text = piece_text (s, &rule->pieces[i]);
    memcpy (made, text.p, text.n);
    made += text.n;
  }
  return EK_OK;
}

EkStatus
ek_pattern_table_find (const EkPatternTable *table, EkCall *call, EkStr key, EkStr *value)
{
  const EkPatternEngine *engine = table->self->engine;
  Search s = { .table = table, .call = call, .key = { key.p ? key.p : "", key.n } };
  const EkRule *found;

  s.spans = ek_pool_newv (call->pool, EkSpan, table->n_spans);
  s.search = engine->open (table->self, table->n_spans);
  EkStatus status = ek_rules_find (table->rules, matches, &s, &found);
  if (status == EK_OK)
    status = make_result (&s, (const Rule *) found, value);
  engine->close (s.search);
  return status;
}
