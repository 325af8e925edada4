#include "broker/metadata/image_records.h"

#include "proto/sys/check.h"

#include <string.h>

/* Says why and returns STATUS_INVALID from the calling function when the claim is false. */
#define FIT(claim, why)                                                                            \
    do {                                                                                           \
        if (!(claim)) {                                                                            \
            *out_refusal = (why);                                                                  \
            return STATUS_INVALID;                                                                 \
        }                                                                                          \
    } while (0)

static bool read_uuid(const ProtobufCBinaryData *bytes, struct wire_uuid *out_id)
{
    if (bytes->len != sizeof out_id->bytes) {
        return false;
    }
    memcpy(out_id->bytes, bytes->data, sizeof out_id->bytes);
    return true;
}

static enum status apply_cluster(struct image_draft *draft,
                                 const Millrace__Cluster__Cluster *record, const char **out_refusal)
{
    struct image *head = image_draft_head(draft);
    struct wire_uuid id;
    FIT(read_uuid(&record->cluster_id, &id), "a cluster id has 16 bytes");
    FIT(!wire_uuid_is_zero(&id), "a cluster id is not zero");
    FIT(wire_uuid_is_zero(&head->cluster_id), "the cluster has an id already");
    head->cluster_id = id;
    return STATUS_OK;
}

static enum status read_endpoints(const Millrace__Cluster__RegisterBroker *record,
                                  struct image_broker *broker, const char **out_refusal)
{
    FIT(record->n_endpoints <= IMAGE_ENDPOINTS_MAX, "a broker has too many endpoints");
    for (size_t i = 0; i < record->n_endpoints; i++) {
        const Millrace__Cluster__Endpoint *endpoint = record->endpoints[i];
        FIT(endpoint->port <= UINT16_MAX, "a port is at most 65535");
        broker->endpoints[i] = (struct image_endpoint){
            .listener = endpoint->listener,
            .host = endpoint->host,
            .port = (uint16_t)endpoint->port,
            .security = endpoint->security,
        };
    }
    broker->endpoint_count = (uint32_t)record->n_endpoints;
    return STATUS_OK;
}

static enum status apply_register(struct image_draft *draft,
                                  const Millrace__Cluster__RegisterBroker *record,
                                  const struct image_records_options *options,
                                  const char **out_refusal)
{
    int64_t epoch = record->broker_epoch == 0 ? (int64_t)options->index : record->broker_epoch;
    const struct image_broker *old = image_draft_broker(draft, record->broker_id);
    FIT(record->broker_id >= 0, "a broker id is not negative");
    FIT(epoch > 0, "a broker epoch is positive");
    FIT(old == NULL || epoch > old->epoch, "a broker epoch rises with every registration");
    struct image_broker broker = {
        .id = record->broker_id,
        .epoch = epoch,
        .rack = record->rack[0] == '\0' ? NULL : record->rack,
        .is_fenced = record->is_fenced,
        .is_voter = record->is_voter,
    };
    FIT(read_uuid(&record->incarnation_id, &broker.incarnation_id),
        "an incarnation id has 16 bytes");
    FIT(read_uuid(&record->directory_id, &broker.directory_id), "a directory id has 16 bytes");
    TRY(read_endpoints(record, &broker, out_refusal));
    image_draft_put_broker(draft, &broker);
    return STATUS_OK;
}

static enum status apply_change_broker(struct image_draft *draft,
                                       const Millrace__Cluster__ChangeBroker *record,
                                       const char **out_refusal)
{
    const struct image_broker *old = image_draft_broker(draft, record->broker_id);
    FIT(old != NULL, "the broker is not registered");
    FIT(old->epoch == record->broker_epoch, "the broker has registered again since");
    if (record->is_removed) {
        image_draft_remove_broker(draft, record->broker_id);
        return STATUS_OK;
    }
    struct image_broker broker = *old;
    broker.is_fenced = record->is_fenced;
    broker.is_shutting_down = record->is_shutting_down;
    image_draft_put_broker(draft, &broker);
    return STATUS_OK;
}

static enum status apply_topic(struct image_draft *draft, const Millrace__Cluster__Topic *record,
                               const char **out_refusal)
{
    struct wire_uuid id;
    size_t byte_count = strlen(record->name);
    FIT(byte_count > 0, "a topic has a name");
    FIT(byte_count <= IMAGE_TOPIC_NAME_BYTES_MAX, "a topic's name is too long");
    FIT(read_uuid(&record->id, &id), "a topic id has 16 bytes");
    FIT(!wire_uuid_is_zero(&id), "a topic id is not zero");
    FIT(image_draft_topic(draft, &id) == NULL, "a topic of this id is there");
    FIT(image_draft_topic_by_name(draft, record->name) == NULL, "a topic of this name is there");
    FIT(!image_draft_was_removed(draft, &id), "a removed topic's id is not used again");
    image_draft_add_topic(draft, record->name, &id, record->is_internal);
    return STATUS_OK;
}

static bool is_member(const int32_t *nodes, uint8_t count, int32_t node)
{
    for (uint8_t i = 0; i < count; i++) {
        if (nodes[i] == node) {
            return true;
        }
    }
    return false;
}

/* False when there are too many, one twice, or a negative one. */
static bool read_nodes(const int32_t *from, size_t count, size_t count_max, int32_t *to,
                       uint8_t *to_count)
{
    *to_count = 0;
    if (count > count_max) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (from[i] < 0 || is_member(to, *to_count, from[i])) {
            return false;
        }
        to[i] = from[i];
        *to_count = (uint8_t)(i + 1);
    }
    return true;
}

static bool is_subset(const int32_t *nodes, uint8_t count, const struct image_partition *partition)
{
    for (uint8_t i = 0; i < count; i++) {
        if (!is_member(partition->replicas, partition->replica_count, nodes[i])) {
            return false;
        }
    }
    return true;
}

static enum status read_partition(const Millrace__Cluster__Partition *record,
                                  struct image_partition *out_partition, const char **out_refusal)
{
    struct image_partition p = {
        .leader = record->leader,
        .leader_epoch = record->leader_epoch,
        .partition_epoch = record->partition_epoch,
        .is_recovering = record->is_recovering,
    };
    FIT(read_nodes(record->replicas, record->n_replicas, IMAGE_REPLICAS_MAX, p.replicas,
                   &p.replica_count),
        "replicas are few and different");
    FIT(p.replica_count > 0, "a partition has a replica");
    FIT(read_nodes(record->isr, record->n_isr, IMAGE_REPLICAS_MAX, p.isr, &p.isr_count) &&
            is_subset(p.isr, p.isr_count, &p),
        "the ISR is a set of replicas");
    FIT(read_nodes(record->elr, record->n_elr, IMAGE_REPLICAS_MAX, p.elr, &p.elr_count) &&
            is_subset(p.elr, p.elr_count, &p),
        "the ELR is a set of replicas");
    for (uint8_t i = 0; i < p.elr_count; i++) {
        FIT(!is_member(p.isr, p.isr_count, p.elr[i]), "ISR and ELR have no member in common");
    }
    FIT(read_nodes(record->last_known_elr, record->n_last_known_elr, IMAGE_REPLICAS_MAX,
                   p.last_known_elr, &p.last_known_elr_count),
        "the last known ELR is a set");
    FIT(read_nodes(record->adding_replicas, record->n_adding_replicas, IMAGE_MOVING_MAX, p.adding,
                   &p.adding_count) &&
            is_subset(p.adding, p.adding_count, &p),
        "replicas to add are replicas");
    FIT(read_nodes(record->removing_replicas, record->n_removing_replicas, IMAGE_MOVING_MAX,
                   p.removing, &p.removing_count) &&
            is_subset(p.removing, p.removing_count, &p),
        "replicas to remove are replicas");
    FIT(p.leader == -1 || is_member(p.isr, p.isr_count, p.leader), "the leader is in the ISR");
    FIT(p.leader_epoch >= 0, "a leader epoch is not negative");
    FIT(p.partition_epoch >= 0, "a partition epoch is not negative");
    *out_partition = p;
    return STATUS_OK;
}

static enum status apply_partition(struct image_draft *draft,
                                   const Millrace__Cluster__Partition *record,
                                   const char **out_refusal)
{
    struct wire_uuid id;
    struct image_partition partition;
    FIT(read_uuid(&record->topic_id, &id), "a topic id has 16 bytes");
    struct image_state_topic *topic = image_draft_topic(draft, &id);
    FIT(topic != NULL, "the partition's topic is not there");
    FIT(record->index >= 0 && (uint32_t)record->index == topic->view.partition_count,
        "partitions are added in order");
    TRY(read_partition(record, &partition, out_refusal));
    image_state_topic_append(topic, &partition);
    return STATUS_OK;
}

static enum status apply_change_partition(struct image_draft *draft,
                                          const Millrace__Cluster__ChangePartition *change,
                                          const char **out_refusal)
{
    const Millrace__Cluster__Partition *record = change->partition;
    struct wire_uuid id;
    struct image_partition next;
    FIT(record != NULL, "a change names its partition");
    FIT(read_uuid(&record->topic_id, &id), "a topic id has 16 bytes");
    struct image_state_topic *topic = image_draft_topic(draft, &id);
    FIT(topic != NULL, "the partition's topic is not there");
    const struct image_partition *old = image_topic_partition(&topic->view, record->index);
    FIT(old != NULL, "the partition is not there");
    TRY(read_partition(record, &next, out_refusal));
    FIT(next.partition_epoch == old->partition_epoch + 1, "the partition has changed since");
    FIT(next.leader_epoch >= old->leader_epoch, "a leader epoch never goes back");
    FIT(next.leader == old->leader || next.leader_epoch > old->leader_epoch,
        "a new leader has a new leader epoch");
    topic->partitions[record->index] = next;
    return STATUS_OK;
}

static enum status apply_remove_topic(struct image_draft *draft,
                                      const Millrace__Cluster__RemoveTopic *record,
                                      const char **out_refusal)
{
    struct wire_uuid id;
    FIT(read_uuid(&record->topic_id, &id), "a topic id has 16 bytes");
    FIT(image_draft_topic(draft, &id) != NULL, "the topic is not there");
    image_draft_remove_topic(draft, &id);
    return STATUS_OK;
}

static enum status apply_topic_config(struct image_draft *draft,
                                      const Millrace__Cluster__Config *record,
                                      const char **out_refusal)
{
    struct image_state_topic *topic = image_draft_topic_by_name(draft, record->name);
    FIT(topic != NULL, "the configured topic is not there");
    if (record->is_deleted) {
        image_state_topic_unset(topic, record->key);
    } else {
        image_state_topic_set(topic, record->key, record->value);
    }
    return STATUS_OK;
}

static enum status apply_config(struct image_draft *draft, const Millrace__Cluster__Config *record,
                                const char **out_refusal)
{
    enum image_config_kind kind;
    FIT(record->key[0] != '\0', "a configuration has a key");
    switch (record->kind) {
    case MILLRACE__CLUSTER__CONFIG__KIND__TOPIC:
        return apply_topic_config(draft, record, out_refusal);
    case MILLRACE__CLUSTER__CONFIG__KIND__BROKER:
        kind = IMAGE_CONFIG_BROKER;
        break;
    case MILLRACE__CLUSTER__CONFIG__KIND__CLUSTER:
        kind = IMAGE_CONFIG_CLUSTER;
        break;
    case MILLRACE__CLUSTER__CONFIG__KIND__GROUP:
        kind = IMAGE_CONFIG_GROUP;
        break;
    case MILLRACE__CLUSTER__CONFIG__KIND__CLIENT_METRICS:
        kind = IMAGE_CONFIG_CLIENT_METRICS;
        break;
    case _MILLRACE__CLUSTER__CONFIG__KIND_IS_INT_SIZE:
    default:
        return STATUS_UNSUPPORTED;
    }
    struct image_state_resource *resource = image_draft_resource(draft, kind, record->name);
    if (record->is_deleted) {
        image_state_resource_unset(resource, record->key);
    } else {
        image_state_resource_set(resource, record->key, record->value);
    }
    return STATUS_OK;
}

static enum status apply_producer_ids(struct image_draft *draft,
                                      const Millrace__Cluster__ProducerIdBlock *record,
                                      bool is_snapshot, const char **out_refusal)
{
    struct image *head = image_draft_head(draft);
    FIT(record->next_producer_id > head->next_producer_id, "producer ids only rise");
    if (!is_snapshot) {
        const struct image_broker *broker = image_draft_broker(draft, record->broker_id);
        FIT(broker != NULL, "the broker is not registered");
        FIT(broker->epoch == record->broker_epoch, "the broker has registered again since");
    }
    head->next_producer_id = record->next_producer_id;
    return STATUS_OK;
}

static enum status apply_feature(struct image_draft *draft,
                                 const Millrace__Cluster__FeatureLevel *record,
                                 const char **out_refusal)
{
    FIT(record->name[0] != '\0', "a feature has a name");
    FIT(record->level >= 0, "a feature level is not negative");
    image_draft_put_feature(draft, record->name, record->level);
    return STATUS_OK;
}

static enum status apply_token(struct image_draft *draft, const Millrace__Cluster__Token *record,
                               bool is_snapshot, const char **out_refusal)
{
    FIT(is_snapshot, "tokens are listed in snapshots only");
    FIT(record->token.len == IMAGE_TOKEN_BYTES, "a token has 16 bytes");
    image_state_add_token(image_draft_head(draft), record->token.data, record->index);
    return STATUS_OK;
}

enum status image_records_apply(struct image_draft *draft, const Millrace__Cluster__Record *record,
                                const struct image_records_options *options,
                                const char **out_refusal)
{
    switch (record->kind_case) {
    case MILLRACE__CLUSTER__RECORD__KIND_CLUSTER:
        return apply_cluster(draft, record->cluster, out_refusal);
    case MILLRACE__CLUSTER__RECORD__KIND_REGISTER_BROKER:
        return apply_register(draft, record->register_broker, options, out_refusal);
    case MILLRACE__CLUSTER__RECORD__KIND_CHANGE_BROKER:
        return apply_change_broker(draft, record->change_broker, out_refusal);
    case MILLRACE__CLUSTER__RECORD__KIND_TOPIC:
        return apply_topic(draft, record->topic, out_refusal);
    case MILLRACE__CLUSTER__RECORD__KIND_PARTITION:
        return apply_partition(draft, record->partition, out_refusal);
    case MILLRACE__CLUSTER__RECORD__KIND_CHANGE_PARTITION:
        return apply_change_partition(draft, record->change_partition, out_refusal);
    case MILLRACE__CLUSTER__RECORD__KIND_REMOVE_TOPIC:
        return apply_remove_topic(draft, record->remove_topic, out_refusal);
    case MILLRACE__CLUSTER__RECORD__KIND_CONFIG:
        return apply_config(draft, record->config, out_refusal);
    case MILLRACE__CLUSTER__RECORD__KIND_PRODUCER_ID_BLOCK:
        return apply_producer_ids(draft, record->producer_id_block, options->is_snapshot,
                                  out_refusal);
    case MILLRACE__CLUSTER__RECORD__KIND_FEATURE_LEVEL:
        return apply_feature(draft, record->feature_level, out_refusal);
    case MILLRACE__CLUSTER__RECORD__KIND_TOKEN:
        return apply_token(draft, record->token, options->is_snapshot, out_refusal);
    case MILLRACE__CLUSTER__RECORD__KIND__NOT_SET:
    case _MILLRACE__CLUSTER__RECORD__KIND__CASE_IS_INT_SIZE:
    default:
        return STATUS_UNSUPPORTED;
    }
}
