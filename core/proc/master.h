/* master.h - starts, watches and restarts the roles; parses nothing from the net
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once
#include "base/base.h"

typedef struct {
  const char *conf_path;
  void      (*ready) (const char *error);   /* once: the server is up (NULL), or why it does not start */
} EkMasterOptions;

/* Runs until the server stops; the exit status. */
int ek_master_main (const EkMasterOptions *options);

/* ---- for control.c ---- */

/* NULL: under way, ek_control_reloaded() follows.  Else what is wrong: g_free. */
char *ek_master_reload (void);
/* The program on disk takes over, if it can.  NULL: it is asked, ek_control_upgraded() follows.  Else why not: g_free.  `log` (kept):
 * what the log says before the reason why not; NULL: nothing. */
char *ek_master_upgrade (const char *log);
/* again: then run the program that is on disk now, with the same listening sockets. */
void  ek_master_stop (bool again);
void  ek_master_rekey (void);                    /* a new key for session tickets, now; the next as the configuration says */
void  ek_master_describe (EkBuf *json);          /* state, generation, workers */
