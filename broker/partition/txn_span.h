/* Open transactions of one partition, and from which offset on nothing is stable.
 *
 * A transaction is undecided from its first record until its marker lies below the high watermark;
 * the last stable offset is the first offset of the earliest undecided one, or the high watermark.
 * An aborted one yields the entry that read_committed readers need.
 *
 * Owner: the partition. Loop: its shard's. Limits: one open transaction per producer id, and the
 * producers are bounded by producer_state; completed ones wait only for the high watermark. */
#pragma once

#include "proto/sys/status.h"

#include <stdbool.h>
#include <stdint.h>

struct txn_span;

struct txn_span_end {
    int64_t first_offset;
    int64_t last_offset;        /* The marker's. */
    int64_t last_stable_offset; /* When the marker was written, as the index entry wants it. */
    bool is_aborted;
};

MUST_USE enum status txn_span_new(struct txn_span **out_self);
void txn_span_free(struct txn_span *self); /* Accepts NULL. */
void txn_span_clear(struct txn_span *self);

/* The first transactional batch of `producer_id`; later ones of the same transaction change
 * nothing. */
MUST_USE enum status txn_span_begin(struct txn_span *self, int64_t producer_id,
                                    int64_t first_offset);
/* Its marker was appended. NOT_FOUND: nothing was open (an empty transaction). CORRUPT: it does not
 * lie behind what it ends, or behind the marker before it. */
MUST_USE enum status txn_span_complete(struct txn_span *self, int64_t producer_id,
                                       int64_t marker_offset, bool is_aborted,
                                       struct txn_span_end *out_end);
/* Forgets decided ones whose marker is below the high watermark, then tells the mark. */
int64_t txn_span_last_stable_offset(struct txn_span *self, int64_t high_watermark);
uint32_t txn_span_open_count(const struct txn_span *self);
