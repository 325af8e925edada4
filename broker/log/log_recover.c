/* Recovery, once per process start: the former run's checkpoints and journals become one new
 * `checkpoint-base`, whose replacement is the moment from which they do not count any more. */
#include "broker/log/log.h"

#include "proto/wire/big_endian.h"
#include "broker/log/checkpoint_base.h"
#include "broker/log/journal_reader.h"
#include "broker/log/log_directory.h"
#include "broker/log/recovered.h"
#include "proto/sys/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPEN_FILES_MAX 256U
#define SHARDS_MAX 1024U
#define NAME_JOURNAL "journal-"

/* What belongs to one shard of the former run. */
struct shard {
    uint32_t index;
    bool has_journal;
    bool has_checkpoint; /* Of the former run; older ones do not count. */
    struct checkpoint_base checkpoint;
};

struct recovery {
    struct loop *loop;
    const char *root;
    struct file_cache files;
    struct recovered_world world;
    struct checkpoint_base base;
    struct shard *shards; /* Owned; ascending. */
    uint32_t shard_count;
    struct list logs; /* struct recovered, in order of appearance. */
    struct log_table table;
    uint64_t record_count;
    int64_t wall_ms;
    bool is_clean;
    bool has_run; /* A shard was open in the former run. */
    bool has_base;
    bool has_foreign;            /* Something of ours lies there beside the base. */
    struct disk_file *base_file; /* Open before the first write; see disk_file_sync_all(). */
    bool is_touched;             /* Something of the logs was written. */
    enum status listing;
};

static void path_of(const struct recovery *self, const char *name, char path[DISK_PATH_BYTES_MAX])
{
    int length = snprintf(path, DISK_PATH_BYTES_MAX, "%s/%s", self->root, name);
    check(length > 0 && (size_t)length < DISK_PATH_BYTES_MAX);
}

static void path_of_shard(const struct recovery *self, const char *prefix, uint32_t shard,
                          char path[DISK_PATH_BYTES_MAX])
{
    char name[32];
    snprintf(name, sizeof name, "%s%u", prefix, shard);
    path_of(self, name, path);
}

static struct shard *shard_of(struct recovery *self, uint32_t index)
{
    for (uint32_t i = 0; i < self->shard_count; i++) {
        if (self->shards[i].index == index) {
            return &self->shards[i];
        }
    }
    struct shard *shards = realloc(self->shards, (self->shard_count + 1) * sizeof *shards);
    if (shards == NULL) {
        return NULL;
    }
    self->shards = shards;
    struct shard *shard = &shards[self->shard_count];
    *shard = (struct shard){.index = index};
    self->shard_count += 1;
    return shard;
}

/* False: not `prefix` and a plain number. */
static bool parse_shard(const char *name, const char *prefix, uint32_t *out_shard)
{
    size_t prefix_bytes = strlen(prefix);
    if (strncmp(name, prefix, prefix_bytes) != 0 || name[prefix_bytes] == '\0') {
        return false;
    }
    uint32_t shard = 0;
    for (const char *digit = name + prefix_bytes; *digit != '\0'; digit++) {
        if (*digit < '0' || *digit > '9' || shard >= SHARDS_MAX) {
            return false;
        }
        shard = shard * 10 + (uint32_t)(*digit - '0');
    }
    *out_shard = shard;
    return shard < SHARDS_MAX;
}

static void list_on_entry(void *context, const char *name, bool is_directory)
{
    struct recovery *self = context;
    uint32_t index = 0;
    struct log_name_directory parts;
    if (is_directory) {
        char path[DISK_PATH_BYTES_MAX];
        struct wire_uuid owner;
        bool exists = false;
        if (!self->has_base && log_name_parse_directory(name, &parts)) {
            path_of(self, name, path);
            self->has_foreign =
                self->has_foreign ||
                log_directory_owner(self->loop->disk, path, &owner, &exists) == STATUS_OK;
        }
        return;
    }
    bool is_journal = parse_shard(name, NAME_JOURNAL, &index);
    if (!is_journal && !parse_shard(name, CHECKPOINT_FORMAT_SHARD_NAME, &index)) {
        return;
    }
    self->has_foreign = true;
    struct shard *shard = shard_of(self, index);
    if (shard == NULL) {
        self->listing = STATUS_NO_MEMORY;
        return;
    }
    if (is_journal) {
        shard->has_journal = true;
    } else {
        shard->has_checkpoint = true;
    }
}

static struct recovered *log_of(struct recovery *self, const struct wire_uuid *topic_id,
                                int32_t partition)
{
    struct recovered *log = log_table_find(&self->table, topic_id, partition);
    if (log != NULL) {
        return log;
    }
    log = recovered_new(topic_id, partition);
    if (log != NULL && log_table_add(&self->table, topic_id, partition, log) != STATUS_OK) {
        recovered_free(log, &self->world);
        log = NULL;
    }
    if (log != NULL) {
        list_append(&self->logs, &log->link);
    }
    return log;
}

/* Entries of `from` replace what is known; those of the base have their sequence from a former
 * run's journal, which says nothing. */
static enum status take_entries(struct recovery *self, const struct checkpoint_base *from)
{
    for (uint32_t i = 0; i < from->blob_count; i++) {
        const struct checkpoint_blob *blob = &from->blobs[i];
        struct recovered *log = log_of(self, &blob->topic_id, blob->partition);
        if (log == NULL) {
            return STATUS_NO_MEMORY;
        }
        log->blob = *blob;
        log->is_removed = blob->is_removed;
        log->sequence = from->header.is_shard ? blob->sequence : 0;
    }
    if (from->header.wall_ms > self->wall_ms) {
        self->wall_ms = from->header.wall_ms;
    }
    return STATUS_OK;
}

static enum status load_checkpoints(struct recovery *self)
{
    char path[DISK_PATH_BYTES_MAX];
    TRY(take_entries(self, &self->base));
    for (uint32_t i = 0; i < self->shard_count; i++) {
        struct shard *shard = &self->shards[i];
        if (!shard->has_checkpoint) {
            continue;
        }
        path_of_shard(self, CHECKPOINT_FORMAT_SHARD_NAME, shard->index, path);
        TRY(checkpoint_base_load(&shard->checkpoint, self->loop->disk, path));
        const struct checkpoint_header *header = &shard->checkpoint.header;
        if (!header->is_shard || header->shard != shard->index ||
            header->run > self->base.header.run) {
            return STATUS_CORRUPT;
        }
        shard->has_checkpoint = header->run == self->base.header.run;
        if (shard->has_checkpoint) {
            TRY(take_entries(self, &shard->checkpoint));
        }
    }
    return STATUS_OK;
}

static enum status replay_records(struct recovery *self, struct journal_reader *reader)
{
    for (;;) {
        struct journal_record record;
        enum status status = journal_reader_next(reader, &record);
        if (status == STATUS_NOT_FOUND) {
            return STATUS_OK;
        }
        TRY(status);
        struct recovered *log = log_of(self, &record.topic_id, record.partition);
        if (log == NULL) {
            return STATUS_NO_MEMORY;
        }
        status = recovered_apply(log, &self->world, &record);
        if (status != STATUS_OK) {
            trace_line(self->loop->trace, TRACE_ERROR, "log", "replay_failed",
                       "sequence=%llu kind=%d partition=%d offset=%lld why=\"%s\"",
                       (unsigned long long)record.sequence, (int)record.kind, record.partition,
                       (long long)record.offset, status_text(status));
            return status;
        }
        self->record_count += 1;
    }
}

static enum status check_end(struct recovery *self, const struct shard *shard,
                             struct journal_reader *reader)
{
    uint64_t acknowledged =
        shard->has_checkpoint ? shard->checkpoint.header.acknowledged_sequence : 1;
    enum status status = journal_reader_check_end(reader, acknowledged);
    if (status != STATUS_OK) {
        trace_line(self->loop->trace, TRACE_ERROR, "log", "journal_damaged",
                   "shard=%u sequence=%llu acknowledged=%llu why=\"%s\"", shard->index,
                   (unsigned long long)reader->sequence, (unsigned long long)acknowledged,
                   status_text(status));
    }
    return status;
}

static enum status replay_shard(struct recovery *self, struct shard *shard)
{
    const struct checkpoint_header *header = &shard->checkpoint.header;
    self->has_run = self->has_run || shard->has_checkpoint;
    if (shard->has_checkpoint && header->is_clean) {
        return STATUS_OK;
    }
    char path[DISK_PATH_BYTES_MAX];
    path_of_shard(self, NAME_JOURNAL, shard->index, path);
    struct journal_reader reader;
    enum status status = journal_reader_open(&reader, self->loop->disk, path);
    if (status == STATUS_NOT_FOUND ||
        (status == STATUS_OK && reader.header.identity.generation < self->base.header.run)) {
        /* Not opened in the former run. A checkpoint of that run would say otherwise. */
        if (status == STATUS_OK) {
            journal_reader_close(&reader);
        }
        return shard->has_checkpoint ? STATUS_CORRUPT : STATUS_OK;
    }
    TRY(status);
    self->has_run = true;
    self->is_clean = false;
    if (reader.header.identity.generation > self->base.header.run ||
        reader.header.shard != shard->index) {
        status = STATUS_CORRUPT;
    } else if (shard->has_checkpoint) {
        status = journal_reader_start(&reader, header->cut_position, header->cut_sequence);
    } else {
        status = journal_reader_start(&reader, DISK_BLOCK_BYTES, 1);
    }
    if (status == STATUS_OK) {
        status = replay_records(self, &reader);
    }
    if (status == STATUS_OK) {
        status = check_end(self, shard, &reader);
    }
    journal_reader_close(&reader);
    return status;
}

/* A growing file of entries. */
struct output {
    uint8_t *bytes;
    size_t byte_count;
    size_t room;
    uint32_t entry_count;
};

static enum status output_put(struct output *self, const uint8_t *bytes, size_t byte_count)
{
    if (byte_count > self->room - self->byte_count) {
        size_t room = self->room * 2 + byte_count;
        uint8_t *larger = room > CHECKPOINT_FORMAT_BYTES_MAX ? NULL : realloc(self->bytes, room);
        if (larger == NULL) {
            return STATUS_NO_MEMORY;
        }
        self->bytes = larger;
        self->room = room;
    }
    memcpy(self->bytes + self->byte_count, bytes, byte_count);
    self->byte_count += byte_count;
    return STATUS_OK;
}

static enum status output_put_log(struct output *self, struct recovered *log)
{
    size_t position = self->byte_count;
    if (log->is_touched) {
        uint8_t *bytes = NULL;
        uint32_t byte_count = 0;
        TRY(log_state_save(&log->state, &bytes, &byte_count));
        enum status status = output_put(self, bytes, byte_count);
        free(bytes);
        TRY(status);
    } else {
        TRY(output_put(self, log->blob.bytes, log->blob.byte_count));
    }
    big_endian_put64(self->bytes + position + 24, 0); /* The next run's journal begins anew. */
    self->entry_count += 1;
    return STATUS_OK;
}

static enum status write_base(struct recovery *self)
{
    static const uint8_t header_room[CHECKPOINT_FORMAT_HEADER_BYTES];
    struct output output = {0};
    enum status status = output_put(&output, header_room, sizeof header_room);
    list_for_each(link, &self->logs)
    {
        struct recovered *log = container_of(link, struct recovered, link);
        bool is_alive = log->is_touched || (log->blob.byte_count > 0 && !log->is_removed);
        if (status == STATUS_OK && is_alive) {
            status = output_put_log(&output, log);
        }
    }
    if (status == STATUS_OK) {
        const struct checkpoint_header header = {
            .run = self->base.header.run + 1,
            .wall_ms = self->wall_ms,
            .entry_count = output.entry_count,
            .is_clean = self->has_run ? self->is_clean : self->base.header.is_clean};
        checkpoint_format_seal(&header, output.bytes, output.byte_count);
        status = disk_replace_file(self->loop->disk, self->root, CHECKPOINT_FORMAT_BASE_NAME,
                                   output.bytes, output.byte_count);
    }
    free(output.bytes);
    return status;
}

struct leftovers {
    struct recovery *recovery;
    enum status status;
};

static void leftovers_on_entry(void *context, const char *name, bool is_directory)
{
    struct leftovers *leftovers = context;
    struct log_name_directory parts;
    if (leftovers->status != STATUS_OK || !is_directory ||
        !log_name_parse_directory(name, &parts) || parts.state != LOG_NAME_DELETED) {
        return;
    }
    char path[DISK_PATH_BYTES_MAX];
    path_of(leftovers->recovery, name, path);
    leftovers->status = log_directory_remove(leftovers->recovery->loop->disk, path);
}

static enum status finish_logs(struct recovery *self)
{
    list_for_each(link, &self->logs)
    {
        struct recovered *log = container_of(link, struct recovered, link);
        self->is_touched = self->is_touched || log->is_touched || log->is_removed;
        enum status status = recovered_finish(log, &self->world);
        if (status != STATUS_OK) {
            trace_line(self->loop->trace, TRACE_ERROR, "log", "log_damaged",
                       "directory=\"%s\" is_missing=%d why=\"%s\"", log->state.directory,
                       log->is_missing, status_text(status));
            return status;
        }
    }
    /* One flush of everything instead of several per log; a crash before it finds the checkpoint
     * and the journal that it would have found before. */
    return self->is_touched ? disk_file_sync_all(self->loop->disk, self->base_file)
                            : disk_sync_directory(self->loop->disk, self->root);
}

/* The name of the data directory itself. */
static enum status sync_parent(const struct recovery *self)
{
    char path[DISK_PATH_BYTES_MAX];
    int length = snprintf(path, sizeof path, "%s", self->root);
    check(length > 0 && (size_t)length < sizeof path);
    while (length > 1 && path[length - 1] == '/') {
        path[--length] = '\0';
    }
    char *slash = strrchr(path, '/');
    if (slash == NULL) {
        return disk_sync_directory(self->loop->disk, ".");
    }
    slash[slash == path ? 1 : 0] = '\0';
    return disk_sync_directory(self->loop->disk, path);
}

/* The step that ended it, for the operator. */
static enum status told(const struct recovery *self, enum status status, const char *step)
{
    if (status != STATUS_OK) {
        trace_line(self->loop->trace, TRACE_ERROR, "log", "recovery_stopped",
                   "step=\"%s\" why=\"%s\"", step, status_text(status));
    }
    return status;
}

static enum status recover(struct recovery *self)
{
    struct disk *disk = self->loop->disk;
    char path[DISK_PATH_BYTES_MAX];
    TRY(disk_make_directory(disk, self->root));
    TRY(disk_sync_directory(disk, self->root)); /* What is seen here stays so. */
    path_of(self, CHECKPOINT_FORMAT_BASE_NAME, path);
    enum status status = checkpoint_base_load(&self->base, disk, path);
    self->has_base = status == STATUS_OK;
    if (status != STATUS_NOT_FOUND) {
        TRY(status);
    }
    TRY(disk_list(disk, self->root, list_on_entry, self));
    TRY(self->listing);
    if (!self->has_base) {
        /* The first start writes it before anything else is made. */
        if (self->has_foreign) {
            return STATUS_CORRUPT;
        }
        TRY(sync_parent(self));
        return write_base(self);
    }
    TRY(disk_open(disk, path, DISK_OPEN_READ, &self->base_file));
    TRY(told(self, load_checkpoints(self), "load checkpoints"));
    for (uint32_t i = 0; i < self->shard_count; i++) {
        TRY(told(self, replay_shard(self, &self->shards[i]), "replay a journal"));
    }
    TRY(told(self, finish_logs(self), "make logs durable"));
    TRY(write_base(self));
    struct leftovers leftovers = {.recovery = self};
    TRY(disk_list(disk, self->root, leftovers_on_entry, &leftovers));
    return leftovers.status;
}

enum status log_recover(struct loop *loop, const char *directory)
{
    struct recovery self = {.loop = loop, .root = directory, .is_clean = true};
    file_cache_init(&self.files, loop->disk, OPEN_FILES_MAX);
    self.world =
        (struct recovered_world){.disk = loop->disk, .root = directory, .files = &self.files};
    list_init(&self.logs);
    int64_t started_ns = loop_now_ns(loop);
    enum status status = recover(&self);
    trace_line(loop->trace, status == STATUS_OK ? TRACE_INFO : TRACE_ERROR, "log",
               status == STATUS_OK ? "recovered" : "recovery_failed",
               "run=%llu shards=%u logs=%u records=%llu clean=%d ms=%lld status=\"%s\"",
               (unsigned long long)self.base.header.run, self.shard_count, self.table.count,
               (unsigned long long)self.record_count, self.is_clean,
               (long long)((loop_now_ns(loop) - started_ns) / CLOCK_NS_PER_MS),
               status_text(status));
    list_for_each_removable(link, &self.logs)
    {
        recovered_free(container_of(link, struct recovered, link), &self.world);
    }
    disk_file_close(loop->disk, self.base_file);
    log_table_done(&self.table);
    file_cache_done(&self.files);
    for (uint32_t i = 0; i < self.shard_count; i++) {
        checkpoint_base_done(&self.shards[i].checkpoint);
    }
    free(self.shards);
    checkpoint_base_done(&self.base);
    return status;
}
