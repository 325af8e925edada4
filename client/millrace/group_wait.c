#include "client/millrace/group_wait.h"

#include "proto/kafka/api_key.h"
#include "proto/kafka/error_code.h"
#include "proto/kafka/find_coordinator.h"

#define FIND_VERSION_MAX 3 /* Later ones only ask for several groups at once. */

struct find_call {
    struct admin_wait admin;
    struct millrace_bytes group;
    int32_t node;
};

static void find_encode(struct admin_op *op, struct wire_writer *writer)
{
    struct find_call *self = container_of(op, struct find_call, admin.op);
    struct kafka_find_coordinator_request request;
    kafka_find_coordinator_request_defaults(&request);
    request.key = (struct wire_text){self->group.data, (int32_t)self->group.size};
    kafka_find_coordinator_request_encode(&request, op->ask.version, writer);
}

static enum status find_take(struct admin_op *op)
{
    struct find_call *self = container_of(op, struct find_call, admin.op);
    struct kafka_find_coordinator_response answer;
    TRY(kafka_find_coordinator_response_decode(&op->ask.call.reader, op->ask.version,
                                               &op->ask.arena, &answer));
    op->error_code = answer.error_code;
    admin_core_say(op, answer.error_message);
    if (op->error_code == ERROR_CODE_NONE) {
        self->node = answer.node_id;
        cluster_learn_node(&op->core->cluster, answer.node_id, answer.host, answer.port);
    }
    return STATUS_OK;
}

bool group_wait_moved(struct group_wait *self, int16_t error_code)
{
    self->is_moved = error_code == ERROR_CODE_NOT_COORDINATOR ||
                     error_code == ERROR_CODE_COORDINATOR_NOT_AVAILABLE;
    if (self->is_moved) {
        self->admin.op.error_code = ERROR_CODE_NONE;
    }
    return self->is_moved;
}

int group_wait_run(struct millrace_client *client, struct group_wait *self, int64_t until_ns,
                   const char *what, struct millrace_error *error)
{
    const struct admin_op op = self->admin.op;
    for (;;) {
        struct find_call find = {.admin = {.op = {.api_key = API_KEY_FIND_COORDINATOR,
                                                  .version_max = FIND_VERSION_MAX,
                                                  .node = CLUSTER_ANY,
                                                  .encode = find_encode,
                                                  .take = find_take}},
                                 .group = self->group,
                                 .node = -1};
        int code = admin_wait_run(client, &find.admin, until_ns, what, error);
        if (code != MILLRACE_OK) {
            return code;
        }
        self->coordinator = find.node;
        self->is_moved = false;
        self->admin.op = op;
        self->admin.op.node = find.node;
        code = admin_wait_run(client, &self->admin, until_ns, what, error);
        if (code != MILLRACE_OK || !self->is_moved) {
            return code;
        }
    }
}
