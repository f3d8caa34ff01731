/* params.h - texts with named parameters in them, filled in from a question: "alias::address", "/users/:user"
 * SPDX-License-Identifier: Apache-2.0
 *
 * A parameter is `:name`: key, user, address (all of them the whole key), local, domain (what is before and behind its last @), or whatever
 * a question has beside its key (service, client, ...).  A colon right behind a letter, a digit, "_" or a closing bracket is a colon and
 * no more, so that keys keep theirs: "mail:user::user" is "mail:user:" and the user, "{:domain}:users" has one parameter.  A value is never looked at for parameters again.
 */
#pragma once
#include <ekiden/ekiden.h>

/* The value of a parameter: the question's own of that name, else what its key gives; empty, with a NULL p, when nothing does.  Borrowed
 * from the query. */
EkStr ek_query_value (const EkQuery *query, const char *name);
/* OK, or DEFER and *error: the question has no such parameter.  Left empty it would find nobody, and turn away mail for good.  `option` is
 * the setting that names it. */
EkStatus ek_query_needs (const EkQuery *query, const char *option, const char *name, GError **error);
/* The same when a setting is read, for questions that only have a name: logins, changes.  `more` (or NULL) is one more that they have.
 * False and *error. */
bool  ek_param_is_known (const char *option, const char *name, const char *more, GError **error);

/* What the question of a login has beside its name, as `more`, and what these are: NULL, where a user is only looked for, makes both
 * empty.  The number of params. */
#define EK_LOGIN_HAS    "service and :client"
#define EK_LOGIN_PARAMS 2
guint ek_login_params (const EkLogin *login, EkParam params[EK_LOGIN_PARAMS]);

typedef struct {
  EkStr       literal;
  const char *param;                 /* behind the literal; NULL: none */
} EkTextPart;

typedef struct {
  EkTextPart *parts;
  guint       n_parts, n_params;
} EkParamText;

/* ek_query_needs() for each parameter in it. */
EkStatus ek_param_text_needs (const EkParamText *text, const EkQuery *query, const char *option, GError **error);
/* In the pool. */
EkParamText *ek_param_text_new (EkPool *pool, const char *text);
/* Appends the text with its values, each through `escape`; NULL: as they are. */
void ek_param_text_append (const EkParamText *text, const EkQuery *query, void (*escape) (EkBuf *out, EkStr value), EkBuf *out);
/* True when no value in it has a NUL or, with `utf8`, is not UTF-8: else no server can hold such a key, and the answer is NOTFOUND. */
bool ek_param_text_fits (const EkParamText *text, const EkQuery *query, bool utf8);
