/* blocks.c - the core's own configuration blocks that several roles read
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proc/blocks.h"
#include "proc/confine.h"
#include "proc/tlsconf.h"
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const EkOption top_rows[] = {
  EK_OPTION (EkTopConf, hostname, "", "What the server calls itself in greetings, HELO and Received: lines. "
             "Empty: the machine's name with its domain."),
  EK_OPTION (EkTopConf, trusted, "127.0.0.0/8, ::1", "Networks whose clients may relay without login and are "
             "not counted by the limits for each client address."),
  EK_OPTION (EkTopConf, state_dir, EK_LOCALSTATEDIR "/lib/ekiden", "Where what must survive a restart is kept: "
             "spool, event store, the user's indexes that do not lie with the mail."),
  EK_OPTION (EkTopConf, run_dir, "/run/ekiden", "Where the control socket and the pid file are."),
  EK_OPTIONS_END
};

const EkBlockType ek_top_block = {
  .kind = "", .doc = "Settings of the whole server, and defaults for listeners and domains.",
  .options = top_rows, .size = sizeof (EkTopConf), .flags = EK_BLOCK_SCOPE, .roles = EK_ROLES_ALL,
};

static const EkOption roles_rows[] = {
  EK_OPTION (EkRolesConf, layout, "apart", "apart: each role is a process with its own rights. merged: all in one "
             "process, for small hosts; a break-in then gains everything.", .allow = "apart|merged"),
  EK_OPTION (EkRolesConf, tls, "1", "How many processes do TLS.", .allow = "1..64"),
  EK_OPTION (EkRolesConf, smtp_edges, "1", "How many processes talk SMTP to clients.", .allow = "1..64"),
  EK_OPTION (EkRolesConf, login_edges, "1", "How many processes talk to clients before they log in to a mailbox.",
             .allow = "1..64"),
  EK_OPTION (EkRolesConf, directories, "1", "How many processes ask databases and check passwords.",
             .allow = "1..64"),
  EK_OPTION (EkRolesConf, relays, "1", "How many processes send mail to other hosts.", .allow = "1..64"),
  EK_OPTION (EkRolesConf, stores, "1", "How many processes work on mailboxes.", .allow = "1..64"),
  EK_OPTION (EkRolesConf, user_tls, "ekiden-tls", "The tls role's user."),
  EK_OPTION (EkRolesConf, user_edge, "ekiden-edge", "The edge role's user."),
  EK_OPTION (EkRolesConf, user_directory, "ekiden-auth", "The directory role's user: reads password files."),
  EK_OPTION (EkRolesConf, user_queue, "ekiden-queue", "The queue role's user: owns the spool."),
  EK_OPTION (EkRolesConf, user_relay, "ekiden-relay", "The relay role's user."),
  EK_OPTION (EkRolesConf, user_store, "vmail", "The store role's user: owns the mailboxes."),
  EK_OPTION (EkRolesConf, user_log, "ekiden-log", "The log role's user: owns log files and the event store."),
  EK_OPTION (EkRolesConf, user_control, "ekiden-control", "The control role's user."),
  EK_OPTION (EkRolesConf, first_valid_uid, "1000", "Users whose record names a uid other than user_store's get a store process of that "
             "uid. Below this one nobody does: his mail waits and he cannot log in.", .allow = "1..4294967294"),
  EK_OPTION (EkRolesConf, last_valid_uid, "4294967294", "The same above this one.", .allow = "1..4294967294"),
  EK_OPTION (EkRolesConf, user_stores, "100", "Most such processes at once: who comes then is put off, and idle ones make room. 0: the mail of all "
             "users is handled under user_store, whatever uid their records name; so it is where the server was not started by root, "
             "or layout = merged.", .allow = "0..900"),
  EK_OPTION (EkRolesConf, user_store_idle, "5m", "Such a process ends when its user had no session and no mail for so long.",
             .allow = "1s..7d"),
  EK_OPTION (EkRolesConf, chroot, EK_LOCALSTATEDIR "/lib/ekiden/empty", "An empty folder that is the root of the "
             "roles which need no files. Made when it is missing."),
  EK_OPTION (EkRolesConf, restart_delay, "200ms", "Pause before a process that died is started again; doubles each "
             "time it dies within a minute.", .allow = "1ms..1h"),
  EK_OPTION (EkRolesConf, restart_delay_max, "1m", "Longest such pause.", .allow = "1ms..1h"),
  EK_OPTION (EkRolesConf, stop_timeout, "30s", "How long work under way may take when the server stops.",
             .allow = "1s..1h"),
  EK_OPTION (EkRolesConf, reload_timeout, "1m", "How long a process may take to answer to a new configuration. When one takes longer "
             "the log names it, and the reload fails: all go on by the old one. Where all had agreed already it is in force without its word.", .allow = "1s..1h"),
  EK_OPTION (EkRolesConf, confine, "yes", "Whether the kernel keeps each role to its own files (landlock) and away from system calls "
             "that it never makes (seccomp), where the kernel can."),
  EK_OPTION (EkRolesConf, paths, "[]", "Files and folders that a role may reach and change beside those that the configuration "
             "names: store:/net/homes. The log tells at level debug what each role may reach."),
  EK_OPTIONS_END
};

static void
roles_check (gconstpointer values, const EkConfBlock *block, EkProblems *problems)
{
  const EkRolesConf *c = values;
  const char *path;
  EkRole role;

  if (c->first_valid_uid > c->last_valid_uid)
    ek_problems_add (problems, block ? &block->at : NULL, "roles.first_valid_uid is above roles.last_valid_uid: no user would be left");
  for (guint i = 0; c->paths && c->paths[i]; i++)
    if (!ek_reach_parse (c->paths[i], &role, &path))
      ek_problems_add (problems, block ? &block->at : NULL, "roles.paths: \"%s\" is not a role, a colon and an absolute path: "
                       "write store:/net/homes", c->paths[i]);
}

const EkBlockType ek_roles_block = {
  .kind = "roles", .doc = "The processes: how many, and as which users.", .options = roles_rows,
  .size = sizeof (EkRolesConf), .flags = EK_BLOCK_SINGLE, .roles = EK_ROLES_ALL, .check = roles_check,
};

static const EkOption listener_rows[] = {
  EK_OPTION (EkListenerConf, address, NULL, "Where to listen: 0.0.0.0:25, \"[::]:25\", or *:25 for both."),
  EK_OPTION (EkListenerConf, protocol, NULL, "The module that speaks there.", .allow = "protocol"),
  EK_OPTION (EkListenerConf, tls, "starttls", "none: no TLS. starttls: offered. required: nothing but STARTTLS "
             "before it. implicit: from the first byte (submissions, imaps).",
             .allow = "none|starttls|required|implicit"),
  EK_OPTION (EkListenerConf, certificates, "[]", "Names of the certificate blocks to use here. Empty: all of them, the "
             "first being the default."),
  EK_OPTION (EkListenerConf, hostname, "", "What the server calls itself here. Empty: the top level's hostname."),
  EK_OPTION (EkListenerConf, mechanisms, "PLAIN, LOGIN", "SASL mechanisms offered, in this order. Each needs a module that answers it. Where "
             "this is not set, mail is taken (SMTP) and there is no such module, none is offered."),
  EK_OPTION (EkListenerConf, client_ca, "", "The authorities whose certificates clients may show, read(\"/etc/ekiden/clients.pem\"): a client "
             "that has one can log in by it (mechanism EXTERNAL). Empty: no client is asked for one."),
  EK_OPTION (EkListenerConf, client_certificate_required, "no", "Whether a client without such a certificate is turned away. no: it is a "
             "client like any other, and so is one whose certificate is not good."),
  EK_OPTION (EkListenerConf, client_name, "email", "Which name in the certificate logs in. email: the mail address among its alternative "
             "names. cn: the common name of its subject.", .allow = "email|cn"),
  EK_OPTION (EkListenerConf, plaintext_auth, "no", "Whether passwords may cross the wire without TLS."),
  EK_OPTION (EkListenerConf, backlog, "1024", "Connections that the kernel keeps waiting.", .allow = "1..65535"),
  EK_OPTION (EkListenerConf, connections, "10000", "Most connections at once, for each process.", .allow = "1..1000000"),
  EK_OPTION (EkListenerConf, connections_per_client, "50", "Most connections at once from one address (a /64 of IPv6), for "
             "each process; trusted networks are not counted.", .allow = "1..1000000"),
  EK_OPTION (EkListenerConf, reverse_names, "auto", "Whether DNS is asked for the client's name before the greeting; it counts "
             "only when it leads back to the client's address, else the client is \"unknown\". auto: where mail is taken "
             "(SMTP). Needs a resolver (dns_unbound).", .allow = "auto|yes|no"),
  EK_OPTION (EkListenerConf, reverse_timeout, "5s", "How long the greeting waits for that name.", .allow = "1ms..1m"),
  EK_OPTIONS_END
};

static void
listener_check (gconstpointer values, const EkConfBlock *block, EkProblems *problems)
{
  const EkListenerConf *c = values;

  if (c->address[0] == NULL)
    ek_problems_add (problems, &block->at, "listener \"%s\" has no address: write address = 0.0.0.0:25",
                     block->name ? block->name : "");
  g_autoptr (GError) error = NULL;
  X509_STORE *store = c->client_ca.text ? ek_tls_authorities (c->client_ca, &error) : NULL;
  X509_STORE_free (store);
  if (error)
    ek_problems_add (problems, &block->at, "listener \"%s\": %s", block->name ? block->name : "", error->message);
  else if (c->client_certificate_required && c->client_ca.text == NULL)
    ek_problems_add (problems, &block->at, "listener \"%s\" requires a client's certificate and trusts none: write client_ca = "
                     "read(\"/etc/ekiden/clients.pem\")", block->name ? block->name : "");
}

const EkBlockType ek_listener_block = {
  .kind = "listener", .doc = "A port, the protocol that is spoken there, and its settings.",
  .options = listener_rows, .size = sizeof (EkListenerConf), .flags = EK_BLOCK_SCOPE,
  .roles = EK_ROLE_BIT (EK_ROLE_MASTER) | EK_ROLE_BIT (EK_ROLE_TLS) | EK_ROLE_BIT (EK_ROLE_EDGE)
           | EK_ROLE_BIT (EK_ROLE_DIRECTORY) | EK_ROLE_BIT (EK_ROLE_STORE),
  .check = listener_check,
};

static const EkOption certificate_rows[] = {
  EK_OPTION (EkCertificateConf, names, "[]", "Host names (SNI) that this certificate answers; *.example.com too. Empty: "
             "those in the certificate."),
  EK_OPTION (EkCertificateConf, chain, NULL, "PEM file: the certificate, then those that lead to the root."),
  EK_OPTION (EkCertificateConf, key, NULL, "PEM file of the private key. Read by master as root; only the tls role "
             "ever has it."),
  EK_OPTIONS_END
};

const EkBlockType ek_certificate_block = {
  .kind = "certificate", .doc = "A certificate with its key. The first one is the default.",
  .options = certificate_rows, .size = sizeof (EkCertificateConf),
  .roles = EK_ROLE_BIT (EK_ROLE_MASTER) | EK_ROLE_BIT (EK_ROLE_TLS) | EK_ROLE_BIT (EK_ROLE_EDGE),
};

static const EkOption tls_rows[] = {
  EK_OPTION (EkTlsConf, min_version, "1.2", "Oldest protocol version.", .allow = "1.2|1.3"),
  EK_OPTION (EkTlsConf, ciphers, "", "Cipher suites of TLS 1.2 in OpenSSL's words. Empty: OpenSSL's defaults without those "
             "that lack forward secrecy."),
  EK_OPTION (EkTlsConf, groups, "", "Key exchange groups in OpenSSL's words. Empty: OpenSSL's defaults."),
  EK_OPTION (EkTlsConf, tickets, "yes", "Session tickets, so that clients come back without a full handshake."),
  EK_OPTION (EkTlsConf, ticket_lifetime, "2h", "How long a ticket is good. Its key changes as often, in all "
             "processes at once, and the key before it counts for as long again.", .allow = "1s..7d"),
  EK_OPTION (EkTlsConf, handshake_timeout, "30s", "How long a client may take for the handshake.", .allow = "1s..10m"),
  EK_OPTIONS_END
};

const EkBlockType ek_tls_block = {
  .kind = "tls", .doc = "TLS as a server.", .options = tls_rows, .size = sizeof (EkTlsConf),
  .flags = EK_BLOCK_SINGLE,
  .roles = EK_ROLE_BIT (EK_ROLE_MASTER) | EK_ROLE_BIT (EK_ROLE_TLS),
};

void
ek_blocks_register (void)
{
  ek_block_register (&ek_top_block);
  ek_block_register (&ek_roles_block);
  ek_block_register (&ek_listener_block);
  ek_block_register (&ek_certificate_block);
  ek_block_register (&ek_tls_block);
}

const char *
ek_blocks_hostname (const EkTopConf *top)
{
  static char name[256];
  struct addrinfo hints = { .ai_flags = AI_CANONNAME, .ai_family = AF_UNSPEC }, *found = NULL;

  if (top->hostname)
    return top->hostname;
  if (gethostname (name, sizeof name - 1) < 0)
    g_strlcpy (name, "localhost", sizeof name);
  if (strchr (name, '.') == NULL && getaddrinfo (name, NULL, &hints, &found) == 0) {
    if (found && found->ai_canonname && strchr (found->ai_canonname, '.'))
      g_strlcpy (name, found->ai_canonname, sizeof name);
    freeaddrinfo (found);
  }
  return name;
}
