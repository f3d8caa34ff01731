/* log.h - a process's own end of the log: where its records go
 * SPDX-License-Identifier: Apache-2.0
 *
 * ek_event() and ek_log() of ekiden.h pack a record (base/record.h) and hand it to the process's
 * log descriptor: a pipe or stream socket of its own whose other end the log role reads.  Any
 * thread may log.  Nothing here ever blocks or fails for the caller: when the descriptor takes no
 * more, records wait in a buffer of 20 KB, what no longer fits is dropped and counted, and the count
 * is logged once there is room again.
 *
 * A thread that ends every turn with ek_log_flush() may batch (ek_log_set_batching): its records
 * leave together then, or when 16 KB have come up.  Other threads write each record at once.  A
 * crash loses at most what its turn had not flushed.
 *
 * Until ek_log_set_fd() was called (start-up, tests, commands) lines go to standard error, from
 * EK_WARN upwards unless ek_log_set_level() or $EKIDEN_LOG_LEVEL (error, warning, info, debug) say
 * otherwise.
 */
#pragma once
#include "ekiden.h"

/* Takes it and makes it non-blocking; -1: standard error again.  With a pipe SIGPIPE is ignored from
 * now on, unless the process handles it: a log role that dies must kill nobody. */
void    ek_log_set_fd (int fd);
void    ek_log_set_level (EkLevel level);    /* the least urgent level that is logged; EK_INFO at first */
EkLevel ek_log_level (void);
bool    ek_log_level_parse (const char *text, EkLevel *level);
const char *ek_log_level_name (EkLevel level);          /* "error", "warning", "info", "debug" */
static inline bool ek_log_enabled (EkLevel level) { return level <= ek_log_level (); }

void    ek_log_set_batching (bool on);       /* this thread promises to call ek_log_flush() */
/* For job threads with many records at once: waits at most so long for room; false: there is none yet. */
bool    ek_log_wait (int ms);
void    ek_log_flush (void);                 /* any thread; cheap when there is nothing */
guint64 ek_log_dropped (void);               /* records this process has dropped so far */

/* What goes to standard error starts with this; "ekiden" at first.  `name` is borrowed. */
void    ek_log_set_name (const char *name);

/* Tests and merged layouts: records go to `sink`, whole ones, instead of a descriptor.  It is called
 * with the log's lock held and must not log.  NULL: ends that. */
void    ek_log_set_sink (void (*sink) (const char *bytes, gsize len, gpointer data), gpointer data);

/* GLib's own messages (g_warning, g_critical) become log records. */
void    ek_log_capture_glib (void);
