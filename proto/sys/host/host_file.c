#include "proto/sys/host/host_file.h"

#include "proto/sys/check.h"
#include "proto/sys/host/host_reserve.h"
#include "proto/sys/host/host_status.h"
#include "proto/sys/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define PARTS_MAX 1024 /* What the system takes in one call. */

/* Where a gathered transfer stands. The caller's buffers are not touched. */
struct cursor {
    const struct disk_buffer *buffers;
    uint32_t buffer_count;
    size_t skip; /* Bytes of the first buffer that are done. */
};

static enum status fail(const struct disk_file *self, const char *call, int error)
{
    enum status status = host_status_of_disk(-error);
    if (status == STATUS_IO) {
        trace_line(self->disk->trace, TRACE_WARN, "host_disk", "call_failed",
                   "call=%s errno=%d path=\"%s\"", call, error, self->path);
    }
    return status;
}

/* A file system may accept the flag and refuse every transfer of our blocks. */
static bool is_direct_usable(int fd)
{
#ifdef STATX_DIOALIGN
    struct statx info = {0};
    if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &info) == 0 &&
        (info.stx_mask & STATX_DIOALIGN) != 0) {
        return info.stx_dio_mem_align != 0 && info.stx_dio_mem_align <= DISK_BLOCK_BYTES &&
               info.stx_dio_offset_align <= DISK_BLOCK_BYTES;
    }
#endif
    return fd >= 0;
}

static int open_buffered(struct disk_file *self, int flags)
{
    if (!atomic_exchange(&self->disk->has_told_direct, true)) {
        trace_line(self->disk->trace, TRACE_WARN, "host_disk", "direct_refused",
                   "path=\"%s\" next=\"through the page cache, which costs more\"", self->path);
    }
    return open(self->path, flags, 0600);
}

static int open_descriptor(struct disk_file *self, unsigned flags)
{
    int system_flags = O_CLOEXEC | ((flags & DISK_OPEN_WRITE) != 0 ? O_RDWR : O_RDONLY) |
                       ((flags & DISK_OPEN_CREATE) != 0 ? O_CREAT : 0);
    int exclusive = (flags & DISK_OPEN_EXCLUSIVE) != 0 ? O_EXCL : 0;
    if ((flags & DISK_OPEN_DIRECT) == 0) {
        return open(self->path, system_flags | exclusive, 0600);
    }
    int fd = open(self->path, system_flags | exclusive | O_DIRECT, 0600);
    if (fd >= 0 && is_direct_usable(fd)) {
        self->is_direct = true;
        return fd;
    }
    if (fd >= 0) { /* It exists by now, so no second exclusive creation. */
        (void)close(fd);
        return open_buffered(self, system_flags);
    }
    if (errno != EINVAL) {
        return -1;
    }
    /* Linux may have created it before it refused the flag. */
    return open_buffered(self, system_flags);
}

enum status host_file_open(struct disk *disk, const char *path, unsigned flags,
                           struct disk_file **out_file)
{
    size_t path_bytes = strlen(path) + 1;
    if (path_bytes > DISK_PATH_BYTES_MAX) {
        return STATUS_INVALID;
    }
    struct disk_file *self = calloc(1, sizeof *self + path_bytes);
    if (self == NULL) {
        return STATUS_NO_MEMORY;
    }
    self->disk = container_of(disk, struct host_disk, disk);
    memcpy(self->path, path, path_bytes);
    self->is_vital = (flags & DISK_OPEN_VITAL) != 0;
    struct host_reserve_draw draw = {.reserve = self->disk->reserve};
    enum status status;
    do {
        self->fd = open_descriptor(self, flags);
        status = self->fd < 0 ? fail(self, "open", errno) : STATUS_OK;
    } while (host_reserve_draw(&draw, status, 0));
    host_reserve_end(&draw);
    if (status != STATUS_OK) {
        free(self);
        return status;
    }
    *out_file = self;
    return STATUS_OK;
}

void host_file_close(struct disk_file *self)
{
    struct host_reserve *reserve = self->disk->reserve;
    (void)close(self->fd); /* What had to be safe was flushed; close tells nothing more. */
    free(self);
    host_reserve_fill(reserve); /* A file without a name is free from now on. */
}

bool host_file_is_direct(const struct disk_file *self)
{
    return self->is_direct;
}

enum status host_file_size(struct disk_file *self, uint64_t *out_bytes)
{
    struct stat info;
    if (fstat(self->fd, &info) != 0) {
        return fail(self, "fstat", errno);
    }
    *out_bytes = (uint64_t)info.st_size;
    return STATUS_OK;
}

static int cursor_fill(const struct cursor *cursor, struct iovec *parts)
{
    int part_count = 0;
    size_t skip = cursor->skip;
    for (uint32_t i = 0; i < cursor->buffer_count && part_count < PARTS_MAX; i++) {
        const struct disk_buffer *buffer = &cursor->buffers[i];
        if (buffer->byte_count > skip) {
            parts[part_count].iov_base = (uint8_t *)buffer->base + skip;
            parts[part_count].iov_len = buffer->byte_count - skip;
            part_count += 1;
        }
        skip = 0;
    }
    return part_count;
}

static void cursor_advance(struct cursor *cursor, size_t byte_count)
{
    cursor->skip += byte_count;
    while (cursor->buffer_count > 0 && cursor->skip >= cursor->buffers->byte_count) {
        cursor->skip -= cursor->buffers->byte_count;
        cursor->buffers += 1;
        cursor->buffer_count -= 1;
    }
    check(cursor->buffer_count > 0 || cursor->skip == 0);
}

static enum status read_parts(struct disk_file *self, uint64_t position, struct cursor cursor,
                              size_t *out_byte_count)
{
    struct iovec parts[PARTS_MAX];
    size_t done = 0;
    for (;;) {
        int part_count = cursor_fill(&cursor, parts);
        if (part_count == 0) {
            break;
        }
        ssize_t count = preadv(self->fd, parts, part_count, (off_t)(position + done));
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            return fail(self, "preadv", errno);
        }
        done += (size_t)count;
        cursor_advance(&cursor, (size_t)count);
        /* A direct read that ends inside a block has met the end of the file; going on from there
         * would be refused. */
        if (count == 0 || (self->is_direct && (size_t)count % DISK_BLOCK_BYTES != 0)) {
            break;
        }
    }
    *out_byte_count = done;
    return STATUS_OK;
}

/* The whole write is durable when each of its calls is. */
static enum status write_once(struct disk_file *self, uint64_t position, struct cursor cursor,
                              bool is_durable)
{
    struct iovec parts[PARTS_MAX];
    int part_count = 0;
    while ((part_count = cursor_fill(&cursor, parts)) > 0) {
        bool has_dsync = is_durable && !self->has_no_dsync;
        ssize_t count =
            pwritev2(self->fd, parts, part_count, (off_t)position, has_dsync ? RWF_DSYNC : 0);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0 && errno == EOPNOTSUPP && has_dsync) {
            self->has_no_dsync = true;
            continue;
        }
        if (count <= 0) {
            return fail(self, "pwritev2", count < 0 ? errno : EIO);
        }
        position += (uint64_t)count;
        cursor_advance(&cursor, (size_t)count);
    }
    return STATUS_OK;
}

static uint64_t cursor_bytes(const struct cursor *cursor)
{
    uint64_t byte_count = 0;
    for (uint32_t i = 0; i < cursor->buffer_count; i++) {
        byte_count += cursor->buffers[i].byte_count;
    }
    return byte_count;
}

/* Tried again from its first byte, so that the flush which is believed covers all of it. */
static enum status write_parts(struct disk_file *self, uint64_t position, struct cursor cursor,
                               bool is_durable)
{
    struct host_reserve_draw draw = {.reserve = self->disk->reserve};
    enum status status;
    do {
        status = write_once(self, position, cursor, is_durable);
    } while (host_reserve_draw(&draw, status, cursor_bytes(&cursor)));
    host_reserve_end(&draw);
    TRY(status);
    return is_durable && self->has_no_dsync ? host_file_sync(self) : STATUS_OK;
}

enum status host_file_read(struct disk_file *self, uint64_t position, void *bytes,
                           size_t byte_count, size_t *out_byte_count)
{
    const struct disk_buffer buffer = {.base = bytes, .byte_count = byte_count};
    return read_parts(self, position, (struct cursor){.buffers = &buffer, .buffer_count = 1},
                      out_byte_count);
}

enum status host_file_write(struct disk_file *self, uint64_t position, const void *bytes,
                            size_t byte_count)
{
    /* Buffers serve both directions, hence without const; a write only reads from them. */
    struct disk_buffer buffer = {.byte_count = byte_count};
    memcpy(&buffer.base, &bytes, sizeof bytes);
    return write_parts(self, position, (struct cursor){.buffers = &buffer, .buffer_count = 1},
                       false);
}

enum status host_file_sync(struct disk_file *self)
{
    return fdatasync(self->fd) == 0 ? STATUS_OK : fail(self, "fdatasync", errno);
}

enum status host_file_sync_all(struct disk_file *self)
{
    /* The system tells a descriptor of each write that failed since it was opened. */
    return syncfs(self->fd) == 0 ? STATUS_OK : fail(self, "syncfs", errno);
}

static enum status truncate_once(struct disk_file *self, uint64_t byte_count)
{
    while (ftruncate(self->fd, (off_t)byte_count) != 0) {
        if (errno != EINTR) {
            return fail(self, "ftruncate", errno);
        }
    }
    return STATUS_OK;
}

enum status host_file_truncate(struct disk_file *self, uint64_t byte_count)
{
    struct host_reserve_draw draw = {.reserve = self->disk->reserve};
    enum status status;
    do {
        status = truncate_once(self, byte_count);
    } while (host_reserve_draw(&draw, status, 0));
    host_reserve_end(&draw);
    host_reserve_fill(self->disk->reserve);
    return status;
}

static enum status allocate_once(struct disk_file *self, uint64_t position, uint64_t byte_count)
{
    for (;;) {
        if (fallocate(self->fd, 0, (off_t)position, (off_t)byte_count) == 0) {
            return STATUS_OK;
        }
        if (errno == EOPNOTSUPP) {
            break;
        }
        if (errno != EINTR) {
            return fail(self, "fallocate", errno);
        }
    }
    /* Without extents to reserve, at least the size is as the caller expects. */
    uint64_t size = 0;
    TRY(host_file_size(self, &size));
    return size >= position + byte_count ? STATUS_OK : truncate_once(self, position + byte_count);
}

enum status host_file_allocate(struct disk_file *self, uint64_t position, uint64_t byte_count)
{
    struct host_reserve_draw draw = {.reserve = self->is_vital ? self->disk->reserve : NULL};
    enum status status;
    do {
        status = allocate_once(self, position, byte_count);
    } while (host_reserve_draw(&draw, status, byte_count));
    host_reserve_end(&draw);
    return status;
}

void host_file_run(struct disk_request *request)
{
    struct disk_file *self = request->file;
    const struct cursor cursor = {.buffers = request->buffers,
                                  .buffer_count = request->buffer_count};
    request->byte_count = 0;
    switch (request->kind) {
    case DISK_READ:
        request->status = read_parts(self, request->position, cursor, &request->byte_count);
        return;
    case DISK_WRITE:
    case DISK_WRITE_DURABLE:
        request->status =
            write_parts(self, request->position, cursor, request->kind == DISK_WRITE_DURABLE);
        return;
    case DISK_SYNC:
        request->status = host_file_sync(self);
        return;
    case DISK_CALL:
        request->status = request->call(request);
        return;
    }
    check_unreachable("disk request outside its enum");
}
