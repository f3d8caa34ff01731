/* fuzz-mime.c - the structure of any bytes, and saved trees of any bytes
 * SPDX-License-Identifier: Apache-2.0 */
/* covers: core/mail/mime.c core/mail/mimepart.c core/mail/mimefind.c core/mail/mimekeep.c core/mail/imapfmt.c */
/* options: -max_len=16384 */
#include "fuzz.h"
#include "../lib/mimecheck.h"

/* A tree from a damaged cache is refused, or is sound enough to be shown and walked. */
static void
check_load (EkStr blob)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  EkMime *mime = ek_mime_load (pool, blob);
  EkBuf out = { 0 };
  EkSection s;

  if (mime == NULL)
    return;
  ek_imap_envelope (&out, mime->root->envelope);
  mc_imap (&out);
  ek_buf_clear (&out);
  ek_imap_body (&out, mime, true);
  mc_imap (&out);
  if (ek_mime_section (mime, EK_STR ("1.2.TEXT"), &s) == EK_OK)
    g_assert (s.offset + s.extent.bytes <= mime->total.bytes);
  ek_buf_clear (&out);
  ek_mime_save (mime, &out);
  g_assert (ek_mime_load (pool, ek_buf_str (&out)) != NULL);
  ek_buf_release (&out);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  if (size < 1)
    return 0;
  EkStr text = { (const char *) data + 1, size - 1 };
  if (data[0] == 255)
    check_load (text);
  else
    mc_check (text, data[0] % 100 + 1u);
  return 0;
}
