#include "broker/metadata/image_snapshot.h"

#include "broker/metadata/cluster_writer.h"
#include "broker/metadata/image_records.h"
#include "proto/sys/check.h"

static void write_broker(struct cluster_writer *writer, const struct image_broker *broker)
{
    cluster_writer_register(writer, broker);
    if (broker->is_shutting_down) { /* The only state that a registration cannot have. */
        struct cluster_writer_change change = {.broker_id = broker->id,
                                               .broker_epoch = broker->epoch,
                                               .is_fenced = broker->is_fenced,
                                               .is_shutting_down = true};
        cluster_writer_change_broker(writer, &change);
    }
}

static void write_topic(struct cluster_writer *writer, const struct image_topic *topic)
{
    cluster_writer_topic(writer, topic);
    for (uint32_t i = 0; i < topic->partition_count; i++) {
        cluster_writer_partition(writer, &topic->id, (int32_t)i, &topic->partitions[i]);
    }
    for (uint32_t i = 0; i < topic->config_count; i++) {
        cluster_writer_config(writer, IMAGE_CONFIG_TOPIC, topic->name, topic->configs[i].key,
                              topic->configs[i].value);
    }
}

static void write_resource(struct cluster_writer *writer,
                           const struct image_config_resource *resource)
{
    for (uint32_t i = 0; i < resource->value_count; i++) {
        cluster_writer_config(writer, resource->kind, resource->name, resource->values[i].key,
                              resource->values[i].value);
    }
}

static void write_tokens(struct cluster_writer *writer, const struct image *image)
{
    for (uint32_t i = 0; i < image->chunk_count; i++) {
        const struct image_state_chunk *chunk = image->chunks[i];
        for (uint32_t k = 0; k < chunk->count; k++) {
            cluster_writer_token(writer, chunk->tokens[k].bytes, chunk->tokens[k].index);
        }
    }
}

uint8_t *image_snapshot_write(const struct image *image, size_t *out_byte_count)
{
    struct cluster_writer writer;
    cluster_writer_init_snapshot(&writer);
    if (!wire_uuid_is_zero(image_cluster_id(image))) {
        cluster_writer_cluster(&writer, image_cluster_id(image));
    }
    for (uint32_t i = 0; i < image_feature_count(image); i++) {
        const struct image_feature *feature = image_feature_at(image, i);
        cluster_writer_feature(&writer, feature->name, feature->level);
    }
    if (image->next_producer_id > 0) {
        cluster_writer_producer_ids(&writer, -1, -1, image->next_producer_id);
    }
    for (uint32_t i = 0; i < image_broker_count(image); i++) {
        write_broker(&writer, image_broker_at(image, i));
    }
    for (uint32_t i = 0; i < image_topic_count(image); i++) {
        write_topic(&writer, image_topic_at(image, i));
    }
    for (uint32_t i = 0; i < image_config_resource_count(image); i++) {
        write_resource(&writer, image_config_resource_at(image, i));
    }
    write_tokens(&writer, image);
    uint8_t *bytes = cluster_writer_snapshot(&writer, image->index, out_byte_count);
    cluster_writer_done(&writer);
    return bytes;
}

static enum status read_records(const Millrace__Cluster__Snapshot *snapshot,
                                struct image **out_image)
{
    if (snapshot->version == 0) {
        return STATUS_MALFORMED;
    }
    if (snapshot->version > IMAGE_SNAPSHOT_VERSION) {
        return STATUS_UNSUPPORTED;
    }
    struct image *empty = image_new();
    struct image_draft *draft = image_draft_new(empty);
    struct image_records_options options = {.index = snapshot->index, .is_snapshot = true};
    enum status status = STATUS_OK;
    for (size_t i = 0; i < snapshot->n_records && status == STATUS_OK; i++) {
        const char *refusal = NULL;
        status = image_records_apply(draft, snapshot->records[i], &options, &refusal);
    }
    if (status == STATUS_OK) {
        *out_image = image_draft_finish(draft, snapshot->index);
    } else {
        image_draft_free(draft);
    }
    image_unref(empty);
    return status == STATUS_INVALID ? STATUS_MALFORMED : status;
}

enum status image_snapshot_read(const void *bytes, size_t byte_count, struct image **out_image)
{
    Millrace__Cluster__Snapshot *snapshot =
        millrace__cluster__snapshot__unpack(NULL, byte_count, bytes);
    if (snapshot == NULL) {
        return STATUS_MALFORMED;
    }
    enum status status = read_records(snapshot, out_image);
    millrace__cluster__snapshot__free_unpacked(snapshot, NULL);
    return status;
}
