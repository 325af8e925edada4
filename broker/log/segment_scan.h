/* Goes over the batches of a segment's file, synchronously, each checked against its checksum.
 *
 * Owner: the caller. Loop: any thread. Limits: one batch in memory, read ahead. */
#pragma once

#include "proto/record/batch.h"
#include "proto/sys/disk.h"

struct segment_scan {
    struct disk *disk;
    struct disk_file *file; /* Borrowed. */
    uint32_t position;      /* Of the next batch. */
    uint32_t limit;         /* The segment's bytes. */
    uint8_t *buffer;        /* Owned, block-aligned. */
    size_t buffer_room;
    uint32_t buffer_position; /* In the file; a block border. */
    size_t buffer_bytes;
};

void segment_scan_init(struct segment_scan *self, struct disk *disk, struct disk_file *file,
                       uint32_t position, uint32_t limit);
void segment_scan_done(struct segment_scan *self);
/* Borrowed until the next call. NOT_FOUND: the limit is reached. CORRUPT: what lies there is no
 * sound batch, or the file is too short. */
MUST_USE enum status segment_scan_next(struct segment_scan *self, struct batch_view *out_batch,
                                       uint32_t *out_position);
