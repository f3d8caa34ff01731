/* mimepart.c - what a part keeps of its header fields
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "mail/mimepart.h"
#include <string.h>

#define LANGUAGES_MAX 32

/* ---- which field is it --------------------------------------------------------------------- */

typedef enum { TEXT, ADDRESSES } FieldKind;

typedef struct {
  const char *name;
  gsize       offset;                /* of the EkStr in EkMimeEnvelope */
  FieldKind   kind;
} Field;

static const Field fields[] = {
  { "Date", G_STRUCT_OFFSET (EkMimeEnvelope, date), TEXT },
  { "Subject", G_STRUCT_OFFSET (EkMimeEnvelope, subject), TEXT },
  { "From", G_STRUCT_OFFSET (EkMimeEnvelope, from), ADDRESSES },
  { "Sender", G_STRUCT_OFFSET (EkMimeEnvelope, sender), ADDRESSES },
  { "Reply-To", G_STRUCT_OFFSET (EkMimeEnvelope, reply_to), ADDRESSES },
  { "To", G_STRUCT_OFFSET (EkMimeEnvelope, to), ADDRESSES },
  { "Cc", G_STRUCT_OFFSET (EkMimeEnvelope, cc), ADDRESSES },
  { "Bcc", G_STRUCT_OFFSET (EkMimeEnvelope, bcc), ADDRESSES },
  { "In-Reply-To", G_STRUCT_OFFSET (EkMimeEnvelope, in_reply_to), TEXT },
  { "Message-ID", G_STRUCT_OFFSET (EkMimeEnvelope, message_id), TEXT },
};

static const Field *
find_field (EkStr name)
{
  for (gsize i = 0; i < G_N_ELEMENTS (fields); i++)
    if (ek_str_ieq (name, ek_str (fields[i].name)))
      return &fields[i];
  return NULL;
}

bool
ek_mime_wants (const EkPart *part, EkStr name)
{
  if (name.n > 8 && ek_str_istarts (name, EK_STR ("Content-")))
    return true;
  return part->envelope && name.n <= 11 && find_field (name) != NULL;
}

/* ---- values -------------------------------------------------------------------------------- */

/* Unfolded, without the white space in front; what stands at the end stays, as Dovecot has it. */
static EkStr
unfolded (EkPool *pool, EkStr value)
{
  while (value.n > 0 && (value.p[0] == ' ' || value.p[0] == '\t' || value.p[0] == '\r' || value.p[0] == '\n'))
    value.p++, value.n--;
  char *copy = ek_pool_alloc (pool, value.n + 1);
  gsize n = 0;
  for (const char *p = value.p, *end = EK_STR_END (value); p < end;) {
    const char *nl = memchr (p, '\n', (gsize) (end - p));
    gsize len = (gsize) ((nl ? nl : end) - p);
    gsize keep = nl && len > 0 && p[len - 1] == '\r' ? len - 1 : len;
    memcpy (copy + n, p, keep);
    n += keep;
    p += len + (nl != NULL);
  }
  return (EkStr) { copy, n };
}

static void
take_envelope (EkPool *pool, EkMimeEnvelope *envelope, const Field *field, EkStr value)
{
  EkStr *slot = G_STRUCT_MEMBER_P (envelope, field->offset);
  EkStr text = unfolded (pool, value);

  if (field->kind == ADDRESSES && ek_str_trim (*slot).n > 0) {
    if (ek_str_trim (text).n == 0)
      return;
    char *joined = ek_pool_alloc (pool, slot->n + text.n + 3);
    memcpy (joined, slot->p, slot->n);
    memcpy (joined + slot->n, ", ", 2);
    memcpy (joined + slot->n + 2, text.p, text.n);
    text = (EkStr) { joined, slot->n + text.n + 2 };
  }
  *slot = text;
}

/* Content-Transfer-Encoding is one word, else it is nothing; comments may stand around it. */
static void
take_encoding (EkPool *pool, EkPart *part, EkStr value)
{
  EkMimeType type;

  ek_mime_type_parse (pool, value, &type);
  if (part->encoding.p == NULL && type.type.n > 0 && type.subtype.n == 0)
    part->encoding = type.type;
}

/* Content-Language: words with commas between. */
static void
take_languages (EkPool *pool, EkPart *part, EkStr value)
{
  EkStr found[LANGUAGES_MAX];
  guint n = 0;

  if (part->n_languages > 0)
    return;
  while (value.n > 0 && n < LANGUAGES_MAX) {
    const char *comma = memchr (value.p, ',', value.n);
    gsize len = comma ? (gsize) (comma - value.p) : value.n;
    EkMimeType word;
    ek_mime_disposition_parse (pool, (EkStr) { value.p, len }, &word);
    if (word.type.n == 0)
      break;
    found[n++] = word.type;
    len += comma != NULL;
    value.p += len;
    value.n -= len;
  }
  if (n == 0)
    return;
  part->languages = ek_pool_newv (pool, EkStr, n);
  memcpy (part->languages, found, sizeof (EkStr) * n);
  part->n_languages = n;
}

static void
take_first (EkPool *pool, EkStr *slot, EkStr value)
{
  if (slot->p == NULL)
    *slot = unfolded (pool, value);
}

static void
take_content (EkPool *pool, EkPart *part, EkStr name, EkStr value)
{
  if (ek_str_ieq (name, EK_STR ("Type"))) {
    if (part->type.type.p == NULL)
      ek_mime_type_parse (pool, value, &part->type);
  }
  else if (ek_str_ieq (name, EK_STR ("Disposition")))
    ek_mime_disposition_parse (pool, value, &part->disposition);
  else if (ek_str_ieq (name, EK_STR ("Transfer-Encoding")))
    take_encoding (pool, part, value);
  else if (ek_str_ieq (name, EK_STR ("ID")))
    take_first (pool, &part->id, value);
  else if (ek_str_ieq (name, EK_STR ("Description")))
    take_first (pool, &part->description, value);
  else if (ek_str_ieq (name, EK_STR ("MD5")))
    take_first (pool, &part->md5, value);
  else if (ek_str_ieq (name, EK_STR ("Location")))
    take_first (pool, &part->location, value);
  else if (ek_str_ieq (name, EK_STR ("Language")))
    take_languages (pool, part, value);
}

void
ek_mime_take (EkPool *pool, EkPart *part, const EkHeader *h)
{
  const Field *field = part->envelope ? find_field (h->name) : NULL;

  if (field)
    take_envelope (pool, part->envelope, field, h->value);
  else if (h->name.n > 8)
    take_content (pool, part, (EkStr) { h->name.p + 8, h->name.n - 8 }, h->value);
}
