/* Memory that is given back as a whole: bump allocation in chunks, up to a limit.
 *
 * Made for one request or one batch: decode into it, use, reset. Pointers live until the reset.
 * Owner: whoever embeds it. Loop: the owner's. Limits: `byte_count_max`, of all chunks together. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena_chunk;

struct arena {
    struct arena_chunk *chunk; /* Owned; newest first. */
    size_t byte_count;         /* Of all chunks. */
    size_t byte_count_max;
    bool is_exhausted; /* A take was refused for the limit; until the reset. */
};

/* Allocates nothing yet. */
void arena_init(struct arena *self, size_t byte_count_max);
/* Accepts a zeroed arena. */
void arena_done(struct arena *self);
/* Keeps one chunk of ordinary size for the next use. */
void arena_reset(struct arena *self);
/* Aligned to 16, not cleared; NULL at the limit or without memory. `byte_count` 0 gives a valid
 * pointer to nothing. */
void *arena_take(struct arena *self, size_t byte_count);
/* Cleared; NULL also when count * size overflows. */
void *arena_take_array(struct arena *self, size_t count, size_t size);
/* NUL-terminated copy. */
char *arena_copy_text(struct arena *self, const char *text, size_t byte_count);
