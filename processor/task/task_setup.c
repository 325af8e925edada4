#include "processor/task/task_setup.h"

#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

#define STATE_BYTES_DEFAULT ((size_t)1 << 30)
#define INPUT_BYTES_DEFAULT ((size_t)32 << 20)
#define EPOCH_BYTES_DEFAULT ((size_t)8 << 20)
#define OUTPUT_BYTES_DEFAULT ((size_t)256 << 20)
#define TRANSACTION_TIMEOUT_MS_DEFAULT 60000
#define REQUEST_TIMEOUT_MS_DEFAULT 10000
#define TRIM_INTERVAL_MS_DEFAULT 60000
#define CHANGELOG_ROWS_DEFAULT 20000U
#define PLAN_VERSION 1U

static size_t size_or(size_t size, size_t fallback)
{
    return size > 0 ? size : fallback;
}

static int64_t time_or(int64_t time_ms, int64_t fallback_ms)
{
    return time_ms > 0 ? time_ms : fallback_ms;
}

static enum status copy_options(struct task_setup *self, const struct task_options *options)
{
    self->options = *options;
    self->bootstrap = calloc(options->bootstrap_count, sizeof *self->bootstrap);
    self->client_id = strdup(options->client_id);
    if (self->bootstrap == NULL || self->client_id == NULL) {
        return STATUS_NO_MEMORY;
    }
    memcpy(self->bootstrap, options->bootstrap, options->bootstrap_count * sizeof *self->bootstrap);
    struct task_options *own = &self->options;
    own->bootstrap = self->bootstrap;
    own->client_id = self->client_id;
    own->state_bytes_max = size_or(own->state_bytes_max, STATE_BYTES_DEFAULT);
    own->input_bytes_max = size_or(own->input_bytes_max, INPUT_BYTES_DEFAULT);
    own->epoch_bytes_max = size_or(own->epoch_bytes_max, EPOCH_BYTES_DEFAULT);
    own->output_bytes_max = size_or(own->output_bytes_max, OUTPUT_BYTES_DEFAULT);
    own->transaction_timeout_ms =
        time_or(own->transaction_timeout_ms, TRANSACTION_TIMEOUT_MS_DEFAULT);
    own->request_timeout_ms = time_or(own->request_timeout_ms, REQUEST_TIMEOUT_MS_DEFAULT);
    own->trim_interval_ms = time_or(own->trim_interval_ms, TRIM_INTERVAL_MS_DEFAULT);
    own->changelog_rows_min =
        own->changelog_rows_min > 0 ? own->changelog_rows_min : CHANGELOG_ROWS_DEFAULT;
    return STATUS_OK;
}

static enum status name_topics(struct task_setup *self)
{
    uint32_t stage = self->options.stage;
    if (stage > 0) {
        job_topics_route(self->plan, stage - 1, &self->route_in);
        job_topics_changelog(self->plan, stage, &self->changelog);
    }
    if (!self->is_last) {
        job_topics_route(self->plan, stage, &self->route_out);
    }
    job_topics_progress(self->plan, &self->progress);
    self->progress_partition =
        (int32_t)job_topics_task_number(self->plan, stage, self->options.task);
    job_topics_transactional_id(self->plan, stage, self->options.task, self->transactional_id);
    job_topics_group(self->plan, self->group);
    const Millrace__Plan__Table *sink = self->plan->sink;
    self->column_names = calloc(sink->n_columns, sizeof *self->column_names);
    if (self->column_names == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (size_t i = 0; i < sink->n_columns; i++) {
        self->column_names[i] = sink->columns[i]->name;
    }
    return STATUS_OK;
}

static enum status deal_partitions(struct task_setup *self)
{
    uint32_t count = self->stage->input_partition_count;
    self->partitions = calloc(count, sizeof *self->partitions);
    if (self->partitions == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (uint32_t i = self->options.task; i < count; i += self->stage->task_count) {
        self->partitions[self->partition_count++] = (int32_t)i;
    }
    check(self->partition_count > 0);
    return STATUS_OK;
}

enum status task_setup_init(struct task_setup *self, const struct task_options *options)
{
    *self = (struct task_setup){.plan = options->plan};
    const Millrace__Plan__JobPlan *plan = options->plan;
    if (plan->version > PLAN_VERSION || job_topics_check(plan) != STATUS_OK ||
        options->stage >= plan->n_stages ||
        options->task >= plan->stages[options->stage]->task_count || plan->source == NULL ||
        plan->sink == NULL || plan->sink->n_columns == 0 || options->bootstrap_count == 0) {
        return STATUS_INVALID;
    }
    self->stage = plan->stages[options->stage];
    self->is_last = options->stage + 1 == plan->n_stages;
    TRY(copy_options(self, options));
    TRY(name_topics(self));
    return deal_partitions(self);
}

void task_setup_done(struct task_setup *self)
{
    free(self->bootstrap);
    free(self->client_id);
    free(self->partitions);
    free(self->column_names);
    *self = (struct task_setup){0};
}

const char *task_setup_input_topic(const struct task_setup *self)
{
    return self->options.stage == 0 ? self->plan->source->topic : self->route_in.name;
}

uint32_t task_setup_place(const struct task_setup *self, int32_t partition)
{
    uint32_t place = (uint32_t)partition / self->stage->task_count;
    check(place < self->partition_count);
    check(self->partitions[place] == partition);
    return place;
}
