/* notify.h - tells systemd how we are (sd_notify(3)), without libsystemd
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

/* "READY=1", "STOPPING=1", ...; nothing happens without $NOTIFY_SOCKET. */
void ek_notify (const char *state);
