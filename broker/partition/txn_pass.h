/* Leave to begin a transaction in a partition, while and after its coordinator was asked (KIP-890).
 *
 * The coordinator's word is old when it arrives: a marker may have ended the transaction in the
 * meantime, and a batch written behind it would hold the last stable offset for ever. So whoever
 * asks has a pass at the partition from before the question; a marker of the producer, or another
 * term of leadership, spoils it, and the append looks at it last.
 *
 * Owner: whoever asks; embedded. Loop: the partition's. Limits: requests, one each. */
#pragma once

#include "proto/sys/list.h"

#include <stdbool.h>
#include <stdint.h>

struct txn_pass {
    struct list link; /* In its partition's list; zeroed: never begun. */
    int64_t producer_id;
    int16_t producer_epoch;
    bool is_spoiled;
    bool is_asking; /* The asker's: its question is under way. */
};

void txn_pass_begin(struct txn_pass *self, struct list *passes);
/* Accepts NULL and a zeroed one. */
void txn_pass_end(struct txn_pass *self);
bool txn_pass_holds(const struct txn_pass *self, int64_t producer_id, int16_t producer_epoch);
/* Those of one producer, by its marker. */
void txn_pass_spoil(struct list *passes, int64_t producer_id);
/* All; they are in no list any more. */
void txn_pass_spoil_all(struct list *passes);
