/* The records that one partition's part of a fetch answer shows to a reader.
 *
 * Batches are checked (checksum, counts) and opened one by one; records before the position asked
 * for are passed over, as are control batches and, for a committed reader, the records of aborted
 * transactions. The broker lists those as (producer, first offset); such a transaction ends at the
 * producer's next abort marker. A batch that is cut short at the end is not there yet.
 *
 * Owner: the reader. Loop: any. Limits: what the caller's output may hold of one batch; aborted
 * transactions are sorted once, so a long list costs no more than its length. */
#pragma once

#include "proto/record/batch_iterator.h"
#include "proto/record/record_iterator.h"

struct fetch_walk_aborted {
    int64_t producer_id;
    int64_t first_offset;
    bool is_over; /* Its marker has been passed. */
};

struct fetch_walk_source {
    const void *bytes; /* Borrowed, as all here. */
    size_t byte_count;
    int64_t position; /* What was asked for. */
    bool is_committed;
    struct fetch_walk_aborted *aborted; /* Sorted in place; not used unless `is_committed`. */
    uint32_t aborted_count;
    const int64_t *ingested_ms; /* Of each whole batch. */
    uint32_t ingested_count;
};

struct fetch_walk {
    struct fetch_walk_source source;
    struct batch_iterator batches;
    uint32_t batch_index;
    struct batch_view batch; /* The one whose records come. */
    struct record_iterator records;
    int64_t ingested_ms; /* Of `batch`; -1: not told. */
    int64_t next_offset; /* Behind all that was passed. */
};

void fetch_walk_init(struct fetch_walk *self, const struct fetch_walk_source *source);
/* Moves to the next batch that shows records. `decompressor` and `output` as record_iterator_init()
 * wants them; records point into the source or the output. NOT_FOUND: no further whole batch.
 * CORRUPT, MALFORMED, UNSUPPORTED, FULL: this batch; the walk stays in front of it. */
MUST_USE enum status fetch_walk_batch(struct fetch_walk *self, struct decompressor *decompressor,
                                      struct decompressor_output *output);
/* NOT_FOUND: no further record in this batch. */
MUST_USE enum status fetch_walk_record(struct fetch_walk *self, struct record *out_record);

/* Where a reader goes on behind these bytes, from the batches' headers alone; `position` when there
 * is no whole batch. MALFORMED, UNSUPPORTED: the first batch already is none. */
MUST_USE enum status fetch_walk_measure(const void *bytes, size_t byte_count, int64_t position,
                                        int64_t *out_next_offset, int32_t *out_leader_epoch);
