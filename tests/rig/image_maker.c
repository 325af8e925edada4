#include "tests/rig/image_maker.h"

#include "broker/metadata/image_snapshot.h"
#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

struct image_delta image_maker_apply(struct image **image, struct cluster_writer *writer)
{
    struct image_delta delta;
    size_t byte_count = 0;
    uint8_t *bytes = cluster_writer_command(writer, NULL, 0, &byte_count);
    uint64_t index = image_index(*image) + 1;
    check(image_delta_apply(*image, index, bytes, byte_count, &delta) == STATUS_OK);
    free(bytes);
    cluster_writer_done(writer);
    cluster_writer_init_command(writer);
    image_unref(*image);
    *image = delta.image;
    return delta;
}

void image_maker_apply_fit(struct image **image, struct cluster_writer *writer)
{
    struct image_delta delta = image_maker_apply(image, writer);
    check(!delta.is_refused);
    check(!delta.is_repeated);
}

struct wire_uuid image_maker_id(uint32_t number)
{
    struct wire_uuid id = {.bytes = {0xee}};
    memcpy(id.bytes + 12, &number, sizeof number);
    return id;
}

struct image *image_maker_cluster(int32_t count, int32_t rack_count)
{
    static const char *const racks[] = {"a", "b", "c"};
    struct image *image = image_new();
    struct cluster_writer writer;
    cluster_writer_init_command(&writer);
    struct wire_uuid cluster_id = image_maker_id(1);
    cluster_writer_cluster(&writer, &cluster_id);
    for (int32_t id = 1; id <= count; id++) {
        struct image_broker broker = {
            .id = id,
            .incarnation_id = image_maker_id(1000 + (uint32_t)id),
            .directory_id = image_maker_id(2000 + (uint32_t)id),
            .rack = rack_count == 0 ? NULL : racks[(id - 1) % rack_count],
            .is_voter = id <= 3,
            .endpoint_count = 1,
            .endpoints = {{.listener = "PLAINTEXT",
                           .host = "127.0.0.1",
                           .port = (uint16_t)(9090 + id),
                           .security = "PLAINTEXT"}},
        };
        cluster_writer_register(&writer, &broker);
    }
    image_maker_apply_fit(&image, &writer);
    cluster_writer_done(&writer);
    return image;
}

void image_maker_topic(struct image **image, const char *name, uint32_t partition_count,
                       uint8_t replica_count)
{
    static uint32_t next_id = 100;
    struct cluster_writer writer;
    cluster_writer_init_command(&writer);
    struct image_topic topic = {.id = image_maker_id(next_id++), .name = name};
    cluster_writer_topic(&writer, &topic);
    for (uint32_t i = 0; i < partition_count; i++) {
        struct image_partition partition = {.replica_count = replica_count,
                                            .isr_count = replica_count};
        for (uint8_t k = 0; k < replica_count; k++) {
            partition.replicas[k] = image_broker_at(*image, (i + k) % replica_count)->id;
            partition.isr[k] = partition.replicas[k];
        }
        partition.leader = partition.replicas[0];
        cluster_writer_partition(&writer, &topic.id, (int32_t)i, &partition);
    }
    image_maker_apply_fit(image, &writer);
    cluster_writer_done(&writer);
}

void image_maker_fence(struct image **image, int32_t broker_id, bool is_fenced)
{
    struct cluster_writer writer;
    cluster_writer_init_command(&writer);
    struct cluster_writer_change change = {.broker_id = broker_id,
                                           .broker_epoch =
                                               image_broker_by_id(*image, broker_id)->epoch,
                                           .is_fenced = is_fenced};
    cluster_writer_change_broker(&writer, &change);
    image_maker_apply_fit(image, &writer);
    cluster_writer_done(&writer);
}

void image_maker_set(struct image **image, const char *topic, const char *key, const char *value)
{
    struct cluster_writer writer;
    cluster_writer_init_command(&writer);
    cluster_writer_config(&writer, IMAGE_CONFIG_TOPIC, topic, key, value);
    image_maker_apply_fit(image, &writer);
    cluster_writer_done(&writer);
}

static bool has(const int32_t *nodes, uint8_t count, int32_t node)
{
    for (uint8_t i = 0; i < count; i++) {
        if (nodes[i] == node) {
            return true;
        }
    }
    return false;
}

static const char *broken_partition(const struct image_partition *p)
{
    if (p->replica_count == 0 || p->replica_count > IMAGE_REPLICAS_MAX) {
        return "a partition has replicas";
    }
    for (uint8_t i = 0; i < p->isr_count; i++) {
        if (!has(p->replicas, p->replica_count, p->isr[i]) || has(p->isr, i, p->isr[i])) {
            return "the ISR is a set of replicas";
        }
    }
    for (uint8_t i = 0; i < p->elr_count; i++) {
        if (!has(p->replicas, p->replica_count, p->elr[i]) || has(p->elr, i, p->elr[i])) {
            return "the ELR is a set of replicas";
        }
        if (has(p->isr, p->isr_count, p->elr[i])) {
            return "ISR and ELR have nothing in common";
        }
    }
    if (p->leader != -1 && !has(p->isr, p->isr_count, p->leader)) {
        return "the leader is in the ISR";
    }
    return NULL;
}

const char *image_maker_broken_invariant(const struct image *image)
{
    uint32_t partition_count = 0;
    for (uint32_t i = 0; i < image_topic_count(image); i++) {
        const struct image_topic *topic = image_topic_at(image, i);
        if (i > 0 && strcmp(image_topic_at(image, i - 1)->name, topic->name) >= 0) {
            return "topics ascend by name, each name once";
        }
        if (image_topic_by_id(image, &topic->id) != topic ||
            image_topic_by_name(image, wire_text_of(topic->name)) != topic) {
            return "a topic is found by its id and its name";
        }
        for (uint32_t k = 0; k < topic->partition_count; k++) {
            const char *broken = broken_partition(&topic->partitions[k]);
            if (broken != NULL) {
                return broken;
            }
        }
        for (uint32_t k = 1; k < topic->config_count; k++) {
            if (strcmp(topic->configs[k - 1].key, topic->configs[k].key) >= 0) {
                return "configurations ascend by key, each key once";
            }
        }
        partition_count += topic->partition_count;
    }
    if (partition_count != image_partition_count(image)) {
        return "partitions are counted";
    }
    for (uint32_t i = 1; i < image_broker_count(image); i++) {
        if (image_broker_at(image, i - 1)->id >= image_broker_at(image, i)->id) {
            return "brokers ascend by id";
        }
    }
    return NULL;
}

bool image_maker_equal(const struct image *left, const struct image *right)
{
    size_t left_count = 0;
    size_t right_count = 0;
    uint8_t *left_bytes = image_snapshot_write(left, &left_count);
    uint8_t *right_bytes = image_snapshot_write(right, &right_count);
    bool is_equal = left_count == right_count && memcmp(left_bytes, right_bytes, left_count) == 0;
    free(left_bytes);
    free(right_bytes);
    return is_equal;
}
