/* ListOffsets by time: the segment by its greatest time, the place by its time index, the record by
 * going over the batch. */
#include "broker/log/log.h"

#include "broker/log/log_store.h"
#include "proto/record/record_iterator.h"
#include "proto/sys/check.h"

#define OUTPUT_BYTES_MAX (64U << 20) /* Of a compressed batch's records. */
#define READ_BYTES (64U << 10)

static enum status go_on(struct log_time_search *search);

static bool wants_greatest(const struct log_time_search *search)
{
    return search->timestamp_ms == LOG_TIME_MAX;
}

/* The time looked for: at least it, or exactly the greatest one. */
static int64_t wanted_ms(const struct log_time_search *search)
{
    return wants_greatest(search) ? search->timestamp_found_ms : search->timestamp_ms;
}

static enum status search_batch(struct log_time_search *search, const struct batch_view *batch)
{
    struct decompressor decompressor;
    struct decompressor_output output;
    decompressor_init(&decompressor, search->log->store->options.budget);
    decompressor_output_init(&output, search->log->store->options.budget, OUTPUT_BYTES_MAX);
    struct record_iterator records;
    enum status status = record_iterator_init(&records, batch, &decompressor, &output);
    while (status == STATUS_OK) {
        struct record record;
        status = record_iterator_next(&records, &record);
        if (status == STATUS_OK && record.timestamp_ms >= wanted_ms(search) &&
            record.offset >= log_start(search->log)) {
            search->found = record.offset < search->offset_limit;
            search->offset = record.offset;
            search->timestamp_found_ms = record.timestamp_ms;
            search->leader_epoch = batch_leader_epoch(batch);
            break;
        }
    }
    decompressor_output_done(&output);
    decompressor_done(&decompressor);
    /* A batch whose header promises more than its records hold. */
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

/* Goes over the batches read. `out_is_over`: the answer is there, or there is none. */
static enum status search_answer(struct log_time_search *search, bool *out_is_over)
{
    struct log_read *read = &search->read;
    *out_is_over = read->batch_count == 0;
    for (uint32_t i = 0; i < read->slice_count; i++) {
        const uint8_t *at = read->slices[i].base;
        const uint8_t *end = at + read->slices[i].byte_count;
        while (at < end) {
            struct batch_view batch;
            TRY(batch_view_init(&batch, at, (size_t)(end - at)));
            at += batch.byte_count;
            if (batch_max_timestamp(&batch) < wanted_ms(search)) {
                continue;
            }
            TRY(search_batch(search, &batch));
            if (search->offset >= 0) {
                *out_is_over = true;
                return STATUS_OK;
            }
        }
    }
    return STATUS_OK;
}

static void read_on_done(struct log_read *read, enum status status)
{
    struct log_time_search *search = container_of(read, struct log_time_search, read);
    bool is_over = false;
    if (status == STATUS_OK) {
        status = search_answer(search, &is_over);
    }
    int64_t next_offset = read->next_offset;
    log_read_release(read);
    if (status == STATUS_OK && !is_over) {
        read->offset = next_offset;
        status = go_on(search);
        if (status == STATUS_PENDING) {
            return;
        }
    }
    search->on_done(search, status);
}

/* Reads until the record is found. */
static enum status go_on(struct log_time_search *search)
{
    struct log_read *read = &search->read;
    for (;;) {
        TRY(log_read(search->log, read));
        bool is_over = false;
        enum status status = search_answer(search, &is_over);
        int64_t next_offset = read->next_offset;
        log_read_release(read);
        if (status != STATUS_OK || is_over) {
            return status;
        }
        read->offset = next_offset;
    }
}

/* The segment to look in; NULL: no record is that new. */
static struct segment *choose(const struct log_time_search *search)
{
    const struct log_state *state = &search->log->state;
    struct segment *chosen = NULL;
    for (uint32_t i = 0; i < state->segment_count; i++) {
        struct segment *segment = state->segments[i];
        if (segment->byte_count == 0 || log_state_segment_end(state, i) <= state->start) {
            continue;
        }
        if (!wants_greatest(search)) {
            if (segment->max_timestamp_ms >= search->timestamp_ms) {
                return segment;
            }
        } else if (chosen == NULL || segment->max_timestamp_ms > chosen->max_timestamp_ms) {
            chosen = segment;
        }
    }
    return chosen;
}

/* The start of the last batches whose times may be of interest. */
static int64_t begin_at(const struct log_time_search *search, const struct segment *segment)
{
    const struct time_index *times = &segment->indexes->times;
    int64_t offset = time_index_floor(times, wanted_ms(search) - 1).offset;
    int64_t start = log_start(search->log);
    offset = offset < segment->base_offset ? segment->base_offset : offset;
    return offset < start ? start : offset;
}

enum status log_search_time(struct log *self, struct log_time_search *search)
{
    check(!self->is_deleted);
    search->found = false;
    search->offset = -1;
    search->timestamp_found_ms = -1;
    search->leader_epoch = -1;
    search->log = self;
    struct segment *segment = choose(search);
    if (segment == NULL || (wants_greatest(search) && segment->max_timestamp_ms < 0)) {
        return STATUS_OK;
    }
    if (wants_greatest(search)) {
        search->timestamp_found_ms = segment->max_timestamp_ms;
    }
    TRY(log_load_indexes(self, segment));
    search->read = (struct log_read){.offset = begin_at(search, segment),
                                     .offset_limit = INT64_MAX,
                                     .byte_count_max = READ_BYTES,
                                     .at_least_one = true,
                                     .on_done = read_on_done};
    return go_on(search);
}
