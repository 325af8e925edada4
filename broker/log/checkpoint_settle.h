/* What one log needs to become durable at a checkpoint, and the run on the lane that does it.
 *
 * Made on the loop from the log's state; everything in it is a copy, so that the log may go on.
 *
 * Owner: the checkpoint. Loop: made and freed on the shard's; checkpoint_settle_run() on a lane. */
#pragma once

#include "broker/log/log_store.h"

struct checkpoint_settle_file {
    struct segment_sides sides;
    struct file_handle *handle; /* NULL: nothing was written to it. */
    uint8_t *snapshot;          /* Owned; for its `.snapshot`. NULL: none. */
    size_t snapshot_byte_count;
    uint32_t byte_count;
    bool must_cut; /* The file ends with its data. */
};

struct checkpoint_settle {
    struct disk_request request;
    struct log *log;
    struct disk *disk;
    char *directory;                      /* Owned. */
    struct checkpoint_settle_file *files; /* Owned. */
    uint32_t file_count;
    uint8_t *epochs; /* Owned; the epoch file. */
    size_t epochs_byte_count;
    struct wire_uuid topic_id;
    bool has_new_names; /* The directory and whose it is are made durable, too. */
    bool is_flushed;    /* By the run itself; else by a disk_file_sync_all() of the checkpoint. */
};

/* Of all segments that are not settled, which count as settled from now on. `is_final` cuts the
 * active one, too. */
MUST_USE enum status checkpoint_settle_new(struct log *log, bool is_final,
                                           struct checkpoint_settle **out_self);
/* Opens what checkpoint_settle_run() syncs. */
MUST_USE enum status checkpoint_settle_open(struct checkpoint_settle *self);
MUST_USE enum status checkpoint_settle_run(struct checkpoint_settle *self);
/* It did not come to be: everything is due again. */
void checkpoint_settle_undo(struct checkpoint_settle *self);
void checkpoint_settle_free(struct checkpoint_settle *self); /* Accepts NULL. */
