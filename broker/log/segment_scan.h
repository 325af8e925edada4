/* Goes over the batches of a segment's file, synchronously, each checked against its checksum and
 * its place.
 *
 * Owner: the caller. Loop: any thread. Limits: one batch in memory (LOG_APPEND_BYTES_MAX), read
 * ahead. */
#pragma once

#include "broker/log/offset_chain.h"
#include "proto/sys/disk.h"

struct segment_scan {
    struct disk *disk;
    struct disk_file *file; /* Borrowed. */
    uint32_t position;      /* Of the next batch. */
    uint32_t limit;         /* The segment's bytes. */
    struct offset_chain chain;
    uint8_t *buffer; /* Owned, block-aligned. */
    size_t buffer_room;
    uint32_t buffer_position; /* In the file; a block border. */
    size_t buffer_bytes;
};

/* From where `index` says that `offset` is looked for. CORRUPT: that is not below the limit. */
struct segment_scan_range {
    const struct offset_index *index;
    int64_t offset;
    uint32_t limit;
};

MUST_USE enum status segment_scan_init(struct segment_scan *self, struct disk *disk,
                                       struct disk_file *file,
                                       const struct segment_scan_range *range);
void segment_scan_done(struct segment_scan *self);
/* Borrowed until the next call. NOT_FOUND: the limit is reached. CORRUPT: what lies there is no
 * sound batch, or one of another place, or the file is too short. */
MUST_USE enum status segment_scan_next(struct segment_scan *self, struct batch_view *out_batch,
                                       uint32_t *out_position);
