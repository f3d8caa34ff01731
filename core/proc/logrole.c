/* logrole.c - records of all processes become lines, JSON and trace
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "proc/logrole.h"
#include "proc/logsink.h"
#include "base/base.h"
#include "base/event.h"
#include "trace/trace.h"
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { OUTPUT_MAX = 256 * 1024 };                /* so much is written out even within a turn */
#define CLOCK_SLACK   (60 * G_USEC_PER_SEC)      /* a record may be so old, or so far ahead */
#define WARNING_PAUSE (60 * G_USEC_PER_SEC)      /* the same complaint no more often */

/* ---- options ------------------------------------------------------------------------------------------ */

const EkOption ek_log_options[] = {
  EK_OPTION (EkLogOptions, level, "info", "What is logged at all: error, warning, info or debug, each with what is worse.",
             .allow = "error|warning|info|debug"),
  EK_OPTION (EkLogOptions, syslog_name, "ekiden", "The name that begins each tag: ekiden/smtpd[123]. With postfix, "
             "programs that read Postfix's log find what they know, fail2ban's filters for one."),
  EK_OPTION (EkLogOptions, login_name, "", "The name before IMAP, POP3 and ManageSieve lines, which follow Dovecot's grammar: "
             "ekiden: imap-login: ... Empty: dovecot when syslog_name is postfix, else syslog_name."),
  EK_OPTION (EkLogOptions, file, "", "Text lines go to the end of this file; - is standard error. It is opened again after ekiden reload and SIGHUP, for rotation."),
  EK_OPTION (EkLogOptions, json, "", "One JSON object a line and event goes to the end of this file, with all fields, also those that have no place in a text line."),
  EK_OPTION (EkLogOptions, syslog, "no", "Text lines go to the system's syslog, facility mail."),
  EK_OPTION (EkLogOptions, syslog_socket, "/dev/log", "The socket of the system's syslog."),
  EK_OPTION (EkLogOptions, timestamps, "traditional", "How a line in the file begins: traditional (Nov 22 08:00:01, local time) or rfc3339 "
             "(2026-11-22T08:00:01.123456+01:00).", .allow = "traditional|rfc3339"),
  EK_OPTION (EkLogOptions, trace, "", "Folder of the event store that ekiden trace reads. Empty: none."),
  EK_OPTION (EkLogOptions, trace_size, "256M", "The event store's files together; the oldest events go first.", .allow = "1M..1T"),
  EK_OPTIONS_END
};

const EkBlockType ek_log_block = {
  .kind = "log", .doc = "Where events go: text lines, JSON lines, syslog, and the store that ekiden trace reads.",
  .options = ek_log_options, .size = sizeof (EkLogOptions), .flags = EK_BLOCK_SINGLE, .roles = EK_ROLES_ALL,
};

/* ---- the role ------------------------------------------------------------------------------------------- */

typedef struct {                     /* one process's stream */
  char   *role;
  gint64  pid;
  EkBuf   rest;                      /* the beginning of a record */
  guint64 garbled;                   /* octets that were no record, not yet complained of */
  gint64  next_garbled, next_forged; /* monotonic: no complaint before */
} Source;

struct EkLogRole {
  char          *hostname, *syslog_name, *login_name, *trace_folder;
  bool           rfc3339;
  EkLogFile     *file, *json;
  EkSyslog      *syslog;
  EkTraceWriter *trace;
  GHashTable    *sources;            /* pid -> Source */
  EkBuf          text;               /* scratch: tag and sentence of one record */
  gint64         now;                /* wall clock at the latest input */
  gint64         stamp_second;       /* stamp and short_stamp are of this second; -1: none */
  char           stamp[64], short_stamp[32];
  gsize          stamp_len, short_len;
  char           zone[8];
  guint64        dropped, unreported;
  gint64         next_report, next_failure;      /* monotonic */
};

static void handle (EkLogRole *self, Source *source, EkRecord *record, const char *packed, gsize len);

static void
free_source (gpointer data)
{
  Source *source = data;

  ek_buf_release (&source->rest);
  g_free (source->role);
  g_free (source);
}

/* What the log role has to say itself. */
static void
say (EkLogRole *self, EkLevel level, const char *word, const EkField *fields)
{
  char packed[EK_RECORD_MAX];
  EkRecord record;
  Source own = { .role = (char *) "log", .pid = getpid () };

  self->now = ek_wall ();
  gsize n = ek_record_pack (packed, self->now, 0, level, "log", word, fields);
  if (ek_record_read (packed, n, &record) > 0)
    handle (self, &own, &record, packed, n);
}

#define SAY(self_, level_, word_, ...) \
  say ((self_), (level_), (word_), (const EkField[]) { __VA_ARGS__, { .type = EK_F_END } })

/* ---- lines ------------------------------------------------------------------------------------------------ */

/* Both forms of the second's time, without what stands behind it; made once a second. */
static void
stamp_of (EkLogRole *self, gint64 second)
{
  time_t t = (time_t) second;
  struct tm tm = { 0 };

  if (second == self->stamp_second)
    return;
  self->stamp_second = second;
  localtime_r (&t, &tm);
  self->short_len = strftime (self->short_stamp, sizeof self->short_stamp, "%b %e %H:%M:%S ", &tm);
  if (self->rfc3339)
    self->stamp_len = strftime (self->stamp, sizeof self->stamp, "%Y-%m-%dT%H:%M:%S", &tm);
  int minutes = (int) (tm.tm_gmtoff / 60);
  g_snprintf (self->zone, sizeof self->zone, "%c%02d:%02d", minutes < 0 ? '-' : '+', ABS (minutes) / 60 % 24, ABS (minutes) % 60);
}

static void
put_file_line (EkLogRole *self, gint64 time, EkStr text)
{
  EkBuf *out = ek_logfile_line (self->file);

  if (self->rfc3339) {
    ek_buf_append (out, self->stamp, self->stamp_len);
    ek_buf_printf (out, ".%06d%s ", (int) (time % G_USEC_PER_SEC), self->zone);
  }
  else
    ek_buf_append (out, self->short_stamp, self->short_len);
  ek_buf_appends (out, self->hostname);
  ek_buf_appendc (out, ' ');
  ek_buf_append (out, text.p, text.n);
  ek_buf_appendc (out, '\n');
}

static void
put_text (EkLogRole *self, const Source *source, const EkRecord *record)
{
  EkRecordTag tag = {
    .name = self->syslog_name, .login_name = self->login_name, .role = source->role, .pid = source->pid,
  };

  ek_buf_clear (&self->text);
  ek_record_tag (record, &tag, &self->text);
  if (!ek_record_line (record, &self->text))
    return;
  stamp_of (self, record->time / G_USEC_PER_SEC);
  if (self->file)
    put_file_line (self, record->time, ek_buf_str (&self->text));
  if (self->syslog)
    ek_syslog_line (self->syslog, record->level, (EkStr) { self->short_stamp, self->short_len }, ek_buf_str (&self->text));
}

static void
handle (EkLogRole *self, Source *source, EkRecord *record, const char *packed, gsize len)
{
  if (self->file || self->syslog)
    put_text (self, source, record);
  if (self->json) {
    EkBuf *out = ek_logfile_line (self->json);
    ek_record_json (record, source->role, source->pid, self->hostname, out);
    ek_buf_appendc (out, '\n');
  }
  if (self->trace && record->level < EK_DEBUG)
    ek_trace_writer_add (self->trace, record, packed, len, source->role, source->pid);
}

/* ---- what a process may not say ----------------------------------------------------------------------------- */

/* Packs the record again, under the role's own name and with what it claimed; `out` holds it. */
static gsize
disown_claim (EkRecord *record, char *out)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  EkField fields[EK_RECORD_FIELDS + 1];
  guint n = 0;

  fields[n++] = (EkField) EK_FSTR ("claimed", ek_pool_str (pool, record->component));
  for (guint i = 0; i < record->n_fields && n < EK_RECORD_FIELDS; i++) {
    const EkRecordField *f = &record->fields[i];
    fields[n++] = (EkField) {
      .key = ek_pool_strndup (pool, f->key.p, f->key.n), .type = f->type, .str = f->str, .num = f->num,
    };
  }
  fields[n] = (EkField) { .type = EK_F_END };
  const char *word = ek_pool_strndup (pool, record->word.p, record->word.n);
  return ek_record_pack (out, record->time, record->id, record->level, "", word, fields);
}

static void
complain_of_claim (EkLogRole *self, Source *source, const EkRecord *record)
{
  gint64 now = ek_now ();

  if (now < source->next_forged)
    return;
  source->next_forged = now + WARNING_PAUSE;
  SAY (self, EK_WARN, "log-forged", EK_FTEXT ("role", source->role), EK_FINT ("pid", source->pid),
       EK_FSTR ("claimed", record->component), EK_FSTR ("name", record->word));
}

/* The record as it may stand: time near the clock, component within the role's rights. */
static void
judge (EkLogRole *self, Source *source, EkRecord *record, const char *packed, gsize len)
{
  char changed[EK_RECORD_MAX];
  bool honest = record->component.n == 0 || ek_role_may_claim (source->role, record->component, record->word);
  bool timely = record->time <= self->now + CLOCK_SLACK && record->time >= self->now - CLOCK_SLACK;

  if (honest && timely) {
    handle (self, source, record, packed, len);
    return;
  }
  if (!timely)
    record->time = self->now;
  if (!honest)
    complain_of_claim (self, source, record);
  if (honest)
    memcpy (changed, packed, len), ek_record_set_time (changed, record->time);
  else
    len = disown_claim (record, changed);
  if (ek_record_read (changed, len, record) > 0)
    handle (self, source, record, changed, len);
}

/* ---- input ---------------------------------------------------------------------------------------------------- */

static Source *
source_of (EkLogRole *self, const char *role, gint64 pid)
{
  Source *source = g_hash_table_lookup (self->sources, &pid);

  if (source && strcmp (source->role, role) == 0)
    return source;
  source = g_new0 (Source, 1);
  source->role = g_strdup (role);
  source->pid = pid;
  g_hash_table_replace (self->sources, &source->pid, source);
  return source;
}

static void
complain_of_garbage (EkLogRole *self, Source *source, bool now_or_never)
{
  gint64 now = ek_now ();

  if (source->garbled == 0 || (now < source->next_garbled && !now_or_never))
    return;
  source->next_garbled = now + WARNING_PAUSE;
  guint64 bytes = source->garbled;
  source->garbled = 0;
  SAY (self, EK_WARN, "log-garbled", EK_FTEXT ("role", source->role), EK_FINT ("pid", source->pid), EK_FINT ("bytes", bytes));
}

/* Takes whole records; returns how many bytes are done with.  Behind damage it looks for the next
 * place where a record can begin.  At the end of the stream a part of a record is damage too. */
static gsize
take_records (EkLogRole *self, Source *source, const char *bytes, gsize len, bool at_end)
{
  EkRecord record;
  gsize at = 0;

  while (at < len) {
    gssize n = ek_record_read (bytes + at, len - at, &record);
    if (n == 0 && !at_end)
      break;
    if (n <= 0) {
      source->garbled++;
      at++;
      continue;
    }
    judge (self, source, &record, bytes + at, (gsize) n);
    at += (gsize) n;
  }
  return at;
}

void
ek_logrole_input (EkLogRole *self, const char *role, gint64 pid, const char *bytes, gsize len)
{
  Source *source = source_of (self, role, pid);

  self->now = ek_wall ();
  if (ek_buf_len (&source->rest) > 0) {
    ek_buf_append (&source->rest, bytes, len);
    gsize done = take_records (self, source, ek_buf_at (&source->rest), ek_buf_len (&source->rest), false);
    ek_buf_consume (&source->rest, done);
    if (ek_buf_len (&source->rest) == 0)
      ek_buf_release (&source->rest);
  }
  else {
    gsize done = take_records (self, source, bytes, len, false);
    if (done < len)
      ek_buf_append (&source->rest, bytes + done, len - done);
  }
  complain_of_garbage (self, source, false);
  if ((self->file && ek_buf_len (ek_logfile_line (self->file)) > OUTPUT_MAX)
      || (self->json && ek_buf_len (ek_logfile_line (self->json)) > OUTPUT_MAX))
    ek_logrole_tick (self);
}

void
ek_logrole_gone (EkLogRole *self, gint64 pid)
{
  Source *source = g_hash_table_lookup (self->sources, &pid);

  if (source == NULL)
    return;
  self->now = ek_wall ();
  take_records (self, source, ek_buf_at (&source->rest), ek_buf_len (&source->rest), true);
  complain_of_garbage (self, source, true);
  g_hash_table_remove (self->sources, &pid);
}

/* ---- output ----------------------------------------------------------------------------------------------------- */

static void
count_lost (EkLogRole *self, guint n)
{
  self->dropped += n;
  self->unreported += n;
}

static void
flush (EkLogRole *self, GError **error)
{
  if (self->file)
    count_lost (self, ek_logfile_flush (self->file, error));
  if (self->json)
    count_lost (self, ek_logfile_flush (self->json, error && *error ? NULL : error));
  if (self->syslog)
    count_lost (self, ek_syslog_flush (self->syslog));
  if (self->trace)
    ek_trace_writer_flush (self->trace, error && *error ? NULL : error);
}

static bool
is_waiting (EkLogRole *self)
{
  return (self->file && ek_buf_len (ek_logfile_line (self->file)) > 0)
         || (self->json && ek_buf_len (ek_logfile_line (self->json)) > 0)
         || (self->syslog && ek_syslog_waiting (self->syslog) > 0) || self->unreported > 0;
}

bool
ek_logrole_tick (EkLogRole *self)
{
  g_autoptr (GError) error = NULL;

  flush (self, &error);
  if (error == NULL && self->unreported == 0)
    return is_waiting (self);
  gint64 now = ek_now ();
  if (error && now >= self->next_failure) {
    self->next_failure = now + WARNING_PAUSE;
    SAY (self, EK_ERR, "log", EK_FTEXT ("text", error->message));
  }
  if (error == NULL && self->unreported > 0 && now >= self->next_report) {
    self->next_report = now + 10 * G_USEC_PER_SEC;
    SAY (self, EK_WARN, "log-dropped", EK_FINT ("count", self->unreported));
    self->unreported = 0;
    flush (self, NULL);
  }
  return is_waiting (self);
}

guint64
ek_logrole_dropped (const EkLogRole *self)
{
  return self->dropped;
}

/* ---- life --------------------------------------------------------------------------------------------------------- */

static bool
is_set (const char *text)
{
  return text && *text;
}

static bool
open_sinks (EkLogRole *self, const EkLogOptions *options, GError **error)
{
  if (is_set (options->file) && (self->file = ek_logfile_open (options->file, error)) == NULL)
    return false;
  if (is_set (options->json) && (self->json = ek_logfile_open (options->json, error)) == NULL)
    return false;
  if (options->syslog)
    self->syslog = ek_syslog_open (is_set (options->syslog_socket) ? options->syslog_socket : "/dev/log");
  if (is_set (options->trace)
      && (self->trace = ek_trace_writer_open (options->trace, options->trace_size.bytes, error)) == NULL)
    return false;
  return true;
}

EkLogRole *
ek_logrole_open (const EkLogOptions *options, const char *hostname, GError **error)
{
  EkLogRole *self = g_new0 (EkLogRole, 1);
  const char *name = is_set (options->syslog_name) ? options->syslog_name : "ekiden";

  self->hostname = g_strdup (hostname);
  self->syslog_name = g_strdup (name);
  self->login_name = g_strdup (is_set (options->login_name) ? options->login_name
                               : strcmp (name, "postfix") == 0 ? "dovecot" : name);
  self->trace_folder = g_strdup (options->trace);
  self->rfc3339 = options->timestamps && strcmp (options->timestamps, "rfc3339") == 0;
  self->stamp_second = -1;
  self->sources = g_hash_table_new_full (g_int64_hash, g_int64_equal, NULL, free_source);
  tzset ();
  if (!open_sinks (self, options, error)) {
    ek_logrole_close (self);
    return NULL;
  }
  return self;
}

/* The event store stays the same one as long as its folder does: it has one writer. */
bool
ek_logrole_configure (EkLogRole *self, const EkLogOptions *options, const char *hostname, GError **error)
{
  EkLogOptions wanted = *options;
  bool keep_trace = self->trace && is_set (wanted.trace) && strcmp (wanted.trace, self->trace_folder) == 0;

  if (keep_trace)
    wanted.trace = NULL;
  EkLogRole *fresh = ek_logrole_open (&wanted, hostname, error);
  if (fresh == NULL)
    return false;
  EkLogRole old = *self;
  *self = *fresh;
  self->sources = old.sources;
  self->dropped = old.dropped;
  self->unreported = old.unreported;
  old.sources = fresh->sources;
  if (keep_trace) {
    self->trace = old.trace;
    self->trace_folder = old.trace_folder;
    old.trace = NULL;
    old.trace_folder = NULL;
    ek_trace_writer_resize (self->trace, options->trace_size.bytes);
  }
  *fresh = old;
  ek_logrole_close (fresh);
  return true;
}

bool
ek_logrole_reopen (EkLogRole *self, GError **error)
{
  bool good = true;

  ek_logrole_tick (self);
  if (self->file)
    good = ek_logfile_reopen (self->file, error);
  if (self->json)
    good = ek_logfile_reopen (self->json, good ? error : NULL) && good;
  SAY (self, EK_INFO, "log-reopened", EK_FINT ("count", (self->file != NULL) + (self->json != NULL)));
  ek_logrole_tick (self);
  return good;
}

void
ek_logrole_close (EkLogRole *self)
{
  if (self == NULL)
    return;
  ek_logfile_close (self->file);
  ek_logfile_close (self->json);
  ek_syslog_close (self->syslog);
  ek_trace_writer_close (self->trace);
  g_hash_table_unref (self->sources);
  ek_buf_release (&self->text);
  g_free (self->hostname);
  g_free (self->syslog_name);
  g_free (self->login_name);
  g_free (self->trace_folder);
  g_free (self);
}
