/* Configurations: who votes, as bytes in an entry and as libraft keeps them.
 *
 * libraft decodes configurations without looking at their bounds, so every one that comes from a
 * disk or a peer is checked here first. A server's "address" is not an address but its identity,
 * "<node id>:<directory id in hex>"; where a node is reached is told by its options.
 *
 * The history remembers every configuration of the log and the one below it, since libraft 0.15
 * forgets at a restart that the last one may be uncommitted, rolls back to entries that are
 * compacted away, and puts uncommitted ones into snapshots.
 *
 * Owner: the quorum. Loop: the quorum's. Limits: QUORUM_CONFIGURATION_SERVERS_MAX servers;
 * the history is as long as the log has changes. */
#pragma once

#include "proto/sys/status.h"

#include <raft.h>
#include <stddef.h>
#include <stdint.h>

#define QUORUM_CONFIGURATION_SERVERS_MAX 16U
#define QUORUM_CONFIGURATION_IDENTITY_BYTES 48U /* 10 digits, colon, 32 of hex, NUL, rounded. */

void quorum_configuration_identity(int32_t node_id, const uint8_t directory_id[16],
                                   char out_text[QUORUM_CONFIGURATION_IDENTITY_BYTES]);
/* STATUS_MALFORMED unless it is a whole encoding of 1 to 16 servers whose ids fit their names. */
MUST_USE enum status quorum_configuration_check(const uint8_t *bytes, size_t byte_count);
/* Checks, then decodes into memory of the entered heap. */
MUST_USE enum status quorum_configuration_decode(const uint8_t *bytes, size_t byte_count,
                                                 struct raft_configuration *out_configuration);

struct quorum_configuration_entry {
    uint64_t index;
    uint8_t *bytes; /* Owned. */
    uint32_t byte_count;
};

struct quorum_configuration_history {
    struct quorum_configuration_entry *entries; /* Owned. Indexes ascend. */
    size_t count;
    size_t count_max;
};

void quorum_configuration_history_done(struct quorum_configuration_history *self);
/* `index` is above all others. */
void quorum_configuration_history_push(struct quorum_configuration_history *self, uint64_t index,
                                       const void *bytes, size_t byte_count);
/* Forgets those at `index` and above. */
void quorum_configuration_history_cut(struct quorum_configuration_history *self, uint64_t index);
/* Forgets those that a later one at or below `index` replaces. */
void quorum_configuration_history_trim(struct quorum_configuration_history *self, uint64_t index);
/* The last one at or below `index`; NULL when there is none. */
const struct quorum_configuration_entry *
quorum_configuration_history_at(const struct quorum_configuration_history *self, uint64_t index);
