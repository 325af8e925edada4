#include "processor/task/task_trim.h"

#include "proto/kafka/api_key.h"
#include "proto/kafka/delete_records.h"
#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

#define TRIM_MAGIC 0x7e1bc0deU
#define VERSION_MAX 2
#define BROKER_TIMEOUT_MS 5000
#define WISH_TIMEOUT_MS 10000

struct task_trim_wish {
    const char *topic;
    int32_t partition;
    int64_t offset;
    int64_t done_offset; /* What is before it is gone already. */
};

struct task_trim {
    uint32_t magic;
    struct task_trim_options options;
    struct admin_core admin;
    struct admin_op op;
    struct task_trim_wish *wishes; /* Owned. */
    uint32_t wish_count;
    uint32_t next; /* Of the pass under way. */
    bool is_running;
    bool is_closing;
};

static void run_next(struct task_trim *self);

static struct task_trim_wish *wish_of(struct admin_op *op)
{
    struct task_trim *self = container_of(op, struct task_trim, op);
    check(self->magic == TRIM_MAGIC);
    check(self->next < self->wish_count);
    return &self->wishes[self->next];
}

static void op_encode(struct admin_op *op, struct wire_writer *writer)
{
    struct kafka_delete_records_request_delete_records_partition partition;
    kafka_delete_records_request_delete_records_partition_defaults(&partition);
    partition.partition_index = op->partition;
    partition.offset = wish_of(op)->offset;
    struct kafka_delete_records_request_delete_records_topic topic;
    kafka_delete_records_request_delete_records_topic_defaults(&topic);
    topic.name = op->topic;
    topic.partitions = &partition;
    topic.partitions_count = 1;
    struct kafka_delete_records_request request;
    kafka_delete_records_request_defaults(&request);
    request.topics = &topic;
    request.topics_count = 1;
    request.timeout_ms = BROKER_TIMEOUT_MS;
    kafka_delete_records_request_encode(&request, op->ask.version, writer);
}

static enum status op_take(struct admin_op *op)
{
    struct kafka_delete_records_response answer;
    TRY(kafka_delete_records_response_decode(&op->ask.call.reader, op->ask.version, &op->ask.arena,
                                             &answer));
    if (answer.topics_count != 1 || answer.topics[0].partitions_count != 1) {
        return STATUS_MALFORMED;
    }
    op->error_code = answer.topics[0].partitions[0].error_code;
    return STATUS_OK;
}

static void op_on_done(struct admin_op *op, enum status status)
{
    struct task_trim *self = container_of(op, struct task_trim, op);
    struct task_trim_wish *wish = wish_of(op);
    if (status == STATUS_OK && op->error_code == ERROR_CODE_NONE) {
        wish->done_offset = wish->offset;
    }
    self->next += 1;
    run_next(self);
}

static void run_next(struct task_trim *self)
{
    while (self->next < self->wish_count &&
           self->wishes[self->next].offset <= self->wishes[self->next].done_offset) {
        self->next += 1;
    }
    self->is_running = self->next < self->wish_count && !self->is_closing;
    if (!self->is_running) {
        return;
    }
    const struct task_trim_wish *wish = &self->wishes[self->next];
    int64_t now_ns = loop_now_ns(self->options.loop);
    self->op = (struct admin_op){.api_key = API_KEY_DELETE_RECORDS,
                                 .version_max = VERSION_MAX,
                                 .node = ADMIN_CORE_LEADER,
                                 .topic = wire_text_of(wish->topic),
                                 .partition = wish->partition,
                                 .deadline_ns = now_ns + WISH_TIMEOUT_MS * CLOCK_NS_PER_MS,
                                 .encode = op_encode,
                                 .take = op_take,
                                 .on_done = op_on_done};
    admin_core_run(&self->admin, &self->op);
}

bool task_trim_is_idle(const struct task_trim *self)
{
    check(self->magic == TRIM_MAGIC);
    return !self->is_running;
}

void task_trim_add(struct task_trim *self, const char *topic, int32_t partition, int64_t offset)
{
    check(!self->is_running);
    if (offset <= 0) {
        return;
    }
    uint32_t i = 0;
    while (i < self->wish_count &&
           (self->wishes[i].partition != partition || strcmp(self->wishes[i].topic, topic) != 0)) {
        i += 1;
    }
    if (i == TASK_TRIM_WISHES_MAX) {
        return;
    }
    if (i == self->wish_count) {
        self->wishes[self->wish_count++] =
            (struct task_trim_wish){.topic = topic, .partition = partition};
    }
    self->wishes[i].offset = offset;
}

void task_trim_run(struct task_trim *self)
{
    check(!self->is_running);
    check(!self->is_closing);
    self->next = 0;
    run_next(self);
}

static void admin_on_closed(void *context)
{
    struct task_trim *self = context;
    check(self->magic == TRIM_MAGIC);
    struct task_trim_options options = self->options;
    free(self->wishes);
    self->magic = 0;
    free(self);
    options.on_closed(options.context);
}

void task_trim_close(struct task_trim *self)
{
    check(self->magic == TRIM_MAGIC);
    check(!self->is_closing);
    self->is_closing = true;
    admin_core_close(&self->admin, admin_on_closed, self);
}

enum status task_trim_open(const struct task_trim_options *options, struct task_trim **out_trim)
{
    struct task_trim *self = calloc(1, sizeof *self);
    struct task_trim_wish *wishes = calloc(TASK_TRIM_WISHES_MAX, sizeof *wishes);
    if (self == NULL || wishes == NULL) {
        free(self);
        free(wishes);
        return STATUS_NO_MEMORY;
    }
    self->magic = TRIM_MAGIC;
    self->options = *options;
    self->wishes = wishes;
    struct admin_core_options admin = {.loop = options->loop,
                                       .bootstrap = options->bootstrap,
                                       .bootstrap_count = options->bootstrap_count,
                                       .client_id = options->client_id,
                                       .request_timeout_ms = options->request_timeout_ms};
    admin_core_init(&self->admin, &admin);
    self->options.bootstrap = NULL; /* The core has its copy. */
    *out_trim = self;
    return STATUS_OK;
}
