/* instance.h - tests: an instance of a module that is linked in, from settings as they are typed
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "conf/option.h"
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct {
  EkConf     *conf;
  EkPool     *pool;
  EkInstance *self;
} TestInstance;

/* Options, init() and start(); NULL and *error when one of them refuses. */
static inline EkInstance *
test_instance_new (TestInstance *test, const EkModule *module, const char *name, const char *settings, GError **error)
{
  g_autoptr (EkProblems) problems = ek_problems_new ();
  g_autofree char *text = g_strdup_printf ("m \"%s\" {\n%s\n}\n", name, settings);

  *test = (TestInstance) { .pool = ek_pool_new () };
  test->conf = ek_conf_load_text ("test", ek_str (text), 0, problems);
  test->self = ek_pool_alloc (test->pool, module->instance_size ? module->instance_size : sizeof (EkInstance));
  test->self->name = name;
  test->self->module = module;
  EkLayer layer = { test->conf->root->blocks };
  EkOptionContext context = { .pool = test->pool };
  if (module->options) {
    const EkOption *sets[] = { module->options };
    ek_options_apply (module->options, test->self, &layer, 1, name, &context, problems);
    ek_options_unknown (layer.block, sets, 1, problems);
  }
  if (ek_problems_count (problems) > 0) {
    g_propagate_error (error, ek_problems_error (problems));
    return NULL;
  }
  if ((module->init && !module->init (test->self, error)) || (module->start && !module->start (test->self, error)))
    return NULL;
  return test->self;
}

static inline void
test_instance_free (TestInstance *test)
{
  if (test->self && test->self->module->stop)
    test->self->module->stop (test->self);
  ek_conf_free (test->conf);
  ek_pool_free (test->pool);
  *test = (TestInstance) { 0 };
}

/* One call: zeroed, with a pool of its own. */
static inline EkCall *
test_call (EkCall *call)
{
  ek_pool_free (call->pool);
  g_clear_error (&call->error);
  *call = (EkCall) { .pool = ek_pool_new () };
  return call;
}

static inline void
test_call_clear (EkCall *call)
{
  ek_pool_free (call->pool);
  g_clear_error (&call->error);
  *call = (EkCall) { 0 };
}

/* Asks a map; the value (with a NUL behind it) is the call's.  *value has a NULL p unless it is OK. */
static inline EkStatus
test_lookup (EkInstance *self, EkCall *call, EkStr key, EkStr *value)
{
  EkQuery query = { .key = key };
  EkAnswer answer = { 0 };
  EkStatus status = self->module->map->lookup (self, test_call (call), &query, &answer);

  *value = status == EK_OK ? ek_answer_column (&answer, NULL) : (EkStr) { NULL, 0 };
  return status;
}

/* The value, or the status' name. */
static inline const char *
test_get (EkInstance *self, EkCall *call, const char *key)
{
  EkStr value;
  EkStatus status = test_lookup (self, call, ek_str (key), &value);

  return status == EK_OK ? value.p : ek_status_name (status);
}

/* A folder of the test's own, and files in it: written in place, or renamed into place. */
static inline char *
test_folder (void)
{
  g_autoptr (GError) error = NULL;
  char *folder = g_dir_make_tmp ("ekiden-XXXXXX", &error);

  g_assert_no_error (error);
  return folder;
}

static inline void
test_write (const char *path, const char *text, gssize len)
{
  FILE *file = g_fopen (path, "w");          /* g_file_set_contents() would not cut what was longer */

  g_assert_nonnull (file);
  gsize n = len < 0 ? strlen (text) : (gsize) len;
  g_assert_cmpuint (fwrite (text, 1, n, file), ==, n);
  g_assert_cmpint (fclose (file), ==, 0);
}

static inline void
test_rename_in (const char *path, const char *text, gssize len)
{
  g_autofree char *temp = g_strconcat (path, ".new", NULL);

  test_write (temp, text, len);
  g_assert_cmpint (g_rename (temp, path), ==, 0);
}

static inline void
test_remove_folder (char *folder)
{
  GDir *dir = g_dir_open (folder, 0, NULL);

  for (const char *name = dir ? g_dir_read_name (dir) : NULL; name; name = g_dir_read_name (dir)) {
    g_autofree char *path = g_build_filename (folder, name, NULL);
    g_unlink (path);
  }
  g_dir_close (dir);
  g_rmdir (folder);
  g_free (folder);
}

/* For g_assert_true(): says what is missing. */
static inline bool
test_has (const char *text, const char *part)
{
  if (text && strstr (text, part))
    return true;
  g_test_message ("\"%s\" lacks \"%s\"", text ? text : "(null)", part);
  return false;
}
