#include "broker/log/log.h"

#include "proto/wire/big_endian.h"
#include "broker/log/checkpoint.h"
#include "broker/log/log_cut.h"
#include "broker/log/log_life.h"
#include "broker/log/log_store.h"
#include "broker/log/log_walk.h"
#include "broker/log/write_behind.h"
#include "proto/record/batch_iterator.h"
#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

#define INDEXED_COUNT_MAX 64U /* Rolled segments of a store with indexes in memory. */
#define ALLOCATE_BYTES_MIN (16U << 10)
#define ALLOCATE_BYTES_MAX (8U << 20)

enum status log_open(struct log_store *store, const struct log_options *options,
                     struct log **out_log)
{
    return log_life_open(store, options, out_log);
}

void log_forget(struct log *self)
{
    log_life_forget(self);
}

void log_abandon(struct log *self)
{
    log_life_abandon(self);
}

void log_delete(struct log *self)
{
    log_life_delete(self);
}

void log_configure(struct log *self, const struct log_config *config)
{
    self->config = *config;
    self->state.interval_bytes =
        (uint32_t)(config->index_interval_bytes < 0 ? 0 : config->index_interval_bytes);
}

int64_t log_start(const struct log *self)
{
    return self->state.start;
}

int64_t log_oldest(const struct log *self)
{
    const struct log_state *state = &self->state;
    return state->segment_count == 0 ? state->end : state->segments[0]->base_offset;
}

int64_t log_end(const struct log *self)
{
    return self->state.end;
}

int64_t log_flushed_end(const struct log *self)
{
    return self->flushed_end;
}

uint64_t log_byte_count(const struct log *self)
{
    return self->state.byte_count;
}

struct journal_record log_record(const struct log *self, enum journal_record_kind kind)
{
    return (struct journal_record){
        .kind = kind, .topic_id = self->state.topic_id, .partition = self->state.partition};
}

enum status log_put_record(struct log *self, struct journal_record *record)
{
    struct log_store *store = self->store;
    if (store->failure != STATUS_OK) {
        return store->failure;
    }
    bool is_control = record->kind != JOURNAL_BATCHES;
    if (!journal_has_room(&store->journal, journal_format_record_bytes(record), is_control)) {
        store->wants_room = true;
        log_store_wake(store);
        return STATUS_BUSY;
    }
    enum status status = journal_put(&store->journal, record);
    if (status == STATUS_BUSY) {
        store->wants_room = true;
        store->must_hurry = true;
        log_store_wake(store);
    }
    TRY(status);
    checkpoint_note_change(self);
    return STATUS_OK;
}

void log_await_flush(struct log *self)
{
    struct journal *journal = &self->store->journal;
    struct log_flush *flush = &self->flushes[journal->sheet_number % LOG_FLUSHES];
    const struct segment *active = log_state_active(&self->state);
    flush->mark = (struct log_mark){
        .end = self->state.end,
        .segment_base = active == NULL ? -1 : active->base_offset,
        .position = active == NULL ? 0 : active->byte_count,
    };
    if (!flush->is_waiting) {
        flush->is_waiting = true;
        journal_wait(journal, &flush->waiter);
    }
    if (self->config.is_memory_durable && list_is_empty(&self->memory_link)) {
        list_append(&self->store->memory_logs, &self->memory_link);
        log_store_wake(self->store);
    }
}

enum status log_open_segment(struct log *self, struct segment *segment)
{
    struct log_store *store = self->store;
    char path[DISK_PATH_BYTES_MAX];
    segment_path(self->state.directory, segment->base_offset, LOG_NAME_LOG, LOG_NAME_LIVE, path);
    unsigned flags = DISK_OPEN_WRITE | DISK_OPEN_DIRECT;
    /* A file with bytes in it that is not there would else be made, and empty. */
    if (segment->written_bytes == 0) {
        flags |= DISK_OPEN_CREATE;
        self->has_new_names = self->has_new_names || segment->handle == NULL;
    }
    enum status status = file_cache_open(&store->files, path, flags, &segment->handle);
    if (status == STATUS_NOT_FOUND) {
        return STATUS_CORRUPT;
    }
    TRY(status);
    if (segment->allocated_bytes > 0) {
        return STATUS_OK;
    }
    uint64_t file_bytes = 0;
    TRY(disk_file_size(store->disk, segment->handle->file, &file_bytes));
    if (file_bytes < segment->written_bytes) {
        return STATUS_CORRUPT;
    }
    uint64_t whole = file_bytes / DISK_BLOCK_BYTES * DISK_BLOCK_BYTES;
    segment->allocated_bytes = whole < SEGMENT_BYTES_MAX ? (uint32_t)whole : SEGMENT_BYTES_MAX;
    return STATUS_OK;
}

uint32_t log_cold_bytes(const struct log *self, const struct segment *segment)
{
    list_for_each(link, &self->tail.chunks)
    {
        const struct tail_chunk *chunk = container_of(link, struct tail_chunk, link);
        if (chunk->segment == segment && chunk->batch_count > 0) {
            return chunk->position + chunk->batches[0].start;
        }
    }
    return segment->byte_count;
}

bool log_has_epoch_of(const struct log *self, const struct batch_view *batch)
{
    return epoch_history_allows(&self->state.epochs, batch_last_offset(batch),
                                batch_leader_epoch(batch));
}

void log_touch_indexes(struct log *self, struct segment *segment)
{
    struct log_store *store = self->store;
    if (segment == log_state_active(&self->state)) {
        return; /* It needs them for its appends. */
    }
    if (list_is_empty(&segment->index_link)) {
        store->indexed_count += 1;
    }
    list_remove(&segment->index_link);
    list_append(&store->indexed, &segment->index_link);
    list_for_each_removable(link, &store->indexed)
    {
        if (store->indexed_count <= INDEXED_COUNT_MAX) {
            return;
        }
        struct segment *oldest = container_of(link, struct segment, index_link);
        if (oldest->is_settled && !oldest->is_settling && oldest != segment) {
            segment_drop_indexes(oldest);
            store->indexed_count -= 1;
        }
    }
}

void log_adopt_indexes(struct log *self, struct segment *segment, struct segment_load *load)
{
    check(segment->indexes == NULL);
    segment->indexes = load->indexes;
    load->indexes = NULL;
    segment_forget_sides(segment, load->is_damaged); /* The next checkpoint writes them anew. */
    if (!segment->is_settled) {
        checkpoint_note_change(self);
    }
    log_touch_indexes(self, segment);
}

enum status log_load_indexes(struct log *self, struct segment *segment)
{
    if (segment->indexes != NULL) {
        return STATUS_OK;
    }
    struct segment_load load = {
        .disk = self->store->disk,
        .directory = self->state.directory,
        .interval_bytes = self->state.interval_bytes,
        .end_offset =
            log_state_segment_end(&self->state, log_state_find(&self->state, segment->base_offset)),
    };
    segment_to_checkpoint(segment, &load.segment);
    enum status status = segment_load_run(&load);
    if (status == STATUS_OK) {
        log_adopt_indexes(self, segment, &load);
    }
    segment_load_done(&load);
    return status;
}

/* What one append is made of, found out before anything is changed. */
struct plan {
    int64_t base_offset;
    int64_t next_offset;
    int64_t max_timestamp_ms;
    int32_t leader_epoch;
    uint32_t batch_count;
    uint32_t ingested_count;
};

static enum status reserve_scratch(struct log_store *store, uint32_t count)
{
    if (count <= store->batch_room) {
        return STATUS_OK;
    }
    uint32_t room = store->batch_room == 0 ? 64 : store->batch_room;
    while (room < count) {
        room *= 2;
    }
    struct tail_batch *batches = realloc(store->batches, room * sizeof *batches);
    if (batches == NULL) {
        return STATUS_NO_MEMORY;
    }
    store->batches = batches;
    uint8_t *ingested = realloc(store->ingested, (size_t)room * 8);
    if (ingested == NULL) {
        return STATUS_NO_MEMORY;
    }
    store->ingested = ingested;
    store->batch_room = room;
    return STATUS_OK;
}

/* Monotone over the log, whatever the clocks say. */
static int64_t ingested_of(const struct log *self, const struct log_append *append, uint32_t batch,
                           int64_t last_ms)
{
    int64_t ingested_ms = append->ingested_of_batches == NULL ? append->ingested_ms
                                                              : append->ingested_of_batches[batch];
    (void)self;
    return ingested_ms > last_ms ? ingested_ms : last_ms;
}

static enum status plan_append(struct log *self, const struct log_append *append,
                               struct plan *out_plan)
{
    struct log_store *store = self->store;
    struct plan plan = {.base_offset = -1, .next_offset = self->state.end, .max_timestamp_ms = -1};
    int64_t last_ms = self->state.last_ingested_ms;
    bool is_uniform = true;
    struct batch_iterator batches;
    batch_iterator_init(&batches, append->bytes, append->byte_count);
    uint32_t start = 0;
    while (batch_iterator_left(&batches) > 0) {
        struct batch_view batch;
        if (batch_iterator_next(&batches, &batch) != STATUS_OK ||
            batch_base_offset(&batch) != plan.next_offset || batch_last_offset_delta(&batch) < 0 ||
            batch_next_offset(&batch) <= batch_base_offset(&batch)) {
            return STATUS_INVALID;
        }
        TRY(reserve_scratch(store, plan.batch_count + 1));
        int64_t ingested_ms = ingested_of(self, append, plan.batch_count, last_ms);
        is_uniform = is_uniform && (plan.batch_count == 0 || ingested_ms == last_ms);
        last_ms = ingested_ms;
        store->batches[plan.batch_count] =
            (struct tail_batch){.base_offset = batch_base_offset(&batch),
                                .next_offset = batch_next_offset(&batch),
                                .ingested_ms = ingested_ms,
                                .start = start,
                                .byte_count = batch.byte_count};
        big_endian_put64(store->ingested + (size_t)plan.batch_count * 8, (uint64_t)ingested_ms);
        if (plan.batch_count == 0) {
            plan.base_offset = batch_base_offset(&batch);
            plan.leader_epoch = batch_leader_epoch(&batch);
        }
        if (batch_max_timestamp(&batch) > plan.max_timestamp_ms) {
            plan.max_timestamp_ms = batch_max_timestamp(&batch);
        }
        plan.next_offset = batch_next_offset(&batch);
        plan.batch_count += 1;
        start += batch.byte_count;
    }
    plan.ingested_count = is_uniform ? 1 : plan.batch_count;
    *out_plan = plan;
    return plan.batch_count > 0 ? STATUS_OK : STATUS_INVALID;
}

static bool must_roll(const struct log *self, const struct segment *active,
                      const struct log_append *append, const struct plan *plan)
{
    if (active == NULL) {
        return true;
    }
    const struct segment_extent extent = {.last_offset = plan->next_offset - 1,
                                          .byte_count = (uint32_t)append->byte_count,
                                          .batch_count = plan->batch_count};
    if (!segment_has_room(active, &extent)) {
        return true;
    }
    if (active->byte_count == 0) {
        return false;
    }
    /* Kafka's rule: by the records' time where there is one, else by the age of the segment. */
    int64_t age_ms = active->first_timestamp_ms >= 0 && plan->max_timestamp_ms >= 0
                         ? plan->max_timestamp_ms - active->first_timestamp_ms
                         : self->store->batches[0].ingested_ms - active->created_ms;
    return (int64_t)active->byte_count + (int64_t)append->byte_count > self->config.segment_bytes ||
           age_ms > self->config.segment_ms;
}

/* The next segment, empty. What it needs of the old one is kept for the checkpoint. */
static enum status roll(struct log *self, const struct plan *plan)
{
    struct log_state *state = &self->state;
    struct segment *old = log_state_active(state);
    if (old != NULL && old->base_offset == state->end) {
        return STATUS_INVALID; /* Not even an empty segment has room for that. */
    }
    TRY(log_state_roll(state, state->end, self->store->batches[0].ingested_ms));
    (void)plan;
    struct segment *fresh = log_state_active(state);
    log_cut_keep_file(self, fresh->base_offset);
    self->has_new_names = true;
    if (old != NULL && old->indexes != NULL) {
        log_touch_indexes(self, old);
    }
    if (self->events.on_snapshot_wanted != NULL && state->end > state->start) {
        self->events.on_snapshot_wanted(self->events.context, state->end, &fresh->snapshot,
                                        &fresh->snapshot_byte_count);
    }
    checkpoint_note_change(self);
    return STATUS_OK;
}

/* Disk space for `byte_count` bytes more, so that what is acknowledged always has its place. */
static enum status reserve_space(struct log *self, struct segment *active, uint32_t byte_count)
{
    struct log_store *store = self->store;
    uint64_t needed = (uint64_t)active->byte_count + byte_count;
    needed = (needed + DISK_BLOCK_BYTES - 1) / DISK_BLOCK_BYTES * DISK_BLOCK_BYTES;
    if (active->allocated_bytes >= needed) {
        return STATUS_OK;
    }
    TRY(log_open_segment(self, active));
    uint64_t step =
        active->allocated_bytes < ALLOCATE_BYTES_MIN ? ALLOCATE_BYTES_MIN : active->allocated_bytes;
    step = step < ALLOCATE_BYTES_MAX ? step : ALLOCATE_BYTES_MAX;
    uint64_t wanted = active->allocated_bytes + step;
    if (wanted > (uint64_t)self->config.segment_bytes) {
        wanted = (uint64_t)self->config.segment_bytes / DISK_BLOCK_BYTES * DISK_BLOCK_BYTES;
    }
    wanted = wanted > needed ? wanted : needed;
    struct disk_space space;
    TRY(disk_space_of(store->disk, store->directory, &space));
    uint64_t growth = wanted - active->allocated_bytes;
    if (space.free_bytes < growth || space.free_bytes - growth < store->options.free_bytes_min) {
        return STATUS_NO_SPACE;
    }
    TRY(disk_file_allocate(store->disk, active->handle->file, active->allocated_bytes, growth));
    active->allocated_bytes = (uint32_t)wanted;
    return STATUS_OK;
}

/* Room in memory; the file's last block is read back when it is not there any more. */
static enum status reserve_tail(struct log *self, struct segment *active,
                                const struct log_append *append, const struct plan *plan)
{
    struct log_store *store = self->store;
    struct tail_want want = {.segment = active,
                             .position = active->byte_count,
                             .byte_count = (uint32_t)append->byte_count,
                             .batch_count = plan->batch_count};
    uint8_t *block = NULL;
    if (!tail_has_head(&self->tail, &want)) {
        TRY(log_open_segment(self, active));
        block = block_pool_take_anyway(&store->pool, DISK_BLOCK_BYTES);
        if (block == NULL) {
            return STATUS_NO_MEMORY;
        }
        uint32_t head = want.position % DISK_BLOCK_BYTES;
        size_t read_count = 0;
        enum status status = disk_file_read(store->disk, active->handle->file, want.position - head,
                                            block, DISK_BLOCK_BYTES, &read_count);
        if (status == STATUS_OK && read_count < head) {
            status = STATUS_CORRUPT;
        }
        if (status != STATUS_OK) {
            block_pool_give(&store->pool, block, DISK_BLOCK_BYTES);
            return status;
        }
        want.head = block;
    }
    enum status status = tail_reserve(&self->tail, &want);
    block_pool_give(&store->pool, block, DISK_BLOCK_BYTES);
    if (status == STATUS_BUSY) {
        store->wants_room = true;
        store->must_hurry = true;
        log_store_wake(store);
    }
    return status;
}

static enum status prepare(struct log *self, const struct log_append *append,
                           const struct plan *plan)
{
    struct segment *active = log_state_active(&self->state);
    if (active != NULL) {
        TRY(log_load_indexes(self, active));
    }
    if (must_roll(self, active, append, plan)) {
        TRY(roll(self, plan));
        active = log_state_active(&self->state);
        if (must_roll(self, active, append, plan)) {
            return STATUS_INVALID;
        }
    }
    enum status status = reserve_space(self, active, (uint32_t)append->byte_count);
    if (status == STATUS_OK) {
        status = reserve_tail(self, active, append, plan);
    }
    return status;
}

enum status log_append(struct log *self, const struct log_append *append)
{
    struct log_store *store = self->store;
    check(self->is_attached && !self->is_deleted);
    if (store->failure != STATUS_OK || store->is_closing) {
        return store->failure != STATUS_OK ? store->failure : STATUS_CLOSED;
    }
    if (append->byte_count == 0 || append->byte_count > LOG_APPEND_BYTES_MAX) {
        return STATUS_INVALID;
    }
    struct plan plan;
    TRY(plan_append(self, append, &plan));
    struct journal_record record = log_record(self, JOURNAL_BATCHES);
    record.offset = plan.base_offset;
    record.next_offset = plan.next_offset;
    record.leader_epoch = plan.leader_epoch;
    record.batch_count = plan.batch_count;
    record.ingested_count = plan.ingested_count;
    record.ingested = store->ingested;
    record.bytes = append->bytes;
    record.byte_count = (uint32_t)append->byte_count;
    size_t record_bytes = journal_format_record_bytes(&record);
    if (record_bytes > journal_record_bytes_max(&store->journal)) {
        return STATUS_FULL;
    }
    if (!journal_has_room(&store->journal, record_bytes, false)) {
        store->wants_room = true;
        log_store_wake(store);
        return STATUS_BUSY;
    }
    TRY(prepare(self, append, &plan));
    struct segment *active = log_state_active(&self->state);
    record.segment_base = active->base_offset;
    record.segment_position = active->byte_count;
    TRY(log_put_record(self, &record));

    tail_put(&self->tail, append->bytes, (uint32_t)append->byte_count, store->batches,
             plan.batch_count);
    int32_t leader_epoch = log_latest_leader_epoch(self);
    enum status status = log_state_apply_batches(&self->state, &record);
    check(status == STATUS_OK);
    self->has_new_epochs = self->has_new_epochs || leader_epoch != log_latest_leader_epoch(self);
    log_await_flush(self);
    return STATUS_OK;
}

enum status log_truncate(struct log *self, int64_t offset)
{
    check(!self->is_deleted);
    return log_cut_truncate(self, offset);
}

enum status log_reset(struct log *self, int64_t offset)
{
    check(!self->is_deleted);
    return log_cut_reset(self, offset);
}

/* A change waits for its flush apart from the log, which may go before it. */
struct change_wait {
    struct journal_waiter waiter;
    struct log_change *change;
};

static void change_on_flushed(struct journal_waiter *waiter, enum status status)
{
    struct change_wait *wait = container_of(waiter, struct change_wait, waiter);
    struct log_change *change = wait->change;
    free(wait);
    change->on_done(change, status);
}

enum status log_move_start(struct log *self, int64_t offset, struct log_change *change)
{
    check(!self->is_deleted);
    int64_t limit =
        self->retention_limit < self->state.end ? self->retention_limit : self->state.end;
    if (offset > limit) {
        return STATUS_OUT_OF_RANGE;
    }
    struct change_wait *wait = calloc(1, sizeof *wait);
    if (wait == NULL) {
        return STATUS_NO_MEMORY;
    }
    if (offset > self->state.start) {
        enum status status = log_cut_start(self, offset);
        if (status != STATUS_OK) {
            free(wait);
            return status;
        }
        if (self->events.on_start_moved != NULL) {
            self->events.on_start_moved(self->events.context, offset);
        }
    }
    wait->waiter.on_flushed = change_on_flushed;
    wait->change = change;
    journal_wait(&self->store->journal, &wait->waiter);
    return STATUS_OK;
}

void log_set_retention_limit(struct log *self, int64_t offset)
{
    self->retention_limit = offset;
}

void log_assign_leader_epoch(struct log *self, int32_t leader_epoch, int64_t start_offset)
{
    if (leader_epoch <= log_latest_leader_epoch(self)) {
        return;
    }
    struct journal_record record = log_record(self, JOURNAL_EPOCH_ASSIGNED);
    record.leader_epoch = leader_epoch;
    record.offset = start_offset;
    /* Refused only by a journal without even its reserve: the first batch of the epoch tells it,
     * too. */
    if (log_put_record(self, &record) == STATUS_OK) {
        log_state_apply_epoch(&self->state, &record);
        self->has_new_epochs = true;
    }
}

int32_t log_latest_leader_epoch(const struct log *self)
{
    return epoch_history_latest(&self->state.epochs);
}

int32_t log_leader_epoch_at(const struct log *self, int64_t offset)
{
    return epoch_history_epoch_at(&self->state.epochs, offset);
}

void log_end_of_leader_epoch(const struct log *self, int32_t leader_epoch, int32_t *out_epoch,
                             int64_t *out_end_offset)
{
    struct epoch_history_entry end =
        epoch_history_end_of(&self->state.epochs, leader_epoch, self->state.end);
    *out_epoch = end.epoch;
    *out_end_offset = end.start_offset;
}

enum status log_append_aborted_txn(struct log *self, const struct log_aborted_txn *aborted)
{
    struct segment *active = log_state_active(&self->state);
    if (active == NULL || aborted->last_offset < active->base_offset ||
        aborted->last_offset >= self->state.end) {
        return STATUS_INVALID;
    }
    TRY(log_load_indexes(self, active));
    if (!txn_index_may_append(&active->indexes->txns, aborted)) {
        return STATUS_CORRUPT; /* Before the journal has it, whose replay would end there. */
    }
    struct journal_record record = log_record(self, JOURNAL_TXN_ABORTED);
    record.producer_id = aborted->producer_id;
    record.offset = aborted->first_offset;
    record.next_offset = aborted->last_offset;
    record.last_stable_offset = aborted->last_stable_offset;
    TRY(log_put_record(self, &record));
    return log_state_apply_aborted(&self->state, &record);
}

enum status log_list_aborted_txns(struct log *self, int64_t offset, int64_t offset_limit,
                                  struct log_aborted_txn *out_aborted, uint32_t count_max,
                                  uint32_t *out_count)
{
    const struct log_state *state = &self->state;
    struct txn_index_search search = {.offset = offset,
                                      .offset_limit = offset_limit,
                                      .found = out_aborted,
                                      .found_count_max = count_max};
    if (state->segment_count > 0) {
        for (uint32_t i = log_state_find(state, offset);
             i < state->segment_count && !search.is_complete; i++) {
            struct segment *segment = state->segments[i];
            if (segment->indexes == NULL &&
                segment->sides[LOG_NAME_TXNINDEX - LOG_NAME_INDEX].byte_count == 0) {
                continue; /* None in it, and nothing to load. */
            }
            TRY(log_load_indexes(self, segment));
            TRY(txn_index_collect(&segment->indexes->txns, &search));
        }
    }
    *out_count = search.found_count;
    return STATUS_OK;
}
