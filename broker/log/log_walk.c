#include "broker/log/log_walk.h"

#include "broker/log/segment_scan.h"
#include "proto/sys/check.h"

/* A scan of the segment from the index entry before `offset`. */
static enum status begin_scan(struct log *log, struct segment *segment, int64_t offset,
                              struct segment_scan *scan)
{
    TRY(log_load_indexes(log, segment));
    TRY(log_open_segment(log, segment));
    const struct segment_scan_range range = {.index = &segment->indexes->offsets,
                                             .offset = offset,
                                             .limit = log_cold_bytes(log, segment)};
    return segment_scan_init(scan, log->store->disk, segment->handle->file, &range);
}

static enum status find_in_file(struct log *log, struct segment *segment, int64_t offset,
                                struct log_place *out_place)
{
    struct segment_scan scan;
    TRY(begin_scan(log, segment, offset, &scan));
    enum status status = STATUS_OK;
    while (status == STATUS_OK) {
        struct batch_view batch;
        status = segment_scan_next(&scan, &batch, &out_place->position);
        if (status == STATUS_OK && batch_last_offset(&batch) >= offset) {
            out_place->offset = batch_base_offset(&batch);
            break;
        }
    }
    segment_scan_done(&scan);
    return status == STATUS_NOT_FOUND ? STATUS_CORRUPT : status; /* Its batch must be there. */
}

enum status log_walk_find(struct log *log, int64_t offset, struct log_place *out_place)
{
    struct log_state *state = &log->state;
    check(state->segment_count > 0);
    uint32_t which = log_state_find(state, offset);
    struct segment *segment = state->segments[which];
    int64_t end = log_state_segment_end(state, which);
    *out_place = (struct log_place){.offset = end, .position = segment->byte_count};
    struct tail_chunk *chunk = NULL;
    uint32_t batch = 0;
    if (offset >= end) {
        return STATUS_OK;
    }
    if (tail_find(&log->tail, offset, &chunk, &batch)) {
        check(chunk->segment == segment);
        out_place->offset = chunk->batches[batch].base_offset;
        out_place->position = chunk->position + chunk->batches[batch].start;
        return STATUS_OK;
    }
    return find_in_file(log, segment, offset, out_place);
}

struct walk {
    enum status (*on_batch)(void *context, const struct batch_view *batch, int64_t ingested_ms);
    void *context;
    int64_t next; /* Offset. */
};

static enum status walk_chunk(struct walk *walk, const struct tail_chunk *chunk, uint32_t from)
{
    for (uint32_t i = from; i < chunk->batch_count; i++) {
        const struct tail_batch *batch = &chunk->batches[i];
        const struct batch_view view = {.bytes = chunk->bytes + batch->start,
                                        .byte_count = batch->byte_count};
        TRY(walk->on_batch(walk->context, &view, batch->ingested_ms));
        walk->next = batch->next_offset;
    }
    return STATUS_OK;
}

static enum status walk_file(struct walk *walk, struct log *log, struct segment *segment)
{
    struct segment_scan scan;
    TRY(begin_scan(log, segment, walk->next, &scan));
    enum status status = STATUS_OK;
    while (status == STATUS_OK) {
        struct batch_view batch;
        uint32_t position = 0;
        status = segment_scan_next(&scan, &batch, &position);
        if (status != STATUS_OK || batch_last_offset(&batch) < walk->next) {
            continue;
        }
        if (!log_has_epoch_of(log, &batch)) {
            status = STATUS_CORRUPT;
            break;
        }
        int64_t ingested_ms =
            ingest_index_find(&segment->indexes->ingests, batch_base_offset(&batch));
        status = walk->on_batch(walk->context, &batch, ingested_ms);
        walk->next = batch_next_offset(&batch);
    }
    segment_scan_done(&scan);
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

enum status log_walk(struct log *log, int64_t offset,
                     enum status (*on_batch)(void *context, const struct batch_view *batch,
                                             int64_t ingested_ms),
                     void *context)
{
    struct log_state *state = &log->state;
    struct walk walk = {.on_batch = on_batch, .context = context, .next = offset};
    while (walk.next < state->end && state->segment_count > 0) {
        struct tail_chunk *chunk = NULL;
        uint32_t batch = 0;
        int64_t before = walk.next;
        if (tail_find(&log->tail, walk.next, &chunk, &batch)) {
            TRY(walk_chunk(&walk, chunk, batch));
        } else {
            TRY(walk_file(&walk, log, state->segments[log_state_find(state, walk.next)]));
        }
        if (walk.next == before) {
            return STATUS_CORRUPT; /* The bytes up to the end are not there. */
        }
    }
    return STATUS_OK;
}
