/* names.c - mailbox names: from the client's form to levels and back, and their order
 * SPDX-License-Identifier: Apache-2.0 */
#include "index/index.h"
#include <errno.h>
#include <string.h>

#define NAME_MAX_BYTES 1024
#define DEPTH_MAX 64

static bool
is_inbox (const char *level, gsize n)
{
  return n == 5 && g_ascii_strncasecmp (level, "INBOX", 5) == 0;
}

static bool
check (char separator, const char *name, GError **error)
{
  gsize n = strlen (name), depth = 1;
  const char *why = NULL;

  if (n == 0 || n > NAME_MAX_BYTES)
    why = n ? "it is too long" : "it is empty";
  else if (!g_utf8_validate (name, (gssize) n, NULL))
    why = "it is not UTF-8";
  else if (name[0] == separator || name[n - 1] == separator)
    why = "it begins or ends with the hierarchy separator";
  for (const char *p = name; !why && *p; p = g_utf8_next_char (p)) {
    gunichar c = g_utf8_get_char (p);
    if (c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029)
      why = "it holds a control character";
    else if (*p == separator && p[1] == separator)
      why = "a level of it is empty";
    else if (*p == separator && ++depth > DEPTH_MAX)
      why = "it has too many levels";
  }
  if (why) {
    ek_fail (error, EK_FAIL, EINVAL, "this cannot be the name of a mailbox: %s", why);
    return false;
  }
  return true;
}

bool
name_possible (const char *internal, GError **error)
{
  g_autofree char *shown = name_external ('/', internal);      /* no level can hold it on any disk */

  return check ('/', shown, error);
}

char *
name_internal (char separator, const char *name, GError **error)
{
  if (!check (separator, name, error))
    return NULL;
  char *internal = g_strdup (name);
  for (char *p = internal; *p; p++)
    if (*p == separator)
      *p = LEVEL;
  gsize first = strcspn (internal, "\n");
  if (is_inbox (internal, first))
    memcpy (internal, "INBOX", 5);
  return internal;
}

char *
name_external (char separator, const char *internal)
{
  char *name = g_strdup (internal);

  for (char *p = name; *p; p++)
    if (*p == LEVEL)
      *p = separator;
  return name;
}

/* LEVEL sorts before every other character that a name can hold, so plain comparison puts children
 * directly behind their parent. */
gint
name_compare (gconstpointer a, gconstpointer b)
{
  const char *x = a, *y = b;
  bool xi = strcmp (x, "INBOX") == 0, yi = strcmp (y, "INBOX") == 0;

  return xi != yi ? (xi ? -1 : 1) : strcmp (x, y);
}

bool
name_below (const char *name, const char *parent)
{
  gsize n = strlen (parent);

  return strncmp (name, parent, n) == 0 && name[n] == LEVEL;
}
