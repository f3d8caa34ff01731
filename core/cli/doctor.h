/* doctor.h - what the parts of `ekiden doctor` share
 * SPDX-License-Identifier: Apache-2.0
 *
 * Each part looks at one thing and says what it found, one ek_doctor_say() a finding.  Nothing is changed; what is asked
 * over the net is bounded in time.
 */
#pragma once
#include "base/json.h"
#include "cli/answer.h"
#include "cli/control.h"
#include "loop/loop.h"
#include "module/generation.h"
#include "proc/blocks.h"
#include "proc/logrole.h"

typedef enum { EK_DR_OK, EK_DR_WARNING, EK_DR_PROBLEM } EkDoctorLevel;

typedef struct {
  bool   json;
  EkBuf  out;
  EkJson j;
  guint  count[3];                   /* findings by level */
  /* what is looked at */
  EkPool         *pool;
  EkConf         *conf;              /* as it is written; file("...") unread */
  EkGeneration   *gen;               /* NULL: it has errors.  Let go of before the loop */
  EkLoop         *loop;
  EkTopConf       top;
  EkRolesConf     roles;
  EkLogOptions    log;
  EkControlPlaces places;
  const char     *hostname;
  bool            running;
  pid_t           master;            /* of the running server; 0: not known */
  const EkAnswerValue *status, *queue;   /* its answers; NULL: none */
  const char     *probe;             /* whose mail server is tried, to see whether port 25 is open */
} EkDoctor;

/* One finding: how it is, and behind an LF what to do; every warning and every problem has that line. */
void ek_doctor_say (EkDoctor *self, EkDoctorLevel level, const char *area, const char *fmt, ...) G_GNUC_PRINTF (4, 5);

/* A row of an instance's options, whatever its module is called; NULL: it has none of that name and type. */
gconstpointer ek_doctor_option (const EkInstance *self, const char *name, EkType type);

void ek_doctor_certificates (EkDoctor *self);    /* files, rights, dates, key, chain, names */
void ek_doctor_ports (EkDoctor *self);           /* each listener's: free, ours, or somebody else's */
void ek_doctor_dns (EkDoctor *self);             /* resolver, own name both ways, MX, the way out */
void ek_doctor_files (EkDoctor *self);           /* owners and rights of folders and secrets, room on disks */
