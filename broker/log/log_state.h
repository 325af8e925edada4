/* What a log is, apart from its bytes: bounds, leader epochs, segments and their indexes.
 *
 * It changes only by records of the journal, through the log_state_apply_* functions: live, right
 * after the record was put into the journal, and at recovery, where the same functions replay. So a
 * recovered log has the same segments and the same positions as the one that was lost.
 *
 * Owner: the log, or the recovery. Loop: the shard's, or the one that recovers. Limits: segments as
 * many as retention leaves. */
#pragma once

#include "broker/log/checkpoint_format.h"
#include "broker/log/epoch_history.h"
#include "broker/log/journal_format.h"
#include "broker/log/segment.h"

struct log_state {
    uint32_t magic;
    int32_t partition;
    struct wire_uuid topic_id;
    char *topic_name;  /* Owned. */
    char *directory;   /* Owned; the partition's. */
    uint64_t sequence; /* Of the last record applied. */
    int64_t start;
    int64_t end;
    int64_t last_ingested_ms; /* Monotone. -1: none. */
    uint64_t byte_count;      /* Of all segments. */
    uint32_t interval_bytes;
    struct epoch_history epochs;
    struct segment **segments; /* Owned, and what they point at. Ascending. */
    uint32_t segment_count;
    uint32_t segment_room;
    int64_t snapshot_offset; /* Producers as of it; -1: none. */
    uint8_t *snapshot;       /* Owned. */
    uint32_t snapshot_byte_count;
};

/* Segments that a change took out of the state: for deletion, then segment_free(). */
struct log_state_dropped {
    struct segment **segments; /* Owned. */
    uint32_t count;
};

/* An empty log that begins at 0. `root` is the data directory. */
MUST_USE enum status log_state_init(struct log_state *self, const char *root,
                                    const char *topic_name, const struct wire_uuid *topic_id,
                                    int32_t partition);
/* Fills an empty one. */
MUST_USE enum status log_state_load(struct log_state *self, const struct checkpoint_entry *entry);
void log_state_done(struct log_state *self); /* Accepts a zeroed one. */
/* The whole state as an entry of a checkpoint; `out_bytes` is for free(). */
MUST_USE enum status log_state_save(const struct log_state *self, uint8_t **out_bytes,
                                    uint32_t *out_byte_count);

/* NULL: none yet. Appends go to it. */
struct segment *log_state_active(const struct log_state *self);
/* The last one that begins at or before `offset`, else the first; `segment_count` > 0. */
uint32_t log_state_find(const struct log_state *self, int64_t offset);
/* First offset behind segment `which`. */
int64_t log_state_segment_end(const struct log_state *self, uint32_t which);

/* The next batches go to a new segment that begins at the end. The old one is rolled. */
MUST_USE enum status log_state_roll(struct log_state *self, int64_t base_offset,
                                    int64_t created_ms);
/* Room for one more segment, so that log_state_roll() cannot fail half-way. */
MUST_USE enum status log_state_reserve_segment(struct log_state *self);

/* The record's batches have just been placed behind the active segment's end. CORRUPT: they do not
 * fit there. */
MUST_USE enum status log_state_apply_batches(struct log_state *self,
                                             const struct journal_record *record);
/* To a batch border. Indexes of the segment that is cut are loaded. */
MUST_USE enum status log_state_apply_truncated(struct log_state *self,
                                               const struct journal_record *record,
                                               struct log_state_dropped *out_dropped);
/* `out_dropped`: segments wholly below the new start; never the active one. */
void log_state_apply_start(struct log_state *self, const struct journal_record *record,
                           struct log_state_dropped *out_dropped);
void log_state_apply_reset(struct log_state *self, const struct journal_record *record,
                           struct log_state_dropped *out_dropped);
void log_state_apply_epoch(struct log_state *self, const struct journal_record *record);
/* CORRUPT: it lies outside the active segment. */
MUST_USE enum status log_state_apply_aborted(struct log_state *self,
                                             const struct journal_record *record);
/* Takes `bytes` (from malloc, may be NULL). */
void log_state_set_snapshot(struct log_state *self, int64_t offset, uint8_t *bytes,
                            size_t byte_count);
void log_state_dropped_done(struct log_state_dropped *dropped);
