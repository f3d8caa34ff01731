/* test-folders.c - a user's folders: CREATE, RENAME, DELETE, subscriptions, what they cost and how many there may be
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit/mailbox.h"
#include <errno.h>

static void
test_folders (void)
{
  Mail m;
  EkStatusCounts c;

  mail_new (&m);
  assert_list (&m, "INBOX[sE] ");
  g_assert_cmpint (ek_index_create (m.ix, "Work/2024", "\\Archive", NULL), ==, EK_OK);
  assert_list (&m, "INBOX[sE] Work[C] Work/2024[sE\\Archive] ");
  assert_fails (ek_index_create (m.ix, "Work/2024", NULL, &error), EK_FAIL, EEXIST);
  assert_fails (ek_index_create (m.ix, "inbox", NULL, &error), EK_FAIL, EEXIST);
  assert_fails (ek_index_create (m.ix, "a//b", NULL, &error), EK_FAIL, EINVAL);
  assert_fails (ek_index_create (m.ix, "../etc", NULL, &error), EK_FAIL, EINVAL);
  assert_fails (ek_index_create (m.ix, "x\ny", NULL, &error), EK_FAIL, EINVAL);
  assert_fails (ek_index_create (m.ix, "\377", NULL, &error), EK_FAIL, EINVAL);
  assert_fails (ek_index_delete (m.ix, "Inbox", &error), EK_FAIL, EPERM);
  g_assert_cmpint (ek_index_delete (m.ix, "none", NULL), ==, EK_NOTFOUND);
  g_assert_cmpint (ek_index_status (m.ix, "none", 0, &c, NULL), ==, EK_NOTFOUND);
  g_assert_cmpint (ek_index_subscribe (m.ix, "Work/2024", true, NULL), ==, EK_OK);
  g_assert_cmpint (ek_index_subscribe (m.ix, "Gone/Far", true, NULL), ==, EK_OK);
  g_assert_cmpint (ek_index_subscribe (m.ix, "Work/2024", true, NULL), ==, EK_OK);
  assert_list (&m, "INBOX[sE] Gone[b] Gone/Far[S] Work[Cb] Work/2024[sSE\\Archive] ");
  g_assert_cmpint (ek_index_subscribe (m.ix, "Gone/Far", false, NULL), ==, EK_OK);
  c = mail_status (&m, "Work/2024");
  g_assert_cmpint (ek_index_rename (m.ix, "Work", "Job", NULL), ==, EK_OK);        /* a parent that is none */
  assert_list (&m, "INBOX[sE] Job[C] Job/2024[sE\\Archive] Work[b] Work/2024[S] ");
  EkStatusCounts d = mail_status (&m, "Job/2024");
  g_assert_cmpstr (c.id, ==, d.id);
  g_assert_cmpuint (c.uidvalidity, ==, d.uidvalidity);
  assert_fails (ek_index_rename (m.ix, "Job/2024", "Job/2024/x", &error), EK_FAIL, EINVAL);
  assert_fails (ek_index_rename (m.ix, "Job/2024", "INBOX", &error), EK_FAIL, EEXIST);
  g_assert_cmpint (ek_index_rename (m.ix, "Work", "x", NULL), ==, EK_NOTFOUND);
  g_assert_cmpint (ek_index_delete (m.ix, "Job/2024", NULL), ==, EK_OK);
  assert_list (&m, "INBOX[sE] Work[b] Work/2024[S] ");
  g_assert_cmpint (ek_index_create (m.ix, "Job/2024", NULL, NULL), ==, EK_OK);
  EkStatusCounts e = mail_status (&m, "Job/2024");
  g_assert_cmpuint (e.uidvalidity, >, d.uidvalidity);      /* the same name, never the same UIDs */
  g_assert_cmpstr (e.id, !=, d.id);
  mail_free (&m);
}

static guint lists;

static EkStatus
counted_list (EkInstance *self, EkCall *call, const char *root, EkFolderFunc func, gpointer data)
{
  lists++;
  return ek_module_maildir.mailbox->list (self, call, root, func, data);
}

/* A name that is not known costs a look at its own folder, however many others there are. */
static void
test_folder_cost (void)
{
  EkMailboxOps ops = *ek_module_maildir.mailbox;
  EkModule counted = ek_module_maildir;
  EkStatusCounts c;
  EkView *view;
  Mail m;

  ops.list = counted_list;
  counted.mailbox = &ops;
  mail_new_with (&m, "");
  m.format->module = &counted;
  mail_open (&m);
  lists = 0;
  for (guint i = 0; i < 50; i++) {
    g_autofree char *name = g_strdup_printf ("Many/%u", i);
    g_assert_cmpint (ek_index_create (m.ix, name, NULL, NULL), ==, EK_OK);
  }
  g_assert_cmpint (ek_view_open (m.ix, "Many/99", EK_VIEW_RW, &view, NULL), ==, EK_NOTFOUND);
  g_assert_cmpint (ek_index_status (m.ix, "Other", 0, &c, NULL), ==, EK_NOTFOUND);
  assert_fails (ek_index_create (m.ix, "Many/7", NULL, &error), EK_FAIL, EEXIST);
  g_assert_cmpuint (lists, ==, 0);
  for (guint i = 0; i < 2; i++) {                  /* what another program made is seen all the same */
    g_autofree char *path = g_build_filename (m.root, i ? ".Theirs" : ".Many.theirs", "cur", NULL);
    g_assert_cmpint (g_mkdir_with_parents (path, 0700), ==, 0);
  }
  assert_fails (ek_index_create (m.ix, "Theirs", NULL, &error), EK_FAIL, EEXIST);
  g_assert_cmpuint (lists, ==, 1);
  g_assert_cmpint (ek_index_status (m.ix, "Many/theirs", 0, &c, NULL), ==, EK_OK);
  g_assert_cmpuint (lists, ==, 1);
  g_autofree char *half = g_build_filename (m.root, ".Half", "tmp", NULL);       /* a creation that was cut off is completed */
  g_assert_cmpint (g_mkdir_with_parents (half, 0700), ==, 0);
  g_assert_cmpint (ek_index_create (m.ix, "Half", NULL, NULL), ==, EK_OK);
  g_autofree char *gone = g_build_filename (m.root, ".Theirs", NULL);          /* and what it took away may be made again */
  run_quiet ("rm", "-r", gone);
  g_assert_cmpint (ek_index_create (m.ix, "Theirs", NULL, NULL), ==, EK_OK);
  mail_free (&m);
  g_assert_cmpuint (lists, >, 1);
}

static void
test_folder_limits (void)
{
  const EkSpecial specials[] = { { "Drafts", "\\Drafts", true, false }, { "Sent", "\\Sent", true, false } };
  EkIndexConfig config = { .separator = '/', .mailboxes_max = 4, .specials = specials, .n_specials = 2 };
  g_autoptr (GString) deep = g_string_new ("d"), deeper = g_string_new (NULL), wide = g_string_new (NULL);
  Mail m;

  mail_new_with (&m, "");
  m.set = ek_indexes_new (&config, NULL);
  g_assert_cmpint (ek_index_new (m.set, m.format, &m.user, &m.ix, NULL), ==, EK_OK);
  g_assert_cmpint (ek_index_enter (m.ix, NULL), ==, EK_OK);
  g_assert_cmpint (ek_index_create (m.ix, "four", NULL, NULL), ==, EK_OK);         /* INBOX, Drafts and Sent count */
  assert_fails (ek_index_create (m.ix, "five", NULL, &error), EK_FAIL, ENOSPC);
  assert_fails (ek_index_create (m.ix, "four", NULL, &error), EK_FAIL, EEXIST);
  assert_fails (ek_index_rename (m.ix, "INBOX", "five", &error), EK_FAIL, ENOSPC);
  g_assert_cmpint (ek_index_rename (m.ix, "four", "4", NULL), ==, EK_OK);
  g_assert_cmpint (ek_index_delete (m.ix, "4", NULL), ==, EK_OK);
  for (guint i = 1; i < 64; i++)
    g_string_append (deep, "/d");
  g_string_printf (deeper, "%s/d", deep->str);
  assert_fails (ek_index_create (m.ix, deeper->str, NULL, &error), EK_FAIL, EINVAL);
  g_assert_cmpint (ek_index_create (m.ix, deep->str, NULL, NULL), ==, EK_OK);
  assert_fails (ek_index_rename (m.ix, "d", "x/d", &error), EK_FAIL, EINVAL);      /* a child would come too deep to be named */
  g_assert_cmpint (ek_index_rename (m.ix, deep->str, "x", NULL), ==, EK_OK);
  for (guint i = 0; i < 1100; i++)
    g_string_append_c (wide, 'w');
  assert_fails (ek_index_create (m.ix, wide->str, NULL, &error), EK_FAIL, EINVAL);
  assert_fails (ek_index_rename (m.ix, "x", wide->str, &error), EK_FAIL, EINVAL);
  mail_close (&m);
  config = (EkIndexConfig) { .separator = '/', .mailboxes_max = 1, .specials = specials, .n_specials = 2 };
  m.set = ek_indexes_new (&config, NULL);
  m.user.name = "ben@example.com";                 /* what each user has is made even so */
  g_autofree char *other = g_build_filename (m.folder, "ben", NULL);
  m.user.home = other;
  g_assert_cmpint (ek_index_new (m.set, m.format, &m.user, &m.ix, NULL), ==, EK_OK);
  g_assert_cmpint (ek_index_enter (m.ix, NULL), ==, EK_OK);
  assert_list (&m, "INBOX[sE] Drafts[sE\\Drafts] Sent[sE\\Sent] ");
  mail_free (&m);
}

static void
test_subscriptions_import (void)
{
  Mail m;

  mail_new (&m);
  g_autofree char *path = g_build_filename (m.root, "courierimapsubscribed", NULL);
  test_write (path, "INBOX\nINBOX.Sent\nINBOX.Entw&APw-rfe.x\n", -1);
  assert_list (&m, "INBOX[sSE] Entw\303\274rfe[b] Entw\303\274rfe/x[S] Sent[S] ");
  g_autofree char *own = g_build_filename (m.root, "subscriptions", NULL);
  mail_overwrite (own, "Old.Style\nINBOX\r\n\n&bad\n");
  assert_list (&m, "INBOX[sSE] Old[b] Old/Style[S] ");
  g_assert_cmpint (ek_index_subscribe (m.ix, "Work/A & B", true, NULL), ==, EK_OK);
  g_autofree char *text = NULL;
  g_assert_true (g_file_get_contents (own, &text, NULL, NULL));
  g_assert_cmpstr (text, ==, "V\t2\n\nINBOX\nOld\tStyle\nWork\tA &- B\n");
  assert_list (&m, "INBOX[sSE] Old[b] Old/Style[S] Work[b] Work/A & B[S] ");
  mail_free (&m);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/folders/names", test_folders);
  g_test_add_func ("/folders/cost", test_folder_cost);
  g_test_add_func ("/folders/limits", test_folder_limits);
  g_test_add_func ("/folders/subscriptions", test_subscriptions_import);
  return g_test_run ();
}
