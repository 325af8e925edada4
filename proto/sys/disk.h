/* Files as the world gives them: a few synchronous calls for start-up and rare work, and lanes for
 * everything that must not stop a loop.
 *
 * A lane runs its requests in order, one at a time, off the loop (production: one thread each;
 * simulator: virtual time), and answers on the loop that opened it. The journal has a lane of its
 * own, so that nothing stands between a record and its flush.
 * Durability: bytes are safe after a DISK_WRITE_DURABLE request or a DISK_SYNC of that file that
 * began after the write ended. A new name, rename or removal is safe after disk_sync_directory().
 * Both are after disk_file_sync_all(), which is for many files at once.
 * Writes that are not flushed may be lost, torn at 512 bytes, or kept in any combination.
 *
 * Owner: the process. Loop: a file is used by one loop and its lanes. Errors: STATUS_NO_SPACE for a
 * full disk or quota, STATUS_NOT_FOUND, STATUS_EXISTS, else STATUS_IO. A failed flush is final:
 * the caller must never sync that file again and believe it. */
#pragma once

#include "proto/sys/list.h"
#include "proto/sys/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DISK_BLOCK_BYTES 4096U /* Alignment of address, position and size for direct files. */
#define DISK_PATH_BYTES_MAX 1024U

struct disk;
struct disk_file; /* Opaque; owned by its opener until disk_file_close(). */
struct disk_lane; /* Opaque; owned by its opener until disk_lane_close(). */
struct loop;

enum disk_open_flags {
    DISK_OPEN_READ = 0,       /* Must exist. */
    DISK_OPEN_WRITE = 1,      /* Read and write; must exist unless CREATE. */
    DISK_OPEN_CREATE = 2,     /* Create when missing. */
    DISK_OPEN_EXCLUSIVE = 4,  /* With CREATE: STATUS_EXISTS when it is there. */
    DISK_OPEN_DIRECT = 8,     /* Ask for O_DIRECT; see disk_file_is_direct(). */
    /* What the world keeps back on a full disk is there for disk_file_allocate(), too. All other
     * calls may have it anyway: they are small, or what they write was promised a place. */
    DISK_OPEN_VITAL = 16,
};

struct disk_buffer {
    void *base; /* Borrowed until the request is done. Not written to by writes. */
    size_t byte_count;
};

enum disk_request_kind {
    DISK_READ,
    DISK_WRITE,
    DISK_WRITE_DURABLE,
    DISK_SYNC,
    DISK_CALL, /* Runs `call` in its turn; file, position and buffers are not looked at. */
};

/* Embedded by its user, which fills the upper half; must stay put until `on_done` ran. */
struct disk_request {
    enum disk_request_kind kind;
    struct disk_file *file;
    uint64_t position;
    struct disk_buffer *buffers; /* Borrowed until done. */
    uint32_t buffer_count;
    void (*on_done)(struct disk_request *self); /* On the lane's loop. */
    /* DISK_CALL only: off the loop, for runs of synchronous calls of the disk (removals, renames,
     * small files) that would stop it. What it touches is the request's alone until on_done. The
     * answer becomes `status`. */
    enum status (*call)(struct disk_request *self);

    enum status status;    /* Valid in on_done. A short write is an error. */
    size_t byte_count;     /* Bytes read; less than asked only at the end of the file. */
    struct list link;      /* The lane's. */
};

struct disk_space {
    uint64_t free_bytes; /* Usable by this process. */
    uint64_t total_bytes;
};

struct disk_ops {
    enum status (*open)(struct disk *self, const char *path, unsigned flags,
                        struct disk_file **out_file);
    void (*close)(struct disk_file *file);
    bool (*is_direct)(const struct disk_file *file);
    enum status (*size)(struct disk_file *file, uint64_t *out_bytes);
    /* Synchronous; for start-up, recovery and small rare files. */
    enum status (*read)(struct disk_file *file, uint64_t position, void *bytes, size_t byte_count,
                        size_t *out_byte_count);
    enum status (*write)(struct disk_file *file, uint64_t position, const void *bytes,
                         size_t byte_count);
    enum status (*sync)(struct disk_file *file);
    enum status (*sync_all)(struct disk_file *file);
    enum status (*truncate)(struct disk_file *file, uint64_t byte_count);
    enum status (*allocate)(struct disk_file *file, uint64_t position, uint64_t byte_count);
    enum status (*rename)(struct disk *self, const char *from, const char *to);
    enum status (*remove)(struct disk *self, const char *path); /* A file or an empty directory. */
    enum status (*make_directory)(struct disk *self, const char *path);
    enum status (*sync_directory)(struct disk *self, const char *path);
    /* Calls back once per entry, in byte order of the names, without "." and "..". */
    enum status (*list)(struct disk *self, const char *path,
                        void (*on_entry)(void *context, const char *name, bool is_directory),
                        void *context);
    enum status (*space)(struct disk *self, const char *path, struct disk_space *out_space);

    enum status (*lane_open)(struct disk *self, struct loop *loop, const char *name,
                             struct disk_lane **out_lane);
    /* Ends after the queued requests have run; their on_done still runs before this returns. */
    void (*lane_close)(struct disk_lane *lane);
    void (*submit)(struct disk_lane *lane, struct disk_request *request);
};

struct disk {
    const struct disk_ops *ops;
};

MUST_USE enum status disk_open(struct disk *self, const char *path, unsigned flags,
                               struct disk_file **out_file);
void disk_file_close(struct disk *self, struct disk_file *file); /* Accepts NULL. */
/* False where the file system refused O_DIRECT; then nothing has to be aligned. */
bool disk_file_is_direct(struct disk *self, const struct disk_file *file);
MUST_USE enum status disk_file_size(struct disk *self, struct disk_file *file, uint64_t *out_bytes);
MUST_USE enum status disk_file_read(struct disk *self, struct disk_file *file, uint64_t position,
                                    void *bytes, size_t byte_count, size_t *out_byte_count);
MUST_USE enum status disk_file_write(struct disk *self, struct disk_file *file, uint64_t position,
                                     const void *bytes, size_t byte_count);
MUST_USE enum status disk_file_sync(struct disk *self, struct disk_file *file);
/* Everything on the file system that holds this file: bytes, sizes and names. Tells of failures since
 * the file was opened, so it is opened before the first of what is to be safe. */
MUST_USE enum status disk_file_sync_all(struct disk *self, struct disk_file *file);
MUST_USE enum status disk_file_truncate(struct disk *self, struct disk_file *file,
                                        uint64_t byte_count);
MUST_USE enum status disk_file_allocate(struct disk *self, struct disk_file *file,
                                        uint64_t position, uint64_t byte_count);
MUST_USE enum status disk_rename(struct disk *self, const char *from, const char *to);
MUST_USE enum status disk_remove(struct disk *self, const char *path);
MUST_USE enum status disk_make_directory(struct disk *self, const char *path); /* OK if there. */
MUST_USE enum status disk_sync_directory(struct disk *self, const char *path);
MUST_USE enum status disk_list(struct disk *self, const char *path,
                               void (*on_entry)(void *context, const char *name,
                                                bool is_directory),
                               void *context);
MUST_USE enum status disk_space_of(struct disk *self, const char *path,
                                   struct disk_space *out_space);
MUST_USE enum status disk_lane_open(struct disk *self, struct loop *loop, const char *name,
                                    struct disk_lane **out_lane);
void disk_lane_close(struct disk *self, struct disk_lane *lane); /* Accepts NULL. */
/* Cannot fail: failures arrive in on_done, never from inside this call. */
void disk_submit(struct disk *self, struct disk_lane *lane, struct disk_request *request);

/* Replaces a small file as a whole: temporary name, write, sync, rename, sync of the directory.
 * After a crash the old or the new content is there, never a mixture. */
MUST_USE enum status disk_replace_file(struct disk *self, const char *directory, const char *name,
                                       const void *bytes, size_t byte_count);
/* Overwrites a small file, or makes it. Nothing is flushed: until the next disk_file_sync_all() a
 * crash may leave anything in it, so it is for what is checked when it is read, or written again. */
MUST_USE enum status disk_write_file(struct disk *self, const char *path, const void *bytes,
                                     size_t byte_count);
/* Reads a whole file of at most `byte_count_max` bytes (else STATUS_FULL) into a malloc'ed buffer
 * that the caller frees. */
MUST_USE enum status disk_read_file(struct disk *self, const char *path, size_t byte_count_max,
                                    uint8_t **out_bytes, size_t *out_byte_count);
