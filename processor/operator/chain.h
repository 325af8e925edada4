/* The operators of one stage, in order: rows or route entries in; rows, route records, changelog
 * records and late rows out.
 *
 * Pure computing: no I/O, no clock; the task feeds it and takes what it gives. Everything that it
 * gives belongs to the epoch under way. After a failed epoch the chain is thrown away and made anew
 * from progress and changelog. Each partition of a route carries its own marks in band and has its
 * own watermark, so that neither the order in which partitions are read nor the place where an
 * epoch is cut decides what is late.
 *
 * Owner: the task. Loop: its. Limits: `state_bytes_max` of groups, CHAIN_SCRATCH_BYTES_MAX of one
 * push, ROUTE_RECORD_BYTES of a route record (more for a single row that is larger). */
#pragma once

#include "processor/row/late_row.h"
#include "processor/row/row_batch.h"
#include "proto/internal/plan.pb-c.h"
#include "proto/internal/processor_record.pb-c.h"

/* In `Stage.source_columns` this plus a SystemColumn stands for a column that every table has. */
#define CHAIN_SYSTEM_COLUMN_BASE 65536U
#define CHAIN_SCRATCH_BYTES_MAX ((size_t)256 << 20)

struct chain;

struct chain_misfit {
    int32_t partition; /* -1, as the offset: of a row that an aggregation made. */
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
    enum status (*on_late)(void *context, const struct late_row *late);
    /* Overflow and the like; INVALID from here stops the job. OK: the row is left out. */
    enum status (*on_misfit)(void *context, const struct chain_misfit *misfit);
    void *context;
};

/* INVALID: a plan that no version makes; UNSUPPORTED: one of a newer version. */
MUST_USE enum status chain_new(const struct chain_options *options, struct chain **out_chain);
void chain_free(struct chain *self); /* Accepts NULL. */

/* Before the first row: what the last committed epoch knew. NULL: nothing is committed yet. May be
 * called with the progress of several tasks: what is about other partitions is passed over. */
MUST_USE enum status chain_resume(struct chain *self,
                                  const Millrace__Processor__Progress *progress);
/* A changelog record, in order. CORRUPT, UNSUPPORTED: it is none of ours, or newer. */
MUST_USE enum status chain_restore(struct chain *self, struct wire_bytes key,
                                   struct wire_bytes value);

/* What one push may bring, so that all that is made of it has room; not above `most`. */
struct row_batch_room chain_push_room(const struct chain *self, struct row_batch_room most);
/* The processed time of all rows of the epoch. */
void chain_begin_epoch(struct chain *self, int64_t now_ms);
/* Stage 0: decoded rows of one partition, with their origin; `misfits` (a bit per row, NULL: none)
 * are passed over and counted. Columns: those of `source_columns` that are the table's, in order;
 * the system's columns are made here. */
MUST_USE enum status chain_push_rows(struct chain *self, const struct row_batch *rows,
                                     const uint8_t *misfits);
/* Stage 0: a partition was found empty or has fallen idle (active again with its next row). */
void chain_set_mark_state(struct chain *self, int32_t partition,
                          Millrace__Processor__MarkState state);
/* Later stages: the value of one route record. CORRUPT: it breaks the format, or a group came
 * behind its watermark: the job must stop rather than lose rows. */
MUST_USE enum status chain_push_route(struct chain *self, uint32_t partition,
                                      struct wire_bytes value);
/* Has the epoch something to say even without input: closed windows, marks that moved? */
bool chain_is_due(const struct chain *self);
/* Gives what the epoch made: rows, route, changes; then its marks hold. */
MUST_USE enum status chain_end_epoch(struct chain *self);
/* Marks, watermark and stats of the epoch that just ended, into `progress`, whose arrays are taken
 * from `arena`. `inputs` are filled before: was_excluded and watermark_us are added to them. Totals
 * and times spent are the task's. */
MUST_USE enum status chain_describe(const struct chain *self, struct arena *arena,
                                    Millrace__Processor__Progress *progress);
/* Gives every group of the partition to on_change: a snapshot that its tail can follow. */
MUST_USE enum status chain_snapshot(struct chain *self, uint32_t partition);
/* Why the last call failed, for people: state that is full, a sum beyond its type, a record that
 * breaks the format. Empty: nothing to add to the status. */
const char *chain_fault(const struct chain *self);
