#include "broker/log/cold_read.h"

#include "broker/log/log_life.h"
#include "broker/log/offset_chain.h"
#include "broker/log/read_pin.h"
#include "broker/log/segment_load.h"
#include "proto/record/batch.h"
#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

#define COLD_READ_MAGIC 0xc01d4ead

struct cold_read {
    uint32_t magic;
    struct list link; /* The log's. */
    struct log *log;
    struct log_read *read;
    bool is_canceled;
    struct disk_request request;
    uint32_t version;
    int64_t offset; /* Wanted. */
    int64_t segment_base;
    struct segment_load load;
    char *directory; /* Owned; while loading. */
    struct file_handle *handle;
    struct disk *disk;
    int64_t offset_limit;
    size_t byte_count_max;
    bool at_least_one;
    uint32_t position;         /* Where the scan begins. */
    uint32_t limit;            /* Of the segment's bytes. */
    struct offset_chain chain; /* At `position`. */
    uint8_t *buffer;           /* Owned; holds the file from the block of `position` on. */
    size_t buffer_bytes;
    /* What the lane found: */
    size_t found_start; /* In the buffer. */
    size_t found_bytes;
    uint32_t found_count;
    size_t needed_bytes; /* For the first batch; 0: it is there. */
};

static void cold_free(struct cold_read *self)
{
    struct log_store *store = self->log->store;
    list_remove(&self->link);
    segment_load_done(&self->load);
    free(self->directory);
    block_pool_give(&store->pool, self->buffer, self->buffer_bytes);
    if (self->handle != NULL) {
        file_cache_unref(self->handle);
    }
    store->cold_read_count -= 1;
    if (store->is_closing) {
        log_store_wake(store);
    }
    self->magic = 0;
    free(self);
}

/* Ends it; `read` is NULL when somebody else answers. */
static void finish(struct cold_read *self, enum status status)
{
    struct log *log = self->log;
    struct log_read *read = self->read;
    cold_free(self);
    if (log->is_deleted) {
        log_life_reap(log);
    }
    if (read != NULL) {
        read->on_done(read, status);
    }
}

static struct segment *segment_of(const struct cold_read *self)
{
    const struct log_state *state = &self->log->state;
    if (state->segment_count == 0) {
        return NULL;
    }
    struct segment *segment = state->segments[log_state_find(state, self->segment_base)];
    return segment->base_offset == self->segment_base ? segment : NULL;
}

/* The log is not what it was: from the beginning. */
static void begin_again(struct cold_read *self)
{
    struct log *log = self->log;
    struct log_read *read = self->read;
    self->read = NULL;
    finish(self, STATUS_OK);
    enum status status = log_read_from(log, read);
    if (status != STATUS_PENDING) {
        read->on_done(read, status);
    }
}

/* One batch of the answer; false in `out_goes_on` ends it. */
static enum status take_batch(struct cold_read *self, const struct batch_view *batch, size_t start,
                              bool *out_goes_on)
{
    bool is_first = self->found_count == 0;
    bool fits = self->found_bytes + batch->byte_count <= self->byte_count_max;
    *out_goes_on = batch_next_offset(batch) <= self->offset_limit &&
                   (fits || (is_first && self->at_least_one));
    if (!*out_goes_on) {
        return STATUS_OK;
    }
    if (!batch_has_right_checksum(batch)) {
        return STATUS_CORRUPT;
    }
    if (is_first) {
        self->found_start = start;
    }
    self->found_bytes += batch->byte_count;
    self->found_count += 1;
    return STATUS_OK;
}

/* On the lane: whole, sound batches from the wanted offset on. What lies before them is not held
 * against its checksum, so that a reader can go past a damaged batch; the chain of offsets shows
 * whether one hides others. */
static enum status scan_buffer(struct cold_read *self, size_t start, size_t end)
{
    bool is_cut_by_buffer = end < self->limit - (self->position - start);
    struct offset_chain chain = self->chain;
    for (bool goes_on = true; goes_on;) {
        uint32_t byte_count = 0;
        enum status status = batch_measure(self->buffer + start, end - start, &byte_count);
        if (byte_count > LOG_APPEND_BYTES_MAX) {
            return STATUS_CORRUPT; /* Nobody wrote it, so no memory is looked for. */
        }
        bool is_cut =
            status == STATUS_NOT_FOUND || (status == STATUS_OK && byte_count > end - start);
        if (is_cut && is_cut_by_buffer) {
            self->needed_bytes = status == STATUS_OK ? start + byte_count : self->buffer_bytes * 2;
            return STATUS_OK;
        }
        if (status != STATUS_OK || is_cut) {
            return STATUS_CORRUPT; /* At the end, too, when the wanted offset is not there. */
        }
        struct batch_view batch;
        TRY(batch_view_init(&batch, self->buffer + start, byte_count));
        TRY(offset_chain_add(&chain, &batch));
        if (batch_last_offset(&batch) >= self->offset) {
            TRY(take_batch(self, &batch, start, &goes_on));
        }
        start += byte_count;
        goes_on = goes_on && (self->found_count == 0 || start < end);
    }
    return STATUS_OK;
}

static enum status read_call(struct disk_request *request)
{
    struct cold_read *self = container_of(request, struct cold_read, request);
    uint32_t head = self->position % DISK_BLOCK_BYTES;
    uint32_t from = self->position - head;
    size_t read_count = 0;
    TRY(disk_file_read(self->disk, self->handle->file, from, self->buffer, self->buffer_bytes,
                       &read_count));
    size_t wanted = self->limit - from;
    if (wanted > self->buffer_bytes) {
        wanted = self->buffer_bytes;
    }
    if (read_count < wanted) {
        return STATUS_CORRUPT; /* The file is shorter than what was written to it. */
    }
    self->found_count = 0;
    self->found_bytes = 0;
    self->needed_bytes = 0;
    enum status status = scan_buffer(self, head, wanted);
    if (self->found_count > 0) {
        self->needed_bytes = 0; /* What is cut, or damaged, is for the next read. */
        return STATUS_OK;
    }
    return status == STATUS_MALFORMED || status == STATUS_UNSUPPORTED ? STATUS_CORRUPT : status;
}

/* Up to the first batch of another leader epoch than was written there. */
static void fill_answer(const struct cold_read *self, const struct segment *segment)
{
    struct log_read *read = self->read;
    const uint8_t *bytes = self->buffer + self->found_start;
    while (read->batch_count < self->found_count) {
        struct batch_view batch;
        enum status status =
            batch_view_init(&batch, bytes + read->byte_count, self->found_bytes - read->byte_count);
        check(status == STATUS_OK);
        if (!log_has_epoch_of(self->log, &batch)) {
            break;
        }
        read->ingested_ms[read->batch_count] =
            ingest_index_find(&segment->indexes->ingests, batch_base_offset(&batch));
        read->batch_count += 1;
        read->byte_count += batch.byte_count;
        read->next_offset = batch_next_offset(&batch);
    }
    read->slices[0] = (struct wire_slice){.base = bytes, .byte_count = read->byte_count};
    read->slice_count = 1;
}

static void answer(struct cold_read *self, const struct segment *segment)
{
    struct log_read *read = self->read;
    if (self->found_count == 0) {
        finish(self, STATUS_OK);
        return;
    }
    struct read_pin *pin = read_pin_new(&self->log->store->pool, read, 0, 1, self->found_count);
    if (pin == NULL) {
        finish(self, STATUS_BUSY);
        return;
    }
    read->pin = pin;
    fill_answer(self, segment);
    if (read->batch_count == 0) {
        log_read_release(read);
        finish(self, STATUS_CORRUPT);
        return;
    }
    pin->buffer = self->buffer;
    pin->buffer_bytes = self->buffer_bytes;
    self->buffer = NULL;
    finish(self, STATUS_OK);
}

static enum status submit_read(struct cold_read *self, size_t byte_count);

static void read_on_done(struct disk_request *request)
{
    struct cold_read *self = container_of(request, struct cold_read, request);
    check(self->magic == COLD_READ_MAGIC);
    self->log->job_count -= 1;
    if (self->is_canceled) {
        finish(self, STATUS_CANCELED);
        return;
    }
    struct segment *segment = segment_of(self);
    if (self->version != self->log->version || segment == NULL || segment->indexes == NULL) {
        begin_again(self);
        return;
    }
    if (request->status != STATUS_OK) {
        finish(self, request->status);
        return;
    }
    if (self->needed_bytes > 0) {
        enum status status = submit_read(self, self->needed_bytes);
        if (status != STATUS_OK) {
            finish(self, status);
        }
        return;
    }
    answer(self, segment);
}

static enum status submit_read(struct cold_read *self, size_t byte_count)
{
    struct log_store *store = self->log->store;
    uint32_t from = self->position / DISK_BLOCK_BYTES * DISK_BLOCK_BYTES;
    size_t bytes_max = self->limit - from;
    byte_count = byte_count < bytes_max ? byte_count : bytes_max;
    byte_count = block_pool_round(byte_count + DISK_BLOCK_BYTES);
    block_pool_give(&store->pool, self->buffer, self->buffer_bytes);
    self->buffer_bytes = byte_count;
    self->buffer = block_pool_take(&store->pool, byte_count);
    if (self->buffer == NULL) {
        tail_cache_shrink(&store->cache, store->cache.byte_count > byte_count
                                             ? store->cache.byte_count - byte_count
                                             : 0);
        self->buffer = block_pool_take(&store->pool, byte_count);
    }
    if (self->buffer == NULL) {
        return STATUS_BUSY;
    }
    self->request =
        (struct disk_request){.kind = DISK_CALL, .call = read_call, .on_done = read_on_done};
    self->log->job_count += 1;
    disk_submit(store->disk, store->read_lane, &self->request);
    return STATUS_OK;
}

static enum status start_reading(struct cold_read *self, struct segment *segment)
{
    TRY(log_open_segment(self->log, segment));
    log_touch_indexes(self->log, segment);
    self->handle = file_cache_ref(segment->handle);
    self->position = offset_chain_begin(&self->chain, &segment->indexes->offsets, self->offset);
    self->limit = log_cold_bytes(self->log, segment);
    if (self->position >= self->limit) {
        return STATUS_CORRUPT;
    }
    size_t wanted =
        self->byte_count_max < COLD_READ_BYTES_MAX ? self->byte_count_max : COLD_READ_BYTES_MAX;
    return submit_read(self, wanted + segment->indexes->interval_bytes + DISK_BLOCK_BYTES);
}

static enum status load_call(struct disk_request *request)
{
    return segment_load_run(&container_of(request, struct cold_read, request)->load);
}

static void load_on_done(struct disk_request *request)
{
    struct cold_read *self = container_of(request, struct cold_read, request);
    check(self->magic == COLD_READ_MAGIC);
    self->log->job_count -= 1;
    if (self->is_canceled) {
        finish(self, STATUS_CANCELED);
        return;
    }
    struct segment *segment = segment_of(self);
    if (self->version != self->log->version || segment == NULL) {
        begin_again(self);
        return;
    }
    enum status status = request->status;
    if (status == STATUS_OK && segment->indexes == NULL) {
        log_adopt_indexes(self->log, segment, &self->load);
    }
    if (status == STATUS_OK) {
        status = start_reading(self, segment);
    }
    if (status != STATUS_OK) {
        finish(self, status);
    }
}

static enum status start_loading(struct cold_read *self, struct segment *segment)
{
    const struct log_state *state = &self->log->state;
    self->directory = strdup(state->directory);
    if (self->directory == NULL) {
        return STATUS_NO_MEMORY;
    }
    self->load = (struct segment_load){
        .disk = self->disk,
        .directory = self->directory,
        .interval_bytes = state->interval_bytes,
        .end_offset = log_state_segment_end(state, log_state_find(state, segment->base_offset)),
    };
    segment_to_checkpoint(segment, &self->load.segment);
    self->request =
        (struct disk_request){.kind = DISK_CALL, .call = load_call, .on_done = load_on_done};
    self->log->job_count += 1;
    disk_submit(self->disk, self->log->store->read_lane, &self->request);
    return STATUS_OK;
}

enum status cold_read_start(struct log *log, struct log_read *read)
{
    const struct log_state *state = &log->state;
    struct log_store *store = log->store;
    if (store->cold_read_count >= COLD_READ_COUNT_MAX) {
        return STATUS_BUSY;
    }
    if (state->segment_count == 0) {
        return STATUS_CORRUPT; /* Offsets without bytes. */
    }
    struct cold_read *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return STATUS_NO_MEMORY;
    }
    struct segment *segment = state->segments[log_state_find(state, read->offset)];
    self->magic = COLD_READ_MAGIC;
    self->log = log;
    self->read = read;
    self->disk = store->disk;
    self->version = log->version;
    self->offset = read->offset;
    self->segment_base = segment->base_offset;
    self->offset_limit = read->offset_limit;
    self->byte_count_max = read->byte_count_max;
    self->at_least_one = read->at_least_one;
    list_append(&log->reads, &self->link);
    store->cold_read_count += 1;
    enum status status =
        segment->indexes == NULL ? start_loading(self, segment) : start_reading(self, segment);
    if (status != STATUS_OK) {
        self->read = NULL;
        cold_free(self);
        return status;
    }
    return STATUS_PENDING;
}

void cold_read_cancel_all(struct log *log)
{
    list_for_each(link, &log->reads)
    {
        container_of(link, struct cold_read, link)->is_canceled = true;
    }
}
