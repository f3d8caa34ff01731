/* fuzz-directory.c - directory: values of aliases, followed to their ends; values of transports; configurations of domains and auth_rules
 * SPDX-License-Identifier: Apache-2.0 */
/* covers: core/flow/directoryalias.c core/flow/directoryname.c core/flow/authrule.c core/flow/way.c core/module/search.c */
/* options: -max_len=4096 */
#include "fuzz.h"
#include "auth/auth.h"
#include "base/log.h"
#include "flow/directory.h"
#include "flow/way.h"
#include "index/mailbox.h"
#include "mail/address.h"
#include "module/load.h"
#include "module/search.h"
#include "proc/blocks.h"
#include "proc/role.h"
#include <string.h>

static EkLoop *loop;

/* ---- a backend that answers with the input: lines of "key=value"; "!key" is an outage, "?key" a user ---- */

static EkStr lines;

static const char *
find_line (const char *mark, EkStr key, EkStr *value, EkStr *rest)
{
  while (rest->n > 0) {
    const char *eol = memchr (rest->p, '\n', rest->n);
    EkStr line = { rest->p, eol ? (gsize) (eol - rest->p) : rest->n };
    *rest = (EkStr) { rest->p + line.n + (eol ? 1 : 0), rest->n - line.n - (eol ? 1 : 0) };
    gsize n = strlen (mark);
    if (line.n < n + key.n || memcmp (line.p, mark, n) != 0 || memcmp (line.p + n, key.p, key.n) != 0)
      continue;
    *value = (EkStr) { line.p + n + key.n, line.n - n - key.n };
    return line.p;
  }
  return NULL;
}

static EkStatus
answer_map (EkInstance *self, EkCall *call, const EkQuery *query, EkAnswer *answer)
{
  EkStr rest = lines, value;
  EkStr *cells = ek_pool_newv (call->pool, EkStr, 64);

  if (find_line ("!", query->key, &value, &rest) && value.n == 0)
    return ek_fail (&call->error, EK_DEFER, 0, "away");
  rest = lines;
  *answer = (EkAnswer) { .n_columns = 1, .cells = cells };
  while (answer->n_rows < 64 && find_line ("", query->key, &value, &rest))
    if (value.n > 0 && value.p[0] == '=')
      cells[answer->n_rows++] = (EkStr) { value.p + 1, value.n - 1 };
  return answer->n_rows ? EK_OK : EK_NOTFOUND;
}

static EkStatus
answer_account (EkInstance *self, EkCall *call, const char *name, EkAccount *account)
{
  EkStr rest = lines, value;

  account->stored = EK_STR ("{PLAIN}x");
  return find_line ("?", ek_str (name), &value, &rest) && value.n == 0 ? EK_OK : EK_NOTFOUND;
}

static EkStatus
answer_user (EkInstance *self, EkCall *call, const char *name, EkUser *user)
{
  EkAccount none;

  *user = (EkUser) { .name = name, .home = "/nonexistent/home", .uid = -1, .gid = -1 };
  return answer_account (self, call, name, &none);
}

static const EkMapOps map = { .lookup = answer_map };
static const EkPassdbOps passdb = { .lookup = answer_account };
static const EkUserdbOps userdb = { .lookup = answer_user };
static const EkMailboxOps mailbox;   /* no store works here */
static const EkModule module = {
  .abi = EK_ABI, .build = EK_BUILD, .name = "input", .flags = EK_EVENTED, .map = &map, .passdb = &passdb, .userdb = &userdb, .mailbox = &mailbox,
};

/* ---- a directory of its own ---- */

static const char conf[] =
  "input \"it\" { }\n"
  "domain \"example.com\" { aliases = it\n auth = it\n users = it\n mailboxes = it\n tag_delimiters = \"+-\" }\n"
  "domain \"other.example\" { auth = it\n users = it\n mailboxes = it }\n"
  "domain \"mapped\" { names = it\n aliases = it\n auth = it\n users = it\n mailboxes = it }\n"
  "routing { default_domain = example.com\n cache = 0\n cache_stale = 0 }\n";

static void
swallow (const char *bytes, gsize len, gpointer data)
{
}

static void
begin (void)
{
  g_autoptr (GError) error = NULL;

  if (loop)
    return;
  ek_log_set_sink (swallow, NULL);
  g_setenv ("EKIDEN_MODULE_PATH", "/nonexistent", TRUE);
  loop = ek_loop_new (NULL);
  ek_module_add (&module);
  ek_blocks_register ();
  ek_domain_blocks_register ();
  ek_block_register (&ek_auth_block);
  ek_role_register (&ek_directory_role);
  if (!ek_worker_embed (loop, EK_ROLES_ALL, conf, &error))
    g_error ("%s", error->message);
}

/* ---- aliases ---- */

typedef struct { guint n; EkStr address; } Found;

static void
found (const EkRcptFound *f, gpointer data)
{
  EkPool *pool = ek_pool_new ();
  EkAddressKey key;

  ((Found *) data)->n++;
  g_assert (f->status == EK_OK || f->status == EK_NOTFOUND || f->status == EK_DEFER);
  g_assert (f->n_targets <= 1000);
  for (guint i = 0; f->status == EK_OK && i < f->n_targets; i++)
    g_assert (ek_address_key (pool, ek_str (f->targets[i]), EK_KEY_FOLD, NULL, &key) == NULL);
  ek_pool_free (pool);
}

/* A line that is the recipient, and the backend's lines. */
static void
as_aliases (EkStr text)
{
  const char *eol = text.n ? memchr (text.p, '\n', text.n) : NULL;
  EkStr address = { text.p, eol ? (gsize) (eol - text.p) : text.n };
  Found f = { .address = address };

  lines = eol ? (EkStr) { eol + 1, text.n - address.n - 1 } : EK_STR ("");
  ek_directory_rcpt (address, address.n % 2, found, &f);
  while (f.n == 0)
    ek_loop_turn (loop, true);
  g_assert_cmpuint (f.n, ==, 1);
}

/* ---- transports ---- */

/* A line that is an address, and what a map says of it. */
static void
as_transports (EkStr text)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  const char *eol = text.n ? memchr (text.p, '\n', text.n) : NULL;
  EkStr address = { text.p, eol ? (gsize) (eol - text.p) : text.n };
  EkAddressKey key;
  EkWay way;

  ek_way_read (pool, eol ? (EkStr) { eol + 1, text.n - address.n - 1 } : EK_STR (""), &way);
  g_assert (way.transport && way.hop);
  g_assert ((way.kind >= EK_WAY_BOUNCE) == (way.dsn && *way.dsn && way.text && *way.text));
  if (ek_address_key (pool, address, EK_KEY_FOLD, "+-", &key))
    return;
  const char **keys = ek_search_keys (pool, key.full.p, key.key.p, 31);
  guint n = 0;
  while (keys[n])
    n++;
  g_assert (n > 0 && n < 40);
  g_assert (key.domain.n == 0 || strcmp (keys[n - 1], "*") == 0);
}

/* ---- blocks ---- */

static void
as_blocks (EkStr text)
{
  static const char *const listeners[] = { "mx", "submission" }, *const protocols[] = { "smtp", "imap" };
  g_autoptr (EkProblems) problems = ek_problems_new ();
  g_autoptr (GString) all = g_string_new ("input \"it\" { }\ninput \"two\" { }\n");

  g_string_append_len (all, text.p, (gssize) text.n);
  EkConf *parsed = ek_conf_load_text ("fuzz.conf", (EkStr) { all->str, all->len }, EK_CONF_NO_FILES | EK_CONF_NO_INCLUDE, problems);
  if (ek_problems_count (problems) > 0) {
    ek_conf_free (parsed);
    return;
  }
  g_autoptr (EkGeneration) gen = ek_generation_new (parsed, EK_ROLES_ALL, problems);
  EkBuf out = { 0 };
  ek_problems_print (problems, &out);
  ek_buf_release (&out);
  for (guint i = 0; gen && i < 4; i++) {
    const EkAuthRuleConf *rule = ek_auth_rule_find (gen, listeners[i % 2], protocols[i / 2], i ? "example.com" : NULL);
    g_assert (rule == NULL || (rule->auth && rule->users && rule->deny));
  }
}

/* "a" and aliases, "w" and transports, anything else and blocks. */
int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  EkStr text = { size > 1 ? (const char *) data + 1 : "", size > 1 ? size - 1 : 0 };

  begin ();
  if (size > 0 && data[0] == 'a')
    as_aliases (text);
  else if (size > 0 && data[0] == 'w')
    as_transports (text);
  else
    as_blocks (text);
  return 0;
}
