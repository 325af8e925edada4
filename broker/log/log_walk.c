#include "broker/log/log_walk.h"

#include "broker/log/segment_scan.h"
#include "proto/sys/check.h"

/* A scan of the segment from the index entry before `offset`. */
static enum status begin_scan(struct log *log, struct segment *segment, int64_t offset,
                              struct segment_scan *scan)
{
    TRY(log_load_indexes(log, segment));
    TRY(log_open_segment(log, segment));
    uint32_t position = offset_index_floor(&segment->indexes->offsets, offset);
    uint32_t limit = log_cold_bytes(log, segment);
    if (position > limit) {
        return STATUS_CORRUPT;
    }
    segment_scan_init(scan, log->store->disk, segment->handle->file, position, limit);
    return STATUS_OK;
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
    return status;
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
        if (chunk->segment == segment) {
            out_place->offset = chunk->batches[batch].base_offset;
            out_place->position = chunk->position + chunk->batches[batch].start;
        }
        return STATUS_OK;
    }
    enum status status = find_in_file(log, segment, offset, out_place);
    if (status != STATUS_NOT_FOUND) {
        return status;
    }
    /* Behind the last batch of the file: what follows is in memory. */
    out_place->position = log_cold_bytes(log, segment);
    const struct tail_chunk *first = tail_first(&log->tail);
    if (first != NULL && first->segment == segment && first->batch_count > 0) {
        out_place->offset = first->batches[0].base_offset;
        out_place->position = first->position + first->batches[0].start;
    }
    return STATUS_OK;
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
        if (status == STATUS_OK && batch_last_offset(&batch) >= walk->next) {
            int64_t ingested_ms =
                ingest_index_find(&segment->indexes->ingests, batch_base_offset(&batch));
            status = walk->on_batch(walk->context, &batch, ingested_ms);
            walk->next = batch_next_offset(&batch);
        }
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
            uint32_t which = log_state_find(state, walk.next);
            TRY(walk_file(&walk, log, state->segments[which]));
            bool is_tail_next = tail_first(&log->tail) != NULL;
            if (walk.next == before && which + 1 < state->segment_count) {
                walk.next = log_state_segment_end(state, which); /* A gap at its end. */
            } else if (walk.next == before && is_tail_next) {
                walk.next = tail_first(&log->tail)->batch_count > 0
                                ? tail_first(&log->tail)->batches[0].base_offset
                                : state->end;
            }
        }
        if (walk.next == before) {
            return STATUS_CORRUPT; /* The bytes up to the end are not there. */
        }
    }
    return STATUS_OK;
}
