#include "broker/api/serve_describe_configs.h"

#include "broker/api/config_resource.h"
#include "broker/api/dispatch.h"
#include "broker/metadata/broker_config_keys.h"
#include "broker/metadata/topic_config.h"
#include "proto/kafka/describe_configs.h"
#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct describe_configs {
    struct request *request;
    const struct image *image;
    struct config_key_view view;
    struct kafka_describe_configs_request in;
    struct kafka_describe_configs_response out;
};

/* Kafka's name for "this is the built-in value". */
static int8_t source_of(enum config_key_source source)
{
    return (int8_t)source;
}

static bool is_wanted(const struct kafka_describe_configs_request_describe_configs_resource *in,
                      const char *name)
{
    if (in->configuration_keys_count < 0) {
        return true; /* Null: all. */
    }
    for (int32_t i = 0; i < in->configuration_keys_count; i++) {
        if (wire_text_equals(in->configuration_keys[i], name)) {
            return true;
        }
    }
    return false;
}

static void fill(struct describe_configs *self, const struct config_key *key,
                 struct config_key_value value, bool is_read_only,
                 struct kafka_describe_configs_response_describe_configs_resource_result *out)
{
    kafka_describe_configs_response_describe_configs_resource_result_defaults(out);
    bool is_secret = key->type == CONFIG_KEY_PASSWORD;
    out->name = wire_text_of(key->name);
    out->value = wire_text_of(is_secret ? NULL : value.text);
    out->read_only = is_read_only;
    out->config_source = source_of(value.source);
    out->is_sensitive = is_secret;
    out->config_type = (int8_t)key->type;
    out->documentation = wire_text_of(self->in.include_documentation ? key->about : NULL);
    if (self->in.include_synonyms && !is_secret && value.text != NULL) {
        struct kafka_describe_configs_response_describe_configs_synonym *synonym =
            arena_take_array(&self->request->arena, 1, sizeof *synonym);
        if (synonym != NULL) {
            synonym->name = out->name;
            synonym->value = out->value;
            synonym->source = out->config_source;
            out->synonyms = synonym;
            out->synonyms_count = 1;
        }
    }
}

static bool
describe_topic(struct describe_configs *self, const struct image_topic *topic,
               const struct kafka_describe_configs_request_describe_configs_resource *in,
               struct kafka_describe_configs_response_describe_configs_result *out)
{
    uint32_t count;
    const struct config_key *keys = topic_config_keys(&count);
    out->configs = arena_take_array(&self->request->arena, count, sizeof *out->configs);
    if (out->configs == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (is_wanted(in, keys[i].name)) {
            fill(self, &keys[i], topic_config_value(&self->view, topic, &keys[i]), false,
                 &out->configs[out->configs_count]);
            out->configs_count += 1;
        }
    }
    return true;
}

static bool
describe_broker(struct describe_configs *self, int32_t broker_id,
                const struct kafka_describe_configs_request_describe_configs_resource *in,
                struct kafka_describe_configs_response_describe_configs_result *out)
{
    uint32_t count = broker_config_keys_count();
    out->configs = arena_take_array(&self->request->arena, count, sizeof *out->configs);
    if (out->configs == NULL) {
        return false;
    }
    struct config_key_view view = self->view;
    view.broker_id = broker_id;
    struct config_key *keys = arena_take_array(&self->request->arena, count, sizeof *keys);
    if (keys == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        broker_config_keys_at(i, &keys[i]);
        if (is_wanted(in, keys[i].name)) {
            fill(self, &keys[i], broker_config_keys_value(&view, &keys[i]), !keys[i].is_dynamic,
                 &out->configs[out->configs_count]);
            out->configs_count += 1;
        }
    }
    return true;
}

/* -1: the cluster's defaults; -2: no such broker. */
static int32_t broker_id_of(const struct image *image, struct wire_text name)
{
    if (name.byte_count <= 0) {
        return -1;
    }
    char text[16] = {0};
    if ((size_t)name.byte_count >= sizeof text) {
        return -2;
    }
    memcpy(text, name.bytes, (size_t)name.byte_count);
    char *end = NULL;
    long id = strtol(text, &end, 10);
    bool is_number = *end == '\0' && id >= 0 && id <= INT32_MAX;
    return is_number && image_broker_by_id(image, (int32_t)id) != NULL ? (int32_t)id : -2;
}

static void refuse(struct kafka_describe_configs_response_describe_configs_result *out,
                   int16_t code, const char *text)
{
    out->error_code = code;
    out->error_message = wire_text_of(text);
}

static bool describe(struct describe_configs *self,
                     const struct kafka_describe_configs_request_describe_configs_resource *in,
                     struct kafka_describe_configs_response_describe_configs_result *out)
{
    kafka_describe_configs_response_describe_configs_result_defaults(out);
    out->resource_type = in->resource_type;
    out->resource_name = in->resource_name;
    out->error_message = wire_text_of(NULL);
    enum image_config_kind kind;
    if (!config_resource_kind(in->resource_type, in->resource_name, &kind)) {
        refuse(out, ERROR_CODE_INVALID_REQUEST,
               "only topics (2) and brokers (4) have a configuration here");
        return true;
    }
    if (!access_authorize(&self->request->context, ACCESS_DESCRIBE_CONFIGS,
                          kind == IMAGE_CONFIG_TOPIC ? ACCESS_TOPIC : ACCESS_CLUSTER,
                          in->resource_name)) {
        refuse(out, ERROR_CODE_TOPIC_AUTHORIZATION_FAILED, NULL);
        return true;
    }
    if (kind == IMAGE_CONFIG_TOPIC) {
        const struct image_topic *topic = image_topic_by_name(self->image, in->resource_name);
        if (topic == NULL) {
            refuse(out, ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION, "there is no such topic");
            return true;
        }
        return describe_topic(self, topic, in, out);
    }
    int32_t broker_id = broker_id_of(self->image, in->resource_name);
    if (broker_id == -2) {
        refuse(out, ERROR_CODE_INVALID_REQUEST, "there is no broker of this number");
        return true;
    }
    return describe_broker(self, broker_id, in, out);
}

void serve_describe_configs(struct request *request)
{
    struct describe_configs *self = arena_take_array(&request->arena, 1, sizeof *self);
    check(self != NULL); /* The first taking of an empty arena. */
    self->request = request;
    self->image = partition_map_image(request->shard->map);
    self->view = request->shard->node->config_view;
    self->view.image = self->image;
    if (!request_body_is_whole(request, kafka_describe_configs_request_decode(
                                            &request->body, request->context.api_version,
                                            &request->arena, &self->in))) {
        return;
    }
    kafka_describe_configs_response_defaults(&self->out);
    self->out.throttle_time_ms = access_charge(&request->context, 0);
    self->out.results_count = self->in.resources_count;
    self->out.results = arena_take_array(&request->arena, (size_t)self->in.resources_count,
                                         sizeof *self->out.results);
    bool has_room = self->out.results != NULL;
    for (int32_t i = 0; has_room && i < self->in.resources_count; i++) {
        has_room = describe(self, &self->in.resources[i], &self->out.results[i]);
    }
    if (!has_room) {
        request_close(request, "the answer is larger than its memory");
        return;
    }
    request_begin_answer(request);
    kafka_describe_configs_response_encode(&self->out, request->context.api_version,
                                           &request->writer);
    request_send(request);
}
