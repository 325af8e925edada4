/* Bounded reading of bytes from outside, big endian as Kafka writes them.
 *
 * The first failure sticks: the reader yields zeros and empty things from then on, and
 * wire_reader_status() tells at the end, so that decoders need no check after every field. Nothing
 * is ever allocated from a length before that many bytes are known to be there.
 *
 * Texts and bytes point into the input. Owner: the decoder. Loop: any. */
#pragma once

#include "proto/sys/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wire_text {
    const char *bytes;  /* Borrowed from the input; not NUL-terminated; NULL when null. */
    int32_t byte_count; /* -1: null, which is not the same as empty. */
};

struct wire_bytes {
    const uint8_t *bytes;
    int32_t byte_count; /* -1: null. */
};

struct wire_uuid {
    uint8_t bytes[16];
};

/* A run of record batches: one slice when decoded, several when served from a log's memory. */
struct wire_slice {
    const void *base;
    size_t byte_count;
};
struct wire_records {
    const struct wire_slice *slices; /* Borrowed; unused when `slice_count` is 0 or 1. */
    uint32_t slice_count;
    struct wire_slice single; /* The only slice when `slice_count` is 1. */
    int32_t byte_count;       /* Sum; -1: null. */
};

struct wire_reader {
    const uint8_t *next;
    const uint8_t *end;
    enum status status;
};

void wire_reader_init(struct wire_reader *self, const void *bytes, size_t byte_count);
size_t wire_reader_left(const struct wire_reader *self);
/* STATUS_OK or the first failure. */
enum status wire_reader_status(const struct wire_reader *self);
/* Makes it fail with `why` unless it has failed already. */
void wire_reader_fail(struct wire_reader *self, enum status why);

int8_t wire_read_int8(struct wire_reader *self);
int16_t wire_read_int16(struct wire_reader *self);
uint16_t wire_read_uint16(struct wire_reader *self);
int32_t wire_read_int32(struct wire_reader *self);
uint32_t wire_read_uint32(struct wire_reader *self);
int64_t wire_read_int64(struct wire_reader *self);
double wire_read_float64(struct wire_reader *self);
bool wire_read_bool(struct wire_reader *self);
struct wire_uuid wire_read_uuid(struct wire_reader *self);
uint32_t wire_read_uvarint32(struct wire_reader *self); /* At most 5 bytes. */
uint64_t wire_read_uvarint64(struct wire_reader *self); /* At most 10 bytes. */
int32_t wire_read_varint32(struct wire_reader *self);   /* Zigzag, records only. */
int64_t wire_read_varint64(struct wire_reader *self);
/* `byte_count` raw bytes; NULL after a failure. */
const uint8_t *wire_read_raw(struct wire_reader *self, size_t byte_count);

/* Kafka's two families; `is_flexible` chooses compact lengths. Null fails unless `may_be_null`. */
struct wire_text wire_read_text(struct wire_reader *self, bool is_flexible, bool may_be_null);
struct wire_bytes wire_read_bytes(struct wire_reader *self, bool is_flexible, bool may_be_null);
struct wire_records wire_read_records(struct wire_reader *self, bool is_flexible, bool may_be_null);
/* Element count, -1 for null. Fails when fewer than count * `element_bytes_min` bytes are left. */
int32_t wire_read_count(struct wire_reader *self, bool is_flexible, bool may_be_null,
                        size_t element_bytes_min);

bool wire_text_equals(struct wire_text self, const char *text);
bool wire_text_same(struct wire_text one, struct wire_text other); /* Null is the same as null. */
struct wire_text wire_text_of(const char *text); /* Of a NUL-terminated string; NULL gives null. */
bool wire_uuid_is_zero(const struct wire_uuid *self);
bool wire_uuid_equals(const struct wire_uuid *self, const struct wire_uuid *other);
