/* Records of the changelog: what a group is now, or that it is gone.
 *
 *   key    offset size field
 *               0    1 version: 1
 *               1    4 id of the operator (of its meaning: a plan may place it elsewhere)
 *               5    1 bucket: XXH3_64bits(encoded key) % 256
 *               6    8 start of the window in us; INT64_MIN: there are no windows
 *              14    n encoded key (group_key.h)
 *   value       0    1 version: 1
 *               1    1 flags: 1: a row of the group has left before (update mode)
 *               2    n partial results (state_codec.h)
 *   no value: the group is gone
 *
 * Golden bytes: tests/unit/processor/state/test_changelog.c.
 * Owner: the operator. Loop: its. */
#pragma once

#include "processor/state/state_codec.h"

struct changelog_record {
    bool is_removed;
    struct group *group; /* The codec's; of a removed one only window, key and hash count. */
};

void changelog_put_key(uint32_t operator_id, const struct group *group, struct grow_buffer *buffer);
void changelog_put_value(const struct state_codec *codec, const struct group *group,
                         struct grow_buffer *buffer);
/* CORRUPT: not of this operator, or it breaks the format; UNSUPPORTED: a newer version. */
MUST_USE enum status changelog_read(struct state_codec *codec, uint32_t operator_id,
                                    struct wire_bytes key, struct wire_bytes value,
                                    struct changelog_record *out_record);
