/* test-maildir.c - the Maildir format by itself: names, folders, files, what others leave
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit/mailbox.h"
#include "../../modules/maildir/maildir.h"
#include <errno.h>

static const EkMailboxOps *ops;

typedef struct { Mail m; EkCall call; EkFolder inbox; } Fix;

static void
fix_new (Fix *f)
{
  ops = ek_module_maildir.mailbox;
  mail_new_with (&f->m, "path = \"%h/Maildir\"");
  f->call = (EkCall) { 0 };
  f->inbox = (EkFolder) { f->m.root, "" };
  g_assert_cmpint (ops->create (f->m.format, test_call (&f->call), &f->inbox), ==, EK_OK);
}

static void
fix_free (Fix *f)
{
  test_call_clear (&f->call);
  mail_free (&f->m);
}

/* ---- names ---- */

static void
test_names (void)
{
  EkFound f;
  char s[256];

  maildir_name_read (EK_STR ("1276528487.M364837P9451.host,S=1355,W=1394:2,FSaz"), &f);
  g_assert_true (ek_str_eq (f.key, EK_STR ("1276528487.M364837P9451.host,S=1355,W=1394")));
  g_assert_cmpuint (f.flags, ==, EK_FLAG_FLAGGED | EK_FLAG_SEEN);
  g_assert_cmpuint (f.letters, ==, 1 | 1 << 25);
  g_assert_cmpint (f.psize, ==, 1355);
  g_assert_cmpint (f.vsize, ==, 1394);
  g_assert_cmpint (f.arrived, ==, G_GINT64_CONSTANT (1276528487364837));
  static const char *const odd[] = {               /* nothing may be believed or overrun */
    "x", ":2,S", "1.2.3,S=", "1.2.3,S=12x", "1.2.3,S", "1.2.3,W=99999999999999999999999", "..,S=1,",
    "99999999999999999999999.M1.h", "1.M99999999999999.h:1,S", "1.M.h:2", ",S=5:2,", "1.Q.h:2,\377\001" };
  for (guint i = 0; i < G_N_ELEMENTS (odd); i++) {
    g_autofree char *exact = g_memdup2 (odd[i], strlen (odd[i]));
    maildir_name_read ((EkStr) { exact, strlen (odd[i]) }, &f);
    g_assert_cmpint (f.arrived, >=, 0);
    g_assert_cmpuint (f.key.n, <=, strlen (odd[i]));
  }
  maildir_name_info (EK_STR ("cur/1.2.3:2,PSTa"), EK_FLAG_DRAFT | EK_FLAG_ANSWERED, 6, s, sizeof s);
  g_assert_cmpstr (s, ==, ":2,DPRbc");              /* P is not ours to drop */
  maildir_name_sizes (EK_STR ("1.2.3,S=5"), 7, 9, s, sizeof s);
  g_assert_cmpstr (s, ==, "1.2.3,S=5,W=9");
}

static void
locate (Fix *f, const char *path, const char *user, const char *mail, const char *want)
{
  TestInstance t;
  g_autoptr (GError) error = NULL;
  g_autofree char *settings = g_strdup_printf ("path = \"%s\"", path);
  EkUser u = { .name = user, .home = "/home/x", .mail = mail };
  char *root = NULL;

  EkInstance *self = test_instance_new (&t, &ek_module_maildir, "m", settings, &error);
  g_assert_no_error (error);
  EkStatus status = ops->locate (self, test_call (&f->call), &u, &root);
  g_assert_cmpint (status, ==, want ? EK_OK : EK_FAIL);
  g_assert_cmpstr (root, ==, want);
  g_assert_true (want || f->call.error);
  test_instance_free (&t);
}

static void
test_locate (void)
{
  Fix f;

  fix_new (&f);
  locate (&f, "%h/Maildir", "ann", NULL, "/home/x/Maildir");
  locate (&f, "/v/%d/%n/", "ann@b.c", NULL, "/v/b.c/ann");
  locate (&f, "/v/%u%%", "ann@b.c", NULL, "/v/ann@b.c%");
  locate (&f, "/v/%u", "ann@b.c", "maildir:~/M", "/home/x/M");
  locate (&f, "/v/%u", "../root", NULL, NULL);
  locate (&f, "/v/%u", "a/b", NULL, NULL);
  locate (&f, "/v/%u", "..", NULL, NULL);
  locate (&f, "/v/%u", ".hidden", NULL, NULL);
  locate (&f, "/v/%d/%n", "ann", NULL, NULL);       /* no domain */
  locate (&f, "/v/%d/%n", "ann@../x", NULL, NULL);
  locate (&f, "/v/%u", "a\nb", NULL, NULL);
  locate (&f, "/v/%u", "ann", "/x/../etc", NULL);
  locate (&f, "/v/%u", "ann", "relative", NULL);
  TestInstance t;
  g_autoptr (GError) error = NULL;
  g_assert_null (test_instance_new (&t, &ek_module_maildir, "m", "path = \"mail/%u\"", &error));
  g_assert_true (test_has (error->message, "not absolute"));
  test_instance_free (&t);
  g_clear_error (&error);
  g_assert_null (test_instance_new (&t, &ek_module_maildir, "m", "path = \"/mail/%x\"", &error));
  g_assert_true (test_has (error->message, "after %"));
  test_instance_free (&t);
  fix_free (&f);
}

/* ---- folders ---- */

static void
note_folder (const char *disk, EkStr name, bool selectable, gpointer data)
{
  g_ptr_array_add (data, g_strdup_printf ("%s=%.*s", disk, EK_STR_ARG (name)));
}

static gint
compare (gconstpointer a, gconstpointer b)
{
  return strcmp (*(char *const *) a, *(char *const *) b);
}

static char *
list (Fix *f)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);

  g_assert_cmpint (ops->list (f->m.format, test_call (&f->call), f->m.root, note_folder, names), ==, EK_OK);
  g_ptr_array_sort (names, compare);
  g_ptr_array_add (names, NULL);
  char *all = g_strjoinv (" ", (char **) names->pdata);
  return g_strdelimit (all, "\n", '|');
}

static void
test_folders (void)
{
  Fix f;
  char *disk;

  fix_new (&f);
  g_assert_cmpint (ops->disk_name (f.m.format, test_call (&f.call), EK_STR ("Entw\303\274rfe\nAlt & neu"), &disk), ==, EK_OK);
  g_assert_cmpstr (disk, ==, ".Entw&APw-rfe.Alt &- neu");
  g_autofree char *kept = g_strdup (disk);
  EkFolder drafts = { f.m.root, kept };
  g_assert_cmpint (ops->create (f.m.format, test_call (&f.call), &drafts), ==, EK_OK);
  g_assert_cmpint (ops->create (f.m.format, test_call (&f.call), &drafts), ==, EK_OK);
  g_autofree char *mark = g_build_filename (f.m.root, kept, "maildirfolder", NULL);
  g_assert_true (g_file_test (mark, G_FILE_TEST_EXISTS));
  static const char *const odd[] = { ".Bad&name/cur", ".a..b/cur", ".no", "..x/cur", ".\377/cur", ".dot./cur", "plain/cur" };
  for (guint i = 0; i < G_N_ELEMENTS (odd); i++) {
    g_autofree char *path = g_build_filename (f.m.root, odd[i], NULL);
    g_assert_cmpint (g_mkdir_with_parents (path, 0700), ==, 0);
  }
  g_autofree char *all = list (&f);
  g_assert_cmpstr (all, ==, ".Bad&name=Bad&name .Entw&APw-rfe.Alt &- neu=Entw\303\274rfe|Alt & neu .\377=? =INBOX");
  g_assert_cmpint (ops->rename (f.m.format, test_call (&f.call), &drafts, ".Bad&name"), ==, EK_FAIL);
  g_assert_cmpint (f.call.error->code, ==, EEXIST);
  g_assert_cmpint (ops->rename (f.m.format, test_call (&f.call), &drafts, ".Neu"), ==, EK_OK);
  g_assert_cmpint (ops->rename (f.m.format, test_call (&f.call), &drafts, ".Neu2"), ==, EK_NOTFOUND);
  g_assert_cmpint (ops->remove (f.m.format, test_call (&f.call), &(EkFolder) { f.m.root, ".Neu" }), ==, EK_OK);
  g_assert_cmpint (ops->remove (f.m.format, test_call (&f.call), &(EkFolder) { f.m.root, ".Neu" }), ==, EK_NOTFOUND);
  g_assert_cmpint (ops->remove (f.m.format, test_call (&f.call), &f.inbox), ==, EK_FAIL);
  g_autofree char *rest = list (&f);
  g_assert_null (strstr (rest, "Neu"));
  static const char *const refused[] = { "", "a.b", "a/b", "\377" };
  for (guint i = 0; i < G_N_ELEMENTS (refused); i++)
    g_assert_cmpint (ops->disk_name (f.m.format, test_call (&f.call), ek_str (refused[i]), &disk), ==, EK_FAIL);
  g_autofree char *longest = g_strnfill (300, 'x');
  g_assert_cmpint (ops->disk_name (f.m.format, test_call (&f.call), ek_str (longest), &disk), ==, EK_FAIL);
  fix_free (&f);
}

/* ---- messages ---- */

static bool
count_one (const EkFound *found, gpointer data)
{
  ++*(guint *) data;
  return true;
}

static guint
scan (Fix *f, EkStamp *stamp)
{
  guint n = 0;

  g_assert_cmpint (ops->scan (f->m.format, test_call (&f->call), &f->inbox, stamp, count_one, &n), ==, EK_OK);
  return n;
}

static void
test_scan (void)
{
  Fix f;
  EkStamp stamp = { 0 };

  fix_new (&f);
  g_assert_cmpuint (scan (&f, &stamp), ==, 0);
  g_assert_cmpuint (stamp.scanned, ==, 3);
  g_assert_true (stamp.dirty);                     /* made just now */
  g_free (mail_drop (&f.m, "new", "1.a.h", 1));
  g_free (mail_drop (&f.m, "new", ".hidden", 1));
  g_assert_cmpuint (scan (&f, &stamp), ==, 1);
  g_assert_cmpuint (stamp.scanned, ==, 1);         /* cur/ was not read again */
  g_assert_cmpuint (scan (&f, &stamp), ==, 1);
  g_assert_cmpuint (stamp.scanned, ==, 1);         /* young: read again at once; cur/ in two seconds */
  struct timespec old[2] = { { 1000, 0 }, { 1000, 0 } };
  g_autofree char *new = g_build_filename (f.m.root, "new", NULL), *cur = g_build_filename (f.m.root, "cur", NULL);
  utimensat (AT_FDCWD, new, old, 0);
  utimensat (AT_FDCWD, cur, old, 0);
  g_assert_cmpuint (scan (&f, &stamp), ==, 1);
  g_assert_cmpuint (stamp.scanned, ==, 3);
  g_assert_cmpuint (scan (&f, &stamp), ==, 0);
  g_assert_cmpuint (stamp.scanned, ==, 0);
  g_assert_false (stamp.dirty);                    /* old enough to be believed */
  g_free (mail_drop (&f.m, "new", "2.a.h", 2));
  g_assert_cmpuint (scan (&f, &stamp), ==, 2);
  g_assert_cmpuint (stamp.scanned, ==, 1);         /* cur/ was not read again */
  g_rmdir (cur);
  g_assert_cmpuint (scan (&f, &stamp), ==, 2);     /* cur/ is made again */
  g_assert_cmpuint (stamp.scanned, ==, 3);
  run_quiet ("rm", "-rf", f.m.root);
  g_assert_cmpint (ops->scan (f.m.format, test_call (&f.call), &f.inbox, &stamp, count_one, &(guint) { 0 }), ==, EK_NOTFOUND);
  fix_free (&f);
}

static void
test_write_one (void)
{
  Fix f;
  EkStaged staged;
  EkFound made;
  EkCommit how = { .key = EK_STR ("5.M1Q1.ekiden"), .psize = 3, .vsize = 4, .date = 1000000, .recent = true };
  EkStr place = { NULL, 0 };
  gint64 offset, length, mtime;
  int fd;
  struct stat st;

  fix_new (&f);
  for (guint i = 0; i < 2; i++) {                  /* the second time the name is taken */
    g_assert_cmpint (ops->stage (f.m.format, test_call (&f.call), &f.inbox, &staged), ==, EK_OK);
    g_assert_cmpint (write (staged.fd, "a\nb", 3), ==, 3);
    EkStatus status = ops->commit (f.m.format, &f.call, &f.inbox, &staged, &how, &made);
    g_assert_cmpint (status, ==, i ? EK_FAIL : EK_OK);
    g_assert_cmpint (f.call.error ? f.call.error->code : 0, ==, i ? EEXIST : 0);
    if (i == 0) {
      g_assert_cmpstr (made.place.p, ==, "new/5.M1Q1.ekiden,S=3,W=4");
      g_assert_cmpint (fstat (staged.fd, &st), ==, 0);
      g_assert_cmpint (st.st_mode & 0777, ==, 0600);
    }
    close (staged.fd);
  }
  /* found without hints, wherever it is */
  g_assert_cmpint (ops->open (f.m.format, test_call (&f.call), &f.inbox, EK_STR ("5.M1Q1.ekiden"), &place, &fd, &offset,
                              &length, &mtime), ==, EK_OK);
  g_assert_cmpint (length, ==, 3);
  g_assert_cmpint (mtime, ==, 1000000);
  close (fd);
  g_assert_cmpint (ops->open (f.m.format, test_call (&f.call), &f.inbox, EK_STR ("5.M1Q1"), &(EkStr) { NULL, 0 }, &fd,
                              &offset, &length, NULL), ==, EK_NOTFOUND);
  EkStr key = EK_STR ("5.M1Q1.ekiden,S=3,W=4"), stale = EK_STR ("cur/5.M1Q1.ekiden,S=3,W=4:2,F");
  g_assert_cmpint (ops->flags (f.m.format, test_call (&f.call), &f.inbox, key, &stale, EK_FLAG_SEEN, 1), ==, EK_OK);
  g_assert_cmpstr (stale.p, ==, "cur/5.M1Q1.ekiden,S=3,W=4:2,Sa");
  made = (EkFound) { .psize = 3, .vsize = 4 };
  g_assert_cmpint (ops->copy (f.m.format, &f.call, &f.inbox, key, stale, &f.inbox, EK_FLAG_SEEN, 0, false, &made), ==, EK_OK);
  g_assert_true (g_str_has_suffix (made.place.p, ",S=3,W=4:2,S"));
  g_assert_cmpuint (mail_files (&f.m, "cur"), ==, 2);
  g_assert_cmpint (ops->expunge (f.m.format, &f.call, &f.inbox, key, EK_STR ("cur/elsewhere")), ==, EK_OK);
  g_assert_cmpint (ops->expunge (f.m.format, &f.call, &f.inbox, key, EK_STR ("cur/elsewhere")), ==, EK_NOTFOUND);
  g_assert_cmpuint (mail_files (&f.m, "cur"), ==, 1);
  g_assert_cmpint (ops->stage (f.m.format, test_call (&f.call), &(EkFolder) { f.m.root, ".none" }, &staged), ==, EK_NOTFOUND);
  /* a name that leads elsewhere is not followed */
  g_autofree char *evil = g_build_filename (f.m.root, "cur", "9.x.h:2,", NULL);
  g_assert_cmpint (symlink ("/etc/passwd", evil), ==, 0);
  place = EK_STR ("cur/9.x.h:2,");
  g_assert_cmpint (ops->open (f.m.format, test_call (&f.call), &f.inbox, EK_STR ("9.x.h"), &place, &fd, &offset, &length,
                              NULL), !=, EK_OK);
  fix_free (&f);
}

/* ---- what others leave ---- */

static void
note_uid (EkStr key, guint32 uid, gpointer data)
{
  g_string_append_printf (data, "%.*s=%u ", EK_STR_ARG (key), uid);
}

static char *
import (Fix *f, const char *name, const char *text, guint32 *v, guint32 *n)
{
  g_autofree char *path = g_build_filename (f->m.root, name, NULL);
  GString *s = g_string_new (NULL);

  test_write (path, text, -1);
  EkStatus status = ops->import (f->m.format, test_call (&f->call), &f->inbox, v, n, note_uid, s);
  g_string_append (s, ek_status_name (status));
  g_unlink (path);
  return g_string_free (s, FALSE);
}

static void
test_import (void)
{
  static const struct { const char *file, *text, *want; guint32 v, n; } rows[] = {
    { "dovecot-uidlist", "3 V1275660208 N25022 G3085f01b7f11094c501100008c4a11c1\n25006 W18 :12.M1P9.k,S=5\n25017 :13.a.b:2,S\n",
      "12.M1P9.k,S=5=25006 13.a.b=25017 ok", 1275660208, 25022 },
    { "dovecot-uidlist", "1 1275660208 7\n3 12.a.b\n5 13.a.b:2,S\n", "12.a.b=3 13.a.b=5 ok", 1275660208, 7 },
    { "courierimapuiddb", "1 99 4\n1 x.y\n2 z\n", "x.y=1 z=2 ok", 99, 4 },
    { "dovecot-uidlist", "3 V5 N6\nx\n0 :a\n-1 :b\n99999999999 :c\n3\n4 nocolon\n5 :\n2 :good\n", "good=2 ok", 5, 6 },
    { "dovecot-uidlist", "7 V5 N6\n1 :a\n", "notfound", 0, 0 },
    { "dovecot-uidlist", "", "notfound", 0, 0 },
    { "dovecot-uidlist", "3 V0 N6\n1 :a\n", "notfound", 0, 6 },
  };
  Fix f;

  fix_new (&f);
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    guint32 v = 0, n = 0;
    g_autofree char *got = import (&f, rows[i].file, rows[i].text, &v, &n);
    g_assert_cmpstr (got, ==, rows[i].want);
    if (rows[i].v) {
      g_assert_cmpuint (v, ==, rows[i].v);
      g_assert_cmpuint (n, ==, rows[i].n);
    }
  }
  fix_free (&f);
}

static void
test_keywords (void)
{
  Fix f;
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);

  fix_new (&f);
  g_autofree char *path = g_build_filename (f.m.root, "dovecot-keywords", NULL);
  test_write (path, "0 $Forwarded\n2 Junk\n26 toofar\n1 two words\nx\n3 \\Seen\n", -1);
  g_assert_cmpint (ops->keywords (f.m.format, test_call (&f.call), &f.inbox, names, false), ==, EK_OK);
  g_assert_cmpuint (names->len, ==, 3);
  g_assert_cmpstr (names->pdata[0], ==, "$Forwarded");
  g_assert_null (names->pdata[1]);
  g_assert_cmpstr (names->pdata[2], ==, "Junk");
  names->pdata[1] = g_strdup ("new");
  g_assert_cmpint (ops->keywords (f.m.format, test_call (&f.call), &f.inbox, names, true), ==, EK_OK);
  g_autofree char *text = NULL;
  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  g_assert_cmpstr (text, ==, "0 $Forwarded\n1 new\n2 Junk\n");
  fix_free (&f);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/maildir/names", test_names);
  g_test_add_func ("/maildir/locate", test_locate);
  g_test_add_func ("/maildir/folders", test_folders);
  g_test_add_func ("/maildir/scan", test_scan);
  g_test_add_func ("/maildir/write", test_write_one);
  g_test_add_func ("/maildir/import", test_import);
  g_test_add_func ("/maildir/keywords", test_keywords);
  return g_test_run ();
}
