/* pool.c - arenas with clean-up handlers
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/base.h"
#include <string.h>

#define FIRST_BLOCK 768           /* an idle session in store, which is what there are many of, needs 550 to 700 */
#define LARGE       16384
#define ALIGN(n_)   (((n_) + 15) & ~(gsize) 15)

typedef struct Block Block;
struct Block {
  Block *next;
  gsize  size, used;                 /* of data */
  char   data[] __attribute__ ((aligned (16)));
};

typedef struct Cleanup Cleanup;
struct Cleanup {
  Cleanup       *next;
  GDestroyNotify func;
  gpointer       data;
};

struct EkPool {
  Block   *blocks;                   /* newest first; the last is never freed by clear */
  Cleanup *cleanups;
  gsize    held;
};

static Block *
block_new (EkPool *pool, gsize size)
{
  Block *block = g_malloc (sizeof (Block) + size);

  *block = (Block) { .size = size };
  pool->held += sizeof (Block) + size;
  return block;
}

EkPool *
ek_pool_new (void)
{
  return g_new0 (EkPool, 1);
}

void
ek_pool_clear (EkPool *pool)
{
  while (pool->cleanups) {
    Cleanup *c = pool->cleanups;
    pool->cleanups = c->next;
    c->func (c->data);
  }
  while (pool->blocks && pool->blocks->next) {
    Block *block = pool->blocks;
    pool->blocks = block->next;
    pool->held -= sizeof (Block) + block->size;
    g_free (block);
  }
  if (pool->blocks)
    pool->blocks->used = 0;
}

void
ek_pool_free (EkPool *pool)
{
  if (pool == NULL)
    return;
  ek_pool_clear (pool);
  g_free (pool->blocks);
  g_free (pool);
}

gpointer
ek_pool_alloc (EkPool *pool, gsize size)
{
  Block *block = pool->blocks;
  gsize need = ALIGN (size);

  g_assert (need >= size);
  if (block == NULL || block->size - block->used < need) {
    gsize next = block ? MIN (block->size * 2, LARGE) : FIRST_BLOCK;
    block = block_new (pool, MAX (next, need));
    if (pool->blocks && need > next / 2) {     /* a large piece: keep filling the current block */
      block->next = pool->blocks->next;
      pool->blocks->next = block;
    }
    else {
      block->next = pool->blocks;
      pool->blocks = block;
    }
  }
  gpointer p = block->data + block->used;
  block->used += need;
  return memset (p, 0, size);
}

char *
ek_pool_strndup (EkPool *pool, const char *s, gsize n)
{
  char *copy = ek_pool_alloc (pool, n + 1);

  if (n > 0)
    memcpy (copy, s, n);
  return copy;
}

char *
ek_pool_strdup (EkPool *pool, const char *s)
{
  return s ? ek_pool_strndup (pool, s, strlen (s)) : NULL;
}

EkStr
ek_pool_str (EkPool *pool, EkStr s)
{
  return (EkStr) { ek_pool_strndup (pool, s.p, s.n), s.n };
}

char *
ek_pool_printf (EkPool *pool, const char *fmt, ...)
{
  va_list args, again;
  va_start (args, fmt);
  va_copy (again, args);
  int n = g_vsnprintf (NULL, 0, fmt, args);
  char *s = ek_pool_alloc (pool, (gsize) n + 1);
  g_vsnprintf (s, (gulong) n + 1, fmt, again);
  va_end (again);
  va_end (args);
  return s;
}

void
ek_pool_cleanup (EkPool *pool, GDestroyNotify func, gpointer data)
{
  Cleanup *c = ek_pool_new0 (pool, Cleanup);

  *c = (Cleanup) { .next = pool->cleanups, .func = func, .data = data };
  pool->cleanups = c;
}

gsize
ek_pool_size (const EkPool *pool)
{
  return pool->held;
}
