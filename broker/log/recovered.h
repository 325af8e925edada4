/* One log while journals are replayed: its entry of the checkpoint, and its state once a record
 * touches it.
 *
 * Nothing is deleted here and no file of the former run is made useless, so that a replay that is
 * cut short can begin again from the same checkpoint: bytes go where the journal says, which is the
 * same place every time. A second replay may find bytes of the first in a segment that a record yet
 * to come cuts; so damage counts only when nothing cut it off in the end.
 *
 * Owner: log_recover(). Loop: any; synchronous. */
#pragma once

#include "broker/log/log_state.h"

struct recovered_world {
    struct disk *disk;
    const char *root;
    struct file_cache *files;
};

struct recovered {
    uint32_t magic;
    struct list link;            /* log_recover()'s. */
    struct checkpoint_blob blob; /* Newest entry; zero bytes: none. */
    uint64_t sequence;           /* Records up to it are in the entry. */
    bool is_removed;
    bool is_touched; /* `state` is in use. */
    bool is_missing; /* Its directory is gone; only its deletion can follow. */
    struct log_state state;
};

struct recovered *recovered_new(const struct wire_uuid *topic_id, int32_t partition);
void recovered_free(struct recovered *self, struct recovered_world *world); /* Accepts NULL. */

/* CORRUPT: the record does not follow from what is there. */
MUST_USE enum status recovered_apply(struct recovered *self, struct recovered_world *world,
                                     const struct journal_record *record);
/* After the last record: everything is written, and durable with the next disk_file_sync_all().
 * CORRUPT: flushed bytes are lost. */
MUST_USE enum status recovered_finish(struct recovered *self, struct recovered_world *world);
