/* The cluster: its brokers, and its metadata quorum where the brokers tell about it. */
#include "client/millrace/admin_wait.h"
#include "proto/kafka/api_key.h"
#include "proto/kafka/describe_cluster.h"
#include "proto/kafka/describe_quorum.h"
#include "proto/kafka/error_code.h"

#include <stdlib.h>

#define RESULT_BYTES_MAX ((size_t)16 << 20)
#define METADATA_TOPIC "__cluster_metadata"
#define VERSION_WITH_FENCED 2

struct cluster_result {
    struct millrace_cluster cluster;
    struct arena arena;
    struct millrace_node **rows;
};

struct cluster_call {
    struct admin_wait admin;
    struct cluster_result *result;
};

static int compare_nodes(const void *left, const void *right)
{
    const struct millrace_node *const *one = left;
    const struct millrace_node *const *other = right;
    return ((*one)->node > (*other)->node) - ((*one)->node < (*other)->node);
}

static void describe_encode(struct admin_op *op, struct wire_writer *writer)
{
    struct kafka_describe_cluster_request request;
    kafka_describe_cluster_request_defaults(&request);
    request.include_fenced_brokers = op->ask.version >= VERSION_WITH_FENCED;
    kafka_describe_cluster_request_encode(&request, op->ask.version, writer);
}

static enum status keep_nodes(struct cluster_result *result,
                              const struct kafka_describe_cluster_response *answer)
{
    size_t count = (size_t)answer->brokers_count;
    result->rows = (struct millrace_node **)(void *)admin_wait_rows(&result->arena, count,
                                                                    sizeof **result->rows);
    if (result->rows == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        const struct kafka_describe_cluster_response_describe_cluster_broker *from =
            &answer->brokers[i];
        *result->rows[i] =
            (struct millrace_node){.node = from->broker_id,
                                   .host = admin_wait_keep(&result->arena, from->host),
                                   .port = from->port,
                                   .rack = admin_wait_keep(&result->arena, from->rack),
                                   .is_fenced = from->is_fenced,
                                   .log_end = -1};
        if (result->rows[i]->host.data == NULL) {
            return STATUS_NO_MEMORY;
        }
    }
    qsort(result->rows, count, sizeof *result->rows, compare_nodes);
    result->cluster = (struct millrace_cluster){
        .cluster_id = admin_wait_keep(&result->arena, answer->cluster_id),
        .controller = answer->controller_id,
        .controller_epoch = -1,
        .nodes = (const struct millrace_node *const *)(void *)result->rows,
        .node_count = count};
    return STATUS_OK;
}

static enum status describe_take(struct admin_op *op)
{
    struct cluster_call *self = container_of(op, struct cluster_call, admin.op);
    struct kafka_describe_cluster_response answer;
    TRY(kafka_describe_cluster_response_decode(&op->ask.call.reader, op->ask.version,
                                               &op->ask.arena, &answer));
    op->error_code = answer.error_code;
    admin_core_say(op, answer.error_message);
    return op->error_code == ERROR_CODE_NONE ? keep_nodes(self->result, &answer) : STATUS_OK;
}

static void quorum_encode(struct admin_op *op, struct wire_writer *writer)
{
    struct kafka_describe_quorum_request request;
    kafka_describe_quorum_request_defaults(&request);
    struct kafka_describe_quorum_request_partition_data partition;
    kafka_describe_quorum_request_partition_data_defaults(&partition);
    struct kafka_describe_quorum_request_topic_data topic;
    kafka_describe_quorum_request_topic_data_defaults(&topic);
    topic.topic_name = wire_text_of(METADATA_TOPIC);
    topic.partitions = &partition;
    topic.partitions_count = 1;
    request.topics = &topic;
    request.topics_count = 1;
    kafka_describe_quorum_request_encode(&request, op->ask.version, writer);
}

static void keep_replicas(struct cluster_result *result,
                          const struct kafka_describe_quorum_response_replica_state *replicas,
                          int32_t count, bool is_voter)
{
    for (int32_t i = 0; i < count; i++) {
        for (size_t j = 0; j < result->cluster.node_count; j++) {
            if (result->rows[j]->node == replicas[i].replica_id) {
                result->rows[j]->is_voter = is_voter;
                result->rows[j]->log_end = replicas[i].log_end_offset;
            }
        }
    }
}

static enum status quorum_take(struct admin_op *op)
{
    struct cluster_call *self = container_of(op, struct cluster_call, admin.op);
    struct kafka_describe_quorum_response answer;
    TRY(kafka_describe_quorum_response_decode(&op->ask.call.reader, op->ask.version, &op->ask.arena,
                                              &answer));
    op->error_code = answer.error_code;
    if (answer.topics_count != 1 || answer.topics[0].partitions_count != 1) {
        return answer.error_code != ERROR_CODE_NONE ? STATUS_OK : STATUS_MALFORMED;
    }
    const struct kafka_describe_quorum_response_partition_data *partition =
        &answer.topics[0].partitions[0];
    op->error_code = op->error_code != ERROR_CODE_NONE ? op->error_code : partition->error_code;
    if (op->error_code == ERROR_CODE_NONE) {
        self->result->cluster.controller = partition->leader_id;
        self->result->cluster.controller_epoch = partition->leader_epoch;
        keep_replicas(self->result, partition->current_voters, partition->current_voters_count,
                      true);
        keep_replicas(self->result, partition->observers, partition->observers_count, false);
    }
    return STATUS_OK;
}

int millrace_cluster_describe(struct millrace_client *client, int64_t timeout_ms,
                              struct millrace_cluster **out_cluster, struct millrace_error *error)
{
    *out_cluster = NULL;
    int64_t until_ns = session_until_ns(timeout_ms);
    struct cluster_result *result = calloc(1, sizeof *result);
    if (result == NULL) {
        return trouble_status(error, STATUS_NO_MEMORY, "cannot describe the cluster");
    }
    arena_init(&result->arena, RESULT_BYTES_MAX);
    struct cluster_call describe = {.admin = {.op = {.api_key = API_KEY_DESCRIBE_CLUSTER,
                                                     .version_max = 2,
                                                     .node = CLUSTER_ANY,
                                                     .encode = describe_encode,
                                                     .take = describe_take}},
                                    .result = result};
    int code =
        admin_wait_run(client, &describe.admin, until_ns, "cannot describe the cluster", error);
    if (code != MILLRACE_OK) {
        millrace_cluster_free(&result->cluster);
        return code;
    }
    struct cluster_call quorum = {.admin = {.op = {.api_key = API_KEY_DESCRIBE_QUORUM,
                                                   .version_max = 2,
                                                   .node = CLUSTER_CONTROLLER,
                                                   .encode = quorum_encode,
                                                   .take = quorum_take}},
                                  .result = result};
    /* Not every broker tells; the answer is good without it. */
    (void)admin_wait_run(client, &quorum.admin, until_ns, "cannot describe the quorum", NULL);
    *out_cluster = &result->cluster;
    return trouble_none(error);
}

void millrace_cluster_free(struct millrace_cluster *cluster)
{
    if (cluster != NULL) {
        struct cluster_result *result = container_of(cluster, struct cluster_result, cluster);
        arena_done(&result->arena);
        free(result);
    }
}
