/* instance.h - an instance of a module, made from text, for unit tests
 * SPDX-License-Identifier: Apache-2.0
 *
 * Link with tests/lib/libtesting.la; from tests/unit/ include "../lib/instance.h".
 */
#pragma once
#include "module/generation.h"

/* The instance "test" of the module, with these options, initialised and started.  An error ends the
 * test.  Modules come from the build tree unless $EKIDEN_MODULE_PATH says otherwise. */
EkInstance   *ek_test_instance (const char *module, const char *options);
void          ek_test_instance_free (EkInstance *self);
/* A generation from a whole configuration; *said (may be NULL) gets the errors as they would be
 * printed, "" when there are none.  With said NULL an error ends the test. */
EkGeneration *ek_test_generation (const char *text, guint32 roles, char **said);
