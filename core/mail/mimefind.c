/* mimefind.c - finds the part and the bytes that an IMAP section names (RFC 3501 6.4.5)
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "mail/mime.h"
#include <string.h>

#define NUMBER_MAX 1000000

/* Takes a number and the dot behind it; 0 when there is none (a word begins here). */
static guint
next_number (EkStr *spec)
{
  guint value = 0;
  gsize i = 0;

  while (i < spec->n && g_ascii_isdigit (spec->p[i]) && value <= NUMBER_MAX)
    value = value * 10 + (guint) (spec->p[i++] - '0');
  if (i == 0 || spec->p[0] == '0' || value > NUMBER_MAX || (i < spec->n && spec->p[i] != '.'))
    return 0;
  if (i < spec->n && i + 1 == spec->n)               /* "1." */
    return 0;
  i += i < spec->n;
  spec->p += i;
  spec->n -= i;
  return value;
}

/* One step down.  *in_message: `part` stands for a whole message and not yet for the part 1 of it. */
static const EkPart *
step (const EkPart *part, guint number, bool *in_message)
{
  if (!*in_message && part->kind == EK_PART_MESSAGE) {
    part = part->children;
    *in_message = true;
  }
  if (part == NULL)
    return NULL;
  if (part->kind != EK_PART_MULTIPART) {
    bool self = *in_message && number == 1;
    *in_message = false;
    return self ? part : NULL;
  }
  *in_message = false;
  part = part->children;
  while (part && --number > 0)
    part = part->next;
  return part;
}

/* Follows the numbers in front of *spec, which is left at the word behind them.  *steps: how many. */
static const EkPart *
walk (const EkMime *mime, EkStr *spec, guint *steps)
{
  const EkPart *part = mime->root;
  bool in_message = true;

  *steps = 0;
  for (guint n; (n = next_number (spec)) > 0; ++*steps)
    part = part ? step (part, n, &in_message) : NULL;
  return part;
}

const EkPart *
ek_mime_part (const EkMime *mime, EkStr numbers)
{
  guint steps;
  const EkPart *part = walk (mime, &numbers, &steps);

  return numbers.n == 0 ? part : NULL;
}

static void
set_header (EkSection *section, const EkPart *part)
{
  section->part = part;
  section->offset = part->offset;
  section->extent = part->header;
}

static void
set_body (EkSection *section, const EkPart *part)
{
  section->part = part;
  section->offset = part->offset + part->header.bytes;
  section->extent = part->body;
}

EkStatus
ek_mime_section (const EkMime *mime, EkStr spec, EkSection *section)
{
  guint steps;
  const EkPart *part = walk (mime, &spec, &steps);
  bool header = ek_str_ieq (spec, EK_STR ("HEADER")), text = ek_str_ieq (spec, EK_STR ("TEXT"));
  bool mime_header = ek_str_ieq (spec, EK_STR ("MIME"));

  *section = (EkSection) { 0 };
  if ((spec.n > 0 && !header && !text && !mime_header) || (mime_header && steps == 0))
    return EK_FAIL;
  if (part == NULL)
    return EK_NOTFOUND;
  if (spec.n == 0 && steps == 0) {
    *section = (EkSection) { part, 0, mime->total };
    return EK_OK;
  }
  if ((header || text) && steps > 0) {               /* of the message in that part */
    if (part->kind != EK_PART_MESSAGE || part->children == NULL)
      return EK_NOTFOUND;
    part = part->children;
  }
  if (header || mime_header)
    set_header (section, part);
  else
    set_body (section, part);
  return EK_OK;
}
