#include "chain_rig_plan.h"

#include <string.h>

static char ts_name[] = "ts";
static char k_name[] = "k";
static char v_name[] = "v";
static char s_name[] = "s";

static void make_source(struct chain_rig_plan *self, const struct chain_rig_options *options)
{
    static char *const names[4] = {ts_name, k_name, v_name, s_name};
    static const Millrace__Plan__Type types[4] = {
        MILLRACE__PLAN__TYPE__TYPE_TIMESTAMPTZ, MILLRACE__PLAN__TYPE__TYPE_TEXT,
        MILLRACE__PLAN__TYPE__TYPE_BIGINT, MILLRACE__PLAN__TYPE__TYPE_TEXT};
    millrace__plan__table__init(&self->source);
    self->source.version = 1;
    self->source.topic = ts_name;
    self->source.event_time = ts_name;
    self->source.has_watermark = options->delay >= 0;
    self->source.watermark_delay_us = options->delay * options->unit_us;
    for (uint32_t i = 0; i < 4; i++) {
        millrace__plan__column__init(&self->columns[i]);
        self->columns[i].name = names[i];
        self->columns[i].type = types[i];
        self->column_list[i] = &self->columns[i];
        self->source_columns[i] = i;
        millrace__plan__typed_expr__init(&self->exprs[i]);
        self->exprs[i].type = types[i];
        self->exprs[i].kind_case = MILLRACE__PLAN__TYPED_EXPR__KIND_COLUMN;
        self->exprs[i].column = i;
    }
    self->source.n_columns = 4;
    self->source.columns = self->column_list;
}

static void make_aggregation(struct chain_rig_plan *self, const struct chain_rig_options *options)
{
    static const struct {
        Millrace__Plan__AggregateFunction function;
        int argument;
        Millrace__Plan__Type type;
    } calls[6] = {
        {MILLRACE__PLAN__AGGREGATE_FUNCTION__AGGREGATE_COUNT_STAR, -1,
         MILLRACE__PLAN__TYPE__TYPE_BIGINT},
        {MILLRACE__PLAN__AGGREGATE_FUNCTION__AGGREGATE_SUM, 2, MILLRACE__PLAN__TYPE__TYPE_BIGINT},
        {MILLRACE__PLAN__AGGREGATE_FUNCTION__AGGREGATE_MIN, 2, MILLRACE__PLAN__TYPE__TYPE_BIGINT},
        {MILLRACE__PLAN__AGGREGATE_FUNCTION__AGGREGATE_MAX, 2, MILLRACE__PLAN__TYPE__TYPE_BIGINT},
        {MILLRACE__PLAN__AGGREGATE_FUNCTION__AGGREGATE_AVG, 2, MILLRACE__PLAN__TYPE__TYPE_DOUBLE},
        {MILLRACE__PLAN__AGGREGATE_FUNCTION__AGGREGATE_MAX, 3, MILLRACE__PLAN__TYPE__TYPE_TEXT}};
    millrace__plan__aggregation__init(&self->aggregation);
    if (options->has_window) {
        self->aggregation.window = MILLRACE__PLAN__WINDOW_KIND__WINDOW_TUMBLE;
        self->aggregation.time = &self->exprs[0];
        self->aggregation.size_us = options->size * options->unit_us;
    }
    self->aggregation.output_mode = options->mode;
    self->key_list[0] = &self->exprs[1];
    self->aggregation.n_keys = 1;
    self->aggregation.keys = self->key_list;
    for (int i = 0; i < 6; i++) {
        millrace__plan__aggregate_call__init(&self->calls[i]);
        self->calls[i].function = calls[i].function;
        self->calls[i].argument = calls[i].argument < 0 ? NULL : &self->exprs[calls[i].argument];
        self->calls[i].type = calls[i].type;
        self->call_list[i] = &self->calls[i];
    }
    self->aggregation.n_calls = 6;
    self->aggregation.calls = self->call_list;
}

static void make_stages(struct chain_rig_plan *self, const struct chain_rig_options *options)
{
    self->operators[0][0] = options->before != NULL ? options->before : &self->partial;
    self->operators[0][1] = &self->partial;
    self->operators[1][0] = &self->merge;
    self->operators[1][1] = options->behind;
    for (uint32_t i = 0; i < 2; i++) {
        Millrace__Plan__Stage *stage = &self->stages[i];
        millrace__plan__stage__init(stage);
        stage->index = i;
        stage->task_count = options->task_counts[i];
        stage->operators = self->operators[i];
        stage->n_operators = (i == 0 ? options->before : options->behind) != NULL ? 2 : 1;
        self->stage_list[i] = stage;
    }
    self->stages[0].source_columns = self->source_columns;
    self->stages[0].n_source_columns = 4;
    self->stages[0].input_partition_count = options->source_partition_count;
    self->stages[0].route_partition_count = options->route_partition_count;
    self->stages[1].input_partition_count = options->route_partition_count;
}

void chain_rig_plan_make(struct chain_rig_plan *self, const struct chain_rig_options *options)
{
    memset(self, 0, sizeof *self);
    make_source(self, options);
    make_aggregation(self, options);
    millrace__plan__operator__init(&self->partial);
    self->partial.id = 7;
    self->partial.kind_case = MILLRACE__PLAN__OPERATOR__KIND_PARTIAL;
    self->partial.partial = &self->aggregation;
    millrace__plan__operator__init(&self->merge);
    self->merge.id = 7;
    self->merge.kind_case = MILLRACE__PLAN__OPERATOR__KIND_MERGE;
    self->merge.merge = &self->aggregation;
    make_stages(self, options);
    millrace__plan__job_plan__init(&self->job);
    self->job.version = 1;
    self->job.source = &self->source;
    self->job.source_partition_count = options->source_partition_count;
    self->job.output_mode = options->mode;
    self->job.n_stages = 2;
    self->job.stages = self->stage_list;
}
