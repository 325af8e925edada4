/* How a cluster comes into being, once, without a format step and without amnesia.
 *
 * Each voter starts with a directory id of its own and tells it to the others, together with all it
 * has heard. When every configured voter has told the same complete list, each writes the same
 * configuration under the same cluster id: the one that any of them was configured with, or one
 * that follows from the list. A voter that was cut off in that moment is born later, from what a
 * peer that is born says: if the list holds its own directory id, it has promised nothing to
 * anybody yet and may write the same. A voter whose id is not in that list was wiped: it waits to
 * be admitted, and takes no part.
 *
 * Owner: the quorum. Loop: the quorum's. Limits: QUORUM_META_VOTERS_MAX voters. */
#pragma once

#include "raft/quorum_message.h"

struct quorum_birth {
    struct quorum_meta meta; /* Of this node, not born; voters are those heard of, itself too. */
    uint32_t voter_count;
    int32_t voter_ids[QUORUM_META_VOTERS_MAX]; /* Configured; ascending. */
    bool agrees[QUORUM_META_VOTERS_MAX];       /* Told the list that we have. */
    bool is_foreign;                           /* The others are in a cluster without this one. */
};

/* `voter_ids` ascend and hold the node's own. */
void quorum_birth_init(struct quorum_birth *self, const struct quorum_meta *meta,
                       const int32_t *voter_ids, uint32_t voter_count);
/* What to tell the others. */
void quorum_birth_hello(const struct quorum_birth *self, struct quorum_message_hello *out_hello);
/* `cluster_id` is what the peer is born or configured with, zero when with none. True: `out_meta`
 * is what to be born as. */
bool quorum_birth_hear(struct quorum_birth *self, const struct quorum_message_hello *hello,
                       const uint8_t *cluster_id, struct quorum_meta *out_meta);
/* True for a single voter: born without asking anybody. */
bool quorum_birth_alone(const struct quorum_birth *self, struct quorum_meta *out_meta);

/* Writes vote and log, then, as the moment of birth, the meta file. */
MUST_USE enum status quorum_birth_write(const struct quorum_meta *meta, struct loop *loop,
                                        const char *directory);
