/* edge.h - IMAP before login: nothing here knows a mailbox
 * SPDX-License-Identifier: Apache-2.0
 *
 * Loop thread of the edge role.  The client may ask what we can do, start TLS and log in.  After a
 * successful login the stream goes to store, where session.c answers.
 */
#pragma once
#include "parse.h"
#include "flow/login.h"

#define IMAP_EDGE_COMMAND_MAX 8192   /* bytes of a command before login, literals included */

typedef struct {                     /* EkProtocolOps.state of the edge */
  ImapReader reader;
  gint64     opened;
  bool       greeted;
  bool       challenged;             /* the next line is an answer for the mechanism */
  bool       leaving, starting_tls;
  guint8     bad_commands, failures;
  bool       disallowed;             /* a password came without TLS */
  char      *tag;                    /* of the login that is under way */
  char      *user;                   /* as typed, of the last attempt: for the log */
  char      *method;
} ImapEdge;

void  imap_edge_open (EkSession *s, gpointer state);
gsize imap_edge_input (EkSession *s, gpointer state, const char *bytes, gsize len);
void  imap_edge_timeout (EkSession *s, gpointer state);
void  imap_edge_shutdown (EkSession *s, gpointer state);
void  imap_edge_closed (EkSession *s, gpointer state, EkCloseReason why);
