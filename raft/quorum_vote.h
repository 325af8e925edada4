/* Term and vote of this voter, safe before they are acted upon.
 *
 * The file holds two copies, each in a block of its own. A change writes and flushes the first,
 * then the second; only then may anything be said to a peer. So one damaged copy never takes a vote
 * back: the other one says the same, or the change was never finished.
 *
 *  offset size field (of a copy; they start at 0 and at QUORUM_VOTE_COPY_BYTES)
 *       0    4 CRC-32C of the 60 bytes that follow
 *       4    2 version, 1
 *       6    2 zero
 *       8    8 sequence of the change, from 1
 *      16    8 term
 *      24    8 raft id voted for in it, 0: none
 *      32   16 directory id
 *      48   16 zero
 *
 * Owner: the quorum. Loop: the quorum's; calls are synchronous, since nothing may be done before
 * they end. Limits: terms up to QUORUM_VOTE_TERM_MAX (Kafka's epochs are 32 bits wide). */
#pragma once

#include "proto/sys/disk.h"

#include <stdint.h>

#define QUORUM_VOTE_COPY_BYTES 4096U
#define QUORUM_VOTE_TERM_MAX INT32_MAX

struct quorum_vote {
    struct disk *disk;      /* Borrowed for life. */
    struct disk_file *file; /* Owned. */
    uint8_t directory_id[16];
    uint64_t sequence;
    uint64_t term;
    uint64_t voted_for;
};

/* Makes the file, or makes one that an unfinished birth left anew. No vote is given in `term`. */
MUST_USE enum status quorum_vote_create(struct quorum_vote *self, struct disk *disk,
                                        const char *directory, const uint8_t directory_id[16],
                                        uint64_t term);
/* STATUS_CORRUPT also when the file is missing: whoever was born has one. */
MUST_USE enum status quorum_vote_load(struct quorum_vote *self, struct disk *disk,
                                      const char *directory, const uint8_t directory_id[16]);
void quorum_vote_done(struct quorum_vote *self); /* Accepts a zeroed one. */

/* After a failure nobody knows what the file says: the voter must stop. */
MUST_USE enum status quorum_vote_store(struct quorum_vote *self, uint64_t term, uint64_t voted_for);
