/* `checkpoint-base` as loaded: what every log looked like after the last recovery.
 *
 * Owner: the store. Loop: any; read only after loading. Limits: CHECKPOINT_FORMAT_BYTES_MAX. */
#pragma once

#include "broker/log/checkpoint_format.h"
#include "broker/log/log_table.h"
#include "proto/sys/disk.h"

struct checkpoint_base {
    struct checkpoint_header header;
    uint8_t *bytes; /* Owned; the blobs borrow from it. */
    size_t byte_count;
    struct checkpoint_blob *blobs; /* Owned. */
    uint32_t blob_count;
    struct log_table table; /* Of blobs. */
};

/* Reads a checkpoint file of either kind. NOT_FOUND, CORRUPT, UNSUPPORTED. */
MUST_USE enum status checkpoint_base_load(struct checkpoint_base *self, struct disk *disk,
                                          const char *path);
void checkpoint_base_done(struct checkpoint_base *self); /* Accepts a zeroed one. */
/* NULL: not there. */
const struct checkpoint_blob *checkpoint_base_find(const struct checkpoint_base *self,
                                                   const struct wire_uuid *topic_id,
                                                   int32_t partition);
