/* The operators of one stage, in order: rows or route entries in; rows, route records, changelog
 * records and late rows out.
 *
 * Pure computing: no I/O, no clock; the task feeds it and takes what it gives. Everything that it
 * gives belongs to the epoch under way. After a failed epoch the chain is thrown away and made anew
 * from progress and changelog.
 *
 * Owner: the task. Loop: its. Limits: `state_bytes_max`. */
#pragma once

#include "processor/row/row_batch.h"
#include "proto/internal/plan.pb-c.h"
#include "proto/internal/processor_record.pb-c.h"

struct chain;

struct chain_late {
    struct wire_bytes key; /* The record, unchanged. */
    struct wire_bytes value;
    int64_t timestamp_ms;
    int32_t partition;
    int64_t offset;
    const uint8_t *headers;
    const uint8_t *headers_end;
    int32_t header_count;
    const char *reason; /* "late": behind the watermark. */
};

struct chain_misfit {
    int32_t partition;
    int64_t offset;
    const char *reason;
};

struct chain_options {
    const Millrace__Plan__JobPlan *plan; /* Borrowed for life. */
    uint32_t stage;
    uint32_t task;
    size_t state_bytes_max;
    /* What these return ends the epoch when it is not OK (FULL: not now is no answer here). Bytes
     * and rows are borrowed for the call. */
    enum status (*on_rows)(void *context, const struct row_batch *rows);
    enum status (*on_route)(void *context, uint32_t partition, struct wire_bytes value);
    enum status (*on_change)(void *context, uint32_t partition, struct wire_bytes key,
                             struct wire_bytes value); /* A null value: removed. */
    enum status (*on_late)(void *context, const struct chain_late *late);
    /* Overflow and the like; INVALID from here stops the job. */
    enum status (*on_misfit)(void *context, const struct chain_misfit *misfit);
    void *context;
};

MUST_USE enum status chain_new(const struct chain_options *options, struct chain **out_chain);
void chain_free(struct chain *self); /* Accepts NULL. */

/* Before the first row: what the last committed epoch knew. NULL: nothing is committed yet. */
MUST_USE enum status chain_resume(struct chain *self,
                                  const Millrace__Processor__Progress *progress);
/* A changelog record, in order. CORRUPT, UNSUPPORTED: it is none of ours, or newer. */
MUST_USE enum status chain_restore(struct chain *self, struct wire_bytes key,
                                   struct wire_bytes value);

/* The processed time of all rows of the epoch. */
void chain_begin_epoch(struct chain *self, int64_t now_ms);
/* Stage 0: decoded rows of one partition, with their origin; `misfits` are passed over. */
MUST_USE enum status chain_push_rows(struct chain *self, const struct row_batch *rows,
                                     const uint8_t *misfits);
/* Stage 0: a partition was found empty or has fallen idle (active again with its next row). */
void chain_set_mark_state(struct chain *self, int32_t partition,
                          Millrace__Processor__MarkState state);
/* Later stages: the value of one route record. */
MUST_USE enum status chain_push_route(struct chain *self, uint32_t partition,
                                      struct wire_bytes value);
/* Has the epoch something to say even without input: closed windows, marks that moved? */
bool chain_is_due(const struct chain *self);
/* Gives what the epoch made: rows, route, changes; then its marks hold. */
MUST_USE enum status chain_end_epoch(struct chain *self);
/* Marks, watermark and stats of the epoch that just ended, into `progress`, whose arrays are taken
 * from `arena`. Totals are the task's. */
MUST_USE enum status chain_describe(const struct chain *self, struct arena *arena,
                                    Millrace__Processor__Progress *progress);
/* Gives every group of the partition to on_change: a snapshot that its tail can follow. */
MUST_USE enum status chain_snapshot(struct chain *self, uint32_t partition);
