/* Finds a log by its topic's id and partition.
 *
 * Owner: the store, or the recovery. Loop: the owner's. Limits: LOG_TABLE_COUNT_MAX. */
#pragma once

#include "proto/sys/status.h"
#include "proto/wire/reader.h"

#include <stdint.h>

#define LOG_TABLE_COUNT_MAX (1U << 24)

struct log_table_slot {
    struct wire_uuid topic_id;
    int32_t partition;
    void *value; /* NULL: free. */
};

struct log_table {
    struct log_table_slot *slots; /* Owned; a power of two. */
    uint32_t slot_count;
    uint32_t count;
};

/* A zeroed table is an empty one. */
void log_table_done(struct log_table *self);
void *log_table_find(const struct log_table *self, const struct wire_uuid *topic_id,
                     int32_t partition);
/* It is not there yet. `value` is not NULL. */
MUST_USE enum status log_table_add(struct log_table *self, const struct wire_uuid *topic_id,
                                   int32_t partition, void *value);
/* Does nothing when it is not there. */
void log_table_remove(struct log_table *self, const struct wire_uuid *topic_id, int32_t partition);
/* All values: starts with `*position` 0, ends with NULL. The table must not change in between. */
void *log_table_next(const struct log_table *self, uint32_t *position);
