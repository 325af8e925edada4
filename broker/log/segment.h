/* One segment of a log: what is known of its file without reading it, and its indexes.
 *
 * Bytes come in at the end and are written behind (write_behind.h); `written_bytes` are in the
 * file. The file is allocated ahead, so it is longer than `byte_count` until it is cut. The indexes
 * are in memory while the segment is appended to; of older segments they are loaded when a reader
 * needs them and may go again. What the checkpoint says of the side files (size, checksum) decides
 * whether they are believed.
 *
 * Owner: the log_state. Loop: the shard's; the functions on files take a disk and run anywhere.
 * Limits: INT32_MAX bytes, as in Kafka. */
#pragma once

#include "broker/log/checkpoint_format.h"
#include "broker/log/file_cache.h"
#include "broker/log/index_set.h"
#include "broker/log/log_name.h"

#define SEGMENT_SIDES CHECKPOINT_FORMAT_SIDES
#define SEGMENT_BYTES_MAX ((uint32_t)INT32_MAX)

struct segment {
    uint32_t magic;
    uint32_t byte_count;
    uint32_t written_bytes;
    uint32_t allocated_bytes; /* Of the file; 0: look first. */
    uint32_t sound_bytes;     /* Recovery: damaged from here on; UINT32_MAX: not known to be. */
    int64_t base_offset;
    int64_t max_timestamp_ms;   /* -1: none. */
    int64_t first_timestamp_ms; /* Of the first batch since the start; -1: none or not known. */
    int64_t last_ingested_ms;
    int64_t created_ms;
    bool has_doubtful_txns; /* Recovery: see segment_load.h. */
    bool is_rolled;         /* Nothing is appended any more. */
    bool is_settled;        /* File and sides are as here, or will be: a checkpoint took them. */
    bool is_settling;       /* It has not written them yet, so the indexes must stay. */
    bool has_snapshot;      /* A `.snapshot` of its base offset was written. */
    uint8_t *snapshot;      /* Owned; its bytes until then. NULL: none. */
    size_t snapshot_byte_count;
    struct checkpoint_side sides[SEGMENT_SIDES]; /* As written; from LOG_NAME_INDEX on. */
    struct index_set *indexes;                   /* Owned; NULL: not loaded. */
    struct list index_link;                      /* The store's, while loaded and rolled. */
    struct file_handle *handle;                  /* Home of the file. */
};

/* NULL: no memory. Without indexes. */
struct segment *segment_new(int64_t base_offset, int64_t created_ms);
struct segment *segment_of_checkpoint(const struct checkpoint_segment *from);
void segment_free(struct segment *self); /* Accepts NULL. */
void segment_to_checkpoint(const struct segment *self, struct checkpoint_segment *out);
/* Gives an empty segment its empty indexes. */
MUST_USE enum status segment_start_indexes(struct segment *self, uint32_t interval_bytes);
void segment_drop_indexes(struct segment *self);

/* For `batch_count` batches more with these bounds; false: roll. Indexes are loaded. */
struct segment_extent {
    int64_t last_offset;
    uint32_t byte_count;
    uint32_t batch_count;
};
bool segment_has_room(const struct segment *self, const struct segment_extent *extent);
/* One batch at `byte_count`, which grows by `batch_bytes`. */
void segment_add(struct segment *self, const struct index_set_batch *batch, uint32_t batch_bytes);
/* Batches at or beyond `offset` are gone; the first of them began at `position`. The time index
 * may know too little of the last batches then: see segment_observe(). */
void segment_truncate(struct segment *self, int64_t offset, uint32_t position);
/* A batch that is left after a truncation, for what the time index forgot. */
void segment_observe(struct segment *self, int64_t max_timestamp_ms, int64_t last_offset);

/* Index bytes that the side files do not have yet. */
struct segment_side_bytes {
    uint8_t *bytes; /* Owned. */
    uint32_t position;
    uint32_t byte_count;
};
struct segment_sides {
    int64_t base_offset;
    bool is_rolled;
    struct segment_side_bytes sides[SEGMENT_SIDES];
    struct checkpoint_side former[SEGMENT_SIDES]; /* As they were before. */
};
/* Seals the indexes, copies what is new and counts it as written. */
MUST_USE enum status segment_collect_sides(struct segment *self, struct segment_sides *out_sides);
/* These are written anew from their beginning with the next ones. */
void segment_forget_sides(struct segment *self, const bool is_forgotten[SEGMENT_SIDES]);
/* What was collected was not written after all: it is due again. */
void segment_give_back_sides(struct segment *self, const struct segment_sides *sides);
void segment_sides_done(struct segment_sides *sides); /* Accepts zeroed ones. */
/* On files, any thread. Not flushed: a disk_file_sync_all() follows before anything counts on it.
 */
MUST_USE enum status segment_write_sides(struct disk *disk, const char *directory,
                                         const struct segment_sides *sides, bool is_flushed);

/* `<directory>/<offset>.<kind>`, with `.deleted` behind it by `state`. */
void segment_path(const char *directory, int64_t offset, enum log_name_file file,
                  enum log_name_state state, char out_path[DISK_PATH_BYTES_MAX]);
