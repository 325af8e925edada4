/* CRC-32C (Castagnoli), as Kafka's batches and our own files use it; by ISA-L.
 *
 * crc32c(0, x, n) is the usual finished value; passing an earlier result goes on where it ended.
 * Owner: none. Loop: any. */
#pragma once

#include <stddef.h>
#include <stdint.h>

uint32_t crc32c(uint32_t earlier, const void *bytes, size_t byte_count);
/* The value over two runs of bytes, one behind the other, from the values of each; half a
 * microsecond, however many bytes they are. */
uint32_t crc32c_join(uint32_t first, uint32_t second, uint32_t second_bytes);
/* What becomes of a remainder (a value without its complements) when zeros follow. */
uint32_t crc32c_shift(uint32_t remainder, uint32_t zero_bytes);
