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

/* False: cut short, too long or more bits than fit. */
static inline bool record_frame_varint64(const uint8_t **next, const uint8_t *end,
                                         uint32_t bit_count, uint64_t *out_raw)
{
    uint64_t raw = 0;
    const uint8_t *place = *next;
    for (uint32_t shift = 0; place < end && shift < bit_count; shift += 7) {
        uint64_t group = *place & 0x7fU;
        if (shift + 7 > bit_count && group >> (bit_count - shift) != 0) {
            return false;
        }
        raw |= group << shift;
        if (*place++ < 0x80) {
            *next = place;
            *out_raw = raw;
            return true;
        }
    }
    return false;
}

/* Most varints have one byte or two; the loop is for the others. */
static inline bool record_frame_varint(const uint8_t **next, const uint8_t *end, int32_t *out_value)
{
    const uint8_t *place = *next;
    if (end - place >= 2) {
        if (place[0] < 0x80) {
            *out_value = record_frame_unzigzag32(place[0]);
            *next = place + 1;
            return true;
        }
        if (place[1] < 0x80) {
            *out_value = record_frame_unzigzag32((place[0] & 0x7fU) | (uint32_t)place[1] << 7);
            *next = place + 2;
            return true;
        }
    }
    uint64_t raw = 0;
    if (!record_frame_varint64(next, end, 32, &raw)) {
        return false;
    }
    *out_value = record_frame_unzigzag32((uint32_t)raw);
    return true;
}

/* A length and that many bytes; -1 is null. */
static inline bool record_frame_bytes(const uint8_t **next, const uint8_t *end,
                                      const uint8_t **out_bytes, int32_t *out_byte_count)
{
    int32_t byte_count = 0;
    if (!record_frame_varint(next, end, &byte_count)) {
        return false;
    }
    *out_byte_count = byte_count;
    *out_bytes = NULL;
    if (byte_count >= 0) {
        if (byte_count > end - *next) {
            return false;
        }
        *out_bytes = *next;
        *next += byte_count;
    }
    return true;
}

static inline bool record_frame_headers(const uint8_t **next, const uint8_t *end,
                                        struct record_frame *frame)
{
    /* A header takes two bytes at least, so a count that lies ends soon. */
    for (int32_t i = 0; i < frame->header_count; i++) {
        const uint8_t *bytes = NULL;
        int32_t byte_count = 0;
        if (!record_frame_bytes(next, end, &bytes, &byte_count) || byte_count < 0) {
            return false;
        }
        if (!record_frame_bytes(next, end, &bytes, &byte_count)) {
            return false;
        }
        frame->has_odd_header |= byte_count < -1;
    }
    return true;
}

/* The body of a record: all that its length counts, from `next` to `end`. */
static inline bool record_frame_parse(const uint8_t *next, const uint8_t *end,
                                      struct record_frame *frame)
{
    if (next == end) {
        return false;
    }
    frame->attributes = (int8_t)*next++;
    uint64_t raw_delta = 0;
    if (!record_frame_varint64(&next, end, 64, &raw_delta) ||
        !record_frame_varint(&next, end, &frame->offset_delta) ||
        !record_frame_bytes(&next, end, &frame->key, &frame->key_bytes) || frame->key_bytes < -1 ||
        !record_frame_bytes(&next, end, &frame->value, &frame->value_bytes) ||
        frame->value_bytes < -1 || !record_frame_varint(&next, end, &frame->header_count) ||
        frame->header_count < 0) {
        return false;
    }
    frame->timestamp_delta = record_frame_unzigzag64(raw_delta);
    frame->headers = next;
    frame->has_odd_header = false;
    return record_frame_headers(&next, end, frame) && next == end;
}
