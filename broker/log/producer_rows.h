/* The rows of a producer snapshot, followed batch by batch while a log is rebuilt.
 *
 * Only what a snapshot holds (the newest batch of each producer, its open transaction, the
 * coordinator of its last marker) and what the transaction index needs: which transaction a marker
 * ends, and the last stable offset then. The partition's own state, with five batches and its
 * checks, is broker/partition/producer_state.h; both follow the same rules.
 *
 * Owner: the recovery. Loop: any. Limits: SNAPSHOT_FILE_ROWS_MAX. */
#pragma once

#include "broker/log/log.h"
#include "broker/log/snapshot_file.h"
#include "proto/record/batch.h"

#include <stdbool.h>

struct producer_rows {
    uint32_t magic;
    uint32_t row_count;
    uint32_t room;
    uint32_t slot_count;            /* A power of two, or 0. */
    struct snapshot_file_row *rows; /* Owned; for snapshot_file_encode() as they are. */
    uint32_t *slots;                /* Owned; by hash: row + 1, 0 free. */
};

/* Allocates nothing yet. */
void producer_rows_init(struct producer_rows *self);
/* Accepts a zeroed table. */
void producer_rows_done(struct producer_rows *self);

/* Replaces the content by a snapshot's rows: producer ids differ. */
MUST_USE enum status producer_rows_load(struct producer_rows *self,
                                        const struct snapshot_file_row *rows, uint32_t row_count);
/* NULL: not known. Valid until the next call that changes the table. */
const struct snapshot_file_row *producer_rows_find(const struct producer_rows *self,
                                                   int64_t producer_id);

/* A batch that came next; one without a producer changes nothing. `out_is_aborted` tells whether it
 * is the abort marker of a transaction that had data, and `out_aborted` is its index entry then.
 * CORRUPT: a control batch that cannot be, or a transaction that begins behind its end. */
MUST_USE enum status producer_rows_follow(struct producer_rows *self,
                                          const struct batch_view *batch,
                                          struct log_aborted_txn *out_aborted,
                                          bool *out_is_aborted);
