/* memcpy() for bytes that this core does not look at again soon: sheets, tails, frames.
 *
 * An ordinary copy first reads the lines that it is about to overwrite, and drives out of the cache
 * what the core works on. A large one from here writes past the cache instead, which takes half the
 * time when the target lies in memory. Short ones are memcpy(): their bytes are often read at once.
 * Other threads see the bytes as after a memcpy(). Owner: none. Loop: any. */
#pragma once

#include <stddef.h>

#define BULK_COPY_BYTES_MIN ((size_t)32 << 10)

/* The two do not overlap. */
void bulk_copy(void *to, const void *from, size_t byte_count);
