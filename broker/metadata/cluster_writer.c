#include "broker/metadata/cluster_writer.h"

#include "broker/metadata/image_delta.h"
#include "broker/metadata/image_snapshot.h"
#include "broker/metadata/shared_node.h"
#include "proto/internal/cluster_record.pb-c.h"
#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

/* Protobuf's tag of a length-delimited field: number * 8 + 2. */
#define TAG_COMMAND_RECORDS (4U << 3 | 2U)
#define TAG_SNAPSHOT_RECORDS (3U << 3 | 2U)

void cluster_writer_init_command(struct cluster_writer *self)
{
    *self = (struct cluster_writer){.tag = TAG_COMMAND_RECORDS};
}

void cluster_writer_init_snapshot(struct cluster_writer *self)
{
    *self = (struct cluster_writer){.tag = TAG_SNAPSHOT_RECORDS};
}

void cluster_writer_done(struct cluster_writer *self)
{
    free(self->bytes);
    *self = (struct cluster_writer){0};
}

struct cluster_writer_mark cluster_writer_mark(const struct cluster_writer *self)
{
    return (struct cluster_writer_mark){.byte_count = self->byte_count,
                                        .record_count = self->record_count};
}

void cluster_writer_rewind(struct cluster_writer *self, struct cluster_writer_mark mark)
{
    check(mark.byte_count <= self->byte_count);
    check(mark.record_count <= self->record_count);
    self->byte_count = mark.byte_count;
    self->record_count = mark.record_count;
}

static void reserve(struct cluster_writer *self, size_t byte_count)
{
    size_t wanted = self->byte_count + byte_count;
    if (wanted <= self->capacity) {
        return;
    }
    size_t capacity = self->capacity == 0 ? 256 : self->capacity;
    while (capacity < wanted) {
        capacity *= 2;
    }
    self->bytes = shared_node_grow(self->bytes, capacity, 1);
    self->capacity = capacity;
}

static void append_record(struct cluster_writer *self, const Millrace__Cluster__Record *record)
{
    check(self->tag != 0);
    size_t byte_count = millrace__cluster__record__get_packed_size(record);
    reserve(self, byte_count + 11);
    self->bytes[self->byte_count++] = self->tag;
    size_t left = byte_count;
    while (left >= 0x80) {
        self->bytes[self->byte_count++] = (uint8_t)(left | 0x80);
        left >>= 7;
    }
    self->bytes[self->byte_count++] = (uint8_t)left;
    size_t packed = millrace__cluster__record__pack(record, self->bytes + self->byte_count);
    check(packed == byte_count);
    self->byte_count += byte_count;
    self->record_count += 1;
}

/* protobuf-c has no const in its structs; packing only reads. */
static ProtobufCBinaryData bytes_of(const void *bytes, size_t byte_count)
{
    union {
        const void *read_only;
        uint8_t *data;
    } view = {.read_only = bytes};
    return (ProtobufCBinaryData){.len = byte_count, .data = view.data};
}

static char *text_of(const char *text)
{
    union {
        const char *read_only;
        char *text;
    } view = {.read_only = text};
    return view.text;
}

static int32_t *nodes_of(const int32_t *nodes)
{
    union {
        const int32_t *read_only;
        int32_t *nodes;
    } view = {.read_only = nodes};
    return view.nodes;
}

void cluster_writer_cluster(struct cluster_writer *self, const struct wire_uuid *cluster_id)
{
    Millrace__Cluster__Cluster cluster;
    millrace__cluster__cluster__init(&cluster);
    cluster.cluster_id = bytes_of(cluster_id->bytes, sizeof cluster_id->bytes);
    Millrace__Cluster__Record record;
    millrace__cluster__record__init(&record);
    record.kind_case = MILLRACE__CLUSTER__RECORD__KIND_CLUSTER;
    record.cluster = &cluster;
    append_record(self, &record);
}

void cluster_writer_register(struct cluster_writer *self, const struct image_broker *broker)
{
    Millrace__Cluster__Endpoint endpoints[IMAGE_ENDPOINTS_MAX];
    Millrace__Cluster__Endpoint *pointers[IMAGE_ENDPOINTS_MAX];
    check(broker->endpoint_count <= IMAGE_ENDPOINTS_MAX);
    for (uint32_t i = 0; i < broker->endpoint_count; i++) {
        millrace__cluster__endpoint__init(&endpoints[i]);
        endpoints[i].listener = text_of(broker->endpoints[i].listener);
        endpoints[i].host = text_of(broker->endpoints[i].host);
        endpoints[i].port = broker->endpoints[i].port;
        endpoints[i].security = text_of(broker->endpoints[i].security);
        pointers[i] = &endpoints[i];
    }
    Millrace__Cluster__RegisterBroker body;
    millrace__cluster__register_broker__init(&body);
    body.broker_id = broker->id;
    body.incarnation_id =
        bytes_of(broker->incarnation_id.bytes, sizeof broker->incarnation_id.bytes);
    body.directory_id = bytes_of(broker->directory_id.bytes, sizeof broker->directory_id.bytes);
    body.broker_epoch = broker->epoch;
    body.n_endpoints = broker->endpoint_count;
    body.endpoints = pointers;
    body.rack = broker->rack == NULL ? body.rack : text_of(broker->rack);
    body.is_fenced = broker->is_fenced;
    body.is_voter = broker->is_voter;
    Millrace__Cluster__Record record;
    millrace__cluster__record__init(&record);
    record.kind_case = MILLRACE__CLUSTER__RECORD__KIND_REGISTER_BROKER;
    record.register_broker = &body;
    append_record(self, &record);
}

void cluster_writer_change_broker(struct cluster_writer *self,
                                  const struct cluster_writer_change *change)
{
    Millrace__Cluster__ChangeBroker body;
    millrace__cluster__change_broker__init(&body);
    body.broker_id = change->broker_id;
    body.broker_epoch = change->broker_epoch;
    body.is_fenced = change->is_fenced;
    body.is_shutting_down = change->is_shutting_down;
    body.is_removed = change->is_removed;
    Millrace__Cluster__Record record;
    millrace__cluster__record__init(&record);
    record.kind_case = MILLRACE__CLUSTER__RECORD__KIND_CHANGE_BROKER;
    record.change_broker = &body;
    append_record(self, &record);
}

void cluster_writer_topic(struct cluster_writer *self, const struct image_topic *topic)
{
    Millrace__Cluster__Topic body;
    millrace__cluster__topic__init(&body);
    body.name = text_of(topic->name);
    body.id = bytes_of(topic->id.bytes, sizeof topic->id.bytes);
    body.is_internal = topic->is_internal;
    Millrace__Cluster__Record record;
    millrace__cluster__record__init(&record);
    record.kind_case = MILLRACE__CLUSTER__RECORD__KIND_TOPIC;
    record.topic = &body;
    append_record(self, &record);
}

static Millrace__Cluster__Partition describe_partition(const struct wire_uuid *topic_id,
                                                       int32_t index,
                                                       const struct image_partition *partition)
{
    Millrace__Cluster__Partition body;
    millrace__cluster__partition__init(&body);
    body.topic_id = bytes_of(topic_id->bytes, sizeof topic_id->bytes);
    body.index = index;
    body.n_replicas = partition->replica_count;
    body.replicas = nodes_of(partition->replicas);
    body.n_isr = partition->isr_count;
    body.isr = nodes_of(partition->isr);
    body.n_elr = partition->elr_count;
    body.elr = nodes_of(partition->elr);
    body.n_last_known_elr = partition->last_known_elr_count;
    body.last_known_elr = nodes_of(partition->last_known_elr);
    body.leader = partition->leader;
    body.leader_epoch = partition->leader_epoch;
    body.partition_epoch = partition->partition_epoch;
    body.is_recovering = partition->is_recovering;
    body.n_adding_replicas = partition->adding_count;
    body.adding_replicas = nodes_of(partition->adding);
    body.n_removing_replicas = partition->removing_count;
    body.removing_replicas = nodes_of(partition->removing);
    return body;
}

void cluster_writer_partition(struct cluster_writer *self, const struct wire_uuid *topic_id,
                              int32_t index, const struct image_partition *partition)
{
    Millrace__Cluster__Partition body = describe_partition(topic_id, index, partition);
    Millrace__Cluster__Record record;
    millrace__cluster__record__init(&record);
    record.kind_case = MILLRACE__CLUSTER__RECORD__KIND_PARTITION;
    record.partition = &body;
    append_record(self, &record);
}

void cluster_writer_change_partition(struct cluster_writer *self, const struct wire_uuid *topic_id,
                                     int32_t index, const struct image_partition *partition)
{
    Millrace__Cluster__Partition body = describe_partition(topic_id, index, partition);
    Millrace__Cluster__ChangePartition change;
    millrace__cluster__change_partition__init(&change);
    change.partition = &body;
    Millrace__Cluster__Record record;
    millrace__cluster__record__init(&record);
    record.kind_case = MILLRACE__CLUSTER__RECORD__KIND_CHANGE_PARTITION;
    record.change_partition = &change;
    append_record(self, &record);
}

void cluster_writer_remove_topic(struct cluster_writer *self, const struct wire_uuid *topic_id)
{
    Millrace__Cluster__RemoveTopic body;
    millrace__cluster__remove_topic__init(&body);
    body.topic_id = bytes_of(topic_id->bytes, sizeof topic_id->bytes);
    Millrace__Cluster__Record record;
    millrace__cluster__record__init(&record);
    record.kind_case = MILLRACE__CLUSTER__RECORD__KIND_REMOVE_TOPIC;
    record.remove_topic = &body;
    append_record(self, &record);
}

static Millrace__Cluster__Config__Kind kind_of(enum image_config_kind kind)
{
    switch (kind) {
    case IMAGE_CONFIG_TOPIC:
        return MILLRACE__CLUSTER__CONFIG__KIND__TOPIC;
    case IMAGE_CONFIG_BROKER:
        return MILLRACE__CLUSTER__CONFIG__KIND__BROKER;
    case IMAGE_CONFIG_CLUSTER:
        return MILLRACE__CLUSTER__CONFIG__KIND__CLUSTER;
    case IMAGE_CONFIG_GROUP:
        return MILLRACE__CLUSTER__CONFIG__KIND__GROUP;
    case IMAGE_CONFIG_CLIENT_METRICS:
        return MILLRACE__CLUSTER__CONFIG__KIND__CLIENT_METRICS;
    default:
        check_unreachable("a kind of configuration");
    }
}

void cluster_writer_config(struct cluster_writer *self, enum image_config_kind kind,
                           const char *name, const char *key, const char *value)
{
    Millrace__Cluster__Config body;
    millrace__cluster__config__init(&body);
    body.kind = kind_of(kind);
    body.name = text_of(name);
    body.key = text_of(key);
    body.value = value == NULL ? body.value : text_of(value);
    body.is_deleted = value == NULL;
    Millrace__Cluster__Record record;
    millrace__cluster__record__init(&record);
    record.kind_case = MILLRACE__CLUSTER__RECORD__KIND_CONFIG;
    record.config = &body;
    append_record(self, &record);
}

void cluster_writer_producer_ids(struct cluster_writer *self, int32_t broker_id,
                                 int64_t broker_epoch, int64_t next_producer_id)
{
    Millrace__Cluster__ProducerIdBlock body;
    millrace__cluster__producer_id_block__init(&body);
    body.broker_id = broker_id;
    body.broker_epoch = broker_epoch;
    body.next_producer_id = next_producer_id;
    Millrace__Cluster__Record record;
    millrace__cluster__record__init(&record);
    record.kind_case = MILLRACE__CLUSTER__RECORD__KIND_PRODUCER_ID_BLOCK;
    record.producer_id_block = &body;
    append_record(self, &record);
}

void cluster_writer_feature(struct cluster_writer *self, const char *name, int32_t level)
{
    Millrace__Cluster__FeatureLevel body;
    millrace__cluster__feature_level__init(&body);
    body.name = text_of(name);
    body.level = level;
    Millrace__Cluster__Record record;
    millrace__cluster__record__init(&record);
    record.kind_case = MILLRACE__CLUSTER__RECORD__KIND_FEATURE_LEVEL;
    record.feature_level = &body;
    append_record(self, &record);
}

void cluster_writer_token(struct cluster_writer *self, const uint8_t token[IMAGE_TOKEN_BYTES],
                          uint64_t index)
{
    Millrace__Cluster__Token body;
    millrace__cluster__token__init(&body);
    body.token = bytes_of(token, IMAGE_TOKEN_BYTES);
    body.index = index;
    Millrace__Cluster__Record record;
    millrace__cluster__record__init(&record);
    record.kind_case = MILLRACE__CLUSTER__RECORD__KIND_TOKEN;
    record.token = &body;
    append_record(self, &record);
}

/* The records go last: their fields have the highest numbers of both messages. */
static uint8_t *append_to_head(const struct cluster_writer *self, uint8_t *bytes,
                               size_t head_byte_count)
{
    if (self->byte_count > 0) {
        memcpy(bytes + head_byte_count, self->bytes, self->byte_count);
    }
    return bytes;
}

uint8_t *cluster_writer_command(const struct cluster_writer *self,
                                const uint8_t token[IMAGE_TOKEN_BYTES], int64_t decided_at_ms,
                                size_t *out_byte_count)
{
    check(self->tag == TAG_COMMAND_RECORDS);
    Millrace__Cluster__Command command;
    millrace__cluster__command__init(&command);
    command.version = IMAGE_DELTA_VERSION;
    command.token = bytes_of(token, token == NULL ? 0 : IMAGE_TOKEN_BYTES);
    command.decided_at_ms = decided_at_ms;
    size_t head_byte_count = millrace__cluster__command__get_packed_size(&command);
    uint8_t *bytes = shared_node_memory(head_byte_count + self->byte_count, 1);
    millrace__cluster__command__pack(&command, bytes);
    *out_byte_count = head_byte_count + self->byte_count;
    return append_to_head(self, bytes, head_byte_count);
}

uint8_t *cluster_writer_snapshot(const struct cluster_writer *self, uint64_t index,
                                 size_t *out_byte_count)
{
    check(self->tag == TAG_SNAPSHOT_RECORDS);
    Millrace__Cluster__Snapshot snapshot;
    millrace__cluster__snapshot__init(&snapshot);
    snapshot.version = IMAGE_SNAPSHOT_VERSION;
    snapshot.index = index;
    size_t head_byte_count = millrace__cluster__snapshot__get_packed_size(&snapshot);
    uint8_t *bytes = shared_node_memory(head_byte_count + self->byte_count, 1);
    millrace__cluster__snapshot__pack(&snapshot, bytes);
    *out_byte_count = head_byte_count + self->byte_count;
    return append_to_head(self, bytes, head_byte_count);
}
