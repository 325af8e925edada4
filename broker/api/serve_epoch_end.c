#include "broker/api/serve_epoch_end.h"

#include "broker/api/fault_code.h"
#include "broker/api/gather.h"
#include "broker/api/partition_ask.h"
#include "proto/kafka/offset_for_leader_epoch.h"
#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

struct epoch_ends {
    struct request *request;
    struct kafka_offset_for_leader_epoch_request in;
    struct kafka_offset_for_leader_epoch_response out;
    struct gather calls;
};

struct epoch_item {
    struct epoch_ends *all;
    const struct kafka_offset_for_leader_epoch_request_offset_for_leader_partition *in;
    struct kafka_offset_for_leader_epoch_response_epoch_end_offset *out;
    struct partition_call call;
    enum partition_fault fault;
    int32_t epoch;
    int64_t end_offset;
};

static void answer(struct gather *calls)
{
    struct epoch_ends *self = container_of(calls, struct epoch_ends, calls);
    struct request *request = self->request;
    request_begin_answer(request);
    kafka_offset_for_leader_epoch_response_encode(&self->out, request->context.api_version,
                                                  &request->writer);
    request_send(request);
}

static void item_run(struct partition_call *call, struct partition *partition)
{
    struct epoch_item *item = container_of(call, struct epoch_item, call);
    item->fault = partition == NULL ? PARTITION_FAULT_NOT_HERE
                                    : partition_epoch_end(partition, item->in->current_leader_epoch,
                                                          item->in->leader_epoch, &item->epoch,
                                                          &item->end_offset);
    partition_call_return(call);
}

static void item_on_returned(struct partition_call *call)
{
    struct epoch_item *item = container_of(call, struct epoch_item, call);
    item->out->error_code = fault_code_of_partition(item->fault);
    if (item->fault == PARTITION_FAULT_NONE) {
        item->out->leader_epoch = item->epoch;
        item->out->end_offset = item->end_offset;
    }
    gather_end(&item->all->calls);
}

static void
start_partition(struct epoch_ends *self, const struct image_topic *topic,
                const struct kafka_offset_for_leader_epoch_request_offset_for_leader_partition *in,
                struct kafka_offset_for_leader_epoch_response_epoch_end_offset *out)
{
    struct epoch_item *item = arena_take_array(&self->request->arena, 1, sizeof *item);
    if (item == NULL) {
        out->error_code = ERROR_CODE_KAFKA_STORAGE_ERROR;
        return;
    }
    item->all = self;
    item->out = out;
    item->in = in;
    item->call = (struct partition_call){.run = item_run, .on_returned = item_on_returned};
    gather_add(&self->calls);
    partition_ask_post(&item->call, self->request->shard, topic, in->partition);
}

static bool
start_topic(struct epoch_ends *self,
            const struct kafka_offset_for_leader_epoch_request_offset_for_leader_topic *in,
            struct kafka_offset_for_leader_epoch_response_offset_for_leader_topic_result *out)
{
    const struct image *image = partition_map_image(self->request->shard->map);
    const struct image_topic *topic = image_topic_by_name(image, in->topic);
    out->topic = in->topic;
    out->partitions_count = in->partitions_count;
    out->partitions = arena_take_array(&self->request->arena, (size_t)in->partitions_count,
                                       sizeof *out->partitions);
    if (out->partitions == NULL) {
        return false;
    }
    for (int32_t i = 0; i < in->partitions_count; i++) {
        int32_t index = in->partitions[i].partition;
        out->partitions[i].partition = index;
        out->partitions[i].leader_epoch = -1;
        out->partitions[i].end_offset = -1;
        out->partitions[i].error_code =
            partition_ask_check(self->request, ACCESS_DESCRIBE, in->topic, topic, index);
        if (out->partitions[i].error_code == ERROR_CODE_NONE) {
            start_partition(self, topic, &in->partitions[i], &out->partitions[i]);
        }
    }
    return true;
}

void serve_epoch_end(struct request *request)
{
    struct epoch_ends *self = arena_take_array(&request->arena, 1, sizeof *self);
    check(self != NULL); /* The first taking of an empty arena. */
    self->request = request;
    if (!request_body_is_whole(request, kafka_offset_for_leader_epoch_request_decode(
                                            &request->body, request->context.api_version,
                                            &request->arena, &self->in))) {
        return;
    }
    kafka_offset_for_leader_epoch_response_defaults(&self->out);
    self->out.throttle_time_ms = access_charge(&request->context, 0);
    self->out.topics_count = self->in.topics_count;
    self->out.topics =
        arena_take_array(&request->arena, (size_t)self->in.topics_count, sizeof *self->out.topics);
    gather_begin(&self->calls, answer);
    for (int32_t i = 0; i < self->in.topics_count; i++) {
        if (self->out.topics == NULL ||
            !start_topic(self, &self->in.topics[i], &self->out.topics[i])) {
            self->out.topics_count = i;
            break;
        }
    }
    gather_end(&self->calls);
}
