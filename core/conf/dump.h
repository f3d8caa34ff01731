/* dump.h - what option rows say, for people: terminal, manual page, reference file, JSON
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "base/json.h"
#include "conf/option.h"

typedef struct {                     /* a set of rows with its title */
  const char     *kind;              /* "queue", "ldap"; "": the top level */
  const char     *name;              /* "NAME" when such a block has a name, else NULL */
  const char     *doc;               /* one paragraph; may be NULL */
  const EkOption *rows;              /* may be NULL */
} EkDocSection;

/* For a terminal of 80 columns. */
void ek_doc_text (const EkDocSection *section, EkBuf *out);
/* A section of a manual page (man(7)). */
void ek_doc_roff (const EkDocSection *section, EkBuf *out);
/* A block of etc/reference.conf: every setting as a comment, with its default. */
void ek_doc_reference (const EkDocSection *section, EkBuf *out);
/* The rows as an array of objects. */
void ek_doc_json (const EkOption *rows, EkJson *json, const char *key);

/* Words of a paragraph, broken into lines of at most `width` bytes that begin with `prefix`. */
void ek_doc_wrap (const char *text, const char *prefix, guint width, EkBuf *out);
