/* way.h - what a map of transports says of an address, in the words of transport(5)
 * SPDX-License-Identifier: Apache-2.0
 *
 * "TRANSPORT:NEXT-HOP", each of which may be left out.  Some transports are none of the configuration's but words for what becomes of
 * the mail; they come first, whatever its blocks are called:
 *
 *   error:5.7.1 TEXT      it goes back to its sender
 *   retry:4.7.1 TEXT      it waits, and goes back when the queue's lifetime is over
 *   discard:TEXT          it counts as delivered, and is thrown away
 *   local:, virtual:      it goes into the mailbox; the address has to be in a domain with mailboxes here, which a next hop behind the
 *                         colon does not change
 *
 * A code may be left out.  One that does not fit the word (error:4.7.1) is not told, as Postfix does not tell it.
 */
#pragma once
#include "module/generation.h"

typedef enum {
  EK_WAY_USUAL,                      /* ":" says nothing: as without the map */
  EK_WAY_SEND, EK_WAY_MAILBOX, EK_WAY_BOUNCE, EK_WAY_WAIT, EK_WAY_DISCARD,
} EkWayKind;

typedef struct {
  EkWayKind   kind;
  const char *transport;             /* "": the usual one */
  const char *hop;                   /* "": the domain */
  const char *dsn, *text;            /* of BOUNCE, WAIT, DISCARD */
} EkWay;

/* Never fails; strings in the pool. */
void        ek_way_read (EkPool *pool, EkStr value, EkWay *way);
/* The transport of that name; "relay" is smtp where nothing is called relay.  NULL: there is none.  Works where transports do. */
EkInstance *ek_way_transport (const EkGeneration *gen, const char *name);
/* What a map may name: "smtp, out, relay, error, ..."; g_free. */
char       *ek_way_names (const EkGeneration *gen);
/* Adds a problem for each transport that such maps name and nobody has: of maps that are read when the generation is made, which has to
 * be whole.  `files`: for commands; those that are files are started and read too, and one that cannot be read is passed over in silence. */
void        ek_ways_check (EkInstance *const *maps, EkProblems *problems, bool files);
