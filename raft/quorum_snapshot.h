/* Snapshot files: one file per snapshot, complete when it carries its final name.
 *
 * Written to a temporary name, flushed, renamed; so a file of this name whose checksum is wrong was
 * damaged later. The two newest are kept: when the newest is damaged and the log still reaches back
 * to the older one, that one is loaded.
 *
 *  offset size field
 *       0    4 CRC-32C of all that follows
 *       4    2 version, 1
 *       6    2 zero
 *       8    8 raft index of the last entry inside
 *      16    8 its raft term
 *      24    8 raft index of the configuration
 *      32    8 sequence of the log that was flushed when it was taken, 0 when it was installed
 *      40    4 generation of that log
 *      44    4 bytes of the configuration
 *      48    8 bytes of the payload
 *      56    8 zero
 *      64      configuration (libraft's encoding), then payload (quorum_envelope.h)
 *
 * Owner: the quorum. Loop: the quorum's; writes and reads run on a lane of their own.
 * Limits: QUORUM_SNAPSHOT_BYTES_MAX, one file written at a time. */
#pragma once

#include "proto/sys/loop.h"

#include <stdbool.h>
#include <stdint.h>

#define QUORUM_SNAPSHOT_BYTES_MAX ((size_t)512 << 20)
#define QUORUM_SNAPSHOT_HEADER_BYTES 64U
#define QUORUM_SNAPSHOT_BUFFERS_MAX 5U

struct quorum_snapshot {
    uint64_t index;
    uint64_t term;
    uint64_t configuration_index;
    uint64_t flushed_sequence;
    uint32_t generation;
    const uint8_t *configuration; /* Borrowed. */
    uint32_t configuration_bytes;
    const uint8_t *payload; /* Borrowed; only when read. */
    size_t payload_bytes;
};

/* Embedded by its user, which fills on_done. */
struct quorum_snapshot_write {
    struct quorum_snapshot_store *store; /* The rest is the store's. */
    enum status status;
    struct mail mail;
    uint8_t header[QUORUM_SNAPSHOT_HEADER_BYTES];
    struct disk_buffer buffers[QUORUM_SNAPSHOT_BUFFERS_MAX];
    struct disk_request request;
    struct disk_file *file; /* Owned. */
    uint64_t index;
    uint64_t term;
    bool may_remove; /* The third newest, once this one is safe. */
    uint64_t older_index;
    uint64_t older_term;
    void (*on_done)(struct quorum_snapshot_write *self, enum status status);
};

struct quorum_snapshot_read {
    struct quorum_snapshot_store *store;
    enum status status;
    struct mail mail;
    struct disk_buffer buffer;
    struct disk_request request;
    struct disk_file *file; /* Owned. */
    /* `bytes` is malloc'ed and the receiver's, `snapshot` points into it. */
    void (*on_done)(struct quorum_snapshot_read *self, enum status status, uint8_t *bytes,
                    const struct quorum_snapshot *snapshot);
};

struct quorum_snapshot_store {
    struct loop *loop;      /* Borrowed for life. */
    const char *directory;  /* Borrowed for life. */
    struct disk_lane *lane; /* Owned. */
    uint64_t index;         /* Of the newest; 0: there is none. */
    uint64_t term;
    uint64_t older_index; /* Of the one before it; 0: there is none. */
    uint64_t older_term;
    uint32_t read_count; /* Under way; nothing is removed meanwhile. */
};

/* Removes what an unfinished write left, and all but the two newest. */
MUST_USE enum status quorum_snapshot_open(struct quorum_snapshot_store *self, struct loop *loop,
                                          const char *directory);
/* Ends the lane; callbacks of what was under way still run. Accepts a zeroed one. */
void quorum_snapshot_close(struct quorum_snapshot_store *self);

/* The newest readable one: `out_bytes` is malloc'ed, `out_snapshot` points into it.
 * STATUS_NOT_FOUND: there is none; STATUS_CORRUPT: none is readable. */
MUST_USE enum status quorum_snapshot_load(struct quorum_snapshot_store *self, uint8_t **out_bytes,
                                          struct quorum_snapshot *out_snapshot);
/* STATUS_CORRUPT or STATUS_UNSUPPORTED. */
MUST_USE enum status quorum_snapshot_decode(const uint8_t *bytes, size_t byte_count,
                                            struct quorum_snapshot *out_snapshot);

/* `snapshot` goes without payload, which is `payload[payload_count]`; all of it stays put until
 * on_done, which never runs from inside. Not while another write is under way. */
void quorum_snapshot_write_start(struct quorum_snapshot_store *self,
                                 struct quorum_snapshot_write *write,
                                 const struct quorum_snapshot *snapshot,
                                 const struct disk_buffer *payload, uint32_t payload_count);
/* Reads the newest one; there is one. on_done never runs from inside. */
void quorum_snapshot_read_start(struct quorum_snapshot_store *self,
                                struct quorum_snapshot_read *read);
