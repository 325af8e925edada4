/* A bit per row, lowest first, as columns and selections keep them.
 *
 * Bits behind the last row have no meaning; whoever reads whole bytes must not count them.
 * Owner: nobody. Loop: any. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline size_t row_bits_byte_count(uint32_t row_count)
{
    return ((size_t)row_count + 7) / 8;
}

static inline bool row_bits_get(const uint8_t *bits, uint32_t row)
{
    return ((uint32_t)bits[row / 8] >> (row % 8) & 1U) != 0;
}

static inline void row_bits_set(uint8_t *bits, uint32_t row)
{
    bits[row / 8] = (uint8_t)((uint32_t)bits[row / 8] | 1U << (row % 8));
}

static inline void row_bits_clear(uint8_t *bits, uint32_t row)
{
    bits[row / 8] = (uint8_t)((uint32_t)bits[row / 8] & ~(1U << (row % 8)));
}

/* Which bits of byte `index` stand for rows. */
static inline uint8_t row_bits_mask(uint32_t row_count, size_t index)
{
    size_t first = index * 8;
    return (uint8_t)(row_count - first >= 8 ? 0xffU : (1U << (row_count - first)) - 1U);
}

static inline bool row_bits_any(const uint8_t *bits, uint32_t row_count)
{
    for (size_t i = 0; i < row_bits_byte_count(row_count); i++) {
        if ((bits[i] & row_bits_mask(row_count, i)) != 0) {
            return true;
        }
    }
    return false;
}

static inline uint32_t row_bits_count(const uint8_t *bits, uint32_t row_count)
{
    uint32_t count = 0;
    for (size_t i = 0; i < row_bits_byte_count(row_count); i++) {
        uint32_t byte = bits[i] & row_bits_mask(row_count, i);
        byte = byte - (byte >> 1 & 0x55U);
        byte = (byte & 0x33U) + (byte >> 2 & 0x33U);
        count += (byte + (byte >> 4)) & 0x0fU;
    }
    return count;
}
