/* rows.c - entries as rows of columns, and whether an entry is called as it was asked for
 * SPDX-License-Identifier: Apache-2.0 */
#include "ldap.h"
#include "lookup/params.h"
#include "lookup/template.h"
#include <errno.h>
#include <string.h>

/* ---- values ---- */

/* A fixed value of a record stands in for one that the entry has not. */
static EkStatus
add_literal (LdapRows *rows, LdapValues *v, const char *column, const char *text)
{
  bool path = strcmp (column, "home") == 0 || strcmp (column, "mail") == 0;

  if (rows->record && v->n > 0)
    return EK_OK;
  char *made = ek_template_expand (rows->pool, text, rows->user ? rows->user : "", path, &rows->call->error);
  if (made == NULL)
    return EK_DEFER;
  ldapc_values_add (v, rows->pool, ek_str (made));
  return EK_OK;
}

/* The values of each column; *n_rows: how many the longest of those with an attribute has. */
static EkStatus
gather (LdapRows *rows, LdapConn *at, LDAPMessage *entry, LdapValues *of, guint *n_rows)
{
  const LdapColumns *c = rows->columns;
  EkStatus status = EK_OK;
  bool any = false;

  *n_rows = 0;
  for (guint i = 0; i < c->n_sources && status == EK_OK; i++) {
    const LdapSource *source = &c->sources[i];
    LdapValues *v = &of[source->column];
    guint had = v->n;
    if (source->attribute == NULL) {
      status = add_literal (rows, v, c->names[source->column], source->literal);
      continue;
    }
    status = ldapc_values_of (v, rows->pool, at, rows->call, entry, source->attribute);
    any = true;
    if (v->n > had)
      *n_rows = MAX (*n_rows, v->n);
  }
  for (guint i = 0; i < c->n_columns; i++)
    rows->bytes += of[i].bytes;
  if (!any)
    *n_rows = 1;
  return status;
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
one_cell (LdapRows *rows, LDAP *ld, LDAPMessage *entry, const char *column, const LdapValues *v, EkStr *cell)
{
  EkBuf list = { 0 };

  *cell = v->n ? v->values[0] : (EkStr) { NULL, 0 };
  if (v->n < 2)
    return EK_OK;
  if (is_single (column))
    return refuse_several (ld, entry, column, v->n, &rows->call->error);
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
add_record (LdapRows *rows, LDAP *ld, LDAPMessage *entry, const LdapValues *of)
{
  const LdapColumns *c = rows->columns;
  EkStatus status = EK_OK;

  for (guint i = 0; i < c->n_columns && status == EK_OK; i++) {
    EkStr cell;
    status = one_cell (rows, ld, entry, c->names[i], &of[i], &cell);
    ek_buf_append (&rows->cells, &cell, sizeof cell);
  }
  rows->n_rows++;
  return status;
}

/* A column with one value has it in each row. */
static void
add_rows (LdapRows *rows, const LdapValues *of, guint n_rows)
{
  for (guint row = 0; row < n_rows; row++)
    for (guint i = 0; i < rows->columns->n_columns; i++) {
      const LdapValues *v = &of[i];
      EkStr cell = v->n == 1 ? v->values[0] : row < v->n ? v->values[row] : (EkStr) { NULL, 0 };
      ek_buf_append (&rows->cells, &cell, sizeof cell);
    }
  rows->n_rows += n_rows;
}

EkStatus
ldapc_rows_add (LdapRows *rows, LdapConn *at, LDAPMessage *entry)
{
  LdapValues of[LDAPC_COLUMNS_MAX] = { 0 };
  guint n_rows;
  EkStatus status = gather (rows, at, entry, of, &n_rows);

  if (status != EK_OK)
    return status;
  if (rows->bytes > LDAPC_BYTES_MAX || n_rows > LDAPC_ROWS_MAX - rows->n_rows)
    return ek_fail (&rows->call->error, EK_DEFER, E2BIG, "the answer has more than %u rows or %u bytes: ask for less", LDAPC_ROWS_MAX,
                    LDAPC_BYTES_MAX);
  if (rows->record)
    return add_record (rows, at->ld, entry, of);
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

typedef struct {                     /* an entry that was found */
  LdapConn    *at;
  EkCall      *call;
  LDAPMessage *entry;
} Found;

/* Has the attribute the value?  NOTFOUND: no.  *shown becomes true when it has any. */
static EkStatus
has_value (const Found *f, const char *attribute, const char *want, bool *shown)
{
  LdapValues v = { 0 };
  EkStatus status = ldapc_values_of (&v, f->call->pool, f->at, f->call, f->entry, attribute);
  bool found = false;

  for (guint i = 0; i < v.n && !found; i++) {
    g_autofree char *have = folded (v.values[i]);
    found = have && strcmp (have, want) == 0;
  }
  *shown |= v.n > 0;
  return status == EK_OK && !found ? EK_NOTFOUND : status;
}

/* One of the group's conditions is enough, and none counts whose attribute the entry does not show. */
static EkStatus
is_same_in (const Found *f, const LdapTemplate *filter, const EkQuery *query, guint group)
{
  EkStatus status = EK_NOTFOUND;
  bool shown = false;

  for (guint i = 0; i < filter->n_equalities && status == EK_NOTFOUND; i++) {
    const LdapEquality *e = &filter->equalities[i];
    g_autofree char *want = e->group == group ? folded (ek_query_value (query, e->param)) : NULL;
    if (want)
      status = has_value (f, e->attribute, want, &shown);
  }
  return status == EK_NOTFOUND && !shown ? EK_OK : status;
}

EkStatus
ldapc_is_same (LdapConn *at, EkCall *call, LDAPMessage *entry, const LdapTemplate *filter, const EkQuery *query)
{
  Found f = { at, call, entry };
  EkStatus status = EK_OK;

  for (guint i = 0; i < filter->n_equalities && status == EK_OK; i++)
    status = is_same_in (&f, filter, query, filter->equalities[i].group);
  return status;
}
