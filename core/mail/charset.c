/* charset.c - any charset to UTF-8, never failing
 * SPDX-License-Identifier: Apache-2.0
 *
 * Only the charsets of the table below reach iconv(): its rarer converters have had endless loops and
 * failed assertions, and the label comes from whoever wrote the message.  No stateful one is among
 * them: after an error their state depends on where chunks were cut.
 */
#include "config.h"
#include "mail/text.h"
#include <errno.h>
#include <iconv.h>
#include <string.h>
#include <unistr.h>

#define REPLACEMENT "\xef\xbf\xbd"
#define HELD_MAX    16

typedef enum { UTF8, ICONV, JIS } Kind;

/* label (lower case) -> iconv's name.  Labels mean what their users mean by them. */
static const char *const labels[][2] = {
  { "arabic", "ISO-8859-6" }, { "big5", "BIG5-HKSCS" },
  { "big5-hkscs", "BIG5-HKSCS" }, { "cn-big5", "BIG5-HKSCS" }, { "cn-gb", "GB18030" }, { "cp1250", "CP1250" },
  { "cp1251", "CP1251" }, { "cp1252", "CP1252" }, { "cp1253", "CP1253" }, { "cp1254", "CP1254" },
  { "cp1255", "CP1255" }, { "cp1256", "CP1256" }, { "cp1257", "CP1257" }, { "cp1258", "CP1258" },
  { "cp437", "CP437" }, { "cp850", "CP850" }, { "cp852", "CP852" }, { "cp855", "CP855" }, { "cp866", "CP866" },
  { "cp874", "CP874" }, { "cp932", "CP932" }, { "cp936", "GB18030" }, { "cp949", "UHC" }, { "cp950", "CP950" },
  { "cyrillic", "ISO-8859-5" }, { "euc-jp", "EUC-JP-MS" }, { "euc-kr", "UHC" }, { "euc-tw", "EUC-TW" },
  { "eucjp-ms", "EUC-JP-MS" }, { "gb18030", "GB18030" }, { "gb2312", "GB18030" }, { "gb_2312-80", "GB18030" },
  { "gbk", "GB18030" }, { "greek", "ISO-8859-7" }, { "hebrew", "ISO-8859-8" }, { "ibm437", "CP437" },
  { "ibm850", "CP850" }, { "ibm852", "CP852" }, { "ibm866", "CP866" }, { "iso-10646-ucs-2", "UTF-16BE" },
  { "iso-8859-1", "CP1252" }, { "iso-8859-10", "ISO-8859-10" },
  { "iso-8859-11", "CP874" }, { "iso-8859-13", "ISO-8859-13" }, { "iso-8859-14", "ISO-8859-14" },
  { "iso-8859-15", "ISO-8859-15" }, { "iso-8859-16", "ISO-8859-16" }, { "iso-8859-2", "ISO-8859-2" },
  { "iso-8859-3", "ISO-8859-3" }, { "iso-8859-4", "ISO-8859-4" }, { "iso-8859-5", "ISO-8859-5" },
  { "iso-8859-6", "ISO-8859-6" }, { "iso-8859-6-e", "ISO-8859-6" }, { "iso-8859-6-i", "ISO-8859-6" },
  { "iso-8859-7", "ISO-8859-7" }, { "iso-8859-8", "ISO-8859-8" }, { "iso-8859-8-e", "ISO-8859-8" },
  { "iso-8859-8-i", "ISO-8859-8" }, { "iso-8859-9", "CP1254" }, { "iso8859-1", "CP1252" },
  { "iso8859-15", "ISO-8859-15" }, { "iso8859-2", "ISO-8859-2" }, { "iso_8859-1", "CP1252" },
  { "johab", "JOHAB" }, { "koi8-r", "KOI8-R" }, { "koi8-ru", "KOI8-U" }, { "koi8-u", "KOI8-U" },
  { "korean", "UHC" }, { "ks_c_5601-1987", "UHC" }, { "ks_c_5601-1989", "UHC" }, { "ksc5601", "UHC" },
  { "l1", "CP1252" }, { "latin1", "CP1252" }, { "latin2", "ISO-8859-2" }, { "mac", "MACINTOSH" },
  { "macintosh", "MACINTOSH" }, { "ms_kanji", "CP932" }, { "sjis", "CP932" }, { "shift-jis", "CP932" },
  { "shift_jis", "CP932" }, { "tis-620", "CP874" }, { "ucs-2", "UTF-16BE" }, { "uhc", "UHC" },
  { "utf-16", "UTF-16" }, { "utf-16be", "UTF-16BE" }, { "utf-16le", "UTF-16LE" },
  { "utf-32", "UTF-32" }, { "utf-32be", "UTF-32BE" }, { "utf-32le", "UTF-32LE" },
  { "viscii", "VISCII" }, { "windows-1250", "CP1250" }, { "windows-1251", "CP1251" },
  { "windows-1252", "CP1252" }, { "windows-1253", "CP1253" }, { "windows-1254", "CP1254" },
  { "windows-1255", "CP1255" }, { "windows-1256", "CP1256" }, { "windows-1257", "CP1257" },
  { "windows-1258", "CP1258" }, { "windows-31j", "CP932" }, { "windows-874", "CP874" },
  { "windows-936", "GB18030" }, { "windows-949", "UHC" }, { "x-euc-jp", "EUC-JP-MS" }, { "x-gbk", "GB18030" },
  { "x-mac-cyrillic", "MAC-CYRILLIC" }, { "x-mac-roman", "MACINTOSH" }, { "x-sjis", "CP932" },
  { "x-user-defined", "CP1252" }, { "x-x-big5", "BIG5-HKSCS" },
};
/* 8-bit text under these labels is mostly UTF-8. */
static const char *const utf8_labels[] = { "utf-8", "utf8", "unicode-1-1-utf-8", "us-ascii", "ascii",
                                           "ansi_x3.4-1968", "x-unknown", "unknown-8bit" };
static const char *const jis_labels[] = { "iso-2022-jp", "iso-2022-jp-1", "iso-2022-jp-ms", "csiso2022jp",
                                          "cp50220", "cp50221", "x-windows-50221" };

struct EkCharset {
  Kind    kind;
  iconv_t cd;
  char    held[HELD_MAX];            /* the start of a character */
  gsize   n_held;
  char    set;                       /* JIS: 'B' ASCII, 'K' kanji (two bytes), 'I' half-width kana */
  guint8  n_escape;                  /* JIS: bytes of an escape sequence seen, the second of them */
  char    escape;
};

/* ---- UTF-8 --------------------------------------------------------------------------------- */

/* How many bytes at the end of s are the start of a character that is not complete. */
static gsize
incomplete (EkStr s)
{
  for (gsize back = 1; back <= 3 && back <= s.n; back++) {
    guchar c = (guchar) s.p[s.n - back];
    if (c >= 0xc0)
      return back < (c >= 0xf0 ? 4u : c >= 0xe0 ? 3u : 2u) ? back : 0;
    if (c < 0x80)
      return 0;
  }
  return 0;
}

void
ek_utf8_append (EkBuf *out, EkStr s)
{
  while (s.n > 0) {
    const uint8_t *bad = u8_check ((const uint8_t *) s.p, s.n);
    gsize good = bad ? (gsize) ((const char *) bad - s.p) : s.n;
    ek_buf_append (out, s.p, good);
    s.p += good;
    s.n -= good;
    if (s.n > 0) {
      ucs4_t uc;
      int len = u8_mbtouc (&uc, (const uint8_t *) s.p, s.n);
      ek_buf_appends (out, REPLACEMENT);
      s.p += len;
      s.n -= (gsize) len;
    }
  }
}

/* ---- iconv --------------------------------------------------------------------------------- */

/* Converts all of `s` but an incomplete character at its end, whose length it returns. */
static gsize
convert (EkCharset *self, EkStr s, EkBuf *out)
{
  char *in = (char *) s.p;
  gsize left = s.n;

  if (self->kind == UTF8) {
    gsize rest = incomplete (s);
    ek_utf8_append (out, (EkStr) { s.p, s.n - rest });
    return rest;
  }
  while (left > 0) {
    gsize room = left * 2 + 64, unused = room;
    char *to = ek_buf_room (out, room);
    gsize r = iconv (self->cd, &in, &left, &to, &unused);
    int why = errno;
    ek_buf_added (out, room - unused);
    if (r != (gsize) -1)
      break;
    if (why == EINVAL && left < HELD_MAX)
      return left;
    if (why == E2BIG)
      continue;
    ek_buf_appends (out, REPLACEMENT);
    in++;
    left--;
  }
  return 0;
}

/* As convert(), with what was held before in front; holds what is incomplete. */
static void
feed (EkCharset *self, const char *bytes, gsize n, EkBuf *out)
{
  while (n > 0 && self->n_held > 0) {                /* complete the held character byte by byte */
    self->held[self->n_held++] = *bytes++;
    n--;
    gsize rest = convert (self, (EkStr) { self->held, self->n_held }, out);
    memmove (self->held, self->held + self->n_held - rest, rest);
    self->n_held = rest;
    if (self->n_held == HELD_MAX) {
      ek_buf_appends (out, REPLACEMENT);
      self->n_held = 0;
    }
  }
  gsize rest = n > 0 ? convert (self, (EkStr) { bytes, n }, out) : 0;
  if (rest > 0) {
    memcpy (self->held, bytes + n - rest, rest);
    self->n_held = rest;
  }
}

/* ---- ISO-2022-JP --------------------------------------------------------------------------- */

/* Rewritten as EUC-JP-MS, whose converter knows the characters of row 13 that Japanese mail is full of. */
static void
jis_feed (EkCharset *self, const char *bytes, gsize n, EkBuf *out)
{
  EkBuf euc = { 0 };

  for (gsize i = 0; i < n; i++) {
    char c = bytes[i];
    if (c == '\033')                                 /* ESC $ B, ESC $ @, ESC ( B, ESC ( J, ESC ( I */
      self->n_escape = 1;
    else if (self->n_escape == 1) {
      self->escape = c;
      self->n_escape = 2;
    }
    else if (self->n_escape == 2) {
      self->set = self->escape == '$' ? 'K' : c == 'I' ? 'I' : 'B';
      self->n_escape = 0;
    }
    else if ((guchar) c <= ' ') {
      if (c == '\n' || c == '\r')                    /* lines begin in ASCII (RFC 1468) */
        self->set = 'B';
      ek_buf_appendc (&euc, c);
    }
    else {
      if (self->set == 'I')
        ek_buf_appendc (&euc, '\x8e');
      ek_buf_appendc (&euc, self->set == 'B' ? c : (char) (c | 0x80));
    }
  }
  feed (self, ek_buf_at (&euc), ek_buf_len (&euc), out);
  ek_buf_release (&euc);
}

/* ---- the converter ------------------------------------------------------------------------- */

static bool
in_list (const char *const *list, gsize n, const char *label)
{
  for (gsize i = 0; i < n; i++)
    if (strcmp (list[i], label) == 0)
      return true;
  return false;
}

static const char *
lookup (EkStr label, Kind *kind)
{
  char name[40];

  label = ek_str_trim (label);
  *kind = UTF8;
  if (label.n == 0 || label.n >= sizeof name)
    return NULL;
  for (gsize i = 0; i < label.n; i++)
    name[i] = g_ascii_tolower (label.p[i]);
  name[label.n] = 0;
  if (in_list (utf8_labels, G_N_ELEMENTS (utf8_labels), name))
    return "UTF-8";
  if (in_list (jis_labels, G_N_ELEMENTS (jis_labels), name)) {
    *kind = JIS;
    return "EUC-JP-MS";
  }
  for (gsize i = 0; i < G_N_ELEMENTS (labels); i++)
    if (strcmp (labels[i][0], name) == 0) {
      *kind = ICONV;
      return labels[i][1];
    }
  return NULL;
}

bool
ek_charset_known (EkStr label)
{
  Kind kind;

  return lookup (label, &kind) != NULL;
}

void
ek_charset_preload (void)
{
  static gsize once;

  if (!g_once_init_enter (&once))
    return;
  for (gsize i = 0; i < G_N_ELEMENTS (labels); i++)
    if (i == 0 || strcmp (labels[i][1], labels[i - 1][1]) != 0)
      iconv_open ("UTF-8", labels[i][1]);            /* kept for the life of the process */
  iconv_open ("UTF-8", "EUC-JP-MS");
  g_once_init_leave (&once, 1);
}

EkCharset *
ek_charset_new (EkStr label)
{
  EkCharset *self = g_new0 (EkCharset, 1);
  const char *name = lookup (label, &self->kind);

  self->cd = (iconv_t) -1;
  self->set = 'B';
  if (self->kind != UTF8) {
    self->cd = iconv_open ("UTF-8", name);
    if (self->cd == (iconv_t) -1)                    /* a system without this converter */
      self->kind = UTF8;
  }
  return self;
}

void
ek_charset_feed (EkCharset *self, const char *bytes, gsize n, EkBuf *out)
{
  if (self->kind == JIS)
    jis_feed (self, bytes, n, out);
  else
    feed (self, bytes, n, out);
}

void
ek_charset_end (EkCharset *self, EkBuf *out)
{
  if (self->n_held > 0)
    ek_buf_appends (out, REPLACEMENT);
  if (self->kind != UTF8) {                          /* gives out what a stateful converter kept */
    gsize room = 64;
    char *to = ek_buf_room (out, room);
    iconv (self->cd, NULL, NULL, &to, &room);
    ek_buf_added (out, 64 - room);
  }
  self->n_held = 0;
  self->n_escape = 0;
  self->set = 'B';
}

void
ek_charset_free (EkCharset *self)
{
  if (self && self->cd != (iconv_t) -1)
    iconv_close (self->cd);
  g_free (self);
}

void
ek_charset_convert (EkStr label, EkStr bytes, EkBuf *out)
{
  g_autoptr (EkCharset) charset = ek_charset_new (label);

  ek_charset_feed (charset, bytes.p, bytes.n, out);
  ek_charset_end (charset, out);
}
