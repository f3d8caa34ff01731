/* match.h - does a message meet a search program?
 * SPDX-License-Identifier: Apache-2.0
 *
 * Job thread.  A matcher serves one SEARCH: it knows what it needs of each row, evaluates the cheap
 * keys before those that need the message, and opens it only then.
 */
#pragma once
#include "section.h"

typedef struct ImapMatcher ImapMatcher;

/* `root` is reordered.  The sets of the program are resolved against the view. */
ImapMatcher *imap_matcher_new (EkView *view, ImapKey *root);
void         imap_matcher_free (ImapMatcher *self);
guint        imap_matcher_items (const ImapMatcher *self);         /* for ek_fetch_new() */
/* UIDs outside these ranges cannot match: in the matcher, ascending. */
const EkRange *imap_matcher_ranges (const ImapMatcher *self, guint *n);
/* NOTFOUND: the message is gone. */
EkStatus     imap_matcher_test (ImapMatcher *self, const EkRow *row, bool *matches, GError **error);
