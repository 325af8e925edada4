/* Open segment files, so many and no more: the longest unused is closed when another is wanted.
 *
 * A handle is shared and counted. Its home is the one place that remembers it between uses; when
 * only the home holds it, the cache may close it and clears that place.
 *
 * Owner: the store. Loop: the shard's (lanes use the files of handles that a request holds).
 * Limits: `count_max`, exceeded only while more than that are in use at once. */
#pragma once

#include "proto/sys/disk.h"

#include <stdint.h>

struct file_cache {
    uint32_t magic;
    struct disk *disk;  /* Borrowed for life. */
    struct list recent; /* Handles, longest unused first. */
    uint32_t count;
    uint32_t count_max;
};

struct file_handle {
    uint32_t magic;
    uint32_t reference_count;
    struct file_cache *cache;
    struct disk_file *file;
    struct file_handle **home; /* NULL: forgotten, closed with the last reference. */
    struct list link;
};

void file_cache_init(struct file_cache *self, struct disk *disk, uint32_t count_max);
/* All homes have forgotten theirs. Accepts a zeroed cache. */
void file_cache_done(struct file_cache *self);

/* Makes `*home` a handle of `path` unless it is one already. */
MUST_USE enum status file_cache_open(struct file_cache *self, const char *path, unsigned flags,
                                     struct file_handle **home);
/* The home gives it up (the file is deleted, or its owner ends). */
void file_cache_forget(struct file_handle **home);
struct file_handle *file_cache_ref(struct file_handle *handle);
void file_cache_unref(struct file_handle *handle);
