/* user.h - what the commands of `ekiden user` share
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "cli/fields.h"
#include "cli/target.h"

typedef struct {                     /* a user, and his domain's block */
  EkGeneration      *gen;
  EkPool            *pool;
  const EkConfBlock *domain;
  const char        *name;           /* the key */
  EkInstance        *passdb;         /* where his password is changed, for commands that do */
} EkCliUser;

/* False: *error, or without one what is wrong has been written to standard error.  ek_cli_user_clear() in any case. */
bool ek_cli_user_open (EkCliUser *user, const char *file, const char *given, GError **error);
void ek_cli_user_clear (EkCliUser *user);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (EkCliUser, ek_cli_user_clear)

/* Sets "FIELD=VALUE" words, up to the NULL, in the first of his userdbs that can; false and *error. */
bool ek_cli_user_change (const EkCliUser *user, char **words, GError **error);

int ek_cli_user_show (int argc, char **argv);
int ek_cli_user_set (int argc, char **argv);
