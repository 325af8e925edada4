/* Goal: rows of one window and key become one group, FILTER decides who counts and who may fail,
 * and groups leave early when there are too many.
 * Method: rows (v bigint, ts timestamptz) with the query count(*) FILTER (WHERE v > 1),
 * sum(100 / v) FILTER (WHERE v > 0), keyed by v % 2 or by 100 / v; groups read from the route. */
#include "processor/operator/partial_aggregation.h"

#include <criterion/criterion.h>

#define BIGINT MILLRACE__PLAN__TYPE__TYPE_BIGINT
#define BOOL MILLRACE__PLAN__TYPE__TYPE_BOOL
#define TIME MILLRACE__PLAN__TYPE__TYPE_TIMESTAMPTZ

static const enum value_type types[2] = {VALUE_BIGINT, VALUE_TIMESTAMPTZ};
static struct arena arena;
static struct partial_aggregation partial;
static struct route_record_writer writer;
static Millrace__Plan__Aggregation plan;
static Millrace__Plan__AggregateCall calls[2];
static uint32_t misfit_count;
static uint32_t group_count;
static uint32_t row_count;
static int64_t counted;
static int64_t summed;
static int64_t input_count;

static void *take(size_t byte_count)
{
    void *taken = arena_take_array(&arena, 1, byte_count);
    cr_assert_not_null(taken);
    return taken;
}

static Millrace__Plan__TypedExpr *make(Millrace__Plan__TypedExpr__KindCase kind,
                                       Millrace__Plan__Type type)
{
    Millrace__Plan__TypedExpr *expr = take(sizeof *expr);
    millrace__plan__typed_expr__init(expr);
    expr->kind_case = kind;
    expr->type = type;
    return expr;
}

static Millrace__Plan__TypedExpr *column_of(uint32_t column, Millrace__Plan__Type type)
{
    Millrace__Plan__TypedExpr *expr = make(MILLRACE__PLAN__TYPED_EXPR__KIND_COLUMN, type);
    expr->column = column;
    return expr;
}

static Millrace__Plan__TypedExpr *number_of(int64_t number)
{
    Millrace__Plan__TypedExpr *expr = make(MILLRACE__PLAN__TYPED_EXPR__KIND_LITERAL, BIGINT);
    expr->literal = take(sizeof *expr->literal);
    millrace__plan__literal__init(expr->literal);
    expr->literal->value_case = MILLRACE__PLAN__LITERAL__VALUE_INTEGER;
    expr->literal->integer = number;
    return expr;
}

static Millrace__Plan__TypedExpr *call_of(Millrace__Plan__Operation operation,
                                          Millrace__Plan__Type type,
                                          Millrace__Plan__TypedExpr *left,
                                          Millrace__Plan__TypedExpr *right)
{
    Millrace__Plan__TypedExpr *expr = make(MILLRACE__PLAN__TYPED_EXPR__KIND_CALL, type);
    expr->call = take(sizeof *expr->call);
    millrace__plan__typed_call__init(expr->call);
    expr->call->operation = operation;
    expr->call->n_arguments = 2;
    expr->call->arguments = take(2 * sizeof *expr->call->arguments);
    expr->call->arguments[0] = left;
    expr->call->arguments[1] = right;
    return expr;
}

static Millrace__Plan__TypedExpr *hundredth(void)
{
    return call_of(MILLRACE__PLAN__OPERATION__OPERATION_DIV, BIGINT, number_of(100),
                   column_of(0, BIGINT));
}

static Millrace__Plan__TypedExpr *above(int64_t bound)
{
    return call_of(MILLRACE__PLAN__OPERATION__OPERATION_GT, BOOL, column_of(0, BIGINT),
                   number_of(bound));
}

static enum status on_misfit(void *context, const struct row_batch *rows, uint32_t row,
                             const char *reason)
{
    (void)context;
    (void)rows;
    (void)row;
    (void)reason;
    misfit_count += 1;
    return STATUS_OK;
}

static struct row_steps_report report = {.on_misfit = on_misfit};

static enum status on_record(void *context, uint32_t partition, struct wire_bytes value)
{
    (void)context;
    (void)partition;
    struct wire_reader reader;
    cr_assert_eq(route_record_open(&reader, value), STATUS_OK);
    struct route_record_entry entry;
    while (route_record_next(&reader, &partial.aggregation.codec, &entry) == STATUS_OK) {
        group_count += entry.kind == ROUTE_RECORD_GROUP ? 1 : 0;
        row_count += entry.kind == ROUTE_RECORD_ROW ? 1 : 0;
        counted += entry.group->states[0].count;
        summed += (int64_t)entry.group->states[1].value.sum.low;
        input_count += entry.group->input_count;
    }
    return STATUS_OK;
}

static void open_partial(Millrace__Plan__TypedExpr *key)
{
    millrace__plan__aggregation__init(&plan);
    plan.window = MILLRACE__PLAN__WINDOW_KIND__WINDOW_TUMBLE;
    plan.time = column_of(1, TIME);
    plan.size_us = 10;
    plan.n_keys = 1;
    plan.keys = take(sizeof *plan.keys);
    plan.keys[0] = key;
    for (int i = 0; i < 2; i++) {
        millrace__plan__aggregate_call__init(&calls[i]);
        calls[i].type = BIGINT;
    }
    calls[0].function = MILLRACE__PLAN__AGGREGATE_FUNCTION__AGGREGATE_COUNT_STAR;
    calls[0].filter = above(1);
    calls[1].function = MILLRACE__PLAN__AGGREGATE_FUNCTION__AGGREGATE_SUM;
    calls[1].argument = hundredth();
    calls[1].filter = above(0);
    plan.n_calls = 2;
    plan.calls = take(2 * sizeof *plan.calls);
    plan.calls[0] = &calls[0];
    plan.calls[1] = &calls[1];
    cr_assert_eq(partial_aggregation_init(&partial, 1, &plan, types, 2), STATUS_OK);
    cr_assert_eq(route_record_writer_init(&writer, &partial.aggregation.codec, 2), STATUS_OK);
    writer.on_record = on_record;
}

static void set_up(void)
{
    arena_init(&arena, (size_t)512 << 20);
}

static void tear_down(void)
{
    route_record_writer_done(&writer);
    partial_aggregation_done(&partial);
    arena_done(&arena);
}

TestSuite(partial_aggregation, .init = set_up, .fini = tear_down);

/* Rows first, first + 1, … in v, all at the same time. */
static void push(int64_t first, uint32_t count, int64_t ts, int64_t bound_us)
{
    struct column columns[2];
    struct row_origin origin = {.partition = 0};
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(column_init(&columns[i], types[i], count, &arena), STATUS_OK);
    }
    origin.offsets = take(count * sizeof(int64_t));
    origin.created_ms = take(count * sizeof(int64_t));
    origin.ingested_ms = take(count * sizeof(int64_t));
    origin.keys = take(count * sizeof(struct wire_bytes));
    origin.values = take(count * sizeof(struct wire_bytes));
    origin.headers = take(count * sizeof(uint8_t *));
    origin.headers_ends = take(count * sizeof(uint8_t *));
    origin.header_counts = take(count * sizeof(int32_t));
    for (uint32_t i = 0; i < count; i++) {
        columns[0].values.bigints[i] = first + i;
        columns[1].values.bigints[i] = ts;
    }
    struct row_batch rows = {.arena = &arena,
                             .row_count = count,
                             .column_count = 2,
                             .columns = columns,
                             .origin = &origin};
    cr_assert_eq(partial_aggregation_push(&partial, &rows, bound_us, &report, &writer), STATUS_OK);
}

static void flush(void)
{
    cr_assert_eq(partial_aggregation_flush(&partial, &writer), STATUS_OK);
    cr_assert_eq(route_record_flush(&writer), STATUS_OK);
}

Test(partial_aggregation, filter_decides_who_counts_and_who_may_fail)
{
    open_partial(call_of(MILLRACE__PLAN__OPERATION__OPERATION_MOD, BIGINT, column_of(0, BIGINT),
                         number_of(2)));
    push(0, 5, 0, WATERMARK_NONE); /* 0 would divide by zero, but it is not asked. */
    flush();

    cr_expect_eq(misfit_count, 0);
    cr_expect_eq(group_count, 2);
    cr_expect_eq(input_count, 5);
    cr_expect_eq(counted, 3);
    cr_expect_eq(summed, 100 + 50 + 33 + 25);
}

Test(partial_aggregation, row_whose_key_has_no_value_is_told_and_left_out)
{
    open_partial(hundredth());
    push(0, 3, 0, WATERMARK_NONE);
    flush();

    cr_expect_eq(misfit_count, 1);
    cr_expect_eq(group_count, 2);
    cr_expect_eq(input_count, 2);
}

Test(partial_aggregation, row_of_a_window_that_its_mark_has_passed_goes_alone)
{
    open_partial(column_of(0, BIGINT));
    push(7, 2, 9, 9);
    cr_expect_eq(row_count, 0);
    push(7, 2, 9, 10);
    push(7, 1, 10, 10);
    flush();
    cr_expect_eq(row_count, 2);
    cr_expect_eq(group_count, 3);

    push(7, 2, 90, INT64_MAX);
    flush();
    cr_expect_eq(row_count, 4);
    cr_expect_eq(input_count, 7);
}

Test(partial_aggregation, too_many_groups_leave_early)
{
    open_partial(column_of(0, BIGINT));
    for (int64_t i = 0; i < 6; i++) {
        push(1 + i * 60000, 60000, 0, WATERMARK_NONE);
    }
    cr_expect_gt(group_count, 60000);
    cr_expect_lt(group_table_bytes(&partial.groups), (size_t)64 << 20);
    flush();
    cr_expect_eq(group_count, 360000);
    cr_expect_eq(input_count, 360000);
}

Test(partial_aggregation, kinds_of_windows_that_are_not_known_are_unsupported)
{
    open_partial(column_of(0, BIGINT));
    struct partial_aggregation other;
    plan.window = MILLRACE__PLAN__WINDOW_KIND__WINDOW_SESSION;
    cr_expect_eq(partial_aggregation_init(&other, 1, &plan, types, 2), STATUS_UNSUPPORTED);
    partial_aggregation_done(&other);
    plan.window = MILLRACE__PLAN__WINDOW_KIND__WINDOW_TUMBLE;
    plan.size_us = 0;
    cr_expect_eq(partial_aggregation_init(&other, 1, &plan, types, 2), STATUS_INVALID);
    partial_aggregation_done(&other);
    plan.size_us = 10;
    calls[0].type = BOOL;
    cr_expect_eq(partial_aggregation_init(&other, 1, &plan, types, 2), STATUS_INVALID);
    partial_aggregation_done(&other);
}
