/* One open file of the machine. Owner: host_disk. Loop: any; the calls are positional. */
#pragma once

#include "proto/sys/host/host_disk.h"

struct disk_file {
    struct host_disk *disk; /* Borrowed for life. */
    int fd;
    bool is_direct;
    bool is_vital; /* Its allocations may draw on the reserve. */
    _Atomic bool has_no_dsync; /* The file system refused RWF_DSYNC. */
    char path[];               /* For the trace. */
};

/* As struct disk_ops says. */
enum status host_file_open(struct disk *disk, const char *path, unsigned flags,
                           struct disk_file **out_file);
void host_file_close(struct disk_file *self);
bool host_file_is_direct(const struct disk_file *self);
enum status host_file_size(struct disk_file *self, uint64_t *out_bytes);
enum status host_file_read(struct disk_file *self, uint64_t position, void *bytes,
                           size_t byte_count, size_t *out_byte_count);
enum status host_file_write(struct disk_file *self, uint64_t position, const void *bytes,
                            size_t byte_count);
enum status host_file_sync(struct disk_file *self);
enum status host_file_sync_all(struct disk_file *self);
enum status host_file_truncate(struct disk_file *self, uint64_t byte_count);
enum status host_file_allocate(struct disk_file *self, uint64_t position, uint64_t byte_count);

/* Runs a lane's request; fills its status and byte count. Blocks. */
void host_file_run(struct disk_request *request);
