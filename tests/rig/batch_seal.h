/* Puts the length and the checksum of a batch right after a test changed its bytes. */
#pragma once

#include "proto/record/batch.h"
#include "proto/wire/crc32c.h"

static inline void batch_seal(uint8_t *batch, size_t byte_count)
{
    big_endian_put32(batch + 8, (uint32_t)(byte_count - BATCH_FRAME_BYTES));
    big_endian_put32(
        batch + 17, crc32c(0, batch + BATCH_CHECKSUMMED_FROM, byte_count - BATCH_CHECKSUMMED_FROM));
}
