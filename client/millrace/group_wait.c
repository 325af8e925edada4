#include "client/millrace/group_wait.h"

#include "proto/kafka/api_key.h"
#include "proto/kafka/error_code.h"
#include "proto/kafka/find_coordinator.h"
#include "proto/sys/host/host_clock.h"

#define FIRST_ATTEMPT_MS 500 /* Each next one takes twice as long. */
#define FIND_VERSION_MAX 3   /* Later ones only ask for several groups at once. */

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
    request.key = admin_wait_text(self->group);
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
    if (self->is_moved && !self->has_moved) {
        self->admin.op.error_code = ERROR_CODE_NONE; /* Else it is asked again after a pause. */
    }
    return self->is_moved;
}

static int find(struct millrace_client *client, struct group_wait *self, int64_t until_ns,
                const char *what, struct millrace_error *error)
{
    struct find_call find = {.admin = {.op = {.api_key = API_KEY_FIND_COORDINATOR,
                                              .version_max = FIND_VERSION_MAX,
                                              .node = CLUSTER_ANY,
                                              .encode = find_encode,
                                              .take = find_take}},
                             .group = self->group,
                             .node = -1};
    int code = admin_wait_run(client, &find.admin, until_ns, what, error);
    self->coordinator = find.node;
    return code;
}

int group_wait_run(struct millrace_client *client, struct group_wait *self, int64_t until_ns,
                   const char *what, struct millrace_error *error)
{
    const struct admin_op op = self->admin.op;
    self->is_doubtful = false;
    self->has_moved = false;
    for (int64_t attempt_ms = FIRST_ATTEMPT_MS;; attempt_ms *= 2) {
        int code = find(client, self, until_ns, what, error);
        if (code != MILLRACE_OK) {
            return code;
        }
        int64_t attempt_ns = clock_monotonic_ns(host_clock()) + attempt_ms * CLOCK_NS_PER_MS;
        bool is_last = attempt_ns >= until_ns;
        self->is_moved = false;
        self->admin.op = op;
        self->admin.op.node = self->coordinator;
        code = admin_wait_run(client, &self->admin, is_last ? until_ns : attempt_ns, what, error);
        self->is_doubtful |= self->admin.op.is_doubtful;
        bool is_gone = code == MILLRACE_UNREACHABLE || code == MILLRACE_TIMEOUT;
        bool is_elsewhere = self->is_moved && !self->has_moved; /* It has not ended as a failure. */
        self->has_moved |= self->is_moved;
        if (!is_elsewhere && (is_last || !(self->is_moved || is_gone))) {
            return code;
        }
    }
}
