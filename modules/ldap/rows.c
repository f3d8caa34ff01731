/* rows.c - entries as rows of columns, and whether an entry is called as it was asked for
 * SPDX-License-Identifier: Apache-2.0 */
#include "ldap.h"
#include "lookup/params.h"
#include "lookup/template.h"
#include <errno.h>
#include <string.h>

#define ROWS_MAX  10000
#define BYTES_MAX (4 * 1024 * 1024)

typedef struct {                     /* a column's values in one entry */
  EkStr *values;
  guint  n;
} Values;

/* ---- values ---- */

static void
add_values (LdapRows *rows, Values *v, struct berval **from, guint n)
{
  EkStr *all = ek_pool_newv (rows->pool, EkStr, v->n + n);

  if (v->n)
    memcpy (all, v->values, sizeof *all * v->n);
  for (guint i = 0; i < n; i++) {
    all[v->n + i] = ek_pool_str (rows->pool, (EkStr) { from[i]->bv_val, from[i]->bv_len });
    rows->bytes += from[i]->bv_len;
  }
  v->values = all;
  v->n += n;
}

/* A fixed value of a record stands in for one that the entry has not. */
static EkStatus
add_literal (LdapRows *rows, Values *v, const char *column, const char *text, GError **error)
{
  bool path = strcmp (column, "home") == 0 || strcmp (column, "mail") == 0;

  if (rows->record && v->n > 0)
    return EK_OK;
  char *made = ek_template_expand (rows->pool, text, rows->user ? rows->user : "", path, error);
  if (made == NULL)
    return EK_DEFER;
  struct berval value = { strlen (made), made }, *list[] = { &value };
  add_values (rows, v, list, 1);
  return EK_OK;
}

/* The values of each column; *n_rows: how many the longest of those with an attribute has. */
static EkStatus
gather (LdapRows *rows, LDAP *ld, LDAPMessage *entry, Values *of, guint *n_rows, GError **error)
{
  const LdapColumns *c = rows->columns;
  bool any = false;

  *n_rows = 0;
  for (guint i = 0; i < c->n_sources; i++) {
    const LdapSource *source = &c->sources[i];
    Values *v = &of[source->column];
    if (source->attribute == NULL) {
      if (add_literal (rows, v, c->names[source->column], source->literal, error) != EK_OK)
        return EK_DEFER;
      continue;
    }
    struct berval **values = ldap_get_values_len (ld, entry, source->attribute);
    int n = ldap_count_values_len (values);
    any = true;
    if (n > 0)
      add_values (rows, v, values, (guint) n);
    ldap_value_free_len (values);
    if (n > 0)
      *n_rows = MAX (*n_rows, v->n);
  }
  if (!any)
    *n_rows = 1;
  return EK_OK;
}

/* ---- rows ---- */

static bool
is_single (const char *column)
{
  static const char *const names[] = { "password", "user", "home", "mail", "uid", "gid", "quota_rule", "quota_bytes", "quota_storage_size" };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    if (strcmp (column, names[i]) == 0)
      return true;
  return false;
}

static EkStatus
refuse_several (LDAP *ld, LDAPMessage *entry, const char *column, guint n, GError **error)
{
  char *dn = ldap_get_dn (ld, entry);

  ek_fail (error, EK_DEFER, EINVAL, "%.200s: \"%s\" has %u values, and one is needed", dn ? dn : "an entry", column, n);
  ldap_memfree (dn);
  return EK_DEFER;
}

/* A column's one cell of a record: several values of a column that we know nothing of are a list. */
static EkStatus
one_cell (LdapRows *rows, LDAP *ld, LDAPMessage *entry, const char *column, const Values *v, EkStr *cell, GError **error)
{
  EkBuf list = { 0 };

  *cell = v->n ? v->values[0] : (EkStr) { NULL, 0 };
  if (v->n < 2)
    return EK_OK;
  if (is_single (column))
    return refuse_several (ld, entry, column, v->n, error);
  for (guint i = 0; i < v->n; i++) {
    if (i)
      ek_buf_appendc (&list, ',');
    ek_buf_append (&list, v->values[i].p, v->values[i].n);
  }
  *cell = ek_pool_str (rows->pool, ek_buf_str (&list));
  ek_buf_release (&list);
  return EK_OK;
}

static EkStatus
add_record (LdapRows *rows, LDAP *ld, LDAPMessage *entry, const Values *of, GError **error)
{
  const LdapColumns *c = rows->columns;
  EkStatus status = EK_OK;

  for (guint i = 0; i < c->n_columns && status == EK_OK; i++) {
    EkStr cell;
    status = one_cell (rows, ld, entry, c->names[i], &of[i], &cell, error);
    ek_buf_append (&rows->cells, &cell, sizeof cell);
  }
  rows->n_rows++;
  return status;
}

/* A column with one value has it in each row. */
static void
add_rows (LdapRows *rows, const Values *of, guint n_rows)
{
  for (guint row = 0; row < n_rows; row++)
    for (guint i = 0; i < rows->columns->n_columns; i++) {
      const Values *v = &of[i];
      EkStr cell = v->n == 1 ? v->values[0] : row < v->n ? v->values[row] : (EkStr) { NULL, 0 };
      ek_buf_append (&rows->cells, &cell, sizeof cell);
    }
  rows->n_rows += n_rows;
}

EkStatus
ldapc_rows_add (LdapRows *rows, LDAP *ld, LDAPMessage *entry, GError **error)
{
  Values of[LDAPC_COLUMNS_MAX] = { 0 };
  guint n_rows;
  EkStatus status = gather (rows, ld, entry, of, &n_rows, error);

  if (status != EK_OK)
    return status;
  if (rows->bytes > BYTES_MAX || n_rows > ROWS_MAX - rows->n_rows)
    return ek_fail (error, EK_DEFER, E2BIG, "the answer has more than %u rows or %u bytes: ask for less", ROWS_MAX, BYTES_MAX);
  if (rows->record)
    return add_record (rows, ld, entry, of, error);
  if (n_rows == 0)
    return EK_NOTFOUND;
  add_rows (rows, of, n_rows);
  return EK_OK;
}

void
ldapc_rows_end (LdapRows *rows, EkAnswer *answer)
{
  EkStr cells = ek_pool_str (rows->pool, ek_buf_str (&rows->cells));

  *answer = (EkAnswer) { rows->n_rows, rows->columns->n_columns, rows->columns->names, (EkStr *) cells.p };
  ek_buf_release (&rows->cells);
}

/* ---- names ---- */

/* As names are compared everywhere here: without regard to case, NFC. */
static char *
folded (EkStr name)
{
  if (!g_utf8_validate (name.p, (gssize) name.n, NULL))
    return NULL;
  g_autofree char *low = g_utf8_casefold (name.p, (gssize) name.n);
  return g_utf8_normalize (low, -1, G_NORMALIZE_NFC);
}

/* Has the attribute the value?  *shown becomes true when it has any. */
static bool
has_value (LDAP *ld, LDAPMessage *entry, const char *attribute, const char *want, bool *shown)
{
  struct berval **values = ldap_get_values_len (ld, entry, attribute);
  bool found = false;

  for (guint i = 0; values && values[i] && !found; i++) {
    g_autofree char *have = folded ((EkStr) { values[i]->bv_val, values[i]->bv_len });
    found = have && strcmp (have, want) == 0;
    *shown = true;
  }
  ldap_value_free_len (values);
  return found;
}

/* One of the group's conditions is enough, and none counts whose attribute the entry does not show. */
static bool
is_same_in (LDAP *ld, LDAPMessage *entry, const LdapTemplate *filter, const EkQuery *query, guint group)
{
  bool shown = false, found = false;

  for (guint i = 0; i < filter->n_equalities && !found; i++) {
    const LdapEquality *e = &filter->equalities[i];
    g_autofree char *want = e->group == group ? folded (ek_query_value (query, e->param)) : NULL;
    found = want && has_value (ld, entry, e->attribute, want, &shown);
  }
  return found || !shown;
}

bool
ldapc_is_same (LDAP *ld, LDAPMessage *entry, const LdapTemplate *filter, const EkQuery *query)
{
  for (guint i = 0; i < filter->n_equalities; i++)
    if (!is_same_in (ld, entry, filter, query, filter->equalities[i].group))
      return false;
  return true;
}
