#include "client/group_delete.h"

#include "proto/kafka/api_key.h"
#include "proto/kafka/delete_groups.h"
#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

#define DELETE_MAGIC 0x96de1e7eU

void group_delete_encode(struct wire_text group, int16_t version, struct wire_writer *writer)
{
    struct kafka_delete_groups_request request;
    kafka_delete_groups_request_defaults(&request);
    request.groups_names = &group;
    request.groups_names_count = 1;
    kafka_delete_groups_request_encode(&request, version, writer);
}

enum status group_delete_take(struct ask *ask, bool is_doubtful, int16_t *out_error_code)
{
    struct kafka_delete_groups_response answer;
    TRY(kafka_delete_groups_response_decode(&ask->call.reader, ask->version, &ask->arena, &answer));
    if (answer.results_count != 1) {
        return STATUS_MALFORMED;
    }
    int16_t code = answer.results[0].error_code;
    bool is_done = code == ERROR_CODE_GROUP_ID_NOT_FOUND && is_doubtful;
    *out_error_code = is_done ? ERROR_CODE_NONE : code;
    return STATUS_OK;
}

static void op_encode(struct coordinator_op *op, struct wire_writer *writer)
{
    struct group_delete *self = container_of(op, struct group_delete, op);
    group_delete_encode(wire_text_of(self->options.group), op->ask.version, writer);
}

static enum status op_take(struct coordinator_op *op)
{
    return group_delete_take(&op->ask, op->is_doubtful, &op->error_code);
}

static void op_on_done(struct coordinator_op *op, enum status status)
{
    struct group_delete *self = container_of(op, struct group_delete, op);
    check(self->magic == DELETE_MAGIC);
    self->status = status;
    coordinator_core_close(&self->coordinator);
    cluster_close(&self->cluster);
}

static void cluster_on_closed(void *context)
{
    struct group_delete *self = context;
    check(self->magic == DELETE_MAGIC);
    self->magic = 0;
    self->options.on_done(self->options.context, self->status, self->op.error_code);
}

void group_delete_start(struct group_delete *self, const struct group_delete_options *options)
{
    *self = (struct group_delete){.magic = DELETE_MAGIC, .options = *options};
    struct cluster_options cluster = {.loop = options->loop,
                                      .bootstrap = options->bootstrap,
                                      .bootstrap_count = options->bootstrap_count,
                                      .client_id = options->client_id,
                                      .request_timeout_ms = options->request_timeout_ms,
                                      .on_closed = cluster_on_closed,
                                      .context = self};
    cluster_init(&self->cluster, &cluster);
    self->options.bootstrap = NULL; /* The cluster has its copy. */
    struct coordinator_core_options coordinator = {.cluster = &self->cluster,
                                                   .kind = COORDINATOR_CORE_GROUP,
                                                   .key = options->group,
                                                   .timeout_ms = options->request_timeout_ms};
    coordinator_core_init(&self->coordinator, &coordinator);
    self->op = (struct coordinator_op){.api_key = API_KEY_DELETE_GROUPS,
                                       .version_max = GROUP_DELETE_VERSION_MAX,
                                       .lane = CLUSTER_LANE_SHORT,
                                       .deadline_ns = options->deadline_ns,
                                       .encode = op_encode,
                                       .take = op_take,
                                       .on_done = op_on_done};
    coordinator_core_run(&self->coordinator, &self->op);
}
