/* loop.h - one epoll source and one timer heap for all connections of a process
 * SPDX-License-Identifier: Apache-2.0
 *
 * The loop is a GMainContext that holds a single source of ours, so libraries that bring GSources
 * of their own still work.  Everything here is for the loop's own thread, but ek_loop_post().
 */
#pragma once
#include "base/base.h"
#include <sys/epoll.h>

typedef struct EkLoop EkLoop;

EkLoop *ek_loop_new (GError **error);
void    ek_loop_free (EkLoop *loop);
void    ek_loop_run (EkLoop *loop);              /* until ek_loop_quit() */
void    ek_loop_quit (EkLoop *loop);
void    ek_loop_turn (EkLoop *loop, bool may_block);   /* one turn: for tests and fuzzers */
EkLoop *ek_loop_mine (void);                     /* the loop of this thread; NULL on job threads */

/* ---- descriptors: embed an EkWatch; the caller owns the descriptor ---- */

typedef struct EkWatch EkWatch;
struct EkWatch {
  int     fd;
  guint32 events;                                /* EPOLLIN | EPOLLOUT | EPOLLEXCLUSIVE ...; 0: not added */
  void  (*func) (EkWatch *watch, guint32 events);
};

/* Adds, changes or (events 0) removes.  A removed watch's func is not called again, not even for an
 * event that the kernel has already reported.  Level-triggered unless EPOLLET is asked for. */
void ek_watch_set (EkLoop *loop, EkWatch *watch, guint32 events);

/* ---- timers: embed an EkTimer, zeroed but for func ---- */

typedef struct EkTimer EkTimer;
struct EkTimer {
  gint64 due;                                    /* monotonic us when it shall fire */
  gint64 key;                                    /* its place in the heap; <= due */
  guint  slot;                                   /* index in the heap + 1; 0: not armed */
  void (*func) (EkTimer *timer);
};

/* Arms or re-arms, `us` from now.  Moving a timer later is O(1). */
void ek_timer_set (EkLoop *loop, EkTimer *timer, gint64 us);
void ek_timer_cancel (EkLoop *loop, EkTimer *timer);
static inline bool ek_timer_armed (const EkTimer *timer) { return timer->slot != 0; }

/* ---- tasks ---- */

typedef struct EkTask EkTask;
struct EkTask {
  EkTask *next;
  bool    queued;                                /* ek_loop_later() only */
  void  (*func) (EkTask *task);
};

/* Runs task->func on the loop thread soon.  Any thread; a task may be posted once until it ran. */
void ek_loop_post (EkLoop *loop, EkTask *task);
/* Runs it at the end of this turn, before the loop sleeps; once however often it is asked for. */
void ek_loop_later (EkLoop *loop, EkTask *task);
