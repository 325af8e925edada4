#include "broker/coordinator/ledger_key.h"

#include "proto/sys/check.h"

/* The next character of UTF-8 text; a byte that begins none stands for U+FFFD, as in Java. */
static uint32_t next_character(const uint8_t **place, const uint8_t *end)
{
    uint8_t first = *(*place)++;
    uint32_t tail_count = first < 0x80 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
    if (first < 0x80) {
        return first;
    }
    if (first < 0xc2 || first > 0xf4) {
        return 0xfffd;
    }
    uint32_t character = first & (0x3fU >> tail_count);
    for (uint32_t i = 0; i < tail_count; i++) {
        if (*place == end || (**place & 0xc0) != 0x80) {
            return 0xfffd;
        }
        character = (character << 6) | (*(*place)++ & 0x3fU);
    }
    return character;
}

int32_t ledger_key_partition(struct wire_text key, uint32_t partition_count)
{
    check(partition_count > 0);
    uint32_t hash = 0;
    const uint8_t *place = (const uint8_t *)key.bytes;
    const uint8_t *end = key.byte_count <= 0 ? place : place + key.byte_count;
    while (place < end) {
        uint32_t character = next_character(&place, end);
        if (character >= 0x10000) { /* Two UTF-16 units. */
            hash = hash * 31 + (0xd800 + ((character - 0x10000) >> 10));
            character = 0xdc00 + ((character - 0x10000) & 0x3ff);
        }
        hash = hash * 31 + character;
    }
    uint32_t absolute = hash == 0x80000000U ? 0 : (hash & 0x80000000U) != 0 ? 0U - hash : hash;
    return (int32_t)(absolute % partition_count);
}
