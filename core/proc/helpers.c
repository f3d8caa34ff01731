/* helpers.c - programs that do for directory what needs rights (PAM): started by master when it asks
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "proc/helpers.h"
#include "base/log.h"
#include "proc/priv.h"
#include "proc/spawn.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HELPERS_MAX 256              /* at once: a directory that has gone mad starts no more */

static pid_t running[HELPERS_MAX];   /* 0: free */

static bool
is_core_block (const char *kind)
{
  const EkBlockType *type;

  for (guint i = 0; (type = ek_block_type (i)); i++)
    if (strcmp (type->kind, kind) == 0)
      return true;
  return false;
}

/* The block of a helper; NULL: the configuration has none such. */
static const EkConfBlock *
find_block (const EkPlan *plan, const char *kind, const char *name)
{
  for (const EkConfBlock *b = plan->conf->root->blocks; b; b = b->next)
    if ((b->roles & EK_ROLE_BIT (EK_ROLE_MASTER)) && strcmp (b->kind, kind) == 0 && strcmp (b->name ? b->name : b->kind, name) == 0
        && !is_core_block (kind))
      return b;
  return NULL;
}

static char *
program_of (const char *kind)
{
  const char *folder = secure_getenv ("EKIDEN_HELPER_PATH");

  return g_strdup_printf ("%s/ekiden-%s", folder && *folder ? folder : EK_LIBEXECDIR "/ekiden", kind);
}

static char **
words_of (const char *program, const EkConfBlock *block)
{
  GPtrArray *words = g_ptr_array_new ();

  g_ptr_array_add (words, g_path_get_basename (program));
  for (const EkConfSetting *s = block->settings; s; s = s->next)
    if (s->n_items == 1 && !s->items[0].secret && s->items[0].file == NULL && memchr (s->items[0].text.p, '\0', s->items[0].text.n) == NULL)
      g_ptr_array_add (words, g_strdup_printf ("%s=%.*s", s->key, EK_STR_ARG (s->items[0].text)));
  g_ptr_array_add (words, NULL);
  return (char **) g_ptr_array_free (words, FALSE);
}

/* Between fork and exec: only async-signal-safe calls. */
static void
child (const char *program, char *const argv[], char *const env[], int sock, int null)
{
  sigset_t none;

  if (dup2 (sock, 0) < 0 || dup2 (null, 1) < 0 || dup2 (null, 2) < 0 || chdir ("/") < 0)
    _exit (71);
  ek_priv_close_from (3);
  sigemptyset (&none);
  sigprocmask (SIG_SETMASK, &none, NULL);
  execve (program, argv, env);
  _exit (72);
}

static guint
free_place (void)
{
  guint i = 0;

  while (i < HELPERS_MAX && running[i])
    i++;
  return i;
}

/* Our end of the socket; -1 and *why. */
static int
start (const EkConfBlock *block, char **why)
{
  g_autofree char *program = program_of (block->kind);
  g_auto (GStrv) argv = words_of (program, block), env = ek_spawn_environment ();
  guint place = free_place ();
  int null = -1, pair[2] = { -1, -1 };

  if (place == HELPERS_MAX)
    *why = g_strdup_printf ("%d helpers are running", HELPERS_MAX);
  else if (access (program, X_OK) < 0)
    *why = g_strdup_printf ("%s: %s", program, g_strerror (errno));
  else if ((null = open ("/dev/null", O_RDWR | O_CLOEXEC)) < 0 || socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0
           || (running[place] = fork ()) < 0) {
    *why = g_strdup_printf ("cannot start %s: %s", program, g_strerror (errno));
    running[place] = 0;
    if (pair[0] >= 0)
      close (pair[0]);
    pair[0] = -1;
  }
  else if (running[place] == 0)
    child (program, argv, env, pair[1], null);
  if (null >= 0)
    close (null);
  if (pair[1] >= 0)
    close (pair[1]);
  return pair[0];
}

bool
ek_helpers_message (EkWorker *w, EkMsg *msg, const EkPlan *plan)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  g_autofree char *why = NULL;

  if (msg->type != EK_M_HELPER || !(w->bits & EK_ROLE_BIT (EK_ROLE_DIRECTORY)) || msg->id == 0)
    return false;
  const char *kind = ek_unpack_text (&msg->in, pool), *name = ek_unpack_text (&msg->in, pool);
  const EkConfBlock *block = ek_unpack_ok (&msg->in) && kind && name ? find_block (plan, kind, name) : NULL;
  int fd = block ? start (block, &why) : -1;
  if (fd < 0)
    ek_log (EK_ERR, "master", "a helper that %s asks for: %s", w->name, why ? why : "the configuration has none such");
  EkBuf *out = ek_channel_answer (w->channel, msg->id);
  ek_pack_u64 (out, fd >= 0);
  ek_pack_text (out, fd >= 0 ? NULL : why ? why : "the configuration has no such helper");
  if (fd >= 0)
    ek_channel_attach (w->channel, fd);
  ek_channel_end (w->channel);
  return true;
}

bool
ek_helpers_ended (pid_t pid)
{
  for (guint i = 0; i < HELPERS_MAX; i++)
    if (running[i] == pid) {
      running[i] = 0;
      return true;
    }
  return false;
}
