/* blocks.h - the core's own configuration blocks that several roles read
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once
#include "module/registry.h"

typedef struct {                     /* the top level */
  const char *hostname;
  char      **trusted;
  const char *state_dir, *run_dir;
} EkTopConf;

typedef struct {                     /* roles { } */
  const char *layout;
  gint64      tls, smtp_edges, login_edges, directories, relays, stores;
  const char *user_tls, *user_edge, *user_directory, *user_queue, *user_relay, *user_store, *user_log,
             *user_control;
  const char *chroot;
  gint64      first_valid_uid, last_valid_uid, user_stores;
  EkTime      user_store_idle;
  EkTime      restart_delay, restart_delay_max, stop_timeout, reload_timeout;
  bool        confine;
  char      **paths;
} EkRolesConf;

typedef struct {                     /* listener "name" { } */
  char      **address;
  EkInstance *protocol;
  const char *tls;                   /* none, starttls, required, implicit */
  char      **certificates;          /* names of certificate blocks; empty: all */
  const char *hostname;
  char      **mechanisms;
  bool        plaintext_auth;
  EkText      client_ca;             /* PEM; NULL text: no certificates of clients */
  bool        client_certificate_required;
  const char *client_name;           /* email, cn */
  gint64      backlog, connections, connections_per_client;
  const char *reverse_names;
  EkTime      reverse_timeout;
} EkListenerConf;

typedef struct {                     /* certificate "name" { } */
  char      **names;                 /* SNI names; empty: those in the certificate */
  const char *chain, *key;
} EkCertificateConf;

typedef struct {                     /* tls { } */
  const char *min_version, *ciphers, *groups;
  bool        tickets;
  EkTime      ticket_lifetime, handshake_timeout;
} EkTlsConf;

extern const EkBlockType ek_top_block, ek_roles_block, ek_listener_block, ek_certificate_block, ek_tls_block;

void ek_blocks_register (void);      /* these; once, at start */
/* The machine's name with its domain, when `hostname` is not configured. */
const char *ek_blocks_hostname (const EkTopConf *top);
