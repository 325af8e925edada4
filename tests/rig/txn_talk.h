/* What a transactional producer says, each one call, in the old protocol and in the new one
 * (KIP-890: Produce 12, EndTxn 5, TxnOffsetCommit 5).
 *
 * Everything is about topic "t"; the broker of `client` must be coordinator and leader of all.
 * Owner: the test. Loop: none. */
#pragma once

#include "proto/wire/reader.h"
#include "tests/rig/broker_world.h"

struct txn_talk {
    struct wire_client *client;
    const char *id;
    bool is_new;        /* The new protocol. */
    int32_t timeout_ms; /* 0: 60,000. */
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t sequences[8]; /* By partition. */
};

/* Asks for the id's coordinator until there is one. */
void txn_talk_find(struct wire_client *client, const char *id);
/* All return the error code. */
int16_t txn_talk_begin(struct txn_talk *self); /* InitProducerId. */
int16_t txn_talk_claim(struct txn_talk *self); /* With the present id and epoch (KIP-360). */
int16_t txn_talk_add(struct txn_talk *self, int32_t partition);
int16_t txn_talk_add_offsets(struct txn_talk *self, const char *group);
int16_t txn_talk_write(struct txn_talk *self, int32_t partition);
int16_t txn_talk_commit_offset(struct txn_talk *self, const char *group, int64_t offset);
/* The same with an id in the place of the topic's name (TxnOffsetCommit 6). NULL: the name. */
int16_t txn_talk_commit_offset_of(struct txn_talk *self, const char *group,
                                  const struct wire_uuid *topic_id, int64_t offset);
int16_t txn_talk_end(struct txn_talk *self, bool is_commit);
/* A marker as another broker would send it. */
int16_t txn_talk_mark(struct txn_talk *self, int32_t partition, bool is_commit,
                      int32_t coordinator_epoch, int8_t transaction_version);

/* The state that tools see; a literal. "?" when there is an error. */
const char *txn_talk_state(struct wire_client *client, const char *id);
/* How many transactional ids are listed in this state; NULL: in any. */
int32_t txn_talk_count(struct wire_client *client, const char *state);
/* The last stable offset of a partition of "t", and how many aborted transactions are told from
 * its beginning on. */
int64_t txn_talk_stable_offset(struct wire_client *client, int32_t partition,
                               int32_t *out_aborted_count);
/* First offset of the transaction that this producer has open in the partition; -1: none. */
int64_t txn_talk_open_offset(struct txn_talk *self, int32_t partition);
