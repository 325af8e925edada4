#include "broker/api/made_configs.h"

#include "broker/metadata/topic_config.h"
#include "proto/kafka/error_code.h"

/* The topic's own values, as the controller has taken them. */
static bool collect(struct arena *arena, const struct topic_decisions_create *item,
                    struct image_topic *out_topic)
{
    uint32_t internal_count = 0;
    const struct image_config_value *internal = topic_config_internal(item->name, &internal_count);
    struct image_config_value *values =
        arena_take_array(arena, (size_t)item->config_count + internal_count, sizeof *values);
    if (values == NULL) {
        return false;
    }
    uint32_t count = 0;
    for (uint32_t i = 0; i < internal_count; i++) {
        topic_config_put(values, &count, internal[i].key, internal[i].value);
    }
    for (uint32_t i = 0; i < item->config_count; i++) {
        const struct config_key *key = topic_config_key(item->configs[i].key);
        struct wire_text value = config_key_trim(item->configs[i].value);
        if (key == NULL || value.byte_count < 0) {
            continue; /* Refused by the controller: never here. */
        }
        char *text = arena_copy_text(arena, value.bytes, (size_t)value.byte_count);
        if (text == NULL) {
            return false;
        }
        topic_config_put(values, &count, key->name, text);
    }
    out_topic->configs = values;
    out_topic->config_count = count;
    return true;
}

static bool fill(struct request *request, const struct topic_decisions_create *item,
                 struct kafka_create_topics_response_creatable_topic_result *out)
{
    struct config_key_view view = request->shard->node->config_view;
    view.image = partition_map_image(request->shard->map);
    struct image_partition partition = {.replica_count = (uint8_t)item->made_replication_factor};
    struct image_topic topic = {.partitions = &partition, .partition_count = 1};
    uint32_t count;
    const struct config_key *keys = topic_config_keys(&count);
    struct kafka_create_topics_response_creatable_topic_configs *rows =
        arena_take_array(&request->arena, count, sizeof *rows);
    if (rows == NULL || !collect(&request->arena, item, &topic)) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct config_key_value value = topic_config_value(&view, &topic, &keys[i]);
        kafka_create_topics_response_creatable_topic_configs_defaults(&rows[i]);
        rows[i].name = wire_text_of(keys[i].name);
        rows[i].value = wire_text_of(value.text);
        rows[i].config_source = (int8_t)value.source;
    }
    out->configs = rows;
    out->configs_count = (int32_t)count;
    return true;
}

void made_configs_fill(struct request *request, const struct topic_decisions_create *item,
                       struct kafka_create_topics_response_creatable_topic_result *out)
{
    if (!fill(request, item, out)) {
        out->configs_count = -1;
        out->topic_config_error_code = ERROR_CODE_UNKNOWN_SERVER_ERROR;
    }
}
