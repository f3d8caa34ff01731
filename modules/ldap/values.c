/* values.c - all values of an entry's attribute, also where a server gives them only in parts
 * SPDX-License-Identifier: Apache-2.0
 *
 * Active Directory gives at most 1,500 values at once, as member;range=0-1499, and who wants the others asks the entry for member;range=1500-*, until
 * an answer ends in * ([MS-ADTS] section 3.1.1.3.1.3.3).  Parts that do not fit together are an error that defers: a group is never taken for a
 * smaller one.
 */
#include "ldap.h"
#include <errno.h>
#include <string.h>

#define PARTS_MAX 100                /* of one attribute */

typedef struct {
  LdapValues *values;
  EkPool     *pool;
  EkCall     *call;
  const char *attribute, *dn;
  guint       next;                  /* values of the attribute so far */
  bool        shown, more;           /* by the entry that was read last */
} Fetch;

void
ldapc_values_add (LdapValues *v, EkPool *pool, EkStr value)
{
  if (v->n == v->room) {
    v->room = MAX (2 * v->room, 8);
    EkStr *all = ek_pool_newv (pool, EkStr, v->room);
    if (v->n)
      memcpy (all, v->values, sizeof *all * v->n);
    v->values = all;
  }
  v->values[v->n++] = ek_pool_str (pool, value);
  v->bytes += value.n;
}

/* ---- one entry ---- */

/* One of its attributes.  Beside the first part of ours there may be one without an option and without values. */
static EkStatus
take_attribute (Fetch *f, LdapConn *at, EkStr name, const struct berval *values)
{
  LdapRange range;
  LdapShown shown = ldapc_attribute_shown (name, ek_str (f->attribute), &range);
  guint n = 0;

  while (values && values[n].bv_val)
    n++;
  if (shown == LDAPC_OTHER || (shown == LDAPC_WHOLE && n == 0))
    return EK_OK;
  if (shown == LDAPC_NONSENSE || f->shown || range.first != f->next || (range.last != LDAPC_LAST && range.last - range.first + 1 != n))
    return ek_fail (&f->call->error, EK_DEFER, EPROTO, "%s: \"%.*s\" with %u values makes no sense behind the first %u of %s", at->server->uri,
                    (int) MIN (name.n, 100), name.p, n, f->next, f->attribute);
  for (guint i = 0; i < n; i++)
    ldapc_values_add (f->values, f->pool, (EkStr) { values[i].bv_val, values[i].bv_len });
  f->next += n;
  f->shown = true;
  f->more = range.last != LDAPC_LAST;
  return EK_OK;
}

static EkStatus
take_entry (LdapConn *at, LDAPMessage *entry, gpointer data)
{
  Fetch *f = data;
  BerElement *ber = NULL;
  struct berval dn, name = { 0 };
  EkStatus status = EK_OK;
  int rc = ldap_get_dn_ber (at->ld, entry, &ber, &dn);

  f->shown = f->more = false;
  do {
    struct berval *values = NULL;
    if (rc == LDAP_SUCCESS)
      rc = ldap_get_attribute_ber (at->ld, entry, ber, &name, &values);
    if (rc == LDAP_SUCCESS && name.bv_val)
      status = take_attribute (f, at, (EkStr) { name.bv_val, name.bv_len }, values);
    ber_memfree (values);
  } while (rc == LDAP_SUCCESS && name.bv_val && status == EK_OK);
  if (ber)
    ber_free (ber, 0);
  return rc == LDAP_SUCCESS ? status : ldapc_failed (at, "an entry", rc, &f->call->error);
}

/* ---- the parts behind the first ---- */

static EkStatus
ask_for_more (Fetch *f, LdapConn *at)
{
  char *attributes[] = { ek_pool_printf (f->pool, "%s;range=%u-*", f->attribute, f->next), NULL };
  LdapSearch search = {
    .call = f->call, .base = f->dn, .filter = "(objectClass=*)", .scope = LDAP_SCOPE_BASE, .attributes = attributes, .limit = 1,
    .entry = take_entry, .data = f,
  };

  f->shown = false;
  EkStatus status = ldapc_search_within (at, &search);
  if (status == EK_OK && !f->shown)
    return ek_fail (&f->call->error, EK_DEFER, EPROTO, "%s: %.200s: the values of %s behind the first %u are not given", at->server->uri, f->dn,
                    f->attribute, f->next);
  return status;
}

static EkStatus
ask_for_rest (Fetch *f, LdapConn *at)
{
  EkStatus status = EK_OK;

  for (guint parts = 1; f->more && status == EK_OK; parts++)
    if (f->values->n >= LDAPC_ROWS_MAX || f->values->bytes > LDAPC_BYTES_MAX || parts == PARTS_MAX)
      status = ek_fail (&f->call->error, EK_DEFER, E2BIG, "%s: %.200s: %s has more than %u values, %u bytes or %u parts", at->server->uri, f->dn,
                        f->attribute, LDAPC_ROWS_MAX, LDAPC_BYTES_MAX, PARTS_MAX);
    else
      status = ask_for_more (f, at);
  return status;
}

EkStatus
ldapc_values_of (LdapValues *values, EkPool *pool, LdapConn *at, EkCall *call, LDAPMessage *entry, const char *attribute)
{
  Fetch f = { .values = values, .pool = pool, .call = call, .attribute = attribute };
  EkStatus status = take_entry (at, entry, &f);

  if (status != EK_OK || !f.more)
    return status;
  char *dn = ldap_get_dn (at->ld, entry);
  f.dn = ek_pool_strdup (pool, dn ? dn : "");
  ldap_memfree (dn);
  return ask_for_rest (&f, at);
}
