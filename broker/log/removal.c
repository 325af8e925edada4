#include "broker/log/removal.h"

#include "broker/log/log_directory.h"
#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

#define REMOVAL_MAGIC 0x4e30741aU

struct removal_item {
    uint32_t magic;
    struct removal *removal;
    struct list link;
    struct disk_request request;
    struct disk *disk;
    int64_t due_ns;
    bool is_directory;
    char *path; /* Owned. */
};

static void item_free(struct removal_item *item)
{
    list_remove(&item->link);
    free(item->path);
    free(item);
}

void removal_init(struct removal *self, struct loop *loop, const char *root,
                  void (*on_removed)(struct removal *self))
{
    *self = (struct removal){.loop = loop, .root = root, .on_removed = on_removed};
    list_init(&self->items);
}

void removal_done(struct removal *self)
{
    if (self->loop == NULL) {
        return;
    }
    check(self->under_way == NULL);
    list_for_each_removable(link, &self->items)
    {
        item_free(container_of(link, struct removal_item, link));
    }
    *self = (struct removal){0};
}

enum status removal_add(struct removal *self, const char *path, bool is_directory, int64_t delay_ms)
{
    check(delay_ms >= 0);
    struct removal_item *item = calloc(1, sizeof *item);
    if (item == NULL) {
        return STATUS_NO_MEMORY;
    }
    item->magic = REMOVAL_MAGIC;
    item->removal = self;
    item->disk = self->loop->disk;
    item->is_directory = is_directory;
    item->path = strdup(path);
    list_init(&item->link);
    if (item->path == NULL) {
        free(item);
        return STATUS_NO_MEMORY;
    }
    int64_t delay_ms_max = (INT64_MAX - loop_now_ns(self->loop)) / CLOCK_NS_PER_MS;
    item->due_ns = loop_now_ns(self->loop) +
                   (delay_ms < delay_ms_max ? delay_ms : delay_ms_max) * CLOCK_NS_PER_MS;
    list_append(&self->items, &item->link);
    return STATUS_OK;
}

/* On the lane. */
static enum status remove_call(struct disk_request *request)
{
    struct removal_item *item = container_of(request, struct removal_item, request);
    if (!item->is_directory) {
        enum status status = disk_remove(item->disk, item->path);
        return status == STATUS_NOT_FOUND ? STATUS_OK : status;
    }
    /* Its new name first, or a crash could bring back the old one without the files. */
    TRY(disk_sync_directory(item->disk, item->removal->root));
    return log_directory_remove(item->disk, item->path);
}

static void remove_on_done(struct disk_request *request)
{
    struct removal_item *item = container_of(request, struct removal_item, request);
    check(item->magic == REMOVAL_MAGIC);
    struct removal *self = item->removal;
    check(self->under_way == item);
    if (request->status != STATUS_OK) {
        trace_line(self->loop->trace, TRACE_WARN, "log", "removal_failed",
                   "path=\"%s\" why=\"%s\" next=\"tried again at the next start\"", item->path,
                   status_text(request->status));
    }
    self->under_way = NULL;
    item_free(item);
    if (self->on_removed != NULL) {
        self->on_removed(self);
    }
}

void removal_tick(struct removal *self, struct disk_lane *lane)
{
    if (self->under_way != NULL) {
        return;
    }
    int64_t now_ns = loop_now_ns(self->loop);
    list_for_each(link, &self->items)
    {
        struct removal_item *item = container_of(link, struct removal_item, link);
        if (!self->is_hurried && item->due_ns > now_ns) {
            continue;
        }
        list_remove(&item->link);
        self->under_way = item;
        item->request = (struct disk_request){
            .kind = DISK_CALL, .call = remove_call, .on_done = remove_on_done};
        disk_submit(self->loop->disk, lane, &item->request);
        return;
    }
}

bool removal_is_idle(const struct removal *self)
{
    return self->under_way == NULL && list_is_empty(&self->items);
}
