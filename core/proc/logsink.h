/* logsink.h - where the log role writes: a file, or the system's syslog
 * SPDX-License-Identifier: Apache-2.0
 *
 * Lines are collected and written at the end of a turn.  A sink never blocks for long and never fails
 * its caller: it drops whole lines and counts them.
 */
#pragma once
#include "base/base.h"

typedef struct EkLogFile EkLogFile;

/* "-" is standard error.  Appends; makes the file with mode 0640. */
EkLogFile *ek_logfile_open (const char *path, GError **error);
bool       ek_logfile_reopen (EkLogFile *self, GError **error);  /* keeps the old one on failure */
EkBuf     *ek_logfile_line (EkLogFile *self);    /* append one whole line to it, with its newline */
/* The number of lines lost by this call; the cause of the first in *error. */
guint      ek_logfile_flush (EkLogFile *self, GError **error);
void       ek_logfile_close (EkLogFile *self);   /* NULL is fine */

typedef struct EkSyslog EkSyslog;

EkSyslog *ek_syslog_open (const char *path);
/* `text` is the tag and the sentence; the priority and time are put before it (RFC 3164, as syslog(3)
 * does it on this socket).  Waits in memory until the flush. */
void      ek_syslog_line (EkSyslog *self, EkLevel level, EkStr time, EkStr text);
guint     ek_syslog_flush (EkSyslog *self);      /* the number of lines lost by this call */
gsize     ek_syslog_waiting (const EkSyslog *self);      /* octets not taken yet */
void      ek_syslog_close (EkSyslog *self);      /* NULL is fine */
