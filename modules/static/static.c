/* static.c - the same answer for every key and every user
 * SPDX-License-Identifier: Apache-2.0 */
#include <ekiden/ekiden.h>
#include "lookup/template.h"
#include <errno.h>
#include <string.h>

typedef struct {
  EkInstance  base;
  const char *value, *home, *mail;
  gint64      uid, gid;
  EkSize      quota;
  bool        all_users;
} Static;

static const EkOption options[] = {
  EK_OPTION (Static, value, "", "As a map: the value of every key."),
  EK_OPTION (Static, home, "", "As a userdb: the home folder; %u is the user, %n what is before the @, %d what is "
             "behind it: /var/mail/%d/%n."),
  EK_OPTION (Static, mail, "", "As a userdb: the mailbox location, when it is not the domain's."),
  EK_OPTION (Static, uid, "-1", "As a userdb: the system user, -1 for the one that mailboxes belong to.",
             .allow = "-1..4294967294"),
  EK_OPTION (Static, gid, "-1", "As a userdb: the system group, -1 for the one that mailboxes belong to.",
             .allow = "-1..4294967294"),
  EK_OPTION (Static, quota, "0", "As a userdb: the quota of each user; 0 is none."),
  EK_OPTION (Static, all_users, "no", "As a userdb: whether every name is a user.  If not, those are whom a passdb of "
             "the domain knows."),
  EK_OPTIONS_END
};

static gboolean
static_init (EkInstance *base, GError **error)
{
  Static *self = (Static *) base;

  return ek_template_check ("home", self->home, error) && ek_template_check ("mail", self->mail, error);
}

static EkStatus
map_lookup (EkInstance *base, EkCall *call, const EkQuery *query, EkAnswer *answer)
{
  ek_answer_value (answer, call->pool, ek_str (((Static *) base)->value));
  return EK_OK;
}

static EkStatus
user_lookup (EkInstance *base, EkCall *call, const char *name, EkUser *user)
{
  Static *self = (Static *) base;

  *user = (EkUser) {
    .name = ek_pool_strdup (call->pool, name), .uid = self->uid, .gid = self->gid,
    .quota_bytes = self->quota.bytes, .assumed = !self->all_users,
  };
  if (self->home && !(user->home = ek_template_expand (call->pool, self->home, name, true, &call->error)))
    return EK_DEFER;
  if (self->mail && !(user->mail = ek_template_expand (call->pool, self->mail, name, true, &call->error)))
    return EK_DEFER;
  return EK_OK;
}

static const EkMapOps map = { .lookup = map_lookup };
static const EkUserdbOps userdb = { .lookup = user_lookup };

EK_MODULE (static, .summary = "The same answer for every key and user", .flags = EK_AT_HAND, .options = options,
           .instance_size = sizeof (Static), .init = static_init, .map = &map, .userdb = &userdb);
