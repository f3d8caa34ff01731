/* nomodule.c - a shared object that is no module
 * SPDX-License-Identifier: Apache-2.0 */
#include <glib.h>

int nomodule (void);

int
nomodule (void)
{
  return 1;
}
