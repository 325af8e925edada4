#include "broker/log/block_pool.h"

#include "proto/sys/check.h"

#include <stdlib.h>

#define BLOCK_POOL_MAGIC 0xb10c9001U

void block_pool_init(struct block_pool *self, struct budget *budget)
{
    *self = (struct block_pool){.magic = BLOCK_POOL_MAGIC, .budget = budget};
}

void block_pool_done(struct block_pool *self)
{
    if (self->magic == 0) {
        return;
    }
    check(self->magic == BLOCK_POOL_MAGIC);
    check(self->used_bytes == 0);
    block_pool_trim(self, 0);
    *self = (struct block_pool){0};
}

static uint32_t class_of(size_t byte_count)
{
    uint32_t class = 0;
    while (((size_t)DISK_BLOCK_BYTES << class) < byte_count) {
        class += 1;
    }
    return class;
}

size_t block_pool_round(size_t byte_count)
{
    check(byte_count > 0);
    if (byte_count > BLOCK_POOL_CLASS_BYTES_MAX) {
        return (byte_count + DISK_BLOCK_BYTES - 1) / DISK_BLOCK_BYTES * DISK_BLOCK_BYTES;
    }
    return (size_t)DISK_BLOCK_BYTES << class_of(byte_count);
}

static void *take(struct block_pool *self, size_t byte_count, bool is_forced)
{
    check(self->magic == BLOCK_POOL_MAGIC);
    size_t rounded = block_pool_round(byte_count);
    if (rounded <= BLOCK_POOL_CLASS_BYTES_MAX) {
        uint32_t class = class_of(rounded);
        struct block_pool_link *link = self->free[class];
        if (link != NULL) {
            self->free[class] = link->next;
            self->free_bytes -= rounded;
            self->used_bytes += rounded;
            return link;
        }
    }
    if (!budget_take(self->budget, rounded)) {
        block_pool_trim(self, 0);
        if (!budget_take(self->budget, rounded)) {
            if (!is_forced) {
                return NULL;
            }
            atomic_fetch_add(&self->budget->taken_bytes, rounded);
        }
    }
    void *block = aligned_alloc(DISK_BLOCK_BYTES, rounded);
    if (block == NULL) {
        budget_give(self->budget, rounded);
        return NULL;
    }
    self->used_bytes += rounded;
    return block;
}

void *block_pool_take(struct block_pool *self, size_t byte_count)
{
    return take(self, byte_count, false);
}

void *block_pool_take_anyway(struct block_pool *self, size_t byte_count)
{
    return take(self, byte_count, true);
}

void block_pool_give(struct block_pool *self, void *block, size_t byte_count)
{
    check(self->magic == BLOCK_POOL_MAGIC);
    if (block == NULL) {
        return;
    }
    size_t rounded = block_pool_round(byte_count);
    check(self->used_bytes >= rounded);
    self->used_bytes -= rounded;
    if (rounded > BLOCK_POOL_CLASS_BYTES_MAX) {
        free(block);
        budget_give(self->budget, rounded);
        return;
    }
    struct block_pool_link *link = block;
    link->next = self->free[class_of(rounded)];
    self->free[class_of(rounded)] = link;
    self->free_bytes += rounded;
}

void block_pool_trim(struct block_pool *self, size_t byte_count)
{
    check(self->magic == BLOCK_POOL_MAGIC);
    /* From the largest down: few calls free much. */
    for (uint32_t class = BLOCK_POOL_CLASSES; class -- > 0;) {
        size_t class_bytes = (size_t)DISK_BLOCK_BYTES << class;
        while (self->free[class] != NULL && self->free_bytes > byte_count) {
            struct block_pool_link *link = self->free[class];
            self->free[class] = link->next;
            self->free_bytes -= class_bytes;
            free(link);
            budget_give(self->budget, class_bytes);
        }
    }
}
