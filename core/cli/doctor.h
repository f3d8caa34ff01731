/* doctor.h - what the parts of `ekiden doctor` share
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "base/json.h"
#include "conf/conf.h"

typedef enum { EK_DR_OK, EK_DR_WARNING, EK_DR_PROBLEM } EkDoctorLevel;

typedef struct {
  bool   json;
  EkBuf  out;
  EkJson j;
  guint  count[3];
} EkDoctor;

/* One line: what was looked at, how it is and what to do. */
void ek_doctor_say (EkDoctor *self, EkDoctorLevel level, const char *area, const char *fmt, ...) G_GNUC_PRINTF (4, 5);

/* Each certificate block: files, dates, key, names. */
void ek_doctor_certificates (EkDoctor *self, const EkConf *conf, const char *hostname);
