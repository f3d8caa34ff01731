/* test-imap-parse.c - IMAP's grammar: commands from bytes, arguments from commands
 * SPDX-License-Identifier: Apache-2.0
 */
#include "../../modules/imap/parse.h"
#include <string.h>

/* ---- the reader ----------------------------------------------------------------------------- */

/* What the reader makes of `input`, fed in pieces of `step` bytes: "C[text]" a command, "A" a question for
 * more, "M<size>[text]" a message (which is then skipped), "R[why]" a refusal. */
static char *
read_all (const char *input, gsize len, gsize step, gsize max, bool drop)
{
  ImapReader reader = { .max = max, .append = true };
  GString *log = g_string_new (NULL);

  for (gsize at = 0; at < len;) {
    gsize used;
    ImapRead read = imap_reader_feed (&reader, input + at, MIN (step, len - at), &used);
    EkStr text = ek_buf_str (&reader.text);
    g_assert_cmpuint (used, <=, MIN (step, len - at));
    at += used;
    switch (read) {
    case IMAP_READ_MORE:
      break;
    case IMAP_READ_ASK:
      g_string_append (log, "A ");
      break;
    case IMAP_READ_COMMAND:
      g_string_append_printf (log, "C[%.*s] ", EK_STR_ARG (text));
      imap_reader_next (&reader);
      break;
    case IMAP_READ_MESSAGE:
      g_string_append_printf (log, "M%" G_GUINT64_FORMAT "%s[%.*s] ", reader.message_size,
                              reader.message_sync ? "" : "+", EK_STR_ARG (text));
      if (drop)
        imap_reader_drop_message (&reader);
      else {                         /* the owner takes the message */
        at += (gsize) reader.message_size;
        imap_reader_next (&reader);
      }
      break;
    case IMAP_READ_REFUSED:
      g_string_append_printf (log, "R[%s] ", reader.refused);
      imap_reader_next (&reader);
      break;
    }
  }
  imap_reader_release (&reader);
  return g_string_free (log, FALSE);
}

static void
check_reader (const char *input, gsize max, bool drop, const char *expected)
{
  for (gsize step = 1; step <= strlen (input); step++) {
    g_autofree char *log = read_all (input, strlen (input), step, max, drop);
    g_assert_cmpstr (log, ==, expected);
  }
}

static void
test_reader_lines (void)
{
  check_reader ("a NOOP\r\nb NOOP\n\r\n", 100, false, "C[a NOOP] C[b NOOP] C[] ");
  check_reader ("a LOGIN \"x{3}\" y\r\n", 100, false, "C[a LOGIN \"x{3}\" y] ");
  check_reader ("a X \"open {3}\r\nb\r\n", 100, false, "C[a X \"open {3}] C[b] ");
  check_reader ("a X \"q\\\"{3}\r\nb\r\n", 100, false, "C[a X \"q\\\"{3}] C[b] ");
  check_reader ("a X{3}\r\n", 100, false, "C[a X{3}] ");
  check_reader ("a X {}\r\nb {+}\r\nc {x}\r\n", 100, false, "C[a X {}] C[b {+}] C[c {x}] ");
}

static void
test_reader_literals (void)
{
  check_reader ("a LOGIN {3}\r\nabc {2}\r\n\r\n\r\n", 100, false,
                "A A C[a LOGIN {3}\r\nabc {2}\r\n\r\n] ");
  check_reader ("a LOGIN {3+}\r\nabc ({2+}\r\nxy)\r\n", 100, false, "C[a LOGIN {3+}\r\nabc ({2+}\r\nxy)] ");
  check_reader ("a X {0}\r\n\r\nb\r\n", 100, false, "A C[a X {0}\r\n] C[b] ");
}

static void
test_reader_limits (void)
{
  check_reader ("a 3456789\r\nb NOOP\r\n", 10, false, "C[a 3456789] C[b NOOP] ");
  check_reader ("a 34567890123\r\nb NOOP\r\n", 10, false, "R[Too long argument] C[b NOOP] ");
  check_reader ("a {99}\r\nb NOOP\r\n", 20, false, "R[Literal size too large] C[b NOOP] ");
  check_reader ("a {30+}\r\n123456789012345678901234567890 {2+}\r\nxy end\r\nb NOOP\r\n", 20, false,
                "R[Literal size too large] C[b NOOP] ");
  check_reader ("a 345678901234567890 {4+}\r\n\r\n\r\n\r\nb NOOP\r\n", 10, false,
                "R[Too long argument] C[b NOOP] ");
  check_reader ("a {99999999999999999999999}\r\nb\r\n", 100, false, "R[Literal size too large] C[b] ");
}

static void
test_reader_message (void)
{
  check_reader ("a APPEND x {5}\r\n", 100, true, "M5[a APPEND x ] ");
  check_reader ("a append {1}\r\nx (\\Seen) {5+}\r\n12345\r\nb NOOP\r\n", 100, true,
                "A M5+[a append {1}\r\nx (\\Seen) ] C[b NOOP] ");
  check_reader ("a APPEND x {5}\r\nb NOOP\r\n", 100, true, "M5[a APPEND x ] C[b NOOP] ");
  check_reader ("a APPEND x {500}\r\n", 20, true, "M500[a APPEND x ] ");
  const char *text = "a APPEND x {3}\r\nabc\r\nb NOOP\r\n";
  g_autofree char *log = read_all (text, strlen (text), strlen (text), 100, false);
  g_assert_cmpstr (log, ==, "M3[a APPEND x ] C[] C[b NOOP] ");
}

/* ---- scanning ---------------------------------------------------------------------------------- */

static ImapScan
scan_of (EkPool *pool, const char *text)
{
  return (ImapScan) { .p = text, .end = text + strlen (text), .pool = pool };
}

static void
check_string (const char *text, const char *expected)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  ImapScan scan = scan_of (pool, text);
  EkStr got;

  if (expected == NULL) {
    g_assert_false (imap_scan_astring (&scan, &got));
    g_assert_nonnull (scan.error);
    return;
  }
  g_assert_true (imap_scan_astring (&scan, &got));
  g_assert_cmpmem (got.p, got.n, expected, strlen (expected));
}

static void
test_strings (void)
{
  check_string ("abc]", "abc]");
  check_string ("\"\"", "");
  check_string ("\"a b\\\"\\\\c\"", "a b\"\\c");
  check_string ("{3}\r\na\"b", "a\"b");
  check_string ("{3+}\na b", "a b");
  check_string ("{0}\r\n", "");
  check_string ("\"a", NULL);
  check_string ("\"a\\x\"", NULL);
  check_string ("\"a\\", NULL);
  check_string ("\"a\rb\"", NULL);
  check_string ("{4}\r\nabc", NULL);
  check_string ("{99999999999}\r\nabc", NULL);
  check_string ("", NULL);
  check_string ("(a)", NULL);
  check_string ("%", NULL);
}

static void
check_set (const char *text, guint32 largest, const char *expected)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  ImapScan scan = scan_of (pool, text);
  ImapSet set;
  EkBuf out = { 0 };

  if (expected == NULL) {
    g_assert_false (imap_scan_set (&scan, &set));
    return;
  }
  g_assert_true (imap_scan_set (&scan, &set));
  imap_set_resolve (&set, largest);
  imap_set_print (&set, &out);
  g_assert_cmpmem (ek_buf_at (&out), ek_buf_len (&out), expected, strlen (expected));
  ek_buf_release (&out);
}

static void
test_sets (void)
{
  check_set ("1", 10, "1");
  check_set ("3:1,2:4,9", 10, "1:4,9");
  check_set ("*", 10, "10");
  check_set ("*:8,1", 10, "1,8:10");
  check_set ("12:*", 10, "10:12");
  check_set ("1:*", 0, "");
  check_set ("5,1,3,2", 10, "1:3,5");
  check_set ("4294967294:4294967295", 10, "4294967294");       /* the largest number is no * */
  check_set ("0", 10, NULL);
  check_set ("1,", 10, NULL);
  check_set ("1:", 10, NULL);
  check_set ("4294967296", 10, NULL);
  check_set ("1a", 10, NULL);
  check_set ("", 10, NULL);

  ImapSet set = { (EkRange[]) { { 2, 4 }, { 7, 7 } }, 2 };
  g_assert_false (imap_set_has (&set, 1));
  g_assert_true (imap_set_has (&set, 2));
  g_assert_true (imap_set_has (&set, 4));
  g_assert_false (imap_set_has (&set, 5));
  g_assert_true (imap_set_has (&set, 7));
  g_assert_false (imap_set_has (&set, 8));
}

static void
test_flags (void)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  ImapFlags flags;
  ImapScan scan = scan_of (pool, "(\\seen  $Junk \\Deleted $junk )");

  g_assert_true (imap_scan_flags (&scan, &flags));
  g_assert_cmpuint (flags.system, ==, EK_FLAG_SEEN | EK_FLAG_DELETED);
  g_assert_cmpuint (flags.n_keywords, ==, 1);
  g_assert_cmpstr (flags.keywords[0], ==, "$Junk");
  g_assert_null (flags.keywords[1]);
  scan = scan_of (pool, "\\Answered b");
  g_assert_true (imap_scan_store_flags (&scan, &flags));
  g_assert_cmpuint (flags.system, ==, EK_FLAG_ANSWERED);
  const char *bad[] = { "(\\Recent)", "(\\Foo)", "(\\Seen", "(a)b", "(a(b))", "(\\)", "(\"a\")" };
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    scan = scan_of (pool, bad[i]);
    g_assert_false (imap_scan_flags (&scan, &flags) && imap_scan_end (&scan));
  }
}

/* ---- FETCH ---------------------------------------------------------------------------------------- */

static bool
scan_fetch (EkPool *pool, const char *text, ImapFetch *fetch)
{
  ImapScan scan = scan_of (pool, text);

  return imap_scan_fetch (&scan, fetch) && imap_scan_end (&scan);
}

static void
test_fetch_items (void)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  ImapFetch fetch;

  g_assert_true (scan_fetch (pool, "fast", &fetch));
  g_assert_cmpuint (fetch.items, ==, IMAP_ITEM_FLAGS | IMAP_ITEM_INTERNALDATE | IMAP_ITEM_SIZE);
  g_assert_true (scan_fetch (pool, "(UID ENVELOPE  BODY bodystructure RFC822.SIZE )", &fetch));
  g_assert_cmpuint (fetch.items, ==, IMAP_ITEM_UID | IMAP_ITEM_ENVELOPE | IMAP_ITEM_BODY | IMAP_ITEM_BODYSTRUCTURE
                                     | IMAP_ITEM_SIZE);
  g_assert_true (scan_fetch (pool, "(FLAGS) (CHANGEDSINCE 12345)", &fetch));
  g_assert_cmpuint (fetch.changed_since, ==, 12345);
  g_assert_cmpuint (fetch.items, ==, IMAP_ITEM_FLAGS | IMAP_ITEM_MODSEQ);
  const char *bad[] = { "()", "(FAST)", "FLAGS UID", "FOO", "(FLAGS", "RFC822.PEEK", "BODY.PEEK", "(FLAGS) (FOO 1)",
                        "(FLAGS) (CHANGEDSINCE x)", "\"FLAGS\"", "(FLAGS (UID))", "FLAGS,UID" };
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    g_assert_false (scan_fetch (pool, bad[i], &fetch));
}

static void
check_section (const char *text, const char *label, ImapPart part, const char *numbers, guint n_fields)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  ImapFetch fetch;

  g_assert_true (scan_fetch (pool, text, &fetch));
  g_assert_cmpuint (fetch.n_sections, ==, 1);
  g_assert_cmpstr (fetch.sections[0].label, ==, label);
  g_assert_cmpuint (fetch.sections[0].part, ==, part);
  g_assert_cmpmem (fetch.sections[0].numbers.p, fetch.sections[0].numbers.n, numbers, strlen (numbers));
  g_assert_cmpuint (fetch.sections[0].n_fields, ==, n_fields);
}

static void
test_fetch_sections (void)
{
  check_section ("BODY[]", "BODY[]", IMAP_PART_ALL, "", 0);
  check_section ("body.peek[1.2.mime]", "BODY[1.2.MIME]", IMAP_PART_MIME, "1.2", 0);
  check_section ("BODY[3]", "BODY[3]", IMAP_PART_ALL, "3", 0);
  check_section ("BODY[text]", "BODY[TEXT]", IMAP_PART_TEXT, "", 0);
  check_section ("BODY[2.Header]", "BODY[2.HEADER]", IMAP_PART_HEADER, "2", 0);
  check_section ("BODY[HEADER.FIELDS (to \"x y\" Cc)]", "BODY[HEADER.FIELDS (TO \"X Y\" CC)]", IMAP_PART_FIELDS, "", 3);
  check_section ("BODY[1.HEADER.FIELDS.NOT (to)]", "BODY[1.HEADER.FIELDS.NOT (TO)]", IMAP_PART_FIELDS_NOT, "1", 1);
  check_section ("RFC822.TEXT", "RFC822.TEXT", IMAP_PART_TEXT, "", 0);

  g_autoptr (EkPool) pool = ek_pool_new ();
  ImapFetch fetch;
  g_assert_true (scan_fetch (pool, "(BODY[]<5.10> BODY.PEEK[1]<7> RFC822.HEADER)", &fetch));
  g_assert_true (fetch.sections[0].partial && !fetch.sections[0].peek);
  g_assert_cmpuint (fetch.sections[0].offset, ==, 5);
  g_assert_cmpuint (fetch.sections[0].count, ==, 10);
  g_assert_true (fetch.sections[1].peek);
  g_assert_cmpuint (fetch.sections[1].count, ==, G_MAXUINT32);
  g_assert_true (fetch.sections[2].peek && !fetch.sections[2].partial);
  const char *bad[] = { "BODY[MIME]", "BODY[1.]", "BODY[.1]", "BODY[0]", "BODY[1.0]", "BODY[4294967296]", "BODY[1.FOO]",
                        "BODY[HEADER.FIELDS]", "BODY[HEADER.FIELDS ()]", "BODY[HEADER.FIELDS x]", "BODY[", "BODY[]x",
                        "BODY[]<a>", "BODY[]<1", "BODY[]<1.>", "BODY[]<4294967296.1>", "BODY[TEXT ]", "RFC822<0.1>",
                        "BODY[HEADER.FIELDS (\"\")]", "BODY[HEADER.FIELDS ({3}\r\na\r\n)]" };
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    g_assert_false (scan_fetch (pool, bad[i], &fetch));
}

/* ---- SEARCH ----------------------------------------------------------------------------------------- */

static bool
scan_search (EkPool *pool, const char *text, ImapSearch *search)
{
  ImapScan scan = scan_of (pool, text);

  return imap_scan_search (&scan, search) && imap_scan_end (&scan);
}

static void
test_search (void)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  ImapSearch search;

  g_assert_true (scan_search (pool, "1:3 not seen or from \"a\" (to b deleted)", &search));
  ImapKey *key = search.root->child;
  g_assert_cmpuint (key->type, ==, IMAP_KEY_SET);
  key = key->next;
  g_assert_true (key->not && key->type == IMAP_KEY_AND && key->child->flag == EK_FLAG_SEEN);
  key = key->next;
  g_assert_cmpuint (key->type, ==, IMAP_KEY_OR);
  g_assert_cmpuint (key->child->type, ==, IMAP_KEY_HEADER);
  g_assert_cmpuint (key->child->next->type, ==, IMAP_KEY_AND);
  g_assert_null (key->child->next->next);
  g_assert_null (key->next);

  g_assert_true (scan_search (pool, "RETURN (MIN count) CHARSET utf-8 SUBJECT \"\xc3\xa4\"", &search));
  g_assert_true (search.extended);
  g_assert_cmpuint (search.results, ==, IMAP_RETURN_MIN | IMAP_RETURN_COUNT);
  g_assert_cmpmem (search.root->child->text.p, search.root->child->text.n, "\xc3\xa4", 2);
  g_assert_true (scan_search (pool, "RETURN () ALL", &search));
  g_assert_cmpuint (search.results, ==, IMAP_RETURN_ALL);
  g_assert_true (scan_search (pool, "CHARSET iso-8859-1 TEXT \"\xe4\"", &search));
  g_assert_cmpmem (search.root->child->text.p, search.root->child->text.n, "\xc3\xa4", 2);
  g_assert_true (scan_search (pool, "CHARSET x-nonsense ALL", &search));
  g_assert_nonnull (search.bad_charset);
  g_assert_true (scan_search (pool, "SINCE 1-Feb-1994 BEFORE \"02-Mar-1994\"", &search));
  g_assert_cmpint (search.root->child->day, ==, 760060800);
  g_assert_true (scan_search (pool, "MODSEQ \"/flags/\\\\draft\" all 620162338", &search));
  g_assert_true (search.modseq);
  g_assert_cmpuint (search.root->child->number, ==, 620162338);
}

static void
test_search_refused (void)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  ImapSearch search;
  const char *bad[] = { "", "()", "(ALL", "ALL)", "FOO", "NOT", "OR ALL", "FROM", "SINCE 32-Jan-2000", "SINCE x", "LARGER -1",
                        "0", "RETURN (FOO) ALL", "RETURN MIN ALL", "KEYWORD \"a b\"", "UID x", "HEADER a", "ALLX" };

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    g_assert_false (scan_search (pool, bad[i], &search));
  g_autoptr (GString) deep = g_string_new ("TEXT x");
  for (guint i = 1; i < IMAP_SEARCH_BODIES; i++)
    g_string_append (deep, " BODY y");
  g_assert_true (scan_search (pool, deep->str, &search));
  g_string_append (deep, " BODY y");
  g_assert_false (scan_search (pool, deep->str, &search));
  g_string_truncate (deep, 0);
  for (guint i = 0; i < IMAP_SEARCH_DEPTH - 1; i++)
    g_string_append (deep, "NOT ");
  g_string_append (deep, "ALL");
  g_assert_true (scan_search (pool, deep->str, &search));
  g_string_prepend (deep, "NOT ");
  g_assert_false (scan_search (pool, deep->str, &search));
  g_string_assign (deep, "ALL");
  for (guint i = 1; i < IMAP_SEARCH_KEYS; i++)
    g_string_append (deep, " ALL");
  g_assert_true (scan_search (pool, deep->str, &search));
  g_string_append (deep, " ALL");
  g_assert_false (scan_search (pool, deep->str, &search));
}

/* ---- names -------------------------------------------------------------------------------------------- */

static void
test_mailbox_names (void)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  const char *name;
  ImapScan scan = scan_of (pool, "\"Entw&APw-rfe\" &bad {4}\r\na&-b x");

  g_assert_true (imap_scan_mailbox (&scan, &name));
  g_assert_cmpstr (name, ==, "Entw\xc3\xbcrfe");
  g_assert_true (imap_scan_space (&scan) && imap_scan_mailbox (&scan, &name));
  g_assert_null (name);
  g_assert_true (imap_scan_space (&scan) && imap_scan_mailbox (&scan, &name));
  g_assert_cmpstr (name, ==, "a&b");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/imap/reader/lines", test_reader_lines);
  g_test_add_func ("/imap/reader/literals", test_reader_literals);
  g_test_add_func ("/imap/reader/limits", test_reader_limits);
  g_test_add_func ("/imap/reader/message", test_reader_message);
  g_test_add_func ("/imap/strings", test_strings);
  g_test_add_func ("/imap/sets", test_sets);
  g_test_add_func ("/imap/flags", test_flags);
  g_test_add_func ("/imap/fetch/items", test_fetch_items);
  g_test_add_func ("/imap/fetch/sections", test_fetch_sections);
  g_test_add_func ("/imap/search", test_search);
  g_test_add_func ("/imap/search/refused", test_search_refused);
  g_test_add_func ("/imap/mailbox-names", test_mailbox_names);
  return g_test_run ();
}
