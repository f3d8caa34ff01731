/* spool-writer.c - works on a spool until it is killed, and says what it did; or tells what is there
 * SPDX-License-Identifier: Apache-2.0
 *
 * spool-writer run DIR LOG SEED [MESSAGES]    works; one line in LOG for each step, in capitals when it
 *                                             was acknowledged, in small letters before it is begun:
 *    s ID N SIZE     a message with number N, of SIZE bytes, that follow from N
 *    a ID K          recipient 0 gets state text K (numbers rise for each message)
 *    z ID K          the same, lazily: it may get lost
 *    r ID [CHILD N SIZE]   it is retired, and becomes another message at the same time
 * spool-writer list DIR                       one line for each live message: ID N SIZE K, or what is wrong
 * spool-writer fsck DIR [mend]
 */
#include "spoolrig.h"
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define IN_FLIGHT 20u
#define LIVE_MAX  300u

typedef struct {
  RigCall     call;
  bool        used;
  char        line[160];             /* for the log, when it is acknowledged */
  EkQueueId   made;                  /* live from then on */
} Slot;

typedef struct {
  Rig        rig;
  int        log;
  GRand     *rand;
  guint64    number, work;
  GArray    *live;                   /* EkQueueId */
  Slot       slots[IN_FLIGHT];
} Work;

static void
say (Work *w, const char *line)
{
  char text[200];
  int n = g_snprintf (text, sizeof text, "%s\n", line);

  if (write (w->log, text, (gsize) n) != n)
    abort ();
}

/* ---- contents --------------------------------------------------------------------------------------- */

static gsize
size_of (guint64 n)
{
  return n % 40 == 7 ? 100000 + n % 50000 : n % 3 == 0 ? 30 : n % 3 == 1 ? 4096 : 200 + n * 7919 % 12000;
}

static char *
body_of (guint64 n, gsize size)
{
  char *body = g_malloc (size + 1);
  int head = g_snprintf (body, size + 1, "%" G_GUINT64_FORMAT " ", n);

  for (gsize i = (gsize) head; i < size; i++)
    body[i] = (char) ('a' + (n + i * (1 + n % 7)) % 26);
  body[size] = 0;
  return body;
}

/* ---- working ---------------------------------------------------------------------------------------- */

static Slot *
free_slot (Work *w)
{
  for (guint i = 0; i < IN_FLIGHT; i++)
    if (!w->slots[i].used)
      return &w->slots[i];
  return NULL;
}

static void
acknowledge (Work *w)
{
  for (guint i = 0; i < IN_FLIGHT; i++) {
    Slot *slot = &w->slots[i];
    if (!slot->used || !slot->call.done)
      continue;
    if (slot->call.status != EK_OK)
      g_error ("%s: %s", slot->line, slot->call.call.error->message);
    slot->line[0] = g_ascii_toupper (slot->line[0]);
    say (w, slot->line);
    if (slot->made)
      g_array_append_val (w->live, slot->made);
    slot->used = false;
  }
}

typedef struct { EkSpoolTo to[2]; EkSpoolExtent extent; EkSpoolNew new; char *body; } Made;

static guint64
make (Work *w, Made *made, bool large_ok)
{
  guint64 n = w->number++;
  gsize size = size_of (n);

  if (!large_ok && size > EK_SPOOL_INLINE_MAX)
    size = 4096;
  made->body = body_of (n, size);
  made->to[0] = (EkSpoolTo) { .address = EK_STR ("first@example.com") };
  made->to[1] = (EkSpoolTo) { .address = EK_STR ("second@example.com") };
  made->extent = (EkSpoolExtent) { .bytes = { made->body, size } };
  made->new = (EkSpoolNew) { .id = spool_new_id (w->rig.spool), .sender = EK_STR ("sender@example.org"), .to = made->to,
                             .n_to = 2, .extents = &made->extent, .n_extents = 1 };
  if (size > EK_SPOOL_INLINE_MAX) {
    made->new.file = file_new (w->rig.spool, made->new.id, NULL, NULL);
    file_append (made->new.file, made->body, size);
    made->extent = (EkSpoolExtent) { .len = size };
  }
  return n;
}

static gsize
made_size (const Made *made)
{
  return made->extent.bytes.p ? made->extent.bytes.n : made->extent.len;
}

static void
begin (Work *w, Slot *slot, EkQueueId made)
{
  rig_call (&slot->call);
  slot->used = true;
  slot->made = made;
  say (w, slot->line);
}

static void
submit (Work *w, Slot *slot)
{
  Made made;
  char id[EK_QUEUE_ID_LEN + 1];
  guint64 n = make (w, &made, true);

  ek_queue_id_text (made.new.id, id);
  g_snprintf (slot->line, sizeof slot->line, "s %s %" G_GUINT64_FORMAT " %" G_GSIZE_FORMAT, id, n, made_size (&made));
  begin (w, slot, made.new.id);
  if (spool_submit (w->rig.spool, &slot->call.call, &made.new) != EK_PENDING)
    g_error ("%s: %s", slot->line, slot->call.call.error->message);
  g_free (made.body);
}

static guint64
state_of (const EkSpoolMessage *message)
{
  return message->rcpts[0].status ? g_ascii_strtoull (message->rcpts[0].status, NULL, 10) : 0;
}

static void
act (Work *w, Slot *slot, EkSpoolMessage *message)
{
  char id[EK_QUEUE_ID_LEN + 1], text[24];
  guint64 k = state_of (message) + 1;
  EkSpoolAct acts[] = {
    { .type = EK_ACT_ATTEMPT, .rcpt = 0, .action = (guint16) k, .text = EK_STR ("relay"), .base = EK_STR ("base") },
    { .type = g_rand_int_range (w->rand, 0, 4) ? EK_ACT_HOLD : EK_ACT_DEFER, .rcpt = 0, .text = ek_str (text) },
  };

  g_snprintf (text, sizeof text, "%" G_GUINT64_FORMAT, k);
  acts[1].text = ek_str (text);
  ek_queue_id_text (message->id, id);
  g_snprintf (slot->line, sizeof slot->line, "%c %s %" G_GUINT64_FORMAT, k % 2 ? 'a' : 'z', id, k);
  if (k % 2) {
    begin (w, slot, 0);
    spool_record (w->rig.spool, &slot->call.call, message, acts, 2, NULL, 0);
  } else {
    say (w, slot->line);
    spool_record (w->rig.spool, NULL, message, acts, 2, NULL, 0);
  }
}

static void
retire (Work *w, Slot *slot, EkSpoolMessage *message)
{
  char id[EK_QUEUE_ID_LEN + 1], child[EK_QUEUE_ID_LEN + 1];
  EkSpoolAct acts[] = { { .type = EK_ACT_DONE, .rcpt = EK_TO_ALL, .text = EK_STR ("250 ok") }, { .type = EK_ACT_RETIRE } };
  bool becomes = g_rand_int_range (w->rand, 0, 4) == 0;
  Made made = { .body = NULL };
  EkQueueId made_id = 0;

  ek_queue_id_text (message->id, id);
  if (becomes) {
    guint64 n = make (w, &made, false);
    made_id = made.new.id;
    ek_queue_id_text (made_id, child);
    g_snprintf (slot->line, sizeof slot->line, "r %s %s %" G_GUINT64_FORMAT " %" G_GSIZE_FORMAT, id, child, n, made_size (&made));
  } else
    g_snprintf (slot->line, sizeof slot->line, "r %s", id);
  begin (w, slot, made_id);
  spool_record (w->rig.spool, &slot->call.call, message, acts, 2, becomes ? &made.new : NULL, becomes);
  g_free (made.body);
}

static void
step (Work *w, Slot *slot)
{
  guint which = w->live->len ? (guint) g_rand_int_range (w->rand, 0, (gint) w->live->len) : 0;
  int what = g_rand_int_range (w->rand, 0, 10);

  if (w->live->len == 0 || (what < 4 && w->live->len < LIVE_MAX)) {
    submit (w, slot);
    return;
  }
  EkSpoolMessage *message = spool_find (w->rig.spool, g_array_index (w->live, EkQueueId, which));
  g_assert (message);
  if (what < 7)
    act (w, slot, message);
  else {
    g_array_remove_index_fast (w->live, which);
    retire (w, slot, message);
  }
}

static SpoolOptions
small (const char *dir)
{
  SpoolOptions options = rig_options (dir);

  options.retain = 200 * 1000;
  options.cold_age = 50 * 1000;                  /* grows cold after moments: all the machinery runs */
  return options;
}

static int
run (const char *dir, const char *log, const char *seed, guint64 messages)
{
  Work w = { .rig = { .echo = true } };
  SpoolOptions options = small (dir);
  g_autoptr (GError) error = NULL;

  w.log = open (log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  w.rand = g_rand_new_with_seed ((guint32) g_ascii_strtoull (seed, NULL, 10));
  w.number = g_ascii_strtoull (seed, NULL, 10) % 1000000 * 1000000;
  w.live = g_array_new (FALSE, FALSE, sizeof (EkQueueId));
  if (!rig_open (&w.rig, &options, 200000, &error))
    g_error ("%s", error->message);
  for (guint i = 0; i < w.rig.live->len; i++)
    g_array_append_val (w.live, ((EkSpoolMessage *) w.rig.live->pdata[i])->id);
  say (&w, "up");
  for (w.work = 0; messages == 0 || w.work < messages;) {
    Slot *slot = free_slot (&w);
    if (slot) {
      step (&w, slot);
      w.work++;
    } else
      rig_turn (&w.rig, 100);
    acknowledge (&w);
  }
  rig_close (&w.rig);
  acknowledge (&w);
  say (&w, "end");
  close (w.log);
  g_array_unref (w.live);
  g_rand_free (w.rand);
  return 0;
}

/* ---- telling ---------------------------------------------------------------------------------------- */

static int
list (const char *dir)
{
  Rig rig = { .echo = true };
  SpoolOptions options = small (dir);
  g_autoptr (GError) error = NULL;

  if (!rig_open (&rig, &options, 200000, &error)) {
    printf ("cannot open: %s\n", error->message);
    return 1;
  }
  for (guint i = 0; i < rig.live->len; i++) {
    EkSpoolMessage *message = rig.live->pdata[i];
    char id[EK_QUEUE_ID_LEN + 1];
    gsize size = 0;
    g_autofree char *text = rig_content (&rig, message, &size);
    guint64 n = text ? g_ascii_strtoull (text, NULL, 10) : 0;
    g_autofree char *want = body_of (n, size);
    ek_queue_id_text (message->id, id);
    bool good = text && memcmp (text, want, size) == 0 && message->n_rcpts == 2
                && ek_str_eq (message->rcpts[1].address, EK_STR ("second@example.com"));
    printf ("%s %" G_GUINT64_FORMAT " %" G_GSIZE_FORMAT " %" G_GUINT64_FORMAT "%s\n", id, n, size, state_of (message),
            good ? "" : " BAD");
  }
  printf ("alarms %u\n", rig.alarms);
  rig_close (&rig);
  return 0;
}

int
main (int argc, char **argv)
{
  if (argc >= 5 && strcmp (argv[1], "run") == 0)
    return run (argv[2], argv[3], argv[4], argc > 5 ? g_ascii_strtoull (argv[5], NULL, 10) : 0);
  if (argc == 3 && strcmp (argv[1], "list") == 0)
    return list (argv[2]);
  if (argc >= 3 && strcmp (argv[1], "fsck") == 0)
    return spool_fsck (argv[2], argc > 3, stdout);
  fprintf (stderr, "usage: spool-writer run DIR LOG SEED [STEPS] | list DIR | fsck DIR [mend]\n");
  return 2;
}
