/* memsubmit.h - directory and queue in memory: recipients are answered, messages collected
 * SPDX-License-Identifier: Apache-2.0
 *
 * memsubmit.c defines ek_rcpt_check(), ek_submit_*() and ek_session_trusted() beside memsession.c's sessions.
 * Answers wait until mem_mail_run(), which also gives the session its turns.
 */
#pragma once
#include "flow/submit.h"

typedef struct {                     /* a message that was committed */
  EkSession *session;
  EkBuf      bytes;                  /* Received and what else goes in front, then the content */
  gsize      content;                /* where the content begins */
  char      *sender, *envid, *rcpts; /* rcpts: "a@b[notify=..,orcpt=..] c@d" */
  char      *message_id, *protocol;
  guint32    flags;
  bool       hold;
} MemMessage;

typedef struct {
  bool       trusted;
  bool       full;                   /* queue takes no mail */
  EkStatus   commit;                 /* what queue answers; EK_OK */
  gsize      window;                 /* bytes after which the writer must wait until the next turn; 0: never */
  GPtrArray *messages;               /* of MemMessage */
  guint      checks_most;            /* most recipients asked about at once */
} MemMail;

/* The one queue of this program.  local part: "nobody" does not exist, "later" is deferred, "never" is
 * refused; domains: example.test is ours, relay.test is relayed, all else is remote. */
extern MemMail mem_mail;
void  mem_mail_reset (void);
/* Turns of the session and answers, until nothing happens any more. */
void  mem_mail_run (EkSession *s);
EkStr mem_message_content (const MemMessage *m);
