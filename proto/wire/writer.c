#include "proto/wire/writer.h"

#include "proto/sys/check.h"

#include <string.h>

/* A slice of its own costs an entry of the gathered write; below this a copy is cheaper. */
#define REFERENCE_BYTES_MIN 512U
/* Room is taken in pieces that double with what is written, within these bounds. */
#define ROOM_BYTES_MIN 256U
#define ROOM_BYTES_MAX ((size_t)64 << 10)
#define SLICE_COUNT_FIRST 8U

void wire_writer_init(struct wire_writer *self, struct arena *arena)
{
    check(arena != NULL);

    *self = (struct wire_writer){.arena = arena, .status = STATUS_OK};
}

enum status wire_writer_status(const struct wire_writer *self)
{
    return self->status;
}

void wire_writer_fail(struct wire_writer *self, enum status why)
{
    check(why != STATUS_OK);

    self->end = self->next; /* No room: every later write comes by open_room() and stops there. */
    if (self->status == STATUS_OK) {
        self->status = why;
    }
}

/* A new last slice, empty; false after a failure. */
static bool open_slice(struct wire_writer *self, const void *base)
{
    if (self->slice_count == self->slice_count_max) {
        uint32_t count_max =
            self->slice_count_max == 0 ? SLICE_COUNT_FIRST : 2 * self->slice_count_max;
        struct wire_slice *slices = arena_take_array(self->arena, count_max, sizeof *slices);
        if (slices == NULL) {
            wire_writer_fail(self, STATUS_NO_MEMORY);
            return false;
        }
        if (self->slice_count > 0) {
            memcpy(slices, self->slices, self->slice_count * sizeof *slices);
        }
        self->slices = slices;
        self->slice_count_max = count_max;
    }
    self->slices[self->slice_count] = (struct wire_slice){.base = base};
    self->slice_count += 1;
    return true;
}

/* True when the next written byte follows the last slice without a gap. */
static bool last_slice_goes_on(const struct wire_writer *self)
{
    if (self->slice_count == 0) {
        return false;
    }
    const struct wire_slice *last = &self->slices[self->slice_count - 1];
    return (const uint8_t *)last->base + last->byte_count == self->next;
}

/* Makes `byte_count` bytes of room in one piece behind the last slice. */
static bool open_room(struct wire_writer *self, size_t byte_count)
{
    if (self->status != STATUS_OK) {
        return false;
    }
    if (byte_count > WIRE_FRAME_BYTES_MAX - self->byte_count) {
        wire_writer_fail(self, STATUS_FULL);
        return false;
    }
    if ((size_t)(self->end - self->next) < byte_count) {
        size_t room = self->byte_count;
        room = room < ROOM_BYTES_MIN ? ROOM_BYTES_MIN : room;
        room = room > ROOM_BYTES_MAX ? ROOM_BYTES_MAX : room;
        room = room < byte_count ? byte_count : room;
        uint8_t *start = arena_take(self->arena, room);
        if (start == NULL) {
            wire_writer_fail(self, STATUS_NO_MEMORY);
            return false;
        }
        if (start != self->end) {
            self->next = start;
        }
        self->end = start + room;
    }
    return last_slice_goes_on(self) || open_slice(self, self->next);
}

/* Place for `byte_count` bytes that count as written; NULL after a failure. */
static uint8_t *take_room(struct wire_writer *self, size_t byte_count)
{
    if (!open_room(self, byte_count)) {
        return NULL;
    }
    uint8_t *place = self->next;
    self->next += byte_count;
    self->slices[self->slice_count - 1].byte_count += byte_count;
    self->byte_count += byte_count;
    return place;
}

static void set_big_endian(uint8_t *place, uint64_t value, size_t byte_count)
{
    for (size_t i = byte_count; i > 0; i--) {
        place[i - 1] = (uint8_t)value;
        value >>= 8;
    }
}

static void write_big_endian(struct wire_writer *self, uint64_t value, size_t byte_count)
{
    uint8_t *place = take_room(self, byte_count);
    if (place != NULL) {
        set_big_endian(place, value, byte_count);
    }
}

void wire_write_int8(struct wire_writer *self, int8_t value)
{
    write_big_endian(self, (uint8_t)value, 1);
}

void wire_write_int16(struct wire_writer *self, int16_t value)
{
    write_big_endian(self, (uint16_t)value, 2);
}

void wire_write_uint16(struct wire_writer *self, uint16_t value)
{
    write_big_endian(self, value, 2);
}

void wire_write_int32(struct wire_writer *self, int32_t value)
{
    write_big_endian(self, (uint32_t)value, 4);
}

void wire_write_uint32(struct wire_writer *self, uint32_t value)
{
    write_big_endian(self, value, 4);
}

void wire_write_int64(struct wire_writer *self, int64_t value)
{
    write_big_endian(self, (uint64_t)value, 8);
}

void wire_write_float64(struct wire_writer *self, double value)
{
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof bits);
    write_big_endian(self, bits, 8);
}

void wire_write_bool(struct wire_writer *self, bool value)
{
    write_big_endian(self, value ? 1 : 0, 1);
}

void wire_write_uuid(struct wire_writer *self, const struct wire_uuid *value)
{
    wire_write_raw(self, value->bytes, sizeof value->bytes);
}

void wire_write_uvarint32(struct wire_writer *self, uint32_t value)
{
    wire_write_uvarint64(self, value);
}

void wire_write_uvarint64(struct wire_writer *self, uint64_t value)
{
    uint8_t groups[10];
    size_t group_count = 0;
    for (; value >= 0x80; value >>= 7) {
        groups[group_count] = (uint8_t)(value | 0x80);
        group_count += 1;
    }
    groups[group_count] = (uint8_t)value;
    wire_write_raw(self, groups, group_count + 1);
}

void wire_write_varint32(struct wire_writer *self, int32_t value)
{
    uint32_t bits = (uint32_t)value;
    wire_write_uvarint32(self, bits << 1 ^ (value < 0 ? UINT32_MAX : 0));
}

void wire_write_varint64(struct wire_writer *self, int64_t value)
{
    uint64_t bits = (uint64_t)value;
    wire_write_uvarint64(self, bits << 1 ^ (value < 0 ? UINT64_MAX : 0));
}

void wire_write_raw(struct wire_writer *self, const void *bytes, size_t byte_count)
{
    if (byte_count == 0) {
        return;
    }
    uint8_t *place = take_room(self, byte_count);
    if (place != NULL) {
        memcpy(place, bytes, byte_count);
    }
}

void wire_write_reference(struct wire_writer *self, const void *bytes, size_t byte_count)
{
    if (byte_count < REFERENCE_BYTES_MIN) {
        wire_write_raw(self, bytes, byte_count);
        return;
    }
    if (self->status != STATUS_OK) {
        return;
    }
    if (byte_count > WIRE_FRAME_BYTES_MAX - self->byte_count) {
        wire_writer_fail(self, STATUS_FULL);
        return;
    }
    if (open_slice(self, bytes)) {
        self->slices[self->slice_count - 1].byte_count = byte_count;
        self->byte_count += byte_count;
    }
}

void wire_write_all_of(struct wire_writer *self, const struct wire_writer *other)
{
    check(self != other);

    if (other->status != STATUS_OK) {
        wire_writer_fail(self, other->status);
        return;
    }
    for (uint32_t i = 0; i < other->slice_count; i++) {
        wire_write_reference(self, other->slices[i].base, other->slices[i].byte_count);
    }
}

/* Writes a length and says whether that many bytes follow it. */
static bool write_length(struct wire_writer *self, bool is_flexible, int32_t byte_count)
{
    check(byte_count >= -1);

    wire_write_count(self, is_flexible, byte_count);
    return byte_count > 0;
}

void wire_write_text(struct wire_writer *self, bool is_flexible, struct wire_text value)
{
    check(value.byte_count >= -1);

    if (value.byte_count > INT16_MAX) {
        wire_writer_fail(self, STATUS_INVALID); /* No Kafka client reads a longer text. */
        return;
    }
    if (is_flexible) {
        wire_write_uvarint32(self, (uint32_t)(value.byte_count + 1));
    } else {
        wire_write_int16(self, (int16_t)value.byte_count);
    }
    if (value.byte_count > 0) {
        wire_write_raw(self, value.bytes, (size_t)value.byte_count);
    }
}

void wire_write_bytes(struct wire_writer *self, bool is_flexible, struct wire_bytes value)
{
    if (write_length(self, is_flexible, value.byte_count)) {
        wire_write_reference(self, value.bytes, (size_t)value.byte_count);
    }
}

void wire_write_records(struct wire_writer *self, bool is_flexible,
                        const struct wire_records *value)
{
    if (!write_length(self, is_flexible, value->byte_count)) {
        return;
    }
    const struct wire_slice *slices = value->slice_count == 1 ? &value->single : value->slices;
    size_t byte_count = 0;
    for (uint32_t i = 0; i < value->slice_count; i++) {
        wire_write_reference(self, slices[i].base, slices[i].byte_count);
        byte_count += slices[i].byte_count;
    }
    check(byte_count == (size_t)value->byte_count);
}

void wire_write_count(struct wire_writer *self, bool is_flexible, int32_t count)
{
    check(count >= -1);

    if (is_flexible) {
        wire_write_uvarint32(self, (uint32_t)count + 1);
    } else {
        wire_write_int32(self, count);
    }
}

struct wire_mark wire_write_mark(struct wire_writer *self)
{
    struct wire_mark mark = {.place = take_room(self, 4)};
    mark.byte_count_before = self->byte_count;
    if (mark.place != NULL) {
        set_big_endian(mark.place, 0, 4);
    }
    return mark;
}

void wire_mark_set_length(struct wire_writer *self, struct wire_mark mark)
{
    if (mark.place != NULL) {
        check(self->byte_count >= mark.byte_count_before);
        set_big_endian(mark.place, self->byte_count - mark.byte_count_before, 4);
    }
}

const uint8_t *wire_writer_flatten(struct wire_writer *self, size_t *out_byte_count)
{
    if (self->status != STATUS_OK) {
        return NULL;
    }
    if (self->slice_count == 1) {
        *out_byte_count = self->byte_count;
        return self->slices[0].base;
    }
    uint8_t *copy = arena_take(self->arena, self->byte_count);
    if (copy == NULL) {
        wire_writer_fail(self, STATUS_NO_MEMORY);
        return NULL;
    }
    uint8_t *place = copy;
    for (uint32_t i = 0; i < self->slice_count; i++) {
        memcpy(place, self->slices[i].base, self->slices[i].byte_count);
        place += self->slices[i].byte_count;
    }
    *out_byte_count = self->byte_count;
    return copy;
}
