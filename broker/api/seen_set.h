/* Which names a request has named already: a hash set in the request's arena.
 *
 * Sized once from what was decoded, so a peer cannot make it larger than its own bytes justify, and
 * every question is answered in constant time.
 * Owner: the request. Loop: its own. Limits: the count given at init. */
#pragma once

#include "proto/sys/arena.h"
#include "proto/wire/reader.h"

struct seen_set {
    uint64_t *hashes; /* 0: free. In the arena. */
    uint32_t slot_mask;
    uint32_t count;
    uint32_t count_max;
};

/* FULL: the arena has no room. */
MUST_USE enum status seen_set_init(struct seen_set *self, struct arena *arena, uint32_t count_max);
/* EXISTS: it was added before. (64-bit hashes stand for the names.) */
MUST_USE enum status seen_set_add_text(struct seen_set *self, struct wire_text name);
/* By name, or by id where the name is null. */
MUST_USE enum status seen_set_add_partition(struct seen_set *self, struct wire_text topic_name,
                                            const struct wire_uuid *topic_id, int32_t index);
