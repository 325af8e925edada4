/* Bytes that are put together one after the other, big endian, and used again.
 *
 * The first failure sticks (`status`): nothing is added after it, and it is looked at once at the
 * end. Clearing keeps the room.
 *
 * Owner: whoever embeds it. Loop: the owner's. Limits: GROW_BUFFER_BYTES_MAX. */
#pragma once

#include "proto/sys/status.h"
#include "proto/wire/reader.h"

#include <stddef.h>
#include <stdint.h>

#define GROW_BUFFER_BYTES_MAX ((size_t)1 << 30)

struct grow_buffer {
    uint8_t *bytes; /* Owned. */
    size_t byte_count;
    size_t capacity;
    enum status status; /* NO_MEMORY; FULL: the limit. */
};

/* A zeroed one is ready; accepts a zeroed one. */
void grow_buffer_done(struct grow_buffer *self);
void grow_buffer_clear(struct grow_buffer *self);
/* Room for `byte_count` more, of which the caller fills all; NULL after a failure. */
uint8_t *grow_buffer_extend(struct grow_buffer *self, size_t byte_count);
void grow_buffer_put_uint8(struct grow_buffer *self, uint8_t value);
void grow_buffer_put_uint32(struct grow_buffer *self, uint32_t value);
void grow_buffer_put_uint64(struct grow_buffer *self, uint64_t value);
void grow_buffer_put_int64(struct grow_buffer *self, int64_t value);
void grow_buffer_put_double(struct grow_buffer *self, double value);
void grow_buffer_put_uvarint(struct grow_buffer *self, uint64_t value);
void grow_buffer_put_varint(struct grow_buffer *self, int64_t value); /* Zigzag. */
void grow_buffer_put_raw(struct grow_buffer *self, const void *bytes, size_t byte_count);
/* What is in it; only after a look at `status`. */
struct wire_bytes grow_buffer_bytes(const struct grow_buffer *self);
