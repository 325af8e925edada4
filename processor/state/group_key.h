/* The key of a group as bytes: equal keys are equal bytes, and bytes sort as the keys do.
 *
 * Columns one after the other, each a tag and a value:
 *
 *   tag 1 value, 2 null (so nulls come last)
 *   bool          1 byte
 *   int           4, sign bit turned
 *   bigint, timestamptz   8, sign bit turned
 *   double        8, turned so that they sort; -0 is 0, all NaN are one, above all
 *   interval      as bigint: months, days (4 each), micros (8), by representation
 *   text          its bytes, 0x00 as 0x00 0xff, then 0x00 0x01
 *
 * A group's bucket is XXH3_64bits of its key modulo 256; bucket b of a topic with P partitions lies
 * in b * P / 256. These bytes stand in changelogs and routes: they never change.
 *
 * Owner: nobody. Loop: any. */
#pragma once

#include "processor/row/column.h"
#include "proto/wire/reader.h"

#define GROUP_KEY_BUCKET_COUNT 256U

/* Of each row of a batch; in the arena. */
struct group_keys {
    const uint8_t *bytes;
    const uint32_t *ends; /* Row i is [ends[i], ends[i + 1]). */
    const uint64_t *hashes;
};

/* NO_MEMORY: the arena; FULL: more than 4 GiB of keys. */
MUST_USE enum status group_key_encode(const struct column *columns, uint32_t column_count,
                                      uint32_t row_count, struct arena *arena,
                                      struct group_keys *out_keys);
/* MALFORMED: not the encoding of such columns. */
MUST_USE enum status group_key_check(const enum value_type *types, uint32_t column_count,
                                     struct wire_bytes key);
/* Columns of checked keys; rows are in the order of `keys`. NO_MEMORY: the arena. */
MUST_USE enum status group_key_decode(const enum value_type *types, uint32_t column_count,
                                      const struct wire_bytes *keys, uint32_t row_count,
                                      struct arena *arena, struct column *out_columns);
uint64_t group_key_hash(struct wire_bytes key);
int group_key_compare(struct wire_bytes left, struct wire_bytes right);

static inline uint32_t group_key_bucket(uint64_t hash)
{
    return (uint32_t)(hash % GROUP_KEY_BUCKET_COUNT);
}

static inline uint32_t group_key_partition(uint64_t hash, uint32_t partition_count)
{
    return (uint32_t)((uint64_t)group_key_bucket(hash) * partition_count / GROUP_KEY_BUCKET_COUNT);
}
