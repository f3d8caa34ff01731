/* list.c - patterns and the picture of all mailboxes, for LIST and LSUB
 * SPDX-License-Identifier: Apache-2.0
 */
#include "list.h"
#include <string.h>

/* `name` with INBOX's letters as they are written, whatever the client typed. */
static bool
same_char (const char *name, gsize at, char pattern, bool inbox)
{
  return name[at] == pattern || (inbox && at < 5 && g_ascii_toupper (pattern) == name[at]);
}

/* Where in the pattern one may be without reading another character: behind wildcards. */
static void
close_over (guint8 *at, const char *pattern, gsize n)
{
  for (gsize j = 0; j < n; j++)
    if (at[j] && (pattern[j] == '%' || pattern[j] == '*'))
      at[j + 1] = 1;
}

bool
imap_list_match (const char *pattern, const char *name, char separator)
{
  guint8 sets[2][IMAP_PATTERN_MAX + 1] = { { 1 } };
  gsize n = strlen (pattern);
  bool inbox = strncmp (name, "INBOX", 5) == 0 && (name[5] == '\0' || name[5] == separator);

  if (n > IMAP_PATTERN_MAX)
    return false;
  guint8 *now = sets[0], *next = sets[1];
  close_over (now, pattern, n);
  for (gsize i = 0; name[i]; i++) {
    memset (next, 0, n + 1);
    for (gsize j = 0; j < n; j++) {
      if (!now[j])
        continue;
      if (pattern[j] == '*' || (pattern[j] == '%' && name[i] != separator))
        next[j] = 1;
      else if (same_char (name, i, pattern[j], inbox))
        next[j + 1] = 1;
    }
    guint8 *swap = now;
    now = next;
    next = swap;
    close_over (now, pattern, n);
  }
  return now[n];
}

bool
imap_list_match_any (const GPtrArray *patterns, const char *name, char separator)
{
  for (guint i = 0; i < patterns->len; i++)
    if (imap_list_match (g_ptr_array_index (patterns, i), name, separator))
      return true;
  return false;
}

bool
imap_list_pattern (ImapScan *scan, EkStr reference, GPtrArray *patterns)
{
  EkStr wire;

  if (!imap_scan_pattern (scan, &wire))
    return false;
  if (reference.n + wire.n > IMAP_PATTERN_MAX / 2 || patterns->len == IMAP_PATTERNS_MAX)
    return imap_scan_fail (scan, "Too long or too many patterns");
  g_autofree char *whole = g_strdup_printf ("%.*s%.*s", EK_STR_ARG (reference), EK_STR_ARG (wire));
  char *utf8 = ek_mutf7_decode (ek_str (whole));
  if (utf8)
    g_ptr_array_add (patterns, utf8);
  return true;
}

static void
keep_box (const EkMailbox *mailbox, gpointer data)
{
  ImapBoxes *boxes = data;

  if (boxes->n == boxes->room) {
    EkMailbox *old = boxes->rows;
    boxes->room = MAX (boxes->room * 2, 32);
    boxes->rows = ek_pool_newv (boxes->pool, EkMailbox, boxes->room);
    if (boxes->n > 0)
      memcpy (boxes->rows, old, boxes->n * sizeof *old);
  }
  boxes->rows[boxes->n++] = (EkMailbox) {
    .name = ek_pool_strdup (boxes->pool, mailbox->name), .flags = mailbox->flags,
    .special = ek_pool_strdup (boxes->pool, mailbox->special),
  };
}

EkStatus
imap_list_boxes (ImapCommand *command, ImapBoxes *boxes, GError **error)
{
  *boxes = (ImapBoxes) { .pool = command->pool };
  return ek_index_list (command->session->ix, keep_box, boxes, error);
}
