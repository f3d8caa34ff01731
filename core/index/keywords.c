/* keywords.c - keyword names and their numbers in one mailbox
 * SPDX-License-Identifier: Apache-2.0
 *
 * Numbers below the format's keywords_max are also in the files (letters of a Maildir name), and
 * there the files' own table is the truth; the others live in the index alone. */
#include "index/index.h"
#include <errno.h>
#include <string.h>

static void
name_set (Box *box, guint n, const char *name)
{
  if (n >= KEYWORDS_MAX)
    return;
  if (box->keywords->len <= n)
    g_ptr_array_set_size (box->keywords, (int) n + 1);
  g_free (box->keywords->pdata[n]);
  box->keywords->pdata[n] = g_strdup (name);
}

/* What the files say goes before what the index remembers. */
static EkStatus
merge_files (Box *box, GError **error)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  EkFolder folder = BOX_FOLDER (box);

  EkStatus status = OP (box->ix, pool, error, keywords, &folder, names, false);
  if (status != EK_OK)
    return status == EK_NOTFOUND ? EK_OK : status;
  for (guint n = 0; n < names->len && n < box->ix->ops->keywords_max; n++) {
    if (names->pdata[n] == NULL)
      continue;
    for (guint i = 0; i < box->keywords->len; i++)     /* it stood elsewhere before */
      if (i != n && box->keywords->pdata[i]
          && g_ascii_strcasecmp (box->keywords->pdata[i], names->pdata[n]) == 0)
        g_clear_pointer (&box->keywords->pdata[i], g_free);
    name_set (box, n, names->pdata[n]);
  }
  return EK_OK;
}

EkStatus
keywords_load (Box *box, GError **error)
{
  EkStatus status;

  if (box->keywords)
    return EK_OK;
  box->keywords = g_ptr_array_new_with_free_func (g_free);
  sqlite3_stmt *st = db_bind (box->ix->db, ST_KEYWORD_ALL, "i", (gint64) box->id);
  while ((status = db_row (box->ix->db, st, error)) == EK_OK) {
    gint64 n = sqlite3_column_int64 (st, 0);
    if (n >= 0 && n < KEYWORDS_MAX && sqlite3_column_text (st, 1))
      name_set (box, (guint) n, (const char *) sqlite3_column_text (st, 1));
  }
  if (status == EK_NOTFOUND)
    status = merge_files (box, error);
  if (status != EK_OK)
    g_clear_pointer (&box->keywords, g_ptr_array_unref);
  return status;
}

static int
find (Box *box, const char *name)
{
  for (guint i = 0; i < box->keywords->len; i++)
    if (box->keywords->pdata[i] && g_ascii_strcasecmp (box->keywords->pdata[i], name) == 0)
      return (int) i;
  return -1;
}

/* Under the table's lock: a delivery with keywords may have written the files' table meanwhile. */
static EkStatus
add_locked (Box *box, const char *name, int *number, GError **error)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  EkFolder folder = BOX_FOLDER (box);
  guint n = 0;

  EkStatus status = merge_files (box, error);
  if (status != EK_OK || (*number = find (box, name)) >= 0)
    return status;
  while (n < box->keywords->len && box->keywords->pdata[n])
    n++;
  if (n >= KEYWORDS_MAX)
    return ek_fail (error, EK_FAIL, ENOSPC, "a mailbox can have at most %d different keywords",
                    KEYWORDS_MAX);
  status = db_run (box->ix->db, error, ST_KEYWORD_SET, "iit", (gint64) box->id, (gint64) n,
                   ek_str (name));
  if (status != EK_OK)
    return status;
  name_set (box, n, name);
  *number = (int) n;
  return n < box->ix->ops->keywords_max
             ? OP (box->ix, pool, error, keywords, &folder, box->keywords, true)
             : EK_OK;
}

static EkStatus
add (Box *box, const char *name, int *number, GError **error)
{
  pthread_mutex_lock (&box->ix->table_lock);
  EkStatus status = add_locked (box, name, number, error);
  pthread_mutex_unlock (&box->ix->table_lock);
  return status;
}

EkStatus
keywords_bits (Box *box, const char *const *names, bool may_add, guint64 *bits, GError **error)
{
  EkStatus status = keywords_load (box, error);

  *bits = 0;
  for (guint i = 0; names && names[i] && status == EK_OK; i++) {
    int n = find (box, names[i]);
    if (n < 0 && may_add)
      status = add (box, names[i], &n, error);
    if (n >= 0 && status == EK_OK)
      *bits |= 1ull << n;
  }
  return status;
}

guint64
keywords_letters (Box *box, guint64 bits)
{
  guint max = box->ix->ops->keywords_max;

  return max >= 64 ? bits : bits & ((1ull << max) - 1);
}

EkStatus
keywords_translate (Box *from, Box *to, guint64 bits, guint64 *out, GError **error)
{
  const char *names[KEYWORDS_MAX + 1];
  guint n = 0;

  *out = 0;
  if (bits == 0)
    return EK_OK;
  EkStatus status = keywords_load (from, error);
  if (status != EK_OK)
    return status;
  for (guint i = 0; i < from->keywords->len; i++)
    if ((bits >> i & 1) && from->keywords->pdata[i])
      names[n++] = from->keywords->pdata[i];
  names[n] = NULL;
  return keywords_bits (to, names, true, out, error);
}
