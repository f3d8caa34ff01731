/* pam.h - what the module and its helper say to each other over their socket
 * SPDX-License-Identifier: Apache-2.0
 *
 * Both are of the same build and machine.  Question: PamQuestion, then the bytes of its texts, one after the other.
 * Answer: PamAnswer, then its text. */
#pragma once
#include <stdint.h>

enum { PAM_USER_TEXT, PAM_SECRET_TEXT, PAM_CLIENT_TEXT, PAM_N_TEXTS };
#define PAM_TEXT_MAX 1024            /* of each; a question with more is none */

typedef struct {
  uint32_t ms;                       /* patience: then the conversation is ended */
  uint32_t n[PAM_N_TEXTS];
} PamQuestion;

enum { PAM_SAYS_YES, PAM_SAYS_NO, PAM_SAYS_UNKNOWN, PAM_SAYS_NOTHING };

typedef struct {
  uint32_t says;
  uint32_t n;                        /* bytes of text for the log: PAM's reason */
} PamAnswer;
#define PAM_REASON_MAX 200
