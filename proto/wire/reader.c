#include "proto/wire/reader.h"

#include "proto/sys/check.h"

#include <string.h>

/* A failed reader has nothing left, so that one comparison serves every read. */
static const uint8_t nothing[1];

void wire_reader_init(struct wire_reader *self, const void *bytes, size_t byte_count)
{
    check(bytes != NULL || byte_count == 0);

    const uint8_t *start = bytes == NULL ? nothing : bytes;
    *self = (struct wire_reader){.next = start, .end = start + byte_count, .status = STATUS_OK};
}

size_t wire_reader_left(const struct wire_reader *self)
{
    return (size_t)(self->end - self->next);
}

enum status wire_reader_status(const struct wire_reader *self)
{
    return self->status;
}

void wire_reader_fail(struct wire_reader *self, enum status why)
{
    check(why != STATUS_OK);

    self->next = self->end;
    if (self->status == STATUS_OK) {
        self->status = why;
    }
}

const uint8_t *wire_read_raw(struct wire_reader *self, size_t byte_count)
{
    /* The second test is for reads of nothing: they must not succeed after a failure. */
    if (wire_reader_left(self) < byte_count || self->status != STATUS_OK) {
        wire_reader_fail(self, STATUS_MALFORMED);
        return NULL;
    }
    const uint8_t *bytes = self->next;
    self->next += byte_count;
    return bytes;
}

static uint64_t read_big_endian(struct wire_reader *self, size_t byte_count)
{
    if (wire_reader_left(self) < byte_count) {
        wire_reader_fail(self, STATUS_MALFORMED);
        return 0;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < byte_count; i++) {
        value = value << 8 | self->next[i];
    }
    self->next += byte_count;
    return value;
}

int8_t wire_read_int8(struct wire_reader *self)
{
    return (int8_t)read_big_endian(self, 1);
}

int16_t wire_read_int16(struct wire_reader *self)
{
    return (int16_t)read_big_endian(self, 2);
}

uint16_t wire_read_uint16(struct wire_reader *self)
{
    return (uint16_t)read_big_endian(self, 2);
}

int32_t wire_read_int32(struct wire_reader *self)
{
    return (int32_t)read_big_endian(self, 4);
}

uint32_t wire_read_uint32(struct wire_reader *self)
{
    return (uint32_t)read_big_endian(self, 4);
}

int64_t wire_read_int64(struct wire_reader *self)
{
    return (int64_t)read_big_endian(self, 8);
}

double wire_read_float64(struct wire_reader *self)
{
    uint64_t bits = read_big_endian(self, 8);
    double value = 0;
    memcpy(&value, &bits, sizeof value);
    return value;
}

bool wire_read_bool(struct wire_reader *self)
{
    return read_big_endian(self, 1) != 0;
}

struct wire_uuid wire_read_uuid(struct wire_reader *self)
{
    struct wire_uuid value = {0};
    const uint8_t *bytes = wire_read_raw(self, sizeof value.bytes);
    if (bytes != NULL) {
        memcpy(value.bytes, bytes, sizeof value.bytes);
    }
    return value;
}

/* Groups of seven bits, lowest first. Longer forms than needed are legal, lost bits are not. */
static uint64_t read_uvarint(struct wire_reader *self, unsigned bit_count_max)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < bit_count_max; shift += 7) {
        if (self->next == self->end) {
            break;
        }
        uint64_t group = *self->next;
        uint64_t bits = group & 0x7f;
        if (bit_count_max - shift < 7 && bits >> (bit_count_max - shift) != 0) {
            break;
        }
        self->next += 1;
        value |= bits << shift;
        if (group < 0x80) {
            return value;
        }
    }
    wire_reader_fail(self, STATUS_MALFORMED);
    return 0;
}

uint32_t wire_read_uvarint32(struct wire_reader *self)
{
    return (uint32_t)read_uvarint(self, 32);
}

uint64_t wire_read_uvarint64(struct wire_reader *self)
{
    return read_uvarint(self, 64);
}

int32_t wire_read_varint32(struct wire_reader *self)
{
    uint32_t folded = wire_read_uvarint32(self);
    return (int32_t)(folded >> 1 ^ (0U - (folded & 1)));
}

int64_t wire_read_varint64(struct wire_reader *self)
{
    uint64_t folded = wire_read_uvarint64(self);
    return (int64_t)(folded >> 1 ^ (0U - (folded & 1)));
}

/* A compact length is one more than the length, so that 0 can say null; -1 for null here. */
static int64_t read_compact_length(struct wire_reader *self)
{
    return (int64_t)wire_read_uvarint32(self) - 1;
}

/* A length that is null though it may not be, negative, or more than is left, fails. */
static int32_t read_check_length(struct wire_reader *self, int64_t length, bool may_be_null)
{
    if (self->status != STATUS_OK) {
        return 0;
    }
    if (length == -1 && may_be_null) {
        return -1;
    }
    if (length < 0 || length > INT32_MAX || (uint64_t)length > wire_reader_left(self)) {
        wire_reader_fail(self, STATUS_MALFORMED);
        return 0;
    }
    return (int32_t)length;
}

static const uint8_t *read_take(struct wire_reader *self, int32_t byte_count)
{
    return byte_count < 0 ? NULL : wire_read_raw(self, (size_t)byte_count);
}

struct wire_text wire_read_text(struct wire_reader *self, bool is_flexible, bool may_be_null)
{
    int64_t length = is_flexible ? read_compact_length(self) : wire_read_int16(self);
    if (length > INT16_MAX) {
        wire_reader_fail(self, STATUS_MALFORMED); /* Kafka's own limit, also for compact texts. */
    }
    struct wire_text value = {.byte_count = read_check_length(self, length, may_be_null)};
    value.bytes = (const char *)read_take(self, value.byte_count);
    return value;
}

struct wire_bytes wire_read_bytes(struct wire_reader *self, bool is_flexible, bool may_be_null)
{
    int64_t length = is_flexible ? read_compact_length(self) : wire_read_int32(self);
    struct wire_bytes value = {.byte_count = read_check_length(self, length, may_be_null)};
    value.bytes = read_take(self, value.byte_count);
    return value;
}

struct wire_records wire_read_records(struct wire_reader *self, bool is_flexible, bool may_be_null)
{
    struct wire_bytes run = wire_read_bytes(self, is_flexible, may_be_null);
    struct wire_records value = {.byte_count = run.byte_count};
    if (run.byte_count > 0) {
        value.slice_count = 1;
        value.single = (struct wire_slice){run.bytes, (size_t)run.byte_count};
    }
    return value;
}

int32_t wire_read_count(struct wire_reader *self, bool is_flexible, bool may_be_null,
                        size_t element_bytes_min)
{
    check(element_bytes_min > 0);

    int64_t length = is_flexible ? read_compact_length(self) : wire_read_int32(self);
    int32_t count = read_check_length(self, length, may_be_null);
    if (count > 0 && (size_t)count > wire_reader_left(self) / element_bytes_min) {
        wire_reader_fail(self, STATUS_MALFORMED);
        return 0;
    }
    return count;
}

bool wire_text_equals(struct wire_text self, const char *text)
{
    if (self.byte_count < 0 || text == NULL) {
        return self.byte_count < 0 && text == NULL;
    }
    size_t byte_count = strlen(text);
    return (size_t)self.byte_count == byte_count &&
           (byte_count == 0 || memcmp(self.bytes, text, byte_count) == 0);
}

bool wire_text_same(struct wire_text one, struct wire_text other)
{
    return one.byte_count == other.byte_count &&
           (one.byte_count <= 0 || memcmp(one.bytes, other.bytes, (size_t)one.byte_count) == 0);
}

struct wire_text wire_text_of(const char *text)
{
    if (text == NULL) {
        return (struct wire_text){.byte_count = -1};
    }
    size_t byte_count = strlen(text);
    check(byte_count <= INT32_MAX);
    return (struct wire_text){.bytes = text, .byte_count = (int32_t)byte_count};
}

bool wire_uuid_is_zero(const struct wire_uuid *self)
{
    static const struct wire_uuid zero;
    return wire_uuid_equals(self, &zero);
}

bool wire_uuid_equals(const struct wire_uuid *self, const struct wire_uuid *other)
{
    return memcmp(self->bytes, other->bytes, sizeof self->bytes) == 0;
}
