/* test_evented.c - module test once more, with operations that never block
 * SPDX-License-Identifier: Apache-2.0 */
#define EK_TEST_EVENTED
#include "../test/test.c"
