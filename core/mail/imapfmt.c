/* imapfmt.c - IMAP's text of strings, envelopes and body structures
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "mail/imapfmt.h"
#include "mail/address.h"
#include <string.h>

#define ESCAPES_MAX 4                /* a string with more quotes and backslashes becomes a literal */
#define REPLACEMENT "\xef\xbf\xbd"

/* ---- strings ------------------------------------------------------------------------------- */

typedef struct {
  gsize nuls, escapes, spaces;       /* spaces: runs that ek_imap_text() would shorten or change */
  bool  literal;                     /* not ASCII, or a line break: no quoted string can hold it */
} Look;

static Look
look_at (EkStr s)
{
  Look look = { 0 };

  for (gsize i = 0; i < s.n; i++) {
    guchar c = (guchar) s.p[i];
    look.nuls += c == 0;
    look.escapes += c == '"' || c == '\\';
    look.literal |= c >= 0x80 || c == '\r' || c == '\n' || c == 0;
    look.spaces += c == '\t' || c == '\r' || c == '\n'
                   || (c == ' ' && (i + 1 == s.n || i == 0 || s.p[i - 1] == ' '));
  }
  return look;
}

/* A literal cannot hold NUL: it becomes U+FFFD. */
static void
put_literal (EkBuf *out, EkStr s, gsize nuls)
{
  ek_buf_printf (out, "{%" G_GSIZE_FORMAT "}\r\n", s.n + nuls * (strlen (REPLACEMENT) - 1));
  for (; nuls > 0; nuls--) {
    const char *nul = memchr (s.p, 0, s.n);
    gsize n = (gsize) (nul - s.p);
    ek_buf_append (out, s.p, n);
    ek_buf_appends (out, REPLACEMENT);
    s.p += n + 1;
    s.n -= n + 1;
  }
  ek_buf_append (out, s.p, s.n);
}

static void
put_quoted (EkBuf *out, EkStr s, gsize escapes)
{
  char *to = ek_buf_room (out, s.n + escapes + 2), *from = to;

  *to++ = '"';
  if (escapes == 0 && s.n > 0)
    to = (char *) memcpy (to, s.p, s.n) + s.n;
  else
    for (gsize i = 0; i < s.n; i++) {
      if (s.p[i] == '"' || s.p[i] == '\\')
        *to++ = '\\';
      *to++ = s.p[i];
    }
  *to++ = '"';
  ek_buf_added (out, (gsize) (to - from));
}

void
ek_imap_string (EkBuf *out, EkStr s)
{
  Look look = look_at (s);

  if (look.literal || look.escapes > ESCAPES_MAX)
    put_literal (out, s, look.nuls);
  else
    put_quoted (out, s, look.escapes);
}

void
ek_imap_nstring (EkBuf *out, EkStr s)
{
  if (s.p == NULL)
    ek_buf_append (out, "NIL", 3);
  else
    ek_imap_string (out, s);
}

void
ek_imap_astring (EkBuf *out, EkStr s)
{
  bool atom = s.n > 0 && !ek_str_ieq (s, EK_STR ("NIL"));

  for (gsize i = 0; i < s.n && atom; i++)
    atom = (guchar) s.p[i] > ' ' && (guchar) s.p[i] < 127 && strchr ("(){%*\"\\", s.p[i]) == NULL;
  if (atom)
    ek_buf_append (out, s.p, s.n);
  else
    ek_imap_string (out, s);
}

void
ek_imap_text (EkBuf *out, EkStr s)
{
  Look look = look_at (s);

  if (!look.literal && look.escapes == 0 && look.spaces == 0) {
    put_quoted (out, s, 0);
    return;
  }
  g_autofree char *copy = g_malloc (s.n + 1);
  gsize n = 0;
  bool space = true;                 /* none in front */
  for (gsize i = 0; i < s.n; i++) {
    bool blank = s.p[i] == ' ' || s.p[i] == '\t' || s.p[i] == '\r' || s.p[i] == '\n';
    if (!blank || !space)
      copy[n++] = blank ? ' ' : s.p[i];
    space = blank;
  }
  if (n > 0 && space)
    n--;
  if (n == 0)
    ek_buf_append (out, "\"\"", 2);
  else
    put_literal (out, (EkStr) { copy, n }, look.nuls);
}

/* ---- envelope ------------------------------------------------------------------------------ */

static void
put_addresses (EkBuf *out, const EkListAddr *list)
{
  if (list == NULL) {
    ek_buf_append (out, "NIL", 3);
    return;
  }
  ek_buf_appendc (out, '(');
  for (; list; list = list->next) {
    ek_buf_appendc (out, '(');
    if (list->name.p)
      ek_imap_text (out, list->name);
    else
      ek_buf_append (out, "NIL", 3);
    const EkStr rest[] = { list->adl, list->mailbox, list->host };
    for (gsize i = 0; i < G_N_ELEMENTS (rest); i++) {
      ek_buf_appendc (out, ' ');
      ek_imap_nstring (out, rest[i]);
    }
    ek_buf_appendc (out, ')');
  }
  ek_buf_appendc (out, ')');
}

/* Sender and Reply-To are From where they are missing (RFC 3501 7.4.2): `again` is its text. */
static void
put_field (EkBuf *out, EkPool *pool, EkStr value, EkStr again)
{
  EkListAddr *list = value.n > 0 ? ek_address_list (pool, value, 0) : NULL;

  ek_buf_appendc (out, ' ');
  if (list == NULL && again.n > 0)
    ek_buf_append (out, again.p, again.n);
  else
    put_addresses (out, list);
}

void
ek_imap_envelope (EkBuf *out, const EkMimeEnvelope *envelope)
{
  static const EkMimeEnvelope none;
  const EkMimeEnvelope *e = envelope ? envelope : &none;
  g_autoptr (EkPool) pool = ek_pool_new ();
  EkStr missing = { NULL, 0 };

  ek_buf_appendc (out, '(');
  ek_imap_nstring (out, e->date);
  ek_buf_appendc (out, ' ');
  if (e->subject.p)
    ek_imap_text (out, e->subject);
  else
    ek_buf_append (out, "NIL", 3);
  EkBuf from = { 0 };
  put_field (&from, pool, e->from, missing);
  EkStr again = { ek_buf_at (&from) + 1, ek_buf_len (&from) - 1 };
  ek_buf_append (out, ek_buf_at (&from), ek_buf_len (&from));
  put_field (out, pool, e->sender, again);
  put_field (out, pool, e->reply_to, again);
  ek_buf_release (&from);
  put_field (out, pool, e->to, missing);
  put_field (out, pool, e->cc, missing);
  put_field (out, pool, e->bcc, missing);
  ek_buf_appendc (out, ' ');
  ek_imap_nstring (out, e->in_reply_to);
  ek_buf_appendc (out, ' ');
  ek_imap_nstring (out, e->message_id);
  ek_buf_appendc (out, ')');
}

/* ---- body structure ------------------------------------------------------------------------ */

static void
put_params (EkBuf *out, const EkMimeType *type, bool default_charset)
{
  bool charset = !default_charset || ek_mime_param_raw (type, "charset").p != NULL;

  if (type->n_params == 0 && charset) {
    ek_buf_append (out, "NIL", 3);
    return;
  }
  ek_buf_appendc (out, '(');
  for (guint i = 0; i < type->n_params; i++) {
    if (i > 0)
      ek_buf_appendc (out, ' ');
    ek_imap_string (out, type->params[i].name);
    ek_buf_appendc (out, ' ');
    ek_imap_string (out, type->params[i].value);
  }
  if (!charset)
    ek_buf_appends (out, type->n_params > 0 ? " \"charset\" \"us-ascii\"" : "\"charset\" \"us-ascii\"");
  ek_buf_appendc (out, ')');
}

/* " disposition languages location" */
static void
put_extension (EkBuf *out, const EkPart *part)
{
  ek_buf_appendc (out, ' ');
  if (part->disposition.type.p == NULL)
    ek_buf_append (out, "NIL", 3);
  else {
    ek_buf_appendc (out, '(');
    ek_imap_string (out, part->disposition.type);
    ek_buf_appendc (out, ' ');
    put_params (out, &part->disposition, false);
    ek_buf_appendc (out, ')');
  }
  if (part->n_languages == 0)
    ek_buf_append (out, " NIL", 4);
  for (guint i = 0; i < part->n_languages; i++) {
    ek_buf_appends (out, i == 0 ? " (" : " ");
    ek_imap_string (out, part->languages[i]);
  }
  ek_buf_appends (out, part->n_languages > 0 ? ") " : " ");
  ek_imap_nstring (out, part->location);
}

static void put_part (EkBuf *out, const EkPart *part, bool extended);

static void
put_multipart (EkBuf *out, const EkPart *part, bool extended)
{
  ek_buf_appendc (out, '(');
  for (const EkPart *child = part->children; child; child = child->next)
    put_part (out, child, extended);
  if (part->children == NULL)        /* the grammar asks for one */
    ek_buf_printf (out, "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0%s)",
                   extended ? " NIL NIL NIL NIL" : "");
  ek_buf_appendc (out, ' ');
  ek_imap_string (out, part->type.subtype);
  if (extended) {
    ek_buf_appendc (out, ' ');
    put_params (out, &part->type, false);
    put_extension (out, part);
  }
  ek_buf_appendc (out, ')');
}

/* The words that the type's place in the grammar allows: a multipart or message that was not looked into
 * must not be called one. */
static void
put_type (EkBuf *out, const EkPart *part, bool *text)
{
  const EkMimeType *type = &part->type;
  bool container = ek_str_ieq (type->type, EK_STR ("multipart"))
                   || (ek_str_ieq (type->type, EK_STR ("message"))
                       && ek_str_ieq (type->subtype, EK_STR ("rfc822")));

  *text = false;
  if (part->kind == EK_PART_LEAF && (container || (type->type.p == NULL && part->digest)))
    ek_buf_appends (out, "\"application\" \"octet-stream\" ");
  else if (part->kind == EK_PART_MESSAGE)
    ek_buf_appends (out, "\"message\" \"rfc822\" ");
  else if (type->type.p == NULL) {
    *text = true;
    ek_buf_appends (out, "\"text\" \"plain\" ");
  }
  else {
    *text = ek_str_ieq (type->type, EK_STR ("text"));
    ek_imap_string (out, type->type);
    ek_buf_appendc (out, ' ');
    ek_imap_string (out, type->subtype);
    ek_buf_appendc (out, ' ');
  }
}

static void
put_part (EkBuf *out, const EkPart *part, bool extended)
{
  bool text;

  if (part->kind == EK_PART_MULTIPART) {
    put_multipart (out, part, extended);
    return;
  }
  ek_buf_appendc (out, '(');
  put_type (out, part, &text);
  put_params (out, &part->type, text);
  ek_buf_appendc (out, ' ');
  ek_imap_nstring (out, part->id);
  ek_buf_appendc (out, ' ');
  ek_imap_nstring (out, part->description);
  ek_buf_appendc (out, ' ');
  ek_imap_string (out, part->encoding.p ? part->encoding : EK_STR ("7bit"));
  ek_buf_printf (out, " %" G_GUINT64_FORMAT, part->body.octets);
  if (part->kind == EK_PART_MESSAGE && part->children) {
    ek_buf_appendc (out, ' ');
    ek_imap_envelope (out, part->children->envelope);
    ek_buf_appendc (out, ' ');
    put_part (out, part->children, extended);
  }
  if (text || part->kind == EK_PART_MESSAGE)
    ek_buf_printf (out, " %" G_GUINT64_FORMAT, part->body.lines);
  if (extended) {
    ek_buf_appendc (out, ' ');
    ek_imap_nstring (out, part->md5);
    put_extension (out, part);
  }
  ek_buf_appendc (out, ')');
}

void
ek_imap_body (EkBuf *out, const EkMime *mime, bool extended)
{
  put_part (out, mime->root, extended);
}
