/* edit.h - `ekiden config set`: one value changed in the file that holds it
 * SPDX-License-Identifier: Apache-2.0
 *
 * A PATH is KIND[.NAME][.KIND[.NAME]].KEY, or KEY alone for the top level:
 *   hostname                      queue.lifetime              listener.mx.address
 *   domain.example.com.mailbox    domain."example.com".mailbox
 * Dots in a name need quotes only where two blocks could be meant.
 */
#pragma once
#include "conf/conf.h"

typedef struct {
  char *file;                        /* the file to change, as realpath(3) names it */
  EkBuf text;                        /* all its bytes afterwards */
  guint line;                        /* where the value now stands */
  bool  same;                        /* nothing changes */
  guint64 ino;                       /* what the file was */
  gint64  mtime_ns;
} EkConfEdit;

/* Plans the change; nothing is written.  An existing value is replaced where it stands, comments and
 * layout kept; a new one goes behind the last setting of its block; a block that is not there is
 * added at the end of the main file.  `value` as typed in the file; what could not stand there
 * unquoted gets quotes.  */
bool ek_conf_edit (const char *main_file, const char *path, const char *value, EkConfEdit *edit,
                   GError **error);
/* Writes it: a temporary file beside it, owner and mode kept, synced, renamed, folder synced.  Fails
 * when the file changed since ek_conf_edit(). */
bool ek_conf_edit_write (EkConfEdit *edit, GError **error);
void ek_conf_edit_clear (EkConfEdit *edit);
