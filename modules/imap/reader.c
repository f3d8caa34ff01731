/* reader.c - cuts the client's byte stream into commands
 * SPDX-License-Identifier: Apache-2.0
 */
#include "parse.h"
#include <string.h>

/* The literal that a line announces at its end: "{12}" or "{12+}" at the beginning of a word. */
typedef struct {
  guint64 size;
  gsize   length;                    /* of the announcement */
  bool    sync;
} Literal;

static bool
literal_at_end (const char *text, gsize len, Literal *literal)
{
  gsize i = len;

  if (i < 3 || text[i - 1] != '}')
    return false;
  i--;
  literal->sync = text[i - 1] != '+';
  if (!literal->sync)
    i--;
  gsize digits_end = i;
  while (i > 0 && g_ascii_isdigit (text[i - 1]))
    i--;
  if (i == digits_end || i == 0 || text[i - 1] != '{')
    return false;
  if (i >= 2 && text[i - 2] != ' ' && text[i - 2] != '(')
    return false;
  if (!ek_str_u64 ((EkStr) { text + i, digits_end - i }, G_MAXINT64, &literal->size))
    literal->size = G_MAXINT64;
  literal->length = len - (i - 1);
  return true;
}

/* "tag APPEND mailbox ...": the literal that comes now is the message, not the mailbox. */
static bool
is_append_message (const char *text, gsize before)
{
  const char *end = text + before, *p = memchr (text, ' ', before);

  if (p == NULL || end - p < 8 || g_ascii_strncasecmp (p, " APPEND ", 8) != 0)
    return false;
  for (p += 8; p < end; p++)
    if (*p != ' ')
      return true;
  return false;
}

static ImapRead
refuse (ImapReader *reader, const char *why)
{
  reader->refused = why;
  return IMAP_READ_REFUSED;
}

/* A line of a command that is being skipped has ended. */
static ImapRead
skipped_line (ImapReader *reader)
{
  Literal literal;
  gsize len = reader->tail_len;

  if (len > 0 && reader->tail[len - 1] == '\r')
    len--;
  reader->tail_len = 0;
  if (literal_at_end (reader->tail, len, &literal) && !literal.sync) {
    reader->skip = literal.size;
    return IMAP_READ_MORE;
  }
  reader->skipping = false;
  if (reader->done)                  /* told already */
    return imap_reader_next (reader), IMAP_READ_MORE;
  reader->done = true;
  return IMAP_READ_REFUSED;
}

/* Skips what belongs to a command that is refused, up to its end. */
static ImapRead
skip_bytes (ImapReader *reader, const char *bytes, gsize len, gsize *used)
{
  gsize i = 0;

  while (i < len) {
    if (reader->skip > 0) {
      gsize n = (gsize) MIN (reader->skip, len - i);
      reader->skip -= n;
      i += n;
      continue;
    }
    const char *lf = memchr (bytes + i, '\n', len - i);
    gsize n = lf ? (gsize) (lf - (bytes + i)) : len - i;
    gsize keep = MIN (n, sizeof reader->tail), old = MIN (reader->tail_len, sizeof reader->tail - keep);
    memmove (reader->tail, reader->tail + reader->tail_len - old, old);
    memcpy (reader->tail + old, bytes + i + n - keep, keep);
    reader->tail_len = (guint8) (old + keep);
    i += n;
    if (lf) {
      i++;
      ImapRead read = skipped_line (reader);
      if (read != IMAP_READ_MORE || !reader->skipping) {
        *used = i;
        return read;
      }
    }
  }
  *used = i;
  return IMAP_READ_MORE;
}

/* From here on the command is not kept: what came of the current line is in `text` already. */
static void
start_skipping (ImapReader *reader, bool in_line, guint64 literal)
{
  gsize n = MIN (ek_buf_len (&reader->text), sizeof reader->tail);

  reader->skipping = true;
  reader->quoted = reader->escaped = false;
  reader->skip = literal;
  reader->tail_len = 0;
  if (in_line && n > 0) {
    memcpy (reader->tail, ek_buf_at (&reader->text) + ek_buf_len (&reader->text) - n, n);
    reader->tail_len = (guint8) n;
  }
}

/* A line has ended; its LF is not in `text`. */
static ImapRead
line_ended (ImapReader *reader)
{
  char *text = ek_buf_at (&reader->text);
  gsize len = ek_buf_len (&reader->text), end = len;
  Literal literal;

  if (end > reader->line && text[end - 1] == '\r')
    end--;
  if (len == 0 || reader->quoted || !literal_at_end (text + reader->line, end - reader->line, &literal)) {
    reader->text.end -= len - end;
    reader->done = true;
    return IMAP_READ_COMMAND;
  }
  if (reader->append && is_append_message (text, end - literal.length)) {
    reader->text.end -= len - (end - literal.length);
    reader->message_size = literal.size;
    reader->message_sync = literal.sync;
    reader->done = true;
    return IMAP_READ_MESSAGE;
  }
  if (literal.size > reader->max || len + 1 + literal.size > reader->max) {
    refuse (reader, "Literal size too large");
    if (!literal.sync) {
      start_skipping (reader, false, literal.size);
      return IMAP_READ_MORE;
    }
    reader->done = true;
    return IMAP_READ_REFUSED;
  }
  ek_buf_appendc (&reader->text, '\n');
  reader->line = len + 1 + (gsize) literal.size;
  reader->literal = literal.size;
  return literal.sync ? IMAP_READ_ASK : IMAP_READ_MORE;
}

/* How many of the bytes belong to the current line, keeping track of quotes; *ended when its LF is
 * the next one. */
static gsize
line_bytes (ImapReader *reader, const char *bytes, gsize len, bool *ended)
{
  for (gsize i = 0; i < len; i++) {
    char c = bytes[i];
    if (c == '\n')
      return *ended = true, i;
    if (reader->escaped)
      reader->escaped = false;
    else if (c == '"')
      reader->quoted = !reader->quoted;
    else if (c == '\\' && reader->quoted)
      reader->escaped = true;
  }
  return *ended = false, len;
}

ImapRead
imap_reader_feed (ImapReader *reader, const char *bytes, gsize len, gsize *used)
{
  gsize i = 0;
  ImapRead read = IMAP_READ_MORE;

  g_assert (!reader->done || reader->skipping);
  while (i < len && read == IMAP_READ_MORE) {
    gsize n;
    if (reader->skipping) {
      read = skip_bytes (reader, bytes + i, len - i, &n);
      i += n;
      continue;
    }
    if (reader->literal > 0) {
      n = (gsize) MIN (reader->literal, len - i);
      ek_buf_append (&reader->text, bytes + i, n);
      reader->literal -= n;
      i += n;
      continue;
    }
    bool ended;
    gsize have = ek_buf_len (&reader->text), room = reader->max > have ? reader->max - have : 0;
    n = line_bytes (reader, bytes + i, MIN (len - i, room + 1), &ended);
    ek_buf_append (&reader->text, bytes + i, MIN (n, room));
    i += MIN (n, room);
    if (ended) {
      i++;
      read = line_ended (reader);
    }
    else if (n > room) {
      refuse (reader, "Too long argument");
      start_skipping (reader, true, 0);
    }
  }
  *used = i;
  return read;
}

void
imap_reader_next (ImapReader *reader)
{
  ek_buf_clear (&reader->text);
  reader->line = 0;
  reader->literal = reader->skip = 0;
  reader->refused = NULL;
  reader->quoted = reader->escaped = reader->skipping = reader->done = false;
  reader->tail_len = 0;
}

void
imap_reader_drop_message (ImapReader *reader)
{
  guint64 size = reader->message_size;
  bool sync = reader->message_sync;

  imap_reader_next (reader);
  reader->message = false;
  if (sync)
    return;
  start_skipping (reader, false, size);
  reader->done = true;
}

void
imap_reader_release (ImapReader *reader)
{
  ek_buf_release (&reader->text);
}
