/* mailbox.h - tests: a user with a Maildir in a folder of its own, and messages for it
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "unit/instance.h"
#include "index/box.h"
#include "index/deliver.h"
#include <fcntl.h>
#include <sys/stat.h>

extern const EkModule ek_module_maildir;

typedef struct {
  TestInstance  instance;
  EkInstance   *format;
  char         *folder;              /* holds Maildir/ */
  char         *root;
  EkUser        user;
  EkIndexes    *set;
  EkIndex      *ix;
} Mail;

static inline void
mail_open (Mail *m)
{
  g_autoptr (GError) error = NULL;
  EkIndexConfig config = { .open_max = 4, .separator = '/' };

  m->set = ek_indexes_new (&config, &error);
  g_assert_no_error (error);
  g_assert_cmpint (ek_index_new (m->set, m->format, &m->user, &m->ix, &error), ==, EK_OK);
  g_assert_cmpint (ek_index_enter (m->ix, &error), ==, EK_OK);
  g_assert_no_error (error);
}

static inline void
mail_close (Mail *m)
{
  ek_index_leave (m->ix);
  ek_index_unref (m->ix);
  ek_indexes_free (m->set);
  m->ix = NULL;
  m->set = NULL;
}

static inline void
mail_new_with (Mail *m, const char *settings)
{
  g_autoptr (GError) error = NULL;

  memset (m, 0, sizeof *m);
  m->format = test_instance_new (&m->instance, &ek_module_maildir, "maildir", settings, &error);
  g_assert_no_error (error);
  m->folder = test_folder ();
  m->root = g_build_filename (m->folder, "Maildir", NULL);
  m->user = (EkUser) { .name = "ann@example.com", .home = m->folder, .uid = -1, .gid = -1 };
}

static inline void
mail_new (Mail *m)
{
  mail_new_with (m, "");
  mail_open (m);
}

static inline void
run_quiet (const char *program, const char *arg, const char *path)
{
  const char *argv[] = { program, arg, path, NULL };

  g_assert_true (g_spawn_sync (NULL, (char **) argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL, NULL));
}

static inline void
mail_free (Mail *m)
{
  if (m->set)
    mail_close (m);
  run_quiet ("rm", "-rf", m->folder);
  g_free (m->folder);
  g_free (m->root);
  test_instance_free (&m->instance);
}

/* A message of four lines whose subject is the number. */
static inline char *
mail_text (guint n, const char *eol)
{
  return g_strdup_printf ("From: bob@example.org%sSubject: number %u%sDate: Mon, 7 Feb 1994 21:52:25 -0800%s%sbody %u%s",
                          eol, n, eol, eol, eol, n, eol);
}

/* Overwrites in place and cuts: GLib 2.74 leaves the old tail. */
static inline void
mail_overwrite (const char *path, const char *text)
{
  int fd = open (path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

  g_assert_cmpint (write (fd, text, strlen (text)), ==, (gssize) strlen (text));
  close (fd);
}

/* Puts a file there as another program would. */
static inline char *
mail_drop (Mail *m, const char *sub, const char *name, guint n)
{
  g_autofree char *text = mail_text (n, "\n");
  char *path = g_build_filename (m->root, sub, name, NULL);

  test_write (path, text, -1);
  return path;
}

static inline guint32
mail_append (Mail *m, const char *box, guint n, guint32 flags, const char *const *keywords)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *text = mail_text (n, "\r\n");
  EkAppend *a;
  guint32 uid = 0, uidvalidity = 0;

  g_assert_cmpint (ek_append_new (m->ix, box, 784445545, flags, keywords, &a, &error), ==, EK_OK);
  for (gsize i = 0; i < strlen (text); i += 7)     /* cuts CRLF too */
    g_assert_cmpint (ek_append_write (a, text + i, MIN (7, strlen (text) - i), &error), ==, EK_OK);
  g_assert_cmpint (ek_append_finish (a, &uidvalidity, &uid, &error), ==, EK_OK);
  g_assert_no_error (error);
  g_assert_cmpuint (uidvalidity, >, 0);
  return uid;
}

static inline EkView *
mail_view (Mail *m, const char *box, EkViewMode mode)
{
  g_autoptr (GError) error = NULL;
  EkView *view = NULL;

  EkStatus status = ek_view_open (m->ix, box, mode, &view, &error);
  g_assert_no_error (error);
  g_assert_cmpint (status, ==, EK_OK);
  return view;
}

/* What a sync says, as text: "-2 +5 f1=3 " (expunged seq 2, now 5 messages, seq 1 has flags 3). */
static inline void
mail_note (const EkChange *c, gpointer data)
{
  GString *s = data;

  switch (c->kind) {
  case EK_CHANGE_EXPUNGE: g_string_append_printf (s, "-%u ", c->seq); break;
  case EK_CHANGE_FLAGS: g_string_append_printf (s, "f%u=%u ", c->seq, c->flags); break;
  case EK_CHANGE_EXISTS: g_string_append_printf (s, "+%u ", c->seq); break;
  case EK_CHANGE_KEYWORDS: g_string_append (s, "k "); break;
  }
}

static inline char *
mail_sync (EkView *view, guint how)
{
  g_autoptr (GError) error = NULL;
  GString *s = g_string_new (NULL);
  EkStatus status = ek_view_sync (view, how, mail_note, s, &error);

  g_assert_no_error (error);
  if (status != EK_OK)
    g_string_append (s, ek_status_name (status));
  return g_string_free (s, FALSE);
}

#define assert_sync(view_, how_, text_) \
  do { g_autofree char *said_ = mail_sync ((view_), (how_)); g_assert_cmpstr (said_, ==, (text_)); } while (0)

static inline guint
mail_files (Mail *m, const char *sub)
{
  g_autofree char *path = g_build_filename (m->root, sub, NULL);
  GDir *dir = g_dir_open (path, 0, NULL);
  guint n = 0;

  while (dir && g_dir_read_name (dir))
    n++;
  if (dir)
    g_dir_close (dir);
  return n;
}

#define assert_fails(call_, status_, code_)              \
  do {                                                   \
    GError *error = NULL;                                \
    g_assert_cmpint ((call_), ==, (status_));            \
    g_assert_nonnull (error);                            \
    g_assert_cmpint (error->code, ==, (code_));          \
    g_clear_error (&error);                              \
  } while (0)

static inline void
mail_line (const EkMailbox *b, gpointer data)
{
  static const char letters[] = "sSCbE";           /* selectable Subscribed Children below Exists */

  g_string_append_printf (data, "%s[", b->name);
  for (guint i = 0; i < 5; i++)
    if (b->flags >> i & 1)
      g_string_append_c (data, letters[i]);
  g_string_append_printf (data, "%s] ", b->special ? b->special : "");
}

static inline char *
mail_list (Mail *m)
{
  g_autoptr (GError) error = NULL;
  GString *s = g_string_new (NULL);

  g_assert_cmpint (ek_index_list (m->ix, mail_line, s, &error), ==, EK_OK);
  g_assert_no_error (error);
  return g_string_free (s, FALSE);
}

#define assert_list(m_, text_) \
  do { g_autofree char *said_ = mail_list (m_); g_assert_cmpstr (said_, ==, (text_)); } while (0)

static inline EkStatusCounts
mail_status (Mail *m, const char *name)
{
  g_autoptr (GError) error = NULL;
  EkStatusCounts c;

  g_assert_cmpint (ek_index_status (m->ix, name, EK_STATUS_SIZE, &c, &error), ==, EK_OK);
  g_assert_no_error (error);
  return c;
}

static inline void
mail_store (EkView *view, guint32 first, guint32 last, EkStoreOp op, guint32 flags, const char *keyword)
{
  g_autoptr (GError) error = NULL;
  const char *keywords[] = { keyword, NULL };
  EkStore s = { .op = op, .flags = flags, .keywords = keyword ? keywords : NULL, .unchanged_since = G_MAXUINT64 };
  EkRange r = { first, last };

  g_assert_cmpint (ek_view_store (view, &r, 1, &s, NULL, NULL, NULL, &error), ==, EK_OK);
  g_assert_no_error (error);
}

static inline EkDelivery
delivery (const EkPiece *pieces, guint n, guint64 id)
{
  return (EkDelivery) { .queue_id = id, .rcpt = 1, .time = 1700000000000000 + (gint64) (id % 1000000), .pieces = pieces, .n_pieces = n };
}
