/* events.h - for tests of the log: events of several processes, handed to a log role without pipes
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once
#include "base/base.h"
#include "base/log.h"
#include "proc/logrole.h"
#include <glib/gstdio.h>
#include <string.h>

static EkLogRole  *events_role;      /* who gets them */
static const char *events_from;      /* the role that speaks */
static gint64      events_pid;

static inline void
events_sink (const char *bytes, gsize len, gpointer data)
{
  ek_logrole_input (events_role, events_from, events_pid, bytes, len);
}

/* From now on ek_event() speaks for a process of `role`. */
static inline void
as (const char *role, gint64 pid)
{
  events_from = role;
  events_pid = pid;
}

static inline EkLogRole *
events_open (const EkLogOptions *options)
{
  g_autoptr (GError) error = NULL;

  events_role = ek_logrole_open (options, "mx", &error);
  g_assert_no_error (error);
  ek_log_set_sink (events_sink, NULL);
  return events_role;
}

static inline void
events_close (void)
{
  ek_log_set_sink (NULL, NULL);
  ek_logrole_close (events_role);
  events_role = NULL;
}

static inline char *
events_folder (void)
{
  g_autoptr (GError) error = NULL;
  char *folder = g_dir_make_tmp ("ekiden-test-XXXXXX", &error);

  g_assert_no_error (error);
  return folder;
}

/* Removes a folder of files, and frees its name. */
static inline void
events_remove (char *folder)
{
  GDir *dir = g_dir_open (folder, 0, NULL);
  const char *name;

  while (dir && (name = g_dir_read_name (dir)) != NULL) {
    char *path = g_build_filename (folder, name, NULL);
    if (g_file_test (path, G_FILE_TEST_IS_DIR))
      events_remove (path);
    else {
      g_unlink (path);
      g_free (path);
    }
  }
  if (dir)
    g_dir_close (dir);
  g_rmdir (folder);
  g_free (folder);
}
