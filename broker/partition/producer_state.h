/* What a partition remembers of idempotent producers: epoch and the last five batches of each.
 *
 * producer_state_check() decides about a client's batch and changes nothing; producer_state_apply()
 * follows what was appended, at the leader, at followers and at replay alike, and cannot refuse.
 * Sequences are 32 bits and 2147483647 is followed by 0. The open transaction's first offset is
 * kept here too, because Kafka's snapshot rows hold it; txn_span derives the last stable offset.
 * Rules: KIP-98, KIP-360, KIP-890; facts of the order of checks are in the comment of the body.
 *
 * Owner: the partition. Loop: its shard's. Limits: `entry_count_max` producers; the one unused for
 * longest and without a transaction goes when it is full. While all of them have one open, a leader
 * refuses new producers (PRODUCER_FULL); what a leader accepted is followed all the same. */
#pragma once

#include "proto/sys/list.h"
#include "proto/sys/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PRODUCER_STATE_BATCHES 5U

struct producer_batch {
    int32_t base_sequence;
    int32_t last_sequence;
    int64_t base_offset;
    int64_t last_offset;
    int64_t timestamp_ms; /* The batch's greatest. */
};

struct producer_entry {
    int64_t producer_id;
    int16_t epoch;
    int32_t coordinator_epoch; /* Of the last marker; -1: none. */
    int64_t last_timestamp_ms;
    int64_t txn_first_offset; /* -1: no open transaction. */
    bool is_window_cut; /* Loaded: of this epoch's batches the snapshot held only the newest. */
    bool is_doubtful;   /* Perhaps these are not its newest batches. */
    uint8_t batch_count;
    struct producer_batch batches[PRODUCER_STATE_BATCHES]; /* Oldest first. */
    struct list by_use;                 /* The state's: least recently used first. */
    struct producer_entry *bucket_next; /* The state's. */
};

struct producer_state;

/* What a batch's header says, in the state's terms. */
struct producer_write {
    int64_t producer_id; /* >= 0; others need no state. */
    int16_t epoch;
    int32_t base_sequence;
    int32_t last_sequence;
    int64_t base_offset; /* For apply. */
    int64_t last_offset;
    int64_t timestamp_ms;
    bool is_transactional;
    /* Markers: */
    bool is_marker;
    bool is_commit;
    int32_t coordinator_epoch;
    bool is_epoch_raised; /* For check: the coordinator raised the epoch for it (KIP-890). */
};

enum producer_verdict {
    PRODUCER_ACCEPT,
    PRODUCER_DUPLICATE, /* Answer with the original's offsets, append nothing. */
    /* In front of what a snapshot has left of the producer's batches, and so in the log already;
     * but where, is not known. DUPLICATE_SEQUENCE_NUMBER, which clients take for success. */
    PRODUCER_DUPLICATE_OLD,
    PRODUCER_SEQUENCE_GAP,       /* OUT_OF_ORDER_SEQUENCE_NUMBER */
    PRODUCER_STALE_EPOCH,        /* INVALID_PRODUCER_EPOCH */
    PRODUCER_TXN_STATE,          /* INVALID_TXN_STATE: a plain write inside an open transaction. */
    PRODUCER_COORDINATOR_FENCED, /* TRANSACTION_COORDINATOR_FENCED */
    PRODUCER_FULL,               /* Every producer known has an open transaction: try again. */
};

MUST_USE enum status producer_state_new(uint32_t entry_count_max, struct producer_state **out_self);
void producer_state_free(struct producer_state *self); /* Accepts NULL. */

/* `out_original` is filled with PRODUCER_DUPLICATE only. */
enum producer_verdict producer_state_check(const struct producer_state *self,
                                           const struct producer_write *write,
                                           struct producer_batch *out_original);
/* NO_MEMORY is the only failure. */
MUST_USE enum status producer_state_apply(struct producer_state *self,
                                          const struct producer_write *write);
/* Forgets producers without an open transaction whose last write is older than `before_ms`, by the
 * time of its batch or marker, as Kafka does. */
void producer_state_expire(struct producer_state *self, int64_t before_ms);
/* Batches behind what was loaded are gone, and nobody has them any more: what was open may have
 * ended in them, and a producer may have gone on by any number of sequences, or epochs. */
void producer_state_doubt(struct producer_state *self);
/* Whether all that is known was written below `offset`. */
bool producer_state_is_below(const struct producer_state *self, int64_t offset);
/* Everything at or beyond `offset` was cut off: the caller clears and replays. */
void producer_state_clear(struct producer_state *self);

const struct producer_entry *producer_state_find(const struct producer_state *self,
                                                 int64_t producer_id);
uint32_t producer_state_count(const struct producer_state *self);
/* Entries in the order of their last use; NULL at the end. */
const struct producer_entry *producer_state_first(const struct producer_state *self);
const struct producer_entry *producer_state_next(const struct producer_state *self,
                                                 const struct producer_entry *entry);

/* Kafka's .snapshot bytes (malloc'ed), and back. Of each producer the newest batch is kept.
 * CORRUPT, UNSUPPORTED and NO_MEMORY leave the state empty. */
MUST_USE enum status producer_state_store(const struct producer_state *self, uint8_t **out_bytes,
                                          size_t *out_byte_count);
MUST_USE enum status producer_state_load(struct producer_state *self, const uint8_t *bytes,
                                         size_t byte_count);
