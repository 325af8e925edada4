/* CRC-32C (Castagnoli), as Kafka's batches and our own files use it; by ISA-L.
 *
 * crc32c(0, x, n) is the usual finished value; passing an earlier result goes on where it ended.
 * Owner: none. Loop: any. */
#pragma once

#include <stddef.h>
#include <stdint.h>

uint32_t crc32c(uint32_t earlier, const void *bytes, size_t byte_count);
