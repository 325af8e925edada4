/* What an epoch made, as records: result rows as JSON, late rows, routes, changes, the progress.
 *
 * Result rows of an aggregation have the JSON array of their grouping columns as key and the
 * window's end as time; others keep the key and the time of their source's record. Each says when
 * it was created and ingested, where that is known, and when it was processed:
 *
 *     millrace.created millrace.ingested millrace.processed   milliseconds since 1970, ASCII
 *
 * A late row is the source's record, headers and all, with three more: millrace.reason,
 * millrace.partition, millrace.offset. Of rows that replace another only the new one is written, of
 * one that is gone a record without a value.
 *
 * Owner: the task. Loop: the options'. Limits: those of commit_epoch.h. */
#pragma once

#include "processor/row/late_row.h"
#include "processor/row/row_batch.h"
#include "processor/sink/commit_epoch.h"

struct sink;

struct sink_options {
    /* Everything but the callbacks' context, on_progress_due and on_closed is passed on. */
    struct commit_epoch_options commit;
    /* Names are borrowed for life; NULL: this stage has none. */
    const char *topic;
    const char *late_topic; /* NULL: late rows go nowhere. */
    const char *route_topic;
    const char *changelog_topic;
    const char *progress_topic;
    int32_t progress_partition;
    const char *const *column_names; /* Of result rows. */
    uint32_t column_count;
    /* The value of the progress record; borrowed until it returns to the loop. */
    enum status (*on_progress_due)(void *context, struct wire_bytes *out_value);
    void (*on_closed)(void *context); /* The sink is freed. */
    void *context;                    /* Of all callbacks. */
};

MUST_USE enum status sink_open(const struct sink_options *options, struct sink **out_sink);
void sink_close(struct sink *self);
void sink_start(struct sink *self);
/* As commit_epoch_claim(). */
void sink_claim(struct sink *self, struct commit_epoch_claim *claims, uint32_t claim_count);

/* The processed time of what is added from now on. */
void sink_begin_epoch(struct sink *self, int64_t now_ms);
/* FULL: the output of this epoch is too large; INVALID: a row is, or the rows are not those of the
 * table; CANCELED: the epoch has failed already, and that is told. All end the epoch. */
MUST_USE enum status sink_add_rows(struct sink *self, const struct row_batch *rows);
MUST_USE enum status sink_add_late(struct sink *self, const struct late_row *late);
MUST_USE enum status sink_add_route(struct sink *self, uint32_t partition, struct wire_bytes value);
MUST_USE enum status sink_add_change(struct sink *self, uint32_t partition, struct wire_bytes key,
                                     struct wire_bytes value);
/* As commit_epoch_note_next_change() and the others. */
void sink_note_next_change(struct sink *self, int32_t partition);
int64_t sink_noted_offset(const struct sink *self);
bool sink_is_noting(const struct sink *self);
int64_t sink_progress_offset(const struct sink *self);
/* Was anything added in this epoch? */
bool sink_is_dirty(const struct sink *self);
/* So much waits to be acknowledged that the epoch should end rather than take more rows. */
bool sink_is_half_full(const struct sink *self);
/* Commits what was added, and the progress record. */
void sink_end_epoch(struct sink *self);
