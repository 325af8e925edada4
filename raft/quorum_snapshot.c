#include "raft/quorum_snapshot.h"

#include "proto/sys/check.h"
#include "proto/wire/crc32c.h"
#include "raft/quorum_bytes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define NAME_NEW "snapshot.new"
#define NAME_DAMAGED "snapshot.damaged"
#define NAME_FORMAT "snapshot-%020" PRIu64 "-%020" PRIu64
#define NAME_BYTES 50U /* "snapshot-", 20 digits, "-", 20 digits. */

static void path_of(const struct quorum_snapshot_store *self, const char *name,
                    char out_path[DISK_PATH_BYTES_MAX])
{
    int length = snprintf(out_path, DISK_PATH_BYTES_MAX, "%s/%s", self->directory, name);
    check(length > 0 && (size_t)length < DISK_PATH_BYTES_MAX);
}

static void path_of_snapshot(const struct quorum_snapshot_store *self, uint64_t index,
                             uint64_t term, char out_path[DISK_PATH_BYTES_MAX])
{
    char name[NAME_BYTES + 1];
    (void)snprintf(name, sizeof name, NAME_FORMAT, index, term);
    path_of(self, name, out_path);
}

/* --- Opening ---------------------------------------------------------------------------------- */

#define STRAYS_MAX 16U /* More of them are found at the next start. */

struct listing {
    struct quorum_snapshot_store *store;
    uint64_t stray_indexes[STRAYS_MAX];
    uint64_t stray_terms[STRAYS_MAX];
    uint32_t stray_count;
    bool has_new;
};

/* Names come in order, so the newest is the last. */
static void open_on_entry(void *context, const char *name, bool is_directory)
{
    struct listing *listing = context;
    struct quorum_snapshot_store *self = listing->store;
    uint64_t index = 0;
    uint64_t term = 0;
    if (!is_directory && strcmp(name, NAME_NEW) == 0) {
        listing->has_new = true;
    }
    if (is_directory || strlen(name) != NAME_BYTES ||
        sscanf(name, "snapshot-%" SCNu64 "-%" SCNu64, &index, &term) != 2 || index == 0 ||
        term == 0) {
        return;
    }
    if (self->older_index != 0 && listing->stray_count < STRAYS_MAX) {
        listing->stray_indexes[listing->stray_count] = self->older_index;
        listing->stray_terms[listing->stray_count] = self->older_term;
        listing->stray_count += 1;
    }
    self->older_index = self->index;
    self->older_term = self->term;
    self->index = index;
    self->term = term;
}

enum status quorum_snapshot_open(struct quorum_snapshot_store *self, struct loop *loop,
                                 const char *directory)
{
    *self = (struct quorum_snapshot_store){.loop = loop, .directory = directory};
    struct listing listing = {.store = self};
    TRY(disk_list(loop->disk, directory, open_on_entry, &listing));

    char path[DISK_PATH_BYTES_MAX];
    if (listing.has_new) {
        path_of(self, NAME_NEW, path);
        TRY(disk_remove(loop->disk, path));
    }
    for (uint32_t i = 0; i < listing.stray_count; i++) {
        path_of_snapshot(self, listing.stray_indexes[i], listing.stray_terms[i], path);
        TRY(disk_remove(loop->disk, path));
    }
    return disk_lane_open(loop->disk, loop, "quorum-snapshot", &self->lane);
}

void quorum_snapshot_close(struct quorum_snapshot_store *self)
{
    if (self->loop != NULL) {
        struct disk_lane *lane = self->lane;
        self->lane = NULL; /* What runs to its end starts nothing new. */
        disk_lane_close(self->loop->disk, lane);
    }
    *self = (struct quorum_snapshot_store){0};
}

/* --- Reading ---------------------------------------------------------------------------------- */

enum status quorum_snapshot_decode(const uint8_t *bytes, size_t byte_count,
                                   struct quorum_snapshot *out_snapshot)
{
    if (byte_count < QUORUM_SNAPSHOT_HEADER_BYTES ||
        crc32c(0, bytes + 4, byte_count - 4) != quorum_bytes_get32(bytes)) {
        return STATUS_CORRUPT;
    }
    if (quorum_bytes_get16(bytes + 4) > QUORUM_BYTES_VERSION) {
        return STATUS_UNSUPPORTED;
    }
    struct quorum_snapshot snapshot = {
        .index = quorum_bytes_get64(bytes + 8),
        .term = quorum_bytes_get64(bytes + 16),
        .configuration_index = quorum_bytes_get64(bytes + 24),
        .flushed_sequence = quorum_bytes_get64(bytes + 32),
        .generation = quorum_bytes_get32(bytes + 40),
        .configuration = bytes + QUORUM_SNAPSHOT_HEADER_BYTES,
        .configuration_bytes = quorum_bytes_get32(bytes + 44),
        .payload_bytes = (size_t)quorum_bytes_get64(bytes + 48),
    };
    size_t rest = byte_count - QUORUM_SNAPSHOT_HEADER_BYTES;
    if (snapshot.index == 0 || snapshot.term == 0 || snapshot.configuration_bytes > rest ||
        snapshot.payload_bytes != rest - snapshot.configuration_bytes) {
        return STATUS_CORRUPT;
    }
    snapshot.payload = snapshot.configuration + snapshot.configuration_bytes;
    *out_snapshot = snapshot;
    return STATUS_OK;
}

static enum status load_one(struct quorum_snapshot_store *self, uint64_t index, uint64_t term,
                            uint8_t **out_bytes, struct quorum_snapshot *out_snapshot)
{
    char path[DISK_PATH_BYTES_MAX];
    path_of_snapshot(self, index, term, path);
    uint8_t *bytes = NULL;
    size_t byte_count = 0;
    enum status status =
        disk_read_file(self->loop->disk, path, QUORUM_SNAPSHOT_BYTES_MAX, &bytes, &byte_count);
    if (status != STATUS_OK) {
        return status == STATUS_FULL ? STATUS_CORRUPT : status;
    }
    struct quorum_snapshot snapshot = {0};
    status = quorum_snapshot_decode(bytes, byte_count, &snapshot);
    if (status == STATUS_OK && (snapshot.index != index || snapshot.term != term)) {
        status = STATUS_CORRUPT;
    }
    if (status != STATUS_OK) {
        free(bytes);
        return status;
    }
    *out_bytes = bytes;
    *out_snapshot = snapshot;
    return STATUS_OK;
}

enum status quorum_snapshot_load(struct quorum_snapshot_store *self, uint8_t **out_bytes,
                                 struct quorum_snapshot *out_snapshot)
{
    if (self->index == 0) {
        return STATUS_NOT_FOUND;
    }
    enum status status = load_one(self, self->index, self->term, out_bytes, out_snapshot);
    if (status != STATUS_CORRUPT || self->older_index == 0) {
        return status;
    }
    /* Whether the log still reaches back to this one is seen when it is replayed. The damaged file
     * is set aside for whoever looks into it. */
    char path[DISK_PATH_BYTES_MAX];
    char path_aside[DISK_PATH_BYTES_MAX];
    path_of_snapshot(self, self->index, self->term, path);
    path_of(self, NAME_DAMAGED, path_aside);
    TRY(disk_rename(self->loop->disk, path, path_aside));
    trace_line(self->loop->trace, TRACE_WARN, "quorum", "snapshot-damaged",
               "index=%" PRIu64 " using=%" PRIu64, self->index, self->older_index);
    self->index = self->older_index;
    self->term = self->older_term;
    self->older_index = 0;
    self->older_term = 0;
    return load_one(self, self->index, self->term, out_bytes, out_snapshot);
}

/* --- Writing beside the log ------------------------------------------------------------------- */

/* Off the loop: a rename and two directory changes stop a disk for milliseconds. */
static enum status write_finish_call(struct disk_request *request)
{
    struct quorum_snapshot_write *write =
        container_of(request, struct quorum_snapshot_write, request);
    struct quorum_snapshot_store *self = write->store;
    char path_new[DISK_PATH_BYTES_MAX];
    char path[DISK_PATH_BYTES_MAX];
    path_of(self, NAME_NEW, path_new);
    path_of_snapshot(self, write->index, write->term, path);
    TRY(disk_rename(self->loop->disk, path_new, path));
    TRY(disk_sync_directory(self->loop->disk, self->directory));
    if (!write->may_remove) {
        return STATUS_OK;
    }
    path_of_snapshot(self, write->older_index, write->older_term, path);
    return disk_remove(self->loop->disk, path);
}

static void write_on_finished(struct disk_request *request)
{
    struct quorum_snapshot_write *write =
        container_of(request, struct quorum_snapshot_write, request);
    struct quorum_snapshot_store *self = write->store;
    if (request->status == STATUS_OK) {
        self->older_index = self->index;
        self->older_term = self->term;
        self->index = write->index;
        self->term = write->term;
    }
    write->on_done(write, request->status);
}

static void write_on_written(struct disk_request *request)
{
    struct quorum_snapshot_write *write =
        container_of(request, struct quorum_snapshot_write, request);
    struct quorum_snapshot_store *self = write->store;
    disk_file_close(self->loop->disk, write->file);
    write->file = NULL;
    if (request->status != STATUS_OK || self->lane == NULL) {
        write->on_done(write, request->status == STATUS_OK ? STATUS_CANCELED : request->status);
        return;
    }
    /* A file that is being read stays; the next start removes it. */
    write->may_remove = self->older_index != 0 && self->read_count == 0;
    write->older_index = self->older_index;
    write->older_term = self->older_term;
    write->request = (struct disk_request){
        .kind = DISK_CALL, .call = write_finish_call, .on_done = write_on_finished};
    disk_submit(self->loop->disk, self->lane, &write->request);
}

static void write_on_refused(struct mail *mail)
{
    struct quorum_snapshot_write *write = container_of(mail, struct quorum_snapshot_write, mail);
    write->on_done(write, write->status);
}

static enum status write_open(struct quorum_snapshot_write *write)
{
    struct disk *disk = write->store->loop->disk;
    char path[DISK_PATH_BYTES_MAX];
    path_of(write->store, NAME_NEW, path);
    TRY(disk_open(disk, path, DISK_OPEN_WRITE | DISK_OPEN_CREATE, &write->file));
    return disk_file_truncate(disk, write->file, 0);
}

static void write_encode_header(struct quorum_snapshot_write *write,
                                const struct quorum_snapshot *snapshot, uint64_t payload_bytes)
{
    uint8_t *at = write->header;
    memset(at, 0, QUORUM_SNAPSHOT_HEADER_BYTES);
    quorum_bytes_put16(at + 4, QUORUM_BYTES_VERSION);
    quorum_bytes_put64(at + 8, snapshot->index);
    quorum_bytes_put64(at + 16, snapshot->term);
    quorum_bytes_put64(at + 24, snapshot->configuration_index);
    quorum_bytes_put64(at + 32, snapshot->flushed_sequence);
    quorum_bytes_put32(at + 40, snapshot->generation);
    quorum_bytes_put32(at + 44, snapshot->configuration_bytes);
    quorum_bytes_put64(at + 48, payload_bytes);
    uint32_t crc = crc32c(0, at + 4, QUORUM_SNAPSHOT_HEADER_BYTES - 4);
    for (uint32_t i = 1; i < write->request.buffer_count; i++) {
        crc = crc32c(crc, write->buffers[i].base, write->buffers[i].byte_count);
    }
    quorum_bytes_put32(at, crc);
}

void quorum_snapshot_write_start(struct quorum_snapshot_store *self,
                                 struct quorum_snapshot_write *write,
                                 const struct quorum_snapshot *snapshot,
                                 const struct disk_buffer *payload, uint32_t payload_count)
{
    check(payload_count + 2 <= QUORUM_SNAPSHOT_BUFFERS_MAX);
    check(snapshot->index > self->index);

    write->store = self;
    write->index = snapshot->index;
    write->term = snapshot->term;
    write->file = NULL;
    write->buffers[0] = (struct disk_buffer){write->header, QUORUM_SNAPSHOT_HEADER_BYTES};
    uintptr_t configuration = (uintptr_t)snapshot->configuration; /* Only read from. */
    write->buffers[1] = (struct disk_buffer){(void *)configuration, snapshot->configuration_bytes};
    uint64_t payload_bytes = 0;
    for (uint32_t i = 0; i < payload_count; i++) {
        write->buffers[2 + i] = payload[i];
        payload_bytes += payload[i].byte_count;
    }
    write->request = (struct disk_request){.kind = DISK_WRITE_DURABLE,
                                           .buffers = write->buffers,
                                           .buffer_count = 2 + payload_count,
                                           .on_done = write_on_written};
    write_encode_header(write, snapshot, payload_bytes);

    write->status = write_open(write);
    if (write->status != STATUS_OK) {
        disk_file_close(self->loop->disk, write->file);
        write->file = NULL;
        write->mail.deliver = write_on_refused;
        loop_defer(self->loop, &write->mail);
        return;
    }
    write->request.file = write->file;
    disk_submit(self->loop->disk, self->lane, &write->request);
}

/* --- Reading beside the log ------------------------------------------------------------------- */

static void read_end(struct quorum_snapshot_read *read)
{
    struct quorum_snapshot_store *self = read->store;
    disk_file_close(self->loop->disk, read->file);
    read->file = NULL;
    self->read_count -= 1;
    uint8_t *bytes = read->buffer.base;
    struct quorum_snapshot snapshot = {0};
    enum status status = read->status;
    if (status == STATUS_OK) {
        status = quorum_snapshot_decode(bytes, read->buffer.byte_count, &snapshot);
    }
    if (status != STATUS_OK) {
        free(bytes);
        read->on_done(read, status, NULL, NULL);
        return;
    }
    read->on_done(read, STATUS_OK, bytes, &snapshot);
}

static void read_on_read(struct disk_request *request)
{
    struct quorum_snapshot_read *read = container_of(request, struct quorum_snapshot_read, request);
    read->status = request->status;
    if (read->status == STATUS_OK && request->byte_count != read->buffer.byte_count) {
        read->status = STATUS_CORRUPT;
    }
    read_end(read);
}

static void read_on_refused(struct mail *mail)
{
    read_end(container_of(mail, struct quorum_snapshot_read, mail));
}

static enum status read_open(struct quorum_snapshot_read *read)
{
    struct quorum_snapshot_store *self = read->store;
    char path[DISK_PATH_BYTES_MAX];
    path_of_snapshot(self, self->index, self->term, path);
    TRY(disk_open(self->loop->disk, path, DISK_OPEN_READ, &read->file));
    uint64_t size = 0;
    TRY(disk_file_size(self->loop->disk, read->file, &size));
    if (size > QUORUM_SNAPSHOT_BYTES_MAX || size == 0) {
        return STATUS_CORRUPT;
    }
    void *bytes = malloc((size_t)size);
    if (bytes == NULL) {
        return STATUS_NO_MEMORY;
    }
    read->buffer = (struct disk_buffer){bytes, (size_t)size};
    return STATUS_OK;
}

void quorum_snapshot_read_start(struct quorum_snapshot_store *self,
                                struct quorum_snapshot_read *read)
{
    check(self->index > 0);

    read->store = self;
    read->file = NULL;
    read->buffer = (struct disk_buffer){0};
    self->read_count += 1;
    read->status = read_open(read);
    if (read->status != STATUS_OK) {
        read->mail.deliver = read_on_refused;
        loop_defer(self->loop, &read->mail);
        return;
    }
    read->request = (struct disk_request){.kind = DISK_READ,
                                          .file = read->file,
                                          .buffers = &read->buffer,
                                          .buffer_count = 1,
                                          .on_done = read_on_read};
    disk_submit(self->loop->disk, self->lane, &read->request);
}
