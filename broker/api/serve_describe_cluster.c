#include "broker/api/serve_describe_cluster.h"

#include "broker/api/cluster_view.h"
#include "proto/kafka/describe_cluster.h"
#include "proto/kafka/error_code.h"

#define ENDPOINT_TYPE_BROKERS 1

static bool add_brokers(struct request *request, bool with_fenced,
                        struct kafka_describe_cluster_response *out)
{
    const struct image *image = partition_map_image(request->shard->map);
    uint32_t count = image_broker_count(image);
    out->brokers = arena_take_array(&request->arena, count, sizeof *out->brokers);
    if (out->brokers == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct image_broker *broker = image_broker_at(image, i);
        const struct image_endpoint *endpoint = cluster_view_endpoint(broker);
        if (endpoint == NULL || (broker->is_fenced && !with_fenced)) {
            continue;
        }
        out->brokers[out->brokers_count] =
            (struct kafka_describe_cluster_response_describe_cluster_broker){
                .broker_id = broker->id,
                .host = wire_text_of(endpoint->host),
                .port = endpoint->port,
                .rack = wire_text_of(broker->rack),
                .is_fenced = broker->is_fenced};
        out->brokers_count += 1;
    }
    return true;
}

void serve_describe_cluster(struct request *request)
{
    struct kafka_describe_cluster_request in;
    if (!request_body_is_whole(
            request, kafka_describe_cluster_request_decode(
                         &request->body, request->context.api_version, &request->arena, &in))) {
        return;
    }
    const struct image *image = partition_map_image(request->shard->map);
    char id_text[CLUSTER_VIEW_ID_BYTES];
    cluster_view_id_text(image_cluster_id(image), id_text);
    struct kafka_describe_cluster_response out;
    kafka_describe_cluster_response_defaults(&out);
    out.throttle_time_ms = access_charge(&request->context, 0);
    out.endpoint_type = in.endpoint_type;
    out.cluster_id = wire_text_of(id_text);
    out.error_message = wire_text_of(NULL);
    if (in.endpoint_type != ENDPOINT_TYPE_BROKERS) {
        out.error_code = ERROR_CODE_MISMATCHED_ENDPOINT_TYPE;
        out.error_message = wire_text_of("this is a brokers' listener; ask for endpoint type 1");
    } else if (!access_authorize(&request->context, ACCESS_DESCRIBE, ACCESS_CLUSTER,
                                 wire_text_of("kafka-cluster"))) {
        out.error_code = ERROR_CODE_CLUSTER_AUTHORIZATION_FAILED;
    } else {
        out.controller_id = cluster_view_controller(request->shard->node, image);
        if (!add_brokers(request, in.include_fenced_brokers, &out)) {
            request_close(request, "the answer is larger than its memory");
            return;
        }
    }
    request_begin_answer(request);
    kafka_describe_cluster_response_encode(&out, request->context.api_version, &request->writer);
    request_send(request);
}
