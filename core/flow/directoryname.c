/* directoryname.c - an address or login's domain, and its canonical name there
 * SPDX-License-Identifier: Apache-2.0
 *
 * A domain has a block of its own, or it is one of those that a block's map of names knows.  The maps are asked only for domains
 * without a block, so what is written down needs no database: one after the other, but one that keeps us waiting does not keep the
 * next one from being asked, so a server that hangs holds up no domain that another one knows.
 */
#include "config.h"
#include "auth/auth.h"
#include "flow/directory.h"
#include "mail/address.h"
#include "module/lookup.h"
#include "proc/role.h"
#include <string.h>

#define PATIENCE_US 250000           /* how long a map is waited for before the next one is asked too */

static struct {
  EkGeneration *generation;
  char         *default_domain;
  GPtrArray    *mapped;              /* EkDomainConf with names, in the order of the files */
  GHashTable   *blocks;              /* EkDomainConf -> EkBlockValues */
  EkTime        timeout;
} d;

typedef struct {                     /* a map that was asked */
  EkNaming    *naming;
  EkMapLookup *lookup;               /* NULL: it has answered */
} Asked;

struct EkNaming {                    /* one address under way, in the caller's pool */
  EkPool       *pool;
  EkStr         address;             /* with a domain */
  EkName        name;
  bool          away;                /* a map could not answer */
  EkGeneration *generation;          /* whose blocks these are; NULL: no map was asked */
  GPtrArray    *mapped;
  Asked        *asked;               /* one for each of mapped */
  guint         next;                /* the first that has not been asked */
  guint         open;                /* of those that have, without an answer */
  EkTimer       patience;
  EkNamed       func;
  gpointer      data;
};

/* ---- configuration ---- */

static void
take_domain (const EkBlockValues *v, gpointer data)
{
  const EkDomainConf *conf = v->values;

  g_hash_table_insert (d.blocks, (gpointer) conf, (gpointer) v);
  if (conf->names)
    g_ptr_array_add (d.mapped, (gpointer) conf);
  else if (d.default_domain == NULL && v->block->name)
    d.default_domain = g_ascii_strdown (v->block->name, -1);
}

void
ek_directory_names_configure (EkGeneration *gen)
{
  const EkRoutingConf *routing = ek_generation_values (gen, &ek_routing_block, NULL);
  const EkAuthConf *auth = ek_generation_values (gen, &ek_auth_block, NULL);

  ek_directory_names_end ();
  d.generation = ek_generation_ref (gen);
  d.timeout = auth->timeout;
  d.mapped = g_ptr_array_new ();
  d.blocks = g_hash_table_new (NULL, NULL);
  d.default_domain = g_strdup (routing->default_domain);
  ek_generation_each (gen, &ek_domain_block, take_domain, NULL);
}

void
ek_directory_names_end (void)
{
  g_clear_pointer (&d.mapped, g_ptr_array_unref);
  g_clear_pointer (&d.blocks, g_hash_table_unref);
  g_clear_pointer (&d.default_domain, g_free);
  g_clear_pointer (&d.generation, ek_generation_unref);
}

bool
ek_directory_is_default (const char *domain)
{
  return d.default_domain && strcmp (d.default_domain, domain) == 0;
}

const char *
ek_directory_default_domain (void)
{
  return d.default_domain;
}

const EkBlockValues *
ek_directory_block (const EkDomainConf *domain)
{
  return g_hash_table_lookup (d.blocks, domain);
}

/* ---- names ---- */

/* By the rules of its domain. */
static void
make_key (EkNaming *n)
{
  const EkDomainConf *conf = n->name.domain;
  EkAddressKey key;

  if (ek_address_key (n->pool, n->address, conf->fold_case ? EK_KEY_FOLD : 0, conf->tag_delimiters, &key) == NULL) {
    n->name.key = key.key.p;
    n->name.full = key.full.p ? key.full.p : key.key.p;
  }
}

static void
end (EkNaming *n, EkStatus status)
{
  EkGeneration *generation = n->generation;        /* whose blocks func sees: n may be gone after it */
  GPtrArray *mapped = n->mapped;

  if (n->name.domain)
    make_key (n);
  n->func (status, &n->name, n->data);
  ek_generation_unref (generation);
  if (mapped)
    g_ptr_array_unref (mapped);
}

static void
forget (EkNaming *n)
{
  ek_timer_cancel (ek_role_loop (), &n->patience);
  for (guint i = 0; i < n->next; i++)
    if (n->asked[i].lookup)
      ek_map_lookup_cancel (g_steal_pointer (&n->asked[i].lookup));
}

static void ask_next (EkNaming *n);

/* The first map that says so: those before it in the order of the files have been asked earlier, and have said no or kept us waiting. */
static void
answered (EkStatus status, const EkAnswer *answer, const GError *why, gpointer user)
{
  Asked *asked = user;
  EkNaming *n = asked->naming;
  guint at = (guint) (asked - n->asked);

  asked->lookup = NULL;
  n->open--;
  n->away |= status != EK_OK && status != EK_NOTFOUND;
  if (status == EK_OK) {
    forget (n);
    n->name.domain = n->mapped->pdata[at];
    end (n, EK_OK);
  }
  else if (n->next < n->mapped->len) {
    if (at + 1 == n->next)
      ask_next (n);
  }
  else if (n->open == 0)
    end (n, n->away ? EK_DEFER : EK_OK);
}

static void
impatient (EkTimer *timer)
{
  ask_next ((EkNaming *) ((char *) timer - G_STRUCT_OFFSET (EkNaming, patience)));
}

static void
ask_next (EkNaming *n)
{
  const EkDomainConf *conf = n->mapped->pdata[n->next];
  Asked *asked = &n->asked[n->next++];

  n->open++;
  *asked = (Asked) { .naming = n };
  asked->lookup = ek_map_lookup (conf->names, &(EkQuery) { .key = ek_str (n->name.domain_name) }, d.timeout, answered, asked);
  if (n->next < n->mapped->len)
    ek_timer_set (ek_role_loop (), &n->patience, PATIENCE_US);
  else
    ek_timer_cancel (ek_role_loop (), &n->patience);
}

EkNaming *
ek_directory_name (EkPool *pool, EkStr address, EkNamed func, gpointer data)
{
  EkNaming *n = ek_pool_new0 (pool, EkNaming);
  EkAddressKey key;
  const char *wrong = ek_address_key (pool, address, EK_KEY_FOLD, NULL, &key);

  *n = (EkNaming) { .pool = pool, .address = address, .func = func, .data = data };
  if (wrong == NULL && key.domain.n == 0 && d.default_domain) {
    n->address = ek_str (ek_pool_printf (pool, "%.*s@%s", EK_STR_ARG (address), d.default_domain));
    wrong = ek_address_key (pool, n->address, EK_KEY_FOLD, NULL, &key);
  }
  if (wrong) {
    end (n, EK_NOTFOUND);
    return NULL;
  }
  n->address = ek_pool_str (pool, n->address);
  n->name.key = n->name.full = key.key.p;
  n->name.domain_name = ek_pool_strndup (pool, key.domain.p, key.domain.n);
  n->name.domain = ek_domain_find (d.generation, n->name.domain_name);
  if (n->name.domain && n->name.domain->names)     /* a block's mere name */
    n->name.domain = NULL;
  if (n->name.domain || d.mapped->len == 0 || *n->name.domain_name == '\0') {
    end (n, EK_OK);
    return NULL;
  }
  n->generation = ek_generation_ref (d.generation);
  n->mapped = g_ptr_array_ref (d.mapped);
  n->asked = ek_pool_newv (n->pool, Asked, n->mapped->len);
  n->patience.func = impatient;
  ask_next (n);
  return n;
}

void
ek_directory_name_cancel (EkNaming *n)
{
  if (n == NULL || n->generation == NULL)
    return;
  forget (n);
  ek_generation_unref (n->generation);
  g_ptr_array_unref (n->mapped);
}
