/* CRC-32C (Castagnoli), as Kafka's batches and our own files use it; by ISA-L.
 *
 * crc32c(x, 0) is the usual finished value; passing an earlier result goes on where it ended. */
#pragma once

#include <stddef.h>
#include <stdint.h>

uint32_t crc32c(uint32_t earlier, const void *bytes, size_t byte_count);
