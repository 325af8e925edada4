#include "client/partitioner.h"

#include "proto/sys/check.h"

#define MURMUR2_SEED 0x9747b28cU
#define MURMUR2_FACTOR 0x5bd1e995U
#define MURMUR2_SHIFT 24

int32_t partitioner_murmur2(const void *key, size_t byte_count)
{
    const uint8_t *bytes = key;
    uint32_t hash = MURMUR2_SEED ^ (uint32_t)byte_count;
    size_t left = byte_count;
    for (; left >= 4; left -= 4, bytes += 4) {
        uint32_t word = (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
                        (uint32_t)bytes[3] << 24;
        word *= MURMUR2_FACTOR;
        word ^= word >> MURMUR2_SHIFT;
        word *= MURMUR2_FACTOR;
        hash = (hash * MURMUR2_FACTOR) ^ word;
    }
    if (left > 0) {
        uint32_t rest = 0;
        for (size_t i = 0; i < left; i++) {
            rest |= (uint32_t)bytes[i] << (8 * i);
        }
        hash = (hash ^ rest) * MURMUR2_FACTOR;
    }
    hash ^= hash >> 13;
    hash *= MURMUR2_FACTOR;
    hash ^= hash >> 15;
    return (int32_t)hash;
}

int32_t partitioner_of_key(const void *key, size_t byte_count, int32_t partition_count)
{
    check(partition_count > 0);
    return (int32_t)((uint32_t)partitioner_murmur2(key, byte_count) & INT32_MAX) % partition_count;
}
