/* faildisk.h - what the preload library faildisk.c is told
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once
#include <stdatomic.h>

typedef struct {
  atomic_int error;                  /* errno */
  atomic_int skip, count;            /* so many good ones first, then so many bad ones; -1: all */
  atomic_int hits;                   /* made to fail so far */
} FailRule;

typedef struct {
  FailRule     sync, write;
  atomic_int   use_room;             /* statvfs tells of `room` free bytes */
  atomic_llong room;
  char         match[64];
  char         crash[64];            /* who writes these bytes with one write() dies of it; empty: nobody */
  atomic_int   crashes;              /* so far */
} FailDisk;
