#include "processor/operator/merging_aggregation.h"

#include "processor/operator/emission.h"
#include "processor/state/changelog.h"
#include "processor/state/group_key.h"
#include "proto/sys/check.h"

#include <stdlib.h>

enum status merging_aggregation_init(struct merging_aggregation *self,
                                     const struct merging_aggregation_options *options)
{
    check(options->task < options->task_count);
    *self = (struct merging_aggregation){.options = *options};
    TRY(aggregation_init(&self->aggregation, options->operator_id, options->plan));
    self->room = emission_room(&self->aggregation, 0);
    TRY(store_init(&self->store, &self->aggregation.codec, options->input_partition_count,
                   options->state_bytes_max));
    uint32_t count = 0;
    for (uint32_t i = options->task; i < options->input_partition_count; i += options->task_count) {
        count += 1;
    }
    self->watermarks = calloc((size_t)count + 1, sizeof *self->watermarks);
    if (self->watermarks == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < count; i++) {
        self->watermark_count += 1;
        TRY(watermark_init(&self->watermarks[i], options->source_partition_count));
    }
    return STATUS_OK;
}

void merging_aggregation_done(struct merging_aggregation *self)
{
    for (uint32_t i = 0; i < self->watermark_count; i++) {
        watermark_done(&self->watermarks[i]);
    }
    free(self->watermarks);
    free(self->listed);
    grow_buffer_done(&self->key);
    grow_buffer_done(&self->value);
    store_done(&self->store);
    aggregation_done(&self->aggregation);
    *self = (struct merging_aggregation){0};
}

struct watermark *merging_aggregation_watermark(const struct merging_aggregation *self,
                                                int32_t partition)
{
    uint32_t task_count = self->options.task_count;
    bool is_ours = partition >= 0 && (uint32_t)partition % task_count == self->options.task &&
                   (uint32_t)partition / task_count < self->watermark_count;
    return is_ours ? &self->watermarks[(uint32_t)partition / task_count] : NULL;
}

static uint32_t partition_at(const struct merging_aggregation *self, uint32_t index)
{
    return self->options.task + index * self->options.task_count;
}

int64_t merging_aggregation_watermark_us(const struct merging_aggregation *self)
{
    int64_t least = self->watermark_count == 0 ? WATERMARK_NONE : INT64_MAX;
    for (uint32_t i = 0; i < self->watermark_count; i++) {
        least = self->watermarks[i].us < least ? self->watermarks[i].us : least;
    }
    return least;
}

static enum status fail(struct merging_aggregation *self, enum status status, const char *why)
{
    self->fault = why;
    return status;
}

static enum status as_limit(struct merging_aggregation *self, enum status status)
{
    if (status == STATUS_FULL) {
        self->fault = "the groups of this task take more memory than state_bytes_max";
    }
    return status;
}

enum status merging_aggregation_restore(struct merging_aggregation *self, struct wire_bytes key,
                                        struct wire_bytes value)
{
    struct changelog_record record;
    enum status status = changelog_read(&self->aggregation.codec, self->aggregation.operator_id,
                                        key, value, &record);
    if (status != STATUS_OK) {
        return fail(self, status, "a record of the changelog is none of this operator");
    }
    uint32_t partition =
        group_key_partition(record.group->hash, self->options.input_partition_count);
    if (merging_aggregation_watermark(self, (int32_t)partition) == NULL ||
        !aggregation_is_start(&self->aggregation, record.group->window_start)) {
        return fail(self, STATUS_CORRUPT, "a group of the changelog belongs to another task");
    }
    if (record.is_removed) {
        store_remove(&self->store, record.group);
        return STATUS_OK;
    }
    return as_limit(self, store_restore(&self->store, record.group));
}

/* ---- entries of the route */

static enum status push_group(struct merging_aggregation *self, uint32_t partition,
                              struct route_record_entry *entry)
{
    const struct group *group = entry->group;
    uint32_t wanted = group_key_partition(group->hash, self->options.input_partition_count);
    if (wanted != partition || !aggregation_is_start(&self->aggregation, group->window_start)) {
        return fail(self, STATUS_CORRUPT, "a group of the route has another partition or window");
    }
    const struct watermark *watermark = merging_aggregation_watermark(self, (int32_t)partition);
    check(watermark != NULL);
    bool is_late = aggregation_is_over(&self->aggregation, group->window_start, watermark->us);
    self->stats.input_rows += (uint64_t)group->input_count;
    if (is_late && entry->kind == ROUTE_RECORD_GROUP) {
        return fail(self, STATUS_CORRUPT,
                    "a group came behind its watermark: its rows cannot be told apart any more");
    }
    if (is_late) {
        self->stats.late_rows += 1;
        return self->options.on_late(self->options.context, &entry->origin);
    }
    return as_limit(self, store_merge(&self->store, group));
}

static enum status push_entry(struct merging_aggregation *self, uint32_t partition,
                              struct route_record_entry *entry)
{
    if (entry->kind != ROUTE_RECORD_MARK) {
        return push_group(self, partition, entry);
    }
    if (entry->mark_partition < 0 ||
        (uint32_t)entry->mark_partition >= self->options.source_partition_count) {
        return fail(self, STATUS_CORRUPT, "a mark of a partition that the source does not have");
    }
    watermark_set(merging_aggregation_watermark(self, (int32_t)partition),
                  (uint32_t)entry->mark_partition, entry->mark);
    return STATUS_OK;
}

enum status merging_aggregation_push(struct merging_aggregation *self, uint32_t partition,
                                     struct wire_bytes value)
{
    check(merging_aggregation_watermark(self, (int32_t)partition) != NULL);
    struct wire_reader reader;
    enum status status = route_record_open(&reader, value);
    while (status == STATUS_OK) {
        struct route_record_entry entry;
        status = route_record_next(&reader, &self->aggregation.codec, &entry);
        if (status == STATUS_NOT_FOUND) {
            return STATUS_OK;
        }
        if (status == STATUS_OK) {
            TRY(push_entry(self, partition, &entry));
        }
    }
    return fail(self, status, "a record of the route breaks its format");
}

/* ---- the end of an epoch */

static uint32_t closed_count(const struct merging_aggregation *self, uint32_t index)
{
    int64_t watermark_us = self->watermarks[index].us;
    if (!self->aggregation.has_window || watermark_us == WATERMARK_NONE) {
        return 0;
    }
    return store_closed_count(&self->store, partition_at(self, index), self->aggregation.size_us,
                              watermark_us);
}

bool merging_aggregation_is_due(const struct merging_aggregation *self)
{
    if (self->store.touched_count > 0) {
        return true;
    }
    for (uint32_t i = 0; i < self->watermark_count; i++) {
        if (closed_count(self, i) > 0) {
            return true;
        }
    }
    return false;
}

static enum status list_grow(struct merging_aggregation *self, size_t count)
{
    if (count <= self->listed_capacity) {
        return STATUS_OK;
    }
    size_t capacity = self->listed_capacity == 0 ? 64 : self->listed_capacity;
    while (capacity < count) {
        capacity *= 2;
    }
    struct group **listed = realloc(self->listed, capacity * sizeof(struct group *));
    if (listed == NULL) {
        return STATUS_NO_MEMORY;
    }
    self->listed = listed;
    self->listed_capacity = capacity;
    return STATUS_OK;
}

static enum status list_window(struct merging_aggregation *self, const struct store_window *window)
{
    TRY(list_grow(self, self->listed_count + window->table.group_count));
    group_table_list(&window->table, self->listed + self->listed_count);
    self->listed_count += window->table.group_count;
    return STATUS_OK;
}

static enum status list_closing(struct merging_aggregation *self)
{
    self->listed_count = 0;
    for (uint32_t i = 0; i < self->watermark_count; i++) {
        uint32_t count = closed_count(self, i);
        const struct store_partition *partition = &self->store.partitions[partition_at(self, i)];
        for (uint32_t k = 0; k < count; k++) {
            TRY(list_window(self, partition->windows[k]));
        }
    }
    for (size_t i = 0; i < self->listed_count; i++) {
        self->listed[i]->flags |= GROUP_IS_CLOSING;
    }
    group_table_sort(self->listed, self->listed_count);
    return STATUS_OK;
}

static enum status emit(struct merging_aggregation *self, struct group **groups, size_t count)
{
    while (count > 0) {
        uint32_t taken = emission_count(&self->aggregation, groups, count, self->room);
        TRY(self->options.on_groups(self->options.context, groups, taken));
        groups += taken;
        count -= taken;
    }
    return STATUS_OK;
}

static enum status tell_change(struct merging_aggregation *self, struct group *group,
                               bool is_removed)
{
    grow_buffer_clear(&self->key);
    grow_buffer_clear(&self->value);
    changelog_put_key(self->aggregation.operator_id, group, &self->key);
    changelog_put_value(&self->aggregation.codec, group, &self->value);
    TRY(self->key.status);
    TRY(self->value.status);
    struct wire_bytes value = {.byte_count = -1};
    if (!is_removed) {
        value = grow_buffer_bytes(&self->value);
        group->flags |= GROUP_IS_LOGGED;
    }
    uint32_t partition = group_key_partition(group->hash, self->options.input_partition_count);
    return self->options.on_change(self->options.context, partition, grow_buffer_bytes(&self->key),
                                   value);
}

/* What the changelog does not know yet need not be taken back from it. */
static enum status tell_changes(struct merging_aggregation *self)
{
    for (size_t i = 0; i < self->listed_count; i++) {
        if ((self->listed[i]->flags & GROUP_IS_LOGGED) != 0) {
            TRY(tell_change(self, self->listed[i], true));
        }
    }
    for (size_t i = 0; i < self->store.touched_count; i++) {
        if ((self->store.touched[i]->flags & GROUP_IS_CLOSING) == 0) {
            TRY(tell_change(self, self->store.touched[i], false));
        }
    }
    return STATUS_OK;
}

enum status merging_aggregation_end_epoch(struct merging_aggregation *self)
{
    struct store *store = &self->store;
    TRY(list_closing(self));
    group_table_sort(store->touched, store->touched_count);
    if (self->aggregation.is_update) {
        TRY(emit(self, store->touched, store->touched_count));
        for (size_t i = 0; i < store->touched_count; i++) {
            store->touched[i]->flags |= GROUP_IS_EMITTED;
        }
    } else {
        TRY(emit(self, self->listed, self->listed_count));
    }
    TRY(tell_changes(self));
    self->stats.updated_rows += store->touched_count;
    self->stats.removed_rows += self->listed_count;
    store_forget_touched(store);
    for (uint32_t i = 0; i < self->watermark_count; i++) {
        store_drop_windows(store, partition_at(self, i), closed_count(self, i));
    }
    return STATUS_OK;
}

enum status merging_aggregation_snapshot(struct merging_aggregation *self, uint32_t partition)
{
    check(merging_aggregation_watermark(self, (int32_t)partition) != NULL);
    self->listed_count = 0;
    const struct store_partition *kept = &self->store.partitions[partition];
    for (uint32_t i = 0; i < kept->window_count; i++) {
        TRY(list_window(self, kept->windows[i]));
    }
    group_table_sort(self->listed, self->listed_count);
    for (size_t i = 0; i < self->listed_count; i++) {
        TRY(tell_change(self, self->listed[i], false));
    }
    return STATUS_OK;
}
