/* channel.h - typed messages between roles, with descriptors, over a socketpair or in memory
 * SPDX-License-Identifier: Apache-2.0
 *
 * A message is a type, a body packed by pack.h, and up to EK_CHANNEL_FDS descriptors.  A call is a
 * message that wants one answer; answers come in any order.  All that one loop turn sends on a
 * channel leaves in one system call at the turn's end.  When the two roles live in one process, the
 * same bytes go through memory.  Loop thread only.
 *
 *   EkBuf *b = ek_channel_call (ch, EK_MSG_ROUTE, routed, delivery);
 *   ek_pack_str (b, address);
 *   ek_channel_end (ch);
 */
#pragma once
#include "loop/loop.h"
#include "proc/pack.h"

#define EK_CHANNEL_FDS  8
#define EK_CHANNEL_BODY (1024 * 1024)            /* longest body; longer things go in pieces */

typedef struct EkChannel EkChannel;

typedef struct {
  EkChannel *channel;
  guint16    type;
  guint32    id;                                 /* of the call; 0: no answer is wanted */
  EkUnpack   in;                                 /* the body: borrowed until the handler returns */
  guint      n_fds;
  int        fds[EK_CHANNEL_FDS];                /* those not taken are closed after the handler */
} EkMsg;

typedef void (*EkMsgFunc) (EkMsg *msg, gpointer data);
/* `msg` is NULL when the channel closed before an answer came. */
typedef void (*EkAnswerFunc) (EkMsg *msg, gpointer data);
typedef void (*EkGoneFunc) (EkChannel *channel, gpointer data);

/* Takes the descriptor, one end of a SOCK_STREAM socketpair. */
EkChannel *ek_channel_new (EkLoop *loop, int fd, const char *name);
/* The two ends of a channel within this process. */
void       ek_channel_pair (EkLoop *loop, EkChannel **a, EkChannel **b, const char *name);
/* `func` gets messages, `gone` once when the other end is gone or sent nonsense; free it there. */
void       ek_channel_handle (EkChannel *channel, EkMsgFunc func, EkGoneFunc gone, gpointer data);
/* Answers still owed to callers here are given as NULL.  Not from within its own message handler:
 * there use ek_channel_break(). */
void       ek_channel_free (EkChannel *channel);
/* As if the other end were gone: `gone` follows at the end of this turn. */
void       ek_channel_break (EkChannel *channel, const char *why);
/* It was broken here, for what the other end sent: true in `gone`, and then its sender is not to be trusted. */
bool       ek_channel_is_broken (const EkChannel *channel);
const char *ek_channel_name (const EkChannel *channel);
gpointer   ek_channel_data (const EkChannel *channel);

/* Begin a message; the body is packed into the returned buffer; then ek_channel_end().  On a
 * channel that is gone the bytes are dropped and a call's answer comes as NULL. */
EkBuf *ek_channel_send (EkChannel *channel, guint16 type);
EkBuf *ek_channel_call (EkChannel *channel, guint16 type, EkAnswerFunc func, gpointer data);
EkBuf *ek_channel_answer (EkChannel *channel, guint32 id);
/* The message under way takes this descriptor along; it is closed here after it was sent. */
void   ek_channel_attach (EkChannel *channel, int fd);
void   ek_channel_end (EkChannel *channel);

/* Bytes the other end has not taken yet: producers of much wait above 1 MB. */
gsize  ek_channel_backlog (const EkChannel *channel);
/* Stops and restarts reading, so that a flood waits in the sender. */
void   ek_channel_pause (EkChannel *channel, bool pause);
/* Writes at once what is pending, blocking: for the last words before exit. */
void   ek_channel_flush (EkChannel *channel);

/* The descriptor, which is then the caller's; -1 when there is none, it was taken, or it was lost since this process has as
 * many open as it may. */
int    ek_msg_take_fd (EkMsg *msg, guint i);
/* The same for one that must be a stream socket (a loop may wait on it); anything else is -1. */
int    ek_msg_take_stream (EkMsg *msg, guint i);
/* It was lost here: the message is not damaged, its sender did no wrong. */
bool   ek_msg_lost_fd (const EkMsg *msg, guint i);
