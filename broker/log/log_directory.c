#include "broker/log/log_directory.h"

#include "broker/log/partition_metadata.h"
#include "proto/sys/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void join(const char *directory, const char *name, char out_path[DISK_PATH_BYTES_MAX])
{
    int length = snprintf(out_path, DISK_PATH_BYTES_MAX, "%s/%s", directory, name);
    check(length > 0 && (size_t)length < DISK_PATH_BYTES_MAX);
}

static void ignore_entry(void *context, const char *name, bool is_directory)
{
    (void)context;
    (void)name;
    (void)is_directory;
}

enum status log_directory_owner(struct disk *disk, const char *path, struct wire_uuid *out_topic_id,
                                bool *out_exists)
{
    char file_path[DISK_PATH_BYTES_MAX];
    join(path, PARTITION_METADATA_NAME, file_path);
    uint8_t *bytes = NULL;
    size_t byte_count = 0;
    enum status status =
        disk_read_file(disk, file_path, PARTITION_METADATA_BYTES_MAX, &bytes, &byte_count);
    if (status == STATUS_OK) {
        *out_exists = true;
        status = partition_metadata_decode(bytes, byte_count, out_topic_id);
        free(bytes);
        /* Torn by a crash before it was durable: the journal knows. */
        return status == STATUS_MALFORMED ? STATUS_NOT_FOUND : status;
    }
    if (status != STATUS_NOT_FOUND && status != STATUS_FULL) {
        return status;
    }
    status = disk_list(disk, path, ignore_entry, NULL);
    if (status != STATUS_OK && status != STATUS_NOT_FOUND) {
        return status;
    }
    *out_exists = status == STATUS_OK;
    return STATUS_NOT_FOUND;
}

enum status log_directory_make(struct disk *disk, const char *path,
                               const struct wire_uuid *topic_id)
{
    TRY(disk_make_directory(disk, path));
    char file_path[DISK_PATH_BYTES_MAX];
    join(path, PARTITION_METADATA_NAME, file_path);
    uint8_t bytes[PARTITION_METADATA_BYTES];
    partition_metadata_encode(topic_id, bytes);
    struct disk_file *file = NULL;
    TRY(disk_open(disk, file_path, DISK_OPEN_WRITE | DISK_OPEN_CREATE, &file));
    enum status status = disk_file_truncate(disk, file, 0);
    if (status == STATUS_OK) {
        status = disk_file_write(disk, file, 0, bytes, sizeof bytes);
    }
    disk_file_close(disk, file);
    return status;
}

enum status log_directory_put_away(struct disk *disk, const char *root, const char *path,
                                   const struct wire_uuid *topic_id,
                                   char out_path[DISK_PATH_BYTES_MAX])
{
    const char *name = strrchr(path, '/');
    check(name != NULL);
    struct log_name_directory parts;
    if (!log_name_parse_directory(name + 1, &parts)) {
        return STATUS_INVALID;
    }
    char deleted[LOG_NAME_BYTES_MAX + 1];
    log_name_of_deleted_directory(parts.topic_name, parts.partition, topic_id, deleted);
    join(root, deleted, out_path);
    TRY(log_directory_remove(disk, out_path));
    enum status status = disk_rename(disk, path, out_path);
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

struct removal {
    struct disk *disk;
    const char *path;
    enum status status;
};

static void remove_entry(void *context, const char *name, bool is_directory)
{
    struct removal *removal = context;
    if (removal->status != STATUS_OK || is_directory) {
        return; /* We make none in there; removing the directory will tell. */
    }
    char path[DISK_PATH_BYTES_MAX];
    join(removal->path, name, path);
    enum status status = disk_remove(removal->disk, path);
    if (status != STATUS_NOT_FOUND) {
        removal->status = status;
    }
}

enum status log_directory_remove(struct disk *disk, const char *path)
{
    struct removal removal = {.disk = disk, .path = path};
    enum status status = disk_list(disk, path, remove_entry, &removal);
    if (status == STATUS_NOT_FOUND) {
        return STATUS_OK;
    }
    TRY(status);
    TRY(removal.status);
    return disk_remove(disk, path);
}
