#include "processor/plan/stage_cut.h"

#include "processor/plan/plan_copy.h"
#include "proto/sys/check.h"

#include <string.h>

#define OPERATORS_MAX 3U
#define WINDOW_COLUMNS 2U /* window_start and window_end lead the rows of an aggregation. */

struct cutter {
    const struct query_check *query;
    struct plan_fault *fault;
    Millrace__Plan__JobPlan *plan;
    Millrace__Plan__Stage *first; /* Reads the source. */
};

/* ------------------------------------------------------------------ columns of the source */

/* A column of the query → its place in the input row; what nobody names is not decoded. */
static enum status replace_input(void *context, const struct typed_expr *expr,
                                 struct typed_expr **out_expr)
{
    struct cutter *self = context;
    Millrace__Plan__Stage *stage = self->first;
    *out_expr = NULL;
    if (expr->message.kind_case != MILLRACE__PLAN__TYPED_EXPR__KIND_COLUMN) {
        return STATUS_OK;
    }
    check(expr->message.column < NAME_SCOPE_WINDOW_START);
    size_t place = 0;
    while (place < stage->n_source_columns &&
           stage->source_columns[place] != expr->message.column) {
        place++;
    }
    if (place == stage->n_source_columns) {
        stage->source_columns[place] = expr->message.column;
        stage->n_source_columns++;
    }
    return typed_expr_new_column(self->fault, expr->position, expr->message.type, (uint32_t)place,
                                 out_expr);
}

static enum status over_input(struct cutter *self, const struct typed_expr *expr,
                              Millrace__Plan__TypedExpr **out_expr)
{
    const struct typed_expr_replacer replacer = {.replace = replace_input, .context = self};
    struct typed_expr *made = NULL;
    TRY(typed_expr_replace(self->fault, expr, &replacer, &made));
    *out_expr = &made->message;
    return STATUS_OK;
}

/* ------------------------------------------------------------------ columns of groups */

static enum status refuse_ungrouped(struct cutter *self, const struct typed_expr *expr)
{
    const struct name_scope *scope = &self->query->scope;
    const char *name = name_scope_column_name(scope, expr->message.column);
    return plan_fault_raise(
        self->fault,
        &(struct plan_fault_text){
            .code = "GROUPING",
            .position = expr->position,
            .what = plan_fault_print(self->fault,
                                     "column \"%s.%s\" must appear in the GROUP BY clause or be "
                                     "used in an aggregate function",
                                     scope->alias, name),
            .why = "a group has many rows, and their values differ",
            .fix =
                plan_fault_print(self->fault, "add %s to GROUP BY, or write min(%s)", name, name)});
}

/* What stands in GROUP BY is known of a group, and so are window and aggregates; nothing else. */
static enum status replace_output(void *context, const struct typed_expr *expr,
                                  struct typed_expr **out_expr)
{
    struct cutter *self = context;
    const struct query_check *query = self->query;
    const Millrace__Plan__TypedExpr *message = &expr->message;
    *out_expr = NULL;
    for (size_t i = 0; i < query->key_count; i++) {
        if (typed_expr_is_equal(&query->keys[i]->message, message)) {
            return typed_expr_new_column(self->fault, expr->position, message->type,
                                         (uint32_t)(WINDOW_COLUMNS + i), out_expr);
        }
    }
    if (message->kind_case != MILLRACE__PLAN__TYPED_EXPR__KIND_COLUMN) {
        return STATUS_OK;
    }
    uint32_t place = 0;
    if (message->column >= NAME_SCOPE_AGGREGATE_BASE) {
        place = (uint32_t)(WINDOW_COLUMNS + query->key_count) + message->column -
                NAME_SCOPE_AGGREGATE_BASE;
    } else if (message->column == NAME_SCOPE_WINDOW_END) {
        place = 1;
    } else if (message->column != NAME_SCOPE_WINDOW_START) {
        return refuse_ungrouped(self, expr);
    }
    return typed_expr_new_column(self->fault, expr->position, message->type, place, out_expr);
}

static enum status over_output(struct cutter *self, const struct typed_expr *expr,
                               Millrace__Plan__TypedExpr **out_expr)
{
    const struct typed_expr_replacer replacer = {.replace = replace_output, .context = self};
    struct typed_expr *made = NULL;
    TRY(typed_expr_replace(self->fault, expr, &replacer, &made));
    *out_expr = &made->message;
    return STATUS_OK;
}

/* ------------------------------------------------------------------ operators */

static enum status add_operator(struct cutter *self, Millrace__Plan__Stage *stage, uint32_t id,
                                Millrace__Plan__Operator **out_step)
{
    check(stage->n_operators < OPERATORS_MAX);
    Millrace__Plan__Operator *step = arena_take(self->fault->arena, sizeof *step);
    if (step == NULL) {
        return STATUS_NO_MEMORY;
    }
    millrace__plan__operator__init(step);
    step->id = id;
    stage->operators[stage->n_operators] = step;
    stage->n_operators++;
    *out_step = step;
    return STATUS_OK;
}

/* Stage 0 works on rows of the source, what follows an aggregation on its results. */
static enum status place(struct cutter *self, const Millrace__Plan__Stage *stage,
                         const struct typed_expr *expr, Millrace__Plan__TypedExpr **out_expr)
{
    return stage == self->first ? over_input(self, expr, out_expr)
                                : over_output(self, expr, out_expr);
}

static enum status add_filter(struct cutter *self, Millrace__Plan__Stage *stage, uint32_t id,
                              const struct typed_expr *condition)
{
    Millrace__Plan__Operator *step = NULL;
    if (condition == NULL) {
        return STATUS_OK;
    }
    TRY(add_operator(self, stage, id, &step));
    step->kind_case = MILLRACE__PLAN__OPERATOR__KIND_FILTER;
    return place(self, stage, condition, &step->filter);
}

static enum status add_projection(struct cutter *self, Millrace__Plan__Stage *stage,
                                  struct typed_expr *const *columns)
{
    const Millrace__Plan__Table *sink = self->plan->sink;
    Millrace__Plan__Operator *step = NULL;
    TRY(add_operator(self, stage, STAGE_CUT_PROJECTION, &step));
    Millrace__Plan__Projection *projection = arena_take(self->fault->arena, sizeof *projection);
    if (projection == NULL) {
        return STATUS_NO_MEMORY;
    }
    millrace__plan__projection__init(projection);
    projection->expressions =
        arena_take_array(self->fault->arena, sink->n_columns, sizeof *projection->expressions);
    projection->names =
        arena_take_array(self->fault->arena, sink->n_columns, sizeof *projection->names);
    if (projection->expressions == NULL || projection->names == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (size_t i = 0; i < sink->n_columns; i++) {
        TRY(place(self, stage, columns[i], &projection->expressions[i]));
        TRY(plan_copy_text(self->fault->arena, sink->columns[i]->name, &projection->names[i]));
    }
    projection->n_expressions = sink->n_columns;
    projection->n_names = sink->n_columns;
    step->projection = projection;
    step->kind_case = MILLRACE__PLAN__OPERATOR__KIND_PROJECTION;
    return STATUS_OK;
}

static enum status place_calls(struct cutter *self, Millrace__Plan__Aggregation *aggregation)
{
    const struct expr_check_aggregates *asked = &self->query->aggregates;
    aggregation->calls =
        arena_take_array(self->fault->arena, asked->count, sizeof *aggregation->calls);
    if (aggregation->calls == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < asked->count; i++) {
        Millrace__Plan__AggregateCall *call = arena_take(self->fault->arena, sizeof *call);
        if (call == NULL) {
            return STATUS_NO_MEMORY;
        }
        *call = *asked->calls[i];
        if (call->argument != NULL) {
            TRY(over_input(self, typed_expr_of(call->argument), &call->argument));
        }
        if (call->filter != NULL) {
            TRY(over_input(self, typed_expr_of(call->filter), &call->filter));
        }
        aggregation->calls[i] = call;
    }
    aggregation->n_calls = asked->count;
    return STATUS_OK;
}

static enum status make_aggregation(struct cutter *self,
                                    Millrace__Plan__Aggregation **out_aggregation)
{
    const struct query_check *query = self->query;
    Millrace__Plan__Aggregation *aggregation = arena_take(self->fault->arena, sizeof *aggregation);
    if (aggregation == NULL) {
        return STATUS_NO_MEMORY;
    }
    millrace__plan__aggregation__init(aggregation);
    aggregation->output_mode = self->plan->output_mode;
    if (query->window_time != NULL) {
        aggregation->window = query->select->from->window->kind;
        TRY(over_input(self, query->window_time, &aggregation->time));
        aggregation->size_us = query->window_size_us;
        aggregation->slide_us = query->window_slide_us;
    }
    aggregation->keys =
        arena_take_array(self->fault->arena, query->key_count, sizeof *aggregation->keys);
    if (aggregation->keys == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (size_t i = 0; i < query->key_count; i++) {
        TRY(over_input(self, query->keys[i], &aggregation->keys[i]));
    }
    aggregation->n_keys = query->key_count;
    TRY(place_calls(self, aggregation));
    *out_aggregation = aggregation;
    return STATUS_OK;
}

/* ------------------------------------------------------------------ stages */

static enum status add_stage(struct cutter *self, Millrace__Plan__Stage **out_stage)
{
    Millrace__Plan__JobPlan *plan = self->plan;
    Millrace__Plan__Stage *stage = arena_take(self->fault->arena, sizeof *stage);
    if (stage == NULL) {
        return STATUS_NO_MEMORY;
    }
    millrace__plan__stage__init(stage);
    stage->index = (uint32_t)plan->n_stages;
    stage->operators =
        arena_take_array(self->fault->arena, OPERATORS_MAX, sizeof *stage->operators);
    if (stage->operators == NULL) {
        return STATUS_NO_MEMORY;
    }
    plan->stages[plan->n_stages] = stage;
    plan->n_stages++;
    *out_stage = stage;
    return STATUS_OK;
}

static uint32_t task_count(uint32_t partition_count, const struct plan_settings *settings)
{
    return partition_count < settings->task_count_max ? partition_count : settings->task_count_max;
}

static enum status cut_groups(struct cutter *self, const struct plan_settings *settings,
                              struct typed_expr *const *columns)
{
    Millrace__Plan__Operator *partial = NULL;
    Millrace__Plan__Operator *merge = NULL;
    Millrace__Plan__Stage *second = NULL;
    self->first->route_partition_count = settings->route_partition_count;
    TRY(add_operator(self, self->first, STAGE_CUT_AGGREGATION, &partial));
    TRY(make_aggregation(self, &partial->partial));
    partial->kind_case = MILLRACE__PLAN__OPERATOR__KIND_PARTIAL;
    TRY(add_stage(self, &second));
    second->input_partition_count = settings->route_partition_count;
    second->task_count = task_count(second->input_partition_count, settings);
    TRY(add_operator(self, second, STAGE_CUT_AGGREGATION, &merge));
    merge->merge = partial->partial;
    merge->kind_case = MILLRACE__PLAN__OPERATOR__KIND_MERGE;
    TRY(add_filter(self, second, STAGE_CUT_HAVING, self->query->having));
    return add_projection(self, second, columns);
}

enum status stage_cut_make(const struct query_check *query, const struct plan_settings *settings,
                           struct typed_expr *const *columns, Millrace__Plan__JobPlan *plan)
{
    struct cutter self = {.query = query, .fault = query->fault, .plan = plan};
    size_t column_count_max =
        query->scope.table->n_columns + MILLRACE__PLAN__SYSTEM_COLUMN__SYSTEM_KEY + 1U;
    check(plan->source_partition_count > 0 && settings->task_count_max > 0);
    plan->stages = arena_take_array(self.fault->arena, 2, sizeof *plan->stages);
    if (plan->stages == NULL) {
        return STATUS_NO_MEMORY;
    }
    TRY(add_stage(&self, &self.first));
    self.first->source_columns =
        arena_take_array(self.fault->arena, column_count_max, sizeof *self.first->source_columns);
    if (self.first->source_columns == NULL) {
        return STATUS_NO_MEMORY;
    }
    self.first->input_partition_count = plan->source_partition_count;
    self.first->task_count = task_count(plan->source_partition_count, settings);
    TRY(add_filter(&self, self.first, STAGE_CUT_FILTER, query->where));
    return query->is_grouped ? cut_groups(&self, settings, columns)
                             : add_projection(&self, self.first, columns);
}
