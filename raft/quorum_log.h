/* The quorum's log on disk: append-only files of records, flushed in batches, trimmed by whole
 * files.
 *
 * Appends and truncations wait in one queue. One durable write at a time takes all that is queued
 * when it begins; when it ends, every callback of the batch runs, in order. A truncation is a
 * record like any other, so nothing is ever written twice in place. Once the log has been quiet for
 * a second a MARK record says how far it was flushed, so that later damage is seen as damage.
 *
 * Files are named log-<sequence of the first record, 20 digits>; each begins with a SEGMENT record.
 * Owner: the quorum. Loop: the quorum's; opening, resetting and trimming are synchronous.
 * Limits: QUORUM_REPLAY_FILES_MAX files; what is queued is bounded by who appends. */
#pragma once

#include "proto/sys/loop.h"
#include "raft/quorum_replay.h"

#include <stdbool.h>

#define QUORUM_LOG_SEGMENT_BYTES_DEFAULT (4U << 20)
#define QUORUM_LOG_BATCH_OPERATIONS_MAX 256U
#define QUORUM_LOG_QUIET_MS 1000

struct quorum_log_options {
    struct loop *loop;
    const char *directory;       /* Borrowed for life. */
    const uint8_t *directory_id; /* 16 bytes, borrowed for life. */
    uint32_t segment_bytes;      /* 0: the default. */
    /* Once, when a write failed; nothing else happens after it. */
    void (*on_failed)(void *context, enum status why);
    /* The last batch has ended and nothing is queued. */
    void (*on_idle)(void *context);
    void *context;
};

struct quorum_log_entry {
    enum quorum_record_kind kind; /* COMMAND, BARRIER or CHANGE. */
    uint64_t term;
    const void *bytes; /* Borrowed during the call. */
    uint32_t byte_count;
};

/* A batch of entries on its way; embedded by its user, which fills on_done. */
struct quorum_log_append {
    void (*on_done)(struct quorum_log_append *self);
};

struct quorum_log {
    struct quorum_log_options options;
    struct disk_lane *lane; /* Owned. */
    struct disk_file *file; /* Owned; the last of `files`. */
    uint64_t position;      /* Where the next batch goes. */
    struct quorum_chain chain;
    uint64_t flushed_sequence;
    uint64_t last_index; /* Of the last entry queued or written. */
    uint64_t last_term;
    uint64_t written_index; /* Of the last entry written: where a new file starts. */
    uint64_t written_term;
    bool is_marked; /* The last record is a MARK. */
    bool has_failed;
    struct list queue;  /* Operations that wait. */
    struct list flight; /* Operations being written; at most one batch. */
    size_t batch_bytes;
    bool is_rolling; /* The next file is being made, with these. */
    struct quorum_chain roll_chain;
    struct disk_file *roll_file;
    struct disk_request request;
    struct disk_buffer buffers[QUORUM_LOG_BATCH_OPERATIONS_MAX];
    struct timer quiet;
    struct quorum_replay_file *files; /* Owned; oldest first. */
    uint32_t file_count;
};

/* The log of a birth: one file, one entry at index 1. Removes what an unfinished birth left. */
MUST_USE enum status quorum_log_create(const struct quorum_log_options *options,
                                       const struct quorum_log_entry *first);
/* Goes on behind what was replayed, whose files it takes over. */
MUST_USE enum status quorum_log_open(struct quorum_log *self,
                                     const struct quorum_log_options *options,
                                     const struct quorum_replay *replay);
/* Ends the lane; callbacks of the batch under way still run, those behind it never do. Accepts a
 * zeroed one. */
void quorum_log_close(struct quorum_log *self);

/* The entries get the next indexes. on_done never runs from inside. */
void quorum_log_append(struct quorum_log *self, struct quorum_log_append *append,
                       const struct quorum_log_entry *entries, uint32_t entry_count);
/* Cuts the entries from `index` on, in order with the appends. */
void quorum_log_truncate(struct quorum_log *self, uint64_t index, uint64_t term_before);
/* The same, synchronously; the log is idle. */
MUST_USE enum status quorum_log_truncate_now(struct quorum_log *self, uint64_t index,
                                             uint64_t term_before);
/* Nothing is queued or being written. */
bool quorum_log_is_idle(const struct quorum_log *self);
/* Replaces the whole log by an empty one behind (index, term), in a new generation. Idle. */
MUST_USE enum status quorum_log_reset(struct quorum_log *self, uint64_t index, uint64_t term);
/* Removes files that hold no entry above `index`. */
MUST_USE enum status quorum_log_trim(struct quorum_log *self, uint64_t index);
