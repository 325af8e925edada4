/* Block-aligned memory that is used again: journal sheets, tail chunks, read buffers.
 *
 * Fresh pages cost more than everything else on the write path, so what was touched once is kept:
 * free lists by size class, powers of two from one block up. Larger pieces come from the heap.
 *
 * Owner: the store. Loop: the shard's. Limits: everything, free or in use, is taken from the
 * budget. */
#pragma once

#include "proto/sys/budget.h"
#include "proto/sys/disk.h"

#include <stddef.h>
#include <stdint.h>

#define BLOCK_POOL_CLASSES 10U /* 4 KiB to 2 MiB. */
#define BLOCK_POOL_CLASS_BYTES_MAX ((size_t)DISK_BLOCK_BYTES << (BLOCK_POOL_CLASSES - 1))

struct block_pool_link {
    struct block_pool_link *next;
};

struct block_pool {
    uint32_t magic;
    struct budget *budget; /* Borrowed for life. */
    struct block_pool_link *free[BLOCK_POOL_CLASSES];
    size_t free_bytes;
    size_t used_bytes;
};

void block_pool_init(struct block_pool *self, struct budget *budget);
/* All pieces were given back. Accepts a zeroed pool. */
void block_pool_done(struct block_pool *self);

/* What a piece for `byte_count` bytes really has. */
size_t block_pool_round(size_t byte_count);
/* NULL: the budget refuses. Not cleared. */
void *block_pool_take(struct block_pool *self, size_t byte_count);
/* The same, whatever the budget says: for the little that must not fail for it. NULL: no memory. */
void *block_pool_take_anyway(struct block_pool *self, size_t byte_count);
/* `byte_count` as it was taken. Accepts NULL. */
void block_pool_give(struct block_pool *self, void *block, size_t byte_count);
/* Frees free pieces until at most `byte_count` bytes of them are left. */
void block_pool_trim(struct block_pool *self, size_t byte_count);
