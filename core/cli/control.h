/* control.h - asks the running server through its control socket
 * SPDX-License-Identifier: Apache-2.0
 *
 * The form of requests and answers is in proc/control.h.  The socket lies in run_dir, which the configuration tells;
 * who cannot read the configuration asks at the default place.
 */
#pragma once
#include "base/base.h"
#include <sys/types.h>

typedef struct {
  char *run_dir, *state_dir;
  char *drop_folder;
  guint64 message_size_limit;
} EkControlPlaces;

/* From the configuration `file` (NULL: the default one).  False and *error: it has errors in these settings. */
bool ek_control_places (const char *file, EkControlPlaces *places, GError **error);
void ek_control_places_clear (EkControlPlaces *places);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (EkControlPlaces, ek_control_places_clear)

/* The error's code: */
#define EK_CONTROL_DOWN   ESRCH      /* no server runs */
#define EK_CONTROL_BUSY   EAGAIN     /* it runs, but its control role does not answer now */
#define EK_CONTROL_SAID   0          /* the server's own words, maybe several lines */

/* Asks `words` (NULL-terminated, the verb first).  True: "= ok"; the answer's lines are appended to `out`, each with
 * its LF.  False and *error. */
bool ek_control_ask (const EkControlPlaces *places, const char *const *words, EkBuf *out, GError **error);

/* The pid file, when a server holds it locked: its descriptor, and in *pid who (0: not told).  -1: no server runs.
 * close() it. */
int  ek_control_running (const EkControlPlaces *places, pid_t *pid);
/* Is the server that ek_control_running() saw still there? */
bool ek_control_still (int pidfile);
