/* Reading the quorum's log back: which entries it holds, where it ends, and whether it was harmed.
 *
 * Files of the newest generation are read in order; each record must be the successor of the one
 * before it, also from file to file. The log ends at the first that is not. It is STATUS_CORRUPT,
 * not an end, when something proves that more had been flushed: a later record that says so, a
 * later file, or the snapshot. What is left of an earlier generation, or of a file that never got
 * its first record, is passed over; who opens the log removes it, once the rest is safe. A log that
 * neither holds the snapshot's last entry nor starts right behind it is one whose replacement by
 * that snapshot was cut short: it is dropped.
 *
 * Owner: quorum_log. Loop: the quorum's, synchronously, at start. Limits: file and record sizes. */
#pragma once

#include "proto/sys/loop.h"
#include "raft/quorum_record.h"

#include <stdbool.h>

#define QUORUM_REPLAY_FILES_MAX 1024U

struct quorum_replay_file {
    uint64_t sequence;   /* Of its first record, and its name. */
    uint64_t base_index; /* Of the entry before the file. */
};

struct quorum_replay_options {
    struct loop *loop;
    const char *directory;
    const uint8_t *directory_id; /* 16 bytes. */
    /* Of the snapshot that is loaded; zeros: there is none. */
    uint64_t snapshot_index;
    uint64_t snapshot_term;
    uint64_t snapshot_flushed_sequence;
    uint32_t snapshot_generation;
};

struct quorum_replay {
    struct quorum_replay_options options;
    uint64_t start_index;          /* Of the first entry. */
    struct quorum_record *entries; /* Owned; command, barrier and change records. */
    size_t entry_count;
    size_t entry_count_max;
    struct quorum_chain chain; /* All zero: there is no file. */
    enum quorum_record_kind last_kind;
    struct quorum_replay_file files[QUORUM_REPLAY_FILES_MAX];
    uint8_t *bytes[QUORUM_REPLAY_FILES_MAX]; /* Owned; what the entries point into. */
    size_t byte_counts[QUORUM_REPLAY_FILES_MAX];
    uint32_t file_count;
    uint64_t leftovers[QUORUM_REPLAY_FILES_MAX]; /* Names of files that do not count. */
    uint32_t leftover_count;
    size_t tail_position; /* Where the last file ends as far as it counts. */
    bool is_dropped;      /* The snapshot has replaced the log; entries are gone. */
};

/* On failure `self` may still be passed to quorum_replay_done(). */
MUST_USE enum status quorum_replay_read(struct quorum_replay *self,
                                        const struct quorum_replay_options *options);
void quorum_replay_done(struct quorum_replay *self);
