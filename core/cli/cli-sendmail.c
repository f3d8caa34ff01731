/* cli-sendmail.c - sendmail(1): a message from standard input into the drop folder
 * SPDX-License-Identifier: Apache-2.0
 *
 * Works while the server is down: pickup takes the file when it runs.  Exits as sysexits.h says, because programs look
 * at that.  When it is setgid, neither options nor environment choose another configuration.
 */
#include "config.h"
#include "cli/cli.h"
#include "cli/control.h"
#include "cli/dropfile.h"
#include "mail/address.h"
#include "queue/drop.h"
#include <errno.h>
#include <getopt.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#define HEADER_MAX (1024 * 1024)     /* of header lines */
#define LINE_PIECE 65536             /* lines that are longer come in pieces */

typedef struct {
  const char *conf, *sender, *full_name, *notify, *envid, *ret;
  bool        from_header, ignore_dots, newaliases, mailq, flush;
  EkPool     *pool;
  GPtrArray  *to;                    /* addresses, in the pool */
  EkBuf       header;
  bool        resent;                /* only Resent- fields name recipients */
  bool        at_end;                /* the lone dot has been seen */
  guint64     size, limit;
  char       *line;                  /* LINE_PIECE */
  bool        piece;                 /* the last piece did not end its line */
} Mail;

static int
fail (int status, const char *fmt, ...) G_GNUC_PRINTF (2, 3);

static int
fail (int status, const char *fmt, ...)
{
  va_list args;

  va_start (args, fmt);
  g_autofree char *text = g_strdup_vprintf (fmt, args);
  va_end (args);
  fprintf (stderr, "sendmail: %s\n", text);
  return status;
}

/* ---- what was asked ---- */

static const char help[] =
  "Usage: sendmail [OPTION...] [RECIPIENT...]  < MESSAGE\n\n"
  "  -t            recipients from To, Cc and Bcc too; Bcc is removed\n"
  "  -i, -oi       a line with a dot alone is text\n"
  "  -f ADDRESS    the envelope's sender (-r is the same); <> for none\n"
  "  -F NAME       the sender's full name, for a From line that is missing\n"
  "  -N WORDS      never, or success,failure,delay: when to be notified\n"
  "  -R full|hdrs  what a notification returns\n"
  "  -V ID         envelope id for notifications\n"
  "  -C FILE       the configuration (not when the program is setgid)\n"
  "  -bp, -q       list the queue (mailq); try deferred mail now\n"
  "  -bi           newaliases: there is nothing to do\n"
  "Other options of Sendmail are accepted and ignored.  Exit status: see sysexits.h.\n\n"
  "Examples:\n  sendmail -t -i < message\n  echo Hello | sendmail -f me@example.com you@example.org\n";

static int
mode (Mail *m, char what)
{
  switch (what) {
  case 'm': return EX_OK;
  case 'p': m->mailq = true; return EX_OK;
  case 'i': m->newaliases = true; return EX_OK;
  case 's': return fail (EX_USAGE, "-bs is not offered: speak SMTP to the server's own port");
  case 'd':
  case 'D': return fail (EX_USAGE, "the server is started with ekidend");
  default: return fail (EX_USAGE, "mode -b%c is not known", what);
  }
}

static int
other_option (Mail *m, const char *value)
{
  if (value[0] == 'i')
    m->ignore_dots = true;
  return EX_OK;
}

/* Like Sendmail's: the first word that is no option ends them. */
static int
options (Mail *m, int argc, char **argv)
{
  int status = EX_OK, c;

  optind = 0;
  opterr = 0;
  while (status == EX_OK && (c = getopt (argc, argv, "+:A:B:C:EF:GIL:N:O:R:UV:X:b:cd::e:f:h:imno:p:r:q::tvx")) != -1)
    switch (c) {
    case 'C': m->conf = optarg; break;
    case 'F': m->full_name = optarg; break;
    case 'N': m->notify = optarg; break;
    case 'R': m->ret = optarg; break;
    case 'V': m->envid = optarg; break;
    case 'b': status = mode (m, optarg[0]); break;
    case 'f':
    case 'r': m->sender = optarg; break;
    case 'i': m->ignore_dots = true; break;
    case 'I': m->newaliases = true; break;
    case 'o': status = other_option (m, optarg); break;
    case 'q': m->flush = true; break;
    case 't': m->from_header = true; break;
    case ':': return fail (EX_USAGE, "option -%c needs a value", optopt);
    case '?': return fail (EX_USAGE, "option -%c is not known: sendmail --help lists them", optopt ? optopt : '-');
    default: break;                                /* accepted, and of no meaning here */
    }
  if (status == EX_OK && m->conf && ek_drop_is_setid () && getuid () != 0)
    status = fail (EX_NOPERM, "-C is not for users while the program is setgid: `ekiden sendmail -C FILE` takes it");
  return status;
}

/* ---- addresses ---- */

static bool
is_line (EkStr s)
{
  for (gsize i = 0; i < s.n; i++)
    if ((guchar) s.p[i] < 0x20 || s.p[i] == 0x7f)
      return false;
  return s.n <= 1000;
}

/* One entry of a list as it goes into an envelope; NULL: none. */
static const char *
entry_address (Mail *m, const EkListAddr *a)
{
  EkBuf out = { 0 };

  if (a->mailbox.p == NULL || a->mailbox.n == 0 || ek_str_eq (a->mailbox, EK_STR ("MISSING_MAILBOX")))
    return NULL;
  ek_address_quote_local (&out, a->mailbox);
  if (a->host.n > 0 && !ek_str_eq (a->host, EK_STR ("MISSING_DOMAIN"))) {
    ek_buf_appendc (&out, '@');
    ek_buf_append (&out, a->host.p, a->host.n);
  }
  EkStr made = ek_buf_str (&out);
  EkAddress address;
  bool good = is_line (made) && ek_address_parse (m->pool, made, EK_PATH_NODOMAIN | EK_PATH_UTF8 | EK_PATH_LAX, &address) == NULL;
  const char *text = good ? ek_pool_strndup (m->pool, made.p, made.n) : NULL;
  ek_buf_release (&out);
  return text;
}

/* Adds all of a list; false: one of them is none. */
static bool
add_list (Mail *m, EkStr value)
{
  for (const EkListAddr *a = ek_address_list (m->pool, value, 0); a; a = a->next) {
    if (a->host.p == NULL)                         /* a group's name or end */
      continue;
    const char *address = entry_address (m, a);
    if (address == NULL)
      return false;
    for (guint i = 0; i < m->to->len; i++)
      if (strcmp (m->to->pdata[i], address) == 0)
        address = NULL, i = m->to->len;
    if (address)
      g_ptr_array_add (m->to, (gpointer) address);
  }
  return true;
}

/* ---- the message ---- */

/* The next line or piece of one, with its LF if it has one; false at the end. */
static bool
next_line (Mail *m, EkStr *line)
{
  gsize n = 0;
  int c = EOF;

  if (m->at_end)
    return false;
  while (n < LINE_PIECE && (c = getc_unlocked (stdin)) != EOF) {
    m->line[n++] = (char) c;
    if (c == '\n')
      break;
  }
  *line = (EkStr) { m->line, n };
  bool dot = !m->ignore_dots && !m->piece && (ek_str_eq (*line, EK_STR (".\n")) || ek_str_eq (*line, EK_STR (".\r\n"))
                                              || (c == EOF && ek_str_eq (*line, EK_STR ("."))));
  m->piece = n > 0 && m->line[n - 1] != '\n';
  m->at_end = n == 0 || dot;
  return !m->at_end;
}

static bool
is_blank (EkStr line)
{
  return ek_str_eq (line, EK_STR ("\n")) || ek_str_eq (line, EK_STR ("\r\n"));
}

/* The field's name with its colon, without blanks; empty: it is none. */
static EkStr
field_name (EkStr line)
{
  const char *colon = line.n ? memchr (line.p, ':', line.n) : NULL;
  EkStr name = { line.p, colon ? (gsize) (colon - line.p) : 0 };

  while (name.n > 0 && (name.p[name.n - 1] == ' ' || name.p[name.n - 1] == '\t'))
    name.n--;
  for (gsize i = 0; i < name.n; i++)
    if ((guchar) name.p[i] <= ' ' || (guchar) name.p[i] >= 0x7f)
      return (EkStr) { line.p, 0 };
  return name;
}

static bool
one_of (EkStr name, const char *const *names)
{
  for (; *names; names++)
    if (ek_str_ieq (name, ek_str (*names)))
      return true;
  return false;
}

/* One whole field: its recipients are taken, and it stays in the header or not. */
static int
take_field (Mail *m, EkStr field)
{
  static const char *const to[] = { "To", "Cc", "Bcc", "Apparently-To", NULL }, *const resent_to[] = { "Resent-To", "Resent-Cc", "Resent-Bcc", NULL };
  static const char *const removed[] = { "Bcc", "Resent-Bcc", "Return-Path", NULL };
  EkStr name = field_name (field);
  bool resent = one_of (name, resent_to);

  if (m->from_header && (resent || (one_of (name, to) && !m->resent))) {
    const char *colon = memchr (field.p, ':', field.n);
    EkStr value = { colon + 1, field.n - (gsize) (colon + 1 - field.p) };
    if (resent && !m->resent) {
      m->resent = true;
      g_ptr_array_set_size (m->to, 0);             /* RFC 5322 3.6.6: the original's recipients have had it */
    }
    if (!add_list (m, value))
      return fail (EX_DATAERR, "the header's field %.*s has an address that cannot be understood", EK_STR_ARG (name));
  }
  if (!one_of (name, removed))
    ek_buf_append (&m->header, field.p, field.n);
  return EX_OK;
}

/* All header lines, unchanged but for those that are removed; *first is the line behind them when it is no empty one. */
static int
read_header (Mail *m, EkBuf *first)
{
  EkBuf field = { 0 };
  bool top = true, mid = false;
  int status = EX_OK;
  EkStr line;

  while (status == EX_OK && next_line (m, &line)) {
    bool whole = !mid;
    mid = m->piece;
    if (top && whole && ek_str_starts (line, EK_STR ("From ")))
      continue;                                    /* mbox's line */
    top = false;
    bool goes_on = !whole || (ek_buf_len (&field) > 0 && (line.p[0] == ' ' || line.p[0] == '\t') && !is_blank (line));
    if (!goes_on && ek_buf_len (&field) > 0) {
      status = take_field (m, ek_buf_str (&field));
      ek_buf_clear (&field);
    }
    if (!goes_on && (is_blank (line) || field_name (line).n == 0)) {
      if (!is_blank (line))                        /* a body without a header */
        ek_buf_append (first, line.p, line.n);
      break;
    }
    ek_buf_append (&field, line.p, line.n);
    if (ek_buf_len (&field) + ek_buf_len (&m->header) > HEADER_MAX)
      status = fail (EX_DATAERR, "the header is longer than a megabyte");
  }
  if (status == EX_OK && ek_buf_len (&field) > 0)
    status = take_field (m, ek_buf_str (&field));
  ek_buf_release (&field);
  return status;
}

/* ---- into the drop folder ---- */

static void
envelope (const Mail *m, EkBuf *out)
{
  ek_buf_printf (out, "%s\nS %s\n", EK_DROP_MAGIC, m->sender);
  for (guint i = 0; i < m->to->len; i++)
    ek_buf_printf (out, "R %s\n", (const char *) m->to->pdata[i]);
  if (m->full_name)
    ek_buf_printf (out, "F %s\n", m->full_name);
  if (m->notify)
    ek_buf_printf (out, "N %s\n", m->notify);
  if (m->ret)
    ek_buf_printf (out, "T %s\n", m->ret);
  if (m->envid)
    ek_buf_printf (out, "V %s\n", m->envid);
  ek_buf_appendc (out, '\n');
}

static int
failed (const GError *error)
{
  return fail (error->code == EACCES || error->code == EPERM ? EX_NOPERM : error->code == ENOENT ? EX_CONFIG : EX_TEMPFAIL, "%s%s", error->message,
               error->code == EACCES ? " (is this program setgid to the folder's group?)" : "");
}

static int
too_large (const Mail *m)
{
  return fail (EX_UNAVAILABLE, "the message is larger than queue.message_size_limit (%" G_GUINT64_FORMAT " bytes)", m->limit);
}

static int
write_message (Mail *m, const char *folder, EkBuf *first)
{
  g_autoptr (GError) error = NULL;
  EkBuf head = { 0 };
  EkStr line;

  envelope (m, &head);
  if (ek_buf_len (&head) > EK_DROP_ENVELOPE_MAX - 1) {
    ek_buf_release (&head);
    return fail (EX_UNAVAILABLE, "too many recipients for one message");
  }
  ek_buf_append (&head, ek_buf_at (&m->header), ek_buf_len (&m->header));
  ek_buf_appendc (&head, '\n');
  ek_buf_append (&head, ek_buf_at (first), ek_buf_len (first));
  m->size = ek_buf_len (&head);
  EkDropFile *drop = ek_drop_new (folder, &error);
  bool good = drop && ek_drop_write (drop, ek_buf_at (&head), ek_buf_len (&head), &error);
  ek_buf_release (&head);
  while (good && m->size <= m->limit && next_line (m, &line)) {
    m->size += line.n;
    good = ek_drop_write (drop, line.p, line.n, &error);
  }
  if (good && (m->size > m->limit || ferror (stdin))) {
    ek_drop_free (drop);
    return m->size > m->limit ? too_large (m) : fail (EX_IOERR, "cannot read the message: %s", g_strerror (errno));
  }
  if (!good) {
    ek_drop_free (drop);
    return failed (error);
  }
  return ek_drop_commit (drop, &error) ? EX_OK : failed (error);
}

/* ---- all of it ---- */

/* The envelope's sender: what -f says, else who runs us. */
static int
find_sender (Mail *m)
{
  if (m->sender == NULL) {
    const struct passwd *pw = getpwuid (getuid ());
    m->sender = pw ? ek_pool_strdup (m->pool, pw->pw_name) : ek_pool_printf (m->pool, "uid%u", (guint) getuid ());
    return EX_OK;
  }
  if (*m->sender == '\0' || strcmp (m->sender, "<>") == 0) {
    m->sender = "";
    return EX_OK;
  }
  const EkListAddr *a = ek_address_list (m->pool, ek_str (m->sender), 2);
  const char *address = a && a->next == NULL ? entry_address (m, a) : NULL;
  if (address == NULL)
    return fail (EX_USAGE, "\"%s\" is no address for a sender", m->sender);
  m->sender = address;
  return EX_OK;
}

static int
check_words (const Mail *m)
{
  if (m->notify) {
    g_auto (GStrv) words = g_strsplit (m->notify, ",", 8);
    static const char *const known[] = { "success", "failure", "delay", "never", NULL };
    for (guint i = 0; words[i]; i++)
      if (!one_of (ek_str (words[i]), known) || (g_ascii_strcasecmp (words[i], "never") == 0 && words[1]))
        return fail (EX_USAGE, "-N takes never, or some of success,failure,delay");
  }
  if (m->ret && g_ascii_strcasecmp (m->ret, "full") != 0 && g_ascii_strcasecmp (m->ret, "hdrs") != 0)
    return fail (EX_USAGE, "-R takes full or hdrs");
  if ((m->full_name && !is_line (ek_str (m->full_name))) || (m->envid && (!is_line (ek_str (m->envid)) || strlen (m->envid) > 100)))
    return fail (EX_USAGE, "a name or envelope id has characters that it may not have, or is too long");
  return EX_OK;
}

static int
send_mail (Mail *m, int argc, char **argv)
{
  g_auto (EkControlPlaces) places = { 0 };
  g_autoptr (GError) error = NULL;
  EkBuf first = { 0 };
  int status;

  if (!ek_control_places (m->conf, &places, &error))
    return fail (EX_CONFIG, "%s", error->message);
  m->limit = places.message_size_limit;
  if ((status = find_sender (m)) != EX_OK || (status = check_words (m)) != EX_OK)
    return status;
  for (int i = optind; i < argc; i++)
    if (!add_list (m, ek_str (argv[i])))
      return fail (EX_USAGE, "\"%s\" is no address", argv[i]);
  if (m->to->len == 0 && !m->from_header)
    return fail (EX_USAGE, "name the recipients, or say -t when the message's header does");
  status = read_header (m, &first);
  if (status == EX_OK && m->to->len == 0)
    status = fail (EX_USAGE, "the header names no recipient");
  if (status == EX_OK)
    status = write_message (m, places.drop_folder, &first);
  ek_buf_release (&first);
  return status;
}

static int
ask_flush (const Mail *m)
{
  g_auto (EkControlPlaces) places = { 0 };
  g_autoptr (GError) error = NULL;
  EkBuf out = { 0 };

  bool good = ek_control_places (m->conf, &places, &error)
              && ek_control_ask (&places, (const char *const[]) { "queue-flush", "ALL", NULL }, &out, &error);
  ek_buf_release (&out);
  return good ? EX_OK : fail (EX_UNAVAILABLE, "%s", error->message);
}

int
ek_cli_sendmail (int argc, char **argv)
{
  EkBuf out = { 0 };

  if (argc > 1 && strcmp (argv[1], "--help") == 0) {
    ek_buf_appends (&out, help);
    ek_cli_write (STDOUT_FILENO, &out);
    return EX_OK;
  }
  Mail m = { .pool = ek_pool_new (), .to = g_ptr_array_new (), .line = g_malloc (LINE_PIECE) };
  int status = options (&m, argc, argv);
  if (status == EX_OK && (m.mailq || m.flush))
    ek_drop_forgo ();
  if (status == EX_OK && m.mailq) {
    const char *words[] = { "mailq", m.conf ? "-c" : NULL, m.conf, NULL };
    status = ek_cli_mailq (m.conf ? 3 : 1, (char **) words) == 0 ? EX_OK : EX_UNAVAILABLE;
  }
  else if (status == EX_OK && m.flush)
    status = ask_flush (&m);
  else if (status == EX_OK && !m.newaliases)
    status = send_mail (&m, argc, argv);
  ek_buf_release (&m.header);
  g_ptr_array_unref (m.to);
  ek_pool_free (m.pool);
  g_free (m.line);
  return status;
}
