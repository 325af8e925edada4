/* Who this directory is: node, directory, cluster, and the voters the cluster was born with.
 *
 * Written whole by replacing the file, at most twice in a directory's life: when it gets its id,
 * and when the cluster is born, which is the moment of birth for this voter (log and vote lie ready
 * before it). A directory without this file is empty and never votes; see quorum_birth.h.
 *
 *  offset size field
 *       0    4 CRC-32C of all that follows
 *       4    2 version, 1
 *       6    2 1: waits for its cluster, 2: born
 *       8    4 node id
 *      12    4 count of voters, 0 until born
 *      16   16 directory id
 *      32   16 cluster id, zero until born
 *      48 24*n voters by node id: node id (4), zero (4), directory id (16)
 *
 * Owner: the quorum. Loop: the quorum's. Limits: QUORUM_META_VOTERS_MAX voters. */
#pragma once

#include "proto/sys/loop.h"

#include <stdbool.h>
#include <stdint.h>

#define QUORUM_META_VOTERS_MAX 5U
#define QUORUM_META_BYTES_MAX (48U + 24U * QUORUM_META_VOTERS_MAX)

struct quorum_meta_voter {
    int32_t node_id;
    uint8_t directory_id[16];
};

struct quorum_meta {
    bool is_born;
    int32_t node_id;
    uint8_t directory_id[16];
    uint8_t cluster_id[16];
    uint32_t voter_count;
    struct quorum_meta_voter voters[QUORUM_META_VOTERS_MAX]; /* Node ids ascend. */
};

/* libraft's number of a voter: node id above, a digest of its directory id below, so that a voter
 * whose directory was wiped is somebody else, and a message can be routed by number alone. */
uint64_t quorum_meta_raft_id(int32_t node_id, const uint8_t directory_id[16]);
int32_t quorum_meta_node_id(uint64_t raft_id);

/* Returns the bytes used of `out_bytes`. */
size_t quorum_meta_encode(const struct quorum_meta *self, uint8_t out_bytes[QUORUM_META_BYTES_MAX]);
/* STATUS_CORRUPT or STATUS_UNSUPPORTED. */
MUST_USE enum status quorum_meta_decode(const uint8_t *bytes, size_t byte_count,
                                        struct quorum_meta *out_meta);

/* STATUS_NOT_FOUND: an empty directory. */
MUST_USE enum status quorum_meta_load(struct disk *disk, const char *directory,
                                      struct quorum_meta *out_meta);
MUST_USE enum status quorum_meta_store(const struct quorum_meta *self, struct disk *disk,
                                       const char *directory);
/* Makes the directory when it is missing, and says who it is; an empty one gets its id.
 * STATUS_CORRUPT also when it holds a voter's other files. */
MUST_USE enum status quorum_meta_open(struct loop *loop, const char *directory, int32_t node_id,
                                      struct quorum_meta *out_meta);
