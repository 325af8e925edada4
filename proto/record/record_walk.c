#include "proto/record/record_walk.h"

#include "proto/record/record_frame.h"
#include "proto/sys/check.h"

#include <string.h>

struct walk {
    const uint8_t *next; /* In the batch or in the window. */
    const uint8_t *end;
    struct decompressor *decompressor; /* NULL: all there is lies before `end`. */
    const struct batch_rules *rules;
    int64_t base_timestamp_ms;
    int64_t allowed_ms_min; /* Times between these need no second look at the rules. */
    int64_t allowed_ms_max;
    int64_t seen_ms_max; /* Of the records so far. */
    int64_t refused_ms;
    int32_t seen_ms_max_index;
    int32_t index; /* Records so far. */
    enum batch_fault stream_fault;
    bool needs_keys;
};

static enum batch_fault fault_of_stream(enum status status)
{
    if (status == STATUS_FULL) {
        return BATCH_FAULT_DECOMPRESSED_TOO_LARGE;
    }
    bool is_ours = status == STATUS_BUSY || status == STATUS_NO_MEMORY;
    return is_ours ? BATCH_FAULT_NO_ROOM : BATCH_FAULT_COMPRESSED_BYTES;
}

/* A new piece in the window, once all of the last one was taken; false: there is none. */
static bool refill(struct walk *self)
{
    check(self->next == self->end);
    if (self->decompressor == NULL || self->stream_fault != BATCH_FAULT_NONE) {
        return false;
    }
    size_t byte_count = 0;
    uint8_t *window = self->decompressor->window;
    enum status status = decompressor_read(self->decompressor, window,
                                           self->decompressor->window_bytes, &byte_count);
    if (status != STATUS_OK) {
        self->stream_fault = fault_of_stream(status);
        return false;
    }
    self->next = window;
    self->end = window + byte_count;
    return byte_count > 0;
}

/* The same reading as in record_frame.h, one byte at a time, for what crosses pieces. `left` is
 * what remains of the record. */
static bool crossing_varint64(struct walk *self, int64_t *left, uint32_t bit_count,
                              uint64_t *out_raw)
{
    uint8_t bytes[10];
    uint32_t byte_count = 0;
    do {
        if (*left == 0 || byte_count == sizeof bytes ||
            (self->next == self->end && !refill(self))) {
            return false;
        }
        bytes[byte_count] = *self->next++;
        *left -= 1;
    } while (bytes[byte_count++] >= 0x80);
    return record_frame_long_varint(bytes, bytes + byte_count, bit_count, out_raw) != NULL;
}

static bool crossing_varint(struct walk *self, int64_t *left, int32_t *out_value)
{
    uint64_t raw = 0;
    if (!crossing_varint64(self, left, 32, &raw)) {
        return false;
    }
    *out_value = record_frame_unzigzag32((uint32_t)raw);
    return true;
}

static bool crossing_skip(struct walk *self, int64_t *left, int64_t byte_count)
{
    if (byte_count > *left) {
        return false;
    }
    *left -= byte_count;
    while (byte_count > 0) {
        if (self->next == self->end && !refill(self)) {
            return false;
        }
        int64_t here = self->end - self->next;
        int64_t taken = here < byte_count ? here : byte_count;
        self->next += taken;
        byte_count -= taken;
    }
    return true;
}

/* A length and what it counts; a negative one counts nothing. */
static bool crossing_bytes(struct walk *self, int64_t *left, int32_t *out_byte_count)
{
    return crossing_varint(self, left, out_byte_count) &&
           (*out_byte_count < 0 || crossing_skip(self, left, *out_byte_count));
}

static bool crossing_headers(struct walk *self, int64_t *left, struct record_frame *frame)
{
    frame->has_odd_header = false;
    for (int32_t i = 0; i < frame->header_count; i++) {
        int32_t key_bytes = 0;
        int32_t value_bytes = 0;
        if (!crossing_bytes(self, left, &key_bytes) || key_bytes < 0 ||
            !crossing_bytes(self, left, &value_bytes)) {
            return false;
        }
        frame->has_odd_header |= value_bytes < -1;
    }
    return true;
}

static bool crossing_body(struct walk *self, int64_t left, struct record_frame *frame)
{
    uint64_t raw_delta = 0;
    if (!crossing_skip(self, &left, 1) || !crossing_varint64(self, &left, 64, &raw_delta) ||
        !crossing_varint(self, &left, &frame->offset_delta) ||
        !crossing_bytes(self, &left, &frame->key_bytes) || frame->key_bytes < -1 ||
        !crossing_bytes(self, &left, &frame->value_bytes) || frame->value_bytes < -1 ||
        !crossing_varint(self, &left, &frame->header_count) || frame->header_count < 0) {
        return false;
    }
    frame->timestamp_delta = record_frame_unzigzag64(raw_delta);
    return crossing_headers(self, &left, frame) && left == 0;
}

static enum batch_fault next_crossing(struct walk *self, struct record_frame *frame)
{
    if (self->next == self->end && !refill(self)) {
        return self->stream_fault == BATCH_FAULT_NONE ? BATCH_FAULT_RECORDS_MISSING
                                                      : self->stream_fault;
    }
    int64_t unlimited = INT64_MAX;
    int32_t length = 0;
    if (!crossing_varint(self, &unlimited, &length) || length < 0 ||
        !crossing_body(self, length, frame)) {
        return self->stream_fault == BATCH_FAULT_NONE ? BATCH_FAULT_RECORD_FRAME
                                                      : self->stream_fault;
    }
    return BATCH_FAULT_NONE;
}

static inline enum batch_fault judge(struct walk *self, const struct record_frame *frame,
                                     int32_t index)
{
    if (frame->offset_delta != index) {
        return BATCH_FAULT_OFFSET_DELTA;
    }
    if (frame->has_odd_header) {
        return BATCH_FAULT_RECORD_FRAME;
    }
    if (frame->key_bytes < 0 && self->needs_keys) {
        return BATCH_FAULT_KEY_MISSING;
    }
    int64_t timestamp_ms =
        (int64_t)((uint64_t)self->base_timestamp_ms + (uint64_t)frame->timestamp_delta);
    if (timestamp_ms > self->seen_ms_max) {
        self->seen_ms_max = timestamp_ms;
        self->seen_ms_max_index = index;
    }
    bool is_in_range = timestamp_ms >= self->allowed_ms_min && timestamp_ms <= self->allowed_ms_max;
    if (!is_in_range && !batch_check_timestamp(self->rules, timestamp_ms)) {
        self->refused_ms = timestamp_ms;
        return BATCH_FAULT_TIMESTAMP;
    }
    return BATCH_FAULT_NONE;
}

/* The hot loop: records that lie in memory as a whole, up to the first that does not. The copy of
 * the walk never leaves this function, so that it lives in registers; the next record is found by
 * this one's length alone, so that the processor can begin with it before this one is done. */
static enum batch_fault walk_whole_records(struct walk *self, int32_t record_count)
{
    struct walk walk = *self;
    enum batch_fault fault = BATCH_FAULT_NONE;
    while (walk.index < record_count && fault == BATCH_FAULT_NONE) {
        struct record_frame frame;
        const uint8_t *body = NULL;
        int32_t length = 0;
        const uint8_t *behind = record_frame_bytes(walk.next, walk.end, false, &body, &length);
        if (behind == NULL || length < 0) {
            break;
        }
        walk.next = behind;
        fault = record_frame_parse(body, walk.next, walk.end, &frame)
                    ? judge(&walk, &frame, walk.index)
                    : BATCH_FAULT_RECORD_FRAME;
        walk.index += fault == BATCH_FAULT_NONE;
    }
    *self = walk;
    return fault;
}

static enum batch_fault walk_records(struct walk *self, int32_t record_count)
{
    enum batch_fault fault = walk_whole_records(self, record_count);
    while (fault == BATCH_FAULT_NONE && self->index < record_count) {
        struct record_frame frame;
        fault = next_crossing(self, &frame);
        if (fault == BATCH_FAULT_NONE) {
            fault = judge(self, &frame, self->index);
        }
        if (fault == BATCH_FAULT_NONE) {
            self->index += 1;
            fault = walk_whole_records(self, record_count);
        }
    }
    return fault;
}

/* After the last record neither records nor stream may have anything left. */
static enum batch_fault judge_end(struct walk *self)
{
    if (self->next != self->end || refill(self)) {
        return BATCH_FAULT_RECORDS_LEFT;
    }
    if (self->stream_fault != BATCH_FAULT_NONE) {
        return self->stream_fault;
    }
    bool has_more = self->decompressor != NULL && decompressor_left(self->decompressor) > 0;
    return has_more ? BATCH_FAULT_BYTES_AFTER_STREAM : BATCH_FAULT_NONE;
}

static enum batch_fault start(struct walk *self, const struct batch_view *batch)
{
    self->next = batch_payload(batch);
    self->end = self->next + batch_payload_bytes(batch);
    if (batch_codec(batch) == COMPRESSION_NONE) {
        return BATCH_FAULT_NONE;
    }
    check(self->rules->decompressor != NULL);
    self->decompressor = self->rules->decompressor;
    self->next = self->end;
    enum status status = decompressor_reserve_window(self->decompressor);
    if (status == STATUS_OK) {
        status =
            decompressor_start(self->decompressor, batch_codec(batch), batch_payload(batch),
                               batch_payload_bytes(batch), self->rules->decompressed_bytes_max);
    }
    return status == STATUS_OK ? BATCH_FAULT_NONE : fault_of_stream(status);
}

void record_walk_run(const struct batch_view *batch, const struct batch_rules *rules,
                     struct batch_verdict *out_verdict)
{
    struct walk walk = {
        .rules = rules,
        .base_timestamp_ms = batch_base_timestamp(batch),
        .allowed_ms_min = rules->timestamp_ms_min > 0 ? rules->timestamp_ms_min : 0,
        .allowed_ms_max = rules->timestamp_ms_max,
        .seen_ms_max = INT64_MIN,
        .needs_keys = rules->is_compacted,
    };
    enum batch_fault fault = start(&walk, batch);
    bool is_open = fault == BATCH_FAULT_NONE;
    if (is_open) {
        fault = walk_records(&walk, batch_record_count(batch));
    }
    bool is_of_record = is_open && fault != BATCH_FAULT_NONE && fault != walk.stream_fault;
    out_verdict->record_index = is_of_record ? walk.index : -1;
    out_verdict->fault = fault == BATCH_FAULT_NONE ? judge_end(&walk) : fault;
    out_verdict->timestamp_ms = walk.refused_ms;
    out_verdict->max_timestamp_ms = walk.seen_ms_max;
    out_verdict->max_timestamp_index = walk.seen_ms_max_index;
    out_verdict->is_walked = true;
}
