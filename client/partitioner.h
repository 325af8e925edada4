/* Which partition a record goes to when its sender does not say.
 *
 * With a key: murmur2, as Java's producer computes it, so that records of one key meet whoever
 * wrote them. Without one the accumulator fills one partition's batch before it goes to the next.
 *
 * Owner: none, pure. Loop: any. */
#pragma once

#include <stddef.h>
#include <stdint.h>

int32_t partitioner_murmur2(const void *key, size_t byte_count);
/* `partition_count` > 0. */
int32_t partitioner_of_key(const void *key, size_t byte_count, int32_t partition_count);
