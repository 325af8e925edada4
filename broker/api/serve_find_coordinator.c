#include "broker/api/serve_find_coordinator.h"

#include "broker/api/cluster_view.h"
#include "broker/api/dispatch.h"
#include "broker/coordinator/ledger_key.h"
#include "proto/kafka/error_code.h"
#include "proto/kafka/find_coordinator.h"
#include "proto/sys/check.h"

#define VERSION_WITH_MANY_KEYS 4
#define KEY_GROUP 0
#define KEY_TRANSACTION 1

struct find_coordinator {
    struct internal_topic_wait wait;
    struct request *request;
    struct kafka_find_coordinator_request in;
    struct kafka_find_coordinator_response out;
};

typedef struct kafka_find_coordinator_response_coordinator found;

static void refuse(found *out, int16_t code, const char *text)
{
    out->error_code = code;
    out->error_message = wire_text_of(text);
    out->node_id = -1;
    out->host = wire_text_of("");
    out->port = -1;
}

/* The leader of the key's partition. */
static void look_up(const struct find_coordinator *self, const struct image *image, found *out)
{
    bool is_group = self->in.key_type == KEY_GROUP;
    if (!access_authorize(&self->request->context, ACCESS_DESCRIBE,
                          is_group ? ACCESS_GROUP : ACCESS_TRANSACTIONAL_ID, out->key)) {
        refuse(out,
               is_group ? ERROR_CODE_GROUP_AUTHORIZATION_FAILED
                        : ERROR_CODE_TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
               "the principal may not describe it");
        return;
    }
    const struct image_topic *topic = image_topic_by_name(
        image, wire_text_of(is_group ? DISPATCH_GROUP_TOPIC : DISPATCH_TRANSACTION_TOPIC));
    if (topic == NULL) {
        refuse(out, ERROR_CODE_COORDINATOR_NOT_AVAILABLE,
               "the topic of its coordinator is being made; try again");
        return;
    }
    int32_t leader =
        topic->partitions[ledger_key_partition(out->key, topic->partition_count)].leader;
    if (leader < 0 || !cluster_view_is_live(image, leader)) {
        refuse(out, ERROR_CODE_COORDINATOR_NOT_AVAILABLE,
               "its coordinator's partition has no leader now; try again");
        return;
    }
    const struct image_endpoint *endpoint =
        cluster_view_endpoint(image_broker_by_id(image, leader));
    out->error_code = ERROR_CODE_NONE;
    out->error_message = wire_text_of(NULL);
    out->node_id = leader;
    out->host = wire_text_of(endpoint->host);
    out->port = endpoint->port;
}

static void answer(struct find_coordinator *self)
{
    struct request *request = self->request;
    const struct image *image = partition_map_image(request->shard->map);
    int16_t version = request->context.api_version;
    struct kafka_find_coordinator_response *out = &self->out;
    for (int32_t i = 0; i < out->coordinators_count; i++) {
        if (self->in.key_type == KEY_GROUP || self->in.key_type == KEY_TRANSACTION) {
            look_up(self, image, &out->coordinators[i]);
        } else {
            refuse(&out->coordinators[i], ERROR_CODE_INVALID_REQUEST,
                   "only groups (0) and transactional ids (1) have coordinators here");
        }
    }
    if (version < VERSION_WITH_MANY_KEYS) {
        const found *only = &out->coordinators[0];
        out->error_code = only->error_code;
        out->error_message = only->error_message;
        out->node_id = only->node_id;
        out->host = only->host;
        out->port = only->port;
        out->coordinators_count = 0;
    }
    request_begin_answer(request);
    kafka_find_coordinator_response_encode(out, version, &request->writer);
    request_send(request);
}

static void wait_on_end(struct internal_topic_wait *wait)
{
    answer(container_of(wait, struct find_coordinator, wait));
}

static bool prepare(struct find_coordinator *self)
{
    bool has_many = self->request->context.api_version >= VERSION_WITH_MANY_KEYS;
    int32_t count = has_many ? self->in.coordinator_keys_count : 1;
    kafka_find_coordinator_response_defaults(&self->out);
    self->out.throttle_time_ms = access_charge(&self->request->context, 0);
    self->out.coordinators =
        arena_take_array(&self->request->arena, (size_t)count, sizeof *self->out.coordinators);
    if (self->out.coordinators == NULL) {
        return false;
    }
    self->out.coordinators_count = count;
    for (int32_t i = 0; i < count; i++) {
        kafka_find_coordinator_response_coordinator_defaults(&self->out.coordinators[i]);
        self->out.coordinators[i].key = has_many ? self->in.coordinator_keys[i] : self->in.key;
    }
    return true;
}

void serve_find_coordinator(struct request *request)
{
    struct find_coordinator *self = arena_take_array(&request->arena, 1, sizeof *self);
    check(self != NULL); /* The first taking of an empty arena. */
    self->request = request;
    if (!request_body_is_whole(request, kafka_find_coordinator_request_decode(
                                            &request->body, request->context.api_version,
                                            &request->arena, &self->in))) {
        return;
    }
    if (!prepare(self)) {
        request_close(request, "a FindCoordinator request is larger than its memory");
        return;
    }
    struct api_shard *shard = request->shard;
    self->wait.on_end = wait_on_end;
    if (self->in.key_type == KEY_GROUP) {
        internal_topic_want(&shard->group_topic, &self->wait);
    } else if (self->in.key_type == KEY_TRANSACTION) {
        internal_topic_want(&shard->transaction_topic, &self->wait);
    } else {
        answer(self);
    }
}
