#include "broker/api/serve_delete_records.h"

#include "broker/api/fault_code.h"
#include "broker/api/gather.h"
#include "broker/api/partition_ask.h"
#include "broker/metadata/topic_config.h"
#include "proto/kafka/delete_records.h"
#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

struct delete_records {
    struct request *request;
    struct kafka_delete_records_request in;
    struct kafka_delete_records_response out;
    struct gather calls;
};

struct delete_item {
    struct delete_records *all;
    struct kafka_delete_records_response_delete_records_partition_result *out;
    struct partition_call call;
    struct partition_move_start move;
};

static void answer(struct gather *calls)
{
    struct delete_records *self = container_of(calls, struct delete_records, calls);
    struct request *request = self->request;
    request_begin_answer(request);
    kafka_delete_records_response_encode(&self->out, request->context.api_version,
                                         &request->writer);
    request_send(request);
}

static void run_on_moved(struct partition_move_start *move)
{
    partition_call_return(&container_of(move, struct delete_item, move)->call);
}

static void item_run(struct partition_call *call, struct partition *partition)
{
    struct delete_item *item = container_of(call, struct delete_item, call);
    if (partition == NULL) {
        item->move.fault = PARTITION_FAULT_NOT_HERE;
        partition_call_return(call);
        return;
    }
    item->move.on_done = run_on_moved;
    partition_move_start(partition, &item->move);
}

static void item_on_returned(struct partition_call *call)
{
    struct delete_item *item = container_of(call, struct delete_item, call);
    item->out->error_code = fault_code_of_partition(item->move.fault);
    if (item->move.fault == PARTITION_FAULT_NONE) {
        item->out->low_watermark = item->move.log_start;
    }
    gather_end(&item->all->calls);
}

static int16_t refuse(struct delete_records *self, const struct image *image,
                      const struct image_topic *topic, struct wire_text name, int32_t index)
{
    int16_t code = partition_ask_check(self->request, ACCESS_DELETE, name, topic, index);
    if (code != ERROR_CODE_NONE) {
        return code;
    }
    if (topic->is_internal) {
        return ERROR_CODE_INVALID_TOPIC_EXCEPTION;
    }
    struct config_key_view view = self->request->shard->node->config_view;
    view.image = image;
    struct topic_config_settings settings;
    topic_config_settings_of(&view, topic, &settings);
    /* What a compacted topic holds is its newest values; a start that moves would lose them. */
    return settings.is_deleted_from ? ERROR_CODE_NONE : ERROR_CODE_POLICY_VIOLATION;
}

static void
start_partition(struct delete_records *self, const struct image_topic *topic,
                const struct kafka_delete_records_request_delete_records_partition *in,
                struct kafka_delete_records_response_delete_records_partition_result *out)
{
    struct delete_item *item = arena_take_array(&self->request->arena, 1, sizeof *item);
    if (item == NULL) {
        out->error_code = ERROR_CODE_KAFKA_STORAGE_ERROR;
        return;
    }
    item->all = self;
    item->out = out;
    item->move = (struct partition_move_start){.offset = in->offset};
    item->call = (struct partition_call){.run = item_run, .on_returned = item_on_returned};
    gather_add(&self->calls);
    partition_ask_post(&item->call, self->request->shard, topic, in->partition_index);
}

static bool start_topic(struct delete_records *self,
                        const struct kafka_delete_records_request_delete_records_topic *in,
                        struct kafka_delete_records_response_delete_records_topic_result *out)
{
    const struct image *image = partition_map_image(self->request->shard->map);
    const struct image_topic *topic = image_topic_by_name(image, in->name);
    out->name = in->name;
    out->partitions_count = in->partitions_count;
    out->partitions = arena_take_array(&self->request->arena, (size_t)in->partitions_count,
                                       sizeof *out->partitions);
    if (out->partitions == NULL) {
        return false;
    }
    for (int32_t i = 0; i < in->partitions_count; i++) {
        int32_t index = in->partitions[i].partition_index;
        out->partitions[i].partition_index = index;
        out->partitions[i].low_watermark = -1;
        out->partitions[i].error_code = refuse(self, image, topic, in->name, index);
        if (out->partitions[i].error_code == ERROR_CODE_NONE) {
            start_partition(self, topic, &in->partitions[i], &out->partitions[i]);
        }
    }
    return true;
}

void serve_delete_records(struct request *request)
{
    struct delete_records *self = arena_take_array(&request->arena, 1, sizeof *self);
    check(self != NULL); /* The first taking of an empty arena. */
    self->request = request;
    if (!request_body_is_whole(request, kafka_delete_records_request_decode(
                                            &request->body, request->context.api_version,
                                            &request->arena, &self->in))) {
        return;
    }
    kafka_delete_records_response_defaults(&self->out);
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
