#include "broker/log/log_cut.h"

#include "broker/log/checkpoint.h"
#include "broker/log/log_walk.h"
#include "broker/log/write_behind.h"
#include "proto/sys/check.h"

#include <stdlib.h>

/* Files of segments that go when the record of it is flushed. */
struct drop {
    struct list link; /* The log's. */
    struct journal_waiter waiter;
    struct log *log;
    uint32_t count;
    int64_t base_offsets[]; /* -1: its name was taken again. */
};

static void remove_segment_files(struct log *log, int64_t base_offset)
{
    struct log_store *store = log->store;
    for (uint32_t kind = 0; kind < LOG_NAME_FILE_COUNT; kind++) {
        char path[DISK_PATH_BYTES_MAX];
        char away[DISK_PATH_BYTES_MAX];
        segment_path(log->state.directory, base_offset, (enum log_name_file)kind, LOG_NAME_LIVE,
                     path);
        segment_path(log->state.directory, base_offset, (enum log_name_file)kind, LOG_NAME_DELETED,
                     away);
        enum status status = disk_rename(store->disk, path, away);
        if (status == STATUS_OK) {
            status = removal_add(&store->removal, away, false, log->config.file_delete_delay_ms);
        }
        if (status != STATUS_OK && status != STATUS_NOT_FOUND) {
            trace_line(store->loop->trace, TRACE_WARN, "log", "removal_failed",
                       "path=\"%s\" why=\"%s\" next=\"tried again at the next start\"", path,
                       status_text(status));
        }
    }
}

static void drop_on_flushed(struct journal_waiter *waiter, enum status status)
{
    struct drop *drop = container_of(waiter, struct drop, waiter);
    for (uint32_t i = 0; i < drop->count && status == STATUS_OK; i++) {
        if (drop->base_offsets[i] >= 0) {
            remove_segment_files(drop->log, drop->base_offsets[i]);
        }
    }
    log_store_wake(drop->log->store);
    list_remove(&drop->link);
    free(drop);
}

/* Takes the segments out of memory and orders the end of their files. */
static void let_go(struct log *log, struct log_state_dropped *dropped)
{
    struct drop *drop = NULL;
    if (dropped->count > 0) {
        /* Without memory the files stay until the next start. */
        drop = calloc(1, sizeof *drop + dropped->count * sizeof drop->base_offsets[0]);
        checkpoint_note_dropped(log);
    }
    for (uint32_t i = 0; i < dropped->count; i++) {
        struct segment *segment = dropped->segments[i];
        tail_drop_segment(&log->tail, segment);
        if (!list_is_empty(&segment->index_link)) {
            log->store->indexed_count -= 1;
        }
        if (drop != NULL) {
            drop->base_offsets[i] = segment->base_offset;
        }
        segment_free(segment);
    }
    if (drop != NULL) {
        drop->count = dropped->count;
        drop->log = log;
        drop->waiter.on_flushed = drop_on_flushed;
        list_append(&log->drops, &drop->link);
        journal_wait(&log->store->journal, &drop->waiter);
    }
    log_state_dropped_done(dropped);
}

void log_cut_keep_file(struct log *log, int64_t base_offset)
{
    list_for_each(link, &log->drops)
    {
        struct drop *drop = container_of(link, struct drop, link);
        for (uint32_t i = 0; i < drop->count; i++) {
            if (drop->base_offsets[i] == base_offset) {
                drop->base_offsets[i] = -1;
            }
        }
    }
}

void log_cut_forget(struct log *log)
{
    list_for_each_removable(link, &log->drops)
    {
        struct drop *drop = container_of(link, struct drop, link);
        journal_stop_waiting(&drop->waiter);
        list_remove(&drop->link);
        free(drop);
    }
}

static void clip(struct log_mark *mark, const struct log_mark *end)
{
    if (mark->end > end->end) {
        *mark = *end;
    }
}

/* Nothing at or beyond the cut is durable, or will be by what is under way. */
static void forget_beyond(struct log *log, const struct log_mark *end)
{
    clip(&log->durable, end);
    for (uint32_t i = 0; i < LOG_FLUSHES; i++) {
        clip(&log->flushes[i].mark, end);
    }
    if (log->flushed_end > end->end) {
        log->flushed_end = end->end;
    }
    log->version += 1;
    log->has_new_epochs = true;
}

struct observation {
    struct segment *segment;
};

static enum status observe_on_batch(void *context, const struct batch_view *batch,
                                    int64_t ingested_ms)
{
    const struct observation *observation = context;
    (void)ingested_ms;
    segment_observe(observation->segment, batch_max_timestamp(batch), batch_last_offset(batch));
    return STATUS_OK;
}

/* What the time index forgot of the batches that are left behind its last entry. */
static void observe_again(struct log *log, struct segment *segment)
{
    if (segment->byte_count == 0) {
        return;
    }
    struct observation observation = {.segment = segment};
    int64_t from = segment->indexes->times.entry_count == 0
                       ? segment->base_offset
                       : segment->indexes->times.largest.offset;
    status_ignore(log_walk(log, from, observe_on_batch, &observation),
                  "searches by time look at one batch less");
}

/* An epoch that began at the end and got no batch: another leader's may begin there instead. */
static bool has_empty_epoch(const struct log_state *state)
{
    uint32_t count = state->epochs.entry_count;
    return count > 0 && epoch_history_entries(&state->epochs)[count - 1].start_offset >= state->end;
}

enum status log_cut_truncate(struct log *log, int64_t offset)
{
    struct log_state *state = &log->state;
    if (offset > state->end || (offset == state->end && !has_empty_epoch(state))) {
        return STATUS_OK;
    }
    if (offset < state->start) {
        return log_cut_reset(log, offset);
    }
    struct journal_record record = log_record(log, JOURNAL_TRUNCATED);
    struct log_place place = {.offset = offset};
    struct segment *segment = NULL;
    record.segment_base = offset;
    if (state->segment_count > 0) {
        segment = state->segments[log_state_find(state, offset)];
        TRY(log_load_indexes(log, segment));
        TRY(log_walk_find(log, offset, &place));
        record.segment_base = segment->base_offset;
    }
    if (place.offset < state->start) {
        /* With the batch that holds the start nothing is left that may be read. Bytes that end
         * below the log's end would be a gap in the offsets, and there is none in a log. */
        return log_cut_reset(log, state->start);
    }
    record.offset = place.offset;
    record.segment_position = place.position;
    TRY(log_put_record(log, &record));

    struct log_state_dropped dropped;
    enum status status = log_state_apply_truncated(state, &record, &dropped);
    check(status == STATUS_OK);
    tail_truncate(&log->tail, place.offset);
    const struct log_mark end = {.end = state->end,
                                 .segment_base = record.segment_base,
                                 .position = record.segment_position};
    forget_beyond(log, &end);
    write_behind_forget(log);
    let_go(log, &dropped);
    log_await_flush(log);
    if (segment != NULL) {
        segment->allocated_bytes = 0; /* It may have been cut to its data. */
        observe_again(log, segment);
    }
    return STATUS_OK;
}

enum status log_cut_reset(struct log *log, int64_t offset)
{
    struct log_state *state = &log->state;
    check(offset >= 0);
    struct journal_record record = log_record(log, JOURNAL_RESET);
    record.offset = offset;
    TRY(log_put_record(log, &record));

    struct log_state_dropped dropped;
    log_state_apply_reset(state, &record, &dropped);
    const struct log_mark end = {.end = offset, .segment_base = -1};
    log->durable = end;
    forget_beyond(log, &end);
    for (uint32_t i = 0; i < LOG_FLUSHES; i++) {
        log->flushes[i].mark = end;
    }
    log->flushed_end = offset;
    write_behind_forget(log);
    let_go(log, &dropped);
    log_await_flush(log);
    return STATUS_OK;
}

enum status log_cut_start(struct log *log, int64_t offset)
{
    struct log_state *state = &log->state;
    check(offset >= state->start && offset <= state->end);
    struct journal_record record = log_record(log, JOURNAL_START_MOVED);
    record.offset = offset;
    TRY(log_put_record(log, &record));

    struct log_state_dropped dropped;
    log_state_apply_start(state, &record, &dropped);
    log->has_new_epochs = true;
    let_go(log, &dropped);
    log_await_flush(log);
    return STATUS_OK;
}
