/* Offsets of one group on their way into a transaction: TxnOffsetCommit to the group's coordinator.
 *
 * The question is asked again until each partition has its answer; a repetition does no harm.
 *
 * Owner: txn_core, one for each group it ever named. Loop: its. Limits: TXN_CORE_OFFSETS_MAX
 * offsets at a time. */
#pragma once

#include "client/txn_core.h"

/* On behalf of whom. */
struct txn_offsets_identity {
    const char *transactional_id; /* Borrowed until the end. */
    int64_t producer_id;
    int16_t producer_epoch;
    bool is_implicit; /* The question itself adds the group to the transaction: version 5. */
};

struct txn_offsets {
    uint32_t magic;
    struct list in_core;
    struct coordinator_core coordinator; /* Of the group. */
    struct coordinator_op op;
    struct txn_offsets_identity identity;
    struct arena arena; /* Holds what the next two refer to. */
    struct txn_core_group as;
    struct txn_core_offset *offsets; /* In the arena. */
    uint32_t offset_count;
    bool is_running;
    /* OK, with error_code 0 or the broker's last word; else as struct coordinator_op. */
    void (*on_done)(void *context, enum status status, int16_t error_code);
    void *context;
    char group[]; /* NUL-terminated. */
};

/* NULL: no memory. */
struct txn_offsets *txn_offsets_new(struct cluster *cluster, int64_t timeout_ms,
                                    struct wire_text group);
/* Copies them, in place of those before. NO_MEMORY. Not while it runs. */
MUST_USE enum status txn_offsets_set(struct txn_offsets *self, const struct txn_core_group *as,
                                     const struct txn_core_offset *offsets, uint32_t offset_count);
/* Ends by on_done, never inside. */
void txn_offsets_run(struct txn_offsets *self, const struct txn_offsets_identity *identity,
                     int64_t deadline_ns);
/* Before the cluster's close. */
void txn_offsets_close(struct txn_offsets *self);
/* Behind the cluster's close. */
void txn_offsets_free(struct txn_offsets *self);
