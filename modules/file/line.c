/* line.c - one line of a passwd-file: user:password:uid:gid:gecos:home:shell:extra fields
 * SPDX-License-Identifier: Apache-2.0 */
#include "file.h"
#include <string.h>

#define LINE_MAX_LEN 65536
#define ID_MAX       4294967294u     /* (uid_t) -1 means none */

/* Takes the field before the next ':' off the front. */
static EkStr
take_field (EkStr *rest)
{
  const char *colon = rest->n > 0 ? memchr (rest->p, ':', rest->n) : NULL;
  EkStr field = { rest->p, colon ? (gsize) (colon - rest->p) : rest->n };
  gsize taken = field.n + (colon ? 1 : 0);

  *rest = (EkStr) { rest->p + taken, rest->n - taken };
  return field;
}

static char *
check_user (EkStr user)
{
  if (user.n == 0)
    return g_strdup ("the user name is missing: write name:{SCHEME}hash, or # in front of a comment");
  for (gsize i = 0; i < user.n; i++)
    if ((guchar) user.p[i] < ' ' || user.p[i] == 127)
      return g_strdup_printf ("the user name has the control character 0x%02x: take it out", (guchar) user.p[i]);
  if (user.p[0] == ' ' || user.p[user.n - 1] == ' ')
    return g_strdup ("the user name begins or ends with a space: take the space out");
  return NULL;
}

static char *
check_pass (EkStr pass)
{
  if (pass.n > 0 && pass.p[0] == '{' && !memchr (pass.p, '}', pass.n))
    return g_strdup ("the password's { has no }: write {SCHEME}hash (a plain password that begins with { "
                     "needs {PLAIN} in front)");
  return NULL;
}

static char *
check_id (EkStr text, bool group)
{
  gint64 id;

  if (ek_record_id (text, group, &id))
    return NULL;
  return g_strdup_printf ("the %s \"%.*s\" is neither a number up to %u nor a %s of this system: write one, or "
                          "leave the field empty for the default", group ? "gid" : "uid",
                          (int) MIN (text.n, 40), text.p, ID_MAX, group ? "group" : "user");
}

static char *
check_extra (EkStr extra)
{
  EkStr key, value;

  while (file_extra_next (&extra, &key, &value)) {
    gint64 id;
    if (key.n == 0)
      return g_strdup ("an extra field has no name before its =: write name=value, with a space between fields");
    bool gid = ek_str_eq (key, EK_STR ("userdb_gid"));
    if ((gid || ek_str_eq (key, EK_STR ("userdb_uid"))) && !ek_record_id (value, gid, &id))
      return check_id (value, gid);
  }
  return NULL;
}

bool
file_line_split (EkStr line, FileLine *parsed)
{
  *parsed = (FileLine) { .mail = EK_STR (""), .extra = EK_STR ("") };
  if (ek_str_trim (line).n == 0 || line.p[0] == '#')
    return false;
  parsed->user = take_field (&line);
  parsed->pass = take_field (&line);
  parsed->uid = take_field (&line);
  parsed->gid = take_field (&line);
  take_field (&line);                  /* gecos */
  parsed->home = take_field (&line);
  take_field (&line);                  /* shell */
  if (line.n > 0 && line.p[0] == ':')
    parsed->mail = (EkStr) { line.p + 1, line.n - 1 };
  else
    parsed->extra = line;
  return true;
}

FileLineKind
file_line_check (EkStr line, FileLine *parsed, char **why)
{
  *why = NULL;
  if (!file_line_split (line, parsed))
    return FILE_BLANK;
  if (line.n > LINE_MAX_LEN)
    *why = g_strdup ("the line is longer than 64 KB");
  else if (memchr (line.p, '\0', line.n))
    *why = g_strdup ("the line has a NUL in it: is this a text file?");
  else if ((*why = check_user (parsed->user)) || (*why = check_pass (parsed->pass))
           || (*why = check_id (parsed->uid, false)) || (*why = check_id (parsed->gid, true)))
    return FILE_WRONG;
  else
    *why = check_extra (parsed->extra);
  return *why ? FILE_WRONG : FILE_USER;
}

bool
file_extra_next (EkStr *extra, EkStr *key, EkStr *value)
{
  EkStr rest = *extra;

  while (rest.n > 0 && (rest.p[0] == ' ' || rest.p[0] == '\t'))
    rest.p++, rest.n--;
  gsize n = 0;
  while (n < rest.n && rest.p[n] != ' ' && rest.p[n] != '\t')
    n++;
  *extra = (EkStr) { rest.p + n, rest.n - n };
  if (n == 0)
    return false;
  const char *equals = memchr (rest.p, '=', n);
  *key = (EkStr) { rest.p, equals ? (gsize) (equals - rest.p) : n };
  *value = equals ? (EkStr) { equals + 1, n - key->n - 1 } : EK_STR ("");
  return true;
}
