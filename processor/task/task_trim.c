#include "processor/task/task_trim.h"

#include "client/topic_calls.h"
#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

#define TRIM_MAGIC 0x7e1bc0deU
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
    struct topic_calls_cut cut;
    struct task_trim_wish *wishes; /* Owned. */
    uint32_t wish_count;
    uint32_t next; /* Of the pass under way. */
    bool is_running;
    bool is_closing;
};

static void run_next(struct task_trim *self);

static void op_on_done(struct admin_op *op, enum status status)
{
    struct task_trim *self = container_of(op, struct task_trim, op);
    check(self->magic == TRIM_MAGIC);
    check(self->next < self->wish_count);
    struct task_trim_wish *wish = &self->wishes[self->next];
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
    self->cut = (struct topic_calls_cut){.offset = wish->offset};
    self->op = topic_calls_cut(wire_text_of(wish->topic), wish->partition, &self->cut);
    self->op.deadline_ns = now_ns + WISH_TIMEOUT_MS * CLOCK_NS_PER_MS;
    self->op.on_done = op_on_done;
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
