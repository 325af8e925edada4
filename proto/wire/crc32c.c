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
