/* messages.h - the types of channel messages, who sends them, and their bodies in order
 * SPDX-License-Identifier: Apache-2.0
 *
 * u: ek_pack_u64, i: ek_pack_i64, s: ek_pack_str, t: ek_pack_text (may be NULL), fd: descriptor.
 * "->" a message, "=>" a call and what the answer holds.
 */
#pragma once

#define EK_PROOF_KEY_LEN 32

typedef enum {
  EK_GENERATION_BAD,
  EK_GENERATION_GOOD,
  EK_GENERATION_ELSEWHERE,  /* this process cannot load a module that it names: another one shall take its place */
} EkGenerationAnswer;

enum {
  /* master and every worker */
  EK_M_HELLO = 1,       /* master -> worker: t build, u role bits, u index, i uid, i gid, t chroot,
                           t hostname, u log level, u n, n times u workers of role,
                           u confine, u n, n times (t path, u how: proc/confine.h) */
  EK_M_CONFIG,          /* master -> worker: s piece of ek_conf_serialise() */
  EK_M_GENERATION,      /* master => worker: u number; answer: u EkGenerationAnswer, t problems */
  EK_M_ACTIVATE,        /* master -> worker: u number; u 0: forget the pending one */
  EK_M_PEER,            /* master -> worker: u own role, u peer's role, u peer's index; fd */
  EK_M_LISTENER,        /* master -> worker: u role, t listener, t address, u login; fd */
  EK_M_START,           /* master -> worker: all of the above was sent; worker answers READY */
  EK_M_READY,           /* worker -> master, and on each channel between workers: its start succeeded */
  EK_M_STOP,            /* master -> worker: u deadline in ms: finish what is under way, then exit */
  EK_M_UNLISTEN,        /* master -> worker: u role, t listener, t address: stop accepting there */
  EK_M_TICKET_KEYS,     /* master -> tls: s keys, newest first, 80 bytes each */
  EK_M_CERTIFICATE,     /* master -> tls: u index, u how many follow, t name, u n, n times t SNI name, s chain PEM,
                           s key PEM; the whole set, which counts when its last one has come */
  EK_M_LOG_SOURCE,      /* master -> log: t role, u pid; fd: reading end of that worker's log pipe */
  EK_M_LOG_REOPEN,      /* master -> log */
  EK_M_NONSENSE,        /* worker -> master: u own role, u peer's role, u its index: it sent what no role of ours sends */
  EK_M_GENERATIONS,     /* worker -> master: u how many generations of the configuration live there */

  /* store workers of system users: proc/userstores.h */
  EK_M_STORE_OWNER,     /* master -> directory: i the mailbox owner's uid; -1: no uid has a worker of its own */
  EK_M_USER_STORE,      /* directory => master: i uid, i gid, t home, t mail; answer: u status (OK, DEFER), u index, t why */
  EK_M_FORGET_STORE,    /* master => directory: u index; answer: u 1: it will ask again; 0: it gave it out just now */
  EK_M_IDLE,            /* store -> master: u 0: nothing to do for user_store_idle; 1: it cannot do its work, another one may */
  EK_M_CROWDED,         /* master -> store: others need a process: be idle sooner for a while */
  EK_M_LEAVE,           /* master -> store: end, unless there is something to do now */
  EK_M_STAY,            /* store -> master: there is */

  /* secrets and rights of directory */
  EK_M_NOISE,           /* master -> directory: s key of ek_sasl_noise() */
  EK_M_PROOF_KEY,       /* master -> tls, directory: s key of flow/tlsproof.h (EK_PROOF_KEY_LEN bytes) */
  EK_M_HELPER,          /* directory => master: t kind, t name of a block; answer: u ok, t why; fd stream to its helper */

  /* master and every worker, again */
  EK_M_IN_FORCE,        /* master => worker: the answer, which is empty, says that all that was sent before is in force */

  /* edge and directory */
  EK_D_AUTH = 32,       /* edge => directory: u session, t mechanism, u has initial, s initial, facts
                           (flow/facts.h); answer: u outcome, s challenge, t user, t master, t text, s token, u store */
  EK_D_AUTH_MORE,       /* edge => directory: u session, s response; answer as EK_D_AUTH */
  EK_D_AUTH_ABORT,      /* edge -> directory: u session */
  EK_D_RCPT,            /* edge, queue => directory: s address; answer: u status, u class, t dsn, t text, u n, n times t target */
  EK_D_MAP,             /* edge => directory: t map, s key, u ms, u n, n times t name, s value; answer: u status,
                           u rows, u columns, u named, t names, cells: u there, s value (flow/mapask.h) */

  /* directory and store */
  EK_S_VOUCH = 48,      /* directory -> store: s token, u edge, user record (flow/facts.h), t mailbox instance */

  /* edge and store */
  EK_S_HANDOFF = 56,    /* edge -> store: s token, s tag, t protocol, u event, u tls facts..., s unread; fd */

  /* edge and tls */
  EK_T_START = 64,      /* edge => tls: t listener; fd socket; answer: u ok, facts; fd stream */
  EK_T_STREAM,          /* tls -> edge: t listener, facts; fd stream */

  /* edge and queue */
  EK_Q_SUBMIT = 80,     /* edge => queue: see queue/submit.c; answer: u status, u id, t dsn, t text */
  EK_Q_STREAM,          /* edge -> queue: u stream; fd: the message's bytes follow on it */
  EK_Q_STREAM_DROP,     /* edge -> queue: u stream */
  EK_Q_ACCEPTING,       /* queue -> edge: u accepting, t why */

  /* queue and directory */
  EK_D_ROUTE = 96,      /* queue => directory: s address, s sender; answer: flow/route.h */

  /* queue and store */
  EK_S_DELIVER = 104,   /* queue => store: see queue/local.c; answer: u status, t dsn, t text */
  EK_S_RETIRED,         /* queue -> store: u id, u rcpt, u action: the delivery's `done` is durable */
  EK_S_UNSURE,          /* queue -> store: u first, u last: among these ids a delivery may not be recorded */
  EK_S_ASK,             /* store -> queue: u id, u rcpt: EK_S_RETIRED is the answer */

  /* queue and relay */
  EK_R_DELIVER = 112,   /* queue => relay: see queue/hop.c; answer: for each recipient u status, t dsn, ... */

  /* control and everybody: one line of JSON-like words in, packed rows out */
  EK_C_REQUEST = 128,   /* control => role: t verb, list of t arguments, u uid of the caller; answer: u status, s text */
  EK_C_PROGRESS,        /* role -> control: u call, s text */
};
