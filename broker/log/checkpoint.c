#include "broker/log/checkpoint.h"

#include "broker/log/checkpoint_settle.h"
#include "broker/log/log_life.h"
#include "broker/log/write_behind.h"
#include "proto/sys/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECKPOINT_MAGIC 0xc4ec9014U
#define RETRY_NS CLOCK_NS_PER_S
#define FLUSHED_LOGS_MAX 2U /* A log takes several flushes; for more logs one of all is cheaper.   \
                             */

enum phase {
    PHASE_IDLE,
    PHASE_LOGS, /* Capturing and settling. */
    PHASE_SYNC, /* Making all that was settled durable. */
    PHASE_FILE, /* Replacing the file. */
};

struct removed_log {
    struct list link;
    struct wire_uuid topic_id;
    int32_t partition;
    uint64_t sequence;
    bool is_in_base;
    uint8_t *entry; /* Owned. */
    uint32_t entry_byte_count;
};

struct checkpoint {
    uint32_t magic;
    struct log_store *store;
    enum phase phase;
    struct list changed;   /* Logs for the next round. */
    struct list waiting;   /* Logs of this round, not captured yet. */
    struct list capturing; /* Logs of this round under way. */
    uint32_t capturing_count;
    uint32_t settling_count; /* On the lane. */
    struct list removed;     /* struct removed_log. */
    struct journal_cut cut;
    struct disk_request request;
    uint8_t *bytes; /* Owned; of the file under way. */
    size_t byte_count;
    uint32_t entry_count;
    char name[32];
    int64_t done_ns; /* When the last round ended. */
    int64_t retry_ns;
    bool must_sync_all; /* This round's settling leaves the flushing to PHASE_SYNC. */
    bool is_held_up;    /* No space or memory: goes on at `retry_ns`. */
    bool is_final;
    bool is_closed;
};

enum status checkpoint_new(struct log_store *store, struct checkpoint **out_self)
{
    struct checkpoint *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return STATUS_NO_MEMORY;
    }
    self->magic = CHECKPOINT_MAGIC;
    self->store = store;
    self->done_ns = loop_now_ns(store->loop);
    list_init(&self->changed);
    list_init(&self->waiting);
    list_init(&self->capturing);
    list_init(&self->removed);
    snprintf(self->name, sizeof self->name, "%s%u", CHECKPOINT_FORMAT_SHARD_NAME,
             store->options.shard_index);
    *out_self = self;
    return STATUS_OK;
}

static void removed_free(struct removed_log *removed)
{
    list_remove(&removed->link);
    free(removed->entry);
    free(removed);
}

void checkpoint_free(struct checkpoint *self)
{
    if (self == NULL) {
        return;
    }
    check(self->magic == CHECKPOINT_MAGIC);
    check(self->phase == PHASE_IDLE || self->phase == PHASE_LOGS);
    list_for_each_removable(link, &self->removed)
    {
        removed_free(container_of(link, struct removed_log, link));
    }
    free(self->bytes);
    *self = (struct checkpoint){0};
    free(self);
}

void checkpoint_note_change(struct log *log)
{
    struct checkpoint *self = log->store->checkpoint;
    log->capture.is_changed = true;
    if (list_is_empty(&log->capture.link)) {
        list_append(&self->changed, &log->capture.link);
    }
}

static void drop_capture(struct log_capture *capture)
{
    checkpoint_settle_free(capture->settle);
    free(capture->pending);
    capture->settle = NULL;
    capture->pending = NULL;
}

/* Everything of the present moment, so that the log may go on. Never from inside a call of the
 * log's user, whose producers would not be as of the end. */
static enum status capture(struct checkpoint *self, struct log *log)
{
    struct log_capture *capture = &log->capture;
    check(capture->settle == NULL && capture->pending == NULL);
    bool wants_snapshot = log->is_attached && log->events.on_snapshot_wanted != NULL &&
                          log->state.snapshot_offset != log->state.end;
    if (wants_snapshot) {
        uint8_t *bytes = NULL;
        size_t byte_count = 0;
        log->events.on_snapshot_wanted(log->events.context, log->state.end, &bytes, &byte_count);
        log_state_set_snapshot(&log->state, log->state.end, bytes, byte_count);
    }
    TRY(checkpoint_settle_new(log, self->is_final, &capture->settle));
    enum status status =
        log_state_save(&log->state, &capture->pending, &capture->pending_byte_count);
    if (status != STATUS_OK) {
        checkpoint_settle_undo(capture->settle);
        drop_capture(capture);
        return status;
    }
    const struct segment *active = log_state_active(&log->state);
    capture->mark = (struct log_mark){
        .end = log->state.end,
        .segment_base = active == NULL ? -1 : active->base_offset,
        .position = active == NULL ? 0 : active->byte_count,
    };
    capture->version = log->version;
    capture->sequence = log->state.sequence;
    capture->is_changed = false;
    capture->is_overtaken = false;
    return STATUS_OK;
}

static void hold_up(struct checkpoint *self)
{
    self->is_held_up = true;
    self->retry_ns = loop_now_ns(self->store->loop) + RETRY_NS;
}

static void step(struct checkpoint *self);
static void settle_on_done(struct disk_request *request);

static enum status settle_call(struct disk_request *request)
{
    return checkpoint_settle_run(container_of(request, struct checkpoint_settle, request));
}

/* Back to those that wait: it is captured anew. */
static void capture_again(struct checkpoint *self, struct log *log)
{
    drop_capture(&log->capture);
    log->capture.state = LOG_CAPTURE_NONE;
    list_remove(&log->capture.link);
    list_append(&self->waiting, &log->capture.link);
    self->capturing_count -= 1;
}

static bool is_stale(const struct log *log)
{
    return log->capture.version != log->version || log->capture.is_overtaken;
}

static void start_settling(struct checkpoint *self, struct log *log)
{
    struct checkpoint_settle *settle = log->capture.settle;
    enum status status = checkpoint_settle_open(settle);
    if (status != STATUS_OK) {
        checkpoint_settle_undo(settle);
        capture_again(self, log);
        if (status == STATUS_NO_SPACE || status == STATUS_NO_MEMORY) {
            hold_up(self);
        } else {
            log_store_fail(self->store, status);
        }
        return;
    }
    settle->is_flushed = !self->must_sync_all;
    log->capture.state = LOG_CAPTURE_SETTLING;
    log->job_count += 1;
    self->settling_count += 1;
    settle->request =
        (struct disk_request){.kind = DISK_CALL, .call = settle_call, .on_done = settle_on_done};
    disk_submit(self->store->disk, self->store->segment_lane, &settle->request);
}

/* The end alone does not tell: a truncation that is not flushed leaves everything below it durable,
 * and must not reach the side files while the checkpoint before still counts what they have. */
static bool is_in_journal(const struct log *log)
{
    return log->durable.end >= log->capture.mark.end &&
           log->store->journal.flushed_sequence > log->capture.sequence;
}

/* As far as this log can go now. */
static void advance(struct checkpoint *self, struct log *log)
{
    struct log_capture *capture = &log->capture;
    if (capture->state == LOG_CAPTURE_SETTLING || self->store->segment_lane == NULL) {
        return; /* On the lane, or there is none just now. */
    }
    if (is_stale(log)) {
        checkpoint_settle_undo(capture->settle);
        capture_again(self, log);
        return;
    }
    if (capture->state == LOG_CAPTURE_FLUSHING && is_in_journal(log)) {
        capture->state = LOG_CAPTURE_WRITING;
        if (!write_behind_is_done(log)) {
            write_behind_all(log); /* May come back to us from inside. */
            return;
        }
    }
    if (capture->state == LOG_CAPTURE_WRITING && write_behind_is_done(log)) {
        start_settling(self, log);
    }
}

void checkpoint_on_flushed(struct log *log)
{
    if (log->capture.state == LOG_CAPTURE_FLUSHING) {
        advance(log->store->checkpoint, log);
        step(log->store->checkpoint);
    }
}

void checkpoint_on_written(struct log *log)
{
    if (log->capture.state == LOG_CAPTURE_WRITING) {
        if (!write_behind_is_done(log)) {
            write_behind_all(log);
            return;
        }
        advance(log->store->checkpoint, log);
        step(log->store->checkpoint);
    }
}

static void settle_on_done(struct disk_request *request)
{
    struct checkpoint_settle *settle = container_of(request, struct checkpoint_settle, request);
    struct log *log = settle->log;
    struct checkpoint *self = log->store->checkpoint;
    struct log_capture *capture = &log->capture;
    check(capture->settle == settle);
    log->job_count -= 1;
    self->settling_count -= 1;
    if (log->is_deleted) {
        drop_capture(capture);
        capture->state = LOG_CAPTURE_NONE;
        log_life_reap(log);
        step(self);
        return;
    }
    enum status status = request->status;
    if (status != STATUS_OK) {
        checkpoint_settle_undo(settle);
        if (status == STATUS_NO_SPACE || status == STATUS_NO_MEMORY) {
            hold_up(self);
        } else {
            log_store_fail(self->store, status);
        }
    }
    if (status != STATUS_OK || is_stale(log)) {
        capture_again(self, log);
        step(self);
        return;
    }
    free(capture->entry);
    capture->entry = capture->pending;
    capture->entry_byte_count = capture->pending_byte_count;
    capture->pending = NULL;
    drop_capture(capture);
    capture->state = LOG_CAPTURE_NONE;
    list_remove(&capture->link);
    self->capturing_count -= 1;
    if (capture->is_changed) {
        checkpoint_note_change(log);
    }
    step(self);
}

void checkpoint_forget(struct log *log)
{
    struct log_capture *capture = &log->capture;
    check(capture->state != LOG_CAPTURE_SETTLING);
    list_remove(&capture->link);
    drop_capture(capture);
    free(capture->entry);
    capture->entry = NULL;
}

static struct removed_log *find_removed(const struct checkpoint *self,
                                        const struct wire_uuid *topic_id, int32_t partition)
{
    list_for_each(link, &self->removed)
    {
        struct removed_log *removed = container_of(link, struct removed_log, link);
        if (removed->partition == partition && wire_uuid_equals(&removed->topic_id, topic_id)) {
            return removed;
        }
    }
    return NULL;
}

bool checkpoint_has_removed(const struct log_store *store, const struct wire_uuid *topic_id,
                            int32_t partition)
{
    return find_removed(store->checkpoint, topic_id, partition) != NULL;
}

void checkpoint_note_dropped(struct log *log)
{
    struct log_capture *capture = &log->capture;
    /* While it is settled its files are held open, and have all their bytes. */
    if (capture->state == LOG_CAPTURE_FLUSHING || capture->state == LOG_CAPTURE_WRITING) {
        capture->is_overtaken = true;
    }
}

static enum status note_removed(struct checkpoint *self, const struct checkpoint_entry *entry)
{
    struct removed_log *earlier = find_removed(self, &entry->topic_id, entry->partition);
    struct removed_log *removed = calloc(1, sizeof *removed);
    if (removed == NULL) {
        return STATUS_NO_MEMORY;
    }
    enum status status =
        checkpoint_format_encode_entry(entry, &removed->entry, &removed->entry_byte_count);
    if (status != STATUS_OK) {
        free(removed);
        return status;
    }
    if (earlier != NULL) {
        removed_free(earlier);
    }
    removed->topic_id = entry->topic_id;
    removed->partition = entry->partition;
    removed->sequence = entry->sequence;
    removed->is_in_base =
        checkpoint_base_find(&self->store->base, &entry->topic_id, entry->partition) != NULL;
    list_append(&self->removed, &removed->link);
    return STATUS_OK;
}

enum status checkpoint_remove_former(struct log_store *store, const struct wire_uuid *topic_id,
                                     int32_t partition)
{
    const struct checkpoint_blob *blob = checkpoint_base_find(&store->base, topic_id, partition);
    if (blob == NULL || checkpoint_has_removed(store, topic_id, partition)) {
        return STATUS_OK;
    }
    struct journal_record record = {
        .kind = JOURNAL_LOG_DELETED, .topic_id = *topic_id, .partition = partition};
    if (!journal_has_room(&store->journal, journal_format_record_bytes(&record), true)) {
        return STATUS_BUSY;
    }
    TRY(journal_put(&store->journal, &record));
    struct checkpoint_entry entry;
    TRY(checkpoint_format_decode_entry(blob, &entry));
    entry.is_removed = true;
    entry.sequence = record.sequence;
    enum status status = note_removed(store->checkpoint, &entry);
    checkpoint_format_entry_done(&entry);
    TRY(status);
    return journal_flush_now(&store->journal);
}

void checkpoint_note_removal(struct log *log, uint64_t sequence)
{
    struct checkpoint *self = log->store->checkpoint;
    struct log_capture *capture = &log->capture;
    if (capture->state != LOG_CAPTURE_NONE) {
        self->capturing_count -= 1;
        if (capture->state != LOG_CAPTURE_SETTLING) {
            capture->state = LOG_CAPTURE_NONE;
            drop_capture(capture);
        }
    }
    list_remove(&capture->link);
    free(capture->entry);
    capture->entry = NULL;
    capture->entry_byte_count = 0;
    const struct checkpoint_entry entry = {.topic_id = log->state.topic_id,
                                           .topic_name = wire_text_of(log->state.topic_name),
                                           .partition = log->state.partition,
                                           .is_removed = true,
                                           .sequence = sequence};
    enum status status = note_removed(self, &entry);
    if (status != STATUS_OK) {
        /* Without it the next checkpoint would bring the log back. */
        log_store_fail(log->store, status);
    }
}

/* A log that lives again under the same id replaces its removal. */
static bool is_alive(const struct checkpoint *self, const struct removed_log *removed)
{
    const struct log *log =
        log_table_find(&self->store->table, &removed->topic_id, removed->partition);
    return log != NULL && log->capture.entry != NULL;
}

static enum status compose(struct checkpoint *self)
{
    size_t byte_count = CHECKPOINT_FORMAT_HEADER_BYTES;
    list_for_each(link, &self->store->logs)
    {
        byte_count += container_of(link, struct log, link)->capture.entry_byte_count;
    }
    list_for_each(link, &self->removed)
    {
        byte_count += container_of(link, struct removed_log, link)->entry_byte_count;
    }
    if (byte_count > CHECKPOINT_FORMAT_BYTES_MAX) {
        return STATUS_FULL;
    }
    self->bytes = malloc(byte_count);
    if (self->bytes == NULL) {
        return STATUS_NO_MEMORY;
    }
    uint8_t *place = self->bytes + CHECKPOINT_FORMAT_HEADER_BYTES;
    self->entry_count = 0;
    list_for_each(link, &self->store->logs)
    {
        const struct log_capture *capture = &container_of(link, struct log, link)->capture;
        if (capture->entry != NULL) {
            memcpy(place, capture->entry, capture->entry_byte_count);
            place += capture->entry_byte_count;
            self->entry_count += 1;
        }
    }
    list_for_each(link, &self->removed)
    {
        const struct removed_log *removed = container_of(link, struct removed_log, link);
        if (!is_alive(self, removed)) {
            memcpy(place, removed->entry, removed->entry_byte_count);
            place += removed->entry_byte_count;
            self->entry_count += 1;
        }
    }
    self->byte_count = (size_t)(place - self->bytes);
    return STATUS_OK;
}

static enum status file_call(struct disk_request *request)
{
    struct checkpoint *self = container_of(request, struct checkpoint, request);
    return disk_replace_file(self->store->disk, self->store->directory, self->name, self->bytes,
                             self->byte_count);
}

static void file_on_done(struct disk_request *request)
{
    struct checkpoint *self = container_of(request, struct checkpoint, request);
    check(self->magic == CHECKPOINT_MAGIC);
    struct log_store *store = self->store;
    free(self->bytes);
    self->bytes = NULL;
    if (request->status != STATUS_OK) {
        self->phase = PHASE_LOGS;
        if (request->status == STATUS_NO_SPACE) {
            hold_up(self);
        } else {
            log_store_fail(store, request->status);
        }
        log_store_wake(store);
        return;
    }
    self->phase = PHASE_IDLE;
    self->done_ns = loop_now_ns(store->loop);
    self->is_closed = self->is_final;
    journal_release(&store->journal, &self->cut);
    list_for_each_removable(link, &self->removed)
    {
        struct removed_log *removed = container_of(link, struct removed_log, link);
        if (removed->sequence < self->cut.sequence && !removed->is_in_base) {
            removed_free(removed);
        }
    }
    log_store_note_room(store);
    log_store_wake(store);
}

static void write_file(struct checkpoint *self)
{
    enum status status = compose(self);
    if (status != STATUS_OK) {
        if (status == STATUS_NO_MEMORY) {
            hold_up(self);
        } else {
            log_store_fail(self->store, status);
        }
        return;
    }
    const struct journal *journal = &self->store->journal;
    const struct checkpoint_header header = {
        .run = self->store->base.header.run,
        .cut_position = self->cut.position,
        .cut_sequence = self->cut.sequence,
        .acknowledged_sequence = journal->flushed_sequence > self->cut.sequence
                                     ? journal->flushed_sequence
                                     : self->cut.sequence,
        .wall_ms = wall_guard_now_ms(&self->store->wall),
        .shard = self->store->options.shard_index,
        .entry_count = self->entry_count,
        .is_shard = true,
        .is_clean = self->is_final,
    };
    checkpoint_format_seal(&header, self->bytes, self->byte_count);
    self->phase = PHASE_FILE;
    self->request =
        (struct disk_request){.kind = DISK_CALL, .call = file_call, .on_done = file_on_done};
    disk_submit(self->store->disk, self->store->segment_lane, &self->request);
}

static enum status sync_call(struct disk_request *request)
{
    const struct log_store *store = container_of(request, struct checkpoint, request)->store;
    return disk_file_sync_all(store->disk, store->journal.file); /* Open since before the round. */
}

static void sync_on_done(struct disk_request *request)
{
    struct checkpoint *self = container_of(request, struct checkpoint, request);
    check(self->magic == CHECKPOINT_MAGIC);
    self->phase = PHASE_LOGS;
    if (request->status != STATUS_OK) {
        log_store_fail(self->store, request->status);
    } else {
        self->must_sync_all = false;
    }
    log_store_wake(self->store);
}

/* All logs of the round are settled. */
static void finish_round(struct checkpoint *self)
{
    if (!self->must_sync_all) {
        write_file(self);
        return;
    }
    self->phase = PHASE_SYNC;
    self->request =
        (struct disk_request){.kind = DISK_CALL, .call = sync_call, .on_done = sync_on_done};
    disk_submit(self->store->disk, self->store->segment_lane, &self->request);
}

static void capture_next(struct checkpoint *self)
{
    struct log *log = container_of(self->waiting.next, struct log, capture.link);
    enum status status = capture(self, log);
    if (status != STATUS_OK) {
        if (status == STATUS_NO_MEMORY) {
            hold_up(self);
        } else {
            log_store_fail(self->store, status);
        }
        return;
    }
    list_remove(&log->capture.link);
    list_append(&self->capturing, &log->capture.link);
    self->capturing_count += 1;
    log->capture.state = LOG_CAPTURE_FLUSHING;
    advance(self, log);
}

static void step(struct checkpoint *self)
{
    if (self->phase != PHASE_LOGS || self->store->failure != STATUS_OK ||
        self->store->segment_lane == NULL) {
        return;
    }
    while (!self->is_held_up && self->store->failure == STATUS_OK &&
           self->capturing_count < CHECKPOINT_LOGS_MAX && !list_is_empty(&self->waiting)) {
        capture_next(self);
    }
    bool is_flushed = self->store->journal.flushed_sequence >= self->cut.sequence;
    if (!self->is_held_up && self->phase == PHASE_LOGS && self->capturing_count == 0 &&
        list_is_empty(&self->waiting) && is_flushed && self->store->failure == STATUS_OK) {
        finish_round(self);
    }
}

void checkpoint_begin(struct log_store *store)
{
    struct checkpoint *self = store->checkpoint;
    if (self->phase != PHASE_IDLE || store->failure != STATUS_OK) {
        return;
    }
    self->phase = PHASE_LOGS;
    self->cut = journal_cut(&store->journal);
    struct list *link = NULL;
    uint32_t count = 0;
    while ((link = list_take_first(&self->changed)) != NULL) {
        list_append(&self->waiting, link);
        count += 1;
    }
    self->must_sync_all = count > FLUSHED_LOGS_MAX;
    step(self);
}

void checkpoint_tick(struct log_store *store)
{
    struct checkpoint *self = store->checkpoint;
    int64_t now_ns = loop_now_ns(store->loop);
    if (self->is_held_up && now_ns >= self->retry_ns) {
        self->is_held_up = false;
    }
    if (self->phase == PHASE_LOGS) {
        list_for_each_removable(link, &self->capturing)
        {
            advance(self, container_of(link, struct log, capture.link));
        }
        step(self);
        return;
    }
    const struct journal *journal = &store->journal;
    bool is_half_full = journal_used_bytes(journal) > journal->ring_bytes / 2;
    bool is_due = now_ns - self->done_ns >= CHECKPOINT_INTERVAL_NS &&
                  (!list_is_empty(&self->changed) || journal_used_bytes(journal) > 0);
    if (is_half_full || is_due) {
        checkpoint_begin(store);
    }
}

bool checkpoint_is_busy(const struct checkpoint *self)
{
    return self->phase != PHASE_IDLE;
}

bool checkpoint_is_quiet(const struct checkpoint *self)
{
    return (self->phase == PHASE_IDLE || self->phase == PHASE_LOGS) && self->settling_count == 0;
}

bool checkpoint_close(struct log_store *store)
{
    struct checkpoint *self = store->checkpoint;
    if (self->is_closed || self->phase != PHASE_IDLE) {
        return self->is_closed;
    }
    self->is_final = true;
    list_for_each(link, &store->logs)
    {
        struct log *log = container_of(link, struct log, link);
        for (uint32_t i = 0; i < log->state.segment_count; i++) {
            if (log->state.segments[i]->allocated_bytes > 0) {
                checkpoint_note_change(log);
            }
        }
    }
    checkpoint_begin(store);
    return false;
}
