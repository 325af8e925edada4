#include "proto/sys/host/host_disk.h"

#include "proto/sys/check.h"
#include "proto/sys/host/host_file.h"
#include "proto/sys/host/host_lane.h"
#include "proto/sys/host/host_reserve.h"
#include "proto/sys/host/host_status.h"
#include "proto/sys/trace.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static enum status fail(struct disk *disk, const char *call, const char *path)
{
    int error = errno;
    enum status status = host_status_of_disk(-error);
    if (status == STATUS_IO) {
        trace_line(container_of(disk, struct host_disk, disk)->trace, TRACE_WARN, "host_disk",
                   "call_failed", "call=%s errno=%d path=\"%s\"", call, error, path);
    }
    return status;
}

static struct host_reserve *reserve_of(struct disk *self)
{
    return container_of(self, struct host_disk, disk)->reserve;
}

static enum status rename_path(struct disk *self, const char *from, const char *to)
{
    struct host_reserve_draw draw = {.reserve = reserve_of(self)};
    enum status status;
    do {
        status = rename(from, to) == 0 ? STATUS_OK : fail(self, "rename", from);
    } while (host_reserve_draw(&draw, status, 0));
    host_reserve_end(&draw);
    host_reserve_fill(draw.reserve); /* What had the name may be free now. */
    return status;
}

static enum status remove_path(struct disk *self, const char *path)
{
    enum status status = remove(path) == 0 ? STATUS_OK : fail(self, "remove", path);
    host_reserve_fill(reserve_of(self));
    return status;
}

static enum status make_directory_once(struct disk *self, const char *path)
{
    if (mkdir(path, 0700) == 0) {
        return STATUS_OK;
    }
    int error = errno;
    struct stat info;
    if (error == EEXIST && stat(path, &info) == 0 && S_ISDIR(info.st_mode)) {
        return STATUS_OK;
    }
    errno = error;
    return fail(self, "mkdir", path);
}

static enum status make_directory(struct disk *self, const char *path)
{
    struct host_reserve_draw draw = {.reserve = reserve_of(self)};
    enum status status;
    do {
        status = make_directory_once(self, path);
    } while (host_reserve_draw(&draw, status, 0));
    host_reserve_end(&draw);
    return status;
}

static enum status sync_directory(struct disk *self, const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return fail(self, "open", path);
    }
    enum status status = fsync(fd) == 0 ? STATUS_OK : fail(self, "fsync", path);
    (void)close(fd);
    return status;
}

static int list_is_wanted(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static int list_compare(const struct dirent **left, const struct dirent **right)
{
    return strcmp((*left)->d_name, (*right)->d_name); /* alphasort() would obey the locale. */
}

static bool list_is_directory(const char *path, const struct dirent *entry)
{
    if (entry->d_type != DT_UNKNOWN) {
        return entry->d_type == DT_DIR;
    }
    char full[DISK_PATH_BYTES_MAX + sizeof entry->d_name + 1];
    struct stat info;
    (void)snprintf(full, sizeof full, "%s/%s", path, entry->d_name);
    return lstat(full, &info) == 0 && S_ISDIR(info.st_mode);
}

static enum status list(struct disk *self, const char *path,
                        void (*on_entry)(void *context, const char *name, bool is_directory),
                        void *context)
{
    struct dirent **entries = NULL;
    int count = scandir(path, &entries, list_is_wanted, list_compare);
    if (count < 0) {
        return fail(self, "scandir", path);
    }
    for (int i = 0; i < count; i++) {
        on_entry(context, entries[i]->d_name, list_is_directory(path, entries[i]));
        free(entries[i]);
    }
    free(entries);
    return STATUS_OK;
}

static enum status space(struct disk *self, const char *path, struct disk_space *out_space)
{
    struct statvfs info;
    host_reserve_fill(reserve_of(self)); /* First, so that it is not promised to anybody else. */
    if (statvfs(path, &info) != 0) {
        return fail(self, "statvfs", path);
    }
    *out_space = (struct disk_space){.free_bytes = (uint64_t)info.f_bavail * info.f_frsize,
                                     .total_bytes = (uint64_t)info.f_blocks * info.f_frsize};
    return STATUS_OK;
}

static const struct disk_ops ops = {
    .open = host_file_open,
    .close = host_file_close,
    .is_direct = host_file_is_direct,
    .size = host_file_size,
    .read = host_file_read,
    .write = host_file_write,
    .sync = host_file_sync,
    .sync_all = host_file_sync_all,
    .truncate = host_file_truncate,
    .allocate = host_file_allocate,
    .rename = rename_path,
    .remove = remove_path,
    .make_directory = make_directory,
    .sync_directory = sync_directory,
    .list = list,
    .space = space,
    .lane_open = host_lane_open,
    .lane_close = host_lane_close,
    .submit = host_lane_submit,
};

void host_disk_init(struct host_disk *self, const struct host_disk_options *options)
{
    *self = (struct host_disk){.disk = {.ops = &ops},
                               .trace = options->trace,
                               .reserve = options->reserve,
                               .realtime_lanes = options->realtime_lanes};
}
