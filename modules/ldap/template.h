/* template.h - filters, names of entries and lists of attributes, as an admin writes them
 * SPDX-License-Identifier: Apache-2.0
 *
 *   filter          = "(&(objectClass=posixAccount)(mail=:user))"
 *   user_dn         = "uid=:local,ou=people,dc=example,dc=com"
 *   user_attributes = "homeDirectory=home", "uidNumber=uid", "=quota_rule=*:storage=1G"
 *
 * `:name` is a parameter of the question (lookup/record.h), and stands only where a value does.  What is put in for it is escaped by the
 * place: as RFC 4515 section 3 says in a filter, as RFC 4514 section 2.4 says in a name.  A plain colon before a letter is written \3a.
 *
 * Nothing here needs the LDAP library.
 */
#pragma once
#include <ekiden/ekiden.h>

#define LDAPC_PARAMS_MAX  16
#define LDAPC_COLUMNS_MAX 64

typedef enum { LDAPC_FILTER, LDAPC_DN } LdapPlace;

typedef struct {                     /* a text, and the parameter behind it: NULL at the end */
  const char *text, *param;
} LdapPiece;

typedef struct {                     /* a condition (attribute=:param), not below a (!...) */
  const char *attribute, *param;
  guint       group;                 /* of the outermost (|...) that it stands in, or its own: one of a group is enough */
} LdapEquality;

typedef struct {
  const char   *option;              /* the setting that it came from, for messages */
  LdapPlace     place;
  guint         n_pieces, n_params;
  LdapPiece    *pieces;
  guint         n_equalities;        /* of a filter */
  LdapEquality *equalities;
} LdapTemplate;

/* In the pool; NULL and *error: it is no filter, or has too many parameters. */
LdapTemplate *ldapc_template_parse (EkPool *pool, const char *option, LdapPlace place, const char *text, GError **error);
/* OK with *text in the pool.  NOTFOUND: a value is empty, has a NUL or is no UTF-8: no entry is called that, and an empty one would turn
 * (mail=:local*) into everybody; or, in a DN, servers would take it for another name.  DEFER and *error: the question has no such parameter. */
EkStatus      ldapc_template_expand (const LdapTemplate *t, EkPool *pool, const EkQuery *query, char **text, GError **error);

void ldapc_escape_filter (EkBuf *out, EkStr value);
void ldapc_escape_dn (EkBuf *out, EkStr value);

/* ---- attributes as columns ---- */

typedef struct {
  guint       column;
  const char *attribute;             /* NULL: always `literal` */
  const char *literal;               /* a template of the user's name (lookup/template.h) */
} LdapSource;

typedef struct {
  guint        n_columns, n_sources;
  const char **names;                /* in lower case */
  LdapSource  *sources;
} LdapColumns;

/* Items are "attribute" (the column is called after it), "attribute=column" or "=column=text".  NULL and *error. */
LdapColumns *ldapc_columns_parse (EkPool *pool, const char *option, char *const *items, GError **error);
/* Is `name`, as an entry shows it, this attribute?  A server may give many values in parts: member;range=0-1499, and member;range=1500-* for the
 * last of them ([MS-ADTS] section 3.1.1.3.1.3.3).  All other options belong to the name. */
typedef enum { LDAPC_OTHER, LDAPC_WHOLE, LDAPC_PART, LDAPC_NONSENSE } LdapShown;
typedef struct {
  guint first, last;                 /* counted from 0; LDAPC_LAST: up to the last one */
} LdapRange;
#define LDAPC_LAST G_MAXUINT
LdapShown    ldapc_attribute_shown (EkStr name, EkStr attribute, LdapRange *range);
/* What has to be asked for, NULL-terminated, in the pool: the attributes of the columns and of the filter's equalities. */
char       **ldapc_attributes (EkPool *pool, const LdapColumns *columns, const LdapTemplate *filter);
