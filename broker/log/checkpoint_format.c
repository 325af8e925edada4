#include "broker/log/checkpoint_format.h"

#include "proto/wire/big_endian.h"
#include "proto/sys/check.h"
#include "proto/wire/crc32c.h"

#include <stdlib.h>
#include <string.h>

#define FILE_MAGIC 0x4d524350U
#define CRC_FROM 8U
#define ENTRY_HEAD_BYTES 36U
#define SEGMENT_BYTES 76U
#define EPOCH_BYTES 12U
#define FLAG_SNAPSHOT 1U
#define FLAG_REMOVED 1U

void checkpoint_format_seal(const struct checkpoint_header *header, uint8_t *bytes,
                            size_t byte_count)
{
    check(byte_count >= CHECKPOINT_FORMAT_HEADER_BYTES);
    memset(bytes, 0, CHECKPOINT_FORMAT_HEADER_BYTES);
    big_endian_put32(bytes, FILE_MAGIC);
    bytes[8] = CHECKPOINT_FORMAT_VERSION;
    bytes[9] = header->is_shard;
    bytes[10] = header->is_clean;
    big_endian_put32(bytes + 12, header->shard);
    big_endian_put64(bytes + 16, header->run);
    big_endian_put64(bytes + 24, header->cut_position);
    big_endian_put64(bytes + 32, header->cut_sequence);
    big_endian_put64(bytes + 40, header->acknowledged_sequence);
    big_endian_put64(bytes + 48, (uint64_t)header->wall_ms);
    big_endian_put32(bytes + 56, header->entry_count);
    big_endian_put32(bytes + 4, crc32c(0, bytes + CRC_FROM, byte_count - CRC_FROM));
}

enum status checkpoint_format_open(const uint8_t *bytes, size_t byte_count,
                                   struct checkpoint_header *out_header)
{
    if (byte_count < CHECKPOINT_FORMAT_HEADER_BYTES || big_endian_get32(bytes) != FILE_MAGIC ||
        big_endian_get32(bytes + 4) != crc32c(0, bytes + CRC_FROM, byte_count - CRC_FROM)) {
        return STATUS_CORRUPT;
    }
    if (bytes[8] != CHECKPOINT_FORMAT_VERSION) {
        return STATUS_UNSUPPORTED;
    }
    *out_header = (struct checkpoint_header){
        .is_shard = bytes[9] != 0,
        .is_clean = bytes[10] != 0,
        .shard = big_endian_get32(bytes + 12),
        .run = big_endian_get64(bytes + 16),
        .cut_position = big_endian_get64(bytes + 24),
        .cut_sequence = big_endian_get64(bytes + 32),
        .acknowledged_sequence = big_endian_get64(bytes + 40),
        .wall_ms = (int64_t)big_endian_get64(bytes + 48),
        .entry_count = big_endian_get32(bytes + 56),
    };
    return STATUS_OK;
}

enum status checkpoint_format_next(const uint8_t *bytes, size_t byte_count, size_t *position,
                                   struct checkpoint_blob *out_blob)
{
    check(*position <= byte_count);
    size_t left = byte_count - *position;
    if (left < ENTRY_HEAD_BYTES) {
        return STATUS_CORRUPT;
    }
    const uint8_t *entry = bytes + *position;
    uint32_t entry_bytes = big_endian_get32(entry);
    if (entry_bytes < ENTRY_HEAD_BYTES || entry_bytes > left) {
        return STATUS_CORRUPT;
    }
    *out_blob = (struct checkpoint_blob){
        .bytes = entry,
        .byte_count = entry_bytes,
        .partition = (int32_t)big_endian_get32(entry + 20),
        .sequence = big_endian_get64(entry + 24),
        .is_removed = entry[32] == FLAG_REMOVED,
    };
    memcpy(out_blob->topic_id.bytes, entry + 4, sizeof out_blob->topic_id.bytes);
    *position += entry_bytes;
    return STATUS_OK;
}

static size_t entry_bytes_of(const struct checkpoint_entry *entry)
{
    size_t byte_count = ENTRY_HEAD_BYTES + (size_t)entry->topic_name.byte_count;
    if (!entry->is_removed) {
        byte_count += 3 * 8 + 4 + (size_t)entry->epoch_count * EPOCH_BYTES + 4 +
                      (size_t)entry->segment_count * SEGMENT_BYTES + 8 + 4 +
                      entry->snapshot_byte_count;
    }
    return byte_count;
}

static uint8_t *put32(uint8_t *place, uint32_t value)
{
    big_endian_put32(place, value);
    return place + 4;
}

static uint8_t *put64(uint8_t *place, int64_t value)
{
    big_endian_put64(place, (uint64_t)value);
    return place + 8;
}

static uint8_t *put_segment(uint8_t *place, const struct checkpoint_segment *segment)
{
    place = put64(place, segment->base_offset);
    place = put32(place, segment->byte_count);
    place = put32(place, segment->has_snapshot ? FLAG_SNAPSHOT : 0);
    place = put64(place, segment->max_timestamp_ms);
    place = put64(place, segment->last_ingested_ms);
    place = put64(place, segment->created_ms);
    for (uint32_t i = 0; i < CHECKPOINT_FORMAT_SIDES; i++) {
        place = put32(place, segment->sides[i].byte_count);
        place = put32(place, segment->sides[i].crc);
    }
    return put32(place, 0);
}

static uint8_t *put_state(uint8_t *place, const struct checkpoint_entry *entry)
{
    place = put64(place, entry->start);
    place = put64(place, entry->end);
    place = put64(place, entry->last_ingested_ms);
    place = put32(place, entry->epoch_count);
    for (uint32_t i = 0; i < entry->epoch_count; i++) {
        place = put32(place, (uint32_t)entry->epochs[i].epoch);
        place = put64(place, entry->epochs[i].start_offset);
    }
    place = put32(place, entry->segment_count);
    for (uint32_t i = 0; i < entry->segment_count; i++) {
        place = put_segment(place, &entry->segments[i]);
    }
    place = put64(place, entry->snapshot_byte_count == 0 ? -1 : entry->snapshot_offset);
    place = put32(place, entry->snapshot_byte_count);
    if (entry->snapshot_byte_count > 0) {
        memcpy(place, entry->snapshot, entry->snapshot_byte_count);
    }
    return place + entry->snapshot_byte_count;
}

enum status checkpoint_format_encode_entry(const struct checkpoint_entry *entry,
                                           uint8_t **out_bytes, uint32_t *out_byte_count)
{
    check(entry->topic_name.byte_count > 0 && entry->topic_name.byte_count <= UINT16_MAX);
    size_t byte_count = entry_bytes_of(entry);
    if (byte_count > CHECKPOINT_FORMAT_BYTES_MAX) {
        return STATUS_FULL;
    }
    uint8_t *bytes = calloc(1, byte_count);
    if (bytes == NULL) {
        return STATUS_NO_MEMORY;
    }
    put32(bytes, (uint32_t)byte_count);
    memcpy(bytes + 4, entry->topic_id.bytes, sizeof entry->topic_id.bytes);
    put32(bytes + 20, (uint32_t)entry->partition);
    put64(bytes + 24, (int64_t)entry->sequence);
    bytes[32] = entry->is_removed ? FLAG_REMOVED : 0;
    big_endian_put16(bytes + 34, (uint16_t)entry->topic_name.byte_count);
    uint8_t *place = bytes + ENTRY_HEAD_BYTES;
    memcpy(place, entry->topic_name.bytes, (size_t)entry->topic_name.byte_count);
    place += entry->topic_name.byte_count;
    if (!entry->is_removed) {
        place = put_state(place, entry);
    }
    check(place == bytes + byte_count);
    *out_bytes = bytes;
    *out_byte_count = (uint32_t)byte_count;
    return STATUS_OK;
}

static void read_segment(struct wire_reader *reader, struct checkpoint_segment *segment)
{
    segment->base_offset = wire_read_int64(reader);
    segment->byte_count = wire_read_uint32(reader);
    segment->has_snapshot = (wire_read_uint32(reader) & FLAG_SNAPSHOT) != 0;
    segment->max_timestamp_ms = wire_read_int64(reader);
    segment->last_ingested_ms = wire_read_int64(reader);
    segment->created_ms = wire_read_int64(reader);
    for (uint32_t i = 0; i < CHECKPOINT_FORMAT_SIDES; i++) {
        segment->sides[i].byte_count = wire_read_uint32(reader);
        segment->sides[i].crc = wire_read_uint32(reader);
    }
    (void)wire_read_uint32(reader);
}

static enum status read_epochs(struct wire_reader *reader, struct checkpoint_entry *entry)
{
    int32_t count = wire_read_count(reader, false, false, EPOCH_BYTES);
    if (wire_reader_status(reader) != STATUS_OK || count == 0) {
        return STATUS_OK;
    }
    struct epoch_history_entry *epochs = calloc((size_t)count, sizeof *epochs);
    if (epochs == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (int32_t i = 0; i < count; i++) {
        epochs[i].epoch = wire_read_int32(reader);
        epochs[i].start_offset = wire_read_int64(reader);
    }
    entry->epochs = epochs;
    entry->epoch_count = (uint32_t)count;
    for (int32_t i = 0; i < count; i++) {
        if (epochs[i].epoch < 0 || epochs[i].start_offset < 0) {
            return STATUS_CORRUPT;
        }
    }
    return STATUS_OK;
}

static enum status read_segments(struct wire_reader *reader, struct checkpoint_entry *entry)
{
    int32_t count = wire_read_count(reader, false, false, SEGMENT_BYTES);
    if (wire_reader_status(reader) != STATUS_OK || count == 0) {
        return STATUS_OK;
    }
    struct checkpoint_segment *segments = calloc((size_t)count, sizeof *segments);
    if (segments == NULL) {
        return STATUS_NO_MEMORY;
    }
    entry->segments = segments;
    entry->segment_count = (uint32_t)count;
    for (int32_t i = 0; i < count; i++) {
        read_segment(reader, &segments[i]);
        if (segments[i].base_offset < 0 || segments[i].byte_count > INT32_MAX ||
            (i > 0 && segments[i].base_offset <= segments[i - 1].base_offset)) {
            return STATUS_CORRUPT;
        }
    }
    return STATUS_OK;
}

static enum status read_state(struct wire_reader *reader, struct checkpoint_entry *entry)
{
    entry->start = wire_read_int64(reader);
    entry->end = wire_read_int64(reader);
    entry->last_ingested_ms = wire_read_int64(reader);
    TRY(read_epochs(reader, entry));
    TRY(read_segments(reader, entry));
    entry->snapshot_offset = wire_read_int64(reader);
    entry->snapshot_byte_count = wire_read_uint32(reader);
    entry->snapshot = wire_read_raw(reader, entry->snapshot_byte_count);
    bool is_sound = entry->start >= 0 && entry->end >= entry->start;
    if (is_sound && entry->segment_count > 0) {
        is_sound = entry->segments[entry->segment_count - 1].base_offset <= entry->end;
    }
    return is_sound ? STATUS_OK : STATUS_CORRUPT;
}

enum status checkpoint_format_decode_entry(const struct checkpoint_blob *blob,
                                           struct checkpoint_entry *out_entry)
{
    check(blob->byte_count >= ENTRY_HEAD_BYTES);
    struct checkpoint_entry entry = {
        .topic_id = blob->topic_id,
        .partition = blob->partition,
        .sequence = blob->sequence,
        .is_removed = blob->is_removed,
        .snapshot_offset = -1,
    };
    struct wire_reader reader;
    wire_reader_init(&reader, blob->bytes + ENTRY_HEAD_BYTES, blob->byte_count - ENTRY_HEAD_BYTES);
    entry.topic_name.byte_count = big_endian_get16(blob->bytes + 34);
    entry.topic_name.bytes =
        (const char *)wire_read_raw(&reader, (size_t)entry.topic_name.byte_count);
    enum status status = entry.is_removed ? STATUS_OK : read_state(&reader, &entry);
    if (status == STATUS_OK && (wire_reader_status(&reader) != STATUS_OK ||
                                wire_reader_left(&reader) != 0 || entry.partition < 0)) {
        status = STATUS_CORRUPT;
    }
    if (status != STATUS_OK) {
        checkpoint_format_entry_done(&entry);
        return status;
    }
    *out_entry = entry;
    return STATUS_OK;
}

void checkpoint_format_entry_done(struct checkpoint_entry *entry)
{
    free((void *)(uintptr_t)entry->epochs);
    free((void *)(uintptr_t)entry->segments);
    *entry = (struct checkpoint_entry){0};
}
