/* mimecheck.h - what must hold for the tree of any message; for the unit test and the fuzzer
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once
#include "mail/imapfmt.h"
#include <string.h>

/* Counts of a stretch of the message, the slow way. */
static inline EkExtent
mc_count (EkStr message, guint64 from, guint64 n)
{
  EkExtent e = { n, n, 0 };

  for (guint64 i = from; i < from + n; i++)
    if (message.p[i] == '\n') {
      e.lines++;
      e.octets += i == 0 || message.p[i - 1] != '\r';
    }
  return e;
}

static inline bool
mc_same (EkExtent a, EkExtent b)
{
  return a.bytes == b.bytes && a.octets == b.octets && a.lines == b.lines;
}

/* Every extent is what counting finds; children lie in their parent's body, in order. */
static inline guint
mc_part (EkStr message, const EkPart *part)
{
  guint64 body = part->offset + part->header.bytes, at = body, n = 1, children = 0;

  g_assert_cmpuint (body + part->body.bytes, <=, message.n);
  g_assert_true (mc_same (part->header, mc_count (message, part->offset, part->header.bytes)));
  g_assert_true (mc_same (part->body, mc_count (message, body, part->body.bytes)));
  g_assert_cmpuint (part->octet_offset, ==, mc_count (message, 0, part->offset).octets);
  for (const EkPart *child = part->children; child; child = child->next) {
    g_assert_true (child->parent == part);
    g_assert_cmpuint (child->offset, >=, at);
    at = child->offset + child->header.bytes + child->body.bytes;
    g_assert_cmpuint (at, <=, body + part->body.bytes);
    n += mc_part (message, child);
    children++;
  }
  g_assert_cmpuint (children, ==, part->n_children);
  g_assert_true (part->kind != EK_PART_LEAF || children == 0);
  g_assert_true (part->kind != EK_PART_MESSAGE || (children == 1 && part->children->envelope));
  return (guint) n;
}

/* One value of IMAP's grammar at p (a list, NIL, a number, a quoted string, a literal); where it ends. */
static inline const char *
mc_imap_value (const char *p, const char *end)
{
  g_assert_true (p < end);
  if (*p == '(') {
    for (p++; p < end && *p != ')';) {
      p = mc_imap_value (p, end);
      g_assert_true (p < end);
      p += *p == ' ';
    }
    g_assert_true (p < end);
    return p + 1;
  }
  if (*p == '"') {
    for (p++; p < end && *p != '"'; p++) {
      g_assert_true (*p != '\r' && *p != '\n' && *p != 0 && (guchar) *p < 0x80);
      if (*p == '\\') {
        p++;
        g_assert_true (p < end && (*p == '"' || *p == '\\'));
      }
    }
    g_assert_true (p < end);
    return p + 1;
  }
  if (*p == '{') {
    guint64 n = g_ascii_strtoull (p + 1, NULL, 10);
    const char *text = memmem (p, (gsize) (end - p), "}\r\n", 3);
    g_assert_true (text && text - p < 24);
    g_assert_cmpuint (n, <=, (guint64) (end - text - 3));
    g_assert_null (memchr (text + 3, 0, n));
    return text + 3 + n;
  }
  const char *from = p;
  while (p < end && g_ascii_isalnum (*p))
    p++;
  g_assert_true (p > from);
  return p;
}

static inline void
mc_imap (const EkBuf *text)
{
  const char *end = ek_buf_at (text) + ek_buf_len (text);

  g_assert_true (mc_imap_value (ek_buf_at (text), end) == end);
}

static inline EkMime *
mc_parse (EkPool *pool, EkStr message, gsize chunk)
{
  EkMimeParser *parser = ek_mime_parser_new (pool, NULL);

  for (gsize i = 0; i < message.n; i += chunk)
    ek_mime_parser_feed (parser, message.p + i, MIN (chunk, message.n - i));
  return ek_mime_parser_finish (parser);
}

/* The sections of every part by its number path; `path` has room for it. */
static inline void
mc_sections (const EkMime *mime, const EkPart *part, GString *path)
{
  gsize len = path->len;
  guint n = 1;
  EkSection s;
  const EkPart *message = part->kind == EK_PART_MESSAGE ? part->children : NULL;

  g_assert_cmpint (ek_mime_section (mime, (EkStr) { path->str, path->len }, &s), ==, EK_OK);
  g_assert_true (s.part == part && mc_same (s.extent, part->body));
  g_string_append (path, ".MIME");
  g_assert_cmpint (ek_mime_section (mime, (EkStr) { path->str, path->len }, &s), ==, EK_OK);
  g_assert_true (s.offset == part->offset && mc_same (s.extent, part->header));
  g_string_truncate (path, len);
  g_string_append (path, ".header");
  g_assert_cmpint (ek_mime_section (mime, (EkStr) { path->str, path->len }, &s), ==, message ? EK_OK : EK_NOTFOUND);
  g_assert_true (message == NULL || s.offset == message->offset);
  g_string_truncate (path, len);
  if (message && message->kind == EK_PART_MULTIPART)
    part = message;
  for (const EkPart *child = part->children; child; child = child->next, n++) {
    g_string_append_printf (path, ".%u", n);
    mc_sections (mime, child, path);
    g_string_truncate (path, len);
  }
}

/* Everything above, and: chunks, line endings and the saved form change nothing. */
static inline void
mc_check (EkStr message, gsize chunk)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  EkMime *mime = mc_parse (pool, message, MAX (message.n, 1));
  EkBuf saved = { 0 }, again = { 0 }, crlf = { 0 }, text = { 0 }, text2 = { 0 };
  g_autoptr (GString) path = g_string_new (NULL);
  guint n = 0;

  g_assert_true (mc_same (mime->total, mc_count (message, 0, message.n)));
  g_assert_cmpuint (mc_part (message, mime->root), ==, mime->n_parts);
  ek_mime_save (mime, &saved);
  ek_mime_save (mc_parse (pool, message, chunk), &again);
  g_assert_true (ek_str_eq (ek_buf_str (&saved), ek_buf_str (&again)));
  EkMime *loaded = ek_mime_load (pool, ek_buf_str (&saved));
  g_assert_nonnull (loaded);
  ek_buf_clear (&again);
  ek_mime_save (loaded, &again);
  g_assert_true (ek_str_eq (ek_buf_str (&saved), ek_buf_str (&again)));
  ek_imap_envelope (&text, loaded->root->envelope);
  mc_imap (&text);
  ek_buf_clear (&text);
  ek_imap_body (&text, loaded, true);
  mc_imap (&text);
  for (gsize i = 0; i < message.n; i++) {
    if (message.p[i] == '\n' && (i == 0 || message.p[i - 1] != '\r'))
      ek_buf_appendc (&crlf, '\r');
    ek_buf_appendc (&crlf, message.p[i]);
  }
  ek_imap_body (&text2, mc_parse (pool, ek_buf_str (&crlf), MAX (chunk, 1)), true);
  if (!mime->limited)                /* limits count bytes */
    g_assert_true (ek_str_eq (ek_buf_str (&text), ek_buf_str (&text2)));
  if (mime->root->kind == EK_PART_MULTIPART)
    for (const EkPart *child = mime->root->children; child; child = child->next) {
      g_string_printf (path, "%u", ++n);
      mc_sections (mime, child, path);
    }
  else {
    g_string_assign (path, "1");
    mc_sections (mime, mime->root, path);
  }
  ek_buf_release (&saved);
  ek_buf_release (&again);
  ek_buf_release (&crlf);
  ek_buf_release (&text);
  ek_buf_release (&text2);
}
