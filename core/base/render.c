/* render.c - records as lines: the templates of events.def, compiled once
 * SPDX-License-Identifier: Apache-2.0
 *
 * A template becomes a row of tokens.  (?...?) is a SKIP token that names the token behind the part
 * it may leave out, followed by what stands in the part; the keys in it decide.
 */
#include "config.h"
#include "base/event.h"
#include "base/base.h"
#include <pthread.h>
#include <string.h>

typedef enum { T_END, T_TEXT, T_KEY, T_SKIP, T_CLOSE } TokenKind;

typedef struct {
  TokenKind   kind;
  EkStr       text;                  /* T_TEXT */
  const EkKeyInfo *key;              /* T_KEY */
  bool        angle;                 /* T_KEY: directly behind a '<' */
  guint       next;                  /* T_SKIP: where it goes on when left out */
} Token;

typedef struct { guint line, story; } Start;     /* 0: none */

static Token *tokens;
static Start *starts;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* ---- compiling ------------------------------------------------------------------------------ */

static const char *
compile_key (GArray *row, const char *open, const char *begin)
{
  const char *close = strchr (open, '}');

  g_assert (close != NULL);
  const EkKeyInfo *key = ek_key_find ((EkStr) { open + 1, (gsize) (close - open) - 1 });
  if (key == NULL)
    g_error ("events.def: the key of \"%s\" is not registered", open);
  g_array_append_vals (row, &(Token) { .kind = T_KEY, .key = key, .angle = open > begin && open[-1] == '<' }, 1);
  return close + 1;
}

static guint
compile (GArray *row, const char *template)
{
  guint start = row->len, skip = 0;
  const char *p = template;

  while (*p) {
    if (*p == '{')
      p = compile_key (row, p, template);
    else if (p[0] == '(' && p[1] == '?') {
      skip = row->len;
      g_array_append_vals (row, &(Token) { .kind = T_SKIP }, 1);
      p += 2;
    }
    else if (p[0] == '?' && p[1] == ')') {
      g_array_append_vals (row, &(Token) { .kind = T_CLOSE }, 1);
      g_array_index (row, Token, skip).next = row->len;
      p += 2;
    }
    else {
      const char *end = p + 1;
      while (*end && *end != '{' && !(end[0] == '(' && end[1] == '?') && !(end[0] == '?' && end[1] == ')'))
        end++;
      g_array_append_vals (row, &(Token) { .kind = T_TEXT, .text = { p, (gsize) (end - p) } }, 1);
      p = end;
    }
  }
  g_array_append_vals (row, &(Token) { .kind = T_END }, 1);
  return start;
}

static void
compile_all (void)
{
  guint n;
  const EkWordInfo *words = ek_words (&n);
  GArray *row = g_array_new (FALSE, TRUE, sizeof (Token));
  Token nothing = { .kind = T_END };

  g_array_append_val (row, nothing);             /* so that no template starts at 0 */
  starts = g_new0 (Start, n);
  for (guint i = 0; i < n; i++) {
    if (words[i].line)
      starts[i].line = compile (row, words[i].line);
    if (words[i].story)
      starts[i].story = compile (row, words[i].story);
  }
  tokens = (Token *) (gpointer) g_array_free (row, FALSE);
}

/* ---- values ---------------------------------------------------------------------------------- */

enum { IN_ATOM = 1, IN_WORD = 2, IN_ANGLE = 4, IN_TEXT = 8 };      /* what a character may stand in */

static guint8 allowed[256];

static void
fill_allowed (void)
{
  for (guint c = ' '; c < 256; c++)
    if (c != 0x7f)
      allowed[c] = IN_TEXT | IN_ANGLE | IN_WORD | IN_ATOM;
  for (const char *p = "<>"; *p; p++)
    allowed[(guchar) *p] = IN_TEXT;
  for (const char *p = " ,"; *p; p++)
    allowed[(guchar) *p] = IN_TEXT | IN_ANGLE;
  for (const char *p = "[]()"; *p; p++)
    allowed[(guchar) *p] = IN_TEXT | IN_ANGLE | IN_WORD;
}

static void
prepare (void)
{
  fill_allowed ();
  compile_all ();
}

/* Appends s with what may not stand there as `?`.  Bytes above 127 stay when they are UTF-8 and no
 * C1 controls (U+0080 to U+009F, which terminals obey). */
static void
put_clean (EkBuf *out, EkStr s, guint8 place)
{
  const char *p = s.p, *end = s.p + s.n;

  while (p < end) {
    const char *run = p;
    while (p < end && (allowed[(guchar) *p] & place) && (guchar) *p < 0x80)
      p++;
    ek_buf_append (out, run, (gsize) (p - run));
    if (p == end)
      return;
    gunichar c = (guchar) *p < 0x80 ? 0 : g_utf8_get_char_validated (p, end - p);
    gsize n = c > 0x9f && c < 0x110000 && c != 0x2028 && c != 0x2029 ? (gsize) g_utf8_skip[(guchar) *p] : 0;
    if (n > 0)
      ek_buf_append (out, p, n);
    else
      ek_buf_appendc (out, '?');
    p += MAX (n, 1);
  }
}

static void
put_int (EkBuf *out, gint64 v)
{
  char digits[24], *p = digits + sizeof digits;
  guint64 u = v < 0 ? 0 - (guint64) v : (guint64) v;

  do
    *--p = (char) ('0' + u % 10);
  while ((u /= 10) > 0);
  if (v < 0)
    *--p = '-';
  ek_buf_append (out, p, (gsize) (digits + sizeof digits - p));
}

/* Seconds as Postfix writes delays: two digits that count, never more than two behind the point. */
static void
put_seconds (EkBuf *out, gint64 us)
{
  gint64 hundredths = us <= 0 ? 0 : us / 10000 + (us % 10000 >= 5000);
  gint64 rest;

  if (hundredths >= 1000) {
    put_int (out, (hundredths + 50) / 100);
    return;
  }
  if (hundredths >= 100)
    hundredths = (hundredths + 5) / 10 * 10;
  put_int (out, hundredths / 100);
  if ((rest = hundredths % 100) == 0)
    return;
  ek_buf_appendc (out, '.');
  ek_buf_appendc (out, (char) ('0' + rest / 10));
  if (rest % 10)
    ek_buf_appendc (out, (char) ('0' + rest % 10));
}

static EkStr
without_angles (EkStr s)
{
  if (s.n >= 2 && s.p[0] == '<' && s.p[s.n - 1] == '>')
    return (EkStr) { s.p + 1, s.n - 2 };
  return s;
}

static guint8
place_of (EkKeyType type, bool angle)
{
  switch (type) {
  case EK_KEY_ATOM: case EK_KEY_QID: return IN_ATOM;
  case EK_KEY_WORD:                  return angle ? IN_WORD | IN_ANGLE : IN_WORD;
  case EK_KEY_TEXT:                  return angle ? IN_ANGLE : IN_TEXT;
  default:                           return IN_ANGLE;
  }
}

static void
put_value (EkBuf *out, const Token *token, const EkRecordField *f)
{
  EkKeyType type = token->key->type;

  if (f->type == EK_F_INT)
    put_int (out, f->num);
  else if (f->type == EK_F_TIME)
    put_seconds (out, f->num);
  else
    put_clean (out, type == EK_KEY_MSGID || type == EK_KEY_ADDR || type == EK_KEY_PATH ? without_angles (f->str) : f->str,
               place_of (type, token->angle));
  if (f->cut)
    ek_buf_appends (out, "...");
}

/* ---- expanding ------------------------------------------------------------------------------- */

/* NULL for an empty one too, but a reverse-path may be empty. */
static const EkRecordField *
field_of (const EkRecord *record, const EkKeyInfo *key)
{
  for (guint i = 0; i < record->n_fields; i++) {
    const EkRecordField *f = &record->fields[i];
    if (f->key.p[0] == key->name[0] && strncmp (f->key.p, key->name, f->key.n) == 0 && key->name[f->key.n] == '\0')
      return f->type == EK_F_STR && f->str.n == 0 && key->type != EK_KEY_PATH ? NULL : f;
  }
  return NULL;
}

static bool
part_is_complete (const EkRecord *record, const Token *t)
{
  for (; t->kind != T_CLOSE && t->kind != T_END; t++)
    if (t->kind == T_KEY && field_of (record, t->key) == NULL)
      return false;
  return true;
}

static void
put_missing (EkBuf *out, const EkRecord *record, const EkKeyInfo *key)
{
  if (record->id != 0 && strcmp (key->name, "session") == 0)
    ek_buf_printf (out, "%016" G_GINT64_MODIFIER "x", record->id);
  else
    ek_buf_appends (out, key->missing);
}

static void
expand (const EkRecord *record, guint start, EkBuf *out)
{
  for (const Token *t = tokens + start; t->kind != T_END; t++) {
    if (t->kind == T_TEXT)
      ek_buf_append (out, t->text.p, t->text.n);
    else if (t->kind == T_SKIP && !part_is_complete (record, t + 1))
      t = tokens + t->next - 1;
    else if (t->kind == T_KEY) {
      const EkRecordField *f = field_of (record, t->key);
      if (f)
        put_value (out, t, f);
      else
        put_missing (out, record, t->key);
    }
  }
}

/* A word that this build does not know: all it has. */
static void
expand_unknown (const EkRecord *record, EkBuf *out)
{
  ek_buf_append (out, record->word.p, record->word.n);
  for (guint i = 0; i < record->n_fields; i++) {
    const EkRecordField *f = &record->fields[i];
    ek_buf_appends (out, i == 0 ? ": " : ", ");
    ek_buf_append (out, f->key.p, f->key.n);
    ek_buf_appendc (out, '=');
    if (f->type == EK_F_STR)
      put_clean (out, f->str, IN_WORD);
    else if (f->type == EK_F_TIME)
      put_seconds (out, f->num);
    else
      put_int (out, f->num);
  }
}

static void
put_level (const EkRecord *record, EkGrammar grammar, EkBuf *out)
{
  static const char *const postfix[] = { "error: ", "warning: ", "", "debug: " };
  static const char *const dovecot[] = { "Error: ", "Warning: ", "", "Debug: " };

  ek_buf_appends (out, (grammar == EK_GRAMMAR_POSTFIX ? postfix : dovecot)[record->level]);
}

static guint
start_of (const EkWordInfo *info, bool story)
{
  guint n;
  const Start *s;

  pthread_once (&once, prepare);
  if (info == NULL)
    return 0;
  s = &starts[info - ek_words (&n)];
  return story && s->story ? s->story : s->line;
}

bool
ek_record_line (const EkRecord *record, EkBuf *out)
{
  const EkWordInfo *info = ek_word_find (record->word);
  const EkComponentInfo *who = ek_component_find (record->component);
  guint start = start_of (info, false);

  if (info && start == 0)
    return false;
  put_level (record, who ? who->grammar : EK_GRAMMAR_POSTFIX, out);
  if (info)
    expand (record, start, out);
  else
    expand_unknown (record, out);
  return true;
}

void
ek_record_story (const EkRecord *record, EkBuf *out)
{
  guint start = start_of (ek_word_find (record->word), true);

  put_level (record, EK_GRAMMAR_POSTFIX, out);
  if (start)
    expand (record, start, out);
  else
    expand_unknown (record, out);
}

void
ek_event_clean (EkBuf *out, EkStr s)
{
  pthread_once (&once, prepare);
  put_clean (out, s, IN_TEXT);
}

void
ek_record_tag (const EkRecord *record, const EkRecordTag *tag, EkBuf *out)
{
  EkStr component = record->component.n > 0 ? record->component : ek_str (tag->role);
  const EkComponentInfo *who = ek_component_find (component);
  EkGrammar grammar = who ? who->grammar : EK_GRAMMAR_POSTFIX;
  const EkRecordField *user = NULL, *session = NULL;

  pthread_once (&once, prepare);
  if (grammar == EK_GRAMMAR_POSTFIX) {
    ek_buf_appends (out, tag->name);
    ek_buf_appendc (out, '/');
    put_clean (out, component, IN_ATOM);
    ek_buf_appendc (out, '[');
    put_int (out, tag->pid);
    ek_buf_appends (out, "]: ");
    return;
  }
  ek_buf_appends (out, tag->login_name);
  ek_buf_appends (out, ": ");
  put_clean (out, component, IN_ATOM);
  if (grammar == EK_GRAMMAR_DOVECOT_USER && (user = ek_record_find (record, "user")) != NULL) {
    ek_buf_appendc (out, '(');
    put_clean (out, user->str, IN_ATOM);
    ek_buf_appends (out, ")<");
    put_int (out, tag->pid);
    ek_buf_appends (out, "><");
    if ((session = ek_record_find (record, "session")) != NULL)
      put_clean (out, session->str, IN_ATOM);
    else
      put_missing (out, record, ek_key_find (EK_STR ("session")));
    ek_buf_appendc (out, '>');
  }
  ek_buf_appends (out, ": ");
}
