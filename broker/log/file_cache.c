#include "broker/log/file_cache.h"

#include "proto/sys/check.h"

#include <stdlib.h>

#define FILE_CACHE_MAGIC 0xf11ecac4U
#define FILE_HANDLE_MAGIC 0xf11e4a4dU

void file_cache_init(struct file_cache *self, struct disk *disk, uint32_t count_max)
{
    check(count_max > 0);
    *self = (struct file_cache){.magic = FILE_CACHE_MAGIC, .disk = disk, .count_max = count_max};
    list_init(&self->recent);
}

void file_cache_done(struct file_cache *self)
{
    if (self->magic == 0) {
        return;
    }
    check(self->magic == FILE_CACHE_MAGIC);
    check(list_is_empty(&self->recent));
    *self = (struct file_cache){0};
}

static void close_handle(struct file_handle *handle)
{
    check(handle->home == NULL);
    list_remove(&handle->link);
    handle->cache->count -= 1;
    disk_file_close(handle->cache->disk, handle->file);
    *handle = (struct file_handle){0};
    free(handle);
}

/* Closes what nobody uses until one more fits. */
static void make_room(struct file_cache *self)
{
    list_for_each_removable(link, &self->recent)
    {
        if (self->count < self->count_max) {
            return;
        }
        struct file_handle *handle = container_of(link, struct file_handle, link);
        if (handle->reference_count == 1 && handle->home != NULL) {
            file_cache_forget(handle->home);
        }
    }
}

enum status file_cache_open(struct file_cache *self, const char *path, unsigned flags,
                            struct file_handle **home)
{
    check(self->magic == FILE_CACHE_MAGIC);
    if (*home != NULL) {
        check((*home)->home == home);
        list_remove(&(*home)->link);
        list_append(&self->recent, &(*home)->link);
        return STATUS_OK;
    }
    make_room(self);
    struct file_handle *handle = calloc(1, sizeof *handle);
    if (handle == NULL) {
        return STATUS_NO_MEMORY;
    }
    enum status status = disk_open(self->disk, path, flags, &handle->file);
    if (status != STATUS_OK) {
        free(handle);
        return status;
    }
    handle->magic = FILE_HANDLE_MAGIC;
    handle->reference_count = 1;
    handle->cache = self;
    handle->home = home;
    list_append(&self->recent, &handle->link);
    self->count += 1;
    *home = handle;
    return STATUS_OK;
}

void file_cache_forget(struct file_handle **home)
{
    struct file_handle *handle = *home;
    if (handle == NULL) {
        return;
    }
    check(handle->magic == FILE_HANDLE_MAGIC);
    check(handle->home == home);
    *home = NULL;
    handle->home = NULL;
    file_cache_unref(handle);
}

struct file_handle *file_cache_ref(struct file_handle *handle)
{
    check(handle->magic == FILE_HANDLE_MAGIC);
    handle->reference_count += 1;
    return handle;
}

void file_cache_unref(struct file_handle *handle)
{
    check(handle->magic == FILE_HANDLE_MAGIC);
    check(handle->reference_count > 0);
    handle->reference_count -= 1;
    if (handle->reference_count == 0) {
        close_handle(handle);
    }
}
