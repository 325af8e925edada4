#include "proto/sys/arena.h"

#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

#define ARENA_ALIGNMENT 16U
#define ARENA_CHUNK_BYTES_MIN ((size_t)4096)
#define ARENA_CHUNK_BYTES_MAX ((size_t)1 << 20) /* Larger only for a single larger take. */

struct arena_chunk {
    struct arena_chunk *older;
    size_t capacity;
    size_t taken;
    _Alignas(ARENA_ALIGNMENT) uint8_t bytes[];
};

/* Where takes of nothing point. */
static _Alignas(ARENA_ALIGNMENT) uint8_t nothing[ARENA_ALIGNMENT];

void arena_init(struct arena *self, size_t byte_count_max)
{
    *self = (struct arena){.byte_count_max = byte_count_max};
}

void arena_done(struct arena *self)
{
    while (self->chunk != NULL) {
        struct arena_chunk *chunk = self->chunk;
        self->chunk = chunk->older;
        free(chunk);
    }
    *self = (struct arena){0};
}

/* The largest ordinary chunk is worth keeping; one made for a single huge take is not. */
static struct arena_chunk *reset_choose(struct arena *self)
{
    struct arena_chunk *kept = NULL;
    for (struct arena_chunk *chunk = self->chunk; chunk != NULL; chunk = chunk->older) {
        if (chunk->capacity <= ARENA_CHUNK_BYTES_MAX &&
            (kept == NULL || chunk->capacity > kept->capacity)) {
            kept = chunk;
        }
    }
    return kept;
}

void arena_reset(struct arena *self)
{
    struct arena_chunk *kept = reset_choose(self);
    self->is_exhausted = false;
    while (self->chunk != NULL) {
        struct arena_chunk *chunk = self->chunk;
        self->chunk = chunk->older;
        if (chunk != kept) {
            self->byte_count -= sizeof *chunk + chunk->capacity;
            free(chunk);
        }
    }
    if (kept != NULL) {
        kept->older = NULL;
        kept->taken = 0;
        self->chunk = kept;
    }
    check(kept != NULL || self->byte_count == 0);
}

/* Chunks double, so that a request of any size costs few of them. NULL: no room. */
static struct arena_chunk *take_new_chunk(struct arena *self, size_t byte_count)
{
    size_t room = self->byte_count_max - self->byte_count;
    if (room <= sizeof(struct arena_chunk) || byte_count > room - sizeof(struct arena_chunk)) {
        self->is_exhausted = true;
        return NULL;
    }
    room -= sizeof(struct arena_chunk);
    size_t capacity = self->chunk == NULL ? ARENA_CHUNK_BYTES_MIN : 2 * self->chunk->capacity;
    capacity = capacity > ARENA_CHUNK_BYTES_MAX ? ARENA_CHUNK_BYTES_MAX : capacity;
    capacity = capacity > room ? room : capacity;
    capacity = capacity < byte_count ? byte_count : capacity;
    struct arena_chunk *chunk = malloc(sizeof *chunk + capacity);
    if (chunk == NULL) {
        return NULL;
    }
    chunk->capacity = capacity;
    chunk->taken = 0;
    self->byte_count += sizeof *chunk + capacity;
    return chunk;
}

/* Keeps the chunk with the most room in front, since only that one is asked. */
static void take_link_chunk(struct arena *self, struct arena_chunk *chunk)
{
    struct arena_chunk *front = self->chunk;
    if (front != NULL && front->capacity - front->taken > chunk->capacity - chunk->taken) {
        chunk->older = front->older;
        front->older = chunk;
    } else {
        chunk->older = front;
        self->chunk = chunk;
    }
}

void *arena_take(struct arena *self, size_t byte_count)
{
    check(self->byte_count <= self->byte_count_max);
    if (byte_count == 0) {
        return nothing;
    }
    if (byte_count > self->byte_count_max) {
        self->is_exhausted = true;
        return NULL;
    }

    size_t start = 0;
    struct arena_chunk *chunk = self->chunk;
    if (chunk != NULL) {
        start = (chunk->taken + ARENA_ALIGNMENT - 1) & ~(size_t)(ARENA_ALIGNMENT - 1);
        if (start <= chunk->capacity && byte_count <= chunk->capacity - start) {
            chunk->taken = start + byte_count;
            return chunk->bytes + start;
        }
    }
    chunk = take_new_chunk(self, byte_count);
    if (chunk == NULL) {
        return NULL;
    }
    chunk->taken = byte_count;
    take_link_chunk(self, chunk);
    return chunk->bytes;
}

void *arena_take_array(struct arena *self, size_t count, size_t size)
{
    size_t byte_count = 0;
    if (__builtin_mul_overflow(count, size, &byte_count)) {
        return NULL;
    }
    void *bytes = arena_take(self, byte_count);
    if (bytes != NULL) {
        memset(bytes, 0, byte_count);
    }
    return bytes;
}

char *arena_copy_text(struct arena *self, const char *text, size_t byte_count)
{
    if (byte_count == SIZE_MAX) {
        return NULL;
    }
    char *copy = arena_take(self, byte_count + 1);
    if (copy != NULL) {
        if (byte_count > 0) {
            memcpy(copy, text, byte_count);
        }
        copy[byte_count] = '\0';
    }
    return copy;
}
