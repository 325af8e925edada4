/* The four indexes of one segment, fed together: by an append, and by recovery's walk (rebuild.h).
 *
 * The same batches give the same indexes on both ways, because whether an entry is due depends
 * only on the position of the last one.
 *
 * Owner: the segment. Loop: the shard's. Limits: those of the indexes; any of them full: roll. */
#pragma once

#include "broker/log/ingest_index.h"
#include "broker/log/offset_index.h"
#include "broker/log/time_index.h"
#include "broker/log/txn_index.h"

struct index_set {
    struct offset_index offsets;
    struct time_index times;
    struct txn_index txns;
    struct ingest_index ingests;
    uint32_t interval_bytes; /* index.interval.bytes */
};

/* One batch as it lies in the segment. */
struct index_set_batch {
    int64_t base_offset;
    int64_t last_offset;
    int64_t max_timestamp_ms;
    int64_t ingested_ms;
    uint64_t position;
};

/* Allocates nothing yet. */
void index_set_init(struct index_set *self, int64_t base_offset, uint32_t interval_bytes);
/* Accepts a zeroed set. */
void index_set_done(struct index_set *self);

/* False: an index is full or the batch lies beyond 31 bits; roll before appending it. */
bool index_set_has_room(const struct index_set *self, const struct index_set_batch *batch);
/* In order of position. NO_MEMORY, FULL: at worst an entry is missing, nothing is wrong; the
 * ingested time of the batch is lost then. */
MUST_USE enum status index_set_add(struct index_set *self, const struct index_set_batch *batch);
/* The same, but the ingest index knows the batch already, from its file. */
MUST_USE enum status index_set_add_again(struct index_set *self,
                                         const struct index_set_batch *batch);
/* Before a roll, a checkpoint or a stop: the time index gets the largest timestamp, the open ingest
 * block is closed. */
MUST_USE enum status index_set_seal(struct index_set *self);
/* Batches that contain `offset` or lie beyond it are gone. */
void index_set_truncate(struct index_set *self, int64_t offset);
