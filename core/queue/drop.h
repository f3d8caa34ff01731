/* drop.h - the file that sendmail(1) leaves in the drop folder
 * SPDX-License-Identifier: Apache-2.0
 *
 * Lines that end with LF: first the word EK_DROP_MAGIC; then "S sender" (once; empty for <>), "R recipient" (once
 * or more), and what is optional: "F full name" (for a From: line that is missing), "N notify", "T full|hdrs" and
 * "V envid" (RFC 3461); an empty line; the message, with LF or CRLF line ends.  Written under a name that begins with
 * ".tmp-", made durable, then renamed to one that does not begin with a dot: the sender's uid is the file's owner.
 */
#pragma once

#define EK_DROP_MAGIC "ekiden-drop-1"
#define EK_DROP_ENVELOPE_MAX (1024 * 1024)
