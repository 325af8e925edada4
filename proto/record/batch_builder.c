#include "proto/record/batch_builder.h"

#include "proto/sys/check.h"
#include "proto/wire/crc32c.h"

#include <stdlib.h>

/* Length, attributes, two deltas, two lengths and a header count, each as long as can be. */
#define RECORD_FIELDS_BYTES_MAX (5U + 1 + 10 + 5 + 5 + 5 + 5)
#define HEADER_FIELDS_BYTES_MAX (5U + 5)
#define CAPACITY_BYTES_MIN ((size_t)1 << 10)

void batch_builder_init(struct batch_builder *self, struct budget *budget, size_t byte_count_max)
{
    check(byte_count_max > BATCH_HEADER_BYTES);
    check(byte_count_max <= COMPRESSOR_INPUT_BYTES_MAX);

    *self = (struct batch_builder){
        .budget = budget, .byte_count = BATCH_HEADER_BYTES, .byte_count_max = byte_count_max};
}

void batch_builder_init_over(struct batch_builder *self, void *bytes, size_t byte_count)
{
    batch_builder_init(self, NULL, byte_count);
    self->bytes = bytes;
    self->capacity_bytes = byte_count;
    self->is_borrowed = true;
}

void batch_builder_done(struct batch_builder *self)
{
    if (!self->is_borrowed) {
        free(self->bytes);
    }
    if (self->budget != NULL) {
        budget_give(self->budget, self->capacity_bytes);
    }
    *self = (struct batch_builder){0};
}

void batch_builder_reset(struct batch_builder *self)
{
    self->byte_count = BATCH_HEADER_BYTES;
    self->record_count = 0;
    self->next_offset_delta = 0;
    self->has_base_timestamp = false;
    self->is_finished = false;
}

static enum status reserve(struct batch_builder *self, size_t byte_count)
{
    if (byte_count > self->byte_count_max) {
        return STATUS_FULL;
    }
    if (byte_count <= self->capacity_bytes) {
        return STATUS_OK;
    }
    size_t capacity = self->capacity_bytes * 2;
    capacity = capacity < CAPACITY_BYTES_MIN ? CAPACITY_BYTES_MIN : capacity;
    capacity = capacity < byte_count ? byte_count : capacity;
    capacity = capacity < self->byte_count_max ? capacity : self->byte_count_max;
    size_t added = capacity - self->capacity_bytes;
    if (self->budget != NULL && !budget_take(self->budget, added)) {
        return STATUS_BUSY;
    }
    uint8_t *bytes = realloc(self->bytes, capacity);
    if (bytes == NULL) {
        if (self->budget != NULL) {
            budget_give(self->budget, added);
        }
        return STATUS_NO_MEMORY;
    }
    self->bytes = bytes;
    self->capacity_bytes = capacity;
    return STATUS_OK;
}

static uint64_t zigzag(int64_t value)
{
    return ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
}

static size_t varint_bytes(int64_t value)
{
    size_t byte_count = 1;
    for (uint64_t raw = zigzag(value); raw >= 0x80; raw >>= 7) {
        byte_count += 1;
    }
    return byte_count;
}

static uint8_t *put_varint(uint8_t *place, int64_t value)
{
    uint64_t raw = zigzag(value);
    while (raw >= 0x80) {
        *place++ = (uint8_t)(raw | 0x80);
        raw >>= 7;
    }
    *place++ = (uint8_t)raw;
    return place;
}

static uint8_t *put_bytes(uint8_t *place, const void *bytes, int32_t byte_count)
{
    check(byte_count >= -1);
    place = put_varint(place, byte_count);
    if (byte_count > 0) {
        memcpy(place, bytes, (size_t)byte_count);
        place += byte_count;
    }
    return place;
}

static size_t bytes_of(int32_t byte_count)
{
    return byte_count > 0 ? (size_t)byte_count : 0;
}

size_t batch_builder_record_bytes_max(const struct batch_builder_record *record)
{
    size_t byte_count = RECORD_FIELDS_BYTES_MAX + bytes_of(record->key.byte_count) +
                        bytes_of(record->value.byte_count);
    for (int32_t i = 0; i < record->header_count; i++) {
        byte_count += HEADER_FIELDS_BYTES_MAX + bytes_of(record->headers[i].key.byte_count) +
                      bytes_of(record->headers[i].value.byte_count);
    }
    return byte_count;
}

/* Of everything behind the length itself. */
static size_t body_bytes(const struct batch_builder_record *record, int64_t timestamp_delta,
                         int32_t offset_delta)
{
    size_t byte_count = 1 + varint_bytes(timestamp_delta) + varint_bytes(offset_delta) +
                        varint_bytes(record->key.byte_count) + bytes_of(record->key.byte_count) +
                        varint_bytes(record->value.byte_count) +
                        bytes_of(record->value.byte_count) + varint_bytes(record->header_count);
    for (int32_t i = 0; i < record->header_count; i++) {
        const struct batch_builder_header *header = &record->headers[i];
        byte_count += varint_bytes(header->key.byte_count) + bytes_of(header->key.byte_count) +
                      varint_bytes(header->value.byte_count) + bytes_of(header->value.byte_count);
    }
    return byte_count;
}

static uint8_t *put_record(uint8_t *place, const struct batch_builder_record *record,
                           int64_t timestamp_delta, int32_t offset_delta)
{
    *place++ = 0; /* Attributes: none are defined. */
    place = put_varint(place, timestamp_delta);
    place = put_varint(place, offset_delta);
    place = put_bytes(place, record->key.bytes, record->key.byte_count);
    place = put_bytes(place, record->value.bytes, record->value.byte_count);
    place = put_varint(place, record->header_count);
    for (int32_t i = 0; i < record->header_count; i++) {
        const struct batch_builder_header *header = &record->headers[i];
        check(header->key.byte_count >= 0);
        place = put_bytes(place, header->key.bytes, header->key.byte_count);
        place = put_bytes(place, header->value.bytes, header->value.byte_count);
    }
    return place;
}

enum status batch_builder_append(struct batch_builder *self,
                                 const struct batch_builder_record *record)
{
    return batch_builder_append_at(self, record, self->next_offset_delta);
}

enum status batch_builder_append_at(struct batch_builder *self,
                                    const struct batch_builder_record *record, int32_t offset_delta)
{
    check(!self->is_finished);
    check(record->header_count >= 0);
    check(self->record_count == 0 || offset_delta >= self->next_offset_delta);

    int64_t base_ms = self->has_base_timestamp ? self->base_timestamp_ms : record->timestamp_ms;
    int64_t timestamp_delta = (int64_t)((uint64_t)record->timestamp_ms - (uint64_t)base_ms);
    size_t body_count = body_bytes(record, timestamp_delta, offset_delta);
    if (body_count > INT32_MAX || self->next_offset_delta < 0) {
        return STATUS_FULL; /* The latter after the greatest delta there is. */
    }
    size_t record_bytes = varint_bytes((int64_t)body_count) + body_count;
    TRY(reserve(self, self->byte_count + record_bytes));

    uint8_t *place = put_varint(self->bytes + self->byte_count, (int64_t)body_count);
    place = put_record(place, record, timestamp_delta, offset_delta);
    self->byte_count += record_bytes;
    check(place == self->bytes + self->byte_count);
    bool is_greatest = self->record_count == 0 || record->timestamp_ms > self->max_timestamp_ms;
    self->max_timestamp_ms = is_greatest ? record->timestamp_ms : self->max_timestamp_ms;
    self->base_timestamp_ms = base_ms;
    self->has_base_timestamp = true;
    self->record_count += 1;
    self->next_offset_delta = offset_delta == INT32_MAX ? -1 : offset_delta + 1;
    return STATUS_OK;
}

void batch_builder_set_base_timestamp(struct batch_builder *self, int64_t base_timestamp_ms)
{
    check(self->record_count == 0);

    self->base_timestamp_ms = base_timestamp_ms;
    self->has_base_timestamp = true;
}

static void put_header(struct batch_builder *self, const struct batch_builder_finish *options,
                       enum compression_codec codec)
{
    uint16_t attributes = (uint16_t)codec;
    attributes |= options->is_transactional ? BATCH_TRANSACTIONAL : 0;
    attributes |= options->is_control ? BATCH_CONTROL : 0;
    int32_t last_offset_delta = self->next_offset_delta - 1;
    int64_t max_timestamp_ms = self->max_timestamp_ms;
    if (self->next_offset_delta < 0) {
        last_offset_delta = INT32_MAX;
    }
    if (options->keep != NULL) {
        check(options->keep->last_offset_delta >= last_offset_delta);
        last_offset_delta = options->keep->last_offset_delta;
        max_timestamp_ms = options->keep->max_timestamp_ms;
        attributes |= options->keep->has_delete_horizon ? BATCH_DELETE_HORIZON : 0;
    }
    uint8_t *header = self->bytes;
    big_endian_put64(header, (uint64_t)options->base_offset);
    big_endian_put32(header + 8, (uint32_t)(self->byte_count - BATCH_FRAME_BYTES));
    big_endian_put32(header + 12, (uint32_t)options->leader_epoch);
    header[16] = BATCH_MAGIC;
    big_endian_put16(header + 21, attributes);
    big_endian_put32(header + 23, (uint32_t)last_offset_delta);
    big_endian_put64(header + 27, (uint64_t)self->base_timestamp_ms);
    big_endian_put64(header + 35, (uint64_t)max_timestamp_ms);
    big_endian_put64(header + 43, (uint64_t)options->producer_id);
    big_endian_put16(header + 51, (uint16_t)options->producer_epoch);
    big_endian_put32(header + 53, (uint32_t)options->base_sequence);
    big_endian_put32(header + 57, (uint32_t)self->record_count);
    big_endian_put32(header + 17, crc32c(0, header + BATCH_CHECKSUMMED_FROM,
                                         self->byte_count - BATCH_CHECKSUMMED_FROM));
}

/* In place, since a result that is not smaller is not used. */
static enum status compress(struct batch_builder *self, const struct batch_builder_finish *options,
                            struct compressor *compressor, enum compression_codec *out_codec)
{
    check(compressor != NULL);
    struct wire_slice records = {.base = self->bytes + BATCH_HEADER_BYTES,
                                 .byte_count = self->byte_count - BATCH_HEADER_BYTES};
    struct wire_slice result = {0};
    TRY(compressor_run(compressor, options->codec, options->compression_level, records, &result));
    if (result.byte_count < records.byte_count) {
        memcpy(self->bytes + BATCH_HEADER_BYTES, result.base, result.byte_count);
        self->byte_count = BATCH_HEADER_BYTES + result.byte_count;
        *out_codec = options->codec;
    }
    return STATUS_OK;
}

enum status batch_builder_finish(struct batch_builder *self,
                                 const struct batch_builder_finish *options,
                                 struct compressor *compressor, struct batch_view *out_batch)
{
    check(!self->is_finished);
    check(self->record_count > 0 || (options->keep != NULL && self->has_base_timestamp));
    check(compression_is_known(options->codec));

    enum compression_codec codec = COMPRESSION_NONE;
    TRY(reserve(self, self->byte_count)); /* A batch without records has no memory yet. */
    if (options->codec != COMPRESSION_NONE && self->record_count > 0) {
        TRY(compress(self, options, compressor, &codec));
    }
    put_header(self, options, codec);
    self->is_finished = true;
    *out_batch =
        (struct batch_view){.bytes = self->bytes, .byte_count = (uint32_t)self->byte_count};
    return STATUS_OK;
}
