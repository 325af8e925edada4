/* Directories that belong to nobody: see log_store_put_strays_aside(). */
#include "broker/log/checkpoint.h"
#include "broker/log/log_directory.h"
#include "broker/log/log_name.h"
#include "proto/sys/check.h"

#include <stdio.h>

struct search {
    struct log_store *store;
    bool (*is_stray)(void *context, const struct wire_uuid *topic_id);
    void *context;
    uint32_t count;
};

static void path_of(const struct log_store *store, const char *name,
                    char out_path[DISK_PATH_BYTES_MAX])
{
    int length = snprintf(out_path, DISK_PATH_BYTES_MAX, "%s/%s", store->directory, name);
    check(length > 0 && (size_t)length < DISK_PATH_BYTES_MAX);
}

/* First the name, then the record: a death in between leaves an entry that nobody asks for. */
static enum status put_aside(struct log_store *store, const char *path,
                             const struct log_name_directory *parts, const struct wire_uuid *owner)
{
    char name[LOG_NAME_BYTES_MAX + 1];
    char aside[DISK_PATH_BYTES_MAX];
    log_name_of_stray_directory(parts->topic_name, parts->partition, owner, name);
    path_of(store, name, aside);
    TRY(disk_rename(store->disk, path, aside));
    TRY(disk_sync_directory(store->disk, store->directory));
    return checkpoint_remove_former(store, owner, parts->partition);
}

static bool is_in_charge(const struct log_store *store, const struct wire_uuid *topic_id,
                         int32_t partition)
{
    const struct log_store_options *options = &store->options;
    return options->is_in_charge == NULL ||
           options->is_in_charge(options->context, topic_id, partition);
}

static void search_on_entry(void *context, const char *name, bool is_directory)
{
    struct search *search = context;
    struct log_store *store = search->store;
    struct log_name_directory parts;
    if (!is_directory || !log_name_parse_directory(name, &parts) || parts.state != LOG_NAME_LIVE) {
        return;
    }
    char path[DISK_PATH_BYTES_MAX];
    path_of(store, name, path);
    struct wire_uuid owner;
    bool exists = false;
    if (log_directory_owner(store->disk, path, &owner, &exists) != STATUS_OK ||
        log_table_find(&store->table, &owner, parts.partition) != NULL ||
        checkpoint_has_removed(store, &owner, parts.partition) ||
        !is_in_charge(store, &owner, parts.partition) ||
        !search->is_stray(search->context, &owner)) {
        return;
    }
    enum status status = put_aside(store, path, &parts, &owner);
    search->count += 1;
    trace_line(store->loop->trace, TRACE_WARN, "log", "stray",
               "path=\"%s\" moved=\"%s\" next=\"remove it when nobody misses it\"", path,
               status_text(status));
}

void log_store_put_strays_aside(struct log_store *self,
                                bool (*is_stray)(void *context, const struct wire_uuid *topic_id),
                                void *context)
{
    struct search search = {.store = self, .is_stray = is_stray, .context = context};
    enum status status = disk_list(self->disk, self->directory, search_on_entry, &search);
    if (status != STATUS_OK || search.count > 0) {
        trace_line(self->loop->trace, TRACE_INFO, "log", "strays", "count=%u status=\"%s\"",
                   search.count, status_text(status));
    }
}
