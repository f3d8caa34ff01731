/* check.c - the configuration, checked by a child that has no rights
 * SPDX-License-Identifier: Apache-2.0
 *
 * Modules are code that master must never run.  The child has the tree by fork(), reports one mask a
 * block through a pipe, and is gone.
 */
#include "config.h"
#include "proc/check.h"
#include "base/log.h"
#include "proc/blocks.h"
#include "proc/pack.h"
#include "proc/priv.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANSWER_MAX (4u << 20)
#define PATIENCE   30000             /* ms */

static void
mark_login (const EkBlockValues *v, gpointer data)
{
  guint32 *masks = data;

  if (v->protocol && v->protocol->module && v->protocol->module->after_login)
    masks[v->block->index] |= EK_CHECK_LOGIN;
}

static void
write_all (int fd, const char *p, gsize n)
{
  while (n > 0) {
    ssize_t k = write (fd, p, n);
    if (k < 0 && errno != EINTR)
      break;
    if (k > 0)
      p += k, n -= (gsize) k;
  }
}

static void
put_problems (EkProblems *problems, EkBuf *out)
{
  const EkProblem *p;
  guint n = 0;

  while (ek_problems_get (problems, n))
    n++;
  ek_pack_u64 (out, n);
  for (guint i = 0; (p = ek_problems_get (problems, i)); i++) {
    ek_pack_text (out, p->file);
    ek_pack_u64 (out, p->line);
    ek_pack_u64 (out, p->column);
    ek_pack_text (out, p->text);
  }
}

/* In the child. */
static void
check (EkConf *conf, EkCheckFunc more, gpointer data, int fd)
{
  EkProblems *problems = ek_problems_new ();
  EkIdentity nobody = { .uid = ek_priv_am_root () ? 65534 : -1, .gid = 65534 };
  g_autoptr (GError) error = NULL;
  EkBuf out = { 0 };

  EkGeneration *gen = NULL;
  if (ek_priv_become (&nobody, &error) && ek_priv_enclose (&nobody, &error)) {
    more (data, problems);           /* first: a generation that fails takes the tree with it */
    gen = ek_generation_new (conf, EK_ROLES_ALL, problems);
  }
  else
    ek_problems_add (problems, NULL, "the check could not give up its rights: %s", error->message);
  put_problems (problems, &out);
  guint n = 0;
  g_autofree guint32 *masks = gen ? ek_conf_roles (ek_generation_conf (gen), &n) : NULL;
  if (gen)
    ek_generation_each (gen, &ek_listener_block, mark_login, masks);
  ek_pack_u64 (&out, gen ? n + 1 : 0);
  for (guint i = 0; i < n; i++)
    ek_pack_u64 (&out, masks[i]);
  write_all (fd, ek_buf_at (&out), ek_buf_len (&out));
  _exit (0);
}

static bool
take_answer (EkConf *conf, EkStr bytes, GHashTable *login, EkProblems *problems)
{
  EkUnpack in = ek_unpack (bytes);
  g_autoptr (EkPool) pool = ek_pool_new ();
  guint64 n = ek_unpack_max (&in, EK_PROBLEMS_MAX + 1);

  for (guint64 i = 0; i < n && !in.bad; i++) {
    EkConfPos at = { .file = ek_unpack_text (&in, pool) };
    at.line = (guint) ek_unpack_max (&in, G_MAXINT);
    at.column = (guint) ek_unpack_max (&in, G_MAXINT);
    const char *text = ek_unpack_text (&in, pool);
    if (!in.bad)
      ek_problems_add (problems, at.file ? &at : NULL, "%s", text ? text : "");
  }
  guint64 count = ek_unpack_max (&in, G_MAXINT);
  if (in.bad)
    ek_problems_add (problems, NULL, "the check of the configuration ended without an answer: a module crashed "
                     "while it was set up, or took over %u s", PATIENCE / 1000);
  if (in.bad || count != conf->n_blocks + 1u)
    return false;
  g_autofree guint32 *masks = g_new0 (guint32, conf->n_blocks + 1);
  for (guint i = 0; i < conf->n_blocks; i++)
    masks[i] = (guint32) ek_unpack_max (&in, G_MAXUINT32);
  if (!ek_unpack_ok (&in))
    return false;
  for (const EkConfBlock *b = conf->root->blocks; b; b = b->next)
    if ((masks[b->index] & EK_CHECK_LOGIN) && b->name)
      g_hash_table_add (login, g_strdup (b->name));
  for (guint i = 0; i < conf->n_blocks; i++)
    masks[i] &= ~EK_CHECK_LOGIN;
  return ek_conf_set_roles (conf, masks, conf->n_blocks);
}

bool
ek_check_conf (EkConf *conf, GHashTable *login, EkCheckFunc more, gpointer data, EkProblems *problems)
{
  int fds[2];
  EkBuf in = { 0 };
  gint64 end = ek_now () + PATIENCE * 1000;

  if (pipe2 (fds, O_CLOEXEC) < 0) {
    ek_problems_add (problems, NULL, "cannot make a pipe: %s", g_strerror (errno));
    return false;
  }
  pid_t pid = fork ();
  if (pid == 0) {
    close (fds[0]);
    ek_log_set_fd (-1);
    check (conf, more, data, fds[1]);
  }
  close (fds[1]);
  while (pid > 0) {
    struct pollfd p = { .fd = fds[0], .events = POLLIN };
    gint64 left = (end - ek_now ()) / 1000;
    if (left <= 0 || (poll (&p, 1, (int) left) < 0 && errno != EINTR) || ek_buf_len (&in) > ANSWER_MAX)
      break;
    if (p.revents == 0)
      continue;
    ssize_t n = read (fds[0], ek_buf_room (&in, 65536), 65536);
    if (n == 0 || (n < 0 && errno != EINTR))
      break;
    if (n > 0)
      ek_buf_added (&in, (gsize) n);
  }
  close (fds[0]);
  if (pid > 0) {
    kill (pid, SIGKILL);             /* it has answered, or never will */
    while (waitpid (pid, NULL, 0) < 0 && errno == EINTR)
      ;
  }
  bool ok = take_answer (conf, ek_buf_str (&in), login, problems);
  ek_buf_release (&in);
  return ok;
}
