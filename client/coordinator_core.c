#include "client/coordinator_core.h"

#include "proto/kafka/api_key.h"
#include "proto/kafka/error_code.h"
#include "proto/kafka/find_coordinator.h"
#include "proto/sys/check.h"

#include <string.h>

#define CORE_MAGIC 0xc00d1a70U
#define RETRY_FLOOR_MS 20
#define RETRY_CEILING_MS 1000
/* The end of a transaction takes milliseconds, so whoever waits for it asks again sooner. */
#define CONCURRENT_SHARE 10
#define FIND_VERSION_MAX 6
#define FIND_VERSION_MANY 4 /* From here on it asks for several keys at once. */
#define FIND_TIMEOUT_MS 5000

static void op_ask(struct coordinator_op *op);

static struct loop *loop_of(const struct coordinator_core *self)
{
    return self->options.cluster->options.loop;
}

static void op_finish(struct coordinator_op *op, enum status status)
{
    timer_done(&op->timer);
    list_remove(&op->in_core);
    ask_done(&op->ask);
    op->on_done(op, status);
}

/* ---- who it is ---- */

static void find_encode(struct ask *ask, struct wire_writer *writer)
{
    struct coordinator_core *self = container_of(ask, struct coordinator_core, find);
    struct wire_text key = wire_text_of(self->options.key);
    struct kafka_find_coordinator_request request;
    kafka_find_coordinator_request_defaults(&request);
    if (ask->version > 0) {
        request.key_type = self->options.kind == COORDINATOR_CORE_TXN;
    }
    if (ask->version >= FIND_VERSION_MANY) {
        request.coordinator_keys = &key;
        request.coordinator_keys_count = 1;
    } else {
        request.key = key;
    }
    kafka_find_coordinator_request_encode(&request, ask->version, writer);
}

static enum status find_take(struct coordinator_core *self, struct ask *ask, int16_t *out_code)
{
    struct kafka_find_coordinator_response answer;
    TRY(kafka_find_coordinator_response_decode(&ask->call.reader, ask->version, &ask->arena,
                                               &answer));
    struct kafka_find_coordinator_response_coordinator found = {.node_id = answer.node_id,
                                                                .host = answer.host,
                                                                .port = answer.port,
                                                                .error_code = answer.error_code};
    if (ask->version >= FIND_VERSION_MANY) {
        if (answer.coordinators_count != 1) {
            return STATUS_MALFORMED;
        }
        found = answer.coordinators[0];
    }
    *out_code = found.error_code;
    if (found.error_code == ERROR_CODE_NONE) {
        cluster_learn_node(self->options.cluster, found.node_id, found.host, found.port);
        bool is_known = cluster_knows_node(self->options.cluster, found.node_id);
        self->node = is_known ? found.node_id : -1;
    }
    return STATUS_OK;
}

/* Those that waited for the coordinator are asked, or end with what the broker said. */
static void find_release(struct coordinator_core *self, enum status status, int16_t error_code)
{
    struct list waiting;
    list_init(&waiting);
    list_for_each_removable(link, &self->ops)
    {
        struct coordinator_op *op = container_of(link, struct coordinator_op, in_core);
        if (op->is_waiting) {
            list_remove(&op->in_core);
            list_append(&waiting, &op->in_core);
        }
    }
    struct list *link;
    while ((link = list_take_first(&waiting)) != NULL) {
        struct coordinator_op *op = container_of(link, struct coordinator_op, in_core);
        list_append(&self->ops, &op->in_core);
        op->is_waiting = false;
        op->error_code = error_code;
        if (status != STATUS_OK || error_code != ERROR_CODE_NONE) {
            op_finish(op, status);
        } else {
            op_ask(op);
        }
    }
}

static void find_on_done(struct ask *ask, enum status status)
{
    struct coordinator_core *self = container_of(ask, struct coordinator_core, find);
    check(self->magic == CORE_MAGIC);
    int16_t code = ERROR_CODE_NONE;
    self->is_finding = false;
    if (status == STATUS_OK) {
        status = find_take(self, ask, &code);
    }
    ask_done(ask);
    if (self->is_closing) {
        find_release(self, STATUS_CANCELED, ERROR_CODE_NONE);
        return;
    }
    if (self->node >= 0) {
        retry_reset(&self->find_retry);
        find_release(self, STATUS_OK, ERROR_CODE_NONE);
        return;
    }
    bool is_final =
        status == STATUS_OK && code != ERROR_CODE_NONE && !error_code_is_retriable(code);
    if (is_final || status == STATUS_UNSUPPORTED) {
        find_release(self, status, code);
        return;
    }
    struct loop *loop = loop_of(self);
    timer_start_after(&self->find_timer, retry_next_ns(&self->find_retry, &loop->prng));
}

static void find(struct coordinator_core *self)
{
    if (self->is_finding || self->find_timer.is_armed) {
        return;
    }
    int64_t timeout_ms = self->options.timeout_ms;
    self->find =
        (struct ask){.api_key = API_KEY_FIND_COORDINATOR,
                     .version_min = self->options.kind == COORDINATOR_CORE_TXN,
                     .version_max = FIND_VERSION_MAX,
                     .timeout_ms = timeout_ms < FIND_TIMEOUT_MS ? timeout_ms : FIND_TIMEOUT_MS,
                     .encode = find_encode,
                     .on_done = find_on_done};
    self->is_finding = true;
    enum status status =
        cluster_ask(self->options.cluster, CLUSTER_ANY, CLUSTER_LANE_SHORT, &self->find);
    if (status != STATUS_OK) {
        find_on_done(&self->find, status);
    }
}

static void find_on_fire(struct timer *timer)
{
    find(container_of(timer, struct coordinator_core, find_timer));
}

/* ---- asking ---- */

static int64_t op_left_ns(const struct coordinator_op *op)
{
    int64_t now_ns = loop_now_ns(loop_of(op->core));
    return op->deadline_ns == INT64_MAX ? INT64_MAX : op->deadline_ns - now_ns;
}

/* Asks again after a pause, or gives up with what is known when no time is left. */
static void op_again(struct coordinator_op *op, enum status status)
{
    struct coordinator_core *self = op->core;
    if (self->is_closing) {
        op_finish(op, STATUS_CANCELED);
        return;
    }
    int64_t delay_ns = retry_next_ns(&op->retry, &loop_of(self)->prng);
    if (op->error_code == ERROR_CODE_CONCURRENT_TRANSACTIONS) {
        delay_ns /= CONCURRENT_SHARE;
    }
    if (delay_ns >= op_left_ns(op)) {
        bool is_told = op->error_code != ERROR_CODE_NONE;
        op_finish(op, is_told ? STATUS_OK : status);
        return;
    }
    timer_start_after(&op->timer, delay_ns);
}

static void op_on_done(struct ask *ask, enum status status)
{
    struct coordinator_op *op = container_of(ask, struct coordinator_op, ask);
    struct coordinator_core *self = op->core;
    check(self->magic == CORE_MAGIC);
    op->is_asking = false;
    op->error_code = ERROR_CODE_NONE;
    if (status == STATUS_OK) {
        status = op->take(op);
        if (status != STATUS_OK || !error_code_is_retriable(op->error_code)) {
            op_finish(op, status);
            return;
        }
        if (error_code_reaction(op->error_code) == ERROR_CODE_REACTION_COORDINATOR &&
            op->ask.node == self->node) {
            self->node = -1;
        }
        op_again(op, STATUS_TIMEOUT);
        return;
    }
    if (status == STATUS_UNSUPPORTED || status == STATUS_NO_MEMORY || status == STATUS_INVALID) {
        op_finish(op, status);
        return;
    }
    op->is_doubtful |= status != STATUS_UNREACHABLE && status != STATUS_CANCELED;
    self->node = op->ask.node == self->node ? -1 : self->node; /* It may have moved. */
    op_again(op, status == STATUS_UNREACHABLE ? STATUS_UNREACHABLE : STATUS_TIMEOUT);
}

static void op_encode(struct ask *ask, struct wire_writer *writer)
{
    struct coordinator_op *op = container_of(ask, struct coordinator_op, ask);
    op->encode(op, writer);
}

static void op_ask(struct coordinator_op *op)
{
    struct coordinator_core *self = op->core;
    int64_t left_ns = op_left_ns(op);
    if (left_ns <= 0) {
        op->is_waiting = false;
        op_finish(op, STATUS_TIMEOUT);
        return;
    }
    if (self->node < 0) {
        op->is_waiting = true;
        if (op->deadline_ns != INT64_MAX) {
            timer_start_at(&op->timer, op->deadline_ns);
        }
        find(self);
        return;
    }
    timer_stop(&op->timer);
    int64_t timeout_ms = op->timeout_ms > 0 ? op->timeout_ms : self->options.timeout_ms;
    int64_t left_ms = left_ns / CLOCK_NS_PER_MS;
    timeout_ms = left_ms < timeout_ms ? left_ms : timeout_ms;
    ask_done(&op->ask);
    op->ask = (struct ask){.api_key = op->api_key,
                           .version_min = op->version_min,
                           .version_max = op->version_max,
                           .timeout_ms = timeout_ms > 0 ? timeout_ms : 1,
                           .encode = op_encode,
                           .on_done = op_on_done};
    op->is_asking = true;
    enum status status = cluster_ask(self->options.cluster, self->node, op->lane, &op->ask);
    if (status != STATUS_OK) {
        op->ask.node = self->node;
        op_on_done(&op->ask, status);
    }
}

static void op_on_fire(struct timer *timer)
{
    op_ask(container_of(timer, struct coordinator_op, timer));
}

void coordinator_core_run(struct coordinator_core *self, struct coordinator_op *op)
{
    check(self->magic == CORE_MAGIC);
    check(!self->is_closing);
    op->core = self;
    op->error_code = ERROR_CODE_NONE;
    op->is_doubtful = false;
    op->is_asking = false;
    op->is_waiting = false;
    op->ask = (struct ask){0};
    list_init(&op->in_core);
    list_append(&self->ops, &op->in_core);
    retry_init(&op->retry, RETRY_FLOOR_MS, RETRY_CEILING_MS);
    timer_init(&op->timer, &loop_of(self)->timers, op_on_fire);
    timer_start_after(&op->timer, 0);
}

bool coordinator_core_take_back(struct coordinator_core *self, struct coordinator_op *op)
{
    check(self->magic == CORE_MAGIC);
    check(op->core == self);
    if (op->is_asking) {
        return false;
    }
    timer_done(&op->timer);
    list_remove(&op->in_core);
    ask_done(&op->ask);
    return true;
}

/* ---- life ---- */

void coordinator_core_init(struct coordinator_core *self,
                           const struct coordinator_core_options *options)
{
    check(options->key != NULL);
    check(options->timeout_ms > 0);
    *self = (struct coordinator_core){.magic = CORE_MAGIC, .options = *options, .node = -1};
    list_init(&self->ops);
    retry_init(&self->find_retry, RETRY_FLOOR_MS, RETRY_CEILING_MS);
    timer_init(&self->find_timer, &loop_of(self)->timers, find_on_fire);
}

void coordinator_core_close(struct coordinator_core *self)
{
    check(self->magic == CORE_MAGIC);
    self->is_closing = true;
    timer_done(&self->find_timer);
    list_for_each_removable(link, &self->ops)
    {
        struct coordinator_op *op = container_of(link, struct coordinator_op, in_core);
        if (!op->is_asking) {
            op_finish(op, STATUS_CANCELED);
        }
    }
}
