/* Little-endian numbers in the quorum's own files, and the table of their versions.
 *
 * Everything the quorum writes to its directory is little-endian, starts with a CRC-32C of what
 * follows and carries a version behind it; raft/README.md has the byte tables. */
#pragma once

#include <endian.h>
#include <stdint.h>
#include <string.h>

#define QUORUM_BYTES_VERSION 1U /* Of log records, vote, meta and snapshot files alike. */
#define QUORUM_BYTES_ID 16U     /* Of a cluster id and of a directory id. */

static inline void quorum_bytes_put16(uint8_t *at, uint16_t value)
{
    uint16_t little = htole16(value);
    memcpy(at, &little, sizeof little);
}

static inline void quorum_bytes_put32(uint8_t *at, uint32_t value)
{
    uint32_t little = htole32(value);
    memcpy(at, &little, sizeof little);
}

static inline void quorum_bytes_put64(uint8_t *at, uint64_t value)
{
    uint64_t little = htole64(value);
    memcpy(at, &little, sizeof little);
}

static inline uint16_t quorum_bytes_get16(const uint8_t *at)
{
    uint16_t little;
    memcpy(&little, at, sizeof little);
    return le16toh(little);
}

static inline uint32_t quorum_bytes_get32(const uint8_t *at)
{
    uint32_t little;
    memcpy(&little, at, sizeof little);
    return le32toh(little);
}

static inline uint64_t quorum_bytes_get64(const uint8_t *at)
{
    uint64_t little;
    memcpy(&little, at, sizeof little);
    return le64toh(little);
}
