/* section.c - bytes of one message: where a BODY[...] lies, its header fields
 * SPDX-License-Identifier: Apache-2.0
 */
#include "section.h"
#include "mail/mime.h"
#include <string.h>

#define CHUNK 32768

bool
imap_fields_cached (const EkStr *fields, guint n)
{
  const char *const *cached = ek_cached_fields ();

  for (guint i = 0; i < n; i++) {
    const char *const *name = cached;
    while (*name && !ek_str_ieq (fields[i], ek_str (*name)))
      name++;
    if (*name == NULL)
      return false;
  }
  return true;
}

guint
imap_section_items (const ImapSection *section)
{
  if (section->part == IMAP_PART_ALL && section->numbers.n == 0)
    return EK_ROW_SIZE;
  if (section->part == IMAP_PART_FIELDS && section->numbers.n == 0
      && imap_fields_cached (section->fields, section->n_fields))
    return EK_ROW_HEADERS;
  return EK_ROW_STRUCTURE;
}

EkStatus
imap_source_open (ImapSource *source, GError **error)
{
  return source->message ? EK_OK : ek_message_open (source->view, source->uid, &source->message, error);
}

void
imap_source_next (ImapSource *source, EkView *view, guint32 uid)
{
  EkPool *pool = source->pool;

  imap_source_clear (source);
  ek_pool_clear (pool);
  *source = (ImapSource) { .view = view, .uid = uid, .pool = pool };
}

void
imap_source_clear (ImapSource *source)
{
  g_clear_pointer (&source->message, ek_message_close);
  ek_buf_release (&source->chosen);
}

/* The cache does not have the structure, or one that an older version wrote: the message tells. */
static EkStatus
parse_message (ImapSource *source, GError **error)
{
  EkMimeParser *parser = ek_mime_parser_new (source->pool, NULL);
  g_autofree char *chunk = g_malloc (CHUNK);
  guint64 offset = 0;
  gssize n;

  while ((n = ek_message_read (source->message, offset, chunk, CHUNK, error)) > 0) {
    ek_mime_parser_feed (parser, chunk, (gsize) n);
    offset += (guint64) n;
  }
  source->mime = ek_mime_parser_finish (parser);
  return n < 0 ? EK_DEFER : EK_OK;
}

EkStatus
imap_source_mime (ImapSource *source, GError **error)
{
  if (source->mime == NULL && source->structure.n > 0)
    source->mime = ek_mime_load (source->pool, source->structure);
  if (source->mime)
    return EK_OK;
  EkStatus status = imap_source_open (source, error);
  return status == EK_OK ? parse_message (source, error) : status;
}

/* ---- header fields ---------------------------------------------------------------------------- */

typedef struct {
  const ImapSection *section;
  EkBuf *out;
} Choice;

static bool
choose_field (const EkHeader *header, gpointer data)
{
  Choice *choice = data;
  const ImapSection *section = choice->section;
  bool named = false;

  for (guint i = 0; i < section->n_fields && !named; i++)
    named = ek_str_ieq (section->fields[i], header->name);
  if (named == (section->part == IMAP_PART_FIELDS)
      && ek_buf_len (choice->out) + header->raw.n <= IMAP_FIELDS_MAX)
    ek_buf_append (choice->out, header->raw.p, header->raw.n);
  return true;
}

static EkStatus
feed_header (ImapSource *source, guint64 offset, guint64 left, EkHeaderSplit *split, GError **error)
{
  g_autofree char *chunk = g_malloc (CHUNK);

  while (left > 0 && !split->done) {
    gssize n = ek_message_read (source->message, offset, chunk, (gsize) MIN (left, CHUNK), error);
    if (n < 0)
      return EK_DEFER;
    if (n == 0)
      break;
    ek_header_split_feed (split, chunk, (gsize) n);
    offset += (guint64) n;
    left -= (guint64) n;
  }
  return EK_OK;
}

/* The chosen fields of the header that lies at `offset`, with the empty line. */
static EkStatus
choose_fields (ImapSource *source, const ImapSection *section, guint64 offset, guint64 length, ImapBody *body,
               GError **error)
{
  Choice choice = { .section = section, .out = &source->chosen };
  EkHeaderSplit split = { .field_max = IMAP_FIELDS_MAX, .func = choose_field, .data = &choice };
  bool cached = source->headers.p && imap_section_items (section) == EK_ROW_HEADERS;
  EkStatus status = EK_OK;

  ek_buf_clear (&source->chosen);
  if (cached)
    ek_header_split_feed (&split, source->headers.p, source->headers.n);
  else if ((status = imap_source_open (source, error)) == EK_OK)
    status = feed_header (source, offset, length, &split, error);
  ek_header_split_end (&split);
  if (section->part == IMAP_PART_FIELDS || split.complete)
    ek_buf_append (&source->chosen, "\r\n", 2);
  ek_header_split_clear (&split);
  if (ek_buf_len (&source->chosen) > 0)
    body->memory = ek_buf_str (&source->chosen);
  body->left = body->memory.n;
  return status;
}

/* ---- sections ---------------------------------------------------------------------------------- */

/* The message (or the root) whose header and text a section means: NULL when the part is no message. */
static const EkPart *
message_of (const EkPart *part, bool root)
{
  if (root)
    return part;
  return part->kind == EK_PART_MESSAGE ? part->children : NULL;
}

static EkStatus
locate (ImapSource *source, const ImapSection *section, ImapBody *body, GError **error)
{
  bool root = section->numbers.n == 0;
  const EkPart *part = ek_mime_part (source->mime, section->numbers);

  if (part && (section->part != IMAP_PART_ALL && section->part != IMAP_PART_MIME))
    part = message_of (part, root);
  if (part == NULL)
    return EK_OK;                    /* empty */
  guint64 text = part->octet_offset + part->header.octets;
  switch (section->part) {
  case IMAP_PART_ALL:
  case IMAP_PART_TEXT:
    *body = (ImapBody) { .at = text, .left = part->body.octets };
    break;
  case IMAP_PART_HEADER:
  case IMAP_PART_MIME:
    *body = (ImapBody) { .at = part->octet_offset, .left = part->header.octets };
    break;
  default:
    return choose_fields (source, section, part->octet_offset, part->header.octets, body, error);
  }
  return EK_OK;
}

static void
clip (const ImapSection *section, ImapBody *body)
{
  guint64 skip = MIN ((guint64) section->offset, body->left);

  if (!section->partial)
    return;
  body->left = MIN (body->left - skip, section->count);
  if (body->memory.p) {
    body->memory.p += skip;
    body->memory.n = (gsize) body->left;
  }
  body->at += skip;
}

EkStatus
imap_section_begin (ImapSource *source, const ImapSection *section, ImapBody *body, GError **error)
{
  EkStatus status = EK_OK;

  *body = (ImapBody) { 0 };
  if (section->part == IMAP_PART_ALL && section->numbers.n == 0) {
    if ((status = imap_source_open (source, error)) == EK_OK)
      body->left = ek_message_size (source->message);
  }
  else if (imap_section_items (section) == EK_ROW_HEADERS && source->headers.p)
    status = choose_fields (source, section, 0, 0, body, error);
  else {
    status = imap_source_mime (source, error);
    if (status == EK_OK)
      status = locate (source, section, body, error);
  }
  clip (section, body);
  if (status == EK_OK && body->memory.p == NULL && body->left > 0)
    status = imap_source_open (source, error);
  return status;
}

static void
hide_nuls (char *bytes, gsize n)
{
  for (char *nul = memchr (bytes, '\0', n); nul; nul = memchr (nul, '\0', n - (gsize) (nul - bytes)))
    *nul = (char) 0x80;
}

EkStatus
imap_section_read (ImapSource *source, ImapBody *body, gsize max, EkBuf *out, GError **error)
{
  gsize want = (gsize) MIN (body->left, max);
  gssize n = (gssize) want;
  char *room = ek_buf_room (out, want);

  if (body->memory.p)
    memcpy (room, body->memory.p + (body->memory.n - body->left), want);
  else
    n = ek_message_read (source->message, body->at, room, want, error);
  if (n < 0)
    return EK_DEFER;
  if (n == 0)                        /* the file is shorter than it was: another program changed it */
    return ek_fail (error, EK_DEFER, 0, "the message of UID %u has become shorter", source->uid);
  hide_nuls (room, (gsize) n);
  ek_buf_added (out, (gsize) n);
  body->at += (guint64) n;
  body->left -= (guint64) n;
  return EK_OK;
}
