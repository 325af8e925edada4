/* Writing of bytes for outside: grows in an arena, refers to large payloads instead of copying.
 *
 * The result is a list of slices, ready for one gathered socket write. The first failure (arena
 * limit: STATUS_NO_MEMORY, too much in all: STATUS_FULL) sticks and is told by
 * wire_writer_status(); nothing is written after it.
 * Owner: the encoder. Loop: any. Limits: the arena's, and WIRE_FRAME_BYTES_MAX in all. */
#pragma once

#include "proto/sys/arena.h"
#include "proto/wire/reader.h"

#define WIRE_FRAME_BYTES_MAX (1U << 30)

struct wire_writer {
    struct arena *arena;       /* Borrowed for life. */
    struct wire_slice *slices; /* In the arena. The last one grows while there is room. */
    uint32_t slice_count;
    uint32_t slice_count_max;
    uint8_t *next; /* Free room behind the last slice. */
    uint8_t *end;
    size_t byte_count; /* Written so far. */
    enum status status;
};

/* Place of a value that is known only later (a length, a checksum). */
struct wire_mark {
    uint8_t *place;
    size_t byte_count_before;
};

void wire_writer_init(struct wire_writer *self, struct arena *arena);
enum status wire_writer_status(const struct wire_writer *self);
/* Makes it fail with `why` unless it has failed already. */
void wire_writer_fail(struct wire_writer *self, enum status why);

void wire_write_int8(struct wire_writer *self, int8_t value);
void wire_write_int16(struct wire_writer *self, int16_t value);
void wire_write_uint16(struct wire_writer *self, uint16_t value);
void wire_write_int32(struct wire_writer *self, int32_t value);
void wire_write_uint32(struct wire_writer *self, uint32_t value);
void wire_write_int64(struct wire_writer *self, int64_t value);
void wire_write_float64(struct wire_writer *self, double value);
void wire_write_bool(struct wire_writer *self, bool value);
void wire_write_uuid(struct wire_writer *self, const struct wire_uuid *value);
void wire_write_uvarint32(struct wire_writer *self, uint32_t value);
void wire_write_uvarint64(struct wire_writer *self, uint64_t value);
void wire_write_varint32(struct wire_writer *self, int32_t value);
void wire_write_varint64(struct wire_writer *self, int64_t value);
void wire_write_raw(struct wire_writer *self, const void *bytes, size_t byte_count);
/* All that `other` has written, by reference; its failure too. */
void wire_write_all_of(struct wire_writer *self, const struct wire_writer *other);
/* Refers to `bytes`, which must live until the slices have left. Small ones are copied. */
void wire_write_reference(struct wire_writer *self, const void *bytes, size_t byte_count);

void wire_write_text(struct wire_writer *self, bool is_flexible, struct wire_text value);
void wire_write_bytes(struct wire_writer *self, bool is_flexible, struct wire_bytes value);
void wire_write_records(struct wire_writer *self, bool is_flexible,
                        const struct wire_records *value);
void wire_write_count(struct wire_writer *self, bool is_flexible, int32_t count);

/* Reserves four bytes; wire_mark_set_length() fills in how many bytes followed them. */
struct wire_mark wire_write_mark(struct wire_writer *self);
void wire_mark_set_length(struct wire_writer *self, struct wire_mark mark);
/* One contiguous copy in the arena; NULL after a failure. */
const uint8_t *wire_writer_flatten(struct wire_writer *self, size_t *out_byte_count);
