/* template.c - texts with a user's name in them
 * SPDX-License-Identifier: Apache-2.0 */
#include "lookup/template.h"
#include "base/base.h"
#include <errno.h>
#include <string.h>

typedef struct {
  char part;                         /* u n d or % */
  char fold;                         /* L, U or 0 */
} Piece;

/* Reads what stands behind a '%'; the number of characters it took, 0: not known. */
static gsize
read_piece (const char *p, Piece *piece)
{
  static const struct { const char *name; char part; } names[] = {
    { "{user}", 'u' }, { "{username}", 'n' }, { "{domain}", 'd' },
  };
  gsize fold = *p == 'L' || *p == 'U' ? 1 : 0;

  *piece = (Piece) { .fold = fold ? *p : 0 };
  p += fold;
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    if (g_str_has_prefix (p, names[i].name)) {
      piece->part = names[i].part;
      return fold + strlen (names[i].name);
    }
  piece->part = *p;
  return *p && strchr (fold ? "und" : "und%", *p) ? fold + 1 : 0;
}

bool
ek_template_check (const char *what, const char *text, GError **error)
{
  Piece piece;

  for (const char *p = text ? strchr (text, '%') : NULL; p; p = strchr (p, '%')) {
    gsize n = read_piece (p + 1, &piece);
    if (n == 0) {
      ek_fail (error, EK_FAIL, EINVAL, "%s: \"%.5s\" is not known in \"%s\": there are %%u (user), %%n (name), "
               "%%d (domain), each with L or U for its case (%%Lu), and %%%%", what, p, text);
      return false;
    }
    p += 1 + n;
  }
  return true;
}

static bool
leaves_folder (EkStr value)
{
  return value.n == 0 || value.p[0] == '.' || memchr (value.p, '/', value.n);
}

static void
append_folded (EkBuf *out, EkStr value, char fold)
{
  char *to = ek_buf_room (out, value.n + 1);

  for (gsize i = 0; i < value.n; i++)
    to[i] = fold == 'L' ? g_ascii_tolower (value.p[i]) : fold == 'U' ? g_ascii_toupper (value.p[i]) : value.p[i];
  ek_buf_added (out, value.n);
}

char *
ek_template_expand (EkPool *pool, const char *text, const char *user, bool path, GError **error)
{
  const char *at = strrchr (user, '@');
  EkStr whole = ek_str (user), name = { user, at ? (gsize) (at - user) : whole.n };
  EkStr domain = at ? ek_str (at + 1) : EK_STR ("");
  EkBuf out = { 0 };                   /* not a GString: its locks are not ThreadSanitizer's */

  for (const char *p = text; *p; p++) {
    Piece piece;
    gsize n = *p == '%' ? read_piece (p + 1, &piece) : 0;
    if (n == 0) {
      ek_buf_appendc (&out, *p);
      continue;
    }
    p += n;
    EkStr value = piece.part == 'u' ? whole : piece.part == 'n' ? name : piece.part == 'd' ? domain : EK_STR ("%");
    if (path && leaves_folder (value)) {
      ek_fail (error, EK_DEFER, EINVAL, "the name \"%s\" gives no safe folder in \"%s\": %%%c would be \"%.*s\"",
               user, text, piece.part, EK_STR_ARG (value));
      ek_buf_release (&out);
      return NULL;
    }
    append_folded (&out, value, piece.fold);
  }
  char *made = ek_pool_strndup (pool, ek_buf_at (&out), ek_buf_len (&out));
  ek_buf_release (&out);
  return made;
}
