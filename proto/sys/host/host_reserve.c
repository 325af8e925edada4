#include "proto/sys/host/host_reserve.h"

#include "proto/sys/check.h"
#include "proto/sys/host/host_status.h"
#include "proto/sys/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define PIECE_BYTES (256U << 10) /* Smallest gift: names and maps of blocks need some, too. */
#define GRAIN_BYTES (64U << 10)
#define SHARE 8U /* Of the file system, at most. */

/* What really is allocated: a call that failed half-way may have changed it. */
static void measure(struct host_reserve *self)
{
    struct stat info;
    self->byte_count = fstat(self->fd, &info) == 0 ? (uint64_t)info.st_blocks * 512 : 0;
    atomic_store(&self->is_short, self->byte_count + GRAIN_BYTES <= self->byte_count_max);
}

static void fill_up(struct host_reserve *self)
{
    struct statvfs info;
    measure(self);
    if (!atomic_load(&self->is_short) || fstatvfs(self->fd, &info) != 0) {
        return;
    }
    uint64_t room = (uint64_t)info.f_bavail * info.f_frsize / GRAIN_BYTES * GRAIN_BYTES;
    uint64_t missing = self->byte_count_max - self->byte_count;
    uint64_t growth = missing < room ? missing : room;
    /* Refused all the same, by a quota or a race: the next that becomes free tries again. */
    if (growth > 0 && fallocate(self->fd, 0, 0, (off_t)(self->byte_count + growth)) == 0) {
        measure(self);
    }
}

enum status host_reserve_open(struct host_reserve *self, const char *path, uint64_t byte_count,
                              struct trace *trace)
{
    *self = (struct host_reserve){.trace = trace};
    self->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (self->fd < 0) {
        return host_status_of_disk(-errno);
    }
    struct statvfs info;
    uint64_t share = byte_count;
    if (fstatvfs(self->fd, &info) == 0) {
        share = (uint64_t)info.f_blocks * info.f_frsize / SHARE;
    }
    self->byte_count_max = (byte_count < share ? byte_count : share) / GRAIN_BYTES * GRAIN_BYTES;
    check(uv_mutex_init(&self->mutex) == 0);
    struct stat file;
    if (fstat(self->fd, &file) == 0 && (uint64_t)file.st_size > self->byte_count_max) {
        (void)!ftruncate(self->fd, (off_t)self->byte_count_max); /* Larger does no harm. */
    }
    fill_up(self);
    if (atomic_load(&self->is_short)) {
        trace_line(trace, TRACE_WARN, "host_disk", "reserve_short",
                   "path=\"%s\" bytes=%" PRIu64 " wanted=%" PRIu64
                   " next=\"filled up when there is room\"",
                   path, self->byte_count, self->byte_count_max);
    }
    return STATUS_OK;
}

void host_reserve_close(struct host_reserve *self)
{
    (void)close(self->fd);
    uv_mutex_destroy(&self->mutex);
    *self = (struct host_reserve){.fd = -1};
}

/* The directory of files is full, not the disk: bytes would not help. */
static bool lacks_names(const struct host_reserve *self)
{
    struct statvfs info;
    return fstatvfs(self->fd, &info) == 0 && info.f_files > 0 && info.f_favail == 0;
}

bool host_reserve_draw(struct host_reserve_draw *self, enum status why, uint64_t byte_count)
{
    struct host_reserve *reserve = self->reserve;
    if (why != STATUS_NO_SPACE || reserve == NULL) {
        return false;
    }
    if (!self->is_held) {
        uv_mutex_lock(&reserve->mutex);
        self->is_held = true;
    }
    measure(reserve);
    if (reserve->byte_count == 0 || lacks_names(reserve)) {
        return false;
    }
    uint64_t piece = (byte_count + PIECE_BYTES) / GRAIN_BYTES * GRAIN_BYTES;
    uint64_t rest = reserve->byte_count > piece ? reserve->byte_count - piece : 0;
    if (ftruncate(reserve->fd, (off_t)rest) != 0) {
        return false;
    }
    /* Some file systems hand freed blocks out again only when their own journal was written. */
    (void)fsync(reserve->fd);
    measure(reserve);
    if (!reserve->is_used) {
        reserve->is_used = true;
        trace_line(reserve->trace, TRACE_WARN, "host_disk", "reserve_used",
                   "bytes_left=%" PRIu64 " next=\"make room on the disk\"", reserve->byte_count);
    }
    return true;
}

void host_reserve_end(struct host_reserve_draw *self)
{
    if (self->is_held) {
        self->is_held = false;
        uv_mutex_unlock(&self->reserve->mutex);
    }
}

void host_reserve_fill(struct host_reserve *self)
{
    /* Who draws just now shall have what it was given. */
    if (self == NULL || !atomic_load(&self->is_short) || uv_mutex_trylock(&self->mutex) != 0) {
        return;
    }
    fill_up(self);
    if (!atomic_load(&self->is_short)) {
        self->is_used = false;
    }
    uv_mutex_unlock(&self->mutex);
}
