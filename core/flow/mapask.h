/* mapask.h - how questions to maps and their answers are packed (EK_D_MAP)
 * SPDX-License-Identifier: Apache-2.0
 *
 * Both ends are here: an edge's filters ask (ek_map_ask() in ekiden.h), directory answers (directorymap.c).
 * Readers treat the other side as hostile: bounds, and false for what is no message of ours.
 */
#pragma once
#include "proc/pack.h"

#define EK_MAP_TIMEOUT_MAX (10 * 60 * 1000)      /* ms */
#define EK_MAP_CELLS_MAX   4096

typedef struct {                     /* all in the pool */
  const char *map;                   /* MODULE:NAME, or NAME alone */
  EkQuery     query;
  guint       ms;                    /* how long the asker waits */
} EkMapQuestion;

void ek_pack_map_question (EkBuf *out, const EkMapQuestion *question);
bool ek_unpack_map_question (EkUnpack *in, EkPool *pool, EkMapQuestion *question);

/* Whether the answer keeps EK_MAP_ANSWER_MAX and EK_MAP_CELLS_MAX. */
bool ek_map_answer_fits (const EkAnswer *answer);
/* `answer` counts with OK alone. */
void ek_pack_map_answer (EkBuf *out, EkStatus status, const EkAnswer *answer);
/* Cells are borrowed from the message. */
bool ek_unpack_map_answer (EkUnpack *in, EkPool *pool, EkStatus *status, EkAnswer *answer);
