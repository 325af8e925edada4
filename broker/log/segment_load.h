/* Brings back the indexes of a segment that has none in memory: from its side files where they are
 * what the checkpoint says they were, else from the segment itself.
 *
 * Owner: the caller. Loop: any thread; it touches files only, through what it was given. */
#pragma once

#include "broker/log/segment.h"

struct segment_load {
    struct disk *disk;
    const char *directory; /* Borrowed. */
    uint32_t interval_bytes;
    int64_t end_offset; /* Of the segment. */
    struct checkpoint_segment segment;
    bool may_be_cut;                /* Damage in the segment itself ends the rebuilding, no more. */
    bool must_rebuild_txns;         /* The file is not to be believed. */
    struct index_set *indexes;      /* Out: for the segment, or segment_load_done(). */
    bool is_damaged[SEGMENT_SIDES]; /* Out: what was made anew, or is not known any more. */
    uint32_t sound_bytes;           /* Out: of the segment, as far as looked at. */
    /* Out: the transaction index is not what the checkpoint saw. With `may_be_cut` it holds what
     * the file has now, which is right up to a cut that is still to come. */
    bool has_doubtful_txns;
};

/* CORRUPT: the segment, too, is damaged (but see `may_be_cut`). */
MUST_USE enum status segment_load_run(struct segment_load *self);
void segment_load_done(struct segment_load *self); /* Accepts a zeroed one. */
