/* Big-endian numbers at a place in memory, as the wire and Kafka's files hold them.
 *
 * No bounds of its own: for fixed layouts whose size the caller has checked. What is read field by
 * field from outside goes through proto/wire/reader.h. Owner: none. Loop: any. */
#pragma once

#include <endian.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t big_endian_get16(const uint8_t *bytes)
{
    uint16_t value;
    memcpy(&value, bytes, sizeof value);
    return be16toh(value);
}

static inline uint32_t big_endian_get32(const uint8_t *bytes)
{
    uint32_t value;
    memcpy(&value, bytes, sizeof value);
    return be32toh(value);
}

static inline uint64_t big_endian_get64(const uint8_t *bytes)
{
    uint64_t value;
    memcpy(&value, bytes, sizeof value);
    return be64toh(value);
}

static inline void big_endian_put16(uint8_t *bytes, uint16_t value)
{
    value = htobe16(value);
    memcpy(bytes, &value, sizeof value);
}

static inline void big_endian_put32(uint8_t *bytes, uint32_t value)
{
    value = htobe32(value);
    memcpy(bytes, &value, sizeof value);
}

static inline void big_endian_put64(uint8_t *bytes, uint64_t value)
{
    value = htobe64(value);
    memcpy(bytes, &value, sizeof value);
}
