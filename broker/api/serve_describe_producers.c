#include "broker/api/serve_describe_producers.h"

#include "broker/api/gather.h"
#include "broker/api/partition_ask.h"
#include "broker/partition/partition_txn.h"
#include "proto/kafka/describe_producers.h"
#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

#include <stdlib.h>

typedef struct kafka_describe_producers_request_topic_request topic_in;
typedef struct kafka_describe_producers_response_topic_response topic_out;
typedef struct kafka_describe_producers_response_partition_response partition_out;

struct describe_producers {
    struct request *request;
    struct kafka_describe_producers_request in;
    struct kafka_describe_producers_response out;
    struct gather calls;
};

struct describe_item {
    struct describe_producers *all;
    partition_out *out;
    struct partition_call call;
    struct partition_txn_producer *rows; /* Owned until the call is back. */
    uint32_t row_count;
    int16_t code;
};

static void answer(struct gather *calls)
{
    struct describe_producers *self = container_of(calls, struct describe_producers, calls);
    struct request *request = self->request;
    self->out.throttle_time_ms = access_charge(&request->context, 0);
    request_begin_answer(request);
    kafka_describe_producers_response_encode(&self->out, request->context.api_version,
                                             &request->writer);
    request_send(request);
}

static void item_run(struct partition_call *call, struct partition *partition)
{
    struct describe_item *item = container_of(call, struct describe_item, call);
    /* Any replica tells what its log holds: that is how a transaction is found that hangs. */
    item->code = ERROR_CODE_NOT_LEADER_OR_FOLLOWER;
    if (partition != NULL) {
        item->code = partition_txn_list(partition, &item->rows, &item->row_count) == STATUS_OK
                         ? ERROR_CODE_NONE
                         : ERROR_CODE_UNKNOWN_SERVER_ERROR;
    }
    partition_call_return(call);
}

static void item_on_returned(struct partition_call *call)
{
    struct describe_item *item = container_of(call, struct describe_item, call);
    partition_out *out = item->out;
    out->error_code = item->code;
    out->active_producers = arena_take_array(&item->all->request->arena, item->row_count,
                                             sizeof *out->active_producers);
    if (out->active_producers == NULL) {
        out->error_code = ERROR_CODE_UNKNOWN_SERVER_ERROR;
        item->row_count = 0;
    }
    for (uint32_t i = 0; i < item->row_count; i++) {
        out->active_producers[i].producer_id = item->rows[i].producer_id;
        out->active_producers[i].producer_epoch = item->rows[i].epoch;
        out->active_producers[i].last_sequence = item->rows[i].last_sequence;
        out->active_producers[i].last_timestamp = item->rows[i].last_timestamp_ms;
        out->active_producers[i].coordinator_epoch = item->rows[i].coordinator_epoch;
        out->active_producers[i].current_txn_start_offset = item->rows[i].first_offset;
    }
    out->active_producers_count = (int32_t)item->row_count;
    free(item->rows);
    gather_end(&item->all->calls);
}

static void start(struct describe_producers *self, const struct image_topic *topic,
                  partition_out *out)
{
    struct describe_item *item = arena_take_array(&self->request->arena, 1, sizeof *item);
    if (item == NULL) {
        out->error_code = ERROR_CODE_UNKNOWN_SERVER_ERROR;
        return;
    }
    item->all = self;
    item->out = out;
    item->call = (struct partition_call){.run = item_run, .on_returned = item_on_returned};
    gather_add(&self->calls);
    partition_ask_post(&item->call, self->request->shard, topic, out->partition_index);
}

static bool start_topic(struct describe_producers *self, const topic_in *in, topic_out *out)
{
    struct request *request = self->request;
    const struct image_topic *topic =
        image_topic_by_name(partition_map_image(request->shard->map), in->name);
    out->name = in->name;
    out->partitions = arena_take_array(&request->arena, (size_t)in->partition_indexes_count,
                                       sizeof *out->partitions);
    if (out->partitions == NULL) {
        return false;
    }
    out->partitions_count = in->partition_indexes_count;
    for (int32_t i = 0; i < in->partition_indexes_count; i++) {
        int32_t index = in->partition_indexes[i];
        kafka_describe_producers_response_partition_response_defaults(&out->partitions[i]);
        out->partitions[i].partition_index = index;
        out->partitions[i].error_message = wire_text_of(NULL);
        out->partitions[i].error_code =
            partition_ask_check(request, ACCESS_READ, in->name, topic, index);
        if (out->partitions[i].error_code == ERROR_CODE_NONE) {
            start(self, topic, &out->partitions[i]);
        }
    }
    return true;
}

void serve_describe_producers(struct request *request)
{
    struct describe_producers *self = arena_take_array(&request->arena, 1, sizeof *self);
    check(self != NULL); /* The first taking of an empty arena. */
    self->request = request;
    if (!request_body_is_whole(request, kafka_describe_producers_request_decode(
                                            &request->body, request->context.api_version,
                                            &request->arena, &self->in))) {
        return;
    }
    self->out.topics =
        arena_take_array(&request->arena, (size_t)self->in.topics_count, sizeof *self->out.topics);
    gather_begin(&self->calls, answer);
    for (int32_t i = 0; i < self->in.topics_count && self->out.topics != NULL; i++) {
        if (!start_topic(self, &self->in.topics[i], &self->out.topics[i])) {
            break;
        }
        self->out.topics_count = i + 1;
    }
    gather_end(&self->calls);
}
