/* directoryalias.c - who gets the mail for an address: its aliases and theirs, down to mailboxes and other hosts
 * SPDX-License-Identifier: Apache-2.0
 *
 * The maps of a domain are asked in Postfix's order (virtual(5)): the whole address, the address without its tag, and, for a domain
 * that is the default one, its local part with the tag and without; whoever is not found that way and has no mailbox gets what the
 * catch-all entry "@domain" says.  (There a catch-all takes the mail of mailboxes too, unless each has an entry of its own.)  A value
 * may hold several addresses.  One that leads back to an address which was met before is that address itself, so that `anna@ -> anna@, archive@` gives
 * her a copy and "anna@ -> anna@", as PostfixAdmin has it for each mailbox, is no loop.
 *
 * It is done once, while the sender waits: what is in the queue are the addresses that were found.
 *
 * What came of it is remembered for the time that a backend is away.  The answers of maps and userdbs alone, which are remembered too,
 * would not do: that somebody has no alias is never told from memory, so no user could be told to be one.  It counts after a reload too
 * where each domain that was met on the way is still what it was.
 */
#include "config.h"
#include "flow/directory.h"
#include "flow/facts.h"
#include "lookup/cache.h"
#include "mail/address.h"
#include "module/fingerprint.h"
#include "module/search.h"
#include <string.h>

#define CACHE_MAX   50000            /* addresses that are remembered */
#define TARGETS_MAX 1000             /* that one address may have, aliases on the way counted */

typedef struct {                     /* a domain that was met on the way */
  const char          *name;
  const EkBlockValues *block;        /* NULL: it is none of ours */
} Met;

typedef struct {                     /* one address under way, in a pool of its own */
  EkPool      *pool;
  EkRcptFunc   func;
  gpointer     data;
  EkGeneration *generation;          /* of the last question; those before it are held by the pool */
  EkRcptFound  found;                /* what is told: of the address itself */
  EkStr        address;              /* it, as it was given */
  const char  *full;                 /* its canonical form; NULL: it has none */
  char        *wrong;                /* found.wrong */

  /* made at the first alias: most addresses are none */
  GPtrArray   *todo;                 /* it and those that it leads to, which may be aliases; NULL: it alone */
  guint        at;                   /* the one under way */
  GHashTable  *met;                  /* set of what ever was in todo, by its key */
  GPtrArray   *targets;              /* what was found */
  guint        good;                 /* addresses in the alias that is read */
  GArray      *domains;              /* of Met; NULL: what comes of it is not remembered */

  EkName       name;                 /* of the one under way */
  EkNaming    *naming;
  EkSearch    *search;
  bool         aliases_only;         /* where there are none, nobody need be asked who exists */
  bool         broken;               /* an alias is wrong: a mistake, which no memory bridges */
  bool         caught;               /* what is asked is the catch-all: it has no mailbox */
  bool         running, again, over; /* what is known at once is worked off in a loop, not in itself */
  GList        link;                 /* in `all` */
} Expansion;

typedef struct {                     /* a domain that was met then */
  const char   *name, *block;        /* block: what its block is called; NULL: it was none of ours */
  EkFingerprint print;
} MetThen;

typedef struct {                     /* what came of one earlier */
  const char  *block, *domain_name;  /* its domain */
  guint        n_targets, n_domains;
  const char **targets;
  MetThen     *domains;
} Known;

static GQueue all;
static struct {
  EkCache *cache;                    /* canonical address -> Known */
  char    *names;                    /* what names without a domain, and postmaster's, stood for */
} known;

static void next (Expansion *x);

static void
let_go (gpointer generation)
{
  ek_generation_unref (generation);
}

/* Before a question: its answer's domain is one of the generation of now, and is kept to the end. */
static void
hold (Expansion *x)
{
  EkGeneration *now = ek_role_generation ();

  if (now == x->generation)
    return;
  ek_pool_cleanup (x->pool, let_go, x->generation);
  x->generation = ek_generation_ref (now);
}

/* Of an answer, whose domain may be one of a later generation than the question's. */
static void
hold_too (Expansion *x, EkGeneration *generation)
{
  if (generation && generation != x->generation)
    ek_pool_cleanup (x->pool, let_go, ek_generation_ref (generation));
}

static bool
is_first (const Expansion *x)
{
  return x->at == 0;
}

/* The address under way. */
static const char *
current (const Expansion *x)
{
  return x->todo ? x->todo->pdata[x->at] : x->address.p;
}

static void
make_lists (Expansion *x)
{
  EkAddressKey key;

  if (x->todo)
    return;
  x->todo = g_ptr_array_new ();
  x->targets = g_ptr_array_new ();
  x->met = g_hash_table_new (g_str_hash, g_str_equal);
  g_ptr_array_add (x->todo, (gpointer) x->address.p);
  if (ek_address_key (x->pool, x->address, EK_KEY_FOLD, NULL, &key) == NULL)
    g_hash_table_add (x->met, (gpointer) key.key.p);
}

/* ---- what is remembered ---- */

void
ek_directory_rcpts_configure (EkGeneration *gen)
{
  const EkRoutingConf *routing = ek_generation_values (gen, &ek_routing_block, NULL);

  const char *domain = ek_directory_default_domain ();
  g_autofree char *names = g_strdup_printf ("%s %s", domain ? domain : "", routing->postmaster ? routing->postmaster : "");

  known.cache = ek_cache_renew (known.cache, &(EkCacheConf) { .stale = routing->cache_stale, .entries_max = CACHE_MAX });
  if (g_strcmp0 (known.names, names) != 0)
    ek_cache_clear (known.cache);
  g_free (known.names);
  known.names = g_steal_pointer (&names);
}

static void
meet (Expansion *x, const char *name, const EkDomainConf *domain)
{
  Met met = { name, domain ? ek_directory_block (domain) : NULL };

  if (x->domains == NULL)
    return;
  if (domain && met.block == NULL) { /* a reload came in between: let it be found anew */
    g_clear_pointer (&x->domains, g_array_unref);
    return;
  }
  for (guint i = 0; i < x->domains->len; i++)
    if (strcmp (g_array_index (x->domains, Met, i).name, name) == 0)
      return;
  met.name = ek_pool_strdup (x->pool, name);
  g_array_append_val (x->domains, met);
}

/* That a map of names knows the domain still is not asked: it may be what is away. */
static bool
is_still_so (EkGeneration *gen, const MetThen *then)
{
  const EkDomainConf *own = ek_domain_find (gen, then->name);
  const EkBlockValues *v = then->block ? ek_generation_block (gen, &ek_domain_block, then->block) : NULL;
  bool has_own = own && own->names == NULL;

  if (then->block == NULL)
    return !has_own;
  return v && (!has_own || own == v->values) && ek_fingerprint_eq (then->print, ek_block_fingerprint (v));
}

static MetThen *
copy_met (EkPool *pool, const GArray *domains)
{
  MetThen *copy = ek_pool_newv (pool, MetThen, domains->len);

  for (guint i = 0; i < domains->len; i++) {
    const Met *met = &g_array_index (domains, Met, i);
    copy[i] = (MetThen) { .name = ek_pool_strdup (pool, met->name) };
    if (met->block) {
      copy[i].block = ek_pool_strdup (pool, met->block->block->name);
      copy[i].print = ek_block_fingerprint (met->block);
    }
  }
  return copy;
}

static const char **
copy_targets (EkPool *pool, guint n, const char *const *targets)
{
  const char **copy = ek_pool_newv (pool, const char *, n + 1);

  for (guint i = 0; i < n; i++)
    copy[i] = ek_pool_strdup (pool, targets[i]);
  return copy;
}

/* A clean answer.  Where there are no aliases, what is remembered of users will do. */
static void
remember (const Expansion *x, EkStatus status)
{
  const EkRcptFound *f = &x->found;

  if (x->full == NULL || f->domain == NULL || f->domain->aliases[0] == NULL || f->wrong || x->domains == NULL
      || ek_directory_block (f->domain) == NULL)
    return;
  EkCached *c = ek_cache_put (known.cache, ek_str (x->full), status, ek_now ());
  if (c == NULL || status != EK_OK)
    return;
  Known *k = c->data = ek_pool_new0 (c->pool, Known);
  *k = (Known) { .block = ek_pool_strdup (c->pool, ek_directory_block (f->domain)->block->name),
                 .domain_name = ek_pool_strdup (c->pool, f->domain_name), .n_targets = f->n_targets,
                 .targets = copy_targets (c->pool, f->n_targets, f->targets),
                 .n_domains = x->domains->len, .domains = copy_met (c->pool, x->domains) };
}

/* Nobody can tell now: what was found the last time. */
static bool
recall (Expansion *x)
{
  const EkCached *c = x->full ? ek_cache_find (known.cache, ek_str (x->full), ek_now ()) : NULL;

  if (c == NULL || c->status != EK_OK || x->broken)
    return false;
  const Known *k = c->data;
  hold (x);
  for (guint i = 0; i < k->n_domains; i++)
    if (!is_still_so (x->generation, &k->domains[i]))
      return false;
  x->found.domain = ek_domain_find (x->generation, k->block);
  x->found.domain_name = ek_pool_strdup (x->pool, k->domain_name);
  x->found.n_targets = k->n_targets;
  x->found.targets = copy_targets (x->pool, k->n_targets, k->targets);
  return true;
}

/* ---- the end ---- */

static void
tell (Expansion *x)
{
  g_queue_unlink (&all, &x->link);
  x->func (&x->found, x->data);
  g_free (x->wrong);
  if (x->todo) {
    g_ptr_array_unref (x->todo);
    g_ptr_array_unref (x->targets);
    g_hash_table_unref (x->met);
  }
  if (x->domains)
    g_array_unref (x->domains);
  ek_generation_unref (x->generation);
  ek_pool_free (x->pool);            /* x with it */
}

static void
end (Expansion *x, EkStatus status)
{
  x->found.status = status == EK_DEFER && recall (x) ? EK_OK : status;
  if (status == EK_OK && x->targets) {
    x->found.n_targets = x->targets->len;
    x->found.targets = (const char *const *) x->targets->pdata;
  }
  if (status != EK_DEFER)
    remember (x, status);
  x->over = true;
  if (!x->running)
    tell (x);
}

/* What the alias says cannot be followed: its mail waits until that is mended. */
static void
end_broken (Expansion *x)
{
  x->broken = true;
  end (x, EK_DEFER);
}

/* The address under way has no aliases: it gets the mail.  The address itself, when it has none at all, is not told as its own target. */
static void
take_itself (Expansion *x)
{
  if (!is_first (x))
    g_ptr_array_add (x->targets, (gpointer) current (x));
  x->at++;
  next (x);
}

/* ---- values ---- */

/* "LOCAL@THERE", quoted if it has to be. */
static EkStr
address_of (Expansion *x, EkStr local, EkStr tag, EkStr there)
{
  EkBuf name = { 0 }, out = { 0 };

  ek_buf_append (&name, local.p, local.n);
  ek_buf_append (&name, tag.p, tag.n);
  ek_address_quote_local (&out, ek_buf_str (&name));
  ek_buf_appendc (&out, '@');
  ek_buf_append (&out, there.p, there.n);
  EkStr address = ek_pool_str (x->pool, ek_buf_str (&out));
  ek_buf_release (&name);
  ek_buf_release (&out);
  return address;
}

static gsize
local_length (const char *key)
{
  const char *at = strrchr (key, '@');

  return at ? (gsize) (at - key) : strlen (key);
}

/* "user+tag@there" when the tag was not in the key that was found. */
static EkStr
with_tag (Expansion *x, EkStr target)
{
  const char *full = x->name.full, *key = x->name.key;
  gsize n = strlen (full) - strlen (key);          /* the delimiter and the tag, behind the local part */
  EkAddressKey parts;

  if (n == 0 || ek_address_key (x->pool, target, 0, x->name.domain->tag_delimiters, &parts) || parts.tag.p)
    return target;
  return address_of (x, parts.local, (EkStr) { full + local_length (key), n }, parts.domain);
}

/* The whole address that one of a value stands for. */
static EkStr
make_target (Expansion *x, EkStr text, bool tagged)
{
  EkAddressKey parts;

  if (text.p[0] == '@')              /* the same user there (virtual(5)) */
    return address_of (x, (EkStr) { x->name.full, local_length (x->name.full) }, EK_STR (""), (EkStr) { text.p + 1, text.n - 1 });
  if (ek_address_key (x->pool, text, 0, NULL, &parts))
    return text;
  if (parts.domain.n == 0)
    text = ek_str (ek_pool_printf (x->pool, "%.*s@%s", EK_STR_ARG (text), x->name.domain_name));
  return tagged ? text : with_tag (x, text);
}

/* One address of a value; false: too many. */
static bool
add_target (Expansion *x, EkStr text, bool tagged)
{
  EkAddressKey key;
  EkStr whole = make_target (x, text, tagged);

  if (ek_address_key (x->pool, whole, EK_KEY_FOLD, NULL, &key)) {
    ek_log (EK_WARN, "directory", "alias %s: \"%.*s\" is no address: left out", x->name.key, EK_STR_ARG (whole));
    return true;
  }
  const char *target = ek_pool_strndup (x->pool, whole.p, whole.n);
  x->good++;
  if (g_hash_table_contains (x->met, key.key.p)) {
    if (g_ascii_strcasecmp (key.key.p, x->name.key) == 0 || g_ascii_strcasecmp (key.key.p, x->name.full) == 0)       /* folded, which those need not be */
      g_ptr_array_add (x->targets, (gpointer) target);     /* its own mailbox too */
    return true;
  }
  if (x->todo->len + x->targets->len >= TARGETS_MAX)
    return false;
  g_hash_table_add (x->met, (gpointer) key.key.p);
  g_ptr_array_add (x->todo, (gpointer) target);
  return true;
}

/* A value that is NULL or blank names nobody: such a row counts as if it were not there, as in Postfix. */
static bool
says_nothing (const EkAnswer *answer)
{
  for (guint i = 0; i < answer->n_rows; i++)
    if (ek_str_trim (answer->cells[(gsize) i * answer->n_columns]).n > 0)
      return false;
  return true;
}

/* Cuts the next address off: commas and blanks separate, but not in a quoted string (RFC 5322 3.2.4).  Empty: two separators. */
static EkStr
next_word (EkStr *rest)
{
  bool quoted = false;
  gsize n = 0;

  for (; n < rest->n; n++) {
    char c = rest->p[n];
    if (quoted && c == '\\' && n + 1 < rest->n)
      n++;
    else if (c == '"')
      quoted = !quoted;
    else if (!quoted && (c == ',' || g_ascii_isspace (c)))
      break;
  }
  EkStr word = { rest->p, n };
  n = MIN (n + 1, rest->n);
  *rest = (EkStr) { rest->p + n, rest->n - n };
  return word;
}

/* "a@example.com, b@example.com" in each row. */
static bool
add_targets (Expansion *x, const EkAnswer *answer, bool tagged)
{
  make_lists (x);
  x->good = 0;
  for (guint i = 0; i < answer->n_rows; i++) {
    EkStr rest = answer->cells[(gsize) i * answer->n_columns];
    while (rest.n > 0) {
      EkStr word = next_word (&rest);
      if (word.n > 0 && !add_target (x, word, tagged))
        return false;
    }
  }
  return true;
}

/* ---- one address ---- */

static void look (Expansion *x, guint what);

static void
user_found (const EkUserFound *f, gpointer data)
{
  Expansion *x = data;

  hold_too (x, f->generation);
  if (f->domain_name && *f->domain_name)
    meet (x, f->domain_name, f->domain);
  if (is_first (x)) {                /* postmaster's may be another one than his name says */
    x->found.domain = f->domain;
    x->found.domain_name = ek_pool_strdup (x->pool, f->domain_name);
  }
  if (is_first (x) && f->status == EK_OK && f->user)
    x->found.wrong = x->wrong = ek_directory_store_wrong (x->generation, f->user);
  if (f->status == EK_DEFER)
    end (x, EK_DEFER);
  else if (f->status == EK_OK)
    take_itself (x);
  else
    look (x, EK_SEARCH_CATCH_ALL);
}

/* Nobody has the name. */
static void
nobody (Expansion *x)
{
  if (is_first (x))
    end (x, EK_NOTFOUND);
  else {                             /* an alias that leads nowhere: its sender hears of it */
    ek_log (EK_WARN, "directory", "%.*s has the alias %s, which is nobody", EK_STR_ARG (x->address), current (x));
    take_itself (x);
  }
}

static void
find_user (Expansion *x)
{
  hold (x);
  ek_directory_user (ek_str (current (x)), user_found, x);
}

/* Whether the tag is in the key that was found: "user+tag@domain", and "user+tag" of the default domain. */
static bool
has_tag (const Expansion *x, const char *key)
{
  gsize n = strlen (key);

  return strcmp (key, x->name.full) == 0 || (n == local_length (x->name.full) && memcmp (key, x->name.full, n) == 0);
}

static void
searched (EkStatus status, const EkAnswer *answer, const char *key, gpointer user)
{
  Expansion *x = user;

  x->search = NULL;
  if (status == EK_OK && says_nothing (answer))
    status = EK_NOTFOUND;
  if (status == EK_DEFER)
    end (x, EK_DEFER);
  else if (status == EK_NOTFOUND && x->caught)
    nobody (x);
  else if (status == EK_NOTFOUND)
    find_user (x);
  else if (!add_targets (x, answer, x->caught || has_tag (x, key))) {
    ek_log (EK_ERR, "directory", "%.*s leads to more than %u addresses: split it", EK_STR_ARG (x->address), TARGETS_MAX);
    end_broken (x);
  } else if (x->good == 0) {         /* else it would be taken for who has no alias, and be nobody's a moment later */
    ek_log (EK_ERR, "directory", "alias %s has no address in it: mail for it waits until that is mended", key);
    end_broken (x);
  } else {
    x->at++;
    next (x);
  }
}

static void
look (Expansion *x, guint what)
{
  x->caught = what == EK_SEARCH_CATCH_ALL;
  x->search = ek_search (x->name.domain->aliases, ek_search_keys (x->pool, x->name.full, x->name.key, what), x->name.full,
                         (EkTime) { 30 * G_USEC_PER_SEC }, searched, x);
}

static void
named (EkStatus status, const EkName *name, gpointer data)
{
  Expansion *x = data;
  bool ours = status == EK_OK && name->domain && name->domain->transport == NULL;

  x->naming = NULL;
  x->name = *name;
  if (is_first (x) && status == EK_OK && name->domain && name->domain->aliases[0] && !x->aliases_only)
    x->domains = g_array_new (FALSE, FALSE, sizeof (Met));
  if (status == EK_OK && *name->domain_name)
    meet (x, name->domain_name, name->domain);
  if (is_first (x)) {
    x->found.domain = name->domain;
    x->found.domain_name = name->domain_name;
    x->full = name->full;
  }
  if (status == EK_DEFER || (status != EK_OK && is_first (x)))
    end (x, status);
  else if (!ours && (name->domain || *name->domain_name))
    take_itself (x);
  else if (!ours)                    /* no domain, and none is the default: postmaster, or nobody */
    find_user (x);
  else if (name->domain->aliases[0])
    look (x, EK_SEARCH_ADDRESS | (ek_directory_is_default (name->domain_name) ? EK_SEARCH_LOCAL : 0));
  else if (x->aliases_only)
    take_itself (x);
  else
    find_user (x);
}

/* The next address, or the end. */
static void
next (Expansion *x)
{
  x->again = true;
  if (x->running)
    return;
  x->running = true;
  while (x->again && !x->over) {
    x->again = false;
    if (x->at == (x->todo ? x->todo->len : 1)) {
      end (x, EK_OK);
      continue;
    }
    hold (x);
    x->naming = ek_directory_name (x->pool, ek_str (current (x)), named, x);
  }
  x->running = false;
  if (x->over)
    tell (x);
}

void
ek_directory_rcpt (EkStr address, bool aliases_only, EkRcptFunc func, gpointer data)
{
  EkPool *pool = ek_pool_new ();
  Expansion *x = ek_pool_new0 (pool, Expansion);

  *x = (Expansion) { .pool = pool, .func = func, .data = data, .generation = ek_generation_ref (ek_role_generation ()) };
  x->address = ek_pool_str (pool, address);
  x->aliases_only = aliases_only;
  x->link.data = x;
  g_queue_push_tail_link (&all, &x->link);
  next (x);
}

void
ek_directory_rcpts_end (void)
{
  while (all.head) {
    Expansion *x = all.head->data;
    ek_directory_name_cancel (g_steal_pointer (&x->naming));
    ek_search_cancel (g_steal_pointer (&x->search));
    end (x, EK_DEFER);
  }
  g_clear_pointer (&known.cache, ek_cache_free);
  g_clear_pointer (&known.names, g_free);
}
