#include "client/consumer_call.h"

#include "proto/kafka/api_key.h"
#include "proto/kafka/error_code.h"
#include "proto/kafka/fetch.h"
#include "proto/kafka/list_offsets.h"
#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

#define FETCH_VERSION_MIN 4
#define FETCH_VERSION_MAX 12 /* 13 names topics by id. */
#define OFFSETS_VERSION_MIN 1
#define OFFSETS_VERSION_MAX 7
#define HASTY_WAIT_MS 10
#define ENTRY_ROOM_FIRST 8U
#define TIME_LATEST (-1)
#define TIME_EARLIEST (-2)

struct consumer_call *consumer_call_new(struct consumer_core *core, int32_t node, bool is_fetch)
{
    struct consumer_call *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return NULL;
    }
    self->core = core;
    self->node = node;
    self->is_fetch = is_fetch;
    list_append(&core->calls, &self->in_core);
    return self;
}

enum status consumer_call_add(struct consumer_call *self, struct consumer_partition *partition)
{
    if (self->entry_count == CONSUMER_CALL_ENTRIES_MAX) {
        return STATUS_FULL;
    }
    if (self->entry_count == self->entry_room) {
        uint32_t room = self->entry_room == 0 ? ENTRY_ROOM_FIRST : self->entry_room * 2;
        struct consumer_call_entry *grown = realloc(self->entries, room * sizeof *grown);
        if (grown == NULL) {
            return STATUS_NO_MEMORY;
        }
        self->entries = grown;
        self->entry_room = room;
    }
    self->entries[self->entry_count++] =
        (struct consumer_call_entry){.partition = partition,
                                     .generation = partition->generation,
                                     .position = partition->position};
    partition->is_asked = true;
    return STATUS_OK;
}

struct consumer_call_entry *consumer_call_find(struct consumer_call *self, struct wire_text topic,
                                               int32_t partition)
{
    for (uint32_t i = 0; i < self->entry_count; i++) {
        struct consumer_call_entry *entry = &self->entries[i];
        const struct cluster_topic *known = entry->partition->topic;
        if (entry->partition->index == partition && known->name_bytes == topic.byte_count &&
            memcmp(known->name, topic.bytes, (size_t)topic.byte_count) == 0) {
            return entry->is_answered ? NULL : entry;
        }
    }
    return NULL;
}

/* ---- the questions ---- */

static struct wire_text topic_name(const struct consumer_call_entry *entry)
{
    return (struct wire_text){entry->partition->topic->name, entry->partition->topic->name_bytes};
}

static bool begins_topic(const struct consumer_call *self, uint32_t index)
{
    return index == 0 ||
           self->entries[index].partition->topic != self->entries[index - 1].partition->topic;
}

static uint32_t count_topics(const struct consumer_call *self)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < self->entry_count; i++) {
        count += begins_topic(self, i);
    }
    return count;
}

static int32_t known_leader_epoch(const struct consumer_call_entry *entry)
{
    return entry->partition->topic->partitions[entry->partition->index].leader_epoch;
}

static void fetch_encode(struct ask *ask, struct wire_writer *writer)
{
    struct consumer_call *self = container_of(ask, struct consumer_call, ask);
    const struct consumer_core_options *options = &self->core->options;
    struct kafka_fetch_request request;
    kafka_fetch_request_defaults(&request);
    request.replica_id = -1;
    request.max_wait_ms = self->is_hasty ? HASTY_WAIT_MS : (int32_t)options->fetch_wait_ms;
    request.min_bytes = 1;
    request.max_bytes = options->fetch_bytes_max;
    request.isolation_level = options->is_committed ? 1 : 0;
    request.wants_ingested_times = ask->is_millrace;
    request.topics = arena_take_array(&ask->arena, count_topics(self), sizeof *request.topics);
    struct kafka_fetch_request_fetch_partition *partitions =
        arena_take_array(&ask->arena, self->entry_count, sizeof *partitions);
    if (request.topics == NULL || partitions == NULL) {
        wire_writer_fail(writer, STATUS_NO_MEMORY);
        return;
    }
    struct kafka_fetch_request_fetch_topic *topic = NULL;
    for (uint32_t i = 0; i < self->entry_count; i++) {
        if (begins_topic(self, i)) {
            topic = &request.topics[request.topics_count++];
            kafka_fetch_request_fetch_topic_defaults(topic);
            topic->topic = topic_name(&self->entries[i]);
            topic->partitions = &partitions[i];
        }
        check(topic != NULL);
        topic->partitions_count += 1;
        kafka_fetch_request_fetch_partition_defaults(&partitions[i]);
        partitions[i].partition = self->entries[i].partition->index;
        partitions[i].current_leader_epoch = known_leader_epoch(&self->entries[i]);
        partitions[i].fetch_offset = self->entries[i].position;
        partitions[i].partition_max_bytes = options->partition_bytes_max;
    }
    kafka_fetch_request_encode(&request, ask->version, writer);
}

static int64_t start_time(const struct consumer_start *start)
{
    switch (start->kind) {
    case CONSUMER_START_EARLIEST:
        return TIME_EARLIEST;
    case CONSUMER_START_LATEST:
        return TIME_LATEST;
    case CONSUMER_START_TIME:
        return start->value < 0 ? 0 : start->value;
    case CONSUMER_START_OFFSET:
        break;
    }
    check_unreachable("an offset needs no question");
}

static void offsets_encode(struct ask *ask, struct wire_writer *writer)
{
    struct consumer_call *self = container_of(ask, struct consumer_call, ask);
    struct kafka_list_offsets_request request;
    kafka_list_offsets_request_defaults(&request);
    request.replica_id = -1;
    /* Version 1 has no field for it; then latest means the high watermark. */
    const struct consumer_core_options *options = &self->core->options;
    bool is_committed = options->is_committed && !options->is_end_uncommitted;
    request.isolation_level = is_committed && ask->version >= 2 ? 1 : 0;
    request.topics = arena_take_array(&ask->arena, count_topics(self), sizeof *request.topics);
    struct kafka_list_offsets_request_list_offsets_partition *partitions =
        arena_take_array(&ask->arena, self->entry_count, sizeof *partitions);
    if (request.topics == NULL || partitions == NULL) {
        wire_writer_fail(writer, STATUS_NO_MEMORY);
        return;
    }
    struct kafka_list_offsets_request_list_offsets_topic *topic = NULL;
    for (uint32_t i = 0; i < self->entry_count; i++) {
        if (begins_topic(self, i)) {
            topic = &request.topics[request.topics_count++];
            kafka_list_offsets_request_list_offsets_topic_defaults(topic);
            topic->name = topic_name(&self->entries[i]);
            topic->partitions = &partitions[i];
        }
        check(topic != NULL);
        topic->partitions_count += 1;
        kafka_list_offsets_request_list_offsets_partition_defaults(&partitions[i]);
        partitions[i].partition_index = self->entries[i].partition->index;
        partitions[i].current_leader_epoch = known_leader_epoch(&self->entries[i]);
        partitions[i].timestamp = start_time(&self->entries[i].partition->start);
    }
    kafka_list_offsets_request_encode(&request, ask->version, writer);
}

/* ---- the answers ---- */

static void
offset_answered(struct consumer_call_entry *entry,
                const struct kafka_list_offsets_response_list_offsets_partition_response *answer)
{
    struct consumer_partition *partition = entry->partition;
    entry->is_answered = true;
    if (partition->generation != entry->generation) {
        return; /* It was moved since. */
    }
    if (answer->error_code != ERROR_CODE_NONE) {
        consumer_core_again(partition, answer->error_code);
        return;
    }
    if (answer->offset >= 0) {
        consumer_core_place(partition, answer->offset);
    } else if (partition->start.kind == CONSUMER_START_TIME) {
        /* No record is that young: its place is the end, which has to be asked for. */
        partition->start = (struct consumer_start){.kind = CONSUMER_START_LATEST};
    } else {
        consumer_core_again(partition, ERROR_CODE_OFFSET_NOT_AVAILABLE);
    }
}

static enum status take_offsets(struct consumer_call *self)
{
    struct kafka_list_offsets_response answer;
    TRY(kafka_list_offsets_response_decode(&self->ask.call.reader, self->ask.version,
                                           &self->ask.arena, &answer));
    for (int32_t i = 0; i < answer.topics_count; i++) {
        for (int32_t j = 0; j < answer.topics[i].partitions_count; j++) {
            struct consumer_call_entry *entry = consumer_call_find(
                self, answer.topics[i].name, answer.topics[i].partitions[j].partition_index);
            if (entry != NULL) {
                offset_answered(entry, &answer.topics[i].partitions[j]);
            }
        }
    }
    return STATUS_OK;
}

static void call_on_done(struct ask *ask, enum status status)
{
    struct consumer_call *self = container_of(ask, struct consumer_call, ask);
    struct consumer_core *core = self->core;
    for (uint32_t i = 0; i < self->entry_count; i++) {
        self->entries[i].partition->is_asked = false;
    }
    if (status == STATUS_OK && !core->is_closing) {
        status = self->is_fetch ? fetch_answer_take(self) : take_offsets(self);
    }
    for (uint32_t i = 0; i < self->entry_count && !core->is_closing; i++) {
        struct consumer_call_entry *entry = &self->entries[i];
        if (entry->is_answered || entry->generation != entry->partition->generation) {
            continue;
        }
        if (status == STATUS_UNSUPPORTED) {
            consumer_core_fail(entry->partition, status, 0);
        } else {
            consumer_core_again(entry->partition, ERROR_CODE_NETWORK_EXCEPTION);
        }
    }
    list_remove(&self->in_core);
    ask_done(&self->ask);
    free(self->entries);
    free(self);
    consumer_core_pump(core);
}

void consumer_call_send(struct consumer_call *self)
{
    const struct consumer_core_options *options = &self->core->options;
    int64_t wait_ms = self->is_fetch ? options->fetch_wait_ms : 0;
    self->ask =
        (struct ask){.api_key = self->is_fetch ? API_KEY_FETCH : API_KEY_LIST_OFFSETS,
                     .version_min = self->is_fetch ? FETCH_VERSION_MIN : OFFSETS_VERSION_MIN,
                     .version_max = self->is_fetch ? FETCH_VERSION_MAX : OFFSETS_VERSION_MAX,
                     .timeout_ms = options->request_timeout_ms + wait_ms,
                     .encode = self->is_fetch ? fetch_encode : offsets_encode,
                     .on_done = call_on_done};
    enum status status =
        cluster_ask(&self->core->cluster, self->node,
                    self->is_fetch ? CLUSTER_LANE_LONG : CLUSTER_LANE_SHORT, &self->ask);
    if (status != STATUS_OK) {
        call_on_done(&self->ask, status);
    }
}
