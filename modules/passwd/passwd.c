/* passwd.c - userdb: system accounts, through getpwnam_r(3)
 * SPDX-License-Identifier: Apache-2.0 */
#include <ekiden/ekiden.h>
#include "lookup/template.h"
#include <errno.h>
#include <pthread.h>
#include <pwd.h>
#include <string.h>

typedef struct {
  EkInstance  base;
  gint64      min_uid, max_uid;
  const char *username_format, *home;
} Passwd;

static const EkOption options[] = {
  EK_OPTION (Passwd, min_uid, "1000", "Accounts below this uid are treated as unknown.", .allow = "0..4294967294"),
  EK_OPTION (Passwd, max_uid, "65533", "Accounts above this uid are treated as unknown: the default leaves out nobody.",
             .allow = "1..4294967294"),
  EK_OPTION (Passwd, username_format, "%n", "The account's name: %n is what is before the @ of the user's name, %u all "
             "of it, %d what is behind the @."),
  EK_OPTION (Passwd, home, "", "The home folder, in place of the account's: /srv/mail/%n."),
  EK_OPTIONS_END
};

#define BUF_MAX (1024 * 1024)

static gboolean
passwd_init (EkInstance *base, GError **error)
{
  Passwd *self = (Passwd *) base;

  if (self->min_uid > self->max_uid) {
    ek_fail (error, EK_FAIL, EINVAL, "min_uid: it is above max_uid, so there would be no users");
    return FALSE;
  }
  return ek_template_check ("username_format", self->username_format, error)
         && ek_template_check ("home", self->home, error);
}

static EkStatus
fill (Passwd *self, EkPool *pool, const char *name, const struct passwd *pw, EkUser *user, GError **error)
{
  if (pw->pw_uid < self->min_uid || pw->pw_uid > self->max_uid)
    return EK_NOTFOUND;
  *user = (EkUser) {
    .name = ek_pool_strdup (pool, name), .home = ek_pool_strdup (pool, pw->pw_dir), .uid = pw->pw_uid, .gid = pw->pw_gid,
  };
  if (self->home && !(user->home = ek_template_expand (pool, self->home, name, true, error)))
    return EK_DEFER;
  return EK_OK;
}

static EkStatus
user_lookup (EkInstance *base, EkCall *call, const char *name, EkUser *user)
{
  Passwd *self = (Passwd *) base;
  const char *account = ek_template_expand (call->pool, self->username_format, name, false, NULL);
  struct passwd pw, *found = NULL;

  if (*account == '\0')
    return EK_NOTFOUND;
  for (gsize size = 4096; ; size *= 4) {
    g_autofree char *buf = g_malloc (size);
    int err = getpwnam_r (account, &pw, buf, size, &found);
    if (err == EINTR || (err == ERANGE && size < BUF_MAX))
      continue;
    if (found)
      return fill (self, call->pool, name, &pw, user, &call->error);
    if (err == 0 || err == ENOENT || err == ESRCH)       /* what the C library says of unknown names */
      return EK_NOTFOUND;
    return ek_fail (&call->error, EK_DEFER, err, "getpwnam_r: %s", g_strerror (err));     /* a sick NIS or LDAP */
  }
}

static EkStatus
user_each (EkInstance *base, EkCall *call, void (*func) (const EkUser *, gpointer), gpointer data)
{
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;       /* getpwent() has one position for all */
  g_autoptr (EkPool) pool = ek_pool_new ();
  EkStatus status = EK_OK;

  pthread_mutex_lock (&lock);
  setpwent ();
  for (struct passwd *pw; !call->cancelled && (errno = 0, pw = getpwent ()) != NULL; ek_pool_clear (pool)) {
    EkUser user;
    g_autoptr (GError) ignored = NULL;
    if (fill ((Passwd *) base, pool, pw->pw_name, pw, &user, &ignored) == EK_OK)
      func (&user, data);
  }
  if (errno != 0 && errno != ENOENT && !call->cancelled)
    status = ek_fail (&call->error, EK_DEFER, errno, "getpwent: %s", g_strerror (errno));
  endpwent ();
  pthread_mutex_unlock (&lock);
  return status;
}

static const EkUserdbOps userdb = { .lookup = user_lookup, .each = user_each };

/* the system's name service may ask a server for them */
EK_MODULE (passwd, .summary = "System accounts", .flags = EK_WAITS, .options = options, .instance_size = sizeof (Passwd),
           .init = passwd_init, .userdb = &userdb);
