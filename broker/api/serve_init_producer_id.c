#include "broker/api/serve_init_producer_id.h"

#include "broker/api/dispatch.h"
#include "broker/api/producer_ids.h"
#include "broker/api/reply_code.h"
#include "proto/kafka/error_code.h"
#include "proto/kafka/init_producer_id.h"
#include "proto/sys/check.h"

struct init_producer_id {
    struct request *request;
    struct producer_ids_wait wait;
    struct kafka_init_producer_id_request in;
};

static void answer(struct init_producer_id *self, int16_t code, int64_t producer_id)
{
    struct request *request = self->request;
    struct kafka_init_producer_id_response out;
    kafka_init_producer_id_response_defaults(&out);
    out.throttle_time_ms = access_charge(&request->context, 0);
    out.error_code = code;
    out.producer_id = producer_id;
    out.producer_epoch = code == ERROR_CODE_NONE ? 0 : -1;
    request_begin_answer(request);
    kafka_init_producer_id_response_encode(&out, request->context.api_version, &request->writer);
    request_send(request);
}

static void wait_on_taken(struct producer_ids_wait *wait, enum status status, int64_t producer_id)
{
    struct init_producer_id *self = container_of(wait, struct init_producer_id, wait);
    /* Retriable, and the one that makes every client try here again. */
    int16_t code = status == STATUS_OK ? ERROR_CODE_NONE : ERROR_CODE_COORDINATOR_LOAD_IN_PROGRESS;
    answer(self, code, producer_id);
}

void serve_init_producer_id(struct request *request)
{
    struct init_producer_id *self = arena_take_array(&request->arena, 1, sizeof *self);
    check(self != NULL); /* The first taking of an empty arena. */
    self->request = request;
    if (!request_body_is_whole(request, kafka_init_producer_id_request_decode(
                                            &request->body, request->context.api_version,
                                            &request->arena, &self->in))) {
        return;
    }
    struct wire_text id = self->in.transactional_id;
    if (id.byte_count == 0) {
        answer(self, ERROR_CODE_INVALID_REQUEST, -1);
        return;
    }
    if (id.byte_count > 0) {
        /* No transaction coordinator lives here. */
        answer(self, ERROR_CODE_NOT_COORDINATOR, -1);
        return;
    }
    if (!access_authorize(&request->context, ACCESS_IDEMPOTENT_WRITE, ACCESS_CLUSTER,
                          wire_text_of("kafka-cluster"))) {
        answer(self, ERROR_CODE_CLUSTER_AUTHORIZATION_FAILED, -1);
        return;
    }
    self->wait.on_taken = wait_on_taken;
    producer_ids_take(&request->shard->producer_ids, &self->wait);
}
