/* search.c - searches: entry by entry, in pages, and where a referral points
 * SPDX-License-Identifier: Apache-2.0 */
#include "ldap.h"
#include <errno.h>
#include <string.h>

#define PAGE     500                 /* entries of a page */
#define SPARE    10                  /* more entries than the limit are asked for: some may not count (ldapc_is_same) */
#define HOPS_MAX 3                   /* referrals in a row */
#define REFS_MAX 32                  /* referrals of one answer */

typedef struct {                     /* what one request gave beside its entries */
  GPtrArray     *referrals;          /* of char **: each a list of places, one of which is enough */
  struct berval *cookie;             /* of the page; NULL or empty: it was the last */
  int            code;
} Outcome;

static EkStatus search_at (LdapConn *conn, LdapSearch *s, guint hops);

static void
free_list (gpointer list)
{
  ber_memvfree (list);
}

static EkStatus
too_many (LdapConn *conn, const LdapSearch *s)
{
  return ek_fail (&s->call->error, EK_DEFER, E2BIG, "%s: %.200s below \"%s\" finds more than %u %s: make it find fewer%s", conn->server->uri,
                  s->filter, s->base, s->limit, s->limit == 1 ? "entry" : "entries", s->limit == 1 ? "" : ", or raise size_limit");
}

/* ---- one request ---- */

static void
add_referrals (Outcome *o, char **list)
{
  if (list == NULL)
    return;
  if (o->referrals->len < REFS_MAX)
    g_ptr_array_add (o->referrals, list);
  else
    free_list (list);
}

static EkStatus
take_reference (LdapConn *conn, LDAPMessage *message, Outcome *o, GError **error)
{
  char **list = NULL;
  int rc = ldap_parse_reference (conn->ld, message, &list, NULL, 0);

  if (rc != LDAP_SUCCESS)
    return ldapc_failed (conn, "a referral", rc, error);
  add_referrals (o, list);
  return EK_OK;
}

static EkStatus
take_entry (LdapConn *conn, LDAPMessage *message, LdapSearch *s)
{
  EkStatus status = s->entry (conn, message, s->data);

  if (status == EK_NOTFOUND)
    return EK_OK;
  if (status == EK_OK && s->limit && s->n++ == s->limit)
    return too_many (conn, s);
  return status;
}

static EkStatus
take_result (LdapConn *conn, LDAPMessage *message, Outcome *o, GError **error)
{
  LDAPControl **controls = NULL;
  char **list = NULL;
  int rc = ldap_parse_result (conn->ld, message, &o->code, NULL, NULL, &list, &controls, 0);

  if (rc != LDAP_SUCCESS)
    return ldapc_failed (conn, "search", rc, error);
  add_referrals (o, list);
  LDAPControl *page = controls ? ldap_control_find (LDAP_CONTROL_PAGEDRESULTS, controls, NULL) : NULL;
  if (page) {
    ber_int_t ignored;
    o->cookie = ber_memcalloc (1, sizeof *o->cookie);
    if (ldap_parse_pageresponse_control (conn->ld, page, &ignored, o->cookie) != LDAP_SUCCESS)
      g_clear_pointer (&o->cookie, ber_bvfree);
  }
  ldap_controls_free (controls);
  return EK_OK;
}

static EkStatus
take_answers (LdapConn *conn, LdapSearch *s, int msgid, Outcome *o)
{
  EkStatus status = EK_OK;
  int type = 0;

  while (status == EK_OK && type != LDAP_RES_SEARCH_RESULT) {
    LDAPMessage *message = ldapc_await (conn, msgid, &s->call->error);
    if (message == NULL)
      return EK_DEFER;
    type = ldap_msgtype (message);
    if (type == LDAP_RES_SEARCH_ENTRY)
      status = take_entry (conn, message, s);
    else if (type == LDAP_RES_SEARCH_REFERENCE)
      status = take_reference (conn, message, o, &s->call->error);
    else if (type == LDAP_RES_SEARCH_RESULT)
      status = take_result (conn, message, o, &s->call->error);
    ldap_msgfree (message);
  }
  if (type != LDAP_RES_SEARCH_RESULT)
    ldap_abandon_ext (conn->ld, msgid, NULL, NULL);
  return status;
}

static EkStatus
request (LdapConn *conn, LdapSearch *s, struct berval *cookie, Outcome *o)
{
  LDAPControl *controls[2] = { NULL, NULL };
  int msgid, rc = LDAP_SUCCESS;

  if (s->limit == 0)
    rc = ldap_create_page_control (conn->ld, PAGE, cookie, 0, &controls[0]);
  if (rc == LDAP_SUCCESS) {
    gint64 left = conn->wire.deadline - g_get_monotonic_time ();
    struct timeval most = { .tv_sec = MAX (left / G_USEC_PER_SEC, 0) + 1 };       /* the server need not work on behind it */
    rc = ldap_search_ext (conn->ld, s->base, s->scope, s->filter, s->attributes, 0, controls[0] ? controls : NULL, NULL, &most,
                          s->limit ? (int) s->limit + SPARE : LDAP_NO_LIMIT, &msgid);
  }
  if (controls[0])
    ldap_control_free (controls[0]);
  if (rc != LDAP_SUCCESS)
    return ldapc_failed (conn, "search", rc, &s->call->error);
  return take_answers (conn, s, msgid, o);
}

/* ---- referrals ---- */

/* One place; `url` says what to look for there, and where it says nothing it is what we look for here. */
static EkStatus
visit (LdapConn *from, LdapSearch *s, const LDAPURLDesc *url, bool says_scope, guint hops)
{
  Ldap *self = from->self;
  LdapSearch there = *s;
  const LdapServer *server = ldapc_server_of (self, s->call->pool, url, &s->call->error);
  gint64 deadline = MIN (from->wire.deadline, g_get_monotonic_time () + self->connect_timeout.us);
  LdapConn *conn = server ? ldapc_open (self, server, deadline, s->call, ldapc_is_own (self, server), &s->call->error) : NULL;

  if (conn == NULL)
    return EK_DEFER;
  conn->wire.deadline = from->wire.deadline;
  conn->wire.call = s->call;
  if (url->lud_dn && url->lud_dn[0])
    there.base = url->lud_dn;
  if (says_scope && url->lud_scope >= 0)
    there.scope = url->lud_scope;
  EkStatus status = search_at (conn, &there, hops + 1);
  s->n = there.n;
  ldapc_close (conn);
  return status;
}

/* A list of places that hold the same; the first that answers will do. */
static EkStatus
follow (LdapConn *from, LdapSearch *s, char **list, guint hops)
{
  EkStatus status = EK_DEFER;
  guint before = s->n;

  for (guint i = 0; list[i] && status == EK_DEFER && s->n == before; i++) {
    LDAPURLDesc *url = NULL;
    g_clear_error (&s->call->error);
    if (ldap_url_parse (list[i], &url) != LDAP_URL_SUCCESS)
      ek_fail (&s->call->error, EK_DEFER, EINVAL, "%s refers to \"%.200s\", which is no LDAP URI", from->server->uri, list[i]);
    else
      status = visit (from, s, url, strchr (list[i], '?') != NULL, hops);
    if (url)
      ldap_free_urldesc (url);
  }
  return status;
}

static EkStatus
follow_all (LdapConn *from, LdapSearch *s, const Outcome *o, guint hops)
{
  EkStatus status = EK_OK;

  if (hops == HOPS_MAX && o->referrals->len)
    return ek_fail (&s->call->error, EK_DEFER, ELOOP, "%s refers to yet another server, after %u referrals", from->server->uri, HOPS_MAX);
  for (guint i = 0; i < o->referrals->len && status == EK_OK; i++)
    status = follow (from, s, o->referrals->pdata[i], hops);
  return status;
}

/* ---- the whole ---- */

static EkStatus
judge (LdapConn *conn, LdapSearch *s, const Outcome *o, guint hops)
{
  bool follows = conn->self->referrals;

  switch (o->code) {
  case LDAP_SUCCESS:                 /* parts that others hold are left out, as those of Active Directory's root are mostly meant to be */
    return follows ? follow_all (conn, s, o, hops) : EK_OK;
  case LDAP_REFERRAL:
    if (follows && o->referrals->len)
      return follow_all (conn, s, o, hops);
    return ek_fail (&s->call->error, EK_DEFER, 0, "%s does not hold \"%s\" and refers to %.200s: mend base or uris, or set referrals = yes",
                    conn->server->uri, s->base, o->referrals->len ? ((char **) o->referrals->pdata[0])[0] : "nobody");
  case LDAP_NO_SUCH_OBJECT:          /* a fixed base that has vanished, or that we may not see any more, is no proof that nobody is there */
    if (s->base_varies)
      return EK_NOTFOUND;
    break;
  case LDAP_SIZELIMIT_EXCEEDED:
    if (s->limit)
      return too_many (conn, s);
    break;
  default:
    break;
  }
  return ldapc_failed (conn, "search", o->code, &s->call->error);
}

static EkStatus
search_at (LdapConn *conn, LdapSearch *s, guint hops)
{
  struct berval *cookie = NULL;
  bool more = true;
  EkStatus status = EK_OK;

  while (status == EK_OK && more) {
    Outcome o = { .referrals = g_ptr_array_new_with_free_func (free_list), .code = LDAP_OTHER };
    if (s->limit == 0)               /* each page has its time */
      ldapc_begin (conn, s->call);
    status = request (conn, s, cookie, &o);
    if (status == EK_OK)
      status = judge (conn, s, &o, hops);
    g_ptr_array_unref (o.referrals);
    g_clear_pointer (&cookie, ber_bvfree);
    cookie = o.cookie;
    more = cookie && cookie->bv_len > 0;
  }
  g_clear_pointer (&cookie, ber_bvfree);
  return status;
}

/* Each has its time, as a page has. */
EkStatus
ldapc_search_within (LdapConn *conn, LdapSearch *search)
{
  ldapc_begin (conn, search->call);
  return search_at (conn, search, 0);
}

EkStatus
ldapc_search (LdapConn *conn, LdapSearch *search)
{
  EkStatus status = ldapc_search_within (conn, search);

  ldapc_end (conn);
  return status;
}
