#include "raft/quorum_log.h"

#include "proto/sys/check.h"
#include "raft/quorum_bytes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define HEAD_BYTES (QUORUM_RECORD_HEADER_BYTES + QUORUM_BYTES_ID)

/* Records that are queued as one: of an append, a truncation or a mark. */
struct operation {
    struct list link;
    struct quorum_log_append *append; /* NULL: nobody waits. */
    uint64_t index_after;             /* Where the log ends behind it. */
    uint64_t term_after;
    bool is_mark;
    size_t byte_count;
    _Alignas(8) uint8_t bytes[];
};

static void path_of(const struct quorum_log_options *options, uint64_t sequence,
                    char out_path[DISK_PATH_BYTES_MAX])
{
    int length =
        snprintf(out_path, DISK_PATH_BYTES_MAX, "%s/log-%020" PRIu64, options->directory, sequence);
    check(length > 0 && (size_t)length < DISK_PATH_BYTES_MAX);
}

static void fail(struct quorum_log *self, enum status why)
{
    if (self->has_failed) {
        return;
    }
    self->has_failed = true;
    timer_stop(&self->quiet);
    trace_line(self->options.loop->trace, TRACE_ERROR, "quorum", "log-failed",
               "why=\"%s\" sequence=%" PRIu64, status_text(why), self->chain.sequence);
    self->options.on_failed(self->options.context, why);
}

/* --- Files ------------------------------------------------------------------------------------ */

static enum status write_head(const struct quorum_log_options *options, struct disk_file *file,
                              uint64_t index, uint64_t term, struct quorum_chain *chain)
{
    uint8_t head[HEAD_BYTES];
    quorum_record_write(head, &(struct quorum_record){.kind = QUORUM_RECORD_SEGMENT,
                                                      .index = index,
                                                      .term = term,
                                                      .payload = options->directory_id,
                                                      .payload_bytes = QUORUM_BYTES_ID});
    size_t byte_count = quorum_record_seal(head, chain, chain->sequence);
    check(byte_count == HEAD_BYTES);
    struct disk *disk = options->loop->disk;
    TRY(disk_file_write(disk, file, 0, head, byte_count));
    TRY(disk_file_sync(disk, file));
    return disk_sync_directory(disk, options->directory);
}

/* Makes the file that starts behind (index, term) and moves the chain over its first record. */
static enum status make_file(const struct quorum_log_options *options, uint64_t index,
                             uint64_t term, struct quorum_chain *chain, struct disk_file **out_file)
{
    struct disk *disk = options->loop->disk;
    char path[DISK_PATH_BYTES_MAX];
    path_of(options, chain->sequence + 1, path);
    struct disk_file *file = NULL;
    /* The log may never fail for want of room: its voter would be gone. */
    TRY(disk_open(disk, path,
                  DISK_OPEN_WRITE | DISK_OPEN_CREATE | DISK_OPEN_EXCLUSIVE | DISK_OPEN_VITAL,
                  &file));
    enum status status = disk_file_allocate(disk, file, 0, options->segment_bytes);
    if (status == STATUS_OK) {
        status = write_head(options, file, index, term, chain);
    }
    if (status != STATUS_OK) {
        disk_file_close(disk, file);
        return status;
    }
    *out_file = file;
    return STATUS_OK;
}

static void take_file(struct quorum_log *self, struct disk_file *file,
                      const struct quorum_chain *chain, uint64_t base_index)
{
    check(self->file_count < QUORUM_REPLAY_FILES_MAX);
    disk_file_close(self->options.loop->disk, self->file);
    self->file = file;
    self->chain = *chain;
    self->files[self->file_count] =
        (struct quorum_replay_file){.sequence = chain->sequence, .base_index = base_index};
    self->file_count += 1;
    self->position = HEAD_BYTES;
    self->flushed_sequence = chain->sequence;
    self->is_marked = true; /* The first record says what was flushed, too. */
}

/* Oldest first and flushed one by one: what is left after a crash has no holes. */
static enum status remove_first_files(struct quorum_log *self, uint32_t count)
{
    struct disk *disk = self->options.loop->disk;
    check(count < self->file_count);
    for (uint32_t i = 0; i < count; i++) {
        char path[DISK_PATH_BYTES_MAX];
        path_of(&self->options, self->files[0].sequence, path);
        TRY(disk_remove(disk, path));
        TRY(disk_sync_directory(disk, self->options.directory));
        self->file_count -= 1;
        memmove(self->files, self->files + 1, self->file_count * sizeof *self->files);
    }
    return STATUS_OK;
}

/* --- Birth, start and end --------------------------------------------------------------------- */

static void create_on_entry(void *context, const char *name, bool is_directory)
{
    bool *has_old = context;
    if (!is_directory && strncmp(name, "log-", 4) == 0) {
        *has_old = true;
    }
}

static enum status create_write(const struct quorum_log_options *options, struct disk_file *file,
                                struct quorum_chain *chain, const struct quorum_log_entry *first)
{
    size_t byte_count = quorum_record_bytes(first->byte_count);
    uint8_t *bytes = malloc(byte_count);
    if (bytes == NULL) {
        return STATUS_NO_MEMORY;
    }
    quorum_record_write(bytes, &(struct quorum_record){.kind = first->kind,
                                                       .index = 1,
                                                       .term = first->term,
                                                       .payload = first->bytes,
                                                       .payload_bytes = first->byte_count});
    (void)quorum_record_seal(bytes, chain, chain->sequence);
    struct disk *disk = options->loop->disk;
    enum status status = disk_file_write(disk, file, HEAD_BYTES, bytes, byte_count);
    if (status == STATUS_OK) {
        status = disk_file_sync(disk, file);
    }
    free(bytes);
    return status;
}

enum status quorum_log_create(const struct quorum_log_options *options,
                              const struct quorum_log_entry *first)
{
    struct quorum_log_options own = *options;
    if (own.segment_bytes == 0) {
        own.segment_bytes = QUORUM_LOG_SEGMENT_BYTES_DEFAULT;
    }
    struct disk *disk = own.loop->disk;
    bool has_old = false;
    TRY(disk_list(disk, own.directory, create_on_entry, &has_old));
    struct quorum_chain chain = {.generation = 1};
    if (has_old) {
        /* An unfinished birth got this far; it made exactly this file. */
        char path[DISK_PATH_BYTES_MAX];
        path_of(&own, chain.sequence + 1, path);
        TRY(disk_remove(disk, path));
    }
    struct disk_file *file = NULL;
    TRY(make_file(&own, 0, 0, &chain, &file));
    enum status status = create_write(&own, file, &chain, first);
    disk_file_close(disk, file);
    return status;
}

static void open_on_quiet(struct timer *timer);

/* The last file is written anew, up to where it counts. What lies behind is gone, so that no record
 * of a torn batch is ever taken for the successor of one written since. And what was read is known
 * to be on disk: a process whose flush failed leaves pages behind that show the next one, on the
 * same host, bytes that no later flush covers. */
static enum status open_rewrite(struct quorum_log *self, const struct quorum_replay *replay)
{
    struct disk *disk = self->options.loop->disk;
    uint32_t last = self->file_count - 1;
    char path_new[DISK_PATH_BYTES_MAX];
    char path[DISK_PATH_BYTES_MAX];
    int length = snprintf(path_new, sizeof path_new, "%s/log.new", self->options.directory);
    check(length > 0 && (size_t)length < sizeof path_new);
    path_of(&self->options, self->files[last].sequence, path);
    TRY(disk_open(disk, path_new, DISK_OPEN_WRITE | DISK_OPEN_CREATE | DISK_OPEN_VITAL,
                  &self->file));
    TRY(disk_file_truncate(disk, self->file, 0));
    TRY(disk_file_allocate(disk, self->file, 0, self->options.segment_bytes));
    TRY(disk_file_write(disk, self->file, 0, replay->bytes[last], replay->tail_position));
    TRY(disk_file_sync(disk, self->file));
    TRY(disk_rename(disk, path_new, path));
    self->position = replay->tail_position;
    return disk_sync_directory(disk, self->options.directory);
}

/* Files that do not count any more. A process that reads them may be the first to know that: until
 * their successor was flushed, they are all there is. */
static enum status open_remove_leftovers(struct quorum_log *self,
                                         const struct quorum_replay *replay)
{
    struct disk *disk = self->options.loop->disk;
    for (uint32_t i = 0; i < replay->leftover_count; i++) {
        char path[DISK_PATH_BYTES_MAX];
        path_of(&self->options, replay->leftovers[i], path);
        TRY(disk_remove(disk, path));
    }
    return replay->leftover_count == 0 ? STATUS_OK
                                       : disk_sync_directory(disk, self->options.directory);
}

enum status quorum_log_open(struct quorum_log *self, const struct quorum_log_options *options,
                            const struct quorum_replay *replay)
{
    check(replay->file_count > 0);
    *self = (struct quorum_log){.options = *options, .chain = replay->chain};
    if (self->options.segment_bytes == 0) {
        self->options.segment_bytes = QUORUM_LOG_SEGMENT_BYTES_DEFAULT;
    }
    list_init(&self->queue);
    list_init(&self->flight);
    timer_init(&self->quiet, &options->loop->timers, open_on_quiet);
    self->flushed_sequence = replay->chain.sequence;
    self->last_index = replay->start_index + replay->entry_count - 1;
    self->last_term = replay->entry_count > 0 ? replay->entries[replay->entry_count - 1].term
                                              : replay->options.snapshot_term;
    self->written_index = self->last_index;
    self->written_term = self->last_term;
    self->is_marked = replay->last_kind == QUORUM_RECORD_MARK;
    self->files = calloc(QUORUM_REPLAY_FILES_MAX, sizeof *self->files);
    if (self->files == NULL) {
        return STATUS_NO_MEMORY;
    }
    memcpy(self->files, replay->files, replay->file_count * sizeof *self->files);
    self->file_count = replay->file_count;
    TRY(open_rewrite(self, replay));
    TRY(open_remove_leftovers(self, replay));
    if (replay->is_dropped) {
        TRY(quorum_log_reset(self, replay->options.snapshot_index, replay->options.snapshot_term));
    }
    return disk_lane_open(options->loop->disk, options->loop, "quorum-log", &self->lane);
}

static void drop_operations(struct list *operations)
{
    struct list *link;
    while ((link = list_take_first(operations)) != NULL) {
        free(container_of(link, struct operation, link));
    }
}

void quorum_log_close(struct quorum_log *self)
{
    if (self->options.loop != NULL) {
        struct disk *disk = self->options.loop->disk;
        timer_done(&self->quiet);
        struct disk_lane *lane = self->lane;
        self->lane = NULL; /* Behind the batch under way nothing is started any more. */
        disk_lane_close(disk, lane);
        drop_operations(&self->queue);
        drop_operations(&self->flight);
        disk_file_close(disk, self->file);
    }
    free(self->files);
    *self = (struct quorum_log){0};
}

/* --- Queue and batches ------------------------------------------------------------------------ */

bool quorum_log_is_idle(const struct quorum_log *self)
{
    return list_is_empty(&self->queue) && list_is_empty(&self->flight) && !self->is_rolling;
}

static size_t next_batch_bytes(const struct quorum_log *self, uint32_t *out_count)
{
    size_t byte_count = 0;
    uint32_t count = 0;
    list_for_each(link, &self->queue)
    {
        if (count == QUORUM_LOG_BATCH_OPERATIONS_MAX) {
            break;
        }
        byte_count += container_of(link, struct operation, link)->byte_count;
        count += 1;
    }
    *out_count = count;
    return byte_count;
}

static bool must_roll(const struct quorum_log *self, size_t byte_count)
{
    /* At the limit of files the last one grows; trimming makes room again. */
    return self->file_count + 2 < QUORUM_REPLAY_FILES_MAX && self->position > HEAD_BYTES &&
           self->position + byte_count > self->options.segment_bytes;
}

/* Takes `count` queued operations into the batch: seals them and lays out the buffers. */
static void seal_batch(struct quorum_log *self, uint32_t count)
{
    check(list_is_empty(&self->flight));
    uint64_t flushed = self->chain.sequence; /* One batch at a time: all before it is on disk. */
    for (uint32_t i = 0; i < count; i++) {
        struct operation *operation =
            container_of(list_take_first(&self->queue), struct operation, link);
        list_append(&self->flight, &operation->link);
        for (size_t at = 0; at < operation->byte_count;) {
            at += quorum_record_seal(operation->bytes + at, &self->chain, flushed);
        }
        self->buffers[i] = (struct disk_buffer){operation->bytes, operation->byte_count};
        self->written_index = operation->index_after;
        self->written_term = operation->term_after;
        self->is_marked = operation->is_mark;
    }
}

static void end_batch(struct quorum_log *self, size_t byte_count)
{
    self->position += byte_count;
    self->flushed_sequence = self->chain.sequence;
    /* Callbacks may append; what they append is not of this batch. */
    struct list done;
    list_init(&done);
    struct list *link;
    while ((link = list_take_first(&self->flight)) != NULL) {
        list_append(&done, link);
    }
    while ((link = list_take_first(&done)) != NULL) {
        struct operation *operation = container_of(link, struct operation, link);
        struct quorum_log_append *append = operation->append;
        free(operation);
        if (append != NULL) {
            append->on_done(append);
        }
    }
}

static void flush_when_queued(struct quorum_log *self);

static void flush_on_written(struct disk_request *request)
{
    struct quorum_log *self = container_of(request, struct quorum_log, request);
    if (request->status != STATUS_OK) {
        fail(self, request->status);
        return;
    }
    end_batch(self, self->batch_bytes);
    flush_when_queued(self);
    if (self->lane != NULL && quorum_log_is_idle(self)) {
        self->options.on_idle(self->options.context);
    }
}

/* Off the loop: making a file flushes it and its directory. */
static enum status roll_call(struct disk_request *request)
{
    struct quorum_log *self = container_of(request, struct quorum_log, request);
    return make_file(&self->options, self->written_index, self->written_term, &self->roll_chain,
                     &self->roll_file);
}

static void roll_on_made(struct disk_request *request)
{
    struct quorum_log *self = container_of(request, struct quorum_log, request);
    self->is_rolling = false;
    if (request->status != STATUS_OK) {
        fail(self, request->status);
        return;
    }
    take_file(self, self->roll_file, &self->roll_chain, self->written_index);
    flush_when_queued(self);
}

static void flush_when_queued(struct quorum_log *self)
{
    if (self->has_failed || self->lane == NULL || self->is_rolling ||
        !list_is_empty(&self->flight)) {
        return;
    }
    if (list_is_empty(&self->queue)) {
        if (!self->is_marked) {
            timer_start_after(&self->quiet, QUORUM_LOG_QUIET_MS * CLOCK_NS_PER_MS);
        }
        return;
    }
    timer_stop(&self->quiet);
    uint32_t count = 0;
    self->batch_bytes = next_batch_bytes(self, &count);
    if (must_roll(self, self->batch_bytes)) {
        self->is_rolling = true;
        self->roll_chain = self->chain;
        self->request =
            (struct disk_request){.kind = DISK_CALL, .call = roll_call, .on_done = roll_on_made};
    } else {
        seal_batch(self, count);
        self->request = (struct disk_request){.kind = DISK_WRITE_DURABLE,
                                              .file = self->file,
                                              .position = self->position,
                                              .buffers = self->buffers,
                                              .buffer_count = count,
                                              .on_done = flush_on_written};
    }
    disk_submit(self->options.loop->disk, self->lane, &self->request);
}

static enum status flush_now(struct quorum_log *self)
{
    uint32_t count = 0;
    size_t byte_count = next_batch_bytes(self, &count);
    check(count == 1);
    seal_batch(self, count);
    TRY(disk_file_write(self->options.loop->disk, self->file, self->position, self->buffers[0].base,
                        self->buffers[0].byte_count));
    TRY(disk_file_sync(self->options.loop->disk, self->file));
    end_batch(self, byte_count);
    return STATUS_OK;
}

/* --- What goes in ----------------------------------------------------------------------------- */

static void enqueue(struct quorum_log *self, struct operation *operation)
{
    operation->index_after = self->last_index;
    operation->term_after = self->last_term;
    list_append(&self->queue, &operation->link);
}

static struct operation *operation_new(size_t byte_count)
{
    struct operation *operation = malloc(sizeof *operation + byte_count);
    check(operation != NULL); /* The core takes an entry it handed over for written or failed. */
    *operation = (struct operation){.byte_count = byte_count};
    list_init(&operation->link);
    return operation;
}

void quorum_log_append(struct quorum_log *self, struct quorum_log_append *append,
                       const struct quorum_log_entry *entries, uint32_t entry_count)
{
    check(entry_count > 0);
    size_t byte_count = 0;
    for (uint32_t i = 0; i < entry_count; i++) {
        byte_count += quorum_record_bytes(entries[i].byte_count);
    }
    struct operation *operation = operation_new(byte_count);
    operation->append = append;
    size_t at = 0;
    for (uint32_t i = 0; i < entry_count; i++) {
        const struct quorum_log_entry *entry = &entries[i];
        self->last_index += 1;
        self->last_term = entry->term;
        quorum_record_write(operation->bytes + at,
                            &(struct quorum_record){.kind = entry->kind,
                                                    .index = self->last_index,
                                                    .term = entry->term,
                                                    .payload = entry->bytes,
                                                    .payload_bytes = entry->byte_count});
        at += quorum_record_bytes(entry->byte_count);
    }
    enqueue(self, operation);
    flush_when_queued(self);
}

static void append_bare(struct quorum_log *self, enum quorum_record_kind kind, uint64_t index)
{
    struct operation *operation = operation_new(quorum_record_bytes(0));
    operation->is_mark = kind == QUORUM_RECORD_MARK;
    quorum_record_write(operation->bytes, &(struct quorum_record){.kind = kind, .index = index});
    enqueue(self, operation);
}

static void queue_truncation(struct quorum_log *self, uint64_t index, uint64_t term_before)
{
    check(index > 0);
    check(index <= self->last_index);
    self->last_index = index - 1;
    self->last_term = term_before;
    append_bare(self, QUORUM_RECORD_TRUNCATE, index);
}

void quorum_log_truncate(struct quorum_log *self, uint64_t index, uint64_t term_before)
{
    queue_truncation(self, index, term_before);
    flush_when_queued(self);
}

enum status quorum_log_truncate_now(struct quorum_log *self, uint64_t index, uint64_t term_before)
{
    check(quorum_log_is_idle(self));
    queue_truncation(self, index, term_before);
    return flush_now(self);
}

static void open_on_quiet(struct timer *timer)
{
    struct quorum_log *self = container_of(timer, struct quorum_log, quiet);
    append_bare(self, QUORUM_RECORD_MARK, self->last_index);
    flush_when_queued(self);
}

/* --- What goes out ---------------------------------------------------------------------------- */

enum status quorum_log_reset(struct quorum_log *self, uint64_t index, uint64_t term)
{
    check(quorum_log_is_idle(self));
    uint32_t file_count = self->file_count;
    self->last_index = index;
    self->last_term = term;
    self->written_index = index;
    self->written_term = term;
    struct quorum_chain chain = self->chain;
    chain.generation += 1;
    struct disk_file *file = NULL;
    TRY(make_file(&self->options, index, term, &chain, &file));
    take_file(self, file, &chain, index);
    return remove_first_files(self, file_count);
}

enum status quorum_log_trim(struct quorum_log *self, uint64_t index)
{
    uint32_t count = 0;
    while (count + 1 < self->file_count && self->files[count + 1].base_index <= index) {
        count += 1;
    }
    return count == 0 ? STATUS_OK : remove_first_files(self, count);
}
