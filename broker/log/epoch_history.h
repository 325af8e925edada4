/* The leader epochs of one partition and where each began (KIP-101), pure.
 *
 * Both numbers strictly ascend. An epoch ends where the next one in the history begins; the newest
 * ends at the log's end.
 *
 * Owner: the log. Loop: the shard's. Limits: EPOCH_HISTORY_ENTRIES_MAX; beyond it (or without
 * memory) the oldest entry goes, whose answers then are those of an epoch older than all. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define EPOCH_HISTORY_ENTRIES_MAX 65536U
#define EPOCH_HISTORY_INLINE 4U
#define EPOCH_HISTORY_NONE (-1)

struct epoch_history_entry {
    int32_t epoch;
    int64_t start_offset;
};

struct epoch_history {
    uint32_t magic;
    uint32_t entry_count;
    uint32_t room;
    struct epoch_history_entry inline_entries[EPOCH_HISTORY_INLINE];
    struct epoch_history_entry *heap_entries; /* Owned; NULL while the inline ones suffice. */
};

void epoch_history_init(struct epoch_history *self);
/* Accepts a zeroed history. */
void epoch_history_done(struct epoch_history *self);

/* Ascending; valid until the next change. */
const struct epoch_history_entry *epoch_history_entries(const struct epoch_history *self);

/* The changes: true when something changed, so that the file has to be written. */

/* The first batch of `epoch` begins at `start_offset`. Entries that contradict it (an epoch or a
 * start at or above the new one) are dropped first. */
bool epoch_history_assign(struct epoch_history *self, int32_t epoch, int64_t start_offset);
/* The log now ends at `end_offset`: epochs that began at or beyond it never were. */
bool epoch_history_truncate_end(struct epoch_history *self, int64_t end_offset);
/* The log now begins at `start_offset`: the epoch there begins there, earlier ones go. */
bool epoch_history_truncate_start(struct epoch_history *self, int64_t start_offset);
bool epoch_history_clear(struct epoch_history *self);

int32_t epoch_history_latest(const struct epoch_history *self); /* EPOCH_HISTORY_NONE: empty. */
/* Of the batch at `offset`; EPOCH_HISTORY_NONE when it is before the first start. */
int32_t epoch_history_epoch_at(const struct epoch_history *self, int64_t offset);
/* Whether a batch that ends at `last_offset` may be of `epoch`; what is before the first start may
 * be of none (-1) or of any that is not newer than the first, and of none in an empty history. */
bool epoch_history_allows(const struct epoch_history *self, int64_t last_offset, int32_t epoch);
/* The answer of OffsetForLeaderEpoch. Newest: (it, log_end). Newer than all, or none asked for
 * (-1), or an empty history: (-1, -1). Older than all: (as asked, first start). Else the largest
 * known epoch not above `epoch` and the start of the next one. */
struct epoch_history_entry epoch_history_end_of(const struct epoch_history *self, int32_t epoch,
                                                int64_t log_end);
