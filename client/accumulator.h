/* What is on its way to one partition: an open batch that takes records, batches that wait, batches
 * in flight; and the sequence numbers that let the broker tell a repetition from news.
 *
 * Sequences are given when a batch is first taken, and kept over its retries. While a batch waits
 * to be sent again, nothing younger is sent beside it, so the order of the appends is the order of
 * the log. When a batch fails for good its sequences are missing, and the broker would refuse all
 * that follow: then the producer epoch of this partition rises by one and sequences begin at 0
 * again, as soon as nothing is in flight (KIP-360). A batch that may be in the log already is never
 * given new sequences; it fails with the one before it.
 *
 * Owner: producer_core. Loop: its. Limits: batches of `batch_bytes_max` before compression (more
 * only for a single record), ACCUMULATOR_IN_FLIGHT_MAX batches in flight, as many as a broker
 * remembers; all else is the producer's buffer limit. */
#pragma once

#include "client/retry.h"
#include "proto/record/batch_builder.h"
#include "proto/sys/list.h"

#define ACCUMULATOR_IN_FLIGHT_MAX 5U

/* What is kept of a record for its report. */
struct accumulator_record {
    void *tag;
    uint64_t number;
    int64_t timestamp_ms;
    uint32_t byte_count; /* What it counts for in the producer's buffer. */
};

struct accumulator_batch {
    struct list in_line;
    struct batch_builder builder;
    struct batch_view view;             /* Once it is sealed. */
    struct accumulator_record *records; /* Owned. */
    uint32_t record_count;
    uint32_t record_room;
    int64_t opened_ns;
    uint32_t attempt_count;
    bool is_sealed;
    bool is_urgent;      /* Does not linger. */
    bool is_doubtful;    /* An attempt ended without an answer: it may be in the log. */
    int64_t producer_id; /* As stamped. */
    int16_t producer_epoch;
};

struct accumulator_options {
    size_t batch_bytes_max;
    int64_t linger_ns;
    enum compression_codec codec;
    struct compressor *compressor; /* Borrowed for life. */
    bool is_transactional;
};

struct accumulator {
    struct accumulator_options options;
    struct list waiting;   /* Oldest first; only the last may be open. */
    struct list in_flight; /* In the order of their sequences. */
    uint32_t in_flight_count;
    uint32_t again_count; /* Of those waiting: were in flight before. */
    int64_t producer_id;  /* -1: not given yet. */
    int16_t producer_epoch;
    int32_t next_sequence;
    bool needs_epoch;
    bool has_doubt;    /* The batch that failed may be in the log. */
    bool is_exhausted; /* No epoch is left. */
    struct retry retry;
    int64_t not_before_ns;
};

void accumulator_init(struct accumulator *self, const struct accumulator_options *options);
/* All batches must be gone. Accepts a zeroed one. */
void accumulator_done(struct accumulator *self);

/* Before the first take, and when the transaction coordinator gave a new one; nothing may be under
 * way then. Sequences begin at 0. */
void accumulator_identify(struct accumulator *self, int64_t producer_id, int16_t producer_epoch);

MUST_USE enum status accumulator_append(struct accumulator *self,
                                        const struct batch_builder_record *record,
                                        const struct accumulator_record *entry, int64_t now_ns);
/* There is a batch that takes records. */
bool accumulator_is_open(const struct accumulator *self);
/* The open batch would be ended by a record of this size. */
bool accumulator_is_full_for(const struct accumulator *self, size_t byte_count);
/* What waits shall not linger. */
void accumulator_hurry(struct accumulator *self);
bool accumulator_is_empty(const struct accumulator *self);
/* When the next batch can be taken: now or earlier, later, or INT64_MAX: not before an answer. */
int64_t accumulator_ready_ns(const struct accumulator *self);

/* Takes the oldest batch for sending: seals it, gives it sequences. It stays the accumulator's, in
 * flight. Only when it is ready and identified. */
MUST_USE enum status accumulator_take(struct accumulator *self,
                                      struct accumulator_batch **out_batch);
/* To be sent again. `is_doubtful`: nobody knows whether it was appended. */
void accumulator_give_back(struct accumulator *self, struct accumulator_batch *batch,
                           bool is_doubtful);
/* Nothing older of this partition is unanswered. */
bool accumulator_is_oldest(const struct accumulator *self, const struct accumulator_batch *batch);
/* It is in the log: the caller reports and frees it. */
void accumulator_remove(struct accumulator *self, struct accumulator_batch *batch);
/* It failed for good: as above, and what follows gets new sequences. */
void accumulator_fail(struct accumulator *self, struct accumulator_batch *batch);
/* The broker has lost its memory of us: new sequences, nothing failed. */
void accumulator_renew(struct accumulator *self);
/* The oldest waiting batch, if it was opened before `opened_before_ns`; NULL: none, or it is behind
 * something in flight. */
struct accumulator_batch *accumulator_expired(struct accumulator *self, int64_t opened_before_ns);
/* New sequences, if they are due and nothing is in flight. Moves to `out_failed` what may be in the
 * log under the old ones. */
void accumulator_settle(struct accumulator *self, struct list *out_failed);
/* Any batch that is not in flight; NULL: none. */
struct accumulator_batch *accumulator_first(struct accumulator *self);

void accumulator_batch_free(struct accumulator_batch *batch);
