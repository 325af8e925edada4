/* Goal: filters and projections let pass what SQL says, and tell whom they leave out.
 * Method: rows of one bigint column through plans built by hand: v > 2, 100 / v. */
#include "processor/operator/row_steps.h"

#include <criterion/criterion.h>

#define BIGINT MILLRACE__PLAN__TYPE__TYPE_BIGINT
#define BOOL MILLRACE__PLAN__TYPE__TYPE_BOOL

static struct arena arena;
static struct row_batch batch;
static struct column column;
static struct row_origin origin;
static uint32_t misfit_rows[8];
static uint32_t misfit_count;
static enum status misfit_status;

static enum status on_misfit(void *context, const struct row_batch *rows, uint32_t row,
                             const char *reason)
{
    (void)context;
    cr_expect_not_null(reason);
    misfit_rows[misfit_count] = (uint32_t)rows->origin->offsets[row];
    misfit_count += 1;
    return misfit_status;
}

static struct row_steps_report report = {.on_misfit = on_misfit};

static void set_up(void)
{
    arena_init(&arena, 1 << 20);
    cr_assert_eq(column_init(&column, VALUE_BIGINT, 5, &arena), STATUS_OK);
    for (uint32_t i = 0; i < 5; i++) {
        column.values.bigints[i] = i; /* 0, 1, 2, 3, null */
    }
    cr_assert_eq(column_set_null(&column, 4, &arena), STATUS_OK);
    origin.offsets = arena_take_array(&arena, 5, sizeof(int64_t));
    for (int i = 0; i < 5; i++) {
        origin.offsets[i] = 10 + i;
    }
    batch = (struct row_batch){
        .arena = &arena, .row_count = 5, .column_count = 1, .columns = &column, .origin = &origin};
}

static void tear_down(void)
{
    arena_done(&arena);
}

TestSuite(row_steps, .init = set_up, .fini = tear_down);

/* `v OPERATION number`, or `number OPERATION v`. */
struct call_plan {
    Millrace__Plan__TypedExpr expr, v, number;
    Millrace__Plan__TypedExpr *arguments[2];
    Millrace__Plan__Literal literal;
    Millrace__Plan__TypedCall call;
};

static Millrace__Plan__TypedExpr *plan_call(struct call_plan *plan,
                                            Millrace__Plan__Operation operation, bool is_v_first,
                                            int64_t number)
{
    millrace__plan__typed_expr__init(&plan->expr);
    millrace__plan__typed_expr__init(&plan->v);
    millrace__plan__typed_expr__init(&plan->number);
    millrace__plan__literal__init(&plan->literal);
    millrace__plan__typed_call__init(&plan->call);
    plan->v.type = BIGINT;
    plan->v.kind_case = MILLRACE__PLAN__TYPED_EXPR__KIND_COLUMN;
    plan->number.type = BIGINT;
    plan->number.kind_case = MILLRACE__PLAN__TYPED_EXPR__KIND_LITERAL;
    plan->number.literal = &plan->literal;
    plan->literal.value_case = MILLRACE__PLAN__LITERAL__VALUE_INTEGER;
    plan->literal.integer = number;
    plan->arguments[is_v_first ? 0 : 1] = &plan->v;
    plan->arguments[is_v_first ? 1 : 0] = &plan->number;
    plan->call.operation = operation;
    plan->call.n_arguments = 2;
    plan->call.arguments = plan->arguments;
    plan->expr.type = operation == MILLRACE__PLAN__OPERATION__OPERATION_GT ? BOOL : BIGINT;
    plan->expr.kind_case = MILLRACE__PLAN__TYPED_EXPR__KIND_CALL;
    plan->expr.call = &plan->call;
    return &plan->expr;
}

static Millrace__Plan__Operator filter_of(Millrace__Plan__TypedExpr *expr)
{
    Millrace__Plan__Operator made;
    millrace__plan__operator__init(&made);
    made.kind_case = MILLRACE__PLAN__OPERATOR__KIND_FILTER;
    made.filter = expr;
    return made;
}

static struct row_batch run(Millrace__Plan__Operator *const *operators, uint32_t count,
                            enum status expected)
{
    static const enum value_type types[1] = {VALUE_BIGINT};
    struct row_steps steps;
    cr_assert_eq(row_steps_init(&steps, operators, count, types, 1), STATUS_OK);
    struct row_batch passed = {0};
    cr_expect_eq(row_steps_run(&steps, &batch, &arena, &report, &passed), expected);
    row_steps_done(&steps);
    return passed;
}

Test(row_steps, filter_passes_what_is_true_and_neither_false_nor_null)
{
    struct call_plan plan = {0};
    Millrace__Plan__Operator filter =
        filter_of(plan_call(&plan, MILLRACE__PLAN__OPERATION__OPERATION_GT, true, 1));

    struct row_batch passed = run((Millrace__Plan__Operator *[]){&filter}, 1, STATUS_OK);

    cr_assert_eq(passed.row_count, 2);
    cr_expect_eq(passed.columns[0].values.bigints[0], 2);
    cr_expect_eq(passed.origin->offsets[1], 13);
    cr_expect_eq(report.filtered_count, 3);
    cr_expect_eq(misfit_count, 0);
}

Test(row_steps, projection_leaves_out_and_tells_rows_without_a_value)
{
    struct call_plan plan = {0};
    Millrace__Plan__TypedExpr *exprs[2] = {
        plan_call(&plan, MILLRACE__PLAN__OPERATION__OPERATION_DIV, false, 100), &plan.v};
    Millrace__Plan__Projection projection;
    millrace__plan__projection__init(&projection);
    projection.n_expressions = 2;
    projection.expressions = exprs;
    Millrace__Plan__Operator made;
    millrace__plan__operator__init(&made);
    made.kind_case = MILLRACE__PLAN__OPERATOR__KIND_PROJECTION;
    made.projection = &projection;

    struct row_batch passed = run((Millrace__Plan__Operator *[]){&made}, 1, STATUS_OK);

    cr_assert_eq(passed.row_count, 4);
    cr_assert_eq(passed.column_count, 2);
    cr_expect_eq(passed.columns[0].values.bigints[2], 33);
    cr_expect_eq(passed.columns[1].values.bigints[2], 3);
    cr_expect(column_is_null(&passed.columns[0], 3));
    cr_assert_eq(misfit_count, 1);
    cr_expect_eq(misfit_rows[0], 10);
}

Test(row_steps, failing_condition_is_a_misfit_unless_it_was_filtered_before)
{
    struct call_plan division = {0};
    struct call_plan above = {0};
    struct call_plan comparison = {0};
    plan_call(&division, MILLRACE__PLAN__OPERATION__OPERATION_DIV, false, 100);
    plan_call(&comparison, MILLRACE__PLAN__OPERATION__OPERATION_GT, true, 40);
    comparison.arguments[0] = &division.expr; /* 100 / v > 40 */
    Millrace__Plan__Operator second = filter_of(&comparison.expr);
    Millrace__Plan__Operator first =
        filter_of(plan_call(&above, MILLRACE__PLAN__OPERATION__OPERATION_GT, true, 0));

    struct row_batch passed = run((Millrace__Plan__Operator *[]){&first, &second}, 2, STATUS_OK);
    cr_expect_eq(passed.row_count, 2); /* 1 and 2 */
    cr_expect_eq(misfit_count, 0);

    passed = run((Millrace__Plan__Operator *[]){&second}, 1, STATUS_OK);
    cr_expect_eq(passed.row_count, 2);
    cr_assert_eq(misfit_count, 1);
    cr_expect_eq(misfit_rows[0], 10);

    misfit_status = STATUS_INVALID;
    run((Millrace__Plan__Operator *[]){&second}, 1, STATUS_INVALID);
}

Test(row_steps, operators_that_are_no_steps_are_invalid)
{
    static const enum value_type types[1] = {VALUE_BIGINT};
    struct call_plan plan = {0};
    plan_call(&plan, MILLRACE__PLAN__OPERATION__OPERATION_DIV, false, 1);
    Millrace__Plan__Operator number = filter_of(&plan.expr); /* Not a bool. */
    Millrace__Plan__Operator *list[1] = {&number};
    struct row_steps steps;
    cr_expect_eq(row_steps_init(&steps, list, 1, types, 1), STATUS_INVALID);
    row_steps_done(&steps);
}
