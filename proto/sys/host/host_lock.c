#include "proto/sys/host/host_lock.h"

#include "proto/sys/disk.h"
#include "proto/sys/host/host_status.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_NAME ".lock" /* Kafka's own name for it. */

enum status host_lock_take(struct host_lock *self, const char *directory)
{
    char path[DISK_PATH_BYTES_MAX];
    self->fd = -1;
    int length = snprintf(path, sizeof path, "%s/%s", directory, LOCK_NAME);
    if (length < 0 || (size_t)length >= sizeof path) {
        return STATUS_INVALID;
    }
    if (mkdir(directory, 0755) != 0 && errno != EEXIST) {
        return host_status_of_disk(-errno);
    }
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) {
        return host_status_of_disk(-errno);
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        enum status status = errno == EWOULDBLOCK ? STATUS_BUSY : host_status_of_disk(-errno);
        close(fd);
        return status;
    }
    self->fd = fd;
    return STATUS_OK;
}

void host_lock_give(struct host_lock *self)
{
    if (self->fd >= 0) {
        close(self->fd);
        self->fd = -1;
    }
}
