#include "broker/api/serve_describe_quorum.h"

#include "broker/api/admin_call.h"
#include "broker/api/cluster_view.h"
#include "broker/api/reply_code.h"
#include "proto/kafka/describe_quorum.h"
#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

#define METADATA_TOPIC "__cluster_metadata"
#define TIMEOUT_MS 5000
#define VERSION_WITH_NODES 2

typedef struct kafka_describe_quorum_response_partition_data partition_data;
typedef struct kafka_describe_quorum_response_replica_state replica_state;

struct describe_quorum {
    struct admin_call call;
    struct request *request;
    struct kafka_describe_quorum_request in;
    struct kafka_describe_quorum_response out;
    struct controller_quorum_view view;
};

static void send(struct describe_quorum *self)
{
    request_begin_answer(self->request);
    kafka_describe_quorum_response_encode(&self->out, self->request->context.api_version,
                                          &self->request->writer);
    request_send(self->request);
}

/* libraft keeps to itself how far a voter's log has got. What the broker said that it has applied
 * is less by what came since its last heartbeat; that much lag is the most that there can be. */
static int64_t end_of(const struct describe_quorum *self, int32_t broker_id)
{
    if (broker_id == self->view.leader_id) {
        return self->view.log_end;
    }
    for (uint32_t i = 0; i < self->view.follower_count; i++) {
        if (self->view.followers[i].broker_id == broker_id) {
            return self->view.followers[i].applied_end;
        }
    }
    return -1;
}

/* Voters or observers out of the image; the brokers that ever registered. */
static bool add_replicas(const struct describe_quorum *self, const struct image *image,
                         bool is_voter, replica_state **out_rows, int32_t *out_count)
{
    uint32_t count = image_broker_count(image);
    replica_state *rows = arena_take_array(&self->request->arena, count, sizeof *rows);
    if (rows == NULL) {
        return false;
    }
    int32_t row_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct image_broker *broker = image_broker_at(image, i);
        if (broker->is_voter == is_voter) {
            rows[row_count] = (replica_state){.replica_id = broker->id,
                                              .log_end_offset = end_of(self, broker->id),
                                              .last_fetch_timestamp = -1,
                                              .last_caught_up_timestamp = -1};
            if (self->request->context.api_version >= VERSION_WITH_NODES) {
                rows[row_count].replica_directory_id = broker->directory_id;
            }
            row_count += 1;
        }
    }
    *out_rows = rows;
    *out_count = row_count;
    return true;
}

static bool add_nodes(struct describe_quorum *self, const struct image *image)
{
    struct arena *arena = &self->request->arena;
    uint32_t count = image_broker_count(image);
    self->out.nodes = arena_take_array(arena, count, sizeof *self->out.nodes);
    for (uint32_t i = 0; self->out.nodes != NULL && i < count; i++) {
        const struct image_broker *broker = image_broker_at(image, i);
        const struct image_endpoint *endpoint = cluster_view_endpoint(broker);
        struct kafka_describe_quorum_response_listener *listener =
            arena_take_array(arena, 1, sizeof *listener);
        if (listener == NULL) {
            return false;
        }
        if (!broker->is_voter || endpoint == NULL) {
            continue;
        }
        *listener = (struct kafka_describe_quorum_response_listener){
            .name = wire_text_of(endpoint->listener),
            .host = wire_text_of(endpoint->host),
            .port = endpoint->port};
        self->out.nodes[self->out.nodes_count] = (struct kafka_describe_quorum_response_node){
            .node_id = broker->id, .listeners = listener, .listeners_count = 1};
        self->out.nodes_count += 1;
    }
    return self->out.nodes != NULL;
}

static void answer(struct admin_call *call, enum status status)
{
    struct describe_quorum *self = container_of(call, struct describe_quorum, call);
    if (status != STATUS_OK) {
        self->out.error_code = reply_code_of_status(status);
        self->out.error_message = wire_text_of(reply_code_message(status));
        self->out.topics_count = 0;
        send(self);
        return;
    }
    const struct image *image = partition_map_image(self->request->shard->map);
    partition_data *data = &self->out.topics[0].partitions[0];
    data->leader_id = self->view.leader_id;
    data->leader_epoch = self->view.term;
    data->high_watermark = self->view.applied_end;
    if (!add_replicas(self, image, true, &data->current_voters, &data->current_voters_count) ||
        !add_replicas(self, image, false, &data->observers, &data->observers_count) ||
        (self->request->context.api_version >= VERSION_WITH_NODES && !add_nodes(self, image))) {
        request_close(self->request, "the answer is larger than its memory");
        return;
    }
    send(self);
}

/* Kafka names the quorum's log as a topic of one partition; there is no other to ask for. */
static bool asks_for_metadata(const struct kafka_describe_quorum_request *in)
{
    return in->topics_count == 1 && wire_text_equals(in->topics[0].topic_name, METADATA_TOPIC) &&
           in->topics[0].partitions_count == 1 && in->topics[0].partitions[0].partition_index == 0;
}

static bool prepare_view(struct describe_quorum *self)
{
    const struct image *image = partition_map_image(self->request->shard->map);
    uint32_t count = image_broker_count(image);
    self->view.followers =
        arena_take_array(&self->request->arena, count, sizeof *self->view.followers);
    if (self->view.followers == NULL) {
        return false;
    }
    self->view.follower_count = count;
    for (uint32_t i = 0; i < count; i++) {
        self->view.followers[i].broker_id = image_broker_at(image, i)->id;
    }
    return true;
}

static bool prepare(struct describe_quorum *self)
{
    struct arena *arena = &self->request->arena;
    kafka_describe_quorum_response_defaults(&self->out);
    (void)access_charge(&self->request->context, 0);
    self->out.error_message = wire_text_of(NULL);
    self->out.topics = arena_take_array(arena, 1, sizeof *self->out.topics);
    partition_data *data = arena_take_array(arena, 1, sizeof *data);
    if (self->out.topics == NULL || data == NULL || !prepare_view(self)) {
        return false;
    }
    data->error_message = wire_text_of(NULL);
    data->leader_id = -1;
    self->out.topics[0] = (struct kafka_describe_quorum_response_topic_data){
        .topic_name = wire_text_of(METADATA_TOPIC), .partitions = data, .partitions_count = 1};
    self->out.topics_count = 1;
    return true;
}

void serve_describe_quorum(struct request *request)
{
    struct describe_quorum *self = arena_take_array(&request->arena, 1, sizeof *self);
    check(self != NULL); /* The first taking of an empty arena. */
    self->request = request;
    if (!request_body_is_whole(request, kafka_describe_quorum_request_decode(
                                            &request->body, request->context.api_version,
                                            &request->arena, &self->in))) {
        return;
    }
    if (!prepare(self)) {
        request_close(request, "a DescribeQuorum request is larger than its memory");
        return;
    }
    if (!access_authorize(&request->context, ACCESS_DESCRIBE, ACCESS_CLUSTER,
                          wire_text_of("kafka-cluster"))) {
        self->out.error_code = ERROR_CODE_CLUSTER_AUTHORIZATION_FAILED;
        self->out.topics_count = 0;
        send(self);
        return;
    }
    if (!asks_for_metadata(&self->in)) {
        partition_data *data = &self->out.topics[0].partitions[0];
        data->error_code = ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION;
        data->error_message = wire_text_of("only partition 0 of __cluster_metadata has a quorum");
        send(self);
        return;
    }
    self->call.up.request.kind = CONTROLLER_DESCRIBE_QUORUM;
    self->call.up.request.command.quorum = &self->view;
    admin_call_post(&self->call, request, TIMEOUT_MS, answer);
}
