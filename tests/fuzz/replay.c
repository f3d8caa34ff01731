/* replay.c - main() of a fuzz target without libFuzzer: runs each file that is named, or each in a folder
 * SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

static guint n_runs;

static void
replay (const char *path)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *data = NULL;
  gsize n;
  if (g_file_test (path, G_FILE_TEST_IS_DIR)) {
    GDir *dir = g_dir_open (path, 0, &error);
    if (!dir)
      g_error ("%s", error->message);
    for (const char *name; (name = g_dir_read_name (dir));) {
      g_autofree char *inner = g_build_filename (path, name, NULL);
      replay (inner);
    }
    g_dir_close (dir);
    return;
  }
  if (!g_file_get_contents (path, &data, &n, &error))
    g_error ("%s", error->message);
  /* an exact copy, so that a sanitizer sees the first byte read behind the end */
  g_autofree uint8_t *copy = g_memdup2 (data, n);
  LLVMFuzzerTestOneInput (copy ? copy : (const uint8_t *) "", n);
  n_runs++;
}

int
main (int argc, char **argv)
{
  for (int i = 1; i < argc; i++)
    replay (argv[i]);
  g_print ("%u runs\n", n_runs);
  return n_runs ? 0 : 1;
}
