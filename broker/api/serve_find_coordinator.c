#include "broker/api/serve_find_coordinator.h"

#include "broker/api/dispatch.h"
#include "proto/kafka/error_code.h"
#include "proto/kafka/find_coordinator.h"

#define VERSION_WITH_MANY_KEYS 4

static const char unavailable[] =
    "this cluster coordinates neither groups nor transactions; assign partitions instead";

static bool fill_many(struct request *request, const struct kafka_find_coordinator_request *in,
                      struct kafka_find_coordinator_response *out)
{
    out->coordinators = arena_take_array(&request->arena, (size_t)in->coordinator_keys_count,
                                         sizeof *out->coordinators);
    if (out->coordinators == NULL) {
        return false;
    }
    out->coordinators_count = in->coordinator_keys_count;
    for (int32_t i = 0; i < in->coordinator_keys_count; i++) {
        kafka_find_coordinator_response_coordinator_defaults(&out->coordinators[i]);
        out->coordinators[i].key = in->coordinator_keys[i];
        out->coordinators[i].node_id = -1;
        out->coordinators[i].port = -1;
        out->coordinators[i].error_code = ERROR_CODE_COORDINATOR_NOT_AVAILABLE;
        out->coordinators[i].error_message = wire_text_of(unavailable);
    }
    return true;
}

void serve_find_coordinator(struct request *request)
{
    int16_t version = request->context.api_version;
    struct kafka_find_coordinator_request in;
    if (!request_body_is_whole(request, kafka_find_coordinator_request_decode(
                                            &request->body, version, &request->arena, &in))) {
        return;
    }
    struct kafka_find_coordinator_response out;
    kafka_find_coordinator_response_defaults(&out);
    out.throttle_time_ms = access_charge(&request->context, 0);
    if (version < VERSION_WITH_MANY_KEYS) {
        out.error_code = ERROR_CODE_COORDINATOR_NOT_AVAILABLE;
        out.error_message = wire_text_of(unavailable);
        out.node_id = -1;
        out.port = -1;
    } else if (!fill_many(request, &in, &out)) {
        request_close(request, "a FindCoordinator request is larger than its memory");
        return;
    }
    request_begin_answer(request);
    kafka_find_coordinator_response_encode(&out, version, &request->writer);
    request_send(request);
}
