/* memsession.h - a session in memory: a protocol's callbacks without sockets, roles or a loop
 * SPDX-License-Identifier: Apache-2.0
 *
 * memsession.c defines the ek_session_*() that protocols call, so a program that links it (before
 * libekiden) tests a protocol by itself: bytes go in with mem_feed(), answers are collected.  Jobs run
 * when the program says mem_run(), on the same thread.  Logins are decided by the program.
 */
#pragma once
#include "flow/login.h"
#include "loop/job.h"

typedef struct {
  const EkProtocolOps *ops;
  gpointer      options;             /* of ops->options; mem_options() makes the defaults */
  EkIndex      *index;               /* after login */
  const char   *tag;                 /* after login */
  const char *const *mechanisms;     /* before login; NULL: PLAIN */
  /* Before login: what comes of a SASL exchange; NULL: refused. */
  void (*auth) (EkSession *s, const char *mechanism, EkStr response, EkAuthAnswer *answer);
  bool          tls_offered;
  gsize         takes;               /* bytes the client reads in one mem_run() step; 0: all */
} MemConfig;

EkSession *mem_session_new (const MemConfig *config);      /* calls open() */
void       mem_session_free (EkSession *s);                /* calls closed() if it was not, runs what is left */
/* Gives input(), as far as the session takes it; the rest is kept for when it does. */
void       mem_feed (EkSession *s, const void *bytes, gsize len);
/* Jobs, their completions, reading by the client, kept input: until nothing happens any more. */
void       mem_run (EkSession *s);
bool       mem_step (EkSession *s);                        /* one turn of that; false: nothing happened */
void       mem_hang_up (EkSession *s);                     /* the client is gone: closed() */
void       mem_timeout (EkSession *s);                     /* the time is up */
gint64     mem_timeout_us (const EkSession *s);            /* what the protocol asked for last; 0: none */
/* What the client has read and the program has not looked at yet. */
EkStr      mem_output (EkSession *s);
void       mem_output_clear (EkSession *s);
gsize      mem_most_unsent (const EkSession *s);           /* the most bytes that waited for the client */
bool       mem_closed (const EkSession *s);                /* by us or by mem_hang_up() */
bool       mem_idle (const EkSession *s);                  /* nothing is under way */
const char *mem_handed_off (const EkSession *s);           /* the tag; NULL: not */
bool       mem_starttls (const EkSession *s);
/* A protocol's options with their defaults, g_free(). */
gpointer   mem_options (const EkProtocolOps *ops);
