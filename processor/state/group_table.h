/* Groups by window and key: a hash table whose groups live in one arena and go as a whole.
 *
 * Owner: whoever embeds it. Loop: the owner's. Limits: the bytes given at init. */
#pragma once

#include "processor/state/aggregate.h"
#include "proto/sys/arena.h"

enum {
    GROUP_IS_TOUCHED = 1, /* In this epoch. */
    GROUP_IS_LOGGED = 2,  /* The changelog knows it. */
    GROUP_IS_EMITTED = 4, /* A row of it has left before (update mode). */
    GROUP_IS_CLOSING = 8, /* Its window closes with this epoch. */
};

struct group {
    uint64_t hash;        /* Of the key. */
    int64_t window_start; /* GROUP_TABLE_NO_WINDOW: the aggregation has none. */
    int64_t input_count;  /* Rows that went into it. */
    int64_t created_max_ms;
    int64_t ingested_max_ms; /* -1: not told. */
    const uint8_t *key;      /* Encoded, see group_key.h. */
    uint32_t key_byte_count;
    uint8_t flags;
    struct aggregate_state states[]; /* One per aggregate. */
};

#define GROUP_TABLE_NO_WINDOW INT64_MIN

struct group_table {
    struct group **slots; /* Owned; a power of two of them. */
    uint32_t slot_count;
    uint32_t group_count;
    uint32_t state_count; /* Of each group. */
    struct arena arena;   /* Groups, keys, texts of their states. */
};

/* Allocates nothing yet. */
void group_table_init(struct group_table *self, uint32_t state_count, size_t byte_count_max);
/* Accepts a zeroed one. */
void group_table_done(struct group_table *self);
/* Empty again; keeps some of its memory. */
void group_table_reset(struct group_table *self);
/* The group of this window and key, made if it is not there; the key is copied. NO_MEMORY: the
 * limit, or none. */
MUST_USE enum status group_table_find_or_add(struct group_table *self, int64_t window_start,
                                             uint64_t hash, struct wire_bytes key,
                                             struct group **out_group);
/* The group leaves its slot; its memory goes with the table's. NOT_FOUND. */
MUST_USE enum status group_table_remove(struct group_table *self, int64_t window_start,
                                        uint64_t hash, struct wire_bytes key,
                                        struct group **out_group);
/* A group in no table, its key borrowed. NULL: the arena is full. */
struct group *group_table_make_loose(uint32_t state_count, int64_t window_start, uint64_t hash,
                                     struct wire_bytes key, struct arena *arena);
/* All groups, in no order, into `out_groups` (room for group_count). */
void group_table_list(const struct group_table *self, struct group **out_groups);
/* Sorts by window, then key. */
void group_table_sort(struct group **groups, size_t group_count);
/* Of arena and slots. */
size_t group_table_bytes(const struct group_table *self);

static inline struct wire_bytes group_table_key(const struct group *group)
{
    return (struct wire_bytes){.bytes = group->key, .byte_count = (int32_t)group->key_byte_count};
}
