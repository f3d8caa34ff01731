/* dump.c - option rows as documentation
 * SPDX-License-Identifier: Apache-2.0 */
#include "conf/dump.h"
#include <string.h>

void
ek_doc_wrap (const char *text, const char *prefix, guint width, EkBuf *out)
{
  gsize column = 0, indent = strlen (prefix);

  for (const char *p = text; *p;) {
    gsize blank = strspn (p, " \n"), word = strcspn (p + blank, " \n");
    p += blank;
    if (word == 0)
      break;
    if (column > 0 && column + 1 + word > width) {
      ek_buf_appendc (out, '\n');
      column = 0;
    }
    ek_buf_appends (out, column == 0 ? prefix : " ");
    column += column == 0 ? indent : 1;
    ek_buf_append (out, p, word);
    column += word;
    p += word;
  }
  ek_buf_appendc (out, '\n');
}

/* "time, 1s..1h"; "one of fast, slow"; "reference to a map". */
static char *
expected (const EkOption *row)
{
  bool ref = row->type == EK_REF || row->type == EK_REFS;
  bool words = row->type == EK_STRING || row->type == EK_LIST;
  g_auto (GStrv) parts = g_strsplit (row->allow ? row->allow : "", "|", -1);
  g_autofree char *list = g_strjoinv (ref ? " or " : ", ", parts);

  if (row->allow == NULL)
    return g_strdup (ek_type_name (row->type));
  if (ref)
    return g_strdup_printf ("%s a %s", row->type == EK_REF ? "the name of" : "names, each of", list);
  if (words)
    return g_strdup_printf ("%s of %s", row->type == EK_LIST ? "list" : "one", list);
  return g_strdup_printf ("%s, %s", ek_type_name (row->type), row->allow);
}

static const char *
default_shown (const EkOption *row)
{
  return row->dflt == NULL ? "required" : *row->dflt ? row->dflt : "none";
}

void
ek_doc_text (const EkDocSection *section, EkBuf *out)
{
  if (*section->kind)
    ek_buf_printf (out, "%s%s%s { ... }\n", section->kind, section->name ? " " : "", section->name ? section->name : "");
  if (section->doc)
    ek_doc_wrap (section->doc, "  ", 78, out);
  if (section->rows == NULL || section->rows->name == NULL)
    ek_buf_appends (out, "  takes no settings\n");
  for (const EkOption *row = section->rows; row && row->name; row++) {
    g_autofree char *type = expected (row);
    ek_buf_printf (out, "\n  %s = %s    (%s)\n", row->name, default_shown (row), type);
    ek_doc_wrap (row->doc, "      ", 78, out);
  }
}

/* roff takes a `.` or `'` at the start of a line, and `\` and `-` anywhere, for its own. */
static void
roff_text (const char *text, EkBuf *out)
{
  bool start = true;

  for (const char *p = text; *p; p++) {
    if (start && (*p == '.' || *p == '\''))
      ek_buf_appends (out, "\\&");
    if (*p == '\\')
      ek_buf_appends (out, "\\e");
    else if (*p == '-')
      ek_buf_appends (out, "\\-");
    else
      ek_buf_appendc (out, *p);
    start = *p == '\n';
  }
}

void
ek_doc_roff (const EkDocSection *section, EkBuf *out)
{
  ek_buf_appends (out, ".SS ");
  roff_text (*section->kind ? section->kind : "The top level", out);
  if (section->name)
    ek_buf_printf (out, " \"%s\"", section->name);
  ek_buf_appendc (out, '\n');
  if (section->doc) {
    roff_text (section->doc, out);
    ek_buf_appendc (out, '\n');
  }
  for (const EkOption *row = section->rows; row && row->name; row++) {
    g_autofree char *type = expected (row);
    ek_buf_appends (out, ".TP\n.B ");
    roff_text (row->name, out);
    ek_buf_appends (out, "\n(");
    roff_text (type, out);
    ek_buf_appends (out, "; ");
    if (row->dflt)
      ek_buf_appends (out, "default: ");
    roff_text (default_shown (row), out);
    ek_buf_appends (out, ")\n");
    roff_text (row->doc, out);
    ek_buf_appendc (out, '\n');
  }
}

void
ek_doc_reference (const EkDocSection *section, EkBuf *out)
{
  const char *indent = *section->kind ? "#  " : "#";

  if (section->doc)
    ek_doc_wrap (section->doc, "# ", 100, out);
  if (*section->kind)
    ek_buf_printf (out, "#%s%s%s%s {\n", section->kind, section->name ? " \"" : "", section->name ? section->name : "",
                   section->name ? "\"" : "");
  for (const EkOption *row = section->rows; row && row->name; row++) {
    g_autofree char *type = expected (row);
    g_autofree char *prefix = g_strdup_printf ("%s%s", indent, *section->kind ? "# " : " ");
    g_autofree char *text = g_strdup_printf ("%s (%s%s)", row->doc, type, row->dflt ? "" : "; required");
    ek_doc_wrap (text, prefix, 100, out);
    ek_buf_printf (out, "%s%s =%s%s\n", indent, row->name, row->dflt && *row->dflt ? " " : "", row->dflt ? row->dflt : "");
  }
  ek_buf_appends (out, *section->kind ? "#}\n\n" : "\n");
}

void
ek_doc_json (const EkOption *rows, EkJson *json, const char *key)
{
  ek_json_array (json, key);
  for (const EkOption *row = rows; row && row->name; row++) {
    ek_json_object (json, NULL);
    ek_json_text (json, "name", row->name);
    ek_json_text (json, "type", ek_type_name (row->type));
    ek_json_text (json, "default", row->dflt);
    ek_json_text (json, "allow", row->allow);
    ek_json_bool (json, "required", row->dflt == NULL);
    ek_json_text (json, "doc", row->doc);
    ek_json_end_object (json);
  }
  ek_json_end_array (json);
}
