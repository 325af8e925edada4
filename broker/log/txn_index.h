/* The aborted transactions whose marker lies in one segment (`.txnindex`).
 *
 * An entry is added when an abort marker completes a transaction that had data in the partition.
 * A read_committed fetch collects all that overlap what it returns, segment by segment upwards
 * from the one of its offset, until an entry says that nothing later can overlap: entries later
 * than one whose last stable offset is at or beyond the limit began at or beyond it.
 *
 * File: entries of 34 bytes, ascending in the last offset, numbers big endian. Kafka leaves the
 * file out while it is empty.
 *
 *   offset size field
 *   0      2    int16 version, 0
 *   2      8    int64 producer id
 *   10     8    int64 first offset; may lie in an earlier segment
 *   18     8    int64 last offset, of the abort marker; in this segment
 *   26     8    int64 last stable offset just after the marker
 *
 * Owner: the segment. Loop: the shard's. Limits: TXN_INDEX_ENTRIES_MAX. */
#pragma once

#include "broker/log/log.h"
#include "proto/sys/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TXN_INDEX_VERSION 0U
#define TXN_INDEX_ENTRY_BYTES 34U
#define TXN_INDEX_ENTRIES_MAX (1U << 22)

struct txn_index {
    uint32_t magic;
    uint32_t entry_count;
    uint32_t room;
    int64_t base_offset;
    struct log_aborted_txn *entries; /* Owned. last_offset strictly ascends. */
};

/* Allocates nothing yet. */
void txn_index_init(struct txn_index *self, int64_t base_offset);
/* Accepts a zeroed index. */
void txn_index_done(struct txn_index *self);

/* Replaces the content by a file's. `end_offset`: of the segment. CORRUPT (and nothing is changed):
 * cut, out of order, outside the segment. UNSUPPORTED: a newer version. */
MUST_USE enum status txn_index_load(struct txn_index *self, const uint8_t *bytes, size_t byte_count,
                                    int64_t end_offset);

/* Whether it is one that a marker can have made, behind all that are here. */
bool txn_index_may_append(const struct txn_index *self, const struct log_aborted_txn *aborted);
/* FULL: the limit; roll. */
MUST_USE enum status txn_index_append(struct txn_index *self,
                                      const struct log_aborted_txn *aborted);
/* Forgets entries whose marker lies at or beyond `offset`. */
void txn_index_truncate(struct txn_index *self, int64_t offset);

struct txn_index_search {
    int64_t offset;                /* In: overlap with [offset, offset_limit). */
    int64_t offset_limit;          /* In. */
    struct log_aborted_txn *found; /* Caller's array. */
    uint32_t found_count_max;
    uint32_t found_count; /* In and out: carried on from segment to segment; starts at 0. */
    bool is_complete;     /* Out: later segments have nothing to add. */
};
/* FULL: there were more than fit. */
MUST_USE enum status txn_index_collect(const struct txn_index *self,
                                       struct txn_index_search *search);

/* As offset_index_encode(). */
void txn_index_encode(const struct txn_index *self, uint32_t first, uint32_t count,
                      uint8_t *out_bytes);
