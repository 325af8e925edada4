#include "tests/rig/sql_rig.h"

#include "processor/operator/chain.h"
#include "processor/plan/explain.h"
#include "proto/sys/check.h"
#include "tests/rig/message_dump.h"

#include <string.h>

#define SHOWN_BYTES 24U

void sql_rig_init(struct sql_rig *self)
{
    *self = (struct sql_rig){.partition_count = 6};
    arena_init(&self->arena, (size_t)1 << 30);
    plan_settings_init(&self->settings);
}

void sql_rig_done(struct sql_rig *self)
{
    arena_done(&self->arena);
}

static const Millrace__Plan__Table *find(void *context, const char *name)
{
    const struct sql_rig *self = context;
    for (size_t i = 0; i < self->table_count; i++) {
        if (strcmp(self->tables[i]->name, name) == 0) {
            return self->tables[i];
        }
    }
    return NULL;
}

static const char *name_at(void *context, size_t index)
{
    const struct sql_rig *self = context;
    return index < self->table_count ? self->tables[index]->name : NULL;
}

static uint32_t count_partitions(void *context, const Millrace__Plan__Table *table)
{
    const struct sql_rig *self = context;
    (void)table;
    return self->partition_count;
}

/* ------------------------------------------------------------------ invariants */

static void check_columns(const Millrace__Plan__TypedExpr *expr, uint32_t column_count)
{
    check(expr->type >= MILLRACE__PLAN__TYPE__TYPE_BOOL);
    check(expr->type <= MILLRACE__PLAN__TYPE__TYPE_INTERVAL);
    if (expr->kind_case == MILLRACE__PLAN__TYPED_EXPR__KIND_COLUMN) {
        check(expr->column < column_count);
        return;
    }
    if (expr->kind_case == MILLRACE__PLAN__TYPED_EXPR__KIND_LITERAL) {
        check(expr->literal->value_case != MILLRACE__PLAN__LITERAL__VALUE__NOT_SET);
        return;
    }
    check(expr->kind_case == MILLRACE__PLAN__TYPED_EXPR__KIND_CALL);
    check(expr->call->n_arguments > 0);
    check(expr->call->operation != MILLRACE__PLAN__OPERATION__OPERATION_NONE);
    for (size_t i = 0; i < expr->call->n_arguments; i++) {
        check_columns(expr->call->arguments[i], column_count);
    }
}

static uint32_t check_aggregation(const Millrace__Plan__Aggregation *aggregation, uint32_t width)
{
    if (aggregation->window != MILLRACE__PLAN__WINDOW_KIND__WINDOW_NONE) {
        check(aggregation->time->type == MILLRACE__PLAN__TYPE__TYPE_TIMESTAMPTZ);
        check_columns(aggregation->time, width);
        check(aggregation->size_us > 0 && aggregation->slide_us > 0);
    }
    for (size_t i = 0; i < aggregation->n_keys; i++) {
        check_columns(aggregation->keys[i], width);
    }
    for (size_t i = 0; i < aggregation->n_calls; i++) {
        const Millrace__Plan__AggregateCall *call = aggregation->calls[i];
        check((call->argument == NULL) ==
              (call->function == MILLRACE__PLAN__AGGREGATE_FUNCTION__AGGREGATE_COUNT_STAR));
        if (call->argument != NULL) {
            check_columns(call->argument, width);
        }
        if (call->filter != NULL) {
            check(call->filter->type == MILLRACE__PLAN__TYPE__TYPE_BOOL);
            check_columns(call->filter, width);
        }
    }
    return (uint32_t)(2 + aggregation->n_keys + aggregation->n_calls);
}

static void check_projection(const Millrace__Plan__Projection *projection,
                             const Millrace__Plan__Table *sink, uint32_t width)
{
    check(projection->n_expressions == sink->n_columns);
    check(projection->n_names == sink->n_columns);
    for (size_t i = 0; i < sink->n_columns; i++) {
        check(projection->expressions[i]->type == sink->columns[i]->type);
        check_columns(projection->expressions[i], width);
    }
}

/* The operators take every stage of it. */
static void check_runs(const Millrace__Plan__JobPlan *plan)
{
    for (uint32_t stage = 0; stage < plan->n_stages; stage++) {
        const struct chain_options options = {
            .plan = plan, .stage = stage, .state_bytes_max = (size_t)1 << 20};
        struct chain *chain = NULL;
        check(chain_new(&options, &chain) == STATUS_OK);
        chain_free(chain);
    }
}

/* What the chain relies on: every column is there, every type is what its place needs. */
static void check_plan(const Millrace__Plan__JobPlan *plan)
{
    uint32_t width = (uint32_t)plan->stages[0]->n_source_columns;
    uint32_t source_width = width;
    bool is_projected = false;
    for (size_t s = 0; s < plan->n_stages; s++) {
        const Millrace__Plan__Stage *stage = plan->stages[s];
        check(stage->index == s && stage->task_count > 0);
        check((stage->route_partition_count == 0) == (s + 1 == plan->n_stages));
        check(s == 0 || stage->input_partition_count == plan->stages[s - 1]->route_partition_count);
        for (size_t o = 0; o < stage->n_operators; o++) {
            const Millrace__Plan__Operator *step = stage->operators[o];
            check(step->id > 0 && !is_projected);
            if (step->kind_case == MILLRACE__PLAN__OPERATOR__KIND_FILTER) {
                check(step->filter->type == MILLRACE__PLAN__TYPE__TYPE_BOOL);
                check_columns(step->filter, width);
            } else if (step->kind_case == MILLRACE__PLAN__OPERATOR__KIND_PROJECTION) {
                check_projection(step->projection, plan->sink, width);
                is_projected = true;
            } else {
                check(step->kind_case == (s == 0 ? MILLRACE__PLAN__OPERATOR__KIND_PARTIAL
                                                 : MILLRACE__PLAN__OPERATOR__KIND_MERGE));
                width = check_aggregation(step->partial, source_width);
            }
        }
    }
    check(is_projected);
}

/* ------------------------------------------------------------------ statements */

static void show_fault(const Millrace__Plan__Fault *fault, const char *text,
                       struct text_builder *report)
{
    text_builder_print(report, "fault %s at %u", fault->code, fault->position);
    if (text != NULL && fault->position <= strlen(text)) {
        const char *begin = text + fault->position;
        size_t shown = strcspn(begin, "\n");
        text_builder_print(report, " `%.*s`", (int)(shown < SHOWN_BYTES ? shown : SHOWN_BYTES),
                           begin);
    }
    text_builder_print(report, "\n  %s\n  %s\n  %s\n", fault->what, fault->why, fault->fix);
    check(fault->code[0] != '\0' && fault->what[0] != '\0');
    check(fault->why[0] != '\0' && fault->fix[0] != '\0');
}

static enum status run_insert(struct sql_rig *self, const Millrace__Plan__Insert *insert,
                              struct plan_fault *fault, struct text_builder *report)
{
    const struct plan_tables tables = {
        .find = find, .name_at = name_at, .partition_count = count_partitions, .context = self};
    const struct plan_check_options options = {.tables = &tables, .settings = &self->settings};
    Millrace__Plan__JobPlan *plan = NULL;
    const char *explained = NULL;
    TRY(plan_check_insert(insert, &options, fault, &plan));
    check_plan(plan);
    check_runs(plan);
    size_t byte_count = millrace__plan__job_plan__get_packed_size(plan);
    uint8_t *bytes = arena_take(&self->arena, byte_count);
    check(bytes != NULL && millrace__plan__job_plan__pack(plan, bytes) == byte_count);
    TRY(explain_plan(plan, &self->arena, &explained));
    text_builder_add(report, explained);
    if (self->shows_plans) {
        message_dump_add(report, &plan->base, NULL);
        text_builder_add(report, "\n");
    }
    return STATUS_OK;
}

static enum status run_create(struct sql_rig *self, const Millrace__Plan__CreateTable *create,
                              struct plan_fault *fault, struct text_builder *report)
{
    Millrace__Plan__Table *table = NULL;
    TRY(plan_check_table(create, fault, &table));
    check(self->table_count < SQL_RIG_TABLES_MAX);
    self->tables[self->table_count++] = table;
    message_dump_add(report, &table->base, NULL);
    text_builder_add(report, "\n");
    return STATUS_OK;
}

static enum status run_statement(struct sql_rig *self, const Millrace__Plan__Statement *statement,
                                 struct plan_fault *fault, struct text_builder *report)
{
    enum status status = STATUS_OK;
    switch ((int)statement->kind_case) {
    case MILLRACE__PLAN__STATEMENT__KIND_CREATE_TABLE:
        return run_create(self, statement->create_table, fault, report);
    case MILLRACE__PLAN__STATEMENT__KIND_SETTING:
        return plan_settings_apply(&self->settings, statement->setting, fault);
    case MILLRACE__PLAN__STATEMENT__KIND_INSERT:
        status = run_insert(self, statement->insert, fault, report);
        plan_settings_next_job(&self->settings);
        return status;
    case MILLRACE__PLAN__STATEMENT__KIND_EXPLAIN:
        text_builder_add(report, "explain ");
        return run_insert(self, statement->explain->insert, fault, report);
    default:
        message_dump_add(report, &statement->base, NULL);
        text_builder_add(report, "\n");
        return STATUS_OK;
    }
}

void sql_rig_run(struct sql_rig *self, const Millrace__Plan__Script *script, const char *text,
                 struct text_builder *report)
{
    struct plan_fault fault;
    for (size_t i = 0; i < script->n_statements; i++) {
        plan_fault_init(&fault, &self->arena);
        enum status status = run_statement(self, script->statements[i], &fault, report);
        check(status == STATUS_OK || status == STATUS_INVALID);
        if (status == STATUS_INVALID) {
            show_fault(&fault.message, text, report);
            return;
        }
    }
    if (script->fault != NULL) {
        show_fault(script->fault, text, report);
    }
}
