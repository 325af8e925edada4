#include "proto/record/control_record.h"

#include "proto/record/batch_builder.h"
#include "proto/sys/check.h"

#define KEY_BYTES 4
#define MARKER_VALUE_BYTES 6

static enum control_record_type type_of(uint16_t number)
{
    return number <= CONTROL_RECORD_KRAFT_VOTERS ? (enum control_record_type)number
                                                 : CONTROL_RECORD_UNKNOWN;
}

enum status control_record_decode(const struct record *record, struct control_record *out_control)
{
    if (record->key.byte_count < KEY_BYTES || (int16_t)big_endian_get16(record->key.bytes) < 0) {
        return STATUS_MALFORMED;
    }
    struct control_record control = {.type = type_of(big_endian_get16(record->key.bytes + 2)),
                                     .coordinator_epoch = -1};
    if (control.type == CONTROL_RECORD_ABORT || control.type == CONTROL_RECORD_COMMIT) {
        /* A later version may add fields behind these. */
        if (record->value.byte_count < MARKER_VALUE_BYTES ||
            (int16_t)big_endian_get16(record->value.bytes) < 0) {
            return STATUS_MALFORMED;
        }
        control.coordinator_epoch = (int32_t)big_endian_get32(record->value.bytes + 2);
    }
    *out_control = control;
    return STATUS_OK;
}

enum status control_record_of_batch(const struct batch_view *batch,
                                    struct control_record *out_control)
{
    check(batch_is_control(batch));

    /* Nobody compresses a control batch, so that no reader needs memory for one. */
    if (batch_codec(batch) != COMPRESSION_NONE) {
        return STATUS_MALFORMED;
    }
    struct record_iterator iterator;
    struct record record;
    TRY(record_iterator_init(&iterator, batch, NULL, NULL));
    TRY(record_iterator_next(&iterator, &record));
    return control_record_decode(&record, out_control);
}

void control_record_encode_marker(const struct control_record_marker *marker,
                                  uint8_t out_bytes[CONTROL_RECORD_MARKER_BYTES])
{
    uint8_t key[KEY_BYTES] = {0, 0, 0, marker->is_commit};
    uint8_t value[MARKER_VALUE_BYTES] = {0};
    big_endian_put32(value + 2, (uint32_t)marker->coordinator_epoch);
    const struct batch_builder_record record = {
        .timestamp_ms = marker->timestamp_ms,
        .key = {.bytes = key, .byte_count = sizeof key},
        .value = {.bytes = value, .byte_count = sizeof value},
    };
    const struct batch_builder_finish options = {
        .base_offset = marker->base_offset,
        .leader_epoch = marker->leader_epoch,
        .producer_id = marker->producer_id,
        .producer_epoch = marker->producer_epoch,
        .base_sequence = -1,
        .is_transactional = true,
        .is_control = true,
    };
    struct batch_builder builder;
    struct batch_view batch;
    batch_builder_init_over(&builder, out_bytes, CONTROL_RECORD_MARKER_BYTES);
    enum status status = batch_builder_append(&builder, &record);
    check(status == STATUS_OK);
    status = batch_builder_finish(&builder, &options, NULL, &batch);
    check(status == STATUS_OK);
    check(batch.byte_count == CONTROL_RECORD_MARKER_BYTES);
}
