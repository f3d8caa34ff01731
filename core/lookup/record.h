/* record.h - rows of a database as what the directory wants of them: accounts and users
 * SPDX-License-Identifier: Apache-2.0
 *
 * For modules that ask a server (SQL, LDAP, HTTP): whatever gives named columns gives accounts and users in the same way.
 * The columns' names are Dovecot's: password, user, nologin, allow_nets, userdb_...; home, mail, uid, gid, quota_rule, and all others
 * are fields.  A NULL (a cell whose p is NULL) is a column that is not there.
 */
#pragma once
#include <ekiden/ekiden.h>

/* What a row need not say. */
typedef struct {
  const char *scheme;                /* of passwords that have no {SCHEME} in front */
  const char *home, *mail;           /* templates (template.h); NULL: none */
  gint64      uid, gid;              /* -1: none */
} EkRecordDefaults;

/* Fills them from a block's rows, which are kept, not copied.  False and *error, with the row's name: a template is wrong, or the system
 * does not know an id. */
bool     ek_record_defaults (EkRecordDefaults *defaults, const char *scheme, const char *home, const char *mail, const char *uid, const char *gid,
                             GError **error);

/* The first row is the account.  OK; NOTFOUND: there is no row; DEFER and *error: more than one, or no column `password`.
 * A password that is NULL lets nobody in. */
EkStatus ek_record_account (EkPool *pool, const EkAnswer *answer, const EkRecordDefaults *defaults, EkAccount *account, GError **error);
/* The first row is the user `name`.  OK; NOTFOUND; DEFER and *error: more than one row, a uid or gid of nobody, a home that would
 * leave its folder. */
EkStatus ek_record_user (EkPool *pool, const EkAnswer *answer, const EkRecordDefaults *defaults, const char *name, EkUser *user,
                         GError **error);

/* A stored password as the row has it when it got its {SCHEME} from the defaults; a NULL p: it did not. */
EkStr    ek_record_without_scheme (const EkRecordDefaults *defaults, EkStr stored);

/* A number or a name of the system; empty gives -1.  False: not known. */
bool     ek_record_id (EkStr text, bool group, gint64 *id);
/* "storage=1G", "*:bytes=1000000", "1G" (KB when there is no letter): bytes; 0: none, or no size. */
guint64  ek_record_quota (EkStr rule);
