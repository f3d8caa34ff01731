/* badrow.c - a module with an option whose default breaks its own constraint
 * SPDX-License-Identifier: Apache-2.0 */
#include <ekiden/ekiden.h>

typedef struct {
  EkInstance base;
  gint64     port;
} BadRow;

static const EkOption options[] = {
  EK_OPTION (BadRow, port, "0", "The port to use.", .allow = "1..65535"),
  EK_OPTIONS_END
};

EK_MODULE (badrow, .summary = "Has a wrong row", .options = options, .instance_size = sizeof (BadRow));
