/* What an aggregation's groups look like, and the bytes of one group's partial results.
 *
 *   offset size field
 *        0    8 greatest created time in ms, -1: not known
 *        8    8 greatest ingested time in ms, -1: not told
 *       16    n uvarint64: input rows
 *       ..    n the state of each aggregate, in the order of the plan (aggregate.h)
 *
 * These bytes stand in changelogs and routes: they never change. Golden bytes:
 * tests/unit/processor/state/test_state_codec.c.
 *
 * Owner: the operator. Loop: its. Limits: STATE_CODEC_COLUMNS_MAX aggregates, and as many keys. */
#pragma once

#include "processor/state/group_table.h"

#define STATE_CODEC_COLUMNS_MAX 1024U

struct state_codec {
    struct aggregate *aggregates; /* Owned, as the next two. */
    enum value_type *key_types;
    struct group *scratch; /* What was read last. */
    uint32_t aggregate_count;
    uint32_t key_count;
};

/* Room for so many; the caller fills aggregates and types. On failure `self` may still be passed to
 * state_codec_done(). */
MUST_USE enum status state_codec_init(struct state_codec *self, uint32_t aggregate_count,
                                      uint32_t key_count);
void state_codec_done(struct state_codec *self);

void state_codec_put(const struct state_codec *self, const struct group *group,
                     struct grow_buffer *buffer);
/* The group of `window_start` and `key` whose partial results come next in `reader`; it borrows
 * from the input and lives until the next call. NULL: the reader has failed, or the key is none. */
struct group *state_codec_read(struct state_codec *self, int64_t window_start,
                               struct wire_bytes key, struct wire_reader *reader);
