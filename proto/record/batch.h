/* One Kafka record batch (format v2) in memory: where its fields are, and the few a broker
 * rewrites.
 *
 * A view is a pointer and a size over somebody's bytes. Reading a field is one load, so nothing is
 * decoded ahead. A view says only that a whole batch of magic 2 is there; what else holds is for
 * batch_check.h to find out. All numbers are big endian:
 *
 * | position | bytes | field                |                                              |
 * |----------|-------|----------------------|----------------------------------------------|
 * | 0        | 8     | base offset          | stamped by the leader                        |
 * | 8        | 4     | length               | of all that follows; 49 at least             |
 * | 12       | 4     | leader epoch         | stamped by the leader                        |
 * | 16       | 1     | magic                | 2                                            |
 * | 17       | 4     | CRC-32C              | of everything from position 21               |
 * | 21       | 2     | attributes           | enum batch_attribute                         |
 * | 23       | 4     | last offset delta    | kept by compaction, so >= count - 1          |
 * | 27       | 8     | base timestamp       | the delete horizon when that bit is set      |
 * | 35       | 8     | max timestamp        |                                              |
 * | 43       | 8     | producer id          | -1: none                                     |
 * | 51       | 2     | producer epoch       |                                              |
 * | 53       | 4     | base sequence        | -1: none                                     |
 * | 57       | 4     | record count         | also when the records are compressed         |
 * | 61       |       | records              | one compressed block unless the codec is 0   |
 *
 * Owner: of the bytes, whoever made the view. Loop: any. Limits: none of its own. */
#pragma once

#include "proto/record/compression.h"
#include "proto/sys/status.h"
#include "proto/wire/big_endian.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BATCH_MAGIC 2
#define BATCH_HEADER_BYTES 61U
/* Base offset and length: what the length does not count. */
#define BATCH_FRAME_BYTES 12U
/* From here on the length and the magic can be seen. */
#define BATCH_PEEK_BYTES 17U
#define BATCH_CHECKSUMMED_FROM 21U

enum batch_attribute {
    BATCH_CODEC_MASK = 0x07,
    BATCH_LOG_APPEND_TIME = 0x08,
    BATCH_TRANSACTIONAL = 0x10,
    BATCH_CONTROL = 0x20,
    BATCH_DELETE_HORIZON = 0x40,
};

struct batch_view {
    const uint8_t *bytes; /* Borrowed. */
    uint32_t byte_count;  /* Of the whole batch. */
};

/* How long the batch at `bytes` says it is, frame included, for readers that must fetch it first.
 * NOT_FOUND: fewer than BATCH_PEEK_BYTES are here; MALFORMED: no batch has that length;
 * UNSUPPORTED: not magic 2. The rest of the batch need not be here. */
MUST_USE enum status batch_measure(const void *bytes, size_t byte_count, uint32_t *out_byte_count);

/* Views the batch at the start of `bytes`; what follows it is not looked at. As batch_measure(),
 * and NOT_FOUND also when the batch is cut short. */
MUST_USE enum status batch_view_init(struct batch_view *self, const void *bytes, size_t byte_count);

/* The stored checksum is the right one. */
bool batch_has_right_checksum(const struct batch_view *self);

/* In place, on a whole batch. The first lies outside the checksum; the others set that, too, in
 * time that does not depend on the batch's size. */
void batch_stamp_offset(uint8_t *batch, int64_t base_offset, int32_t leader_epoch);
/* All records get this time, and readers are told so. */
void batch_stamp_append_time(uint8_t *batch, int64_t append_time_ms);
/* Records keep their own times, of which `max_timestamp_ms` is the greatest. */
void batch_stamp_create_time(uint8_t *batch, int64_t max_timestamp_ms);
/* For a client that sends a batch again under another identity. */
void batch_stamp_producer(uint8_t *batch, int64_t producer_id, int16_t producer_epoch,
                          int32_t base_sequence);

static inline int64_t batch_base_offset(const struct batch_view *self)
{
    return (int64_t)big_endian_get64(self->bytes);
}

static inline int32_t batch_leader_epoch(const struct batch_view *self)
{
    return (int32_t)big_endian_get32(self->bytes + 12);
}

static inline uint32_t batch_crc(const struct batch_view *self)
{
    return big_endian_get32(self->bytes + 17);
}

static inline uint16_t batch_attributes(const struct batch_view *self)
{
    return big_endian_get16(self->bytes + 21);
}

/* May be none of the enum's. */
static inline enum compression_codec batch_codec(const struct batch_view *self)
{
    return (enum compression_codec)(batch_attributes(self) & BATCH_CODEC_MASK);
}

static inline bool batch_has_append_time(const struct batch_view *self)
{
    return (batch_attributes(self) & BATCH_LOG_APPEND_TIME) != 0;
}

static inline bool batch_is_transactional(const struct batch_view *self)
{
    return (batch_attributes(self) & BATCH_TRANSACTIONAL) != 0;
}

static inline bool batch_is_control(const struct batch_view *self)
{
    return (batch_attributes(self) & BATCH_CONTROL) != 0;
}

static inline bool batch_has_delete_horizon(const struct batch_view *self)
{
    return (batch_attributes(self) & BATCH_DELETE_HORIZON) != 0;
}

static inline int32_t batch_last_offset_delta(const struct batch_view *self)
{
    return (int32_t)big_endian_get32(self->bytes + 23);
}

/* Wraps instead of overflowing, since both parts may come from outside. */
static inline int64_t batch_last_offset(const struct batch_view *self)
{
    return (int64_t)((uint64_t)batch_base_offset(self) +
                     (uint64_t)(int64_t)batch_last_offset_delta(self));
}

static inline int64_t batch_next_offset(const struct batch_view *self)
{
    return (int64_t)((uint64_t)batch_last_offset(self) + 1);
}

static inline int64_t batch_base_timestamp(const struct batch_view *self)
{
    return (int64_t)big_endian_get64(self->bytes + 27);
}

static inline int64_t batch_max_timestamp(const struct batch_view *self)
{
    return (int64_t)big_endian_get64(self->bytes + 35);
}

static inline int64_t batch_producer_id(const struct batch_view *self)
{
    return (int64_t)big_endian_get64(self->bytes + 43);
}

static inline int16_t batch_producer_epoch(const struct batch_view *self)
{
    return (int16_t)big_endian_get16(self->bytes + 51);
}

static inline int32_t batch_base_sequence(const struct batch_view *self)
{
    return (int32_t)big_endian_get32(self->bytes + 53);
}

/* 2^31 - 1 is followed by 0; -1 without a sequence. */
static inline int32_t batch_last_sequence(const struct batch_view *self)
{
    int32_t base_sequence = batch_base_sequence(self);
    if (base_sequence == -1) {
        return -1;
    }
    uint32_t delta = (uint32_t)batch_last_offset_delta(self);
    return (int32_t)(((uint32_t)base_sequence + delta) & INT32_MAX);
}

static inline int32_t batch_record_count(const struct batch_view *self)
{
    return (int32_t)big_endian_get32(self->bytes + 57);
}

/* The records as they are stored, compressed or not. */
static inline const uint8_t *batch_payload(const struct batch_view *self)
{
    return self->bytes + BATCH_HEADER_BYTES;
}

static inline uint32_t batch_payload_bytes(const struct batch_view *self)
{
    return self->byte_count - BATCH_HEADER_BYTES;
}
