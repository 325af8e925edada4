#include "broker/log/log_store.h"

#include "broker/log/checkpoint.h"
#include "broker/log/cold_read.h"
#include "broker/log/log_life.h"
#include "broker/log/retention.h"
#include "broker/log/write_behind.h"
#include "proto/sys/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOG_STORE_MAGIC 0x10657041U
#define TICK_NS CLOCK_NS_PER_S
#define OPEN_FILES_MAX 1024U
#define FREE_BLOCKS_BYTES_MAX (8U << 20) /* Kept over a quiet second. */

static void timer_on_fire(struct timer *timer);
static void mail_on_deliver(struct mail *mail);
static void journal_on_settled(struct journal *journal);
static void removal_on_removed(struct removal *removal);

/* A quarter of the budget for what is written already; all stores of the process share the rest. */
static size_t cache_bytes_of(const struct budget *budget)
{
    return budget->limit_bytes / 4;
}

static enum status open_journal(struct log_store *self)
{
    char path[DISK_PATH_BYTES_MAX];
    int length =
        snprintf(path, sizeof path, "%s/journal-%u", self->directory, self->options.shard_index);
    if (length < 0 || (size_t)length >= sizeof path) {
        return STATUS_INVALID;
    }
    uint64_t byte_count =
        self->options.journal_bytes == 0 ? LOG_JOURNAL_BYTES_DEFAULT : self->options.journal_bytes;
    if (byte_count < JOURNAL_BYTES_MIN) {
        byte_count = JOURNAL_BYTES_MIN;
    }
    const struct journal_options options = {
        .loop = self->loop,
        .pool = &self->pool,
        .path = path,
        .shard = self->options.shard_index,
        .generation = self->base.header.run,
        .byte_count = byte_count / DISK_BLOCK_BYTES * DISK_BLOCK_BYTES,
        .on_settled = journal_on_settled,
    };
    TRY(journal_open(&self->journal, &options));
    return disk_sync_directory(self->disk, self->directory);
}

static enum status load_base(struct log_store *self)
{
    char path[DISK_PATH_BYTES_MAX];
    int length = snprintf(path, sizeof path, "%s/%s", self->directory, CHECKPOINT_FORMAT_BASE_NAME);
    if (length < 0 || (size_t)length >= sizeof path) {
        return STATUS_INVALID;
    }
    TRY(checkpoint_base_load(&self->base, self->disk, path));
    /* A checkpoint of this run would mean that nobody recovered in between. */
    length = snprintf(path, sizeof path, "%s/%s%u", self->directory, CHECKPOINT_FORMAT_SHARD_NAME,
                      self->options.shard_index);
    check(length > 0);
    struct checkpoint_base former;
    enum status status = checkpoint_base_load(&former, self->disk, path);
    if (status == STATUS_OK && former.header.run >= self->base.header.run) {
        status = STATUS_INVALID;
    }
    checkpoint_base_done(&former);
    return status == STATUS_NOT_FOUND || status == STATUS_CORRUPT ? STATUS_OK : status;
}

static void store_free(struct log_store *self)
{
    timer_done(&self->timer);
    list_for_each_removable(link, &self->logs)
    {
        log_life_free(container_of(link, struct log, link));
    }
    removal_done(&self->removal);
    disk_lane_close(self->disk, self->segment_lane);
    disk_lane_close(self->disk, self->read_lane);
    journal_close(&self->journal);
    write_behind_free(self->write_behind);
    checkpoint_free(self->checkpoint);
    tail_cache_done(&self->cache);
    file_cache_done(&self->files);
    block_pool_done(&self->pool);
    checkpoint_base_done(&self->base);
    log_table_done(&self->table);
    free(self->batches);
    free(self->ingested);
    free(self->directory);
    *self = (struct log_store){0};
    free(self);
}

static enum status open_parts(struct log_store *self)
{
    self->directory = strdup(self->options.directory);
    if (self->directory == NULL) {
        return STATUS_NO_MEMORY;
    }
    removal_init(&self->removal, self->loop, self->directory, removal_on_removed);
    TRY(load_base(self));
    wall_guard_init(&self->wall, self->loop->clock, self->base.header.wall_ms);
    TRY(write_behind_new(self, &self->write_behind));
    TRY(checkpoint_new(self, &self->checkpoint));
    TRY(disk_lane_open(self->disk, self->loop, "segments", &self->segment_lane));
    TRY(disk_lane_open(self->disk, self->loop, "reads", &self->read_lane));
    return open_journal(self);
}

enum status log_store_open(const struct log_store_options *options, struct log_store **out_store)
{
    check(options->loop != NULL && options->budget != NULL && options->directory != NULL);
    struct log_store *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return STATUS_NO_MEMORY;
    }
    self->magic = LOG_STORE_MAGIC;
    self->loop = options->loop;
    self->disk = options->loop->disk;
    self->options = *options;
    self->failure = STATUS_OK;
    self->mail.deliver = mail_on_deliver;
    list_init(&self->logs);
    list_init(&self->memory_logs);
    list_init(&self->indexed);
    block_pool_init(&self->pool, options->budget);
    file_cache_init(&self->files, self->disk, OPEN_FILES_MAX);
    tail_cache_init(&self->cache, &self->pool, cache_bytes_of(options->budget));
    timer_init(&self->timer, &self->loop->timers, timer_on_fire);
    enum status status = open_parts(self);
    if (status != STATUS_OK) {
        store_free(self);
        return status;
    }
    self->retention_next_ns = loop_now_ns(self->loop);
    timer_start_after(&self->timer, TICK_NS);
    *out_store = self;
    return STATUS_OK;
}

void log_store_wake(struct log_store *self)
{
    if (!self->is_mailed) {
        self->is_mailed = true;
        loop_defer(self->loop, &self->mail);
    }
}

void log_store_fail(struct log_store *self, enum status why)
{
    check(why != STATUS_OK);
    if (self->failure == STATUS_OK) {
        self->failure = why;
        journal_fail(&self->journal, why); /* What it is writing may reach the disk, untold. */
        trace_line(self->loop->trace, TRACE_ERROR, "log", "store_failed",
                   "shard=%u why=\"%s\" next=\"nothing is acknowledged any more\"",
                   self->options.shard_index, status_text(why));
        log_store_wake(self);
    }
}

void log_store_note_room(struct log_store *self)
{
    if (self->wants_room && !self->has_room_news) {
        self->has_room_news = true;
        log_store_wake(self);
    }
}

static void journal_on_settled(struct journal *journal)
{
    struct log_store *self = container_of(journal, struct log_store, journal);
    if (journal->failure != STATUS_OK) {
        log_store_fail(self, journal->failure);
    }
    log_store_note_room(self);
    if (self->is_closing || checkpoint_is_busy(self->checkpoint) ||
        journal_used_bytes(journal) > journal->ring_bytes / 2) {
        log_store_wake(self);
    }
}

static void removal_on_removed(struct removal *removal)
{
    log_store_wake(container_of(removal, struct log_store, removal));
}

/* Tells topics that do not wait for the flush. */
static void tell_memory_logs(struct log_store *self)
{
    struct list *link = NULL;
    while (self->failure == STATUS_OK && (link = list_take_first(&self->memory_logs)) != NULL) {
        struct log *log = container_of(link, struct log, memory_link);
        if (log->flushed_end < log->state.end) {
            log->flushed_end = log->state.end;
            if (log->is_attached && log->events.on_flushed != NULL) {
                log->events.on_flushed(log->events.context, log->flushed_end);
            }
        }
    }
}

static bool has_journal_work(const struct log_store *self)
{
    const struct journal *journal = &self->journal;
    return journal->is_writing || journal->is_mailed ||
           (self->failure == STATUS_OK && journal->flushed_sequence != journal->next_sequence) ||
           !list_is_empty(&journal->sheets[0].waiters) ||
           !list_is_empty(&journal->sheets[1].waiters);
}

/* One thing after the other; each tells by a wake when it is over. True: nothing is left. */
static bool close_step(struct log_store *self)
{
    /* Nobody tries deletions again after a failure; the next start does. */
    bool has_condemned = self->has_condemned && self->failure == STATUS_OK;
    if (has_journal_work(self) || self->cold_read_count > 0 || has_condemned) {
        return false;
    }
    if (self->failure == STATUS_OK && !checkpoint_close(self)) {
        return false;
    }
    if (self->failure == STATUS_OK && !removal_is_idle(&self->removal)) {
        self->removal.is_hurried = true;
        removal_tick(&self->removal, self->segment_lane);
        return false;
    }
    /* After a failure the lanes may still be at work. */
    return write_behind_is_idle(self->write_behind) && self->removal.under_way == NULL &&
           (self->failure == STATUS_OK || checkpoint_is_quiet(self->checkpoint));
}

static void close_finish(struct log_store *self)
{
    void (*on_closed)(void *context) = self->on_closed;
    void *context = self->on_closed_context;
    store_free(self);
    on_closed(context);
}

static void mail_on_deliver(struct mail *mail)
{
    struct log_store *self = container_of(mail, struct log_store, mail);
    check(self->magic == LOG_STORE_MAGIC);
    self->is_mailed = false;
    if (self->failure != STATUS_OK && !self->is_failure_told) {
        self->is_failure_told = true;
        if (!self->is_closing && self->options.on_failed != NULL) {
            self->options.on_failed(self->options.context, self->failure);
        }
    }
    tell_memory_logs(self);
    if (self->must_hurry) {
        self->must_hurry = false;
        write_behind_hurry(self);
    }
    checkpoint_tick(self);
    log_life_retry_deletions(self);
    if (self->has_room_news) {
        self->has_room_news = false;
        self->wants_room = false;
        if (!self->is_closing && self->failure == STATUS_OK && self->options.on_room != NULL) {
            self->options.on_room(self->options.context);
        }
    }
    if (self->segment_lane != NULL) {
        removal_tick(&self->removal, self->segment_lane);
    }
    if (self->is_closing && !self->is_mailed && close_step(self) && !self->is_mailed) {
        close_finish(self);
    }
}

static void timer_on_fire(struct timer *timer)
{
    struct log_store *self = container_of(timer, struct log_store, timer);
    check(self->magic == LOG_STORE_MAGIC);
    timer_start_after(&self->timer, TICK_NS);
    /* Others of the process need memory, too: keep less when it gets short. */
    const struct budget *budget = self->options.budget;
    if (budget_taken_bytes(budget) > budget->limit_bytes / 4 * 3) {
        tail_cache_shrink(&self->cache, self->cache.byte_count / 2);
        block_pool_trim(&self->pool, 0);
        self->must_hurry = true;
    }
    tail_cache_shrink(&self->cache, self->cache.byte_count_max);
    block_pool_trim(&self->pool, FREE_BLOCKS_BYTES_MAX);
    write_behind_resume(self);
    if (!self->is_closing) {
        retention_tick(self);
    }
    log_store_note_room(self);
    log_store_wake(self);
}

void log_store_close(struct log_store *self, void (*on_closed)(void *context), void *context)
{
    check(self->magic == LOG_STORE_MAGIC);
    check(!self->is_closing);
    self->is_closing = true;
    self->on_closed = on_closed;
    self->on_closed_context = context;
    log_store_wake(self);
}
