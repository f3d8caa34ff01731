/* client-module.h - what smtp.c puts into the module's table for the client
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once
#include "client.h"

gboolean smtp_client_init (EkInstance *base, GError **error);
void     smtp_client_stop (EkInstance *base);
void     client_idle_gone (ClientConn *conn);              /* a kept connection ended */
extern const EkTransportOps smtp_client_transport;
