/* controller.c - the control role: parses requests without rights, asks the role that knows
 * SPDX-License-Identifier: Apache-2.0
 *
 * One request a connection (see proc/control.h for the form).  Who may ask what is decided by the caller's uid,
 * which the kernel tells.  The role keeps answering while others are down: then the answer says which.
 */
#include "config.h"
#include "flow/controller.h"
#include "proc/blocks.h"
#include "proc/control.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LINE_MAX_ 65536
#define CLIENTS   64
#define WORDS     64
#define PATIENCE  (60 * G_USEC_PER_SEC)

typedef struct {                     /* block control { } */
  char **admins;
} ControlConf;

static const EkOption rows[] = {
  EK_OPTION (ControlConf, admins, "[]", "User ids (numbers) that may do with the command ekiden what root may."),
  EK_OPTIONS_END
};

static const EkBlockType block = {
  .kind = "control", .doc = "The socket that the command ekiden asks.", .options = rows, .size = sizeof (ControlConf),
  .flags = EK_BLOCK_SINGLE, .roles = EK_ROLE_BIT (EK_ROLE_CONTROL),
};

void
ek_control_blocks_register (void)
{
  ek_block_register (&block);
}

typedef struct {
  const char *verb;
  EkRole      role;
  bool        anybody;               /* else root, the server's own user and control.admins */
} Verb;

static const Verb verbs[] = {
  { "status", EK_ROLE_MASTER, true }, { "reload", EK_ROLE_MASTER, false }, { "stop", EK_ROLE_MASTER, false },
  { "upgrade", EK_ROLE_MASTER, false }, { "reopen", EK_ROLE_MASTER, false },
  { "rekey", EK_ROLE_MASTER, false },
  { "queue-list", EK_ROLE_QUEUE, true }, { "queue-status", EK_ROLE_QUEUE, true }, { "queue-show", EK_ROLE_QUEUE, false },
  { "queue-flush", EK_ROLE_QUEUE, false }, { "queue-hold", EK_ROLE_QUEUE, false }, { "queue-release", EK_ROLE_QUEUE, false },
  { "queue-delete", EK_ROLE_QUEUE, false }, { "queue-requeue", EK_ROLE_QUEUE, false },
  { "directory-address", EK_ROLE_DIRECTORY, false },
};

typedef struct {
  EkWatch watch;
  EkTimer timer;
  uid_t   uid;
  EkBuf   in, out;
  bool    asked, answered;
  guint   refs;                      /* an answer is on its way */
} Client;

static struct {
  EkWatch socket;
  char   *path;
  guint   clients;
} c;

static void
client_unref (Client *cl)
{
  if (--cl->refs > 0)
    return;
  ek_buf_release (&cl->in);
  ek_buf_release (&cl->out);
  g_free (cl);
}

static void
client_close (Client *cl)
{
  if (cl->watch.fd < 0)
    return;
  ek_watch_set (ek_role_loop (), &cl->watch, 0);
  ek_timer_cancel (ek_role_loop (), &cl->timer);
  close (cl->watch.fd);
  cl->watch.fd = -1;
  c.clients--;
  client_unref (cl);
}

static void
client_flush (Client *cl)
{
  while (cl->watch.fd >= 0 && ek_buf_len (&cl->out) > 0) {
    ssize_t n = send (cl->watch.fd, ek_buf_at (&cl->out), ek_buf_len (&cl->out), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      ek_watch_set (ek_role_loop (), &cl->watch, EPOLLOUT);
      return;
    }
    if (n < 0) {
      client_close (cl);
      return;
    }
    ek_buf_consume (&cl->out, (gsize) n);
  }
  if (cl->answered)
    client_close (cl);
}

static void
say (Client *cl, EkStatus status, EkStr text)
{
  const char *at = text.p, *end = EK_STR_END (text);

  while (at && at < end) {                         /* bytes: a message that is shown may hold anything but line ends */
    const char *nl = memchr (at, '\n', (gsize) (end - at));
    gsize n = (gsize) ((nl ? nl : end) - at);
    if (status == EK_OK || n > 0) {
      ek_buf_appends (&cl->out, status == EK_OK ? ": " : "! ");
      ek_buf_append (&cl->out, at, n);
      ek_buf_appendc (&cl->out, '\n');
    }
    at = nl ? nl + 1 : end;
  }
  if (status == EK_OK)
    ek_buf_appends (&cl->out, "= ok\n");
  else if (text.n == 0)
    ek_buf_appends (&cl->out, "! failed\n");
  cl->answered = true;
  if (cl->watch.fd >= 0)
    ek_timer_set (ek_role_loop (), &cl->timer, PATIENCE);          /* to read it */
  client_flush (cl);
}

static void
role_answered (EkMsg *msg, gpointer data)
{
  Client *cl = data;

  if (msg == NULL)
    say (cl, EK_DEFER, EK_STR ("the process that knows ended before it answered"));
  else {
    EkStatus status = (EkStatus) ek_unpack_max (&msg->in, EK_FAIL);
    say (cl, status, ek_unpack_str (&msg->in));
  }
  client_unref (cl);
}

static bool
allowed (const Client *cl, const Verb *v)
{
  const ControlConf *conf = ek_generation_values (ek_role_generation (), &block, NULL);
  char uid[24];

  g_snprintf (uid, sizeof uid, "%u", (guint) cl->uid);
  return v->anybody || cl->uid == 0 || cl->uid == geteuid () || g_strv_contains ((const char *const *) conf->admins, uid);
}

static const Verb *
verb_find (const char *word)
{
  for (guint i = 0; i < G_N_ELEMENTS (verbs); i++)
    if (strcmp (verbs[i].verb, word) == 0)
      return &verbs[i];
  return NULL;
}

static void
request (Client *cl, char *line)
{
  g_auto (GStrv) words = g_strsplit (line, " ", WORDS);
  const Verb *v;

  cl->asked = true;
  for (guint i = 0; words[i]; i++) {
    char *plain = g_uri_unescape_string (words[i], NULL);
    if (plain == NULL) {
      say (cl, EK_FAIL, EK_STR ("the request is malformed"));
      return;
    }
    g_free (words[i]);
    words[i] = plain;
  }
  v = words[0] ? verb_find (words[0]) : NULL;
  if (v == NULL || !allowed (cl, v)) {
    say (cl, EK_FAIL, v ? EK_STR ("not permitted: run it as root, or add your uid to control.admins") : EK_STR ("unknown request"));
    return;
  }
  ek_event ("control", 0, "control", EK_FTEXT ("verb", v->verb), EK_FINT ("peer_uid", cl->uid));
  EkChannel *role = v->role == EK_ROLE_MASTER ? ek_role_master () : ek_role_any (EK_ROLE_CONTROL, v->role);
  if (role == NULL) {
    g_autofree char *text = g_strdup_printf ("the %s process is not there (it is being restarted: see the log)", ek_role_name (v->role));
    say (cl, EK_DEFER, ek_str (text));
    return;
  }
  if (v->role == EK_ROLE_MASTER)                   /* it answers, and a reload takes its time: roles.reload_timeout */
    ek_timer_cancel (ek_role_loop (), &cl->timer);
  cl->refs++;
  EkBuf *out = ek_channel_call (role, EK_C_REQUEST, role_answered, cl);
  ek_pack_text (out, v->verb);
  ek_pack_u64 (out, cl->uid);
  ek_pack_u64 (out, g_strv_length (words) - 1);
  for (guint i = 1; words[i]; i++)
    ek_pack_text (out, words[i]);
  ek_channel_end (role);
}

static void
client_event (EkWatch *watch, guint32 events)
{
  Client *cl = (Client *) watch;

  if (events & EPOLLOUT) {
    ek_watch_set (ek_role_loop (), watch, EPOLLIN);
    client_flush (cl);
    return;
  }
  ssize_t n = recv (watch->fd, ek_buf_room (&cl->in, 4096), 4096, MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  if (n <= 0 || ek_buf_len (&cl->in) > LINE_MAX_) {
    client_close (cl);
    return;
  }
  ek_buf_added (&cl->in, (gsize) n);
  char *end = memchr (ek_buf_at (&cl->in), '\n', ek_buf_len (&cl->in));
  if (end && !cl->asked) {
    g_autofree char *line = g_strndup (ek_buf_at (&cl->in), (gsize) (end - ek_buf_at (&cl->in)));
    ek_buf_clear (&cl->in);
    request (cl, line);
  }
}

static void
too_slow (EkTimer *timer)
{
  client_close ((Client *) ((char *) timer - G_STRUCT_OFFSET (Client, timer)));
}

static void
knock (EkWatch *watch, guint32 events)
{
  struct ucred who;
  socklen_t n = sizeof who;
  int fd = accept4 (watch->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

  if (fd < 0)
    return;
  if (c.clients >= CLIENTS || getsockopt (fd, SOL_SOCKET, SO_PEERCRED, &who, &n) < 0) {
    close (fd);
    return;
  }
  Client *cl = g_new0 (Client, 1);
  *cl = (Client) { .watch = { .fd = fd, .func = client_event }, .timer.func = too_slow, .uid = who.uid, .refs = 1 };
  c.clients++;
  ek_watch_set (ek_role_loop (), &cl->watch, EPOLLIN);
  ek_timer_set (ek_role_loop (), &cl->timer, PATIENCE);
}

static bool
start (GError **error)
{
  const EkTopConf *top = ek_generation_values (ek_role_generation (), &ek_top_block, NULL);
  struct sockaddr_un a = { .sun_family = AF_UNIX };

  c.path = g_build_filename (top->run_dir, "control", "socket", NULL);
  if (g_strlcpy (a.sun_path, c.path, sizeof a.sun_path) >= sizeof a.sun_path) {
    ek_fail (error, EK_FAIL, ENAMETOOLONG, "run_dir is too long for a socket's name: %s", c.path);
    return false;
  }
  unlink (c.path);
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0 || bind (fd, (struct sockaddr *) &a, sizeof a) < 0 || chmod (c.path, 0666) < 0 || listen (fd, 16) < 0) {
    ek_fail (error, EK_FAIL, errno, "cannot listen on %s: %s", c.path, g_strerror (errno));
    if (fd >= 0)
      close (fd);
    return false;
  }
  c.socket = (EkWatch) { .fd = fd, .func = knock };
  ek_watch_set (ek_role_loop (), &c.socket, EPOLLIN);
  return true;
}

static void
message (EkRole peer, guint index, EkMsg *msg)
{
  ek_channel_break (msg->channel, "control takes no messages");
}

static void
stop (gint64 deadline)
{
  ek_role_done (EK_ROLE_CONTROL);
}

static void
end (void)
{
  ek_watch_set (ek_role_loop (), &c.socket, 0);
  close (c.socket.fd);
  unlink (c.path);
  g_free (c.path);
  memset (&c, 0, sizeof c);
}

const EkRoleOps ek_control_role = { .role = EK_ROLE_CONTROL, .start = start, .message = message, .stop = stop, .end = end };
