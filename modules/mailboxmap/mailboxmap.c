/* mailboxmap.c - who has a mailbox, and where it lies, as a map says it: Postfix's virtual_mailbox_maps
 * SPDX-License-Identifier: Apache-2.0
 *
 * anna@example.com     example.com/anna/        (a Maildir below `base`)
 * @example.com         example.com/all/         (mail for all others there: one mailbox, whose user is "@example.com"; nobody logs in to it)
 */
#include <ekiden/ekiden.h>
#include "lookup/template.h"
#include "mail/address.h"
#include "module/search.h"
#include <errno.h>
#include <string.h>

#define VALUE_MAX 1024

typedef struct {
  EkInstance  instance;
  EkInstance *map;
  const char *base, *value, *home;
  gint64      uid, gid;
  EkSize      quota;
} MailboxMap;

typedef struct {                     /* a question under way, in the call's pool */
  const MailboxMap *self;
  EkCall           *call;
  const char       *name;
  EkUser           *user;            /* the caller's */
  EkInstance       *maps[2];
  EkSearch         *search;
  EkTask            task;
} Run;

static const EkOption options[] = {
  EK_OPTION (MailboxMap, map, NULL, "The map that has a value for everyone who has a mailbox: for his address, or for @example.com as all "
             "others of that domain.", .allow = "map"),
  EK_OPTION (MailboxMap, base, "", "What is put in front of its values, as virtual_mailbox_base: /var/mail/vhosts. Empty: they are "
             "absolute paths."),
  EK_OPTION (MailboxMap, value, "path", "path: the value is where the mailbox lies, and ends in a slash, as that of a Maildir does. any: it "
             "does not count, but that there is one; home, or the domain's mailboxes, say where.", .allow = "path|any"),
  EK_OPTION (MailboxMap, home, "", "The home folder; %u is the user, %n what is before the @, %d what is behind it: /var/mail/%d/%n. The "
             "mailbox of all others has none."),
  EK_OPTION (MailboxMap, uid, "-1", "The system user, -1 for the one that mailboxes belong to.", .allow = "-1..4294967294"),
  EK_OPTION (MailboxMap, gid, "-1", "The system group, -1 for the one that mailboxes belong to.", .allow = "-1..4294967294"),
  EK_OPTION (MailboxMap, quota, "0", "The quota of each user; 0 is none."),
  EK_OPTIONS_END
};

static gboolean
init (EkInstance *instance, GError **error)
{
  MailboxMap *self = (MailboxMap *) instance;

  if (self->base && self->base[0] != '/') {
    ek_fail (error, EK_FAIL, EINVAL, "base = %s: expected an absolute path", self->base);
    return FALSE;
  }
  return ek_template_check ("home", self->home, error);
}

/* ---- what a value says ---- */

/* NULL: it is the path of a Maildir that stays below the base; else what is wrong with it. */
static const char *
wrong_with (const MailboxMap *self, EkStr value)
{
  bool any = false;

  if (value.n == 0 || value.n > VALUE_MAX)
    return value.n ? "is too long" : "is empty";
  for (gsize i = 0; i < value.n; i++)
    if ((guchar) value.p[i] < ' ' || value.p[i] == 0x7f)
      return "has control characters in it";
  if ((value.p[0] == '/') == (self->base != NULL))
    return self->base ? "is an absolute path, which cannot lie below base" : "is no absolute path, and there is no base";
  for (gsize at = 0, end; at < value.n; at = end + 1) {
    const char *slash = memchr (value.p + at, '/', value.n - at);
    end = slash ? (gsize) (slash - value.p) : value.n;
    EkStr part = { value.p + at, end - at };
    any |= part.n > 0;
    if (ek_str_eq (part, EK_STR (".")) || ek_str_eq (part, EK_STR ("..")))
      return "has . or .. in it";
  }
  if (value.p[value.n - 1] != '/')
    return "is an mbox file, which no module keeps: a Maildir's ends in a slash";
  return any ? NULL : "names no folder";
}

static EkStatus
fill_home (const Run *run)
{
  EkUser *user = run->user;

  if (run->self->home)
    user->home = ek_template_expand (run->call->pool, run->self->home, user->name, true, &run->call->error);
  return run->self->home && user->home == NULL ? EK_DEFER : EK_OK;
}

static EkStatus
fill_mail (const Run *run, EkStr value, const char *key)
{
  const MailboxMap *self = run->self;
  const char *wrong = wrong_with (self, value), *base = self->base ? self->base : "";

  if (wrong)
    return ek_fail (&run->call->error, EK_DEFER, EINVAL, "map %s: the value of %s, \"%.*s\", %s", self->map->name, key,
                    (int) MIN (value.n, 100), value.p ? value.p : "", wrong);
  run->user->mail = ek_pool_printf (run->call->pool, "%s%s%.*s", base, *base && !g_str_has_suffix (base, "/") ? "/" : "", EK_STR_ARG (value));
  return EK_OK;
}

/* The mailbox of all others is one user's, whoever is asked for: else several stores were at work in it. */
static EkStatus
fill (const Run *run, EkStr value, const char *key)
{
  const MailboxMap *self = run->self;
  bool path = strcmp (self->value, "path") == 0, others = path && key[0] == '@';

  *run->user = (EkUser) { .name = ek_pool_strdup (run->call->pool, others ? key : run->name), .uid = self->uid, .gid = self->gid,
                          .quota_bytes = self->quota.bytes };
  EkStatus status = path ? fill_mail (run, value, key) : EK_OK;
  return status == EK_OK && !others ? fill_home (run) : status;
}

/* ---- the question ---- */

static void
found (EkStatus status, const EkAnswer *answer, const char *key, gpointer data)
{
  Run *run = data;

  run->search = NULL;
  if (status == EK_OK && key[0] == '@' && run->call->login)
    status = EK_NOTFOUND;            /* what is everybody's mail is nobody's login */
  if (status == EK_OK)
    status = fill (run, ek_answer_column (answer, NULL), key);
  else if (status != EK_NOTFOUND)
    ek_fail (&run->call->error, status, 0, "map %s: no answer", run->self->map->name);
  ek_call_done (run->call, status);
}

static void
end_cancelled (EkTask *task)
{
  ek_call_done (((Run *) ((char *) task - G_STRUCT_OFFSET (Run, task)))->call, EK_DEFER);
}

static void
cancel (EkCall *call, gpointer data)
{
  Run *run = data;

  if (run->search == NULL)
    return;                          /* it has ended */
  ek_search_cancel (g_steal_pointer (&run->search));
  ek_loop_later (ek_loop_mine (), &run->task);
}

/* A value made from the name, as $2/$1/, would lead "anna/.Archive@example.com" into anna's folders. */
static bool
is_path_safe (EkPool *pool, const char *name)
{
  EkAddressKey key;

  return ek_address_key (pool, ek_str (name), 0, NULL, &key) == NULL && key.path_safe;
}

static EkStatus
lookup (EkInstance *instance, EkCall *call, const char *name, EkUser *user)
{
  MailboxMap *self = (MailboxMap *) instance;
  Run *run = ek_pool_new0 (call->pool, Run);
  if (!is_path_safe (call->pool, name))
    return EK_NOTFOUND;
  gint64 left = call->deadline ? MAX (call->deadline - g_get_monotonic_time (), 1000) : 0;

  *run = (Run) { .self = self, .call = call, .user = user, .maps = { self->map }, .task.func = end_cancelled };
  run->name = ek_pool_strdup (call->pool, name);
  call->cancel = cancel;
  call->module_data = run;
  const char **keys = ek_search_keys (call->pool, run->name, run->name, EK_SEARCH_ADDRESS | EK_SEARCH_CATCH_ALL);
  run->search = ek_search (run->maps, keys, run->name, (EkTime) { left }, found, run);
  return EK_PENDING;
}

static const EkUserdbOps userdb = { .lookup = lookup };

EK_MODULE (mailboxmap, .summary = "Who has a mailbox, by a map", .flags = EK_EVENTED, .options = options,
           .instance_size = sizeof (MailboxMap), .init = init, .userdb = &userdb);
