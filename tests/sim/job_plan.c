#include "tests/sim/job_plan.h"

#include "proto/sys/check.h"

#define US INT64_C(1000000)

static char empty[] = "";
static char json[] = "json";
static char name_t[] = "t";
static char name_k[] = "k";
static char name_v[] = "v";
static char name_start[] = "window_start";
static char name_n[] = "n";
static char name_total[] = "total";
static char source_name[] = JOB_PLAN_SOURCE;
static char sink_name[] = JOB_PLAN_SINK;
static char late_name[] = JOB_PLAN_LATE;
static char job_name[] = "sums";

static Millrace__Plan__Column source_columns[3];
static Millrace__Plan__Column sink_columns[4];
static Millrace__Plan__Column *source_rows[3];
static Millrace__Plan__Column *sink_rows[4];
static Millrace__Plan__Table source_table;
static Millrace__Plan__Table sink_table;
static uint8_t query_id[16] = {7};
static Millrace__Plan__TypedExpr inputs[3]; /* The source's columns. */
static Millrace__Plan__TypedExpr *keys[1];
static Millrace__Plan__AggregateCall calls[2];
static Millrace__Plan__AggregateCall *call_rows[2];
static Millrace__Plan__Aggregation aggregation;
static Millrace__Plan__TypedExpr results[4];
static Millrace__Plan__TypedExpr *result_rows[4];
static char *result_names[4] = {name_start, name_k, name_n, name_total};
static Millrace__Plan__Projection projection;
static Millrace__Plan__Operator partial;
static Millrace__Plan__Operator merge;
static Millrace__Plan__Operator project;
static Millrace__Plan__Operator *first_operators[1] = {&partial};
static Millrace__Plan__Operator *second_operators[2] = {&merge, &project};
static uint32_t first_columns[3] = {0, 1, 2};
static Millrace__Plan__Stage first;
static Millrace__Plan__Stage second;
static Millrace__Plan__Stage *stages[2] = {&first, &second};
static Millrace__Plan__JobPlan plan;

static void set_column(Millrace__Plan__Column *column, char *name, Millrace__Plan__Type type)
{
    millrace__plan__column__init(column);
    column->name = name;
    column->type = type;
}

static void set_expr(Millrace__Plan__TypedExpr *expr, uint32_t column, Millrace__Plan__Type type)
{
    millrace__plan__typed_expr__init(expr);
    expr->type = type;
    expr->kind_case = MILLRACE__PLAN__TYPED_EXPR__KIND_COLUMN;
    expr->column = column;
}

static void set_table(Millrace__Plan__Table *table, char *name, Millrace__Plan__Column **columns,
                      size_t column_count)
{
    millrace__plan__table__init(table);
    table->version = 1;
    table->name = name;
    table->topic = name;
    table->format = json;
    table->columns = columns;
    table->n_columns = column_count;
    table->event_time = empty;
    table->late_topic = empty;
    table->idle_after_us = 60 * US;
}

static void set_tables(void)
{
    set_column(&source_columns[0], name_t, MILLRACE__PLAN__TYPE__TYPE_TIMESTAMPTZ);
    set_column(&source_columns[1], name_k, MILLRACE__PLAN__TYPE__TYPE_TEXT);
    set_column(&source_columns[2], name_v, MILLRACE__PLAN__TYPE__TYPE_BIGINT);
    set_column(&sink_columns[0], name_start, MILLRACE__PLAN__TYPE__TYPE_TIMESTAMPTZ);
    set_column(&sink_columns[1], name_k, MILLRACE__PLAN__TYPE__TYPE_TEXT);
    set_column(&sink_columns[2], name_n, MILLRACE__PLAN__TYPE__TYPE_BIGINT);
    set_column(&sink_columns[3], name_total, MILLRACE__PLAN__TYPE__TYPE_BIGINT);
    for (int i = 0; i < 3; i++) {
        source_rows[i] = &source_columns[i];
    }
    for (int i = 0; i < 4; i++) {
        sink_rows[i] = &sink_columns[i];
    }
    set_table(&source_table, source_name, source_rows, 3);
    source_table.event_time = name_t;
    source_table.has_watermark = 1;
    source_table.watermark_delay_us = 5 * US;
    source_table.late_topic = late_name;
    set_table(&sink_table, sink_name, sink_rows, 4);
}

static void set_operators(void)
{
    set_expr(&inputs[0], 0, MILLRACE__PLAN__TYPE__TYPE_TIMESTAMPTZ);
    set_expr(&inputs[1], 1, MILLRACE__PLAN__TYPE__TYPE_TEXT);
    set_expr(&inputs[2], 2, MILLRACE__PLAN__TYPE__TYPE_BIGINT);
    keys[0] = &inputs[1];
    for (int i = 0; i < 2; i++) {
        millrace__plan__aggregate_call__init(&calls[i]);
        calls[i].type = MILLRACE__PLAN__TYPE__TYPE_BIGINT;
        call_rows[i] = &calls[i];
    }
    calls[0].function = MILLRACE__PLAN__AGGREGATE_FUNCTION__AGGREGATE_COUNT_STAR;
    calls[1].function = MILLRACE__PLAN__AGGREGATE_FUNCTION__AGGREGATE_SUM;
    calls[1].argument = &inputs[2];
    millrace__plan__aggregation__init(&aggregation);
    aggregation.window = MILLRACE__PLAN__WINDOW_KIND__WINDOW_TUMBLE;
    aggregation.time = &inputs[0];
    aggregation.size_us = JOB_PLAN_WINDOW_S * US;
    aggregation.keys = keys;
    aggregation.n_keys = 1;
    aggregation.calls = call_rows;
    aggregation.n_calls = 2;
    /* Of window_start, window_end, k, n, total. */
    set_expr(&results[0], 0, MILLRACE__PLAN__TYPE__TYPE_TIMESTAMPTZ);
    set_expr(&results[1], 2, MILLRACE__PLAN__TYPE__TYPE_TEXT);
    set_expr(&results[2], 3, MILLRACE__PLAN__TYPE__TYPE_BIGINT);
    set_expr(&results[3], 4, MILLRACE__PLAN__TYPE__TYPE_BIGINT);
    for (int i = 0; i < 4; i++) {
        result_rows[i] = &results[i];
    }
    millrace__plan__projection__init(&projection);
    projection.expressions = result_rows;
    projection.n_expressions = 4;
    projection.names = result_names;
    projection.n_names = 4;
    millrace__plan__operator__init(&partial);
    partial.id = 1;
    partial.kind_case = MILLRACE__PLAN__OPERATOR__KIND_PARTIAL;
    partial.partial = &aggregation;
    millrace__plan__operator__init(&merge);
    merge.id = 2;
    merge.kind_case = MILLRACE__PLAN__OPERATOR__KIND_MERGE;
    merge.merge = &aggregation;
    millrace__plan__operator__init(&project);
    project.id = 3;
    project.kind_case = MILLRACE__PLAN__OPERATOR__KIND_PROJECTION;
    project.projection = &projection;
}

const Millrace__Plan__JobPlan *job_plan(void)
{
    if (plan.n_stages > 0) {
        return &plan;
    }
    set_tables();
    set_operators();
    millrace__plan__stage__init(&first);
    first.source_columns = first_columns;
    first.n_source_columns = 3;
    first.input_partition_count = JOB_PLAN_PARTITIONS;
    first.task_count = JOB_PLAN_FIRST_TASKS;
    first.operators = first_operators;
    first.n_operators = 1;
    first.route_partition_count = JOB_PLAN_ROUTES;
    millrace__plan__stage__init(&second);
    second.index = 1;
    second.input_partition_count = JOB_PLAN_ROUTES;
    second.task_count = JOB_PLAN_TASKS - JOB_PLAN_FIRST_TASKS;
    second.operators = second_operators;
    second.n_operators = 2;
    millrace__plan__job_plan__init(&plan);
    plan.version = 1;
    plan.name = job_name;
    plan.query_id.data = query_id;
    plan.query_id.len = sizeof query_id;
    plan.source = &source_table;
    plan.source_partition_count = JOB_PLAN_PARTITIONS;
    plan.sink = &sink_table;
    plan.epoch_us = 50000;
    plan.text = empty;
    plan.n_stages = 2;
    plan.stages = stages;
    return &plan;
}
