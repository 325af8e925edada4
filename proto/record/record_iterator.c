#include "proto/record/record_iterator.h"

#include "proto/record/record_frame.h"
#include "proto/sys/check.h"

enum status record_iterator_init(struct record_iterator *self, const struct batch_view *batch,
                                 struct decompressor *decompressor,
                                 struct decompressor_output *output)
{
    check(batch->byte_count >= BATCH_HEADER_BYTES);

    struct record_iterator made = {
        .next = batch_payload(batch),
        .base_offset = batch_base_offset(batch),
        .base_timestamp_ms = batch_base_timestamp(batch),
        .append_time_ms = batch_max_timestamp(batch),
        .has_append_time = batch_has_append_time(batch),
        .left_count = batch_record_count(batch),
    };
    if (!compression_is_known(batch_codec(batch))) {
        return STATUS_UNSUPPORTED;
    }
    if (made.left_count < 0) {
        return STATUS_MALFORMED;
    }

    made.end = made.next + batch_payload_bytes(batch);
    if (made.left_count == 0) {
        made.end = made.next; /* Kafka's reader does not look at the bytes of an empty batch. */
    } else if (batch_codec(batch) != COMPRESSION_NONE) {
        check(decompressor != NULL);
        check(output != NULL);
        TRY(decompressor_run(decompressor, batch_codec(batch), made.next,
                             batch_payload_bytes(batch), output));
        made.next = output->bytes;
        made.end = output->bytes + output->byte_count;
    }
    *self = made;
    return STATUS_OK;
}

static struct wire_bytes bytes_of(const uint8_t *bytes, int32_t byte_count)
{
    return (struct wire_bytes){.bytes = bytes, .byte_count = byte_count};
}

static bool next_frame(struct record_iterator *self, struct record_frame *out_frame)
{
    const uint8_t *body = NULL;
    int32_t length = 0;
    const uint8_t *behind = record_frame_bytes(self->next, self->end, false, &body, &length);
    if (behind == NULL || length < 0) {
        return false;
    }
    self->next = behind;
    return record_frame_parse(body, behind, self->end, out_frame);
}

enum status record_iterator_next(struct record_iterator *self, struct record *out_record)
{
    if (self->left_count == 0) {
        bool is_whole = self->next == self->end && !self->has_failed;
        return is_whole ? STATUS_NOT_FOUND : STATUS_MALFORMED;
    }
    struct record_frame frame;
    if (!next_frame(self, &frame)) {
        self->left_count = 0;
        self->has_failed = true;
        return STATUS_MALFORMED;
    }

    self->left_count -= 1;
    uint64_t timestamp = (uint64_t)self->base_timestamp_ms + (uint64_t)frame.timestamp_delta;
    uint64_t offset = (uint64_t)self->base_offset + (uint64_t)(int64_t)frame.offset_delta;
    *out_record = (struct record){
        .offset = (int64_t)offset,
        .timestamp_ms = self->has_append_time ? self->append_time_ms : (int64_t)timestamp,
        .key = bytes_of(frame.key, frame.key_bytes),
        .value = bytes_of(frame.value, frame.value_bytes),
        .headers = frame.headers,
        .headers_end = self->next,
        .header_count = frame.header_count,
        .attributes = frame.attributes,
    };
    return STATUS_OK;
}

void record_header_init(struct record_header *self, const struct record *record)
{
    *self = (struct record_header){
        .next = record->headers, .end = record->headers_end, .left_count = record->header_count};
}

bool record_header_next(struct record_header *self)
{
    if (self->left_count == 0) {
        return false;
    }
    const uint8_t *key = NULL;
    int32_t key_bytes = 0;
    const uint8_t *value = NULL;
    int32_t value_bytes = 0;
    /* The record was parsed before, so these bytes are known to hold headers. */
    self->next = record_frame_bytes(self->next, self->end, false, &key, &key_bytes);
    check(self->next != NULL);
    self->next = record_frame_bytes(self->next, self->end, false, &value, &value_bytes);
    check(self->next != NULL);

    self->left_count -= 1;
    self->key = (struct wire_text){.bytes = (const char *)key, .byte_count = key_bytes};
    self->value = bytes_of(value, value_bytes < 0 ? -1 : value_bytes);
    return true;
}
