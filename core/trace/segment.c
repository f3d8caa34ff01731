/* segment.c - the files of the event store: frames, and the names of files
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "trace/segment.h"
#include "trace/le.h"
#include "base/base.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { FRAME_MAGIC = 0x56654b45, SEGMENT_VERSION = 1, SCAN_READ = 256 * 1024 };

static const char segment_magic[8] = "EKEVENTS";

void
ek_segment_head (char out[EK_SEGMENT_HEAD], guint64 number, gint64 now)
{
  memset (out, 0, EK_SEGMENT_HEAD);
  memcpy (out, segment_magic, sizeof segment_magic);
  le_put (out + 8, SEGMENT_VERSION, 4);
  le_put (out + 16, number, 8);
  le_put (out + 24, (guint64) now, 8);
}

static guint32
frame_crc (const char *frame, gsize body)
{
  return ek_crc32c (ek_crc32c (0, frame, 12), frame + EK_FRAME_HEAD, body);
}

void
ek_frame_append (EkBuf *out, const char *packed, gsize len, const char *role, gint64 pid)
{
  gsize n_role = strnlen (role, EK_RECORD_NAME), body = n_role + len;
  char *p = ek_buf_room (out, EK_FRAME_HEAD + body);

  le_put (p, FRAME_MAGIC, 4);
  le_put (p + 4, body, 2);
  p[6] = (char) n_role;
  p[7] = 0;
  le_put (p + 8, (guint64) pid, 4);
  memcpy (p + EK_FRAME_HEAD, role, n_role);
  memcpy (p + EK_FRAME_HEAD + n_role, packed, len);
  le_put (p + 12, frame_crc (p, body), 4);
  ek_buf_added (out, EK_FRAME_HEAD + body);
}

gssize
ek_frame_read (const char *bytes, gsize len, EkFrame *frame)
{
  if (len < EK_FRAME_HEAD)
    return 0;
  gsize body = (gsize) le_get (bytes + 4, 2), n_role = (guchar) bytes[6];
  if (le_get (bytes, 4) != FRAME_MAGIC || n_role > EK_RECORD_NAME || body < n_role + EK_RECORD_HEAD
      || body > EK_FRAME_MAX - EK_FRAME_HEAD)
    return -1;
  if (len < EK_FRAME_HEAD + body)
    return 0;
  if (le_get (bytes + 12, 4) != frame_crc (bytes, body))
    return -1;
  const char *packed = bytes + EK_FRAME_HEAD + n_role;
  if (ek_record_read (packed, body - n_role, &frame->record) != (gssize) (body - n_role))
    return -1;
  frame->role = (EkStr) { bytes + EK_FRAME_HEAD, n_role };
  frame->pid = (gint32) le_get (bytes + 8, 4);
  return (gssize) (EK_FRAME_HEAD + body);
}

static bool
head_ok (int fd, guint64 number)
{
  char head[EK_SEGMENT_HEAD];

  return pread (fd, head, sizeof head, 0) == (ssize_t) sizeof head
         && memcmp (head, segment_magic, sizeof segment_magic) == 0
         && le_get (head + 8, 4) == SEGMENT_VERSION && le_get (head + 16, 8) == number;
}

/* The next place at or behind `from` where a frame may begin. */
static gsize
next_magic (const char *bytes, gsize len, gsize from)
{
  while (from + 4 <= len && le_get (bytes + from, 4) != FRAME_MAGIC)
    from++;
  return from;
}

/* Handles what the buffer has; returns how many bytes are done with, sets *stop when func wants no
 * more. */
static gsize
scan_some (const EkBuf *buf, bool at_end, guint32 base, EkFrameFunc func, gpointer data, guint32 *end, bool *stop)
{
  const char *bytes = ek_buf_at (buf);
  gsize len = ek_buf_len (buf), at = 0;
  EkFrame frame;

  while (at < len && !*stop) {
    gssize n = ek_frame_read (bytes + at, len - at, &frame);
    if (n == 0 && !at_end)
      break;
    if (n <= 0) {                                /* damage, or a torn tail */
      at = next_magic (bytes, len, at + 1);
      continue;
    }
    *stop = !func (&frame, base + (guint32) at, data);
    at += (gsize) n;
    *end = base + (guint32) at;
  }
  return MIN (at, len);
}

bool
ek_segment_scan (int fd, guint64 number, EkFrameFunc func, gpointer data, guint32 *end)
{
  EkBuf buf = { 0 };
  guint32 base = EK_SEGMENT_HEAD;
  bool stop = false;
  ssize_t got;

  *end = EK_SEGMENT_HEAD;
  if (!head_ok (fd, number))
    return false;
  do {
    do
      got = pread (fd, ek_buf_room (&buf, SCAN_READ), SCAN_READ, base + (off_t) ek_buf_len (&buf));
    while (got < 0 && errno == EINTR);
    if (got > 0)
      ek_buf_added (&buf, (gsize) got);
    gsize done = scan_some (&buf, got <= 0, base, func, data, end, &stop);
    ek_buf_consume (&buf, done);
    base += (guint32) done;
  } while (got > 0 && !stop && base < EK_SEGMENT_MAX);
  ek_buf_release (&buf);
  return true;
}

char *
ek_segment_path (const char *folder, guint64 number, const char *ending)
{
  return g_strdup_printf ("%s/%016" G_GINT64_MODIFIER "x.%s", folder, number, ending);
}

static gint
by_number (gconstpointer a, gconstpointer b)
{
  guint64 x = *(const guint64 *) a, y = *(const guint64 *) b;

  return x < y ? -1 : x > y;
}

static bool
number_of (const char *name, guint64 *number)
{
  char *end;

  if (strlen (name) != 19 || strcmp (name + 16, ".ev") != 0 || strspn (name, "0123456789abcdef") != 16)
    return false;
  *number = g_ascii_strtoull (name, &end, 16);
  return end == name + 16;
}

GArray *
ek_segment_list (const char *folder, GError **error)
{
  g_autoptr (GDir) dir = g_dir_open (folder, 0, error);
  const char *name;
  guint64 number;

  if (dir == NULL)
    return NULL;
  GArray *numbers = g_array_new (FALSE, FALSE, sizeof (guint64));
  while ((name = g_dir_read_name (dir)) != NULL)
    if (number_of (name, &number))
      g_array_append_val (numbers, number);
  g_array_sort (numbers, by_number);
  return numbers;
}
