/* message.c - the bytes of a message, with the line ends that IMAP and POP3 want
 * SPDX-License-Identifier: Apache-2.0
 *
 * A file whose size with CRLF equals its size on disk has no bare LF and is served as it is.
 * Otherwise the reader keeps its place in both countings, so that a client that takes a message in
 * windows does not cost a reading from the start for each. */
#include "index/index.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define CHUNK (16 << 10)

struct EkMessage {
  int     fd;
  guint64 offset, length, size;      /* in the file; size with CRLF */
  guint64 at, file_at;               /* the next byte, in both countings */
  char   *chunk;                     /* what was read and not yet translated */
  gsize   chunk_at, chunk_n;
  bool    after_cr, owe_lf, raw, warned;
};

static EkStatus
count (int fd, gint64 offset, gint64 length, guint64 *size, GError **error)
{
  g_autofree char *chunk = g_malloc (CHUNK * 4);
  guint64 extra = 0;
  gint64 at = 0;
  char last = 0;

  while (at < length) {
    gssize n = pread (fd, chunk, (gsize) MIN (CHUNK * 4, length - at), offset + at);
    if (n < 0)
      return ek_fail (error, EK_DEFER, errno, "a message cannot be read: %s", g_strerror (errno));
    if (n == 0)
      break;
    for (const char *p = chunk, *end = chunk + n; (p = memchr (p, '\n', (gsize) (end - p))); p++)
      extra += (p > chunk ? p[-1] : last) != '\r';
    last = chunk[n - 1];
    at += n;
  }
  *size = (guint64) at + extra;
  return EK_OK;
}

static EkStatus
size_keep (Box *box, const Msg *msg, guint64 size, GError **error)
{
  EkStatus status = index_begin_cache (box->ix, error);

  if (status == EK_OK)
    status
        = db_run (box->ix->db, error, ST_MSG_VSIZE, "ii", row_id (box->id, msg->uid), (gint64) size);
  box->unsized -= msg->vsize < 0;
  box->size += size;
  if (status == EK_OK)
    status = box_save (box, error);
  if (status == EK_OK)
    return index_commit (box->ix, error);
  index_abort (box->ix);
  return status;
}

/* Opens; fills in the size when it was not known. */
static EkStatus
open_message (Box *box, guint32 uid, int *fd, gint64 *offset, gint64 *length, guint64 *size,
              GError **error)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  EkFolder folder = BOX_FOLDER (box);
  Msg msg;

  EkStatus status = msg_get (box, uid, pool, &msg, error);
  if (status == EK_OK)
    status
        = OP (box->ix, pool, error, open, &folder, msg.key, &msg.place, fd, offset, length, NULL);
  if (status == EK_NOTFOUND)
    memset (&box->stamp, 0, sizeof box->stamp);
  if (status != EK_OK)
    return status;
  *size = (guint64) msg.vsize;
  if (msg.vsize < 0) {
    status = count (*fd, *offset, *length, size, error);
    if (status == EK_OK)
      status = size_keep (box, &msg, *size, error);
  }
  if (status != EK_OK)
    close (*fd);
  return status;
}

EkStatus
box_size_message (Box *box, guint32 uid, guint64 *size, GError **error)
{
  gint64 offset, length;
  int fd;

  EkStatus status = open_message (box, uid, &fd, &offset, &length, size, error);
  if (status == EK_OK)
    close (fd);
  return status;
}

EkStatus
ek_message_open (EkView *view, guint32 uid, EkMessage **out, GError **error)
{
  gint64 offset, length;
  guint64 size;
  Box *box;
  int fd;

  EkStatus status = view_box (view, &box, error);
  if (status == EK_OK)
    status = open_message (box, uid, &fd, &offset, &length, &size, error);
  if (status != EK_OK)
    return status;
  EkMessage *m = g_new0 (EkMessage, 1);
  *m = (EkMessage) { .fd = fd, .offset = (guint64) offset, .length = (guint64) length, .size = size,
                     .raw = size == (guint64) length };
  *out = m;
  return EK_OK;
}

void
ek_message_close (EkMessage *m)
{
  if (m == NULL)
    return;
  close (m->fd);
  g_free (m->chunk);
  g_free (m);
}

guint64
ek_message_size (EkMessage *m)
{
  return m->size;
}

bool
ek_message_raw (EkMessage *m, int *fd, guint64 *offset, guint64 *length)
{
  if (!m->raw)
    return false;
  *fd = m->fd;
  *offset = m->offset;
  *length = m->length;
  return true;
}

/* ---- translating ---- */

static gssize
refill (EkMessage *m)
{
  if (m->chunk == NULL)
    m->chunk = g_malloc (CHUNK);
  gssize n = m->file_at < m->length
                 ? pread (m->fd, m->chunk, (gsize) MIN (CHUNK, m->length - m->file_at),
                          (off_t) (m->offset + m->file_at))
                 : 0;
  m->chunk_at = 0;
  m->chunk_n = n > 0 ? (gsize) n : 0;
  m->file_at += m->chunk_n;
  return n;
}

/* Up to n translated bytes; into NULL: skips them. */
static gssize
translate (EkMessage *m, char *into, gsize n)
{
  gsize done = 0;

  while (done < n) {
    if (m->owe_lf) {
      if (into)
        into[done] = '\n';
      done++;
      m->owe_lf = false;
      m->after_cr = false;
      m->chunk_at++;
      continue;
    }
    if (m->chunk_at == m->chunk_n) {
      gssize got = refill (m);
      if (got < 0)
        return -1;
      if (got == 0)
        break;
    }
    const char *p = m->chunk + m->chunk_at;
    gsize room = MIN (n - done, m->chunk_n - m->chunk_at);
    const char *nl = memchr (p, '\n', room);
    gsize run = nl ? (gsize) (nl - p) : room;
    if (run > 0) {
      if (into)
        memcpy (into + done, p, run);
      m->after_cr = p[run - 1] == '\r';
      m->chunk_at += run;
      done += run;
    } else if (m->after_cr) {
      if (into)
        into[done] = '\n';
      done++;
      m->chunk_at++;
      m->after_cr = false;
    } else {
      if (into)
        into[done] = '\r';
      done++;
      m->owe_lf = true;
    }
  }
  m->at += done;
  return (gssize) done;
}

/* Moves to a virtual position: on from here, or from the start. */
static bool
seek_to (EkMessage *m, guint64 offset)
{
  if (offset < m->at) {
    m->at = m->file_at = 0;
    m->chunk_at = m->chunk_n = 0;
    m->after_cr = m->owe_lf = false;
  }
  while (m->at < offset) {
    gssize n = translate (m, NULL, (gsize) MIN (offset - m->at, 1 << 20));
    if (n < 0)
      return false;
    if (n == 0)
      m->at = offset;                              /* the file is shorter than it was */
  }
  return true;
}

gssize
ek_message_read (EkMessage *m, guint64 offset, char *into, gsize n, GError **error)
{
  gssize got;

  if (offset >= m->size)
    return 0;
  n = (gsize) MIN (n, m->size - offset);
  if (m->raw)
    got = pread (m->fd, into, n, (off_t) (m->offset + offset));
  else
    got = seek_to (m, offset) ? translate (m, into, n) : -1;
  if (got < 0) {
    ek_fail (error, EK_DEFER, errno, "a message cannot be read: %s", g_strerror (errno));
    return -1;
  }
  if (got == 0 && n > 0) {                         /* a literal was announced with that size */
    if (!m->warned)
      ek_log (EK_WARN, "index",
              "a message is %" G_GUINT64_FORMAT " bytes shorter than its name or the index says: "
              "filled with blanks",
              m->size - offset);
    m->warned = true;
    memset (into, ' ', n);
    m->at = MAX (m->at, offset) + (m->raw ? 0 : n);
    got = (gssize) n;
  }
  return got;
}
