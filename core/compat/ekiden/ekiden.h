/* ekiden.h - lets the tree include <ekiden/ekiden.h> as installed modules do
 * SPDX-License-Identifier: Apache-2.0 */
#include "../../ekiden.h"
