#include "proto/wire/crc32c.h"

#include <isa-l/crc.h>

/* ISA-L counts bytes in an int. */
#define PART_BYTES_MAX ((size_t)1 << 30)

uint32_t crc32c(uint32_t earlier, const void *bytes, size_t byte_count)
{
    /* ISA-L works on the raw register; the finished value is its complement, before and after. */
    uint32_t raw = ~earlier;
    uintptr_t next = (uintptr_t)bytes; /* ISA-L takes a pointer to non-const and only reads. */
    while (byte_count > 0) {
        size_t part = byte_count < PART_BYTES_MAX ? byte_count : PART_BYTES_MAX;
        raw = crc32_iscsi((unsigned char *)next, (int)part, raw);
        next += part;
        byte_count -= part;
    }
    return ~raw;
}

/* Product of two polynomials modulo CRC-32C's, the highest power in the lowest bit. */
static uint32_t multiply(uint32_t left, uint32_t right)
{
    uint32_t product = 0;
    for (uint32_t bit = 1U << 31; bit != 0; bit >>= 1) {
        product ^= (left & bit) != 0 ? right : 0;
        right = (right >> 1) ^ ((right & 1) != 0 ? 0x82f63b78U : 0);
    }
    return product;
}

/* x^(8 * 2^i): what 2^i bytes of zeros behind a message do to its remainder. */
static const uint32_t shifts[32] = {
    0x00800000U, 0x00008000U, 0x82f63b78U, 0x6ea2d55cU, 0x18b8ea18U, 0x510ac59aU, 0xb82be955U,
    0xb8fdb1e7U, 0x88e56f72U, 0x74c360a4U, 0xe4172b16U, 0x0d65762aU, 0x35d73a62U, 0x28461564U,
    0xbf455269U, 0xe2ea32dcU, 0xfe7740e6U, 0xf946610bU, 0x3c204f8fU, 0x538586e3U, 0x59726915U,
    0x734d5309U, 0xbc1ac763U, 0x7d0722ccU, 0xd289cabeU, 0xe94ca9bcU, 0x05b74f3fU, 0xa51e1f42U,
    0x40000000U, 0x20000000U, 0x08000000U, 0x00800000U,
};

uint32_t crc32c_shift(uint32_t remainder, uint32_t zero_bytes)
{
    for (uint32_t i = 0; zero_bytes != 0; i++, zero_bytes >>= 1) {
        if ((zero_bytes & 1) != 0) {
            remainder = multiply(remainder, shifts[i]);
        }
    }
    return remainder;
}

uint32_t crc32c_join(uint32_t first, uint32_t second, uint32_t second_bytes)
{
    /* The complements at the end of the first and at the start of the second cancel out. */
    return crc32c_shift(first, second_bytes) ^ second;
}
