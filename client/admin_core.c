#include "client/admin_core.h"

#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

#include <stdio.h>

#define CORE_MAGIC 0xad3100deU
#define RETRY_FLOOR_MS 20
#define RETRY_CEILING_MS 1000

static void op_on_fire(struct timer *timer);

static void op_finish(struct admin_op *op, enum status status)
{
    timer_done(&op->timer);
    list_remove(&op->in_core);
    ask_done(&op->ask);
    op->on_done(op, status);
}

static int64_t op_left_ns(const struct admin_op *op)
{
    return op->deadline_ns - loop_now_ns(op->core->loop);
}

/* Asks again after a pause, or gives up with what is known when no time is left. */
static void op_again(struct admin_op *op, enum status status)
{
    struct loop *loop = op->core->loop;
    if (op->core->is_closing) {
        op_finish(op, STATUS_CANCELED);
        return;
    }
    int64_t delay_ns = retry_next_ns(&op->retry, &loop->prng);
    if (delay_ns >= op_left_ns(op)) {
        bool is_told = op->error_code != ERROR_CODE_NONE;
        op_finish(op, is_told ? STATUS_OK : status);
        return;
    }
    cluster_refresh(&op->core->cluster);
    timer_start_after(&op->timer, delay_ns);
}

static void ask_on_done(struct ask *ask, enum status status)
{
    struct admin_op *op = container_of(ask, struct admin_op, ask);
    check(op->core->magic == CORE_MAGIC);
    op->is_asking = false;
    if (status == STATUS_OK) {
        op->error_code = ERROR_CODE_NONE;
        op->message[0] = '\0';
        status = op->take(op);
        if (status == STATUS_OK && error_code_is_retriable(op->error_code)) {
            op_again(op, STATUS_TIMEOUT);
            return;
        }
        op_finish(op, status);
        return;
    }
    if (status == STATUS_UNSUPPORTED || status == STATUS_NO_MEMORY || status == STATUS_INVALID) {
        op_finish(op, status);
        return;
    }
    op->is_doubtful |= status != STATUS_UNREACHABLE && status != STATUS_CANCELED;
    op->error_code = ERROR_CODE_NONE;
    op_again(op, status == STATUS_UNREACHABLE ? STATUS_UNREACHABLE : STATUS_TIMEOUT);
}

static void op_encode(struct ask *ask, struct wire_writer *writer)
{
    struct admin_op *op = container_of(ask, struct admin_op, ask);
    op->encode(op, writer);
}

/* Whom to ask; below CLUSTER_CONTROLLER: nobody yet. */
static int32_t op_node(struct admin_op *op)
{
    if (op->node != ADMIN_CORE_LEADER) {
        return op->node;
    }
    if (op->known->partition_count <= op->partition) {
        op->error_code =
            op->known->is_known ? ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION : op->known->error_code;
        return ADMIN_CORE_LEADER;
    }
    int32_t leader = op->known->partitions[op->partition].leader;
    op->error_code = leader < 0 ? ERROR_CODE_LEADER_NOT_AVAILABLE : ERROR_CODE_NONE;
    return leader < 0 ? ADMIN_CORE_LEADER : leader;
}

static void op_ask(struct admin_op *op)
{
    int32_t node = op_node(op);
    if (node < CLUSTER_CONTROLLER) {
        op_again(op, STATUS_UNREACHABLE);
        return;
    }
    int64_t left_ms = op_left_ns(op) / CLOCK_NS_PER_MS;
    int64_t timeout_ms =
        left_ms < op->core->request_timeout_ms ? left_ms : op->core->request_timeout_ms;
    ask_done(&op->ask);
    op->ask = (struct ask){.api_key = op->api_key,
                           .version_min = op->version_min,
                           .version_max = op->version_max,
                           .timeout_ms = timeout_ms > 0 ? timeout_ms : 1,
                           .encode = op_encode,
                           .on_done = ask_on_done};
    op->is_asking = true;
    enum status status = cluster_ask(&op->core->cluster, node, CLUSTER_LANE_SHORT, &op->ask);
    if (status != STATUS_OK) {
        ask_on_done(&op->ask, status);
    }
}

static void op_on_fire(struct timer *timer)
{
    op_ask(container_of(timer, struct admin_op, timer));
}

void admin_core_run(struct admin_core *self, struct admin_op *op)
{
    check(self->magic == CORE_MAGIC);
    op->core = self;
    op->error_code = ERROR_CODE_NONE;
    op->message[0] = '\0';
    op->is_doubtful = false;
    op->is_asking = false;
    op->known = NULL;
    op->ask = (struct ask){0};
    list_init(&op->in_core);
    list_append(&self->ops, &op->in_core);
    retry_init(&op->retry, RETRY_FLOOR_MS, RETRY_CEILING_MS);
    timer_init(&op->timer, &self->loop->timers, op_on_fire);
    if (op->node == ADMIN_CORE_LEADER) {
        op->known = cluster_want(&self->cluster, op->topic);
        if (op->known == NULL) {
            op->node = CLUSTER_ANY; /* No memory for a topic: the question will fail as well. */
        }
    }
    timer_start_after(&op->timer, 0);
}

void admin_core_say(struct admin_op *op, struct wire_text text)
{
    if (text.byte_count > 0) {
        (void)snprintf(op->message, sizeof op->message, "%.*s", text.byte_count, text.bytes);
    }
}

/* ---- life ---- */

static void cluster_on_refreshed(void *context, enum status status)
{
    struct admin_core *self = context;
    if (status != STATUS_OK) {
        return;
    }
    list_for_each_removable(link, &self->ops)
    {
        /* What waited for a leader need not wait for its pause. */
        struct admin_op *op = container_of(link, struct admin_op, in_core);
        if (!op->is_asking && op->node == ADMIN_CORE_LEADER &&
            op->known->partition_count > op->partition &&
            op->known->partitions[op->partition].leader >= 0 && op->retry.attempt_count <= 1) {
            timer_start_after(&op->timer, 0);
        }
    }
}

static void cluster_on_closed(void *context)
{
    struct admin_core *self = context;
    check(list_is_empty(&self->ops));
    self->magic = 0;
    self->on_closed(self->context);
}

void admin_core_init(struct admin_core *self, const struct admin_core_options *options)
{
    *self = (struct admin_core){.magic = CORE_MAGIC,
                                .loop = options->loop,
                                .request_timeout_ms = options->request_timeout_ms};
    list_init(&self->ops);
    struct cluster_options cluster = {.loop = options->loop,
                                      .bootstrap = options->bootstrap,
                                      .bootstrap_count = options->bootstrap_count,
                                      .client_id = options->client_id,
                                      .request_timeout_ms = options->request_timeout_ms,
                                      .on_refreshed = cluster_on_refreshed,
                                      .on_closed = cluster_on_closed,
                                      .context = self};
    cluster_init(&self->cluster, &cluster);
}

void admin_core_close(struct admin_core *self, void (*on_closed)(void *context), void *context)
{
    check(self->magic == CORE_MAGIC);
    check(!self->is_closing);
    self->is_closing = true;
    self->on_closed = on_closed;
    self->context = context;
    list_for_each_removable(link, &self->ops)
    {
        struct admin_op *op = container_of(link, struct admin_op, in_core);
        if (!op->is_asking) {
            op_finish(op, STATUS_CANCELED);
        }
    }
    cluster_close(&self->cluster);
}
