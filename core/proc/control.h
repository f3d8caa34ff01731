/* control.h - the control socket: asked by `ekiden`, parsed without rights, answered by the roles
 * SPDX-License-Identifier: Apache-2.0
 *
 * run_dir/control/socket.  A request is one line of words, a space between them, with %XX for spaces,
 * percent signs and control characters; an answer is lines ": text", then "= ok" or "! what is wrong".
 * The control role parses it, looks at the caller's uid, and passes verb and words on to the role that
 * knows: master, queue, directory or store.
 */
#pragma once
#include "proc/channel.h"

#define EK_PID_FILE "ekidend.pid"    /* in run_dir; master holds it locked (flock) as long as it runs */

/* In master: verbs status, reload, stop, upgrade, reopen. */
void ek_control_master (EkMsg *msg);
/* why NULL: the new generation is active; `notes`: what its asker should know, or NULL. */
void ek_control_reloaded (const char *why, const char *notes);
void ek_control_upgraded (const char *why);      /* NULL: the program on disk takes over */

/* In any role: an answer to EK_C_REQUEST. */
void ek_control_answer (EkMsg *msg, EkStatus status, EkStr text);
