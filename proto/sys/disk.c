#include "proto/sys/disk.h"

#include "proto/sys/check.h"

#include <stdio.h>
#include <stdlib.h>

#define REPLACE_SUFFIX ".new"

enum status disk_open(struct disk *self, const char *path, unsigned flags,
                      struct disk_file **out_file)
{
    check((flags & DISK_OPEN_EXCLUSIVE) == 0 || (flags & DISK_OPEN_CREATE) != 0);
    check((flags & DISK_OPEN_CREATE) == 0 || (flags & DISK_OPEN_WRITE) != 0);
    return self->ops->open(self, path, flags, out_file);
}

void disk_file_close(struct disk *self, struct disk_file *file)
{
    if (file != NULL) {
        self->ops->close(file);
    }
}

bool disk_file_is_direct(struct disk *self, const struct disk_file *file)
{
    return self->ops->is_direct(file);
}

enum status disk_file_size(struct disk *self, struct disk_file *file, uint64_t *out_bytes)
{
    return self->ops->size(file, out_bytes);
}

enum status disk_file_read(struct disk *self, struct disk_file *file, uint64_t position,
                           void *bytes, size_t byte_count, size_t *out_byte_count)
{
    return self->ops->read(file, position, bytes, byte_count, out_byte_count);
}

enum status disk_file_write(struct disk *self, struct disk_file *file, uint64_t position,
                            const void *bytes, size_t byte_count)
{
    return self->ops->write(file, position, bytes, byte_count);
}

enum status disk_file_sync(struct disk *self, struct disk_file *file)
{
    return self->ops->sync(file);
}

enum status disk_file_sync_all(struct disk *self, struct disk_file *file)
{
    return self->ops->sync_all(file);
}

enum status disk_file_truncate(struct disk *self, struct disk_file *file, uint64_t byte_count)
{
    return self->ops->truncate(file, byte_count);
}

enum status disk_file_allocate(struct disk *self, struct disk_file *file, uint64_t position,
                               uint64_t byte_count)
{
    return self->ops->allocate(file, position, byte_count);
}

enum status disk_rename(struct disk *self, const char *from, const char *to)
{
    return self->ops->rename(self, from, to);
}

enum status disk_remove(struct disk *self, const char *path)
{
    return self->ops->remove(self, path);
}

enum status disk_make_directory(struct disk *self, const char *path)
{
    return self->ops->make_directory(self, path);
}

enum status disk_sync_directory(struct disk *self, const char *path)
{
    return self->ops->sync_directory(self, path);
}

enum status disk_list(struct disk *self, const char *path,
                      void (*on_entry)(void *context, const char *name, bool is_directory),
                      void *context)
{
    return self->ops->list(self, path, on_entry, context);
}

enum status disk_space_of(struct disk *self, const char *path, struct disk_space *out_space)
{
    return self->ops->space(self, path, out_space);
}

enum status disk_lane_open(struct disk *self, struct loop *loop, const char *name,
                           struct disk_lane **out_lane)
{
    return self->ops->lane_open(self, loop, name, out_lane);
}

void disk_lane_close(struct disk *self, struct disk_lane *lane)
{
    if (lane != NULL) {
        self->ops->lane_close(lane);
    }
}

void disk_submit(struct disk *self, struct disk_lane *lane, struct disk_request *request)
{
    check(request->on_done != NULL);
    if (request->kind == DISK_CALL) {
        check(request->call != NULL);
    } else {
        check(request->file != NULL);
        check(request->kind == DISK_SYNC || request->buffer_count > 0);
    }
    self->ops->submit(lane, request);
}

static enum status write_whole(struct disk *self, struct disk_file *file, const void *bytes,
                               size_t byte_count)
{
    if (byte_count > 0) {
        TRY(disk_file_write(self, file, 0, bytes, byte_count));
    }
    /* What was there before may have been longer. */
    return disk_file_truncate(self, file, byte_count);
}

enum status disk_write_file(struct disk *self, const char *path, const void *bytes,
                            size_t byte_count)
{
    struct disk_file *file = NULL;
    TRY(disk_open(self, path, DISK_OPEN_WRITE | DISK_OPEN_CREATE, &file));
    enum status status = write_whole(self, file, bytes, byte_count);
    disk_file_close(self, file);
    return status;
}

static enum status replace_write(struct disk *self, const char *path, const void *bytes,
                                 size_t byte_count)
{
    struct disk_file *file = NULL;
    TRY(disk_open(self, path, DISK_OPEN_WRITE | DISK_OPEN_CREATE, &file));
    /* An earlier attempt may have left a longer one. */
    enum status status = disk_file_truncate(self, file, 0);
    if (status == STATUS_OK && byte_count > 0) {
        status = disk_file_write(self, file, 0, bytes, byte_count);
    }
    if (status == STATUS_OK) {
        status = disk_file_sync(self, file);
    }
    disk_file_close(self, file);
    return status;
}

enum status disk_replace_file(struct disk *self, const char *directory, const char *name,
                              const void *bytes, size_t byte_count)
{
    char path[DISK_PATH_BYTES_MAX];
    char path_new[DISK_PATH_BYTES_MAX];
    int count = snprintf(path_new, sizeof path_new, "%s/%s" REPLACE_SUFFIX, directory, name);
    if (count < 0 || (size_t)count >= sizeof path_new) {
        return STATUS_INVALID;
    }
    (void)snprintf(path, sizeof path, "%s/%s", directory, name); /* Shorter, so it fits. */

    enum status status = replace_write(self, path_new, bytes, byte_count);
    if (status == STATUS_OK) {
        status = disk_rename(self, path_new, path);
    }
    if (status != STATUS_OK) {
        status_ignore(disk_remove(self, path_new), "the next attempt overwrites it");
        return status;
    }
    return disk_sync_directory(self, directory);
}

static enum status read_whole(struct disk *self, struct disk_file *file, size_t byte_count_max,
                              uint8_t **out_bytes, size_t *out_byte_count)
{
    uint64_t size = 0;
    TRY(disk_file_size(self, file, &size));
    if (size > byte_count_max) {
        return STATUS_FULL;
    }
    uint8_t *bytes = malloc((size_t)size + 1); /* Never an allocation of nothing. */
    if (bytes == NULL) {
        return STATUS_NO_MEMORY;
    }
    size_t byte_count = 0;
    enum status status = disk_file_read(self, file, 0, bytes, (size_t)size, &byte_count);
    if (status != STATUS_OK) {
        free(bytes);
        return status;
    }
    *out_bytes = bytes;
    *out_byte_count = byte_count;
    return STATUS_OK;
}

enum status disk_read_file(struct disk *self, const char *path, size_t byte_count_max,
                           uint8_t **out_bytes, size_t *out_byte_count)
{
    struct disk_file *file = NULL;
    TRY(disk_open(self, path, DISK_OPEN_READ, &file));
    enum status status = read_whole(self, file, byte_count_max, out_bytes, out_byte_count);
    disk_file_close(self, file);
    return status;
}
