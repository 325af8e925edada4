#include "broker/api/serve_write_txn_markers.h"

#include "broker/api/dispatch.h"
#include "broker/api/gather.h"
#include "broker/coordinator/marker_write.h"
#include "proto/kafka/error_code.h"
#include "proto/kafka/write_txn_markers.h"
#include "proto/sys/check.h"

#define VERSION_RAISED 2 /* TransactionVersion from which on epochs are raised for the marker. */

typedef struct kafka_write_txn_markers_request_writable_txn_marker marker_in;
typedef struct kafka_write_txn_markers_response_writable_txn_marker_result marker_out;
typedef struct kafka_write_txn_markers_request_writable_txn_marker_topic topic_in;
typedef struct kafka_write_txn_markers_response_writable_txn_marker_topic_result topic_out;
typedef struct kafka_write_txn_markers_response_writable_txn_marker_partition_result partition_out;

struct write_markers {
    struct request *request;
    struct kafka_write_txn_markers_request in;
    struct kafka_write_txn_markers_response out;
    struct gather writes;
};

struct write_item {
    struct marker_write write;
    struct write_markers *all;
    partition_out *out;
};

static void answer(struct gather *writes)
{
    struct write_markers *self = container_of(writes, struct write_markers, writes);
    struct request *request = self->request;
    request_begin_answer(request);
    kafka_write_txn_markers_response_encode(&self->out, request->context.api_version,
                                            &request->writer);
    request_send(request);
}

static void write_on_done(struct marker_write *write, int16_t code)
{
    struct write_item *item = container_of(write, struct write_item, write);
    item->out->error_code = code;
    gather_end(&item->all->writes);
}

static void start(struct write_markers *self, const marker_in *marker,
                  const struct image_topic *topic, partition_out *out)
{
    struct api_shard *shard = self->request->shard;
    if (topic == NULL || image_topic_partition(topic, out->partition_index) == NULL) {
        out->error_code = ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION;
        return;
    }
    struct write_item *item = arena_take_array(&self->request->arena, 1, sizeof *item);
    if (item == NULL) {
        out->error_code = ERROR_CODE_UNKNOWN_SERVER_ERROR;
        return;
    }
    item->all = self;
    item->out = out;
    item->write.marker =
        (struct ledger_marker){.producer_id = marker->producer_id,
                               .producer_epoch = marker->producer_epoch,
                               .is_commit = marker->transaction_result,
                               .is_epoch_raised = marker->transaction_version >= VERSION_RAISED,
                               .coordinator_epoch = marker->coordinator_epoch};
    item->write.map = dispatch_map_of(shard->node, &topic->id, out->partition_index);
    item->write.home = shard->loop;
    item->write.topic_id = topic->id;
    item->write.index = out->partition_index;
    item->write.on_done = write_on_done;
    gather_add(&self->writes);
    marker_write_post(&item->write);
}

static bool start_topic(struct write_markers *self, const marker_in *marker, const topic_in *in,
                        topic_out *out, int16_t refusal)
{
    const struct image *image = partition_map_image(self->request->shard->map);
    const struct image_topic *topic = image_topic_by_name(image, in->name);
    out->name = in->name;
    out->partitions = arena_take_array(&self->request->arena, (size_t)in->partition_indexes_count,
                                       sizeof *out->partitions);
    if (out->partitions == NULL) {
        return false;
    }
    out->partitions_count = in->partition_indexes_count;
    for (int32_t i = 0; i < in->partition_indexes_count; i++) {
        out->partitions[i].partition_index = in->partition_indexes[i];
        out->partitions[i].error_code = refusal;
        if (refusal == ERROR_CODE_NONE) {
            start(self, marker, topic, &out->partitions[i]);
        }
    }
    return true;
}

static bool start_marker(struct write_markers *self, const marker_in *in, marker_out *out,
                         int16_t refusal)
{
    out->producer_id = in->producer_id;
    out->topics =
        arena_take_array(&self->request->arena, (size_t)in->topics_count, sizeof *out->topics);
    if (out->topics == NULL) {
        return false;
    }
    bool is_sound = in->producer_id >= 0 && in->producer_epoch >= 0 && in->coordinator_epoch >= 0;
    for (int32_t i = 0; i < in->topics_count; i++) {
        if (!start_topic(self, in, &in->topics[i], &out->topics[i],
                         is_sound ? refusal : ERROR_CODE_INVALID_REQUEST)) {
            return false;
        }
        out->topics_count += 1;
    }
    return true;
}

void serve_write_txn_markers(struct request *request)
{
    struct write_markers *self = arena_take_array(&request->arena, 1, sizeof *self);
    check(self != NULL); /* The first taking of an empty arena. */
    self->request = request;
    if (!request_body_is_whole(request, kafka_write_txn_markers_request_decode(
                                            &request->body, request->context.api_version,
                                            &request->arena, &self->in))) {
        return;
    }
    bool is_allowed = access_authorize(&request->context, ACCESS_CLUSTER_ACTION, ACCESS_CLUSTER,
                                       wire_text_of("kafka-cluster"));
    int16_t refusal = is_allowed ? ERROR_CODE_NONE : ERROR_CODE_CLUSTER_AUTHORIZATION_FAILED;
    self->out.markers = arena_take_array(&request->arena, (size_t)self->in.markers_count,
                                         sizeof *self->out.markers);
    gather_begin(&self->writes, answer);
    for (int32_t i = 0; i < self->in.markers_count && self->out.markers != NULL; i++) {
        self->out.markers_count = i + 1;
        if (!start_marker(self, &self->in.markers[i], &self->out.markers[i], refusal)) {
            break; /* What is left out is asked again. */
        }
    }
    gather_end(&self->writes);
}
