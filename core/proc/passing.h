/* passing.h - descriptors that come along with a channel's messages, also when hardly any more may be open here
 * SPDX-License-Identifier: Apache-2.0
 *
 * What does not fit is lost, and the kernel does not say how many.  Each thread that reads channels keeps a descriptor in
 * reserve: near the limit it is given up for each read, so that what comes can at least be answered with "later".
 */
#pragma once
#include <glib.h>

#define EK_FD_LOST  (-1)             /* in the place of one that did not fit, and of those behind it */
#define EK_FD_TAKEN (-2)             /* by ek_msg_take_fd() */

/* recvmsg(): descriptors go to the end of `fds` (ints); `name` is for the log. */
gssize ek_passing_read (int sock, void *bytes, gsize size, GArray *fds, const char *name);
/* What came was handled: the reserve is filled again where that can be. */
void   ek_passing_done (void);
