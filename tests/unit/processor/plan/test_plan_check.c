/* Goal: a Script that no parser made, with holes and numbers out of place, is refused and never
 * believed; so is a query that would make a plan too large.
 * Method: messages by hand. What SQL comes to is tested in plan_cases. */
#include "processor/plan/plan_check.h"

#include "proto/sys/check.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct arena arena;
static struct plan_fault fault;
static struct plan_settings settings;
static Millrace__Plan__Table *source;
static Millrace__Plan__Table *sink;

static const Millrace__Plan__Table *find(void *context, const char *name)
{
    (void)context;
    return strcmp(name, "s") == 0 ? source : strcmp(name, "o") == 0 ? sink : NULL;
}

static uint32_t count_partitions(void *context, const Millrace__Plan__Table *table)
{
    (void)context;
    (void)table;
    return 0; /* Not known. */
}

static Millrace__Plan__Table *make_table(const char *name, Millrace__Plan__Type type)
{
    Millrace__Plan__ColumnDefinition column;
    millrace__plan__column_definition__init(&column);
    Millrace__Plan__ColumnDefinition *columns = &column;
    Millrace__Plan__CreateTable create;
    millrace__plan__create_table__init(&create);
    Millrace__Plan__Table *table = NULL;
    column.name = (char[]){"a"};
    column.type = type;
    create.columns = &columns;
    create.n_columns = 1;
    create.name = arena_copy_text(&arena, name, strlen(name));
    cr_assert_eq(plan_check_table(&create, &fault, &table), STATUS_OK);
    return table;
}

static void set_up(void)
{
    arena_init(&arena, (size_t)256 << 20);
    plan_fault_init(&fault, &arena);
    plan_settings_init(&settings);
    source = make_table("s", MILLRACE__PLAN__TYPE__TYPE_BOOL);
    sink = make_table("o", MILLRACE__PLAN__TYPE__TYPE_BOOL);
}

static void tear_down(void)
{
    arena_done(&arena);
}

TestSuite(plan_check, .init = set_up, .fini = tear_down);

/* INSERT INTO o SELECT something FROM s, in one piece. */
struct insert_one {
    Millrace__Plan__Insert insert;
    Millrace__Plan__Select select;
    Millrace__Plan__From from;
    Millrace__Plan__Target target;
    Millrace__Plan__Target *targets;
};

static void insert_one_make(struct insert_one *self, Millrace__Plan__Expr *expr)
{
    static char from_name[] = "s";
    static char into_name[] = "o";
    millrace__plan__insert__init(&self->insert);
    millrace__plan__select__init(&self->select);
    millrace__plan__from__init(&self->from);
    millrace__plan__target__init(&self->target);
    self->targets = &self->target;
    self->insert.table = into_name;
    self->insert.select = &self->select;
    self->select.from = &self->from;
    self->select.targets = &self->targets;
    self->select.n_targets = 1;
    self->from.table = from_name;
    self->target.expr = expr;
}

static const struct plan_tables tables = {.find = find, .partition_count = count_partitions};
static const struct plan_check_options options = {.tables = &tables, .settings = &settings};

static const char *check_target(Millrace__Plan__Expr *expr)
{
    struct insert_one one;
    Millrace__Plan__JobPlan *plan = NULL;
    insert_one_make(&one, expr);
    enum status status = plan_check_insert(&one.insert, &options, &fault, &plan);
    cr_assert(status == STATUS_OK || status == STATUS_INVALID);
    cr_assert_eq(status == STATUS_OK, plan != NULL);
    if (plan != NULL) {
        cr_expect_eq(plan->source_partition_count, 1);
        cr_expect_eq(plan->stages[0]->task_count, 1);
    }
    return status == STATUS_OK ? "" : fault.message.code;
}

static Millrace__Plan__Expr *new_expr(Millrace__Plan__Expr__KindCase kind)
{
    Millrace__Plan__Expr *expr = arena_take(&arena, sizeof *expr);
    cr_assert_not_null(expr);
    millrace__plan__expr__init(expr);
    expr->kind_case = kind;
    return expr;
}

static Millrace__Plan__Expr *column(const char *name)
{
    Millrace__Plan__Expr *expr = new_expr(MILLRACE__PLAN__EXPR__KIND_COLUMN);
    expr->column = arena_take(&arena, sizeof *expr->column);
    millrace__plan__column_name__init(expr->column);
    expr->column->name = arena_copy_text(&arena, name, strlen(name));
    return expr;
}

static Millrace__Plan__Expr *call(const char *name, size_t count, Millrace__Plan__Expr *argument)
{
    Millrace__Plan__Expr *expr = new_expr(MILLRACE__PLAN__EXPR__KIND_CALL);
    expr->call = arena_take(&arena, sizeof *expr->call);
    millrace__plan__function_call__init(expr->call);
    expr->call->name = arena_copy_text(&arena, name, strlen(name));
    expr->call->arguments = arena_take_array(&arena, count, sizeof *expr->call->arguments);
    expr->call->n_arguments = count;
    for (size_t i = 0; i < count; i++) {
        expr->call->arguments[i] = argument;
    }
    return expr;
}

static Millrace__Plan__Expr *cast(Millrace__Plan__Expr *argument, int type)
{
    Millrace__Plan__Expr *expr = new_expr(MILLRACE__PLAN__EXPR__KIND_CAST);
    expr->cast = arena_take(&arena, sizeof *expr->cast);
    millrace__plan__cast__init(expr->cast);
    expr->cast->argument = argument;
    expr->cast->type = (Millrace__Plan__Type)type;
    return expr;
}

Test(plan_check, a_table_whose_partitions_are_not_known_has_one)
{
    cr_expect_str_eq(check_target(column("a")), "");
}

Test(plan_check, calls_of_any_number_of_arguments_are_answered)
{
    static const char *const names[] = {"and", "or",          "not", "neg",     "is_null",
                                        "in",  "is_not_null", "=",   "between", "coalesce",
                                        "+",   "count",       "sum", "nothing", ""};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        for (size_t count = 0; count < 5; count++) {
            const char *code = check_target(call(names[i], count, column("a")));
            cr_expect(count > 0 || code[0] != '\0', "%s of nothing", names[i]);
        }
    }
}

Test(plan_check, holes_are_refused)
{
    Millrace__Plan__Expr *empty_case = new_expr(MILLRACE__PLAN__EXPR__KIND_CHOICE);
    empty_case->choice = arena_take(&arena, sizeof *empty_case->choice);
    millrace__plan__case__init(empty_case->choice);

    cr_expect_str_eq(check_target(NULL), "SYNTAX");
    cr_expect_str_eq(check_target(new_expr(MILLRACE__PLAN__EXPR__KIND__NOT_SET)), "SYNTAX");
    cr_expect_str_eq(check_target(cast(NULL, MILLRACE__PLAN__TYPE__TYPE_INT)), "SYNTAX");
    cr_expect_str_eq(check_target(empty_case), "SYNTAX");
    Millrace__Plan__When when;
    millrace__plan__when__init(&when);
    Millrace__Plan__When *whens = &when;
    empty_case->choice->whens = &whens;
    empty_case->choice->n_whens = 1;
    cr_expect_str_eq(check_target(empty_case), "SYNTAX");
    when.condition = column("a");
    cr_expect_str_eq(check_target(empty_case), "SYNTAX");
}

Test(plan_check, types_out_of_their_enum_are_refused)
{
    static const int types[] = {-1, 0, 8, 1000000};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        Millrace__Plan__ColumnDefinition definition;
        millrace__plan__column_definition__init(&definition);
        Millrace__Plan__ColumnDefinition *columns = &definition;
        Millrace__Plan__CreateTable create;
        millrace__plan__create_table__init(&create);
        Millrace__Plan__Table *table = NULL;
        definition.name = (char[]){"a"};
        definition.type = (Millrace__Plan__Type)types[i];
        create.name = (char[]){"t"};
        create.columns = &columns;
        create.n_columns = 1;

        cr_expect_eq(plan_check_table(&create, &fault, &table), STATUS_INVALID);
        cr_expect_str_eq(check_target(cast(column("a"), types[i])), "SYNTAX");
    }
}

Test(plan_check, a_literal_without_value_is_a_null)
{
    Millrace__Plan__Expr *expr = new_expr(MILLRACE__PLAN__EXPR__KIND_LITERAL);
    expr->literal = arena_take(&arena, sizeof *expr->literal);
    millrace__plan__literal__init(expr->literal);

    cr_expect_str_eq(check_target(expr), "");
}

Test(plan_check, towers_are_refused_at_the_bound)
{
    Millrace__Plan__Expr *expr = column("a");
    for (uint32_t i = 0; i < PLAN_CHECK_DEPTH_MAX - 1; i++) {
        expr = call("not", 1, expr);
    }
    cr_expect_str_eq(check_target(expr), "");
    cr_expect_str_eq(check_target(call("not", 1, expr)), "TOO_COMPLEX");
}

Test(plan_check, terms_used_again_and_again_are_counted_each_time)
{
    Millrace__Plan__Expr *expr = column("a");
    for (int i = 0; i < 10; i++) {
        expr = call("and", 2, expr);
    }
    cr_expect_str_eq(check_target(expr), "");
    for (int i = 0; i < 3; i++) {
        expr = call("and", 2, expr);
    }
    cr_expect_str_eq(check_target(expr), "TOO_COMPLEX");
}

Test(plan_check, an_insert_without_its_parts_is_refused)
{
    Millrace__Plan__Insert insert;
    millrace__plan__insert__init(&insert);
    Millrace__Plan__Select select;
    millrace__plan__select__init(&select);
    Millrace__Plan__From from;
    millrace__plan__from__init(&from);
    Millrace__Plan__WindowCall window;
    millrace__plan__window_call__init(&window);
    Millrace__Plan__JobPlan *plan = NULL;

    cr_expect_eq(plan_check_insert(&insert, &options, &fault, &plan), STATUS_INVALID);
    insert.select = &select;
    cr_expect_eq(plan_check_insert(&insert, &options, &fault, &plan), STATUS_INVALID);
    select.from = &from;
    cr_expect_eq(plan_check_insert(&insert, &options, &fault, &plan), STATUS_INVALID);
    from.table = (char[]){"s"};
    insert.table = (char[]){"o"};
    cr_expect_eq(plan_check_insert(&insert, &options, &fault, &plan), STATUS_INVALID);
    from.window = &window;
    for (int kind = -1; kind < 5; kind++) {
        window.kind = (Millrace__Plan__WindowKind)kind;
        cr_expect_eq(plan_check_insert(&insert, &options, &fault, &plan), STATUS_INVALID);
    }
    cr_expect_null(plan);
}

Test(plan_check, a_full_arena_is_told_wherever_it_ends)
{
    for (size_t room = 100; room < 60000; room += 997) {
        struct arena small;
        struct plan_fault small_fault;
        struct insert_one one;
        Millrace__Plan__JobPlan *plan = NULL;
        insert_one_make(&one, call("and", 3, call("is_null", 1, column("a"))));
        arena_init(&small, room);
        plan_fault_init(&small_fault, &small);

        enum status status = plan_check_insert(&one.insert, &options, &small_fault, &plan);

        cr_expect(status == STATUS_OK || status == STATUS_NO_MEMORY);
        arena_done(&small);
    }
}
