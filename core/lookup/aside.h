/* aside.h - a call that nothing can bound (getaddrinfo(), some library's connect()), made on a thread of its own
 * SPDX-License-Identifier: Apache-2.0
 *
 * Whoever asks waits for it as long as he wants and not longer.  A call that is late goes on by itself, and what it made is freed
 * when it ends.  At most EK_ASIDE_MAX late ones hang in a process; then no more are begun until some have ended.
 */
#pragma once
#include <ekiden/ekiden.h>

#define EK_ASIDE_MAX 64

/* Job thread.  Calls run(data).  True: it has run, and `data` is the caller's again.  False and *error: `deadline` (monotonic us) passed
 * first, or no thread could be had; `data` is not the caller's any more: free(data) is called when run() has returned.  So `data` holds copies
 * of all that it needs.  `what` is the word for messages: "the name server" for "... did not answer in time". */
bool ek_aside (void (*run) (gpointer data), gpointer data, GDestroyNotify free, const char *what, gint64 deadline, GError **error);
