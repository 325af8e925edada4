#include "processor/operator/aggregation.h"

#include "processor/time/watermark.h"
#include "processor/time/window.h"

_Static_assert((int)AGGREGATE_COUNT_STAR ==
                   (int)MILLRACE__PLAN__AGGREGATE_FUNCTION__AGGREGATE_COUNT_STAR,
               "the numbers of the plan");
_Static_assert((int)AGGREGATE_MAX == (int)MILLRACE__PLAN__AGGREGATE_FUNCTION__AGGREGATE_MAX,
               "the numbers of the plan");
_Static_assert((int)VALUE_INTERVAL == (int)MILLRACE__PLAN__TYPE__TYPE_INTERVAL,
               "the numbers of the plan");

static bool is_type(Millrace__Plan__Type type)
{
    return type >= MILLRACE__PLAN__TYPE__TYPE_BOOL && type <= MILLRACE__PLAN__TYPE__TYPE_INTERVAL;
}

static enum status init_window(struct aggregation *self)
{
    const Millrace__Plan__Aggregation *plan = self->plan;
    self->is_update = plan->output_mode == MILLRACE__PLAN__OUTPUT_MODE__OUTPUT_UPDATE;
    if (plan->window == MILLRACE__PLAN__WINDOW_KIND__WINDOW_NONE) {
        return self->is_update ? STATUS_OK : STATUS_INVALID;
    }
    if (plan->window != MILLRACE__PLAN__WINDOW_KIND__WINDOW_TUMBLE) {
        return STATUS_UNSUPPORTED; /* Panes of a hop and sessions: see README.md. */
    }
    self->has_window = true;
    self->size_us = plan->size_us;
    self->slide_us = plan->size_us;
    bool is_sound = plan->size_us > 0 && plan->time != NULL &&
                    (plan->slide_us == 0 || plan->slide_us == plan->size_us);
    return is_sound ? STATUS_OK : STATUS_INVALID;
}

static enum status init_call(const Millrace__Plan__AggregateCall *call,
                             struct aggregate *out_aggregate)
{
    struct aggregate aggregate = {.function = (enum aggregate_function)call->function,
                                  .argument_type = VALUE_BIGINT};
    bool has_argument = call->argument != NULL;
    if (has_argument == (aggregate.function == AGGREGATE_COUNT_STAR)) {
        return STATUS_INVALID;
    }
    if (has_argument) {
        if (!is_type(call->argument->type)) {
            return STATUS_INVALID;
        }
        aggregate.argument_type = (enum value_type)call->argument->type;
    }
    TRY(aggregate_check(&aggregate));
    if ((int)call->type != (int)aggregate_result_type(&aggregate)) {
        return STATUS_INVALID;
    }
    *out_aggregate = aggregate;
    return STATUS_OK;
}

enum status aggregation_init(struct aggregation *self, uint32_t operator_id,
                             const Millrace__Plan__Aggregation *plan)
{
    *self = (struct aggregation){.plan = plan, .operator_id = operator_id};
    if (plan->n_calls > STATE_CODEC_COLUMNS_MAX || plan->n_keys > STATE_CODEC_COLUMNS_MAX) {
        return STATUS_INVALID;
    }
    TRY(state_codec_init(&self->codec, (uint32_t)plan->n_calls, (uint32_t)plan->n_keys));
    for (size_t i = 0; i < plan->n_calls; i++) {
        TRY(init_call(plan->calls[i], &self->codec.aggregates[i]));
    }
    for (size_t i = 0; i < plan->n_keys; i++) {
        if (!is_type(plan->keys[i]->type)) {
            return STATUS_INVALID;
        }
        self->codec.key_types[i] = (enum value_type)plan->keys[i]->type;
    }
    return init_window(self);
}

void aggregation_done(struct aggregation *self)
{
    state_codec_done(&self->codec);
    *self = (struct aggregation){0};
}

uint32_t aggregation_column_count(const struct aggregation *self)
{
    return 2 + self->codec.key_count + self->codec.aggregate_count;
}

void aggregation_column_types(const struct aggregation *self, enum value_type *out_types)
{
    out_types[0] = VALUE_TIMESTAMPTZ;
    out_types[1] = VALUE_TIMESTAMPTZ;
    for (uint32_t i = 0; i < self->codec.key_count; i++) {
        out_types[2 + i] = self->codec.key_types[i];
    }
    for (uint32_t i = 0; i < self->codec.aggregate_count; i++) {
        out_types[2 + self->codec.key_count + i] =
            aggregate_result_type(&self->codec.aggregates[i]);
    }
}

bool aggregation_is_start(const struct aggregation *self, int64_t window_start)
{
    if (!self->has_window) {
        return window_start == GROUP_TABLE_NO_WINDOW;
    }
    int64_t found = 0;
    return window_last_start(window_start, self->size_us, self->slide_us, &found) &&
           found == window_start;
}

bool aggregation_is_over(const struct aggregation *self, int64_t window_start, int64_t watermark_us)
{
    return self->has_window && watermark_us != WATERMARK_NONE &&
           window_start + self->size_us <= watermark_us;
}
