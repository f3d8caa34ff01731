/* fsck.c - checks and mends a spool that nobody has open
 * SPDX-License-Identifier: Apache-2.0
 *
 * It goes the way of a start: the same reader decides what is torn, what is damaged and what lives.
 */
#include "impl.h"

static void
no_wake (gpointer user)
{
}

static void
print (gpointer user, EkLevel level, const char *text)
{
  Replay *r = user;

  if (!r->json) {
    fprintf (r->tell, "%s: %s\n", level == EK_ERR ? "error" : "note", text);
    return;
  }
  g_autofree char *quoted = g_strescape (text, NULL);
  fprintf (r->tell, "{\"%s\":\"%s\"}\n", level == EK_ERR ? "error" : "note", quoted);
}

static bool
write_checkpoint (EkSpool *spool, const Replay *r, GError **error)
{
  EkBuf buf = { 0 };
  guint64 n = 0;

  spool->id_last = spool->id_mark = r->mark;
  ckpt_begin (&buf);
  for (Message *message = spool->first; message; message = message->next, n++)
    ckpt_entry (&buf, message);
  ckpt_finish (spool, &buf, r->lsn[SEG_HOT], r->lsn[SEG_COLD], n);
  bool good = ckpt_store (spool, &buf, error);
  ek_buf_release (&buf);
  return good;
}

static int
verdict (EkSpool *spool, Replay *r, bool mend)
{
  guint64 bad = r->n_damaged + r->n_bad_segments + r->n_lost + spool->ckpt_lost;
  guint64 ill = bad + (r->torn > 0);
  g_autoptr (GError) error = NULL;
  bool mended = mend;

  if (mend && ill && !write_checkpoint (spool, r, &error)) {
    print (r, EK_ERR, error->message);
    mended = false;
  }
  fprintf (r->tell, r->json ? "{\"segments\":%" G_GUINT64_FORMAT ",\"records\":%" G_GUINT64_FORMAT ",\"messages\":%u"
           ",\"torn_bytes\":%" G_GUINT64_FORMAT ",\"damaged\":%" G_GUINT64_FORMAT ",\"lost\":%" G_GUINT64_FORMAT
           ",\"checkpoint\":\"%s\",\"result\":\"%s\"}\n"
           : "summary segments=%" G_GUINT64_FORMAT " records=%" G_GUINT64_FORMAT " messages=%u torn_bytes=%"
           G_GUINT64_FORMAT " damaged=%" G_GUINT64_FORMAT " lost=%" G_GUINT64_FORMAT " checkpoint=%s result=%s\n",
           r->n_segments, r->n_records, g_hash_table_size (spool->table), r->torn, r->n_damaged + r->n_bad_segments,
           r->n_lost, spool->ckpt_lost ? mended ? "rebuilt" : "damaged" : r->have ? "good" : "none",
           !ill ? "clean" : mended ? "mended" : bad ? "damaged" : "torn");
  return !ill ? 0 : mended ? 1 : 4;
}

int
spool_fsck_run (const char *dir, bool mend, bool json, FILE *out)
{
  g_autoptr (GError) error = NULL;
  SpoolOptions options = { .path = (char *) dir, .segment_size = SPOOL_SIZE_MIN };
  Replay r = { .mend = mend, .tell = out, .json = json };
  EkSpoolHost host = { .user = &r, .wake = no_wake, .report = print };
  EkSpool *spool = spool_new (&options, &host);
  int code = 8;

  spool->offline = true;
  replay_begin (&r, spool);
  if (dirs_open (spool, false, &error) && replay_run (&r, &error))
    code = verdict (spool, &r, mend);
  else
    print (&r, EK_ERR, error->message);
  replay_end (&r);
  spool_free (spool);
  return code;
}

int
spool_fsck (const char *dir, bool mend, FILE *out)
{
  return spool_fsck_run (dir, mend, false, out);
}
