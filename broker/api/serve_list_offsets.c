#include "broker/api/serve_list_offsets.h"

#include "broker/api/fault_code.h"
#include "broker/api/gather.h"
#include "broker/api/partition_ask.h"
#include "broker/api/seen_set.h"
#include "proto/kafka/error_code.h"
#include "proto/kafka/list_offsets.h"
#include "proto/sys/check.h"

#define VERSION_WITH_EPOCHS 4
#define VERSION_WITH_NOT_AVAILABLE 5

struct list_offsets {
    struct request *request;
    struct kafka_list_offsets_request in;
    struct kafka_list_offsets_response out;
    struct seen_set seen;
    struct gather calls;
};

struct list_item {
    struct list_offsets *all;
    struct kafka_list_offsets_response_list_offsets_partition_response *out;
    struct partition_call call;
    struct partition_list_offset list;
};

static void answer(struct gather *calls)
{
    struct list_offsets *self = container_of(calls, struct list_offsets, calls);
    struct request *request = self->request;
    request_begin_answer(request);
    kafka_list_offsets_response_encode(&self->out, request->context.api_version, &request->writer);
    request_send(request);
}

static void run_on_listed(struct partition_list_offset *list)
{
    partition_call_return(&container_of(list, struct list_item, list)->call);
}

static void item_run(struct partition_call *call, struct partition *partition)
{
    struct list_item *item = container_of(call, struct list_item, call);
    if (partition == NULL) {
        item->list.fault = PARTITION_FAULT_NOT_HERE;
        partition_call_return(call);
        return;
    }
    item->list.on_done = run_on_listed;
    partition_list_offset(partition, &item->list);
}

static void item_on_returned(struct partition_call *call)
{
    struct list_item *item = container_of(call, struct list_item, call);
    bool is_old = item->all->request->context.api_version < VERSION_WITH_NOT_AVAILABLE;
    item->out->error_code = is_old && item->list.fault == PARTITION_FAULT_NOT_AVAILABLE
                                ? ERROR_CODE_LEADER_NOT_AVAILABLE
                                : fault_code_of_partition(item->list.fault);
    if (item->list.fault == PARTITION_FAULT_NONE) {
        item->out->offset = item->list.offset;
        item->out->timestamp = item->list.timestamp_found_ms;
        if (item->all->request->context.api_version >= VERSION_WITH_EPOCHS) {
            item->out->leader_epoch = item->list.leader_epoch_found;
        }
    }
    gather_end(&item->all->calls);
}

/* Names of offsets came with versions; an older client cannot mean them. */
static bool is_known_time(int16_t version, int64_t timestamp_ms)
{
    int64_t lowest = version >= 11  ? PARTITION_SEEK_EARLIEST_PENDING_UPLOAD
                     : version >= 9 ? PARTITION_SEEK_LATEST_TIERED
                     : version >= 8 ? PARTITION_SEEK_EARLIEST_LOCAL
                     : version >= 7 ? LOG_TIME_MAX
                                    : PARTITION_SEEK_EARLIEST;
    return timestamp_ms >= lowest;
}

static int16_t refuse(struct list_offsets *self, const struct image_topic *topic,
                      struct wire_text name,
                      const struct kafka_list_offsets_request_list_offsets_partition *in)
{
    static const struct wire_uuid no_id;
    int16_t code =
        partition_ask_check(self->request, ACCESS_DESCRIBE, name, topic, in->partition_index);
    if (code != ERROR_CODE_NONE) {
        return code;
    }
    if (seen_set_add_partition(&self->seen, name, &no_id, in->partition_index) != STATUS_OK) {
        return ERROR_CODE_INVALID_REQUEST;
    }
    return is_known_time(self->request->context.api_version, in->timestamp)
               ? ERROR_CODE_NONE
               : ERROR_CODE_UNSUPPORTED_VERSION;
}

static void start_partition(struct list_offsets *self, const struct image_topic *topic,
                            const struct kafka_list_offsets_request_list_offsets_partition *in,
                            struct kafka_list_offsets_response_list_offsets_partition_response *out)
{
    struct list_item *item = arena_take_array(&self->request->arena, 1, sizeof *item);
    if (item == NULL) {
        out->error_code = ERROR_CODE_KAFKA_STORAGE_ERROR;
        return;
    }
    item->all = self;
    item->out = out;
    item->list = (struct partition_list_offset){
        .timestamp_ms = in->timestamp,
        .isolation = self->in.replica_id >= 0        ? PARTITION_READ_REPLICA
                     : self->in.isolation_level == 1 ? PARTITION_READ_COMMITTED
                                                     : PARTITION_READ_UNCOMMITTED,
        .current_leader_epoch = in->current_leader_epoch};
    item->call = (struct partition_call){.run = item_run, .on_returned = item_on_returned};
    gather_add(&self->calls);
    partition_ask_post(&item->call, self->request->shard, topic, in->partition_index);
}

static bool start_topic(struct list_offsets *self,
                        const struct kafka_list_offsets_request_list_offsets_topic *in,
                        struct kafka_list_offsets_response_list_offsets_topic_response *out)
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
        kafka_list_offsets_response_list_offsets_partition_response_defaults(&out->partitions[i]);
        out->partitions[i].partition_index = in->partitions[i].partition_index;
        out->partitions[i].error_code = refuse(self, topic, in->name, &in->partitions[i]);
        if (out->partitions[i].error_code == ERROR_CODE_NONE) {
            start_partition(self, topic, &in->partitions[i], &out->partitions[i]);
        }
    }
    return true;
}

static bool prepare(struct list_offsets *self)
{
    struct arena *arena = &self->request->arena;
    uint32_t count = 0;
    for (int32_t i = 0; i < self->in.topics_count; i++) {
        count += (uint32_t)self->in.topics[i].partitions_count;
    }
    kafka_list_offsets_response_defaults(&self->out);
    self->out.throttle_time_ms = access_charge(&self->request->context, 0);
    self->out.topics_count = self->in.topics_count;
    self->out.topics =
        arena_take_array(arena, (size_t)self->in.topics_count, sizeof *self->out.topics);
    return self->out.topics != NULL && seen_set_init(&self->seen, arena, count) == STATUS_OK;
}

void serve_list_offsets(struct request *request)
{
    struct list_offsets *self = arena_take_array(&request->arena, 1, sizeof *self);
    check(self != NULL); /* The first taking of an empty arena. */
    self->request = request;
    if (!request_body_is_whole(
            request, kafka_list_offsets_request_decode(&request->body, request->context.api_version,
                                                       &request->arena, &self->in))) {
        return;
    }
    if (!prepare(self)) {
        request_close(request, "a ListOffsets request is larger than its memory");
        return;
    }
    gather_begin(&self->calls, answer);
    for (int32_t i = 0; i < self->in.topics_count; i++) {
        if (!start_topic(self, &self->in.topics[i], &self->out.topics[i])) {
            self->out.topics_count = i;
            break;
        }
    }
    gather_end(&self->calls);
}
