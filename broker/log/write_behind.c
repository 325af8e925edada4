#include "broker/log/write_behind.h"

#include "broker/log/checkpoint.h"
#include "broker/log/log_life.h"
#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

#define WRITE_JOB_MAGIC 0x3417e10bU
#define BUFFERS_MAX 16U
#define JOB_BYTES_MAX (4U << 20)

struct write_job {
    uint32_t magic;
    struct write_behind *owner;
    struct list link; /* Free ones. */
    struct log *log;
    struct segment *segment; /* Valid while `version` is the log's. */
    int64_t segment_base;
    uint32_t version;
    uint32_t end; /* In the segment. */
    struct file_handle *handle;
    struct disk_request request;
    struct disk_buffer buffers[BUFFERS_MAX];
    struct tail_chunk *chunks[BUFFERS_MAX]; /* Pinned. */
    uint32_t buffer_count;
    uint32_t chunk_count;
    uint8_t *last_block; /* From the pool; NULL: not needed. */
};

struct write_behind {
    struct log_store *store;
    struct list queue; /* Logs. */
    struct list free_jobs;
    struct write_job jobs[WRITE_BEHIND_JOBS_MAX];
    uint32_t under_way_count;
    bool is_stopped; /* Until the next resume. */
};

static void pump(struct write_behind *self);

enum status write_behind_new(struct log_store *store, struct write_behind **out_self)
{
    struct write_behind *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return STATUS_NO_MEMORY;
    }
    self->store = store;
    list_init(&self->queue);
    list_init(&self->free_jobs);
    for (uint32_t i = 0; i < WRITE_BEHIND_JOBS_MAX; i++) {
        self->jobs[i].magic = WRITE_JOB_MAGIC;
        self->jobs[i].owner = self;
        list_append(&self->free_jobs, &self->jobs[i].link);
    }
    *out_self = self;
    return STATUS_OK;
}

void write_behind_free(struct write_behind *self)
{
    if (self == NULL) {
        return;
    }
    check(self->under_way_count == 0);
    free(self);
}

static uint32_t floor_block(uint32_t position)
{
    return position / DISK_BLOCK_BYTES * DISK_BLOCK_BYTES;
}

/* How far this segment may be written. */
static uint32_t durable_bytes(const struct log *log, const struct segment *segment)
{
    if (segment->base_offset > log->durable.segment_base) {
        return 0;
    }
    return segment->base_offset == log->durable.segment_base ? log->durable.position
                                                             : segment->byte_count;
}

/* The oldest segment with bytes to write: the tail holds them all. NULL: none. */
static struct segment *next_segment(const struct log *log, uint64_t *out_bytes)
{
    struct segment *first = NULL;
    uint64_t byte_count = 0;
    for (uint32_t i = log->state.segment_count; i-- > 0;) {
        struct segment *segment = log->state.segments[i];
        uint32_t durable = durable_bytes(log, segment);
        if (segment->written_bytes < durable) {
            first = segment;
            byte_count += durable - segment->written_bytes;
        } else if (durable > 0) {
            break; /* Older ones are written, too. */
        }
    }
    *out_bytes = byte_count;
    return first;
}

bool write_behind_is_done(const struct log *log)
{
    uint64_t byte_count = 0;
    return !log->is_writing && next_segment(log, &byte_count) == NULL;
}

static void enqueue(struct log *log)
{
    if (list_is_empty(&log->write_link)) {
        list_append(&log->store->write_behind->queue, &log->write_link);
    }
}

void write_behind_note(struct log *log)
{
    uint64_t byte_count = 0;
    struct tail_cache *cache = &log->store->cache;
    if (log->is_writing || next_segment(log, &byte_count) == NULL) {
        return;
    }
    /* A segment that was left behind is finished soon: its memory can go. */
    bool is_due =
        byte_count >= WRITE_BEHIND_BYTES_MIN || log->must_write_all ||
        log->durable.segment_base != log->state.segments[log->state.segment_count - 1]->base_offset;
    if (is_due || cache->byte_count > cache->byte_count_max / 2) {
        enqueue(log);
        pump(log->store->write_behind);
    }
}

void write_behind_all(struct log *log)
{
    log->must_write_all = true;
    enqueue(log);
    pump(log->store->write_behind);
}

void write_behind_hurry(struct log_store *store)
{
    list_for_each(link, &store->logs)
    {
        struct log *log = container_of(link, struct log, link);
        uint64_t byte_count = 0;
        if (!log->is_writing && next_segment(log, &byte_count) != NULL) {
            log->must_write_all = true;
            enqueue(log);
        }
    }
    pump(store->write_behind);
}

void write_behind_resume(struct log_store *store)
{
    store->write_behind->is_stopped = false;
    pump(store->write_behind);
}

void write_behind_forget(struct log *log)
{
    list_remove(&log->write_link);
}

bool write_behind_is_idle(const struct write_behind *self)
{
    return self->under_way_count == 0;
}

static void job_release(struct write_job *job)
{
    struct write_behind *self = job->owner;
    for (uint32_t i = 0; i < job->chunk_count; i++) {
        tail_chunk_unref(job->chunks[i]);
    }
    block_pool_give(&self->store->pool, job->last_block, DISK_BLOCK_BYTES);
    if (job->handle != NULL) {
        file_cache_unref(job->handle);
    }
    job->chunk_count = 0;
    job->buffer_count = 0;
    job->last_block = NULL;
    job->handle = NULL;
    job->log = NULL;
    list_append(&self->free_jobs, &job->link);
}

static void add_buffer(struct write_job *job, uint8_t *base, uint32_t byte_count)
{
    check(job->buffer_count < BUFFERS_MAX);
    check(byte_count % DISK_BLOCK_BYTES == 0);
    job->buffers[job->buffer_count].base = base;
    job->buffers[job->buffer_count].byte_count = byte_count;
    job->buffer_count += 1;
}

/* Where the file's bytes of this chunk end: the next one begins with a copy of its last block. */
static uint32_t chunk_limit(const struct log *log, const struct tail_chunk *chunk)
{
    if (chunk->link.next != &log->tail.chunks) {
        const struct tail_chunk *next = container_of(chunk->link.next, struct tail_chunk, link);
        if (next->segment == chunk->segment) {
            return next->position;
        }
    }
    return chunk->position + chunk->used;
}

/* The chunk with the segment's byte `from`, which is not written yet. Backwards: what is written
 * may be many chunks, what is not is few. */
static struct list *chunk_from(const struct log *log, const struct segment *segment, uint32_t from)
{
    struct list *link = log->tail.chunks.previous;
    for (; link != &log->tail.chunks; link = link->previous) {
        const struct tail_chunk *chunk = container_of(link, struct tail_chunk, link);
        if (chunk->segment == segment && chunk->position <= from) {
            break;
        }
    }
    check(link != &log->tail.chunks);
    return link;
}

/* Takes [from, to) of the segment out of the tail. Returns how far it came. */
static uint32_t gather(struct write_job *job, struct log *log, uint32_t from, uint32_t to)
{
    uint32_t at = from;
    for (struct list *link = chunk_from(log, job->segment, from); link != &log->tail.chunks;
         link = link->next) {
        struct tail_chunk *chunk = container_of(link, struct tail_chunk, link);
        uint32_t limit = chunk_limit(log, chunk);
        if (chunk->segment != job->segment || at >= to) {
            break;
        }
        if (limit <= at) {
            continue;
        }
        if (job->buffer_count + 2 > BUFFERS_MAX || at - from >= JOB_BYTES_MAX) {
            break;
        }
        check(chunk->position <= at);
        if (limit > to) {
            limit = to;
        }
        uint32_t whole = floor_block(limit);
        job->chunks[job->chunk_count] = tail_chunk_ref(chunk);
        job->chunk_count += 1;
        if (whole > at) {
            add_buffer(job, chunk->bytes + (at - chunk->position), whole - at);
            at = whole;
        }
        if (limit > whole) {
            /* The block will be written again as it fills, so the memory must not be shared. */
            memcpy(job->last_block, chunk->bytes + (whole - chunk->position), limit - whole);
            memset(job->last_block + (limit - whole), 0, DISK_BLOCK_BYTES - (limit - whole));
            add_buffer(job, job->last_block, DISK_BLOCK_BYTES);
            at = limit;
            break;
        }
    }
    return at;
}

static void write_on_done(struct disk_request *request);

/* False: nothing to do for this log now. */
static bool job_start(struct write_job *job, struct log *log)
{
    uint64_t byte_count = 0;
    struct segment *segment = next_segment(log, &byte_count);
    if (segment == NULL) {
        return false;
    }
    uint32_t to = durable_bytes(log, segment);
    bool is_active = segment == log_state_active(&log->state);
    if (is_active && !log->must_write_all) {
        to = floor_block(to);
    }
    uint32_t from = floor_block(segment->written_bytes);
    if (to <= segment->written_bytes) {
        return false;
    }
    struct log_store *store = log->store;
    list_remove(&job->link);
    job->log = log;
    job->segment = segment;
    job->segment_base = segment->base_offset;
    job->version = log->version;
    job->last_block = block_pool_take_anyway(&store->pool, DISK_BLOCK_BYTES);
    enum status status =
        job->last_block == NULL ? STATUS_NO_MEMORY : log_open_segment(log, segment);
    if (status != STATUS_OK) {
        job_release(job);
        if (status == STATUS_NO_SPACE || status == STATUS_NO_MEMORY) {
            job->owner->is_stopped = true;
        } else {
            log_store_fail(store, status);
        }
        return false;
    }
    job->handle = file_cache_ref(segment->handle);
    job->end = gather(job, log, from, to);
    check(job->end > segment->written_bytes);
    log->is_writing = true;
    log->job_count += 1;
    job->owner->under_way_count += 1;
    job->request = (struct disk_request){.kind = DISK_WRITE,
                                         .file = job->handle->file,
                                         .position = from,
                                         .buffers = job->buffers,
                                         .buffer_count = job->buffer_count,
                                         .on_done = write_on_done};
    disk_submit(store->disk, store->segment_lane, &job->request);
    return true;
}

static void pump(struct write_behind *self)
{
    while (!self->is_stopped && self->store->segment_lane != NULL &&
           self->store->failure == STATUS_OK && !list_is_empty(&self->free_jobs) &&
           !list_is_empty(&self->queue)) {
        struct log *log = container_of(list_take_first(&self->queue), struct log, write_link);
        if (log->is_writing || log->is_deleted) {
            continue; /* Asks again when its write is done. */
        }
        struct write_job *job = container_of(self->free_jobs.next, struct write_job, link);
        if (!job_start(job, log)) {
            if (self->is_stopped) {
                enqueue(log);
                return;
            }
            log->must_write_all = false;
            checkpoint_on_written(log);
        }
    }
}

static void write_on_done(struct disk_request *request)
{
    struct write_job *job = container_of(request, struct write_job, request);
    check(job->magic == WRITE_JOB_MAGIC);
    struct write_behind *self = job->owner;
    struct log_store *store = self->store;
    struct log *log = job->log;
    enum status status = request->status;
    self->under_way_count -= 1;
    log->is_writing = false;
    log->job_count -= 1;
    if (status == STATUS_OK && job->version == log->version && !log->is_deleted) {
        /* The segment may have gone by retention, and another one may lie where it was in memory:
         * only the offset tells them apart. */
        for (uint32_t i = 0; i < log->state.segment_count; i++) {
            struct segment *segment = log->state.segments[i];
            if (segment->base_offset == job->segment_base && segment->written_bytes < job->end) {
                segment->written_bytes = job->end;
            }
        }
    }
    job_release(job);
    if (status == STATUS_NO_SPACE) {
        self->is_stopped = true;
    } else if (status != STATUS_OK) {
        log_store_fail(store, status);
    }
    if (log->is_deleted) {
        log_life_reap(log);
    } else if (log->must_write_all || status != STATUS_OK) {
        enqueue(log);
    } else {
        write_behind_note(log);
    }
    log_store_note_room(store);
    pump(self);
}
