#include "broker/log/log_life.h"

#include "broker/log/checkpoint.h"
#include "broker/log/cold_read.h"
#include "broker/log/log_cut.h"
#include "broker/log/log_directory.h"
#include "broker/log/write_behind.h"
#include "proto/sys/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOG_MAGIC 0x10610610U

static void flush_on_flushed(struct journal_waiter *waiter, enum status status);

static struct log *log_new(struct log_store *store)
{
    struct log *log = calloc(1, sizeof *log);
    if (log == NULL) {
        return NULL;
    }
    log->magic = LOG_MAGIC;
    log->store = store;
    log->retention_limit = 0;
    list_init(&log->link);
    list_init(&log->memory_link);
    list_init(&log->write_link);
    list_init(&log->capture.link);
    list_init(&log->reads);
    list_init(&log->drops);
    tail_init(&log->tail, &store->cache);
    for (uint32_t i = 0; i < LOG_FLUSHES; i++) {
        log->flushes[i].log = log;
        log->flushes[i].waiter.on_flushed = flush_on_flushed;
        list_init(&log->flushes[i].waiter.link);
    }
    return log;
}

void log_life_free(struct log *log)
{
    check(log->magic == LOG_MAGIC);
    cold_read_cancel_all(log);
    log_cut_forget(log);
    write_behind_forget(log);
    checkpoint_forget(log);
    for (uint32_t i = 0; i < LOG_FLUSHES; i++) {
        journal_stop_waiting(&log->flushes[i].waiter);
    }
    list_remove(&log->memory_link);
    list_remove(&log->link);
    tail_done(&log->tail);
    for (uint32_t i = 0; i < log->state.segment_count; i++) {
        if (!list_is_empty(&log->state.segments[i]->index_link)) {
            log->store->indexed_count -= 1;
        }
    }
    log_state_done(&log->state);
    *log = (struct log){0};
    free(log);
}

/* The journal has everything up to the mark. */
static void flush_on_flushed(struct journal_waiter *waiter, enum status status)
{
    struct log_flush *flush = container_of(waiter, struct log_flush, waiter);
    struct log *log = flush->log;
    flush->is_waiting = false;
    if (status != STATUS_OK) {
        log_store_fail(log->store,
                       status); /* First: a deletion that is not durable moves nothing. */
    }
    if (log->is_deleted) {
        log->job_count -= 1; /* log_life_delete() waited for this. */
        log_life_reap(log);
        return;
    }
    if (status != STATUS_OK) {
        return; /* The store tells. */
    }
    log->durable = flush->mark;
    bool is_news = log->flushed_end < flush->mark.end;
    if (is_news) {
        log->flushed_end = flush->mark.end;
    }
    write_behind_note(log);
    checkpoint_on_flushed(log);
    if (is_news && log->is_attached && log->events.on_flushed != NULL) {
        log->events.on_flushed(log->events.context, log->flushed_end);
    }
}

struct sweep {
    struct log *log;
    enum status status;
};

static bool is_known(const struct log_state *state, int64_t base_offset)
{
    if (state->segment_count == 0) {
        return false;
    }
    return state->segments[log_state_find(state, base_offset)]->base_offset == base_offset;
}

static void sweep_on_entry(void *context, const char *name, bool is_directory)
{
    struct sweep *sweep = context;
    struct log_name_parts parts;
    size_t length = strlen(name);
    bool is_draft = length > 4 && strcmp(name + length - 4, ".tmp") == 0;
    if (sweep->status != STATUS_OK || is_directory) {
        return;
    }
    if (!is_draft && !log_name_parse_file(name, &parts)) {
        return;
    }
    if (!is_draft && parts.state == LOG_NAME_LIVE && is_known(&sweep->log->state, parts.offset)) {
        return;
    }
    char path[DISK_PATH_BYTES_MAX];
    int count = snprintf(path, sizeof path, "%s/%s", sweep->log->state.directory, name);
    check(count > 0 && (size_t)count < sizeof path);
    enum status status = disk_remove(sweep->log->store->disk, path);
    sweep->status = status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

/* What a crash left behind: files waiting for removal, segments that no durable record names. */
static enum status sweep_directory(struct log *log)
{
    struct sweep sweep = {.log = log};
    TRY(disk_list(log->store->disk, log->state.directory, sweep_on_entry, &sweep));
    return sweep.status;
}

static enum status open_known(struct log *log, const struct checkpoint_blob *blob)
{
    struct log_store *store = log->store;
    struct wire_uuid owner;
    bool exists = false;
    enum status status = log_directory_owner(store->disk, log->state.directory, &owner, &exists);
    if (status == STATUS_NOT_FOUND && exists) {
        log->has_new_names = true; /* Is written again with the next checkpoint. */
        status = log_directory_make(store->disk, log->state.directory, &log->state.topic_id);
    } else if (status == STATUS_NOT_FOUND ||
               (status == STATUS_OK && !wire_uuid_equals(&owner, &log->state.topic_id))) {
        trace_line(store->loop->trace, TRACE_ERROR, "log", "directory_lost",
                   "topic=\"%s\" partition=%d", log->state.topic_name, log->state.partition);
        return STATUS_CORRUPT;
    }
    TRY(status);
    struct checkpoint_entry entry;
    TRY(checkpoint_format_decode_entry(blob, &entry));
    entry.sequence = 0;
    status = log_state_load(&log->state, &entry);
    checkpoint_format_entry_done(&entry);
    TRY(status);
    return store->base.header.is_clean ? STATUS_OK : sweep_directory(log);
}

static enum status put_away(struct log *log)
{
    if (log->is_put_away) {
        return STATUS_OK;
    }
    char path[DISK_PATH_BYTES_MAX];
    struct log_store *store = log->store;
    struct wire_uuid owner;
    bool exists = false;
    if (log_directory_owner(store->disk, log->state.directory, &owner, &exists) == STATUS_OK &&
        !wire_uuid_equals(&owner, &log->state.topic_id)) {
        log->is_put_away = true; /* The name is another life's already. */
        return STATUS_OK;
    }
    TRY(log_directory_put_away(store->disk, store->directory, log->state.directory,
                               &log->state.topic_id, path));
    log->is_put_away = true;
    return STATUS_OK;
}

/* A deleted log leaves its name when its deletion is flushed. Whoever wants the name before that
 * waits for it here, with the loop; it is rare enough. */
static enum status finish_deletion(struct log_store *store, const char *directory)
{
    struct log *former = NULL;
    list_for_each(link, &store->logs)
    {
        struct log *log = container_of(link, struct log, link);
        if (log->is_deleted && strcmp(log->state.directory, directory) == 0) {
            former = log;
        }
    }
    if (former == NULL) {
        return STATUS_OK;
    }
    TRY(journal_flush_now(&store->journal));
    /* Ends what uses its path; nobody submits meanwhile. */
    struct disk_lane *lane = store->segment_lane;
    store->segment_lane = NULL;
    disk_lane_close(store->disk, lane);
    TRY(disk_lane_open(store->disk, store->loop, "segments", &store->segment_lane));
    log_store_wake(store);
    return put_away(former);
}

/* An earlier life of the name that nobody deleted through us. */
static enum status delete_former(struct log_store *store, const char *directory,
                                 const struct wire_uuid *topic_id, int32_t partition)
{
    struct log *former = log_table_find(&store->table, topic_id, partition);
    if (former != NULL) {
        log_life_delete(former);
        return former->is_condemned ? STATUS_BUSY : finish_deletion(store, directory);
    }
    const struct log_store_options *options = &store->options;
    if (options->is_in_charge != NULL &&
        !options->is_in_charge(options->context, topic_id, partition)) {
        /* Its own shard deletes it, with a record in its own journal: here it would stand before
         * records that a replay reads later. */
        return STATUS_BUSY;
    }
    char path[DISK_PATH_BYTES_MAX];
    TRY(checkpoint_remove_former(store, topic_id, partition));
    TRY(log_directory_put_away(store->disk, store->directory, directory, topic_id, path));
    return removal_add(&store->removal, path, true, 0);
}

/* The room that a full disk keeps back is not for logs that need not be. */
static enum status check_space(const struct log_store *store)
{
    struct disk_space space;
    TRY(disk_space_of(store->disk, store->directory, &space));
    return space.free_bytes < store->options.free_bytes_min ? STATUS_NO_SPACE : STATUS_OK;
}

static enum status open_new(struct log *log)
{
    struct log_store *store = log->store;
    struct wire_uuid owner;
    bool exists = false;
    TRY(check_space(store));
    TRY(finish_deletion(store, log->state.directory));
    enum status status = log_directory_owner(store->disk, log->state.directory, &owner, &exists);
    if (status == STATUS_OK && !wire_uuid_equals(&owner, &log->state.topic_id)) {
        TRY(delete_former(store, log->state.directory, &owner, log->state.partition));
    } else if (status == STATUS_OK || exists) {
        TRY(sweep_directory(log)); /* A creation that a crash undid. */
    } else if (status != STATUS_NOT_FOUND) {
        return status;
    }
    TRY(log_directory_make(store->disk, log->state.directory, &log->state.topic_id));
    log->has_new_names = true;
    struct journal_record record = log_record(log, JOURNAL_LOG_CREATED);
    record.bytes = (const uint8_t *)log->state.topic_name;
    record.byte_count = (uint32_t)strlen(log->state.topic_name);
    TRY(log_put_record(log, &record));
    log->state.sequence = record.sequence;
    log_await_flush(log);
    return STATUS_OK;
}

static void attach(struct log *log, const struct log_options *options)
{
    log->config = options->config;
    log->events = options->events;
    log->is_attached = true;
    log->state.interval_bytes =
        (uint32_t)(options->config.index_interval_bytes < 0 ? 0
                                                            : options->config.index_interval_bytes);
}

static enum status open_state(struct log *log, const struct log_options *options)
{
    struct log_store *store = log->store;
    TRY(log_state_init(&log->state, store->directory, options->topic_name, &options->topic_id,
                       options->partition));
    log->config = options->config;
    const struct checkpoint_blob *blob =
        checkpoint_base_find(&store->base, &options->topic_id, options->partition);
    if (blob == NULL || checkpoint_has_removed(store, &options->topic_id, options->partition)) {
        return open_new(log);
    }
    TRY(open_known(log, blob));
    const struct segment *active = log_state_active(&log->state);
    log->durable = (struct log_mark){
        .end = log->state.end,
        .segment_base = active == NULL ? -1 : active->base_offset,
        .position = active == NULL ? 0 : active->byte_count,
    };
    log->flushed_end = log->state.end;
    return STATUS_OK;
}

enum status log_life_open(struct log_store *store, const struct log_options *options,
                          struct log **out_log)
{
    if (!log_name_is_topic(options->topic_name, strlen(options->topic_name)) ||
        options->partition < 0) {
        return STATUS_INVALID;
    }
    if (store->failure != STATUS_OK || store->is_closing) {
        return store->failure != STATUS_OK ? store->failure : STATUS_CLOSED;
    }
    struct log *log = log_table_find(&store->table, &options->topic_id, options->partition);
    if (log != NULL) {
        if (log->is_attached || log->is_condemned) {
            return log->is_attached ? STATUS_EXISTS : STATUS_BUSY;
        }
        attach(log, options);
        *out_log = log;
        return STATUS_OK;
    }
    log = log_new(store);
    if (log == NULL) {
        return STATUS_NO_MEMORY;
    }
    enum status status = log_table_add(&store->table, &options->topic_id, options->partition, log);
    if (status == STATUS_OK) {
        status = open_state(log, options);
        if (status != STATUS_OK) {
            log_table_remove(&store->table, &options->topic_id, options->partition);
        }
    }
    if (status != STATUS_OK) {
        log_life_free(log);
        return status;
    }
    list_append(&store->logs, &log->link);
    attach(log, options);
    *out_log = log;
    return STATUS_OK;
}

void log_life_forget(struct log *log)
{
    check(log->magic == LOG_MAGIC);
    check(log->is_attached);
    if (log->events.on_snapshot_wanted != NULL && log->state.snapshot_offset != log->state.end) {
        uint8_t *bytes = NULL;
        size_t byte_count = 0;
        log->events.on_snapshot_wanted(log->events.context, log->state.end, &bytes, &byte_count);
        log_state_set_snapshot(&log->state, log->state.end, bytes, byte_count);
        checkpoint_note_change(log);
    }
    log_life_abandon(log);
}

void log_life_abandon(struct log *log)
{
    check(log->magic == LOG_MAGIC);
    check(log->is_attached);
    cold_read_cancel_all(log);
    log->is_attached = false;
    log->events = (struct log_events){0};
}

void log_life_reap(struct log *log)
{
    check(log->is_deleted);
    if (log->job_count > 0) {
        return;
    }
    struct log_store *store = log->store;
    char name[LOG_NAME_BYTES_MAX + 1];
    char path[DISK_PATH_BYTES_MAX];
    log_name_of_deleted_directory(log->state.topic_name, log->state.partition, &log->state.topic_id,
                                  name);
    int length = snprintf(path, sizeof path, "%s/%s", store->directory, name);
    check(length > 0 && (size_t)length < sizeof path);
    enum status status = store->failure == STATUS_OK ? put_away(log) : store->failure;
    if (status == STATUS_OK) {
        status = removal_add(&store->removal, path, true, log->config.file_delete_delay_ms);
    }
    if (status != STATUS_OK) {
        trace_line(store->loop->trace, TRACE_WARN, "log", "removal_failed",
                   "path=\"%s\" why=\"%s\" next=\"tried again at the next start\"",
                   log->state.directory, status_text(status));
    }
    log_life_free(log);
    log_store_wake(store);
}

void log_life_delete(struct log *log)
{
    check(log->magic == LOG_MAGIC);
    check(!log->is_deleted);
    struct log_store *store = log->store;
    log->is_attached = false;
    log->events = (struct log_events){0};
    cold_read_cancel_all(log);
    struct journal_record record = log_record(log, JOURNAL_LOG_DELETED);
    log->is_condemned = log_put_record(log, &record) != STATUS_OK;
    if (log->is_condemned) {
        store->has_condemned = true; /* Tried again when the journal has room. */
        return;
    }
    checkpoint_note_removal(log, record.sequence);
    log_table_remove(&store->table, &log->state.topic_id, log->state.partition);
    log->is_deleted = true;
    log->version += 1;
    log_cut_forget(log);
    write_behind_forget(log);
    list_remove(&log->memory_link);
    for (uint32_t i = 0; i < LOG_FLUSHES; i++) {
        journal_stop_waiting(&log->flushes[i].waiter);
        log->flushes[i].is_waiting = false;
    }
    log->job_count += 1; /* Until the deletion is flushed. */
    log->flushes[0].is_waiting = true;
    journal_wait(&store->journal, &log->flushes[0].waiter);
    log_store_wake(store);
}

void log_life_retry_deletions(struct log_store *store)
{
    if (!store->has_condemned || store->failure != STATUS_OK) {
        return;
    }
    store->has_condemned = false;
    list_for_each_removable(link, &store->logs)
    {
        struct log *log = container_of(link, struct log, link);
        if (log->is_condemned) {
            log_life_delete(log);
        }
    }
}
