#include "broker/coordinator/group_offsets.h"

#include "broker/coordinator/group_codec.h"
#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

void group_offsets_init(struct group_offsets *self)
{
    *self = (struct group_offsets){0};
    text_table_init(&self->topics);
    list_init(&self->pending);
}

static void free_topic(struct group_offsets *self, struct group_topic *topic)
{
    for (uint32_t i = 0; i < topic->row_count; i++) {
        text_table_drop(&topic->rows[i].metadata);
    }
    text_table_remove(&self->topics, &topic->entry);
    text_table_drop(&topic->entry.name);
    free(topic->rows);
    free(topic);
}

static void free_pending(struct group_pending *pending)
{
    list_remove(&pending->link);
    text_table_drop(&pending->topic);
    text_table_drop(&pending->row.metadata);
    free(pending);
}

void group_offsets_done(struct group_offsets *self)
{
    text_table_for_each(entry, &self->topics)
    {
        free_topic(self, container_of(entry, struct group_topic, entry));
    }
    text_table_done(&self->topics);
    list_for_each_removable(link, &self->pending)
    {
        free_pending(container_of(link, struct group_pending, link));
    }
}

/* The first row whose partition is not below `partition`. */
static uint32_t place_of(const struct group_topic *topic, int32_t partition)
{
    uint32_t low = 0;
    uint32_t high = topic->row_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (topic->rows[middle].partition < partition) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct group_topic *find_topic(const struct group_offsets *self, struct wire_text name)
{
    struct text_entry *entry = text_table_find(&self->topics, name);
    return entry == NULL ? NULL : container_of(entry, struct group_topic, entry);
}

const struct group_offset *group_offsets_find(const struct group_offsets *self,
                                              struct wire_text topic_name, int32_t partition)
{
    const struct group_topic *topic = find_topic(self, topic_name);
    if (topic == NULL) {
        return NULL;
    }
    uint32_t place = place_of(topic, partition);
    bool is_there = place < topic->row_count && topic->rows[place].partition == partition;
    return is_there ? &topic->rows[place] : NULL;
}

bool group_offsets_has_pending(const struct group_offsets *self, struct wire_text topic,
                               int32_t partition)
{
    list_for_each(link, &self->pending)
    {
        const struct group_pending *pending = container_of(link, struct group_pending, link);
        if (pending->row.partition == partition && wire_text_same(pending->topic, topic)) {
            return true;
        }
    }
    return false;
}

bool group_offsets_is_empty(const struct group_offsets *self)
{
    return self->row_count == 0 && list_is_empty(&self->pending);
}

static void remove_row(struct group_offsets *self, struct wire_text name, int32_t partition)
{
    struct group_topic *topic = find_topic(self, name);
    if (topic == NULL) {
        return;
    }
    uint32_t place = place_of(topic, partition);
    if (place == topic->row_count || topic->rows[place].partition != partition) {
        return;
    }
    text_table_drop(&topic->rows[place].metadata);
    topic->row_count -= 1;
    memmove(topic->rows + place, topic->rows + place + 1,
            (topic->row_count - place) * sizeof *topic->rows);
    self->row_count -= 1;
    if (topic->row_count == 0) {
        free_topic(self, topic);
    }
}

static struct group_topic *make_topic(struct group_offsets *self, struct wire_text name)
{
    struct group_topic *topic = calloc(1, sizeof *topic);
    check(topic != NULL);
    text_table_add(&self->topics, &topic->entry, text_table_copy(name));
    return topic;
}

/* `row->metadata` is taken over. */
static void put_row(struct group_offsets *self, struct wire_text name,
                    const struct group_offset *row)
{
    struct group_topic *topic = find_topic(self, name);
    topic = topic != NULL ? topic : make_topic(self, name);
    uint32_t place = place_of(topic, row->partition);
    if (place < topic->row_count && topic->rows[place].partition == row->partition) {
        text_table_drop(&topic->rows[place].metadata);
        topic->rows[place] = *row;
        return;
    }
    if (topic->row_count == topic->row_capacity) {
        topic->row_capacity = topic->row_capacity == 0 ? 4 : topic->row_capacity * 2;
        topic->rows = realloc(topic->rows, topic->row_capacity * sizeof *topic->rows);
        check(topic->rows != NULL);
    }
    memmove(topic->rows + place + 1, topic->rows + place,
            (topic->row_count - place) * sizeof *topic->rows);
    topic->rows[place] = *row;
    topic->row_count += 1;
    self->row_count += 1;
}

static struct group_offset row_of(int32_t partition, const struct kafka_offset_commit_value *value,
                                  int64_t record_offset)
{
    return (struct group_offset){.partition = partition,
                                 .leader_epoch = value->leader_epoch,
                                 .offset = value->offset,
                                 .commit_ms = value->commit_timestamp,
                                 .expire_ms = value->expire_timestamp,
                                 .record_offset = record_offset,
                                 .topic_id = value->topic_id,
                                 .metadata = text_table_copy(value->metadata)};
}

static struct group_pending *find_pending(const struct group_offsets *self, int64_t producer_id,
                                          struct wire_text topic, int32_t partition)
{
    list_for_each(link, &self->pending)
    {
        struct group_pending *pending = container_of(link, struct group_pending, link);
        if (pending->producer_id == producer_id && pending->row.partition == partition &&
            wire_text_same(pending->topic, topic)) {
            return pending;
        }
    }
    return NULL;
}

/* Of one transaction only the newest row of a partition counts. */
static void add_pending(struct group_offsets *self, struct wire_text topic,
                        const struct group_offset *row, const struct ledger_record *record)
{
    struct group_pending *pending = find_pending(self, record->producer_id, topic, row->partition);
    if (pending != NULL) {
        text_table_drop(&pending->row.metadata);
        pending->producer_epoch = record->producer_epoch;
        pending->row = *row;
        return;
    }
    pending = calloc(1, sizeof *pending);
    check(pending != NULL);
    pending->producer_id = record->producer_id;
    pending->producer_epoch = record->producer_epoch;
    pending->topic = text_table_copy(topic);
    pending->row = *row;
    list_append(&self->pending, &pending->link);
}

void group_offsets_apply(struct group_offsets *self, struct wire_text topic, int32_t partition,
                         const struct kafka_offset_commit_value *value,
                         const struct ledger_record *record)
{
    if (value == NULL) {
        remove_row(self, topic, partition);
        return;
    }
    struct group_offset row = row_of(partition, value, record->offset);
    if (record->producer_id >= 0) {
        add_pending(self, topic, &row, record);
    } else {
        put_row(self, topic, &row);
    }
}

void group_offsets_end_txn(struct group_offsets *self, int64_t producer_id, bool is_commit)
{
    list_for_each_removable(link, &self->pending)
    {
        struct group_pending *pending = container_of(link, struct group_pending, link);
        if (pending->producer_id != producer_id) {
            continue;
        }
        const struct group_offset *present =
            group_offsets_find(self, pending->topic, pending->row.partition);
        /* What was committed behind it without a transaction is newer. */
        if (is_commit && (present == NULL || present->record_offset < pending->row.record_offset)) {
            put_row(self, pending->topic, &pending->row);
            pending->row.metadata = (struct wire_text){NULL, -1};
        }
        free_pending(pending);
    }
}

bool group_offsets_is_expired(const struct group_offset *row, int64_t since_ms, int64_t now_ms,
                              int64_t retention_ms)
{
    if (row->expire_ms >= 0) {
        return now_ms >= row->expire_ms;
    }
    int64_t base_ms = since_ms > row->commit_ms ? since_ms : row->commit_ms;
    return now_ms - base_ms >= retention_ms;
}

static void snapshot_row(struct ledger_snapshot_writer *writer, struct wire_text group,
                         struct wire_text topic, const struct group_offset *row,
                         const struct group_pending *pending)
{
    struct group_codec_record made;
    group_codec_init(&made);
    group_codec_offset(&made, group, topic, row);
    struct ledger_record record = {.key = made.key,
                                   .value = made.value,
                                   .offset = row->record_offset,
                                   .producer_id = pending == NULL ? -1 : pending->producer_id,
                                   .producer_epoch =
                                       pending == NULL ? -1 : pending->producer_epoch};
    ledger_snapshot_add(writer, &record);
    group_codec_done(&made);
}

void group_offsets_snapshot(const struct group_offsets *self, struct wire_text group,
                            struct ledger_snapshot_writer *writer)
{
    text_table_for_each(entry, &self->topics)
    {
        const struct group_topic *topic = container_of(entry, struct group_topic, entry);
        for (uint32_t i = 0; i < topic->row_count; i++) {
            snapshot_row(writer, group, entry->name, &topic->rows[i], NULL);
        }
    }
    list_for_each(link, &self->pending)
    {
        const struct group_pending *pending = container_of(link, struct group_pending, link);
        snapshot_row(writer, group, pending->topic, &pending->row, pending);
    }
}
