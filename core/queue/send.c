/* send.c - parcels to store and relay, and their answers
 * SPDX-License-Identifier: Apache-2.0
 *
 * The parts of a content travel as u 0 and s bytes, or u 1 and u from, u length of the one descriptor.
 *
 * EK_R_DELIVER: u queue id, u event, t transport, t next hop, s sender, s envid, u flags, u size, u n, n times (s
 * address, u notify, s orcpt), parts.  Answer: u dead (the next hop cannot be reached at all), u n, n times (u
 * recipient, u status, t enhanced code, t reply, t relay, i connect us, i send us, u the next hop sends the reports).
 */
#include "config.h"
#include "mail/dsn.h"
#include "queue/queue.h"
#include "proc/pack.h"
#include <fcntl.h>

static void
pack_parts (EkBuf *out, const EkSpoolContent *c)
{
  ek_pack_u64 (out, c->n_parts);
  for (guint i = 0; i < c->n_parts; i++) {
    const EkSpoolPart *part = &c->parts[i];
    ek_pack_u64 (out, part->bytes.p == NULL);
    if (part->bytes.p)
      ek_pack_str (out, part->bytes);
    else {
      ek_pack_u64 (out, part->from);
      ek_pack_u64 (out, part->len);
    }
  }
}

/* The large file goes along; store and relay can read it and nothing else. */
static bool
attach_file (EkChannel *worker, const EkSpoolContent *c)
{
  if (c->fd < 0)
    return true;
  int fd = fcntl (c->fd, F_DUPFD_CLOEXEC, 3);
  if (fd >= 0)
    ek_channel_attach (worker, fd);
  return fd >= 0;
}

/* ---- local ---- */

static void
local_answer (EkMsg *msg, gpointer data)
{
  EkParcel *p = data;
  g_autoptr (EkPool) pool = ek_pool_new ();

  if (ek_parcel_ended (p))
    return;
  if (msg == NULL) {                 /* it died: tried again, with care */
    EkChannel *worker = p->worker;
    if (worker)
      ek_lines_worker_gone (worker);
    return;
  }
  EkOutcome o = { .status = (EkStatus) ek_unpack_max (&msg->in, EK_FAIL), .relay = "virtual", .component = "virtual",
                  .tried = true };
  o.dsn = ek_unpack_text (&msg->in, pool);
  o.text = ek_unpack_text (&msg->in, pool);
  if (!ek_unpack_ok (&msg->in) || o.status == EK_NOTFOUND)
    o = (EkOutcome) { .status = EK_DEFER, .dsn = "4.3.0", .text = "a damaged answer from store", .relay = "virtual",
                      .component = "virtual", .tried = true };
  o.queued_us = p->sent - p->queued;
  o.send_us = ek_now () - p->sent;
  o.action = EK_DSN_DELIVERED;
  if (o.status == EK_OK)
    ek_outcome_delivered (p->message->id, p->rcpts[0], ek_destination_store (p->to));
  ek_outcome (p->message, p->rcpts[0], &o);
  ek_parcel_over (p);
}

static void
pack_front (EkBuf *out, const EkSpoolMessage *m, const EkSpoolRcpt *r)
{
  EkBuf front = { 0 };

  ek_buf_printf (&front, "Return-Path: <%.*s>\r\n", EK_STR_ARG (m->sender));
  ek_buf_printf (&front, "Delivered-To: %.*s\r\n", EK_STR_ARG (r->address));
  ek_pack_str (out, ek_buf_str (&front));
  ek_buf_release (&front);
}

/* What store shall make of a file that is there.  2: an attempt failed, perhaps its sync, so what it left is not
 * believed; 1: the file may have been made before a crash; 0: there was no attempt. */
static guint
again (const EkParcel *p, const EkSpoolRcpt *r)
{
  bool failed = r->state == EK_TO_DEFERRED || (r->state == EK_TO_TRYING && r->status)      /* the last, or one before it */
                || (r->state == EK_TO_WAITING && r->tried);                                  /* requeued since */

  return failed ? 2 : p->replay;
}

static bool
send_local (EkParcel *p)
{
  EkSpoolMessage *m = p->message;
  EkChannel *store = ek_role_peer (EK_ROLE_QUEUE, EK_ROLE_STORE, ek_destination_store (p->to));

  if (store == NULL)
    return false;
  p->worker = store;
  EkBuf *out = ek_channel_call (store, EK_S_DELIVER, local_answer, p);
  ek_pack_u64 (out, m->id);
  ek_pack_u64 (out, p->rcpts[0]);
  ek_pack_u64 (out, 0);
  ek_pack_i64 (out, m->arrival);
  ek_pack_u64 (out, again (p, &m->rcpts[p->rcpts[0]]));
  ek_pack_u64 (out, m->event);
  ek_buf_append (out, p->user.p, p->user.n);
  ek_pack_text (out, p->instance);
  ek_pack_text (out, p->folder);
  pack_front (out, m, &m->rcpts[p->rcpts[0]]);
  pack_parts (out, &p->content);
  attach_file (store, &p->content);  /* without it store finds the message damaged and defers */
  ek_channel_end (store);
  return true;
}

/* ---- remote ---- */

static void
one_result (EkParcel *p, EkUnpack *in, bool *had)
{
  g_autoptr (EkPool) pool = ek_pool_new ();
  guint rcpt = (guint) ek_unpack_max (in, p->n_rcpts - 1);
  EkOutcome o = { .status = (EkStatus) ek_unpack_max (in, EK_FAIL), .component = p->instance, .tried = true };

  o.dsn = ek_unpack_text (in, pool);
  o.text = ek_unpack_text (in, pool);
  o.relay = ek_unpack_text (in, pool);
  o.connect_us = ek_unpack_i64 (in);
  o.send_us = ek_unpack_i64 (in);
  o.action = ek_unpack_max (in, 1) ? 0 : EK_DSN_RELAYED;
  o.queued_us = p->sent - p->queued;
  if (in->bad || had[rcpt])
    return;
  had[rcpt] = true;
  if (o.status == EK_NOTFOUND)
    o.status = EK_FAIL;
  ek_outcome (p->message, p->rcpts[rcpt], &o);
}

static void
remote_answer (EkMsg *msg, gpointer data)
{
  EkParcel *p = data;
  bool had[128] = { false };

  if (ek_parcel_ended (p))
    return;
  if (msg == NULL) {
    if (p->worker)
      ek_lines_worker_gone (p->worker);
    return;
  }
  EkUnpack peek = msg->in;
  bool dead = ek_unpack_max (&msg->in, 1) == 1;
  guint n = (guint) ek_unpack_max (&msg->in, p->n_rcpts);
  if (dead && n > 0) {               /* the first one's words are the reason */
    g_autoptr (EkPool) pool = ek_pool_new ();
    ek_unpack_u64 (&peek);
    ek_unpack_u64 (&peek);
    ek_unpack_u64 (&peek);
    ek_unpack_u64 (&peek);
    const char *dsn = ek_unpack_text (&peek, pool), *text = ek_unpack_text (&peek, pool);
    ek_destination_dead (p->to, dsn, text);
  }
  else
    ek_destination_alive (p->to);
  for (guint i = 0; i < n && !msg->in.bad; i++)
    one_result (p, &msg->in, had);
  for (guint i = 0; i < p->n_rcpts; i++)
    if (!had[i]) {
      EkOutcome o = { .status = EK_DEFER, .dsn = "4.3.0", .text = "relay gave no outcome", .relay = "none", .component = p->instance,
                      .tried = true };
      ek_outcome (p->message, p->rcpts[i], &o);
    }
  ek_parcel_over (p);
}

static bool
send_remote (EkParcel *p)
{
  EkSpoolMessage *m = p->message;
  EkChannel *relay = ek_role_any (EK_ROLE_QUEUE, EK_ROLE_RELAY);

  if (relay == NULL)
    return false;
  p->worker = relay;
  EkBuf *out = ek_channel_call (relay, EK_R_DELIVER, remote_answer, p);
  ek_pack_u64 (out, m->id);
  ek_pack_u64 (out, m->event);
  ek_pack_text (out, p->instance);
  ek_pack_text (out, p->next_hop);
  ek_pack_str (out, m->sender);
  ek_pack_str (out, m->envid);
  ek_pack_u64 (out, m->flags);
  ek_pack_u64 (out, m->size);
  ek_pack_u64 (out, p->n_rcpts);
  for (guint i = 0; i < p->n_rcpts; i++) {
    const EkSpoolRcpt *r = &m->rcpts[p->rcpts[i]];
    ek_pack_str (out, r->address);
    ek_pack_u64 (out, r->notify);
    ek_pack_str (out, r->orcpt);
  }
  pack_parts (out, &p->content);
  attach_file (relay, &p->content);
  ek_channel_end (relay);
  return true;
}

bool
ek_send (EkParcel *p)
{
  return ek_destination_local (p->to) ? send_local (p) : send_remote (p);
}
