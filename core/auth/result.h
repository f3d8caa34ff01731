/* result.h - what an answer of a chain's member leads to, in the words of Dovecot's result_success, result_failure, result_internalfail, skip
 * SPDX-License-Identifier: Apache-2.0
 *
 *   "people success continue"         NAME ANSWER ACTION: of the block that is called so
 *
 * ANSWER is success, failure (both of the next two), wrong, unknown or internalfail.  The chain has a state, at first "not let in":
 *   continue                          the next is asked; the state stays
 *   continue-ok, continue-fail        the next is asked; the state is "let in", or not
 *   return                            nobody else is asked, and the state decides
 *   return-ok, return-fail            nobody else is asked: let in, or not
 * Whoever has proved his password to one is not asked for it by the next ones, which then only have to know him (one that cannot be
 * read but has to be shown the password, as PAM, checks it still).  "NAME skip authenticated": it is not asked where the state is "let
 * in"; "skip unauthenticated": nor where it is not.
 *
 * A wrong password or an outage never makes the state "let in": such a word is refused.  Any thread; nothing is kept.
 */
#pragma once
#include <ekiden/ekiden.h>

typedef enum { EK_ANSWER_SUCCESS, EK_ANSWER_WRONG, EK_ANSWER_UNKNOWN, EK_ANSWER_OUTAGE } EkChainAnswer;

typedef enum {
  EK_ACTION_DEFAULT,                 /* nothing is said of it */
  EK_ACTION_RETURN, EK_ACTION_RETURN_OK, EK_ACTION_RETURN_FAIL,
  EK_ACTION_CONTINUE, EK_ACTION_CONTINUE_OK, EK_ACTION_CONTINUE_FAIL,
} EkChainAction;

/* What is wrong with one of the texts, NULL: nothing; *name is the block that it names, borrowed. */
const char  *ek_auth_result_check (const char *text, EkStr *name);
/* Does the earlier text say all that the later would? */
bool         ek_auth_result_hides (const char *earlier, const char *later);
/* The first text that fits; `results` is NULL-terminated, NULL is fine. */
EkChainAction ek_auth_action (char *const *results, const char *name, EkChainAnswer answer);
bool         ek_auth_skips (char *const *results, const char *name, bool let_in);
/* The state behind an action. */
bool         ek_auth_state (EkChainAction action, bool let_in);
static inline bool
ek_auth_continues (EkChainAction action)
{
  return action >= EK_ACTION_CONTINUE;
}
