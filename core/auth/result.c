/* result.c - what an answer of a chain's member leads to
 * SPDX-License-Identifier: Apache-2.0 */
#include "auth/result.h"

static const char *const actions[] = { "", "return", "return-ok", "return-fail", "continue", "continue-ok", "continue-fail" };

typedef struct { EkStr name, answer, action; } Words;

static EkStr
word (EkStr *rest)
{
  gsize n = 0;

  *rest = ek_str_trim (*rest);
  while (n < rest->n && !g_ascii_isspace (rest->p[n]))
    n++;
  EkStr found = { rest->p, n };
  *rest = (EkStr) { rest->p + n, rest->n - n };
  return found;
}

static Words
split (const char *text, bool *more)
{
  EkStr rest = ek_str (text);
  EkStr name = word (&rest), answer = word (&rest), action = word (&rest);

  *more = ek_str_trim (rest).n > 0;
  return (Words) { name, answer, action };
}

static EkChainAction
action_of (EkStr text)
{
  for (guint i = 1; i < G_N_ELEMENTS (actions); i++)
    if (ek_str_eq (text, ek_str (actions[i])))
      return (EkChainAction) i;
  return EK_ACTION_DEFAULT;
}

static bool
is_of (EkStr text, EkChainAnswer answer)
{
  static const char *const answers[] = { "success", "wrong", "unknown", "internalfail" };

  return ek_str_eq (text, ek_str (answers[answer]))
         || ((answer == EK_ANSWER_WRONG || answer == EK_ANSWER_UNKNOWN) && ek_str_eq (text, EK_STR ("failure")));
}

static bool
is_skip (EkStr text, bool let_in)
{
  return ek_str_eq (text, let_in ? EK_STR ("authenticated") : EK_STR ("unauthenticated"));
}

const char *
ek_auth_result_check (const char *text, EkStr *name)
{
  bool more, known = false;
  Words w = split (text, &more);
  EkChainAction action = action_of (w.action);

  *name = w.name;
  if (w.action.n == 0 || more)
    return "expected three words: NAME ANSWER ACTION, as in \"people success continue\"";
  if (ek_str_eq (w.answer, EK_STR ("skip")))
    return is_skip (w.action, true) || is_skip (w.action, false) ? NULL : "skip: expected authenticated or unauthenticated";
  for (EkChainAnswer a = EK_ANSWER_SUCCESS; a <= EK_ANSWER_OUTAGE; a++)
    known |= is_of (w.answer, a);
  if (!known)
    return "the second word is one of success, failure, wrong, unknown, internalfail, skip";
  if (action == EK_ACTION_DEFAULT)
    return "the third word is one of return, return-ok, return-fail, continue, continue-ok, continue-fail";
  if (!is_of (w.answer, EK_ANSWER_SUCCESS) && ek_auth_state (action, false))
    return "it would let in whoever comes: only success may be followed by return-ok or continue-ok";
  return NULL;
}

bool
ek_auth_result_hides (const char *earlier, const char *later)
{
  bool more, any = false;
  Words a = split (earlier, &more), b = split (later, &more);
  bool skips = ek_str_eq (a.answer, EK_STR ("skip")), other = ek_str_eq (b.answer, EK_STR ("skip"));

  if (!ek_str_eq (a.name, b.name) || skips != other)
    return false;
  if (skips)
    return ek_str_eq (a.action, b.action);
  for (EkChainAnswer answer = EK_ANSWER_SUCCESS; answer <= EK_ANSWER_OUTAGE; answer++) {
    if (is_of (b.answer, answer) && !is_of (a.answer, answer))
      return false;
    any |= is_of (b.answer, answer);
  }
  return any;
}

EkChainAction
ek_auth_action (char *const *results, const char *name, EkChainAnswer answer)
{
  for (guint i = 0; results && results[i]; i++) {
    bool more;
    Words w = split (results[i], &more);
    if (ek_str_eq (w.name, ek_str (name)) && is_of (w.answer, answer))
      return action_of (w.action);
  }
  return EK_ACTION_DEFAULT;
}

bool
ek_auth_skips (char *const *results, const char *name, bool let_in)
{
  for (guint i = 0; results && results[i]; i++) {
    bool more;
    Words w = split (results[i], &more);
    if (ek_str_eq (w.name, ek_str (name)) && ek_str_eq (w.answer, EK_STR ("skip")) && is_skip (w.action, let_in))
      return true;
  }
  return false;
}

bool
ek_auth_state (EkChainAction action, bool let_in)
{
  switch (action) {
  case EK_ACTION_RETURN_OK:
  case EK_ACTION_CONTINUE_OK:
    return true;
  case EK_ACTION_RETURN_FAIL:
  case EK_ACTION_CONTINUE_FAIL:
    return false;
  default:
    return let_in;
  }
}
