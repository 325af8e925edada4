/* The partition logs of one shard: append to memory and journal, read from memory or segments.
 *
 * A log is a row of segments in Kafka's format below `<topic>-<partition>/`. Appended batches are
 * readable at once (tail cache); they are durable when on_flushed has named an end beyond them.
 * The store's journal is the only file that is flushed for that: one group commit for all logs that
 * wait. Segments are written behind it on a lane of their own and made durable at checkpoints,
 * after which the journal's space is used again (README.md of this folder has the formats).
 *
 * Owner: the shard. Loop: the shard's; its lanes work behind it. Limits: journal_bytes, the memory
 * budget (tail cache), LOG_APPEND_BYTES_MAX per append. */
#pragma once

#include "proto/sys/budget.h"
#include "proto/sys/loop.h"
#include "proto/wire/reader.h"

#define LOG_APPEND_BYTES_MAX (16U << 20)
#define LOG_JOURNAL_BYTES_DEFAULT (256U << 20)

struct log;
struct log_store;

/* Values of a topic's configuration that the log obeys; changed by log_configure(). */
struct log_config {
    int64_t segment_bytes;        /* segment.bytes */
    int64_t segment_ms;           /* segment.ms */
    int64_t retention_bytes;      /* retention.bytes; -1: none */
    int64_t retention_ms;         /* retention.ms; -1: none */
    int32_t index_interval_bytes; /* index.interval.bytes */
    int64_t file_delete_delay_ms; /* file.delete.delay.ms */
    bool is_delete_policy;        /* cleanup.policy contains delete */
    bool is_memory_durable;       /* durability=memory: acknowledged before the flush */
};

struct log_store_options {
    struct loop *loop;
    const char *directory; /* Of the node's data; shared by its shards. Made when missing. */
    uint32_t shard_index;
    uint64_t journal_bytes;  /* 0: the default. */
    uint64_t free_bytes_min; /* Appends are refused with STATUS_NO_SPACE below it. */
    struct budget *budget;
    /* Whether this store would hold the log with that id; NULL: all of them. Two lives of one name
     * may belong to two shards, and only the shard of a life ends it. */
    bool (*is_in_charge)(void *context, const struct wire_uuid *topic_id, int32_t partition);
    /* A flush failed or our own bytes were wrong: nothing is acknowledged any more; the node stops.
     */
    void (*on_failed)(void *context, enum status why);
    /* Journal or memory has room again after an append met STATUS_BUSY. */
    void (*on_room)(void *context);
    void *context;
};

struct log_events {
    /* Everything below `flushed_end` is durable here. Rises. */
    void (*on_flushed)(void *context, int64_t flushed_end);
    /* The log wants the partition's producer snapshot as of `end` (its present end): fill
     * `out_bytes` (malloc'ed, Kafka's .snapshot format) or leave it NULL. */
    void (*on_snapshot_wanted)(void *context, int64_t end, uint8_t **out_bytes,
                               size_t *out_byte_count);
    /* Retention or a peer moved the start. */
    void (*on_start_moved)(void *context, int64_t start);
    void *context;
};

struct log_options {
    const char *topic_name;
    struct wire_uuid topic_id;
    int32_t partition;
    struct log_config config;
    struct log_events events;
};

/* Once per process start, before any store is opened, on one loop, synchronously: replays the
 * journals of all shards of the former run (whatever their number) into the segments, makes those
 * durable, and leaves no journal to replay. STATUS_CORRUPT: flushed bytes are damaged in a way that
 * replay must not paper over; STATUS_UNSUPPORTED: a newer format. */
MUST_USE enum status log_recover(struct loop *loop, const char *directory);

MUST_USE enum status log_store_open(const struct log_store_options *options,
                                    struct log_store **out_store);
/* Clean: flushes, checkpoints, trims segments to their data, writes the clean mark, then on_closed.
 * Logs must not be used from the call on; they are freed with the store. */
void log_store_close(struct log_store *self, void (*on_closed)(void *context), void *context);

/* Puts directories aside (`-stray`, as Kafka does) whose logs are open nowhere and `is_stray`:
 * those of topics that were deleted while this node was down. Nothing is removed: should the
 * question have been wrong, a rename brings them back. Synchronous; for once after a start. */
void log_store_put_strays_aside(struct log_store *self,
                                bool (*is_stray)(void *context, const struct wire_uuid *topic_id),
                                void *context);

/* Opens or makes. A directory of that name with another topic id is an earlier life of the name
 * and is deleted first. NO_SPACE, BUSY: no new log can be made now; a later try may succeed. */
MUST_USE enum status log_open(struct log_store *store, const struct log_options *options,
                              struct log **out_log);
void log_configure(struct log *self, const struct log_config *config);
/* The user goes: a last producer snapshot is taken inside the call, no event comes any more, its
 * reads have been released (those under way end with CANCELED); the log stays on disk and may be
 * opened again. */
void log_forget(struct log *self);
/* As log_forget(), of a user that could not follow the log: no snapshot is taken, those that there
 * are stay. The log may still be asked for its ends, and deleted. */
void log_abandon(struct log *self);
/* Gone after a crash as well as soon as the journal has it; the log is freed at once. */
void log_delete(struct log *self);

struct log_append {
    /* Whole batches with consecutive offsets that begin at log_end(); stamped with their offsets
     * and leader epoch. Their checksums were verified by the caller: the journal relies on them.
     * Copied before the call returns. */
    const uint8_t *bytes;
    size_t byte_count;
    int64_t ingested_ms;                /* The leader's clock; the log keeps it monotone. */
    const int64_t *ingested_of_batches; /* Follower: one per batch, from the leader, or NULL. */
};

/* BUSY: journal or budget is full, on_room follows. NO_SPACE, and all else: nothing was appended.
 * INVALID: the bytes are no such batches. FULL: more than a quarter of the journal. */
MUST_USE enum status log_append(struct log *self, const struct log_append *append);

int64_t log_start(const struct log *self);
int64_t log_oldest(const struct log *self);      /* Batches there are; at or below the start. */
int64_t log_end(const struct log *self);         /* Next offset; readable below it. */
int64_t log_flushed_end(const struct log *self); /* Durable below it. */
uint64_t log_byte_count(const struct log *self); /* Of all segments. */

/* A pinned piece of the log. */
struct log_read {
    /* In: */
    int64_t offset;
    int64_t offset_limit;  /* Batches at or beyond it are not returned (whole batches only). */
    size_t byte_count_max; /* Soft: the first batch is returned whole. */
    bool at_least_one;     /* Else the first batch, too, must fit. */
    void (*on_done)(struct log_read *self, enum status status);
    /* Out: whole batches, the first one contains `offset`. Pinned until log_read_release(). */
    struct wire_slice *slices;
    uint32_t slice_count;
    size_t byte_count;
    int64_t next_offset;  /* Behind the last batch returned. */
    int64_t *ingested_ms; /* One per batch returned. */
    uint32_t batch_count;
    /* The log's. */
    struct log *log;
    void *pin;
    struct list link;
    struct disk_request request;
};

/* OK: filled at once, on_done is not called. PENDING: on_done tells, from the loop (CANCELED when
 * the log was deleted or closed meanwhile). OUT_OF_RANGE: below the start or above the end.
 * CORRUPT: a batch is damaged and not served. BUSY: memory is short, nothing was read.
 * The struct is the caller's and stays put until released. */
MUST_USE enum status log_read(struct log *self, struct log_read *read);
/* On the log's loop. Accepts a read that failed. */
void log_read_release(struct log_read *read);

/* Drops everything at or beyond `offset`: a journal record, then the segments. */
MUST_USE enum status log_truncate(struct log *self, int64_t offset);
/* Deletes all and begins anew at `offset` (a follower that is below its leader's start). */
MUST_USE enum status log_reset(struct log *self, int64_t offset);

struct log_change {
    void (*on_done)(struct log_change *self, enum status status); /* Durable. */
    struct list link;
};
/* The start moves up to `offset` (DeleteRecords); OUT_OF_RANGE above the retention limit. */
MUST_USE enum status log_move_start(struct log *self, int64_t offset, struct log_change *change);
/* Retention deletes whole segments below `offset` only (the high watermark). */
void log_set_retention_limit(struct log *self, int64_t offset);

/* ListOffsets. `found` false: no such record. */
struct log_time_search {
    int64_t timestamp_ms; /* In. -3 (LOG_TIME_MAX): the record with the greatest timestamp. */
    int64_t offset_limit; /* In. */
    void (*on_done)(struct log_time_search *self, enum status status);
    bool found; /* Out, and the rest. */
    int64_t offset;
    int64_t timestamp_found_ms;
    int32_t leader_epoch;
    struct log *log; /* The log's. */
    struct log_read read;
};
#define LOG_TIME_MAX (-3)
/* As log_read(): OK at once, or PENDING and on_done. */
MUST_USE enum status log_search_time(struct log *self, struct log_time_search *search);

/* Leader epochs (KIP-101): kept in `leader-epoch-checkpoint`, cut with truncation and start. */
void log_assign_leader_epoch(struct log *self, int32_t leader_epoch, int64_t start_offset);
int32_t log_latest_leader_epoch(const struct log *self);             /* -1: none. */
int32_t log_leader_epoch_at(const struct log *self, int64_t offset); /* -1: not known. */
/* OffsetForLeaderEpoch's rule; (-1, -1) when `leader_epoch` is newer than all known. */
void log_end_of_leader_epoch(const struct log *self, int32_t leader_epoch, int32_t *out_epoch,
                             int64_t *out_end_offset);

/* Aborted transactions (.txnindex). */
struct log_aborted_txn {
    int64_t producer_id;
    int64_t first_offset;
    int64_t last_offset;        /* Of the abort marker. */
    int64_t last_stable_offset; /* When it was written. */
};
/* Of the newest segment, in the order of the markers. CORRUPT: it contradicts those before it. */
MUST_USE enum status log_append_aborted_txn(struct log *self,
                                            const struct log_aborted_txn *aborted);
/* All that overlap [offset, offset_limit); fills at most `count_max`, FULL when there were more. */
MUST_USE enum status log_list_aborted_txns(struct log *self, int64_t offset, int64_t offset_limit,
                                           struct log_aborted_txn *out_aborted, uint32_t count_max,
                                           uint32_t *out_count);

/* The newest producer snapshot at or below the end: bytes for free(), NULL when there is none. */
MUST_USE enum status log_load_snapshot(struct log *self, int64_t *out_offset, uint8_t **out_bytes,
                                       size_t *out_byte_count);
/* Synchronous walk over whole batches to the end, from `offset` or the oldest one there is (below
 * the start, perhaps); for start-up only. What `on_batch` refuses ends it, with its status. */
MUST_USE enum status log_replay(struct log *self, int64_t offset,
                                enum status (*on_batch)(void *context, const uint8_t *batch,
                                                        size_t byte_count, int64_t ingested_ms),
                                void *context);
