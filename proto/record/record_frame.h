/* The frame of one record: lengths and deltas, and where key, value and headers lie.
 *
 * The one place that knows how a record is laid out when it is contiguous in memory; inline,
 * because it runs once per record of every uncompressed batch. All numbers are zigzag varints but
 * the attributes:
 *
 *   length | attributes (1 byte) | timestamp delta (64 bits) | offset delta | key length, key |
 *   value length, value | header count | { key length, key | value length, value }...
 *
 * Owner: the caller. Loop: any. Limits: the bytes given. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A length of one byte and a body of six: attributes, two deltas, two lengths, a header count. */
#define RECORD_FRAME_BYTES_MIN 7U

#define RECORD_FRAME_LIKELY(condition) __builtin_expect((condition), 1)

struct record_frame {
    int64_t timestamp_delta;
    int32_t offset_delta;
    int32_t key_bytes; /* -1: null. */
    int32_t value_bytes;
    int32_t header_count;
    const uint8_t *key;
    const uint8_t *value;
    const uint8_t *headers;
    int8_t attributes;
    bool has_odd_header; /* A header value's length is negative, but not -1. */
};

static inline int32_t record_frame_unzigzag32(uint32_t raw)
{
    return (int32_t)((raw >> 1) ^ (0U - (raw & 1)));
}

static inline int64_t record_frame_unzigzag64(uint64_t raw)
{
    return (int64_t)((raw >> 1) ^ (0U - (raw & 1)));
}

/* Returns the place behind the varint; NULL: cut short, too long or more bits than fit. */
static __attribute__((noinline, unused)) const uint8_t *
record_frame_long_varint(const uint8_t *place, const uint8_t *end, uint32_t bit_count,
                         uint64_t *out_raw)
{
    uint64_t raw = 0;
    for (uint32_t shift = 0; place < end && shift < bit_count; shift += 7) {
        uint64_t group = *place & 0x7fU;
        if (shift + 7 > bit_count && group >> (bit_count - shift) != 0) {
            return NULL;
        }
        raw |= group << shift;
        if (*place++ < 0x80) {
            *out_raw = raw;
            return place;
        }
    }
    return NULL;
}

/* What may be read beyond a record's end when all of it was parsed without looking: attributes, and
 * two bytes for each varint until a length is compared. */
#define RECORD_FRAME_SLACK_BYTES 16

/* Most varints have one byte or two. Places are passed and returned by value, and rare cases are
 * calls, so that the common ones stay in registers. With `has_slack` two bytes can be read wherever
 * `place` is, perhaps beyond `end`: the caller finds that out once, at the record's end. */
static inline const uint8_t *record_frame_varint(const uint8_t *place, const uint8_t *end,
                                                 bool has_slack, uint32_t bit_count,
                                                 uint64_t *out_raw)
{
    if (has_slack || end - place >= 2) {
        uint32_t low = place[0];
        if (RECORD_FRAME_LIKELY(low < 0x80)) {
            *out_raw = low;
            return place + 1;
        }
        uint32_t high = place[1];
        if (RECORD_FRAME_LIKELY(high < 0x80)) {
            *out_raw = (low & 0x7fU) | high << 7;
            return place + 2;
        }
    }
    uint64_t raw = 0;
    const uint8_t *behind = record_frame_long_varint(place, end, bit_count, &raw);
    *out_raw = raw;
    return behind;
}

/* A length and that many bytes. A negative length, whose lowest bit is set, counts none; the caller
 * says which of them is null. */
static inline const uint8_t *record_frame_bytes(const uint8_t *place, const uint8_t *end,
                                                bool has_slack, const uint8_t **out_bytes,
                                                int32_t *out_byte_count)
{
    uint64_t raw = 0;
    place = record_frame_varint(place, end, has_slack, 32, &raw);
    *out_byte_count = record_frame_unzigzag32((uint32_t)raw);
    *out_bytes = NULL;
    if (place == NULL || (raw & 1) != 0) {
        return place;
    }
    if ((int64_t)(raw >> 1) > end - place) {
        return NULL;
    }
    *out_bytes = place;
    return place + (raw >> 1);
}

/* A header takes two bytes at least, so a count that lies ends soon. */
static __attribute__((noinline, unused)) const uint8_t *record_frame_headers(const uint8_t *place,
                                                                             const uint8_t *end,
                                                                             int32_t header_count,
                                                                             bool *out_has_odd)
{
    bool has_odd = false;
    for (int32_t i = 0; i < header_count && place != NULL; i++) {
        const uint8_t *bytes = NULL;
        int32_t byte_count = 0;
        place = record_frame_bytes(place, end, false, &bytes, &byte_count);
        if (place == NULL || byte_count < 0) {
            return NULL;
        }
        place = record_frame_bytes(place, end, false, &bytes, &byte_count);
        has_odd |= byte_count < -1;
    }
    *out_has_odd = has_odd;
    return place;
}

static inline __attribute__((always_inline)) bool
record_frame_parse_body(const uint8_t *place, const uint8_t *end, bool has_slack,
                        struct record_frame *frame)
{
    uint64_t timestamp_raw = 0;
    uint64_t offset_raw = 0;
    uint64_t header_raw = 0;
    if (place == end) {
        return false;
    }
    frame->attributes = (int8_t)*place++;
    place = record_frame_varint(place, end, has_slack, 64, &timestamp_raw);
    if (place == NULL) {
        return false;
    }
    place = record_frame_varint(place, end, has_slack, 32, &offset_raw);
    if (place == NULL) {
        return false;
    }
    place = record_frame_bytes(place, end, has_slack, &frame->key, &frame->key_bytes);
    if (place == NULL || frame->key_bytes < -1) {
        return false;
    }
    place = record_frame_bytes(place, end, has_slack, &frame->value, &frame->value_bytes);
    if (place == NULL || frame->value_bytes < -1) {
        return false;
    }
    place = record_frame_varint(place, end, has_slack, 32, &header_raw);
    if (place == NULL) {
        return false;
    }
    frame->timestamp_delta = record_frame_unzigzag64(timestamp_raw);
    frame->offset_delta = record_frame_unzigzag32((uint32_t)offset_raw);
    frame->header_count = record_frame_unzigzag32((uint32_t)header_raw);
    frame->headers = place;
    frame->has_odd_header = false;
    if (header_raw == 0) {
        return place == end;
    }
    bool has_odd = false;
    if (place > end || frame->header_count < 0) {
        return false;
    }
    place = record_frame_headers(place, end, frame->header_count, &has_odd);
    frame->has_odd_header = has_odd;
    return place == end;
}

/* The body of a record: all that its length counts, from `place` to `end`. Memory can be read up to
 * `limit`, which is not before `end`. */
static inline __attribute__((always_inline)) bool record_frame_parse(const uint8_t *place,
                                                                     const uint8_t *end,
                                                                     const uint8_t *limit,
                                                                     struct record_frame *frame)
{
    return RECORD_FRAME_LIKELY(limit - end >= RECORD_FRAME_SLACK_BYTES)
               ? record_frame_parse_body(place, end, true, frame)
               : record_frame_parse_body(place, end, false, frame);
}
