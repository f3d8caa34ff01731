/* fuzz-serial.c - a configuration tree that a broken-into process could send over its channel
 * SPDX-License-Identifier: Apache-2.0 */
/* covers: core/conf/serial.c */
#include "fuzz.h"
#include "conf/serial.h"

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GError) error = NULL;
  EkConf *conf = ek_conf_unserialise (data, size, &error);
  g_assert ((conf == NULL) == (error != NULL));
  if (conf) {
    EkBuf out = { 0 };
    ek_conf_serialise (conf, G_MAXUINT32, &out);
    ek_buf_release (&out);
  }
  ek_conf_free (conf);
  return 0;
}
