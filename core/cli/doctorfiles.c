/* doctorfiles.c - ekiden doctor looks at owners, rights and room: users of the roles, folders, secrets, logs, disks
 * SPDX-License-Identifier: Apache-2.0 */
#include "config.h"
#include "cli/doctor.h"
#include "conf/option.h"
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define RIGHTS     "permissions"
#define LEAST_FREE (64u * 1024 * 1024)

/* ---- users ---- */

static void
check_users (EkDoctor *self)
{
  const EkRolesConf *r = &self->roles;
  const char *const users[] = { r->user_tls, r->user_edge, r->user_directory, r->user_queue, r->user_relay, r->user_store, r->user_log,
                                r->user_control };
  guint good = 0;

  if (geteuid () != 0) {
    ek_doctor_say (self, EK_DR_OK, "users", "not root: all roles would run as this user");
    return;
  }
  for (guint i = 0; i < G_N_ELEMENTS (users); i++) {
    const struct passwd *pw = users[i] ? getpwnam (users[i]) : NULL;
    if (pw == NULL)
      ek_doctor_say (self, EK_DR_PROBLEM, "users", "user %s does not exist\nrun systemd-sysusers, or name another one in the block roles",
                     users[i] ? users[i] : "(none)");
    else if (pw->pw_uid == 0)
      ek_doctor_say (self, EK_DR_PROBLEM, "users", "user %s is root, and a role never runs as root\nname another one in the block roles", users[i]);
    else
      good++;
  }
  if (good == G_N_ELEMENTS (users))
    ek_doctor_say (self, EK_DR_OK, "users", "the users of all roles exist");
  if (getgrnam ("ekiden-drop") == NULL)
    ek_doctor_say (self, EK_DR_WARNING, "users", "group ekiden-drop does not exist, so only root may use sendmail\nrun systemd-sysusers");
}

/* ---- folders and files ---- */

/* Whether he may go through (1) or read (4), by the permission bits; root and who looks without being root: as they can. */
static bool
may (const struct passwd *pw, const struct stat *st, guint what)
{
  gid_t groups[128];
  int n = G_N_ELEMENTS (groups);

  if (pw == NULL || pw->pw_uid == 0)
    return true;
  if (st->st_uid == pw->pw_uid)
    return st->st_mode & what << 6;
  if (getgrouplist (pw->pw_name, pw->pw_gid, groups, &n) >= 0)
    for (int i = 0; i < n; i++)
      if (groups[i] == st->st_gid)
        return st->st_mode & what << 3;
  return st->st_mode & what;
}

/* The first folder above `path` that he cannot go through; NULL: he reaches it. */
static char *
barred_at (const char *path, const struct passwd *pw)
{
  g_autofree char *above = g_path_get_dirname (path);
  struct stat st;

  if (strcmp (above, path) == 0)
    return NULL;
  char *higher = barred_at (above, pw);
  if (higher)
    return higher;
  return stat (above, &st) == 0 && !may (pw, &st, 1) ? g_steal_pointer (&above) : NULL;
}

static const struct passwd *
role_user (const char *user)
{
  return user && geteuid () == 0 ? getpwnam (user) : NULL;
}

/* False: told already. */
static bool
is_reached (EkDoctor *self, const char *path, const struct passwd *pw)
{
  g_autofree char *barred = pw ? barred_at (path, pw) : NULL;

  if (barred)
    ek_doctor_say (self, EK_DR_PROBLEM, RIGHTS, "%s cannot be reached by %s: %s is closed to him\nchmod o+x %s", path, pw->pw_name, barred, barred);
  return barred == NULL;
}

/* A folder of the role that runs as `user` (NULL: of root).  Bits of `forbidden` are a problem, those of `unwise` a warning. */
static void
check_folder (EkDoctor *self, const char *what, const char *path, const char *user, mode_t forbidden, mode_t unwise)
{
  const struct passwd *pw = role_user (user);
  struct stat st;

  if (stat (path, &st) < 0) {
    if (errno == ENOENT && !self->running)
      ek_doctor_say (self, EK_DR_OK, RIGHTS, "%s: %s is not there yet: the server makes it when it starts", what, path);
    else
      ek_doctor_say (self, EK_DR_PROBLEM, RIGHTS, "%s: %s: %s\n%s", what, path, g_strerror (errno), errno == ENOENT
                     ? "make it again, or start the server anew" : "look as root");
  }
  else if (!S_ISDIR (st.st_mode))
    ek_doctor_say (self, EK_DR_PROBLEM, RIGHTS, "%s: %s is no folder\nmove it away", what, path);
  else if (pw && st.st_uid != pw->pw_uid)
    ek_doctor_say (self, EK_DR_PROBLEM, RIGHTS, "%s: %s does not belong to %s\nchown %s %s", what, path, user, user, path);
  else if (st.st_mode & (forbidden | unwise))
    ek_doctor_say (self, st.st_mode & forbidden ? EK_DR_PROBLEM : EK_DR_WARNING, RIGHTS, "%s: %s has mode %04o: others %s\nchmod %04o %s", what, path,
                   (guint) st.st_mode & 07777, st.st_mode & forbidden ? "may do too much there" : "may look into it",
                   (guint) (st.st_mode & ~(forbidden | unwise)) & 07777, path);
  else if (is_reached (self, path, pw))
    ek_doctor_say (self, EK_DR_OK, RIGHTS, "%s: %s", what, path);
}

/* A file with secrets, read by the role that runs as `user` (NULL: by root). */
static void
check_secret (EkDoctor *self, const char *what, const char *path, const char *user)
{
  const struct passwd *pw = role_user (user);
  struct stat st;

  if (stat (path, &st) < 0)
    ek_doctor_say (self, EK_DR_PROBLEM, RIGHTS, "%s: %s: %s\nput it there, or correct the configuration", what, path, g_strerror (errno));
  else if (st.st_mode & 007)
    ek_doctor_say (self, EK_DR_PROBLEM, RIGHTS, "%s: %s may be read by everybody\nchmod o= %s", what, path, path);
  else if (pw && !may (pw, &st, 4))
    ek_doctor_say (self, EK_DR_PROBLEM, RIGHTS, "%s: %s cannot be read by %s\nchown %s %s", what, path, user, user, path);
  else if (is_reached (self, path, pw))
    ek_doctor_say (self, EK_DR_OK, RIGHTS, "%s: %s is private", what, path);
}

/* ---- what the configuration names ---- */

/* Secrets behind file("..."), and passwords that stand in the configuration itself. */
static void
check_settings (EkDoctor *self, const EkConfBlock *block, GHashTable *seen)
{
  for (const EkConfSetting *s = block->settings; s; s = s->next)
    for (guint i = 0; i < s->n_items; i++)
      if (s->items[i].unread && s->at.file) {
        g_autofree char *folder = g_path_get_dirname (s->at.file);
        char *path = g_path_is_absolute (s->items[i].text.p) ? g_strdup (s->items[i].text.p) : g_build_filename (folder, s->items[i].text.p, NULL);
        if (g_hash_table_add (seen, path))
          check_secret (self, s->key, path, NULL);
      }
  for (const EkConfBlock *b = block->blocks; b; b = b->next)
    check_settings (self, b, seen);
}

static void
check_rows (EkDoctor *self, const EkOption *rows, const EkConfBlock *block, GHashTable *seen)
{
  struct stat st;

  for (const EkOption *row = rows; row && row->name; row++) {
    const EkConfSetting *s = row->type == EK_SECRET ? ek_conf_find_setting (block, row->name) : NULL;
    if (s && s->n_items > 0 && !s->items[0].secret && s->items[0].text.n > 0 && stat (s->at.file, &st) == 0 && st.st_mode & 007
        && g_hash_table_add (seen, g_strdup (s->at.file)))
      ek_doctor_say (self, EK_DR_PROBLEM, RIGHTS, "%s:%u: everybody may read this secret (%s)\nchmod o= %s, or put it into a file of its own: %s = file(\"...\")",
                     s->at.file, s->at.line, row->name, s->at.file, row->name);
  }
}

/* The folder in front of what differs from user to user: /var/mail of /var/mail/%d/%n. */
static char *
fixed_part (const char *location)
{
  const char *colon = strchr (location, ':'), *path = *location == '/' ? location : colon && colon[1] == '/' ? colon + 1 : NULL;

  if (path == NULL || strchr (path, '%') == NULL)
    return NULL;
  char *root = g_strndup (path, strcspn (path, "%"));
  *(strrchr (root, '/') + (strrchr (root, '/') == root)) = '\0';
  return root;
}

static void check_disk (EkDoctor *self, const char *what, const char *path, guint64 least);

/* Where mail lies, as instances that know users or mailboxes say it. */
static void
check_mail_root (EkDoctor *self, const EkInstance *inst, const char *option, GHashTable *seen)
{
  const char *const *value = ek_doctor_option (inst, option, EK_STRING);
  char *root = value && *value ? fixed_part (*value) : NULL;

  if (root == NULL || !g_hash_table_add (seen, root))
    return;
  check_folder (self, "mail", root, self->roles.user_store, 0002, 0);
  check_disk (self, "mail", root, LEAST_FREE);
}

static void
check_spool (EkDoctor *self, const EkInstance *inst)
{
  const char *const *path = ek_doctor_option (inst, "path", EK_STRING);
  const EkSize *segment = ek_doctor_option (inst, "segment_size", EK_SIZE);
  guint64 reserve = segment ? 2 * segment->bytes : LEAST_FREE;

  if (path == NULL || *path == NULL)
    return;
  check_folder (self, "spool", *path, self->roles.user_queue, 0022, 0005);
  check_disk (self, "spool", *path, reserve + self->places.message_size_limit + self->places.message_size_limit / 2);
}

static void
check_instances (EkDoctor *self, GHashTable *seen)
{
  for (guint i = 0; self->gen && i < ek_generation_n_instances (self->gen); i++) {
    const EkInstance *inst = ek_generation_instance_at (self->gen, i);
    const EkModule *module = inst->module;
    struct stat st;
    if (module == NULL)
      continue;
    const char *const *path = module->passdb ? ek_doctor_option (inst, "path", EK_STRING) : NULL;
    if (path && *path && stat (*path, &st) == 0 && S_ISREG (st.st_mode) && g_hash_table_add (seen, g_strdup (*path)))
      check_secret (self, inst->name, *path, self->roles.user_directory);
    if (module->spool)
      check_spool (self, inst);
    if (module->userdb || module->passdb || module->mailbox)
      for (guint k = 0; k < 3; k++)
        check_mail_root (self, inst, (const char *const[]) { "home", "mail", "path" }[k], seen);
    check_rows (self, module->options, ek_instance_block (inst), seen);
  }
}

/* ---- logs ---- */

static void
check_log_file (EkDoctor *self, const char *path, GHashTable *seen)
{
  struct stat st;

  if (path == NULL || *path != '/')
    return;
  g_autofree char *folder = g_path_get_dirname (path);
  if (g_hash_table_add (seen, g_strdup (folder))) {
    check_folder (self, "log", folder, NULL, 0002, 0);
    check_disk (self, "log", folder, LEAST_FREE);
  }
  if (stat (path, &st) == 0 && st.st_mode & 007)
    ek_doctor_say (self, st.st_mode & 002 ? EK_DR_PROBLEM : EK_DR_WARNING, RIGHTS, "log: everybody may %s %s, and it tells who writes to whom\nchmod o= %s",
                   st.st_mode & 002 ? "change" : "read", path, path);
  const struct passwd *pw = role_user (self->roles.user_log);
  if (self->running && pw && stat (path, &st) == 0 && st.st_uid != pw->pw_uid)
    ek_doctor_say (self, EK_DR_PROBLEM, RIGHTS, "log: %s does not belong to %s, who writes it\nchown %s %s", path, self->roles.user_log,
                   self->roles.user_log, path);
}

/* ---- room ---- */

static void
check_disk (EkDoctor *self, const char *what, const char *path, guint64 least)
{
  struct statvfs fs;

  if (statvfs (path, &fs) < 0)
    return;                                        /* told with the folders */
  guint64 left = (guint64) fs.f_bavail * fs.f_frsize;
  g_autofree char *size = g_format_size_full (left, G_FORMAT_SIZE_IEC_UNITS), *wanted = g_format_size_full (least, G_FORMAT_SIZE_IEC_UNITS);
  if (left < least)
    ek_doctor_say (self, EK_DR_PROBLEM, "disk", "%s: %s has %s free, less than the %s that it needs%s\nmake room on that file system", what, path, size, wanted,
                   strcmp (what, "spool") == 0 ? ": new mail is refused with 452 now or soon" : "");
  else if (left < 4 * least)
    ek_doctor_say (self, EK_DR_WARNING, "disk", "%s: %s has only %s free (it needs %s)\nmake room on that file system soon", what, path, size, wanted);
  else if (fs.f_files > 0 && fs.f_favail < fs.f_files / 100)
    ek_doctor_say (self, EK_DR_WARNING, "disk", "%s: %s has hardly any inodes left (%" G_GUINT64_FORMAT ")\ndelete files there", what, path,
                   (guint64) fs.f_favail);
  else
    ek_doctor_say (self, EK_DR_OK, "disk", "%s: %s has %s free", what, path, size);
}

void
ek_doctor_files (EkDoctor *self)
{
  g_autoptr (GHashTable) seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_autofree char *control = g_build_filename (self->places.run_dir, "control", NULL);

  check_users (self);
  check_folder (self, "state", self->places.state_dir, NULL, 0002, 0);
  check_folder (self, "run", self->places.run_dir, NULL, 0002, 0);
  check_folder (self, "drop folder", self->places.drop_folder, self->roles.user_queue, 0007, 0);
  check_folder (self, "control", control, self->roles.user_control, 0022, 0);
  if (self->log.trace)
    check_folder (self, "event store", self->log.trace, self->roles.user_log, 0002, 0005);
  check_log_file (self, self->log.file, seen);
  check_log_file (self, self->log.json, seen);
  check_settings (self, self->conf->root, seen);
  check_instances (self, seen);
  check_disk (self, "state", self->places.state_dir, LEAST_FREE);
}
