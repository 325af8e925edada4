#include "processor/state/grow_buffer.h"

#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

#define GROW_BUFFER_BYTES_MIN ((size_t)256)
#define UVARINT_BYTES_MAX 10U

_Static_assert(GROW_BUFFER_BYTES_MAX <= INT32_MAX, "wire_bytes can tell the size");

void grow_buffer_done(struct grow_buffer *self)
{
    free(self->bytes);
    *self = (struct grow_buffer){0};
}

void grow_buffer_clear(struct grow_buffer *self)
{
    self->byte_count = 0;
    self->status = STATUS_OK;
}

static enum status extend_grow(struct grow_buffer *self, size_t byte_count)
{
    if (byte_count > GROW_BUFFER_BYTES_MAX - self->byte_count) {
        return STATUS_FULL;
    }
    size_t capacity = self->capacity == 0 ? GROW_BUFFER_BYTES_MIN : self->capacity;
    while (capacity < self->byte_count + byte_count) {
        capacity *= 2;
    }
    uint8_t *bytes = realloc(self->bytes, capacity);
    if (bytes == NULL) {
        return STATUS_NO_MEMORY;
    }
    self->bytes = bytes;
    self->capacity = capacity;
    return STATUS_OK;
}

uint8_t *grow_buffer_extend(struct grow_buffer *self, size_t byte_count)
{
    check(self->byte_count <= self->capacity);
    if (self->status != STATUS_OK) {
        return NULL;
    }
    if (byte_count > self->capacity - self->byte_count || self->bytes == NULL) {
        self->status = extend_grow(self, byte_count);
        if (self->status != STATUS_OK) {
            return NULL;
        }
    }
    uint8_t *place = self->bytes + self->byte_count;
    self->byte_count += byte_count;
    return place;
}

void grow_buffer_put_uint8(struct grow_buffer *self, uint8_t value)
{
    grow_buffer_put_raw(self, &value, sizeof value);
}

void grow_buffer_put_uint32(struct grow_buffer *self, uint32_t value)
{
    uint32_t swapped = __builtin_bswap32(value);
    grow_buffer_put_raw(self, &swapped, sizeof swapped);
}

void grow_buffer_put_uint64(struct grow_buffer *self, uint64_t value)
{
    uint64_t swapped = __builtin_bswap64(value);
    grow_buffer_put_raw(self, &swapped, sizeof swapped);
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are swapped without asking");

void grow_buffer_put_int64(struct grow_buffer *self, int64_t value)
{
    grow_buffer_put_uint64(self, (uint64_t)value);
}

void grow_buffer_put_double(struct grow_buffer *self, double value)
{
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof bits);
    grow_buffer_put_uint64(self, bits);
}

void grow_buffer_put_uvarint(struct grow_buffer *self, uint64_t value)
{
    uint8_t bytes[UVARINT_BYTES_MAX];
    size_t byte_count = 0;
    while (value >= 0x80) {
        bytes[byte_count] = (uint8_t)(value | 0x80);
        byte_count += 1;
        value >>= 7;
    }
    bytes[byte_count] = (uint8_t)value;
    grow_buffer_put_raw(self, bytes, byte_count + 1);
}

void grow_buffer_put_varint(struct grow_buffer *self, int64_t value)
{
    grow_buffer_put_uvarint(self, (uint64_t)value << 1 ^ (uint64_t)(value >> 63));
}

void grow_buffer_put_raw(struct grow_buffer *self, const void *bytes, size_t byte_count)
{
    uint8_t *place = grow_buffer_extend(self, byte_count);
    if (place != NULL && byte_count > 0) {
        memcpy(place, bytes, byte_count);
    }
}

struct wire_bytes grow_buffer_bytes(const struct grow_buffer *self)
{
    check(self->status == STATUS_OK);
    return (struct wire_bytes){.bytes = self->bytes, .byte_count = (int32_t)self->byte_count};
}
